/* store_pg.c -- the store of a KMS in PostgreSQL, for several servers of one
 * domain.  See store.h.  The only file that sees libpq.
 *
 * A transaction that writes begins with an advisory lock, the same for all
 * servers: the audit log is one chain, so writers take turns.  The lock goes
 * with the transaction, and the transaction with the connection, so a server
 * that is killed leaves nothing half done and nothing locked.  A connection
 * that broke is made again with the next transaction or look-up. */
#include <config.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include "store.h"

enum stmt {
    S_HEAD, S_LOG, S_USER, S_ADD, S_REVOKE, S_ISSUED, S_KEYS,
    S_PUT_KEYS, S_COUNT, S_ODD, S_N
};
static const struct {
    const char *name, *sql;
    int n;
} stmts[S_N] = {
    [S_HEAD] = { "head", "SELECT seq, encode(mac, 'hex') FROM mcx_kms.audit "
                 "ORDER BY seq DESC LIMIT 1", 0 },
    [S_LOG] = { "log", "INSERT INTO mcx_kms.audit VALUES ($1, $2, $3, $4, $5,"
                " $6, decode($7, 'hex'))", 7 },
    [S_USER] = { "usr", "SELECT revoked_ms IS NOT NULL FROM mcx_kms.users "
                 "WHERE uri = $1", 1 },
    [S_ADD] = { "add", "INSERT INTO mcx_kms.users VALUES ($1, $2, NULL)", 2 },
    [S_REVOKE] = { "revoke", "UPDATE mcx_kms.users SET revoked_ms = $2 WHERE "
                   "uri = $1", 2 },
    [S_ISSUED] = { "issued", "INSERT INTO mcx_kms.issued VALUES ($1, $3, $2, "
                   "$2, 1) ON CONFLICT (uri, period_no) DO UPDATE SET "
                   "last_ms = $2, times = issued.times + 1", 3 },
    [S_KEYS] = { "keys", "SELECT serial, encode(sealed, 'hex') FROM "
                 "mcx_kms.user_keys WHERE uri = $1", 1 },
    [S_PUT_KEYS] = { "put_keys", "INSERT INTO mcx_kms.user_keys VALUES ($1, "
                     "$2, decode($3, 'hex')) ON CONFLICT (uri) DO UPDATE SET "
                     "serial = $2, sealed = decode($3, 'hex')", 3 },
    /* Each user is added once and revoked once at most, and keys have numbers
     * from 1 on. */
    [S_ODD] = { "odd", "SELECT uri FROM (SELECT uri, 1 AS a, CASE WHEN "
                "revoked_ms IS NULL THEN 0 ELSE 1 END AS r, 0 AS k FROM "
                "mcx_kms.users UNION ALL SELECT uri, 0, 0, serial FROM "
                "mcx_kms.user_keys UNION ALL SELECT uri, CASE what WHEN "
                "'user-add' THEN -1 ELSE 0 END, CASE what WHEN "
                "'user-revoke' THEN -1 ELSE 0 END, CASE what WHEN "
                "'user-keys' THEN -1 ELSE 0 END FROM mcx_kms.audit "
                "WHERE what IN ('user-add', 'user-revoke', "
                "'user-keys')) AS x GROUP BY uri HAVING sum(a) <> 0 OR "
                "sum(r) <> 0 OR sum(k) <> 0 LIMIT 1", 0 },
    [S_COUNT] = { "cnt", "SELECT (SELECT count(*) FROM mcx_kms.users), "
                  "(SELECT count(*) FROM mcx_kms.users WHERE revoked_ms IS "
                  "NOT NULL), (SELECT count(*) FROM mcx_kms.issued)", 0 },
};

/* 0x6d63786b is "mcxk": which lock of the database is ours. */
static const char take_turn[] =
    "SELECT pg_advisory_xact_lock(1835235435)";
static const char session[] = "SET lock_timeout = 5000; SET "
                              "client_encoding = 'UTF8'";
