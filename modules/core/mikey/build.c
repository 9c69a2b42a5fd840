/* build.c -- makes a signed MIKEY-SAKKE I_MESSAGE of a key.
 *
 * Called by the modules' workers, mcx-mikey build and tests.  It fills the
 * same struct mcx_mikey_msg that parse.c makes, with views of its own buffers,
 * and lets the payload files write it; then it signs.
 *
 * SPEC TS 33.180 E.1.2: HDR, T, RAND, IDRi, IDRr, IDRkmsi, IDRkmsr, [SP],
 * SAKKE, [EXT key parameters], [EXT SAKKE-to-self], SIGN.  By default #CS is 0
 * and the map empty: the profile of the key's kind holds, without SP. */
#include <config.h>
#include <stdatomic.h>
#include "inner.h"
#include "mac.h"

enum {
    RAND_SIZE = 16,
    SCHEME_TEL = 1,
    SCHEME_UID = 2,
    ID_URI = 1,
    PARAMETER_SET_1 = 1,
    TRIES = 8,
    SELF_SIZE = 5 + MCX_SAKKE_ENC_SIZE,
    PARAMS_SIZE = 9000,
    SPI_MAX = 8
};

/* One message on its way; everything the views of 'm' point to. */
struct making {
    const struct mcx_build *how;
    const struct mcx_kind_info *kind;
    bool diverse; /* CSB ID is the receiver's own */
    struct mcx_why *why;
    struct mcx_key_msg *km;
    struct mcx_end i, r;
    struct mcx_user_key *key; /* of the initiator, a reference */
    struct mcx_mikey_msg m;
    uint8_t enc[MCX_SAKKE_ENC_SIZE];
    uint8_t self[SELF_SIZE];
    uint8_t params[PARAMS_SIZE];
    uint8_t sp[MCX_PROFILE_PARAMS_MAX];
    uint8_t spi[SPI_MAX];
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
};

static mcx_err
fail(const struct making *b, mcx_err err, mcx_reason reason,
     const char *payload)
{
    /* The code of the caller's choice, with a reason for people. */
    (void)MCX_REFUSE(b->why, reason, payload, 0, "TS 33.180 E.1.2");
    return err;
}

/* ---- T ----------------------------------------------------------------- */

/* SPEC RFC 3830 5.4: timestamps of one initiator are unique.  A running
 * number goes below the millisecond, where a fraction has room for four
 * million, so they are unique whatever the clock does, and grow with it. */
uint64_t
mcx_unique_t(int64_t unix_ms)
{
    static atomic_uint_fast32_t counter;
    uint32_t n = (uint32_t)atomic_fetch_add(&counter, 1) % 4000000u;

    return mcx_ntp_from_unix_ms(unix_ms) + n;
}

/* ---- whom -------------------------------------------------------------- */

static mcx_err
find_ends(struct making *b)
{
    const struct mcx_build *how = b->how;
    struct mcx_bytes to_kms = mcx_bytes_str(how->to_kms);
    mcx_err err;

    b->i.uri = how->from;
    b->r.uri = how->to;
    MCX_TRY(mcx_end_signer(&b->i, &b->key, how->ring, b->km->t_unix_ms,
                           b->why));
    err = how->to_kms
              ? mcx_ring_kms(how->ring, to_kms, &b->r.kms, &b->r.pub)
              : mcx_ring_kms_of(how->ring, how->to, &b->r.kms, &b->r.pub);
    if (err != MCX_OK) {
        return fail(b, MCX_E_NO_IDENTITY, MCX_R_NO_KMS, "IDRkmsr");
    }
    if (!mcx_kms_info_valid(&b->r.kms, b->km->t_unix_ms)) {
        return fail(b, MCX_E_EXPIRED, MCX_R_CERT_REVOKED, "IDRkmsr");
    }
    err = mcx_end_uids(&b->r, b->km->t_unix_ms, false);
    if (err != MCX_OK) { /* MCX_E_ARG: before the first period */
        return fail(b, err, err == MCX_E_ARG ? MCX_R_VALUE : MCX_R_MEMORY,
                    "T");
    }
    return MCX_OK;
}

/* ---- the key and its ID ------------------------------------------------ */

