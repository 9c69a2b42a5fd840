/* store_log.c -- the audit log: appended to, chained, signed.  See
 * mcx_store.h.  store.c and mcx-keys call it; what is worth an entry is
 * theirs to know (TS 33.180 clause 10, TR 33.879 key issue 4).
 *
 *   mac 0 = HMAC("start" | store)
 *   mac n = HMAC("entry" | mac n-1 | n | sealed entry n)
 *
 * under the key of the epoch that entry n belongs to: each change of the
 * key-encryption key begins one, and its first entry is chained to the last
 * of the epoch before.  The sealed head of the store says where the chain
 * ends (store_head.c).  An entry that is changed, taken out, put in or moved
 * breaks the chain; one taken from the end, or an end put back to an older
 * one, disagrees with the head.  An older copy of the whole store is found by
 * who noted a later head elsewhere (`mcx-keys log head`).
 *
 * The newest entries are rows; older ones lie in segment files, where the
 * chain goes on without a break (store_segment.c). */
#include <config.h>
#include <stdio.h>
#include "store.h"

enum { MAC = MCX_SEAL_MAC_SIZE };

/* ---- epochs ------------------------------------------------------------ */

void
store_epoch_forget(struct mcx_store_db *db)
{
    mcx_sealer_free(db->log_sealer);
    db->log_sealer = NULL;
    db->log_from = db->log_to = 0;
}

static mcx_err
epoch_put(struct mcx_store_db *db, uint64_t first)
{
    uint8_t aad[STORE_AAD];
    sqlite3_stmt *stmt;

    memcpy(db->plain, db->log, sizeof *db->log);
    MCX_TRY(store_seal(db, store_aad(db, aad, 'e', 's', (int64_t)first,
                                     mcx_bytes("", 0)), sizeof *db->log));
    stmt = store_stmt(db, SQL_EPOCH_PUT);
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)first);
    (void)sqlite3_bind_blob(stmt, 2, db->out,
                            sizeof *db->log + MCX_SEAL_MORE, SQLITE_STATIC);
    return store_run(db, stmt);
}

mcx_err
store_epoch_new(struct mcx_store_db *db, uint64_t first)
{
    store_epoch_forget(db);
    MCX_TRY(db->env->random(db->env->ctx, db->log, sizeof *db->log));
    MCX_TRY(epoch_put(db, first));
    MCX_TRY(mcx_sealer_new(&db->log_sealer, &db->log->seal));
    db->log_from = first;
    db->log_to = UINT64_MAX;
    return MCX_OK;
}

