/* test_store.c -- what a store keeps, what it wipes, what it refuses: restart,
 * wrong keys, nothing in clear, octets gone from the file, revocation by
 * another process, the audit log under every edit, several processes and
 * threads.  What somebody without a key does to the file is in
 * test_store_edit.c, another key-encryption key and the log in files in
 * test_store_rekey.c, cuts of power in test_store_power.c, many keys in
 * test_store_many.c. */
#include <config.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include "test_kit.h"

/* ---- small helpers ----------------------------------------------------- */

/* Waits until 'octets' have left the file. */
static void
gone(const struct kit *k, const void *octets, size_t n)
{
    int i;

    for (i = 0; i < 60 && on_disk(k, octets, n); i++) {
        nap(100);
    }
    assert_false(on_disk(k, octets, n));
}

/* ---- restart ----------------------------------------------------------- */

/* TEST TS 33.180 5.11 */
static void
test_restart(void **state)
{
    static const unsigned kept[] = { MCX_KIND_GMK, MCX_KIND_CSK,
                                     MCX_KIND_SPK, MCX_KIND_MUSIK };
    static const unsigned not_kept[] = { MCX_KIND_PCK, MCX_KIND_MKFC,
                                         MCX_KIND_MSCCK };
    struct mcx_key_info a, b;
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (i = 0; i < 4; i++) {
        mcx_key_unref(kit_key(&k, kept[i], 10));
    }
    for (i = 0; i < 3; i++) {
        mcx_key_unref(kit_key(&k, not_kept[i], 10));
    }
    assert_int_equal(kit_stage(&k, MCX_KIND_CSK, 11, 0, &key), MCX_OK);
    mcx_key_info(&a, key);
    mcx_key_unref(key);
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    kit_close(&k);
    kit_open(&k);
    for (i = 0; i < 4; i++) {
        assert_int_equal(kit_state(&k, kept[i], 10), MCX_KEY_ACTIVE);
    }
    for (i = 0; i < 3; i++) {
        assert_int_equal(kit_state(&k, not_kept[i], 10), -1);
    }
    /* All that may be known of a key came back, and its states go on. */
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 11), MCX_KEY_STAGED);
    key = mcx_keys_by_id(k.keys, MCX_KIND_CSK, kit_id(MCX_KIND_CSK, 11));
    mcx_key_info(&b, key);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    mcx_key_retire(key);
    mcx_key_unref(key);
    key = mcx_keys_current(k.keys, MCX_KIND_CSK, "sip:impu10@mcx.test", NULL);
    assert_non_null(key);
    mcx_key_unref(key);
    kit_close(&k);
    /* Retired: only as long as its grace. */
    kit_step(MCX_KEY_GRACE_MS - 1000);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 11), MCX_KEY_RETIRED);
    assert_int_equal(mcx_keys_sweep(k.keys), 1000);
    kit_close(&k);
    kit_step(1000);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 11), -1);
    kit_close(&k);
    assert_int_equal(sql_number(&k, "SELECT count(*) FROM key"), 4);
    kit_log_good(&k);
    kit_fini(&k);
}

/* More keys than the host takes: it says so and leaves them alone. */
static void
test_too_many(void **state)
{
    struct kit k;
    uint32_t i;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (i = 0; i < 3; i++) {
        mcx_key_unref(kit_key(&k, MCX_KIND_CSK, i));
    }
    kit_close(&k);
    assert_int_equal(mcx_keys_new(&k.keys, &k.env, 2), MCX_OK);
    assert_int_equal(mcx_replay_new(&k.replay, 100), MCX_OK);
    assert_int_equal(store_new(&k.store, &k.config, k.keys, k.replay,
                               &k.text), MCX_E_BUSY);
    assert_non_null(strstr(k.text.s, "more keys than this host takes"));
    mcx_keys_free(k.keys);
    mcx_replay_free(k.replay);
    k.keys = NULL;
    kit_open(&k);
    assert_int_equal(mcx_keys_count(k.keys), 3);
    kit_fini(&k);
}

/* TEST TS 33.180 5.11: what a host hears of a key that came back. */
static void
heard(void *arg, const struct mcx_key_info *info)
{
    unsigned *count = arg;

    assert_true(info->restored);
    assert_string_equal(info->owner.mc_id, info->key_id & 1
                                               ? "sip:mc1@mcx.test"
                                               : "sip:mc2@mcx.test");
    count[info->state]++;
}

