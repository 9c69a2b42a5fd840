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
 * A key committed before its activation time (TS 33.180 E.6) stays staged
 * until then: mcx_keys_sweep() makes it active, or the first look-up after it.
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

/* Why a key was wiped. */
enum mcx_key_end {
    MCX_END_NONE,     /* it is not                                  */
    MCX_END_DROPPED,  /* refused, log-off, call end, or by hand     */
    MCX_END_REPLACED, /* retired, and its grace is over             */
    MCX_END_REVOKED,
    MCX_END_EXPIRED
};
/* "dropped", "replaced", ...; "" for MCX_END_NONE. */
MCX_API const char *mcx_key_end_word(enum mcx_key_end end);

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
    enum mcx_key_end end;       /* wiped: why                         */
    int64_t activation_unix_ms; /* key parameters; 0: from T          */
    int64_t expiry_unix_ms;     /* 0: never                           */
    bool restored; /* in what a listener is told: mcx_keys_restore()  */
};

MCX_API mcx_err mcx_keys_new(struct mcx_keys **out, const struct mcx_env *env,
                             size_t max_keys) MCX_MUST_USE;
/* Wipes every key.  References still held stay valid, wiped. */
MCX_API void mcx_keys_free(struct mcx_keys *keys);

/* Called, outside the lock and on the thread that caused it, whenever a key
 * changes state, and with 'restored' when a back-end brought it back.  At most
 * one listener; set before keys arrive. */
MCX_API void mcx_keys_listen(struct mcx_keys *keys,
                             void (*fn)(void *arg,
                                        const struct mcx_key_info *info),
                             void *arg);

/* Takes over the key of 'km' (the caller's copy is wiped) as staged, with a
 * reference for the caller.  'owner' NULL: none.  With a back-end that
 * persists, the key is on the disk when this returns: never on the loop.
 * MCX_E_POLICY (key-id-reused): this (kind, id, owner) names another key that
 * is not wiped; MCX_E_EXPIRED: revoked or past its expiry; MCX_E_BUSY: store
 * full; MCX_E_NOMEM. */
MCX_API mcx_err mcx_keys_stage(struct mcx_keys *keys, struct mcx_key_msg *km,
                               const struct mcx_key_owner *owner,
                               struct mcx_key **out,
                               struct mcx_why *why) MCX_MUST_USE;
/* A group's key (GMK, MKFC, MuSiK): takes it in once for each group ID of its
 * key parameters, or for 'group', which its envelope names, when they list
 * none (TS 33.180 E.6.3).  Each is bound to 'impu' (NULL: nobody) with the
 * group as MC ID, so that mcx_keys_current(kind, NULL, group) finds what to
 * send with; '*n' references for the caller.  All are staged or none. */
MCX_API mcx_err mcx_keys_stage_group(struct mcx_keys *keys,
                                     struct mcx_key_msg *km,
                                     const char *impu, const char *group,
                                     struct mcx_key *out[MCX_GROUPS_MAX],
                                     size_t *n,
                                     struct mcx_why *why) MCX_MUST_USE;
