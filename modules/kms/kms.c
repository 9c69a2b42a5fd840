/* kms.c -- the client of a key management server.  See kms.h.
 *
 * Once a second kms_tick() (loop) takes keys out of the ring whose time is
 * over, and looks whether there is something to ask; if so, one piece of work
 * goes to the pool, which asks one thing after the other until nothing is due
 * or something failed.  While it runs, the state is its own ('busy'); only
 * 'held' is shared, under the lock, so that no key is used past its end
 * because a server is slow.
 *
 * What is due is found by looking at the ring and never remembered: so a
 * restart, a key folder read beside us, or a clock that was set, need no
 * cases of their own.
 *
 * Clauses: TS 33.180 5.3, annex D. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

/* ---- small things ------------------------------------------------------ */

int64_t
kms_now_ms(const struct kms *k)
{
    return k->env->unix_ms(k->env->ctx);
}

int64_t
kms_mono_ms(const struct kms *k)
{
    return k->env->mono_ms(k->env->ctx);
}

/* Without randomness everybody is early; nothing else is lost. */
uint32_t
kms_dice(const struct kms *k)
{
    uint32_t v = 0;

    if (k->env->random(k->env->ctx, &v, sizeof v) != MCX_OK) {
        v = 0;
    }
    return v;
}

int64_t
kms_look_ms(const struct kms *k)
{
    return k->token_file ? KMS_TOKEN_LOOK_MS : KMS_TOKEN_ASK_MS;
}

bool
kms_has_key(const struct kms *k, uint64_t no)
{
    struct mcx_user_key *key;
    bool has = mcx_ring_user(k->host->ring, k->user, no, &key) == MCX_OK;

    mcx_user_key_free(key);
    return has;
}

static bool
cert_usable(const struct mcx_kms_info *info, int64_t now_unix_ms)
{
    return !info->revoked
           && (info->valid_to_unix == 0
               || now_unix_ms / 1000 <= info->valid_to_unix);
}

/* The certificate of our KMS and the period of now; false when we have no
 * usable one. */
bool
kms_present(const struct kms *k, struct mcx_kms_info *info, uint64_t *no)
{
    int64_t now = kms_now_ms(k);

    return mcx_ring_kms(k->host->ring, mcx_bytes_str(k->kms_uri), info, NULL)
               == MCX_OK
           && cert_usable(info, now)
           && kms_period_at(no, &info->period, now);
}

void
kms_purge_slot(struct kms *k, unsigned slot)
{
    pthread_mutex_lock(&k->lock);
    k->purge[slot] = true;
    k->any_purge = true;
    pthread_mutex_unlock(&k->lock);
}

/* ---- keys whose time is over ------------------------------------------- */

struct sweep {
    const struct kms *k;
    uint64_t no[KMS_HELD_MAX];
    size_t n;
    bool all, before; /* all of them, or those before 'first' */
    uint64_t first;
};

static bool
ended(const struct kms *k, uint64_t no, int64_t now_s)
{
    for (size_t i = 0; i < k->n_held; i++) {
        if (k->held[i].no == no && k->held[i].valid_to_unix != 0
            && now_s > k->held[i].valid_to_unix) {
            return true;
        }
    }
    return false;
}

static void
sweep_one(void *arg, const char *uri, const char *kms_uri, uint64_t no)
{
    struct sweep *s = arg;

    if (s->n < KMS_HELD_MAX && strcmp(uri, s->k->user) == 0
        && strcmp(kms_uri, s->k->kms_uri) == 0
        && (s->all || (s->before && no < s->first)
            || ended(s->k, no, kms_now_ms(s->k) / 1000))) {
        s->no[s->n++] = no;
    }
}

static void
forget_held(struct kms *k, uint64_t no)
{
    for (size_t i = 0; i < k->n_held; i++) {
        if (k->held[i].no == no) {
            k->held[i] = k->held[--k->n_held];
            break;
        }
    }
    k->purge[KMS_SLOT_KEYS + no % KMS_KEY_SLOTS] = true;
    k->any_purge = true;
}