static void
test_told(void **state)
{
    unsigned count[MCX_KEY_WIPED + 1] = { 0 };
    struct mcx_key *key;
    struct kit k;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
    assert_int_equal(kit_stage(&k, MCX_KIND_CSK, 2, 0, &key), MCX_OK);
    mcx_key_unref(key);
    key = kit_key(&k, MCX_KIND_GMK, 1);
    mcx_key_retire(key);
    mcx_key_unref(key);
    kit_close(&k);
    assert_int_equal(mcx_keys_new(&k.keys, &k.env, 10), MCX_OK);
    mcx_keys_listen(k.keys, heard, count);
    assert_int_equal(mcx_replay_new(&k.replay, 100), MCX_OK);
    assert_int_equal(store_new(&k.store, &k.config, k.keys, k.replay,
                               &k.text), MCX_OK);
    assert_int_equal(count[MCX_KEY_ACTIVE], 1);
    assert_int_equal(count[MCX_KEY_STAGED], 1);
    assert_int_equal(count[MCX_KEY_RETIRED], 1);
    mcx_keys_listen(k.keys, NULL, NULL);
    kit_fini(&k);
}

static void
test_stale(void **state)
{
    struct mcx_key *key;
    struct kit k;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    assert_int_equal(kit_stage(&k, MCX_KIND_CSK, 1, 0, &key), MCX_OK);
    mcx_key_unref(key);
    assert_int_equal(kit_stage(&k, MCX_KIND_GMK, 2, kit_unix_ms + 900000,
                               &key), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    mcx_key_unref(key);
    kit_close(&k);
    kit_step(MCX_STORE_STAGED_MS + 1);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 1), -1);
    assert_int_equal(kit_state(&k, MCX_KIND_GMK, 2), MCX_KEY_ACTIVE);
    kit_close(&k);
    kit_step(900000);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_GMK, 2), -1);
    /* Expired: not taken again either. */
    assert_int_equal(kit_stage(&k, MCX_KIND_GMK, 2, 0, &key), MCX_E_EXPIRED);
    assert_int_equal(kit_stage(&k, MCX_KIND_GMK, 3, 0, &key), MCX_OK);
    mcx_key_unref(key);
    kit_fini(&k);
}

static void
test_replay(void **state)
{
    uint8_t a[32] = "a", b[32] = "b";
    int64_t now = kit_unix_ms;
    struct kit k;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    assert_int_equal(mcx_replay_enter(k.replay, a, now, now + 300000, false,
                                      false), MCX_OK);
    assert_int_equal(mcx_replay_enter(k.replay, b, now, now + 86400000,
                                      false, false), MCX_OK);
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(mcx_replay_count(k.replay), 2);
    assert_int_equal(mcx_replay_look(k.replay, a, now, false), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_look(k.replay, b, now, true), MCX_E_REPLAY);
    kit_close(&k);
    kit_step(300001);
    kit_open(&k);
    assert_int_equal(mcx_replay_count(k.replay), 1);
    /* The writer drops the row that has expired when a minute has passed. */
    kit_step(60001);
    nap(1200);
    kit_close(&k);
    assert_int_equal(sql_number(&k, "SELECT count(*) FROM replay"), 1);
    kit_open(&k);
    assert_false(mcx_replay_below(k.replay, kit_unix_ms));
    kit_close(&k);
    /* Entries that cannot be read: every T that may be among them is old. */
    sql(&k, "UPDATE replay SET sealed = zeroblob(80)");
    kit_open(&k);
    assert_true(mcx_replay_below(k.replay, kit_unix_ms + 300000));
    assert_false(mcx_replay_below(k.replay, kit_unix_ms + 300001));
    kit_close(&k);
    kit_fini(&k);
}

/* ---- the key-encryption key -------------------------------------------- */

static mcx_err
element_wrap(void *ctx, struct mcx_bytes in, uint8_t *out, size_t *n)
{
    size_t i;

    assert_true(*n > in.n);
    for (i = 0; i < in.n; i++) {
        out[i] = (uint8_t)(in.p[i] ^ *(uint8_t *)ctx);
    }
    out[in.n] = *(uint8_t *)ctx;
    *n = in.n + 1;
    return MCX_OK;
}

static mcx_err
element_unwrap(void *ctx, struct mcx_bytes in, uint8_t *out, size_t *n)
{
    size_t i;

    if (in.n == 0 || in.p[in.n - 1] != *(uint8_t *)ctx) {
        return MCX_E_AUTH;
    }
    *n = in.n - 1;
    for (i = 0; i < *n; i++) {
        out[i] = (uint8_t)(in.p[i] ^ *(uint8_t *)ctx);
    }
    return MCX_OK;
}

