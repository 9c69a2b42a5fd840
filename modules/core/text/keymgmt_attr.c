/* keymgmt_attr.c -- `a=key-mgmt` in SDP text.  See mcx_keymgmt.h.  The
 * keymgmt module and the glue's raw-SDP mode call it; what is inside the
 * base64 is core/mikey's.
 *
 * Offers are read by somebody else's parser as well (the soa engine), and the
 * two must see the same lines.  So what parsers differ about is refused: NUL,
 * and CR that does not stand before LF. */
#include <config.h>
#include <strings.h>
#include <sofia-mcx/mcx_keymgmt.h>

static const char clause[] = "RFC 4567 3.1";

/* ---- lines ------------------------------------------------------------- */

struct line {
    struct mcx_bytes text; /* without its end  */
    size_t at, next;       /* in the whole SDP */
};

/* The line at '*at', and '*at' moved behind it; false at the end. */
static bool
next_line(struct line *out, struct mcx_bytes sdp, size_t *at)
{
    const uint8_t *end;
    size_t n;

    if (*at >= sdp.n) {
        return false;
    }
    end = memchr(sdp.p + *at, '\n', sdp.n - *at);
    n = end ? (size_t)(end - (sdp.p + *at)) : sdp.n - *at;
    out->at = *at;
    out->next = *at + n + (end ? 1 : 0);
    if (end && n > 0 && sdp.p[*at + n - 1] == '\r') {
        n--;
    }
    out->text = mcx_bytes(sdp.p + *at, n);
    *at = out->next;
    return true;
}

static bool
starts(struct mcx_bytes b, const char *word)
{
    size_t n = strlen(word);

    return b.n >= n && mcx_bytes_eq(mcx_bytes(b.p, n), mcx_bytes(word, n));
}

static bool
is_word(struct mcx_bytes b, const char *word)
{
    return b.n == strlen(word)
           && strncasecmp((const char *)b.p, word, b.n) == 0;
}

static struct mcx_bytes
trim(struct mcx_bytes b)
{
    while (b.n > 0 && b.p[0] == ' ') {
        b = mcx_bytes(b.p + 1, b.n - 1);
    }
    while (b.n > 0 && b.p[b.n - 1] == ' ') {
        b.n--;
    }
    return b;
}

/* The octets before the first 'sep' (or all of them), and '*b' moved behind
 * the separator. */
static struct mcx_bytes
cut_at(struct mcx_bytes *b, uint8_t sep)
{
    size_t n = 0;
    struct mcx_bytes head;

    while (n < b->n && b->p[n] != sep) {
        n++;
    }
    head = mcx_bytes(b->p, n);
    n += n < b->n ? 1 : 0;
    *b = mcx_bytes(b->p + n, b->n - n);
    return head;
}

/* Is this a key-mgmt line?  Then its value is '*value'. */
static bool
km_value(struct mcx_bytes *value, struct mcx_bytes line, bool alias)
{
    static const char *const names[] = { "a=key-mgmt", "a=keymgmt" };
    size_t i;

    for (i = 0; i < (alias ? 2u : 1u); i++) {
        size_t n = strlen(names[i]);

        if (starts(line, names[i]) && (line.n == n || line.p[n] == ':')) {
            n += line.n > n ? 1 : 0; /* a bare name has an empty value */
            *value = trim(mcx_bytes(line.p + n, line.n - n));
            return true;
        }
    }
    return false;
}

static bool
is_mikey(struct mcx_bytes value)
{
    return starts(value, "mikey") && (value.n == 5 || value.p[5] == ' ');
}

/* ---- scanning ---------------------------------------------------------- */

/* "m=audio 49170/2 RTP/SAVP 97 98" */
static bool
media_line(struct mcx_sdp_media *out, struct mcx_bytes line)
{
    struct mcx_bytes rest = mcx_bytes(line.p + 2, line.n - 2), port, fmt;
    size_t i;

    memset(out, 0, sizeof *out);
    out->media = cut_at(&rest, ' ');
    port = cut_at(&rest, ' ');
    port = cut_at(&port, '/');
    out->proto = cut_at(&rest, ' ');
    if (out->media.n == 0 || port.n == 0 || port.n > 5 || out->proto.n == 0) {
        return false;
    }
    for (i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9') {
            return false;
        }
        out->port = out->port * 10 + (unsigned)(port.p[i] - '0');
    }
    out->secured = is_word(out->proto, "RTP/SAVP")
                   || is_word(out->proto, "RTP/SAVPF");
    while (is_word(out->media, "application") && is_word(out->proto, "udp")
           && rest.n > 0) {
        fmt = cut_at(&rest, ' ');
        out->secured = out->secured || is_word(fmt, "MCPTT");
    }
    return out->port <= 65535;
}

