/* test_eccsi.c -- ECCSI: RFC 6507 appendix A value by value, and what must
 * not verify. */
#include <config.h>
#include "test_kit.h"

static mcx_err
verify(const struct kit *k, const uint8_t *sig, struct mcx_why *why)
{
    return mcx_eccsi_verify(k->pub, kit_id(k), kit_msg(k),
                            mcx_bytes(sig, MCX_ECCSI_SIG_SIZE), why);
}

/* TEST RFC 6507 appendix A */
static void
appendix_a(void **state)
{
    struct kit *k = *state;
    uint8_t v[32], j[32], want[65], have[65], in[512], sig[129];
    struct mcx_bytes part = { in, 0 };
    struct mcx_ssk ssk;

    vec_int(V6507, "p", v, 32);
    assert_memory_equal(v, mcx_p256_p, 32);
    vec_int(V6507, "q", v, 32);
    assert_memory_equal(v, mcx_p256_q, 32);
    (void)vec_hex(V6507, "G", want, 65);
    assert_memory_equal(mcx_p256_g, want, 65);
    mcx_kms_master_public(in, have, k->master);
    assert_memory_equal(have, k->kpak, 65);
    /* 5.1.1 */
    vec_int(V6507, "v", v, 32);
    assert_int_equal(mcx_kms_pair_with(&ssk, have, k->master, kit_id(k), v),
                     MCX_OK);
    assert_memory_equal(have, k->pvt, 65);
    assert_memory_equal(ssk.b, k->ssk.b, 32);
    (void)vec_hex(V6507, "HS", want, 32);
    assert_memory_equal(k->key->hs, want, 32);
    part.n = vec_hex(V6507, "HS_input", in, sizeof in);
    assert_int_equal(mcx_sha256(have, &part, 1), MCX_OK);
    assert_memory_equal(have, want, 32);
    /* 5.2.1 */
    vec_int(V6507, "r", v, 32);
    (void)vec_hex(V6507, "HE", want, 32);
    assert_int_equal(mcx_eccsi_he(have, k->key->hs, v, kit_msg(k)), MCX_OK);
    assert_memory_equal(have, want, 32);
    vec_int(V6507, "j", j, 32);
    assert_int_equal(mcx_eccsi_sign_with(sig, k->key, kit_msg(k), j), MCX_OK);
    assert_memory_equal(sig, k->sig, 129);
    vec_int(V6507, "s", want, 32);
    assert_memory_equal(sig + 32, want, 32);
    /* 5.2.2 */
    assert_int_equal(mcx_eccsi_verify_at(have, k->pub, kit_id(k), kit_msg(k),
                                         mcx_bytes(sig, 129), NULL), MCX_OK);
    (void)vec_hex(V6507, "verify_J", want, 65);
    assert_memory_equal(have, want, 65);
}

/* TEST RFC 6507 section 6: both s and q - s are valid */
static void
twin(void **state)
{
    struct kit *k = *state;
    uint8_t sig[129];

    (void)vec_hex(V6507, "derived_not_in_rfc.sig_malleable_twin", sig, 129);
    assert_memory_not_equal(sig, k->sig, 129);
    assert_int_equal(verify(k, sig, NULL), MCX_OK);
}

static void
interop(void **state)
{
    struct mcx_kms_pub *pub;
    uint8_t z[257], kpak[65];
    int i;

    (void)state;
    (void)vec_hex(VSTREAM, "kms.Z", z, sizeof z);
    (void)vec_hex(VSTREAM, "kms.KPAK", kpak, sizeof kpak);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                     mcx_bytes(kpak, 65), NULL), MCX_OK);
    for (i = 0; i < 4; i++) {
        uint8_t msg[2048], uid[32];
        char path[64];
        size_t n, signed_n;

#define AT(name)                                                              \
    ((void)snprintf(path, sizeof path, "messages[%d]." name, i), path)
        n = vec_hex(VSTREAM, AT("I_MESSAGE"), msg, sizeof msg);
        signed_n = vec_num(VSTREAM, AT("signed_octets"));
        (void)vec_hex(VSTREAM, AT("initiator_uid"), uid, 32);
        assert_int_equal(n, signed_n + 129);
        assert_int_equal(mcx_eccsi_verify(pub, mcx_bytes(uid, 32),
                                          mcx_bytes(msg, signed_n),
                                          mcx_bytes(msg + signed_n, 129),
                                          NULL), MCX_OK);
        msg[i]++;
        assert_int_equal(mcx_eccsi_verify(pub, mcx_bytes(uid, 32),
                                          mcx_bytes(msg, signed_n),
                                          mcx_bytes(msg + signed_n, 129),
                                          NULL), MCX_E_AUTH);
    }
    mcx_kms_pub_free(pub);
}

