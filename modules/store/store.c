/* store.c -- the host's side: what lies under the key store and the replay
 * cache.  See README for the guarantee.  The host starts and stops it; core/
 * keys calls it through struct mcx_keys_backing and mcx_replay_backing; rows
 * are the business of store_row.c.
 *
 * One thread of our own has the file.  Three queues lead to it:
 *
 *   staged keys     the caller waits for the disk (a pool thread)
 *   replay entries  the caller waits for the disk (a pool thread)
 *   other states    the caller does not wait (the loop); the queue is made of
 *                   the keys themselves, each at most once, so it is bounded
 *                   by the number of keys, takes no memory, and is never full
 *
 * The thread takes all that is there, writes it in one transaction, and lets
 * the waiting go: the longer the disk takes, the more it takes at once.  What
 * fails is told to those who wait; changes of state stay in their queue and
 * are tried again every second.
 *
 * Locks: core/keys calls changed() with its lock held, which takes ours; so
 * nothing of core/keys is called with ours held. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "store.h"

enum {
    BATCH = 1024,         /* changes of state in one transaction   */
    BEAT_S = 1,           /* retries, other processes, checkpoints */
    ROTATE_AGAIN_S = 60,  /* after a failure                       */
    PURGE_MS = 60000,     /* expired replay entries                */
    LONG_MS = 3600000,    /* entries that live longer: own rows    */
    DAY_MS = 86400000
};
#define TOMB_KEEP_MS (INT64_C(400) * DAY_MS)

/* Somebody who waits; on his stack. */
struct job {
    struct job *next;
    const struct mcx_key_record *rec; /* NULL: a replay entry */
    struct mcx_key_slot *slot;
    struct store_replay entry;
    mcx_err err;
    bool done;
};

/* One change of state, copied out of a slot. */
struct change {
    struct mcx_key_slot *slot;
    struct mcx_key *key; /* a reference */
    int64_t row, at_ms[MCX_KEY_WIPED + 1], until_ms;
    enum mcx_key_end why;
    uint8_t todo;
};

/* Which replay rows there are, and when the last entry of each expires. */
struct replay_row {
    int64_t row, expires_ms;
};

struct store {
    struct mcx_store_db *db;
    const struct mcx_env *env;
    struct mcx_keys *keys;
    struct mcx_replay *replay;
    struct mcx_keys_backing backing;
    struct mcx_replay_backing replay_backing;
    bool no_log;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the writer: there is work; steady clock */
    pthread_cond_t done; /* those who wait                          */
    pthread_t thread;
    bool ready, attached, started; /* how far begin() came */
    bool running, stop;
    bool full; /* the host takes fewer keys than there are */
    struct job *jobs, **jobs_end;
    struct mcx_key_slot *slots, **slots_end;
    uint64_t asked, kept, failed; /* changes asked for, on the disk; batches
                                     that failed */
    struct store_numbers n;

    /* The writer's own. */
    struct change *change;
    int64_t version, tomb_seq, purged_ms;
    struct replay_row *rows;
    size_t n_rows, rows_room;
    unsigned rotate_in; /* beats */
};

/* ---- from core/keys ---------------------------------------------------- */

static void
queue_slot(struct store *s, struct mcx_key_slot *slot)
{
    if (!slot->queued) {
        slot->queued = true;
        slot->next = NULL;
        (void)mcx_key_ref(slot->key);
        *s->slots_end = slot;
        s->slots_end = &slot->next;
    }
}

