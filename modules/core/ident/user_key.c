/* user_key.c -- a user's keys for one identifier, accepted as RFC 6507 5.1.2
 * and RFC 6508 6.1.2 ask before anything signs or opens with them.  See
 * mcx_ident.h.  sakke.c and eccsi.c do the signing and opening. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"
#include "shared.h"
#include "../field/public.h"

/* KPAK = [SSK]G - [HS]PVT, asked as [SSK]G = KPAK + [HS]PVT: what is added
 * and compared is public.  The sum is Y, whose table checks our signatures. */
static mcx_err
check_pair(bool *fits, struct mcx_user_key *key,
           const struct mcx_p256_point *pvt)
{
    const struct mcx_p256 *p = mcx_p256();
    uint8_t have[MCX_ECCSI_PT_SIZE];
    struct mcx_p256_point y, z;

    p->ops->base_mul(have, p->g_slow, key->secret->ssk.b);
    mcx_p256_burn();
    MCX_PUBLIC(have, sizeof have);
    *fits = mcx_eccsi_y(&y, key->pub, pvt, key->hs)
            && p->ops->read(&z, have) && memcmp(&y, &z, sizeof y) == 0;
    if (!*fits) {
        return MCX_OK;
    }
    key->y_table = mcx_p256_table_new(&y, MCX_OWN_Y_W, 1);
    return key->y_table ? MCX_OK : MCX_E_NOMEM;
}

static mcx_err
accept_signing(struct mcx_user_key *key, struct mcx_why *why)
{
    static const uint8_t zero[MCX_P256_SIZE] = { 0 };
    struct mcx_p256_point pvt;
    uint8_t hs_mod_q[MCX_P256_SIZE];
    bool fits = mcx_in_range(key->secret->ssk.b, 1, mcx_p256_q,
                             MCX_P256_SIZE);

    /* SPEC RFC 6507 5.1.1 step 5, 5.1.2 */
    MCX_PUBLIC(&fits, sizeof fits);
    if (!fits) {
        return MCX_REFUSE(why, MCX_R_KEY_RANGE, "SSK", 0, "RFC 6507 5.1.1");
    }
    if (!mcx_p256()->ops->read(&pvt, key->pvt)) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "PVT", 0, "RFC 6507 5.1.2");
    }
    MCX_TRY(mcx_eccsi_hs(key->hs, key->pub->kpak, mcx_user_key_id(key),
                         key->pvt));
    mcx_p256()->ops->muladd_q(hs_mod_q, key->hs, zero, zero);
    MCX_TRY(check_pair(&fits, key, &pvt));
    if (!fits || memcmp(hs_mod_q, zero, sizeof zero) == 0) {
        return MCX_REFUSE(why, MCX_R_KEY_CHECK, "SSK", 0, "RFC 6507 5.1.2");
    }
    return MCX_OK;
}

/* I = [a]P + Z for 'id', which is legal.  MCX_E_STATE: infinity. */
mcx_err
mcx_sakke_identity(uint8_t point[MCX_SAKKE_PT_SIZE],
                   const struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    const struct mcx_shared *sh = mcx_shared();
    uint8_t a[MCX_FP_SIZE] = { 0 }, ap[MCX_SAKKE_PT_SIZE];
    uint64_t k[MCX_W];

    if (!sh) {
        return MCX_E_NOMEM;
    }
    memcpy(a + sizeof a - id.n, id.p, id.n);
    mcx_w_read(k, a);
    return sh->ops->mul(ap, sh->p, k, NULL, NULL, NULL, NULL, NULL)
                   && sh->ops->add(point, ap, pub->z)
               ? MCX_OK
               : MCX_E_STATE;
}

/* The equation as <[a]P + Z, RSK> = g with the lines of P and Z: RSK's own
 * are wanted for opening only, and cost five times as much as this. */
