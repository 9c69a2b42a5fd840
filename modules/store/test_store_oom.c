/* test_store_oom.c -- the n-th allocation of ours fails, n = 1, 2, 3, ...:
 * opening, staging, committing, ending answer MCX_E_NOMEM or succeed; what was
 * acknowledged is there afterwards.  SQLite's own allocations fail the same
 * way, through its allocator.  The linker wraps allocation (--wrap). */
#include <config.h>
#include "test_kit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static _Atomic long left = -1; /* until one fails; below 0: never */
static _Atomic int fired;

static int
fails(void)
{
    if (left < 0 || left-- != 0) {
        return 0;
    }
    fired = 1;
    return 1;
}

void *
__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static sqlite3_mem_methods sqlite_mem, wrapped;

static void *
sqlite_malloc(int n)
{
    return fails() ? NULL : sqlite_mem.xMalloc(n);
}

static void *
sqlite_realloc(void *p, int n)
{
    return fails() ? NULL : sqlite_mem.xRealloc(p, n);
}

/* One round; the key that was acknowledged as staged, or 0. */
static uint32_t
round_of(struct kit *k, uint32_t no)
{
    struct mcx_key *key = NULL;
    uint8_t digest[32] = { 0 };
    uint32_t kept = 0;
    mcx_err err;

    if (mcx_keys_new(&k->keys, &k->env, 1000) != MCX_OK) {
        k->keys = NULL;
        return 0;
    }
    if (mcx_replay_new(&k->replay, 1000) != MCX_OK) {
        mcx_keys_free(k->keys);
        k->keys = NULL;
        return 0;
    }
    err = store_new(&k->store, &k->config, k->keys, k->replay, &k->text);
    if (err != MCX_OK) {
        if (err != MCX_E_NOMEM && err != MCX_E_CONFIG && err != MCX_E_IO) {
            fail_msg("allocation: %s: %s", mcx_err_name(err), k->text.s);
        }
        mcx_keys_free(k->keys);
        mcx_replay_free(k->replay);
        k->keys = NULL;
        return 0;
    }
    memcpy(digest, &no, sizeof no);
    (void)!mcx_replay_enter(k->replay, digest, kit_unix_ms,
                            kit_unix_ms + 1000, false, false);
    if (kit_stage(k, MCX_KIND_CSK, no, 0, &key) == MCX_OK) {
        kept = no;
        (void)!mcx_key_commit(key);
        (void)!mcx_keys_sync(k->keys);
        mcx_key_unref(key);
    }
    kit_close(k);
    return kept;
}

static void
test_oom(void **state)
{
    uint32_t no = 1, kept;
    struct kit k;
    long n;

    (void)state;
    kit_init(&k);
    for (n = 0;; n += n < 200 ? 1 : 13) {
        fired = 0;
        left = n;
        kept = round_of(&k, ++no);
        left = -1;
        kit_open(&k);
        if (kept) {
            assert_true(kit_state(&k, MCX_KIND_CSK, kept) >= 0);
        }
        kit_close(&k);
        if (!fired) {
            break;
        }
    }
    print_message("%ld allocations\n", n);
    assert_true(n > 50);
    kit_log_good(&k);
    kit_fini(&k);
}

static void
count_one(void *arg, const struct mcx_store_key *key)
{
    (void)key;
    ++*(size_t *)arg;
}

/* mcx_store_add(): all of it or nothing, and the audit log stays whole. */
static void
test_oom_add(void **state)
{
    static const struct mcx_store_find all;
    struct mcx_store_db *db;
    size_t want = 0, seen;
    struct kit k;
    mcx_err err;
    long n;

    (void)state;
    kit_init(&k);
    for (n = 0; n == 0 || fired; n++) {
        MCX_SECRET(mcx_key_msg, km);
        struct mcx_key_owner owner;

        kit_message(&km, &owner, MCX_KIND_SPK, (uint32_t)n + 1);
        fired = 0;
        left = n;
        /* Opened each time: an open one has all the memory it wants. */
        err = mcx_store_open(&db, &k.config, &k.text);
        if (err == MCX_OK) {
            err = mcx_store_add(db, &km, &owner);
            mcx_store_close(db);
        }
        left = -1;
        assert_true(err == MCX_OK || fired);
        assert_true(err == MCX_OK || err == MCX_E_NOMEM || err == MCX_E_IO
                    || err == MCX_E_CONFIG);
        want += err == MCX_OK;
        seen = 0;
        db = kit_db(&k);
        assert_int_equal(mcx_store_each(db, &all, count_one, &seen, NULL),
                         MCX_OK);
        mcx_store_close(db);
        assert_int_equal(seen, want);
    }
    print_message("%ld allocations\n", n);
    assert_true(want >= 1 && n > 50);
    kit_log_good(&k);
    kit_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oom),
        cmocka_unit_test(test_oom_add),
    };

    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_mem),
                     SQLITE_OK);
    wrapped = sqlite_mem;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped),
                     SQLITE_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
