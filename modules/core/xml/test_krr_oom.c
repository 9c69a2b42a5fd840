/* test_krr_oom.c -- the n-th allocation fails: ours, then libxml2's as well,
 * then OpenSSL's as well.  Signing and judging redirect responses refuse or
 * succeed; a document that is changed, or whose certificate is revoked or for
 * something else, is never taken, for a check that could not be made is not
 * one that was passed; nothing of ours leaks (the sanitizer build watches),
 * and all goes on afterwards.  Where the memory is ours they say so. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_keys.h>
#include <sofia-mcx/mcx_kms.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations until one fails; below 0: never */
static bool fired, xml_too, ssl_too;

static bool
fails(void)
{
    if (left < 0 || left-- > 0) {
        return false;
    }
    fired = true;
    return true;
}

void *
__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static void *
xml_malloc(size_t n)
{
    return xml_too && fails() ? NULL : __real_malloc(n);
}

static void *
xml_realloc(void *p, size_t n)
{
    return xml_too && fails() ? NULL : __real_realloc(p, n);
}

static char *
xml_strdup(const char *s)
{
    char *out = xml_malloc(strlen(s) + 1);

    if (out) {
        memcpy(out, s, strlen(s) + 1);
    }
    return out;
}

static void *
ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n == 0 || (ssl_too && fails()) ? NULL : __real_malloc(n);
}

static void *
ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return ssl_too && fails() ? NULL : __real_realloc(p, n);
}

static void
ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* ---- certificates and documents ---------------------------------------- */

#define ENTITY "sip:pf@mcx.test"
static const int64_t NOW = 1796072400, DAY = 86400;
static char ca_pem[8192], key_pem[2048], good_pem[4096];
static struct {
    char *xml;
    size_t n;
} bad[3]; /* changed, revoked, for TLS */
static struct mcx_krr krr = {
    .initiator = "sip:alice@mcx.test", .receiver = ENTITY,
    .rejected_kms = "kms.x", .entity = ENTITY, .n_kms = 1,
    .kms = { "kms.y" }, .bound = true, .time_unix_ms = 1796072400000
};

static void
append(char *out, size_t room, BIO *bio)
{
    size_t at = strlen(out);
    int n = BIO_read(bio, out + at, (int)(room - at - 1));

    assert_true(n > 0);
    out[at + (size_t)n] = '\0';
    BIO_free(bio);
}

static X509 *
certificate(char *out, size_t room, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
            long serial, const char *usage)
{
    const struct {
        int nid;
        const char *value;
    } row[] = { { ca ? NID_subject_alt_name : NID_basic_constraints,
                  ca ? "URI:" ENTITY : "critical,CA:TRUE" },
                { NID_ext_key_usage, usage } };
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *x = X509_new();

    assert_true(x && bio);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    ASN1_TIME_set(X509_getm_notBefore(x), NOW - DAY);
    ASN1_TIME_set(X509_getm_notAfter(x), NOW + DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)(ca ? "leaf" : "ca"),
                               -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(ca ? ca : x));
    X509_set_pubkey(x, key);
    for (size_t i = 0; i < 2 && row[i].value; i++) {
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, row[i].nid,
                                                  row[i].value);

        assert_int_equal(X509_add_ext(x, ext, -1), 1);
        X509_EXTENSION_free(ext);
    }
    assert_true(X509_sign(x, ca_key, EVP_sha256()));
    assert_int_equal(PEM_write_bio_X509(bio, x), 1);
    out[0] = '\0';
    append(out, room, bio);
    return x;
}

static void
crl(X509 *ca, EVP_PKEY *ca_key, X509 *revoked)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *t = ASN1_TIME_set(NULL, NOW - 60);
    BIO *bio = BIO_new(BIO_s_mem());
    X509_CRL *list = X509_CRL_new();

    assert_true(list && r && t && bio);
    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(list, t);
    X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked));
    X509_REVOKED_set_revocationDate(r, t);
    assert_int_equal(X509_CRL_add0_revoked(list, r), 1);
    ASN1_TIME_set(t, NOW + 60);
    X509_CRL_set1_nextUpdate(list, t);
    assert_true(X509_CRL_sign(list, ca_key, EVP_sha256()));
    assert_int_equal(PEM_write_bio_X509_CRL(bio, list), 1);
    append(ca_pem, sizeof ca_pem, bio);
    ASN1_TIME_free(t);
    X509_CRL_free(list);
}

