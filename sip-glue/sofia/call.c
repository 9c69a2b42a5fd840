/* call.c -- records of calls, and the operations of the engine.
 *
 * call_in.c, outgoing.c and mcx_event() come here on the loop, the engine on
 * nua's stack thread, and the judge of an offer from the pool. */
#include <config.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/su_tag.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "sofia/call.h"

struct mcxs_call {
    struct mcxs_call *next;
    nua_handle_t *nh; /* a reference */
    struct mcx_key *staged, *active;
    bool staged_ours, active_ours, told;
    bool sent;        /* the engine has the value of the staged key */
    char *value;      /* of our offers */
    char *in_force;   /* the last of them that was taken */
    char *given;      /* the copy the engine has */
    char *last_value; /* accepted from the peer, in force */
    char *next_value; /* accepted, offered */
    uint8_t *sdp;     /* the remote offer last seen */
    size_t sdp_n;
    unsigned serial;  /* of that offer */
    enum mcxs_verdict verdict;
    mcx_err err;
    bool warn_306;
    bool soa;              /* the engine makes the SDP of this call   */
    bool manual;           /* re-INVITEs are ours to answer           */
    bool up;               /* nua_i_active was seen                   */
    unsigned idle;         /* seconds without a call after that       */
    unsigned params;       /* answers to nua_set_hparams() to come    */
    struct mcxs_out *made; /* an offer the engine asked for */
};

/* ---- records, all under the lock --------------------------------------- */

static struct mcxs_call *
find(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c = mcx->calls;

    while (c && c->nh != nh) {
        c = c->next;
    }
    return c;
}

static struct mcxs_call *
find_or_add(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c = find(mcx, nh);

    if (!c && (c = calloc(1, sizeof *c)) != NULL) {
        c->nh = nua_handle_ref(nh);
        c->next = mcx->calls;
        mcx->calls = c;
    }
    return c;
}

static void
drop_key(struct mcx_key **key)
{
    if (*key) {
        mcx_key_drop(*key);
        mcx_key_unref(*key);
        *key = NULL;
    }
}

static void
set_text(char **to, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    free(*to);
    *to = copy;
}

/* Takes the record out of the list and wipes its keys. */
static void
end_call(mcx_t *mcx, struct mcxs_call *c)
{
    struct mcxs_call **pp = &mcx->calls;

    while (*pp && *pp != c) {
        pp = &(*pp)->next;
    }
    if (*pp) {
        *pp = c->next;
    }
    drop_key(&c->staged);
    drop_key(&c->active);
    if (c->made) {
        (void)mcxs_out_outcome(c->made, 0, 0);
        mcxs_out_free(c->made);
    }
    mcxs_unref(mcx, c->nh);
    free(c->value);
    free(c->in_force);
    free(c->given);
    free(c->last_value);
    free(c->next_value);
    free(c->sdp);
    free(c);
}

static void
stage(struct mcxs_call *c, struct mcx_key *key, bool ours)
{
    drop_key(&c->staged);
    c->staged = key;
    c->staged_ours = ours;
    c->told = c->sent = false;
}

static void
commit(mcx_t *mcx, struct mcxs_call *c)
{
    struct mcx_key_info info;
    mcx_err err = MCX_OK;

    if (c->made) {
        (void)mcxs_out_outcome(c->made, 200, 0);
        mcxs_out_free(c->made);
        c->made = NULL;
    }
    if (!c->staged) {
        return;
    }
    /* The module that staged it may have committed it by now. */
    mcx_key_info(&info, c->staged);
    if (info.state == MCX_KEY_STAGED) {
        err = mcx_key_commit(c->staged);
    }
    if (err != MCX_OK) {
        mcx_log(mcx->env, MCX_AREA_SIP, 3, "call key not taken: %s",
                mcx_err_text(err));
        return;
    }
    if (c->active) {
        mcx_key_retire(c->active);
        mcx_key_unref(c->active);
    }
    c->active = c->staged;
    c->active_ours = c->staged_ours;
    c->staged = NULL;
    if (c->active_ours) {
        set_text(&c->in_force, c->value);
    }
    if (!c->active_ours && c->next_value) {
        free(c->last_value);
        c->last_value = c->next_value;
        c->next_value = NULL;
    }
}

