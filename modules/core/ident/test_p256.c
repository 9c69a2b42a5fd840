/* test_p256.c -- P-256 of each back-end against OpenSSL's, on random values
 * and on those where something could go wrong; and where additions meet
 * infinity, equal and opposite points. */
#include <config.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include "test_kit.h"
#include "curve/ops.h"

static const struct mcx_p256_ops *ops;
static EC_GROUP *ec;
static BN_CTX *ctx;
static const BIGNUM *q;
static struct kit_random rnd;

/* A scalar for round 'i': edges first, then runs of ones and zeros, then
 * anything; below 2^256, and below q for an odd 'strict'. */
static void
scalar(uint8_t k[32], int i, bool strict)
{
    static const uint8_t one[32] = { [31] = 1 };
    int j;

    memset(k, 0, 32);
    if (i < 20) {
        k[31] = (uint8_t)i;
    } else if (i < 40) { /* q - 1 and below */
        memcpy(k, mcx_p256_q, 32);
        for (j = 19; j < i; j++) {
            kit_sub(k, k, one, 32);
        }
    } else if (i < 60) { /* about q / 2, where -k is next to k */
        BIGNUM *n = BN_dup(q);

        assert_true(n && BN_rshift1(n, n)
                    && BN_add_word(n, (BN_ULONG)(i - 40))
                    && BN_sub_word(n, 10));
        assert_int_equal(BN_bn2binpad(n, k, 32), 32);
        BN_free(n);
    } else if (i < 316) {
        k[(i - 60) / 8] = (uint8_t)(1u << (i - 60) % 8);
    } else if (i < 572) { /* ones below a bit */
        for (j = 0; j < i - 316; j++) {
            k[31 - j / 8] |= (uint8_t)(1u << j % 8);
        }
    } else if (i < 592) { /* from q up */
        memcpy(k, mcx_p256_q, 32);
        for (j = 572; j < i; j++) {
            kit_add(k, k, one, 32);
        }
    } else if (i < 600) {
        memset(k, 0xff, 32);
        k[31] = (uint8_t)(0xff - (i - 592));
    } else {
        assert_int_equal(kit_draw(&rnd, k, 32), MCX_OK);
        if (i % 3 == 0) {
            memset(k + i % 17, i & 8 ? 0xff : 0, 12);
        }
    }
    if (strict && !mcx_in_range(k, 0, mcx_p256_q, 32)) {
        kit_sub(k, k, mcx_p256_q, 32);
    }
}

static BIGNUM *
number(const uint8_t k[32])
{
    BIGNUM *n = BN_bin2bn(k, 32, NULL);

    assert_non_null(n);
    return n;
}

/* [kg]G + [ka]A by OpenSSL; false: infinity. */
static bool
expect(uint8_t b[65], const uint8_t *kg, const uint8_t *a, const uint8_t *ka)
{
    EC_POINT *r = EC_POINT_new(ec), *p = a ? EC_POINT_new(ec) : NULL;
    BIGNUM *g = kg ? number(kg) : NULL, *n = ka ? number(ka) : NULL;
    bool finite;

    assert_non_null(r);
    if (a) {
        assert_true(EC_POINT_oct2point(ec, p, a, 65, ctx));
    }
    assert_true(EC_POINT_mul(ec, r, g, p, n, ctx));
    finite = !EC_POINT_is_at_infinity(ec, r);
    memset(b, 0, 65);
    if (finite) {
        assert_int_equal(EC_POINT_point2oct(ec, r,
                                            POINT_CONVERSION_UNCOMPRESSED, b,
                                            65, ctx), 65);
    }
    EC_POINT_free(r);
    EC_POINT_free(p);
    BN_free(g);
    BN_free(n);
    return finite;
}

static void
is(const struct mcx_p256_jac *have, const uint8_t want[65])
{
    uint8_t b[65];

    assert_int_equal(ops->write(b, have), want[0] == 0x04);
    assert_memory_equal(b, want, 65);
    assert_int_equal(ops->infinite(have), want[0] == 0);
    assert_int_equal(ops->x_is(have, want + 1), want[0] == 0x04);
    b[32] ^= 1;
    assert_false(ops->x_is(have, b + 1));
}

static struct mcx_p256_table *
table(const struct mcx_p256_point *a, int w, int v)
{
    struct mcx_p256_table *t = mcx_big_new(MCX_P256_TABLE_SIZE(w, v));

    assert_non_null(t);
    t->w = w;
    t->v = v;
    ops->table(t, a);
    return t;
}

