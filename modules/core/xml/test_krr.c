/* test_krr.c -- KMS redirect responses: what is written is read, and each of
 * its neighbours is refused. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_kms.h>

#define HEAD "<KmsRedirectResponse xmlns=\"" MCX_NS_KRR "\">"
#define WHO "<InitiatorUri>sip:a@x</InitiatorUri>"                            \
            "<ReceiverUri>sip:b@y</ReceiverUri>"
#define NO "<RejectedKmsUri>kms.x</RejectedKmsUri>"
#define BY "<EntityUri>sip:b@y</EntityUri>"
#define LIST "<KmsUriList><KmsUri>kms.y</KmsUri><KmsUri>kms.z</KmsUri>"       \
             "</KmsUriList>"
#define TAIL "</KmsRedirectResponse>"
#define GOOD HEAD WHO NO BY LIST TAIL

static struct mcx_krr krr;
static struct mcx_text text;

static mcx_err
try(const char *xml)
{
    return mcx_krr_read(&krr, mcx_bytes_str(xml), &text);
}

static void
round_trip(void **state)
{
    struct mcx_krr w = { .initiator = "sip:a@x;k=v&w", .receiver = "sip:b@y",
                         .rejected_kms = "kms.x", .entity = "sip:pf@y",
                         .n_kms = MCX_KRR_KMS_MAX };
    char *xml = NULL;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < w.n_kms; i++) {
        snprintf(w.kms[i], sizeof w.kms[i], "kms%zu.y", i);
    }
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_OK);
    assert_int_equal(strlen(xml), n);
    assert_int_equal(mcx_krr_read(&krr, mcx_bytes(xml, n), &text), MCX_OK);
    assert_true(mcx_bytes_eq(mcx_bytes(&w, sizeof w),
                             mcx_bytes(&krr, sizeof krr)));
    /* Every prefix but those that only lack the last line feed. */
    for (size_t i = 0; i + 1 < n; i++) {
        assert_int_not_equal(mcx_krr_read(&krr, mcx_bytes(xml, i), NULL),
                             MCX_OK);
        assert_int_equal(krr.n_kms, 0);
    }
    mcx_kms_text_free(xml, n);
    /* The same for one that says which message it is about. */
    w.bound = true;
    w.time_unix_ms = INT64_C(1796072400123);
    memset(w.message, 0xa5, sizeof w.message);
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_OK);
    assert_int_equal(mcx_krr_read(&krr, mcx_bytes(xml, n), &text), MCX_OK);
    assert_true(mcx_bytes_eq(mcx_bytes(&w, sizeof w),
                             mcx_bytes(&krr, sizeof krr)));
    mcx_kms_text_free(xml, n);
    w.bound = false;
    w.time_unix_ms = -1;
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
    w.time_unix_ms = INT64_C(253402300800000); /* the year 10000 */
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
    w.time_unix_ms = 0;
    w.n_kms++;
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
    assert_null(xml);
    w.n_kms = 0;
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
    w.n_kms = 1;
    w.kms[0][0] = ' ';
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
    w.kms[0][0] = 'k';
    w.entity[0] = '\0';
    assert_int_equal(mcx_krr_write(&xml, &n, &w), MCX_E_ARG);
}

