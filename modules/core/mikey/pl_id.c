/* pl_id.c -- ID (RFC 3830 6.7) and ID with role (RFC 6043 6.6), both ways.
 *
 *   ID    | next | type | length (16) | data ... |
 *   IDR   | next | role | type | length (16) | data ... |
 *
 * Roles we do not know are skipped by length, as the digest of RFC 3830 P5
 * asks; they stay under the signature.  What the identities say is judged by
 * open.c; here only that a UID has the size of one. */
#include <config.h>
#include "pl.h"

static const char id_clause[] = "RFC 3830 6.7";
static const char idr_clause[] = "RFC 6043 6.6";

mcx_err
mcx_pl_id_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
               struct mcx_why *why)
{
    struct mcx_idr id = { .at = pl->at };

    pl->next = mcx_rd_u8(rd);
    id.id_type = mcx_rd_u8(rd);
    id.data = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "ID", id_clause, why));
    if (m->n_id == sizeof m->id / sizeof m->id[0]) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "ID", pl->at, id_clause);
    }
    m->id[m->n_id++] = id;
    return MCX_OK;
}

static void
put_id(struct mcx_wr *wr, const struct mcx_idr *id)
{
    mcx_wr_u8(wr, id->id_type);
    mcx_wr_bytes_len(wr, id->data, 2);
}

void
mcx_pl_id_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                const struct mcx_pl *pl)
{
    size_t i = m->n_id > 1 && m->id[1].at == pl->at ? 1 : 0;

    mcx_wr_u8(wr, pl->next);
    put_id(wr, &m->id[i]);
}

mcx_err
mcx_pl_idr_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
                struct mcx_why *why)
{
    struct mcx_idr id = { .at = pl->at };

    pl->next = mcx_rd_u8(rd);
    id.role = mcx_rd_u8(rd);
    id.id_type = mcx_rd_u8(rd);
    id.data = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "IDR", idr_clause, why));
    if (id.role == 0 || id.role >= MCX_ROLE_COUNT) {
        return MCX_OK;
    }
    if (m->idr[id.role].at) {
        return MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "IDR", pl->at, idr_clause);
    }
    if (id.data.n == 0) {
        return MCX_REFUSE(why, MCX_R_VALUE, "IDR", pl->at + 3, idr_clause);
    }
    if ((id.role == MCX_ROLE_UIDI || id.role == MCX_ROLE_UIDR)
        && id.data.n != MCX_UID_SIZE) {
        return MCX_REFUSE(why, MCX_R_VALUE, "IDR", pl->at + 3,
                          "TS 33.180 E.7");
    }
    m->idr[id.role] = id;
    return MCX_OK;
}

void
mcx_pl_idr_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                 const struct mcx_pl *pl)
{
    unsigned role;

    for (role = 1; role < MCX_ROLE_COUNT; role++) {
        if (m->idr[role].at == pl->at) {
            mcx_wr_u8(wr, pl->next);
            mcx_wr_u8(wr, role);
            put_id(wr, &m->idr[role]);
            return;
        }
    }
    /* A role that was skipped on reading goes out as it came in. */
    mcx_wr_bytes(wr, mcx_bytes(m->octets.p + pl->at, pl->size));
}
