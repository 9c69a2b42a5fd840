/* test_mcinfo.c -- mcptt-info and poc-settings: what is read, what is refused,
 * and that what we write reads back.  Also the guards of tree.c, which every
 * document passes. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tree.h"

#define INFO(inner)                                                           \
    "<?xml version=\"1.0\"?>\n"                                               \
    "<mcpttinfo xmlns=\"urn:3gpp:ns:mcpttInfo:1.0\">\n <mcptt-Params>" inner  \
    "</mcptt-Params></mcpttinfo>\n"

static struct mcx_mcinfo info;
static struct mcx_why why;

static mcx_err
rd(const char *text)
{
    memset(&why, 0, sizeof why);
    memset(&info, 0xff, sizeof info);
    return mcx_mcinfo_read(&info, mcx_bytes_str(text), &why);
}

static void
assert_refused(const char *text, mcx_err err, mcx_reason reason,
               const char *payload)
{
    static const struct mcx_mcinfo none;

    assert_int_equal(rd(text), err);
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, payload);
    assert_memory_equal(&info, &none, sizeof info);
}

static void
reads_what_clients_send(void **state)
{
    (void)state;
    assert_int_equal(rd(INFO(
        "<mcptt-access-token type=\"Normal\"><mcpttString>a.b.c</mcpttString>"
        "</mcptt-access-token><session-type> private </session-type>"
        "<mcptt-request-uri type=\"Normal\"><mcpttURI>sip:bob@mcx.test"
        "</mcpttURI></mcptt-request-uri>"
        "<mcptt-calling-user-id><mcpttURI>sip:alice@mcx.test</mcpttURI>"
        "</mcptt-calling-user-id>"
        "<mcptt-client-id type=\"Normal\"><mcpttURI>urn:uuid:1</mcpttURI>"
        "</mcptt-client-id><anyExt><request-type>x</request-type></anyExt>")),
        MCX_OK);
    assert_string_equal(info.access_token, "a.b.c");
    assert_string_equal(info.session_type, "private");
    assert_string_equal(info.request_uri, "sip:bob@mcx.test");
    assert_string_equal(info.calling_user_id, "sip:alice@mcx.test");
    assert_string_equal(info.called_party_id, "");
    assert_string_equal(info.client_id, "urn:uuid:1");
    assert_false(info.calling_user_encrypted);
}

static void
reads_a_value_without_child(void **state)
{
    (void)state;
    assert_int_equal(rd(INFO("<mcptt-client-id>urn:uuid:2</mcptt-client-id>"
                             "<mcptt-calling-user-id>sip:a&amp;b@x"
                             "</mcptt-calling-user-id>")), MCX_OK);
    assert_string_equal(info.client_id, "urn:uuid:2");
    assert_string_equal(info.calling_user_id, "sip:a&b@x");
    assert_int_equal(rd("<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'/>"),
                     MCX_OK);
    assert_string_equal(info.client_id, "");
}

static void
encrypted_values_are_absent(void **state)
{
    (void)state;
    assert_int_equal(rd(INFO(
        "<mcptt-calling-user-id type=\"Encrypted\"><EncryptedData "
        "xmlns=\"http://www.w3.org/2001/04/xmlenc#\">x</EncryptedData>"
        "</mcptt-calling-user-id>"
        "<mcptt-client-id type=\"Encrypted\">zz</mcptt-client-id>")), MCX_OK);
    assert_true(info.calling_user_encrypted);
    assert_string_equal(info.calling_user_id, "");
    assert_string_equal(info.client_id, "");
}

static void
other_namespaces_say_nothing(void **state)
{
    (void)state;
    assert_int_equal(rd(INFO("<x:mcptt-client-id xmlns:x='urn:x'>evil"
                             "</x:mcptt-client-id>")), MCX_OK);
    assert_string_equal(info.client_id, "");
    /* Neither as a frame round elements that are ours ... */
    assert_int_equal(rd("<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'>"
                        "<x:mcptt-Params xmlns:x='urn:x'><mcptt-client-id>"
                        "evil</mcptt-client-id></x:mcptt-Params>"
                        "<mcptt-Params/></mcpttinfo>"), MCX_OK);
    assert_string_equal(info.client_id, "");
    /* ... nor as the value in them. */
    assert_refused(INFO("<mcptt-calling-user-id><mcpttURI xmlns='urn:x'>"
                        "sip:evil@x</mcpttURI></mcptt-calling-user-id>"),
                   MCX_E_MALFORMED, MCX_R_XML, "mcptt-calling-user-id");
}

