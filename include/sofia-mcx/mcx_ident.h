/* mcx_ident.h -- identity-based crypto: UID, key periods, SAKKE, ECCSI.
 *
 * SAKKE (RFC 6508, parameter set 1 of RFC 6509 appendix A) carries one shared
 * secret value (SSV) to a receiver of whom the sender knows only the
 * identifier and the KMS's public key.  ECCSI (RFC 6507, P-256, SHA-256) signs
 * under an identifier.  In 3GPP use the identifier is the 32-octet UID of
 * TS 33.180 F.2.1; both algorithms take any identifier of 1 to 128 octets
 * whose value as an integer is in 2..q-1.
 *
 * Shapes (octets, integers most significant octet first):
 *   SSV                  16   RFC 6509 appendix A, n = 128 bits
 *   point of E(F_p)     257   0x04 | x (128) | y (128)      RFC 6508 4
 *   encapsulated data   273   R (257) | H (16)              RFC 6508 4
 *   SSK                  32   integer in 1..q-1             RFC 6507 3.2
 *   PVT, KPAK            65   0x04 | x (32) | y (32)        RFC 6507 3.2
 *   signature           129   r (32) | s (32) | PVT (65)    RFC 6507 3.3
 *
 * Objects are made once and then read by any number of threads.  They are
 * where a later back-end keeps its precomputed tables.  Every object here is
 * reference counted: _ref() and _free() are atomic, _free(NULL) is allowed.
 *
 * Time: nothing depends on SSV, RSK, SSK, KSAK or a nonce.  The arithmetic is
 * ours and holds to that by construction.  Identifiers, public keys, sizes and
 * result codes are public; so is all that verifying works on, whose time
 * varies with it.
 *
 * Memory of precomputed tables: 1.7 MiB for the process, 1.0 MiB a KMS, both
 * 0.4 MiB more from the first user key on; 0.1 MiB a user key, 0.9 MiB more
 * and 300 to 430 KB of guarded memory for one that opens; 0.9 MiB a prepared
 * peer, of which a KMS keeps 256; 26 KiB a known signer, of which it keeps
 * 1,024. */
#ifndef MCX_IDENT_H
#define MCX_IDENT_H

#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_secret.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MCX_UID_SIZE = 32,
    MCX_ID_MAX = 128,
    MCX_SAKKE_PT_SIZE = 257,
    MCX_SAKKE_ENC_SIZE = 273,
    MCX_ECCSI_PT_SIZE = 65,
    MCX_ECCSI_SIG_SIZE = 129
};

/* ---- identifiers ------------------------------------------------------- */

struct mcx_uid { uint8_t b[MCX_UID_SIZE]; }; /* public */

/* UserKeyPeriod and UserKeyOffset of a KMS certificate, seconds; or calendar
 * months (UTC), counted from January 1900 as 0 (RFC 6509 3.2). */
struct mcx_period {
    uint64_t length_s; /* 1 or more */
    uint64_t offset_s;
    bool months; /* monthly-tel: length and offset are not used */
};

/* '*no' = floor((ntp_s - offset) / length), 'ntp_s' being whole seconds since
 * 1900, era extended (TS 33.180 F.2.1); or the number of its month.  MCX_E_ARG
 * when length is 0 or the time lies before the offset. */
MCX_API mcx_err mcx_period_no(uint64_t *no, const struct mcx_period *period,
                              int64_t ntp_s) MCX_MUST_USE;
/* First second (since 1900) of period 'no'. */
MCX_API int64_t mcx_period_start(const struct mcx_period *period, uint64_t no);

/* The hashed UID of 'uri' under KMS 'kms_uri' in period 'no' (TS 33.180
 * F.2.1).  Both texts are used verbatim.  MCX_E_ARG when one is empty or
 * longer than 65535 octets. */
MCX_API mcx_err mcx_uid(struct mcx_uid *out, struct mcx_bytes uri,
                        struct mcx_bytes kms_uri,
                        const struct mcx_period *period,
                        uint64_t no) MCX_MUST_USE;

/* Identifiers of RFC 6509 3.2, "tel URI with monthly keys" (ID scheme 1, KMS
 * option monthly-tel): "YYYY-MM" NUL uri NUL.  Periods are months, counted
 * from January 1900 as 0.  'uri' is a global tel URI: "tel:+" and digits.
 * MCX_E_ARG: another URI, or too long; a time before 1900. */
MCX_API mcx_err mcx_month_no(uint64_t *no, int64_t ntp_s) MCX_MUST_USE;
/* First second (since 1900) of that month; INT64_MAX behind the year 9999. */
MCX_API int64_t mcx_month_start(uint64_t no);
MCX_API mcx_err mcx_monthly_id(uint8_t out[MCX_ID_MAX], size_t *n,
                               struct mcx_bytes uri,
                               uint64_t month_no) MCX_MUST_USE;
