/* ring.c -- the key ring: KMS certificates and our own user keys.  See
 * mcx_mikey.h.  core/xml fills it, core/mikey looks things up in it; what is
 * put in has been checked before.
 *
 * KMSs are few and sit in an array sorted by URI.  User keys sit in a hash
 * table by identity; the keys of one identity are in one chain, the one added
 * last in front.  Look-ups take the lock for reading, copy, take references
 * and leave.  References are given back after the lock is released, because
 * the last one wipes and frees. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sofia-mcx/mcx_mikey.h>
#include "due.h"
#include "hash.h"

enum { FIRST_BUCKETS = 16 };

struct kms {
    struct mcx_kms_info info;
    struct mcx_kms_pub *pub;
};

struct user {
    struct user *next;
    struct mcx_user_key *key;
    char *uri, *kms_uri; /* in the same block as the struct */
    uint64_t no;
    uint64_t hash; /* of 'uri' */
};

/* KMS options of one KMS. */
struct allowed {
    struct allowed *next;
    unsigned peer;
    char uri[]; /* of the KMS */
};

struct mcx_ring {
    pthread_rwlock_t lock;
    const struct mcx_env *env;
    struct mcx_hash_seed seed;
    struct kms **kms; /* sorted by URI */
    size_t n_kms;
    struct user **bucket;
    size_t n_buckets; /* a power of two */
    size_t n_users;
    unsigned allow; /* MCX_PEER_*: options of every KMS */
    struct allowed *allowed;
    struct mcx_due due;
};

/* A text of ours: ends within 'room' octets and is not empty. */
static bool
text_fits(const char *s, size_t room)
{
    return s && *s && strnlen(s, room) < room;
}

mcx_err
mcx_ring_new(struct mcx_ring **out, const struct mcx_env *env)
{
    struct mcx_ring *ring;
    mcx_err err;

    *out = NULL;
    if (!env) {
        return MCX_E_ARG;
    }
    ring = calloc(1, sizeof *ring);
    if (!ring) {
        return MCX_E_NOMEM;
    }
    ring->env = env;
    err = env->random(env->ctx, &ring->seed, sizeof ring->seed);
    if (err != MCX_OK) {
        free(ring);
        return err;
    }
    ring->n_buckets = FIRST_BUCKETS;
    ring->bucket = calloc(ring->n_buckets, sizeof(struct user *));
    if (!ring->bucket || mcx_due_init(&ring->due) != MCX_OK) {
        free(ring->bucket);
        free(ring);
        return MCX_E_NOMEM;
    }
    if (pthread_rwlock_init(&ring->lock, NULL) != 0) {
        mcx_due_fini(&ring->due);
        free(ring->bucket);
        free(ring);
        return MCX_E_NOMEM;
    }
    *out = ring;
    return MCX_OK;
}

