/* ref_fp.c -- see ref_fp.h. */
#include <config.h>
#include <openssl/err.h>
#include <sofia-mcx/mcx_secret.h>
#include "ref_fp.h"

/* The Montgomery form of 'b', or NULL. */
static BIGNUM *
mont_new(const struct ref_params *pa, const uint8_t b[MCX_FP_SIZE],
         BN_CTX *ctx)
{
    BIGNUM *r = BN_bin2bn(b, MCX_FP_SIZE, NULL);

    if (r && !BN_to_montgomery(r, r, pa->mont_p, ctx)) {
        BN_free(r);
        r = NULL;
    }
    return r;
}

static bool
sakke_fill(struct ref_params *pa, BN_CTX *ctx)
{
    static const uint8_t one[MCX_FP_SIZE] = { [MCX_FP_SIZE - 1] = 1 };

    pa->p = BN_bin2bn(mcx_sakke_p, MCX_FP_SIZE, NULL);
    pa->q = BN_bin2bn(mcx_sakke_q, MCX_FP_SIZE, NULL);
    pa->mont_p = BN_MONT_CTX_new();
    pa->mont_q = BN_MONT_CTX_new();
    if (!pa->p || !pa->q || !pa->mont_p || !pa->mont_q
        || !BN_MONT_CTX_set(pa->mont_p, pa->p, ctx)
        || !BN_MONT_CTX_set(pa->mont_q, pa->q, ctx)) {
        return false;
    }
    pa->one = mont_new(pa, one, ctx);
    pa->g = mont_new(pa, mcx_sakke_g, ctx);
    pa->px = mont_new(pa, mcx_sakke_px, ctx);
    pa->py = mont_new(pa, mcx_sakke_py, ctx);
    return pa->one && pa->g && pa->px && pa->py;
}

/* q - 1 with digits 0, 1, -1 and no two neighbours that are not 0: a third of
 * the additions of the Miller loop go.  -R costs nothing, and the vertical
 * lines it brings are elements of F_p, which the pairing drops anyway. */
static bool
naf_fill(struct ref_params *pa)
{
    BIGNUM *k = BN_dup(pa->q);
    bool ok = k && BN_sub_word(k, 1);

    while (ok && !BN_is_zero(k)) {
        signed char digit = 0;

        if (BN_is_odd(k)) {
            digit = BN_is_bit_set(k, 1) ? -1 : 1;
            ok = digit > 0 ? BN_sub_word(k, 1) : BN_add_word(k, 1);
        }
        pa->naf[pa->n_naf++] = digit;
        ok = ok && BN_rshift1(k, k);
    }
    BN_free(k);
    return ok;
}

const struct ref_params *
ref_params(void)
{
    static struct ref_params made;
    BN_CTX *ctx;

    if (!made.py) {
        ctx = BN_CTX_new();
        if (!ctx || !sakke_fill(&made, ctx) || !naf_fill(&made)) {
            made.py = NULL;
        }
        BN_CTX_free(ctx);
    }
    return made.py ? &made : NULL;
}

/* What OpenSSL leaves in the thread's error queue is nobody's business but
 * ours: the application may be looking at its own. */
void
mcx_fp_init(struct mcx_fp *f)
{
    (void)ERR_set_mark();
    f->failed = false;
    f->tmp = NULL;
    f->pa = ref_params();
    f->ctx = f->pa ? BN_CTX_secure_new() : NULL;
    if (!f->ctx) {
        f->failed = true;
        return;
    }
    BN_CTX_start(f->ctx);
    f->tmp = mcx_fp_num(f);
}

void
mcx_fp_fini(struct mcx_fp *f)
{
    if (f->ctx) {
        BN_CTX_end(f->ctx);
        BN_CTX_free(f->ctx); /* with BN_clear_free() of each number */
    }
    f->ctx = NULL;
    (void)ERR_pop_to_mark();
}

mcx_err
mcx_fp_status(const struct mcx_fp *f)
{
    return f->failed ? MCX_E_NOMEM : MCX_OK;
}

/* Copying p first gives the number as many words as p has, which
 * BN_consttime_swap() relies on. */
BIGNUM *
mcx_fp_num(struct mcx_fp *f)
{
    BIGNUM *r = f->failed ? NULL : BN_CTX_get(f->ctx);

    if (!r || !BN_copy(r, f->pa->p)) {
        f->failed = true;
        return r;
    }
    BN_zero(r);
    BN_set_flags(r, BN_FLG_CONSTTIME);
    return r;
}

struct mcx_fp2
mcx_fp2_num(struct mcx_fp *f)
{
    struct mcx_fp2 r;

    r.re = mcx_fp_num(f);
    r.im = mcx_fp_num(f);
    return r;
}

