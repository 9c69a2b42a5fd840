/* p256_lanes.h -- P-256 in the eight lanes of AVX-512 IFMA; for p256_ifma.c,
 * in the midst of p256_body.h, whose digits it reads.
 *
 * A sum by tables is some 70 additions of points that are all known from the
 * start: each lane adds up every eighth, and the eight sums are folded.  With
 * a secret scalar no branch and no address depends on it.
 *
 * An element is five limbs of 52 bits, in Montgomery's form 2^260.  Products
 * take limbs below 2^52 and give, of values a p and b p, one below (a b / 16 +
 * 1) p; all values stay below 16 p, each bound is said in multiples of p.
 * Points are (x / zz, y / zzz) with zz^3 = zzz^2:
 *     x < 2.1, y < 6.2, zz and zzz < 1.4.
 * Infinity has no form: masks say which lanes have no point yet.  Where two
 * points have one x, zz becomes 0 and stays it: who asked sees that in the
 * end, and has to take another way. */
#ifndef MCX_IDENT_P256_LANES_H
#define MCX_IDENT_P256_LANES_H

#include <assert.h>
#include "../field/v8.h"

enum { LN = MCX_P256_LANES, LN_L = 5, LN_ALL = (1 << LN) - 1 };
#define LN_M52 ((UINT64_C(1) << 52) - 1)
/* p's limbs; that between them is 0.  -1/p mod 2^52 is 1. */
#define LN_P0 LN_M52
#define LN_P1 UINT64_C(0x00fffffffffff)
#define LN_P3 UINT64_C(0x1000000000)
#define LN_P4 UINT64_C(0x0ffffffff0000)

struct lv { v8 l[LN_L]; };
struct lp { struct lv x, y, zz, zzz; };

#ifdef MCX_DEBUG_BOUNDS
/* Limbs below 2^52, and the value below 'tenths' / 10 p, by the highest. */
static void
ln_check(const struct lv *a, uint64_t tenths)
{
    v8 m52 = v_all(LN_M52);
    int i;

    for (i = 0; i < LN_L; i++) {
        assert(v_gt(a->l[i], m52) == 0);
    }
    assert(v_gt(a->l[4], v_all(tenths * LN_P4 / 10)) == 0);
}
#define LN_CHECK(a, tenths) ln_check((a), (tenths))
#else
#define LN_CHECK(a, tenths) ((void)0)
#endif

/* ---- the field --------------------------------------------------------- */

/* Limbs with signs to limbs below 2^52; the value is not negative. */
static inline void
ln_carry(struct lv *r)
{
    v8 m52 = v_all(LN_M52);
    int i;

#pragma GCC unroll 5
    for (i = 0; i < LN_L - 1; i++) {
        r->l[i + 1] = v_add(r->l[i + 1], v_sra(r->l[i], 52));
        r->l[i] = v_and(r->l[i], m52);
    }
}

/* Limbs with signs, a value from 0 to 15, to limbs below 2^52 and a value
 * below 2.1: less p one time fewer than 2^256 fits, as its highest limb has
 * it; 2^256 - p = 2^224 - 2^192 - 2^96 + 1. */
static inline void
ln_weak(struct lv *r)
{
    v8 n = v_sub(v_sra(r->l[4], 48), v_all(1));

    r->l[4] = v_sub(r->l[4], v_sub(v_sll(n, 48), v_sll(n, 16)));
    r->l[3] = v_sub(r->l[3], v_sll(n, 36));
    r->l[1] = v_sub(r->l[1], v_sll(n, 44));
    r->l[0] = v_add(r->l[0], n);
    ln_carry(r);
    LN_CHECK(r, 21);
}

