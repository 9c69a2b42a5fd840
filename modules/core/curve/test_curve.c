/* test_curve.c -- every back-end this machine can run: the operations of
 * ops.h against each other, against the BIGNUM reference and against the
 * portable back-end. */
#include <config.h>
#include "ident/test_kit.h"
#include "ident/peers.h"

static const struct mcx_ops *ops; /* the one under test */
static struct mcx_point_table *tp, *ta;
static struct mcx_g_table *tg;
static void *lines, *work;
static uint8_t base[257];
static struct kit_random rnd = { 77, 0 };

static void
scalar(uint8_t b[128], uint64_t w[MCX_W])
{
    struct mcx_env env = { .ctx = &rnd, .random = kit_draw };

    assert_int_equal(mcx_random_below(b, 128, MCX_SAKKE_Q_BITS, 2,
                                      mcx_sakke_q, &env), MCX_OK);
    mcx_w_read(w, b);
}

/* [k]a by the reference; false: infinity. */
static bool
ref_mul(uint8_t r[257], const uint8_t a[257], const uint8_t k[128])
{
    struct mcx_point p;
    struct mcx_fp f;
    bool finite;

    mcx_fp_init(&f);
    p = mcx_point_num(&f);
    assert_true(mcx_point_read(&f, p, a));
    finite = mcx_point_mul(&f, p, p, k, 128);
    if (finite) {
        mcx_point_write(&f, r, p);
    }
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);
    return finite;
}

static bool
mul1(uint8_t r[257], const struct mcx_point_table *t, const uint64_t *k)
{
    return ops->mul(r, t, k, NULL, NULL, NULL, NULL, NULL);
}

/* Small scalars, those next to q, those next to powers of 32, random ones. */
static void
multiples(void **state)
{
    uint8_t b[128], want[257], have[257], w[128], v[128];
    struct mcx_fp f;
    int i;

    (void)state;
    for (i = 0; i < 90; i++) {
        uint64_t k[MCX_W] = { 0 }, small[MCX_W] = { 0 };
        bool finite;

        if (i < 34) {
            k[0] = (uint64_t)i;
        } else if (i < 50) {
            small[0] = (uint64_t)(i - 33);
            (void)mcx_w_sub(k, mcx_w_q, small);
        } else if (i < 70) {
            int bit = 5 * (10 * (i - 50) + 3);

            k[bit / 64] = UINT64_C(1) << bit % 64;
            small[0] = 1;
            if (i & 1) {
                (void)mcx_w_sub(k, k, small);
            }
        } else {
            scalar(b, k);
        }
        mcx_w_write(b, k);
        memset(have, 1, 257);
        finite = ref_mul(want, base, b);
        assert_int_equal(mul1(have, tp, k), finite);
        if (!finite) {
            memset(want, 0, 257);
        }
        assert_memory_equal(have, want, 257);
        assert_int_equal(ops->mul(have, tp, k, NULL, NULL, w, tg, k),
                         finite);
        assert_memory_equal(have, want, 257);
        if (finite) {
            mcx_fp_init(&f);
            assert_true(mcx_g_power(&f, v, b, 128));
            mcx_fp_fini(&f);
            assert_memory_equal(w, v, 128);
            assert_true(ops->mul_is(want, tp, k));
            kit_sub(have + 129, mcx_sakke_p, want + 129, 128);
            assert_false(ops->mul_is(have, tp, k)); /* -[k]P */
            want[256] ^= 1;
            assert_false(ops->mul_is(want, tp, k)); /* no point */
            kit_add_order_2(have, base);
            assert_false(ops->mul_is(have, tp, k)); /* P + (0,0) */
        }
    }
}

