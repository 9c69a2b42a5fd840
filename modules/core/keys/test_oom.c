/* test_oom.c -- the n-th allocation fails, n = 1, 2, 3, ...: ring, replay
 * cache, key store and configuration answer MCX_E_NOMEM or succeed, leak
 * nothing (the sanitizer build watches) and go on afterwards.  Allocation is
 * wrapped by the linker (--wrap). */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_config.h>
#include <sofia-mcx/mcx_keys.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations until one fails; below 0: never */
static bool fired;

static bool
fails(void)
{
    if (left < 0) {
        return false;
    }
    if (left-- > 0) {
        return false;
    }
    fired = true;
    return true;
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

static bool
ok(mcx_err err)
{
    assert_true(err == MCX_OK || err == MCX_E_NOMEM);
    return err == MCX_OK;
}

/* Runs 'fn' with the first, second, ... allocation failing, until one run
 * meets no failure.  'fn' says how many of its calls succeeded. */
static void
each_failure(int (*fn)(void), int whole)
{
    long n;
    int done;

    for (n = 0; n < 10000; n++) {
        left = n;
        fired = false;
        done = fn();
        left = -1;
        assert_true(done <= whole);
        if (!fired) {
            assert_int_equal(done, whole);
            assert_true(n > 0);
            return;
        }
        assert_int_equal(fn(), whole); /* and once more with memory */
    }
    fail_msg("no end");
}

/* ---- the key store ----------------------------------------------------- */

enum { N_KEYS = 70 }; /* the tables grow on the way */

static int
use_keys(void)
{
    static struct mcx_key_owner owner;
    struct mcx_keys *keys = NULL;
    int done = 0, i;

    if (!ok(mcx_keys_new(&keys, mcx_env_system(), 100))) {
        assert_null(keys);
        return 0;
    }
    for (i = 0; i < N_KEYS; i++) {
        MCX_SECRET(mcx_key_msg, km);
        struct mcx_key *k = NULL;
        size_t before = mcx_keys_count(keys);

        km.kind = MCX_KIND_CSK;
        km.key_id = 0x20000000u + (uint32_t)i;
        km.key.b[0] = 1;
        (void)snprintf(owner.impu, sizeof owner.impu, "sip:u%d@t", i);
        if (ok(mcx_keys_stage(keys, &km, &owner, &k, NULL))) {
            assert_int_equal(mcx_key_commit(k), MCX_OK);
            done++;
        } else {
            assert_null(k);
            assert_int_equal(km.key.b[0], 1);
            assert_int_equal(mcx_keys_count(keys), before);
        }
        mcx_key_unref(k);
    }
    mcx_keys_forget(keys, "sip:u1@t");
    mcx_keys_free(keys);
    return done;
}

/* ---- the ring, with objects that it only passes on ---------------------- */

static int refs;

struct mcx_kms_pub *
mcx_kms_pub_ref(struct mcx_kms_pub *pub)
{
    refs++;
    return pub;
}

void
mcx_kms_pub_free(struct mcx_kms_pub *pub)
{
    refs -= pub ? 1 : 0;
}

const uint8_t *
mcx_kms_pub_z(const struct mcx_kms_pub *pub)
{
    return (const uint8_t *)pub;
}

const uint8_t *
mcx_kms_pub_kpak(const struct mcx_kms_pub *pub)
{
    return (const uint8_t *)pub;
}

mcx_err
mcx_user_key_prepare(const struct mcx_user_key *key)
{
    (void)key;
    return MCX_OK;
}

mcx_err
mcx_sakke_prepare(struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    (void)pub;
    (void)id;
    return MCX_OK;
}

bool
mcx_sakke_prepare_due(const struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    (void)pub;
    (void)id;
    return false;
}

struct mcx_user_key *
mcx_user_key_ref(struct mcx_user_key *key)
{
    refs++;
    return key;
}

void
mcx_user_key_free(struct mcx_user_key *key)
{
    refs -= key ? 1 : 0;
}

static int
use_ring(void)
{
    static uint8_t octets[MCX_SAKKE_PT_SIZE];
    static struct mcx_kms_info info;
    struct mcx_ring *ring = NULL;
    size_t n_kms = 0, n_users = 0;
    int done = 0, i;

    if (!ok(mcx_ring_new(&ring, mcx_env_system()))) {
        assert_null(ring);
        return 0;
    }
    for (i = 0; i < 40; i++) { /* the table grows on the way */
        char uri[32];

        (void)snprintf(uri, sizeof uri, "sip:u%d@t", i);
        (void)snprintf(info.uri, sizeof info.uri, "kms.%d", i);
        info.period.length_s = 1;
        done += ok(mcx_ring_add_kms(ring, &info,
                                    (struct mcx_kms_pub *)octets));
        done += ok(mcx_ring_add_user(ring, uri, "kms.1", 1,
                                     (struct mcx_user_key *)octets));
    }
    mcx_ring_count(ring, &n_kms, &n_users);
    assert_int_equal(n_kms + n_users, done);
    assert_int_equal(refs, done);
    mcx_ring_free(ring);
    assert_int_equal(refs, 0);
    return done;
}

/* ---- the replay cache -------------------------------------------------- */

static int
use_replay(void)
{
    struct mcx_replay *r = NULL;
    int done = 0, i;

    if (!ok(mcx_replay_new(&r, 1000))) {
        assert_null(r);
        return 0;
    }
    for (i = 0; i < 1000; i++) {
        uint8_t digest[32] = { (uint8_t)i, (uint8_t)(i >> 8) };

        if (ok(mcx_replay_enter(r, digest, 0, 9, false, false))) {
            done++;
            assert_int_equal(mcx_replay_look(r, digest, 0, false),
                             MCX_E_REPLAY);
        }
    }
    assert_int_equal(mcx_replay_count(r), done);
    mcx_replay_free(r);
    return done;
}

/* ---- configuration ----------------------------------------------------- */

static mcx_err
read_file(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    static const char text[] = "a = 1\n[s]\nb = 2\n[peer sip:x]\nc = 3\n";

    (void)ctx;
    (void)path;
    (void)max;
    *out = malloc(sizeof text);
    if (!*out) {
        return MCX_E_NOMEM;
    }
    memcpy(*out, text, sizeof text);
    *n = sizeof text - 1;
    return MCX_OK;
}

static int
use_config(void)
{
    static const struct mcx_opt opt = { "c", MCX_OPT_TEXT, "d", 0, 0, NULL,
                                        "" };
    const struct mcx_env env = { .read_file = read_file };
    struct mcx_config *c = NULL;
    struct mcx_text text;
    bool loaded;
    int done = 0;

    if (!ok(mcx_config_new(&c))) {
        assert_null(c);
        return 0;
    }
    loaded = ok(mcx_config_load(c, "x.conf", &env, &text));
    /* All of a file or nothing of it. */
    assert_int_equal(mcx_config_get(c, NULL, "a") != NULL, loaded);
    assert_int_equal(mcx_config_get(c, "peer sip:x", "c") != NULL, loaded);
    done += loaded;
    if (ok(mcx_config_set(c, "new", "n", "9", "--n"))) {
        assert_string_equal(mcx_config_get(c, "new", "n"), "9");
        done++;
    } else {
        assert_null(mcx_config_get(c, "new", "n"));
    }
    if (ok(mcx_config_check(c, "other", &opt, 1, &text))) {
        assert_string_equal(mcx_config_get(c, "other", "c"), "d");
        done++;
    }
    mcx_config_free(c);
    return done;
}

static void
test_keys(void **state)
{
    (void)state;
    each_failure(use_keys, N_KEYS);
}

static void
test_ring(void **state)
{
    (void)state;
    each_failure(use_ring, 80);
}

static void
test_replay(void **state)
{
    (void)state;
    each_failure(use_replay, 1000);
}

static void
test_config(void **state)
{
    (void)state;
    each_failure(use_config, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_config),
    };

    mcx_log_level(MCX_AREA_KEYS, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
