/* test_engine.c -- the offer/answer engine in two real user agents of one
 * process, over loopback UDP, with and without a stack thread.  What is
 * checked is what stands on the wire. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sofia-sip/soa_tag.h>
#include <sofia-mcx/mcx_tag.h>
#include "engine.h"
#include "guard.h"
#include "test_wire.h"

/* One user agent; the address of 'mcx' is its instance. */
struct ua {
    char mcx;
    nua_t *nua;
    nua_handle_t *nh; /* the call */
    unsigned short port;
    bool shutdown;
    /* last of each, as they came off the wire */
    char offer[4096], answer[4096], warning[256];
    unsigned n_offers;
    int status; /* final one of the last INVITE we sent */
    bool ended;
    /* the instance's side; set and read when nothing is under way */
    const char *value;
    int verdict;
    bool warn_306;
    char peer[64], seen[4096];
    unsigned offer_values, remote_offers, verdicts, activated, rejected,
        terminated;
    unsigned offers_at_invite; /* remote_offers when nua_i_invite came */
};

static struct {
    su_root_t *root;
    struct ua a, b; /* a calls b */
} rig;

/* ---- what the engine calls --------------------------------------------- */

static struct ua *
ua_of(void *mcx)
{
    return (struct ua *)mcx; /* mcx is its first member */
}

static const char *
offer_value(void *mcx, nua_handle_t *nh, const char *peer)
{
    struct ua *ua = ua_of(mcx);

    assert_non_null(nh);
    ua->offer_values++;
    (void)snprintf(ua->peer, sizeof ua->peer, "%s", peer);
    return ua->value;
}

static void
remote_offer(void *mcx, nua_handle_t *nh, const char *sdp, size_t n)
{
    struct ua *ua = ua_of(mcx);

    assert_non_null(nh);
    ua->remote_offers++;
    (void)snprintf(ua->seen, sizeof ua->seen, "%.*s", (int)n, sdp);
}

static int
verdict(void *mcx, nua_handle_t *nh, struct mcxs_reject *reject)
{
    struct ua *ua = ua_of(mcx);

    assert_non_null(nh);
    ua->verdicts++;
    reject->warn_306 = ua->warn_306;
    return ua->verdict;
}

static void
activated(void *mcx, nua_handle_t *nh)
{
    assert_non_null(nh);
    ua_of(mcx)->activated++;
}

static void
rejected(void *mcx, nua_handle_t *nh)
{
    assert_non_null(nh);
    ua_of(mcx)->rejected++;
}

static void
terminated(void *mcx, nua_handle_t *nh)
{
    assert_non_null(nh);
    ua_of(mcx)->terminated++;
}

static const struct mcxs_engine_ops ops = {
    offer_value, remote_offer, verdict, activated, rejected, terminated,
};

/* ---- the user agents --------------------------------------------------- */

static void
keep_body(char out[4096], const sip_t *sip)
{
    const char *p = sip->sip_payload ? sip->sip_payload->pl_data : "";

    (void)snprintf(out, 4096, "%.*s", sip->sip_payload
                   ? (int)sip->sip_payload->pl_len : 0, p);
}

static void
on_event(nua_event_t event, int status, char const *phrase, nua_t *nua,
         nua_magic_t *magic, nua_handle_t *nh, nua_hmagic_t *hmagic,
         sip_t const *sip, tagi_t tags[])
{
    struct ua *ua = (struct ua *)magic;
    const sip_warning_t *w;
    size_t n = 0;

    (void)phrase;
    (void)nua;
    (void)hmagic;
    switch (event) {
    case nua_i_invite:
        ua->n_offers++;
        ua->offers_at_invite = ua->remote_offers;
        keep_body(ua->offer, sip);
        if (ua->nh && ua->nh != nh) {
            nua_handle_destroy(ua->nh);
        }
        ua->nh = nh;
        if (status < 200) {
            nua_respond(nh, SIP_200_OK, SOATAG_USER_SDP_STR(TEST_SDP),
                        TAG_END());
        }
        break;
    case nua_r_invite:
        if (status >= 200) {
            keep_body(ua->answer, sip);
            ua->warning[0] = '\0';
            for (w = sip->sip_warning; w; w = w->w_next) {
                n += (size_t)snprintf(ua->warning + n, sizeof ua->warning - n,
                                      "%u %s;", w->w_code, w->w_text);
            }
            ua->status = status;
        }
        break;
    case nua_i_terminated:
    case nua_r_bye:
    case nua_i_bye:
        ua->ended = true;
        break;
    case nua_r_get_params:
        ua->port = nua_port(tags);
        break;
    case nua_r_shutdown:
        ua->shutdown = status >= 200;
        break;
    default:
        break;
    }
}

