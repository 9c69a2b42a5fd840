/* csk_download_module.c -- what csk-download is, for the host that loads it.
 *
 * Declarations only.  The work is in csk_download.c, which never sees dlopen;
 * the tests link that file straight in and drive it with a fake host. */
#include <config.h>
#include "csk_download.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "csk.download" },
    { MCX_NEEDS, "keys.store" },   /* where the CSK lives */
    { MCX_NEEDS, "kms.identity" }, /* our user keys, the KMS's public ones */
    { MCX_NEEDS, "worker.pool" },
};

static const struct mcx_opt options[] = {
    { .name = "musik", .type = MCX_OPT_SWITCH, .fallback = "no",
      .help = "client: take MuSiKs (purpose tag 6) as well as CSKs" },
    { .name = "keep-unanswered", .type = MCX_OPT_SECONDS, .fallback = "60",
      .min = 0, .max = 3600,
      .help = "server: how long a CSK whose download timed out is kept for "
              "receiving" },
};

MCX_MODULE_DEFINE(csk_download) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = CSK_DOWNLOAD_NAME,
    .summary = "CSK from the participating function to the client, by MESSAGE",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .start = csk_download_start,
    .stop = csk_download_stop,
    .claims = csk_download_claims,
    .judge = csk_download_judge,
    .settled = csk_download_settled,
    .wants = csk_download_wants,
    .prepare = csk_download_prepare,
    .outcome = csk_download_outcome,
    .tick = csk_download_tick,
};
