/* replay.c -- the replay cache.  See mcx_mikey.h.  mcx_mikey_open() calls it;
 * entries come only after a signature has been verified.
 *
 * An open table with linear probing; removal shifts the followers back, so
 * there are no tombstones.  It begins small and doubles up to five slots for
 * four entries at the most: a million entries take 60 MB, with the old table
 * beside the new one while it grows.  Expired entries go in two ways: every
 * entry made inspects a few slots in turn, and before the table grows or
 * refuses it is swept whole.  A full table is swept once a second at most,
 * for otherwise a flood of messages would make each of them cost a sweep.
 *
 * An entry is expired when the clock handed in is past its time.  A clock
 * that steps back keeps entries longer, never shorter.  A clock that ran ahead
 * has let entries go that a clock set right again would still want; so what
 * would expire no later than something already let go may have been let go
 * itself, and is taken as seen.  With a clock that only goes forward there is
 * no such message: what is let go expired before now, what comes expires
 * after.  Times are milliseconds since 1970 in 64 bits, so
 * the NTP era of 2036 does not show here. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_keys.h>
#include "hash.h"

enum {
    DIGEST_SIZE = 32,
    FIRST_SLOTS = 320, /* for 256 entries */
    LOOK_SLOTS = 8,    /* inspected for expiry with each entry made */
    SWEEP_MS = 1000
};
/* Slot numbers are the product of 32 bits of hash with the slot count. */
#define ENTRIES_MAX (UINT32_MAX / 2)

enum state { FREE = 0, TAKEN, PARKED };

struct slot {
    uint8_t digest[DIGEST_SIZE];
    int64_t expires_ms;
    uint8_t state; /* enum state */
};

struct mcx_replay {
    pthread_mutex_t lock;
    struct mcx_hash_seed seed;
    struct slot *slot;
    size_t n_slots, n_used, max;
    size_t hand;        /* next slot to inspect */
    int64_t oldest_ms;  /* nothing expires before this */
    int64_t swept_ms;   /* when the table was last swept */
    int64_t floor_ms;   /* T up to this is taken as seen */
    int64_t gone_ms;    /* the latest expiry of what was let go */
    const struct mcx_replay_backing *back; /* NULL: nothing persists */
};

mcx_err
mcx_replay_new(struct mcx_replay **out, size_t max_entries)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_replay *r;
    mcx_err err;

    *out = NULL;
    if (max_entries == 0 || max_entries > ENTRIES_MAX) {
        return MCX_E_ARG;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        return MCX_E_NOMEM;
    }
    /* The seed decides the order of slots and nothing that can be seen, so it
     * is the system's even where a test has its own randomness. */
    err = env->random(env->ctx, &r->seed, sizeof r->seed);
    if (err != MCX_OK) {
        free(r);
        return err;
    }
    r->max = max_entries;
    r->oldest_ms = INT64_MAX;
    r->swept_ms = INT64_MIN;
    r->floor_ms = r->gone_ms = INT64_MIN;
    r->n_slots = FIRST_SLOTS;
    r->slot = calloc(r->n_slots, sizeof *r->slot);
    if (!r->slot || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r->slot);
        free(r);
        return MCX_E_NOMEM;
    }
    *out = r;
    return MCX_OK;
}

void
mcx_replay_free(struct mcx_replay *replay)
{
    if (replay) {
        (void)pthread_mutex_destroy(&replay->lock);
        free(replay->slot);
        free(replay);
    }
}

size_t
mcx_replay_count(struct mcx_replay *replay)
{
    size_t n;

    (void)pthread_mutex_lock(&replay->lock);
    n = replay->n_used;
    (void)pthread_mutex_unlock(&replay->lock);
    return n;
}

/* ---- the table --------------------------------------------------------- */

/* Where the search for 'digest' begins in a table of 'n_slots'. */
static size_t
home(const struct mcx_replay *r, const uint8_t *digest, size_t n_slots)
{
    uint64_t hash = mcx_hash(&r->seed, digest, DIGEST_SIZE);

    return (size_t)((hash >> 32) * (uint64_t)n_slots >> 32);
}

/* The slot of 'digest', or the free one where it would go.  There is always a
 * free one: a fifth of the slots is. */
static struct slot *
find(const struct mcx_replay *r, const uint8_t *digest)
{
    size_t i = home(r, digest, r->n_slots);

    while (r->slot[i].state != FREE
           && !mcx_bytes_eq(mcx_bytes(r->slot[i].digest, DIGEST_SIZE),
                            mcx_bytes(digest, DIGEST_SIZE))) {
        i = i + 1 == r->n_slots ? 0 : i + 1;
    }
    return &r->slot[i];
}

static bool
live(const struct slot *s, int64_t now_ms)
{
    return s->state != FREE && now_ms <= s->expires_ms;
}

/* Remembers that something with that expiry is forgotten from now on. */
static void
let_go(struct mcx_replay *r, const struct slot *s)
{
    if (s->state != FREE && s->expires_ms > r->gone_ms) {
        r->gone_ms = s->expires_ms;
    }
}