static mcx_err
sign(char **out, size_t *n, const char *cert)
{
    char *plain = NULL;
    size_t plain_n = 0;
    mcx_err err = mcx_krr_write(&plain, &plain_n, &krr);

    *out = NULL;
    *n = 0;
    if (err == MCX_OK) {
        err = mcx_krr_sign(out, n, mcx_bytes(plain, plain_n),
                           mcx_bytes_str(cert), mcx_bytes_str(key_pem));
    }
    mcx_kms_text_free(plain, plain_n);
    return err;
}

static mcx_err
verify(const char *xml, size_t n)
{
    struct mcx_text text = { "" };

    return mcx_krr_verify(mcx_bytes(xml, n), ENTITY, mcx_bytes_str(ca_pem),
                          NOW, &text);
}

static int
setup(void **state)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *ca, *good, *revoked, *tls;
    static char pem[4096];

    (void)state;
    assert_true(ca_key && key && bio);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL,
                                              NULL), 1);
    append(key_pem, sizeof key_pem, bio);
    ca = certificate(ca_pem, sizeof ca_pem, ca_key, NULL, ca_key, 1, NULL);
    good = certificate(good_pem, sizeof good_pem, key, ca, ca_key, 2, NULL);
    assert_int_equal(sign(&bad[0].xml, &bad[0].n, good_pem), MCX_OK);
    *strstr(bad[0].xml, "kms.y") = 'l';
    revoked = certificate(pem, sizeof pem, key, ca, ca_key, 3, NULL);
    assert_int_equal(sign(&bad[1].xml, &bad[1].n, pem), MCX_OK);
    assert_int_equal(verify(bad[1].xml, bad[1].n), MCX_OK);
    tls = certificate(pem, sizeof pem, key, ca, ca_key, 4, "serverAuth");
    assert_int_equal(sign(&bad[2].xml, &bad[2].n, pem), MCX_OK);
    crl(ca, ca_key, revoked);
    X509_free(ca);
    X509_free(good);
    X509_free(revoked);
    X509_free(tls);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mcx_kms_text_free(bad[i].xml, bad[i].n);
    }
    return 0;
}

/* OpenSSL has thousands; the sanitizers take their time. */
#ifdef __SANITIZE_ADDRESS__
enum { STEP = 13 };
#else
enum { STEP = 1 };
#endif

/* ---- each failure ------------------------------------------------------ */

static bool
round_trip(void)
{
    char *xml = NULL;
    size_t n = 0;
    mcx_err err = sign(&xml, &n, good_pem);

    if (err != MCX_OK) {
        assert_null(xml);
    } else {
        err = verify(xml, n);
    }
    mcx_kms_text_free(xml, n);
    if (err != MCX_OK && err != MCX_E_NOMEM && !xml_too && !ssl_too) {
        fail_msg("%s", mcx_err_name(err));
    }
    return err == MCX_OK;
}

/* 'what' 3: the round trip. */
static bool
went(size_t what)
{
    mcx_err err;

    if (what == 3) {
        return round_trip();
    }
    err = verify(bad[what].xml, bad[what].n);
    assert_int_not_equal(err, MCX_OK);
    return err == MCX_E_AUTH;
}

static void
each(size_t what)
{
    /* Valgrind's build is not told by a macro; it asks for fewer rounds. */
    long n, step = getenv("MCX_TEST_ROUNDS") ? 13 : STEP;

    assert_true(went(what));
    for (n = 0; n < 20000; n += ssl_too ? step : 1) {
        bool ok;

        left = n;
        fired = false;
        ok = went(what);
        left = -1;
        if (!fired) {
            assert_true(ok);
            break;
        }
        assert_true(n % 200 != 0 || round_trip());
    }
    assert_in_range(n, 3, 19999);
}

static void
ours(void **state)
{
    (void)state;
    xml_too = ssl_too = false;
    for (size_t i = 0; i < 4; i++) {
        each(i);
    }
}

static void
libxml2s(void **state)
{
    (void)state;
    xml_too = true;
    ssl_too = false;
    for (size_t i = 0; i < 4; i++) {
        each(i);
    }
    xml_too = false;
}

static void
openssls(void **state)
{
    (void)state;
    xml_too = false;
    ssl_too = true;
    for (size_t i = 0; i < 4; i++) {
        each(i);
    }
    ssl_too = false;
}

/* What libxml2 says on standard error about memory is not for the test. */
static void
silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours),
        cmocka_unit_test(libxml2s),
        cmocka_unit_test(openssls),
    };

    xmlSetGenericErrorFunc(NULL, silent);
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1
        || xmlMemSetup(free, xml_malloc, xml_realloc, xml_strdup) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