/* A multiple of G of no small order, in both forms. */
static void
some_point(struct mcx_p256_point *a, uint8_t b[65])
{
    uint8_t k[32];

    scalar(k, 1000, true);
    assert_true(expect(b, k, NULL, NULL));
    assert_true(ops->read(a, b));
}

static void
modulo_q(void **state)
{
    int i, rounds = 3000;
    BIGNUM *x = BN_new(), *y = BN_new();

    (void)state;
    assert_true(x && y);
    for (i = 0; i < rounds; i++) {
        uint8_t a[32], b[32], c[32], r[32], want[32];
        BIGNUM *na, *nb, *nc;

        scalar(a, i, false);
        scalar(b, i * 7 % 700, false);
        scalar(c, i * 31 % 701, false);
        na = number(a);
        nb = number(b);
        nc = number(c);
        assert_true(BN_mod_mul(x, nb, nc, q, ctx)
                    && BN_mod_add(x, x, na, q, ctx));
        assert_int_equal(BN_bn2binpad(x, want, 32), 32);
        ops->muladd_q(r, a, b, c);
        assert_memory_equal(r, want, 32);
        ops->inv_q(r, a);
        assert_true(BN_nnmod(na, na, q, ctx));
        memset(want, 0, 32);
        if (!BN_is_zero(na)) {
            assert_non_null(BN_mod_inverse(y, na, q, ctx));
            assert_int_equal(BN_bn2binpad(y, want, 32), 32);
        }
        assert_memory_equal(r, want, 32);
        BN_free(na);
        BN_free(nb);
        BN_free(nc);
    }
    BN_free(x);
    BN_free(y);
}

static void
secret_multiples(void **state)
{
    struct mcx_p256_point a;
    struct mcx_p256_table *t[3];
    uint8_t at[65];
    int i, j;

    (void)state;
    some_point(&a, at);
    t[0] = table(&a, 4, 1);
    t[1] = table(&a, 6, 1);
    t[2] = table(&a, 8, 1);
    for (i = 1; i < 1200; i++) {
        uint8_t k[32], want[65], have[65];

        scalar(k, i, true);
        if (!expect(want, NULL, at, k)) {
            continue;
        }
        for (j = i % 20 == 0 ? 0 : 1; j < (i % 20 == 0 ? 3 : 2); j++) {
            ops->base_mul(have, t[j], k);
            assert_memory_equal(have, want, 65);
        }
    }
    for (j = 0; j < 3; j++) {
        mcx_big_free(t[j]);
    }
}

static void
public_sums(void **state)
{
    static const struct { int w, v; } form[] = {
        { 4, 1 }, { 5, 1 }, { 5, 2 }, { 5, 4 }, { 6, 3 }, { 7, 1 }, { 8, 1 },
        { 4, 65 }
    };
    enum { FORMS = sizeof form / sizeof form[0] };
    struct mcx_p256_table *t[FORMS], *g;
    struct mcx_p256_point a, gen;
    uint8_t at[65];
    int i, j;

    (void)state;
    some_point(&a, at);
    assert_true(ops->read(&gen, mcx_p256_g));
    g = table(&gen, 7, 1);
    for (j = 0; j < FORMS; j++) {
        t[j] = table(&a, form[j].w, form[j].v);
    }
    for (i = 0; i < 1100; i++) {
        uint8_t k[32], l[32], want[65];

        scalar(k, i, false);
        scalar(l, i * 13 % 900, false);
        (void)expect(want, i % 4 ? l : NULL, at, k);
        for (j = 0; j < FORMS + 1; j++) {
            struct mcx_p256_term term[2] = { { j < FORMS ? t[j] : NULL, &a,
                                               k },
                                             { g, NULL, l } };
            struct mcx_p256_jac sum = { .z = { 0 } };

            if (j > 1 && j < FORMS && (i + j) % 5) {
                continue;
            }
            ops->sum(&sum, term, i % 4 ? 2 : 1);
            is(&sum, want);
            if (i % 4) { /* the other order */
                memset(&sum, 0, sizeof sum);
                ops->sum(&sum, term + 1, 1);
                ops->sum(&sum, term, 1);
                is(&sum, want);
            }
        }
    }
    for (j = 0; j < FORMS; j++) {
        mcx_big_free(t[j]);
    }
    mcx_big_free(g);
}

