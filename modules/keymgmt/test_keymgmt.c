/* test_keymgmt.c -- both ends of a keyed offer with a fake host: whom to
 * believe, which lines count, what is refused and what stays as it was. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../test-host/test_host.h"
#include "keymgmt.h"

#define HEAD                                                                  \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"       \
    "t=0 0\r\n"
#define AUDIO "m=audio 40000 RTP/SAVP 0\r\n"
#define PLAIN_AUDIO "m=audio 40000 RTP/AVP 0\r\n"
#define FLOOR "m=application 40002 udp MCPTT\r\n"

extern const struct mcx_module mcx_module_keymgmt;
static const struct mcx_module *const module = &mcx_module_keymgmt;

static struct th alice, bob;
static void *caller, *callee;

static const struct th_route route
    = { MCX_KIND_PCK, TH_ALICE, TH_BOB, TH_PSI };

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
    th_new(&bob, MCX_ROLE_CLIENT, TH_BOB, TH_PSI);
    th_issue(&alice, TH_ALICE, th_period());
    th_issue(&bob, TH_BOB, th_period());
    return module->start(&caller, &alice.host, &text) == MCX_OK
                   && module->start(&callee, &bob.host, &text) == MCX_OK
               ? 0
               : -1;
}

static int
end(void **state)
{
    (void)state;
    module->stop(caller);
    module->stop(callee);
    th_free(&alice);
    th_free(&bob);
    return 0;
}

static void
optional(void)
{
    struct mcx_text text;

    th_set_option(&bob, "keymgmt", "policy", "optional");
    module->stop(callee);
    assert_int_equal(module->start(&callee, &bob.host, &text), MCX_OK);
}

/* ---- an offer ---------------------------------------------------------- */

struct offer {
    char sdp[4 * TH_ROOM];
    struct mcx_call call;
    struct mcx_call_verdict verdict;
    struct mcx_why why;
};

static void
make_offer(struct offer *o)
{
    memset(o, 0, sizeof *o);
    o->call.self = TH_BOB;
    o->call.calling_user_id = TH_ALICE;
    o->call.asserted_identity = "sip:alice@ims.test";
    o->call.from = "sip:anonymous@anonymous.invalid";
    o->call.last_value = "";
}

static void
value_of(char out[TH_ROOM], const struct th_msg *m)
{
    assert_int_equal(mcx_keymgmt_write(out, TH_ROOM,
                                       mcx_bytes(m->b, m->n)),
                     MCX_OK);
}

/* HEAD, a session-level line of 'm' when there is one, 'media'. */
static void
put_sdp(struct offer *o, const struct th_msg *m, const char *media)
{
    char value[TH_ROOM];

    if (m) {
        value_of(value, m);
        snprintf(o->sdp, sizeof o->sdp, "%sa=key-mgmt:%s\r\n%s", HEAD, value,
                 media);
    } else {
        snprintf(o->sdp, sizeof o->sdp, "%s%s", HEAD, media);
    }
}

static mcx_err
judged(struct offer *o)
{
    o->call.sdp = mcx_bytes_str(o->sdp);
    memset(&o->verdict, 0, sizeof o->verdict);
    return module->offer_in(callee, &o->call, &o->verdict, &o->why);
}

static void
drop_verdict(struct offer *o)
{
    free(o->verdict.value);
    mcx_key_unref(o->verdict.key);
    memset(&o->verdict, 0, sizeof o->verdict);
}

static void
keyed(struct offer *o)
{
    struct mcx_key_info info;

    assert_int_equal(judged(o), MCX_OK);
    assert_true(o->verdict.keyed);
    assert_false(o->verdict.unchanged);
    assert_non_null(o->verdict.value);
    assert_memory_equal(o->verdict.value, "mikey ", 6);
    assert_non_null(o->verdict.key);
    mcx_key_info(&info, o->verdict.key);
    assert_int_equal(info.kind, MCX_KIND_PCK);
    assert_int_equal(info.state, MCX_KEY_STAGED);
    assert_string_equal(info.initiator, TH_ALICE);
}

