/* refresh.c -- keeps nua from sending the same MIKEY message twice.
 *
 * nua keeps the REGISTER it was given and sends it again, octet for octet, on
 * each refresh and when un-registering.  With an I_MESSAGE in it that is a
 * replay, which a server has to refuse.  So an accepted upload is followed by
 * a REGISTER without a body, which nua keeps from then on; and half-way to the
 * expiry we make a fresh one, if the modules want it. */
#include <config.h>
#include <sofia-sip/sip_tag.h>
#include <stdlib.h>
#include "sofia/glue.h"

enum { EXPIRES_DEFAULT_S = 3600, EXPIRES_MAX_S = 7 * 86400 };

struct mcxs_reg {
    struct mcxs_reg *next;
    nua_handle_t *nh; /* a reference */
    su_home_t home[1];
    tagi_t *tags;
    int64_t next_ms, half_ms;
    unsigned plain; /* REGISTERs without a body under way */
    int64_t plain_until_ms;
};

static struct mcxs_reg **
find(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_reg **pp = &mcx->reg;

    while (*pp && (*pp)->nh != nh) {
        pp = &(*pp)->next;
    }
    return pp;
}

/* Seconds the registrar grants: the least of the Contacts in its answer. */
static long
granted_s(sip_t const *sip)
{
    long least = -1;

    for (sip_contact_t const *m = sip ? sip->sip_contact : NULL; m;
         m = m->m_next) {
        if (m->m_expires) {
            long s = strtol(m->m_expires, NULL, 10);
            if (s > 0 && (least < 0 || s < least)) {
                least = s;
            }
        }
    }
    if (least < 0 && sip && sip->sip_expires) {
        least = (long)sip->sip_expires->ex_delta;
    }
    if (least <= 0) {
        least = EXPIRES_DEFAULT_S;
    }
    return least > EXPIRES_MAX_S ? EXPIRES_MAX_S : least;
}

static void
drop(mcx_t *mcx, struct mcxs_reg *reg)
{
    *find(mcx, reg->nh) = reg->next;
    mcxs_unref(mcx, reg->nh);
    su_home_deinit(reg->home);
    free(reg);
}

void
mcxs_refresh_accepted(mcx_t *mcx, struct mcxs_out *o, sip_t const *sip)
{
    struct mcxs_reg **pp = find(mcx, o->nh), *reg = *pp;

    tagi_t tags[] = { { MCXTAG_PEER(o->out.peer) },
                      { MCXTAG_IMPU(o->out.impu) },
                      { TAG_NEXT(o->tags) } };

    if (!reg) {
        reg = calloc(1, sizeof *reg);
        if (reg) {
            su_home_init(reg->home);
            reg->nh = nua_handle_ref(o->nh);
            reg->next = mcx->reg;
            mcx->reg = reg;
        }
    }
    if (reg) {
        su_home_deinit(reg->home); /* the tags of last time */
        su_home_init(reg->home);
        reg->tags = tl_adup(reg->home, tags);
        reg->half_ms = granted_s(sip) * 500;
        reg->next_ms = mcx->env->mono_ms(mcx->env->ctx) + reg->half_ms;
        reg->plain += o->out.n_parts > 0;
        reg->plain_until_ms = mcx->env->mono_ms(mcx->env->ctx) +
                              MCXS_GIVE_UP_MS;
    }
    if (o->out.n_parts > 0) {
        /* Without memory for the record this is all the more needed. */
        nua_register(o->nh, TAG_NEXT(o->tags));
        mcxh_count(&mcx->host.counters, "sip.register-plain");
    }
}

int
mcxs_refresh_response(mcx_t *mcx, int status, nua_handle_t *nh)
{
    struct mcxs_reg *reg = *find(mcx, nh);

    if (!reg || reg->plain == 0 || status < 200) {
        return 0;
    }
    if (status == 401 || status == 407) {
        return 0;
    }
    reg->plain--;
    return status < 300;
}

void
mcxs_refresh_beat(mcx_t *mcx, int64_t now_ms)
{
    struct mcxs_reg *reg, *next;

    for (reg = mcx->reg; reg; reg = next) {
        next = reg->next;
        if (now_ms >= reg->plain_until_ms) {
            reg->plain = 0; /* no answer: the handle was destroyed */
        }
        if (reg->plain == 0 && !nua_handle_has_registrations(reg->nh)) {
            drop(mcx, reg); /* un-registered, refused, or destroyed */
            continue;
        }
        if (now_ms < reg->next_ms || !reg->tags) {
            continue;
        }
        /* nua's own refresh, without a body, keeps the registration should
         * this fail. */
        reg->next_ms = now_ms + reg->half_ms;
        if (mcxs_send(mcx, MCX_FOR_REGISTER, reg->nh, reg->tags, true) != 0) {
            reg->next_ms = now_ms + reg->half_ms / 4;
        }
    }
}

void
mcxs_refresh_forget(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_reg *reg = nh ? *find(mcx, nh) : NULL;

    if (reg && reg->plain > 0) {
        reg->next_ms = INT64_MAX; /* its answer is still to be told apart */
    } else if (reg) {
        drop(mcx, reg);
    }
    while (!nh && mcx->reg) {
        drop(mcx, mcx->reg);
    }
}
