/* guard.c -- guarded memory for long-lived secrets.  See mcx_secret.h.
 *
 * A region is: guard page | pages of slots | guard page, mapped for secrets
 * alone, locked if the limits allow, left out of core dumps and of children
 * made by fork.  Small blocks take slots of one size class from a region; a
 * block over the largest class has a region to itself.  The head of a region
 * lives outside it, so an overrun meets a guard page and never a pointer. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <sofia-mcx/mcx_secret.h>

enum { SLAB_SIZE = 65536, N_CLASSES = 4, MAX_BLOCK = 1048576 };
static const size_t class_size[N_CLASSES] = { 32, 128, 512, 1024 };

struct region {
    struct region *next;
    uint8_t *base;    /* first usable octet */
    size_t size;      /* usable octets      */
    size_t slot_size; /* 0: one block       */
    size_t used;      /* slots in use       */
    uint64_t *taken;  /* one bit a slot     */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *regions;

static size_t
page_size(void)
{
    long n = sysconf(_SC_PAGESIZE);

    return n > 0 ? (size_t)n : 4096;
}

static struct region *
region_new(size_t size, size_t slot_size)
{
    struct region *r = calloc(1, sizeof *r);
    size_t page = page_size();
    uint8_t *map;

    if (!r) {
        return NULL;
    }
    size = (size + page - 1) / page * page;
    if (slot_size) {
        r->taken = calloc((size / slot_size + 63) / 64, sizeof *r->taken);
        if (!r->taken) {
            free(r);
            return NULL;
        }
    }
    map = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0);
    if (map == MAP_FAILED) {
        free(r->taken);
        free(r);
        return NULL;
    }
    if (mprotect(map + page, size, PROT_READ | PROT_WRITE) != 0) {
        (void)munmap(map, size + 2 * page);
        free(r->taken);
        free(r);
        return NULL;
    }
    (void)mlock(map + page, size); /* asked for, not insisted on */
#ifdef MADV_DONTDUMP
    (void)madvise(map + page, size, MADV_DONTDUMP);
#endif
#ifdef MADV_WIPEONFORK
    (void)madvise(map + page, size, MADV_WIPEONFORK);
#endif
    r->base = map + page;
    r->size = size;
    r->slot_size = slot_size;
    return r;
}

static void
region_free(struct region *r)
{
    size_t page = page_size();

    mcx_wipe(r->base, r->size);
    (void)munlock(r->base, r->size);
    (void)munmap(r->base - page, r->size + 2 * page);
    free(r->taken);
    free(r);
}

/* A free slot of 'r', marked as taken; NULL when it is full. */
static void *
region_take(struct region *r)
{
    size_t n = r->size / r->slot_size, i;

    if (r->used == n) {
        return NULL;
    }
    for (i = 0; i < n; i++) {
        uint64_t *w = &r->taken[i / 64];
        uint64_t bit = UINT64_C(1) << (i % 64);

        if (*w == UINT64_MAX) {
            i |= 63;
            continue;
        }
        if (!(*w & bit)) {
            *w |= bit;
            r->used++;
            return r->base + i * r->slot_size;
        }
    }
    return NULL;
}

void *
mcx_guard_new(size_t n)
{
    size_t slot = 0, i;
    struct region *r;
    void *p = NULL;

    if (n == 0 || n > MAX_BLOCK) {
        return NULL;
    }
    for (i = 0; i < N_CLASSES && slot == 0; i++) {
        slot = n <= class_size[i] ? class_size[i] : 0;
    }
    (void)pthread_mutex_lock(&lock);
    for (r = regions; slot && r && !p; r = r->next) {
        p = r->slot_size == slot ? region_take(r) : NULL;
    }
    if (!p) {
        r = region_new(slot ? SLAB_SIZE : n, slot);
        if (r) {
            p = slot ? region_take(r) : r->base;
            r->next = regions;
            regions = r;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return p;
}

void
mcx_guard_free(void *p)
{
    uint8_t *at = p;
    struct region **link, *r;

    if (!p) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    for (link = &regions; (r = *link) != NULL; link = &r->next) {
        if (at < r->base || at >= r->base + r->size) {
            continue;
        }
        if (r->slot_size) {
            size_t i = (size_t)(at - r->base) / r->slot_size;

            mcx_wipe(r->base + i * r->slot_size, r->slot_size);
            r->taken[i / 64] &= ~(UINT64_C(1) << (i % 64));
            r->used--;
        }
        if (!r->slot_size || r->used == 0) {
            *link = r->next;
            region_free(r);
        }
        break;
    }
    (void)pthread_mutex_unlock(&lock);
}
