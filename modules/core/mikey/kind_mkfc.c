/* kind_mkfc.c -- multicast floor control key of release 13 (TS 33.179 7.4).
 *
 * The texts disagree on its ID: the key ID in CSB ID, or a GUK-ID as a GMK
 * has.  The peer option mkfc-guk takes the second. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_mkfc = {
    .kind = MCX_KIND_MKFC,
    .word = "mkfc",
    .initiator = "group management server",
    .responder = "member",
    .clause = "TS 33.179 7.4",
    .carrier = MCX_CARRIER_SAKKE,
    .diversity = MCX_DIVERSITY_BY_OPTION,
    .params = true,
    .groups = true,
    .to_self = true,
    .cs_id = 0,
    .n_cs = 1,
    .rel13_cs_id = 0,
    .window = MCX_WINDOW_STORED,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
