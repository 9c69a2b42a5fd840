#!/bin/sh
# test_kms_serve.sh -- mcx-kms as a service, from the outside, with curl,
# openssl, sqlite3 and xmllint: every answer against a schema, every refusal
# with its status and code, and nothing secret where it does not belong.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
srcdir=${srcdir:-.}
top=$(pwd)
KMS=$top/mcx-kms
MIKEY=$top/mcx-mikey
case $srcdir in /*) ;; *) srcdir=$top/$srcdir ;; esac
XSD=$srcdir/sip-glue/kms-server/kms.xsd
for tool_ in curl openssl sqlite3 xmllint; do
    command -v $tool_ > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_serve.XXXXXX") || exit 99
cd "$dir" || exit 99
failed=0
done_=0
server=
type=application/xml

A=sip:ada@mc.test
AE=sip%3Aada%40mc.test
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

# want STATUS COMMAND...: runs it; output in ./out, errors in ./err.
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

# start [OPTION...]: the server of ./kms, at any port.
start() {
    rm -f serve.out # the one before may still be there
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

# request URL [USER [KMS [TIME]]]: a KmsRequest in ./req.xml.
request() {
    cat > req.xml << X
<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0" Id="r" Version="1.1.0">
  <UserUri>${2:-$A}</UserUri>
  <KmsUri>${3:-kms.test}</KmsUri>
  <Time>${4:-$(date -u +%FT%TZ)}</Time>
  <ClientReqUrl>$1</ClientReqUrl>
</KmsRequest>
X
}

# post TOKEN RESOURCE [CURL OPTION...]: ./req.xml there; answer in ./ans.xml,
# headers in ./head, status in $status.
post() {
    tok_=$1
    res_=$2
    shift 2
    : > ans.xml
    status=$(curl -s -o ans.xml -D head -w '%{http_code}' --max-time 20 \
        --cacert tls.pem -H "Authorization: Bearer $tok_" \
        -H "Content-Type: $type" --data-binary @req.xml "$@" "$U/$res_")
    done_=$((done_ + 1))
    cat ans.xml >> all.xml
    if [ -s ans.xml ]; then
        xmllint --noout --nonet --schema "$XSD" ans.xml 2> lint ||
            bad "$res_: $(cat lint)"
    fi
    [ "$status" = 000 ] || tr -d '\r' < head | grep -qix \
        'cache-control: no-store' || bad "$res_: may be cached"
}

# good RESOURCE: asked as it should be, and answered.
good() {
    request "$U/$1"
    xmllint --noout --nonet --schema "$XSD" req.xml 2> lint ||
        bad "request: $(cat lint)"
    post "$T" "$1"
    [ "$status" = 200 ] || bad "$1: $status, not 200 ($(cat ans.xml))"
}

# refused STATUS CODE: the last answer; CODE 0: without a body.
refused() {
    [ "$status" = "$1" ] || bad "$res_: $status, not $1: $(cat ans.xml)"
    if [ "$2" = 0 ]; then
        [ -s ans.xml ] && bad "$res_: a body: $(cat ans.xml)"
    else
        grep -q "<ErrorCode>$2</ErrorCode>" ans.xml ||
            bad "$res_: not error $2: $(cat ans.xml)"
    fi
    grep -q '<UserDecryptKey' ans.xml && bad "$res_: keys in a refusal"
    return 0
}

# field NAME: of ./ans.xml
field() {
    sed -n "s,.*<$1[^>]*>\([^<]*\)</$1>.*,\1,p" ans.xml
}

b64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d =
}

# ---- master secrets sealed, users ----------------------------------------
want 0 "$KMS" init own --kms-uri kms.test
[ "$(stat -c %a own/seal.key own/master.sealed | tr '\n' ' ')" = "600 600 " ] ||
    bad "own key: $(ls -l own)"
want 0 "$KMS" issue own --user sip:a@kms.test --out own-keys
want 2 "$KMS" init kms --kms-uri kms.test --plain --key-file key
want 0 "$KMS" init kms --kms-uri kms.test --domain mc.test --key-file key
[ "$(stat -c %a key kms/master.sealed | tr '\n' ' ')" = "600 600 " ] ||
    bad "permissions: $(stat -c %a key kms/master.sealed)"
[ -e kms/master.secret ] && bad "master secrets in clear"
want 2 "$KMS" status kms
has err 'sealed: expected --key-file'
echo wrong > short
want 2 "$KMS" status kms --key-file short
want 2 "$KMS" status kms --key-file nowhere
sed 's/[0-9a-f]$/x/' key > key.bad
want 2 "$KMS" status kms --key-file key.bad
tr 0-9a-f 1-9a-f0 < key | sed 's/^[^#0-9a-f].*//' | tail -1 > key.other
want 1 "$KMS" status kms --key-file key.other
has err 'wrong key'
cp -r kms hurt
sed -i '$s/^\(....\)./\1x/; $y/x0/01/' hurt/master.sealed
want 1 "$KMS" status hurt --key-file key
cp -r kms moved && rm hurt/master.sealed
sed -i 's/kms.test/kms.else/' moved/kms.conf
want 1 "$KMS" status moved --key-file key
has err changed
printf 'correct horse\n' > pass
want 0 "$KMS" init pkms --kms-uri kms.test --passphrase-file pass
want 0 "$KMS" status pkms --passphrase-file pass
has out 'sealed under a passphrase'
printf 'battery staple\n' > pass2
want 1 "$KMS" status pkms --passphrase-file pass2
printf 'short\n' > pass3
want 2 "$KMS" init p3 --kms-uri k --passphrase-file pass3
want 0 "$KMS" user add kms --key-file key $A $B sip:gone@mc.test
want 1 "$KMS" user add kms --key-file key $A
want 1 "$KMS" user revoke kms --key-file key sip:none@mc.test
want 2 "$KMS" user add kms --key-file key 'a b'
want 2 "$KMS" user frob kms --key-file key
want 0 "$KMS" user revoke kms --key-file key sip:gone@mc.test
want 0 "$KMS" user list kms --key-file key
has out "active $A"
has out 'revoked sip:gone@mc.test'
[ "$(stat -c %a kms/kms.sqlite)" = 600 ] || bad "permissions of the store"

