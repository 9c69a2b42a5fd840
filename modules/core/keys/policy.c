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

mcx_err
mcx_key_policy(struct mcx_srtp_policy *out, struct mcx_key *key,
               uint8_t cs_id, bool srtcp_only)
{
    enum mcx_suite suite = suite_of(&key->sp);
    MCX_SECRET(mcx_tek, tek);

    mcx_srtp_policy_wipe(out);
    if (suite == MCX_SUITE_NONE) {
        return MCX_E_UNSUPPORTED;
    }
    MCX_TRY(mcx_key_tek(&tek, key, cs_id));
    memcpy(out->key, tek.key, sizeof out->key);
    memcpy(out->salt, tek.salt, sizeof out->salt);
    out->key_size = tek.key_size;
    out->salt_size = tek.salt_size;
    out->tag_size = key->sp.tag_size;
    out->suite = suite;
    out->cs_id = cs_id;
    out->mki_size = put_id(out->mki, key->key_id);
    if (mcx_kind_diverse(key->kind, key->key_id, key->csb_id)) {
        out->mki_size = (uint8_t)(4 + put_id(out->mki + 4, key->csb_id));
    }
    /* SRTCP packets carry their whole index: there is no ROC to convey. */
    out->rcc_mode3 = key->sp.rcc_mode3 && !srtcp_only;
    out->roc_rate = out->rcc_mode3 ? key->sp.roc_rate : 0;
    return MCX_OK;
}
