/* ref_pairing.c -- for tests, see ref_pairing.h.
 *
 * The Miller loop without inversions (digest of RFC 6508, section 6): the
 * running point C is (X/Z^2, Y/Z^3), every line is multiplied by whatever
 * element of F_p clears its denominators, for PF_p does not see it.  The line
 * is evaluated at [i]K = (-Kx, i Ky).  q - 1 is walked in non-adjacent form
 * (ref_fp.c).  A step that is not defined makes Z and the line zero, and zero
 * stays zero until the end, where it is refused. */
#include <config.h>
#include <sofia-mcx/mcx_secret.h>
#include "ref_pairing.h"

struct miller {
    struct mcx_point r, k; /* arguments               */
    BIGNUM *neg_ry;
    BIGNUM *sum;           /* Kx + Rx                 */
    BIGNUM *x, *y, *z, *zz;
    struct mcx_fp2 v;      /* the function's value    */
    struct mcx_fp2 l, t;   /* line; work              */
    BIGNUM *a, *b, *c, *d; /* work                    */
};

static void
miller_num(struct mcx_fp *f, struct miller *m)
{
    m->neg_ry = mcx_fp_num(f);
    m->sum = mcx_fp_num(f);
    m->x = mcx_fp_num(f);
    m->y = mcx_fp_num(f);
    m->z = mcx_fp_num(f);
    m->zz = mcx_fp_num(f);
    m->v = mcx_fp2_num(f);
    m->l = mcx_fp2_num(f);
    m->t = mcx_fp2_num(f);
    m->a = mcx_fp_num(f);
    m->b = mcx_fp_num(f);
    m->c = mcx_fp_num(f);
    m->d = mcx_fp_num(f);
}

/* C = 2C and the tangent:
 *   M = 3(X^2 - Z^4), Z3 = 2YZ, S = 4XY^2, X3 = M^2 - 2S,
 *   Y3 = M(S - X3) - 8Y^4
 *   re = M(Kx Z^2 + X) - 2Y^2, im = Ky Z3 Z^2 */
static void
miller_double(struct mcx_fp *f, struct miller *m)
{
    mcx_fp_sqr(f, m->a, m->x);
    mcx_fp_sqr(f, m->b, m->zz);
    mcx_fp_sub(f, m->a, m->a, m->b);
    mcx_fp_add(f, m->b, m->a, m->a);
    mcx_fp_add(f, m->a, m->a, m->b);     /* a = M            */
    mcx_fp_sqr(f, m->b, m->y);
    mcx_fp_add(f, m->b, m->b, m->b);     /* b = 2Y^2         */
    mcx_fp_mul(f, m->l.re, m->k.x, m->zz);
    mcx_fp_add(f, m->l.re, m->l.re, m->x);
    mcx_fp_mul(f, m->l.re, m->l.re, m->a);
    mcx_fp_sub(f, m->l.re, m->l.re, m->b);
    mcx_fp_mul(f, m->z, m->z, m->y);
    mcx_fp_add(f, m->z, m->z, m->z);     /* Z3               */
    mcx_fp_mul(f, m->l.im, m->z, m->zz);
    mcx_fp_mul(f, m->l.im, m->l.im, m->k.y);
    mcx_fp_mul(f, m->c, m->x, m->b);
    mcx_fp_add(f, m->c, m->c, m->c);     /* c = S            */
    mcx_fp_sqr(f, m->x, m->a);
    mcx_fp_sub(f, m->x, m->x, m->c);
    mcx_fp_sub(f, m->x, m->x, m->c);     /* X3               */
    mcx_fp_sub(f, m->c, m->c, m->x);
    mcx_fp_mul(f, m->c, m->c, m->a);
    mcx_fp_sqr(f, m->b, m->b);
    mcx_fp_add(f, m->b, m->b, m->b);     /* 8Y^4             */
    mcx_fp_sub(f, m->y, m->c, m->b);     /* Y3               */
    mcx_fp_sqr(f, m->zz, m->z);
}

/* C = C + (Rx, ry) and the chord:
 *   H = Rx Z^2 - X, W = ry Z^3 - Y, Z3 = ZH, X3 = W^2 - H^3 - 2XH^2,
 *   Y3 = W(XH^2 - X3) - YH^3
 *   re = W(Kx + Rx) - ry Z3, im = Ky Z3 */
