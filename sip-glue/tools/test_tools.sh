#!/bin/sh
# test_tools.sh -- mcx-kms and mcx-mikey as built, from the outside: keys are
# made and issued, messages built in every form and opened, foreign ones of
# published vectors opened, and whatever can be wrong refused with its word.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
srcdir=${srcdir:-.}
top=$(pwd)
KMS=$top/mcx-kms
MIKEY=$top/mcx-mikey
VEC=$srcdir/test-scenarios/vectors/interop-streamwide-mikey-sakke.txt
case $VEC in /*) ;; *) VEC=$top/$VEC ;; esac
case $srcdir in /*) ;; *) srcdir=$top/$srcdir ;; esac
dir=$(mktemp -d "$top/test_tools.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
failed=0
done_=0

A=sip:alice@mcx.test
B=sip:bob@mcx.test
AT=2026-03-01T08:00:00Z
SECRET=00112233445566778899aabbccddeeff

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
    done_=$((done_ + 1))
    [ "$got_" = "$want_" ] ||
        bad "exit $got_, not $want_: $* ($(head -c 300 err))"
}

# has FILE TEXT / has_no FILE TEXT
has() {
    grep -qF -- "$2" "$1" || bad "$1 lacks: $2 ($(head -c 300 "$1"))"
}
has_no() {
    grep -qF -- "$2" "$1" && bad "$1 has: $2"
    return 0
}

# Standard error: one line, with the name of the tool and TEXT.
says() {
    [ "$(wc -l < err)" = 1 ] || bad "not one line: $(head -c 300 err)"
    has err "$1"
}

# opens FILE [OPTION...]: opened by bob at $AT.
opens() {
    file_=$1
    shift
    want 0 "$MIKEY" open --keys bobkeys --as $B --at $AT --json "$@" "$file_"
    has out '{"verdict":"opened","kind":"'
}

# refuses WORD PAYLOAD FILE [OPTION...]
refuses() {
    word_=$1
    payload_=$2
    file_=$3
    shift 3
    want 1 "$MIKEY" open --keys bobkeys --as $B --at $AT --json "$@" "$file_"
    has out "{\"verdict\":\"refused\",\"reason\":\"$word_\",\"payload\":\"$payload_\",\"offset\":"
    has_no out '"key"'
    says "refused, reason=$word_ payload=${payload_:--} offset="
    has err clause=
}

# put FILE OFFSET HEX: FILE (hexadecimal) with octets replaced, in ./x.
put() {
    m_=$(cat "$1")
    n_=${#3}
    {
        printf %s "$m_" | head -c $(($2 * 2))
        printf %s "$3"
        printf '%s\n' "$m_" | tail -c +$(($2 * 2 + n_ + 1))
    } > x
}

# at PAYLOAD NAME [N]: offset of a field of the last ./fields, the N-th PAYLOAD.
at() {
    awk -v p="$1" -v n="$2" -v k="${3:-1}" '
        /^[A-Z]/ { cur = $1; seen[cur]++ }
        cur == p && seen[p] == k && /^ / {
            name = substr($0, 15, 22); sub(/ +$/, "", name)
            if (name == n) { print $1; exit }
        }' fields
}

raw() { # hexadecimal to octets
    fold -w 2 "$1" | while read -r h_; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$h_")"
    done
}

# ---- mcx-kms -------------------------------------------------------------
want 0 "$KMS" --help
has out --kms-uri
want 0 "$KMS" --version
has out mcx-kms
want 0 "$KMS" init kms --plain --kms-uri kms.mcx.test --domain mcx.test
[ "$(stat -c %a kms kms/master.secret | tr '\n' ' ')" = "700 600 " ] ||
    bad "permissions of kms: $(stat -c %a kms kms/*)"
has kms/kms.conf 'kms-uri = kms.mcx.test'
has kms/master.secret '# '
cp kms/master.secret before
want 1 "$KMS" init kms --plain --kms-uri kms.mcx.test
says kms
cmp -s before kms/master.secret || bad "init overwrote a KMS"
want 2 "$KMS" init other --plain
says --kms-uri
[ -d other ] && bad "a folder was made"
for opt in '--period 0' '--period x' '--offset -1' '--nonsense'; do
    # shellcheck disable=SC2086
    want 2 "$KMS" init other --plain --kms-uri k $opt
    says mcx-kms:
done
want 2 "$KMS" init other --plain --kms-uri 'a b'
want 2 "$KMS"
want 2 "$KMS" frob kms
want 2 "$KMS" issue kms --user $A
says --out
want 2 "$KMS" issue kms --user $A --out keys --at yesterday
says 2026-
want 2 "$KMS" issue kms --user $A --out keys --periods 0
want 2 "$KMS" issue kms --user $A --out keys --at 1899-01-01T00:00:00Z
want 2 "$KMS" issue nowhere --user $A --out keys
says nowhere/kms.conf
want 0 "$KMS" issue kms --user $A --at $AT --periods 2 --out keys
want 0 "$KMS" issue kms --user $B --at $AT --out keys
f=keys/user-sip%3Aalice%40mcx.test-1536.xml
[ -f $f ] || bad "no $f: $(ls keys)"
[ "$(stat -c %a keys $f | tr '\n' ' ')" = "700 600 " ] || bad "permissions"
[ "$(grep -c '<KeyPeriodNo>' $f)" = 2 ] || bad "not two periods"
has $f '<KeyPeriodNo>1537<'
cp $f before
want 0 "$KMS" issue kms --user $A --at $AT --periods 2 --out keys
cmp -s before $f && bad "issued again and the same"
[ "$(find keys -type f | wc -l)" = 3 ] || bad "files: $(ls keys)"
want 0 "$KMS" issue kms --user 'sip:../../e;x=/"<&>@m' --out odd
[ "$(find odd -type f | wc -l)" = 2 ] || bad "odd name: $(ls odd)"
want 0 "$KMS" issue kms --user "sip:$(printf %0900d 7)@m" --out odd
[ "$(find odd -type f | wc -l)" = 3 ] || bad "long name: $(ls odd)"
mkdir hurt && cp kms/* hurt && echo zz >> hurt/master.secret
want 2 "$KMS" issue hurt --user $A --out keys2
says hurt/master.secret
echo 'period = 9' >> hurt/kms.conf
want 2 "$KMS" issue hurt --user $A --out keys2
has err kms.conf:
[ -e keys2 ] && bad "keys2 was made"

# Bob by himself: each key set that is loaded is checked, which takes time.
mkdir bobkeys && cp keys/kms-* keys/user-*bob* bobkeys

# ---- build and open, every kind ------------------------------------------
echo $SECRET > key
for kind in 0gmk 1pck 2csk 4mkfc 5mscck 6musik; do
    id=${kind%"${kind#?}"}0abcdef
    kind=${kind#?}
    want 0 "$MIKEY" build --keys keys --from $A --to $B --kind $kind \
        --key-file key --key-id $id --at $AT --format hex
    cp out $kind.hex
    opens $kind.hex --show-secrets
    has out "\"kind\":\"$kind\",\"key_id\":\"$id\","
    has out "\"from\":\"$A\",\"to\":\"$B\",\"time\":\"2026-03-01T08:00:00"
    has out "\"key\":\"$SECRET\"}"
    if [ $kind = gmk ]; then has out '"guk_id":"'; else has_no out guk_id; fi
    opens $kind.hex
    has_no out $SECRET
    has_no out '"key"'
done
want 2 "$MIKEY" build --keys keys --from $A --to $B --kind spk --at $AT
want 0 "$MIKEY" open --keys bobkeys --as $B --at $AT csk.hex
has out 'kind     csk'
has_no out $SECRET

# ---- forms ---------------------------------------------------------------
raw csk.hex > csk.raw
for form in raw hex base64 sdp csv; do
    want 0 "$MIKEY" build --keys keys --from $A --to $B --kind csk \
        --at $AT --format $form
    cp out form.$form
    [ $form = csv ] || opens form.$form
done
grep -Eq "^$A;$B;2[0-9a-f]{7};[A-Za-z0-9+/]+=*\$" form.csv ||
    bad "CSV: $(head -c 100 form.csv)"
cut -d ';' -f 4 form.csv > form.b64
opens form.b64
fold -w 60 form.b64 > folded
opens folded
tr -d = < form.b64 > unpadded
opens unpadded
sed 's/../& /g' csk.hex | tr a-f A-F > spaced
opens spaced
sed 's/^a=key-mgmt://' form.sdp > value
opens value
{
    printf 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'
    printf '%s\r\n' "$(cat form.sdp)"
    printf 'm=audio 4000 RTP/SAVP 0\r\n'
} > session
opens session
{
    printf 'v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n'
    printf 'm=audio 4000 RTP/SAVP 0\n'
    cat form.sdp
} > media
opens media
b=q1
sip() { # sip CONTENT-TYPE < body
    cat > body
    printf 'REGISTER sip:mcx.test SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=x\r\n'
    printf 'Content-Type: %s\r\nContent-Length: %s\r\n\r\n' "$1" \
        "$(wc -c < body)"
    cat body
}
sip application/mikey < csk.raw > sip.plain
opens sip.plain
sip application/sdp < session > sip.sdp
opens sip.sdp
{
    printf 'pre\r\n--%s\r\nContent-Type: application/x\r\n\r\nhi\r\n' $b
    printf -- '--%s\r\nContent-Type:\r\n application/MIKEY\r\n\r\n' $b
    cat csk.raw
    printf '\r\n--%s--\r\n' $b
} > parts
sip "multipart/mixed; x=\"a;b\"; boundary=\"$b\"" < parts > sip.parts
opens sip.parts
{
    printf -- '--o\r\nContent-Type: multipart/mixed;boundary=%s\r\n\r\n' $b
    cat parts
    printf '\r\n--o--\r\n'
} | sip "multipart/mixed;boundary=o" > sip.nested
opens sip.nested
{
    printf -- '--%s\nContent-Type: application/mikey\n' $b
    printf 'Content-Transfer-Encoding: base64\n\n'
    cat folded
    printf -- '--%s--\n' $b
} | sip "multipart/mixed;boundary=$b" > sip.b64
opens sip.b64
for f in csk.raw csk.hex form.base64 form.sdp session sip.parts; do
    want 0 "$MIKEY" inspect $f
    has out 'CSB ID'
    want 0 "$MIKEY" inspect --json $f
    has out '"payload":"HDR"'
    has out ',"verdict":"well-formed"}'
    has out '"form":"'
done
"$MIKEY" inspect < csk.raw > out 2> err || bad "standard input"
has out 'from raw'
"$MIKEY" open --keys bobkeys --as $B --at $AT --json - < csk.hex > out 2> err ||
    bad "standard input, open"
has out '"opened"'

# ---- input refused -------------------------------------------------------
: > empty
echo 'hello, world' > words
head -c 200 form.b64 | sed 's/A/*/2' > star
printf 'v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n' > nokey
sip text/plain < words > sip.other
sip "multipart/mixed;boundary=zz" < parts > sip.nobound
sip "multipart/mixed" < parts > sip.noparam
sed '$d' parts | sip "multipart/mixed;boundary=$b" > sip.open
head -c 400 sip.plain > sip.cut
refuses no-mikey '' empty
refuses no-mikey text words
refuses no-mikey SDP nokey
refuses no-mikey SIP sip.other
refuses bad-encoding multipart sip.nobound
refuses bad-encoding Content-Type sip.noparam
refuses truncated Content-Length sip.cut
sed 's/.$/*/' form.sdp > x
refuses bad-encoding key-mgmt x
{ cat csk.raw; head -c 70000 /dev/zero; } > x
refuses too-large '' x
head -c 1100000 /dev/zero > x
refuses too-large '' x

