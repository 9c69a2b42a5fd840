/* store.h -- users, issued periods and the audit log of a KMS, in a database.
 *
 * Everything that changes something is one audit entry, and the entry and its
 * effect are one transaction: no key leaves that is not in the log, and the
 * log has no issue that did not count.  Entries form a chain: each carries
 * HMAC-SHA-256, under a key that lies sealed with the master secrets, over
 * itself and the value before it.  Cutting off the end is the one change that
 * the chain alone does not show; whoever keeps the newest value elsewhere can
 * tell that, too (kms_store_verify).
 *
 * The server appends from many threads; a writer thread puts what has queued
 * up into one transaction, so a slow disk costs one wait for all of them.
 * Behind it stands SQLite (one file, several processes of one machine) or
 * PostgreSQL (several servers).  The only secrets in it are users' transport
 * and integrity keys, each user's sealed under a key made of the audit key. */
#ifndef MCX_KMS_STORE_H
#define MCX_KMS_STORE_H

#include <sofia-mcx/mcx.h>

enum {
    KMS_DETAIL_MAX = 160,
    KMS_WHAT_MAX = 16,
    KMS_KEYS_MAX = 2048 /* octets of a user's transport keys, sealed */
};

enum kms_user_state { KMS_USER_NONE, KMS_USER_ACTIVE, KMS_USER_REVOKED };

/* What entries are about; the words are what the log holds. */
#define KMS_ADD "user-add"
#define KMS_REVOKE "user-revoke"
#define KMS_ISSUE "issue"
#define KMS_ROTATE "rotate"
#define KMS_KEYS "user-keys"
#define KMS_RESEAL "re-seal"

struct kms_entry {
    uint64_t seq; /* from 1 */
    int64_t unix_ms;
    char what[KMS_WHAT_MAX];
    char user[MCX_URI_MAX]; /* "": about no user */
    uint64_t period_no;
    char detail[KMS_DETAIL_MAX]; /* who asked, from where */
    uint8_t mac[MCX_SEAL_MAC_SIZE];
};

struct kms_counts {
    uint64_t users, revoked, issued, entries;
    uint8_t mac[MCX_SEAL_MAC_SIZE]; /* of the newest entry */
};

struct kms_store;
/* 'where': "postgresql://..." or the path of an SQLite file, made (0600) when
 * it is missing.  'enrol': a user not known becomes one with the first issue.
 * MCX_E_CONFIG or MCX_E_IO, and 'text'. */
mcx_err kms_store_open(struct kms_store **out, const char *where, bool enrol,
                       const struct mcx_seal_key *audit,
                       const struct mcx_env *env,
                       struct mcx_text *text) MCX_MUST_USE;
void kms_store_close(struct kms_store *store); /* NULL allowed */

mcx_err kms_store_user(enum kms_user_state *out, struct kms_store *store,
                       const char *uri) MCX_MUST_USE;
/* Does what 'what' says and logs it; returns when both are on the disk.
 * MCX_E_NO_IDENTITY: no such user, or KMS_ADD of one that is there;
 * MCX_E_EXPIRED: the user is revoked; MCX_E_BUSY: the database is locked;
 * MCX_E_IO. */
mcx_err kms_store_append(struct kms_store *store, const char *what,
                         const char *user, uint64_t period_no,
                         const char *detail) MCX_MUST_USE;
/* SECRET: what kms_store_put_keys() was given last for 'uri', malloc'ed,
 * wiped with mcx_kms_text_free(), and how often it was called.  MCX_E_NO_KEY
 * (and '*serial' 0): never; MCX_E_AUTH: it does not open. */
mcx_err kms_store_keys(char **out, size_t *n, uint64_t *serial,
                       struct kms_store *store, const char *uri) MCX_MUST_USE;
/* Seals and stores 'keys' of an active user in place of those with number
 * 'serial', and logs that it did.  MCX_E_STATE: others have come since; what
 * kms_store_append() returns. */
mcx_err kms_store_put_keys(struct kms_store *store, const char *uri,
                           uint64_t serial, struct mcx_bytes keys,
                           const char *detail) MCX_MUST_USE;
mcx_err kms_store_count(struct kms_counts *out,
                        struct kms_store *store) MCX_MUST_USE;
/* Every user in the order of their names. */
mcx_err kms_store_users(struct kms_store *store,
                        void (*each)(void *arg, const char *uri,
                                     enum kms_user_state state),
                        void *arg) MCX_MUST_USE;
/* Walks the whole log and judges the chain, and then what the tables say of
 * users by it.  '*counts' is what was found.  MCX_E_AUTH: 'text' names the
 * entry, or the user, that does not fit.  'anchor' NULL or the
 * value of an entry that somebody kept: MCX_E_AUTH when no entry has it.
 * 'each' (NULL allowed) gets every entry that fits. */
mcx_err kms_store_verify(struct kms_store *store, struct kms_counts *counts,
                         const uint8_t *anchor,
                         void (*each)(void *arg, const struct kms_entry *e),
                         void *arg, struct mcx_text *text) MCX_MUST_USE;

/* ---- what a database has to do ------------------------------------------ */

/* One connection; one thread at a time.  Between begin and commit everything
 * is one transaction that excludes other writers.  Errors: MCX_E_BUSY for a
 * lock that did not come, else MCX_E_IO; why is logged there. */
struct kms_db;
struct kms_db_ops {
    mcx_err (*open)(struct kms_db **out, const char *where,
                    const struct mcx_env *env, struct mcx_text *text);
    void (*close)(struct kms_db *db);
    mcx_err (*begin)(struct kms_db *db);
    mcx_err (*commit)(struct kms_db *db);
    void (*rollback)(struct kms_db *db);
    /* The newest entry's number and value; 0 and zeros: none. */
    mcx_err (*head)(struct kms_db *db, uint64_t *seq,
                    uint8_t mac[MCX_SEAL_MAC_SIZE]);
    mcx_err (*log)(struct kms_db *db, const struct kms_entry *e);
    mcx_err (*user)(struct kms_db *db, const char *uri,
                    enum kms_user_state *out);
    mcx_err (*user_add)(struct kms_db *db, const char *uri, int64_t unix_ms);
    mcx_err (*user_revoke)(struct kms_db *db, const char *uri,
                           int64_t unix_ms);
    mcx_err (*issued)(struct kms_db *db, const char *uri, uint64_t period_no,
                      int64_t unix_ms);
    /* A user's sealed keys; '*n' and '*serial' 0: there are none. */
    mcx_err (*keys)(struct kms_db *db, const char *uri,
                    uint8_t out[KMS_KEYS_MAX], size_t *n, uint64_t *serial);
    mcx_err (*put_keys)(struct kms_db *db, const char *uri, uint64_t serial,
                        struct mcx_bytes sealed);
    mcx_err (*count)(struct kms_db *db, struct kms_counts *out);
    mcx_err (*users)(struct kms_db *db,
                     void (*each)(void *arg, const char *uri,
                                  enum kms_user_state state),
                     void *arg);
    /* Somebody of whom the tables say something else than the log: added or
     * not, revoked or not, how many keys; "": nobody. */
    mcx_err (*odd)(struct kms_db *db, char uri[MCX_URI_MAX]);
    mcx_err (*entries)(struct kms_db *db,
                       mcx_err (*each)(void *arg, const struct kms_entry *e),
                       void *arg);
};
extern const struct kms_db_ops kms_db_sqlite, kms_db_pg;

#endif /* MCX_KMS_STORE_H */
