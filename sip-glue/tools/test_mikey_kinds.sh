#!/bin/sh
# test_mikey_kinds.sh -- mcx-mikey build and open for every kind that the
# library's table has, each way.  The rows come from `mcx-mikey kinds`, so a
# kind that is added is covered by being there.  Compared are tag, IDs and
# identities; the key octets are looked at by nobody.
# Run by `make check` in the build folder.
set -u
top=$(pwd)
KMS=$top/mcx-kms
MIKEY=$top/mcx-mikey
dir=$(mktemp -d "$top/test_mikey_kinds.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
failed=0
runs=0

A=sip:alice@mcx.test
B=sip:bob@mcx.test
TA=tel:+447700900123
TB=tel:+447700900124
AT=2026-03-01T08:00:00Z

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

# want STATUS COMMAND...: runs it; output in ./out, errors in ./err.
want() {
    want_=$1
    shift
    "$@" > out 2> err < /dev/null
    got_=$?
    runs=$((runs + 1))
    [ "$got_" = "$want_" ] ||
        bad "exit $got_, not $want_: $* ($(head -c 300 err))"
}
has() {
    grep -qF -- "$2" "$1" || bad "$1 lacks: $2 ($(head -c 400 "$1"))"
}
has_no() {
    grep -qF -- "$2" "$1" && bad "$1 has: $2"
    return 0
}

# The members of a row of `kinds --json`.
text() { # text ROW NAME
    printf '%s\n' "$1" | sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p"
}
value() { # value ROW NAME
    printf '%s\n' "$1" | sed -n "s/.*\"$2\":\([a-z0-9]*\).*/\1/p"
}

# make NAME FROM TO OPTION...: a message of $kind, octets in hexadecimal.
make_() {
    name_=$1
    shift
    want 0 "$MIKEY" build --kind "$kind" --at $AT --format csv "$@"
    id=$(cut -d ';' -f 3 out)
    cut -d ';' -f 4 out > "$name_"
    case $id in
    [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) ;;
    *) bad "$kind $name_: no key ID: $(head -c 200 out)" ;;
    esac
    [ "$tag" = - ] || [ "${id%"${id#?}"}" = "$tag" ] ||
        bad "$kind $name_: key ID $id has another tag than $tag"
}

# opened FROM TO: ./out is of that message, and holds no key.
opened() {
    has out "{\"verdict\":\"opened\",\"kind\":\"$kind\",\"key_id\":\"$id\","
    has out "\"from\":\"$1\",\"to\":\"$2\",\"time\":\"2026-03-01T08:00:00"
    has_no out '"key":'
}

# flip FILE: ./x is the message with one octet changed, the one at $at.
flip() {
    base64 -d "$1" | od -An -v -tx1 | tr -d ' \n' > hex
    h=$(head -c $(($at * 2)) hex)
    o=$(tail -c +$(($at * 2 + 1)) hex | head -c 2)
    printf '%s%02x%s\n' "$h" $((0x$o ^ 1)) \
        "$(tail -c +$(($at * 2 + 3)) hex)" > x
}

# refuses FILE OPTION...: with one octet of each payload changed, `open` ends
# with 1 and one line that names a payload of the message and an octet in it.
refuses() {
    file=$1
    shift
    want 0 "$MIKEY" inspect "$file"
    size=$(sed -n '1s/ octets.*//p' out)
    awk '
        /^[A-Z]/ { name = $1 }
        /^ +[0-9]+ +[0-9]+ / { end[name] = $1 + $2 }
        END { for (n in end) print n, end[n] - 1 }' out > payloads
    [ "$(wc -l < payloads)" -ge 5 ] || bad "payloads of $file: $(cat payloads)"
    while read -r payload at; do
        flip "$file"
        want 1 "$MIKEY" open --at $AT --json "$@" x
        has out '{"verdict":"refused","reason":"'
        has_no out '"key'
        [ "$(wc -l < err)" = 1 ] || bad "not one line: $(head -c 300 err)"
        named=$(sed -n 's/.*: refused, reason=[a-z0-9-]* payload=\([A-Za-z]*\) offset=[0-9]* clause="[^"]*" (.*/\1/p' err)
        where=$(sed -n 's/.* offset=\([0-9]*\) .*/\1/p' err)
        [ -n "$named" ] && [ "${where:-$size}" -lt "$size" ] ||
            bad "$kind, octet $at of $payload: $(cat err)"
    done < payloads
}

# ---- keys ----------------------------------------------------------------
want 0 "$KMS" init kms --plain --kms-uri kms.mcx.test --domain mcx.test
want 0 "$KMS" init telkms --plain --kms-uri kms.tel.test --monthly-tel
for who in alice bob; do
    want 0 "$KMS" issue kms --user sip:$who@mcx.test --at $AT --out $who
done
want 0 "$KMS" issue telkms --user $TA --at $AT --out telalice
want 0 "$KMS" issue telkms --user $TB --at $AT --out telbob
printf '00112233445566778899aabbccddeeff\n' > gmk

# ---- a kind that a SAKKE message carries ---------------------------------

# one_way SENDER RECEIVER FROM TO: names of folders, and identities.
one_way() {
    s=$1 r=$2 from=$3 to=$4
    from_to="--keys $s --from $from --to $to"

    # shellcheck disable=SC2086
    {
    # In clear, and the receiver alone opens it.
    make_ plain $from_to
    want 0 "$MIKEY" open --keys $r --as $to --from $from --at $AT --json plain
    opened $from $to
    has out '"to_self":false'
    case $ids in
    always) has out '"guk_id":"' ;;
    *) has_no out guk_id ;;
    esac
    want 1 "$MIKEY" open --keys $s --as $from --at $AT --json plain
    has out '"reason":"responder"'

    # Hidden identities: both; the one, the other.
    make_ hidden $from_to --hide-initiator --hide-responder
    want 0 "$MIKEY" open --keys $r --as $to --from $from --at $AT --json hidden
    opened $from $to
    if [ $full = yes ]; then
        make_ hidden $from_to --hide-initiator
        want 0 "$MIKEY" open --keys $r --as $to --from $from --at $AT --json \
            hidden
        opened $from $to
        want 1 "$MIKEY" open --keys $r --as $to --at $AT --json hidden
        has out '"reason":"initiator-hidden"'
        make_ hidden $from_to --hide-responder
        want 0 "$MIKEY" open --keys $r --as $to --at $AT --json hidden
        opened $from $to
    fi

    # Release 13: map, CS-ID, V, and the policy in SP.
    make_ rel13 $from_to --peer rel13-map --peer rel13-cs-id --peer rel13-v
    [ $full = no ] || want 0 "$MIKEY" inspect rel13
    [ $full = no ] || has out 'GENERIC-ID'
    want 0 "$MIKEY" open --keys $r --as $to --at $AT --json rel13
    opened $from $to
    for policy in $policies; do
        make_ rel13 $from_to --peer rel13-map --cs-id 77 --policy $policy
        want 0 "$MIKEY" open --keys $r --as $to --at $AT --json rel13
        opened $from $to
        has out "\"policy\":\"$policy\""
    done

    # The identifier of its own as the option of the peer has it.
    if [ $ids = option ]; then
        make_ guk $from_to --peer mkfc-guk
        want 0 "$MIKEY" open --keys $r --as $to --at $AT --peer mkfc-guk \
            --json guk
        opened $from $to
        has out '"guk_id":"'
    fi
    }
}

