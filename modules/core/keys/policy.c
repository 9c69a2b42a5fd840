/* policy.c -- station 6: a traffic key with what a media stack must know, as
 * plain data.  See mcx_keys.h.  modules/srtp turns it into a library's
 * type. */
#include <config.h>
#include <sofia-mcx/mcx_keys.h>
#include "store.h"

static enum mcx_suite
suite_of(const struct mcx_sp_profile *sp)
{
    if (sp->encr_alg == 6 && sp->key_size == 16 && sp->salt_size == 12
        && sp->tag_size == 16) {
        return MCX_SUITE_AEAD_AES_128_GCM;
    }
    if (sp->encr_alg == 1 && sp->key_size == 16 && sp->salt_size == 14
        && sp->tag_size == 10) {
        return MCX_SUITE_AES_CM_128_HMAC_SHA1_80;
    }
    return MCX_SUITE_NONE;
}

static uint8_t
put_id(uint8_t *out, uint32_t id)
{
    out[0] = (uint8_t)(id >> 24);
    out[1] = (uint8_t)(id >> 16);
    out[2] = (uint8_t)(id >> 8);
    out[3] = (uint8_t)id;
    return 4;
}

/* The policy of crypto session 'cs_id' for packets whose key comes from
 * 'csb_id'; 'talker': which the MKI tells. */
static mcx_err
make(struct mcx_srtp_policy *out, struct mcx_key *key, uint32_t csb_id,
     bool talker, uint8_t cs_id, bool srtcp_only)
{
    enum mcx_suite suite = suite_of(&key->sp);
    MCX_SECRET(mcx_tek, tek);

    if (suite == MCX_SUITE_NONE) {
        return MCX_E_UNSUPPORTED;
    }
    MCX_TRY(mcx_tek_make(&tek, key, csb_id, cs_id));
    memcpy(out->key, tek.key, sizeof out->key);
    memcpy(out->salt, tek.salt, sizeof out->salt);
    out->key_size = tek.key_size;
    out->salt_size = tek.salt_size;
    out->tag_size = key->sp.tag_size;
    out->suite = suite;
    out->cs_id = cs_id;
    out->mki_size = put_id(out->mki, key->key_id);
    if (talker) {
        out->mki_size = (uint8_t)(4 + put_id(out->mki + 4, csb_id));
    }
    /* SRTCP packets carry their whole index: there is no ROC to convey. */
    out->rcc_mode3 = key->sp.rcc_mode3 && !srtcp_only;
    out->roc_rate = out->rcc_mode3 ? key->sp.roc_rate : 0;
    return MCX_OK;
}

mcx_err
mcx_key_policy(struct mcx_srtp_policy *out, struct mcx_key *key,
               uint8_t cs_id, bool srtcp_only)
{
    mcx_srtp_policy_wipe(out);
    return make(out, key, mcx_tek_csb_id(key),
                mcx_kind_diverse(key->kind, key->key_id, key->csb_id), cs_id,
                srtcp_only);
}

mcx_err
mcx_key_policy_of(struct mcx_srtp_policy *out, struct mcx_key *key,
                  uint32_t talker, uint8_t cs_id, bool srtcp_only)
{
    mcx_srtp_policy_wipe(out);
    return mcx_tek_has_talkers(key, talker)
               ? make(out, key, talker, true, cs_id, srtcp_only)
               : MCX_E_ARG;
}

static uint32_t
get_id(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
           | p[3];
}

mcx_err
mcx_keys_by_mki(struct mcx_keys *keys, struct mcx_bytes mki,
                struct mcx_key **out, uint32_t *talker)
{
    struct mcx_key *k;
    uint32_t id;

    *out = NULL;
    *talker = 0;
    if (mki.n != 4 && mki.n != MCX_MKI_MAX) {
        return MCX_E_ARG;
    }
    id = get_id(mki.p);
    k = mcx_keys_by_id(keys, MCX_KEY_ID_KIND(id), id);
    if (!k && mki.n == 4) { /* the one kind whose IDs have no tag */
        k = mcx_keys_by_id(keys, MCX_KIND_GSK, id);
    }
    if (!k) {
        return MCX_E_NO_KEY;
    }
    if (mki.n == MCX_MKI_MAX) {
        *talker = get_id(mki.p + 4);
    }
    /* A GMK without a talker would be one key for all of them. */
    if (mki.n == MCX_MKI_MAX
            ? !mcx_tek_has_talkers(k, *talker)
            : mcx_kind_info(k->kind)->diversity == MCX_DIVERSITY_ALWAYS) {
        mcx_key_unref(k);
        *talker = 0;
        return MCX_E_NO_KEY;
    }
    *out = k;
    return MCX_OK;
}
