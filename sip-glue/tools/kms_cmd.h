/* kms_cmd.h -- the commands of mcx-kms, and what they share.  Each returns an
 * exit status and has said on standard error what was wrong. */
#ifndef MCX_TOOLS_KMS_CMD_H
#define MCX_TOOLS_KMS_CMD_H

#include "../kms-server/domain.h"
#include "../kms-server/protect.h"
#include "../kms-server/store.h"
#include "../kms-server/token.h"
#include "cli.h"

struct kms_args {
    const char *dir, *sub; /* sub: add, keys, rekey, revoke or list */
    char **rest;
    size_t n_rest;
    struct kms_lock lock, new_lock;
    const char *kms_uri, *user, *out, *store, *issuer, *audience, *scope;
    const char *head, *listen, *tls_cert, *tls_key, *token_key, *jwks, *name;
    const char *trk, *security, *wrap_form;
    const char *proxy_ca;
    uint64_t period, offset, periods, lifetime, ahead, back, fresh, threads;
    uint64_t connections, per_address, timeout;
    bool at_given, enrol, json, monthly_tel;
    int64_t at_ms;
    size_t n_domains;
    const char *domain[MCX_GROUPS_MAX];
};

int kms_serve(struct kms_args *a);
int kms_user(struct kms_args *a);
int kms_rotate(struct kms_args *a);
int kms_reseal(struct kms_args *a);
int kms_status(struct kms_args *a);
int kms_audit(struct kms_args *a);
int kms_token(struct kms_args *a);

/* Says 'text', or the words of 'err'; a mistake of configuration is
 * CLI_USAGE. */
int kms_failed(mcx_err err, const struct mcx_text *text);
int kms_open_domain(struct kms_domain **out, const struct kms_args *a);
int kms_open_store(struct kms_store **out, const struct kms_args *a,
                   const struct kms_domain *d);

#endif /* MCX_TOOLS_KMS_CMD_H */
