#!/bin/sh
# test_check_tree.sh -- tests of check-tree: a small good tree passes, and
# each small fault is found, by the rule that is meant.
here=$(cd "$(dirname "$0")" && pwd)
check=$here/check-tree
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
fails=0
count=0

# A tree with one file of each floor, nothing wrong in it.
good() {
    rm -rf "$dir/t"
    mkdir -p "$dir/t/include/sofia-mcx" "$dir/t/test-scenarios"
    for d in base ident mikey keys text xml; do
        mkdir -p "$dir/t/modules/core/$d"
        printf '/* a.c -- x. */\n#include <config.h>\n' \
            > "$dir/t/modules/core/$d/a.c"
    done
    for d in host sofia tools; do
        mkdir -p "$dir/t/sip-glue/$d"
        printf '/* a.c -- x. */\n#include <sofia-sip/nua.h>\n' \
            > "$dir/t/sip-glue/$d/a.c"
    done
    mkdir -p "$dir/t/modules/srtp" "$dir/t/modules/csk-up"
    for m in srtp csk_up; do
        d=$dir/t/modules/$(echo $m | tr _ -)
        touch "$d/README" "$d/local.mk"
        printf '/* %s_module.c -- x. */\n#include "own.h"\n' $m \
            > "$d/${m}_module.c"
        printf '/* test_a.c -- x. */\n#include <cmocka.h>\n' > "$d/test_a.c"
        printf '/* own.h -- x. */\n' > "$d/own.h"
    done
    {
        echo '/* mcx_secret.h -- x. */'
        echo '#ifndef MCX_SECRET_H'
        echo '#define MCX_SECRET_H'
        echo '#define MCX_SECRET_TYPE(tag) struct tag'
        echo 'struct mcx_ssv { unsigned char b[16]; };'
        echo 'MCX_SECRET_TYPE(mcx_ssv);'
        echo '#endif'
    } > "$dir/t/include/sofia-mcx/mcx_secret.h"
}

# passes NAME [OPTION]
passes() {
    count=$((count + 1))
    if ! out=$("$check" ${2:+"$2"} "$dir/t" 2>&1) || [ -n "$out" ]; then
        echo "FAIL: $1: refused: $out"
        fails=$((fails + 1))
    fi
}

# refused NAME PATTERN [OPTION]: one line of output, and it is this one
refused() {
    count=$((count + 1))
    if out=$("$check" "${3:---fast}" "$dir/t" 2>&1); then
        echo "FAIL: $1: passed"
        fails=$((fails + 1))
    elif ! echo "$out" | grep -q -e "$2"; then
        echo "FAIL: $1: wrong reason: $out"
        fails=$((fails + 1))
    elif [ "$(echo "$out" | wc -l)" -ne 1 ]; then
        echo "FAIL: $1: more than one: $out"
        fails=$((fails + 1))
    fi
}

# line FILE TEXT: the good tree with one more line in a file
line() {
    good
    printf '%s\n' "$2" >> "$dir/t/$1"
}
ok() {
    line "$1" "$2"
    passes "$1: $2" --fast
}
no() {
    line "$1" "$2"
    refused "$1: $2" "^$1:[0-9]*: $3: "
}

good
passes "the good tree"
passes "the good tree, fast" --fast

# Public headers by floor.
for row in base:secret base:env ident:ident mikey:mikey mikey:ident \
    keys:keys keys:mikey text:config text:keys text:kms xml:kms; do
    ok "modules/core/${row%:*}/a.c" "#include <sofia-mcx/mcx_${row#*:}.h>"
done
for row in base:ident base:mikey ident:mikey ident:keys mikey:keys \
    mikey:kms keys:kms keys:config text:module text:sofia xml:module \
    base:tag; do
    no "modules/core/${row%:*}/a.c" "#include <sofia-mcx/mcx_${row#*:}.h>" \
        floor
done
no modules/core/text/a.c '#include <sofia-mcx/mcx.h>' floor
no modules/core/keys/a.c '  #  include <sofia-mcx/mcx_kms.h>' floor
ok modules/srtp/srtp_module.c '#include <sofia-mcx/mcx_module.h>'

# Private headers.
ok modules/core/mikey/a.c '#include "../base/rd.h"'
ok modules/core/mikey/a.c '#include "base/wr.h"'
ok modules/core/mikey/a.c '#include "pl.h"'
ok modules/core/keys/a.c '#include "keys/store.h"'
no modules/core/mikey/a.c '#include "../base/guts.h"' floor
no modules/core/keys/a.c '#include "../mikey/pl.h"' floor
no modules/core/keys/a.c '#include "mikey/pl.h"' floor
no modules/srtp/srtp_module.c '#include "../csk-up/own.h"' floor
no modules/srtp/test_a.c '#include "../csk-up/own.h"' floor
ok modules/srtp/test_a.c '#include "../test-host/test_host.h"'
no modules/srtp/srtp_module.c '#include "../test-host/test_host.h"' floor
no modules/srtp/srtp_module.c '#include "base/rd.h"' floor
no modules/srtp/srtp_module.c '#include "../own.h"' floor
no sip-glue/tools/a.c '#include "../../modules/core/keys/store.h"' floor
no sip-glue/host/a.c '#include "../sofia/mime.h"' floor
ok sip-glue/sofia/a.c '#include "../host/pool.h"'
no include/sofia-mcx/mcx_secret.h '#include "base/rd.h"' floor
no modules/core/keys/a.c '#include STORE_H' floor