/* A + A, A - A, infinity + A, A + infinity, by each kind of addition. */
static void
meetings(void **state)
{
    static const uint8_t zero[32] = { 0 }, one[32] = { [31] = 1 };
    static const uint8_t infinity[65] = { 0 };
    struct mcx_p256_point a;
    struct mcx_p256_table *t[2];
    uint8_t at[65], twice[65], minus[32], two[32] = { [31] = 2 };
    int i;

    (void)state;
    some_point(&a, at);
    kit_sub(minus, mcx_p256_q, one, 32);
    assert_true(expect(twice, NULL, at, two));
    t[0] = table(&a, 5, 1);
    t[1] = table(&a, 5, 4);
    for (i = 0; i < 3; i++) {
        struct mcx_p256_term term = { i < 2 ? t[i] : NULL, &a, one };
        struct mcx_p256_jac sum = { .z = { 0 } };

        ops->sum(&sum, &term, 1);
        is(&sum, at);
        ops->sum(&sum, &term, 1);
        is(&sum, twice);
        term.k = minus;
        ops->sum(&sum, &term, 1);
        is(&sum, at);
        term.k = zero;
        ops->sum(&sum, &term, 1);
        is(&sum, at);
        term.k = minus;
        ops->sum(&sum, &term, 1);
        is(&sum, infinity);
        term.k = zero;
        ops->sum(&sum, &term, 1);
        is(&sum, infinity);
        term.k = mcx_p256_q;
        ops->sum(&sum, &term, 1);
        is(&sum, infinity);
        ops->add(&sum, &a);
        is(&sum, at);
        ops->add(&sum, &a);
        is(&sum, twice);
        term.k = minus;
        ops->sum(&sum, &term, 1);
        ops->sum(&sum, &term, 1);
        ops->sum(&sum, &term, 1);
        ops->add(&sum, &a);
        is(&sum, infinity);
        assert_false(ops->affine(&a, &sum));
        assert_true(ops->read(&a, at));
    }
    mcx_big_free(t[0]);
    mcx_big_free(t[1]);
}

/* What no point is, beside what is. */
static void
reading(void **state)
{
    struct mcx_p256_point a;
    uint8_t at[65], b[65];
    int i;

    (void)state;
    some_point(&a, at);
    for (i = 0; i < 256; i++) {
        memcpy(b, at, 65);
        b[0] = (uint8_t)i;
        assert_int_equal(ops->read(&a, b), i == 0x04);
    }
    for (i = 8; i < 8 * 65; i++) {
        memcpy(b, at, 65);
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(ops->read(&a, b));
    }
    for (i = 1; i < 65; i += 32) { /* the same point, written above p */
        uint8_t small[65] = { 0x04 };

        memcpy(b, at, 65);
        memcpy(b + i, mcx_p256_p, 32);
        assert_false(ops->read(&a, b));
        memset(b + i, 0xff, 32);
        assert_false(ops->read(&a, b));
        assert_false(ops->read(&a, small)); /* (0,0) */
    }
    { /* x = 0 has points, and x = p would be the same: y^2 = b */
        EC_POINT *p = EC_POINT_new(ec);
        BIGNUM *x = BN_new();

        assert_true(p && x
                    && EC_POINT_set_compressed_coordinates(ec, p, x, 1, ctx));
        assert_int_equal(EC_POINT_point2oct(ec, p,
                                            POINT_CONVERSION_UNCOMPRESSED, b,
                                            65, ctx), 65);
        assert_true(ops->read(&a, b));
        memcpy(b + 1, mcx_p256_p, 32);
        assert_false(ops->read(&a, b));
        EC_POINT_free(p);
        BN_free(x);
    }
}

#ifdef MCX_HAVE_X86
/* The lanes: each its own point and scalar, with edges beside anything else;
 * a lane that is not sure of itself says so, and is not one of the others. */
static void
lanes(void **state)
{
    enum { N = MCX_P256_LANES };
    struct mcx_p256_point a[N];
    uint8_t at[N][65], k[N][32], want[65];
    int i, j;

    (void)state;
    for (i = 0; i < 1000; i++) {
        const struct mcx_p256_point *pa[N];
        const uint8_t *pk[N];
        struct mcx_p256_jac r[N];
        unsigned right;

        for (j = 0; j < N; j++) {
            if (i % 10 == 0) {
                some_point(&a[j], at[j]);
            }
            scalar(k[j], i + (j % 3) * 211 * j, false);
            pa[j] = &a[j];
            pk[j] = k[j];
        }
        right = mcx_p256_lanes_mul(r, pa, pk);
        for (j = 0; j < N; j++) {
            (void)expect(want, NULL, at[j], k[j]);
            if (right >> j & 1) {
                is(&r[j], want);
            } else { /* only from q up */
                assert_false(mcx_in_range(k[j], 0, mcx_p256_q, 32));
            }
        }
    }
}
#endif

