/* life.c -- what a key goes through: staged, active, retired, wiped.  See
 * mcx_keys.h for the picture.  store.c keeps the tables.
 *
 * A key is wiped in two steps.  Under the lock its octets are overwritten, its
 * state is set and it leaves the tables; without the lock its memory is given
 * back and the listener hears of it.  Retired keys stand in a list in the
 * order of their end, which is that of retirement as the grace is the same for
 * all and the clock never steps back. */
#include <config.h>
#include <sofia-mcx/mcx_keys.h>
#include "store.h"

enum { EXPIRY_LOOK_MS = 1000 };

const char *
mcx_key_state_word(enum mcx_key_state state)
{
    switch (state) {
    case MCX_KEY_STAGED:
        return "staged";
    case MCX_KEY_ACTIVE:
        return "active";
    case MCX_KEY_RETIRED:
        return "retired";
    case MCX_KEY_WIPED:
        return "wiped";
    }
    return "?";
}

const char *
mcx_key_end_word(enum mcx_key_end end)
{
    switch (end) {
    case MCX_END_NONE:
        return "";
    case MCX_END_DROPPED:
        return "dropped";
    case MCX_END_REPLACED:
        return "replaced";
    case MCX_END_REVOKED:
        return "revoked";
    case MCX_END_EXPIRED:
        return "expired";
    }
    return "?";
}

/* ---- under the lock ---------------------------------------------------- */

static bool
expired(const struct mcx_key *key, int64_t unix_ms)
{
    return key->expiry_unix_ms != 0 && unix_ms >= key->expiry_unix_ms;
}

/* Past its grace or its expiry: the same as wiped, though nobody has swept
 * yet. */
bool
mcx_life_due(const struct mcx_key *key, int64_t mono_ms, int64_t unix_ms)
{
    return key->state == MCX_KEY_WIPED || expired(key, unix_ms)
           || (key->state == MCX_KEY_RETIRED && mono_ms >= key->wipe_mono_ms);
}

enum mcx_key_end
mcx_life_why(const struct mcx_key *key, int64_t unix_ms)
{
    return expired(key, unix_ms) ? MCX_END_EXPIRED : MCX_END_REPLACED;
}

static void
wait_put(struct mcx_key *key)
{
    key->waits = true;
    key->wait_next = key->store->wait;
    key->store->wait = key;
}

static void
wait_cut(struct mcx_key *key)
{
    struct mcx_key **at = &key->store->wait;

    if (!key->waits) {
        return;
    }
    while (*at != key) {
        at = &(*at)->wait_next;
    }
    *at = key->wait_next;
    key->wait_next = NULL;
    key->waits = false;
}

/* The committed key that becomes active first; NULL: none waits. */
static struct mcx_key *
wait_first(const struct mcx_keys *keys)
{
    struct mcx_key *k, *first = keys->wait;

    for (k = first; k; k = k->wait_next) {
        if (k->activation_unix_ms < first->activation_unix_ms) {
            first = k;
        }
    }
    return first;
}

bool
mcx_life_waits(const struct mcx_keys *keys, int64_t unix_ms)
{
    const struct mcx_key *first = wait_first(keys);

    return first && first->activation_unix_ms <= unix_ms;
}

static void
due_put(struct mcx_keys *keys, struct mcx_key *key)
{
    key->due_prev = keys->due_last;
    key->due_next = NULL;
    if (keys->due_last) {
        keys->due_last->due_next = key;
    } else {
        keys->due_first = key;
    }
    keys->due_last = key;
}

static void
due_cut(struct mcx_keys *keys, struct mcx_key *key)
{
    if (key->due_prev) {
        key->due_prev->due_next = key->due_next;
    } else {
        keys->due_first = key->due_next;
    }
    if (key->due_next) {
        key->due_next->due_prev = key->due_prev;
    } else {
        keys->due_last = key->due_prev;
    }
    key->due_next = key->due_prev = NULL;
}

void
mcx_life_retire(struct mcx_key *key, int64_t unix_ms, int64_t wipe_mono_ms)
{
    wait_cut(key);
    key->state = MCX_KEY_RETIRED;
    key->since_unix_ms = unix_ms;
    key->wipe_mono_ms = wipe_mono_ms;
    due_put(key->store, key);
}

static void
retire(struct mcx_key *key, int64_t unix_ms, int64_t mono_ms)
{
    mcx_life_retire(key, unix_ms, mono_ms + MCX_KEY_GRACE_MS);
}

