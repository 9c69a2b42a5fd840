/* test_csk_upload.c -- both ends of the CSK upload with a fake host: each way
 * a request can end, each refusal with the keys looked at afterwards. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../test-host/test_host.h"
#include "csk_upload.h"

#define IMPU "sip:alice@ims.test"

extern const struct mcx_module mcx_module_csk_upload;
static const struct mcx_module *const module = &mcx_module_csk_upload;

static struct th alice, pf;
static void *client, *server;

static const struct th_route route
    = { MCX_KIND_CSK, TH_ALICE, TH_PSI, TH_BOB };

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
    th_set_option(&alice, "csk-upload", "client-id", "urn:uuid:a-1");
    th_set_option(&alice, "csk-upload", "token", "secret-token");
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

/* Starts alice's instance again, with the options as they are now. */
static void
restart(void)
{
    struct mcx_text text;

    module->stop(client);
    assert_int_equal(module->start(&client, &alice.host, &text), MCX_OK);
}

/* ---- client ------------------------------------------------------------ */

static struct mcx_out
outgoing(enum mcx_purpose purpose)
{
    struct mcx_out out = { .purpose = purpose, .peer = "", .impu = IMPU };

    return out;
}

static void
free_out(struct mcx_out *out)
{
    for (size_t i = 0; i < out->n_parts; i++) {
        free(out->part[i].type);
        free(out->part[i].body);
    }
    mcx_key_unref(out->key);
    memset(out, 0, sizeof *out);
}

static enum mcx_key_state
state_of(struct mcx_key *key)
{
    struct mcx_key_info info;

    mcx_key_info(&info, key);
    return info.state;
}

static void
prepared(struct mcx_out *out, enum mcx_purpose purpose)
{
    struct mcx_why why = { 0 };

    *out = outgoing(purpose);
    assert_true(module->wants(client, out));
    assert_int_equal(module->prepare(client, out, &why), MCX_OK);
}

static void
what_it_wants(void **state)
{
    struct mcx_out out = outgoing(MCX_FOR_REGISTER);

    (void)state;
    assert_true(module->wants(client, &out));
    assert_false(module->wants(server, &out));
    out.purpose = MCX_FOR_PUBLISH;
    assert_true(module->wants(client, &out));
    out.purpose = MCX_FOR_DOWNLOAD;
    assert_false(module->wants(client, &out));
    out.purpose = MCX_FOR_CALL;
    assert_false(module->wants(client, &out));
}

static void
has_text(const struct mcx_out *out, size_t part, const char *text)
{
    assert_non_null(memmem(out->part[part].body, out->part[part].n, text,
                           strlen(text)));
}

static void
bodies(void **state)
{
    struct mcx_out out;
    struct mcx_mikey_msg msg;
    struct mcx_mcinfo info;

    (void)state;
    prepared(&out, MCX_FOR_REGISTER);
    assert_int_equal(out.n_parts, 2);
    assert_string_equal(out.part[0].type, MCX_MIME_MIKEY);
    assert_string_equal(out.part[1].type, MCX_MIME_MCPTT_INFO);
    assert_int_equal(mcx_mikey_parse(&msg,
                                     mcx_bytes(out.part[0].body,
                                               out.part[0].n),
                                     NULL),
                     MCX_OK);
    assert_int_equal(MCX_KEY_ID_KIND(msg.csb_id), MCX_KIND_CSK);
    assert_int_equal(msg.idr[MCX_ROLE_R].data.n, strlen(TH_PSI));
    assert_memory_equal(msg.idr[MCX_ROLE_R].data.p, TH_PSI, strlen(TH_PSI));
    assert_int_equal(mcx_mcinfo_read(&info,
                                     mcx_bytes(out.part[1].body,
                                               out.part[1].n),
                                     NULL),
                     MCX_OK);
    assert_string_equal(info.access_token, "secret-token");
    assert_string_equal(info.client_id, "urn:uuid:a-1");
    assert_int_equal(state_of(out.key), MCX_KEY_STAGED);
    module->outcome(client, &out, 0, 0);
    free_out(&out);

    prepared(&out, MCX_FOR_PUBLISH);
    assert_int_equal(out.n_parts, 3);
    assert_string_equal(out.part[2].type, MCX_MIME_POC_SETTINGS);
    has_text(&out, 2, "automatic");
    has_text(&out, 2, "urn:uuid:a-1");
    module->outcome(client, &out, 0, 0);
    free_out(&out);
    assert_null(strstr(alice.log, "secret-token"));
}

