/* store.c -- see store.h: the chain, the effects, and the writer's queue.
 * What a database does is in store_sqlite.c and its like. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "store.h"

enum { BATCH_MAX = 64 };

struct job {
    struct kms_entry e;
    struct mcx_bytes keys; /* sealed, of KMS_KEYS ... */
    uint64_t serial;       /* ... in place of these */
    mcx_err err;
    bool done;
    struct job *next;
};

struct kms_store {
    const struct kms_db_ops *ops;
    const struct mcx_env *env;
    struct mcx_seal_key *audit; /* guarded copy */
    bool enrol;
    struct kms_db *reader, *writer; /* the writer's thread has 'writer' */
    pthread_mutex_t read_lock;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t come, gone;
    struct job *first, *last;
    bool stop;
    bool has_thread;
    pthread_t thread;
};

/* ---- the chain --------------------------------------------------------- */

static void
put64(uint8_t out[8], uint64_t v)
{
    int i;

    for (i = 7; i >= 0; i--) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
}

static mcx_err
chain(uint8_t out[MCX_SEAL_MAC_SIZE], const struct mcx_seal_key *key,
      const uint8_t before[MCX_SEAL_MAC_SIZE], const struct kms_entry *e)
{
    uint8_t seq[8], ms[8], period[8];
    struct mcx_bytes parts[] = {
        mcx_bytes(before, MCX_SEAL_MAC_SIZE),
        mcx_bytes(seq, sizeof seq),
        mcx_bytes(ms, sizeof ms),
        mcx_bytes_str(e->what),
        mcx_bytes_str(e->user),
        mcx_bytes(period, sizeof period),
        mcx_bytes_str(e->detail),
    };

    put64(seq, e->seq);
    put64(ms, (uint64_t)e->unix_ms);
    put64(period, e->period_no);
    return mcx_seal_mac(out, key, parts, sizeof parts / sizeof parts[0]);
}

/* ---- appending --------------------------------------------------------- */

static mcx_err
put_keys(struct kms_store *s, const struct job *j)
{
    uint8_t old[KMS_KEYS_MAX];
    uint64_t serial = 0;
    size_t n = 0;

    MCX_TRY(s->ops->keys(s->writer, j->e.user, old, &n, &serial));
    return serial == j->serial
               ? s->ops->put_keys(s->writer, j->e.user, serial + 1, j->keys)
               : MCX_E_STATE;
}

/* The effect of an entry.  An error that says something about the user leaves
 * the transaction in order. */
static mcx_err
effect(struct kms_store *s, const struct job *j, const struct kms_entry *e)
{
    enum kms_user_state state = KMS_USER_NONE;
    bool add = strcmp(e->what, KMS_ADD) == 0;

    if (strcmp(e->what, KMS_ROTATE) == 0
        || strcmp(e->what, KMS_RESEAL) == 0) {
        return MCX_OK;
    }
    MCX_TRY(s->ops->user(s->writer, e->user, &state));
    if (add) {
        return state == KMS_USER_NONE
                   ? s->ops->user_add(s->writer, e->user, e->unix_ms)
                   : MCX_E_NO_IDENTITY;
    }
    if (state == KMS_USER_REVOKED) {
        return MCX_E_EXPIRED;
    }
    if (strcmp(e->what, KMS_REVOKE) == 0) {
        return state == KMS_USER_ACTIVE
                   ? s->ops->user_revoke(s->writer, e->user, e->unix_ms)
                   : MCX_E_NO_IDENTITY;
    }
    if (strcmp(e->what, KMS_KEYS) == 0) {
        return state == KMS_USER_ACTIVE ? put_keys(s, j) : MCX_E_NO_IDENTITY;
    }
    return state == KMS_USER_ACTIVE
               ? s->ops->issued(s->writer, e->user, e->period_no, e->unix_ms)
               : MCX_E_NO_IDENTITY;
}

static mcx_err
log_one(struct kms_store *s, struct kms_entry *e, uint64_t *seq,
        uint8_t mac[MCX_SEAL_MAC_SIZE])
{
    e->seq = *seq + 1;
    MCX_TRY(chain(e->mac, s->audit, mac, e));
    MCX_TRY(s->ops->log(s->writer, e));
    *seq = e->seq;
    memcpy(mac, e->mac, sizeof e->mac);
    return MCX_OK;
}

