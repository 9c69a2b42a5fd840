/* test_wolfssl.c -- SAKKE and ECCSI against another implementation: what we
 * seal and sign wolfCrypt opens and verifies, what it seals and signs we do,
 * with keys of either KMS.
 *
 * Good input only.  Debian's wolfCrypt 5.5.4 is no judge of bad input: its
 * ECCSI verify lacks the ranges of r and s.  GPL, so linked by this test and
 * by nothing that is installed. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_ident.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/eccsi.h>
#include <wolfssl/wolfcrypt/sakke.h>

enum { AUTH_SIZE = MCX_SAKKE_PT_SIZE, ROUNDS = 4 };

/* wolfCrypt's side of one KMS. */
struct wolf {
    SakkeKey sakke;
    EccsiKey eccsi;
    WC_RNG rng;
};

static const struct mcx_env *env;

/* Identifiers of the sizes that occur: a UID, the monthly tel form, one
 * octet, the longest that is below q whatever its octets are. */
static struct mcx_bytes
identifier(int i)
{
    static const uint8_t tel[] = "2011-02\0tel:+447700900123";
    static uint8_t uid[MCX_UID_SIZE], small[1] = { 2 }, big[127];

    memset(uid, 0xc3 + i, sizeof uid);
    memset(big, 0xff, sizeof big);
    switch (i % ROUNDS) {
    case 0:
        return mcx_bytes(uid, sizeof uid);
    case 1:
        return mcx_bytes(tel, sizeof tel);
    case 2:
        return mcx_bytes(small, sizeof small);
    default:
        return mcx_bytes(big, sizeof big);
    }
}

static void
wolf_open(struct wolf *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(wc_InitRng(&w->rng), 0);
    assert_int_equal(wc_InitSakkeKey_ex(&w->sakke, 128, ECC_SAKKE_1, NULL,
                                        INVALID_DEVID), 0);
    assert_int_equal(wc_InitEccsiKey(&w->eccsi, NULL, INVALID_DEVID), 0);
}

static void
wolf_close(struct wolf *w)
{
    wc_FreeSakkeKey(&w->sakke);
    wc_FreeEccsiKey(&w->eccsi);
    assert_int_equal(wc_FreeRng(&w->rng), 0);
}

/* One KMS as both sides see it, and the keys of one identifier. */
struct side {
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    struct mcx_kms_pub *pub;
    struct mcx_user_key *key;
};

/* The checks of RFC 6507 5.1.2 and RFC 6508 6.1.2 are our judgement of the
 * keys, whoever made them. */
static void
side_open(struct side *s, struct mcx_bytes id)
{
    assert_int_equal(mcx_kms_pub_new(&s->pub, mcx_bytes(s->z, sizeof s->z),
                                     mcx_bytes(s->kpak, sizeof s->kpak),
                                     NULL), MCX_OK);
    assert_int_equal(mcx_user_key_new(&s->key, s->pub, id, &s->rsk, &s->ssk,
                                      s->pvt, NULL), MCX_OK);
}

static void
side_close(struct side *s)
{
    mcx_user_key_free(s->key);
    mcx_kms_pub_free(s->pub);
}

/* Our KMS, known to wolfCrypt by its public keys. */
static void
our_kms(struct side *s, struct wolf *w, struct mcx_bytes id)
{
    struct mcx_kms_master *master = NULL;

    memset(s, 0, sizeof *s);
    assert_int_equal(mcx_kms_master_new(&master, NULL, env), MCX_OK);
    mcx_kms_master_public(s->z, s->kpak, master);
    assert_int_equal(mcx_kms_master_issue(master, id, &s->rsk, &s->ssk,
                                          s->pvt, env), MCX_OK);
    mcx_kms_master_free(master);
    assert_int_equal(wc_ImportSakkePublicKey(&w->sakke, s->z, sizeof s->z,
                                             1), 0);
    assert_int_equal(wc_ImportEccsiPublicKey(&w->eccsi, s->kpak,
                                             sizeof s->kpak, 1), 0);
    side_open(s, id);
}