/* Under the lock, for two servers may begin at once. */
static const char schema[] =
    "CREATE SCHEMA IF NOT EXISTS mcx_kms;"
    "CREATE TABLE IF NOT EXISTS mcx_kms.users (uri text PRIMARY KEY, added_ms"
    " bigint NOT NULL, revoked_ms bigint);"
    "CREATE TABLE IF NOT EXISTS mcx_kms.issued (uri text NOT NULL, period_no "
    "bigint NOT NULL, first_ms bigint NOT NULL, last_ms bigint NOT NULL, "
    "times bigint NOT NULL, PRIMARY KEY (uri, period_no));"
    "CREATE TABLE IF NOT EXISTS mcx_kms.user_keys (uri text PRIMARY KEY, "
    "serial bigint NOT NULL, sealed bytea NOT NULL);"
    "CREATE TABLE IF NOT EXISTS mcx_kms.audit (seq bigint PRIMARY KEY, "
    "unix_ms bigint NOT NULL, what text NOT NULL, uri text NOT NULL, "
    "period_no bigint NOT NULL, detail text NOT NULL, mac bytea NOT NULL);";

struct kms_db {
    PGconn *pg;
    bool writing; /* between begin and commit or rollback */
    const struct mcx_env *env;
};

enum { NUMBER_MAX = 24 };

static void
number(char out[NUMBER_MAX], int64_t v)
{
    (void)snprintf(out, NUMBER_MAX, "%" PRId64, v);
}

/* The first line of what the server says: it names tables and locks, never a
 * password. */
static mcx_err
broken(struct kms_db *db, const PGresult *res)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *say = PQerrorMessage(db->pg);
    int n = (int)strcspn(say, "\n");

    mcx_log(db->env, MCX_AREA_KMS, 3, "store: %.*s", n, say);
    /* Gone, going down, no lock in time, or out of turn: try again. */
    return PQstatus(db->pg) != CONNECTION_OK || !state
                   || strncmp(state, "57", 2) == 0
                   || strncmp(state, "55P03", 5) == 0
                   || strncmp(state, "40", 2) == 0
                   || strncmp(state, "53", 2) == 0
               ? MCX_E_BUSY
               : MCX_E_IO;
}

/* Takes 'res' over; it may be of any kind that is no error. */
static mcx_err
fine(struct kms_db *db, PGresult *res)
{
    ExecStatusType s = PQresultStatus(res);
    mcx_err err = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK
                      ? MCX_OK
                      : broken(db, res);

    PQclear(res);
    return err;
}

static mcx_err
simple(struct kms_db *db, const char *sql)
{
    return fine(db, PQexec(db->pg, sql));
}

/* Runs a prepared statement; rows in '*out', to be cleared. */
static mcx_err
rows(struct kms_db *db, PGresult **out, enum stmt s, const char *const *args)
{
    PGresult *res = PQexecPrepared(db->pg, stmts[s].name, stmts[s].n, args,
                                   NULL, NULL, 0);
    ExecStatusType st = PQresultStatus(res);
    mcx_err err;

    if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
        *out = res;
        return MCX_OK;
    }
    err = broken(db, res);
    PQclear(res);
    return err;
}

static mcx_err
run(struct kms_db *db, enum stmt s, const char *const *args)
{
    PGresult *res = NULL;

    MCX_TRY(rows(db, &res, s, args));
    PQclear(res);
    return MCX_OK;
}

