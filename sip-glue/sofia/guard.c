/* guard.c -- the message class that keeps malformed bodies from sofia.  See
 * guard.h.
 *
 * sofia calls mc_extract_body for the empty line and then for the body.  On a
 * stream it does so once, when the first octets of the body are there, and
 * fills the rest in later without another call; so for a multipart body we say
 * "not yet" until all of it is in the buffer.  nua parses what has a type
 * beginning with "multipart/" and no sip_multipart yet, in requests and in
 * responses: afterwards there is no such message.
 *
 * SDP is looked at too: sofia's sdp_parse() allocates for ever when an entry
 * of an m= line's format list does not start with a token character, as in
 * `m=x 1 y "`. */
#include <config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_mime.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/su_string.h>
#include "guard.h"
#include "mime.h"

static msg_mclass_t *mclass;
static issize_t (*base_extract)(msg_t *, msg_pub_t *, char *, isize_t, int);
static atomic_uint_fast64_t n_seen, n_malformed;

/* The test that nua makes. */
static bool
is_multipart(const sip_t *sip)
{
    return sip->sip_content_type && sip->sip_content_type->c_type
           && su_casenmatch(sip->sip_content_type->c_type, "multipart/", 10);
}

/* Will nua take the body for SDP?  Without a type it does when the body looks
 * like it. */
static bool
is_sdp(const sip_t *sip)
{
    return !sip->sip_content_type || !sip->sip_content_type->c_type
           || su_casematch(sip->sip_content_type->c_type, "application/sdp");
}

static bool
is_token(uint8_t c)
{
    return c > 32 && c < 127 && !strchr("\"(),/:;<=>?@[\\]", c);
}

/* `m=media port proto *(SP fmt)` to the letter of RFC 4566: fields one space
 * apart, of token characters; in port and proto a slash between them too.
 * sofia ends a field at any other character and takes what is left for the
 * next one, so nothing looser is safe. */
static bool
media_line_is_safe(const uint8_t *p, size_t n)
{
    unsigned field = 0;
    size_t i, start = 0;

    for (i = 0; i <= n; i++) {
        bool slash = i < n && p[i] == '/' && (field == 1 || field == 2);

        if (i == n || p[i] == ' ' || slash) {
            if (i == start) {
                return false; /* an empty field, or part of one */
            }
            field += !slash;
            start = i + 1;
        } else if (!is_token(p[i])) {
            return false;
        }
    }
    return true;
}

static bool
sdp_is_safe(struct mcx_bytes sdp)
{
    size_t at = 0, end;

    for (; at < sdp.n; at = end + 1) {
        while (at < sdp.n && (sdp.p[at] == ' ' || sdp.p[at] == '\t')) {
            at++; /* sofia skips it too */
        }
        for (end = at; end < sdp.n && sdp.p[end] != '\r'
                       && sdp.p[end] != '\n' && sdp.p[end] != 0; end++) {
        }
        if (end - at >= 2 && (sdp.p[at] == 'm' || sdp.p[at] == 'M')
            && sdp.p[at + 1] == '='
            && !media_line_is_safe(sdp.p + at + 2, end - at - 2)) {
            return false;
        }
    }
    return true;
}

static void
neutralise(msg_t *msg, sip_t *sip)
{
    sip_content_type_t *c = sip->sip_content_type;

    atomic_fetch_add(&n_malformed, 1);
    if (!c) {
        c = sip_content_type_make(msg_home(msg), MCXS_GUARD_TYPE);
        if (!c) {
            sip->sip_flags |= MSG_FLG_ERROR; /* 400 */
        }
        sip->sip_content_type = c;
        return;
    }
    c->c_type = MCXS_GUARD_TYPE;
    c->c_subtype = strchr(MCXS_GUARD_TYPE, '/') + 1;
    c->c_params = NULL;
    c->c_common->h_data = NULL; /* the text it came from */
    c->c_common->h_len = 0;
}

/* The parts as sofia's structures, in the message's memory. */
static msg_multipart_t *
as_multipart(su_home_t *home, const struct mcxs_body *body)
{
    msg_multipart_t *head = NULL, **tail = &head;
    size_t i;

    for (i = 0; i < body->n_parts; i++) {
        const struct mcx_part *part = &body->part[i];
        msg_multipart_t *mp;

        if (strcmp(part->type, "application/sdp") == 0
            && !sdp_is_safe(part->body)) {
            return NULL;
        }
        mp = msg_multipart_create(home, part->type, part->body.p,
                                  (isize_t)part->body.n);
        if (!mp) {
            return NULL; /* what was made goes with the message */
        }
        *tail = mp;
        tail = &mp->mp_next;
    }
    return head;
}

static void
take_apart(msg_t *msg, sip_t *sip)
{
    struct mcxs_body body;
    char *type = sip_header_as_string(msg_home(msg), (sip_header_t const *)
                                      sip->sip_content_type);
    mcx_err err = type ? mcxs_mime_unfold(&body,
                                          mcx_bytes(sip->sip_payload->pl_data,
                                                    sip->sip_payload->pl_len),
                                          type, NULL)
                       : MCX_E_NOMEM;

    atomic_fetch_add(&n_seen, 1);
    if (err == MCX_OK) {
        sip->sip_multipart = as_multipart(msg_home(msg), &body);
        mcxs_mime_free(&body);
    }
    if (!sip->sip_multipart) {
        neutralise(msg, sip);
    }
    su_free(msg_home(msg), type);
}

static issize_t
extract_body(msg_t *msg, msg_pub_t *pub, char b[], isize_t bsiz, int eos)
{
    sip_t *sip = (sip_t *)pub;
    bool multi = is_multipart(sip), ours = multi || is_sdp(sip);
    issize_t n;

    if (ours && (sip->sip_flags & MSG_FLG_BODY) && !sip->sip_payload
        && sip->sip_content_length && !eos) {
        size_t size = sip->sip_content_length->l_length;
        size_t max = msg_maxsize(msg, 0);

        if (size > MCXS_MIME_BODY_MAX) {
            neutralise(msg, sip);
            ours = false;
        } else if (size > (size_t)bsiz && (max == 0 || size <= max)) {
            return 0; /* wait for the rest */
        }
    }
    n = base_extract(msg, pub, b, bsiz, eos);
    if (!ours || !sip->sip_payload || sip->sip_multipart) {
        return n;
    }
    if (multi) {
        take_apart(msg, sip);
    } else if (!sdp_is_safe(mcx_bytes(sip->sip_payload->pl_data,
                                      sip->sip_payload->pl_len))) {
        neutralise(msg, sip);
    }
    return n;
}

static void
make_mclass(void)
{
    mclass = msg_mclass_clone(sip_default_mclass(), 0, 0);
    if (mclass) {
        base_extract = mclass->mc_extract_body;
        mclass->mc_extract_body = extract_body;
    }
}

msg_mclass_t const *
mcxs_guard_mclass(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_mclass);
    return mclass;
}

void
mcxs_guard_counts(uint64_t *seen, uint64_t *malformed)
{
    if (seen) {
        *seen = atomic_load(&n_seen);
    }
    if (malformed) {
        *malformed = atomic_load(&n_malformed);
    }
}
