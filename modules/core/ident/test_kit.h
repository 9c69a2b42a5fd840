/* test_kit.h -- what the tests of this folder share: vectors as objects, a
 * randomness that can be repeated, and a KMS of their own. */
#ifndef MCX_IDENT_TEST_KIT_H
#define MCX_IDENT_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_ident.h>
#include "ident/hash.h"
#include "ident/objects.h"
#include "ident/p256.h"
#include "ident/ref_curve.h"
#include "ident/ref_pairing.h"
#include "ident/shared.h"
#include "vec.h"

#define V6507 "rfc6507-appendix-a"
#define V6508 "rfc6508-appendix-a"
#define V6509 "rfc6509-parameter-set-1"
#define VSTREAM "interop-streamwide-mikey-sakke"

/* xorshift64*: repeatable, and not good enough for anything but tests. */
struct kit_random { uint64_t s; int fail_at; };

static inline mcx_err
kit_draw(void *ctx, void *out, size_t n)
{
    struct kit_random *r = ctx;
    uint8_t *p = out;
    size_t i;

    if (r->fail_at > 0 && --r->fail_at == 0) {
        return MCX_E_IO;
    }
    for (i = 0; i < n; i++) {
        r->s ^= r->s >> 12;
        r->s ^= r->s << 25;
        r->s ^= r->s >> 27;
        p[i] = (uint8_t)(r->s * UINT64_C(0x2545f4914f6cdd1d) >> 56);
    }
    return MCX_OK;
}

static inline struct mcx_env
kit_env(struct kit_random *r, uint64_t seed)
{
    struct mcx_env env = { .ctx = r, .random = kit_draw };

    r->s = seed;
    r->fail_at = 0;
    return env;
}

/* The KMS, user and keys of RFC 6507 and RFC 6508 appendix A. */
struct kit {
    struct mcx_kms_master *master;
    struct mcx_kms_pub *pub;
    struct mcx_user_key *key;
    uint8_t id[64], msg[64];
    size_t id_n, msg_n;
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    uint8_t enc[MCX_SAKKE_ENC_SIZE], sig[MCX_ECCSI_SIG_SIZE];
};

static inline struct mcx_bytes
kit_id(const struct kit *k)
{
    return mcx_bytes(k->id, k->id_n);
}

static inline struct mcx_bytes
kit_msg(const struct kit *k)
{
    return mcx_bytes(k->msg, k->msg_n);
}

static inline void
kit_open(struct kit *k)
{
    struct mcx_kms_secret secret;
    struct mcx_why why;

    memset(k, 0, sizeof *k);
    k->id_n = vec_hex(V6507, "ID", k->id, sizeof k->id);
    k->msg_n = vec_hex(V6507, "M", k->msg, sizeof k->msg);
    (void)vec_hex(V6508, "derived_not_in_rfc.Z_octets", k->z, sizeof k->z);
    (void)vec_hex(V6507, "KPAK", k->kpak, sizeof k->kpak);
    (void)vec_hex(V6507, "PVT", k->pvt, sizeof k->pvt);
    (void)vec_hex(V6507, "SSK", k->ssk.b, sizeof k->ssk.b);
    (void)vec_hex(V6508, "derived_not_in_rfc.RSK_octets", k->rsk.b,
                  sizeof k->rsk.b);
    (void)vec_hex(V6508, "derived_not_in_rfc.encapsulated_data", k->enc,
                  sizeof k->enc);
    (void)vec_hex(V6507, "Sig", k->sig, sizeof k->sig);
    vec_int(V6508, "z", secret.b, MCX_FP_SIZE);
    vec_int(V6507, "KSAK", secret.b + MCX_FP_SIZE, MCX_P256_SIZE);
    assert_int_equal(
        mcx_kms_master_new(&k->master, &secret, mcx_env_system()), MCX_OK);
    assert_int_equal(mcx_kms_pub_new(&k->pub, mcx_bytes(k->z, sizeof k->z),
                                     mcx_bytes(k->kpak, sizeof k->kpak),
                                     &why), MCX_OK);
    assert_int_equal(mcx_user_key_new(&k->key, k->pub, kit_id(k), &k->rsk,
                                      &k->ssk, k->pvt, &why), MCX_OK);
}

static inline void
kit_close(struct kit *k)
{
    mcx_user_key_free(k->key);
    mcx_kms_pub_free(k->pub);
    mcx_kms_master_free(k->master);
}

/* Big-endian a + b or a - b, 'n' octets, for values that stay in range. */
static inline void
kit_add(uint8_t *r, const uint8_t *a, const uint8_t *b, size_t n)
{
    unsigned carry = 0;

    while (n-- > 0) {
        carry += (unsigned)a[n] + b[n];
        r[n] = (uint8_t)carry;
        carry >>= 8;
    }
}

static inline void
kit_sub(uint8_t *r, const uint8_t *a, const uint8_t *b, size_t n)
{
    unsigned borrow = 0;

    while (n-- > 0) {
        unsigned d = (unsigned)a[n] - b[n] - borrow;

        r[n] = (uint8_t)d;
        borrow = d >> 31;
    }
}

/* 'a' + T, where T is the point of order 2, (0,0), or one of order 4,
 * (1 .. the caller's), in octets. */
