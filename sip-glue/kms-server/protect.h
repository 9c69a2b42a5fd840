/* protect.h -- transport and integrity keys of users (TrK, InK), as the KMS
 * uses them: which key signed a request, whether its answer is signed and
 * wrapped, and how new keys take the place of old ones (TS 33.180 5.3.3,
 * annex D).  Between answer.c and the store; mcx-kms user calls it, too. */
#ifndef MCX_KMS_PROTECT_H
#define MCX_KMS_PROTECT_H

#include <sofia-mcx/mcx.h>
#include "store.h"

/* What a request must be at least.  Whoever has keys must sign in any case:
 * nobody may get less by leaving the signature out. */
enum kms_security { KMS_TLS, KMS_SIGNED, KMS_WRAPPED };

/* SECRET: a user's keys.  'next' (names "" : none) is offered with every
 * signed KmsInit and KmsKeyProv until a request comes under it. */
struct kms_user_keys {
    struct mcx_tkeys now, next;
    uint64_t serial; /* of the store */
};
MCX_SECRET_TYPE(kms_user_keys);
/* MCX_E_NO_KEY: the user has none. */
mcx_err kms_user_keys_read(struct kms_user_keys *out, struct kms_store *store,
                           const char *uri) MCX_MUST_USE;
/* MCX_E_STATE: somebody else changed them since. */
mcx_err kms_user_keys_write(const struct kms_user_keys *keys,
                            struct kms_store *store, const char *uri,
                            const char *detail) MCX_MUST_USE;

/* What belongs to one request. */
struct kms_protect;
/* Judges the signature of the request '*body', if it has one, and puts in its
 * place what was signed, which lives as long as '*out'.  '*out' NULL: not
 * signed, and it need not be.  MCX_E_POLICY, MCX_E_AUTH, MCX_E_NO_KEY: 'text'
 * says what is wrong with the signature; MCX_E_MALFORMED, MCX_E_TOOBIG. */
mcx_err kms_protect_open(struct kms_protect **out, struct kms_store *store,
                         const char *subject, enum kms_security security,
                         struct mcx_bytes *body, const struct mcx_env *env,
                         struct mcx_text *text) MCX_MUST_USE;
/* To be called when the rest of the request is good: if it was under new
 * keys, they are the user's from now on.  NULL allowed, as below. */
mcx_err kms_protect_settle(struct kms_protect *p, struct kms_store *store,
                           const char *subject,
                           const char *detail) MCX_MUST_USE;
/* Replaces an answer by a signed one with its keys wrapped. */
mcx_err kms_protect_answer(struct kms_protect *p, char **xml, size_t *n,
                           enum mcx_kms_form form,
                           const struct mcx_env *env) MCX_MUST_USE;
void kms_protect_free(struct kms_protect *p);

#endif /* MCX_KMS_PROTECT_H */
