/* fuzz_xml.c -- KMS documents and mcptt-info.  Promises held: a refused
 * document leaves the ring as it was unless some of its key sets were good. */
#include <config.h>
#include <sofia-mcx/mcx_kms.h>
#include "fuzz.h"

/* Log lines of refusals are not wanted here. */
static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct mcx_mcinfo info;
    struct mcx_env env = *mcx_env_system();
    struct mcx_why why = { 0 };
    struct mcx_text text = { "" };
    struct mcx_kms_loaded loaded = { 0, 0 };
    struct mcx_ring *ring = NULL;
    size_t kms = 0, users = 0;

    env.log = no_log;
    (void)(mcx_mcinfo_read(&info, mcx_bytes(data, n), &why) == MCX_OK);
    if (mcx_ring_new(&ring, &env) != MCX_OK) {
        return 0;
    }
    if (mcx_kms_load(ring, mcx_bytes(data, n), "fuzz.xml", &env, &loaded,
                     &text)
        != MCX_OK) {
        FUZZ_HOLDS(text.s[0] != '\0');
    }
    mcx_ring_count(ring, &kms, &users);
    FUZZ_HOLDS(kms <= loaded.n_kms && users <= loaded.n_users);
    mcx_ring_free(ring);
    return 0;
}
