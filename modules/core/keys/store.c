/* store.c -- the key store: staging, tables and look-ups.  See mcx_keys.h.
 * Modules and the host call it; what a key goes through afterwards is in
 * life.c, what comes out of it in tek.c and policy.c.
 *
 * Three hash tables over the same keys, so that none of the look-ups depends
 * on how many there are.  A wiped key is in none of them.  Within a chain the
 * newest key stands first. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_keys.h>
#include "store.h"

enum { FIRST_BUCKETS = 64 };

static void
store_free(struct mcx_keys *keys)
{
    size_t i;

    for (i = 0; i < MCX_INDEXES; i++) {
        free(keys->bucket[i]);
    }
    free(keys);
}

mcx_err
mcx_keys_new(struct mcx_keys **out, const struct mcx_env *env,
             size_t max_keys)
{
    struct mcx_keys *keys;
    mcx_err err;
    size_t i;

    *out = NULL;
    if (!env || max_keys == 0) {
        return MCX_E_ARG;
    }
    keys = calloc(1, sizeof *keys);
    if (!keys) {
        return MCX_E_NOMEM;
    }
    keys->env = env;
    keys->max = max_keys;
    keys->n_buckets = FIRST_BUCKETS;
    atomic_init(&keys->refs, 1);
    err = env->random(env->ctx, &keys->seed, sizeof keys->seed);
    for (i = 0; i < MCX_INDEXES && err == MCX_OK; i++) {
        keys->bucket[i] = calloc(FIRST_BUCKETS, sizeof(struct mcx_key *));
        err = keys->bucket[i] ? MCX_OK : MCX_E_NOMEM;
    }
    if (err == MCX_OK && pthread_mutex_init(&keys->lock, NULL) != 0) {
        err = MCX_E_NOMEM;
    }
    if (err != MCX_OK) {
        store_free(keys);
        return err;
    }
    *out = keys;
    return MCX_OK;
}

void
mcx_store_unref(struct mcx_keys *keys)
{
    if (atomic_fetch_sub(&keys->refs, 1) == 1) {
        (void)pthread_mutex_destroy(&keys->lock);
        store_free(keys);
    }
}

void
mcx_keys_listen(struct mcx_keys *keys,
                void (*fn)(void *arg, const struct mcx_key_info *info),
                void *arg)
{
    (void)pthread_mutex_lock(&keys->lock);
    keys->listen = fn;
    keys->listen_arg = arg;
    (void)pthread_mutex_unlock(&keys->lock);
}

/* ---- references -------------------------------------------------------- */

struct mcx_key *
mcx_key_ref(struct mcx_key *key)
{
    if (key) {
        (void)atomic_fetch_add(&key->refs, 1);
    }
    return key;
}

void
mcx_key_unref(struct mcx_key *key)
{
    if (key && atomic_fetch_sub(&key->refs, 1) == 1) {
        struct mcx_keys *keys = key->store;

        mcx_guard_free(key->octets);
        free(key);
        mcx_store_unref(keys);
    }
}

/* ---- tables ------------------------------------------------------------ */

uint64_t
mcx_store_hash(const struct mcx_keys *keys, enum mcx_index index,
               unsigned kind, const char *text, uint32_t id)
{
    /* Kind and ID go in beside the text's hash; both are small numbers. */
    uint64_t mix[2] = { (uint64_t)kind << 32 | id, 0 };

    if (index != MCX_BY_ID) {
        mix[1] = mcx_hash(&keys->seed, text, strlen(text));
    }
    return mcx_hash(&keys->seed, mix, sizeof mix);
}

struct mcx_key *
mcx_store_chain(const struct mcx_keys *keys, enum mcx_index index,
                uint64_t hash)
{
    return keys->bucket[index][hash & (keys->n_buckets - 1)];
}