/* r = a - b + n p, limbs with signs. */
static inline void
ln_less(struct lv *r, const struct lv *a, const struct lv *b, uint64_t n)
{
    r->l[0] = v_sub(v_add(a->l[0], v_all(n * LN_P0)), b->l[0]);
    r->l[1] = v_sub(v_add(a->l[1], v_all(n * LN_P1)), b->l[1]);
    r->l[2] = v_sub(a->l[2], b->l[2]);
    r->l[3] = v_sub(v_add(a->l[3], v_all(n * LN_P3)), b->l[3]);
    r->l[4] = v_sub(v_add(a->l[4], v_all(n * LN_P4)), b->l[4]);
}

static inline void
ln_plus(struct lv *r, const struct lv *a, const struct lv *b)
{
    int i;

#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
        r->l[i] = v_add(a->l[i], b->l[i]);
    }
}

/* What 'c', ten limbs below 2^57, is divided by 2^260, mod p, without the
 * carries.  m p takes the lowest limb away, m = c_0 mod 2^52:
 *     c_0 + m (2^256 - 2^224 + 2^192 + 2^96 - 1). */
static inline void
ln_reduce(struct lv *r, v8 c[2 * LN_L])
{
    v8 m52 = v_all(LN_M52), p3 = v_all(LN_P3), p4 = v_all(LN_P4), m;
    int i;

#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
        m = v_and(c[i], m52);
        c[i + 1] = v_add(v_add(c[i + 1], v_srl(c[i], 52)),
                         v_and(v_sll(c[i], 44), m52));
        c[i + 2] = v_add(c[i + 2], v_srl(m, 8));
        c[i + 3] = v_lo(c[i + 3], m, p3);
        c[i + 4] = v_hi(c[i + 4], m, p3);
        c[i + 4] = v_lo(c[i + 4], m, p4);
        c[i + 5] = v_hi(c[i + 5], m, p4);
    }
#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
        r->l[i] = c[LN_L + i];
    }
}

/* r = a b, its limbs without the carries, for a sum. */
static inline void
ln_mul_raw(struct lv *r, const struct lv *a, const struct lv *b)
{
    v8 c[2 * LN_L], h[2 * LN_L], zero = v_zero();
    int i, j;

    LN_CHECK(a, 160);
    LN_CHECK(b, 160);
#pragma GCC unroll 10
    for (i = 0; i < 2 * LN_L; i++) {
        c[i] = h[i] = zero;
    }
#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
#pragma GCC unroll 5
        for (j = 0; j < LN_L; j++) {
            c[i + j] = v_lo(c[i + j], a->l[i], b->l[j]);
            h[i + j + 1] = v_hi(h[i + j + 1], a->l[i], b->l[j]);
        }
    }
#pragma GCC unroll 10
    for (i = 1; i < 2 * LN_L; i++) {
        c[i] = v_add(c[i], h[i]);
    }
    ln_reduce(r, c);
}

static inline void
ln_sqr_raw(struct lv *r, const struct lv *a)
{
    v8 c[2 * LN_L], h[2 * LN_L], zero = v_zero();
    int i, j;

    LN_CHECK(a, 160);
#pragma GCC unroll 10
    for (i = 0; i < 2 * LN_L; i++) {
        c[i] = h[i] = zero;
    }
#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
#pragma GCC unroll 5
        for (j = i + 1; j < LN_L; j++) {
            c[i + j] = v_lo(c[i + j], a->l[i], a->l[j]);
            h[i + j + 1] = v_hi(h[i + j + 1], a->l[i], a->l[j]);
        }
    }
#pragma GCC unroll 10
    for (i = 1; i < 2 * LN_L; i++) {
        c[i] = v_add(c[i], h[i]);
        c[i] = v_add(c[i], c[i]);
    }
#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
        c[2 * i] = v_lo(c[2 * i], a->l[i], a->l[i]);
        c[2 * i + 1] = v_hi(c[2 * i + 1], a->l[i], a->l[i]);
    }
    ln_reduce(r, c);
}