static void
test_wrong_key(void **state)
{
    char pass[128];
    uint8_t element = 0x5a;
    struct mcx_store_kek kek = { sizeof kek, &element, element_wrap,
                                 element_unwrap };
    struct kit k;
    pid_t child;
    int status;

    (void)state;
    kit_init(&k);
    /* Leaves a WAL behind, as after a cut of power. */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        kit_open(&k);
        mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 5));
        _exit(mcx_keys_sync(k.keys) == MCX_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(k.env.write_file(NULL, k.key_file,
                                      mcx_bytes("00112233445566778899aabbccdd"
                                                "eefe", 32), 0600), MCX_OK);
    refused(&k, MCX_E_AUTH, "wrong key");
    assert_int_equal(k.env.write_file(NULL, k.key_file,
                                      mcx_bytes("short", 5), 0600), MCX_OK);
    refused(&k, MCX_E_CONFIG, "expected 32 octets");
    assert_int_equal(chmod(k.key_file, 0640), 0);
    refused(&k, MCX_E_CONFIG, "open to others");
    assert_int_equal(unlink(k.key_file), 0);
    refused(&k, MCX_E_CONFIG, "cannot be read");
    k.config.key_file = NULL;
    refused(&k, MCX_E_CONFIG, "expected one of");
    k.config.kek = &kek;
    refused(&k, MCX_E_CONFIG, "made with a key file");
    /* The right one, and all is there. */
    k.config.kek = NULL;
    k.config.key_file = k.key_file;
    assert_int_equal(k.env.write_file(NULL, k.key_file,
                                      mcx_bytes("00112233445566778899aabbccdd"
                                                "eeff0123456789abcdef01234567"
                                                "89ABCDEF", 64), 0600),
                     MCX_OK);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 5), MCX_KEY_ACTIVE);
    kit_fini(&k);

    kit_init(&k);
    (void)snprintf(pass, sizeof pass, "%s/pass", k.dir);
    k.config.key_file = NULL;
    k.config.passphrase_file = pass;
    k.config.scrypt_log2_n = 10;
    assert_int_equal(k.env.write_file(NULL, pass,
                                      mcx_bytes_str("correct horse\n"),
                                      0600), MCX_OK);
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 5));
    kit_close(&k);
    assert_int_equal(k.env.write_file(NULL, pass,
                                      mcx_bytes_str("correct horsf\n"),
                                      0600), MCX_OK);
    refused(&k, MCX_E_AUTH, "wrong key");
    assert_int_equal(k.env.write_file(NULL, pass, mcx_bytes_str("\n"), 0600),
                     MCX_OK);
    refused(&k, MCX_E_CONFIG, "no passphrase");
    assert_int_equal(k.env.write_file(NULL, pass,
                                      mcx_bytes_str("correct horse"), 0600),
                     MCX_OK);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 5), MCX_KEY_ACTIVE);
    kit_fini(&k);

    kit_init(&k);
    k.config.key_file = NULL;
    k.config.kek = &kek;
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 5));
    kit_close(&k);
    element = 0x5b;
    refused(&k, MCX_E_AUTH, "wrong key");
    element = 0x5a;
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 5), MCX_KEY_ACTIVE);
    kit_fini(&k);
}

static void
test_not_a_store(void **state)
{
    struct kit k;

    (void)state;
    kit_init(&k);
    k.config.create = false;
    assert_int_equal(kit_try(&k), MCX_E_IO);
    assert_non_null(strstr(k.text.s, "no such store"));
    k.config.create = true;
    kit_open(&k);
    kit_close(&k);
    sql(&k, "PRAGMA user_version = 3");
    refused(&k, MCX_E_UNSUPPORTED, "newer version");
    sql(&k, "PRAGMA user_version = 2; PRAGMA application_id = 7");
    refused(&k, MCX_E_CONFIG, "is no store");
    sql(&k, "PRAGMA application_id = 1296259155");
    assert_int_equal(chmod(k.path, 0644), 0);
    refused(&k, MCX_E_CONFIG, "open to others");
    assert_int_equal(chmod(k.path, 0600), 0);
    kit_open(&k);
    kit_close(&k);
    /* The head is bound to the keys. */
    sql(&k, "UPDATE meta SET value = randomblob(16) WHERE name = 'uid'");
    refused(&k, MCX_E_AUTH, "the head was changed");
    sql(&k, "DELETE FROM meta WHERE name = 'keys'");
    refused(&k, MCX_E_AUTH, "the head is damaged");
    /* An empty file is one whose making was cut short. */
    assert_int_equal(truncate(k.path, 0), 0);
    kit_open(&k);
    kit_close(&k);
    assert_int_equal(k.env.write_file(NULL, k.path,
                                      mcx_bytes_str("no database at all, and "
                                                    "long enough to see it "
                                                    "at once, as it should "
                                                    "be: 1234567890 12345"),
                                      0600), MCX_OK);
    refused(&k, MCX_E_IO, "cannot be");
    kit_fini(&k);
}

/* ---- what lies in the file --------------------------------------------- */

