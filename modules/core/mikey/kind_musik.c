/* kind_musik.c -- multicast signalling key: SRTCP over MBMS (TS 33.180
 * 5.8). */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_musik = {
    .kind = MCX_KIND_MUSIK,
    .word = "musik",
    .initiator = "server",
    .responder = "client",
    .clause = "TS 33.180 E.4",
    .carrier = MCX_CARRIER_SAKKE,
    .params = true,
    .groups = true,
    .to_self = true,
    .cs_id = MCX_CS_MCPTT_MUSIK,
    .n_cs = 1,
    .rel13_cs_id = 0,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
