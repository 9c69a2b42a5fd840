/* x509.c -- ECDSA signatures under X.509 certificates.  See mcx_keys.h.
 *
 * Called by core/xml for KMS redirect responses (TS 33.180 D.4), which are the
 * one thing in this project that certificates of that kind sign. */
#include <config.h>
#include <limits.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>
#include <sofia-mcx/mcx_keys.h>

enum {
    HALF = MCX_X509_SIG_SIZE / 2,
    DER_MAX = 80,
    /* OpenSSL's: 112 bits for every key and signature on the way, so neither
     * SHA-1 nor RSA below 2048; not set, anything goes. */
    LEVEL = 2
};

mcx_err
mcx_x509_digest(uint8_t out[MCX_SHA256_SIZE], struct mcx_bytes text)
{
    return EVP_Digest(text.p, text.n, out, NULL, EVP_sha256(), NULL) == 1
               ? MCX_OK
               : MCX_E_INTERNAL;
}

static bool
is_p256(EVP_PKEY *key)
{
    char name[32];
    size_t n;

    return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC
           && EVP_PKEY_get_group_name(key, name, sizeof name, &n) == 1
           && strcmp(name, "prime256v1") == 0;
}

static BIO *
open_pem(struct mcx_bytes pem)
{
    return pem.n > 0 && pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n)
                                         : NULL;
}

/* Nobody is asked for a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

/* r | s of what OpenSSL made. */
static bool
take_apart(uint8_t sig[MCX_X509_SIG_SIZE], const uint8_t *der, size_t n)
{
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, HALF) == HALF
              && BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + HALF, HALF) == HALF;

    ECDSA_SIG_free(s);
    return ok;
}

mcx_err
mcx_x509_sign(uint8_t sig[MCX_X509_SIG_SIZE], struct mcx_bytes key_pem,
              struct mcx_bytes text)
{
    BIO *bio = open_pem(key_pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase,
                                                  NULL)
                        : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[DER_MAX];
    size_t n = sizeof der;
    mcx_err err = is_p256(key) ? MCX_OK : MCX_E_CONFIG;

    if (err == MCX_OK
        && (!ctx
            || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1
            || EVP_DigestSign(ctx, der, &n, text.p, text.n) != 1
            || !take_apart(sig, der, n))) {
        err = MCX_E_INTERNAL;
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return err;
}

mcx_err
mcx_x509_der(uint8_t *out, size_t *n, struct mcx_bytes pem)
{
    BIO *bio = open_pem(pem);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)
                     : NULL;
    int size = cert ? i2d_X509(cert, NULL) : -1;
    mcx_err err = MCX_OK;

    if (size <= 0) {
        err = MCX_E_CONFIG;
    } else if ((size_t)size > *n) {
        err = MCX_E_TOOBIG;
    } else {
        *n = (size_t)i2d_X509(cert, &out);
    }
    X509_free(cert);
    BIO_free(bio);
    return err;
}

/* ---- judging ----------------------------------------------------------- */

/* Every certificate of 'pem'; NULL: there is none. */
static X509_STORE *
anchors(struct mcx_bytes pem)
{
    BIO *bio = open_pem(pem);
    X509_STORE *store = X509_STORE_new();
    unsigned n = 0;
    X509 *cert;

    while (bio && store
           && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))
                  != NULL) {
        n += X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    if (n == 0) {
        X509_STORE_free(store);
        store = NULL;
    }
    return store;
}

static bool
leads_to(X509 *cert, X509_STORE *store, int64_t now_unix)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ok = ctx && X509_STORE_CTX_init(ctx, store, cert, NULL) == 1;

    if (ok) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

        X509_VERIFY_PARAM_set_auth_level(param, LEVEL);
        X509_VERIFY_PARAM_set_time(param, (time_t)now_unix);
        ok = X509_verify_cert(ctx) == 1;
    }
    X509_STORE_CTX_free(ctx);
    /* A certificate that says what its key is for says this. */
    return ok && (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);
}

static bool
is_named(X509 *cert, const char *uri)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL,
                                            NULL);
    struct mcx_bytes want = mcx_bytes_str(uri);
    bool found = false;

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_IA5STRING *s = name->type == GEN_URI
                                      ? name->d.uniformResourceIdentifier
                                      : NULL;

        found = found
                || (s && mcx_bytes_eq(mcx_bytes(ASN1_STRING_get0_data(s),
                                                (size_t)ASN1_STRING_length(
                                                    s)),
                                      want));
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool
is_signed(EVP_PKEY *key, struct mcx_bytes text,
          const uint8_t sig[MCX_X509_SIG_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, HALF, NULL);
    BIGNUM *t = BN_bin2bn(sig + HALF, HALF, NULL);
    uint8_t *der = NULL;
    int n = 0;
    bool ok = false;

    if (s && r && t && ECDSA_SIG_set0(s, r, t) == 1) {
        r = t = NULL; /* they are in it now */
        n = i2d_ECDSA_SIG(s, &der);
    }
    if (n > 0 && ctx
        && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1) {
        ok = EVP_DigestVerify(ctx, der, (size_t)n, text.p, text.n) == 1;
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(t);
    ECDSA_SIG_free(s);
    EVP_MD_CTX_free(ctx);
    return ok;
}

mcx_err
mcx_x509_verify(struct mcx_bytes ca_pem, struct mcx_bytes der,
                const char *uri, int64_t now_unix, struct mcx_bytes text,
                const uint8_t sig[MCX_X509_SIG_SIZE])
{
    const uint8_t *p = der.p;
    X509_STORE *store = anchors(ca_pem);
    X509 *cert = NULL;
    mcx_err err = MCX_E_AUTH;

    if (!store) {
        return MCX_E_CONFIG;
    }
    if (der.n > 0 && der.n <= MCX_X509_DER_MAX) {
        cert = d2i_X509(NULL, &p, (long)der.n);
    }
    if (cert && p == der.p + der.n && leads_to(cert, store, now_unix)
        && is_named(cert, uri) && is_p256(X509_get0_pubkey(cert))
        && is_signed(X509_get0_pubkey(cert), text, sig)) {
        err = MCX_OK;
    }
    X509_free(cert);
    X509_STORE_free(store);
    return err;
}