static void
test_nothing_in_clear(void **state)
{
    uint8_t id[4] = { 0x20, 0x0a, 0xbc, 0xde };
    MCX_SECRET(mcx_ssv, ssv);
    struct stat st;
    struct kit k;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 0xabcde));
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    kit_octets(&ssv, 0xabcde);
    assert_false(on_disk(&k, ssv.b, sizeof ssv.b));
    assert_false(on_disk(&k, "mcx.test", 8));
    assert_false(on_disk(&k, "urn:uuid", 8));
    assert_false(on_disk(&k, "active", 6));
    assert_false(on_disk(&k, id, sizeof id));
    kit_close(&k);
    assert_false(on_disk(&k, "mcx.test", 8));
    assert_int_equal(stat(k.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sql_number(&k, "SELECT count(*) FROM key WHERE c_id IS"
                                " NULL AND c_kind IS NULL AND c_state IS"
                                " NULL AND c_since IS NULL"), 1);
    k.config.clear_ids = true;
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 0xabcdf));
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    assert_int_equal(sql_number(&k, "SELECT c_id FROM key WHERE c_kind = 2"
                                " AND c_state = 'active'"), 0x200abcdf);
    assert_false(on_disk(&k, "mcx.test", 8));
    kit_octets(&ssv, 0xabcdf);
    assert_false(on_disk(&k, ssv.b, sizeof ssv.b));
    kit_fini(&k);
}

/* Every way out of use: the sealed octets leave the file as well. */
static void
test_wiped(void **state)
{
    static const char body[] = "SELECT body FROM key";
    uint8_t sealed[1024];
    struct mcx_key *key;
    struct kit k;
    uint32_t way;
    size_t n;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (way = 1; way <= 5; way++) {
        assert_int_equal(kit_stage(&k, MCX_KIND_CSK, way,
                                   way == 4 ? kit_unix_ms + 60000 : 0, &key),
                         MCX_OK);
        if (way != 5) {
            assert_int_equal(mcx_key_commit(key), MCX_OK);
        }
        assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
        n = sql_blob(&k, body, sealed, sizeof sealed);
        assert_true(n > 64);
        assert_true(on_disk(&k, sealed + 24, 64));
        switch (way) {
        case 1:
            mcx_key_drop(key);
            break;
        case 2:
            mcx_key_retire(key);
            kit_step(MCX_KEY_GRACE_MS);
            (void)mcx_keys_sweep(k.keys);
            break;
        case 3:
            mcx_keys_forget(k.keys, "sip:impu3@mcx.test");
            break;
        case 4:
            kit_step(60000);
            (void)mcx_keys_sweep(k.keys);
            break;
        default:
            assert_int_equal(mcx_keys_revoke(k.keys, MCX_KIND_CSK,
                                             kit_id(MCX_KIND_CSK, way)), 1);
            break;
        }
        mcx_key_unref(key);
        assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
        gone(&k, sealed + 24, 64);
        assert_int_equal(sql_number(&k, "SELECT count(*) FROM key"), 0);
    }
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(mcx_keys_count(k.keys), 0);
    kit_close(&k);
    kit_log_good(&k);
    kit_fini(&k);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) \
    || __has_feature(memory_sanitizer)
#define SHADOWED true
#endif
#endif
#ifndef SHADOWED
#define SHADOWED false
#endif

/* How often 'mask' xor 0xff occurs in memory that can be written: only so can
 * one look for octets without having a copy of them. */
static int
in_memory(const uint8_t *mask, size_t n)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    uint8_t *block = malloc(1 << 20);
    char line[512];
    int found = 0;

    assert_non_null(maps);
    assert_non_null(block);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to, at;
        char r, w;

        if (sscanf(line, "%lx-%lx %c%c", &from, &to, &r, &w) != 4
            || w != 'w') {
            continue;
        }
        for (at = from; at < to; at += 1 << 20) {
            ssize_t got = pread(mem, block, 1 << 20, (off_t)at), i;

            if (at + (1 << 20) > to && got > (ssize_t)(to - at)) {
                got = (ssize_t)(to - at);
            }
            for (i = 0; i + (ssize_t)n <= got; i++) {
                size_t j = 0;

                while (j < n
                       && (block[(size_t)i + j] ^ mask[j]) == 0xff) {
                    j++;
                }
                /* Not in the block itself, which was read before. */
                found += j == n && !(from <= (uintptr_t)block
                                     && (uintptr_t)block < to);
            }
        }
    }
    mcx_wipe(block, 1 << 20);
    free(block);
    (void)close(mem);
    (void)fclose(maps);
    return found;
}

/* After staging, committing, writing, wiping, reading back: one copy of the
 * octets in guarded memory while the key is there, none when it is not. */
