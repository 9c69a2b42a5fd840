#!/bin/sh
# test_monthly.sh -- the programs with identities of RFC 6509 3.2: a KMS with
# monthly keys, a function and two phones whose names are tel URIs, under the
# setting monthly-tel and under the options of one KMS; without either nothing
# starts.
#
# Run by `make check` in the build folder; writes below it only.  Each run has
# a loopback address of its own, so that runs beside each other never meet.
set -u

top=$(pwd)
dir=$top/test_monthly.$$
pid=$$
addr=127.$((1 + (pid >> 14) % 250)).$((128 + (pid >> 7) % 120)).$((1 + pid % 128))
pf_pid= alice_pid= bob_pid=
PF=tel:+447700900100
ALICE=tel:+447700900123
BOB=tel:+447700900124
KMS_URI=sip:kms.tel.test

finish() {
    code=$?
    trap - EXIT
    for p in $alice_pid $bob_pid $pf_pid; do
        kill "$p" 2>/dev/null && wait "$p"
    done
    if [ "$code" -eq 0 ]; then
        rm -rf "$dir"
    else
        for log in "$dir"/*.log; do
            echo "---- $log"; tail -n 60 "$log"
        done
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
pf() { "$top/mcx-pf" --connect "$dir/pf.ctl" "$@"; }
alice() { "$top/mcx-ua" --connect "$dir/alice.ctl" "$@"; }
bob() { "$top/mcx-ua" --connect "$dir/bob.ctl" "$@"; }
must() { echo "+ $*"; "$@" > "$dir/answer" || { cat "$dir/answer"
    fail "$*"; }; }
value() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" "$dir/answer"; }

phone() { # NAME IDENTITY [OPTION...]
    name=$1 identity=$2
    shift 2
    "$top/mcx-ua" --identity "$identity" --impu "sip:$name@ims.test" \
        --psi $PF --keys "$dir/keys/$name" \
        --modules 'keymgmt csk-upload csk-download srtp' \
        --module-dir "$top/.libs" --host-name mcx.test \
        --listen "sip:$addr:*;transport=udp" \
        --proxy "sip:$addr:5060;transport=udp" --rtp "$addr:40000" \
        --control "$dir/$name.ctl" "$@"
}

mkdir -p "$dir/keys" || exit 1
"$top/mcx-kms" init "$dir/kms" --plain --kms-uri $KMS_URI --monthly-tel \
    > /dev/null || fail "mcx-kms init"
for who in pf=$PF alice=$ALICE bob=$BOB; do
    # Two months, in case one ends now.
    "$top/mcx-kms" issue "$dir/kms" --user "${who#*=}" --periods 2 \
        --out "$dir/keys/${who%%=*}" > /dev/null || fail "mcx-kms issue $who"
done

# ---- off by default, and said where
for setting in none monthly-tel=no \
    'peer sip:kms.other.test/options=monthly-tel' \
    "peer $KMS_URI/options=sdp-ids"; do
    set -- --set "$setting"
    [ "$setting" != none ] || set --
    phone alice $ALICE "$@" < /dev/null > "$dir/answer" 2>&1
    [ $? -eq 2 ] || fail "mcx-ua, $setting: $(cat "$dir/answer")"
    grep -q 'keys/alice/kms-.*xml:[0-9]*: UserIdFormat is not 2' \
        "$dir/answer" || fail "no reason: $(cat "$dir/answer")"
done
phone alice $ALICE --monthly-tel maybe < /dev/null > "$dir/answer" 2>&1
[ $? -eq 2 ] || fail "monthly-tel maybe"
grep -q 'monthly-tel.* yes or no' "$dir/answer" ||
    fail "no word of what was expected: $(cat "$dir/answer")"
for program in mcx-ua mcx-pf; do
    "$top/$program" --help > "$dir/answer"
    grep -q -e '--monthly-tel yes|no' "$dir/answer" || fail "$program --help"
done

# ---- all KMSs, one KMS, every peer's KMS
"$top/mcx-pf" --identity $PF --keys "$dir/keys/pf" --monthly-tel yes \
    --modules "csk-upload csk-download" --module-dir "$top/.libs" \
    --host-name mcx.test --listen "sip:$addr:5060;transport=udp" \
    --control "$dir/pf.ctl" > "$dir/pf.log" 2>&1 &
pf_pid=$!
must pf wait ready
phone alice $ALICE --set "peer $KMS_URI/options=monthly-tel" \
    > "$dir/alice.log" 2>&1 &
alice_pid=$!
phone bob $BOB --set "peer */options=monthly-tel" > "$dir/bob.log" 2>&1 &
bob_pid=$!
must alice wait ready
must bob wait ready

# Keys go up, and one comes down.
must alice register
must alice wait registered status=200
must pf wait bound mc_id=$ALICE
must bob register
must bob wait registered status=200
must pf wait bound mc_id=$BOB
must pf download $ALICE
must pf wait downloaded to=$ALICE status=200
second=$(value id)
must alice wait key kind=csk id="$second"

# A keyed call from one tel URI to the other.
must alice call $BOB
must bob wait call-in
must alice wait call-key kind=pck
pck=$(value id)
must bob wait call-key kind=pck id="$pck"
must alice wait call-up
must bob wait call-up
must alice hangup
must bob wait call-down cause=bye
must alice wait key-wiped kind=pck id="$pck"
pf wait refused 0 > /dev/null && fail "something was refused"

for who in alice bob; do
    must $who quit
done
wait "$alice_pid" || fail "alice ended with $?"
alice_pid=
wait "$bob_pid" || fail "bob ended with $?"
bob_pid=
must pf quit
wait "$pf_pid" || fail "mcx-pf ended with $?"
pf_pid=
echo "all fine"
