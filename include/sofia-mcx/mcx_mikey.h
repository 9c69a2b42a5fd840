/* mcx_mikey.h -- MIKEY messages: stations 1 to 3 of the data's way.
 *
 *   1 struct mcx_bytes       untrusted octets
 *       mcx_mikey_parse()    sizes and shape (RFC 3830 6, RFC 6509 2, digest
 *                            rfc-3830 section 7, rfc-6509 section 7 step 1)
 *   2 struct mcx_mikey_msg   views into 1; well formed, still untrusted
 *       mcx_mikey_open()     purpose tag; T window; replay look-up;
 *                            identities; signature; replay entry; SAKKE with
 *                            its check; key parameters -- in this order
 *   3 struct mcx_key_msg     verified; only open and build make one
 *
 * The other way, mcx_mikey_build() makes the octets and a station 3 of our
 * own.  Everything is sized; nothing here allocates but OpenSSL's contexts.
 * Threads: any; a parsed message is plain data. */
#ifndef MCX_MIKEY_H
#define MCX_MIKEY_H

#include <sofia-mcx/mcx_ident.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MCX_MIKEY_MAX = 65536, /* octets of a message */
    MCX_MIKEY_PL_MAX = 64, /* payloads            */
    MCX_MIKEY_SP_MAX = 16,
    MCX_MIKEY_CS_MAX = 32,
    MCX_MIKEY_EXT_MAX = 16
};

/* Data types (RFC 3830 6.1, RFC 6509 4.1). */
enum {
    MCX_DT_PSK_INIT = 0,
    MCX_DT_PSK_RESP = 1,
    MCX_DT_ERROR = 6,
    MCX_DT_SAKKE = 26
};
/* Next payload values. */
enum {
    MCX_PL_LAST = 0,
    MCX_PL_KEMAC = 1,
    MCX_PL_SIGN = 4,
    MCX_PL_T = 5,
    MCX_PL_ID = 6,
    MCX_PL_CERT = 7,
    MCX_PL_V = 9,
    MCX_PL_SP = 10,
    MCX_PL_RAND = 11,
    MCX_PL_ERR = 12,
    MCX_PL_IDR = 14,
    MCX_PL_KEYDATA = 20,
    MCX_PL_EXT = 21,
    MCX_PL_SAKKE = 26
};
/* IDR roles (RFC 6043 6.6, RFC 6509 7, TS 33.180 E.7). */
enum {
    MCX_ROLE_I = 1,
    MCX_ROLE_R = 2,
    MCX_ROLE_KMSI = 6,
    MCX_ROLE_KMSR = 7,
    MCX_ROLE_UIDI = 8,
    MCX_ROLE_UIDR = 9,
    MCX_ROLE_COUNT = 10
};
enum { MCX_MAP_SRTP_ID = 0, MCX_MAP_EMPTY = 1, MCX_MAP_GENERIC_ID = 2 };
enum { MCX_PRF_MIKEY_1 = 0, MCX_PRF_HMAC_SHA256 = 1 };
enum {
    MCX_EXT_SDP_IDS = 1,
    MCX_EXT_SAKKE_TO_SELF = 6,
    MCX_EXT_KEY_PARAMS = 7
};

/* Key kinds; the value is the purpose tag, the top four bits of a key ID
 * (TS 33.180 5.2.2).  GSK comes in PSK messages and has no tag of its own, so
 * its value lies above all tags.  What a kind is: mcx_kind_info() below. */
enum mcx_kind {
    MCX_KIND_GMK = 0,
    MCX_KIND_PCK = 1,
    MCX_KIND_CSK = 2,
    MCX_KIND_SPK = 3,
    MCX_KIND_MKFC = 4,
    MCX_KIND_MSCCK = 5,
    MCX_KIND_MUSIK = 6,
    MCX_KIND_COUNT = 7, /* of those that are purpose tags */
    MCX_KIND_GSK = 16,
    MCX_KIND_END = 32 /* every kind lies below: MCX_KIND_BIT() */
};
#define MCX_KIND_BIT(kind) (1u << (unsigned)(kind))
#define MCX_KEY_ID_KIND(id) ((unsigned)((uint32_t)(id) >> 28))
/* "gmk", "pck", ...; NULL for an unknown kind. */
MCX_API const char *mcx_kind_word(unsigned kind);
/* The kind of a word; -1 when there is none. */
MCX_API int mcx_kind_parse(const char *word);

/* CS-IDs by use (TS 33.180 table E.1.3-1). */
enum {
    MCX_CS_MCPTT_INITIATOR = 0,
    MCX_CS_MCPTT_RESPONDER = 1,
    MCX_CS_MCVIDEO_INITIATOR = 2,
    MCX_CS_MCVIDEO_RESPONDER = 3,
    MCX_CS_MCPTT_GROUP = 4,
    MCX_CS_MCVIDEO_GROUP = 5,
    MCX_CS_MCPTT_CSK = 6,
    MCX_CS_MCPTT_MUSIK = 7,
    MCX_CS_MCVIDEO_CSK = 8,
    MCX_CS_MCVIDEO_MUSIK = 9
};

/* ---- station 2 --------------------------------------------------------- */

/* One payload of the chain, in message order; HDR is the first. */
struct mcx_pl {
    uint8_t type; /* MCX_PL_*; MCX_PL_LAST stands for HDR */
    uint8_t next;
    size_t at;   /* octets from the start of the message */
    size_t size; /* octets, whole payload                */
};

/* One crypto session of the CS ID map. */
struct mcx_cs {
    size_t at;
    uint8_t cs_id;
    uint8_t prot; /* 0 SRTP */
    bool has_seq; /* S bit: ROC and SEQ given */
    struct mcx_bytes policies; /* policy numbers, one octet each */
    bool has_ssrc;
    uint32_t ssrc;
    uint32_t roc;
    uint16_t seq;
    struct mcx_bytes spi; /* the MKI of packets */
};

