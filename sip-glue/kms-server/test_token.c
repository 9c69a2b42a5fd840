/* test_token.c -- bearer tokens: published signatures of RFC 7515, our own
 * there and back, and every way a token can be wrong. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "token.h"

enum { NOW = 1800000000 };

static const struct kms_token_rule rule = { "idms", "kms.test", KMS_SCOPE };
static struct mcx_text text;
static char subject[MCX_URI_MAX];
static char *ec_key, *ec_pub, *rsa_key, *rsa_pub;
static size_t ec_key_n, ec_pub_n;
static struct kms_token_keys *ec, *rsa;

static const char *
check(const struct kms_token_keys *keys, const char *token)
{
    return kms_token_check(subject, keys, &rule, mcx_bytes_str(token), NOW);
}

static char *
make(const char *key, const struct kms_token_claims *c)
{
    char *out = NULL;
    size_t n = 0;

    assert_int_equal(kms_token_issue(&out, &n, mcx_bytes_str(key), c, &text),
                     MCX_OK);
    assert_int_equal(strlen(out), n);
    return out;
}

static const struct kms_token_claims good = {
    "idms", "kms.test", KMS_SCOPE, "sip:ada@mc.test", NULL, NOW, NOW + 60
};

/* base64url without padding of 'n' octets, into a static ring. */
static const char *
b64(const void *p, size_t n)
{
    static char ring[4][4096];
    static unsigned next;
    char *s = ring[next++ % 4];

    assert_int_equal(mcx_b64_encode(s, sizeof ring[0], mcx_bytes(p, n)),
                     MCX_OK);
    for (n = 0; s[n]; n++) {
        s[n] = s[n] == '+' ? '-' : s[n] == '/' ? '_' : s[n];
        if (s[n] == '=') {
            s[n] = '\0';
            break;
        }
    }
    return s;
}

/* A token of these texts, signed with HMAC under 'secret', or not at all, or
 * with the P-256 key. */
