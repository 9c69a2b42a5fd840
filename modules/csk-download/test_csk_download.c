/* test_csk_download.c -- both ends of the key download with a fake host: each
 * way a request can end, each refusal with the keys looked at afterwards. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../test-host/test_host.h"
#include "csk_download.h"

extern const struct mcx_module mcx_module_csk_download;
static const struct mcx_module *const module = &mcx_module_csk_download;

static struct th alice, pf;
static void *client, *server;

static const struct th_route route
    = { MCX_KIND_CSK, TH_PSI, TH_ALICE, TH_BOB };

static int
setup(void **state)
{
    (void)state;
    th_world_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    th_world_free();
    return 0;
}

static int
begin(void **state)
{
    struct mcx_text text;

    (void)state;
    th_new(&alice, MCX_ROLE_CLIENT, TH_ALICE, TH_PSI);
    th_new(&pf, MCX_ROLE_SERVER, TH_PSI, TH_PSI);
    th_issue(&alice, TH_ALICE, th_period());
    th_issue(&pf, TH_PSI, th_period());
    return module->start(&client, &alice.host, &text) == MCX_OK
                   && module->start(&server, &pf.host, &text) == MCX_OK
               ? 0
               : -1;
}

static int
end(void **state)
{
    (void)state;
    module->stop(client);
    module->stop(server);
    th_free(&alice);
    th_free(&pf);
    return 0;
}

/* ---- client ------------------------------------------------------------ */

struct incoming {
    struct mcx_part part;
    struct mcx_rq rq;
    struct mcx_answer answer;
    struct mcx_why why;
};

static void
make_rq(struct incoming *in, const struct th_msg *m)
{
    memset(in, 0, sizeof *in);
    in->part.type = MCX_MIME_MIKEY;
    in->part.content_id = "";
    in->part.body = mcx_bytes(m->b, m->n);
    in->rq.method = "MESSAGE";
    in->rq.content_type = MCX_MIME_MIKEY;
    in->rq.request_uri = TH_ALICE;
    in->rq.from = TH_PSI;
    in->rq.to = TH_ALICE;
    in->rq.asserted_identity = TH_PSI;
    in->rq.asserted_service = CSK_DOWNLOAD_ICSI;
    in->rq.event = "";
    in->rq.call_id = "1";
    in->rq.expires = -1;
    in->rq.parts = &in->part;
    in->rq.n_parts = 1;
}

static mcx_err
judged(struct incoming *in, const struct th_msg *m)
{
    make_rq(in, m);
    assert_true(module->claims(client, &in->rq));
    return module->judge(client, &in->rq, &in->answer, &in->why);
}

static void
settle(struct incoming *in, bool sent)
{
    module->settled(client, &in->rq, &in->answer, sent);
    mcx_key_unref(in->answer.key);
    in->answer.key = NULL;
}

static void
accepted(const struct th_msg *m)
{
    struct incoming in;

    assert_int_equal(judged(&in, m), MCX_OK);
    assert_int_equal(in.answer.status, 200);
    assert_string_equal(in.answer.mc_id, TH_PSI);
    settle(&in, true);
}

/* Refused with 488 and 136; no key has changed. */
static mcx_reason
refused(const struct th_msg *m)
{
    char before[TH_STATE], after[TH_STATE];
    unsigned counted = th_counted(&alice, "csk-download.refused");
    struct incoming in;
    mcx_err err;

    th_keys(&alice, before);
    alice.log[0] = '\0';
    err = judged(&in, m);
    assert_int_not_equal(err, MCX_OK);
    assert_int_equal(in.answer.status, 488);
    assert_int_equal(in.answer.warning, 136);
    assert_string_equal(in.answer.warning_text, MCX_WARN_MIKEY_TEXT);
    assert_null(in.answer.key);
    settle(&in, true); /* the 488 was sent */
    th_keys(&alice, after);
    assert_string_equal(before, after);
    assert_int_equal(th_counted(&alice, "csk-download.refused"),
                     counted + 1);
    assert_string_equal(alice.log, ""); /* the host's line says it */
    return in.why.reason;
}

