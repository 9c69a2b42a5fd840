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

/* ---- what a certificate is for ----------------------------------------- */

static void
purposes(void **state)
{
    static const struct {
        struct extra extra[2];
        mcx_err err;
    } rows[] = {
        { { { NID_basic_constraints, "CA:FALSE" } }, MCX_OK },
        { { { NID_basic_constraints, "critical,CA:FALSE" },
            { NID_key_usage, "critical,digitalSignature" } }, MCX_OK },
        { { { NID_key_usage, "digitalSignature,keyAgreement" } }, MCX_OK },
        { { { NID_ext_key_usage, "1.3.6.1.5.5.7.3.20" } }, MCX_OK },
        { { { NID_ext_key_usage, "serverAuth,1.3.6.1.5.5.7.3.20" } },
          MCX_OK },
        { { { NID_ext_key_usage, "anyExtendedKeyUsage" } }, MCX_OK },
        /* An authority below the authority: it may name anybody. */
        { { { NID_basic_constraints, CA_TRUE } }, MCX_E_AUTH },
        { { { NID_basic_constraints, "CA:TRUE,pathlen:0" },
            { NID_key_usage, "digitalSignature,keyCertSign" } },
          MCX_E_AUTH },
        { { { NID_basic_constraints, "CA:TRUE" },
            { NID_key_usage, "digitalSignature" } }, MCX_E_AUTH },
        { { { NID_key_usage, "digitalSignature,keyCertSign" } },
          MCX_E_AUTH },
        { { { NID_netscape_cert_type, "objCA" } }, MCX_E_AUTH },
        /* Keys for something else. */
        { { { NID_key_usage, "keyAgreement" } }, MCX_E_AUTH },
        { { { NID_key_usage, "nonRepudiation" } }, MCX_E_AUTH },
        { { { NID_ext_key_usage, "serverAuth" } }, MCX_E_AUTH },
        { { { NID_ext_key_usage, "serverAuth,clientAuth" },
            { NID_key_usage, "digitalSignature" } }, MCX_E_AUTH },
        { { { NID_ext_key_usage, "critical,emailProtection" } },
          MCX_E_AUTH },
        { { { NID_ext_key_usage, "1.3.6.1.5.5.7.3.200" } }, MCX_E_AUTH },
    };
    const struct cert *ca = authority("ca");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spec s = { .name = "leaf", .by = ca, .curve = "P-256",
                          .extra = { { NID_subject_alt_name, SAN } } };
        mcx_err err;

        memcpy(s.extra + 1, rows[i].extra, sizeof rows[i].extra);
        err = verify(make(&s), ca, NULL, NULL);
        if (err != rows[i].err) {
            fail_msg("row %zu: %s", i, mcx_err_name(err));
        }
    }
}

/* Two EKUs, or one that is none, are not the same as none. */
static void
doubled(void **state)
{
    static const int nids[] = { NID_ext_key_usage, NID_key_usage,
                                NID_subject_alt_name,
                                NID_basic_constraints };
    const struct cert *ca = authority("ca");
    ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();

    (void)state;
    assert_non_null(junk);
    assert_int_equal(ASN1_OCTET_STRING_set(junk, (const uint8_t *)"\1\2\3",
                                           3), 1);
    for (size_t i = 0; i < sizeof nids / sizeof *nids; i++) {
        const char *good = nids[i] == NID_ext_key_usage
                               ? "anyExtendedKeyUsage"
                           : nids[i] == NID_key_usage ? "digitalSignature"
                           : nids[i] == NID_subject_alt_name ? SAN
                                                             : "CA:FALSE";
        struct spec s = { .name = "leaf", .by = ca, .curve = "P-256",
                          .extra = { { NID_subject_alt_name, SAN },
                                     { nids[i], good } } };
        X509_EXTENSION *ext = X509_EXTENSION_create_by_NID(NULL, nids[i], 0,
                                                           junk);
        struct cert *c;
        BIO *bio;

        if (nids[i] != NID_subject_alt_name) {
            assert_int_equal(verify(make(&s), ca, NULL, NULL), MCX_OK);
            s.extra[2] = s.extra[1];
        }
        assert_int_equal(verify(make(&s), ca, NULL, NULL), MCX_E_AUTH);
        s.extra[1].nid = s.extra[2].nid = 0;
        (void)make(&s);
        c = &made[n_made - 1];
        assert_int_equal(X509_add_ext(c->x, ext, -1), 1);
        assert_true(X509_sign(c->x, ca->key, EVP_sha256()));
        bio = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_X509(bio, c->x), 1);
        pem_of(c->pem, sizeof c->pem, bio);
        assert_int_equal(verify(c, ca, NULL, NULL), MCX_E_AUTH);
        X509_EXTENSION_free(ext);
    }
    ASN1_OCTET_STRING_free(junk);
}