static char *
forge(const char *header, const char *claims, const char *secret, bool sign)
{
    char *out = malloc(8192);
    uint8_t mac[32];
    size_t n;

    assert_non_null(out);
    (void)snprintf(out, 8192, "%s.%s", b64(header, strlen(header)),
                   b64(claims, strlen(claims)));
    n = strlen(out);
    if (secret) {
        assert_int_equal(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret,
                                          strlen(secret), out, n, mac), 0);
        (void)snprintf(out + n, 8192 - n, ".%s", b64(mac, sizeof mac));
    } else if (sign) {
        gnutls_privkey_t key;
        gnutls_datum_t pem = { (uint8_t *)ec_key, (unsigned)ec_key_n };
        gnutls_datum_t data = { (uint8_t *)out, (unsigned)n }, der, r, s;
        uint8_t raw[64] = { 0 };

        assert_int_equal(gnutls_privkey_init(&key), 0);
        assert_int_equal(gnutls_privkey_import_x509_raw(
                             key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
        assert_int_equal(gnutls_privkey_sign_data2(
                             key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &der),
                         0);
        assert_int_equal(gnutls_decode_rs_value(&der, &r, &s), 0);
        memcpy(raw + (r.size < 32 ? 32 - r.size : 0),
               r.data + (r.size > 32 ? r.size - 32 : 0),
               r.size < 32 ? r.size : 32);
        memcpy(raw + 32 + (s.size < 32 ? 32 - s.size : 0),
               s.data + (s.size > 32 ? s.size - 32 : 0),
               s.size < 32 ? s.size : 32);
        (void)snprintf(out + n, 8192 - n, ".%s", b64(raw, sizeof raw));
        gnutls_free(der.data);
        gnutls_free(r.data);
        gnutls_free(s.data);
        gnutls_privkey_deinit(key);
    } else {
        (void)snprintf(out + n, 8192 - n, ".");
    }
    return out;
}

#define CLAIMS(more)                                                          \
    "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"sub\":\"sip:ada@mc.test\","     \
    "\"exp\":1800000060,\"scope\":\"" KMS_SCOPE "\"" more "}"

static void
refused(const char *header, const char *claims, const char *word)
{
    char *t = forge(header, claims, NULL, true);

    assert_non_null(check(ec, t));
    assert_string_equal(check(ec, t), word);
    assert_string_equal(subject, "");
    free(t);
}

static int
setup(void **state)
{
    gnutls_x509_privkey_t key;
    gnutls_pubkey_t pub;
    gnutls_privkey_t both;
    gnutls_datum_t d;

    (void)state;
    assert_int_equal(kms_token_new_key(&ec_key, &ec_key_n, &ec_pub,
                                       &ec_pub_n), MCX_OK);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048,
                                                  0), 0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM,
                                                 &d), 0);
    rsa_key = (char *)d.data;
    assert_int_equal(gnutls_privkey_init(&both), 0);
    assert_int_equal(gnutls_privkey_import_x509(both, key, 0), 0);
    assert_int_equal(gnutls_pubkey_init(&pub), 0);
    assert_int_equal(gnutls_pubkey_import_privkey(pub, both, 0, 0), 0);
    assert_int_equal(gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &d), 0);
    rsa_pub = (char *)d.data;
    gnutls_pubkey_deinit(pub);
    gnutls_privkey_deinit(both);
    gnutls_x509_privkey_deinit(key);
    assert_int_equal(kms_token_keys_pem(&ec, mcx_bytes_str(ec_pub), "ec",
                                        &text), MCX_OK);
    assert_int_equal(kms_token_keys_pem(&rsa, mcx_bytes_str(rsa_pub), "rsa",
                                        &text), MCX_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    kms_token_keys_free(ec);
    kms_token_keys_free(rsa);
    mcx_kms_text_free(ec_key, ec_key_n);
    mcx_kms_text_free(ec_pub, ec_pub_n);
    gnutls_free(rsa_key);
    gnutls_free(rsa_pub);
    return 0;
}

static void
taken(void **state)
{
    char *t = make(ec_key, &good);

    (void)state;
    assert_null(check(ec, t));
    assert_string_equal(subject, "sip:ada@mc.test");
    /* Under another key of either kind it is not. */
    assert_string_equal(check(rsa, t), "algorithm");
    free(t);
    t = make(rsa_key, &good);
    assert_null(check(rsa, t));
    assert_string_equal(check(ec, t), "algorithm");
    free(t);
    t = forge("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
              CLAIMS(",\"aud2\":1,\"nbf\":1800000004"), NULL, true);
    assert_null(check(ec, t));
    free(t);
    t = forge("{\"alg\":\"ES256\"}",
              "{\"iss\":\"idms\",\"aud\":[\"a\",\"kms.test\"],\"sub\":\"s:a\""
              ",\"exp\":1799999996,\"scope\":\"x " KMS_SCOPE " y\"}", NULL,
              true);
    assert_null(check(ec, t));
    free(t);
}

/* SPEC RFC 7515 A.3: the signature passes; the claims then lack an
 * audience. */
