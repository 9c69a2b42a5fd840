/* test_guard.c -- the body guard in front of a real nua on loopback: what is
 * good is found, what is malformed is refused, and the process lives. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "guard.h"
#include "mime.h"
#include "test_wire.h"

struct rig {
    su_root_t *root;
    nua_t *nua;
    unsigned short port;
    unsigned invites, others;
    bool busy; /* INVITEs are answered 486 */
    bool shutdown;
    char type[64];      /* Content-Type of the last request */
    char part[8][64];   /* types of its sip_multipart       */
    size_t n_parts, payload_n;
};
static struct rig rig;

static void
look_at(struct rig *m, const sip_t *sip)
{
    const msg_multipart_t *mp;

    m->n_parts = 0;
    (void)snprintf(m->type, sizeof m->type, "%s", sip->sip_content_type
                   ? sip->sip_content_type->c_type : "");
    m->payload_n = sip->sip_payload ? sip->sip_payload->pl_len : 0;
    for (mp = sip->sip_multipart; mp && m->n_parts < 8; mp = mp->mp_next) {
        (void)snprintf(m->part[m->n_parts++], sizeof m->part[0], "%s",
                       mp->mp_content_type->c_type);
    }
}

static void
on_event(nua_event_t event, int status, char const *phrase, nua_t *nua,
         nua_magic_t *magic, nua_handle_t *nh, nua_hmagic_t *hmagic,
         sip_t const *sip, tagi_t tags[])
{
    struct rig *m = (struct rig *)magic;

    (void)phrase;
    (void)hmagic;
    switch (event) {
    case nua_i_invite:
        m->invites++;
        look_at(m, sip);
        if (m->busy) {
            nua_respond(nh, SIP_486_BUSY_HERE, TAG_END());
            nua_handle_destroy(nh);
        } else {
            nua_respond(nh, SIP_200_OK, SOATAG_USER_SDP_STR(TEST_SDP),
                        TAG_END());
        }
        break;
    case nua_i_message:
    case nua_i_register:
    case nua_i_publish:
        m->others++;
        look_at(m, sip);
        if (status < 200) {
            nua_respond(nh, SIP_200_OK, NUTAG_WITH_THIS(nua), TAG_END());
        }
        nua_handle_destroy(nh);
        break;
    case nua_r_get_params:
        m->port = nua_port(tags);
        break;
    case nua_r_shutdown:
        m->shutdown = status >= 200;
        break;
    default:
        break;
    }
}