/* Makes the keys of entry 'seq' those of 'db'. */
static mcx_err
epoch_use(struct mcx_store_db *db, uint64_t seq)
{
    sqlite3_stmt *stmt;
    uint8_t aad[STORE_AAD];
    uint64_t from = 0, to = UINT64_MAX;
    mcx_err err = MCX_E_AUTH;
    size_t n = 0;
    int rc;

    if (db->log_sealer && seq >= db->log_from && seq < db->log_to) {
        return MCX_OK;
    }
    store_epoch_forget(db);
    stmt = store_stmt(db, SQL_EPOCH_ALL);
    while ((rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(stmt, 0);

        if ((uint64_t)first > seq) {
            to = (uint64_t)first;
            break;
        }
        from = (uint64_t)first;
        err = store_unseal(db, store_aad(db, aad, 'e', 's', first,
                                         mcx_bytes("", 0)), stmt, 1, &n);
        if (err == MCX_OK && n == sizeof *db->log) {
            memcpy(db->log, db->plain, n);
        }
        mcx_wipe(db->plain, sizeof *db->log);
    }
    (void)sqlite3_reset(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return store_error(db, rc);
    }
    MCX_TRY(err == MCX_OK && n != sizeof *db->log ? MCX_E_AUTH : err);
    MCX_TRY(mcx_sealer_new(&db->log_sealer, &db->log->seal));
    db->log_from = from;
    db->log_to = to;
    return MCX_OK;
}

mcx_err
store_epoch_check(struct mcx_store_db *db)
{
    return epoch_use(db, db->head.seq + 1);
}

/* ---- the chain --------------------------------------------------------- */

static mcx_err
chain(struct mcx_store_db *db, uint8_t mac[MAC], const char *what,
      uint64_t seq, struct mcx_bytes sealed)
{
    uint8_t no[8], before[MAC];
    struct mcx_bytes parts[4];

    store_put_u64(no, seq);
    memcpy(before, mac, MAC);
    parts[0] = mcx_bytes_str(what);
    parts[1] = mcx_bytes(before, MAC);
    parts[2] = mcx_bytes(no, sizeof no);
    parts[3] = sealed;
    return mcx_seal_mac(mac, &db->log->mac, parts, 4);
}

static mcx_err
first(struct mcx_store_db *db, uint8_t mac[MAC])
{
    memset(mac, 0, MAC);
    MCX_TRY(epoch_use(db, 1));
    return chain(db, mac, "start", 0, mcx_bytes(db->uid, STORE_UID));
}

mcx_err
store_log_put(struct mcx_store_db *db, struct mcx_store_event *event)
{
    struct store_head *h = &db->head;
    uint8_t aad[STORE_AAD], mac[MAC];
    uint64_t seq = h->seq + 1;
    struct mcx_bytes bound;
    sqlite3_stmt *stmt;
    mcx_err err;
    size_t n;

    if (db->no_log) {
        return MCX_OK;
    }
    if (!db->head_ok) {
        /* Somebody tampered with the head.  What is asked for is done all the
         * same; the host makes a new head when it starts, and says so. */
        mcx_log(db->env, MCX_AREA_KEYS, 1,
                "store: the head is not signed by this store; nothing is "
                "added to the audit log; run mcx-keys log verify");
        return MCX_OK;
    }
    MCX_TRY(epoch_use(db, seq));
    event->seq = seq;
    memcpy(event->by, db->by, sizeof event->by);
    n = store_pack_event(db->plain, event);
    bound = store_aad(db, aad, 'l', 's', (int64_t)seq, mcx_bytes("", 0));
    err = mcx_seal(db->out, db->log_sealer, db->env, NULL, bound,
                   mcx_bytes(db->plain, n));
    mcx_wipe(db->plain, n);
    MCX_TRY(err);
    memcpy(mac, h->mac, MAC);
    MCX_TRY(chain(db, mac, "entry", seq,
                  mcx_bytes(db->out, n + MCX_SEAL_MORE)));
    stmt = store_stmt(db, SQL_LOG_PUT);
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)seq);
    (void)sqlite3_bind_blob(stmt, 2, db->out, (int)(n + MCX_SEAL_MORE),
                            SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, mac, MAC, SQLITE_STATIC);
    MCX_TRY(store_run(db, stmt));
    memcpy(h->mac, mac, MAC);
    h->seq = seq;
    db->head_dirty = true;
    return MCX_OK;
}

mcx_err
store_log_key(struct mcx_store_db *db, enum mcx_store_what what,
              const struct mcx_key_info *info, enum mcx_key_end end,
              int64_t unix_ms)
{
    static const struct mcx_store_event none;
    struct mcx_store_event event = none;

    event.unix_ms = unix_ms;
    event.what = what;
    event.kind = info->kind;
    event.key_id = info->key_id;
    event.end = end;
    event.ours = info->ours;
    memcpy(event.initiator, info->initiator, sizeof event.initiator);
    memcpy(event.responder, info->responder, sizeof event.responder);
    memcpy(event.impu, info->owner.impu, sizeof event.impu);
    memcpy(event.mc_id, info->owner.mc_id, sizeof event.mc_id);
    return store_log_put(db, &event);
}

mcx_err
store_log_plain(struct mcx_store_db *db, enum mcx_store_what what,
                uint32_t count)
{
    static const struct mcx_store_event none;
    struct mcx_store_event event = none;

    event.unix_ms = db->env->unix_ms(db->env->ctx);
    event.what = what;
    event.count = count;
    return store_log_put(db, &event);
}

mcx_err
store_log_start(struct mcx_store_db *db)
{
    memset(&db->head, 0, sizeof db->head);
    MCX_TRY(store_epoch_new(db, 1));
    MCX_TRY(first(db, db->head.mac));
    db->head_ok = db->head_dirty = true;
    return store_log_plain(db, MCX_STORE_CREATED, 0);
}

