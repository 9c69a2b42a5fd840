/* x509.c -- ECDSA signatures under X.509 certificates.  See mcx_keys.h.
 *
 * Called by core/xml for KMS redirect responses (TS 33.180 D.4), which are the
 * one thing in this project that certificates of that kind sign. */
#include <config.h>
#include <limits.h>
#include <stdlib.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
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

/* OpenSSL's word for it is in its queue, which was empty at the start. */
static mcx_err
or_no_memory(mcx_err err)
{
    unsigned long e;

    while ((e = ERR_get_error()) != 0) {
        if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE) {
            err = MCX_E_NOMEM;
        }
    }
    return err;
}

mcx_err
mcx_x509_digest(uint8_t out[MCX_SHA256_SIZE], struct mcx_bytes text)
{
    ERR_clear_error();
    return EVP_Digest(text.p, text.n, out, NULL, EVP_sha256(), NULL) == 1
               ? MCX_OK
               : or_no_memory(MCX_E_INTERNAL);
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
    ERR_clear_error();
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

    err = err == MCX_OK ? err : or_no_memory(err);
    if (err == MCX_OK
        && (!ctx
            || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1
            || EVP_DigestSign(ctx, der, &n, text.p, text.n) != 1
            || !take_apart(sig, der, n))) {
        err = or_no_memory(MCX_E_INTERNAL);
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
        err = or_no_memory(MCX_E_CONFIG);
    } else if ((size_t)size > *n) {
        err = MCX_E_TOOBIG;
    } else {
        *n = (size_t)i2d_X509(cert, &out);
    }
    X509_free(cert);
    BIO_free(bio);
    return err;
}

/* ---- files of authorities ---------------------------------------------- */

/* OpenSSL's readers pass over what they do not know and stop at the first
 * damage as they stop at the end: an authority or a revocation would be
 * missing and nobody would hear of it.  So the blocks are found here. */
struct scan {
    struct mcx_bytes rest;
    int line; /* of the next one */
    struct mcx_x509_fault *fault;
    unsigned certs, crls;
};

static mcx_err
refuse(struct scan *s, const char *what)
{
    s->fault->what = what;
    return MCX_E_CONFIG;
}

/* Without white space at its end; false: there is no line left. */
static bool
next_line(struct mcx_bytes *out, struct scan *s)
{
    const uint8_t *end;
    size_t n = s->rest.n;

    if (n == 0) {
        return false;
    }
    end = memchr(s->rest.p, '\n', n);
    n = end ? (size_t)(end - s->rest.p) + 1 : n;
    *out = mcx_bytes(s->rest.p, n);
    s->rest = mcx_bytes(s->rest.p + n, s->rest.n - n);
    s->line++;
    while (out->n > 0 && strchr(" \t\r\n", out->p[out->n - 1])
           && out->p[out->n - 1]) {
        out->n--;
    }
    return true;
}

static bool
has_dashes(struct mcx_bytes b)
{
    size_t n = 0;

    for (size_t i = 0; i < b.n && n < 5; i++) {
        n = b.p[i] == '-' ? n + 1 : 0;
    }
    return n == 5;
}

static bool
says(struct mcx_bytes line, const char *what)
{
    return mcx_bytes_eq(line, mcx_bytes_str(what));
}

/* The octets of a block whose first line has been read; 'out' takes as many
 * as the file has. */
static mcx_err
block(uint8_t *out, size_t *n, struct scan *s, const char *last)
{
    size_t text_n = 0, room = s->rest.n;
    char *text = malloc(room + 1);
    struct mcx_bytes line;
    mcx_err err = text ? MCX_E_CONFIG : MCX_E_NOMEM;

    while (text && next_line(&line, s)) {
        if (says(line, last)) {
            err = MCX_OK;
            break;
        }
        if (has_dashes(line)) {
            break;
        }
        memcpy(text + text_n, line.p, line.n);
        text_n += line.n;
    }
    *n = room;
    if (err == MCX_E_CONFIG) {
        err = refuse(s, "its last line is missing");
    } else if (err == MCX_OK
               && (text_n == 0
                   || mcx_b64_decode(out, n, mcx_bytes(text, text_n), NULL)
                          != MCX_OK)) {
        err = refuse(s, "its octets are not base64");
    }
    free(text);
    return err;
}

/* A CRL whose age cannot be told, or whose hash can be had twice, tells
 * nothing (PSS names its hash where OpenSSL 3.0 does not look); certificates
 * are judged by OpenSSL. */
static bool
is_sound(const X509_CRL *crl)
{
    int md = NID_undef, pk = NID_undef;

    return X509_CRL_get0_nextUpdate(crl)
           && OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &md, &pk)
           && md != NID_sha1 && md != NID_md5 && pk != NID_rsassaPss;
}

static mcx_err
take_cert(X509_STORE *store, struct scan *s, struct mcx_bytes der)
{
    const uint8_t *p = der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    mcx_err err = MCX_OK;

    if (!cert || p != der.p + der.n) {
        err = refuse(s, "it is no certificate");
    } else if (X509_STORE_add_cert(store, cert) != 1) {
        err = MCX_E_NOMEM;
    }
    s->certs++;
    X509_free(cert);
    return err;
}

