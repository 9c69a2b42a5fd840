/* test_fe256.h -- the numbers modulo P-256's p and q of one back-end against
 * OpenSSL's BIGNUM: sums, differences, products, squares and inverses, of
 * random numbers and of edges, each result below its modulus.  Included by
 * test_fe256_<name>.c, which chooses p256_fe.h's form.  MCX_TEST_SEED draws
 * others, MCX_FIELD_ROUNDS rounds (100,000 unless set). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include "ident/p256_fe.h"
#include "ident/p256_inv.h"

static uint64_t seed = 2026;
static BN_CTX *ctx;
static BIGNUM *bn_p, *bn_q, *radix_p, *radix_q, *bn[5];

static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static long
rounds(void)
{
    const char *n = getenv("MCX_FIELD_ROUNDS");
    const char *few = getenv("MCX_TEST_ROUNDS");

    return n ? atol(n) : few && *few ? 1000 : 100000;
}

static void
bn_of(BIGNUM *r, const struct fe *a)
{
    assert_non_null(BN_lebin2bn((const unsigned char *)a->w, 32, r));
}

static void
of_bn(struct fe *r, const BIGNUM *a)
{
    assert_int_equal(BN_bn2lebinpad(a, (unsigned char *)r->w, 32), 32);
}

/* Any number below 2^256; half of them edges: small ones, those next to m and
 * 2^256, words of ones and zeros, runs of ones, single bits. */
static void
any(struct fe *r, const BIGNUM *m)
{
    uint64_t kind = draw() % 14, at = draw() % 256, n = draw() % 256, i;

    for (i = 0; i < 4; i++) {
        r->w[i] = kind < 7 ? draw() : 0;
    }
    switch (kind) {
    case 7:
        r->w[0] = draw() % 5;
        break;
    case 8:
        of_bn(r, m);
        r->w[0] -= draw() % 5; /* no borrow: m's is large */
        break;
    case 9:
        of_bn(r, m);
        for (i = draw() % 5; i > 0; i--) {
            r->w[0]++;
            r->w[1] += r->w[0] == 0;
            r->w[2] += r->w[0] == 0 && r->w[1] == 0;
        }
        break;
    case 10:
        for (i = 0; i < 4; i++) {
            r->w[i] = at >> i & 1 ? UINT64_MAX : n >> i & 1;
        }
        break;
    case 11:
        for (i = at; i < 256 && i < at + n; i++) {
            r->w[i / 64] |= UINT64_C(1) << i % 64;
        }
        break;
    case 12:
        r->w[at / 64] = UINT64_C(1) << at % 64;
        break;
    case 13:
        for (i = 0; i < 4; i++) {
            r->w[i] = UINT64_MAX;
        }
        r->w[at / 64] -= n;
        break;
    default:
        break;
    }
}

/* The same below m. */
static void
below(struct fe *r, const BIGNUM *m)
{
    any(r, m);
    bn_of(bn[4], r);
    assert_true(BN_nnmod(bn[4], bn[4], m, ctx));
    of_bn(r, bn[4]);
}

/* 'have' is 'want', which is below its modulus. */
static void
is(const BIGNUM *want, const struct fe *have)
{
    bn_of(bn[3], have);
    assert_int_equal(BN_cmp(want, bn[3]), 0);
}

static void
modulo_p(void **state)
{
    long i, n = rounds();
    struct fe a, b, r;

    (void)state;
    for (i = 0; i < n; i++) {
        below(&a, bn_p);
        below(&b, bn_p);
        if (i % 16 == 0) { /* equal and opposite ones */
            b = a;
        } else if (i % 16 == 1) {
            fe_neg(&b, &a);
        }
        bn_of(bn[0], &a);
        bn_of(bn[1], &b);
        assert_true(BN_mod_add(bn[2], bn[0], bn[1], bn_p, ctx));
        fe_add(&r, &a, &b);
        is(bn[2], &r);
        assert_int_equal(fe_zero(&r) != 0, BN_is_zero(bn[2]));
        assert_true(BN_mod_sub(bn[2], bn[0], bn[1], bn_p, ctx));
        fe_sub(&r, &a, &b);
        is(bn[2], &r);
        assert_int_equal(fe_equal(&a, &b) != 0, BN_is_zero(bn[2]));
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], bn_p, ctx)
                    && BN_mod_mul(bn[2], bn[2], radix_p, bn_p, ctx));
        fe_mul(&r, &a, &b);
        is(bn[2], &r);
        assert_true(BN_mod_sqr(bn[2], bn[0], bn_p, ctx)
                    && BN_mod_mul(bn[2], bn[2], radix_p, bn_p, ctx));
        fe_sqr(&r, &a);
        is(bn[2], &r);
        fe_mul(&a, &a, &a); /* in place */
        is(bn[2], &a);
        fe_neg(&r, &b);
        assert_true(BN_mod_sub(bn[2], bn_p, bn[1], bn_p, ctx));
        is(bn[2], &r);
    }
}

