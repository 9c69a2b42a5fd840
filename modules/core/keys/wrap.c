/* wrap.c -- keys that travel under another key, and the HMAC over what they
 * travel in.  See mcx_keys.h.
 *
 * Called by core/xml for the transport and integrity keys of TS 33.180 annex
 * D; what is wrapped and where it stands is said there.  OpenSSL compares
 * integrity values in constant time and wipes what fails. */
#include <config.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sofia-mcx/mcx_keys.h>

enum { NONCE = 12, TAG = 16, STEP = 8 };

/* One of the two key wraps, in one direction. */
static mcx_err
run(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
    enum mcx_kw_form form, struct mcx_bytes in, int enc)
{
    const EVP_CIPHER *cipher = form == MCX_KW_RFC5649
                                   ? EVP_aes_256_wrap_pad()
                                   : EVP_aes_256_wrap();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    mcx_err err = MCX_OK;
    int n = 0;

    if (!ctx) {
        return MCX_E_NOMEM;
    }
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, cipher, NULL, key->b, NULL, enc) != 1) {
        err = MCX_E_INTERNAL;
    } else if (EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) != 1
               || n <= 0) {
        err = enc ? MCX_E_INTERNAL : MCX_E_AUTH;
    }
    EVP_CIPHER_CTX_free(ctx);
    *out_n = err == MCX_OK ? (size_t)n : 0;
    return err;
}

static mcx_err
gcm_wrap(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
         struct mcx_bytes plain, const struct mcx_env *env)
{
    EVP_CIPHER_CTX *ctx;
    uint8_t *text = out + NONCE;
    int n = 0, none = 0;
    bool ok;

    MCX_TRY(env->random(env->ctx, out, NONCE));
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx) {
        return MCX_E_NOMEM;
    }
    ok = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, out) == 1
         && EVP_EncryptUpdate(ctx, text, &n, plain.p, (int)plain.n) == 1
         && (size_t)n == plain.n
         && EVP_EncryptFinal_ex(ctx, text + plain.n, &none) == 1
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG,
                                text + plain.n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    *out_n = ok ? NONCE + plain.n + TAG : 0;
    return ok ? MCX_OK : MCX_E_INTERNAL;
}

static mcx_err
gcm_unwrap(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
           struct mcx_bytes in)
{
    EVP_CIPHER_CTX *ctx;
    uint8_t tag[TAG];
    size_t plain_n = in.n - NONCE - TAG;
    int n = 0, none = 0;
    mcx_err err = MCX_E_INTERNAL;

    memcpy(tag, in.p + NONCE + plain_n, TAG);
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx) {
        return MCX_E_NOMEM;
    }
    if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, in.p) == 1
        && EVP_DecryptUpdate(ctx, out, &n, in.p + NONCE, (int)plain_n) == 1
        && (size_t)n == plain_n
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1) {
        err = EVP_DecryptFinal_ex(ctx, out + plain_n, &none) == 1
                  ? MCX_OK : MCX_E_AUTH;
    }
    EVP_CIPHER_CTX_free(ctx);
    *out_n = err == MCX_OK ? plain_n : 0;
    return err;
}

mcx_err
mcx_kw_wrap(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
            enum mcx_kw_form form, struct mcx_bytes plain,
            const struct mcx_env *env)
{
    mcx_err err;

    *out_n = 0;
    if (plain.n == 0 || plain.n > MCX_KW_PLAIN_MAX
        || (form == MCX_KW_RFC3394
            && (plain.n % STEP != 0 || plain.n < 2 * STEP))) {
        return MCX_E_ARG;
    }
    (void)ERR_set_mark();
    err = form == MCX_KW_GCM ? gcm_wrap(out, out_n, key, plain, env)
                             : run(out, out_n, key, form, plain, 1);
    (void)ERR_pop_to_mark();
    if (err != MCX_OK) {
        mcx_wipe(out, plain.n + MCX_KW_MORE);
    }
    return err;
}

mcx_err
mcx_kw_unwrap(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
              enum mcx_kw_form form, struct mcx_bytes wrapped)
{
    mcx_err err;

    *out_n = 0;
    if (wrapped.n > MCX_KW_PLAIN_MAX + MCX_KW_MORE
        || (form == MCX_KW_GCM
                ? wrapped.n <= NONCE + TAG
                : wrapped.n % STEP != 0
                      || wrapped.n < (form == MCX_KW_RFC3394 ? 3 * STEP
                                                             : 2 * STEP))) {
        return MCX_E_AUTH;
    }
    (void)ERR_set_mark();
    err = form == MCX_KW_GCM ? gcm_unwrap(out, out_n, key, wrapped)
                             : run(out, out_n, key, form, wrapped, 0);
    (void)ERR_pop_to_mark();
    if (err != MCX_OK) {
        mcx_wipe(out, wrapped.n);
    }
    return err;
}

mcx_err
mcx_kw_mac(uint8_t out[MCX_KW_MAC_SIZE], const struct mcx_kw_key *key,
           struct mcx_bytes text)
{
    unsigned n = 0;
    bool ok;

    (void)ERR_set_mark();
    ok = HMAC(EVP_sha256(), key->b, (int)sizeof key->b, text.p, text.n, out,
              &n) != NULL;
    (void)ERR_pop_to_mark();
    if (!ok || n != MCX_KW_MAC_SIZE) {
        mcx_wipe(out, MCX_KW_MAC_SIZE);
        return MCX_E_INTERNAL;
    }
    return MCX_OK;
}
