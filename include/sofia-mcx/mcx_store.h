/* mcx_store.h -- the store file: keys, replay entries and the audit log.
 *
 * What module store keeps, for those who look at it from outside: mcx-keys.
 * Not installed; whoever includes it links libmcx-store.la.
 *
 * A store is one SQLite file in WAL mode (with FILE-wal and FILE-shm beside
 * it), made with permissions 0600.  Any number of processes may have it open.
 * All values are sealed (mcx_seal()) under keys drawn for the store, which lie
 * in it wrapped under the key-encryption key (KEK).  In clear are the version,
 * row numbers, sizes, and keyed hashes by which rows are found; with
 * 'clear_ids' also kind, key ID, state and its time.
 *
 * Threads: one at a time. */
#ifndef MCX_STORE_H
#define MCX_STORE_H

#include <sofia-mcx/mcx_module.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MCX_STORE_VERSION = 2,
    MCX_STORE_WRAP_MAX = 512,
    MCX_STORE_BUSY_MS = 5000,      /* how long a writer waits for another */
    MCX_STORE_STAGED_MS = 300000,  /* a staged key older than that is not
                                      brought back */
    MCX_STORE_SCRYPT_LOG2_N = 15,
    MCX_STORE_SCRYPT_LOG2_MAX = 20,
    MCX_STORE_LOG_ENTRIES = 20000, /* rows of the audit log before they move
                                      into a file, and how many files */
    MCX_STORE_LOG_FILES = 50
};

/* A key-encryption key that stays in a secure element: feature "keys.kek".
 * 'out' takes MCX_STORE_WRAP_MAX octets.  unwrap(): MCX_E_AUTH when 'in' was
 * not wrapped by this key. */
struct mcx_store_kek {
    size_t size; /* of this struct */
    void *ctx;
    mcx_err (*wrap)(void *ctx, struct mcx_bytes in, uint8_t *out, size_t *n);
    mcx_err (*unwrap)(void *ctx, struct mcx_bytes in, uint8_t *out,
                      size_t *n);
};

struct mcx_store_config {
    const struct mcx_env *env;
    const char *path;
    /* One of the three. */
    const char *key_file;        /* 32 octets, or 64 hexadecimal digits */
    const char *passphrase_file; /* its text without the last line feed */
    const struct mcx_store_kek *kek;
    const char *by;     /* who we are, in the log: "host", "mcx-keys" */
    const char *vfs;    /* SQLite's; NULL: the default one */
    unsigned scrypt_log2_n; /* of a store that is made; 0: the default */
    bool create;        /* make it when it is not there */
    bool clear_ids;     /* kinds, IDs, states and times of new rows in clear */
    bool no_log;
    /* Nobody else has it open: for mcx_store_rekey(); MCX_E_BUSY otherwise. */
    bool exclusive;
    unsigned log_entries; /* 0: no rotation but by mcx_store_log_rotate()  */
    unsigned log_files;   /* files of the audit log; the oldest are deleted */
};

struct mcx_store_db;
/* Opens or makes a store.  'text' says what is wrong.  The key is tried on a
 * connection that cannot write: with a wrong one nothing changes.
 * MCX_E_AUTH: wrong key, or the store's head was changed; MCX_E_UNSUPPORTED:
 * another version; MCX_E_CONFIG: not this sort of key, key file open to
 * others or another user's; MCX_E_BUSY, MCX_E_IO, MCX_E_NOMEM. */
MCX_API mcx_err mcx_store_open(struct mcx_store_db **out,
                               const struct mcx_store_config *config,
                               struct mcx_text *text) MCX_MUST_USE;
/* Writes everything to the file, empties FILE-wal, and closes; NULL allowed.*/
MCX_API void mcx_store_close(struct mcx_store_db *db);

/* Are the rows those that were written, all of them and no others?
 * MCX_E_AUTH: somebody without the key took some out, put some in, or put back
 * older ones; 'text' says which.  A host that finds this when it starts brings
 * no key back and takes every message so far as seen. */
MCX_API mcx_err mcx_store_check(struct mcx_store_db *db,
                                struct mcx_text *text) MCX_MUST_USE;
/* Puts the store under the key-encryption key of 'to' (its 'key_file',
 * 'passphrase_file' or 'kek', and 'scrypt_log2_n'; nothing else is looked at)
 * and draws new keys for the store: what somebody has of the old key, with
 * whatever copy of the file, does not open the new one.  One transaction: all
 * or nothing, whenever the power goes.  The audit log goes on, and heads that
 * were noted stay good.  'db' was opened 'exclusive'.  MCX_E_AUTH: as for
 * mcx_store_check(), nothing was changed; MCX_E_CONFIG, MCX_E_STATE,
 * MCX_E_IO. */
MCX_API mcx_err mcx_store_rekey(struct mcx_store_db *db,
                                const struct mcx_store_config *to,
                                struct mcx_text *text) MCX_MUST_USE;

/* ---- keys -------------------------------------------------------------- */

