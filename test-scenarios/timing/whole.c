/* whole.c -- the probes of whole operations: ECCSI signing and SAKKE on the
 * back-end that MCX_CPU names.  Only what is secret differs between the
 * classes: a signature is measured before it is verified, for verifying takes
 * the time that its public octets make it take. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ident/objects.h"
#include "ident/p256.h"
#include "ident/shared.h"
#include "timing.h"

#define MUST(expr)                                                            \
    do {                                                                      \
        if (!(expr)) {                                                        \
            (void)fprintf(stderr, "timing: failed: %s\n", #expr);             \
            exit(2);                                                          \
        }                                                                     \
    } while (0)

/* Ciphertexts and user secrets that the random class draws from; the fixed
 * class has number 0. */
enum { POOL = 64, LINES_POOL = 4, MANY = 8 };

static const uint8_t id[] = "sip:alice@mc.example.org", text[200];
static struct mcx_kms_master *master;
static struct mcx_kms_pub *pub, *pub_warm;
static struct mcx_user_key *key;
static uint8_t enc[POOL][MCX_SAKKE_ENC_SIZE];
static uint8_t rsk[POOL][MCX_SAKKE_PT_SIZE];
static uint8_t *lines, *lines_made; /* LINES_POOL of them; one */
static void *work;

static mcx_err
some(void *ctx, void *out, size_t n)
{
    (void)ctx;
    timing_fill(out, n);
    return MCX_OK;
}
static const struct mcx_env env = { .random = some };

static struct mcx_bytes
name(void)
{
    return mcx_bytes(id, sizeof id - 1);
}

/* A key of another identifier, whose lines are another secret. */
static void
fill_pool(void)
{
    const struct mcx_ops *ops = mcx_shared()->ops;
    int i;

    for (i = 0; i < POOL; i++) {
        MCX_SECRET(mcx_ssv, ssv);
        MCX_SECRET(mcx_rsk, other);
        uint8_t other_id[16];

        timing_fill(ssv.b, sizeof ssv.b);
        timing_fill(other_id, sizeof other_id);
        MUST(mcx_sakke_seal(enc[i], pub, name(), &ssv) == MCX_OK);
        MUST(mcx_kms_rsk(&other, master, mcx_bytes(other_id, 16)) == MCX_OK);
        memcpy(rsk[i], other.b, sizeof rsk[i]);
        if (i < LINES_POOL) {
            MUST(ops->lines(lines + (size_t)i * ops->lines_size, other.b,
                            work));
        }
    }
}

/* 'size' of lines as a secret is the largest of any back-end. */
enum { LINES_MAX = 512 * 1024 };
static size_t lines_size;

void
timing_whole_up(void)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    MCX_SECRET(mcx_rsk, own_rsk);
    MCX_SECRET(mcx_ssk, own_ssk);

    /* Once only: the tables serve every probe. */
    if (key) {
        return;
    }
    MUST(mcx_shared());
    lines_size = mcx_shared()->ops->lines_size;
    MUST(lines_size <= LINES_MAX);
    work = mcx_big_new(MCX_WORK_SIZE);
    lines = mcx_big_new(LINES_POOL * lines_size);
    lines_made = mcx_big_new(lines_size);
    MUST(work && lines && lines_made);
    MUST(mcx_kms_master_new(&master, NULL, &env) == MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    MUST(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                         mcx_bytes(kpak, sizeof kpak), NULL) == MCX_OK);
    MUST(mcx_kms_pub_new(&pub_warm, mcx_bytes(z, sizeof z),
                         mcx_bytes(kpak, sizeof kpak), NULL) == MCX_OK);
    MUST(mcx_sakke_prepare(pub_warm, name()) == MCX_OK);
    MUST(mcx_kms_master_issue(master, name(), &own_rsk, &own_ssk, pvt, &env)
         == MCX_OK);
    MUST(mcx_user_key_new(&key, pub, name(), &own_rsk, &own_ssk, pvt, NULL)
         == MCX_OK);
    fill_pool();
}

/* ---- ECCSI ------------------------------------------------------------- */

/* 1..q-1, the fixed one being 1. */
static void
make_scalar(void *secret, bool fixed)
{
    uint8_t *b = secret;

    do {
        timing_fill(b, MCX_P256_SIZE);
    } while (b[0] == 0xff || b[0] == 0);
    if (fixed) {
        memset(b, 0, MCX_P256_SIZE);
        b[MCX_P256_SIZE - 1] = 1;
    }
}

static void
sign_nonce(const void *secret)
{
    uint8_t sig[MCX_ECCSI_SIG_SIZE];

    timing_sink = (uint64_t)mcx_eccsi_sign_with(
        sig, key, mcx_bytes(text, sizeof text), secret);
}

static void
sign_ssk(const void *secret)
{
    static const uint8_t nonce[MCX_P256_SIZE] = { 0x5a, 7, 9 };

    memcpy(key->secret->ssk.b, secret, MCX_SSK_SIZE);
    sign_nonce(nonce);
}

static void
pair_v(const void *secret)
{
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];

    timing_sink = (uint64_t)mcx_kms_pair_with(&ssk, pvt, master, name(),
                                              secret);
}

/* ---- SAKKE ------------------------------------------------------------- */

