/* gsk.c -- GSK messages of one-to-many direct mode (TS 33.303 6.2.4): a
 * pre-shared key I_MESSAGE under the GMK, on request with the talker's ECCSI
 * signature behind KEMAC.
 *
 * Called by whoever offers or takes one-to-many media, mcx-mikey and tests.
 * psk.c does the MAC and the cipher; here are the identifier of the GMK, T,
 * replay, the signature, and what a GSK may look like:
 *
 *   HDR (SRTP-ID map), T, RAND, [IDi: GMK-ID], SP, KEMAC { TGK, SPI }, [SIGN]
 *
 * The signature covers everything before its 129 octets, the MAC everything
 * before itself; KEMAC's next payload is under the MAC, so a signature cannot
 * be cut off. */
#include <config.h>
#include "inner.h"
#include "mac.h"

enum { ID_BYTES = 2, KEY_ID_SIZE = 4, KEYDATA_TGK = 0, KV_NULL = 0,
       KV_SPI = 1, T_VALUE = 2, SIGN_DATA = 2, RAND_SIZE = 16 };
static const char clause[] = "TS 33.303 6.2.4.5";

/* ---- building ---------------------------------------------------------- */

static mcx_err
draw(struct mcx_key_msg *km, const struct mcx_gsk_build *how)
{
    const struct mcx_env *env = how->env;
    uint8_t id[KEY_ID_SIZE];

    if (how->key) {
        km->key = *how->key;
    } else {
        MCX_TRY(env->random(env->ctx, km->key.b, sizeof km->key.b));
    }
    if (how->rand) {
        memcpy(km->rand, how->rand, RAND_SIZE);
    } else {
        MCX_TRY(env->random(env->ctx, km->rand, RAND_SIZE));
    }
    km->rand_n = RAND_SIZE;
    if (how->id_given) {
        km->key_id = how->key_id;
    } else {
        MCX_TRY(env->random(env->ctx, id, sizeof id));
        km->key_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16
                     | (uint32_t)id[2] << 8 | id[3];
    }
    km->csb_id = km->key_id;
    return MCX_OK;
}

/* One TGK; its SPI is the CSB ID, the MKI of packets. */
static void
fill_keydata(struct mcx_psk_keys *keys, const struct mcx_key_msg *km,
             bool no_mki)
{
    struct mcx_keydata *k = &keys->k[0];
    struct mcx_wr spi = mcx_wr(k->spi, sizeof k->spi);

    keys->n = 1;
    k->type = KEYDATA_TGK;
    memcpy(k->key, km->key.b, sizeof km->key.b);
    k->key_n = sizeof km->key.b;
    if (!no_mki) {
        k->kv = KV_SPI;
        mcx_wr_u32(&spi, km->key_id);
        k->spi_n = spi.at;
    }
}

static mcx_err
make(uint8_t *out, size_t *out_n, struct mcx_key_msg *km,
     const struct mcx_gsk_build *how, struct mcx_why *why)
{
    static const uint8_t policy_0[1] = { 0 };
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_cs cs[MCX_MIKEY_CS_MAX] = { 0 };
    uint8_t gmk_id[KEY_ID_SIZE], sp[MCX_PROFILE_PARAMS_MAX];
    struct mcx_wr id = mcx_wr(gmk_id, sizeof gmk_id);
    struct mcx_wr params = mcx_wr(sp, sizeof sp);
    struct mcx_psk_build psk = {
        .env = how->env, .prf = how->prf, .map_type = MCX_MAP_SRTP_ID,
        .psk = mcx_bytes(how->gmk->b, sizeof how->gmk->b),
        .cs = cs, .n_cs = how->n_ssrc ? how->n_ssrc : 1,
        .id_i_type = ID_BYTES, .keys = &keys, .ring = how->ring,
        .sign_as = how->from, .rand = km->rand,
    };
    size_t i, covered;

    MCX_TRY(draw(km, how));
    km->ours = true;
    km->kind = MCX_KIND_GSK;
    km->prf = how->prf;
    km->sp = how->sp ? *how->sp : mcx_profile_default(MCX_KIND_GSK);
    km->t_unix_ms = how->at_unix_ms ? how->at_unix_ms
                                    : how->env->unix_ms(how->env->ctx);
    if (how->from) {
        memcpy(km->initiator, how->from, strlen(how->from));
    }
    fill_keydata(&keys, km, how->no_mki);
    for (i = 0; i < psk.n_cs; i++) {
        cs[i].policies = mcx_bytes(policy_0, sizeof policy_0);
        cs[i].ssrc = how->n_ssrc ? how->ssrc[i] : 0;
    }
    MCX_TRY(mcx_profile_write(&params, &km->sp));
    mcx_wr_u32(&id, how->gmk_id);
    psk.sp = mcx_bytes(sp, params.at);
    psk.id_i = mcx_bytes(gmk_id, how->hide_gmk_id ? 0 : id.at);
    psk.csb_id = km->csb_id;
    psk.at_unix_ms = km->t_unix_ms;
    MCX_TRY(mcx_psk_make(out, out_n, &psk, &km->t, &covered, why));
    return mcx_digest(km->digest, mcx_bytes(out, covered));
}

