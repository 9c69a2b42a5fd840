/* kemac_wrap.c -- AES key wrap of KEMAC's key data (RFC 3394, RFC 3830 6.2
 * algorithm 2).
 *
 * Called by psk.c.  It knows sizes and the cipher; keys, and what may be in
 * the octets, are psk.c's.  The initial value is RFC 3394's default. */
#include <config.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "inner.h"

enum { STEP = 8, LEAST = 16 };

/* One direction; 'out' has room for what comes out.  OpenSSL compares the
 * integrity value in constant time and wipes what fails. */
static mcx_err
run(uint8_t *out, size_t *out_n, const uint8_t key[MCX_KEMAC_KEY_SIZE],
    struct mcx_bytes in, int enc)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    mcx_err err = MCX_E_NOMEM;
    int n = 0;

    *out_n = 0;
    if (!ctx) {
        return MCX_E_NOMEM;
    }
    (void)ERR_set_mark();
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, EVP_aes_128_wrap(), NULL, key, NULL, enc)
        == 1) {
        err = EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) == 1 && n > 0
                  ? MCX_OK
                  : MCX_E_AUTH;
    }
    (void)ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(ctx);
    if (err == MCX_OK) {
        *out_n = (size_t)n;
    }
    return err;
}

mcx_err
mcx_kemac_wrap(uint8_t *out, size_t *out_n,
               const uint8_t key[MCX_KEMAC_KEY_SIZE], struct mcx_bytes in)
{
    /* SPEC RFC 3394 2: whole blocks of 64 bits, two at the least. */
    if (in.n < LEAST || in.n % STEP != 0) {
        return MCX_E_ARG;
    }
    return run(out, out_n, key, in, 1);
}

mcx_err
mcx_kemac_unwrap(uint8_t *out, size_t *out_n,
                 const uint8_t key[MCX_KEMAC_KEY_SIZE], struct mcx_bytes in)
{
    if (in.n < LEAST + STEP || in.n % STEP != 0) {
        return MCX_E_AUTH;
    }
    return run(out, out_n, key, in, 0);
}
