/* pl_sign.c -- the signature payload with ECCSI (RFC 6509 4.3), both ways.
 *
 *   | S type (4) | length (12) | r (32) | s (32) | PVT (65) |
 *
 * It has no next payload field and ends the message.  The two octets of type
 * and length are under the signature, the 129 that follow are not.
 * SPEC TS 33.180 E.1.2 says "length 32", which holds no ECCSI signature: all
 * who send it send 129. */
#include <config.h>
#include "pl.h"

enum { SIGN_ECCSI = 2 };
static const char clause[] = "RFC 6509 4.3";

mcx_err
mcx_pl_sign_read(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                 struct mcx_pl *pl, struct mcx_why *why)
{
    uint16_t type_len = mcx_rd_u16(rd);
    struct mcx_bytes sign;

    pl->next = MCX_PL_LAST;
    MCX_TRY(mcx_pl_fit(rd, "SIGN", clause, why));
    if (type_len >> 12 != SIGN_ECCSI) {
        return MCX_REFUSE(why, MCX_R_SIGN_TYPE, "SIGN", pl->at, clause);
    }
    if ((type_len & 0xfff) != MCX_ECCSI_SIG_SIZE) {
        return MCX_REFUSE(why, MCX_R_SIGN_LENGTH, "SIGN", pl->at, clause);
    }
    m->signed_size = rd->at;
    sign = mcx_rd_bytes(rd, MCX_ECCSI_SIG_SIZE);
    if (!mcx_rd_ok(rd)) { /* the length is what does not fit */
        return MCX_REFUSE(why, MCX_R_TRUNCATED, "SIGN", pl->at, clause);
    }
    m->sign_at = pl->at;
    m->sign = sign;
    return MCX_OK;
}

void
mcx_pl_sign_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                  const struct mcx_pl *pl)
{
    (void)pl;
    mcx_wr_u16(wr, SIGN_ECCSI << 12 | MCX_ECCSI_SIG_SIZE);
    mcx_wr_bytes(wr, m->sign);
}
