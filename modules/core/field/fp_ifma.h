/* fp_ifma.h -- F_p on AVX-512 IFMA, for curve/body.h, in limbs of 52 bits.
 *
 * One number (fe), for chains: 22 limbs in three vectors, modulo N = p k with
 * k so chosen that N = -1 mod 2^104, R = 2^1144.  Reduction takes two limbs a
 * step, and its digits are the limbs themselves: with M = (N + 1)/2^104,
 *   (t + n N)/2^104 = floor((t - n)/2^104) + n M for n = t mod 2^104.
 * Between operations an fe has limbs below 2^52 and is below 2N.
 *
 * Eight numbers (fv), for what is independent: 20 limbs, a lane each, modulo
 * p, R = 2^1040 = 2^16.7 p.  Limbs are below 2^52.  With a < A p and b < B p
 * and AB <= 2^16 a product is below 2p; sums of n products alike while the
 * sum of the AB is.  A sum is as large as its parts; a difference is below
 * a + 64p, and what is taken away must be below 64p.  So: take away products,
 * or sums of a few, only; multiply before a difference grows.
 *
 * The two forms differ; lanes go in and out through conversions. */
#ifndef MCX_FIELD_FP_IFMA_H
#define MCX_FIELD_FP_IFMA_H

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include "words.h"
#include "v8.h"

#define FV_LANES 8
enum { LANES = FV_LANES, ROUNDS_H = 11 };

typedef struct { _Alignas(64) uint64_t l[MCX_H]; } fe;
typedef struct { v8 l[MCX_L]; } fv;

#define IFMA_INLINE static inline __attribute__((always_inline))
#define LIMB ((UINT64_C(1) << 52) - 1)

/* Limbs of any size below 2^62, before the carries have run. */
struct raw { v8 v[3]; };
/* A factor, and moved up by one and two limbs. */
struct moved { v8 v[3][3]; };

/* Below 2^(52 (n - 1) + top), with limbs below 2^52? */
#ifdef MCX_DEBUG_BOUNDS
#define H_CHECK(a)                                                            \
    assert(((a)->l[22] | (a)->l[23]) == 0 && limbs_ok((a)->l, 22)             \
           && (a)->l[21] <= 2 * mcx_h_n[21] + 1) /* 2N */
static inline bool
limbs_ok(const uint64_t *l, int n)
{
    uint64_t any = 0;
    int i;

    for (i = 0; i < n; i++) {
        any |= l[i] >> 52;
    }
    return any == 0;
}
#else
#define H_CHECK(a) ((void)0)
#endif

IFMA_INLINE struct raw
raw_load(const uint64_t *l)
{
    struct raw r = { { v_load(l), v_load(l + 8), v_load(l + 16) } };

    return r;
}

IFMA_INLINE void
raw_store(uint64_t *l, const struct raw *r)
{
    v_store(l, r->v[0]);
    v_store(l + 8, r->v[1]);
    v_store(l + 16, r->v[2]);
}

/* All carries: first each limb's own, after which a limb is 2^52 + 2^10 at
 * most; then those that ripple, all at once: a limb that overflows generates,
 * one that is all ones passes on. */
IFMA_INLINE void
raw_carry(struct raw *r)
{
    v8 mask = v_all(LIMB), z = v_zero();
    v8 c0 = v_srl(r->v[0], 52), c1 = v_srl(r->v[1], 52);
    v8 c2 = v_srl(r->v[2], 52);
    uint64_t g, p;

    r->v[0] = v_add(v_and(r->v[0], mask), v_align(c0, z, 7));
    r->v[1] = v_add(v_and(r->v[1], mask), v_align(c1, c0, 7));
    r->v[2] = v_add(v_and(r->v[2], mask), v_align(c2, c1, 7));
    g = v_gt(r->v[0], mask) | v_gt(r->v[1], mask) << 8
        | v_gt(r->v[2], mask) << 16;
    p = v_eq(r->v[0], mask) | v_eq(r->v[1], mask) << 8
        | v_eq(r->v[2], mask) << 16;
    g = (p + (g << 1)) ^ p;
    r->v[0] = v_and(v_inc(r->v[0], g), mask);
    r->v[1] = v_and(v_inc(r->v[1], g >> 8), mask);
    r->v[2] = v_and(v_inc(r->v[2], g >> 16), mask);
}

