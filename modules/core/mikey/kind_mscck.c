/* kind_mscck.c -- MBMS subchannel control key, one bearer (TS 33.179 7.7).
 *
 * No clause we have gives its CS-ID: 0 unless the sender is told another. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_mscck = {
    .kind = MCX_KIND_MSCCK,
    .word = "mscck",
    .initiator = "participating function",
    .responder = "client",
    .clause = "TS 33.179 7.7",
    .carrier = MCX_CARRIER_SAKKE,
    .params = true,
    .to_self = true,
    .cs_id = 0,
    .n_cs = 1,
    .rel13_cs_id = 0,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
