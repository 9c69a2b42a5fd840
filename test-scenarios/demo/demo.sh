#!/bin/bash
# demo.sh -- the main job on real traffic: a KMS over HTTPS whose key periods end
# every few seconds, a participating function, two softphones and a peer that
# lies, all on loopback, with a capture as witness.  Prints a call-flow ladder made from that capture and from the
# programs' events, then a table of what was checked.  Exit 1 if a check fails.
# Run by `make demo`; WAV=file sends the user's own speech, KEEP=1 keeps the
# working folder.
set -u
. "$SRCDIR/test-scenarios/lib.sh"

ALICE=sip:alice@mcx.test ALICE_IMPU=sip:alice.ims@ims.test
BOB=sip:bob@mcx.test BOB_IMPU=sip:bob.ims@ims.test
MALLORY=sip:mallory@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2 BOB_IP=$NET.3 MALLORY_IP=$NET.4 KMS_IP=$NET.5
PERIOD=20 # seconds; a boundary is crossed with a call up

step() { printf '== %s\n' "$*"; }
counter() {
    ctl "$1" show counters | awk -v c="$2" '$1 == c { n = $2 } END { print n + 0 }'
}

# ---- speech -----------------------------------------------------------------
step "speech"
if [ -n "${WAV:-}" ]; then
    sox "$WAV" -r 8000 -c 1 -b 16 -e signed-integer "$W/speech.wav" 2>"$W/sox.log" ||
        { cat "$W/sox.log"; exit 1; }
else
    espeak-ng -w "$W/espeak.wav" "Alice calls Bob. The key is in the offer, and nobody else can hear this." &&
        sox "$W/espeak.wav" -r 8000 -c 1 -b 16 -e signed-integer "$W/speech.wav" || exit 1
fi
SECONDS_OF_SPEECH=$(soxi -D "$W/speech.wav" | awk '{ print int($1) + 2 }')

# ---- capture ----------------------------------------------------------------
tshark -i lo -f "net $NET.0/24" -w "$W/demo.pcapng" -q >"$W/tshark.log" 2>&1 &
PIDS+=($!)
TSHARK=$!
for _ in $(seq 100); do
    [ -s "$W/demo.pcapng" ] && break
    sleep 0.1
done
sleep 0.5

# ---- 1. keys ----------------------------------------------------------------
step "a KMS that serves over HTTPS; key periods of $PERIOD seconds"
# Period 0 began at a second that puts a boundary a while after the calls begin.
NTP_1970=2208988800
OFFSET=$(((NTP_1970 + $(date +%s) + 16) % PERIOD))
period_no() { echo $((($1 + NTP_1970 - OFFSET) / PERIOD)); }
start_of() { echo $(($1 * PERIOD + OFFSET - NTP_1970)); }
rfc3339() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }
kms() { mcx-kms "$@" >>"$W/kms.log" 2>&1; }
offline() { kms issue "$W/kms" --user "$2" --at "$(rfc3339 "$(start_of "$3")")" --periods "$4" --out "$W/keys/$1"; }
mkdir -p "$W/keys"
check "a KMS is made, its master secrets sealed" \
    kms init "$W/kms" --kms-uri "$KMS" --period "$PERIOD" --offset "$OFFSET" --domain mcx.test ||
    { table; exit 1; }
kms user add "$W/kms" $PSI $ALICE $BOB
for who in pf=$PSI alice=$ALICE bob=$BOB; do
    (umask 077; mcx-kms token "$W/kms" --user "${who#*=}" >"$W/${who%%=*}.token")
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$W/tls.key" -out "$W/tls.pem" -subj /CN=$KMS \
    -addext "subjectAltName=IP:$KMS_IP" 2>"$W/openssl.log"
start kms mcx-kms serve "$W/kms" --listen "$KMS_IP:8443" --tls-cert "$W/tls.pem" \
    --tls-key "$W/tls.key" --token-key "$W/kms/token.pub"