/* wolfCrypt's KMS, known to us by its public keys. */
static void
their_kms(struct side *s, struct wolf *w, struct mcx_bytes id)
{
    ecc_point *rsk = wc_ecc_new_point(), *pvt = wc_ecc_new_point();
    word32 n = sizeof s->z;
    mp_int ssk;

    memset(s, 0, sizeof *s);
    assert_true(rsk && pvt);
    assert_int_equal(mp_init(&ssk), 0);
    assert_int_equal(wc_MakeSakkeKey(&w->sakke, &w->rng), 0);
    assert_int_equal(wc_ExportSakkePublicKey(&w->sakke, s->z, &n, 0), 0);
    assert_int_equal(n, sizeof s->z);
    assert_int_equal(wc_MakeSakkeRsk(&w->sakke, id.p, (word16)id.n, rsk), 0);
    n = sizeof s->rsk.b;
    assert_int_equal(wc_EncodeSakkeRsk(&w->sakke, rsk, s->rsk.b, &n, 0), 0);
    assert_int_equal(n, sizeof s->rsk.b);
    assert_int_equal(wc_MakeEccsiKey(&w->eccsi, &w->rng), 0);
    n = sizeof s->kpak;
    assert_int_equal(wc_ExportEccsiPublicKey(&w->eccsi, s->kpak, &n, 0), 0);
    assert_int_equal(n, sizeof s->kpak);
    assert_int_equal(wc_MakeEccsiPair(&w->eccsi, &w->rng, WC_HASH_TYPE_SHA256,
                                      id.p, (word32)id.n, &ssk, pvt), 0);
    n = sizeof s->ssk.b;
    assert_int_equal(wc_EncodeEccsiSsk(&w->eccsi, &ssk, s->ssk.b, &n), 0);
    assert_int_equal(n, sizeof s->ssk.b);
    n = sizeof s->pvt;
    assert_int_equal(wc_EncodeEccsiPvt(&w->eccsi, pvt, s->pvt, &n, 0), 0);
    assert_int_equal(n, sizeof s->pvt);
    mp_clear(&ssk);
    wc_ecc_del_point(rsk);
    wc_ecc_del_point(pvt);
    side_open(s, id);
}

static void
ssv_both_ways(const struct side *s, struct wolf *w, struct mcx_bytes id)
{
    struct mcx_ssv ssv, got;
    uint8_t enc[MCX_SAKKE_ENC_SIZE];
    uint8_t *hint = enc + AUTH_SIZE;
    ecc_point *rsk = wc_ecc_new_point();
    word16 n = AUTH_SIZE;

    assert_non_null(rsk);
    assert_int_equal(env->random(env->ctx, ssv.b, sizeof ssv.b), MCX_OK);
    assert_int_equal(wc_SetSakkeIdentity(&w->sakke, id.p, (word16)id.n), 0);
    /* Ours to them; they decrypt the hint in place. */
    assert_int_equal(mcx_sakke_seal(enc, s->pub, id, &ssv), MCX_OK);
    assert_int_equal(wc_DecodeSakkeRsk(&w->sakke, s->rsk.b, sizeof s->rsk.b,
                                       rsk), 0);
    assert_int_equal(wc_SetSakkeRsk(&w->sakke, rsk, NULL, 0), 0);
    assert_int_equal(wc_DeriveSakkeSSV(&w->sakke, WC_HASH_TYPE_SHA256, hint,
                                       MCX_SSV_SIZE, enc, AUTH_SIZE), 0);
    assert_memory_equal(hint, ssv.b, sizeof ssv.b);
    wc_ecc_del_point(rsk);
    /* Theirs to us; they encrypt it in place.  SAKKE is deterministic, so
     * the octets are those that we would have made. */
    memcpy(hint, ssv.b, sizeof ssv.b);
    assert_int_equal(wc_MakeSakkePointI(&w->sakke, id.p, (word16)id.n), 0);
    assert_int_equal(wc_MakeSakkeEncapsulatedSSV(&w->sakke,
                                                 WC_HASH_TYPE_SHA256, hint,
                                                 MCX_SSV_SIZE, enc, &n), 0);
    assert_int_equal(n, AUTH_SIZE);
    assert_int_equal(mcx_sakke_open(&got, s->key, mcx_bytes(enc, sizeof enc),
                                    NULL), MCX_OK);
    assert_memory_equal(got.b, ssv.b, sizeof ssv.b);
    {
        uint8_t again[MCX_SAKKE_ENC_SIZE];

        assert_int_equal(mcx_sakke_seal(again, s->pub, id, &ssv), MCX_OK);
        assert_memory_equal(again, enc, sizeof enc);
    }
}