static mcx_reason
refused(struct offer *o)
{
    char before[TH_STATE], after[TH_STATE];
    unsigned counted = th_counted(&bob, "keymgmt.refused");

    th_keys(&bob, before);
    bob.log[0] = '\0';
    assert_int_not_equal(judged(o), MCX_OK);
    assert_false(o->verdict.keyed);
    assert_false(o->verdict.unchanged);
    assert_null(o->verdict.key);
    assert_null(o->verdict.value);
    th_keys(&bob, after);
    assert_string_equal(before, after);
    assert_int_equal(th_counted(&bob, "keymgmt.refused"), counted + 1);
    assert_string_equal(bob.log, ""); /* the host's line says it */
    return o->why.reason;
}

/* ---- caller ------------------------------------------------------------ */

static void
free_out(struct mcx_out *out)
{
    free(out->sdp_value);
    mcx_key_unref(out->key);
    memset(out, 0, sizeof *out);
}

static void
call(void **state)
{
    char a[2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1], b[sizeof a];
    struct mcx_out out = { .purpose = MCX_FOR_CALL, .peer = "", .impu = "" };
    static struct offer o;
    struct mcx_key_info info;
    struct mcx_why why;

    (void)state;
    assert_false(module->wants(caller, &out)); /* nobody named */
    out.peer = TH_BOB;
    assert_true(module->wants(caller, &out));
    out.purpose = MCX_FOR_REGISTER;
    assert_false(module->wants(caller, &out));
    out.purpose = MCX_FOR_CALL;
    assert_int_equal(module->prepare(caller, &out, &why), MCX_OK);
    make_offer(&o);
    snprintf(o.sdp, sizeof o.sdp, "%sa=key-mgmt:%s\r\n%s%s", HEAD,
             out.sdp_value, AUDIO, FLOOR);
    keyed(&o);
    assert_string_equal(o.verdict.value, out.sdp_value);
    th_tek(out.key, a);
    th_tek(o.verdict.key, b);
    assert_string_equal(a, b);
    assert_int_equal(module->outcome(caller, &out, 200, 0), MCX_NEXT_DONE);
    mcx_key_info(&info, out.key);
    assert_int_equal(info.state, MCX_KEY_STAGED); /* the host's from here */
    drop_verdict(&o);
    free_out(&out);
}

static void
call_fails(void **state)
{
    static const int statuses[] = { 488, 486, 603, 408, 0 };

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct mcx_out out
            = { .purpose = MCX_FOR_CALL, .peer = TH_BOB, .impu = "" };
        struct mcx_key_info info;
        struct mcx_why why;

        assert_int_equal(module->prepare(caller, &out, &why), MCX_OK);
        assert_int_equal(module->outcome(caller, &out, statuses[i], 136),
                         MCX_NEXT_DONE);
        mcx_key_info(&info, out.key);
        assert_int_equal(info.state, MCX_KEY_WIPED);
        free_out(&out);
    }
    assert_int_equal(mcx_keys_count(alice.host.keys), 0);
}

static void
sdp_ids_sent(void **state)
{
    struct mcx_out out
        = { .purpose = MCX_FOR_CALL, .peer = TH_BOB, .impu = "" };
    static struct offer o;
    struct mcx_why why;

    (void)state;
    alice.peer_bits = MCX_PEER_SDP_IDS;
    assert_int_equal(module->prepare(caller, &out, &why), MCX_OK);
    /* Another protocol beside it: the signed list says there was none. */
    make_offer(&o);
    snprintf(o.sdp, sizeof o.sdp,
             "%sa=key-mgmt:%s\r\na=key-mgmt:other AAAA\r\n%s", HEAD,
             out.sdp_value, AUDIO);
    assert_int_equal(refused(&o), MCX_R_SDP_IDS);
    snprintf(o.sdp, sizeof o.sdp, "%sa=key-mgmt:%s\r\n%s", HEAD,
             out.sdp_value, AUDIO);
    keyed(&o);
    drop_verdict(&o);
    module->outcome(caller, &out, 0, 0);
    free_out(&out);
}

