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
 * cases of their own.  Nothing of an answer is used before it has been judged
 * as a whole (mcx_kms_reply_read), and each key by itself (mcx_kms_load_only).
 *
 * Clauses: TS 33.180 5.3, annex D. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "kms.h"

static const char SCHEME[] = "https://";

enum step {
    STEP_NONE,
    STEP_PURGE,    /* empty slots of the cache            */
    STEP_LOOK,     /* is there another token than before? */
    STEP_INIT,
    STEP_KEYS,     /* of the present period               */
    STEP_NEXT,     /* of the coming one                   */
    STEP_CERTS,    /* CertCache                           */
    STEP_EXTERNAL  /* Cert, of one KMS of 'external'      */
};
enum { STEPS_MAX = 8 + KMS_EXTERNAL_MAX }; /* of one piece of work */

struct held {
    uint64_t no;
    int64_t valid_to_unix; /* 0: open */
};

struct external {
    char uri[MCX_URI_MAX];
    int64_t next_mono_ms;
};

/* SECRET, in guarded memory only: keyed mark of a token, to know it again. */
struct marks {
    struct mcx_seal_key key;
    uint8_t used[MCX_SEAL_MAC_SIZE];
};

struct kms {
    struct mcx_work work; /* first */
    const struct mcx_host *host;
    const struct mcx_env *env;
    bool busy; /* loop's: the work is under way */

    /* Settings; not changed after the start. */
    struct kms_http_set http;
    kms_post_f *post; /* NULL: the network */
    void *post_arg;
    char root[MCX_KMS_URL_MAX];
    char kms_uri[MCX_URI_MAX];
    const char *user, *token_file, *client_id;
    int64_t window_ms, refresh_ms;
    struct kms_store *store; /* NULL: nothing is kept */

    /* Of the work while busy, else of the loop. */
    struct kms_http *conn;
    unsigned failures;
    int64_t next_mono_ms; /* nothing is asked before */
    bool token_refused;
    int64_t look_mono_ms;
    struct marks *marks; /* guarded */
    int64_t init_ms, certs_ms; /* Time of the newest answers; 0: none */
    int64_t certs_next_mono_ms;
    bool init_now; /* a key set did not fit the certificate we have */
    uint64_t plain_missed; /* period + 1 that a plain KeyProvision lacked */
    uint64_t renew_no;     /* period + 1 to which the next line belongs */
    int64_t renew_at_ms;
    uint32_t refresh_dice;
    uint64_t cache_num;
    bool has_cache_num;
    unsigned n_cert_slots; /* in use */
    struct external external[KMS_EXTERNAL_MAX];
    size_t n_external;
    uint64_t slot_no[KMS_KEY_SLOTS]; /* period + 1 kept there; 0: none */
    uint64_t took[MCX_KMS_SETS_MAX]; /* periods of the answer at hand */
    size_t n_took;
    bool grew;        /* the ring; for done() */
    mcx_err to_report; /* ClientError of the next request */

    pthread_mutex_t lock; /* of what follows */
    struct held held[KMS_HELD_MAX];
    size_t n_held;
    bool purge[KMS_SLOTS];
    bool any_purge;
};

/* ---- small things ------------------------------------------------------ */

static int64_t
now_ms(const struct kms *k)
{
    return k->env->unix_ms(k->env->ctx);
}

static int64_t
mono_ms(const struct kms *k)
{
    return k->env->mono_ms(k->env->ctx);
}

/* Without randomness everybody is early; nothing else is lost. */
static uint32_t
dice(const struct kms *k)
{
    uint32_t v = 0;

    if (k->env->random(k->env->ctx, &v, sizeof v) != MCX_OK) {
        v = 0;
    }
    return v;
}

static bool
has_key(const struct kms *k, uint64_t no)
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
static bool
present(const struct kms *k, struct mcx_kms_info *info, uint64_t *no)
{
    int64_t now = now_ms(k);

    return mcx_ring_kms(k->host->ring, mcx_bytes_str(k->kms_uri), info, NULL)
               == MCX_OK
           && cert_usable(info, now)
           && kms_period_at(no, &info->period, now);
}

static void
purge_slot(struct kms *k, unsigned slot)
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
            || ended(s->k, no, now_ms(s->k) / 1000))) {
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
static void
drop_key(struct kms *k, uint64_t no, const char *why)
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
static void
sweep(struct kms *k)
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
        s.all = !cert_usable(&info, now_ms(k));
        s.before = kms_period_at(&no, &info.period, now_ms(k)) && no > 0;
        s.first = no > 0 ? no - 1 : 0;
        pthread_mutex_lock(&k->lock);
        mcx_ring_each(k->host->ring, sweep_one, &s);
        pthread_mutex_unlock(&k->lock);
        for (size_t i = 0; i < s.n; i++) {
            drop_key(k, s.no[i],
                     s.all ? "the certificate of the KMS is revoked or ended"
                     : s.before && s.no[i] < s.first
                         ? "its period is long over"
                         : "its ValidTo is past");
        }
    } while (s.n == KMS_HELD_MAX);
}

