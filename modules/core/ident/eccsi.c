/* eccsi.c -- ECCSI verifying and signing (RFC 6507 section 5.2).  See
 * mcx_ident.h.  Not ECDSA: s multiplies, and no inverse is taken when
 * verifying. */
#include <config.h>
#include <string.h>
#include "hash.h"
#include "objects.h"
#include "p256.h"
#include "signers.h"
#include "../field/public.h"

enum { R_AT = 0, S_AT = 32, PVT_AT = 64 };

static const uint8_t zero[MCX_P256_SIZE];

/* J = [s HE]G + [s r]Y, of which r is to be the x coordinate; r is not 0, so
 * that J then is finite and its x not 0.  Everything here is public. */
struct claim {
    const struct mcx_kms_pub *pub;
    const uint8_t *sig;
    uint8_t hs[MCX_P256_SIZE];
    uint8_t g[MCX_P256_SIZE];    /* s HE, for G         */
    uint8_t y[MCX_P256_SIZE];    /* s r, for Y and KPAK */
    uint8_t pvt_k[MCX_P256_SIZE]; /* s r HS, for PVT    */
    struct mcx_p256_point pvt;
    struct mcx_p256_jac j;
};

/* What G and Y are multiplied by. */
static mcx_err
scalars(struct claim *c, struct mcx_bytes msg)
{
    const struct mcx_p256_ops *ops = mcx_p256()->ops;
    uint8_t he[MCX_P256_SIZE];

    MCX_TRY(mcx_eccsi_he(he, c->hs, c->sig + R_AT, msg));
    ops->muladd_q(c->g, zero, c->sig + S_AT, he);
    ops->muladd_q(c->y, zero, c->sig + S_AT, c->sig + R_AT);
    memset(&c->j, 0, sizeof c->j);
    return MCX_OK;
}

/* Y has a table. */
static mcx_err
join_known(struct claim *c, const struct mcx_p256_table *y,
           struct mcx_bytes msg)
{
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_p256_term term[2] = { { y, NULL, c->y },
                                     { p->g, NULL, c->g } };

    MCX_TRY(scalars(c, msg));
    p->ops->sum(&c->j, term, 2);
    return MCX_OK;
}

/* J = ([s r HS]PVT + [s r]KPAK) + [s HE]G: one multiplication of a point that
 * is new, and two by tables.  The bracket is [s r]Y.  'done': j is the first
 * product already. */
static void
join_new(struct claim *c, bool done)
{
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_p256_term term[3] = { { NULL, &c->pvt, c->pvt_k },
                                     { c->pub->kpak_table, NULL, c->y },
                                     { p->g, NULL, c->g } };

    p->ops->sum(&c->j, term + done, done ? 1 : 2);
    /* Infinity means that Y is (KPAK = -[HS]PVT, to be refused), unless s r
     * is a multiple of q, which takes r = q. */
    if (p->ops->infinite(&c->j)
        && !mcx_bytes_eq(mcx_bytes(c->sig + R_AT, MCX_P256_SIZE),
                         mcx_bytes(mcx_p256_q, sizeof mcx_p256_q))) {
        return;
    }
    p->ops->sum(&c->j, term + 2, 1);
}

/* Y = [HS]PVT + KPAK; false: infinity. */
bool
mcx_eccsi_y(struct mcx_p256_point *y, const struct mcx_kms_pub *pub,
            const struct mcx_p256_point *pvt, const uint8_t hs[MCX_P256_SIZE])
{
    const struct mcx_p256 *p = mcx_p256();
    struct mcx_p256_term term = { NULL, pvt, hs };
    struct mcx_p256_jac sum = { .z = { 0 } };

    p->ops->sum(&sum, &term, 1);
    p->ops->add(&sum, &pub->kpak_point);
    return p->ops->affine(y, &sum);
}

/* A table for a signer who has none; MCX_E_STATE: Y is infinity. */
static mcx_err
keep(const struct mcx_kms_pub *pub, const struct mcx_p256_point *pvt,
     const uint8_t hs[MCX_P256_SIZE])
{
    struct mcx_p256_table *t;
    struct mcx_p256_point y;
    struct mcx_signer *who;

    if (mcx_signers_take(&who, pub->signers, hs)) {
        mcx_signer_drop(who);
        return MCX_OK;
    }
    if (!mcx_eccsi_y(&y, pub, pvt, hs)) {
        return MCX_E_STATE;
    }
    t = mcx_p256_table_new(&y, MCX_SIGNER_W, MCX_SIGNER_V);
    return t ? mcx_signers_put(pub->signers, hs, t) : MCX_E_NOMEM;
}

