/* store_db.c -- the file of a store: making, opening, its keys, statements.
 * See mcx_store.h.  The other files of this module and mcx-keys call it; what
 * rows hold is theirs.
 *
 * Three random keys belong to a store: one seals, one makes the hashes by
 * which rows are found, one the sum over the rows (store_head.c).  They lie in
 * the table `meta`, wrapped under the KEK, so that a KEK never touches a row.
 * What stands before them (version, sort of KEK, salt) is bound to them.
 *
 * The file may have been edited by who has no key.  So its tables have to be
 * ours to the letter, and triggers and views are off: a trigger could keep
 * what is deleted, or keep it from being deleted.
 *
 * synchronous=FULL: a commit returns when FILE-wal is on the disk.
 * secure_delete: what is deleted or written over in the file is zeroed; the
 * copies in FILE-wal go with a checkpoint that empties it. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "store.h"

enum { APPLICATION_ID = 0x4d435853, SALT = 16, KEK_HEAD = 4 + SALT,
       KEY_FILE_MAX = 4096, WRAPPED_AAD = 64 };
enum kek_sort { KEK_FILE = 1, KEK_PASSPHRASE = 2, KEK_ELEMENT = 3 };

static const char SCHEMA[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE key(row INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB,"
    " mc BLOB, impu BLOB, body BLOB NOT NULL, state BLOB NOT NULL,"
    " c_kind INTEGER, c_id INTEGER, c_state TEXT, c_since INTEGER);"
    "CREATE INDEX key_id ON key(id);"
    "CREATE INDEX key_mc ON key(mc) WHERE mc IS NOT NULL;"
    "CREATE INDEX key_impu ON key(impu) WHERE impu IS NOT NULL;"
    "CREATE TABLE tomb(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " look BLOB NOT NULL, sealed BLOB NOT NULL);"
    "CREATE INDEX tomb_look ON tomb(look);"
    "CREATE TABLE replay(row INTEGER PRIMARY KEY AUTOINCREMENT,"
    " sealed BLOB NOT NULL);"
    "CREATE TABLE log(seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL,"
    " mac BLOB NOT NULL);"
    "CREATE TABLE epoch(first INTEGER PRIMARY KEY, sealed BLOB NOT NULL);";
enum { SCHEMA_PARTS = 10 };

#define KEY_COLUMNS "SELECT row, id, mc, impu, body, state FROM key "
static const char *const SQL[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_VERSION] = "PRAGMA data_version",
    [SQL_KEY_NEXT] = "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'key'",
    [SQL_KEY_PUT] = "INSERT INTO key VALUES(?,?,?,?,?,?,?,?,?,?)",
    [SQL_KEY_STATE] = "UPDATE key SET state = ?2, c_state = ?3, c_since = ?4"
                      " WHERE row = ?1",
    [SQL_KEY_CUT] = "DELETE FROM key WHERE row = ?",
    [SQL_KEY_ALL] = KEY_COLUMNS "ORDER BY row",
    [SQL_KEY_ID] = KEY_COLUMNS "WHERE id = ? ORDER BY row",
    [SQL_KEY_IMPU] = KEY_COLUMNS "WHERE impu = ? ORDER BY row",
    [SQL_KEY_MC] = KEY_COLUMNS "WHERE mc = ? ORDER BY row",
    [SQL_TOMB_NEXT] = "SELECT seq + 1 FROM sqlite_sequence"
                      " WHERE name = 'tomb'",
    [SQL_TOMB_PUT] = "INSERT INTO tomb VALUES(?,?,?)",
    [SQL_TOMB_HAS] = "SELECT seq, look, sealed FROM tomb WHERE look = ?",
    [SQL_TOMB_AFTER] = "SELECT seq, look, sealed FROM tomb WHERE seq > ?"
                       " ORDER BY seq",
    [SQL_TOMB_CUT] = "DELETE FROM tomb WHERE seq = ?",
    [SQL_REPLAY_NEXT] = "SELECT seq + 1 FROM sqlite_sequence"
                        " WHERE name = 'replay'",
    [SQL_REPLAY_PUT] = "INSERT INTO replay VALUES(?,?)",
    [SQL_REPLAY_ALL] = "SELECT row, sealed FROM replay ORDER BY row",
    [SQL_REPLAY_CUT] = "DELETE FROM replay WHERE row = ?",
    [SQL_LOG_PUT] = "INSERT INTO log VALUES(?,?,?)",
    [SQL_LOG_AFTER] = "SELECT seq, sealed, mac FROM log WHERE seq > ?"
                      " ORDER BY seq",
    [SQL_LOG_LAST] = "SELECT seq, mac, (SELECT min(seq) FROM log) FROM log"
                     " ORDER BY seq DESC LIMIT 1",
    [SQL_LOG_CUT_ALL] = "DELETE FROM log",
    [SQL_KEY_TAGS] = "SELECT row, substr(body, -16), substr(state, -16)"
                     " FROM key WHERE row = ?",
    [SQL_KEY_TAGS_ALL] = "SELECT row, substr(body, -16), substr(state, -16)"
                         " FROM key",
    [SQL_TOMB_TAG] = "SELECT seq, substr(sealed, -16) FROM tomb"
                     " WHERE seq = ?",
    [SQL_TOMB_TAG_ALL] = "SELECT seq, substr(sealed, -16) FROM tomb",
    [SQL_REPLAY_TAG] = "SELECT row, substr(sealed, -16) FROM replay"
                       " WHERE row = ?",
    [SQL_REPLAY_TAG_ALL] = "SELECT row, substr(sealed, -16) FROM replay",
    [SQL_KEY_CUT_ALL] = "DELETE FROM key",
    [SQL_KEY_RESEAL] = "UPDATE key SET id = ?2, mc = ?3, impu = ?4,"
                       " body = ?5, state = ?6 WHERE row = ?1",
    [SQL_TOMB_RESEAL] = "UPDATE tomb SET look = ?2, sealed = ?3"
                        " WHERE seq = ?1",
    [SQL_TOMB_COUNT] = "SELECT count(*) FROM tomb",
    [SQL_REPLAY_RESEAL] = "UPDATE replay SET sealed = ?2 WHERE row = ?1",
    [SQL_EPOCH_ALL] = "SELECT first, sealed FROM epoch ORDER BY first",
    [SQL_EPOCH_PUT] = "INSERT OR REPLACE INTO epoch VALUES(?,?)",
    [SQL_EPOCH_RESEAL] = "UPDATE epoch SET sealed = ?2 WHERE first = ?1",
    [SQL_META_GET] = "SELECT value FROM meta WHERE name = ?",
    [SQL_META_PUT] = "INSERT OR REPLACE INTO meta VALUES(?,?)",
    [SQL_CHECKPOINT] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

/* ---- statements -------------------------------------------------------- */