mcx_err
mcx_gsk_build(uint8_t *out, size_t *out_n, struct mcx_key_msg *km,
              const struct mcx_gsk_build *how, struct mcx_why *why)
{
    MCX_SECRET(mcx_key_msg, own);

    if (km) {
        memset(km, 0, sizeof *km);
    }
    if (!out || !out_n || !how || !how->env || !how->gmk
        || how->n_ssrc > MCX_MIKEY_CS_MAX || (how->n_ssrc && !how->ssrc)
        || (how->from && (!how->ring || !how->from[0]
                          || strlen(how->from) >= MCX_URI_MAX))) {
        return MCX_E_ARG;
    }
    MCX_TRY(make(out, out_n, &own, how, why));
    if (km) {
        *km = own;
    }
    return MCX_OK;
}

/* ---- opening ----------------------------------------------------------- */

/* One opening on its way. */
struct opening {
    const struct mcx_mikey_msg *msg;
    const struct mcx_gsk_open *how;
    struct mcx_why *why;
    struct mcx_key_msg *km;
    int64_t now_ms, back_ms;
    bool again; /* seen before, and its key is not held any more */
};

static mcx_err
refuse_world(const struct opening *o, mcx_err err, const char *payload)
{
    return MCX_REFUSE(o->why, err == MCX_E_NOMEM ? MCX_R_MEMORY
                                                 : MCX_R_CRYPTO,
                      payload, 0, "");
}

static mcx_err
check_time(const struct opening *o)
{
    size_t at = o->msg->t_at + T_VALUE;
    int64_t t_ms = o->km->t_unix_ms;

    if (o->msg->t_type != 0 && o->msg->t_type != 1) {
        return MCX_REFUSE(o->why, MCX_R_TIME_TYPE, "T", at - 1, clause);
    }
    if (t_ms > o->now_ms + MCX_WINDOW_AHEAD_S * INT64_C(1000)) {
        return MCX_REFUSE(o->why, MCX_R_TOO_NEW, "T", at, "RFC 3830 5.4");
    }
    if (t_ms < o->now_ms - o->back_ms) {
        return MCX_REFUSE(o->why, MCX_R_TOO_OLD, "T", at, "RFC 3830 5.4");
    }
    return MCX_OK;
}

static mcx_err
replay_result(const struct opening *o, mcx_err err)
{
    size_t at = o->msg->t_at + T_VALUE;

    if (err == MCX_E_REPLAY || err == MCX_E_BUSY) {
        return MCX_REFUSE(o->why, err == MCX_E_REPLAY ? MCX_R_REPLAYED
                                                      : MCX_R_REPLAY_FULL,
                          "T", at, "RFC 3830 5.4");
    }
    return err == MCX_OK ? MCX_OK : refuse_world(o, err, "T");
}

/* SPEC TS 33.303 6.2.4.5: the message is repeated for late joiners; whoever
 * has its key drops the repeat, whoever has not is one of them. */
static mcx_err
look(struct opening *o)
{
    mcx_err err = mcx_replay_look(o->how->replay, o->km->digest, o->now_ms,
                                  false);

    o->again = err == MCX_E_REPLAY && o->how->held
               && !o->how->held(o->how->arg, o->msg->csb_id);
    return replay_result(o, o->again ? MCX_OK : err);
}

