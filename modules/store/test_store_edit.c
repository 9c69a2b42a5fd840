/* test_store_edit.c -- what somebody does to the file who can write it and has
 * no key: rows damaged, swapped, taken out, put in, put back as they were,
 * tables and costs changed; files of others and files that are none; the clock
 * that ran ahead. */
#include <config.h>
#include "test_kit.h"

/* One row that was damaged: it does not come back, the others do.  Rows that
 * were swapped, cut, taken out, put in: none does, for nobody can tell which
 * of them were meant to be there, and every message of before is old. */
static void
test_tampered(void **state)
{
    static const struct { const char *sql; bool all; } edits[] = {
        { "UPDATE key SET mc = (SELECT mc FROM key WHERE row = 2)"
          " WHERE row = 1", false },
        { "", false }, /* one octet in the middle: below */
        { "UPDATE key SET body = (SELECT body FROM key WHERE row = 2)"
          " WHERE row = 1", true },
        { "UPDATE key SET state = (SELECT state FROM key WHERE row = 2)"
          " WHERE row = 1", true },
        { "UPDATE key SET row = 77 WHERE row = 1", true },
        { "UPDATE key SET body = substr(body, 1, 99) WHERE row = 1", true },
        { "UPDATE key SET state = zeroblob(72) WHERE row = 1", true },
        { "UPDATE key SET body = '' WHERE row = 1", true },
        { "DELETE FROM key WHERE row = 1", true },
        { "DELETE FROM replay", true },
        { "INSERT INTO replay SELECT row + 1, sealed FROM replay", true },
        { "INSERT INTO tomb VALUES(9, x'00', x'00')", true },
        { "UPDATE meta SET value = zeroblob(296) WHERE name = 'head'", true },
        { "DELETE FROM meta WHERE name = 'head'", true },
        { "DELETE FROM epoch", true },
        { "DELETE FROM log; DELETE FROM meta WHERE name = 'head'", true },
    };
    uint8_t digest[32] = "seen";
    struct store_numbers n;
    struct mcx_store_db *db;
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        bool all = edits[i].all;

        kit_init(&k);
        kit_open(&k);
        assert_int_equal(mcx_replay_enter(k.replay, digest, kit_unix_ms,
                                          kit_unix_ms + 300000, false,
                                          false), MCX_OK);
        mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
        mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 2));
        kit_close(&k);
        if (edits[i].sql[0]) {
            sql(&k, edits[i].sql);
        } else {
            uint8_t body[1024];
            size_t octets = sql_blob(&k, "SELECT body FROM key WHERE row = 1",
                                     body, sizeof body);

            body[octets / 2] ^= 1;
            sql_set(&k, "UPDATE key SET body = ? WHERE row = 1", body,
                    octets);
        }
        db = kit_db(&k);
        assert_int_equal(mcx_store_check(db, &k.text),
                         all ? MCX_E_AUTH : MCX_OK);
        mcx_store_close(db);
        kit_open(&k);
        store_numbers(k.store, &n);
        assert_int_equal(n.tampered, all);
        assert_int_equal(n.keys, all ? 0 : 1);
        assert_int_equal(n.bad, all ? 0 : 1);
        assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), -1);
        assert_int_equal(kit_state(&k, MCX_KIND_CSK, 2),
                         all ? -1 : MCX_KEY_ACTIVE);
        assert_int_equal(mcx_replay_below(k.replay, kit_unix_ms + 300000),
                         all);
        assert_false(mcx_replay_below(k.replay, kit_unix_ms + 300001));
        /* It goes on, and the next start finds nothing wrong; what was taken
         * as seen stays so. */
        assert_int_equal(kit_stage(&k, MCX_KIND_CSK, 1, 0, &key), MCX_OK);
        mcx_key_unref(key);
        kit_close(&k);
        kit_open(&k);
        store_numbers(k.store, &n);
        assert_false(n.tampered);
        assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), MCX_KEY_STAGED);
        assert_int_equal(mcx_replay_below(k.replay, kit_unix_ms + 300000),
                         all);
        kit_fini(&k);
    }
}

/* A key is revoked, and somebody who has an older copy of the file, and no
 * key, puts its row back, takes the note of its end away, and with them
 * whatever else he likes.  Each row is one that this store sealed. */