# With a copy for the sender's other devices; hidden, it is told for whom.
to_self() {
    make_ self --keys alice --from $A --to $B --sakke-to-self
    want 0 "$MIKEY" open --keys bob --as $B --at $AT --json self
    opened $A $B
    has out '"to_self":false'
    want 0 "$MIKEY" open --keys alice --as $A --at $AT --json self
    opened $A $B
    has out '"to_self":true'
    make_ self --keys alice --from $A --to $B --sakke-to-self \
        --hide-initiator --hide-responder
    want 0 "$MIKEY" open --keys alice --as $A --to $B --at $AT --json self
    opened $A $B
    has out '"to_self":true'
    want 1 "$MIKEY" open --keys alice --as $A --to sip:mallory@mcx.test \
        --at $AT --json self
    has out '"reason":"responder"'
}

params() {
    groups_= listed='"groups":[]'
    if [ $groups = true ]; then
        groups_='--group sip:g1@mcx.test --group sip:g2@mcx.test'
        listed='"groups":["sip:g1@mcx.test","sip:g2@mcx.test"]'
    fi
    # shellcheck disable=SC2086
    for form in a b; do
        peer=
        make_ params --keys alice --from $A --to $B --params-form $form \
            --status shared --activation 2026-03-01T07:00:00Z \
            --expiry 2026-03-01T09:00:00Z --text 'Fire 7' $groups_
        if [ $form = b ]; then
            want 1 "$MIKEY" open --keys bob --as $B --at $AT --json params
            has out '"reason":"key-parameters","payload":"EXT"'
            peer='--peer rel13-params'
        fi
        want 0 "$MIKEY" open --keys bob --as $B --at $AT --json $peer params
        opened $A $B
        has out '"status":"shared","activation":"2026-03-01T07:00:00Z"'
        has out '"expiry":"2026-03-01T09:00:00Z","text":"Fire 7",'"$listed"
        [ "$full" = yes ] || continue
        make_ params --keys alice --from $A --to $B --params-form $form \
            --status revoked
        want 1 "$MIKEY" open --keys bob --as $B --at $AT --json $peer params
        has out '"reason":"revoked","payload":"EXT"'
        make_ params --keys alice --from $A --to $B --params-form $form \
            --expiry $AT
        want 1 "$MIKEY" open --keys bob --as $B --at $AT --json $peer params
        has out '"reason":"key-expired","payload":"EXT"'
    done
}

