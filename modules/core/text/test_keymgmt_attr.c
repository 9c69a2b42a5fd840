/* test_keymgmt_attr.c -- the SDP attribute: which lines count, which level
 * wins, what base64 is refused, and how a line is put in. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keymgmt.h>

#define HEAD "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n"
#define AUDIO "m=audio 5000 RTP/SAVP 0\r\n"
#define FLOOR "m=application 5002 udp MCPTT\r\n"

static struct mcx_sdp_view view;

static void
scan(const char *sdp)
{
    assert_int_equal(mcx_sdp_scan(&view, mcx_bytes_str(sdp), false, NULL),
                     MCX_OK);
}

static void
expect_bytes(struct mcx_bytes b, const char *want)
{
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.p, want, b.n);
}

/* The effective value of 'media'; NULL: none. */
static void
check_value(int media, const char *want)
{
    const struct mcx_sdp_km *km = (const struct mcx_sdp_km *)1;

    assert_int_equal(mcx_sdp_effective(&km, &view, media, NULL), MCX_OK);
    if (!want) {
        assert_null(km);
        return;
    }
    assert_non_null(km);
    expect_bytes(km->value, want);
    assert_ptr_equal(view.text.p + km->at, km->value.p);
}

static void
expect_refused(int media, mcx_reason reason)
{
    const struct mcx_sdp_km *km = (const struct mcx_sdp_km *)1;
    struct mcx_why why = { .reason = MCX_R_NONE };

    assert_int_equal(mcx_sdp_effective(&km, &view, media, &why),
                     mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_null(km);
}

static void
test_scan(void **state)
{
    (void)state;
    scan(HEAD "a=key-mgmt:mikey AAAA\r\n" AUDIO "a=key-mgmt: mikey BBBB \r\n"
         "m=video 0/2 RTP/AVP 31 32\r\n" FLOOR);
    assert_int_equal(view.n_media, 3);
    assert_int_equal(view.n_km, 2);
    assert_int_equal(view.km[0].media, -1);
    expect_bytes(view.km[0].value, "mikey AAAA");
    assert_int_equal(view.km[1].media, 0);
    expect_bytes(view.km[1].value, "mikey BBBB");
    expect_bytes(view.media[0].media, "audio");
    expect_bytes(view.media[0].proto, "RTP/SAVP");
    assert_int_equal(view.media[0].port, 5000);
    assert_true(view.media[0].secured);
    assert_int_equal(view.media[1].port, 0);
    assert_false(view.media[1].secured);
    assert_true(view.media[2].secured);
    /* LF alone, and no end at all. */
    scan("v=0\nm=audio 1 RTP/SAVPF 0\na=key-mgmt:mikey AAAA");
    assert_int_equal(view.n_km, 1);
    assert_true(view.media[0].secured);
    expect_bytes(view.km[0].value, "mikey AAAA");
    scan("");
    assert_int_equal(view.n_media + view.n_km, 0);
    scan("m=application 1 UDP foo mcptt\nm=application 1 udp foo\n"
         "m=message 1 udp MCPTT\nm=audio 1 UDP/TLS/RTP/SAVP 0\n"
         "m=audio 65535 rtp/savp 0\n");
    assert_true(view.media[0].secured);
    assert_false(view.media[1].secured);
    assert_false(view.media[2].secured);
    assert_false(view.media[3].secured);
    assert_true(view.media[4].secured);
}

static void
test_names(void **state)
{
    static const char *const others[] = {
        "a=keymgmt:mikey A", "a=key-Mgmt:mikey A", "a=KEY-MGMT:mikey A",
        " a=key-mgmt:mikey A", "a= key-mgmt:mikey A", "a=key-mgmts:mikey A",
        "a=key-mgmt mikey A", "A=key-mgmt:mikey A", "b=key-mgmt:mikey A",
        "a=x-key-mgmt:mikey A", "a=key-mgm",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        scan(others[i]);
        assert_int_equal(view.n_km, 0);
    }
    assert_int_equal(mcx_sdp_scan(&view, mcx_bytes_str(others[0]), true,
                                  NULL), MCX_OK);
    assert_int_equal(view.n_km, 1);
    assert_int_equal(mcx_sdp_scan(&view, mcx_bytes_str("a=key-mgmt:x"), true,
                                  NULL), MCX_OK);
    assert_int_equal(view.n_km, 1);
    /* Without a value it is an attribute that nobody can serve. */
    scan("a=key-mgmt\r\n");
    assert_int_equal(view.n_km, 1);
    expect_refused(-1, MCX_R_PAYLOAD_TYPE);
}

static void
scan_refused(struct mcx_bytes sdp, mcx_reason reason, size_t offset)
{
    struct mcx_why why = { .reason = MCX_R_NONE };

    assert_int_equal(mcx_sdp_scan(&view, sdp, false, &why),
                     mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_int_equal(why.offset, offset);
}

static void
test_scan_refused(void **state)
{
    static const char *const bad_media[] = {
        "m=", "m=audio", "m=audio ", "m=audio 1", "m=audio 1 ",
        "m= 1 RTP/SAVP", "m=audio x RTP/SAVP 0", "m=audio -1 RTP/SAVP 0",
        "m=audio 65536 RTP/SAVP 0", "m=audio 100000 RTP/SAVP 0",
        "m=audio  1 RTP/SAVP 0", "m=audio 1  RTP/SAVP 0",
        "m=audio /2 RTP/SAVP 0", "m=audio 0x1 RTP/SAVP 0",
    };
    char *big;
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof bad_media / sizeof bad_media[0]; i++) {
        char sdp[100];

        (void)snprintf(sdp, sizeof sdp, "v=0\r\n%s\r\n", bad_media[i]);
        scan_refused(mcx_bytes_str(sdp), MCX_R_ENCODING, 5);
    }
    scan_refused(mcx_bytes("v=0\r\na=\0b", 9), MCX_R_ENCODING, 7);
    scan_refused(mcx_bytes_str("v=0\ra=key-mgmt:mikey A"), MCX_R_ENCODING, 3);
    scan_refused(mcx_bytes_str("v=0\r"), MCX_R_ENCODING, 3);
    scan_refused(mcx_bytes_str("v=0\r\r\n"), MCX_R_ENCODING, 3);
    big = malloc(MCX_SDP_MAX + 1);
    assert_non_null(big);
    memset(big, 'a', MCX_SDP_MAX + 1);
    scan_refused(mcx_bytes(big, MCX_SDP_MAX + 1), MCX_R_TOO_LARGE,
                 MCX_SDP_MAX);
    assert_int_equal(mcx_sdp_scan(&view, mcx_bytes(big, MCX_SDP_MAX), false,
                                  NULL), MCX_OK);
    for (i = n = 0; i <= MCX_SDP_MEDIA_MAX; i++) {
        n += (size_t)snprintf(big + n, 40, "m=a 1 b c\n");
    }
    scan_refused(mcx_bytes(big, n), MCX_R_TOO_LARGE, n - 10);
    assert_int_equal(mcx_sdp_scan(&view, mcx_bytes(big, n - 10), false, NULL),
                     MCX_OK);
    for (i = n = 0; i <= MCX_SDP_KM_MAX; i++) {
        n += (size_t)snprintf(big + n, 40, "a=key-mgmt:x y\n");
    }
    scan_refused(mcx_bytes(big, n), MCX_R_TOO_LARGE, n - 15);
    free(big);
}

static void
test_effective(void **state)
{
    (void)state;
    scan(HEAD "a=key-mgmt:mikey SESS\r\n" AUDIO "a=key-mgmt:mikey MED1\r\n"
         AUDIO AUDIO "a=key-mgmt:other x\r\na=key-mgmt:mikey MED3\r\n");
    check_value(-1, "mikey SESS");
    check_value(0, "mikey MED1");
    check_value(1, "mikey SESS");
    check_value(2, "mikey MED3");
    scan(HEAD AUDIO "a=key-mgmt:mikey MED1\r\n" AUDIO);
    check_value(-1, NULL);
    check_value(1, NULL);
    /* The same twice is once. */
    scan(HEAD "a=key-mgmt:mikey A\r\na=key-mgmt: mikey A\r\n" AUDIO);
    check_value(0, "mikey A");
}

static void
test_effective_refused(void **state)
{
    const struct mcx_sdp_km *km;

    (void)state;
    scan(HEAD "a=key-mgmt:mikey A\r\na=key-mgmt:mikey B\r\n" AUDIO
         "a=key-mgmt:mikey C\r\n" AUDIO "a=key-mgmt:foo x\r\n" AUDIO);
    expect_refused(-1, MCX_R_PAYLOAD_DUP);
    check_value(0, "mikey C");
    expect_refused(1, MCX_R_PAYLOAD_TYPE); /* no way back to the session */
    expect_refused(2, MCX_R_PAYLOAD_DUP);
    scan("a=key-mgmt:Mikey A\r\n");
    expect_refused(-1, MCX_R_PAYLOAD_TYPE);
    scan("a=key-mgmt:mikey2 A\r\n");
    expect_refused(-1, MCX_R_PAYLOAD_TYPE);
    scan("a=key-mgmt:\r\n");
    expect_refused(-1, MCX_R_PAYLOAD_TYPE);
    scan(HEAD AUDIO);
    assert_int_equal(mcx_sdp_effective(&km, &view, 1, NULL), MCX_E_ARG);
    assert_int_equal(mcx_sdp_effective(&km, &view, -2, NULL), MCX_E_ARG);
}

static void
test_ids(void **state)
{
    char out[40];

    (void)state;
    scan("a=key-mgmt:mikey A\na=key-mgmt:foo B\na=key-mgmt:mikey A\n"
         "m=a 1 b c\na=key-mgmt:bar B\na=key-mgmt:mikey C\n");
    assert_int_equal(mcx_sdp_ids(out, sizeof out, &view, &view.km[0]),
                     MCX_OK);
    assert_string_equal(out, "mikey;foo");
    assert_int_equal(mcx_sdp_ids(out, sizeof out, &view, &view.km[4]),
                     MCX_OK);
    assert_string_equal(out, "bar;mikey");
    assert_int_equal(mcx_sdp_ids(out, 10, &view, &view.km[4]), MCX_OK);
    assert_int_equal(mcx_sdp_ids(out, 9, &view, &view.km[4]), MCX_E_TOOBIG);
    assert_string_equal(out, "");
    assert_int_equal(mcx_sdp_ids(out, 0, &view, &view.km[4]), MCX_E_TOOBIG);
    scan("a=key-mgmt:mikey A\na=key-mgmt:f;oo B\n");
    assert_int_equal(mcx_sdp_ids(out, sizeof out, &view, &view.km[0]),
                     MCX_E_MALFORMED);
    scan("a=key-mgmt:mikey A\na=key-mgmt:\n");
    assert_int_equal(mcx_sdp_ids(out, sizeof out, &view, &view.km[0]),
                     MCX_E_MALFORMED);
}

static void
test_read(void **state)
{
    static const struct { const char *value; size_t offset; } bad[] = {
        { "", 0 },              { "mikey", 0 },         { "mikey ", 0 },
        { "mikeyAAAA", 0 },     { "Mikey AAAA", 0 },    { " x AAAA", 1 },
        { "mikey  AAAA", 6 },   { "mikey AA AA", 8 },   { "mikey AAA=A", 9 },
        { "mikey A", 7 },       { "mikey AAAA=", 10 },  { "mikey AA=", 8 },
        { "mikey AB==", 7 },    { "mikey AAAA\t", 10 }, { "mikey\tAAAA", 0 },
        { "mikey AA-_", 8 },    { "mikey AAB", 8 },     { "mikey ====", 6 },
        { " mikey AA*A", 9 },
    };
    uint8_t out[16];
    size_t n = sizeof out, i;
    struct mcx_why why;

    (void)state;
    assert_int_equal(mcx_keymgmt_read(out, &n, mcx_bytes_str("mikey AQID"),
                                      NULL), MCX_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(out, "\1\2\3", 3);
    n = sizeof out;
    assert_int_equal(mcx_keymgmt_read(out, &n, mcx_bytes_str(" mikey AQI= "),
                                      NULL), MCX_OK);
    assert_int_equal(n, 2);
    n = sizeof out;
    assert_int_equal(mcx_keymgmt_read(out, &n, mcx_bytes_str("mikey AQI"),
                                      NULL), MCX_OK);
    assert_int_equal(n, 2);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        n = sizeof out;
        why.offset = 99;
        assert_int_equal(mcx_keymgmt_read(out, &n,
                                          mcx_bytes_str(bad[i].value), &why),
                         MCX_E_MALFORMED);
        assert_int_equal(why.reason, MCX_R_ENCODING);
        assert_string_equal(why.payload, "key-mgmt");
        if (why.offset != bad[i].offset) {
            fail_msg("\"%s\": %zu", bad[i].value, why.offset);
        }
        assert_int_equal(n, sizeof out);
    }
    n = 2;
    assert_int_equal(mcx_keymgmt_read(out, &n, mcx_bytes_str("mikey AQID"),
                                      &why), MCX_E_TOOBIG);
}

static void
test_write(void **state)
{
    char out[MCX_KEYMGMT_SIZE(4)];
    size_t i;

    (void)state;
    assert_int_equal(mcx_keymgmt_write(out, sizeof out,
                                       mcx_bytes("\1\2\3\4", 4)), MCX_OK);
    assert_string_equal(out, "mikey AQIDBA==");
    assert_int_equal(strlen(out) + 1, sizeof out);
    for (i = 0; i < sizeof out; i++) {
        assert_int_equal(mcx_keymgmt_write(out, i, mcx_bytes("\1\2\3\4", 4)),
                         MCX_E_TOOBIG);
    }
}

static void
expect_put(const char *sdp, const char *value, const char *want)
{
    char out[512];
    size_t n = strlen(want) + 1, i;

    assert_int_equal(mcx_sdp_put(out, &n, mcx_bytes_str(sdp), value), MCX_OK);
    assert_string_equal(out, want);
    assert_int_equal(n, strlen(want));
    for (i = 0; i <= strlen(want); i++) {
        n = i;
        assert_int_equal(mcx_sdp_put(out, &n, mcx_bytes_str(sdp), value),
                         MCX_E_TOOBIG);
        assert_int_equal(n, i);
    }
}

static void
test_put(void **state)
{
    char out[100];
    size_t n = sizeof out;

    (void)state;
    expect_put(HEAD AUDIO, "mikey AAAA",
               HEAD "a=key-mgmt:mikey AAAA\r\n" AUDIO);
    expect_put("v=0\nm=a 1 b c\n", "mikey A",
               "v=0\na=key-mgmt:mikey A\nm=a 1 b c\n");
    /* Old lines go, those of others and of media stay. */
    expect_put("v=0\r\na=key-mgmt: mikey B\r\na=key-mgmt:foo C\r\n" AUDIO
               "a=key-mgmt:mikey D\r\n" AUDIO, "mikey A",
               "v=0\r\na=key-mgmt:foo C\r\na=key-mgmt:mikey A\r\n" AUDIO
               "a=key-mgmt:mikey D\r\n" AUDIO);
    expect_put("v=0\r\na=key-mgmt:mikey B\r\n" AUDIO, NULL,
               "v=0\r\n" AUDIO);
    expect_put("v=0\r\na=key-mgmt:mikeyB\r\n", NULL,
               "v=0\r\na=key-mgmt:mikeyB\r\n");
    expect_put("v=0", "mikey A", "v=0\r\na=key-mgmt:mikey A\r\n");
    expect_put("", "mikey A", "a=key-mgmt:mikey A\r\n");
    assert_int_equal(mcx_sdp_put(out, &n, mcx_bytes_str(HEAD),
                                 "mikey A\r\nm=audio 1 RTP/AVP 0"),
                     MCX_E_MALFORMED);
    assert_int_equal(mcx_sdp_put(out, &n, mcx_bytes("v=0\0", 4), NULL),
                     MCX_E_MALFORMED);
    assert_int_equal(mcx_sdp_put(out, &n, mcx_bytes_str("v=0\rx\n"), NULL),
                     MCX_E_MALFORMED);
}

/* What is put in is found again, wherever the text is cut. */
static void
test_put_scan(void **state)
{
    static const char sdp[] = HEAD "a=key-mgmt:mikey OLD\r\n" AUDIO FLOOR;
    char out[512];
    size_t cut;

    (void)state;
    for (cut = 0; cut < sizeof sdp; cut++) {
        size_t n = sizeof out;
        mcx_err err = mcx_sdp_put(out, &n, mcx_bytes(sdp, cut), "mikey NEWS");

        if (err != MCX_OK) {
            assert_int_equal(sdp[cut - 1], '\r');
            continue;
        }
        if (mcx_sdp_scan(&view, mcx_bytes(out, n), false, NULL) == MCX_OK) {
            check_value(-1, "mikey NEWS");
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_scan_refused),
        cmocka_unit_test(test_effective),
        cmocka_unit_test(test_effective_refused),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
