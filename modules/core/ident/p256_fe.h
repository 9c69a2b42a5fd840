/* p256_fe.h -- numbers modulo P-256's p and q, four words each, least
 * significant first; for p256_body.h, which is compiled once for each
 * back-end.
 *
 * Every number is below its modulus, here and everywhere; elements of F_p are
 * in Montgomery form, a 2^256 mod p.  The same steps for every value.
 *
 * What makes p quick to reduce by: p = 2^96 - 1 + 2^192 p3, so that for the
 * lowest word m of a sum
 *     sum + m p = (sum - m) + m 2^96 + m p3 2^192
 * has nothing left in that word, and costs one product instead of four. */
#ifndef MCX_IDENT_P256_FE_H
#define MCX_IDENT_P256_FE_H

#include "../field/words.h"

enum { FE_W = 4 };
#define P3 UINT64_C(0xffffffff00000001)

struct fe { uint64_t w[FE_W]; };

static const struct fe fe_p = { { UINT64_MAX, UINT64_C(0x00000000ffffffff),
                                  0, P3 } };
static const struct fe fe_q = { { UINT64_C(0xf3b9cac2fc632551),
                                  UINT64_C(0xbce6faada7179e84), UINT64_MAX,
                                  UINT64_C(0xffffffff00000000) } };
/* 2^256 and 2^512 mod p, 2^512 mod q, -1/q mod 2^64 */
static const struct fe fe_one = { { 1, UINT64_C(0xffffffff00000000),
                                    UINT64_MAX,
                                    UINT64_C(0x00000000fffffffe) } };
static const struct fe fe_p_r2 = { { UINT64_C(0x0000000000000003),
                                     UINT64_C(0xfffffffbffffffff),
                                     UINT64_C(0xfffffffffffffffe),
                                     UINT64_C(0x00000004fffffffd) } };
static const struct fe fe_q_r2 = { { UINT64_C(0x83244c95be79eea2),
                                     UINT64_C(0x4699799c49bd6fa6),
                                     UINT64_C(0x2845b2392b6bec59),
                                     UINT64_C(0x66e12d94f3d95620) } };
#define FE_Q_K UINT64_C(0xccd1c8aaee00bc4f)

/* r = (top, t) mod m, for (top, t) < 2m. */
static inline void
fe_reduce(struct fe *r, const uint64_t t[FE_W], uint64_t top,
          const struct fe *m)
{
    mcx_word d[FE_W], none;
    unsigned char c = 0;
    uint64_t keep;
    int i;

#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        MCX_SBB(c, t[i], m->w[i], &d[i]);
    }
    MCX_SBB(c, top, 0, &none);
    (void)none;
    keep = mcx_mask(c); /* t, as it was smaller */
#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        r->w[i] = (t[i] & keep) | (d[i] & ~keep);
    }
}

static inline void
fe_add_mod(struct fe *r, const struct fe *a, const struct fe *b,
           const struct fe *m)
{
    unsigned char c = 0;
    uint64_t s[FE_W];
    mcx_word t;
    int i;

#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        MCX_ADC(c, a->w[i], b->w[i], &t);
        s[i] = t;
    }
    fe_reduce(r, s, c, m);
}

#ifdef MCX_P256_ADX

/* As below; gcc 12 spills the carries of the intrinsics. */
static inline void
fe_add(struct fe *r, const struct fe *a, const struct fe *b)
{
    uint64_t a0 = a->w[0], a1 = a->w[1], a2 = a->w[2], a3 = a->w[3];
    uint64_t d0, d1, d2, d3, top;

    __asm__("xorl %k[c], %k[c]\n\t"
            "addq 0(%[b]), %[a0]\n\t"
            "adcq 8(%[b]), %[a1]\n\t"
            "adcq 16(%[b]), %[a2]\n\t"
            "adcq 24(%[b]), %[a3]\n\t"
            "adcq $0, %[c]\n\t"
            "movq %[a0], %[d0]\n\t"
            "movq %[a1], %[d1]\n\t"
            "movq %[a2], %[d2]\n\t"
            "movq %[a3], %[d3]\n\t"
            "subq $-1, %[a0]\n\t"
            "sbbq %[p1], %[a1]\n\t"
            "sbbq $0, %[a2]\n\t"
            "sbbq %[p3], %[a3]\n\t"
            "sbbq $0, %[c]\n\t"
            "cmovcq %[d0], %[a0]\n\t"
            "cmovcq %[d1], %[a1]\n\t"
            "cmovcq %[d2], %[a2]\n\t"
            "cmovcq %[d3], %[a3]\n\t"
            : [a0] "+&r"(a0), [a1] "+&r"(a1), [a2] "+&r"(a2), [a3] "+&r"(a3),
              [d0] "=&r"(d0), [d1] "=&r"(d1), [d2] "=&r"(d2), [d3] "=&r"(d3),
              [c] "=&r"(top)
            : [b] "r"(b), "m"(*b), [p1] "m"(fe_p.w[1]), [p3] "m"(fe_p.w[3])
            : "cc");
    r->w[0] = a0;
    r->w[1] = a1;
    r->w[2] = a2;
    r->w[3] = a3;
}

