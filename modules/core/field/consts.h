/* consts.h -- numbers of SAKKE parameter set 1 in the forms the arithmetic
 * wants (gen-consts says what each is).  w_: plain, 64-bit words; l_: 52-bit
 * limbs of the many-lane kernels; h_: of the one-lane kernels. */
#ifndef MCX_FIELD_CONSTS_H
#define MCX_FIELD_CONSTS_H

#include <stdint.h>

enum {
    MCX_W = 16,          /* words of an element of F_p */
    MCX_L = 20, MCX_H = 24,
    MCX_NAF_LEN = 1022   /* digits of q - 1 */
};

extern const uint64_t mcx_w_p[MCX_W], mcx_w_q[MCX_W];
extern const uint64_t mcx_w_p_r2[MCX_W], mcx_w_q_r2[MCX_W]; /* 2^2048 */
extern const uint64_t mcx_w_p_k, mcx_w_q_k; /* -1/p, -1/q mod 2^64 */
extern const uint64_t mcx_w_px[MCX_W], mcx_w_py[MCX_W], mcx_w_g[MCX_W];
extern const uint64_t mcx_w_s[MCX_W], mcx_w_c[MCX_W]; /* the Edwards form */
extern const uint64_t mcx_l_p[MCX_L], mcx_l_r2[MCX_L], mcx_l_h[MCX_L];
extern const uint64_t mcx_l_p_k;
extern const uint64_t mcx_h_n[MCX_H], mcx_h_r2[MCX_H], mcx_h_plain[MCX_H];
extern const uint64_t mcx_h_lane[MCX_H], mcx_h_from_lane[MCX_H];
extern const uint64_t mcx_h_m[MCX_H], mcx_h_pad[MCX_H], mcx_l_pad[MCX_H];
extern const uint64_t mcx_h_zero[MCX_H], mcx_h_inv; /* 2^1144 / N */
extern const uint64_t mcx_l_2p[MCX_H], mcx_l_r[MCX_L];
extern const int8_t mcx_naf[MCX_NAF_LEN];

#endif /* MCX_FIELD_CONSTS_H */
