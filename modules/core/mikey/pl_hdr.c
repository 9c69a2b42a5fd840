/* pl_hdr.c -- the common header and its CS ID map (RFC 3830 6.1, RFC 4563 5,
 * RFC 6043 6.1), both directions.
 *
 *   | version | data type | next | V, PRF | CSB ID (32) | #CS | map type | map
 *
 * SRTP-ID, per CS:    | policy | SSRC (32) | ROC (32) |
 * GENERIC-ID, per CS: | CS ID | prot | S, #P | Ps | len (16) | session data |
 *                     | SPI len | SPI |
 * Whether the policy numbers exist is known only when all of the message has
 * been read: mcx_pl_hdr_check_policies(). */
#include <config.h>
#include "pl.h"

static const char clause[] = "RFC 3830 6.1";
static const char generic_clause[] = "RFC 6043 6.1.1";

static mcx_err
read_srtp_id(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_why *why)
{
    size_t i;

    for (i = 0; i < m->n_cs; i++) {
        struct mcx_cs *cs = &m->cs[i];

        cs->at = rd->at;
        cs->cs_id = (uint8_t)(i + 1);
        cs->policies = mcx_rd_bytes(rd, 1);
        cs->ssrc = mcx_rd_u32(rd);
        cs->has_ssrc = cs->ssrc != 0; /* 0: the responder fills it in */
        cs->roc = mcx_rd_u32(rd);
        MCX_TRY(mcx_pl_fit(rd, "HDR", clause, why));
    }
    return MCX_OK;
}

static mcx_err
read_session_data(struct mcx_cs *cs, struct mcx_rd *rd, struct mcx_why *why)
{
    size_t at = rd->at;
    struct mcx_bytes data = mcx_rd_bytes_len(rd, 2);
    struct mcx_rd sub = mcx_rd(data);

    MCX_TRY(mcx_pl_fit(rd, "HDR", generic_clause, why));
    /* S = 1 wants all ten octets, S = 0 the SSRC or nothing. */
    if (cs->has_seq ? data.n != 10 : data.n != 0 && data.n != 4) {
        return MCX_REFUSE(why, MCX_R_MAP, "HDR", at, generic_clause);
    }
    if (data.n) {
        cs->has_ssrc = true;
        cs->ssrc = mcx_rd_u32(&sub);
    }
    if (cs->has_seq) {
        cs->roc = mcx_rd_u32(&sub);
        cs->seq = mcx_rd_u16(&sub);
    }
    return MCX_OK;
}

static mcx_err
read_generic_id(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                struct mcx_why *why)
{
    size_t i, j;

    for (i = 0; i < m->n_cs; i++) {
        struct mcx_cs *cs = &m->cs[i];
        uint8_t s_p;

        cs->at = rd->at;
        cs->cs_id = mcx_rd_u8(rd);
        cs->prot = mcx_rd_u8(rd);
        s_p = mcx_rd_u8(rd);
        cs->has_seq = (s_p & 0x80) != 0;
        cs->policies = mcx_rd_bytes(rd, s_p & 0x7f);
        MCX_TRY(mcx_pl_fit(rd, "HDR", generic_clause, why));
        if (cs->prot != 0) {
            return MCX_REFUSE(why, MCX_R_MAP, "HDR", cs->at + 1,
                              generic_clause);
        }
        for (j = 0; j < i; j++) {
            if (m->cs[j].cs_id == cs->cs_id) {
                return MCX_REFUSE(why, MCX_R_MAP, "HDR", cs->at,
                                  generic_clause);
            }
        }
        MCX_TRY(read_session_data(cs, rd, why));
        cs->spi = mcx_rd_bytes_len(rd, 1);
        MCX_TRY(mcx_pl_fit(rd, "HDR", generic_clause, why));
    }
    return MCX_OK;
}

mcx_err
mcx_pl_hdr_read(struct mcx_mikey_msg *m, struct mcx_rd *rd, struct mcx_pl *pl,
                struct mcx_why *why)
{
    uint8_t v_prf;
    size_t i;

