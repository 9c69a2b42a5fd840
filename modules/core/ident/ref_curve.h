/* ref_curve.h -- for tests: the curve of SAKKE, y^2 = x^3 - 3x over F_p, on
 * BIGNUM: octets, group law, multiplication.  E(F_p) is cyclic of order 4q;
 * (0,0) is the one point of order 2. */
#ifndef MCX_IDENT_REF_CURVE_H
#define MCX_IDENT_REF_CURVE_H

#include <sofia-mcx/mcx_ident.h>
#include "ref_fp.h"

struct mcx_point { BIGNUM *x, *y; }; /* affine, never infinity */

struct mcx_point mcx_point_num(struct mcx_fp *f);

/* Reads 0x04 | x | y.  False: wrong first octet, a coordinate not below p, not
 * on the curve, or (0,0), which no legal point is; or 'f' failed. */
bool mcx_point_read(struct mcx_fp *f, struct mcx_point r,
                    const uint8_t b[MCX_SAKKE_PT_SIZE]);
void mcx_point_write(struct mcx_fp *f, uint8_t b[MCX_SAKKE_PT_SIZE],
                     struct mcx_point a);

/* r = [k]a; 'k' has 'n' octets, all of which are walked whatever they hold.
 * 'a' is on the curve and not (0,0).  False: the result is infinity (r is
 * then undefined), or 'f' failed. */
bool mcx_point_mul(struct mcx_fp *f, struct mcx_point r, struct mcx_point a,
                   const uint8_t *k, size_t n);

/* r = r + a.  For public points: equal and opposite ones take their own way.
 * False: the sum is infinity, or 'f' failed. */
bool mcx_point_add(struct mcx_fp *f, struct mcx_point r, struct mcx_point a);

/* Is [q]a infinity? */
bool mcx_point_order_q(struct mcx_fp *f, struct mcx_point a);

/* [a]P + Z for the identifier 'id', which is in range, and Z in octets.
 * False: the result is infinity, Z is no point, or 'f' failed. */
bool mcx_point_of_id(struct mcx_fp *f, struct mcx_point r,
                     struct mcx_bytes id,
                     const uint8_t z[MCX_SAKKE_PT_SIZE]);

#endif /* MCX_IDENT_REF_CURVE_H */
