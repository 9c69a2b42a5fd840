/* test_kms_request.c -- KmsRequest both ways, and the responses of a server:
 * certificate cache and error.  Every element missing, doubled, empty,
 * over-long, of the wrong type and in a foreign namespace. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_kms.h>

#define NS "urn:3gpp:ns:mcsecKMSInterface:1.0"
#define URL "https://kms.test:8443/keymanagement/identity/v1/init"
#define USER "<UserUri>sip:ada@mc.test</UserUri>"
#define KMS "<KmsUri>kms.test</KmsUri>"
#define TIME "<Time>2026-03-01T08:00:00Z</Time>"
#define ASKED "<ClientReqUrl>" URL "</ClientReqUrl>"
#define ERR                                                                   \
    "<ClientError><ErrorCode>7</ErrorCode><ErrorMsg>no</ErrorMsg>"            \
    "</ClientError>"
#define HEAD "<KmsRequest xmlns='" NS "' xmlns:o='urn:o' Version='9'>"
#define FOOT "</KmsRequest>"

static struct mcx_text text;
static struct mcx_kms_request req;

static mcx_err
read_it(const char *xml)
{
    return mcx_kms_request_read(&req, mcx_bytes_str(xml), &text);
}

static void
refused(const char *xml, mcx_err want, const char *words)
{
    assert_int_equal(read_it(xml), want);
    if (!strstr(text.s, words)) {
        fail_msg("\"%s\" lacks \"%s\"", text.s, words);
    }
    assert_string_equal(req.user_uri, "");
    assert_int_equal(mcx_kms_request_read(&req, mcx_bytes_str(xml), NULL),
                     want);
}

static void
taken(void **state)
{
    (void)state;
    assert_int_equal(read_it(HEAD USER KMS TIME ASKED FOOT), MCX_OK);
    assert_string_equal(req.user_uri, "sip:ada@mc.test");
    assert_string_equal(req.kms_uri, "kms.test");
    assert_string_equal(req.client_req_url, URL);
    assert_int_equal(req.time_unix_ms, INT64_C(1772352000000));
    assert_string_equal(req.client_id, "");
    assert_false(req.has_error);
    /* Any order, what others may add, white space around. */
    assert_int_equal(read_it(HEAD ERR "<TrK-ID>t</TrK-ID>" ASKED
                             "<o:UserUri>x</o:UserUri><DeviceId> d "
                             "</DeviceId>" TIME KMS "<ClientId>c</ClientId>\n"
                             USER FOOT),
                     MCX_OK);
    assert_true(req.has_error);
    assert_int_equal(req.error_code, 7);
    assert_string_equal(req.error_msg, "no");
    assert_string_equal(req.device_id, "d");
    assert_string_equal(req.client_id, "c");
}

static void
missing(void **state)
{
    (void)state;
    refused(HEAD KMS TIME ASKED FOOT, MCX_E_MALFORMED, "no UserUri");
    refused(HEAD USER TIME ASKED FOOT, MCX_E_MALFORMED, "no KmsUri");
    refused(HEAD USER KMS ASKED FOOT, MCX_E_MALFORMED, "no Time");
    refused(HEAD USER KMS TIME FOOT, MCX_E_MALFORMED, "no ClientReqUrl");
    refused(HEAD USER KMS TIME ASKED "<ClientError/>" FOOT, MCX_E_MALFORMED,
            "no ErrorCode");
    refused("<KmsRequest>" USER KMS TIME ASKED FOOT, MCX_E_MALFORMED,
            "document element");
    refused("<KmsRequest xmlns='urn:o'>" USER KMS TIME ASKED FOOT,
            MCX_E_MALFORMED, "document element");
    refused(HEAD "<UserUri xmlns='urn:o'>sip:a@b</UserUri>" KMS TIME ASKED
            FOOT, MCX_E_MALFORMED, "no UserUri");
}

static void
doubled(void **state)
{
    (void)state;
    refused(HEAD USER USER KMS TIME ASKED FOOT, MCX_E_MALFORMED, "twice");
    refused(HEAD USER KMS KMS TIME ASKED FOOT, MCX_E_MALFORMED, "twice");
    refused(HEAD USER KMS TIME TIME ASKED FOOT, MCX_E_MALFORMED, "twice");
    refused(HEAD USER KMS TIME ASKED ASKED FOOT, MCX_E_MALFORMED, "twice");
    refused(HEAD USER KMS TIME ASKED "<ClientId>a</ClientId>"
            "<ClientId>b</ClientId>" FOOT, MCX_E_MALFORMED, "twice");
    refused(HEAD USER KMS TIME ASKED ERR ERR FOOT, MCX_E_MALFORMED, "twice");
}

