#!/bin/sh
# test_kms_pg.sh -- two servers of one domain over one PostgreSQL, which this
# test starts for itself on a socket of its own: they share users, periods and
# the audit log, and one that is killed in the middle loses nothing.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
top=$(pwd)
KMS=$top/mcx-kms
bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | tail -1)
for tool_ in curl openssl "$bin/initdb" runuser; do
    command -v "$tool_" > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_pg.XXXXXX") || exit 99
# A folder that user postgres can reach, with a name short enough for a socket.
pg=$(mktemp -d /tmp/mcx-pg.XXXXXX) || exit 99
cd "$dir" || exit 99
failed=0
one=
two=
storm=
bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}
as_pg() { # initdb refuses root
    if [ "$(id -u)" = 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}
finish() {
    # shellcheck disable=SC2086
    kill $one $two $storm 2> /dev/null
    wait
    as_pg "$bin/pg_ctl" -D "$pg/db" -m immediate stop > /dev/null 2>&1
    rm -rf "$dir" "$pg"
}
trap finish EXIT
if [ "$(id -u)" = 0 ]; then
    chown postgres "$pg"
fi
as_pg "$bin/initdb" -D "$pg/db" -A trust -U postgres --no-sync > initdb.log 2>&1 ||
    { cat initdb.log; exit 1; }
as_pg "$bin/pg_ctl" -D "$pg/db" -w -l "$pg/log" \
    -o "-c listen_addresses='' -k $pg -c shared_buffers=16MB" start > pg.log 2>&1 ||
    { cat pg.log "$pg/log"; exit 1; }
STORE="postgresql:///postgres?host=$pg&user=postgres"

kms() { # COMMAND... over the shared store
    "$KMS" "$@" --key-file key --store "$STORE"
}
"$KMS" init kms --kms-uri kms.test --key-file key || bad init
cp -r kms kms2
kms user add kms sip:ada@mc.test sip:bob@mc.test || bad 'user add'
kms user add kms2 sip:ada@mc.test 2> /dev/null && bad 'added twice'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || bad 'no certificate'
T=$("$KMS" token kms --user sip:ada@mc.test)
serve() { # DIR NAME
    rm -f "out.$2"
    "$KMS" serve "$1" --key-file key --store "$STORE" --name "$2" --fresh 60 \
        --listen 127.0.0.1:0 --tls-cert tls.pem --tls-key tls.key --enrol \
        --token-key kms/token.pub > "out.$2" 2>> "log.$2" &
}
url() { # NAME
    n_=0
    while ! grep -qs ' at ' "out.$1" && [ $n_ -lt 200 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    echo "https://127.0.0.1:$(sed 's/.*://' "out.$1")/keymanagement/identity/v1"
}
ask() { # URL TOKEN USER: prints the status
    printf '<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0"><UserUri>%s</UserUri><KmsUri>kms.test</KmsUri><Time>%s</Time><ClientReqUrl>%s</ClientReqUrl></KmsRequest>' \
        "$3" "$(date -u +%FT%TZ)" "$1/keyprov" |
        curl -s -o /dev/null -w '%{http_code}\n' --max-time 20 --cacert tls.pem \
            -H "Authorization: Bearer $2" -H 'Content-Type: application/xml' \
            --data-binary @- "$1/keyprov"
}
serve kms one; one=$!
serve kms2 two; two=$!
u1=$(url one)
u2=$(url two)
[ "$(ask "$u1" "$T" sip:ada@mc.test)" = 200 ] || bad "one: $(cat log.one)"
[ "$(ask "$u2" "$T" sip:ada@mc.test)" = 200 ] || bad "two: $(cat log.two)"

# Many at once at both, and one is killed on the way.
storm() { # N URL
    i_=0
    while [ $i_ -lt 12 ]; do
        user_=sip:u$1-$i_@mc.test
        ask "$2" "$("$KMS" token kms --user "$user_")" "$user_"
        i_=$((i_ + 1))
    done > "storm.$1" 2> /dev/null
}
for n in 1 2 3; do
    storm $n "$u1" &
    storm="$storm $!"
done
for n in 4 5 6; do
    storm $n "$u2" &
    storm="$storm $!"
done
n=0
while [ "$(cat storm.1 storm.2 storm.3 | wc -l)" -lt 6 ] && [ $n -lt 200 ]; do
    sleep 0.05
    n=$((n + 1))
done
kill -9 "$one"
# shellcheck disable=SC2086
wait $storm
storm=
got=$(cat storm.* | grep -cx 200)
dead=$(cat storm.1 storm.2 storm.3 | grep -cvx 200)
[ "$dead" -gt 0 ] || bad 'nobody was cut off: killed too late'
[ "$(cat storm.4 storm.5 storm.6 | grep -cx 200)" = 36 ] ||
    bad "the other server: $(cat storm.4 storm.5 storm.6 | sort | uniq -c) $(tail -3 log.two)"
kms audit kms2 --json > audit 2> err || bad "audit: $(cat err)"
issues=$(grep -c '"what":"issue"' audit)
# Whoever has keys is in the log; the log may have who was cut off (6 at most).
[ "$issues" -ge $((got + 2)) ] && [ "$issues" -le $((got + 8)) ] ||
    bad "$got answers, $issues issues"
grep -q '"detail":"one ' audit && grep -q '"detail":"two ' audit ||
    bad 'the log does not name both'
# It comes back to what there is; a revocation holds everywhere.
serve kms one; one=$!
u1=$(url one)
kms user revoke kms2 sip:ada@mc.test || bad revoke
[ "$(ask "$u1" "$T" sip:ada@mc.test)" = 403 ] || bad 'one: revoked, and served'
[ "$(ask "$u2" "$T" sip:ada@mc.test)" = 403 ] || bad 'two: revoked, and served'

# The database goes away and comes back.
as_pg "$bin/pg_ctl" -D "$pg/db" -m fast stop > /dev/null 2>&1
B=$("$KMS" token kms --user sip:bob@mc.test)
[ "$(ask "$u2" "$B" sip:bob@mc.test)" = 503 ] || bad 'no database, and no 503'
as_pg "$bin/pg_ctl" -D "$pg/db" -w -l "$pg/log" \
    -o "-c listen_addresses='' -k $pg -c shared_buffers=16MB" start > pg.log 2>&1
[ "$(ask "$u2" "$B" sip:bob@mc.test)" = 200 ] ||
    bad "not after the database came back: $(tail -3 log.two)"
kms audit kms > out 2> err || bad "audit at the end: $(cat err)"
kms status kms2 > out 2> err || bad "status: $(cat err)"
grep -q '^revoked 1$' out || bad "status: $(cat out)"
# Who may write to the database cannot undo a revocation unseen.
for change in "UPDATE mcx_kms.users SET revoked_ms = NULL" \
    "INSERT INTO mcx_kms.users VALUES ('sip:eve@mc.test', 1, NULL)" \
    "INSERT INTO mcx_kms.user_keys VALUES ('sip:bob@mc.test', 1, 'x')"; do
    as_pg "$bin/psql" -q -h "$pg" -d postgres -c 'BEGIN' -c "CREATE TABLE
        IF NOT EXISTS u AS SELECT * FROM mcx_kms.users" -c "$change" \
        -c COMMIT > /dev/null 2> err || bad "psql: $(cat err)"
    kms audit kms > out 2> err && bad "audit did not see: $change"
    grep -q 'what no entry says' err || bad "audit: $(cat err)"
    as_pg "$bin/psql" -q -h "$pg" -d postgres -c "DELETE FROM mcx_kms.users" \
        -c "INSERT INTO mcx_kms.users SELECT * FROM u" \
        -c "DELETE FROM mcx_kms.user_keys" > /dev/null 2> err ||
        bad "psql: $(cat err)"
done
kms audit kms > out 2> err || bad "audit after all: $(cat err)"
"$KMS" status kms --key-file key --store "postgresql:///none?host=$pg&password=verysecret&user=postgres" 2> err &&
    bad 'a database that is not there'
grep -q verysecret err && bad 'a password in a message'

[ $failed = 0 ] && echo "test_kms_pg: $got answers, $dead cut off, chain whole"
[ $failed = 0 ]
