/* params.c -- see params.h. */
#include <config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <openssl/obj_mac.h>
#include "params.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct mcx_params *) made;

static void
params_free(struct mcx_params *pa)
{
    if (!pa) {
        return;
    }
    EC_GROUP_free(pa->ec);
    BN_free(pa->ec_p);
    BN_free(pa->ec_a);
    BN_free(pa->ec_b);
    BN_free(pa->ec_q);
    BN_MONT_CTX_free(pa->mont_ec_q);
    free(pa);
}

static bool
p256_fill(struct mcx_params *pa, BN_CTX *ctx)
{
    pa->ec = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    pa->ec_p = BN_new();
    pa->ec_a = BN_new();
    pa->ec_b = BN_new();
    pa->mont_ec_q = BN_MONT_CTX_new();
    if (!pa->ec || !pa->ec_p || !pa->ec_a || !pa->ec_b || !pa->mont_ec_q
        || !EC_GROUP_get_curve(pa->ec, pa->ec_p, pa->ec_a, pa->ec_b, ctx)) {
        return false;
    }
    pa->ec_q = BN_dup(EC_GROUP_get0_order(pa->ec));
    return pa->ec_q && BN_MONT_CTX_set(pa->mont_ec_q, pa->ec_q, ctx)
           && EC_POINT_point2oct(pa->ec, EC_GROUP_get0_generator(pa->ec),
                                 POINT_CONVERSION_UNCOMPRESSED, pa->ec_g,
                                 sizeof pa->ec_g, ctx) == sizeof pa->ec_g;
}

static struct mcx_params *
params_new(void)
{
    struct mcx_params *pa = calloc(1, sizeof *pa);
    BN_CTX *ctx = BN_CTX_new();

    if (!pa || !ctx || !p256_fill(pa, ctx)) {
        params_free(pa);
        pa = NULL;
    }
    BN_CTX_free(ctx);
    return pa;
}

const struct mcx_params *
mcx_params(void)
{
    struct mcx_params *pa = atomic_load_explicit(&made, memory_order_acquire);

    if (!pa) {
        (void)pthread_mutex_lock(&lock);
        pa = atomic_load_explicit(&made, memory_order_relaxed);
        if (!pa) {
            pa = params_new();
            atomic_store_explicit(&made, pa, memory_order_release);
        }
        (void)pthread_mutex_unlock(&lock);
    }
    return pa;
}

int
mcx_invert(BIGNUM *r, const BIGNUM *a, const BIGNUM *m, BN_MONT_CTX *mont,
           BN_CTX *ctx)
{
    BIGNUM *e = BN_dup(m);
    int ok = e && BN_sub_word(e, 2)
             && BN_mod_exp_mont_consttime(r, a, e, m, ctx, mont);

    BN_free(e);
    return ok;
}
