#!/bin/sh
# test_report.sh -- what bench.sh makes of the lines that programs print: the
# form of results.json, medians, ratios, and what bench-compare calls noise.
here=$SRCDIR/test-scenarios/bench
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0

# says WHAT FILE PATTERN: a line of FILE matches.
says()
{
    if ! grep -q -e "$3" "$2"; then
        echo "FAIL $1: no line like $3 in:"
        cat "$2"
        bad=1
    fi
}

# mm is 0.2 us and r1k 60, in two parts that are put together.
cat > "$dir/lines" <<'EOF'
{"name": "mm", "backend": "ifma", "us": [0.3, 0.2, 0.2]}
{"name": "r1k", "backend": "ifma", "us": [60, 61, 59]}
{"name": "sakke_decapsulate", "backend": "ifma", "us": [400, 9000]}
{"name": "eccsi_sign", "backend": "ifma", "us": [20, 22, 21]}
{"name": "sakke_decapsulate", "backend": "ifma", "us": [310, 320, 300]}
{"figure": "parse_full", "unit": "per_second", "value": 400000, "target": 300000}
EOF
MACHINE='{"cpu": "C & <D>", "flags": "-O2"}' awk -v out="$dir" \
    -f "$here/report.awk" "$here/targets.txt" "$dir/lines" > "$dir/table" ||
    { echo "FAIL report"; exit 1; }
says machine "$dir/results.json" '^{"machine": {"cpu": "C & <D>", "flags": "-O2"},$'
says row "$dir/results.json" '^  {"name": "sakke_decapsulate", "backend": "ifma", "median_us": 320.000, "min_us": 300.000, "max_us": 9000.000, "mm": 1600.00, "r1k": 5.333},$'
says last "$dir/results.json" '"eccsi_sign", "backend": "ifma", "median_us": 21.000, .*}$'
says kept "$dir/table" 'sakke_decapsulate .* 1650 kept'
says figure "$dir/table" 'parse_full .*400000 per_second, target 300000'
if command -v jq > /dev/null &&
    [ "$(jq -r '.rows | length' "$dir/results.json")" != 2 ]; then
    echo "FAIL jq counts the rows otherwise"
    bad=1
fi
awk -f "$here/plot.awk" "$here/targets.txt" "$dir/results.json" > "$dir/a.svg"
awk -v want=^parse_ -v title=T -f "$here/figures.awk" "$dir/results.json" \
    > "$dir/b.svg"
for svg in a b; do
    if command -v xmllint > /dev/null &&
        ! xmllint --noout "$dir/$svg.svg"; then
        echo "FAIL $svg.svg"
        bad=1
    fi
done
says bar "$dir/a.svg" '>1600</text>'
# 1,600 and 105 mm on the scale that begins at 30: as numbers, not as texts.
says length "$dir/a.svg" '<rect x="220.0" .* width="214.1"'
says length "$dir/a.svg" '<rect x="220.0" .* width="67.5"'
says escaped "$dir/a.svg" 'C &amp; &lt;D>'
says commas "$dir/b.svg" '>400,000</text>'

# The same again is noise; a fifth more in median and least is not.
awk -f "$here/compare.awk" "$dir/results.json" "$dir/results.json" \
    > "$dir/same" || bad=1
says same "$dir/same" 'eccsi_sign ifma .* 1.000  noise$'
sed 's/"eccsi_sign", "backend": "ifma", "median_us": 21.000, "min_us": 20.000\(.*\)"mm": 105.00/"eccsi_sign", "backend": "ifma", "median_us": 25.200, "min_us": 24.000\1"mm": 126.00/' \
    "$dir/results.json" > "$dir/new.json"
awk -f "$here/compare.awk" "$dir/results.json" "$dir/new.json" > "$dir/moved"
says moved "$dir/moved" 'eccsi_sign ifma .* 1.200  SLOWER$'
awk -f "$here/compare.awk" "$dir/new.json" "$dir/results.json" > "$dir/moved"
says moved "$dir/moved" 'eccsi_sign ifma .* 0.833  faster$'

# A line nobody knows stops it.
echo 'make: nonsense' >> "$dir/lines"
if awk -v out="$dir" -f "$here/report.awk" "$here/targets.txt" \
    "$dir/lines" > /dev/null; then
    echo "FAIL nonsense went through"
    bad=1
fi
exit $bad
