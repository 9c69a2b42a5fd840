/* test_ident_keys.c -- importing, issuing and accepting keys, and whole round
 * trips for random identities. */
#include <config.h>
#include "test_kit.h"

#define PUB_IS(z_, zn, k_, kn, want)                                          \
    do {                                                                      \
        struct mcx_kms_pub *pub_ = NULL;                                      \
        struct mcx_why why_ = { 0 };                                          \
        assert_int_equal(mcx_kms_pub_new(&pub_, mcx_bytes((z_), (zn)),        \
                                         mcx_bytes((k_), (kn)), &why_),       \
                         (want));                                             \
        if ((want) != MCX_OK) {                                               \
            assert_null(pub_);                                                \
            assert_int_equal(why_.reason, MCX_R_KEY_POINT);                   \
        }                                                                     \
        mcx_kms_pub_free(pub_);                                               \
    } while (0)

/* TEST RFC 6508 2.2 (Z of order q), RFC 6507 4.2 */
static void
public_keys(void **state)
{
    static const uint8_t forms[] = { 0, 2, 3, 5, 6, 7, 0xff };
    struct kit *k = *state;
    uint8_t z[257], kpak[65], four[257];
    size_t i;

    PUB_IS(k->z, 257, k->kpak, 65, MCX_OK);
    for (i = 0; i < 300; i++) {
        static const uint8_t zeros[300];

        if (i != 257) {
            PUB_IS(zeros, i, k->kpak, 65, MCX_E_MALFORMED);
        }
        if (i != 65) {
            PUB_IS(k->z, 257, zeros, i, MCX_E_MALFORMED);
        }
    }
    for (i = 0; i < sizeof forms; i++) {
        memcpy(z, k->z, 257);
        z[0] = forms[i];
        PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
        memcpy(kpak, k->kpak, 65);
        kpak[0] = forms[i];
        PUB_IS(k->z, 257, kpak, 65, MCX_E_MALFORMED);
    }
    for (i = 8; i < 8 * 65; i += 7) {
        memcpy(kpak, k->kpak, 65);
        kpak[i / 8] ^= (uint8_t)(1u << i % 8);
        PUB_IS(k->z, 257, kpak, 65, MCX_E_MALFORMED);
    }
    for (i = 8; i < 8 * 257; i += 61) {
        memcpy(z, k->z, 257);
        z[i / 8] ^= (uint8_t)(1u << i % 8);
        PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
    }
    memcpy(kpak, k->kpak, 65);
    memcpy(kpak + 1, mcx_p256_p, 32);
    PUB_IS(k->z, 257, kpak, 65, MCX_E_MALFORMED);
    memcpy(z, k->z, 257);
    memcpy(z + 1, mcx_sakke_p, 128);
    PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
    memset(z + 1, 0, 256); /* order 2 */
    PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
    kit_order_4(four);
    PUB_IS(four, 257, k->kpak, 65, MCX_E_MALFORMED);
    kit_point_add(z, k->z, four); /* order 4q */
    PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
    kit_add_order_2(z, k->z); /* order 2q */
    PUB_IS(z, 257, k->kpak, 65, MCX_E_MALFORMED);
}

static void
user_is(const struct kit *k, struct mcx_kms_pub *pub, struct mcx_bytes id,
        const struct mcx_rsk *rsk, const struct mcx_ssk *ssk,
        const uint8_t *pvt, mcx_err want, mcx_reason reason,
        const char *payload)
{
    struct mcx_user_key *key = NULL;
    struct mcx_why why = { 0 };

    (void)k;
    assert_int_equal(mcx_user_key_new(&key, pub, id, rsk, ssk, pvt, &why),
                     want);
    assert_int_equal(why.reason, reason);
    if (want != MCX_OK) {
        assert_null(key);
    }
    if (payload) {
        assert_string_equal(why.payload, payload);
    }
    mcx_user_key_free(key);
}