for _ in $(seq 100); do
    grep -q ' at ' "$W/kms.out" && break
    sleep 0.1
done
check "mcx-kms serves on $KMS_IP:8443 with TLS" grep -q ' at ' "$W/kms.out"
# Mallory has key files, made offline.  In her strongest form she has stolen the
# function's as well, so that her lies are well signed and each later check is
# reached.
NOW=$(period_no "$(date +%s)")
check "key sets of six periods as files, for mallory and a thief" \
    bash -c "$(declare -f kms offline rfc3339 start_of); $(declare -p W PERIOD OFFSET NTP_1970)
        offline thief $PSI $NOW 6 && offline thief $MALLORY $NOW 6 && offline tampered $ALICE $NOW 2"
check "a key set whose RSK was altered is refused on load" \
    bash -c 'for f in "$1"/keys/tampered/user-*.xml; do
            perl -pi -e "s{(UserDecryptKey[^>]*>04.{20})(.)}{\$1.(\$2 eq q(0) ? 1 : 0)}e" "$f"
        done
        mcx-mikey build --keys "$1/keys/tampered" --from "$2" --to "$3" --kind csk >/dev/null
        [ $? -eq 2 ]' - "$W" "$ALICE" "$PSI"

# ---- 2. programs ------------------------------------------------------------
step "mcx-pf, and mcx-ua for alice and bob"
from_kms() { # NAME: the section of module kms
    printf '%s\n' "[kms]" "url = https://$KMS_IP:8443" "kms-uri = $KMS" "ca-file = $W/tls.pem" \
        "token-file = $W/$1.token" "cache = $W/cache-$1" "cache-key-file = $W/cache-$1.key"
}
mkdir -m 700 "$W/cache-pf" "$W/cache-alice" "$W/cache-bob"
conf pf "$PF_IP" "$PSI" "modules = kms csk-upload csk-download" "$(from_kms pf)"
conf alice "$ALICE_IP" "$ALICE" "modules = kms keymgmt csk-upload csk-download srtp" \
    "impu = $ALICE_IMPU" "proxy = sip:$PF_IP:5060;transport=udp" \
    "rtp = $ALICE_IP:40000" "record = $W/alice.wav" "$(from_kms alice)"
conf bob "$BOB_IP" "$BOB" "modules = kms keymgmt csk-upload csk-download srtp" \
    "impu = $BOB_IMPU" "proxy = sip:$PF_IP:5060;transport=udp" \
    "rtp = $BOB_IP:40000" "record = $W/bob.wav" "$(from_kms bob)"
start pf mcx-pf --config "$W/pf.conf"
start alice mcx-ua --config "$W/alice.conf"
start bob mcx-ua --config "$W/bob.conf"
for who in pf alice bob; do
    ctl $who wait ready 15 >/dev/null
    check "$who has key sets over HTTPS; they passed RFC 6507 5.1.2 and RFC 6508 6.1.2" \
        ctl $who wait identity 15 kms=$KMS
done

# ---- 3. CSK up --------------------------------------------------------------
step "registration with a CSK; the same by PUBLISH"
ctl alice register >/dev/null
check "alice: REGISTER with a CSK is answered 200" ctl alice wait registered 10 status=200
BOUND=$(ctl pf wait bound 10 mc_id=$ALICE)
CSK1=$(value id "$BOUND")
check "pf has bound {IMPU, MC ID, CSK, CSK-ID} of alice" \
    test "$(value impu "$BOUND")" = $ALICE_IMPU -a -n "$CSK1"
check "alice uses the CSK-ID that pf has bound" ctl alice wait key 5 kind=csk id="$CSK1" state=active
ctl bob register >/dev/null
check "bob: REGISTER with a CSK is answered 200" ctl bob wait registered 10 status=200
ctl pf wait bound 10 mc_id=$BOB >/dev/null
ctl bob publish >/dev/null
check "bob: PUBLISH (poc-settings) with a new CSK is answered 200" ctl bob wait published 10 status=200
BOUND=$(ctl pf wait bound 10 mc_id=$BOB)
check "pf has bound bob's second CSK" test "$(value impu "$BOUND")" = $BOB_IMPU

