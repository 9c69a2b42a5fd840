/* consts.h -- the numbers of SAKKE parameter set 1 (RFC 6509 appendix A),
 * most significant octet first. */
#ifndef MCX_IDENT_CONSTS_H
#define MCX_IDENT_CONSTS_H

#include <stdint.h>

enum {
    MCX_FP_SIZE = 128,      /* one element of F_p               */
    MCX_SAKKE_P_BITS = 1024,
    MCX_SAKKE_Q_BITS = 1022,
    MCX_P256_SIZE = 32      /* one element of P-256's fields    */
};

extern const uint8_t mcx_sakke_p[MCX_FP_SIZE];
extern const uint8_t mcx_sakke_q[MCX_FP_SIZE];
extern const uint8_t mcx_sakke_px[MCX_FP_SIZE];
extern const uint8_t mcx_sakke_py[MCX_FP_SIZE];
extern const uint8_t mcx_sakke_g[MCX_FP_SIZE];

#endif /* MCX_IDENT_CONSTS_H */
