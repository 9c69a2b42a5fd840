/* test_oom.c -- the n-th allocation fails, n = 1, 2, 3, ...: ring, replay
 * cache, key store, guarded memory, files and configuration answer MCX_E_NOMEM
 * or succeed, leak nothing (the sanitizer build watches) and go on afterwards.
 * Allocation is wrapped by the linker (--wrap), and so are the maps behind
 * guarded memory.  OpenSSL's own are mikey/test_mikey_oom's; test_oom_list
 * says which functions must be here or there. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_config.h>
#include <sofia-mcx/mcx_keys.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
int __real_mprotect(void *p, size_t n, int prot);
int __wrap_mprotect(void *p, size_t n, int prot);

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

void *
__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    return fails() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}

int
__wrap_mprotect(void *p, size_t n, int prot)
{
    return fails() ? -1 : __real_mprotect(p, n, prot);
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

/* ---- a group's keys, and what is done with keys ------------------------- */

static void
count_key(void *arg, const struct mcx_key_info *info)
{
    assert_true(info->state != MCX_KEY_WIPED);
    ++*(int *)arg;
}

static void
hear(void *arg, const struct mcx_key_info *info)
{
    (void)info;
    ++*(int *)arg;
}

static void
gmk_message(struct mcx_key_msg *km)
{
    memset(km, 0, sizeof *km);
    km->kind = MCX_KIND_GMK;
    km->key_id = 1;
    km->csb_id = 2;
    memset(km->key.b, 7, sizeof km->key.b);
    km->prf = MCX_PRF_HMAC_SHA256;
    km->rand_n = 16;
    km->sp.encr_alg = 6;
    km->sp.key_size = 16;
    km->sp.salt_size = 12;
    km->sp.tag_size = 16;
    km->params.present = true;
    km->params.status = 1;
    km->params.n_groups = 3;
    memcpy(km->params.group[0], "sip:fire@t", 11);
    memcpy(km->params.group[1], "sip:water@t", 12);
    memcpy(km->params.group[2], "sip:earth@t", 12);
}

static int
use_group(void)
{
    static struct mcx_key *out[MCX_GROUPS_MAX];
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_keys *keys = NULL;
    int done = 0, heard = 0, seen = 0;
    size_t n = 9, i;

    if (!ok(mcx_keys_new(&keys, mcx_env_system(), 100))) {
        assert_null(keys);
        return 0;
    }
    mcx_keys_listen(keys, hear, &heard);
    gmk_message(&km);
    if (ok(mcx_keys_stage_group(keys, &km, "sip:i@t", NULL, out, &n,
                                NULL))) {
        static const uint8_t mki[8] = { 0, 0, 0, 1, 0, 0, 0, 2 };
        struct mcx_key_info info;
        struct mcx_srtp_policy policy;
        struct mcx_tek tek;
        struct mcx_key *k, *same;
        uint32_t talker = 0, id = 0;
        bool derived;

        assert_int_equal(n, 3);
        assert_int_equal(km.key.b[0], 0);
        for (i = 0; i < n; i++) {
            assert_int_equal(mcx_key_commit(out[i]), MCX_OK);
        }
        done += (int)n;
        /* Look-ups need no memory, derivations do. */
        assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(mki, 8), &k,
                                         &talker), MCX_OK);
        done += ok(mcx_key_talker_id(&id, k, "sip:i@t"));
        done += ok(mcx_key_tek(&tek, k, 4));
        done += ok(mcx_key_policy(&policy, k, 4, true));
        derived = ok(mcx_key_tek_of(&tek, k, talker, 4));
        if (ok(mcx_key_policy_of(&policy, k, talker, 4, false))) {
            assert_true(!derived || memcmp(policy.key, tek.key, 16) == 0);
            done++;
        } else {
            assert_int_equal(policy.key_size, 0);
        }
        done += derived;
        mcx_srtp_policy_wipe(&policy);
        mcx_tek_wipe(&tek);
        mcx_key_unref(k);
        k = mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:water@t");
        assert_ptr_equal(k, out[1]);
        mcx_key_unref(k);
        k = mcx_keys_by_id(keys, MCX_KIND_GMK, 1);
        same = mcx_key_ref(k);
        mcx_key_unref(k);
        mcx_key_info(&info, same);
        assert_int_equal(info.state, MCX_KEY_ACTIVE);
        mcx_key_unref(same);
        mcx_keys_each(keys, count_key, &seen);
        assert_int_equal(seen, 3);
        mcx_key_retire(out[0]);
        mcx_key_drop(out[0]);
        assert_int_equal(mcx_keys_supersede(keys, MCX_KIND_GMK, 1, 0), 0);
        assert_int_equal(mcx_keys_wipe(keys, MCX_KIND_GMK, 1, NULL,
                                       MCX_END_DROPPED), 2);
        assert_int_equal(mcx_keys_revoke(keys, MCX_KIND_GMK, 1), 0);
        assert_int_equal(mcx_keys_sweep(keys), -1);
        assert_int_equal(heard, 3 + 3 + 1 + 3);
        for (i = 0; i < n; i++) {
            mcx_key_unref(out[i]);
        }
    } else {
        /* All or none, and the caller still has the key. */
        assert_int_equal(n, 0);
        assert_int_equal(km.key.b[0], 7);
    }
    assert_int_equal(mcx_keys_count(keys), 0);
    mcx_keys_free(keys);
    return done;
}