static void
outcomes(void **state)
{
    static const struct {
        int status;
        unsigned warning, attempt;
        enum mcx_next next;
        bool taken;
    } rows[] = {
        { 200, 0, 0, MCX_NEXT_DONE, true },
        { 202, 0, 1, MCX_NEXT_DONE, true },
        { 488, 136, 0, MCX_NEXT_RETRY, false },
        { 488, 136, 1, MCX_NEXT_DONE, false },
        { 488, 0, 0, MCX_NEXT_DONE, false },
        { 403, 101, 0, MCX_NEXT_DONE, false },
        { 403, 136, 0, MCX_NEXT_DONE, false },
        { 408, 0, 0, MCX_NEXT_DONE, false },
        { 503, 0, 0, MCX_NEXT_DONE, false },
        { 0, 0, 0, MCX_NEXT_DONE, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcx_key *before
            = mcx_keys_current(alice.host.keys, MCX_KIND_CSK, "", "");
        struct mcx_key *now;
        struct mcx_out out;

        prepared(&out, MCX_FOR_REGISTER);
        out.attempt = rows[i].attempt;
        assert_int_equal(module->outcome(client, &out, rows[i].status,
                                         rows[i].warning),
                         rows[i].next);
        assert_int_equal(state_of(out.key), rows[i].taken ? MCX_KEY_ACTIVE
                                                          : MCX_KEY_WIPED);
        now = mcx_keys_current(alice.host.keys, MCX_KIND_CSK, "", "");
        assert_ptr_equal(now, rows[i].taken ? out.key : before);
        if (rows[i].taken && before) {
            assert_int_equal(state_of(before), MCX_KEY_RETIRED);
            th_step(MCX_KEY_GRACE_MS + 1);
            mcx_keys_sweep(alice.host.keys);
            assert_int_equal(state_of(before), MCX_KEY_WIPED);
        }
        mcx_key_unref(now);
        mcx_key_unref(before);
        free_out(&out);
    }
    assert_int_equal(th_counted(&alice, "csk-upload.accepted"), 2);
    assert_int_equal(th_counted(&alice, "csk-upload.rejected"), 7);
}

static void
carriers(void **state)
{
    struct mcx_out out = outgoing(MCX_FOR_REGISTER);

    (void)state;
    th_set_option(&alice, "csk-upload", "carrier", "register");
    restart();
    assert_true(module->wants(client, &out));
    prepared(&out, MCX_FOR_PUBLISH); /* settings only, 7.2.3 */
    assert_null(out.key);
    assert_int_equal(out.n_parts, 2);
    assert_string_equal(out.part[0].type, MCX_MIME_MCPTT_INFO);
    has_text(&out, 0, TH_ALICE);
    assert_null(memmem(out.part[0].body, out.part[0].n, "secret-token", 12));
    assert_int_equal(module->outcome(client, &out, 488, 136), MCX_NEXT_DONE);
    free_out(&out);
    snprintf(alice.set[alice.n_set - 1].value, sizeof alice.set[0].value,
             "publish");
    restart();
    out = outgoing(MCX_FOR_REGISTER);
    assert_false(module->wants(client, &out));
    prepared(&out, MCX_FOR_PUBLISH);
    assert_int_equal(out.n_parts, 3);
    module->outcome(client, &out, 0, 0);
    free_out(&out);
}

static void
lifetime(void **state)
{
    struct mcx_out out;

    (void)state;
    th_set_option(&alice, "csk-upload", "lifetime", "60");
    restart();
    prepared(&out, MCX_FOR_REGISTER);
    module->outcome(client, &out, 200, 0);
    free_out(&out);
    th_step(59000);
    out = outgoing(MCX_FOR_REGISTER);
    assert_false(module->wants(client, &out));
    prepared(&out, MCX_FOR_PUBLISH);
    assert_null(out.key);
    free_out(&out);
    th_step(1000);
    prepared(&out, MCX_FOR_REGISTER);
    assert_non_null(out.key);
    module->outcome(client, &out, 0, 0);
    free_out(&out);
}

static void
token_file(void **state)
{
    struct mcx_out out;
    struct mcx_why why;

    (void)state;
    th_set_option(&alice, "csk-upload", "token-file", "/somewhere");
    restart();
    out = outgoing(MCX_FOR_REGISTER);
    assert_int_equal(module->prepare(client, &out, &why), MCX_E_IO);
    assert_null(out.key); /* nothing is left staged */
    assert_int_equal(mcx_keys_count(alice.host.keys), 0);
    free_out(&out);
    alice.file = "token-from-file\r\n";
    prepared(&out, MCX_FOR_REGISTER);
    has_text(&out, 1, ">token-from-file<");
    module->outcome(client, &out, 0, 0);
    free_out(&out);
}

static void
settings(void **state)
{
    static char longest[MCX_GROUP_ID_MAX + 1];
    struct mcx_text text = { "" };
    struct mcx_out out;
    struct th t;
    void *s = NULL;

    (void)state;
    th_new(&t, MCX_ROLE_CLIENT, TH_ALICE, "");
    assert_int_equal(module->start(&s, &t.host, &text), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "psi"));
    t.host.psi = TH_PSI;
    memset(longest, 'x', sizeof longest - 1);
    th_set_option(&t, "csk-upload", "client-id", longest);
    memcpy(t.set[0].value, longest, sizeof t.set[0].value - 1);
    assert_int_equal(module->start(&s, &t.host, &text), MCX_OK);
    module->stop(s);
    t.n_set = 0; /* none: a random one */
    assert_int_equal(module->start(&s, &t.host, &text), MCX_OK);
    module->stop(s);
    th_free(&t);
    alice.n_set = 0;
    restart();
    prepared(&out, MCX_FOR_PUBLISH);
    has_text(&out, 2, "urn:uuid:");
    module->outcome(client, &out, 0, 0);
    free_out(&out);
}