/* Hands 'job' to the writer and waits for it. */
static mcx_err
wait_for(struct store *s, struct job *job)
{
    (void)pthread_mutex_lock(&s->lock);
    if (s->stop) {
        (void)pthread_mutex_unlock(&s->lock);
        return MCX_E_STATE;
    }
    *s->jobs_end = job;
    s->jobs_end = &job->next;
    (void)pthread_cond_signal(&s->wake);
    while (!job->done) {
        (void)pthread_cond_wait(&s->done, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return job->err;
}

static mcx_err
on_stage(void *ctx, const struct mcx_key_record *rec,
         struct mcx_key_slot *slot)
{
    struct store *s = ctx;
    struct job job = { .rec = rec, .slot = slot };

    if (rec->kind < 32 && (STORE_KINDS & MCX_KIND_BIT(rec->kind))) {
        return wait_for(s, &job);
    }
    /* Not kept; the audit log hears of it in its own time. */
    (void)pthread_mutex_lock(&s->lock);
    slot->at_unix_ms[MCX_KEY_STAGED] = rec->since_unix_ms;
    if (!s->no_log) {
        slot->todo |= 1u << MCX_KEY_STAGED;
        s->asked++;
        queue_slot(s, slot);
        (void)pthread_cond_signal(&s->wake);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return MCX_OK;
}

static void
on_changed(void *ctx, struct mcx_key_slot *const *slots, size_t n)
{
    struct store *s = ctx;
    size_t i;

    (void)pthread_mutex_lock(&s->lock);
    for (i = 0; i < n; i++) {
        struct mcx_key_slot *slot = slots[i];
        bool ours = slot->row != 0 || slot->at_unix_ms[MCX_KEY_STAGED] != 0;

        if (!ours || (slot->row == 0 && s->no_log)
            || slot->at_unix_ms[slot->state] != 0) {
            continue; /* not staged yet, or told before */
        }
        slot->at_unix_ms[slot->state] = slot->since_unix_ms;
        slot->until_unix_ms = slot->wipe_unix_ms;
        slot->why = slot->end;
        slot->todo = (uint8_t)(slot->todo | 1u << slot->state);
        s->asked++;
        queue_slot(s, slot);
    }
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
}

static mcx_err
on_sync(void *ctx)
{
    struct store *s = ctx;
    uint64_t want, failed;
    mcx_err err;

    (void)pthread_mutex_lock(&s->lock);
    want = s->asked;
    failed = s->failed;
    (void)pthread_cond_signal(&s->wake);
    while (s->running && s->kept < want && s->failed == failed) {
        (void)pthread_cond_wait(&s->done, &s->lock);
    }
    err = s->kept >= want ? MCX_OK : MCX_E_IO;
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

static mcx_err
on_replay(void *ctx, const uint8_t digest[32], int64_t expires_ms)
{
    struct job job = { .entry = { .expires_ms = expires_ms } };

    memcpy(job.entry.digest, digest, sizeof job.entry.digest);
    return wait_for(ctx, &job);
}

/* ---- one transaction --------------------------------------------------- */

static void
info_from(struct mcx_key_info *info, const struct mcx_key_record *rec)
{
    memset(info, 0, sizeof *info);
    info->kind = rec->kind;
    info->key_id = rec->key_id;
    info->ours = rec->ours;
    memcpy(info->initiator, rec->initiator, sizeof info->initiator);
    memcpy(info->responder, rec->responder, sizeof info->responder);
    info->owner = rec->owner;
}

static mcx_err
write_stage(struct store *s, struct job *job, int64_t *row)
{
    struct mcx_key_info info;
    mcx_err err = store_key_known(s->db, job->rec);

    if (err == MCX_E_EXPIRED) {
        job->err = err; /* this one only: the others go on */
        return MCX_OK;
    }
    MCX_TRY(err);
    MCX_TRY(store_key_put(s->db, job->rec, row));
    info_from(&info, job->rec);
    return store_log_key(s->db, MCX_STORE_STAGED, &info, MCX_END_NONE,
                         job->rec->since_unix_ms);
}

static mcx_err
rows_add(struct store *s, int64_t row, int64_t expires_ms)
{
    if (s->n_rows == s->rows_room) {
        size_t room = s->rows_room ? 2 * s->rows_room : 64;
        struct replay_row *rows = realloc(s->rows, room * sizeof *rows);

        if (!rows) {
            return MCX_E_NOMEM;
        }
        s->rows = rows;
        s->rows_room = room;
    }
    s->rows[s->n_rows].row = row;
    s->rows[s->n_rows].expires_ms = expires_ms;
    s->n_rows++;
    return MCX_OK;
}

/* The replay entries among 'jobs', those that live long apart from the others
 * so that they do not hold them. */
static mcx_err
write_replay(struct store *s, struct job *jobs, bool long_lived, int64_t now)
{
    struct store_replay entry[STORE_REPLAY_MAX];
    int64_t row, last = 0;
    size_t n = 0;
    struct job *job;

    for (job = jobs; job; job = job->next) {
        if (!job->rec
            && long_lived == (job->entry.expires_ms > now + LONG_MS)) {
            entry[n++] = job->entry;
            last = job->entry.expires_ms > last ? job->entry.expires_ms
                                                : last;
        }
        if (n == STORE_REPLAY_MAX || (n > 0 && !job->next)) {
            MCX_TRY(store_replay_put(s->db, entry, n, &row));
            MCX_TRY(rows_add(s, row, last));
            n = 0;
            last = 0;
        }
    }
    return MCX_OK;
}

static mcx_err
write_change(struct store *s, const struct change *c)
{
    static const enum mcx_store_what what[] = {
        MCX_STORE_STAGED, MCX_STORE_ACTIVE, MCX_STORE_RETIRED,
        MCX_STORE_WIPED
    };
    struct mcx_key_info info;
    unsigned i, last = 0;

    mcx_key_info(&info, c->key);
    for (i = 0; i <= MCX_KEY_WIPED; i++) {
        if (c->todo & 1u << i) {
            last = i;
            MCX_TRY(store_log_key(s->db, what[i], &info,
                                  i == MCX_KEY_WIPED ? c->why : MCX_END_NONE,
                                  c->at_ms[i]));
        }
    }
    if (c->row == 0) {
        return MCX_OK;
    }
    return last == MCX_KEY_WIPED
               ? store_key_cut(s->db, c->row, &info, c->why, false)
               : store_key_state(s->db, c->row, (enum mcx_key_state)last,
                                 c->at_ms[last],
                                 last == MCX_KEY_RETIRED ? c->until_ms : 0);
}

static mcx_err
write_all(struct store *s, struct job *jobs, const struct change *changes,
          size_t n, int64_t *rows)
{
    int64_t now = s->env->unix_ms(s->env->ctx);
    struct job *job;
    size_t i = 0;

    for (job = jobs; job; job = job->next) {
        if (job->rec) {
            MCX_TRY(write_stage(s, job, &rows[i++]));
        }
    }
    MCX_TRY(write_replay(s, jobs, false, now));
    MCX_TRY(write_replay(s, jobs, true, now));
    for (i = 0; i < n; i++) {
        MCX_TRY(write_change(s, &changes[i]));
    }
    return MCX_OK;
}

/* ---- the writer -------------------------------------------------------- */

/* Takes up to BATCH changes off the queue.  The lock is held. */
static size_t
take_changes(struct store *s)
{
    size_t n = 0;

    while (s->slots && n < BATCH) {
        struct mcx_key_slot *slot = s->slots;
        struct change *c = &s->change[n++];

        s->slots = slot->next;
        slot->next = NULL;
        slot->queued = false;
        c->slot = slot;
        c->key = slot->key;
        c->row = slot->row;
        memcpy(c->at_ms, slot->at_unix_ms, sizeof c->at_ms);
        c->until_ms = slot->until_unix_ms;
        c->why = slot->why;
        c->todo = slot->todo;
        slot->todo = 0;
    }
    if (!s->slots) {
        s->slots_end = &s->slots;
    }
    return n;
}

static unsigned
bits(unsigned v)
{
    unsigned n = 0;

    for (; v; v &= v - 1) {
        n++;
    }
    return n;
}

/* Tells everybody how it went.  The lock is held. */
static void
settle(struct store *s, mcx_err err, struct job *jobs, const int64_t *rows,
       size_t n)
{
    size_t i = 0;

    while (jobs) {
        struct job *job = jobs;

        jobs = job->next; /* it is gone as soon as 'done' is seen */
        job->err = err != MCX_OK ? err : job->err;
        if (job->rec) {
            if (job->err == MCX_OK) {
                job->slot->row = rows[i];
                job->slot->at_unix_ms[MCX_KEY_STAGED] =
                    job->rec->since_unix_ms;
            }
            i++;
        }
        job->done = true;
    }
    for (i = 0; i < n; i++) {
        const struct change *c = &s->change[i];

        if (err == MCX_OK) {
            s->kept += bits(c->todo);
        } else {
            c->slot->todo |= c->todo;
            queue_slot(s, c->slot);
        }
    }
    if (err == MCX_OK) {
        s->n.commits++;
    } else {
        s->failed++;
        s->n.failures++;
    }
    (void)pthread_cond_broadcast(&s->done);
}

/* Writes what is there; the lock is held, and given up meanwhile. */
static mcx_err
write_batch(struct store *s)
{
    struct job *jobs = s->jobs, *job;
    size_t n_rows_before = s->n_rows, n_stage = 0, n, i;
    int64_t *rows = NULL;
    mcx_err err;

    s->jobs = NULL;
    s->jobs_end = &s->jobs;
    n = take_changes(s);
    (void)pthread_mutex_unlock(&s->lock);
    for (job = jobs; job; job = job->next) {
        n_stage += job->rec ? 1 : 0;
    }
    rows = calloc(n_stage + 1, sizeof *rows);
    err = rows ? store_begin(s->db) : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = store_end(s->db, write_all(s, jobs, s->change, n, rows));
    }
    if (err != MCX_OK) {
        s->n_rows = n_rows_before;
        mcx_log(s->env, MCX_AREA_KEYS, 1, "store: cannot be written: %s",
                mcx_err_text(err));
    }
    (void)pthread_mutex_lock(&s->lock);
    settle(s, err, jobs, rows, n);
    (void)pthread_mutex_unlock(&s->lock);
    free(rows);
    for (i = 0; i < n; i++) {
        mcx_key_unref(s->change[i].key);
    }
    (void)pthread_mutex_lock(&s->lock);
    return err;
}

struct arrival {
    struct store *s;
    const struct mcx_store_event *note;
    size_t n; /* of them that we have */
};

static void
is_it(void *arg, const struct mcx_key_info *info)
{
    struct arrival *a = arg;

    a->n += info->kind == a->note->kind && info->key_id == a->note->key_id
            && strcmp(info->owner.mc_id, a->note->mc_id) == 0
            && strcmp(info->owner.impu, a->note->impu) == 0;
}

static mcx_err
arrive(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct arrival *a = arg;

    if (rec && strcmp(rec->owner.impu, a->note->impu) == 0
        && mcx_keys_restore(a->s->keys, rec, row) == MCX_OK) {
        a->n++;
    }
    return MCX_OK;
}

/* Another process put a key in (mcx_store_add()). */
static void
on_added(struct store *s, const struct mcx_store_event *note)
{
    struct mcx_store_find find = { .by_id = true, .kind = note->kind,
                                   .key_id = note->key_id,
                                   .mc_id = note->mc_id };
    struct arrival a = { s, note, 0 };
    mcx_err err;

    mcx_keys_each(s->keys, is_it, &a);
    if (a.n > 0) {
        return; /* it came while we started, and was brought back */
    }
    err = store_key_load(s->db, &find, arrive, &a);
    if (err != MCX_OK || a.n == 0) {
        mcx_log(s->env, MCX_AREA_KEYS, 1, "store: key %08lx was put in by "
                "another process and cannot be brought in",
                (unsigned long)note->key_id);
    } else {
        mcx_log(s->env, MCX_AREA_KEYS, 3, "store: key %08lx was put in by "
                "another process", (unsigned long)note->key_id);
    }
}

static void
on_tomb(void *arg, int64_t seq, const struct mcx_store_event *tomb)
{
    struct store *s = arg;
    struct mcx_key_owner owner;

    (void)seq;
    if (tomb->end == MCX_END_NONE) {
        on_added(s, tomb);
        return;
    }
    memset(&owner, 0, sizeof owner);
    memcpy(owner.impu, tomb->impu, sizeof owner.impu);
    memcpy(owner.mc_id, tomb->mc_id, sizeof owner.mc_id);
    if (mcx_keys_wipe(s->keys, tomb->kind, tomb->key_id, &owner, tomb->end)
        > 0) {
        mcx_log(s->env, MCX_AREA_KEYS, 3, "store: key %08lx was %s by "
                "another process", (unsigned long)tomb->key_id,
                mcx_key_end_word(tomb->end));
    }
}

/* Drops rows of replay entries that have all expired. */
static void
purge(struct store *s)
{
    int64_t now = s->env->unix_ms(s->env->ctx);
    size_t i, n = 0;
    mcx_err err;

    if (now - s->purged_ms < PURGE_MS && now >= s->purged_ms) {
        return;
    }
    s->purged_ms = now;
    err = s->n_rows > 0 ? store_begin(s->db) : MCX_E_STATE;
    if (err != MCX_OK) {
        return;
    }
    for (i = 0; i < s->n_rows && err == MCX_OK; i++) {
        if (s->rows[i].expires_ms < now) {
            err = store_replay_cut(s->db, s->rows[i].row);
            if (s->rows[i].expires_ms > s->db->head.forgotten_ms) {
                s->db->head.forgotten_ms = s->rows[i].expires_ms;
                s->db->head_dirty = true;
            }
        }
    }
    if (store_end(s->db, err) == MCX_OK) {
        for (i = 0; i < s->n_rows; i++) {
            if (s->rows[i].expires_ms >= now) {
                s->rows[n++] = s->rows[i];
            }
        }
        s->n_rows = n;
    }
}

/* What is done once a second, without the lock. */
static void
beat(struct store *s)
{
    if (store_changed(s->db, &s->version)) {
        (void)store_tombs(s->db, &s->tomb_seq, on_tomb, s);
    }
    purge(s);
    if (s->rotate_in > 0) {
        s->rotate_in--;
    } else {
        mcx_err err = mcx_store_log_rotate(s->db, false);

        if (err != MCX_OK) {
            mcx_log(s->env, MCX_AREA_KEYS, 1, "store: the audit log cannot "
                    "be rotated: %s", mcx_err_text(err));
            s->rotate_in = ROTATE_AGAIN_S;
        }
    }
    if (s->db->wiped) {
        s->db->wiped = !store_checkpoint(s->db);
    }
}

static void
steady(struct timespec *ts)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ts);
}

static void *
writer(void *arg)
{
    struct store *s = arg;
    struct timespec next, now;
    mcx_err err = MCX_OK;

    steady(&next);
    next.tv_sec += BEAT_S;
    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        /* After a failure only somebody who waits is served before the next
         * beat: the queue would be tried in a circle. */
        bool work = s->jobs || (s->slots && err == MCX_OK);

        if (work || (s->stop && s->slots)) {
            bool last = s->stop;

            err = write_batch(s);
            if (last && err != MCX_OK) {
                break; /* what was not written is said by store_free() */
            }
        } else if (s->stop) {
            break;
        } else {
            (void)pthread_cond_timedwait(&s->wake, &s->lock, &next);
        }
        steady(&now);
        if (now.tv_sec > next.tv_sec
            || (now.tv_sec == next.tv_sec && now.tv_nsec >= next.tv_nsec)) {
            next = now;
            next.tv_sec += BEAT_S;
            err = MCX_OK;
            (void)pthread_mutex_unlock(&s->lock);
            beat(s);
            (void)pthread_mutex_lock(&s->lock);
        }
    }
    s->running = false;
    (void)pthread_cond_broadcast(&s->done);
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- bringing back ----------------------------------------------------- */

enum { STALE_MAX = 4096 };
struct restoring {
    struct store *s;
    int64_t now;
    size_t n, at;
    struct { int64_t row; enum mcx_key_end end; } stale[STALE_MAX];
};

static mcx_err
restore_one(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct restoring *r = arg;
    struct store *s = r->s;
    enum mcx_key_end end = MCX_END_NONE;
    mcx_err err;

    if (!rec) {
        s->n.bad++;
        return MCX_OK;
    }
    if (rec->state == MCX_KEY_STAGED
        && r->now - rec->since_unix_ms > MCX_STORE_STAGED_MS) {
        end = MCX_END_DROPPED;
    } else {
        bool retired = rec->state == MCX_KEY_RETIRED;

        err = mcx_keys_restore(s->keys, rec, row);
        if (err == MCX_E_EXPIRED) {
            end = retired && !(rec->expiry_unix_ms != 0
                               && rec->expiry_unix_ms <= r->now)
                      ? MCX_END_REPLACED
                      : MCX_END_EXPIRED;
        } else if (err != MCX_OK) {
            s->full = err == MCX_E_BUSY;
            return err;
        }
    }
    if (end == MCX_END_NONE) {
        s->n.keys++;
    } else if (r->n < STALE_MAX) { /* the rest with the next start */
        r->stale[r->n].row = row;
        r->stale[r->n].end = end;
        r->n++;
    }
    return MCX_OK;
}

static void
replay_one(void *arg, int64_t row, const struct store_replay *entry)
{
    struct restoring *r = arg;
    struct store *s = r->s;
    size_t last = s->n_rows - 1;
    struct mcx_replay_entry kept = { .parked = false };

    if (!entry) {
        /* We cannot know which messages were in it: take every T that may
         * have been accepted by now as seen. */
        s->n.bad++;
        mcx_replay_floor(s->replay, r->now + MCX_WINDOW_AHEAD_S * 1000);
        return;
    }
    if (s->n_rows == 0 || s->rows[last].row != row) {
        if (rows_add(s, row, entry->expires_ms) != MCX_OK) {
            return;
        }
    } else if (entry->expires_ms > s->rows[last].expires_ms) {
        s->rows[last].expires_ms = entry->expires_ms;
    }
    /* One that was parked is taken as seen: the request that waited went with
     * the process. */
    memcpy(kept.digest, entry->digest, sizeof kept.digest);
    kept.expires_ms = entry->expires_ms;
    if (entry->expires_ms < r->now) {
        mcx_replay_forgot(s->replay, entry->expires_ms);
    } else if (mcx_replay_restore(s->replay, r->now, &kept) == MCX_OK) {
        s->n.replay++;
    }
}

/* Old notes go: those for other processes after a day. */
static void
old_tomb(void *arg, int64_t seq, const struct mcx_store_event *tomb)
{
    struct restoring *r = arg;
    int64_t keep = tomb->end == MCX_END_DROPPED || tomb->end == MCX_END_NONE
                       ? DAY_MS
                       : TOMB_KEEP_MS;

    if (r->now - tomb->unix_ms > keep && r->n < STALE_MAX) {
        r->stale[r->n++].row = seq;
    }
}

/* Takes the stale rows out while the rows are read again: a statement may
 * stand on a row that is deleted. */
static mcx_err
cut_stale(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct restoring *r = arg;
    struct mcx_key_info info;
    enum mcx_key_end end;

    /* Both lists are in the order of rows. */
    if (!rec || r->at == r->n || r->stale[r->at].row != row) {
        return MCX_OK;
    }
    end = r->stale[r->at++].end;
    info_from(&info, rec);
    MCX_TRY(store_log_key(r->s->db, MCX_STORE_WIPED, &info, end, r->now));
    return store_key_cut(r->s->db, row, &info, end, false);
}

/* Rows that are not those that were written: which of them were meant to be
 * there nobody can tell, and a key that was revoked may be among them.  So no
 * key comes back, the peers send new ones, and no message of before is
 * taken. */
static mcx_err
check_rows(struct store *s, int64_t now)
{
    struct mcx_text text;
    mcx_err err = mcx_store_check(s->db, &text);

    if (err == MCX_E_AUTH) {
        mcx_log(s->env, MCX_AREA_KEYS, 1, "store: %s; no key is brought "
                "back", text.s);
        s->n.tampered = true;
        MCX_TRY(store_begin(s->db));
        err = store_end(s->db,
                        store_mend(s->db, now + MCX_WINDOW_AHEAD_S * 1000));
    }
    MCX_TRY(err);
    if (s->replay && s->db->head.floor_ms != 0) {
        mcx_replay_floor(s->replay, s->db->head.floor_ms);
    }
    if (s->replay && s->db->head.forgotten_ms != 0) {
        mcx_replay_forgot(s->replay, s->db->head.forgotten_ms);
    }
    return MCX_OK;
}

static mcx_err
bring_back(struct store *s, struct restoring *r)
{
    static const struct mcx_store_find all;
    size_t i;

    MCX_TRY(check_rows(s, r->now));
    /* Notes before keys: what another process does in between is in a note
     * that is still to come. */
    MCX_TRY(store_tombs(s->db, &s->tomb_seq, old_tomb, r));
    if (r->n > 0) {
        mcx_err err = store_begin(s->db);

        for (i = 0; i < r->n && err == MCX_OK; i++) {
            err = store_tomb_cut(s->db, r->stale[i].row);
        }
        MCX_TRY(store_end(s->db, err));
    }
    r->n = 0;
    MCX_TRY(store_key_load(s->db, &all, restore_one, r));
    s->n.dropped = r->n;
    if (r->n > 0) {
        MCX_TRY(store_begin(s->db));
        MCX_TRY(store_end(s->db, store_key_load(s->db, &all, cut_stale,
                                                r)));
    }
    if (s->replay) {
        MCX_TRY(store_replay_load(s->db, replay_one, r));
    }
    if (s->n.bad > 0) {
        mcx_log(s->env, MCX_AREA_KEYS, 1, "store: %zu rows do not open: "
                "damaged, or changed by somebody without the key",
                s->n.bad);
        MCX_TRY(mcx_store_log_add(s->db, MCX_STORE_BAD_ROW,
                                  (uint32_t)s->n.bad));
    }
    return mcx_store_log_add(s->db, MCX_STORE_OPENED, (uint32_t)s->n.keys);
}

/* ---- start and stop ---------------------------------------------------- */

static bool
make_ready(struct store *s)
{
    pthread_condattr_t attr;

    s->change = calloc(BATCH, sizeof *s->change);
    if (!s->change || pthread_mutex_init(&s->lock, NULL) != 0) {
        return false;
    }
    s->jobs_end = &s->jobs;
    s->slots_end = &s->slots;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->wake, &attr);
    (void)pthread_cond_init(&s->done, NULL);
    (void)pthread_condattr_destroy(&attr);
    s->ready = true;
    s->backing = (struct mcx_keys_backing){
        .size = sizeof s->backing, .ctx = s, .stage = on_stage,
        .changed = on_changed, .sync = on_sync
    };
    s->replay_backing = (struct mcx_replay_backing){
        .size = sizeof s->replay_backing, .ctx = s, .enter = on_replay
    };
    return true;
}