mcx_err
store_error(struct mcx_store_db *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return MCX_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return MCX_E_BUSY;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        mcx_log(db->env, MCX_AREA_KEYS, 1, "store: the file is damaged: %s",
                sqlite3_errmsg(db->sql));
        return MCX_E_IO;
    default:
        return MCX_E_IO;
    }
}

sqlite3_stmt *
store_stmt(struct mcx_store_db *db, enum store_sql which)
{
    sqlite3_stmt **stmt = &db->stmt[which];

    if (!*stmt) {
        (void)sqlite3_prepare_v3(db->sql, SQL[which], -1,
                                 SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    } else {
        (void)sqlite3_reset(*stmt);
        (void)sqlite3_clear_bindings(*stmt);
    }
    return *stmt; /* NULL without memory: SQLite then answers MISUSE */
}

mcx_err
store_run(struct mcx_store_db *db, sqlite3_stmt *stmt)
{
    int rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;
    mcx_err err = rc == SQLITE_DONE ? MCX_OK : store_error(db, rc);

    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_begin(struct mcx_store_db *db)
{
    mcx_err err = store_run(db, store_stmt(db, SQL_BEGIN));

    MCX_TRY(err);
    err = store_head_get(db);
    if (err != MCX_OK && err != MCX_E_AUTH) {
        return store_end(db, err);
    }
    return MCX_OK; /* 'head_ok' says whether there is one */
}

mcx_err
store_end(struct mcx_store_db *db, mcx_err err)
{
    if (err == MCX_OK && db->head_ok && db->head_dirty) {
        err = store_head_put(db);
    }
    if (err == MCX_OK) {
        err = store_run(db, store_stmt(db, SQL_COMMIT));
    }
    if (err != MCX_OK && !sqlite3_get_autocommit(db->sql)) {
        (void)store_run(db, store_stmt(db, SQL_ROLLBACK));
    }
    return err;
}

mcx_err
store_meta_get(struct mcx_store_db *db, const char *name, uint8_t *out,
               size_t room, size_t *n)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_META_GET);
    mcx_err err = MCX_E_NO_KEY;
    int rc;

    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM;
    if (rc == SQLITE_ROW) {
        *n = (size_t)sqlite3_column_bytes(stmt, 0);
        err = *n <= room ? MCX_OK : MCX_E_MALFORMED;
        if (err == MCX_OK && *n > 0) {
            memcpy(out, sqlite3_column_blob(stmt, 0), *n);
        }
    } else if (rc != SQLITE_DONE) {
        err = store_error(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return err;
}

mcx_err
store_meta_put(struct mcx_store_db *db, const char *name,
               struct mcx_bytes value)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_META_PUT);

    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, value.p, (int)value.n, SQLITE_STATIC);
    return store_run(db, stmt);
}

