/* test_attack.c -- ECCSI and SAKKE attacked from where their arithmetic could
 * be wrong, on each back-end of this machine: hashes forced to edge values (by
 * the linker: mcx_eccsi_hs() and mcx_eccsi_he() are wrapped), keys made so
 * that sums meet equal, opposite and infinite points, batches with one bad
 * place, points of every order.  OpenSSL's EC_POINT is the judge of
 * signatures, mcx_..._open() and _verify() of one that of batches. */
#include <config.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include "test_kit.h"
#include "curve/ops.h"
#include "ident/signers.h"

mcx_err __real_mcx_eccsi_hs(uint8_t hs[32], const uint8_t kpak[65],
                            struct mcx_bytes id, const uint8_t pvt[65]);
mcx_err __wrap_mcx_eccsi_hs(uint8_t hs[32], const uint8_t kpak[65],
                            struct mcx_bytes id, const uint8_t pvt[65]);
mcx_err __real_mcx_eccsi_he(uint8_t he[32], const uint8_t hs[32],
                            const uint8_t r[32], struct mcx_bytes msg);
mcx_err __wrap_mcx_eccsi_he(uint8_t he[32], const uint8_t hs[32],
                            const uint8_t r[32], struct mcx_bytes msg);

static struct kit kit;
static EC_GROUP *ec;
static BN_CTX *ctx;
static const BIGNUM *q;
static struct kit_random rnd;

#ifdef __has_feature
#if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SLOW
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SLOW
#endif

/* Under a sanitizer a quarter: its subject is how, not what. */
static int
rounds(int most)
{
    const char *set = getenv("MCX_TEST_ROUNDS");
    int n = set && *set ? atoi(set) : most;

#ifdef SLOW
    most = (most + 3) / 4;
#endif
    return n > 0 && n < most ? n : most;
}

/* ---- hashes that are what the test wants -------------------------------- */

enum { PLACES = 16 };
static uint8_t forced_hs[PLACES][32], forced_he[PLACES][32];
static bool forcing;

/* Identifiers and messages that name a place of the above. */
static uint8_t place_id[PLACES][3], place_msg[PLACES][1];

static struct mcx_bytes
id_at(int i)
{
    memcpy(place_id[i], "\x77\x66", 2);
    place_id[i][2] = (uint8_t)i;
    return mcx_bytes(place_id[i], 3);
}

static struct mcx_bytes
msg_at(int i)
{
    place_msg[i][0] = (uint8_t)i;
    return mcx_bytes(place_msg[i], 1);
}

mcx_err
__wrap_mcx_eccsi_hs(uint8_t hs[32], const uint8_t kpak[65],
                    struct mcx_bytes id, const uint8_t pvt[65])
{
    if (!forcing) {
        return __real_mcx_eccsi_hs(hs, kpak, id, pvt);
    }
    assert_true(id.n == 3 && id.p[0] == 0x77 && id.p[2] < PLACES);
    memcpy(hs, forced_hs[id.p[2]], 32);
    return MCX_OK;
}

mcx_err
__wrap_mcx_eccsi_he(uint8_t he[32], const uint8_t hs[32],
                    const uint8_t r[32], struct mcx_bytes msg)
{
    if (!forcing) {
        return __real_mcx_eccsi_he(he, hs, r, msg);
    }
    assert_true(msg.n == 1 && msg.p[0] < PLACES);
    memcpy(he, forced_he[msg.p[0]], 32);
    return MCX_OK;
}

/* ---- numbers and the judge ---------------------------------------------- */

static BIGNUM *
number(const uint8_t *b)
{
    BIGNUM *n = BN_bin2bn(b, 32, NULL);

    assert_non_null(n);
    return n;
}

/* a + b c mod q by BIGNUM; c NULL: 1. */
static void
mod_q(uint8_t r[32], const uint8_t *a, const uint8_t *b, const uint8_t *c)
{
    static const uint8_t one[32] = { [31] = 1 };
    BIGNUM *na = number(a), *nb = number(b), *nc = number(c ? c : one);
    BIGNUM *t = BN_new();

    assert_true(t && BN_mod_mul(t, nb, nc, q, ctx));
    assert_true(BN_mod_add(t, t, na, q, ctx));
    assert_int_equal(BN_bn2binpad(t, r, 32), 32);
    BN_free(na);
    BN_free(nb);
    BN_free(nc);
    BN_free(t);
}

static const uint8_t zero[128];

static void
mul_q(uint8_t r[32], const uint8_t *a, const uint8_t *b)
{
    mod_q(r, zero, a, b);
}

static void
neg_q(uint8_t r[32], const uint8_t *a)
{
    uint8_t minus[32], one[32] = { [31] = 1 };

    kit_sub(minus, mcx_p256_q, one, 32);
    mul_q(r, a, minus);
}

/* False: 0 has none. */
static bool
inverse_q(uint8_t r[32], const uint8_t *a)
{
    BIGNUM *n = number(a), *t = BN_new();
    bool is;

    assert_true(t && BN_nnmod(n, n, q, ctx));
    is = !BN_is_zero(n);
    if (is) {
        assert_non_null(BN_mod_inverse(t, n, q, ctx));
        assert_int_equal(BN_bn2binpad(t, r, 32), 32);
    }
    BN_free(n);
    BN_free(t);
    return is;
}

/* [k]G; false: infinity. */
static bool
mul_g(uint8_t b[65], const uint8_t *k)
{
    EC_POINT *p = EC_POINT_new(ec);
    BIGNUM *n = number(k);
    bool finite;

    assert_true(p && EC_POINT_mul(ec, p, n, NULL, NULL, ctx));
    finite = !EC_POINT_is_at_infinity(ec, p);
    memset(b, 0, 65);
    if (finite) {
        assert_int_equal(EC_POINT_point2oct(ec, p,
                                            POINT_CONVERSION_UNCOMPRESSED, b,
                                            65, ctx), 65);
    }
    EC_POINT_free(p);
    BN_free(n);
    return finite;
}

static bool
read_ec(EC_POINT *p, const uint8_t b[65])
{
    /* OpenSSL reads hybrid forms as well */
    return b[0] == 4 && EC_POINT_oct2point(ec, p, b, 65, ctx) == 1;
}

