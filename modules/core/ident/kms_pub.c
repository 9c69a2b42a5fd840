/* kms_pub.c -- a KMS's public keys, checked once and then believed.  See
 * mcx_ident.h. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"
#include "shared.h"
#include "signers.h"

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

mcx_err
mcx_kms_pub_new(struct mcx_kms_pub **out, struct mcx_bytes z,
                struct mcx_bytes kpak, struct mcx_why *why)
{
    const struct mcx_shared *sh;
    struct mcx_p256_point point;
    struct mcx_kms_pub *pub;

    if (z.n != MCX_SAKKE_PT_SIZE) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "Z", z.n, "RFC 6508 4");
    }
    if (kpak.n != MCX_ECCSI_PT_SIZE) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "KPAK", kpak.n,
                          "RFC 6507 3.2");
    }
    if (!mcx_p256()->ops->read(&point, kpak.p)) {
        return MCX_REFUSE(why, MCX_R_KEY_POINT, "KPAK", 0, "RFC 6507 4.2");
    }
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
        pub->kpak_point = point;
        pub->kpak_table = mcx_p256_table_new(&point, MCX_KPAK_W, 1);
        pub->signers = mcx_signers_new();
    }
    if (!pub || !pub->z_table || !pub->peers || !pub->kpak_table
        || !pub->signers) {
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
        mcx_signers_free(pub->signers);
        mcx_big_free(pub->kpak_table);
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
