/* token.c -- see token.h.  The only file that sees GnuTLS (which the HTTP
 * server stands on as well) and jansson. */
#include <config.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "domain.h"
#include "token.h"

enum { KID_MAX = 128, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

struct key {
    gnutls_pubkey_t pub;
    bool rsa;
    char kid[KID_MAX]; /* "": none */
};

struct kms_token_keys {
    size_t n;
    struct key key[KMS_TOKEN_KEYS_MAX];
};

static mcx_err MCX_PRINTF(3, 4)
fail(struct mcx_text *text, mcx_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text->s, sizeof text->s, fmt, ap);
    va_end(ap);
    return err;
}

/* ---- base64url (RFC 4648 section 5, no padding) ------------------------- */

/* 'out' takes 3 * (text.n / 4) + 3 octets. */
static bool
b64url(uint8_t *out, size_t *n, struct mcx_bytes text)
{
    char copy[KMS_TOKEN_MAX + 1];
    size_t i;

    if (text.n == 0 || text.n > KMS_TOKEN_MAX) {
        return false;
    }
    for (i = 0; i < text.n; i++) {
        char c = (char)text.p[i];

        if (c == '+' || c == '/' || c == '=') {
            return false;
        }
        copy[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    return mcx_b64_decode(out, n, mcx_bytes(copy, text.n), NULL) == MCX_OK;
}

/* Writes 'in' at out[*at], advances; false when it does not fit. */
static bool
put_b64url(char *out, size_t room, size_t *at, struct mcx_bytes in)
{
    size_t i;

    if (*at >= room
        || mcx_b64_encode(out + *at, room - *at, in) != MCX_OK) {
        return false;
    }
    for (i = *at; out[i] && out[i] != '='; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    out[i] = '\0';
    *at = i;
    return true;
}

/* jansson calls most of what happens without memory a mistake of the text; or
 * loses an octet of a string, and a shorter name is somebody else's.  So its
 * allocations pass here.  Of this thread: one was refused. */
static _Thread_local bool starved;

static void *
json_alloc(size_t n)
{
    void *p = malloc(n);

    starved = starved || !p;
    return p;
}

static void
json_begin(void)
{
    json_set_alloc_funcs(json_alloc, free);
}

static json_t *
json_of(struct mcx_bytes text)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t e;
    json_t *json;

    (void)pthread_once(&once, json_begin);
    starved = false;
    json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES,
                      &e);
    if (json && starved) {
        json_decref(json); /* not what the text says */
        json = NULL;
    }
    return json;
}

/* '*no_memory': that is why it is NULL. */
static json_t *
json_of_b64url(struct mcx_bytes text, bool *no_memory)
{
    uint8_t octets[3 * (KMS_TOKEN_MAX / 4) + 3];
    size_t n = sizeof octets;
    json_t *json;

    *no_memory = false;
    if (!b64url(octets, &n, text)) {
        return NULL;
    }
    json = json_of(mcx_bytes(octets, n));
    *no_memory = starved;
    return json;
}

/* ---- keys -------------------------------------------------------------- */

void
kms_token_keys_free(struct kms_token_keys *keys)
{
    size_t i;

    if (!keys) {
        return;
    }
    for (i = 0; i < keys->n; i++) {
        gnutls_pubkey_deinit(keys->key[i].pub);
    }
    free(keys);
}

/* Is it a key that we take, and of which kind? */
static bool
kind_of(struct key *k)
{
    unsigned bits = 0;
    int kind = gnutls_pubkey_get_pk_algorithm(k->pub, &bits);
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

    k->rsa = kind == GNUTLS_PK_RSA;
    if (k->rsa) {
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    return kind == GNUTLS_PK_ECDSA
           && gnutls_pubkey_export_ecc_raw2(k->pub, &curve, NULL, NULL, 0)
                  == 0
           && curve == GNUTLS_ECC_CURVE_SECP256R1;
}

mcx_err
kms_token_keys_pem(struct kms_token_keys **out, struct mcx_bytes pem,
                   const char *name, struct mcx_text *text)
{
    struct kms_token_keys *keys = calloc(1, sizeof *keys);
    uint8_t *copy = malloc(pem.n + 1);
    gnutls_datum_t data = { copy, (unsigned)pem.n };
    mcx_err err = MCX_OK;

    *out = NULL;
    if (!keys || !copy || gnutls_pubkey_init(&keys->key[0].pub) != 0) {
        free(keys);
        free(copy);
        return fail(text, MCX_E_NOMEM, "out of memory");
    }
    memcpy(copy, pem.p, pem.n);
    keys->n = 1;
    if (gnutls_pubkey_import(keys->key[0].pub, &data, GNUTLS_X509_FMT_PEM)
            != 0
        || !kind_of(&keys->key[0])) {
        err = fail(text, MCX_E_CONFIG, "%s: expected a public key, PEM, P-256"
                   " or RSA of %d bits or more", name, RSA_BITS_MIN);
    }
    free(copy);
    if (err != MCX_OK) {
        kms_token_keys_free(keys);
        return err;
    }
    *out = keys;
    return MCX_OK;
}

/* The octets of member 'name' of a JSON Web Key. */
static bool
jwk_octets(const json_t *jwk, const char *name, uint8_t *out, size_t room,
           gnutls_datum_t *to)
{
    const char *s = json_string_value(json_object_get(jwk, name));
    size_t n = room;

    if (!s || strlen(s) > (room / 3) * 4 || !b64url(out, &n,
                                                    mcx_bytes_str(s))) {
        return false;
    }
    to->data = out;
    to->size = (unsigned)n;
    return true;
}

static bool
jwk_import(struct key *k, const json_t *jwk)
{
    uint8_t a[RSA_BITS_MAX / 8 + 64], b[RSA_BITS_MAX / 8 + 64];
    gnutls_datum_t x, y;
    bool ec = k->rsa ? false : true;

    if (!jwk_octets(jwk, ec ? "x" : "n", a, sizeof a, &x)
        || !jwk_octets(jwk, ec ? "y" : "e", b, sizeof b, &y)) {
        return false;
    }
    if (ec) {
        return x.size == 32 && y.size == 32
               && gnutls_pubkey_import_ecc_raw(
                      k->pub, GNUTLS_ECC_CURVE_SECP256R1, &x, &y) == 0;
    }
    return gnutls_pubkey_import_rsa_raw(k->pub, &x, &y) == 0;
}

static bool
is(const json_t *object, const char *name, const char *want)
{
    const char *s = json_string_value(json_object_get(object, name));

    return s && strcmp(s, want) == 0;
}

/* A key for another purpose or algorithm is no mistake, only not for us. */
static bool
for_us(const json_t *jwk, bool *rsa)
{
    bool ec = is(jwk, "kty", "EC") && is(jwk, "crv", "P-256");

    *rsa = is(jwk, "kty", "RSA");
    return (ec || *rsa)
           && (!json_object_get(jwk, "use") || is(jwk, "use", "sig"))
           && (!json_object_get(jwk, "alg")
               || is(jwk, "alg", *rsa ? "RS256" : "ES256"));
}

static mcx_err
add_jwk(struct kms_token_keys *keys, const json_t *jwk, const char *name,
        struct mcx_text *text)
{
    struct key *k = &keys->key[keys->n];
    const char *kid = json_string_value(json_object_get(jwk, "kid"));
    bool rsa = false;

    if (!json_is_object(jwk)) {
        return fail(text, MCX_E_CONFIG, "%s: a key is not an object", name);
    }
    if (!for_us(jwk, &rsa)) {
        return MCX_OK;
    }
    if (keys->n == KMS_TOKEN_KEYS_MAX || (kid && strlen(kid) >= KID_MAX)) {
        return fail(text, MCX_E_CONFIG, "%s: expected at most %d keys, names "
                    "of at most %d octets", name, KMS_TOKEN_KEYS_MAX,
                    KID_MAX - 1);
    }
    if (gnutls_pubkey_init(&k->pub) != 0) {
        return fail(text, MCX_E_NOMEM, "out of memory");
    }
    keys->n++;
    k->rsa = rsa;
    (void)snprintf(k->kid, sizeof k->kid, "%s", kid ? kid : "");
    if (!jwk_import(k, jwk) || !kind_of(k) || k->rsa != rsa) {
        return fail(text, MCX_E_CONFIG, "%s: key \"%s\" is not P-256 or RSA "
                    "of %d bits or more", name, k->kid, RSA_BITS_MIN);
    }
    return MCX_OK;
}

mcx_err
kms_token_keys_jwks(struct kms_token_keys **out, struct mcx_bytes json,
                    const char *name, struct mcx_text *text)
{
    struct kms_token_keys *keys = calloc(1, sizeof *keys);
    json_t *set = json_of(json), *list = json_object_get(set, "keys");
    mcx_err err = MCX_OK;
    size_t i;

    *out = NULL;
    if (!keys) {
        err = fail(text, MCX_E_NOMEM, "out of memory");
    } else if (!json_is_array(list)) {
        err = fail(text, MCX_E_CONFIG, "%s: expected {\"keys\": [...]} (RFC "
                   "7517)", name);
    }
    for (i = 0; err == MCX_OK && i < json_array_size(list); i++) {
        err = add_jwk(keys, json_array_get(list, i), name, text);
    }
    if (err == MCX_OK && keys->n == 0) {
        err = fail(text, MCX_E_CONFIG, "%s: no key for ES256 or RS256 in it",
                   name);
    }
    json_decref(set);
    if (err != MCX_OK) {
        kms_token_keys_free(keys);
        return err;
    }
    *out = keys;
    return MCX_OK;
}

/* ---- checking ---------------------------------------------------------- */

/* The key that 'header' names; the only one, when it names none. */
static const struct key *
choose(const struct kms_token_keys *keys, const json_t *header)
{
    const json_t *named = json_object_get(header, "kid");
    const char *kid = json_string_value(named);
    size_t i;

    if (!named || (kid && keys->n == 1 && !keys->key[0].kid[0])) {
        return keys->n == 1 ? &keys->key[0] : NULL;
    }
    for (i = 0; kid && i < keys->n; i++) {
        if (keys->key[i].kid[0] && strcmp(keys->key[i].kid, kid) == 0) {
            return &keys->key[i];
        }
    }
    return NULL;
}

static const char *
check_header(const struct key **key, const struct kms_token_keys *keys,
             const json_t *header)
{
    const char *typ = json_string_value(json_object_get(header, "typ"));

    if (!json_is_object(header)) {
        return "header";
    }
    /* SPEC RFC 7515 4.1.11: an extension that must be understood is not. */
    if (json_object_get(header, "crit")) {
        return "crit";
    }
    if (json_object_get(header, "typ")
        && (!typ || (strcasecmp(typ, "JWT") != 0
                     && strcasecmp(typ, "at+jwt") != 0))) {
        return "type";
    }
    *key = choose(keys, header);
    if (!*key) {
        return "key";
    }
    return is(header, "alg", (*key)->rsa ? "RS256" : "ES256") ? NULL
                                                              : "algorithm";
}

/* r or s without leading zeros, as DER wants its integers. */
static gnutls_datum_t
integer(uint8_t *p, unsigned n)
{
    gnutls_datum_t d;

    while (n > 1 && *p == 0) {
        p++;
        n--;
    }
    d.data = p;
    d.size = n;
    return d;
}

/* 0 or more: good; else an error of GnuTLS. */
static int
verify(const struct key *key, struct mcx_bytes over, struct mcx_bytes sig_text)
{
    uint8_t sig[RSA_BITS_MAX / 8 + 3], copy[KMS_TOKEN_MAX];
    gnutls_datum_t data = { copy, (unsigned)over.n }, s = { sig, 0 };
    gnutls_datum_t der = { NULL, 0 }, r_, s_;
    size_t n = sizeof sig;
    int rc;

    if (over.n > sizeof copy || sig_text.n > sizeof sig / 3 * 4
        || !b64url(sig, &n, sig_text)) {
        return GNUTLS_E_PK_SIG_VERIFY_FAILED;
    }
    memcpy(copy, over.p, over.n);
    if (key->rsa) {
        s.size = (unsigned)n;
        return gnutls_pubkey_verify_data2(key->pub, GNUTLS_SIGN_RSA_SHA256, 0,
                                          &data, &s);
    }
    if (n != 64) {
        return GNUTLS_E_PK_SIG_VERIFY_FAILED;
    }
    r_ = integer(sig, 32);
    s_ = integer(sig + 32, 32);
    rc = gnutls_encode_rs_value(&der, &r_, &s_);
    if (rc < 0) {
        return rc;
    }
    rc = gnutls_pubkey_verify_data2(key->pub, GNUTLS_SIGN_ECDSA_SHA256, 0,
                                    &data, &der);
    gnutls_free(der.data);
    return rc;
}

static bool
for_audience(const json_t *aud, const char *want)
{
    size_t i;

    if (json_is_string(aud)) {
        return strcmp(json_string_value(aud), want) == 0;
    }
    for (i = 0; i < json_array_size(aud); i++) {
        const char *s = json_string_value(json_array_get(aud, i));

        if (s && strcmp(s, want) == 0) {
            return true;
        }
    }
    return false;
}

/* Is 'want' one of the words of 'scope' (RFC 6749 3.3), or of a list? */
static bool
in_scope(const json_t *scope, const char *want)
{
    const char *at = json_string_value(scope);
    size_t n;

    if (!at) {
        return for_audience(scope, want);
    }
    while (*at) {
        n = strcspn(at, " ");
        if (n == strlen(want) && strncmp(at, want, n) == 0) {
            return true;
        }
        at += n;
        at += strspn(at, " ");
    }
    return false;
}

/* A NumericDate; false: absent, and need not be there. */
static bool
date(const json_t *claims, const char *name, double *out, bool *broken)
{
    const json_t *v = json_object_get(claims, name);

    if (!v) {
        return false;
    }
    if (!json_is_number(v)) {
        *broken = true;
        return false;
    }
    *out = json_number_value(v);
    return true;
}

static const char *
check_claims(char subject[MCX_URI_MAX], const json_t *claims,
             const struct kms_token_rule *rule, int64_t now_s)
{
    const json_t *sub = json_object_get(claims, "sub");
    const char *s = json_string_value(sub);
    double now = (double)now_s, exp = 0, nbf = 0;
    bool broken = false;
    size_t n = json_string_length(sub);

    if (!json_is_object(claims)) {
        return "claims";
    }
    if (!is(claims, "iss", rule->issuer)) {
        return "issuer";
    }
    if (!for_audience(json_object_get(claims, "aud"), rule->audience)) {
        return "audience";
    }
    if (!date(claims, "exp", &exp, &broken)) {
        return "expiry";
    }
    if (!(now < exp + KMS_TOKEN_LEEWAY_S)) {
        return "expired";
    }
    if ((date(claims, "nbf", &nbf, &broken)
         && now + KMS_TOKEN_LEEWAY_S < nbf)
        || broken) {
        return "not-before";
    }
    if (!in_scope(json_object_get(claims, "scope"), rule->scope)) {
        return "scope";
    }
    /* It goes into answers, the log and the store. */
    if (!s || n == 0 || n >= MCX_URI_MAX || strlen(s) != n
        || !kms_text_ok(s)) {
        return "subject";
    }
    memcpy(subject, s, n + 1);
    return NULL;
}

const char *
kms_token_check(char subject[MCX_URI_MAX], const struct kms_token_keys *keys,
                const struct kms_token_rule *rule, struct mcx_bytes token,
                int64_t now_s)
{
    const uint8_t *dot, *dot2;
    const struct key *key = NULL;
    const char *bad;
    json_t *json;
    size_t head_n, body_n;
    bool no_memory = false;
    int rc;

    subject[0] = '\0';
    if (token.n > KMS_TOKEN_MAX) {
        return "too long";
    }
    dot = token.n ? memchr(token.p, '.', token.n) : NULL;
    dot2 = dot ? memchr(dot + 1, '.', token.n - (size_t)(dot + 1 - token.p))
               : NULL;
    if (!dot2) {
        return "form";
    }
    head_n = (size_t)(dot - token.p);
    body_n = (size_t)(dot2 - dot - 1);
    json = json_of_b64url(mcx_bytes(token.p, head_n), &no_memory);
    bad = no_memory ? KMS_TOKEN_NOT_NOW : check_header(&key, keys, json);
    json_decref(json);
    if (bad) {
        return bad;
    }
    rc = verify(key, mcx_bytes(token.p, (size_t)(dot2 - token.p)),
                mcx_bytes(dot2 + 1, token.n - head_n - body_n - 2));
    if (rc < 0) {
        return rc == GNUTLS_E_MEMORY_ERROR ? KMS_TOKEN_NOT_NOW : "signature";
    }
    json = json_of_b64url(mcx_bytes(dot + 1, body_n), &no_memory);
    bad = no_memory ? KMS_TOKEN_NOT_NOW
                    : check_claims(subject, json, rule, now_s);
    json_decref(json);
    return bad;
}

/* ---- making ------------------------------------------------------------ */

static mcx_err
take_datum(char **out, size_t *n, gnutls_datum_t *d)
{
    char *p = malloc(d->size + 1);

    if (p) {
        memcpy(p, d->data, d->size);
        p[d->size] = '\0';
        *out = p;
        *n = d->size;
    }
    mcx_wipe(d->data, d->size);
    gnutls_free(d->data);
    return p ? MCX_OK : MCX_E_NOMEM;
}

mcx_err
kms_token_new_key(char **secret, size_t *secret_n, char **public_,
                  size_t *public_n)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_pubkey_t pub = NULL;
    gnutls_privkey_t both = NULL;
    gnutls_datum_t d = { NULL, 0 };
    mcx_err err = MCX_E_INTERNAL;

    *secret = *public_ = NULL;
    if (gnutls_x509_privkey_init(&key) != 0
        || gnutls_x509_privkey_generate(
               key, GNUTLS_PK_ECDSA,
               GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) != 0
        || gnutls_privkey_init(&both) != 0
        || gnutls_privkey_import_x509(both, key,
                                      GNUTLS_PRIVKEY_IMPORT_COPY) != 0
        || gnutls_pubkey_init(&pub) != 0
        || gnutls_pubkey_import_privkey(pub, both, 0, 0) != 0) {
        goto out;
    }
    if (gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                          GNUTLS_PKCS_PLAIN, &d) == 0) {
        err = take_datum(secret, secret_n, &d);
    }
    if (err == MCX_OK
        && gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &d) == 0) {
        err = take_datum(public_, public_n, &d);
    }
