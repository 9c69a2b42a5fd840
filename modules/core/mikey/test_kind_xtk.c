/* test_kind_xtk.c -- a kind of key that does not exist, added by the recipe
 * modules/ADD-A-KEY-TYPE for test_kinds.c: tag 9, diverse, two crypto
 * sessions, neither key parameters nor SAKKE-to-self. */
#include <config.h>
#include "kinds.h"

extern const struct mcx_kind_info mcx_kind_xtk;
const struct mcx_kind_info mcx_kind_xtk = {
    .kind = 9,
    .word = "xtk",
    .initiator = "one",
    .responder = "another",
    .clause = "test",
    .carrier = MCX_CARRIER_SAKKE,
    .diversity = MCX_DIVERSITY_ALWAYS,
    .cs_id = 40,
    .n_cs = 2,
    .rel13_cs_id = 50,
    .window = MCX_WINDOW_STORED,
    .sp = { .encr_alg = 1, .key_size = 16, .salt_size = 14, .tag_size = 10 },
};
