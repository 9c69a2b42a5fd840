/* store_row.c -- rows of keys, of keys that ended, of replay entries.  See
 * store.h.  store.c calls it from the writer's thread, mcx-keys from its own;
 * transactions are the caller's.
 *
 * A key's row has two sealed columns.  `body` holds the octets and all that
 * never changes, and is sealed once; `state` is small and sealed again with
 * each change, so a change of state never touches octets.  Both are bound to
 * the store and the row, `body` to the hashes beside it as well. */
#include <config.h>
#include <stdlib.h>
#include "store.h"

enum { STATE_SIZE = 32, LOOKS = 3 * STORE_LOOK, REPLAY_SIZE = 40,
       TAG = MCX_SEAL_TAG_SIZE };

/* The tag of the 'n' octets that were sealed last. */
static const uint8_t *
tag(const struct mcx_store_db *db, size_t n)
{
    return db->out + n + MCX_SEAL_MORE - TAG;
}

/* ---- hashes by which rows are found ------------------------------------ */

static mcx_err
look(struct mcx_store_db *db, uint8_t out[STORE_LOOK], const char *what,
     unsigned kind, uint32_t key_id, const char *a, const char *b)
{
    uint8_t id[8], mac[MCX_SEAL_MAC_SIZE];
    struct mcx_bytes parts[4];

    store_put_u64(id, (uint64_t)kind << 32 | key_id);
    parts[0] = mcx_bytes_str(what);
    parts[1] = mcx_bytes(id, sizeof id);
    parts[2] = mcx_bytes_str(a);
    parts[3] = mcx_bytes_str(b);
    MCX_TRY(mcx_seal_mac(mac, &db->keys->look, parts, 4));
    memcpy(out, mac, STORE_LOOK);
    return MCX_OK;
}

static mcx_err
look_id(struct mcx_store_db *db, uint8_t out[STORE_LOOK], unsigned kind,
        uint32_t key_id)
{
    return look(db, out, "id", kind, key_id, "", "");
}

static mcx_err
look_text(struct mcx_store_db *db, uint8_t out[STORE_LOOK], const char *what,
          const char *text)
{
    return look(db, out, what, 0, 0, text, "");
}

static mcx_err
look_tomb(struct mcx_store_db *db, uint8_t out[STORE_LOOK], unsigned kind,
          uint32_t key_id, const char *impu, const char *mc_id)
{
    return look(db, out, "tomb", kind, key_id, impu, mc_id);
}

static mcx_err
next_row(struct mcx_store_db *db, enum store_sql which, int64_t *row)
{
    sqlite3_stmt *stmt = store_stmt(db, which);
    int rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;

    *row = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 1;
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? MCX_OK
                                                 : store_error(db, rc);
}

/* ---- keys -------------------------------------------------------------- */

static mcx_err
seal_state(struct mcx_store_db *db, int64_t row, enum mcx_key_state state,
           int64_t since_ms, int64_t wipe_ms)
{
    uint8_t aad[STORE_AAD];

    memset(db->plain, 0, STATE_SIZE);
    db->plain[0] = (uint8_t)state;
    store_put_u64(db->plain + 1, (uint64_t)since_ms);
    store_put_u64(db->plain + 9, (uint64_t)wipe_ms);
    return store_seal(db, store_aad(db, aad, 'k', 's', row, mcx_bytes("", 0)),
                      STATE_SIZE);
}

/* A value that SQLite copies: without memory the column would stay empty, and
 * the row be one that nobody can open. */
static mcx_err
copied(sqlite3_stmt *stmt, int column, const void *p, size_t n)
{
    return sqlite3_bind_blob(stmt, column, p, (int)n, SQLITE_TRANSIENT)
                   == SQLITE_OK
               ? MCX_OK
               : MCX_E_NOMEM;
}