static void
modulo_q(void **state)
{
    long i, n = rounds();
    struct fe a, b, r;

    (void)state;
    for (i = 0; i < n; i++) {
        any(&a, bn_q); /* as octets come: above q as well */
        bn_of(bn[0], &a);
        assert_true(BN_nnmod(bn[2], bn[0], bn_q, ctx));
        fe_reduce(&a, a.w, 0, &fe_q);
        is(bn[2], &a);
        below(&b, bn_q);
        bn_of(bn[0], &a);
        bn_of(bn[1], &b);
        assert_true(BN_mod_add(bn[2], bn[0], bn[1], bn_q, ctx));
        fe_add_mod(&r, &a, &b, &fe_q);
        is(bn[2], &r);
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], bn_q, ctx)
                    && BN_mod_mul(bn[2], bn[2], radix_q, bn_q, ctx));
        fe_mul_q(&r, &a, &b);
        is(bn[2], &r);
    }
}

/* The division steps: 0, 1, what is next to the modulus, and beyond it. */
static void
inverses(void **state)
{
    long i, n = rounds();

    (void)state;
    for (i = 0; i < n; i++) {
        const BIGNUM *m = i & 1 ? bn_p : bn_q;
        struct fe a, r, mod;
        uint64_t k = 1;
        bool none;
        int j;

        of_bn(&mod, m);
        for (j = 0; j < 6; j++) { /* 1/m mod 2^64, by Newton */
            k *= 2 - mod.w[0] * k;
        }
        any(&a, m);
        if (i < 8) { /* 0, 1, m - 1, m */
            of_bn(&a, m);
            a.w[0] -= (uint64_t)(i / 2 == 2);
            if (i / 2 < 2) {
                memset(&a, 0, sizeof a);
                a.w[0] = (uint64_t)(i / 2);
            }
        }
        inv_mod(&r, &a, &mod, k & INV_M62);
        bn_of(bn[0], &a);
        bn_of(bn[1], &r);
        none = BN_is_zero(bn[0]);
        assert_true(BN_cmp(bn[1], m) < 0);
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], m, ctx)
                    && BN_nnmod(bn[0], bn[0], m, ctx));
        if (!BN_is_zero(bn[0])) {
            assert_true(BN_is_one(bn[2]));
        } else if (none) { /* the modulus itself nobody may ask for */
            assert_true(BN_is_zero(bn[1]));
        }
    }
}

static void
number(BIGNUM **r, const struct fe *a)
{
    *r = BN_new();
    assert_non_null(*r);
    bn_of(*r, a);
}

static int
fe256_main(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modulo_p),
        cmocka_unit_test(modulo_q),
        cmocka_unit_test(inverses),
    };
    const char *s = getenv("MCX_TEST_SEED");
    size_t i;
    int failed;

    seed = s && *s ? strtoull(s, NULL, 10) | 1 : seed;
    ctx = BN_CTX_new();
    number(&bn_p, &fe_p);
    number(&bn_q, &fe_q);
    radix_p = BN_new();
    radix_q = BN_new();
    assert_true(ctx && radix_p && radix_q && BN_set_bit(radix_p, 256)
                && BN_set_bit(radix_q, 256)
                && BN_mod_inverse(radix_p, radix_p, bn_p, ctx)
                && BN_mod_inverse(radix_q, radix_q, bn_q, ctx));
    for (i = 0; i < sizeof bn / sizeof bn[0]; i++) {
        bn[i] = BN_new();
        assert_non_null(bn[i]);
    }
    failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    for (i = 0; i < sizeof bn / sizeof bn[0]; i++) {
        BN_free(bn[i]);
    }
    BN_free(bn_p);
    BN_free(bn_q);
    BN_free(radix_p);
    BN_free(radix_q);
    BN_CTX_free(ctx);
    return failed;
}