static inline void
fe_sub(struct fe *r, const struct fe *a, const struct fe *b)
{
    uint64_t a0 = a->w[0], a1 = a->w[1], a2 = a->w[2], a3 = a->w[3];
    uint64_t m0, m1, m3;

    __asm__("subq 0(%[b]), %[a0]\n\t"
            "sbbq 8(%[b]), %[a1]\n\t"
            "sbbq 16(%[b]), %[a2]\n\t"
            "sbbq 24(%[b]), %[a3]\n\t"
            "sbbq %[m0], %[m0]\n\t"
            "movl %k[m0], %k[m1]\n\t"
            "movq %[p3], %[m3]\n\t"
            "andq %[m0], %[m3]\n\t"
            "addq %[m0], %[a0]\n\t"
            "adcq %[m1], %[a1]\n\t"
            "adcq $0, %[a2]\n\t"
            "adcq %[m3], %[a3]\n\t"
            : [a0] "+&r"(a0), [a1] "+&r"(a1), [a2] "+&r"(a2), [a3] "+&r"(a3),
              [m0] "=&r"(m0), [m1] "=&r"(m1), [m3] "=&r"(m3)
            : [b] "r"(b), "m"(*b), [p3] "m"(fe_p.w[3])
            : "cc");
    r->w[0] = a0;
    r->w[1] = a1;
    r->w[2] = a2;
    r->w[3] = a3;
}

#else

static inline void
fe_add(struct fe *r, const struct fe *a, const struct fe *b)
{
    fe_add_mod(r, a, b, &fe_p);
}

static inline void
fe_sub(struct fe *r, const struct fe *a, const struct fe *b)
{
    unsigned char c = 0;
    mcx_word t[FE_W];
    uint64_t neg;
    int i;

#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        MCX_SBB(c, a->w[i], b->w[i], &t[i]);
    }
    neg = mcx_mask(c);
    c = 0;
    /* p's words: all ones, ones below, zero, P3 */
    MCX_ADC(c, t[0], neg, &t[0]);
    MCX_ADC(c, t[1], neg >> 32, &t[1]);
    MCX_ADC(c, t[2], 0, &t[2]);
    MCX_ADC(c, t[3], neg & P3, &t[3]);
#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        r->w[i] = t[i];
    }
}

#endif

/* Zero stays zero. */
static inline void
fe_neg(struct fe *r, const struct fe *a)
{
    static const struct fe zero;

    fe_sub(r, &zero, a);
}

/* r = a where 'mask' is ones, else as it was. */
static inline void
fe_select(struct fe *r, const struct fe *a, uint64_t mask)
{
    int i;

    for (i = 0; i < FE_W; i++) {
        r->w[i] ^= (r->w[i] ^ a->w[i]) & mask;
    }
}