# ---- the server ----------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || bad "no certificate"
T=$("$KMS" token kms --user $A)
TB=$("$KMS" token kms --user $B)
TG=$("$KMS" token kms --user sip:gone@mc.test)
TN=$("$KMS" token kms --user sip:none@mc.test)
TX=$("$KMS" token kms --user $A --lifetime 1)
for opt in '--listen x' '--listen 127.0.0.1:0 --tls-cert nowhere' \
    '--listen 127.0.0.1:0 --tls-cert tls.pem --tls-key tls.key' \
    '--listen 127.0.0.1:0 --tls-cert tls.pem --tls-key tls.key --jwks tls.pem' \
    '--listen a.b:1 --tls-cert tls.pem --tls-key tls.key --token-key kms/token.pub' \
    '--listen 127.0.0.1:0 --tls-cert tls.pem --tls-key kms/token.key --token-key kms/token.pub' \
    '--listen 127.0.0.1:0 --periods 3'; do
    # shellcheck disable=SC2086
    want 2 timeout 20 "$KMS" serve kms --key-file key $opt
done
start --timeout 2
began=$(date +%s)
# A client that is slow with its headers, one with its body, one that never
# begins TLS; looked at again further down.
slow() {
    {
        printf 'POST /keymanagement/identity/v1/init HTTP/1.1\r\n'
        printf '%s' "$1"
        n_=0
        while [ $n_ -lt 14 ] && sleep 1; do
            printf x || break
            n_=$((n_ + 1))
        done
    } 2> /dev/null | openssl s_client -connect 127.0.0.1:"$port" -quiet \
        > /dev/null 2>&1
    date +%s > "$2"
}
h_="Host: 127.0.0.1
Authorization: Bearer $T
Content-Length: 1000