# ---- 4. private call --------------------------------------------------------
# The call begins a second and a half before the next key period.
OLD=$(period_no "$(($(date +%s) + 2))")
BOUNDARY=$(start_of $((OLD + 1)))
step "alice calls bob, and key period $OLD ends while they speak"
while [ "$(now_ms)" -lt $((BOUNDARY * 1000 - 1500)) ]; do
    sleep 0.05
done
BEGAN=$(now_ms)
ctl alice call $BOB "$W/speech.wav" >/dev/null
A_KEY=$(ctl alice wait call-key 10 kind=pck)
B_KEY=$(ctl bob wait call-key 10 kind=pck)
PCK=$(value id "$B_KEY")
check "bob verified the offer and opened the PCK" test -n "$PCK"
check "both ends of the call hold the same PCK-ID" test "$(value id "$A_KEY")" = "$PCK"
check "the call is up before the period ends" ctl alice wait call-up 10
UP=$(now_ms)
ctl bob wait call-up 10 >/dev/null
SENT=$(ctl alice wait media-sent $((SECONDS_OF_SPEECH + 10)))
while [ "$(now_ms)" -lt $((BOUNDARY * 1000 + 500)) ]; do
    sleep 0.05 # a very short WAV
done
sleep 0.5
ENDED=$(now_ms)
check "the call was up over the end of the key period" \
    test "$BEGAN" -lt "$UP" -a "$UP" -lt $((BOUNDARY * 1000)) -a "$ENDED" -gt $((BOUNDARY * 1000))
ctl alice hangup >/dev/null
check "the call ends with BYE" ctl bob wait call-down 10
GOT=$(ctl bob wait media-received 10)
check "bob received every packet: $(value packets "$GOT") of $(value packets "$SENT"), bad $(value bad "$GOT")" \
    test "$(value packets "$GOT")" -ge "$(value packets "$SENT")" -a "$(value bad "$GOT")" = 0
check "bob's recording equals the sent samples after the codec" \
    wavcmp "$W/speech.wav" "$W/bob.wav"
check "alice's PCK is wiped after the call" ctl alice wait key-wiped 8 kind=pck id="$PCK"
check "bob's PCK is wiped after the call" ctl bob wait key-wiped 8 kind=pck id="$PCK"

# ---- the next period ---------------------------------------------------------
step "alice calls bob again, with the keys of period $((OLD + 1))"
for who in pf alice bob; do
    check "$who has the keys of key period $((OLD + 1))" ctl $who wait identity 10 period=$((OLD + 1))
done
ctl alice call $BOB "$W/speech.wav" >/dev/null
PCK2=$(value id "$(ctl bob wait call-key 10 kind=pck)")
check "bob verified the second offer and opened another PCK" \
    test -n "$PCK2" -a "$PCK2" != "$PCK"
ctl bob wait call-up 10 >/dev/null
ctl alice wait call-up 10 >/dev/null
ctl alice hangup >/dev/null
check "the second call ends with BYE" ctl bob wait call-down 10
check "alice's second PCK is wiped" ctl alice wait key-wiped 8 kind=pck id="$PCK2"
for who in pf alice bob; do
    check "$who: no request to the KMS failed, no key set was refused" \
        test "$(counter $who kms.failed)/$(counter $who kms.refused)" = 0/0
done