static inline void
ln_mul(struct lv *r, const struct lv *a, const struct lv *b)
{
    ln_mul_raw(r, a, b);
    ln_carry(r);
}

static inline void
ln_sqr(struct lv *r, const struct lv *a)
{
    ln_sqr_raw(r, a);
    ln_carry(r);
}

static inline void
ln_pick(struct lv *r, uint64_t m, const struct lv *a)
{
    int i;

#pragma GCC unroll 5
    for (i = 0; i < LN_L; i++) {
        r->l[i] = v_pick(r->l[i], m, a->l[i]);
    }
}

static inline void
ln_pick_point(struct lp *r, uint64_t m, const struct lp *a)
{
    ln_pick(&r->x, m, &a->x);
    ln_pick(&r->y, m, &a->y);
    ln_pick(&r->zz, m, &a->zz);
    ln_pick(&r->zzz, m, &a->zzz);
}

/* 2^(256 + n) mod p for n = 4 (one), 8 (a product with it brings our form),
 * 0 (and p256_fe.h's). */
static inline void
ln_const(struct lv *r, int n)
{
    uint64_t e = UINT64_C(1) << n;

    /* e (2^224 - 2^192 - 2^96 + 1) */
    r->l[0] = v_all(e);
    r->l[1] = v_sub(v_zero(), v_all(e << 44));
    r->l[2] = v_zero();
    r->l[3] = v_sub(v_zero(), v_all(e << 36));
    r->l[4] = v_all(e << 16);
    ln_carry(r);
}

/* ---- the group --------------------------------------------------------- */

/* r = a + b from x_1 = x_a zz_b, y_1 = y_a zzz_b, d = x_b zz_a - x_1, e = y_b
 * zzz_a - y_1, zz = zz_a zz_b and zzz so too: d < 5.3, e < 9.4, the others as
 * those of a point. */
static inline void
ln_tail(struct lp *r, const struct lv *x1, const struct lv *y1,
        const struct lv *zz, const struct lv *zzz, const struct lv *d,
        const struct lv *e)
{
    struct lv dd, ddd, v, t, u;

    LN_CHECK(x1, 21);
    LN_CHECK(y1, 62);
    LN_CHECK(zz, 14);
    LN_CHECK(zzz, 14);
    LN_CHECK(d, 53);
    LN_CHECK(e, 94);
    ln_sqr(&dd, d);           /* < 2.8 */
    ln_sqr_raw(&t, e);        /* < 6.6 */
    ln_mul(&ddd, &dd, d);     /* < 2   */
    ln_mul_raw(&v, x1, &dd);  /* < 1.4 */
    ln_mul(&r->zz, zz, &dd);
    ln_less(&t, &t, &ddd, 6);
    ln_less(&t, &t, &v, 0);
    ln_less(&t, &t, &v, 0);
    ln_weak(&t);
    ln_less(&v, &v, &t, 3);
    ln_carry(&v);             /* < 4.4 */
    ln_mul_raw(&u, y1, &ddd); /* < 1.8 */
    ln_mul(&r->zzz, zzz, &ddd);
    r->x = t;
    ln_mul_raw(&t, &v, e);    /* < 3.7 */
    ln_less(&r->y, &t, &u, 2);
    ln_carry(&r->y);
}

/* a += b, of which zz and zzz are one; neither is infinity. */
static inline void
ln_add_aff(struct lp *r, const struct lp *a, const struct lv *x,
           const struct lv *y)
{
    struct lv d, e;

    ln_mul_raw(&d, x, &a->zz);
    ln_mul_raw(&e, y, &a->zzz);
    ln_less(&d, &d, &a->x, 3);
    ln_less(&e, &e, &a->y, 7);
    ln_carry(&d);
    ln_carry(&e);
    ln_tail(r, &a->x, &a->y, &a->zz, &a->zzz, &d, &e);
}

