/* test_vfs.c -- see test_vfs.h.
 *
 * Every operation goes through to the real file, so that reading sees it; what
 * has been written since the last sync is noted as well.  When power fails the
 * file is made anew: what it was at its last sync, and of the notes each with
 * even odds, a third of those cut short at a sector. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sqlite3.h>
#include "test_vfs.h"

enum { DISKS = 8, SECTOR = 512 };

struct note {
    struct note *next;
    int64_t at;
    size_t n;
    uint8_t *data; /* NULL: truncated to 'at' */
};

struct disk {
    char path[512];
    uint8_t *synced;
    size_t n;
    struct note *notes, **end;
};

struct file {
    sqlite3_file base;
    struct disk *disk; /* NULL: of no interest */
    sqlite3_file *real;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk disk[DISKS];
static sqlite3_vfs *real_vfs, vfs;
static long left, seen, room = -1;
static int dead;

static void
notes_free(struct disk *d)
{
    while (d->notes) {
        struct note *o = d->notes;

        d->notes = o->next;
        free(o->data);
        free(o);
    }
    d->end = &d->notes;
}

/* What is in the file now is safe. */
static void
settle(struct disk *d)
{
    FILE *f = fopen(d->path, "rb");

    notes_free(d);
    free(d->synced);
    d->synced = NULL;
    d->n = 0;
    if (f) {
        long n;

        (void)fseek(f, 0, SEEK_END);
        n = ftell(f);
        rewind(f);
        d->synced = malloc((size_t)n + 1);
        d->n = fread(d->synced, 1, (size_t)n, f);
        (void)fclose(f);
    }
}

static struct disk *
disk_of(const char *path)
{
    struct disk *none = NULL;
    int i;

    for (i = 0; i < DISKS; i++) {
        if (strcmp(disk[i].path, path) == 0) {
            return &disk[i];
        }
        none = !none && !disk[i].path[0] ? &disk[i] : none;
    }
    if (none) {
        (void)snprintf(none->path, sizeof none->path, "%s", path);
        none->end = &none->notes;
        settle(none);
    }
    return none;
}

/* One operation: does power fail at it? */
static int
fails(void)
{
    seen++;
    if (left > 0 && --left == 0) {
        dead = 1;
    }
    return dead;
}

static void
note(struct disk *d, int64_t at, const void *data, size_t n)
{
    struct note *o = calloc(1, sizeof *o);

    o->at = at;
    o->n = n;
    if (data) {
        o->data = malloc(n + 1);
        memcpy(o->data, data, n);
    }
    *d->end = o;
    d->end = &o->next;
}

#define REAL(f) (((struct file *)(f))->real)

static int
x_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}

static int
x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int
x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct disk *d = ((struct file *)f)->disk;
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&lock);
    if (fails()) {
        rc = SQLITE_IOERR_WRITE;
    } else if (room >= 0 && n > room) {
        rc = SQLITE_FULL;
    } else {
        room -= room >= 0 ? n : 0;
        if (d) {
            note(d, at, p, (size_t)n);
        }
        rc = REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct disk *d = ((struct file *)f)->disk;
    int rc = SQLITE_IOERR_TRUNCATE;

    (void)pthread_mutex_lock(&lock);
    if (!fails()) {
        if (d) {
            note(d, size, NULL, 0);
        }
        rc = REAL(f)->pMethods->xTruncate(REAL(f), size);
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
x_sync(sqlite3_file *f, int flags)
{
    struct disk *d = ((struct file *)f)->disk;
    int rc = SQLITE_IOERR_FSYNC;

    (void)flags;
    (void)pthread_mutex_lock(&lock);
    if (!fails()) {
        if (d) {
            settle(d); /* the real sync would prove nothing here */
        }
        rc = SQLITE_OK;
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
x_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int
x_lock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xLock(REAL(f), how);
}

static int
x_unlock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), how);
}

static int
x_reserved(sqlite3_file *f, int *out)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int
x_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int
x_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int
x_traits(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int
x_shm_map(sqlite3_file *f, int page, int size, int extend,
          void volatile **out)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}

static int
x_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags);
}

static void
x_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int
x_shm_unmap(sqlite3_file *f, int gone)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), gone);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_reserved,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_traits,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

static int
v_open(sqlite3_vfs *v, const char *path, sqlite3_file *out, int flags,
       int *out_flags)
{
    struct file *f = (struct file *)out;
    int rc;

    (void)v;
    f->real = (sqlite3_file *)(f + 1);
    rc = real_vfs->xOpen(real_vfs, path, f->real, flags, out_flags);
    f->base.pMethods = rc == SQLITE_OK ? &methods : NULL;
    if (rc == SQLITE_OK && path
        && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL
                     | SQLITE_OPEN_MAIN_JOURNAL))) {
        (void)pthread_mutex_lock(&lock);
        f->disk = disk_of(path);
        (void)pthread_mutex_unlock(&lock);
    } else {
        f->disk = NULL;
    }
    return rc;
}

static int
v_delete(sqlite3_vfs *v, const char *path, int sync)
{
    int rc = SQLITE_IOERR_DELETE;

    (void)v;
    (void)pthread_mutex_lock(&lock);
    if (!fails()) {
        rc = real_vfs->xDelete(real_vfs, path, sync);
        settle(disk_of(path));
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

void
test_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = TEST_VFS;
    vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
    vfs.xOpen = v_open;
    vfs.xDelete = v_delete;
    (void)sqlite3_vfs_register(&vfs, 0);
}

void
test_vfs_cut_after(long n)
{
    (void)pthread_mutex_lock(&lock);
    left = n;
    seen = 0;
    dead = 0;
    (void)pthread_mutex_unlock(&lock);
}

void
test_vfs_room(long octets)
{
    (void)pthread_mutex_lock(&lock);
    room = octets;
    (void)pthread_mutex_unlock(&lock);
}

long
test_vfs_count(void)
{
    return seen;
}

static uint32_t
draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void
rebuild(struct disk *d, uint32_t *seed)
{
    FILE *f = fopen(d->path, "r+b");
    struct note *o;

    if (!f) {
        return; /* deleted, which is taken as lasting */
    }
    (void)ftruncate(fileno(f), 0);
    if (d->n > 0) {
        (void)fwrite(d->synced, 1, d->n, f);
    }
    for (o = d->notes; o; o = o->next) {
        size_t n = o->n;

        if (draw(seed) % 2) {
            continue;
        }
        (void)fflush(f);
        if (!o->data) {
            (void)ftruncate(fileno(f), o->at);
            continue;
        }
        if (n > SECTOR && draw(seed) % 3 == 0) {
            n = n / SECTOR / 2 * SECTOR;
        }
        (void)fseek(f, o->at, SEEK_SET);
        (void)fwrite(o->data, 1, n, f);
    }
    (void)fclose(f);
}

void
test_vfs_power_back(uint32_t seed)
{
    char shm[600];
    int i;

    (void)pthread_mutex_lock(&lock);
    for (i = 0; i < DISKS; i++) {
        if (disk[i].path[0]) {
            rebuild(&disk[i], &seed);
            (void)snprintf(shm, sizeof shm, "%s-shm", disk[i].path);
            (void)unlink(shm);
            notes_free(&disk[i]);
            free(disk[i].synced);
            memset(&disk[i], 0, sizeof disk[i]);
        }
    }
    left = 0;
    dead = 0;
    (void)pthread_mutex_unlock(&lock);
}