# ---- 5. CSK down ------------------------------------------------------------
step "the function downloads a new CSK to alice"
ctl pf download $ALICE >/dev/null
DOWN=$(ctl pf wait downloaded 10)
CSK2=$(value id "$DOWN")
check "download answered 200" test "$(value status "$DOWN")" = 200
check "alice has switched to the new CSK-ID" ctl alice wait key 5 kind=csk id="$CSK2" state=active
check "pf has switched too" ctl pf wait bound 5 mc_id=$ALICE id="$CSK2"
check "it is a new key ID" test "$CSK1" != "$CSK2"
check "alice's old CSK is wiped" ctl alice wait key-wiped 10 kind=csk id="$CSK1"
check "pf's old CSK is wiped" ctl pf wait key-wiped 10 kind=csk id="$CSK1"

# ---- 6. lies ----------------------------------------------------------------
step "mallory lies"
keys_of_alice() { ctl alice show keys --json | grep -v '^ok'; }
BEFORE=$(keys_of_alice)
lie() {
    mallory --keys "$W/keys/thief" --psi $PSI --to $ALICE --self $MALLORY \
        --dest "$ALICE_IP:5060" --local "$MALLORY_IP" "$@"
}
refused() {
    printf '%s\n' "$1" | grep -qE \
        "^[^ ]+ 488 399 [^ ]+ \"136 authentication of the MIKEY-SAKKE I_MESSAGE failed\"$"
}
# Mallory's own keys suffice for the first ones; for the others she has the
# function's, so that only the named defect is wrong.
for l in idri-uri idri-uid signer idrr signature r-zero s-zero rs-zero s-order \
    tag-gmk tag-pck tag-mscck too-old too-new r-off-curve r-subgroup r-coordinate \
    hint trailing two-sign no-t; do
    ANSWER=$(lie --lie $l)
    WHAT=$(mallory --help | awk -v l=$l '$1 == l { $1 = ""; print substr($0, 2) }')
    check "refused with 488/136: $WHAT" refused "$ANSWER" || echo "$ANSWER"
done
for c in 1 3 9 10 25 120 300 500; do
    ANSWER=$(lie --lie none --cut $c)
    check "refused with 488/136: cut after $c octets" refused "$ANSWER"
done
check "alice's keys are what they were before all that" test "$BEFORE" = "$(keys_of_alice)"
check "without P-Asserted-Service the MESSAGE is left to the phone" \
    not refused "$(lie --lie hint --service '')"
LOGGED=$(grep -c 'refused, ' "$W/alice.err")
check "each refusal is one log line with reason, payload and offset ($LOGGED lines)" \
    test "$LOGGED" -eq 29
ANSWER=$(lie --lie none --repeat)
check "a replay of an accepted download is refused" refused "$(printf '%s\n' "$ANSWER" | grep '^replay')"

# ---- 7. the capture ---------------------------------------------------------
step "what the wire says"
sleep 1
kill -INT "$TSHARK"
wait "$TSHARK" 2>/dev/null
CAP=$W/demo.pcapng
fields() { tshark -r "$CAP" "$@" 2>/dev/null; }
check "tshark parses all SIP of the run" \
    test "$(fields -Y '_ws.malformed && sip && ip.src != '"$MALLORY_IP"' && ip.dst != '"$MALLORY_IP" | wc -l)" -eq 0
check "REGISTER carries multipart/mixed with application/mikey and mcptt-info" \
    test "$(fields -Y 'sip.Method == "REGISTER" && mime_multipart && mikey && media.type || sip.Method == "REGISTER" && mikey' | wc -l)" -ge 2
