/* pl.c -- the table of payloads, and writing a whole message from it.
 *
 * Called by parse.c, build.c and dump.c.  A new payload is a file with its
 * reader and writer and one row here (and rows in the shape table of
 * parse.c). */
#include <config.h>
#include "pl.h"

static const struct mcx_pl_kind kinds[] = {
    { MCX_PL_LAST, "HDR", "RFC 3830 6.1", mcx_pl_hdr_read, mcx_pl_hdr_write },
    { MCX_PL_KEMAC, "KEMAC", "RFC 3830 6.2", mcx_pl_kemac_read,
      mcx_pl_kemac_write },
    { MCX_PL_SIGN, "SIGN", "RFC 6509 4.3", mcx_pl_sign_read,
      mcx_pl_sign_write },
    { MCX_PL_T, "T", "RFC 3830 6.6", mcx_pl_t_read, mcx_pl_t_write },
    { MCX_PL_ID, "ID", "RFC 3830 6.7", mcx_pl_id_read, mcx_pl_id_write },
    { MCX_PL_CERT, "CERT", "RFC 3830 6.7", NULL, NULL },
    { MCX_PL_V, "V", "RFC 3830 6.9", mcx_pl_v_read, mcx_pl_v_write },
    { MCX_PL_SP, "SP", "RFC 3830 6.10", mcx_pl_sp_read, mcx_pl_sp_write },
    { MCX_PL_RAND, "RAND", "RFC 3830 6.11", mcx_pl_rand_read,
      mcx_pl_rand_write },
    { MCX_PL_ERR, "ERR", "RFC 3830 6.12", NULL, NULL },
    { MCX_PL_IDR, "IDR", "RFC 6043 6.6", mcx_pl_idr_read, mcx_pl_idr_write },
    { MCX_PL_KEYDATA, "KEYDATA", "RFC 3830 6.13", NULL, NULL },
    { MCX_PL_EXT, "EXT", "RFC 3830 6.15", mcx_pl_ext_read, mcx_pl_ext_write },
    { MCX_PL_SAKKE, "SAKKE", "RFC 6509 4.2", mcx_pl_sakke_read,
      mcx_pl_sakke_write },
};

const struct mcx_pl_kind *
mcx_pl_kind(unsigned type)
{
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *
mcx_pl_word(unsigned type)
{
    const struct mcx_pl_kind *kind = mcx_pl_kind(type);

    return kind ? kind->word : "?";
}

mcx_err
mcx_pl_write_all(struct mcx_wr *wr, const struct mcx_mikey_msg *m)
{
    size_t i;

    for (i = 0; i < m->n_pl; i++) {
        const struct mcx_pl_kind *kind = mcx_pl_kind(m->pl[i].type);

        if (!kind || !kind->write) {
            return MCX_E_INTERNAL;
        }
        kind->write(wr, m, &m->pl[i]);
    }
    return mcx_wr_status(wr);
}

size_t
mcx_pl_add(struct mcx_mikey_msg *m, unsigned type)
{
    struct mcx_pl *pl = &m->pl[m->n_pl];

    pl->type = (uint8_t)type;
    pl->at = m->n_pl;
    if (m->n_pl > 0) {
        m->pl[m->n_pl - 1].next = (uint8_t)type;
    }
    return m->n_pl++;
}
