/* test_stack.c -- what signing, opening, sealing, issuing and accepting leave
 * behind: the call gets a stack of its own, painted before and searched
 * afterwards, and every block that goes back to the heap meanwhile is
 * searched.  Wanted are the secrets in the forms in which they are worked
 * with: octets, words, hash words, limbs of 62 bits, Montgomery's form.  Each
 * back-end in a process of its own. */
#include <config.h>
#include <malloc.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <openssl/bn.h>
#include "test_kit.h"
#include "curve/ops.h"

void __real_free(void *p);
void __wrap_free(void *p);

/* ---- what is looked for ------------------------------------------------- */

enum { PATTERNS = 1200 };
struct pattern { uint8_t b[8]; const char *name; };
static struct pattern pattern[PATTERNS];
static size_t n_patterns;
static bool sorted, watching;
static const char *in_heap;

static void
want8(const char *name, const uint8_t b[8])
{
    size_t i;
    unsigned seen = 0;

    for (i = 0; i < 8; i++) { /* not such as may be anything's */
        seen |= b[i] == 0 || b[i] == 0xff ? 0 : 1u << i;
    }
    if (__builtin_popcount(seen) < 5) {
        return;
    }
    assert_true(n_patterns < PATTERNS);
    memcpy(pattern[n_patterns].b, b, 8);
    pattern[n_patterns++].name = name;
    sorted = false;
}

/* 'n' octets, most significant first. */
static void
want(const char *name, const uint8_t *b, size_t n)
{
    uint8_t le[128], t[8];
    uint64_t limb;
    size_t i, j;

    assert_true(n <= sizeof le && n % 8 == 0);
    for (i = 0; i < n; i++) {
        le[i] = b[n - 1 - i];
    }
    for (i = 0; i < n; i += 8) {
        want8(name, b + i);
        want8(name, le + i);
        for (j = 0; j < 8; j++) { /* as SHA-256 reads its block */
            t[j] = b[i + (j ^ 3)];
        }
        want8(name, t);
    }
    for (i = 0; 62 * i + 62 <= 8 * n; i++) {
        limb = 0;
        for (j = 0; j < 62; j++) {
            size_t bit = 62 * i + j;

            limb |= (uint64_t)(le[bit / 8] >> bit % 8 & 1) << j;
        }
        memcpy(t, &limb, 8);
        want8(name, t);
    }
}

/* The same, and times 2^(8n) modulo m. */
static void
want_mod(const char *name, const uint8_t *b, size_t n, const uint8_t *m)
{
    BIGNUM *v = BN_bin2bn(b, (int)n, NULL);
    BIGNUM *mod = BN_bin2bn(m, (int)n, NULL);
    BN_CTX *ctx = BN_CTX_new();
    uint8_t out[128];

    assert_true(v && mod && ctx && BN_lshift(v, v, (int)(8 * n))
                && BN_nnmod(v, v, mod, ctx)
                && BN_bn2binpad(v, out, (int)n) == (int)n);
    want(name, b, n);
    want(name, out, n);
    BN_free(v);
    BN_free(mod);
    BN_CTX_free(ctx);
}

/* In order; not by qsort(), which would leave copies about. */
static void
sort_patterns(void)
{
    struct pattern t;
    size_t i, j;

    for (i = 1; i < n_patterns; i++) {
        t = pattern[i];
        for (j = i; j > 0 && memcmp(t.b, pattern[j - 1].b, 8) < 0; j--) {
            pattern[j] = pattern[j - 1];
        }
        pattern[j] = t;
    }
    memset(&t, 0, sizeof t);
    sorted = true;
}

