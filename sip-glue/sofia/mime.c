/* mime.c -- the MIME splitter and joiner.  See mime.h.
 *
 * One pass over the lines of a body for each level of nesting; leaves are
 * copied into one store whose size is known beforehand: leaves do not overlap,
 * and the strings kept are parts of header lines, which are not in leaves.
 *
 * Called with octets straight from the network (guard.c): every index is
 * checked against its region, nothing is modified in place. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "mime.h"

enum {
    SIP_HEADER_MAX = 4 * MCXS_MIME_HEADER_MAX, /* of a message/sip */
    STRING_SLACK = 16 /* octets for a part beyond what its headers have */
};

/* Where the octets of the part under work stand in the whole body. */
struct region {
    size_t at, end;
};

/* Header values that matter, unfolded, each ending in NUL; NULL: absent. */
struct heads {
    const char *type, *id, *transfer, *coding, *length;
    size_t used;
    char text[MCXS_MIME_HEADER_MAX];
};

struct unfold {
    struct mcx_bytes body;
    struct mcxs_body *out;
    size_t used; /* of out->store */
    struct mcx_why *why;
};

static mcx_err leaves(struct unfold *u, struct region r, const char *type,
                      const char *id, unsigned depth, bool embedded);

/* ---- characters -------------------------------------------------------- */

static bool
is_token(unsigned char c)
{
    return c > 32 && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static bool
is_boundary(const char *s)
{
    size_t n = strlen(s), i;

    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || strchr("'()+_,-./:=? ", c))) {
            return false;
        }
    }
    return n > 0 && n <= MCXS_BOUNDARY_MAX && s[n - 1] != ' ';
}

static const char *
skip_space(const char *s)
{
    while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n') {
        s++; /* line ends: a folded Content-Type of the whole message */
    }
    return s;
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ---- Content-Type ------------------------------------------------------ */

/* Characters of "type/subtype" at 's', or 0. */
static size_t
type_span(const char *s)
{
    size_t n = 0, slash;

    while (is_token((unsigned char)s[n])) {
        n++;
    }
    slash = n;
    if (n == 0 || s[n++] != '/') {
        return 0;
    }
    while (is_token((unsigned char)s[n])) {
        n++;
    }
    return n > slash + 1 ? n : 0;
}

/* type_span(), or 0 when something else than parameters follows. */
static size_t
whole_type_span(const char *s)
{
    size_t n = type_span(s);
    const char *rest = skip_space(s + n);

    return *rest == '\0' || *rest == ';' ? n : 0;
}

/* Reads a token or quoted string at '*s' into 'out', as much as fits; false
 * when there is none, or when 'out' is too small. */
static bool
param_value(const char **s, char *out, size_t out_size)
{
    const char *p = *s;
    bool quoted = *p == '"';
    size_t n = 0;

    p += quoted;
    for (;;) {
        if (quoted ? *p == '"' || *p == '\0' : !is_token((unsigned char)*p)) {
            break;
        }
        if (quoted && *p == '\\' && p[1] != '\0') {
            p++;
        }
        if (n + 1 >= out_size) {
            return false;
        }
        out[n++] = *p++;
    }
    if (quoted && *p++ != '"') {
        return false;
    }
    out[n] = '\0';
    *s = p;
    return quoted || n > 0;
}

/* The boundary parameter in 'header', a Content-Type value. */
static bool
boundary_of(char out[MCXS_BOUNDARY_MAX + 1], const char *header)
{
    const char *s = skip_space(header);
    char other[MCXS_MIME_HEADER_MAX];
    bool found = false;

    s = skip_space(s + type_span(s));
    while (*s == ';') {
        const char *name = skip_space(s + 1);
        size_t n = 0;
        bool ours;

        while (is_token((unsigned char)name[n])) {
            n++;
        }
        ours = n == 8 && strncasecmp(name, "boundary", 8) == 0;
        s = skip_space(name + n);
        if (*s == '=') {
            s = skip_space(s + 1);
            if (ours && found) {
                return false; /* which of them is meant? */
            }
            if (!param_value(&s, ours ? out : other,
                             ours ? MCXS_BOUNDARY_MAX + 1 : sizeof other)) {
                return false;
            }
            found = found || ours;
            s = skip_space(s);
        }
    }
    return *s == '\0' && found && is_boundary(out);
}

