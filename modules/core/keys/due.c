/* due.c -- see due.h.  Nothing that is noted here has to be done: what finds
 * no place is noted again at its next use. */
#include <config.h>
#include <string.h>
#include "due.h"

mcx_err
mcx_due_init(struct mcx_due *due)
{
    memset(due, 0, sizeof *due);
    return pthread_mutex_init(&due->lock, NULL) == 0 ? MCX_OK : MCX_E_NOMEM;
}

static void
drop(struct mcx_due_item *item)
{
    mcx_kms_pub_free(item->pub);
    mcx_user_key_free(item->key);
}

void
mcx_due_fini(struct mcx_due *due)
{
    size_t i;

    for (i = 0; i < due->n; i++) {
        drop(&due->item[i]);
    }
    (void)pthread_mutex_destroy(&due->lock);
}

void
mcx_due_listen(struct mcx_due *due, void (*call)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&due->lock);
    due->call = call;
    due->arg = arg;
    (void)pthread_mutex_unlock(&due->lock);
}

static bool
noted(const struct mcx_due *due, const struct mcx_kms_pub *pub,
      struct mcx_bytes id, const struct mcx_user_key *key)
{
    size_t i;

    for (i = 0; i < due->n; i++) {
        const struct mcx_due_item *item = &due->item[i];

        if (item->pub == pub && item->key == key
            && mcx_bytes_eq(mcx_bytes(item->id, item->id_n), id)) {
            return true;
        }
    }
    return false;
}

/* The listener is called under the lock, so that none is called after
 * mcx_due_listen() has put another in its place. */
void
mcx_due_add(struct mcx_due *due, struct mcx_kms_pub *pub, struct mcx_bytes id,
            struct mcx_user_key *key)
{
    (void)pthread_mutex_lock(&due->lock);
    if (due->call && due->n < MCX_DUE_MAX && id.n <= MCX_ID_MAX
        && !noted(due, pub, id, key)) {
        struct mcx_due_item *item = &due->item[due->n++];

        memset(item, 0, sizeof *item);
        item->pub = pub ? mcx_kms_pub_ref(pub) : NULL;
        item->key = key ? mcx_user_key_ref(key) : NULL;
        item->id_n = id.n;
        if (id.n > 0) {
            memcpy(item->id, id.p, id.n);
        }
        due->call(due->arg);
    }
    (void)pthread_mutex_unlock(&due->lock);
}

void
mcx_due_forget(struct mcx_due *due, const struct mcx_user_key *key)
{
    struct mcx_due_item item = { 0 };
    size_t i;

    (void)pthread_mutex_lock(&due->lock);
    for (i = 0; i < due->n && due->item[i].key != key; i++) {
    }
    if (i < due->n) {
        item = due->item[i];
        due->n--;
        memmove(due->item + i, due->item + i + 1,
                (due->n - i) * sizeof due->item[0]);
    }
    (void)pthread_mutex_unlock(&due->lock);
    drop(&item);
}

bool
mcx_due_build(struct mcx_due *due)
{
    struct mcx_due_item item;
    mcx_err err;
    bool any;

    (void)pthread_mutex_lock(&due->lock);
    any = due->n > 0;
    if (any) {
        item = due->item[0];
        due->n--;
        memmove(due->item, due->item + 1, due->n * sizeof due->item[0]);
    }
    (void)pthread_mutex_unlock(&due->lock);
    if (!any) {
        return false;
    }
    /* Without memory it goes on as before, only slower. */
    err = item.key ? mcx_user_key_prepare(item.key)
                   : mcx_sakke_prepare(item.pub,
                                       mcx_bytes(item.id, item.id_n));
    (void)err;
    drop(&item);
    return true;
}