IFMA_INLINE void
move_up(struct moved *m, const struct raw *a)
{
    v8 z = v_zero();
    int i;

#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        m->v[0][i] = a->v[i];
        m->v[1][i] = v_align(a->v[i], i ? a->v[i - 1] : z, 7);
        m->v[2][i] = v_align(a->v[i], i ? a->v[i - 1] : z, 6);
    }
}

/* One step of a product: t = (t + a (b_0 + 2^52 b_1)) / 2^104, reduced; what
 * of it does not wait for t comes in as 'w'.  The chain that counts goes from
 * t's two lowest limbs over q1 to the next two: sums are so ordered that it
 * meets one product and two additions only. */
IFMA_INLINE void
ifma_partial(v8 w[3], const struct moved *a, const uint64_t *b)
{
    v8 b0 = v_all(b[0]), b1 = v_all(b[1]);
    int i;

#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        w[i] = v_hi(v_lo(v_zero(), a->v[0][i], b0), a->v[1][i], b0);
        w[i] = v_hi(v_lo(w[i], a->v[1][i], b1), a->v[2][i], b1);
    }
}

/* The same for one more product, added to 'w'. */
IFMA_INLINE void
ifma_more(v8 w[3], const struct moved *a, const uint64_t *b)
{
    v8 b0 = v_all(b[0]), b1 = v_all(b[1]);
    int i;

#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        w[i] = v_hi(v_lo(w[i], a->v[0][i], b0), a->v[1][i], b0);
        w[i] = v_hi(v_lo(w[i], a->v[1][i], b1), a->v[2][i], b1);
    }
}

IFMA_INLINE void
ifma_round(struct raw *t, const v8 w[3], const struct moved *m)
{
    v8 z = v_zero(), q0, q1, s, u, x[3];
    int i;

    /* the digits, and what carries out of them */
    q0 = v_lane0(t->v[0]);
    s = v_add(t->v[0], v_up1(v_srl(t->v[0], 52)));
    q1 = v_lane1(s);
    u = v_down1(v_srl(s, 52));
    x[0] = v_add0(v_add(v_align(t->v[1], t->v[0], 2), w[0]), u);
    x[1] = v_add(v_align(t->v[2], t->v[1], 2), w[1]);
    x[2] = v_add(v_align(z, t->v[2], 2), w[2]);
#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        x[i] = v_add(x[i], v_hi(v_lo(z, m->v[0][i], q0), m->v[1][i], q0));
        t->v[i] = v_add(x[i], v_add(v_lo(z, m->v[1][i], q1),
                                    v_hi(z, m->v[2][i], q1)));
    }
}

IFMA_INLINE void
raw_mul2(struct raw *r0, const struct raw *a0, const uint64_t *b0,
         struct raw *r1, const struct raw *a1, const uint64_t *b1)
{
    struct moved m0, m1, m;
    struct raw n = raw_load(mcx_h_m);
    v8 w0[3], w1[3], z[3] = { v_zero(), v_zero(), v_zero() };
    int i;

    move_up(&m, &n);
    move_up(&m0, a0);
    move_up(&m1, a1);
    ifma_partial(r0->v, &m0, b0);
    ifma_partial(r1->v, &m1, b1);
#pragma GCC unroll 1
    for (i = 2; i < 2 * ROUNDS_H; i += 2) {
        ifma_partial(w0, &m0, b0 + i);
        ifma_partial(w1, &m1, b1 + i);
        ifma_round(r0, w0, &m);
        ifma_round(r1, w1, &m);
    }
    ifma_round(r0, z, &m);
    ifma_round(r1, z, &m);
}

static inline void
fe_mul(fe *r, const fe *a, const fe *b)
{
    struct moved ma, m;
    struct raw n = raw_load(mcx_h_m), x = raw_load(a->l), t;
    v8 w[3], z[3] = { v_zero(), v_zero(), v_zero() };
    int i;

    move_up(&m, &n);
    move_up(&ma, &x);
    ifma_partial(t.v, &ma, b->l);
    for (i = 2; i < 2 * ROUNDS_H; i += 2) {
        ifma_partial(w, &ma, b->l + i);
        ifma_round(&t, w, &m);
    }
    ifma_round(&t, z, &m);
    raw_carry(&t);
    raw_store(r->l, &t);
    H_CHECK(r);
}

static inline void
fe_sqr(fe *r, const fe *a)
{
    fe_mul(r, a, a);
}