bool
mcxs_mime_is(const char *header, const char *type)
{
    size_t want = strlen(type), n;

    if (!header) {
        return false;
    }
    header = skip_space(header);
    n = type_span(header);
    return (type[want - 1] == '/' ? n > want : n == want)
           && strncasecmp(header, type, want) == 0;
}

/* ---- the store --------------------------------------------------------- */

static mcx_err
too_big(struct unfold *u, size_t at)
{
    return MCX_REFUSE(u->why, MCX_R_TOO_LARGE, "MIME", at, "");
}

static mcx_err
bad(struct unfold *u, size_t at, const char *clause)
{
    return MCX_REFUSE(u->why, MCX_R_ENCODING, "MIME", at, clause);
}

/* 'n' octets and a NUL behind them.  The size was computed to be enough; the
 * check stays, for that computation's sake. */
static uint8_t *
store_room(struct unfold *u, size_t n)
{
    uint8_t *p;

    if (n >= u->out->store_n - u->used) {
        return NULL;
    }
    p = u->out->store + u->used;
    u->used += n + 1;
    p[n] = 0;
    return p;
}

static char *
store_text(struct unfold *u, const char *s, size_t n, bool to_lower)
{
    char *p = (char *)store_room(u, n);
    size_t i;

    for (i = 0; p && i < n; i++) {
        p[i] = to_lower ? lower(s[i]) : s[i];
    }
    return p;
}

/* ---- header blocks ----------------------------------------------------- */

/* Offset behind the line that starts at 'at'; '*n': its octets without line
 * end.  The region's last line may lack a line end. */
static size_t
line_end(struct mcx_bytes b, size_t at, size_t end, size_t *n)
{
    const uint8_t *lf = at < end ? memchr(b.p + at, '\n', end - at) : NULL;
    size_t stop = lf ? (size_t)(lf - b.p) : end;

    *n = stop - at;
    if (lf && *n > 0 && b.p[stop - 1] == '\r') {
        --*n;
    }
    return lf ? stop + 1 : end;
}

static const char **
head_slot(struct heads *h, const uint8_t *name, size_t n, bool sip)
{
    static const struct {
        const char *name, *sip_short;
        size_t offset;
    } known[] = {
        { "content-type", "c", offsetof(struct heads, type) },
        { "content-id", "", offsetof(struct heads, id) },
        { "content-transfer-encoding", "", offsetof(struct heads, transfer) },
        { "content-encoding", "e", offsetof(struct heads, coding) },
        { "content-length", "l", offsetof(struct heads, length) },
    };
    size_t i;

    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *s = known[i].name, *c = known[i].sip_short;

        if ((n == strlen(s) && strncasecmp((const char *)name, s, n) == 0)
            || (sip && n == 1 && lower((char)name[0]) == *c)) {
            return (const char **)(void *)((char *)h + known[i].offset);
        }
    }
    return NULL;
}

/* Appends a line's text to the value under work. */
static mcx_err
head_append(struct unfold *u, struct heads *h, size_t at, size_t n)
{
    if (n >= sizeof h->text - h->used) {
        return too_big(u, at);
    }
    memcpy(h->text + h->used, u->body.p + at, n);
    h->used += n;
    h->text[h->used] = '\0';
    return MCX_OK;
}

/* Ends the value under work: trims it. */
static void
head_close(struct heads *h, const char *value)
{
    while (h->used > 0 && h->text + h->used > value
           && (h->text[h->used - 1] == ' ' || h->text[h->used - 1] == '\t')) {
        h->used--;
    }
    h->text[h->used++] = '\0';
}

/* Reads header lines from r->at to the empty line, and moves r->at behind it.
 * 'sip': a start line comes first, and short names are known. */