/* RFC 6507 5.2.2 as it is written, with the ranges of 3.3, on EC_POINT.
 * '*y_is_none': [HS]PVT + KPAK is infinity. */
static bool
judge(const uint8_t kpak[65], const uint8_t hs[32], const uint8_t he[32],
      const uint8_t sig[129], bool *y_is_none)
{
    EC_POINT *y = EC_POINT_new(ec), *k = EC_POINT_new(ec);
    EC_POINT *j = EC_POINT_new(ec);
    BIGNUM *r = number(sig), *s = number(sig + 32), *h = number(hs);
    BIGNUM *e = number(he), *x = BN_new();
    bool good;

    *y_is_none = false;
    assert_true(y && k && j && x && read_ec(k, kpak));
    good = read_ec(y, sig + 64);
    if (good) {
        assert_true(EC_POINT_mul(ec, y, NULL, y, h, ctx)
                    && EC_POINT_add(ec, y, y, k, ctx));
        *y_is_none = EC_POINT_is_at_infinity(ec, y);
        good = mcx_in_range(sig, 1, mcx_p256_p, 32)
               && mcx_in_range(sig + 32, 1, mcx_p256_q, 32);
        assert_true(EC_POINT_mul(ec, j, e, y, r, ctx) /* [HE]G + [r]Y */
                    && EC_POINT_mul(ec, j, NULL, j, s, ctx));
        good = good && !*y_is_none && !EC_POINT_is_at_infinity(ec, j);
    }
    if (good) {
        assert_true(EC_POINT_get_affine_coordinates(ec, j, x, NULL, ctx));
        good = BN_cmp(x, r) == 0;
    }
    EC_POINT_free(y);
    EC_POINT_free(k);
    EC_POINT_free(j);
    BN_free(r);
    BN_free(s);
    BN_free(h);
    BN_free(e);
    BN_free(x);
    return good;
}

/* An edge for 'i' of 0.. EDGES - 1; anything for more. */
enum { EDGES = 18 };
static void
edge(uint8_t k[32], int i)
{
    static const uint8_t fill[] = { 0x55, 0xaa, 0x80, 0x7f, 0x08, 0xf7 };
    uint8_t small[32] = { 0 };

    memset(k, 0, 32);
    if (i < 4) { /* 0 to 3 */
        k[31] = (uint8_t)i;
    } else if (i < 7) { /* q - 1 to q - 3 */
        small[31] = (uint8_t)(i - 3);
        kit_sub(k, mcx_p256_q, small, 32);
    } else if (i < 9) { /* q, q + 1 */
        small[31] = (uint8_t)(i - 7);
        kit_add(k, mcx_p256_q, small, 32);
    } else if (i < 15) {
        memset(k, fill[i - 9], 32);
    } else if (i == 15) {
        memset(k, 0xff, 32);
    } else if (i == 16) {
        k[0] = 0x80;
    } else if (i == 17) { /* ones in the lower half */
        memset(k + 16, 0xff, 16);
    } else {
        assert_int_equal(kit_draw(&rnd, k, 32), MCX_OK);
    }
}

static void
any_edge(uint8_t k[32])
{
    uint8_t which = 0;

    assert_int_equal(kit_draw(&rnd, &which, 1), MCX_OK);
    edge(k, which % (2 * EDGES));
}

/* ---- ECCSI where everything is on an edge ------------------------------- */

/* A KMS with this KSAK, which borrows all but KPAK. */
struct own_kms { struct mcx_kms_pub pub; uint8_t ksak[32]; };

static void
own_kms(struct own_kms *o, const uint8_t ksak[32])
{
    o->pub = *kit.pub;
    memcpy(o->ksak, ksak, 32);
    assert_true(mul_g(o->pub.kpak, ksak));
    assert_true(mcx_p256()->ops->read(&o->pub.kpak_point, o->pub.kpak));
    o->pub.kpak_table = mcx_p256_table_new(&o->pub.kpak_point, MCX_KPAK_W, 1);
    o->pub.signers = mcx_signers_new();
    assert_true(o->pub.kpak_table && o->pub.signers);
}

static void
own_kms_free(struct own_kms *o)
{
    mcx_big_free(o->pub.kpak_table);
    mcx_signers_free(o->pub.signers);
}

/* Fills place 'i' and a signature for it that is often good: SSK, HS, HE and
 * the nonce are edges or make the sums meet.  'kind' chooses. */
static void
make_case(uint8_t sig[129], const struct own_kms *o, int i, unsigned kind)
{
    uint8_t ssk[32], v[32], j[32], t[32], point[65];
    uint8_t *hs = forced_hs[i], *he = forced_he[i];

    any_edge(hs);
    any_edge(he);
    any_edge(j);
    any_edge(ssk);
    switch (kind % 6) {
    case 0: /* the bracket meets itself: HS v = KSAK */
        mod_q(ssk, o->ksak, o->ksak, NULL);
        break;
    case 1:
        memcpy(ssk, o->ksak, 32);
        break;
    default:
        break;
    }
    /* v = (SSK - KSAK)/HS, else anything */
    neg_q(t, o->ksak);
    mod_q(v, t, ssk, NULL);
    if (inverse_q(t, hs)) {
        mul_q(v, v, t);
    }
    while (!mul_g(sig + 64, v)) {
        any_edge(v);
    }
    mod_q(ssk, o->ksak, hs, v);
    while (!mul_g(point, j)) {
        any_edge(j);
    }
    memcpy(sig, point + 1, 32);
    if (kind % 6 == 2) { /* [s HE]G = [s r]Y */
        mul_q(he, sig, ssk);
    } else if (kind % 6 == 3) { /* J infinite */
        mul_q(he, sig, ssk);
        neg_q(he, he);
    }
    mod_q(t, he, sig, ssk);
    if (inverse_q(t, t)) {
        mul_q(sig + 32, t, j);
    } else {
        memcpy(sig + 32, j, 32);
    }
}