# ---- octets refused ------------------------------------------------------
want 0 "$MIKEY" inspect csk.hex
cp out fields
t=$(at T 'TS value')
put csk.hex 0 02
refuses version HDR x
put csk.hex 1 05
refuses data-type HDR x
put csk.hex 3 05
refuses prf HDR x
put csk.hex 9 07
refuses cs-id-map HDR x
put csk.hex "$(at RAND 'next payload')" 63
refuses unknown-payload RAND x
put csk.hex "$((t - 1))" 02
refuses time-type T x
put csk.hex "$t" eeb80000
refuses too-new T x
put csk.hex "$t" ed000000
refuses too-old T x
put csk.hex 4 f
refuses purpose-tag HDR x
put csk.hex "$(at SAKKE 'SAKKE params')" 02
refuses sakke-params SAKKE x
put csk.hex "$(at SAKKE 'ID scheme')" 07
refuses id-scheme SAKKE x
put csk.hex "$(at SIGN r)" ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
refuses signature-range SIGN x
put csk.hex "$(at SIGN s)" 0000000000000000000000000000000000000000000000000000000000000000
refuses signature-range SIGN x
n=$(($(at SIGN s) + 31))
put csk.hex $n "$(cut -c $((n * 2 + 1))-$((n * 2 + 2)) csk.hex |
    tr 0123456789abcdef 1032547698badcfe)"
