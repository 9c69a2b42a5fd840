/* hand.c -- keys that no message carries: both ends have them on paper (SPK,
 * TS 33.180 5.5).  See mcx_mikey.h.
 *
 * mcx-keys and hosts call it; what comes out is staged and derived from like
 * any other key.  Reading works in the caller's octets and copies nothing but
 * into 'out', so there is one place of the secret more, and it is typed. */
#include <config.h>
#include <sofia-mcx/mcx_mikey.h>

enum { RAND_MIN = 16 };

/* What the lines may say, in the order of enum; the last may be missing. */
enum field { F_KIND, F_ID, F_KEY, F_RAND, F_SELF, F_PEER, F_EXPIRES, F_COUNT };
static const struct {
    const char *name, *missing;
} fields[F_COUNT] = {
    [F_KIND] = { "kind", "no line says the kind" },
    [F_ID] = { "id", "no line says the key ID" },
    [F_KEY] = { "key", "no line says the key" },
    [F_RAND] = { "rand", "no line says RAND" },
    [F_SELF] = { "self", "no line says self, our URI" },
    [F_PEER] = { "peer", "no line says peer, the other end's URI" },
    [F_EXPIRES] = { "expires", NULL },
};

/* ---- one line ---------------------------------------------------------- */

static bool
blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct mcx_bytes
trim(struct mcx_bytes b)
{
    while (b.n > 0 && blank(b.p[0])) {
        b = mcx_bytes(b.p + 1, b.n - 1);
    }
    while (b.n > 0 && blank(b.p[b.n - 1])) {
        b.n--;
    }
    return b;
}

static bool
is(struct mcx_bytes b, const char *s)
{
    return mcx_bytes_eq(b, mcx_bytes_str(s));
}

/* A URI has a scheme and no octet that ends or hides something. */
static const char *
take_uri(char out[MCX_URI_MAX], struct mcx_bytes v)
{
    size_t i;
    bool scheme = false;

    if (v.n >= MCX_URI_MAX) {
        return "the URI is longer than 1023 characters";
    }
    for (i = 0; i < v.n; i++) {
        if (v.p[i] <= 0x20 || v.p[i] >= 0x7f) {
            return "a URI has no blanks and no other than ASCII characters";
        }
        scheme = scheme || (v.p[i] == ':' && i > 0 && i + 1 < v.n);
    }
    if (!scheme) {
        return "expected a URI such as sip:server.example.org";
    }
    memcpy(out, v.p, v.n);
    out[v.n] = '\0';
    return NULL;
}

static const char *
take_kind(struct mcx_hand *out, struct mcx_bytes v)
{
    const struct mcx_kind_info *info;
    size_t i;

    for (i = 0; (info = mcx_kind_each(i)) != NULL; i++) {
        if (is(v, info->word)) {
            out->kind = info->kind;
            return info->carrier == MCX_CARRIER_HAND
                       ? NULL
                       : "keys of this kind come in messages, not by hand";
        }
    }
    return "expected a kind of key that comes by hand: spk";
}

static const char *
take_id(struct mcx_hand *out, struct mcx_bytes v)
{
    uint8_t b[4];

    if (mcx_hex_decode(b, sizeof b, v, NULL) != MCX_OK) {
        return "expected a key ID of 8 hexadecimal digits";
    }
    out->key_id = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16
                  | (uint32_t)b[2] << 8 | b[3];
    return NULL;
}

/* What is wrong with the value; NULL when nothing is. */
static const char *
take(struct mcx_hand *out, enum field f, struct mcx_bytes v)
{
    int64_t ms;

    switch (f) {
    case F_KIND:
        return take_kind(out, v);
    case F_ID:
        return take_id(out, v);
    case F_KEY:
        return mcx_hex_decode(out->key.b, sizeof out->key.b, v, NULL)
                       == MCX_OK
                   ? NULL
                   : "expected a key of 32 hexadecimal digits";
    case F_RAND:
        out->rand_n = v.n / 2;
        return v.n % 2 == 0 && out->rand_n >= RAND_MIN
                       && out->rand_n <= MCX_RAND_MAX
                       && mcx_hex_decode(out->rand, out->rand_n, v, NULL)
                              == MCX_OK
                   ? NULL
                   : "expected RAND, 32 to 510 hexadecimal digits";
    case F_SELF:
        return take_uri(out->self, v);
    case F_PEER:
        return take_uri(out->peer, v);
    default:
        if (mcx_time_parse(&ms, v) != MCX_OK || ms < 1000) {
            return "expected a time such as 2027-01-31T00:00:00Z";
        }
        out->expiry_unix = ms / 1000;
        return NULL;
    }
}

