/* test_mime.c -- the body splitter and joiner. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mime.h"

#define B_TYPE "multipart/mixed; boundary=\"b1\""

static mcx_err
unfold(struct mcxs_body *out, const char *type, const char *text)
{
    return mcxs_mime_unfold(out, mcx_bytes_str(text), type, NULL);
}

static void
assert_part(const struct mcxs_body *b, size_t i, const char *type,
            const char *id, const void *text, size_t n)
{
    assert_true(i < b->n_parts);
    assert_string_equal(b->part[i].type, type);
    assert_string_equal(b->part[i].content_id, id);
    assert_int_equal(b->part[i].body.n, n);
    assert_memory_equal(b->part[i].body.p, text, n);
}

static void
single_body(void **state)
{
    struct mcxs_body b;

    (void)state;
    assert_int_equal(unfold(&b, " Application/SDP;x=y", "v=0\r\n"), MCX_OK);
    assert_string_equal(b.type, "application/sdp");
    assert_int_equal(b.n_parts, 1);
    assert_part(&b, 0, "application/sdp", "", "v=0\r\n", 5);
    mcxs_mime_free(&b);
    assert_null(b.store);
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(NULL, 0), "a/b", NULL),
                     MCX_OK);
    assert_part(&b, 0, "a/b", "", "", 0);
    mcxs_mime_free(&b);
    mcxs_mime_free(NULL);
}

static void
multipart_forms(void **state)
{
    static const char crlf[] =
        "preamble\r\n--b1x\r\n--b1 \t\r\n"
        "CONTENT-type : Application/MIKEY ; q=\"a\\\"b\"\r\n"
        "Content-ID: <one@x>\r\n\r\nA--b1\r\n--b1\r\n"
        "\r\nplain\r\n--b1\r\nContent-Type:\r\n text/x\r\n"
        "X-Other: 1\r\n\r\n--b1--\r\nepilogue --b1\r\n--b1\r\n";
    static const char lf[] =
        "--b1\nContent-Type: a/b\n\none\ntwo\n\n--b1\nContent-Type: c/d\n\n"
        "\n--b1--";
    static const char *const types[] = {
        "multipart/mixed;boundary=b1", B_TYPE,
        "MultiPart/Mixed ; x=\"; boundary=no\" ; BOUNDARY = b1 ; y",
        "multipart/related;boundary=\"b\\1\"",
    };
    struct mcxs_body b;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(unfold(&b, types[i], crlf), MCX_OK);
        assert_int_equal(b.n_parts, 3);
        assert_part(&b, 0, "application/mikey", "one@x", "A--b1", 5);
        assert_part(&b, 1, "text/plain", "", "plain", 5);
        assert_part(&b, 2, "text/x", "", "", 0);
        assert_ptr_equal(mcxs_mime_find(&b, "text/x"), &b.part[2]);
        assert_null(mcxs_mime_find(&b, "text/y"));
        mcxs_mime_free(&b);
    }
    assert_int_equal(unfold(&b, B_TYPE, lf), MCX_OK);
    assert_int_equal(b.n_parts, 2);
    assert_part(&b, 0, "a/b", "", "one\ntwo\n", 8);
    assert_part(&b, 1, "c/d", "", "", 0);
    mcxs_mime_free(&b);
}

static void
binary_and_codings(void **state)
{
    static const char text[] =
        "--b1\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: BINARY\r\n"
        "\r\n\0\r\n\0--b1\n\xff\r\n--b1\r\nContent-Type: c/d\r\n"
        "content-transfer-encoding: Base64\r\n\r\nAAEC\r\n /w ==\r\n\r\n"
        "--b1--";
    static const char *const refused[] = {
        "A===", "AA=A", "AAE*", "AAEC=", "A", "AB==",
    };
    struct mcxs_body b;
    struct mcx_why why = { 0 };
    char body[256];
    size_t i;

    (void)state;
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(text, sizeof text - 1),
                                      B_TYPE, NULL), MCX_OK);
    assert_int_equal(b.n_parts, 2);
    assert_part(&b, 0, "a/b", "", "\0\r\n\0--b1\n\xff", 10);
    assert_part(&b, 1, "c/d", "", "\0\1\2\xff", 4);
    mcxs_mime_free(&b);
    for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        (void)snprintf(body, sizeof body, "--b1\r\nContent-Transfer-Encoding:"
                       " base64\r\n\r\n%s\r\n--b1--", refused[i]);
        assert_int_equal(unfold(&b, B_TYPE, body), MCX_E_MALFORMED);
        assert_null(b.store);
    }
    (void)snprintf(body, sizeof body, "--b1\r\nContent-Transfer-Encoding: "
                   "base64\r\n\r\nA A\r\nE*\r\n--b1--");
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes_str(body), B_TYPE, &why),
                     MCX_E_MALFORMED);
    assert_int_equal(body[why.offset], '*');
    assert_int_equal(why.reason, MCX_R_ENCODING);
    assert_int_equal(unfold(&b, B_TYPE, "--b1\r\nContent-Transfer-Encoding: "
                            "quoted-printable\r\n\r\nx\r\n--b1--"),
                     MCX_E_UNSUPPORTED);
    assert_int_equal(unfold(&b, B_TYPE, "--b1\r\nContent-Encoding: gzip\r\n"
                            "\r\nx\r\n--b1--"), MCX_E_UNSUPPORTED);
}

static void
nesting(void **state)
{
    static const char three[] =
        "--b1\r\nContent-Type: multipart/mixed;boundary=b2\r\n\r\n"
        "--b2\r\nContent-Type: multipart/mixed;boundary=b3\r\n\r\n"
        "--b3\r\nContent-Type: a/b\r\n\r\ndeep\r\n--b3--\r\n--b2--\r\n"
        "--b1\r\nContent-Type: c/d\r\n\r\nflat\r\n--b1--\r\n";
    static const char four[] =
        "--b1\nContent-Type: multipart/mixed;boundary=b2\n\n"
        "--b2\nContent-Type: multipart/mixed;boundary=b3\n\n"
        "--b3\nContent-Type: multipart/mixed;boundary=b4\n\n"
        "--b4\n\nx\n--b4--\n--b3--\n--b2--\n--b1--\n";
    struct mcxs_body b;

    (void)state;
    assert_int_equal(unfold(&b, B_TYPE, three), MCX_OK);
    assert_int_equal(b.n_parts, 2);
    assert_part(&b, 0, "a/b", "", "deep", 4);
    assert_part(&b, 1, "c/d", "", "flat", 4);
    mcxs_mime_free(&b);
    assert_int_equal(unfold(&b, B_TYPE, four), MCX_E_TOOBIG);
}

static void
message_sip(void **state)
{
    static const char inner[] =
        "REGISTER sip:mcx.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9\r\n"
        "c: multipart/mixed;\r\n boundary=in\r\nl: 54\r\n\r\n"
        "--in\r\nContent-Type: application/mikey\r\n\r\nM\0K\r\n--in--\r\n"
        "after the length";
    char body[512];
    struct mcxs_body b;
    size_t n;

    (void)state;
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(inner, sizeof inner - 1),
                                      "message/sip", NULL), MCX_OK);
    assert_int_equal(b.n_parts, 1);
    assert_part(&b, 0, "application/mikey", "", "M\0K", 3);
    assert_true(b.part[0].embedded);
    assert_string_equal(b.type, "message/sip");
    mcxs_mime_free(&b);

    n = (size_t)snprintf(body, sizeof body, "--b1\r\nContent-Type: "
                         "message/sip\r\n\r\n");
    memcpy(body + n, inner, sizeof inner - 1);
    n += sizeof inner - 1;
    n += (size_t)snprintf(body + n, sizeof body - n,
                          "\r\n--b1\r\n\r\nx\r\n--b1--\r\n");
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(body, n), B_TYPE, NULL),
                     MCX_OK);
    assert_int_equal(b.n_parts, 2);
    assert_true(b.part[0].embedded);
    assert_false(b.part[1].embedded);
    mcxs_mime_free(&b);

    assert_int_equal(unfold(&b, "message/sip", "OPTIONS sip:x SIP/2.0\r\n"
                            "l: 0\r\n\r\n"), MCX_OK);
    assert_int_equal(b.n_parts, 0);
    mcxs_mime_free(&b);
    assert_int_equal(unfold(&b, "message/sip", "OPTIONS sip:x SIP/2.0\r\n"
                            "l: 9\r\nc: a/b\r\n\r\nx"), MCX_E_MALFORMED);
    assert_int_equal(unfold(&b, "message/sip", "OPTIONS sip:x SIP/2.0\r\n"
                            "\r\nx"), MCX_E_MALFORMED);
    assert_int_equal(unfold(&b, "message/sip", "\r\n\r\n"), MCX_E_MALFORMED);
    assert_int_equal(unfold(&b, "message/sip", ""), MCX_E_MALFORMED);
}

static void
refusals(void **state)
{
    static const struct {
        const char *type, *text;
    } bad[] = {
        { "multipart/mixed", "--b1\r\n\r\nx\r\n--b1--" },
        { "multipart/mixed;boundary=", "--\r\n\r\nx\r\n----" },
        { "multipart/mixed;boundary=\"\"", "--\r\n\r\nx\r\n----" },
        { "multipart/mixed;boundary=\"b1", "--b1\r\n\r\nx\r\n--b1--" },
        { "multipart/mixed;boundary=b1;boundary=b1",
          "--b1\r\n\r\nx\r\n--b1--" },
        { "multipart/mixed;boundary=\"b1 \"", "--b1 \r\n\r\nx\r\n--b1 --" },
        { "multipart/mixed;boundary=\"b*1\"", "--b*1\r\n\r\nx\r\n--b*1--" },
        { "multipart/mixed;boundary=\"1234567890123456789012345678901234567890"
          "1234567890123456789012345678901\"", "" },
        { "multipart", "x" }, { "", "x" }, { "/x", "x" }, { "a/", "x" },
        { "a/b c", "x" }, { "a/b\x01", "x" },
        { B_TYPE, "" },
        { B_TYPE, "--b1--\r\n" },
        { B_TYPE, "--b1\r\n\r\nx\r\n" },
        { B_TYPE, "--b1\r\n\r\nx--b1--" },
        { B_TYPE, "--b1\r\n\r\nx\r\n--b1-" },
        { B_TYPE, "--b1\r\n\r\nx\r\n--b1--y" },
        { B_TYPE, "--b1\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type: a/b\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type a/b\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\n: a/b\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\nX\x01: a/b\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\n X: a/b\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type: ab\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\nx"
                  "\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n--b1--" },
        { B_TYPE, "--b1\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n"
                  "--c\r\n\r\nx\r\n--b1--" },
    };
    static const char nul[] = "--b1\r\nContent-\0Type: a/b\r\n\r\nx\r\n--b1--";
    struct mcxs_body b;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (unfold(&b, bad[i].type, bad[i].text) != MCX_E_MALFORMED) {
            fail_msg("not refused: %s | %s", bad[i].type, bad[i].text);
        }
        assert_null(b.store);
        assert_int_equal(b.n_parts, 0);
    }
    assert_int_equal(unfold(&b, NULL, "x"), MCX_E_MALFORMED);
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(nul, sizeof nul - 1),
                                      B_TYPE, NULL), MCX_E_MALFORMED);
}

static void
limits(void **state)
{
    const size_t size = 3 * MCXS_MIME_BODY_MAX;
    char *text = malloc(size);
    size_t n, i, parts;
    struct mcxs_body b;

    (void)state;
    assert_non_null(text);
    for (parts = MCX_PART_MAX; parts <= MCX_PART_MAX + 1; parts++) {
        for (n = 0, i = 0; i < parts; i++) {
            n += (size_t)snprintf(text + n, size - n,
                                  "--b1\r\n\r\n\r\n");
        }
        (void)snprintf(text + n, size - n, "--b1--");
        assert_int_equal(unfold(&b, B_TYPE, text), parts <= MCX_PART_MAX
                         ? MCX_OK : MCX_E_TOOBIG);
        mcxs_mime_free(&b);
    }
    /* Header blocks of exactly the limit, and one octet more. */
    for (i = 0; i < 2; i++) {
        (void)snprintf(text, size, "--b1\r\nX: %0*d\r\n\r\nx\r\n--b1--",
                       (int)(MCXS_MIME_HEADER_MAX - 7 + i), 0);
        assert_int_equal(unfold(&b, B_TYPE, text),
                         i == 0 ? MCX_OK : MCX_E_TOOBIG);
        mcxs_mime_free(&b);
    }
    memset(text, 'x', MCXS_MIME_BODY_MAX + 1);
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(text, MCXS_MIME_BODY_MAX),
                                      "a/b", NULL), MCX_OK);
    mcxs_mime_free(&b);
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(text, MCXS_MIME_BODY_MAX
                                                    + 1), "a/b", NULL),
                     MCX_E_TOOBIG);
    free(text);
}