/* ---- what is due ------------------------------------------------------- */

static bool
external_due(const struct kms *k, size_t *which)
{
    for (size_t i = 0; i < k->n_external; i++) {
        struct mcx_bytes uri = mcx_bytes_str(k->external[i].uri);

        if (mono_ms(k) >= k->external[i].next_mono_ms
            && mcx_ring_kms(k->host->ring, uri, NULL, NULL) != MCX_OK) {
            *which = i;
            return true;
        }
    }
    return false;
}

/* Older than 'refresh' and a random tenth? */
static bool
aged(const struct kms *k, int64_t since_ms)
{
    int64_t tenth = k->refresh_ms / 10;

    return now_ms(k) >= since_ms + k->refresh_ms
                            + (int64_t)((double)tenth * k->refresh_dice
                                        / 4294967296.0)
           || now_ms(k) < since_ms - k->refresh_ms; /* the clock was set */
}

static enum step
next_step(struct kms *k, size_t *which)
{
    struct mcx_kms_info info;
    int64_t mono = mono_ms(k);
    uint64_t no = 0;
    bool purge;

    memset(&info, 0, sizeof info);
    pthread_mutex_lock(&k->lock);
    purge = k->any_purge;
    pthread_mutex_unlock(&k->lock);
    if (purge) {
        return STEP_PURGE;
    }
    if (mono < k->next_mono_ms) {
        return k->token_refused && mono >= k->look_mono_ms ? STEP_LOOK
                                                           : STEP_NONE;
    }
    if (!present(k, &info, &no) || k->init_now) {
        return STEP_INIT;
    }
    if (!has_key(k, no)) {
        return STEP_KEYS;
    }
    if (k->renew_no != no + 1) {
        k->renew_no = no + 1;
        k->renew_at_ms = kms_renew_at_ms(&info.period, no, dice(k));
    }
    if (now_ms(k) >= k->renew_at_ms && !has_key(k, no + 1)) {
        return STEP_NEXT;
    }
    if (aged(k, k->init_ms)) {
        return STEP_INIT;
    }
    if (k->n_external > 0 && mono >= k->certs_next_mono_ms
        && (k->certs_ms == 0 || aged(k, k->certs_ms))) {
        return STEP_CERTS;
    }
    return external_due(k, which) ? STEP_EXTERNAL : STEP_NONE;
}

/* ---- the cache --------------------------------------------------------- */

/* A cache that cannot be written costs a request at the next start. */
static void
keep(struct kms *k, unsigned slot, struct mcx_bytes xml)
{
    mcx_err err = k->store ? kms_store_put(k->store, slot, xml) : MCX_OK;

    if (err != MCX_OK) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: slot %u not written: %s",
                slot, mcx_err_text(err));
    }
}

static mcx_err
purge(struct kms *k)
{
    bool slots[KMS_SLOTS];

    pthread_mutex_lock(&k->lock);
    memcpy(slots, k->purge, sizeof slots);
    memset(k->purge, 0, sizeof k->purge);
    k->any_purge = false;
    pthread_mutex_unlock(&k->lock);
    for (unsigned i = 0; i < KMS_SLOTS; i++) {
        if (!slots[i]) {
            continue;
        }
        if (i >= KMS_SLOT_KEYS && i < KMS_SLOT_KEYS + KMS_KEY_SLOTS) {
            uint64_t no = k->slot_no[i - KMS_SLOT_KEYS];

            /* Another period's may have come to lie there since. */
            if (no > 0 && has_key(k, no - 1)) {
                continue;
            }
            k->slot_no[i - KMS_SLOT_KEYS] = 0;
        }
        keep(k, i, mcx_bytes(NULL, 0));
    }
    return MCX_OK;
}

/* ---- what an answer brings --------------------------------------------- */

static bool
home_cert(void *arg, const struct mcx_kms_info *info)
{
    const struct kms *k = arg;

    return strcmp(info->uri, k->kms_uri) == 0;
}

static bool
names_domain(const struct mcx_kms_info *info, const char *domain)
{
    for (size_t i = 0; i < info->n_domains; i++) {
        if (strcasecmp(info->domain[i], domain) == 0) {
            return true;
        }
    }
    return false;
}

/* Does 'domain' belong to somebody else than 'info'?  Identities resolve to
 * exactly one KMS, and ours is not to be taken from us. */
static bool
taken(const struct kms *k, const struct mcx_kms_info *info,
      const char *domain)
{
    const char *at = strchr(k->user, '@');
    size_t n = strlen(domain);
    struct mcx_kms_info other;
    char uri[MCX_GROUP_ID_MAX + 8];

    memset(&other, 0, sizeof other);
    if (at && strcspn(at + 1, ":;?") == n
        && strncasecmp(at + 1, domain, n) == 0) {
        return true;
    }
    (void)snprintf(uri, sizeof uri, "sip:x@%s", domain);
    return mcx_ring_kms_of(k->host->ring, uri, &other, NULL) == MCX_OK
           && strcmp(other.uri, info->uri) != 0
           && names_domain(&other, domain);
}

