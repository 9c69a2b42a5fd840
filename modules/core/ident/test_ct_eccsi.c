/* test_ct_eccsi.c -- the constant-time check of ECCSI, as test_ct_sakke.c is
 * that of SAKKE: KSAK, v, SSK, the nonce and what it is made from are marked
 * undefined, and the checker complains wherever a branch or an address depends
 * on one.  Run by make check-ct; with the argument "leak" it makes such a
 * branch on purpose. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "field/public.h"
#include "ident/objects.h"
#include "ident/p256.h"
#include "ident/shared.h"

static const uint8_t name[20] = "2011-02\0tel:+447700";
static const uint8_t text[70] = "message";

#define MUST(expr)                                                            \
    do {                                                                      \
        if (!(expr)) {                                                        \
            (void)fprintf(stderr, "test_ct_eccsi: failed: %s\n", #expr);      \
            exit(2);                                                          \
        }                                                                     \
    } while (0)

static mcx_err
some(void *ctx, void *out, size_t n)
{
    memset(out, ++*(uint8_t *)ctx & 0x1f, n);
    return MCX_OK;
}

static mcx_err
some_hidden(void *ctx, void *out, size_t n)
{
    (void)some(ctx, out, n);
    MCX_HIDDEN(out, n);
    return MCX_OK;
}

/* The KMS: KPAK anew from KSAK, and a pair. */
static void
issue(struct mcx_ssk *ssk, uint8_t pvt[MCX_ECCSI_PT_SIZE],
      struct mcx_kms_master *master)
{
    const struct mcx_p256 *p = mcx_p256();
    uint8_t v[MCX_P256_SIZE] = { 0x5a, 7, 9 }, kpak[MCX_ECCSI_PT_SIZE];

    MCX_HIDDEN(master->secret, sizeof *master->secret);
    p->ops->base_mul(kpak, p->g_slow, master->secret->b + MCX_FP_SIZE);
    MCX_PUBLIC(kpak, sizeof kpak);
    MUST(memcmp(kpak, master->kpak, sizeof kpak) == 0);
    MCX_HIDDEN(v, sizeof v);
    MUST(mcx_kms_pair_with(ssk, pvt, master, mcx_bytes(name, sizeof name), v)
         == MCX_OK);
    MCX_HIDDEN(ssk, sizeof *ssk);
}

/* A nonce that is given, and one that is made. */
static void
sign(const struct mcx_user_key *key, const struct mcx_env *env)
{
    struct mcx_bytes msg = mcx_bytes(text, sizeof text);
    uint8_t j[MCX_P256_SIZE] = { 0x77, 1, 2 }, sig[MCX_ECCSI_SIG_SIZE];
    int i;

    for (i = 0; i < 2; i++) {
        MCX_HIDDEN(j, sizeof j);
        MUST((i ? mcx_eccsi_sign(sig, key, msg, env)
                : mcx_eccsi_sign_with(sig, key, msg, j)) == MCX_OK);
        MCX_PUBLIC(sig, sizeof sig);
        MUST(mcx_eccsi_verify(key->pub, mcx_user_key_id(key), msg,
                              mcx_bytes(sig, sizeof sig), NULL) == MCX_OK);
    }
}

int
main(int argc, char **argv)
{
    static uint8_t seed;
    struct mcx_env env = { .ctx = &seed, .random = some };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_master *master;
    struct mcx_user_key *key, *none;
    struct mcx_kms_pub *pub;
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;

    MUST(mcx_kms_master_new(&master, NULL, &env) == MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    MUST(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                         mcx_bytes(kpak, sizeof kpak), NULL) == MCX_OK);
    MUST(mcx_kms_rsk(&rsk, master, mcx_bytes(name, sizeof name)) == MCX_OK);
    issue(&ssk, pvt, master);
    MUST(mcx_user_key_new(&key, pub, mcx_bytes(name, sizeof name), &rsk, &ssk,
                          pvt, NULL) == MCX_OK);
    MUST(mcx_user_key_new(&none, pub, mcx_bytes(name, sizeof name - 1), &rsk,
                          &ssk, pvt, NULL) == MCX_E_AUTH);
    env.random = some_hidden;
    sign(key, &env);
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        (void)printf("%s\n", ssk.b[9] & 1 ? "odd" : "even");
    }
    (void)printf("test_ct_eccsi: %s done\n", mcx_shared()->ops->name);
    mcx_user_key_free(key);
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
    return 0;
}
