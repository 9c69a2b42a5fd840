/* store.h -- the inside of the key store, shared by store.c (tables and
 * look-ups), life.c (states), persist.c and tek.c, policy.c (derivations).
 * Nobody else includes it.
 *
 * Everything in struct mcx_key but 'refs' is guarded by the store's lock;
 * what the first half holds never changes after mcx_keys_stage().  The store
 * has one reference to every key that is in its tables, and every key has one
 * to the store, so a reference outlives mcx_keys_free(). */
#ifndef MCX_CORE_KEYS_STORE_H
#define MCX_CORE_KEYS_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sofia-mcx/mcx_keys.h>
#include "hash.h"

/* The ways a key is found. */
enum mcx_index {
    MCX_BY_ID,   /* (kind, key ID)          */
    MCX_BY_IMPU, /* (kind, owner's IMPU)    */
    MCX_BY_MC,   /* (kind, owner's MC ID)   */
    MCX_INDEXES
};

struct mcx_node {
    struct mcx_key *next;
    struct mcx_key **link; /* what points to us; NULL: in no table */
    uint64_t hash;
};

struct mcx_key {
    atomic_uint refs;
    struct mcx_keys *store;
    unsigned kind;
    uint32_t key_id, csb_id;
    bool ours;
    uint8_t prf;
    const char *initiator, *responder, *impu, *mc_id, *client_id;
    int64_t t_unix_ms;
    struct mcx_sp_profile sp;
    uint8_t rand_n;
    const uint8_t *rand;

    struct mcx_ssv *octets; /* guarded memory; SECRET; NULL once wiped */
    enum mcx_key_state state;
    bool waits; /* committed before its activation; on the list 'wait' */
    int64_t since_unix_ms, wipe_mono_ms;
    int64_t activation_unix_ms, expiry_unix_ms;
    enum mcx_key_end end;
    struct mcx_key_slot slot; /* the back-end's; see persist.c */
    struct mcx_node node[MCX_INDEXES];
    struct mcx_key *due_next, *due_prev; /* retired: order of retirement */
    struct mcx_key *wait_next;           /* committed, not yet active    */
    struct mcx_key *gone_next;           /* being wiped: see life.c      */
    char tail[]; /* RAND and the texts */
};

struct mcx_keys {
    pthread_mutex_t lock;
    atomic_uint refs;
    const struct mcx_env *env;
    struct mcx_hash_seed seed;
    size_t max, count;
    size_t n_buckets; /* a power of two */
    struct mcx_key **bucket[MCX_INDEXES];
    struct mcx_key *due_first, *due_last;
    struct mcx_key *wait; /* no order: there are few */
    void (*listen)(void *arg, const struct mcx_key_info *info);
    void *listen_arg;
    const struct mcx_keys_backing *back; /* NULL: nothing persists */
    int64_t expiry_unix_ms; /* no key expires before this; 0: none does */
    bool closed;
};

/* Keys on their way out: collected under the lock, finished without it. */
struct mcx_gone {
    struct mcx_key *first, **last;
};

/* store.c.  All want the lock held, where nothing else is said. */
uint64_t mcx_store_hash(const struct mcx_keys *keys, enum mcx_index index,
                        unsigned kind, const char *text, uint32_t id);
struct mcx_key *mcx_store_chain(const struct mcx_keys *keys,
                                enum mcx_index index, uint64_t hash);
void mcx_store_cut(struct mcx_keys *keys, struct mcx_key *key);
void mcx_store_info(struct mcx_key_info *out, const struct mcx_key *key);
/* A key that nobody has yet, from a record; NULL without memory.  No lock. */
struct mcx_key *mcx_store_key(struct mcx_keys *keys,
                              const struct mcx_key_record *rec);
/* Enters it; MCX_E_STATE, MCX_E_BUSY. */
mcx_err mcx_store_enter(struct mcx_keys *keys, struct mcx_key *key);
/* Calls the listener and writes the log line; without the lock. */
void mcx_store_tell(struct mcx_keys *keys, const struct mcx_key_info *info);
void mcx_store_unref(struct mcx_keys *keys);

/* life.c; the lock held. */
bool mcx_life_due(const struct mcx_key *key, int64_t mono_ms,
                  int64_t unix_ms);
/* Why a due key goes. */
enum mcx_key_end mcx_life_why(const struct mcx_key *key, int64_t unix_ms);
/* Is a committed key to become active by now?  mcx_keys_sweep() does it. */
bool mcx_life_waits(const struct mcx_keys *keys, int64_t unix_ms);
/* A key that was active, or waited to be, when it was kept. */
void mcx_life_resume(struct mcx_key *key, int64_t unix_ms, int64_t mono_ms);
void mcx_life_wipe(struct mcx_gone *gone, struct mcx_key *key,
                   enum mcx_key_end end, int64_t unix_ms);
/* Puts 'key' into the state retired, until 'wipe_mono_ms'. */
void mcx_life_retire(struct mcx_key *key, int64_t unix_ms,
                     int64_t wipe_mono_ms);
/* The rest of it, without the lock. */
void mcx_life_finish(struct mcx_keys *keys, struct mcx_gone *gone);

/* persist.c; the lock held: tells the back-end of one or two changes. */
void mcx_persist_changed(struct mcx_keys *keys, struct mcx_key *a,
                         struct mcx_key *b);
/* Without the lock: keeps a key just staged. */
mcx_err mcx_persist_stage(struct mcx_keys *keys,
                          const struct mcx_key_record *rec,
                          struct mcx_key *key);

/* tek.c.  The ID that the key's own traffic keys come from. */
uint32_t mcx_tek_csb_id(const struct mcx_key *key);
/* May members of a group have IDs of their own under this key, of which
 * 'talker' may be one? */
bool mcx_tek_has_talkers(const struct mcx_key *key, uint32_t talker);
/* Traffic key and salt from the ID 'csb_id', whatever that may be. */
mcx_err mcx_tek_make(struct mcx_tek *out, struct mcx_key *key,
                     uint32_t csb_id, uint8_t cs_id) MCX_MUST_USE;

static inline int64_t
mcx_store_mono_ms(const struct mcx_keys *keys)
{
    return keys->env->mono_ms(keys->env->ctx);
}

static inline int64_t
mcx_store_unix_ms(const struct mcx_keys *keys)
{
    return keys->env->unix_ms(keys->env->ctx);
}

static inline struct mcx_gone
mcx_gone_none(void)
{
    struct mcx_gone gone = { NULL, NULL };

    return gone;
}

#endif /* MCX_CORE_KEYS_STORE_H */