struct mcx_idr {
    size_t at; /* of the payload; 0 means absent (HDR is at 0) */
    uint8_t role;
    uint8_t id_type; /* 0 NAI, 1 URI, 2 byte string */
    struct mcx_bytes data;
};

/* A security policy payload with the SRTP parameters that were present;
 * -1 means absent: the default of RFC 3711 8.2 or of the 3GPP profile. */
enum { MCX_SP_TYPE_MAX = 32 };
struct mcx_sp {
    size_t at;
    uint8_t policy_no;
    uint8_t prot;
    struct mcx_bytes params; /* the raw TLVs */
    int64_t value[MCX_SP_TYPE_MAX];
};

struct mcx_ext {
    size_t at;
    uint8_t type;
    struct mcx_bytes data;
};

struct mcx_sakke_pl {
    size_t at; /* 0: absent */
    uint8_t params;
    uint8_t scheme;
    struct mcx_bytes data; /* 273 octets */
};

struct mcx_kemac {
    size_t at; /* 0: absent */
    uint8_t encr_alg;
    struct mcx_bytes encr;
    uint8_t mac_alg;
    struct mcx_bytes mac;
};

/* A parsed message.  Views point into 'octets', which must outlive it. */
struct mcx_mikey_msg {
    struct mcx_bytes octets;
    uint8_t version, data_type, prf, map_type;
    bool v;
    uint32_t csb_id;
    size_t n_cs;
    struct mcx_cs cs[MCX_MIKEY_CS_MAX];
    size_t t_at; /* of the T payload */
    uint8_t t_type;
    uint64_t t; /* NTP 64 bit; 32-bit forms are widened */
    size_t rand_at;
    struct mcx_bytes rand;
    struct mcx_idr idr[MCX_ROLE_COUNT]; /* by role; .at == 0: absent */
    struct mcx_idr id[2];               /* plain ID payloads, in order */
    size_t n_id;
    size_t n_sp;
    struct mcx_sp sp[MCX_MIKEY_SP_MAX];
    size_t n_ext;
    struct mcx_ext ext[MCX_MIKEY_EXT_MAX];
    struct mcx_sakke_pl sakke;
    struct mcx_kemac kemac; /* V is kept here too, with empty encr */
    size_t sign_at;         /* 0: absent */
    struct mcx_bytes sign;  /* 129 octets */
    size_t signed_size;     /* leading octets covered by signature or MAC */
    size_t n_pl;
    struct mcx_pl pl[MCX_MIKEY_PL_MAX];
};

/* Parses and judges shape; nothing secret is touched.  Accepts SAKKE (26) and
 * pre-shared key (0, 1) messages; for each, the mandatory payloads must be
 * there once, SIGN or KEMAC or V last, and nothing after it.
 * Errors: BYTES class, with reason, payload and offset. */
MCX_API mcx_err mcx_mikey_parse(struct mcx_mikey_msg *out,
                                struct mcx_bytes octets,
                                struct mcx_why *why) MCX_MUST_USE;

/* One annotated field of a message, for people (mcx-mikey inspect). */
struct mcx_field {
    const char *payload; /* "HDR", "T", ... */
    const char *name;    /* "CSB ID"        */
    size_t at, size;     /* octets          */
    const char *value;   /* formatted; valid during the call */
    const char *meaning; /* "" when there is none            */
    const char *clause;
    bool start; /* first field of a payload */
};
/* Walks 'octets' as far as they make sense and calls 'each' for every field;
 * returns what mcx_mikey_parse() would.  Prints no secret: there is none. */
MCX_API mcx_err mcx_mikey_describe(struct mcx_bytes octets,
                                   void (*each)(void *arg,
                                                const struct mcx_field *f),
                                   void *arg,
                                   struct mcx_why *why) MCX_MUST_USE;
/* "HDR", "T", ... for a payload number; "?" when unknown. */
MCX_API const char *mcx_pl_word(unsigned type);

/* ---- station 3 --------------------------------------------------------- */

enum { MCX_URI_MAX = 1024, MCX_RAND_MAX = 255, MCX_TEXT_MAX = 256,
       MCX_GROUPS_MAX = 16, MCX_GROUP_ID_MAX = 256 };

/* An SRTP policy as the message or the profile has it. */
struct mcx_sp_profile {
    uint8_t encr_alg;  /* 1 AES-CM, 6 AES-GCM */
    uint8_t key_size;  /* octets */
    uint8_t salt_size; /* octets: 14, or 12 for GCM */
    uint8_t tag_size;  /* octets of the AEAD or HMAC tag */
    bool rcc_mode3;    /* group media only */
    uint16_t roc_rate; /* with rcc_mode3 */
};

/* Key parameters (TS 33.180 E.6), when the message had them. */
struct mcx_key_params {
    bool present;
    uint32_t status;         /* bit 0: not revoked */
    int64_t activation_unix; /* seconds; 0: from T */
    int64_t expiry_unix;     /* seconds; 0: never  */
    char text[MCX_TEXT_MAX]; /* NUL terminated; what does not fit is cut */
    size_t n_groups;
    char group[MCX_GROUPS_MAX][MCX_GROUP_ID_MAX];
};

/* A key that was received and verified, or made by us.  SECRET: 'key'.
 * Made by mcx_mikey_open(), mcx_mikey_build(), their GSK counterparts, and
 * mcx_hand_key() for keys that no message carries; by nothing else. */