sakke() {
    one_way alice bob $A $B
    case $initiator in # either end may make it
    *' or '*) one_way bob alice $B $A ;;
    esac
    [ $self = true ] && to_self
    [ $params = true ] && params
    # RFC 6509 3.2: only with the option.
    make_ tel --keys telalice --from $TA --to $TB --peer monthly-tel
    want 0 "$MIKEY" open --keys telbob --as $TB --from $TA --at $AT --json \
        --peer monthly-tel tel
    opened $TA $TB
    want 2 "$MIKEY" open --keys telbob --as $TB --at $AT --json tel
    has err UserIdFormat
    # All there is in one message, and one octet of each payload changed.
    set -- --keys alice --from $A --to $B --peer rel13-map --peer sdp-ids
    [ $self = true ] && set -- "$@" --sakke-to-self
    [ $params = true ] && set -- "$@" --status live
    make_ whole "$@"
    want 0 "$MIKEY" open --keys bob --as $B --from $A --at $AT --json whole
    opened $A $B
    refuses whole --keys bob --as $B --from $A
    # What the row does not allow.
    if [ $params = false ]; then
        want 2 "$MIKEY" build --keys alice --from $A --to $B --kind "$kind" \
            --status live
        has err "$kind has no key parameters"
    elif [ $groups = false ]; then
        want 2 "$MIKEY" build --keys alice --from $A --to $B --kind "$kind" \
            --group sip:g@x
        has err "$kind is of no group"
    fi
    [ $self = true ] || {
        want 2 "$MIKEY" build --keys alice --from $A --to $B --kind "$kind" \
            --sakke-to-self
        has err 'no copy for its sender'
    }
    # An ID of another kind.
    want 2 "$MIKEY" build --keys alice --from $A --to $B --kind "$kind" \
        --key-id "$(((tag + 1) % 16 / 10))abcdef0"
}

# ---- a kind under a pre-shared key ---------------------------------------
psk() {
    # shellcheck disable=SC2086
    for signed in '' "--keys alice --from $A"; do
        heard=${signed:+"--keys bob --from $A"}
        who=${signed:+$A}
        make_ psk --psk-file gmk --psk-id 0abcdef1 $signed
        want 0 "$MIKEY" open --psk-file gmk --psk-id 0abcdef1 --at $AT \
            $heard --json psk
        opened "$who" ''
        refuses psk --psk-file gmk $heard
        make_ psk --psk-file gmk --psk-id 0abcdef1 $signed \
            --prf hmac-sha-256 --ssrc 00000001 --ssrc fedcba98
        want 0 "$MIKEY" open --psk-file gmk --at $AT $heard --json psk
        opened "$who" ''
        want 0 "$MIKEY" inspect psk
        has out 'fedcba98'
        make_ psk --psk-file gmk --psk-id 0abcdef1 $signed --hide-psk-id \
            --no-mki
        want 0 "$MIKEY" open --psk-file gmk --psk-id 0abcdef1 --at $AT \
            $heard --json psk
        opened "$who" ''
    done
    for policy in gcm gcm-rcc aes-cm; do
        make_ psk --psk-file gmk --psk-id 0abcdef1 --policy $policy
        want 0 "$MIKEY" open --psk-file gmk --at $AT --json psk
        opened '' ''
        has out "\"policy\":\"$policy\""
    done
    # A talker with monthly keys, as TS 33.303 has it.
    make_ psk --psk-file gmk --psk-id 0abcdef1 --keys telalice --from $TA \
        --peer monthly-tel
    want 0 "$MIKEY" open --psk-file gmk --at $AT --json --keys telbob \
        --from $TA --peer monthly-tel psk
    opened $TA ''
    want 1 "$MIKEY" open --psk-file gmk --at $AT --json --keys telbob \
        --from $TB --peer monthly-tel psk
    has out '"reason":"signature","payload":"SIGN"'
    want 2 "$MIKEY" build --psk-file gmk --psk-id 0abcdef1 --kind "$kind" \
        --status live
    want 2 "$MIKEY" build --psk-file gmk --psk-id 0abcdef1 --kind "$kind" \
        --peer rel13-map
}