/* Makes a staged key active, at once or at its activation time.  Of the kinds
 * that exist once per owner (CSK, MUSIK) the one active before becomes retired
 * then.  MCX_E_STATE: it is not staged, or was committed before. */
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
 * with both NULL or "" the one bound to nobody (a client's own).  Of several
 * GMKs the one activated last, and then that with the newest T. */
MCX_API struct mcx_key *mcx_keys_current(struct mcx_keys *keys, unsigned kind,
                                         const char *impu, const char *mc_id);
/* Every key bound to 'impu' is wiped (log-off, deregistration). */
MCX_API void mcx_keys_forget(struct mcx_keys *keys, const char *impu);
/* Wipes every key of 'kind' with this ID as revoked; how many there were. */
MCX_API size_t mcx_keys_revoke(struct mcx_keys *keys, unsigned kind,
                               uint32_t key_id);
/* The same for whatever cause; only those of 'owner' (IMPU and MC ID) when
 * that is not NULL. */
MCX_API size_t mcx_keys_wipe(struct mcx_keys *keys, unsigned kind,
                             uint32_t key_id,
                             const struct mcx_key_owner *owner,
                             enum mcx_key_end end);
/* A message for a key that is there brought new parameters: wipes, as
 * replaced, those of 'kind' and ID whose message is older than 't_unix_ms'. */
MCX_API size_t mcx_keys_supersede(struct mcx_keys *keys, unsigned kind,
                                  uint32_t key_id, int64_t t_unix_ms);
/* Calls 'each' with every key; the store is locked meanwhile. */
MCX_API void mcx_keys_each(struct mcx_keys *keys,
                           void (*each)(void *arg,
                                        const struct mcx_key_info *info),
                           void *arg);
/* Makes active whose activation has come, and wipes what is due: retired keys
 * after their grace and any key past its expiry (looked at once a second).
 * Returns milliseconds until there is something to do again, or -1. */
MCX_API int64_t mcx_keys_sweep(struct mcx_keys *keys);
MCX_API size_t mcx_keys_count(struct mcx_keys *keys);

/* ---- a back-end that persists ------------------------------------------ */

/* One key as it is kept: all that makes it.  SECRET: 'key'. */
struct mcx_key_record {
    struct mcx_ssv key;
    unsigned kind;
    uint32_t key_id, csb_id;
    bool ours;
    uint8_t prf, rand_n;
    enum mcx_key_state state; /* not MCX_KEY_WIPED */
    int64_t t_unix_ms, since_unix_ms;
    int64_t wipe_unix_ms; /* retired: end of its grace; else 0 */
    int64_t activation_unix_ms, expiry_unix_ms;
    struct mcx_sp_profile sp;
    uint8_t rand[MCX_RAND_MAX];
    char initiator[MCX_URI_MAX], responder[MCX_URI_MAX];
    struct mcx_key_owner owner;
};
MCX_SECRET_TYPE(mcx_key_record);

/* The back-end's corner in each key.  'key' and what follows it are set by the
 * store under its lock before changed() is called; the rest belongs to the
 * back-end, which zeroed storage must suit. */
struct mcx_key_slot {
    struct mcx_key *key;
    enum mcx_key_state state;
    enum mcx_key_end end;
    int64_t since_unix_ms, wipe_unix_ms;

    int64_t row;                /* where it is kept; 0: nowhere */
    struct mcx_key_slot *next;  /* of those to be written       */
    int64_t at_unix_ms[MCX_KEY_WIPED + 1]; /* of each state     */
    int64_t until_unix_ms;      /* its 'wipe_unix_ms'           */
    enum mcx_key_end why;       /* its 'end'                    */
    uint8_t todo;               /* states not yet written, bits */
    bool queued;
};

struct mcx_keys_backing {
    size_t size; /* of this struct */
    void *ctx;
    /* Keeps a staged key.  On the thread that stages, without a lock; may wait
     * for the disk.  A failure refuses the key.  MCX_E_EXPIRED: the key is
     * known as revoked or expired; MCX_E_IO, MCX_E_BUSY. */
    mcx_err (*stage)(void *ctx, const struct mcx_key_record *rec,
                     struct mcx_key_slot *slot);
    /* 'n' keys changed state together.  Any thread, the loop too, with the
     * store's lock held: be quick, call nothing of the store but
     * mcx_key_ref().  A state may be told twice; also that of a key whose
     * stage() failed or has not returned. */
    void (*changed)(void *ctx, struct mcx_key_slot *const *slots, size_t n);
    /* Waits until all changes made before are kept.  Never on the loop. */
    mcx_err (*sync)(void *ctx);
};

/* Puts 'backing' under 'keys', before there are keys (MCX_E_STATE otherwise,
 * or when there is one already).  It must outlive the detaching. */
MCX_API mcx_err mcx_keys_attach(struct mcx_keys *keys,
                                const struct mcx_keys_backing *backing)
    MCX_MUST_USE;
/* No change is told any more; the keys stay.  No mcx_keys_stage() may be under
 * way. */
MCX_API void mcx_keys_detach(struct mcx_keys *keys);
/* Enters a key that the back-end kept, in the state that it had, and wipes
 * 'rec's octets.  The listener is called, the back-end is not.  'row' goes
 * into the slot.  MCX_E_STATE: no back-end; MCX_E_EXPIRED: retired or
 * expired in the meantime; MCX_E_ARG, MCX_E_BUSY, MCX_E_NOMEM. */
MCX_API mcx_err mcx_keys_restore(struct mcx_keys *keys,
                                 struct mcx_key_record *rec,
                                 int64_t row) MCX_MUST_USE;
/* Waits until every change made before is on the disk; MCX_OK at once when
 * nothing persists.  Never on the loop.  MCX_E_IO: it is not, yet. */
MCX_API mcx_err mcx_keys_sync(struct mcx_keys *keys) MCX_MUST_USE;

/* The same for the replay cache.  enter() is called with each entry made, on
 * the thread that made it and without a lock; it may wait for the disk.  When
 * it fails, the entry is taken back and mcx_replay_enter() fails with its
 * error, so no message is accepted that a restart would accept again. */
struct mcx_replay_backing {
    size_t size; /* of this struct */
    void *ctx;
    mcx_err (*enter)(void *ctx, const uint8_t digest[32], int64_t expires_ms);
};
/* Entries of before are brought back first, with mcx_replay_restore(); then
 * this is called.  NULL: no back-end any more. */
MCX_API void mcx_replay_attach(struct mcx_replay *replay,
                               const struct mcx_replay_backing *backing);
/* Entries that expired up to 'expires_ms' were let go before this start: when
 * the clock goes back behind that, what would expire no later is taken as
 * seen. */
MCX_API void mcx_replay_forgot(struct mcx_replay *replay, int64_t expires_ms);

/* ---- keys that travel under another key -------------------------------- */

enum {
    MCX_KW_KEY_SIZE = 32,   /* AES-256, HMAC-SHA-256                      */
    MCX_KW_MAC_SIZE = 32,
    MCX_KW_PLAIN_MAX = 4096,
    MCX_KW_MORE = 28        /* no form adds more octets than these        */
};
struct mcx_kw_key { uint8_t b[MCX_KW_KEY_SIZE]; };
MCX_SECRET_TYPE(mcx_kw_key);
enum mcx_kw_form {
    MCX_KW_RFC3394, /* octets in multiples of 8, at least 16 */
    MCX_KW_RFC5649, /* padded: any number from 1             */
    MCX_KW_GCM      /* nonce of 12 octets, sealed, tag of 16 */
};
/* 'out' takes plain.n + MCX_KW_MORE octets; '*out_n' of them were written.
 * 'env' is for the nonce, which only MCX_KW_GCM draws.  MCX_E_ARG: a length
 * that the form does not take; MCX_E_INTERNAL, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kw_wrap(uint8_t *out, size_t *out_n,
                            const struct mcx_kw_key *key,
                            enum mcx_kw_form form, struct mcx_bytes plain,
                            const struct mcx_env *env) MCX_MUST_USE;
/* 'out' takes wrapped.n octets.  The integrity value is compared in constant
 * time.  MCX_E_AUTH: it is wrong, or no such form has that length; nothing is
 * left in 'out'. */
MCX_API mcx_err mcx_kw_unwrap(uint8_t *out, size_t *out_n,
                              const struct mcx_kw_key *key,
                              enum mcx_kw_form form,
                              struct mcx_bytes wrapped) MCX_MUST_USE;
/* HMAC-SHA-256. */
MCX_API mcx_err mcx_kw_mac(uint8_t out[MCX_KW_MAC_SIZE],
                           const struct mcx_kw_key *key,
                           struct mcx_bytes text) MCX_MUST_USE;

/* ---- signatures under X.509 certificates -------------------------------- */

enum {
    MCX_X509_SIG_SIZE = 64,   /* ECDSA, P-256, SHA-256: r | s */
    MCX_X509_DER_MAX = 8192,
    MCX_SHA256_SIZE = 32
};
/* SHA-256. */
MCX_API mcx_err mcx_x509_digest(uint8_t out[MCX_SHA256_SIZE],
                                struct mcx_bytes text) MCX_MUST_USE;
/* Signs 'text' with the P-256 key 'key_pem'.  MCX_E_CONFIG: it is none;
 * MCX_E_INTERNAL. */
MCX_API mcx_err mcx_x509_sign(uint8_t sig[MCX_X509_SIG_SIZE],
                              struct mcx_bytes key_pem,
                              struct mcx_bytes text) MCX_MUST_USE;
/* The first certificate of 'pem'; '*n' is the room on entry.  MCX_E_CONFIG,
 * MCX_E_TOOBIG. */
MCX_API mcx_err mcx_x509_der(uint8_t *out, size_t *n,
                             struct mcx_bytes pem) MCX_MUST_USE;
/* Judges a PEM file before it is used: of 'kind' alone, every block whole.
 * Text between blocks is passed over.  MCX_E_CONFIG and 'fault',
 * MCX_E_NOMEM. */
enum mcx_x509_kind { MCX_X509_CERTS, MCX_X509_CRLS };
struct mcx_x509_fault {
    int line;         /* where the block begins; 0: the file as a whole */
    unsigned block;   /* counted from 1 */
    const char *what; /* static words   */
};
MCX_API mcx_err mcx_x509_pem_check(struct mcx_bytes pem,
                                   enum mcx_x509_kind kind,
                                   struct mcx_x509_fault *fault) MCX_MUST_USE;
/* Did 'uri' sign 'text'?  The certificate 'der' must lead to a root among
 * those of 'ca_pem' at 'now_unix', with none in between that is not there,
 * too, and nothing on the way weaker than 112 bits.  It is no authority's; its
 * keyUsage, when it has one, has digitalSignature, its extendedKeyUsage, when
 * it has one, anyExtendedKeyUsage or id-kp-sipDomain (RFC 5924); 'uri' is
 * among its subjectAltName URIs, octet for octet; its key is one of P-256.
 * When 'ca_pem' holds CRLs as well, every authority on the way has to have one
 * there that is in force, and none of the certificates is in it.
 * MCX_E_AUTH: no; MCX_E_CONFIG: no certificate in 'ca_pem', or a block of it
 * is damaged, or something else; MCX_E_NOMEM. */
MCX_API mcx_err mcx_x509_verify(struct mcx_bytes ca_pem, struct mcx_bytes der,
                                const char *uri, int64_t now_unix,
                                struct mcx_bytes text,
                                const uint8_t sig[MCX_X509_SIG_SIZE])
    MCX_MUST_USE;

/* ---- sealing: octets that go to a disk --------------------------------- */

enum {
    MCX_SEAL_KEY_SIZE = 32,
    MCX_SEAL_NONCE_SIZE = 24,
    MCX_SEAL_TAG_SIZE = 16,
    MCX_SEAL_MORE = 40, /* nonce and tag: sealed octets are so many more */
    MCX_SEAL_MAC_SIZE = 32
};
struct mcx_seal_key { uint8_t b[MCX_SEAL_KEY_SIZE]; };
MCX_SECRET_TYPE(mcx_seal_key);

/* A key made ready.  AES-256-GCM under a key derived from this one and the
 * first half of a random 24-octet nonce (XAES-256-GCM of C2SP), so that the
 * number of seals under one key needs no counting.  One thread at a time. */
struct mcx_sealer;
MCX_API mcx_err mcx_sealer_new(struct mcx_sealer **out,
                               const struct mcx_seal_key *key) MCX_MUST_USE;
MCX_API void mcx_sealer_free(struct mcx_sealer *sealer); /* wipes; NULL */
/* 'out' takes plain.n + MCX_SEAL_MORE octets: nonce | sealed | tag.  'nonce'
 * NULL: random from 'env'. */
MCX_API mcx_err mcx_seal(uint8_t *out, struct mcx_sealer *sealer,
                         const struct mcx_env *env, const uint8_t *nonce,
                         struct mcx_bytes aad,
                         struct mcx_bytes plain) MCX_MUST_USE;
/* 'out' takes sealed.n - MCX_SEAL_MORE octets.  MCX_E_AUTH: wrong key, wrong
 * 'aad', or an octet was changed; 'out' is then zero. */
MCX_API mcx_err mcx_unseal(uint8_t *out, struct mcx_sealer *sealer,
                           struct mcx_bytes aad,
                           struct mcx_bytes sealed) MCX_MUST_USE;
/* HMAC-SHA-256 of 'n' parts, each preceded by its size in 8 octets.
 * MCX_E_NOMEM. */
MCX_API mcx_err mcx_seal_mac(uint8_t out[MCX_SEAL_MAC_SIZE],
                             const struct mcx_seal_key *key,
                             const struct mcx_bytes *parts,
                             size_t n) MCX_MUST_USE;
/* A key from a passphrase: scrypt (RFC 7914) with N = 2^log2_n. */
MCX_API mcx_err mcx_seal_scrypt(struct mcx_seal_key *out,
                                struct mcx_bytes passphrase,
                                struct mcx_bytes salt, unsigned log2_n,
                                unsigned r, unsigned p) MCX_MUST_USE;

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

/* The keys that protect XML under this CSK or SPK; 'id' and 'peer' as for
 * mcx_xml_keys().  MCX_E_ARG: the key is of a kind that protects no XML, or
 * 'id' is empty; MCX_E_STATE: wiped; MCX_E_NOMEM. */
MCX_API mcx_err mcx_key_xml(struct mcx_xml_keys *out, struct mcx_key *key,
                            const char *id, unsigned peer) MCX_MUST_USE;

/* ---- group media: any talker ------------------------------------------- */

/* Whose packet is it?  'mki' is that of an SRTP or SRTCP packet, 4 octets or
 * 8.  '*key' is a reference for the caller; '*talker' the talker's own ID
 * (GUK-ID) for mcx_key_policy_of(), 0 when the MKI has none, which is
 * mcx_key_policy()'s case.  MCX_E_NO_KEY, MCX_E_ARG. */
MCX_API mcx_err mcx_keys_by_mki(struct mcx_keys *keys, struct mcx_bytes mki,
                                struct mcx_key **key,
                                uint32_t *talker) MCX_MUST_USE;
/* mcx_key_tek() and mcx_key_policy() for what the member with the ID 'talker'
 * sends (TS 33.180 7.4.2).  MCX_E_ARG: under this key members have no IDs of
 * their own, or it is not one of this kind. */
MCX_API mcx_err mcx_key_tek_of(struct mcx_tek *out, struct mcx_key *key,
                               uint32_t talker, uint8_t cs_id) MCX_MUST_USE;
MCX_API mcx_err mcx_key_policy_of(struct mcx_srtp_policy *out,
                                  struct mcx_key *key, uint32_t talker,
                                  uint8_t cs_id,
                                  bool srtcp_only) MCX_MUST_USE;
/* That ID of the member 'uri' (TS 33.180 F.1.3). */
MCX_API mcx_err mcx_key_talker_id(uint32_t *out, struct mcx_key *key,
                                  const char *uri) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_KEYS_H */