static mcx_err
draw_id(struct making *b)
{
    const struct mcx_build *how = b->how;
    uint8_t r[4];

    if (how->key || how->id_given) {
        b->km->key_id = how->key_id;
        return MCX_KEY_ID_KIND(how->key_id) == how->kind
                   ? MCX_OK
                   : fail(b, MCX_E_ARG, MCX_R_PURPOSE, "HDR");
    }
    MCX_TRY(how->env->random(how->env->ctx, r, sizeof r));
    b->km->key_id = (uint32_t)how->kind << 28
                    | ((uint32_t)(r[0] & 0x0f) << 24 | (uint32_t)r[1] << 16
                       | (uint32_t)r[2] << 8 | r[3]);
    return MCX_OK;
}

/* Seals the key to both ends that want it; a fresh key for which that is not
 * possible (RFC 6508 6.2.1, r = 0 and the like) is drawn again. */
static mcx_err
seal(struct making *b, uint8_t self[MCX_SAKKE_ENC_SIZE])
{
    const struct mcx_build *how = b->how;
    struct mcx_ssv *key = &b->km->key;
    struct mcx_bytes id_r = mcx_end_id(&b->r, 0);
    struct mcx_bytes id_i = mcx_end_id(&b->i, 0);
    mcx_err err = MCX_E_STATE;
    int n;

    for (n = 0; err == MCX_E_STATE && n < TRIES; n++) {
        if (how->key) {
            *key = *how->key;
            n = TRIES;
        } else {
            MCX_TRY(how->env->random(how->env->ctx, key->b, sizeof key->b));
        }
        err = mcx_sakke_seal(b->enc, b->r.pub, id_r, key);
        if (err == MCX_OK && how->sakke_to_self) {
            err = mcx_sakke_seal(self, b->i.pub, id_i, key);
        }
    }
    if (err == MCX_OK) {
        mcx_ring_sealed_to(how->ring, b->r.pub, id_r);
    }
    return err == MCX_E_STATE ? MCX_E_ARG : err;
}

/* ---- the message ------------------------------------------------------- */

static void
add_idr(struct mcx_mikey_msg *m, unsigned role, struct mcx_bytes data)
{
    m->idr[role] = (struct mcx_idr){ .at = mcx_pl_add(m, MCX_PL_IDR),
                                     .role = (uint8_t)role,
                                     .id_type = ID_URI,
                                     .data = data };
}

static void
add_end(struct mcx_mikey_msg *m, const struct mcx_end *end, bool hide,
        unsigned uri_role, unsigned uid_role)
{
    if (hide) {
        add_idr(m, uid_role, mcx_end_id(end, 0));
    } else {
        add_idr(m, uri_role, mcx_bytes_str(end->uri));
    }
}

static void
add_ext(struct mcx_mikey_msg *m, unsigned type, struct mcx_bytes data)
{
    m->ext[m->n_ext++] = (struct mcx_ext){ .at = mcx_pl_add(m, MCX_PL_EXT),
                                           .type = (uint8_t)type,
                                           .data = data };
}

/* The first CS-ID: what the caller wants, else the table's; release 13 used 0
 * for what floor control is protected with. */
static uint8_t
first_cs_id(const struct making *b)
{
    if (b->how->cs_id_given) {
        return b->how->cs_id;
    }
    return b->how->peer & MCX_PEER_REL13_CS_ID ? b->kind->rel13_cs_id
                                               : b->kind->cs_id;
}

/* Release 13: GENERIC-ID, one entry for each stream, the MKI as SPI; a GMK's
 * MKI is GMK-ID and GUK-ID.  The map names policy 0, so SP comes along. */
static mcx_err
fill_map(struct making *b)
{
    static const uint8_t policy_0[1] = { 0 };
    struct mcx_mikey_msg *m = &b->m;
    struct mcx_wr spi = mcx_wr(b->spi, sizeof b->spi);
    size_t i;

    m->map_type = MCX_MAP_EMPTY;
    if (!(b->how->peer & MCX_PEER_REL13_MAP)) {
        return MCX_OK;
    }
    mcx_wr_u32(&spi, b->km->key_id);
    if (b->diverse) {
        mcx_wr_u32(&spi, b->km->csb_id);
    }
    m->map_type = MCX_MAP_GENERIC_ID;
    m->n_cs = b->kind->n_cs;
    for (i = 0; i < m->n_cs; i++) {
        m->cs[i].cs_id = (uint8_t)(first_cs_id(b) + i);
        m->cs[i].policies = mcx_bytes(policy_0, 1);
        m->cs[i].spi = mcx_bytes(b->spi, spi.at);
    }
    return mcx_wr_status(&spi);
}

