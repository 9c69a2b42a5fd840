/* incoming.c -- requests that a module judges: hold, judge, answer.
 *
 * mcx_event() comes here with MESSAGE, PUBLISH and REGISTER.  The module that
 * claims one judges it on the pool while the transaction is held; here is the
 * answer given, or the event given back to the application.  The judge's
 * reasons stay inside: a peer hears 488 and code 136, whatever it was. */
#include <config.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include "sofia/glue.h"
#include "sofia/guard.h"

#define RETRY_AFTER "5"

struct mcxs_held {
    struct mcxh_job job; /* first */
    struct mcxs_held *next;
    mcx_t *mcx;
    struct mcxs_rq r;
    struct mcxs_event *event;
    const struct mcxh_mod *mod;
    struct mcx_answer answer;
    struct mcx_why why;
    struct mcxs_krr krr; /* goes with a refusal; NULL: none does */
    mcx_err err;
    bool judged, on_pool, answered, parked, resume;
    int64_t until_ms, parked_until_ms;
};

int
mcxs_status_of(mcx_err err)
{
    switch (mcx_err_class(err)) {
    case MCX_CLASS_BYTES:
    case MCX_CLASS_TRUST:
    case MCX_CLASS_LOOKUP:
        return 488;
    case MCX_CLASS_WORLD:
        return 503;
    default:
        return 500;
    }
}

static void
wipe_answer(struct mcx_answer *answer)
{
    if (answer->body) {
        mcx_wipe(answer->body, answer->body_n);
        free(answer->body);
    }
    mcx_key_unref(answer->key);
    memset(answer, 0, sizeof *answer);
}

/* Takes 'h' off the list and frees it; never while it is on the pool. */
static void
release(struct mcxs_held *h)
{
    mcx_t *mcx = h->mcx;
    struct mcxs_held **pp = &mcx->held;

    while (*pp && *pp != h) {
        pp = &(*pp)->next;
    }
    if (*pp) {
        *pp = h->next;
        mcx->n_held--;
    }
    if (h->parked) {
        mcxs_unpark(mcx);
    }
    wipe_answer(&h->answer);
    mcx_kms_text_free(h->krr.xml, h->krr.n);
    mcxs_event_free(h->event);
    mcxs_rq_free(&h->r);
    free(h);
}

/* RFC 3903 6: what the 200 to a PUBLISH has to say. */
struct published {
    char etag[24], expires[24];
};

static bool
publish_headers(const struct mcxs_held *h, struct published *p)
{
    const struct mcx_env *env = h->mcx->env;
    long s = h->r.rq.expires;
    uint8_t random[8];

    if (env->random(env->ctx, random, sizeof random) != MCX_OK ||
        mcx_hex_encode(p->etag, sizeof p->etag,
                       mcx_bytes(random, sizeof random)) != MCX_OK) {
        return false;
    }
    snprintf(p->expires, sizeof p->expires, "%ld", s >= 0 ? s : 3600);
    return true;
}

/* Sends the response; 'a' NULL: nothing but 'status'. */
static void
respond(struct mcxs_held *h, int status, const struct mcx_answer *a)
{
    mcx_t *mcx = h->mcx;
    nua_handle_t *nh = h->event->nh;
    su_home_t *home = h->r.home;
    char const *phrase = a && a->phrase ? a->phrase
                                        : sip_status_phrase(status);
    bool retry = status == 503, has_body = a && a->content_type && a->body;
    bool publish = status == 200 && strcmp(h->r.rq.method, "PUBLISH") == 0;
    char *warning = NULL;
    sip_payload_t *body = NULL;
    struct published p;

    h->answered = true;
    if (mcx->nua_gone) {
        return;
    }
    if (a && a->warning) {
        warning = mcxs_warning(home, mcx, a->warning, a->warning_text);
    }
    if (has_body) {
        body = sip_payload_create(home, a->body, (issize_t)a->body_n);
    }
    publish = publish && publish_headers(h, &p);
    nua_respond(nh, status, phrase ? phrase : "Refused",
                NUTAG_WITH_SAVED(h->event->saved),
                TAG_IF(publish, SIPTAG_ETAG_STR(p.etag)),
                TAG_IF(publish, SIPTAG_EXPIRES_STR(p.expires)),
                TAG_IF(warning, SIPTAG_WARNING_STR(warning)),
                TAG_IF(retry, SIPTAG_RETRY_AFTER_STR(RETRY_AFTER)),
                TAG_IF(body, SIPTAG_CONTENT_TYPE_STR(a ? a->content_type
                                                       : NULL)),
                TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_END());
    mcx_log(mcx->env, MCX_AREA_SIP, 7, "%s from %s answered %d",
            h->r.rq.method, h->r.rq.from, status);
    if (h->r.initial) {
        /* nua made the handle for this request, and the application never
         * saw it. */
        nua_handle_destroy(nh);
    }
}