static void
ambiguous_callers_are_refused(void **state)
{
#define ONE "<mcptt-calling-user-id><mcpttURI>sip:a@x</mcpttURI>"             \
            "</mcptt-calling-user-id>"
    (void)state;
    assert_int_equal(rd(INFO(ONE)), MCX_OK);
    assert_refused(INFO(ONE ONE), MCX_E_MALFORMED, MCX_R_XML,
                   "mcptt-calling-user-id");
    assert_refused(INFO("<mcptt-calling-user-id><mcpttURI>sip:a@x</mcpttURI>"
                        "<mcpttURI>sip:b@x</mcpttURI>"
                        "</mcptt-calling-user-id>"),
                   MCX_E_MALFORMED, MCX_R_XML, "mcptt-calling-user-id");
    assert_refused(INFO("<mcptt-calling-user-id>sip:b@x<mcpttURI>sip:a@x"
                        "</mcpttURI></mcptt-calling-user-id>"),
                   MCX_E_MALFORMED, MCX_R_XML, "mcptt-calling-user-id");
    assert_refused(INFO("<mcptt-calling-user-id>sip:a<!-- -->@x"
                        "</mcptt-calling-user-id>"),
                   MCX_E_MALFORMED, MCX_R_XML, "mcptt-calling-user-id");
    assert_refused(INFO("<mcptt-calling-user-id><mcpttURI>sip:a&#10;b@x"
                        "</mcpttURI></mcptt-calling-user-id>"),
                   MCX_E_MALFORMED, MCX_R_XML, "mcptt-calling-user-id");
    assert_refused(INFO("</mcptt-Params><mcptt-Params>"), MCX_E_MALFORMED,
                   MCX_R_XML, "mcptt-Params");
}

static void
too_long_values_are_refused(void **state)
{
    char text[4096], uri[MCX_URI_MAX + 1];
    size_t n;

    (void)state;
    for (n = MCX_URI_MAX - 1; n <= MCX_URI_MAX; n++) {
        memset(uri, 'a', n);
        uri[n] = '\0';
        (void)snprintf(text, sizeof text, "%s%s%s",
                       "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'>"
                       "<mcptt-Params><mcptt-request-uri><mcpttURI>", uri,
                       "</mcpttURI></mcptt-request-uri></mcptt-Params>"
                       "</mcpttinfo>");
        if (n < MCX_URI_MAX) {
            assert_int_equal(rd(text), MCX_OK);
            assert_string_equal(info.request_uri, uri);
        } else {
            assert_refused(text, MCX_E_TOOBIG, MCX_R_TOO_LARGE,
                           "mcptt-request-uri");
        }
    }
}

static void
other_documents_are_refused(void **state)
{
    static const char *const bad[] = {
        "", " ", "x", "<", "<mcpttinfo", "<a/>", "<mcpttinfo/>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'></mcptt-info>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'/><b/>",
        "<x:mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'/>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'>&nothing;</mcpttinfo>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'>\xff</mcpttinfo>",
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0' a='1' a='2'/>",
        "<!DOCTYPE mcpttinfo><mcpttinfo "
        "xmlns='urn:3gpp:ns:mcpttInfo:1.0'/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><mcpttinfo "
        "xmlns='urn:3gpp:ns:mcpttInfo:1.0'/>",
        "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>"
        "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
        "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>"
        "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
        "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'>]>"
        "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0' a='&e;'>&e;"
        "</mcpttinfo>",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(bad[i], MCX_E_MALFORMED, MCX_R_XML, "mcpttinfo");
    }
}