static void
refusals(void **state)
{
    static const struct {
        const char *xml;
        mcx_err err;
        const char *says;
    } rows[] = {
        { "", MCX_E_MALFORMED, "empty" },
        { "<KmsRedirectResponse>" WHO NO BY LIST TAIL, MCX_E_MALFORMED,
          "document element" },
        { "<KmsRedirectResponse xmlns=\"urn:x\">" WHO NO BY LIST TAIL,
          MCX_E_MALFORMED, "document element" },
        { "<Other xmlns=\"" MCX_NS_KRR "\">" WHO NO BY LIST "</Other>",
          MCX_E_MALFORMED, "document element" },
        { "<!DOCTYPE a>" GOOD, MCX_E_MALFORMED, "DOCTYPE" },
        { HEAD "x" WHO NO BY LIST TAIL, MCX_E_MALFORMED, "text between" },
        { HEAD "<a xmlns='b'/>" WHO NO BY LIST TAIL, MCX_E_MALFORMED,
          "absolute" },
        { HEAD WHO BY LIST TAIL, MCX_E_MALFORMED, "no RejectedKmsUri" },
        { HEAD NO BY LIST TAIL, MCX_E_MALFORMED, "no InitiatorUri" },
        { HEAD WHO NO LIST TAIL, MCX_E_MALFORMED, "no EntityUri" },
        { HEAD WHO NO BY TAIL, MCX_E_MALFORMED, "no KmsUriList" },
        { HEAD WHO WHO NO BY LIST TAIL, MCX_E_MALFORMED, "twice" },
        { HEAD WHO NO NO BY LIST TAIL, MCX_E_MALFORMED, "twice" },
        { HEAD WHO NO BY LIST LIST TAIL, MCX_E_MALFORMED, "twice" },
        { HEAD WHO NO BY "<KmsUriList/>" TAIL, MCX_E_MALFORMED,
          "no KMS is proposed" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri/></KmsUriList>" TAIL,
          MCX_E_MALFORMED, "not a URI" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>a b</KmsUri></KmsUriList>" TAIL,
          MCX_E_MALFORMED, "not a URI" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>a,b</KmsUri></KmsUriList>" TAIL,
          MCX_E_MALFORMED, "not a URI" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>a&#10;b</KmsUri></KmsUriList>"
          TAIL, MCX_E_MALFORMED, "not a URI" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>a<!-- -->b</KmsUri>"
          "</KmsUriList>" TAIL, MCX_E_MALFORMED, "not a URI" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>k.y</KmsUri><KmsUri>k.y"
          "</KmsUri></KmsUriList>" TAIL, MCX_E_MALFORMED, "twice" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>kms.x</KmsUri></KmsUriList>"
          TAIL, MCX_E_MALFORMED, "the rejected KMS is proposed" },
        /* Elements of another namespace are none of ours. */
        { HEAD WHO NO BY "<KmsUriList><KmsUri xmlns=\"urn:x\">kms.y</KmsUri>"
          "</KmsUriList>" TAIL, MCX_E_MALFORMED, "no KMS is proposed" },
        /* Chains. */
        { HEAD WHO NO BY LIST GOOD GOOD TAIL, MCX_E_MALFORMED, "twice" },
        { HEAD WHO NO BY "<KmsUriList><KmsUri>kms.w</KmsUri></KmsUriList>"
          GOOD TAIL, MCX_E_POLICY, "does not propose" },
        { HEAD "<InitiatorUri>sip:m@x</InitiatorUri>"
          "<ReceiverUri>sip:b@y</ReceiverUri>" NO BY LIST GOOD TAIL,
          MCX_E_POLICY, "another message" },
        { HEAD WHO NO BY LIST HEAD WHO TAIL TAIL, MCX_E_MALFORMED,
          "no RejectedKmsUri" },
        { HEAD WHO NO BY LIST HEAD WHO NO BY LIST HEAD WHO NO BY LIST HEAD
          WHO NO BY LIST GOOD TAIL TAIL TAIL TAIL, MCX_E_TOOBIG,
          "within each other" },
    };
    static char big[MCX_KRR_XML_MAX + 64], filler[MCX_URI_MAX + 1];

    (void)state;
    assert_int_equal(try(GOOD), MCX_OK);
    assert_int_equal(krr.n_kms, 2);
    assert_false(krr.has_signature);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mcx_err err = try(rows[i].xml);

        if (err != rows[i].err || !strstr(text.s, rows[i].says)) {
            fail_msg("row %zu: %s: %s", i, mcx_err_name(err), text.s);
        }
        assert_int_equal(krr.n_kms, 0);
        assert_int_equal(krr.receiver[0], 0);
    }
    /* One more KMS than is taken; a URI that is too long; a document. */
    snprintf(big, sizeof big, "%s", HEAD WHO NO BY "<KmsUriList>");
    for (unsigned i = 0; i <= MCX_KRR_KMS_MAX; i++) {
        snprintf(big + strlen(big), 64, "<KmsUri>kms%u.y</KmsUri>", i);
    }
    snprintf(big + strlen(big), 64, "</KmsUriList>" TAIL);
    assert_int_equal(try(big), MCX_E_TOOBIG);
    memset(filler, 'k', MCX_URI_MAX);
    snprintf(big, sizeof big, "%s%s%s", HEAD WHO BY LIST "<RejectedKmsUri>",
             filler, "</RejectedKmsUri>" TAIL);
    assert_int_equal(try(big), MCX_E_TOOBIG);
    assert_non_null(strstr(text.s, "longer"));
    memset(big, ' ', sizeof big);
    assert_int_equal(mcx_krr_read(&krr, mcx_bytes(big, MCX_KRR_XML_MAX + 1),
                                  &text), MCX_E_TOOBIG);
}

static void
what_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(try(HEAD WHO NO BY LIST "<x:More xmlns:x=\"urn:x\">y"
                         "</x:More><New>1</New>" TAIL), MCX_OK);
    assert_int_equal(try(HEAD WHO NO BY LIST "<s:Signature xmlns:s=\""
                         "http://www.w3.org/2000/09/xmldsig#\"/>" TAIL),
                     MCX_OK);
    assert_true(krr.has_signature);
    assert_int_equal(try(HEAD WHO NO BY "<KmsUriList><KmsUri> kms.z "
                         "</KmsUri></KmsUriList>" HEAD WHO NO BY LIST GOOD
                         TAIL TAIL), MCX_OK);
    assert_int_equal(krr.n_embedded, 2);
    assert_int_equal(krr.n_kms, 1);
    assert_string_equal(krr.kms[0], "kms.z");
}