/* ---- callee ------------------------------------------------------------ */

/* Without a signed list nobody can tell whether the choice was the caller's.
 */
static void
sdp_ids_absent(void **state)
{
    static struct offer o;
    static char value[TH_ROOM];
    struct th_msg m;

    (void)state;
    make_offer(&o);
    th_good(&m, &route);
    value_of(value, &m);
    snprintf(o.sdp, sizeof o.sdp,
             "%sa=key-mgmt:other AAAA\r\na=key-mgmt:%s\r\n%s", HEAD, value,
             AUDIO);
    assert_int_equal(refused(&o), MCX_R_SDP_IDS);
    put_sdp(&o, &m, AUDIO);
    keyed(&o);
    drop_verdict(&o);
}

static void
who_calls(void **state)
{
    static struct offer o;
    struct th_msg m;

    (void)state;
    th_good(&m, &route);
    make_offer(&o);
    put_sdp(&o, &m, AUDIO);
    /* calling_user_id decides, whatever the others say */
    o.call.calling_user_id = TH_MALLORY;
    o.call.asserted_identity = o.call.from = TH_ALICE;
    assert_int_equal(refused(&o), MCX_R_INITIATOR);
    /* then the asserted identity */
    o.call.calling_user_id = "";
    o.call.asserted_identity = TH_MALLORY;
    assert_int_equal(refused(&o), MCX_R_INITIATOR);
    /* then From; octet for octet */
    o.call.asserted_identity = "";
    o.call.from = "sip:Alice@mcx.test";
    assert_int_equal(refused(&o), MCX_R_INITIATOR);
    o.call.from = "";
    assert_int_equal(refused(&o), MCX_R_INITIATOR);
    o.call.from = TH_ALICE;
    keyed(&o);
    drop_verdict(&o);
    th_good(&m, &route);
    put_sdp(&o, &m, AUDIO);
    o.call.asserted_identity = TH_ALICE;
    o.call.from = TH_MALLORY;
    keyed(&o);
    drop_verdict(&o);
}

static void
levels(void **state)
{
    static struct offer o;
    static char value[TH_ROOM], other[TH_ROOM];
    struct th_msg m, m2;

    (void)state;
    th_good(&m, &route);
    th_good(&m2, &route);
    value_of(value, &m);
    value_of(other, &m2);
    make_offer(&o);
    /* Media level wins: the bad session-level one is not looked at. */
    snprintf(o.sdp, sizeof o.sdp,
             "%sa=key-mgmt:mikey AAAA\r\n%sa=key-mgmt:%s\r\n", HEAD, AUDIO,
             value);
    keyed(&o);
    drop_verdict(&o);
    /* Two different messages for two media: more than we do. */
    snprintf(o.sdp, sizeof o.sdp,
             "%s%sa=key-mgmt:%s\r\n%sa=key-mgmt:%s\r\n", HEAD, AUDIO, value,
             FLOOR, other);
    assert_int_equal(refused(&o), MCX_R_PAYLOAD_DUP);
    assert_true(o.verdict.warn_306);
    /* The same one for both. */
    snprintf(o.sdp, sizeof o.sdp,
             "%s%sa=key-mgmt:%s\r\n%sa=key-mgmt:%s\r\n", HEAD, AUDIO, other,
             FLOOR, other);
    keyed(&o);
    drop_verdict(&o);
    /* One good, one not MIKEY: all must verify. */
    th_good(&m, &route);
    value_of(value, &m);
    snprintf(o.sdp, sizeof o.sdp,
             "%s%sa=key-mgmt:%s\r\n%sa=key-mgmt:mikey AAAA\r\n", HEAD, AUDIO,
             value, FLOOR);
    refused(&o);
    /* A declined media needs none. */
    snprintf(o.sdp, sizeof o.sdp,
             "%s%sa=key-mgmt:%s\r\nm=video 0 RTP/AVP 96\r\n", HEAD, AUDIO,
             value);
    keyed(&o);
    drop_verdict(&o);
}