/* Wipes 'key', unless it is, and puts it on the list 'gone'. */
void
mcx_life_wipe(struct mcx_gone *gone, struct mcx_key *key,
              enum mcx_key_end end, int64_t unix_ms)
{
    if (key->state == MCX_KEY_WIPED) {
        return;
    }
    if (key->state == MCX_KEY_RETIRED) {
        due_cut(key->store, key);
    }
    wait_cut(key);
    mcx_ssv_wipe(key->octets);
    key->state = MCX_KEY_WIPED;
    key->since_unix_ms = unix_ms;
    key->wipe_mono_ms = 0;
    key->end = end;
    mcx_store_cut(key->store, key);
    mcx_persist_changed(key->store, key, NULL);
    if (!gone->first) {
        gone->last = &gone->first;
    }
    *gone->last = key;
    gone->last = &key->gone_next;
    key->gone_next = NULL;
}

/* Of the kinds that exist once per owner. */
static bool
is_single(unsigned kind)
{
    return kind == MCX_KIND_CSK || kind == MCX_KIND_MUSIK;
}

/* The active key that 'key' replaces, or NULL. */
static struct mcx_key *
replaced_by(const struct mcx_key *key)
{
    enum mcx_index index = *key->mc_id ? MCX_BY_MC : MCX_BY_IMPU;
    struct mcx_key *k;

    k = mcx_store_chain(key->store, index, key->node[index].hash);
    for (; k; k = k->node[index].next) {
        if (k->kind == key->kind && k->state == MCX_KEY_ACTIVE
            && strcmp(k->impu, key->impu) == 0
            && strcmp(k->mc_id, key->mc_id) == 0) {
            return k;
        }
    }
    return NULL;
}

/* Since when a key counts: of two that exist once per owner the later one
 * stays. */
static int64_t
counts_from(const struct mcx_key *key)
{
    return key->activation_unix_ms > key->since_unix_ms
               ? key->activation_unix_ms
               : key->since_unix_ms;
}

void
mcx_life_resume(struct mcx_key *key, int64_t unix_ms, int64_t mono_ms)
{
    struct mcx_key *old, *late = key;

    if (key->activation_unix_ms > unix_ms) {
        wait_put(key);
        return;
    }
    /* The time of one that waited may have come while nobody was there to
     * retire the other. */
    old = is_single(key->kind) ? replaced_by(key) : NULL;
    key->state = MCX_KEY_ACTIVE;
    if (old) {
        late = counts_from(key) >= counts_from(old) ? old : key;
        retire(late, unix_ms, mono_ms);
    }
}

/* Makes 'key' active and, of the kinds that exist once per owner, the one
 * before retired, which it returns. */
static struct mcx_key *
activate(struct mcx_key *key, int64_t unix_ms, int64_t mono_ms)
{
    struct mcx_key *old = is_single(key->kind) ? replaced_by(key) : NULL;

    wait_cut(key);
    if (old) {
        retire(old, unix_ms, mono_ms);
    }
    key->state = MCX_KEY_ACTIVE;
    key->since_unix_ms = unix_ms;
    /* Both at once: no restart may find two of them active. */
    mcx_persist_changed(key->store, key, old);
    return old;
}

/* ---- without it -------------------------------------------------------- */

/* Gives the memory of wiped keys back, tells of each, and lets go of the
 * store's reference. */
void
mcx_life_finish(struct mcx_keys *keys, struct mcx_gone *gone)
{
    struct mcx_key_info info;
    struct mcx_key *k = gone->first, *next;

    for (; k; k = next) {
        next = k->gone_next;
        /* Nobody reads the octets of a wiped key, so no lock is needed. */
        mcx_guard_free(k->octets);
        k->octets = NULL;
        mcx_store_info(&info, k);
        mcx_store_tell(keys, &info);
        mcx_key_unref(k);
    }
}

