/* p256_ifma.c -- eight multiplications of P-256 points at once, in the lanes
 * of AVX-512 IFMA, for mcx_eccsi_verify_many().  Public values only: it looks
 * up its tables by what it is given.  See p256_ops.h.
 *
 * An element is five limbs of 52 bits, in Montgomery's form 2^260.  mul()
 * takes limbs below 2^52 and values below 4p and gives such below 2p: (16 p^2
 * + 2^260 p) / 2^260.  add() and sub() take values below 2p and bring theirs
 * below 2^256 + 2^229. */
#include <config.h>
#include <immintrin.h>
#include <string.h>
#include "p256_ops.h"

enum { L = 5, W = 5, HALF = 1 << (W - 1), LANES = MCX_P256_LANES };
#define M52 ((UINT64_C(1) << 52) - 1)

/* p's limbs are 2^52 - 1, P_1, 0, P_3, P_4 */
#define P_0 M52
#define P_1 UINT64_C(0x00fffffffffff)
#define P_3 UINT64_C(0x1000000000)
#define P_4 UINT64_C(0x0ffffffff0000)

struct v { __m512i l[L]; };
struct jv { struct v x, y, z; };

static inline __m512i
all(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

/* Limbs with signs to limbs below 2^52; the value is not negative and below
 * 2^260. */
static inline void
carry(__m512i *l)
{
    int i;

#pragma GCC unroll 5
    for (i = 0; i < L - 1; i++) {
        l[i + 1] = _mm512_add_epi64(l[i + 1], _mm512_srai_epi64(l[i], 52));
        l[i] = _mm512_and_si512(l[i], all(M52));
    }
}

/* Less p as often as 2^256 fits: 2^256 - p = 2^224 - 2^192 - 2^96 + 1. */
static inline void
weak(__m512i *l)
{
    __m512i q;

    carry(l);
    q = _mm512_srli_epi64(l[4], 48);
    l[4] = _mm512_and_si512(l[4], all(UINT64_C(0xffffffffffff)));
    l[4] = _mm512_add_epi64(l[4], _mm512_slli_epi64(q, 16));
    l[3] = _mm512_sub_epi64(l[3], _mm512_slli_epi64(q, 36));
    l[1] = _mm512_sub_epi64(l[1], _mm512_slli_epi64(q, 44));
    l[0] = _mm512_add_epi64(l[0], q);
    carry(l);
}

static inline void
add(struct v *r, const struct v *a, const struct v *b)
{
    int i;

#pragma GCC unroll 5
    for (i = 0; i < L; i++) {
        r->l[i] = _mm512_add_epi64(a->l[i], b->l[i]);
    }
    weak(r->l);
}

static inline void
sub(struct v *r, const struct v *a, const struct v *b)
{
    static const uint64_t twice[L] = { 2 * P_0, 2 * P_1, 0, 2 * P_3,
                                       2 * P_4 };
    int i;

#pragma GCC unroll 5
    for (i = 0; i < L; i++) {
        r->l[i] = _mm512_sub_epi64(_mm512_add_epi64(a->l[i], all(twice[i])),
                                   b->l[i]);
    }
    weak(r->l);
}

/* -1/p mod 2^52 is 1, and t_0 + m p_0 for m = t_0 mod 2^52 is m 2^52 and what
 * t_0 has above. */
static inline void
mul(struct v *r, const struct v *a, const struct v *b)
{
    __m512i t[L + 1], m, zero = _mm512_setzero_si512();
    int i, j;

#pragma GCC unroll 6
    for (i = 0; i <= L; i++) {
        t[i] = zero;
    }
#pragma GCC unroll 5
    for (i = 0; i < L; i++) {
#pragma GCC unroll 5
        for (j = 0; j < L; j++) {
            t[j] = _mm512_madd52lo_epu64(t[j], a->l[i], b->l[j]);
        }
#pragma GCC unroll 5
        for (j = 0; j < L; j++) {
            t[j + 1] = _mm512_madd52hi_epu64(t[j + 1], a->l[i], b->l[j]);
        }
        m = _mm512_and_si512(t[0], all(M52));
        t[1] = _mm512_add_epi64(t[1], _mm512_srli_epi64(t[0], 52));
        t[1] = _mm512_add_epi64(t[1], m);
        t[1] = _mm512_madd52lo_epu64(t[1], m, all(P_1));
        t[2] = _mm512_madd52hi_epu64(t[2], m, all(P_1));
        t[3] = _mm512_madd52lo_epu64(t[3], m, all(P_3));
        t[4] = _mm512_madd52hi_epu64(t[4], m, all(P_3));
        t[4] = _mm512_madd52lo_epu64(t[4], m, all(P_4));
        t[5] = _mm512_madd52hi_epu64(t[5], m, all(P_4));
#pragma GCC unroll 5
        for (j = 0; j < L; j++) {
            t[j] = t[j + 1];
        }
        t[L] = zero;
    }
    carry(t);
    memcpy(r->l, t, sizeof r->l);
}

/* Lanes where a, a result of sub(), is 0 modulo p. */
static inline __mmask8
is_zero(const struct v *a)
{
    static const uint64_t p[L] = { P_0, P_1, 0, P_3, P_4 };
    __mmask8 zero = 0xff, same = 0xff;
    int i;

    for (i = 0; i < L; i++) {
        zero &= _mm512_cmpeq_epi64_mask(a->l[i], _mm512_setzero_si512());
        same &= _mm512_cmpeq_epi64_mask(a->l[i], all(p[i]));
    }
    return zero | same;
}

static inline void
choose(struct v *r, const struct v *a, __mmask8 take)
{
    int i;

    for (i = 0; i < L; i++) {
        r->l[i] = _mm512_mask_mov_epi64(r->l[i], take, a->l[i]);
    }
}

/* ---- the group: the formulas of p256_body.h ---------------------------- */

static void
dbl(struct jv *r)
{
    struct v zz, yy, xyy, t, u, al;

    mul(&zz, &r->z, &r->z);
    mul(&yy, &r->y, &r->y);
    sub(&t, &r->x, &zz);
    add(&u, &r->x, &zz);
    mul(&al, &t, &u);
    mul(&xyy, &r->x, &yy);
    mul(&r->z, &r->y, &r->z);
    add(&r->z, &r->z, &r->z);
    add(&t, &al, &al);
    add(&al, &al, &t);
    add(&xyy, &xyy, &xyy);
    add(&xyy, &xyy, &xyy);
    add(&yy, &yy, &yy);
    mul(&yy, &yy, &yy);
    add(&yy, &yy, &yy);
    mul(&t, &al, &al);
    sub(&t, &t, &xyy);
    sub(&r->x, &t, &xyy);
    sub(&t, &xyy, &r->x);
    mul(&t, &t, &al);
    sub(&r->y, &t, &yy);
}

/* r = a + b where neither is infinity; the lanes where they have one x, and
 * the sum is wrong, come back. */
static __mmask8
sum(struct jv *r, const struct jv *a, const struct jv *b)
{
    struct v za, zb, u1, s1, h, d, z, hh, hhh, t;
    __mmask8 met;

    mul(&za, &a->z, &a->z);
    mul(&zb, &b->z, &b->z);
    mul(&u1, &a->x, &zb);
    mul(&zb, &zb, &b->z);
    mul(&s1, &a->y, &zb);
    mul(&h, &b->x, &za);
    mul(&za, &za, &a->z);
    mul(&d, &b->y, &za);
    mul(&z, &a->z, &b->z);
    sub(&h, &h, &u1);
    sub(&d, &d, &s1);
    met = is_zero(&h);
    mul(&hh, &h, &h);
    mul(&r->z, &z, &h);
    mul(&hhh, &hh, &h);
    mul(&u1, &u1, &hh);
    mul(&t, &d, &d);
    sub(&t, &t, &hhh);
    sub(&t, &t, &u1);
    sub(&r->x, &t, &u1);
    sub(&t, &u1, &r->x);
    mul(&t, &t, &d);
    mul(&hhh, &hhh, &s1);
    sub(&r->y, &t, &hhh);
    return met;
}

/* ---- in and out -------------------------------------------------------- */

static void
load(struct v *r, const uint64_t *const w[LANES])
{
    _Alignas(64) uint64_t l[L][LANES];
    int i;

    for (i = 0; i < LANES; i++) {
        const uint64_t *a = w[i];

        l[0][i] = a[0] & M52;
        l[1][i] = (a[0] >> 52 | a[1] << 12) & M52;
        l[2][i] = (a[1] >> 40 | a[2] << 24) & M52;
        l[3][i] = (a[2] >> 28 | a[3] << 36) & M52;
        l[4][i] = a[3] >> 16;
    }
    for (i = 0; i < L; i++) {
        r->l[i] = _mm512_load_si512(l[i]);
    }
}

/* Below p, to words. */
static void
store(uint64_t (*w)[4], const struct v *a)
{
    _Alignas(64) uint64_t l[L][LANES];
    struct v zero = { { _mm512_setzero_si512() } }, t;
    int i;

    for (i = 1; i < L; i++) {
        zero.l[i] = zero.l[0];
    }
    add(&t, a, &zero);
    for (i = 0; i < L; i++) {
        _mm512_store_si512(l[i], t.l[i]);
    }
    for (i = 0; i < LANES; i++) {
        uint64_t s[4], d[4];
        __extension__ __int128 c = 0;
        static const uint64_t p[4] = { UINT64_MAX, UINT32_MAX, 0,
                                       UINT64_C(0xffffffff00000001) };
        int j;

        s[0] = l[0][i] | l[1][i] << 52;
        s[1] = l[1][i] >> 12 | l[2][i] << 40;
        s[2] = l[2][i] >> 24 | l[3][i] << 28;
        s[3] = l[3][i] >> 36 | l[4][i] << 16;
        c = 0;
        for (j = 0; j < 4; j++) {
            c += (__int128)s[j] - p[j];
            d[j] = (uint64_t)c;
            c >>= 64;
        }
        c += (__int128)(l[4][i] >> 48);
        memcpy(w[i], c < 0 ? s : d, sizeof s);
    }
}

/* Digit m of A. Booth's, -16 to 16. */
static int
digit(const uint8_t k[32], int m)
{
    int at = W * m - 1, v = 0, j;

    for (j = W; j >= 0; j--) {
        int bit = at + j;

        v = v << 1
            | (bit >= 0 && bit < 256 ? k[31 - bit / 8] >> bit % 8 & 1 : 0);
    }
    return v >> W ? -((2 * 2 * HALF - v) >> 1) : (v + 1) >> 1;
}

/* Each lane's multiple by its digit; '*none' where that is 0. */
static void
look_up(struct jv *r, __mmask8 *none, const struct jv *table,
        const uint8_t *const k[LANES], int m)
{
    _Alignas(64) uint64_t at[LANES];
    struct v minus;
    __mmask8 neg = 0;
    __m512i index;
    const uint64_t *base = (const uint64_t *)table;
    struct v *to = &r->x;
    int i, j;

    *none = 0;
    for (i = 0; i < LANES; i++) {
        int d = digit(k[i], m);

        *none |= (__mmask8)((d == 0) << i);
        neg |= (__mmask8)((d < 0) << i);
        d = d < 0 ? -d : d == 0 ? 1 : d;
        at[i] = (uint64_t)(d - 1) * (sizeof *table / 8) + (uint64_t)i;
    }
    index = _mm512_load_si512(at);
    for (j = 0; j < 3; j++) {
        for (i = 0; i < L; i++) {
            to[j].l[i] = _mm512_i64gather_epi64(index,
                                                base + LANES * (L * j + i),
                                                8);
        }
    }
    for (i = 0; i < L; i++) {
        minus.l[i] = _mm512_setzero_si512();
    }
    sub(&minus, &minus, &r->y);
    choose(&r->y, &minus, neg);
}

unsigned
mcx_p256_lanes_mul(struct mcx_p256_jac r[MCX_P256_LANES],
                   const struct mcx_p256_point *const a[MCX_P256_LANES],
                   const uint8_t *const k[MCX_P256_LANES])
{
    /* 2^264, 2^260 and 2^256 mod p: into our form, one, and out of it */
    static const uint64_t in[4] = { 0x100, UINT64_C(0xffffff0000000000),
                                    UINT64_MAX, UINT64_C(0xfffffffeff) };
    static const uint64_t one[4] = { 0x10, UINT64_C(0xfffffff000000000),
                                     UINT64_MAX, UINT64_C(0xfffffffef) };
    static const uint64_t out[4] = { 1, UINT64_C(0xffffffff00000000),
                                     UINT64_MAX, UINT64_C(0xfffffffe) };
    const uint64_t *w[LANES], *v[LANES];
    uint64_t words[3][LANES][4];
    struct jv table[HALF], acc, next;
    __mmask8 empty = 0xff, none, doubt = 0;
    struct v c;
    int i, j;

    for (i = 0; i < LANES; i++) {
        w[i] = in;
    }
    load(&c, w);
    for (i = 0; i < LANES; i++) {
        w[i] = a[i]->x;
        v[i] = a[i]->y;
    }
    load(&table[0].x, w);
    load(&table[0].y, v);
    mul(&table[0].x, &table[0].x, &c);
    mul(&table[0].y, &table[0].y, &c);
    for (i = 0; i < LANES; i++) {
        w[i] = one;
    }
    load(&table[0].z, w);
    table[1] = table[0];
    dbl(&table[1]);
    for (i = 2; i < HALF; i++) {
        doubt |= sum(&table[i], &table[i - 1], &table[0]);
    }
    memset(&acc, 0, sizeof acc);
    for (i = MCX_P256_WINDOWS(W) - 1; i >= 0; i--) {
        struct jv b;
        __mmask8 met;

        for (j = 0; j < W && empty != 0xff; j++) {
            dbl(&acc);
        }
        look_up(&b, &none, table, k, i);
        met = sum(&next, &acc, &b);
        doubt |= met & (__mmask8)~(empty | none);
        choose(&next.x, &b.x, empty);
        choose(&next.y, &b.y, empty);
        choose(&next.z, &b.z, empty);
        choose(&acc.x, &next.x, (__mmask8)~none);
        choose(&acc.y, &next.y, (__mmask8)~none);
        choose(&acc.z, &next.z, (__mmask8)~none);
        empty &= none;
    }
    for (i = 0; i < LANES; i++) {
        w[i] = out;
    }
    load(&c, w);
    mul(&acc.x, &acc.x, &c);
    mul(&acc.y, &acc.y, &c);
    mul(&acc.z, &acc.z, &c);
    store(words[0], &acc.x);
    store(words[1], &acc.y);
    store(words[2], &acc.z);
    for (i = 0; i < LANES; i++) {
        memcpy(r[i].x, words[0][i], sizeof r[i].x);
        memcpy(r[i].y, words[1][i], sizeof r[i].y);
        memcpy(r[i].z, words[2][i], sizeof r[i].z);
    }
    return (unsigned)(__mmask8)~doubt;
}