static void
policy(void **state)
{
    static struct offer o;
    struct th_msg m;

    (void)state;
    make_offer(&o);
    th_good(&m, &route);
    put_sdp(&o, NULL, AUDIO);
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    assert_false(o.verdict.warn_306);
    put_sdp(&o, NULL, PLAIN_AUDIO);
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    put_sdp(&o, &m, PLAIN_AUDIO); /* a line that secures nothing */
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    put_sdp(&o, &m, AUDIO "m=video 40004 RTP/AVP 96\r\n");
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    put_sdp(&o, &m, AUDIO);
    keyed(&o);
    drop_verdict(&o);

    optional();
    put_sdp(&o, NULL, AUDIO);
    assert_int_equal(judged(&o), MCX_OK);
    assert_false(o.verdict.keyed);
    put_sdp(&o, NULL, PLAIN_AUDIO);
    assert_int_equal(judged(&o), MCX_OK);
    assert_false(o.verdict.keyed);
    /* A call that had a key does not lose it on the way. */
    o.call.last_value = "mikey AAAA";
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    /* What is there must be right all the same. */
    o.call.last_value = "";
    th_good(&m, &route);
    m.b[m.n - 70] ^= 1;
    put_sdp(&o, &m, AUDIO);
    refused(&o);
    /* Only protocols that we do not speak. */
    snprintf(o.sdp, sizeof o.sdp, "%sa=key-mgmt:other AAAA\r\n%s", HEAD,
             AUDIO);
    refused(&o);
    assert_true(o.verdict.warn_306);
}

static void
again(void **state)
{
    char before[TH_STATE], after[TH_STATE];
    static char last[TH_ROOM];
    static struct offer o;
    struct th_msg m;

    (void)state;
    make_offer(&o);
    th_good(&m, &route);
    put_sdp(&o, &m, AUDIO);
    keyed(&o);
    snprintf(last, sizeof last, "%s", o.verdict.value);
    assert_int_equal(mcx_key_commit(o.verdict.key), MCX_OK);
    drop_verdict(&o);
    th_keys(&bob, before);
    /* The same line in a re-offer: no replay, nothing new. */
    o.call.last_value = last;
    th_step(600000); /* long out of its window */
    assert_int_equal(judged(&o), MCX_OK);
    assert_true(o.verdict.keyed);
    assert_true(o.verdict.unchanged);
    assert_null(o.verdict.key);
    assert_string_equal(o.verdict.value, last);
    drop_verdict(&o);
    th_keys(&bob, after);
    assert_string_equal(before, after);
    /* Another call with the same line is a replay. */
    th_step(-600000);
    o.call.last_value = "";
    assert_int_equal(refused(&o), MCX_R_REPLAYED);
    /* A new line is a new key. */
    o.call.last_value = last;
    th_good(&m, &route);
    put_sdp(&o, &m, AUDIO);
    keyed(&o);
    mcx_key_drop(o.verdict.key);
    drop_verdict(&o);
}

static void
bad_rows(void **state)
{
    static struct th_bad bad;
    static struct offer o;
    struct th_msg m;

    (void)state;
    make_offer(&o);
    for (size_t i = 0; i < th_bad_rows(); i++) {
        mcx_reason reason;

        th_bad_make(&bad, i, &route);
        put_sdp(&o, &bad.msg, AUDIO);
        reason = refused(&o);
        if (bad.reason != MCX_R_NONE && reason != bad.reason) {
            fail_msg("%s: %s", bad.name, mcx_reason_word(reason));
        }
        assert_int_equal(o.verdict.warn_306,
                         mcx_reason_err(reason) == MCX_E_UNSUPPORTED);
    }
    th_good(&m, &route);
    put_sdp(&o, &m, AUDIO);
    keyed(&o);
    drop_verdict(&o);
}

