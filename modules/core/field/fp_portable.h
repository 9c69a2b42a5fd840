/* fp_portable.h -- F_p in portable C, for curve/body.h: 16 words of 64 bits,
 * Montgomery form with R = 2^1024, every value below p.  One lane: a vector
 * is a number.  Also the frame of the mulx back-end, which brings its own
 * products and defines FP_MUL. */
#ifndef MCX_FIELD_FP_PORTABLE_H
#define MCX_FIELD_FP_PORTABLE_H

#include <assert.h>
#include <string.h>
#include "words.h"

#define FV_LANES 1
enum { LANES = FV_LANES };

typedef struct { uint64_t w[MCX_W]; } fe;
typedef fe fv;

#ifdef MCX_DEBUG_BOUNDS
#define FP_CHECK(a)                                                           \
    do {                                                                      \
        uint64_t t_[MCX_W];                                                   \
        assert(mcx_w_sub(t_, (a)->w, mcx_w_p) == 1); /* below p */            \
    } while (0)
#else
#define FP_CHECK(a) ((void)0)
#endif

#ifndef FP_MUL
/* r = a b / R mod p; t < 2p before every round. */
static inline void
fp_mul(uint64_t *restrict r, const uint64_t *a, const uint64_t *b)
{
    uint64_t t[MCX_W] = { 0 }, top = 0;
    int i, j;

    for (i = 0; i < MCX_W; i++) {
        mcx_u128 c = (mcx_u128)a[0] * b[i] + t[0];
        uint64_t n = (uint64_t)c * mcx_w_p_k;
        mcx_u128 d = (mcx_u128)n * mcx_w_p[0] + (uint64_t)c;

        for (j = 1; j < MCX_W; j++) {
            c = (mcx_u128)a[j] * b[i] + t[j] + (uint64_t)(c >> 64);
            d = (mcx_u128)n * mcx_w_p[j] + (uint64_t)c + (uint64_t)(d >> 64);
            t[j - 1] = (uint64_t)d;
        }
        c = (c >> 64) + (d >> 64) + top;
        t[MCX_W - 1] = (uint64_t)c;
        top = (uint64_t)(c >> 64);
    }
    mcx_w_reduce(t, top, mcx_w_p);
    memcpy(r, t, sizeof t);
}

/* r = (a_0 b_0 + ... + a_(n-1) b_(n-1)) / R mod p, n up to 4, all rounds of
 * the products before one reduction a round: t < (n + 1) p
 * before each, and 4p at the end. */
static inline void
fp_acc(uint64_t *restrict r, const uint64_t *const *a,
       const uint64_t *const *b, int n)
{
    uint64_t t[MCX_W + 1] = { 0 };
    int i, j, k;

    for (i = 0; i < MCX_W; i++) {
        mcx_u128 d;
        uint64_t q, over = 0;

        for (k = 0; k < n; k++) {
            mcx_u128 c = 0;

            for (j = 0; j < MCX_W; j++) {
                c = (mcx_u128)a[k][j] * b[k][i] + t[j] + (uint64_t)(c >> 64);
                t[j] = (uint64_t)c;
            }
            c = (c >> 64) + t[MCX_W];
            t[MCX_W] = (uint64_t)c;
            over += (uint64_t)(c >> 64);
        }
        q = t[0] * mcx_w_p_k;
        d = (mcx_u128)q * mcx_w_p[0] + t[0];
        for (j = 1; j < MCX_W; j++) {
            d = (mcx_u128)q * mcx_w_p[j] + t[j] + (uint64_t)(d >> 64);
            t[j - 1] = (uint64_t)d;
        }
        d = (d >> 64) + t[MCX_W];
        t[MCX_W - 1] = (uint64_t)d;
        t[MCX_W] = over + (uint64_t)(d >> 64);
    }
    memcpy(r, t, 8 * MCX_W);
    mcx_w_reduce4(r, t[MCX_W]);
}
#endif

static inline void
fe_mul(fe *r, const fe *a, const fe *b)
{
    fe t;

    FP_CHECK(a);
    FP_CHECK(b);
    fp_mul(t.w, a->w, b->w);
    *r = t;
    FP_CHECK(r);
}

static inline void
fe_sqr(fe *r, const fe *a)
{
    fe_mul(r, a, a);
}

