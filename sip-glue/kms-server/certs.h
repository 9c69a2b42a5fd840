/* certs.h -- certificates of other KMSs, which our users get from the cache
 * (KMS CertCache and KMS Cert of TS 33.180 annex D.2).  They lie in the folder
 * external/ of the domain, each as a KmsInit in a file kms-<URI>.xml, which is
 * the name that mcx-kms issue gives them. */
#ifndef MCX_KMS_CERTS_H
#define MCX_KMS_CERTS_H

#include "domain.h"

struct kms_certs {
    uint64_t num; /* CacheNum: grows when a file changes, comes or goes */
    size_t n;
    struct mcx_kms_cert *cert;
};

/* Reads the folder of domain 'dir'; a file that is wrong is logged and left
 * out.  'num': kms_certs_num(), asked before anything was read, so that what
 * changes meanwhile is seen the next time.  MCX_E_NOMEM. */
mcx_err kms_certs_load(struct kms_certs **out, const char *dir, uint64_t num,
                       const struct mcx_env *env) MCX_MUST_USE;
void kms_certs_free(struct kms_certs *certs); /* NULL allowed */
/* The newest change of what a server reads from 'dir', milliseconds since
 * 1970: master secrets and certificates. */
uint64_t kms_certs_num(const char *dir, const struct mcx_env *env);
const struct mcx_kms_cert *kms_certs_find(const struct kms_certs *certs,
                                          const char *uri);

#endif /* MCX_KMS_CERTS_H */