/* r = a + b; neither is infinity. */
static void
ln_add(struct lp *r, const struct lp *a, const struct lp *b)
{
    struct lv x, y, zz, zzz, d, e;

    ln_mul(&x, &a->x, &b->zz);
    ln_mul(&y, &a->y, &b->zzz);
    ln_mul_raw(&d, &b->x, &a->zz);
    ln_mul_raw(&e, &b->y, &a->zzz);
    ln_mul(&zz, &a->zz, &b->zz);
    ln_mul(&zzz, &a->zzz, &b->zzz);
    ln_less(&d, &d, &x, 2);
    ln_less(&e, &e, &y, 2);
    ln_carry(&d);
    ln_carry(&e);
    ln_tail(r, &x, &y, &zz, &zzz, &d, &e);
}

/* a = 2 a; no point but infinity has y = 0. */
static void
ln_dbl(struct lp *a)
{
    struct lv u, v, w, s, m, t;

    ln_plus(&u, &a->y, &a->y);
    ln_weak(&u);
    ln_sqr(&v, &u);            /* < 1.3 */
    ln_less(&s, &a->x, &a->zz, 2);
    ln_carry(&s);
    ln_plus(&t, &a->x, &a->zz);
    ln_carry(&t);
    ln_mul_raw(&m, &s, &t);    /* < 1.9 */
    ln_plus(&t, &m, &m);
    ln_plus(&m, &m, &t);
    ln_carry(&m);              /* 3 (x^2 - zz^2) < 5.7 */
    ln_mul(&w, &u, &v);
    ln_mul_raw(&s, &a->x, &v); /* < 1.2 */
    ln_sqr_raw(&t, &m);        /* < 3.1 */
    ln_less(&t, &t, &s, 4);
    ln_less(&a->x, &t, &s, 0);
    ln_weak(&a->x);
    ln_less(&s, &s, &a->x, 3);
    ln_carry(&s);              /* < 4.2 */
    ln_mul_raw(&t, &s, &m);    /* < 2.5 */
    ln_mul_raw(&u, &a->y, &w); /* < 1.5 */
    ln_less(&a->y, &t, &u, 2);
    ln_carry(&a->y);
    ln_mul(&a->zz, &a->zz, &v);
    ln_mul(&a->zzz, &a->zzz, &w);
}

/* Points in all lanes but the 'empty' ones: the sum to lane 0, and from 'n' =
 * 4 on to the others.  Returns bit 0 if that has no point. */
static uint64_t
ln_fold(struct lp *a, uint64_t empty)
{
    int n, i, j;

    for (n = LN / 2; n > 0; n /= 2) {
        uint64_t other = (empty >> n | empty << (LN - n)) & LN_ALL;
        struct lp b, sum;
        const struct lv *from = &a->x;
        struct lv *to = &b.x;

        for (i = 0; i < 4; i++) {
            for (j = 0; j < LN_L; j++) {
                to[i].l[j] = v_turn(from[i].l[j], n);
            }
        }
        ln_add(&sum, a, &b);
        ln_pick_point(&sum, other, a);
        ln_pick_point(&sum, empty, &b);
        *a = sum;
        empty &= other;
    }
    return empty & 1;
}

/* ---- in and out -------------------------------------------------------- */

/* Eight elements of F_p, words of p256_fe.h, to lanes: 16 a is in our form.
 * Their opposites in the lanes of 'neg'. */
static inline void
ln_of(struct lv *r, const v8 w[FE_W], uint64_t neg)
{
    v8 m52 = v_all(LN_M52);
    struct lv minus, zero;
    int i;

    r->l[0] = v_and(v_sll(w[0], 4), m52);
    r->l[1] = v_and(v_shrd(w[0], w[1], 48), m52);
    r->l[2] = v_and(v_shrd(w[1], w[2], 36), m52);
    r->l[3] = v_and(v_shrd(w[2], w[3], 24), m52);
    r->l[4] = v_srl(w[3], 12);
    for (i = 0; i < LN_L; i++) {
        zero.l[i] = v_zero();
    }
    ln_less(&minus, &zero, r, 16);
    ln_pick(r, neg, &minus);
    ln_weak(r);
}