static void
make_enc(void *secret, bool fixed)
{
    size_t any = (size_t)(timing_draw() % POOL);

    memcpy(secret, enc[fixed ? 0 : any], sizeof enc[0]);
}

static void
run_open(const void *secret)
{
    MCX_SECRET(mcx_ssv, ssv);

    timing_sink = (uint64_t)mcx_sakke_open(
        &ssv, key, mcx_bytes(secret, sizeof enc[0]), NULL);
}

static void
make_lines(void *secret, bool fixed)
{
    size_t any = (size_t)(timing_draw() % LINES_POOL);

    memcpy(secret, lines + (fixed ? 0 : any) * lines_size, lines_size);
}

static void
run_pair(const void *secret)
{
    uint8_t w[MCX_FP_SIZE];
    bool defined;

    timing_sink = mcx_shared()->ops->pair(w, &defined, secret, key->point);
}

static void
make_rsk(void *secret, bool fixed)
{
    size_t any = (size_t)(timing_draw() % POOL);

    memcpy(secret, rsk[fixed ? 0 : any], sizeof rsk[0]);
}

static void
run_order(const void *secret)
{
    timing_sink = mcx_shared()->ops->order_q(secret);
}

static void
run_lines(const void *secret)
{
    timing_sink = mcx_shared()->ops->lines(lines_made, secret, work);
}

static void
run_check(const void *secret)
{
    MCX_SECRET(mcx_rsk, it);

    memcpy(it.b, secret, sizeof it.b);
    timing_sink = (uint64_t)mcx_sakke_check_rsk(pub, name(), &it);
}

/* Of another secret in each place. */
static void
make_encs(void *secret, bool fixed)
{
    uint8_t (*to)[MCX_SAKKE_ENC_SIZE] = secret;
    int i;

    for (i = 0; i < MANY; i++) {
        make_enc(to[i], fixed);
    }
}

static void
run_open_many(const void *secret)
{
    const uint8_t (*from)[MCX_SAKKE_ENC_SIZE] = secret;
    static struct mcx_sakke_job job[MANY];
    int i;

    for (i = 0; i < MANY; i++) {
        job[i].enc = mcx_bytes(from[i], MCX_SAKKE_ENC_SIZE);
    }
    mcx_sakke_open_many(job, MANY, key);
    timing_sink = (uint64_t)job[MANY - 1].err;
    mcx_wipe(job, sizeof job);
}

static void
make_ssv(void *secret, bool fixed)
{
    timing_fill(secret, MCX_SSV_SIZE);
    if (fixed) {
        memset(secret, 0, MCX_SSV_SIZE);
    }
}

static void
seal_to(const struct mcx_kms_pub *kms, const void *secret)
{
    uint8_t out[MCX_SAKKE_ENC_SIZE];

    timing_sink = (uint64_t)mcx_sakke_seal(out, kms, name(), secret);
}

static void
run_seal_new(const void *secret)
{
    seal_to(pub, secret);
}

static void
run_seal_known(const void *secret)
{
    seal_to(pub_warm, secret);
}

static void
make_master(void *secret, bool fixed)
{
    uint8_t *b = secret;

    timing_fill(b, MCX_FP_SIZE);
    b[0] &= 0x1f; /* q has 1022 bits */
    if (fixed) {
        memset(b, 0, MCX_FP_SIZE);
        b[MCX_FP_SIZE - 1] = 2;
    }
}

static void
run_issue(const void *secret)
{
    MCX_SECRET(mcx_rsk, out);

    memcpy(master->secret->b, secret, MCX_FP_SIZE);
    timing_sink = (uint64_t)mcx_kms_rsk(&out, master, name());
}

enum { SIGNING = 100000, SAKKE = 10000 };

const struct probe timing_whole[] = {
    { "ECCSI signing: nonce", SIGNING, MCX_P256_SIZE, make_scalar,
      sign_nonce, false },
    { "ECCSI signing: SSK", SIGNING, MCX_P256_SIZE, make_scalar, sign_ssk,
      false },
    { "ECCSI issuing: nonce", SIGNING, MCX_P256_SIZE, make_scalar, pair_v,
      false },
    { "SAKKE open: SSV", SAKKE, MCX_SAKKE_ENC_SIZE, make_enc, run_open,
      false },
    { "SAKKE open, eight: SSVs", SAKKE / MANY, MANY * MCX_SAKKE_ENC_SIZE,
      make_encs, run_open_many, false },
    { "SAKKE pairing: lines of RSK", SAKKE, LINES_MAX, make_lines, run_pair,
      false },
    { "SAKKE order of RSK", SAKKE, MCX_SAKKE_PT_SIZE, make_rsk, run_order,
      false },
    { "SAKKE check of RSK", SAKKE, MCX_SAKKE_PT_SIZE, make_rsk, run_check,
      false },
    { "SAKKE lines of RSK made", SAKKE, MCX_SAKKE_PT_SIZE, make_rsk,
      run_lines, false },
    { "SAKKE seal, new peer: SSV", SAKKE, MCX_SSV_SIZE, make_ssv,
      run_seal_new, false },
    { "SAKKE seal, known peer: SSV", SAKKE, MCX_SSV_SIZE, make_ssv,
      run_seal_known, false },
    { "SAKKE issuing: master secret", SAKKE, MCX_FP_SIZE, make_master,
      run_issue, false },
    { 0 },
};