static void
node_put(struct mcx_key **head, struct mcx_key *key, enum mcx_index index)
{
    struct mcx_node *node = &key->node[index];

    node->next = *head;
    node->link = head;
    if (*head) {
        (*head)->node[index].link = &node->next;
    }
    *head = key;
}

static void
node_cut(struct mcx_key *key, enum mcx_index index)
{
    struct mcx_node *node = &key->node[index];

    if (node->link) {
        *node->link = node->next;
        if (node->next) {
            node->next->node[index].link = node->link;
        }
        node->link = NULL;
        node->next = NULL;
    }
}

/* Takes 'key' out of every table; the store's reference is the caller's. */
void
mcx_store_cut(struct mcx_keys *keys, struct mcx_key *key)
{
    int i;

    for (i = 0; i < MCX_INDEXES; i++) {
        node_cut(key, (enum mcx_index)i);
    }
    keys->count--;
}

/* Moves one table to 'to'.  Each old chain is turned round first, so that the
 * newest key is put last and stands first again. */
static void
table_move(struct mcx_keys *keys, enum mcx_index index, struct mcx_key **to,
           size_t n)
{
    size_t i;

    for (i = 0; i < keys->n_buckets; i++) {
        struct mcx_key *k = keys->bucket[index][i], *turned = NULL, *next;

        for (; k; k = next) {
            next = k->node[index].next;
            k->node[index].next = turned;
            turned = k;
        }
        for (k = turned; k; k = next) {
            next = k->node[index].next;
            node_put(&to[k->node[index].hash & (n - 1)], k, index);
        }
    }
    free(keys->bucket[index]);
    keys->bucket[index] = to;
}

/* Doubles the tables when they are full.  Without memory they stay as they
 * are: slower and right. */
static void
tables_grow(struct mcx_keys *keys)
{
    struct mcx_key **to[MCX_INDEXES] = { NULL };
    size_t n = keys->n_buckets * 2;
    bool ok = true;
    int i;

    if (keys->count < keys->n_buckets) {
        return;
    }
    for (i = 0; i < MCX_INDEXES; i++) {
        to[i] = calloc(n, sizeof(struct mcx_key *));
        ok = ok && to[i];
    }
    for (i = 0; i < MCX_INDEXES; i++) {
        if (ok) {
            table_move(keys, (enum mcx_index)i, to[i], n);
        } else {
            free(to[i]);
        }
    }
    keys->n_buckets = ok ? n : keys->n_buckets;
}

/* ---- staging ----------------------------------------------------------- */

static bool
text_ends(const char *s, size_t room)
{
    return strnlen(s, room) < room;
}

static bool
message_ok(const struct mcx_key_msg *km, const struct mcx_key_owner *owner)
{
    return mcx_kind_info(km->kind) && km->rand_n <= MCX_RAND_MAX
           && text_ends(km->initiator, sizeof km->initiator)
           && text_ends(km->responder, sizeof km->responder)
           && (!owner
               || (text_ends(owner->impu, sizeof owner->impu)
                   && text_ends(owner->mc_id, sizeof owner->mc_id)
                   && text_ends(owner->client_id, sizeof owner->client_id)));
}

static const char *
tail_put(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = *at;

    memcpy(p, s, n);
    *at += n;
    return p;
}

/* What is kept of a message that was just accepted. */
static void
record_of(struct mcx_key_record *rec, const struct mcx_key_msg *km,
          const struct mcx_key_owner *owner, int64_t unix_ms)
{
    rec->key = km->key;
    rec->kind = km->kind;
    rec->key_id = km->key_id;
    rec->csb_id = km->csb_id;
    rec->ours = km->ours;
    rec->prf = km->prf;
    rec->state = MCX_KEY_STAGED;
    rec->t_unix_ms = km->t_unix_ms;
    rec->since_unix_ms = unix_ms;
    if (km->params.present) {
        rec->activation_unix_ms = km->params.activation_unix * 1000;
        rec->expiry_unix_ms = km->params.expiry_unix * 1000;
    }
    rec->sp = km->sp;
    rec->rand_n = (uint8_t)km->rand_n;
    memcpy(rec->rand, km->rand, km->rand_n);
    memcpy(rec->initiator, km->initiator, strlen(km->initiator) + 1);
    memcpy(rec->responder, km->responder, strlen(km->responder) + 1);
    if (owner) {
        rec->owner = *owner;
    }
}

