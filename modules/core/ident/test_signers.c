/* test_signers.c -- signers with tables: they verify what those without one
 * do and nothing else; the list keeps those used last, and what is taken
 * stays; and the points where a sum could go wrong. */
#include <config.h>
#include <pthread.h>
#include <openssl/bn.h>
#include "test_kit.h"
#include "ident/signers.h"

/* A signer of the kit's KMS, by identifier and v; SAKKE's half is the
 * kit's. */
struct signer {
    struct mcx_user_key key;
    struct mcx_user_secret secret;
};

static void
signer_init(struct signer *s, const struct kit *k, const char *id, uint8_t v)
{
    uint8_t octets[32] = { [0] = 0x11, [31] = v };
    struct mcx_p256_point pvt, y;

    memset(s, 0, sizeof *s);
    s->key.pub = k->pub;
    s->key.secret = &s->secret;
    s->key.id_n = strlen(id);
    memcpy(s->key.id, id, s->key.id_n);
    assert_int_equal(mcx_kms_pair_with(&s->secret.ssk, s->key.pvt, k->master,
                                       mcx_user_key_id(&s->key), octets),
                     MCX_OK);
    assert_int_equal(mcx_eccsi_hs(s->key.hs, k->kpak,
                                  mcx_user_key_id(&s->key), s->key.pvt),
                     MCX_OK);
    assert_true(mcx_p256()->ops->read(&pvt, s->key.pvt));
    assert_true(mcx_eccsi_y(&y, k->pub, &pvt, s->key.hs));
    s->key.y_table = mcx_p256_table_new(&y, MCX_OWN_Y_W, 1);
    assert_non_null(s->key.y_table);
}

static void
signer_fini(struct signer *s)
{
    mcx_big_free(s->key.y_table);
}

static void
sign(uint8_t sig[129], const struct signer *s, const struct kit *k)
{
    assert_int_equal(mcx_eccsi_sign(sig, &s->key, kit_msg(k),
                                    mcx_env_system()), MCX_OK);
}

static mcx_err
verify(const struct kit *k, const struct signer *s, const uint8_t *sig)
{
    struct mcx_why why = { 0 };
    mcx_err err = mcx_eccsi_verify(k->pub, mcx_user_key_id(&s->key),
                                   kit_msg(k), mcx_bytes(sig, 129), &why);

    assert_int_equal(why.reason, err == MCX_OK ? MCX_R_NONE
                                               : MCX_R_SIGNATURE);
    return err;
}

static bool
known(const struct kit *k, const uint8_t hs[32])
{
    struct mcx_signer *who;
    bool is = mcx_signers_take(&who, k->pub->signers, hs) != NULL;

    mcx_signer_drop(who);
    return is;
}

/* A table comes with the second good signature, not with bad ones. */
static void
second_time(void **state)
{
    struct kit *k = *state;
    struct signer s;
    uint8_t sig[129], bad[129];
    int i;

    signer_init(&s, k, "second", 1);
    sign(sig, &s, k);
    memcpy(bad, sig, 129);
    bad[40] ^= 1;
    for (i = 0; i < 5; i++) {
        assert_int_equal(verify(k, &s, bad), MCX_E_AUTH);
        assert_false(known(k, s.key.hs));
    }
    assert_int_equal(verify(k, &s, sig), MCX_OK);
    assert_false(known(k, s.key.hs));
    assert_int_equal(verify(k, &s, bad), MCX_E_AUTH);
    assert_false(known(k, s.key.hs));
    assert_int_equal(verify(k, &s, sig), MCX_OK);
    assert_true(known(k, s.key.hs));
    assert_int_equal(verify(k, &s, bad), MCX_E_AUTH);
    assert_int_equal(verify(k, &s, sig), MCX_OK);
    signer_fini(&s);
}

/* The same identifier with another PVT, the same PVT under another
 * identifier, another KMS: with tables for all of them, and with none. */
