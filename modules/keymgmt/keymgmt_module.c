/* keymgmt_module.c -- what keymgmt is, for the host that loads it.
 *
 * Declarations only.  The work is in keymgmt.c, which never sees dlopen; the
 * tests link that file straight in and drive it with a fake host. */
#include <config.h>
#include "keymgmt.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "call.keymgmt" },
    { MCX_NEEDS, "keys.store" },   /* where the PCK lives */
    { MCX_NEEDS, "kms.identity" }, /* our user keys, the KMS's public ones */
    { MCX_NEEDS, "worker.pool" },
};

static const struct mcx_opt options[] = {
    { .name = "policy", .type = MCX_OPT_ENUM, .fallback = "required",
      .words = "required optional",
      .help = "required: an offer in which any media has no key is refused" },
};

MCX_MODULE_DEFINE(keymgmt) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = KEYMGMT_NAME,
    .summary = "PCK of a private call in the SDP offer (a=key-mgmt)",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .start = keymgmt_start,
    .stop = keymgmt_stop,
    .wants = keymgmt_wants,
    .prepare = keymgmt_prepare,
    .outcome = keymgmt_outcome,
    .offer_in = keymgmt_offer_in,
};