/* The key of period 'no' goes, from the ring and from the cache. */
void
kms_drop_key(struct kms *k, uint64_t no, const char *why)
{
    mcx_ring_drop_user(k->host->ring, k->user, k->kms_uri, no);
    pthread_mutex_lock(&k->lock);
    forget_held(k, no);
    pthread_mutex_unlock(&k->lock);
    mcx_log(k->env, MCX_AREA_KMS, 5, "keys of %s, period %llu, dropped: %s",
            k->user, (unsigned long long)no, why);
    k->host->count(k->host, "kms.dropped");
}

/* Periods before the last one, sets past their ValidTo, and everything when
 * the certificate is revoked or past its own.  Loop, or the work. */
void
kms_sweep(struct kms *k)
{
    struct sweep s;
    struct mcx_kms_info info;
    uint64_t no = 0;

    memset(&info, 0, sizeof info);
    if (mcx_ring_kms(k->host->ring, mcx_bytes_str(k->kms_uri), &info, NULL)
        != MCX_OK) {
        return;
    }
    do {
        memset(&s, 0, sizeof s);
        s.k = k;
        s.all = !cert_usable(&info, kms_now_ms(k));
        s.before = kms_period_at(&no, &info.period, kms_now_ms(k)) && no > 0;
        s.first = no > 0 ? no - 1 : 0;
        pthread_mutex_lock(&k->lock);
        mcx_ring_each(k->host->ring, sweep_one, &s);
        pthread_mutex_unlock(&k->lock);
        for (size_t i = 0; i < s.n; i++) {
            kms_drop_key(k, s.no[i],
                     s.all ? "the certificate of the KMS is revoked or ended"
                     : s.before && s.no[i] < s.first
                         ? "its period is long over"
                         : "its ValidTo is past");
        }
    } while (s.n == KMS_HELD_MAX);
}

/* ---- what is due ------------------------------------------------------- */

bool
kms_aged(const struct kms *k, int64_t since_ms)
{
    int64_t tenth = k->refresh_ms / 10;

    return kms_now_ms(k) >= since_ms + k->refresh_ms
                                + (int64_t)((double)tenth * k->refresh_dice
                                            / 4294967296.0)
           || kms_now_ms(k) < since_ms - k->refresh_ms; /* the clock was set */
}

static bool
external_due(const struct kms *k, size_t *which)
{
    for (size_t i = 0; i < k->n_external; i++) {
        const struct kms_external *x = &k->external[i];

        /* One that CertCache does not bring is asked for again by itself, or
         * nobody would see that it is revoked. */
        if (kms_mono_ms(k) >= x->next_mono_ms
            && (mcx_ring_kms(k->host->ring, mcx_bytes_str(x->uri), NULL, NULL)
                    != MCX_OK
                || (x->got_ms != 0 && kms_aged(k, x->got_ms)))) {
            *which = i;
            return true;
        }
    }
    return false;
}

static enum kms_step
next_step(struct kms *k, size_t *which)
{
    struct mcx_kms_info info;
    int64_t mono = kms_mono_ms(k);
    uint64_t no = 0;
    bool purge;

    memset(&info, 0, sizeof info);
    pthread_mutex_lock(&k->lock);
    purge = k->any_purge;
    pthread_mutex_unlock(&k->lock);
    if (purge) {
        return KMS_STEP_PURGE;
    }
    if (mono < k->next_mono_ms) {
        return k->token_refused && mono >= k->look_mono_ms ? KMS_STEP_LOOK
                                                           : KMS_STEP_NONE;
    }
    if (!kms_present(k, &info, &no) || k->init_now) {
        return KMS_STEP_INIT;
    }
    if (!kms_has_key(k, no)) {
        return KMS_STEP_KEYS;
    }
    if (k->renew_no != no + 1) {
        k->renew_no = no + 1;
        k->renew_at_ms = kms_renew_at_ms(&info.period, no, kms_dice(k));
    }
    if (kms_now_ms(k) >= k->renew_at_ms && !kms_has_key(k, no + 1)) {
        return KMS_STEP_NEXT;
    }
    if (kms_aged(k, k->init_ms)) {
        return KMS_STEP_INIT;
    }
    if (k->n_external > 0 && mono >= k->certs_next_mono_ms
        && (k->certs_ms == 0 || kms_aged(k, k->certs_ms))) {
        return KMS_STEP_CERTS;
    }
    return external_due(k, which) ? KMS_STEP_EXTERNAL : KMS_STEP_NONE;
}