static void
settle(struct mcxs_held *h, bool sent)
{
    if (h->judged && h->mod->desc->settled) {
        h->mod->desc->settled(h->mod->state, &h->r.rq, &h->answer, sent);
    }
}

static void
refuse(struct mcxs_held *h)
{
    struct mcx_answer a = h->answer;
    int status = h->answer.status >= 300 ? h->answer.status
                                         : mcxs_status_of(h->err);

    if (status == 488 && a.warning == 0) {
        a.warning = MCX_WARN_MIKEY;
        a.warning_text = MCX_WARN_MIKEY_TEXT;
    }
    if (status == 488 && h->krr.xml && !a.body) {
        a.content_type = MCX_MIME_KRR;
        a.body = h->krr.xml;
        a.body_n = h->krr.n;
    }
    mcxs_refused(h->mcx, MCX_AREA_SIP, status, h->err, &h->why,
                 h->r.rq.from);
    respond(h, status, &a);
    settle(h, true);
    release(h);
}

/* The judge leaves the answer to the application. */
static void
give_back(struct mcxs_held *h)
{
    settle(h, true);
    h->answered = true;
    if (!mcxs_event_give_back(h->mcx, h->event)) {
        mcx_log(h->mcx->env, MCX_AREA_SIP, 1,
                "%s cannot be given back: mcx_create() had no "
                "MCXTAG_CALLBACK", h->r.rq.method);
        respond(h, 500, NULL);
    }
    release(h);
}

/* What goes with the refusal, when it is one. */
static void
take_verdict(struct mcxs_held *h, mcx_err err)
{
    const struct mcx_part *mikey;

    h->err = err;
    h->judged = true;
    mikey = h->err != MCX_OK ? mcxs_mime_find(&h->r.body, MCX_MIME_MIKEY)
                             : NULL;
    if (mikey) {
        mcx_kms_text_free(h->krr.xml, h->krr.n); /* of the try before */
        mcxs_redirect_make(&h->krr, h->mcx, mikey->body, &h->why);
    }
}

static void
judge(struct mcxh_job *job)
{
    struct mcxs_held *h = (struct mcxs_held *)job;

    h->r.rq.resume = h->resume;
    take_verdict(h, h->mod->desc->judge(h->mod->state, &h->r.rq, &h->answer,
                                        &h->why));
}

/* Several for one module: the sort of the jobs. */
static void
judge_many(struct mcxh_job **job, size_t n)
{
    const struct mcxh_mod *mod = ((struct mcxs_held *)job[0])->mod;
    struct mcx_judgement j[MCXH_POOL_TOGETHER];
    size_t i;

    for (i = 0; i < n; i++) {
        struct mcxs_held *h = (struct mcxs_held *)job[i];

        h->r.rq.resume = h->resume;
        j[i] = (struct mcx_judgement){ .rq = &h->r.rq, .answer = &h->answer,
                                       .why = &h->why };
        mcxh_count(&h->mcx->host.counters, "sip.judged-together");
    }
    mod->desc->judge_many(mod->state, j, n);
    for (i = 0; i < n; i++) {
        take_verdict((struct mcxs_held *)job[i], j[i].err);
    }
}
_Static_assert((int)MCXH_POOL_TOGETHER <= (int)MCX_JUDGE_MANY,
               "as many as modules are promised");

static void
judged(struct mcxh_job *job)
{
    struct mcxs_held *h = (struct mcxs_held *)job;
    mcx_t *mcx = h->mcx;

    h->on_pool = false;
    if (h->answered) { /* it took too long, or the instance ends */
        settle(h, false);
        release(h);
        return;
    }
    if (job->cancelled) {
        respond(h, 503, NULL);
        settle(h, false);
        release(h);
        return;
    }
    if (h->err != MCX_OK) {
        if (h->parked ||
            mcxs_park(mcx, h->err, &h->why, &h->parked_until_ms,
                      h->r.rq.from)) {
            bool again = h->why.reason == MCX_R_NO_PERIOD_KEY &&
                         h->err == MCX_E_NO_PERIOD;
            h->parked = true;
            if (again) {
                h->resume = true;
                wipe_answer(&h->answer);
                return; /* the beat goes on with it */
            }
        }
        refuse(h);
        return;
    }
    if (h->answer.status == 0) {
        give_back(h);
        return;
    }
    mcxh_count(&mcx->host.counters, "sip.answered");
    respond(h, h->answer.status, &h->answer);
    settle(h, true);
    release(h);
}