struct mcx_key_msg {
    struct mcx_ssv key; /* the key itself: SSV = key */
    unsigned kind;      /* enum mcx_kind */
    uint32_t key_id;    /* for a GMK the recovered GMK-ID */
    uint32_t csb_id;    /* as in HDR; for a GMK the GUK-ID */
    bool ours;          /* made by mcx_mikey_build() */
    bool to_self;       /* opened from the SAKKE-to-self payload */
    char initiator[MCX_URI_MAX]; /* verified identity, a URI */
    char responder[MCX_URI_MAX];
    char kms_i[MCX_URI_MAX], kms_r[MCX_URI_MAX];
    uint64_t t;        /* NTP */
    int64_t t_unix_ms; /* the same, era extended */
    uint8_t prf;
    size_t rand_n;
    uint8_t rand[MCX_RAND_MAX];
    struct mcx_sp_profile sp;
    struct mcx_key_params params;
    uint8_t digest[32]; /* SHA-256 of the signed octets */
};
MCX_SECRET_TYPE(mcx_key_msg);

/* ---- the key ring: whom we know and who we are ------------------------- */

/* KMS certificates and own user keys, by KMS, identity and period.  Made from
 * checked material only (mcx_kms.h fills it).  Threads: any; look-ups do not
 * block each other. */
struct mcx_ring;

/* What a certificate says of a KMS. */
struct mcx_kms_info {
    char uri[MCX_URI_MAX];
    struct mcx_period period;
    int64_t valid_from_unix, valid_to_unix; /* 0: open */
    bool revoked;
    bool root; /* Role="Root": the KMS of our own users */
    size_t n_domains;
    char domain[MCX_GROUPS_MAX][MCX_GROUP_ID_MAX]; /* KmsDomainList */
    bool monthly_tel; /* UserIdFormat 1: identifiers of RFC 6509 3.2, and
                         the ring sets 'period.months'; else those of TS
                         33.180 F.2.1 */
};

MCX_API mcx_err mcx_ring_new(struct mcx_ring **out,
                             const struct mcx_env *env) MCX_MUST_USE;
MCX_API void mcx_ring_free(struct mcx_ring *ring);
/* KMS options: MCX_PEER_MONTHLY_TEL lets mcx_kms_load() take certificates
 * with UserIdFormat 1.  None at first. */
MCX_API void mcx_ring_allow(struct mcx_ring *ring, unsigned peer);
MCX_API unsigned mcx_ring_allowed(struct mcx_ring *ring);
/* The same for one KMS, octet for octet, beside what is allowed to all;
 * MCX_E_ARG, MCX_E_NOMEM.  'allowed' is both together. */
MCX_API mcx_err mcx_ring_allow_kms(struct mcx_ring *ring, const char *kms_uri,
                                   unsigned peer) MCX_MUST_USE;
MCX_API unsigned mcx_ring_allowed_kms(struct mcx_ring *ring,
                                      const char *kms_uri);
/* Adds or replaces the certificate of one KMS (takes a reference to 'pub'). */
MCX_API mcx_err mcx_ring_add_kms(struct mcx_ring *ring,
                                 const struct mcx_kms_info *info,
                                 struct mcx_kms_pub *pub) MCX_MUST_USE;
/* Adds our user key of 'uri' for period 'no' (takes a reference). */
MCX_API mcx_err mcx_ring_add_user(struct mcx_ring *ring, const char *uri,
                                  const char *kms_uri, uint64_t no,
                                  struct mcx_user_key *key) MCX_MUST_USE;
/* Takes that user key out again and gives back the ring's reference; nothing
 * happens when it is not there. */
MCX_API void mcx_ring_drop_user(struct mcx_ring *ring, const char *uri,
                                const char *kms_uri, uint64_t no);
/* Is there a user key of 'uri', whatever the period? */
MCX_API bool mcx_ring_has_user(struct mcx_ring *ring, const char *uri);
/* The KMS to which 'uri' belongs: the one that issued us keys for it; else
 * the one whose KmsDomainList names its host part; else the only one there
 * is.  A KMS with monthly keys is for tel URIs alone, and before others for
 * them.  Copies the information and, when 'pub' is not NULL, takes a reference
 * for the caller.  MCX_E_NO_IDENTITY. */
MCX_API mcx_err mcx_ring_kms_of(struct mcx_ring *ring, const char *uri,
                                struct mcx_kms_info *info,
                                struct mcx_kms_pub **pub) MCX_MUST_USE;
/* The KMS with exactly this URI. */
MCX_API mcx_err mcx_ring_kms(struct mcx_ring *ring, struct mcx_bytes kms_uri,
                             struct mcx_kms_info *info,
                             struct mcx_kms_pub **pub) MCX_MUST_USE;
/* Our user key of 'uri' for period 'no', a reference for the caller.
 * MCX_E_NO_IDENTITY: we are not 'uri'; MCX_E_NO_PERIOD: not in that period. */
MCX_API mcx_err mcx_ring_user(struct mcx_ring *ring, const char *uri,
                              uint64_t no,
                              struct mcx_user_key **key) MCX_MUST_USE;
/* Tables in the background: whom much is sealed to is noted here, and so are
 * the user keys there are and those added, up to 32; 'due' is called then, on
 * any thread, holding locks: it may queue a job and no more.  The job calls
 * mcx_ring_build_due() on a worker until nothing is left ('false'):
 * milliseconds each.  Nobody waits for it, and what is never built costs time
 * only.  NULL: nothing is noted any more. */
MCX_API void mcx_ring_on_due(struct mcx_ring *ring, void (*due)(void *arg),
                             void *arg);
MCX_API bool mcx_ring_build_due(struct mcx_ring *ring);
/* For whoever seals: 'id' of 'pub' was sealed to. */
MCX_API void mcx_ring_sealed_to(struct mcx_ring *ring,
                                struct mcx_kms_pub *pub, struct mcx_bytes id);
/* Counts, for "show": number of KMSs and of user keys. */
MCX_API void mcx_ring_count(struct mcx_ring *ring, size_t *n_kms,
                            size_t *n_users);
