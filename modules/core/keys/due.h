/* due.h -- what a ring's owner may build in the background: tables of peers
 * to whom much is sent, and of own keys.  See mcx_ring_on_due(). */
#ifndef MCX_KEYS_DUE_H
#define MCX_KEYS_DUE_H

#include <pthread.h>
#include <stdbool.h>
#include <sofia-mcx/mcx_ident.h>

enum { MCX_DUE_MAX = 32 };

/* A peer (pub, id) or an own key; references. */
struct mcx_due_item {
    struct mcx_kms_pub *pub;
    struct mcx_user_key *key;
    size_t id_n;
    uint8_t id[MCX_ID_MAX];
};

struct mcx_due {
    pthread_mutex_t lock;
    void (*call)(void *arg);
    void *arg;
    size_t n;
    struct mcx_due_item item[MCX_DUE_MAX]; /* the oldest first */
};

mcx_err mcx_due_init(struct mcx_due *due) MCX_MUST_USE;
void mcx_due_fini(struct mcx_due *due);
void mcx_due_listen(struct mcx_due *due, void (*call)(void *arg), void *arg);
/* Notes one of both, unless it is noted already, nobody listens, or too much
 * is; and calls the listener. */
void mcx_due_add(struct mcx_due *due, struct mcx_kms_pub *pub,
                 struct mcx_bytes id, struct mcx_user_key *key);
/* Drops an own key, not NULL, that the ring gives up. */
void mcx_due_forget(struct mcx_due *due, const struct mcx_user_key *key);
/* Builds the oldest; false: there was none. */
bool mcx_due_build(struct mcx_due *due);

#endif /* MCX_KEYS_DUE_H */