static void
published(void **state)
{
    static const char head[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"},";
    static const char es_key[] =
        "{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
    static const char es_token[] =
        "eyJhbGciOiJFUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        "pmWQxfKTUJqPP3-Kg6NU1Q";
    const struct kms_token_rule joe = { "joe", "kms.test", KMS_SCOPE };
    struct kms_token_keys *keys = NULL;
    char json[1024], bad[sizeof es_token];

    (void)state;
    (void)snprintf(json, sizeof json, "%s%s", head, es_key);
    assert_int_equal(kms_token_keys_jwks(&keys, mcx_bytes_str(json), "jwks",
                                         &text), MCX_OK);
    assert_string_equal(kms_token_check(subject, keys, &joe,
                                        mcx_bytes_str(es_token), NOW),
                        "audience");
    memcpy(bad, es_token, sizeof bad);
    bad[60] ^= 1;
    assert_string_equal(kms_token_check(subject, keys, &joe,
                                        mcx_bytes_str(bad), NOW),
                        "signature");
    memcpy(bad, es_token, sizeof bad);
    bad[sizeof bad - 30] = bad[sizeof bad - 30] == 'A' ? 'B' : 'A';
    assert_string_equal(kms_token_check(subject, keys, &joe,
                                        mcx_bytes_str(bad), NOW),
                        "signature");
    kms_token_keys_free(keys);
}

static void
algorithms(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",  "{\"alg\":\"\"}",
        "{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"ES384\"}",
        "{\"alg\":1}",         "{}",
    };
    char *t;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        t = forge(headers[i], CLAIMS(""), NULL, false);
        assert_string_equal(check(ec, t), "algorithm");
        free(t);
        refused(headers[i], CLAIMS(""), "algorithm");
    }
    /* HS256 keyed with what everybody knows. */
    t = forge("{\"alg\":\"HS256\"}", CLAIMS(""), rsa_pub, false);
    assert_string_equal(check(rsa, t), "algorithm");
    free(t);
    t = forge("{\"alg\":\"RS256\"}", CLAIMS(""), rsa_pub, false);
    assert_string_equal(check(rsa, t), "signature");
    free(t);
    t = forge("{\"alg\":\"ES256\"}", CLAIMS(""), NULL, false);
    assert_string_equal(check(ec, t), "signature");
    free(t);
    /* r = s = 0. */
    t = forge("{\"alg\":\"ES256\"}", CLAIMS(""), NULL, false);
    t = realloc(t, 8192);
    assert_non_null(t);
    (void)snprintf(t + strlen(t), 128, "%0*d", 86, 0);
    for (i = strlen(t) - 86; t[i]; i++) {
        t[i] = 'A';
    }
    assert_string_equal(check(ec, t), "signature");
    free(t);
}

static void
headers(void **state)
{
    (void)state;
    refused("{\"alg\":\"ES256\",\"crit\":[\"b64\"]}", CLAIMS(""), "crit");
    refused("{\"alg\":\"ES256\",\"typ\":\"JWE\"}", CLAIMS(""), "type");
    refused("{\"alg\":\"ES256\",\"typ\":1}", CLAIMS(""), "type");
    refused("{\"alg\":\"ES256\",\"kid\":7}", CLAIMS(""), "key");
    refused("{\"alg\":\"ES256\",\"alg\":\"ES256\"}", CLAIMS(""), "header");
    refused("[]", CLAIMS(""), "header");
    refused("{", CLAIMS(""), "header");
}

static void
claims(void **state)
{
    static const char h[] = "{\"alg\":\"ES256\"}";
    struct kms_token_claims c = good;
    char *t;

    (void)state;
#define WITHOUT(field, to, word)                                              \
    c = good;                                                                 \
    c.field = to;                                                             \
    t = make(ec_key, &c);                                                     \
    assert_string_equal(check(ec, t), word);                                  \
    free(t)
    WITHOUT(issuer, "other", "issuer");
    WITHOUT(audience, "kms.else", "audience");
    WITHOUT(scope, "openid", "scope");
    WITHOUT(scope, KMS_SCOPE "x", "scope");
    WITHOUT(subject, "", "subject");
    WITHOUT(subject, "sip:a b", "subject");
    WITHOUT(expires_s, NOW - 5, "expired");
    refused(h, "[]", "claims");
    refused(h, "x", "claims");
    refused(h, CLAIMS(",\"iss\":\"idms\""), "claims");
    refused(h, CLAIMS(",\"nbf\":1800000006"), "not-before");
    refused(h, CLAIMS(",\"nbf\":\"1\""), "not-before");
    refused(h, "{\"iss\":\"idms\",\"aud\":\"kms.test\"}", "expiry");
    refused(h, "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"exp\":\"9e9\"}",
            "expiry");
    refused(h, "{\"iss\":\"idms\",\"aud\":{\"kms.test\":1},\"exp\":9e9}",
            "audience");
    refused(h, "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"exp\":1800000060}",
            "scope");
    refused(h, "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"exp\":1800000060,"
            "\"scope\":\"" KMS_SCOPE "\",\"sub\":\"a\\u0000b\"}", "claims");
}