/* Changes that give what is sometimes good, mostly not. */
static void
spoil(uint8_t sig[129], int i, unsigned how)
{
    uint8_t one[32] = { [31] = 1 };

    switch (how % 13) {
    case 1: /* the twin, which is good */
        neg_q(sig + 32, sig + 32);
        break;
    case 2:
        edge(sig, (int)(how / 13 % EDGES));
        break;
    case 3:
        edge(sig + 32, (int)(how / 13 % EDGES));
        break;
    case 4: /* -PVT */
        kit_sub(sig + 97, mcx_p256_p, sig + 97, 32);
        break;
    case 5:
        memcpy(sig + 64, mcx_p256_g, 65);
        break;
    case 6:
        neg_q(forced_he[i], forced_he[i]);
        break;
    case 7:
        mod_q(sig + 32, one, sig + 32, NULL);
        break;
    case 8:
        sig[64 + how / 13 % 65] ^= (uint8_t)(1u << how % 7);
        break;
    case 9: /* compressed, and what is left of y */
        sig[64] = (uint8_t)(2 + (sig[128] & 1));
        break;
    case 10: /* the hybrid form, which OpenSSL reads */
        sig[64] = (uint8_t)(6 + (sig[128] & 1));
        break;
    case 11: /* infinity */
        memset(sig + 64, 0, 65);
        break;
    case 12:
        memset(sig, 0, 64);
        break;
    default:
        sig[32 + how / 13 % 32] ^= (uint8_t)(1u << how % 8);
        break;
    }
}

/* Each back-end says what OpenSSL says: alone, eight at once, known. */
static void
edges(void **state)
{
    enum { N = 8 };
    static const int ksaks[] = { 1, 2, 4, 5, 17, 16, 99, 100 };
    size_t each = sizeof ksaks / sizeof ksaks[0];
    struct own_kms o;
    unsigned seen[2] = { 0, 0 }, none = 0, kind = 0;
    int turns = rounds(30), turn, i;
    size_t k;

    (void)state;
    for (k = 0; k < each; k++) {
        uint8_t ksak[32], one[32] = { [31] = 1 };

        edge(ksak, ksaks[k]);
        mul_q(ksak, ksak, one);
        own_kms(&o, ksak);
        forcing = true;
        for (turn = 0; turn < turns; turn++) {
            uint8_t sig[N][129];
            struct mcx_eccsi_job job[N];
            bool want[N], y_is_none[N];
            uint8_t how[3] = { 0 };

            for (i = 0; i < N; i++, kind++) {
                make_case(sig[i], &o, i, kind);
                assert_int_equal(kit_draw(&rnd, how, sizeof how), MCX_OK);
                if (how[0] % 3) {
                    spoil(sig[i], i, how[1] + 256u * how[2]);
                }
                job[i] = (struct mcx_eccsi_job){
                    .id = id_at(i), .msg = msg_at(i),
                    .sig = mcx_bytes(sig[i], 129), .err = MCX_E_INTERNAL
                };
                want[i] = judge(o.pub.kpak, forced_hs[i], forced_he[i],
                                sig[i], &y_is_none[i]);
                seen[want[i]]++;
                none += y_is_none[i];
            }
            mcx_signers_forget(o.pub.signers);
            mcx_eccsi_verify_many(job, N, &o.pub);
            for (i = 0; i < N; i++) {
                int again;

                if ((job[i].err == MCX_OK) != want[i]) {
                    fail_msg("ksak %d, turn %d, place %d: %d for %d",
                             ksaks[k], turn, i, (int)job[i].err, want[i]);
                }
                mcx_signers_forget(o.pub.signers);
                for (again = 0; again < 4; again++) { /* then known */
                    struct mcx_why why = { 0 };
                    mcx_err err = mcx_eccsi_verify(&o.pub, id_at(i),
                                                   msg_at(i), job[i].sig,
                                                   &why);

                    assert_int_equal(err, want[i] ? MCX_OK : MCX_E_AUTH);
                    assert_int_equal(why.reason, job[i].why.reason);
                    if (again == 2) { /* known, good or not */
                        err = mcx_eccsi_prepare(&o.pub, id_at(i),
                                                sig[i] + 64);
                        assert_true(err == MCX_OK || !want[i]);
                        assert_int_equal(err == MCX_E_STATE, y_is_none[i]);
                    }
                }
            }
        }
        forcing = false;
        own_kms_free(&o);
    }
    print_message("%u good, %u bad, %u with no Y\n", seen[1], seen[0], none);
    assert_true(seen[1] > 5 * (unsigned)turns
                && seen[0] > 5 * (unsigned)turns && (none > 0 || turns < 8));
}