static void
confusions(void **state)
{
    static const char *const ids[3] = { "alice", "alice", "bob" };
    static const uint8_t vs[3] = { 2, 3, 2 };
    struct kit *k = *state;
    struct mcx_kms_pub *pub = k->pub, *other;
    struct signer s[3];
    uint8_t sig[3][129];
    int i, j, round;

    assert_int_equal(mcx_kms_pub_new(&other, mcx_bytes(k->z, 257),
                                     mcx_bytes(mcx_p256_g, 65), NULL),
                     MCX_OK);
    for (i = 0; i < 3; i++) {
        signer_init(&s[i], k, ids[i], vs[i]);
        sign(sig[i], &s[i], k);
    }
    assert_memory_equal(s[0].key.pvt, s[2].key.pvt, 65);
    for (round = 0; round < 4; round++) {
        for (i = 0; i < 3; i++) {
            for (j = 0; j < 3; j++) {
                uint8_t mixed[129];
                bool same_id = strcmp(ids[i], ids[j]) == 0;

                /* j's signature as if by i's identifier */
                assert_int_equal(verify(k, &s[i], sig[j]),
                                 same_id ? MCX_OK : MCX_E_AUTH);
                /* j's r and s with i's PVT */
                memcpy(mixed, sig[j], 64);
                memcpy(mixed + 64, s[i].key.pvt, 65);
                assert_int_equal(verify(k, &s[i], mixed),
                                 i == j ? MCX_OK : MCX_E_AUTH);
            }
            k->pub = other;
            assert_int_equal(verify(k, &s[i], sig[i]), MCX_E_AUTH);
            assert_false(known(k, s[i].key.hs));
            k->pub = pub;
        }
        /* ... and now that the other KMS has a table for the same names */
        if (round == 2) {
            for (i = 0; i < 3; i++) {
                assert_true(known(k, s[i].key.hs));
                assert_int_equal(
                    mcx_eccsi_prepare(other, mcx_user_key_id(&s[i].key),
                                      s[i].key.pvt), MCX_OK);
            }
        }
    }
    for (i = 0; i < 3; i++) {
        signer_fini(&s[i]);
    }
    mcx_kms_pub_free(other);
}

static void
prepared(void **state)
{
    static const uint8_t big[129] = { 1 };
    struct kit *k = *state;
    struct signer s;
    uint8_t sig[129], off[65];
    struct mcx_bytes id;
    int i;

    signer_init(&s, k, "prepared", 7);
    id = mcx_user_key_id(&s.key);
    sign(sig, &s, k);
    assert_false(known(k, s.key.hs));
    for (i = 0; i < 2; i++) {
        assert_int_equal(mcx_eccsi_prepare(k->pub, id, s.key.pvt), MCX_OK);
        assert_true(known(k, s.key.hs));
        assert_int_equal(verify(k, &s, sig), MCX_OK);
    }
    memcpy(off, s.key.pvt, 65);
    off[64] ^= 1;
    assert_int_equal(mcx_eccsi_prepare(k->pub, id, off), MCX_E_ARG);
    off[0] = 0x02;
    assert_int_equal(mcx_eccsi_prepare(k->pub, id, off), MCX_E_ARG);
    assert_int_equal(mcx_eccsi_prepare(k->pub, mcx_bytes(big, 129),
                                       s.key.pvt), MCX_E_ARG);
    assert_int_equal(mcx_eccsi_prepare(k->pub, mcx_bytes(NULL, 0),
                                       s.key.pvt), MCX_E_ARG);
    signer_fini(&s);
}

/* Every refusal is the same with a table and without. */
static void
refusals(void **state)
{
    struct kit *k = *state;
    struct signer s;
    uint8_t sig[129], bad[129];
    int bit, with;

    signer_init(&s, k, "refused", 9);
    sign(sig, &s, k);
    for (with = 0; with < 2; with++) {
        if (with) {
            assert_int_equal(mcx_eccsi_prepare(k->pub,
                                               mcx_user_key_id(&s.key),
                                               s.key.pvt), MCX_OK);
        }
        for (bit = 0; bit < 8 * 129; bit += with ? 1 : 5) {
            struct mcx_why why = { 0 };

            memcpy(bad, sig, 129);
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(mcx_eccsi_verify(k->pub,
                                              mcx_user_key_id(&s.key),
                                              kit_msg(k), mcx_bytes(bad, 129),
                                              &why), MCX_E_AUTH);
            /* a changed PVT is never a point here; r, s may leave their
             * range by a bit of the first four octets */
            assert_int_equal(why.reason,
                             bit >= 8 * 64 ? MCX_R_PVT
                             : why.reason == MCX_R_SIGN_RANGE
                                       && bit % 256 < 40
                                 ? MCX_R_SIGN_RANGE
                                 : MCX_R_SIGNATURE);
        }
        memset(bad, 0, 64); /* r = s = 0 */
        memcpy(bad + 64, s.key.pvt, 65);
        assert_int_equal(mcx_eccsi_verify(k->pub, mcx_user_key_id(&s.key),
                                          kit_msg(k), mcx_bytes(bad, 129),
                                          NULL), MCX_E_AUTH);
    }
    assert_int_equal(verify(k, &s, sig), MCX_OK);
    signer_fini(&s);
}

