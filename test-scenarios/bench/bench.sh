#!/bin/sh
# bench.sh -- runs the program `bench` for each back-end of this machine and
# writes bench/results.json in the build folder; prints a table as well.
#   bench.sh BUILD COMPILER FLAGS
build=$1
compiler=$2
flags=$3
out=$build/bench/results.json
mkdir -p "$build/bench" || exit 1
quote()
{
    printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
{
    printf '{"machine": {"cpu": "%s", "flags": "%s", "compiler": "%s", ' \
        "$(quote "$cpu")" "$(quote "$flags")" \
        "$(quote "$($compiler --version | head -n 1)")"
    printf '"openssl": "%s"},\n "rows": [\n' \
        "$(quote "$(openssl version)")"
    for name in portable adx ifma; do
        MCX_CPU=$name "$build/bench-sakke" | grep "\"backend\": \"$name\"" |
            grep -v '"name": "\(mm\|r1k\)"'
    done | sed '$!s/$/,/'
    printf ']}\n'
} > "$out.new" && mv "$out.new" "$out" || exit 1
sed -n 's/.*"name": "\([^"]*\)", "backend": "\([^"]*\)", "median_us": \([^,]*\), "min_us": \([^,]*\), "max_us": \([^,]*\), "mm": \([^,]*\), "r1k": \([^}]*\)}.*/\1 \2 \3 \4 \5 \6 \7/p' \
    "$out" | awk '{ printf "%-26s %-9s %9.1f us (%.1f..%.1f) %9.1f mm %7.2f r1k\n", $1, $2, $3, $4, $5, $6, $7 }'
