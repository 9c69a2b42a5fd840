/* store_sqlite.c -- the store of a KMS in an SQLite file.  See store.h.
 *
 * Write-ahead log, so that readers do not wait for the writer; every commit
 * is synced, for a key may leave only when its entry will outlast a power
 * cut.  A second process (mcx-kms user revoke) waits up to BUSY_MS. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "store.h"

enum { BUSY_MS = 5000, SCHEMA = 1 };

enum stmt {
    S_HEAD, S_LOG, S_USER, S_ADD, S_REVOKE, S_ISSUED, S_KEYS, S_PUT_KEYS,
    S_COUNT, S_USERS, S_ODD, S_ENTRIES, S_BEGIN, S_COMMIT, S_ROLLBACK, S_N
};
static const char *const sql[S_N] = {
    [S_HEAD] = "SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1",
    [S_LOG] = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [S_USER] = "SELECT revoked_ms IS NOT NULL FROM users WHERE uri = ?1",
    [S_ADD] = "INSERT INTO users VALUES (?1, ?2, NULL)",
    [S_REVOKE] = "UPDATE users SET revoked_ms = ?2 WHERE uri = ?1",
    [S_ISSUED] = "INSERT INTO issued VALUES (?1, ?3, ?2, ?2, 1) "
                 "ON CONFLICT DO UPDATE SET last_ms = ?2, times = times + 1",
    [S_KEYS] = "SELECT serial, sealed FROM user_keys WHERE uri = ?1",
    [S_PUT_KEYS] = "INSERT INTO user_keys VALUES (?1, ?2, ?3) ON CONFLICT "
                   "DO UPDATE SET serial = ?2, sealed = ?3",
    [S_COUNT] = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM "
                "users WHERE revoked_ms IS NOT NULL), (SELECT count(*) FROM "
                "issued)",
    [S_USERS] = "SELECT uri, revoked_ms IS NOT NULL FROM users ORDER BY uri",
    /* Each user is added once and revoked once at most, and keys have numbers
     * from 1 on. */
    [S_ODD] = "SELECT uri FROM (SELECT uri, 1 AS a, CASE WHEN revoked_ms IS "
              "NULL THEN 0 ELSE 1 END AS r, 0 AS k FROM users UNION ALL "
              "SELECT uri, 0, 0, serial FROM user_keys UNION ALL SELECT uri, "
              "CASE what WHEN 'user-add' THEN -1 ELSE 0 END, CASE what WHEN "
              "'user-revoke' THEN -1 ELSE 0 END, CASE what WHEN 'user-keys' "
              "THEN -1 ELSE 0 END FROM audit WHERE what IN ('user-add', "
              "'user-revoke', 'user-keys')) AS x GROUP BY uri HAVING sum(a) "
              "<> 0 OR sum(r) <> 0 OR sum(k) <> 0 LIMIT 1",
    [S_ENTRIES] = "SELECT * FROM audit ORDER BY seq",
    [S_BEGIN] = "BEGIN IMMEDIATE",
    [S_COMMIT] = "COMMIT",
    [S_ROLLBACK] = "ROLLBACK",
};
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS users (uri TEXT PRIMARY KEY, added_ms INTEGER"
    " NOT NULL, revoked_ms INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS issued (uri TEXT NOT NULL, period_no INTEGER"
    " NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times "
    "INTEGER NOT NULL, PRIMARY KEY (uri, period_no)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS audit (seq INTEGER PRIMARY KEY, unix_ms "
    "INTEGER NOT NULL, what TEXT NOT NULL, uri TEXT NOT NULL, period_no "
    "INTEGER NOT NULL, detail TEXT NOT NULL, mac BLOB NOT NULL);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/* Came later, so a file of before has not got it. */
static const char more[] =
    "CREATE TABLE IF NOT EXISTS user_keys (uri TEXT PRIMARY KEY, serial "
    "INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;";

struct kms_db {
    sqlite3 *db;
    sqlite3_stmt *stmt[S_N];
    bool unbound; /* a value of the statement to come was not taken */
    const struct mcx_env *env;
};

static mcx_err
broken(struct kms_db *db, int rc)
{
    mcx_log(db->env, MCX_AREA_KMS, 3, "store: %s", sqlite3_errmsg(db->db));
    return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED
               ? MCX_E_BUSY
               : MCX_E_IO;
}

/* Runs a statement that gives at most one row; SQLITE_ROW or SQLITE_DONE in
 * '*rc'.  The caller resets it after reading columns. */
static mcx_err
step(struct kms_db *db, enum stmt s, int *rc)
{
    /* What was not taken is NULL, which the columns refuse; but where users
     * are looked for it would find nobody, and somebody who is revoked, or has
     * transport keys, would be as good as new. */
    *rc = db->unbound ? SQLITE_NOMEM : sqlite3_step(db->stmt[s]);
    db->unbound = false;
    if (*rc != SQLITE_ROW && *rc != SQLITE_DONE) {
        mcx_err err = broken(db, *rc);

        (void)sqlite3_reset(db->stmt[s]);
        (void)sqlite3_clear_bindings(db->stmt[s]);
        return err;
    }
    return MCX_OK;
}

static void
reset(struct kms_db *db, enum stmt s)
{
    (void)sqlite3_reset(db->stmt[s]);
    (void)sqlite3_clear_bindings(db->stmt[s]);
}

static mcx_err
run(struct kms_db *db, enum stmt s)
{
    int rc;
    mcx_err err = step(db, s, &rc);

    reset(db, s);
    return err;
}

static void
bind_text(struct kms_db *db, enum stmt s, int at, const char *text)
{
    if (sqlite3_bind_text(db->stmt[s], at, text, -1, SQLITE_TRANSIENT)
        != SQLITE_OK) {
        db->unbound = true;
    }
}

static void
bind_int(struct kms_db *db, enum stmt s, int at, int64_t v)
{
    if (sqlite3_bind_int64(db->stmt[s], at, v) != SQLITE_OK) {
        db->unbound = true;
    }
}

static void
bind_blob(struct kms_db *db, enum stmt s, int at, struct mcx_bytes b)
{
    if (sqlite3_bind_blob(db->stmt[s], at, b.p, (int)b.n, SQLITE_TRANSIENT)
        != SQLITE_OK) {
        db->unbound = true;
    }
}

/* ---- life -------------------------------------------------------------- */

static void
db_close(struct kms_db *db)
{
    size_t i;

    for (i = 0; i < S_N; i++) {
        (void)sqlite3_finalize(db->stmt[i]);
    }
    (void)sqlite3_close(db->db);
    free(db);
}

static int
version(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    int v = -1;

    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL)
            == SQLITE_OK
        && sqlite3_step(s) == SQLITE_ROW) {
        v = sqlite3_column_int(s, 0);
    }
    (void)sqlite3_finalize(s);
    return v;
}

