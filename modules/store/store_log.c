/* store_log.c -- the audit log: appended to, chained, signed.  See
 * mcx_store.h.  store.c and mcx-keys call it; what is worth an entry is
 * theirs to know (TS 33.180 clause 10, TR 33.879 key issue 4).
 *
 *   mac 0 = HMAC("start" | store)
 *   mac n = HMAC("entry" | mac n-1 | n | sealed entry n)
 *   head  = n | mac n | HMAC("head" | n | mac n)
 *
 * all under the store's log key.  An entry that is changed, taken out, put in
 * or moved breaks the chain; one taken from the end disagrees with the head,
 * which nobody can sign without the key.  An older copy of the whole store is
 * found by who noted a later head elsewhere (`mcx-keys log head`). */
#include <config.h>
#include <stdio.h>
#include "store.h"

enum { MAC = MCX_SEAL_MAC_SIZE, HEAD = 8 + 2 * MAC };

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
    return mcx_seal_mac(mac, &db->keys->log, parts, 4);
}

static mcx_err
first(struct mcx_store_db *db, uint8_t mac[MAC])
{
    memset(mac, 0, MAC);
    return chain(db, mac, "start", 0, mcx_bytes(db->uid, STORE_UID));
}

static mcx_err
head_put(struct mcx_store_db *db, const struct mcx_store_head *head)
{
    uint8_t value[HEAD];

    store_put_u64(value, head->seq);
    memcpy(value + 8, head->mac, MAC);
    memcpy(value + 8 + MAC, head->mac, MAC);
    MCX_TRY(chain(db, value + 8 + MAC, "head", head->seq, mcx_bytes("", 0)));
    return store_meta_put(db, "log", mcx_bytes(value, sizeof value));
}

static mcx_err
head_get(struct mcx_store_db *db, struct mcx_store_head *head)
{
    uint8_t value[HEAD], mac[MAC];
    size_t n = 0;

    MCX_TRY(store_meta_get(db, "log", value, sizeof value, &n));
    if (n != sizeof value) {
        return MCX_E_AUTH;
    }
    head->seq = store_get_u64(value);
    memcpy(head->mac, value + 8, MAC);
    memcpy(mac, head->mac, MAC);
    MCX_TRY(chain(db, mac, "head", head->seq, mcx_bytes("", 0)));
    return mcx_secret_eq(mac, value + 8 + MAC, MAC) ? MCX_OK : MCX_E_AUTH;
}

mcx_err
store_log_put(struct mcx_store_db *db, struct mcx_store_event *event)
{
    struct mcx_store_head head;
    uint8_t aad[STORE_AAD];
    sqlite3_stmt *stmt;
    mcx_err err;
    size_t n;

    if (db->no_log) {
        return MCX_OK;
    }
    err = head_get(db, &head);
    if (err == MCX_E_AUTH || err == MCX_E_NO_KEY || err == MCX_E_MALFORMED) {
        /* Somebody tampered with the head.  Keys must go on being kept; the
         * log goes on nowhere and `log verify` says so. */
        mcx_log(db->env, MCX_AREA_KEYS, 1,
                "store: the head of the audit log is wrong; nothing is added "
                "to it; run mcx-keys log verify");
        return MCX_OK;
    }
    MCX_TRY(err);
    event->seq = ++head.seq;
    memcpy(event->by, db->by, sizeof event->by);
    n = store_pack_event(db->plain, event);
    MCX_TRY(store_seal(db, store_aad(db, aad, 'l', 's', (int64_t)head.seq,
                                     mcx_bytes("", 0)), n));
    MCX_TRY(chain(db, head.mac, "entry", head.seq,
                  mcx_bytes(db->out, n + MCX_SEAL_MORE)));
    stmt = store_stmt(db, SQL_LOG_PUT);
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)head.seq);
    (void)sqlite3_bind_blob(stmt, 2, db->out, (int)(n + MCX_SEAL_MORE),
                            SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, head.mac, MAC, SQLITE_STATIC);
    MCX_TRY(store_run(db, stmt));
    return head_put(db, &head);
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

static mcx_err
put_plain(struct mcx_store_db *db, enum mcx_store_what what, uint32_t count)
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
    struct mcx_store_head head = { .seq = 0 };

    MCX_TRY(first(db, head.mac));
    MCX_TRY(head_put(db, &head));
    return put_plain(db, MCX_STORE_CREATED, 0);
}

