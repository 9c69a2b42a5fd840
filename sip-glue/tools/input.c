/* input.c -- see input.h.  The order of the guesses: an octet 0x01 begins
 * every MIKEY message and no text; a start line makes SIP; then what is all
 * text is looked at as SDP, hexadecimal, base64; the rest is taken as raw
 * octets, for the parser to say what is wrong with them. */
#include <config.h>
#include <strings.h>
#include "input.h"

enum { DEPTH_MAX = 4, PARTS_MAX = 64, BOUNDARY_MAX = 70, HEADERS_MAX = 256 };

static const char TEXT[] = "text";

struct find {
    uint8_t *out;
    size_t *n;
    const uint8_t *base; /* of the whole input, for offsets */
    struct mcx_why *why;
};

const char *
input_form_word(enum input_form form)
{
    static const char *const words[] = { "raw", "hex", "base64", "sdp-line",
                                         "sdp", "sip" };

    return words[form];
}

/* ---- small text tools -------------------------------------------------- */

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mcx_bytes
trim(struct mcx_bytes b)
{
    while (b.n > 0 && is_space(b.p[0])) {
        b.p++;
        b.n--;
    }
    while (b.n > 0 && is_space(b.p[b.n - 1])) {
        b.n--;
    }
    return b;
}

static bool
starts(struct mcx_bytes b, const char *word)
{
    size_t n = strlen(word);

    return b.n >= n && strncasecmp((const char *)b.p, word, n) == 0;
}

static bool
equals(struct mcx_bytes b, const char *word)
{
    return b.n == strlen(word) && starts(b, word);
}

