/* store_segment.c -- the older part of the audit log, in files.  See
 * mcx_store.h.  store.c asks for rotation once a second, mcx-keys when told;
 * store_log.c walks through the files when the log is read.
 *
 * When the rows have become many, those there are move into FILE.log-<number
 * of the first>, unchanged: each entry with its number, sealed, and its code
 * of the chain.  The head of the store says where the oldest file begins and
 * where the last ends, so a file that is gone is missed, and one that was
 * rotated out on purpose is not.  A file is on the disk with its name before
 * the transaction that takes its rows out commits; a cut of power between the
 * two leaves a file that the next rotation writes again.
 *
 *   "MCXLOG02" | store | first | last | (number | size | sealed | code)... */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "store.h"

enum {
    MAC = MCX_SEAL_MAC_SIZE,
    MAGIC = 8,
    HEAD = MAGIC + STORE_UID + 16,
    ENTRY = 8 + 4 + MAC, /* and the sealed octets between */
    FILE_MAX = 1 << 30
};
static const char magic[MAGIC + 1] = "MCXLOG02";

static char *
name_of(const struct mcx_store_db *db, uint64_t first)
{
    size_t n = strlen(db->path) + 40;
    char *s = malloc(n);

    if (s) {
        (void)snprintf(s, n, "%s.log-%010llu", db->path,
                       (unsigned long long)first);
    }
    return s;
}

/* ---- reading ----------------------------------------------------------- */

struct segment {
    char *octets;
    size_t n;
    uint64_t first, last;
};

static mcx_err
wrong(struct mcx_text *text, uint64_t seq, const char *path,
      const char *what)
{
    (void)snprintf(text->s, sizeof text->s, "entry %llu: %s, %.120s",
                   (unsigned long long)seq, what, path);
    return MCX_E_AUTH;
}

static mcx_err
segment_read(struct mcx_store_db *db, uint64_t first, struct segment *out,
             struct mcx_text *text)
{
    char *path = name_of(db, first);
    const uint8_t *p;
    mcx_err err;

    memset(out, 0, sizeof *out);
    if (!path) {
        return MCX_E_NOMEM;
    }
    err = db->env->read_file(db->env->ctx, path, FILE_MAX, &out->octets,
                             &out->n);
    if (err == MCX_E_IO || err == MCX_E_TOOBIG) {
        err = wrong(text, first, path, "is missing, with its file");
    }
    if (err == MCX_OK) {
        p = (const uint8_t *)out->octets;
        if (out->n >= HEAD) {
            out->first = store_get_u64(p + MAGIC + STORE_UID);
            out->last = store_get_u64(p + MAGIC + STORE_UID + 8);
        }
        if (out->n < HEAD
            || !mcx_bytes_eq(mcx_bytes(p, MAGIC), mcx_bytes(magic, MAGIC))
            || !mcx_bytes_eq(mcx_bytes(p + MAGIC, STORE_UID),
                             mcx_bytes(db->uid, STORE_UID))
            || out->first != first || out->last < first
            || out->last > db->head.file_seq) {
            err = wrong(text, first, path, "was changed, with its file");
        }
    }
    if (err != MCX_OK) {
        free(out->octets);
        out->octets = NULL;
    }
    free(path);
    return err;
}

/* The entry at '*at', and moves on; false: the file ends within it. */
static bool
entry_next(const struct segment *s, size_t *at, uint64_t *seq,
           struct mcx_bytes *sealed, const uint8_t **mac)
{
    const uint8_t *p = (const uint8_t *)s->octets + *at;
    size_t left = s->n - *at, n;

    if (left < ENTRY) {
        return false;
    }
    *seq = store_get_u64(p);
    n = (size_t)p[8] << 24 | (size_t)p[9] << 16 | (size_t)p[10] << 8 | p[11];
    if (n > left - ENTRY) {
        return false;
    }
    *sealed = mcx_bytes(p + 12, n);
    *mac = p + 12 + n;
    *at += ENTRY + n;
    return true;
}