/* Seals 'rec' as row 'row' and hands it to 'which', its first six values. */
static mcx_err
bind_key(struct mcx_store_db *db, const struct mcx_key_record *rec,
         int64_t row, enum store_sql which, uint8_t tags[2 * TAG],
         sqlite3_stmt **out)
{
    uint8_t looks[LOOKS] = { 0 }, aad[STORE_AAD];
    const struct mcx_key_owner *owner = &rec->owner;
    sqlite3_stmt *stmt;
    size_t n;

    MCX_TRY(look_id(db, looks, rec->kind, rec->key_id));
    if (owner->mc_id[0]) {
        MCX_TRY(look_text(db, looks + STORE_LOOK, "mc", owner->mc_id));
    }
    if (owner->impu[0]) {
        MCX_TRY(look_text(db, looks + 2 * STORE_LOOK, "impu", owner->impu));
    }
    *out = stmt = store_stmt(db, which);
    if (!stmt) {
        return MCX_E_NOMEM;
    }
    (void)sqlite3_bind_int64(stmt, 1, row);
    MCX_TRY(copied(stmt, 2, looks, STORE_LOOK));
    if (owner->mc_id[0]) {
        MCX_TRY(copied(stmt, 3, looks + STORE_LOOK, STORE_LOOK));
    }
    if (owner->impu[0]) {
        MCX_TRY(copied(stmt, 4, looks + 2 * STORE_LOOK, STORE_LOOK));
    }
    n = store_pack_key(db->plain, rec);
    MCX_TRY(store_seal(db, store_aad(db, aad, 'k', 'b', row,
                                     mcx_bytes(looks, LOOKS)), n));
    MCX_TRY(copied(stmt, 5, db->out, n + MCX_SEAL_MORE));
    memcpy(tags, tag(db, n), TAG);
    MCX_TRY(seal_state(db, row, rec->state, rec->since_unix_ms,
                       rec->wipe_unix_ms));
    memcpy(tags + TAG, tag(db, STATE_SIZE), TAG);
    (void)sqlite3_bind_blob(stmt, 6, db->out, STATE_SIZE + MCX_SEAL_MORE,
                            SQLITE_STATIC);
    return MCX_OK;
}

mcx_err
store_key_reseal(struct mcx_store_db *db, int64_t row,
                 const struct mcx_key_record *rec)
{
    uint8_t tags[2 * TAG];
    sqlite3_stmt *stmt;

    MCX_TRY(bind_key(db, rec, row, SQL_KEY_RESEAL, tags, &stmt));
    return store_run(db, stmt);
}

mcx_err
store_key_put(struct mcx_store_db *db, const struct mcx_key_record *rec,
              int64_t *row)
{
    uint8_t tags[2 * TAG];
    sqlite3_stmt *stmt;

    MCX_TRY(next_row(db, SQL_KEY_NEXT, row));
    MCX_TRY(bind_key(db, rec, *row, SQL_KEY_PUT, tags, &stmt));
    if (db->clear_ids) {
        (void)sqlite3_bind_int64(stmt, 7, (int64_t)rec->kind);
        (void)sqlite3_bind_int64(stmt, 8, (int64_t)rec->key_id);
        (void)sqlite3_bind_text(stmt, 9, mcx_key_state_word(rec->state), -1,
                                SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 10, rec->since_unix_ms);
    }
    MCX_TRY(store_run(db, stmt));
    return store_sum(db, 'k', *row, tags, sizeof tags, true);
}

mcx_err
store_key_state(struct mcx_store_db *db, int64_t row,
                enum mcx_key_state state, int64_t since_ms, int64_t wipe_ms)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_KEY_STATE);
    uint8_t tags[2 * TAG];
    mcx_err err = store_sum_cut(db, 'k', row, tags);

    if (err == MCX_E_NO_KEY) {
        return MCX_OK; /* another process took it out */
    }
    MCX_TRY(err);
    MCX_TRY(seal_state(db, row, state, since_ms, wipe_ms));
    (void)sqlite3_bind_int64(stmt, 1, row);
    (void)sqlite3_bind_blob(stmt, 2, db->out, STATE_SIZE + MCX_SEAL_MORE,
                            SQLITE_STATIC);
    if (db->clear_ids) {
        (void)sqlite3_bind_text(stmt, 3, mcx_key_state_word(state), -1,
                                SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 4, since_ms);
    }
    memcpy(tags + TAG, tag(db, STATE_SIZE), TAG);
    MCX_TRY(store_run(db, stmt));
    return store_sum(db, 'k', row, tags, sizeof tags, true);
}

/* Seals a note as row 'seq'; gives the hash by which it is found. */
static mcx_err
seal_tomb(struct mcx_store_db *db, int64_t seq,
          const struct mcx_store_event *tomb, uint8_t key[STORE_LOOK],
          size_t *n)
{
    uint8_t aad[STORE_AAD];

    MCX_TRY(look_tomb(db, key, tomb->kind, tomb->key_id, tomb->impu,
                      tomb->mc_id));
    *n = store_pack_event(db->plain, tomb);
    return store_seal(db, store_aad(db, aad, 't', 's', seq,
                                    mcx_bytes(key, STORE_LOOK)), *n);
}