refuses signature SIGN x
put csk.hex "$(at SIGN PVT)" 05
refuses pvt SIGN x
put csk.hex "$(($(at SAKKE R) + 9))" 0000
refuses signature SIGN x
put csk.hex "$(at SIGN 'S type, length')" 1081
refuses signature-type SIGN x
put csk.hex "$(at SIGN 'S type, length')" 2080
want 1 "$MIKEY" open --keys bobkeys --as $B --at $AT x
{ tr -d '\n' < csk.hex; echo 00; } > x
refuses trailing-octets SIGN x
head -c 600 csk.hex > x
want 1 "$MIKEY" open --keys bobkeys --as $B --at $AT x
says reason=truncated
has_no out verdict
refuses initiator IDRi csk.hex --from sip:mallory@mcx.test
want 0 "$MIKEY" build --keys keys --from $A --to $B --kind csk --at $AT \
    --hide-initiator --format hex
cp out hidden
refuses initiator-hidden IDRuidi hidden
opens hidden --from $A
has out "\"from\":\"$A\""
refuses initiator IDRuidi hidden --from sip:mallory@mcx.test
want 1 "$MIKEY" open --keys keys --as $A --at $AT --json csk.hex
has out '"reason":"responder"'
want 0 "$MIKEY" build --keys keys --from $A --to $B --kind csk --at $AT \
    --sakke-to-self --format hex