mcx_err
mcx_key_commit(struct mcx_key *key)
{
    struct mcx_keys *keys = key->store;
    struct mcx_key_info now_active, before;
    int64_t unix_ms = mcx_store_unix_ms(keys);
    int64_t mono_ms = mcx_store_mono_ms(keys);
    struct mcx_key *old = NULL;
    mcx_err err = MCX_E_STATE;
    bool early = false;

    (void)pthread_mutex_lock(&keys->lock);
    if (key->state == MCX_KEY_STAGED && !key->waits) {
        early = key->activation_unix_ms > unix_ms;
        err = MCX_OK;
        if (early) {
            wait_put(key);
            mcx_persist_changed(keys, key, NULL);
        } else {
            old = activate(key, unix_ms, mono_ms);
            mcx_store_info(&now_active, key);
        }
        if (old) {
            mcx_store_info(&before, old);
        }
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (err == MCX_OK && !early) {
        if (old) {
            mcx_store_tell(keys, &before);
        }
        mcx_store_tell(keys, &now_active);
    }
    return err;
}

void
mcx_key_retire(struct mcx_key *key)
{
    struct mcx_keys *keys = key->store;
    int64_t unix_ms = mcx_store_unix_ms(keys);
    int64_t mono_ms = mcx_store_mono_ms(keys);
    struct mcx_key_info info;
    bool done;

    (void)pthread_mutex_lock(&keys->lock);
    done = key->state == MCX_KEY_STAGED || key->state == MCX_KEY_ACTIVE;
    if (done) {
        retire(key, unix_ms, mono_ms);
        mcx_store_info(&info, key);
        mcx_persist_changed(keys, key, NULL);
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (done) {
        mcx_store_tell(keys, &info);
    }
}

void
mcx_key_drop(struct mcx_key *key)
{
    struct mcx_keys *keys = key->store;
    int64_t unix_ms = mcx_store_unix_ms(keys);
    struct mcx_gone gone = mcx_gone_none();

    (void)pthread_mutex_lock(&keys->lock);
    mcx_life_wipe(&gone, key, MCX_END_DROPPED, unix_ms);
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
}

void
mcx_keys_forget(struct mcx_keys *keys, const char *impu)
{
    int64_t unix_ms = mcx_store_unix_ms(keys);
    struct mcx_gone gone = mcx_gone_none();
    unsigned kind;

    if (!impu || !*impu) {
        return; /* keys of nobody belong to the client itself */
    }
    (void)pthread_mutex_lock(&keys->lock);
    for (kind = 0; kind < MCX_KIND_END; kind++) {
        uint64_t hash = mcx_store_hash(keys, MCX_BY_IMPU, kind, impu, 0);
        struct mcx_key *k = mcx_store_chain(keys, MCX_BY_IMPU, hash), *next;

        for (; k; k = next) {
            next = k->node[MCX_BY_IMPU].next;
            if (k->kind == kind && strcmp(k->impu, impu) == 0) {
                mcx_life_wipe(&gone, k, MCX_END_DROPPED, unix_ms);
            }
        }
    }
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
}

size_t
mcx_keys_revoke(struct mcx_keys *keys, unsigned kind, uint32_t key_id)
{
    return mcx_keys_wipe(keys, kind, key_id, NULL, MCX_END_REVOKED);
}

/* Those of an ID that are of 'owner' (NULL: anybody) and whose message was
 * made before 'before_ms'. */
static size_t
wipe_some(struct mcx_keys *keys, unsigned kind, uint32_t key_id,
          const struct mcx_key_owner *owner, int64_t before_ms,
          enum mcx_key_end end)
{
    uint64_t hash = mcx_store_hash(keys, MCX_BY_ID, kind, "", key_id);
    int64_t unix_ms = mcx_store_unix_ms(keys);
    struct mcx_gone gone = mcx_gone_none();
    struct mcx_key *k, *next;
    size_t n = 0;

    (void)pthread_mutex_lock(&keys->lock);
    for (k = mcx_store_chain(keys, MCX_BY_ID, hash); k; k = next) {
        next = k->node[MCX_BY_ID].next;
        if (k->kind == kind && k->key_id == key_id
            && k->t_unix_ms < before_ms
            && (!owner || (strcmp(k->impu, owner->impu) == 0
                           && strcmp(k->mc_id, owner->mc_id) == 0))) {
            mcx_life_wipe(&gone, k, end, unix_ms);
            n++;
        }
    }
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
    return n;
}

size_t
mcx_keys_wipe(struct mcx_keys *keys, unsigned kind, uint32_t key_id,
              const struct mcx_key_owner *owner, enum mcx_key_end end)
{
    return wipe_some(keys, kind, key_id, owner, INT64_MAX, end);
}

size_t
mcx_keys_supersede(struct mcx_keys *keys, unsigned kind, uint32_t key_id,
                   int64_t t_unix_ms)
{
    return wipe_some(keys, kind, key_id, NULL, t_unix_ms, MCX_END_REPLACED);
}

/* Wipes what is past its expiry and finds the next expiry.  The lock is held.
 * A look at every key, so not more than once a second. */
static void
expire(struct mcx_keys *keys, struct mcx_gone *gone, int64_t unix_ms)
{
    int64_t first = 0;
    size_t i;

    if (keys->expiry_unix_ms == 0 || unix_ms < keys->expiry_unix_ms) {
        return;
    }
    for (i = 0; i < keys->n_buckets; i++) {
        struct mcx_key *k = keys->bucket[MCX_BY_ID][i], *next;

        for (; k; k = next) {
            next = k->node[MCX_BY_ID].next;
            if (k->expiry_unix_ms == 0) {
                continue;
            }
            if (unix_ms >= k->expiry_unix_ms) {
                mcx_life_wipe(gone, k, MCX_END_EXPIRED, unix_ms);
            } else if (first == 0 || k->expiry_unix_ms < first) {
                first = k->expiry_unix_ms;
            }
        }
    }
    keys->expiry_unix_ms = first != 0 && first < unix_ms + EXPIRY_LOOK_MS
                               ? unix_ms + EXPIRY_LOOK_MS
                               : first;
}

/* Makes active what was committed for a time that has come, one at a time in
 * the order of those times: each is told of before the next. */
static void
activate_due(struct mcx_keys *keys, int64_t unix_ms, int64_t mono_ms)
{
    struct mcx_key_info now_active, before;
    struct mcx_key *key, *old;

    do {
        old = NULL;
        (void)pthread_mutex_lock(&keys->lock);
        key = mcx_life_waits(keys, unix_ms) ? wait_first(keys) : NULL;
        if (key) {
            old = activate(key, unix_ms, mono_ms);
            mcx_store_info(&now_active, key);
        }
        if (old) {
            mcx_store_info(&before, old);
        }
        (void)pthread_mutex_unlock(&keys->lock);
        if (old) {
            mcx_store_tell(keys, &before);
        }
        if (key) {
            mcx_store_tell(keys, &now_active);
        }
    } while (key);
}

/* The smaller of two waits, of which -1 is none. */
static int64_t
sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Milliseconds until there is something to sweep; the lock is held. */
static int64_t
next_due(const struct mcx_keys *keys, int64_t unix_ms, int64_t mono_ms)
{
    const struct mcx_key *first = wait_first(keys);
    int64_t left = -1;

    if (keys->due_first) {
        left = keys->due_first->wipe_mono_ms - mono_ms;
    }
    if (keys->expiry_unix_ms != 0) {
        left = sooner(left, keys->expiry_unix_ms > unix_ms
                                ? keys->expiry_unix_ms - unix_ms
                                : 0);
    }
    if (first) {
        left = sooner(left, first->activation_unix_ms > unix_ms
                                ? first->activation_unix_ms - unix_ms
                                : 0);
    }
    return left;
}

int64_t
mcx_keys_sweep(struct mcx_keys *keys)
{
    int64_t unix_ms = mcx_store_unix_ms(keys);
    int64_t mono_ms = mcx_store_mono_ms(keys);
    struct mcx_gone gone = mcx_gone_none();
    int64_t left;

    activate_due(keys, unix_ms, mono_ms);
    (void)pthread_mutex_lock(&keys->lock);
    while (keys->due_first
           && mcx_life_due(keys->due_first, mono_ms, unix_ms)) {
        mcx_life_wipe(&gone, keys->due_first,
                      mcx_life_why(keys->due_first, unix_ms), unix_ms);
    }
    expire(keys, &gone, unix_ms);
    left = next_due(keys, unix_ms, mono_ms);
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
    return left;
}

void
mcx_keys_free(struct mcx_keys *keys)
{
    struct mcx_gone gone = mcx_gone_none();
    int64_t unix_ms;
    size_t i;

    if (!keys) {
        return;
    }
    unix_ms = mcx_store_unix_ms(keys);
    (void)pthread_mutex_lock(&keys->lock);
    keys->closed = true;
    keys->back = NULL; /* what is wiped here stays where it is kept */
    for (i = 0; i < keys->n_buckets; i++) {
        struct mcx_key *k;

        while ((k = keys->bucket[MCX_BY_ID][i]) != NULL) {
            mcx_life_wipe(&gone, k, MCX_END_DROPPED, unix_ms);
        }
    }
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
    mcx_keys_listen(keys, NULL, NULL);
    mcx_store_unref(keys);
}