/* The hash over identity and PVT, which both of their operations want. */
static void
set_hash(struct wolf *w, struct mcx_bytes id, ecc_point *pvt)
{
    byte hash[WC_MAX_DIGEST_SIZE], n = 0;

    assert_int_equal(wc_HashEccsiId(&w->eccsi, WC_HASH_TYPE_SHA256, id.p,
                                    (word32)id.n, pvt, hash, &n), 0);
    assert_int_equal(wc_SetEccsiHash(&w->eccsi, hash, n), 0);
}

static void
signature_both_ways(const struct side *s, struct wolf *w, struct mcx_bytes id)
{
    static uint8_t text[1500];
    static const size_t size[] = { 0, 1, 63, 64, 1500 };
    ecc_point *pvt = wc_ecc_new_point();
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
    mp_int ssk;
    size_t i;

    assert_non_null(pvt);
    assert_int_equal(mp_init(&ssk), 0);
    memset(text, 0x5a, sizeof text);
    for (i = 0; i < sizeof size / sizeof size[0]; i++) {
        struct mcx_bytes msg = mcx_bytes(text, size[i]);
        word32 n = sizeof sig;
        int good = 0;

        assert_int_equal(mcx_eccsi_sign(sig, s->key, msg, env), MCX_OK);
        assert_int_equal(wc_DecodeEccsiPvtFromSig(&w->eccsi, sig, sizeof sig,
                                                  pvt), 0);
        set_hash(w, id, pvt);
        assert_int_equal(wc_VerifyEccsiHash(&w->eccsi, WC_HASH_TYPE_SHA256,
                                            msg.p, (word32)msg.n, sig,
                                            sizeof sig, &good), 0);
        assert_int_equal(good, 1);

        assert_int_equal(wc_DecodeEccsiSsk(&w->eccsi, s->ssk.b,
                                           sizeof s->ssk.b, &ssk), 0);
        assert_int_equal(wc_DecodeEccsiPvt(&w->eccsi, s->pvt + 1,
                                           sizeof s->pvt - 1, pvt), 0);
        set_hash(w, id, pvt);
        assert_int_equal(wc_SetEccsiPair(&w->eccsi, &ssk, pvt), 0);
        assert_int_equal(wc_SignEccsiHash(&w->eccsi, &w->rng,
                                          WC_HASH_TYPE_SHA256, msg.p,
                                          (word32)msg.n, sig, &n), 0);
        assert_int_equal(n, sizeof sig);
        assert_int_equal(mcx_eccsi_verify(s->pub, id, msg,
                                          mcx_bytes(sig, sizeof sig), NULL),
                         MCX_OK);
        sig[sizeof sig / 2 - 40] ^= 1; /* in r: theirs are not waved on */
        assert_int_equal(mcx_eccsi_verify(s->pub, id, msg,
                                          mcx_bytes(sig, sizeof sig), NULL),
                         MCX_E_AUTH);
    }
    mp_clear(&ssk);
    wc_ecc_del_point(pvt);
}

static void
keys_of_our_kms(void **state)
{
    struct wolf w;
    struct side s;
    int i;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        wolf_open(&w);
        our_kms(&s, &w, identifier(i));
        ssv_both_ways(&s, &w, identifier(i));
        signature_both_ways(&s, &w, identifier(i));
        side_close(&s);
        wolf_close(&w);
    }
}

static void
keys_of_their_kms(void **state)
{
    struct wolf w;
    struct side s;
    int i;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        wolf_open(&w);
        their_kms(&s, &w, identifier(i));
        ssv_both_ways(&s, &w, identifier(i));
        signature_both_ways(&s, &w, identifier(i));
        side_close(&s);
        wolf_close(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_our_kms),
        cmocka_unit_test(keys_of_their_kms),
    };

    env = mcx_env_system();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
