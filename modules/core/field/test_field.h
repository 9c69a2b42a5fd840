/* test_field.h -- the test of a field back-end against OpenSSL's BIGNUM and
 * the portable back-end: random and edge operands, lanes each with their own,
 * MCX_FIELD_ROUNDS rounds (100,000 unless set) of every operation.
 * MCX_TEST_SEED draws others.  Included after fp_<name>.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include "test_field_ref.h"

static uint64_t seed = 2026;

static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* A third of them edges: small numbers about 0, p and 2^1024; runs of ones
 * that carry at any limb of either width; single bits. */
static void
operand(uint64_t w[MCX_W])
{
    uint64_t kind = draw() % 12, at = draw() % 1024, n = draw() % 1024;
    uint64_t one[MCX_W] = { draw() % 4 };
    uint64_t i;

    for (i = 0; i < MCX_W; i++) {
        w[i] = kind < 8 ? draw() : 0;
    }
    switch (kind) {
    case 8:
        (void)mcx_w_sub(w, w, one); /* 0, or 2^1024 - 1 and its neighbours */
        break;
    case 9:
        (void)mcx_w_sub(w, mcx_w_p, one);
        break;
    case 10:
        for (i = at; i < 1024 && i < at + n; i++) {
            w[i / 64] |= UINT64_C(1) << i % 64;
        }
        break;
    case 11:
        w[at / 64] = UINT64_C(1) << at % 64;
        if (n & 1) {
            (void)mcx_w_add(w, w, mcx_w_p);
        } else {
            w[0] |= one[0];
        }
        break;
    default:
        break;
    }
}

struct bn { BIGNUM *p, *r, *t; BN_CTX *ctx; };

static void
bn_set(BIGNUM *r, const uint64_t *w)
{
    assert_non_null(BN_lebin2bn((const unsigned char *)w, 8 * MCX_W, r));
}

static void
same(const struct bn *b, const BIGNUM *want, const uint64_t *w)
{
    bn_set(b->t, w);
    assert_true(BN_nnmod(b->r, want, b->p, b->ctx));
    assert_int_equal(BN_cmp(b->t, b->r), 0);
}

static void
same_fe(const struct bn *b, const BIGNUM *want, const fe *a)
{
    uint64_t w[MCX_W];

    fe_to_w(w, a);
    same(b, want, w);
}

/* The product as the portable back-end has it. */
static void
same_ref(const uint64_t *a, const uint64_t *b, const fe *r)
{
    uint64_t w[MCX_W], want[MCX_W];

    fe_to_w(w, r);
    field_ref_mul(want, a, b);
    assert_memory_equal(w, want, sizeof w);
}

static long
rounds(void)
{
    const char *n = getenv("MCX_FIELD_ROUNDS");

#ifdef MCX_IFMA_EMULATED
    return n ? strtol(n, NULL, 10) : 10000; /* slow, and of no account */
#else
    return n ? strtol(n, NULL, 10) : 100000;
#endif
}

/* One lane. */
static void
single(void **state)
{
    struct bn b = { BN_new(), BN_new(), BN_new(), BN_CTX_new() };
    BIGNUM *n[2] = { BN_new(), BN_new() }, *v = BN_new();
    uint64_t w[2][MCX_W];
    long i;

    (void)state;
    bn_set(b.p, mcx_w_p);
    for (i = rounds(); i > 0; i--) {
        fe a, c, r, s;

        operand(w[0]);
        operand(w[1]);
        bn_set(n[0], w[0]);
        bn_set(n[1], w[1]);
        fe_from_w(&a, w[0]);
        fe_from_w(&c, w[1]);
        same_fe(&b, n[0], &a);
        assert_int_equal(fe_zero(&a) != 0,
                         BN_nnmod(v, n[0], b.p, b.ctx) && BN_is_zero(v));
        fe_mul2(&r, &a, &c, &s, &a, &a);
        assert_true(BN_mul(v, n[0], n[1], b.ctx));
        same_fe(&b, v, &r);
        same_ref(w[0], w[1], &r);
        fe_mul(&r, &a, &r); /* a result as operand */
        assert_true(BN_mul(v, v, n[0], b.ctx));
        same_fe(&b, v, &r);
        assert_true(BN_sqr(v, n[0], b.ctx));
        same_fe(&b, v, &s);
        same_ref(w[0], w[0], &s);
        fe_add(&r, &a, &c);
        fe_add(&s, &r, &a);
        fe_sub(&r, &s, &c); /* 2a */
        fe_sub(&r, &r, &c); /* 2a - c */
        assert_true(BN_lshift1(v, n[0]) && BN_sub(v, v, n[1]));
        same_fe(&b, v, &r);
        fe_sub(&r, &r, &s);
        fe_mul(&r, &r, &s); /* (-2c)(2a + c) */
        assert_true(BN_lshift1(v, n[0]) && BN_add(v, v, n[1])
                    && BN_mul(v, v, n[1], b.ctx) && BN_lshift1(v, v));
        BN_set_negative(v, !BN_is_zero(v));
        same_fe(&b, v, &r);
    }
    BN_free(n[0]);
    BN_free(n[1]);
    BN_free(v);
    BN_free(b.p);
    BN_free(b.r);
    BN_free(b.t);
    BN_CTX_free(b.ctx);
}

