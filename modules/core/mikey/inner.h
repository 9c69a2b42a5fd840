/* inner.h -- what open.c and build.c share: policies, key parameters, and the
 * questions both ask of the key ring. */
#ifndef MCX_CORE_MIKEY_INNER_H
#define MCX_CORE_MIKEY_INNER_H

#include "pl.h"

/* ---- profile.c --------------------------------------------------------- */

/* The profile of a kind when the message says nothing (TS 33.180 E.2.2,
 * E.3.2, E.4.2). */
struct mcx_sp_profile mcx_profile_default(unsigned kind);
/* What the SP payloads of 'm' ask for; the default when there are none. */
mcx_err mcx_profile_of(struct mcx_sp_profile *out,
                       const struct mcx_mikey_msg *m, unsigned kind,
                       struct mcx_why *why) MCX_MUST_USE;
/* The parameters of a profile, for an SP payload.  MCX_E_ARG: one that cannot
 * be had. */
enum { MCX_PROFILE_PARAMS_MAX = 40 };
mcx_err mcx_profile_write(struct mcx_wr *wr,
                          const struct mcx_sp_profile *p) MCX_MUST_USE;

/* ---- keyparams.c ------------------------------------------------------- */

/* Reads the key parameters of 'ext' (TS 33.180 E.6) with the key they belong
 * to.  Every failure is a refusal of the key. */
mcx_err mcx_key_params_open(struct mcx_key_params *out,
                            const struct mcx_ext *ext,
                            const struct mcx_ssv *key, uint32_t csb_id,
                            unsigned peer, int64_t now_ms,
                            struct mcx_why *why) MCX_MUST_USE;
/* Writes the data of the extension.  MCX_E_ARG: such contents, or such a
 * form, are not sent. */
mcx_err mcx_key_params_write(struct mcx_wr *wr,
                             const struct mcx_key_params *params,
                             enum mcx_params_form form,
                             const struct mcx_ssv *key, uint32_t csb_id,
                             int64_t t_unix_s,
                             const struct mcx_env *env) MCX_MUST_USE;

/* ---- build.c ----------------------------------------------------------- */

/* T of a message made at 'unix_ms', unlike every other of this process. */
uint64_t mcx_unique_t(int64_t unix_ms);

/* ---- psk.c ------------------------------------------------------------- */

/* mcx_psk_build() that also tells T and how many leading octets signature or
 * MAC cover. */
mcx_err mcx_psk_make(uint8_t *out, size_t *out_n,
                     const struct mcx_psk_build *how, uint64_t *t,
                     size_t *covered_n, struct mcx_why *why) MCX_MUST_USE;

/* ---- kemac_wrap.c ------------------------------------------------------ */

/* AES key wrap.  'out' has room for in.n + 8 octets, or for in.n - 8 when
 * unwrapping.  MCX_E_ARG: a size that cannot be wrapped; MCX_E_AUTH: what was
 * wrapped is not that, or not under this key; MCX_E_NOMEM. */
enum { MCX_KEMAC_KEY_SIZE = 16, MCX_KEMAC_MORE = 8 };
mcx_err mcx_kemac_wrap(uint8_t *out, size_t *out_n,
                       const uint8_t key[MCX_KEMAC_KEY_SIZE],
                       struct mcx_bytes in) MCX_MUST_USE;
mcx_err mcx_kemac_unwrap(uint8_t *out, size_t *out_n,
                         const uint8_t key[MCX_KEMAC_KEY_SIZE],
                         struct mcx_bytes in) MCX_MUST_USE;

/* ---- whom.c ------------------------------------------------------------ */

/* One end of a message: its identity, KMS and the UIDs it may have in the
 * key period of T.  uid[0] is that of the period; uid[1] that of the
 * neighbour, when T lies within the live window of the boundary. */
struct mcx_end_id {
    uint8_t b[MCX_ID_MAX];
    size_t n; /* MCX_UID_SIZE, but for monthly tel URIs */
};
struct mcx_end {
    const char *uri;
    struct mcx_kms_info kms;
    struct mcx_kms_pub *pub; /* a reference */
    uint64_t no[2];
    struct mcx_end_id uid[2];
    size_t n;
};
static inline struct mcx_bytes
mcx_end_id(const struct mcx_end *end, size_t i)
{
    return mcx_bytes(end->uid[i].b, end->uid[i].n);
}
/* Fills no, uid and n from uri and kms.  'neighbour' allows uid[1].
 * MCX_E_ARG: T lies before the first period. */
mcx_err mcx_end_uids(struct mcx_end *end, int64_t t_ms,
                     bool neighbour) MCX_MUST_USE;
/* Fills 'end' of its uri for signing at 't_ms' and takes our key of it; both
 * references are the caller's, whatever is returned.  MCX_E_NO_IDENTITY,
 * MCX_E_NO_PERIOD, MCX_E_EXPIRED, MCX_E_ARG. */
mcx_err mcx_end_signer(struct mcx_end *end, struct mcx_user_key **key,
                       struct mcx_ring *ring, int64_t t_ms,
                       struct mcx_why *why) MCX_MUST_USE;
/* Did 'end' sign 'covered' in one of its periods?  Offsets of a refusal count
 * from 'sign_at', where the signature's octets begin.  '*which' (NULL
 * allowed) is the period that did. */
mcx_err mcx_end_verify(const struct mcx_end *end, struct mcx_bytes covered,
                       struct mcx_bytes sign, size_t sign_at, size_t *which,
                       struct mcx_why *why) MCX_MUST_USE;
/* What verifying found, 'err' with '*found', as a refusal of the message. */
mcx_err mcx_end_refuse(mcx_err err, const struct mcx_why *found,
                       size_t sign_at, struct mcx_why *why) MCX_MUST_USE;
/* Is the certificate good at 't_ms'? */
bool mcx_kms_info_valid(const struct mcx_kms_info *kms, int64_t t_ms);

#endif /* MCX_CORE_MIKEY_INNER_H */
