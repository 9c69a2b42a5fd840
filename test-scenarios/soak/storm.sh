#!/bin/bash
# storm.sh [N [WINDOW]] -- a registration storm at mcx-pf: N clients (default
# 2,000) of which WINDOW (64) wait at any time; then the same with one at a
# time, where nothing can be opened together.  Says how many a second by the
# clock and of mcx-pf's processor time, and how many were judged together.
# A target of its own (`make storm-run`).
set -u
N=${1:-2000} WINDOW=${2:-64}
. "$SRCDIR/test-scenarios/lib.sh"
ALICE=sip:alice@mcx.test
PF_IP=$NET.1 ALICE_IP=$NET.2

check "keys" make_kms pf=$PSI alice=$ALICE || { table; exit 1; }
conf pf "$PF_IP" $PSI "modules = csk-upload" "workers = 2"

# Ticks of processor time of the function.
cpu() { awk '{ print $14 + $15 }' "/proc/$PID_pf/stat"; }

# run WINDOW: one storm at a fresh function.
run() {
    local before after ms good
    start pf mcx-pf --config "$W/pf.conf"
    check "pf starts" ctl pf wait ready 20
    before=$(cpu)
    check "$N registrations, $1 at a time" "$BUILD/storm" "$W/keys/alice" $PSI $ALICE "$PF_IP" "$ALICE_IP" "$N" "$1"
    after=$(cpu)
    cat "$W/check.log"
    ms=$(sed -n 's/.* in \([0-9]*\) ms$/\1/p' "$W/check.log")
    good=$(sed -n 's/^\([0-9]*\) of .*/\1/p' "$W/check.log")
    awk -v n="${good:-0}" -v ms="${ms:-0}" -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN {
        printf "  %.0f a second; %.0f a second of processor time\n",
            1000 * n / (ms + !ms), n * hz / (t + !t) }'
    ctl pf show counters | grep -E '^ *(sip\.judged|sip\.judged-together|csk-upload\.bound) ' | sed 's/^/  /'
    stop pf
}
run 1
run "$WINDOW"
table
[ "$FAILED" -eq 0 ]