static mcx_err
heads_read(struct unfold *u, struct heads *h, struct region *r, bool sip)
{
    size_t max = sip ? SIP_HEADER_MAX : MCXS_MIME_HEADER_MAX;
    size_t start = r->at, at = r->at, line = 0, n, i;
    const char *open = NULL; /* value that a folded line would continue */
    bool first = true;

    memset(h, 0, offsetof(struct heads, text));
    for (;; line++) {
        size_t next = line_end(u->body, at, r->end, &n);
        const uint8_t *p = u->body.p + at;
        size_t colon, name_n;

        if (at >= r->end || (next == r->end && u->body.p[next - 1] != '\n')) {
            return at - start > max ? too_big(u, at)
                                    : bad(u, at, "RFC 2046 5.1.1");
        }
        if (next - start > max) {
            return too_big(u, at);
        }
        for (i = 0; i < n; i++) {
            if ((p[i] < 32 && p[i] != '\t') || p[i] == 127) {
                return bad(u, at + i, "RFC 2045 3");
            }
        }
        if (n == 0 || p[0] != ' ') {
            if ((n == 0 || p[0] != '\t') && open) {
                head_close(h, open);
                open = NULL;
            }
        }
        if (n == 0) {
            if (sip && line == 0) {
                return bad(u, at, "RFC 3261 7");
            }
            r->at = next;
            return MCX_OK;
        }
        if (p[0] == ' ' || p[0] == '\t') { /* a folded line */
            if (first) {
                return bad(u, at, "RFC 2045 3");
            }
            if (open) {
                MCX_TRY(head_append(u, h, at, n));
            }
        } else if (!sip || line > 0) {
            const char **slot;

            first = false;
            for (name_n = 0; name_n < n && is_token(p[name_n]); name_n++) {
            }
            for (colon = name_n;
                 colon < n && (p[colon] == ' ' || p[colon] == '\t'); colon++) {
            }
            if (name_n == 0 || colon == n || p[colon] != ':') {
                return bad(u, at, "RFC 2045 3");
            }
            slot = head_slot(h, p, name_n, sip);
            if (slot) {
                if (*slot) {
                    return bad(u, at, "RFC 2045 3"); /* given twice */
                }
                do {
                    colon++;
                } while (colon < n && (p[colon] == ' ' || p[colon] == '\t'));
                open = *slot = h->text + h->used;
                MCX_TRY(head_append(u, h, at + colon, n - colon));
            }
        }
        at = next;
    }
}

/* ---- leaves ------------------------------------------------------------ */

/* Base64 with the white space that MIME allows in it. */
static mcx_err
put_base64(struct unfold *u, struct mcx_part *part, struct region r)
{
    size_t n = 0, i, room;
    struct mcx_why inner = { 0 };
    uint8_t *packed = malloc(r.end - r.at + 1), *to;
    mcx_err err;

    if (!packed) {
        return MCX_REFUSE(u->why, MCX_R_MEMORY, "MIME", r.at, "");
    }
    for (i = r.at; i < r.end; i++) {
        uint8_t c = u->body.p[i];

        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            packed[n++] = c;
        }
    }
    room = n / 4 * 3 + 3;
    if (room > r.end - r.at) {
        room = r.end - r.at;
    }
    to = store_room(u, room);
    err = to ? mcx_b64_decode(to, &room, mcx_bytes(packed, n), &inner)
             : too_big(u, r.at);
    if (to && err != MCX_OK) { /* where in the text, white space counted? */
        for (i = r.at; i < r.end && inner.offset > 0; i++) {
            inner.offset -= !strchr(" \t\r\n", u->body.p[i])
                            || u->body.p[i] == 0;
        }
        err = MCX_REFUSE(u->why, inner.reason, "MIME", i, "RFC 2045 6.8");
    } else if (to) {
        to[room] = 0;
        part->body = mcx_bytes(to, room);
    }
    mcx_wipe(packed, n);
    free(packed);
    return err;
}

