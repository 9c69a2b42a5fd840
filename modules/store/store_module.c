/* store_module.c -- what store is, for the host that loads it.
 *
 * Declarations only.  The work is in store.c and below it, which never see
 * dlopen; the tests link those files straight in. */
#include <config.h>
#include "store.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "keys.backend" },
    { MCX_NEEDS, "keys.store" }, /* what it lies under */
    { MCX_WANTS, "keys.kek" },   /* a secure element, instead of files */
};

static const struct mcx_opt options[] = {
    { .name = "file", .type = MCX_OPT_PATH,
      .help = "the store; made when it is not there" },
    { .name = "key-file", .type = MCX_OPT_PATH,
      .help = "key-encryption key: 32 octets, or 64 hexadecimal digits" },
    { .name = "passphrase-file", .type = MCX_OPT_PATH,
      .help = "or a file with a passphrase" },
    { .name = "scrypt-log2-n", .type = MCX_OPT_NUMBER, .fallback = "15",
      .min = 10, .max = 20,
      .help = "cost of a passphrase, for a store that is made" },
    { .name = "clear-ids", .type = MCX_OPT_SWITCH, .fallback = "no",
      .help = "kinds, key IDs, states and times in clear" },
    { .name = "log", .type = MCX_OPT_SWITCH, .fallback = "yes",
      .help = "keep the audit log" },
    { .name = "log-entries", .type = MCX_OPT_NUMBER, .fallback = "20000",
      .min = 100, .max = 1000000,
      .help = "entries of the audit log before they move into a file" },
    { .name = "log-files", .type = MCX_OPT_NUMBER, .fallback = "50",
      .min = 0, .max = 100000,
      .help = "files of the audit log; the oldest are deleted" },
};

MCX_MODULE_DEFINE(store) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = STORE_NAME,
    .summary = "Keys, replay entries and the audit log over a restart",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .start = store_start,
    .stop = store_stop,
    .feature = store_feature,
};
