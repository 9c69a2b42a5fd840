# lib.sh -- what demo and scenarios share: a private /24 on loopback, programs
# started and ended by process id, checks that are counted and drawn as a table.
# Sourced by bash.  Wants SRCDIR and BUILD (absolute).
# shellcheck shell=bash

: "${SRCDIR:?}" "${BUILD:?}"
PATH=$BUILD:$PATH
export MCX_MODULE_DIR=${MCX_MODULE_DIR:-$BUILD/.libs}
export LC_ALL=C

W=$(mktemp -d "${TMPDIR:-/tmp}/mcx.XXXXXX") || exit 1
PIDS=()
CHECKS=()
FAILED=0

# A network of our own inside 127.0.0.0/8, so that runs side by side never meet.
r=$(od -An -N2 -tu2 /dev/urandom)
NET=127.$((1 + r / 256 % 250)).$((1 + r % 250))
unset r

now_ms() { date +%s%3N; }

# start NAME COMMAND...: runs it with output in $W/NAME.out and .err.
start() {
    local name=$1
    shift
    "$@" >"$W/$name.out" 2>"$W/$name.err" </dev/null &
    PIDS+=($!)
    eval "PID_$name=$!"
}

# stop NAME: TERM, then KILL after 3 s.
stop() {
    local var=PID_$1 pid i
    pid=${!var:-}
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null
    for i in $(seq 30); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    eval "PID_$1="
}

finish() {
    local p
    for p in "${PIDS[@]:-}"; do
        [ -n "$p" ] && kill "$p" 2>/dev/null
    done
    for p in "${PIDS[@]:-}"; do
        [ -n "$p" ] && { sleep 0.05; kill -9 "$p" 2>/dev/null; wait "$p" 2>/dev/null; }
    done
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $W"
    else
        rm -rf "$W"
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# ctl NAME COMMAND...: one command to the control socket of NAME.
ctl() {
    local name=$1
    shift
    mcx-ua --connect "$W/$name.sock" "$@"
}

# check TEXT COMMAND...: runs it; a row of the table.
check() {
    local text=$1
    shift
    if "$@" >"$W/check.log" 2>&1; then
        CHECKS+=("pass|$text")
        return 0
    fi
    CHECKS+=("FAIL|$text")
    FAILED=$((FAILED + 1))
    {
        echo "FAILED: $text"
        echo "  command: $*"
        sed 's/^/  /' "$W/check.log" | tail -n 12
    } >&2
    return 1
}

not() { ! "$@"; }

# value NAME LINE: the value of NAME=value in an event line.
value() {
    printf '%s\n' "$2" | sed -n "s/.*[ ]$1=\"\{0,1\}\([^ \"]*\).*/\1/p" | head -n 1
}

table() {
    local row
    echo
    printf '  %-6s %s\n' result 'what was checked'
    printf '  %-6s %s\n' ------ '----------------------------------------------------------------'
    for row in "${CHECKS[@]}"; do
        printf '  %-6s %s\n' "${row%%|*}" "${row#*|}"
    done
    echo
    echo "  $((${#CHECKS[@]} - FAILED)) of ${#CHECKS[@]} checks passed"
}

PSI=sip:pf.mcx.test
KMS=kms.mcx.test

# make_kms USER...: a KMS in $W/kms and a folder of key sets $W/keys/NAME each.
# USER is NAME=URI; "pf" stands for the PSI.
make_kms() {
    local u
    mkdir -p "$W/keys" && mcx-kms init "$W/kms" --kms-uri "$KMS" ${PERIOD:+--period $PERIOD} >"$W/kms.log" 2>&1 || return 1
    for u in "$@"; do
        mcx-kms issue "$W/kms" --user "${u#*=}" --periods 2 \
            --out "$W/keys/${u%%=*}" >>"$W/kms.log" 2>&1 || return 1
    done
}

# conf NAME ADDRESS IDENTITY [LINE...]: a configuration file $W/NAME.conf.  Keys
# come from $W/keys/NAME where there is such a folder.
conf() {
    local name=$1 addr=$2 id=$3
    shift 3
    {
        echo "identity = $id"
        echo "psi = $PSI"
        [ ! -d "$W/keys/$name" ] || echo "keys = $W/keys/$name"
        echo "module-dir = $MCX_MODULE_DIR"
        echo "control = $W/$name.sock"
        echo "host-name = $name.mcx.test"
        echo "listen = sip:$addr:5060;transport=${TRANSPORT:-udp}"
        printf '%s\n' "$@"
    } >"$W/$name.conf"
}
