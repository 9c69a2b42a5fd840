/* test_inv.c -- words.c against OpenSSL's BIGNUM: inverses modulo SAKKE's p
 * and q by division steps, of 0, 1, what is next to the modulus, of edges and
 * anything below it; what else is done modulo q; and the reductions at
 * their bounds.  MCX_FIELD_ROUNDS rounds (100,000 unless set), MCX_TEST_SEED
 * draws others. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include "field/words.h"

static uint64_t seed = 19;
static BN_CTX *ctx;
static BIGNUM *p, *q, *bn[4];

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

    return n ? atol(n) : few && *few ? 500 : 100000;
}

static void
bn_of(BIGNUM *r, const uint64_t *w)
{
    assert_non_null(BN_lebin2bn((const unsigned char *)w, 8 * MCX_W, r));
}

/* Any number of 1024 bits; a third of them edges. */
static void
any(uint64_t *w, const uint64_t *m)
{
    uint64_t kind = draw() % 12, at = draw() % 1024, n = draw() % 1024, i;
    uint64_t small[MCX_W] = { draw() % 5 };

    for (i = 0; i < MCX_W; i++) {
        w[i] = kind < 7 ? draw() : 0;
    }
    switch (kind) {
    case 7:
        (void)mcx_w_sub(w, m, small);
        break;
    case 8:
        (void)mcx_w_add(w, m, small);
        break;
    case 9:
        for (i = at; i < 1024 && i < at + n; i++) {
            w[i / 64] |= UINT64_C(1) << i % 64;
        }
        break;
    case 10:
        w[at / 64] = UINT64_C(1) << at % 64;
        break;
    case 11: /* 0 and up, 2^1024 - 1 and down */
        if (n & 1) {
            (void)mcx_w_sub(w, w, small);
        } else {
            memcpy(w, small, sizeof small);
        }
        break;
    default:
        break;
    }
}

static void
is(const BIGNUM *want, const uint64_t *have)
{
    bn_of(bn[3], have);
    assert_int_equal(BN_cmp(bn[3], want), 0);
}

static void
inverses(void **state)
{
    long i, n = rounds();

    (void)state;
    for (i = 0; i < n; i++) {
        const uint64_t *m = i & 1 ? mcx_w_p : mcx_w_q;
        const BIGNUM *mod = i & 1 ? p : q;
        uint64_t a[MCX_W], r[MCX_W], one[MCX_W] = { 1 };
        bool none;

        any(a, m);
        if (i < 4) { /* 0, 1 */
            memset(a, 0, sizeof a);
            a[0] = (uint64_t)(i / 2);
        } else if (i < 8) { /* m, m - 1 */
            memcpy(a, m, sizeof a);
            a[0] -= (uint64_t)(i / 2 - 2);
        } else if (i < 10) {
            (void)mcx_w_sub(a, m, one);
            a[MCX_W - 1] >>= 1; /* about a half */
        }
        bn_of(bn[0], a);
        if (BN_cmp(bn[0], mod) > 0) { /* the steps are enough for less */
            assert_true(BN_nnmod(bn[0], bn[0], mod, ctx));
            assert_int_equal(BN_bn2lebinpad(bn[0], (unsigned char *)a,
                                            sizeof a), sizeof a);
        }
        mcx_w_inv(r, a, m, i & 1 ? mcx_w_p_k : mcx_w_q_k);
        bn_of(bn[0], a);
        bn_of(bn[1], r);
        none = BN_is_zero(bn[0]);
        assert_true(BN_cmp(bn[1], mod) < 0);
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], mod, ctx)
                    && BN_nnmod(bn[0], bn[0], mod, ctx));
        if (!BN_is_zero(bn[0])) {
            assert_true(BN_is_one(bn[2]));
        } else if (none) { /* the modulus itself nobody may ask for */
            assert_true(BN_is_zero(bn[1]));
        }
        if (i % 16 == 0) { /* in place */
            mcx_w_inv(a, a, m, i & 1 ? mcx_w_p_k : mcx_w_q_k);
            assert_memory_equal(a, r, sizeof r);
        }
    }
}

static void
products(void **state)
{
    long i, n = rounds() / 4;

    (void)state;
    for (i = 0; i < n; i++) {
        uint64_t a[MCX_W], b[MCX_W], r[MCX_W];

        any(a, mcx_w_q);
        any(b, mcx_w_q);
        bn_of(bn[0], a);
        bn_of(bn[1], b);
        assert_true(BN_nnmod(bn[0], bn[0], q, ctx)
                    && BN_nnmod(bn[1], bn[1], q, ctx));
        mcx_w_mod_q(a, a);
        is(bn[0], a);
        mcx_w_mod_q(r, b);
        is(bn[1], r);
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], q, ctx));
        mcx_w_mul_q(b, a, r);
        is(bn[2], b);
        mcx_w_mul_q(a, a, r); /* in place */
        is(bn[2], a);
    }
}

/* (top, a) below 2m, and below 4p. */
static void
reductions(void **state)
{
    long i, n = rounds() / 4;

    (void)state;
    for (i = 0; i < n; i++) {
        uint64_t a[MCX_W], r[MCX_W], one[MCX_W] = { 1 }, top;

        any(a, mcx_w_p);
        if (i % 5 == 0) { /* next to p and 2p */
            (void)mcx_w_sub(a, mcx_w_p, one);
            if (i % 2) {
                (void)mcx_w_add(a, a, mcx_w_p);
            }
            a[0] += draw() % 3;
        }
        for (top = 0; top < 3; top++) {
            bn_of(bn[0], a);
            assert_true(BN_set_word(bn[1], top)
                        && BN_lshift(bn[1], bn[1], 1024)
                        && BN_add(bn[0], bn[0], bn[1])
                        && BN_nnmod(bn[2], bn[0], p, ctx));
            assert_true(BN_lshift1(bn[1], p));
            if (BN_cmp(bn[0], bn[1]) < 0) {
                mcx_w_reduce_to(r, a, top, mcx_w_p);
                is(bn[2], r);
            }
            assert_true(BN_lshift1(bn[1], bn[1]));
            if (BN_cmp(bn[0], bn[1]) < 0) {
                memcpy(r, a, sizeof r);
                mcx_w_reduce4(r, top);
                is(bn[2], r);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverses),
        cmocka_unit_test(products),
        cmocka_unit_test(reductions),
    };
    const char *s = getenv("MCX_TEST_SEED");
    int failed, i;

    seed = s && *s ? strtoull(s, NULL, 10) | 1 : seed;
    ctx = BN_CTX_new();
    p = BN_new();
    q = BN_new();
    assert_true(ctx && p && q);
    bn_of(p, mcx_w_p);
    bn_of(q, mcx_w_q);
    for (i = 0; i < 4; i++) {
        bn[i] = BN_new();
        assert_non_null(bn[i]);
    }
    failed = cmocka_run_group_tests_name("inv", tests, NULL, NULL);
    for (i = 0; i < 4; i++) {
        BN_free(bn[i]);
    }
    BN_free(p);
    BN_free(q);
    BN_CTX_free(ctx);
    return failed;
}