/* Only KMSs that the settings list, for domains of their own. */
static bool
external_cert(void *arg, const struct mcx_kms_info *info)
{
    const struct kms *k = arg;
    bool listed = false;

    for (size_t i = 0; i < k->n_external; i++) {
        listed = listed || strcmp(k->external[i].uri, info->uri) == 0;
    }
    if (!listed || strcmp(info->uri, k->kms_uri) == 0) {
        return false;
    }
    for (size_t i = 0; i < info->n_domains; i++) {
        if (taken(k, info, info->domain[i])) {
            mcx_log(k->env, MCX_AREA_KMS, 3, "refused, certificate of %s: "
                    "%s belongs to another KMS", info->uri,
                    info->domain[i]);
            return false;
        }
    }
    return true;
}

static void
hold(struct kms *k, uint64_t no, int64_t valid_to_unix)
{
    size_t i = 0;

    pthread_mutex_lock(&k->lock);
    while (i < k->n_held && k->held[i].no != no) {
        i++;
    }
    if (i == KMS_HELD_MAX) {
        /* Full of what the ring has lost: the oldest goes. */
        i = 0;
        for (size_t j = 1; j < KMS_HELD_MAX; j++) {
            i = k->held[j].no < k->held[i].no ? j : i;
        }
    }
    k->held[i].no = no;
    k->held[i].valid_to_unix = valid_to_unix;
    k->n_held += i == k->n_held;
    pthread_mutex_unlock(&k->lock);
}

static void
took(void *arg, uint64_t period_no)
{
    struct kms *k = arg;

    if (k->n_took < MCX_KMS_SETS_MAX) {
        k->took[k->n_took++] = period_no;
    }
}

static bool
was_taken(const struct kms *k, uint64_t no)
{
    for (size_t i = 0; i < k->n_took; i++) {
        if (k->took[i] == no) {
            return true;
        }
    }
    return false;
}

/* After the sets of 'xml' went to the ring: what is kept, what goes.  'fresh':
 * it came from the network. */
static void
settle_sets(struct kms *k, const struct mcx_kms_reply *reply,
            struct mcx_bytes xml, bool fresh)
{
    struct mcx_kms_info info;
    uint64_t now_no = 0;

    memset(&info, 0, sizeof info);
    if (!present(k, &info, &now_no)) {
        return;
    }
    for (size_t i = 0; i < reply->n_sets; i++) {
        const struct mcx_kms_announced *a = &reply->set[i];

        if (a->revoked) {
            drop_key(k, a->period_no, "revoked by the KMS");
            k->to_report = MCX_E_EXPIRED;
        } else if (!was_taken(k, a->period_no)) {
            continue; /* refused: what we have of that period stays */
        } else if (a->period_no + 1 < now_no || a->period_no > now_no + 1) {
            /* Not asked for, and there is no room for more than three. */
            mcx_ring_drop_user(k->host->ring, k->user, k->kms_uri,
                               a->period_no);
            if (!fresh) {
                purge_slot(k, KMS_SLOT_KEYS
                                  + (unsigned)(a->period_no
                                               % KMS_KEY_SLOTS));
            }
        } else {
            unsigned slot = (unsigned)(a->period_no % KMS_KEY_SLOTS);

            hold(k, a->period_no, a->valid_to_unix);
            k->slot_no[slot] = a->period_no + 1;
            if (fresh) {
                keep(k, KMS_SLOT_KEYS + slot, xml);
                k->grew = true;
                k->host->event(k->host, MCX_EV_IDENTITY, NULL, MCX_OK, NULL,
                               k->user);
            }
        }
    }
}

/* Takes a judged answer to the ring. */
static mcx_err
take(struct kms *k, const struct mcx_kms_reply *reply, struct mcx_bytes xml,
     bool external, bool fresh, struct mcx_text *text)
{
    struct mcx_kms_only only = {
        .user_uri = k->user, .kms_uri = k->kms_uri,
        .cert = external ? external_cert : home_cert, .took = took, .arg = k
    };
    struct mcx_kms_loaded loaded = { 0, 0 };
    mcx_err err;

    k->n_took = 0;
    err = mcx_kms_load_only(k->host->ring, xml, fresh ? k->kms_uri : "cache",
                            &only, k->env, &loaded, text);
    if (reply->what == MCX_KMS_KEYPROV) {
        settle_sets(k, reply, xml, fresh);
    } else if (err == MCX_OK && !external && loaded.n_kms == 0) {
        (void)snprintf(text->s, sizeof text->s,
                       "KmsInit holds the certificate of another KMS");
        err = MCX_E_AUTH;
    }
    if (loaded.n_kms > 0 && fresh) {
        k->grew = true;
    }
    if (loaded.n_kms > 0 && !external) {
        sweep(k); /* it may be revoked */
    }
    return err;
}

/* ---- one question ------------------------------------------------------ */