static inline void
fe_mul2(fe *r0, const fe *a0, const fe *b0, fe *r1, const fe *a1,
        const fe *b1)
{
    struct raw x = raw_load(a0->l), y = raw_load(a1->l), s, t;

    raw_mul2(&s, &x, b0->l, &t, &y, b1->l);
    raw_carry(&s);
    raw_carry(&t);
    raw_store(r0->l, &s);
    raw_store(r1->l, &t);
    H_CHECK(r0);
    H_CHECK(r1);
}

/* t < 2^1136 to below 2N: takes away floor(top 2^1092 / (N + 2^1092)) N,
 * where the top is limb 21.  Limbs that would go below zero borrow from a zero
 * with limbs of 2^54; limb 21 alone may pass zero on the way, and what it
 * carries out is cut off. */
IFMA_INLINE void
raw_reduce(uint64_t *r, struct raw *t)
{
    struct raw n = raw_load(mcx_h_n), pad = raw_load(mcx_h_zero);
    v8 z = v_zero(), q = v_hi(z, v_lane5(t->v[2]), v_all(mcx_h_inv)), h[3];
    int i;

#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        h[i] = v_hi(z, n.v[i], q);
        t->v[i] = v_sub(v_add(t->v[i], pad.v[i]), v_lo(z, n.v[i], q));
        t->v[i] = v_sub(t->v[i], v_align(h[i], i ? h[i - 1] : z, 7));
    }
    raw_carry(t);
    t->v[2] = v_first6(t->v[2]);
    raw_store(r, t);
}

static inline void
fe_add(fe *r, const fe *a, const fe *b)
{
    struct raw x = raw_load(a->l), y = raw_load(b->l);
    int i;

    for (i = 0; i < 3; i++) {
        x.v[i] = v_add(x.v[i], y.v[i]);
    }
    raw_reduce(r->l, &x);
    H_CHECK(r);
}

/* a - b as a + 4N - b */
static inline void
fe_sub(fe *r, const fe *a, const fe *b)
{
    struct raw x = raw_load(a->l), y = raw_load(b->l);
    struct raw pad = raw_load(mcx_h_pad);
    int i;

    for (i = 0; i < 3; i++) {
        x.v[i] = v_add(x.v[i], v_sub(pad.v[i], y.v[i]));
    }
    raw_reduce(r->l, &x);
    H_CHECK(r);
}

static inline void
limbs_of(uint64_t *l, int n, const uint64_t *w)
{
    int i;

    for (i = 0; i < n; i++) {
        int at = 52 * i / 64, off = 52 * i % 64;
        uint64_t v = at < MCX_W ? w[at] >> off : 0;

        if (off > 12 && at + 1 < MCX_W) {
            v |= w[at + 1] << (64 - off);
        }
        l[i] = v & LIMB;
    }
}

/* n words of 'limbs' limbs, all below 2^52. */
static inline void
words_of(uint64_t *w, int n, const uint64_t *l, int limbs)
{
    int i;

    for (i = 0; i < n; i++) {
        w[i] = 0;
    }
    for (i = 0; i < limbs; i++) {
        int at = 52 * i / 64, off = 52 * i % 64;

        if (at < n) {
            w[at] |= l[i] << off;
        }
        if (off > 12 && at + 1 < n) {
            w[at + 1] |= l[i] >> (64 - off);
        }
    }
}

/* w = a 2^-128 mod p for a < 2N: two steps of Montgomery's reduction. */
static inline void
reduce_128(uint64_t *w, const uint64_t *l)
{
    uint64_t t[19];
    int i, j;

    words_of(t, 18, l, 22);
    t[18] = 0;
    for (i = 0; i < 2; i++) {
        uint64_t n = t[i] * mcx_w_p_k, c = 0;

        for (j = 0; j < MCX_W; j++) {
            mcx_u128 d = (mcx_u128)n * mcx_w_p[j] + t[i + j] + c;

            t[i + j] = (uint64_t)d;
            c = (uint64_t)(d >> 64);
        }
        for (j = i + MCX_W; j < 19; j++) {
            t[j] += c;
            c = t[j] < c;
        }
    }
    mcx_w_reduce_to(w, t + 2, t[18], mcx_w_p);
}

static inline void
fe_from_w(fe *r, const uint64_t *w)
{
    fe t, r2;

    memset(&t, 0, sizeof t);
    limbs_of(t.l, MCX_L, w);
    memcpy(r2.l, mcx_h_r2, sizeof r2.l);
    fe_mul(r, &t, &r2);
}

