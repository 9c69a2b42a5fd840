/* words.c -- see words.h.  Inversion, and what little is done modulo q. */
#include <config.h>
#include <string.h>
#include <sofia-mcx/mcx_secret.h>
#include "words.h"

void
mcx_w_montmul(uint64_t *r, const uint64_t *a, const uint64_t *b,
              const uint64_t *m, uint64_t k)
{
    uint64_t t[MCX_W] = { 0 }, top = 0;
    int i, j;

    /* t < 2m before every round, so 'top' is 0 or 1. */
    for (i = 0; i < MCX_W; i++) {
        mcx_u128 c = (mcx_u128)a[0] * b[i] + t[0];
        uint64_t n = (uint64_t)c * k;
        mcx_u128 d = (mcx_u128)n * m[0] + (uint64_t)c;

        for (j = 1; j < MCX_W; j++) {
            c = (mcx_u128)a[j] * b[i] + t[j] + (uint64_t)(c >> 64);
            d = (mcx_u128)n * m[j] + (uint64_t)c + (uint64_t)(d >> 64);
            t[j - 1] = (uint64_t)d;
        }
        c = (c >> 64) + (d >> 64) + top;
        t[MCX_W - 1] = (uint64_t)c;
        top = (uint64_t)(c >> 64);
    }
    mcx_w_reduce(t, top, m);
    memcpy(r, t, sizeof t);
    mcx_wipe(t, sizeof t);
}

/* 2^1024 < 8q: take away 4q, 2q and q where they fit. */
void
mcx_w_mod_q(uint64_t *r, const uint64_t *a)
{
    uint64_t m[MCX_W];
    int i, j;

    memmove(r, a, 8 * MCX_W);
    for (i = 2; i >= 0; i--) {
        for (j = MCX_W - 1; j > 0; j--) {
            m[j] = i ? mcx_w_q[j] << i | mcx_w_q[j - 1] >> (64 - i)
                     : mcx_w_q[j];
        }
        m[0] = mcx_w_q[0] << i;
        mcx_w_reduce(r, 0, m);
    }
}

void
mcx_w_mul_q(uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    uint64_t t[MCX_W];

    mcx_w_montmul(t, a, b, mcx_w_q, mcx_w_q_k);
    mcx_w_montmul(r, t, mcx_w_q_r2, mcx_w_q, mcx_w_q_k);
    mcx_wipe(t, sizeof t);
}

/* ---- inversion --------------------------------------------------------- */

/* Division steps (D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd
 * computation and modular inversion", 2019): f, g from m, x to +-1, 0 by
 *   d > 0 and g odd: d, f, g = 1 - d, g, (g - f)/2
 *   else:            d, f, g = 1 + d, f, (g + (g mod 2) f)/2
 * from d = 1/2, of which (9437 * 1024 + 1)/4096, 2360, do for 0 <= g <= f <
 * 2^1024 (D. J. Bernstein's bound of 2023, proved in HOL Light), and all are
 * made.  A round does STEP of them on the lowest 64 bits, as a matrix T, and
 * then (f, g) = T (f, g)/2^STEP; (v, w) = T (v, w)/2^STEP mod m follows, so
 * that always f = v x, g = w x; at the end 1/x = +-v.
 *
 * Numbers are 17 limbs of STEP bits, of which the last has the sign. */
enum { STEP = 62, ROUNDS = 39, LIMBS = 17 }; /* 39 * 62 >= 2360 */
#define STEP_MASK ((UINT64_C(1) << STEP) - 1)

struct signed_num { int64_t l[LIMBS]; };

/* f' = (a f + b g)/2^STEP, g' = (c f + d g)/2^STEP; |a| + |b| and |c| + |d|
 * are up to 2^STEP. */
struct matrix { int64_t a, b, c, d; };

static void
limbs_from(struct signed_num *r, const uint64_t *w)
{
    int i;

    for (i = 0; i < LIMBS; i++) {
        int at = STEP * i / 64, off = STEP * i % 64;
        uint64_t v = at < MCX_W ? w[at] >> off : 0;

        if (off > 2 && at + 1 < MCX_W) {
            v |= w[at + 1] << (64 - off);
        }
        r->l[i] = (int64_t)(v & STEP_MASK);
    }
}

/* STEP steps from 'zeta' = -(d + 1/2) on the lowest bits of f and g; the new
 * zeta. */
static int64_t
steps(struct matrix *t, int64_t zeta, uint64_t f, uint64_t g)
{
    uint64_t a = 1, b = 0, c = 0, e = 1;
    int i;

    for (i = 0; i < STEP; i++) {
        uint64_t neg = mcx_hide((uint64_t)(zeta >> 63));
        uint64_t odd = mcx_mask(g & 1);

        /* g += +-f, row 2 += +- row 1, where g is odd; minus where d > 0 */
        g += ((f ^ neg) - neg) & odd;
        c += ((a ^ neg) - neg) & odd;
        e += ((b ^ neg) - neg) & odd;
        neg &= odd;
        zeta = (int64_t)((uint64_t)zeta ^ neg) - 1;
        /* f + (g - f) is g as it was */
        f += g & neg;
        a += c & neg;
        b += e & neg;
        g >>= 1;
        a += a;
        b += b;
    }
    t->a = (int64_t)a;
    t->b = (int64_t)b;
    t->c = (int64_t)c;
    t->d = (int64_t)e;
    return zeta;
}