#define MORE "<MessageDigest xmlns=\"" MCX_NS_KRR_MORE "\">"
#define A32 "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
#define B32 "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
#define ABOUT(digest) MORE digest "</MessageDigest>"

/* Which message it is about: once, 32 octets, and the same in a chain. */
static void
binding(void **state)
{
    static const struct {
        const char *xml;
        mcx_err err;
        bool bound;
    } row[] = {
        { HEAD WHO NO BY LIST ABOUT(A32) TAIL, MCX_OK, true },
        { HEAD ABOUT(" " A32 "\n") WHO NO BY LIST TAIL, MCX_OK, true },
        { HEAD WHO NO BY LIST "<MessageDigest>" A32 "</MessageDigest>" TAIL,
          MCX_OK, false }, /* not our element */
        { HEAD WHO NO BY LIST ABOUT(A32) ABOUT(A32) TAIL, MCX_E_MALFORMED,
          false },
        { HEAD WHO NO BY LIST ABOUT("") TAIL, MCX_E_MALFORMED, false },
        { HEAD WHO NO BY LIST ABOUT("QUFB") TAIL, MCX_E_MALFORMED, false },
        { HEAD WHO NO BY LIST ABOUT("QUFB" A32) TAIL, MCX_E_MALFORMED,
          false },
        { HEAD WHO NO BY LIST ABOUT("*" A32) TAIL, MCX_E_MALFORMED, false },
        { HEAD WHO NO BY LIST ABOUT("<a/>" A32) TAIL, MCX_E_MALFORMED,
          false },
        { HEAD WHO NO BY LIST ABOUT(A32)
              HEAD WHO NO BY LIST ABOUT(A32) TAIL TAIL, MCX_OK, true },
        { HEAD WHO NO BY LIST ABOUT(A32) HEAD WHO NO BY LIST TAIL TAIL,
          MCX_OK, true },
        { HEAD WHO NO BY LIST HEAD WHO NO BY LIST ABOUT(A32) TAIL TAIL,
          MCX_OK, false },
        { HEAD WHO NO BY LIST ABOUT(A32)
              HEAD WHO NO BY LIST ABOUT(B32) TAIL TAIL, MCX_E_POLICY,
          false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        mcx_err err = try(row[i].xml);

        if (err != row[i].err || krr.bound != row[i].bound) {
            fail_msg("row %zu: %s, %s", i, mcx_err_name(err), text.s);
        }
        assert_true(!krr.bound || krr.message[31] == 'A');
    }
}

#define WHEN(t) "<m:Time xmlns:m=\"" MCX_NS_KRR_MORE "\">" t "</m:Time>"

static void
when(void **state)
{
    static const char *const bad[] = {
        HEAD WHO NO BY LIST WHEN("now") TAIL,
        HEAD WHO NO BY LIST WHEN("") TAIL,
        HEAD WHO NO BY LIST WHEN("1970-01-01T00:00:00Z") TAIL,
        HEAD WHO NO BY LIST WHEN("1969-12-31T23:59:59Z") TAIL,
        HEAD WHO NO BY LIST WHEN("9999-12-31T23:59:59-14:00") TAIL,
        HEAD WHO NO BY LIST WHEN("2026-12-01T12:00:00Z<x/>") TAIL,
        HEAD WHO NO BY LIST WHEN("2026-12-01T12:00:00Z")
            WHEN("2026-12-01T12:00:00Z") TAIL,
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (try(bad[i]) != MCX_E_MALFORMED) {
            fail_msg("row %zu: %s", i, text.s);
        }
        assert_true(krr.time_unix_ms == 0);
    }
    /* The outer one's counts, and only that of our namespace. */
    assert_int_equal(try(HEAD WHEN("2026-12-01T12:00:00+01:00") WHO NO BY LIST
                         HEAD WHO NO BY LIST WHEN("2025-01-01T00:00:00Z")
                         TAIL TAIL), MCX_OK);
    assert_true(krr.time_unix_ms == INT64_C(1796122800000));
    assert_int_equal(try(HEAD WHO NO BY LIST "<Time>now</Time>" HEAD WHO NO
                         BY LIST WHEN("2025-01-01T00:00:00Z") TAIL TAIL),
                     MCX_OK);
    assert_true(krr.time_unix_ms == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binding),
        cmocka_unit_test(when),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(refusals),
        cmocka_unit_test(what_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