/* TEST RFC 6507 5.1.2, RFC 6508 6.1.2 */
static void
user_keys(void **state)
{
    struct kit *k = *state;
    struct mcx_bytes id = kit_id(k);
    struct mcx_rsk rsk = k->rsk;
    struct mcx_ssk ssk = k->ssk;
    struct mcx_kms_pub *other;
    uint8_t pvt[65], four[257], neg[128];

#define USER(want, reason, what)                                              \
    user_is(k, k->pub, id, &rsk, &ssk, pvt, want, reason, what)
    memcpy(pvt, k->pvt, 65);
    USER(MCX_OK, MCX_R_NONE, NULL);
    memset(ssk.b, 0, 32);
    USER(MCX_E_MALFORMED, MCX_R_KEY_RANGE, "SSK");
    memcpy(ssk.b, mcx_p256_q, 32);
    USER(MCX_E_MALFORMED, MCX_R_KEY_RANGE, "SSK");
    memset(ssk.b, 0xff, 32);
    USER(MCX_E_MALFORMED, MCX_R_KEY_RANGE, "SSK");
    ssk = k->ssk;
    ssk.b[31] ^= 1;
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "SSK");
    kit_sub(ssk.b, mcx_p256_q, k->ssk.b, 32);
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "SSK");
    ssk = k->ssk;
    pvt[0] = 6;
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "PVT");
    pvt[0] = 4;
    pvt[64] ^= 1;
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "PVT");
    memcpy(pvt, k->kpak, 65);
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "SSK");
    memcpy(pvt, k->pvt, 65);
    rsk.b[0] = 3;
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    rsk = k->rsk;
    rsk.b[200] ^= 4;
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    memcpy(rsk.b + 1, mcx_sakke_p, 128);
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    rsk = k->rsk;
    memset(rsk.b + 1, 0, 256);
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    kit_add_order_2(rsk.b, k->rsk.b); /* passes the equation alone */
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    kit_order_4(four);
    memcpy(rsk.b, four, 257);
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    kit_point_add(rsk.b, k->rsk.b, four);
    USER(MCX_E_MALFORMED, MCX_R_KEY_POINT, "RSK");
    rsk = k->rsk;
    kit_sub(neg, mcx_sakke_p, rsk.b + 129, 128);
    memcpy(rsk.b + 129, neg, 128);
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "RSK");
    memcpy(rsk.b, k->z, 257);
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "RSK");
    rsk = k->rsk;
    k->id[0] ^= 1; /* another identity */
    USER(MCX_E_AUTH, MCX_R_KEY_CHECK, "SSK");
    k->id[0] ^= 1;
    id = mcx_bytes(NULL, 0);
    USER(MCX_E_ARG, MCX_R_NONE, NULL);
    /* Another KMS: KPAK first, then Z alone. */
    id = kit_id(k);
    assert_int_equal(mcx_kms_pub_new(&other, mcx_bytes(k->z, 257),
                                     mcx_bytes(mcx_p256_g, 65), NULL),
                     MCX_OK);
    user_is(k, other, id, &rsk, &ssk, pvt, MCX_E_AUTH, MCX_R_KEY_CHECK,
            "SSK");
    mcx_kms_pub_free(other);
    memcpy(four + 1, mcx_sakke_px, 128);
    memcpy(four + 129, mcx_sakke_py, 128);
    assert_int_equal(mcx_kms_pub_new(&other, mcx_bytes(four, 257),
                                     mcx_bytes(k->kpak, 65), NULL), MCX_OK);
    user_is(k, other, id, &rsk, &ssk, pvt, MCX_E_AUTH, MCX_R_KEY_CHECK,
            "RSK");
    mcx_kms_pub_free(other);
}

/* A KMS that makes Z = [a]P for a's owner: [a]P + Z is a doubling; and one
 * with Z = -[a]P, where it is infinity. */