/* Attaches, brings back, and lets the writer run. */
static mcx_err
begin(struct store *s)
{
    struct restoring *r = calloc(1, sizeof *r);
    mcx_err err;

    if (!r) {
        return MCX_E_NOMEM;
    }
    r->s = s;
    r->now = s->env->unix_ms(s->env->ctx);
    s->purged_ms = r->now;
    (void)store_changed(s->db, &s->version);
    err = mcx_keys_attach(s->keys, &s->backing);
    if (err == MCX_OK) {
        s->attached = true;
        err = bring_back(s, r);
    }
    free(r);
    MCX_TRY(err);
    s->running = true;
    if (pthread_create(&s->thread, NULL, writer, s) != 0) {
        s->running = false;
        return MCX_E_BUSY;
    }
    s->started = true;
    if (s->replay) {
        mcx_replay_attach(s->replay, &s->replay_backing);
    }
    return MCX_OK;
}

mcx_err
store_new(struct store **out, const struct mcx_store_config *config,
          struct mcx_keys *keys, struct mcx_replay *replay,
          struct mcx_text *text)
{
    struct store *s = calloc(1, sizeof *s);
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    if (s) {
        s->env = config->env;
        s->keys = keys;
        s->replay = replay;
        s->no_log = config->no_log;
        err = make_ready(s) ? mcx_store_open(&s->db, config, text)
                            : MCX_E_NOMEM;
    }
    if (err == MCX_OK) {
        err = begin(s);
    }
    if (err != MCX_OK) {
        if (!text->s[0] && s && s->full) {
            (void)snprintf(text->s, sizeof text->s, "%.150s: has more keys "
                           "than this host takes", config->path);
        } else if (!text->s[0]) {
            (void)snprintf(text->s, sizeof text->s, "%s",
                           mcx_err_text(err));
        }
        store_free(s);
        return err;
    }
    *out = s;
    return MCX_OK;
}