static inline void
fe_to_w(uint64_t *w, const fe *a)
{
    fe t, c;

    memcpy(c.l, mcx_h_plain, sizeof c.l);
    fe_mul(&t, a, &c);
    reduce_128(w, t.l);
}

static inline uint64_t
fe_zero(const fe *a)
{
    uint64_t w[MCX_W];

    fe_to_w(w, a);
    return mcx_w_zero(w);
}

/* ---- the chain of the Miller loop -------------------------------------- */

struct fe2;
#define FE2_OWN
struct fe2 { fe re, im; };

/* Raw re and im to the factors of the square: re, im, s = re + im and
 * d = re - im + 4N; im below 4N. */
IFMA_INLINE void
square_factors(struct raw *re, struct raw *im, struct raw *s, struct raw *d)
{
    struct raw pad = raw_load(mcx_h_pad);
    int i;

#pragma GCC unroll 3
    for (i = 0; i < 3; i++) {
        s->v[i] = v_add(re->v[i], im->v[i]);
        d->v[i] = v_add(re->v[i], v_sub(pad.v[i], im->v[i]));
    }
    raw_carry(re);
    raw_carry(im);
    raw_carry(s);
    raw_carry(d);
}

/* f = f^2 */
static __attribute__((unused)) void
fe2_sqr(struct fe2 *f)
{
    struct raw re = raw_load(f->re.l), im = raw_load(f->im.l), s, d, x, y;
    _Alignas(64) uint64_t b[2][MCX_H];
    int i;

    square_factors(&re, &im, &s, &d);
    raw_store(b[0], &d);
    raw_store(b[1], &im);
    raw_mul2(&x, &s, b[0], &y, &re, b[1]);
    for (i = 0; i < 3; i++) {
        y.v[i] = v_add(y.v[i], y.v[i]);
    }
    raw_reduce(f->re.l, &x);
    raw_reduce(f->im.l, &y);
}

/* (re + i im)(a + i b), not carried: re a + im nb, re b + im a, each with one
 * reduction for its two products.  Limbs stay below 11 * 12 * 2^52. */
IFMA_INLINE void
raw_mul_complex(struct raw *re, struct raw *im, const uint64_t *a,
                const uint64_t *b, const uint64_t *nb)
{
    struct moved mr, mi, m;
    struct raw n = raw_load(mcx_h_m);
    v8 w0[3], w1[3], z[3] = { v_zero(), v_zero(), v_zero() };
    int i;

    move_up(&m, &n);
    move_up(&mr, re);
    move_up(&mi, im);
    ifma_partial(re->v, &mr, a);
    ifma_more(re->v, &mi, nb);
    ifma_partial(im->v, &mr, b);
    ifma_more(im->v, &mi, a);
#pragma GCC unroll 1
    for (i = 2; i < 2 * ROUNDS_H; i += 2) {
        ifma_partial(w0, &mr, a + i);
        ifma_more(w0, &mi, nb + i);
        ifma_partial(w1, &mr, b + i);
        ifma_more(w1, &mi, a + i);
        ifma_round(re, w0, &m);
        ifma_round(im, w1, &m);
    }
    ifma_round(re, z, &m);
    ifma_round(im, z, &m);
}

/* One squaring of a chain, raw: re < 1.1N and im < 2.2N come out of re < 7N
 * and im < 4N. */
IFMA_INLINE void
chain_sqr(struct raw *re, struct raw *im, uint64_t b[2][MCX_H])
{
    struct raw s, d;
    int j;

    square_factors(re, im, &s, &d);
    raw_store(b[0], &d);
    raw_store(b[1], im);
    raw_mul2(&d, &s, b[0], im, re, b[1]);
    *re = d;
#pragma GCC unroll 3
    for (j = 0; j < 3; j++) {
        im->v[j] = v_add(im->v[j], im->v[j]);
    }
}

/* What a block of the Miller loop multiplies by: a + i, or where a block has
 * two squarings a + i b; nb is -b. */
struct fe2_factor { fe a, b, nb; };

/* Below 'times' N, once the carries have run? */
#ifdef MCX_DEBUG_BOUNDS
#define R_CHECK(r, times) assert(raw_below((r), (times)))
static inline bool
raw_below(const struct raw *r, uint64_t times)
{
    _Alignas(64) uint64_t l[MCX_H];
    struct raw t = *r;

    raw_carry(&t);
    raw_store(l, &t);
    return (l[22] | l[23]) == 0 && l[21] <= times * (mcx_h_n[21] + 1);
}
#else
#define R_CHECK(r, times) ((void)0)
#endif