bool
store_checkpoint(struct mcx_store_db *db)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_CHECKPOINT);
    bool done = false;

    /* A reader that is still at work is not waited for. */
    (void)sqlite3_busy_timeout(db->sql, 0);
    if (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        done = sqlite3_column_int(stmt, 0) == 0;
    }
    (void)sqlite3_reset(stmt);
    (void)sqlite3_busy_timeout(db->sql, MCX_STORE_BUSY_MS);
    return done;
}

bool
store_changed(struct mcx_store_db *db, int64_t *version)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_VERSION);
    int64_t before = *version;

    if (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        *version = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_reset(stmt);
    return *version != before;
}

/* ---- sealing ----------------------------------------------------------- */

struct mcx_bytes
store_aad(struct mcx_store_db *db, uint8_t out[STORE_AAD], char table,
          char column, int64_t row, struct mcx_bytes more)
{
    static const char label[] = "mcx-store";
    size_t n = sizeof label - 1;

    memcpy(out, label, n);
    out[n++] = MCX_STORE_VERSION;
    memcpy(out + n, db->uid, STORE_UID);
    n += STORE_UID;
    out[n++] = (uint8_t)table;
    out[n++] = (uint8_t)column;
    store_put_u64(out + n, (uint64_t)row);
    n += 8;
    if (more.n > 0) {
        memcpy(out + n, more.p, more.n);
    }
    return mcx_bytes(out, n + more.n);
}

mcx_err
store_seal(struct mcx_store_db *db, struct mcx_bytes aad, size_t n)
{
    mcx_err err = mcx_seal(db->out, db->sealer, db->env, NULL, aad,
                           mcx_bytes(db->plain, n));

    mcx_wipe(db->plain, n);
    return err;
}

mcx_err
store_unseal(struct mcx_store_db *db, struct mcx_bytes aad,
             sqlite3_stmt *stmt, int column, size_t *n)
{
    const void *p = sqlite3_column_blob(stmt, column);
    size_t size = (size_t)sqlite3_column_bytes(stmt, column);

    if (!p || size < MCX_SEAL_MORE || size - MCX_SEAL_MORE > STORE_BODY) {
        return MCX_E_AUTH;
    }
    *n = size - MCX_SEAL_MORE;
    return mcx_unseal(db->plain, db->sealer, aad, mcx_bytes(p, size));
}

/* ---- the key-encryption key -------------------------------------------- */

static mcx_err
say(struct mcx_text *text, mcx_err err, const char *what, const char *path)
{
    (void)snprintf(text->s, sizeof text->s, "%.150s: %.80s", path, what);
    return err;
}