/* KPAK = -[HS]PVT makes Y infinity, so that anybody could sign: refused
 * although J has the right x.  Nobody can make such a KPAK; here it is put
 * into the object behind the hash's back. */
static void
y_infinity(void **state)
{
    static const uint8_t zero[32];
    struct kit *k = *state;
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_kms_pub evil = *k->pub;
    struct mcx_p256_point pvt;
    struct mcx_p256_jac sum = { .z = { 0 } };
    struct mcx_p256_term term = { NULL, &pvt, NULL };
    uint8_t hs[32], minus[32], sig[129], he[32], j[32] = { [3] = 7 };
    uint8_t point[65], s[32];
    struct mcx_why why = { 0 };

    assert_int_equal(mcx_eccsi_hs(hs, evil.kpak, kit_id(k), k->pvt), MCX_OK);
    p->ops->muladd_q(hs, hs, zero, zero);
    kit_sub(minus, mcx_p256_q, hs, 32);
    assert_true(p->ops->read(&pvt, k->pvt));
    term.k = minus;
    p->ops->sum(&sum, &term, 1);
    assert_true(p->ops->affine(&evil.kpak_point, &sum));
    evil.kpak_table = mcx_p256_table_new(&evil.kpak_point, MCX_KPAK_W, 1);
    evil.signers = mcx_signers_new();
    assert_true(evil.kpak_table && evil.signers);
    /* J = [s HE]G = [j]G */
    p->ops->base_mul(point, p->g_slow, j);
    assert_int_equal(mcx_eccsi_hs(hs, evil.kpak, kit_id(k), k->pvt), MCX_OK);
    assert_int_equal(mcx_eccsi_he(he, hs, point + 1, kit_msg(k)), MCX_OK);
    p->ops->inv_q(s, he);
    p->ops->muladd_q(s, zero, s, j);
    memcpy(sig, point + 1, 32);
    memcpy(sig + 32, s, 32);
    memcpy(sig + 64, k->pvt, 65);
    assert_int_equal(mcx_eccsi_verify(&evil, kit_id(k), kit_msg(k),
                                      mcx_bytes(sig, 129), &why),
                     MCX_E_AUTH);
    assert_int_equal(why.reason, MCX_R_SIGNATURE);
    assert_int_equal(mcx_eccsi_prepare(&evil, kit_id(k), k->pvt),
                     MCX_E_STATE);
    mcx_signers_free(evil.signers);
    mcx_big_free(evil.kpak_table);
}

/* J infinite, and J where both summands are equal, through a signer whose Y
 * was chosen for it: [s r]Y = -[s HE]G, then +[s HE]G. */
static void
j_meets_itself(void **state)
{
    static const uint8_t zero[32], one[32] = { [31] = 1 };
    struct kit *k = *state;
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_kms_pub pub = *k->pub;
    int opposite;

    for (opposite = 0; opposite < 2; opposite++) {
        uint8_t hs[32], he[32], y[32], j[32] = { [5] = 9 }, r[32], s[32];
        uint8_t point[65], sig[129];
        struct mcx_p256_point at;
        struct mcx_p256_table *t;
        struct mcx_why why = { 0 };

        pub.signers = mcx_signers_new();
        assert_non_null(pub.signers);
        p->ops->base_mul(point, p->g_slow, j);
        memcpy(r, point + 1, 32);
        assert_int_equal(mcx_eccsi_hs(hs, pub.kpak, kit_id(k), k->pvt),
                         MCX_OK);
        assert_int_equal(mcx_eccsi_he(he, hs, r, kit_msg(k)), MCX_OK);
        /* s (HE + r y) = 2 s HE = j, or 0 */
        p->ops->inv_q(y, r);
        p->ops->muladd_q(y, zero, y, he);
        if (opposite) {
            kit_sub(y, mcx_p256_q, y, 32);
        }
        p->ops->muladd_q(s, he, one, he);
        p->ops->inv_q(s, s);
        p->ops->muladd_q(s, zero, s, j);
        p->ops->base_mul(point, p->g_slow, y);
        assert_true(p->ops->read(&at, point));
        t = mcx_p256_table_new(&at, MCX_SIGNER_W, MCX_SIGNER_V);
        assert_non_null(t);
        assert_int_equal(mcx_signers_put(pub.signers, hs, t), MCX_OK);
        memcpy(sig, r, 32);
        memcpy(sig + 32, s, 32);
        memcpy(sig + 64, k->pvt, 65);
        assert_int_equal(mcx_eccsi_verify(&pub, kit_id(k), kit_msg(k),
                                          mcx_bytes(sig, 129), &why),
                         opposite ? MCX_E_AUTH : MCX_OK);
        assert_int_equal(why.reason,
                         opposite ? MCX_R_SIGNATURE : MCX_R_NONE);
        mcx_signers_free(pub.signers);
    }
}