static void
test_memory(void **state)
{
    uint8_t mask[16];
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    if (SHADOWED || getenv("MCX_TEST_ROUNDS")) {
        skip(); /* a checker's shadow memory is terabytes of copies */
    }
    {
        MCX_SECRET(mcx_ssv, ssv);

        kit_octets(&ssv, 777);
        for (i = 0; i < sizeof mask; i++) {
            mask[i] = ssv.b[i] ^ 0xff;
        }
    }
    kit_init(&k);
    kit_open(&k);
    key = kit_key(&k, MCX_KIND_CSK, 777);
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    assert_int_equal(in_memory(mask, sizeof mask), 1);
    mcx_key_unref(key);
    kit_close(&k);
    assert_int_equal(in_memory(mask, sizeof mask), 0);
    kit_open(&k);
    assert_int_equal(in_memory(mask, sizeof mask), 1);
    key = mcx_keys_by_id(k.keys, MCX_KIND_CSK, kit_id(MCX_KIND_CSK, 777));
    mcx_key_drop(key);
    mcx_key_unref(key);
    assert_int_equal(in_memory(mask, sizeof mask), 0);
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    assert_int_equal(in_memory(mask, sizeof mask), 0);
    kit_fini(&k);
}

static void
count_one(void *arg, const struct mcx_store_key *key)
{
    (void)key;
    ++*(int *)arg;
}

static void
test_revoked(void **state)
{
    struct mcx_store_find find = { .by_id = true, .kind = MCX_KIND_GMK,
                                   .key_id = kit_id(MCX_KIND_GMK, 7) };
    struct mcx_store_find by_mc = { .mc_id = "sip:mc8@mcx.test" };
    struct mcx_store_find by_impu = { .impu = "sip:impu9@mcx.test" };
    struct mcx_store_find all = { .by_id = false };
    struct mcx_store_db *db;
    struct mcx_key *key;
    struct kit k;
    int i, seen = 0;
    size_t n;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (i = 7; i < 10; i++) {
        mcx_key_unref(kit_key(&k, MCX_KIND_GMK, (uint32_t)i));
    }
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    /* Another connection, as another process would have. */
    db = kit_db(&k);
    assert_int_equal(mcx_store_each(db, &find, count_one, &seen, &n), MCX_OK);
    assert_int_equal(mcx_store_each(db, &by_mc, count_one, &seen, &n),
                     MCX_OK);
    assert_int_equal(mcx_store_each(db, &by_impu, count_one, &seen, &n),
                     MCX_OK);
    assert_int_equal(seen, 3);
    assert_int_equal(mcx_store_end(db, &find, MCX_END_REVOKED, &n), MCX_OK);
    assert_int_equal(n, 1);
    for (i = 0; i < 40 && kit_state(&k, MCX_KIND_GMK, 7) != -1; i++) {
        nap(100);
    }
    assert_int_equal(kit_state(&k, MCX_KIND_GMK, 7), -1);
    assert_int_equal(kit_state(&k, MCX_KIND_GMK, 8), MCX_KEY_ACTIVE);
    assert_int_equal(kit_stage(&k, MCX_KIND_GMK, 7, 0, &key), MCX_E_EXPIRED);
    assert_null(key);
    /* Dropped is not revoked: it may come again. */
    assert_int_equal(mcx_store_end(db, &all, MCX_END_DROPPED, &n), MCX_OK);
    assert_int_equal(n, 2);
    mcx_store_close(db);
    for (i = 0; i < 40 && mcx_keys_count(k.keys) > 0; i++) {
        nap(100);
    }
    assert_int_equal(mcx_keys_count(k.keys), 0);
    mcx_key_unref(kit_key(&k, MCX_KIND_GMK, 8));
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_GMK, 8), MCX_KEY_ACTIVE);
    assert_int_equal(kit_stage(&k, MCX_KIND_GMK, 7, 0, &key), MCX_E_EXPIRED);
    kit_close(&k);
    kit_log_good(&k);
    kit_fini(&k);
}

static mcx_err
add_by_hand(struct mcx_store_db *db, unsigned kind, uint32_t no,
            const char *mc_id, int64_t expiry_s)
{
    static const struct mcx_ssv none;
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner;
    mcx_err err;

    kit_message(&km, &owner, kind, no);
    if (mc_id) {
        (void)snprintf(owner.mc_id, sizeof owner.mc_id, "%s", mc_id);
    }
    km.params.present = expiry_s != 0;
    km.params.status = 1;
    km.params.expiry_unix = expiry_s;
    err = mcx_store_add(db, &km, &owner);
    if (err == MCX_OK) {
        assert_memory_equal(&km.key, &none, sizeof none);
    }
    return err;
}

