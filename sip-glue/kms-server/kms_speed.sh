#!/bin/sh
# kms_speed.sh -- what one user's keys cost a KMS, in CPU time of the server:
# the arithmetic alone, the same behind HTTPS on connections that stay, and
# behind a TLS handshake each.  `make kms-speed-run`; N=number of requests.
set -u
top=$(pwd)
KMS=$top/mcx-kms
N=${N:-400}
dir=$(mktemp -d "$top/kms_speed.XXXXXX") || exit 99
cd "$dir" || exit 99
trap 'kill "$server" 2> /dev/null; wait; rm -rf "$dir"' EXIT
"$KMS" init kms --kms-uri kms.test --plain || exit 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || exit 1
T=$("$KMS" token kms --user sip:ada@mc.test)
"$KMS" serve kms --listen 127.0.0.1:0 --tls-cert tls.pem --tls-key tls.key \
    --token-key kms/token.pub --enrol --fresh 3600 > out 2> log &
server=$!
while ! grep -qs " at " out; do sleep 0.1; done
U=https://127.0.0.1:$(sed 's/.*://' out)/keymanagement/identity/v1/keyprov
printf '<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0"><UserUri>sip:ada@mc.test</UserUri><KmsUri>kms.test</KmsUri><Time>%s</Time><ClientReqUrl>%s</ClientReqUrl></KmsRequest>' \
    "$(date -u +%FT%TZ)" "$U" > req.xml
n=0
while [ $n -lt "$N" ]; do
    [ $n -gt 0 ] && echo next
    printf 'url = "%s"\noutput = "/dev/null"\nwrite-out = "%%{http_code}\\n"\n' "$U"
    printf 'cacert = "tls.pem"\nheader = "Authorization: Bearer %s"\n' "$T"
    printf 'header = "Content-Type: application/xml"\ndata-binary = "@req.xml"\n'
    n=$((n + 1))
done > stay
sed 's/^url/header = "Connection: close"\nurl/' stay > fresh
cpu() { # of the server, in ticks
    awk '{ print $14 + $15 }' "/proc/$server/stat"
}
ticks=$(getconf CLK_TCK)
run() { # FILE WORDS
    a_=$(cpu)
    s_=$(date +%s%N)
    curl -s -Z --parallel-max 16 -K "$1" > codes 2> /dev/null
    e_=$(date +%s%N)
    b_=$(cpu)
    ok_=$(grep -cx 200 codes)
    [ "$ok_" = "$N" ] || echo "only $ok_ of $N answered"
    awk -v a="$a_" -v b="$b_" -v t="$ticks" -v n="$N" -v w="$2" -v c="$crypto" \
        -v ns=$((e_ - s_)) 'BEGIN {
        ms = (b - a) * 1000 / t / n
        printf "%-28s %8.2f ms CPU a user, %6.0f a second and core, " \
            "%3.0f %% of it the arithmetic (%.0f a second seen)\n", \
            w, ms, 1000 / ms, 100 * c / ms, n / (ns / 1e9) }'
}
crypto=$("$top/kms-speed")
awk -v c="$crypto" 'BEGIN {
    printf "%-28s %8.2f ms CPU a user, %6.0f a second and core\n", \
        "arithmetic alone", c, 1000 / c }'
run stay 'HTTPS, SQLite'
run fresh 'the same, a handshake each'