/* [k]P + [l]A with A = [m]P; A's own table; sums that vanish. */
static void
two_tables(void **state)
{
    uint8_t b[3][128], a[257], x[257], y[257], s[257];
    uint64_t k[MCX_W], l[MCX_W], m[MCX_W];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        scalar(b[0], k);
        scalar(b[1], l);
        scalar(b[2], m);
        assert_true(mul1(a, tp, m));
        ops->table(ta, a, work);
        assert_true(mul1(y, ta, l));
        assert_true(ref_mul(s, a, b[1]));
        assert_memory_equal(y, s, 257);
        assert_true(mul1(x, tp, k));
        kit_point_add(s, x, y);
        assert_true(ops->add(a, x, y));
        assert_memory_equal(a, s, 257);
        assert_true(ops->mul(a, tp, k, ta, l, NULL, NULL, NULL));
        assert_memory_equal(a, s, 257);
        assert_true(ops->add(a, x, x)); /* a doubling */
        kit_point_add(s, x, x);
        assert_memory_equal(a, s, 257);
        kit_sub(s + 129, mcx_sakke_p, x + 129, 128);
        memcpy(s, x, 129);
        assert_false(ops->add(a, x, s));
        /* [-lm]P + [l]A */
        mcx_w_mul_q(k, l, m);
        (void)mcx_w_sub(k, mcx_w_q, k);
        assert_false(ops->mul(a, tp, k, ta, l, NULL, NULL, NULL));
        mcx_w_mul_q(k, l, m);
        assert_true(ops->mul(a, tp, k, ta, l, NULL, NULL, NULL));
        assert_true(ops->add(s, y, y)); /* the doubling again */
        assert_memory_equal(a, s, 257);
    }
}

/* TEST RFC 6508 3.2: <P,P> = g, <[k]P,[l]P> = g^(kl), the reference's value,
 * whichever argument has the lines. */
static void
pairing(void **state)
{
    uint8_t b[128], x[257], y[257], kl[257], w[128], v[128];
    uint64_t k[MCX_W], l[MCX_W];
    struct mcx_point p, q;
    struct mcx_fp f;
    bool defined;
    int i;

    (void)state;
    assert_true(ops->lines(lines, base, work));
    assert_true(ops->pair(w, &defined, lines, base) && defined);
    assert_memory_equal(w, mcx_sakke_g, 128);
    for (i = 0; i < 5; i++) {
        scalar(b, k);
        scalar(b, l);
        assert_true(mul1(x, tp, k) && mul1(y, tp, l));
        mcx_w_mul_q(k, k, l);
        assert_true(ops->mul(kl, tp, k, NULL, NULL, v, tg, k));
        assert_true(ops->lines(lines, x, work));
        assert_true(ops->pair(w, &defined, lines, y) && defined);
        assert_memory_equal(w, v, 128);
        assert_true(ops->lines(lines, y, work));
        assert_true(ops->pair(w, &defined, lines, x) && defined);
        assert_memory_equal(w, v, 128);
        mcx_fp_init(&f);
        p = mcx_point_num(&f);
        q = mcx_point_num(&f);
        assert_true(mcx_point_read(&f, p, x) && mcx_point_read(&f, q, y));
        assert_true(mcx_pairing(&f, v, p, q));
        assert_int_equal(mcx_fp_status(&f), MCX_OK);
        mcx_fp_fini(&f);
        assert_memory_equal(w, v, 128);
    }
}

/* Eight at once: the values of one at a time, also beside places that are
 * empty, no points, or points of other orders. */
static void
batches(void **state)
{
    uint8_t b[128], pt[MCX_BATCH][257], w[MCX_BATCH][128], v[128];
    bool on_curve[MCX_BATCH], defined[MCX_BATCH], one;
    const uint8_t *r[MCX_BATCH];
    uint64_t k[MCX_W];
    int i, j, at;

    (void)state;
    if (!ops->pair_many) {
        return; /* has no lanes to gain by */
    }
    scalar(b, k);
    assert_true(mul1(pt[0], tp, k));
    assert_true(ops->lines(lines, pt[0], work));
    for (i = 0; i < 6; i++) {
        for (j = 0; j < MCX_BATCH; j++) {
            scalar(b, k);
            assert_true(mul1(pt[j], tp, k));
            r[j] = pt[j];
        }
        at = 3 * i % MCX_BATCH;
        if (i == 1) {
            r[at] = NULL;
        } else if (i == 2) {
            pt[at][77] ^= 1;
        } else if (i == 3) {
            kit_order_4(pt[at]);
        } else if (i == 4) {
            memcpy(pt[at], base, 257);
            kit_add_order_2(pt[0], base);
        }
        memset(w, 0xff, sizeof w);
        ops->pair_many(w, on_curve, defined, lines, r, work);
        for (j = 0; j < MCX_BATCH; j++) {
            memset(v, 0, sizeof v);
            one = false;
            assert_int_equal(on_curve[j],
                             r[j] && ops->pair(v, &one, lines, r[j]));
            assert_int_equal(defined[j], one);
            assert_memory_equal(w[j], v, 128);
            assert_true(one || i == 1 || i == 2);
        }
    }
}

