/* persist.c -- the seam between the key store and a back-end that persists.
 * See the end of mcx_keys.h.  store.c and life.c tell it what happens; the
 * back-end itself is a module.  Without one, all of this is a few branches. */
#include <config.h>
#include <sofia-mcx/mcx_keys.h>
#include "store.h"

mcx_err
mcx_keys_attach(struct mcx_keys *keys, const struct mcx_keys_backing *backing)
{
    mcx_err err = MCX_E_STATE;

    if (!keys || !backing || backing->size < sizeof *backing) {
        return MCX_E_ARG;
    }
    (void)pthread_mutex_lock(&keys->lock);
    if (!keys->back && keys->count == 0 && !keys->closed) {
        keys->back = backing;
        err = MCX_OK;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    return err;
}

void
mcx_keys_detach(struct mcx_keys *keys)
{
    (void)pthread_mutex_lock(&keys->lock);
    keys->back = NULL;
    (void)pthread_mutex_unlock(&keys->lock);
}

static const struct mcx_keys_backing *
backing_of(struct mcx_keys *keys)
{
    const struct mcx_keys_backing *back;

    (void)pthread_mutex_lock(&keys->lock);
    back = keys->back;
    (void)pthread_mutex_unlock(&keys->lock);
    return back;
}

static void
fill(struct mcx_key *key)
{
    struct mcx_key_slot *slot = &key->slot;

    /* A key that waits for its activation is kept as active: whoever
     * restores it sees the time. */
    slot->state = key->waits ? MCX_KEY_ACTIVE : key->state;
    slot->end = key->end;
    slot->since_unix_ms = key->since_unix_ms;
    slot->wipe_unix_ms = key->state == MCX_KEY_RETIRED
                             ? mcx_store_unix_ms(key->store)
                                   + key->wipe_mono_ms
                                   - mcx_store_mono_ms(key->store)
                             : 0;
}

void
mcx_persist_changed(struct mcx_keys *keys, struct mcx_key *a,
                    struct mcx_key *b)
{
    struct mcx_key_slot *slots[2];

    if (!keys->back) {
        return;
    }
    fill(a);
    slots[0] = &a->slot;
    if (b) {
        fill(b);
        slots[1] = &b->slot;
    }
    keys->back->changed(keys->back->ctx, slots, b ? 2 : 1);
}

mcx_err
mcx_persist_stage(struct mcx_keys *keys, const struct mcx_key_record *rec,
                  struct mcx_key *key)
{
    const struct mcx_keys_backing *back = backing_of(keys);

    if (!back) {
        return MCX_OK;
    }
    MCX_TRY(back->stage(back->ctx, rec, &key->slot));
    /* Somebody may have wiped it while it was written. */
    (void)pthread_mutex_lock(&keys->lock);
    if (key->state == MCX_KEY_WIPED) {
        mcx_persist_changed(keys, key, NULL);
    }
    (void)pthread_mutex_unlock(&keys->lock);
    return MCX_OK;
}

mcx_err
mcx_keys_sync(struct mcx_keys *keys)
{
    const struct mcx_keys_backing *back = backing_of(keys);

    return back ? back->sync(back->ctx) : MCX_OK;
}

/* ---- back from the disk ------------------------------------------------ */

static bool
ends(const char *s, size_t room)
{
    return strnlen(s, room) < room;
}

static bool
record_ok(const struct mcx_key_record *rec)
{
    return rec->state != MCX_KEY_WIPED
           && ends(rec->initiator, sizeof rec->initiator)
           && ends(rec->responder, sizeof rec->responder)
           && ends(rec->owner.impu, sizeof rec->owner.impu)
           && ends(rec->owner.mc_id, sizeof rec->owner.mc_id)
           && ends(rec->owner.client_id, sizeof rec->owner.client_id);
}

/* How much of its grace a retired key has left: never more than all of it,
 * whatever the wall clock did meanwhile. */
static int64_t
grace_left(const struct mcx_key_record *rec, int64_t unix_ms)
{
    int64_t left = rec->wipe_unix_ms - unix_ms;

    return left > MCX_KEY_GRACE_MS ? MCX_KEY_GRACE_MS : left;
}

static mcx_err
restore(struct mcx_keys *keys, const struct mcx_key_record *rec, int64_t row)
{
    int64_t unix_ms = mcx_store_unix_ms(keys), left = 0;
    struct mcx_key_info info;
    struct mcx_key *k;
    mcx_err err;

    if (!record_ok(rec)) {
        return MCX_E_ARG;
    }
    if (rec->state == MCX_KEY_RETIRED) {
        left = grace_left(rec, unix_ms);
    }
    if ((rec->state == MCX_KEY_RETIRED && left <= 0)
        || (rec->expiry_unix_ms != 0 && rec->expiry_unix_ms <= unix_ms)) {
        return MCX_E_EXPIRED;
    }
    k = mcx_store_key(keys, rec);
    if (!k) {
        return MCX_E_NOMEM;
    }
    k->slot.row = row;
    (void)pthread_mutex_lock(&keys->lock);
    err = keys->back ? mcx_store_enter(keys, k) : MCX_E_STATE;
    if (err == MCX_OK && rec->state == MCX_KEY_RETIRED) {
        mcx_life_retire(k, rec->since_unix_ms,
                        mcx_store_mono_ms(keys) + left);
    } else if (err == MCX_OK && rec->state == MCX_KEY_ACTIVE) {
        mcx_life_resume(k, unix_ms, mcx_store_mono_ms(keys));
    }
    if (err == MCX_OK) {
        mcx_store_info(&info, k);
        info.restored = true;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_key_unref(k); /* the caller's reference: nobody asked for it */
    if (err != MCX_OK) {
        mcx_key_unref(k);
    } else {
        mcx_store_tell(keys, &info);
    }
    return err;
}

mcx_err
mcx_keys_restore(struct mcx_keys *keys, struct mcx_key_record *rec,
                 int64_t row)
{
    mcx_err err = restore(keys, rec, row);

    mcx_ssv_wipe(&rec->key);
    return err;
}