static void
what_it_claims(void **state)
{
    struct incoming in;
    struct th_msg m = { .n = 0 };

    (void)state;
    make_rq(&in, &m);
    assert_true(module->claims(client, &in.rq));
    assert_false(module->claims(server, &in.rq));
    in.rq.method = "INFO";
    assert_false(module->claims(client, &in.rq));
    make_rq(&in, &m);
    in.rq.content_type = "text/plain";
    assert_false(module->claims(client, &in.rq));
    in.rq.content_type = "multipart/mixed";
    assert_false(module->claims(client, &in.rq));
    make_rq(&in, &m);
    in.rq.asserted_service = "";
    assert_false(module->claims(client, &in.rq));
    in.rq.asserted_service = "urn:urn-7:3gpp-service.ims.icsi.mcdata";
    assert_false(module->claims(client, &in.rq));
}

static void
switches(void **state)
{
    struct mcx_key *first, *second;
    struct mcx_key_info info;
    struct mcx_tek tek;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    accepted(&m);
    first = th_current(&alice, MCX_KIND_CSK, "");
    th_step(10);
    th_good(&m, &route);
    accepted(&m);
    second = th_current(&alice, MCX_KIND_CSK, "");
    assert_ptr_not_equal(first, second);
    mcx_key_info(&info, first);
    assert_int_equal(info.state, MCX_KEY_RETIRED);
    assert_int_equal(mcx_key_tek(&tek, first, 6), MCX_OK);
    th_step(MCX_KEY_GRACE_MS + 1);
    mcx_keys_sweep(alice.host.keys);
    mcx_key_info(&info, first);
    assert_int_equal(info.state, MCX_KEY_WIPED);
    assert_int_equal(mcx_key_tek(&tek, first, 6), MCX_E_STATE);
    mcx_key_unref(first);
    mcx_key_unref(second);
    assert_int_equal(th_counted(&alice, "csk-download.accepted"), 2);
}

static void
hidden_psi(void **state)
{
    struct mcx_build how = { .kind = MCX_KIND_CSK, .from = TH_PSI,
                             .to = TH_ALICE, .hide_initiator = true,
                             .hide_responder = true };
    struct th_msg m;

    (void)state;
    th_build(&m, &how);
    accepted(&m);
}

static void
not_sent(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    struct incoming in;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    accepted(&m);
    th_step(10);
    th_keys(&alice, before);
    th_good(&m, &route);
    assert_int_equal(judged(&in, &m), MCX_OK);
    settle(&in, false);
    th_keys(&alice, after);
    assert_string_equal(before, after);
}

static void
bad_rows(void **state)
{
    static struct th_bad bad;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    accepted(&m);
    th_step(1000);
    for (size_t i = 0; i < th_bad_rows(); i++) {
        mcx_reason reason;

        th_bad_make(&bad, i, &route);
        reason = refused(&bad.msg);
        if (bad.reason != MCX_R_NONE && reason != bad.reason) {
            fail_msg("%s: %s", bad.name, mcx_reason_word(reason));
        }
    }
    th_good(&m, &route); /* and a good one still passes */
    accepted(&m);
}

static void
cut_everywhere(void **state)
{
    struct th_msg m, cut;

    (void)state;
    th_good(&m, &route);
    for (size_t n = 0; n < m.n; n++) {
        memcpy(cut.b, m.b, n);
        cut.n = n;
        refused(&cut);
    }
    accepted(&m);
}

static void
replay_and_order(void **state)
{
    struct th_msg older, m, same;
    struct mcx_key *now;
    struct mcx_key_info info;
    struct mcx_ssv ssv = { { 1, 2, 3 } };
    struct mcx_build how
        = { .kind = MCX_KIND_CSK, .from = TH_PSI, .to = TH_ALICE };

    (void)state;
    th_good(&older, &route);
    th_step(50);
    th_good(&m, &route);
    accepted(&m);
    assert_int_equal(refused(&m), MCX_R_REPLAYED);
    assert_int_equal(refused(&older), MCX_R_NOT_NEWER);
    /* Another key under the ID in use. */
    now = th_current(&alice, MCX_KIND_CSK, "");
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    th_step(50);
    how.key = &ssv;
    how.key_id = info.key_id;
    th_build(&same, &how);
    assert_int_equal(refused(&same), MCX_R_ROLLBACK);
    /* The very key in use, in a new message. */
    how.key_id = (uint32_t)MCX_KIND_CSK << 28 | 0x1234;
    th_build(&m, &how);
    accepted(&m);
    th_step(50);
    th_build(&same, &how);
    assert_int_equal(refused(&same), MCX_R_ROLLBACK);
}

