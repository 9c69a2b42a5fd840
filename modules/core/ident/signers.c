/* signers.c -- see signers.h.  Chains from a value of HS's first bits, and a
 * list from the signer used last to that used first. */
#include <config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "shared.h"
#include "signers.h"

enum { CHAINS = 1024 };

struct mcx_signer {
    atomic_uint refs; /* the list's own, and one for each who took it */
    struct mcx_signer *chain;         /* next of the same bits  */
    struct mcx_signer *newer, *older; /* used before, used after */
    struct mcx_p256_table *table;
    uint8_t hs[MCX_P256_SIZE];
};

struct mcx_signers {
    pthread_mutex_t lock;
    int n;
    struct mcx_signer *newest, *oldest;
    struct mcx_signer *head[CHAINS];
    uint64_t seen[CHAINS]; /* 64 bits of those without a table; 0: none */
};

static size_t
bits_of(const uint8_t hs[MCX_P256_SIZE])
{
    return ((size_t)hs[0] << 8 | hs[1]) % CHAINS;
}

struct mcx_signers *
mcx_signers_new(void)
{
    struct mcx_signers *signers = calloc(1, sizeof *signers);

    if (signers) {
        (void)pthread_mutex_init(&signers->lock, NULL);
    }
    return signers;
}

void
mcx_signer_drop(struct mcx_signer *who)
{
    if (who
        && atomic_fetch_sub_explicit(&who->refs, 1, memory_order_acq_rel)
               == 1) {
        mcx_big_free(who->table);
        free(who);
    }
}

void
mcx_signers_forget(struct mcx_signers *signers)
{
    struct mcx_signer *who, *all;

    (void)pthread_mutex_lock(&signers->lock);
    all = signers->newest;
    signers->newest = signers->oldest = NULL;
    signers->n = 0;
    memset(signers->head, 0, sizeof signers->head);
    memset(signers->seen, 0, sizeof signers->seen);
    (void)pthread_mutex_unlock(&signers->lock);
    while ((who = all) != NULL) {
        all = who->older;
        mcx_signer_drop(who);
    }
}

void
mcx_signers_free(struct mcx_signers *signers)
{
    if (signers) {
        mcx_signers_forget(signers);
        (void)pthread_mutex_destroy(&signers->lock);
        free(signers);
    }
}

static struct mcx_signer *
find(const struct mcx_signers *signers, const uint8_t hs[MCX_P256_SIZE])
{
    struct mcx_signer *who = signers->head[bits_of(hs)];

    while (who && !mcx_bytes_eq(mcx_bytes(who->hs, sizeof who->hs),
                                mcx_bytes(hs, MCX_P256_SIZE))) {
        who = who->chain;
    }
    return who;
}

static void
unlist(struct mcx_signers *signers, struct mcx_signer *who)
{
    *(who->newer ? &who->newer->older : &signers->newest) = who->older;
    *(who->older ? &who->older->newer : &signers->oldest) = who->newer;
}

static void
list_first(struct mcx_signers *signers, struct mcx_signer *who)
{
    who->newer = NULL;
    who->older = signers->newest;
    *(who->older ? &who->older->newer : &signers->oldest) = who;
    signers->newest = who;
}

/* Takes the one not used for longest out, for the caller to drop. */
static struct mcx_signer *
evict(struct mcx_signers *signers)
{
    struct mcx_signer *who = signers->oldest;
    struct mcx_signer **at = &signers->head[bits_of(who->hs)];

    while (*at != who) {
        at = &(*at)->chain;
    }
    *at = who->chain;
    unlist(signers, who);
    signers->n--;
    return who;
}

const struct mcx_p256_table *
mcx_signers_take(struct mcx_signer **who, struct mcx_signers *signers,
                 const uint8_t hs[MCX_P256_SIZE])
{
    struct mcx_signer *found;

    (void)pthread_mutex_lock(&signers->lock);
    found = find(signers, hs);
    if (found) {
        (void)atomic_fetch_add_explicit(&found->refs, 1,
                                        memory_order_relaxed);
        unlist(signers, found);
        list_first(signers, found);
    }
    (void)pthread_mutex_unlock(&signers->lock);
    *who = found;
    return found ? found->table : NULL;
}

bool
mcx_signers_saw(struct mcx_signers *signers, const uint8_t hs[MCX_P256_SIZE])
{
    uint64_t mark, *place = &signers->seen[bits_of(hs)];
    bool before;

    memcpy(&mark, hs + 2, sizeof mark);
    (void)pthread_mutex_lock(&signers->lock);
    before = *place == mark;
    *place = mark;
    (void)pthread_mutex_unlock(&signers->lock);
    return before;
}

mcx_err
mcx_signers_put(struct mcx_signers *signers, const uint8_t hs[MCX_P256_SIZE],
                struct mcx_p256_table *t)
{
    struct mcx_signer *who = calloc(1, sizeof *who), *out = who;

    if (!who) {
        mcx_big_free(t);
        return MCX_E_NOMEM;
    }
    atomic_init(&who->refs, 1);
    memcpy(who->hs, hs, sizeof who->hs);
    who->table = t;
    (void)pthread_mutex_lock(&signers->lock);
    if (!find(signers, hs)) { /* else somebody built it meanwhile */
        out = signers->n == MCX_SIGNERS_MAX ? evict(signers) : NULL;
        who->chain = signers->head[bits_of(hs)];
        signers->head[bits_of(hs)] = who;
        list_first(signers, who);
        signers->n++;
        signers->seen[bits_of(hs)] = 0;
    }
    (void)pthread_mutex_unlock(&signers->lock);
    mcx_signer_drop(out);
    return MCX_OK;
}