/* Every prefix of a good body is refused, or is a body that lacks only what
 * follows the closing boundary. */
static void
prefixes(void **state)
{
    static const char good[] =
        "--b1\r\nContent-Type: a/b\r\n\r\none\r\n--b1\r\nContent-Type: "
        "message/sip\r\n\r\nX y z\r\nc: c/d\r\n\r\ntwo\r\n--b1--\r\n";
    size_t end = sizeof good - 3, n;
    struct mcxs_body b;

    (void)state;
    for (n = 0; n < sizeof good; n++) {
        char *copy = malloc(n ? n : 1); /* sanitizers watch its end */
        mcx_err err;

        memcpy(copy, good, n);
        err = mcxs_mime_unfold(&b, mcx_bytes(copy, n), B_TYPE, NULL);
        if (n == end || n == end + 2) {
            assert_int_equal(err, MCX_OK);
        } else if (n < end) {
            assert_int_equal(err, MCX_E_MALFORMED);
        }
        mcxs_mime_free(&b);
        free(copy);
    }
}

static mcx_err
count_random(void *ctx, void *out, size_t n)
{
    uint8_t *next = ctx;

    while (n > 0) {
        ((uint8_t *)out)[--n] = ++*next;
    }
    return MCX_OK;
}

static void
joining(void **state)
{
    uint8_t seed = 0;
    struct mcx_env env = { .ctx = &seed, .random = count_random };
    char boundary[MCXS_BOUNDARY_SIZE], again[MCXS_BOUNDARY_SIZE];
    char type[MCXS_TYPE_SIZE];
    struct mcx_part part[2] = {
        { "application/mikey", "k@x", mcx_bytes("\0\r\n--\xff", 6), false },
        { "text/xml; charset=utf-8", NULL, mcx_bytes("", 0), false },
    };
    struct mcxs_body b;
    uint8_t *out;
    size_t n;

    (void)state;
    assert_int_equal(mcxs_mime_boundary(boundary, &env), MCX_OK);
    assert_int_equal(mcxs_mime_boundary(again, &env), MCX_OK);
    assert_string_not_equal(boundary, again);
    assert_int_equal(mcxs_mime_type(type, boundary), MCX_OK);
    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, boundary), MCX_OK);
    assert_memory_equal(out, "--", 2);
    assert_memory_equal(out + n - 4, "--\r\n", 5);
    assert_int_equal(mcxs_mime_unfold(&b, mcx_bytes(out, n), type, NULL),
                     MCX_OK);
    assert_int_equal(b.n_parts, 2);
    assert_part(&b, 0, "application/mikey", "k@x", "\0\r\n--\xff", 6);
    assert_part(&b, 1, "text/xml", "", "", 0);
    mcxs_mime_free(&b);
    free(out);

    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, ""), MCX_E_ARG);
    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, "a\"b"), MCX_E_ARG);
    assert_int_equal(mcxs_mime_join(&out, &n, part, 0, "b"), MCX_E_ARG);
    part[1].type = "text/xml\r\nX: y";
    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, "b"), MCX_E_ARG);
    part[1].type = "text";
    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, "b"), MCX_E_ARG);
    part[1].type = "text/xml";
    part[1].body = mcx_bytes("x--by", 5);
    assert_int_equal(mcxs_mime_join(&out, &n, part, 2, "b"), MCX_E_POLICY);
    assert_null(out);
    assert_int_equal(mcxs_mime_type(type, "a\r\n"), MCX_E_ARG);
}