static int
order(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

/* The first secret in 'n' octets; NULL: none. */
static const char *
search(const uint8_t *b, size_t n)
{
    static uint8_t first[256];
    const struct pattern *found;
    size_t i;

    if (!sorted) {
        sort_patterns();
        memset(first, 0, sizeof first);
        for (i = 0; i < n_patterns; i++) {
            first[pattern[i].b[0]] = 1;
        }
    }
    for (i = 0; n >= 8 && i <= n - 8; i++) {
        if (first[b[i]]) {
            found = bsearch(b + i, pattern, n_patterns, sizeof pattern[0],
                            order);
            if (found) {
                return found->name;
            }
        }
    }
    return NULL;
}

void
__wrap_free(void *p)
{
    if (watching && p) {
        const char *found = search(p, malloc_usable_size(p));

        in_heap = found ? found : in_heap;
    }
    __real_free(p);
}

/* ---- a stack of its own ------------------------------------------------- */

enum { STACK = 512 * 1024, PAINT = 0xc9 };
static _Alignas(64) uint8_t stack[STACK];
static ucontext_t here, there;
static void (*call)(void);

static void
run(void)
{
    call();
}

static const char *
left_by(void (*what)(void), size_t *depth)
{
    memset(stack, PAINT, sizeof stack);
    call = what;
    in_heap = NULL;
    assert_int_equal(getcontext(&there), 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, run, 0);
    watching = true;
    assert_int_equal(swapcontext(&here, &there), 0);
    watching = false;
    for (*depth = sizeof stack; *depth > 0; (*depth)--) {
        if (stack[sizeof stack - *depth] != PAINT) {
            break;
        }
    }
    return search(stack, sizeof stack);
}

/* ---- the calls ---------------------------------------------------------- */

static struct kit kit;
static uint8_t j[32], sig[129], enc[273], bad[273], z[257], kpak[65];
static struct mcx_ssv ssv, opened;
static struct mcx_sakke_job job[9];
static mcx_err err;

static void
sign_with(void)
{
    err = mcx_eccsi_sign_with(sig, kit.key, kit_msg(&kit), j);
}

static void
sign(void)
{
    err = mcx_eccsi_sign(sig, kit.key, kit_msg(&kit), mcx_env_system());
}

static void
unseal(void)
{
    err = mcx_sakke_open(&opened, kit.key, mcx_bytes(enc, 273), NULL);
}

static void
unseal_bad(void)
{
    err = mcx_sakke_open(&opened, kit.key, mcx_bytes(bad, 273), NULL);
    err = err == MCX_E_AUTH ? MCX_OK : MCX_E_INTERNAL;
}

static void
unseal_many(void)
{
    size_t i;

    for (i = 0; i < 9; i++) {
        job[i].enc = mcx_bytes(enc, 273);
    }
    mcx_sakke_open_many(job, 9, kit.key);
    err = job[7].err;
}

static void
seal(void)
{
    err = mcx_sakke_seal(enc, kit.pub, kit_id(&kit), &ssv);
}

static void
issue(void)
{
    static struct mcx_rsk rsk;

    err = mcx_kms_rsk(&rsk, kit.master, kit_id(&kit));
}

static void
pair(void)
{
    static struct mcx_ssk ssk;
    static uint8_t pvt[65];

    err = mcx_kms_pair_with(&ssk, pvt, kit.master, kit_id(&kit), j);
}

static void
accept_key(void)
{
    struct mcx_user_key *key;

    err = mcx_user_key_new(&key, kit.pub, kit_id(&kit), &kit.rsk, &kit.ssk,
                           kit.pvt, NULL);
    if (err == MCX_OK) {
        err = mcx_user_key_prepare(key);
        mcx_user_key_free(key);
    }
}

static void
master(void)
{
    static struct mcx_kms_secret secret;
    struct mcx_kms_master *m;

    mcx_kms_master_export(&secret, kit.master);
    err = mcx_kms_master_new(&m, &secret, mcx_env_system());
    mcx_kms_master_public(z, kpak, m);
    mcx_kms_master_free(m);
    mcx_wipe(&secret, sizeof secret);
}

/* The nonce and what is made of it, and of a signature by it. */
static void
want_nonce(void)
{
    const struct mcx_p256_ops *ops = mcx_p256()->ops;
    uint8_t he[32], t[32];

    assert_int_equal(mcx_eccsi_he(he, kit.key->hs, sig, kit_msg(&kit)),
                     MCX_OK);
    ops->muladd_q(t, he, sig, kit.ssk.b); /* HE + r SSK = j/s */
    want_mod("HE + r SSK", t, 32, mcx_p256_q);
    ops->inv_q(t, t);
    want_mod("1/(HE + r SSK)", t, 32, mcx_p256_q);
}

static void
nothing_left(void **state)
{
    static const struct { const char *name; void (*run)(void); } op[] = {
        { "sign_with", sign_with }, { "sign", sign }, { "seal", seal },
        { "open", unseal }, { "open, refused", unseal_bad },
        { "open_many", unseal_many }, { "issue", issue }, { "pair", pair },
        { "accept", accept_key }, { "master", master },
    };
    size_t i, bad_ones = 0;

    (void)state;
    for (i = 0; i < sizeof op / sizeof op[0]; i++) {
        size_t depth;
        const char *left = left_by(op[i].run, &depth);

        assert_int_equal(err, MCX_OK);
        print_message("%-14s %6zu octets of stack%s%s%s%s\n", op[i].name,
                      depth, left ? ", with " : "", left ? left : "",
                      in_heap ? ", freed with " : "",
                      in_heap ? in_heap : "");
        bad_ones += left != NULL || in_heap != NULL;
    }
    assert_int_equal(bad_ones, 0);
}

/* The search finds what is there. */
static void
careless(void)
{
    volatile uint8_t room[32];
    uint8_t *p = malloc(64);
    size_t i;

    for (i = 0; i < 32; i++) {
        room[i] = kit.ssk.b[i];
    }
    if (p) {
        memcpy(p + 1, j, 32);
        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
    }
    err = room[3] == kit.ssk.b[3] ? MCX_OK : MCX_E_INTERNAL;
}

static void
found(void **state)
{
    size_t depth;

    (void)state;
    assert_non_null(left_by(careless, &depth));
    assert_non_null(in_heap);
    assert_string_equal(in_heap, "nonce");
    assert_in_range(depth, 64, 8192);
}

static int
each(const char *cpu)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found),
        cmocka_unit_test(nothing_left),
    };
    struct kit_random r = { 4711, 0 };
    struct mcx_kms_secret secret;
    uint64_t k[MCX_W], z_[MCX_W];
    uint8_t v[128];
    int failed;

    if (setenv("MCX_CPU", cpu, 1) != 0) {
        return 2;
    }
    kit_open(&kit);
    (void)kit_draw(&r, j, sizeof j);
    (void)kit_draw(&r, ssv.b, sizeof ssv.b);
    j[0] &= 0x7f;
    sign_with();
    assert_int_equal(err, MCX_OK);
    seal();
    assert_int_equal(err, MCX_OK);
    memcpy(bad, enc, sizeof bad);
    bad[272] ^= 1;
    assert_int_equal(mcx_user_key_prepare(kit.key), MCX_OK);
    want("SSK", kit.ssk.b, 32);
    want("nonce", j, 32);
    want_nonce();
    want_mod("RSK", kit.rsk.b + 1, 128, mcx_sakke_p);
    want_mod("RSK", kit.rsk.b + 129, 128, mcx_sakke_p);
    want("SSV", ssv.b, 16);
    assert_int_equal(mcx_sakke_r(v, &ssv, kit_id(&kit)), MCX_OK);
    want("r", v, 128);
    mcx_w_read(k, v);
    assert_true(mcx_shared()->ops->mul(bad, mcx_shared()->p, k, NULL, NULL, v,
                                       mcx_shared()->g, k));
    want_mod("w", v, 128, mcx_sakke_p);
    memcpy(bad, enc, sizeof bad);
    bad[272] ^= 1;
    mcx_kms_master_export(&secret, kit.master);
    want("z", secret.b, 128);
    want("KSAK", secret.b + 128, 32);
    memset(v, 0, sizeof v);
    memcpy(v + 128 - kit.id_n, kit.id, kit.id_n);
    mcx_w_read(k, v);
    mcx_w_read(z_, secret.b);
    mcx_w_reduce(k, mcx_w_add(k, k, z_), mcx_w_q);
    mcx_w_write(v, k);
    want("a + z", v + 112, 16);
    mcx_w_inv(k, k, mcx_w_q, mcx_w_q_k);
    mcx_w_write(v, k);
    want("1/(a + z)", v, 128);
    failed = cmocka_run_group_tests_name(cpu, tests, NULL, NULL);
    kit_close(&kit);
    return failed != 0;
}

int
main(void)
{
    static const char *const cpus[] = { "portable", "adx", "ifma" };
    int failed = 0;
    size_t i;

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)       \
    || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if !defined __OPTIMIZE__ || defined __SANITIZE_ADDRESS__                     \
    || defined __SANITIZE_THREAD__ || defined SANITIZED
    (void)printf("SKIP stack: not the code that is shipped\n");
    return 77;
#endif
    for (i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
        int status = 0;
        pid_t pid;

        if (!mcx_ops_named(cpus[i])) {
            (void)printf("SKIP %s: this CPU lacks it\n", cpus[i]);
            continue;
        }
        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
            exit(each(cpus[i]));
        }
        failed |= pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
    }
    return failed;
}