/* All lanes: sums of three and four products, sums and differences, through
 * the chain's form and the table's. */
static void
lanes(void **state)
{
    struct bn b = { BN_new(), BN_new(), BN_new(), BN_CTX_new() };
    BIGNUM *n[6], *v = BN_new(), *u = BN_new();
    static uint64_t w[6][16][MCX_W]; /* 16: entries that gather reads */
    long i;
    int j, l;

    (void)state;
    for (j = 0; j < 6; j++) {
        n[j] = BN_new();
    }
    bn_set(b.p, mcx_w_p);
    for (i = rounds() / LANES; i > 0; i--) {
        fv x[6], r, s, t, m, four;
        fe a, chain[LANES], *to[LANES];
        uint64_t neg[LANES];

        for (j = 0; j < 6; j++) {
            for (l = 0; l < LANES; l++) {
                operand(w[j][l]);
                fe_from_w(&a, w[j][l]);
                fv_set(&x[j], l, &a);
                to[l] = &chain[l];
                neg[l] = mcx_mask((uint64_t)l & 1);
            }
        }
        m = x[0];
        fv_for_chain(&m);
        fv_acc2(&t, &m, &x[1], &m, &x[3]); /* x0 (x1 + x3), chain form */
        fv_chain(to, &t);
        fv_acc3(&r, &x[0], &x[1], &x[2], &x[3], &x[4], &x[5]);
        fv_mul(&m, &x[4], &x[5]);
        for (l = 0; l < LANES; l++) {
            fv_get(&a, &m, l);
            same_ref(w[4][l], w[5][l], &a);
        }
        fv_acc4(&four, &x[0], &x[1], &x[2], &x[3], &x[4], &x[5], &x[0],
                &x[5]);
        fv_mul(&s, &r, &x[1]);
        fv_neg_if(&s, neg);
        fv_add(&t, &s, &x[2]);
        fv_sub(&t, &t, &x[3]);
        fv_shrink(&t);
        fv_rotate(&m, &t, LANES / 2);
        for (l = 0; l < LANES; l++) {
            for (j = 0; j < 6; j++) {
                bn_set(n[j], w[j][l]);
            }
            assert_true(BN_add(v, n[1], n[3]) && BN_mul(v, v, n[0], b.ctx));
            same_fe(&b, v, &chain[l]);
            assert_true(BN_mul(v, n[0], n[1], b.ctx)
                        && BN_mul(u, n[2], n[3], b.ctx) && BN_add(v, v, u)
                        && BN_mul(u, n[4], n[5], b.ctx) && BN_add(v, v, u));
            fv_get(&a, &r, l);
            same_fe(&b, v, &a);
            assert_true(BN_mul(u, n[0], n[5], b.ctx) && BN_add(u, u, v));
            fv_get(&a, &four, l);
            same_fe(&b, u, &a);
            assert_true(BN_mul(v, v, n[1], b.ctx));
            if (neg[l]) {
                BN_set_negative(v, !BN_is_negative(v));
            }
            assert_true(BN_add(v, v, n[2]) && BN_sub(v, v, n[3]));
            fv_get(&a, &m, (l + LANES / 2) % LANES);
            same_fe(&b, v, &a);
        }
    }
    for (j = 0; j < 6; j++) {
        BN_free(n[j]);
    }
    BN_free(v);
    BN_free(u);
    BN_free(b.p);
    BN_free(b.r);
    BN_free(b.t);
    BN_CTX_free(b.ctx);
}