/* The points that satisfy the equation and are not legal, and what is none. */
static void
other_points(void **state)
{
    uint8_t four[257], b[257], w[128];
    bool defined;
    int i;

    (void)state;
#define NOT_Q(a)                                                              \
    do {                                                                      \
        assert_true(ops->is_point(a));                                        \
        assert_false(ops->order_q(a));                                        \
        assert_false(ops->lines(lines, a, work));                             \
    } while (0)
    assert_true(ops->is_point(base) && ops->order_q(base));
    kit_order_4(four);
    NOT_Q(four);
    kit_point_add(b, base, four);
    NOT_Q(b);
    kit_add_order_2(b, base);
    NOT_Q(b);
    assert_true(ops->lines(lines, base, work));
    assert_true(ops->pair(w, &defined, lines, b) && defined);
    assert_memory_equal(w, mcx_sakke_g, 128); /* why order matters */
    assert_true(ops->pair(w, &defined, lines, four)); /* no crash */
#define NO_POINT(a)                                                           \
    do {                                                                      \
        assert_false(ops->is_point(a));                                       \
        assert_false(ops->order_q(a));                                        \
        assert_false(ops->lines(lines, a, work));                             \
        assert_false(ops->add(w_out, a, base));                               \
        assert_false(ops->pair(w, &defined, lines, a));                       \
    } while (0)
    {
        uint8_t w_out[257];

        for (i = 0; i < 256; i++) {
            memcpy(b, base, 257);
            b[0] = (uint8_t)i;
            assert_int_equal(ops->is_point(b), i == 4);
        }
        memset(b, 0, 257);
        b[0] = 4;
        NO_POINT(b); /* (0,0) */
        for (i = 0; i < 2; i++) {
            memcpy(b, base, 257);
            memcpy(b + 1 + 128 * i, mcx_sakke_p, 128);
            NO_POINT(b);
            memset(b + 1 + 128 * i, 0xff, 128);
            NO_POINT(b);
            memcpy(b, base, 257);
            b[128 + 128 * i] ^= 1;
            NO_POINT(b);
        }
    }
}

static bool
ref_order_q(const uint8_t a[257])
{
    struct mcx_point p;
    struct mcx_fp f;
    bool is;

    mcx_fp_init(&f);
    p = mcx_point_num(&f);
    assert_true(mcx_point_read(&f, p, a));
    is = mcx_point_order_q(&f, p);
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);
    return is;
}

/* The order by halving against [q]A: points of order q and each coset of
 * them, whose representatives are (0,0) and the two points of order 4; those
 * themselves; any points of the curve: so many that both choices of the half
 * come up. */
static void
orders(void **state)
{
    uint8_t four[257], minus[257], a[257], b[257], x[128];
    uint64_t k[MCX_W];
    int i, rounds = 12, legal = 0;

    (void)state;
    kit_order_4(four);
    memcpy(minus, four, 129);
    kit_sub(minus + 129, mcx_sakke_p, four + 129, 128);
    assert_false(ops->order_q(four) || ops->order_q(minus));
    for (i = 0; i < rounds; i++) {
        scalar(x, k);
        assert_true(mul1(a, tp, k));
        assert_true(ops->order_q(a) && ref_order_q(a));
        kit_add_order_2(b, a);
        assert_false(ops->order_q(b) || ref_order_q(b));
        kit_point_add(b, a, four);
        assert_false(ops->order_q(b) || ref_order_q(b));
        kit_point_add(b, a, minus);
        assert_false(ops->order_q(b) || ref_order_q(b));
    }
    for (i = 0; i < rounds; i++) {
        bool is;

        scalar(x, k);
        kit_any_point(a, x);
        is = ref_order_q(a);
        legal += is;
        assert_int_equal(ops->order_q(a), is);
    }
    assert_in_range(legal, 0, rounds - 1);
}

/* The value of the pairing by the reference. */
static bool
ref_pair(uint8_t w[128], const uint8_t r[257], const uint8_t k[257])
{
    struct mcx_point a, b;
    struct mcx_fp f;
    bool ok;

    mcx_fp_init(&f);
    a = mcx_point_num(&f);
    b = mcx_point_num(&f);
    assert_true(mcx_point_read(&f, a, r) && mcx_point_read(&f, b, k));
    ok = mcx_pairing(&f, w, a, b);
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);
    return ok;
}

/* Points whose coordinates are next to 0 and to p, which no walk from P finds,
 * of whatever order: on the curve, of order q or not, and with the value that
 * the portable back-end and the reference give, alone and in lanes; K itself,
 * its negative and K + T in R's place. */