/* TEST TS 33.180 5.2.4: a message that revokes takes out the key it names and
 * no other; one that is not the function's own does nothing. */
static void
revoked(void **state)
{
    struct mcx_key_params params = { .present = true, .status = 0 };
    struct mcx_ssv ssv = { { 4, 5, 6 } };
    struct mcx_build how = { .kind = MCX_KIND_CSK, .from = TH_PSI,
                             .to = TH_ALICE, .key = &ssv,
                             .key_id = (uint32_t)MCX_KIND_CSK << 28 | 0x77 };
    struct incoming in;
    struct th_msg m;
    struct mcx_key *k;

    (void)state;
    th_build(&m, &how);
    accepted(&m);
    th_step(50);
    how.params = &params;
    how.key_id++;
    th_build(&m, &how);
    assert_int_equal(refused(&m), MCX_R_REVOKED); /* of another ID */
    th_step(50);
    how.key_id--;
    how.from = TH_BOB;
    th_build(&m, &how);
    assert_int_equal(refused(&m), MCX_R_INITIATOR);
    how.from = TH_PSI;
    th_build(&m, &how);
    m.b[m.n - 70] ^= 1;
    assert_int_equal(refused(&m), MCX_R_SIGNATURE);
    m.b[m.n - 70] ^= 1;
    assert_int_equal(judged(&in, &m), MCX_E_EXPIRED);
    assert_int_equal(in.answer.status, 488);
    assert_null(in.answer.key);
    settle(&in, true);
    k = mcx_keys_current(alice.host.keys, MCX_KIND_CSK, "", "");
    assert_null(k);
    k = mcx_keys_by_id(alice.host.keys, MCX_KIND_CSK, how.key_id);
    assert_null(k);
    assert_int_equal(th_counted(&alice, "csk-download.revoked"), 1);
    assert_int_equal(refused(&m), MCX_R_REPLAYED);
}

/* Two at once: whichever order they settle in, the newer one stays. */
static void
crossing(void **state)
{
    struct th_msg m1, m2;
    struct incoming in1, in2;
    struct mcx_key *now;
    struct mcx_key_info info;
    int64_t newer;

    (void)state;
    th_good(&m1, &route);
    th_step(50);
    newer = th_now();
    th_good(&m2, &route);
    assert_int_equal(judged(&in1, &m1), MCX_OK);
    assert_int_equal(judged(&in2, &m2), MCX_OK);
    settle(&in2, true);
    settle(&in1, true);
    now = th_current(&alice, MCX_KIND_CSK, "");
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    assert_true(info.t_unix_ms >= newer);
}

/* Judges run side by side on the pool: each good message once, and of all
 * that passed the newest stays. */
enum { THREADS = 4, EACH = 6 };
static struct th_msg many[EACH];
static struct incoming many_in[THREADS][EACH];
static mcx_err many_err[THREADS][EACH];

static void *
judge_all(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;

    for (size_t i = 0; i < EACH; i++) {
        struct incoming *in = &many_in[me][i];
        make_rq(in, &many[i]);
        many_err[me][i]
            = module->judge(client, &in->rq, &in->answer, &in->why);
    }
    return NULL;
}

