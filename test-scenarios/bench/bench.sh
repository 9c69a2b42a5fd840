#!/bin/sh
# bench.sh -- make bench: collects what the bench programs print, and makes of
# it the table, bench/results.json and bench/*.svg in the build folder.
#   bench.sh BUILD COMPILER FLAGS CPU...
# ROUNDS (51) rounds in all, spread over PASSES (3) of each back-end in turn,
# so that a disturbance meets all.  BENCH_EXTRA names more programs, run once.
#
# A bench program prints one JSON object a line, either a row of times,
#   {"name": N, "backend": B, "us": [microseconds, of each round]}
# or a figure, with what it is held against if there is something,
#   {"figure": N, "unit": U, "value": V, "target": T}
# and whatever else a figure wants to say.
here=$(dirname "$0")
build=$1 compiler=$2 flags=$3
shift 3
passes=${PASSES:-3}
each=$(((${ROUNDS:-51} + passes - 1) / passes))
out=$build/bench
mkdir -p "$out" || exit 1
lines=$out/lines
: > "$lines"
quote()
{
    printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}
# ask CPU PROGRAM ARGUMENT...: its lines, if it ran on that back-end.
ask()
{
    cpu=$1
    shift
    MCX_CPU=$cpu "$@" > "$out/part" 2> "$out/err" ||
        { cat "$out/err"; echo "bench: $* failed"; exit 1; }
    if grep -q "\"backend\": \"$cpu\"" "$out/part"; then
        cat "$out/part" >> "$lines"
    else
        absent=$cpu
    fi
}
i=0
while [ $i -lt "$passes" ]; do
    i=$((i + 1))
    echo "bench: pass $i of $passes"
    for cpu in "$@"; do
        absent=
        wolf=
        [ "$cpu" = portable ] && wolf=wolfssl
        # shellcheck disable=SC2086
        ask "$cpu" "$build/bench-sakke" $each $wolf
        [ -n "$absent" ] && echo "bench: this CPU lacks $absent"
    done
done
for cpu in "$@"; do
    ask "$cpu" "$build/bench-scale"
done
for program in bench_mikey $BENCH_EXTRA; do
    "$build/$program" >> "$lines" || { echo "bench: $program failed"; exit 1; }
done
rm -f "$out/part" "$out/err"
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
[ -n "$cpu" ] || cpu=$(uname -m)
machine="{\"cpu\": \"$(quote "$cpu")\", \"cores\": $(nproc), \"flags\": \
\"$(quote "$flags")\", \"compiler\": \
\"$(quote "$($compiler --version | head -n 1)")\", \"openssl\": \
\"$(quote "$(openssl version)")\", \"wolfssl\": \
\"$(quote "$(dpkg-query -W -f '${Package} ${Version}' 'libwolfssl[0-9]*' \
    2>/dev/null)")\"}"
MACHINE=$machine awk -v out="$out" -f "$here/report.awk" \
    "$here/targets.txt" "$lines" || exit 1
awk -f "$here/plot.awk" "$here/targets.txt" "$out/results.json" \
    > "$out/operations.svg" || exit 1
# draw NAME WANT UNIT TITLE: an SVG of some of the figures.
draw()
{
    awk -v want="$2" -v unit="$3" -v title="$4" -f "$here/figures.awk" \
        "$out/results.json" > "$out/$1.svg"
}
draw parse ^parse_ per_second \
    'MIKEY messages parsed per second, one core' || exit 1
draw threads ^opens_ '' 'CSK messages opened per second' || exit 1
draw memory ^memory_ octets 'Memory kept, octets' || exit 1
drawn=
if grep -q '"figure": "store_' "$lines"; then
    draw store ^store_ per_second 'The store, per second' || exit 1
    drawn=' store.svg'
fi
echo "bench: $out: results.json operations.svg parse.svg threads.svg" \
    "memory.svg$drawn"
