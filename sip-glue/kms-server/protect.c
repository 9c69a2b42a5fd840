/* protect.c -- see protect.h.
 *
 * New keys take the place of the old ones with the first good request under
 * them, and not when they were sent: an answer may be lost.  A request under
 * the old ones is good until then. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "protect.h"

static const char NEXT[] = "next\n";

struct kms_protect { /* guarded */
    struct kms_user_keys keys;
    bool under_next;
    bool wrap;
    char *body;
    size_t body_n;
};

/* ---- a user's keys ----------------------------------------------------- */

mcx_err
kms_user_keys_read(struct kms_user_keys *out, struct kms_store *store,
                   const char *uri)
{
    char *s = NULL, *next;
    uint64_t serial = 0;
    size_t n = 0;
    mcx_err err = kms_store_keys(&s, &n, &serial, store, uri);

    memset(out, 0, sizeof *out);
    if (err == MCX_OK) {
        next = strstr(s, NEXT);
        if (next) {
            *next = '\0';
            err = mcx_tkeys_read(&out->next,
                                 mcx_bytes_str(next + sizeof NEXT - 1), NULL);
        }
        if (err == MCX_OK) {
            err = mcx_tkeys_read(&out->now, mcx_bytes_str(s), NULL);
        }
    }
    mcx_kms_text_free(s, n);
    if (err != MCX_OK) {
        kms_user_keys_wipe(out);
    }
    out->serial = serial;
    return err;
}

mcx_err
kms_user_keys_write(const struct kms_user_keys *keys, struct kms_store *store,
                    const char *uri, const char *detail)
{
    enum { ROOM = 2 * MCX_TKEYS_TEXT_MAX + 16 };
    char *s = mcx_guard_new(ROOM);
    size_t n = 0, more = 0;
    mcx_err err;

    if (!s) {
        return MCX_E_NOMEM;
    }
    err = mcx_tkeys_write(s, &n, &keys->now);
    if (err == MCX_OK && mcx_tkeys_signer(&keys->next)) {
        n += (size_t)snprintf(s + n, ROOM - n, "%s", NEXT);
        err = mcx_tkeys_write(s + n, &more, &keys->next);
        n += more;
    }
    if (err == MCX_OK) {
        err = kms_store_put_keys(store, uri, keys->serial, mcx_bytes(s, n),
                                 detail);
    }
    mcx_guard_free(s);
    return err;
}

/* ---- a request --------------------------------------------------------- */

static const struct mcx_tkeys *
under(const struct kms_protect *p)
{
    return p->under_next ? &p->keys.next : &p->keys.now;
}

/* "" : the one in use.  Only keys that sign: a TrK beside an InK does not. */
static const struct mcx_kw_key *
find(void *arg, const char *id)
{
    struct kms_protect *p = arg;
    const struct mcx_tkey *now = mcx_tkeys_signer(&p->keys.now);
    const struct mcx_tkey *next = mcx_tkeys_signer(&p->keys.next);

    p->under_next = false;
    if (!*id || strcmp(id, now->id) == 0) {
        return &now->key;
    }
    if (next && strcmp(id, next->id) == 0) {
        p->under_next = true;
        return &next->key;
    }
    return NULL;
}

static mcx_err
say(struct mcx_text *text, mcx_err err, const char *what)
{
    (void)snprintf(text->s, sizeof text->s, "%s", what);
    return err;
}

static mcx_err
judge(struct kms_protect *p, enum kms_security security,
      struct mcx_bytes *body, struct mcx_text *text)
{
    struct mcx_kms_verifier v = { .what = MCX_KMS_SIGNED_REQUEST,
                                  .key = find, .arg = p };
    struct mcx_kms_signed said;

    MCX_TRY(mcx_kms_verify(&p->body, &p->body_n, *body, &v, &said, text));
    if (said.trk_id[0] && strcmp(said.trk_id, under(p)->trk.id) != 0) {
        return say(text, MCX_E_NO_KEY, "TrK-ID is not the name of the "
                   "transport key that goes with the signature");
    }
    p->wrap = said.trk_id[0] || security == KMS_WRAPPED;
    *body = mcx_bytes(p->body, p->body_n);
    return MCX_OK;
}

mcx_err
kms_protect_open(struct kms_protect **out, struct kms_store *store,
                 const char *subject, enum kms_security security,
                 struct mcx_bytes *body, const struct mcx_env *env,
                 struct mcx_text *text)
{
    struct kms_protect *p;
    bool is_signed;
    mcx_err err;

    *out = NULL;
    MCX_TRY(mcx_kms_find_signature(&is_signed, *body, MCX_KMS_REQUEST_MAX));
    p = mcx_guard_new(sizeof *p);
    if (!p) {
        return MCX_E_NOMEM;
    }
    err = store ? kms_user_keys_read(&p->keys, store, subject)
                : MCX_E_NO_KEY;
    if (err == MCX_E_AUTH || err == MCX_E_CONFIG) {
        mcx_log(env, MCX_AREA_KMS, 3, "the transport keys of %s cannot be "
                "read: %s", subject, mcx_err_text(err));
        err = MCX_E_INTERNAL;
    } else if (err == MCX_E_NO_KEY) {
        if (is_signed) {
            err = say(text, err, "this user has no transport key here, so "
                      "nothing can judge the signature");
        } else if (security != KMS_TLS) {
            err = say(text, MCX_E_POLICY, "requests must be signed here, and "
                      "this user has no transport key");
        } else {
            kms_protect_free(p);
            return MCX_OK;
        }
    } else if (err == MCX_OK) {
        err = is_signed ? judge(p, security, body, text)
                        : say(text, MCX_E_POLICY, "this user's requests must "
                              "be signed");
    }
    if (err != MCX_OK) {
        kms_protect_free(p);
        return err;
    }
    *out = p;
    return MCX_OK;
}

mcx_err
kms_protect_settle(struct kms_protect *p, struct kms_store *store,
                   const char *subject, const char *detail)
{
    mcx_err err;

    if (!p || !p->under_next) {
        return MCX_OK;
    }
    p->keys.now = p->keys.next;
    mcx_tkeys_wipe(&p->keys.next);
    p->under_next = false;
    err = kms_user_keys_write(&p->keys, store, subject, detail);
    /* Another request, or another server, did the same: once more, and it
     * finds them in place. */
    return err == MCX_E_STATE ? MCX_E_BUSY : err;
}

/* ---- its answer -------------------------------------------------------- */

mcx_err
kms_protect_answer(struct kms_protect *p, char **xml, size_t *n,
                   enum mcx_kms_form form, const struct mcx_env *env)
{
    const struct mcx_tkeys *fresh;
    char *out = NULL;
    size_t out_n = 0;

    if (!p) {
        return MCX_OK;
    }
    fresh = !p->under_next && mcx_tkeys_signer(&p->keys.next) ? &p->keys.next
                                                              : NULL;
    if (p->wrap || fresh) {
        MCX_TRY(mcx_kms_wrap(&out, &out_n, mcx_bytes(*xml, *n),
                             &under(p)->trk, form, fresh, env));
        mcx_kms_text_free(*xml, *n);
        *xml = out;
        *n = out_n;
    }
    MCX_TRY(mcx_kms_sign(&out, &out_n, mcx_bytes(*xml, *n), under(p), false));
    mcx_kms_text_free(*xml, *n);
    *xml = out;
    *n = out_n;
    return MCX_OK;
}

void
kms_protect_free(struct kms_protect *p)
{
    if (p) {
        mcx_kms_text_free(p->body, p->body_n);
        mcx_guard_free(p);
    }
}