/* Keys on the edges: taken just when they fit and sign as OpenSSL wants it. */
static void
edge_keys(void **state)
{
    static const int ksaks[] = { 1, 4, 99 };
    int turns = rounds(24), turn, took = 0;
    struct own_kms o;
    size_t k;

    (void)state;
    for (k = 0; k < sizeof ksaks / sizeof ksaks[0]; k++) {
        uint8_t ksak[32], t[32];
        struct mcx_rsk rsk;

        edge(ksak, ksaks[k]);
        neg_q(ksak, ksak);
        own_kms(&o, ksak);
        assert_int_equal(mcx_kms_rsk(&rsk, kit.master, id_at(0)), MCX_OK);
        forcing = true;
        for (turn = 0; turn < turns; turn++) {
            struct mcx_user_key *key = NULL;
            struct mcx_ssk ssk;
            uint8_t sig[129], j[32], v[32];
            struct mcx_why why = { 0 };
            bool legal, y_is_none;
            mcx_err err;

            make_case(sig, &o, 0, turn % 3 ? 9 : 0);
            edge(forced_hs[0], turn);
            /* SSK from PVT's v, which is chosen again for a known one */
            any_edge(v);
            while (!mul_g(sig + 64, v)) {
                any_edge(v);
            }
            mod_q(ssk.b, ksak, forced_hs[0], v);
            mul_q(t, forced_hs[0], sig);
            legal = memcmp(t, zero, 32) != 0
                    && memcmp(ssk.b, zero, 32) != 0;
            err = mcx_user_key_new(&key, &o.pub, id_at(0), &rsk, &ssk,
                                   sig + 64, &why);
            assert_int_equal(err == MCX_OK, legal);
            if (!legal) {
                assert_true(why.reason == MCX_R_KEY_CHECK
                            || why.reason == MCX_R_KEY_RANGE);
                continue;
            }
            took++;
            do {
                any_edge(j);
            } while (!mcx_in_range(j, 1, mcx_p256_q, 32));
            {
                uint8_t point[65], sum[32], made[129];

                assert_true(mul_g(point, j));
                if (turn % 5 == 1) { /* HE + r SSK = 0: no signature */
                    mul_q(forced_he[0], point + 1, ssk.b);
                    neg_q(forced_he[0], forced_he[0]);
                }
                mod_q(sum, forced_he[0], point + 1, ssk.b);
                err = mcx_eccsi_sign_with(made, key, msg_at(0), j);
                assert_int_equal(err, memcmp(sum, zero, 32) == 0
                                          ? MCX_E_STATE : MCX_OK);
                if (err == MCX_OK) {
                    assert_true(judge(o.pub.kpak, forced_hs[0], forced_he[0],
                                      made, &y_is_none));
                    assert_memory_equal(made, point + 1, 32);
                }
            }
            assert_int_equal(mcx_eccsi_sign(sig, key, msg_at(0),
                                            mcx_env_system()), MCX_OK);
            assert_true(judge(o.pub.kpak, forced_hs[0], forced_he[0], sig,
                              &y_is_none));
            mcx_user_key_free(key);
            /* One off, and negative */
            mod_q(t, ssk.b, (const uint8_t[32]){ [31] = 1 }, NULL);
            memcpy(v, ssk.b, 32);
            memcpy(ssk.b, t, 32);
            assert_int_not_equal(mcx_user_key_new(&key, &o.pub, id_at(0),
                                                  &rsk, &ssk, sig + 64, NULL),
                                 MCX_OK);
            neg_q(ssk.b, v);
            assert_int_equal(mcx_user_key_new(&key, &o.pub, id_at(0), &rsk,
                                              &ssk, sig + 64, NULL),
                             MCX_E_AUTH);
        }
        forcing = false;
        own_kms_free(&o);
    }
    assert_true(took > 0 || turns < 4);
}

/* The KMS makes no pair of HS = 0 or SSK = 0, and says another v is wanted. */
static void
edge_pairs(void **state)
{
    struct mcx_kms_secret secret;
    uint8_t v[32], pvt[65], ksak[32];
    struct mcx_ssk ssk;
    int i;

    (void)state;
    mcx_kms_master_export(&secret, kit.master);
    memcpy(ksak, secret.b + 128, 32);
    forcing = true;
    for (i = 0; i < 2 * EDGES; i++) {
        uint8_t want[65], none[32];
        bool legal;

        edge(forced_hs[1], i);
        do {
            any_edge(v);
        } while (!mcx_in_range(v, 1, mcx_p256_q, 32));
        legal = inverse_q(none, forced_hs[1]);
        assert_int_equal(mcx_kms_pair_with(&ssk, pvt, kit.master, id_at(1),
                                           v),
                         legal ? MCX_OK : MCX_E_STATE);
        assert_true(mul_g(want, v));
        assert_memory_equal(pvt, want, 65);
        mod_q(want, ksak, forced_hs[1], v);
        assert_memory_equal(ssk.b, want, 32);
        if (legal) { /* v = -KSAK/HS */
            mul_q(v, none, ksak);
            neg_q(v, v);
            assert_int_equal(mcx_kms_pair_with(&ssk, pvt, kit.master,
                                               id_at(1), v), MCX_E_STATE);
        }
    }
    forcing = false;
}

/* q by windows of w bits with every other one negated, mod q: whoever adds up
 * even and odd windows apart could meet infinity there.  The tables of G are
 * right for all of these; w = 7 has one scalar (the last) that the lanes do
 * not know, which is no point then, and nothing wrong. */
static void
alternating(void **state)
{
    static const uint8_t seven[32] = {
        0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfe,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xc2, 0xe7, 0x06, 0xaa, 0x57, 0x08, 0x5e, 0x7a,
        0xf4, 0x45, 0xcd, 0x43, 0x03, 0xa3, 0x5a, 0x51
    };
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_p256_table *t;
    struct mcx_p256_point g;
    uint8_t have[65], want[65], k[32], step[32];
    int w, i;

    (void)state;
    assert_true(p->ops->read(&g, mcx_p256_g));
    for (w = MCX_P256_W_MIN; w <= MCX_P256_W_MAX; w++) {
        BIGNUM *even = BN_new();

        t = mcx_p256_table_new(&g, w, 1);
        assert_true(t && even);
        for (i = 0; i <= 256 / w; i += 2) { /* digits from 0 up, nearly */
            BIGNUM *d = BN_dup(q);

            assert_true(d && BN_rshift(d, d, w * i));
            if (BN_num_bits(d) > w) {
                assert_true(BN_mask_bits(d, w));
            }
            assert_true(BN_lshift(d, d, w * i) && BN_add(even, even, d));
            BN_free(d);
        }
        /* even - odd = 2 even - q */
        assert_true(BN_lshift1(even, even)
                    && BN_mod_sub(even, even, q, q, ctx));
        assert_int_equal(BN_bn2binpad(even, k, 32), 32);
        for (i = 0; i < 200; i++) {
            memset(step, 0, 32);
            if (i > 0) { /* a digit more, anywhere */
                step[31 - i / 8 % 32] = (uint8_t)(1u << i % 8);
            }
            mod_q(step, step, k, NULL);
            if (i & 1) {
                neg_q(step, step);
            }
            if (i == 199) {
                memcpy(step, seven, 32);
            }
            if (!mul_g(want, step)) {
                continue;
            }
            p->ops->base_mul(have, t, step);
            if (w == 7 && have[64] == 0 && memcmp(have, want, 65) != 0) {
                assert_memory_equal(have + 1, zero, 64);
                assert_int_equal(i, 199);
                continue;
            }
            assert_memory_equal(have, want, 65);
        }
        BN_free(even);
        mcx_big_free(t);
    }
}

/* A randomness of zeros, one that fails in any way. */
static mcx_err
same_random(void *how, void *out, size_t n)
{
    memset(out, 0, n);
    return *(const mcx_err *)how;
}