mcx_err
store_tomb_reseal(struct mcx_store_db *db, int64_t seq,
                  const struct mcx_store_event *tomb)
{
    uint8_t key[STORE_LOOK];
    sqlite3_stmt *stmt;
    size_t n;

    MCX_TRY(seal_tomb(db, seq, tomb, key, &n));
    stmt = store_stmt(db, SQL_TOMB_RESEAL);
    (void)sqlite3_bind_int64(stmt, 1, seq);
    (void)sqlite3_bind_blob(stmt, 2, key, sizeof key, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, db->out, (int)(n + MCX_SEAL_MORE),
                            SQLITE_STATIC);
    return store_run(db, stmt);
}

/* Leaves a note that a key ended, or came (MCX_END_NONE). */
static mcx_err
tomb_put(struct mcx_store_db *db, const struct mcx_key_info *info,
         enum mcx_key_end end)
{
    static const struct mcx_store_event none;
    uint8_t key[STORE_LOOK];
    struct mcx_store_event tomb = none;
    sqlite3_stmt *stmt;
    int64_t seq;
    size_t n;

    MCX_TRY(next_row(db, SQL_TOMB_NEXT, &seq));
    tomb.unix_ms = db->env->unix_ms(db->env->ctx);
    tomb.kind = info->kind;
    tomb.key_id = info->key_id;
    tomb.end = end;
    memcpy(tomb.impu, info->owner.impu, sizeof tomb.impu);
    memcpy(tomb.mc_id, info->owner.mc_id, sizeof tomb.mc_id);
    MCX_TRY(seal_tomb(db, seq, &tomb, key, &n));
    stmt = store_stmt(db, SQL_TOMB_PUT);
    (void)sqlite3_bind_int64(stmt, 1, seq);
    (void)sqlite3_bind_blob(stmt, 2, key, sizeof key, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, db->out, (int)(n + MCX_SEAL_MORE),
                            SQLITE_STATIC);
    MCX_TRY(store_run(db, stmt));
    return store_sum(db, 't', seq, tag(db, n), TAG, true);
}

mcx_err
store_note_added(struct mcx_store_db *db, const struct mcx_key_info *info)
{
    return tomb_put(db, info, MCX_END_NONE);
}

static mcx_err
cut_row(struct mcx_store_db *db, enum store_sql which, int64_t row)
{
    sqlite3_stmt *stmt = store_stmt(db, which);

    (void)sqlite3_bind_int64(stmt, 1, row);
    return store_run(db, stmt);
}

mcx_err
store_key_cut(struct mcx_store_db *db, int64_t row,
              const struct mcx_key_info *info, enum mcx_key_end end,
              bool tell)
{
    uint8_t tags[2 * TAG];
    mcx_err err = store_sum_cut(db, 'k', row, tags);

    if (err != MCX_E_NO_KEY) {
        MCX_TRY(err);
        MCX_TRY(cut_row(db, SQL_KEY_CUT, row));
        db->wiped = true;
    }
    return tell || end == MCX_END_REVOKED || end == MCX_END_EXPIRED
               ? tomb_put(db, info, end)
               : MCX_OK;
}

/* The row that 'stmt' stands on. */
static mcx_err
row_open(struct mcx_store_db *db, sqlite3_stmt *stmt,
         struct mcx_key_record *rec)
{
    uint8_t looks[LOOKS] = { 0 }, aad[STORE_AAD];
    int64_t row = sqlite3_column_int64(stmt, 0);
    bool ok;
    size_t n;
    int i;

    for (i = 0; i < 3; i++) {
        const void *p = sqlite3_column_blob(stmt, 1 + i);

        if (p && sqlite3_column_bytes(stmt, 1 + i) == STORE_LOOK) {
            memcpy(looks + i * STORE_LOOK, p, STORE_LOOK);
        }
    }
    MCX_TRY(store_unseal(db, store_aad(db, aad, 'k', 'b', row,
                                       mcx_bytes(looks, LOOKS)),
                         stmt, 4, &n));
    ok = store_unpack_key(rec, mcx_bytes(db->plain, n));
    mcx_wipe(db->plain, n);
    MCX_TRY(ok ? MCX_OK : MCX_E_MALFORMED);
    MCX_TRY(store_unseal(db, store_aad(db, aad, 'k', 's', row,
                                       mcx_bytes("", 0)),
                         stmt, 5, &n));
    if (n != STATE_SIZE || db->plain[0] >= MCX_KEY_WIPED) {
        return MCX_E_MALFORMED;
    }
    rec->state = (enum mcx_key_state)db->plain[0];
    rec->since_unix_ms = (int64_t)store_get_u64(db->plain + 1);
    rec->wipe_unix_ms = (int64_t)store_get_u64(db->plain + 9);
    return MCX_OK;
}