/* ---- telling the application, on the loop ------------------------------ */

struct tell {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    nua_handle_t *nh;
    struct mcx_key *key;
};

static void
tell_now(struct mcxh_job *job)
{
    struct tell *t = (struct tell *)job;

    mcxs_tell(t->mcx, mcx_i_call_key, 200, "OK", t->nh, t->key);
    mcx_key_unref(t->key);
    mcxs_unref(t->mcx, t->nh);
    free(t);
}

/* With the lock; the posted job runs without it. */
static void
tell(mcx_t *mcx, struct mcxs_call *c)
{
    struct mcx_key *key = c->staged ? c->staged : c->active;
    struct tell *t;

    if (!key || c->told || (t = calloc(1, sizeof *t)) == NULL) {
        return;
    }
    c->told = true;
    t->job.done = tell_now;
    t->mcx = mcx;
    t->nh = nua_handle_ref(c->nh);
    t->key = mcx_key_ref(key);
    mcxs_post_job(mcx->post, &t->job);
}

void
mcxs_call_tell(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        tell(mcx, c);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

/* ---- offers from outside ----------------------------------------------- */

const struct mcxh_mod *
mcxs_call_module(mcx_t *mcx)
{
    for (size_t i = 0; i < mcx->host.n_order; i++) {
        const struct mcxh_mod *mod = &mcx->host.mod[mcx->host.order[i]];
        if (mod->desc->offer_in) {
            return mod;
        }
    }
    return NULL;
}

/* With the lock. */
static enum mcxs_verdict
seen(mcx_t *mcx, nua_handle_t *nh, struct mcx_bytes sdp)
{
    struct mcxs_call *c = find_or_add(mcx, nh);
    uint8_t *copy;

    if (!c) {
        return MCXS_BAD;
    }
    if (c->sdp && mcx_bytes_eq(mcx_bytes(c->sdp, c->sdp_n), sdp) &&
        c->verdict != MCXS_NONE && c->verdict != MCXS_BAD) {
        return c->verdict;
    }
    copy = malloc(sdp.n + 1);
    if (!copy) {
        c->verdict = MCXS_BAD;
        c->err = MCX_E_NOMEM;
        return MCXS_BAD;
    }
    if (sdp.n > 0) {
        memcpy(copy, sdp.p, sdp.n);
    }
    copy[sdp.n] = '\0';
    free(c->sdp);
    c->sdp = copy;
    c->sdp_n = sdp.n;
    c->serial++;
    c->verdict = MCXS_SEEN;
    c->err = MCX_OK;
    c->warn_306 = false;
    return MCXS_SEEN;
}

enum mcxs_verdict
mcxs_call_seen(mcx_t *mcx, nua_handle_t *nh, struct mcx_bytes sdp)
{
    enum mcxs_verdict v;

    pthread_mutex_lock(&mcx->calls_lock);
    v = seen(mcx, nh, sdp);
    pthread_mutex_unlock(&mcx->calls_lock);
    return v;
}

void
mcxs_judge_free(struct mcxs_judge *j)
{
    free(j->verdict.value);
    mcx_kms_text_free(j->krr.xml, j->krr.n);
    mcx_key_unref(j->verdict.key);
    mcxs_unref(j->mcx, j->nh);
    su_home_deinit(j->home);
    free(j);
}

/* Enters the result in the record, if the offer is still the last one. */
static void
enter(struct mcxs_judge *j)
{
    mcx_t *mcx = j->mcx;
    struct mcxs_call *c;
    bool taken = false;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, j->nh);
    if (c && c->serial == j->serial && c->verdict == MCXS_RUNNING) {
        c->verdict = j->err == MCX_OK ? MCXS_GOOD : MCXS_BAD;
        c->err = j->err;
        c->warn_306 = j->verdict.warn_306;
        if (j->err == MCX_OK && j->verdict.key && !j->verdict.unchanged) {
            stage(c, mcx_key_ref(j->verdict.key), false);
            free(c->next_value);
            c->next_value = j->verdict.value;
            j->verdict.value = NULL;
            taken = true;
        }
        pthread_cond_broadcast(&mcx->calls_wake);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    if (!taken && j->verdict.key) {
        mcx_key_drop(j->verdict.key);
    }
}

/* The other end of a call stays who it is: another user's key, however well
 * signed, does not follow the one in force. */
static mcx_err
same_peer(struct mcxs_judge *j)
{
    struct mcx_key_info info;

    if (!j->peer[0] || !j->verdict.key || j->verdict.unchanged) {
        return MCX_OK;
    }
    mcx_key_info(&info, j->verdict.key);
    if (strcmp(info.initiator, j->peer) == 0) {
        return MCX_OK;
    }
    return MCX_REFUSE(&j->why, MCX_R_INITIATOR, "IDRi", 0, "TS 33.180 5.6");
}

static void
judge_offer(struct mcxh_job *job)
{
    struct mcxs_judge *j = (struct mcxs_judge *)job;
    struct mcx_mcinfo *info;
    struct mcx_why ignored;

    j->call.resume = j->resume;
    if (j->mcinfo.n > 0 && !j->resume &&
        (info = calloc(1, sizeof *info)) != NULL) {
        if (mcx_mcinfo_read(info, j->mcinfo, &ignored) == MCX_OK &&
            !info->calling_user_encrypted) {
            char *id = su_strdup(j->home, info->calling_user_id);
            j->call.calling_user_id = id ? id : "";
        }
        mcx_wipe(info, sizeof *info); /* it may hold an access token */
        free(info);
    }
    j->err = j->mod->desc->offer_in(j->mod->state, &j->call, &j->verdict,
                                    &j->why);
    if (j->err == MCX_OK) {
        j->err = same_peer(j);
    }
    if (j->err != MCX_OK && j->hold) {
        mcx_kms_text_free(j->krr.xml, j->krr.n); /* of the try before */
        mcxs_redirect_make_sdp(&j->krr, j->mcx, j->call.sdp, &j->why);
    }
    /* One that may be tried again is not entered yet; without a held INVITE
     * nobody would try. */
    if (!(j->hold && j->err == MCX_E_NO_PERIOD)) {
        enter(j);
    }
}

static void
offer_judged(struct mcxh_job *job)
{
    struct mcxs_judge *j = (struct mcxs_judge *)job;

    if (job->cancelled) {
        j->err = MCX_E_BUSY;
        enter(j);
    }
    if (j->hold) {
        mcxs_call_in_judged(j); /* frees, or keeps it */
        return;
    }
    if (j->err != MCX_OK && !job->cancelled) {
        mcxs_refused(j->mcx, MCX_AREA_SIP, 488, j->err, &j->why,
                     j->call.from);
    }
    mcxs_judge_free(j);
}

bool
mcxs_call_judge_again(struct mcxs_judge *j)
{
    j->resume = true;
    free(j->verdict.value);
    mcx_key_unref(j->verdict.key);
    memset(&j->verdict, 0, sizeof j->verdict);
    return mcxh_pool_submit(j->mcx->pool, &j->job) == MCX_OK;
}

static const char *
text(struct mcxs_judge *j, const char *s)
{
    const char *copy = su_strdup(j->home, s ? s : "");

    return copy ? copy : "";
}

static void
fill_from_request(struct mcxs_judge *j, const struct mcxs_rq *r)
{
    const struct mcx_part *info = mcxs_mime_find(&r->body,
                                                 MCX_MIME_MCPTT_INFO);

    j->call.asserted_identity = text(j, r->rq.asserted_identity);
    j->call.from = text(j, r->rq.from);
    if (info && info->body.n > 0) {
        uint8_t *copy = su_alloc(j->home, (isize_t)info->body.n);
        if (copy) {
            memcpy(copy, info->body.p, info->body.n);
            j->mcinfo = mcx_bytes(copy, info->body.n);
        }
    }
}

static void
fill_from_handle(struct mcxs_judge *j)
{
    sip_to_t const *remote = nua_handle_remote(j->nh);
    char *from = remote ? mcxs_bare_uri(j->home, remote->a_url) : NULL;

    j->call.from = from ? from : "";
}

/* Whom the key of the call is shared with; "" when there is none. */
static const char *
peer_of(struct mcxs_judge *j, const struct mcxs_call *c)
{
    struct mcx_key *key = c->active ? c->active : c->staged;
    bool ours = c->active ? c->active_ours : c->staged_ours;
    struct mcx_key_info info;

    if (!key) {
        return "";
    }
    mcx_key_info(&info, key);
    return text(j, ours ? info.responder : info.initiator);
}

/* With the lock; NULL with the record's verdict bad. */
static struct mcxs_judge *
start(mcx_t *mcx, struct mcxs_call *c, const struct mcxs_rq *r,
      struct mcxs_hold *hold)
{
    struct mcxs_judge *j = calloc(1, sizeof *j);
    uint8_t *sdp;
    mcx_err err = MCX_E_NOMEM;

    if (j) {
        su_home_init(j->home);
        j->mcx = mcx;
        j->nh = nua_handle_ref(c->nh);
        j->serial = c->serial;
        j->mod = mcxs_call_module(mcx);
        j->hold = hold;
        j->call.self = mcx->host.table.self;
        j->call.calling_user_id = j->call.asserted_identity = "";
        j->call.from = "";
        j->call.last_value = text(j, c->last_value);
        j->peer = peer_of(j, c);
        if (r) {
            fill_from_request(j, r);
        } else {
            fill_from_handle(j);
        }
        sdp = su_alloc(j->home, (isize_t)c->sdp_n + 1);
        if (sdp) {
            memcpy(sdp, c->sdp, c->sdp_n + 1);
            j->call.sdp = mcx_bytes(sdp, c->sdp_n);
            j->job.work = judge_offer;
            j->job.done = offer_judged;
            c->verdict = MCXS_RUNNING;
            err = mcxh_pool_submit(mcx->pool, &j->job);
        }
    }
    if (err == MCX_OK) {
        return j;
    }
    if (j) {
        mcxs_judge_free(j);
    }
    c->verdict = MCXS_BAD;
    c->err = err;
    return NULL;
}

struct mcxs_judge *
mcxs_call_judge(mcx_t *mcx, nua_handle_t *nh, const struct mcxs_rq *r,
                struct mcxs_hold *hold, mcx_err *err)
{
    struct mcxs_judge *j = NULL;
    struct mcxs_call *c;

    *err = MCX_E_NOMEM;
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        j = start(mcx, c, r, hold);
        *err = c->err;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    return j;
}

/* ---- our offers -------------------------------------------------------- */

/* With the lock. */
static mcx_err
offer(mcx_t *mcx, nua_handle_t *nh, const struct mcx_out *out)
{
    struct mcxs_call *c;

    if (!out->sdp_value) {
        return MCX_OK;
    }
    c = find_or_add(mcx, nh);
    if (!c) {
        return MCX_E_NOMEM;
    }
    set_text(&c->value, out->sdp_value);
    if (!c->value) {
        return MCX_E_NOMEM;
    }
    if (out->key) {
        stage(c, mcx_key_ref(out->key), true);
    }
    return MCX_OK;
}

mcx_err
mcxs_call_offer(mcx_t *mcx, nua_handle_t *nh, const struct mcx_out *out)
{
    mcx_err err;

    pthread_mutex_lock(&mcx->calls_lock);
    err = offer(mcx, nh, out);
    pthread_mutex_unlock(&mcx->calls_lock);
    return err;
}

/* With the lock. */
static void
offer_refused(mcx_t *mcx, struct mcxs_call *c)
{
    if (c->made) {
        (void)mcxs_out_outcome(c->made, 488, 0);
        mcxs_out_free(c->made);
        c->made = NULL;
    }
    if (c->staged && c->staged_ours) {
        drop_key(&c->staged);
        c->told = c->active != NULL;
        set_text(&c->value, c->in_force);
    }
    if (!c->active && !c->staged) {
        end_call(mcx, c);
    }
}

void
mcxs_call_offer_refused(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        offer_refused(mcx, c);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcxs_call_offer_dropped(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->staged && !c->staged_ours) {
        drop_key(&c->staged);
        c->told = c->active != NULL;
        free(c->next_value);
        c->next_value = NULL;
        c->verdict = MCXS_NONE;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcxs_call_not_good(mcx_t *mcx, nua_handle_t *nh, mcx_err err)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && (c->verdict == MCXS_SEEN || c->verdict == MCXS_RUNNING)) {
        c->verdict = MCXS_BAD;
        c->err = err;
        pthread_cond_broadcast(&mcx->calls_wake);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcxs_call_commit(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        commit(mcx, c);
        tell(mcx, c);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcxs_call_answered(mcx_t *mcx, nua_handle_t *nh, int status)
{
    if (status < 300) {
        mcxs_call_commit(mcx, nh);
    } else {
        mcxs_call_offer_refused(mcx, nh);
    }
}

/* ---- the end ----------------------------------------------------------- */

void
mcxs_call_over(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        end_call(mcx, c);
        pthread_cond_broadcast(&mcx->calls_wake);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcx_call_end(mcx_t *mcx, nua_handle_t *nh)
{
    mcxs_out_forget(mcx, nh);
    mcxs_call_over(mcx, nh);
}

void
mcxs_call_end_all(mcx_t *mcx)
{
    mcxs_call_in_end(mcx);
    pthread_mutex_lock(&mcx->calls_lock);
    while (mcx->calls) {
        end_call(mcx, mcx->calls);
    }
    pthread_cond_broadcast(&mcx->calls_wake);
    pthread_mutex_unlock(&mcx->calls_lock);
}

void
mcxs_call_second(mcx_t *mcx)
{
    struct mcxs_call *c, *next;

    pthread_mutex_lock(&mcx->calls_lock);
    for (c = mcx->calls; c; c = next) {
        next = c->next;
        c->idle = !c->up || nua_handle_has_active_call(c->nh) ||
                          mcxs_call_in_held(mcx, c->nh)
                      ? 0 : c->idle + 1;
        if (c->idle > MCXS_CALL_IDLE_S) {
            end_call(mcx, c);
        }
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

bool
mcxs_call_is_manual(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;
    bool manual;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    manual = c && c->manual;
    pthread_mutex_unlock(&mcx->calls_lock);
    return manual;
}

/* nua would answer a re-INVITE by itself and, with a new key in it, wait for
 * the verdict on its stack thread.  On a handle whose re-INVITEs we hold that
 * is ours to do. */
static void
take_over(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_call *c;
    bool now = false;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c) {
        c->up = true;
    }
    if (mcx->app_callback && c && c->soa && !c->manual
        && (c->active || c->staged)) {
        c->manual = now = true;
        c->params++;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    if (now) {
        nua_set_hparams(nh, NUTAG_AUTOANSWER(0), TAG_END());
    }
}

int
mcxs_call_params(mcx_t *mcx, nua_handle_t *nh, int status)
{
    struct mcxs_call *c;
    int ours = 0;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->params > 0) {
        c->params--;
        ours = 1;
        c->manual = c->manual && status < 300;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    return ours;
}

void
mcxs_call_look(mcx_t *mcx, nua_event_t event, int status, nua_handle_t *nh,
               tagi_t const *tags)
{
    int state = -1;

    switch (event) {
    case nua_i_active:
        take_over(mcx, nh);
        break;
    case nua_i_bye:
    case nua_i_terminated:
        mcxs_call_over(mcx, nh);
        break;
    case nua_r_bye:
        if (status >= 200 && status != 401 && status != 407) {
            mcxs_call_over(mcx, nh);
        }
        break;
    case nua_i_state:
        tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
        if (state == nua_callstate_terminated) {
            mcxs_call_over(mcx, nh);
        } else if (state == nua_callstate_completed) {
            mcxs_call_commit(mcx, nh); /* our 200 has gone out */
        } else if (state == nua_callstate_ready && status >= 300) {
            mcxs_call_offer_dropped(mcx, nh);
        }
        break;
    default:
        break;
    }
}

/* ---- operations of the engine, on nua's stack thread ------------------- */

/* An offer of a plain nua_invite() with MCXTAG_PEER: prepared on the pool
 * while the stack waits.  Shared by the waiter and the job. */
struct wanted {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    struct mcxs_out *o;
    unsigned refs;
    bool finished;
};

/* With the lock. */
static void
wanted_unref(struct wanted *w)
{
    if (--w->refs == 0) {
        if (w->o) {
            (void)mcxs_out_outcome(w->o, 0, 0);
            mcxs_out_free(w->o);
        }
        free(w);
    }
}

static void
wanted_work(struct mcxh_job *job)
{
    struct wanted *w = (struct wanted *)job;

    mcxs_out_prepare(w->o);
    pthread_mutex_lock(&w->mcx->calls_lock);
    w->finished = true;
    pthread_cond_broadcast(&w->mcx->calls_wake);
    pthread_mutex_unlock(&w->mcx->calls_lock);
}

static void
wanted_done(struct mcxh_job *job)
{
    struct wanted *w = (struct wanted *)job;
    mcx_t *mcx = w->mcx;

    pthread_mutex_lock(&mcx->calls_lock);
    wanted_unref(w);
    pthread_mutex_unlock(&mcx->calls_lock);
}

static void
deadline(struct timespec *ts)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_sec += MCXS_ENGINE_WAIT_MS / 1000;
}

static void
prepare_now(mcx_t *mcx, nua_handle_t *nh, const char *peer)
{
    struct wanted *w = calloc(1, sizeof *w);
    struct mcxs_call *c;
    struct timespec until;
    int rc = 0;

    if (w) {
        w->o = mcxs_out_new(mcx, MCX_FOR_CALL, nh);
    }
    if (!w || !w->o) {
        free(w);
        return;
    }
    w->mcx = mcx;
    w->refs = 2;
    w->o->out.peer = su_strdup(w->o->home, peer);
    w->job.work = wanted_work;
    w->job.done = wanted_done;
    if (!w->o->out.peer || mcxs_out_ask(w->o) == 0 ||
        mcxh_pool_submit(mcx->pool, &w->job) != MCX_OK) {
        mcxs_out_free(w->o);
        free(w);
        return;
    }
    deadline(&until);
    pthread_mutex_lock(&mcx->calls_lock);
    while (!w->finished && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&mcx->calls_wake, &mcx->calls_lock,
                                    &until);
    }
    if (w->finished && w->o->err == MCX_OK && w->o->out.sdp_value &&
        offer(mcx, nh, &w->o->out) == MCX_OK &&
        (c = find(mcx, nh)) != NULL && !c->made) {
        c->made = w->o;
        w->o = NULL;
    }
    wanted_unref(w);
    pthread_mutex_unlock(&mcx->calls_lock);
}

static const char *
op_offer_value(void *arg, nua_handle_t *nh, const char *peer)
{
    mcx_t *mcx = arg;
    struct mcxs_call *c;
    const char *value = NULL;
    bool have;

    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    have = c && c->value;
    if (c) {
        c->soa = true;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    if (!have && peer[0]) {
        prepare_now(mcx, nh, peer);
    }
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->value) {
        c->soa = c->sent = true;
        set_text(&c->given, c->value);
        value = c->given;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    return value;
}

static void
op_remote_offer(void *arg, nua_handle_t *nh, const char *sdp, size_t n)
{
    mcx_t *mcx = arg;

    struct mcxs_call *c;

    if (mcxs_call_module(mcx)) {
        pthread_mutex_lock(&mcx->calls_lock);
        (void)seen(mcx, nh, mcx_bytes(sdp, n));
        c = find(mcx, nh);
        if (c) {
            c->soa = true;
        }
        pthread_mutex_unlock(&mcx->calls_lock);
    }
}

static int
op_verdict(void *arg, nua_handle_t *nh, struct mcxs_reject *reject)
{
    mcx_t *mcx = arg;
    struct mcxs_call *c;
    struct timespec until;
    int rc = 0, bad;

    if (!mcxs_call_module(mcx)) {
        return 0;
    }
    deadline(&until);
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->verdict == MCXS_SEEN) {
        (void)start(mcx, c, NULL, NULL);
    }
    while (c && c->verdict == MCXS_RUNNING && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&mcx->calls_wake, &mcx->calls_lock,
                                    &until);
        c = find(mcx, nh);
    }
    bad = !c || c->verdict != MCXS_GOOD;
    reject->warn_306 = c && c->warn_306;
    pthread_mutex_unlock(&mcx->calls_lock);
    return bad;
}

static void
op_activated(void *arg, nua_handle_t *nh)
{
    mcxs_call_commit(arg, nh);
}

static void
op_rejected(void *arg, nua_handle_t *nh)
{
    mcx_t *mcx = arg;
    struct mcxs_call *c;

    /* May come as late as with our next offer: that one is not meant. */
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->sent) {
        offer_refused(mcx, c);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

static void
op_terminated(void *arg, nua_handle_t *nh)
{
    mcx_t *mcx = arg;
    struct mcxs_call *c;

    /* The end of a refused INVITE may come when the offer of its repetition
     * is there already, not yet taken by the engine: that one is not meant.
     * Should it never be taken, the loop's nua_i_state ends the call. */
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && (c->sent || c->active || !c->staged || !c->staged_ours)) {
        end_call(mcx, c);
        pthread_cond_broadcast(&mcx->calls_wake);
    }
    pthread_mutex_unlock(&mcx->calls_lock);
}

const struct mcxs_engine_ops mcxs_call_ops = {
    .offer_value = op_offer_value,
    .remote_offer = op_remote_offer,
    .verdict = op_verdict,
    .activated = op_activated,
    .rejected = op_rejected,
    .terminated = op_terminated,
};

/* ---- what the application asks ----------------------------------------- */

mcx_err
mcx_srtp_policy(mcx_t *mcx, nua_handle_t *nh, bool send,
                struct mcx_srtp_policy *out)
{
    struct mcx_key *key = NULL;
    struct mcxs_call *c;
    bool ours = false;
    mcx_err err;

    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&mcx->calls_lock);
    c = find(mcx, nh);
    if (c && c->staged && (!c->active || !c->staged_ours)) {
        key = mcx_key_ref(c->staged);
        ours = c->staged_ours;
    } else if (c && c->active) {
        key = mcx_key_ref(c->active);
        ours = c->active_ours;
    }
    pthread_mutex_unlock(&mcx->calls_lock);
    if (!key) {
        return MCX_E_NO_KEY;
    }
    /* The initiator of the key sends in crypto session 0. */
    err = mcx_key_policy(out, key,
                         send == ours ? MCX_CS_MCPTT_INITIATOR
                                      : MCX_CS_MCPTT_RESPONDER, false);
    mcx_key_unref(key);
    return err;
}
