#!/bin/sh
# fuzz-run.sh SECONDS -- libFuzzer on every target, SECONDS each (build with
# --enable-fuzzing and clang).  New inputs stay in the build folder; crashers
# are named and fail the run.
set -u
: "${SRCDIR:?}" "${BUILD:?}" "${1:?seconds}"
failed=0
for t in $FUZZ_TARGETS; do
    mkdir -p "$BUILD/fuzz/$t"
    if MCX_DEBUG=0 "$BUILD/fuzz_$t" -max_total_time="$1" -timeout=20 -rss_limit_mb=3000 \
        -max_len=8192 -print_final_stats=1 -artifact_prefix="$BUILD/fuzz/crash-$t-" \
        "$BUILD/fuzz/$t" "$SRCDIR/test-scenarios/fuzz/corpus/$t" \
        >"$BUILD/fuzz/$t.log" 2>&1; then
        printf 'PASS: fuzz_%s %s\n' "$t" "$(grep -o 'stat::number_of_executed_units: *[0-9]*' "$BUILD/fuzz/$t.log" | tr -s ' ')"
    else
        printf 'FAIL: fuzz_%s\n' "$t"
        tail -n 30 "$BUILD/fuzz/$t.log"
        failed=1
    fi
done
exit $failed