static void
lengths(void **state)
{
    struct kit *k = *state;
    uint8_t sig[301] = { 0 };
    size_t n;

    memcpy(sig, k->sig, 129);
    for (n = 0; n <= 300; n++) {
        struct mcx_why why = { 0 };
        uint8_t *exact = malloc(n + (n == 0)); /* so that ASan sees */
        mcx_err err;

        assert_non_null(exact);
        memcpy(exact, sig, n);
        err = mcx_eccsi_verify(k->pub, kit_id(k), kit_msg(k),
                               mcx_bytes(exact, n), &why);
        free(exact);
        assert_int_equal(err, n == 129 ? MCX_OK : MCX_E_MALFORMED);
        if (n != 129) {
            assert_int_equal(why.reason, MCX_R_SIGN_LENGTH);
        }
    }
}

static void
ranges(void **state)
{
    static const uint8_t zero[32] = { 0 }, one[32] = { [31] = 1 };
    struct kit *k = *state;
    uint8_t q_1[32], p_1[32], ff[32], twice[32];
    struct { const uint8_t *v; mcx_reason r, s; } row[] = {
        { zero, MCX_R_SIGN_RANGE, MCX_R_SIGN_RANGE },
        { one, MCX_R_SIGNATURE, MCX_R_SIGNATURE },
        { mcx_p256_q, MCX_R_SIGNATURE, MCX_R_SIGN_RANGE },
        { q_1, MCX_R_SIGNATURE, MCX_R_SIGNATURE },
        { mcx_p256_p, MCX_R_SIGN_RANGE, MCX_R_SIGN_RANGE },
        { p_1, MCX_R_SIGNATURE, MCX_R_SIGN_RANGE },
        { ff, MCX_R_SIGN_RANGE, MCX_R_SIGN_RANGE },
    };
    uint8_t sig[129];
    size_t i;

    kit_sub(q_1, mcx_p256_q, one, 32);
    kit_sub(p_1, mcx_p256_p, one, 32);
    memset(ff, 0xff, 32);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct mcx_why why = { 0 };

        memcpy(sig, k->sig, 129);
        memcpy(sig, row[i].v, 32);
        assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
        assert_int_equal(why.reason, row[i].r);
        assert_int_equal(why.offset, 0);
        memcpy(sig, k->sig, 129);
        memcpy(sig + 32, row[i].v, 32);
        assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
        assert_int_equal(why.reason, row[i].s);
        assert_int_equal(why.offset, row[i].s == MCX_R_SIGNATURE ? 0 : 32);
        /* Both at once, with a PVT that is a point: r = s = 0 is the forgery
         * that a verifier without ranges accepts from anybody. */
        memcpy(sig, row[i].v, 32);
        assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
    }
    /* s + q, when it fits 32 octets, is another writing of s: refused.  It
     * takes an s below 2^256 - q; a signer without luck has none, so make
     * the range check see one. */
    memset(twice, 0, 32);
    twice[31] = 5;
    kit_add(twice, twice, mcx_p256_q, 32);
    memcpy(sig, k->sig, 129);
    memcpy(sig + 32, twice, 32);
    assert_int_equal(verify(k, sig, NULL), MCX_E_AUTH);
}

static void
pvt(void **state)
{
    static const uint8_t forms[] = { 0x00, 0x02, 0x03, 0x05, 0x06, 0x07,
                                     0x84, 0xff };
    struct kit *k = *state;
    struct mcx_why why = { 0 };
    uint8_t sig[129];
    size_t i;

    for (i = 0; i < sizeof forms; i++) {
        memcpy(sig, k->sig, 129);
        sig[64] = forms[i];
        assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
        assert_int_equal(why.reason, MCX_R_PVT);
        assert_int_equal(why.offset, 64);
    }
    for (i = 0; i < 2; i++) { /* a coordinate of p */
        memcpy(sig, k->sig, 129);
        memcpy(sig + 65 + 32 * i, mcx_p256_p, 32);
        assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
        assert_int_equal(why.reason, MCX_R_PVT);
    }
    memset(sig + 65, 0, 64); /* (0,0) is off P-256 */
    assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
    assert_int_equal(why.reason, MCX_R_PVT);
    memcpy(sig + 64, mcx_p256_g, 65); /* a point, not theirs */
    assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
    assert_int_equal(why.reason, MCX_R_SIGNATURE);
    memcpy(sig + 64, k->kpak, 65);
    assert_int_equal(verify(k, sig, &why), MCX_E_AUTH);
}