/* Lanes 'from' to 'to' - 1 of 'a', which is below 2. */
static inline void
ln_words(struct fe *r, size_t step, const struct lv *a, int from, int to)
{
    _Alignas(64) uint64_t l[LN_L][LN];
    int i;

    LN_CHECK(a, 20);
    for (i = 0; i < LN_L; i++) {
        v_store(l[i], a->l[i]);
    }
    for (i = from; i < to; i++) {
        uint64_t t[FE_W];

        t[0] = l[0][i] | l[1][i] << 52;
        t[1] = l[1][i] >> 12 | l[2][i] << 40;
        t[2] = l[2][i] >> 24 | l[3][i] << 28;
        t[3] = l[3][i] >> 36 | l[4][i] << 16;
        fe_reduce(r, t, l[4][i] >> 48, &fe_p);
        r = (struct fe *)(void *)((uint8_t *)r + step);
    }
    mcx_wipe(l, sizeof l);
}

/* The first 'n' lanes, with z = zz: (x zz, y zzz). */
static void
ln_out(struct jac *r, const struct lp *a, int n)
{
    struct lv zz, zzz, x, y;

    ln_const(&x, 0);
    ln_mul(&zz, &a->zz, &x);
    ln_mul(&zzz, &a->zzz, &x);
    ln_mul(&x, &a->x, &zz);
    ln_mul(&y, &a->y, &zzz);
    ln_words(&r->x, sizeof *r, &x, 0, n);
    ln_words(&r->y, sizeof *r, &y, 0, n);
    ln_words(&r->z, sizeof *r, &zz, 0, n);
}

/* ---- sums by tables ---------------------------------------------------- */

/* Points go to the lanes in turn, eight make an addition. */
struct ln_run {
    struct lp acc;
    uint64_t empty; /* the lanes of acc without a point */
    bool any;       /* is there one in others?          */
};

/* acc += the points whose words are in 'w', with a minus in the lanes of
 * 'neg', but not in those of 'none'. */
static void
ln_put(struct ln_run *run, v8 w[2 * FE_W], uint64_t neg, uint64_t none)
{
    struct lp b, sum;

    v_transpose(w);
    ln_of(&b.x, w, 0);
    ln_of(&b.y, w + FE_W, neg);
    ln_const(&b.zz, 4);
    b.zzz = b.zz;
    if (run->any) {
        ln_add_aff(&sum, &run->acc, &b.x, &b.y);
        ln_pick_point(&sum, run->empty, &b);
        ln_pick_point(&sum, none, &run->acc);
        run->acc = sum;
        run->empty &= none;
    } else {
        run->acc = b;
        run->empty = none;
        run->any = true;
    }
}

struct ln_slots {
    int n;
    uint64_t neg;
    const struct mcx_p256_point *e[LN];
};

static void
ln_flush(struct ln_run *run, struct ln_slots *s)
{
    v8 w[LN];
    int i;

    if (s->n > 0) {
        for (i = 0; i < LN; i++) {
            w[i] = v_load(s->e[i < s->n ? i : 0]);
        }
        ln_put(run, w, s->neg, (uint64_t)LN_ALL << s->n & LN_ALL);
    }
    s->n = 0;
    s->neg = 0;
}

/* The windows j, j + v, ... of a table. */
static void
ln_windows(struct ln_run *run, struct ln_slots *s,
           const struct mcx_p256_table *t, const struct digits *k, int j)
{
    int half = 1 << (t->w - 1), windows = MCX_P256_WINDOWS(t->w), i;

    for (i = 0; i * t->v + j < windows; i++) {
        uint64_t neg;
        unsigned d = digit(&neg, k, t->w, i * t->v + j);

        if (d > 0) {
            s->neg |= (neg & 1) << s->n;
            s->e[s->n++] = &t->e[i * half + (int)d - 1];
        }
        if (s->n == LN) {
            ln_flush(run, s);
        }
    }
}

