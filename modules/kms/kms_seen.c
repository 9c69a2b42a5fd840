/* kms_seen.c -- an answer counts once, and none after a newer one.
 *
 * Called by kms_sec.c with signed answers that were good otherwise.  Annex D
 * ties an answer to its question by ClientReqUrl and Time only, and Time may
 * lie within a window; so one that somebody recorded a minute ago would do
 * again.  Remembered is, for each resource, the Time of the newest answer that
 * was accepted, on the disk as well, for as long as the window would let an
 * older one in.  Not over all resources together: several servers of one KMS
 * may have clocks that differ a little.
 *
 * Clauses: TS 33.180 D.3.1. */
#include <config.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

enum { LINE_MAX = 24 + 2 * MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE) };

struct entry {
    uint8_t url[MCX_SEAL_MAC_SIZE];  /* hashes of the resource, */
    uint8_t body[MCX_SEAL_MAC_SIZE]; /* and of what was signed  */
    int64_t ms;                      /* Time */
};

struct kms_seen {
    pthread_mutex_t lock;
    struct entry at[KMS_SEEN_MAX];
    size_t n;
    int64_t floor_ms; /* Time of the newest one that there was no room for */
};

/* As a hash: the key is known to all. */
mcx_err
kms_hash(uint8_t out[MCX_SEAL_MAC_SIZE], struct mcx_bytes b)
{
    static const struct mcx_seal_key none = { { 0 } };

    return mcx_seal_mac(out, &none, &b, 1);
}

/* ---- what is kept ------------------------------------------------------ */

static void
save(struct kms *k)
{
    const struct kms_seen *seen = k->seen;
    char *s = malloc((KMS_SEEN_MAX + 1) * LINE_MAX), *at = s;
    char url[MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE)];
    char body[MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE)];
    mcx_err err = s ? MCX_OK : MCX_E_NOMEM;

    if (err == MCX_OK) {
        at += snprintf(at, LINE_MAX, "%" PRId64 "\n", seen->floor_ms);
    }
    for (size_t i = 0; i < seen->n && err == MCX_OK; i++) {
        const struct entry *e = &seen->at[i];

        err = mcx_hex_encode(url, sizeof url,
                             mcx_bytes(e->url, sizeof e->url));
        if (err == MCX_OK) {
            err = mcx_hex_encode(body, sizeof body,
                                 mcx_bytes(e->body, sizeof e->body));
        }
        at += snprintf(at, LINE_MAX, "%" PRId64 " %s %s\n", e->ms, url, body);
    }
    if (err == MCX_OK) {
        err = kms_store_put(k->store, KMS_SLOT_SEEN,
                            mcx_bytes(s, (size_t)(at - s)));
    }
    free(s);
    if (err != MCX_OK) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: Time of an answer is not "
                "kept: %s", mcx_err_text(err));
    }
}

/* One word of hexadecimal digits at 's'. */
static bool
hash_of(uint8_t out[MCX_SEAL_MAC_SIZE], const char *s)
{
    return mcx_hex_decode(out, MCX_SEAL_MAC_SIZE,
                          mcx_bytes(s, strcspn(s, " \n")), NULL) == MCX_OK;
}

static void
parse(struct kms_seen *seen, const char *s)
{
    char *end;

    seen->floor_ms = strtoll(s, &end, 10);
    while (*end == '\n' && end[1] && seen->n < KMS_SEEN_MAX) {
        struct entry *e = &seen->at[seen->n];

        e->ms = strtoll(end + 1, &end, 10);
        if (*end != ' ' || !hash_of(e->url, end + 1)) {
            break;
        }
        end += 1 + strcspn(end + 1, " \n");
        if (*end != ' ' || !hash_of(e->body, end + 1)) {
            break;
        }
        end += 1 + strcspn(end + 1, "\n");
        seen->n++;
    }
}

mcx_err
kms_seen_start(struct kms *k)
{
    char *s = NULL;
    size_t n = 0;
    mcx_err err;

    k->seen = calloc(1, sizeof *k->seen);
    if (!k->seen) {
        return MCX_E_NOMEM;
    }
    pthread_mutex_init(&k->seen->lock, NULL);
    err = kms_store_get(k->store, KMS_SLOT_SEEN, &s, &n);
    if (err == MCX_OK) {
        parse(k->seen, s);
    } else if (err != MCX_E_NO_KEY) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: when answers came is not "
                "known: %s", mcx_err_text(err));
    }
    mcx_kms_text_free(s, n);
    return err == MCX_E_NOMEM ? err : MCX_OK;
}

void
kms_seen_stop(struct kms *k)
{
    if (k->seen) {
        pthread_mutex_destroy(&k->seen->lock);
        free(k->seen);
        k->seen = NULL;
    }
}

/* ---- judging ----------------------------------------------------------- */

/* What the window keeps out by itself is forgotten; and what lies ahead of
 * it: our clock was set back, and nobody would be believed until then. */
static void
forget(struct kms *k, int64_t now_ms)
{
    struct kms_seen *seen = k->seen;

    for (size_t i = 0; i < seen->n;) {
        if (seen->at[i].ms < now_ms - k->window_ms
            || seen->at[i].ms > now_ms + k->window_ms) {
            seen->at[i] = seen->at[--seen->n];
        } else {
            i++;
        }
    }
    if (seen->floor_ms > now_ms + k->window_ms) {
        seen->floor_ms = 0;
    }
}

static bool
same(const uint8_t a[MCX_SEAL_MAC_SIZE], const uint8_t b[MCX_SEAL_MAC_SIZE])
{
    return mcx_bytes_eq(mcx_bytes(a, MCX_SEAL_MAC_SIZE),
                        mcx_bytes(b, MCX_SEAL_MAC_SIZE));
}

static struct entry *
find(struct kms_seen *seen, const uint8_t url[MCX_SEAL_MAC_SIZE])
{
    for (size_t i = 0; i < seen->n; i++) {
        if (same(seen->at[i].url, url)) {
            return &seen->at[i];
        }
    }
    return NULL;
}

/* A place for one more. */
static struct entry *
place(struct kms_seen *seen)
{
    struct entry *old = &seen->at[0];

    if (seen->n < KMS_SEEN_MAX) {
        return &seen->at[seen->n++];
    }
    for (size_t i = 1; i < seen->n; i++) {
        old = seen->at[i].ms < old->ms ? &seen->at[i] : old;
    }
    seen->floor_ms = old->ms > seen->floor_ms ? old->ms : seen->floor_ms;
    return old;
}

mcx_err
kms_seen_take(struct kms *k, const char *url, int64_t time_ms, int64_t now_ms,
              const uint8_t body[MCX_SEAL_MAC_SIZE])
{
    struct kms_seen *seen = k->seen;
    uint8_t hash[MCX_SEAL_MAC_SIZE];
    struct entry *e;
    bool again;

    MCX_TRY(kms_hash(hash, mcx_bytes_str(url)));
    pthread_mutex_lock(&seen->lock);
    forget(k, now_ms);
    e = find(seen, hash);
    again = e ? time_ms < e->ms
                    || (time_ms == e->ms
                        && same(e->body, body))
              : time_ms <= seen->floor_ms;
    if (!again) {
        e = e ? e : place(seen);
        memcpy(e->url, hash, sizeof e->url);
        memcpy(e->body, body, sizeof e->body);
        e->ms = time_ms;
        save(k);
    }
    pthread_mutex_unlock(&seen->lock);
    return again ? MCX_E_REPLAY : MCX_OK;
}