static void
extremes(void **state)
{
    enum { N = 24 };
    const struct mcx_ops *ref = &mcx_ops_portable;
    static const uint8_t zero[128];
    uint8_t pt[N][257], key[257], b[128], x[128], w[128], v[128], four[257];
    uint8_t in[MCX_BATCH][128];
    bool on_curve[MCX_BATCH], defined[MCX_BATCH], legal[N], d, e;
    const uint8_t *r[MCX_BATCH];
    void *lines_ref = mcx_big_new(ref->lines_size);
    uint64_t k[MCX_W];
    int i, j, n = 0;

    (void)state;
    assert_non_null(lines_ref);
    scalar(b, k);
    assert_true(mul1(key, tp, k));
    kit_order_4(four);
    for (i = 0; n < N - 6; i++) { /* kit_any_point() begins with x + 1 */
        memset(x, 0, sizeof x);
        x[127] = (uint8_t)(5 * i);
        if (i & 1) {
            kit_sub(x, mcx_sakke_p, x, 128);
            x[127] -= 5;
        }
        kit_any_point(pt[n++], x);
        if (i % 3 == 2) { /* the other y */
            kit_sub(pt[n - 1] + 129, mcx_sakke_p, pt[n - 1] + 129, 128);
        }
    }
    memcpy(pt[n++], key, 257);
    memcpy(pt[n], key, 257);
    kit_sub(pt[n++] + 129, mcx_sakke_p, key + 129, 128);
    kit_add_order_2(pt[n++], key);
    kit_point_add(pt[n++], key, four);
    memcpy(pt[n++], four, 257);
    memcpy(pt[n++], base, 257);
    assert_int_equal(n, N);
    assert_true(ref->lines(lines_ref, key, work));
    assert_true(ops->lines(lines, key, work));
    for (i = 0; i < N; i++) {
        legal[i] = ref_order_q(pt[i]);
        assert_true(ops->is_point(pt[i]));
        assert_int_equal(ops->order_q(pt[i]), legal[i]);
        assert_true(ref->pair(v, &e, lines_ref, pt[i]));
        assert_true(ops->pair(w, &d, lines, pt[i]));
        assert_int_equal(d, e);
        assert_memory_equal(w, v, 128);
        if (i % 4 == 0) {
            assert_int_equal(ref_pair(v, key, pt[i]), d);
            assert_memory_equal(w, v, 128);
        }
        assert_false(ops->mul_is(pt[i], tp, k) != (memcmp(pt[i], key, 257)
                                                   == 0));
        /* x one higher or lower, with that y, is no point */
        memcpy(four, pt[i], 257);
        four[128] ^= 1;
        assert_false(ops->is_point(four) || ops->order_q(four));
        assert_false(ops->pair(w, &d, lines, four));
        assert_memory_equal(w, zero, 128);
    }
    for (i = 0; ops->pair_many && i + MCX_BATCH <= N; i += MCX_BATCH / 2) {
        for (j = 0; j < MCX_BATCH; j++) {
            r[j] = pt[i + j];
        }
        ops->pair_many(in, on_curve, defined, lines, r, work);
        for (j = 0; j < MCX_BATCH; j++) {
            assert_true(ref->pair(v, &e, lines_ref, r[j]));
            assert_true(on_curve[j]);
            assert_int_equal(defined[j], e);
            assert_memory_equal(in[j], v, 128);
        }
    }
    for (i = 0; i < N; i++) { /* as keys */
        assert_int_equal(ops->lines(lines, pt[i], work), legal[i]);
        if (legal[i]) {
            assert_true(ref->lines(lines_ref, pt[i], work));
            assert_true(ref->pair(v, &e, lines_ref, key));
            assert_true(ops->pair(w, &d, lines, key));
            assert_memory_equal(w, v, 128);
        }
    }
    mcx_big_free(lines_ref);
}

/* TEST RFC 6508 6.1.2: K = [1/(a + z)]P and no other; what the order has to
 * refuse passes. */
