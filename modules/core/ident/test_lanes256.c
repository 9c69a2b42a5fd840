/* test_lanes256.c -- the numbers of p256_lanes.h, which is included, against
 * OpenSSL's BIGNUM: each lane its own, edges beside anything, every operand as
 * large as it may be and every result within the bounds that are stated there.
 * MCX_TEST_SEED draws others. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/bn.h>
#define MCX_DEBUG_BOUNDS
#define mcx_p256_lanes_mul test_lanes_mul
#define mcx_p256_ifma test_p256_ifma
#include "ident/p256_ifma.c"
#undef mcx_p256_lanes_mul
#undef mcx_p256_ifma
#include "curve/ops.h"

static uint64_t seed = 77;
static BN_CTX *ctx;
static BIGNUM *p, *radix, *most, *bn[4];

static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static void
get(BIGNUM *r, const struct lv *a, int lane)
{
    _Alignas(64) uint64_t l[LN];
    int i;

    BN_zero(r);
    for (i = LN_L - 1; i >= 0; i--) {
        BIGNUM *t = BN_new();

        v_store(l, a->l[i]);
        assert_true(l[lane] >> 52 == 0); /* every limb is one */
        assert_true(t && BN_set_word(t, l[lane]) && BN_lshift(r, r, 52)
                    && BN_add(r, r, t));
        BN_free(t);
    }
}

/* A number below 'times' p: next to 0, to a multiple of p, to that limit;
 * limbs of ones; or any. */
static void
put(struct lv *r, int lane, BN_ULONG times)
{
    BIGNUM *n = BN_new(), *m = BN_new();
    int i, at = (int)(draw() % 256), kind = (int)(draw() % 8);

    assert_true(n && m && BN_copy(m, p) && BN_mul_word(m, times));
    for (i = 0; i < 5; i++) {
        assert_true(BN_lshift(n, n, 52)
                    && BN_add_word(n, kind == 0 ? LN_M52
                                      : kind == 1 && draw() % 2 ? LN_M52
                                      : kind > 4 ? draw() & LN_M52 : 0));
    }
    if (kind == 2 || kind == 3) {
        assert_true(BN_copy(n, p) && BN_mul_word(n, draw() % (times + 1)));
    } else if (kind == 4) {
        assert_true(BN_set_bit(n, at));
    }
    if (kind > 1 && kind < 5) {
        BN_ULONG off = draw() % 4;

        assert_true(draw() % 2 ? BN_add_word(n, off) : BN_sub_word(n, off));
    }
    assert_true(BN_nnmod(n, n, m, ctx));
    for (i = 0; i < LN_L; i++) {
        _Alignas(64) uint64_t l[LN];
        BIGNUM *t = BN_dup(n);

        assert_non_null(t);
        if (BN_num_bits(t) > 52) {
            assert_true(BN_mask_bits(t, 52));
        }
        v_store(l, r->l[i]);
        l[lane] = BN_get_word(t);
        r->l[i] = v_load(l);
        assert_true(BN_rshift(n, n, 52));
        BN_free(t);
    }
    BN_free(n);
    BN_free(m);
}

/* bn[2] is what 'have' must be modulo p, below n p / 16. */
static void
is(const struct lv *have, int lane, BN_ULONG n)
{
    assert_true(BN_copy(most, p) && BN_mul_word(most, n)
                && BN_rshift(most, most, 4));
    get(bn[3], have, lane);
    assert_true(BN_cmp(bn[3], most) < 0);
    assert_true(BN_nnmod(bn[3], bn[3], p, ctx));
    assert_int_equal(BN_cmp(bn[3], bn[2]), 0);
}

/* Of a and b up to so many times p. */
static void
products(int times_a, int times_b)
{
    struct lv a, b, r[2];
    int j;

    for (j = 0; j < LN_L; j++) {
        a.l[j] = b.l[j] = v_zero();
    }
    for (j = 0; j < LN; j++) {
        put(&a, j, (BN_ULONG)times_a);
        put(&b, j, (BN_ULONG)times_b);
    }
    ln_mul(&r[0], &a, &b);
    ln_sqr(&r[1], &a);
    for (j = 0; j < LN; j++) {
        get(bn[0], &a, j);
        get(bn[1], &b, j);
        assert_true(BN_mod_mul(bn[2], bn[0], bn[1], p, ctx)
                    && BN_mod_mul(bn[2], bn[2], radix, p, ctx));
        is(&r[0], j, (BN_ULONG)(times_a * times_b + 16));
        assert_true(BN_mod_sqr(bn[2], bn[0], p, ctx)
                    && BN_mod_mul(bn[2], bn[2], radix, p, ctx));
        is(&r[1], j, (BN_ULONG)(times_a * times_a + 16));
    }
}

