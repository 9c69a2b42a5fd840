/* pl_sp.c -- the security policy payload (RFC 3830 6.10), both directions.
 *
 *   | next | policy number | protocol | length (16) | { type | len | value } |
 *
 * For SRTP (protocol 0) the values become numbers.  The RFC fixes no width
 * ("one byte is enough"), so 1 to 4 octets are taken.  Types that nobody has
 * defined are skipped by length.  What the numbers ask for is judged by
 * profile.c. */
#include <config.h>
#include "pl.h"

enum { SP_SRTP = 0, SP_TYPE_DEFINED = 20 };
static const char clause[] = "RFC 3830 6.10";

static mcx_err
read_params(struct mcx_sp *sp, struct mcx_rd *rd, struct mcx_why *why)
{
    while (mcx_rd_left(rd) > 0) {
        size_t at = rd->at;
        uint8_t type = mcx_rd_u8(rd);
        struct mcx_bytes value = mcx_rd_bytes_len(rd, 1);
        struct mcx_rd v = mcx_rd(value);

        MCX_TRY(mcx_pl_fit(rd, "SP", clause, why));
        if (type > SP_TYPE_DEFINED) {
            continue;
        }
        if (value.n < 1 || value.n > 4) {
            return MCX_REFUSE(why, MCX_R_VALUE, "SP", at + 1, clause);
        }
        if (sp->value[type] >= 0) { /* which of the two would hold? */
            return MCX_REFUSE(why, MCX_R_VALUE, "SP", at, clause);
        }
        sp->value[type] = (int64_t)mcx_rd_uint(&v, value.n);
    }
    return MCX_OK;
}

mcx_err
mcx_pl_sp_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
               struct mcx_why *why)
{
    struct mcx_sp *sp;
    struct mcx_rd sub;
    size_t i;

    if (m->n_sp == MCX_MIKEY_SP_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "SP", pl->at, clause);
    }
    sp = &m->sp[m->n_sp];
    for (i = 0; i < MCX_SP_TYPE_MAX; i++) {
        sp->value[i] = -1;
    }
    sp->at = pl->at;
    pl->next = mcx_rd_u8(rd);
    sp->policy_no = mcx_rd_u8(rd);
    sp->prot = mcx_rd_u8(rd);
    sp->params = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "SP", clause, why));
    for (i = 0; i < m->n_sp; i++) {
        if (m->sp[i].policy_no == sp->policy_no) {
            return MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "SP", pl->at + 1,
                              clause);
        }
    }
    if (sp->prot == SP_SRTP) {
        sub = mcx_rd_sub(rd, rd->at - sp->params.n, sp->params.n);
        MCX_TRY(read_params(sp, &sub, why));
    }
    m->n_sp++;
    return MCX_OK;
}

void
mcx_pl_sp_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                const struct mcx_pl *pl)
{
    size_t i;

    for (i = 0; i < m->n_sp; i++) {
        if (m->sp[i].at == pl->at) {
            mcx_wr_u8(wr, pl->next);
            mcx_wr_u8(wr, m->sp[i].policy_no);
            mcx_wr_u8(wr, m->sp[i].prot);
            mcx_wr_bytes_len(wr, m->sp[i].params, 2);
        }
    }
}