INVITE=$(fields -Y "sip.Method == INVITE && ip.src == $ALICE_IP && ip.dst == $PF_IP" -T fields -e frame.number | head -n 1)
RELAYED=$(fields -Y "sip.Method == INVITE && ip.src == $PF_IP && ip.dst == $BOB_IP" -T fields -e frame.number | head -n 1)
octets_of() { fields -Y "frame.number == $1" -T fields -e udp.payload | tr -d ': \n' | perl -ne 'print pack("H*", $_)'; }
LATER=$(fields -Y "sip.Method == INVITE && ip.src == $ALICE_IP && ip.dst == $PF_IP" -T fields -e frame.number | sed -n 2p)
octets_of "$INVITE" >"$W/invite.sip"
octets_of "$RELAYED" >"$W/relayed.sip"
sdp_of() { perl -0777 -ne 'print $1 if /(v=0\r?\n.*?)(?=\r?\n--|\z)/s' "$1" | tr -d '\r' | sed -e '$a\'; }
sdp_of "$W/invite.sip" >"$W/offer.sdp"
sdp_of "$W/relayed.sip" >"$W/relayed.sdp"
octets_of "$LATER" >"$W/later.sip"
sdp_of "$W/later.sip" >"$W/later.sdp"
# Bob's keys of one period each, from the same KMS but as files, tell under
# which period's identity an offer was encrypted.
opened_with() { # PERIOD OFFER: exit code of mcx-mikey open, 0 opened, 1 refused
    rm -rf "$W/keys/bob-$1"
    offline "bob-$1" $BOB "$1" 1 || return 9
    mcx-mikey open --keys "$W/keys/bob-$1" --as $BOB --stored --json "$2"
}
refused_with() { opened_with "$@"; [ $? -eq 1 ]; }
NEXT=$((OLD + 1))
check "the first offer opens with bob's keys of period $OLD" opened_with $OLD "$W/offer.sdp"
check "and is refused with those of period $NEXT" refused_with $NEXT "$W/offer.sdp"
check "the second offer opens with bob's keys of period $NEXT" opened_with $NEXT "$W/later.sdp"
check "and is refused with those of period $OLD" refused_with $OLD "$W/later.sdp"
check "the KMS is asked over TLS 1.2 or later, nothing of it in clear" \
    test "$(fields -d tcp.port==8443,tls -Y "tcp.port == 8443 && tls.handshake.type == 2" | wc -l)" -ge 3 \
    -a "$(fields -Y "tcp.port == 8443 && frame contains \"Kms\"" | wc -l)" -eq 0
check "the offer carries exactly one a=key-mgmt:mikey" \
    test "$(grep -c '^a=key-mgmt:mikey ' "$W/offer.sdp")" -eq 1
check "pf relays the SDP verbatim" cmp "$W/offer.sdp" "$W/relayed.sdp"
check "no answer carries key-mgmt" \
    test "$(fields -Y 'sip.Status-Code == 200 && sdp' -V | grep -c 'key-mgmt')" -eq 0
mcx-mikey inspect --json "$W/offer.sdp" >"$W/offer.json"
T_SHARK=$(fields -Y "frame.number == $INVITE" -T fields -e mikey.t.ntp | head -n 1)
PL_SHARK=$(fields -Y "frame.number == $INVITE" -T fields -e mikey.next_payload | head -n 1)
CSB_SHARK=$(fields -Y "frame.number == $INVITE" -T fields -e mikey.csb_id | head -n 1)
echo "tshark: T $T_SHARK, next payloads $PL_SHARK, CSB ID $CSB_SHARK" >"$W/tshark.mikey"
check "tshark sees the payload list that was sent (T RAND IDR x4 SAKKE SIGN)" \
    test "$PL_SHARK" = 5,11,14,14,14,14,26,4
check "tshark sees the CSB ID = PCK-ID" test "$((CSB_SHARK))" -eq "$((16#$PCK))"
T_OURS=$(grep -o '"T","name":"TS value"[^}]*' "$W/offer.json" | grep -oE '[0-9]{4}-[0-9-]+T[0-9:.]+Z' | head -n 1)
check "tshark sees the T that was sent ($T_OURS)" \
    bash -c '[ "$(date -u -d "$1" +%s)" = "$(date -u -d "${2% UTC}Z" +%s 2>/dev/null || date -u -d "$2" +%s)" ]' \
    - "$T_OURS" "$T_SHARK"
