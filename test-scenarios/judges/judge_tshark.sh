#!/bin/sh
# judge_tshark.sh -- tshark, which is not ours, dissects a message of each kind
# and must show what was sent: the list of payloads, T, RAND, the identities.
# The expected values come from the command line that built the message and,
# for RAND, from its octets.  Not with CS ID map type 2, which tshark does not
# consume.  A machine without tshark or perl skips this (77).
set -u
here=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}/test-scenarios/judges
BUILD=${BUILD:-.}
KMS=$BUILD/mcx-kms
MIKEY=$BUILD/mcx-mikey
A=sip:alice@mcx.test
B=sip:bob@mcx.test
AT=2026-03-01T08:00:00Z
if ! command -v tshark >/dev/null || ! command -v perl >/dev/null; then
    echo "SKIP: no tshark or no perl"
    exit 77
fi
dir=$(mktemp -d "$BUILD/judge-tshark.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
HOME=$dir
export HOME
n=0
bad=0

die() {
    echo "judge_tshark: $*" >&2
    exit 1
}
"$KMS" init "$dir/kms" --plain --kms-uri kms.mcx.test >/dev/null || die kms init
for u in $A $B; do
    "$KMS" issue "$dir/kms" --user $u --at $AT --out "$dir/keys" \
        >/dev/null || die issue $u
done
cp "$dir"/kms/*.xml "$dir/keys" 2>/dev/null
echo 00112233445566778899aabbccddeeff > "$dir/gmk"

# judge NAME TYPE PAYLOADS IDS BUILD-OPTIONS... : what tshark must show.
judge() {
    name=$1 type=$2 payloads=$3 ids=$4
    shift 4
    "$MIKEY" build --at $AT --format hex "$@" > "$dir/hex" ||
        die "$name: build"
    # RAND stands behind HDR (10 octets, or 19 with one SRTP-ID entry), T (10)
    # and its own two octets.
    skip=22
    [ "$type" = 0 ] && skip=31
    rand=$(cut -c $((skip * 2 + 1))-$((skip * 2 + 32)) "$dir/hex")
    perl "$here/pcap.pl" < "$dir/hex" > "$dir/pcap" || die pcap
    got=$(tshark -r "$dir/pcap" -d udp.port==2269,mikey -T fields \
        -E occurrence=a -E separator='|' -e mikey.type \
        -e mikey.next_payload -e mikey.t.ntp -e mikey.rand.data \
        -e mikey.id.data -e _ws.malformed 2>"$dir/err")
    want="$type|$payloads|Mar  1, 2026 08:00:00.000"
    case $got in
    "$want"*" UTC|$rand|$ids|") ;;
    *)
        echo "judge_tshark: $name" >&2
        echo " wanted $want... UTC|$rand|$ids|" >&2
        echo " got    $got" >&2
        cat "$dir/err" >&2
        bad=1
        ;;
    esac
    n=$((n + 1))
}

k="kms.mcx.test,kms.mcx.test"
for kind in gmk pck csk mkfc mscck musik; do
    judge $kind 26 5,11,14,14,14,14,26,4 "$A,$B,$k" \
        --keys "$dir/keys" --from $A --to $B --kind $kind
    judge "$kind to self" 26 5,11,14,14,14,14,26,21,4 "$A,$B,$k" \
        --keys "$dir/keys" --from $A --to $B --kind $kind --sakke-to-self
done
judge gsk 0 5,11,6,10,1,0 ABCD --kind gsk --psk-file "$dir/gmk" \
    --psk-id 41424344
judge "gsk, signed" 0 5,11,6,10,1,4 ABCD --kind gsk --psk-file "$dir/gmk" \
    --psk-id 41424344 --keys "$dir/keys" --from $A
echo "judge_tshark: $n messages"
exit $bad
