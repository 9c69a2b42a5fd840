/* p256_inv.h -- inversion modulo an odd number below 2^256, in time that does
 * not depend on what is inverted.
 *
 * Division steps (D. Bernstein, B.-Y. Yang, "Fast constant-time gcd
 * computation and modular inversion", 2019) in the variant that starts with
 * delta = 1/2, for which 590 steps suffice for numbers of 256 bits.  59 steps
 * at a time are done on the lowest words of f and g and summed up in a matrix
 * (times 2^62), which is then applied to all of f and g and, modulo m, to d
 * and e.  Numbers are five limbs of 62 bits, the highest with a sign. */
#ifndef MCX_IDENT_P256_INV_H
#define MCX_IDENT_P256_INV_H

#include "p256_fe.h"

enum { INV_L = 5, INV_ROUNDS = 10 };
#define INV_M62 (UINT64_MAX >> 2)

struct limbs { int64_t v[INV_L]; };
struct matrix { int64_t u, v, q, r; };

static inline void
limbs_of(struct limbs *r, const struct fe *a)
{
    const uint64_t *w = a->w;

    r->v[0] = (int64_t)(w[0] & INV_M62);
    r->v[1] = (int64_t)((w[0] >> 62 | w[1] << 2) & INV_M62);
    r->v[2] = (int64_t)((w[1] >> 60 | w[2] << 4) & INV_M62);
    r->v[3] = (int64_t)((w[2] >> 58 | w[3] << 6) & INV_M62);
    r->v[4] = (int64_t)(w[3] >> 56);
}

