/* test_ident_math.c -- the arithmetic below SAKKE: the numbers hang together
 * as RFC 6509 appendix A says, and curve and pairing obey their algebra. */
#include <config.h>
#include "test_kit.h"

/* TEST RFC 6509 appendix A */
static void
numbers(void **state)
{
    const struct { const char *name; const uint8_t *v; } row[] = {
        { "p", mcx_sakke_p },   { "q", mcx_sakke_q }, { "Px", mcx_sakke_px },
        { "Py", mcx_sakke_py }, { "g", mcx_sakke_g },
    };
    const struct ref_params *pa = ref_params();
    uint8_t v[128];
    BIGNUM *t = BN_new();
    size_t i;

    (void)state;
    assert_non_null(pa);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        vec_int(V6509, row[i].name, v, 128);
        assert_memory_equal(v, row[i].v, 128);
    }
    assert_int_equal(BN_num_bits(pa->p), MCX_SAKKE_P_BITS);
    assert_int_equal(BN_num_bits(pa->q), MCX_SAKKE_Q_BITS);
    assert_true(t && BN_lshift(t, pa->q, 2) && BN_sub_word(t, 1));
    assert_int_equal(BN_cmp(t, pa->p), 0); /* p + 1 = 4q */
    /* The digits make q - 1 again, and no two neighbours are not 0. */
    BN_zero(t);
    for (i = pa->n_naf; i-- > 0;) {
        assert_true(BN_lshift1(t, t));
        assert_true(pa->naf[i] == 0
                    || (pa->naf[i] > 0 ? BN_add_word(t, 1)
                                       : BN_sub_word(t, 1)));
        assert_true(i == 0 || pa->naf[i] == 0 || pa->naf[i - 1] == 0);
    }
    assert_int_equal(pa->naf[pa->n_naf - 1], 1);
    assert_true(BN_add_word(t, 1));
    assert_int_equal(BN_cmp(t, pa->q), 0);
    BN_free(t);
}

struct math { struct mcx_fp f; struct mcx_point base, a, b, c; };

static void
math_open(struct math *m)
{
    mcx_fp_init(&m->f);
    m->base.x = m->f.pa->px;
    m->base.y = m->f.pa->py;
    m->a = mcx_point_num(&m->f);
    m->b = mcx_point_num(&m->f);
    m->c = mcx_point_num(&m->f);
}

static void
random_scalar(uint8_t k[128], struct kit_random *r)
{
    struct mcx_env env = { .ctx = r, .random = kit_draw };

    assert_int_equal(mcx_random_below(k, 128, MCX_SAKKE_Q_BITS, 2,
                                      mcx_sakke_q, &env), MCX_OK);
}

/* [k]P by the ladder against additions, for small k; [k]P + [l]P = [k+l]P. */
static void
group(void **state)
{
    struct kit_random r = { 11, 0 };
    uint8_t k[128], l[128], sum[128], x[257], y[257], small = 1;
    static const uint8_t one[128] = { [127] = 1 };
    struct math m;
    int i;

    (void)state;
    math_open(&m);
    assert_true(mcx_point_mul(&m.f, m.a, m.base, &small, 1));
    for (; small < 40; small++) {
        assert_true(mcx_point_mul(&m.f, m.b, m.base, &small, 1));
        mcx_point_write(&m.f, x, m.a);
        mcx_point_write(&m.f, y, m.b);
        assert_memory_equal(x, y, 257);
        assert_true(mcx_point_add(&m.f, m.a, m.base));
    }
    for (i = 0; i < 8; i++) {
        random_scalar(k, &r);
        random_scalar(l, &r);
        kit_add(sum, k, l, 128); /* below 2^1024, not reduced */
        assert_true(mcx_point_mul(&m.f, m.a, m.base, k, 128));
        assert_true(mcx_point_mul(&m.f, m.b, m.base, l, 128));
        assert_true(mcx_point_mul(&m.f, m.c, m.base, sum, 128));
        assert_true(mcx_point_add(&m.f, m.a, m.b));
        mcx_point_write(&m.f, x, m.a);
        mcx_point_write(&m.f, y, m.c);
        assert_memory_equal(x, y, 257);
        assert_true(mcx_point_order_q(&m.f, m.c));
    }
    /* The scalars next to the order: infinity, -P, P. */
    assert_false(mcx_point_mul(&m.f, m.a, m.base, mcx_sakke_q, 128));
    kit_sub(k, mcx_sakke_q, one, 128);
    assert_true(mcx_point_mul(&m.f, m.a, m.base, k, 128));
    mcx_point_write(&m.f, x, m.a);
    assert_memory_equal(x + 1, mcx_sakke_px, 128);
    kit_sub(l, mcx_sakke_p, mcx_sakke_py, 128);
    assert_memory_equal(x + 129, l, 128);
    assert_false(mcx_point_add(&m.f, m.a, m.base)); /* P - P */
    memset(k, 0, 128);
    assert_false(mcx_point_mul(&m.f, m.a, m.base, k, 128));
    kit_add(k, mcx_sakke_q, one, 128);
    assert_true(mcx_point_mul(&m.f, m.a, m.base, k, 128));
    mcx_point_write(&m.f, x, m.a);
    assert_memory_equal(x + 1, mcx_sakke_px, 128);
    assert_memory_equal(x + 129, mcx_sakke_py, 128);
    assert_int_equal(mcx_fp_status(&m.f), MCX_OK);
    mcx_fp_fini(&m.f);
}

