/* test_ident_oom.c -- every operation with its n-th allocation failing, and
 * those after it or not, for all n: MCX_E_NOMEM or success, outputs clean,
 * nothing leaked; and no block goes back to the heap with a secret in it.
 *
 * OpenSSL's allocations come through its own hook, ours through the linker's
 * --wrap. */
#include <config.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "test_kit.h"
#include "ident/signers.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static long fail_in = -1; /* allocations still to succeed; -1: all */
static bool once;         /* one fails, not all that follow */
static long live;         /* OpenSSL's blocks in use                */
static bool watching;

/* Eight octets of each secret, in both orders of octets. */
enum { MAX_PATTERNS = 32 };
static uint8_t pattern[MAX_PATTERNS][8];
static size_t n_patterns;
static bool leaked;

static bool
may_allocate(void)
{
    if (fail_in == 0) {
        fail_in = once ? -1 : 0;
        return false;
    }
    fail_in -= fail_in > 0;
    return true;
}

void *
__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

/* A block carries its size in the 16 octets before it. */
static void *
ssl_malloc(size_t n, const char *file, int line)
{
    uint8_t *p = may_allocate() ? __real_malloc(n + 16) : NULL;

    (void)file;
    (void)line;
    if (!p) {
        return NULL;
    }
    memcpy(p, &n, sizeof n);
    live++;
    return p + 16;
}

static void
ssl_free(void *at, const char *file, int line)
{
    uint8_t *p = at;
    size_t n, i, j;

    (void)file;
    (void)line;
    if (!p) {
        return;
    }
    memcpy(&n, p - 16, sizeof n);
    for (i = 0; watching && n >= 8 && i <= n - 8; i++) {
        for (j = 0; j < n_patterns; j++) {
            leaked = leaked || memcmp(p + i, pattern[j], 8) == 0;
        }
    }
    live--;
    free(p - 16);
}

static void *
ssl_realloc(void *at, size_t n, const char *file, int line)
{
    size_t old = 0;
    void *p;

    if (at) {
        memcpy(&old, (uint8_t *)at - 16, sizeof old);
    }
    p = ssl_malloc(n, file, line);
    if (p && at) {
        memcpy(p, at, old < n ? old : n);
        ssl_free(at, file, line);
    }
    return p;
}

static void
watch(const uint8_t *secret, size_t n)
{
    size_t i;

    assert_true(n >= 8 && n_patterns + 4 <= MAX_PATTERNS);
    for (i = 0; i < 8; i++) {
        pattern[n_patterns][i] = secret[n - 8 + i];
        pattern[n_patterns + 1][i] = secret[n - 1 - i];
        pattern[n_patterns + 2][i] = secret[n / 2 - 4 + i];
        pattern[n_patterns + 3][i] = secret[n / 2 + 3 - i];
    }
    n_patterns += 4;
}

static const struct kit *kit;
static struct mcx_env env;
static struct kit_random rnd;
static struct mcx_ssv ssv;

static mcx_err
do_pub(void)
{
    struct mcx_kms_pub *pub = NULL;
    mcx_err err = mcx_kms_pub_new(&pub, mcx_bytes(kit->z, 257),
                                  mcx_bytes(kit->kpak, 65), NULL);

    mcx_kms_pub_free(pub);
    return err;
}

static mcx_err
do_user(void)
{
    struct mcx_user_key *key = NULL;
    mcx_err err = mcx_user_key_new(&key, kit->pub, kit_id(kit), &kit->rsk,
                                   &kit->ssk, kit->pvt, NULL);

    mcx_user_key_free(key);
    return err;
}

static mcx_err
do_seal(void)
{
    uint8_t enc[273];

    return mcx_sakke_seal(enc, kit->pub, kit_id(kit), &ssv);
}

static mcx_err
do_open(void)
{
    static const struct mcx_ssv zero;
    struct mcx_ssv found;
    mcx_err err = mcx_sakke_open(&found, kit->key, mcx_bytes(kit->enc, 273),
                                 NULL);

    if (err != MCX_OK) {
        assert_memory_equal(&found, &zero, sizeof zero);
    }
    return err;
}

static mcx_err
do_sign(void)
{
    uint8_t sig[129];

    return mcx_eccsi_sign(sig, kit->key, kit_msg(kit), &env);
}

