/* call_in.c -- INVITEs that wait until their offer is judged.
 *
 * Where the application has given MCXTAG_CALLBACK, nua_i_invite and whatever
 * follows it on the handle is kept until the verdict: then the application
 * gets all of it in order, or none and the peer gets 488.  Nothing waits
 * inside the stack.  Without that tag the judgement is only begun here, and
 * the engine waits when it makes the answer. */
#include <config.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <stdlib.h>
#include "sofia/call.h"

struct mcxs_hold {
    struct mcxs_hold *next;
    mcx_t *mcx;
    nua_handle_t *nh; /* a reference */
    struct mcxs_event *first, **tail;
    struct mcxs_judge *judge;
    bool initial; /* the application does not know the handle yet */
    bool manual;  /* ours to answer                               */
    bool on_pool, parked, over;
    int64_t until_ms, parked_until_ms;
    char from[MCX_URI_MAX];
};

static struct mcxs_hold *
find(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_hold *h = mcx->holds;

    while (h && h->nh != nh) {
        h = h->next;
    }
    return h;
}

bool
mcxs_call_in_held(mcx_t *mcx, nua_handle_t *nh)
{
    return find(mcx, nh) != NULL;
}

static void
unlist(struct mcxs_hold *h)
{
    struct mcxs_hold **pp = &h->mcx->holds;

    while (*pp && *pp != h) {
        pp = &(*pp)->next;
    }
    if (*pp) {
        *pp = h->next;
    }
    if (h->parked) {
        mcxs_unpark(h->mcx);
        h->parked = false;
    }
}

/* Frees all but a judge that is on the pool: that one finds 'hold' NULL. */
static void
free_hold(struct mcxs_hold *h)
{
    struct mcxs_event *ev;

    while ((ev = h->first) != NULL) {
        h->first = ev->next;
        mcxs_event_free(ev);
    }
    if (h->judge && !h->on_pool) {
        mcxs_judge_free(h->judge);
        h->judge = NULL;
    }
    if (h->on_pool) {
        h->over = true; /* mcxs_call_in_judged() does the rest */
        return;
    }
    mcxs_unref(h->mcx, h->nh);
    free(h);
}

static bool
append(struct mcxs_hold *h, nua_event_t event, int status,
       char const *phrase)
{
    struct mcxs_event *ev = mcxs_event_keep(h->mcx, event, status, phrase,
                                            h->nh);

    if (!ev) {
        return false;
    }
    *h->tail = ev;
    h->tail = &ev->next;
    return true;
}

/* A re-INVITE that nua would have answered had we not taken that over: the
 * application gets it as it would have from nua, as answered. */
static void
answer_reinvite(nua_handle_t *nh, struct mcxs_event *ev)
{
    nua_respond(nh, SIP_200_OK, NUTAG_WITH_SAVED(ev->saved), TAG_END());
    ev->status = 200;
    ev->phrase = sip_200_OK;
}

/* Everything kept goes to the application, in order. */
static void
give_back(struct mcxs_hold *h)
{
    mcx_t *mcx = h->mcx;

    unlist(h); /* before: what follows now is not kept any more */
    if (h->manual && !mcx->nua_gone) {
        answer_reinvite(h->nh, h->first);
    }
    for (struct mcxs_event *ev = h->first; ev; ev = ev->next) {
        (void)mcxs_event_give_back(mcx, ev);
    }
    mcxs_call_tell(mcx, h->nh);
    free_hold(h);
}

/* 'krr' NULL or what goes with it. */
static void
refuse_with(struct mcxs_hold *h, mcx_err err, const struct mcx_why *why,
            bool warn_306, const struct mcxs_krr *krr)
{
    mcx_t *mcx = h->mcx;
    int status = mcxs_status_of(err);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    char *warning = NULL, *warning_306 = NULL;
    sip_payload_t *body = NULL;

    unlist(h);
    mcxs_call_not_good(mcx, h->nh, err);
    mcxs_refused(mcx, MCX_AREA_SIP, status, err, why, h->from);
    if (status == 488) {
        warning = mcxs_warning(home, mcx, MCX_WARN_MIKEY,
                               MCX_WARN_MIKEY_TEXT);
        if (warn_306) {
            warning_306 = su_sprintf(home, "306 %s \"Attribute not "
                                     "understood: key-mgmt\"",
                                     mcx->host.table.host_name);
        }
    }
    if (status == 488 && krr && krr->xml) {
        body = sip_payload_create(home, krr->xml, (issize_t)krr->n);
    }
    if (!mcx->nua_gone) {
        nua_respond(h->nh, status, sip_status_phrase(status),
                    NUTAG_WITH_SAVED(h->first->saved),
                    TAG_IF(warning, SIPTAG_WARNING_STR(warning)),
                    TAG_IF(warning_306, SIPTAG_WARNING_STR(warning_306)),
                    TAG_IF(status == 503, SIPTAG_RETRY_AFTER_STR("5")),
                    TAG_IF(body, SIPTAG_CONTENT_TYPE_STR(MCX_MIME_KRR)),
                    TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_END());
        if (h->initial) {
            nua_handle_destroy(h->nh);
            mcxs_call_over(mcx, h->nh);
        } else {
            /* The call goes on with its old keys; only the INVITE and the
             * state it led to are kept from the application. */
            for (struct mcxs_event *ev = h->first->next; ev; ev = ev->next) {
                if (ev->event != nua_i_state) {
                    (void)mcxs_event_give_back(mcx, ev);
                }
            }
        }
    }
    su_home_deinit(home);
    free_hold(h);
}

static void
refuse(struct mcxs_hold *h, mcx_err err, const struct mcx_why *why,
       bool warn_306)
{
    refuse_with(h, err, why, warn_306, NULL);
}

