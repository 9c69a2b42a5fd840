/* test_sakke.c -- SAKKE: RFC 6508 appendix A value by value, foreign
 * encapsulations, and what must not open. */
#include <config.h>
#include "test_kit.h"

static mcx_err
open_enc(const struct kit *k, const uint8_t *enc, struct mcx_why *why)
{
    static const struct mcx_ssv zero;
    struct mcx_ssv ssv;
    mcx_err err;

    memset(&ssv, 0xa5, sizeof ssv);
    err = mcx_sakke_open(&ssv, k->key, mcx_bytes(enc, MCX_SAKKE_ENC_SIZE),
                         why);
    if (err != MCX_OK) {
        assert_memory_equal(&ssv, &zero, sizeof ssv);
    }
    return err;
}

/* TEST RFC 6508 5.1, appendix A */
static void
hash_to_range(void **state)
{
    uint8_t m[128], v[128], want[128];
    struct mcx_bytes part = { m, 0 };
    struct mcx_ssv ssv;
    int i;

    (void)state;
    part.n = vec_hex(V6508, "HashToIntegerRange_example.M", m, sizeof m);
    assert_int_equal(mcx_hash_stretch(v, 4, &part, 1), MCX_OK);
    for (i = 0; i < 4; i++) {
        char path[64];

        (void)snprintf(path, sizeof path, "HashToIntegerRange_example.v%d",
                       i + 1);
        assert_int_equal(vec_hex(V6508, path, want, 32), 32);
        assert_memory_equal(v + 32 * i, want, 32);
    }
    (void)vec_hex(V6508, "SSV", ssv.b, sizeof ssv.b);
    assert_int_equal(mcx_sakke_r(v, &ssv, mcx_bytes(m + 16, part.n - 16)),
                     MCX_OK);
    vec_int(V6508, "r", want, 128);
    assert_memory_equal(v, want, 128);
    vec_int(V6508, "HashToIntegerRange_example.v_mod_q", want, 128);
    assert_memory_equal(v, want, 128);
    (void)vec_hex(V6508, "mask_hash_input", m, sizeof m);
    assert_int_equal(mcx_sakke_mask(v, m), MCX_OK);
    (void)vec_hex(V6508, "mask", want, 16);
    assert_memory_equal(v, want, 16);
}

/* TEST RFC 6508 appendix A */
static void
appendix_a(void **state)
{
    struct kit *k = *state;
    uint8_t z[257], kpak[65], r[128], w[128], want[273], enc[273];
    struct mcx_rsk rsk;
    struct mcx_ssv ssv, opened;
    struct mcx_point a, b;
    struct mcx_fp f;

    mcx_kms_master_public(z, kpak, k->master);
    assert_memory_equal(z, k->z, 257);
    vec_int(V6508, "Zx", want, 128);
    assert_memory_equal(z + 1, want, 128);
    vec_int(V6508, "Zy", want, 128);
    assert_memory_equal(z + 129, want, 128);
    assert_int_equal(mcx_kms_rsk(&rsk, k->master, kit_id(k)), MCX_OK);
    assert_memory_equal(rsk.b, k->rsk.b, 257);
    vec_int(V6508, "Kbx", want, 128);
    assert_memory_equal(rsk.b + 1, want, 128);
    vec_int(V6508, "Kby", want, 128);
    assert_memory_equal(rsk.b + 129, want, 128);

    (void)vec_hex(V6508, "SSV", ssv.b, sizeof ssv.b);
    vec_int(V6508, "r", r, 128);
    mcx_fp_init(&f);
    a = mcx_point_num(&f);
    b = mcx_point_num(&f);
    assert_true(mcx_g_power(&f, w, r, 128));
    vec_int(V6508, "g_r", want, 128);
    assert_memory_equal(w, want, 128);
    assert_true(mcx_point_read(&f, a, k->enc));
    assert_true(mcx_point_read(&f, b, k->rsk.b));
    assert_true(mcx_pairing(&f, w, a, b));
    vec_int(V6508, "w", want, 128);
    assert_memory_equal(w, want, 128);
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);

    assert_int_equal(mcx_sakke_seal(enc, k->pub, kit_id(k), &ssv), MCX_OK);
    vec_int(V6508, "Rbx", want, 128);
    assert_memory_equal(enc + 1, want, 128);
    vec_int(V6508, "Rby", want, 128);
    assert_memory_equal(enc + 129, want, 128);
    (void)vec_hex(V6508, "H", want, 16);
    assert_memory_equal(enc + 257, want, 16);
    assert_memory_equal(enc, k->enc, 273);
    assert_int_equal(mcx_sakke_open(&opened, k->key, mcx_bytes(enc, 273),
                                    NULL), MCX_OK);
    assert_memory_equal(opened.b, ssv.b, 16);
}