/* Empties slot 'i' and moves back what only stood behind it because of it. */
static void
cut(struct mcx_replay *r, size_t i)
{
    size_t j = i;

    let_go(r, &r->slot[i]);
    for (;;) {
        size_t want;

        j = j + 1 == r->n_slots ? 0 : j + 1;
        if (r->slot[j].state == FREE) {
            break;
        }
        want = home(r, r->slot[j].digest, r->n_slots);
        /* 'want' cyclically in (i, j]: its search does not pass i. */
        if (i < j ? (want > i && want <= j) : (want > i || want <= j)) {
            continue;
        }
        r->slot[i] = r->slot[j];
        i = j;
    }
    r->slot[i].state = FREE;
    r->n_used--;
}

static void
inspect(struct mcx_replay *r, int64_t now_ms)
{
    size_t k;

    for (k = 0; k < LOOK_SLOTS; k++) {
        struct slot *s;

        r->hand = r->hand < r->n_slots ? r->hand : 0;
        s = &r->slot[r->hand];
        if (s->state != FREE && !live(s, now_ms)) {
            cut(r, r->hand); /* and look at what moved here next time */
        } else {
            r->hand++;
        }
    }
}

/* Copies what is live at 'now_ms' to a new table of 'n_slots'. */
static mcx_err
rebuild(struct mcx_replay *r, size_t n_slots, int64_t now_ms)
{
    struct slot *old = r->slot, *slot = calloc(n_slots, sizeof *slot);
    size_t n_old = r->n_slots, i;

    if (!slot) {
        return MCX_E_NOMEM;
    }
    r->slot = slot;
    r->n_slots = n_slots;
    r->n_used = 0;
    r->hand = 0;
    r->oldest_ms = INT64_MAX;
    for (i = 0; i < n_old; i++) {
        if (live(&old[i], now_ms)) {
            *find(r, old[i].digest) = old[i];
            r->n_used++;
            if (old[i].expires_ms < r->oldest_ms) {
                r->oldest_ms = old[i].expires_ms;
            }
        } else {
            let_go(r, &old[i]);
        }
    }
    free(old);
    return MCX_OK;
}

/* Drops everything expired, in place. */
static void
sweep(struct mcx_replay *r, int64_t now_ms)
{
    int64_t oldest = INT64_MAX;
    size_t i = 0;

    while (i < r->n_slots) {
        if (r->slot[i].state != FREE && !live(&r->slot[i], now_ms)) {
            cut(r, i); /* a follower may stand here now: look again */
            continue;
        }
        if (r->slot[i].state != FREE && r->slot[i].expires_ms < oldest) {
            oldest = r->slot[i].expires_ms;
        }
        i++;
    }
    r->oldest_ms = oldest;
    r->swept_ms = now_ms;
}

/* Makes room for one more entry. */
static mcx_err
make_room(struct mcx_replay *r, int64_t now_ms)
{
    size_t limit = r->n_slots / 5 * 4;
    /* Also when the clock went back behind the last sweep. */
    bool may_sweep = r->n_slots <= FIRST_SLOTS || r->swept_ms > now_ms
                     || r->swept_ms < now_ms - SWEEP_MS;

    limit = limit < r->max ? limit : r->max;
    if (r->n_used < limit) {
        return MCX_OK;
    }
    if (r->oldest_ms < now_ms && may_sweep) {
        sweep(r, now_ms);
    }
    /* Half full after a sweep is enough; fuller would sweep again soon. */
    if (r->n_used < limit / 2 || (limit == r->max && r->n_used < limit)) {
        return MCX_OK;
    }
    if (limit == r->max) {
        return MCX_E_BUSY;
    }
    limit = limit > r->max / 2 ? r->max : limit * 2;
    return rebuild(r, (limit / 4 + 1) * 5, now_ms);
}

/* ---- the calls --------------------------------------------------------- */

void
mcx_replay_floor(struct mcx_replay *replay, int64_t t_ms)
{
    (void)pthread_mutex_lock(&replay->lock);
    if (t_ms > replay->floor_ms) {
        replay->floor_ms = t_ms;
    }
    (void)pthread_mutex_unlock(&replay->lock);
}

void
mcx_replay_forgot(struct mcx_replay *replay, int64_t expires_ms)
{
    (void)pthread_mutex_lock(&replay->lock);
    if (expires_ms > replay->gone_ms) {
        replay->gone_ms = expires_ms;
    }
    (void)pthread_mutex_unlock(&replay->lock);
}

bool
mcx_replay_below(struct mcx_replay *replay, int64_t t_ms)
{
    bool below;

    (void)pthread_mutex_lock(&replay->lock);
    below = t_ms <= replay->floor_ms;
    (void)pthread_mutex_unlock(&replay->lock);
    return below;
}

