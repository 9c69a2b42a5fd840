/* store_head.c -- the head of a store: one sealed value that says what the
 * rest of the file has to be.  See store.h.  store_db.c reads it when a
 * transaction begins and writes it before one commits; rows and log change it
 * in between.
 *
 * A sealed row proves that this store wrote it, not that it is still meant to
 * be there: who can write the file, without any key, can put an old row back,
 * take one out, or cut the end off the log.  So the head holds
 *
 *   sum   the sum modulo 2^256 of a keyed hash of each row, by table, number
 *         and tag (MSet-Add-Hash; it is sealed, so nobody sees it change)
 *   log   where the chain ends, where its oldest entry stands, and how far it
 *         lies in segment files
 *   past  which replay entries were let go, and which T are taken as seen
 *
 * and any part of the file that is older than the rest disagrees with it.
 * The file put back as a whole does not: see `mcx-keys log head`. */
#include <config.h>
#include <stdio.h>
#include "store.h"

enum { FORM = 1, MAC = MCX_SEAL_MAC_SIZE, HEAD = 256 };

/* ---- the sealed value -------------------------------------------------- */

static size_t
put(uint8_t *p, size_t at, uint64_t v)
{
    store_put_u64(p + at, v);
    return at + 8;
}

static size_t
put_mac(uint8_t *p, size_t at, const uint8_t mac[MAC])
{
    memcpy(p + at, mac, MAC);
    return at + MAC;
}

mcx_err
store_head_put(struct mcx_store_db *db)
{
    const struct store_head *h = &db->head;
    uint8_t aad[STORE_AAD], *p = db->plain;
    size_t at = 0;

    memset(p, 0, HEAD);
    at = put(p, at, FORM);
    at = put(p, at, h->seq);
    at = put(p, at, h->base_seq);
    at = put(p, at, h->file_seq);
    at = put(p, at, h->broken_seq);
    at = put(p, at, h->dropped_seq);
    at = put(p, at, h->files);
    at = put(p, at, (uint64_t)h->forgotten_ms);
    at = put(p, at, (uint64_t)h->floor_ms);
    at = put_mac(p, at, h->mac);
    at = put_mac(p, at, h->base_mac);
    at = put_mac(p, at, h->file_mac);
    (void)put_mac(p, at, h->sum);
    MCX_TRY(store_seal(db, store_aad(db, aad, 'm', 'h', 0,
                                     mcx_bytes("", 0)), HEAD));
    return store_meta_put(db, "head",
                          mcx_bytes(db->out, HEAD + MCX_SEAL_MORE));
}

static uint64_t
get(const uint8_t *p, size_t *at)
{
    *at += 8;
    return store_get_u64(p + *at - 8);
}

static void
get_mac(const uint8_t *p, size_t *at, uint8_t mac[MAC])
{
    memcpy(mac, p + *at, MAC);
    *at += MAC;
}

mcx_err
store_head_get(struct mcx_store_db *db)
{
    uint8_t aad[STORE_AAD], value[HEAD + MCX_SEAL_MORE];
    struct store_head *h = &db->head;
    const uint8_t *p = db->plain;
    size_t n = 0, at = 0;
    mcx_err err = store_meta_get(db, "head", value, sizeof value, &n);

    db->head_ok = db->head_dirty = false;
    if (err == MCX_OK && n == sizeof value) {
        err = mcx_unseal(db->plain, db->sealer,
                         store_aad(db, aad, 'm', 'h', 0, mcx_bytes("", 0)),
                         mcx_bytes(value, n));
    } else if (err == MCX_OK || err == MCX_E_NO_KEY
               || err == MCX_E_MALFORMED) {
        err = MCX_E_AUTH;
    }
    MCX_TRY(err);
    if (get(p, &at) != FORM) {
        return MCX_E_AUTH;
    }
    h->seq = get(p, &at);
    h->base_seq = get(p, &at);
    h->file_seq = get(p, &at);
    h->broken_seq = get(p, &at);
    h->dropped_seq = get(p, &at);
    h->files = get(p, &at);
    h->forgotten_ms = (int64_t)get(p, &at);
    h->floor_ms = (int64_t)get(p, &at);
    get_mac(p, &at, h->mac);
    get_mac(p, &at, h->base_mac);
    get_mac(p, &at, h->file_mac);
    get_mac(p, &at, h->sum);
    mcx_wipe(db->plain, HEAD);
    db->head_ok = true;
    return MCX_OK;
}