"
slow 'X-Slow: ' slow1 & slow1=$!
slow "$(printf '%s' "$h_" | sed 's/$/\r/')
x" slow2 & slow2=$!

good init
has ans.xml '<KmsDomain>mc.test</KmsDomain>'
mkdir client
cp ans.xml client/kms.xml
good keyprov
no=$(field KeyPeriodNo)
cp ans.xml client/ada.xml
good keyprov/$AE
[ "$(field KeyPeriodNo)" = "$no" ] || bad "another period"
# What is issued passes every check of a client: it signs and opens.
want 0 "$MIKEY" build --keys client --from $A --to $A --kind csk --format raw
cp out csk
want 0 "$MIKEY" open --keys client --as $A csk
ntp() { # seconds after now: as 16 hexadecimal digits
    printf '%08X00000000' $((($(date +%s) + 2208988800 + $1) % 4294967296))
}
good keyprov/$AE/"$(ntp 0)"
[ "$(field KeyPeriodNo)" = "$no" ] || bad "another period than now"
good keyprov/$AE/"$(ntp 2592000)"
[ "$(field KeyPeriodNo)" = $((no + 1)) ] || bad "not the next period"
good keyprov/$AE/"$(ntp -2592000)"
[ "$(field KeyPeriodNo)" = $((no - 1)) ] || bad "not the one before"
good certcache
num=$(sed -n 's/.*CacheNum="\([0-9]*\)".*/\1/p' ans.xml)
good certcache/"$num"
grep -q '<KmsCertificate' ans.xml && bad "certificates again"
good certcache/1
has ans.xml '<KmsCertificate'
good cert/kms.test
has ans.xml '<KmsUri>kms.test</KmsUri>'

for u in "$AE" sip%3Ax%40mc.test 'sip%3Ax%40MC.test%3Btag'; do
    good lookup/$u
    has ans.xml '<KmsUri>kms.test</KmsUri>'
done
for u in sip%3Ax%40far.test sip%3Ax%40sub.mc.test sip%3Ax%40mc.test.evil \
    'sip%3Amc.test%40evil' tel%3A%2B1; do
    request "$U/lookup/$u"
    post "$T" "lookup/$u"
    refused 404 7
done