static void
side_by_side(void **state)
{
    pthread_t thread[THREADS];
    struct mcx_key_info info;
    struct mcx_key *now;
    size_t passed = 0;

    (void)state;
    for (size_t i = 0; i < EACH; i++) {
        th_step(5);
        th_good(&many[i], &route);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, judge_all,
                                        (void *)(uintptr_t)i),
                         0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    for (size_t i = 0; i < EACH; i++) {
        size_t here = 0;
        for (size_t t = 0; t < THREADS; t++) {
            struct incoming *in = &many_in[t][i];
            assert_true(many_err[t][i] == MCX_OK
                        || in->why.reason == MCX_R_REPLAYED
                        || in->why.reason == MCX_R_NOT_NEWER);
            here += many_err[t][i] == MCX_OK;
            settle(in, true);
        }
        assert_true(here <= 1);
        passed += here;
    }
    assert_true(passed >= 1);
    assert_int_equal(th_counted(&alice, "csk-download.accepted"), passed);
    now = th_current(&alice, MCX_KIND_CSK, "");
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    assert_true(info.t_unix_ms >= th_now()); /* the last one made */
}

static void
no_body(void **state)
{
    struct incoming in;
    struct th_msg m = { .n = 0 };

    (void)state;
    make_rq(&in, &m);
    in.rq.n_parts = 0;
    assert_int_equal(module->judge(client, &in.rq, &in.answer, NULL),
                     MCX_E_MALFORMED);
    assert_int_equal(in.answer.status, 488);
}

static void
musik(void **state)
{
    struct th_route r = route;
    struct mcx_text text;
    struct mcx_key *key;
    struct th_msg m;
    void *other;

    (void)state;
    r.kind = MCX_KIND_MUSIK;
    th_good(&m, &r);
    assert_int_equal(refused(&m), MCX_R_PURPOSE);
    th_set_option(&alice, "csk-download", "musik", "yes");
    assert_int_equal(module->start(&other, &alice.host, &text), MCX_OK);
    module->stop(client);
    client = other;
    th_good(&m, &r);
    accepted(&m);
    key = th_current(&alice, MCX_KIND_MUSIK, "");
    mcx_key_unref(key);
}

static void
parked(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    uint64_t next = th_period() + 1;
    int64_t was = th_now();
    struct incoming in;
    struct th_msg m;
    struct mcx_build how
        = { .kind = MCX_KIND_CSK, .from = TH_PSI, .to = TH_ALICE };

    (void)state;
    th_good(&m, &route);
    accepted(&m);
    /* The function is 20 s ahead of us and in the next period already. */
    th_set_now(th_period_start_ms(next) + 10000);
    {
        struct th both;
        uint8_t octets[4096];
        struct mcx_why why;
        size_t n = sizeof octets;

        th_new(&both, MCX_ROLE_SERVER, TH_PSI, TH_PSI);
        th_issue(&both, TH_PSI, next);
        how.env = &both.env;
        how.ring = both.host.ring;
        assert_int_equal(mcx_mikey_build(octets, &n, NULL, &how, &why),
                         MCX_OK);
        memcpy(m.b, octets, n);
        m.n = n;
        th_free(&both);
    }
    th_set_now(th_period_start_ms(next) - 10000);
    th_keys(&alice, before);
    alice.log[0] = '\0';
    assert_int_equal(judged(&in, &m), MCX_E_NO_PERIOD);
    assert_int_equal(in.why.reason, MCX_R_NO_PERIOD_KEY);
    assert_null(in.answer.key);
    assert_int_equal(th_counted(&alice, "csk-download.refused"), 0);
    assert_string_equal(alice.log, ""); /* waiting is no refusal */
    /* Not for somebody who sends it once more. */
    assert_int_equal(refused(&m), MCX_R_REPLAYED);
    /* Still no key; then it arrives. */
    memset(&in.answer, 0, sizeof in.answer);
    in.rq.resume = true;
    assert_int_equal(module->judge(client, &in.rq, &in.answer, &in.why),
                     MCX_E_NO_PERIOD);
    th_keys(&alice, after);
    assert_string_equal(before, after);
    th_issue(&alice, TH_ALICE, next);
    memset(&in.answer, 0, sizeof in.answer);
    assert_int_equal(module->judge(client, &in.rq, &in.answer, &in.why),
                     MCX_OK);
    assert_int_equal(in.answer.status, 200);
    settle(&in, true);
    th_keys(&alice, after);
    assert_string_not_equal(before, after);
    assert_int_equal(refused(&m), MCX_R_REPLAYED);
    th_set_now(was);
}