/* Calls 'each' once for each user key held, in no order.  The ring is locked
 * meanwhile: do not call it back. */
MCX_API void mcx_ring_each(struct mcx_ring *ring,
                           void (*each)(void *arg, const char *uri,
                                        const char *kms_uri, uint64_t no),
                           void *arg);

/* ---- replay ------------------------------------------------------------ */

/* Remembers the SHA-256 of signed octets (signatures are malleable) until T
 * has left the window.  Full: refuses, never evicts what is unexpired. */
struct mcx_replay;
enum { MCX_REPLAY_DEFAULT_MAX = 1000000 };
MCX_API mcx_err mcx_replay_new(struct mcx_replay **out,
                               size_t max_entries) MCX_MUST_USE;
MCX_API void mcx_replay_free(struct mcx_replay *replay);
MCX_API size_t mcx_replay_count(struct mcx_replay *replay);
/* After a restart without the entries (lost, or older than the last message):
 * from now on T up to 't_ms' is refused as replayed, whatever the window
 * (RFC 3830 5.4).  A later, smaller 't_ms' changes nothing. */
MCX_API void mcx_replay_floor(struct mcx_replay *replay, int64_t t_ms);
/* Does 't_ms' lie behind the floor?  mcx_mikey_open() and mcx_gsk_open()
 * ask. */
MCX_API bool mcx_replay_below(struct mcx_replay *replay, int64_t t_ms);
/* Seen and not parked?  MCX_OK: no. MCX_E_REPLAY: yes. */
MCX_API mcx_err mcx_replay_look(struct mcx_replay *replay,
                                const uint8_t digest[32], int64_t now_ms,
                                bool resume) MCX_MUST_USE;
/* Enters 'digest' until 'expires_ms'; atomic with a second look, so of two
 * threads with one message one gets MCX_E_REPLAY.  'parked' marks an entry
 * that one later call with 'resume' may take up.  MCX_E_BUSY: full. */
MCX_API mcx_err mcx_replay_enter(struct mcx_replay *replay,
                                 const uint8_t digest[32], int64_t now_ms,
                                 int64_t expires_ms, bool resume,
                                 bool parked) MCX_MUST_USE;
/* Keeps the cache over a restart.  'save' hands every unexpired entry to
 * 'each', whose first error ends it and is returned; the cache is locked
 * meanwhile: do not call it back.  'restore' puts one back: one that is
 * expired at 'now_ms' is left out, one that is there already keeps the later
 * time.  MCX_E_ARG, MCX_E_BUSY (full), MCX_E_NOMEM. */
struct mcx_replay_entry {
    uint8_t digest[32];
    int64_t expires_ms; /* unix */
    bool parked;
};
MCX_API mcx_err mcx_replay_save(struct mcx_replay *replay, int64_t now_ms,
                                mcx_err (*each)(
                                    void *arg,
                                    const struct mcx_replay_entry *entry),
                                void *arg) MCX_MUST_USE;
MCX_API mcx_err mcx_replay_restore(struct mcx_replay *replay, int64_t now_ms,
                                   const struct mcx_replay_entry *entry)
    MCX_MUST_USE;
/* Marks an entry as parked (so that it may be resumed). */
MCX_API void mcx_replay_park(struct mcx_replay *replay,
                             const uint8_t digest[32]);

/* ---- opening ----------------------------------------------------------- */

/* Peer options (design defaults); all off is the strict profile. */
enum {
    MCX_PEER_SIGN_WITHOUT_HEADER = 1u << 0,
    MCX_PEER_STATUS_ZERO_IS_LIVE = 1u << 1,
    MCX_PEER_SDP_IDS = 1u << 2,
    MCX_PEER_KEYMGMT_ALIAS = 1u << 3,
    MCX_PEER_REL13_MAP = 1u << 4,
    MCX_PEER_REL13_CS_ID = 1u << 5,
    MCX_PEER_REL13_PARAMS = 1u << 6,
    MCX_PEER_XML_KEY_XPK = 1u << 7,
    MCX_PEER_MONTHLY_TEL = 1u << 8,
    MCX_PEER_REL13_V = 1u << 9, /* send V; on receipt it never counts */
    MCX_PEER_MKFC_GUK = 1u << 10 /* a GUK-ID in an MKFC's CSB ID */
};
/* The bit of a peer option's word ("sdp-ids"); 0 when unknown. */
MCX_API unsigned mcx_peer_option_parse(const char *word);
MCX_API const char *mcx_peer_option_word(unsigned bit);

enum mcx_window {
    MCX_WINDOW_LIVE,   /* 5 min back, 5 min ahead                           */
    MCX_WINDOW_STORED, /* from the start of the previous key period, 5 ahead */
    MCX_WINDOW_KIND    /* what the kind's row in the table says             */
};
enum { MCX_WINDOW_BACK_S = 300, MCX_WINDOW_AHEAD_S = 300 };

struct mcx_open {
    const struct mcx_env *env; /* the clock; and randomness for blinding */
    struct mcx_ring *ring;
    struct mcx_replay *replay; /* NULL: stateless, no replay check */
    const char *self;          /* our identity, a URI */
    const char *from;  /* the identity that signalling names, a URI; NULL: a
                          visible initiator is taken as named, a hidden one
                          is refused */
    unsigned kinds;    /* MCX_KIND_BIT() of what is welcome here; 0: any */
    enum mcx_window window;
    unsigned peer;     /* MCX_PEER_* */
    bool allow_self;   /* accept our own message through SAKKE-to-self */
    bool resume;       /* a parked message is tried again */
    /* SAKKE-to-self with a hidden responder: whom signalling says the message
     * was made for.  A diverse key (GMK) needs it for its ID.
     * NULL: unknown. */
    const char *to;
    /* A hidden initiator whom 'from' does not name, because the name came
     * under the key itself or a key not yet looked up (TS 33.180 5.2.6): asked
     * after the signature of IDRuidi and the SAKKE check were good; fills in
     * the URI, whose UID must then be IDRuidi.  NULL: such messages are
     * refused before the signature. */
    mcx_err (*who)(void *arg, const struct mcx_key_msg *km,
                   char uri[MCX_URI_MAX]);
    void *who_arg;
};