out:
    if (!*public_ && *secret) {
        mcx_kms_text_free(*secret, *secret_n);
        *secret = NULL;
        err = err == MCX_OK ? MCX_E_INTERNAL : err;
    }
    if (pub) {
        gnutls_pubkey_deinit(pub);
    }
    if (both) {
        gnutls_privkey_deinit(both);
    }
    if (key) {
        gnutls_x509_privkey_deinit(key);
    }
    return err;
}

static bool
sign(uint8_t *out, size_t *n, gnutls_privkey_t key, bool rsa,
     struct mcx_bytes over)
{
    uint8_t copy[KMS_TOKEN_MAX];
    gnutls_datum_t data = { copy, (unsigned)over.n }, sig = { NULL, 0 };
    gnutls_datum_t part[2] = { { NULL, 0 }, { NULL, 0 } };
    bool ok = false;
    size_t i;

    if (over.n > sizeof copy) {
        return false;
    }
    memcpy(copy, over.p, over.n);
    if (gnutls_privkey_sign_data2(key,
                                  rsa ? GNUTLS_SIGN_RSA_SHA256
                                      : GNUTLS_SIGN_ECDSA_SHA256,
                                  0, &data, &sig) != 0) {
        return false;
    }
    if (rsa && sig.size <= *n) {
        memcpy(out, sig.data, sig.size);
        *n = sig.size;
        ok = true;
    } else if (!rsa
               && gnutls_decode_rs_value(&sig, &part[0], &part[1]) == 0) {
        memset(out, 0, 64);
        ok = true;
        for (i = 0; i < 2; i++) {
            gnutls_datum_t v = integer(part[i].data, part[i].size);

            ok = ok && v.size <= 32;
            if (v.size <= 32) {
                memcpy(out + 32 * (i + 1) - v.size, v.data, v.size);
            }
            gnutls_free(part[i].data);
        }
        *n = 64;
    }
    gnutls_free(sig.data);
    return ok;
}