static uint64_t
value(const PGresult *res, int row, int column)
{
    return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* ---- life -------------------------------------------------------------- */

static mcx_err
prepare(struct kms_db *db)
{
    size_t i;

    MCX_TRY(simple(db, session));
    for (i = 0; i < S_N; i++) {
        MCX_TRY(fine(db, PQprepare(db->pg, stmts[i].name, stmts[i].sql,
                                   stmts[i].n, NULL)));
    }
    return MCX_OK;
}

/* A connection that broke is made again, once. */
static mcx_err
connected(struct kms_db *db)
{
    if (PQstatus(db->pg) == CONNECTION_OK) {
        return MCX_OK;
    }
    PQreset(db->pg);
    if (PQstatus(db->pg) != CONNECTION_OK) {
        return broken(db, NULL);
    }
    return prepare(db);
}

static void
db_close(struct kms_db *db)
{
    PQfinish(db->pg);
    free(db);
}

static void
quiet(void *arg, const char *message)
{
    (void)arg;
    (void)message; /* "relation exists, skipping" */
}

static mcx_err
make_tables(struct kms_db *db)
{
    mcx_err err = simple(db, "BEGIN");

    if (err == MCX_OK) {
        err = simple(db, take_turn);
    }
    if (err == MCX_OK) {
        err = simple(db, schema);
    }
    if (err == MCX_OK) {
        err = simple(db, "COMMIT");
    }
    return err;
}

static mcx_err
db_open(struct kms_db **out, const char *where, const struct mcx_env *env,
        struct mcx_text *text)
{
    struct kms_db *db = calloc(1, sizeof *db);
    mcx_err err = MCX_E_NOMEM;

    if (!db) {
        return err;
    }
    db->env = env;
    db->pg = PQconnectdb(where);
    if (PQstatus(db->pg) != CONNECTION_OK) {
        err = MCX_E_IO;
    } else {
        (void)PQsetNoticeProcessor(db->pg, quiet, NULL);
        err = make_tables(db);
    }
    if (err == MCX_OK) {
        err = prepare(db);
    }
    if (err != MCX_OK) {
        const char *say = PQerrorMessage(db->pg);

        /* 'where' may hold a password. */
        (void)snprintf(text->s, sizeof text->s, "PostgreSQL: %.*s",
                       (int)strcspn(say, "\n"), say);
        db_close(db);
        return err;
    }
    *out = db;
    return MCX_OK;
}

static mcx_err
db_begin(struct kms_db *db)
{
    mcx_err err = connected(db);

    if (err == MCX_OK) {
        err = simple(db, "BEGIN");
    }
    /* That a connection is dead shows with its first use. */
    if (err != MCX_OK && PQstatus(db->pg) != CONNECTION_OK) {
        MCX_TRY(connected(db));
        err = simple(db, "BEGIN");
    }
    db->writing = err == MCX_OK;
    return err == MCX_OK ? simple(db, take_turn) : err;
}

static mcx_err
db_commit(struct kms_db *db)
{
    PGresult *res = PQexec(db->pg, "COMMIT");
    /* COMMIT of a transaction that failed says ROLLBACK and no error. */
    bool done = PQresultStatus(res) == PGRES_COMMAND_OK
                && strcmp(PQcmdStatus(res), "COMMIT") == 0;
    mcx_err err = done ? MCX_OK : broken(db, res);

    PQclear(res);
    db->writing = !done;
    return err;
}

static void
db_rollback(struct kms_db *db)
{
    db->writing = false;
    if (PQstatus(db->pg) == CONNECTION_OK
        && PQtransactionStatus(db->pg) != PQTRANS_IDLE) {
        PQclear(PQexec(db->pg, "ROLLBACK"));
    }
}

/* ---- rows -------------------------------------------------------------- */

static void
take_mac(uint8_t out[MCX_SEAL_MAC_SIZE], const char *hex)
{
    if (mcx_hex_decode(out, MCX_SEAL_MAC_SIZE, mcx_bytes_str(hex), NULL)
        != MCX_OK) {
        memset(out, 0, MCX_SEAL_MAC_SIZE);
    }
}

static mcx_err
db_head(struct kms_db *db, uint64_t *seq, uint8_t mac[MCX_SEAL_MAC_SIZE])
{
    PGresult *res = NULL;

    *seq = 0;
    memset(mac, 0, MCX_SEAL_MAC_SIZE);
    MCX_TRY(rows(db, &res, S_HEAD, NULL));
    if (PQntuples(res) == 1) {
        *seq = value(res, 0, 0);
        take_mac(mac, PQgetvalue(res, 0, 1));
    }
    PQclear(res);
    return MCX_OK;
}

static mcx_err
db_log(struct kms_db *db, const struct kms_entry *e)
{
    char seq[NUMBER_MAX], ms[NUMBER_MAX], period[NUMBER_MAX];
    char mac[MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE)];
    const char *args[] = { seq,    ms,        e->what, e->user,
                           period, e->detail, mac };

    number(seq, (int64_t)e->seq);
    number(ms, e->unix_ms);
    number(period, (int64_t)e->period_no);
    MCX_TRY(mcx_hex_encode(mac, sizeof mac,
                           mcx_bytes(e->mac, sizeof e->mac)));
    return run(db, S_LOG, args);
}