/* ---- revoked ----------------------------------------------------------- */

/* 'to' 0: no nextUpdate. */
static void
crl_of(char out[2048], const struct cert *by, const struct cert *revoked,
       int64_t from, int64_t to, const EVP_MD *md)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *t = ASN1_TIME_set(NULL, from);
    BIO *bio = BIO_new(BIO_s_mem());

    assert_true(crl && t && bio);
    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->x));
    X509_CRL_set1_lastUpdate(crl, t);
    if (revoked) {
        X509_REVOKED *r = X509_REVOKED_new();

        assert_non_null(r);
        X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->x));
        X509_REVOKED_set_revocationDate(r, t);
        assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
    }
    if (to) {
        assert_non_null(ASN1_TIME_set(t, to));
        X509_CRL_set1_nextUpdate(crl, t);
    }
    assert_true(X509_CRL_sign(crl, by->key, md));
    assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
    pem_of(out, 2048, bio);
    ASN1_TIME_free(t);
    X509_CRL_free(crl);
}

static mcx_err
with_crls(const struct cert *c, const struct cert *ca, const char *more,
          const char *crls, int64_t now)
{
    static char pem[5 * 4096];

    snprintf(pem, sizeof pem, "%s%s%s", ca->pem, more, crls);
    return verify_with(c, pem, now);
}

static void
revoked(void **state)
{
    const struct cert *ca = authority("ca"), *other = authority("other");
    const struct cert *c = leaf(ca), *d = leaf(ca);
    char crl[2048];

    (void)state;
    crl_of(crl, ca, d, NOW - 60, NOW + 60, EVP_sha256());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_OK);
    assert_int_equal(with_crls(d, ca, "", crl, NOW), MCX_E_AUTH);
    assert_int_equal(with_crls(d, ca, "", "", NOW), MCX_OK);
    /* In force is one that is neither old nor of tomorrow. */
    assert_int_equal(with_crls(c, ca, "", crl, NOW + 61), MCX_E_AUTH);
    assert_int_equal(with_crls(c, ca, "", crl, NOW - 61), MCX_E_AUTH);
    /* Another authority's, and one under its name: */
    crl_of(crl, other, NULL, NOW - 60, NOW + 60, EVP_sha256());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_E_AUTH);
    crl_of(crl, leaf(ca), NULL, NOW - 60, NOW + 60, EVP_sha256());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_E_AUTH);
    crl_of(crl, authority("ca"), NULL, NOW - 60, NOW + 60, EVP_sha256());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_E_AUTH);
    /* Without an end, or with a hash of the last century. */
    crl_of(crl, ca, NULL, NOW - 60, 0, EVP_sha256());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_E_CONFIG);
    crl_of(crl, ca, NULL, NOW - 60, NOW + 60, EVP_sha1());
    assert_int_equal(with_crls(c, ca, "", crl, NOW), MCX_E_CONFIG);
}

/* Each authority on the way has to have one. */
static void
revoked_middle(void **state)
{
    const struct cert *ca = authority("ca"), *c;
    const struct cert *mid = middle("mid", ca, CA_TRUE,
                                    "keyCertSign,cRLSign");
    char root[2048], low[2048], both[4096];

    (void)state;
    c = leaf(mid);
    crl_of(root, ca, NULL, NOW - 60, NOW + 60, EVP_sha256());
    crl_of(low, mid, NULL, NOW - 60, NOW + 60, EVP_sha256());
    snprintf(both, sizeof both, "%s%s", root, low);
    assert_int_equal(with_crls(c, ca, mid->pem, both, NOW), MCX_OK);
    assert_int_equal(with_crls(c, ca, mid->pem, root, NOW), MCX_E_AUTH);
    assert_int_equal(with_crls(c, ca, mid->pem, low, NOW), MCX_E_AUTH);
    crl_of(root, ca, mid, NOW - 60, NOW + 60, EVP_sha256());
    snprintf(both, sizeof both, "%s%s", root, low);
    assert_int_equal(with_crls(c, ca, mid->pem, both, NOW), MCX_E_AUTH);
}

/* ---- files ------------------------------------------------------------- */

static struct mcx_x509_fault fault;

static mcx_err
check(const char *pem, enum mcx_x509_kind kind)
{
    memset(&fault, 0, sizeof fault);
    return mcx_x509_pem_check(mcx_bytes_str(pem), kind, &fault);
}

