/* test_x509.c -- certificates that must not be believed: weak, expired, for
 * something else, below an authority that may not issue them.  Each stands
 * beside one of the same shape that is good, and what an attacker has, its
 * key, signs the text.  All are made here and now, for a time that is a
 * number. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sofia-mcx/mcx_keys.h>

#define ENTITY "sip:pf@mcx.test"
#define SAN "URI:" ENTITY
#define CA_TRUE "critical,CA:TRUE"

static const int64_t NOW = 1796072400, DAY = 86400;
static const char TEXT[] = "what is signed";

/* ---- making ------------------------------------------------------------ */

struct cert {
    EVP_PKEY *key;
    X509 *x;
    char pem[4096], key_pem[2048];
};

struct extra {
    int nid;
    const char *value;
};
enum { EXTRA_MAX = 4, CERTS_MAX = 32 };

struct spec {
    const char *name;
    const struct cert *by; /* NULL: itself */
    const char *curve;     /* NULL: RSA    */
    int rsa_bits;
    int64_t from, to; /* 0: a day before and after NOW */
    const EVP_MD *md; /* NULL: SHA-256 */
    struct extra extra[EXTRA_MAX];
};

static struct cert made[CERTS_MAX];
static size_t n_made;

static void
pem_of(char *out, size_t room, BIO *bio)
{
    int n = BIO_read(bio, out, (int)room - 1);

    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(bio);
}

static const struct cert *
make(const struct spec *s)
{
    struct cert *c = &made[n_made++];
    const struct cert *by = s->by ? s->by : c;
    BIO *bio;

    assert_in_range(n_made, 1, CERTS_MAX);
    c->key = s->curve ? EVP_EC_gen(s->curve)
                      : EVP_RSA_gen((unsigned)s->rsa_bits);
    c->x = X509_new();
    assert_true(c->key && c->x);
    X509_set_version(c->x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->x), (long)n_made);
    ASN1_TIME_set(X509_getm_notBefore(c->x), s->from ? s->from : NOW - DAY);
    ASN1_TIME_set(X509_getm_notAfter(c->x), s->to ? s->to : NOW + DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c->x), "CN",
                               MBSTRING_ASC, (const unsigned char *)s->name,
                               -1, -1, 0);
    X509_set_issuer_name(c->x, X509_get_subject_name(by->x));
    X509_set_pubkey(c->x, c->key);
    for (size_t i = 0; i < EXTRA_MAX && s->extra[i].nid; i++) {
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, s->extra[i].nid,
                                                  s->extra[i].value);

        assert_non_null(ext);
        assert_int_equal(X509_add_ext(c->x, ext, -1), 1);
        X509_EXTENSION_free(ext);
    }
    assert_true(X509_sign(c->x, by->key, s->md ? s->md : EVP_sha256()));
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, c->x), 1);
    pem_of(c->pem, sizeof c->pem, bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, c->key, NULL, NULL, 0,
                                              NULL, NULL), 1);
    pem_of(c->key_pem, sizeof c->key_pem, bio);
    return c;
}

static const struct cert *
authority(const char *name)
{
    return make(&(struct spec) { .name = name, .curve = "P-256",
                                 .extra = { { NID_basic_constraints,
                                              CA_TRUE } } });
}

static const struct cert *
leaf(const struct cert *by)
{
    return make(&(struct spec) { .name = "leaf", .by = by, .curve = "P-256",
                                 .extra = { { NID_subject_alt_name,
                                              SAN } } });
}

static int
clean(void **state)
{
    (void)state;
    for (; n_made > 0; n_made--) {
        EVP_PKEY_free(made[n_made - 1].key);
        X509_free(made[n_made - 1].x);
        memset(&made[n_made - 1], 0, sizeof *made);
    }
    return 0;
}

/* ---- judging ----------------------------------------------------------- */

static mcx_err
verify_with(const struct cert *c, const char *pem, int64_t now)
{
    uint8_t sig[MCX_X509_SIG_SIZE], der[MCX_X509_DER_MAX];
    size_t n = sizeof der;

    assert_int_equal(mcx_x509_sign(sig, mcx_bytes_str(c->key_pem),
                                   mcx_bytes_str(TEXT)), MCX_OK);
    assert_int_equal(mcx_x509_der(der, &n, mcx_bytes_str(c->pem)), MCX_OK);
    return mcx_x509_verify(mcx_bytes_str(pem), mcx_bytes(der, n), ENTITY, now,
                           mcx_bytes_str(TEXT), sig);
}

/* Under one, two or three of them. */
static mcx_err
verify(const struct cert *c, const struct cert *a, const struct cert *b,
       const struct cert *d)
{
    static char pem[3 * 4096];

    snprintf(pem, sizeof pem, "%s%s%s", a->pem, b ? b->pem : "",
             d ? d->pem : "");
    return verify_with(c, pem, NOW);
}

/* SHA-1: whoever finds two certificates with one hash has the second one
 * signed with the first. */