/* A file of ours, or root's, that nobody else can read. */
static mcx_err
ours_alone(const struct stat *st, const char *path, struct mcx_text *text)
{
    if (!S_ISREG(st->st_mode)) {
        return say(text, MCX_E_CONFIG, "is not a file", path);
    }
    if ((st->st_mode & 077) != 0) {
        return say(text, MCX_E_CONFIG, "open to others; chmod 600 it", path);
    }
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        return say(text, MCX_E_CONFIG, "belongs to another user", path);
    }
    return MCX_OK;
}

/* Reads a file that must be nobody's but its owner's. */
static mcx_err
read_private(const struct mcx_env *env, const char *path, char **out,
             size_t *n, struct mcx_text *text)
{
    struct stat st;

    if (stat(path, &st) == 0) {
        MCX_TRY(ours_alone(&st, path, text));
    }
    if (env->read_file(env->ctx, path, KEY_FILE_MAX, out, n) != MCX_OK) {
        return say(text, MCX_E_CONFIG, "cannot be read", path);
    }
    return MCX_OK;
}

static mcx_err
kek_from_file(struct mcx_seal_key *kek, const struct mcx_store_config *config,
              struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0, room;
    mcx_err err = MCX_E_CONFIG;

    MCX_TRY(read_private(config->env, config->key_file, &s, &n, text));
    room = n;
    if (n == sizeof kek->b) {
        memcpy(kek->b, s, sizeof kek->b);
        err = MCX_OK;
    } else {
        while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r')) {
            n--;
        }
        if (n == 2 * sizeof kek->b
            && mcx_hex_decode(kek->b, sizeof kek->b, mcx_bytes(s, n), NULL)
                   == MCX_OK) {
            err = MCX_OK;
        }
    }
    mcx_wipe(s, room);
    free(s);
    return err == MCX_OK ? MCX_OK
                         : say(text, err, "expected 32 octets or 64 "
                               "hexadecimal digits", config->key_file);
}

/* 'head': sort, log2 N, r, p, salt. */
static mcx_err
kek_from_passphrase(struct mcx_seal_key *kek,
                    const struct mcx_store_config *config,
                    const uint8_t head[KEK_HEAD], struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0, room;
    mcx_err err;

    /* These stand in the file, and cost time and memory before anything is
     * known of who wrote them. */
    if (head[1] < 1 || head[1] > MCX_STORE_SCRYPT_LOG2_MAX || head[2] != 8
        || head[3] != 1) {
        return MCX_E_AUTH;
    }
    MCX_TRY(read_private(config->env, config->passphrase_file, &s, &n,
                         text));
    room = n;
    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r')) {
        n--;
    }
    err = n == 0 ? say(text, MCX_E_CONFIG, "no passphrase in it",
                       config->passphrase_file)
                 : mcx_seal_scrypt(kek, mcx_bytes(s, n),
                                   mcx_bytes(head + 4, SALT), head[1],
                                   head[2], head[3]);
    mcx_wipe(s, room);
    free(s);
    return err;
}

static enum kek_sort
sort_of(const struct mcx_store_config *config)
{
    return config->key_file          ? KEK_FILE
           : config->passphrase_file ? KEK_PASSPHRASE
                                     : KEK_ELEMENT;
}

static size_t
wrapped_aad(const struct mcx_store_db *db, uint8_t out[WRAPPED_AAD],
            const uint8_t head[KEK_HEAD])
{
    static const char label[] = "mcx-store keys";

    memcpy(out, label, sizeof label);
    out[sizeof label] = MCX_STORE_VERSION;
    memcpy(out + sizeof label + 1, db->uid, STORE_UID);
    memcpy(out + sizeof label + 1 + STORE_UID, head, KEK_HEAD);
    return sizeof label + 1 + STORE_UID + KEK_HEAD;
}

static mcx_err
kek_sealer(struct mcx_sealer **out, const struct mcx_store_config *config,
           const uint8_t head[KEK_HEAD], struct mcx_text *text)
{
    MCX_SECRET(mcx_seal_key, kek);

    MCX_TRY(config->key_file
                ? kek_from_file(&kek, config, text)
                : kek_from_passphrase(&kek, config, head, text));
    return mcx_sealer_new(out, &kek);
}

