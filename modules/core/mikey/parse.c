/* parse.c -- station 1 to 2: the chain of payloads, and which payloads a
 * message of each type must and may have.
 *
 * Called by everybody who gets MIKEY octets; the payload files do the reading.
 * Nothing secret is touched and nobody is believed yet: see open.c. */
#include <config.h>
#include "pl.h"

/* SPEC RFC 3830 3.1, RFC 6509 2.1: what each message consists of.  A payload
 * that has no row may not stand in a message of that type.  'end': only a
 * last payload, or SIGN, may follow. */
static const struct shape {
    uint8_t data_type, type;
    uint8_t min, max;
    bool end;
} shapes[] = {
    { MCX_DT_SAKKE, MCX_PL_T, 1, 1, false },
    { MCX_DT_SAKKE, MCX_PL_RAND, 1, 1, false },
    { MCX_DT_SAKKE, MCX_PL_IDR, 0, MCX_MIKEY_PL_MAX, false },
    { MCX_DT_SAKKE, MCX_PL_ID, 0, 2, false },
    { MCX_DT_SAKKE, MCX_PL_SP, 0, MCX_MIKEY_SP_MAX, false },
    { MCX_DT_SAKKE, MCX_PL_EXT, 0, MCX_MIKEY_EXT_MAX, false },
    { MCX_DT_SAKKE, MCX_PL_SAKKE, 1, 1, false },
    { MCX_DT_SAKKE, MCX_PL_SIGN, 1, 1, true },

    { MCX_DT_PSK_INIT, MCX_PL_T, 1, 1, false },
    { MCX_DT_PSK_INIT, MCX_PL_RAND, 1, 1, false },
    { MCX_DT_PSK_INIT, MCX_PL_ID, 0, 2, false },
    { MCX_DT_PSK_INIT, MCX_PL_IDR, 0, MCX_MIKEY_PL_MAX, false },
    { MCX_DT_PSK_INIT, MCX_PL_SP, 0, MCX_MIKEY_SP_MAX, false },
    { MCX_DT_PSK_INIT, MCX_PL_EXT, 0, MCX_MIKEY_EXT_MAX, false },
    { MCX_DT_PSK_INIT, MCX_PL_KEMAC, 1, 1, true },
    { MCX_DT_PSK_INIT, MCX_PL_SIGN, 0, 1, true }, /* signed GSK message */

    { MCX_DT_PSK_RESP, MCX_PL_T, 1, 1, false },
    { MCX_DT_PSK_RESP, MCX_PL_ID, 0, 2, false },
    { MCX_DT_PSK_RESP, MCX_PL_IDR, 0, MCX_MIKEY_PL_MAX, false },
    { MCX_DT_PSK_RESP, MCX_PL_EXT, 0, MCX_MIKEY_EXT_MAX, false },
    { MCX_DT_PSK_RESP, MCX_PL_V, 1, 1, true },
};

static const char *
shape_clause(unsigned data_type)
{
    return data_type == MCX_DT_SAKKE ? "RFC 6509 2.1" : "RFC 3830 3.1";
}

static const struct shape *
shape_of(unsigned data_type, unsigned type)
{
    size_t i;

    for (i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shapes[i].data_type == data_type && shapes[i].type == type) {
            return &shapes[i];
        }
    }
    return NULL;
}

static size_t
count(const struct mcx_mikey_msg *m, unsigned type)
{
    size_t i, n = 0;

    for (i = 1; i < m->n_pl; i++) {
        n += m->pl[i].type == type;
    }
    return n;
}

/* May a payload of 'type' come now? */
static mcx_err
check_place(const struct mcx_mikey_msg *m, const struct mcx_pl_kind *kind,
            const struct shape *shape, size_t at, struct mcx_why *why)
{
    const char *clause = shape_clause(m->data_type);

    if (m->n_pl == MCX_MIKEY_PL_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, kind->word, at, clause);
    }
    if (!shape || !kind->read) {
        return MCX_REFUSE(why, MCX_R_PAYLOAD_ORDER, kind->word, at, clause);
    }
    if (count(m, kind->type) == shape->max) {
        return MCX_REFUSE(why,
                          shape->max > 1 ? MCX_R_TOO_LARGE
                                         : MCX_R_PAYLOAD_DUP,
                          kind->word, at, clause);
    }
    return MCX_OK;
}

/* What came last may only be followed by the end or by the signature. */
static mcx_err
check_end(const struct mcx_mikey_msg *m, const struct shape *shape,
          const struct mcx_pl *pl, struct mcx_why *why)
{
    bool may_sign = m->data_type == MCX_DT_PSK_INIT
                    && pl->type == MCX_PL_KEMAC;

    if (shape->end && pl->next != MCX_PL_LAST
        && !(may_sign && pl->next == MCX_PL_SIGN)) {
        return MCX_REFUSE(why, MCX_R_PAYLOAD_ORDER, mcx_pl_word(pl->type),
                          pl->at, shape_clause(m->data_type));
    }
    return MCX_OK;
}

/* Everything that must be there, and the rules across payloads. */
static mcx_err
check_whole(const struct mcx_mikey_msg *m, size_t end, struct mcx_why *why)
{
    size_t i;

    for (i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shapes[i].data_type == m->data_type
            && count(m, shapes[i].type) < shapes[i].min) {
            return MCX_REFUSE(why, MCX_R_PAYLOAD_MISSING,
                              mcx_pl_word(shapes[i].type), end,
                              shape_clause(m->data_type));
        }
    }
    if (end != m->octets.n) {
        return MCX_REFUSE(why, MCX_R_TRAILING,
                          mcx_pl_word(m->pl[m->n_pl - 1].type), end,
                          "RFC 3830 5.2");
    }
    return mcx_pl_hdr_check_policies(m, why);
}

mcx_err
mcx_mikey_walk(struct mcx_mikey_msg *m, struct mcx_bytes octets,
               struct mcx_why *why)
{
    struct mcx_rd rd = mcx_rd(octets);
    struct mcx_pl pl = { 0 };

    memset(m, 0, sizeof *m);
    m->octets = octets;
    if (octets.n > MCX_MIKEY_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "HDR", MCX_MIKEY_MAX,
                          "RFC 3830 5.2");
    }
    MCX_TRY(mcx_pl_hdr_read(m, &rd, &pl, why));
    pl.size = rd.at;
    m->pl[m->n_pl++] = pl;
    while (pl.next != MCX_PL_LAST) {
        const struct mcx_pl_kind *kind = mcx_pl_kind(pl.next);
        const struct shape *shape = shape_of(m->data_type, pl.next);

        if (!kind) { /* no length to skip it by: RFC 3830 5.2 */
            return MCX_REFUSE(why, MCX_R_PAYLOAD_TYPE, mcx_pl_word(pl.type),
                              m->n_pl == 1 ? 2 : pl.at, "RFC 3830 6.1");
        }
        MCX_TRY(check_place(m, kind, shape, rd.at, why));
        pl.type = kind->type;
        pl.at = rd.at;
        MCX_TRY(kind->read(m, &rd, &pl, why));
        pl.size = rd.at - pl.at;
        m->pl[m->n_pl++] = pl;
        MCX_TRY(check_end(m, shape, &pl, why));
    }
    return check_whole(m, rd.at, why);
}

mcx_err
mcx_mikey_parse(struct mcx_mikey_msg *out, struct mcx_bytes octets,
                struct mcx_why *why)
{
    mcx_err err = mcx_mikey_walk(out, octets, why);

    if (err != MCX_OK) {
        memset(out, 0, sizeof *out);
    }
    return err;
}