/* Reads the token into 'out' of KMS_TOKEN_MAX + 1 octets; "" when none is
 * configured. */
static mcx_err
read_token(struct kms *k, char *out)
{
    char *s = NULL;
    size_t n = 0, i;
    mcx_err err;

    out[0] = '\0';
    if (!k->token_file) {
        return MCX_OK;
    }
    MCX_TRY(k->env->read_file(k->env->ctx, k->token_file, KMS_TOKEN_MAX, &s,
                              &n));
    while (n > 0 && (unsigned char)s[n - 1] <= ' ') {
        n--;
    }
    err = n > 0 ? MCX_OK : MCX_E_CONFIG;
    for (i = 0; i < n; i++) {
        /* Anything else could end the header line. */
        if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f) {
            err = MCX_E_CONFIG;
        }
    }
    if (err == MCX_OK) {
        memcpy(out, s, n);
        out[n] = '\0';
    }
    mcx_wipe(s, n);
    free(s);
    return err;
}

static void
mark_token(struct kms *k, uint8_t mark[MCX_SEAL_MAC_SIZE], const char *token)
{
    struct mcx_bytes part = mcx_bytes_str(token);

    if (mcx_seal_mac(mark, &k->marks->key, &part, 1) != MCX_OK) {
        memset(mark, 0, MCX_SEAL_MAC_SIZE);
    }
}

/* Is there another token than the one that was refused?  Then ask at once. */
static mcx_err
look(struct kms *k)
{
    uint8_t mark[MCX_SEAL_MAC_SIZE];
    char *token = mcx_guard_new(KMS_TOKEN_MAX + 1);

    k->look_mono_ms = mono_ms(k) + KMS_TOKEN_LOOK_MS;
    if (token && read_token(k, token) == MCX_OK) {
        mark_token(k, mark, token);
        if (!mcx_secret_eq(mark, k->marks->used, sizeof mark)) {
            k->token_refused = false;
            k->failures = 0;
            k->next_mono_ms = 0;
        }
    }
    mcx_guard_free(token);
    return MCX_OK;
}

/* Appends "/" and 's' percent-encoded; MCX_E_TOOBIG. */
static mcx_err
add_segment(char url[MCX_KMS_URL_MAX], const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(url);

    url[n++] = '/';
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (n + 4 > MCX_KMS_URL_MAX) {
            return MCX_E_TOOBIG;
        }
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
            || (c >= 'a' && c <= 'z') || strchr("-._~", c)) {
            url[n++] = (char)c;
        } else {
            url[n++] = '%';
            url[n++] = digits[c >> 4];
            url[n++] = digits[c & 15];
        }
    }
    url[n] = '\0';
    return MCX_OK;
}

static mcx_err
post(struct kms *k, const char *url, struct mcx_bytes body,
     struct kms_http_reply *http)
{
    char *token = mcx_guard_new(KMS_TOKEN_MAX + 1);
    mcx_err err = token ? read_token(k, token) : MCX_E_NOMEM;

    if (err != MCX_OK) {
        (void)snprintf(http->text.s, sizeof http->text.s,
                       "token-file: %s", mcx_err_text(err));
        mcx_guard_free(token);
        return err;
    }
    mark_token(k, k->marks->used, token);
    if (!k->post && !k->conn) {
        err = kms_http_open(&k->conn, &k->http);
    }
    if (err == MCX_OK) {
        k->host->count(k->host, "kms.requests");
        err = k->post ? k->post(k->post_arg, url, token[0] ? token : NULL,
                                body, http)
                      : kms_http_post(k->conn, url,
                                      token[0] ? token : NULL, body, http);
    }
    mcx_guard_free(token);
    return err;
}

/* An answer with another status than 200: what it says of itself, if that can
 * be read.  Nothing in it is believed but a text for people. */
static mcx_err
other_status(struct kms *k, const struct kms_http_reply *http,
             const struct mcx_kms_expect *expect, struct mcx_text *text)
{
    struct mcx_kms_expect any = *expect;
    struct mcx_kms_reply reply;
    const char *said = "";

    any.what = MCX_KMS_ANY;
    if (http->n > 0
        && mcx_kms_reply_read(&reply, mcx_bytes(http->body, http->n), &any,
                              NULL) == MCX_E_PEER) {
        said = reply.error_msg;
    }
    k->token_refused = k->token_refused || http->status == 401
                       || http->status == 403;
    (void)snprintf(text->s, sizeof text->s, "HTTP status %ld%s%s%s",
                   http->status,
                   http->status >= 300 && http->status < 400
                       ? ", a redirect, which is not followed" : "",
                   *said ? ": " : "", said);
    return MCX_E_PEER;
}

struct question {
    enum mcx_kms_what what;
    bool external;
    char url[MCX_KMS_URL_MAX];
};

/* Asks, judges and takes.  On success '*http' holds the answer, to be dropped
 * by the caller in any case. */
