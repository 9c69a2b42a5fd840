/* kind_pck.c -- private call key, one call (TS 33.180 5.6, E.3).
 *
 * Each direction is a crypto session of its own. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_pck = {
    .kind = MCX_KIND_PCK,
    .word = "pck",
    .initiator = "caller",
    .responder = "callee",
    .clause = "TS 33.180 E.3",
    .carrier = MCX_CARRIER_SAKKE,
    .params = true,
    .to_self = true,
    .cs_id = MCX_CS_MCPTT_INITIATOR,
    .n_cs = 2,
    .rel13_cs_id = MCX_CS_MCPTT_INITIATOR,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
