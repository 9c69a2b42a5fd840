/* peers.c -- see peers.h.  A list of fixed size, walked: 256 comparisons are
 * nothing beside what they save. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "peers.h"
#include "shared.h"

/* Who was sealed to lately: with a table, or counted only. */
struct peer {
    uint64_t used; /* by the list's clock; 0: empty */
    unsigned uses, lent;
    struct mcx_point_table *table;
    size_t id_n;
    uint8_t id[MCX_ID_MAX];
};

struct mcx_peers {
    pthread_mutex_t lock;
    uint64_t clock;
    struct peer with[MCX_PEERS_MAX];    /* a table    */
    struct peer without[MCX_PEERS_MAX]; /* only a count */
};

struct mcx_peers *
mcx_peers_new(void)
{
    struct mcx_peers *peers = calloc(1, sizeof *peers);

    if (peers) {
        (void)pthread_mutex_init(&peers->lock, NULL);
    }
    return peers;
}

void
mcx_peers_free(struct mcx_peers *peers)
{
    size_t i;

    if (peers) {
        for (i = 0; i < MCX_PEERS_MAX; i++) {
            mcx_big_free(peers->with[i].table);
        }
        (void)pthread_mutex_destroy(&peers->lock);
        free(peers);
    }
}

static struct peer *
find(struct peer *list, struct mcx_bytes id)
{
    size_t i;

    for (i = 0; i < MCX_PEERS_MAX; i++) {
        if (list[i].used
            && mcx_bytes_eq(mcx_bytes(list[i].id, list[i].id_n), id)) {
            return &list[i];
        }
    }
    return NULL;
}

/* The place of 'id', or an empty one, or that of the least recently used;
 * which is never one that is lent.  NULL: all are. */
static struct peer *
place(struct peer *list, struct mcx_bytes id)
{
    struct peer *best = find(list, id);
    size_t i;

    if (best) {
        return best;
    }
    for (i = 0; i < MCX_PEERS_MAX; i++) {
        if (list[i].lent == 0 && (!best || list[i].used < best->used)) {
            best = &list[i];
        }
    }
    return best;
}

static void
name_it(struct peer *p, struct mcx_bytes id)
{
    if (!mcx_bytes_eq(mcx_bytes(p->id, p->id_n), id)) {
        p->uses = 0;
        p->id_n = id.n;
        memcpy(p->id, id.p, id.n);
    }
}

const struct mcx_point_table *
mcx_peers_take(struct mcx_peers *peers, struct mcx_bytes id)
{
    const struct mcx_point_table *t = NULL;
    struct peer *p;

    (void)pthread_mutex_lock(&peers->lock);
    p = find(peers->with, id);
    if (p) {
        p->lent++;
        t = p->table;
    } else {
        p = place(peers->without, id);
        name_it(p, id);
    }
    p->used = ++peers->clock;
    p->uses += p->uses < 2;
    (void)pthread_mutex_unlock(&peers->lock);
    return t;
}

void
mcx_peers_give(struct mcx_peers *peers, const struct mcx_point_table *t)
{
    size_t i;

    (void)pthread_mutex_lock(&peers->lock);
    for (i = 0; i < MCX_PEERS_MAX; i++) {
        if (peers->with[i].table == t) {
            peers->with[i].lent--;
            break;
        }
    }
    (void)pthread_mutex_unlock(&peers->lock);
}

bool
mcx_peers_has(struct mcx_peers *peers, struct mcx_bytes id)
{
    bool has;

    (void)pthread_mutex_lock(&peers->lock);
    has = find(peers->with, id) != NULL;
    (void)pthread_mutex_unlock(&peers->lock);
    return has;
}

bool
mcx_peers_due(struct mcx_peers *peers, struct mcx_bytes id)
{
    struct peer *p;
    bool due;

    (void)pthread_mutex_lock(&peers->lock);
    p = find(peers->without, id);
    due = p && p->uses > 1 && !find(peers->with, id);
    (void)pthread_mutex_unlock(&peers->lock);
    return due;
}

mcx_err
mcx_peers_put(struct mcx_peers *peers, struct mcx_bytes id,
              struct mcx_point_table *t)
{
    struct peer *p, *old;
    mcx_err err = MCX_E_NOMEM;

    (void)pthread_mutex_lock(&peers->lock);
    p = find(peers->with, id);
    if (p) { /* somebody else built it meanwhile: one will do */
        err = MCX_OK;
    } else {
        p = place(peers->with, id);
        if (p) {
            struct mcx_point_table *out = p->table;

            name_it(p, id);
            p->table = t;
            p->used = ++peers->clock;
            t = out;
            old = find(peers->without, id);
            if (old) {
                memset(old, 0, sizeof *old);
            }
            err = MCX_OK;
        }
    }
    (void)pthread_mutex_unlock(&peers->lock);
    mcx_big_free(t);
    return err;
}