/* TEST RFC 6508 6.2.2: four foreign encapsulations under accepted keys */
static void
interop(void **state)
{
    struct mcx_user_key *key[4];
    struct mcx_kms_pub *pub;
    uint8_t z[257], kpak[65], uid[4][32];
    char path[64];
    int i, u;

    (void)state;
    (void)vec_hex(VSTREAM, "kms.Z", z, sizeof z);
    (void)vec_hex(VSTREAM, "kms.KPAK", kpak, sizeof kpak);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                     mcx_bytes(kpak, 65), NULL), MCX_OK);
#define AT(what, name)                                                        \
    ((void)snprintf(path, sizeof path, what "[%d]." name, i), path)
    for (i = 0; i < 4; i++) {
        struct mcx_rsk rsk;
        struct mcx_ssk ssk;
        uint8_t pvt[65];

        (void)vec_hex(VSTREAM, AT("users", "uid"), uid[i], 32);
        (void)vec_hex(VSTREAM, AT("users", "RSK"), rsk.b, sizeof rsk.b);
        (void)vec_hex(VSTREAM, AT("users", "SSK"), ssk.b, sizeof ssk.b);
        (void)vec_hex(VSTREAM, AT("users", "PVT"), pvt, sizeof pvt);
        assert_int_equal(mcx_user_key_new(&key[i], pub, mcx_bytes(uid[i], 32),
                                          &rsk, &ssk, pvt, NULL), MCX_OK);
    }
    for (i = 0; i < 4; i++) {
        uint8_t enc[273], again[273], to[32], want[16];
        struct mcx_ssv ssv;
        int hits = 0;

        assert_int_equal(vec_hex(VSTREAM, AT("messages",
                                             "parsed[8].SAKKE.data"), enc,
                                 273), 273);
        (void)vec_hex(VSTREAM, AT("messages", "responder_uid"), to, 32);
        (void)vec_hex(VSTREAM, AT("messages", "key"), want, 16);
        for (u = 0; u < 4; u++) {
            mcx_err err = mcx_sakke_open(&ssv, key[u], mcx_bytes(enc, 273),
                                         NULL);

            if (memcmp(uid[u], to, 32) == 0) {
                assert_int_equal(err, MCX_OK);
                assert_memory_equal(ssv.b, want, 16);
                hits++;
            } else {
                assert_int_equal(err, MCX_E_AUTH);
            }
        }
        assert_int_equal(hits, 1);
        memcpy(ssv.b, want, 16);
        assert_int_equal(mcx_sakke_seal(again, pub, mcx_bytes(to, 32), &ssv),
                         MCX_OK);
        assert_memory_equal(again, enc, 273);
    }
    for (i = 0; i < 4; i++) {
        mcx_user_key_free(key[i]);
    }
    mcx_kms_pub_free(pub);
}

static void
lengths(void **state)
{
    struct kit *k = *state;
    uint8_t enc[301] = { 0 };
    size_t n;

    memcpy(enc, k->enc, 273);
    for (n = 0; n <= 300; n++) {
        struct mcx_why why = { 0 };
        uint8_t *exact = malloc(n + (n == 0));
        struct mcx_ssv ssv;
        mcx_err err;

        assert_non_null(exact);
        memcpy(exact, enc, n);
        err = mcx_sakke_open(&ssv, k->key, mcx_bytes(exact, n), &why);
        free(exact);
        assert_int_equal(err, n == 273 ? MCX_OK : MCX_E_MALFORMED);
        if (n != 273) {
            assert_int_equal(why.reason, MCX_R_SAKKE_LENGTH);
        }
    }
}