/* One row, without octets. */
struct mcx_store_key {
    int64_t row;
    struct mcx_key_info info; /* 'wipe_mono_ms' is 0 */
    int64_t wipe_unix_ms;     /* retired: when the octets go */
};
/* Which rows; zero: all.  Both 'impu' and 'mc_id' may be NULL. */
struct mcx_store_find {
    bool by_id;
    unsigned kind;
    uint32_t key_id;
    const char *impu, *mc_id;
};
/* Calls 'each' for every row found, oldest first; 'bad' (NULL allowed) counts
 * rows that do not open. */
MCX_API mcx_err mcx_store_each(struct mcx_store_db *db,
                               const struct mcx_store_find *find,
                               void (*each)(void *arg,
                                            const struct mcx_store_key *key),
                               void *arg, size_t *bad) MCX_MUST_USE;
/* Takes out the rows found, for good: MCX_END_REVOKED (the key is not taken
 * again) or MCX_END_DROPPED.  A host that has the store open wipes its copies
 * within a second or two.  '*n': how many. */
MCX_API mcx_err mcx_store_end(struct mcx_store_db *db,
                              const struct mcx_store_find *find,
                              enum mcx_key_end end, size_t *n) MCX_MUST_USE;

/* Puts in a key that comes by hand (mcx_hand_key()), active and bound to
 * 'owner', and wipes the caller's octets.  A host that has the store open
 * takes it up within a second or two.  MCX_E_POLICY: there is one of its kind,
 * ID and owner already; MCX_E_EXPIRED: its time is past, or it was revoked;
 * MCX_E_ARG: not a kind that comes by hand; MCX_E_IO, MCX_E_NOMEM. */
MCX_API mcx_err mcx_store_add(struct mcx_store_db *db, struct mcx_key_msg *km,
                              const struct mcx_key_owner *owner)
    MCX_MUST_USE;

/* ---- audit log --------------------------------------------------------- */

/* X(name, "word") */
#define MCX_STORE_EVENTS(X)                                                   \
    X(CREATED, "store-created") X(OPENED, "store-opened")                     \
    X(STAGED, "key-staged") X(ACTIVE, "key-active")                           \
    X(RETIRED, "key-retired") X(WIPED, "key-wiped")                           \
    X(BAD_ROW, "bad-rows") X(EXPORTED, "log-exported")                        \
    X(CLOSED, "store-closed") X(TAMPERED, "store-tampered")                   \
    X(REKEYED, "store-rekeyed") X(ROTATED, "log-rotated")
enum mcx_store_what {
#define MCX_X(name, word) MCX_STORE_##name,
    MCX_STORE_EVENTS(MCX_X)
#undef MCX_X
    MCX_STORE_EVENT_COUNT
};
MCX_API const char *mcx_store_event_word(unsigned what);

/* No key octets, nor any function of them. */
struct mcx_store_event {
    uint64_t seq; /* from 1, without a gap */
    int64_t unix_ms;
    unsigned what;  /* enum mcx_store_what */
    unsigned kind;
    uint32_t key_id;
    enum mcx_key_end end;
    uint32_t count; /* opened: keys brought back; bad-rows: how many;
                       tampered: keys let go; rekeyed: keys; rotated: files */
    bool ours;
    char by[32];
    char initiator[MCX_URI_MAX], responder[MCX_URI_MAX];
    char impu[MCX_URI_MAX], mc_id[MCX_URI_MAX];
};
/* Calls 'each' for the entries after 'after', in order.  MCX_E_AUTH: one does
 * not open. */
MCX_API mcx_err mcx_store_log_each(struct mcx_store_db *db, uint64_t after,
                                   void (*each)(void *arg,
                                       const struct mcx_store_event *event),
                                   void *arg) MCX_MUST_USE;
/* Adds an entry. */
MCX_API mcx_err mcx_store_log_add(struct mcx_store_db *db,
                                  enum mcx_store_what what,
                                  uint32_t count) MCX_MUST_USE;

/* Moves the entries that there are into a file beside the store,
 * FILE.log-<number of the first>: with 'now' false only when there are
 * 'log_entries' of them.  Beyond 'log_files' files the oldest is deleted, and
 * the signed head remembers where the log begins now.  MCX_E_AUTH: the end of
 * the log is gone, nothing was moved; MCX_E_IO. */
MCX_API mcx_err mcx_store_log_rotate(struct mcx_store_db *db,
                                     bool now) MCX_MUST_USE;

/* Where the chain ends. */
struct mcx_store_head {
    uint64_t seq;
    uint8_t mac[MCX_SEAL_MAC_SIZE];
};
/* Recomputes the whole chain through all files and rows, opens every entry,
 * and compares with the signed head.  'anchor' (NULL: none) is a head noted
 * before, outside of the store: with it a store that was put back whole is
 * found too.  MCX_E_AUTH, with 'text' naming the first entry that is wrong;
 * '*head' is then undefined. */
MCX_API mcx_err mcx_store_log_verify(struct mcx_store_db *db,
                                     const struct mcx_store_head *anchor,
                                     struct mcx_store_head *head,
                                     struct mcx_text *text) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_STORE_H */