/* <P, P> = g, <[k]P, [l]P> = g^(kl) = <[l]P, [k]P>. */
static void
bilinear(void **state)
{
    struct kit_random r = { 5, 0 };
    uint8_t k[128], l[128], w[128], v[128];
    struct math m;
    int i;

    (void)state;
    math_open(&m);
    assert_true(mcx_pairing(&m.f, w, m.base, m.base));
    assert_memory_equal(w, mcx_sakke_g, 128);
    for (i = 0; i < 4; i++) {
        BIGNUM *x, *y;

        random_scalar(k, &r);
        random_scalar(l, &r);
        assert_true(mcx_point_mul(&m.f, m.a, m.base, k, 128));
        assert_true(mcx_point_mul(&m.f, m.b, m.base, l, 128));
        assert_true(mcx_pairing(&m.f, w, m.a, m.b));
        assert_true(mcx_pairing(&m.f, v, m.b, m.a));
        assert_memory_equal(w, v, 128);
        x = BN_bin2bn(k, 128, NULL);
        y = BN_bin2bn(l, 128, NULL);
        assert_true(x && y && BN_mod_mul(x, x, y, m.f.pa->q, m.f.ctx));
        assert_int_equal(BN_bn2binpad(x, k, 128), 128);
        assert_true(mcx_g_power(&m.f, v, k, 128));
        assert_memory_equal(w, v, 128);
        BN_free(x);
        BN_free(y);
    }
    assert_true(mcx_g_power(&m.f, w, mcx_sakke_q, 128)); /* g^q = 1: 0 */
    for (i = 0; i < 128; i++) {
        assert_int_equal(w[i], 0);
    }
    assert_int_equal(mcx_fp_status(&m.f), MCX_OK);
    mcx_fp_fini(&m.f);
}

/* The points that satisfy the equation and are not legal. */
static void
other_orders(void **state)
{
    uint8_t four[257], b[257], w[128], p[257] = { 0x04 };
    struct math m;

    (void)state;
    memcpy(p + 1, mcx_sakke_px, 128);
    memcpy(p + 129, mcx_sakke_py, 128);
    kit_order_4(four);
    math_open(&m);
    assert_true(mcx_point_read(&m.f, m.a, four));
    assert_false(mcx_point_order_q(&m.f, m.a));
    kit_point_add(b, p, four);
    assert_true(mcx_point_read(&m.f, m.b, b));
    assert_false(mcx_point_order_q(&m.f, m.b));
    kit_add_order_2(b, p);
    assert_true(mcx_point_read(&m.f, m.c, b));
    assert_false(mcx_point_order_q(&m.f, m.c));
    assert_true(mcx_pairing(&m.f, w, m.c, m.base)); /* why order matters */
    assert_memory_equal(w, mcx_sakke_g, 128);
    (void)mcx_pairing(&m.f, w, m.a, m.base); /* undefined steps, no crash */
    (void)mcx_pairing(&m.f, w, m.base, m.a);
    (void)mcx_pairing(&m.f, w, m.a, m.a);
    assert_int_equal(mcx_fp_status(&m.f), MCX_OK);
    mcx_fp_fini(&m.f);
}

static void
ranges(void **state)
{
    static const uint8_t below[2] = { 0x12, 0x34 };
    unsigned v, low;

    (void)state;
    for (low = 0; low < 3; low++) {
        for (v = 0; v < 65536; v++) {
            uint8_t a[2] = { (uint8_t)(v >> 8), (uint8_t)v };

            assert_int_equal(mcx_in_range(a, low, below, 2),
                             v >= low && v < 0x1234);
        }
    }
}

/* A source that is stuck ends in an error, not in a loop. */
static mcx_err
stuck(void *ctx, void *out, size_t n)
{
    memset(out, *(int *)ctx, n);
    return MCX_OK;
}

static void
randomness(void **state)
{
    int octet = 0xff;
    struct mcx_env env = { .ctx = &octet, .random = stuck };
    uint8_t k[128];

    (void)state;
    assert_int_equal(mcx_random_below(k, 32, 256, 1, mcx_p256_q, &env),
                     MCX_E_IO);
    octet = 0;
    assert_int_equal(mcx_random_below(k, 32, 256, 1, mcx_p256_q, &env),
                     MCX_E_IO);
    octet = 0xff;
    assert_int_equal(mcx_random_below(k, 128, 1022, 2, mcx_sakke_q, &env),
                     MCX_E_IO);
    octet = 0x20;
    assert_int_equal(mcx_random_below(k, 128, 1022, 2, mcx_sakke_q, &env),
                     MCX_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(group),
        cmocka_unit_test(bilinear),
        cmocka_unit_test(other_orders),
        cmocka_unit_test(ranges),
        cmocka_unit_test(randomness),
    };

    return cmocka_run_group_tests_name("ident-math", tests, NULL, NULL);
}