static void
every_prefix_is_refused(void **state)
{
    static const char text[] = INFO("<session-type>private</session-type>");
    size_t n, end = strlen(text) - 1; /* the line feed may be missing */

    (void)state;
    for (n = 0; n < end; n++) {
        assert_int_equal(mcx_mcinfo_read(&info, mcx_bytes(text, n), &why),
                         MCX_E_MALFORMED);
    }
    assert_int_equal(mcx_mcinfo_read(&info, mcx_bytes(text, n), &why),
                     MCX_OK);
}

static void
other_codings_are_refused(void **state)
{
    static const char utf16[] = "\xff\xfe<\0a\0/\0>";
    static const char nul[] = "<a>\0</a>";
    static const char latin[] = "<?xml version='1.0' encoding='ISO-8859-1'?>"
                                "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'"
                                ">\xe9</mcpttinfo>";

    (void)state;
    assert_int_equal(mcx_mcinfo_read(&info, mcx_bytes(utf16, sizeof utf16),
                                     &why), MCX_E_MALFORMED);
    assert_int_equal(mcx_mcinfo_read(&info, mcx_bytes(nul, sizeof nul - 1),
                                     &why), MCX_E_MALFORMED);
    assert_int_equal(why.offset, 3);
    assert_int_equal(rd(latin), MCX_E_MALFORMED);
    assert_int_equal(rd("\xef\xbb\xbf<mcpttinfo xmlns="
                        "'urn:3gpp:ns:mcpttInfo:1.0'/>"), MCX_OK);
}

/* A document of 'n' times 'piece' between a start and an end. */
static char *
many(const char *start, const char *piece, size_t n, const char *end)
{
    size_t a = strlen(start), b = strlen(piece), c = strlen(end), i;
    char *p = malloc(a + b * n + c + 1);

    assert_non_null(p);
    memcpy(p, start, a);
    for (i = 0; i < n; i++) {
        memcpy(p + a + i * b, piece, b);
    }
    memcpy(p + a + n * b, end, c + 1);
    return p;
}

static void
depth_and_size_are_bounded(void **state)
{
    static const char root[] = "<mcpttinfo xmlns='urn:3gpp:ns:mcpttInfo:1.0'";
    struct mcx_xml_fault fault;
    struct mcx_xml *x;
    char *in, *both, *p, head[80];

    (void)state;
    (void)snprintf(head, sizeof head, "%s>", root);
    /* Root and 63 below are 64; one more is refused. */
    in = many(head, "<a>", MCX_XML_DEPTH - 1, "");
    both = many(in, "</a>", MCX_XML_DEPTH - 1, "</mcpttinfo>");
    assert_int_equal(rd(both), MCX_OK);
    free(in);
    free(both);
    in = many(head, "<a>", MCX_XML_DEPTH, "");
    both = many(in, "</a>", MCX_XML_DEPTH, "</mcpttinfo>");
    assert_refused(both, MCX_E_TOOBIG, MCX_R_TOO_LARGE, "mcpttinfo");
    free(in);
    free(both);
    p = many(head, "<a/>", MCX_XML_NODES_MAX, "</mcpttinfo>");
    assert_refused(p, MCX_E_TOOBIG, MCX_R_TOO_LARGE, "mcpttinfo");
    free(p);
    p = many(root, " a=''", MCX_XML_EQUALS_MAX + 1, "/>");
    assert_refused(p, MCX_E_TOOBIG, MCX_R_TOO_LARGE, "mcpttinfo");
    free(p);
    /* Exactly the limit of octets is read, one more is not. */
    p = many(head, " ", MCX_XML_MAX - strlen(head) - 12, "</mcpttinfo>");
    assert_int_equal(strlen(p), MCX_XML_MAX);
    assert_int_equal(rd(p), MCX_OK);
    free(p);
    p = many(head, " ", MCX_XML_MAX - strlen(head) - 11, "</mcpttinfo>");
    assert_refused(p, MCX_E_TOOBIG, MCX_R_TOO_LARGE, "mcpttinfo");
    free(p);
    assert_int_equal(mcx_xml_read(&x, mcx_bytes_str("<a>\n<b>t</b></a>"), 99,
                                  &fault), MCX_OK);
    assert_int_equal(mcx_xml_child(x, "b")->line, 2);
    assert_int_equal(mcx_xml_child(x, "b")->at, 4);
    mcx_xml_free(x);
}

