/* p256.h -- what ECCSI needs of P-256: strict octets, the two hashes, and
 * arithmetic modulo the group order for one operation. */
#ifndef MCX_IDENT_P256_H
#define MCX_IDENT_P256_H

#include <stdbool.h>
#include <sofia-mcx/mcx_ident.h>
#include "params.h"

extern const uint8_t mcx_p256_p[MCX_P256_SIZE];
extern const uint8_t mcx_p256_q[MCX_P256_SIZE];

/* Workspace of one operation; its numbers are wiped by _fini(). */
struct mcx_p256 {
    const struct mcx_params *pa;
    BN_CTX *ctx;
};
mcx_err mcx_p256_init(struct mcx_p256 *w) MCX_MUST_USE;
void mcx_p256_fini(struct mcx_p256 *w);

/* Reads 0x04 | x | y: MCX_E_MALFORMED when the first octet is another, a
 * coordinate is not below p, or the point is off the curve; MCX_E_NOMEM.
 * '*r' is to be freed. */
mcx_err mcx_p256_read(EC_POINT **r, struct mcx_p256 *w,
                      const uint8_t b[MCX_ECCSI_PT_SIZE]) MCX_MUST_USE;
/* Not for infinity. */
mcx_err mcx_p256_write(uint8_t b[MCX_ECCSI_PT_SIZE], struct mcx_p256 *w,
                       const EC_POINT *a) MCX_MUST_USE;

/* [k]G as octets; 'k' is secret, 1..q-1. */
mcx_err mcx_p256_base_mul(uint8_t b[MCX_ECCSI_PT_SIZE], struct mcx_p256 *w,
                          const uint8_t k[MCX_P256_SIZE]) MCX_MUST_USE;

/* r = (a + b c) mod q, the last three being octets below 2^256.  Time does
 * not depend on them. */
mcx_err mcx_p256_muladd(uint8_t r[MCX_P256_SIZE], struct mcx_p256 *w,
                        const uint8_t a[MCX_P256_SIZE],
                        const uint8_t b[MCX_P256_SIZE],
                        const uint8_t c[MCX_P256_SIZE]) MCX_MUST_USE;
/* r = a^-1 mod q; 0 for 0. */
mcx_err mcx_p256_inv(uint8_t r[MCX_P256_SIZE], struct mcx_p256 *w,
                     const uint8_t a[MCX_P256_SIZE]) MCX_MUST_USE;

/* HS = SHA-256(G | KPAK | ID | PVT) (RFC 6507 5.1.1). */
mcx_err mcx_eccsi_hs(uint8_t hs[MCX_P256_SIZE], const struct mcx_params *pa,
                     const uint8_t kpak[MCX_ECCSI_PT_SIZE],
                     struct mcx_bytes id,
                     const uint8_t pvt[MCX_ECCSI_PT_SIZE]) MCX_MUST_USE;
/* HE = SHA-256(HS | r | M) (RFC 6507 5.2.1). */
mcx_err mcx_eccsi_he(uint8_t he[MCX_P256_SIZE],
                     const uint8_t hs[MCX_P256_SIZE],
                     const uint8_t r[MCX_P256_SIZE],
                     struct mcx_bytes msg) MCX_MUST_USE;

#endif /* MCX_IDENT_P256_H */
