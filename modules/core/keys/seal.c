/* seal.c -- octets sealed before they go to a disk.  See mcx_keys.h.
 * Module store calls it; what is sealed and where it lies is that module's.
 *
 * The extended nonce: AES-256-GCM takes 12 octets, too few to draw at random
 * for years.  So the first 12 of 24 make a key of their own, by CMAC of two
 * blocks in counter mode (SP 800-108r1 4.1), and the other 12 are the nonce
 * under it.  This is C2SP's XAES-256-GCM, whose published vector the test
 * has.  OpenSSL's queue of errors is the thread's and left as it was. */
#include <config.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_keys.h>

enum { BLOCK = 16, HALF = 12 };

struct mcx_sealer {
    EVP_CIPHER_CTX *ecb, *gcm;
    uint8_t k1[BLOCK]; /* CMAC's first subkey; SECRET */
};

void
mcx_sealer_free(struct mcx_sealer *sealer)
{
    if (sealer) {
        EVP_CIPHER_CTX_free(sealer->ecb); /* which wipes the key schedule */
        EVP_CIPHER_CTX_free(sealer->gcm);
        mcx_wipe(sealer, sizeof *sealer);
        free(sealer);
    }
}

/* 'k1' = E(0) times x in GF(2^128), as CMAC has it. */
static bool
subkey(struct mcx_sealer *s)
{
    static const uint8_t zero[BLOCK];
    uint8_t top;
    int n = 0, i;

    if (EVP_EncryptUpdate(s->ecb, s->k1, &n, zero, BLOCK) != 1
        || n != BLOCK) {
        return false;
    }
    top = (uint8_t)(s->k1[0] >> 7);
    for (i = 0; i < BLOCK - 1; i++) {
        s->k1[i] = (uint8_t)(s->k1[i] << 1 | s->k1[i + 1] >> 7);
    }
    s->k1[BLOCK - 1] = (uint8_t)(s->k1[BLOCK - 1] << 1 ^ (0x87 & -top));
    return true;
}

mcx_err
mcx_sealer_new(struct mcx_sealer **out, const struct mcx_seal_key *key)
{
    struct mcx_sealer *s = calloc(1, sizeof *s);
    bool ok;

    *out = NULL;
    if (!s) {
        return MCX_E_NOMEM;
    }
    (void)ERR_set_mark();
    s->ecb = EVP_CIPHER_CTX_new();
    s->gcm = EVP_CIPHER_CTX_new();
    ok = s->ecb && s->gcm
         && EVP_EncryptInit_ex(s->ecb, EVP_aes_256_ecb(), NULL, key->b, NULL)
                == 1
         && EVP_CIPHER_CTX_set_padding(s->ecb, 0) == 1
         && EVP_CipherInit_ex(s->gcm, EVP_aes_256_gcm(), NULL, NULL, NULL, 1)
                == 1
         && subkey(s);
    (void)ERR_pop_to_mark();
    if (!ok) {
        mcx_sealer_free(s);
        return MCX_E_NOMEM;
    }
    *out = s;
    return MCX_OK;
}

/* Makes the GCM context ready for one nonce. */
static bool
ready(struct mcx_sealer *s, const uint8_t *nonce, int enc)
{
    MCX_SECRET(mcx_seal_key, key);
    uint8_t m[2 * BLOCK] = { 0, 1, 'X', 0 };
    int n = 0, i;
    bool ok;

    memcpy(m + 4, nonce, HALF);
    memcpy(m + BLOCK, m, BLOCK);
    m[BLOCK + 1] = 2;
    for (i = 0; i < 2 * BLOCK; i++) {
        m[i] ^= s->k1[i % BLOCK];
    }
    ok = EVP_EncryptUpdate(s->ecb, key.b, &n, m, 2 * BLOCK) == 1
         && n == 2 * BLOCK
         && EVP_CipherInit_ex(s->gcm, NULL, NULL, key.b, nonce + HALF, enc)
                == 1;
    mcx_wipe(m, sizeof m);
    return ok;
}

