/* words.h -- 1024-bit numbers as 16 words of 64 bits, least significant first:
 * octets, comparison, addition, and the Montgomery product for any odd
 * modulus.  Portable C, the same steps for every value.
 *
 * The compiler must not turn a mask back into a branch: masks go through
 * mcx_hide(). */
#ifndef MCX_FIELD_WORDS_H
#define MCX_FIELD_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include "consts.h"

__extension__ typedef unsigned __int128 mcx_u128;
__extension__ typedef __int128 mcx_i128;

/* 'x', about which the compiler then knows nothing. */
static inline uint64_t
mcx_hide(uint64_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

/* All ones when 'bit' is 1, zero when 0. */
static inline uint64_t
mcx_mask(uint64_t bit)
{
    return mcx_hide(-bit);
}

/* All ones when 'x' is zero. */
static inline uint64_t
mcx_is_zero(uint64_t x)
{
    return mcx_mask(1 ^ ((x | -x) >> 63));
}

#ifdef __x86_64__
#include <immintrin.h>
#define MCX_ADC(c, a, b, r)                                                   \
    ((c) = _addcarry_u64((c), (a), (b), (r)))
#define MCX_SBB(c, a, b, r)                                                   \
    ((c) = _subborrow_u64((c), (a), (b), (r)))
typedef unsigned long long mcx_word; /* as those want it */
#else
static inline unsigned char
mcx_adc(unsigned char c, uint64_t a, uint64_t b, uint64_t *r)
{
    mcx_u128 t = (mcx_u128)a + b + c;

    *r = (uint64_t)t;
    return (unsigned char)(t >> 64);
}
static inline unsigned char
mcx_sbb(unsigned char c, uint64_t a, uint64_t b, uint64_t *r)
{
    mcx_u128 t = (mcx_u128)a - b - c;

    *r = (uint64_t)t;
    return (unsigned char)(t >> 64) & 1;
}
#define MCX_ADC(c, a, b, r) ((c) = mcx_adc((c), (a), (b), (r)))
#define MCX_SBB(c, a, b, r) ((c) = mcx_sbb((c), (a), (b), (r)))
typedef uint64_t mcx_word;
#endif

/* r = a + b, the carry comes back. */
static inline uint64_t
mcx_w_add(uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    unsigned char c = 0;
    mcx_word t;
    int i;

#pragma GCC unroll 16
    for (i = 0; i < MCX_W; i++) {
        MCX_ADC(c, a[i], b[i], &t);
        r[i] = t;
    }
    return c;
}

/* r = a - b, the borrow (0 or 1) comes back. */
static inline uint64_t
mcx_w_sub(uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    unsigned char c = 0;
    mcx_word t;
    int i;

#pragma GCC unroll 16
    for (i = 0; i < MCX_W; i++) {
        MCX_SBB(c, a[i], b[i], &t);
        r[i] = t;
    }
    return c;
}

/* r = a where 'mask' is ones, else as it was. */
static inline void
mcx_w_select(uint64_t *r, const uint64_t *a, uint64_t mask)
{
    int i;

    for (i = 0; i < MCX_W; i++) {
        r[i] ^= (r[i] ^ a[i]) & mask;
    }
}

/* r = (top, a) mod m for (top, a) < 2m. */
static inline void
mcx_w_reduce_to(uint64_t *r, const uint64_t *a, uint64_t top,
                const uint64_t *m)
{
    uint64_t t[MCX_W], keep;
    int i;

    keep = mcx_mask((mcx_w_sub(t, a, m) ^ 1) | top);
    for (i = 0; i < MCX_W; i++) {
        r[i] = a[i] ^ ((a[i] ^ t[i]) & keep);
    }
}

static inline void
mcx_w_reduce(uint64_t *r, uint64_t top, const uint64_t *m)
{
    mcx_w_reduce_to(r, r, top, m);
}

/* r = (top, r) mod p for (top, r) < 4p: 2p = 2^1024 + m, then p. */
static inline void
mcx_w_reduce4(uint64_t *r, uint64_t top)
{
    uint64_t m[MCX_W], borrow, keep;
    int i;

    for (i = MCX_W - 1; i > 0; i--) {
        m[i] = mcx_w_p[i] << 1 | mcx_w_p[i - 1] >> 63;
    }
    m[0] = mcx_w_p[0] << 1;
    borrow = mcx_w_sub(m, r, m);
    /* (top, r) - 2p = (top - 1 - borrow) 2^1024 + m, kept unless negative */
    keep = mcx_mask((top - 1 - borrow) >> 63 ^ 1);
    mcx_w_select(r, m, keep);
    mcx_w_reduce(r, top - ((1 + borrow) & keep), mcx_w_p);
}

/* Ones when all words are zero. */
static inline uint64_t
mcx_w_zero(const uint64_t *a)
{
    uint64_t any = 0;
    int i;

    for (i = 0; i < MCX_W; i++) {
        any |= a[i];
    }
    return mcx_is_zero(any);
}

static inline void
mcx_w_read(uint64_t *r, const uint8_t b[8 * MCX_W])
{
    int i, j;

    for (i = 0; i < MCX_W; i++) {
        uint64_t v = 0;

        for (j = 0; j < 8; j++) {
            v = v << 8 | b[8 * (MCX_W - 1 - i) + j];
        }
        r[i] = v;
    }
}

static inline void
mcx_w_write(uint8_t b[8 * MCX_W], const uint64_t *a)
{
    int i, j;

    for (i = 0; i < MCX_W; i++) {
        for (j = 0; j < 8; j++) {
            b[8 * (MCX_W - 1 - i) + j] = (uint8_t)(a[i] >> (56 - 8 * j));
        }
    }
}

/* r = a b / 2^1024 mod m, k = -1/m mod 2^64; a, b < m.  Not the fast one. */
void mcx_w_montmul(uint64_t *r, const uint64_t *a, const uint64_t *b,
                   const uint64_t *m, uint64_t k);
/* r = a mod q, for any 16 words. */
void mcx_w_mod_q(uint64_t *r, const uint64_t *a);
/* r = a b mod q; a, b < q. */
void mcx_w_mul_q(uint64_t *r, const uint64_t *a, const uint64_t *b);
/* r = 1/a mod m for an odd m and a < m; 0 for 0.  k as above. */
void mcx_w_inv(uint64_t *r, const uint64_t *a, const uint64_t *m, uint64_t k);

#endif /* MCX_FIELD_WORDS_H */