/* Judges 'msg' and recovers its key.  The order of checks is that of the
 * design defaults: a forged message never reaches the pairing.  On
 * MCX_E_NO_PERIOD with reason no-period-key the signature was good, the
 * message has been entered in the replay cache as parked, and a later call
 * with 'resume' may open it; '*out' then holds no key, but initiator, csb_id
 * and digest are set.  On MCX_E_EXPIRED with reason revoked the message is
 * good and says that its key is to go (TS 33.180 5.2.4): '*out' then has all
 * but the key, with params.present, and mcx_keys_revoke() of its kind and
 * key_id is what to do if the sender may.  In every other failure '*out' is
 * zero.
 * SECRET in '*out': declare it with MCX_SECRET(mcx_key_msg, km). */
MCX_API mcx_err mcx_mikey_open(struct mcx_key_msg *out,
                               const struct mcx_mikey_msg *msg,
                               const struct mcx_open *how,
                               struct mcx_why *why) MCX_MUST_USE;

/* Opens 'n' of them: each job gets what mcx_mikey_open() would give it if they
 * were opened one after the other, in less time together where the CPU has
 * lanes for it (up to eight at once).  For whoever has a queue: a registration
 * storm at a function.
 *   - Rings, replay caches, recipients, KMSs and periods may differ from job
 *     to job; what gains together is what is sealed to one user key, and what
 *     was signed under one KMS.
 *   - A bad message changes nothing for the others.  The same message twice
 *     is a replay the second time.
 *   - Nothing is kept but the results.  Without memory for working together
 *     they are opened one by one.
 *   - who() is asked after all signatures of its eight, in the order of the
 *     jobs; it must not change what the others are judged by. */
struct mcx_open_job {
    const struct mcx_mikey_msg *msg; /* in */
    const struct mcx_open *how;      /* in */
    struct mcx_key_msg *out;  /* SECRET, of this job alone; declare what it
                                 points to with MCX_SECRET or wipe it */
    mcx_err err;              /* out */
    struct mcx_why why;       /* out; empty with MCX_OK */
};
MCX_API void mcx_mikey_open_many(struct mcx_open_job *job, size_t n);

/* ---- the table of key kinds -------------------------------------------- */

enum mcx_carrier {
    MCX_CARRIER_SAKKE, /* a SAKKE I_MESSAGE                     */
    MCX_CARRIER_PSK,   /* a pre-shared key I_MESSAGE            */
    MCX_CARRIER_HAND   /* no message: configured at both ends   */
};
/* Does CSB ID carry an ID of the receiver's own (TS 33.180 5.2.3)? */
enum mcx_diversity {
    MCX_DIVERSITY_NEVER,
    MCX_DIVERSITY_ALWAYS,
    MCX_DIVERSITY_BY_OPTION /* peer option mkfc-guk */
};

/* One kind; building, checking, the store and the tools go by it.  A new kind
 * is one row more: modules/ADD-A-KEY-TYPE. */
struct mcx_kind_info {
    unsigned kind;     /* the purpose tag; above all tags when it has none */
    const char *word;  /* "gmk" */
    const char *initiator, *responder; /* the roles, in words */
    const char *clause;
    enum mcx_carrier carrier;
    enum mcx_diversity diversity;
    bool params;  /* key parameters may come along...          */
    bool groups;  /* ... and hold group IDs                    */
    bool to_self; /* SAKKE-to-self may come along              */
    bool xml;     /* is an XML protection key (TS 33.180 9.3)  */
    uint8_t cs_id, n_cs; /* first CS-ID, how many follow each other */
    uint8_t rel13_cs_id; /* the first one under rel13-cs-id         */
    enum mcx_window window;
    struct mcx_sp_profile sp; /* when the message names none */
};
/* The row of 'kind'; NULL when there is none. */
MCX_API const struct mcx_kind_info *mcx_kind_info(unsigned kind);
/* Row number 'i' from 0; NULL behind the last. */
MCX_API const struct mcx_kind_info *mcx_kind_each(size_t i);
/* Is 'csb_id' an ID of one receiver's own, so that MKIs are key_id || csb_id
 * and traffic keys come from csb_id? */
MCX_API bool mcx_kind_diverse(unsigned kind, uint32_t key_id,
                              uint32_t csb_id);

/* ---- building ---------------------------------------------------------- */

/* How key parameters go (TS 33.180 E.6).  A: protected with the key.  B: the
 * same content in clear, under the signature only; for gateways of the old
 * release, which read nothing else: to be opened it wants rel13-params.  Form
 * C (33.179 V13.4.0) is not made: modules/DECISIONS.md. */
enum mcx_params_form { MCX_PARAMS_FORM_A, MCX_PARAMS_FORM_B };

struct mcx_build {
    const struct mcx_env *env;
    struct mcx_ring *ring;
    unsigned kind;
    const char *from, *to; /* URIs; user keys of 'from' must be in the ring */
    const char *to_kms;    /* NULL: mcx_ring_kms_of('to') */
    const struct mcx_ssv *key; /* NULL: fresh */
    uint32_t key_id; /* used when 'key' is given or id_given; else random */
    bool id_given;
    const uint8_t *rand; /* 16 octets; NULL: fresh */
    int64_t at_unix_ms;  /* T; 0: now */
    unsigned peer;       /* MCX_PEER_*: rel13-map, rel13-cs-id, rel13-v,
                            mkfc-guk, sdp-ids */
    bool hide_initiator, hide_responder; /* IDRuidi, IDRuidr */
    bool sakke_to_self;
    const struct mcx_key_params *params; /* NULL: no key parameters.  Of
        'status' the two flags of E.6.9; times below 2^40; groups go with kinds
        that have them */
    enum mcx_params_form params_form;
    bool cs_id_given; /* rel13-map: 'cs_id' instead of the table's */
    uint8_t cs_id;
    /* rel13-map: this policy in SP instead of the kind's; one of the three
     * that can be had (AES-128-GCM, the same with RCC mode 3, AES-CM-128 with
     * HMAC-SHA-1-80).  Without a map there is no SP to say it in. */
    const struct mcx_sp_profile *sp;
};