RTP="udp && udp.port == 40000 && !icmp"
N_RTP=$(fields -Y "$RTP && udp.length > 100" | wc -l)
fields -Y "$RTP" -T fields -e udp.payload | tr -d ':' >"$W/rtp.hex"
sox "$W/speech.wav" -t ul -r 8000 -c 1 - 2>/dev/null | od -An -v -tx1 | tr -d ' \n' >"$W/speech.hex"
# Windows of 32 octets of loud speech: none may stand in any packet.
check "RTP is unreadable: no window of the speech stands in $N_RTP packets" \
    bash -c '[ "$3" -gt 50 ] && perl -e "
        open F, q(<), \$ARGV[0]; \$s = <F>; open G, q(<), \$ARGV[1]; \$r = join q(), <G>;
        for (\$i = 0; \$i + 64 <= length \$s; \$i += 320) {
            \$w = substr \$s, \$i, 64; %d = (); \$d{\$_}++ for \$w =~ /../g;
            next if keys(%d) < 12; \$n++; exit 1 if index(\$r, \$w) >= 0;
        }
        exit(\$n > 20 ? 0 : 1)" "$1" "$2"' - "$W/speech.hex" "$W/rtp.hex" "$N_RTP"
check "every media packet ends in the MKI (PCK-ID of its call), 4 octets" \
    bash -c '! awk "length(\$0) > 200" "$1" | grep -Evq "($2|$3)\$" &&
        grep -q "$2\$" "$1"' - "$W/rtp.hex" "$PCK" "$PCK2"

# ---- ladder -----------------------------------------------------------------
{
    fields -Y "sip" -T fields -E separator='|' -e frame.time_epoch -e ip.src -e ip.dst \
        -e sip.Method -e sip.Status-Code -e sip.CSeq.method -e mikey.csb_id -e sdp.media |
        awk -F'|' -v pf="$PF_IP" -v a="$ALICE_IP" -v b="$BOB_IP" -v m="$MALLORY_IP" '
            BEGIN { n[pf] = "pf"; n[a] = "alice"; n[b] = "bob"; n[m] = "mallory" }
            $4 == "ACK" && $2 != $3 || 1 {
                what = $4 != "" ? $4 : $5 " " $6
                if ($7 != "") what = what " +mikey"
                print $1, "SIP", n[$2], n[$3], what
            }'
    for who in pf alice bob; do
        awk -v who=$who '
            function days(y, m, d) {
                if (m < 3) { y--; m += 12 }
                return 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) + d - 306
            }
            $2 == "event" && $3 ~ /^(identity|key|key-retired|key-wiped|bound|refused|call-key|call-up|downloaded)$/ {
                split($1, p, /[-T:Z]/)
                t = (days(p[1] + 0, p[2] + 0, p[3] + 0) - 719163) * 86400 + p[4] * 3600 + p[5] * 60 + p[6]
                text = $3
                for (i = 4; i <= NF; i++) {
                    if ($i ~ /^(kind|id|state|reason|payload|offset|status|packets|period)=/) {
                        v = $i; sub(/^[^=]*=/, "", v); if (v != $3) text = text " " v
                    }
                }
                if ($3 == "identity") {
                    sub(/^identity /, "", text)
                    printf "%.4f SIP kms %s keys of %s\n", t, who, text
                } else {
                    printf "%.4f EV %s %s\n", t + 0.0009, who, text
                }
            }' "$W/$who.out"
    done
} | sort -n >"$W/ladder.txt"
echo
awk -v names="kms alice pf bob mallory" -f "$SRCDIR/test-scenarios/demo/ladder.awk" "$W/ladder.txt"
table
[ -z "${DEMO_OUT:-}" ] || { mkdir -p "$DEMO_OUT" && cp "$CAP" "$W/speech.wav" "$W/bob.wav" "$DEMO_OUT/"; }
[ "$FAILED" -eq 0 ]
