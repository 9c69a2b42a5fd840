/* p256.c -- see p256.h.  Group operations are OpenSSL's named curve; a
 * multiplication by a secret is always by one scalar at a time. */
#include <config.h>
#include <openssl/err.h>
#include <sofia-mcx/mcx_secret.h>
#include "hash.h"
#include "p256.h"

const uint8_t mcx_p256_p[MCX_P256_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};
const uint8_t mcx_p256_q[MCX_P256_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
    0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51
};

mcx_err
mcx_p256_init(struct mcx_p256 *w)
{
    (void)ERR_set_mark();
    w->pa = mcx_params();
    w->ctx = w->pa ? BN_CTX_secure_new() : NULL;
    if (!w->ctx) {
        return MCX_E_NOMEM;
    }
    BN_CTX_start(w->ctx);
    return MCX_OK;
}

void
mcx_p256_fini(struct mcx_p256 *w)
{
    if (w->ctx) {
        BN_CTX_end(w->ctx);
        BN_CTX_free(w->ctx); /* with BN_clear_free() of each number */
    }
    w->ctx = NULL;
    (void)ERR_pop_to_mark();
}

/* MCX_OK, MCX_E_MALFORMED (off the curve) or MCX_E_NOMEM. */
static mcx_err
on_curve(struct mcx_p256 *w, const BIGNUM *x, const BIGNUM *y)
{
    const struct mcx_params *pa = w->pa;
    BIGNUM *t = BN_CTX_get(w->ctx), *u = BN_CTX_get(w->ctx);

    /* x (x^2 + a) + b = y^2 */
    if (!u || !BN_mod_sqr(t, x, pa->ec_p, w->ctx)
        || !BN_mod_add(t, t, pa->ec_a, pa->ec_p, w->ctx)
        || !BN_mod_mul(t, t, x, pa->ec_p, w->ctx)
        || !BN_mod_add(t, t, pa->ec_b, pa->ec_p, w->ctx)
        || !BN_mod_sqr(u, y, pa->ec_p, w->ctx)) {
        return MCX_E_NOMEM;
    }
    return BN_cmp(t, u) == 0 ? MCX_OK : MCX_E_MALFORMED;
}

mcx_err
mcx_p256_read(EC_POINT **r, struct mcx_p256 *w,
              const uint8_t b[MCX_ECCSI_PT_SIZE])
{
    BIGNUM *x, *y;
    EC_POINT *point;
    mcx_err err;

    *r = NULL;
    /* SPEC RFC 6507 3.2: the uncompressed form only.  OpenSSL's own reader
     * takes the others too. */
    if (b[0] != 0x04
        || !mcx_in_range(b + 1, 0, mcx_p256_p, MCX_P256_SIZE)
        || !mcx_in_range(b + 1 + MCX_P256_SIZE, 0, mcx_p256_p,
                         MCX_P256_SIZE)) {
        return MCX_E_MALFORMED;
    }
    BN_CTX_start(w->ctx);
    x = BN_CTX_get(w->ctx);
    y = BN_CTX_get(w->ctx);
    point = EC_POINT_new(w->pa->ec);
    err = MCX_E_NOMEM;
    if (y && point && BN_bin2bn(b + 1, MCX_P256_SIZE, x)
        && BN_bin2bn(b + 1 + MCX_P256_SIZE, MCX_P256_SIZE, y)) {
        err = on_curve(w, x, y);
        if (err == MCX_OK
            && !EC_POINT_set_affine_coordinates(w->pa->ec, point, x, y,
                                                w->ctx)) {
            err = MCX_E_NOMEM;
        }
    }
    BN_CTX_end(w->ctx);
    if (err != MCX_OK) {
        EC_POINT_free(point);
        return err;
    }
    *r = point;
    return MCX_OK;
}

mcx_err
mcx_p256_write(uint8_t b[MCX_ECCSI_PT_SIZE], struct mcx_p256 *w,
               const EC_POINT *a)
{
    return EC_POINT_point2oct(w->pa->ec, a, POINT_CONVERSION_UNCOMPRESSED, b,
                              MCX_ECCSI_PT_SIZE, w->ctx)
                   == MCX_ECCSI_PT_SIZE
               ? MCX_OK
               : MCX_E_NOMEM;
}