/* The policy of a word: "gcm", "gcm-rcc", "aes-cm".  False: no such word. */
MCX_API bool mcx_sp_profile_parse(struct mcx_sp_profile *out,
                                  const char *word);
/* The word of a policy; NULL when it is none of these. */
MCX_API const char *mcx_sp_profile_word(const struct mcx_sp_profile *sp);

/* Builds a complete signed I_MESSAGE.  '*out_n' is the room of 'out' on entry
 * and the octets written on return; 2048 is enough without groups.  When two
 * calls fall on the same instant T is bumped: messages of one process carry
 * unique timestamps (RFC 3830 5.4).
 * MCX_E_ARG, MCX_E_NO_IDENTITY, MCX_E_NO_PERIOD, MCX_E_TOOBIG, MCX_E_IO,
 * MCX_E_NOMEM; '*km' (NULL allowed) is zero unless MCX_OK. */
MCX_API mcx_err mcx_mikey_build(uint8_t *out, size_t *out_n,
                                struct mcx_key_msg *km,
                                const struct mcx_build *how,
                                struct mcx_why *why) MCX_MUST_USE;

/* One member of a batch: whom for, and what was made. */
struct mcx_batch_item {
    const char *to;        /* a URI                                       */
    const char *to_kms;    /* NULL: mcx_ring_kms_of('to')                 */
    mcx_err err;           /* of this member; the others are built anyway */
    struct mcx_why why;
    const uint8_t *octets; /* in the batch's buffer; NULL unless MCX_OK   */
    size_t n;
    uint32_t csb_id;       /* the member's own ID: for a GMK its GUK-ID   */
};
/* One key for many members (TS 33.180 5.7): the same key, key ID and RAND in
 * every message, with each member's own ID, SAKKE and signature.  'how' is
 * that of mcx_mikey_build() without 'to' and 'to_kms'; fresh key, key ID and
 * RAND are drawn once.  The messages go behind each other into 'out', of which
 * '*out_n' is the room on entry and what was used on return; a member that
 * does not fit has MCX_E_TOOBIG, and a later call with the key, key ID and
 * RAND of '*km' may go on with it.  '*km' is what the group has in common:
 * csb_id is the key ID, responder is "".  The result is that of the first
 * member that failed; MCX_OK when none did.  Any number of members; allocates
 * nothing of its own; may be split among threads in that way. */
MCX_API mcx_err mcx_mikey_build_batch(uint8_t *out, size_t *out_n,
                                      struct mcx_key_msg *km,
                                      struct mcx_batch_item *item, size_t n,
                                      const struct mcx_build *how)
    MCX_MUST_USE;

/* ---- keys that come by hand (TS 33.180 5.5) ---------------------------- */

/* What both ends were given on paper: an SPK, its ID and its RAND. */
struct mcx_hand {
    struct mcx_ssv key; /* SECRET */
    unsigned kind;      /* one whose row says MCX_CARRIER_HAND */
    uint32_t key_id;    /* its first four bits are the kind's  */
    size_t rand_n;      /* 16 to MCX_RAND_MAX octets           */
    uint8_t rand[MCX_RAND_MAX];
    char self[MCX_URI_MAX], peer[MCX_URI_MAX]; /* the two servers */
    int64_t expiry_unix; /* seconds; 0: never */
};
MCX_SECRET_TYPE(mcx_hand);
/* Reads such a paper: a line `name = value` each for kind, id (8 hexadecimal
 * digits), key (32), rand (32 to 510), self, peer (URIs) and, when it ends,
 * expires (RFC 3339); '#' begins a comment.  Allocates nothing; 'text' is
 * SECRET and the caller's to wipe.  MCX_E_CONFIG: '*line' (from 1; 0: the
 * whole) and '*what', a static text without any of the file's octets. */
MCX_API mcx_err mcx_hand_read(struct mcx_hand *out, struct mcx_bytes text,
                              size_t *line, const char **what) MCX_MUST_USE;
/* The verified key message that such a key would have come in: made now, by
 * 'self' for 'peer'.  MCX_E_ARG; MCX_E_POLICY (purpose-tag); MCX_E_EXPIRED
 * (key-expired). */
MCX_API mcx_err mcx_hand_key(struct mcx_key_msg *out,
                             const struct mcx_hand *hand,
                             const struct mcx_env *env,
                             struct mcx_why *why) MCX_MUST_USE;

/* ---- several GMKs of a group ------------------------------------------- */

/* "Newest T wins" (TS 33.303 6.2.4.4): was 'a' made later than 'b'?  Goes by
 * T, not by arrival; right across the NTP era change. */
MCX_API bool mcx_key_msg_newer(const struct mcx_key_msg *a,
                               const struct mcx_key_msg *b);
/* When a key may be used, by its T and key parameters (TS 33.180 E.6): unix
 * seconds; '*to' is INT64_MAX when it never expires. */
MCX_API void mcx_key_msg_times(int64_t *from, int64_t *to,
                               const struct mcx_key_msg *km);
/* May it send at 'now_s': active, neither revoked nor expired? */
MCX_API bool mcx_key_msg_sends(const struct mcx_key_msg *km, int64_t now_s);
/* May it still receive: not revoked, not expired? */
MCX_API bool mcx_key_msg_receives(const struct mcx_key_msg *km,
                                  int64_t now_s);
