/* fuzz_xml.c -- KMS documents, redirect responses and mcptt-info.  Promises
 * held: a refused document leaves the ring as it was unless some of its key
 * sets were good; a redirect response that is read can be written, and reads
 * back the same. */
#include <config.h>
#include <sofia-mcx/mcx_gktp.h>
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

static void
redirect(struct mcx_bytes xml)
{
    static struct mcx_krr krr, again;
    struct mcx_text text = { "" };
    char *out = NULL;
    size_t n = 0;

    if (mcx_krr_read(&krr, xml, &text) != MCX_OK) {
        FUZZ_HOLDS(text.s[0] != '\0' && krr.n_kms == 0);
        return;
    }
    FUZZ_HOLDS(krr.n_kms > 0 && krr.n_kms <= MCX_KRR_KMS_MAX
               && krr.n_embedded < MCX_KRR_CHAIN_MAX);
    FUZZ_HOLDS(mcx_krr_write(&out, &n, &krr) == MCX_OK);
    FUZZ_HOLDS(mcx_krr_read(&again, mcx_bytes(out, n), &text) == MCX_OK);
    /* Under no authority there is no signature. */
    FUZZ_HOLDS(mcx_krr_verify(xml, krr.entity, mcx_bytes_str("none"), 0,
                              &text) != MCX_OK);
    krr.n_embedded = 0;
    krr.has_signature = false;
    FUZZ_HOLDS(mcx_bytes_eq(mcx_bytes(&krr, sizeof krr),
                            mcx_bytes(&again, sizeof again)));
    mcx_kms_text_free(out, n);
}

/* Messages that are read are written, and read again. */
static void
group_keys(struct mcx_bytes xml)
{
    static struct mcx_gktp item[MCX_GKTP_MAX];
    struct mcx_gktps *doc = NULL, *again = NULL;
    struct mcx_text text = { "" };
    char *out = NULL;
    size_t n = 0, i, good = 0;

    if (mcx_gktp_read(&doc, xml, &text) != MCX_OK) {
        FUZZ_HOLDS(!doc && text.s[0] != '\0');
        return;
    }
    for (i = 0; i < mcx_gktp_count(doc); i++) {
        const struct mcx_gktp *g = mcx_gktp_at(doc, i);

        FUZZ_HOLDS((g->err == MCX_OK) == (g->mikey.n > 0));
        FUZZ_HOLDS(g->mikey.n <= MCX_MIKEY_MAX);
        (void)mcx_gktp_names(g->id, 0x0df9bc39);
        if (g->err == MCX_OK && g->id[0]) {
            item[good++] = *g;
        }
    }
    FUZZ_HOLDS(mcx_gktp_write(&out, &n, item, good) == MCX_OK);
    FUZZ_HOLDS(n > MCX_GKTP_XML_MAX
               || mcx_gktp_read(&again, mcx_bytes(out, n), &text) == MCX_OK);
    FUZZ_HOLDS(!again || mcx_gktp_count(again) == good);
    mcx_gktp_free(again);
    mcx_gktp_free(doc);
    mcx_kms_text_free(out, n);
}

/* What a server reads, and what a client reads before it takes keys. */
static void
question_and_answer(struct mcx_bytes xml)
{
    static struct mcx_kms_request req;
    static struct mcx_kms_reply reply;
    const struct mcx_kms_expect expect = { .what = MCX_KMS_ANY,
                                           .window_ms = -1 };
    struct mcx_text text = { "" };
    mcx_err err = mcx_kms_reply_read(&reply, xml, &expect, &text);

    FUZZ_HOLDS(err == MCX_OK || text.s[0] != '\0');
    FUZZ_HOLDS(reply.n_sets <= MCX_KMS_SETS_MAX);
    if (err == MCX_OK && reply.what == MCX_KMS_LOOKUP) {
        FUZZ_HOLDS(reply.lookup_uri[0] && reply.lookup_kms[0]);
    }
    text.s[0] = '\0';
    if (mcx_kms_request_read(&req, xml, &text) != MCX_OK) {
        FUZZ_HOLDS(text.s[0] != '\0' && req.user_uri[0] == '\0');
    } else {
        FUZZ_HOLDS(req.user_uri[0] && req.kms_uri[0]);
    }
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
    group_keys(mcx_bytes(data, n));
    redirect(mcx_bytes(data, n));
    question_and_answer(mcx_bytes(data, n));
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