mcx_err
store_segments_walk(struct mcx_store_db *db, uint64_t after,
                    store_entry_f *each, void *arg, struct mcx_text *text)
{
    uint64_t seq = db->head.base_seq;
    mcx_err err = MCX_OK;

    while (err == MCX_OK && seq < db->head.file_seq) {
        struct segment s;
        size_t at = HEAD;

        MCX_TRY(segment_read(db, seq + 1, &s, text));
        while (err == MCX_OK && at < s.n) {
            struct mcx_bytes sealed;
            const uint8_t *mac;
            uint64_t no;

            if (!entry_next(&s, &at, &no, &sealed, &mac)) {
                break; /* what is missing is missed by who counts */
            }
            err = no > after ? each(arg, no, sealed, mac) : MCX_OK;
        }
        seq = s.last;
        free(s.octets);
    }
    return err;
}

/* ---- rotating ---------------------------------------------------------- */

/* The name has to be on the disk before the rows go. */
static mcx_err
sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 2;
    char *folder = malloc(n + 1);
    int fd;
    bool ok;

    if (!folder) {
        return MCX_E_NOMEM;
    }
    memcpy(folder, slash ? path : "./", n);
    folder[n] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? MCX_OK : MCX_E_IO;
}

struct growing {
    uint8_t *p;
    size_t n, room;
    uint64_t last;
    uint8_t mac[MAC];
};

static mcx_err
grow(struct growing *g, size_t more)
{
    size_t room = g->room ? g->room : 65536;
    uint8_t *p;

    while (room - g->n < more) {
        if (room >= FILE_MAX) {
            return MCX_E_TOOBIG;
        }
        room *= 2;
    }
    if (room != g->room) {
        p = realloc(g->p, room);
        if (!p) {
            return MCX_E_NOMEM;
        }
        g->p = p;
        g->room = room;
    }
    return MCX_OK;
}

/* The rows as a file has them.  One that somebody changed goes in as it is:
 * the log is judged when it is read. */
static mcx_err
collect(struct mcx_store_db *db, struct growing *g)
{
    sqlite3_stmt *stmt = store_stmt(db, SQL_LOG_AFTER);
    mcx_err err = grow(g, HEAD);
    int rc = SQLITE_DONE;

    g->n = HEAD;
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)db->head.file_seq);
    while (err == MCX_OK
           && (rc = stmt ? sqlite3_step(stmt) : SQLITE_NOMEM) == SQLITE_ROW) {
        const void *sealed = sqlite3_column_blob(stmt, 1);
        const void *mac = sqlite3_column_blob(stmt, 2);
        size_t n = sealed ? (size_t)sqlite3_column_bytes(stmt, 1) : 0;

        err = grow(g, ENTRY + n);
        if (err == MCX_OK) {
            uint8_t *p = g->p + g->n;

            g->last = (uint64_t)sqlite3_column_int64(stmt, 0);
            memset(g->mac, 0, MAC);
            if (mac && sqlite3_column_bytes(stmt, 2) == MAC) {
                memcpy(g->mac, mac, MAC);
            }
            store_put_u64(p, g->last);
            p[8] = (uint8_t)(n >> 24);
            p[9] = (uint8_t)(n >> 16);
            p[10] = (uint8_t)(n >> 8);
            p[11] = (uint8_t)n;
            if (n > 0) {
                memcpy(p + 12, sealed, n);
            }
            memcpy(p + 12 + n, g->mac, MAC);
            g->n += ENTRY + n;
        }
    }
    (void)sqlite3_reset(stmt);
    return err == MCX_OK && rc != SQLITE_DONE ? store_error(db, rc) : err;
}

static mcx_err
write_segment(struct mcx_store_db *db, const struct growing *g)
{
    uint64_t first = db->head.file_seq + 1;
    char *path = name_of(db, first);
    mcx_err err;

    if (!path) {
        return MCX_E_NOMEM;
    }
    memcpy(g->p, magic, MAGIC);
    memcpy(g->p + MAGIC, db->uid, STORE_UID);
    store_put_u64(g->p + MAGIC + STORE_UID, first);
    store_put_u64(g->p + MAGIC + STORE_UID + 8, g->last);
    err = db->env->write_file(db->env->ctx, path, mcx_bytes(g->p, g->n),
                              0600);
    if (err == MCX_OK) {
        err = sync_folder(path);
    }
    free(path);
    return err;
}

