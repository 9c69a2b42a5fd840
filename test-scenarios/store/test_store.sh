#!/bin/sh
# test_store.sh -- the store as its users see it: a function that keeps the CSK
# of a phone, is killed, and has it again; mcx-keys beside it while it runs.
#
# Run by `make check` in the build folder; writes below it only.  Each run has
# a loopback address of its own.
set -u

top=$(pwd)
dir=$top/test_store_sh.$$
pid=$$
addr=127.$((1 + (pid >> 14) % 250)).$(((pid >> 7) % 128)).$((1 + pid % 128))
pf_pid= alice_pid= tablet_pid=

finish() {
    code=$?
    trap - EXIT
    for p in $alice_pid $tablet_pid $pf_pid; do
        kill "$p" 2>/dev/null && wait "$p"
    done
    if [ "$code" -eq 0 ]; then
        rm -rf "$dir"
    else
        for log in "$dir"/*.log; do
            echo "---- $log"; tail -n 40 "$log"
        done
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
pf() { "$top/mcx-pf" --connect "$dir/pf.ctl" "$@"; }
tablet() { "$top/mcx-ua" --connect "$dir/tablet.ctl" "$@"; }
alice() { "$top/mcx-ua" --connect "$dir/alice.ctl" "$@"; }
must() { echo "+ $*"; "$@" > "$dir/answer" 2> "$dir/err" || {
    cat "$dir/answer" "$dir/err"; fail "$*"; }; }
# wont STATUS WORDS COMMAND...: fails with it, and says the words in one line.
wont() {
    want=$1 words=$2
    shift 2
    echo "+ not: $*"
    "$@" > "$dir/answer" 2> "$dir/err"
    got=$?
    [ "$got" -eq "$want" ] || fail "status $got, not $want: $*"
    [ "$(wc -l < "$dir/err")" -eq 1 ] || fail "not one line: $*"
    grep -q -- "$words" "$dir/err" || fail "\"$words\": $(cat "$dir/err")"
}
value() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" "$dir/answer"; }
says() { grep -q -- "$1" "$dir/answer" || fail "\"$1\": $(cat "$dir/answer")"; }
says_no() { grep -q -- "$1" "$dir/answer" && fail "has \"$1\""; :; }
keys() { "$top/mcx-keys" "$@" --store "$dir/keys.db" --key-file "$dir/kek"; }
start_pf() {
    "$top/mcx-pf" --config "$dir/pf.conf" > "$dir/pf.log" 2>&1 &
    pf_pid=$!
    must pf wait ready
}

mkdir -p "$dir/keys" || exit 1
"$top/mcx-kms" init "$dir/kms" --plain --kms-uri sip:kms.mcx.test \
    > /dev/null \
    || fail "mcx-kms init"
for user in pf alice; do
    "$top/mcx-kms" issue "$dir/kms" --user "sip:$user@mcx.test" \
        --out "$dir/keys/$user" > /dev/null || fail "mcx-kms issue $user"
done
cat > "$dir/pf.conf" <<EOF
identity = sip:pf@mcx.test
keys = $dir/keys/pf
modules = store csk-upload csk-download
module-dir = $top/.libs
host-name = mcx.test
listen = sip:$addr:5060;transport=udp
control = $dir/pf.ctl
[store]
file = $dir/keys.db
key-file = $dir/kek
EOF

# ---- words for what is missing
wont 2 'expected a command' "$top/mcx-keys"
wont 2 'expected a command' "$top/mcx-keys" look
wont 2 'key ID of 8' keys show 12
wont 2 'unknown option' keys list --what
wont 2 'expected the file' "$top/mcx-keys" list
wont 2 'kind such as csk' keys list --kind gsm
wont 1 'no such store' keys list
must "$top/mcx-keys" --help
says '^Usage: mcx-keys'
must "$top/mcx-keys" --version
"$top/mcx-pf" --config "$dir/pf.conf" < /dev/null > "$dir/answer" 2>&1 \
    && fail "mcx-pf without a key file"
says 'kek: cannot be read'
must "$top/mcx-keys" new-key "$dir/kek"
wont 1 'File exists' "$top/mcx-keys" new-key "$dir/kek"
[ "$(stat -c %a "$dir/kek")" = 600 ] || fail "permissions of the key file"

# ---- a key comes, and is kept
start_pf
[ "$(stat -c %a "$dir/keys.db")" = 600 ] || fail "permissions of the store"
"$top/mcx-ua" --identity sip:alice@mcx.test --impu sip:alice@ims.test \
    --psi sip:pf@mcx.test --modules "keymgmt csk-upload csk-download srtp" \
    --module-dir "$top/.libs" --keys "$dir/keys/alice" \
    --listen "sip:$addr:*;transport=udp" \
    --proxy "sip:$addr:5060;transport=udp" --rtp "$addr:40000" \
    --control "$dir/alice.ctl" > "$dir/alice.log" 2>&1 &
alice_pid=$!
must alice wait ready
must alice register
must alice wait registered status=200
must pf wait bound mc_id=sip:alice@mcx.test
id=$(value id)
must keys list
says "^$id csk   active .* mc-id=sip:alice@mcx.test impu=sip:alice@ims.test"
must keys show "$id" --json
says '"state":"active"'
wont 1 "no such key: gmk $id" keys show "$id" --kind gmk
must keys list --kind gmk
says_no csk
must keys list --mc-id sip:alice@mcx.test
says "$id"
must keys list --impu sip:bob@ims.test
says_no "$id"
grep -q 'mcx.test' "$dir/keys.db" "$dir/keys.db-wal" && fail "a name in clear"

# ---- killed, and started again
kill -9 "$pf_pid"
wait "$pf_pid" 2>/dev/null
must keys list
says "$id"
start_pf
must pf wait key-restored kind=csk id="$id" state=active
must pf wait bound mc_id=sip:alice@mcx.test id="$id"
must pf show keys --json
says "$id"
# The key that was brought back is the one that the next replaces.
must alice register
must alice wait registered status=200
must pf wait key-retired kind=csk id="$id"
must pf wait bound mc_id=sip:alice@mcx.test
must pf download sip:alice@mcx.test
must pf wait downloaded status=200
new=$(value id)
must keys list --kind csk
says "^$new csk   active"
must pf wait key-wiped kind=csk id="$id"
must keys list
says_no "^$id"
wont 1 'no such key' keys show 20000000
kill -9 "$pf_pid"
wait "$pf_pid" 2>/dev/null

# ---- a wrong key changes nothing
cksum "$dir/keys.db" "$dir/keys.db-wal" > "$dir/sum" || fail "no WAL"
must "$top/mcx-keys" new-key "$dir/other"
wont 1 'wrong key' "$top/mcx-keys" list --store "$dir/keys.db" \
    --key-file "$dir/other"
wont 2 'made with a key file' "$top/mcx-keys" list --store "$dir/keys.db" \
    --passphrase-file "$dir/other"
chmod 644 "$dir/other"
wont 2 'open to others' "$top/mcx-keys" list --store "$dir/keys.db" \
    --key-file "$dir/other"
cksum "$dir/keys.db" "$dir/keys.db-wal" | cmp -s - "$dir/sum" \
    || fail "the store was changed"

# ---- revoked beside a running host
start_pf
must pf wait bound mc_id=sip:alice@mcx.test id="$new"
must pf show keys
says "$new"
must keys revoke "$new"
says '1 revoked'
must pf wait key-wiped kind=csk id="$new"
must keys list
says_no "$new"
wont 1 'no such key' keys revoke "$new"
must alice register
must alice wait registered status=200
must pf wait bound mc_id=sip:alice@mcx.test
third=$(value id)
must keys wipe all --impu sip:nobody@ims.test --json
says '{"dropped":0}'
must keys wipe "$third"
must pf wait key-wiped kind=csk id="$third"

# ---- two phones of one user: keys live until the last contact goes
must alice register
must alice wait registered status=200
must pf wait bound mc_id=sip:alice@mcx.test
"$top/mcx-ua" --identity sip:alice@mcx.test --impu sip:alice@ims.test \
    --psi sip:pf@mcx.test --modules "keymgmt csk-upload csk-download srtp" \
    --module-dir "$top/.libs" --keys "$dir/keys/alice" \
    --listen "sip:$addr:*;transport=udp" \
    --proxy "sip:$addr:5060;transport=udp" --rtp "$addr:40010" \
    --control "$dir/tablet.ctl" > "$dir/tablet.log" 2>&1 &
tablet_pid=$!
must tablet wait ready
must tablet register
must tablet wait registered status=200
must pf wait bound mc_id=sip:alice@mcx.test
both=$(value id)
must pf show bindings --json
says '"contacts": 2'
must tablet unregister
must tablet wait unregistered status=200
must pf show bindings --json
says '"contacts": 1'
must keys show "$both"
says 'state  *active'
must alice unregister
must alice wait unregistered status=200
must pf wait key-wiped kind=csk id="$both"
must tablet quit
wait "$tablet_pid" || fail "mcx-ua ended with $?"
tablet_pid=

# ---- a key on paper, put in while the host runs
printf '%s\n' '# SPK of 2026' 'kind = spk' 'id = 3000beef' \
    'key = 000102030405060708090a0b0c0d0e0f' \
    'rand = 101112131415161718191a1b1c1d1e1f' 'self = sip:pf@mcx.test' \
    'peer = sip:other.mcx.test' > "$dir/paper"
chmod 644 "$dir/paper"
wont 2 'open to others' keys add "$dir/paper"
chmod 600 "$dir/paper"
sed s/3000beef/2000beef/ "$dir/paper" > "$dir/paper.bad"
chmod 600 "$dir/paper.bad"
wont 2 'first digit' keys add "$dir/paper.bad"
sed 's/^key =.*/key = 0001/' "$dir/paper" > "$dir/paper.bad"
wont 2 'paper.bad:4: expected a key of 32' keys add "$dir/paper.bad"
wont 2 'cannot be read' keys add "$dir/none"
must keys add "$dir/paper"
says '^3000beef added'
must pf wait key-restored kind=spk id=3000beef state=active
wont 1 'already' keys add "$dir/paper"
must keys show 3000beef
says 'MC ID  *sip:other.mcx.test'
must keys list --json --kind spk
says '"id":"3000beef","state":"active"'
must keys revoke 3000beef
must pf wait key-wiped kind=spk id=3000beef
wont 1 'was revoked here' keys add "$dir/paper"

# ---- the audit log
must keys log head
head=$(sed -n 's/^head //p' "$dir/answer")
must keys export-log
says "key-active by=host kind=csk id=$id .*mc-id=sip:alice@mcx.test"
says "key-wiped by=mcx-keys kind=csk id=$new cause=revoked"
must keys export-log --json --after 2
says '"event":"log-exported"'
says_no '"seq":2,'
must keys log verify --head "$head"
says 'good, [0-9]* entries'
wont 2 'log head' keys log verify --head 12
must pf quit
wait "$pf_pid" || fail "mcx-pf ended with $?"
pf_pid=
must keys log verify
says 'good'
wont 1 'entry 3: is not the one' keys log verify \
    --head "3:${head#*:}"
# ---- the log in a file
must keys log head
head=$(sed -n 's/^head //p' "$dir/answer")
must keys log rotate
says '^rotated'
must keys log verify --head "$head" --json
says '"result":"good"'
must keys export-log --json
says '"seq":1,'
says '"event":"log-rotated"'
wont 2 'from 0 to' keys log rotate --log-files x
mv "$dir/keys.db.log-0000000001" "$dir/away"
wont 1 'entry 1: is missing, with its file' keys log verify
mv "$dir/away" "$dir/keys.db.log-0000000001"

# ---- another key-encryption key
chmod 600 "$dir/other"
wont 2 'expected one of --new-key-file' keys rekey
wont 2 'belong to rekey' keys list --new-key-file "$dir/other"
wont 2 'away: cannot be read' keys rekey --new-key-file "$dir/away"
must keys rekey --new-key-file "$dir/other"
says '^rekeyed'
wont 1 'wrong key' keys list
mv "$dir/other" "$dir/kek"
must keys log verify --head "$head"
start_pf
wont 1 'is open in another process' keys rekey --new-key-file "$dir/kek"
must pf quit
wait "$pf_pid" || fail "mcx-pf ended with $?"
pf_pid=
must alice quit
wait "$alice_pid" || fail "mcx-ua ended with $?"
alice_pid=
echo "good"
