/* v8.h -- eight 64-bit lanes: the few AVX-512 instructions that fp_ifma.h is
 * made of; or, with MCX_IFMA_EMULATED, the same in plain C, for machines and
 * checkers that cannot execute them. */
#ifndef MCX_FIELD_V8_H
#define MCX_FIELD_V8_H

#include <stdint.h>

#ifndef MCX_IFMA_EMULATED
#include <immintrin.h>

typedef __m512i v8;

#define v_zero() _mm512_setzero_si512()
#define v_all(x) _mm512_set1_epi64((long long)(x))
#define v_load(p) _mm512_load_si512((const void *)(p))
#define v_store(p, a) _mm512_store_si512((void *)(p), (a))
#define v_add(a, b) _mm512_add_epi64((a), (b))
#define v_sub(a, b) _mm512_sub_epi64((a), (b))
#define v_and(a, b) _mm512_and_si512((a), (b))
#define v_or(a, b) _mm512_or_si512((a), (b))
#define v_xor(a, b) _mm512_xor_si512((a), (b))
#define v_srl(a, n) _mm512_srli_epi64((a), (n))
#define v_sll(a, n) _mm512_slli_epi64((a), (n))
/* with the sign */
#define v_sra(a, n) _mm512_srai_epi64((a), (n))
/* (b, a) >> n of each lane, its low word */
#define v_shrd(a, b, n) _mm512_shrdi_epi64((a), (b), (n))
/* low and high 52 bits of a b, of the low 52 bits of each, added to c */
#define v_lo(c, a, b) _mm512_madd52lo_epu64((c), (a), (b))
#define v_hi(c, a, b) _mm512_madd52hi_epu64((c), (a), (b))
/* lanes n.. of (hi, lo) */
#define v_align(hi, lo, n) _mm512_alignr_epi64((hi), (lo), (n))
/* lane 0, 1, 5 to all */
#define v_lane0(a) _mm512_broadcastq_epi64(_mm512_castsi512_si128(a))
#define v_lane1(a) _mm512_permutexvar_epi64(_mm512_set1_epi64(1), (a))
#define v_lane5(a) _mm512_permutexvar_epi64(_mm512_set1_epi64(5), (a))
/* zero but for the lanes 0 to 5 */
#define v_first6(a) _mm512_maskz_mov_epi64(63, (a))
/* lane 0 to lane 1 and lane 1 to lane 0; the others do not matter */
#define v_up1(a) _mm512_bslli_epi128((a), 8)
#define v_down1(a) _mm512_bsrli_epi128((a), 8)
/* a + b in lane 0, a in the others */
#define v_add0(a, b) _mm512_mask_add_epi64((a), 1, (a), (b))
/* bits of the lanes where a > b, a = b (unsigned) */
#define v_gt(a, b) ((uint64_t)_mm512_cmpgt_epu64_mask((a), (b)))
#define v_eq(a, b) ((uint64_t)_mm512_cmpeq_epu64_mask((a), (b)))
/* a + 1 in the lanes whose bit of m is set */
#define v_inc(a, m) \
    _mm512_mask_add_epi64((a), (__mmask8)(m), (a), _mm512_set1_epi64(1))
/* b in the lanes whose bit of m is set, else a */
#define v_pick(a, m, b) _mm512_mask_mov_epi64((a), (__mmask8)(m), (b))
/* r | c in the lanes where a = b, else r */
#define v_or_eq(r, a, b, c)                                                   \
    _mm512_mask_or_epi64((r), _mm512_cmpeq_epi64_mask((a), (b)), (r), (c))
/* lane i = word at[i] of p */
#define v_gather(p, at) _mm512_i64gather_epi64((at), (p), 8)
/* lane i = a's lane (i + n) mod 8 */
#define v_turn(a, n)                                                          \
    _mm512_permutexvar_epi64(                                                 \
        _mm512_and_si512(                                                     \
            _mm512_add_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),        \
                             _mm512_set1_epi64(n)),                           \
            _mm512_set1_epi64(7)), (a))

/* Eight vectors as rows of a matrix, transposed. */
static inline void
v_transpose(v8 r[8])
{
    v8 t[8], u[8];
    int i;

#pragma GCC unroll 4
    for (i = 0; i < 4; i++) {
        t[2 * i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (i = 0; i < 2; i++) {
        u[i] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0x88);
        u[i + 2] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0xdd);
        u[i + 4] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0x88);
        u[i + 6] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0xdd);
    }
#pragma GCC unroll 2
    for (i = 0; i < 2; i++) {
        r[i] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0x88);
        r[i + 4] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0xdd);
        r[i + 2] = _mm512_shuffle_i64x2(u[i + 2], u[i + 6], 0x88);
        r[i + 6] = _mm512_shuffle_i64x2(u[i + 2], u[i + 6], 0xdd);
    }
}

#else /* emulated */

typedef struct { _Alignas(64) uint64_t x[8]; } v8;

