#!/bin/sh
# test_kms_sec.sh -- mcx-kms serve with transport and integrity keys, from the
# outside: requests signed by the xmlsec1 command, answers judged by it and by
# a schema, refusals with their code; then module kms in a real host with
# security = wrapped, through a change of keys and a restart.
# Run by `make check` in the build folder; $srcdir names the source.
set -u
srcdir=${srcdir:-.}
top=$(pwd)
KMS=$top/mcx-kms
case $srcdir in /*) ;; *) srcdir=$top/$srcdir ;; esac
XSD=$srcdir/sip-glue/kms-server/kms.xsd
for tool_ in curl openssl sqlite3 xmllint xmlsec1 perl; do
    command -v $tool_ > /dev/null || { echo "needs $tool_"; exit 1; }
done
dir=$(mktemp -d "$top/test_kms_sec.XXXXXX") || exit 99
cd "$dir" || exit 99
failed=0
done_=0
server=
ua=
NS=urn:3gpp:ns:mcsecKMSInterface:1.0
A=sip:ada@mc.test
B=sip:bob@mc.test

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}
stop() {
    [ -n "$server" ] && kill "$server" 2> /dev/null && wait "$server"
    server=
}
finish() {
    [ -n "$ua" ] && kill "$ua" 2> /dev/null
    stop
    cd "$top" && { [ -n "${KEEP:-}" ] || rm -rf "$dir"; }
}
trap finish EXIT

# want STATUS COMMAND...
want() {
    want_=$1
    shift
    "$@" > out 2> err < /dev/null
    got_=$?
    done_=$((done_ + 1))
    [ "$got_" = "$want_" ] ||
        bad "exit $got_, not $want_: $* ($(head -c 300 err))"
}

# start [OPTION...]: the server of ./kms; the same port again after the first.
port=0
start() {
    rm -f serve.out
    "$KMS" serve kms --key-file key --listen 127.0.0.1:$port \
        --tls-cert tls.pem --tls-key tls.key --token-key kms/token.pub \
        --fresh 60 "$@" > serve.out 2>> serve.log &
    server=$!
    n_=0
    while ! grep -qs " at " serve.out && [ $n_ -lt 200 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    port=$(sed 's/.*://' serve.out)
    [ -n "$port" ] || { bad "no server: $(cat serve.log)"; exit 1; }
    U=https://127.0.0.1:$port/keymanagement/identity/v1
}

# id KIND FILE, octets KIND FILE: of a key
id() {
    sed -n "s/^$1 \([^ ]*\) .*/\1/p" "$2"
}
octets() {
    perl -ne "print pack('H*', \$1) if /^$1 \S+ (\S+)/" "$2"
}

