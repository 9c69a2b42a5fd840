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

/* What 'enc' holds, from w = <R, RSK> and what the pairing found on its way:
 * the second half of RFC 6508 6.2.2. */
static mcx_err
open_with(struct mcx_ssv *ssv, const struct mcx_user_key *key,
          const uint8_t *enc, const uint8_t w[MCX_FP_SIZE], bool on_curve,
          bool defined, struct mcx_why *why)
{
    const struct mcx_ops *ops = mcx_shared()->ops;
    MCX_SECRET(mcx_ssv, found);
    uint8_t r[MCX_FP_SIZE] = { 0 }, mask[MCX_SSV_SIZE] = { 0 };
    uint64_t k[MCX_W];
    mcx_err err;
    size_t i;

    if (!on_curve) {
        return MCX_REFUSE(why, MCX_R_SAKKE_POINT, "SAKKE", 0, "RFC 6508 2.2");
    }
    if (!defined) {
        return MCX_REFUSE(why, MCX_R_SAKKE_CHECK, "SAKKE", 0, "RFC 6508 3.2");
    }
    MCX_TRY_OR(err, mcx_sakke_mask(mask, w), out);
    for (i = 0; i < MCX_SSV_SIZE; i++) {
        found.b[i] = (uint8_t)(enc[MCX_SAKKE_PT_SIZE + i] ^ mask[i]);
    }
    MCX_TRY_OR(err, mcx_sakke_r(r, &found, mcx_user_key_id(key)), out);
    mcx_w_read(k, r);
    /* SPEC RFC 6508 6.2.2 step 5 */
    if (!ops->mul_is(enc, atomic_load(&key->tables->point), k)) {
        err = MCX_REFUSE(why, MCX_R_SAKKE_CHECK, "SAKKE", 0,
                         "RFC 6508 6.2.2");
    } else {
        *ssv = found;
    }
    mcx_wipe(k, sizeof k);
out:
    if (err == MCX_E_NOMEM) {
        (void)MCX_REFUSE(why, MCX_R_MEMORY, "SAKKE", 0, "");
    }
    mcx_wipe(r, sizeof r);
    mcx_wipe(mask, sizeof mask);
    return err;
}

mcx_err
mcx_sakke_open(struct mcx_ssv *ssv, const struct mcx_user_key *key,
               struct mcx_bytes enc, struct mcx_why *why)
{
    uint8_t w[MCX_FP_SIZE];
    bool on_curve, defined;
    mcx_err err;

    mcx_wipe(ssv, sizeof *ssv);
    if (enc.n != MCX_SAKKE_ENC_SIZE) {
        return MCX_REFUSE(why, MCX_R_SAKKE_LENGTH, "SAKKE", enc.n,
                          "RFC 6508 4");
    }
    if (mcx_user_key_prepare(key) != MCX_OK) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "SAKKE", 0, "");
    }
    on_curve = mcx_shared()->ops->pair(
        w, &defined, atomic_load(&key->tables->lines), enc.p);
    err = open_with(ssv, key, enc.p, w, on_curve, defined, why);
    mcx_wipe(w, sizeof w);
    return err;
}

/* MCX_BATCH at most, by the lanes. */
static void
open_batch(struct mcx_sakke_job *job, const struct mcx_user_key *key, int n,
           void *work)
{
    const uint8_t *r[MCX_BATCH] = { NULL };
    bool on_curve[MCX_BATCH], defined[MCX_BATCH];
    uint8_t w[MCX_BATCH][MCX_FP_SIZE];
    int i;

    for (i = 0; i < n; i++) {
        r[i] = job[i].enc.n == MCX_SAKKE_ENC_SIZE ? job[i].enc.p : NULL;
    }
    mcx_shared()->ops->pair_many(w, on_curve, defined,
                                 atomic_load(&key->tables->lines), r, work);
    for (i = 0; i < n; i++) {
        mcx_wipe(&job[i].ssv, sizeof job[i].ssv);
        job[i].err = r[i] ? open_with(&job[i].ssv, key, r[i], w[i],
                                      on_curve[i], defined[i], &job[i].why)
                          : MCX_REFUSE(&job[i].why, MCX_R_SAKKE_LENGTH,
                                       "SAKKE", job[i].enc.n, "RFC 6508 4");
    }
    mcx_wipe(w, sizeof w);
}

/* Five batched cost what five alone do: fewer go alone. */
enum { BATCH_MIN = 5 };

void
mcx_sakke_open_many(struct mcx_sakke_job *job, size_t n,
                    const struct mcx_user_key *key)
{
    const struct mcx_shared *sh = mcx_shared();
    void *work = NULL;
    size_t i = 0;

    if (n >= BATCH_MIN && sh && sh->ops->pair_many
        && mcx_user_key_prepare(key) == MCX_OK) {
        /* not guarded, as the stack is not; pair_many() wipes it */
        work = mcx_big_new(MCX_WORK_SIZE);
    }
    while (work && n - i >= BATCH_MIN) {
        int some = n - i < MCX_BATCH ? (int)(n - i) : MCX_BATCH;

        open_batch(job + i, key, some, work);
        i += (size_t)some;
    }
    mcx_big_free(work);
    for (; i < n; i++) {
        job[i].err = mcx_sakke_open(&job[i].ssv, key, job[i].enc,
                                    &job[i].why);
    }
}
