#!/bin/sh
# test_kms_proxy.sh -- who asks a KMS, when somebody stands in between: proxies
# that assert an identity and others that would like to, requests that two
# readers would read differently; and master secrets sealed again, also when
# that is broken off.  With curl and openssl, from the outside.
# Run by `make check` in the build folder.
set -u
top=$(pwd)
KMS=$top/mcx-kms
for tool_ in curl openssl; do
    command -v $tool_ > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_proxy.XXXXXX") || exit 99
cd "$dir" || exit 99
failed=0
done_=0
server=
A=sip:ada@mc.test
B=sip:bob@mc.test
bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}
stop() {
    [ -n "$server" ] && kill "$server" 2> /dev/null && wait "$server"
    server=
}
trap 'stop; [ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
want() {
    want_=$1
    shift
    "$@" > out 2> err < /dev/null
    got_=$?
    done_=$((done_ + 1))
    [ "$got_" = "$want_" ] ||
        bad "exit $got_, not $want_: $* ($(head -c 300 err))"
}
has() {
    grep -qF -- "$2" "$1" || bad "$1 lacks: $2 ($(head -c 400 "$1"))"
}
start() {
    rm -f serve.out
    "$KMS" serve kms --key-file key --listen 127.0.0.1:0 --tls-cert tls.pem \
        --tls-key tls.key --token-key kms/token.pub --fresh 60 "$@" \
        > serve.out 2>> serve.log &
    server=$!
    n_=0
    while ! grep -qs " at " serve.out && [ $n_ -lt 200 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    port=$(sed 's/.*://' serve.out)
    [ -n "$port" ] || { bad "no server: $(cat serve.log)"; exit 1; }
    U=https://127.0.0.1:$port/keymanagement/identity/v1
}
# request USER: for keyprov, in ./req.xml.
request() {
    cat > req.xml << X
<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0" Id="r" Version="1.1.0">
<UserUri>$1</UserUri><KmsUri>kms.test</KmsUri><Time>$(date -u +%FT%TZ)</Time>
<ClientReqUrl>$U/keyprov</ClientReqUrl>
</KmsRequest>
X
}
# post STATUS CODE [CURL OPTION...]: CODE 0: no body, 200: keys.
post() {
    want_=$1
    code_=$2
    shift 2
    : > ans.xml
    status=$(curl -s -o ans.xml -w '%{http_code}' --max-time 20 --cacert \
        tls.pem -H 'Content-Type: application/xml' --data-binary @req.xml \
        "$@" "$U/keyprov")
    done_=$((done_ + 1))
    [ "$status" = "$want_" ] || bad "$status, not $want_: $*: $(cat ans.xml)"
    case $code_ in
    x) ;;
    0) [ ! -s ans.xml ] || bad "a body: $*" ;;
    200) has ans.xml "<UserUri>$A</UserUri>"; has ans.xml '<UserDecryptKey' ;;
    *) has ans.xml "<ErrorCode>$code_</ErrorCode>" ;;
    esac
    [ "$code_" = 200 ] || ! grep -q '<UserDecryptKey' ans.xml ||
        bad "keys in a refusal: $*"
}
X3='X-3GPP-Asserted-Identity'

# ---- a domain, certificates ----------------------------------------------
want 0 "$KMS" init kms --kms-uri kms.test --key-file key
want 0 "$KMS" user add kms --key-file key $A $B sip:gone@mc.test
want 0 "$KMS" user revoke kms --key-file key sip:gone@mc.test
T=$("$KMS" token kms --user $A)
TB=$("$KMS" token kms --user $B)
req() {
    name_=$1
    shift
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -x509 \
        -keyout "$name_.key" -out "$name_.pem" -subj "/CN=$name_" "$@" \
        2> /dev/null || bad "no certificate $name_"
}
req tls -days 2 -addext subjectAltName=IP:127.0.0.1
req ca -days 2
req stranger -days 2
# leaf NAME USE DAYS: a certificate under the authority.
leaf() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2> /dev/null
    printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\n' "$2" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial 7 \
        -days "$3" -extfile "$1.ext" -out "$1.pem" 2> /dev/null ||
        bad "no certificate $1"
}
leaf proxy clientAuth 2
leaf server serverAuth 2
as() {
    echo "--cert $1.pem --key $1.key"
}

# ---- nobody is a proxy ---------------------------------------------------
start
request $A
post 200 200 -H "Authorization: Bearer $T"
post 403 0 -H "$X3: $A"
post 403 0 -H "Authorization: Bearer $T" -H "$X3: $A"
post 403 0 -H "Authorization: Bearer $TB" -H "$X3: $A"
# shellcheck disable=SC2046
post 403 0 $(as proxy) -H "$X3: $A"