static mcx_err
ask(struct kms *k, const struct question *q, struct mcx_kms_reply *reply,
    struct kms_http_reply *http, struct mcx_text *text)
{
    struct mcx_kms_expect expect = {
        .what = q->what, .user_uri = k->user, .kms_uri = k->kms_uri,
        .client_req_url = q->url, .window_ms = k->window_ms
    };
    struct mcx_kms_request *req = calloc(1, sizeof *req);
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    if (!req) {
        return MCX_E_NOMEM;
    }
    (void)snprintf(req->user_uri, sizeof req->user_uri, "%s", k->user);
    (void)snprintf(req->kms_uri, sizeof req->kms_uri, "%s", k->kms_uri);
    (void)snprintf(req->client_req_url, sizeof req->client_req_url, "%s",
                   q->url);
    (void)snprintf(req->client_id, sizeof req->client_id, "%s",
                   k->client_id ? k->client_id : "");
    req->time_unix_ms = now_ms(k);
    if (k->to_report != MCX_OK) {
        req->has_error = true;
        req->error_code = (uint64_t)k->to_report;
        (void)snprintf(req->error_msg, sizeof req->error_msg, "%s",
                       mcx_err_text(k->to_report));
    }
    err = mcx_kms_request_write(&xml, &n, req);
    free(req);
    if (err == MCX_OK) {
        err = post(k, q->url, mcx_bytes(xml, n), http);
        *text = http->text;
    }
    mcx_kms_text_free(xml, n);
    MCX_TRY(err);
    expect.now_unix_ms = now_ms(k);
    if (http->status != 200) {
        return other_status(k, http, &expect, text);
    }
    k->token_refused = false;
    k->to_report = MCX_OK;
    MCX_TRY(mcx_kms_reply_read(reply, mcx_bytes(http->body, http->n),
                               &expect, text));
    return take(k, reply, mcx_bytes(http->body, http->n), q->external, true,
                text);
}

/* ---- the steps --------------------------------------------------------- */

static mcx_err
start_question(const struct kms *k, struct question *q,
               enum mcx_kms_what what, const char *resource)
{
    int n = snprintf(q->url, sizeof q->url, "%s/%s", k->root, resource);

    q->what = what;
    q->external = false;
    return n > 0 && (size_t)n < sizeof q->url ? MCX_OK : MCX_E_TOOBIG;
}

static mcx_err
do_init(struct kms *k, struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct mcx_kms_info info;
    struct question q;
    uint64_t no = 0;
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(start_question(k, &q, MCX_KMS_INIT, "init"));
    err = ask(k, &q, &reply, &http, text);
    if (err == MCX_OK) {
        k->init_ms = now_ms(k);
        k->refresh_dice = dice(k);
        k->init_now = false;
        keep(k, KMS_SLOT_INIT, mcx_bytes(http.body, http.n));
        if (!present(k, &info, &no)) {
            (void)snprintf(text->s, sizeof text->s, "the certificate of "
                           "%.400s is revoked, or this is not its time",
                           k->kms_uri);
            k->to_report = MCX_E_EXPIRED;
            err = MCX_E_EXPIRED;
        }
    }
    kms_http_drop(&http);
    return err;
}

/* The keys of period 'no': by plain KeyProvision, or at a time in it. */
static mcx_err
do_keys(struct kms *k, uint64_t no, bool plain, struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct mcx_kms_info info;
    struct question q;
    char when[17];
    uint64_t present_no = 0;
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(start_question(k, &q, MCX_KMS_KEYPROV, "keyprov"));
    if (!plain) {
        if (!present(k, &info, &present_no)) {
            return MCX_E_STATE;
        }
        /* Upper 32 bits: seconds since 1900 of the era (D.2.4). */
        (void)snprintf(when, sizeof when, "%08lX00000000",
                       (unsigned long)((uint64_t)mcx_period_start(
                                           &info.period, no)
                                       & 0xffffffffu));
        MCX_TRY(add_segment(q.url, k->user));
        MCX_TRY(add_segment(q.url, when));
    }
    err = ask(k, &q, &reply, &http, text);
    kms_http_drop(&http);
    if (has_key(k, no)) {
        if (err != MCX_OK) {
            /* A set beside it was bad; ours is good. */
            mcx_log(k->env, MCX_AREA_KMS, 3, "a key set was refused: %s",
                    text->s);
            k->host->count(k->host, "kms.refused");
            k->to_report = err;
        }
        k->plain_missed = 0;
        return MCX_OK;
    }
    if (err == MCX_OK && plain) {
        k->plain_missed = no + 1; /* asked for by its time next */
        return MCX_OK;
    }
    k->plain_missed = 0;
    if (err == MCX_OK) {
        (void)snprintf(text->s, sizeof text->s,
                       "the answer has no keys of period %llu",
                       (unsigned long long)no);
        err = MCX_E_NO_PERIOD;
    }
    return err;
}

/* Keys of the present period: plainly first, for that is what every KMS
 * knows. */
static mcx_err
do_present_keys(struct kms *k, struct mcx_text *text)
{
    struct mcx_kms_info info;
    uint64_t no = 0;

    memset(&info, 0, sizeof info);
    return present(k, &info, &no)
               ? do_keys(k, no, k->plain_missed != no + 1, text)
               : MCX_OK;
}

