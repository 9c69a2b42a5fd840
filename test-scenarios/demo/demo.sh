#!/bin/bash
# demo.sh -- the main job on real SIP traffic: a KMS, a participating function,
# two softphones and a peer that lies, all on loopback, with a capture as
# witness.  Prints a call-flow ladder made from that capture and from the
# programs' events, then a table of what was checked.  Exit 1 if a check fails.
# Run by `make demo`; WAV=file sends the user's own speech, KEEP=1 keeps the
# working folder.
set -u
. "$SRCDIR/test-scenarios/lib.sh"

ALICE=sip:alice@mcx.test ALICE_IMPU=sip:alice.ims@ims.test
BOB=sip:bob@mcx.test BOB_IMPU=sip:bob.ims@ims.test
MALLORY=sip:mallory@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2 BOB_IP=$NET.3 MALLORY_IP=$NET.4

step() { printf '== %s\n' "$*"; }

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

# ---- 1. keys ----------------------------------------------------------------
step "a KMS, and key sets for the function, alice, bob and mallory"
check "KMS made; key sets issued for pf, alice, bob and mallory" \
    make_kms pf=$PSI alice=$ALICE bob=$BOB mallory=$MALLORY || { table; exit 1; }
# Mallory's strongest form: she has stolen the function's keys as well, so that
# her lies are well signed and each later check is reached.
mkdir -p "$W/keys/thief" && cp "$W"/keys/pf/*.xml "$W/keys/thief/" && cp "$W"/keys/mallory/*.xml "$W/keys/thief/"
check "a key set whose RSK was altered is refused on load" \
    bash -c 'mkdir -p "$1/keys/bad" && cp "$1"/keys/alice/*.xml "$1/keys/bad/" &&
        for f in "$1"/keys/bad/*.xml; do
            perl -pi -e "s{(UserDecryptKey[^>]*>04.{20})(.)}{\$1.(\$2 eq q(0) ? 1 : 0)}e" "$f"
        done
        mcx-mikey build --keys "$1/keys/bad" --from "$2" --to "$3" --kind csk >/dev/null
        [ $? -eq 2 ]' - "$W" "$ALICE" "$PSI"

# ---- capture ----------------------------------------------------------------
tshark -i lo -f "net $NET.0/24" -w "$W/demo.pcapng" -q >"$W/tshark.log" 2>&1 &
PIDS+=($!)
TSHARK=$!
for _ in $(seq 100); do
    [ -s "$W/demo.pcapng" ] && break
    sleep 0.1
done
sleep 0.5

# ---- 2. programs ------------------------------------------------------------
step "mcx-pf, and mcx-ua for alice and bob"
conf pf "$PF_IP" "$PSI" "modules = csk-upload csk-download"
conf alice "$ALICE_IP" "$ALICE" "modules = keymgmt csk-upload csk-download srtp" \
    "impu = $ALICE_IMPU" "proxy = sip:$PF_IP:5060;transport=udp" \
    "rtp = $ALICE_IP:40000" "record = $W/alice.wav"
conf bob "$BOB_IP" "$BOB" "modules = keymgmt csk-upload csk-download srtp" \
    "impu = $BOB_IMPU" "proxy = sip:$PF_IP:5060;transport=udp" \
    "rtp = $BOB_IP:40000" "record = $W/bob.wav"
start pf mcx-pf --config "$W/pf.conf"
start alice mcx-ua --config "$W/alice.conf"
start bob mcx-ua --config "$W/bob.conf"
for who in pf alice bob; do
    check "$who is ready: its key sets passed RFC 6507 5.1.2 and RFC 6508 6.1.2" \
        ctl $who wait ready 15
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
step "alice calls bob"
ctl alice call $BOB "$W/speech.wav" >/dev/null
A_KEY=$(ctl alice wait call-key 10 kind=pck)
B_KEY=$(ctl bob wait call-key 10 kind=pck)
PCK=$(value id "$B_KEY")
check "bob verified the offer and opened the PCK" test -n "$PCK"
check "both ends of the call hold the same PCK-ID" test "$(value id "$A_KEY")" = "$PCK"
check "the call is up" ctl alice wait call-up 10
ctl bob wait call-up 10 >/dev/null
SENT=$(ctl alice wait media-sent $((SECONDS_OF_SPEECH + 10)))
sleep 0.5
ctl alice hangup >/dev/null
check "the call ends with BYE" ctl bob wait call-down 10
GOT=$(ctl bob wait media-received 10)
check "bob received every packet: $(value packets "$GOT") of $(value packets "$SENT"), bad $(value bad "$GOT")" \
    test "$(value packets "$GOT")" -ge "$(value packets "$SENT")" -a "$(value bad "$GOT")" = 0
check "bob's recording equals the sent samples after the codec" \
    wavcmp "$W/speech.wav" "$W/bob.wav"
check "alice's PCK is wiped after the call" ctl alice wait key-wiped 8 kind=pck id="$PCK"
check "bob's PCK is wiped after the call" ctl bob wait key-wiped 8 kind=pck id="$PCK"

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
octets_of "$INVITE" >"$W/invite.sip"
octets_of "$RELAYED" >"$W/relayed.sip"
sdp_of() { perl -0777 -ne 'print $1 if /(v=0\r?\n.*?)(?=\r?\n--|\z)/s' "$1" | tr -d '\r' | sed -e '$a\'; }
sdp_of "$W/invite.sip" >"$W/offer.sdp"
sdp_of "$W/relayed.sip" >"$W/relayed.sdp"
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
check "every media packet ends in the MKI (PCK-ID), 4 octets" \
    bash -c '! awk "length(\$0) > 200" "$1" | grep -vq "$2\$"' - "$W/rtp.hex" "$PCK"

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
            $2 == "event" && $3 ~ /^(key|key-retired|key-wiped|bound|refused|call-key|call-up|downloaded)$/ {
                split($1, p, /[-T:Z]/)
                t = (days(p[1] + 0, p[2] + 0, p[3] + 0) - 719163) * 86400 + p[4] * 3600 + p[5] * 60 + p[6]
                text = $3
                for (i = 4; i <= NF; i++) {
                    if ($i ~ /^(kind|id|state|reason|payload|offset|status|packets)=/) {
                        v = $i; sub(/^[^=]*=/, "", v); if (v != $3) text = text " " v
                    }
                }
                printf "%.4f EV %s %s\n", t + 0.0009, who, text
            }' "$W/$who.out"
    done
} | sort -n >"$W/ladder.txt"
echo
awk -v names="alice pf bob mallory" -f "$SRCDIR/test-scenarios/demo/ladder.awk" "$W/ladder.txt"
table
[ -z "${DEMO_OUT:-}" ] || { mkdir -p "$DEMO_OUT" && cp "$CAP" "$W/speech.wav" "$W/bob.wav" "$DEMO_OUT/"; }
[ "$FAILED" -eq 0 ]
