/* fp_adx.h -- products with mulx, adcx and adox, over the frame of
 * fp_portable.h: same form, same bounds.
 *
 * Everything is made of rows: eight accumulators in registers, to which
 * b a_0..7 is added with two carry chains, one for the low halves and one for
 * the high; then the lowest accumulator leaves and the rest move down. */
#ifndef MCX_FIELD_FP_ADX_H
#define MCX_FIELD_FP_ADX_H

#include <string.h>
#include "words.h"

#define ADX_STEP(off, x, y)                                                   \
    "mulxq " off "(%[a]), %%rax, %%rcx\n\t"                                   \
    "adcxq %%rax, " x "\n\t"                                                  \
    "adoxq %%rcx, " y "\n\t"

/* One row.  x0 is the lowest accumulator and leaves to 'out'; afterwards its
 * register is the highest. */
#define ADX_ROW(b, out, x0, x1, x2, x3, x4, x5, x6, x7)                       \
    "movq " b ", %%rdx\n\t"                                                   \
    "xorl %%eax, %%eax\n\t" /* clears both carries */                         \
    ADX_STEP("0", x0, x1)                                                     \
    "movq " x0 ", " out "\n\t"                                                \
    ADX_STEP("8", x1, x2)                                                     \
    ADX_STEP("16", x2, x3)                                                    \
    ADX_STEP("24", x3, x4)                                                    \
    ADX_STEP("32", x4, x5)                                                    \
    ADX_STEP("40", x5, x6)                                                    \
    ADX_STEP("48", x6, x7)                                                    \
    "mulxq 56(%[a]), %%rax, " x0 "\n\t"                                       \
    "adcxq %%rax, " x7 "\n\t"                                                 \
    "movl $0, %%eax\n\t"                                                      \
    "adoxq %%rax, " x0 "\n\t"                                                 \
    "adcxq %%rax, " x0 "\n\t"

/* The carry waits in xmm0: the other registers are all taken. */
#define ADX_LOAD                                                              \
    "movq %%rax, %%xmm0\n\t"                                                  \
    "movq 0(%[t]), %%r8\n\t"                                                  \
    "movq 8(%[t]), %%r9\n\t"                                                  \
    "movq 16(%[t]), %%r10\n\t"                                                \
    "movq 24(%[t]), %%r11\n\t"                                                \
    "movq 32(%[t]), %%r12\n\t"                                                \
    "movq 40(%[t]), %%r13\n\t"                                                \
    "movq 48(%[t]), %%r14\n\t"                                                \
    "movq 56(%[t]), %%r15\n\t"

/* The upper half of what came out joins t_8..15, with a carry in; the carry
 * out is left in rax. */
#define ADX_STORE                                                             \
    "movq %%xmm0, %%rdx\n\t"                                                  \
    "movl $0, %%eax\n\t"                                                      \
    "addq $-1, %%rdx\n\t"                                                     \
    "adcq 64(%[t]), %%r8\n\t"                                                 \
    "adcq 72(%[t]), %%r9\n\t"                                                 \
    "adcq 80(%[t]), %%r10\n\t"                                                \
    "adcq 88(%[t]), %%r11\n\t"                                                \
    "adcq 96(%[t]), %%r12\n\t"                                                \
    "adcq 104(%[t]), %%r13\n\t"                                               \
    "adcq 112(%[t]), %%r14\n\t"                                               \
    "adcq 120(%[t]), %%r15\n\t"                                               \
    "adcq $0, %%rax\n\t"                                                      \
    "movq %%r8, 64(%[t])\n\t"                                                 \
    "movq %%r9, 72(%[t])\n\t"                                                 \
    "movq %%r10, 80(%[t])\n\t"                                                \
    "movq %%r11, 88(%[t])\n\t"                                                \
    "movq %%r12, 96(%[t])\n\t"                                                \
    "movq %%r13, 104(%[t])\n\t"                                               \
    "movq %%r14, 112(%[t])\n\t"                                               \
    "movq %%r15, 120(%[t])\n\t"