/* 59 steps.  'zeta' is -(delta + 1/2). */
static inline int64_t
inv_steps(struct matrix *t, int64_t zeta, uint64_t f, uint64_t g)
{
    uint64_t u = 8, v = 0, q = 0, r = 8;
    int i;

    for (i = 0; i < 59; i++) {
        uint64_t swap = mcx_hide((uint64_t)(zeta >> 63));
        uint64_t odd = mcx_mask(g & 1);

        /* g += odd ? (swap ? -f : f) : 0, and so the matrix */
        g += ((f ^ swap) - swap) & odd;
        q += ((u ^ swap) - swap) & odd;
        r += ((v ^ swap) - swap) & odd;
        swap &= odd;
        zeta = (int64_t)((uint64_t)zeta ^ swap) - 1;
        f += g & swap;
        u += q & swap;
        v += r & swap;
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    t->u = (int64_t)u;
    t->v = (int64_t)v;
    t->q = (int64_t)q;
    t->r = (int64_t)r;
    return zeta;
}

/* (f, g) = t (f, g) / 2^62, which is whole. */
static inline void
inv_apply(struct limbs *f, struct limbs *g, const struct matrix *t)
{
    mcx_i128 cf = 0, cg = 0;
    int i;

#pragma GCC unroll 5
    for (i = 0; i < INV_L; i++) {
        int64_t a = f->v[i], b = g->v[i];

        cf += (mcx_i128)t->u * a + (mcx_i128)t->v * b;
        cg += (mcx_i128)t->q * a + (mcx_i128)t->r * b;
        if (i > 0) {
            f->v[i - 1] = (int64_t)((uint64_t)cf & INV_M62);
            g->v[i - 1] = (int64_t)((uint64_t)cg & INV_M62);
        }
        cf >>= 62;
        cg >>= 62;
    }
    f->v[INV_L - 1] = (int64_t)cf;
    g->v[INV_L - 1] = (int64_t)cg;
}

/* (d, e) = t (d, e) / 2^62 mod m; both stay above -2m and below m.  'k' is
 * 1/m mod 2^62. */
static inline void
inv_apply_mod(struct limbs *d, struct limbs *e, const struct matrix *t,
              const struct limbs *m, uint64_t k)
{
    int64_t sd = d->v[INV_L - 1] >> 63, se = e->v[INV_L - 1] >> 63;
    int64_t md = (t->u & sd) + (t->v & se), me = (t->q & sd) + (t->r & se);
    mcx_i128 cd, ce;
    int i;

    cd = (mcx_i128)t->u * d->v[0] + (mcx_i128)t->v * e->v[0];
    ce = (mcx_i128)t->q * d->v[0] + (mcx_i128)t->r * e->v[0];
    /* multiples of m that clear the lowest limb */
    md -= (int64_t)((k * (uint64_t)cd + (uint64_t)md) & INV_M62);
    me -= (int64_t)((k * (uint64_t)ce + (uint64_t)me) & INV_M62);
    cd = (cd + (mcx_i128)m->v[0] * md) >> 62;
    ce = (ce + (mcx_i128)m->v[0] * me) >> 62;
#pragma GCC unroll 5
    for (i = 1; i < INV_L; i++) {
        int64_t a = d->v[i], b = e->v[i];

        cd += (mcx_i128)t->u * a + (mcx_i128)t->v * b
              + (mcx_i128)m->v[i] * md;
        ce += (mcx_i128)t->q * a + (mcx_i128)t->r * b
              + (mcx_i128)m->v[i] * me;
        d->v[i - 1] = (int64_t)((uint64_t)cd & INV_M62);
        e->v[i - 1] = (int64_t)((uint64_t)ce & INV_M62);
        cd >>= 62;
        ce >>= 62;
    }
    d->v[INV_L - 1] = (int64_t)cd;
    e->v[INV_L - 1] = (int64_t)ce;
}

/* r = a where 'sign' is 0, -a where it is -1; plus m where 'add' is -1; with
 * all limbs but the highest in 0..2^62-1 again. */
static inline void
inv_settle(struct limbs *a, int64_t sign, int64_t add, const struct limbs *m)
{
    int64_t c = 0;
    int i;

#pragma GCC unroll 5
    for (i = 0; i < INV_L; i++) {
        c += ((a->v[i] + (m->v[i] & add)) ^ sign) - sign;
        a->v[i] = i < INV_L - 1 ? (int64_t)((uint64_t)c & INV_M62) : c;
        c >>= 62;
    }
}

/* r = 1/a mod m, a < m; 0 for 0.  'k' is 1/m mod 2^62. */
static void
inv_mod(struct fe *r, const struct fe *a, const struct fe *m, uint64_t k)
{
    struct limbs f, g, d = { { 0 } }, e = { { 1 } }, ml;
    struct matrix t;
    int64_t zeta = -1;
    int i;

    limbs_of(&ml, m);
    limbs_of(&g, a);
    f = ml;
    for (i = 0; i < INV_ROUNDS; i++) {
        zeta = inv_steps(&t, zeta, (uint64_t)f.v[0] | (uint64_t)f.v[1] << 62,
                         (uint64_t)g.v[0] | (uint64_t)g.v[1] << 62);
        inv_apply_mod(&d, &e, &t, &ml, k);
        inv_apply(&f, &g, &t);
    }
    /* f is 1 or -1, d f the inverse, from -2m to m */
    inv_settle(&d, 0, (int64_t)mcx_hide((uint64_t)(d.v[INV_L - 1] >> 63)),
               &ml);
    inv_settle(&d, (int64_t)mcx_hide((uint64_t)(f.v[INV_L - 1] >> 63)), 0,
               &ml);
    inv_settle(&d, 0, (int64_t)mcx_hide((uint64_t)(d.v[INV_L - 1] >> 63)),
               &ml);
    r->w[0] = (uint64_t)d.v[0] | (uint64_t)d.v[1] << 62;
    r->w[1] = (uint64_t)d.v[1] >> 2 | (uint64_t)d.v[2] << 60;
    r->w[2] = (uint64_t)d.v[2] >> 4 | (uint64_t)d.v[3] << 58;
    r->w[3] = (uint64_t)d.v[3] >> 6 | (uint64_t)d.v[4] << 56;
}

#endif /* MCX_IDENT_P256_INV_H */