static bool
submit(struct mcxs_held *h)
{
    h->job.work = judge;
    h->job.done = judged;
    h->job.work_many = h->mod->desc->judge_many ? judge_many : NULL;
    h->job.sort = h->mod;
    h->on_pool = true;
    if (mcxh_pool_submit(h->mcx->pool, &h->job) == MCX_OK) {
        return true;
    }
    h->on_pool = false;
    return false;
}

static const struct mcxh_mod *
claimed_by(mcx_t *mcx, const struct mcx_rq *rq)
{
    for (size_t i = 0; i < mcx->host.n_order; i++) {
        const struct mcxh_mod *mod = &mcx->host.mod[mcx->host.order[i]];
        if (mod->desc->claims && mod->desc->claims(mod->state, rq)) {
            return mod;
        }
    }
    return NULL;
}

static bool
any_claims(const mcx_t *mcx)
{
    for (size_t i = 0; i < mcx->host.n_order; i++) {
        if (mcx->host.mod[mcx->host.order[i]].desc->claims) {
            return true;
        }
    }
    return false;
}

/* A body that cannot be taken apart might hold what should be judged: for a
 * server that is a refusal, not a request without a key.  At a client a
 * MESSAGE of no readable kind is the application's. */
static bool
must_refuse_body(const struct mcxs_held *h)
{
    bool bad = h->r.body_err != MCX_OK ||
               strcmp(h->r.rq.content_type, MCXS_GUARD_TYPE) == 0;

    return bad && h->mcx->host.table.role == MCX_ROLE_SERVER &&
           strcmp(h->r.rq.method, "MESSAGE") != 0;
}

int
mcxs_incoming(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
              nua_handle_t *nh, sip_t const *sip)
{
    struct mcxs_held *h;

    if (!sip || !sip->sip_request || !sip->sip_from || !sip->sip_to ||
        status >= 200 || !any_claims(mcx)) {
        return 0;
    }
    h = calloc(1, sizeof *h);
    if (!h || !mcxs_rq_read(&h->r, nh, sip)) {
        free(h);
        mcx_log(mcx->env, MCX_AREA_SIP, 1, "out of memory for a request");
        nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE,
                    NUTAG_WITH_THIS(mcx->nua),
                    SIPTAG_RETRY_AFTER_STR(RETRY_AFTER), TAG_END());
        return 1;
    }
    h->mcx = mcx;
    if (must_refuse_body(h)) {
        h->err = h->r.body_err;
        h->why = h->r.body_why;
        if (h->err == MCX_OK) {
            h->err = MCX_REFUSE(&h->why, MCX_R_ENCODING, "body", 0,
                                "RFC 2046 5.1.1");
        }
    } else {
        h->mod = claimed_by(mcx, &h->r.rq);
        if (!h->mod) {
            mcxs_rq_free(&h->r);
            free(h);
            return 0;
        }
    }
    h->event = mcxs_event_keep(mcx, event, status, phrase, nh);
    if (!h->event) {
        mcxs_rq_free(&h->r);
        free(h);
        nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE,
                    NUTAG_WITH_THIS(mcx->nua),
                    SIPTAG_RETRY_AFTER_STR(RETRY_AFTER), TAG_END());
        return 1;
    }
    h->next = mcx->held;
    mcx->held = h;
    mcx->n_held++;
    h->until_ms = mcx->env->mono_ms(mcx->env->ctx) + MCXS_HELD_MS;
    mcxh_count(&mcx->host.counters, "sip.judged");
    if (!h->mod) {
        refuse(h);
    } else if (mcx->n_held > MCXS_HELD_MAX || !submit(h)) {
        mcxh_count(&mcx->host.counters, "sip.busy");
        h->err = MCX_E_BUSY;
        refuse(h);
    }
    return 1;
}

void
mcxs_incoming_beat(mcx_t *mcx, int64_t now_ms, bool retry)
{
    struct mcxs_held *h, *next;

    for (h = mcx->held; h; h = next) {
        next = h->next;
        if (h->on_pool) {
            if (!h->answered && now_ms >= h->until_ms) {
                h->err = MCX_E_TIMEOUT;
                mcxs_refused(mcx, MCX_AREA_SIP, 503, MCX_E_TIMEOUT, NULL,
                             h->r.rq.from);
                respond(h, 503, NULL);
            }
        } else if (h->parked && now_ms >= h->parked_until_ms) {
            refuse(h);
        } else if (h->parked && retry && mcxh_pool_quiet(mcx->pool)) {
            (void)submit(h); /* else next time: new requests go first */
        }
    }
}

void
mcxs_incoming_end(mcx_t *mcx)
{
    struct mcxs_held *h, *next;

    for (h = mcx->held; h; h = next) {
        next = h->next;
        if (!h->answered) {
            respond(h, 503, NULL);
        }
        if (!h->on_pool) {
            settle(h, false);
            release(h);
        }
    }
}