static mcx_err
do_verify(void)
{
    return mcx_eccsi_verify(kit->pub, kit_id(kit), kit_msg(kit),
                            mcx_bytes(kit->sig, 129), NULL);
}

static mcx_err
do_master(void)
{
    struct mcx_kms_secret secret;
    struct mcx_kms_master *master = NULL;
    mcx_err err;

    mcx_kms_master_export(&secret, kit->master);
    err = mcx_kms_master_new(&master, &secret, &env);
    mcx_kms_master_free(master);
    return err;
}

static mcx_err
do_issue(void)
{
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    uint8_t pvt[65];

    return mcx_kms_master_issue(kit->master, kit_id(kit), &rsk, &ssk, pvt,
                                &env);
}

/* Each job ends as it would alone: well, or for want of memory; a bad one is
 * never good.  The batch is out of memory when one of them is. */
static mcx_err
do_verify_many(void)
{
    enum { N = 9 };
    struct mcx_eccsi_job job[N];
    uint8_t bad[129];
    mcx_err err = MCX_OK;
    size_t i;

    memcpy(bad, kit->sig, 129);
    bad[50] ^= 1;
    for (i = 0; i < N; i++) {
        job[i] = (struct mcx_eccsi_job){
            .id = kit_id(kit), .msg = kit_msg(kit),
            .sig = mcx_bytes(i == 5 ? bad : kit->sig, 129)
        };
    }
    mcx_signers_forget(kit->pub->signers);
    mcx_eccsi_verify_many(job, N, kit->pub);
    for (i = 0; i < N; i++) {
        assert_true(job[i].err == (i == 5 ? MCX_E_AUTH : MCX_OK)
                    || job[i].err == MCX_E_NOMEM);
        if (job[i].err == MCX_E_NOMEM) {
            err = MCX_E_NOMEM;
            assert_int_equal(job[i].why.reason, MCX_R_MEMORY);
        }
    }
    return err;
}

static mcx_err
do_open_many(void)
{
    enum { N = 9 };
    static const struct mcx_ssv zero;
    struct mcx_sakke_job job[N];
    uint8_t bad[273];
    mcx_err err = MCX_OK;
    size_t i;

    memcpy(bad, kit->enc, 273);
    bad[270] ^= 1;
    for (i = 0; i < N; i++) {
        memset(&job[i], 0x5a, sizeof job[i]);
        job[i].enc = mcx_bytes(i == 5 ? bad : kit->enc, 273);
    }
    mcx_sakke_open_many(job, N, kit->key);
    for (i = 0; i < N; i++) {
        assert_true(job[i].err == (i == 5 ? MCX_E_AUTH : MCX_OK)
                    || job[i].err == MCX_E_NOMEM);
        assert_memory_equal(&job[i].ssv, job[i].err == MCX_OK ? &ssv : &zero,
                            sizeof zero);
        if (job[i].err == MCX_E_NOMEM) {
            err = MCX_E_NOMEM;
            assert_int_equal(job[i].why.reason, MCX_R_MEMORY);
        }
    }
    mcx_wipe(job, sizeof job);
    return err;
}

/* Without the table it is as it was before: no table, and it verifies. */
static mcx_err
do_signer(void)
{
    mcx_err err;

    mcx_signers_forget(kit->pub->signers);
    err = mcx_eccsi_prepare(kit->pub, kit_id(kit), kit->pvt);
    assert_true(err == MCX_OK || err == MCX_E_NOMEM);
    return err;
}

static mcx_err
do_peer(void)
{
    static uint8_t n;
    uint8_t id[2] = { 7, 0 };
    uint8_t enc[273];
    mcx_err err;

    id[1] = n++; /* one that has no table */
    err = mcx_sakke_prepare(kit->pub, mcx_bytes(id, 2));
    assert_int_equal(mcx_peers_has(kit->pub->peers, mcx_bytes(id, 2)),
                     err == MCX_OK);
    if (err != MCX_OK) {
        long n_left = fail_in;

        fail_in = -1;
        assert_int_equal(mcx_sakke_seal(enc, kit->pub, mcx_bytes(id, 2),
                                        &ssv), MCX_OK);
        fail_in = n_left;
    }
    return err;
}

