/* pl_sakke.c -- the SAKKE payload (RFC 6509 4.2), both directions.
 *
 *   | next | params | ID scheme | length (16) | SAKKE data ... |
 *
 * Also read and written by open.c and build.c inside the SAKKE-to-self
 * extension.  Nothing is decrypted here: the signature over the whole message
 * is checked first. */
#include <config.h>
#include "pl.h"

enum { PARAMETER_SET_1 = 1, SCHEME_TEL = 1, SCHEME_UID = 2 };
static const char clause[] = "RFC 6509 4.2";

mcx_err
mcx_pl_sakke_body(struct mcx_sakke_pl *out, struct mcx_rd *rd, uint8_t *next,
                  struct mcx_why *why)
{
    struct mcx_sakke_pl pl = { .at = rd->at };

    *next = mcx_rd_u8(rd);
    pl.params = mcx_rd_u8(rd);
    pl.scheme = mcx_rd_u8(rd);
    pl.data = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "SAKKE", clause, why));
    if (pl.params != PARAMETER_SET_1) {
        return MCX_REFUSE(why, MCX_R_SAKKE_PARAMS, "SAKKE", pl.at + 1,
                          clause);
    }
    if (pl.scheme != SCHEME_TEL && pl.scheme != SCHEME_UID) {
        return MCX_REFUSE(why, MCX_R_ID_SCHEME, "SAKKE", pl.at + 2, clause);
    }
    if (pl.data.n != MCX_SAKKE_ENC_SIZE) {
        return MCX_REFUSE(why, MCX_R_SAKKE_LENGTH, "SAKKE", pl.at + 3,
                          clause);
    }
    *out = pl;
    return MCX_OK;
}

void
mcx_pl_sakke_put(struct mcx_wr *wr, unsigned next,
                 const struct mcx_sakke_pl *sakke)
{
    mcx_wr_u8(wr, next);
    mcx_wr_u8(wr, sakke->params);
    mcx_wr_u8(wr, sakke->scheme);
    mcx_wr_bytes_len(wr, sakke->data, 2);
}

mcx_err
mcx_pl_sakke_read(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                  struct mcx_pl *pl, struct mcx_why *why)
{
    return mcx_pl_sakke_body(&m->sakke, rd, &pl->next, why);
}

void
mcx_pl_sakke_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                   const struct mcx_pl *pl)
{
    mcx_pl_sakke_put(wr, pl->next, &m->sakke);
}