# ---- every row of the table ----------------------------------------------
want 0 "$MIKEY" kinds
has out carrier
want 0 "$MIKEY" kinds --json
cp out kinds
rows=$(wc -l < kinds)
[ "$rows" -ge 8 ] || bad "only $rows kinds"
n=0
while read -r row <&3; do
    n=$((n + 1))
    # What the row has no say in is tried with the first one only.
    full=no policies=aes-cm
    [ $n = 1 ] && full=yes policies='gcm gcm-rcc aes-cm'
    kind=$(text "$row" kind)
    tag=$(value "$row" tag)
    tag=${tag:--}
    ids=$(text "$row" own_ids)
    params=$(value "$row" params)
    groups=$(value "$row" groups)
    self=$(value "$row" to_self)
    initiator=$(text "$row" initiator)
    [ -n "$kind" ] && [ -n "$ids" ] && [ -n "$params" ] && [ -n "$groups" ] &&
        [ -n "$self" ] || bad "a row that cannot be read: $row"
    case $(text "$row" carrier) in
    sakke) sakke ;;
    psk) psk ;;
    hand)
        want 2 "$MIKEY" build --keys alice --from $A --to $B --kind "$kind"
        has err 'expected one of:'
        ;;
    *) bad "carrier of $row" ;;
    esac
done 3< kinds
[ $n = "$rows" ] || bad "$n of $rows rows"

# ---- several identities of ours, and options that are nobody's -----------
kind=pck tag=1
make_ pck --keys alice --from $A --to $B --to-kms kms.mcx.test \
    --rand 000102030405060708090a0b0c0d0e0f
want 0 "$MIKEY" open --keys bob --as sip:carol@mcx.test --as $A --as $B \
    --at $AT --json pck
opened $A $B
want 1 "$MIKEY" open --keys bob --as sip:carol@mcx.test --as $A --at $AT \
    --json pck
has out '"reason":"no-identity","payload":"IDRr"'
want 0 "$MIKEY" inspect pck
has out 000102030405060708090a0b0c0d0e0f
for wrong in '--params-form c' '--params-form x' '--status dead' \
    '--activation noon' '--expiry 1960-01-01T00:00:00Z' '--prf mikey-1' \
    '--ssrc 00000001' '--no-mki' '--hide-psk-id' '--policy gcm' \
    '--policy rot13 --peer rel13-map' '--cs-id 4' \
    '--cs-id 255 --peer rel13-map' '--rand 00' '--as sip:a@b' '--stored' \
    '--json' '--show-secrets' '--to-kms kms.nowhere' 'file'; do
    # shellcheck disable=SC2086
    want 2 "$MIKEY" build --keys alice --from $A --to $B --kind pck \
        --at $AT $wrong
    [ "$(wc -l < err)" = 1 ] || bad "$wrong: $(head -c 300 err)"
    [ -s out ] && bad "$wrong: something was written"
done
long=$(printf %0256d 7)
want 2 "$MIKEY" build --keys alice --from $A --to $B --kind pck --text "$long"
for wrong in '--prf mikey-1' '--group sip:g@x' '--to-kms k' '--kind pck'; do
    # shellcheck disable=SC2086
    want 2 "$MIKEY" open --keys bob --as $B --at $AT $wrong pck
    # shellcheck disable=SC2086
    want 2 "$MIKEY" inspect $wrong pck
done
want 2 "$MIKEY" open --psk-file gmk --peer rel13-map pck
want 2 "$MIKEY" kinds pck
want 2 "$MIKEY" kinds --at $AT
want 2 "$KMS" issue telkms --user $A --at $AT --out telalice
has err 'RFC 6509 3.2'

[ $failed = 0 ] && echo "test_mikey_kinds: $n kinds, $runs runs"
[ $failed = 0 ]
