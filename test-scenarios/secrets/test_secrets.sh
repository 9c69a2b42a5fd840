#!/bin/bash
# test_secrets.sh -- the main job once, with keys over HTTPS; then a search for
# every secret of that run in logs, on disk, and in the memory of the four
# programs: none in what a core dump would hold, and none that was wiped
# anywhere.  Which secrets there were is learnt as a thief with the master
# secrets would: keys of users are issued again, captured messages opened.
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
mkdir "$W/thief"
want "KMS" mcx-kms init "$W/kms" --plain --kms-uri "$KMS" --domain mcx.test
want "users" mcx-kms user add "$W/kms" $PSI $ALICE $BOB
for who in pf=$PSI alice=$ALICE bob=$BOB; do
    (umask 077; mcx-kms token "$W/kms" --user "${who#*=}" >"$W/${who%%=*}.token")
    want "keys again" mcx-kms issue "$W/kms" --user "${who#*=}" --out "$W/thief/${who%%=*}"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$W/tls.key" -out "$W/tls.pem" -subj /CN=$KMS \
    -addext "subjectAltName=IP:$KMS_IP" 2>/dev/null
start kms mcx-kms serve "$W/kms" --listen "$KMS_IP:8443" --tls-cert "$W/tls.pem" \
    --tls-key "$W/tls.key" --token-key "$W/kms/token.pub"
want "KMS serves" bash -c 'for _ in $(seq 100); do grep -q " at " "$1" && exit 0; sleep 0.1; done; exit 1' - "$W/kms.out"
from_kms() {
    mkdir -m 700 "$W/cache-$1"
    printf '%s\n' "[kms]" "url = https://$KMS_IP:8443" "kms-uri = $KMS" "ca-file = $W/tls.pem" \
        "token-file = $W/$1.token" "cache = $W/cache-$1" "cache-key-file = $W/cache-$1.key"
}
conf pf "$PF_IP" "$PSI" "modules = kms csk-upload csk-download" "$(from_kms pf)"
for who in alice bob; do
    ip=${who^^}_IP id=${who^^}
    conf $who "${!ip}" "${!id}" "modules = kms keymgmt csk-upload csk-download srtp" "impu = ${!id}" \
        "proxy = sip:$PF_IP:5060;transport=udp" "rtp = ${!ip}:40000" "$(from_kms $who)"
done
start pf mcx-pf --config "$W/pf.conf"
start alice mcx-ua --config "$W/alice.conf"
start bob mcx-ua --config "$W/bob.conf"
for who in pf alice bob; do
    want "$who has keys" ctl $who wait identity 20
done
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
<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0" Version="1.1.0"><UserUri>$ALICE</UserUri><KmsUri>$KMS</KmsUri><Time>$REQ_TIME</Time><ClientReqUrl>$URL</ClientReqUrl></KmsRequest>
X
want "an answer to read" curl -sf --cacert "$W/tls.pem" -H "Authorization: Bearer $(cat "$W/alice.token")" \
    -H "Content-Type: application/xml" --data-binary "@$W/request.xml" -o "$W/answer.xml" $URL
sleep 0.3
kill -INT $TSHARK
wait $TSHARK 2>/dev/null

# ---- which secrets there were ------------------------------------------------
# element FILE NAME: the hexadecimal content, its first 128 digits.
element() { tr -d '\n' <"$1" | grep -o "<$2[^>]*>[0-9a-fA-F]*" | head -n 1 | sed 's/.*>//'; }
for who in pf alice bob; do
    echo "rsk-$who $(element "$W"/thief/$who/user-*.xml UserDecryptKey | cut -c3-130)"
done >"$W/needles"
echo "ssk-answer $(element "$W/answer.xml" UserSigningKeySSK)" >>"$W/needles"
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
    test "$(wc -l <"$W/needles")" -eq 11 -a "$(grep -cE ' [0-9a-fA-F]{32,}$' "$W/needles")" = "$(wc -l <"$W/needles")"
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
check "kms: no secret in its log" scan "$W/needles" file:"$W/kms.out" file:"$W/kms.err"
check "kms: none on disk but in master.secret, which --plain asked for" \
    scan "$W/needles" $(find "$W/kms" -type f ! -name master.secret -printf 'file:%p ')
check "that file would have been found" not scan "$W/needles" file:"$W/kms/master.secret"
table
[ "$FAILED" -eq 0 ]
