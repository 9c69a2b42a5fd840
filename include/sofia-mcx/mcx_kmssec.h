/* mcx_kmssec.h -- signed KMS messages and wrapped keys (TS 33.180 5.3.3, annex
 * D): the security that does not end where TLS does.
 *
 * A user and its KMS may share a transport key (TrK) and an integrity key
 * (InK).  Messages are signed with the InK, or with the TrK when there is no
 * InK; keys of users travel wrapped with the TrK.  Everything here takes a
 * document and makes another one of it, so that whoever reads and writes KMS
 * messages (mcx_kms.h) sees plain ones:
 *
 *   sending    KmsResponse -> mcx_kms_wrap() -> mcx_kms_sign() -> peer
 *   receiving  peer -> mcx_kms_verify() -> mcx_kms_unwrap() -> KmsResponse
 *
 * What mcx_kms_verify() gives out is made of the very octets that the
 * signature covers; nothing else of a received document can reach a reader.
 * xmlsec1 stands behind this header and nowhere else. */
#ifndef MCX_KMSSEC_H
#define MCX_KMSSEC_H

#include <sofia-mcx/mcx_keys.h>
#include <sofia-mcx/mcx_kms.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MCX_TKEY_ID_MAX = 128 };
/* One TrK or InK with its name; "" : there is none. */
struct mcx_tkey {
    struct mcx_kw_key key;
    char id[MCX_TKEY_ID_MAX];
};
MCX_SECRET_TYPE(mcx_tkey);
/* What a user and its KMS share. */
struct mcx_tkeys { struct mcx_tkey trk, ink; };
MCX_SECRET_TYPE(mcx_tkeys);

/* May this be the name of a key: letters, digits and ".-_@:/+=~", 1 to 127? */
MCX_API bool mcx_tkey_id_ok(const char *id);
/* The one that signs: InK if there is one, else TrK, else NULL. */
MCX_API const struct mcx_tkey *mcx_tkeys_signer(const struct mcx_tkeys *keys);

/* As lines "trk ID 64-HEX-DIGITS" and "ink ID 64-HEX-DIGITS"; the second may
 * be missing; empty lines and ones that begin with '#' say nothing.  This is
 * how the two are handed over when a user is set up.  MCX_E_CONFIG and
 * 'text'. */
MCX_API mcx_err mcx_tkeys_read(struct mcx_tkeys *out, struct mcx_bytes lines,
                               struct mcx_text *text) MCX_MUST_USE;
enum { MCX_TKEYS_TEXT_MAX = 2 * (MCX_TKEY_ID_MAX + 80) };
/* Writes them so, and a NUL; '*n' does not count it. */
MCX_API mcx_err mcx_tkeys_write(char out[MCX_TKEYS_TEXT_MAX], size_t *n,
                                const struct mcx_tkeys *keys) MCX_MUST_USE;
/* New random keys, with the names "trk.SERIAL.URI" and "ink.SERIAL.URI", of
 * which the end is cut off where they are too long. */
MCX_API mcx_err mcx_tkeys_new(struct mcx_tkeys *out, const char *user_uri,
                              uint64_t serial,
                              const struct mcx_env *env) MCX_MUST_USE;

/* Makes a SignedKmsRequest or SignedKmsResponse of 'plain', a KmsRequest or
 * KmsResponse of ours: HMAC-SHA-256 over the element, named by its Id, and
 * Signature-ID in it.  'name_trk': TrK-ID, too, which asks the KMS to wrap.
 * SECRET when 'plain' is: mcx_kms_text_free().  MCX_E_ARG: not such a
 * document, or no key. */
MCX_API mcx_err mcx_kms_sign(char **out, size_t *n, struct mcx_bytes plain,
                             const struct mcx_tkeys *keys,
                             bool name_trk) MCX_MUST_USE;

enum mcx_kms_signed_what { MCX_KMS_SIGNED_REQUEST, MCX_KMS_SIGNED_RESPONSE };
/* Is the document element a SignedKmsRequest or SignedKmsResponse that holds
 * a Signature?  Of a document that cannot be read: no. */
MCX_API bool mcx_kms_is_signed(struct mcx_bytes xml, size_t max);
/* The same, for who must not take "no memory" for "no".  MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_find_signature(bool *found, struct mcx_bytes xml,
                                       size_t max) MCX_MUST_USE;

struct mcx_kms_verifier {
    enum mcx_kms_signed_what what;
    /* Finds the key called 'id'; 'id' is "" when the document names none:
     * then the one to be tried.  NULL: there is none such. */
    const struct mcx_kw_key *(*key)(void *arg, const char *id);
    void *arg;
};
/* What a signed message says about keys; "" : nothing. */
struct mcx_kms_signed {
    char key_id[MCX_TKEY_ID_MAX]; /* the signature's */
    char trk_id[MCX_TKEY_ID_MAX];
};
/* Judges a SignedKmsRequest or SignedKmsResponse.  Taken is: the KMS element,
 * then one Signature, nothing else; one Reference, to the KMS element by its
 * Id, or to the element around both with the enveloped-signature transform;
 * inclusive C14N, SHA-256, HMAC-SHA-256 of full length; the Id occurs once.
 * '*out' is what the signature covers, in canonical form; SECRET, free with
 * mcx_kms_text_free().
 * MCX_E_POLICY: no signature, or another form than these; MCX_E_NO_KEY: no
 * key of that name; MCX_E_AUTH: the signature or the digest is wrong;
 * MCX_E_MALFORMED, MCX_E_TOOBIG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_verify(char **out, size_t *n, struct mcx_bytes xml,
                               const struct mcx_kms_verifier *verifier,
                               struct mcx_kms_signed *said,
                               struct mcx_text *text) MCX_MUST_USE;

/* How keys are wrapped (33.180 does not fit its own key sizes; see the digest
 * of annex D and DECISIONS). */
enum mcx_kms_form {
    MCX_KMS_FORM_PADDED, /* RFC 5649; the default                            */
    MCX_KMS_FORM_BARE,   /* RFC 3394; points without their leading 04        */
    MCX_KMS_FORM_NESTED  /* AES-256-GCM under a key that RFC 3394 wraps      */
};
/* Wraps RSK, SSK and PVT of every key set in 'plain', a KmsResponse of ours,
 * with 'trk', and puts 'fresh' (NULL: none) in as NewTransportKey and
 * NewIntegrityKey when it is a KmsInit or KmsKeyProv. */
MCX_API mcx_err mcx_kms_wrap(char **out, size_t *n, struct mcx_bytes plain,
                             const struct mcx_tkey *trk,
                             enum mcx_kms_form form,
                             const struct mcx_tkeys *fresh,
                             const struct mcx_env *env) MCX_MUST_USE;
/* Opens every wrapped key of a KmsResponse, in any of the forms; '*out' is
 * the document with keys in clear (SECRET, mcx_kms_text_free()).  New
 * transport and integrity keys go to 'fresh' (id "" : none came) and leave
 * the document.  'must': RSK and SSK in clear are refused.
 * MCX_E_AUTH: an integrity value is wrong; MCX_E_NO_KEY: wrapped with a key
 * of another name; MCX_E_POLICY: 'must'; MCX_E_UNSUPPORTED: another
 * algorithm; MCX_E_MALFORMED, MCX_E_TOOBIG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_unwrap(char **out, size_t *n, struct mcx_bytes plain,
                               const struct mcx_tkey *trk, bool must,
                               struct mcx_tkeys *fresh,
                               struct mcx_text *text) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_KMSSEC_H */