static void
weak_hash(void **state)
{
    const struct cert *ca = authority("ca"), *sha1_ca, *mid;
    struct spec s = { .name = "leaf", .by = ca, .curve = "P-256",
                      .extra = { { NID_subject_alt_name, SAN } } };

    (void)state;
    assert_int_equal(verify(make(&s), ca, NULL, NULL), MCX_OK);
    s.md = EVP_sha384();
    assert_int_equal(verify(make(&s), ca, NULL, NULL), MCX_OK);
    s.md = EVP_sha1();
    assert_int_equal(verify(make(&s), ca, NULL, NULL), MCX_E_AUTH);
    /* Above the leaf, too; an anchor's own signature says nothing. */
    s = (struct spec) { .name = "mid", .by = ca, .curve = "P-256",
                        .md = EVP_sha1(),
                        .extra = { { NID_basic_constraints, CA_TRUE } } };
    mid = make(&s);
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_E_AUTH);
    s.by = NULL;
    sha1_ca = make(&s);
    assert_int_equal(verify(leaf(sha1_ca), sha1_ca, NULL, NULL), MCX_OK);
}

static void
weak_keys(void **state)
{
    static const struct {
        const char *curve;
        int rsa_bits;
        mcx_err err;
    } rows[] = { { NULL, 2048, MCX_OK },
                 { NULL, 1024, MCX_E_AUTH },
                 { NULL, 1536, MCX_E_AUTH },
                 { "P-384", 0, MCX_OK },
                 { "P-224", 0, MCX_OK }, /* 112 bits, as RSA-2048 */
                 { "P-192", 0, MCX_E_AUTH },
                 { "secp160r1", 0, MCX_E_AUTH } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct cert *ca = make(&(struct spec) {
            .name = "ca", .curve = rows[i].curve,
            .rsa_bits = rows[i].rsa_bits,
            .extra = { { NID_basic_constraints, CA_TRUE } } });
        mcx_err err = verify(leaf(ca), ca, NULL, NULL);

        if (err != rows[i].err) {
            fail_msg("row %zu: %s", i, mcx_err_name(err));
        }
    }
}

/* A leaf of another curve: its key signs nothing that we take. */
static void
other_curves(void **state)
{
    static const char *const curves[] = { "P-192", "secp160r1", "P-224",
                                          "P-384", "secp256k1" };
    const struct cert *ca = authority("ca"), *c, *good = leaf(ca);
    uint8_t sig[MCX_X509_SIG_SIZE], der[MCX_X509_DER_MAX];

    (void)state;
    assert_int_equal(verify(good, ca, NULL, NULL), MCX_OK);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        size_t n = sizeof der;

        c = make(&(struct spec) { .name = "leaf", .by = ca,
                                  .curve = curves[i],
                                  .extra = { { NID_subject_alt_name,
                                               SAN } } });
        assert_int_equal(mcx_x509_sign(sig, mcx_bytes_str(c->key_pem),
                                       mcx_bytes_str(TEXT)), MCX_E_CONFIG);
        assert_int_equal(mcx_x509_sign(sig, mcx_bytes_str(good->key_pem),
                                       mcx_bytes_str(TEXT)), MCX_OK);
        assert_int_equal(mcx_x509_der(der, &n, mcx_bytes_str(c->pem)),
                         MCX_OK);
        assert_int_equal(mcx_x509_verify(mcx_bytes_str(ca->pem),
                                         mcx_bytes(der, n), ENTITY, NOW,
                                         mcx_bytes_str(TEXT), sig),
                         MCX_E_AUTH);
    }
}

/* The time is ours, not the machine's. */
static void
times(void **state)
{
    struct spec s = { .name = "ca", .curve = "P-256", .to = NOW - 1,
                      .extra = { { NID_basic_constraints, CA_TRUE } } };
    const struct cert *ended = make(&s), *early, *ca, *c;

    (void)state;
    s.to = 0;
    s.from = NOW + 1;
    early = make(&s);
    c = leaf(ended);
    assert_int_equal(verify(c, ended, NULL, NULL), MCX_E_AUTH);
    assert_int_equal(verify_with(c, ended->pem, NOW - 2), MCX_OK);
    c = leaf(early);
    assert_int_equal(verify(c, early, NULL, NULL), MCX_E_AUTH);
    assert_int_equal(verify_with(c, early->pem, NOW + 2), MCX_OK);
    ca = authority("ca2");
    c = leaf(ca);
    assert_int_equal(verify_with(c, ca->pem, NOW - DAY - 1), MCX_E_AUTH);
    assert_int_equal(verify_with(c, ca->pem, NOW - DAY + 1), MCX_OK);
    assert_int_equal(verify_with(c, ca->pem, NOW + DAY - 1), MCX_OK);
    assert_int_equal(verify_with(c, ca->pem, NOW + DAY + 1), MCX_E_AUTH);
    assert_int_equal(verify_with(c, ca->pem, 0), MCX_E_AUTH);
    /* 0 is a time as any other, and so is 1 s before it. */
    assert_int_equal(verify_with(c, ca->pem, -1), MCX_E_AUTH);
}

