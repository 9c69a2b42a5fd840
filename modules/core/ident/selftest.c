/* selftest.c -- small known answers, run once by whoever loads the library.
 * See mcx_ident.h.
 *
 * The KMS secrets, nonces and results are those of RFC 6507 and RFC 6508
 * appendix A, which share their identifier; long results are compared by their
 * SHA-256.  None of it is anybody's key. */
#include <config.h>
#include <string.h>
#include "hash.h"
#include "objects.h"

/* The last octets of z and KSAK; what stands before them is zero. */
static const uint8_t kat_z[20] = {
    0xaf, 0xf4, 0x29, 0xd3, 0x5f, 0x84, 0xb1, 0x10,
    0xd0, 0x94, 0x80, 0x3b, 0x35, 0x95, 0xa6, 0xe2,
    0x99, 0x8b, 0xc9, 0x9f
};
static const uint8_t kat_ksak[3] = {
    0x01, 0x23, 0x45
};
static const uint8_t kat_id[26] = {
    0x32, 0x30, 0x31, 0x31, 0x2d, 0x30, 0x32, 0x00,
    0x74, 0x65, 0x6c, 0x3a, 0x2b, 0x34, 0x34, 0x37,
    0x37, 0x30, 0x30, 0x39, 0x30, 0x30, 0x31, 0x32,
    0x33, 0x00
};
static const uint8_t kat_msg[8] = {
    0x6d, 0x65, 0x73, 0x73, 0x61, 0x67, 0x65, 0x00
};
static const uint8_t kat_v[32] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x34, 0x56
};
static const uint8_t kat_j[32] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x45, 0x67
};
static const uint8_t kat_ssv[16] = {
    0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
    0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0
};
/* SHA-256 of: Z | KPAK, RSK | SSK | PVT, encapsulated data, signature */
static const uint8_t kat_public[32] = {
    0x8b, 0xa3, 0x23, 0xc4, 0xd0, 0x6c, 0xcd, 0xd6,
    0xfb, 0xaf, 0x64, 0x08, 0x5b, 0x8e, 0xb0, 0xb7,
    0x79, 0x8c, 0x2e, 0xa3, 0xe4, 0x61, 0x29, 0x5d,
    0xf2, 0x56, 0xea, 0x41, 0x71, 0xd9, 0xfa, 0x66
};
static const uint8_t kat_issued[32] = {
    0xdf, 0xe2, 0x5b, 0x2a, 0x52, 0x89, 0x68, 0x25,
    0x04, 0xca, 0xa4, 0x26, 0x45, 0x3a, 0x38, 0xf7,
    0xbd, 0xc5, 0xe8, 0x32, 0xba, 0x02, 0x5f, 0xd8,
    0x80, 0x2e, 0xb1, 0xbb, 0xc4, 0x56, 0x27, 0x74
};
static const uint8_t kat_enc[32] = {
    0xac, 0xe6, 0xd2, 0xd5, 0x3a, 0x01, 0xce, 0x23,
    0x6d, 0x85, 0xdb, 0x9f, 0xd5, 0x32, 0x58, 0x14,
    0x3d, 0xb3, 0x41, 0x8a, 0x1e, 0x49, 0x2e, 0x16,
    0x74, 0x66, 0xaa, 0xe9, 0x2c, 0x87, 0x7f, 0x60
};
static const uint8_t kat_sig[32] = {
    0x34, 0x27, 0x9e, 0xf2, 0xb1, 0x53, 0x91, 0x34,
    0xbf, 0x09, 0x6b, 0x5a, 0x91, 0x4c, 0x2a, 0xe2,
    0x93, 0x37, 0x2e, 0x56, 0x18, 0xe0, 0x5a, 0x7a,
    0x48, 0xd7, 0x52, 0xa5, 0x7d, 0x63, 0xaf, 0xc0
};

/* The objects of one run. */
struct kat {
    struct mcx_kms_master *master;
    struct mcx_kms_pub *pub;
    struct mcx_user_key *key;
    uint8_t enc[MCX_SAKKE_ENC_SIZE];
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
};

static mcx_err
expect(const struct mcx_bytes *parts, size_t n,
       const uint8_t want[MCX_SHA256_SIZE])
{
    uint8_t have[MCX_SHA256_SIZE];

    MCX_TRY(mcx_sha256(have, parts, n));
    return memcmp(have, want, sizeof have) == 0 ? MCX_OK : MCX_E_SELFTEST;
}

