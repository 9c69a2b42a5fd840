/* fuzz_srtp.c -- packets from the network, through module srtp.
 *
 * First octet: bit 0 RTCP; bit 1, protect the rest ourselves first and then
 * alter it by the second octet, so that good packets and near misses occur
 * too.  Promises held: what authenticates is what was protected; sizes never
 * grow beyond the buffer. */
#include <config.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_module.h>
#include "fuzz.h"

extern const struct mcx_module mcx_module_srtp;

enum { ROOM = 2048 };

static const struct mcx_srtp_api *
api(void)
{
    static const struct mcx_srtp_api *the_api;
    static struct mcx_host host;
    static void *state;
    struct mcx_text text = { "" };

    if (!the_api) {
        host.abi = MCX_MODULE_ABI;
        host.size = sizeof host;
        host.env = mcx_env_system();
        FUZZ_HOLDS(mcx_module_srtp.start(&state, &host, &text) == MCX_OK);
        the_api = mcx_module_srtp.feature(state, "srtp.session");
        FUZZ_HOLDS(the_api != NULL);
    }
    return the_api;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mcx_srtp *in = NULL, *out = NULL;
    uint8_t packet[ROOM], plain[ROOM];
    size_t size, plain_n;
    bool rtcp;
    MCX_SECRET(mcx_srtp_policy, policy);

    if (n < 2 || n - 2 > ROOM - MCX_SRTP_TRAILER) {
        return 0;
    }
    policy.suite = MCX_SUITE_AEAD_AES_128_GCM;
    policy.key_size = 16;
    policy.salt_size = 12;
    policy.tag_size = 16;
    policy.mki_size = 4;
    memcpy(policy.mki, "\x1a\x2b\x3c\x4d", 4);
    memset(policy.key, 7, 16);
    rtcp = data[0] & 1;
    size = plain_n = n - 2;
    memcpy(packet, data + 2, size);
    memcpy(plain, data + 2, size);
    FUZZ_HOLDS(api()->open(&in, &policy, true, 0) == MCX_OK);
    if (data[0] & 2) {
        FUZZ_HOLDS(api()->open(&out, &policy, false, 0) == MCX_OK);
        if (api()->protect(out, packet, &size, sizeof packet, rtcp)
            == MCX_OK) {
            FUZZ_HOLDS(size <= sizeof packet && size > plain_n);
            if (data[1]) {
                packet[data[1] % size] ^= data[1];
            }
        }
    }
    if (api()->unprotect(in, packet, &size, rtcp) == MCX_OK) {
        /* The MKI stands outside the authenticated part, but a changed one
         * names no key; so what passes is what was sent. */
        FUZZ_HOLDS(out && size == plain_n && memcmp(packet, plain, size) == 0);
    }
    api()->close(in);
    api()->close(out);
    return 0;
}
