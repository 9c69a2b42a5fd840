/* test_kit.h -- what the tests of module store share: a clock, a folder, an
 * instance with keys and replay cache, keys by number. */
#ifndef STORE_TEST_KIT_H
#define STORE_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "store.h"

enum { KIT_SHIFT = 20 }; /* key numbers below 2^20 */

struct kit {
    char dir[64], path[96], key_file[96];
    struct mcx_env env;
    struct mcx_store_config config;
    struct mcx_keys *keys;
    struct mcx_replay *replay;
    struct store *store;
    struct mcx_text text;
};

static _Atomic int64_t kit_unix_ms = INT64_C(1800000000000);
static _Atomic int64_t kit_mono_ms = 1000000;

static int64_t
kit_unix(void *ctx)
{
    (void)ctx;
    return kit_unix_ms;
}

static int64_t
kit_mono(void *ctx)
{
    (void)ctx;
    return kit_mono_ms;
}

static inline void
kit_step(int64_t ms)
{
    kit_unix_ms += ms;
    kit_mono_ms += ms;
}

/* A folder below the build folder with a key file. */
static inline void
kit_init(struct kit *k)
{
    struct mcx_bytes hex = mcx_bytes("00112233445566778899aabbccddeeff"
                                     "0123456789abcdef0123456789abcdef\n",
                                     65);

    memset(k, 0, sizeof *k);
    (void)snprintf(k->dir, sizeof k->dir, "test-store.XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    (void)snprintf(k->path, sizeof k->path, "%s/keys.db", k->dir);
    (void)snprintf(k->key_file, sizeof k->key_file, "%s/kek", k->dir);
    k->env = *mcx_env_system();
    k->env.unix_ms = kit_unix;
    k->env.mono_ms = kit_mono;
    k->env.log = NULL;
    assert_int_equal(k->env.write_file(NULL, k->key_file, hex, 0600),
                     MCX_OK);
    k->config.env = &k->env;
    k->config.path = k->path;
    k->config.key_file = k->key_file;
    k->config.by = "test";
    k->config.create = true;
}

static inline mcx_err
kit_try(struct kit *k)
{
    mcx_err err;

    assert_int_equal(mcx_keys_new(&k->keys, &k->env, 200000), MCX_OK);
    assert_int_equal(mcx_replay_new(&k->replay, 10000), MCX_OK);
    err = store_new(&k->store, &k->config, k->keys, k->replay, &k->text);
    if (err != MCX_OK) {
        mcx_keys_free(k->keys);
        mcx_replay_free(k->replay);
        k->keys = NULL;
    }
    return err;
}

static inline void
kit_open(struct kit *k)
{
    mcx_err err = kit_try(k);

    if (err != MCX_OK) {
        print_error("%s: %s\n", mcx_err_text(err), k->text.s);
    }
    assert_int_equal(err, MCX_OK);
}

static inline void
kit_close(struct kit *k)
{
    if (k->keys) {
        store_free(k->store);
        mcx_keys_free(k->keys);
        mcx_replay_free(k->replay);
    }
    k->keys = NULL;
}

static inline void
kit_fini(struct kit *k)
{
    static const char *const names[] = { "keys.db", "keys.db-wal",
                                         "keys.db-shm", "kek", "pass",
                                         "copy.db", "keys.db-journal",
                                         "kek2" };
    char path[128];
    size_t i;

    kit_close(k);
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", k->dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(k->dir), 0);
}

/* Octets of key 'no': of no pattern that anything else has. */
static inline void
kit_octets(struct mcx_ssv *out, uint32_t no)
{
    uint32_t x = no * 2654435761u + 12345;
    size_t i;

    for (i = 0; i < sizeof out->b; i++) {
        x = x * 1664525u + 1013904223u;
        out->b[i] = (uint8_t)(x >> 24);
    }
}

static inline uint32_t
kit_id(unsigned kind, uint32_t no)
{
    return (uint32_t)kind << 28 | (no & 0xfffffff);
}

static inline void
kit_message(struct mcx_key_msg *km, struct mcx_key_owner *owner,
            unsigned kind, uint32_t no)
{
    kit_octets(&km->key, no);
    km->kind = kind;
    km->key_id = km->csb_id = kit_id(kind, no);
    km->t_unix_ms = kit_unix_ms;
    km->rand_n = 16;
    memset(km->rand, (int)(no & 0xff), 16);
    km->sp.encr_alg = 6;
    km->sp.key_size = 16;
    km->sp.salt_size = 12;
    (void)snprintf(km->initiator, sizeof km->initiator,
                   "sip:initiator%u@mcx.test", (unsigned)no);
    (void)snprintf(km->responder, sizeof km->responder,
                   "sip:responder@mcx.test");
    memset(owner, 0, sizeof *owner);
    (void)snprintf(owner->impu, sizeof owner->impu, "sip:impu%u@mcx.test",
                   (unsigned)no);
    (void)snprintf(owner->mc_id, sizeof owner->mc_id, "sip:mc%u@mcx.test",
                   (unsigned)no);
    (void)snprintf(owner->client_id, sizeof owner->client_id, "urn:uuid:%u",
                   (unsigned)no);
}

static inline mcx_err
kit_stage(struct kit *k, unsigned kind, uint32_t no, int64_t expiry_ms,
          struct mcx_key **out)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner;

    kit_message(&km, &owner, kind, no);
    if (expiry_ms) {
        km.params.present = true;
        km.params.status = 1;
        km.params.expiry_unix = expiry_ms / 1000;
    }
    return mcx_keys_stage(k->keys, &km, &owner, out, NULL);
}