    m->version = mcx_rd_u8(rd);
    m->data_type = mcx_rd_u8(rd);
    pl->next = mcx_rd_u8(rd);
    v_prf = mcx_rd_u8(rd);
    m->csb_id = mcx_rd_u32(rd);
    m->n_cs = mcx_rd_u8(rd);
    m->map_type = mcx_rd_u8(rd);
    m->v = (v_prf & 0x80) != 0; /* SAKKE: ignored on receipt, RFC 6509 2.2.1 */
    m->prf = v_prf & 0x7f;
    if (!mcx_rd_ok(rd)) {
        m->n_cs = 0;
        return mcx_pl_fit(rd, "HDR", clause, why);
    }
    if (m->version != 1) {
        m->n_cs = 0;
        return MCX_REFUSE(why, MCX_R_VERSION, "HDR", 0, clause);
    }
    if (m->data_type != MCX_DT_SAKKE && m->data_type != MCX_DT_PSK_INIT
        && m->data_type != MCX_DT_PSK_RESP) {
        m->n_cs = 0;
        return MCX_REFUSE(why, MCX_R_DATA_TYPE, "HDR", 1, clause);
    }
    if (m->prf != MCX_PRF_MIKEY_1 && m->prf != MCX_PRF_HMAC_SHA256) {
        m->n_cs = 0;
        return MCX_REFUSE(why, MCX_R_PRF, "HDR", 3, clause);
    }
    if (m->n_cs > MCX_MIKEY_CS_MAX) {
        m->n_cs = 0;
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "HDR", 8, clause);
    }
    switch (m->map_type) {
    case MCX_MAP_SRTP_ID:
        return read_srtp_id(m, rd, why);
    case MCX_MAP_EMPTY:
        /* No octets follow, whatever #CS says; policy comes from outside. */
        for (i = 0; i < m->n_cs; i++) {
            m->cs[i].at = rd->at;
            m->cs[i].cs_id = (uint8_t)(i + 1);
        }
        return MCX_OK;
    case MCX_MAP_GENERIC_ID:
        /* #CS = 0 occurs in the field and means the default profile. */
        return read_generic_id(m, rd, why);
    default:
        m->n_cs = 0;
        return MCX_REFUSE(why, MCX_R_MAP_TYPE, "HDR", 9, clause);
    }
}

static bool
policy_exists(const struct mcx_mikey_msg *m, uint8_t no)
{
    size_t i;

    for (i = 0; i < m->n_sp; i++) {
        if (m->sp[i].policy_no == no) {
            return true;
        }
    }
    return false;
}

mcx_err
mcx_pl_hdr_check_policies(const struct mcx_mikey_msg *m, struct mcx_why *why)
{
    size_t i, j;

    if (m->n_sp == 0) { /* policy from outside MIKEY */
        return MCX_OK;
    }
    for (i = 0; i < m->n_cs; i++) {
        const struct mcx_cs *cs = &m->cs[i];

        for (j = 0; j < cs->policies.n; j++) {
            if (!policy_exists(m, cs->policies.p[j])) {
                return MCX_REFUSE(why, MCX_R_MAP, "HDR",
                                  (size_t)(cs->policies.p + j - m->octets.p),
                                  clause);
            }
        }
    }
    return MCX_OK;
}

void
mcx_pl_hdr_write(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                 const struct mcx_pl *pl)
{
    size_t i;

    mcx_wr_u8(wr, m->version);
    mcx_wr_u8(wr, m->data_type);
    mcx_wr_u8(wr, pl->next);
    mcx_wr_u8(wr, (m->v ? 0x80u : 0u) | m->prf);
    mcx_wr_u32(wr, m->csb_id);
    mcx_wr_u8(wr, (unsigned)m->n_cs);
    mcx_wr_u8(wr, m->map_type);
    for (i = 0; i < m->n_cs; i++) {
        const struct mcx_cs *cs = &m->cs[i];

        if (m->map_type == MCX_MAP_SRTP_ID) {
            mcx_wr_bytes(wr, cs->policies);
            mcx_wr_u32(wr, cs->ssrc);
            mcx_wr_u32(wr, cs->roc);
        } else if (m->map_type == MCX_MAP_GENERIC_ID) {
            mcx_wr_u8(wr, cs->cs_id);
            mcx_wr_u8(wr, cs->prot);
            mcx_wr_u8(wr, (cs->has_seq ? 0x80u : 0u)
                              | (unsigned)cs->policies.n);
            mcx_wr_bytes(wr, cs->policies);
            mcx_wr_u16(wr, cs->has_seq ? 10 : cs->has_ssrc ? 4 : 0);
            if (cs->has_ssrc) {
                mcx_wr_u32(wr, cs->ssrc);
            }
            if (cs->has_seq) {
                mcx_wr_u32(wr, cs->roc);
                mcx_wr_u16(wr, cs->seq);
            }
            mcx_wr_bytes_len(wr, cs->spi, 1);
        }
    }
}
