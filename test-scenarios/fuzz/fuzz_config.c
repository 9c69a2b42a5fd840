/* fuzz_config.c -- configuration files.  A user's file is not an attack, but a
 * crash on one is a crash all the same. */
#include <config.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_config.h>
#include "fuzz.h"

static struct mcx_bytes input;

static mcx_err
from_memory(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    char *copy;

    (void)ctx;
    (void)path;
    if (input.n > max) {
        return MCX_E_TOOBIG;
    }
    copy = malloc(input.n + 1);
    if (!copy) {
        return MCX_E_NOMEM;
    }
    if (input.n) {
        memcpy(copy, input.p, input.n);
    }
    copy[input.n] = '\0';
    *out = copy;
    *n = input.n;
    return MCX_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct mcx_opt opts[] = {
        { "identity", MCX_OPT_URI, NULL, 0, 0, NULL, "" },
        { "lifetime", MCX_OPT_SECONDS, "60", 1, 3600, NULL, "" },
        { "answer", MCX_OPT_ENUM, "auto", 0, 0, "auto manual", "" },
        { "secure", MCX_OPT_SWITCH, "yes", 0, 0, NULL, "" },
    };
    struct mcx_env env = *mcx_env_system();
    struct mcx_config *config = NULL;
    struct mcx_text text = { "" };

    input = mcx_bytes(data, n);
    env.read_file = from_memory;
    if (mcx_config_new(&config) != MCX_OK) {
        return 0;
    }
    if (mcx_config_load(config, "fuzz.conf", &env, &text) != MCX_OK
        || mcx_config_check(config, "", opts, 4, &text) != MCX_OK) {
        FUZZ_HOLDS(text.s[0] != '\0');
    } else {
        (void)mcx_config_get(config, "", "identity");
    }
    mcx_config_free(config);
    return 0;
}
