/* params.h -- what never changes, in the form the arithmetic wants: the
 * numbers of P-256 as BIGNUMs, with a Montgomery context.
 *
 * Made at first use, read by any number of threads, never freed: it holds
 * public numbers only and lives as long as the process. */
#ifndef MCX_IDENT_PARAMS_H
#define MCX_IDENT_PARAMS_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include "consts.h"

struct mcx_params {
    EC_GROUP *ec;
    BIGNUM *ec_p, *ec_a, *ec_b, *ec_q;
    BN_MONT_CTX *mont_ec_q;
    uint8_t ec_g[1 + 2 * MCX_P256_SIZE]; /* the generator, as hashed      */
};

/* NULL when memory ran out; a later call tries again. */
const struct mcx_params *mcx_params(void);

/* a^(m-2) mod m, the inverse for a prime m; in time that depends on m only.
 * Zero gives zero.  Plain form in and out.  False: no memory. */
int mcx_invert(BIGNUM *r, const BIGNUM *a, const BIGNUM *m, BN_MONT_CTX *mont,
               BN_CTX *ctx);

#endif /* MCX_IDENT_PARAMS_H */