void
mcx_fp_copy(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a)
{
    if (!f->failed && !BN_copy(r, a)) {
        f->failed = true;
    }
}

void
mcx_fp_add(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b)
{
    if (!f->failed && !BN_mod_add_quick(r, a, b, f->pa->p)) {
        f->failed = true;
    }
}

/* a + (p - b): BN_mod_sub_quick() branches on the sign of a - b. */
void
mcx_fp_sub(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b)
{
    if (!f->failed && (!BN_sub(f->tmp, f->pa->p, b)
                       || !BN_mod_add_quick(r, a, f->tmp, f->pa->p))) {
        f->failed = true;
    }
}

void
mcx_fp_mul(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a, const BIGNUM *b)
{
    if (!f->failed
        && !BN_mod_mul_montgomery(r, a, b, f->pa->mont_p, f->ctx)) {
        f->failed = true;
    }
}

void
mcx_fp_sqr(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a)
{
    mcx_fp_mul(f, r, a, a);
}

/* a^(m-2) mod m, the inverse for a prime m. */
static bool
invert(BIGNUM *r, const BIGNUM *a, const BIGNUM *m, BN_MONT_CTX *mont,
       BN_CTX *ctx)
{
    BIGNUM *e = BN_dup(m);
    bool ok = e && BN_sub_word(e, 2)
              && BN_mod_exp_mont_consttime(r, a, e, m, ctx, mont);

    BN_free(e);
    return ok;
}

void
mcx_fp_inv(struct mcx_fp *f, BIGNUM *r, const BIGNUM *a)
{
    if (!f->failed
        && (!BN_from_montgomery(f->tmp, a, f->pa->mont_p, f->ctx)
            || !invert(f->tmp, f->tmp, f->pa->p, f->pa->mont_p, f->ctx)
            || !BN_to_montgomery(r, f->tmp, f->pa->mont_p, f->ctx))) {
        f->failed = true;
    }
}

void
mcx_fp_swap(struct mcx_fp *f, unsigned bit, BIGNUM *a, BIGNUM *b)
{
    if (!f->failed) {
        BN_consttime_swap(bit, a, b, MCX_FP_SIZE / BN_BYTES);
    }
}

/* (a + ib)^2 = (a + b)(a - b) + i 2ab */
void
mcx_fp2_sqr(struct mcx_fp *f, struct mcx_fp2 r, struct mcx_fp2 t)
{
    mcx_fp_add(f, t.re, r.re, r.im);
    mcx_fp_sub(f, t.im, r.re, r.im);
    mcx_fp_mul(f, r.im, r.re, r.im);
    mcx_fp_mul(f, r.re, t.re, t.im);
    mcx_fp_add(f, r.im, r.im, r.im);
}

/* Three products: ac, bd, (a + b)(c + d). */
void
mcx_fp2_mul(struct mcx_fp *f, struct mcx_fp2 r, struct mcx_fp2 a,
            struct mcx_fp2 t)
{
    mcx_fp_add(f, t.re, r.re, r.im);
    mcx_fp_add(f, t.im, a.re, a.im);
    mcx_fp_mul(f, t.re, t.re, t.im);
    mcx_fp_mul(f, r.re, r.re, a.re);
    mcx_fp_mul(f, r.im, r.im, a.im);
    mcx_fp_sub(f, t.re, t.re, r.re);
    mcx_fp_sub(f, t.re, t.re, r.im);
    mcx_fp_sub(f, r.re, r.re, r.im);
    mcx_fp_copy(f, r.im, t.re);
}

bool
mcx_fp_read(struct mcx_fp *f, BIGNUM *r, const uint8_t b[MCX_FP_SIZE])
{
    if (f->failed) {
        return false;
    }
    if (!BN_bin2bn(b, MCX_FP_SIZE, r)) {
        f->failed = true;
        return false;
    }
    if (BN_cmp(r, f->pa->p) >= 0) {
        return false;
    }
    if (!BN_to_montgomery(r, r, f->pa->mont_p, f->ctx)) {
        f->failed = true;
    }
    return !f->failed;
}

void
mcx_fp_write(struct mcx_fp *f, uint8_t b[MCX_FP_SIZE], const BIGNUM *a)
{
    if (!f->failed
        && (!BN_from_montgomery(f->tmp, a, f->pa->mont_p, f->ctx)
            || BN_bn2binpad(f->tmp, b, MCX_FP_SIZE) != MCX_FP_SIZE)) {
        f->failed = true;
    }
    if (f->failed) {
        mcx_wipe(b, MCX_FP_SIZE);
    }
}