static mcx_err
do_next_keys(struct kms *k, struct mcx_text *text)
{
    struct mcx_kms_info info;
    uint64_t no = 0;

    memset(&info, 0, sizeof info);
    return present(k, &info, &no) ? do_keys(k, no + 1, false, text) : MCX_OK;
}

/* Not having certificates of others is no reason to stop caring for our own
 * keys: only a KMS that does not answer at all is. */
static mcx_err
not_vital(struct kms *k, mcx_err err, const char *what,
          const struct mcx_text *text, int64_t *next_mono_ms)
{
    if (err == MCX_OK || err == MCX_E_IO || err == MCX_E_TIMEOUT
        || err == MCX_E_STATE) {
        return err;
    }
    *next_mono_ms = mono_ms(k) + KMS_CERT_LOOK_MS;
    k->host->count(k->host, "kms.failed");
    mcx_log(k->env, MCX_AREA_KMS, 3, "%s: %s; again in %d s", what,
            text->s[0] ? text->s : mcx_err_text(err),
            KMS_CERT_LOOK_MS / 1000);
    return MCX_OK;
}

static mcx_err
do_certs(struct kms *k, struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct question q;
    char num[24];
    mcx_err err;

    MCX_TRY(start_question(k, &q, MCX_KMS_CERTCACHE, "certcache"));
    q.external = true;
    if (k->n_cert_slots == KMS_CERT_SLOTS) {
        k->has_cache_num = false; /* all of it again, in one answer */
    }
    if (k->has_cache_num) {
        (void)snprintf(num, sizeof num, "%llu",
                       (unsigned long long)k->cache_num);
        MCX_TRY(add_segment(q.url, num));
    }
    err = ask(k, &q, &reply, &http, text);
    if (err == MCX_OK) {
        if (!k->has_cache_num) {
            for (unsigned i = 0; i < k->n_cert_slots; i++) {
                purge_slot(k, KMS_SLOT_CERTS + i);
            }
            (void)purge(k);
            k->n_cert_slots = 0;
        }
        k->certs_ms = now_ms(k);
        /* An empty answer to the same number says that nothing is new. */
        if (k->n_cert_slots == 0 || !k->has_cache_num
            || (reply.has_cache_num && reply.cache_num != k->cache_num)) {
            keep(k, KMS_SLOT_CERTS + k->n_cert_slots,
                 mcx_bytes(http.body, http.n));
            k->n_cert_slots++;
        }
        k->has_cache_num = reply.has_cache_num;
        k->cache_num = reply.cache_num;
    }
    kms_http_drop(&http);
    return not_vital(k, err, "CertCache", text, &k->certs_next_mono_ms);
}

static mcx_err
do_external(struct kms *k, size_t which, struct mcx_text *text)
{
    struct external *x = &k->external[which];
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct question q;
    mcx_err err;

    MCX_TRY(start_question(k, &q, MCX_KMS_CERTCACHE, "cert"));
    q.external = true;
    MCX_TRY(add_segment(q.url, x->uri));
    err = ask(k, &q, &reply, &http, text);
    if (err == MCX_OK
        && mcx_ring_kms(k->host->ring, mcx_bytes_str(x->uri), NULL, NULL)
               != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s,
                       "no certificate of %.400s came that we may "
                       "use", x->uri);
        err = MCX_E_NO_IDENTITY;
    }
    if (err == MCX_OK) {
        keep(k, KMS_SLOT_EXTERNAL + (unsigned)which,
             mcx_bytes(http.body, http.n));
    }
    kms_http_drop(&http);
    return not_vital(k, err, "Cert", text, &x->next_mono_ms);
}

static mcx_err
run_step(struct kms *k, enum step step, size_t which, struct mcx_text *text)
{
    switch (step) {
    case STEP_PURGE:
        return purge(k);
    case STEP_LOOK:
        return look(k);
    case STEP_INIT:
        return do_init(k, text);
    case STEP_KEYS:
        return do_present_keys(k, text);
    case STEP_NEXT:
        return do_next_keys(k, text);
    case STEP_CERTS:
        return do_certs(k, text);
    case STEP_EXTERNAL:
        return do_external(k, which, text);
    default:
        return MCX_OK;
    }
}

static void
failed(struct kms *k, enum step step, mcx_err err,
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
    wait = kms_backoff_ms(k->failures, info.period.length_s, dice(k));
    k->next_mono_ms = mono_ms(k) + wait;
    k->look_mono_ms = mono_ms(k) + KMS_TOKEN_LOOK_MS;
    k->host->count(k->host, "kms.failed");
    mcx_log(k->env, MCX_AREA_KMS, 3, "%s at %s failed: %s; again in %lld s",
            words[step], k->kms_uri, text->s[0] ? text->s : mcx_err_text(err),
            (long long)(wait + 999) / 1000);
    if (class == MCX_CLASS_BYTES || class == MCX_CLASS_TRUST) {
        k->host->count(k->host, "kms.refused");
        k->host->event(k->host, MCX_EV_REFUSED, NULL, err, NULL, k->kms_uri);
        k->to_report = err;
        /* Perhaps the KMS has other keys than we know of. */
        k->init_now = step == STEP_KEYS || step == STEP_NEXT;
    }
}

