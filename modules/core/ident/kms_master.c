/* kms_master.c -- the KMS's side: master secrets, public keys, issuing (RFC
 * 6508 6.1.1, RFC 6507 5.1.1).  See mcx_ident.h.  Policy, storage and log of
 * what is issued are the caller's. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"
#include "shared.h"
#include "../field/public.h"

enum { KSAK_AT = MCX_FP_SIZE };

/* out = [k]P; false: infinity. */
static mcx_err
mul_p(uint8_t out[MCX_SAKKE_PT_SIZE], bool *finite, const uint64_t k[MCX_W])
{
    const struct mcx_shared *sh = mcx_shared();

    if (!sh) {
        return MCX_E_NOMEM;
    }
    *finite = sh->ops->mul(out, sh->p, k, NULL, NULL, NULL, NULL, NULL);
    return MCX_OK;
}

static mcx_err
make_z(uint8_t out[MCX_SAKKE_PT_SIZE], const uint8_t z[MCX_FP_SIZE])
{
    uint64_t k[MCX_W];
    bool finite; /* for 0 < z < q it is */
    mcx_err err;

    mcx_w_read(k, z);
    err = mul_p(out, &finite, k);
    mcx_wipe(k, sizeof k);
    return err;
}

static mcx_err
fill_secret(struct mcx_kms_secret *to, const struct mcx_kms_secret *from,
            const struct mcx_env *env)
{
    if (from) {
        *to = *from;
        return mcx_in_range(to->b, 2, mcx_sakke_q, MCX_FP_SIZE)
                       && mcx_in_range(to->b + KSAK_AT, 1, mcx_p256_q,
                                       MCX_P256_SIZE)
                   ? MCX_OK
                   : MCX_E_MALFORMED;
    }
    MCX_TRY(mcx_random_below(to->b, MCX_FP_SIZE, MCX_SAKKE_Q_BITS, 2,
                             mcx_sakke_q, env));
    return mcx_random_below(to->b + KSAK_AT, MCX_P256_SIZE,
                            8 * MCX_P256_SIZE, 1, mcx_p256_q, env);
}

mcx_err
mcx_kms_master_new(struct mcx_kms_master **out,
                   const struct mcx_kms_secret *secret,
                   const struct mcx_env *env)
{
    struct mcx_kms_master *master = calloc(1, sizeof *master);
    mcx_err err = MCX_E_NOMEM;

    if (!master) {
        return err;
    }
    master->secret = mcx_guard_new(sizeof *master->secret);
    if (master->secret) {
        err = fill_secret(master->secret, secret, env);
    }
    if (err == MCX_OK) {
        err = make_z(master->z, master->secret->b);
    }
    if (err == MCX_OK) {
        mcx_p256()->ops->base_mul(master->kpak, mcx_p256()->g_slow,
                                  master->secret->b + KSAK_AT);
        mcx_p256_burn();
    }
    if (err != MCX_OK) {
        mcx_kms_master_free(master);
        return err;
    }
    *out = master;
    return MCX_OK;
}

void
mcx_kms_master_free(struct mcx_kms_master *master)
{
    if (master) {
        mcx_guard_free(master->secret);
        free(master);
    }
}

void
mcx_kms_master_export(struct mcx_kms_secret *out,
                      const struct mcx_kms_master *master)
{
    *out = *master->secret;
}

void
mcx_kms_master_public(uint8_t z[MCX_SAKKE_PT_SIZE],
                      uint8_t kpak[MCX_ECCSI_PT_SIZE],
                      const struct mcx_kms_master *master)
{
    memcpy(z, master->z, sizeof master->z);
    memcpy(kpak, master->kpak, sizeof master->kpak);
}

/* k = (a + z)^-1 mod q; 0 for 0.  Not inlined: what it leaves on the stack is
 * wiped by the multiplication after it. */
static __attribute__((noinline)) void
rsk_scalar(uint64_t k[MCX_W], const struct mcx_kms_master *master,
           struct mcx_bytes id)
{
    uint8_t a[MCX_FP_SIZE] = { 0 };
    uint64_t z[MCX_W];

