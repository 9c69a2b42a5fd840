/* store.h -- what the files of module store share.
 *
 *   store_db.c    the file: opening, making, KEK, statements
 *   store_pack.c  keys, states, events as octets, and back
 *   store_add.c   a key is put in by hand
 *   store_row.c   rows of keys, of ended keys, of replay entries
 *   store_head.c  the sealed head: what the rows have to be
 *   store_log.c   the audit log
 *   store_segment.c  its older part, in files
 *   store_rekey.c another key-encryption key
 *   store.c       the host's side: writer thread, back-end, start and stop
 *   store_module.c  the descriptor
 *
 * All but store.c is used by mcx-keys too (mcx_store.h). */
#ifndef MODULE_STORE_H
#define MODULE_STORE_H

#include <sofia-mcx/mcx_store.h>
#include <sqlite3.h>

#define STORE_NAME "store"

/* TS 33.180 5.11: what is kept over a restart.  PCK, MKFC and MSCCK are of
 * one call or bearer and never reach the file. */
#define STORE_KINDS                                                           \
    (MCX_KIND_BIT(MCX_KIND_GMK) | MCX_KIND_BIT(MCX_KIND_CSK)                  \
     | MCX_KIND_BIT(MCX_KIND_SPK) | MCX_KIND_BIT(MCX_KIND_MUSIK))

enum {
    STORE_UID = 16,
    STORE_LOOK = 16,  /* of a keyed hash by which a row is found */
    STORE_BODY = 8192, /* room for a packed key or event */
    STORE_AAD = 96,
    STORE_REPLAY_MAX = 128 /* entries of one row */
};

/* The keys of one store, in guarded memory. */
struct store_keys {
    struct mcx_seal_key data, look, sum;
};
/* Those of one epoch of the audit log, likewise. */
struct store_log_keys {
    struct mcx_seal_key mac, seal;
};

/* See store_head.c.  Numbers of entries: 0 is before the first. */
struct store_head {
    uint64_t seq;         /* the last entry                          */
    uint64_t base_seq;    /* the one before the oldest that is kept  */
    uint64_t file_seq;    /* the last that lies in a file            */
    uint64_t broken_seq;  /* the head was made anew before this; 0   */
    uint64_t dropped_seq; /* first of the file last rotated out; 0   */
    uint64_t files;
    int64_t forgotten_ms; /* latest expiry of replay entries let go  */
    int64_t floor_ms;     /* every T up to this is taken as seen     */
    uint8_t mac[MCX_SEAL_MAC_SIZE], base_mac[MCX_SEAL_MAC_SIZE],
        file_mac[MCX_SEAL_MAC_SIZE], sum[MCX_SEAL_MAC_SIZE];
};

enum store_sql {
    SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_VERSION,
    SQL_KEY_NEXT, SQL_KEY_PUT, SQL_KEY_STATE, SQL_KEY_CUT, SQL_KEY_ALL,
    SQL_KEY_ID, SQL_KEY_IMPU, SQL_KEY_MC,
    SQL_TOMB_NEXT, SQL_TOMB_PUT, SQL_TOMB_HAS, SQL_TOMB_AFTER, SQL_TOMB_CUT,
    SQL_REPLAY_NEXT, SQL_REPLAY_PUT, SQL_REPLAY_ALL, SQL_REPLAY_CUT,
    SQL_LOG_PUT, SQL_LOG_AFTER, SQL_LOG_LAST, SQL_LOG_CUT_ALL,
    SQL_KEY_TAGS, SQL_KEY_TAGS_ALL, SQL_TOMB_TAG, SQL_TOMB_TAG_ALL,
    SQL_REPLAY_TAG, SQL_REPLAY_TAG_ALL, SQL_KEY_CUT_ALL, SQL_KEY_RESEAL,
    SQL_TOMB_RESEAL, SQL_TOMB_COUNT, SQL_REPLAY_RESEAL, SQL_EPOCH_ALL,
    SQL_EPOCH_PUT, SQL_EPOCH_RESEAL, SQL_META_GET, SQL_META_PUT,
    SQL_CHECKPOINT,
    SQL_COUNT
};

struct mcx_store_db {
    sqlite3 *sql;
    sqlite3_stmt *stmt[SQL_COUNT];
    const struct mcx_env *env;
    struct store_keys *keys; /* guarded */
    struct mcx_sealer *sealer;
    struct store_log_keys *log; /* guarded; of entries log_from to log_to */
    struct mcx_sealer *log_sealer;
    uint64_t log_from, log_to; /* the latter is not one of them */
    struct store_head head;    /* of this transaction */
    bool head_ok, head_dirty;
    char *path;
    uint8_t uid[STORE_UID];
    uint8_t *plain; /* guarded; STORE_BODY octets */
    uint8_t *out;   /* STORE_BODY + MCX_SEAL_MORE octets */
    char by[32];
    bool clear_ids, no_log, exclusive;
    unsigned log_entries, log_files;
    bool wiped;     /* octets left the file: FILE-wal is to be emptied */
};