/* ---- work -------------------------------------------------------------- */

static void
failed(struct kms *k, enum kms_step step, mcx_err err,
       const struct mcx_text *text)
{
    static const char *const words[] = {
        "", "", "", "Initialize", "KeyProvision", "KeyProvision ahead",
        "CertCache", "Cert"
    };
    enum mcx_err_class class = mcx_err_class(err);
    struct mcx_kms_info info;
    int64_t wait;

    memset(&info, 0, sizeof info);
    if (mcx_ring_kms(k->host->ring, mcx_bytes_str(k->kms_uri), &info, NULL)
        != MCX_OK) {
        info.period.length_s = 0; /* not known yet */
    }
    k->failures++;
    wait = kms_backoff_ms(k->failures, info.period.length_s, kms_dice(k));
    k->next_mono_ms = kms_mono_ms(k) + wait;
    k->look_mono_ms = kms_mono_ms(k) + kms_look_ms(k);
    k->host->count(k->host, "kms.failed");
    mcx_log(k->env, MCX_AREA_KMS, 3, "%s at %s failed: %s; again in %lld s",
            words[step], k->kms_uri, text->s[0] ? text->s : mcx_err_text(err),
            (long long)(wait + 999) / 1000);
    if (class == MCX_CLASS_BYTES || class == MCX_CLASS_TRUST) {
        k->host->count(k->host, "kms.refused");
        k->host->event(k->host, MCX_EV_REFUSED, NULL, err, NULL, k->kms_uri);
        k->to_report = err;
        /* Perhaps the KMS has other keys than we know of. */
        k->init_now = step == KMS_STEP_KEYS || step == KMS_STEP_NEXT;
    }
}

void
kms_work(struct mcx_work *w)
{
    struct kms *k = (struct kms *)w;
    struct mcx_text text;
    size_t which = 0;
    mcx_err err = MCX_OK;

    for (unsigned i = 0; i < KMS_STEPS_MAX && err == MCX_OK; i++) {
        enum kms_step step = next_step(k, &which);

        if (k->host->stopping(k->host)) {
            break;
        }
        if (step == KMS_STEP_NONE) {
            /* Nothing is missing.  Not after each step: a KMS that answers
             * to one question and not to the next one is failing. */
            if (kms_mono_ms(k) >= k->next_mono_ms) {
                k->failures = 0;
            }
            break;
        }
        text.s[0] = '\0';
        err = kms_run_step(k, step, which, &text);
        if (err == MCX_E_STATE && k->host->stopping(k->host)) {
            break;
        }
        if (err != MCX_OK) {
            failed(k, step, err, &text);
        }
    }
    kms_http_close(k->conn);
    k->conn = NULL;
}

void
kms_done(struct mcx_work *w)
{
    struct kms *k = (struct kms *)w;

    k->busy = false;
    if (k->grew && !w->cancelled) {
        k->host->grown(k->host);
    }
    k->grew = false;
}

void
kms_tick(void *state)
{
    struct kms *k = state;
    size_t which = 0;

    kms_sweep(k);
    if (k->busy || next_step(k, &which) == KMS_STEP_NONE) {
        return;
    }
    k->busy = true;
    if (k->host->submit(k->host, &k->work) != MCX_OK) {
        k->busy = false; /* full: the next second will do */
    }
}

void
kms_use(void *state, kms_post_f *post_f, void *arg)
{
    struct kms *k = state;

    k->post = post_f;
    k->post_arg = arg;
}