cp out own
opens own
want 0 "$MIKEY" open --keys keys --as $A --at $AT --json own
want 1 "$MIKEY" open --keys bobkeys --as $B --at 2026-03-01T08:06:00Z --json csk.hex
has out '"reason":"too-old"'
want 0 "$MIKEY" open --keys bobkeys --as $B --at 2026-03-01T08:06:00Z --stored --json csk.hex
want 1 "$MIKEY" open --keys bobkeys --as $B --at 2026-03-01T07:54:00Z --json csk.hex
has out '"reason":"too-new"'
# A GSK under a GMK: unsigned, signed, and what goes wrong with it.
printf '00112233445566778899aabbccddeeff\n' > gmk
printf 'ffeeddccbbaa99887766554433221100' > gmk2
for signed_ in '' "--keys keys --from $A"; do
    # shellcheck disable=SC2086
    want 0 "$MIKEY" build --kind gsk --psk-file gmk --psk-id 0abcdef1 $signed_ \
        --at $AT --format hex
    cp out gsk
    # shellcheck disable=SC2086
    want 0 "$MIKEY" open --psk-file gmk --psk-id 0abcdef1 $signed_ --at $AT --json gsk
    has out '"kind":"gsk"'
    want 0 "$MIKEY" open --psk-file gmk --at $AT --show-secrets gsk
    has out 'key      '
    want 1 "$MIKEY" open --psk-file gmk2 --at $AT --json gsk
    has out '"reason":"mac"'
    want 1 "$MIKEY" open --psk-file gmk --psk-id 0abcdef2 --at $AT --json gsk
    has out '"reason":"no-gmk"'
    want 1 "$MIKEY" open --keys keys --as $A --at $AT --json gsk
    has out '"reason":"data-type"'
    want 1 "$MIKEY" open --psk-file gmk --at 2026-03-01T08:06:00Z --json gsk
    has out '"reason":"too-old"'
    want 0 "$MIKEY" inspect gsk
    has out KEMAC
