/* pl_rand.c -- the RAND payload (RFC 3830 6.11), both directions.
 *
 *   | next | length (8) | RAND ... |
 *
 * RFC 3830 4.1.1 wants at least 16 octets; fewer are refused. */
#include <config.h>
#include "pl.h"

enum { RAND_MIN = 16 };

mcx_err
mcx_pl_rand_read(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                 struct mcx_pl *pl, struct mcx_why *why)
{
    struct mcx_bytes rand;

    pl->next = mcx_rd_u8(rd);
    rand = mcx_rd_bytes_len(rd, 1);
    MCX_TRY(mcx_pl_fit(rd, "RAND", "RFC 3830 6.11", why));
    if (rand.n < RAND_MIN) {
        return MCX_REFUSE(why, MCX_R_RAND_SHORT, "RAND", pl->at + 1,
                          "RFC 3830 4.1.1");
    }
    m->rand_at = pl->at;
    m->rand = rand;
    return MCX_OK;
}

void
mcx_pl_rand_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                  const struct mcx_pl *pl)
{
    mcx_wr_u8(wr, pl->next);
    mcx_wr_bytes_len(wr, m->rand, 1);
}
