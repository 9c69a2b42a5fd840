/* kms_pub.c -- a KMS's public keys, checked once and then believed.  See
 * mcx_ident.h. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"
#include "shared.h"

bool
mcx_id_legal(struct mcx_bytes id)
{
    uint8_t n[MCX_FP_SIZE] = { 0 };

    if (id.n == 0 || id.n > MCX_ID_MAX) {
        return false;
    }
    memcpy(n + sizeof n - id.n, id.p, id.n);
    return mcx_in_range(n, 2, mcx_sakke_q, sizeof n);
}

static mcx_err
check_kpak(const uint8_t kpak[MCX_ECCSI_PT_SIZE], struct mcx_why *why)
{
    struct mcx_p256 w;
    EC_POINT *a = NULL;
    mcx_err err = mcx_p256_init(&w);

    if (err == MCX_OK) {
        err = mcx_p256_read(&a, &w, kpak);
    }
    EC_POINT_free(a);
    mcx_p256_fini(&w);
    if (err == MCX_E_NOMEM) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "KPAK", 0, "");
    }
    return err == MCX_OK ? MCX_OK
                         : MCX_REFUSE(why, MCX_R_KEY_POINT, "KPAK", 0,
                                      "RFC 6507 4.2");
}

mcx_err
mcx_kms_pub_new(struct mcx_kms_pub **out, struct mcx_bytes z,
                struct mcx_bytes kpak, struct mcx_why *why)
{
    const struct mcx_shared *sh;
    struct mcx_kms_pub *pub;

    if (z.n != MCX_SAKKE_PT_SIZE) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "Z", z.n, "RFC 6508 4");
    }
    if (kpak.n != MCX_ECCSI_PT_SIZE) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "KPAK", kpak.n,
                          "RFC 6507 3.2");
    }
    MCX_TRY(check_kpak(kpak.p, why));
    sh = mcx_shared();
    if (!sh) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "Z", 0, "");
    }
    if (!sh->ops->order_q(z.p)) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "Z", 0, "RFC 6508 2.2");
    }
    pub = calloc(1, sizeof *pub);
    if (pub) {
        atomic_init(&pub->refs, 1);
        memcpy(pub->z, z.p, sizeof pub->z);
        memcpy(pub->kpak, kpak.p, sizeof pub->kpak);
        pub->z_table = mcx_table_new(sh, pub->z);
        pub->peers = mcx_peers_new();
    }
    if (!pub || !pub->z_table || !pub->peers) {
        mcx_kms_pub_free(pub);
        return MCX_REFUSE(why, MCX_R_MEMORY, "", 0, "");
    }
    *out = pub;
    return MCX_OK;
}

struct mcx_kms_pub *
mcx_kms_pub_ref(struct mcx_kms_pub *pub)
{
    (void)atomic_fetch_add_explicit(&pub->refs, 1, memory_order_relaxed);
    return pub;
}

void
mcx_kms_pub_free(struct mcx_kms_pub *pub)
{
    if (pub
        && atomic_fetch_sub_explicit(&pub->refs, 1, memory_order_acq_rel)
               == 1) {
        mcx_peers_free(pub->peers);
        mcx_big_free(pub->z_table);
        mcx_big_free(atomic_load(&pub->z_lines));
        free(pub);
    }
}

const uint8_t *
mcx_kms_pub_z(const struct mcx_kms_pub *pub)
{
    return pub->z;
}

const uint8_t *
mcx_kms_pub_kpak(const struct mcx_kms_pub *pub)
{
    return pub->kpak;
}