/* ---- store_db.c -------------------------------------------------------- */

/* A statement, reset and without values. */
sqlite3_stmt *store_stmt(struct mcx_store_db *db, enum store_sql which);
/* Runs one that gives no rows. */
mcx_err store_run(struct mcx_store_db *db, sqlite3_stmt *stmt);
/* The error of an SQLite result that is neither row nor done. */
mcx_err store_error(struct mcx_store_db *db, int rc);
/* Begins to write, and reads the head. */
mcx_err store_begin(struct mcx_store_db *db);
/* Commits, with the head, when 'err' is MCX_OK; else, or when that fails,
 * rolls back. */
mcx_err store_end(struct mcx_store_db *db, mcx_err err);
mcx_err store_meta_get(struct mcx_store_db *db, const char *name,
                       uint8_t *out, size_t room, size_t *n);
mcx_err store_meta_put(struct mcx_store_db *db, const char *name,
                       struct mcx_bytes value);
/* Writes what is in FILE-wal into the file and empties it; false: somebody
 * reads, try again later. */
bool store_checkpoint(struct mcx_store_db *db);
/* Has another process changed the file since the last call? */
bool store_changed(struct mcx_store_db *db, int64_t *version);
/* What a sealed value is bound to: store, table, column, row, 'more'. */
struct mcx_bytes store_aad(struct mcx_store_db *db, uint8_t out[STORE_AAD],
                           char table, char column, int64_t row,
                           struct mcx_bytes more);
/* Seals 'n' octets of db->plain into db->out. */
mcx_err store_seal(struct mcx_store_db *db, struct mcx_bytes aad, size_t n);
/* Opens a column into db->plain.  MCX_E_AUTH. */
mcx_err store_unseal(struct mcx_store_db *db, struct mcx_bytes aad,
                     sqlite3_stmt *stmt, int column, size_t *n);

/* MCX_E_CONFIG unless one KEK is given. */
mcx_err store_one_source(const struct mcx_store_config *config,
                         const char *path, struct mcx_text *text);
/* Wraps db->keys under the KEK of 'config' and writes the result. */
mcx_err store_keys_put(struct mcx_store_db *db,
                       const struct mcx_store_config *config,
                       struct mcx_text *text);

/* ---- store_head.c; inside a transaction -------------------------------- */

mcx_err store_head_get(struct mcx_store_db *db); /* MCX_E_AUTH */
mcx_err store_head_put(struct mcx_store_db *db);
/* Puts a row into the sum, or takes it out: 'tags' are those of its sealed
 * columns, two for table 'k' and one for 't' and 'r'. */
mcx_err store_sum(struct mcx_store_db *db, char table, int64_t row,
                  const uint8_t *tags, size_t n, bool add);
/* Takes out what the row is now, and gives its tags.  MCX_E_NO_KEY: there is
 * no such row. */
mcx_err store_sum_cut(struct mcx_store_db *db, char table, int64_t row,
                      uint8_t tags[2 * MCX_SEAL_TAG_SIZE]);
/* The sum of what is there, and how many keys that is. */
mcx_err store_sum_all(struct mcx_store_db *db,
                      uint8_t sum[MCX_SEAL_MAC_SIZE], uint64_t *keys);
/* After a failed check: no keys, every T up to 'floor_ms' seen, a head that is
 * right again, and an entry in the log. */
mcx_err store_mend(struct mcx_store_db *db, int64_t floor_ms);

/* ---- store_pack.c ------------------------------------------------------ */

size_t store_pack_key(uint8_t out[STORE_BODY],
                      const struct mcx_key_record *rec);
bool store_unpack_key(struct mcx_key_record *rec, struct mcx_bytes in);
size_t store_pack_event(uint8_t out[STORE_BODY],
                        const struct mcx_store_event *event);
bool store_unpack_event(struct mcx_store_event *event, struct mcx_bytes in);
void store_put_u64(uint8_t out[8], uint64_t v);
uint64_t store_get_u64(const uint8_t in[8]);

/* ---- store_row.c; inside a transaction --------------------------------- */

mcx_err store_key_put(struct mcx_store_db *db,
                      const struct mcx_key_record *rec, int64_t *row);
/* MCX_E_EXPIRED when this key was revoked or expired. */
mcx_err store_key_known(struct mcx_store_db *db,
                        const struct mcx_key_record *rec);