static inline void
kit_point_add(uint8_t r[MCX_SAKKE_PT_SIZE],
              const uint8_t a[MCX_SAKKE_PT_SIZE],
              const uint8_t b[MCX_SAKKE_PT_SIZE])
{
    struct mcx_fp f;
    struct mcx_point x, y;

    mcx_fp_init(&f);
    x = mcx_point_num(&f);
    y = mcx_point_num(&f);
    assert_true(mcx_point_read(&f, x, a) && mcx_point_read(&f, y, b));
    assert_true(mcx_point_add(&f, x, y));
    mcx_point_write(&f, r, x);
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);
}

/* a + (0,0) = (-3/x, 3y/x^2): the chord through the origin. */
static inline void
kit_add_order_2(uint8_t r[MCX_SAKKE_PT_SIZE],
                const uint8_t a[MCX_SAKKE_PT_SIZE])
{
    struct mcx_fp f;
    struct mcx_point p;
    BIGNUM *inv, *m3;

    mcx_fp_init(&f);
    p = mcx_point_num(&f);
    inv = mcx_fp_num(&f);
    m3 = mcx_fp_num(&f);
    assert_true(mcx_point_read(&f, p, a));
    mcx_fp_sub(&f, m3, m3, f.pa->one);
    mcx_fp_sub(&f, m3, m3, f.pa->one);
    mcx_fp_sub(&f, m3, m3, f.pa->one);
    mcx_fp_inv(&f, inv, p.x);
    mcx_fp_mul(&f, p.x, inv, m3); /* -3/x            */
    mcx_fp_mul(&f, p.y, p.y, p.x);
    mcx_fp_mul(&f, p.y, p.y, inv);
    mcx_fp_sub(&f, m3, m3, m3);
    mcx_fp_sub(&f, p.y, m3, p.y); /* -(-3 y / x^2)   */
    mcx_point_write(&f, r, p);
    assert_int_equal(mcx_fp_status(&f), MCX_OK);
    mcx_fp_fini(&f);
}

/* Any point of order 4: [q]A for A = (x, y) found by trying x. */
static inline void
kit_order_4(uint8_t r[MCX_SAKKE_PT_SIZE])
{
    struct mcx_fp f;
    struct mcx_point p;
    BIGNUM *y, *root, *e;
    bool found = false;
    unsigned i;

    mcx_fp_init(&f);
    p = mcx_point_num(&f);
    y = mcx_fp_num(&f);
    root = mcx_fp_num(&f);
    e = BN_dup(f.pa->p);
    assert_non_null(e);
    assert_true(BN_add_word(e, 1) && BN_rshift(e, e, 2)); /* (p+1)/4 */
    for (i = 2; i < 200 && !found; i++) {
        uint8_t b[MCX_SAKKE_PT_SIZE] = { 0x04 };
        struct mcx_point t = p;

        b[MCX_FP_SIZE] = (uint8_t)i;
        assert_true(BN_set_word(y, (BN_ULONG)(i * i * i - 3 * i)));
        assert_true(BN_mod_exp(root, y, e, f.pa->p, f.ctx));
        assert_int_equal(BN_bn2binpad(root, b + 1 + MCX_FP_SIZE, MCX_FP_SIZE),
                         MCX_FP_SIZE);
        if (!mcx_point_read(&f, p, b)
            || !mcx_point_mul(&f, t, p, mcx_sakke_q, MCX_FP_SIZE)) {
            continue;
        }
        mcx_point_write(&f, r, t);
        /* Order 4 and not 2: twice it is (0,0), whose y is 0. */
        assert_true(mcx_point_add(&f, t, t));
        found = BN_is_zero(t.x) && BN_is_zero(t.y);
    }
    assert_true(found);
    BN_free(e);
    mcx_fp_fini(&f);
}

/* Any point of the curve, its x the first of x, x + 1, .. that has one. */
static inline void
kit_any_point(uint8_t r[MCX_SAKKE_PT_SIZE], const uint8_t x0[MCX_FP_SIZE])
{
    struct mcx_fp f;
    BIGNUM *x, *y, *t, *e;
    bool found = false;

    mcx_fp_init(&f);
    x = mcx_fp_num(&f);
    y = mcx_fp_num(&f);
    t = mcx_fp_num(&f);
    e = BN_dup(f.pa->p);
    assert_non_null(e);
    assert_true(BN_add_word(e, 1) && BN_rshift(e, e, 2)); /* (p+1)/4 */
    assert_non_null(BN_bin2bn(x0, MCX_FP_SIZE, x));
    assert_true(BN_nnmod(x, x, f.pa->p, f.ctx));
    while (!found) {
        assert_true(BN_add_word(x, 1));
        assert_true(BN_mod_sqr(y, x, f.pa->p, f.ctx)
                    && BN_sub_word(y, 3)
                    && BN_mod_mul(y, y, x, f.pa->p, f.ctx)
                    && BN_mod_exp(t, y, e, f.pa->p, f.ctx)
                    && BN_mod_sqr(e, t, f.pa->p, f.ctx));
        found = BN_cmp(e, y) == 0;
        assert_true(BN_copy(e, f.pa->p) && BN_add_word(e, 1)
                    && BN_rshift(e, e, 2));
    }
    r[0] = 0x04;
    assert_int_equal(BN_bn2binpad(x, r + 1, MCX_FP_SIZE), MCX_FP_SIZE);
    assert_int_equal(BN_bn2binpad(t, r + 1 + MCX_FP_SIZE, MCX_FP_SIZE),
                     MCX_FP_SIZE);
    BN_free(e);
    mcx_fp_fini(&f);
}

#endif /* MCX_IDENT_TEST_KIT_H */