static mcx_err
check_replay(struct opening *o)
{
    mcx_err err;

    /* The signature's own octets, and a MAC that ends the message, stay
     * out. */
    err = mcx_digest(o->km->digest,
                     mcx_bytes(o->msg->octets.p, o->msg->signed_size));
    if (err != MCX_OK) {
        return refuse_world(o, err, "");
    }
    if (!o->how->replay) {
        return MCX_OK;
    }
    if (mcx_replay_below(o->how->replay, o->km->t_unix_ms)) {
        return replay_result(o, MCX_E_REPLAY);
    }
    return look(o);
}

/* Four octets are the ID of a key. */
static bool
key_id_of(uint32_t *id, const struct mcx_idr *idr)
{
    const uint8_t *p = idr->data.p;

    if (!idr->at || idr->data.n != KEY_ID_SIZE) {
        return false;
    }
    *id = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
          | p[3];
    return true;
}

/* The GMK, by the identifiers in the order of the digest of TS 33.303. */
static mcx_err
find_gmk(const struct opening *o, struct mcx_ssv *gmk)
{
    const struct mcx_mikey_msg *m = o->msg;
    const struct mcx_idr *place[] = { &m->idr[MCX_ROLE_R], &m->id[1],
                                      &m->idr[MCX_ROLE_I], &m->id[0] };
    bool named = false;
    uint32_t id;
    mcx_err err;
    size_t i;

    for (i = 0; i < sizeof place / sizeof place[0]; i++) {
        if (key_id_of(&id, place[i])) {
            named = true;
            err = o->how->gmk(o->how->arg, id, false, gmk);
            if (err != MCX_E_NO_KEY) {
                return err == MCX_OK ? MCX_OK : refuse_world(o, err, "ID");
            }
        }
    }
    /* A message that names a GMK we lack is not for another one. */
    if (!named) {
        err = o->how->gmk(o->how->arg, m->csb_id, false, gmk);
        if (err == MCX_E_NO_KEY) {
            err = o->how->gmk(o->how->arg, 0, true, gmk);
        }
        if (err != MCX_E_NO_KEY) {
            return err == MCX_OK ? MCX_OK : refuse_world(o, err, "ID");
        }
    }
    return MCX_REFUSE(o->why, MCX_R_NO_GMK, "ID", 0, clause);
}

static mcx_err
verify(const struct opening *o, struct mcx_end *end)
{
    const struct mcx_mikey_msg *m = o->msg;
    mcx_err err = mcx_end_uids(end, o->km->t_unix_ms, true);

    if (err == MCX_E_ARG) { /* before the first period */
        return MCX_REFUSE(o->why, MCX_R_TOO_OLD, "T", m->t_at + T_VALUE,
                          "TS 33.180 F.2.1");
    }
    if (err != MCX_OK) {
        return refuse_world(o, err, "T");
    }
    return mcx_end_verify(end, mcx_bytes(m->octets.p, m->signed_size),
                          m->sign, m->sign_at + SIGN_DATA, NULL, o->why);
}

/* SPEC TS 33.303 6.2.4.5.2: who checks the signature, and finds it bad or the
 * talker not acceptable, rejects. */
static mcx_err
check_signature(const struct opening *o)
{
    struct mcx_end end = { .uri = o->km->initiator };
    const struct mcx_mikey_msg *m = o->msg;
    const char *from = o->how->from;
    mcx_err err;

    if (!m->sign_at) {
        return o->how->want_sign
                   ? MCX_REFUSE(o->why, MCX_R_PAYLOAD_MISSING, "SIGN",
                                m->octets.n, clause)
                   : MCX_OK;
    }
    if (!o->how->ring) { /* the receiver does not check */
        return MCX_OK;
    }
    if (!from || strlen(from) >= MCX_URI_MAX) {
        return MCX_REFUSE(o->why, MCX_R_INITIATOR_HIDDEN, "ID", 0, clause);
    }
    memcpy(o->km->initiator, from, strlen(from) + 1);
    if (mcx_ring_kms_of(o->how->ring, from, &end.kms, &end.pub) != MCX_OK) {
        return MCX_REFUSE(o->why, MCX_R_NO_KMS, "ID", 0, clause);
    }
    if (!mcx_kms_info_valid(&end.kms, o->km->t_unix_ms)) {
        err = MCX_REFUSE(o->why, MCX_R_CERT_REVOKED, "ID", 0, clause);
    } else {
        err = verify(o, &end);
    }
    memcpy(o->km->kms_i, end.kms.uri, sizeof o->km->kms_i);
    mcx_kms_pub_free(end.pub);
    return err;
}