static int
by_octets(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* With a source that always says the same no two messages, nor two signers of
 * one message, get one nonce; with one that fails nothing is signed. */
static void
dead_random(void **state)
{
    enum { N = 400 };
    static uint8_t r[N + 1][32];
    static const struct { mcx_err from, to; } fails[] = {
        { MCX_E_IO, MCX_E_IO }, { MCX_E_NOMEM, MCX_E_NOMEM },
        { MCX_E_AUTH, MCX_E_IO }, { MCX_E_STATE, MCX_E_IO }
    };
    mcx_err how = MCX_OK;
    struct mcx_env env = { .ctx = &how, .random = same_random };
    struct mcx_user_key *other;
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    uint8_t sig[129], pvt[65], before[129];
    size_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        uint8_t msg[64] = { 0 };

        memcpy(msg + i % 7 * 8, &i, sizeof i);
        /* same octets, other lengths */
        assert_int_equal(mcx_eccsi_sign(sig, kit.key,
                                        mcx_bytes(msg, i % 2 ? 64 : 63), &env),
                         MCX_OK);
        memcpy(r[i], sig, 32);
    }
    assert_int_equal(mcx_kms_master_issue(kit.master, mcx_bytes_str("other"),
                                          &rsk, &ssk, pvt, mcx_env_system()),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&other, kit.pub, mcx_bytes_str("other"),
                                      &rsk, &ssk, pvt, NULL), MCX_OK);
    {
        uint8_t msg[64] = { 0 }; /* number 0 above */

        assert_int_equal(mcx_eccsi_sign(sig, other, mcx_bytes(msg, 63), &env),
                         MCX_OK);
    }
    memcpy(r[N], sig, 32);
    mcx_user_key_free(other);
    qsort(r, N + 1, sizeof r[0], by_octets);
    for (i = 0; i < N; i++) {
        assert_memory_not_equal(r[i], r[i + 1], 32);
    }
    memset(before, 0xee, sizeof before);
    for (i = 0; i < sizeof fails / sizeof fails[0]; i++) {
        memcpy(sig, before, sizeof sig);
        how = fails[i].from;
        assert_int_equal(mcx_eccsi_sign(sig, kit.key, kit_msg(&kit), &env),
                         fails[i].to);
        assert_memory_equal(sig, before, sizeof sig);
    }
}

/* ---- batches ------------------------------------------------------------ */

/* One bad of many, in each place, of each kind: it is refused as it would be
 * alone, the others are not; copies of one signature all are what it is. */
static void
one_bad_signature(void **state)
{
    enum { MOST = 17, KINDS = 9 };
    static const size_t sizes[] = { 0, 1, 2, 3, 7, 8, 9, MOST };
    static uint8_t sig[MOST][129], bad[129];
    struct mcx_eccsi_job job[MOST];
    struct mcx_user_key key = *kit.key;
    struct mcx_user_secret secret = *kit.key->secret;
    size_t s, at, i;
    int kind;

    (void)state;
    key.secret = &secret;
    for (i = 0; i < MOST; i++) {
        uint8_t v[32] = { [0] = 0x21, [31] = (uint8_t)i }, j[32];

        assert_int_equal(kit_draw(&rnd, j, 32), MCX_OK);
        j[0] &= 0x7f;
        key.id_n = id_at((int)i % PLACES).n + i / PLACES;
        memcpy(key.id, id_at((int)i % PLACES).p, 3);
        key.id[3] = 1;
        assert_int_equal(mcx_kms_pair_with(&secret.ssk, key.pvt, kit.master,
                                           mcx_user_key_id(&key), v),
                         MCX_OK);
        assert_int_equal(mcx_eccsi_hs(key.hs, kit.kpak,
                                      mcx_user_key_id(&key), key.pvt),
                         MCX_OK);
        assert_int_equal(mcx_eccsi_sign_with(sig[i], &key, kit_msg(&kit), j),
                         MCX_OK);
    }
    for (s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (at = 0; at < sizes[s] + (sizes[s] == 0); at++) {
            static const uint8_t other_id[3] = { 9, 9, 9 };
            struct mcx_why why = { 0 };
            mcx_err want;

            kind = (int)((at + 5 * s) % KINDS);
            for (i = 0; i < MOST; i++) {
                static uint8_t long_id[4] = { 0x77, 0x66, 0, 1 };

                job[i] = (struct mcx_eccsi_job){
                    .id = i < PLACES ? id_at((int)i) : mcx_bytes(long_id, 4),
                    .msg = kit_msg(&kit), .sig = mcx_bytes(sig[i], 129),
                    .err = MCX_E_INTERNAL
                };
            }
            memcpy(bad, sig[at], 129);
            job[at].sig.p = bad;
            switch (kind) {
            case 0:
                bad[31] ^= 1;
                break;
            case 1:
                bad[63] ^= 1;
                break;
            case 2:
                bad[128] ^= 1;
                break;
            case 3: /* a neighbour's */
                job[at].sig.p = sig[(at + 1) % MOST];
                break;
            case 4:
                job[at].id = mcx_bytes(other_id, 3);
                break;
            case 5:
                memcpy(bad + 64, mcx_p256_g, 65);
                break;
            case 6:
                job[at].sig.n = 130;
                break;
            case 7:
                job[at].id.n = 129;
                break;
            default: /* of another's PVT */
                memcpy(bad + 64, sig[(at + 1) % MOST] + 64, 65);
                break;
            }
            mcx_signers_forget(kit.pub->signers);
            mcx_eccsi_verify_many(job, sizes[s], kit.pub);
            want = mcx_eccsi_verify(kit.pub, job[at].id, job[at].msg,
                                    job[at].sig, &why);
            assert_int_not_equal(want, MCX_OK);
            for (i = 0; i < MOST; i++) {
                assert_int_equal(job[i].err, i >= sizes[s] ? MCX_E_INTERNAL
                                             : i == at     ? want
                                                           : MCX_OK);
            }
            if (at < sizes[s]) {
                assert_int_equal(job[at].why.reason, why.reason);
                assert_int_equal(job[at].why.offset, why.offset);
            }
        }
    }
    for (kind = 0; kind < 2; kind++) { /* copies, good and bad */
        memcpy(bad, sig[0], 129);
        bad[40] ^= (uint8_t)kind;
        for (i = 0; i < MOST; i++) {
            job[i].id = id_at(0);
            job[i].sig = mcx_bytes(bad, 129);
        }
        mcx_signers_forget(kit.pub->signers);
        mcx_eccsi_verify_many(job, MOST, kit.pub);
        for (i = 0; i < MOST; i++) {
            assert_int_equal(job[i].err, kind ? MCX_E_AUTH : MCX_OK);
        }
    }
}