    memcpy(a + sizeof a - id.n, id.p, id.n);
    mcx_w_read(k, a);
    mcx_w_read(z, master->secret->b);
    mcx_w_reduce(k, mcx_w_add(k, k, z), mcx_w_q);
    mcx_w_inv(k, k, mcx_w_q, mcx_w_q_k);
    mcx_wipe(z, sizeof z);
}

/* SPEC RFC 6508 6.1.1: [(a + z)^-1 mod q]P; the inverse of 0 is 0 here, and
 * infinity what comes of it. */
mcx_err
mcx_kms_rsk(struct mcx_rsk *rsk, const struct mcx_kms_master *master,
            struct mcx_bytes id)
{
    uint64_t k[MCX_W];
    bool finite = false;
    mcx_err err;

    rsk_scalar(k, master, id);
    err = mul_p(rsk->b, &finite, k);
    mcx_wipe(k, sizeof k);
    return err != MCX_OK ? err : finite ? MCX_OK : MCX_E_ARG;
}

mcx_err
mcx_kms_pair_with(struct mcx_ssk *ssk, uint8_t pvt[MCX_ECCSI_PT_SIZE],
                  const struct mcx_kms_master *master, struct mcx_bytes id,
                  const uint8_t v[MCX_P256_SIZE])
{
    static const uint8_t zero[MCX_P256_SIZE] = { 0 };
    const struct mcx_p256 *p = mcx_p256();
    uint8_t hs[MCX_P256_SIZE];
    bool none;

    p->ops->base_mul(pvt, p->g_slow, v);
    MCX_PUBLIC(pvt, MCX_ECCSI_PT_SIZE);
    MCX_TRY(mcx_eccsi_hs(hs, master->kpak, id, pvt));
    p->ops->muladd_q(ssk->b, master->secret->b + KSAK_AT, hs, v);
    mcx_p256_burn();
    /* SPEC RFC 6507 5.1.1 step 5: SSK = 0 or HS = 0: another v */
    none = mcx_secret_eq(ssk->b, zero, sizeof zero);
    MCX_PUBLIC(&none, sizeof none);
    return none || memcmp(hs, zero, sizeof zero) == 0
                   || memcmp(hs, mcx_p256_q, sizeof hs) == 0
               ? MCX_E_STATE
               : MCX_OK;
}

static mcx_err
issue_pair(struct mcx_ssk *ssk, uint8_t pvt[MCX_ECCSI_PT_SIZE],
           const struct mcx_kms_master *master, struct mcx_bytes id,
           const struct mcx_env *env)
{
    uint8_t v[MCX_P256_SIZE];
    mcx_err err = mcx_random_below(v, sizeof v, 8 * MCX_P256_SIZE, 1,
                                   mcx_p256_q, env);

    if (err == MCX_OK) {
        err = mcx_kms_pair_with(ssk, pvt, master, id, v);
        /* As likely as guessing KSAK: such randomness is not random. */
        err = err == MCX_E_STATE ? MCX_E_IO : err;
    }
    mcx_wipe(v, sizeof v);
    return err;
}

mcx_err
mcx_kms_master_issue(const struct mcx_kms_master *master, struct mcx_bytes id,
                     struct mcx_rsk *rsk, struct mcx_ssk *ssk,
                     uint8_t pvt[MCX_ECCSI_PT_SIZE],
                     const struct mcx_env *env)
{
    mcx_err err;

    mcx_rsk_wipe(rsk);
    mcx_ssk_wipe(ssk);
    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    err = mcx_kms_rsk(rsk, master, id);
    if (err == MCX_OK) {
        err = issue_pair(ssk, pvt, master, id, env);
    }
    if (err != MCX_OK) {
        mcx_rsk_wipe(rsk);
        mcx_ssk_wipe(ssk);
        mcx_wipe(pvt, MCX_ECCSI_PT_SIZE);
    }
    return err;
}