static mcx_err
back_stage(void *ctx, const struct mcx_key_record *rec,
           struct mcx_key_slot *slot)
{
    (void)ctx;
    (void)rec;
    slot->row = 1;
    return MCX_OK;
}

static void
back_changed(void *ctx, struct mcx_key_slot *const *slots, size_t n)
{
    (void)slots;
    *(size_t *)ctx += n;
}

static mcx_err
back_sync(void *ctx)
{
    (void)ctx;
    return MCX_OK;
}

/* Keys that come back from a disk. */
static int
use_restore(void)
{
    static const enum mcx_key_state states[] = { MCX_KEY_STAGED,
                                                 MCX_KEY_ACTIVE,
                                                 MCX_KEY_RETIRED };
    static size_t changes;
    static const struct mcx_keys_backing back = { sizeof back, &changes,
                                                  back_stage, back_changed,
                                                  back_sync };
    const struct mcx_env *env = mcx_env_system();
    struct mcx_keys *keys = NULL;
    int done = 0, i;

    changes = 0;
    if (!ok(mcx_keys_new(&keys, env, 100))) {
        return 0;
    }
    assert_int_equal(mcx_keys_attach(keys, &back), MCX_OK);
    for (i = 0; i < N_KEYS; i++) {
        MCX_SECRET(mcx_key_record, rec);

        rec.kind = MCX_KIND_CSK;
        rec.key_id = 0x20000000u + (uint32_t)i;
        rec.key.b[0] = 1;
        rec.sp.key_size = 16;
        rec.state = states[i % 3];
        rec.wipe_unix_ms = env->unix_ms(env->ctx) + MCX_KEY_GRACE_MS;
        (void)snprintf(rec.owner.impu, sizeof rec.owner.impu, "sip:u%d@t",
                       i);
        done += ok(mcx_keys_restore(keys, &rec, i + 1));
        assert_int_equal(rec.key.b[0], 0);
    }
    assert_int_equal(mcx_keys_count(keys), done);
    assert_int_equal(changes, 0); /* the back-end knows */
    assert_int_equal(mcx_keys_sync(keys), MCX_OK);
    mcx_keys_detach(keys);
    mcx_keys_free(keys);
    return done;
}

/* ---- guarded memory, files --------------------------------------------- */

static int
use_guard(void)
{
    static const size_t sizes[] = { 16, 500, 9000 };
    uint8_t *p[3];
    int done = 0;
    size_t i, k;

    for (i = 0; i < 3; i++) {
        p[i] = mcx_guard_new(sizes[i]);
        for (k = 0; p[i] && k < sizes[i]; k++) {
            assert_int_equal(p[i][k], 0);
        }
        done += p[i] != NULL;
    }
    for (i = 0; i < 3; i++) {
        mcx_guard_free(p[i]);
    }
    return done;
}