/* Many at once: good and bad ones, known and new, say what each would say by
 * itself; any number of them. */
static void
many(void **state)
{
    enum { N = 21 };
    static struct signer s[N];
    static uint8_t sig[N][129];
    struct mcx_eccsi_job job[N];
    struct kit *k = *state;
    size_t n;
    int i;

    for (i = 0; i < N; i++) {
        signer_init(&s[i], k, i % 3 ? "many" : "some", (uint8_t)(100 + i));
        sign(sig[i], &s[i], k);
    }
    for (n = 0; n <= N; n++) {
        mcx_signers_forget(k->pub->signers);
        for (i = 0; i < N; i++) {
            job[i] = (struct mcx_eccsi_job){
                .id = mcx_user_key_id(&s[i].key), .msg = kit_msg(k),
                .sig = mcx_bytes(sig[i], 129), .err = MCX_E_INTERNAL
            };
            if (i % 5 == 2) {
                assert_int_equal(mcx_eccsi_prepare(k->pub, job[i].id,
                                                   s[i].key.pvt), MCX_OK);
            }
        }
        sig[3][33] ^= 1;                          /* s of a new one     */
        sig[7][9] ^= 1;                           /* r of a known one   */
        sig[4][100] ^= 1;                         /* no PVT             */
        memset(sig[9] + 32, 0, 32);               /* s = 0              */
        job[10].sig.n = 128;
        job[11].id.n = 0;
        job[13].id = mcx_bytes_str("nobody");
        mcx_eccsi_verify_many(job, n, k->pub);
        for (i = 0; i < N; i++) {
            struct mcx_why why = { 0 };
            mcx_err want = mcx_eccsi_verify(k->pub, job[i].id, job[i].msg,
                                            job[i].sig, &why);

            assert_int_equal(want == MCX_OK,
                             i != 3 && i != 7 && i != 4 && i != 9 && i != 10
                                 && i != 11 && i != 13);
            if ((size_t)i < n) {
                assert_int_equal(job[i].err, want);
                assert_int_equal(job[i].why.reason, why.reason);
                assert_int_equal(job[i].why.offset, why.offset);
            } else {
                assert_int_equal(job[i].err, MCX_E_INTERNAL);
            }
        }
        sign(sig[3], &s[3], k);
        sign(sig[7], &s[7], k);
        sign(sig[4], &s[4], k);
        sign(sig[9], &s[9], k);
    }
    /* One signer all over: a table comes, once, and all are good. */
    mcx_signers_forget(k->pub->signers);
    for (i = 0; i < N; i++) {
        job[i].id = mcx_user_key_id(&s[0].key);
        job[i].sig = mcx_bytes(sig[0], 129);
    }
    mcx_eccsi_verify_many(job, N, k->pub);
    for (i = 0; i < N; i++) {
        assert_int_equal(job[i].err, MCX_OK);
    }
    assert_true(known(k, s[0].key.hs));
    for (i = 0; i < N; i++) {
        signer_fini(&s[i]);
    }
}

static void
name(uint8_t hs[32], int i)
{
    memset(hs, 0, 32);
    hs[1] = (uint8_t)(i % 7); /* long chains */
    memcpy(hs + 8, &i, sizeof i);
}

static void
put(struct mcx_signers *list, int i)
{
    struct mcx_p256_table *t = mcx_big_new(sizeof *t);
    uint8_t hs[32];

    assert_non_null(t);
    t->w = i;
    name(hs, i);
    assert_int_equal(mcx_signers_put(list, hs, t), MCX_OK);
}

/* Which table is found for 'i': its number, or -1. */
static int
look(struct mcx_signers *list, int i)
{
    const struct mcx_p256_table *t;
    struct mcx_signer *who;
    uint8_t hs[32];
    int w;

    name(hs, i);
    t = mcx_signers_take(&who, list, hs);
    w = t ? t->w : -1;
    mcx_signer_drop(who);
    return w;
}

