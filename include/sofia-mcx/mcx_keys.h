/* mcx_keys.h -- stations 4 to 6: stored key, traffic key, SRTP policy.
 *
 *   3 struct mcx_key_msg        verified key message
 *       mcx_keys_stage()        the store accepts station 3 and nothing else
 *   4 struct mcx_key            kind, id, owner, state; its octets never leave
 *       mcx_key_tek()           RFC 3830 4.1.3, TS 33.180 7.4 and 9.4.6
 *   5 struct mcx_tek            traffic key and salt, SECRET
 *       mcx_key_policy()
 *   6 struct mcx_srtp_policy    plain data, no library's types; SECRET inside
 *
 * States of a key:
 *
 *   staged --commit--> active --replaced--> retired --5 s--> wiped
 *      \--drop--> wiped    \------- drop ----------------->/
 *
 * A staged key receives and does not send; an active one does both; a retired
 * one receives for MCX_KEY_GRACE_MS more (design defaults) and its octets are
 * then wiped, whoever still holds a reference.  Key octets sit in guarded
 * memory.  Threads: any; one lock, held for look-ups and copies only. */
#ifndef MCX_KEYS_H
#define MCX_KEYS_H

#include <sofia-mcx/mcx_mikey.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcx_keys; /* the store     */
struct mcx_key;  /* one key in it */

enum { MCX_KEY_GRACE_MS = 5000 };

enum mcx_key_state {
    MCX_KEY_STAGED,
    MCX_KEY_ACTIVE,
    MCX_KEY_RETIRED,
    MCX_KEY_WIPED
};
MCX_API const char *mcx_key_state_word(enum mcx_key_state state);

/* Who a key is bound to.  On a client both texts may be empty; on a server a
 * CSK is bound to {IMPU, MC service ID} (TS 33.180 5.4). */
struct mcx_key_owner {
    char impu[MCX_URI_MAX];
    char mc_id[MCX_URI_MAX];
    char client_id[MCX_GROUP_ID_MAX];
};

/* What may be known of a key.  Nothing secret. */
struct mcx_key_info {
    unsigned kind;
    uint32_t key_id, csb_id;
    enum mcx_key_state state;
    bool ours;
    char initiator[MCX_URI_MAX], responder[MCX_URI_MAX];
    struct mcx_key_owner owner;
    int64_t t_unix_ms;     /* of the message                         */
    int64_t since_unix_ms; /* of the present state                   */
    int64_t wipe_mono_ms;  /* retired: when the octets go; else 0    */
    struct mcx_sp_profile sp;
};

MCX_API mcx_err mcx_keys_new(struct mcx_keys **out, const struct mcx_env *env,
                             size_t max_keys) MCX_MUST_USE;
/* Wipes every key.  References still held stay valid, wiped. */
MCX_API void mcx_keys_free(struct mcx_keys *keys);

/* Called, outside the lock and on the thread that caused it, whenever a key
 * changes state.  At most one listener; set before keys arrive. */
MCX_API void mcx_keys_listen(struct mcx_keys *keys,
                             void (*fn)(void *arg,
                                        const struct mcx_key_info *info),
                             void *arg);

/* Takes over the key of 'km' (the caller's copy is wiped) as staged, with a
 * reference for the caller.  'owner' NULL: none.
 * MCX_E_POLICY (key-id-reused): this (kind, id, owner) names another key that
 * is not wiped; MCX_E_EXPIRED: revoked or past its expiry; MCX_E_BUSY: store
 * full; MCX_E_NOMEM. */
MCX_API mcx_err mcx_keys_stage(struct mcx_keys *keys, struct mcx_key_msg *km,
                               const struct mcx_key_owner *owner,
                               struct mcx_key **out,
                               struct mcx_why *why) MCX_MUST_USE;
/* Makes a staged key active.  Of the kinds that exist once per owner (CSK,
 * MUSIK) the one active before becomes retired.  MCX_E_STATE. */