/* A key and a KMS that have none of their tables yet. */
static mcx_err
do_fresh(void)
{
    struct mcx_kms_pub *pub = NULL;
    struct mcx_user_key *key = NULL;
    mcx_err err = mcx_kms_pub_new(&pub, mcx_bytes(kit->z, 257),
                                  mcx_bytes(kit->kpak, 65), NULL);
    struct mcx_ssv found;

    if (err == MCX_OK) {
        err = mcx_user_key_new(&key, pub, kit_id(kit), &kit->rsk, &kit->ssk,
                               kit->pvt, NULL);
    }
    if (err == MCX_OK) {
        err = mcx_user_key_prepare(key);
    }
    if (err == MCX_OK) {
        err = mcx_sakke_open(&found, key, mcx_bytes(kit->enc, 273), NULL);
    }
    mcx_user_key_free(key);
    mcx_kms_pub_free(pub);
    return err;
}

static mcx_err
do_uid(void)
{
    struct mcx_period period = { .length_s = 60 };
    struct mcx_uid uid;

    return mcx_uid(&uid, mcx_bytes_str("a"), mcx_bytes_str("b"), &period, 1);
}

static void
each_allocation(void **state)
{
    static const struct { const char *name; mcx_err (*run)(void); } op[] = {
        { "uid", do_uid },       { "verify", do_verify },
        { "sign", do_sign },     { "pub", do_pub },
        { "master", do_master }, { "issue", do_issue },
        { "seal", do_seal },     { "open", do_open },
        { "user", do_user },     { "verify_many", do_verify_many },
        { "open_many", do_open_many }, { "signer", do_signer },
        { "peer", do_peer },     { "fresh", do_fresh },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof op / sizeof op[0]; i++) {
        long n = 0, refused = 0, before;
        mcx_err err;

        assert_int_equal(op[i].run(), MCX_OK); /* caches are warm */
        before = live;
        do {
            fail_in = n++;
            err = op[i].run();
            fail_in = -1;
            assert_true(err == MCX_OK || err == MCX_E_NOMEM);
            refused += err == MCX_E_NOMEM;
            assert_int_equal(live, before);
            assert_int_equal(ERR_peek_error(), 0);
        } while (err == MCX_E_NOMEM);
        assert_true(refused > 0);
        once = true;
        for (n = 0; n <= refused; n++) {
            fail_in = n;
            err = op[i].run();
            fail_in = -1;
            assert_true(err == MCX_OK || err == MCX_E_NOMEM);
            assert_int_equal(live, before);
            assert_int_equal(ERR_peek_error(), 0);
        }
        once = false;
        print_message("%s: %ld allocations\n", op[i].name, refused);
        assert_int_equal(op[i].run(), MCX_OK);
    }
}

static void
wiped(void **state)
{
    struct mcx_kms_secret secret;
    uint8_t v[128], *probe;

    (void)state;
    watch(kit->ssk.b, 32);
    watch(kit->rsk.b + 1, 128);
    watch(kit->rsk.b + 129, 128);
    vec_int(V6508, "r", v, 128);
    watch(v, 128);
    vec_int(V6508, "w", v, 128);
    watch(v, 128);
    (void)vec_hex(V6508, "SSV", v, 16);
    watch(v, 16);
    mcx_kms_master_export(&secret, kit->master);
    watch(secret.b + 108, 20);
    watching = true;
    assert_int_equal(do_open(), MCX_OK);
    assert_int_equal(do_seal(), MCX_OK);
    assert_int_equal(do_sign(), MCX_OK);
    assert_int_equal(do_issue(), MCX_OK);
    assert_int_equal(do_master(), MCX_OK);
    assert_int_equal(do_user(), MCX_OK);
    assert_false(leaked);
    probe = ssl_malloc(32, "", 0); /* the watch itself sees */
    assert_non_null(probe);
    memcpy(probe, kit->ssk.b, 32);
    ssl_free(probe, "", 0);
    assert_true(leaked);
    watching = false;
}

static int
open_kit(void **state)
{
    static struct kit k;

    /* OpenSSL's own start must not fail: it never tries again. */
    assert_int_equal(do_uid(), MCX_OK);
    kit_open(&k);
    kit = &k;
    (void)vec_hex(V6508, "SSV", ssv.b, sizeof ssv.b);
    env = kit_env(&rnd, 99);
    *state = &k;
    return 0;
}

static int
close_kit(void **state)
{
    kit_close(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation),
        cmocka_unit_test(wiped),
    };

    if (!CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free)) {
        return 1;
    }
    return cmocka_run_group_tests_name("ident-oom", tests, open_kit,
                                       close_kit);
}
