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

/* Binary gcd on approximations (T. Pornin, "Optimized Binary GCD for Modular
 * Inversion", 2020).  a and b shrink from x and m; each round does STEP steps
 * on a 64-bit picture of both (their lowest STEP bits and highest 33) and then
 * applies the factors it found to the whole numbers.  u and v follow, divided
 * by 2^STEP modulo m, so that at the end b = 1 = v x.  2 * 1024 - 1 steps
 * suffice whatever x is, and all are made. */
enum { STEP = 31, ROUNDS = 67 }; /* 67 * 31 >= 2047 */

struct factor { int64_t f, g; };

/* The pictures of a and b. */
static void
approximate(uint64_t *xa, uint64_t *xb, const uint64_t *a, const uint64_t *b)
{
    uint64_t a_hi = 0, a_lo = 0, b_hi = 0, b_lo = 0;
    uint64_t use_hi = UINT64_MAX, use_lo = UINT64_MAX, hi, low;
    unsigned s;
    int j;

    for (j = MCX_W - 1; j >= 0; j--) {
        a_hi ^= (a_hi ^ a[j]) & use_hi;
        b_hi ^= (b_hi ^ b[j]) & use_hi;
        a_lo ^= (a_lo ^ a[j]) & use_lo;
        b_lo ^= (b_lo ^ b[j]) & use_lo;
        use_lo = use_hi;
        use_hi &= mcx_is_zero(a[j] | b[j]);
    }
    /* Leading zeros of the larger, by halving. */
    hi = a_hi | b_hi;
    s = 0;
    for (j = 32; j > 0; j /= 2) {
        uint64_t small = mcx_is_zero(hi >> (64 - j));

        s += (unsigned)(small & (uint64_t)j);
        hi ^= (hi ^ hi << j) & small;
    }
    a_hi = a_hi << s | a_lo >> 1 >> (63 - s);
    b_hi = b_hi << s | b_lo >> 1 >> (63 - s);
    low = (UINT64_C(1) << STEP) - 1;
    a_hi = (a_hi & ~low) | (a[0] & low);
    b_hi = (b_hi & ~low) | (b[0] & low);
    /* One word or less: no picture, the number itself. */
    *xa = a_hi ^ ((a_hi ^ a[0]) & use_lo);
    *xb = b_hi ^ ((b_hi ^ b[0]) & use_lo);
}

/* STEP steps; fa and fb: new a = (a fa.f + b fa.g) / 2^STEP, so for b.  f and
 * g are worked on together as f + 2^32 g; they are from 1 - 2^31 to 2^31. */
static void
inner(struct factor *fa, struct factor *fb, uint64_t xa, uint64_t xb)
{
    const uint64_t bias = UINT64_C(0x7fffffff7fffffff);
    uint64_t v0 = 1, v1 = UINT64_C(1) << 32;
    int i;

    for (i = 0; i < STEP; i++) {
        uint64_t odd = mcx_mask(xa & 1), t, swap;
        unsigned char less = 0;
        mcx_word d;

        MCX_SBB(less, xa, xb, &d);
        (void)d;
        swap = odd & mcx_mask(less);
        t = (xa ^ xb) & swap;
        xa ^= t;
        xb ^= t;
        t = (v0 ^ v1) & swap;
        v0 ^= t;
        v1 ^= t;
        xa = (xa - (xb & odd)) >> 1;
        v0 -= v1 & odd;
        v1 += v1;
    }
    v0 += bias;
    v1 += bias;
    fa->f = (int64_t)((v0 & UINT32_MAX) - 0x7fffffff);
    fa->g = (int64_t)((v0 >> 32) - 0x7fffffff);
    fb->f = (int64_t)((v1 & UINT32_MAX) - 0x7fffffff);
    fb->g = (int64_t)((v1 >> 32) - 0x7fffffff);
}

/* A factor as sign (ones: negative) and size, for -a = ~a + 1 - 2^1024. */
struct size { uint64_t neg, n; };

static struct size
size_of(int64_t f)
{
    struct size s = { mcx_mask((uint64_t)f >> 63), 0 };

    s.n = ((uint64_t)f ^ s.neg) - s.neg;
    return s;
}