static int
use_files(void)
{
    const struct mcx_env *env = mcx_env_system();
    static uint8_t big[50000];
    char path[] = "test_oom.XXXXXX", *got = NULL;
    size_t n = 0;
    int fd = mkstemp(path), done = 0;

    assert_true(fd >= 0);
    (void)close(fd);
    memset(big, 'b', sizeof big);
    if (ok(env->write_file(env->ctx, path, mcx_bytes(big, sizeof big),
                           0600))) {
        done++;
        if (ok(env->read_file(env->ctx, path, sizeof big, &got, &n))) {
            done++;
            assert_int_equal(n, sizeof big);
            assert_memory_equal(got, big, n);
        } else {
            assert_null(got);
        }
    }
    free(got);
    assert_int_equal(unlink(path), 0);
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

static void
on_due(void *arg)
{
    ++*(int *)arg;
}

static void
count_user(void *arg, const char *uri, const char *kms_uri, uint64_t no)
{
    assert_non_null(uri);
    assert_string_equal(kms_uri, "kms.1");
    assert_true(no == 1);
    ++*(size_t *)arg;
}

static int
use_ring(void)
{
    static uint8_t octets[MCX_SAKKE_PT_SIZE];
    static struct mcx_kms_info info;
    struct mcx_ring *ring = NULL;
    struct mcx_kms_pub *pub = NULL;
    struct mcx_user_key *key = NULL;
    size_t n_kms = 0, n_users = 0, n_seen = 0;
    int done = 0, due = 0, i;

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
    if (ok(mcx_ring_allow_kms(ring, "kms.1", MCX_PEER_MONTHLY_TEL))) {
        assert_int_equal(mcx_ring_allowed_kms(ring, "kms.1"),
                         MCX_PEER_MONTHLY_TEL);
        done++;
    } else {
        assert_int_equal(mcx_ring_allowed_kms(ring, "kms.1"), 0);
    }
    /* What is due needs no memory of the ring's, and look-ups none at all. */
    mcx_ring_on_due(ring, on_due, &due);
    mcx_ring_sealed_to(ring, (struct mcx_kms_pub *)octets,
                       mcx_bytes_str("sip:u1@t"));
    while (mcx_ring_build_due(ring)) {
    }
    mcx_ring_on_due(ring, NULL, NULL);
    mcx_ring_each(ring, count_user, &n_seen);
    assert_int_equal(n_seen, n_users);
    if (mcx_ring_kms(ring, mcx_bytes_str("kms.1"), &info, &pub) == MCX_OK) {
        mcx_kms_pub_free(pub);
    }
    if (mcx_ring_kms_of(ring, "sip:u1@t", &info, &pub) == MCX_OK) {
        mcx_kms_pub_free(pub);
    }
    if (mcx_ring_has_user(ring, "sip:u1@t")) {
        assert_int_equal(mcx_ring_user(ring, "sip:u1@t", 1, &key), MCX_OK);
        mcx_user_key_free(key);
        mcx_ring_drop_user(ring, "sip:u1@t", "kms.1", 1);
        assert_false(mcx_ring_has_user(ring, "sip:u1@t"));
    }
    mcx_ring_free(ring);
    assert_int_equal(refs, 0);
    return done;
}

/* ---- the replay cache -------------------------------------------------- */

static mcx_err
put_back(void *arg, const struct mcx_replay_entry *entry)
{
    return mcx_replay_restore(arg, 0, entry);
}

static int
use_replay(void)
{
    struct mcx_replay *r = NULL, *other = NULL;
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
    /* Into another one, as over a restart: the first that does not fit ends
     * it, and what came before is there. */
    if (ok(mcx_replay_new(&other, 1000))) {
        if (ok(mcx_replay_save(r, 0, put_back, other))) {
            assert_int_equal(mcx_replay_count(other), done);
            done++;
        } else {
            assert_true(mcx_replay_count(other) < (size_t)done);
        }
        mcx_replay_free(other);
    }
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
test_group(void **state)
{
    (void)state;
    each_failure(use_group, 3 + 5);
}

static void
test_restore(void **state)
{
    (void)state;
    each_failure(use_restore, N_KEYS);
}

static void
test_guard(void **state)
{
    (void)state;
    each_failure(use_guard, 3);
}

static void
test_files(void **state)
{
    (void)state;
    each_failure(use_files, 2);
}

static void
test_ring(void **state)
{
    (void)state;
    each_failure(use_ring, 81);
}

static void
test_replay(void **state)
{
    (void)state;
    each_failure(use_replay, 1001);
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
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_config),
    };

    mcx_log_level(MCX_AREA_KEYS, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
