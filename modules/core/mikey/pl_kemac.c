/* pl_kemac.c -- KEMAC (RFC 3830 6.2) and V (6.9), both directions.
 *
 *   KEMAC | next | encr alg | length (16) | encr data | MAC alg | MAC |
 *   V     | next | MAC alg | MAC |
 *
 * The MAC covers everything before it, the MAC algorithm's octet included.
 * NULL algorithms are well formed; psk.c refuses them. */
#include <config.h>
#include "pl.h"

static const char kemac_clause[] = "RFC 3830 6.2";
static const char v_clause[] = "RFC 3830 6.9";

size_t
mcx_pl_mac_size(unsigned mac_alg)
{
    static const size_t size[] = { 0, 20, 32 };

    return mac_alg < sizeof size / sizeof size[0] ? size[mac_alg] : SIZE_MAX;
}

/* The MAC algorithm and the MAC; ends what is covered. */
static mcx_err
read_mac(struct mcx_mikey_msg *m, struct mcx_kemac *k, struct mcx_rd *rd,
         const char *payload, const char *clause, struct mcx_why *why)
{
    size_t at = rd->at, size;

    k->mac_alg = mcx_rd_u8(rd);
    MCX_TRY(mcx_pl_fit(rd, payload, clause, why));
    size = mcx_pl_mac_size(k->mac_alg);
    if (size == SIZE_MAX) {
        return MCX_REFUSE(why, MCX_R_VALUE, payload, at, clause);
    }
    m->signed_size = rd->at;
    k->mac = mcx_rd_bytes(rd, size);
    return mcx_pl_fit(rd, payload, clause, why);
}

mcx_err
mcx_pl_kemac_read(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                  struct mcx_pl *pl, struct mcx_why *why)
{
    struct mcx_kemac k = { .at = pl->at };

    pl->next = mcx_rd_u8(rd);
    k.encr_alg = mcx_rd_u8(rd);
    k.encr = mcx_rd_bytes_len(rd, 2);
    MCX_TRY(mcx_pl_fit(rd, "KEMAC", kemac_clause, why));
    MCX_TRY(read_mac(m, &k, rd, "KEMAC", kemac_clause, why));
    m->kemac = k;
    return MCX_OK;
}

void
mcx_pl_kemac_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                   const struct mcx_pl *pl)
{
    mcx_wr_u8(wr, pl->next);
    mcx_wr_u8(wr, m->kemac.encr_alg);
    mcx_wr_bytes_len(wr, m->kemac.encr, 2);
    mcx_wr_u8(wr, m->kemac.mac_alg);
    mcx_wr_bytes(wr, m->kemac.mac);
}

mcx_err
mcx_pl_v_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
              struct mcx_why *why)
{
    struct mcx_kemac k = { .at = pl->at };

    pl->next = mcx_rd_u8(rd);
    MCX_TRY(read_mac(m, &k, rd, "V", v_clause, why));
    m->kemac = k;
    return MCX_OK;
}

void
mcx_pl_v_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
               const struct mcx_pl *pl)
{
    mcx_wr_u8(wr, pl->next);
    mcx_wr_u8(wr, m->kemac.mac_alg);
    mcx_wr_bytes(wr, m->kemac.mac);
}
