/* test_lanes256.c -- the numbers of p256_ifma.c, which is included, against
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
#define mcx_p256_lanes_mul test_lanes_mul
#include "ident/p256_ifma.c"
#undef mcx_p256_lanes_mul
#include "curve/ops.h"

static uint64_t seed = 77;
static BN_CTX *ctx;
static BIGNUM *p, *radix, *limit, *two_p, *bn[4];

static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static void
get(BIGNUM *r, const struct v *a, int lane)
{
    _Alignas(64) uint64_t l[LANES];
    int i;

    BN_zero(r);
    for (i = L - 1; i >= 0; i--) {
        BIGNUM *t = BN_new();

        _mm512_store_si512(l, a->l[i]);
        assert_true(l[lane] >> 52 == 0); /* every limb is one */
        assert_true(t && BN_set_word(t, l[lane]) && BN_lshift(r, r, 52)
                    && BN_add(r, r, t));
        BN_free(t);
    }
}

/* A number below 'times' p: next to 0, to a multiple of p, to that limit;
 * limbs of ones; or any. */
static void
put(struct v *r, int lane, BN_ULONG times)
{
    BIGNUM *n = BN_new(), *m = BN_new();
    int i, at = (int)(draw() % 256), kind = (int)(draw() % 8);

    assert_true(n && m && BN_copy(m, p) && BN_mul_word(m, times));
    for (i = 0; i < 5; i++) {
        assert_true(BN_lshift(n, n, 52)
                    && BN_add_word(n, kind == 0 ? M52
                                      : kind == 1 && draw() % 2 ? M52
                                      : kind > 4 ? draw() & M52 : 0));
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
    for (i = 0; i < L; i++) {
        _Alignas(64) uint64_t l[LANES];
        BIGNUM *t = BN_dup(n);

        assert_non_null(t);
        if (BN_num_bits(t) > 52) {
            assert_true(BN_mask_bits(t, 52));
        }
        _mm512_store_si512(l, r->l[i]);
        l[lane] = BN_get_word(t);
        r->l[i] = _mm512_load_si512(l);
        assert_true(BN_rshift(n, n, 52));
        BN_free(t);
    }
    BN_free(n);
    BN_free(m);
}

/* bn[2] is what 'have' must be modulo p, below 'most'. */
static void
is(const struct v *have, int lane, const BIGNUM *most)
{
    get(bn[3], have, lane);
    assert_true(BN_cmp(bn[3], most) < 0);
    assert_true(BN_nnmod(bn[3], bn[3], p, ctx));
    assert_int_equal(BN_cmp(bn[3], bn[2]), 0);
}

static void
numbers(void **state)
{
    int rounds = getenv("MCX_TEST_ROUNDS") ? 100 : 4000, i, j;

    (void)state;
    for (i = 0; i < rounds; i++) {
        struct v a = { { { 0 } } }, b = a, c, d, r[4];
        uint64_t w[LANES][4];
        __mmask8 none;

        for (j = 0; j < LANES; j++) {
            put(&a, j, 4);
            put(&b, j, 4);
        }
        mul(&r[0], &a, &b);
        c = a;
        d = b;
        for (j = 0; j < LANES; j++) {
            put(&c, j, 2);
            put(&d, j, 2);
        }
        if (i % 8 == 0) {
            d = c;
        }
        add(&r[1], &c, &d);
        sub(&r[2], &c, &d);
        none = is_zero(&r[2]);
        store(w, &c);
        for (j = 0; j < LANES; j++) {
            get(bn[0], &a, j);
            get(bn[1], &b, j);
            assert_true(BN_mod_mul(bn[2], bn[0], bn[1], p, ctx)
                        && BN_mod_mul(bn[2], bn[2], radix, p, ctx));
            is(&r[0], j, two_p);
            get(bn[0], &c, j);
            get(bn[1], &d, j);
            assert_true(BN_mod_add(bn[2], bn[0], bn[1], p, ctx));
            is(&r[1], j, limit);
            assert_true(BN_mod_sub(bn[2], bn[0], bn[1], p, ctx));
            is(&r[2], j, limit);
            assert_int_equal(none >> j & 1, BN_is_zero(bn[2]));
            assert_true(BN_nnmod(bn[2], bn[0], p, ctx));
            assert_non_null(BN_lebin2bn((const unsigned char *)w[j], 32,
                                        bn[3]));
            assert_int_equal(BN_cmp(bn[2], bn[3]), 0);
        }
    }
}

/* The digits of any 32 octets sum up to them. */
static void
digits(void **state)
{
    int i, j;

    (void)state;
    for (i = 0; i < 5000; i++) {
        uint8_t k[32];

        for (j = 0; j < 32; j++) {
            k[j] = i % 3 ? (uint8_t)draw() : draw() % 2 ? 0xff : 0;
        }
        BN_zero(bn[0]);
        for (j = MCX_P256_WINDOWS(W) - 1; j >= 0; j--) {
            int d = digit(k, j);

            assert_in_range(d + HALF, 0, 2 * HALF);
            assert_true(BN_lshift(bn[0], bn[0], W));
            assert_true(d < 0 ? BN_sub_word(bn[0], (BN_ULONG)-d)
                              : BN_add_word(bn[0], (BN_ULONG)d));
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
        cmocka_unit_test(digits),
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
    limit = BN_new();
    two_p = BN_new();
    assert_true(ctx && radix && limit && two_p);
    assert_true(BN_hex2bn(&p, "ffffffff00000001000000000000000000000000ffffff"
                              "ffffffffffffffffff"));
    assert_true(BN_set_bit(radix, 260) && BN_set_bit(limit, 256)
                && BN_set_bit(limit, 229) && BN_lshift1(two_p, p)
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
    BN_free(limit);
    BN_free(two_p);
    BN_CTX_free(ctx);
    return failed;
}