/* ---- server ------------------------------------------------------------ */

struct incoming {
    struct mcx_part part[4];
    struct mcx_rq rq;
    struct mcx_answer answer;
    struct mcx_why why;
    char info[1024];
};

static void
add_part(struct incoming *in, const char *type, const void *p, size_t n,
         bool embedded)
{
    struct mcx_part *part = &in->part[in->rq.n_parts++];

    part->type = type;
    part->content_id = "";
    part->body = mcx_bytes(p, n);
    part->embedded = embedded;
}

static void
make_rq(struct incoming *in, const char *method)
{
    memset(in, 0, sizeof *in);
    in->rq.method = method;
    in->rq.content_type = "multipart/mixed";
    in->rq.request_uri = TH_PSI;
    in->rq.from = in->rq.to = IMPU;
    in->rq.asserted_identity = in->rq.asserted_service = "";
    in->rq.event = strcmp(method, "PUBLISH") == 0 ? "poc-settings" : "";
    in->rq.call_id = "1";
    in->rq.expires = strcmp(method, "PUBLISH") == 0 ? 4294967295L : 3600;
    in->rq.parts = in->part;
}

static void
add_info(struct incoming *in, const char *mc_id)
{
    struct mcx_mcinfo info = { .access_token = "secret-token",
                               .client_id = "urn:uuid:a-1" };
    char *xml = NULL;
    size_t n = 0;

    snprintf(info.request_uri, sizeof info.request_uri, "%s", mc_id);
    assert_int_equal(mcx_mcinfo_write(&xml, &n, &info), MCX_OK);
    assert_true(n < sizeof in->info);
    memcpy(in->info, xml, n);
    mcx_kms_text_free(xml, n);
    add_part(in, MCX_MIME_MCPTT_INFO, in->info, n, false);
}