struct mcx_key *
mcx_store_key(struct mcx_keys *keys, const struct mcx_key_record *rec)
{
    const struct mcx_key_owner *owner = &rec->owner;
    struct mcx_key *k;
    char *at;

    k = calloc(1, sizeof *k + rec->rand_n + strlen(rec->initiator)
                      + strlen(rec->responder) + strlen(owner->impu)
                      + strlen(owner->mc_id) + strlen(owner->client_id) + 5);
    if (!k) {
        return NULL;
    }
    k->octets = mcx_guard_new(sizeof *k->octets);
    if (!k->octets) {
        free(k);
        return NULL;
    }
    *k->octets = rec->key;
    at = k->tail;
    memcpy(at, rec->rand, rec->rand_n);
    k->rand = (const uint8_t *)at;
    k->rand_n = rec->rand_n;
    at += rec->rand_n;
    k->initiator = tail_put(&at, rec->initiator);
    k->responder = tail_put(&at, rec->responder);
    k->impu = tail_put(&at, owner->impu);
    k->mc_id = tail_put(&at, owner->mc_id);
    k->client_id = tail_put(&at, owner->client_id);
    atomic_init(&k->refs, 2); /* the store's and the caller's */
    k->store = keys;
    (void)atomic_fetch_add(&keys->refs, 1); /* the key's */
    k->slot.key = k;
    k->kind = rec->kind;
    k->key_id = rec->key_id;
    k->csb_id = rec->csb_id;
    k->ours = rec->ours;
    k->prf = rec->prf;
    k->t_unix_ms = rec->t_unix_ms;
    k->since_unix_ms = rec->since_unix_ms;
    k->activation_unix_ms = rec->activation_unix_ms;
    k->expiry_unix_ms = rec->expiry_unix_ms;
    k->sp = rec->sp;
    k->state = MCX_KEY_STAGED;
    k->node[MCX_BY_ID].hash = mcx_store_hash(keys, MCX_BY_ID, k->kind, "",
                                             k->key_id);
    k->node[MCX_BY_IMPU].hash = mcx_store_hash(keys, MCX_BY_IMPU, k->kind,
                                               k->impu, 0);
    k->node[MCX_BY_MC].hash = mcx_store_hash(keys, MCX_BY_MC, k->kind,
                                             k->mc_id, 0);
    return k;
}

/* Does the ID of 'k' name other octets for the same owner?  The search is in
 * the owner's chain where there is an owner: a peer may give its key the ID of
 * a thousand others', but it has only its own owner. */
static bool
id_taken(const struct mcx_keys *keys, const struct mcx_key *k, int64_t mono,
         int64_t unix_ms)
{
    enum mcx_index index = *k->mc_id ? MCX_BY_MC
                           : *k->impu ? MCX_BY_IMPU : MCX_BY_ID;
    const struct mcx_key *o;

    for (o = mcx_store_chain(keys, index, k->node[index].hash); o;
         o = o->node[index].next) {
        if (o->kind == k->kind && o->key_id == k->key_id
            && strcmp(o->impu, k->impu) == 0
            && strcmp(o->mc_id, k->mc_id) == 0
            && !mcx_life_due(o, mono, unix_ms)
            && !mcx_secret_eq(o->octets, k->octets, sizeof *k->octets)) {
            return true;
        }
    }
    return false;
}

