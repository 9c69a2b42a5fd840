/* p256.h -- what ECCSI needs of P-256: the back-end, the tables of the
 * generator, and the two hashes. */
#ifndef MCX_IDENT_P256_H
#define MCX_IDENT_P256_H

#include <sofia-mcx/mcx_ident.h>
#include "consts.h"
#include "p256_ops.h"

extern const uint8_t mcx_p256_p[MCX_P256_SIZE];
extern const uint8_t mcx_p256_q[MCX_P256_SIZE];
extern const uint8_t mcx_p256_g[MCX_ECCSI_PT_SIZE];

struct mcx_p256 {
    const struct mcx_p256_ops *ops;
    const struct mcx_p256_table *g;      /* for sums; 264 KiB             */
    const struct mcx_p256_table *g_slow; /* to be searched whole; 86 KiB  */
    bool lanes;                          /* is lanes_mul() to be used?    */
};

/* The back-end goes with SAKKE's (MCX_CPU).  Made at first use, in static
 * memory; the first call compares it with the portable one and falls back to
 * that, loudly, when they differ. */
const struct mcx_p256 *mcx_p256(void);
/* Does 'ops', with tables of its own, agree with the portable back-end? */
bool mcx_p256_agree(const struct mcx_p256_ops *ops,
                    const struct mcx_p256_table *g,
                    const struct mcx_p256_table *g_slow);

/* A table of 'a' with these windows, to be freed with mcx_big_free().  NULL:
 * no memory. */
struct mcx_p256_table *mcx_p256_table_new(const struct mcx_p256_point *a,
                                          int w, int v);

/* Wipes what the secret operations before it left on the stack: the compiler
 * spills numbers that nothing else can wipe. */
void mcx_p256_burn(void);

/* HS = SHA-256(G | KPAK | ID | PVT) (RFC 6507 5.1.1). */
mcx_err mcx_eccsi_hs(uint8_t hs[MCX_P256_SIZE],
                     const uint8_t kpak[MCX_ECCSI_PT_SIZE],
                     struct mcx_bytes id,
                     const uint8_t pvt[MCX_ECCSI_PT_SIZE]) MCX_MUST_USE;
/* HE = SHA-256(HS | r | M) (RFC 6507 5.2.1). */
mcx_err mcx_eccsi_he(uint8_t he[MCX_P256_SIZE],
                     const uint8_t hs[MCX_P256_SIZE],
                     const uint8_t r[MCX_P256_SIZE],
                     struct mcx_bytes msg) MCX_MUST_USE;

#endif /* MCX_IDENT_P256_H */