static void
what_is_written_reads_back(void **state)
{
    struct mcx_mcinfo a;
    char *text;
    size_t n;

    (void)state;
    memset(&a, 0, sizeof a);
    (void)snprintf(a.access_token, sizeof a.access_token, "to&<k>\"e'n");
    (void)snprintf(a.session_type, sizeof a.session_type, "private");
    (void)snprintf(a.request_uri, sizeof a.request_uri, "sip:psi@mcx.test");
    (void)snprintf(a.calling_user_id, sizeof a.calling_user_id, "sip:a@x");
    (void)snprintf(a.called_party_id, sizeof a.called_party_id, "sip:b@x");
    (void)snprintf(a.client_id, sizeof a.client_id, "urn:uuid:3");
    assert_int_equal(mcx_mcinfo_write(&text, &n, &a), MCX_OK);
    assert_int_equal(strlen(text), n);
    assert_int_equal(rd(text), MCX_OK);
    assert_memory_equal(&info, &a, sizeof a);
    mcx_kms_text_free(text, n);
    memset(&a, 0, sizeof a);
    assert_int_equal(mcx_mcinfo_write(&text, &n, &a), MCX_OK);
    assert_int_equal(rd(text), MCX_OK);
    mcx_kms_text_free(text, n);
    memset(a.client_id, 'x', sizeof a.client_id);
    assert_int_equal(mcx_mcinfo_write(&text, &n, &a), MCX_E_ARG);
    assert_null(text);
}

static void
poc_settings_are_written(void **state)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *x;
    struct mcx_bytes mode;
    char *text;
    size_t n;

    (void)state;
    assert_int_equal(mcx_poc_settings_write(&text, &n, "urn:uuid:1&2",
                                            "automatic"), MCX_OK);
    assert_non_null(strstr(text, "urn:oma:params:xml:ns:poc:poc-settings"));
    assert_non_null(strstr(text, "id=\"urn:uuid:1&amp;2\""));
    assert_int_equal(mcx_xml_read(&x, mcx_bytes(text, n), MCX_XML_MAX,
                                  &fault), MCX_OK);
    assert_true(mcx_xml_text(&mode, x->first->first->first));
    assert_true(mcx_bytes_eq(mode, mcx_bytes_str("automatic")));
    mcx_xml_free(x);
    mcx_kms_text_free(text, n);
    assert_int_equal(mcx_poc_settings_write(&text, &n, "u", "auto"),
                     MCX_E_ARG);
    assert_int_equal(mcx_poc_settings_write(&text, &n, "", "manual"),
                     MCX_E_ARG);
    assert_int_equal(mcx_poc_settings_write(&text, &n, "u", "manual"),
                     MCX_OK);
    mcx_kms_text_free(text, n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_clients_send),
        cmocka_unit_test(reads_a_value_without_child),
        cmocka_unit_test(encrypted_values_are_absent),
        cmocka_unit_test(other_namespaces_say_nothing),
        cmocka_unit_test(ambiguous_callers_are_refused),
        cmocka_unit_test(too_long_values_are_refused),
        cmocka_unit_test(other_documents_are_refused),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(other_codings_are_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(poc_settings_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