#define V_EACH(expr)                                                          \
    do {                                                                      \
        int i;                                                                \
        for (i = 0; i < 8; i++) {                                             \
            r.x[i] = (expr);                                                  \
        }                                                                     \
    } while (0)
#define V_FN2(name, expr)                                                     \
    static inline v8 name(v8 a, v8 b)                                         \
    {                                                                         \
        v8 r;                                                                 \
        V_EACH(expr);                                                         \
        return r;                                                             \
    }
#define V_FN1N(name, expr)                                                    \
    static inline v8 name(v8 a, int n)                                        \
    {                                                                         \
        v8 r;                                                                 \
        V_EACH(expr);                                                         \
        return r;                                                             \
    }
#define V_52 ((UINT64_C(1) << 52) - 1)

V_FN2(v_add, a.x[i] + b.x[i])
V_FN2(v_sub, a.x[i] - b.x[i])
V_FN2(v_and, a.x[i] & b.x[i])
V_FN2(v_or, a.x[i] | b.x[i])
V_FN2(v_xor, a.x[i] ^ b.x[i])
V_FN2(v_add0, a.x[i] + (i == 0 ? b.x[i] : 0))
V_FN1N(v_srl, a.x[i] >> n)
V_FN1N(v_sll, a.x[i] << n)
V_FN1N(v_sra, (uint64_t)((int64_t)a.x[i] >> n))
V_FN1N(v_turn, a.x[(i + n) % 8])
V_FN1N(v_inc_, a.x[i] + ((unsigned)n >> i & 1))
#define v_inc(a, m) v_inc_((a), (int)((m) & 255))
V_FN1N(v_from_, a.x[n] + 0 * (uint64_t)i)
#define v_lane0(a) v_from_((a), 0)
#define v_lane1(a) v_from_((a), 1)
#define v_lane5(a) v_from_((a), 5)
V_FN1N(v_swap_, a.x[i ^ n])
#define v_up1(a) v_swap_((a), 1)
#define v_down1(a) v_swap_((a), 1)

static inline v8
v_all(uint64_t a)
{
    v8 r;

    V_EACH(a);
    return r;
}

static inline v8
v_zero(void)
{
    return v_all(0);
}

static inline v8
v_first6(v8 a)
{
    a.x[6] = a.x[7] = 0;
    return a;
}

static inline v8
v_load(const void *p)
{
    return *(const v8 *)p;
}

static inline void
v_store(void *p, v8 a)
{
    *(v8 *)p = a;
}

static inline v8
v_shrd(v8 a, v8 b, int n)
{
    v8 r;

    V_EACH(n ? a.x[i] >> n | b.x[i] << (64 - n) : a.x[i]);
    return r;
}

static inline v8
v_lo(v8 c, v8 a, v8 b)
{
    v8 r;

    V_EACH(c.x[i] + (((a.x[i] & V_52) * (b.x[i] & V_52)) & V_52));
    return r;
}

static inline v8
v_hi(v8 c, v8 a, v8 b)
{
    v8 r;

    V_EACH(c.x[i]
           + (uint64_t)((mcx_u128)(a.x[i] & V_52) * (b.x[i] & V_52) >> 52));
    return r;
}

static inline v8
v_align(v8 hi, v8 lo, int n)
{
    v8 r;

    V_EACH(i + n < 8 ? lo.x[i + n] : hi.x[i + n - 8]);
    return r;
}

static inline v8
v_pick(v8 a, uint64_t m, v8 b)
{
    v8 r;

    V_EACH(a.x[i] ^ ((a.x[i] ^ b.x[i]) & mcx_mask(m >> i & 1)));
    return r;
}

static inline v8
v_or_eq(v8 to, v8 a, v8 b, v8 c)
{
    v8 r;

    V_EACH(to.x[i] | (c.x[i] & mcx_is_zero(a.x[i] ^ b.x[i])));
    return r;
}

static inline v8
v_gather(const uint64_t *p, v8 at)
{
    v8 r;

    V_EACH(p[at.x[i]]);
    return r;
}

static inline uint64_t
v_gt(v8 a, v8 b)
{
    uint64_t m = 0;
    int i;

    for (i = 0; i < 8; i++) {
        m |= (uint64_t)(((mcx_u128)b.x[i] - a.x[i]) >> 127) << i;
    }
    return m;
}

static inline uint64_t
v_eq(v8 a, v8 b)
{
    uint64_t m = 0;
    int i;

    for (i = 0; i < 8; i++) {
        m |= (mcx_is_zero(a.x[i] ^ b.x[i]) & 1) << i;
    }
    return m;
}

static inline void
v_transpose(v8 r[8])
{
    int i, j;

    for (i = 0; i < 8; i++) {
        for (j = 0; j < i; j++) {
            uint64_t t = r[i].x[j];

            r[i].x[j] = r[j].x[i];
            r[j].x[i] = t;
        }
    }
}
#endif

#endif /* MCX_FIELD_V8_H */