void
mcxs_call_in_judged(struct mcxs_judge *j)
{
    struct mcxs_hold *h = j->hold;
    mcx_t *mcx = j->mcx;
    bool warn_306 = j->verdict.warn_306;
    struct mcx_why why = j->why;
    struct mcxs_krr krr = { NULL, 0 };
    mcx_err err = j->err;

    h->on_pool = false;
    if (h->over) { /* answered meanwhile */
        h->judge = j;
        free_hold(h);
        return;
    }
    if (err == MCX_E_NO_PERIOD &&
        (h->parked ||
         mcxs_park(mcx, err, &why, &h->parked_until_ms, h->from))) {
        h->parked = true;
        h->judge = j;
        return; /* the beat goes on with it */
    }
    h->judge = NULL;
    krr = j->krr;
    j->krr = (struct mcxs_krr){ NULL, 0 };
    mcxs_judge_free(j);
    if (err == MCX_OK) {
        give_back(h);
    } else {
        refuse_with(h, err, &why, warn_306, &krr);
    }
    mcx_kms_text_free(krr.xml, krr.n);
}

int
mcxs_call_in_follow(mcx_t *mcx, nua_event_t event, int status,
                    char const *phrase, nua_handle_t *nh)
{
    struct mcxs_hold *h = find(mcx, nh);

    /* When memory is short, better out of order than lost. */
    return h && append(h, event, status, phrase);
}

/* Nothing to judge.  1: answered, and shown to the application. */
static int
pass(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
     nua_handle_t *nh)
{
    struct mcxs_event *ev;

    if (!mcxs_call_is_manual(mcx, nh)) {
        return 0;
    }
    ev = mcxs_event_keep(mcx, event, status, phrase, nh);
    if (!ev) {
        return 0;
    }
    answer_reinvite(nh, ev);
    (void)mcxs_event_give_back(mcx, ev);
    mcxs_event_free(ev);
    return 1;
}

/* The SDP of the request, or no octets. */
static struct mcx_bytes
offer_of(const struct mcxs_rq *r)
{
    const struct mcx_part *part = mcxs_mime_find(&r->body,
                                                 "application/sdp");

    return part ? part->body : mcx_bytes(NULL, 0);
}

static int
hold(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
     nua_handle_t *nh, const struct mcxs_rq *r)
{
    struct mcxs_hold *h = calloc(1, sizeof *h);
    mcx_err err = MCX_E_NOMEM;

    if (h) {
        h->mcx = mcx;
        h->nh = nua_handle_ref(nh);
        h->tail = &h->first;
        h->initial = r->initial;
        h->manual = mcxs_call_is_manual(mcx, nh);
        h->until_ms = mcx->env->mono_ms(mcx->env->ctx) + MCXS_HELD_MS;
        snprintf(h->from, sizeof h->from, "%s", r->rq.from);
    }
    if (!h || !append(h, event, status, phrase)) {
        if (h) {
            free_hold(h);
        }
        nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE,
                    NUTAG_WITH_THIS(mcx->nua), SIPTAG_RETRY_AFTER_STR("5"),
                    TAG_END());
        return 1;
    }
    h->next = mcx->holds;
    mcx->holds = h;
    h->on_pool = true;
    if (!mcxs_call_judge(mcx, nh, r, h, &err)) {
        h->on_pool = false;
        mcxh_count(&mcx->host.counters, "sip.busy");
        refuse(h, err, NULL, false);
    }
    return 1;
}

int
mcxs_call_in(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
             nua_handle_t *nh, sip_t const *sip)
{
    struct mcxs_rq r;
    struct mcx_bytes sdp;
    mcx_err err;
    int held = 0;

    if (!sip || !sip->sip_request || !mcxs_call_module(mcx) ||
        status >= 200) {
        return 0;
    }
    if (!mcxs_rq_read(&r, nh, sip)) {
        nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE,
                    NUTAG_WITH_THIS(mcx->nua), SIPTAG_RETRY_AFTER_STR("5"),
                    TAG_END());
        return 1;
    }
    sdp = offer_of(&r);
    if (sdp.n == 0) {
        mcxs_rq_free(&r); /* no offer: there is nothing to judge */
        return pass(mcx, event, status, phrase, nh);
    }
    switch (mcxs_call_seen(mcx, nh, sdp)) {
    case MCXS_GOOD: /* the same octets as before: at once */
        mcxs_call_tell(mcx, nh);
        held = pass(mcx, event, status, phrase, nh);
        break;
    case MCXS_RUNNING: /* the engine was asked for an answer before us */
        break;
    default:
        if (mcx->app_callback) {
            held = hold(mcx, event, status, phrase, nh, &r);
        } else {
            (void)mcxs_call_judge(mcx, nh, &r, NULL, &err);
        }
        break;
    }
    mcxs_rq_free(&r);
    return held;
}

void
mcxs_call_in_beat(mcx_t *mcx, int64_t now_ms, bool retry)
{
    struct mcxs_hold *h, *next;

    for (h = mcx->holds; h; h = next) {
        next = h->next;
        if (h->on_pool && now_ms >= h->until_ms) {
            refuse(h, MCX_E_TIMEOUT, NULL, false);
        } else if (h->parked && !h->on_pool) {
            if (now_ms >= h->parked_until_ms) {
                struct mcx_why why = h->judge->why;
                refuse(h, h->judge->err, &why, false);
            } else if (retry && mcxh_pool_quiet(mcx->pool)) {
                h->on_pool = mcxs_call_judge_again(h->judge);
            }
        }
    }
}

void
mcxs_call_in_end(mcx_t *mcx)
{
    while (mcx->holds) {
        refuse(mcx->holds, MCX_E_BUSY, NULL, false);
    }
}