/* A ciphertext that is wrong in the way 'kind', from a good one. */
enum { BAD_KINDS = 14 };
static void
spoil_enc(uint8_t enc[273], size_t *n, int kind)
{
    uint8_t four[257], t[257];

    *n = kind == 0 ? 272 : kind == 1 ? 0 : 273;
    switch (kind) {
    case 2: /* off the curve */
        enc[200] ^= 0x10;
        break;
    case 3: /* infinity, as it might be written */
        memset(enc, 0, 257);
        break;
    case 4: /* of order 2 */
        memset(enc + 1, 0, 256);
        break;
    case 5:
        kit_order_4(enc);
        break;
    case 6: /* pairs to the same value */
        memcpy(t, enc, 257);
        kit_add_order_2(enc, t);
        break;
    case 7: /* and so does this */
        kit_order_4(four);
        memcpy(t, enc, 257);
        kit_point_add(enc, t, four);
        break;
    case 8: /* -R */
        kit_sub(t, mcx_sakke_p, enc + 129, 128);
        memcpy(enc + 129, t, 128);
        break;
    case 9: /* H */
        enc[272] ^= 1;
        break;
    case 10:
        enc[257] ^= 0x80;
        break;
    case 11: /* P */
        enc[0] = 4;
        memcpy(enc + 1, mcx_sakke_px, 128);
        memcpy(enc + 129, mcx_sakke_py, 128);
        break;
    case 12: /* I, as for r = 1 */
        memcpy(enc, kit.key->point, 257);
        break;
    case 13: /* x or y written p above, where that fits */
        if (enc[1] < 0x60) {
            kit_add(enc + 1, enc + 1, mcx_sakke_p, 128);
        } else if (enc[129] < 0x60) {
            kit_add(enc + 129, enc + 129, mcx_sakke_p, 128);
        } else {
            enc[0] = 6;
        }
        break;
    default:
        break;
    }
}

static void
one_bad_opening(void **state)
{
    enum { MOST = 17 };
    static const size_t sizes[] = { 0, 1, 3, 4, 7, 8, 9, 12, MOST };
    static uint8_t enc[MOST][273], bad[273];
    struct mcx_ssv ssv[MOST], none = { { 0 } };
    struct mcx_sakke_job job[MOST];
    size_t s, at, i, step = rounds(100) < 100 ? 5 : 1, n;
    unsigned kind = 0, seen = 0;

    (void)state;
    for (i = 0; i < MOST; i++) {
        assert_int_equal(kit_draw(&rnd, ssv[i].b, 16), MCX_OK);
        assert_int_equal(mcx_sakke_seal(enc[i], kit.pub, kit_id(&kit),
                                        &ssv[i]), MCX_OK);
    }
    for (s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (at = 0; at < sizes[s] + (sizes[s] == 0); at += step) {
            struct mcx_why why = { 0 };
            struct mcx_ssv alone;
            mcx_err want;

            for (i = 0; i < MOST; i++) {
                job[i].enc = mcx_bytes(enc[i], 273);
                job[i].err = MCX_E_INTERNAL;
                memset(&job[i].ssv, 0x5a, sizeof job[i].ssv);
            }
            memcpy(bad, enc[at], 273);
            spoil_enc(bad, &n, (int)(kind % BAD_KINDS));
            seen |= 1u << kind++ % BAD_KINDS;
            job[at].enc = mcx_bytes(bad, n);
            mcx_sakke_open_many(job, sizes[s], kit.key);
            memset(&alone, 0x5a, sizeof alone);
            want = mcx_sakke_open(&alone, kit.key, job[at].enc, &why);
            assert_int_not_equal(want, MCX_OK);
            assert_memory_equal(&alone, &none, sizeof none);
            for (i = 0; i < sizes[s]; i++) {
                assert_int_equal(job[i].err, i == at ? want : MCX_OK);
                assert_memory_equal(job[i].ssv.b,
                                    i == at ? none.b : ssv[i].b, 16);
            }
            for (; i < MOST; i++) {
                assert_int_equal(job[i].err, MCX_E_INTERNAL);
                assert_int_equal(job[i].ssv.b[3], 0x5a);
            }
            if (at < sizes[s]) {
                assert_int_equal(job[at].why.reason, why.reason);
                assert_int_equal(job[at].why.offset, why.offset);
            }
        }
    }
    assert_true(step > 1 || seen == (1u << BAD_KINDS) - 1);
    for (i = 0; i < MOST; i++) { /* all are bad, one is good */
        memcpy(enc[i] + 1, enc[0] + 1, 256);
        job[i].enc = mcx_bytes(enc[i], 273);
    }
    mcx_sakke_open_many(job, MOST, kit.key);
    for (i = 0; i < MOST; i++) {
        assert_int_equal(job[i].err, i ? MCX_E_AUTH : MCX_OK);
        assert_memory_equal(job[i].ssv.b, i ? none.b : ssv[0].b, 16);
    }
}

/* ---- keys of SAKKE ------------------------------------------------------ */

/* -a */
static void
negate(uint8_t r[257], const uint8_t a[257])
{
    memmove(r, a, 129);
    kit_sub(r + 129, mcx_sakke_p, a + 129, 128);
}

static void
rsk_is(struct mcx_kms_pub *pub, struct mcx_bytes id, const uint8_t rsk[257],
       mcx_err want)
{
    struct mcx_rsk k;

    memcpy(k.b, rsk, sizeof k.b);
    assert_int_equal(mcx_sakke_check_rsk(pub, id, &k), want);
}

/* q's neighbours, small ones and powers for a + z, so that RSK is a small
 * multiple of P, of one half, or its negative; ids of every length. */
