#!/bin/bash
# test_secrets.sh -- the main job once, with keys over HTTPS; then a search for
# every secret of that run in logs, on disk, and in the memory of the four
# programs: none in what a core dump would hold, and none that was wiped
# anywhere.  Key periods are short, so there are several; alice has transport
# keys, which change.  Which secrets there were is learnt as a thief with all
# the key files would: decryption keys of users are issued again for whatever
# the audit log says, signing keys, which are random, taken from the caches, and
# captured messages opened.  Every issue of the log is accounted for.
# Run by `make check`.
set -u
. "$SRCDIR/test-scenarios/lib.sh"
ALICE=sip:alice@mcx.test BOB=sip:bob@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2 BOB_IP=$NET.3 KMS_IP=$NET.5
SCAN=$SRCDIR/test-scenarios/secrets/scan.pl

# want TEXT COMMAND...: a step without which there is nothing to search.
want() {
    local text=$1
    shift
    "$@" >"$W/step.log" 2>&1 && return 0
    echo "FAILED: $text"
    cat "$W/step.log"
    tail -n 5 "$W"/*.err
    exit 1
}
scan() { perl "$SCAN" "$@"; }

# ---- what is searched can be found ------------------------------------------
echo "planted $(openssl rand -hex 32)" >"$W/planted"
PLANTED=$(cut -d' ' -f2 "$W/planted")
PLANT=$PLANTED sleep 60 &
PIDS+=($!)
sleep 0.2
check "a planted secret is found in memory" \
    bash -c 'out=$(perl "$1" "$2" dump:sleep:$3); [ $? -eq 1 ] && [[ $out == planted\ as\ digits* ]]' - "$SCAN" "$W/planted" "${PIDS[-1]}"
printf '%s' "xx$(printf '%s' "$PLANTED" | perl -ne 'print pack "H*", $_' | base64 -w0)" >"$W/plant.b64"
check "a planted secret is found in a file, as base64" not scan "$W/planted" "file:$W/plant.b64"
rm "$W/plant.b64"

# ---- the main job -----------------------------------------------------------
tshark -i lo -f "net $NET.0/24 and udp" -w "$W/wire.pcapng" -q >"$W/tshark.log" 2>&1 &
TSHARK=$!
PIDS+=($TSHARK)
mkdir "$W/thief" "$W/tap"
PERIOD=12
want "KMS" mcx-kms init "$W/kms" --plain --kms-uri "$KMS" --domain mcx.test --period $PERIOD
want "users" mcx-kms user add "$W/kms" $PSI $BOB
want "a user with transport keys" mcx-kms user add "$W/kms" --trk "$W/alice.trk" $ALICE
for who in pf=$PSI alice=$ALICE bob=$BOB; do
    (umask 077; mcx-kms token "$W/kms" --user "${who#*=}" >"$W/${who%%=*}.token")
    want "keys again" mcx-kms issue "$W/kms" --user "${who#*=}" --periods 12 --out "$W/thief/${who%%=*}"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$W/tls.key" -out "$W/tls.pem" -subj /CN=$KMS \
    -addext "subjectAltName=IP:$KMS_IP" 2>/dev/null
start kms mcx-kms serve "$W/kms" --listen "$KMS_IP:8443" --tls-cert "$W/tls.pem" \
    --tls-key "$W/tls.key" --token-key "$W/kms/token.pub" --fresh 60
want "KMS serves" bash -c 'for _ in $(seq 100); do grep -q " at " "$1" && exit 0; sleep 0.1; done; exit 1' - "$W/kms.out"
from_kms() {
    mkdir -m 700 "$W/cache-$1"
    printf '%s\n' "[kms]" "url = https://$KMS_IP:8443" "kms-uri = $KMS" "ca-file = $W/tls.pem" \
        "token-file = $W/$1.token" "cache = $W/cache-$1" "cache-key-file = $W/cache-$1.key"
}
conf pf "$PF_IP" "$PSI" "modules = kms csk-upload csk-download" "$(from_kms pf)"
for who in alice bob; do
    ip=${who^^}_IP id=${who^^} more=
    [ $who = alice ] && more=$(printf '%s\n' "security = wrapped" "transport-keys = $W/alice.trk")
    conf $who "${!ip}" "${!id}" "modules = kms keymgmt csk-upload csk-download srtp" "impu = ${!id}" \
        "proxy = sip:$PF_IP:5060;transport=udp" "rtp = ${!ip}:40000" "$(from_kms $who)" "${more:-#}"
done
# The thief keeps each state of the caches.
(
    while sleep 0.1; do
        for f in "$W"/cache-*/kms-0[123].sealed "$W"/cache-*/kms-28.sealed; do
            [ -s "$f" ] || continue
            who=${f#"$W"/cache-} who=${who%%/*}
            cp -n "$f" "$W/tap/$who-$(stat -c %i-%y "$f" | tr -c '0-9\n' -)" 2>/dev/null
        done
    done
) &
PIDS+=($!)
start pf mcx-pf --config "$W/pf.conf"
start alice mcx-ua --config "$W/alice.conf"
start bob mcx-ua --config "$W/bob.conf"
for who in pf alice bob; do
    want "$who has keys" ctl $who wait identity 20
done
mv "$W/alice.trk" "$W/thief/" # as the operator would, once it is taken in
want "new transport keys" mcx-kms user rekey "$W/kms" $ALICE
for who in alice bob; do
    ctl $who register >/dev/null
    want "$who registered" ctl $who wait registered 10 status=200
done
CSK1=$(value id "$(ctl pf wait bound 10 mc_id=$ALICE)")
perl -e 'print "RIFF", pack("V", 36 + 16000), "WAVEfmt ", pack("VvvVVvv", 16, 1, 1, 8000, 16000, 2, 16),
    "data", pack("V", 16000); print pack "v", ($_ * 2654435761 >> 8) & 0x3fff for 1 .. 8000' >"$W/noise.wav"
ctl alice call $BOB "$W/noise.wav" >/dev/null
PCK=$(value id "$(ctl bob wait call-key 10 kind=pck)")
want "speech" ctl alice wait media-sent 15
ctl alice hangup >/dev/null
want "PCK of alice wiped" ctl alice wait key-wiped 10 kind=pck id="$PCK"
want "PCK of bob wiped" ctl bob wait key-wiped 10 kind=pck id="$PCK"
ctl pf download $ALICE >/dev/null
CSK2=$(value id "$(ctl pf wait downloaded 10)")
want "CSK of alice wiped" ctl alice wait key-wiped 10 kind=csk id="$CSK1"
want "CSK wiped by pf" ctl pf wait key-wiped 10 kind=csk id="$CSK1"
# One more set of keys, for somebody whose answer the thief can read.
REQ_TIME=$(date -u +%Y-%m-%dT%H:%M:%SZ)
URL=https://$KMS_IP:8443/keymanagement/identity/v1/keyprov
cat >"$W/request.xml" <<X
<?xml version="1.0" encoding="UTF-8"?>
<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0" Version="1.1.0"><UserUri>$BOB</UserUri><KmsUri>$KMS</KmsUri><Time>$REQ_TIME</Time><ClientReqUrl>$URL</ClientReqUrl></KmsRequest>
X
want "an answer to read" curl -sf --cacert "$W/tls.pem" -H "Authorization: Bearer $(cat "$W/bob.token")" \
    -H "Content-Type: application/xml" --data-binary "@$W/request.xml" -o "$W/answer.xml" $URL
# issues: lines "user period" of the log, each as often as it was
issues() {
    mcx-kms audit "$W/kms" --json | sed -n 's/.*"what": *"issue".*"user": *"\([^"]*\)".*"period": *\([0-9]*\).*/\1 \2/p'
}
# Everybody has had keys of two periods, and alice those for her transport.
want "two periods, and a change of transport keys" bash -c '
    for _ in $(seq 300); do
        log=$(mcx-kms audit "$1" --json)
        n=$(sed -n "s/.*\"what\": *\"issue\".*\"user\": *\"\([^\"]*\)\".*\"period\": *\([0-9]*\).*/\1 \2/p" <<<"$log" |
            sort -u | cut -d" " -f1 | uniq -c | awk "\$1 >= 2" | wc -l)
        t=$(grep -c "\"what\": *\"user-keys\"" <<<"$log")
        [ "$n" -ge 3 ] && [ "$t" -ge 3 ] && exit 0
        sleep 0.1
    done
    echo "$log"
    exit 1' - "$W/kms"
sleep 0.5
kill -INT $TSHARK
wait $TSHARK 2>/dev/null

# ---- which secrets there were ------------------------------------------------
# element FILE NAME: the hexadecimal content, its first 128 digits.
element() { tr -d '\n' <"$1" | grep -o "<$2[^>]*>[0-9a-fA-F]*" | head -n 1 | sed 's/.*>//'; }
declare -A WHO=([$PSI]=pf [$ALICE]=alice [$BOB]=bob)
issues >"$W/issues"
while read -r user period; do
    who=${WHO[$user]}
    file=$(grep -l "<KeyPeriodNo>$period</KeyPeriodNo>" "$W"/thief/$who/user-*.xml)
    echo "rsk-$who-$period $(element "$file" UserDecryptKey | cut -c3-130)"
done <"$W/issues" | sort -u >"$W/needles"
for who in pf alice bob; do
    perl "$SRCDIR/test-scenarios/secrets/unseal.pl" "$W/cache-$who.key" "$W"/tap/$who-* >"$W/thief/$who.opened"
done
{
    cat "$W"/thief/*.opened "$W/answer.xml" | tr -d '\n' | grep -o '<UserSigningKeySSK[^>]*>[0-9a-fA-F]*' |
        sed 's/.*>/ssk /'
    # TrK and InK, those of before and those of after.
    cat "$W/thief/alice.trk" "$W/thief/alice.opened" | sed -nE 's/^(trk|ink) [^ ]+ ([0-9a-f]{64})$/\1 \2/p'
} | sort -u | awk '{ print $1 "-" ++n[$1], $2 }' >>"$W/needles"
# Audit key, 8 octets of a period, z_T, KSAK.
grep -oE '[0-9a-fA-F]{400,}' "$W/kms/master.secret" | awk '{
    print "audit " substr($1, 1, 64); print "z_T " substr($1, 81, 256); print "ksak " substr($1, 337, 64) }' >>"$W/needles"
# secret NAME WHO KEYS PEER FILTER: the key of the first message that passes.
secret() {
    local name=$1 as=$2 keys=$3 from=$4 filter=$5
    tshark -r "$W/wire.pcapng" -Y "$filter" -T fields -e udp.payload 2>/dev/null | head -n 1 |
        tr -d ':\n' | perl -ne 'print pack "H*", $_' >"$W/one.sip"
    mcx-mikey open --keys "$W/thief/$keys" --as "$as" --from "$from" --json --show-secrets --stored "$W/one.sip" |
        sed -n "s/.*\"key\": *\"\([0-9a-f]\{32\}\)\".*/$name \1/p" | head -n 1 >>"$W/needles"
}
secret csk-1-of-alice $PSI pf $ALICE "sip.Method == REGISTER && mikey && ip.src == $ALICE_IP"
secret csk-of-bob $PSI pf $BOB "sip.Method == REGISTER && mikey && ip.src == $BOB_IP"
secret pck $BOB bob $ALICE "sip.Method == INVITE && ip.dst == $BOB_IP"
secret csk-2-of-alice $ALICE alice $PSI "sip.Method == MESSAGE && ip.dst == $ALICE_IP"
NEEDLES=$(cut -d' ' -f1 "$W/needles" | tr '\n' ' ')
check "the secrets are known: $NEEDLES" \
    test "$(grep -cvE '^[rs]sk-' "$W/needles")" -eq 11 -a "$(grep -cE ' [0-9a-fA-F]{32,}$' "$W/needles")" = "$(wc -l <"$W/needles")"
check "a signing key for each of $(wc -l <"$W/issues") issues in the log" \
    test "$(grep -c '^ssk-' "$W/needles")" -eq "$(wc -l <"$W/issues")"
check "a decryption key for each user and period of it" \
    test "$(grep -c '^rsk-' "$W/needles")" -eq "$(sort -u "$W/issues" | wc -l)"
grep -E '^(csk-1-of-alice|pck) ' "$W/needles" >"$W/wiped"
check "two of them were wiped by now" test "$(wc -l <"$W/wiped")" = 2

# ---- the search -------------------------------------------------------------
for who in pf alice bob kms; do
    pid=PID_$who
    check "$who: no secret in what a core dump would hold" scan "$W/needles" dump:$who:${!pid}
done
for who in pf alice bob; do
    pid=PID_$who
    check "$who: no wiped key anywhere in memory" scan "$W/wiped" all:$who:${!pid}
    check "$who: no secret in its log and events" scan "$W/needles" file:"$W/$who.out" file:"$W/$who.err"
    check "$who: no secret in its cache" scan "$W/needles" $(find "$W/cache-$who" -type f -printf 'file:%p ')
done
sed -nE 's/^(trk|ink) [^ ]+ ([0-9a-f]{64})$/first-\1 \2/p' "$W/thief/alice.trk" >"$W/first"
check "alice: her first transport keys nowhere in memory" scan "$W/first" all:alice:$PID_alice
check "kms: no secret in its log" scan "$W/needles" file:"$W/kms.out" file:"$W/kms.err"
check "kms: none on disk but in master.secret, which --plain asked for" \
    scan "$W/needles" $(find "$W/kms" -type f ! -name master.secret -printf 'file:%p ')
check "that file would have been found" not scan "$W/needles" file:"$W/kms/master.secret"
table
[ "$FAILED" -eq 0 ]