/* a - b + n p for b up to n p, as large as that may become, with one carry
 * and with less p. */
static void
differences(int times_a, int n)
{
    struct lv a, b, r[2];
    int j;

    for (j = 0; j < LN_L; j++) {
        a.l[j] = b.l[j] = v_zero();
    }
    for (j = 0; j < LN; j++) {
        put(&a, j, (BN_ULONG)times_a);
        put(&b, j, (BN_ULONG)n);
    }
    ln_less(&r[0], &a, &b, (uint64_t)n);
    r[1] = r[0];
    ln_carry(&r[0]);
    ln_weak(&r[1]);
    for (j = 0; j < LN; j++) {
        get(bn[0], &a, j);
        get(bn[1], &b, j);
        assert_true(BN_mod_sub(bn[2], bn[0], bn[1], p, ctx));
        is(&r[0], j, (BN_ULONG)(16 * (times_a + n) + 1));
        is(&r[1], j, 33); /* 2.1 p */
    }
}

/* In, with and without a minus, and out. */
static void
words(void)
{
    struct lv a, r;
    struct fe w[LN];
    v8 in[FE_W];
    uint64_t neg = draw() & LN_ALL;
    int i, j;

    for (j = 0; j < LN_L; j++) {
        a.l[j] = v_zero();
    }
    for (j = 0; j < LN; j++) {
        put(&a, j, 2);
    }
    ln_words(w, sizeof w[0], &a, 0, LN);
    for (i = 0; i < FE_W; i++) {
        _Alignas(64) uint64_t t[LN];

        for (j = 0; j < LN; j++) {
            t[j] = w[j].w[i];
        }
        in[i] = v_load(t);
    }
    ln_of(&r, in, neg);
    for (j = 0; j < LN; j++) {
        get(bn[0], &a, j);
        assert_true(BN_nnmod(bn[0], bn[0], p, ctx));
        assert_non_null(BN_lebin2bn((const unsigned char *)w[j].w, 32,
                                    bn[1]));
        assert_int_equal(BN_cmp(bn[0], bn[1]), 0);
        assert_true(BN_lshift(bn[2], bn[0], 4));
        BN_set_negative(bn[2], neg >> j & 1);
        assert_true(BN_nnmod(bn[2], bn[2], p, ctx));
        is(&r, j, 33);
    }
}

static void
numbers(void **state)
{
    int rounds = getenv("MCX_TEST_ROUNDS") ? 100 : 2000, i;

    (void)state;
    for (i = 0; i < rounds; i++) {
        products(13, 1 + i % 13);
        products(1 + i % 13, 13);
        differences(1 + i % 8, 1 + i / 8 % 7);
        words();
    }
}

/* The digits of any 32 octets sum up to them. */
static void
recoding(void **state)
{
    int i, j;

    (void)state;
    for (i = 0; i < 5000; i++) {
        uint8_t k[32];
        struct digits of;

        for (j = 0; j < 32; j++) {
            k[j] = i % 3 ? (uint8_t)draw() : draw() % 2 ? 0xff : 0;
        }
        digits_of(&of, k);
        BN_zero(bn[0]);
        for (j = MCX_P256_WINDOWS(MANY_W) - 1; j >= 0; j--) {
            uint64_t neg;
            unsigned d = digit(&neg, &of, MANY_W, j);

            assert_in_range(d, 0, MANY_HALF);
            assert_true(BN_lshift(bn[0], bn[0], MANY_W));
            assert_true(neg ? BN_sub_word(bn[0], d) : BN_add_word(bn[0], d));
        }
        assert_non_null(BN_bin2bn(k, 32, bn[1]));
        assert_int_equal(BN_cmp(bn[0], bn[1]), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(recoding),
    };
    const char *s = getenv("MCX_TEST_SEED");
    int failed, i;

    if (!mcx_ops_named("ifma")) {
        (void)printf("SKIP lanes256: this CPU lacks IFMA\n");
        return 77;
    }
    seed = s && *s ? strtoull(s, NULL, 10) | 1 : seed;
    ctx = BN_CTX_new();
    radix = BN_new();
    most = BN_new();
    assert_true(ctx && radix && most);
    assert_true(BN_hex2bn(&p, "ffffffff00000001000000000000000000000000ffffff"
                              "ffffffffffffffffff"));
    assert_true(BN_set_bit(radix, 260)
                && BN_mod_inverse(radix, radix, p, ctx));
    for (i = 0; i < 4; i++) {
        bn[i] = BN_new();
        assert_non_null(bn[i]);
    }
    failed = cmocka_run_group_tests_name("lanes256", tests, NULL, NULL);
    for (i = 0; i < 4; i++) {
        BN_free(bn[i]);
    }
    BN_free(p);
    BN_free(radix);
    BN_free(most);
    BN_CTX_free(ctx);
    return failed;
}