static bool
wanted(const struct mcx_store_find *find, const struct mcx_key_record *rec)
{
    return (!find->by_id || (rec->kind == find->kind
                             && rec->key_id == find->key_id))
           && (!find->impu || strcmp(rec->owner.impu, find->impu) == 0)
           && (!find->mc_id || strcmp(rec->owner.mc_id, find->mc_id) == 0);
}

/* The statement that finds the fewest rows. */
static mcx_err
statement(struct mcx_store_db *db, const struct mcx_store_find *find,
          uint8_t key[STORE_LOOK], sqlite3_stmt **stmt)
{
    enum store_sql which = SQL_KEY_ALL;

    if (find->by_id) {
        which = SQL_KEY_ID;
        MCX_TRY(look_id(db, key, find->kind, find->key_id));
    } else if (find->mc_id && *find->mc_id) {
        which = SQL_KEY_MC;
        MCX_TRY(look_text(db, key, "mc", find->mc_id));
    } else if (find->impu && *find->impu) {
        which = SQL_KEY_IMPU;
        MCX_TRY(look_text(db, key, "impu", find->impu));
    }
    *stmt = store_stmt(db, which);
    if (which != SQL_KEY_ALL) {
        (void)sqlite3_bind_blob(*stmt, 1, key, STORE_LOOK, SQLITE_STATIC);
    }
    return *stmt ? MCX_OK : MCX_E_NOMEM;
}

