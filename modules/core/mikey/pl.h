/* pl.h -- what the files of core/mikey share: one reader and one writer for
 * each payload, the table that joins them, and small helpers.
 *
 * A reader gets the message under construction, the cursor at the payload and
 * the entry of the chain it fills ('at' is set by the caller, 'next' by the
 * reader).  It stores views, judges the payload's own shape and nothing else.
 * A writer is its mirror: write(read(b)) gives b. */
#ifndef MCX_CORE_MIKEY_PL_H
#define MCX_CORE_MIKEY_PL_H

#include <sofia-mcx/mcx_mikey.h>
#include "../base/rd.h"
#include "../base/wr.h"

typedef mcx_err mcx_pl_read_f(struct mcx_mikey_msg *m, struct mcx_rd *rd,
                              struct mcx_pl *pl, struct mcx_why *why);
typedef void mcx_pl_write_f(struct mcx_wr *wr, const struct mcx_mikey_msg *m,
                            const struct mcx_pl *pl);

mcx_pl_read_f mcx_pl_hdr_read, mcx_pl_t_read, mcx_pl_rand_read,
    mcx_pl_id_read, mcx_pl_idr_read, mcx_pl_sp_read, mcx_pl_ext_read,
    mcx_pl_sakke_read, mcx_pl_sign_read, mcx_pl_kemac_read, mcx_pl_v_read;
mcx_pl_write_f mcx_pl_hdr_write, mcx_pl_t_write, mcx_pl_rand_write,
    mcx_pl_id_write, mcx_pl_idr_write, mcx_pl_sp_write, mcx_pl_ext_write,
    mcx_pl_sakke_write, mcx_pl_sign_write, mcx_pl_kemac_write, mcx_pl_v_write;

struct mcx_pl_kind {
    uint8_t type;
    const char *word;
    const char *clause;
    mcx_pl_read_f *read; /* NULL: known, and never legal in our messages */
    mcx_pl_write_f *write;
};
/* The row of a payload number; NULL when unknown. */
const struct mcx_pl_kind *mcx_pl_kind(unsigned type);
/* Writes the payloads of m->pl in order, HDR first.  SIGN is written as its
 * two-octet header when m->sign is empty: the signature comes afterwards. */
mcx_err mcx_pl_write_all(struct mcx_wr *wr, const struct mcx_mikey_msg *m);

/* Adds a payload to the chain of a message under construction; returns a
 * number for its '.at', which ties the payload to its data. */
size_t mcx_pl_add(struct mcx_mikey_msg *m, unsigned type);

/* The policy numbers of the map must name SP payloads (pl_hdr.c). */
mcx_err mcx_pl_hdr_check_policies(const struct mcx_mikey_msg *m,
                                  struct mcx_why *why);
/* The SAKKE payload at the cursor, also used inside SAKKE-to-self. */
mcx_err mcx_pl_sakke_body(struct mcx_sakke_pl *out, struct mcx_rd *rd,
                          uint8_t *next, struct mcx_why *why);
void mcx_pl_sakke_put(struct mcx_wr *wr, unsigned next,
                      const struct mcx_sakke_pl *sakke);
/* Octets of a MAC; SIZE_MAX for an unknown algorithm. */
size_t mcx_pl_mac_size(unsigned mac_alg);

/* Did everything so far fit?  Else "truncated" at the field that did not. */
static inline mcx_err
mcx_pl_fit(const struct mcx_rd *rd, const char *payload, const char *clause,
           struct mcx_why *why)
{
    return mcx_rd_ok(rd) ? MCX_OK
                         : MCX_REFUSE(why, MCX_R_TRUNCATED, payload,
                                      rd->failed_at, clause);
}

/* The chain walk behind parse and describe: on failure '*m' holds the
 * payloads that came before (parse.c). */
mcx_err mcx_mikey_walk(struct mcx_mikey_msg *m, struct mcx_bytes octets,
                       struct mcx_why *why);

#endif /* MCX_CORE_MIKEY_PL_H */
