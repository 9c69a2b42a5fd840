#!/bin/bash
# run.sh SCENARIO.scn -- runs one SIPp scenario against mcx-ua or mcx-pf.
#
# A scenario is a folder: description (prose), <name>.scn (bash: what happens),
# expect (what must and must not be in the logs).  Expect lines are
#   <who>::<extended regular expression>::YES|NO
# where who is a program's name (its events and its log) or "sipp" (messages on
# the wire).  The .scn runs once for each transport of TRANSPORTS (default: udp
# tcp), each time with fresh programs on a loopback network of its own.
set -u
scn=$1
case $scn in /*) ;; *) scn=$PWD/$scn ;; esac
[ -f "$scn" ] || scn=$SRCDIR/$1
dir=$(dirname "$scn")
. "$SRCDIR/test-scenarios/lib.sh"

ALICE=sip:alice@mcx.test ALICE_IMPU=sip:alice.ims@ims.test
BOB=sip:bob@mcx.test BOB_IMPU=sip:bob.ims@ims.test
MALLORY=sip:mallory@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2 BOB_IP=$NET.3 SIPP_IP=$NET.9
SIPP_DIR=$SRCDIR/test-scenarios/sipp

fail() {
    echo "FAILED ($T): $*"
    FAILED=$((FAILED + 1))
}
# want TEXT COMMAND...: a step that must work.
want() {
    local text=$1
    shift
    "$@" >"$W/step.log" 2>&1 || {
        fail "$text"
        sed 's/^/    /' "$W/step.log" | tail -n 5
    }
}

# Programs, each with the modules it needs and, as last words, more settings.
pf_up() {
    TRANSPORT=$T conf pf "$PF_IP" $PSI "modules = csk-upload csk-download" "$@"
    start pf mcx-pf --config "$W/pf.conf"
    want "pf starts" ctl pf wait ready 20
}
ua_up() {
    local name=$1 up=${1^^}
    local ip=${up}_IP impu=${up}_IMPU id=$up
    shift
    TRANSPORT=$T conf "$name" "${!ip}" "${!id}" \
        "modules = keymgmt csk-upload csk-download srtp" "impu = ${!impu}" \
        "proxy = sip:${PROXY:-$PF_IP:5060};transport=$T" "rtp = ${!ip}:40000" "$@"
    start "$name" mcx-ua --config "$W/$name.conf"
    want "$name starts" ctl "$name" wait ready 20
}

# lie FILE MALLORY-OPTIONS...: spoiled octets for SIPp.
lie() {
    local file=$1
    shift
    mallory --keys "$W/keys/thief" --psi $PSI --to $ALICE --self $MALLORY --emit "$file" "$@"
}

# sipp_uac TEMPLATE DEST [KEY=VALUE...]: one SIPp call; the template's @KEY@ are
# replaced.  Exit code is SIPp's.
sipp_uac() {
    local tpl=$1 dest=$2 kv xml port
    shift 2
    xml=$W/$(basename "$tpl" .xml).$RANDOM.xml
    cp "$SIPP_DIR/templates/$tpl" "$xml"
    for kv in "$@" PSI=$PSI TYPE=application/mikey HEADERS=Subject:call HEADERS2=Subject:call CONTACTPARAM= \
        "RURI=sip:[remote_ip]:[remote_port];transport=[transport]" \
        SERVICE="P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mcptt"; do
        # A Warning that is not expected takes its check out of the template.
        [ "$kv" = WARNING= ] && perl -0pi -e 's{<action>.*?</action>}{}s' "$xml"
        KV_NAME=${kv%%=*} KV_VALUE=${kv#*=} perl -pi -e '
            my $v = $ENV{KV_VALUE};
            $v =~ s/"/&quot;/g if $ENV{KV_NAME} eq "WARNING";
            $v =~ s/\@NL\@/\n/g;
            s/\@$ENV{KV_NAME}\@/$v/g' "$xml"
    done
    port=$((20000 + RANDOM % 20000))
    (cd "$W" && sipp -sf "$xml" -m "${CALLS:-1}" -r "$((10 * ${CALLS:-1}))" -i "$SIPP_IP" -p $port -t "${T:0:1}1" -nostdin \
        -timeout 25 -timeout_error -recv_timeout 24000 -trace_msg -message_file "$W/sipp.msg" \
        -message_overwrite false -trace_err -error_file "$W/sipp.errors" \
        -error_overwrite false "$dest:5060") >"$W/sipp.screen" 2>&1
}

# sipp_many TEMPLATE DEST N [KEY=VALUE...]: N of them within a tenth of a second.
sipp_many() {
    local tpl=$1 dest=$2 n=$3
    shift 3
    CALLS=$n sipp_uac "$tpl" "$dest" "$@"
}

# download LIE STATUS WARNING [MALLORY-OPTIONS]: a MESSAGE to alice with that lie.
download() {
    local l=$1 status=$2 warning=$3
    shift 3
    lie "$W/$l.mikey" --lie "$l" "$@"
    sipp_uac message.xml "$ALICE_IP" FILE="$W/$l.mikey" STATUS="$status" WARNING="$warning" ||
        fail "MESSAGE $l $*: not answered $status $warning"
}
W136='399 [^ ]+ "136 authentication of the MIKEY-SAKKE I_MESSAGE failed"'
keys_of() { ctl "$1" show keys --json | grep -v '^ok'; }
# unchanged NAME COMMAND...: the keys of NAME are the same before and after.
unchanged() {
    local who=$1 before rc
    shift
    before=$(keys_of "$who")
    "$@"
    rc=$?
    [ "$before" = "$(keys_of "$who")" ] || fail "keys of $who changed"
    return $rc
}
# mikey FROM TO KIND KEYS [OPTIONS] FILE: a good message.
mikey() {
    local from=$1 to=$2 kind=$3 keys=$4 file=${*: -1}
    set -- "${@:5:$(($# - 5))}"
    mcx-mikey build --keys "$W/keys/$keys" --from "$from" --to "$to" --kind "$kind" --format raw "$@" >"$file" ||
        fail "mcx-mikey build $kind"
}
offer_line() { # FROM TO KEYS [OPTIONS]: an a=key-mgmt line
    local from=$1 to=$2 keys=$3
    shift 3
    mcx-mikey build --keys "$W/keys/$keys" --from "$from" --to "$to" --kind pck --format sdp "$@" | tr -d '\r\n'
}

# other_kms DOMAIN...: certificate of a KMS other.test that claims the domains.
other_kms() {
    local a=() i
    for i in "$@"; do a+=(--domain "$i"); done
    mcx-kms init "$W/other-kms" --kms-uri other.test "${a[@]}" >"$W/kms.log" 2>&1 &&
        mcx-kms issue "$W/other-kms" --user sip:x@other.test --out "$W/other" >>"$W/kms.log" 2>&1 ||
        fail "other.test"
}

expectations() {
    local line who re yes found
    while IFS= read -r line; do
        case $line in '' | '#'*) continue ;; esac
        who=${line%%::*} yes=${line##*::}
        re=${line#*::} re=${re%::*}
        found=NO
        grep -aqE -- "$re" "$W/$who.out" "$W/$who.err" "$W/$who.msg" 2>/dev/null && found=YES
        [ "$found" = "$yes" ] || fail "expected $yes: $who :: $re"
    done <"$dir/expect"
}

# Programs must still be there at the end: one datagram must not end a process.
alive() {
    local v
    for v in pf alice bob; do
        local var=PID_$v
        [ -n "${!var:-}" ] || continue
        kill -0 "${!var}" 2>/dev/null || fail "$v has died: $(tail -n 3 "$W/$v.err")"
    done
}

TRANSPORTS=$(sed -n 's/^# TRANSPORTS: *//p' "$scn")
TOP=$W
T=set-up
W=$TOP PERIOD=${PERIOD:-} make_kms pf=$PSI alice=$ALICE bob=$BOB mallory=$MALLORY || {
    cat "$TOP/kms.log"
    exit 1
}
mkdir -p "$TOP/keys/thief" && cp "$TOP"/keys/pf/*.xml "$TOP/keys/thief/" && cp "$TOP"/keys/mallory/*.xml "$TOP/keys/thief/"
for T in ${TRANSPORTS:-udp tcp}; do
    W=$TOP/$T
    mkdir -p "$W" && cp -r "$TOP/keys" "$TOP/kms" "$W/"
    : >"$W/sipp.msg"
    PID_pf= PID_alice= PID_bob=
    . "$scn"
    alive
    for p in alice bob pf; do stop $p; done
    before=$FAILED
    expectations
    if [ "$FAILED" -gt 0 ]; then
        for f in pf alice bob; do
            [ -s "$W/$f.out" ] && { echo "--- $f.out"; tail -n 15 "$W/$f.out"; }
            [ -s "$W/$f.err" ] && { echo "--- $f.err"; tail -n 15 "$W/$f.err"; }
        done
        [ -s "$W/sipp.errors" ] && { echo "--- sipp"; tail -n 12 "$W/sipp.errors"; }
        break
    fi
    echo "passed ($T)"
done
W=$TOP
[ "$FAILED" -eq 0 ]