static mcx_err
add_sp(struct making *b)
{
    struct mcx_wr wr = mcx_wr(b->sp, sizeof b->sp);
    struct mcx_mikey_msg *m = &b->m;

    if (!(b->how->peer & MCX_PEER_REL13_MAP)) {
        return MCX_OK;
    }
    MCX_TRY(mcx_profile_write(&wr, &b->km->sp));
    m->sp[m->n_sp++] = (struct mcx_sp){ .at = mcx_pl_add(m, MCX_PL_SP),
                                        .params = mcx_bytes(b->sp, wr.at) };
    return MCX_OK;
}

static mcx_err
add_params(struct making *b)
{
    struct mcx_wr wr = mcx_wr(b->params, sizeof b->params);
    const struct mcx_build *how = b->how;
    mcx_err err;

    if (!how->params) {
        return MCX_OK;
    }
    err = mcx_key_params_write(&wr, how->params, how->params_form,
                               &b->km->key, b->km->csb_id,
                               b->km->t_unix_ms / 1000, how->env);
    if (err != MCX_OK) {
        return err == MCX_E_ARG ? fail(b, err, MCX_R_VALUE, "EXT") : err;
    }
    add_ext(&b->m, MCX_EXT_KEY_PARAMS, mcx_bytes(b->params, wr.at));
    b->km->params = *how->params;
    b->km->params.present = true;
    return MCX_OK;
}

static mcx_err
fill(struct making *b)
{
    const struct mcx_build *how = b->how;
    struct mcx_mikey_msg *m = &b->m;
    struct mcx_wr self = mcx_wr(b->self, sizeof b->self);
    uint8_t enc[MCX_SAKKE_ENC_SIZE];
    struct mcx_sakke_pl to_self = { .params = PARAMETER_SET_1,
                                    .scheme = SCHEME_UID,
                                    .data = mcx_bytes(enc, sizeof enc) };

    MCX_TRY(seal(b, enc));
    b->km->csb_id = b->km->key_id;
    if (b->diverse) {
        MCX_TRY(mcx_guk_id(&b->km->csb_id, &b->km->key, b->km->key_id,
                           how->to));
    }
    m->version = 1;
    m->data_type = MCX_DT_SAKKE;
    m->v = (how->peer & MCX_PEER_REL13_V) != 0;
    m->prf = MCX_PRF_HMAC_SHA256;
    m->csb_id = b->km->csb_id;
    m->t = b->km->t;
    m->rand = mcx_bytes(b->km->rand, b->km->rand_n);
    m->sakke = to_self;
    m->sakke.scheme = b->r.kms.monthly_tel ? SCHEME_TEL : SCHEME_UID;
    to_self.scheme = b->i.kms.monthly_tel ? SCHEME_TEL : SCHEME_UID;
    m->sakke.data = mcx_bytes(b->enc, sizeof b->enc);
    MCX_TRY(fill_map(b));
    (void)mcx_pl_add(m, MCX_PL_LAST); /* HDR */
    (void)mcx_pl_add(m, MCX_PL_T);
    (void)mcx_pl_add(m, MCX_PL_RAND);
    add_end(m, &b->i, how->hide_initiator, MCX_ROLE_I, MCX_ROLE_UIDI);
    add_end(m, &b->r, how->hide_responder, MCX_ROLE_R, MCX_ROLE_UIDR);
    add_idr(m, MCX_ROLE_KMSI, mcx_bytes_str(b->i.kms.uri));
    add_idr(m, MCX_ROLE_KMSR, mcx_bytes_str(b->r.kms.uri));
    MCX_TRY(add_sp(b));
    if (how->peer & MCX_PEER_SDP_IDS) { /* SPEC RFC 4567 4.1.4 */
        add_ext(m, MCX_EXT_SDP_IDS, mcx_bytes_str("mikey"));
    }
    (void)mcx_pl_add(m, MCX_PL_SAKKE);
    MCX_TRY(add_params(b));
    if (how->sakke_to_self) {
        mcx_pl_sakke_put(&self, MCX_PL_LAST, &to_self);
        add_ext(m, MCX_EXT_SAKKE_TO_SELF, mcx_bytes(b->self, self.at));
    }
    (void)mcx_pl_add(m, MCX_PL_SIGN);
    return mcx_wr_status(&self);
}

