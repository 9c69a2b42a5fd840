#!/bin/sh
# test_call.sh -- the programs together: keys from mcx-kms, mcx-pf, and two
# phones that register, publish, talk, take a new CSK and log off; both media
# modes, over UDP and TCP.
#
# Run by `make check` in the build folder; writes below it only.  Each run has
# a loopback address of its own, so that runs beside each other never meet.
set -u

top=$(pwd)
: "${srcdir:=.}"
dir=$top/test_call.$$
pid=$$
addr=127.$((1 + (pid >> 14) % 250)).$(((pid >> 7) % 128)).$((1 + pid % 128))
pf_pid= alice_pid= bob_pid= tiny_pid=

finish() {
    code=$?
    trap - EXIT
    for p in $alice_pid $bob_pid $tiny_pid $pf_pid; do
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
# must WHO COMMAND...: the command is answered ok.
must() { echo "+ $*"; "$@" > "$dir/answer" || { cat "$dir/answer"
    fail "$*"; }; }
# value KEY: of the event line in the last answer.
value() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" "$dir/answer"; }

start_phone() { # NAME MEDIA TRANSPORT [OPTION...]
    name=$1 media=$2 transport=$3
    shift 3
    "$top/mcx-ua" --config "$dir/common.conf" \
        --identity "sip:$name@mcx.test" --impu "sip:$name@ims.test" \
        --keys "$dir/keys/$name" --media "$media" \
        --listen "sip:$addr:*;transport=$transport" \
        --proxy "sip:$addr:5060;transport=$transport" \
        --rtp "$addr:40000" --record "$dir/$name.wav" \
        --control "$dir/$name.ctl" "$@" > "$dir/$name.log" 2>&1 &
}

stop_phone() { # NAME PID
    must "$1" quit
    wait "$2" || fail "$1 ended with $?"
}

mkdir -p "$dir/keys" || exit 1
"$top/mcx-kms" init "$dir/kms" --plain --kms-uri sip:kms.mcx.test > /dev/null \
    || fail "mcx-kms init"
for user in pf alice bob; do
    "$top/mcx-kms" issue "$dir/kms" --user "sip:$user@mcx.test" \
        --out "$dir/keys/$user" > /dev/null || fail "mcx-kms issue $user"
done
"$top/wavcmp" --make "$dir/speech.wav" 1010 || fail "no test signal"
cat > "$dir/common.conf" <<EOF
psi = sip:pf@mcx.test
modules = keymgmt csk-upload csk-download srtp
module-dir = $top/.libs
host-name = mcx.test
EOF

# ---- usage and configuration
"$top/mcx-ua" --config "$dir/common.conf" < /dev/null 2> "$dir/answer"
[ $? -eq 2 ] || fail "mcx-ua without identity"
grep -q identity "$dir/answer" || fail "no word of the identity"
echo "nonsense = 1" > "$dir/bad.conf"
"$top/mcx-pf" --config "$dir/bad.conf" < /dev/null 2> "$dir/answer"
[ $? -eq 2 ] || fail "mcx-pf with a bad file"
grep -q 'bad.conf:1' "$dir/answer" || fail "no file and line"
"$top/mcx-ua" --config "$dir/common.conf" --identity sip:alice@mcx.test \
    --keys "$dir/keys/alice" --listen "sip:$addr:*" \
    --impu sip:alice@ims.test --proxy "sip:$addr:5060" \
    --control "$dir/speech.wav" < /dev/null > "$dir/answer" 2>&1
[ $? -eq 1 ] || fail "a control socket in the place of a file"
[ -f "$dir/speech.wav" ] || fail "the file is gone"
"$top/mcx-ua" --help | grep -q -- --proxy || fail "help"

"$top/mcx-pf" --identity sip:pf@mcx.test --keys "$dir/keys/pf" \
    --modules "csk-upload csk-download" --module-dir "$top/.libs" \
    --host-name mcx.test --listen "sip:$addr:5060;transport=udp,tcp" \
    --control "$dir/pf.ctl" > "$dir/pf.log" 2>&1 &
pf_pid=$!
must pf wait ready

round() { # MEDIA of alice, MEDIA of bob, TRANSPORT
    echo "== alice $1, bob $2, $3"
    rm -f "$dir"/alice.wav "$dir"/bob.wav
    start_phone alice "$1" "$3"; alice_pid=$!
    start_phone bob "$2" "$3"; bob_pid=$!
    must alice wait ready
    must bob wait ready

    # Keys go up.
    must alice register
    must alice wait registered status=200
    must pf wait bound mc_id=sip:alice@mcx.test
    first=$(value id)
    must alice wait key kind=csk id="$first"
    must bob register
    must bob wait registered status=200
    must pf wait bound mc_id=sip:bob@mcx.test
    for n in 1 2; do
        must bob publish
        must bob wait published status=200
        must pf wait bound mc_id=sip:bob@mcx.test
    done

    # A call; bob hears what alice says.
    must alice call sip:bob@mcx.test "$dir/speech.wav"
    must bob wait call-in
    must alice wait call-key kind=pck
    pck=$(value id)
    must bob wait call-key kind=pck id="$pck"
    must alice wait call-up
    must bob wait call-up
    must pf wait call-up from=sip:alice@mcx.test to=sip:bob@mcx.test
    must alice show calls
    must alice show keys --json
    grep -q '"kind": "pck"' "$dir/answer" || fail "no pck in $(cat "$dir/answer")"
    must alice wait media-sent packets=51
    must alice hangup
    must bob wait call-down cause=bye
    must alice wait call-down cause=bye
    must pf wait call-down from=sip:alice@mcx.test cause=bye
    must bob wait media-received packets=51 lost=0 bad=0
    must alice wait key-wiped kind=pck id="$pck"
    must bob wait key-wiped kind=pck id="$pck"
    "$top/wavcmp" "$dir/speech.wav" "$dir/bob.wav" || fail "recording differs"

    # The other way, hung up by the caller's peer.
    must bob call sip:alice@mcx.test "$dir/speech.wav"
    must bob wait media-sent packets=51
    must alice hangup
    must bob wait call-down cause=bye
    must alice wait media-received packets=51 lost=0 bad=0
    "$top/wavcmp" "$dir/speech.wav" "$dir/alice.wav" || fail "recording differs"

    # A new key comes down; both ends switch, the old one goes.
    must pf download sip:alice@mcx.test
    must pf wait downloaded to=sip:alice@mcx.test status=200
    second=$(value id)
    [ "$second" != "$first" ] || fail "the same CSK-ID"
    must alice wait key kind=csk id="$second"
    must alice wait key-wiped kind=csk id="$first"
    must pf wait key-wiped kind=csk id="$first"
    must pf wait bound mc_id=sip:alice@mcx.test id="$second"
    must pf show bindings
    grep -q "csk_id=$second" "$dir/answer" || fail "binding not switched"

    # Nobody there.
    must alice call sip:nobody@mcx.test
    must alice wait call-down status=404 warning=141

    # Log-off wipes.
    must alice unregister
    must alice wait unregistered status=200
    must alice wait key-wiped kind=csk id="$second"
    must pf wait unbound impu=sip:alice@ims.test
    must bob unregister
    must pf wait unbound impu=sip:bob@ims.test
    must pf show keys --json
    grep -q active "$dir/answer" && fail "keys left: $(cat "$dir/answer")"
    must bob call sip:alice@mcx.test
    must bob wait call-down status=404 warning=141
    pf wait refused 0 > /dev/null && fail "something was refused"
    stop_phone alice "$alice_pid"; alice_pid=
    stop_phone bob "$bob_pid"; bob_pid=
}

round soa soa udp
round raw raw tcp
round soa raw tcp
round raw soa udp

# ---- answered by hand, given up, without a stack thread; and tiny-phone
echo "== by hand"
start_phone alice soa udp --stack-thread no; alice_pid=$!
start_phone bob raw udp --answer manual --stack-thread no; bob_pid=$!
must alice register
must alice wait registered status=200
must bob register
must bob wait registered status=200
must pf wait bound mc_id=sip:bob@mcx.test

must alice call sip:bob@mcx.test
must bob wait call-in
must alice hangup
must bob wait call-down cause=cancel
must alice wait call-down cause=cancel
must pf wait call-down cause=cancel
must alice wait key-wiped kind=pck

# A command on one connection while another one waits.
bob wait call-up 20 > "$dir/waiting" & waiting=$!
must alice call sip:bob@mcx.test "$dir/speech.wav"
must bob wait call-in
must bob answer
wait "$waiting" || fail "the waiting connection got $(cat "$dir/waiting")"
must alice wait media-sent packets=51
must bob hangup
must alice wait call-down cause=bye
must bob wait media-received packets=51 bad=0
"$top/wavcmp" "$dir/speech.wav" "$dir/bob.wav" || fail "recording differs"
must alice unregister
must pf wait unbound impu=sip:alice@ims.test

{ cat "$dir/common.conf"
  echo "identity = sip:alice@mcx.test"
  echo "keys = $dir/keys/alice"; } > "$dir/tiny.conf"
"$top/tiny-phone" "$dir/tiny.conf" "sip:$addr:5060;transport=udp" \
    sip:bob@mcx.test > "$dir/tiny.log" 2>&1 & tiny_pid=$!
must bob wait call-in
must bob answer
must bob wait call-up
must bob hangup
wait "$tiny_pid" || fail "tiny-phone ended with $?"
tiny_pid=
for line in 'registered 200' mcx_i_key 'answered 200' 'SRTP key of 16' \
    'call terminated'; do
    grep -q "$line" "$dir/tiny.log" || fail "tiny-phone did not say $line"
done
stop_phone alice "$alice_pid"; alice_pid=
stop_phone bob "$bob_pid"; bob_pid=

must pf quit
wait "$pf_pid" || fail "mcx-pf ended with $?"
pf_pid=
echo "all fine"