static int
soon_state(struct kit *k, uint32_t no, int want)
{
    int i;

    for (i = 0; i < 40 && kit_state(k, MCX_KIND_SPK, no) != want; i++) {
        nap(100);
    }
    return kit_state(k, MCX_KIND_SPK, no);
}

/* A key put in by hand: by another process while a host runs, twice, past its
 * end, after it was revoked, over a restart. */
static void
test_added(void **state)
{
    struct mcx_store_find find = { .by_id = true, .kind = MCX_KIND_SPK,
                                   .key_id = kit_id(MCX_KIND_SPK, 7) };
    struct mcx_store_db *db;
    struct mcx_key *key;
    int64_t now_s = kit_unix_ms / 1000;
    struct kit k;
    size_t n;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    db = kit_db(&k);
    assert_int_equal(add_by_hand(db, MCX_KIND_CSK, 7, NULL, 0), MCX_E_ARG);
    assert_int_equal(add_by_hand(db, MCX_KIND_GSK, 7, NULL, 0), MCX_E_ARG);
    assert_int_equal(add_by_hand(db, 99, 7, NULL, 0), MCX_E_ARG);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 7, NULL, now_s),
                     MCX_E_EXPIRED);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 7, NULL, now_s + 60),
                     MCX_OK);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 7, NULL, 0),
                     MCX_E_POLICY);
    assert_int_equal(soon_state(&k, 7, MCX_KEY_ACTIVE), MCX_KEY_ACTIVE);
    assert_int_equal(mcx_keys_count(k.keys), 1);
    /* The same ID for another peer is another key. */
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 7, "sip:c@t", 0), MCX_OK);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 8, NULL, 0), MCX_OK);
    assert_int_equal(soon_state(&k, 8, MCX_KEY_ACTIVE), MCX_KEY_ACTIVE);
    assert_int_equal(mcx_keys_count(k.keys), 3);
    /* The host ends it like its own, in the file too. */
    key = mcx_keys_by_id(k.keys, MCX_KIND_SPK, kit_id(MCX_KIND_SPK, 8));
    mcx_key_drop(key);
    mcx_key_unref(key);
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(mcx_keys_count(k.keys), 2);
    assert_int_equal(kit_state(&k, MCX_KIND_SPK, 8), -1);
    assert_int_equal(mcx_store_end(db, &find, MCX_END_REVOKED, &n), MCX_OK);
    assert_int_equal(n, 2);
    assert_int_equal(soon_state(&k, 7, -1), -1);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 7, NULL, 0),
                     MCX_E_EXPIRED);
    /* Put in while nobody runs. */
    kit_close(&k);
    assert_int_equal(add_by_hand(db, MCX_KIND_SPK, 9, NULL, 0), MCX_OK);
    mcx_store_close(db);
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_SPK, 9), MCX_KEY_ACTIVE);
    assert_int_equal(mcx_keys_count(k.keys), 1);
    kit_close(&k);
    kit_log_good(&k);
    kit_fini(&k);
}

/* ---- the audit log ----------------------------------------------------- */

static void
collect(void *arg, const struct mcx_store_event *e)
{
    char *text = arg;
    size_t n = strlen(text);

    (void)snprintf(text + n, 1024 - n, "%llu %s%s%s;",
                   (unsigned long long)e->seq, mcx_store_event_word(e->what),
                   e->end ? " " : "", mcx_key_end_word(e->end));
    if (e->key_id) {
        assert_string_equal(e->impu, "sip:impu1@mcx.test");
        assert_string_equal(e->mc_id, "sip:mc1@mcx.test");
        assert_string_equal(e->initiator, "sip:initiator1@mcx.test");
        assert_string_equal(e->by, "test");
    }
}