/* Cuts the first line off '*rest'; its CR is not part of it. */
static struct mcx_bytes
next_line(struct mcx_bytes *rest)
{
    const uint8_t *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = lf ? (size_t)(lf - rest->p) : rest->n;
    struct mcx_bytes line = mcx_bytes(rest->p, n);

    n += lf ? 1 : 0;
    rest->p += n;
    rest->n -= n;
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static bool
is_text(struct mcx_bytes b)
{
    size_t i;

    for (i = 0; i < b.n; i++) {
        if (b.p[i] == 0x7f || (b.p[i] < 0x20 && !is_space(b.p[i]))) {
            return false;
        }
    }
    return true;
}

static mcx_err
fail(const struct find *f, mcx_reason reason, const char *part,
     const uint8_t *at)
{
    return MCX_REFUSE(f->why, reason, part, (size_t)(at - f->base), "");
}

/* ---- hexadecimal, base64 ----------------------------------------------- */

static mcx_err
take_raw(const struct find *f, struct mcx_bytes b)
{
    if (b.n > *f->n) {
        return fail(f, MCX_R_TOO_LARGE, "", b.p);
    }
    if (b.n) {
        memcpy(f->out, b.p, b.n);
    }
    *f->n = b.n;
    return MCX_OK;
}

static int
hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* All hexadecimal digits, white space and colons between them aside? */
static bool
looks_hex(struct mcx_bytes b)
{
    size_t i, digits = 0;

    for (i = 0; i < b.n; i++) {
        if (hex_value(b.p[i]) >= 0) {
            digits++;
        } else if (!is_space(b.p[i]) && b.p[i] != ':') {
            return false;
        }
    }
    return digits > 0 && digits % 2 == 0;
}

static mcx_err
take_hex(const struct find *f, struct mcx_bytes b)
{
    size_t i, digits = 0;

    for (i = 0; i < b.n; i++) {
        int v = hex_value(b.p[i]);

        if (v < 0) {
            continue;
        }
        if (digits / 2 >= *f->n) {
            return fail(f, MCX_R_TOO_LARGE, TEXT, b.p + i);
        }
        if (digits % 2 == 0) {
            f->out[digits / 2] = (uint8_t)(v << 4);
        } else {
            f->out[digits / 2] |= (uint8_t)v;
        }
        digits++;
    }
    *f->n = digits / 2;
    return MCX_OK;
}

static bool
is_base64(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

static bool
looks_base64(struct mcx_bytes b)
{
    size_t i, n = 0;

    for (i = 0; i < b.n; i++) {
        if (is_base64(b.p[i])) {
            n++;
        } else if (!is_space(b.p[i])) {
            return false;
        }
    }
    return n > 0;
}

/* Base64 in lines, as mail and people wrap it: white space is left out, the
 * rest is decoded as strictly as ever, line by line of four characters. */
static mcx_err
take_base64(const struct find *f, struct mcx_bytes b)
{
    uint8_t four[4], three[6];
    size_t i, have = 0, n = 0;
    bool ended = false;

    for (i = 0; i <= b.n; i++) {
        size_t got = sizeof three;

        if (i < b.n && is_space(b.p[i])) {
            continue;
        }
        if (i < b.n) {
            if (ended || !is_base64(b.p[i])) {
                return fail(f, MCX_R_ENCODING, "base64", b.p + i);
            }
            four[have++] = b.p[i];
        }
        if (have == 0 || (have < 4 && i < b.n)) {
            continue;
        }
        if (mcx_b64_decode(three, &got, mcx_bytes(four, have), NULL)
            != MCX_OK) {
            return fail(f, MCX_R_ENCODING, "base64",
                        b.p + (i < b.n ? i : b.n - 1));
        }
        ended = got < 3;
        have = 0;
        if (got > *f->n - n) {
            return fail(f, MCX_R_TOO_LARGE, "base64", b.p + i);
        }
        memcpy(f->out + n, three, got);
        n += got;
    }
    *f->n = n;
    return MCX_OK;
}

/* ---- SDP --------------------------------------------------------------- */

static mcx_err
take_value(const struct find *f, struct mcx_bytes value)
{
    struct mcx_why inner = { 0 };
    mcx_err err = mcx_keymgmt_read(f->out, f->n, value, &inner);

    if (err == MCX_OK) {
        return MCX_OK;
    }
    return fail(f, err == MCX_E_TOOBIG ? MCX_R_TOO_LARGE : MCX_R_ENCODING,
                "key-mgmt", value.p + (inner.offset < value.n ? inner.offset
                                                              : 0));
}

/* The mikey line of the session, else of the first section that has one. */
static mcx_err
take_sdp(const struct find *f, struct mcx_bytes sdp)
{
    struct mcx_sdp_view view;
    struct mcx_why inner = { 0 };
    const struct mcx_sdp_km *km = NULL;
    mcx_err err;
    int m, last;

    memset(&view, 0, sizeof view);
    err = mcx_sdp_scan(&view, sdp, false, &inner);
    last = (int)view.n_media;
    for (m = -1; err == MCX_OK && !km && m < last; m++) {
        err = mcx_sdp_effective(&km, &view, m, &inner);
    }
    if (err != MCX_OK) {
        return fail(f, inner.reason ? inner.reason : MCX_R_ENCODING,
                    "key-mgmt", sdp.p + (inner.offset < sdp.n ? inner.offset
                                                              : 0));
    }
    if (!km) {
        return fail(f, MCX_R_NOT_MIKEY, "SDP", sdp.p);
    }
    return take_value(f, km->value);
}

static bool
has_line(struct mcx_bytes b, const char *start)
{
    while (b.n > 0) {
        if (starts(next_line(&b), start)) {
            return true;
        }
    }
    return false;
}

/* ---- SIP and MIME ------------------------------------------------------ */

struct headers {
    struct mcx_bytes type, encoding, length; /* raw values, maybe folded */
};

/* Takes "Name: value" with the continuation lines that follow it. */
static struct mcx_bytes
header_value(struct mcx_bytes line, struct mcx_bytes *rest, size_t colon)
{
    struct mcx_bytes v = mcx_bytes(line.p + colon + 1, line.n - colon - 1);

    while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
        struct mcx_bytes more = next_line(rest);

        v.n = (size_t)(more.p + more.n - v.p);
    }
    return trim(v);
}

/* Reads headers up to the empty line and moves '*rest' behind it.  A line
 * without a colon ends the reading with false. */
static bool
read_headers(struct headers *h, struct mcx_bytes *rest)
{
    size_t count = 0;

    memset(h, 0, sizeof *h);
    while (rest->n > 0) {
        struct mcx_bytes line = next_line(rest), name, value;
        const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

        if (line.n == 0) {
            return true;
        }
        if (!colon || ++count > HEADERS_MAX) {
            return false;
        }
        name = trim(mcx_bytes(line.p, (size_t)(colon - line.p)));
        value = header_value(line, rest, (size_t)(colon - line.p));
        if (equals(name, "Content-Type") || equals(name, "c")) {
            h->type = value;
        } else if (equals(name, "Content-Transfer-Encoding")) {
            h->encoding = value;
        } else if (equals(name, "Content-Length") || equals(name, "l")) {
            h->length = value;
        }
    }
    return true;
}

/* The media type of a Content-Type value, without parameters. */
static struct mcx_bytes
media_type(struct mcx_bytes value)
{
    const uint8_t *semi = value.n ? memchr(value.p, ';', value.n) : NULL;

    return trim(mcx_bytes(value.p, semi ? (size_t)(semi - value.p)
                                        : value.n));
}

/* The boundary parameter; no octets when there is none that is legal. */
static struct mcx_bytes
boundary_of(struct mcx_bytes value)
{
    size_t i = 0;

    while (i < value.n) {
        size_t start, end;
        bool hit;

        while (i < value.n && value.p[i] != ';') {
            i++;
        }
        while (i < value.n && (value.p[i] == ';' || is_space(value.p[i]))) {
            i++;
        }
        start = i;
        while (i < value.n && value.p[i] != '=' && value.p[i] != ';') {
            i++;
        }
        if (i >= value.n || value.p[i] != '=') {
            continue;
        }
        hit = equals(trim(mcx_bytes(value.p + start, i - start)), "boundary");
        i++;
        while (i < value.n && is_space(value.p[i])) {
            i++;
        }
        if (i < value.n && value.p[i] == '"') {
            start = ++i;
            while (i < value.n && value.p[i] != '"') {
                i++;
            }
            end = i;
        } else {
            start = i;
            while (i < value.n && value.p[i] != ';' && !is_space(value.p[i])) {
                i++;
            }
            end = i;
        }
        if (hit) {
            return end - start <= BOUNDARY_MAX
                       ? mcx_bytes(value.p + start, end - start)
                       : mcx_bytes(NULL, 0);
        }
    }
    return mcx_bytes(NULL, 0);
}

/* Where the delimiter line "--boundary" begins at or after 'from'; NULL when
 * there is none.  '*after' is behind its line, '*last' says "--" follows. */
static const uint8_t *
delimiter(struct mcx_bytes b, size_t from, struct mcx_bytes boundary,
          size_t *after, bool *last)
{
    size_t i = from;

    while (i + 2 + boundary.n <= b.n) {
        const uint8_t *lf;

        if (b.p[i] == '-' && b.p[i + 1] == '-'
            && memcmp(b.p + i + 2, boundary.p, boundary.n) == 0) {
            size_t end = i + 2 + boundary.n;

            *last = end + 2 <= b.n && b.p[end] == '-' && b.p[end + 1] == '-';
            lf = end < b.n ? memchr(b.p + end, '\n', b.n - end) : NULL;
            if (*last || end == b.n || is_space(b.p[end])) {
                *after = lf ? (size_t)(lf - b.p) + 1 : b.n;
                return b.p + i;
            }
        }
        lf = memchr(b.p + i, '\n', b.n - i);
        if (!lf) {
            return NULL;
        }
        i = (size_t)(lf - b.p) + 1;
    }
    return NULL;
}

static mcx_err take_body(const struct find *f, const struct headers *h,
                         struct mcx_bytes body, unsigned depth,
                         const char *want, bool *found);

static mcx_err
take_multipart(const struct find *f, struct mcx_bytes type,
               struct mcx_bytes body, unsigned depth, const char *want,
               bool *found)
{
    struct mcx_bytes boundary = boundary_of(type);
    size_t after = 0, next = 0, count = 0;
    bool last = false;
    const uint8_t *at;

    if (boundary.n == 0 || depth >= DEPTH_MAX) {
        return fail(f, MCX_R_ENCODING, "Content-Type", type.p);
    }
    at = delimiter(body, 0, boundary, &after, &last);
    while (at && !last) {
        struct headers h;
        struct mcx_bytes part;
        size_t start = after, end;

        if (++count > PARTS_MAX) {
            return fail(f, MCX_R_TOO_LARGE, "multipart", at);
        }
        at = delimiter(body, start, boundary, &next, &last);
        if (!at) {
            return fail(f, MCX_R_ENCODING, "multipart", body.p + start);
        }
        after = next;
        /* The line end before the delimiter belongs to the delimiter. */
        end = (size_t)(at - body.p);
        if (end > start && body.p[end - 1] == '\n') {
            end--;
        }
        if (end > start && body.p[end - 1] == '\r') {
            end--;
        }
        part = mcx_bytes(body.p + start, end - start);
        if (!read_headers(&h, &part)) {
            return fail(f, MCX_R_ENCODING, "multipart", body.p + start);
        }
        MCX_TRY(take_body(f, &h, part, depth + 1, want, found));
        if (*found) {
            return MCX_OK;
        }
    }
    if (!at) {
        return fail(f, MCX_R_ENCODING, "multipart", body.p);
    }
    return MCX_OK;
}

/* Takes the first part whose type is 'want'. */
static mcx_err
take_body(const struct find *f, const struct headers *h,
          struct mcx_bytes body, unsigned depth, const char *want,
          bool *found)
{
    struct mcx_bytes type = media_type(h->type);
    bool plain = h->encoding.n == 0 || equals(h->encoding, "binary")
                 || equals(h->encoding, "8bit")
                 || equals(h->encoding, "7bit");

    if (starts(type, "multipart/")) {
        return take_multipart(f, h->type, body, depth, want, found);
    }
    if (!equals(type, want)) {
        return MCX_OK;
    }
    *found = true;
    if (strcmp(want, MCX_MIME_MIKEY) != 0) {
        return take_sdp(f, body);
    }
    if (equals(h->encoding, "base64")) {
        return take_base64(f, body);
    }
    if (!plain) {
        return fail(f, MCX_R_ENCODING, "Content-Transfer-Encoding",
                    h->encoding.p);
    }
    return take_raw(f, body);
}

/* The body as Content-Length has it; without one, all that follows. */
static mcx_err
body_of(const struct find *f, const struct headers *h,
        struct mcx_bytes *body)
{
    size_t n = 0, i;

    if (h->length.n == 0) {
        return MCX_OK;
    }
    for (i = 0; i < h->length.n; i++) {
        unsigned d = (unsigned)h->length.p[i] - '0';

        if (d > 9 || n > INPUT_MAX) {
            return fail(f, MCX_R_ENCODING, "Content-Length", h->length.p);
        }
        n = n * 10 + d;
    }
    if (n > body->n) {
        return fail(f, MCX_R_TRUNCATED, "Content-Length", h->length.p);
    }
    body->n = n;
    return MCX_OK;
}

static mcx_err
take_sip(const struct find *f, struct mcx_bytes in)
{
    struct mcx_bytes body = in;
    struct headers h;
    bool found = false;

    (void)next_line(&body);
    if (!read_headers(&h, &body)) {
        return fail(f, MCX_R_ENCODING, "SIP", in.p);
    }
    MCX_TRY(body_of(f, &h, &body));
    MCX_TRY(take_body(f, &h, body, 0, MCX_MIME_MIKEY, &found));
    if (!found) {
        MCX_TRY(take_body(f, &h, body, 0, "application/sdp", &found));
    }
    return found ? MCX_OK : fail(f, MCX_R_NOT_MIKEY, "SIP", in.p);
}

/* "METHOD uri SIP/2.0" or "SIP/2.0 200 text". */
static bool
looks_sip(struct mcx_bytes in)
{
    struct mcx_bytes line = next_line(&in);
    static const char version[] = " SIP/2.0";

    if (starts(line, "SIP/2.0 ")) {
        return true;
    }
    return is_text(line) && line.n > sizeof version
           && starts(mcx_bytes(line.p + line.n - (sizeof version - 1),
                               sizeof version - 1), version);
}

/* ---- the whole --------------------------------------------------------- */

static mcx_err
find_in(const struct find *f, enum input_form *form, struct mcx_bytes in)
{
    static const char line_form[] = "a=key-mgmt:";
    struct mcx_bytes t, line;

    *form = INPUT_RAW;
    if (in.n == 0) {
        return fail(f, MCX_R_NOT_MIKEY, "", in.p);
    }
    if (in.p[0] == 0x01) {
        return take_raw(f, in);
    }
    t = trim(in);
    if (t.n > 0 && looks_sip(t)) {
        /* Only the front is trimmed: the body may end in any octet. */
        *form = INPUT_SIP;
        return take_sip(f, mcx_bytes(t.p, in.n - (size_t)(t.p - in.p)));
    }
    if (!is_text(in)) {
        return take_raw(f, in);
    }
    if (has_line(t, "v=0")) {
        *form = INPUT_SDP;
        return take_sdp(f, t);
    }
    while (t.n > 0) {
        struct mcx_bytes rest = t;

        line = trim(next_line(&rest));
        if (starts(line, line_form) || starts(line, line_form + 2)) {
            size_t skip = strlen(line_form) - (line.p[0] == 'a' ? 0 : 2);

            *form = INPUT_SDP_LINE;
            return take_value(f, trim(mcx_bytes(line.p + skip,
                                                line.n - skip)));
        }
        if (starts(line, "mikey ")) {
            *form = INPUT_SDP_LINE;
            return take_value(f, line);
        }
        if (!has_line(rest, line_form)) {
            break;
        }
        t = rest;
    }
    t = trim(in);
    if (looks_hex(t)) {
        *form = INPUT_HEX;
        return take_hex(f, t);
    }
    if (looks_base64(t)) {
        *form = INPUT_BASE64;
        return take_base64(f, t);
    }
    return fail(f, MCX_R_NOT_MIKEY, TEXT, in.p);
}

mcx_err
input_find(uint8_t *out, size_t *n, enum input_form *form,
           struct mcx_bytes in, struct mcx_why *why)
{
    struct find f = { .out = out, .n = n, .base = in.p, .why = why };

    return find_in(&f, form, in);
}
