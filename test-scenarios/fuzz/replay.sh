#!/bin/sh
# replay.sh -- every fuzz target over its corpus and old crashers, each input
# also with a few random changes; part of `make check`.  One line a target.
set -u
: "${SRCDIR:?}" "${BUILD:?}"
failed=0
for t in $FUZZ_TARGETS; do
    case $t in
    open) n=6 ;;
    sip) n=20 ;;
    *) n=200 ;;
    esac
    if ! MCX_FUZZ_MUTATE=${MCX_FUZZ_MUTATE:-$n} MCX_DEBUG=0 \
        "$BUILD/replay_$t" "$SRCDIR/test-scenarios/fuzz/corpus/$t"; then
        echo "FAILED: replay_$t" >&2
        failed=1
    fi
done
exit $failed
