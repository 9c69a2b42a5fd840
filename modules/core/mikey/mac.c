/* mac.c -- HMAC on OpenSSL.  See mac.h. */
#include <config.h>
#include <stdlib.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "mac.h"

struct mcx_hmac {
    EVP_MAC_CTX *ctx;
    size_t size;
};

mcx_err
mcx_hmac_new(struct mcx_hmac **out, enum mcx_hash hash)
{
    char name[2][8] = { "SHA1", "SHA256" };
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name[hash],
                                         0),
        OSSL_PARAM_construct_end(),
    };
    struct mcx_hmac *h = calloc(1, sizeof *h);
    bool ok = false;
    EVP_MAC *mac;

    if (!h) {
        return MCX_E_NOMEM;
    }
    (void)ERR_set_mark();
    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac) {
        h->ctx = EVP_MAC_CTX_new(mac);
        h->size = hash == MCX_HASH_SHA1 ? MCX_SHA1_SIZE : MCX_SHA256_SIZE;
        ok = h->ctx && EVP_MAC_CTX_set_params(h->ctx, params);
    }
    EVP_MAC_free(mac);
    (void)ERR_pop_to_mark();
    if (!ok) {
        mcx_hmac_free(h);
        return MCX_E_NOMEM;
    }
    *out = h;
    return MCX_OK;
}

void
mcx_hmac_free(struct mcx_hmac *h)
{
    if (h) {
        EVP_MAC_CTX_free(h->ctx);
        free(h);
    }
}

mcx_err
mcx_hmac_run(struct mcx_hmac *h, uint8_t *out, struct mcx_bytes key,
             const struct mcx_bytes *piece, size_t n)
{
    size_t i, got = 0;
    bool ok;

    (void)ERR_set_mark();
    ok = EVP_MAC_init(h->ctx, key.p, key.n, NULL);
    for (i = 0; ok && i < n; i++) {
        ok = EVP_MAC_update(h->ctx, piece[i].p, piece[i].n);
    }
    ok = ok && EVP_MAC_final(h->ctx, out, &got, h->size) && got == h->size;
    (void)ERR_pop_to_mark();
    return ok ? MCX_OK : MCX_E_NOMEM;
}

mcx_err
mcx_digest(uint8_t out[MCX_SHA256_SIZE], struct mcx_bytes octets)
{
    unsigned n = MCX_SHA256_SIZE;
    bool ok;

    (void)ERR_set_mark();
    ok = EVP_Digest(octets.p, octets.n, out, &n, EVP_sha256(), NULL);
    (void)ERR_pop_to_mark();
    return ok ? MCX_OK : MCX_E_NOMEM;
}

mcx_err
mcx_hmac_sha256(uint8_t out[MCX_SHA256_SIZE], struct mcx_bytes key,
                const struct mcx_bytes *piece, size_t n)
{
    struct mcx_hmac *h;
    mcx_err err;

    MCX_TRY(mcx_hmac_new(&h, MCX_HASH_SHA256));
    err = mcx_hmac_run(h, out, key, piece, n);
    mcx_hmac_free(h);
    return err;
}
