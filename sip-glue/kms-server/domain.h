/* domain.h -- what the folder of a KMS holds: its configuration and its
 * master secrets, in clear or sealed.
 *
 *   kms.conf        name, key periods, domains
 *   master.sealed   master secrets under a key file or a passphrase; or
 *   master.secret   the same in clear
 *   external/       certificates of other KMSs, kms-<URI>.xml
 *
 * Master secrets come in generations: each one issues the periods from its
 * first one on, until the next generation's begins.  mcx-kms and the server
 * open a folder here; nobody else reads these files. */
#ifndef MCX_KMS_DOMAIN_H
#define MCX_KMS_DOMAIN_H

#include <sofia-mcx/mcx.h>

enum {
    KMS_PATH_MAX = 4096,
    KMS_GENERATIONS_MAX = 16,
    KMS_EXTERNAL_MAX = 256, /* certificates of other KMSs */
    KMS_SALT_SIZE = 16
};

/* How master secrets are protected at rest; exactly one is set. */
struct kms_lock {
    const char *key_file;        /* 64 hexadecimal digits */
    const char *passphrase_file; /* its first line        */
    bool plain;
};

struct kms_generation {
    uint64_t from_no; /* first key period */
    struct mcx_kms_master *master;
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
};

struct kms_domain {
    struct mcx_kms_info info; /* of our own certificate, without validity */
    size_t n;                 /* generations, first periods rising */
    struct kms_generation gen[KMS_GENERATIONS_MAX];
    struct mcx_seal_key *audit; /* guarded: key of the audit chain */
    /* What the file is sealed with, for writing it again. */
    struct mcx_seal_key *seal; /* guarded; NULL: in clear */
    bool by_passphrase;
    uint8_t salt[KMS_SALT_SIZE];
};

/* A new domain with random master secrets for 'info'. */
mcx_err kms_domain_new(struct kms_domain **out,
                       const struct mcx_kms_info *info,
                       const struct mcx_env *env) MCX_MUST_USE;
/* Reads the configuration of 'dir' alone.  MCX_E_CONFIG. */
mcx_err kms_conf_read(struct mcx_kms_info *info, const char *dir,
                      const struct mcx_env *env,
                      struct mcx_text *text) MCX_MUST_USE;
/* Reads 'dir'.  'text' says what is wrong.  MCX_E_CONFIG: a file is absent or
 * not what was expected, or 'lock' is not what the secrets are under;
 * MCX_E_AUTH: wrong key or passphrase, or the file was changed. */
mcx_err kms_domain_open(struct kms_domain **out, const char *dir,
                        const struct kms_lock *lock,
                        const struct mcx_env *env,
                        struct mcx_text *text) MCX_MUST_USE;
/* The same domain, its master secrets read again with the key at hand. */
mcx_err kms_domain_again(struct kms_domain **out,
                         const struct kms_domain *d, const char *dir,
                         const struct mcx_env *env,
                         struct mcx_text *text) MCX_MUST_USE;
void kms_domain_free(struct kms_domain *d); /* wipes; NULL allowed */

/* Chooses what the secrets are to be sealed with.  A key file that is not
 * there is made (permissions 0600). */
mcx_err kms_domain_lock(struct kms_domain *d, const struct kms_lock *lock,
                        const struct mcx_env *env,
                        struct mcx_text *text) MCX_MUST_USE;
/* Writes the configuration, or the master secrets, into 'dir'. */
mcx_err kms_domain_write_conf(const struct kms_domain *d, const char *dir,
                              const struct mcx_env *env,
                              struct mcx_text *text) MCX_MUST_USE;
mcx_err kms_domain_write_master(const struct kms_domain *d, const char *dir,
                                const struct mcx_env *env,
                                struct mcx_text *text) MCX_MUST_USE;

/* Seals the master secrets of an open domain under another key or passphrase.
 * At every moment the folder opens, with the old key or with the new one; a
 * file with the secrets in clear is written over and removed when the sealed
 * one has been read back. */
mcx_err kms_domain_reseal(struct kms_domain *d, const char *dir,
                          const struct kms_lock *lock,
                          const struct mcx_env *env,
                          struct mcx_text *text) MCX_MUST_USE;

/* A further generation of random master secrets from period 'from_no' on.
 * MCX_E_ARG: not after the last one's first period; MCX_E_TOOBIG. */
mcx_err kms_domain_rotate(struct kms_domain *d, uint64_t from_no,
                          const struct mcx_env *env) MCX_MUST_USE;
/* The generation that issues period 'no'; never NULL. */
const struct kms_generation *kms_domain_at(const struct kms_domain *d,
                                           uint64_t no);
/* The certificate of a generation, with its validity. */
void kms_domain_cert(struct mcx_kms_cert *out, const struct kms_domain *d,
                     const struct kms_generation *gen);
/* The number of the period that 'unix_ms' lies in; MCX_E_ARG. */
mcx_err kms_domain_period(uint64_t *no, const struct kms_domain *d,
                          int64_t unix_ms) MCX_MUST_USE;
/* Makes the keys of set->user_uri for period 'no'.  MCX_E_ARG: this KMS has no
 * identifier for such a user. */
mcx_err kms_domain_issue(struct mcx_kms_keyset *set,
                         const struct kms_domain *d, uint64_t no,
                         const struct mcx_env *env) MCX_MUST_USE;

/* "DIR/NAME"; false: too long. */
bool kms_path(char out[KMS_PATH_MAX], const char *dir, const char *name);
/* Percent-encodes all but letters, digits, '-', '_' and '.' (not first), so
 * that a URI makes one harmless path segment. */
void kms_escape(char *out, size_t room, const char *uri);
/* May it stand in an answer, the log and a table: UTF-8, no space, no control
 * character (C1 neither, for terminals), nothing that XML does not allow? */
bool kms_text_ok(const char *text);
/* Undoes percent-encoding of 'n' octets; false when an escape is broken, the
 * result is not kms_text_ok(), is empty, or does not fit. */
bool kms_unescape(char *out, size_t room, const char *from, size_t n);

#endif /* MCX_KMS_DOMAIN_H */
