#!/bin/sh
# test_kms_attack.sh -- mcx-kms serve under attack, over the wire and on its
# disk: requests that two readers read in two ways, paths and URIs in disguise,
# keys of tokens that are taken back, a crash in the middle, a full disk, a
# database that somebody edits, files put back with their old time, and an
# environment that asks for the keys of TLS.  What is refused changes nothing.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
top=$(pwd)
KMS=$top/mcx-kms
for tool_ in curl openssl sqlite3 xmllint; do
    command -v $tool_ > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_attack.XXXXXX") || exit 99
cd "$dir" || exit 99
failed=0
done_=0
server=
root=/keymanagement/identity/v1
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

want() { # STATUS COMMAND...
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
# Waits up to 5 s for a line in the log.
logged() {
    n_=0
    while ! grep -q -- "$1" serve.log && [ $n_ -lt 50 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    grep -q -- "$1" serve.log || bad "not in the log: $1"
}

tokens=kms/token.pub
# start [OPTION...]: the server; RUN is put before it.
start() {
    rm -f serve.out
    ${RUN:-} "$KMS" serve kms --listen 127.0.0.1:0 --tls-cert tls.pem \
        --tls-key tls.key --fresh 60 "$@" > serve.out 2>> serve.log &
    server=$!
    n_=0
    while ! grep -qs " at " serve.out && [ $n_ -lt 100 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    port=$(sed 's/.*://' serve.out)
    [ -n "$port" ] || { bad "no server: $(cat serve.log)"; exit 1; }
    U=https://127.0.0.1:$port$root
}
request() { # RESOURCE [USER]
    cat << X
<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0" Id="r" Version="1.1.0">
<UserUri>${2:-$A}</UserUri><KmsUri>kms.test</KmsUri>
<Time>$(date -u +%FT%TZ)</Time><ClientReqUrl>$U/$1</ClientReqUrl>
</KmsRequest>
X
}
post() { # TOKEN RESOURCE [USER]; answer in ./ans.xml, status in $status
    request "$2" "${3:-$A}" > req.xml
    : > ans.xml
    status=$(curl -s --path-as-is -o ans.xml -w '%{http_code}' --max-time 20 \
        --cacert tls.pem -H "Authorization: Bearer $1" \
        -H 'Content-Type: application/xml' --data-binary @req.xml "$U/$2")
    done_=$((done_ + 1))
    [ -s ans.xml ] && { xmllint --noout --nonet ans.xml 2> lint ||
        bad "$2: the answer is no XML: $(head -3 lint)"; }
    return 0
}
got() { # STATUS WHAT
    [ "$status" = "$1" ] || bad "$2: $status, not $1: $(head -c 300 ans.xml)"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || bad "no certificate"
want 0 "$KMS" init kms --kms-uri kms.test --domain mc.test
want 0 "$KMS" user add kms $A $B
T=$("$KMS" token kms --user $A)
TB=$("$KMS" token kms --user $B)

# ---- the keys of TLS stay where they are ---------------------------------
RUN="env SSLKEYLOGFILE=$dir/tls.log GNUTLS_DEBUG_LEVEL=20" start \
    --token-key $tokens
post "$T" init
got 200 init
[ -e tls.log ] && bad "the keys of TLS are in a file"
grep -qi secret serve.log && bad "the keys of TLS are in the log"
stop

# ---- requests that can be read in two ways -------------------------------
start --token-key $tokens
# two HEADER-LINES: a good request with these lines in its head and, behind
# it, another one that must not be read as such; the answer in raw.NUMBER.
mkdir raw
pids=
two() {
    done_=$((done_ + 1))
    printf '%s\n' "$1" > "raw/$done_.is"
    {
        printf 'POST %s/init HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n' $root "$port"
        printf 'Authorization: Bearer %s\r\n' "$T"
        # shellcheck disable=SC2059
        printf "$1"
        printf '\r\n'
        cat body
        printf 'DELETE /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
        sleep 0.5
    } | timeout 5 openssl s_client -quiet -connect 127.0.0.1:"$port" \
        > "raw/$done_" 2> /dev/null &
    pids="$pids $!"
}
request init > body
n_=$(wc -c < body)
l_="Content-Length: $n_\\r\\n"
two "$l_"
wait $pids
has raw/$done_ '200 OK'
has raw/$done_ '405'
rm raw/*
pids=
for h_ in "${l_}Transfer-Encoding : chunked\\r\\n" \
    "${l_}Transfer-Encoding\\t: chunked\\r\\n" \
    "${l_}Transfer-Encoding: chunked\\r\\n" \
    "${l_}Transfer-Encoding: \\013chunked\\r\\n" \
    "${l_}Transfer-Encoding: identity\\r\\n" \
    "${l_}X: a\\rTransfer-Encoding: chunked\\r\\n" \
    "${l_}X: a\\nTransfer-Encoding: chunked\\r\\n" \
    "Content-Length: $n_\\r\\n Transfer-Encoding: chunked\\r\\n" \
    "Content-Length: $n_\\r\\n 0\\r\\n" \
    "${l_}Content-Length: $n_\\r\\n" "${l_}Content-Length : 5\\r\\n" \
    "Content-Length : $n_\\r\\n" "Content-Length: +$n_\\r\\n" \
    "Content-Length: 0x$n_\\r\\n" "Content-Length: $n_, $n_\\r\\n" \
    "Content-Length:\\r\\n" "Content-Length: -1\\r\\n" \
    "${l_}Host: other\\r\\n" "${l_}X y: z\\r\\n" "${l_}X\\001: y\\r\\n" \
    "${l_}X: \\001\\r\\n" "${l_}Authorization: Bearer x\\r\\n" \
    "${l_}X-3GPP-Asserted-Identity: $B\\r\\n"; do
    two "$h_"
done
# shellcheck disable=SC2086
wait $pids
for f_ in raw/*.is; do
    h_=$(cat "$f_")
    a_=${f_%.is}
    grep -q '200 OK' "$a_" && bad "taken: $h_"
    grep -q '^HTTP/1.1 405' "$a_" && bad "the second request was read: $h_"
    grep -q '^HTTP/1.1 40[03]' "$a_" || bad "no refusal: $h_: $(cat "$a_")"
done

# ---- paths and users in disguise -----------------------------------------
for r_ in init/ init// /init ./init x/../init init%00 %69nit init%2f 'init?' \
    'init?a=b&a=c' INIT init%20 'cert/%ff' 'cert/%c0%af' 'cert/%ed%a0%80' \
    'cert/%ef%bf%bf' 'cert/%c2%85' 'lookup/sip%3A%ff%40mc.test' \
    'lookup/%f5%80%80%80' 'cert/a%0d%0aSet-Cookie:b' keyprov//x; do
    post "$T" "$r_"
    got 404 "$r_"
done
# Cut off within a character, or as a whole: it is XML, and it is refused.
e_=$(printf '%%C3%%A9%.0s' $(seq 1 255))
post "$T" "cert/$e_"
got 404 'a long name'
post "$T" "cert/a$e_"
got 404 'a long name'
post "$T" "cert/$e_$(printf 'x%.0s' $(seq 1 600))"
got 404 'too long a URL'
for u_ in SIP%3Aada%40mc.test sip%3Aada%40MC.TEST sip%3AADA%40mc.test \
    sips%3Aada%40mc.test sip%253Aada%2540mc.test sip%3Aada%40mc.test%3Bx \
    sip%3Aada%40mc.test. sip%3Aada%3Apw%40mc.test sip%3Abob%40mc.test \
    sip%3A%2561da%40mc.test sip%3Aada%40mc.test%2Fx; do
    post "$T" keyprov/$u_
    got 403 "keyprov/$u_"
    grep -q UserDecryptKey ans.xml && bad "keyprov/$u_: keys"
done
for u_ in SIP:ada@mc.test sip:ada@MC.test sip:%61da@mc.test $B \
    'sip:ada@mc.test/' '&#32;x' "$A<!-- x -->" "$A $B" "$A</UserUri><UserUri>$B"
do
    post "$T" keyprov "$u_"
    got 400 "UserUri $u_"
done
# Not one of them, but two users, when the issuer of tokens says so.
want 0 "$KMS" user add kms SIP:ada@mc.test
post "$("$KMS" token kms --user SIP:ada@mc.test)" keyprov SIP:ada@mc.test
got 200 'the other ada'
cp ans.xml other.xml
post "$T" keyprov
got 200 keyprov
[ "$(grep -o '<UserID>.*<' ans.xml)" != "$(grep -o '<UserID>.*<' other.xml)" ] ||
    bad "two users have one identifier"
want 0 "$KMS" user add kms "sip:a'b@mc.test" 'sip:a"b@mc.test' \
    'sip:a;DROP/**/TABLE/**/users@m' 'sip:\@mc.test' 'sip:ä@mc.test' \
    'sip:a&lt;b@mc.test'
for u_ in "sip:a'b@mc.test" 'sip:a"b@mc.test' 'sip:a;DROP/**/TABLE/**/users@m' \
    'sip:\@mc.test' 'sip:ä@mc.test' 'sip:a&lt;b@mc.test'; do
    t_=$("$KMS" token kms --user "$u_")
    post "$t_" keyprov "$(printf %s "$u_" | sed 's/&/\&amp;/g')"
    got 200 "$u_"
done
"$KMS" user list kms > list
[ "$(wc -l < list)" = 9 ] || bad "users: $(cat list)"
# A line that is too long is one line.
{ printf 'sip:%01500d' 0; echo; echo sip:short@mc.test; } |
    "$KMS" user add kms > /dev/null 2>&1
"$KMS" user list kms > list
has list 'active sip:short@mc.test'
[ "$(wc -l < list)" = 10 ] || bad "the tail of a line is a user: $(cat list)"

# ---- the key of an issuer is taken back ----------------------------------
cp kms/token.pub pub
stop
tokens=pub
start --token-key pub
post "$T" init
got 200 'before the key changed'
want 0 "$KMS" init other --kms-uri kms.test
TO=$("$KMS" token other --user $A)
post "$TO" init
got 403 'another issuer'
echo '-----BEGIN PUBLIC KEY-----' > half && mv half pub
logged 'stay as they were'
post "$T" init
got 200 'half a file'
cp other/token.pub new && touch -r kms/token.pub new && mv new pub
logged 'keys of tokens read again'
post "$T" init
got 403 'the key that was taken back'
post "$TO" init
got 200 'the new key'
cp kms/token.pub pub
n_=0
while post "$T" init && [ "$status" = 403 ] && [ $n_ -lt 30 ]; do
    sleep 0.1
    n_=$((n_ + 1))
done
got 200 'the first key again'

# ---- a certificate is taken back, with the time of its file kept ---------
"$KMS" init far --kms-uri kms.far --domain far.test &&
    "$KMS" issue far --user sip:x@far.test --out cards || bad "no other KMS"
mkdir kms/external
sed 's,</Issuer>,&,;s,<UserIdFormat>,<Revoked>true</Revoked>&,' \
    cards/kms-kms.far.xml > revoked.xml
cp cards/kms-kms.far.xml kms/external/
n_=0
while post "$T" cert/kms.far && [ "$status" != 200 ] && [ $n_ -lt 30 ]; do
    sleep 0.1
    n_=$((n_ + 1))
done
got 200 cert/kms.far
post "$T" certcache
num=$(sed -n 's/.*CacheNum="\([0-9]*\)".*/\1/p' ans.xml)
touch -d '2020-01-01' revoked.xml
cp -p revoked.xml kms/external/kms-kms.far.xml
n_=0
while post "$T" cert/kms.far && ! grep -q '<Revoked>true' ans.xml &&
    [ $n_ -lt 30 ]; do
    sleep 0.1
    n_=$((n_ + 1))
done
has ans.xml '<Revoked>true'
post "$T" certcache/"$num"
has ans.xml '<Revoked>true'

# ---- a user is revoked while many requests are under way -----------------
request keyprov $B > req.bob
pids=
for i in 1 2 3 4 5 6; do
    (
        for j in 1 2 3 4; do
            curl -s -o ans.$i.$j -w '%{http_code}\n' --max-time 20 --cacert \
                tls.pem -H "Authorization: Bearer $TB" --data-binary @req.bob \
                -H 'Content-Type: application/xml' "$U/keyprov"
        done
    ) > status.$i &
    pids="$pids $!"
done
sleep 0.15
want 0 "$KMS" user revoke kms $B
# shellcheck disable=SC2086
wait $pids
cat status.* | sort | uniq -c > counts
[ "$(grep -v -c -e 200 -e 403 counts)" = 0 ] || bad "statuses: $(cat counts)"
post "$TB" keyprov $B
got 403 'revoked'
"$KMS" audit kms --json > log.json || bad "the log does not hold"
sed -n "/\"user\":\"$B\"/{/user-revoke/,\$p}" log.json |
    grep -q '"what":"issue"' && bad "an issue after the revocation"
[ "$(grep -c "\"what\":\"issue\",\"user\":\"$B\"" log.json)" = \
    "$(cat status.* | grep -c 200)" ] || bad "issues of bob: $(cat counts)"

# ---- killed in the middle ------------------------------------------------
request keyprov > req.ada
for i in 1 2 3; do
    (
        j=0
        while [ $j -lt 40 ]; do
            curl -s -o ans.k$i.$j -w '%{http_code}\n' --max-time 5 --cacert \
                tls.pem -H "Authorization: Bearer $T" --data-binary @req.ada \
                -H 'Content-Type: application/xml' "$U/keyprov" || break
            j=$((j + 1))
        done
    ) > status.k$i 2> /dev/null &
    eval "pid$i=$!"
done
sleep 0.4
kill -9 "$server"
wait "$server" 2> /dev/null
server=
# shellcheck disable=SC2154
wait "$pid1" "$pid2" "$pid3"
want 0 "$KMS" audit kms --json
i=$(grep -c "\"what\":\"issue\",\"user\":\"$A\"" out)
j=$(($(cat status.k* | grep -c 200) + \
    $(grep -c "\"what\":\"issue\",\"user\":\"$A\"" log.json)))
[ "$i" -ge "$j" ] || bad "$j issues left, the log has $i"
start --token-key pub
post "$T" keyprov
got 200 'after the crash'
stop
sqlite3 kms/kms.sqlite 'PRAGMA wal_checkpoint(TRUNCATE)' > /dev/null

# ---- another file in place of the store, or none -------------------------
start --token-key pub
cp kms/kms.sqlite kept.sqlite
sqlite3 kms/kms.sqlite ".backup backup.sqlite"
mv backup.sqlite kms/kms.sqlite
for r_ in keyprov init; do
    post "$T" $r_
    got 503 "$r_, another store"
    grep -q UserDecryptKey ans.xml && bad "keys, in no log"
done
has serve.log 'replaced or removed'
rm kms/kms.sqlite
post "$T" keyprov
got 503 'no store'
stop
cp kept.sqlite kms/kms.sqlite
rm -f kms/kms.sqlite-*
want 0 "$KMS" audit kms
start --token-key pub
post "$T" keyprov
got 200 'the store again'
stop

# ---- the disk is full ----------------------------------------------------
cat > small << 'X'
#!/bin/sh
trap '' XFSZ
ulimit -f $1
shift
exec "$@"
X
chmod +x small
sqlite3 kms/kms.sqlite 'PRAGMA wal_checkpoint(TRUNCATE)' > /dev/null
size=$(stat -c %s kms/kms.sqlite)
"$KMS" audit kms --json > log.json || bad "the log does not hold"
RUN="./small $((size / 512 + 40))" start --token-key pub
ok=0
full=0
n_=0
while [ $n_ -lt 60 ] && [ $full -lt 3 ]; do
    post "$T" keyprov
    case $status in
    200) ok=$((ok + 1)) ;;
    503) full=$((full + 1)); grep -q UserDecryptKey ans.xml && bad "keys" ;;
    *) bad "disk full: $status" ;;
    esac
    n_=$((n_ + 1))
done
[ $full -gt 0 ] || bad "the disk was never full"
stop
want 0 "$KMS" audit kms --json
[ "$(wc -l < out)" = $(($(wc -l < log.json) + ok)) ] ||
    bad "$ok issues, log of $(wc -l < log.json) has now $(wc -l < out)"
start --token-key pub
post "$T" keyprov
got 200 'with room again'
stop

# ---- somebody edits the database -----------------------------------------
want 0 "$KMS" user keys kms --trk ada.trk $A
cp kms/kms.sqlite before.sqlite
sqlite3 kms/kms.sqlite 'PRAGMA wal_checkpoint(TRUNCATE)' > /dev/null
old=$(sqlite3 kms/kms.sqlite 'SELECT hex(sealed) FROM user_keys')
want 0 "$KMS" user rekey kms $A
want 0 "$KMS" status kms
head=$(sed -n 's/^audit [0-9]* //p' out)
sqlite3 kms/kms.sqlite 'PRAGMA wal_checkpoint(TRUNCATE)' > /dev/null
want 0 "$KMS" audit kms --head "$head"
forge() { # SQL...: does the audit see it?
    rm -rf forged && cp -r kms forged
    sqlite3 forged/kms.sqlite "$1" || bad "sqlite3: $1"
    want 1 "$KMS" audit forged --head "$head"
    has err 'does not hold'
}
forge "UPDATE users SET revoked_ms = NULL WHERE uri = '$B'"
forge "DELETE FROM users WHERE uri = '$B'"
forge "INSERT INTO users VALUES ('sip:eve@mc.test', 1, NULL)"
forge "UPDATE users SET revoked_ms = 1 WHERE uri = '$A'"
forge "UPDATE users SET uri = 'sip:eve@mc.test' WHERE uri = '$A'"
forge 'DELETE FROM user_keys'
forge 'UPDATE user_keys SET serial = serial - 1'
forge "DELETE FROM audit WHERE what = 'user-revoke'"
forge "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
forge 'DELETE FROM audit'
forge "INSERT INTO audit SELECT seq + 1, unix_ms, what, uri, period_no, detail,
    mac FROM audit ORDER BY seq DESC LIMIT 1"
forge "UPDATE audit SET detail = detail || ' ' WHERE seq = 3"
forge "UPDATE audit SET what = 'issue' WHERE what = 'user-revoke'"
forge 'UPDATE audit SET mac = zeroblob(32) WHERE seq = 2'
forge 'UPDATE audit SET period_no = period_no + 1 WHERE seq = 4'
cp before.sqlite forged/kms.sqlite
rm -f forged/kms.sqlite-*
want 1 "$KMS" audit forged --head "$head"
# Older keys of a user do not open under the newer number.
rm -rf forged && cp -r kms forged
sqlite3 forged/kms.sqlite "UPDATE user_keys SET sealed = X'$old'"
want 1 "$KMS" user rekey forged $A
want 0 "$KMS" audit kms --head "$head"

[ $failed = 0 ] && echo "test_kms_attack: $done_ attacks, as they should end"
[ $failed = 0 ]