/* A user who is not known becomes one, when the store is open to that. */
static mcx_err
enrol(struct kms_store *s, const struct job *j, uint64_t *seq,
      uint8_t mac[MCX_SEAL_MAC_SIZE])
{
    struct kms_entry e = j->e;

    (void)snprintf(e.what, sizeof e.what, "%s", KMS_ADD);
    e.period_no = 0;
    MCX_TRY(effect(s, j, &e));
    MCX_TRY(log_one(s, &e, seq, mac));
    return effect(s, j, &j->e);
}

static bool
about_user(mcx_err err)
{
    return err == MCX_E_NO_IDENTITY || err == MCX_E_EXPIRED
           || err == MCX_E_STATE;
}

/* One transaction for the jobs of a list; each gets its error. */
static mcx_err
write_batch(struct kms_store *s, struct job *jobs)
{
    uint8_t mac[MCX_SEAL_MAC_SIZE];
    uint64_t seq = 0;
    struct job *j;

    MCX_TRY(s->ops->head(s->writer, &seq, mac));
    for (j = jobs; j; j = j->next) {
        j->err = effect(s, j, &j->e);
        if (j->err == MCX_E_NO_IDENTITY && s->enrol
            && strcmp(j->e.what, KMS_ISSUE) == 0) {
            j->err = enrol(s, j, &seq, mac);
        }
        if (j->err != MCX_OK) {
            if (!about_user(j->err)) {
                return j->err;
            }
            continue;
        }
        MCX_TRY(log_one(s, &j->e, &seq, mac));
    }
    return MCX_OK;
}

static void
run_batch(struct kms_store *s, struct job *jobs)
{
    mcx_err err = s->ops->begin(s->writer);
    struct job *j;

    if (err == MCX_OK) {
        err = write_batch(s, jobs);
    }
    if (err == MCX_OK) {
        err = s->ops->commit(s->writer);
    }
    if (err != MCX_OK) {
        s->ops->rollback(s->writer);
    }
    for (j = jobs; j && err != MCX_OK; j = j->next) {
        j->err = err;
    }
}