static void
equation(void **state)
{
    uint8_t four[257], z[257], rsk[257], other[257], b[128];
    uint64_t a[MCX_W], k[MCX_W], r[MCX_W], one[MCX_W] = { 1 };
    void *z_lines = mcx_big_new(1 << 20);
    int i;

    (void)state;
    assert_non_null(z_lines);
    kit_order_4(four);
    assert_true(ops->lines(lines, base, work));
    for (i = 0; i < 4; i++) {
        scalar(b, k);
        assert_true(mul1(z, tp, k));
        assert_true(ops->lines(z_lines, z, work));
        scalar(b, a);
        if (i > 0) { /* UIDs are short; and the shortest */
            memset(a + 4, 0, sizeof a - 32);
        }
        if (i == 3) {
            memset(a + 1, 0, 24);
            a[0] = 2;
        }
        mcx_w_reduce(r, mcx_w_add(r, a, k), mcx_w_q);
        mcx_w_inv(r, r, mcx_w_q, mcx_w_q_k);
        assert_true(mul1(rsk, tp, r));
        assert_true(ops->gives_g(lines, z_lines, a, rsk));
        kit_add_order_2(other, rsk);
        assert_true(ops->gives_g(lines, z_lines, a, other));
        kit_point_add(other, rsk, four);
        assert_true(ops->gives_g(lines, z_lines, a, other));
        memcpy(other, rsk, 129); /* -RSK: 1/g */
        kit_sub(other + 129, mcx_sakke_p, rsk + 129, 128);
        assert_false(ops->gives_g(lines, z_lines, a, other));
        assert_false(ops->gives_g(lines, z_lines, a, four)); /* 1 */
        assert_false(ops->gives_g(z_lines, lines, a, rsk));
        other[256] ^= 1;
        assert_false(ops->gives_g(lines, z_lines, a, other));
        (void)mcx_w_add(a, a, one);
        assert_false(ops->gives_g(lines, z_lines, a, rsk));
    }
    mcx_big_free(z_lines);
}

/* Octets equal those of the portable back-end, RFC 6508 appendix A's too. */
static void
agreement(void **state)
{
    uint8_t r[128], w[128], want[128], rsk[257], enc[273];
    uint64_t k[MCX_W];
    bool defined;

    (void)state;
    assert_true(mcx_ops_agree(ops, tp, tg, lines, work));
    (void)vec_hex(V6508, "derived_not_in_rfc.RSK_octets", rsk, 257);
    (void)vec_hex(V6508, "derived_not_in_rfc.encapsulated_data", enc, 273);
    assert_true(ops->lines(lines, rsk, work));
    assert_true(ops->pair(w, &defined, lines, enc) && defined);
    vec_int(V6508, "w", want, 128);
    assert_memory_equal(w, want, 128);
    vec_int(V6508, "r", r, 128);
    mcx_w_read(k, r);
    assert_true(ops->mul(enc, tp, k, NULL, NULL, w, tg, k));
    vec_int(V6508, "g_r", want, 128);
    assert_memory_equal(w, want, 128);
    /* A wrong table is noticed. */
    tp->e[100][7][1][3] ^= 4;
    tp->e[100][8][0][3] ^= 4;
    for (k[0] = 0; k[0] < 16; k[0]++) {
        tp->e[17][k[0]][0][0] ^= 1;
    }
    assert_false(mcx_ops_agree(ops, tp, tg, lines, work));
    ops->table(tp, base, work);
    assert_true(mcx_ops_agree(ops, tp, tg, lines, work));
}

static int
run(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiples),    cmocka_unit_test(two_tables),
        cmocka_unit_test(pairing),      cmocka_unit_test(other_points),
        cmocka_unit_test(batches),
        cmocka_unit_test(orders),       cmocka_unit_test(equation),
        cmocka_unit_test(extremes),     cmocka_unit_test(agreement),
    };
    int failed;

    ops = mcx_ops_named(name);
    if (!ops) {
        (void)printf("SKIP %s: this CPU lacks it\n", name);
        return 0;
    }
    lines = mcx_big_new(1 << 20);
    ops->table(tp, base, work);
    ops->g_table(tg, work);
    failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    mcx_big_free(lines);
    return failed;
}

int
main(void)
{
    int failed = 0;

    base[0] = 4;
    memcpy(base + 1, mcx_sakke_px, 128);
    memcpy(base + 129, mcx_sakke_py, 128);
    tp = mcx_big_new(sizeof *tp);
    ta = mcx_big_new(sizeof *ta);
    tg = mcx_big_new(sizeof *tg);
    work = mcx_big_new(MCX_WORK_SIZE);
    if (!tp || !ta || !tg || !work) {
        return 1;
    }
    failed += run("portable");
    failed += run("adx");
    failed += run("ifma");
    mcx_big_free(tp);
    mcx_big_free(ta);
    mcx_big_free(tg);
    mcx_big_free(work);
    return failed;
}
