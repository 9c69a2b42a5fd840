/* test_ct_sakke.c -- the constant-time check of SAKKE: every secret is marked
 * undefined, and the checker (valgrind's memcheck, or clang's MemorySanitizer)
 * complains wherever a branch or an address depends on one.  Run by make
 * check-ct for the back-end that MCX_CPU names; with the argument "leak" it
 * makes such a branch on purpose, so that the check itself is checked. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "field/public.h"
#include "ident/objects.h"
#include "ident/shared.h"

static const uint8_t id[20] = "2011-02\0tel:+447700";

#define MUST(expr)                                                            \
    do {                                                                      \
        if (!(expr)) {                                                        \
            (void)fprintf(stderr, "test_ct_sakke: failed: %s\n", #expr);      \
            exit(2);                                                          \
        }                                                                     \
    } while (0)

static mcx_err
some(void *ctx, void *out, size_t n)
{
    memset(out, ++*(uint8_t *)ctx & 0x1f, n);
    return MCX_OK;
}

/* Opening has no key object without ECCSI's part, which is OpenSSL's affair:
 * here is one with SAKKE's part alone. */
static void
fill_key(struct mcx_user_key *key, struct mcx_rsk *rsk)
{
    static const uint8_t other[2] = { 5, 6 };
    struct mcx_user_secret *secret = mcx_guard_new(sizeof *secret);

    MUST(secret);
    key->secret = secret;
    key->tables = &key->made;
    secret->rsk = *rsk;
    MCX_HIDDEN(secret->rsk.b, sizeof secret->rsk.b);
    MUST(mcx_sakke_check_rsk(key->pub, mcx_user_key_id(key), &secret->rsk)
         == MCX_OK);
    MUST(mcx_sakke_check_rsk(key->pub, mcx_bytes(other, sizeof other),
                             &secret->rsk) == MCX_E_AUTH);
    MUST(mcx_sakke_identity(key->point, key->pub, mcx_user_key_id(key))
         == MCX_OK);
    MCX_HIDDEN(secret->rsk.b, sizeof secret->rsk.b);
    MUST(mcx_user_key_prepare(key) == MCX_OK);
}

static void
seal_and_open(struct mcx_user_key *key)
{
    uint8_t enc[MCX_SAKKE_ENC_SIZE], bad[MCX_SAKKE_ENC_SIZE];
    struct mcx_sakke_job job[MCX_BATCH];
    struct mcx_ssv ssv, back;
    int i;

    for (i = 0; i < 2; i++) {
        memset(&ssv, 0x5a, sizeof ssv);
        MCX_HIDDEN(&ssv, sizeof ssv);
        MUST(mcx_sakke_seal(enc, key->pub, mcx_user_key_id(key), &ssv)
             == MCX_OK);
        MCX_PUBLIC(enc, sizeof enc);
        MUST(mcx_sakke_open(&back, key, mcx_bytes(enc, sizeof enc), NULL)
             == MCX_OK);
        MCX_PUBLIC(&back, sizeof back);
        MCX_PUBLIC(&ssv, sizeof ssv);
        MUST(memcmp(&ssv, &back, sizeof ssv) == 0);
        MUST(mcx_sakke_prepare(key->pub, mcx_user_key_id(key)) == MCX_OK);
    }
    /* Refused, alone and among others: what was found is as secret. */
    memcpy(bad, enc, sizeof bad);
    bad[sizeof bad - 1] ^= 1;
    MUST(mcx_sakke_open(&back, key, mcx_bytes(bad, sizeof bad), NULL)
         == MCX_E_AUTH);
    for (i = 0; i < MCX_BATCH; i++) {
        job[i].enc = mcx_bytes(i == 3 ? bad : enc, sizeof enc);
    }
    mcx_sakke_open_many(job, MCX_BATCH, key);
    for (i = 0; i < MCX_BATCH; i++) {
        MUST(job[i].err == (i == 3 ? MCX_E_AUTH : MCX_OK));
        MCX_PUBLIC(&job[i].ssv, sizeof job[i].ssv);
        MUST(i == 3 || memcmp(&ssv, &job[i].ssv, sizeof ssv) == 0);
    }
}

int
main(int argc, char **argv)
{
    static uint8_t seed;
    struct mcx_env env = { .ctx = &seed, .random = some };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key key = { .id_n = sizeof id };
    struct mcx_kms_master *master;
    struct mcx_rsk rsk;

    memcpy(key.id, id, sizeof id);
    MUST(mcx_kms_master_new(&master, NULL, &env) == MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    MUST(mcx_kms_pub_new(&key.pub, mcx_bytes(z, sizeof z),
                         mcx_bytes(kpak, sizeof kpak), NULL) == MCX_OK);
    MCX_HIDDEN(master->secret, MCX_FP_SIZE);
    MUST(mcx_kms_rsk(&rsk, master, mcx_user_key_id(&key)) == MCX_OK);
    fill_key(&key, &rsk);
    seal_and_open(&key);
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        (void)printf("%s\n", rsk.b[9] & 1 ? "odd" : "even");
    }
    (void)printf("test_ct_sakke: %s done\n", mcx_shared()->ops->name);
    mcx_guard_free(key.secret);
    mcx_guard_free(atomic_load(&key.made.lines));
    mcx_big_free(atomic_load(&key.made.point));
    mcx_kms_pub_free(key.pub);
    mcx_kms_master_free(master);
    return 0;
}