/* header.claims of the token; an octet count, 0: does not fit. */
static size_t
unsigned_part(char *out, size_t room, const struct kms_token_claims *c,
              bool rsa)
{
    json_t *header = json_pack("{ss ss ss*}", "alg", rsa ? "RS256" : "ES256",
                               "typ", "JWT", "kid", c->kid);
    json_t *claims = json_pack("{ss ss ss ss sI sI}", "iss", c->issuer, "aud",
                               c->audience, "sub", c->subject, "scope",
                               c->scope, "iat", (json_int_t)c->issued_s,
                               "exp", (json_int_t)c->expires_s);
    char *h = header ? json_dumps(header, JSON_COMPACT) : NULL;
    char *b = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
    size_t at = 0;
    bool ok = h && b && put_b64url(out, room, &at, mcx_bytes_str(h))
              && at + 1 < room;

    if (ok) {
        out[at++] = '.';
        ok = put_b64url(out, room, &at, mcx_bytes_str(b));
    }
    free(h);
    free(b);
    json_decref(header);
    json_decref(claims);
    return ok ? at : 0;
}

mcx_err
kms_token_issue(char **out, size_t *n, struct mcx_bytes pem,
                const struct kms_token_claims *claims, struct mcx_text *text)
{
    uint8_t sig[RSA_BITS_MAX / 8];
    size_t sig_n = sizeof sig, at = 0;
    uint8_t *copy = malloc(pem.n + 1);
    char *token = malloc(KMS_TOKEN_MAX);
    gnutls_datum_t data = { copy, (unsigned)pem.n };
    gnutls_privkey_t key = NULL;
    int kind;
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    if (!copy || !token || gnutls_privkey_init(&key) != 0) {
        key = NULL;
        (void)fail(text, err, "out of memory");
        goto out;
    }
    memcpy(copy, pem.p, pem.n);
    kind = gnutls_privkey_import_x509_raw(key, &data, GNUTLS_X509_FMT_PEM,
                                          NULL, 0) == 0
               ? gnutls_privkey_get_pk_algorithm(key, NULL)
               : -1;
    if (kind != GNUTLS_PK_RSA && kind != GNUTLS_PK_ECDSA) {
        err = fail(text, MCX_E_CONFIG, "expected a private key, PEM, P-256 "
                   "or RSA");
        goto out;
    }
    at = unsigned_part(token, KMS_TOKEN_MAX, claims, kind == GNUTLS_PK_RSA);
    if (at == 0
        || !sign(sig, &sig_n, key, kind == GNUTLS_PK_RSA,
                 mcx_bytes(token, at))
        || at + 1 >= KMS_TOKEN_MAX) {
        err = fail(text, MCX_E_INTERNAL, "the token cannot be signed");
        goto out;
    }
    token[at++] = '.';
    if (!put_b64url(token, KMS_TOKEN_MAX, &at, mcx_bytes(sig, sig_n))) {
        err = fail(text, MCX_E_TOOBIG, "the token is too long");
        goto out;
    }
    *out = token;
    *n = at;
    token = NULL;
    err = MCX_OK;
out:
    if (key) {
        gnutls_privkey_deinit(key);
    }
    if (copy) {
        mcx_wipe(copy, pem.n);
        free(copy);
    }
    free(token);
    return err;
}
