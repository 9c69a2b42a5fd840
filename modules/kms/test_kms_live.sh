#!/bin/sh
# test_kms_live.sh -- module kms in a real host against `mcx-kms serve`: keys
# over HTTPS across key periods of ten seconds, without a failure; nothing in
# clear on the client's disk; after a restart nothing is asked for.
# Run by `make check` in the build folder.
set -u
top=$(pwd)
dir=$(mktemp -d "$top/test_kms_live.XXXXXX") || exit 99
cd "$dir" || exit 99
server=
ua=
finish() {
    [ -n "$ua" ] && kill "$ua" 2> /dev/null
    [ -n "$server" ] && kill "$server" 2> /dev/null
    cd "$top" && rm -rf "$dir"
}
trap finish EXIT
fail() {
    echo "FAIL: $*"
    cat ua.log serve.log 2> /dev/null | tail -n 30
    exit 1
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || fail "openssl"
openssl rand -hex 32 > key
"$top/mcx-kms" init kms --kms-uri kms.test --key-file key --period 10 \
    --domain mc.test > /dev/null || fail "init"
"$top/mcx-kms" user add kms --key-file key sip:ada@mc.test > /dev/null ||
    fail "user add"
"$top/mcx-kms" token kms --user sip:ada@mc.test > token || fail "token"
"$top/mcx-kms" serve kms --key-file key --listen 127.0.0.1:0 --fresh 60 \
    --tls-cert tls.pem --tls-key tls.key --token-key kms/token.pub \
    > serve.out 2> serve.log &
server=$!
n=0
while ! grep -q ' at ' serve.out && [ $n -lt 200 ]; do
    sleep 0.1
    n=$((n + 1))
done
port=$(sed 's/.*://' serve.out)
[ -n "$port" ] || fail "no server"

mkdir cache
cat > ada.conf << X
identity = sip:ada@mc.test
proxy = sip:127.0.0.1:9
listen = sip:127.0.0.1:*;transport=udp
control = control
modules = kms
module-dir = $top/.libs
[kms]
url = https://127.0.0.1:$port
kms-uri = kms.test
ca-file = tls.pem
token-file = token
cache = cache
cache-key-file = cache.key
X
counter() {
    "$top/mcx-ua" --connect control show counters 2> /dev/null |
        awk -v c="$1" '$1 == c { print $2; f = 1 } END { if (!f) print 0 }'
}
run() {
    rm -f control
    "$top/mcx-ua" --config ada.conf > ua.out 2> ua.log &
    ua=$!
    n=0
    while [ ! -S control ] && [ $n -lt 100 ]; do
        sleep 0.1
        n=$((n + 1))
    done
    [ -S control ] || fail "no client"
}

# Initialize, the first keys, and those of two more periods.
run
n=0
while [ "$(counter kms.requests)" -lt 4 ] && [ $n -lt 60 ]; do
    sleep 1
    n=$((n + 1))
done
[ "$(counter kms.requests)" -ge 4 ] || fail "requests: $(counter kms.requests)"
[ "$(counter kms.failed)" = 0 ] || fail "failed: $(counter kms.failed)"
grep -Eq 'event identity uri=sip:ada@mc.test kms=kms.test period=[0-9]+$' \
    ua.out || fail "no event line"
kill "$ua"
wait "$ua"
ua=
grep -rqF -e UserDecryptKey -e KmsKeySet cache && fail "keys in clear"
ls cache/kms-00.sealed > /dev/null || fail "no cache"
[ "$(find cache cache.key -type f ! -perm 600)" = '' ] || fail "modes"

# The certificate is not asked for again.
asked=$(grep -c 'init for' serve.log)
run
sleep 2
[ "$(grep -c 'init for' serve.log)" = "$asked" ] || fail "asked again"
[ "$(counter kms.failed)" = 0 ] || fail "failed after the restart"
echo "ok: keys of three periods, $asked Initialize"