mcx_err
mcx_replay_save(struct mcx_replay *replay, int64_t now_ms,
                mcx_err (*each)(void *arg,
                                const struct mcx_replay_entry *entry),
                void *arg)
{
    mcx_err err = MCX_OK;
    size_t i;

    (void)pthread_mutex_lock(&replay->lock);
    for (i = 0; i < replay->n_slots && err == MCX_OK; i++) {
        const struct slot *s = &replay->slot[i];

        if (live(s, now_ms)) {
            struct mcx_replay_entry e = { .expires_ms = s->expires_ms,
                                          .parked = s->state == PARKED };

            memcpy(e.digest, s->digest, DIGEST_SIZE);
            err = each(arg, &e);
        }
    }
    (void)pthread_mutex_unlock(&replay->lock);
    return err;
}

mcx_err
mcx_replay_look(struct mcx_replay *replay, const uint8_t digest[32],
                int64_t now_ms, bool resume)
{
    mcx_err err = MCX_OK;
    struct slot *s;

    (void)pthread_mutex_lock(&replay->lock);
    s = find(replay, digest);
    if (live(s, now_ms) && !(resume && s->state == PARKED)) {
        err = MCX_E_REPLAY;
    }
    (void)pthread_mutex_unlock(&replay->lock);
    return err;
}

/* mcx_replay_enter() with the lock held. */
static mcx_err
enter(struct mcx_replay *r, const uint8_t *digest, int64_t now_ms,
      int64_t expires_ms, bool resume, bool parked)
{
    struct slot *s = find(r, digest);
    bool old = s->state != FREE;

    if (live(s, now_ms)) {
        if (!resume || s->state != PARKED) {
            return MCX_E_REPLAY;
        }
        expires_ms = expires_ms > s->expires_ms ? expires_ms : s->expires_ms;
    } else if (now_ms <= expires_ms && expires_ms <= r->gone_ms) {
        return MCX_E_REPLAY; /* the clock went back: maybe forgotten */
    }
    if (!old) {
        inspect(r, now_ms);
        MCX_TRY(make_room(r, now_ms));
        s = find(r, digest); /* slots have moved */
        memcpy(s->digest, digest, DIGEST_SIZE);
        r->n_used++;
    }
    s->expires_ms = expires_ms;
    s->state = parked ? PARKED : TAKEN;
    if (expires_ms < r->oldest_ms) {
        r->oldest_ms = expires_ms;
    }
    return MCX_OK;
}

/* The entry could not be kept: as if it had not been made. */
static void
take_back(struct mcx_replay *r, const uint8_t *digest)
{
    struct slot *s;
    int64_t gone_ms;

    (void)pthread_mutex_lock(&r->lock);
    s = find(r, digest);
    gone_ms = r->gone_ms;
    if (s->state != FREE) {
        cut(r, (size_t)(s - r->slot));
    }
    r->gone_ms = gone_ms; /* it was never there */
    (void)pthread_mutex_unlock(&r->lock);
}

mcx_err
mcx_replay_enter(struct mcx_replay *replay, const uint8_t digest[32],
                 int64_t now_ms, int64_t expires_ms, bool resume, bool parked)
{
    const struct mcx_replay_backing *back;
    mcx_err err;

    (void)pthread_mutex_lock(&replay->lock);
    err = enter(replay, digest, now_ms, expires_ms, resume, parked);
    back = replay->back;
    (void)pthread_mutex_unlock(&replay->lock);
    /* A resumed message was kept when it was parked. */
    if (err == MCX_OK && back && !resume) {
        err = back->enter(back->ctx, digest, expires_ms);
        if (err != MCX_OK) {
            take_back(replay, digest);
        }
    }
    return err;
}

void
mcx_replay_attach(struct mcx_replay *replay,
                  const struct mcx_replay_backing *backing)
{
    (void)pthread_mutex_lock(&replay->lock);
    replay->back = backing;
    (void)pthread_mutex_unlock(&replay->lock);
}

void
mcx_replay_park(struct mcx_replay *replay, const uint8_t digest[32])
{
    struct slot *s;

    (void)pthread_mutex_lock(&replay->lock);
    s = find(replay, digest);
    if (s->state != FREE) {
        s->state = PARKED;
    }
    (void)pthread_mutex_unlock(&replay->lock);
}

mcx_err
mcx_replay_restore(struct mcx_replay *replay, int64_t now_ms,
                   const struct mcx_replay_entry *entry)
{
    mcx_err err = MCX_OK;
    struct slot *s;

    if (!entry) {
        return MCX_E_ARG;
    }
    if (now_ms > entry->expires_ms) {
        return MCX_OK;
    }
    (void)pthread_mutex_lock(&replay->lock);
    s = find(replay, entry->digest);
    if (live(s, now_ms)) {
        if (entry->expires_ms > s->expires_ms) {
            s->expires_ms = entry->expires_ms;
        }
        /* What was taken up since stays taken. */
        s->state = entry->parked ? s->state : TAKEN;
    } else {
        err = enter(replay, entry->digest, now_ms, entry->expires_ms, false,
                    entry->parked);
    }
    (void)pthread_mutex_unlock(&replay->lock);
    return err;
}