static mcx_err
put_leaf(struct unfold *u, struct region r, const char *type, size_t type_n,
         const struct heads *h, const char *id, bool embedded)
{
    struct mcx_part *part = &u->out->part[u->out->n_parts];
    size_t id_n = strlen(id);
    uint8_t *to;

    if (u->out->n_parts == MCX_PART_MAX) {
        return too_big(u, r.at);
    }
    if (id_n >= 2 && id[0] == '<' && id[id_n - 1] == '>') {
        id++;
        id_n -= 2;
    }
    part->type = store_text(u, type, type_n, true);
    part->content_id = store_text(u, id, id_n, false);
    part->embedded = embedded;
    if (!part->type || !part->content_id) {
        return too_big(u, r.at);
    }
    if (h && h->transfer && strcasecmp(h->transfer, "base64") == 0) {
        MCX_TRY(put_base64(u, part, r));
    } else {
        to = store_room(u, r.end - r.at);
        if (!to) {
            return too_big(u, r.at);
        }
        if (r.end > r.at) {
            memcpy(to, u->body.p + r.at, r.end - r.at);
        }
        part->body = mcx_bytes(to, r.end - r.at);
    }
    u->out->n_parts++;
    return MCX_OK;
}

/* ---- message/sip ------------------------------------------------------- */

static mcx_err
embedded_message(struct unfold *u, struct region r, unsigned depth)
{
    struct heads h;
    size_t at = r.at;

    MCX_TRY(heads_read(u, &h, &r, true));
    if (h.length) {
        size_t n = 0, i;

        for (i = 0; h.length[i] >= '0' && h.length[i] <= '9' && i < 8; i++) {
            n = 10 * n + (size_t)(h.length[i] - '0');
        }
        if (i == 0 || h.length[i] != '\0' || n > r.end - r.at) {
            return bad(u, r.at, "RFC 3261 20.14");
        }
        r.end = r.at + n;
    }
    if (r.at == r.end) {
        return MCX_OK;
    }
    if (!h.type) {
        return bad(u, at, "RFC 3261 20.15");
    }
    if (h.coding && strcasecmp(h.coding, "identity") != 0) {
        return MCX_REFUSE(u->why, MCX_R_PAYLOAD_TYPE, "MIME", at,
                          "RFC 3261 20.12");
    }
    return leaves(u, r, h.type, h.id ? h.id : "", depth + 1, true);
}

/* ---- multipart --------------------------------------------------------- */

enum line_kind { LINE_TEXT, LINE_DELIMITER, LINE_CLOSE };

/* What the line of 'n' octets at 'p' is to a multipart with this boundary. */
static enum line_kind
line_kind(const uint8_t *p, size_t n, const char *boundary, size_t boundary_n)
{
    enum line_kind kind = LINE_DELIMITER;
    size_t i = 2 + boundary_n;

    if (n < i || p[0] != '-' || p[1] != '-'
        || memcmp(p + 2, boundary, boundary_n) != 0) {
        return LINE_TEXT;
    }
    if (n - i >= 2 && p[i] == '-' && p[i + 1] == '-') {
        kind = LINE_CLOSE;
        i += 2;
    }
    while (i < n && (p[i] == ' ' || p[i] == '\t')) { /* transport padding */
        i++;
    }
    return i == n ? kind : LINE_TEXT;
}

/* One body part: 'r' runs from behind its delimiter line to the start of the
 * next one, whose preceding line end does not belong to the part. */
static mcx_err
body_part(struct unfold *u, struct region r, unsigned depth, bool embedded)
{
    struct heads h;
    size_t at = r.at, type_n;
    const char *type, *cte;
    bool composite;

    MCX_TRY(heads_read(u, &h, &r, false));
    if (r.end > r.at) {
        r.end--; /* the LF; for the delimiter starts a line */
        if (r.end > r.at && u->body.p[r.end - 1] == '\r') {
            r.end--;
        }
    }
    type = h.type ? skip_space(h.type) : "text/plain"; /* RFC 2046 5.1 */
    type_n = whole_type_span(type);
    if (type_n == 0) {
        return bad(u, at, "RFC 2045 5.1");
    }
    cte = h.transfer ? h.transfer : "binary";
    composite = mcxs_mime_is(type, "multipart/")
                || mcxs_mime_is(type, "message/sip");
    if ((h.coding && strcasecmp(h.coding, "identity") != 0)
        || (strcasecmp(cte, "binary") != 0 && strcasecmp(cte, "8bit") != 0
            && strcasecmp(cte, "7bit") != 0
            && (composite || strcasecmp(cte, "base64") != 0))) {
        return MCX_REFUSE(u->why, MCX_R_PAYLOAD_TYPE, "MIME", at,
                          "RFC 2045 6");
    }
    if (composite) {
        return leaves(u, r, type, h.id ? h.id : "", depth + 1, embedded);
    }
    return put_leaf(u, r, type, type_n, &h, h.id ? h.id : "", embedded);
}