static void
edge_rsks(void **state)
{
    static const uint8_t ids[3][2] = { { 0, 2 }, { 0xff, 0xff }, { 1, 0 } };
    int most = rounds(12), i;

    (void)state;
    for (i = 0; i < most; i++) {
        struct mcx_kms_secret secret;
        struct mcx_kms_master *master;
        struct mcx_kms_pub *pub;
        struct mcx_user_key *key;
        uint8_t long_id[128], one[128] = { [127] = 1 }, k[128] = { 0 };
        uint8_t z[257], kpak[65], pvt[65], four[257], other[257], enc[273];
        struct mcx_bytes id = mcx_bytes(ids[i % 3], 2);
        struct mcx_ssv ssv = { { (uint8_t)i } }, opened;
        struct mcx_rsk rsk;
        struct mcx_ssk ssk;
        uint8_t a[128] = { 0 };
        int prepared;

        kit_sub(long_id, mcx_sakke_q, one, 128); /* q - 1 */
        if (i % 4 == 3) {
            id = mcx_bytes(long_id, 128);
        }
        memcpy(a + 128 - id.n, id.p, id.n);
        switch (i % 6) { /* a + z mod q */
        case 0: case 1:
            k[127] = (uint8_t)(i % 6 + 1);
            break;
        case 2:
            kit_sub(k, mcx_sakke_q, one, 128);
            break;
        case 3: /* (q + 1)/2: RSK = [2]P */
            kit_add(k, mcx_sakke_q, one, 128);
            {
                BIGNUM *n = BN_bin2bn(k, 128, NULL);

                assert_true(n && BN_rshift1(n, n));
                assert_int_equal(BN_bn2binpad(n, k, 128), 128);
                BN_free(n);
            }
            break;
        case 4:
            memset(k + 64, 0xff, 64);
            break;
        default:
            memcpy(k + 2, mcx_sakke_px + 2, 126);
            break;
        }
        /* z = k - a */
        {
            BIGNUM *n = BN_bin2bn(k, 128, NULL), *m = BN_bin2bn(a, 128, NULL);
            BIGNUM *o = BN_bin2bn(mcx_sakke_q, 128, NULL);

            assert_true(n && m && o && BN_mod_sub(n, n, m, o, ctx));
            assert_int_equal(BN_bn2binpad(n, secret.b, 128), 128);
            BN_free(n);
            BN_free(m);
            BN_free(o);
        }
        memset(secret.b + 128, i + 1, 32);
        assert_int_equal(mcx_kms_master_new(&master, &secret,
                                            mcx_env_system()), MCX_OK);
        mcx_kms_master_public(z, kpak, master);
        assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, 257),
                                         mcx_bytes(kpak, 65), NULL), MCX_OK);
        assert_int_equal(mcx_kms_master_issue(master, id, &rsk, &ssk, pvt,
                                              mcx_env_system()), MCX_OK);
        assert_int_equal(mcx_user_key_new(&key, pub, id, &rsk, &ssk, pvt,
                                          NULL), MCX_OK);
        for (prepared = 0; prepared < 2; prepared++) {
            assert_int_equal(mcx_sakke_seal(enc, pub, id, &ssv), MCX_OK);
            assert_int_equal(mcx_sakke_open(&opened, key, mcx_bytes(enc, 273),
                                            NULL), MCX_OK);
            assert_memory_equal(opened.b, ssv.b, 16);
            assert_int_equal(mcx_sakke_prepare(pub, id), MCX_OK);
        }
        /* And everything that it is not. */
        kit_order_4(four);
        rsk_is(pub, id, rsk.b, MCX_OK);
        rsk_is(pub, id, four, MCX_E_MALFORMED);
        negate(four, four);
        rsk_is(pub, id, four, MCX_E_MALFORMED);
        negate(other, rsk.b);
        rsk_is(pub, id, other, MCX_E_AUTH);
        kit_add_order_2(other, rsk.b);
        rsk_is(pub, id, other, MCX_E_MALFORMED);
        kit_point_add(other, rsk.b, four);
        rsk_is(pub, id, other, MCX_E_MALFORMED);
        negate(other, other);
        rsk_is(pub, id, other, MCX_E_MALFORMED);
        kit_point_add(other, rsk.b, rsk.b);
        rsk_is(pub, id, other, MCX_E_AUTH);
        rsk_is(pub, id, key->point, memcmp(key->point, rsk.b, 257) == 0
                                        ? MCX_OK : MCX_E_AUTH);
        rsk_is(pub, mcx_bytes_str("another"), rsk.b, MCX_E_AUTH);
        rsk_is(pub, id, kit.rsk.b, MCX_E_AUTH);
        rsk_is(kit.pub, id, rsk.b, MCX_E_AUTH);
        memset(other, 0, 257);
        rsk_is(pub, id, other, MCX_E_MALFORMED);
        other[0] = 4;
        rsk_is(pub, id, other, MCX_E_MALFORMED);
        assert_int_equal(mcx_sakke_open(&opened, kit.key, mcx_bytes(enc, 273),
                                        NULL), MCX_E_AUTH);
        mcx_user_key_free(key);
        mcx_kms_pub_free(pub);
        mcx_kms_master_free(master);
    }
}

/* Z = P, -P and small multiples are of order q; each plus what has a small
 * order is not. */
static void
edge_z(void **state)
{
    uint8_t z[257], four[257], other[257];
    struct mcx_kms_pub *pub = NULL;
    int i;

    (void)state;
    z[0] = 4;
    memcpy(z + 1, mcx_sakke_px, 128);
    memcpy(z + 129, mcx_sakke_py, 128);
    kit_order_4(four);
    for (i = 0; i < 4; i++) {
#define Z_IS(z_, want)                                                        \
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes((z_), 257),              \
                                     mcx_bytes(kit.kpak, 65), NULL), want);   \
    if ((want) == MCX_OK) {                                                   \
        mcx_kms_pub_free(pub);                                                \
    }
        Z_IS(z, MCX_OK)
        kit_add_order_2(other, z);
        Z_IS(other, MCX_E_MALFORMED)
        kit_point_add(other, z, four);
        Z_IS(other, MCX_E_MALFORMED)
        negate(other, other);
        Z_IS(other, MCX_E_MALFORMED)
        Z_IS(four, MCX_E_MALFORMED)
        if (i == 1) {
            kit_point_add(z, z, z);
        } else {
            negate(z, z);
        }
        negate(four, four);
    }
}