static void
test_log(void **state)
{
    static const struct { const char *sql, *says; } edits[] = {
        { "UPDATE log SET sealed = zeroblob(200) WHERE seq = 3",
          "entry 3: was changed" },
        { "UPDATE log SET mac = zeroblob(32) WHERE seq = 3",
          "entry 3: was changed" },
        { "UPDATE log SET sealed = substr(sealed, 1, 190) || x'01' ||"
          " substr(sealed, 192) WHERE seq = 1", "entry 1: was changed" },
        { "DELETE FROM log WHERE seq = 3", "entry 3: is missing" },
        { "DELETE FROM log WHERE seq = 1", "entry 1: is missing" },
        { "DELETE FROM log WHERE seq = 9", "entry 9: is missing" },
        { "DELETE FROM log WHERE seq > 4", "entry 5: is missing" },
        { "DELETE FROM log", "entry 1: is missing" },
        { "INSERT INTO log SELECT 10, sealed, mac FROM log WHERE seq = 9",
          "entry 10: stands after" },
        { "UPDATE log SET seq = -1 WHERE seq = 3;"
          "UPDATE log SET seq = 3 WHERE seq = 4;"
          "UPDATE log SET seq = 4 WHERE seq = -1", "entry 3: was changed" },
        { "UPDATE meta SET value = zeroblob(296) WHERE name = 'head'",
          "the head is not signed" },
        { "UPDATE meta SET value = x'0000000000000004' || substr(value, 9)"
          " WHERE name = 'head'", "the head is not signed" },
        { "DELETE FROM meta WHERE name = 'head'", "the head is not signed" },
        { "DELETE FROM log WHERE seq > 4; UPDATE meta SET value ="
          " (SELECT value FROM meta WHERE name = 'keys') WHERE"
          " name = 'head'", "the head is not signed" },
    };
    struct mcx_store_head head, later;
    char text[1024] = "", saved[128], early[128];
    struct mcx_store_db *db;
    struct mcx_key *key;
    struct kit k;
    size_t i;

    (void)state;
    kit_init(&k);
    (void)snprintf(saved, sizeof saved, "%s/copy.db", k.dir);
    (void)snprintf(early, sizeof early, "%s/pass", k.dir);
    kit_open(&k);
    key = kit_key(&k, MCX_KIND_CSK, 1);
    mcx_key_retire(key);
    kit_step(MCX_KEY_GRACE_MS);
    (void)mcx_keys_sweep(k.keys);
    mcx_key_unref(key);
    /* Of a key that is not kept there is a trace all the same. */
    key = kit_key(&k, MCX_KIND_PCK, 1);
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    mcx_key_unref(key);
    kit_close(&k);
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_each(db, 0, collect, text), MCX_OK);
    assert_string_equal(text, "1 store-created;2 store-opened;3 key-staged;"
                        "4 key-active;5 key-retired;6 key-wiped replaced;"
                        "7 key-staged;8 key-active;9 store-closed;");
    assert_int_equal(mcx_store_log_verify(db, NULL, &head, &k.text), MCX_OK);
    assert_int_equal(head.seq, 9);
    assert_int_equal(mcx_store_log_verify(db, &head, &later, &k.text),
                     MCX_OK);
    mcx_store_close(db);
    copy(k.path, saved);
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        sql(&k, edits[i].sql);
        log_wrong(&k, NULL, edits[i].says);
        copy(saved, k.path);
        kit_log_good(&k);
    }
    /* The whole file put back: found by who noted the head. */
    kit_open(&k);
    kit_close(&k);
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_verify(db, &head, &later, &k.text),
                     MCX_OK);
    assert_int_equal(later.seq, 11);
    mcx_store_close(db);
    copy(saved, k.path);
    kit_log_good(&k);
    log_wrong(&k, &later, "entry 11: was noted");
    head.mac[0] ^= 1;
    log_wrong(&k, &head, "entry 9: is not the one that was noted");
    /* With a head that nobody signed the store begins anew, and so does the
     * log; that it did is not forgotten. */
    sql(&k, "DELETE FROM meta WHERE name = 'head'");
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 2));
    kit_close(&k);
    log_wrong(&k, NULL, "the head is not signed by this store: it was gone or "
              "changed, and made anew with entry 10");
    kit_open(&k);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, 2), MCX_KEY_ACTIVE);
    kit_fini(&k);
}

static void
test_no_log(void **state)
{
    struct kit k;

    (void)state;
    kit_init(&k);
    k.config.no_log = true;
    kit_open(&k);
    mcx_key_unref(kit_key(&k, MCX_KIND_CSK, 1));
    mcx_key_unref(kit_key(&k, MCX_KIND_PCK, 1));
    assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
    kit_close(&k);
    assert_int_equal(sql_number(&k, "SELECT count(*) FROM log"), 0);
    kit_fini(&k);
}

/* ---- several at once --------------------------------------------------- */

enum { PROCESSES = 10, READERS = 2, EACH = 16 };

/* Reads as long as the others write, and finds nothing wrong, whenever it
 * looks. */
static int
reader(struct kit *k)
{
    struct mcx_store_find all = { .by_id = false };
    int seen = 0, tries;

    for (tries = 0; tries < 3000 && seen < PROCESSES * EACH; tries++) {
        struct mcx_store_head head;
        struct mcx_store_db *db;
        size_t bad = 0;

        k->config.create = false;
        if (mcx_store_open(&db, &k->config, &k->text) != MCX_OK) {
            nap(10); /* not made yet */
            continue;
        }
        seen = 0;
        if (mcx_store_each(db, &all, count_one, &seen, &bad) != MCX_OK
            || bad > 0 || mcx_store_check(db, &k->text) != MCX_OK
            || mcx_store_log_verify(db, NULL, &head, &k->text) != MCX_OK) {
            print_error("reader: %s\n", k->text.s);
            return 4;
        }
        mcx_store_close(db);
        nap(5);
    }
    return seen == PROCESSES * EACH ? 0 : 5;
}