static void
degenerate_z(void **state)
{
    static const uint8_t two[1] = { 2 };
    struct kit *k = *state;
    struct mcx_kms_secret secret = { { 0 } };
    struct mcx_kms_master *master;
    struct mcx_kms_pub *pub;
    struct mcx_user_key *key;
    struct mcx_bytes id = mcx_bytes(two, 1);
    struct mcx_ssv ssv = { { 9 } }, opened;
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    uint8_t z[257], kpak[65], pvt[65], enc[273];
    const struct mcx_env *env = mcx_env_system();

    (void)k;
    secret.b[127] = 2;
    secret.b[159] = 1;
    assert_int_equal(mcx_kms_master_new(&master, &secret, env), MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                     mcx_bytes(kpak, 65), NULL), MCX_OK);
    assert_int_equal(mcx_kms_master_issue(master, id, &rsk, &ssk, pvt, env),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, pub, id, &rsk, &ssk, pvt, NULL),
                     MCX_OK);
    assert_int_equal(mcx_sakke_seal(enc, pub, id, &ssv), MCX_OK);
    assert_int_equal(mcx_sakke_open(&opened, key, mcx_bytes(enc, 273), NULL),
                     MCX_OK);
    assert_memory_equal(opened.b, ssv.b, 16);
    mcx_user_key_free(key);
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
    kit_sub(secret.b, mcx_sakke_q, secret.b, 128); /* z = q - 2 */
    assert_int_equal(mcx_kms_master_new(&master, &secret, env), MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                     mcx_bytes(kpak, 65), NULL), MCX_OK);
    assert_int_equal(mcx_kms_master_issue(master, id, &rsk, &ssk, pvt, env),
                     MCX_E_ARG);
    assert_int_equal(mcx_sakke_seal(enc, pub, id, &ssv), MCX_E_STATE);
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
}

static void
masters(void **state)
{
    struct kit *k = *state;
    struct mcx_kms_secret good, bad, back;
    struct mcx_kms_master *master = NULL;
    struct kit_random r;
    struct mcx_env env = kit_env(&r, 3);
    struct mcx_rsk rsk;
    struct mcx_ssk ssk, ssk2;
    uint8_t pvt[65], pvt2[65];
    int i;

    mcx_kms_master_export(&good, k->master);
#define MASTER_REFUSED()                                                      \
    assert_int_equal(mcx_kms_master_new(&master, &bad, &env),                 \
                     MCX_E_MALFORMED)
    bad = good;
    memset(bad.b, 0, 128);
    MASTER_REFUSED();
    bad.b[127] = 1;
    MASTER_REFUSED();
    memcpy(bad.b, mcx_sakke_q, 128);
    MASTER_REFUSED();
    bad = good;
    memset(bad.b + 128, 0, 32);
    MASTER_REFUSED();
    memcpy(bad.b + 128, mcx_p256_q, 32);
    MASTER_REFUSED();
    assert_null(master);
    for (i = 1; i < 3; i++) {
        r.fail_at = i;
        assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_E_IO);
    }
    assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_OK);
    mcx_kms_master_export(&back, master);
    assert_true(mcx_in_range(back.b, 2, mcx_sakke_q, 128));
    assert_true(mcx_in_range(back.b + 128, 1, mcx_p256_q, 32));
    mcx_kms_master_free(master);
    assert_int_equal(mcx_kms_master_issue(k->master, mcx_bytes(NULL, 0), &rsk,
                                          &ssk, pvt, &env), MCX_E_ARG);
    r.fail_at = 1;
    memset(&ssk, 1, sizeof ssk);
    assert_int_equal(mcx_kms_master_issue(k->master, kit_id(k), &rsk, &ssk,
                                          pvt, &env), MCX_E_IO);
    memset(&ssk2, 0, sizeof ssk2);
    assert_memory_equal(&ssk, &ssk2, sizeof ssk);
    assert_int_equal(mcx_kms_master_issue(k->master, kit_id(k), &rsk, &ssk,
                                          pvt, &env), MCX_OK);
    assert_int_equal(mcx_kms_master_issue(k->master, kit_id(k), &rsk, &ssk2,
                                          pvt2, &env), MCX_OK);
    assert_memory_not_equal(pvt, pvt2, 65);
    assert_memory_not_equal(ssk.b, ssk2.b, 32);
}

