/* eccsi.c -- ECCSI verifying and signing (RFC 6507 section 5.2).  See
 * mcx_ident.h.  Not ECDSA: s multiplies, and no inverse is taken when
 * verifying. */
#include <config.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"

enum { R_AT = 0, S_AT = 32, PVT_AT = 64 };

/* J = [s HE]G + [s r]([HS]PVT + KPAK); '*finite' is false when it is infinity.
 * Everything here is public. */
static mcx_err
point_j(uint8_t j[MCX_ECCSI_PT_SIZE], bool *finite, struct mcx_p256 *w,
        const EC_POINT *pvt, const uint8_t kpak[MCX_ECCSI_PT_SIZE],
        const uint8_t hs[MCX_P256_SIZE], const uint8_t he[MCX_P256_SIZE],
        const uint8_t *sig)
{
    static const uint8_t zero[MCX_P256_SIZE] = { 0 };
    const EC_GROUP *ec = w->pa->ec;
    uint8_t u[3][MCX_P256_SIZE];
    EC_POINT *y = EC_POINT_new(ec), *key = NULL;
    BIGNUM *n[3];
    mcx_err err = MCX_E_NOMEM;
    size_t i;

    *finite = false;
    BN_CTX_start(w->ctx);
    n[0] = BN_CTX_get(w->ctx);
    n[1] = BN_CTX_get(w->ctx);
    n[2] = BN_CTX_get(w->ctx);
    if (!y || !n[2]) {
        goto out;
    }
    memcpy(u[0], hs, MCX_P256_SIZE);
    MCX_TRY_OR(err, mcx_p256_muladd(u[1], w, zero, sig + S_AT, he), out);
    MCX_TRY_OR(err, mcx_p256_muladd(u[2], w, zero, sig + S_AT, sig + R_AT),
               out);
    MCX_TRY_OR(err, mcx_p256_read(&key, w, kpak), out);
    err = MCX_E_NOMEM;
    for (i = 0; i < 3; i++) {
        if (!BN_bin2bn(u[i], MCX_P256_SIZE, n[i])) {
            goto out;
        }
    }
    if (!EC_POINT_mul(ec, y, NULL, pvt, n[0], w->ctx)
        || !EC_POINT_add(ec, y, y, key, w->ctx)) {
        goto out;
    }
    if (!EC_POINT_is_at_infinity(ec, y)) { /* else KPAK = -[HS]PVT: refuse */
        if (!EC_POINT_mul(ec, y, n[1], y, n[2], w->ctx)) {
            goto out;
        }
        *finite = !EC_POINT_is_at_infinity(ec, y);
    }
    err = *finite ? mcx_p256_write(j, w, y) : MCX_OK;
out:
    BN_CTX_end(w->ctx);
    EC_POINT_free(y);
    EC_POINT_free(key);
    return err;
}

static bool
all_zero(const uint8_t *a, size_t n)
{
    uint8_t any = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        any |= a[i];
    }
    return any == 0;
}

mcx_err
mcx_eccsi_verify_at(uint8_t j_out[MCX_ECCSI_PT_SIZE],
                    const struct mcx_kms_pub *pub, struct mcx_bytes id,
                    struct mcx_bytes msg, struct mcx_bytes sig,
                    struct mcx_why *why)
{
    uint8_t hs[MCX_P256_SIZE], he[MCX_P256_SIZE], j[MCX_ECCSI_PT_SIZE];
    struct mcx_p256 w = { 0 };
    EC_POINT *pvt = NULL;
    bool finite = false;
    mcx_err err;

    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    if (sig.n != MCX_ECCSI_SIG_SIZE) {
        return MCX_REFUSE(why, MCX_R_SIGN_LENGTH, "SIGN", sig.n,
                          "RFC 6507 3.3");
    }
    /* SPEC RFC 6507 3.3: 1 <= r < p, 1 <= s < q.  The text has no ranges for
     * s; without them r = s = 0 would verify for anybody. */
    if (!mcx_in_range(sig.p + R_AT, 1, mcx_p256_p, MCX_P256_SIZE)) {
        return MCX_REFUSE(why, MCX_R_SIGN_RANGE, "SIGN", R_AT,
                          "RFC 6507 3.3");
    }
    if (!mcx_in_range(sig.p + S_AT, 1, mcx_p256_q, MCX_P256_SIZE)) {
        return MCX_REFUSE(why, MCX_R_SIGN_RANGE, "SIGN", S_AT,
                          "RFC 6507 3.3");
    }
    MCX_TRY_OR(err, mcx_p256_init(&w), out);
    err = mcx_p256_read(&pvt, &w, sig.p + PVT_AT);
    if (err == MCX_E_MALFORMED) {
        err = MCX_REFUSE(why, MCX_R_PVT, "SIGN", PVT_AT, "RFC 6507 5.2.2");
    }
    if (err != MCX_OK) {
        goto out;
    }
    MCX_TRY_OR(err, mcx_eccsi_hs(hs, w.pa, pub->kpak, id, sig.p + PVT_AT),
               out);
    MCX_TRY_OR(err, mcx_eccsi_he(he, hs, sig.p + R_AT, msg), out);
    MCX_TRY_OR(err, point_j(j, &finite, &w, pvt, pub->kpak, hs, he, sig.p),
               out);
    /* SPEC RFC 6507 5.2.2 step 6: J finite, Jx not 0 and equal to r */
    if (!finite || all_zero(j + 1, MCX_P256_SIZE)
        || memcmp(j + 1, sig.p + R_AT, MCX_P256_SIZE) != 0) {
        err = MCX_REFUSE(why, MCX_R_SIGNATURE, "SIGN", 0, "RFC 6507 5.2.2");
        goto out;
    }
    if (j_out) {
        memcpy(j_out, j, sizeof j);
    }
out:
    EC_POINT_free(pvt);
    mcx_p256_fini(&w);
    if (err == MCX_E_NOMEM) {
        (void)MCX_REFUSE(why, MCX_R_MEMORY, "SIGN", 0, "");
    }
    return err;
}