static void
test_processes(void **state)
{
    struct mcx_store_find all = { .by_id = false };
    struct mcx_store_db *db;
    struct kit k;
    pid_t child[PROCESSES + READERS];
    int i, status, seen = 0;
    size_t bad;

    (void)state;
    kit_init(&k);
    for (i = 0; i < PROCESSES + READERS; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            uint32_t n;

            if (i >= PROCESSES) {
                _exit(reader(&k));
            }
            if (kit_try(&k) != MCX_OK) {
                _exit(2);
            }
            for (n = 0; n < EACH; n++) {
                struct mcx_key *key;

                if (kit_stage(&k, MCX_KIND_CSK, (uint32_t)i * 1000 + n, 0,
                              &key) != MCX_OK
                    || mcx_key_commit(key) != MCX_OK) {
                    _exit(3);
                }
                mcx_key_unref(key);
            }
            kit_close(&k);
            _exit(0);
        }
    }
    for (i = 0; i < PROCESSES + READERS; i++) {
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    db = kit_db(&k);
    assert_int_equal(mcx_store_each(db, &all, count_one, &seen, &bad),
                     MCX_OK);
    assert_int_equal(seen, PROCESSES * EACH);
    assert_int_equal(bad, 0);
    /* A reader is not blocked by one who is writing, nor blocks him. */
    {
        struct mcx_store_db *other = kit_db(&k);

        assert_int_equal(store_begin(other), MCX_OK);
        assert_int_equal(store_log_key(other, MCX_STORE_WIPED,
                                       &(struct mcx_key_info){ .kind = 0 },
                                       MCX_END_NONE, 0), MCX_OK);
        seen = 0;
        assert_int_equal(mcx_store_each(db, &all, count_one, &seen, &bad),
                         MCX_OK);
        assert_int_equal(seen, PROCESSES * EACH);
        assert_int_equal(sqlite3_exec(db->sql, "BEGIN; SELECT count(*) FROM"
                                      " key", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(store_end(other, MCX_OK), MCX_OK);
        assert_int_equal(sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL),
                         SQLITE_OK);
        mcx_store_close(other);
    }
    mcx_store_close(db);
    kit_log_good(&k);
    kit_fini(&k);
}

enum { THREADS = 6, ROUNDS = 60 };
struct work {
    struct kit *k;
    uint32_t first;
    int failed;
};

static void *
worker(void *arg)
{
    struct work *w = arg;
    uint32_t i;

    for (i = 0; i < ROUNDS; i++) {
        uint8_t digest[32] = { 0 };
        struct mcx_key *key;

        memcpy(digest, &w->first, 4);
        memcpy(digest + 4, &i, 4);
        if (mcx_replay_enter(w->k->replay, digest, kit_unix_ms,
                             kit_unix_ms + 300000, false, false) != MCX_OK
            || kit_stage(w->k, i % 5 ? MCX_KIND_CSK : MCX_KIND_PCK,
                         w->first + i, 0, &key) != MCX_OK) {
            w->failed++;
            continue;
        }
        if (mcx_key_commit(key) != MCX_OK) {
            w->failed++;
        }
        if (i % 3 == 0) {
            mcx_key_drop(key);
        } else if (i % 3 == 1) {
            mcx_key_retire(key);
        }
        mcx_key_unref(key);
        if (i % 16 == 0 && mcx_keys_sync(w->k->keys) != MCX_OK) {
            w->failed++;
        }
    }
    return NULL;
}

static void
test_threads(void **state)
{
    struct work w[THREADS];
    pthread_t thread[THREADS];
    struct kit k;
    uint32_t i;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    for (i = 0; i < THREADS; i++) {
        w[i] = (struct work){ &k, i * 1000, 0 };
        assert_int_equal(pthread_create(&thread[i], NULL, worker, &w[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
        assert_int_equal(w[i].failed, 0);
    }
    kit_close(&k);
    kit_open(&k);
    assert_int_equal(mcx_replay_count(k.replay), THREADS * ROUNDS);
    for (i = 0; i < THREADS * ROUNDS; i++) {
        uint32_t no = i % ROUNDS, id = i / ROUNDS * 1000 + no;
        int want = no % 5 == 0 || no % 3 == 0 ? -1
                   : no % 3 == 1              ? MCX_KEY_RETIRED
                                              : MCX_KEY_ACTIVE;

        assert_int_equal(kit_state(&k, MCX_KIND_CSK, id), want);
    }
    kit_close(&k);
    kit_log_good(&k);
    kit_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_not_a_store),
        cmocka_unit_test(test_nothing_in_clear),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_added),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_no_log),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
