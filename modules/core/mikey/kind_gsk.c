/* kind_gsk.c -- group session key of one-to-many media (TS 33.303 6.2.4).
 *
 * It comes in a pre-shared key message under the GMK, has no purpose tag, and
 * its crypto sessions are numbered by the SRTP-ID map, from 1. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_gsk = {
    .kind = MCX_KIND_GSK,
    .word = "gsk",
    .initiator = "talker",
    .responder = "group",
    .clause = "TS 33.303 6.2.4.5",
    .carrier = MCX_CARRIER_PSK,
    .cs_id = 1,
    .n_cs = 1,
    .rel13_cs_id = 1,
    .window = MCX_WINDOW_LIVE,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16 },
};