static mcx_err
wrap(struct mcx_store_db *db, const struct mcx_store_config *config,
     const uint8_t head[KEK_HEAD], uint8_t out[MCX_STORE_WRAP_MAX], size_t *n,
     struct mcx_text *text)
{
    struct mcx_bytes in = mcx_bytes(db->keys, sizeof *db->keys);
    struct mcx_sealer *s = NULL;
    uint8_t aad[WRAPPED_AAD];
    mcx_err err;

    if (sort_of(config) == KEK_ELEMENT) {
        *n = MCX_STORE_WRAP_MAX;
        return config->kek->wrap(config->kek->ctx, in, out, n);
    }
    MCX_TRY(kek_sealer(&s, config, head, text));
    err = mcx_seal(out, s, db->env, NULL,
                   mcx_bytes(aad, wrapped_aad(db, aad, head)), in);
    mcx_sealer_free(s);
    *n = in.n + MCX_SEAL_MORE;
    return err;
}

static mcx_err
unwrap(struct mcx_store_db *db, const struct mcx_store_config *config,
       const uint8_t head[KEK_HEAD], struct mcx_bytes in,
       struct mcx_text *text)
{
    struct mcx_sealer *s = NULL;
    uint8_t aad[WRAPPED_AAD];
    size_t n = sizeof *db->keys;
    mcx_err err;

    if (sort_of(config) == KEK_ELEMENT) {
        MCX_TRY(config->kek->unwrap(config->kek->ctx, in,
                                    (uint8_t *)db->keys, &n));
        return n == sizeof *db->keys ? MCX_OK : MCX_E_AUTH;
    }
    if (in.n != sizeof *db->keys + MCX_SEAL_MORE) {
        return MCX_E_AUTH;
    }
    MCX_TRY(kek_sealer(&s, config, head, text));
    err = mcx_unseal((uint8_t *)db->keys, s,
                     mcx_bytes(aad, wrapped_aad(db, aad, head)), in);
    mcx_sealer_free(s);
    return err;
}

/* ---- opening ----------------------------------------------------------- */

static void
sql_close(struct mcx_store_db *db)
{
    int i;

    for (i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(db->stmt[i]);
        db->stmt[i] = NULL;
    }
    (void)sqlite3_close(db->sql);
    db->sql = NULL;
}

static mcx_err
sql_open(struct mcx_store_db *db, const struct mcx_store_config *config,
         int flags)
{
    static const char pragmas[] =
        "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
        "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;";
    int rc = sqlite3_open_v2(config->path, &db->sql,
                             flags | SQLITE_OPEN_PRIVATECACHE, config->vfs);

    if (rc == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(db->sql, 1);
        (void)sqlite3_busy_timeout(db->sql, MCX_STORE_BUSY_MS);
        (void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
                                NULL);
        (void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_VIEW, 0,
                                NULL);
        rc = sqlite3_exec(db->sql, pragmas, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK && config->exclusive
        && !(flags & SQLITE_OPEN_READONLY)) {
        rc = sqlite3_exec(db->sql, "PRAGMA locking_mode=EXCLUSIVE", NULL,
                          NULL, NULL);
    }
    return rc == SQLITE_OK ? MCX_OK : store_error(db, rc);
}

/* Is each table and index one of ours, to the letter, and nothing missing? */
static mcx_err
schema_ok(struct mcx_store_db *db, bool *ok)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->sql, "SELECT sql FROM sqlite_schema"
                                " WHERE sql IS NOT NULL", -1, &stmt, NULL);
    int n = 0;

    *ok = true;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        const char *part;

        rc = sqlite3_step(stmt);
        part = rc == SQLITE_ROW
                   ? (const char *)sqlite3_column_text(stmt, 0)
                   : NULL;
        if (part && strcmp(part, "CREATE TABLE sqlite_sequence(name,seq)")
                        != 0) {
            *ok = *ok && strlen(part) > 20 && strstr(SCHEMA, part);
            n++;
        }
    }
    *ok = *ok && n == SCHEMA_PARTS;
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? MCX_OK : store_error(db, rc);
}

