/* kind_spk.c -- signalling protection key between servers (TS 33.180 5.5).
 *
 * Never sent in MIKEY: both servers have it by hand, so nothing here but what
 * the store needs. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_spk = {
    .kind = MCX_KIND_SPK,
    .word = "spk",
    .initiator = "",
    .responder = "",
    .clause = "TS 33.180 5.5",
    .carrier = MCX_CARRIER_HAND,
    .xml = true,
    .cs_id = 0,
    .n_cs = 1,
    .rel13_cs_id = 0,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
