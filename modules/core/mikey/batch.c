/* batch.c -- one key for the members of a group, and which of several keys of
 * a group is the one to send with (TS 33.180 5.7, E.6).
 *
 * Called by the group management side and by whoever keeps GMKs.  Every
 * member gets a message of its own from build.c; what they have in common,
 * key, key ID and RAND, is drawn here once: members must derive the same
 * traffic keys. */
#include <config.h>
#include "inner.h"

enum { RAND_SIZE = 16, TAG_BITS = 28, STATUS_NOT_REVOKED = 1 };

/* What all members share. */
static mcx_err
draw(struct mcx_key_msg *km, const struct mcx_build *how)
{
    const struct mcx_env *env = how->env;
    uint8_t r[4];

    if (how->key) {
        km->key = *how->key;
    } else {
        MCX_TRY(env->random(env->ctx, km->key.b, sizeof km->key.b));
    }
    if (how->rand) {
        memcpy(km->rand, how->rand, RAND_SIZE);
    } else {
        MCX_TRY(env->random(env->ctx, km->rand, RAND_SIZE));
    }
    km->rand_n = RAND_SIZE;
    if (how->key || how->id_given) {
        km->key_id = how->key_id;
        return MCX_OK;
    }
    MCX_TRY(env->random(env->ctx, r, sizeof r));
    km->key_id = (uint32_t)how->kind << TAG_BITS
                 | ((uint32_t)(r[0] & 0x0f) << 24 | (uint32_t)r[1] << 16
                    | (uint32_t)r[2] << 8 | r[3]);
    return MCX_OK;
}

/* Builds for one member into what is left of 'out'. */
static void
build_one(struct mcx_batch_item *it, uint8_t *out, size_t room,
          const struct mcx_build *common, struct mcx_key_msg *km)
{
    MCX_SECRET(mcx_key_msg, one);
    struct mcx_build how = *common;
    size_t n = room;

    how.to = it->to;
    how.to_kms = it->to_kms;
    it->octets = NULL;
    it->n = 0;
    it->csb_id = 0;
    it->why = (struct mcx_why){ 0 };
    it->err = mcx_mikey_build(out, &n, &one, &how, &it->why);
    if (it->err == MCX_OK) {
        it->octets = out;
        it->n = n;
        it->csb_id = one.csb_id;
        if (!km->ours) { /* the first: what is the same in all */
            one.csb_id = one.key_id;
            memset(one.responder, 0, sizeof one.responder);
            memset(one.kms_r, 0, sizeof one.kms_r);
            memset(one.digest, 0, sizeof one.digest);
            *km = one;
        }
    }
}

mcx_err
mcx_mikey_build_batch(uint8_t *out, size_t *out_n, struct mcx_key_msg *km,
                      struct mcx_batch_item *item, size_t n,
                      const struct mcx_build *how)
{
    MCX_SECRET(mcx_key_msg, shared);
    MCX_SECRET(mcx_key_msg, first);
    struct mcx_build common;
    mcx_err err = MCX_OK;
    size_t used = 0, i;

    if (km) {
        memset(km, 0, sizeof *km);
    }
    if (!out || !out_n || !item || n == 0 || !how || !how->env) {
        return MCX_E_ARG;
    }
    MCX_TRY(draw(&shared, how));
    common = *how;
    common.key = &shared.key;
    common.key_id = shared.key_id;
    common.id_given = true;
    common.rand = shared.rand;
    if (!common.at_unix_ms) { /* one T but for the running number */
        common.at_unix_ms = how->env->unix_ms(how->env->ctx);
    }
    for (i = 0; i < n; i++) {
        build_one(&item[i], out + used, *out_n - used, &common, &first);
        used += item[i].n;
        if (err == MCX_OK) {
            err = item[i].err;
        }
    }
    *out_n = used;
    if (km) {
        *km = first;
    }
    return err;
}

/* ---- several keys of a group ------------------------------------------- */

void
mcx_key_msg_times(int64_t *from, int64_t *to, const struct mcx_key_msg *km)
{
    const struct mcx_key_params *p = &km->params;

    /* SPEC TS 33.180 E.6: 0 is "from T" and "never". */
    *from = p->present && p->activation_unix ? p->activation_unix
                                             : km->t_unix_ms / 1000;
    *to = p->present && p->expiry_unix ? p->expiry_unix : INT64_MAX;
}

static bool
alive(const struct mcx_key_msg *km, int64_t now_s)
{
    int64_t from, to;

    mcx_key_msg_times(&from, &to, km);
    return (!km->params.present || (km->params.status & STATUS_NOT_REVOKED))
           && now_s < to;
}

bool
mcx_key_msg_receives(const struct mcx_key_msg *km, int64_t now_s)
{
    return alive(km, now_s);
}

bool
mcx_key_msg_sends(const struct mcx_key_msg *km, int64_t now_s)
{
    int64_t from, to;

    mcx_key_msg_times(&from, &to, km);
    /* From T, and T may be ahead of our clock by the window. */
    if (!km->params.present || !km->params.activation_unix) {
        from -= MCX_WINDOW_AHEAD_S;
    }
    return alive(km, now_s) && now_s >= from;
}

bool
mcx_key_msg_serves(const struct mcx_key_msg *km, const char *group)
{
    size_t i;

    for (i = 0; i < km->params.n_groups; i++) {
        if (strcmp(km->params.group[i], group) == 0) {
            return true;
        }
    }
    return km->params.n_groups == 0;
}

const struct mcx_key_msg *
mcx_key_msg_choose(const struct mcx_key_msg *const *km, size_t n,
                   const char *group, int64_t now_s)
{
    const struct mcx_key_msg *best = NULL;
    int64_t best_from = 0, from, to;
    size_t i;

    for (i = 0; i < n; i++) {
        if (!mcx_key_msg_sends(km[i], now_s)
            || (group && !mcx_key_msg_serves(km[i], group))) {
            continue;
        }
        mcx_key_msg_times(&from, &to, km[i]);
        if (!best || from > best_from
            || (from == best_from && mcx_key_msg_newer(km[i], best))) {
            best = km[i];
            best_from = from;
        }
    }
    return best;
}