static int
start(void **state)
{
    long end = now_ms() + 5000;

    *state = NULL;
    su_log_redirect(NULL, quiet, NULL);
    memset(&rig, 0, sizeof rig);
    assert_int_equal(su_init(), 0);
    rig.root = su_root_create(NULL);
    (void)su_root_threading(rig.root, 0);
    rig.nua = nua_create(rig.root, on_event, &rig,
                         NUTAG_URL("sip:127.0.0.1:*"),
                         NUTAG_SIP_PARSER(mcxs_guard_mclass()),
                         NUTAG_ACCEPT_MULTIPART(1),
                         SIPTAG_ALLOW_STR("INVITE, ACK, BYE, CANCEL, MESSAGE, "
                                          "REGISTER, PUBLISH"),
                         SIPTAG_ACCEPT_STR("application/sdp, multipart/mixed"),
                         TAG_END());
    assert_non_null(rig.nua);
    /* One at a time: sofia's msg_params_join() may crash on more. */
    nua_set_params(rig.nua, NUTAG_APPL_METHOD("REGISTER"), TAG_END());
    nua_set_params(rig.nua, NUTAG_APPL_METHOD("PUBLISH"), TAG_END());
    nua_set_params(rig.nua, NUTAG_APPL_METHOD("MESSAGE"), TAG_END());
    nua_set_params(rig.nua, SIPTAG_ALLOW_EVENTS_STR("poc-settings"),
                   TAG_END());
    nua_get_params(rig.nua, TAG_ANY(), TAG_END());
    while (rig.port == 0 && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    assert_int_not_equal(rig.port, 0);
    return 0;
}

static int
stop(void **state)
{
    long end = now_ms() + 40000;

    *state = NULL;
    nua_shutdown(rig.nua);
    while (!rig.shutdown && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    nua_destroy(rig.nua);
    su_root_destroy(rig.root);
    su_deinit();
    return 0;
}

static char request[70000], answer[70000];

static int
ask(struct wire *w, const char *method, const char *headers, const void *body,
    size_t n)
{
    wire_send(w, request, wire_request(w, request, sizeof request, method,
                                       headers, body, n));
    return wire_answer(w, rig.root, answer, sizeof answer, 3000);
}

#define TYPE_B "Content-Type: multipart/mixed;boundary=\"b\"\r\n"
static const char good[] =
    "--b\r\nContent-Type: application/vnd.3gpp.mcptt-info+xml\r\n\r\n<x/>\r\n"
    "--b\r\nContent-Type: application/sdp\r\n\r\n" TEST_SDP "\r\n--b--\r\n";

/* Ends a call that was answered with 200. */
static void
hang_up(struct wire *w)
{
    char bye[1024];
    const char *tag = strstr(answer, ";tag=");
    const char *to = strstr(answer, "\r\nTo:");
    int n;

    tag = to ? strstr(to, ";tag=") : tag;
    assert_non_null(tag);
    n = snprintf(bye, sizeof bye, "ACK sip:x@127.0.0.1 SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKa%u\r\n"
                 "From: <sip:raw@mcx.test>;tag=r%u\r\n"
                 "To: <sip:x@mcx.test>%.*s\r\nCall-ID: %u.%u@raw\r\n"
                 "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                 w->port, w->serial, w->serial,
                 (int)strcspn(tag, "\r\n"), tag, w->serial, w->port);
    wire_send(w, bye, (size_t)n);
    n = snprintf(bye, sizeof bye, "BYE sip:x@127.0.0.1 SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKb%u\r\n"
                 "From: <sip:raw@mcx.test>;tag=r%u\r\n"
                 "To: <sip:x@mcx.test>%.*s\r\nCall-ID: %u.%u@raw\r\n"
                 "CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
                 w->port, w->serial, w->serial,
                 (int)strcspn(tag, "\r\n"), tag, w->serial, w->port);
    wire_send(w, bye, (size_t)n);
    (void)wire_answer(w, rig.root, answer, sizeof answer, 3000);
}

static void
good_bodies(void **state)
{
    static const char *const methods[] = { "MESSAGE", "REGISTER", "PUBLISH" };
    struct wire w;
    size_t i;

    (void)state;
    wire_open(&w, rig.port, false);
    for (i = 0; i < 3; i++) {
        assert_int_equal(ask(&w, methods[i], TYPE_B "Event: poc-settings\r\n",
                             good, sizeof good - 1), 200);
        assert_string_equal(rig.type, "multipart/mixed");
        assert_int_equal(rig.n_parts, 2);
        assert_string_equal(rig.part[1], "application/sdp");
        assert_int_equal(rig.payload_n, sizeof good - 1); /* kept whole */
    }
    assert_int_equal(ask(&w, "INVITE", TYPE_B, good, sizeof good - 1), 200);
    assert_int_equal(rig.n_parts, 2);
    assert_non_null(strstr(answer, "m=audio")); /* an answer, not an offer */
    assert_non_null(strstr(answer, "RTP/SAVP"));
    hang_up(&w);
    close(w.fd);
}

static const struct {
    const char *headers, *body;
    size_t n;
} malformed[] = {
#define M(headers, body) { headers, body, sizeof body - 1 }
    M(TYPE_B, "--b\r\nContent-\0Type: application/sdp\r\n\r\nx\r\n--b--\r\n"),
    M(TYPE_B, "--b\r\n\0\r\n\r\nx\r\n--b--\r\n"),
    M(TYPE_B, "--b\r\nno colon\r\n\r\nx\r\n--b--\r\n"),
    M(TYPE_B, "--b\r\n: \r\n\r\nx\r\n--b--\r\n"),
    M(TYPE_B, "--b\r\nContent-Type: application/sdp\r\n--b--\r\n"),
    M(TYPE_B, "--b\r\n--b--\r\n"),
    M(TYPE_B, "--b--\r\n"),
    M(TYPE_B, "--b"),
    M(TYPE_B, "\0"),
    M(TYPE_B, "--b\r\n\r\nx\r\n"),
    M("Content-Type: multipart/mixed\r\n", "--b\r\n\r\nx\r\n--b--\r\n"),
    M("Content-Type: multipart/mixed\r\n", "--b\r\n\0\r\nx\r\n--b--\r\n"),
    M("Content-Type: multipart/mixed;boundary=\r\n", "--\r\n\0\r\n----"),
    M("Content-Type: multipart/mixed;boundary=\"\"\r\n", "--\r\n\0\r\n----"),
    M("Content-Type: MULTIPART/x;boundary=b\r\n", "--b\r\n\0\r\n--b--"),
    M("Content-Type: multipart/;boundary=b\r\n", "--b\r\n\0\r\n--b--"),
    M("Content-Type: multipart/a/b;boundary=b\r\n", "--b\r\n\0\r\n--b--"),
    M("c : multipart/mixed;\r\n boundary=b\r\n", "--b\r\n\0\r\n--b--"),
    M(TYPE_B, "--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n"
              "\0\r\n\r\n--c--\r\n--b--\r\n"),
    /* sofia would parse these for ever */
    M("Content-Type: application/sdp\r\n",
      TEST_SDP "m=x 1 y \"\r\n"),
    M("Content-Type: Application/SDP\r\n", TEST_SDP "m=x 1 y z \r\n"),
    M("Content-Type: application/sdp\r\n", TEST_SDP "m=x 1 y z\t\r\n"),
    M("Content-Type: application/sdp\r\n", TEST_SDP "m=x 1 y  /z\n"),
    M("Content-Type: application/sdp\r\n", TEST_SDP "\rm=x 1 y \xff"),
    M("Content-Type: application/sdp\r\n", TEST_SDP " m=x 1 y \"\r\n"),
    M("Content-Type: application/sdp\r\n", TEST_SDP "m=x 1 RTP:/AVP\r\n"),
    M("", TEST_SDP "m=x 1 y (\r\n"),
    M(TYPE_B, "--b\r\nContent-Type: application/sdp\r\n\r\n" TEST_SDP
              "m=x 1 y \"\r\n--b--\r\n"),
#undef M
};

static void
malformed_bodies(void **state)
{
    struct wire w;
    size_t i;
    uint64_t before, after;

    (void)state;
    wire_open(&w, rig.port, false);
    for (i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        unsigned invites = rig.invites;
        int status;

        mcxs_guard_counts(NULL, &before);
        status = ask(&w, "INVITE", malformed[i].headers, malformed[i].body,
                     malformed[i].n);
        if (status != 415 && status != 400) {
            fail_msg("malformed %zu: INVITE answered %d", i, status);
        }
        assert_int_equal(rig.invites, invites); /* no offerless INVITE */
        memset(rig.type, 0, sizeof rig.type);
        status = ask(&w, "MESSAGE", malformed[i].headers, malformed[i].body,
                     malformed[i].n);
        if (status == 200) {
            assert_string_equal(rig.type, MCXS_GUARD_TYPE);
            assert_int_equal(rig.n_parts, 0);
        } else {
            assert_true(status == 415 || status == 400);
        }
        mcxs_guard_counts(NULL, &after);
        assert_true(after > before || status == 400);
    }
    assert_int_equal(ask(&w, "MESSAGE", TYPE_B, good, sizeof good - 1), 200);
    assert_int_equal(rig.n_parts, 2);
    close(w.fd);
}

/* 60 kB in one datagram, good and bad. */
static void
large(void **state)
{
    static const char head[] = "--b\r\nContent-Type: application/mikey\r\n"
                               "\r\n";
    static char body[60000];
    struct wire w;

    (void)state;
    wire_open(&w, rig.port, false);
    memset(body, 0, sizeof body);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + sizeof body - 9, "\r\n--b--\r\n", 9);
    assert_int_equal(ask(&w, "MESSAGE", TYPE_B, body, sizeof body), 200);
    assert_int_equal(rig.n_parts, 1);
    assert_int_equal(rig.payload_n, sizeof body);
    body[sizeof body - 5] = 'x'; /* no closing boundary */
    assert_int_equal(ask(&w, "MESSAGE", TYPE_B, body, sizeof body), 200);
    assert_string_equal(rig.type, MCXS_GUARD_TYPE);
    memset(body, '\n', sizeof body);
    assert_int_equal(ask(&w, "MESSAGE", TYPE_B, body, sizeof body), 200);
    assert_string_equal(rig.type, MCXS_GUARD_TYPE);
    assert_int_equal(ask(&w, "INVITE", TYPE_B, body, sizeof body), 415);
    close(w.fd);
}

/* A stream that delivers the body in pieces of every size, then a malformed
 * one: the guard must see both whole. */
static void
stream(void **state)
{
    static const size_t steps[] = { 1, 2, 7, 64, 300, 511, 512, 1024, 2048 };
    struct wire w;
    size_t i, k, n;

    (void)state;
    wire_open(&w, rig.port, true);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        static char body[20000];
        size_t body_n = i % 2 ? sizeof body : sizeof good - 1;

        memset(body, 'x', sizeof body);
        memcpy(body, good, sizeof good - 1); /* with a long epilogue */
        n = wire_request(&w, request, sizeof request, "MESSAGE", TYPE_B, body,
                         body_n);
        for (k = 0; k < n; k += steps[i]) {
            wire_send(&w, request + k, n - k < steps[i] ? n - k : steps[i]);
            (void)su_root_step(rig.root, 0);
        }
        assert_int_equal(wire_answer(&w, rig.root, answer, sizeof answer,
                                     5000), 200);
        assert_int_equal(rig.n_parts, 2);
        assert_int_equal(rig.payload_n, body_n);

        n = wire_request(&w, request, sizeof request, "INVITE", TYPE_B,
                         malformed[1].body, malformed[1].n);
        for (k = 0; k < n; k += steps[i]) {
            wire_send(&w, request + k, n - k < steps[i] ? n - k : steps[i]);
            (void)su_root_step(rig.root, 0);
        }
        assert_int_equal(wire_answer(&w, rig.root, answer, sizeof answer,
                                     5000), 415);
    }
    close(w.fd);
}