mcx_err
mcx_store_log_add(struct mcx_store_db *db, enum mcx_store_what what,
                  uint32_t count)
{
    MCX_TRY(store_begin(db));
    return store_end(db, store_log_plain(db, what, count));
}

const char *
mcx_store_event_word(unsigned what)
{
    static const char *const words[] = {
#define MCX_X(name, word) word,
        MCX_STORE_EVENTS(MCX_X)
#undef MCX_X
    };

    return what < MCX_STORE_EVENT_COUNT ? words[what] : "?";
}

/* ---- reading ----------------------------------------------------------- */

static mcx_err
wrong(struct mcx_text *text, const char *what, uint64_t seq)
{
    (void)snprintf(text->s, sizeof text->s, "entry %llu: %s",
                   (unsigned long long)seq, what);
    return MCX_E_AUTH;
}

/* The rows, in order. */
static mcx_err
walk_rows(struct mcx_store_db *db, uint64_t after, store_entry_f *each,
          void *arg)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_LOG_AFTER);
    mcx_err err = MCX_OK;
    int rc = SQLITE_DONE;

    (void)sqlite3_bind_int64(stmt, 1, (int64_t)after);
    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        const void *sealed = sqlite3_column_blob(stmt, 1);
        const void *mac = sqlite3_column_blob(stmt, 2);
        size_t n = (size_t)sqlite3_column_bytes(stmt, 1);

        err = each(arg, (uint64_t)sqlite3_column_int64(stmt, 0),
                   mcx_bytes(sealed, sealed ? n : 0),
                   mac && sqlite3_column_bytes(stmt, 2) == MAC ? mac : NULL);
    }
    (void)sqlite3_reset(stmt);
    return err == MCX_OK && rc != SQLITE_DONE ? store_error(db, rc) : err;
}

/* Segment files and rows: the whole log after 'after', in order. */
static mcx_err
walk(struct mcx_store_db *db, uint64_t after, store_entry_f *each, void *arg,
     struct mcx_text *text)
{
    if (db->head_ok) {
        MCX_TRY(store_segments_walk(db, after, each, arg, text));
    }
    return walk_rows(db, after > db->head.file_seq || !db->head_ok
                             ? after
                             : db->head.file_seq,
                     each, arg);
}

static mcx_err
event_open(struct mcx_store_db *db, uint64_t seq, struct mcx_bytes sealed,
           struct mcx_store_event *event)
{
    static const struct mcx_store_event none;
    uint8_t aad[STORE_AAD];

    *event = none;
    event->seq = seq;
    if (sealed.n < MCX_SEAL_MORE || sealed.n - MCX_SEAL_MORE > STORE_BODY) {
        return MCX_E_AUTH;
    }
    MCX_TRY(epoch_use(db, seq));
    MCX_TRY(mcx_unseal(db->plain, db->log_sealer,
                       store_aad(db, aad, 'l', 's', (int64_t)seq,
                                 mcx_bytes("", 0)), sealed));
    return store_unpack_event(event, mcx_bytes(db->plain,
                                               sealed.n - MCX_SEAL_MORE))
               ? MCX_OK
               : MCX_E_AUTH;
}

struct reading {
    struct mcx_store_db *db;
    void (*fn)(void *arg, const struct mcx_store_event *event);
    void *arg;
};

static mcx_err
read_entry(void *arg, uint64_t seq, struct mcx_bytes sealed,
           const uint8_t *mac)
{
    struct reading *r = arg;
    struct mcx_store_event event;

    (void)mac;
    MCX_TRY(event_open(r->db, seq, sealed, &event));
    r->fn(r->arg, &event);
    return MCX_OK;
}