done
want 1 "$MIKEY" open --psk-file gmk --keys keys --from $B --at $AT --json gsk
has out '"reason":"signature"'
want 0 "$MIKEY" build --kind gsk --psk-file gmk --psk-id 0abcdef1 --at $AT \
    --key-file gmk2 --key-id 89abcdef --format csv
has out ';;89abcdef;'
want 0 "$MIKEY" build --kind gsk --psk-file gmk --psk-id 0abcdef1 --at $AT \
    --key-file gmk2 --key-id 89abcdef --format sdp
cp out gsk
want 0 "$MIKEY" open --psk-file gmk --at $AT --show-secrets --json gsk
has out '"key":"ffeeddccbbaa99887766554433221100"'
want 1 "$MIKEY" open --psk-file gmk --keys keys --from $A --at $AT --json gsk
has out '"reason":"missing-payload"'
# Every kind, each way.
for kind_ in gmk pck csk mkfc mscck musik; do
    want 0 "$MIKEY" build --keys keys --from $A --to $B --kind $kind_ --at $AT \
        --format base64
    cp out any
    want 0 "$MIKEY" open --keys bobkeys --as $B --from $A --at $AT --json any
    has out "\"kind\":\"$kind_\""
done
# Bob has one period only, alice two.
want 0 "$MIKEY" build --keys keys --from $A --to $B --kind csk \
    --at 2026-04-10T00:00:00Z --format hex
cp out later
want 1 "$MIKEY" open --keys bobkeys --as $B --at 2026-04-10T00:00:00Z --json later
has out '"reason":"no-period-key"'
want 0 "$MIKEY" build --keys keys --from $A --to sip:carol@mcx.test \
    --kind csk --at $AT --format hex
cp out carol
want 1 "$MIKEY" open --keys keys --as sip:carol@mcx.test --at $AT --json carol
has out '"reason":"no-identity"'
# A KMS that bob does not know.
want 0 "$KMS" init kms2 --plain --kms-uri kms.else.test
want 0 "$KMS" issue kms2 --user sip:eve@else.test --at $AT --out keys3
cp keys/kms-* keys3
want 0 "$MIKEY" build --keys keys3 --from sip:eve@else.test --to $B \
    --kind csk --at $AT --format hex