static void
least_recently_used(void **state)
{
    enum { N = MCX_SIGNERS_MAX };
    struct mcx_signers *list = mcx_signers_new();
    const struct mcx_p256_table *t;
    struct mcx_signer *who;
    uint8_t hs[32];
    int i;

    (void)state;
    assert_non_null(list);
    assert_int_equal(look(list, 0), -1);
    for (i = 0; i < N; i++) {
        put(list, i);
    }
    put(list, 5); /* one will do */
    for (i = 0; i < N; i++) {
        assert_int_equal(look(list, i), i);
    }
    assert_int_equal(look(list, 1), 1);
    name(hs, 0);
    t = mcx_signers_take(&who, list, hs); /* the newest, and kept by us */
    assert_non_null(t);
    for (i = N; i < N + N / 2; i++) { /* the half used first leaves */
        put(list, i);
    }
    for (i = 2; i < N; i++) {
        assert_int_equal(look(list, i), i < N / 2 + 2 ? -1 : i);
    }
    assert_int_equal(look(list, 0), 0);
    assert_int_equal(look(list, 1), 1);
    for (i = 2 * N; i < 3 * N; i++) {
        put(list, i);
    }
    assert_int_equal(look(list, 0), -1);
    assert_int_equal(t->w, 0); /* as long as we have it */
    mcx_signer_drop(who);
    for (i = 2 * N; i < 3 * N; i++) {
        assert_int_equal(look(list, i), i);
    }
    mcx_signers_free(list);
    mcx_signers_free(NULL);
    mcx_signer_drop(NULL);
}

static void
seen(void **state)
{
    struct mcx_signers *list = mcx_signers_new();
    uint8_t a[32], b[32];

    (void)state;
    assert_non_null(list);
    name(a, 1);
    name(b, 8); /* the same place */
    assert_false(mcx_signers_saw(list, a));
    assert_true(mcx_signers_saw(list, a));
    assert_false(mcx_signers_saw(list, b));
    assert_false(mcx_signers_saw(list, a));
    put(list, 1); /* who has a table begins anew when it is lost */
    assert_false(mcx_signers_saw(list, a));
    mcx_signers_free(list);
}

/* Several threads verify the same few signers, whose tables come and go. */
struct crowd {
    struct kit *k;
    struct signer *s;
    uint8_t (*sig)[129];
    int bad;
};
enum { SIGNERS = 4, THREADS = 4, TURNS = 60 };

static void *
verify_many(void *arg)
{
    struct crowd *c = arg;
    int i;

    for (i = 0; i < TURNS; i++) {
        int who = i % SIGNERS;
        struct mcx_bytes sig = mcx_bytes(c->sig[who], 129);
        uint8_t mine[129];

        c->bad += mcx_eccsi_verify(c->k->pub,
                                   mcx_user_key_id(&c->s[who].key),
                                   kit_msg(c->k), sig, NULL) != MCX_OK;
        put(c->k->pub->signers, i);
        c->bad += mcx_eccsi_sign(mine, &c->s[who].key, kit_msg(c->k),
                                 mcx_env_system()) != MCX_OK;
        c->bad += mcx_eccsi_prepare(c->k->pub,
                                    mcx_user_key_id(&c->s[who].key),
                                    c->s[who].key.pvt) != MCX_OK;
    }
    return NULL;
}

static void
threads(void **state)
{
    struct kit *k = *state;
    struct signer s[SIGNERS];
    uint8_t sig[SIGNERS][129];
    struct crowd crowd[THREADS];
    pthread_t id[THREADS];
    int i;

    for (i = 0; i < SIGNERS; i++) {
        signer_init(&s[i], k, "crowd", (uint8_t)(20 + i));
        sign(sig[i], &s[i], k);
    }
    for (i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){ k, s, sig, 0 };
        assert_int_equal(pthread_create(&id[i], NULL, verify_many, &crowd[i]),
                         0);
    }
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(id[i], NULL), 0);
        assert_int_equal(crowd[i].bad, 0);
    }
    for (i = 0; i < SIGNERS; i++) {
        signer_fini(&s[i]);
    }
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
        cmocka_unit_test(second_time),
        cmocka_unit_test(confusions),
        cmocka_unit_test(prepared),
        cmocka_unit_test(refusals),
        cmocka_unit_test(y_infinity),
        cmocka_unit_test(j_meets_itself),
        cmocka_unit_test(many),
        cmocka_unit_test(least_recently_used),
        cmocka_unit_test(seen),
        cmocka_unit_test(threads),
    };

    return cmocka_run_group_tests_name("signers", tests, open_kit, close_kit);
}