static int
prepare(struct kms_db *db)
{
    int rc, v;
    size_t i;

    (void)sqlite3_extended_result_codes(db->db, 1);
    (void)sqlite3_busy_timeout(db->db, BUSY_MS);
    rc = sqlite3_exec(db->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous "
                      "= FULL; PRAGMA trusted_schema = OFF;", NULL, NULL,
                      NULL);
    v = rc == SQLITE_OK ? version(db->db) : -1;
    if (v == 0) {
        rc = sqlite3_exec(db->db, schema, NULL, NULL, NULL);
        v = rc == SQLITE_OK ? SCHEMA : -1;
    }
    if (v != SCHEMA) {
        return rc == SQLITE_OK ? SQLITE_MISMATCH : rc;
    }
    rc = sqlite3_exec(db->db, more, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }
    for (i = 0; i < S_N; i++) {
        rc = sqlite3_prepare_v3(db->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &db->stmt[i], NULL);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

static mcx_err
db_open(struct kms_db **out, const char *where, const struct mcx_env *env,
        struct mcx_text *text)
{
    struct kms_db *db = calloc(1, sizeof *db);
    /* SQLite makes its other files with the permissions of this one.  Never
     * opened when it is there: with the closing of any descriptor of a file
     * this process loses its locks, those of a connection it has already; the
     * next process to close the store would think itself the last one and
     * remove the log under us, with everything that we write afterwards. */
    int fd = open(where, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;
    bool there = fd >= 0 || errno == EEXIST;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (!db || !there) {
        (void)snprintf(text->s, sizeof text->s, "%s: cannot be opened",
                       where);
        free(db);
        return db ? MCX_E_IO : MCX_E_NOMEM;
    }
    db->env = env;
    rc = sqlite3_open_v2(where, &db->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        rc = prepare(db);
    }
    if (rc != SQLITE_OK) {
        (void)snprintf(text->s, sizeof text->s, "%s: not a store of this "
                       "release: %s", where, sqlite3_errstr(rc));
        db_close(db);
        return MCX_E_IO;
    }
    *out = db;
    return MCX_OK;
}

/* Is it the file that everybody else sees?  When somebody puts another in its
 * place, or takes it away, what we write goes to one that nobody has, and who
 * is revoked in the new one is not revoked for us. */
static mcx_err
in_place(struct kms_db *db)
{
    int moved = 0;

    if (sqlite3_file_control(db->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved)
            == SQLITE_OK
        && moved) {
        mcx_log(db->env, MCX_AREA_KMS, 3, "store: the file was replaced or "
                "removed; nothing is issued before the next start");
        return MCX_E_IO;
    }
    return MCX_OK;
}

static mcx_err
db_begin(struct kms_db *db)
{
    MCX_TRY(in_place(db));
    return run(db, S_BEGIN);
}

static mcx_err
db_commit(struct kms_db *db)
{
    return run(db, S_COMMIT);
}

static void
db_rollback(struct kms_db *db)
{
    if (!sqlite3_get_autocommit(db->db)) {
        (void)run(db, S_ROLLBACK);
    }
}

/* ---- rows -------------------------------------------------------------- */

static void
take_mac(uint8_t out[MCX_SEAL_MAC_SIZE], sqlite3_stmt *s, int column)
{
    const void *p = sqlite3_column_blob(s, column);

    memset(out, 0, MCX_SEAL_MAC_SIZE);
    if (p && sqlite3_column_bytes(s, column) == MCX_SEAL_MAC_SIZE) {
        memcpy(out, p, MCX_SEAL_MAC_SIZE);
    }
}

static mcx_err
db_head(struct kms_db *db, uint64_t *seq, uint8_t mac[MCX_SEAL_MAC_SIZE])
{
    mcx_err err = MCX_OK;
    int rc;

    *seq = 0;
    memset(mac, 0, MCX_SEAL_MAC_SIZE);
    MCX_TRY(step(db, S_HEAD, &rc));
    if (rc == SQLITE_ROW) {
        *seq = (uint64_t)sqlite3_column_int64(db->stmt[S_HEAD], 0);
        take_mac(mac, db->stmt[S_HEAD], 1);
        /* Zeros for want of memory would break the chain for good. */
        if (sqlite3_errcode(db->db) == SQLITE_NOMEM) {
            err = broken(db, SQLITE_NOMEM);
        }
    }
    reset(db, S_HEAD);
    return err;
}

static mcx_err
db_log(struct kms_db *db, const struct kms_entry *e)
{
    bind_int(db, S_LOG, 1, (int64_t)e->seq);
    bind_int(db, S_LOG, 2, e->unix_ms);
    bind_text(db, S_LOG, 3, e->what);
    bind_text(db, S_LOG, 4, e->user);
    bind_int(db, S_LOG, 5, (int64_t)e->period_no);
    bind_text(db, S_LOG, 6, e->detail);
    bind_blob(db, S_LOG, 7, mcx_bytes(e->mac, sizeof e->mac));
    return run(db, S_LOG);
}

static mcx_err
db_user(struct kms_db *db, const char *uri, enum kms_user_state *out)
{
    int rc;

    MCX_TRY(in_place(db));
    bind_text(db, S_USER, 1, uri);
    MCX_TRY(step(db, S_USER, &rc));
    *out = rc == SQLITE_DONE                             ? KMS_USER_NONE
           : sqlite3_column_int(db->stmt[S_USER], 0) == 0 ? KMS_USER_ACTIVE
                                                          : KMS_USER_REVOKED;
    reset(db, S_USER);
    return MCX_OK;
}

static mcx_err
change(struct kms_db *db, enum stmt s, const char *uri, int64_t unix_ms)
{
    bind_text(db, s, 1, uri);
    bind_int(db, s, 2, unix_ms);
    return run(db, s);
}

static mcx_err
db_user_add(struct kms_db *db, const char *uri, int64_t unix_ms)
{
    return change(db, S_ADD, uri, unix_ms);
}

static mcx_err
db_user_revoke(struct kms_db *db, const char *uri, int64_t unix_ms)
{
    return change(db, S_REVOKE, uri, unix_ms);
}

static mcx_err
db_issued(struct kms_db *db, const char *uri, uint64_t period_no,
          int64_t unix_ms)
{
    bind_int(db, S_ISSUED, 3, (int64_t)period_no);
    return change(db, S_ISSUED, uri, unix_ms);
}

static mcx_err
db_keys(struct kms_db *db, const char *uri, uint8_t out[KMS_KEYS_MAX],
        size_t *n, uint64_t *serial)
{
    sqlite3_stmt *s = db->stmt[S_KEYS];
    int rc;

    *n = 0;
    *serial = 0;
    bind_text(db, S_KEYS, 1, uri);
    MCX_TRY(step(db, S_KEYS, &rc));
    if (rc == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(s, 1);
        int have = sqlite3_column_bytes(s, 1);

        *serial = (uint64_t)sqlite3_column_int64(s, 0);
        if (p && have > 0 && have <= KMS_KEYS_MAX) {
            memcpy(out, p, (size_t)have);
            *n = (size_t)have;
        } else {
            out[0] = 0; /* a row that nobody of us wrote: opens nothing */
            *n = 1;
        }
    }
    reset(db, S_KEYS);
    return MCX_OK;
}

static mcx_err
db_put_keys(struct kms_db *db, const char *uri, uint64_t serial,
            struct mcx_bytes sealed)
{
    bind_text(db, S_PUT_KEYS, 1, uri);
    bind_int(db, S_PUT_KEYS, 2, (int64_t)serial);
    bind_blob(db, S_PUT_KEYS, 3, sealed);
    return run(db, S_PUT_KEYS);
}

static mcx_err
db_count(struct kms_db *db, struct kms_counts *out)
{
    sqlite3_stmt *s = db->stmt[S_COUNT];
    int rc;

    MCX_TRY(step(db, S_COUNT, &rc));
    out->users = (uint64_t)sqlite3_column_int64(s, 0);
    out->revoked = (uint64_t)sqlite3_column_int64(s, 1);
    out->issued = (uint64_t)sqlite3_column_int64(s, 2);
    reset(db, S_COUNT);
    return db_head(db, &out->entries, out->mac);
}

static mcx_err
db_users(struct kms_db *db,
         void (*each)(void *arg, const char *uri, enum kms_user_state state),
         void *arg)
{
    sqlite3_stmt *s = db->stmt[S_USERS];
    int rc;

    MCX_TRY(step(db, S_USERS, &rc));
    while (rc == SQLITE_ROW) {
        const void *uri = sqlite3_column_text(s, 0);

        each(arg, uri ? uri : "",
             sqlite3_column_int(s, 1) ? KMS_USER_REVOKED : KMS_USER_ACTIVE);
        MCX_TRY(step(db, S_USERS, &rc));
    }
    reset(db, S_USERS);
    return MCX_OK;
}

static void
take_text(char *out, size_t room, sqlite3_stmt *s, int column)
{
    const void *p = sqlite3_column_text(s, column);

    (void)snprintf(out, room, "%s", p ? (const char *)p : "");
}

static mcx_err
db_odd(struct kms_db *db, char uri[MCX_URI_MAX])
{
    int rc;

    uri[0] = '\0';
    MCX_TRY(step(db, S_ODD, &rc));
    if (rc == SQLITE_ROW) {
        take_text(uri, MCX_URI_MAX, db->stmt[S_ODD], 0);
        if (!uri[0]) {
            (void)snprintf(uri, MCX_URI_MAX, "?");
        }
    }
    reset(db, S_ODD);
    return MCX_OK;
}

static mcx_err
db_entries(struct kms_db *db,
           mcx_err (*each)(void *arg, const struct kms_entry *e), void *arg)
{
    sqlite3_stmt *s = db->stmt[S_ENTRIES];
    struct kms_entry e;
    mcx_err err;
    int rc;

    MCX_TRY_OR(err, step(db, S_ENTRIES, &rc), out);
    while (rc == SQLITE_ROW) {
        e.seq = (uint64_t)sqlite3_column_int64(s, 0);
        e.unix_ms = sqlite3_column_int64(s, 1);
        take_text(e.what, sizeof e.what, s, 2);
        take_text(e.user, sizeof e.user, s, 3);
        e.period_no = (uint64_t)sqlite3_column_int64(s, 4);
        take_text(e.detail, sizeof e.detail, s, 5);
        take_mac(e.mac, s, 6);
        MCX_TRY_OR(err, each(arg, &e), out);
        MCX_TRY_OR(err, step(db, S_ENTRIES, &rc), out);
    }
out:
    reset(db, S_ENTRIES);
    return err;
}

const struct kms_db_ops kms_db_sqlite = {
    .open = db_open,
    .close = db_close,
    .begin = db_begin,
    .commit = db_commit,
    .rollback = db_rollback,
    .head = db_head,
    .log = db_log,
    .user = db_user,
    .user_add = db_user_add,
    .user_revoke = db_user_revoke,
    .issued = db_issued,
    .keys = db_keys,
    .put_keys = db_put_keys,
    .count = db_count,
    .users = db_users,
    .odd = db_odd,
    .entries = db_entries,
};
