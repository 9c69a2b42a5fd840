/* ref_curve.c -- for tests, see ref_curve.h.
 *
 * Multiplication is a Montgomery ladder on x = X/Z alone, y coming back at
 * the end.  With the base point's x not 0 its two formulas have no
 * exceptional case, infinity (Z = 0) included, so it runs the same for every
 * scalar and every point of the curve, of whatever order. */
#include <config.h>
#include <sofia-mcx/mcx_secret.h>
#include "ref_curve.h"

struct mcx_point
mcx_point_num(struct mcx_fp *f)
{
    struct mcx_point r;

    r.x = mcx_fp_num(f);
    r.y = mcx_fp_num(f);
    return r;
}

/* t = 3a */
static void
triple(struct mcx_fp *f, BIGNUM *t, const BIGNUM *a)
{
    mcx_fp_add(f, t, a, a);
    mcx_fp_add(f, t, t, a);
}

bool
mcx_point_read(struct mcx_fp *f, struct mcx_point r,
               const uint8_t b[MCX_SAKKE_PT_SIZE])
{
    BIGNUM *t, *u;
    bool on = false;

    /* SPEC RFC 6508 4: uncompressed, coordinates below p */
    if (b[0] != 0x04 || !mcx_fp_read(f, r.x, b + 1)
        || !mcx_fp_read(f, r.y, b + 1 + MCX_FP_SIZE)) {
        return false;
    }
    BN_CTX_start(f->ctx);
    t = mcx_fp_num(f);
    u = mcx_fp_num(f);
    mcx_fp_sqr(f, t, r.x); /* x (x^2 - 3) = y^2 */
    mcx_fp_sub(f, t, t, f->pa->one);
    mcx_fp_sub(f, t, t, f->pa->one);
    mcx_fp_sub(f, t, t, f->pa->one);
    mcx_fp_mul(f, t, t, r.x);
    mcx_fp_sqr(f, u, r.y);
    mcx_fp_sub(f, t, t, u);
    on = !f->failed && BN_is_zero(t) && !BN_is_zero(r.x);
    BN_CTX_end(f->ctx);
    return on;
}

void
mcx_point_write(struct mcx_fp *f, uint8_t b[MCX_SAKKE_PT_SIZE],
                struct mcx_point a)
{
    mcx_fp_write(f, b + 1, a.x);
    mcx_fp_write(f, b + 1 + MCX_FP_SIZE, a.y);
    b[0] = f->failed ? 0 : 0x04;
}

/* The ladder's state: [n]a = (X0 : Z0) and [n+1]a = (X1 : Z1). */
struct ladder { BIGNUM *x0, *z0, *x1, *z1, *t, *u, *v, *w; };

static struct ladder
ladder_num(struct mcx_fp *f)
{
    struct ladder l;

    l.x0 = mcx_fp_num(f);
    l.z0 = mcx_fp_num(f);
    l.x1 = mcx_fp_num(f);
    l.z1 = mcx_fp_num(f);
    l.t = mcx_fp_num(f);
    l.u = mcx_fp_num(f);
    l.v = mcx_fp_num(f);
    l.w = mcx_fp_num(f);
    return l;
}

/* (X1 : Z1) = sum of both, whose difference is 'x':
 *   X = (X0 X1 + 3 Z0 Z1)^2,  Z = x (X0 Z1 - X1 Z0)^2 */
static void
ladder_add(struct mcx_fp *f, const struct ladder *l, const BIGNUM *x)
{
    mcx_fp_mul(f, l->t, l->x0, l->x1);
    mcx_fp_mul(f, l->u, l->z0, l->z1);
    mcx_fp_add(f, l->v, l->x0, l->z0);
    mcx_fp_sub(f, l->w, l->x1, l->z1);
    mcx_fp_mul(f, l->v, l->v, l->w); /* X0 X1 - X0 Z1 + X1 Z0 - Z0 Z1 */
    mcx_fp_sub(f, l->w, l->t, l->u);
    mcx_fp_sub(f, l->w, l->w, l->v); /* X0 Z1 - X1 Z0 */
    mcx_fp_sqr(f, l->w, l->w);
    mcx_fp_mul(f, l->z1, l->w, x);
    triple(f, l->v, l->u);
    mcx_fp_add(f, l->t, l->t, l->v);
    mcx_fp_sqr(f, l->x1, l->t);
}

/* (X0 : Z0) doubled: X = (X^2 + 3Z^2)^2, Z = 4 X Z (X^2 - 3Z^2) */
static void
ladder_double(struct mcx_fp *f, const struct ladder *l)
{
    mcx_fp_sqr(f, l->t, l->x0);
    mcx_fp_sqr(f, l->u, l->z0);
    triple(f, l->v, l->u);
    mcx_fp_mul(f, l->w, l->x0, l->z0);
    mcx_fp_add(f, l->w, l->w, l->w);
    mcx_fp_add(f, l->w, l->w, l->w);
    mcx_fp_sub(f, l->u, l->t, l->v);
    mcx_fp_mul(f, l->z0, l->w, l->u);
    mcx_fp_add(f, l->t, l->t, l->v);
    mcx_fp_sqr(f, l->x0, l->t);
}