static void
types(void **state)
{
    (void)state;
    assert_true(mcxs_mime_is(" Multipart/Mixed; x", "multipart/mixed"));
    assert_true(mcxs_mime_is("multipart/x", "multipart/"));
    assert_false(mcxs_mime_is("multipart/", "multipart/"));
    assert_false(mcxs_mime_is("multipart/mixedx", "multipart/mixed"));
    assert_false(mcxs_mime_is(NULL, "a/b"));
    assert_false(mcxs_mime_is("", "a/b"));
}

/* Random damage: whatever comes of it, no octet out of bounds (sanitizers)
 * and nothing left behind on refusal. */
static void
damage(void **state)
{
    static const char good[] =
        "--b1\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--c--\r\n--b1"
        "\r\nContent-Type: message/sip\r\n\r\nX y z\r\nc: c/d\r\nl: 3\r\n\r\n"
        "two\r\n--b1--\r\n";
    static const char bits[] = "-\r\n:;=\"/ \0b1cl0";
    const char *env = getenv("MCX_TEST_SEED");
    unsigned seed = env ? (unsigned)strtoul(env, NULL, 0) : 1u, i, k;

    (void)state;
    print_message("MCX_TEST_SEED=%u\n", seed);
    srand(seed);
    for (i = 0; i < 100000; i++) {
        size_t n = sizeof good - 1 - (size_t)(rand() % 3) * 7;
        char *copy = malloc(n);
        struct mcxs_body b;

        memcpy(copy, good, n);
        for (k = 1 + (unsigned)rand() % 4; k > 0; k--) {
            copy[(size_t)rand() % n] = bits[(size_t)rand() % sizeof bits];
        }
        if (mcxs_mime_unfold(&b, mcx_bytes(copy, n), B_TYPE, NULL)
            != MCX_OK) {
            assert_null(b.store);
        }
        mcxs_mime_free(&b);
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_body), cmocka_unit_test(multipart_forms),
        cmocka_unit_test(binary_and_codings), cmocka_unit_test(nesting),
        cmocka_unit_test(message_sip), cmocka_unit_test(refusals),
        cmocka_unit_test(limits), cmocka_unit_test(prefixes),
        cmocka_unit_test(joining), cmocka_unit_test(types),
        cmocka_unit_test(damage),
    };

    return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}