static const struct cert *
middle(const char *name, const struct cert *by, const char *basic,
       const char *usage)
{
    return make(&(struct spec) {
        .name = name, .by = by, .curve = "P-256",
        .extra = { { basic ? NID_basic_constraints : NID_key_usage,
                     basic ? basic : usage },
                   { basic && usage ? NID_key_usage : 0, usage } } });
}

static void
middles(void **state)
{
    const struct cert *ca = authority("ca"), *mid, *low;

    (void)state;
    mid = middle("mid", ca, CA_TRUE, "keyCertSign");
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_OK);
    /* Without the root it leads nowhere. */
    assert_int_equal(verify(leaf(mid), mid, NULL, NULL), MCX_E_AUTH);
    /* A user who issues certificates. */
    mid = middle("user", ca, "CA:FALSE", "digitalSignature");
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_E_AUTH);
    mid = middle("user2", ca, NULL, "digitalSignature");
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_E_AUTH);
    /* One that may not sign certificates. */
    mid = middle("mid2", ca, CA_TRUE, "digitalSignature,cRLSign");
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_E_AUTH);
    /* One that may have none below it. */
    mid = middle("mid3", ca, "critical,CA:TRUE,pathlen:0", "keyCertSign");
    low = middle("low", mid, CA_TRUE, "keyCertSign");
    assert_int_equal(verify(leaf(mid), ca, mid, NULL), MCX_OK);
    assert_int_equal(verify(leaf(low), ca, mid, low), MCX_E_AUTH);
    mid = middle("mid4", ca, "critical,CA:TRUE,pathlen:1", "keyCertSign");
    low = middle("low2", mid, CA_TRUE, "keyCertSign");
    assert_int_equal(verify(leaf(low), ca, mid, low), MCX_OK);
}

static const struct cert *
bounded(const char *name, const char *names)
{
    return make(&(struct spec) {
        .name = name, .curve = "P-256",
        .extra = { { NID_basic_constraints, CA_TRUE },
                   { NID_name_constraints, names } } });
}

static void
name_constraints(void **state)
{
    static const struct {
        const char *names;
        mcx_err err;
    } rows[] = { { "critical,permitted;DNS:mcx.test", MCX_OK },
                 { "critical,permitted;URI:.example.org", MCX_E_AUTH },
                 { "critical,excluded;URI:mcx.test", MCX_E_AUTH },
                 { "excluded;URI:.mcx.test", MCX_E_AUTH },
                 /* OpenSSL finds no host in a SIP URI: not good either. */
                 { "critical,permitted;URI:mcx.test", MCX_E_AUTH } };
    char name[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct cert *ca;
        mcx_err err;

        snprintf(name, sizeof name, "ca%zu", i);
        ca = bounded(name, rows[i].names);
        err = verify(leaf(ca), ca, NULL, NULL);
        if (err != rows[i].err) {
            fail_msg("row %zu: %s", i, mcx_err_name(err));
        }
    }
}

/* An extension that must be understood and is not. */
static void
unknown_critical(void **state)
{
    const struct cert *ca = authority("ca"), *c;
    struct spec s = { .name = "leaf", .by = ca, .curve = "P-256",
                      .extra = { { NID_subject_alt_name, SAN } } };
    X509 *x;
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext;
    uint8_t sig[MCX_X509_SIG_SIZE], *der = NULL;
    int n;

    (void)state;
    c = make(&s);
    assert_int_equal(mcx_x509_sign(sig, mcx_bytes_str(c->key_pem),
                                   mcx_bytes_str(TEXT)), MCX_OK);
    for (int critical = 0; critical < 2; critical++) {
        x = X509_dup(leaf(ca)->x);
        assert_true(x && oid && value);
        assert_int_equal(X509_set_pubkey(x, c->key), 1);
        assert_int_equal(ASN1_OCTET_STRING_set(value,
                                               (const uint8_t *)"\5", 2), 1);
        ext = X509_EXTENSION_create_by_OBJ(NULL, oid, critical, value);
        assert_int_equal(X509_add_ext(x, ext, -1), 1);
        assert_true(X509_sign(x, ca->key, EVP_sha256()));
        n = i2d_X509(x, &der);
        assert_true(n > 0);
        assert_int_equal(mcx_x509_verify(mcx_bytes_str(ca->pem),
                                         mcx_bytes(der, (size_t)n), ENTITY,
                                         NOW, mcx_bytes_str(TEXT), sig),
                         critical ? MCX_E_AUTH : MCX_OK);
        OPENSSL_free(der);
        der = NULL;
        X509_EXTENSION_free(ext);
        X509_free(x);
    }
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
}

#define TEST(f) cmocka_unit_test_teardown(f, clean)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(weak_hash),
        TEST(weak_keys),
        TEST(other_curves),
        TEST(times),
        TEST(middles),
        TEST(name_constraints),
        TEST(unknown_critical),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