static void
ua_start(struct ua *ua)
{
    long end = now_ms() + 5000;

    memset(ua, 0, sizeof *ua);
    assert_int_equal(mcxs_engine_attach(ua, &ops), 0);
    ua->nua = nua_create(rig.root, on_event, (nua_magic_t *)ua,
                         NUTAG_URL("sip:127.0.0.1:*"),
                         NUTAG_SIP_PARSER(mcxs_guard_mclass()),
                         NUTAG_ACCEPT_MULTIPART(1),
                         NUTAG_SOA_NAME(MCXS_ENGINE_NAME),
                         MCXTAG_INSTANCE(ua), TAG_END());
    assert_non_null(ua->nua);
    nua_get_params(ua->nua, TAG_ANY(), TAG_END());
    while (ua->port == 0 && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    assert_int_not_equal(ua->port, 0);
}

static void
ua_stop(struct ua *ua)
{
    long end = now_ms() + 40000;

    if (ua->nh) {
        nua_handle_destroy(ua->nh);
    }
    nua_shutdown(ua->nua);
    while (!ua->shutdown && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    assert_true(ua->shutdown);
    nua_destroy(ua->nua);
    mcxs_engine_detach(ua);
}

static int
start(void **state, int threaded)
{
    *state = NULL;
    su_log_redirect(NULL, quiet, NULL);
    assert_int_equal(su_init(), 0);
    assert_int_equal(mcxs_engine_init(), 0);
    assert_int_equal(mcxs_engine_init(), 0); /* again is no harm */
    rig.root = su_root_create(NULL);
    (void)su_root_threading(rig.root, threaded);
    ua_start(&rig.a);
    ua_start(&rig.b);
    return 0;
}

static int
start_single(void **state)
{
    return start(state, 0);
}

static int
start_threaded(void **state)
{
    return start(state, 1);
}

static int
stop(void **state)
{
    *state = NULL;
    ua_stop(&rig.a);
    ua_stop(&rig.b);
    su_root_destroy(rig.root);
    su_deinit();
    return 0;
}

static void
settle(int ms)
{
    long end = now_ms() + ms;

    while (now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
}

/* Sends an INVITE or re-INVITE from 'ua' and waits for its final response. */
static int
invite(struct ua *ua, tag_type_t tag, tag_value_t value, ...)
{
    long end = now_ms() + 5000;
    ta_list ta;

    ua->status = 0;
    ta_start(ta, tag, value);
    nua_invite(ua->nh, ta_tags(ta));
    ta_end(ta);
    while (ua->status == 0 && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    settle(20); /* the ACK */
    return ua->status;
}

static int
call(const char *peer)
{
    char url[64];

    (void)snprintf(url, sizeof url, "sip:b@127.0.0.1:%u", rig.b.port);
    if (rig.a.nh) {
        nua_handle_destroy(rig.a.nh);
    }
    rig.a.nh = nua_handle(rig.a.nua, NULL, SIPTAG_TO_STR(url), TAG_END());
    return invite(&rig.a, SOATAG_USER_SDP_STR(TEST_SDP),
                  TAG_IF(peer, MCXTAG_PEER(peer)), TAG_END());
}

static void
hang_up(void)
{
    long end = now_ms() + 5000;

    rig.a.ended = rig.b.ended = false;
    nua_bye(rig.a.nh, TAG_END());
    while ((!rig.a.ended || !rig.b.ended) && now_ms() < end) {
        (void)su_root_step(rig.root, 1);
    }
    assert_true(rig.a.ended && rig.b.ended);
    settle(20);
}

/* ---- looking at SDP ---------------------------------------------------- */

static unsigned
lines(const char *sdp, const char *start)
{
    unsigned n = 0;

    while ((sdp = strstr(sdp, start)) != NULL) {
        n++;
        sdp++;
    }
    return n;
}

static void
assert_keyed(const char *sdp, const char *value)
{
    char line[256];
    const char *at, *media = strstr(sdp, "\nm=");

    (void)snprintf(line, sizeof line, "\na=key-mgmt:%s\r\n", value);
    assert_int_equal(lines(sdp, "key-mgmt"), 1);
    at = strstr(sdp, line);
    assert_non_null(at);
    assert_non_null(media);
    assert_true(at < media); /* session level */
}

struct origin {
    unsigned long long id, version;
};

static struct origin
origin(const char *sdp)
{
    struct origin o = { 0, 0 };
    const char *at = strstr(sdp, "o=");

    assert_non_null(at);
    assert_int_equal(sscanf(at, "o=%*s %llu %llu", &o.id, &o.version), 2);
    return o;
}

static void
assert_origin(const char *sdp, struct origin from, unsigned more)
{
    struct origin o = origin(sdp);

    assert_true(o.id == from.id);
    assert_true(o.version == from.version + more);
}

#define HELD_SDP TEST_SDP "a=sendonly\r\n"

/* ---- tests ------------------------------------------------------------- */

static void
plain_call(void **state)
{
    (void)state;
    rig.a.value = NULL;
    assert_int_equal(call(NULL), 200);
    assert_int_equal(lines(rig.b.offer, "key-mgmt"), 0);
    assert_int_equal(lines(rig.a.answer, "key-mgmt"), 0);
    assert_string_equal(rig.a.peer, "");
    hang_up();
}

static void
keyed_call(void **state)
{
    struct origin o, answer_o;

    (void)state;
    rig.a.activated = rig.b.activated = 0;
    rig.a.terminated = rig.b.terminated = 0;
    rig.b.remote_offers = rig.b.verdicts = 0;
    rig.a.remote_offers = 0;
    rig.a.value = "mikey AQAFgA==";
    assert_int_equal(call("sip:bob@mcx.test"), 200);
    assert_string_equal(rig.a.peer, "sip:bob@mcx.test");
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    assert_int_equal(lines(rig.a.answer, "key-mgmt"), 0);
    assert_non_null(strstr(rig.a.answer, "RTP/SAVP"));
    assert_null(strstr(rig.a.answer, "m=audio 0 "));
    /* Verification could start before the application heard of the call. */
    assert_int_equal(rig.b.offers_at_invite, 1);
    assert_string_equal(rig.b.seen, rig.b.offer);
    assert_int_equal(rig.b.verdicts, 1);
    assert_int_equal(rig.a.remote_offers, 0); /* an answer is none */
    assert_true(rig.a.activated >= 1);
    assert_true(rig.b.activated >= 1);

    /* re-INVITE: the identical line, and nothing else new */
    o = origin(rig.b.offer);
    assert_int_equal(invite(&rig.a, TAG_END()), 200);
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    assert_origin(rig.b.offer, o, 0);
    assert_int_equal(lines(rig.a.answer, "key-mgmt"), 0);
    assert_int_equal(rig.b.remote_offers, 2);
    assert_string_equal(rig.a.peer, "sip:bob@mcx.test");

    /* re-key: a new line */
    rig.a.value = "mikey AQBFgB==";
    assert_int_equal(invite(&rig.a, TAG_END()), 200);
    assert_keyed(rig.b.offer, "mikey AQBFgB==");
    assert_origin(rig.b.offer, o, 1);

    /* the media changes, the line does not */
    assert_int_equal(invite(&rig.a, SOATAG_USER_SDP_STR(HELD_SDP), TAG_END()),
                     200);
    assert_keyed(rig.b.offer, "mikey AQBFgB==");
    assert_non_null(strstr(rig.b.offer, "a=sendonly"));
    assert_origin(rig.b.offer, o, 2);

    /* both at once: still one step */
    rig.a.value = "mikey AQCFgC==";
    assert_int_equal(invite(&rig.a, SOATAG_USER_SDP_STR(TEST_SDP), TAG_END()),
                     200);
    assert_keyed(rig.b.offer, "mikey AQCFgC==");
    assert_null(strstr(rig.b.offer, "a=sendonly"));
    assert_origin(rig.b.offer, o, 3);

    /* the other side offers: no line there, none in our answer */
    answer_o = origin(rig.a.answer);
    rig.b.value = NULL;
    assert_int_equal(invite(&rig.b, TAG_END()), 200);
    assert_int_equal(lines(rig.a.offer, "key-mgmt"), 0);
    assert_int_equal(lines(rig.b.answer, "key-mgmt"), 0);
    assert_origin(rig.a.offer, answer_o, 0);
    assert_origin(rig.b.answer, o, 4); /* the line went */
    assert_int_equal(rig.a.remote_offers, 1);

    /* and ours again */
    assert_int_equal(invite(&rig.a, TAG_END()), 200);
    assert_keyed(rig.b.offer, "mikey AQCFgC==");
    assert_origin(rig.b.offer, o, 5);

    assert_int_equal(rig.a.terminated, 0);
    hang_up();
    assert_true(rig.a.terminated >= 1);
    assert_true(rig.b.terminated >= 1);
}

/* The application's own mikey line gives way to ours. */
static void
foreign_line(void **state)
{
    static const char sdp[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
        "c=IN IP4 127.0.0.1\r\nt=0 0\r\na=key-mgmt:mikey OLD=\r\n"
        "a=tool:x\r\nm=audio 4000 RTP/SAVP 0\r\n";
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof url, "sip:b@127.0.0.1:%u", rig.b.port);
    rig.a.value = "mikey AQAFgA==";
    nua_handle_destroy(rig.a.nh);
    rig.a.nh = nua_handle(rig.a.nua, NULL, SIPTAG_TO_STR(url), TAG_END());
    assert_int_equal(invite(&rig.a, SOATAG_USER_SDP_STR(sdp), TAG_END()), 200);
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    assert_non_null(strstr(rig.b.offer, "a=tool:x\r\n"));
    hang_up();
}

static void
refused_call(void **state)
{
    static const char text[] =
        "136 authentication of the MIKEY-SAKKE I_MESSAGE failed";
    char expected[256];

    (void)state;
    rig.a.value = "mikey AQAFgA==";
    rig.b.verdict = 1;
    rig.b.activated = rig.a.rejected = 0;
    assert_int_equal(call("sip:bob@mcx.test"), 488);
    (void)snprintf(expected, sizeof expected, "399 %s;", text);
    assert_string_equal(rig.a.warning, expected);
    assert_int_equal(rig.b.activated, 0);
    rig.b.warn_306 = true;
    assert_int_equal(call("sip:bob@mcx.test"), 488);
    (void)snprintf(expected, sizeof expected, "399 %s;306 Attribute not "
                   "understood: key-mgmt;", text);
    assert_string_equal(rig.a.warning, expected);
    rig.b.warn_306 = false;
    rig.b.verdict = 0;
    assert_int_equal(call("sip:bob@mcx.test"), 200);
    hang_up();
}

/* A refused re-key leaves the call, its o= id and the old line in force. */
static void
refused_rekey(void **state)
{
    struct origin o;
    unsigned activated_before, remote_before;

    (void)state;
    rig.a.value = "mikey AQAFgA==";
    assert_int_equal(call("sip:bob@mcx.test"), 200);
    o = origin(rig.b.offer);

    rig.b.verdict = 1;
    rig.a.rejected = 0;
    activated_before = rig.b.activated;
    rig.a.value = "mikey AQBFgB==";
    assert_int_equal(invite(&rig.a, TAG_END()), 488);
    assert_non_null(strstr(rig.a.warning, "399 136 "));
    assert_int_equal(rig.b.activated, activated_before);

    rig.b.verdict = 0;
    rig.a.value = "mikey AQAFgA=="; /* back to the old one */
    assert_int_equal(invite(&rig.a, TAG_END()), 200);
    assert_int_equal(rig.a.rejected, 1);
    assert_true(rig.b.activated > activated_before);
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    assert_origin(rig.b.offer, o, 2); /* 1 was the refused one */

    /* Refused although nothing had changed: where sofia loses its SDP. */
    rig.b.verdict = 1;
    assert_int_equal(invite(&rig.a, TAG_END()), 488);
    rig.b.verdict = 0;
    assert_int_equal(invite(&rig.a, TAG_END()), 200);
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    assert_origin(rig.b.offer, o, 2);

    /* Ours refused, then theirs comes: an offer, not a late answer. */
    rig.b.verdict = 1;
    assert_int_equal(invite(&rig.a, TAG_END()), 488);
    rig.b.verdict = 0;
    remote_before = rig.a.remote_offers;
    activated_before = rig.a.activated;
    assert_int_equal(invite(&rig.b, TAG_END()), 200);
    assert_int_equal(rig.a.remote_offers, remote_before + 1);
    assert_true(rig.a.activated > activated_before);
    hang_up();
}

/* An INVITE whose body is multipart, from a peer that is not sofia. */
static void
multipart_invite(void **state)
{
    static const char body[] =
        "--b\r\nContent-Type: application/vnd.3gpp.mcptt-info+xml\r\n\r\n"
        "<x/>\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" TEST_SDP
        "\r\n--b--\r\n";
    static char text[8192];
    unsigned before = rig.b.remote_offers;
    struct wire w;
    int status;

    (void)state;
    rig.b.verdict = 1;
    wire_open(&w, rig.b.port, false);
    wire_send(&w, text, wire_request(&w, text, sizeof text, "INVITE",
                                     "Content-Type: multipart/mixed;"
                                     "boundary=b\r\n", body,
                                     sizeof body - 1));
    status = wire_answer(&w, rig.root, text, sizeof text, 5000);
    rig.b.verdict = 0;
    assert_int_equal(status, 488);
    assert_non_null(strstr(text, "\"136 authentication of"));
    assert_int_equal(rig.b.remote_offers, before + 1);
    assert_int_equal(strncmp(rig.b.seen, "v=0", 3), 0);
    close(w.fd);
}

/* Without its instance the engine is sofia's default one. */
static void
detached(void **state)
{
    unsigned before = rig.a.offer_values;

    (void)state;
    mcxs_engine_detach(&rig.a);
    rig.a.value = "mikey AQAFgA==";
    assert_int_equal(call("sip:bob@mcx.test"), 200);
    assert_int_equal(lines(rig.b.offer, "key-mgmt"), 0);
    assert_int_equal(rig.a.offer_values, before);
    hang_up();
    assert_int_equal(mcxs_engine_attach(&rig.a, &ops), 0);
    assert_int_equal(call("sip:bob@mcx.test"), 200);
    assert_keyed(rig.b.offer, "mikey AQAFgA==");
    hang_up();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_call), cmocka_unit_test(keyed_call),
        cmocka_unit_test(foreign_line), cmocka_unit_test(refused_call),
        cmocka_unit_test(refused_rekey), cmocka_unit_test(multipart_invite),
        cmocka_unit_test(detached),
    };
    int bad = cmocka_run_group_tests_name("engine", tests, start_single, stop);

    return bad + cmocka_run_group_tests_name("engine, stack thread", tests,
                                             start_threaded, stop);
}
