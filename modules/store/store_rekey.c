/* store_rekey.c -- a store under another key-encryption key.  See
 * mcx_store.h.  mcx-keys calls it.
 *
 * Wrapping the store's keys anew would do for a lost passphrase; it would not
 * do for one that somebody else has, with an older copy of the file and so
 * with the keys that lie in it.  So the store gets new keys as well, every
 * row is sealed again, and the audit log goes on under keys of a new epoch;
 * those of the epochs before stay, for what was written with them.
 *
 * All of it is one transaction: at any moment the file has all of the old or
 * all of the new.  Nobody else may have the file open, for he would go on
 * with the old keys; SQLite's exclusive locking mode sees to that. */
#include <config.h>
#include "store.h"

/* The other set of keys. */
struct ring {
    struct store_keys *keys;
    struct mcx_sealer *sealer;
};

static void
turn(struct mcx_store_db *db, struct ring *ring)
{
    struct ring was = { db->keys, db->sealer };

    db->keys = ring->keys;
    db->sealer = ring->sealer;
    *ring = was;
}

struct sealing {
    struct mcx_store_db *db;
    struct ring *fresh;
    mcx_err err;
    uint64_t tombs;
};

static mcx_err
key_again(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct sealing *s = arg;
    mcx_err err;

    if (!rec) {
        return MCX_E_AUTH;
    }
    turn(s->db, s->fresh);
    err = store_key_reseal(s->db, row, rec);
    turn(s->db, s->fresh);
    return err;
}

static void
tomb_again(void *arg, int64_t seq, const struct mcx_store_event *tomb)
{
    struct sealing *s = arg;

    if (s->err == MCX_OK) {
        turn(s->db, s->fresh);
        s->err = store_tomb_reseal(s->db, seq, tomb);
        s->tombs++;
        turn(s->db, s->fresh);
    }
}

/* Tables whose sealed column is bound to its number and nothing else. */
static mcx_err
plain_again(struct mcx_store_db *db, struct ring *fresh, char table,
            enum store_sql all, enum store_sql put)
{
    sqlite3_stmt *stmt = store_stmt(db, all);
    uint8_t aad[STORE_AAD];
    mcx_err err = MCX_OK;
    int rc = SQLITE_DONE;

    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(stmt, 0);
        struct mcx_bytes bound = store_aad(db, aad, table, 's', row,
                                           mcx_bytes("", 0));
        sqlite3_stmt *to = store_stmt(db, put);
        size_t n = 0;

        err = to ? store_unseal(db, bound, stmt, 1, &n) : MCX_E_NOMEM;
        if (err == MCX_OK) {
            turn(db, fresh);
            err = store_seal(db, bound, n);
            turn(db, fresh);
        }
        if (err == MCX_OK) {
            (void)sqlite3_bind_int64(to, 1, row);
            (void)sqlite3_bind_blob(to, 2, db->out,
                                    (int)(n + MCX_SEAL_MORE), SQLITE_STATIC);
            err = store_run(db, to);
        }
    }
    (void)sqlite3_reset(stmt);
    return err == MCX_OK && rc != SQLITE_DONE ? store_error(db, rc) : err;
}

static mcx_err
rows_again(struct mcx_store_db *db, struct ring *fresh)
{
    static const struct mcx_store_find all;
    struct sealing s = { db, fresh, MCX_OK, 0 };
    uint64_t tombs = 0;
    int64_t seq = 0;

    MCX_TRY(store_key_load(db, &all, key_again, &s));
    MCX_TRY(store_tombs(db, &seq, tomb_again, &s));
    MCX_TRY(s.err);
    /* One that does not open would not be found under its new hash, and the
     * key that it forbids could come again. */
    MCX_TRY(store_tomb_count(db, &tombs));
    MCX_TRY(tombs == s.tombs ? MCX_OK : MCX_E_AUTH);
    MCX_TRY(plain_again(db, fresh, 'r', SQL_REPLAY_ALL, SQL_REPLAY_RESEAL));
    return plain_again(db, fresh, 'e', SQL_EPOCH_ALL, SQL_EPOCH_RESEAL);
}

/* Inside the transaction.  On success 'db' has the new keys. */
static mcx_err
rekey(struct mcx_store_db *db, const struct mcx_store_config *to,
      struct ring *fresh, struct mcx_text *text)
{
    uint64_t keys;

    MCX_TRY(rows_again(db, fresh));
    turn(db, fresh);
    MCX_TRY(store_keys_put(db, to, text));
    MCX_TRY(store_sum_all(db, db->head.sum, &keys));
    MCX_TRY(store_epoch_new(db, db->head.seq + 1));
    db->head_dirty = true;
    return store_log_plain(db, MCX_STORE_REKEYED,
                           keys > UINT32_MAX ? UINT32_MAX : (uint32_t)keys);
}

mcx_err
mcx_store_rekey(struct mcx_store_db *db, const struct mcx_store_config *to,
                struct mcx_text *text)
{
    struct ring fresh = { NULL, NULL }, before = { db->keys, db->sealer };
    struct mcx_store_config with = *to;
    mcx_err err;

    text->s[0] = '\0';
    with.env = db->env;
    MCX_TRY(store_one_source(&with, db->path, text));
    if (!db->exclusive) {
        return MCX_E_STATE;
    }
    MCX_TRY(mcx_store_check(db, text));
    fresh.keys = mcx_guard_new(sizeof *fresh.keys);
    err = fresh.keys ? db->env->random(db->env->ctx, fresh.keys,
                                       sizeof *fresh.keys)
                     : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = mcx_sealer_new(&fresh.sealer, &fresh.keys->data);
    }
    if (err == MCX_OK) {
        err = store_begin(db);
    }
    if (err == MCX_OK) {
        err = store_end(db, rekey(db, &with, &fresh, text));
    }
    /* The set that is not the store's any more, or never was. */
    if (err != MCX_OK && db->keys != before.keys) {
        turn(db, &fresh);
    }
    store_epoch_forget(db);
    mcx_sealer_free(fresh.sealer);
    mcx_guard_free(fresh.keys);
    if (err == MCX_OK) {
        db->wiped = !store_checkpoint(db);
    }
    return err;
}