/* R that is no point: form, range, curve, (0,0). */
static void
no_point(void **state)
{
    static const uint8_t forms[] = { 0x00, 0x01, 0x02, 0x03, 0x05, 0x06,
                                     0x07, 0x84, 0xff };
    struct kit *k = *state;
    struct mcx_why why = { 0 };
    uint8_t enc[273], one[128] = { [127] = 1 }, sum[128];
    size_t i;

#define REFUSED_POINT()                                                       \
    do {                                                                      \
        assert_int_equal(open_enc(k, enc, &why), MCX_E_MALFORMED);            \
        assert_int_equal(why.reason, MCX_R_SAKKE_POINT);                      \
    } while (0)
    for (i = 0; i < sizeof forms; i++) {
        memcpy(enc, k->enc, 273);
        enc[0] = forms[i];
        REFUSED_POINT();
    }
    for (i = 0; i < 2; i++) {
        memcpy(enc, k->enc, 273);
        memcpy(enc + 1 + 128 * i, mcx_sakke_p, 128);
        REFUSED_POINT();
        memset(enc + 1 + 128 * i, 0xff, 128);
        REFUSED_POINT();
        memcpy(enc, k->enc, 273);
        kit_add(sum, enc + 1 + 128 * i, one, 128);
        memcpy(enc + 1 + 128 * i, sum, 128);
        REFUSED_POINT();
    }
    /* x + p, where it fits 128 octets, is the same element and refused. */
    memcpy(enc, k->enc, 273);
    kit_add(sum, enc + 1, mcx_sakke_p, 128);
    if (memcmp(sum, mcx_sakke_p, 128) > 0) {
        memcpy(enc + 1, sum, 128);
        REFUSED_POINT();
    }
    memset(enc + 1, 0, 256);
    REFUSED_POINT();
    enc[0] = 0;
    REFUSED_POINT();
}

/* R on the curve and not the sender's: other subgroup, negative, other. */
static void
wrong_point(void **state)
{
    struct kit *k = *state;
    struct mcx_why why = { 0 };
    uint8_t enc[273], four[257], neg[128];
    int i;

#define REFUSED_CHECK()                                                       \
    do {                                                                      \
        assert_int_equal(open_enc(k, enc, &why), MCX_E_AUTH);                 \
        assert_int_equal(why.reason, MCX_R_SAKKE_CHECK);                      \
    } while (0)
    kit_order_4(four);
    memcpy(enc, k->enc, 273);
    kit_add_order_2(enc, k->enc); /* the pairing value stays the same */
    REFUSED_CHECK();
    memcpy(enc, k->enc, 257);
    for (i = 0; i < 3; i++) { /* + T4, + 2 T4, + 3 T4 */
        if (i == 1) {
            kit_add_order_2(enc, k->enc);
        } else if (i == 2) {
            kit_sub(neg, mcx_sakke_p, four + 129, 128);
            memcpy(four + 129, neg, 128);
            kit_point_add(enc, k->enc, four);
        } else {
            kit_point_add(enc, k->enc, four);
        }
        REFUSED_CHECK();
    }
    memcpy(enc, four, 257); /* of order 4 itself */
    REFUSED_CHECK();
    memcpy(enc, k->z, 257);
    REFUSED_CHECK();
    memcpy(enc, k->rsk.b, 257); /* R = K */
    REFUSED_CHECK();
    memcpy(enc, k->enc, 257); /* -R */
    kit_sub(neg, mcx_sakke_p, enc + 129, 128);
    memcpy(enc + 129, neg, 128);
    REFUSED_CHECK();
    enc[0] = 0x04; /* P */
    memcpy(enc + 1, mcx_sakke_px, 128);
    memcpy(enc + 129, mcx_sakke_py, 128);
    REFUSED_CHECK();
}

/* Every bit of the hint, and a sample of those of R. */
static void
flips(void **state)
{
    struct kit *k = *state;
    size_t bit;

    for (bit = 0; bit < 8 * 273; bit += bit < 8 * 257 ? 37 : 3) {
        uint8_t enc[273];
        mcx_err err;

        memcpy(enc, k->enc, 273);
        enc[bit / 8] ^= (uint8_t)(1u << bit % 8);
        err = open_enc(k, enc, NULL);
        assert_int_equal(err, bit < 8 * 257 ? MCX_E_MALFORMED : MCX_E_AUTH);
    }
    assert_int_equal(open_enc(k, k->enc, NULL), MCX_OK);
}