/* f = f^2 (a_i + i), or f^4 (a_i + i b_i) where two[i], for n of them, one
 * after the other.  Between the blocks re < 7N and im < 4N: a square's parts
 * are below 1.1N and 2.2N; a, b and -b are numbers of the lanes, far below N,
 * so that after f^4 (..) both parts are below 1.1N, and after f^2 (a + i)
 * re = xa - y + 4N and im = ya + x are. */
static __attribute__((unused)) void
fe2_blocks(struct fe2 *f, const struct fe2_factor *s, const uint8_t *two,
           int n)
{
    struct raw re = raw_load(f->re.l), im = raw_load(f->im.l), x, y;
    struct raw pad = raw_load(mcx_h_pad);
    _Alignas(64) uint64_t b[2][MCX_H];
    int i, j;

    for (i = 0; i < n; i++) {
        R_CHECK(&re, 7);
        R_CHECK(&im, 4);
        chain_sqr(&re, &im, b);
        R_CHECK(&re, 2);
        R_CHECK(&im, 3);
        if (two[i]) {
            chain_sqr(&re, &im, b);
            R_CHECK(&re, 2);
            R_CHECK(&im, 3);
            raw_carry(&re);
            raw_carry(&im);
            raw_mul_complex(&re, &im, s[i].a.l, s[i].b.l, s[i].nb.l);
            R_CHECK(&re, 2);
            R_CHECK(&im, 2);
            continue;
        }
        raw_carry(&re);
        raw_carry(&im);
        x = re;
        y = im;
        raw_mul2(&re, &x, s[i].a.l, &im, &y, s[i].a.l);
        for (j = 0; j < 3; j++) {
            re.v[j] = v_add(re.v[j], v_sub(pad.v[j], y.v[j]));
            im.v[j] = v_add(im.v[j], x.v[j]);
        }
    }
    raw_reduce(f->re.l, &re);
    raw_reduce(f->im.l, &im);
    memset(b, 0, sizeof b);
    __asm__ __volatile__("" : : "r"(b) : "memory");
}

/* ---- eight lanes ------------------------------------------------------- */

IFMA_INLINE void
fv_carry(fv *r, v8 t[MCX_L])
{
    v8 mask = v_all(LIMB), c = v_zero();
    int i;

#pragma GCC unroll 20
    for (i = 0; i < MCX_L; i++) {
        t[i] = v_add(t[i], c);
        c = v_srl(t[i], 52);
        r->l[i] = v_and(t[i], mask);
    }
}

/* r = sum of n products / R mod p */
IFMA_INLINE void
fv_products(fv *r, const fv *const *a, const fv *const *b, const int n)
{
    v8 t[MCX_L], q, k = v_all(mcx_l_p_k), z = v_zero(), c, u;
    int i, j, h;

#pragma GCC unroll 20
    for (i = 0; i < MCX_L; i++) {
        t[i] = z;
    }
    for (i = 0; i < MCX_L; i++) {
        v8 x[4];

#pragma GCC unroll 4
        for (h = 0; h < n; h++) {
            x[h] = b[h]->l[i];
            t[0] = v_lo(t[0], a[h]->l[0], x[h]);
        }
        q = v_lo(z, t[0], k);
        c = v_srl(v_lo(t[0], v_all(mcx_l_p[0]), q), 52);
#pragma GCC unroll 20
        for (j = 1; j < MCX_L; j++) {
            u = t[j];
#pragma GCC unroll 4
            for (h = 0; h < n; h++) {
                u = v_lo(u, a[h]->l[j], x[h]);
                u = v_hi(u, a[h]->l[j - 1], x[h]);
            }
            u = v_lo(u, v_all(mcx_l_p[j]), q);
            t[j - 1] = v_hi(u, v_all(mcx_l_p[j - 1]), q);
        }
        t[0] = v_add(t[0], c);
        u = v_hi(z, v_all(mcx_l_p[MCX_L - 1]), q);
#pragma GCC unroll 4
        for (h = 0; h < n; h++) {
            u = v_hi(u, a[h]->l[MCX_L - 1], x[h]);
        }
        t[MCX_L - 1] = u;
    }
    fv_carry(r, t);
}