static void
forms(void **state)
{
    static const char *const bad[] = { "", ".", "..", "a.b", "a.b.c.d",
                                       "!.b.c", "e30=.e30.", "  " };
    char *big = malloc(KMS_TOKEN_MAX + 2), *t = make(ec_key, &good);
    size_t i, n = strlen(t);
    char keep;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(check(ec, bad[i]));
    }
    for (i = 0; i < n; i++) {
        keep = t[i];
        t[i] = '\0';
        assert_non_null(check(ec, t));
        t[i] = keep == 'Q' ? 'R' : 'Q';
        if (i != n - 1) { /* pad bits of the last are judged as well */
            assert_non_null(check(ec, t));
        }
        t[i] = keep;
    }
    assert_null(check(ec, t));
    free(t);
    assert_non_null(big);
    memset(big, 'a', KMS_TOKEN_MAX + 1);
    big[KMS_TOKEN_MAX + 1] = '\0';
    assert_string_equal(check(ec, big), "too long");
    free(big);
}

static mcx_err
jwks(const char *json)
{
    struct kms_token_keys *keys = NULL;
    mcx_err err = kms_token_keys_jwks(&keys, mcx_bytes_str(json), "f", &text);

    kms_token_keys_free(keys);
    return err;
}

static void
key_files(void **state)
{
    struct kms_token_keys *keys = NULL;

    (void)state;
    assert_int_equal(kms_token_keys_pem(&keys, mcx_bytes_str("x"), "f",
                                        &text), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "f: expected"));
    /* A private key is not taken for a public one. */
    assert_int_equal(kms_token_keys_pem(&keys, mcx_bytes_str(ec_key), "f",
                                        &text), MCX_E_CONFIG);
    assert_int_equal(jwks("x"), MCX_E_CONFIG);
    assert_int_equal(jwks("{\"keys\":7}"), MCX_E_CONFIG);
    assert_int_equal(jwks("{\"keys\":[]}"), MCX_E_CONFIG);
    assert_int_equal(jwks("{\"keys\":[1]}"), MCX_E_CONFIG);
    assert_int_equal(jwks("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                          "\"x\":\"AA\",\"y\":\"AA\"}]}"), MCX_E_CONFIG);
    assert_int_equal(jwks("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\","
                          "\"e\":\"AQAB\"}]}"), MCX_E_CONFIG);
    /* Not on the curve. */
    assert_int_equal(
        jwks("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
             "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
             "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}]}"),
        MCX_E_CONFIG);
    /* For encryption, or for another algorithm: none is left. */
    assert_int_equal(
        jwks("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\","
             "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
             "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"),
        MCX_E_CONFIG);
}

#define WITH_EXP(exp)                                                         \
    "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"sub\":\"sip:ada@mc.test\","     \
    "\"scope\":\"" KMS_SCOPE "\",\"exp\":" exp "}"
#define WITH_AUD(aud)                                                         \
    "{\"iss\":\"idms\",\"sub\":\"sip:ada@mc.test\",\"scope\":\"" KMS_SCOPE    \
    "\",\"exp\":1800000060,\"aud\":" aud "}"
#define WITH_SUB(sub)                                                         \
    "{\"iss\":\"idms\",\"aud\":\"kms.test\",\"scope\":\"" KMS_SCOPE           \
    "\",\"exp\":1800000060,\"sub\":" sub "}"

/* Claims under a good signature that an issuer ought not to make, and that
 * somebody may get it to make. */