/* ---- server ------------------------------------------------------------ */

static void
free_out(struct mcx_out *out)
{
    for (size_t i = 0; i < out->n_parts; i++) {
        free(out->part[i].type);
        free(out->part[i].body);
    }
    free(out->extra_headers);
    mcx_key_unref(out->key);
    memset(out, 0, sizeof *out);
}

/* Gives the function an active CSK of alice. */
static struct mcx_key *
bound_key(const char *impu, const char *mc_id)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner = { 0 };
    struct mcx_key *key = NULL;
    uint8_t octets[4096];
    size_t n = sizeof octets;
    struct mcx_build how = { .env = &pf.env, .ring = pf.host.ring,
                             .kind = MCX_KIND_CSK, .from = TH_PSI,
                             .to = TH_ALICE };

    assert_int_equal(mcx_mikey_build(octets, &n, &km, &how, NULL), MCX_OK);
    snprintf(owner.impu, sizeof owner.impu, "%s", impu);
    snprintf(owner.mc_id, sizeof owner.mc_id, "%s", mc_id);
    snprintf(owner.client_id, sizeof owner.client_id, "urn:uuid:1");
    assert_int_equal(mcx_keys_stage(pf.host.keys, &km, &owner, &key, NULL),
                     MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    return key;
}

static struct mcx_out
outgoing(void)
{
    struct mcx_out out = { .purpose = MCX_FOR_DOWNLOAD, .peer = TH_ALICE,
                           .impu = "" };

    return out;
}

static void
download(void **state)
{
    struct mcx_key *old = bound_key("sip:alice@ims.test", TH_ALICE);
    struct mcx_key *now, *his;
    char a[2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1], b[sizeof a];
    struct mcx_out out = outgoing();
    struct mcx_key_info info;
    struct mcx_why why;
    struct th_msg m;

    (void)state;
    assert_true(module->wants(server, &out));
    assert_false(module->wants(client, &out));
    out.purpose = MCX_FOR_REGISTER;
    assert_false(module->wants(server, &out));
    out.purpose = MCX_FOR_DOWNLOAD;
    assert_int_equal(module->prepare(server, &out, &why), MCX_OK);
    assert_int_equal(out.n_parts, 1);
    assert_string_equal(out.part[0].type, MCX_MIME_MIKEY);
    assert_non_null(strstr(out.extra_headers,
                           "P-Asserted-Service: "
                           "urn:urn-7:3gpp-service.ims.icsi.mcptt\r\n"));
    assert_non_null(strstr(out.extra_headers,
                           "P-Asserted-Identity: <" TH_PSI ">\r\n"));
    assert_non_null(strstr(out.extra_headers, "urn%3Aurn-7%3A3gpp"));
    memcpy(m.b, out.part[0].body, out.part[0].n);
    m.n = out.part[0].n;
    accepted(&m); /* at alice */
    mcx_key_info(&info, old); /* old for sending until the 200 */
    assert_int_equal(info.state, MCX_KEY_ACTIVE);
    assert_int_equal(module->outcome(server, &out, 200, 0), MCX_NEXT_DONE);
    mcx_key_info(&info, old);
    assert_int_equal(info.state, MCX_KEY_RETIRED);
    now = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
    mcx_key_info(&info, now);
    assert_string_equal(info.owner.impu, "sip:alice@ims.test");
    assert_string_equal(info.owner.client_id, "urn:uuid:1");
    his = th_current(&alice, MCX_KIND_CSK, "");
    th_tek(now, a);
    th_tek(his, b);
    assert_string_equal(a, b);
    mcx_key_unref(now);
    mcx_key_unref(his);
    mcx_key_unref(old);
    free_out(&out);
}