static void
wrong(void **state)
{
    char *big = malloc(MCX_KMS_REQUEST_MAX + 2);

    (void)state;
    refused(HEAD "<UserUri/>" KMS TIME ASKED FOOT, MCX_E_MALFORMED, "empty");
    refused(HEAD "<UserUri><b/></UserUri>" KMS TIME ASKED FOOT,
            MCX_E_MALFORMED, "more than text");
    refused(HEAD "<UserUri>sip:a<!-- -->da@mc.test</UserUri>" KMS TIME ASKED
            FOOT, MCX_E_MALFORMED, "more than text");
    refused(HEAD "<UserUri>sip:a\nb</UserUri>" KMS TIME ASKED FOOT,
            MCX_E_MALFORMED, "control");
    refused(HEAD "<UserUri>sip:a b</UserUri>" KMS TIME ASKED FOOT,
            MCX_E_MALFORMED, "space");
    refused(HEAD USER KMS "<Time>now</Time>" ASKED FOOT, MCX_E_MALFORMED,
            "dateTime");
    refused(HEAD USER KMS "words" TIME ASKED FOOT, MCX_E_MALFORMED, "text");
    refused(HEAD USER KMS TIME ASKED "<ClientError><ErrorCode>x</ErrorCode>"
            "<ErrorMsg>m</ErrorMsg></ClientError>" FOOT, MCX_E_MALFORMED,
            "number");
    refused(HEAD USER KMS TIME ASKED "<KrrList/>" FOOT, MCX_E_UNSUPPORTED,
            "redirect");
    refused("<SignedKmsRequest xmlns='" NS "'/>", MCX_E_UNSUPPORTED,
            "signed");
    refused("<!DOCTYPE a>" HEAD USER KMS TIME ASKED FOOT, MCX_E_MALFORMED,
            "DOCTYPE");
    refused("", MCX_E_MALFORMED, "empty");
    refused("garbage", MCX_E_MALFORMED, "XML");
    assert_non_null(big);
    (void)snprintf(big, MCX_KMS_REQUEST_MAX, HEAD "<UserUri>sip:%0*d"
                   "</UserUri>" KMS TIME ASKED FOOT, MCX_URI_MAX, 1);
    refused(big, MCX_E_TOOBIG, "longer");
    memset(big, ' ', MCX_KMS_REQUEST_MAX + 1);
    big[MCX_KMS_REQUEST_MAX + 1] = '\0';
    refused(big, MCX_E_TOOBIG, "large");
    free(big);
}

/* What is written reads back, whatever characters are in it. */
static void
there_and_back(void **state)
{
    struct mcx_kms_request w = { .user_uri = "sip:a&b@<mc>",
                                 .kms_uri = "kms.test",
                                 .client_req_url = URL "?a=\"b'",
                                 .time_unix_ms = INT64_C(1772352000123),
                                 .client_id = "c", .device_id = "d e",
                                 .has_error = true, .error_code = 4,
                                 .error_msg = "<why>" };
    char *xml = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(mcx_kms_request_write(&xml, &n, &w), MCX_OK);
    assert_int_equal(mcx_kms_request_read(&req, mcx_bytes(xml, n), &text),
                     MCX_OK);
    assert_string_equal(req.user_uri, w.user_uri);
    assert_string_equal(req.kms_uri, w.kms_uri);
    assert_string_equal(req.client_req_url, w.client_req_url);
    assert_string_equal(req.client_id, w.client_id);
    assert_string_equal(req.device_id, w.device_id);
    assert_string_equal(req.error_msg, w.error_msg);
    assert_int_equal(req.time_unix_ms, w.time_unix_ms);
    assert_int_equal(req.error_code, 4);
    mcx_kms_text_free(xml, n);
    w.user_uri[0] = '\0';
    assert_int_equal(mcx_kms_request_write(&xml, &n, &w), MCX_E_ARG);
    assert_null(xml);
}

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static void
cache(void **state)
{
    struct mcx_env env = *mcx_env_system();
    struct mcx_kms_doc doc = { .user_uri = "sip:a@b", .kms_uri = "kms.test",
                               .client_req_url = URL,
                               .time_unix_ms = 0 };
    struct mcx_kms_cert *certs = calloc(2, sizeof *certs);
    struct mcx_kms_master *master = NULL;
    struct mcx_kms_loaded loaded;
    struct mcx_ring *ring = NULL;
    char *xml = NULL;
    size_t n = 0, i;

    (void)state;
    env.log = no_log;
    assert_non_null(certs);
    for (i = 0; i < 2; i++) {
        assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_OK);
        mcx_kms_master_public(certs[i].z, certs[i].kpak, master);
        mcx_kms_master_free(master);
        (void)snprintf(certs[i].info.uri, sizeof certs[i].info.uri,
                       "kms%zu.test", i);
        certs[i].info.period.length_s = 60;
        certs[i].info.root = i == 0;
    }
    assert_int_equal(mcx_kms_write_certcache(&xml, &n, &doc, 12, certs, 2),
                     MCX_OK);
    assert_non_null(strstr(xml, "CacheNum=\"12\""));
    assert_int_equal(mcx_ring_new(&ring, &env), MCX_OK);
    assert_int_equal(mcx_kms_load(ring, mcx_bytes(xml, n), "c", &env, &loaded,
                                  &text), MCX_OK);
    assert_int_equal(loaded.n_kms, 2);
    mcx_kms_text_free(xml, n);
    assert_int_equal(mcx_kms_write_certcache(&xml, &n, &doc, 12, NULL, 0),
                     MCX_OK);
    assert_null(strstr(xml, "KmsCertificate"));
    assert_int_equal(mcx_kms_load(ring, mcx_bytes(xml, n), "c", &env, &loaded,
                                  &text), MCX_OK);
    mcx_kms_text_free(xml, n);
    certs[1].info.period.length_s = 0;
    assert_int_equal(mcx_kms_write_certcache(&xml, &n, &doc, 1, certs, 2),
                     MCX_E_ARG);
    assert_int_equal(mcx_kms_write_certcache(&xml, &n, &doc, 1, NULL, 2),
                     MCX_E_ARG);
    assert_int_equal(mcx_kms_write_error(&xml, &n, &doc, 5, "a < b"), MCX_OK);
    assert_int_equal(mcx_kms_load(ring, mcx_bytes(xml, n), "e", &env, &loaded,
                                  &text), MCX_E_PEER);
    assert_non_null(strstr(text.s, "KmsError 5"));
    mcx_kms_text_free(xml, n);
    assert_int_equal(mcx_kms_write_error(&xml, &n, &doc, 5, ""), MCX_E_ARG);
    mcx_ring_free(ring);
    free(certs);
}

