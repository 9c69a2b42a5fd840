/* fuzz_open.c -- opening a message with real keys behind it.
 * With MCX_FUZZ_SEEDS=DIR it first writes good messages there.
 *
 * The first octet of the input chooses: bit 0, sign what follows again as the
 * function (so that what lies behind the signature is reached too); bit 1, the
 * stored-document window; bits 2 and 3, peer options.  Keys come from a KMS
 * with fixed secrets, time stands still.  Promises held: nothing but a good
 * message gives a key, and after a refusal the key is all zero. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_mikey.h>
#include "fuzz.h"

enum { NOW_S = 1780000000 };
static const char *const psi = "sip:pf.mcx.test", *const user = "sip:a@b.c";
static struct mcx_env env;
static struct mcx_ring *ring;
static struct mcx_user_key *psi_key;
static uint64_t counter;

static int64_t
still_ms(void *ctx)
{
    (void)ctx;
    return (int64_t)NOW_S * 1000;
}

static mcx_err
counted(void *ctx, void *out, size_t n)
{
    uint8_t *p = out;

    (void)ctx;
    while (n-- > 0) {
        counter = counter * UINT64_C(6364136223846793005)
                  + UINT64_C(1442695040888963407);
        *p++ = (uint8_t)(counter >> 56);
    }
    return MCX_OK;
}

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static struct mcx_user_key *
issue(struct mcx_kms_master *master, struct mcx_kms_pub *pub,
      const struct mcx_kms_info *info, const char *uri, uint64_t no)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    struct mcx_bytes id;
    struct mcx_uid uid;

    FUZZ_HOLDS(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(info->uri),
                       &info->period, no)
               == MCX_OK);
    id = mcx_bytes(uid.b, sizeof uid.b);
    FUZZ_HOLDS(mcx_kms_master_issue(master, id, &rsk, &ssk, pvt, &env)
               == MCX_OK);
    FUZZ_HOLDS(mcx_user_key_new(&key, pub, id, &rsk, &ssk, pvt, NULL)
               == MCX_OK);
    FUZZ_HOLDS(mcx_ring_add_user(ring, uri, info->uri, no, key) == MCX_OK);
    return key;
}

static void
set_up(void)
{
    static struct mcx_kms_secret secret;
    struct mcx_kms_info info = { .uri = "kms.mcx.test", .root = true,
                                 .period = { .length_s = 2592000 } };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_master *master = NULL;
    struct mcx_kms_pub *pub = NULL;
    uint64_t no = 0;

    env = *mcx_env_system();
    env.unix_ms = still_ms;
    env.random = counted;
    env.log = no_log;
    memset(secret.b, 0x11, sizeof secret.b);
    FUZZ_HOLDS(mcx_ring_new(&ring, &env) == MCX_OK);
    FUZZ_HOLDS(mcx_kms_master_new(&master, &secret, &env) == MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    FUZZ_HOLDS(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                               mcx_bytes(kpak, sizeof kpak), NULL)
               == MCX_OK);
    FUZZ_HOLDS(mcx_ring_add_kms(ring, &info, pub) == MCX_OK);
    FUZZ_HOLDS(mcx_period_no(&no, &info.period, NOW_S + MCX_NTP_UNIX_DIFF)
               == MCX_OK);
    psi_key = issue(master, pub, &info, psi, no);
    mcx_user_key_free(issue(master, pub, &info, user, no));
    mcx_kms_master_free(master);
    mcx_kms_pub_free(pub);
}

/* Writes one good message of each kind into 'dir': how the corpus was made. */
static void
write_seeds(const char *dir)
{
    unsigned kind;

    for (kind = 0; kind < MCX_KIND_COUNT; kind++) {
        struct mcx_key_params params = { .present = true, .status = 1 };
        struct mcx_build how = { .env = &env, .ring = ring, .kind = kind,
                                 .from = psi, .to = user };
        uint8_t out[4096];
        size_t n = sizeof out - 1;
        char path[512];

        how.params = kind == MCX_KIND_GMK ? &params : NULL;
        how.hide_initiator = kind == MCX_KIND_MKFC;
        how.sakke_to_self = kind == MCX_KIND_PCK;
        out[0] = kind & 1;
        if (mcx_mikey_build(out + 1, &n, NULL, &how, NULL) == MCX_OK) {
            (void)snprintf(path, sizeof path, "%s/%s", dir,
                           mcx_kind_word(kind));
            FUZZ_HOLDS(env.write_file(env.ctx, path, mcx_bytes(out, n + 1),
                                      0644)
                       == MCX_OK);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct mcx_mikey_msg m;
    static const uint8_t zero[MCX_SSV_SIZE];
    struct mcx_why why = { 0 };
    struct mcx_open how = { 0 };
    uint8_t *copy;
    mcx_err err;
    MCX_SECRET(mcx_key_msg, km);

    if (!ring) {
        set_up();
        if (getenv("MCX_FUZZ_SEEDS")) {
            write_seeds(getenv("MCX_FUZZ_SEEDS"));
        }
    }
    if (n < 2) {
        return 0;
    }
    copy = malloc(n - 1);
    if (!copy) {
        return 0;
    }
    memcpy(copy, data + 1, n - 1);
    if (mcx_mikey_parse(&m, mcx_bytes(copy, n - 1), &why) == MCX_OK) {
        if ((data[0] & 1) && m.sign_at) {
            FUZZ_HOLDS(mcx_eccsi_sign(copy + m.signed_size, psi_key,
                                      mcx_bytes(copy, m.signed_size), &env)
                       == MCX_OK);
        }
        how.env = &env;
        how.ring = ring;
        how.self = user;
        how.from = psi;
        how.window = data[0] & 2 ? MCX_WINDOW_STORED : MCX_WINDOW_LIVE;
        how.peer = (data[0] & 4 ? MCX_PEER_SIGN_WITHOUT_HEADER : 0)
                   | (data[0] & 8 ? MCX_PEER_REL13_PARAMS : 0);
        err = mcx_mikey_open(&km, &m, &how, &why);
        if (err != MCX_OK) {
            FUZZ_HOLDS(why.reason != MCX_R_NONE);
            FUZZ_HOLDS(memcmp(km.key.b, zero, sizeof zero) == 0);
        } else {
            FUZZ_HOLDS(strcmp(km.initiator, psi) == 0);
        }
    }
    free(copy);
    return 0;
}