/* SPEC RFC 6507 3.3: 1 <= r < p, 1 <= s < q.  The text has no ranges for s;
 * without them r = s = 0 would verify for anybody. */
static mcx_err
check_ranges(struct mcx_bytes sig, struct mcx_why *why)
{
    if (sig.n != MCX_ECCSI_SIG_SIZE) {
        return MCX_REFUSE(why, MCX_R_SIGN_LENGTH, "SIGN", sig.n,
                          "RFC 6507 3.3");
    }
    if (!mcx_in_range(sig.p + R_AT, 1, mcx_p256_p, MCX_P256_SIZE)) {
        return MCX_REFUSE(why, MCX_R_SIGN_RANGE, "SIGN", R_AT,
                          "RFC 6507 3.3");
    }
    if (!mcx_in_range(sig.p + S_AT, 1, mcx_p256_q, MCX_P256_SIZE)) {
        return MCX_REFUSE(why, MCX_R_SIGN_RANGE, "SIGN", S_AT,
                          "RFC 6507 3.3");
    }
    return MCX_OK;
}

/* The claim that is made; for a signer with a table J is there afterwards,
 * for another one all that join_new() wants ('*fresh').  A known PVT need not
 * be looked at again: HS names it. */
static mcx_err
begin(struct claim *c, bool *fresh, const struct mcx_kms_pub *pub,
      struct mcx_bytes id, struct mcx_bytes msg, struct mcx_bytes sig,
      struct mcx_why *why)
{
    const struct mcx_p256_table *y;
    struct mcx_signer *who;
    mcx_err err;

    c->pub = pub;
    c->sig = sig.p;
    if (!mcx_id_legal(id)) {
        return MCX_E_ARG;
    }
    MCX_TRY(check_ranges(sig, why));
    MCX_TRY(mcx_eccsi_hs(c->hs, pub->kpak, id, sig.p + PVT_AT));
    y = mcx_signers_take(&who, pub->signers, c->hs);
    *fresh = !y;
    if (y) {
        err = join_known(c, y, msg);
        mcx_signer_drop(who);
        return err;
    }
    if (!mcx_p256()->ops->read(&c->pvt, sig.p + PVT_AT)) {
        return MCX_REFUSE(why, MCX_R_PVT, "SIGN", PVT_AT, "RFC 6507 5.2.2");
    }
    MCX_TRY(scalars(c, msg));
    mcx_p256()->ops->muladd_q(c->pvt_k, zero, c->y, c->hs);
    return MCX_OK;
}

/* J is there: is it right? */
static mcx_err
finish(const struct claim *c, bool fresh, struct mcx_why *why)
{
    /* SPEC RFC 6507 5.2.2 step 6: J finite, Jx not 0 and equal to r */
    if (!mcx_p256()->ops->x_is(&c->j, c->sig + R_AT)) {
        return MCX_REFUSE(why, MCX_R_SIGNATURE, "SIGN", 0, "RFC 6507 5.2.2");
    }
    /* A good one, and not the first: the next will be quicker.  Without
     * memory it will not. */
    if (fresh && mcx_signers_saw(c->pub->signers, c->hs)) {
        (void)!keep(c->pub, &c->pvt, c->hs);
    }
    return MCX_OK;
}

mcx_err
mcx_eccsi_verify_at(uint8_t j_out[MCX_ECCSI_PT_SIZE],
                    const struct mcx_kms_pub *pub, struct mcx_bytes id,
                    struct mcx_bytes msg, struct mcx_bytes sig,
                    struct mcx_why *why)
{
    struct claim c;
    bool fresh = false;
    mcx_err err = begin(&c, &fresh, pub, id, msg, sig, why);

    if (err == MCX_E_NOMEM) {
        return MCX_REFUSE(why, MCX_R_MEMORY, "SIGN", 0, "");
    }
    MCX_TRY(err);
    if (fresh) {
        join_new(&c, false);
    }
    MCX_TRY(finish(&c, fresh, why));
    if (j_out) {
        (void)mcx_p256()->ops->write(j_out, &c.j);
    }
    return MCX_OK;
}

mcx_err
mcx_eccsi_verify(const struct mcx_kms_pub *pub, struct mcx_bytes id,
                 struct mcx_bytes msg, struct mcx_bytes sig,
                 struct mcx_why *why)
{
    return mcx_eccsi_verify_at(NULL, pub, id, msg, sig, why);
}

#ifdef MCX_HAVE_X86

/* The claims of 'n' new signers: their points eight at once; a lane that is
 * left over does the first one's again.  That one and another may be the same
 * signer. */