static mcx_err
judged(struct incoming *in)
{
    assert_true(module->claims(server, &in->rq));
    return module->judge(server, &in->rq, &in->answer, &in->why);
}

static void
settle(struct incoming *in, bool sent)
{
    module->settled(server, &in->rq, &in->answer, sent);
    mcx_key_unref(in->answer.key);
    in->answer.key = NULL;
}

static void
bound(const struct th_msg *m)
{
    struct incoming in;

    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m->b, m->n, false);
    assert_int_equal(judged(&in), MCX_OK);
    settle(&in, true);
}

static mcx_reason
refused(struct incoming *in)
{
    char before[TH_STATE], after[TH_STATE];
    unsigned counted = th_counted(&pf, "csk-upload.refused");

    th_keys(&pf, before);
    pf.log[0] = '\0';
    assert_int_not_equal(judged(in), MCX_OK);
    assert_int_equal(in->answer.status, 488);
    assert_int_equal(in->answer.warning, 136);
    assert_string_equal(in->answer.warning_text, MCX_WARN_MIKEY_TEXT);
    assert_null(in->answer.key);
    settle(in, true);
    th_keys(&pf, after);
    assert_string_equal(before, after);
    assert_int_equal(th_counted(&pf, "csk-upload.refused"), counted + 1);
    assert_string_equal(pf.log, ""); /* the host's line says it */
    return in->why.reason;
}

static void
what_it_claims(void **state)
{
    struct incoming in;

    (void)state;
    make_rq(&in, "REGISTER");
    assert_false(module->claims(server, &in.rq)); /* the registrar's alone */
    add_part(&in, MCX_MIME_MIKEY, "x", 1, true);
    assert_true(module->claims(server, &in.rq));
    assert_false(module->claims(client, &in.rq));
    in.rq.method = "PUBLISH";
    assert_false(module->claims(server, &in.rq)); /* no Event */
    in.rq.event = "presence";
    assert_false(module->claims(server, &in.rq));
    in.rq.event = "poc-settings";
    assert_true(module->claims(server, &in.rq));
    in.rq.method = "MESSAGE";
    assert_false(module->claims(server, &in.rq));
    make_rq(&in, "REGISTER");
    in.rq.expires = 0;
    assert_true(module->claims(server, &in.rq));
}

static void
no_octets_at_all(void **state)
{
    struct incoming in;

    (void)state;
    make_rq(&in, "REGISTER");
    in.rq.content_type = MCX_MIME_MIKEY;
    assert_int_equal(refused(&in), MCX_R_NOT_MIKEY);
}

/* The To of a PUBLISH is whatever its sender writes. */
static void
publish_of_another(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    struct mcx_key *key;
    struct incoming in;
    struct mcx_out out;

    (void)state;
    prepared(&out, MCX_FOR_REGISTER);
    make_rq(&in, "PUBLISH");
    in.rq.from = "sip:eve@ims.test";
    add_part(&in, MCX_MIME_MIKEY, out.part[0].body, out.part[0].n, false);
    assert_int_equal(judged(&in), MCX_OK);
    settle(&in, true);
    assert_null(mcx_keys_current(pf.host.keys, MCX_KIND_CSK, in.rq.to,
                                 NULL));
    key = mcx_keys_current(pf.host.keys, MCX_KIND_CSK, in.rq.from, NULL);
    assert_non_null(key);
    mcx_key_unref(key);
    in.rq.expires = 0;
    in.rq.asserted_identity = "sip:mallory@ims.test";
    th_keys(&pf, before);
    assert_int_equal(judged(&in), MCX_OK);
    settle(&in, true);
    th_keys(&pf, after);
    assert_string_equal(before, after); /* not mallory's to end */
    in.rq.asserted_identity = in.rq.from;
    assert_int_equal(judged(&in), MCX_OK);
    settle(&in, true);
    assert_null(mcx_keys_current(pf.host.keys, MCX_KIND_CSK, in.rq.from,
                                 NULL));
    module->outcome(client, &out, 0, 0);
    free_out(&out);
}

