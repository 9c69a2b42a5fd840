# report.awk -- of targets.txt and the lines of bench programs: results.json
# in `out`, and the table on standard output.  One row or figure a line in
# results.json, which bench-compare and the plots rely on.

# The value of a key: a string, a number, or what is inside [].
function get(line, key,    s) {
    if (!match(line, "\"" key "\": *")) {
        return ""
    }
    s = substr(line, RSTART + RLENGTH)
    if (substr(s, 1, 1) == "\"") {
        s = substr(s, 2)
        return substr(s, 1, index(s, "\"") - 1)
    }
    if (substr(s, 1, 1) == "[") {
        return substr(s, 2, index(s, "]") - 2)
    }
    sub(/[,}].*/, "", s)
    return s
}

function sort(a, n,    gap, i, j, v) {
    for (gap = int(n / 2); gap > 0; gap = int(gap / 2)) {
        for (i = gap + 1; i <= n; i++) {
            v = a[i]
            for (j = i; j > gap && a[j - gap] > v; j -= gap) {
                a[j] = a[j - gap]
            }
            a[j] = v
        }
    }
}

# Sets med[], least[], most[] of a row.
function sum_up(row,    n, a, i) {
    n = split(times[row], a, ", *")
    for (i = 1; i <= n; i++) {
        a[i] += 0
    }
    sort(a, n)
    med[row] = a[int((n + 1) / 2)]
    least[row] = a[1]
    most[row] = a[n]
}

FNR == NR {
    if ($1 !~ /^#/ && NF == 5) {
        target[$1 SUBSEP "ifma"] = $2
        target[$1 SUBSEP "adx"] = $3
        target[$1 SUBSEP "portable"] = $4
        best[$1] = $5
    }
    next
}

/"us": / {
    name = get($0, "name")
    backend = get($0, "backend")
    row = name SUBSEP backend
    if (!(row in times)) {
        order[++rows] = row
        times[row] = get($0, "us")
    } else {
        times[row] = times[row] ", " get($0, "us")
    }
    next
}

/"figure": / {
    figure[++figures] = $0
    next
}

{
    print "bench: what is this line? " $0
    bad = 1
}

function json(row,    part, yard) {
    split(row, part, SUBSEP)
    yard = part[2] == "wolfssl" ? "portable" : part[2]
    mm[row] = med[row] / med["mm" SUBSEP yard]
    return sprintf("{\"name\": \"%s\", \"backend\": \"%s\", \"median_us\": " \
                   "%.3f, \"min_us\": %.3f, \"max_us\": %.3f, \"mm\": %.2f, " \
                   "\"r1k\": %.3f}", part[1], part[2], med[row], least[row],
                   most[row], mm[row], med[row] / med["r1k" SUBSEP yard])
}

# Lines of one kind, with commas between them.
function list(file, title, line, n, last,    i) {
    printf(" \"%s\": [\n", title) > file
    for (i = 1; i <= n; i++) {
        printf("  %s%s\n", line[i], i < n ? "," : "") > file
    }
    printf(" ]%s\n", last ? "" : ",") > file
}

function table(    i, part, t, row, kept) {
    for (i = 1; i <= rows; i++) {
        row = order[i]
        split(row, part, SUBSEP)
        if (part[2] != last_backend) {
            printf("\n%-26s %10s %10s %10s %9s %7s  %s\n",
                   part[2], "median us", "min", "max", "mm", "r1k",
                   "target mm")
            last_backend = part[2]
        }
        printf("  %-24s %10.1f %10.1f %10.1f", part[1], med[row], least[row],
               most[row])
        if (part[1] == "mm" || part[1] == "r1k") {
            printf("\n")
            continue
        }
        printf(" %9.0f %7.2f", mm[row],
               med[row] / med["r1k" SUBSEP \
                   (part[2] == "wolfssl" ? "portable" : part[2])])
        t = target[row]
        if (part[2] == "wolfssl") {
            if (best[part[1]] != "" && best[part[1]] != "-") {
                printf("  its best build: %d", best[part[1]])
            }
        } else if (t != "" && t != "-") {
            kept = mm[row] <= t
            printf("  %6d %s", t, kept ? "kept" : sprintf("short by %.0f %%",
                   100 * (mm[row] / t - 1)))
        }
        printf("\n")
    }
    printf("\n")
    for (i = 1; i <= figures; i++) {
        t = get(figure[i], "target")
        printf("%-24s %-9s %14s %s%s\n", get(figure[i], "figure"),
               get(figure[i], "backend"), get(figure[i], "value"),
               get(figure[i], "unit"), t == "" ? "" : ", target " t)
    }
}

END {
    if (bad || rows == 0) {
        exit 1
    }
    for (i = 1; i <= rows; i++) {
        sum_up(order[i])
    }
    file = out "/results.json"
    for (i = 1; i <= rows; i++) {
        split(order[i], part, SUBSEP)
        line = json(order[i])
        if (part[1] == "mm" || part[1] == "r1k") {
            yard[++yards] = line
        } else if (part[2] == "wolfssl") {
            wolf[++wolves] = line
        } else {
            ours[++mine] = line
        }
    }
    printf("{\"machine\": %s,\n", ENVIRON["MACHINE"]) > file
    list(file, "rows", ours, mine, 0)
    list(file, "yardsticks", yard, yards, 0)
    list(file, "wolfssl", wolf, wolves, 0)
    list(file, "figures", figure, figures, 1)
    printf("}\n") > file
    close(file)
    print ENVIRON["MACHINE"]
    table()
}
