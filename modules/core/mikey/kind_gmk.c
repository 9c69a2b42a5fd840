/* kind_gmk.c -- group master key: media of a group (TS 33.180 5.7, E.2).
 *
 * Every member has a key ID of its own, the GUK-ID, so that no two talkers
 * share a traffic key; RCC mode 3 lets a late joiner learn the ROC. */
#include <config.h>
#include "kinds.h"

const struct mcx_kind_info mcx_kind_gmk = {
    .kind = MCX_KIND_GMK,
    .word = "gmk",
    .initiator = "group management server",
    .responder = "member",
    .clause = "TS 33.180 E.2",
    .carrier = MCX_CARRIER_SAKKE,
    .diversity = MCX_DIVERSITY_ALWAYS,
    .params = true,
    .groups = true,
    .to_self = true,
    .cs_id = MCX_CS_MCPTT_GROUP,
    .n_cs = 1,
    .rel13_cs_id = MCX_CS_MCPTT_GROUP,
    .window = MCX_WINDOW_STORED,
    .sp = { .encr_alg = 6, .key_size = 16, .salt_size = 12,
            .tag_size = 16, .rcc_mode3 = true, .roc_rate = 1 },
};
