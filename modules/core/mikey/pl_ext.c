/* pl_ext.c -- the general extension payload (RFC 3830 6.15), both ways.
 *
 *   | next | type | length (16) | data ... |
 *
 * Unknown types are kept and ignored; they stay under the signature.  The
 * three that we read (SDP IDs, SAKKE-to-self, key parameters) may occur once:
 * of two, nobody could say which holds. */
#include <config.h>
#include "pl.h"

static const char clause[] = "RFC 3830 6.15";

static bool
once(uint8_t type)
{
    return type == MCX_EXT_SDP_IDS || type == MCX_EXT_SAKKE_TO_SELF
           || type == MCX_EXT_KEY_PARAMS;
}

mcx_err
mcx_pl_ext_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
                struct mcx_why *why)
{
    struct mcx_ext ext = { .at = pl->at };
    size_t i;

    pl->next = mcx_rd_u8(rd);
    ext.type = mcx_rd_u8(rd);
    ext.data = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "EXT", clause, why));
    if (m->n_ext == MCX_MIKEY_EXT_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "EXT", pl->at, clause);
    }
    for (i = 0; i < m->n_ext; i++) {
        if (once(ext.type) && m->ext[i].type == ext.type) {
            return MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "EXT", pl->at, clause);
        }
    }
    m->ext[m->n_ext++] = ext;
    return MCX_OK;
}

void
mcx_pl_ext_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                 const struct mcx_pl *pl)
{
    size_t i;

    for (i = 0; i < m->n_ext; i++) {
        if (m->ext[i].at == pl->at) {
            mcx_wr_u8(wr, pl->next);
            mcx_wr_u8(wr, m->ext[i].type);
            mcx_wr_bytes_len(wr, m->ext[i].data, 2);
        }
    }
}