mcx_err
mcx_store_log_each(struct mcx_store_db *db, uint64_t after,
                   void (*each)(void *arg,
                                const struct mcx_store_event *event),
                   void *arg)
{
    struct reading r = { db, each, arg };
    struct mcx_text text;
    mcx_err err;

    if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return MCX_E_IO;
    }
    err = store_head_get(db);
    if (err == MCX_OK || err == MCX_E_AUTH) {
        err = walk(db, after, read_entry, &r, &text);
    }
    (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

struct verifying {
    struct mcx_store_db *db;
    const struct mcx_store_head *anchor; /* NULL: none */
    struct mcx_text *text;
    uint64_t seq; /* the last that is right */
    uint8_t mac[MAC];
};

/* One step along the chain. */
static mcx_err
verify_entry(void *arg, uint64_t seq, struct mcx_bytes sealed,
             const uint8_t *mac)
{
    struct verifying *v = arg;
    struct mcx_store_event event;

    if (v->seq == v->db->head.seq) {
        return wrong(v->text, "stands after the head", seq);
    }
    if (seq != v->seq + 1) {
        return wrong(v->text, "is missing", v->seq + 1);
    }
    MCX_TRY(epoch_use(v->db, seq));
    MCX_TRY(chain(v->db, v->mac, "entry", seq, sealed));
    if (!mac || !mcx_secret_eq(v->mac, mac, MAC)) {
        return wrong(v->text, "was changed", seq);
    }
    if (event_open(v->db, seq, sealed, &event) != MCX_OK) {
        return wrong(v->text, "does not open", seq);
    }
    if (seq == v->db->head.file_seq
        && !mcx_secret_eq(v->mac, v->db->head.file_mac, MAC)) {
        return wrong(v->text, "is not the one that the head has", seq);
    }
    if (v->anchor && v->anchor->seq == seq
        && !mcx_secret_eq(v->mac, v->anchor->mac, MAC)) {
        return wrong(v->text, "is not the one that was noted", seq);
    }
    v->seq = seq;
    return MCX_OK;
}

/* What can be said before an entry is looked at. */
static mcx_err
verify_start(struct verifying *v)
{
    const struct store_head *h = &v->db->head;
    const struct mcx_store_head *anchor = v->anchor;

    if (h->broken_seq > h->base_seq) {
        (void)snprintf(v->text->s, sizeof v->text->s, "the head is not "
                       "signed by this store: it was gone or changed, and "
                       "made anew with entry %llu",
                       (unsigned long long)h->broken_seq);
        return MCX_E_AUTH;
    }
    if (anchor && anchor->seq > h->seq) {
        return wrong(v->text, "was noted, and is not there any more",
                     anchor->seq);
    }
    if (anchor && anchor->seq < h->base_seq) {
        return wrong(v->text, "was noted, and has been rotated out of the "
                     "log since; note a later head", anchor->seq);
    }
    v->seq = h->base_seq;
    memcpy(v->mac, h->base_mac, MAC);
    if (h->base_seq == 0) {
        MCX_TRY(first(v->db, v->mac));
    }
    return anchor && anchor->seq == v->seq
                   && !mcx_secret_eq(v->mac, anchor->mac, MAC)
               ? wrong(v->text, "is not the one that was noted", v->seq)
               : MCX_OK;
}

static mcx_err
verify(struct verifying *v)
{
    const struct store_head *h = &v->db->head;
    mcx_err err = store_head_get(v->db);

    if (err == MCX_E_AUTH) {
        (void)snprintf(v->text->s, sizeof v->text->s, "the head is not "
                       "signed by this store");
    }
    MCX_TRY(err);
    MCX_TRY(verify_start(v));
    MCX_TRY(walk(v->db, v->seq, verify_entry, v, v->text));
    if (v->seq != h->seq) {
        return wrong(v->text, "is missing", v->seq + 1);
    }
    return mcx_secret_eq(v->mac, h->mac, MAC)
               ? MCX_OK
               : wrong(v->text, "is not the one that the head signs",
                       v->seq);
}

mcx_err
mcx_store_log_verify(struct mcx_store_db *db,
                     const struct mcx_store_head *anchor,
                     struct mcx_store_head *head, struct mcx_text *text)
{
    struct verifying v = { .db = db, .anchor = anchor, .text = text };
    mcx_err err = MCX_E_AUTH;
    int tries;

    /* Twice: a host may rotate the oldest file away meanwhile. */
    for (tries = 0; tries < 2 && err == MCX_E_AUTH; tries++) {
        text->s[0] = '\0';
        /* Head and entries of one moment, whoever writes meanwhile: a reading
         * transaction blocks nobody. */
        if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
            return MCX_E_IO;
        }
        err = verify(&v);
        head->seq = db->head.seq;
        memcpy(head->mac, db->head.mac, MAC);
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}