mcx_err
store_key_load(struct mcx_store_db *db, const struct mcx_store_find *find,
               mcx_err (*each)(void *arg, int64_t row,
                               struct mcx_key_record *rec),
               void *arg)
{
    MCX_SECRET(mcx_key_record, rec);
    uint8_t key[STORE_LOOK];
    sqlite3_stmt *stmt;
    mcx_err err = MCX_OK;
    int rc;

    MCX_TRY(statement(db, find, key, &stmt));
    while (err == MCX_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        int64_t row = sqlite3_column_int64(stmt, 0);

        if (rc != SQLITE_ROW) {
            err = store_error(db, rc);
        } else if (row_open(db, stmt, &rec) != MCX_OK) {
            err = each(arg, row, NULL);
        } else if (wanted(find, &rec)) {
            err = each(arg, row, &rec);
        }
    }
    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_key_known(struct mcx_store_db *db, const struct mcx_key_record *rec)
{
    uint8_t key[STORE_LOOK], aad[STORE_AAD];
    struct mcx_store_event tomb;
    sqlite3_stmt *stmt;
    mcx_err err = MCX_OK;
    size_t n;
    int rc;

    MCX_TRY(look_tomb(db, key, rec->kind, rec->key_id, rec->owner.impu,
                      rec->owner.mc_id));
    stmt = store_stmt(db, SQL_TOMB_HAS);
    (void)sqlite3_bind_blob(stmt, 1, key, sizeof key, SQLITE_STATIC);
    rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;
    for (; rc == SQLITE_ROW && err == MCX_OK; rc = sqlite3_step(stmt)) {
        int64_t seq = sqlite3_column_int64(stmt, 0);

        /* One that does not open was put there: believe the worse. */
        if (store_unseal(db, store_aad(db, aad, 't', 's', seq,
                                       mcx_bytes(key, sizeof key)),
                         stmt, 2, &n) != MCX_OK
            || !store_unpack_event(&tomb, mcx_bytes(db->plain, n))
            || tomb.end == MCX_END_REVOKED || tomb.end == MCX_END_EXPIRED) {
            err = MCX_E_EXPIRED;
        }
    }
    if (err == MCX_OK && rc != SQLITE_DONE) {
        err = store_error(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_tombs(struct mcx_store_db *db, int64_t *seq,
            void (*each)(void *arg, int64_t seq,
                         const struct mcx_store_event *tomb),
            void *arg)
{
    static const struct mcx_store_event none;
    sqlite3_stmt *stmt = store_stmt(db, SQL_TOMB_AFTER);
    uint8_t aad[STORE_AAD];
    mcx_err err = MCX_OK;
    int rc;

    (void)sqlite3_bind_int64(stmt, 1, *seq);
    while ((rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        struct mcx_store_event tomb = none;
        const void *key = sqlite3_column_blob(stmt, 1);
        size_t n = (size_t)sqlite3_column_bytes(stmt, 1);

        *seq = sqlite3_column_int64(stmt, 0);
        if (key && n == STORE_LOOK
            && store_unseal(db, store_aad(db, aad, 't', 's', *seq,
                                          mcx_bytes(key, n)),
                            stmt, 2, &n) == MCX_OK
            && store_unpack_event(&tomb, mcx_bytes(db->plain, n))) {
            each(arg, *seq, &tomb);
        }
    }
    if (rc != SQLITE_DONE) {
        err = store_error(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_tomb_cut(struct mcx_store_db *db, int64_t seq)
{
    uint8_t tags[2 * TAG];
    mcx_err err = store_sum_cut(db, 't', seq, tags);

    return err == MCX_OK         ? cut_row(db, SQL_TOMB_CUT, seq)
           : err == MCX_E_NO_KEY ? MCX_OK
                                 : err;
}

mcx_err
store_tomb_count(struct mcx_store_db *db, uint64_t *n)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_TOMB_COUNT);
    int rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;

    *n = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_ROW ? MCX_OK : store_error(db, rc);
}

/* ---- replay entries ---------------------------------------------------- */

mcx_err
store_replay_put(struct mcx_store_db *db, const struct store_replay *entries,
                 size_t n, int64_t *row)
{
    uint8_t aad[STORE_AAD];
    sqlite3_stmt *stmt;
    size_t i;

    if (n > STORE_REPLAY_MAX) {
        return MCX_E_ARG;
    }
    MCX_TRY(next_row(db, SQL_REPLAY_NEXT, row));
    for (i = 0; i < n; i++) {
        uint8_t *p = db->plain + i * REPLAY_SIZE;

        memcpy(p, entries[i].digest, 32);
        store_put_u64(p + 32, (uint64_t)entries[i].expires_ms);
    }
    MCX_TRY(store_seal(db, store_aad(db, aad, 'r', 's', *row,
                                     mcx_bytes("", 0)), n * REPLAY_SIZE));
    stmt = store_stmt(db, SQL_REPLAY_PUT);
    (void)sqlite3_bind_int64(stmt, 1, *row);
    (void)sqlite3_bind_blob(stmt, 2, db->out,
                            (int)(n * REPLAY_SIZE + MCX_SEAL_MORE),
                            SQLITE_STATIC);
    MCX_TRY(store_run(db, stmt));
    return store_sum(db, 'r', *row, tag(db, n * REPLAY_SIZE), TAG, true);
}

mcx_err
store_replay_load(struct mcx_store_db *db,
                  void (*each)(void *arg, int64_t row,
                               const struct store_replay *entry),
                  void *arg)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_REPLAY_ALL);
    uint8_t aad[STORE_AAD];
    int rc;

    while ((rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(stmt, 0);
        size_t n = 0, i;

        if (store_unseal(db, store_aad(db, aad, 'r', 's', row,
                                       mcx_bytes("", 0)),
                         stmt, 1, &n) != MCX_OK) {
            each(arg, row, NULL);
            continue;
        }
        for (i = 0; (i + 1) * REPLAY_SIZE <= n; i++) {
            struct store_replay entry;

            memcpy(entry.digest, db->plain + i * REPLAY_SIZE, 32);
            entry.expires_ms =
                (int64_t)store_get_u64(db->plain + i * REPLAY_SIZE + 32);
            each(arg, row, &entry);
        }
    }
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? MCX_OK : store_error(db, rc);
}

mcx_err
store_replay_cut(struct mcx_store_db *db, int64_t row)
{
    uint8_t tags[2 * TAG];
    mcx_err err = store_sum_cut(db, 'r', row, tags);

    return err == MCX_OK         ? cut_row(db, SQL_REPLAY_CUT, row)
           : err == MCX_E_NO_KEY ? MCX_OK
                                 : err;
}

mcx_err
store_replay_cut_bad(struct mcx_store_db *db)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_REPLAY_ALL);
    uint8_t aad[STORE_AAD];
    mcx_err err = MCX_OK;
    int rc = SQLITE_DONE;

    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(stmt, 0);
        size_t n;

        if (store_unseal(db, store_aad(db, aad, 'r', 's', row,
                                       mcx_bytes("", 0)),
                         stmt, 1, &n) != MCX_OK) {
            err = cut_row(db, SQL_REPLAY_CUT, row);
        }
    }
    (void)sqlite3_reset(stmt);
    return err == MCX_OK && rc != SQLITE_DONE ? store_error(db, rc) : err;
}

/* ---- for people -------------------------------------------------------- */

void
store_info_of(struct mcx_key_info *info, const struct mcx_key_record *rec)
{
    memset(info, 0, sizeof *info);
    info->kind = rec->kind;
    info->key_id = rec->key_id;
    info->csb_id = rec->csb_id;
    info->state = rec->state;
    info->ours = rec->ours;
    memcpy(info->initiator, rec->initiator, sizeof info->initiator);
    memcpy(info->responder, rec->responder, sizeof info->responder);
    info->owner = rec->owner;
    info->t_unix_ms = rec->t_unix_ms;
    info->since_unix_ms = rec->since_unix_ms;
    info->activation_unix_ms = rec->activation_unix_ms;
    info->expiry_unix_ms = rec->expiry_unix_ms;
    info->sp = rec->sp;
}

struct each {
    void (*fn)(void *arg, const struct mcx_store_key *key);
    void *arg;
    size_t bad;
};

static mcx_err
each_row(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct each *e = arg;
    struct mcx_store_key key = { .row = row };

    if (rec) {
        store_info_of(&key.info, rec);
        key.wipe_unix_ms = rec->wipe_unix_ms;
        e->fn(e->arg, &key);
    } else {
        e->bad++;
    }
    return MCX_OK;
}

mcx_err
mcx_store_each(struct mcx_store_db *db, const struct mcx_store_find *find,
               void (*each)(void *arg, const struct mcx_store_key *key),
               void *arg, size_t *bad)
{
    struct each e = { each, arg, 0 };
    mcx_err err = store_key_load(db, find, each_row, &e);

    if (bad) {
        *bad = e.bad;
    }
    return err;
}

/* Rows are collected first: a row that is taken out while a statement stands
 * on it may be seen or not. */
enum { END_AT_ONCE = 256 };
struct ending {
    size_t n;
    int64_t row[END_AT_ONCE];
    struct mcx_key_info *info;
};

static mcx_err
end_row(void *arg, int64_t row, struct mcx_key_record *rec)
{
    struct ending *e = arg;

    if (e->n == END_AT_ONCE) {
        return MCX_E_TOOBIG; /* the rest with the next round */
    }
    if (rec) {
        e->row[e->n] = row;
        store_info_of(&e->info[e->n], rec);
        e->n++;
    }
    return MCX_OK;
}

/* One round; '*n' 0: nothing is left. */
static mcx_err
end_some(struct mcx_store_db *db, const struct mcx_store_find *find,
         enum mcx_key_end end, struct ending *e)
{
    int64_t now = db->env->unix_ms(db->env->ctx);
    size_t i;
    mcx_err err;

    e->n = 0;
    err = store_key_load(db, find, end_row, e);
    err = err == MCX_E_TOOBIG ? MCX_OK : err;
    for (i = 0; i < e->n && err == MCX_OK; i++) {
        err = store_key_cut(db, e->row[i], &e->info[i], end, true);
        if (err == MCX_OK) {
            err = store_log_key(db, MCX_STORE_WIPED, &e->info[i], end, now);
        }
    }
    return err;
}

mcx_err
mcx_store_end(struct mcx_store_db *db, const struct mcx_store_find *find,
              enum mcx_key_end end, size_t *n)
{
    struct ending e = { .info = NULL };
    mcx_err err;

    *n = 0;
    e.info = calloc(END_AT_ONCE, sizeof *e.info);
    if (!e.info) {
        return MCX_E_NOMEM;
    }
    do {
        err = store_begin(db);
        if (err == MCX_OK) {
            err = store_end(db, end_some(db, find, end, &e));
        }
        *n += err == MCX_OK ? e.n : 0;
    } while (err == MCX_OK && e.n > 0);
    free(e.info);
    if (*n > 0) {
        db->wiped = !store_checkpoint(db);
    }
    return err;
}