/* Rows about one user; once more when the connection was lost.  A transaction
 * that broke is not gone on with. */
static mcx_err
about(struct kms_db *db, PGresult **res, enum stmt s, const char *uri)
{
    mcx_err err = rows(db, res, s, &uri);

    if (err != MCX_OK && !db->writing && PQstatus(db->pg) != CONNECTION_OK) {
        MCX_TRY(connected(db));
        err = rows(db, res, s, &uri);
    }
    return err;
}

static mcx_err
db_keys(struct kms_db *db, const char *uri, uint8_t out[KMS_KEYS_MAX],
        size_t *n, uint64_t *serial)
{
    PGresult *res = NULL;

    *n = 0;
    *serial = 0;
    MCX_TRY(about(db, &res, S_KEYS, uri));
    if (PQntuples(res) == 1) {
        struct mcx_bytes hex = mcx_bytes_str(PQgetvalue(res, 0, 1));

        *serial = value(res, 0, 0);
        *n = hex.n / 2;
        if (hex.n < 2 || hex.n > 2 * KMS_KEYS_MAX
            || mcx_hex_decode(out, *n, hex, NULL) != MCX_OK) {
            out[0] = 0; /* a row that nobody of us wrote: opens nothing */
            *n = 1;
        }
    }
    PQclear(res);
    return MCX_OK;
}

static mcx_err
db_put_keys(struct kms_db *db, const char *uri, uint64_t serial,
            struct mcx_bytes sealed)
{
    char no[NUMBER_MAX], hex[MCX_HEX_SIZE(KMS_KEYS_MAX)];
    const char *args[] = { uri, no, hex };

    number(no, (int64_t)serial);
    MCX_TRY(mcx_hex_encode(hex, sizeof hex, sealed));
    return run(db, S_PUT_KEYS, args);
}

static mcx_err
db_user(struct kms_db *db, const char *uri, enum kms_user_state *out)
{
    PGresult *res = NULL;

    MCX_TRY(about(db, &res, S_USER, uri));
    *out = PQntuples(res) == 0                       ? KMS_USER_NONE
           : strcmp(PQgetvalue(res, 0, 0), "t") == 0 ? KMS_USER_REVOKED
                                                     : KMS_USER_ACTIVE;
    PQclear(res);
    return MCX_OK;
}

static mcx_err
change(struct kms_db *db, enum stmt s, const char *uri, int64_t unix_ms,
       uint64_t period_no)
{
    char ms[NUMBER_MAX], period[NUMBER_MAX];
    const char *args[] = { uri, ms, period };

    number(ms, unix_ms);
    number(period, (int64_t)period_no);
    return run(db, s, args);
}

static mcx_err
db_user_add(struct kms_db *db, const char *uri, int64_t unix_ms)
{
    return change(db, S_ADD, uri, unix_ms, 0);
}

static mcx_err
db_user_revoke(struct kms_db *db, const char *uri, int64_t unix_ms)
{
    return change(db, S_REVOKE, uri, unix_ms, 0);
}

static mcx_err
db_issued(struct kms_db *db, const char *uri, uint64_t period_no,
          int64_t unix_ms)
{
    return change(db, S_ISSUED, uri, unix_ms, period_no);
}

