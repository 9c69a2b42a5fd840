# ladder.awk -- draws a call flow.  Input, sorted by time:
#   <seconds> SIP <from> <to> <label>
#   <seconds> EV <who> <text>
# -v names="kms alice pf bob mallory"
BEGIN {
    n = split(names, name, " ")
    gap = 23
    for (i = 1; i <= n; i++) {
        col[name[i]] = 12 + (i - 1) * gap
    }
    width = 12 + (n - 1) * gap + 12
    head = blank(width)
    for (i = 1; i <= n; i++) {
        head = put(head, col[name[i]] - int(length(name[i]) / 2), name[i])
    }
    print "    time  " substr(head, 3)
    print "          " substr(bars(), 3)
}
function blank(k,    s) {
    s = sprintf("%" k "s", "")
    return s
}
function put(line, at, text) {
    return substr(line, 1, at - 1) text substr(line, at + length(text))
}
function bars(    s, j) {
    s = blank(width)
    for (j = 1; j <= n; j++) {
        s = put(s, col[name[j]], "|")
    }
    return s
}
function stamp(t) {
    if (first == "") {
        first = t
    }
    return sprintf("%8.3f  ", t - first)
}
$2 == "SIP" {
    a = col[$3]
    b = col[$4]
    if (!a || !b) {
        next
    }
    label = $5
    for (i = 6; i <= NF; i++) {
        label = label " " $i
    }
    lo = a < b ? a : b
    len = (a < b ? b - a : a - b) - 1
    if (length(label) > len - 4) {
        label = substr(label, 1, len - 4)
    }
    s = ""
    for (i = 0; i < len; i++) {
        s = s "-"
    }
    s = put(s, int((len - length(label)) / 2) + 1, " " label " ")
    s = substr(s, 1, len)
    s = a < b ? substr(s, 1, len - 1) ">" : "<" substr(s, 2)
    line = put(bars(), lo + 1, s)
    print stamp($1) substr(line, 3)
    next
}
$2 == "EV" {
    text = $4
    for (i = 5; i <= NF; i++) {
        text = text " " $i
    }
    at = col[$3]
    if (!at) {
        next
    }
    line = put(bars(), at, "*")
    # Text goes right of its column, or left of the last one.
    if ($3 == name[n]) {
        line = put(line, at - length(text) - 1, text)
    } else {
        line = put(line, at + 2, text)
    }
    print stamp($1) substr(line, 3)
}
END {
    print "          " substr(bars(), 3)
}
