/* pl_t.c -- the timestamp payload (RFC 3830 6.6, RFC 6043 6.3), both ways.
 *
 *   | next | TS type | value (64, or 32 for types 2 and 3) |
 *
 * The 32-bit forms are widened as the IV of KEMAC wants them: a counter to
 * the right, NTP-UTC-32 to the left with a zero fraction.  SAKKE messages may
 * only use the 64-bit forms (RFC 6509 2.2.1). */
#include <config.h>
#include "pl.h"

enum { TS_NTP_UTC = 0, TS_NTP = 1, TS_COUNTER = 2, TS_NTP_UTC_32 = 3 };
static const char clause[] = "RFC 3830 6.6";

mcx_err
mcx_pl_t_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
              struct mcx_why *why)
{
    uint8_t type;

    pl->next = mcx_rd_u8(rd);
    type = mcx_rd_u8(rd);
    MCX_TRY(mcx_pl_fit(rd, "T", clause, why));
    switch (type) {
    case TS_NTP_UTC:
    case TS_NTP:
        m->t = mcx_rd_u64(rd);
        break;
    case TS_COUNTER:
    case TS_NTP_UTC_32:
        if (m->data_type == MCX_DT_SAKKE) {
            return MCX_REFUSE(why, MCX_R_TIME_TYPE, "T", pl->at + 1,
                              "RFC 6509 2.2.1");
        }
        m->t = mcx_rd_u32(rd);
        m->t <<= type == TS_NTP_UTC_32 ? 32 : 0;
        break;
    default:
        return MCX_REFUSE(why, MCX_R_TIME_TYPE, "T", pl->at + 1, clause);
    }
    MCX_TRY(mcx_pl_fit(rd, "T", clause, why));
    m->t_at = pl->at;
    m->t_type = type;
    return MCX_OK;
}

void
mcx_pl_t_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
               const struct mcx_pl *pl)
{
    mcx_wr_u8(wr, pl->next);
    mcx_wr_u8(wr, m->t_type);
    switch (m->t_type) {
    case TS_COUNTER:
        mcx_wr_u32(wr, (uint32_t)m->t);
        break;
    case TS_NTP_UTC_32:
        mcx_wr_u32(wr, (uint32_t)(m->t >> 32));
        break;
    default:
        mcx_wr_u64(wr, m->t);
        break;
    }
}