static mcx_err
clean(struct mcx_bytes sdp, struct mcx_why *why)
{
    size_t i;

    if (sdp.n > MCX_SDP_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "SDP", MCX_SDP_MAX, "");
    }
    for (i = 0; i < sdp.n; i++) {
        if (sdp.p[i] == '\0'
            || (sdp.p[i] == '\r'
                && (i + 1 == sdp.n || sdp.p[i + 1] != '\n'))) {
            return MCX_REFUSE(why, MCX_R_ENCODING, "SDP", i, "RFC 4566 5");
        }
    }
    return MCX_OK;
}

mcx_err
mcx_sdp_scan(struct mcx_sdp_view *out, struct mcx_bytes sdp, bool alias,
             struct mcx_why *why)
{
    struct mcx_bytes value;
    struct line line;
    size_t at = 0;

    memset(out, 0, sizeof *out);
    MCX_TRY(clean(sdp, why));
    out->text = sdp;
    while (next_line(&line, sdp, &at)) {
        if (starts(line.text, "m=")) {
            if (out->n_media == MCX_SDP_MEDIA_MAX) {
                return MCX_REFUSE(why, MCX_R_TOO_LARGE, "m", line.at, "");
            }
            if (!media_line(&out->media[out->n_media], line.text)) {
                return MCX_REFUSE(why, MCX_R_ENCODING, "m", line.at,
                                  "RFC 4566 5.14");
            }
            out->n_media++;
        } else if (km_value(&value, line.text, alias)) {
            struct mcx_sdp_km *km = &out->km[out->n_km];

            if (out->n_km == MCX_SDP_KM_MAX) {
                return MCX_REFUSE(why, MCX_R_TOO_LARGE, "key-mgmt", line.at,
                                  "");
            }
            km->media = (int)out->n_media - 1;
            km->value = value;
            km->at = (size_t)(value.p - sdp.p);
            out->n_km++;
        }
    }
    return MCX_OK;
}

/* ---- choosing ---------------------------------------------------------- */

mcx_err
mcx_sdp_effective(const struct mcx_sdp_km **km,
                  const struct mcx_sdp_view *view, int media,
                  struct mcx_why *why)
{
    const struct mcx_sdp_km *found = NULL, *other = NULL;
    size_t i;

    *km = NULL;
    if (media < -1 || (media >= 0 && (size_t)media >= view->n_media)) {
        return MCX_E_ARG;
    }
    for (i = 0; i < view->n_km; i++) {
        const struct mcx_sdp_km *k = &view->km[i];

        if (k->media != media) {
            continue;
        }
        if (!is_mikey(k->value)) {
            other = k;
        } else if (!found) {
            found = k;
        } else if (!mcx_bytes_eq(found->value, k->value)) {
            return MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "key-mgmt", k->at,
                              clause);
        }
    }
    if (!found && other) {
        return MCX_REFUSE(why, MCX_R_PAYLOAD_TYPE, "key-mgmt", other->at,
                          clause);
    }
    if (!found && media >= 0) {
        return mcx_sdp_effective(km, view, -1, why);
    }
    *km = found;
    return MCX_OK;
}

static bool
alnum_only(struct mcx_bytes b)
{
    size_t i;

    for (i = 0; i < b.n; i++) {
        uint8_t c = b.p[i] | 0x20;

        if (!((c >= 'a' && c <= 'z')
              || (b.p[i] >= '0' && b.p[i] <= '9'))) {
            return false;
        }
    }
    return b.n > 0;
}

/* Is the line at 'i' the repetition of an earlier one of its level? */
static bool
repeated(const struct mcx_sdp_view *view, size_t i)
{
    size_t j;

    for (j = 0; j < i; j++) {
        if (view->km[j].media == view->km[i].media
            && mcx_bytes_eq(view->km[j].value, view->km[i].value)) {
            return true;
        }
    }
    return false;
}

