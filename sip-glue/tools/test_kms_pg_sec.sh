#!/bin/sh
# test_kms_pg_sec.sh -- transport and integrity keys where two servers share a
# domain over one PostgreSQL: module kms in real hosts, security = wrapped, at
# either server; keys change while a server is killed with -9 before, and
# after, it took the new ones into use; and both servers take them into use at
# once.  The database's triggers say when, so nothing depends on luck.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
top=$(pwd)
KMS=$top/mcx-kms
bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | tail -1)
for tool_ in curl openssl "$bin/initdb" "$bin/psql" runuser; do
    command -v "$tool_" > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_pg_sec.XXXXXX") || exit 99
# A folder that user postgres can reach, with a name short enough for a socket.
pg=$(mktemp -d /tmp/mcx-pg.XXXXXX) || exit 99
cd "$dir" || exit 99
failed=0
one=
two=
uas=
D=sip:dan@mc.test
E=sip:eve@mc.test
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
    kill $one $two $uas 2> /dev/null
    wait
    as_pg "$bin/pg_ctl" -D "$pg/db" -m immediate stop > /dev/null 2>&1
    cd "$top" && { [ -n "${KEEP:-}" ] || rm -rf "$dir"; }
    rm -rf "$pg"
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
sql() {
    "$bin/psql" -h "$pg" -U postgres -qAtX -c "$1" postgres 2> sql.err ||
        bad "sql: $(cat sql.err)"
}
kms() { # COMMAND... over the shared store
    "$KMS" "$@" --key-file key --store "$STORE" > kms.out 2> kms.err ||
        bad "mcx-kms $*: $(cat kms.err)"
}

# A period began five minutes ago: nobody asks for the next one's keys.
"$KMS" init kms --kms-uri kms.test --key-file key --period 3600 \
    --offset $((($(date +%s) + 2208988800 - 300) % 3600)) --domain mc.test ||
    bad init
cp -r kms kms2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || bad 'no certificate'
for who in dan eve; do
    kms user add kms --trk $who.keys sip:$who@mc.test
    "$KMS" token kms --user sip:$who@mc.test > $who.token
done