/* A key that is there and active. */
static inline struct mcx_key *
kit_key(struct kit *k, unsigned kind, uint32_t no)
{
    struct mcx_key *key;

    assert_int_equal(kit_stage(k, kind, no, 0, &key), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    return key;
}

/* Has key 'no' the octets that it was made with? */
static inline void
kit_same(struct mcx_key *key, uint32_t no)
{
    MCX_SECRET(mcx_ssv, ssv);
    MCX_SECRET(mcx_tek, tek);
    uint8_t rand[16], want[16];
    struct mcx_key_info info;

    kit_octets(&ssv, no);
    mcx_key_info(&info, key);
    memset(rand, (int)(no & 0xff), sizeof rand);
    assert_int_equal(mcx_key_tek(&tek, key, 6), MCX_OK);
    assert_int_equal(mcx_mikey_derive(want, 16, 0,
                                      mcx_bytes(ssv.b, sizeof ssv.b),
                                      MCX_LABEL_TEK, 6, info.csb_id,
                                      mcx_bytes(rand, 16)), MCX_OK);
    assert_memory_equal(tek.key, want, 16);
}

/* State of the key with this ID; -1: there is none.  Checks its octets. */
static inline int
kit_state(struct kit *k, unsigned kind, uint32_t no)
{
    struct mcx_key *key = mcx_keys_by_id(k->keys, kind, kit_id(kind, no));
    struct mcx_key_info info;

    if (!key) {
        return -1;
    }
    mcx_key_info(&info, key);
    kit_same(key, no);
    mcx_key_unref(key);
    return (int)info.state;
}

/* Opens the file as mcx-keys does. */
static inline struct mcx_store_db *
kit_db(struct kit *k)
{
    struct mcx_store_db *db;
    mcx_err err = mcx_store_open(&db, &k->config, &k->text);

    if (err != MCX_OK) {
        print_error("%s\n", k->text.s);
    }
    assert_int_equal(err, MCX_OK);
    return db;
}

static inline void
kit_log_good(struct kit *k)
{
    struct mcx_store_db *db = kit_db(k);
    struct mcx_store_head head;
    mcx_err err = mcx_store_log_verify(db, NULL, &head, &k->text);

    if (err != MCX_OK) {
        print_error("%s\n", k->text.s);
    }
    assert_int_equal(err, MCX_OK);
    mcx_store_close(db);
}

static inline void
count_key(void *arg, const struct mcx_store_key *key)
{
    (void)key;
    ++*(uint32_t *)arg;
}

/* ---- the file, as somebody sees it who has no key ---------------------- */

static inline char *
slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = NULL;

    *n = 0;
    if (!f) {
        return NULL;
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    (void)fclose(f);
    return p;
}

/* Does the file or its WAL hold these octets? */
static inline bool
on_disk(const struct kit *k, const void *octets, size_t n)
{
    static const char *const tails[] = { "", "-wal" };
    bool found = false;
    char path[128];
    size_t i, size;

    for (i = 0; i < 2; i++) {
        char *p;

        (void)snprintf(path, sizeof path, "%s%s", k->path, tails[i]);
        p = slurp(path, &size);
        found = found || (p && memmem(p, size, octets, n));
        free(p);
    }
    return found;
}

static inline void
sql(const struct kit *k, const char *text)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", text, why);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first column of the first row as octets. */
static inline size_t
sql_blob(const struct kit *k, const char *text, uint8_t *out, size_t room)
{
    sqlite3_stmt *stmt;
    sqlite3 *db;
    size_t n;

    assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    n = (size_t)sqlite3_column_bytes(stmt, 0);
    assert_true(n <= room);
    if (n > 0) {
        memcpy(out, sqlite3_column_blob(stmt, 0), n);
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return n;
}

/* Runs a statement with one value, these octets. */
static inline void
sql_set(const struct kit *k, const char *text, const uint8_t *p, size_t n)
{
    sqlite3_stmt *stmt;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(stmt, 1, p, (int)n, SQLITE_STATIC),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static inline int64_t
sql_number(const struct kit *k, const char *text)
{
    sqlite3_stmt *stmt;
    int64_t n;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    n = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return n;
}

static inline void
nap(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&ts, NULL);
}

static inline void
refused(struct kit *k, mcx_err want, const char *says)
{
    char wal[128], *a, *b, *c, *d;
    size_t na, nb, nc, nd;

    (void)snprintf(wal, sizeof wal, "%s-wal", k->path);
    a = slurp(k->path, &na);
    c = slurp(wal, &nc);
    assert_int_equal(kit_try(k), want);
    if (!strstr(k->text.s, says)) {
        fail_msg("\"%s\" lacks \"%s\"", k->text.s, says);
    }
    b = slurp(k->path, &nb);
    d = slurp(wal, &nd);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    assert_int_equal(nc, nd);
    if (nc > 0) {
        assert_memory_equal(c, d, nc);
    }
    free(a);
    free(b);
    free(c);
    free(d);
}

static inline void
copy(const char *from, const char *to)
{
    size_t n;
    char *p = slurp(from, &n);
    FILE *f = fopen(to, "wb");

    assert_non_null(p);
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(p);
}

static inline void
log_wrong(struct kit *k, const struct mcx_store_head *anchor,
          const char *says)
{
    struct mcx_store_db *db = kit_db(k);
    struct mcx_store_head head;

    assert_int_equal(mcx_store_log_verify(db, anchor, &head, &k->text),
                     MCX_E_AUTH);
    if (!strstr(k->text.s, says)) {
        fail_msg("\"%s\" lacks \"%s\"", k->text.s, says);
    }
    mcx_store_close(db);
}

#endif /* STORE_TEST_KIT_H */