/* The identifier that a user's keys are bound to, whichever form its KMS has:
 * the UID, or with 'period->months' the one of RFC 6509 3.2.  Errors as in
 * mcx_uid() and mcx_monthly_id(). */
MCX_API mcx_err mcx_user_id(uint8_t out[MCX_ID_MAX], size_t *n,
                            struct mcx_bytes uri, struct mcx_bytes kms_uri,
                            const struct mcx_period *period,
                            uint64_t no) MCX_MUST_USE;

/* ---- a KMS's public keys ----------------------------------------------- */

struct mcx_kms_pub;

/* Checks and takes over Z ('z', 257 octets) and KPAK ('kpak', 65 octets):
 * 0x04, coordinates below p, on the curve, Z of order q (RFC 6508 digest
 * section 8, I1; RFC 6507 4.2).
 * MCX_E_MALFORMED with reason key-point, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_pub_new(struct mcx_kms_pub **out, struct mcx_bytes z,
                                struct mcx_bytes kpak,
                                struct mcx_why *why) MCX_MUST_USE;
MCX_API struct mcx_kms_pub *mcx_kms_pub_ref(struct mcx_kms_pub *pub);
MCX_API void mcx_kms_pub_free(struct mcx_kms_pub *pub);
MCX_API const uint8_t *mcx_kms_pub_z(const struct mcx_kms_pub *pub);
MCX_API const uint8_t *mcx_kms_pub_kpak(const struct mcx_kms_pub *pub);

/* Seals 'ssv' to 'id' (RFC 6508 6.2.1).  Deterministic.
 * MCX_E_ARG: identifier out of range; MCX_E_STATE: r or [b]P + Z degenerate,
 * take another SSV; MCX_E_NOMEM. */
MCX_API mcx_err mcx_sakke_seal(uint8_t enc[MCX_SAKKE_ENC_SIZE],
                               const struct mcx_kms_pub *pub,
                               struct mcx_bytes id,
                               const struct mcx_ssv *ssv) MCX_MUST_USE;

/* Builds the table that makes sealing to 'id' fast (seven tenths of the time)
 * and keeps it, in place of that of the peer not used for longest when there
 * are 256.  Takes milliseconds, for a worker thread; sealing never waits for
 * it.  MCX_E_ARG, MCX_E_STATE ([b]P + Z degenerate), MCX_E_NOMEM. */
MCX_API mcx_err mcx_sakke_prepare(struct mcx_kms_pub *pub,
                                  struct mcx_bytes id) MCX_MUST_USE;
/* Would it pay: was 'id' sealed to twice lately, and without a table? */
MCX_API bool mcx_sakke_prepare_due(const struct mcx_kms_pub *pub,
                                   struct mcx_bytes id);

/* Verifies 'sig' (RFC 6507 5.2.2, every check of digest section 5) over
 * 'msg' by 'id'.  Offsets in '*why' count from the start of 'sig'.
 * MCX_E_AUTH (reasons signature-range, pvt, signature), MCX_E_MALFORMED
 * (signature-length), MCX_E_ARG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_eccsi_verify(const struct mcx_kms_pub *pub,
                                 struct mcx_bytes id, struct mcx_bytes msg,
                                 struct mcx_bytes sig,
                                 struct mcx_why *why) MCX_MUST_USE;

/* Verifies 'n' of them: each job as mcx_eccsi_verify() would, in less time
 * together for three new signers or more where the CPU has lanes for it. */
struct mcx_eccsi_job {
    struct mcx_bytes id, msg, sig; /* in  */
    mcx_err err;                   /* out */
    struct mcx_why why;
};
MCX_API void mcx_eccsi_verify_many(struct mcx_eccsi_job *job, size_t n,
                                   const struct mcx_kms_pub *pub);

/* The second good signature of a signer (an identifier with its PVT) makes a
 * table, in 0.15 ms, that takes seven tenths off the time of those after it;
 * a KMS keeps those of the 1,024 signers used last, 26 KiB each.  This makes
 * the table ahead, for a worker thread; what it is made for is not verified.
 * MCX_E_ARG (identifier or PVT), MCX_E_STATE ([HS]PVT + KPAK is infinity),
 * MCX_E_NOMEM. */
MCX_API mcx_err mcx_eccsi_prepare(struct mcx_kms_pub *pub,
                                  struct mcx_bytes id,
                                  const uint8_t pvt[MCX_ECCSI_PT_SIZE])
    MCX_MUST_USE;

/* ---- a user's keys for one identifier ---------------------------------- */

struct mcx_user_key;

/* Checks one key set and takes over copies in guarded memory: SSK range and
 * KPAK = [SSK]G - [HS]PVT (RFC 6507 5.1.2); RSK on the curve, of order q, and
 * <[a]P + Z, RSK> = g (RFC 6508 6.1.2).  The caller wipes its arguments.
 * MCX_E_MALFORMED (key-range, key-point), MCX_E_AUTH (key-check), each with
 * payload "RSK", "SSK" or "PVT"; MCX_E_ARG; MCX_E_NOMEM. */
