/* sakke.c -- SAKKE sealing and opening (RFC 6508 section 6.2).  See
 * mcx_ident.h.
 *
 * Opening does not test R's order on its own: the recomputation of step 5
 * gives a point of order q, and R must equal it. */
#include <config.h>
#include <string.h>
#include "curve.h"
#include "hash.h"
#include "objects.h"
#include "pairing.h"

mcx_err
mcx_sakke_r(uint8_t r[MCX_FP_SIZE], const struct mcx_ssv *ssv,
            struct mcx_bytes id)
{
    struct mcx_bytes part[2] = { { ssv->b, sizeof ssv->b }, id };
    uint8_t v[4 * MCX_SHA256_SIZE]; /* ceil(lg(q) / 256) = 4 */
    struct mcx_fp f;
    BIGNUM *n;
    mcx_err err = mcx_hash_stretch(v, 4, part, 2);

    memset(r, 0, MCX_FP_SIZE);
    if (err != MCX_OK) {
        return err;
    }
    mcx_fp_init(&f);
    n = mcx_fp_num(&f);
    if (!f.failed && (!BN_bin2bn(v, sizeof v, n)
                      || !BN_mod(n, n, f.pa->q, f.ctx)
                      || BN_bn2binpad(n, r, MCX_FP_SIZE) != MCX_FP_SIZE)) {
        f.failed = true;
    }
    err = mcx_fp_status(&f);
    mcx_fp_fini(&f);
    mcx_wipe(v, sizeof v);
    return err;
}

mcx_err
mcx_sakke_mask(uint8_t mask[MCX_SSV_SIZE], const uint8_t w[MCX_FP_SIZE])
{
    struct mcx_bytes part = { w, MCX_FP_SIZE };
    uint8_t v[MCX_SHA256_SIZE];
    mcx_err err = mcx_hash_stretch(v, 1, &part, 1);

    /* v mod 2^128: its last 16 octets */
    memcpy(mask, v + sizeof v - MCX_SSV_SIZE, MCX_SSV_SIZE);
    mcx_wipe(v, sizeof v);
    return err;
}

/* out = [r]([b]P + Z) */
static mcx_err
seal_point(uint8_t out[MCX_SAKKE_PT_SIZE], const struct mcx_kms_pub *pub,
           struct mcx_bytes id, const uint8_t r[MCX_FP_SIZE])
{
    struct mcx_fp f;
    struct mcx_point a;
    bool ok;
    mcx_err err;

    mcx_fp_init(&f);
    a = mcx_point_num(&f);
    ok = mcx_point_of_id(&f, a, id, pub->z)
         && mcx_point_mul(&f, a, a, r, MCX_FP_SIZE);
    if (ok) {
        mcx_point_write(&f, out, a);
    }
    err = mcx_fp_status(&f);
    mcx_fp_fini(&f);
    return err != MCX_OK ? err : ok ? MCX_OK : MCX_E_STATE;
}

/* mask of g^r */
static mcx_err
seal_mask(uint8_t mask[MCX_SSV_SIZE], const uint8_t r[MCX_FP_SIZE])
{
    uint8_t w[MCX_FP_SIZE];
    struct mcx_fp f;
    bool ok;
    mcx_err err;

    mcx_fp_init(&f);
    ok = mcx_g_power(&f, w, r, MCX_FP_SIZE);
    err = mcx_fp_status(&f);
    mcx_fp_fini(&f);
    if (err == MCX_OK) {
        err = ok ? mcx_sakke_mask(mask, w) : MCX_E_STATE;
    }
    mcx_wipe(w, sizeof w);
    return err;
}

mcx_err
mcx_sakke_seal(uint8_t enc[MCX_SAKKE_ENC_SIZE], const struct mcx_kms_pub *pub,
               struct mcx_bytes id, const struct mcx_ssv *ssv)
{
    uint8_t r[MCX_FP_SIZE], mask[MCX_SSV_SIZE] = { 0 };
    uint8_t point[MCX_SAKKE_PT_SIZE];
    mcx_err err;
    size_t i;

    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    MCX_TRY_OR(err, mcx_sakke_r(r, ssv, id), out);
    MCX_TRY_OR(err, seal_point(point, pub, id, r), out);
    MCX_TRY_OR(err, seal_mask(mask, r), out);
    memcpy(enc, point, sizeof point);
    for (i = 0; i < MCX_SSV_SIZE; i++) {
        enc[MCX_SAKKE_PT_SIZE + i] = (uint8_t)(ssv->b[i] ^ mask[i]);
    }
out:
    mcx_wipe(r, sizeof r);
    mcx_wipe(mask, sizeof mask);
    return err;
}

