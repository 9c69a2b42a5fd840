# compare.awk -- make bench-compare: what moved between two results.json, the
# older one first.  Rows are compared in mm, figures as they are, so that two
# machines can be compared as well as that goes.  A row has moved when median
# and least have, to the same side, by more than the median lies above the
# least in either run (and by more than 2 %): the rest is noise.
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
function max(a, b) {
    return a > b ? a : b
}
FNR == 1 {
    file++
}
/"machine": / {
    machine[file] = $0
    sub(/^[^{]*{"machine": /, "", machine[file])
}
/"median_us": / {
    row = get($0, "name") " " get($0, "backend")
    if (get($0, "name") == "mm" || get($0, "name") == "r1k") {
        next
    }
    if (file == 2) {
        order[++n] = row
    }
    m = get($0, "median_us") + 0
    mm[row, file] = get($0, "mm") + 0
    low[row, file] = mm[row, file] * get($0, "min_us") / m
}
/"figure": / {
    row = get($0, "figure") " " get($0, "backend")
    if (file == 2) {
        order[++n] = row
    }
    value[row, file] = get($0, "value") + 0
}
END {
    if (file < 2 || n == 0) {
        print "bench-compare: two files with results, please"
        exit 2
    }
    if (machine[1] != machine[2]) {
        print "other machine, flags or versions:"
        print "  " machine[1]
        print "  " machine[2]
    }
    printf("%-36s %12s %12s %7s\n", "", "old", "new", "ratio")
    for (i = 1; i <= n; i++) {
        row = order[i]
        if ((row, 1) in mm) {
            r = mm[row, 2] / mm[row, 1]
            l = low[row, 2] / low[row, 1]
            noise = max(0.02, max(mm[row, 1] / low[row, 1],
                                  mm[row, 2] / low[row, 2]) - 1)
            say = "noise"
            if (r > 1 + noise && l > 1 + noise) {
                say = "SLOWER"
            } else if (r < 1 / (1 + noise) && l < 1 / (1 + noise)) {
                say = "faster"
            }
            printf("%-36s %9.0f mm %9.0f mm %7.3f  %s\n", row, mm[row, 1],
                   mm[row, 2], r, say)
        } else if ((row, 1) in value && value[row, 1] > 0) {
            r = value[row, 2] / value[row, 1]
            printf("%-36s %12.0f %12.0f %7.3f  %s\n", row, value[row, 1],
                   value[row, 2], r, r > 1.1 || r < 1 / 1.1 ? "moved" \
                   : "within 10 %")
        } else {
            printf("%-36s new\n", row)
        }
    }
}