/* The same where t_8..15 is not yet anything: no carry in, none out. */
#define ADX_PUT                                                               \
    "movq %%r8, 64(%[t])\n\t"                                                 \
    "movq %%r9, 72(%[t])\n\t"                                                 \
    "movq %%r10, 80(%[t])\n\t"                                                \
    "movq %%r11, 88(%[t])\n\t"                                                \
    "movq %%r12, 96(%[t])\n\t"                                                \
    "movq %%r13, 104(%[t])\n\t"                                               \
    "movq %%r14, 112(%[t])\n\t"                                               \
    "movq %%r15, 120(%[t])\n\t"

#define R0 "%%r8", "%%r9", "%%r10", "%%r11", "%%r12", "%%r13", "%%r14", "%%r15"
#define R1 "%%r9", "%%r10", "%%r11", "%%r12", "%%r13", "%%r14", "%%r15", "%%r8"
#define R2 "%%r10", "%%r11", "%%r12", "%%r13", "%%r14", "%%r15", "%%r8", "%%r9"
#define R3 "%%r11", "%%r12", "%%r13", "%%r14", "%%r15", "%%r8", "%%r9", "%%r10"
#define R4 "%%r12", "%%r13", "%%r14", "%%r15", "%%r8", "%%r9", "%%r10", "%%r11"
#define R5 "%%r13", "%%r14", "%%r15", "%%r8", "%%r9", "%%r10", "%%r11", "%%r12"
#define R6 "%%r14", "%%r15", "%%r8", "%%r9", "%%r10", "%%r11", "%%r12", "%%r13"
#define R7 "%%r15", "%%r8", "%%r9", "%%r10", "%%r11", "%%r12", "%%r13", "%%r14"
#define ADX_ROW_(...) ADX_ROW(__VA_ARGS__)

#define ADX_CLOBBERS                                                          \
    "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",       \
        "xmm0", "cc", "memory"

/* t_0..15 += a_0..7 b_0..7 + 2^512 carry; the carry out of t_15 comes
 * back. */
static inline uint64_t
adx_block(uint64_t *t, const uint64_t *a, const uint64_t *b, uint64_t carry)
{
    __asm__ __volatile__(
        ADX_LOAD
        ADX_ROW_("0(%[b])", "0(%[t])", R0)
        ADX_ROW_("8(%[b])", "8(%[t])", R1)
        ADX_ROW_("16(%[b])", "16(%[t])", R2)
        ADX_ROW_("24(%[b])", "24(%[t])", R3)
        ADX_ROW_("32(%[b])", "32(%[t])", R4)
        ADX_ROW_("40(%[b])", "40(%[t])", R5)
        ADX_ROW_("48(%[b])", "48(%[t])", R6)
        ADX_ROW_("56(%[b])", "56(%[t])", R7)
        ADX_STORE
        : "+a"(carry)
        : [t] "r"(t), [a] "r"(a), [b] "r"(b)
        : ADX_CLOBBERS);
    return carry;
}

/* t_0..15 = t_0..7 + a_0..7 b_0..7 */
static inline void
adx_block_put(uint64_t *t, const uint64_t *a, const uint64_t *b)
{
    uint64_t scratch = 0;

    __asm__ __volatile__(
        ADX_LOAD
        ADX_ROW_("0(%[b])", "0(%[t])", R0)
        ADX_ROW_("8(%[b])", "8(%[t])", R1)
        ADX_ROW_("16(%[b])", "16(%[t])", R2)
        ADX_ROW_("24(%[b])", "24(%[t])", R3)
        ADX_ROW_("32(%[b])", "32(%[t])", R4)
        ADX_ROW_("40(%[b])", "40(%[t])", R5)
        ADX_ROW_("48(%[b])", "48(%[t])", R6)
        ADX_ROW_("56(%[b])", "56(%[t])", R7)
        ADX_PUT
        : "+a"(scratch)
        : [t] "r"(t), [a] "r"(a), [b] "r"(b)
        : ADX_CLOBBERS);
}

/* The digits n_i = t_i k of the reduction, and t_0..15 += n p_0..7; t_0..7
 * become zero by that, so the digits take their place. */