cp out eve
refuses kms-unknown IDRkmsi eve
# A revoked certificate.
mkdir revoked && cp keys/* revoked
sed -i 's,<UserIdFormat>,<Revoked>true</Revoked>&,' revoked/kms-*.xml
want 1 "$MIKEY" open --keys revoked --as $B --at $AT --json csk.hex
grep -Eq '"reason":"(certificate-revoked|no-identity)"' out ||
    bad "revoked: $(cat out)"
# A pre-shared key message: judged by its shape, then not handled here.
printf '0100050012345678000105000b00ed0000000000000000' > x
want 1 "$MIKEY" open --keys bobkeys --as $B --at $AT x

# ---- every prefix, one octet off, and noise: 0, 1 or 2 -------------------
size=$(($(wc -c < csk.hex) / 2))
n=0
while [ $n -lt $size ]; do
    head -c $((n * 2)) csk.hex > x
    want 1 "$MIKEY" open --keys bobkeys --as $B --at $AT --json x
    has out '"verdict":"refused"'
    n=$((n + 23))
done
n=0
while [ $n -lt 200 ]; do
    case $((n % 4)) in
    0) head -c $((n * 3 + 1)) /dev/urandom > x ;;
    1) { printf '\001\032'; head -c $((n * 3)) /dev/urandom; } > x ;;
    2) # one random octet at a random place
        r=$(od -An -N 4 -tu4 /dev/urandom | tr -d ' ')
        put csk.hex $((r % size)) "$(od -An -N 1 -tx1 /dev/urandom | tr -d ' ')"
        ;;
    3) # the same in a SIP message
        r=$(od -An -N 4 -tu4 /dev/urandom | tr -d ' ')
        s=$(wc -c < sip.parts)
        { head -c $((r % s)) sip.parts; head -c 1 /dev/urandom
          tail -c +$((r % s + 2)) sip.parts; } > x ;;
    esac
    if [ $((n % 2)) = 0 ]; then
        "$MIKEY" inspect --json x > out 2> err
    else
        "$MIKEY" open --keys bobkeys --as $B --at $AT --json x > out 2> err
    fi
    s=$?
    done_=$((done_ + 1))
    case $s in
    0 | 1) ;;
    *) bad "noise: exit $s"; cp x "$top/test_tools.noise" ;;
    esac
    n=$((n + 1))
done

# ---- usage and configuration: 2 ------------------------------------------
want 0 "$MIKEY" --help
has out show-secrets
want 0 "$MIKEY" --version
for bad_ in '' 'frob' 'open' 'open --keys keys' "open --as $B" \
    "open --keys nowhere --as $B csk.hex" "open --keys kms2/x --as $B" \
    "open --keys keys --as $B --at noon csk.hex" \
    "open --keys keys --as $B nofile" "open --keys keys --as $B --frob" \
    "open --keys keys --as $B --peer frob csk.hex" 'inspect a b c' \
    'inspect --keys keys csk.hex' 'inspect nofile' 'build --keys keys' \
    "build --keys keys --from $A --to $B --kind frob" \
    "build --keys keys --from $A --to $B --kind spk" \
    "build --kind gsk --psk-file gmk" \
    "build --kind gsk --psk-id 0abcdef1" \
    "build --kind gsk --psk-file nofile --psk-id 0abcdef1" \
    "build --kind gsk --psk-file words --psk-id 0abcdef1" \
    "build --kind gsk --psk-file gmk --psk-id 0abcdef1 --to $B" \
    "build --kind gsk --psk-file gmk --psk-id 0abcdef1 --from $A" \
    "build --keys keys --from $A --to $B --kind csk --psk-file gmk" \
    "open --psk-file gmk --keys keys gsk" \
    "open --psk-file gmk --as $B gsk" "open --psk-file words gsk" \
    'inspect --psk-file gmk gsk' \
    "build --keys keys --from $A --to $B --kind csk --format frob" \
    "build --keys keys --from $A --to $B --kind csk --key-file key" \
    "build --keys keys --from $A --to $B --kind csk --key-id 1abcdef0" \
    "build --keys keys --from $A --to $B --kind csk --key-id 2abc" \
    "build --keys keys --from $A --to $B --kind csk --key-id 2abcdef0 --key-file words" \
    "build --keys keys --from sip:eve@x --to $B --kind csk --at $AT"; do
    # shellcheck disable=SC2086
    want 2 "$MIKEY" $bad_
    says mcx-mikey:
done
mkdir broken && cp keys/* broken
sed -i 's,<UserDecryptKey [^>]*>04,&04,' broken/user-*alice*.xml
want 2 "$MIKEY" open --keys broken --as $B --at $AT csk.hex
has err 'broken/user-sip%3Aalice%40mcx.test-1536.xml:'
says UserDecryptKey
cp keys/user-*alice* broken/
sed -i '2i<!DOCTYPE a>' broken/user-*bob*.xml
want 2 "$MIKEY" open --keys broken --as $B --at $AT csk.hex
says DOCTYPE
mkdir nocert && cp keys/user-* nocert
want 2 "$MIKEY" open --keys nocert --as $B --at $AT csk.hex
"$MIKEY" inspect csk.hex > /dev/full 2> err
[ $? = 2 ] || bad "a full disk"

# ---- foreign messages ----------------------------------------------------
vec() { # vec PATH
    sed -n "s/^$1 = //p" "$VEC"
}
mkdir foreign
kms_uri=$(vec kms.uri)
head_() {
    printf '<?xml version="1.0"?>\n<KmsResponse xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0">'
    printf '<UserUri>x@y</UserUri><KmsUri>%s</KmsUri><Time>2026-03-01T08:00:00Z</Time>' "$kms_uri"
    printf '<ClientReqUrl>https://x/</ClientReqUrl><KmsMessage>\n'
}
{
    head_
    printf '<KmsInit><KmsCertificate><KmsUri>%s</KmsUri>\n' "$kms_uri"
    printf '<UserIdFormat>2</UserIdFormat><UserKeyPeriod>%s</UserKeyPeriod>' "$(vec kms.user_key_period)"
    printf '<UserKeyOffset>%s</UserKeyOffset>\n' "$(vec kms.user_key_offset)"
    printf '<PubEncKey>%s</PubEncKey>\n<PubAuthKey>%s</PubAuthKey>\n' "$(vec kms.Z)" "$(vec kms.KPAK)"
    printf '</KmsCertificate></KmsInit></KmsMessage></KmsResponse>\n'
} > foreign/cert.xml
{
    head_
    printf '<KmsKeyProv>\n'
    for u in 0 1 2 3; do
        printf '<KmsKeySet><KmsUri>%s</KmsUri><UserUri>%s</UserUri>\n' "$kms_uri" "$(vec "users\[$u\].uri")"
        printf '<UserID>%s</UserID><KeyPeriodNo>%s</KeyPeriodNo>\n' "$(vec "users\[$u\].uid")" "$(vec kms.key_period_no)"
        printf '<UserDecryptKey>%s</UserDecryptKey>\n' "$(vec "users\[$u\].RSK")"
        printf '<UserSigningKeySSK>%s</UserSigningKeySSK>\n' "$(vec "users\[$u\].SSK")"
        printf '<UserPubTokenPVT>%s</UserPubTokenPVT></KmsKeySet>\n' "$(vec "users\[$u\].PVT")"
    done
    printf '</KmsKeyProv></KmsMessage></KmsResponse>\n'
} > foreign/keys.xml
for m in 0 1 2 3; do
    vec "messages\[$m\].I_MESSAGE" > foreign.hex
    want 0 "$MIKEY" inspect foreign.hex
    # T as inspect shows it is the clock.
    t=$(sed -n 's/^.* TS value .*-- \([0-9T:.-]*Z\).*/\1/p' out)
    from=$(vec "messages\[$m\].initiator_uri")
    to=$(vec "messages\[$m\].responder_uri")
    # The last has its key parameters in clear, which the strict profile does
    # not take.
    peer=
    if [ $m = 3 ]; then
        peer='--peer rel13-params'
        want 1 "$MIKEY" open --keys foreign --as "$to" --from "$from" \
            --at "$t" --json foreign.hex
        has out '"reason":"key-parameters"'
    fi
    # shellcheck disable=SC2086
    want 0 "$MIKEY" open --keys foreign --as "$to" --from "$from" --at "$t" \
        --json --show-secrets $peer foreign.hex
    has out "\"key\":\"$(vec "messages\[$m\].key")\""
    has out "\"kind\":\"$(vec "messages\[$m\].key_type" | tr A-Z a-z)\""
    has out "\"from\":\"$from\",\"to\":\"$to\""
    want 1 "$MIKEY" open --keys foreign --as "$to" --from "$to" --at "$t" \
        --json foreign.hex
    has out '"reason":"initiator"'
done

# ---- the manual page lists the reasons, all and no other -----------------
tr -d '\n\\' < "$srcdir/include/sofia-mcx/mcx_err.h" |
    grep -oE 'X\([A-Z0-9_]+, +"[a-z0-9-]+"' | sed 's/.*"\(.*\)"/\1/' |
    sort > listed
sed -n '/^\.Sh REASONS/,/^\.Sh EXAMPLES/s/^\.It Cm //p' \
    "$srcdir/sip-glue/tools/mcx-mikey.1" | sort > manual
[ -s listed ] && [ "$(wc -l < listed)" -gt 40 ] || bad "no reasons found"
cmp -s listed manual || bad "reasons: $(diff listed manual)"

[ $failed = 0 ] && echo "test_tools: $done_ runs, as they should be"
[ $failed = 0 ]
