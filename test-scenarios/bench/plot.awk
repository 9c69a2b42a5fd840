# plot.awk -- targets.txt and results.json: an SVG of all operations, each
# back-end a bar with its least and most, on a logarithmic scale of mm.
function get(line, key,    s) {
    if (!match(line, "\"" key "\": *")) {
        return ""
    }
    s = substr(line, RSTART + RLENGTH)
    if (substr(s, 1, 1) == "\"") {
        s = substr(s, 2)
        return substr(s, 1, index(s, "\"") - 1)
    }
    sub(/[,}].*/, "", s)
    return s
}
function escape(s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    return s
}
# 30 mm to 3,000,000 mm
function at(mm) {
    mm = mm < 30 ? 30 : mm
    return left + (log(mm) - log(30)) / log(100000) * width
}
function text(x, y, anchor, size, s) {
    printf("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" " \
           "font-size=\"%d\">%s</text>\n", x, y, anchor, size, escape(s))
}
function line(x0, y0, x1, y1, colour, w) {
    printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" " \
           "stroke=\"%s\" stroke-width=\"%s\"/>\n", x0, y0, x1, y1, colour, w)
}
function box(x, y, w, h, colour) {
    printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" " \
           "fill=\"%s\"/>\n", x, y, w < 1 ? 1 : w, h, colour)
}
BEGIN {
    left = 220
    width = 620
    colour["portable"] = "#7a8da6"
    colour["adx"] = "#2a78b8"
    colour["ifma"] = "#11406b"
    colour["wolfssl"] = "#d98f2b"
    n_kinds = split("ifma adx portable wolfssl", kind, " ")
}
FNR == NR {
    if ($1 !~ /^#/ && NF == 5) {
        op[++ops] = $1
        target[$1 SUBSEP "ifma"] = $2
        target[$1 SUBSEP "adx"] = $3
        target[$1 SUBSEP "portable"] = $4
        target[$1 SUBSEP "wolfssl"] = $5
    }
    next
}
/"machine": / {
    cpu = get($0, "cpu") ", " get($0, "compiler") " " get($0, "flags") \
        ", " get($0, "openssl")
    wolf = get($0, "wolfssl")
}
/"median_us": / {
    row = get($0, "name") SUBSEP get($0, "backend")
    mm[row] = get($0, "mm") + 0 # a number: awk compares texts as texts
    lo[row] = mm[row] * get($0, "min_us") / get($0, "median_us")
    hi[row] = mm[row] * get($0, "max_us") / get($0, "median_us")
}
END {
    group = n_kinds * 12 + 14
    height = 90 + ops * group
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" " \
           "height=\"%d\" font-family=\"sans-serif\">\n", left + width + 110,
           height + 60)
    printf("<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n")
    text(20, 24, "start", 15,
         "SAKKE, ECCSI and whole messages, as multiples of mm " \
         "(OpenSSL's 1024-bit Montgomery product)")
    x = 20
    for (k = 1; k <= n_kinds; k++) {
        box(x, 38, 14, 10, colour[kind[k]])
        text(x + 20, 47, "start", 12, kind[k] == "wolfssl" ? \
             "libwolfssl of Debian, no assembly" : kind[k])
        x += kind[k] == "wolfssl" ? 230 : 90
    }
    line(x, 36, x, 50, "#c01818", 2.5)
    text(x + 8, 47, "start", 12, "at most; on wolfSSL: its best build")
    for (d = 2; d <= 6; d++) {
        line(at(10 ^ d), 66, at(10 ^ d), height, "#d8d8d8", 1)
        text(at(10 ^ d), 62, "middle", 11, sprintf("%d", 10 ^ d))
    }
    for (i = 1; i <= ops; i++) {
        y = 76 + (i - 1) * group
        text(left - 10, y + group / 2 - 4, "end", 12, op[i])
        for (k = 1; k <= n_kinds; k++) {
            row = op[i] SUBSEP kind[k]
            yk = y + (k - 1) * 12
            if (row in mm) {
                box(left, yk, at(mm[row]) - left, 9, colour[kind[k]])
                line(at(lo[row]), yk + 4.5, at(hi[row]), yk + 4.5, "#000", 1)
                text((at(hi[row]) > at(mm[row]) ? at(hi[row]) \
                     : at(mm[row])) + 6, yk + 9, "start", 10,
                     sprintf("%.0f", mm[row]))
            }
            if (target[row] != "-" && target[row] != "") {
                line(at(target[row]), yk - 2, at(target[row]), yk + 11,
                     "#c01818", 2.5)
            }
        }
    }
    text(20, height + 24, "start", 11, cpu)
    text(20, height + 42, "start", 11, wolf)
    printf("</svg>\n")
}