/* ---- work -------------------------------------------------------------- */

static void
work(struct mcx_work *w)
{
    struct kms *k = (struct kms *)w;
    struct mcx_text text;
    size_t which = 0;
    mcx_err err = MCX_OK;

    for (unsigned i = 0; i < STEPS_MAX && err == MCX_OK; i++) {
        enum step step = next_step(k, &which);

        if (k->host->stopping(k->host)) {
            break;
        }
        if (step == STEP_NONE) {
            /* Nothing is missing.  Not after each step: a KMS that answers
             * to one question and not to the next one is failing. */
            if (mono_ms(k) >= k->next_mono_ms) {
                k->failures = 0;
            }
            break;
        }
        text.s[0] = '\0';
        err = run_step(k, step, which, &text);
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

static void
done(struct mcx_work *w)
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

    sweep(k);
    if (k->busy || next_step(k, &which) == STEP_NONE) {
        return;
    }
    k->busy = true;
    if (k->host->submit(k->host, &k->work) != MCX_OK) {
        k->busy = false; /* full: the next second will do */
    }
}

/* ---- start and stop ---------------------------------------------------- */

static const char *
option(const struct kms *k, const char *name)
{
    return k->host->option(k->host, KMS_NAME, name);
}

static mcx_err MCX_PRINTF(2, 3)
wrong(struct mcx_text *text, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text->s, sizeof text->s, fmt, ap);
    va_end(ap);
    return MCX_E_CONFIG;
}

/* 'url' and, from its host, the KMS URI. */
static mcx_err
read_url(struct kms *k, struct mcx_text *text)
{
    const char *url = option(k, "url"), *uri = option(k, "kms-uri"), *path;
    size_t n, host_n;

    if (!url || strncmp(url, SCHEME, sizeof SCHEME - 1) != 0) {
        return wrong(text, "url = %.200s: expected https://HOST...",
                     url ? url : "(not set)");
    }
    host_n = strcspn(url + sizeof SCHEME - 1, "/?#");
    path = url + sizeof SCHEME - 1 + host_n;
    n = strlen(url);
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    if (host_n == 0 || strpbrk(url, "?#@ \t") || strlen(url) > 1024) {
        return wrong(text, "url = %.200s: expected https://HOST[:PORT][/PATH]",
                     url);
    }
    (void)snprintf(k->root, sizeof k->root, "%.*s%s", (int)n, url,
                   strspn(path, "/") == strlen(path) ? KMS_ROOT_PATH : "");
    if (uri) {
        (void)snprintf(k->kms_uri, sizeof k->kms_uri, "%s", uri);
    } else {
        const char *h = url + sizeof SCHEME - 1;

        host_n = *h == '[' ? strcspn(h, "]/") + 1 : strcspn(h, ":/");
        (void)snprintf(k->kms_uri, sizeof k->kms_uri, "%.*s", (int)host_n, h);
    }
    if (strpbrk(k->kms_uri, " \t") || (uri && strlen(uri) >= MCX_URI_MAX)) {
        return wrong(text, "kms-uri = %.200s: expected a URI", k->kms_uri);
    }
    return MCX_OK;
}

static mcx_err
read_external(struct kms *k, struct mcx_text *text)
{
    const char *s = option(k, "external");
    size_t n;

    for (; s && *s; s += n) {
        s += strspn(s, " \t,");
        n = strcspn(s, " \t,");
        if (n == 0) {
            break;
        }
        if (n >= MCX_URI_MAX || k->n_external == KMS_EXTERNAL_MAX) {
            return wrong(text, "external: expected at most %d KMS URIs",
                         KMS_EXTERNAL_MAX);
        }
        memcpy(k->external[k->n_external++].uri, s, n);
    }
    return MCX_OK;
}

/* The host has checked the ranges. */
static int64_t
seconds(const struct kms *k, const char *name)
{
    const char *s = option(k, name);

    return s ? strtoll(s, NULL, 10) : 0;
}

static bool
stopping(void *arg)
{
    const struct mcx_host *host = ((struct kms *)arg)->host;

    return host->stopping(host);
}