void
mcx_ring_on_due(struct mcx_ring *ring, void (*due)(void *arg), void *arg)
{
    struct user *u;
    size_t i;

    mcx_due_listen(&ring->due, due, arg);
    (void)pthread_rwlock_rdlock(&ring->lock);
    for (i = 0; due && i < ring->n_buckets; i++) {
        for (u = ring->bucket[i]; u; u = u->next) {
            mcx_due_add(&ring->due, NULL, mcx_bytes(NULL, 0), u->key);
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
}

bool
mcx_ring_build_due(struct mcx_ring *ring)
{
    return mcx_due_build(&ring->due);
}

void
mcx_ring_sealed_to(struct mcx_ring *ring, struct mcx_kms_pub *pub,
                   struct mcx_bytes id)
{
    if (mcx_sakke_prepare_due(pub, id)) {
        mcx_due_add(&ring->due, pub, id, NULL);
    }
}

static void
kms_free(struct kms *k)
{
    if (k) {
        mcx_kms_pub_free(k->pub);
        free(k);
    }
}

/* Gives back every user key of the list 'u'. */
static void
users_free(struct mcx_ring *ring, struct user *u)
{
    while (u) {
        struct user *next = u->next;

        mcx_due_forget(&ring->due, u->key);
        mcx_user_key_free(u->key);
        free(u);
        u = next;
    }
}

void
mcx_ring_free(struct mcx_ring *ring)
{
    size_t i;

    if (!ring) {
        return;
    }
    for (i = 0; i < ring->n_kms; i++) {
        kms_free(ring->kms[i]);
    }
    for (i = 0; i < ring->n_buckets; i++) {
        users_free(ring, ring->bucket[i]);
    }
    while (ring->allowed) {
        struct allowed *next = ring->allowed->next;

        free(ring->allowed);
        ring->allowed = next;
    }
    free(ring->kms);
    mcx_due_fini(&ring->due);
    free(ring->bucket);
    (void)pthread_rwlock_destroy(&ring->lock);
    free(ring);
}

void
mcx_ring_allow(struct mcx_ring *ring, unsigned peer)
{
    (void)pthread_rwlock_wrlock(&ring->lock);
    ring->allow = peer;
    (void)pthread_rwlock_unlock(&ring->lock);
}

unsigned
mcx_ring_allowed(struct mcx_ring *ring)
{
    unsigned allow;

    (void)pthread_rwlock_rdlock(&ring->lock);
    allow = ring->allow;
    (void)pthread_rwlock_unlock(&ring->lock);
    return allow;
}

mcx_err
mcx_ring_allow_kms(struct mcx_ring *ring, const char *kms_uri, unsigned peer)
{
    struct allowed *a;

    if (!ring || !text_fits(kms_uri, MCX_URI_MAX)) {
        return MCX_E_ARG;
    }
    a = calloc(1, sizeof *a + strlen(kms_uri) + 1);
    if (!a) {
        return MCX_E_NOMEM;
    }
    a->peer = peer;
    memcpy(a->uri, kms_uri, strlen(kms_uri) + 1);
    (void)pthread_rwlock_wrlock(&ring->lock);
    a->next = ring->allowed;
    ring->allowed = a;
    (void)pthread_rwlock_unlock(&ring->lock);
    return MCX_OK;
}

unsigned
mcx_ring_allowed_kms(struct mcx_ring *ring, const char *kms_uri)
{
    const struct allowed *a;
    unsigned allow;

    (void)pthread_rwlock_rdlock(&ring->lock);
    allow = ring->allow;
    for (a = ring->allowed; a; a = a->next) {
        if (strcmp(a->uri, kms_uri) == 0) {
            allow |= a->peer;
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return allow;
}

/* ---- KMSs -------------------------------------------------------------- */

static int
uri_order(struct mcx_bytes a, const char *b)
{
    size_t bn = strlen(b);
    int d = strncmp((const char *)a.p, b, a.n < bn ? a.n : bn);

    return d != 0 ? d : a.n < bn ? -1 : a.n > bn;
}

/* The KMS of 'uri', or NULL; '*at' is where it is or would be. */
static struct kms *
kms_find(const struct mcx_ring *ring, struct mcx_bytes uri, size_t *at)
{
    size_t lo = 0, hi = ring->n_kms;

    /* strncmp stops at a NUL, so a view with one inside would compare equal
     * to a shorter URI. */
    if (uri.n == 0 || memchr(uri.p, 0, uri.n)) {
        if (at) {
            *at = 0;
        }
        return NULL;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = uri_order(uri, ring->kms[mid]->info.uri);

        if (d == 0) {
            if (at) {
                *at = mid;
            }
            return ring->kms[mid];
        }
        if (d < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    if (at) {
        *at = lo;
    }
    return NULL;
}

static bool
same_octets(const uint8_t *a, const uint8_t *b, size_t n)
{
    return mcx_bytes_eq(mcx_bytes(a, n), mcx_bytes(b, n));
}

/* Do user keys made under 'a' stay good under 'b'?  They are bound to Z and
 * KPAK, and their identifiers to the period. */
static bool
kms_same_keys(const struct kms *a, const struct kms *b)
{
    return a->info.monthly_tel == b->info.monthly_tel
           && a->info.period.length_s == b->info.period.length_s
           && a->info.period.offset_s == b->info.period.offset_s
           && same_octets(mcx_kms_pub_z(a->pub), mcx_kms_pub_z(b->pub),
                          MCX_SAKKE_PT_SIZE)
           && same_octets(mcx_kms_pub_kpak(a->pub), mcx_kms_pub_kpak(b->pub),
                          MCX_ECCSI_PT_SIZE);
}

/* Takes every user key of 'kms_uri' out of the table; the list of them. */
static struct user *
users_cut(struct mcx_ring *ring, const char *kms_uri)
{
    struct user *cut = NULL, *u, **link;
    size_t i;

    for (i = 0; i < ring->n_buckets; i++) {
        link = &ring->bucket[i];
        while ((u = *link) != NULL) {
            if (strcmp(u->kms_uri, kms_uri) != 0) {
                link = &u->next;
                continue;
            }
            *link = u->next;
            u->next = cut;
            cut = u;
            ring->n_users--;
        }
    }
    return cut;
}

static bool
info_ok(const struct mcx_kms_info *info)
{
    size_t i;

    if (!text_fits(info->uri, sizeof info->uri) || info->period.length_s == 0
        || info->n_domains > MCX_GROUPS_MAX) {
        return false;
    }
    for (i = 0; i < info->n_domains; i++) {
        if (!text_fits(info->domain[i], sizeof info->domain[i])) {
            return false;
        }
    }
    return true;
}

/* Puts 'k' at 'at'; the lock is held for writing. */
static mcx_err
kms_insert(struct mcx_ring *ring, size_t at, struct kms *k)
{
    struct kms **more;

    more = realloc(ring->kms, (ring->n_kms + 1) * sizeof(struct kms *));
    if (!more) {
        return MCX_E_NOMEM;
    }
    memmove(more + at + 1, more + at,
            (ring->n_kms - at) * sizeof(struct kms *));
    more[at] = k;
    ring->kms = more;
    ring->n_kms++;
    return MCX_OK;
}

mcx_err
mcx_ring_add_kms(struct mcx_ring *ring, const struct mcx_kms_info *info,
                 struct mcx_kms_pub *pub)
{
    struct user *cut = NULL;
    struct kms *k, *old;
    mcx_err err = MCX_OK;
    size_t at;

    if (!ring || !info || !pub || !info_ok(info)) {
        return MCX_E_ARG;
    }
    k = calloc(1, sizeof *k);
    if (!k) {
        return MCX_E_NOMEM;
    }
    k->info = *info;
    k->info.period.months = info->monthly_tel;
    k->pub = mcx_kms_pub_ref(pub);
    (void)pthread_rwlock_wrlock(&ring->lock);
    old = kms_find(ring, mcx_bytes_str(info->uri), &at);
    if (!old) {
        err = kms_insert(ring, at, k);
    } else {
        ring->kms[at] = k;
        if (!kms_same_keys(old, k)) {
            cut = users_cut(ring, info->uri);
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    if (err != MCX_OK) {
        kms_free(k);
        return err;
    }
    if (cut) {
        mcx_log(ring->env, MCX_AREA_KEYS, 3,
                "KMS %s has other keys now: user keys of the old ones are "
                "dropped, fetch new ones", info->uri);
    }
    users_free(ring, cut);
    kms_free(old);
    return MCX_OK;
}

/* ---- user keys --------------------------------------------------------- */

static struct user **
bucket_of(struct mcx_ring *ring, uint64_t hash)
{
    return &ring->bucket[hash & (ring->n_buckets - 1)];
}

/* Doubles the table when chains get long.  Without memory it stays as it is:
 * slower and right.  Chains keep their order: newest first. */
static void
buckets_grow(struct mcx_ring *ring)
{
    size_t n = ring->n_buckets * 2, i;
    struct user **old = ring->bucket, **bucket;

    if (ring->n_users < ring->n_buckets) {
        return;
    }
    bucket = calloc(n, sizeof(struct user *));
    if (!bucket) {
        return;
    }
    for (i = 0; i < ring->n_buckets; i++) {
        struct user *u = old[i], *next;
        struct user **lo = &bucket[i], **hi = &bucket[i + ring->n_buckets];

        for (; u; u = next) {
            struct user ***end = u->hash & ring->n_buckets ? &hi : &lo;

            next = u->next;
            u->next = NULL;
            **end = u;
            *end = &u->next;
        }
    }
    ring->bucket = bucket;
    ring->n_buckets = n;
    free(old);
}

static struct user *
user_new(const char *uri, const char *kms_uri, uint64_t no)
{
    size_t un = strlen(uri) + 1, kn = strlen(kms_uri) + 1;
    struct user *u = calloc(1, sizeof *u + un + kn);

    if (u) {
        u->uri = (char *)(u + 1);
        u->kms_uri = u->uri + un;
        memcpy(u->uri, uri, un);
        memcpy(u->kms_uri, kms_uri, kn);
        u->no = no;
    }
    return u;
}

/* Takes one user key out of the table; NULL when it is not there.  The lock is
 * held for writing. */
static struct user *
user_cut(struct mcx_ring *ring, uint64_t hash, const char *uri,
         const char *kms_uri, uint64_t no)
{
    struct user **link = bucket_of(ring, hash), *u;

    for (; (u = *link) != NULL; link = &u->next) {
        if (u->no == no && strcmp(u->uri, uri) == 0
            && strcmp(u->kms_uri, kms_uri) == 0) {
            *link = u->next;
            u->next = NULL;
            ring->n_users--;
            return u;
        }
    }
    return NULL;
}

mcx_err
mcx_ring_add_user(struct mcx_ring *ring, const char *uri, const char *kms_uri,
                  uint64_t no, struct mcx_user_key *key)
{
    struct user *u, **link, *old;

    if (!ring || !key || !text_fits(uri, MCX_URI_MAX)
        || !text_fits(kms_uri, MCX_URI_MAX)) {
        return MCX_E_ARG;
    }
    u = user_new(uri, kms_uri, no);
    if (!u) {
        return MCX_E_NOMEM;
    }
    u->hash = mcx_hash(&ring->seed, uri, strlen(uri));
    u->key = mcx_user_key_ref(key);
    (void)pthread_rwlock_wrlock(&ring->lock);
    old = user_cut(ring, u->hash, uri, kms_uri, no);
    buckets_grow(ring);
    link = bucket_of(ring, u->hash);
    u->next = *link;
    *link = u;
    ring->n_users++;
    (void)pthread_rwlock_unlock(&ring->lock);
    users_free(ring, old);
    mcx_due_add(&ring->due, NULL, mcx_bytes(NULL, 0), key);
    mcx_log(ring->env, MCX_AREA_KEYS, 7,
            "user key of %s, period %llu, from %s", uri,
            (unsigned long long)no, kms_uri);
    return MCX_OK;
}

void
mcx_ring_drop_user(struct mcx_ring *ring, const char *uri,
                   const char *kms_uri, uint64_t no)
{
    struct user *u;
    uint64_t hash;

    if (!ring || !text_fits(uri, MCX_URI_MAX)
        || !text_fits(kms_uri, MCX_URI_MAX)) {
        return;
    }
    hash = mcx_hash(&ring->seed, uri, strlen(uri));
    (void)pthread_rwlock_wrlock(&ring->lock);
    u = user_cut(ring, hash, uri, kms_uri, no);
    (void)pthread_rwlock_unlock(&ring->lock);
    if (u) {
        mcx_log(ring->env, MCX_AREA_KEYS, 7,
                "user key of %s, period %llu, dropped", uri,
                (unsigned long long)no);
    }
    users_free(ring, u);
}

/* The first key of 'uri' in its chain at or after 'u'. */
static struct user *
user_next(struct user *u, uint64_t hash, const char *uri)
{
    while (u && (u->hash != hash || strcmp(u->uri, uri) != 0)) {
        u = u->next;
    }
    return u;
}

/* The key of 'uri' whose KMS speaks for that identity: the newest one with a
 * known KMS, else the newest; NULL when we are not 'uri'.  Period numbers are
 * a KMS's own, so keys of two KMSs are never mixed. */
static struct user *
user_home(struct mcx_ring *ring, uint64_t hash, const char *uri)
{
    struct user *first = user_next(*bucket_of(ring, hash), hash, uri), *u;

    for (u = first; u; u = user_next(u->next, hash, uri)) {
        if (kms_find(ring, mcx_bytes_str(u->kms_uri), NULL)) {
            return u;
        }
    }
    return first;
}

bool
mcx_ring_has_user(struct mcx_ring *ring, const char *uri)
{
    uint64_t hash;
    bool has;

    if (!ring || !text_fits(uri, MCX_URI_MAX)) {
        return false;
    }
    hash = mcx_hash(&ring->seed, uri, strlen(uri));
    (void)pthread_rwlock_rdlock(&ring->lock);
    has = user_next(*bucket_of(ring, hash), hash, uri) != NULL;
    (void)pthread_rwlock_unlock(&ring->lock);
    return has;
}

mcx_err
mcx_ring_user(struct mcx_ring *ring, const char *uri, uint64_t no,
              struct mcx_user_key **key)
{
    struct user *home, *u;
    mcx_err err = MCX_E_NO_IDENTITY;
    uint64_t hash;

    *key = NULL;
    if (!ring || !text_fits(uri, MCX_URI_MAX)) {
        return MCX_E_NO_IDENTITY;
    }
    hash = mcx_hash(&ring->seed, uri, strlen(uri));
    (void)pthread_rwlock_rdlock(&ring->lock);
    home = user_home(ring, hash, uri);
    for (u = home ? *bucket_of(ring, hash) : NULL;
         (u = user_next(u, hash, uri)) != NULL; u = u->next) {
        if (u->no == no && strcmp(u->kms_uri, home->kms_uri) == 0) {
            *key = mcx_user_key_ref(u->key);
            break;
        }
    }
    if (home) {
        err = *key ? MCX_OK : MCX_E_NO_PERIOD;
    }
    (void)pthread_rwlock_unlock(&ring->lock);
    return err;
}

/* ---- whose KMS --------------------------------------------------------- */

/* The host part of a URI; no octets when it has none (tel), or when readers
 * could differ about it: a legal URI has one '@' at the most. */
static struct mcx_bytes
host_part(const char *uri)
{
    const char *p = strchr(uri, ':'), *at;
    size_t n;

    if (!p || strncasecmp(uri, "tel:", 4) == 0) {
        return mcx_bytes(NULL, 0);
    }
    p++;
    at = strchr(p, '@');
    if (at && strchr(at + 1, '@')) {
        return mcx_bytes(NULL, 0);
    }
    if (at) {
        p = at + 1;
    } else if (p[0] == '/' && p[1] == '/') {
        p += 2;
    }
    n = *p == '[' ? strcspn(p, "]") + 1 : strcspn(p, ":;?/#");
    return n > strlen(p) ? mcx_bytes(NULL, 0) : mcx_bytes(p, n);
}

static bool
kms_serves(const struct kms *k, struct mcx_bytes host)
{
    size_t i;

    for (i = 0; i < k->info.n_domains && host.n; i++) {
        if (strlen(k->info.domain[i]) == host.n
            && strncasecmp(k->info.domain[i], (const char *)host.p, host.n)
                   == 0) {
            return true;
        }
    }
    return false;
}

/* The KMS that is the only one for 'uri', because no other has identifiers
 * for such a one: with monthly keys these are tel URIs, and of a tel URI that
 * no hashed KMS is known for, the only KMS with monthly keys is asked first.
 * The lock is held. */
static const struct kms *
kms_only(const struct mcx_ring *ring, const char *uri)
{
    const struct kms *one[2] = { NULL, NULL }; /* hashed, monthly */
    size_t n[2] = { 0, 0 }, i;
    bool tel = strncasecmp(uri, "tel:", 4) == 0;

    for (i = 0; i < ring->n_kms; i++) {
        bool monthly = ring->kms[i]->info.monthly_tel;

        one[monthly] = ring->kms[i];
        n[monthly]++;
    }
    if (tel && n[1] > 0) {
        return n[1] == 1 ? one[1] : NULL;
    }
    return n[0] == 1 ? one[0] : NULL;
}

/* Hands out 'k'; the lock is held. */
static mcx_err
kms_give(const struct kms *k, struct mcx_kms_info *info,
         struct mcx_kms_pub **pub)
{
    if (!k) {
        return MCX_E_NO_IDENTITY;
    }
    if (info) {
        *info = k->info;
    }
    if (pub) {
        *pub = mcx_kms_pub_ref(k->pub);
    }
    return MCX_OK;
}

mcx_err
mcx_ring_kms_of(struct mcx_ring *ring, const char *uri,
                struct mcx_kms_info *info, struct mcx_kms_pub **pub)
{
    const struct kms *k = NULL;
    const struct user *home;
    struct mcx_bytes host;
    uint64_t hash;
    mcx_err err;
    size_t i;

    if (pub) {
        *pub = NULL;
    }
    if (!ring || !text_fits(uri, MCX_URI_MAX)) {
        return MCX_E_NO_IDENTITY;
    }
    hash = mcx_hash(&ring->seed, uri, strlen(uri));
    host = host_part(uri);
    (void)pthread_rwlock_rdlock(&ring->lock);
    home = user_home(ring, hash, uri);
    if (home) {
        k = kms_find(ring, mcx_bytes_str(home->kms_uri), NULL);
    }
    for (i = 0; i < ring->n_kms && !k; i++) {
        /* A host part is of no tel URI. */
        k = !ring->kms[i]->info.monthly_tel && kms_serves(ring->kms[i], host)
                ? ring->kms[i]
                : NULL;
    }
    if (!k) {
        k = kms_only(ring, uri);
    }
    err = kms_give(k, info, pub);
    (void)pthread_rwlock_unlock(&ring->lock);
    return err;
}

mcx_err
mcx_ring_kms(struct mcx_ring *ring, struct mcx_bytes kms_uri,
             struct mcx_kms_info *info, struct mcx_kms_pub **pub)
{
    mcx_err err;

    if (pub) {
        *pub = NULL;
    }
    if (!ring) {
        return MCX_E_NO_IDENTITY;
    }
    (void)pthread_rwlock_rdlock(&ring->lock);
    err = kms_give(kms_find(ring, kms_uri, NULL), info, pub);
    (void)pthread_rwlock_unlock(&ring->lock);
    return err;
}

/* ---- for people -------------------------------------------------------- */

void
mcx_ring_count(struct mcx_ring *ring, size_t *n_kms, size_t *n_users)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    if (n_kms) {
        *n_kms = ring->n_kms;
    }
    if (n_users) {
        *n_users = ring->n_users;
    }
    (void)pthread_rwlock_unlock(&ring->lock);
}

void
mcx_ring_each(struct mcx_ring *ring,
              void (*each)(void *arg, const char *uri, const char *kms_uri,
                           uint64_t no),
              void *arg)
{
    const struct user *u;
    size_t i;

    (void)pthread_rwlock_rdlock(&ring->lock);
    for (i = 0; i < ring->n_buckets; i++) {
        for (u = ring->bucket[i]; u; u = u->next) {
            each(arg, u->uri, u->kms_uri, u->no);
        }
    }
    (void)pthread_rwlock_unlock(&ring->lock);
}
