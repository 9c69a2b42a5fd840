/* p256_ops.h -- P-256 as ECCSI uses it, as each back-end offers it: points,
 * tables, sums for the verifier, and the secret multiplication of the signer.
 *
 * A back-end is p256_body.h compiled for one kind of machine.  All keep
 * points and tables in one form (Montgomery's, 2^256), so that any may read
 * what another has made.  Nothing here allocates.
 *
 * Secret: the scalar of base_mul(), all of muladd_q() and inv_q(); for these
 * the steps and addresses are the same whatever the values.  Everything else
 * is public and the time may show it. */
#ifndef MCX_IDENT_P256_OPS_H
#define MCX_IDENT_P256_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Affine; never infinity. */
struct mcx_p256_point { uint64_t x[4], y[4]; };

/* Jacobian: (x / z^2, y / z^3); z = 0 is infinity. */
struct mcx_p256_jac { uint64_t x[4], y[4], z[4]; };

/* Scalars are read in windows of 'w' bits, each a digit from -2^(w-1) to
 * 2^(w-1).  Every 'v'-th window has its multiples kept, [d 2^(w v i)]A for
 * d from 1; those between are reached by doubling: v = 1 is the fast form, v
 * = 2 half as large. */
struct mcx_p256_table {
    int w, v;
    _Alignas(64) struct mcx_p256_point e[];
};
#define MCX_P256_WINDOWS(w) (256 / (w) + 1)
#define MCX_P256_BASES(w, v) ((MCX_P256_WINDOWS(w) + (v) - 1) / (v))
#define MCX_P256_TABLE_SIZE(w, v)                                             \
    (sizeof(struct mcx_p256_table)                                            \
     + ((size_t)MCX_P256_BASES(w, v) << ((w) - 1))                            \
           * sizeof(struct mcx_p256_point))
enum { MCX_P256_W_MIN = 4, MCX_P256_W_MAX = 8 };

enum { MCX_P256_TERMS = 3, MCX_P256_LANES = 8 };

/* [k] of a point, by its table if that is not NULL; 'k' is 32 octets. */
struct mcx_p256_term {
    const struct mcx_p256_table *table;
    const struct mcx_p256_point *point;
    const uint8_t *k;
};

struct mcx_p256_ops {
    const char *name;

    /* 0x04 | x | y, coordinates below p, on the curve?  Then 'a' is it. */
    bool (*read)(struct mcx_p256_point *a, const uint8_t b[65]);
    /* False: infinity, 'b' is zero. */
    bool (*write)(uint8_t b[65], const struct mcx_p256_jac *a);
    /* Affine; false: infinity. */
    bool (*affine)(struct mcx_p256_point *r, const struct mcx_p256_jac *a);

    /* Fills 't', whose w and v the caller has set, for 'a'. */
    void (*table)(struct mcx_p256_table *t, const struct mcx_p256_point *a);
    /* acc = acc + the terms, at most MCX_P256_TERMS. */
    void (*sum)(struct mcx_p256_jac *acc, const struct mcx_p256_term *term,
                size_t n);
    void (*add)(struct mcx_p256_jac *acc, const struct mcx_p256_point *a);
    bool (*infinite)(const struct mcx_p256_jac *a);
    /* Is 'a' finite, with the x coordinate 'x', which is below p? */
    bool (*x_is)(const struct mcx_p256_jac *a, const uint8_t x[32]);

    /* b = [k]A for a table with v = 1; 0 < k < q.  Secret. */
    void (*base_mul)(uint8_t b[65], const struct mcx_p256_table *t,
                     const uint8_t k[32]);

    /* r = (a + b c) mod q, of octets below 2^256.  Secret. */
    void (*muladd_q)(uint8_t r[32], const uint8_t a[32], const uint8_t b[32],
                     const uint8_t c[32]);
    /* r = 1/a mod q; 0 for 0.  Secret. */
    void (*inv_q)(uint8_t r[32], const uint8_t a[32]);
};

extern const struct mcx_p256_ops mcx_p256_portable;
#ifdef MCX_HAVE_X86
/* r = [k]a in eight lanes at once (AVX-512 IFMA); public.  Returns a bit for
 * each lane whose result is right; the others met a case that the formulas do
 * not know, and are to be done by themselves. */
unsigned mcx_p256_lanes_mul(struct mcx_p256_jac r[MCX_P256_LANES],
                            const struct mcx_p256_point *const
                                a[MCX_P256_LANES],
                            const uint8_t *const k[MCX_P256_LANES]);
extern const struct mcx_p256_ops mcx_p256_adx;
extern const struct mcx_p256_ops mcx_p256_ifma;
#endif

#endif /* MCX_IDENT_P256_OPS_H */