/* ---- threads ------------------------------------------------------------ */

/* All at once: the same key, KMS and caches; who is new, known, evicted and
 * wrong.  Nothing bad passes, nothing good fails. */
enum { CROWD = 4 };
struct crowd {
    const uint8_t (*sig)[129], (*enc)[273];
    const struct mcx_ssv *ssv;
    struct mcx_user_key *key;
    int number, bad;
};

static void *
work(void *arg)
{
    struct crowd *c = arg;
    int turns = rounds(25), i, j;

    for (i = 0; i < turns; i++) {
        struct mcx_eccsi_job v[9];
        struct mcx_sakke_job o[5];
        uint8_t wrong[129], sig[129];

        memcpy(wrong, c->sig[1], 129);
        wrong[33 + c->number] ^= 2;
        for (j = 0; j < 9; j++) {
            v[j].id = kit_id(&kit);
            v[j].msg = kit_msg(&kit);
            v[j].sig = mcx_bytes(j == 4 ? wrong : c->sig[j % 3], 129);
        }
        mcx_eccsi_verify_many(v, 9, kit.pub);
        for (j = 0; j < 9; j++) {
            c->bad += (v[j].err == MCX_OK) != (j != 4);
        }
        for (j = 0; j < 5; j++) {
            o[j].enc = mcx_bytes(c->enc[(i + j) % 3], 273);
        }
        if (i % 5 == 0) {
            mcx_sakke_open_many(o, 5, c->key);
            for (j = 0; j < 5; j++) {
                c->bad += o[j].err != MCX_OK
                          || memcmp(&o[j].ssv, &c->ssv[(i + j) % 3], 16) != 0;
            }
        }
        c->bad += mcx_eccsi_sign(sig, c->key, kit_msg(&kit),
                                 mcx_env_system()) != MCX_OK;
        c->bad += mcx_eccsi_verify(kit.pub, kit_id(&kit), kit_msg(&kit),
                                   mcx_bytes(sig, 129), NULL) != MCX_OK;
        if (i % 5 == c->number) { /* a peer with a table and without */
            uint8_t made[273];
            struct mcx_ssv back;

            c->bad += mcx_sakke_seal(made, kit.pub, kit_id(&kit), &c->ssv[0])
                          != MCX_OK
                      || mcx_sakke_open(&back, c->key, mcx_bytes(made, 273),
                                        NULL) != MCX_OK
                      || memcmp(&back, &c->ssv[0], sizeof back) != 0
                      || mcx_sakke_prepare(kit.pub, kit_id(&kit)) != MCX_OK
                      || mcx_sakke_prepare(kit.pub, mcx_bytes(made + 7, 2))
                             != MCX_OK;
        }
        if (i % 7 == c->number) {
            mcx_signers_forget(kit.pub->signers);
        }
        c->bad += mcx_eccsi_prepare(kit.pub, kit_id(&kit), kit.pvt)
                  != MCX_OK;
    }
    return NULL;
}

static void
threads(void **state)
{
    uint8_t sig[3][129], enc[3][273];
    struct mcx_ssv ssv[3];
    struct mcx_user_key *key; /* whose tables all of them make */
    struct crowd crowd[CROWD];
    pthread_t id[CROWD];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(mcx_eccsi_sign(sig[i], kit.key, kit_msg(&kit),
                                        mcx_env_system()), MCX_OK);
        assert_int_equal(kit_draw(&rnd, ssv[i].b, 16), MCX_OK);
        assert_int_equal(mcx_sakke_seal(enc[i], kit.pub, kit_id(&kit),
                                        &ssv[i]), MCX_OK);
    }
    assert_int_equal(mcx_user_key_new(&key, kit.pub, kit_id(&kit), &kit.rsk,
                                      &kit.ssk, kit.pvt, NULL), MCX_OK);
    for (i = 0; i < CROWD; i++) {
        crowd[i] = (struct crowd){ (const uint8_t (*)[129])sig,
                                   (const uint8_t (*)[273])enc, ssv, key, i,
                                   0 };
        assert_int_equal(pthread_create(&id[i], NULL, work, &crowd[i]), 0);
    }
    for (i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(id[i], NULL), 0);
        assert_int_equal(crowd[i].bad, 0);
    }
    mcx_user_key_free(key);
}

/* ---- each back-end in a process of its own: the choice is made once ----- */

static int
attack(const char *cpu)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(edge_keys),
        cmocka_unit_test(edge_pairs),
        cmocka_unit_test(alternating),
        cmocka_unit_test(dead_random),
        cmocka_unit_test(one_bad_signature),
        cmocka_unit_test(one_bad_opening),
        cmocka_unit_test(edge_rsks),
        cmocka_unit_test(edge_z),
        cmocka_unit_test(threads),
    };
    const char *seed = getenv("MCX_TEST_SEED");
    int failed;

    if (setenv("MCX_CPU", cpu, 1) != 0) {
        return 2;
    }
    rnd.s = seed && *seed ? strtoull(seed, NULL, 10) | 1 : 20261201;
    (void)printf("seed %llu\n", (unsigned long long)rnd.s);
    ec = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ctx = BN_CTX_new();
    if (!ec || !ctx) {
        return 2;
    }
    q = EC_GROUP_get0_order(ec);
    kit_open(&kit);
    if (strcmp(mcx_shared()->ops->name, cpu) != 0) {
        (void)printf("%s runs instead of %s\n", mcx_shared()->ops->name, cpu);
        return 2;
    }
    failed = cmocka_run_group_tests_name(cpu, tests, NULL, NULL);
    kit_close(&kit);
    BN_CTX_free(ctx);
    EC_GROUP_free(ec);
    return failed != 0;
}

int
main(void)
{
    static const char *const cpus[] = { "portable", "adx", "ifma" };
    int failed = 0;
    size_t i;

    for (i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
        int status = 0;
        pid_t pid;

        if (!mcx_ops_named(cpus[i])) {
            (void)printf("SKIP %s: this CPU lacks it\n", cpus[i]);
            continue;
        }
        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
            exit(attack(cpus[i]));
        }
        failed |= pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
    }
    return failed;
}