/* Thousands of damaged requests; then a good one is answered. */
static void
mutations(void **state)
{
    static const char *const methods[] = {
        "INVITE", "MESSAGE", "REGISTER", "PUBLISH",
    };
    static const char bits[] = "\0\r\n-: ;=\"/b\xff\t<>";
    const char *env = getenv("MCX_TEST_SEED"), *many = getenv("MCX_TEST_N");
    unsigned seed = env ? (unsigned)strtoul(env, NULL, 0) : 1u;
    unsigned count = many ? (unsigned)strtoul(many, NULL, 0) : 8000u, i, k;
    uint64_t seen = 0, bad = 0;
    struct wire w;

    (void)state;
    print_message("MCX_TEST_SEED=%u\n", seed);
    srand(seed);
    rig.busy = true;
    wire_open(&w, rig.port, false);
    for (i = 0; i < count; i++) {
        size_t n = wire_request(&w, request, sizeof request, methods[i % 4],
                                TYPE_B "Event: poc-settings\r\n", good,
                                sizeof good - 1);
        /* Mostly in the body, where headers leave us alone. */
        size_t from = i % 8 ? n - (sizeof good - 1) : 0;

        for (k = 1 + (unsigned)rand() % 5; k > 0; k--) {
            request[from + (size_t)rand() % (n - from)] =
                bits[(size_t)rand() % sizeof bits];
        }
        if (i % 16 == 0) {
            n -= (size_t)rand() % (sizeof good - 1);
        }
        wire_send(&w, request, n);
        (void)su_root_step(rig.root, 0);
        while (recv(w.fd, answer, sizeof answer, MSG_DONTWAIT) > 0) {
        }
    }
    mcxs_guard_counts(&seen, &bad);
    print_message("%u sent; %llu multiparts, %llu malformed\n", count,
                  (unsigned long long)seen, (unsigned long long)bad);
    assert_true(seen > count / 4);
    assert_true(bad > count / 16);
    close(w.fd);
    wire_open(&w, rig.port, false);
    assert_int_equal(ask(&w, "MESSAGE", TYPE_B, good, sizeof good - 1), 200);
    assert_int_equal(rig.n_parts, 2);
    close(w.fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies), cmocka_unit_test(malformed_bodies),
        cmocka_unit_test(large), cmocka_unit_test(stream),
        cmocka_unit_test(mutations),
    };

    return cmocka_run_group_tests_name("guard", tests, start, stop);
}