mcx_err
mcx_store_enter(struct mcx_keys *keys, struct mcx_key *k)
{
    int i;

    if (keys->closed) {
        return MCX_E_STATE;
    }
    if (keys->count >= keys->max) {
        return MCX_E_BUSY;
    }
    tables_grow(keys);
    for (i = 0; i < MCX_INDEXES; i++) {
        node_put(&keys->bucket[i][k->node[i].hash & (keys->n_buckets - 1)],
                 k, (enum mcx_index)i);
    }
    keys->count++;
    if (k->expiry_unix_ms != 0
        && (keys->expiry_unix_ms == 0
            || k->expiry_unix_ms < keys->expiry_unix_ms)) {
        keys->expiry_unix_ms = k->expiry_unix_ms;
    }
    return MCX_OK;
}

/* Takes a new key in, as staged and, where there is a back-end, kept. */
static mcx_err
take_in(struct mcx_keys *keys, const struct mcx_key_record *rec,
        struct mcx_key **out, struct mcx_why *why)
{
    struct mcx_key *k = mcx_store_key(keys, rec);
    int64_t mono = mcx_store_mono_ms(keys);
    struct mcx_key_info info;
    mcx_err err = MCX_OK;

    if (!k) {
        return MCX_E_NOMEM;
    }
    if (mcx_keys_count(keys) >= keys->max) {
        (void)mcx_keys_sweep(keys);
    }
    (void)pthread_mutex_lock(&keys->lock);
    if (!keys->closed
        && id_taken(keys, k, mono, mcx_store_unix_ms(keys))) {
        err = MCX_REFUSE(why, MCX_R_ROLLBACK, "HDR", 0, "TS 33.180 5.2.2");
    } else {
        err = mcx_store_enter(keys, k);
    }
    if (err == MCX_OK) {
        mcx_store_info(&info, k);
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (err != MCX_OK) {
        mcx_key_unref(k);
        mcx_key_unref(k); /* the one that the store did not take */
        return err;
    }
    err = mcx_persist_stage(keys, rec, k);
    if (err != MCX_OK) {
        mcx_key_drop(k);
        mcx_key_unref(k);
        return err != MCX_E_EXPIRED
                   ? err
                   : MCX_REFUSE(why, MCX_R_REVOKED, "HDR", 0,
                                "TS 33.180 E.6.9");
    }
    mcx_store_tell(keys, &info);
    *out = k;
    return MCX_OK;
}

mcx_err
mcx_keys_stage(struct mcx_keys *keys, struct mcx_key_msg *km,
               const struct mcx_key_owner *owner, struct mcx_key **out,
               struct mcx_why *why)
{
    MCX_SECRET(mcx_key_record, rec);
    int64_t now;

    *out = NULL;
    if (!keys || !km || !message_ok(km, owner)) {
        return MCX_E_ARG;
    }
    now = mcx_store_unix_ms(keys);
    if (km->params.present && !(km->params.status & 1u)) {
        return MCX_REFUSE(why, MCX_R_REVOKED, "EXT", 0, "TS 33.180 E.6.9");
    }
    if (km->params.present && km->params.expiry_unix != 0
        && km->params.expiry_unix <= now / 1000) {
        return MCX_REFUSE(why, MCX_R_KEY_EXPIRED, "EXT", 0,
                          "TS 33.180 E.6.5");
    }
    record_of(&rec, km, owner, now);
    MCX_TRY(take_in(keys, &rec, out, why));
    mcx_ssv_wipe(&km->key);
    return MCX_OK;
}

mcx_err
mcx_keys_stage_group(struct mcx_keys *keys, struct mcx_key_msg *km,
                     const char *impu, const char *group,
                     struct mcx_key *out[MCX_GROUPS_MAX], size_t *n,
                     struct mcx_why *why)
{
    struct mcx_key_owner owner = { "", "", "" };
    const char *which;
    size_t i, want;
    mcx_err err = MCX_OK;