static void
miller_add(struct mcx_fp *f, struct miller *m, const BIGNUM *ry)
{
    mcx_fp_mul(f, m->a, m->r.x, m->zz);
    mcx_fp_sub(f, m->a, m->a, m->x);     /* a = H            */
    mcx_fp_mul(f, m->b, m->zz, m->z);
    mcx_fp_mul(f, m->b, m->b, ry);
    mcx_fp_sub(f, m->b, m->b, m->y);     /* b = W            */
    mcx_fp_mul(f, m->z, m->z, m->a);     /* Z3               */
    mcx_fp_mul(f, m->l.re, m->b, m->sum);
    mcx_fp_mul(f, m->l.im, m->z, ry);
    mcx_fp_sub(f, m->l.re, m->l.re, m->l.im);
    mcx_fp_mul(f, m->l.im, m->z, m->k.y);
    mcx_fp_sqr(f, m->c, m->a);           /* c = H^2          */
    mcx_fp_mul(f, m->d, m->c, m->a);     /* d = H^3          */
    mcx_fp_mul(f, m->c, m->c, m->x);     /* c = X H^2        */
    mcx_fp_mul(f, m->y, m->y, m->d);     /* Y H^3            */
    mcx_fp_sqr(f, m->x, m->b);
    mcx_fp_sub(f, m->x, m->x, m->d);
    mcx_fp_sub(f, m->x, m->x, m->c);
    mcx_fp_sub(f, m->x, m->x, m->c);     /* X3               */
    mcx_fp_sub(f, m->c, m->c, m->x);
    mcx_fp_mul(f, m->c, m->c, m->b);
    mcx_fp_sub(f, m->y, m->c, m->y);     /* Y3               */
    mcx_fp_sqr(f, m->zz, m->z);
}

/* The representative of v, im / re; false when it has none. */
static bool
represent(struct mcx_fp *f, uint8_t w[MCX_FP_SIZE], struct mcx_fp2 v)
{
    bool legal = !f->failed && !BN_is_zero(v.re);

    mcx_fp_inv(f, v.re, v.re);
    mcx_fp_mul(f, v.im, v.im, v.re);
    mcx_fp_write(f, w, v.im);
    if (!legal) {
        mcx_wipe(w, MCX_FP_SIZE);
    }
    return legal && !f->failed;
}

bool
mcx_pairing(struct mcx_fp *f, uint8_t w[MCX_FP_SIZE], struct mcx_point r,
            struct mcx_point k)
{
    struct miller m = { .r = r, .k = k };
    bool ok = false;
    unsigned i;

    mcx_wipe(w, MCX_FP_SIZE);
    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    miller_num(f, &m);
    mcx_fp_sub(f, m.neg_ry, m.neg_ry, r.y);
    mcx_fp_add(f, m.sum, k.x, r.x);
    mcx_fp_copy(f, m.x, r.x);
    mcx_fp_copy(f, m.y, r.y);
    mcx_fp_copy(f, m.z, f->pa->one);
    mcx_fp_copy(f, m.zz, f->pa->one);
    mcx_fp_copy(f, m.v.re, f->pa->one);
    for (i = f->pa->n_naf - 1; i-- > 0 && !f->failed;) {
        mcx_fp2_sqr(f, m.v, m.t);
        miller_double(f, &m);
        mcx_fp2_mul(f, m.v, m.l, m.t);
        if (f->pa->naf[i] != 0) { /* a constant of the curve */
            miller_add(f, &m, f->pa->naf[i] > 0 ? r.y : m.neg_ry);
            mcx_fp2_mul(f, m.v, m.l, m.t);
        }
    }
    mcx_fp2_sqr(f, m.v, m.t); /* v^c, c = (p + 1)/q = 4 */
    mcx_fp2_sqr(f, m.v, m.t);
    ok = represent(f, w, m.v);
    BN_CTX_end(f->ctx);
    return ok;
}

/* (1 + i g)^e by a ladder: v = base^n, u = base^(n+1). */
bool
mcx_g_power(struct mcx_fp *f, uint8_t w[MCX_FP_SIZE], const uint8_t *e,
            size_t n)
{
    struct mcx_fp2 v, u, t;
    unsigned last = 0;
    bool ok = false;
    size_t i;

    mcx_wipe(w, MCX_FP_SIZE);
    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    v = mcx_fp2_num(f);
    u = mcx_fp2_num(f);
    t = mcx_fp2_num(f);
    mcx_fp_copy(f, v.re, f->pa->one);
    mcx_fp_copy(f, u.re, f->pa->one);
    mcx_fp_copy(f, u.im, f->pa->g);
    for (i = 0; i < 8 * n && !f->failed; i++) {
        unsigned bit = (unsigned)e[i / 8] >> (7 - i % 8) & 1;

        mcx_fp_swap(f, bit ^ last, v.re, u.re);
        mcx_fp_swap(f, bit ^ last, v.im, u.im);
        mcx_fp2_mul(f, u, v, t);
        mcx_fp2_sqr(f, v, t);
        last = bit;
    }
    mcx_fp_swap(f, last, v.re, u.re);
    mcx_fp_swap(f, last, v.im, u.im);
    ok = represent(f, w, v);
    BN_CTX_end(f->ctx);
    return ok;
}