MCX_API mcx_err mcx_key_commit(struct mcx_key *key) MCX_MUST_USE;
/* Wipes now and takes the key out of the store; idempotent.  The reference
 * stays the caller's. */
MCX_API void mcx_key_drop(struct mcx_key *key);
/* Begins retirement by hand (call end with packets in flight). */
MCX_API void mcx_key_retire(struct mcx_key *key);
MCX_API struct mcx_key *mcx_key_ref(struct mcx_key *key);
MCX_API void mcx_key_unref(struct mcx_key *key); /* NULL allowed */
MCX_API void mcx_key_info(struct mcx_key_info *out, struct mcx_key *key);

/* Look-ups; NULL when there is none; a reference for the caller. */
MCX_API struct mcx_key *mcx_keys_by_id(struct mcx_keys *keys, unsigned kind,
                                       uint32_t key_id);
/* The active key of 'kind' bound to 'mc_id' (owner), or to 'impu' when
 * 'mc_id' is NULL; with both given both must match, the newest of several;
 * with both NULL or "" the one bound to nobody (a client's own). */
MCX_API struct mcx_key *mcx_keys_current(struct mcx_keys *keys, unsigned kind,
                                         const char *impu, const char *mc_id);
/* Every key bound to 'impu' is wiped (log-off, deregistration). */
MCX_API void mcx_keys_forget(struct mcx_keys *keys, const char *impu);
/* Calls 'each' with every key; the store is locked meanwhile. */
MCX_API void mcx_keys_each(struct mcx_keys *keys,
                           void (*each)(void *arg,
                                        const struct mcx_key_info *info),
                           void *arg);
/* Wipes what is due; returns milliseconds until the next is, or -1. */
MCX_API int64_t mcx_keys_sweep(struct mcx_keys *keys);
MCX_API size_t mcx_keys_count(struct mcx_keys *keys);

/* ---- stations 5 and 6 -------------------------------------------------- */

struct mcx_tek {
    uint8_t key[MCX_TEK_MAX];
    uint8_t salt[MCX_SALT_MAX];
    uint8_t key_size, salt_size;
};
MCX_SECRET_TYPE(mcx_tek);

enum mcx_suite {
    MCX_SUITE_NONE = 0,
    MCX_SUITE_AEAD_AES_128_GCM = 1,     /* 16 + 12, tag 16 (RFC 7714) */
    MCX_SUITE_AES_CM_128_HMAC_SHA1_80 = 2 /* 16 + 14, tag 10          */
};

enum { MCX_MKI_MAX = 8 };
struct mcx_srtp_policy {
    uint8_t key[MCX_TEK_MAX]; /* SECRET */
    uint8_t salt[MCX_SALT_MAX];
    uint8_t key_size, salt_size, tag_size;
    enum mcx_suite suite;
    uint8_t mki[MCX_MKI_MAX]; /* as in packets */
    uint8_t mki_size;         /* 0, 4 or 8     */
    uint8_t cs_id;
    bool rcc_mode3;
    uint16_t roc_rate;
};
MCX_SECRET_TYPE(mcx_srtp_policy);

/* Traffic key and salt of crypto session 'cs_id'.  MCX_E_STATE: wiped. */
MCX_API mcx_err mcx_key_tek(struct mcx_tek *out, struct mcx_key *key,
                            uint8_t cs_id) MCX_MUST_USE;
/* The same as a policy: suite and sizes from the key's SP, MKI from kind and
 * ids (4 octets, GMK: GMK-ID || GUK-ID).  'srtcp_only' drops what SRTCP does
 * not have.  MCX_E_UNSUPPORTED (security-policy), MCX_E_STATE. */
MCX_API mcx_err mcx_key_policy(struct mcx_srtp_policy *out,
                               struct mcx_key *key, uint8_t cs_id,
                               bool srtcp_only) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_KEYS_H */