static void
ladder_run(struct mcx_fp *f, const struct ladder *l, const BIGNUM *x,
           const uint8_t *k, size_t n)
{
    unsigned last = 0;
    size_t i;

    mcx_fp_copy(f, l->x0, f->pa->one); /* infinity, 1 : 0 */
    if (!f->failed) {
        BN_zero(l->z0);
    }
    mcx_fp_copy(f, l->x1, x);
    mcx_fp_copy(f, l->z1, f->pa->one);
    for (i = 0; i < 8 * n; i++) {
        unsigned bit = (unsigned)k[i / 8] >> (7 - i % 8) & 1;

        mcx_fp_swap(f, bit ^ last, l->x0, l->x1);
        mcx_fp_swap(f, bit ^ last, l->z0, l->z1);
        ladder_add(f, l, x);
        ladder_double(f, l);
        last = bit;
    }
    mcx_fp_swap(f, last, l->x0, l->x1);
    mcx_fp_swap(f, last, l->z0, l->z1);
}

/* From a = (x, y), [k]a and [k+1]a, by the addition formula solved for y0:
 *   2 y y0 = (x x0 - 3)(x + x0) - x1 (x - x0)^2
 * over the common denominator D = 2 y Z0^2 Z1. */
static void
ladder_affine(struct mcx_fp *f, struct mcx_point r, struct mcx_point a,
              const struct ladder *l)
{
    mcx_fp_mul(f, l->t, a.x, l->z0);
    mcx_fp_sub(f, l->u, l->t, l->x0);
    mcx_fp_sqr(f, l->u, l->u);
    mcx_fp_mul(f, l->u, l->u, l->x1); /* X1 (x Z0 - X0)^2 */
    mcx_fp_add(f, l->t, l->t, l->x0);
    mcx_fp_mul(f, l->v, a.x, l->x0);
    triple(f, l->w, l->z0);
    mcx_fp_sub(f, l->v, l->v, l->w);
    mcx_fp_mul(f, l->v, l->v, l->t);
    mcx_fp_mul(f, l->v, l->v, l->z1); /* Z1 (x Z0 + X0)(x X0 - 3 Z0) */
    mcx_fp_sub(f, l->v, l->v, l->u);
    mcx_fp_add(f, l->w, a.y, a.y);
    mcx_fp_mul(f, l->w, l->w, l->z0);
    mcx_fp_mul(f, l->w, l->w, l->z1);
    mcx_fp_mul(f, l->t, l->w, l->z0); /* D */
    mcx_fp_inv(f, l->t, l->t);
    mcx_fp_mul(f, l->w, l->w, l->x0);
    mcx_fp_mul(f, r.x, l->w, l->t);
    mcx_fp_mul(f, r.y, l->v, l->t);
}

bool
mcx_point_mul(struct mcx_fp *f, struct mcx_point r, struct mcx_point a,
              const uint8_t *k, size_t n)
{
    struct ladder l;
    bool finite = false;

    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    l = ladder_num(f);
    ladder_run(f, &l, a.x, k, n);
    if (!f->failed && !BN_is_zero(l.z0)) {
        finite = true;
        if (BN_is_zero(l.z1)) { /* k = -1: the one scalar without [k+1]a */
            BIGNUM *zero = mcx_fp_num(f);

            mcx_fp_copy(f, r.x, a.x);
            mcx_fp_sub(f, r.y, zero, a.y);
        } else {
            ladder_affine(f, r, a, &l);
        }
    }
    BN_CTX_end(f->ctx);
    return finite && !f->failed;
}

bool
mcx_point_order_q(struct mcx_fp *f, struct mcx_point a)
{
    struct ladder l;
    bool yes;

    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    l = ladder_num(f);
    ladder_run(f, &l, a.x, mcx_sakke_q, MCX_FP_SIZE);
    yes = !f->failed && BN_is_zero(l.z0);
    BN_CTX_end(f->ctx);
    return yes;
}

bool
mcx_point_add(struct mcx_fp *f, struct mcx_point r, struct mcx_point a)
{
    BIGNUM *dx, *dy, *s;
    bool finite = true;

    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    dx = mcx_fp_num(f);
    dy = mcx_fp_num(f);
    s = mcx_fp_num(f);
    mcx_fp_sub(f, dx, a.x, r.x);
    mcx_fp_sub(f, dy, a.y, r.y);
    if (!f->failed && BN_is_zero(dx)) { /* tangent: 3(x^2 - 1) / 2y */
        finite = BN_is_zero(dy) && !BN_is_zero(a.y);
        mcx_fp_sqr(f, s, a.x);
        mcx_fp_sub(f, s, s, f->pa->one);
        triple(f, dy, s);
        mcx_fp_add(f, dx, a.y, a.y);
    }
    mcx_fp_inv(f, dx, dx);
    mcx_fp_mul(f, dy, dy, dx); /* gradient */
    mcx_fp_sqr(f, s, dy);
    mcx_fp_sub(f, s, s, r.x);
    mcx_fp_sub(f, s, s, a.x); /* x of the sum */
    mcx_fp_sub(f, dx, a.x, s);
    mcx_fp_mul(f, dx, dx, dy);
    mcx_fp_sub(f, r.y, dx, a.y);
    mcx_fp_copy(f, r.x, s);
    BN_CTX_end(f->ctx);
    return finite && !f->failed;
}

bool
mcx_point_of_id(struct mcx_fp *f, struct mcx_point r, struct mcx_bytes id,
                const uint8_t z[MCX_SAKKE_PT_SIZE])
{
    struct mcx_point base, zs;
    bool ok = false;

    if (f->failed) {
        return false;
    }
    BN_CTX_start(f->ctx);
    zs = mcx_point_num(f);
    base.x = f->pa->px;
    base.y = f->pa->py;
    if (mcx_point_read(f, zs, z)
        && mcx_point_mul(f, r, base, id.p, id.n)) {
        ok = mcx_point_add(f, r, zs);
    }
    BN_CTX_end(f->ctx);
    return ok;
}