static const char *
take_line(struct mcx_hand *out, bool seen[F_COUNT], struct mcx_bytes line)
{
    const uint8_t *eq;
    struct mcx_bytes name;
    int f;

    line = trim(line);
    if (line.n == 0 || line.p[0] == '#') {
        return NULL;
    }
    eq = memchr(line.p, '=', line.n);
    if (!eq) {
        return "expected name = value";
    }
    name = trim(mcx_bytes(line.p, (size_t)(eq - line.p)));
    for (f = 0; f < F_COUNT && !is(name, fields[f].name); f++) { }
    if (f == F_COUNT) {
        return "expected kind, id, key, rand, self, peer or expires";
    }
    if (seen[f]) {
        return "said before";
    }
    seen[f] = true;
    return take(out, (enum field)f,
                trim(mcx_bytes(eq + 1, (size_t)(line.p + line.n - eq - 1))));
}

/* ---- the whole --------------------------------------------------------- */

/* The tag, and what holds for all lines together. */
static const char *
fits(const struct mcx_hand *h)
{
    if (MCX_KEY_ID_KIND(h->key_id) != h->kind) {
        return "the first digit of the key ID is not that of its kind";
    }
    return strcmp(h->self, h->peer) == 0 ? "self and peer are the same"
                                         : NULL;
}

mcx_err
mcx_hand_read(struct mcx_hand *out, struct mcx_bytes text, size_t *line,
              const char **what)
{
    bool seen[F_COUNT] = { false };
    int f;

    mcx_hand_wipe(out);
    *what = NULL;
    *line = 0;
    while (text.n > 0 && !*what) {
        const uint8_t *nl = memchr(text.p, '\n', text.n);
        size_t n = nl ? (size_t)(nl - text.p) : text.n;

        ++*line;
        *what = take_line(out, seen, mcx_bytes(text.p, n));
        n += nl != NULL;
        text = mcx_bytes(text.p + n, text.n - n);
    }
    if (!*what) {
        *line = 0;
        for (f = 0; f < F_COUNT && !*what; f++) {
            *what = seen[f] ? NULL : fields[f].missing;
        }
        *what = *what ? *what : fits(out);
    }
    if (*what) {
        mcx_hand_wipe(out);
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

static bool
text_ends(const char *s, size_t room)
{
    return *s && strnlen(s, room) < room;
}

mcx_err
mcx_hand_key(struct mcx_key_msg *out, const struct mcx_hand *hand,
             const struct mcx_env *env, struct mcx_why *why)
{
    const struct mcx_kind_info *info = mcx_kind_info(hand->kind);
    int64_t now = env->unix_ms(env->ctx);

    mcx_key_msg_wipe(out);
    if (!info || info->carrier != MCX_CARRIER_HAND || hand->expiry_unix < 0
        || hand->rand_n < RAND_MIN || hand->rand_n > MCX_RAND_MAX
        || !text_ends(hand->self, sizeof hand->self)
        || !text_ends(hand->peer, sizeof hand->peer)) {
        return MCX_E_ARG;
    }
    if (MCX_KEY_ID_KIND(hand->key_id) != hand->kind) {
        return MCX_REFUSE(why, MCX_R_PURPOSE, "", 0, "TS 33.180 5.2.2");
    }
    if (hand->expiry_unix != 0 && hand->expiry_unix <= now / 1000) {
        return MCX_REFUSE(why, MCX_R_KEY_EXPIRED, "", 0, "TS 33.180 5.5");
    }
    out->key = hand->key;
    out->kind = hand->kind;
    out->key_id = out->csb_id = hand->key_id;
    out->ours = true;
    memcpy(out->initiator, hand->self, strlen(hand->self) + 1);
    memcpy(out->responder, hand->peer, strlen(hand->peer) + 1);
    out->t_unix_ms = now;
    out->t = mcx_ntp_from_unix_ms(now);
    out->prf = MCX_PRF_HMAC_SHA256;
    out->rand_n = hand->rand_n;
    memcpy(out->rand, hand->rand, hand->rand_n);
    out->sp = info->sp;
    out->params.present = hand->expiry_unix != 0;
    out->params.status = 1;
    out->params.expiry_unix = hand->expiry_unix;
    return MCX_OK;
}