static mcx_err
db_count(struct kms_db *db, struct kms_counts *out)
{
    PGresult *res = NULL;

    MCX_TRY(connected(db));
    MCX_TRY(rows(db, &res, S_COUNT, NULL));
    out->users = value(res, 0, 0);
    out->revoked = value(res, 0, 1);
    out->issued = value(res, 0, 2);
    PQclear(res);
    return db_head(db, &out->entries, out->mac);
}

/* Runs 'sql' and calls 'each' row by row, so that a long log needs no memory;
 * what is left after an error is thrown away. */
static mcx_err
stream(struct kms_db *db, const char *sql,
       mcx_err (*each)(void *arg, const PGresult *row), void *arg)
{
    PGresult *res;
    mcx_err err = connected(db);

    if (err == MCX_OK
        && (!PQsendQuery(db->pg, sql) || !PQsetSingleRowMode(db->pg))) {
        err = broken(db, NULL);
    }
    if (err != MCX_OK) {
        return err;
    }
    while ((res = PQgetResult(db->pg)) != NULL) {
        ExecStatusType st = PQresultStatus(res);

        if (err == MCX_OK && st == PGRES_SINGLE_TUPLE) {
            err = each(arg, res);
        } else if (err == MCX_OK && st != PGRES_TUPLES_OK) {
            err = broken(db, res);
        }
        PQclear(res);
    }
    return err;
}

struct user_walk {
    void (*each)(void *arg, const char *uri, enum kms_user_state state);
    void *arg;
};

static mcx_err
user_row(void *arg, const PGresult *row)
{
    struct user_walk *w = arg;

    w->each(w->arg, PQgetvalue(row, 0, 0),
            strcmp(PQgetvalue(row, 0, 1), "t") == 0 ? KMS_USER_REVOKED
                                                    : KMS_USER_ACTIVE);
    return MCX_OK;
}

static mcx_err
db_users(struct kms_db *db,
         void (*each)(void *arg, const char *uri, enum kms_user_state state),
         void *arg)
{
    struct user_walk w = { each, arg };

    return stream(db, "SELECT uri, revoked_ms IS NOT NULL FROM mcx_kms.users "
                  "ORDER BY uri COLLATE \"C\"", user_row, &w);
}

struct entry_walk {
    mcx_err (*each)(void *arg, const struct kms_entry *e);
    void *arg;
};

static mcx_err
entry_row(void *arg, const PGresult *row)
{
    struct entry_walk *w = arg;
    struct kms_entry e = { 0 };

    e.seq = value(row, 0, 0);
    e.unix_ms = (int64_t)value(row, 0, 1);
    (void)snprintf(e.what, sizeof e.what, "%s", PQgetvalue(row, 0, 2));
    (void)snprintf(e.user, sizeof e.user, "%s", PQgetvalue(row, 0, 3));
    e.period_no = value(row, 0, 4);
    (void)snprintf(e.detail, sizeof e.detail, "%s", PQgetvalue(row, 0, 5));
    take_mac(e.mac, PQgetvalue(row, 0, 6));
    return w->each(w->arg, &e);
}

static mcx_err
db_odd(struct kms_db *db, char uri[MCX_URI_MAX])
{
    PGresult *res = NULL;

    uri[0] = '\0';
    MCX_TRY(connected(db));
    MCX_TRY(rows(db, &res, S_ODD, NULL));
    if (PQntuples(res) > 0) {
        const char *s = PQgetvalue(res, 0, 0);

        (void)snprintf(uri, MCX_URI_MAX, "%s", *s ? s : "?");
    }
    PQclear(res);
    return MCX_OK;
}

static mcx_err
db_entries(struct kms_db *db,
           mcx_err (*each)(void *arg, const struct kms_entry *e), void *arg)
{
    struct entry_walk w = { each, arg };

    return stream(db, "SELECT seq, unix_ms, what, uri, period_no, detail, "
                  "encode(mac, 'hex') FROM mcx_kms.audit ORDER BY seq",
                  entry_row, &w);
}

const struct kms_db_ops kms_db_pg = {
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
