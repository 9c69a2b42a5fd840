/* kms_module.c -- what kms is, for the host that loads it.
 *
 * Declarations only.  The work is in kms.c and the files that it calls; the
 * tests link them straight in and drive them with a fake host. */
#include <config.h>
#include "kms_state.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "kms.lookup" },  /* where somebody belongs */
    { MCX_PROVIDES, "kms.refresh" }, /* period keys come by themselves */
    { MCX_NEEDS, "kms.identity" },   /* the ring that they go to */
    { MCX_NEEDS, "worker.pool" },
};

static const struct mcx_opt options[] = {
    { .name = "url", .type = MCX_OPT_URI,
      .help = "https://HOST[:PORT][/PATH] of the KMS; without a path, that of "
              "TS 33.180 is taken" },
    { .name = "kms-uri", .type = MCX_OPT_TEXT,
      .help = "KMS URI in requests and certificates; default: the host of "
              "url" },
    { .name = "ca-file", .type = MCX_OPT_PATH,
      .help = "PEM file of the authorities trusted for the KMS; default: "
              "those of the system" },
    { .name = "cert-file", .type = MCX_OPT_PATH,
      .help = "PEM file with the client's certificate" },
    { .name = "key-file", .type = MCX_OPT_PATH,
      .help = "PEM file with its key; default: cert-file" },
    { .name = "proxy", .type = MCX_OPT_TEXT,
      .help = "http://HOST:PORT of an HTTP proxy (CONNECT)" },
    { .name = "token-file", .type = MCX_OPT_PATH,
      .help = "file with the bearer token, read for each request" },
    { .name = "client-id", .type = MCX_OPT_TEXT,
      .help = "ClientId of requests" },
    { .name = "cache", .type = MCX_OPT_PATH,
      .help = "folder in which answers are kept, sealed, for the next start" },
    { .name = "cache-key-file", .type = MCX_OPT_PATH,
      .help = "file with the key they are sealed under; made when missing" },
    { .name = "security", .type = MCX_OPT_ENUM, .fallback = "tls",
      .words = "tls signed wrapped",
      .help = "signed: requests and answers are, under keys of "
              "transport-keys; wrapped: our keys come wrapped, too" },
    { .name = "transport-keys", .type = MCX_OPT_PATH,
      .help = "file with the first TrK and InK; taken into cache once" },
    { .name = "answer-id", .type = MCX_OPT_ENUM, .fallback = "learn",
      .words = "learn always never",
      .help = "must a signed answer have the Id of its question? learn: once "
              "one had it" },
    { .name = "external", .type = MCX_OPT_TEXT,
      .help = "KMS URIs of other domains whose certificates may be used" },
    { .name = "keyprov", .type = MCX_OPT_ENUM, .fallback = "plain",
      .words = "plain uri time",
      .help = "form in which the keys of the present period are asked for: "
              "plainly, for our URI, or for it at a time" },
    { .name = "lookup", .type = MCX_OPT_SWITCH, .fallback = "no",
      .help = "ask the KMS where peers belong that no certificate speaks "
              "for" },
    { .name = "timeout", .type = MCX_OPT_SECONDS, .fallback = "30", .min = 1,
      .max = 300, .help = "longest time for one request" },
    { .name = "time-window", .type = MCX_OPT_SECONDS, .fallback = "60",
      .min = 1, .max = 3600,
      .help = "how far Time of an answer may be from our clock" },
    { .name = "refresh", .type = MCX_OPT_SECONDS, .fallback = "86400",
      .min = 60, .max = 2592000,
      .help = "age at which certificates are asked for again" },
};

MCX_MODULE_DEFINE(kms) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = KMS_NAME,
    .summary = "Identity keys from a key management server over HTTPS",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .start = kms_start,
    .stop = kms_stop,
    .feature = kms_feature,
    .tick = kms_tick,
};
