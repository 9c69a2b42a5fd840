/* srtp_module.c -- what srtp is, for the host that loads it.
 *
 * Declarations only.  The work is in srtp.c, which never sees dlopen; the
 * tests link that file straight in. */
#include <config.h>
#include <stdio.h>
#include <string.h>
#include "srtp.h"

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "srtp.session" },
};

static mcx_err
srtp_start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    mcx_err err = mcx_srtp_begin();

    (void)host;
    *state = NULL; /* sessions stand alone: nothing is shared */
    if (err != MCX_OK) {
        snprintf(text->s, sizeof text->s,
                 "srtp: libsrtp2 does not start, or lacks AES-GCM");
    }
    return err;
}

static void
srtp_stop(void *state)
{
    (void)state; /* libsrtp stays up: sessions may outlive us */
}

static const void *
srtp_feature(void *state, const char *name)
{
    (void)state;
    return strcmp(name, "srtp.session") == 0 ? mcx_srtp_functions() : NULL;
}

MCX_MODULE_DEFINE(srtp) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = "srtp",
    .summary = "SRTP sessions on libsrtp2: AES-128-GCM and AES-CM-128",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = sizeof features / sizeof *features,
    .start = srtp_start,
    .stop = srtp_stop,
    .feature = srtp_feature,
};