/* Products of the field, next to p and zero, through points: the curve's
 * equation holds for random multiples, in the form of OpenSSL. */
static void
round_trips(void **state)
{
    int i;

    (void)state;
    for (i = 1; i < 2000; i++) {
        uint8_t k[32], want[65], have[65];
        struct mcx_p256_point a;
        struct mcx_p256_jac sum = { .z = { 0 } };

        scalar(k, i, true);
        if (!expect(want, k, NULL, NULL)) {
            continue;
        }
        assert_true(ops->read(&a, want));
        ops->add(&sum, &a);
        assert_true(ops->write(have, &sum));
        assert_memory_equal(have, want, 65);
    }
}

/* The self-test of loading sees a back-end that errs. */
static bool
bad_sum_x_is(const struct mcx_p256_jac *a, const uint8_t x[32])
{
    return !ops->x_is(a, x);
}

static void
bad_inv(uint8_t r[32], const uint8_t a[32])
{
    ops->inv_q(r, a);
    r[31] ^= 1;
}

static void
bad_muladd(uint8_t r[32], const uint8_t a[32], const uint8_t b[32],
           const uint8_t c[32])
{
    ops->muladd_q(r, a, b, c);
    r[0] ^= 1;
}

static void
bad_mul(uint8_t b[65], const struct mcx_p256_table *t, const uint8_t k[32])
{
    ops->base_mul(b, t, k);
    b[64] ^= 1;
}

static void
bad_sum(struct mcx_p256_jac *acc, const struct mcx_p256_term *term, size_t n)
{
    ops->sum(acc, term, n);
    acc->y[0] ^= 1;
}

static void
agreement(void **state)
{
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_p256_ops bad;

    (void)state;
    assert_true(mcx_p256_agree(ops, p->g, p->g_slow));
    bad = *ops;
    bad.x_is = bad_sum_x_is;
    assert_false(mcx_p256_agree(&bad, p->g, p->g_slow));
    bad = *ops;
    bad.inv_q = bad_inv;
    assert_false(mcx_p256_agree(&bad, p->g, p->g_slow));
    bad = *ops;
    bad.muladd_q = bad_muladd;
    assert_false(mcx_p256_agree(&bad, p->g, p->g_slow));
    bad = *ops;
    bad.base_mul = bad_mul;
    assert_false(mcx_p256_agree(&bad, p->g, p->g_slow));
    bad = *ops;
    bad.sum = bad_sum;
    assert_false(mcx_p256_agree(&bad, p->g, p->g_slow));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modulo_q),
        cmocka_unit_test(secret_multiples),
        cmocka_unit_test(public_sums),
        cmocka_unit_test(meetings),
        cmocka_unit_test(reading),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(agreement),
    };
    const char *seed = getenv("MCX_TEST_SEED");
    int bad;

    (void)kit_env(&rnd, seed ? strtoull(seed, NULL, 0) | 1 : 0x9e3779b9);
    ec = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ctx = BN_CTX_new();
    if (!ec || !ctx) {
        return 1;
    }
    q = EC_GROUP_get0_order(ec);
    ops = &mcx_p256_portable;
    bad = cmocka_run_group_tests_name("p256-portable", tests, NULL, NULL);
#ifdef MCX_HAVE_X86
    if (mcx_ops_named("adx")) {
        ops = &mcx_p256_adx;
        bad |= cmocka_run_group_tests_name("p256-adx", tests, NULL, NULL);
    } else {
        (void)printf("no ADX here: its back-end is not tested\n");
    }
    if (mcx_ops_named("ifma")) {
        const struct CMUnitTest more[] = { cmocka_unit_test(lanes) };

        ops = &mcx_p256_ifma;
        bad |= cmocka_run_group_tests_name("p256-ifma", tests, NULL, NULL);
        bad |= cmocka_run_group_tests_name("p256-lanes", more, NULL, NULL);
    } else {
        (void)printf("no IFMA here: its lanes are not tested\n");
    }
#endif
    EC_GROUP_free(ec);
    BN_CTX_free(ctx);
    return bad;
}