mcx_err
mcx_sdp_ids(char *out, size_t out_size, const struct mcx_sdp_view *view,
            const struct mcx_sdp_km *km)
{
    size_t n = 0, i;

    if (out_size == 0) {
        return MCX_E_TOOBIG;
    }
    out[0] = '\0';
    for (i = 0; i < view->n_km; i++) {
        struct mcx_bytes rest = view->km[i].value, id;

        if (view->km[i].media != km->media || repeated(view, i)) {
            continue;
        }
        id = cut_at(&rest, ' ');
        if (!alnum_only(id)) {
            out[0] = '\0';
            return MCX_E_MALFORMED;
        }
        if (id.n + (n ? 1 : 0) + 1 > out_size - n) {
            out[0] = '\0';
            return MCX_E_TOOBIG;
        }
        if (n) {
            out[n++] = ';';
        }
        memcpy(out + n, id.p, id.n);
        n += id.n;
        out[n] = '\0';
    }
    return MCX_OK;
}

/* ---- the value --------------------------------------------------------- */

mcx_err
mcx_keymgmt_read(uint8_t *out, size_t *out_n, struct mcx_bytes value,
                 struct mcx_why *why)
{
    struct mcx_bytes b = trim(value);
    size_t skip = b.n ? (size_t)(b.p - value.p) : 0;
    mcx_err err;

    if (!is_mikey(b) || b.n < 7) {
        return MCX_REFUSE(why, MCX_R_ENCODING, "key-mgmt", skip, clause);
    }
    err = mcx_b64_decode(out, out_n, mcx_bytes(b.p + 6, b.n - 6), why);
    if (err != MCX_OK && why) {
        why->payload = "key-mgmt";
        why->offset += skip + 6;
    }
    return err;
}

mcx_err
mcx_keymgmt_write(char *out, size_t out_size, struct mcx_bytes msg)
{
    if (out_size < 7) {
        return MCX_E_TOOBIG;
    }
    memcpy(out, "mikey ", 6);
    return mcx_b64_encode(out + 6, out_size - 6, msg);
}

/* ---- putting a line in ------------------------------------------------- */

struct text_out {
    char *p;
    size_t at, room;
    bool full;
};

static void
put(struct text_out *o, const void *p, size_t n)
{
    /* One octet stays for the NUL. */
    if (o->full || n >= o->room - o->at) {
        o->full = true;
    } else if (n) {
        memcpy(o->p + o->at, p, n);
        o->at += n;
    }
}

static void
put_attr(struct text_out *o, const char *value, const char *end)
{
    /* A last line without its end gets one. */
    if (o->at > 0 && o->p[o->at - 1] != '\n') {
        put(o, end, strlen(end));
    }
    put(o, "a=key-mgmt:", 11);
    put(o, value, strlen(value));
    put(o, end, strlen(end));
}

static bool
value_ok(const char *value)
{
    const char *p;

    for (p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

mcx_err
mcx_sdp_put(char *out, size_t *out_n, struct mcx_bytes sdp, const char *value)
{
    struct text_out o = { out, 0, *out_n, *out_n == 0 };
    const char *end = "\r\n";
    bool session = true;
    struct mcx_bytes old;
    struct line line;
    size_t at = 0;

    MCX_TRY(clean(sdp, NULL));
    if (value && !value_ok(value)) {
        return MCX_E_MALFORMED;
    }
    while (next_line(&line, sdp, &at)) {
        size_t size = line.next - line.at;

        if (line.at == 0 && size == line.text.n + 1) {
            end = "\n"; /* the ways of the text we were given */
        }
        if (session && starts(line.text, "m=")) {
            session = false;
            if (value) {
                put_attr(&o, value, end);
            }
        }
        if (session && km_value(&old, line.text, false) && is_mikey(old)) {
            continue;
        }
        put(&o, sdp.p + line.at, size);
    }
    if (session && value) {
        put_attr(&o, value, end);
    }
    if (o.full) {
        return MCX_E_TOOBIG;
    }
    out[o.at] = '\0';
    *out_n = o.at;
    return MCX_OK;
}
