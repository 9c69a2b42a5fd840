/* kind_csk.c -- client-server key: SRTCP and XML (TS 33.180 5.4, 5.8, E.4).
 *
 * Either end may make it: the client uploads, the server downloads. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_csk = {
    .kind = MCX_KIND_CSK,
    .word = "csk",
    .initiator = "client or server",
    .responder = "server or client",
    .clause = "TS 33.180 E.4",
    .carrier = MCX_CARRIER_SAKKE,
    .params = true,
    .to_self = true,
    .xml = true,
    .cs_id = MCX_CS_MCPTT_CSK,
    .n_cs = 1,
    .rel13_cs_id = 0,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