/* alice's own message, as she would send it. */
static void
upload(const char *method, enum mcx_purpose purpose, bool third_party)
{
    char a[2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1], b[sizeof a];
    struct mcx_key *his;
    struct mcx_key_info info;
    struct incoming in;
    struct mcx_out out;

    prepared(&out, purpose);
    make_rq(&in, method);
    for (size_t i = 0; i < out.n_parts; i++) {
        add_part(&in, out.part[i].type, out.part[i].body, out.part[i].n,
                 third_party);
    }
    if (third_party) { /* the same once more beside message/sip */
        in.rq.from = "sip:scscf.ims.test";
        add_part(&in, out.part[0].type, out.part[0].body, out.part[0].n,
                 false);
    }
    assert_int_equal(judged(&in), MCX_OK);
    assert_int_equal(in.answer.status, purpose == MCX_FOR_REGISTER ? 0 : 200);
    assert_string_equal(in.answer.mc_id, TH_ALICE);
    assert_int_equal(state_of(in.answer.key), MCX_KEY_STAGED);
    settle(&in, true);
    his = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
    mcx_key_info(&info, his);
    assert_string_equal(info.owner.impu, IMPU);
    assert_string_equal(info.owner.client_id, "urn:uuid:a-1");
    th_tek(his, a);
    th_tek(out.key, b);
    assert_string_equal(a, b);
    module->outcome(client, &out, 200, 0);
    mcx_key_unref(his);
    free_out(&out);
}

static void
uploads(void **state)
{
    struct mcx_key *first, *second;

    (void)state;
    upload("REGISTER", MCX_FOR_REGISTER, false);
    first = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
    upload("PUBLISH", MCX_FOR_PUBLISH, false);
    second = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
    assert_int_equal(state_of(first), MCX_KEY_RETIRED);
    upload("REGISTER", MCX_FOR_REGISTER, true);
    assert_int_equal(state_of(second), MCX_KEY_RETIRED);
    mcx_key_unref(first);
    mcx_key_unref(second);
    assert_int_equal(th_counted(&pf, "csk-upload.bound"), 3);
    assert_null(strstr(pf.log, "secret-token"));
}

static void
registrar_says_no(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    struct incoming in;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    bound(&m);
    th_keys(&pf, before);
    th_good(&m, &route);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    assert_int_equal(judged(&in), MCX_OK);
    settle(&in, false);
    th_keys(&pf, after);
    assert_string_equal(before, after);
}

static void
bad_rows(void **state)
{
    static const char *const methods[] = { "REGISTER", "PUBLISH" };
    static struct th_bad bad;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    bound(&m);
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < th_bad_rows(); i++) {
            struct incoming in;
            mcx_reason reason;

            th_bad_make(&bad, i, &route);
            make_rq(&in, methods[k]);
            add_part(&in, MCX_MIME_MIKEY, bad.msg.b, bad.msg.n, k == 0);
            add_info(&in, TH_ALICE);
            reason = refused(&in);
            if (bad.reason != MCX_R_NONE && reason != bad.reason) {
                fail_msg("%s: %s", bad.name, mcx_reason_word(reason));
            }
        }
    }
}

static void
cut_everywhere(void **state)
{
    struct incoming in;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    for (size_t n = 0; n < m.n; n++) {
        make_rq(&in, "REGISTER");
        add_part(&in, MCX_MIME_MIKEY, m.b, n, false);
        refused(&in);
    }
    bound(&m);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    assert_int_equal(refused(&in), MCX_R_REPLAYED);
}