/* An Id goes there and back; what is none stands for nothing. */
static void
ids(void **state)
{
    static const struct { const char *id; bool ok; } rows[] = {
        { "request", true }, { "_", true }, { "q0.-_Z", true },
        { "", false }, { "0q", false }, { "-q", false }, { ".q", false },
        { "a b", false }, { "a\"b", false }, { "a:b", false },
        { "a12345678901234567890123456789012345678901234567", false },
        { "a1234567890123456789012345678901234567890123456", true },
    };
    struct mcx_kms_doc doc = { .user_uri = "sip:a@b", .kms_uri = "kms.test",
                               .client_req_url = URL };
    struct mcx_kms_expect expect = { .what = MCX_KMS_ANY, .window_ms = -1 };
    struct mcx_kms_reply reply;
    struct mcx_kms_request *one = calloc(2, sizeof *one), *back = one + 1;
    char *xml;
    size_t n, i;

    (void)state;
    assert_non_null(one);
    (void)snprintf(one->user_uri, sizeof one->user_uri, "sip:a@b");
    (void)snprintf(one->kms_uri, sizeof one->kms_uri, "kms.test");
    (void)snprintf(one->client_req_url, sizeof one->client_req_url, URL);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *id = rows[i].id;

        assert_int_equal(mcx_kms_id_ok(id), rows[i].ok);
        (void)snprintf(one->id, sizeof one->id, "%s", id);
        if (rows[i].ok || !*id) {
            assert_int_equal(mcx_kms_request_write(&xml, &n, one), MCX_OK);
            assert_int_equal(mcx_kms_request_read(back, mcx_bytes(xml, n),
                                                  &text), MCX_OK);
            assert_string_equal(back->id, *id ? id : "request");
            mcx_kms_text_free(xml, n);
        } else if (strlen(id) < sizeof one->id) {
            assert_int_equal(mcx_kms_request_write(&xml, &n, one), MCX_E_ARG);
        }
        doc.id = id;
        assert_int_equal(mcx_kms_write_error(&xml, &n, &doc, 1, "x"), MCX_OK);
        assert_int_equal(mcx_kms_reply_read(&reply, mcx_bytes(xml, n),
                                            &expect, NULL), MCX_E_PEER);
        assert_string_equal(reply.id, rows[i].ok ? id : "response");
        mcx_kms_text_free(xml, n);
    }
    free(one);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),          cmocka_unit_test(missing),
        cmocka_unit_test(doubled),        cmocka_unit_test(wrong),
        cmocka_unit_test(there_and_back), cmocka_unit_test(cache),
        cmocka_unit_test(ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