/* What was stored is gathered again, from every place. */
static void
tables(void **state)
{
    static _Alignas(64) uint64_t tab[LANES][16][2][MCX_W];
    uint64_t w[MCX_W], v[MCX_W], at[LANES];
    fe a;
    fv x, r[2];
    int i, j, k, l;

    (void)state;
    for (i = 0; i < 16; i++) {
        for (j = 0; j < 2; j++) {
            for (l = 0; l < LANES; l++) {
                operand(w);
                fe_from_w(&a, w);
                fv_set(&x, l, &a);
            }
            for (l = 0; l < LANES; l++) {
                fv_store(tab[l][i][j], &x, l);
            }
        }
    }
    for (i = 0; i < 64; i++) {
        for (l = 0; l < LANES; l++) {
            at[l] = (uint64_t)(i + 5 * l) % 16;
        }
        fv_gather(r, 2, &tab[0][0][0][0], at);
        for (k = 0; k < 2; k++) {
            for (l = 0; l < LANES; l++) {
                uint64_t again[MCX_W];

                fv_store(again, &r[k], l);
                assert_memory_equal(again, tab[l][at[l]][k], sizeof again);
                fv_get(&a, &r[k], l);
                fe_to_w(v, &a);
                assert_int_equal(mcx_w_sub(w, v, mcx_w_p), 1);
            }
        }
    }
    fv_gather(r, 1, &tab[0][0][0][0], at); /* reads 16 numbers a lane */
    fv_store(v, &r[0], 0);
    assert_memory_equal(v, (&tab[0][0][0])[at[0]], sizeof v);
}

/* Inversion and arithmetic modulo q. */
static void
inverses(void **state)
{
    const uint64_t *m[2] = { mcx_w_p, mcx_w_q };
    const uint64_t k[2] = { mcx_w_p_k, mcx_w_q_k };
    struct bn b = { BN_new(), BN_new(), BN_new(), BN_CTX_new() };
    BIGNUM *x = BN_new(), *y = BN_new();
    long i;

    (void)state;
    for (i = rounds() / 50; i > 0; i--) {
        uint64_t w[MCX_W], v[MCX_W], r[MCX_W];
        int j = (int)(i & 1);

        operand(w);
        operand(v);
        bn_set(b.p, mcx_w_q);
        bn_set(x, w);
        mcx_w_mod_q(r, w);
        same(&b, x, r);
        mcx_w_mod_q(v, v);
        bn_set(y, v);
        assert_true(BN_mul(x, x, y, b.ctx));
        mcx_w_mul_q(r, r, v);
        same(&b, x, r);
        bn_set(b.p, m[j]);
        bn_set(x, w);
        assert_true(BN_nnmod(x, x, b.p, b.ctx));
        assert_int_equal(BN_bn2lebinpad(x, (unsigned char *)w, 8 * MCX_W),
                         8 * MCX_W);
        mcx_w_inv(r, w, m[j], k[j]);
        if (BN_is_zero(x)) {
            same(&b, x, r);
        } else {
            bn_set(y, r);
            assert_true(BN_cmp(y, b.p) < 0 && BN_mul(x, x, y, b.ctx)
                        && BN_nnmod(x, x, b.p, b.ctx));
            assert_true(BN_is_one(x));
        }
    }
    BN_free(x);
    BN_free(y);
    BN_free(b.p);
    BN_free(b.r);
    BN_free(b.t);
    BN_CTX_free(b.ctx);
}

static int
field_main(const char *name)
{
    const char *draws = getenv("MCX_TEST_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single),
        cmocka_unit_test(lanes),
        cmocka_unit_test(tables),
        cmocka_unit_test(inverses),
    };

    if (draws) {
        seed = strtoull(draws, NULL, 0) | UINT64_C(1) << 63; /* never 0 */
    }
    (void)printf("seed 0x%llx, %ld rounds\n", (unsigned long long)seed,
                 rounds());
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
