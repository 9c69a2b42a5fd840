/* sakke.c -- SAKKE sealing and opening (RFC 6508 section 6.2).  See
 * mcx_ident.h.
 *
 * Opening does not test R's order on its own: the recomputation of step 5
 * gives a point of order q, and R must equal it. */
#include <config.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "shared.h"

mcx_err
mcx_sakke_r(uint8_t r[MCX_FP_SIZE], const struct mcx_ssv *ssv,
            struct mcx_bytes id)
{
    struct mcx_bytes part[2] = { { ssv->b, sizeof ssv->b }, id };
    uint8_t v[4 * MCX_SHA256_SIZE]; /* ceil(lg(q) / 256) = 4 */
    uint64_t k[MCX_W];
    mcx_err err = mcx_hash_stretch(v, 4, part, 2);

    memset(r, 0, MCX_FP_SIZE);
    if (err == MCX_OK) {
        mcx_w_read(k, v);
        mcx_w_mod_q(k, k);
        mcx_w_write(r, k);
    }
    mcx_wipe(v, sizeof v);
    mcx_wipe(k, sizeof k);
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

/* R = [r]([b]P + Z) as [rb]P + [r]Z, or from the peer's own table when there
 * is one; w = g^r. */
static mcx_err
seal_with(uint8_t point[MCX_SAKKE_PT_SIZE], uint8_t w[MCX_FP_SIZE],
          const struct mcx_kms_pub *pub, struct mcx_bytes id,
          const uint64_t r[MCX_W])
{
    const struct mcx_shared *sh = mcx_shared();
    const struct mcx_point_table *t;
    uint8_t b[MCX_FP_SIZE] = { 0 };
    uint64_t rb[MCX_W];
    bool ok;

    if (!sh) {
        return MCX_E_NOMEM;
    }
    t = mcx_peers_take(pub->peers, id);
    if (t) {
        ok = sh->ops->mul(point, t, r, NULL, NULL, w, sh->g, r);
        mcx_peers_give(pub->peers, t);
        return ok ? MCX_OK : MCX_E_STATE;
    }
    memcpy(b + sizeof b - id.n, id.p, id.n);
    mcx_w_read(rb, b);
    mcx_w_mul_q(rb, rb, r);
    ok = sh->ops->mul(point, sh->p, rb, pub->z_table, r, w, sh->g, r);
    mcx_wipe(rb, sizeof rb);
    return ok ? MCX_OK : MCX_E_STATE;
}

mcx_err
mcx_sakke_seal(uint8_t enc[MCX_SAKKE_ENC_SIZE], const struct mcx_kms_pub *pub,
               struct mcx_bytes id, const struct mcx_ssv *ssv)
{
    uint8_t r[MCX_FP_SIZE], mask[MCX_SSV_SIZE] = { 0 };
    uint8_t point[MCX_SAKKE_PT_SIZE], w[MCX_FP_SIZE] = { 0 };
    uint64_t k[MCX_W] = { 0 };
    mcx_err err;
    size_t i;

    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    MCX_TRY_OR(err, mcx_sakke_r(r, ssv, id), out);
    mcx_w_read(k, r);
    MCX_TRY_OR(err, seal_with(point, w, pub, id, k), out);
    MCX_TRY_OR(err, mcx_sakke_mask(mask, w), out);
    memcpy(enc, point, sizeof point);
    for (i = 0; i < MCX_SSV_SIZE; i++) {
        enc[MCX_SAKKE_PT_SIZE + i] = (uint8_t)(ssv->b[i] ^ mask[i]);
    }
out:
    mcx_wipe(r, sizeof r);
    mcx_wipe(k, sizeof k);
    mcx_wipe(w, sizeof w);
    mcx_wipe(mask, sizeof mask);
    return err;
}

/* A table is public and its building long: the caller's thread does it, and
 * whoever seals meanwhile takes the other way. */
mcx_err
mcx_sakke_prepare(struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    const struct mcx_shared *sh = mcx_shared();
    uint8_t point[MCX_SAKKE_PT_SIZE];
    struct mcx_point_table *t;

    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    if (!sh) {
        return MCX_E_NOMEM;
    }
    if (mcx_peers_has(pub->peers, id)) {
        return MCX_OK;
    }
    MCX_TRY(mcx_sakke_identity(point, pub, id));
    t = mcx_table_new(sh, point);
    return t ? mcx_peers_put(pub->peers, id, t) : MCX_E_NOMEM;
}

bool
mcx_sakke_prepare_due(const struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    return mcx_peers_due(pub->peers, id);
}

mcx_err
mcx_sakke_open(struct mcx_ssv *ssv, const struct mcx_user_key *key,
               struct mcx_bytes enc, struct mcx_why *why)
{
    MCX_SECRET(mcx_ssv, found);
    uint8_t w[MCX_FP_SIZE] = { 0 }, r[MCX_FP_SIZE] = { 0 };
    uint8_t mask[MCX_SSV_SIZE] = { 0 };
    uint64_t k[MCX_W] = { 0 };
    const struct mcx_shared *sh;
    bool on_curve, defined = false;
    mcx_err err;
    size_t i;

    mcx_wipe(ssv, sizeof *ssv);
    if (enc.n != MCX_SAKKE_ENC_SIZE) {
        return MCX_REFUSE(why, MCX_R_SAKKE_LENGTH, "SAKKE", enc.n,
                          "RFC 6508 4");
    }
    sh = mcx_shared(); /* made before any key was */
    if (!sh || mcx_user_key_prepare(key) != MCX_OK) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "SAKKE", 0, "");
    }
    on_curve = sh->ops->pair(w, &defined, atomic_load(&key->tables->lines),
                             enc.p);
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
    mcx_w_read(k, r);
    /* SPEC RFC 6508 6.2.2 step 5 */
    if (!sh->ops->mul_is(enc.p, atomic_load(&key->tables->point), k)) {
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
    mcx_wipe(k, sizeof k);
    return err;
}