/* What the writer could not write is let go. */
static void
let_go(struct store *s)
{
    size_t n = 0;

    while (s->slots) {
        struct mcx_key_slot *slot = s->slots;

        s->slots = slot->next;
        slot->queued = false;
        mcx_key_unref(slot->key);
        n++;
    }
    if (n > 0) {
        mcx_log(s->env, MCX_AREA_KEYS, 1, "store: the last changes of %zu "
                "keys could not be written", n);
    }
}

void
store_free(struct store *s)
{
    if (!s) {
        return;
    }
    if (s->attached) {
        mcx_keys_detach(s->keys); /* what was told before is still written */
    }
    if (s->started) {
        if (s->replay) {
            mcx_replay_attach(s->replay, NULL);
        }
        (void)pthread_mutex_lock(&s->lock);
        s->stop = true;
        (void)pthread_cond_signal(&s->wake);
        (void)pthread_mutex_unlock(&s->lock);
        (void)pthread_join(s->thread, NULL);
    }
    let_go(s);
    if (s->started
        && mcx_store_log_add(s->db, MCX_STORE_CLOSED, 0) != MCX_OK) {
        mcx_log(s->env, MCX_AREA_KEYS, 3, "store: its closing could not be "
                "written to the audit log");
    }
    mcx_store_close(s->db);
    if (s->ready) {
        (void)pthread_mutex_destroy(&s->lock);
        (void)pthread_cond_destroy(&s->wake);
        (void)pthread_cond_destroy(&s->done);
    }
    free(s->rows);
    free(s->change);
    free(s);
}

