/* csk_upload_module.c -- what csk-upload is, for the host that loads it.
 *
 * Declarations only.  The work is in csk_upload.c (client) and csk_server.c
 * (participating function), which never see dlopen; the tests link those
 * files straight in and drive them with a fake host. */
#include <config.h>
#include "csk_upload.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "csk.upload" },
    { MCX_NEEDS, "keys.store" },   /* where the CSK lives */
    { MCX_NEEDS, "kms.identity" }, /* our user keys, the KMS's public ones */
    { MCX_NEEDS, "worker.pool" },
};

static const struct mcx_opt options[] = {
    { .name = "carrier", .type = MCX_OPT_ENUM, .fallback = "both",
      .words = "register publish both",
      .help = "client: the requests that carry the CSK" },
    { .name = "lifetime", .type = MCX_OPT_SECONDS, .fallback = "0", .min = 0,
      .max = 604800,
      .help = "client: a CSK younger than this is kept when a request goes "
              "out; 0 makes a new one each time" },
    { .name = "token", .type = MCX_OPT_TEXT,
      .help = "client: access token; better in a file" },
    { .name = "token-file", .type = MCX_OPT_PATH,
      .help = "client: file with the access token, read for each request" },
    { .name = "client-id", .type = MCX_OPT_TEXT,
      .help = "client: instance URN; default: random, new at each start" },
    { .name = "answer-mode", .type = MCX_OPT_ENUM, .fallback = "automatic",
      .words = "automatic manual",
      .help = "client: answer mode published in poc-settings" },
};

MCX_MODULE_DEFINE(csk_upload) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = CSK_UPLOAD_NAME,
    .summary = "CSK from the client to the participating function",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .start = csk_upload_start,
    .stop = csk_upload_stop,
    .claims = csk_upload_claims,
    .judge = csk_upload_judge,
    .judge_many = csk_upload_judge_many,
    .settled = csk_upload_settled,
    .wants = csk_upload_wants,
    .prepare = csk_upload_prepare,
    .outcome = csk_upload_outcome,
};
