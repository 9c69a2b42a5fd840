/* prf.c -- the MIKEY PRF and what is derived with it.
 *
 * Called by the key store (SRTP master keys) and psk.c (message keys).
 *
 *   P(s, label, m)  = HMAC(s, A_1 || label) || ... || HMAC(s, A_m || label)
 *                     with A_0 = label, A_i = HMAC(s, A_{i-1})
 *   PRF(key, label) = P(s_1, label, m) xor ... xor P(s_k, label, m)
 *                     with s_1 .. s_k the 256-bit blocks of the key
 *
 * SPEC RFC 3830 4.1.2 (SHA-1), RFC 6043 6.1 (SHA-256; the key blocks stay at
 * 256 bits, only the output blocks grow). */
#include <config.h>
#include "../base/wr.h"
#include "mac.h"
#include <sofia-mcx/mcx_mikey.h>

enum { KEY_BLOCK = 32 };

struct mcx_block { uint8_t b[MCX_SHA256_SIZE]; };
MCX_SECRET_TYPE(mcx_block);

/* XORs P(s, label, m) into 'out'. */
static mcx_err
xor_p(uint8_t *out, size_t out_n, struct mcx_hmac *h, size_t hash_n,
      struct mcx_bytes s, struct mcx_bytes label)
{
    MCX_SECRET(mcx_block, a);
    MCX_SECRET(mcx_block, next);
    MCX_SECRET(mcx_block, p);
    struct mcx_bytes piece[2] = { label, label };
    size_t at, i;

    MCX_TRY(mcx_hmac_run(h, a.b, s, &label, 1));
    for (at = 0; at < out_n; at += hash_n) {
        piece[0] = mcx_bytes(a.b, hash_n);
        MCX_TRY(mcx_hmac_run(h, p.b, s, piece, 2));
        for (i = 0; i < hash_n && at + i < out_n; i++) {
            out[at + i] ^= p.b[i];
        }
        MCX_TRY(mcx_hmac_run(h, next.b, s, piece, 1));
        a = next;
    }
    return MCX_OK;
}

mcx_err
mcx_prf(uint8_t *out, size_t out_n, unsigned prf, struct mcx_bytes inkey,
        struct mcx_bytes label)
{
    struct mcx_hmac *h;
    mcx_err err = MCX_OK;
    size_t at, hash_n;

    memset(out, 0, out_n);
    if (prf != MCX_PRF_MIKEY_1 && prf != MCX_PRF_HMAC_SHA256) {
        return MCX_E_UNSUPPORTED;
    }
    if (inkey.n == 0) { /* no block at all would give a known key */
        return MCX_E_ARG;
    }
    hash_n = prf == MCX_PRF_MIKEY_1 ? MCX_SHA1_SIZE : MCX_SHA256_SIZE;
    MCX_TRY(mcx_hmac_new(&h, prf == MCX_PRF_MIKEY_1 ? MCX_HASH_SHA1
                                                    : MCX_HASH_SHA256));
    for (at = 0; err == MCX_OK && at < inkey.n; at += KEY_BLOCK) {
        size_t n = inkey.n - at < KEY_BLOCK ? inkey.n - at : KEY_BLOCK;

        err = xor_p(out, out_n, h, hash_n, mcx_bytes(inkey.p + at, n), label);
    }
    mcx_hmac_free(h);
    if (err != MCX_OK) {
        mcx_wipe(out, out_n);
    }
    return err;
}

mcx_err
mcx_mikey_derive(uint8_t *out, size_t out_n, unsigned prf,
                 struct mcx_bytes inkey, uint32_t constant, uint8_t cs_id,
                 uint32_t csb_id, struct mcx_bytes rand)
{
    uint8_t label[9 + MCX_RAND_MAX];
    struct mcx_wr wr = mcx_wr(label, sizeof label);

    memset(out, 0, out_n);
    /* SPEC RFC 3830 4.1.3: the value of RAND, without its length. */
    mcx_wr_u32(&wr, constant);
    mcx_wr_u8(&wr, cs_id);
    mcx_wr_u32(&wr, csb_id);
    mcx_wr_bytes(&wr, rand);
    if (mcx_wr_status(&wr) != MCX_OK) {
        return MCX_E_ARG;
    }
    return mcx_prf(out, out_n, prf, inkey, mcx_bytes(label, wr.at));
}
