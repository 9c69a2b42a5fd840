/* fuzz_mikey.c -- octets of a MIKEY message: parser, describer, PSK opener.
 * Promises held: parse and describe agree; views lie inside the message; a
 * refusal names an offset inside it. */
#include <config.h>
#include <sofia-mcx/mcx_mikey.h>
#include "fuzz.h"

static void
inside(struct mcx_bytes b, const uint8_t *data, size_t n)
{
    FUZZ_HOLDS(b.n == 0
               || (b.p >= data && b.n <= n && b.p - data <= (long)(n - b.n)));
}

static void
field(void *arg, const struct mcx_field *f)
{
    size_t n = *(size_t *)arg;

    FUZZ_HOLDS(f->at <= n && f->size <= n - f->at);
    FUZZ_HOLDS(f->payload && f->name && f->value && f->meaning && f->clause);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct mcx_mikey_msg m;
    struct mcx_why why = { 0 }, why2 = { 0 };
    struct mcx_bytes b = mcx_bytes(data, n);
    mcx_err err = mcx_mikey_parse(&m, b, &why);
    size_t i;

    FUZZ_HOLDS(mcx_mikey_describe(b, field, &n, &why2) == err);
    if (err != MCX_OK) {
        FUZZ_HOLDS(why.reason != MCX_R_NONE && why.offset <= n);
        FUZZ_HOLDS(why2.reason == why.reason && why2.offset == why.offset);
        return 0;
    }
    inside(m.rand, data, n);
    inside(m.sakke.data, data, n);
    inside(m.sign, data, n);
    inside(m.kemac.encr, data, n);
    inside(m.kemac.mac, data, n);
    for (i = 0; i < m.n_cs; i++) {
        inside(m.cs[i].policies, data, n);
        inside(m.cs[i].spi, data, n);
    }
    for (i = 0; i < m.n_sp; i++) {
        inside(m.sp[i].params, data, n);
    }
    for (i = 0; i < m.n_ext; i++) {
        inside(m.ext[i].data, data, n);
    }
    for (i = 0; i < MCX_ROLE_COUNT; i++) {
        inside(m.idr[i].data, data, n);
    }
    FUZZ_HOLDS(m.signed_size <= n);
    if (m.data_type == MCX_DT_PSK_INIT) {
        MCX_SECRET(mcx_psk_keys, keys);

        (void)(mcx_psk_open(&keys, &m, mcx_bytes("0123456789abcdef", 16),
                            &why)
               == MCX_OK);
    }
    return 0;
}