static void
odd_claims(void **state)
{
    static const char h[] = "{\"alg\":\"ES256\"}";
    static const struct {
        const char *claims, *word;
    } rows[] = {
        { WITH_EXP("-1"), "expired" },
        { WITH_EXP("-1e300"), "expired" },
        { WITH_EXP("0"), "expired" },
        { WITH_EXP("1799999995"), "expired" },
        { WITH_EXP("1e400"), "claims" },
        { WITH_EXP("NaN"), "claims" },
        { WITH_EXP("Infinity"), "claims" },
        { WITH_EXP("99999999999999999999999999"), "claims" },
        { WITH_EXP("\"1800000060\""), "expiry" },
        { WITH_EXP("true"), "expiry" },
        { WITH_EXP("null"), "expiry" },
        { WITH_EXP("[1800000060]"), "expiry" },
        { WITH_EXP("{}"), "expiry" },
        { WITH_EXP("1800000060,\"exp\":1"), "claims" },
        { WITH_EXP("1800000060,\"nbf\":true"), "not-before" },
        { WITH_EXP("1800000060,\"nbf\":1e300"), "not-before" },
        { WITH_AUD("\"kms.test \""), "audience" },
        { WITH_AUD("\"KMS.test\""), "audience" },
        { WITH_AUD("\"kms.test,x\""), "audience" },
        { WITH_AUD("\"kms.test\\u0000x\""), "claims" },
        { WITH_AUD("[]"), "audience" },
        { WITH_AUD("[[\"kms.test\"]]"), "audience" },
        { WITH_AUD("null"), "audience" },
        { WITH_AUD("true"), "audience" },
        { WITH_AUD("{\"0\":\"kms.test\"}"), "audience" },
        { WITH_SUB("null"), "subject" },
        { WITH_SUB("[\"sip:ada@mc.test\"]"), "subject" },
        { WITH_SUB("7"), "subject" },
        { WITH_SUB("\"sip:a\\nb@m\""), "subject" },
        { WITH_SUB("\"sip:a\\u0085b@m\""), "subject" },
        { WITH_SUB("\"sip:a\\u009b31m@m\""), "subject" },
        { WITH_SUB("\"sip:a\\uffff@m\""), "subject" },
        { WITH_SUB("\"sip:a\\ud800@m\""), "claims" },
        { WITH_SUB("\"sip:a\xff@m\""), "claims" },
        { WITH_SUB("\"sip:a\xc0\xa0@m\""), "claims" },
        { WITH_SUB("\"sip:ada@mc.test\",\"sub\":\"sip:bob@mc.test\""),
          "claims" },
        { "{\"iss\":\"idms\"} {}", "claims" },
        { "", "claims" },
    };
    char deep[4096];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(h, rows[i].claims, rows[i].word);
    }
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    deep[3000] = '\0';
    refused(h, deep, "claims");
    refused(deep, CLAIMS(""), "header");
}