static void
join_lanes(struct claim *c, size_t n)
{
    const struct mcx_p256_point *a[MCX_P256_LANES];
    const uint8_t *k[MCX_P256_LANES];
    struct mcx_p256_jac r[MCX_P256_LANES];
    unsigned right;
    size_t i;

    for (i = 0; i < MCX_P256_LANES; i++) {
        a[i] = &c[i < n ? i : 0].pvt;
        k[i] = c[i < n ? i : 0].pvt_k;
    }
    right = mcx_p256_lanes_mul(r, a, k);
    for (i = 0; i < n; i++) {
        bool done = right >> i & 1;

        if (done) {
            c[i].j = r[i];
        }
        join_new(&c[i], done);
    }
}

#endif

/* Eight in lanes take less than two by themselves. */
static void
join_all(struct claim *c, size_t n)
{
    size_t i;

#ifdef MCX_HAVE_X86
    if (n > 1 && mcx_p256()->lanes) {
        join_lanes(c, n);
        return;
    }
#endif
    for (i = 0; i < n; i++) {
        join_new(&c[i], false);
    }
}

void
mcx_eccsi_verify_many(struct mcx_eccsi_job *job, size_t n,
                      const struct mcx_kms_pub *pub)
{
    struct claim c[MCX_P256_LANES];
    struct mcx_eccsi_job *of[MCX_P256_LANES];
    size_t i, j, used = 0;

    for (i = 0; i < n; i++) {
        bool fresh = false;

        memset(&job[i].why, 0, sizeof job[i].why);
        job[i].err = begin(&c[used], &fresh, pub, job[i].id, job[i].msg,
                           job[i].sig, &job[i].why);
        if (job[i].err == MCX_E_NOMEM) {
            (void)MCX_REFUSE(&job[i].why, MCX_R_MEMORY, "SIGN", 0, "");
        }
        if (job[i].err == MCX_OK && fresh) {
            of[used++] = &job[i];
        } else if (job[i].err == MCX_OK) {
            job[i].err = finish(&c[used], false, &job[i].why);
        }
        if (used == MCX_P256_LANES || (used > 0 && i == n - 1)) {
            join_all(c, used);
            for (j = 0; j < used; j++) {
                of[j]->err = finish(&c[j], true, &of[j]->why);
            }
            used = 0;
        }
    }
}

mcx_err
mcx_eccsi_prepare(struct mcx_kms_pub *pub, struct mcx_bytes id,
                  const uint8_t pvt[MCX_ECCSI_PT_SIZE])
{
    uint8_t hs[MCX_P256_SIZE];
    struct mcx_p256_point point;

    if (!mcx_id_legal(id) || !mcx_p256()->ops->read(&point, pvt)) {
        return MCX_E_ARG;
    }
    MCX_TRY(mcx_eccsi_hs(hs, pub->kpak, id, pvt));
    return keep(pub, &point, hs);
}

/* ---- signing ----------------------------------------------------------- */

mcx_err
mcx_eccsi_sign_with(uint8_t sig[MCX_ECCSI_SIG_SIZE],
                    const struct mcx_user_key *key, struct mcx_bytes msg,
                    const uint8_t j[MCX_P256_SIZE])
{
    const struct mcx_p256 *p = mcx_p256();
    uint8_t point[MCX_ECCSI_PT_SIZE] = { 0 }, he[MCX_P256_SIZE] = { 0 };
    uint8_t t[MCX_P256_SIZE] = { 0 }, s[MCX_P256_SIZE] = { 0 };
    bool none;
    mcx_err err;

    p->ops->base_mul(point, p->g_slow, j);
    MCX_PUBLIC(point, sizeof point); /* r goes out; y is one of two */
    MCX_TRY_OR(err, mcx_eccsi_he(he, key->hs, point + 1, msg), out);
    /* t = HE + r SSK, s = t^-1 j */
    p->ops->muladd_q(t, he, point + 1, key->secret->ssk.b);
    p->ops->inv_q(t, t);
    p->ops->muladd_q(s, zero, t, j);
    /* t = 0 and r = 0 are as good as impossible, and no signature. */
    none = mcx_secret_eq(s, zero, sizeof s);
    MCX_PUBLIC(&none, sizeof none);
    if (none || mcx_secret_eq(point + 1, zero, sizeof zero)) {
        err = MCX_E_STATE;
        goto out;
    }
    memcpy(sig + R_AT, point + 1, MCX_P256_SIZE);
    memcpy(sig + S_AT, s, MCX_P256_SIZE);
    memcpy(sig + PVT_AT, key->pvt, MCX_ECCSI_PT_SIZE);
out:
    mcx_wipe(t, sizeof t);
    mcx_wipe(s, sizeof s);
    mcx_wipe(point, sizeof point);
    mcx_p256_burn();
    return err;
}