mcx_err
mcx_sakke_check_rsk(struct mcx_kms_pub *pub, struct mcx_bytes id,
                    const struct mcx_rsk *rsk)
{
    const struct mcx_shared *sh = mcx_shared();
    const void *p_lines = mcx_p_lines();
    const void *z_lines = mcx_lines_once(&pub->z_lines, pub->z, false);
    uint8_t a[MCX_FP_SIZE] = { 0 };
    uint64_t k[MCX_W];

    if (!sh || !p_lines || !z_lines) {
        return MCX_E_NOMEM;
    }
    if (!sh->ops->order_q(rsk->b)) {
        return MCX_E_MALFORMED;
    }
    memcpy(a + sizeof a - id.n, id.p, id.n);
    mcx_w_read(k, a);
    return sh->ops->gives_g(p_lines, z_lines, k, rsk->b) ? MCX_OK
                                                          : MCX_E_AUTH;
}

static mcx_err
accept_receiving(struct mcx_user_key *key, struct mcx_why *why)
{
    mcx_err err = mcx_sakke_check_rsk(key->pub, mcx_user_key_id(key),
                                      &key->secret->rsk);

    if (err == MCX_OK) { /* not infinity, of which the value were 1 */
        err = mcx_sakke_identity(key->point, key->pub, mcx_user_key_id(key));
    }
    return err == MCX_E_MALFORMED
               ? MCX_REFUSE(why, MCX_R_KEY_POINT, "RSK", 0, "RFC 6508 6.1.2")
           : err == MCX_E_AUTH
               ? MCX_REFUSE(why, MCX_R_KEY_CHECK, "RSK", 0, "RFC 6508 6.1.2")
               : err;
}

mcx_err
mcx_user_key_prepare(const struct mcx_user_key *key)
{
    const struct mcx_shared *sh = mcx_shared();
    struct mcx_point_table *none = NULL, *t;

    if (!sh || !mcx_lines_once(&key->tables->lines, key->secret->rsk.b,
                               true)) {
        return MCX_E_NOMEM;
    }
    if (!atomic_load_explicit(&key->tables->point, memory_order_acquire)) {
        t = mcx_table_new(sh, key->point);
        if (!t) {
            return MCX_E_NOMEM;
        }
        if (!atomic_compare_exchange_strong(&key->tables->point, &none, t)) {
            mcx_big_free(t); /* another thread was faster */
        }
    }
    return MCX_OK;
}

mcx_err
mcx_user_key_new(struct mcx_user_key **out, struct mcx_kms_pub *pub,
                 struct mcx_bytes id, const struct mcx_rsk *rsk,
                 const struct mcx_ssk *ssk,
                 const uint8_t pvt[MCX_ECCSI_PT_SIZE], struct mcx_why *why)
{
    struct mcx_user_key *key;
    mcx_err err;

    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    key = calloc(1, sizeof *key);
    if (!key) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "", 0, "");
    }
    atomic_init(&key->refs, 1);
    key->tables = &key->made;
    key->pub = mcx_kms_pub_ref(pub);
    key->id_n = id.n;
    memcpy(key->id, id.p, id.n);
    memcpy(key->pvt, pvt, sizeof key->pvt);
    err = MCX_E_NOMEM;
    key->secret = mcx_guard_new(sizeof *key->secret);
    if (key->secret) {
        key->secret->rsk = *rsk;
        key->secret->ssk = *ssk;
        err = accept_signing(key, why);
        if (err == MCX_OK) {
            err = accept_receiving(key, why);
        }
    }
    if (err != MCX_OK) {
        mcx_user_key_free(key);
        return err == MCX_E_NOMEM ? MCX_REFUSE(why, MCX_R_MEMORY, "", 0, "")
                                  : err;
    }
    *out = key;
    return MCX_OK;
}

struct mcx_user_key *
mcx_user_key_ref(struct mcx_user_key *key)
{
    (void)atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void
mcx_user_key_free(struct mcx_user_key *key)
{
    if (key
        && atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel)
               == 1) {
        mcx_guard_free(key->secret);
        mcx_guard_free(atomic_load(&key->made.lines));
        mcx_big_free(atomic_load(&key->made.point));
        mcx_big_free(key->y_table);
        mcx_kms_pub_free(key->pub);
        free(key);
    }
}

struct mcx_bytes
mcx_user_key_id(const struct mcx_user_key *key)
{
    return mcx_bytes(key->id, key->id_n);
}

const struct mcx_kms_pub *
mcx_user_key_kms(const struct mcx_user_key *key)
{
    return key->pub;
}
