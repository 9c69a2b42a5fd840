/* ref_pairing.h -- for tests: the pairing of RFC 6508 3.2, and powers of g. */
#ifndef MCX_IDENT_REF_PAIRING_H
#define MCX_IDENT_REF_PAIRING_H

#include "ref_curve.h"

/* w = <r, k>, as the 128 octets of its representative.  The loop walks over
 * 'r', which is public, and evaluates its lines at 'k', which is secret.
 * False: a step or the result is undefined (then one of them is not of
 * order q), or 'f' failed; 'w' is then zero. */
bool mcx_pairing(struct mcx_fp *f, uint8_t w[MCX_FP_SIZE], struct mcx_point r,
                 struct mcx_point k);

/* w = g^e for the secret 'e' of 'n' octets.  False as above. */
bool mcx_g_power(struct mcx_fp *f, uint8_t w[MCX_FP_SIZE], const uint8_t *e,
                 size_t n);

#endif /* MCX_IDENT_REF_PAIRING_H */