static void
who_it_is(void **state)
{
    struct mcx_build hidden = { .kind = MCX_KIND_CSK, .from = TH_ALICE,
                                .to = TH_PSI, .hide_initiator = true };
    struct mcx_key *key;
    struct incoming in;
    struct th_msg m, other;

    (void)state;
    /* Hidden and named by nobody; hidden and named. */
    th_build(&m, &hidden);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    add_info(&in, "");
    assert_int_equal(refused(&in), MCX_R_INITIATOR_HIDDEN);
    th_build(&m, &hidden);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    add_info(&in, TH_BOB);
    assert_int_equal(refused(&in), MCX_R_INITIATOR);
    th_build(&m, &hidden);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    add_info(&in, TH_ALICE);
    assert_int_equal(judged(&in), MCX_OK);
    assert_string_equal(in.answer.mc_id, TH_ALICE);
    settle(&in, true);
    key = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
    mcx_key_unref(key);
    /* Visible, and mcptt-info says another. */
    th_good(&m, &route);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    add_info(&in, TH_BOB);
    assert_int_equal(refused(&in), MCX_R_INITIATOR);
    /* Two different messages. */
    th_good(&m, &route);
    th_good(&other, &route);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, true);
    add_part(&in, MCX_MIME_MIKEY, other.b, other.n, false);
    assert_int_equal(refused(&in), MCX_R_PAYLOAD_DUP);
}

static void
bad_info(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    struct incoming in;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    add_part(&in, MCX_MIME_MCPTT_INFO, "<mcpttinfo>", 11, false);
    th_keys(&pf, before);
    assert_int_not_equal(judged(&in), MCX_OK);
    assert_int_equal(in.answer.status, 403);
    assert_int_equal(in.answer.warning, 101);
    assert_null(in.answer.key);
    th_keys(&pf, after);
    assert_string_equal(before, after);
}

static void
log_off(void **state)
{
    static const char *const methods[] = { "REGISTER", "PUBLISH" };
    struct incoming in;
    struct th_msg m;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct mcx_key *key;

        th_good(&m, &route);
        bound(&m);
        key = th_current(&pf, MCX_KIND_CSK, TH_ALICE);
        make_rq(&in, methods[k]);
        in.rq.expires = 0;
        if (k == 0) {
            /* One contact goes: whether it was the last the registrar
             * knows. */
            assert_int_equal(judged(&in), MCX_OK);
            settle(&in, true);
            assert_int_equal(state_of(key), MCX_KEY_ACTIVE);
            assert_int_equal(th_counted(&pf, "csk-upload.unbound"), 0);
            in.rq.from = "sip:scscf.ims.test"; /* all of them */
        }
        assert_int_equal(judged(&in), MCX_OK);
        assert_int_equal(in.answer.status, k == 0 ? 0 : 200);
        settle(&in, false); /* the registrar did not want to */
        assert_int_equal(state_of(key), MCX_KEY_ACTIVE);
        settle(&in, true);
        assert_int_equal(state_of(key), MCX_KEY_WIPED);
        assert_null(mcx_keys_current(pf.host.keys, MCX_KIND_CSK, NULL,
                                     TH_ALICE));
        mcx_key_unref(key);
    }
    assert_int_equal(th_counted(&pf, "csk-upload.unbound"), 2);
}

enum { TOLD = 4096 };

/* What a judgement comes to, as text. */
static void
told(char out[TOLD], mcx_err err, const struct incoming *in)
{
    struct mcx_key_info info = { 0 };

    if (in->answer.key) {
        mcx_key_info(&info, in->answer.key);
    }
    snprintf(out, TOLD, "%s %s %zu %s: %d %u %s; %x %s %s %s",
             mcx_err_name(err), mcx_reason_word(in->why.reason),
             in->why.offset, in->why.payload ? in->why.payload : "",
             in->answer.status, in->answer.warning, in->answer.mc_id,
             (unsigned)info.key_id, info.owner.impu, info.owner.mc_id,
             info.owner.client_id);
}