/* Is the key for 'group' (octet for octet)?  One without group IDs is for
 * every group that its envelope names. */
MCX_API bool mcx_key_msg_serves(const struct mcx_key_msg *km,
                                const char *group);
/* Of 'n' keys that live at once the one 'group' is to send with: active,
 * activated most recently, and of several the newest T.  NULL: none. */
MCX_API const struct mcx_key_msg *
mcx_key_msg_choose(const struct mcx_key_msg *const *km, size_t n,
                   const char *group, int64_t now_s);

/* ---- derivations ------------------------------------------------------- */

/* The MIKEY PRF (RFC 3830 4.1.2; RFC 6043 6.1 for PRF-HMAC-SHA-256).
 * 'prf' is MCX_PRF_*.  Any sizes; MCX_E_UNSUPPORTED for another prf. */
MCX_API mcx_err mcx_prf(uint8_t *out, size_t out_n, unsigned prf,
                        struct mcx_bytes inkey,
                        struct mcx_bytes label) MCX_MUST_USE;
/* Constants of RFC 3830 4.1.3 and 4.1.4. */
#define MCX_LABEL_TEK UINT32_C(0x2ad01c64)
#define MCX_LABEL_SALT UINT32_C(0x39a2c14b)
#define MCX_LABEL_AUTH UINT32_C(0x1b5c7973)
#define MCX_LABEL_ENCR UINT32_C(0x15798cef)
#define MCX_LABEL_PSK_ENCR UINT32_C(0x150533e1)
#define MCX_LABEL_PSK_AUTH UINT32_C(0x2d22ac75)
#define MCX_LABEL_PSK_SALT UINT32_C(0x29b88916)
/* PRF('inkey', constant || cs_id || csb_id || rand). */
MCX_API mcx_err mcx_mikey_derive(uint8_t *out, size_t out_n, unsigned prf,
                                 struct mcx_bytes inkey, uint32_t constant,
                                 uint8_t cs_id, uint32_t csb_id,
                                 struct mcx_bytes rand) MCX_MUST_USE;

/* GUK-ID of 'uri' for a GMK (TS 33.180 F.1.3); an involution: the same call
 * with the GUK-ID gives the GMK-ID. */
MCX_API mcx_err mcx_guk_id(uint32_t *out, const struct mcx_ssv *gmk,
                           uint32_t gmk_id, const char *uri) MCX_MUST_USE;

/* The keys of XML protection (TS 33.180 9.3, F.1.4): one for AES-128-GCM, one
 * for HMAC-SHA-256.  Two types, so that neither is taken for the other. */
enum { MCX_XML_KEY_SIZE = 16 };
struct mcx_xml_ckey { uint8_t b[MCX_XML_KEY_SIZE]; }; /* confidentiality */
struct mcx_xml_ikey { uint8_t b[MCX_XML_KEY_SIZE]; }; /* integrity       */
struct mcx_xml_keys {
    struct mcx_xml_ckey c;
    struct mcx_xml_ikey i;
    uint32_t xpk_id; /* base64 of its four octets is the KeyName */
};
MCX_SECRET_TYPE(mcx_xml_keys);
/* 'id' is the MC service ID that the CSK is bound to, at both ends and in both
 * directions the client's; for an SPK what the two servers agreed on.  1 to
 * 65535 octets, taken as they are.  Peer option xml-key-xpk: the XPK itself is
 * both keys (33.179 V13.4.0; for signatures that is our reading) and 'id' is
 * not used.  Time does not depend on the XPK.  MCX_E_ARG, MCX_E_NOMEM; '*out'
 * is zero then.  mcx_key_xml() does it for a stored key. */
MCX_API mcx_err mcx_xml_keys(struct mcx_xml_keys *out,
                             const struct mcx_ssv *xpk, uint32_t xpk_id,
                             const char *id, unsigned peer) MCX_MUST_USE;

/* ---- pre-shared key mode (RFC 3830 3.1) -------------------------------- */

enum { MCX_TGK_MAX = 64, MCX_KEYDATA_MAX = 8 };
/* One key data sub-payload (RFC 3830 6.13).  SECRET. */
struct mcx_keydata {
    uint8_t key[MCX_TGK_MAX];
    size_t key_n;
    uint8_t salt[MCX_TGK_MAX];
    size_t salt_n;
    uint8_t type, kv;
    uint8_t spi[255];
    size_t spi_n;
    uint8_t valid_from[8], valid_to[8];
    size_t valid_from_n, valid_to_n;
};
struct mcx_psk_keys {
    struct mcx_keydata k[MCX_KEYDATA_MAX];
    size_t n;
};
MCX_SECRET_TYPE(mcx_psk_keys);
/* Verifies the MAC of a PSK I_MESSAGE, then decrypts KEMAC and parses the key
 * data; under AES key wrap up to 7 zero octets may fill the last block.  T and
 * replay are the caller's.  MCX_E_AUTH (mac), MCX_E_POLICY
 * (null-algorithm), BYTES. */
MCX_API mcx_err mcx_psk_open(struct mcx_psk_keys *out,
                             const struct mcx_mikey_msg *msg,
                             struct mcx_bytes psk,
                             struct mcx_why *why) MCX_MUST_USE;
/* Verifies V of an R_MESSAGE to 'init' (RFC 3830 5.2, digest D-5). */
MCX_API mcx_err mcx_psk_verify(const struct mcx_mikey_msg *resp,
                               const struct mcx_mikey_msg *init,
                               struct mcx_bytes psk,
                               struct mcx_why *why) MCX_MUST_USE;

/* AES key wrap (RFC 3394) has no padding, and MIKEY names none: the key data
 * must come to 16 octets or more and a multiple of 8, which one TGK of 16
 * octets does not (20) and two do (40). */