/* HMAC-SHA-256 with SSK as the key (RFC 2104). */
static mcx_err
hmac_ssk(uint8_t out[MCX_SHA256_SIZE], const struct mcx_ssk *ssk,
         struct mcx_bytes in)
{
    uint8_t pad[2][64], hash[MCX_SHA256_SIZE];
    struct mcx_bytes inner[2] = { { pad[0], sizeof pad[0] }, in };
    struct mcx_bytes outer[2] = { { pad[1], sizeof pad[1] },
                                  { hash, sizeof hash } };
    mcx_err err;
    size_t i;

    memset(pad[0], 0x36, sizeof pad[0]);
    memset(pad[1], 0x5c, sizeof pad[1]);
    for (i = 0; i < MCX_SSK_SIZE; i++) {
        pad[0][i] ^= ssk->b[i];
        pad[1][i] ^= ssk->b[i];
    }
    err = mcx_sha256(hash, inner, 2);
    if (err == MCX_OK) {
        err = mcx_sha256(out, outer, 2);
    }
    mcx_wipe(pad, sizeof pad);
    mcx_wipe(hash, sizeof hash);
    return err;
}

/* A nonce from HMAC-SHA-256(SSK, count | random | HS | SHA-256(M)), uniform in
 * 1..q-1 by rejection (one try in 2^32 fails).  With a source of randomness
 * that repeats itself two messages still get two nonces; with one that is
 * good nothing depends on the hash. */
static mcx_err
hedged_nonce(uint8_t j[MCX_P256_SIZE], const struct mcx_user_key *key,
             struct mcx_bytes msg, const struct mcx_env *env)
{
    enum { TRIES = 16 };
    struct {
        uint8_t count;
        uint8_t random[32];
        uint8_t hs[MCX_P256_SIZE];
        uint8_t msg[MCX_SHA256_SIZE];
    } in = { 0 };
    mcx_err err = mcx_sha256(in.msg, &msg, 1);

    memcpy(in.hs, key->hs, sizeof in.hs);
    if (err == MCX_OK) {
        err = env->random(env->ctx, in.random, sizeof in.random);
        err = err == MCX_OK || err == MCX_E_NOMEM ? err : MCX_E_IO;
    }
    while (err == MCX_OK) {
        bool good;

        err = hmac_ssk(j, &key->secret->ssk, mcx_bytes(&in, sizeof in));
        good = err == MCX_OK
               && mcx_in_range(j, 1, mcx_p256_q, MCX_P256_SIZE);
        MCX_PUBLIC(&good, sizeof good); /* what is refused is not used */
        if (good) {
            break;
        }
        if (++in.count == TRIES) {
            err = MCX_E_SELFTEST; /* 2^-512: the hash is broken */
        }
    }
    mcx_wipe(&in, sizeof in);
    if (err != MCX_OK) {
        mcx_wipe(j, MCX_P256_SIZE);
    }
    return err;
}

/* What any verifier would say, by the table of our own Y. */
static mcx_err
verify_own(const struct mcx_user_key *key, struct mcx_bytes msg,
           const uint8_t sig[MCX_ECCSI_SIG_SIZE])
{
    struct claim c = { .pub = key->pub, .sig = sig };

    MCX_TRY(check_ranges(mcx_bytes(sig, MCX_ECCSI_SIG_SIZE), NULL));
    memcpy(c.hs, key->hs, sizeof c.hs);
    MCX_TRY(join_known(&c, key->y_table, msg));
    return mcx_p256()->ops->x_is(&c.j, sig + R_AT) ? MCX_OK : MCX_E_AUTH;
}

mcx_err
mcx_eccsi_sign(uint8_t sig[MCX_ECCSI_SIG_SIZE], const struct mcx_user_key *key,
               struct mcx_bytes msg, const struct mcx_env *env)
{
    uint8_t j[MCX_P256_SIZE] = { 0 }, made[MCX_ECCSI_SIG_SIZE] = { 0 };
    mcx_err err;

    MCX_TRY_OR(err, hedged_nonce(j, key, msg, env), out);
    MCX_TRY_OR(err, mcx_eccsi_sign_with(made, key, msg, j), out);
    /* A fault in the arithmetic would give SSK away. */
    MCX_PUBLIC(made, sizeof made);
    err = verify_own(key, msg, made);
    if (err == MCX_OK) {
        memcpy(sig, made, sizeof made);
    }
out:
    mcx_wipe(j, sizeof j);
    mcx_wipe(made, sizeof made);
    return err == MCX_OK || err == MCX_E_NOMEM || err == MCX_E_IO
               ? err
               : MCX_E_SELFTEST;
}