void
store_numbers(struct store *store, struct store_numbers *out)
{
    (void)pthread_mutex_lock(&store->lock);
    *out = store->n;
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- the module -------------------------------------------------------- */

static bool
yes(const struct mcx_host *host, const char *name)
{
    const char *value = host->option(host, STORE_NAME, name);

    return value && strcmp(value, "yes") == 0;
}

static unsigned
number(const struct mcx_host *host, const char *name)
{
    const char *value = host->option(host, STORE_NAME, name);

    return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

mcx_err
store_start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    struct mcx_store_config config = {
        .env = host->env,
        .path = host->option(host, STORE_NAME, "file"),
        .key_file = host->option(host, STORE_NAME, "key-file"),
        .passphrase_file = host->option(host, STORE_NAME, "passphrase-file"),
        .by = "host",
        .scrypt_log2_n = number(host, "scrypt-log2-n"),
        .create = true,
        .clear_ids = yes(host, "clear-ids"),
        .no_log = !yes(host, "log"),
        .log_entries = number(host, "log-entries"),
        .log_files = number(host, "log-files"),
    };
    struct store_numbers n;
    struct store *s;
    mcx_err err;

    if (!config.path) {
        (void)snprintf(text->s, sizeof text->s,
                       "setting \"file\" is missing: where the store lies");
        return MCX_E_CONFIG;
    }
    if (!config.key_file && !config.passphrase_file) {
        config.kek = host->feature(host, "keys.kek");
        if (config.kek && config.kek->size < sizeof *config.kek) {
            config.kek = NULL;
        }
    }
    err = store_new(&s, &config, host->keys, host->replay, text);
    if (err != MCX_OK) {
        return err;
    }
    store_numbers(s, &n);
    mcx_log(host->env, MCX_AREA_KEYS, 5, "store: %zu keys, %zu replay "
            "entries brought back; %zu keys past their time", n.keys,
            n.replay, n.dropped);
    *state = s;
    return MCX_OK;
}

void
store_stop(void *state)
{
    store_free(state);
}

const void *
store_feature(void *state, const char *name)
{
    struct store *s = state;

    return strcmp(name, "keys.backend") == 0 ? &s->backing : NULL;
}