static void *
writer(void *arg)
{
    struct kms_store *s = arg;

    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        struct job *jobs, *last, *next;
        int n = 1;

        while (!s->first && !s->stop) {
            (void)pthread_cond_wait(&s->come, &s->lock);
        }
        if (!s->first) {
            break;
        }
        jobs = last = s->first;
        while (last->next && n++ < BATCH_MAX) {
            last = last->next;
        }
        s->first = last->next;
        last->next = NULL;
        (void)pthread_mutex_unlock(&s->lock);
        run_batch(s, jobs);
        (void)pthread_mutex_lock(&s->lock);
        /* A job is its waiter's again as soon as the lock is let go. */
        for (; jobs; jobs = next) {
            next = jobs->next;
            jobs->done = true;
        }
        (void)pthread_cond_broadcast(&s->gone);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

static mcx_err
append(struct kms_store *s, const char *what, const char *user,
       uint64_t period_no, const char *detail, struct mcx_bytes keys,
       uint64_t serial)
{
    struct job j = { .err = MCX_E_IO, .keys = keys, .serial = serial };

    if (strlen(what) >= sizeof j.e.what || strlen(user) >= sizeof j.e.user) {
        return MCX_E_ARG;
    }
    (void)snprintf(j.e.what, sizeof j.e.what, "%s", what);
    (void)snprintf(j.e.user, sizeof j.e.user, "%s", user);
    (void)snprintf(j.e.detail, sizeof j.e.detail, "%s", detail);
    j.e.period_no = period_no;
    j.e.unix_ms = s->env->unix_ms(s->env->ctx);
    (void)pthread_mutex_lock(&s->lock);
    if (s->first) {
        s->last->next = &j;
    } else {
        s->first = &j;
    }
    s->last = &j;
    (void)pthread_cond_signal(&s->come);
    while (!j.done) {
        (void)pthread_cond_wait(&s->gone, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return j.err;
}

mcx_err
kms_store_append(struct kms_store *s, const char *what, const char *user,
                 uint64_t period_no, const char *detail)
{
    return append(s, what, user, period_no, detail, mcx_bytes(NULL, 0), 0);
}

/* ---- users' transport keys --------------------------------------------- */

/* One sealer a use: they are for one thread, and cheap. */
static mcx_err
sealer(struct mcx_sealer **out, const struct kms_store *s)
{
    MCX_SECRET(mcx_seal_key, key);
    struct mcx_bytes part = mcx_bytes_str("mcx-kms 1 keys of users");

    _Static_assert(sizeof key.b == MCX_SEAL_MAC_SIZE, "a key is a MAC");
    MCX_TRY(mcx_seal_mac(key.b, s->audit, &part, 1));
    return mcx_sealer_new(out, &key);
}

enum { BOUND_MAX = MCX_URI_MAX + 48 };

/* Which keys of a user they are is bound in, so that older ones, put back,
 * need the older number, too, and that is in the log. */
static struct mcx_bytes
bound(char out[BOUND_MAX], const char *uri, uint64_t serial)
{
    (void)snprintf(out, BOUND_MAX, "mcx-kms 2 keys %llu %s",
                   (unsigned long long)serial, uri);
    return mcx_bytes_str(out);
}

mcx_err
kms_store_keys(char **out, size_t *n, uint64_t *serial, struct kms_store *s,
               const char *uri)
{
    uint8_t sealed[KMS_KEYS_MAX];
    char aad[BOUND_MAX], *plain = NULL;
    struct mcx_sealer *sl = NULL;
    size_t have = 0;
    mcx_err err;

    *out = NULL;
    *n = 0;
    *serial = 0;
    (void)pthread_mutex_lock(&s->read_lock);
    err = s->ops->keys(s->reader, uri, sealed, &have, serial);
    (void)pthread_mutex_unlock(&s->read_lock);
    MCX_TRY(err);
    if (have == 0) {
        return MCX_E_NO_KEY;
    }
    if (have <= MCX_SEAL_MORE) {
        return MCX_E_AUTH;
    }
    plain = calloc(1, have - MCX_SEAL_MORE + 1);
    err = plain ? sealer(&sl, s) : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = mcx_unseal((uint8_t *)plain, sl, bound(aad, uri, *serial),
                         mcx_bytes(sealed, have));
    }
    mcx_sealer_free(sl);
    if (err != MCX_OK) {
        mcx_kms_text_free(plain, plain ? have - MCX_SEAL_MORE : 0);
        return err;
    }
    *out = plain;
    *n = have - MCX_SEAL_MORE;
    return MCX_OK;
}

mcx_err
kms_store_put_keys(struct kms_store *s, const char *uri, uint64_t serial,
                   struct mcx_bytes keys, const char *detail)
{
    uint8_t sealed[KMS_KEYS_MAX];
    char aad[BOUND_MAX];
    struct mcx_sealer *sl = NULL;
    mcx_err err;

    if (keys.n == 0 || keys.n > sizeof sealed - MCX_SEAL_MORE
        || strlen(uri) >= MCX_URI_MAX) {
        return MCX_E_ARG;
    }
    MCX_TRY(sealer(&sl, s));
    err = mcx_seal(sealed, sl, s->env, NULL, bound(aad, uri, serial + 1),
                   keys);
    mcx_sealer_free(sl);
    MCX_TRY(err);
    return append(s, KMS_KEYS, uri, serial + 1, detail,
                  mcx_bytes(sealed, keys.n + MCX_SEAL_MORE), serial);
}

/* ---- reading ----------------------------------------------------------- */

mcx_err
kms_store_user(enum kms_user_state *out, struct kms_store *s, const char *uri)
{
    mcx_err err;

    (void)pthread_mutex_lock(&s->read_lock);
    err = s->ops->user(s->reader, uri, out);
    (void)pthread_mutex_unlock(&s->read_lock);
    return err;
}

mcx_err
kms_store_count(struct kms_counts *out, struct kms_store *s)
{
    mcx_err err;

    memset(out, 0, sizeof *out);
    (void)pthread_mutex_lock(&s->read_lock);
    err = s->ops->count(s->reader, out);
    (void)pthread_mutex_unlock(&s->read_lock);
    return err;
}

mcx_err
kms_store_users(struct kms_store *s,
                void (*each)(void *arg, const char *uri,
                             enum kms_user_state state),
                void *arg)
{
    mcx_err err;

    (void)pthread_mutex_lock(&s->read_lock);
    err = s->ops->users(s->reader, each, arg);
    (void)pthread_mutex_unlock(&s->read_lock);
    return err;
}

struct walk {
    const struct mcx_seal_key *audit;
    struct kms_counts *counts;
    const uint8_t *anchor;
    bool anchored;
    void (*each)(void *arg, const struct kms_entry *e);
    void *arg;
    struct mcx_text *text;
};

static mcx_err
judge(void *arg, const struct kms_entry *e)
{
    struct walk *w = arg;
    uint8_t mac[MCX_SEAL_MAC_SIZE];

    MCX_TRY(chain(mac, w->audit, w->counts->mac, e));
    if (e->seq != w->counts->entries + 1
        || !mcx_secret_eq(mac, e->mac, sizeof mac)) {
        (void)snprintf(w->text->s, sizeof w->text->s, "entry %llu does not "
                       "follow entry %llu: one was changed, put in or taken "
                       "out", (unsigned long long)e->seq,
                       (unsigned long long)w->counts->entries);
        return MCX_E_AUTH;
    }
    w->counts->entries = e->seq;
    memcpy(w->counts->mac, mac, sizeof mac);
    if (w->anchor && mcx_secret_eq(mac, w->anchor, sizeof mac)) {
        w->anchored = true;
    }
    if (w->each) {
        w->each(w->arg, e);
    }
    return MCX_OK;
}

mcx_err
kms_store_verify(struct kms_store *s, struct kms_counts *counts,
                 const uint8_t *anchor,
                 void (*each)(void *arg, const struct kms_entry *e),
                 void *arg, struct mcx_text *text)
{
    struct walk w = { .audit = s->audit, .counts = counts, .anchor = anchor,
                      .each = each, .arg = arg, .text = text };
    char odd[MCX_URI_MAX] = "";
    mcx_err err;

    text->s[0] = '\0';
    memset(counts, 0, sizeof *counts);
    (void)pthread_mutex_lock(&s->read_lock);
    err = s->ops->entries(s->reader, judge, &w);
    if (err == MCX_OK) {
        err = s->ops->odd(s->reader, odd);
    }
    (void)pthread_mutex_unlock(&s->read_lock);
    if (err != MCX_OK && !text->s[0]) {
        (void)snprintf(text->s, sizeof text->s, "%s", mcx_err_text(err));
    }
    if (err == MCX_OK && anchor && !w.anchored) {
        (void)snprintf(text->s, sizeof text->s, "the log has no entry with "
                       "the value that was kept: its end was cut off");
        err = MCX_E_AUTH;
    }
    if (err == MCX_OK && odd[0]) {
        (void)snprintf(text->s, sizeof text->s, "the tables say of %.255s "
                       "what no entry says, or not what one says", odd);
        err = MCX_E_AUTH;
    }
    return err;
}

/* ---- life -------------------------------------------------------------- */

void
kms_store_close(struct kms_store *s)
{
    if (!s) {
        return;
    }
    if (s->has_thread) {
        (void)pthread_mutex_lock(&s->lock);
        s->stop = true;
        (void)pthread_cond_signal(&s->come);
        (void)pthread_mutex_unlock(&s->lock);
        (void)pthread_join(s->thread, NULL);
    }
    if (s->writer) {
        s->ops->close(s->writer);
    }
    if (s->reader) {
        s->ops->close(s->reader);
    }
    mcx_guard_free(s->audit);
    (void)pthread_cond_destroy(&s->come);
    (void)pthread_cond_destroy(&s->gone);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->read_lock);
    free(s);
}

static const struct kms_db_ops *
ops_for(const char *where)
{
    return strncmp(where, "postgresql:", 11) == 0
                   || strncmp(where, "postgres:", 9) == 0
               ? &kms_db_pg
               : &kms_db_sqlite;
}

mcx_err
kms_store_open(struct kms_store **out, const char *where, bool enrol_,
               const struct mcx_seal_key *audit, const struct mcx_env *env,
               struct mcx_text *text)
{
    struct kms_store *s = calloc(1, sizeof *s);
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    if (!s) {
        return err;
    }
    s->ops = ops_for(where);
    s->env = env;
    s->enrol = enrol_;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->read_lock, NULL);
    (void)pthread_cond_init(&s->come, NULL);
    (void)pthread_cond_init(&s->gone, NULL);
    s->audit = mcx_guard_new(sizeof *s->audit);
    if (!s->audit) {
        goto bad;
    }
    memcpy(s->audit, audit, sizeof *audit);
    MCX_TRY_OR(err, s->ops->open(&s->writer, where, env, text), bad);
    MCX_TRY_OR(err, s->ops->open(&s->reader, where, env, text), bad);
    if (pthread_create(&s->thread, NULL, writer, s) != 0) {
        err = MCX_E_NOMEM;
        goto bad;
    }
    s->has_thread = true;
    *out = s;
    return MCX_OK;
bad:
    if (!text->s[0]) {
        (void)snprintf(text->s, sizeof text->s, "the store: %s",
                       mcx_err_text(err));
    }
    kms_store_close(s);
    return err;
}