# serve DIR NAME PORT: its process in $server, its port in port.NAME
serve() {
    rm -f "out.$2"
    "$KMS" serve "$1" --key-file key --store "$STORE" --name "$2" --fresh 60 \
        --listen "127.0.0.1:$3" --tls-cert tls.pem --tls-key tls.key \
        --token-key kms/token.pub --security wrapped > "out.$2" \
        2>> "log.$2" &
    server=$!
    n_=0
    while ! grep -qs ' at ' "out.$2" && [ $n_ -lt 200 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    sed 's/.*://' "out.$2" > "port.$2"
    [ -s "port.$2" ] || { bad "no server $2: $(cat "log.$2")"; exit 1; }
}
serve kms one 0; one=$server
serve kms2 two 0; two=$server

# begin UA USER SERVER: a host with module kms, its keys in cache-UA
begin() {
    mkdir -p "cache-$1"
    # It has no keys of this period, nor a certificate, any more.
    rm -f "cache-$1"/kms-0[0-3].sealed "control-$1"
    cat > "$1.conf" << X
identity = sip:$2@mc.test
proxy = sip:127.0.0.1:9
listen = sip:127.0.0.1:*;transport=udp
control = control-$1
modules = kms
module-dir = $top/.libs
[kms]
url = https://127.0.0.1:$(cat "port.$3")
kms-uri = kms.test
ca-file = tls.pem
token-file = $2.token
cache = cache-$1
cache-key-file = cache-$1.key
security = wrapped
answer-id = always
transport-keys = $2.keys
X
    "$top/mcx-ua" --config "$1.conf" > "$1.out" 2>> "$1.log" &
    ua=$!
    uas="$uas $ua"
}
counter() { # UA NAME
    "$top/mcx-ua" --connect "control-$1" show counters 2> /dev/null |
        awk -v c="$2" '$1 == c { print $2; f = 1 } END { if (!f) print 0 }'
}
# until_ TENTHS COMMAND...: true in so many tenths of a second
until_() {
    n_=$1
    shift
    while ! "$@"; do
        [ "$n_" -gt 0 ] || return 1
        n_=$((n_ - 1))
        sleep 0.1
    done
}
has_keys() { # UA
    grep -q 'event identity' "$1.out"
}
# finish_ua UA FAILURES: it gets its keys, after that many failures at most
finish_ua() {
    until_ 250 has_keys "$1" || bad "$1: no keys ($(tail -n 4 "$1.log"))"
    f_=$(counter "$1" kms.failed)
    [ "$f_" -le "$2" ] || bad "$1: $f_ failures ($(tail -n 4 "$1.log"))"
    kill "$ua" && wait "$ua"
}
# good UA USER SERVER: without a failure
good() {
    begin "$1" "$2" "$3"
    finish_ua "$1" 0
}
changes() { # USER: how often keys of its came into the store
    sql "SELECT count(*) FROM mcx_kms.audit WHERE what = 'user-keys' AND uri = 'sip:$1@mc.test'"
}
# hold WHAT USER: whoever logs that waits a second and a half in his transaction
hold() {
    sql "CREATE OR REPLACE FUNCTION wait_() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END';
CREATE OR REPLACE TRIGGER wait_ BEFORE INSERT ON mcx_kms.audit FOR EACH ROW WHEN (NEW.what = '$1' AND NEW.uri = 'sip:$2@mc.test') EXECUTE FUNCTION wait_()"
}
held() {
    [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" -gt 0 ]
}
let_go() {
    sql 'DROP TRIGGER wait_ ON mcx_kms.audit'
}

# ---- either server knows the keys --------------------------------------------
good dan dan one
good eve eve two
good dan dan two
good eve eve one
[ "$(changes dan) $(changes eve)" = '1 1' ] || bad 'keys that nobody changed'

# ---- killed before the new ones are in use ------------------------------------
# Made at one server; the client gets them there, with its certificate, and
# asks for its keys under them; there the server ends.
kms user rekey kms2 $D
hold user-keys dan
begin dan dan one
until_ 100 held || bad 'one: nobody waits'
kill -9 "$one"
wait "$one" 2> /dev/null
let_go
[ "$(changes dan)" = 2 ] || bad "half a change counts: $(changes dan)"
serve kms one "$(cat port.one)"; one=$server
kill "$ua" && wait "$ua" # and the client comes back from its disk
good dan dan one
[ "$(changes dan)" = 3 ] || bad "dan: $(changes dan) changes, not 3"

# ---- killed after it, before the answer ---------------------------------------
kms user rekey kms $E
hold issue eve
begin eve eve two
until_ 100 held || bad 'two: nobody waits'
[ "$(changes eve)" = 3 ] || bad 'the new keys of eve are not in use'
kill -9 "$two"
wait "$two" 2> /dev/null
let_go
serve kms2 two "$(cat port.two)"; two=$server
finish_ua eve 3
[ "$(changes eve)" = 3 ] || bad "eve: $(changes eve) changes, not 3"

# ---- at both at once -----------------------------------------------------------
# Two hosts of one user have the same keys; each server takes the new ones into
# use, and one of them finds that it was done.
cp -r cache-dan cache-twin
cp cache-dan.key cache-twin.key
kms user rekey kms $D
hold user-keys dan
begin dan dan one; first=$ua
begin twin dan two
until_ 100 held || bad 'both: nobody waits'
finish_ua twin 2
let_go
ua=$first
finish_ua dan 2
[ "$(changes dan)" = 5 ] || bad "both: $(changes dan) changes, not 5"

# ---- in the end -----------------------------------------------------------------
good dan dan two
good twin dan one
good eve eve one
good eve eve two
grep -q 'given up' dan.log eve.log twin.log && bad 'keys were given up'
# The first keys are none any more, at either server.
for s in one two; do
    begin thief dan $s
    until_ 100 sh -c "grep -q 'signed with a key' thief.log" ||
        bad "$s: old keys ($(cat thief.log))"
    has_keys thief && bad "$s: keys under old keys"
    kill "$ua" && wait "$ua"
    rm -rf cache-thief thief.log
done
kms audit kms
kms audit kms2
# Nothing of the keys lies in the database in clear.
"$bin/pg_dump" -h "$pg" -U postgres postgres > dump || bad 'no dump'
for hex in $(awk '{ print $3 }' dan.keys eve.keys); do
    grep -qi "$hex" dump log.* ./*.log && bad 'a key in clear'
done
grep -q mcx_kms.user_keys dump || bad 'that dump has no keys at all'
[ $failed = 0 ] && echo "test_kms_pg_sec: $(sql 'SELECT count(*) FROM mcx_kms.audit') entries, chain whole"
[ $failed = 0 ]