static mcx_err
take_crl(X509_STORE *store, struct scan *s, struct mcx_bytes der)
{
    const uint8_t *p = der.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
    mcx_err err = MCX_OK;

    if (!crl || p != der.p + der.n) {
        err = refuse(s, "it is no CRL");
    } else if (!is_sound(crl)) {
        err = refuse(s, "the CRL has no nextUpdate, or is signed over a "
                     "hash that is weak or not named");
    } else if (X509_STORE_add_crl(store, crl) != 1) {
        err = MCX_E_NOMEM;
    }
    s->crls++;
    X509_CRL_free(crl);
    return err;
}

static mcx_err
take_blocks(X509_STORE *store, struct scan *s, uint8_t *der)
{
    struct mcx_bytes line;
    mcx_err err;

    while (next_line(&line, s)) {
        bool cert = says(line, "-----BEGIN CERTIFICATE-----");
        bool crl = says(line, "-----BEGIN X509 CRL-----");
        size_t n = 0;

        if (!has_dashes(line)) {
            continue;
        }
        s->fault->line = s->line;
        s->fault->block++;
        if (!cert && !crl) {
            return refuse(s, "it begins neither a certificate nor a CRL");
        }
        MCX_TRY(block(der, &n, s, cert ? "-----END CERTIFICATE-----"
                                       : "-----END X509 CRL-----"));
        err = cert ? take_cert(store, s, mcx_bytes(der, n))
                   : take_crl(store, s, mcx_bytes(der, n));
        MCX_TRY(err);
    }
    s->fault->line = 0;
    return MCX_OK;
}

/* All of 'pem'; 's' counts. */
static mcx_err
open_store(X509_STORE **out, struct mcx_bytes pem, struct scan *s,
           struct mcx_x509_fault *fault)
{
    X509_STORE *store = X509_STORE_new();
    uint8_t *der = malloc(pem.n + 1);
    mcx_err err = MCX_E_NOMEM;

    *fault = (struct mcx_x509_fault) { 0, 0, "it holds none" };
    *s = (struct scan) { pem, 0, fault, 0, 0 };
    if (store && der) {
        err = take_blocks(store, s, der);
    }
    if (err == MCX_OK && s->crls > 0) {
        (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK
                                              | X509_V_FLAG_CRL_CHECK_ALL);
    }
    free(der);
    if (err != MCX_OK) {
        X509_STORE_free(store);
        store = NULL;
    }
    *out = store;
    return err;
}

mcx_err
mcx_x509_pem_check(struct mcx_bytes pem, enum mcx_x509_kind kind,
                   struct mcx_x509_fault *fault)
{
    X509_STORE *store;
    struct scan s;
    mcx_err err;

    ERR_clear_error();
    err = open_store(&store, pem, &s, fault);
    if (err == MCX_OK && (kind == MCX_X509_CERTS ? s.crls : s.certs) > 0) {
        err = refuse(&s, kind == MCX_X509_CERTS
                             ? "it holds CRLs, not certificates alone"
                             : "it holds certificates, not CRLs alone");
    }
    if (err == MCX_OK && s.certs + s.crls == 0) {
        err = MCX_E_CONFIG;
    }
    X509_STORE_free(store);
    return err == MCX_OK ? err : or_no_memory(err);
}

/* ---- judging ----------------------------------------------------------- */

/* What a certificate's purpose is has no name of its own for D.4: one for SIP
 * will do, one for TLS servers alone will not. */
static bool
has_purpose(X509 *cert)
{
    ASN1_OBJECT *sip = OBJ_txt2obj("1.3.6.1.5.5.7.3.20", 1);
    EXTENDED_KEY_USAGE *list;
    int found = 0;
    bool ok;

    list = X509_get_ext_d2i(cert, NID_ext_key_usage, &found, NULL);
    ok = sip && !list && found == -1; /* there is none */
    for (int i = 0; sip && list && i < sk_ASN1_OBJECT_num(list); i++) {
        const ASN1_OBJECT *said = sk_ASN1_OBJECT_value(list, i);

        ok = ok || OBJ_obj2nid(said) == NID_anyExtendedKeyUsage
             || OBJ_cmp(said, sip) == 0;
    }
    EXTENDED_KEY_USAGE_free(list);
    ASN1_OBJECT_free(sip);
    return ok;
}

static bool
may_sign(X509 *cert)
{
    /* A certificate that says what its key is for says this. */
    return (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE)
           && !(X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_INVALID))
           && X509_check_ca(cert) == 0 && has_purpose(cert);
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
    return ok;
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
    struct mcx_x509_fault fault;
    struct scan s;
    X509_STORE *store;
    X509 *cert = NULL;
    mcx_err err;

    ERR_clear_error();
    err = open_store(&store, ca_pem, &s, &fault);
    if (err == MCX_OK) {
        err = s.certs > 0 ? MCX_E_AUTH : MCX_E_CONFIG;
    }
    if (err == MCX_E_AUTH && der.n > 0 && der.n <= MCX_X509_DER_MAX) {
        cert = d2i_X509(NULL, &p, (long)der.n);
    }
    if (cert && p == der.p + der.n && may_sign(cert)
        && leads_to(cert, store, now_unix) && is_named(cert, uri)
        && is_p256(X509_get0_pubkey(cert))
        && is_signed(X509_get0_pubkey(cert), text, sig)) {
        err = MCX_OK;
    }
    X509_free(cert);
    X509_STORE_free(store);
    return err == MCX_OK ? err : or_no_memory(err);
}