mcx_err
mcx_eccsi_verify(const struct mcx_kms_pub *pub, struct mcx_bytes id,
                 struct mcx_bytes msg, struct mcx_bytes sig,
                 struct mcx_why *why)
{
    return mcx_eccsi_verify_at(NULL, pub, id, msg, sig, why);
}

mcx_err
mcx_eccsi_sign_with(uint8_t sig[MCX_ECCSI_SIG_SIZE],
                    const struct mcx_user_key *key, struct mcx_bytes msg,
                    const uint8_t j[MCX_P256_SIZE])
{
    static const uint8_t zero[MCX_P256_SIZE] = { 0 };
    uint8_t point[MCX_ECCSI_PT_SIZE] = { 0 }, he[MCX_P256_SIZE] = { 0 };
    uint8_t t[MCX_P256_SIZE] = { 0 }, s[MCX_P256_SIZE] = { 0 };
    struct mcx_p256 w = { 0 };
    mcx_err err;

    MCX_TRY_OR(err, mcx_p256_init(&w), out);
    MCX_TRY_OR(err, mcx_p256_base_mul(point, &w, j), out);
    MCX_TRY_OR(err, mcx_eccsi_he(he, key->hs, point + 1, msg), out);
    /* t = HE + r SSK, s = t^-1 j */
    MCX_TRY_OR(err, mcx_p256_muladd(t, &w, he, point + 1,
                                    key->secret->ssk.b), out);
    MCX_TRY_OR(err, mcx_p256_inv(t, &w, t), out);
    MCX_TRY_OR(err, mcx_p256_muladd(s, &w, zero, t, j), out);
    /* t = 0 and r = 0 are as good as impossible, and no signature. */
    if (all_zero(s, sizeof s) || all_zero(point + 1, MCX_P256_SIZE)) {
        err = MCX_E_STATE;
        goto out;
    }
    memcpy(sig + R_AT, point + 1, MCX_P256_SIZE);
    memcpy(sig + S_AT, s, MCX_P256_SIZE);
    memcpy(sig + PVT_AT, key->pvt, MCX_ECCSI_PT_SIZE);
out:
    mcx_p256_fini(&w);
    mcx_wipe(t, sizeof t);
    mcx_wipe(s, sizeof s);
    mcx_wipe(point, sizeof point);
    return err;
}

/* A nonce from HMAC-SHA-256(SSK, count | random | HS | SHA-256(M)), uniform in
 * 1..q-1 by rejection (one try in 2^32 fails).  With a source of randomness
 * that repeats itself two messages still get two nonces; with one that is
 * good nothing depends on the hash. */
static mcx_err
hedged_nonce(uint8_t j[MCX_P256_SIZE], const struct mcx_user_key *key,
             struct mcx_bytes msg, const struct mcx_env *env)
{
    enum { TRIES = 16 };
    struct {
        uint8_t count;
        uint8_t random[32];
        uint8_t hs[MCX_P256_SIZE];
        uint8_t msg[MCX_SHA256_SIZE];
    } in = { 0 };
    mcx_err err = mcx_sha256(in.msg, &msg, 1);

    memcpy(in.hs, key->hs, sizeof in.hs);
    if (err == MCX_OK) {
        err = env->random(env->ctx, in.random, sizeof in.random);
        err = err == MCX_OK || err == MCX_E_NOMEM ? err : MCX_E_IO;
    }
    while (err == MCX_OK) {
        unsigned n = MCX_P256_SIZE;

        (void)ERR_set_mark();
        if (!HMAC(EVP_sha256(), key->secret->ssk.b, MCX_SSK_SIZE,
                  (const uint8_t *)&in, sizeof in, j, &n)) {
            err = MCX_E_NOMEM;
        }
        (void)ERR_pop_to_mark();
        if (err == MCX_OK && mcx_in_range(j, 1, mcx_p256_q, MCX_P256_SIZE)) {
            break;
        }
        if (++in.count == TRIES) {
            err = MCX_E_SELFTEST; /* 2^-512: the hash is broken */
        }
    }
    mcx_wipe(&in, sizeof in);
    if (err != MCX_OK) {
        mcx_wipe(j, MCX_P256_SIZE);
    }
    return err;
}

mcx_err
mcx_eccsi_sign(uint8_t sig[MCX_ECCSI_SIG_SIZE], const struct mcx_user_key *key,
               struct mcx_bytes msg, const struct mcx_env *env)
{
    uint8_t j[MCX_P256_SIZE] = { 0 }, made[MCX_ECCSI_SIG_SIZE] = { 0 };
    mcx_err err;

    MCX_TRY_OR(err, hedged_nonce(j, key, msg, env), out);
    MCX_TRY_OR(err, mcx_eccsi_sign_with(made, key, msg, j), out);
    /* A fault in the arithmetic would give SSK away. */
    err = mcx_eccsi_verify(key->pub, mcx_user_key_id(key), msg,
                           mcx_bytes(made, sizeof made), NULL);
    if (err == MCX_OK) {
        memcpy(sig, made, sizeof made);
    }
out:
    mcx_wipe(j, sizeof j);
    mcx_wipe(made, sizeof made);
    return err == MCX_OK || err == MCX_E_NOMEM || err == MCX_E_IO
               ? err
               : MCX_E_SELFTEST;
}