static mcx_err
sql_int(struct mcx_store_db *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL);

    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? MCX_OK : store_error(db, rc);
}

/* A value that must be there. */
static mcx_err
head_part(struct mcx_store_db *db, const char *name, uint8_t *out,
          size_t room, size_t *n)
{
    mcx_err err = store_meta_get(db, name, out, room, n);

    return err == MCX_E_NO_KEY || err == MCX_E_MALFORMED ? MCX_E_AUTH : err;
}

/* In words for who has to do something about it. */
static const char *
why_not(struct mcx_store_db *db)
{
    switch (sqlite3_errcode(db->sql) & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return "cannot be read as a store";
    case SQLITE_BUSY:
        return "cannot be read: another process has it for itself";
    default:
        return "cannot be opened: is the disk full, or read-only?";
    }
}

/* Reads the head and finds the store's keys.  MCX_E_NO_KEY: the file is there
 * and empty.  MCX_E_STATE: its making was cut short, and only one who may
 * write can undo what there is of it. */
static mcx_err
read_head_parts(struct mcx_store_db *db, const struct mcx_store_config *config,
          struct mcx_text *text)
{
    static const char *const sorts[] = {
        "?", "made with a key file", "made with a passphrase",
        "made with a secure element"
    };
    uint8_t head[KEK_HEAD], wrapped[MCX_STORE_WRAP_MAX];
    int64_t id = 0, version = 0, tables = 0;
    size_t n = 0;
    bool ok = false;
    mcx_err err;

