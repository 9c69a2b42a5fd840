/* field_be.h -- the probes of one back-end's field, table look-up and window
 * functions; included after config.h, field/fp_<name>.h and timing.h, with
 * BE_LABEL a string and PROBES the array's name.  The back-end's curve code is
 * compiled here once more, for its static functions.
 *
 * The fixed secrets are those that careless arithmetic is fast on: one, p - 1,
 * the first entry of a table, no sign changed.  Not zero, as an operand of
 * products: Zen 5's AVX-512 units multiply vectors of zeros faster, by less
 * than one part in a thousand (t of -7 at 500,000 samples), with the same
 * instructions.  That is power and clock, not code (DECISIONS 14), and a
 * secret is zero once in 2^1000.
 */
#include "curve/body.h"

BE_OPS(BE_OPS_NAME, BE_LABEL);

/* Operands: two numbers in the chain's form, six in the lanes'. */
struct two { fe a, b; };
struct six { fv x[6]; };

static void
random_fe(fe *r)
{
    uint64_t w[MCX_W];

    timing_fill(w, sizeof w);
    fe_from_w(r, w);
}

/* 1, or -1. */
static void
edge_fe(fe *r, bool negative)
{
    uint64_t one[MCX_W] = { 1 }, w[MCX_W];

    (void)mcx_w_sub(w, mcx_w_p, one);
    fe_from_w(r, negative ? w : one);
}

static void
make_two(void *secret, bool fixed)
{
    struct two *s = secret;

    random_fe(&s->a);
    random_fe(&s->b);
    if (fixed) {
        edge_fe(&s->a, true);
        edge_fe(&s->b, false);
    }
}

static void
make_six(void *secret, bool fixed)
{
    struct six *s = secret;
    int i, l;
    fe a, b;

    for (i = 0; i < 6; i++) {
        edge_fe(&b, i & 1);
        for (l = 0; l < LANES; l++) {
            random_fe(&a);
            fv_set(&s->x[i], l, fixed ? &b : &a);
        }
    }
}

static void
sink_fe(const fe *a)
{
    uint64_t v;

    memcpy(&v, a, sizeof v);
    timing_sink = v;
}

static void
sink_fv(const fv *a)
{
    uint64_t v;

    memcpy(&v, a, sizeof v);
    timing_sink = v;
}

static void
run_mul(const void *secret)
{
    const struct two *s = secret;
    fe r;

    fe_mul(&r, &s->a, &s->b);
    sink_fe(&r);
}

static void
run_mul2(const void *secret)
{
    const struct two *s = secret;
    fe r, q;

    fe_mul2(&r, &s->a, &s->b, &q, &s->a, &s->a);
    sink_fe(&r);
    sink_fe(&q);
}

static void
run_add_sub(const void *secret)
{
    const struct two *s = secret;
    fe r, q;

    fe_add(&r, &s->a, &s->b);
    fe_sub(&q, &s->a, &s->b);
    fe_add(&r, &r, &q);
    fe_sub(&r, &r, &s->b);
    sink_fe(&r);
}

static void
run_plain(const void *secret)
{
    const struct two *s = secret;
    uint64_t w[MCX_W];

    fe_to_w(w, &s->a);
    timing_sink = w[0] ^ fe_zero(&s->b);
}

static void
run_inv(const void *secret)
{
    const struct two *s = secret;
    fe r;

    fe_inv(&r, &s->b);
    sink_fe(&r);
}

static void
run_lanes_mul(const void *secret)
{
    const struct six *s = secret;
    fv r;

    fv_mul(&r, &s->x[0], &s->x[1]);
    sink_fv(&r);
}

static void
run_lanes_acc(const void *secret)
{
    const struct six *s = secret;
    fv r;

    fv_acc3(&r, &s->x[0], &s->x[1], &s->x[2], &s->x[3], &s->x[4], &s->x[5]);
    sink_fv(&r);
}

static void
run_lanes_add_sub(const void *secret)
{
    const struct six *s = secret;
    fv r;

    fv_add(&r, &s->x[0], &s->x[1]);
    fv_sub(&r, &r, &s->x[2]);
    fv_shrink(&r);
    sink_fv(&r);
}

/* Signs of lanes and a number. */
struct signs { uint64_t neg[LANES]; fv x; };