/* What may be inside: one TGK of 16 octets, with an SPI that is an MKI.  A
 * TEK would bypass the derivation, and a salt that came along has no place
 * in a key that has its salts derived. */
static mcx_err
take_key(const struct opening *o, const struct mcx_psk_keys *keys)
{
    const struct mcx_keydata *k = &keys->k[0];
    struct mcx_key_msg *km = o->km;

    if (keys->n != 1 || k->type != KEYDATA_TGK
        || k->key_n != sizeof km->key.b || k->kv > KV_SPI
        || (k->kv == KV_SPI && k->spi_n != KEY_ID_SIZE)) {
        return MCX_REFUSE(o->why, MCX_R_POLICY_PARAM, "KEYDATA",
                          o->msg->kemac.at + 4, clause);
    }
    memcpy(km->key.b, k->key, sizeof km->key.b);
    km->csb_id = km->key_id = o->msg->csb_id;
    if (k->kv == KV_SPI) {
        km->key_id = (uint32_t)k->spi[0] << 24 | (uint32_t)k->spi[1] << 16
                     | (uint32_t)k->spi[2] << 8 | k->spi[3];
    }
    return MCX_OK;
}

static mcx_err
run(struct opening *o)
{
    MCX_SECRET(mcx_ssv, gmk);
    MCX_SECRET(mcx_psk_keys, keys);
    const struct mcx_mikey_msg *m = o->msg;
    struct mcx_key_msg *km = o->km;

    if (m->data_type != MCX_DT_PSK_INIT) {
        return MCX_REFUSE(o->why, MCX_R_DATA_TYPE, "HDR", 1, clause);
    }
    MCX_TRY(check_time(o));
    MCX_TRY(check_replay(o));
    MCX_TRY(find_gmk(o, &gmk));
    MCX_TRY(mcx_psk_open(&keys, m, mcx_bytes(gmk.b, sizeof gmk.b), o->why));
    MCX_TRY(check_signature(o));
    if (o->how->replay && !o->again) {
        MCX_TRY(replay_result(
            o, mcx_replay_enter(o->how->replay, km->digest, o->now_ms,
                                km->t_unix_ms + o->back_ms + 1000, false,
                                false)));
    }
    MCX_TRY(take_key(o, &keys));
    MCX_TRY(mcx_profile_of(&km->sp, m, MCX_KIND_GSK, o->why));
    km->kind = MCX_KIND_GSK;
    km->t = m->t;
    km->prf = m->prf;
    km->rand_n = m->rand.n; /* at most 255: its length is one octet */
    memcpy(km->rand, m->rand.p, m->rand.n);
    return MCX_OK;
}

mcx_err
mcx_gsk_open(struct mcx_key_msg *out, const struct mcx_mikey_msg *msg,
             const struct mcx_gsk_open *how, struct mcx_why *why)
{
    MCX_SECRET(mcx_key_msg, km);
    struct opening o = { .msg = msg, .how = how, .why = why, .km = &km };

    memset(out, 0, sizeof *out);
    if (!msg || msg->n_pl == 0 || !how || !how->env || !how->gmk
        || how->back_s < 0 || (how->want_sign && !how->ring)) {
        return MCX_E_ARG;
    }
    o.now_ms = how->env->unix_ms(how->env->ctx);
    o.back_ms = (how->back_s ? how->back_s : MCX_WINDOW_BACK_S)
                * INT64_C(1000);
    km.t_unix_ms = mcx_ntp_to_unix_ms(msg->t, o.now_ms);
    MCX_TRY(run(&o));
    *out = km;
    return MCX_OK;
}

bool
mcx_key_msg_newer(const struct mcx_key_msg *a, const struct mcx_key_msg *b)
{
    /* The difference of two times less than 68 years apart is right whatever
     * the era of each. */
    return (int64_t)(a->t - b->t) > 0;
}