static void
test_put_back(void **state)
{
    static const char *const edits[] = {
        "INSERT INTO key SELECT * FROM old.key WHERE row < 2;DELETE FROM tomb",
        "INSERT INTO key SELECT * FROM old.key WHERE row = 1",
        "DELETE FROM tomb",
        "UPDATE key SET state = (SELECT state FROM old.key WHERE row = 2)"
        " WHERE row = 2",
        "DELETE FROM log; INSERT INTO log SELECT * FROM old.log;"
        "INSERT OR REPLACE INTO meta SELECT * FROM old.meta",
        "DELETE FROM key; INSERT INTO key SELECT * FROM old.key;"
        "DELETE FROM tomb; INSERT INTO tomb SELECT * FROM old.tomb;"
        "INSERT OR REPLACE INTO meta SELECT * FROM old.meta;"
        "DELETE FROM replay",
    };
    char saved[128], later[128], line[1024];
    uint8_t digest[32] = "seen";
    struct store_numbers n;
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    kit_init(&k);
    (void)snprintf(saved, sizeof saved, "%s/copy.db", k.dir);
    (void)snprintf(later, sizeof later, "%s/pass", k.dir);
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 2));
    kit_close(&k);
    copy(k.path, saved);
    kit_open(&k);
    assert_int_equal(mcx_replay_enter(k.replay, digest, kit_unix_ms,
                                      kit_unix_ms + 300000, false, false),
                     MCX_OK);
    assert_int_equal(mcx_keys_revoke(k.keys, MCX_KIND_CSK,
                                     kit_id(MCX_KIND_CSK, 1)), 1);
    key = mcx_keys_by_id(k.keys, MCX_KIND_CSK, kit_id(MCX_KIND_CSK, 2));
    mcx_key_retire(key);
    mcx_key_unref(key);
    kit_close(&k);
    copy(k.path, later);
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        (void)snprintf(line, sizeof line, "ATTACH '%s' AS old; %s", saved,
                       edits[i]);
        sql(&k, line);
        kit_open(&k);
        store_numbers(k.store, &n);
        assert_true(n.tampered);
        assert_int_equal(mcx_keys_count(k.keys), 0);
        assert_true(mcx_replay_below(k.replay, kit_unix_ms));
        kit_close(&k);
        copy(later, k.path);
    }
    kit_open(&k);
    store_numbers(k.store, &n);
    assert_false(n.tampered);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), -1);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 2), MCX_KEY_RETIRED);
    kit_fini(&k);
}

/* Tables that are not ours: a trigger could keep what is deleted, or keep it
 * from being deleted. */
static void
test_schema(void **state)
{
    static const char *const edits[] = {
        "CREATE TRIGGER t DELETE ON key BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TABLE loot AS SELECT * FROM key",
        "CREATE VIEW v AS SELECT * FROM key",
        "DROP INDEX tomb_look",
        "ALTER TABLE log ADD COLUMN more",
        "ALTER TABLE replay RENAME TO replays",
    };
    char saved[128];
    struct kit k;
    size_t i;

    (void)state;
    kit_init(&k);
    (void)snprintf(saved, sizeof saved, "%s/copy.db", k.dir);
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
    kit_close(&k);
    copy(k.path, saved);
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        sql(&k, edits[i]);
        refused(&k, MCX_E_AUTH, "its tables were changed");
        copy(saved, k.path);
    }
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), MCX_KEY_ACTIVE);
    kit_fini(&k);
}

/* The head in the file says how much work a passphrase is; who may write the
 * file could make it hours. */
static void
test_scrypt_cost(void **state)
{
    static const uint8_t costs[][3] = { { 20, 0xff, 0xff }, { 31, 8, 1 },
                                        { 10, 9, 1 }, { 10, 8, 2 },
                                        { 0, 8, 1 } };
    uint8_t head[64];
    size_t n, i;
    char pass[128];
    struct kit k;

    (void)state;
    kit_init(&k);
    (void)snprintf(pass, sizeof pass, "%s/pass", k.dir);
    k.config.key_file = NULL;
    k.config.passphrase_file = pass;
    k.config.scrypt_log2_n = 10;
    assert_int_equal(k.env.write_file(NULL, pass, mcx_bytes_str("open"),
                                      0600), MCX_OK);
    kit_open(&k);
    kit_close(&k);
    n = sql_blob(&k, "SELECT value FROM meta WHERE name = 'kek'", head,
                 sizeof head);
    assert_int_equal(n, 20);
    for (i = 0; i < sizeof costs / sizeof *costs; i++) {
        memcpy(head + 1, costs[i], 3);
        sql_set(&k, "UPDATE meta SET value = ? WHERE name = 'kek'", head, n);
        refused(&k, MCX_E_AUTH, "the head was changed");
    }
    head[1] = 10;
    head[2] = 8;
    head[3] = 1;
    sql_set(&k, "UPDATE meta SET value = ? WHERE name = 'kek'", head, n);
    kit_open(&k);
    kit_fini(&k);
}

/* The clock ran ahead by a day, what had expired by then was let go, and the
 * clock was set right over a restart: the messages are still old. */
static void
test_clock_ahead(void **state)
{
    uint8_t a[32] = "a", b[32] = "b", later[32] = "later";
    int64_t now = kit_unix_ms;
    struct kit k;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) { /* let go while it runs, and at a start */
        kit_init(&k);
        kit_open(&k);
        assert_int_equal(mcx_replay_enter(k.replay, a, now, now + 300000,
                                          false, false), MCX_OK);
        if (i == 1) {
            kit_close(&k);
        }
        kit_step(86400000);
        if (i == 1) {
            kit_open(&k);
        }
        kit_step(60001);
        nap(1200);
        if (i == 0) {
            assert_int_equal(sql_number(&k, "SELECT count(*) FROM replay"),
                             0);
        }
        kit_close(&k);
        kit_unix_ms = now;
        kit_open(&k);
        assert_int_equal(mcx_replay_enter(k.replay, a, now, now + 300000,
                                          false, false), MCX_E_REPLAY);
        assert_int_equal(mcx_replay_enter(k.replay, b, now, now + 299000,
                                          false, false), MCX_E_REPLAY);
        assert_int_equal(mcx_replay_enter(k.replay, later, now, now + 300001,
                                          false, false), MCX_OK);
        kit_fini(&k);
    }
}