static void
make_signs(void *secret, bool fixed)
{
    struct signs *s = secret;
    int l;

    for (l = 0; l < LANES; l++) {
        fe a;

        random_fe(&a);
        fv_set(&s->x, l, &a);
        s->neg[l] = (0 - (timing_draw() >> 63))
                    & (fixed ? 0 : ~UINT64_C(0));
    }
}

static void
run_neg_if(const void *secret)
{
    const struct signs *s = secret;
    fv r = s->x;

    fv_neg_if(&r, s->neg);
    sink_fv(&r);
}

/* Places in a table. */
static void
make_places(void *secret, bool fixed)
{
    uint64_t *at = secret;
    int l;

    for (l = 0; l < LANES; l++) {
        at[l] = (timing_draw() >> 60) & (fixed ? 0 : 15);
    }
}

static void
run_gather(const void *secret)
{
    static _Alignas(64) uint64_t tab[LANES][16][2][MCX_W];
    fv r[2];

    fv_gather(r, 2, &tab[0][0][0][0], secret);
    sink_fv(&r[0]);
    sink_fv(&r[1]);
}

/* A scalar below q. */
static void
make_scalar(void *secret, bool fixed)
{
    uint64_t *w = secret;

    timing_fill(w, 8 * MCX_W);
    w[MCX_W - 1] >>= 3; /* q has 1022 bits */
    if (fixed) {
        memset(w, 0, 8 * MCX_W);
        w[0] = 1;
    }
}

static void
run_recode(const void *secret)
{
    uint64_t u[MCX_WINDOWS];

    recode(u, secret);
    timing_sink = u[0] ^ u[MCX_WINDOWS - 1];
}

static void
make_digits(void *secret, bool fixed)
{
    uint64_t *u = secret;
    int l;

    for (l = 0; l < LANES; l++) {
        u[l] = timing_draw() >> 59;
        u[l] = fixed ? 16 : u[l];
    }
}

static void
run_pick(const void *secret)
{
    uint64_t at[LANES], neg[LANES];

    pick(at, neg, secret);
    timing_sink = at[0] ^ neg[LANES - 1];
}

static void
run_mod_q(const void *secret)
{
    uint64_t w[MCX_W];

    mcx_w_mod_q(w, secret);
    timing_sink = w[0];
}

static void
run_mul_q(const void *secret)
{
    const uint64_t *k = secret;
    uint64_t w[MCX_W];

    mcx_w_mul_q(w, k, k);
    timing_sink = w[0];
}

static void
run_inv_q(const void *secret)
{
    uint64_t w[MCX_W];

    mcx_w_inv(w, secret, mcx_w_q, mcx_w_q_k);
    timing_sink = w[0];
}

enum { FULL = 1000000, SCALAR = 8 * MCX_W };

const struct probe PROBES[] = {
    { "field: product", FULL, sizeof(struct two), make_two, run_mul, false },
    { "field: two products", FULL, sizeof(struct two), make_two, run_mul2,
      false },
    { "field: sum, difference", FULL, sizeof(struct two), make_two,
      run_add_sub, false },
    { "field: out of Montgomery form, is zero", FULL, sizeof(struct two),
      make_two, run_plain, false },
    { "field: inverse", FULL, sizeof(struct two), make_two, run_inv, false },
    { "lanes: product", FULL, sizeof(struct six), make_six, run_lanes_mul,
      false },
    { "lanes: sum of three products", FULL, sizeof(struct six), make_six,
      run_lanes_acc, false },
    { "lanes: sum, difference", FULL, sizeof(struct six), make_six,
      run_lanes_add_sub, false },
    { "lanes: sign", FULL, sizeof(struct signs), make_signs, run_neg_if,
      false },
    { "table look-up", FULL, 8 * LANES, make_places, run_gather, false },
    { "window: digits of a scalar", FULL, SCALAR, make_scalar, run_recode,
      false },
    { "window: entry and sign", FULL, 8 * LANES, make_digits, run_pick,
      false },
    { "mod q: reduction", FULL, SCALAR, make_scalar, run_mod_q, false },
    { "mod q: product", FULL, SCALAR, make_scalar, run_mul_q, false },
    { "mod q: inverse", FULL, SCALAR, make_scalar, run_inv_q, false },
    { 0 },
};
