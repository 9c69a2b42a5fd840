/* fuzz_text.c -- base64, hexadecimal, time and the SDP attribute.  Promises
 * held: what decodes encodes to the same; what mcx_sdp_put() writes is found
 * again by mcx_sdp_scan(). */
#include <config.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_keymgmt.h>
#include "fuzz.h"

static void
base64(struct mcx_bytes text)
{
    size_t room = 3 * (text.n / 4) + 3, n = room;
    uint8_t *out = malloc(room);
    char *back = malloc(MCX_B64_SIZE(room));
    struct mcx_why why = { 0 };

    if (out && back && mcx_b64_decode(out, &n, text, &why) == MCX_OK) {
        FUZZ_HOLDS(n <= room);
        FUZZ_HOLDS(mcx_b64_encode(back, MCX_B64_SIZE(room), mcx_bytes(out, n))
                   == MCX_OK);
        FUZZ_HOLDS(strlen(back) >= text.n
                   && memcmp(back, text.p ? text.p : (const uint8_t *)"",
                             text.n)
                          == 0);
    }
    free(out);
    free(back);
}

static void
sdp(struct mcx_bytes text)
{
    static struct mcx_sdp_view view;
    struct mcx_why why = { 0 };
    const struct mcx_sdp_km *km = NULL;
    size_t n = text.n + 512, i;
    char *out;
    int m;

    if (mcx_sdp_scan(&view, text, true, &why) != MCX_OK) {
        return;
    }
    for (i = 0; i < view.n_km; i++) {
        FUZZ_HOLDS(view.km[i].at <= text.n
                   && view.km[i].value.n <= text.n - view.km[i].at);
    }
    for (m = -1; m < (int)view.n_media; m++) {
        (void)(mcx_sdp_effective(&km, &view, m, &why) == MCX_OK);
    }
    if (view.n_km == MCX_SDP_KM_MAX) { /* one more would be too many */
        return;
    }
    out = malloc(n + 1);
    if (out && mcx_sdp_put(out, &n, text, "mikey AAAA") == MCX_OK) {
        static struct mcx_sdp_view again;
        size_t found = 0;

        FUZZ_HOLDS(mcx_sdp_scan(&again, mcx_bytes(out, n), false, &why)
                   == MCX_OK);
        for (i = 0; i < again.n_km; i++) {
            found += again.km[i].media == -1
                     && mcx_bytes_eq(again.km[i].value,
                                     mcx_bytes_str("mikey AAAA"));
        }
        FUZZ_HOLDS(found == 1);
    }
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mcx_bytes text = mcx_bytes(data, n);
    struct mcx_why why = { 0 };
    uint8_t octets[64], mikey[4096];
    size_t room = sizeof mikey;
    int64_t ms;

    base64(text);
    (void)(mcx_hex_decode(octets, n / 2 < 64 ? n / 2 : 64, text, &why)
           == MCX_OK);
    if (mcx_time_parse(&ms, text) == MCX_OK) {
        char back[MCX_RFC3339_SIZE];
        int64_t again;

        mcx_time_text(back, ms);
        if (back[0] != '0' || back[1] != '0') {
            FUZZ_HOLDS(mcx_time_parse(&again, mcx_bytes_str(back)) == MCX_OK
                       && again == ms);
        }
    }
    (void)(mcx_keymgmt_read(mikey, &room, text, &why) == MCX_OK);
    sdp(text);
    return 0;
}