static mcx_err
read_settings(struct kms *k, struct mcx_text *text)
{
    const char *proxy = option(k, "proxy");

    MCX_TRY(read_url(k, text));
    MCX_TRY(read_external(k, text));
    k->user = k->host->self;
    if (!k->user || !*k->user) {
        return wrong(text, "identity is not set: whose keys?");
    }
    if (proxy && strncmp(proxy, "http://", 7) != 0) {
        return wrong(text, "proxy = %.200s: expected http://HOST:PORT",
                     proxy);
    }
    if (option(k, "key-file") && !option(k, "cert-file")) {
        return wrong(text, "key-file without cert-file");
    }
    if (!option(k, "cache") != !option(k, "cache-key-file")) {
        return wrong(text, "cache and cache-key-file: both or neither");
    }
    k->token_file = option(k, "token-file");
    k->client_id = option(k, "client-id");
    k->window_ms = seconds(k, "time-window") * 1000;
    k->refresh_ms = seconds(k, "refresh") * 1000;
    k->refresh_dice = dice(k);
    k->http.ca_file = option(k, "ca-file");
    k->http.cert_file = option(k, "cert-file");
    k->http.key_file = option(k, "key-file");
    k->http.proxy = proxy;
    k->http.timeout_s = (long)seconds(k, "timeout");
    k->http.stop = stopping;
    k->http.arg = k;
    return MCX_OK;
}

/* A stored answer goes the way of one from the network, except that nobody
 * asks when it was given and to what.  True: it was there and good. */
static bool
recall(struct kms *k, unsigned slot, enum mcx_kms_what what, bool external,
       struct mcx_kms_reply *reply)
{
    struct mcx_kms_expect expect = {
        .what = what, .user_uri = k->user, .kms_uri = k->kms_uri,
        .window_ms = -1
    };
    struct mcx_text text = { "" };
    char *xml = NULL;
    size_t n = 0;
    mcx_err err = kms_store_get(k->store, slot, &xml, &n);

    if (err == MCX_E_NO_KEY) {
        return false;
    }
    if (err == MCX_OK) {
        err = mcx_kms_reply_read(reply, mcx_bytes(xml, n), &expect, &text);
    }
    if (err == MCX_OK) {
        err = take(k, reply, mcx_bytes(xml, n), external, false, &text);
    }
    mcx_kms_text_free(xml, n);
    if (err != MCX_OK) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: slot %u is of no use: %s",
                slot, text.s[0] ? text.s : mcx_err_text(err));
    }
    return err == MCX_OK;
}

static void
recall_all(struct kms *k)
{
    struct mcx_kms_reply reply = { 0 };

    if (recall(k, KMS_SLOT_INIT, MCX_KMS_INIT, false, &reply)) {
        k->init_ms = reply.time_unix_ms;
    }
    for (unsigned i = 0; i < KMS_KEY_SLOTS; i++) {
        (void)recall(k, KMS_SLOT_KEYS + i, MCX_KMS_KEYPROV, false, &reply);
    }
    for (unsigned i = 0; i < KMS_CERT_SLOTS && k->n_external > 0; i++) {
        if (!recall(k, KMS_SLOT_CERTS + i, MCX_KMS_CERTCACHE, true,
                    &reply)) {
            break;
        }
        k->certs_ms = reply.time_unix_ms;
        k->has_cache_num = reply.has_cache_num;
        k->cache_num = reply.cache_num;
        k->n_cert_slots = i + 1;
    }
    for (size_t i = 0; i < k->n_external; i++) {
        (void)recall(k, KMS_SLOT_EXTERNAL + (unsigned)i, MCX_KMS_CERTCACHE,
                     true, &reply);
    }
}

static mcx_err
open_store(struct kms *k, struct mcx_text *text)
{
    const char *dir = option(k, "cache");
    char who[2 * MCX_URI_MAX + 2];

    if (!dir) {
        return MCX_OK;
    }
    (void)snprintf(who, sizeof who, "%s %s", k->user, k->kms_uri);
    MCX_TRY(kms_store_open(&k->store, dir, option(k, "cache-key-file"), who,
                           k->env, text));
    recall_all(k);
    return MCX_OK;
}

mcx_err
kms_start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    struct kms *k;
    mcx_err err;

    if (!MCX_HOST_HAS(host, grown)) {
        return wrong(text, "this host runs no work of modules");
    }
    k = calloc(1, sizeof *k);
    if (!k) {
        return MCX_E_NOMEM;
    }
    k->work.work = work;
    k->work.done = done;
    k->host = host;
    k->env = host->env;
    pthread_mutex_init(&k->lock, NULL);
    k->marks = mcx_guard_new(sizeof *k->marks);
    if (!kms_http_begin() || !k->marks) {
        err = MCX_E_NOMEM;
    } else {
        err = k->env->random(k->env->ctx, k->marks->key.b,
                             sizeof k->marks->key.b);
    }
    if (err == MCX_OK) {
        err = read_settings(k, text);
    }
    if (err == MCX_OK) {
        err = open_store(k, text);
    }
    if (err != MCX_OK) {
        kms_stop(k);
        return err;
    }
    *state = k;
    return MCX_OK;
}

void
kms_stop(void *state)
{
    struct kms *k = state;

    kms_http_close(k->conn);
    kms_store_close(k->store);
    mcx_guard_free(k->marks);
    pthread_mutex_destroy(&k->lock);
    kms_http_end();
    free(k);
}

void
kms_use(void *state, kms_post_f *post_f, void *arg)
{
    struct kms *k = state;

    k->post = post_f;
    k->post_arg = arg;
}