static mcx_err
multipart(struct unfold *u, struct region r, const char *type, unsigned depth,
          bool embedded)
{
    char boundary[MCXS_BOUNDARY_MAX + 1];
    size_t boundary_n, at = r.at, next, n, part_at = 0;
    bool in_part = false;

    if (!boundary_of(boundary, type)) {
        return bad(u, r.at, "RFC 2046 5.1.1");
    }
    boundary_n = strlen(boundary);
    for (; at < r.end; at = next) {
        enum line_kind kind;

        next = line_end(u->body, at, r.end, &n);
        kind = line_kind(u->body.p + at, n, boundary, boundary_n);
        if (kind == LINE_TEXT) {
            continue;
        }
        if (in_part) {
            struct region part = { part_at, at };

            MCX_TRY(body_part(u, part, depth, embedded));
        }
        if (kind == LINE_CLOSE) {
            return in_part ? MCX_OK : bad(u, at, "RFC 2046 5.1.1");
        }
        in_part = true;
        part_at = next;
    }
    return bad(u, r.end, "RFC 2046 5.1.1"); /* no closing boundary */
}

/* Everything in 'r', which is of content type 'type'. */
static mcx_err
leaves(struct unfold *u, struct region r, const char *type, const char *id,
       unsigned depth, bool embedded)
{
    bool is_sip = mcxs_mime_is(type, "message/sip");
    size_t n = whole_type_span(type);

    if (n == 0) {
        return bad(u, r.at, "RFC 2045 5.1");
    }
    if (!is_sip && !mcxs_mime_is(type, "multipart/")) {
        return put_leaf(u, r, type, n, NULL, id, embedded);
    }
    if (depth > MCXS_MIME_DEPTH) {
        return too_big(u, r.at);
    }
    return is_sip ? embedded_message(u, r, depth)
                  : multipart(u, r, type, depth, embedded);
}

mcx_err
mcxs_mime_unfold(struct mcxs_body *out, struct mcx_bytes body,
                 const char *content_type_header, struct mcx_why *why)
{
    struct unfold u = { body, out, 0, why };
    struct region all = { 0, body.n };
    const char *type = content_type_header, *s;
    mcx_err err;

    memset(out, 0, sizeof *out);
    if (body.n == 0) {
        u.body = mcx_bytes("", 0); /* no arithmetic on NULL */
    }
    for (s = type ? type : ""; *s; s++) {
        if (((unsigned char)*s < 32 && *s != '\t' && *s != '\r' && *s != '\n')
            || *s == 127) {
            return bad(&u, 0, "RFC 2045 5.1");
        }
    }
    if (body.n > MCXS_MIME_BODY_MAX || (size_t)(s - (type ? type : ""))
                                           >= MCXS_MIME_HEADER_MAX) {
        return too_big(&u, 0);
    }
    type = type ? skip_space(type) : "";
    if (type_span(type) == 0) {
        return bad(&u, 0, "RFC 2045 5.1");
    }
    out->store_n = body.n + 2 * strlen(type)
                   + (MCX_PART_MAX + 1) * STRING_SLACK;
    out->store = calloc(1, out->store_n);
    if (!out->store) {
        out->store_n = 0;
        return MCX_REFUSE(why, MCX_R_MEMORY, "MIME", 0, "");
    }
    out->type = store_text(&u, type, type_span(type), true);
    err = leaves(&u, all, type, "", 1, false);
    if (err != MCX_OK) {
        mcxs_mime_free(out);
    }
    return err;
}

void
mcxs_mime_free(struct mcxs_body *body)
{
    if (!body) {
        return;
    }
    if (body->store) {
        mcx_wipe(body->store, body->store_n);
        free(body->store);
    }
    memset(body, 0, sizeof *body);
}