/* A randomness that has none: known answers need no other. */
static mcx_err
no_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 0, n);
    return MCX_OK;
}

/* Master secrets to public keys to an accepted user key. */
static mcx_err
kat_keys(struct kat *k)
{
    static const struct mcx_env env = { .random = no_random };
    struct mcx_bytes id = mcx_bytes(kat_id, sizeof kat_id);
    MCX_SECRET(mcx_kms_secret, secret);
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_bytes open[2] = { { z, sizeof z }, { kpak, sizeof kpak } };
    struct mcx_bytes issued[3] = { { rsk.b, sizeof rsk.b },
                                   { ssk.b, sizeof ssk.b },
                                   { pvt, sizeof pvt } };
    mcx_err err;

    memcpy(secret.b + MCX_FP_SIZE - sizeof kat_z, kat_z, sizeof kat_z);
    memcpy(secret.b + sizeof secret.b - sizeof kat_ksak, kat_ksak,
           sizeof kat_ksak);
    MCX_TRY(mcx_kms_master_new(&k->master, &secret, &env));
    mcx_kms_master_public(z, kpak, k->master);
    MCX_TRY(expect(open, 2, kat_public));
    MCX_TRY(mcx_kms_pub_new(&k->pub, open[0], open[1], NULL));
    err = mcx_kms_master_issue(k->master, id, &rsk, &ssk, pvt, &env);
    /* With zeros for randomness a pair must not come out; RSK needs none. */
    if (err != MCX_E_IO) {
        return err == MCX_E_NOMEM ? err : MCX_E_SELFTEST;
    }
    MCX_TRY(mcx_kms_rsk(&rsk, k->master, id));
    MCX_TRY(mcx_kms_pair_with(&ssk, pvt, k->master, id, kat_v));
    MCX_TRY(expect(issued, 3, kat_issued));
    return mcx_user_key_new(&k->key, k->pub, id, &rsk, &ssk, pvt, NULL);
}

static mcx_err
kat_sakke(struct kat *k)
{
    struct mcx_bytes id = mcx_bytes(kat_id, sizeof kat_id);
    struct mcx_bytes enc = mcx_bytes(k->enc, sizeof k->enc);
    MCX_SECRET(mcx_ssv, ssv);
    MCX_SECRET(mcx_ssv, opened);
    mcx_err err;

    memcpy(ssv.b, kat_ssv, sizeof ssv.b);
    MCX_TRY(mcx_sakke_seal(k->enc, k->pub, id, &ssv));
    MCX_TRY(expect(&enc, 1, kat_enc));
    MCX_TRY(mcx_sakke_open(&opened, k->key, enc, NULL));
    if (!mcx_secret_eq(opened.b, ssv.b, sizeof ssv.b)) {
        return MCX_E_SELFTEST;
    }
    k->enc[sizeof k->enc - 1] ^= 1;
    err = mcx_sakke_open(&opened, k->key, enc, NULL);
    return err == MCX_E_AUTH ? MCX_OK : err == MCX_OK ? MCX_E_SELFTEST : err;
}

static mcx_err
kat_eccsi(struct kat *k)
{
    struct mcx_bytes id = mcx_bytes(kat_id, sizeof kat_id);
    struct mcx_bytes msg = mcx_bytes(kat_msg, sizeof kat_msg);
    struct mcx_bytes sig = mcx_bytes(k->sig, sizeof k->sig);
    mcx_err err;

    MCX_TRY(mcx_eccsi_sign_with(k->sig, k->key, msg, kat_j));
    MCX_TRY(expect(&sig, 1, kat_sig));
    MCX_TRY(mcx_eccsi_verify(k->pub, id, msg, sig, NULL));
    k->sig[0] ^= 1;
    err = mcx_eccsi_verify(k->pub, id, msg, sig, NULL);
    return err == MCX_E_AUTH ? MCX_OK : err == MCX_OK ? MCX_E_SELFTEST : err;
}

mcx_err
mcx_ident_selftest(void)
{
    struct kat k = { 0 };
    mcx_err err = kat_keys(&k);

    if (err == MCX_OK) {
        err = kat_eccsi(&k);
    }
    if (err == MCX_OK) {
        err = kat_sakke(&k);
    }
    mcx_user_key_free(k.key);
    mcx_kms_pub_free(k.pub);
    mcx_kms_master_free(k.master);
    mcx_wipe(&k, sizeof k);
    return err == MCX_OK || err == MCX_E_NOMEM ? err : MCX_E_SELFTEST;
}