static mcx_err
sign(struct making *b, struct mcx_wr *wr)
{
    struct mcx_bytes covered = mcx_bytes(wr->p, wr->at);

    MCX_TRY(mcx_digest(b->km->digest, covered));
    MCX_TRY(mcx_eccsi_sign(b->sig, b->key, covered, b->how->env));
    mcx_wr_bytes(wr, mcx_bytes(b->sig, sizeof b->sig));
    return mcx_wr_status(wr);
}

static mcx_err
make(struct making *b, struct mcx_wr *wr)
{
    const struct mcx_build *how = b->how;
    struct mcx_key_msg *km = b->km;
    int64_t at = how->at_unix_ms ? how->at_unix_ms
                                 : how->env->unix_ms(how->env->ctx);

    km->ours = true;
    km->kind = how->kind;
    km->prf = MCX_PRF_HMAC_SHA256;
    km->t_unix_ms = at;
    km->t = mcx_unique_t(at);
    km->sp = how->sp ? *how->sp : mcx_profile_default(how->kind);
    km->rand_n = RAND_SIZE;
    MCX_TRY(find_ends(b));
    memcpy(km->initiator, how->from, strlen(how->from));
    memcpy(km->responder, how->to, strlen(how->to));
    memcpy(km->kms_i, b->i.kms.uri, sizeof km->kms_i);
    memcpy(km->kms_r, b->r.kms.uri, sizeof km->kms_r);
    if (how->rand) {
        memcpy(km->rand, how->rand, RAND_SIZE);
    } else {
        MCX_TRY(how->env->random(how->env->ctx, km->rand, RAND_SIZE));
    }
    /* Only hashed identifiers hide anything. */
    if ((how->hide_initiator && b->i.kms.monthly_tel)
        || (how->hide_responder && b->r.kms.monthly_tel)) {
        return MCX_E_ARG;
    }
    MCX_TRY(draw_id(b));
    MCX_TRY(fill(b));
    MCX_TRY(mcx_pl_write_all(wr, &b->m));
    return sign(b, wr);
}

static bool
usable_uri(const char *uri)
{
    return uri && uri[0] && strlen(uri) < MCX_URI_MAX;
}

/* Does a SAKKE message carry this kind, and what is asked to go with it? */
static bool
carries(struct making *b)
{
    const struct mcx_build *how = b->how;
    const struct mcx_kind_info *kind = mcx_kind_info(how->kind);

    b->kind = kind;
    if (!kind || kind->carrier != MCX_CARRIER_SAKKE
        || (how->params && !kind->params)
        || (how->sp && !(how->peer & MCX_PEER_REL13_MAP))
        || (how->sakke_to_self && !kind->to_self)) {
        return false;
    }
    b->diverse = kind->diversity == MCX_DIVERSITY_ALWAYS
                 || (kind->diversity == MCX_DIVERSITY_BY_OPTION
                     && (how->peer & MCX_PEER_MKFC_GUK));
    return true;
}

mcx_err
mcx_mikey_build(uint8_t *out, size_t *out_n, struct mcx_key_msg *km,
                const struct mcx_build *how, struct mcx_why *why)
{
    MCX_SECRET(mcx_key_msg, own);
    struct making b = { .how = how, .why = why, .km = &own };
    struct mcx_wr wr;
    mcx_err err;

    if (km) {
        memset(km, 0, sizeof *km);
    }
    if (!out || !out_n || !how || !how->env || !how->ring
        || !usable_uri(how->from) || !usable_uri(how->to)
        || !carries(&b)) {
        return MCX_E_ARG;
    }
    wr = mcx_wr(out, *out_n);
    err = make(&b, &wr);
    if (err == MCX_OK) {
        *out_n = wr.at;
        if (km) {
            *km = own;
        }
    }
    mcx_user_key_free(b.key);
    mcx_kms_pub_free(b.i.pub);
    mcx_kms_pub_free(b.r.pub);
    return err;
}