const struct mcx_part *
mcxs_mime_find(const struct mcxs_body *body, const char *type)
{
    size_t i;

    for (i = 0; i < body->n_parts; i++) {
        if (strcmp(body->part[i].type, type) == 0) {
            return &body->part[i];
        }
    }
    return NULL;
}

/* ---- joining ----------------------------------------------------------- */

mcx_err
mcxs_mime_boundary(char out[MCXS_BOUNDARY_SIZE], const struct mcx_env *env)
{
    uint8_t r[(MCXS_BOUNDARY_SIZE - 1) / 2];

    out[0] = '\0';
    MCX_TRY(env->random(env->ctx, r, sizeof r));
    return mcx_hex_encode(out, MCXS_BOUNDARY_SIZE, mcx_bytes(r, sizeof r));
}

mcx_err
mcxs_mime_type(char out[MCXS_TYPE_SIZE], const char *boundary)
{
    out[0] = '\0';
    if (!is_boundary(boundary)) {
        return MCX_E_ARG;
    }
    (void)snprintf(out, MCXS_TYPE_SIZE, "multipart/mixed;boundary=\"%s\"",
                   boundary);
    return MCX_OK;
}

static bool
has_octets(struct mcx_bytes b, const char *needle)
{
    return b.n > 0 && memmem(b.p, b.n, needle, strlen(needle)) != NULL;
}

static bool
is_binary(struct mcx_bytes b)
{
    size_t i;

    for (i = 0; i < b.n; i++) {
        if (b.p[i] == 0 || b.p[i] > 127) {
            return true;
        }
    }
    return false;
}

/* No control characters, so that a value cannot bring its own header line. */
static bool
is_line_text(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 32 || *s == 127) {
            return false;
        }
    }
    return true;
}

/* Header block of a part with its delimiter line; as snprintf(). */
static int
part_head(char *out, size_t room, const struct mcx_part *part,
          const char *delimiter)
{
    bool id = part->content_id && part->content_id[0];

    return snprintf(out, room, "\r\n%s\r\nContent-Type: %s%s%s%s%s\r\n\r\n",
                    delimiter, part->type,
                    is_binary(part->body)
                        ? "\r\nContent-Transfer-Encoding: binary" : "",
                    id ? "\r\nContent-ID: <" : "", id ? part->content_id : "",
                    id ? ">" : "");
}

mcx_err
mcxs_mime_join(uint8_t **out, size_t *out_n, const struct mcx_part *part,
               size_t n_parts, const char *boundary)
{
    char delimiter[2 + MCXS_BOUNDARY_MAX + 1];
    size_t size = 0, at = 0, i;
    char *p;

    *out = NULL;
    *out_n = 0;
    if (!is_boundary(boundary) || n_parts == 0 || n_parts > MCX_PART_MAX) {
        return MCX_E_ARG;
    }
    (void)snprintf(delimiter, sizeof delimiter, "--%s", boundary);
    for (i = 0; i < n_parts; i++) {
        const char *id = part[i].content_id ? part[i].content_id : "";

        if (!part[i].type || whole_type_span(part[i].type) == 0
            || !is_line_text(part[i].type) || !is_line_text(id)
            || strpbrk(id, "<>")) {
            return MCX_E_ARG;
        }
        if (has_octets(part[i].body, delimiter)) {
            return MCX_E_POLICY;
        }
        size += (size_t)part_head(NULL, 0, &part[i], delimiter)
                + part[i].body.n;
    }
    size += strlen(delimiter) + 7; /* CR LF, --, CR LF, NUL */
    p = malloc(size);
    if (!p) {
        return MCX_E_NOMEM;
    }
    for (i = 0; i < n_parts; i++) {
        at += (size_t)part_head(p + at, size - at, &part[i], delimiter);
        if (part[i].body.n) {
            memcpy(p + at, part[i].body.p, part[i].body.n);
        }
        at += part[i].body.n;
    }
    at += (size_t)snprintf(p + at, size - at, "\r\n%s--\r\n", delimiter);
    *out = (uint8_t *)p;
    *out_n = at;
    /* The first delimiter needs no line end before it. */
    memmove(p, p + 2, at - 1);
    *out_n -= 2;
    return MCX_OK;
}
