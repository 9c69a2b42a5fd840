# figures.awk -- results.json: an SVG of the figures whose names match `want`
# (and, if it is given, whose unit is `unit`), a bar each and a line for what
# they are held against.
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
function commas(v,    s) {
    s = sprintf("%d", v)
    while (match(s, /[0-9][0-9][0-9][0-9]($|,)/)) {
        s = substr(s, 1, RSTART) "," substr(s, RSTART + 1)
    }
    return s
}
/"figure": / && get($0, "figure") ~ want \
        && (unit == "" || get($0, "unit") == unit) {
    label[++n] = get($0, "figure")
    if (get($0, "backend") != "") {
        label[n] = label[n] ", " get($0, "backend")
    }
    value[n] = get($0, "value") + 0
    target[n] = get($0, "target") + 0
    most = value[n] > most ? value[n] : most
    most = target[n] > most ? target[n] : most
}
/"machine": / {
    cpu = get($0, "cpu") ", " get($0, "compiler") " " get($0, "flags")
    gsub(/&/, "\\&amp;", cpu)
    gsub(/</, "\\&lt;", cpu)
}
END {
    if (n == 0) {
        exit 1
    }
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" " \
           "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
           80 + 24 * n)
    printf("<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n")
    printf("<text x=\"20\" y=\"24\" font-size=\"15\">%s</text>\n", title)
    for (i = 1; i <= n; i++) {
        y = 40 + 24 * (i - 1)
        w = value[i] / most * 480
        printf("<text x=\"220\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
               y + 13, label[i])
        printf("<rect x=\"230\" y=\"%d\" width=\"%.1f\" height=\"17\" " \
               "fill=\"#2a78b8\"/>\n", y, w)
        printf("<text x=\"%.1f\" y=\"%d\">%s</text>\n", 238 + w, y + 13,
               commas(value[i]))
        if (target[i] > 0) {
            x = 230 + target[i] / most * 480
            printf("<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" " \
                   "stroke=\"#c01818\" stroke-width=\"2.5\"/>\n", x, y - 2, x,
                   y + 19)
        }
    }
    printf("<text x=\"20\" y=\"%d\" font-size=\"11\">%s</text>\n</svg>\n",
           66 + 24 * n, cpu)
}