# message RESOURCE [EXTRA]: a KmsRequest in ./plain.xml
message() {
    cat > plain.xml << X
<KmsRequest xmlns="$NS" Id="r" Version="1.1.0">
<UserUri>${user:-$A}</UserUri><KmsUri>kms.test</KmsUri>
<Time>$(date -u +%FT%TZ)</Time><ClientReqUrl>$U/$1</ClientReqUrl>${2:-}
</KmsRequest>
X
}
# sign KEYS [NAME]: ./plain.xml signed by xmlsec1 with the InK of the file
# KEYS, in ./req.xml
sign() {
    octets ink "$1" > hmac
    {
        echo "<SignedKmsRequest xmlns=\"$NS\">"
        cat plain.xml
        cat << X
<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>
<CanonicalizationMethod
 Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>
<SignatureMethod
 Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>
<Reference URI="#r">
<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>
<DigestValue/></Reference></SignedInfo><SignatureValue/>
<KeyInfo><KeyName>${2:-$(id ink "$1")}</KeyName></KeyInfo></Signature>
</SignedKmsRequest>
X
    } > template.xml
    xmlsec1 --sign --hmackey hmac --id-attr:Id $NS:KmsRequest \
        --output req.xml template.xml 2> err || bad "xmlsec1: $(cat err)"
    # It writes the name of its key file there.
    sed -i "s,<KeyName>[^<]*,<KeyName>${2:-$(id ink "$1")}," req.xml
    xmllint --noout --nonet --schema "$XSD" req.xml 2> lint ||
        bad "request: $(cat lint)"
}
# post RESOURCE: ./req.xml; answer in ./ans.xml, status in $status
post() {
    : > ans.xml
    status=$(curl -s -o ans.xml -w '%{http_code}' --max-time 20 \
        --cacert tls.pem -H "Authorization: Bearer ${token:-$T}" \
        -H 'Content-Type: application/xml' --data-binary @req.xml "$U/$1")
    done_=$((done_ + 1))
    xmllint --noout --nonet --schema "$XSD" ans.xml 2> lint ||
        bad "$1: $(cat lint)"
}
# judged KEYS: the answer has the signature of that InK, and the Id of the
# request
judged() {
    grep -q '<KmsResponse[^>]* Id="r"' ans.xml || tr -d '\n' < ans.xml |
        grep -q '<KmsResponse[^>]* Id="r"' || bad "Id of the answer"
    octets ink "$1" > hmac
    xmlsec1 --verify --hmackey hmac --id-attr:Id $NS:KmsResponse ans.xml \
        2> /dev/null > /dev/null || bad "signature of the answer"
    grep -q "<Signature-ID>$(id ink "$1")</Signature-ID>" ans.xml ||
        bad "no Signature-ID"
}
# refused CODE: plainly, and without a key
refused() {
    [ "$status" = 400 ] || bad "status $status, not 400: $(cat ans.xml)"
    grep -q "<ErrorCode>$1</ErrorCode>" ans.xml ||
        bad "not error $1: $(cat ans.xml)"
    grep -q 'UserDecryptKey\|NewTransportKey\|<Signature' ans.xml &&
        bad "keys or a signature in a refusal"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2> /dev/null || exit 99
openssl rand -hex 32 > key

# ---- users and their keys -------------------------------------------------
# A period began five minutes ago, whatever the time: towards its end module
# kms would ask for the keys of the next one as well.
want 0 "$KMS" init kms --kms-uri kms.test --key-file key --period 3600 \
    --offset $((($(date +%s) + 2208988800 - 300) % 3600)) --domain mc.test
want 0 "$KMS" user add kms --key-file key --trk ada.keys $A
[ "$(stat -c %a ada.keys)" = 600 ] || bad "mode of ada.keys"
want 0 "$KMS" user add kms --key-file key $B
want 1 "$KMS" user rekey kms --key-file key $B
want 1 "$KMS" user keys kms --key-file key --trk ada.keys sip:no@mc.test
want 2 "$KMS" user add kms --key-file key --trk ada.keys $A $B
want 2 "$KMS" user keys kms --key-file key $A
want 2 "$KMS" user rekey kms --key-file key
want 2 "$KMS" serve kms --key-file key --listen 127.0.0.1:0 --security much
echo "trk x 00" > bad.keys
want 2 "$KMS" user keys kms --key-file key --trk bad.keys $A
"$KMS" token kms --user $A > ada.token
"$KMS" token kms --user $B > bob.token
T=$(cat ada.token)
user=

# ---- requests and answers -------------------------------------------------
start
message init; sign ada.keys; post init
[ "$status" = 200 ] || bad "signed: $status $(cat ans.xml)"
judged ada.keys
grep -q NewTransportKey ans.xml && bad "new keys that nobody made"
message keyprov; sign ada.keys; post keyprov; judged ada.keys
grep -q 'xsi:type="KeyContentType"' ans.xml || bad "not in clear"
message keyprov "<TrK-ID>$(id trk ada.keys)</TrK-ID>"
sign ada.keys; post keyprov; judged ada.keys
[ "$(grep -o 'xsi:type="EncKeyContentType"' ans.xml | wc -l)" = 3 ] ||
    bad "not wrapped: $(cat ans.xml)"
grep -q 'xsi:type="KeyContentType"' ans.xml && bad "in clear"
cp ans.xml wrapped.xml

# Not signed, though the user has keys.
message keyprov; cp plain.xml req.xml; post keyprov; refused 16
# Signed, and changed; under other keys; with another name; by another user.
message keyprov; sign ada.keys
sed -i 's,</KmsUri>,</KmsUri> ,' req.xml; post keyprov; refused 16
sed 's/[0-9a-f]$/0/; s/^ink \(.*\) ...../ink \1 00000/' ada.keys > eve.keys
message keyprov; sign eve.keys; post keyprov; refused 16
message keyprov; sign ada.keys nobody; post keyprov; refused 16
message keyprov; sign ada.keys "$(id trk ada.keys)"; post keyprov; refused 16
message keyprov '<TrK-ID>other</TrK-ID>'; sign ada.keys; post keyprov
refused 16
message keyprov '<Signature-ID>other</Signature-ID>'; sign ada.keys
post keyprov; refused 16
message keyprov; sign ada.keys
sed -i 's,<Signature .*,,; /<CanonicalizationMethod/,/<\/Signature>/d' req.xml
xmllint --noout req.xml 2> /dev/null || bad "not XML: $(cat req.xml)"
: > "$dir/lint"
status=$(curl -s -o ans.xml -w '%{http_code}' --cacert tls.pem \
    -H "Authorization: Bearer $T" -H 'Content-Type: application/xml' \
    --data-binary @req.xml "$U/keyprov")
refused 16
# A user without keys: plainly, and not with the keys of another.
token=$(cat bob.token)
user=$B
message keyprov; cp plain.xml req.xml; post keyprov
[ "$status" = 200 ] || bad "plain: $status"
message keyprov; sign ada.keys; post keyprov; refused 16
user=
token=
# An error is signed as well.
message keyprov; sed -i 's/kms.test/kms.else/' plain.xml; sign ada.keys
post keyprov
[ "$status" = 400 ] || bad "KmsUri: $status"
judged ada.keys
grep -q '<ErrorCode>2<' ans.xml || bad "not error 2"

# ---- new keys --------------------------------------------------------------
want 0 "$KMS" user rekey kms --key-file key $A
message init; sign ada.keys; post init; judged ada.keys
grep -q 'xsi:type="KmsInitTkIkType"' ans.xml || bad "no new keys"
grep -q '<CarriedKeyName>trk.2.' ans.xml || bad "no name of the new key"
# Nobody came under them: the old ones are good as ever.
message keyprov; sign ada.keys; post keyprov; judged ada.keys
grep -q NewIntegrityKey ans.xml || bad "new keys are offered once only"
# Set up again, and the server wants it all.
stop
for form in padded bare nested; do
    rm -f ada.keys
    want 0 "$KMS" user keys kms --key-file key --trk ada.keys $A
    start --security wrapped --wrap-form $form
    message keyprov; sign ada.keys; post keyprov; judged ada.keys
    grep -q NewIntegrityKey ans.xml && bad "keys offered from before"
    grep -q 'xsi:type="KeyContentType"' ans.xml && bad "in clear ($form)"
    stop
done
start --security signed
token=$(cat bob.token)
user=$B
message init; cp plain.xml req.xml; post init; refused 16
user=
token=
stop

# ---- module kms ------------------------------------------------------------
mkdir cache
conf() {
    cat > ada.conf << X
identity = $A
proxy = sip:127.0.0.1:9
listen = sip:127.0.0.1:*;transport=udp
control = control
modules = kms
module-dir = $top/.libs
[kms]
url = https://127.0.0.1:$port
kms-uri = kms.test
ca-file = tls.pem
token-file = ada.token
cache = cache
cache-key-file = cache.key
refresh = 600
security = wrapped
answer-id = always
transport-keys = ada.keys
X
}
counter() {
    "$top/mcx-ua" --connect control show counters 2> /dev/null |
        awk -v c="$1" '$1 == c { print $2; f = 1 } END { if (!f) print 0 }'
}
# run N: until N requests were made
run() {
    rm -f control
    "$top/mcx-ua" --config ada.conf > ua.out 2>> ua.log &
    ua=$!
    n_=0
    while [ "$(counter kms.requests)" -lt "$1" ] && [ $n_ -lt 150 ]; do
        sleep 0.1
        n_=$((n_ + 1))
    done
    sleep 0.5
    [ "$(counter kms.requests)" = "$1" ] ||
        bad "requests: $(counter kms.requests), not $1"
    [ "$(counter kms.failed)" = 0 ] ||
        bad "failed: $(counter kms.failed) ($(tail -n 4 ua.log))"
    kill "$ua"
    wait "$ua"
    ua=
    done_=$((done_ + 1))
}
want 0 "$KMS" user rekey kms --key-file key $A
start --security wrapped
conf
# Initialize brings new keys; the first keys are asked for under them.
run 2
grep -q 'event identity' ua.out || bad "no keys: $(cat ua.log)"
sqlite3 kms/kms.sqlite "SELECT count(*) FROM audit WHERE what = 'user-keys'" \
    > out
[ "$(cat out)" = 7 ] || bad "audit: $(cat out) changes of keys"
want 0 "$KMS" audit kms --key-file key
# The old ones are none any more; after a restart the new ones are there.
message init; sign ada.keys; post init; refused 16
rm -f cache/kms-0[0-3].sealed
run 2
# A lost cache: nothing but setting the user up again helps.
perl -ne 'print "$1\n" if /^\S+ \S+ (\S+)/' ada.keys > secrets
for s in $(cat secrets); do
    grep -rqiF "$s" kms cache serve.log ua.log ua.out && bad "a key in clear"
    perl -e 'print pack("H*", $ARGV[0])' "$s" > raw
    perl -e 'local $/; open F, "raw"; $k = <F>; for (@ARGV) { open G, $_;
        exit 1 if index(<G>, $k) >= 0; }' kms/kms.sqlite* cache/* ||
        bad "the octets of a key on the disk"
done
stop
echo "$done_ steps, $failed failed"
[ $failed = 0 ]