static void
cut_everywhere(void **state)
{
    static struct offer o;
    struct th_msg m, cut;

    (void)state;
    make_offer(&o);
    th_good(&m, &route);
    for (size_t n = 0; n < m.n; n++) {
        memcpy(cut.b, m.b, n);
        cut.n = n;
        put_sdp(&o, &cut, AUDIO);
        refused(&o);
    }
}

static void
bad_text(void **state)
{
    static const char *const lines[] = {
        "a=key-mgmt:mikey\r\n",
        "a=key-mgmt:mikey \r\n",
        "a=key-mgmt:mikey A A=\r\n",
        "a=key-mgmt:mikey AAAA====\r\n",
        "a=key-mgmt:mikey *AAA\r\n",
        "a=key-mgmt:\r\n",
        "a=key-mgmt:mikey AAAA\r\na=key-mgmt:mikey BBBB\r\n",
        "a=keymgmt:mikey AAAA\r\n",
        "a=key-mgmt:Mikey AAAA\r\n",
    };
    static struct offer o;

    (void)state;
    make_offer(&o);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(o.sdp, sizeof o.sdp, "%s%s%s", HEAD, lines[i], AUDIO);
        refused(&o);
    }
}

static void
alias(void **state)
{
    static struct offer o;
    static char value[TH_ROOM];
    struct th_msg m;

    (void)state;
    make_offer(&o);
    th_good(&m, &route);
    value_of(value, &m);
    snprintf(o.sdp, sizeof o.sdp, "%sa=keymgmt:%s\r\n%s", HEAD, value, AUDIO);
    assert_int_equal(refused(&o), MCX_R_NOT_MIKEY);
    bob.peer_bits = MCX_PEER_KEYMGMT_ALIAS;
    keyed(&o);
    drop_verdict(&o);
}

static void
parked(void **state)
{
    uint64_t next = th_period() + 1;
    int64_t was = th_now();
    static struct offer o;
    uint8_t octets[4096];
    struct th_msg m;
    struct th both;
    size_t n = sizeof octets;
    struct mcx_build how
        = { .kind = MCX_KIND_PCK, .from = TH_ALICE, .to = TH_BOB };

    (void)state;
    th_set_now(th_period_start_ms(next) + 5000);
    th_new(&both, MCX_ROLE_CLIENT, TH_ALICE, TH_PSI);
    th_issue(&both, TH_ALICE, next);
    how.env = &both.env;
    how.ring = both.host.ring;
    assert_int_equal(mcx_mikey_build(octets, &n, NULL, &how, NULL), MCX_OK);
    th_free(&both);
    memcpy(m.b, octets, n);
    m.n = n;
    make_offer(&o);
    put_sdp(&o, &m, AUDIO);
    assert_int_equal(judged(&o), MCX_E_NO_PERIOD);
    assert_null(o.verdict.key);
    assert_int_equal(th_counted(&bob, "keymgmt.refused"), 0);
    th_issue(&bob, TH_BOB, next);
    o.call.resume = true;
    keyed(&o);
    mcx_key_drop(o.verdict.key);
    drop_verdict(&o);
    assert_int_equal(refused(&o), MCX_R_REPLAYED);
    th_set_now(was);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(call),
        CASE(call_fails),
        CASE(sdp_ids_sent),
        CASE(sdp_ids_absent),
        CASE(who_calls),
        CASE(levels),
        CASE(policy),
        CASE(again),
        CASE(bad_rows),
        CASE(cut_everywhere),
        CASE(bad_text),
        CASE(alias),
        CASE(parked),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
