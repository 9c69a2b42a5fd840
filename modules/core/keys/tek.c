/* tek.c -- station 5: traffic key and salt of one crypto session, and the
 * keys of XML protection.  See mcx_keys.h.  policy.c and modules call it; the
 * derivations are core/mikey's.
 * The key's octets are copied under the lock and wiped on the way out, so a
 * key that is dropped meanwhile is gone from the store at once. */
#include <config.h>
#include <sofia-mcx/mcx_keys.h>
#include "store.h"

/* Not inlined: the registers that octets go through must not live on over a
 * call, which may push them. */
__attribute__((noinline)) static void
copy(struct mcx_ssv *to, const struct mcx_ssv *from)
{
    *to = *from;
}

/* Copies the octets out, unless the key is wiped or due to be.  A due one is
 * wiped here rather than left for the sweep. */
static mcx_err
take(struct mcx_ssv *ssv, struct mcx_key *key)
{
    struct mcx_keys *keys = key->store;
    int64_t unix_ms = mcx_store_unix_ms(keys);
    int64_t mono_ms = mcx_store_mono_ms(keys);
    struct mcx_gone gone = mcx_gone_none();
    mcx_err err = MCX_E_STATE;

    (void)pthread_mutex_lock(&keys->lock);
    if (mcx_life_due(key, mono_ms, unix_ms)) {
        mcx_life_wipe(&gone, key, mcx_life_why(key, unix_ms), unix_ms);
    } else {
        copy(ssv, key->octets);
        err = MCX_OK;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    mcx_life_finish(keys, &gone);
    return err;
}

/* SPEC TS 33.180 E.1.2: CSB ID is the key ID; for a GMK it is the sender's
 * GUK-ID, so each sender has its own traffic key.  A GSK's key ID is its MKI,
 * which may be another number than its CSB ID. */
uint32_t
mcx_tek_csb_id(const struct mcx_key *key)
{
    const struct mcx_kind_info *info = mcx_kind_info(key->kind);

    return (info && info->carrier == MCX_CARRIER_PSK)
                   || mcx_kind_diverse(key->kind, key->key_id, key->csb_id)
               ? key->csb_id
               : key->key_id;
}

/* May every member of a group have an ID of its own under this key, one that
 * begins with the key's tag? */
bool
mcx_tek_has_talkers(const struct mcx_key *key, uint32_t talker)
{
    const struct mcx_kind_info *info = mcx_kind_info(key->kind);

    return info && info->diversity != MCX_DIVERSITY_NEVER
           && MCX_KEY_ID_KIND(talker) == key->kind;
}

mcx_err
mcx_key_talker_id(uint32_t *out, struct mcx_key *key, const char *uri)
{
    MCX_SECRET(mcx_ssv, ssv);

    *out = 0;
    if (!uri || !mcx_tek_has_talkers(key, key->key_id)) {
        return MCX_E_ARG;
    }
    MCX_TRY(take(&ssv, key));
    return mcx_guk_id(out, &ssv, key->key_id, uri);
}

mcx_err
mcx_key_xml(struct mcx_xml_keys *out, struct mcx_key *key, const char *id,
            unsigned peer)
{
    const struct mcx_kind_info *info = mcx_kind_info(key->kind);
    MCX_SECRET(mcx_ssv, ssv);

    mcx_xml_keys_wipe(out);
    if (!info || !info->xml) {
        return MCX_E_ARG;
    }
    MCX_TRY(take(&ssv, key));
    return mcx_xml_keys(out, &ssv, key->key_id, id, peer);
}

mcx_err
mcx_key_tek(struct mcx_tek *out, struct mcx_key *key, uint8_t cs_id)
{
    return mcx_tek_make(out, key, mcx_tek_csb_id(key), cs_id);
}

mcx_err
mcx_key_tek_of(struct mcx_tek *out, struct mcx_key *key, uint32_t talker,
               uint8_t cs_id)
{
    mcx_tek_wipe(out);
    return mcx_tek_has_talkers(key, talker)
               ? mcx_tek_make(out, key, talker, cs_id)
               : MCX_E_ARG;
}

mcx_err
mcx_tek_make(struct mcx_tek *out, struct mcx_key *key, uint32_t csb_id,
             uint8_t cs_id)
{
    MCX_SECRET(mcx_ssv, ssv);
    struct mcx_bytes rand = mcx_bytes(key->rand, key->rand_n);
    mcx_err err;

    mcx_tek_wipe(out);
    if (key->sp.key_size == 0 || key->sp.key_size > MCX_TEK_MAX
        || key->sp.salt_size > MCX_SALT_MAX) {
        return MCX_E_UNSUPPORTED;
    }
    MCX_TRY(take(&ssv, key));
    out->key_size = key->sp.key_size;
    out->salt_size = key->sp.salt_size;
    err = mcx_mikey_derive(out->key, out->key_size, key->prf,
                           mcx_bytes(ssv.b, sizeof ssv.b), MCX_LABEL_TEK,
                           cs_id, csb_id, rand);
    if (err == MCX_OK && out->salt_size) {
        err = mcx_mikey_derive(out->salt, out->salt_size, key->prf,
                               mcx_bytes(ssv.b, sizeof ssv.b), MCX_LABEL_SALT,
                               cs_id, csb_id, rand);
    }
    if (err != MCX_OK) {
        mcx_tek_wipe(out);
    }
    return err;
}