static void
apply(const struct matrix *t, struct signed_num *f, struct signed_num *g)
{
    mcx_i128 x = 0, y = 0;
    int i;

    for (i = 0; i < LIMBS; i++) {
        int64_t u = f->l[i], v = g->l[i];

        x += (mcx_i128)t->a * u + (mcx_i128)t->b * v;
        y += (mcx_i128)t->c * u + (mcx_i128)t->d * v;
        if (i > 0) {
            f->l[i - 1] = (int64_t)((uint64_t)x & STEP_MASK);
            g->l[i - 1] = (int64_t)((uint64_t)y & STEP_MASK);
        }
        x >>= STEP;
        y >>= STEP;
    }
    f->l[LIMBS - 1] = (int64_t)x;
    g->l[LIMBS - 1] = (int64_t)y;
}

/* The multiple n of m for one row: with m added to v and w where they are
 * negative, the row's sum is from -2^STEP m to 2^STEP m; less 0 to 2^STEP - 1
 * times m, so that the lowest STEP bits vanish, it stays above -2^(STEP+1) m:
 * v and w are from -2m to m always.  'low' is the row's lowest limb. */
static int64_t
multiple(int64_t p, int64_t q, const struct signed_num *v,
         const struct signed_num *w, uint64_t low, uint64_t k)
{
    int64_t n = (p & (v->l[LIMBS - 1] >> 63)) + (q & (w->l[LIMBS - 1] >> 63));

    /* k = -1/m: low + m n vanishes for n = low k */
    return n - (int64_t)(((uint64_t)n - low * k) & STEP_MASK);
}

static void
apply_mod(const struct matrix *t, struct signed_num *v, struct signed_num *w,
          const struct signed_num *m, uint64_t k)
{
    int64_t n, o;
    mcx_i128 x = 0, y = 0;
    int i;

    n = multiple(t->a, t->b, v, w,
                 (uint64_t)t->a * (uint64_t)v->l[0]
                     + (uint64_t)t->b * (uint64_t)w->l[0], k);
    o = multiple(t->c, t->d, v, w,
                 (uint64_t)t->c * (uint64_t)v->l[0]
                     + (uint64_t)t->d * (uint64_t)w->l[0], k);
    for (i = 0; i < LIMBS; i++) {
        int64_t r = v->l[i], s = w->l[i];

        x += (mcx_i128)t->a * r + (mcx_i128)t->b * s + (mcx_i128)m->l[i] * n;
        y += (mcx_i128)t->c * r + (mcx_i128)t->d * s + (mcx_i128)m->l[i] * o;
        if (i > 0) {
            v->l[i - 1] = (int64_t)((uint64_t)x & STEP_MASK);
            w->l[i - 1] = (int64_t)((uint64_t)y & STEP_MASK);
        }
        x >>= STEP;
        y >>= STEP;
    }
    v->l[LIMBS - 1] = (int64_t)x;
    w->l[LIMBS - 1] = (int64_t)y;
}

/* v = (v + m where 'add' is ones), negated where 'neg' is. */
static void
adjust(struct signed_num *v, const struct signed_num *m, int64_t add,
       int64_t neg)
{
    int64_t carry = 0;
    int i;

    for (i = 0; i < LIMBS; i++) {
        int64_t t = v->l[i] + (m->l[i] & add);

        carry += (t ^ neg) - neg;
        v->l[i] = i < LIMBS - 1 ? (int64_t)((uint64_t)carry & STEP_MASK)
                                : carry;
        carry >>= STEP;
    }
}

void
mcx_w_inv(uint64_t *r, const uint64_t *x, const uint64_t *m, uint64_t k)
{
    struct signed_num f, g, v, w, n;
    struct matrix t;
    int64_t zeta = -1;
    int i;

    limbs_from(&n, m);
    limbs_from(&g, x);
    f = n;
    memset(&v, 0, sizeof v);
    memset(&w, 0, sizeof w);
    w.l[0] = 1;
    for (i = 0; i < ROUNDS; i++) {
        zeta = steps(&t, zeta, (uint64_t)f.l[0] | (uint64_t)f.l[1] << STEP,
                     (uint64_t)g.l[0] | (uint64_t)g.l[1] << STEP);
        apply(&t, &f, &g);
        apply_mod(&t, &v, &w, &n, k);
    }
    /* -2m < v < m: above -m, then the sign of f, then from 0 */
    adjust(&v, &n, v.l[LIMBS - 1] >> 63, f.l[LIMBS - 1] >> 63);
    adjust(&v, &n, v.l[LIMBS - 1] >> 63, 0);
    for (i = 0; i < MCX_W; i++) {
        int at = 64 * i / STEP, off = 64 * i % STEP;

        r[i] = (uint64_t)v.l[at] >> off
               | (uint64_t)v.l[at + 1] << (STEP - off);
    }
    mcx_wipe(&f, sizeof f);
    mcx_wipe(&g, sizeof g);
    mcx_wipe(&v, sizeof v);
    mcx_wipe(&w, sizeof w);
    mcx_wipe(&t, sizeof t);
}