/* Ones when zero; for public numbers use it as a truth value. */
static inline uint64_t
fe_zero(const struct fe *a)
{
    return mcx_is_zero(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

static inline uint64_t
fe_equal(const struct fe *a, const struct fe *b)
{
    return mcx_is_zero((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1])
                       | (a->w[2] ^ b->w[2]) | (a->w[3] ^ b->w[3]));
}

#ifdef MCX_P256_ADX

/* t_1..t_5 += m p / 2^64, m = t_0; t_5 is the carry. */
#define FE_FOLD(t0, t1, t2, t3, t4, t5)                                       \
    "movq " t0 ", %%rdx\n\t"                                                  \
    "movq " t0 ", %%rax\n\t"                                                  \
    "shlq $32, %%rax\n\t"                                                     \
    "shrq $32, " t0 "\n\t"                                                    \
    "addq %%rax, " t1 "\n\t"                                                  \
    "adcq " t0 ", " t2 "\n\t"                                                 \
    "mulxq %[p3], %%rax, " t0 "\n\t"                                          \
    "adcq %%rax, " t3 "\n\t"                                                  \
    "adcq " t0 ", " t4 "\n\t"                                                 \
    "adcq $0, " t5 "\n\t"

#define FE_STEP(off, x, y)                                                    \
    "mulxq " off "(%[a]), %%rax, %%rcx\n\t"                                   \
    "adcxq %%rax, " x "\n\t"                                                  \
    "adoxq %%rcx, " y "\n\t"

/* t_0..t_5 += b a; t_5 is empty before. */
#define FE_ROW(off, t0, t1, t2, t3, t4, t5)                                   \
    "movq " off "(%[b]), %%rdx\n\t"                                           \
    "xorl %k[z], %k[z]\n\t"                                                   \
    "movl $0, %k" t5 "\n\t"                                                   \
    FE_STEP("0", "%" t0, "%" t1)                                              \
    FE_STEP("8", "%" t1, "%" t2)                                              \
    FE_STEP("16", "%" t2, "%" t3)                                             \
    FE_STEP("24", "%" t3, "%" t4)                                             \
    "adcxq %[z], %" t4 "\n\t"                                                 \
    "adoxq %[z], %" t5 "\n\t"                                                 \
    "adcxq %[z], %" t5 "\n\t"

static inline void
fe_mul(struct fe *r, const struct fe *a, const struct fe *b)
{
    uint64_t t0, t1, t2, t3, t4, t5, z;

    __asm__("movq 0(%[b]), %%rdx\n\t"
            "mulxq 0(%[a]), %[t0], %[t1]\n\t"
            "mulxq 8(%[a]), %%rax, %[t2]\n\t"
            "addq %%rax, %[t1]\n\t"
            "mulxq 16(%[a]), %%rax, %[t3]\n\t"
            "adcq %%rax, %[t2]\n\t"
            "mulxq 24(%[a]), %%rax, %[t4]\n\t"
            "adcq %%rax, %[t3]\n\t"
            "adcq $0, %[t4]\n\t"
            "xorl %k[t5], %k[t5]\n\t"
            FE_FOLD("%[t0]", "%[t1]", "%[t2]", "%[t3]", "%[t4]", "%[t5]")
            FE_ROW("8", "[t1]", "[t2]", "[t3]", "[t4]", "[t5]", "[t0]")
            FE_FOLD("%[t1]", "%[t2]", "%[t3]", "%[t4]", "%[t5]", "%[t0]")
            FE_ROW("16", "[t2]", "[t3]", "[t4]", "[t5]", "[t0]", "[t1]")
            FE_FOLD("%[t2]", "%[t3]", "%[t4]", "%[t5]", "%[t0]", "%[t1]")
            FE_ROW("24", "[t3]", "[t4]", "[t5]", "[t0]", "[t1]", "[t2]")
            FE_FOLD("%[t3]", "%[t4]", "%[t5]", "%[t0]", "%[t1]", "%[t2]")
            /* (t2, t1 t0 t5 t4) less p */
            "movq %[t4], %[t3]\n\t"
            "movq %[t5], %%rax\n\t"
            "movq %[t0], %%rcx\n\t"
            "movq %[t1], %%rdx\n\t"
            "movl $0xffffffff, %k[z]\n\t"
            "subq $-1, %[t4]\n\t"
            "sbbq %[z], %[t5]\n\t"
            "sbbq $0, %[t0]\n\t"
            "sbbq %[p3], %[t1]\n\t"
            "sbbq $0, %[t2]\n\t"
            "cmovcq %[t3], %[t4]\n\t"
            "cmovcq %%rax, %[t5]\n\t"
            "cmovcq %%rcx, %[t0]\n\t"
            "cmovcq %%rdx, %[t1]\n\t"
            : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
              [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [z] "=&r"(z)
            : [a] "r"(a), [b] "r"(b), [p3] "m"(fe_p.w[3]), "m"(*a), "m"(*b)
            : "rax", "rcx", "rdx", "cc");
    r->w[0] = t4;
    r->w[1] = t5;
    r->w[2] = t0;
    r->w[3] = t1;
}

/* As FE_FOLD(), on the lower half alone; the upper one is added in the end.
 * What was the lowest word becomes the highest, without a carry: the upper
 * word of m P3 is below P3. */
#define FE_FOLD_SQR(t0, t1, t2, t3)                                           \
    "movq " t0 ", %%rdx\n\t"                                                  \
    "movq " t0 ", %%rax\n\t"                                                  \
    "shlq $32, %%rax\n\t"                                                     \
    "mulxq %[p3], %%rcx, " t0 "\n\t"                                          \
    "shrq $32, %%rdx\n\t"                                                     \
    "addq %%rax, " t1 "\n\t"                                                  \
    "adcq %%rdx, " t2 "\n\t"                                                  \
    "adcq %%rcx, " t3 "\n\t"                                                  \
    "adcq $0, " t0 "\n\t"

static inline void
fe_sqr(struct fe *r, const struct fe *a)
{
    uint64_t t0, t1, t2, t3, t4, t5, t6, t7;

    __asm__(/* the products of different words */
            "movq 0(%[a]), %%rdx\n\t"
            "mulxq 8(%[a]), %[t1], %[t2]\n\t"
            "mulxq 16(%[a]), %%rax, %[t3]\n\t"
            "addq %%rax, %[t2]\n\t"
            "mulxq 24(%[a]), %%rax, %[t4]\n\t"
            "adcq %%rax, %[t3]\n\t"
            "adcq $0, %[t4]\n\t"
            "movq 8(%[a]), %%rdx\n\t"
            "mulxq 16(%[a]), %%rax, %%rcx\n\t"
            "mulxq 24(%[a]), %[t6], %[t5]\n\t"
            "addq %%rax, %[t3]\n\t"
            "adcq %%rcx, %[t4]\n\t"
            "adcq $0, %[t5]\n\t"
            "addq %[t6], %[t4]\n\t"
            "movq 16(%[a]), %%rdx\n\t"
            "mulxq 24(%[a]), %%rax, %[t6]\n\t"
            "adcq %%rax, %[t5]\n\t"
            "adcq $0, %[t6]\n\t"
            /* twice, and the squares */
            "xorl %k[t7], %k[t7]\n\t"
            "movq 0(%[a]), %%rdx\n\t"
            "mulxq %%rdx, %[t0], %%rcx\n\t"
            "adcxq %[t1], %[t1]\n\t"
            "adoxq %%rcx, %[t1]\n\t"
            "movq 8(%[a]), %%rdx\n\t"
            "mulxq %%rdx, %%rax, %%rcx\n\t"
            "adcxq %[t2], %[t2]\n\t"
            "adoxq %%rax, %[t2]\n\t"
            "adcxq %[t3], %[t3]\n\t"
            "adoxq %%rcx, %[t3]\n\t"
            "movq 16(%[a]), %%rdx\n\t"
            "mulxq %%rdx, %%rax, %%rcx\n\t"
            "adcxq %[t4], %[t4]\n\t"
            "adoxq %%rax, %[t4]\n\t"
            "adcxq %[t5], %[t5]\n\t"
            "adoxq %%rcx, %[t5]\n\t"
            "movq 24(%[a]), %%rdx\n\t"
            "mulxq %%rdx, %%rax, %%rcx\n\t"
            "adcxq %[t6], %[t6]\n\t"
            "adoxq %%rax, %[t6]\n\t"
            "adcxq %[t7], %[t7]\n\t"
            "adoxq %%rcx, %[t7]\n\t"
            FE_FOLD_SQR("%[t0]", "%[t1]", "%[t2]", "%[t3]")
            FE_FOLD_SQR("%[t1]", "%[t2]", "%[t3]", "%[t0]")
            FE_FOLD_SQR("%[t2]", "%[t3]", "%[t0]", "%[t1]")
            FE_FOLD_SQR("%[t3]", "%[t0]", "%[t1]", "%[t2]")
            "xorl %%eax, %%eax\n\t"
            "addq %[t4], %[t0]\n\t"
            "adcq %[t5], %[t1]\n\t"
            "adcq %[t6], %[t2]\n\t"
            "adcq %[t7], %[t3]\n\t"
            "adcq $0, %%rax\n\t"
            /* (rax, t3 .. t0) less p */
            "movq %[t0], %[t4]\n\t"
            "movq %[t1], %[t5]\n\t"
            "movq %[t2], %[t6]\n\t"
            "movq %[t3], %[t7]\n\t"
            "movl $0xffffffff, %%ecx\n\t"
            "subq $-1, %[t0]\n\t"
            "sbbq %%rcx, %[t1]\n\t"
            "sbbq $0, %[t2]\n\t"
            "sbbq %[p3], %[t3]\n\t"
            "sbbq $0, %%rax\n\t"
            "cmovcq %[t4], %[t0]\n\t"
            "cmovcq %[t5], %[t1]\n\t"
            "cmovcq %[t6], %[t2]\n\t"
            "cmovcq %[t7], %[t3]\n\t"
            : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
              [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5),
              [t6] "=&r"(t6), [t7] "=&r"(t7)
            : [a] "r"(a), [p3] "m"(fe_p.w[3]), "m"(*a)
            : "rax", "rcx", "rdx", "cc");
    r->w[0] = t0;
    r->w[1] = t1;
    r->w[2] = t2;
    r->w[3] = t3;
}

#else

/* (t_4, t_3 .. t_0) = (t_4, t) / 2^64 + m p / 2^64 + more 2^192: one word
 * goes; 'carry' is what is above t_4. */
static inline void
fe_fold(uint64_t t[6])
{
    uint64_t m = t[0];
    mcx_u128 high = (mcx_u128)m * P3;
    unsigned char c = 0;
    mcx_word s;

    MCX_ADC(c, t[1], m << 32, &s);
    t[0] = s;
    MCX_ADC(c, t[2], m >> 32, &s);
    t[1] = s;
    MCX_ADC(c, t[3], (uint64_t)high, &s);
    t[2] = s;
    MCX_ADC(c, t[4], (uint64_t)(high >> 64), &s);
    t[3] = s;
    t[4] = t[5] + c;
}

static inline void
fe_mul(struct fe *r, const struct fe *a, const struct fe *b)
{
    uint64_t t[6] = { 0 };
    int i, j;

    /* t < 2p before every round, so t[4] is 0 or 1. */
#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        mcx_u128 c = 0;

#pragma GCC unroll 4
        for (j = 0; j < FE_W; j++) {
            c = (mcx_u128)a->w[j] * b->w[i] + t[j] + (uint64_t)(c >> 64);
            t[j] = (uint64_t)c;
        }
        c = (c >> 64) + t[4];
        t[4] = (uint64_t)c;
        t[5] = (uint64_t)(c >> 64);
        fe_fold(t);
    }
    fe_reduce(r, t, t[4], &fe_p);
}

static inline void
fe_sqr(struct fe *r, const struct fe *a)
{
    fe_mul(r, a, a);
}

#endif

/* r = a b / 2^256 mod q. */
static void
fe_mul_q(struct fe *r, const struct fe *a, const struct fe *b)
{
    uint64_t t[FE_W] = { 0 }, top = 0;
    int i, j;

    /* (top, t) < 2q before every round. */
#pragma GCC unroll 4
    for (i = 0; i < FE_W; i++) {
        mcx_u128 c = (mcx_u128)a->w[0] * b->w[i] + t[0];
        uint64_t n = (uint64_t)c * FE_Q_K;
        mcx_u128 d = (mcx_u128)n * fe_q.w[0] + (uint64_t)c;

#pragma GCC unroll 4
        for (j = 1; j < FE_W; j++) {
            c = (mcx_u128)a->w[j] * b->w[i] + t[j] + (uint64_t)(c >> 64);
            d = (mcx_u128)n * fe_q.w[j] + (uint64_t)c + (uint64_t)(d >> 64);
            t[j - 1] = (uint64_t)d;
        }
        c = (c >> 64) + (d >> 64) + top;
        t[FE_W - 1] = (uint64_t)c;
        top = (uint64_t)(c >> 64);
    }
    fe_reduce(r, t, top, &fe_q);
}

/* Octets, most significant first; any value below 2^256. */
static inline void
fe_load(struct fe *r, const uint8_t b[8 * FE_W])
{
    int i, j;

    for (i = 0; i < FE_W; i++) {
        uint64_t v = 0;

        for (j = 0; j < 8; j++) {
            v = v << 8 | b[8 * (FE_W - 1 - i) + j];
        }
        r->w[i] = v;
    }
}

static inline void
fe_store(uint8_t b[8 * FE_W], const struct fe *a)
{
    int i, j;

    for (i = 0; i < FE_W; i++) {
        for (j = 0; j < 8; j++) {
            b[8 * (FE_W - 1 - i) + j] = (uint8_t)(a->w[i] >> (56 - 8 * j));
        }
    }
}

#endif /* MCX_IDENT_P256_FE_H */
