#!/bin/sh
# test_coverage.sh -- coverage.pl fails for a line without a reason and under
# the percentage, tells of a reason that is not needed and of a line that moved
# to another function, and takes the rest: on a file of ten lines.
set -u
pl=$SRCDIR/test-scenarios/coverage/coverage.pl
if ! gcov --version >/dev/null 2>&1 || ! gcc --version >/dev/null 2>&1; then
    echo "no gcc with gcov here"
    exit 77
fi
dir=$(mktemp -d "$BUILD/test_coverage.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/modules/core/toy" "$dir/test-scenarios/coverage"
cd "$dir" || exit 1
cat > modules/core/toy/toy.c <<'C'
static int
pick(int n)
{
    if (n == 1) {
        return 1111111111 + 0;
    }
    return 0;
}
int
main(int argc, char **argv)
{
    (void)argv;
    return pick(argc + 1);
}
C
gcc --coverage -O0 -c modules/core/toy/toy.c -o modules/core/toy/toy.o &&
    gcc --coverage modules/core/toy/toy.o -o toy && ./toy || exit 1

# want CODE TEXT MIN STATEMENT...: what coverage.pl says of that list.
failed=0
want() {
    code=$1 text=$2 min=$3
    shift 3
    printf '%s\n' "$@" > test-scenarios/coverage/uncovered.txt
    perl "$pl" "$min" . modules/core/toy > log 2>&1
    got=$?
    if [ $got -ne "$code" ] || ! grep -q "$text" log; then
        echo "FAILED: wanted $code and \"$text\", got $got:" >&2
        cat log >&2
        failed=1
    fi
}
why="modules/core/toy/toy.c pick: not today"
line="    return 1111111111 + 0;"
want 1 "1 lines without a reason" 50 "# nothing"
want 0 "pick: not today" 50 "$why" "$line"
want 0 "not today or tomorrow" 50 "$why" "| or tomorrow" "$line"
want 1 "under 95 %" 95 "$why" "$line"
want 0 "reached, or gone: .*return 0;" 50 "$why" "$line" "    return 0;"
want 0 "now in pick()" 50 "modules/core/toy/toy.c old: gone" "$line"
want 1 "without a reason" 50 "modules/core/toy/other.c pick: x" "$line"
want 1 "without a reason" 50 "$why" "    return 2222222222;"
want 2 "what is this" 50 "$line"
want 2 "no line below" 50 "$why" "$why" "$line"
exit $failed