static void
download_fails(void **state)
{
    static const int statuses[] = { 488, 404, 480, 503, 0 };
    struct mcx_key *old = bound_key("sip:alice@ims.test", TH_ALICE);
    char before[TH_STATE], after[TH_STATE];
    struct mcx_why why;

    (void)state;
    th_keys(&pf, before);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct mcx_out out = outgoing();
        struct mcx_key_info info;

        assert_int_equal(module->prepare(server, &out, &why), MCX_OK);
        assert_int_equal(module->outcome(server, &out, statuses[i],
                                         statuses[i] == 488 ? 136 : 0),
                         MCX_NEXT_DONE);
        mcx_key_info(&info, out.key);
        assert_int_equal(info.state, MCX_KEY_WIPED);
        free_out(&out);
        th_keys(&pf, after);
        assert_string_equal(before, after);
    }
    mcx_key_unref(old);
}

/* No answer: both receive for a while, the old one sends. */
static void
download_unanswered(void **state)
{
    struct mcx_key *old = bound_key("sip:alice@ims.test", TH_ALICE), *fresh;
    struct mcx_out out = outgoing();
    struct mcx_text text;
    struct mcx_key_info info;
    struct mcx_why why;
    void *other;

    (void)state;
    th_set_option(&pf, "csk-download", "keep-unanswered", "30");
    assert_int_equal(module->start(&other, &pf.host, &text), MCX_OK);
    module->stop(server);
    server = other;
    assert_int_equal(module->prepare(server, &out, &why), MCX_OK);
    fresh = mcx_key_ref(out.key);
    module->outcome(server, &out, 408, 0);
    free_out(&out);
    th_step(29000);
    module->tick(server);
    mcx_key_info(&info, fresh);
    assert_int_equal(info.state, MCX_KEY_STAGED);
    mcx_key_info(&info, old);
    assert_int_equal(info.state, MCX_KEY_ACTIVE);
    th_step(1001);
    module->tick(server);
    mcx_key_info(&info, fresh);
    assert_int_equal(info.state, MCX_KEY_WIPED);
    mcx_key_info(&info, old);
    assert_int_equal(info.state, MCX_KEY_ACTIVE);
    mcx_key_unref(fresh);
    mcx_key_unref(old);
    /* One that is still waiting when the module stops. */
    out = outgoing();
    assert_int_equal(module->prepare(server, &out, &why), MCX_OK);
    module->outcome(server, &out, 504, 0);
    free_out(&out);
}

static void
download_without_binding(void **state)
{
    struct mcx_out out = outgoing();
    struct mcx_key *old;
    struct mcx_why why;

    (void)state;
    assert_int_equal(module->prepare(server, &out, &why), MCX_E_NO_KEY);
    assert_null(out.key);
    assert_int_equal(out.n_parts, 0);
    /* An IMPU that is bound to somebody else. */
    old = bound_key("sip:bob@ims.test", TH_BOB);
    out.impu = "sip:bob@ims.test";
    assert_int_equal(module->prepare(server, &out, &why), MCX_E_NO_KEY);
    mcx_key_unref(old);
    old = bound_key("sip:alice@ims.test", TH_ALICE);
    out.impu = "sip:alice@ims.test";
    assert_int_equal(module->prepare(server, &out, &why), MCX_OK);
    module->outcome(server, &out, 0, 0);
    free_out(&out);
    mcx_key_unref(old);
    /* More parts than fit: nothing stays behind. */
    out = outgoing();
    out.n_parts = MCX_OUT_PART_MAX;
    assert_int_equal(module->prepare(server, &out, &why), MCX_E_TOOBIG);
    assert_null(out.key);
}

static void
no_psi(void **state)
{
    struct mcx_text text = { "" };
    struct th t;
    void *s = NULL;

    (void)state;
    th_new(&t, MCX_ROLE_CLIENT, TH_ALICE, "");
    assert_int_equal(module->start(&s, &t.host, &text), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "psi"));
    th_free(&t);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(what_it_claims),
        CASE(switches),
        CASE(hidden_psi),
        CASE(not_sent),
        CASE(bad_rows),
        CASE(cut_everywhere),
        CASE(replay_and_order),
        CASE(revoked),
        CASE(crossing),
        CASE(side_by_side),
        CASE(no_body),
        CASE(musik),
        CASE(parked),
        CASE(download),
        CASE(download_fails),
        CASE(download_unanswered),
        CASE(download_without_binding),
        CASE(no_psi),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