mcx_err
mcx_p256_base_mul(uint8_t b[MCX_ECCSI_PT_SIZE], struct mcx_p256 *w,
                  const uint8_t k[MCX_P256_SIZE])
{
    EC_POINT *point = EC_POINT_new(w->pa->ec);
    BIGNUM *n;
    mcx_err err = MCX_E_NOMEM;

    BN_CTX_start(w->ctx);
    n = BN_CTX_get(w->ctx);
    if (n && point && BN_bin2bn(k, MCX_P256_SIZE, n)) {
        BN_set_flags(n, BN_FLG_CONSTTIME);
        if (EC_POINT_mul(w->pa->ec, point, n, NULL, NULL, w->ctx)) {
            err = mcx_p256_write(b, w, point);
        }
    }
    BN_CTX_end(w->ctx);
    EC_POINT_clear_free(point);
    return err;
}

/* Octets to a number below q.  2^256 < 2q, so one subtraction does it, which
 * BN_mod_add_quick() makes without a branch. */
static bool
read_mod_q(BIGNUM *r, struct mcx_p256 *w, const uint8_t a[MCX_P256_SIZE],
           const BIGNUM *zero)
{
    BN_set_flags(r, BN_FLG_CONSTTIME);
    return BN_bin2bn(a, MCX_P256_SIZE, r)
           && BN_mod_add_quick(r, r, zero, w->pa->ec_q);
}

mcx_err
mcx_p256_muladd(uint8_t r[MCX_P256_SIZE], struct mcx_p256 *w,
                const uint8_t a[MCX_P256_SIZE], const uint8_t b[MCX_P256_SIZE],
                const uint8_t c[MCX_P256_SIZE])
{
    const struct mcx_params *pa = w->pa;
    BIGNUM *x, *y, *z, *zero;
    mcx_err err = MCX_E_NOMEM;

    BN_CTX_start(w->ctx);
    x = BN_CTX_get(w->ctx);
    y = BN_CTX_get(w->ctx);
    z = BN_CTX_get(w->ctx);
    zero = BN_CTX_get(w->ctx);
    if (zero && read_mod_q(x, w, a, zero) && read_mod_q(y, w, b, zero)
        && read_mod_q(z, w, c, zero)
        && BN_to_montgomery(y, y, pa->mont_ec_q, w->ctx)
        && BN_mod_mul_montgomery(y, y, z, pa->mont_ec_q, w->ctx)
        && BN_mod_add_quick(x, x, y, pa->ec_q)
        && BN_bn2binpad(x, r, MCX_P256_SIZE) == MCX_P256_SIZE) {
        err = MCX_OK;
    }
    BN_CTX_end(w->ctx);
    return err;
}

mcx_err
mcx_p256_inv(uint8_t r[MCX_P256_SIZE], struct mcx_p256 *w,
             const uint8_t a[MCX_P256_SIZE])
{
    BIGNUM *x, *zero;
    mcx_err err = MCX_E_NOMEM;

    BN_CTX_start(w->ctx);
    x = BN_CTX_get(w->ctx);
    zero = BN_CTX_get(w->ctx);
    if (zero && read_mod_q(x, w, a, zero)
        && mcx_invert(x, x, w->pa->ec_q, w->pa->mont_ec_q, w->ctx)
        && BN_bn2binpad(x, r, MCX_P256_SIZE) == MCX_P256_SIZE) {
        err = MCX_OK;
    }
    BN_CTX_end(w->ctx);
    return err;
}

mcx_err
mcx_eccsi_hs(uint8_t hs[MCX_P256_SIZE], const struct mcx_params *pa,
             const uint8_t kpak[MCX_ECCSI_PT_SIZE], struct mcx_bytes id,
             const uint8_t pvt[MCX_ECCSI_PT_SIZE])
{
    struct mcx_bytes part[4] = { { pa->ec_g, sizeof pa->ec_g },
                                 { kpak, MCX_ECCSI_PT_SIZE },
                                 id,
                                 { pvt, MCX_ECCSI_PT_SIZE } };

    return mcx_sha256(hs, part, 4);
}

mcx_err
mcx_eccsi_he(uint8_t he[MCX_P256_SIZE], const uint8_t hs[MCX_P256_SIZE],
             const uint8_t r[MCX_P256_SIZE], struct mcx_bytes msg)
{
    struct mcx_bytes part[3] = { { hs, MCX_P256_SIZE },
                                 { r, MCX_P256_SIZE },
                                 msg };

    return mcx_sha256(he, part, 3);
}
