/* peers.h -- tables of peers that are sealed to again and again: at most
 * MCX_PEERS_MAX of 832 KiB each (208 MiB) for a KMS, the least recently used
 * goes first.  All names here are public.  Threads: any. */
#ifndef MCX_IDENT_PEERS_H
#define MCX_IDENT_PEERS_H

#include <sofia-mcx/mcx_ident.h>
#include "../curve/ops.h"

enum { MCX_PEERS_MAX = 256 };

struct mcx_peers; /* the list; one a KMS */

struct mcx_peers *mcx_peers_new(void) MCX_MUST_USE;
void mcx_peers_free(struct mcx_peers *peers);

/* Counts a use of 'id' and lends its table, if any, until _give(). */
const struct mcx_point_table *mcx_peers_take(struct mcx_peers *peers,
                                             struct mcx_bytes id);
void mcx_peers_give(struct mcx_peers *peers, const struct mcx_point_table *t);

bool mcx_peers_has(struct mcx_peers *peers, struct mcx_bytes id);
/* Used twice or more, lately, and without a table? */
bool mcx_peers_due(struct mcx_peers *peers, struct mcx_bytes id);

/* Takes over 't', whatever it returns.  MCX_E_NOMEM: every table is lent. */
mcx_err mcx_peers_put(struct mcx_peers *peers, struct mcx_bytes id,
                      struct mcx_point_table *t) MCX_MUST_USE;

#endif /* MCX_IDENT_PEERS_H */
