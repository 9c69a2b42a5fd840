#!/bin/sh
# fuzz-run.sh SECONDS -- libFuzzer on every target, SECONDS each, as many at a
# time as there are cores (build with --enable-fuzzing and clang).  New inputs
# stay in the build folder; crashers are named and fail the run.
set -u
: "${SRCDIR:?}" "${BUILD:?}" "${1:?seconds}"
cores=$(nproc 2>/dev/null || echo 1)

# one TARGET: its run; leaves TARGET.rc behind.
one() {
    mkdir -p "$BUILD/fuzz/$1"
    MCX_DEBUG=0 "$BUILD/fuzz_$1" -max_total_time="$2" -timeout=20 \
        -rss_limit_mb=3000 -max_len=8192 -print_final_stats=1 \
        -artifact_prefix="$BUILD/fuzz/crash-$1-" \
        "$BUILD/fuzz/$1" "$SRCDIR/test-scenarios/fuzz/corpus/$1" \
        >"$BUILD/fuzz/$1.log" 2>&1
    echo $? >"$BUILD/fuzz/$1.rc"
}

mkdir -p "$BUILD/fuzz"
rm -f "$BUILD"/fuzz/*.rc
running=0
for t in $FUZZ_TARGETS; do
    one "$t" "$1" &
    running=$((running + 1))
    if [ $running -ge "$cores" ]; then
        wait
        running=0
    fi
done
wait
failed=0
for t in $FUZZ_TARGETS; do
    if [ "$(cat "$BUILD/fuzz/$t.rc" 2>/dev/null)" = 0 ]; then
        printf 'PASS: fuzz_%s %s\n' "$t" \
            "$(grep -o 'stat::number_of_executed_units: *[0-9]*' \
                "$BUILD/fuzz/$t.log" | tr -s ' ')"
    else
        printf 'FAIL: fuzz_%s\n' "$t"
        tail -n 30 "$BUILD/fuzz/$t.log"
        failed=1
    fi
done
exit $failed
