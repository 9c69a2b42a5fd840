#!/bin/bash
# soak.sh [N] -- N registrations with a fresh CSK and N key downloads (default
# 2,000 each); file descriptors and memory of both programs must not grow after
# the first half (by then the stack's finished transactions, which it keeps for
# half a minute, have reached their level).  A target of its own (`make soak`): it takes minutes.
set -u
N=${1:-2000}
. "$SRCDIR/test-scenarios/lib.sh"
ALICE=sip:alice@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2

check "keys" make_kms pf=$PSI alice=$ALICE || { table; exit 1; }
conf pf "$PF_IP" $PSI "modules = csk-upload csk-download"
conf alice "$ALICE_IP" $ALICE "modules = keymgmt csk-upload csk-download srtp" \
    "impu = sip:alice.ims@ims.test" "proxy = sip:$PF_IP:5060;transport=udp"
start pf mcx-pf --config "$W/pf.conf"
start alice mcx-ua --config "$W/alice.conf"
check "pf starts" ctl pf wait ready 20
check "alice starts" ctl alice wait ready 20

fds() { ls "/proc/$1/fd" | wc -l; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
state() { echo "$(fds "$PID_pf") $(rss_kb "$PID_pf") $(fds "$PID_alice") $(rss_kb "$PID_alice")"; }

# round WHAT N COMMAND...: N times, with the state at half time and at the end.
round() {
    local what=$1 n=$2 i ok=0 early late
    shift 2
    for i in $(seq "$n"); do
        "$@" && ok=$((ok + 1))
        [ "$i" -eq $((n / 2)) ] && early=$(state)
        [ $((i % 200)) -eq 0 ] && echo "  $what $i of $n: $(state)"
    done
    late=$(state)
    echo "  $what: fds and RSS of pf, of alice: $early -> $late"
    check "$what: $ok of $n succeeded" test "$ok" -eq "$n"
    # shellcheck disable=SC2086
    set -- $early $late
    check "$what: descriptors pf $1 -> $5, alice $3 -> $7" test "$5" -le $(($1 + 1)) -a "$7" -le $(($3 + 1))
    check "$what: memory pf $2 -> $6 kB, alice $4 -> $8 kB" test "$6" -le $(($2 + 2048)) -a "$8" -le $(($4 + 2048))
}
register() { ctl alice register >/dev/null && ctl alice wait registered 10 status=200 >/dev/null; }
download() { ctl pf download $ALICE >/dev/null && ctl pf wait downloaded 10 status=200 >/dev/null; }
round registrations "$N" register
round downloads "$N" download
sleep 7 # old keys are wiped 5 s after
check "one CSK is in use at each end" bash -c '
    [ "$(mcx-ua --connect "$1" show keys | grep -c active)" -eq 1 ] &&
    [ "$(mcx-pf --connect "$2" show keys | grep -c active)" -eq 1 ]' - "$W/alice.sock" "$W/pf.sock"
table
[ "$FAILED" -eq 0 ]