#ifdef MCX_DEBUG_BOUNDS
#define L_CHECK(a, times) assert(lanes_below((a), (times)))
static inline bool
lanes_below(const fv *a, uint64_t times)
{
    uint64_t top = mcx_l_p[MCX_L - 1], l;
    int i, j;

    for (j = 0; j < LANES; j++) {
        for (i = 0; i < MCX_L; i++) {
            memcpy(&l, (const uint8_t *)&a->l[i] + 8 * j, 8);
            if (l >> 52) {
                return false;
            }
        }
        if (l > times * (top + 1)) { /* the last one, bits 988 and up */
            return false;
        }
    }
    return true;
}
#else
#define L_CHECK(a, times) ((void)0)
#endif

static __attribute__((noinline)) void
fv_mul(fv *r, const fv *a, const fv *b)
{
    fv_products(r, &a, &b, 1);
    L_CHECK(r, 2);
}

static __attribute__((noinline)) void
fv_acc2(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1)
{
    const fv *a[2] = { a0, a1 }, *b[2] = { b0, b1 };

    fv_products(r, a, b, 2);
    L_CHECK(r, 2);
}

static __attribute__((noinline, unused)) void
fv_acc3(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1,
        const fv *a2, const fv *b2)
{
    const fv *a[3] = { a0, a1, a2 }, *b[3] = { b0, b1, b2 };

    fv_products(r, a, b, 3);
    L_CHECK(r, 2);
}

static __attribute__((noinline, unused)) void
fv_acc4(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1,
        const fv *a2, const fv *b2, const fv *a3, const fv *b3)
{
    const fv *a[4] = { a0, a1, a2, a3 }, *b[4] = { b0, b1, b2, b3 };

    fv_products(r, a, b, 4);
    L_CHECK(r, 2);
}

static inline void
fv_add(fv *r, const fv *a, const fv *b)
{
    v8 t[MCX_L];
    int i;

    for (i = 0; i < MCX_L; i++) {
        t[i] = v_add(a->l[i], b->l[i]);
    }
    fv_carry(r, t);
}

static inline void
fv_sub(fv *r, const fv *a, const fv *b)
{
    v8 t[MCX_L];
    int i;

    L_CHECK(b, 64);
    for (i = 0; i < MCX_L; i++) {
        t[i] = v_add(a->l[i], v_sub(v_all(mcx_l_pad[i]), b->l[i]));
    }
    fv_carry(r, t);
}

/* Below 2p again, whatever it had grown to. */
static inline void
fv_shrink(fv *r)
{
    fv one;
    int i;

    for (i = 0; i < MCX_L; i++) {
        one.l[i] = v_all(mcx_l_r[i]);
    }
    fv_mul(r, r, &one);
}

static inline void
lane_put(fv *r, int lane, const uint64_t *l)
{
    int i;

    for (i = 0; i < MCX_L; i++) {
        memcpy((uint8_t *)&r->l[i] + 8 * lane, &l[i], 8);
    }
}

static inline void
lane_take(uint64_t *l, const fv *a, int lane)
{
    int i;

    for (i = 0; i < MCX_L; i++) {
        memcpy(&l[i], (const uint8_t *)&a->l[i] + 8 * lane, 8);
    }
}

static inline void
fv_set(fv *r, int lane, const fe *a)
{
    uint64_t w[MCX_W], l[MCX_L];
    fe t, c;

    memcpy(c.l, mcx_h_lane, sizeof c.l);
    fe_mul(&t, a, &c);
    reduce_128(w, t.l);
    limbs_of(l, MCX_L, w);
    lane_put(r, lane, l);
}

static inline void
fv_get(fe *r, const fv *a, int lane)
{
    fe t, c;

    memset(&t, 0, sizeof t);
    lane_take(t.l, a, lane);
    memcpy(c.l, mcx_h_from_lane, sizeof c.l);
    fe_mul(r, &t, &c);
}

static inline void
fv_for_chain(fv *r)
{
    fv c;
    int i;

    for (i = 0; i < MCX_L; i++) {
        c.l[i] = v_all(mcx_l_h[i]);
    }
    fv_mul(r, r, &c);
}

/* The lanes as eight numbers of the chain. */
static inline void
fv_chain(fe *const r[LANES], const fv *a)
{
    v8 t[8];
    int i, j;

    for (i = 0; i < 3; i++) {
        for (j = 0; j < 8; j++) {
            t[j] = 8 * i + j < MCX_L ? a->l[8 * i + j] : v_zero();
        }
        v_transpose(t);
        for (j = 0; j < LANES; j++) {
            v_store(r[j]->l + 8 * i, t[j]);
        }
    }
}

