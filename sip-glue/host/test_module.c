/* test_module.c -- modules that are wrong in one way each, for test_host.
 *
 * Compiled once for each TM_* with TM_IDENT and TM_NAME; see local.mk. */
#include <config.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_module.h>

#ifdef TM_SIZE
#define THE_SIZE (sizeof(struct mcx_module) - sizeof(void *))
#else
#define THE_SIZE sizeof(struct mcx_module)
#endif
#ifdef TM_ABI
#define THE_ABI (MCX_MODULE_ABI + 1)
#else
#define THE_ABI MCX_MODULE_ABI
#endif
#ifdef TM_VERSION
#define THE_VERSION "0.0.0"
#else
#define THE_VERSION PACKAGE_VERSION
#endif
#ifdef TM_SOFIA
#define THE_SOFIA "9.9.9"
#else
#define THE_SOFIA NULL
#endif
#ifdef TM_OTHER_NAME
#define THE_NAME "somebody-else"
#else
#define THE_NAME TM_NAME
#endif

static const struct mcx_feature features[] = {
#ifdef TM_PROVIDES
    { MCX_PROVIDES, TM_PROVIDES },
#endif
#ifdef TM_NEEDS
    { MCX_NEEDS, TM_NEEDS },
#endif
#ifdef TM_WANTS
    { MCX_WANTS, TM_WANTS },
#endif
    { MCX_NEEDS, "worker.pool" },
};

static const struct mcx_opt options[] = {
    { .name = "fail", .type = MCX_OPT_SWITCH, .fallback = "no",
      .help = "start() fails" },
    { .name = "number", .type = MCX_OPT_NUMBER, .fallback = "7", .min = 1,
      .max = 9, .help = "a number" },
};

static mcx_err
start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    const char *fail = host->option(host, TM_NAME, "fail");

    if (fail && strcmp(fail, "yes") == 0) {
        memcpy(text->s, "told to fail", sizeof "told to fail");
        return MCX_E_STATE;
    }
    host->event(host, MCX_EV_REFUSED, NULL, MCX_OK, NULL, "+" TM_NAME);
    host->count(host, "test.started");
    *state = (void *)(uintptr_t)host;
    return MCX_OK;
}

static void
stop(void *state)
{
    const struct mcx_host *host = state;

    host->event(host, MCX_EV_REFUSED, NULL, MCX_OK, NULL, "-" TM_NAME);
}

static const void *
feature(void *state, const char *name)
{
    (void)state;
    (void)name;
    return TM_NAME;
}

#ifndef TM_NO_SYMBOL
#define DEFINE(ident) MCX_MODULE_DEFINE(ident)
DEFINE(TM_IDENT) = {
    .abi = THE_ABI,
    .size = THE_SIZE,
    .name = THE_NAME,
    .summary = "for tests",
    .version = THE_VERSION,
    .sofia_version = THE_SOFIA,
    .features = features,
    .n_features = sizeof features / sizeof features[0],
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .start = start,
    .stop = stop,
    .feature = feature,
};
#else
MCX_API const void *const tm_keep[] = { features, options, (void *)start,
                                        (void *)stop, (void *)feature };
#endif