    err = sql_int(db, "PRAGMA application_id", &id);
    if (err == MCX_OK) {
        err = sql_int(db, "PRAGMA user_version", &version);
    }
    if (err == MCX_OK) {
        err = sql_int(db, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (err != MCX_OK
        && sqlite3_extended_errcode(db->sql) == SQLITE_READONLY_ROLLBACK) {
        return MCX_E_STATE;
    }
    if (err != MCX_OK) {
        return say(text, err, why_not(db), config->path);
    }
    if (id == 0 && version == 0 && tables == 0) {
        return MCX_E_NO_KEY;
    }
    if (id != APPLICATION_ID) {
        return say(text, MCX_E_CONFIG, "is no store", config->path);
    }
    if (version != MCX_STORE_VERSION) {
        return say(text, MCX_E_UNSUPPORTED,
                   version > MCX_STORE_VERSION
                       ? "was made by a newer version of this program"
                       : "was made by an older version of this program, "
                         "which this one cannot read",
                   config->path);
    }
    MCX_TRY(schema_ok(db, &ok));
    if (!ok) {
        return say(text, MCX_E_AUTH, "its tables were changed; nothing was "
                   "changed", config->path);
    }
    err = head_part(db, "uid", db->uid, sizeof db->uid, &n);
    if (err == MCX_OK && n == sizeof db->uid) {
        err = head_part(db, "kek", head, sizeof head, &n);
    }
    if (err == MCX_OK && n == sizeof head) {
        err = head_part(db, "keys", wrapped, sizeof wrapped, &n);
    } else if (err == MCX_OK) {
        err = MCX_E_AUTH;
    }
    if (err == MCX_E_AUTH) {
        return say(text, err, "the head is damaged", config->path);
    }
    MCX_TRY(err);
    if (head[0] != sort_of(config)) {
        return say(text, MCX_E_CONFIG, sorts[head[0] < 4 ? head[0] : 0],
                   config->path);
    }
    err = unwrap(db, config, head, mcx_bytes(wrapped, n), text);
    if (err == MCX_E_AUTH) {
        return say(text, err, "wrong key, or the head was changed; nothing "
                   "was changed", config->path);
    }
    return err;
}

/* The same in one snapshot: who reads statement by statement while another
 * makes the store sees an id without a version, and takes it for something
 * else. */
static mcx_err
read_head(struct mcx_store_db *db, const struct mcx_store_config *config,
          struct mcx_text *text)
{
    bool own = sqlite3_get_autocommit(db->sql) != 0;
    mcx_err err;

    if (own && sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return say(text, store_error(db, sqlite3_errcode(db->sql)),
                   "cannot be read", config->path);
    }
    err = read_head_parts(db, config, text);
    if (own && !sqlite3_get_autocommit(db->sql)) {
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

/* Write-ahead logging and full syncs.  Turning the former on wants the file
 * for itself, and SQLite asks for that without waiting: so we wait. */
static int
set_modes(struct mcx_store_db *db)
{
    const struct timespec pause = { 0, 20000000 };
    int tries = MCX_STORE_BUSY_MS / 20, rc;

    if (db->exclusive) { /* who has it open will not let go in seconds */
        tries = 10;
        (void)sqlite3_busy_timeout(db->sql, 0);
    }
    do {
        rc = sqlite3_exec(db->sql, "PRAGMA journal_mode=WAL;"
                          "PRAGMA synchronous=FULL;", NULL, NULL, NULL);
    } while ((rc & 0xff) == SQLITE_BUSY && tries-- > 0
             && nanosleep(&pause, NULL) == 0);
    (void)sqlite3_busy_timeout(db->sql, MCX_STORE_BUSY_MS);
    return rc;
}

mcx_err
store_keys_put(struct mcx_store_db *db, const struct mcx_store_config *config,
               struct mcx_text *text)
{
    uint8_t head[KEK_HEAD] = { 0 }, wrapped[MCX_STORE_WRAP_MAX];
    unsigned log2_n = config->scrypt_log2_n ? config->scrypt_log2_n
                                            : MCX_STORE_SCRYPT_LOG2_N;
    size_t n = 0;

    head[0] = (uint8_t)sort_of(config);
    if (head[0] == KEK_PASSPHRASE) {
        head[1] = (uint8_t)log2_n;
        head[2] = 8;
        head[3] = 1;
        MCX_TRY(db->env->random(db->env->ctx, head + 4, SALT));
    }
    MCX_TRY(wrap(db, config, head, wrapped, &n, text));
    MCX_TRY(store_meta_put(db, "kek", mcx_bytes(head, sizeof head)));
    return store_meta_put(db, "keys", mcx_bytes(wrapped, n));
}

/* Makes tables and head in an empty file.  The caller has a transaction. */
static mcx_err
make(struct mcx_store_db *db, const struct mcx_store_config *config,
     struct mcx_text *text)
{
    const struct mcx_env *env = db->env;
    char pragmas[80];
    int rc;

    MCX_TRY(env->random(env->ctx, db->uid, sizeof db->uid));
    MCX_TRY(env->random(env->ctx, db->keys, sizeof *db->keys));
    (void)snprintf(pragmas, sizeof pragmas,
                   "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   APPLICATION_ID, MCX_STORE_VERSION);
    rc = sqlite3_exec(db->sql, SCHEMA, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db->sql, pragmas, NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        return store_error(db, rc);
    }
    MCX_TRY(store_meta_put(db, "uid", mcx_bytes(db->uid, STORE_UID)));
    MCX_TRY(store_keys_put(db, config, text));
    MCX_TRY(mcx_sealer_new(&db->sealer, &db->keys->data));
    return store_log_start(db);
}

/* The file itself, with its permissions, before SQLite sees it. */
static mcx_err
touch(const struct mcx_store_config *config, struct mcx_text *text)
{
    int fd = open(config->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno != EEXIST) {
        return say(text, MCX_E_IO, strerror(errno), config->path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return MCX_OK;
}

/* Looks at what is there, on a connection that cannot write. */
static mcx_err
probe(struct mcx_store_db *db, const struct mcx_store_config *config,
      struct mcx_text *text)
{
    mcx_err err = sql_open(db, config, SQLITE_OPEN_READONLY);

    if (err == MCX_OK) {
        (void)sqlite3_db_config(db->sql,
                                SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        err = read_head(db, config, text);
    } else {
        err = say(text, err, "cannot be opened", config->path);
    }
    sql_close(db);
    return err;
}

static mcx_err
open_or_make(struct mcx_store_db *db, const struct mcx_store_config *config,
             struct mcx_text *text)
{
    struct stat st;
    mcx_err err;
    bool there = stat(config->path, &st) == 0;
    int rc;

    if (!there && !config->create) {
        return say(text, MCX_E_IO, "no such store", config->path);
    }
    if (there) {
        MCX_TRY(ours_alone(&st, config->path, text));
    }
    err = there ? probe(db, config, text) : touch(config, text);
    if (config->create && (err == MCX_E_NO_KEY || err == MCX_E_STATE)) {
        err = MCX_OK; /* somebody began to make it and did not finish */
    } else if (err == MCX_E_NO_KEY || err == MCX_E_STATE) {
        err = say(text, MCX_E_IO, "is empty", config->path);
    }
    MCX_TRY(err);
    MCX_TRY(sql_open(db, config, SQLITE_OPEN_READWRITE));
    rc = set_modes(db);
    if (config->exclusive && (rc & 0xff) == SQLITE_BUSY) {
        return say(text, MCX_E_BUSY, "is open in another process; stop that "
                   "first", config->path);
    }
    if (rc != SQLITE_OK) {
        return say(text, store_error(db, rc), sqlite3_errmsg(db->sql),
                   config->path);
    }
    err = read_head(db, config, text);
    if (err == MCX_E_NO_KEY) {
        MCX_TRY(store_run(db, store_stmt(db, SQL_BEGIN)));
        err = read_head(db, config, text); /* made by another meanwhile? */
        if (err == MCX_E_NO_KEY) {
            err = store_end(db, make(db, config, text));
        } else {
            (void)store_end(db, MCX_E_STATE);
        }
    }
    return err;
}

mcx_err
store_one_source(const struct mcx_store_config *config, const char *path,
                 struct mcx_text *text)
{
    int given = !!config->key_file + !!config->passphrase_file
                + !!config->kek;

    return given == 1 ? MCX_OK
                      : say(text, MCX_E_CONFIG, "expected one of a key file, "
                            "a passphrase file and a secure element", path);
}

mcx_err
mcx_store_open(struct mcx_store_db **out,
               const struct mcx_store_config *config, struct mcx_text *text)
{
    struct mcx_store_db *db;
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    text->s[0] = '\0';
    if (!config->path) {
        return say(text, MCX_E_CONFIG, "expected its file", "store");
    }
    MCX_TRY(store_one_source(config, config->path, text));
    db = calloc(1, sizeof *db);
    if (db) {
        db->env = config->env;
        db->clear_ids = config->clear_ids;
        db->no_log = config->no_log;
        db->exclusive = config->exclusive;
        db->log_entries = config->log_entries;
        db->log_files = config->log_files;
        db->path = strdup(config->path);
        db->log = mcx_guard_new(sizeof *db->log);
        (void)snprintf(db->by, sizeof db->by, "%s",
                       config->by ? config->by : "");
        db->keys = mcx_guard_new(sizeof *db->keys);
        db->plain = mcx_guard_new(STORE_BODY);
        db->out = malloc(STORE_BODY + MCX_SEAL_MORE);
    }
    if (db && db->keys && db->plain && db->out && db->log && db->path) {
        err = open_or_make(db, config, text);
    }
    if (err == MCX_OK && !db->sealer) {
        err = mcx_sealer_new(&db->sealer, &db->keys->data);
    }
    if (err != MCX_OK) {
        if (!text->s[0]) {
            (void)say(text, err, mcx_err_text(err), config->path);
        }
        mcx_store_close(db);
        return err;
    }
    *out = db;
    return MCX_OK;
}

void
mcx_store_close(struct mcx_store_db *db)
{
    if (!db) {
        return;
    }
    if (db->sql && db->sealer) {
        (void)store_checkpoint(db);
    }
    sql_close(db);
    mcx_sealer_free(db->sealer);
    store_epoch_forget(db);
    mcx_guard_free(db->log);
    mcx_guard_free(db->keys);
    free(db->path);
    mcx_guard_free(db->plain);
    free(db->out);
    free(db);
}