mcx_err
mcx_seal(uint8_t *out, struct mcx_sealer *sealer, const struct mcx_env *env,
         const uint8_t *nonce, struct mcx_bytes aad, struct mcx_bytes plain)
{
    uint8_t *text = out + MCX_SEAL_NONCE_SIZE, none[BLOCK];
    int n = 0;
    bool ok;

    if (plain.n > INT_MAX || aad.n > INT_MAX) {
        return MCX_E_ARG;
    }
    if (nonce) {
        memcpy(out, nonce, MCX_SEAL_NONCE_SIZE);
    } else {
        MCX_TRY(env->random(env->ctx, out, MCX_SEAL_NONCE_SIZE));
    }
    (void)ERR_set_mark();
    ok = ready(sealer, out, 1)
         && EVP_EncryptUpdate(sealer->gcm, NULL, &n, aad.p, (int)aad.n) == 1
         && (plain.n == 0
             || EVP_EncryptUpdate(sealer->gcm, text, &n, plain.p,
                                  (int)plain.n) == 1)
         && EVP_EncryptFinal_ex(sealer->gcm, none, &n) == 1
         && EVP_CIPHER_CTX_ctrl(sealer->gcm, EVP_CTRL_GCM_GET_TAG,
                                MCX_SEAL_TAG_SIZE, text + plain.n) == 1;
    (void)ERR_pop_to_mark();
    if (!ok) {
        mcx_wipe(out, plain.n + MCX_SEAL_MORE);
        return MCX_E_INTERNAL;
    }
    return MCX_OK;
}

mcx_err
mcx_unseal(uint8_t *out, struct mcx_sealer *sealer, struct mcx_bytes aad,
           struct mcx_bytes sealed)
{
    uint8_t tag[MCX_SEAL_TAG_SIZE], none[BLOCK];
    size_t plain_n;
    bool ok, whole;
    int n = 0;

    if (sealed.n < MCX_SEAL_MORE) {
        return MCX_E_AUTH;
    }
    if (sealed.n > INT_MAX || aad.n > INT_MAX) {
        return MCX_E_ARG;
    }
    plain_n = sealed.n - MCX_SEAL_MORE;
    memcpy(tag, sealed.p + MCX_SEAL_NONCE_SIZE + plain_n, sizeof tag);
    (void)ERR_set_mark();
    ok = ready(sealer, sealed.p, 0)
         && EVP_DecryptUpdate(sealer->gcm, NULL, &n, aad.p, (int)aad.n) == 1
         && (plain_n == 0
             || EVP_DecryptUpdate(sealer->gcm, out, &n,
                                  sealed.p + MCX_SEAL_NONCE_SIZE,
                                  (int)plain_n) == 1)
         && EVP_CIPHER_CTX_ctrl(sealer->gcm, EVP_CTRL_GCM_SET_TAG,
                                MCX_SEAL_TAG_SIZE, tag) == 1;
    whole = ok && EVP_DecryptFinal_ex(sealer->gcm, none, &n) == 1;
    (void)ERR_pop_to_mark();
    if (!whole) {
        mcx_wipe(out, plain_n);
        return ok ? MCX_E_AUTH : MCX_E_INTERNAL;
    }
    return MCX_OK;
}

mcx_err
mcx_seal_mac(uint8_t out[MCX_SEAL_MAC_SIZE], const struct mcx_seal_key *key,
             const struct mcx_bytes *parts, size_t n)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[2];
    EVP_MAC_CTX *ctx;
    EVP_MAC *mac;
    size_t i, got = 0;
    bool ok;

    (void)ERR_set_mark();
    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    ok = ctx && EVP_MAC_init(ctx, key->b, sizeof key->b, params) == 1;
    for (i = 0; i < n && ok; i++) {
        uint8_t size[8];
        int k;

        for (k = 0; k < 8; k++) {
            size[k] = (uint8_t)((uint64_t)parts[i].n >> (56 - 8 * k));
        }
        ok = EVP_MAC_update(ctx, size, sizeof size) == 1
             && (parts[i].n == 0
                 || EVP_MAC_update(ctx, parts[i].p, parts[i].n) == 1);
    }
    ok = ok && EVP_MAC_final(ctx, out, &got, MCX_SEAL_MAC_SIZE) == 1
         && got == MCX_SEAL_MAC_SIZE;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    (void)ERR_pop_to_mark();
    if (!ok) { /* nothing else can fail there */
        mcx_wipe(out, MCX_SEAL_MAC_SIZE);
        return MCX_E_NOMEM;
    }
    return MCX_OK;
}

mcx_err
mcx_seal_scrypt(struct mcx_seal_key *out, struct mcx_bytes passphrase,
                struct mcx_bytes salt, unsigned log2_n, unsigned r,
                unsigned p)
{
    uint64_t most = UINT64_C(1) << 30; /* octets that scrypt may use */
    bool ok;

    mcx_seal_key_wipe(out);
    if (passphrase.n == 0 || log2_n < 1 || log2_n > 24 || r == 0 || p == 0) {
        return MCX_E_ARG;
    }
    (void)ERR_set_mark();
    ok = EVP_PBE_scrypt((const char *)passphrase.p, passphrase.n, salt.p,
                        salt.n, UINT64_C(1) << log2_n, r, p, most, out->b,
                        sizeof out->b) == 1;
    (void)ERR_pop_to_mark();
    if (!ok) {
        mcx_seal_key_wipe(out);
        return MCX_E_NOMEM;
    }
    return MCX_OK;
}