# ---- two readings of one request -----------------------------------------
post 400 0 -H "Authorization: Bearer $T" -H "Authorization: Bearer $TB"
post 400 0 -H "Authorization: Bearer $TB" -H "Authorization: Bearer $T"
post 400 x -H "Authorization: Bearer $T" -H 'Host: a' -H 'host: b'
request $B
post 400 3 -H "Authorization: Bearer $T"
post 403 0 -H "Authorization: Bearer $T $TB"
post 403 0 -H "Authorization: Bearer $T,$TB"
request $A
# raw TEXT: octets as they are; the answer in ./raw.
raw() {
    done_=$((done_ + 1))
    { printf '%b' "$1"; sleep 0.5; } | timeout 2 openssl s_client -quiet \
        -connect "127.0.0.1:$port" > raw 2> /dev/null
}
body=$(cat req.xml)
n=$(($(printf %s "$body" | wc -c)))
head_="POST /keymanagement/identity/v1/keyprov HTTP/1.1\r\nHost: 127.0.0.1:$port\r\nAuthorization: Bearer $T\r\nContent-Type: application/xml\r\n"
raw "${head_}Content-Length: $n\r\n\r\n$body"
has raw '<UserDecryptKey' # so asked, it is answered
inner="POST /keymanagement/identity/v1/keyprov HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
for h in "Content-Length: $n\r\nContent-Length: 5" \
    "Content-Length: 5\r\nTransfer-Encoding: chunked" \
    "Transfer-Encoding: chunked\r\nContent-Length: $n" \
    "Transfer-Encoding: xchunked" "Transfer-Encoding: chunked, identity" \
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity" \
    "Content-Length: -1" "Content-Length: +$n" "Content-Length: ${n}x" \
    "Content-Length: 99999999999999999999"; do
    raw "$head_$h\r\n\r\n0\r\n\r\n$inner$body"
    grep -q '<UserDecryptKey\|^HTTP/1.1 200' raw && bad "taken: $h"
    # libmicrohttpd sends the head of its own refusals twice, and closes.
    [ "$(grep '^HTTP/1.1' raw | sort -u | wc -l)" -le 1 ] ||
        bad "a second answer: $h"
done
# A header line folded into the token, a bare CR in front of another header.
raw "POST /keymanagement/identity/v1/keyprov HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer $T\r\n\t$TB\r\nContent-Length: $n\r\n\r\n$body"
grep -q '<UserDecryptKey' raw && bad "a folded token"
raw "${head_}X: \rContent-Length: 1\r\nContent-Length: $n\r\n\r\n$body"
grep -q '<UserDecryptKey' raw && grep -q '^HTTP/1.1 200' raw &&
    [ "$(grep -c '^HTTP/1.1' raw)" -gt 1 ] && bad "a bare CR"
# Headers without end: refused, and the next client is served.
raw "${head_}X: $(head -c 60000 /dev/zero | tr '\0' x)\r\nContent-Length: $n\r\n\r\n$body"
grep -q '<UserDecryptKey' raw && bad "60,000 octets of headers"
raw "GET /keymanagement/identity/v1/keyprov HTTP/1.1\r\nHost: h\r\nX-HTTP-Method-Override: POST\r\nAuthorization: Bearer $T\r\nContent-Length: $n\r\n\r\n$body"
grep -q '<UserDecryptKey' raw && bad "another method"
raw "POST https://127.0.0.1:$port/keymanagement/identity/v1/keyprov HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer $T\r\nContent-Length: $n\r\n\r\n$body"
grep -q '<UserDecryptKey' raw && bad "a target with a host"
post 200 200 -H "Authorization: Bearer $T"
stop

# ---- a proxy of ours -----------------------------------------------------
want 2 timeout 20 "$KMS" serve kms --key-file key --listen 127.0.0.1:0 \
    --tls-cert tls.pem --tls-key tls.key --token-key kms/token.pub \
    --proxy-ca nowhere
