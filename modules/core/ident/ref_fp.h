/* ref_fp.h -- for tests: the reference that the fast arithmetic is judged by,
 * on OpenSSL's BIGNUM.  Arithmetic in F_p and F_p[i] for one operation.
 *
 * A struct mcx_fp is a workspace: numbers come out of it and go with it, all
 * wiped.  Its first failure, which can only be lack of memory, is remembered
 * and turns every later step into nothing, so a formula is a list of steps
 * and one status line at its end.  Numbers are in Montgomery form and reduced
 * unless a name says otherwise.
 *
 * No step branches on a value or chooses an address by one; below BIGNUM's
 * surface that is OpenSSL's promise, not ours. */
#ifndef MCX_IDENT_REF_FP_H
#define MCX_IDENT_REF_FP_H

#include <stdbool.h>
#include <sofia-mcx/mcx_err.h>
#include <openssl/bn.h>
#include "consts.h"

/* Made at first use, never freed. */
struct ref_params {
    /* SAKKE, parameter set 1 */
    BIGNUM *p, *q;
    BN_MONT_CTX *mont_p, *mont_q;
    BIGNUM *one, *g, *px, *py;           /* Montgomery form, mod p        */
    /* Digits of q - 1 in non-adjacent form, least significant first:
     * 0, 1, -1.  'n_naf' counts them, the top one is 1. */
    signed char naf[MCX_SAKKE_Q_BITS + 1];
    unsigned n_naf;
};
/* NULL when memory ran out. */
const struct ref_params *ref_params(void);

struct mcx_fp {
    const struct ref_params *pa;
    BN_CTX *ctx; /* every number; BN_CTX_free() wipes them */
    BIGNUM *tmp;
    bool failed;
};

struct mcx_fp2 { BIGNUM *re, *im; };

void mcx_fp_init(struct mcx_fp *f);
void mcx_fp_fini(struct mcx_fp *f);
/* MCX_OK or MCX_E_NOMEM. */
mcx_err mcx_fp_status(const struct mcx_fp *f) MCX_MUST_USE;

/* A number with room for an element of F_p; NULL only once failed. */
BIGNUM *mcx_fp_num(struct mcx_fp *f);
struct mcx_fp2 mcx_fp2_num(struct mcx_fp *f);

void mcx_fp_copy(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a);
void mcx_fp_add(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b);
void mcx_fp_sub(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b);
void mcx_fp_mul(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b);
void mcx_fp_sqr(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a);
/* 0 for 0. */
void mcx_fp_inv(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a);
/* Swaps when 'bit' is 1. */
void mcx_fp_swap(struct mcx_fp *f, unsigned bit, BIGNUM *a, BIGNUM *b);

/* r = r^2 and r = r * a; 't' are two numbers to work in. */
void mcx_fp2_sqr(struct mcx_fp *f, struct mcx_fp2 r, struct mcx_fp2 t);
void mcx_fp2_mul(struct mcx_fp *f, struct mcx_fp2 r, struct mcx_fp2 a,
                 struct mcx_fp2 t);

/* Octets to Montgomery form; false: not below p (or failed). */
bool mcx_fp_read(struct mcx_fp *f, BIGNUM *r, const uint8_t b[MCX_FP_SIZE]);
void mcx_fp_write(struct mcx_fp *f, uint8_t b[MCX_FP_SIZE], const BIGNUM *a);

#endif /* MCX_IDENT_REF_FP_H */