#define ADX_RED(out, x0, ...)                                                 \
    "movq " x0 ", %%rdx\n\t"                                                  \
    "imulq %[k], %%rdx\n\t"                                                   \
    "movq %%rdx, " out "\n\t"                                                 \
    ADX_ROW("%%rdx", "%%rax", x0, __VA_ARGS__)
#define ADX_RED_(...) ADX_RED(__VA_ARGS__)

static inline uint64_t
adx_digits(uint64_t *t, const uint64_t *p, const uint64_t *k)
{
    uint64_t carry = 0;

    __asm__ __volatile__(
        ADX_LOAD
        ADX_RED_("0(%[t])", R0)
        ADX_RED_("8(%[t])", R1)
        ADX_RED_("16(%[t])", R2)
        ADX_RED_("24(%[t])", R3)
        ADX_RED_("32(%[t])", R4)
        ADX_RED_("40(%[t])", R5)
        ADX_RED_("48(%[t])", R6)
        ADX_RED_("56(%[t])", R7)
        ADX_STORE
        : "+a"(carry)
        : [t] "r"(t), [a] "r"(p), [k] "m"(*k)
        : ADX_CLOBBERS);
    return carry;
}

/* t_at.. += c, up to t_32. */
static inline __attribute__((always_inline)) void
adx_carry(uint64_t *t, int at, uint64_t c)
{
    unsigned char carry = 0;
    mcx_word u;
    int i;

#pragma GCC unroll 10
    for (i = at; i <= 2 * MCX_W; i++) {
        MCX_ADC(carry, t[i], c, &u);
        t[i] = u;
        c = 0;
    }
}

/* t = t / R mod p in t_16..32, for t < 4 p^2 (t_32 included): below 3.4 p. */
static inline void
adx_redc(uint64_t *t)
{
    uint64_t c;

    c = adx_digits(t, mcx_w_p, &mcx_w_p_k);
    c = adx_block(t + 8, mcx_w_p + 8, t, c);
    c += adx_digits(t + 8, mcx_w_p, &mcx_w_p_k);
    adx_carry(t, 24, c);
    t[32] += adx_block(t + 16, mcx_w_p + 8, t + 8, 0);
}

#define FP_MUL

/* t = a_lo b_lo + 2^1024 a_hi b_hi + 2^512 (...): only the middle can carry,
 * the others have room. */
static inline void
adx_product(uint64_t t[2 * MCX_W + 1], const uint64_t *a, const uint64_t *b)
{
    unsigned char carry = 0;
    mcx_word u;
    uint64_t c;
    int i;

    memset(t, 0, 64);
    adx_block_put(t, a, b);
    adx_block_put(t + 8, a + 8, b);
    c = adx_block(t + 8, a, b + 8, 0);
    adx_block_put(t + 16, a + 8, b + 8);
    u = c;
#pragma GCC unroll 8
    for (i = 24; i < 2 * MCX_W; i++) {
        MCX_ADC(carry, t[i], u, &u);
        t[i] = u;
        u = 0;
    }
    t[32] = 0;
}

static inline void
fp_mul(uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    uint64_t t[2 * MCX_W + 1];

    adx_product(t, a, b);
    adx_redc(t);
    mcx_w_reduce_to(r, t + MCX_W, t[2 * MCX_W], mcx_w_p);
}

/* r = (a_0 b_0 + ... + a_(n-1) b_(n-1)) / R mod p, n up to 4. */
static inline void
fp_acc(uint64_t *r, const uint64_t *const *a, const uint64_t *const *b, int n)
{
    uint64_t t[2 * MCX_W + 1], c;
    int i;

    adx_product(t, a[0], b[0]);
    for (i = 1; i < n; i++) {
        c = adx_block(t, a[i], b[i], 0);
        c = adx_block(t + 8, a[i] + 8, b[i], c);
        c += adx_block(t + 8, a[i], b[i] + 8, 0);
        adx_carry(t, 24, c);
        t[32] += adx_block(t + 16, a[i] + 8, b[i] + 8, 0);
    }
    adx_redc(t);
    memcpy(r, t + MCX_W, 8 * MCX_W);
    mcx_w_reduce4(r, t[2 * MCX_W]);
}

#include "fp_portable.h"

#endif /* MCX_FIELD_FP_ADX_H */