MCX_API mcx_err mcx_user_key_new(struct mcx_user_key **out,
                                 struct mcx_kms_pub *pub, struct mcx_bytes id,
                                 const struct mcx_rsk *rsk,
                                 const struct mcx_ssk *ssk,
                                 const uint8_t pvt[MCX_ECCSI_PT_SIZE],
                                 struct mcx_why *why) MCX_MUST_USE;
MCX_API struct mcx_user_key *mcx_user_key_ref(struct mcx_user_key *key);
MCX_API void mcx_user_key_free(struct mcx_user_key *key);
MCX_API struct mcx_bytes mcx_user_key_id(const struct mcx_user_key *key);
MCX_API const struct mcx_kms_pub *
mcx_user_key_kms(const struct mcx_user_key *key);

/* Builds the tables that opening with 'key' needs, unless it has them: some
 * milliseconds, for a worker thread; else the first opening takes them.
 * MCX_E_NOMEM. */
MCX_API mcx_err mcx_user_key_prepare(const struct mcx_user_key *key)
    MCX_MUST_USE;

/* Opens 'enc' (RFC 6508 6.2.2) and makes the check of step 5 in constant time.
 * MCX_E_MALFORMED (sakke-length, sakke-point), MCX_E_AUTH (sakke-check);
 * '*ssv' is zero unless MCX_OK. */
MCX_API mcx_err mcx_sakke_open(struct mcx_ssv *ssv,
                               const struct mcx_user_key *key,
                               struct mcx_bytes enc,
                               struct mcx_why *why) MCX_MUST_USE;

/* Opens 'n' of them, all sealed to 'key': each job as mcx_sakke_open() would,
 * in less time together where the CPU has lanes for it.  For whoever has a
 * queue: a registration storm at a function. */
struct mcx_sakke_job {
    struct mcx_bytes enc; /* in                      */
    struct mcx_ssv ssv;   /* out; the caller's to wipe */
    mcx_err err;
    struct mcx_why why;
};
MCX_API void mcx_sakke_open_many(struct mcx_sakke_job *job, size_t n,
                                 const struct mcx_user_key *key);

/* Signs 'msg' (RFC 6507 5.2.1).  The nonce is hedged: derived from SSK, the
 * message and fresh randomness of 'env'.  The signature is verified before it
 * leaves.  MCX_E_IO (no randomness), MCX_E_SELFTEST (fault), MCX_E_NOMEM. */
MCX_API mcx_err mcx_eccsi_sign(uint8_t sig[MCX_ECCSI_SIG_SIZE],
                               const struct mcx_user_key *key,
                               struct mcx_bytes msg,
                               const struct mcx_env *env) MCX_MUST_USE;

/* ---- the KMS's own side ------------------------------------------------ */

struct mcx_kms_master; /* z and KSAK, in guarded memory */

enum { MCX_KMS_MASTER_SIZE = 160 }; /* z (128) | KSAK (32) */
struct mcx_kms_secret { uint8_t b[MCX_KMS_MASTER_SIZE]; };
MCX_SECRET_TYPE(mcx_kms_secret);

/* New random master secrets; or those of 'secret' when not NULL.
 * MCX_E_IO, MCX_E_MALFORMED (key-range), MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_master_new(struct mcx_kms_master **out,
                                   const struct mcx_kms_secret *secret,
                                   const struct mcx_env *env) MCX_MUST_USE;
MCX_API void mcx_kms_master_free(struct mcx_kms_master *master);
/* Copies the secrets out, for sealing at rest. */
MCX_API void mcx_kms_master_export(struct mcx_kms_secret *out,
                                   const struct mcx_kms_master *master);
MCX_API void mcx_kms_master_public(uint8_t z[MCX_SAKKE_PT_SIZE],
                                   uint8_t kpak[MCX_ECCSI_PT_SIZE],
                                   const struct mcx_kms_master *master);
/* Issues the keys of 'id' (RFC 6508 6.1.1, RFC 6507 5.1.1).  The pair (SSK,
 * PVT) is fresh at every call.  MCX_E_ARG, MCX_E_IO, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_master_issue(const struct mcx_kms_master *master,
                                     struct mcx_bytes id, struct mcx_rsk *rsk,
                                     struct mcx_ssk *ssk,
                                     uint8_t pvt[MCX_ECCSI_PT_SIZE],
                                     const struct mcx_env *env) MCX_MUST_USE;

/* ---- self-test --------------------------------------------------------- */

/* Small known answers for SAKKE and ECCSI; run once by whoever loads the
 * library (mcx_create, the tools).  MCX_E_SELFTEST. */
MCX_API mcx_err mcx_ident_selftest(void) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_IDENT_H */