# Libraries.
no modules/core/base/a.c '#include <sofia-sip/su.h>' floor
no include/sofia-mcx/mcx_secret.h '#include <sofia-sip/su.h>' floor
no modules/srtp/srtp_module.c '#include <curl/curl.h>' floor
ok modules/srtp/srtp_module.c '#include <sofia-sip/su.h>'
for d in ident mikey keys; do
    ok modules/core/$d/a.c '#include <openssl/evp.h>'
done
for f in modules/core/base/a.c modules/core/text/a.c modules/core/xml/a.c \
    modules/srtp/srtp_module.c sip-glue/host/a.c sip-glue/tools/a.c; do
    no $f '#include <openssl/evp.h>' floor
done
ok modules/core/xml/a.c '#include <libxml/parser.h>'
no modules/core/text/a.c '#include <libxml/parser.h>' floor
no sip-glue/sofia/a.c '#include <libxml/parser.h>' floor
ok modules/srtp/srtp_module.c '#include <srtp2/srtp.h>'
no modules/csk-up/csk_up_module.c '#include <srtp2/srtp.h>' floor
no sip-glue/tools/a.c '#include <srtp2/srtp.h>' floor
no modules/core/base/a.c '#include <sys/socket.h>' floor
no modules/core/text/a.c '#include <netinet/in.h>' floor
ok sip-glue/tools/a.c '#include <sys/socket.h>'
ok modules/core/base/a.c '#include <time.h>'
no modules/core/keys/a.c '#include <time.h>' floor
no modules/core/ident/a.c '#include <sys/random.h>' floor
ok sip-glue/host/a.c '#include <dlfcn.h>'
no sip-glue/tools/a.c '#include <dlfcn.h>' floor
no modules/core/keys/a.c '#include <cmocka.h>' floor

# Banned calls; not in comments and strings, and not names that contain them.
for c in strcpy strcat sprintf vsprintf strtok gets system popen; do
    no modules/core/keys/a.c "    $c(a, b);" banned
    ok modules/core/keys/a.c "    my_$c(a, b); ${c}_r(a); x.f$c(b);"
    ok modules/core/keys/a.c "/* $c(a) */ char *s = \"\\\"$c(b)\";"
done
no modules/core/keys/a.c '    (void) sprintf (a, b);' banned
no modules/core/keys/a.c '/* x */ strcpy(a, b); /* y */' banned
no modules/core/keys/a.c "    c = '\"'; strcpy(a, b); d = '\"';" banned
no sip-glue/sofia/a.c '    m = msg_multipart_parse(home, c, p);' banned
no sip-glue/sofia/a.c '    f = msg_multipart_parse;' banned
no modules/core/keys/a.c '    return memcmp(a, b, n);' banned
ok modules/srtp/test_a.c '    return memcmp(a, b, n);'

# Secrets.
body() {
    printf 'void\nf(void)\n{\n%s\n}' "$1"
}
no modules/core/keys/a.c "$(body '    struct mcx_ssv ssv;')" secret
no modules/core/keys/a.c "$(body '    struct mcx_ssv a = { 0 }, *b;')" secret
no modules/core/keys/a.c "$(body '    static struct mcx_ssv ssv;')" secret
ok modules/core/keys/a.c "$(body '    MCX_SECRET(mcx_ssv, ssv);')"
ok modules/core/keys/a.c "$(body '    const struct mcx_ssv *ssv;')"
ok modules/core/keys/a.c "$(body '    struct mcx_uid ssv;')"
ok modules/core/keys/a.c 'struct x {
    struct mcx_ssv ssv;
};'

# Style.
no modules/core/keys/a.c "$(printf '\tint x;')" style
no modules/core/keys/a.c "$(printf '%080d' 0)" style
ok modules/core/keys/a.c "$(printf '%079d' 0)"
for w in TO:DO FIX:ME X:XX HA:CK TB:D; do
    no modules/core/keys/a.c "/* ${w%:*}${w#*:}: later */" unfinished
    ok modules/core/keys/a.c "int A${w%:*}${w#*:}B;"
done
good
printf '/* b.c -- x. */\n' > "$dir/t/modules/core/keys/a.c"
refused "another file's name" '^modules/core/keys/a.c:1: comment: '
good
printf 'int x;\n' > "$dir/t/modules/core/keys/a.c"
refused "no comment" '^modules/core/keys/a.c:1: comment: '

# Modules.
for f in README local.mk csk_up_module.c; do
    good
    rm "$dir/t/modules/csk-up/$f"
    refused "no $f" "^modules/csk-up:1: module: has no $f"
done
good
rm "$dir/t/modules/csk-up/test_a.c"
passes "no test, fast" --fast
count=$((count + 1))
if out=$("$check" "$dir/t" 2>&1) \
    || [ "$out" != "modules/csk-up:1: module: has no test_*.c" ]; then
    echo "FAIL: no test: $out"
    fails=$((fails + 1))
fi

# Headers.
line include/sofia-mcx/mcx_secret.h 'size_t mcx_size(void);'
passes "header that needs another, fast" --fast
count=$((count + 1))
if out=$("$check" "$dir/t" 2>&1) \
    || ! echo "$out" | grep -q '^include/.*: header: does not compile'; then
    echo "FAIL: header that needs another: $out"
    fails=$((fails + 1))
fi

# No source at all is no success.
count=$((count + 1))
mkdir "$dir/empty"
if "$check" --fast "$dir/empty" > /dev/null 2>&1; then
    echo "FAIL: an empty tree passed"
    fails=$((fails + 1))
fi

echo "$count cases, $fails failed"
[ "$fails" -eq 0 ]