/* What a token says of its key is a name, and nothing is fetched for it. */
static void
odd_headers(void **state)
{
    static const struct {
        const char *header, *word;
    } rows[] = {
        { "{\"alg\":\"ES256\",\"crit\":[]}", "crit" },
        { "{\"alg\":\"ES256\",\"crit\":null}", "crit" },
        { "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}", "crit" },
        { "{\"alg\":\"ES256\",\"kid\":null}", "key" },
        { "{\"alg\":\"ES256\",\"kid\":[\"a\"]}", "key" },
        { "{\"alg\":\"ES256 \"}", "algorithm" },
        { "{\"alg\":\"es256\"}", "algorithm" },
        { "{\"alg\":[\"ES256\"]}", "algorithm" },
        { "{\"alg\":null}", "algorithm" },
        { "{\"ALG\":\"ES256\"}", "algorithm" },
        { "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
          "algorithm" },
        { "{\"alg\":\"ES256\",\"typ\":\"\"}", "type" },
        { "{\"alg\":\"ES256\",\"typ\":null}", "type" },
    };
    struct kms_token_keys *keys = NULL;
    static const char *const kids[] = {
        "other", "", "../../dev/null", "a' OR '1'='1", "one\\u0000", "ONE",
        "one "
    };
    char header[256], *t;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(rows[i].header, CLAIMS(""), rows[i].word);
    }
    /* Its own key in the header is not believed. */
    t = forge("{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\","
              "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
              "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
              "\"jku\":\"http://127.0.0.1:9/\",\"x5u\":\"file:///x\","
              "\"x5c\":[\"AA\"]}", CLAIMS(""), NULL, true);
    assert_null(check(ec, t));
    assert_int_equal(kms_token_keys_jwks(
                         &keys, mcx_bytes_str(
                             "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                             "\"kid\":\"one\","
                             "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9u"
                             "PHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6p"
                             "CyStikYjKIWI5a0\"}]}"), "f", &text), MCX_OK);
    assert_string_equal(check(keys, t), "signature");
    free(t);
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++) {
        const char *bad;

        (void)snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":"
                       "\"%s\"}", kids[i]);
        t = forge(header, CLAIMS(""), NULL, true);
        bad = check(keys, t);
        assert_non_null(bad);
        assert_true(strcmp(bad, "key") == 0 || strcmp(bad, "header") == 0);
        assert_string_equal(subject, "");
        free(t);
    }
    kms_token_keys_free(keys);
}

/* One character of a good token changed, left out or put in, wherever. */
static void
every_character(void **state)
{
    static const char put[] = "A-_.=+/ \n";
    char *t = make(ec_key, &good), b[8200];
    size_t n = strlen(t);

    (void)state;
    assert_null(check(ec, t));
    assert_true(n + 2 < sizeof b);
    for (size_t i = 0; i <= n; i++) {
        for (size_t k = 0; k < sizeof put - 1; k++) {
            memcpy(b, t, n + 1);
            if (i < n && b[i] != put[k]) {
                b[i] = put[k];
                if (!check(ec, b)) {
                    fail_msg("taken with '%c' at %zu", put[k], i);
                }
            }
            memcpy(b + i, put + k, 1);
            memcpy(b + i + 1, t + i, n - i + 1);
            if (!check(ec, b)) {
                fail_msg("taken with '%c' put in at %zu", put[k], i);
            }
        }
        if (i < n) {
            memcpy(b, t, i);
            memcpy(b + i, t + i + 1, n - i);
            assert_non_null(check(ec, b));
        }
    }
    free(t);
}

/* r and s that no signature has: 0, the order, beyond it. */
static void
odd_signatures(void **state)
{
    static const char *const halves[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    };
    char *t = make(ec_key, &good), b[8200], *dot = strrchr(t, '.');
    uint8_t raw[64];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(mcx_hex_decode(raw, 32,
                                            mcx_bytes_str(halves[i]), NULL),
                             MCX_OK);
            assert_int_equal(mcx_hex_decode(raw + 32, 32,
                                            mcx_bytes_str(halves[k]), NULL),
                             MCX_OK);
            (void)snprintf(b, sizeof b, "%.*s%s", (int)(dot + 1 - t), t,
                           b64(raw, 64));
            assert_string_equal(check(ec, b), "signature");
        }
    }
    for (size_t n = 0; n < 64; n++) {
        (void)snprintf(b, sizeof b, "%.*s%s", (int)(dot + 1 - t), t,
                       n ? b64(raw, n) : "");
        assert_string_equal(check(ec, b), "signature");
    }
    free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),      cmocka_unit_test(published),
        cmocka_unit_test(algorithms), cmocka_unit_test(headers),
        cmocka_unit_test(claims),     cmocka_unit_test(forms),
        cmocka_unit_test(key_files),
        cmocka_unit_test(odd_claims),
        cmocka_unit_test(odd_headers),
        cmocka_unit_test(every_character),
        cmocka_unit_test(odd_signatures),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