/* r = the sum of the terms that have tables, of which one at most has v > 1.
 * False: in some lane two points met, or the sum is infinity; 'r' is not
 * it. */
static bool
ln_sum(struct jac *r, const struct mcx_p256_term *term,
       const struct digits *k, size_t n)
{
    struct ln_run run = { .any = false };
    struct ln_slots s = { .n = 0 };
    size_t i;
    int j, m;

    for (i = 0; i < n; i++) {
        const struct mcx_p256_table *t = term[i].table;

        if (!t || t->v == 1) {
            continue;
        }
        if (run.any || s.n > 0) {
            return false;
        }
        for (j = t->v - 1; j >= 0; j--) {
            ln_windows(&run, &s, t, &k[i], j);
            if (j > 0) {
                ln_flush(&run, &s);
            }
            for (m = 0; j > 0 && run.any && m < t->w; m++) {
                ln_dbl(&run.acc);
            }
        }
    }
    for (i = 0; i < n; i++) {
        if (term[i].table && term[i].table->v == 1) {
            ln_windows(&run, &s, term[i].table, &k[i], 0);
        }
    }
    ln_flush(&run, &s);
    if (!run.any || ln_fold(&run.acc, run.empty)) {
        return false;
    }
    ln_out(r, &run.acc, 1);
    return !fe_zero(&r->z);
}

/* ---- the secret multiplication ----------------------------------------- */

/* Entry 'd' - 1 of 'n', all of them looked at; zeros for d = 0. */
static inline v8
ln_look_up(const struct mcx_p256_point *e, unsigned n, uint64_t d)
{
    v8 want = v_all(d), one = v_all(1), two = v_all(2);
    v8 at = one, at2 = two, r = v_zero(), r2 = r;
    unsigned i;

    for (i = 0; i < n; i += 2) {
        r = v_or_eq(r, at, want, v_load(&e[i]));
        r2 = v_or_eq(r2, at2, want, v_load(&e[i + 1]));
        at = v_add(at, two);
        at2 = v_add(at2, two);
    }
    return v_or(r, r2);
}

/* r = [k]A, 0 < k < q, t->v = 1.  Within a lane a sum never meets its next
 * term, for it is smaller, as in base_mul().  Nor do lanes meet before the
 * last fold: q has digits in every lane.  There even and odd windows meet when
 * the digits of k are those of q with every other sign changed; for w = 7 one
 * k below q has them (test_attack.c), for 4, 5, 6 and 8 none.  With that one,
 * and with k = 0, z is 0. */
static void
ln_base_mul(struct jac *r, const struct mcx_p256_table *t,
            const struct digits *k)
{
    unsigned half = 1u << (t->w - 1);
    int windows = MCX_P256_WINDOWS(t->w), m, i;
    struct ln_run run = { .any = false };
    v8 w[LN];

    for (m = 0; m < windows; m += LN) {
        uint64_t neg = 0, none = 0;

        for (i = 0; i < LN; i++) {
            uint64_t minus, size = 0;

            if (m + i < windows) {
                size = digit(&minus, k, t->w, m + i);
                neg |= (minus & 1) << i;
                w[i] = ln_look_up(&t->e[(unsigned)(m + i) * half], half,
                                  size);
            } else {
                w[i] = v_zero();
            }
            none |= (mcx_is_zero(size) & 1) << i;
        }
        ln_put(&run, w, neg, none);
    }
    (void)ln_fold(&run.acc, run.empty);
    ln_out(r, &run.acc, 1);
    mcx_wipe(&run, sizeof run);
    mcx_wipe(w, sizeof w);
}

#endif /* MCX_IDENT_P256_LANES_H */