mcx_err store_key_state(struct mcx_store_db *db, int64_t row,
                        enum mcx_key_state state, int64_t since_ms,
                        int64_t wipe_ms);
/* Takes the row out; with 'end' revoked or expired, or with 'tell', leaves a
 * note for the future and for other processes. */
mcx_err store_key_cut(struct mcx_store_db *db, int64_t row,
                      const struct mcx_key_info *info,
                      enum mcx_key_end end, bool tell);
/* Every row, oldest first, with its octets.  'rec' NULL: the row does not
 * open.  Stops when 'each' fails. */
mcx_err store_key_load(struct mcx_store_db *db,
                       const struct mcx_store_find *find,
                       mcx_err (*each)(void *arg, int64_t row,
                                       struct mcx_key_record *rec),
                       void *arg);

/* What may be known of a key. */
void store_info_of(struct mcx_key_info *info,
                   const struct mcx_key_record *rec);
/* Leaves a note that this key was put in, for hosts that run. */
mcx_err store_note_added(struct mcx_store_db *db,
                         const struct mcx_key_info *info);
/* Calls 'each' for the notes after '*seq' and moves it: keys that ended, with
 * kind, key_id, end, unix_ms, impu and mc_id; with end MCX_END_NONE a key that
 * was put in. */
mcx_err store_tombs(struct mcx_store_db *db, int64_t *seq,
                    void (*each)(void *arg, int64_t seq,
                                 const struct mcx_store_event *tomb),
                    void *arg);
mcx_err store_tomb_cut(struct mcx_store_db *db, int64_t seq);
mcx_err store_tomb_count(struct mcx_store_db *db, uint64_t *n);
/* The same row under the keys that 'db' has now; the sum is not touched. */
mcx_err store_key_reseal(struct mcx_store_db *db, int64_t row,
                         const struct mcx_key_record *rec);
mcx_err store_tomb_reseal(struct mcx_store_db *db, int64_t seq,
                          const struct mcx_store_event *tomb);

struct store_replay {
    uint8_t digest[32];
    int64_t expires_ms;
};
mcx_err store_replay_put(struct mcx_store_db *db,
                         const struct store_replay *entries, size_t n,
                         int64_t *row);
mcx_err store_replay_load(struct mcx_store_db *db,
                          void (*each)(void *arg, int64_t row,
                                       const struct store_replay *entry),
                          void *arg);
mcx_err store_replay_cut(struct mcx_store_db *db, int64_t row);
mcx_err store_replay_cut_bad(struct mcx_store_db *db); /* that do not open */

/* ---- store_log.c; inside a transaction --------------------------------- */

mcx_err store_log_put(struct mcx_store_db *db, struct mcx_store_event *event);
/* An event of a key. */
mcx_err store_log_key(struct mcx_store_db *db, enum mcx_store_what what,
                      const struct mcx_key_info *info, enum mcx_key_end end,
                      int64_t unix_ms);
/* One of the store. */
mcx_err store_log_plain(struct mcx_store_db *db, enum mcx_store_what what,
                        uint32_t count);
mcx_err store_log_start(struct mcx_store_db *db);
/* New keys for the entries from 'first' on. */
mcx_err store_epoch_new(struct mcx_store_db *db, uint64_t first);
void store_epoch_forget(struct mcx_store_db *db); /* those in memory */
/* Do the keys of the next entry open?  MCX_E_AUTH. */
mcx_err store_epoch_check(struct mcx_store_db *db);

/* ---- store_segment.c; inside a transaction ----------------------------- */

/* 'mac' NULL: none, or not of its size. */
typedef mcx_err store_entry_f(void *arg, uint64_t seq,
                              struct mcx_bytes sealed, const uint8_t *mac);
/* The entries after 'after' that lie in files.  MCX_E_AUTH, with 'text': a
 * file is gone or none of this store's. */
mcx_err store_segments_walk(struct mcx_store_db *db, uint64_t after,
                            store_entry_f *each, void *arg,
                            struct mcx_text *text);

/* ---- store.c ----------------------------------------------------------- */

struct store;
mcx_err store_start(void **state, const struct mcx_host *host,
                    struct mcx_text *text);
void store_stop(void *state);
const void *store_feature(void *state, const char *name);
/* The same without a host's options; tests. */
mcx_err store_new(struct store **out, const struct mcx_store_config *config,
                  struct mcx_keys *keys, struct mcx_replay *replay,
                  struct mcx_text *text);
void store_free(struct store *store);
/* What happened so far. */
struct store_numbers {
    size_t keys, replay, bad, dropped; /* brought back; not brought back */
    bool tampered; /* nothing was, see mcx_store_check() */
    uint64_t commits, failures;
};
void store_numbers(struct store *store, struct store_numbers *out);

#endif /* MODULE_STORE_H */
