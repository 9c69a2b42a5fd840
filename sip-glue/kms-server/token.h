/* token.h -- bearer tokens: JSON Web Tokens (RFC 7519) in the compact form of
 * RFC 7515, signed with RS256 or ES256.
 *
 * The algorithm follows from the key that the KMS was given, never from the
 * token: a P-256 key takes ES256 and nothing else, an RSA key RS256.  So
 * "none", and HS256 keyed with a public key, have nothing to hold on to.
 * The server checks tokens here; mcx-kms token makes them, for a KMS without
 * an identity management server beside it. */
#ifndef MCX_KMS_TOKEN_H
#define MCX_KMS_TOKEN_H

#include <sofia-mcx/mcx.h>

#define KMS_SCOPE "3gpp:mc:ptt_key_management_service"

enum {
    KMS_TOKEN_MAX = 8192,
    KMS_TOKEN_KEYS_MAX = 16,
    KMS_TOKEN_LEEWAY_S = 5 /* the clocks of issuer and KMS, apart */
};

struct kms_token_keys;
/* One public key, PEM ("BEGIN PUBLIC KEY").  MCX_E_CONFIG with 'text'. */
mcx_err kms_token_keys_pem(struct kms_token_keys **out, struct mcx_bytes pem,
                           const char *name,
                           struct mcx_text *text) MCX_MUST_USE;
/* A key set of RFC 7517; keys of other types or uses are passed over.
 * MCX_E_CONFIG: none is left, or one is broken. */
mcx_err kms_token_keys_jwks(struct kms_token_keys **out,
                            struct mcx_bytes json, const char *name,
                            struct mcx_text *text) MCX_MUST_USE;
void kms_token_keys_free(struct kms_token_keys *keys); /* NULL allowed */

struct kms_token_rule {
    const char *issuer, *audience, *scope;
};
/* Judges 'token' at 'now_s'.  NULL: good, and 'subject' is who it was issued
 * to.  Else static words for our log: "signature", "expired"; or, which says
 * nothing about the token, KMS_TOKEN_NOT_NOW: no memory. */
#define KMS_TOKEN_NOT_NOW "not now"
const char *kms_token_check(char subject[MCX_URI_MAX],
                            const struct kms_token_keys *keys,
                            const struct kms_token_rule *rule,
                            struct mcx_bytes token, int64_t now_s);

/* Makes a P-256 key pair, both PEM, malloc'ed; wipe and free 'secret' with
 * mcx_kms_text_free(). */
mcx_err kms_token_new_key(char **secret, size_t *secret_n, char **public_,
                          size_t *public_n) MCX_MUST_USE;
struct kms_token_claims {
    const char *issuer, *audience, *scope, *subject, *kid; /* kid or NULL */
    int64_t issued_s, expires_s;
};
/* A token under the private key 'pem' (P-256 or RSA), malloc'ed, to be freed
 * with mcx_kms_text_free(). */
mcx_err kms_token_issue(char **out, size_t *n, struct mcx_bytes pem,
                        const struct kms_token_claims *claims,
                        struct mcx_text *text) MCX_MUST_USE;

#endif /* MCX_KMS_TOKEN_H */