/* Requests judged together are judged as they would be one by one: good and
 * bad ones, some that are not to be opened at all, one that comes twice. */
static void
together(void **state)
{
    enum { N = MCX_JUDGE_MANY + 3 };
    static struct th_msg m[N];
    static struct th_bad bad;
    static struct incoming in[N];
    static char alone[N][TOLD];
    struct mcx_replay *all = pf.host.replay;
    char said[TOLD];

    (void)state;
    for (size_t first = 0; first < th_bad_rows(); first++) {
        struct mcx_judgement j[N];
        unsigned refusals[2];

        for (size_t way = 0; way < 2; way++) {
            assert_int_equal(mcx_replay_new(&pf.host.replay, 64), MCX_OK);
            refusals[way] = th_counted(&pf, "csk-upload.refused");
            for (size_t i = 0; i < N; i++) {
                if (way == 0 && i % 5 == 2) {
                    th_bad_make(&bad, (first + i) % th_bad_rows(), &route);
                    m[i] = bad.msg;
                } else if (way == 0) {
                    th_good(&m[i], &route);
                }
                make_rq(&in[i], i % 2 ? "PUBLISH" : "REGISTER");
                add_part(&in[i], MCX_MIME_MIKEY, m[i == 6 ? 0 : i].b,
                         m[i == 6 ? 0 : i].n, false);
                if (i == 3) {
                    add_part(&in[i], MCX_MIME_MCPTT_INFO, "<mcpttinfo>", 11,
                             false);
                } else if (i % 3 == 0) {
                    add_info(&in[i], i == 9 ? TH_BOB : TH_ALICE);
                }
                in[i].rq.expires = i == 4 ? 0 : in[i].rq.expires;
                j[i] = (struct mcx_judgement){ .rq = &in[i].rq,
                                               .answer = &in[i].answer,
                                               .why = &in[i].why };
            }
            if (way == 1) {
                module->judge_many(server, j, N);
            }
            for (size_t i = 0; i < N; i++) {
                if (way == 0) {
                    told(alone[i], judged(&in[i]), &in[i]);
                } else {
                    told(said, j[i].err, &in[i]);
                    assert_string_equal(said, alone[i]);
                }
                settle(&in[i], false);
            }
            refusals[way] = th_counted(&pf, "csk-upload.refused")
                            - refusals[way];
            mcx_replay_free(pf.host.replay);
        }
        assert_int_equal(refusals[0], refusals[1]);
    }
    assert_int_equal(strncmp(alone[6], "REPLAY", 6), 0);
    assert_int_equal(strncmp(alone[0], "OK", 2), 0);
    pf.host.replay = all;
}

/* Memory or store short: 503, no Warning. */
static void
overload(void **state)
{
    struct mcx_keys *roomy = pf.host.keys;
    struct incoming in;
    struct th_msg m;

    (void)state;
    assert_int_equal(mcx_keys_new(&pf.host.keys, &pf.env, 1), MCX_OK);
    th_good(&m, &route);
    bound(&m);
    th_good(&m, &route);
    make_rq(&in, "REGISTER");
    add_part(&in, MCX_MIME_MIKEY, m.b, m.n, false);
    assert_int_equal(judged(&in), MCX_E_BUSY);
    assert_int_equal(in.answer.status, 503);
    assert_int_equal(in.answer.warning, 0);
    assert_null(in.answer.key);
    mcx_keys_free(pf.host.keys);
    pf.host.keys = roomy;
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(what_it_wants),
        CASE(bodies),
        CASE(outcomes),
        CASE(carriers),
        CASE(lifetime),
        CASE(token_file),
        CASE(settings),
        CASE(what_it_claims),
        CASE(no_octets_at_all),
        CASE(publish_of_another),
        CASE(uploads),
        CASE(registrar_says_no),
        CASE(bad_rows),
        CASE(cut_everywhere),
        CASE(who_it_is),
        CASE(bad_info),
        CASE(log_off),
        CASE(together),
        CASE(overload),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