/* Two products at once; results may be operands of their own product only. */
static inline void
fe_mul2(fe *r0, const fe *a0, const fe *b0, fe *r1, const fe *a1,
        const fe *b1)
{
    fe t;

    fe_mul(&t, a0, b0);
    fe_mul(r1, a1, b1);
    *r0 = t;
}

static inline void
fe_add(fe *r, const fe *a, const fe *b)
{
    uint64_t top = mcx_w_add(r->w, a->w, b->w);

    mcx_w_reduce(r->w, top, mcx_w_p);
    FP_CHECK(r);
}

static inline void
fe_sub(fe *r, const fe *a, const fe *b)
{
    uint64_t neg = mcx_mask(mcx_w_sub(r->w, a->w, b->w)), m[MCX_W];
    int i;

    for (i = 0; i < MCX_W; i++) {
        m[i] = mcx_w_p[i] & neg;
    }
    (void)mcx_w_add(r->w, r->w, m);
    FP_CHECK(r);
}

static inline uint64_t
fe_zero(const fe *a)
{
    return mcx_w_zero(a->w);
}

static inline void
fe_from_w(fe *r, const uint64_t *w)
{
    fp_mul(r->w, w, mcx_w_p_r2);
}

static inline void
fe_to_w(uint64_t *w, const fe *a)
{
    static const uint64_t one[MCX_W] = { 1 };

    fp_mul(w, a->w, one);
}

/* ---- vectors of one lane ----------------------------------------------- */

static inline void
fv_shrink(fv *r)
{
    (void)r; /* always is */
}

#define fv_mul fe_mul
#define fv_add fe_add
#define fv_sub fe_sub

static inline void
fv_acc2(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1)
{
    const uint64_t *a[2] = { a0->w, a1->w }, *b[2] = { b0->w, b1->w };

    fp_acc(r->w, a, b, 2);
    FP_CHECK(r);
}

static inline void
fv_acc3(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1,
        const fv *a2, const fv *b2)
{
    const uint64_t *a[3] = { a0->w, a1->w, a2->w };
    const uint64_t *b[3] = { b0->w, b1->w, b2->w };

    fp_acc(r->w, a, b, 3);
    FP_CHECK(r);
}

static inline void
fv_acc4(fv *r, const fv *a0, const fv *b0, const fv *a1, const fv *b1,
        const fv *a2, const fv *b2, const fv *a3, const fv *b3)
{
    const uint64_t *a[4] = { a0->w, a1->w, a2->w, a3->w };
    const uint64_t *b[4] = { b0->w, b1->w, b2->w, b3->w };

    fp_acc(r->w, a, b, 4);
    FP_CHECK(r);
}

/* A lane in, a lane out; in the chain's form for the Miller loop, and as it
 * lies in tables. */
static inline void
fv_set(fv *r, int lane, const fe *a)
{
    (void)lane;
    *r = *a;
}

static inline void
fv_get(fe *r, const fv *a, int lane)
{
    (void)lane;
    *r = *a;
}

/* Makes a coefficient give its products in the chain's form. */
static inline void
fv_for_chain(fv *r)
{
    (void)r;
}

static inline void
fv_chain(fe *r[], const fv *a)
{
    *r[0] = *a;
}

static inline void
fv_store(uint64_t *w, const fv *a, int lane)
{
    (void)lane;
    memcpy(w, a->w, sizeof a->w);
}

/* r_0, r_1 (n of them) = the parts of the entry 'at[lane]' of 16 that lies
 * at tab + 16 n MCX_W lane: all are read. */
static inline void
fv_gather(fv *r, int n, const uint64_t *tab, const uint64_t *at)
{
    uint64_t acc[2 * MCX_W] = { 0 };
    int i, j;

    for (i = 0; i < 16; i++) {
        uint64_t m = mcx_is_zero(at[0] ^ (uint64_t)i);

        for (j = 0; j < n * MCX_W; j++) {
            acc[j] |= tab[i * n * MCX_W + j] & m;
        }
    }
    memcpy(r, acc, (size_t)n * sizeof *r);
}

/* a = -a in the lanes whose 'mask' is ones. */
static inline void
fv_neg_if(fv *a, const uint64_t *mask)
{
    static const fe zero;
    fe t;

    fe_sub(&t, &zero, a);
    mcx_w_select(a->w, t.w, mask[0]);
}

static inline void
fv_rotate(fv *r, const fv *a, int by)
{
    (void)by;
    *r = *a;
}

#endif /* MCX_FIELD_FP_PORTABLE_H */