enum { MCX_ENCR_AES_CM_128 = 1, MCX_ENCR_AES_KW_128 = 2,
       MCX_ENCR_AES_CM_256 = 3 };
enum { MCX_MAC_HMAC_SHA1_160 = 1, MCX_MAC_HMAC_SHA256_256 = 2 };

/* What a PSK I_MESSAGE is made of.  Zero values are RFC 3830's mandatory set:
 * PRF MIKEY-1, AES-CM-128, HMAC-SHA-1-160. */
struct mcx_psk_build {
    const struct mcx_env *env;
    struct mcx_bytes psk; /* SECRET */
    uint8_t prf;          /* MCX_PRF_*                                */
    uint8_t encr_alg;     /* 0: AES-CM-128                            */
    uint8_t mac_alg;      /* 0: the HMAC of the PRF's hash            */
    bool v;               /* ask for an R_MESSAGE                     */
    uint32_t csb_id;
    uint8_t map_type;     /* MCX_MAP_*                                */
    const struct mcx_cs *cs;
    size_t n_cs;
    struct mcx_bytes id_i, id_r; /* empty: left out                   */
    uint8_t id_i_type, id_r_type;
    bool roles;           /* IDR payloads instead of ID               */
    struct mcx_bytes sp;  /* SRTP parameters of policy 0; empty: none */
    const struct mcx_psk_keys *keys;
    const uint8_t *rand;  /* 16 octets; NULL: fresh                   */
    int64_t at_unix_ms;   /* T; 0: now                                */
    struct mcx_ring *ring;     /* with 'sign_as': signed GSK message  */
    const char *sign_as;       /* a URI whose keys 'ring' has, or NULL */
};
/* '*out_n' as in mcx_mikey_build().  An IDr without an IDi is only possible
 * with 'roles'.  MCX_E_ARG, MCX_E_TOOBIG, MCX_E_NO_IDENTITY, MCX_E_NO_PERIOD,
 * MCX_E_IO, MCX_E_NOMEM. */
MCX_API mcx_err mcx_psk_build(uint8_t *out, size_t *out_n,
                              const struct mcx_psk_build *how,
                              struct mcx_why *why) MCX_MUST_USE;
/* The R_MESSAGE to 'init', which mcx_psk_open() has opened and which asked
 * for it.  'id_r' is sent when not empty; else IDr of 'init' goes under the
 * MAC as the one both ends know.  MCX_E_STATE: nobody asked (V is 0). */
MCX_API mcx_err mcx_psk_answer(uint8_t *out, size_t *out_n,
                               const struct mcx_mikey_msg *init,
                               struct mcx_bytes psk, struct mcx_bytes id_r,
                               uint8_t id_r_type) MCX_MUST_USE;

/* ---- GSK: one-to-many direct mode (TS 33.303 6.2.4) -------------------- */

struct mcx_gsk_build {
    const struct mcx_env *env;
    const struct mcx_ssv *gmk; /* SECRET */
    uint32_t gmk_id;
    bool hide_gmk_id; /* receivers find the GMK as their only one */
    const struct mcx_ssv *key; /* NULL: fresh */
    uint32_t key_id; /* CSB ID and MKI; used when id_given, else random */
    bool id_given;
    bool no_mki;
    uint8_t prf;         /* MCX_PRF_* */
    const uint32_t *ssrc; /* one crypto session each; NULL: one, SSRC 0 */
    size_t n_ssrc;
    const struct mcx_sp_profile *sp; /* as in mcx_build; NULL: the kind's */
    const uint8_t *rand;
    int64_t at_unix_ms;
    struct mcx_ring *ring; /* with 'from': the talker signs */
    const char *from;
};
/* Builds the message of a talker; V is never set. */
MCX_API mcx_err mcx_gsk_build(uint8_t *out, size_t *out_n,
                              struct mcx_key_msg *km,
                              const struct mcx_gsk_build *how,
                              struct mcx_why *why) MCX_MUST_USE;

struct mcx_gsk_open {
    const struct mcx_env *env;
    struct mcx_replay *replay; /* NULL: no replay check */
    /* Copies out the GMK 'gmk_id', or with 'only' the one GMK there is.
     * MCX_E_NO_KEY when there is none (or more than the one). */
    mcx_err (*gmk)(void *arg, uint32_t gmk_id, bool only,
                   struct mcx_ssv *gmk);
    void *arg;
    /* Is the key of this CSB ID held?  Asked, with 'arg', of a message that
     * was seen before: talkers repeat theirs octet for octet, and whoever lost
     * the key, by a restart, takes it up again from the next repeat.  All
     * other checks are made anew.  NULL: a repeat is always MCX_E_REPLAY. */
    bool (*held)(void *arg, uint32_t csb_id);
    int64_t back_s; /* accepted age of T; 0: MCX_WINDOW_BACK_S.  A talker
                       repeats its message for late joiners. */
    struct mcx_ring *ring; /* NULL: signatures are not checked */
    const char *from;      /* the talker that signalling names, or NULL */
    bool want_sign;        /* refuse unsigned messages; needs 'ring' */
};
/* Judges a GSK message: shape, T, replay look-up, GMK by its identifier (IDr,
 * IDi, CSB ID, then the only one), MAC, signature, replay entry, key data,
 * policy.  A repeat is MCX_E_REPLAY (but see 'held'): drop it silently.
 * km->initiator is the talker when the signature was checked, else "".
 * km->csb_id derives, with CS-IDs from 1 in the order of the map; km->key_id
 * is the MKI. */
MCX_API mcx_err mcx_gsk_open(struct mcx_key_msg *out,
                             const struct mcx_mikey_msg *msg,
                             const struct mcx_gsk_open *how,
                             struct mcx_why *why) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_MIKEY_H */