/* (top, r) = (a f + b g + m n) / 2^STEP, which is whole; top has a sign. */
static uint64_t
combine(uint64_t *r, const uint64_t *a, const uint64_t *b, struct factor x,
        const uint64_t *m, uint64_t n)
{
    struct size f = size_of(x.f), g = size_of(x.g);
    uint64_t carry = (f.n & f.neg) + (g.n & g.neg), last = 0;
    mcx_u128 t;
    int i;

    for (i = 0; i < MCX_W; i++) {
        t = (mcx_u128)(a[i] ^ f.neg) * f.n + carry;
        t += (mcx_u128)(b[i] ^ g.neg) * g.n;
        if (m) {
            t += (mcx_u128)m[i] * n;
        }
        if (i > 0) {
            r[i - 1] = last >> STEP | (uint64_t)t << (64 - STEP);
        }
        last = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
    carry -= (f.n & f.neg) + (g.n & g.neg);
    r[MCX_W - 1] = last >> STEP | carry << (64 - STEP);
    return (uint64_t)((int64_t)carry >> STEP);
}

/* r = |r|, where top is its sign; ones when it was negative. */
static uint64_t
absolute(uint64_t *r, uint64_t top)
{
    uint64_t neg = mcx_mask(top >> 63);
    unsigned char carry = (unsigned char)(neg & 1);
    mcx_word t;
    int i;

    for (i = 0; i < MCX_W; i++) {
        MCX_ADC(carry, r[i] ^ neg, 0, &t);
        r[i] = t;
    }
    return neg;
}

/* r = (u f + v g) / 2^STEP mod m; u, v < m, |f| + |g| <= 2^STEP: the sum with
 * n m is from -m to 2m. */
static void
combine_mod(uint64_t *r, const uint64_t *u, const uint64_t *v,
            struct factor x, const uint64_t *m, uint64_t k)
{
    uint64_t low = u[0] * (uint64_t)x.f + v[0] * (uint64_t)x.g;
    uint64_t n = low * k & ((UINT64_C(1) << STEP) - 1), neg, t[MCX_W], top;
    int i;

    top = combine(r, u, v, x, m, n);
    neg = mcx_mask(top >> 63);
    for (i = 0; i < MCX_W; i++) {
        t[i] = m[i] & neg;
    }
    top += mcx_w_add(r, r, t);
    mcx_w_reduce(r, top & 1, m);
}

void
mcx_w_inv(uint64_t *r, const uint64_t *x, const uint64_t *m, uint64_t k)
{
    uint64_t n[8][MCX_W] = { { 0 } };
    uint64_t *a = n[0], *b = n[1], *u = n[2], *v = n[3];
    uint64_t *a2 = n[4], *b2 = n[5], *u2 = n[6], *v2 = n[7];
    int i;

    memcpy(a, x, sizeof n[0]);
    memcpy(b, m, sizeof n[0]);
    u[0] = 1;
    for (i = 0; i < ROUNDS; i++) {
        struct factor fa, fb;
        uint64_t xa, xb, neg, *t;

        approximate(&xa, &xb, a, b);
        inner(&fa, &fb, xa, xb);
        neg = absolute(a2, combine(a2, a, b, fa, NULL, 0));
        fa.f = (int64_t)(((uint64_t)fa.f ^ neg) - neg);
        fa.g = (int64_t)(((uint64_t)fa.g ^ neg) - neg);
        neg = absolute(b2, combine(b2, a, b, fb, NULL, 0));
        fb.f = (int64_t)(((uint64_t)fb.f ^ neg) - neg);
        fb.g = (int64_t)(((uint64_t)fb.g ^ neg) - neg);
        combine_mod(u2, u, v, fa, m, k);
        combine_mod(v2, u, v, fb, m, k);
        t = a, a = a2, a2 = t;
        t = b, b = b2, b2 = t;
        t = u, u = u2, u2 = t;
        t = v, v = v2, v2 = t;
    }
    memcpy(r, v, sizeof n[0]);
    mcx_wipe(n, sizeof n);
}