/* ---- the sum ----------------------------------------------------------- */

enum { TAG = MCX_SEAL_TAG_SIZE };

/* The last octets of a sealed column; one that is no sealed value gives
 * zeros. */
static void
tag_of(uint8_t out[TAG], sqlite3_stmt *stmt, int column)
{
    const uint8_t *p = sqlite3_column_blob(stmt, column);
    size_t n = (size_t)sqlite3_column_bytes(stmt, column);

    memset(out, 0, TAG);
    if (p && n >= TAG) {
        memcpy(out, p + n - TAG, TAG);
    }
}

/* Adds or subtracts, least significant octet first. */
static void
sum_step(uint8_t sum[MAC], const uint8_t item[MAC], bool add)
{
    unsigned carry = add ? 0 : 1;
    size_t i;

    for (i = 0; i < MAC; i++) {
        carry += (unsigned)sum[i] + (add ? item[i] : (uint8_t)~item[i]);
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static mcx_err
item_of(struct mcx_store_db *db, uint8_t item[MAC], char table, int64_t row,
        const uint8_t *tags, size_t n)
{
    uint8_t no[8];
    struct mcx_bytes parts[3];

    store_put_u64(no, (uint64_t)row);
    parts[0] = mcx_bytes(&table, 1);
    parts[1] = mcx_bytes(no, sizeof no);
    parts[2] = mcx_bytes(tags, n);
    return mcx_seal_mac(item, &db->keys->sum, parts, 3);
}

mcx_err
store_sum(struct mcx_store_db *db, char table, int64_t row,
          const uint8_t *tags, size_t n, bool add)
{
    uint8_t item[MAC];

    if (!db->head_ok) {
        return MCX_OK; /* the host makes a new one when it starts */
    }
    MCX_TRY(item_of(db, item, table, row, tags, n));
    sum_step(db->head.sum, item, add);
    db->head_dirty = true;
    return MCX_OK;
}

mcx_err
store_sum_cut(struct mcx_store_db *db, char table, int64_t row,
              uint8_t tags[2 * TAG])
{
    enum store_sql which = table == 'k'   ? SQL_KEY_TAGS
                           : table == 't' ? SQL_TOMB_TAG
                                          : SQL_REPLAY_TAG;
    sqlite3_stmt *stmt = store_stmt(db, which);
    size_t n = table == 'k' ? 2 * TAG : TAG;
    int rc;

    (void)sqlite3_bind_int64(stmt, 1, row);
    rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;
    if (rc == SQLITE_ROW) {
        tag_of(tags, stmt, 1);
        if (table == 'k') {
            tag_of(tags + TAG, stmt, 2);
        }
    }
    (void)sqlite3_reset(stmt);
    if (rc == SQLITE_DONE) {
        return MCX_E_NO_KEY;
    }
    MCX_TRY(rc == SQLITE_ROW ? MCX_OK : store_error(db, rc));
    return store_sum(db, table, row, tags, n, false);
}

/* Adds up one table, and counts its rows. */
static mcx_err
add_table(struct mcx_store_db *db, uint8_t sum[MAC], char table,
          enum store_sql which, uint64_t *rows)
{
    sqlite3_stmt *stmt = store_stmt(db, which);
    uint8_t tags[2 * TAG], item[MAC];
    mcx_err err = MCX_OK;
    int rc = SQLITE_DONE;

    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        tag_of(tags, stmt, 1);
        if (table == 'k') {
            tag_of(tags + TAG, stmt, 2);
        }
        err = item_of(db, item, table, sqlite3_column_int64(stmt, 0), tags,
                      table == 'k' ? 2 * TAG : TAG);
        sum_step(sum, item, true);
        ++*rows;
    }
    if (err == MCX_OK && rc != SQLITE_DONE) {
        err = store_error(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_sum_all(struct mcx_store_db *db, uint8_t sum[MAC], uint64_t *keys)
{
    uint64_t rows = 0;

    *keys = 0;
    memset(sum, 0, MAC);
    MCX_TRY(add_table(db, sum, 'k', SQL_KEY_TAGS_ALL, keys));
    MCX_TRY(add_table(db, sum, 't', SQL_TOMB_TAG_ALL, &rows));
    return add_table(db, sum, 'r', SQL_REPLAY_TAG_ALL, &rows);
}

/* ---- checking and mending ---------------------------------------------- */

/* Where the log would end if its rows were to be believed. */
static mcx_err
head_guess(struct mcx_store_db *db, struct store_head *h)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_LOG_LAST);
    int rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;

    memset(h, 0, sizeof *h);
    if (rc == SQLITE_ROW) {
        const void *mac = sqlite3_column_blob(stmt, 1);

        h->seq = (uint64_t)sqlite3_column_int64(stmt, 0);
        /* Files written before, if there are any, keep their names. */
        h->base_seq = h->file_seq =
            (uint64_t)sqlite3_column_int64(stmt, 2) - 1;
        if (mac && sqlite3_column_bytes(stmt, 1) == MAC) {
            memcpy(h->mac, mac, MAC);
        }
    }
    (void)sqlite3_reset(stmt);
    h->broken_seq = h->seq + 1;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? MCX_OK
                                                 : store_error(db, rc);
}

/* Are there entries after the end of the log?  Then the head was put back. */
static mcx_err
head_old(struct mcx_store_db *db, bool *old)
{
    struct store_head h;

    MCX_TRY(head_guess(db, &h));
    *old = h.seq > db->head.seq;
    return MCX_OK;
}

static mcx_err
check(struct mcx_store_db *db, struct mcx_text *text)
{
    uint8_t sum[MAC];
    uint64_t keys;
    bool old = false;
    mcx_err err = store_head_get(db);

    if (err == MCX_E_AUTH) {
        (void)snprintf(text->s, sizeof text->s, "the head is not signed by "
                       "this store");
    }
    MCX_TRY(err);
    MCX_TRY(head_old(db, &old));
    if (old) {
        (void)snprintf(text->s, sizeof text->s, "the head is older than the "
                       "audit log: it was put back");
        return MCX_E_AUTH;
    }
    MCX_TRY(store_epoch_check(db));
    MCX_TRY(store_sum_all(db, sum, &keys));
    if (!mcx_secret_eq(sum, db->head.sum, MAC)) {
        (void)snprintf(text->s, sizeof text->s, "rows were taken out, put in "
                       "or put back by somebody without the key");
        return MCX_E_AUTH;
    }
    return MCX_OK;
}

mcx_err
mcx_store_check(struct mcx_store_db *db, struct mcx_text *text)
{
    mcx_err err;

    text->s[0] = '\0';
    if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return MCX_E_IO;
    }
    err = check(db, text);
    (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

mcx_err
store_mend(struct mcx_store_db *db, int64_t floor_ms)
{
    uint64_t keys = 0;
    bool old = false;

    if (db->head_ok) {
        MCX_TRY(head_old(db, &old));
    }
    if (!db->head_ok || old) {
        MCX_TRY(head_guess(db, &db->head));
        db->head_ok = true;
    }
    if (store_epoch_check(db) != MCX_OK) {
        MCX_TRY(store_epoch_new(db, db->head.seq + 1));
    }
    MCX_TRY(store_sum_all(db, db->head.sum, &keys));
    MCX_TRY(store_run(db, store_stmt(db, SQL_KEY_CUT_ALL)));
    MCX_TRY(store_replay_cut_bad(db));
    db->wiped = true;
    if (floor_ms > db->head.floor_ms) {
        db->head.floor_ms = floor_ms;
    }
    MCX_TRY(store_log_plain(db, MCX_STORE_TAMPERED,
                            keys > UINT32_MAX ? UINT32_MAX
                                              : (uint32_t)keys));
    db->head_dirty = true;
    return store_sum_all(db, db->head.sum, &keys);
}