mcx_err
mcx_store_log_add(struct mcx_store_db *db, enum mcx_store_what what,
                  uint32_t count)
{
    MCX_TRY(store_begin(db));
    return store_end(db, put_plain(db, what, count));
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
event_open(struct mcx_store_db *db, sqlite3_stmt *stmt,
           struct mcx_store_event *event)
{
    static const struct mcx_store_event none;
    uint8_t aad[STORE_AAD];
    int64_t seq = sqlite3_column_int64(stmt, 0);
    size_t n;

    *event = none;
    event->seq = (uint64_t)seq;
    MCX_TRY(store_unseal(db, store_aad(db, aad, 'l', 's', seq,
                                       mcx_bytes("", 0)), stmt, 1, &n));
    return store_unpack_event(event, mcx_bytes(db->plain, n)) ? MCX_OK
                                                              : MCX_E_AUTH;
}

mcx_err
mcx_store_log_each(struct mcx_store_db *db, uint64_t after,
                   void (*each)(void *arg,
                                const struct mcx_store_event *event),
                   void *arg)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_LOG_AFTER);
    mcx_err err = MCX_OK;
    int rc = SQLITE_DONE;

    (void)sqlite3_bind_int64(stmt, 1, (int64_t)after);
    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        struct mcx_store_event event;

        err = event_open(db, stmt, &event);
        if (err == MCX_OK) {
            each(arg, &event);
        }
    }
    if (err == MCX_OK && rc != SQLITE_DONE) {
        err = store_error(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return err;
}

static mcx_err
wrong(struct mcx_text *text, const char *what, uint64_t seq)
{
    (void)snprintf(text->s, sizeof text->s, "entry %llu: %s",
                   (unsigned long long)seq, what);
    return MCX_E_AUTH;
}

/* One step along the chain: the entry on which 'stmt' stands. */
static mcx_err
verify_one(struct mcx_store_db *db, sqlite3_stmt *stmt, uint64_t seq,
           uint8_t mac[MAC], struct mcx_text *text)
{
    const void *sealed = sqlite3_column_blob(stmt, 1);
    size_t n = (size_t)sqlite3_column_bytes(stmt, 1);
    const void *kept = sqlite3_column_blob(stmt, 2);
    struct mcx_store_event event;

    if ((uint64_t)sqlite3_column_int64(stmt, 0) != seq) {
        return wrong(text, "is missing", seq);
    }
    MCX_TRY(chain(db, mac, "entry", seq, mcx_bytes(sealed, sealed ? n : 0)));
    if (!kept || sqlite3_column_bytes(stmt, 2) != MAC
        || !mcx_secret_eq(mac, kept, MAC)) {
        return wrong(text, "was changed", seq);
    }
    return event_open(db, stmt, &event) == MCX_OK
               ? MCX_OK
               : wrong(text, "does not open", seq);
}

static mcx_err
verify(struct mcx_store_db *db, const struct mcx_store_head *anchor,
       struct mcx_store_head *head, struct mcx_text *text)
{
    sqlite3_stmt *stmt;
    uint8_t mac[MAC];
    uint64_t seq = 0;
    mcx_err err;
    int rc = SQLITE_DONE;

    if (head_get(db, head) != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "the head is not signed by "
                       "this store");
        return MCX_E_AUTH;
    }
    if (anchor && anchor->seq > head->seq) {
        return wrong(text, "was noted, and is not there any more",
                     anchor->seq);
    }
    MCX_TRY(first(db, mac));
    err = anchor && anchor->seq == 0 && !mcx_secret_eq(mac, anchor->mac, MAC)
              ? wrong(text, "is not the start that was noted", 0)
              : MCX_OK;
    stmt = store_stmt(db, SQL_LOG_AFTER);
    (void)sqlite3_bind_int64(stmt, 1, 0);
    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        seq++;
        err = seq > head->seq ? wrong(text, "stands after the head", seq)
                              : verify_one(db, stmt, seq, mac, text);
        if (err == MCX_OK && anchor && anchor->seq == seq
            && !mcx_secret_eq(mac, anchor->mac, MAC)) {
            err = wrong(text, "is not the one that was noted", seq);
        }
    }
    (void)sqlite3_reset(stmt);
    MCX_TRY(err);
    if (rc != SQLITE_DONE) {
        return store_error(db, rc);
    }
    if (seq != head->seq) {
        return wrong(text, "is missing", seq + 1);
    }
    return mcx_secret_eq(mac, head->mac, MAC)
               ? MCX_OK
               : wrong(text, "is not the one that the head signs", seq);
}

mcx_err
mcx_store_log_verify(struct mcx_store_db *db,
                     const struct mcx_store_head *anchor,
                     struct mcx_store_head *head, struct mcx_text *text)
{
    mcx_err err;

    text->s[0] = '\0';
    /* Head and entries of one moment, whoever writes meanwhile: a reading
     * transaction blocks nobody. */
    if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return MCX_E_IO;
    }
    err = verify(db, anchor, head, text);
    (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return err;
}