/* Random KMSs and identities of every length: issue, accept, seal, open,
 * sign, verify. */
static void
round_trips(void **state)
{
    const char *seed = getenv("MCX_TEST_SEED");
    struct kit_random r;
    struct mcx_env env =
        kit_env(&r, seed ? strtoull(seed, NULL, 10) | 1 : 2026);
    int i;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)r.s);
    for (i = 0; i < 24; i++) {
        struct mcx_kms_master *master;
        struct mcx_kms_pub *pub;
        struct mcx_user_key *key, *again;
        struct mcx_rsk rsk;
        struct mcx_ssk ssk;
        struct mcx_ssv ssv, opened;
        uint8_t z[257], kpak[65], pvt[65], enc[273], sig[129], id[127];
        uint8_t msg[500];
        struct mcx_bytes idb = mcx_bytes(id, 1 + (size_t)i * 126 / 23);
        struct mcx_bytes msgb = mcx_bytes(msg, (size_t)i * 20);

        (void)kit_draw(&r, id, sizeof id);
        id[0] |= 2;
        (void)kit_draw(&r, msg, sizeof msg);
        (void)kit_draw(&r, ssv.b, sizeof ssv.b);
        assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_OK);
        mcx_kms_master_public(z, kpak, master);
        assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                         mcx_bytes(kpak, 65), NULL), MCX_OK);
        assert_memory_equal(mcx_kms_pub_z(pub), z, 257);
        assert_memory_equal(mcx_kms_pub_kpak(pub), kpak, 65);
        assert_int_equal(mcx_kms_master_issue(master, idb, &rsk, &ssk, pvt,
                                              &env), MCX_OK);
        assert_int_equal(mcx_user_key_new(&key, pub, idb, &rsk, &ssk, pvt,
                                          NULL), MCX_OK);
        mcx_kms_pub_free(pub); /* the key holds its own */
        again = mcx_user_key_ref(key);
        mcx_user_key_free(key);
        assert_true(mcx_bytes_eq(mcx_user_key_id(again), idb));
        assert_int_equal(mcx_sakke_seal(enc, mcx_user_key_kms(again), idb,
                                        &ssv), MCX_OK);
        assert_int_equal(mcx_sakke_open(&opened, again, mcx_bytes(enc, 273),
                                        NULL), MCX_OK);
        assert_memory_equal(opened.b, ssv.b, sizeof ssv.b);
        assert_int_equal(mcx_eccsi_sign(sig, again, msgb, &env), MCX_OK);
        assert_int_equal(mcx_eccsi_verify(mcx_user_key_kms(again), idb, msgb,
                                          mcx_bytes(sig, 129), NULL), MCX_OK);
        id[0] ^= 4;
        assert_int_equal(mcx_eccsi_verify(mcx_user_key_kms(again), idb, msgb,
                                          mcx_bytes(sig, 129), NULL),
                         MCX_E_AUTH);
        mcx_user_key_free(again);
        mcx_kms_master_free(master);
    }
    mcx_user_key_free(NULL);
    mcx_kms_pub_free(NULL);
    mcx_kms_master_free(NULL);
}

static void
selftest(void **state)
{
    (void)state;
    assert_int_equal(mcx_ident_selftest(), MCX_OK);
}

static int
open_kit(void **state)
{
    static struct kit k;

    kit_open(&k);
    *state = &k;
    return 0;
}

static int
close_kit(void **state)
{
    kit_close(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selftest),
        cmocka_unit_test(public_keys),
        cmocka_unit_test(user_keys),
        cmocka_unit_test(degenerate_z),
        cmocka_unit_test(masters),
        cmocka_unit_test(round_trips),
    };

    return cmocka_run_group_tests_name("ident-keys", tests, open_kit,
                                       close_kit);
}