/* Lane j of vector i becomes lane i of vector j. */
static __attribute__((unused)) void
fv_turn(fv a[LANES])
{
    v8 t[8];
    int i, j;

    for (i = 0; i < MCX_L; i++) {
        for (j = 0; j < LANES; j++) {
            t[j] = a[j].l[i];
        }
        v_transpose(t);
        for (j = 0; j < LANES; j++) {
            a[j].l[i] = t[j];
        }
    }
}

/* One lane, in all lanes. */
static inline void
fv_spread(fv *r, const fv *a, int lane)
{
    uint64_t l;
    int i;

    for (i = 0; i < MCX_L; i++) {
        memcpy(&l, (const uint8_t *)&a->l[i] + 8 * lane, 8);
        r->l[i] = v_all(l);
    }
}

/* Reduced; of a lane below 2p. */
static inline void
fv_store(uint64_t *w, const fv *a, int lane)
{
    uint64_t l[MCX_L], t[MCX_W + 1];

    lane_take(l, a, lane);
    words_of(t, MCX_W + 1, l, MCX_L);
    mcx_w_reduce_to(w, t, t[MCX_W], mcx_w_p);
}

/* 16 words of eight lanes to limbs. */
static inline void
fv_from_words(fv *r, const v8 *w)
{
    v8 mask = v_all(LIMB);

#define PART(i)                                                               \
    r->l[i] = v_and(52 * (i) / 64 + 1 < MCX_W                                 \
                        ? v_shrd(w[52 * (i) / 64],                            \
                                 w[52 * (i) / 64 + (52 * (i) / 64 < 15)],     \
                                 52 * (i) % 64)                               \
                        : v_srl(w[52 * (i) / 64], 52 * (i) % 64), mask)
    PART(0);
    PART(1);
    PART(2);
    PART(3);
    PART(4);
    PART(5);
    PART(6);
    PART(7);
    PART(8);
    PART(9);
    PART(10);
    PART(11);
    PART(12);
    PART(13);
    PART(14);
    PART(15);
    PART(16);
    PART(17);
    PART(18);
    PART(19);
#undef PART
}

static inline void
fv_gather(fv *r, int n, const uint64_t *tab, const uint64_t *at)
{
    v8 e[8][4], t[8], w[MCX_W];
    int i, j, l, h;

    for (l = 0; l < LANES; l++) {
        const uint64_t *p = tab + (size_t)(16 * n * MCX_W) * (size_t)l;

        for (j = 0; j < 2 * n; j++) {
            e[l][j] = v_zero();
        }
        for (i = 0; i < 16; i++) {
            v8 m = v_all(mcx_is_zero(at[l] ^ (uint64_t)i));

            for (j = 0; j < 2 * n; j++) {
                e[l][j] = v_or(e[l][j],
                               v_and(m, v_load(p + 8 * (2 * n * i + j))));
            }
        }
    }
    for (h = 0; h < n; h++) {
        for (j = 0; j < 2; j++) {
            for (l = 0; l < LANES; l++) {
                t[l] = e[l][2 * h + j];
            }
            v_transpose(t);
            for (l = 0; l < 8; l++) {
                w[8 * j + l] = t[l];
            }
        }
        fv_from_words(&r[h], w);
    }
}

/* a = -a in the lanes whose 'mask' is ones; a below 2p,
 * and below 2p (limbs of 2p - a) it stays. */
static inline void
fv_neg_if(fv *a, const uint64_t *mask)
{
    _Alignas(64) uint64_t m[LANES];
    v8 t[MCX_L], v;
    int i;

    memcpy(m, mask, sizeof m);
    v = v_load(m);
    for (i = 0; i < MCX_L; i++) {
        v8 neg = v_sub(v_all(mcx_l_2p[i]), a->l[i]);

        t[i] = v_xor(a->l[i], v_and(v_xor(a->l[i], neg), v));
    }
    fv_carry(a, t);
}

static inline void
fv_rotate(fv *r, const fv *a, int by)
{
    int i;

    for (i = 0; i < MCX_L; i++) {
        r->l[i] = v_turn(a->l[i], by);
    }
}

#endif /* MCX_FIELD_FP_IFMA_H */