static void
flips(void **state)
{
    struct kit *k = *state;
    size_t bit;

    for (bit = 0; bit < 8 * 129; bit++) {
        uint8_t sig[129];

        memcpy(sig, k->sig, 129);
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(verify(k, sig, NULL), MCX_E_AUTH);
    }
    for (bit = 0; bit < 8 * k->msg_n; bit++) {
        k->msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(verify(k, k->sig, NULL), MCX_E_AUTH);
        k->msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (bit = 0; bit < 8 * k->id_n; bit++) {
        k->id[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(verify(k, k->sig, NULL), MCX_E_AUTH);
        k->id[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(verify(k, k->sig, NULL), MCX_OK);
}

/* Another KMS's KPAK, and identifiers that are none. */
static void
wrong_keys(void **state)
{
    static const uint8_t big[129] = { 1 }, one[1] = { 1 };
    struct kit *k = *state;
    struct mcx_kms_pub *other;
    struct mcx_bytes sig = mcx_bytes(k->sig, 129);

    assert_int_equal(mcx_kms_pub_new(&other, mcx_bytes(k->z, 257),
                                     mcx_bytes(mcx_p256_g, 65), NULL),
                     MCX_OK);
    assert_int_equal(mcx_eccsi_verify(other, kit_id(k), kit_msg(k), sig,
                                      NULL), MCX_E_AUTH);
    mcx_kms_pub_free(other);
    assert_int_equal(mcx_eccsi_verify(k->pub, mcx_bytes(NULL, 0), kit_msg(k),
                                      sig, NULL), MCX_E_ARG);
    assert_int_equal(mcx_eccsi_verify(k->pub, mcx_bytes(big, 129),
                                      kit_msg(k), sig, NULL), MCX_E_ARG);
    assert_int_equal(mcx_eccsi_verify(k->pub, mcx_bytes(one, 1), kit_msg(k),
                                      sig, NULL), MCX_E_ARG);
}

/* The nonce: fresh with the same message, different with a randomness that
 * repeats itself and another message; and no signature without randomness. */
static void
nonces(void **state)
{
    struct kit *k = *state;
    struct kit_random r;
    struct mcx_env env = kit_env(&r, 7);
    uint8_t a[129], b[129], c[129], before[129];
    struct mcx_bytes other = mcx_bytes_str("another message");

    assert_int_equal(mcx_eccsi_sign(a, k->key, kit_msg(k), &env), MCX_OK);
    assert_int_equal(mcx_eccsi_sign(b, k->key, kit_msg(k), &env), MCX_OK);
    assert_memory_not_equal(a, b, 32);
    env = kit_env(&r, 7);
    assert_int_equal(mcx_eccsi_sign(b, k->key, kit_msg(k), &env), MCX_OK);
    assert_memory_equal(a, b, 129);
    env = kit_env(&r, 7);
    assert_int_equal(mcx_eccsi_sign(c, k->key, other, &env), MCX_OK);
    assert_memory_not_equal(a, c, 32);
    assert_int_equal(verify(k, a, NULL), MCX_OK);
    assert_int_equal(mcx_eccsi_verify(k->pub, kit_id(k), other,
                                      mcx_bytes(c, 129), NULL), MCX_OK);
    assert_int_equal(mcx_eccsi_sign(c, k->key, mcx_bytes(NULL, 0), &env),
                     MCX_OK);
    assert_int_equal(mcx_eccsi_verify(k->pub, kit_id(k), mcx_bytes(NULL, 0),
                                      mcx_bytes(c, 129), NULL), MCX_OK);
    r.fail_at = 1;
    memset(b, 0xa5, sizeof b);
    memcpy(before, b, sizeof b);
    assert_int_equal(mcx_eccsi_sign(b, k->key, kit_msg(k), &env), MCX_E_IO);
    assert_memory_equal(b, before, sizeof b);
}

/* A fault in the stored secret must not leave as a signature. */
static void
fault(void **state)
{
    struct kit *k = *state;
    uint8_t sig[129] = { 0 }, zero[129] = { 0 };

    k->key->secret->ssk.b[31] ^= 1;
    assert_int_equal(mcx_eccsi_sign(sig, k->key, kit_msg(k),
                                    mcx_env_system()), MCX_E_SELFTEST);
    k->key->secret->ssk.b[31] ^= 1;
    assert_memory_equal(sig, zero, sizeof sig);
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
        cmocka_unit_test(appendix_a),
        cmocka_unit_test(twin),
        cmocka_unit_test(interop),
        cmocka_unit_test(lengths),
        cmocka_unit_test(ranges),
        cmocka_unit_test(pvt),
        cmocka_unit_test(flips),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(nonces),
        cmocka_unit_test(fault),
    };

    return cmocka_run_group_tests_name("eccsi", tests, open_kit, close_kit);
}