/* Takes the oldest file out of the log; it is deleted when that is on the
 * disk.  One that cannot be read stays, and `log verify` says so. */
static void
let_oldest_go(struct mcx_store_db *db)
{
    struct store_head *h = &db->head;
    struct mcx_text text;
    struct segment s;

    if (segment_read(db, h->base_seq + 1, &s, &text) != MCX_OK) {
        mcx_log(db->env, MCX_AREA_KEYS, 1, "store: audit log: %s", text.s);
        return;
    }
    if (s.n >= HEAD + ENTRY) {
        memcpy(h->base_mac, s.octets + s.n - MAC, MAC);
        h->dropped_seq = h->base_seq + 1;
        h->base_seq = s.last;
        h->files--;
    }
    free(s.octets);
}

/* Files that are no longer part of the log. */
enum { DROPPED_MAX = 32 };
struct dropped {
    uint64_t seq[DROPPED_MAX];
    size_t n;
};

/* Keeps to the number of files; the rest with the next rotation. */
static void
keep_to(struct mcx_store_db *db, struct dropped *dropped)
{
    struct store_head *h = &db->head;

    while (h->files > db->log_files && h->base_seq < h->file_seq
           && dropped->n < DROPPED_MAX) {
        uint64_t before = h->base_seq;

        let_oldest_go(db);
        if (h->base_seq == before) {
            break;
        }
        dropped->seq[dropped->n++] = before + 1;
    }
}

static mcx_err
rotate(struct mcx_store_db *db, struct dropped *dropped)
{
    struct store_head *h = &db->head;
    struct growing g = { NULL, 0, 0, 0, { 0 } };
    mcx_err err = collect(db, &g);

    if (err == MCX_OK && g.n > HEAD && g.last == h->seq) {
        err = db->log_files > 0 ? write_segment(db, &g) : MCX_OK;
        if (err == MCX_OK) {
            err = store_run(db, store_stmt(db, SQL_LOG_CUT_ALL));
        }
        if (err == MCX_OK) {
            h->file_seq = g.last;
            memcpy(h->file_mac, g.mac, MAC);
            h->files++;
            if (db->log_files == 0) { /* none are kept */
                h->files = 0;
                h->base_seq = g.last;
                memcpy(h->base_mac, g.mac, MAC);
            }
            keep_to(db, dropped);
            db->head_dirty = true;
            err = store_log_plain(db, MCX_STORE_ROTATED,
                                  h->files > UINT32_MAX
                                      ? UINT32_MAX
                                      : (uint32_t)h->files);
        }
    } else if (err == MCX_OK && g.n > HEAD) {
        err = MCX_E_AUTH; /* rows at the end are gone: leave all as it is */
    }
    free(g.p);
    return err;
}

static void
file_gone(struct mcx_store_db *db, uint64_t first)
{
    char *path = name_of(db, first);

    if (path && unlink(path) != 0 && errno != ENOENT) {
        mcx_log(db->env, MCX_AREA_KEYS, 1, "store: audit log: %s: %s", path,
                strerror(errno));
    }
    free(path);
}

mcx_err
mcx_store_log_rotate(struct mcx_store_db *db, bool now)
{
    struct dropped dropped = { .n = 0 };
    struct store_head *h = &db->head;
    uint64_t left_over;
    mcx_err err;
    size_t i;

    if (!now && (!db->head_ok || db->log_entries == 0
                 || h->seq - h->file_seq < db->log_entries)) {
        return MCX_OK; /* by the last transaction of ours */
    }
    MCX_TRY(store_begin(db));
    if (!db->head_ok) {
        return store_end(db, MCX_E_AUTH);
    }
    if (!now && h->seq - h->file_seq < db->log_entries) {
        return store_end(db, MCX_OK);
    }
    left_over = h->dropped_seq; /* by who was killed before he deleted it */
    err = store_end(db, rotate(db, &dropped));
    if (err == MCX_OK && left_over != 0) {
        file_gone(db, left_over);
    }
    for (i = 0; i < dropped.n && err == MCX_OK; i++) {
        file_gone(db, dropped.seq[i]);
    }
    return err;
}