/* SSV 0 and all ones are legal; identifiers out of range are not. */
static void
seal_bounds(void **state)
{
    struct kit *k = *state;
    uint8_t enc[273], id[129] = { 0 }, one[128] = { [127] = 1 };
    struct mcx_ssv ssv = { { 0 } }, opened;
    int i;

    for (i = 0; i < 2; i++) {
        memset(ssv.b, i ? 0xff : 0, sizeof ssv.b);
        assert_int_equal(mcx_sakke_seal(enc, k->pub, kit_id(k), &ssv),
                         MCX_OK);
        assert_int_equal(mcx_sakke_open(&opened, k->key, mcx_bytes(enc, 273),
                                        NULL), MCX_OK);
        assert_memory_equal(opened.b, ssv.b, sizeof ssv.b);
    }
#define SEAL(p, n) mcx_sakke_seal(enc, k->pub, mcx_bytes((p), (n)), &ssv)
    assert_int_equal(SEAL(NULL, 0), MCX_E_ARG);
    assert_int_equal(SEAL(id, 128), MCX_E_ARG); /* 0 */
    id[127] = 1;
    assert_int_equal(SEAL(id, 128), MCX_E_ARG); /* 1 */
    id[127] = 2;
    assert_int_equal(SEAL(id, 128), MCX_OK);
    assert_int_equal(SEAL(id, 129), MCX_E_ARG);
    assert_int_equal(SEAL(id + 127, 1), MCX_OK);
    assert_int_equal(SEAL(mcx_sakke_q, 128), MCX_E_ARG);
    kit_sub(id, mcx_sakke_q, one, 128);
    assert_int_equal(SEAL(id, 128), MCX_OK); /* q - 1 */
    memset(id, 0xff, 128);
    assert_int_equal(SEAL(id, 128), MCX_E_ARG);
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

/* Many at once: each as alone, whatever its neighbours are; every size up to
 * two batches and a few. */
static void
many(void **state)
{
    struct kit *k = *state;
    static struct mcx_sakke_job job[19];
    static uint8_t enc[19][301];
    struct mcx_ssv ssv[19];
    size_t n, i;

    for (i = 0; i < 19; i++) {
        memset(&ssv[i], (int)(i + 1), sizeof ssv[i]);
        assert_int_equal(mcx_sakke_seal(enc[i], k->pub, kit_id(k), &ssv[i]),
                         MCX_OK);
    }
    for (n = 0; n <= 19; n++) {
        for (i = 0; i < n; i++) {
            uint8_t *e = enc[(i + n) % 19];

            memset(&job[i], 0x5a, sizeof job[i]);
            job[i].enc = mcx_bytes(e, 273);
            if (i % 5 == n % 6) { /* one that fails, each its own way */
                static uint8_t bad[19][301];

                memcpy(bad[i], e, 273);
                job[i].enc = mcx_bytes(bad[i], 273);
                switch ((i + n) % 6) {
                case 0:
                    job[i].enc.n = 272;
                    break;
                case 1:
                    bad[i][272] ^= 1;
                    break;
                case 2:
                    bad[i][200] ^= 1;
                    break;
                case 3:
                    kit_order_4(bad[i]);
                    break;
                case 4:
                    kit_add_order_2(bad[i], e);
                    break;
                default:
                    memset(bad[i], 0, 273);
                    break;
                }
            }
        }
        mcx_sakke_open_many(job, n, k->key);
        for (i = 0; i < n; i++) {
            struct mcx_ssv alone;
            struct mcx_why why;
            mcx_err err = mcx_sakke_open(&alone, k->key, job[i].enc, &why);

            assert_int_equal(job[i].err, err);
            assert_int_equal(err == MCX_OK, i % 5 != n % 6);
            assert_memory_equal(&job[i].ssv, &alone, sizeof alone);
            if (err == MCX_OK) {
                assert_memory_equal(&alone, &ssv[(i + n) % 19],
                                    sizeof alone);
            } else {
                assert_int_equal(job[i].why.reason, why.reason);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_to_range),
        cmocka_unit_test(appendix_a),
        cmocka_unit_test(interop),
        cmocka_unit_test(lengths),
        cmocka_unit_test(many),
        cmocka_unit_test(no_point),
        cmocka_unit_test(wrong_point),
        cmocka_unit_test(flips),
        cmocka_unit_test(seal_bounds),
    };

    return cmocka_run_group_tests_name("sakke", tests, open_kit, close_kit);
}