/* Files that are not ours alone, or not files. */
static void
test_files(void **state)
{
    char fifo[128];
    struct kit k;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    kit_close(&k);
    if (geteuid() == 0) { /* only root may give files away */
        assert_int_equal(chown(k.key_file, 12345, 12345), 0);
        assert_int_equal(seteuid(54321), 0);
        assert_int_not_equal(kit_try(&k), MCX_OK);
        assert_int_equal(seteuid(0), 0);
        refused(&k, MCX_E_CONFIG, "kek: belongs to another user");
        assert_int_equal(chown(k.key_file, 0, 0), 0);
        assert_int_equal(chown(k.path, 12345, 12345), 0);
        refused(&k, MCX_E_CONFIG, "keys.db: belongs to another user");
        assert_int_equal(chown(k.path, 0, 0), 0);
    }
    (void)snprintf(fifo, sizeof fifo, "%s/pass", k.dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    k.config.key_file = fifo;
    refused(&k, MCX_E_CONFIG, "is not a file");
    k.config.key_file = k.dir;
    refused(&k, MCX_E_CONFIG, "is not a file");
    k.config.key_file = k.key_file;
    k.config.path = fifo;
    assert_int_equal(kit_try(&k), MCX_E_CONFIG);
    assert_non_null(strstr(k.text.s, "is not a file"));
    assert_int_equal(unlink(fifo), 0);
    /* By another name the store is the same one, with the same FILE-wal. */
    assert_int_equal(symlink("keys.db", fifo), 0);
    kit_open(&k);
    k.config.path = k.path;
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    kit_log_good(&k);
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), MCX_KEY_ACTIVE);
    kit_fini(&k);
}

/* Names from the network: quotes, octets that are no UTF-8, as long as they
 * may be. */
static void
test_names(void **state)
{
    static const char *const names[] = {
        "sip:a'; DROP TABLE key; --@mcx.test", "sip:\"x\\\"@mcx.test",
        "sip:\xff\xfe\x80\xc0@mcx.test", "sip:%s%n@mcx.test", "'", "?1",
    };
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner;
    struct mcx_key_info info;
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (i = 0; i <= sizeof names / sizeof *names; i++) {
        kit_message(&km, &owner, MCX_KIND_CSK, (uint32_t)i);
        if (i < sizeof names / sizeof *names) {
            (void)snprintf(owner.mc_id, sizeof owner.mc_id, "%s", names[i]);
            (void)snprintf(owner.impu, sizeof owner.impu, "%s", names[i]);
        } else {
            memset(owner.mc_id, 'm', sizeof owner.mc_id - 1);
            memset(owner.impu, 'i', sizeof owner.impu - 1);
            memset(owner.client_id, 'c', sizeof owner.client_id - 1);
            memset(km.initiator, 'a', sizeof km.initiator - 1);
            memset(km.responder, 'b', sizeof km.responder - 1);
        }
        assert_int_equal(mcx_keys_stage(k.keys, &km, &owner, &key, NULL),
                         MCX_OK);
        assert_int_equal(mcx_key_commit(key), MCX_OK);
        mcx_key_unref(key);
    }
    kit_close(&k);
    kit_open(&k);
    for (i = 0; i <= sizeof names / sizeof *names; i++) {
        const char *name = i < sizeof names / sizeof *names ? names[i] : NULL;
        struct mcx_store_find find = { .mc_id = name, .impu = name };
        struct mcx_store_db *db = kit_db(&k);
        size_t n = 0;

        key = mcx_keys_by_id(k.keys, MCX_KIND_CSK,
                             kit_id(MCX_KIND_CSK, (uint32_t)i));
        assert_non_null(key);
        mcx_key_info(&info, key);
        mcx_key_unref(key);
        if (name) {
            assert_string_equal(info.owner.mc_id, name);
            assert_int_equal(mcx_store_end(db, &find, MCX_END_DROPPED, &n),
                             MCX_OK);
            assert_int_equal(n, 1);
        } else {
            assert_int_equal(strlen(info.owner.impu), MCX_URI_MAX - 1);
            assert_int_equal(strlen(info.initiator), MCX_URI_MAX - 1);
        }
        mcx_store_close(db);
    }
    kit_close(&k);
    assert_int_equal(sql_number(&k, "SELECT count(*) FROM key"), 1);
    kit_log_good(&k);
    kit_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_put_back),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_scrypt_cost),
        cmocka_unit_test(test_clock_ahead),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