    *n = 0;
    if (!keys || !km || !mcx_kind_info(km->kind)
        || !mcx_kind_info(km->kind)->groups
        || km->params.n_groups > MCX_GROUPS_MAX
        || (impu && !text_ends(impu, sizeof owner.impu))
        || (!km->params.n_groups
            && (!group || !*group
                || !text_ends(group, sizeof owner.mc_id)))) {
        return MCX_E_ARG;
    }
    if (impu) {
        memcpy(owner.impu, impu, strlen(impu) + 1);
    }
    want = km->params.n_groups ? km->params.n_groups : 1;
    for (i = 0; i < want && err == MCX_OK; i++) {
        MCX_SECRET(mcx_key_msg, one);

        one = *km;
        which = km->params.n_groups ? km->params.group[i] : group;
        if (!text_ends(which, km->params.n_groups ? MCX_GROUP_ID_MAX
                                                  : sizeof owner.mc_id)) {
            err = MCX_E_ARG;
            break;
        }
        memcpy(owner.mc_id, which, strlen(which) + 1);
        err = mcx_keys_stage(keys, &one, &owner, &out[i], why);
        *n += err == MCX_OK;
    }
    for (i = *n; err != MCX_OK && i > 0; i--) { /* all or none */
        mcx_key_drop(out[i - 1]);
        mcx_key_unref(out[i - 1]);
        *n = 0;
    }
    if (err == MCX_OK) {
        mcx_ssv_wipe(&km->key);
    }
    return err;
}

/* ---- look-ups ---------------------------------------------------------- */

struct mcx_key *
mcx_keys_by_id(struct mcx_keys *keys, unsigned kind, uint32_t key_id)
{
    struct mcx_key *k, *best = NULL;
    uint64_t hash = mcx_store_hash(keys, MCX_BY_ID, kind, "", key_id);
    int64_t mono = mcx_store_mono_ms(keys);
    int64_t unix_ms = mcx_store_unix_ms(keys);

    (void)pthread_mutex_lock(&keys->lock);
    for (k = mcx_store_chain(keys, MCX_BY_ID, hash); k;
         k = k->node[MCX_BY_ID].next) {
        if (k->kind != kind || k->key_id != key_id
            || mcx_life_due(k, mono, unix_ms)) {
            continue;
        }
        if (k->state == MCX_KEY_ACTIVE) {
            best = k;
            break;
        }
        /* A staged key before a retired one, the newer of two alike. */
        best = !best || k->state < best->state ? k : best;
    }
    (void)mcx_key_ref(best);
    (void)pthread_mutex_unlock(&keys->lock);
    return best;
}

/* SPEC TS 33.180 5.7, TS 33.303 6.2.4.4: of several GMKs of a group the one
 * activated last is sent with, and of those the one with the newest T; not the
 * one that arrived last. */
static bool
before(const struct mcx_key *a, const struct mcx_key *b)
{
    int64_t of_a = a->activation_unix_ms ? a->activation_unix_ms
                                         : a->t_unix_ms;
    int64_t of_b = b->activation_unix_ms ? b->activation_unix_ms
                                         : b->t_unix_ms;

    return of_a < of_b || (of_a == of_b && a->t_unix_ms < b->t_unix_ms);
}

struct mcx_key *
mcx_keys_current(struct mcx_keys *keys, unsigned kind, const char *impu,
                 const char *mc_id)
{
    bool by_mc = mc_id && *mc_id, by_impu = impu && *impu;
    enum mcx_index index = by_mc ? MCX_BY_MC : MCX_BY_IMPU;
    uint64_t hash = mcx_store_hash(keys, index, kind,
                                   by_mc ? mc_id : by_impu ? impu : "", 0);
    int64_t unix_ms = mcx_store_unix_ms(keys);
    struct mcx_key *k, *best = NULL;
    bool waits;

    (void)pthread_mutex_lock(&keys->lock);
    waits = mcx_life_waits(keys, unix_ms);
    (void)pthread_mutex_unlock(&keys->lock);
    if (waits) {
        (void)mcx_keys_sweep(keys);
    }
    (void)pthread_mutex_lock(&keys->lock);
    for (k = mcx_store_chain(keys, index, hash); k; k = k->node[index].next) {
        if (k->kind != kind || k->state != MCX_KEY_ACTIVE
            || (k->expiry_unix_ms != 0 && unix_ms >= k->expiry_unix_ms)) {
            continue;
        }
        if ((by_mc || by_impu
                 ? (!by_mc || strcmp(k->mc_id, mc_id) == 0)
                       && (!by_impu || strcmp(k->impu, impu) == 0)
                 : !*k->mc_id && !*k->impu)
            && (!best || before(best, k))) {
            best = k;
        }
        if (best && kind != MCX_KIND_GMK) {
            break; /* the newest stands first */
        }
    }
    (void)mcx_key_ref(best);
    (void)pthread_mutex_unlock(&keys->lock);
    return best;
}

void
mcx_keys_each(struct mcx_keys *keys,
              void (*each)(void *arg, const struct mcx_key_info *info),
              void *arg)
{
    struct mcx_key_info info;
    const struct mcx_key *k;
    size_t i;

    (void)pthread_mutex_lock(&keys->lock);
    for (i = 0; i < keys->n_buckets; i++) {
        for (k = keys->bucket[MCX_BY_ID][i]; k; k = k->node[MCX_BY_ID].next) {
            mcx_store_info(&info, k);
            each(arg, &info);
        }
    }
    (void)pthread_mutex_unlock(&keys->lock);
}

size_t
mcx_keys_count(struct mcx_keys *keys)
{
    size_t n;

    (void)pthread_mutex_lock(&keys->lock);
    n = keys->count;
    (void)pthread_mutex_unlock(&keys->lock);
    return n;
}

/* ---- what may be known ------------------------------------------------- */

/* The texts were measured against the same arrays when they came in. */
static void
text_copy(char *out, const char *s)
{
    memcpy(out, s, strlen(s) + 1);
}

void
mcx_store_info(struct mcx_key_info *out, const struct mcx_key *key)
{
    memset(out, 0, sizeof *out);
    out->kind = key->kind;
    out->key_id = key->key_id;
    out->csb_id = key->csb_id;
    out->state = key->state;
    out->ours = key->ours;
    text_copy(out->initiator, key->initiator);
    text_copy(out->responder, key->responder);
    text_copy(out->owner.impu, key->impu);
    text_copy(out->owner.mc_id, key->mc_id);
    text_copy(out->owner.client_id, key->client_id);
    out->t_unix_ms = key->t_unix_ms;
    out->since_unix_ms = key->since_unix_ms;
    out->wipe_mono_ms = key->wipe_mono_ms;
    out->sp = key->sp;
    out->end = key->end;
    out->activation_unix_ms = key->activation_unix_ms;
    out->expiry_unix_ms = key->expiry_unix_ms;
}

void
mcx_key_info(struct mcx_key_info *out, struct mcx_key *key)
{
    (void)pthread_mutex_lock(&key->store->lock);
    mcx_store_info(out, key);
    (void)pthread_mutex_unlock(&key->store->lock);
}

void
mcx_store_tell(struct mcx_keys *keys, const struct mcx_key_info *info)
{
    void (*listen)(void *arg, const struct mcx_key_info *info);
    const char *who = info->owner.impu;
    const char *kind = mcx_kind_word(info->kind);
    void *arg;

    (void)pthread_mutex_lock(&keys->lock);
    listen = keys->listen;
    arg = keys->listen_arg;
    (void)pthread_mutex_unlock(&keys->lock);
    who = *who ? who : info->owner.mc_id;
    mcx_log(keys->env, MCX_AREA_KEYS, info->restored ? 7 : 5,
            "%s%s, %s %08lx, from %s%s%s",
            info->restored ? "restored as " : "",
            mcx_key_state_word(info->state), kind ? kind : "?",
            (unsigned long)info->key_id, info->initiator,
            *who ? ", of " : "", who);
    if (listen) {
        listen(arg, info);
    }
}