/* w = <R, K>; tells whether R is a point and whether w is defined. */
static mcx_err
open_pairing(uint8_t w[MCX_FP_SIZE], bool *on_curve, bool *defined,
             const uint8_t *enc, const struct mcx_user_key *key)
{
    struct mcx_fp f;
    struct mcx_point r, k;
    mcx_err err;

    mcx_fp_init(&f);
    r = mcx_point_num(&f);
    k = mcx_point_num(&f);
    *on_curve = mcx_point_read(&f, r, enc);
    *defined = *on_curve && mcx_point_read(&f, k, key->secret->rsk.b)
               && mcx_pairing(&f, w, r, k);
    err = mcx_fp_status(&f);
    mcx_fp_fini(&f);
    return err;
}

/* test = [r]([b]P + Z), all zero when that is infinity. */
static mcx_err
open_test(uint8_t test[MCX_SAKKE_PT_SIZE], const struct mcx_user_key *key,
          const uint8_t r[MCX_FP_SIZE])
{
    struct mcx_fp f;
    struct mcx_point a;
    mcx_err err;

    memset(test, 0, MCX_SAKKE_PT_SIZE);
    mcx_fp_init(&f);
    a = mcx_point_num(&f);
    if (mcx_point_read(&f, a, key->point)
        && mcx_point_mul(&f, a, a, r, MCX_FP_SIZE)) {
        mcx_point_write(&f, test, a);
    }
    err = mcx_fp_status(&f);
    mcx_fp_fini(&f);
    return err;
}

mcx_err
mcx_sakke_open(struct mcx_ssv *ssv, const struct mcx_user_key *key,
               struct mcx_bytes enc, struct mcx_why *why)
{
    MCX_SECRET(mcx_ssv, found);
    uint8_t w[MCX_FP_SIZE] = { 0 }, r[MCX_FP_SIZE] = { 0 };
    uint8_t mask[MCX_SSV_SIZE] = { 0 }, test[MCX_SAKKE_PT_SIZE];
    bool on_curve = false, defined = false;
    mcx_err err;
    size_t i;

    mcx_wipe(ssv, sizeof *ssv);
    if (enc.n != MCX_SAKKE_ENC_SIZE) {
        return MCX_REFUSE(why, MCX_R_SAKKE_LENGTH, "SAKKE", enc.n,
                          "RFC 6508 4");
    }
    MCX_TRY_OR(err, open_pairing(w, &on_curve, &defined, enc.p, key), out);
    if (!on_curve) {
        err = MCX_REFUSE(why, MCX_R_SAKKE_POINT, "SAKKE", 0, "RFC 6508 2.2");
        goto out;
    }
    if (!defined) {
        err = MCX_REFUSE(why, MCX_R_SAKKE_CHECK, "SAKKE", 0, "RFC 6508 3.2");
        goto out;
    }
    MCX_TRY_OR(err, mcx_sakke_mask(mask, w), out);
    for (i = 0; i < MCX_SSV_SIZE; i++) {
        found.b[i] = (uint8_t)(enc.p[MCX_SAKKE_PT_SIZE + i] ^ mask[i]);
    }
    MCX_TRY_OR(err, mcx_sakke_r(r, &found, mcx_user_key_id(key)), out);
    MCX_TRY_OR(err, open_test(test, key, r), out);
    /* SPEC RFC 6508 6.2.2 step 5 */
    if (!mcx_secret_eq(test, enc.p, sizeof test)) {
        err = MCX_REFUSE(why, MCX_R_SAKKE_CHECK, "SAKKE", 0,
                         "RFC 6508 6.2.2");
        goto out;
    }
    *ssv = found;
out:
    if (err == MCX_E_NOMEM) {
        (void)MCX_REFUSE(why, MCX_R_MEMORY, "SAKKE", 0, "");
    }
    mcx_wipe(w, sizeof w);
    mcx_wipe(r, sizeof r);
    mcx_wipe(mask, sizeof mask);
    mcx_wipe(test, sizeof test);
    return err;
}
