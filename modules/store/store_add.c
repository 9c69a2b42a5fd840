/* store_add.c -- a key is put into the store from outside of a host: one that
 * both ends have on paper (mcx_hand_key()).  mcx-keys calls it; a host that
 * has the store open reads the note that is left and brings the key in. */
#include <config.h>
#include <stdlib.h>
#include "store.h"

static void
record_of(struct mcx_key_record *rec, const struct mcx_key_msg *km,
          const struct mcx_key_owner *owner, int64_t now)
{
    rec->key = km->key;
    rec->kind = km->kind;
    rec->key_id = km->key_id;
    rec->csb_id = km->csb_id;
    rec->ours = km->ours;
    rec->prf = km->prf;
    rec->rand_n = (uint8_t)km->rand_n;
    rec->state = MCX_KEY_ACTIVE;
    rec->t_unix_ms = km->t_unix_ms;
    rec->since_unix_ms = now;
    rec->expiry_unix_ms = km->params.expiry_unix * 1000;
    rec->sp = km->sp;
    memcpy(rec->rand, km->rand, km->rand_n);
    memcpy(rec->initiator, km->initiator, sizeof rec->initiator);
    memcpy(rec->responder, km->responder, sizeof rec->responder);
    rec->owner = *owner;
}

/* Is the key, or another of its ID and owner, there already? */
static mcx_err
found(void *arg, int64_t row, struct mcx_key_record *rec)
{
    const struct mcx_key_record *new = arg;

    (void)row;
    return rec && strcmp(rec->owner.impu, new->owner.impu) == 0 ? MCX_E_POLICY
                                                                : MCX_OK;
}

static mcx_err
put(struct mcx_store_db *db, struct mcx_key_record *rec)
{
    struct mcx_store_find same = { .by_id = true, .kind = rec->kind,
                                   .key_id = rec->key_id,
                                   .mc_id = rec->owner.mc_id };
    struct mcx_key_info info;
    int64_t row;

    MCX_TRY(store_key_known(db, rec));
    MCX_TRY(store_key_load(db, &same, found, rec));
    MCX_TRY(store_key_put(db, rec, &row));
    store_info_of(&info, rec);
    MCX_TRY(store_note_added(db, &info));
    MCX_TRY(store_log_key(db, MCX_STORE_STAGED, &info, MCX_END_NONE,
                          rec->since_unix_ms));
    return store_log_key(db, MCX_STORE_ACTIVE, &info, MCX_END_NONE,
                         rec->since_unix_ms);
}

mcx_err
mcx_store_add(struct mcx_store_db *db, struct mcx_key_msg *km,
              const struct mcx_key_owner *owner)
{
    MCX_SECRET(mcx_key_record, rec);
    const struct mcx_kind_info *kind = mcx_kind_info(km->kind);
    int64_t now = db->env->unix_ms(db->env->ctx);

    if (!kind || kind->carrier != MCX_CARRIER_HAND
        || !(STORE_KINDS & MCX_KIND_BIT(km->kind))
        || km->rand_n > MCX_RAND_MAX) {
        return MCX_E_ARG;
    }
    if (km->params.expiry_unix != 0 && km->params.expiry_unix <= now / 1000) {
        return MCX_E_EXPIRED;
    }
    record_of(&rec, km, owner, now);
    MCX_TRY(store_begin(db));
    MCX_TRY(store_end(db, put(db, &rec)));
    mcx_ssv_wipe(&km->key);
    return MCX_OK;
}