# ---- refused: resources --------------------------------------------------
for r in frob lookup lookup/a/b redirect 'init/x' 'keyprov/' 'certcache/x' \
    "keyprov/$AE/nonsense" "keyprov/$AE/d6b4323200000000" 'keyprov/%zz' \
    'keyprov/%00' "keyprov/$AE/$(ntp 0)/x" 'init?a=b' 'cert/kms.none' cert; do
    request "$U/$r"
    post "$T" "$r"
    case $r in
    cert/*) refused 404 7 ;;
    *) refused 404 6 ;;
    esac
done
request "$U/../v2/init"
post "$T" ../v2/init --path-as-is
refused 404 6
request "$U/init"
post "$T" init -X PUT
refused 405 0
grep -qi '^allow: POST' head || bad "405 without Allow"
status=$(curl -s -o ans.xml -w '%{http_code}' --cacert tls.pem "$U/init")
refused 405 0

# ---- refused: periods, users ---------------------------------------------
request "$U/keyprov/$AE/$(ntp 5184000)"
post "$T" keyprov/$AE/"$(ntp 5184000)"
refused 403 10
request "$U/keyprov/$AE/$(ntp -5184000)"
post "$T" keyprov/$AE/"$(ntp -5184000)"
refused 403 10
request "$U/keyprov/sip%3Abob%40mc.test"
post "$T" keyprov/sip%3Abob%40mc.test
refused 403 9
request "$U/keyprov" sip:gone@mc.test
post "$TG" keyprov
refused 403 8
request "$U/init" sip:gone@mc.test
post "$TG" init
refused 403 8
request "$U/keyprov" sip:none@mc.test
post "$TN" keyprov
refused 403 8

# ---- refused: requests ---------------------------------------------------
request "$U/init" $B
post "$T" init
refused 400 3
request "$U/init" $A kms.else
post "$T" init
refused 400 2
for t in 2026-01-01T00:00:00Z 2099-01-01T00:00:00Z; do
    request "$U/keyprov" $A kms.test $t
    post "$T" keyprov
    refused 400 4
done
request "$U/keyprov" $A kms.test now
post "$T" keyprov
refused 400 1
for u in "$U/keyprov" "https://other/keymanagement/identity/v1/init" \
    "http://127.0.0.1:$port/keymanagement/identity/v1/init" "$U/init/" init; do
    request "$u"
    post "$T" init
    refused 400 5
done
request "$U/init"
cp req.xml right.xml
for e in UserUri KmsUri Time ClientReqUrl; do
    sed "/<$e>/d" right.xml > req.xml
    post "$T" init
    refused 400 1
    sed "s,.*<$e>.*,&&," right.xml > req.xml
    post "$T" init
    refused 400 1
    sed "s,<$e>\(.*\)</$e>,<x:$e xmlns:x='urn:x'>\1</x:$e>," right.xml > req.xml
    post "$T" init
    refused 400 1
done
for x in garbage '<a/>' '<KmsRequest/>' '<a' '' '<a>&b;</a>'; do
    printf '%s' "$x" > req.xml
    post "$T" init
    refused 400 1
done
printf '<SignedKmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0"/>' > req.xml
post "$T" init
refused 400 11
{
    printf '<!DOCTYPE l [<!ENTITY a "lol">'
    for i in b c d e f g h; do
        p_=$(printf %s "$i" | tr b-h a-g)
        printf '<!ENTITY %s "&%s;&%s;&%s;&%s;&%s;&%s;&%s;&%s;">' $i $p_ $p_ $p_ \
            $p_ $p_ $p_ $p_ $p_
    done
    printf ']><KmsRequest>&h;</KmsRequest>'
} > req.xml
post "$T" init
refused 400 1
printf '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' > req.xml
cat right.xml >> req.xml
post "$T" init
refused 400 1
{ n=0; while [ $n -lt 100 ]; do printf '<a>'; n=$((n + 1)); done; } > req.xml
post "$T" init
refused 400 1
head -c 70000 /dev/zero | tr '\0' ' ' > req.xml
post "$T" init
refused 413 12
cp right.xml req.xml
type=text/plain
post "$T" init
refused 415 13
type='text/xml; charset=utf-8'
post "$T" init
type=application/xml
[ "$status" = 200 ] || bad "text/xml: $status"
# A gigabyte, with its size told and without: neither is read.
truncate -s 1G big
s_=$(date +%s)
status=$(curl -s -o ans.xml -w '%{http_code}' --cacert tls.pem --max-time 20 \
    -H "Authorization: Bearer $T" -X POST -T big "$U/init")
refused 413 12
curl -s -o ans.xml -w '%{size_upload}' --cacert tls.pem --max-time 20 \
    -H "Authorization: Bearer $T" -H 'Transfer-Encoding: chunked' -X POST \
    -T - "$U/init" < big > size
[ "$(cat size)" -lt 20000000 ] || bad "took $(cat size) octets"
[ $(($(date +%s) - s_)) -lt 15 ] || bad "a gigabyte took too long"
rm big

# ---- refused: tokens -----------------------------------------------------
cp right.xml req.xml
head_=$(printf '{"alg":"none"}' | b64url)
body_=$(printf %s "$T" | cut -d. -f2)
sig_=$(printf %s "$T" | cut -d. -f3)
hs_=$(printf '{"alg":"HS256"}' | b64url).$body_
hs_=$hs_.$(printf %s "$hs_" |
    openssl dgst -sha256 -hmac "$(cat kms/token.pub)" -binary | b64url)
"$KMS" init other --plain --kms-uri kms.test || bad "no other KMS"
TO=$("$KMS" token other --user $A)
TI=$("$KMS" token kms --user $A --issuer someone)
TA=$("$KMS" token kms --user $A --audience elsewhere)
TS=$("$KMS" token kms --user $A --scope openid)
for t in x "$head_.$body_." "$head_.$body_.$sig_" "$hs_" "$TO" "$TI" "$TA" \
    "$TS" "${T}x" "$body_.$body_.$sig_" \
    "$(printf %s "$T" | cut -d. -f1).$(printf %s "$TB" | cut -d. -f2).$sig_"; do
    post "$t" init
    refused 403 0
    grep -qi '^www-authenticate: Bearer' head || bad "no challenge"
done
status=$(curl -s -o ans.xml -w '%{http_code}' --cacert tls.pem \
    --data-binary @req.xml "$U/init")
refused 403 0
status=$(curl -s -o ans.xml -w '%{http_code}' --cacert tls.pem \
    -H 'Authorization: Basic QTpC' --data-binary @req.xml "$U/init")
refused 403 0
n=$(($(date +%s) - began))
[ $n -ge 8 ] || sleep $((8 - n))
post "$TX" init
refused 403 0
grep -qi 'error_description="expired"' head || bad "expired: $(cat head)"

# ---- TLS -----------------------------------------------------------------
openssl s_client -connect 127.0.0.1:"$port" -tls1_1 -cipher ALL:@SECLEVEL=0 \
    < /dev/null > out 2>&1 && bad "TLS 1.1 was taken"
curl -s -o /dev/null "http://127.0.0.1:$port/" && bad "HTTP without TLS"

# ---- slow clients: cut off, and nobody else had to wait ------------------
wait $slow1 $slow2
for f in slow1 slow2; do
    [ $(($(cat $f) - began)) -lt 14 ] ||
        bad "$f was let go after $(($(cat $f) - began)) s"
done

# ---- what changes while it runs ------------------------------------------
want 0 "$KMS" issue other --user $A --out foreign
sed -i 's/kms\.test/kms.far/
    s|</ParameterSet>|&<KmsDomainList><KmsDomain>far.test</KmsDomain></KmsDomainList>|' \
    foreign/kms-kms.test.xml
mkdir kms/external
cp foreign/kms-kms.test.xml kms/external/kms-kms.far.xml
echo junk > kms/external/kms-junk.xml
want 0 "$KMS" rotate kms --key-file key
has out "period $((no + 1)) on"
want 1 "$KMS" rotate kms --key-file key
want 2 "$KMS" rotate kms --key-file key --at 2020-01-01T00:00:00Z
sleep 2.5
good certcache/"$num"
has ans.xml '<KmsUri>kms.far</KmsUri>'
has ans.xml Role=\"External\"
has ans.xml '<ValidTo>'
has ans.xml '<ValidFrom>'
good cert/kms.far
good lookup/sip%3Ax%40FAR.test
[ "$(field KmsUri | tail -1)" = kms.far ] || bad "lookup: $(cat ans.xml)"
has ans.xml '<UserUri>sip:x@FAR.test</UserUri>'
good init
has ans.xml '<ValidTo>'
cmp -s "$dir/ans.xml" client/kms.xml && bad "init does not know of the end"
good keyprov/$AE/"$(ntp 2592000)"
good keyprov
want 0 "$KMS" user revoke kms --key-file key $A
request "$U/keyprov"
post "$T" keyprov
refused 403 8
want 0 "$KMS" user list kms --key-file key
has out "revoked $A"

# ---- two at once, and enrolment; the audit log ---------------------------
stop
start --enrol --name second
pids=
for i in 1 2 3 4 5 6 7 8; do
    (
        t_=$("$KMS" token kms --user "sip:u$i@mc.test")
        sed "s,<UserUri>.*</UserUri>,<UserUri>sip:u$i@mc.test</UserUri>,
            s,<ClientReqUrl>.*</ClientReqUrl>,<ClientReqUrl>$U/keyprov</ClientReqUrl>,
            s,<Time>.*</Time>,<Time>$(date -u +%FT%TZ)</Time>," right.xml > req.$i
        curl -s -o ans.$i -w '%{http_code}' --cacert tls.pem \
            -H "Authorization: Bearer $t_" --data-binary @req.$i \
            -H 'Content-Type: application/xml' "$U/keyprov" > status.$i
    ) &
    pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids
for i in 1 2 3 4 5 6 7 8; do
    [ "$(cat status.$i)" = 200 ] || bad "u$i: $(cat status.$i ans.$i)"
    cat ans.$i >> all.xml
done
request "$U/keyprov"
post "$T" keyprov
refused 403 8
stop
want 0 "$KMS" audit kms --key-file key
read -r _ n mac < out
[ "${#mac}" = 64 ] || bad "audit: $(cat out)"
want 0 "$KMS" audit kms --key-file key --json
[ "$(wc -l < out)" = "$n" ] || bad "audit has other than $n entries"
[ "$(grep -c '"what":"issue"' out)" = \
    "$(grep -c '</KmsKeySet>' all.xml)" ] || bad "issues in log and answers"
has out '"what":"rotate"'
has out 'second 127.0.0.1'
want 0 "$KMS" status kms --key-file key
has out "audit $n $mac"
for change in "UPDATE audit SET uri = 'sip:eve@mc.test' WHERE seq = 5" \
    'UPDATE audit SET unix_ms = unix_ms + 1 WHERE seq = 2' \
    'DELETE FROM audit WHERE seq = 4' \
    'UPDATE audit SET seq = seq + 100 WHERE seq = 1'; do
    rm -rf forged && cp -r kms forged
    sqlite3 forged/kms.sqlite "$change"
    want 1 "$KMS" audit forged --key-file key
    has err 'does not hold'
done
rm -rf forged && cp -r kms forged
# An issue: that a user is added the tables say as well.
sqlite3 forged/kms.sqlite "DELETE FROM audit WHERE seq = $n"
want 0 "$KMS" audit forged --key-file key
want 1 "$KMS" audit forged --key-file key --head "$mac"
has err 'cut off'
want 0 "$KMS" audit kms --key-file key --head "$mac"
want 2 "$KMS" audit kms --key-file key --head zz
rm -rf forged
echo junk > kms.junk
want 1 "$KMS" status kms --key-file key --store kms.junk

# ---- nothing secret anywhere ---------------------------------------------
for e in UserDecryptKey UserSigningKeySSK; do
    sed -n "s,.*<$e[^>]*>\([^<]*\)</$e>.*,\1,p" all.xml
done > secrets
[ "$(wc -l < secrets)" -ge 20 ] || bad "only $(wc -l < secrets) secrets"
# In hexadecimal of either case, and the first 16 octets behind the 04 raw.
while read -r s; do
    printf '%s\n' "$s" | cut -c 3-34 >> needles
    printf '\\x%s' "$(printf %s "$s" | cut -c 3-34 | sed 's/../&\\x/g;s/\\x$//')" \
        >> raw
    echo >> raw
done < secrets
printf '%s\n' "$T" "$TB" "$TX" | cut -d. -f3 >> needles
sed '/^#/d' key | cut -c 1-32 >> needles
if grep -raiFl -f needles kms serve.log serve.out; then
    bad "a secret in the places above"
fi
while read -r s; do
    LC_ALL=C grep -raqP "$s" kms serve.log && bad "a secret, raw"
done < raw
# The test can find one.
tail -1 secrets > found && grep -qaiFf needles found || bad "needles are blunt"
grep -q 'refused, 403' serve.log || bad "refusals are not logged"

[ $failed = 0 ] && echo "test_kms_serve: $done_ runs, as they should be"
[ $failed = 0 ]