start --proxy-ca ca.pem
request $A
post 200 200 -H "Authorization: Bearer $T" # without a proxy, as before
# shellcheck disable=SC2046
{
    post 200 200 $(as proxy) -H "$X3: $A"
    post 200 200 $(as proxy) -H "$X3: \"$A\""
    post 200 200 $(as proxy) -H "$X3: $A" -H "Authorization: Bearer $T"
    post 200 200 $(as proxy) -H "Authorization: Bearer $T"
    post 400 3 $(as proxy) -H "$X3: $B"
    post 403 0 $(as proxy) -H "$X3: $B" -H "Authorization: Bearer $T"
    post 403 0 $(as proxy) -H "$X3: $A" -H "Authorization: Bearer ${T}x"
    post 403 0 $(as proxy) -H "$X3: $A, $B"
    post 403 0 $(as proxy) -H "$X3: \"$A\", \"$B\""
    post 403 0 $(as proxy) -H "$X3: <$A>"
    post 403 0 $(as proxy) -H "$X3;"
    post 403 0 $(as proxy) -H "$X3: \"\""
    post 400 0 $(as proxy) -H "$X3: $A" -H "$X3: $B"
    post 403 0 $(as proxy)
    post 403 0 -H "$X3: $A"
    # A certificate of somebody else, or for another use.
    for who in stranger server; do
        : > ans.xml
        status=$(curl -s -o ans.xml -w '%{http_code}' --max-time 20 --cacert \
            tls.pem $(as $who) -H "$X3: $A" --data-binary @req.xml \
            "$U/keyprov")
        case $who,$status in
        *,403 | *,000) ;;
        *) bad "$who: $status" ;;
        esac
        grep -q '<UserDecryptKey' ans.xml && bad "keys for $who"
        done_=$((done_ + 1))
    done
    request sip:gone@mc.test
    post 403 8 $(as proxy) -H "$X3: sip:gone@mc.test"
}
stop
has serve.log 'not from a proxy of ours'

# ---- sealed again --------------------------------------------------------
same() { # same DIR OPTION...: it opens, and its secrets are those of kms.
    want 0 "$KMS" status "$@"
    want 0 "$KMS" audit "$@"
}
cp -r kms k && cp key old.key
want 2 "$KMS" re-seal k --key-file key
want 2 "$KMS" re-seal k --key-file key --new-key-file a --new-passphrase-file b
want 2 "$KMS" re-seal k --key-file key --new-key-file key
want 1 "$KMS" re-seal k --key-file key --new-key-file nowhere/x
want 2 "$KMS" re-seal k --key-file key --new-passphrase-file nowhere
want 2 "$KMS" re-seal k --key-file ca.pem --new-key-file n1
same k --key-file key # nothing of that changed it
want 0 "$KMS" re-seal k --key-file key --new-key-file n1
[ "$(stat -c %a n1 k/master.sealed | tr '\n' ' ')" = '600 600 ' ] ||
    bad "modes: $(ls -l n1 k)"
same k --key-file n1
want 1 "$KMS" status k --key-file key
has err 'wrong key'
printf 'correct horse\n' > pass
want 0 "$KMS" re-seal k --key-file n1 --new-passphrase-file pass
same k --passphrase-file pass
has out 'audit'
want 0 "$KMS" re-seal k --passphrase-file pass --new-key-file n2
same k --key-file n2
want 0 "$KMS" audit k --key-file n2 --json
[ "$(grep -c '"what":"re-seal"' out)" -ge 3 ] || bad "not in the log"
# The same master secrets: keys that were issued before still verify.
want 0 "$KMS" issue k --key-file n2 --user $A --out keys-k
want 0 "$KMS" issue kms --key-file key --user $A --out keys-o
f=kms-kms.test.xml
[ "$(grep -o '<PubEncKey>.*<\|<PubAuthKey>.*<' keys-k/$f)" = \
    "$(grep -o '<PubEncKey>.*<\|<PubAuthKey>.*<' keys-o/$f)" ] ||
    bad "other master secrets"
# Broken off while the file is written: the old one is whole.
cp k/master.sealed before
sh -c 'ulimit -f 0; exec "$0" re-seal k --key-file n2 --new-key-file n3' \
    "$KMS" > /dev/null 2>&1
cmp -s k/master.sealed before || bad "half a file took the place"
same k --key-file n2
# Out of clear; broken off before the clear ones were removed.
want 0 "$KMS" init p --kms-uri kms.test --plain
cp p/master.secret clear
want 0 "$KMS" re-seal p --new-key-file p/seal.key
[ -e p/master.secret ] && bad "still in clear"
want 0 "$KMS" status p
has out 'sealed under a key file'
cp clear p/master.secret
want 0 "$KMS" status p
want 0 "$KMS" re-seal p --new-key-file p/seal.key
[ -e p/master.secret ] && bad "in clear again"
want 0 "$KMS" init q --kms-uri kms.test --plain
cp q/master.secret p/
want 2 "$KMS" status p
has err 'they differ'

[ $failed = 0 ] && echo "test_kms_proxy: $done_ runs, as they should be"
[ $failed = 0 ]