/* Replaces 'from' by 'to' in the copy, at its last place. */
static void
damage(char *out, size_t room, const char *pem, const char *from,
       const char *to)
{
    const char *at = NULL, *next = pem;

    while ((next = strstr(next, from)) != NULL) {
        at = next++;
    }
    assert_non_null(at);
    snprintf(out, room, "%.*s%s%s", (int)(at - pem), pem, to,
             at + strlen(from));
}

static void
damaged_files(void **state)
{
    static const struct {
        const char *from, *to, *what;
    } rows[] = {
        { "-----END CERTIFICATE-----\n", "", "last line" },
        { "-----END CERTIFICATE-----", "-----END CERTIFICATE----",
          "last line" },
        { "-----END CERTIFICATE-----", "-----END X509 CRL-----",
          "last line" },
        { "-----BEGIN CERTIFICATE-----", "----BEGIN CERTIFICATE-----",
          "begins neither" },
        { "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----",
          "begins neither" },
        { "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----",
          "begins neither" },
        { "-----BEGIN CERTIFICATE-----",
          "-----BEGIN TRUSTED CERTIFICATE-----", "begins neither" },
        { "-----BEGIN CERTIFICATE-----",
          "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n", "base64" },
        { "-----BEGIN CERTIFICATE-----\nMI",
          "-----BEGIN CERTIFICATE-----\nM!", "base64" },
        { "-----BEGIN CERTIFICATE-----\nMI",
          "-----BEGIN CERTIFICATE-----\nNI", "no certificate" },
        { "-----END CERTIFICATE-----", "AAAA\n-----END CERTIFICATE-----",
          "" }, /* base64 or DER, as it falls */
        { "-----END CERTIFICATE-----\n",
          "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n",
          "last line" },
        { "-----END CERTIFICATE-----\n",
          "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"
          "-----END CERTIFICATE-----\n", "base64" },
    };
    const struct cert *a = authority("a"), *b = authority("b"), *c = leaf(a);
    char pem[3 * 4096], bad[3 * 4096], crl[2048];
    int lines = 0;

    (void)state;
    snprintf(pem, sizeof pem, "# ours\nCN = a\n%s\r\n\n and b \n%s# end",
             a->pem, b->pem);
    assert_int_equal(check(pem, MCX_X509_CERTS), MCX_OK);
    assert_int_equal(verify_with(c, pem, NOW), MCX_OK);
    for (const char *s = pem; s < strstr(pem, " and b"); s++) {
        lines += *s == '\n';
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool more = strstr(rows[i].to, "\n-----BEGIN") != NULL;
        bool lost = strncmp(rows[i].to, "----B", 5) == 0;

        damage(bad, sizeof bad, pem, rows[i].from, rows[i].to);
        /* The first authority is whole, and is not enough. */
        assert_int_equal(verify_with(c, bad, NOW), MCX_E_CONFIG);
        if (check(bad, MCX_X509_CERTS) != MCX_E_CONFIG
            || !strstr(fault.what, rows[i].what)
            || fault.block != (more ? 3 : 2)
            || (!more && !lost && fault.line != lines + 2)) {
            fail_msg("row %zu: block %u, line %d: %s", i, fault.block,
                     fault.line, fault.what);
        }
    }
    /* Cut off anywhere in the second one. */
    for (size_t n = strlen(pem) - strlen(b->pem) + 8; n < strlen(pem) - 6;
         n += 7) {
        snprintf(bad, sizeof bad, "%.*s", (int)n, pem);
        if (check(bad, MCX_X509_CERTS) != MCX_E_CONFIG) {
            fail_msg("cut off at %zu", n);
        }
        assert_int_equal(verify_with(c, bad, NOW), MCX_E_CONFIG);
    }
    /* Each kind in its own file, and not none. */
    crl_of(crl, a, NULL, NOW - 60, NOW + 60, EVP_sha256());
    assert_int_equal(check(crl, MCX_X509_CRLS), MCX_OK);
    assert_int_equal(check(crl, MCX_X509_CERTS), MCX_E_CONFIG);
    assert_int_equal(check(a->pem, MCX_X509_CRLS), MCX_E_CONFIG);
    assert_int_equal(check("", MCX_X509_CRLS), MCX_E_CONFIG);
    assert_int_equal(check("words\n", MCX_X509_CERTS), MCX_E_CONFIG);
    assert_int_equal(fault.line, 0);
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
        TEST(purposes),
        TEST(doubled),
        TEST(revoked),
        TEST(revoked_middle),
        TEST(damaged_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
