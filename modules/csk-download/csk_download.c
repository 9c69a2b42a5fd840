/* csk_download.c -- key download (TS 33.180 5.8, TS 24.379 7.2.5 and 7.3.7).
 *
 * Client: a MESSAGE with application/mikey for the MCPTT service is judged,
 * its key staged, and made current once the 200 is on its way.  Server: a new
 * CSK is staged for the client's binding, sent, and made current by the 200.
 *
 * Called by the host as mcx_module.h says.  The order of the checks on the
 * message itself is mcx_mikey_open()'s; what is added here is what only the
 * procedure knows: who must have sent it, that T goes forward, and that the
 * key is another one.  SIP, parking and answers are the host's. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "csk_download.h"

enum {
    MESSAGE_ROOM = 4096, /* octets; mcx_mikey_build() wants 2048 */
    ID_TRIES = 4,        /* fresh key IDs before we give up */
    HDR_CSB_ID = 4       /* where HDR has the CSB ID */
};

/* T of a download; 'ms' has the era, 't' the fraction. */
struct when {
    int64_t ms;
    uint64_t t;
};

/* A key whose download nobody answered. */
struct doubtful {
    struct doubtful *next;
    struct mcx_key *key;
    int64_t until_mono_ms;
};

struct csk_download {
    const struct mcx_host *host;
    const char *psi; /* of the participating function; on it: our own */
    bool musik;
    int64_t keep_ms;
    pthread_mutex_t lock; /* over 'last'; judges run side by side */
    struct when last[MCX_KIND_COUNT];
    int64_t committed_ms[MCX_KIND_COUNT]; /* loop only */
    struct doubtful *doubtful;            /* loop only */
};

mcx_err
csk_download_start(void **state, const struct mcx_host *host,
                   struct mcx_text *text)
{
    struct csk_download *d = calloc(1, sizeof *d);
    const char *musik = host->option(host, CSK_DOWNLOAD_NAME, "musik");
    const char *keep = host->option(host, CSK_DOWNLOAD_NAME,
                                    "keep-unanswered");

    if (!d || pthread_mutex_init(&d->lock, NULL) != 0) {
        free(d);
        snprintf(text->s, sizeof text->s, "csk-download: out of memory");
        return MCX_E_NOMEM;
    }
    d->psi = host->psi[0] || host->role == MCX_ROLE_CLIENT ? host->psi
                                                           : host->self;
    if (!d->psi[0]) {
        pthread_mutex_destroy(&d->lock);
        free(d);
        snprintf(text->s, sizeof text->s,
                 "csk-download: setting \"psi\" is missing: only the known "
                 "participating function may send us keys");
        return MCX_E_CONFIG;
    }
    d->host = host;
    d->musik = musik && strcmp(musik, "yes") == 0;
    d->keep_ms = keep ? (int64_t)strtol(keep, NULL, 10) * 1000 : 0;
    for (size_t i = 0; i < MCX_KIND_COUNT; i++) {
        d->last[i].ms = d->committed_ms[i] = INT64_MIN;
    }
    *state = d;
    return MCX_OK;
}

static void
drop(struct mcx_key **key)
{
    if (*key) {
        mcx_key_drop(*key);
        mcx_key_unref(*key);
        *key = NULL;
    }
}

void
csk_download_stop(void *state)
{
    struct csk_download *d = state;

    if (!d) {
        return;
    }
    while (d->doubtful) {
        struct doubtful *one = d->doubtful;
        d->doubtful = one->next;
        drop(&one->key);
        free(one);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- client: incoming -------------------------------------------------- */

/* SPEC TS 24.379 6.2.0.1: recognised by method, Content-Type and service;
 * everything else is the application's. */
bool
csk_download_claims(void *state, const struct mcx_rq *rq)
{
    const struct csk_download *d = state;

    return d->host->role == MCX_ROLE_CLIENT
           && strcmp(rq->method, "MESSAGE") == 0
           && strcmp(rq->content_type, MCX_MIME_MIKEY) == 0
           && strcmp(rq->asserted_service, CSK_DOWNLOAD_ICSI) == 0;
}

/* What the peer is told: one answer for everything that is its fault.  The
 * host logs the reason. */
static mcx_err
refuse(struct csk_download *d, struct mcx_answer *answer, mcx_err err)
{
    switch (mcx_err_class(err)) {
    case MCX_CLASS_BYTES:
    case MCX_CLASS_TRUST:
    case MCX_CLASS_LOOKUP:
        answer->status = 488;
        answer->warning = MCX_WARN_MIKEY;
        answer->warning_text = MCX_WARN_MIKEY_TEXT;
        break;
    case MCX_CLASS_WORLD:
        answer->status = 503;
        break;
    default:
        answer->status = 500;
        break;
    }
    if (err != MCX_E_NO_PERIOD) { /* that one is parked, not refused */
        d->host->count(d->host, "csk-download.refused");
    }
    return err;
}

/* SPEC TS 24.379 7.2.5, digest 5.4: T goes forward from one accepted download
 * to the next.  Taken here already, so that of two judges the older loses. */
static mcx_err
take_turn(struct csk_download *d, const struct mcx_key_msg *km,
          size_t t_at, struct mcx_why *why)
{
    struct when *last = &d->last[km->kind];
    bool newer;

    pthread_mutex_lock(&d->lock);
    newer = km->t_unix_ms > last->ms
            || (km->t_unix_ms == last->ms && km->t > last->t);
    if (newer) {
        last->ms = km->t_unix_ms;
        last->t = km->t;
    }
    pthread_mutex_unlock(&d->lock);
    if (!newer) {
        return MCX_REFUSE(why, MCX_R_NOT_NEWER, "T", t_at,
                          "TS 24.379 7.2.5");
    }
    return MCX_OK;
}

static mcx_err
not_current(struct csk_download *d, const struct mcx_key_msg *km,
            struct mcx_why *why)
{
    struct mcx_key *now = mcx_keys_current(d->host->keys, km->kind, "", "");
    struct mcx_key_info info;
    bool same;

    if (!now) {
        return MCX_OK;
    }
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    same = info.key_id == km->key_id;
    mcx_wipe(&info, sizeof info);
    if (same) {
        return MCX_REFUSE(why, MCX_R_ROLLBACK, "HDR", HDR_CSB_ID,
                          "TS 24.379 7.2.5");
    }
    return MCX_OK;
}

/* SPEC TS 33.180 5.2.4: a good message whose key is marked as revoked takes
 * that key out of use, at once.  It is refused all the same: nothing in it may
 * be used. */
static void
revoke(struct csk_download *d, const struct mcx_key_msg *km)
{
    if (mcx_keys_revoke(d->host->keys, km->kind, km->key_id) > 0) {
        d->host->count(d->host, "csk-download.revoked");
    }
}

static mcx_err
open_download(struct csk_download *d, const struct mcx_rq *rq,
              struct mcx_answer *answer, struct mcx_why *why)
{
    const struct mcx_host *host = d->host;
    const struct mcx_part *part = NULL;
    struct mcx_mikey_msg msg;
    struct mcx_open how = {
        .env = host->env,
        .ring = host->ring,
        .replay = host->replay,
        .self = host->self,
        .from = d->psi, /* as URI and as UID, before the signature */
        .kinds = MCX_KIND_BIT(MCX_KIND_CSK),
        .window = MCX_WINDOW_LIVE,
        .peer = host->peer(host, d->psi),
        .resume = rq->resume,
    };
    MCX_SECRET(mcx_key_msg, km);
    mcx_err err;

    if (d->musik) {
        how.kinds |= MCX_KIND_BIT(MCX_KIND_MUSIK);
    }
    for (size_t i = 0; i < rq->n_parts && !part; i++) {
        if (strcmp(rq->parts[i].type, MCX_MIME_MIKEY) == 0) {
            part = &rq->parts[i];
        }
    }
    if (!part) {
        return MCX_REFUSE(why, MCX_R_NOT_MIKEY, "", 0, "TS 24.379 6.2.0.1");
    }
    MCX_TRY(mcx_mikey_parse(&msg, part->body, why));
    err = mcx_mikey_open(&km, &msg, &how, why);
    if (err == MCX_E_EXPIRED && km.params.present) {
        revoke(d, &km);
    }
    MCX_TRY(err);
    MCX_TRY(not_current(d, &km, why));
    MCX_TRY(take_turn(d, &km, msg.t_at, why));
    snprintf(answer->mc_id, sizeof answer->mc_id, "%s", km.initiator);
    return mcx_keys_stage(host->keys, &km, NULL, &answer->key, why);
}

mcx_err
csk_download_judge(void *state, const struct mcx_rq *rq,
                   struct mcx_answer *answer, struct mcx_why *why)
{
    struct csk_download *d = state;
    mcx_err err = open_download(d, rq, answer, why);

    if (err != MCX_OK) {
        return refuse(d, answer, err);
    }
    answer->status = 200;
    return MCX_OK;
}

void
csk_download_settled(void *state, const struct mcx_rq *rq,
                     struct mcx_answer *answer, bool sent)
{
    struct csk_download *d = state;
    struct mcx_key_info info;

    (void)rq;
    if (!answer->key) {
        return;
    }
    mcx_key_info(&info, answer->key);
    /* Two downloads on the way at once: the older may come last. */
    if (sent && info.t_unix_ms >= d->committed_ms[info.kind]
        && mcx_key_commit(answer->key) == MCX_OK) {
        d->committed_ms[info.kind] = info.t_unix_ms;
        d->host->count(d->host, "csk-download.accepted");
    } else {
        mcx_key_drop(answer->key);
    }
}

/* ---- server: outgoing -------------------------------------------------- */

bool
csk_download_wants(void *state, const struct mcx_out *out)
{
    const struct csk_download *d = state;

    return d->host->role == MCX_ROLE_SERVER
           && out->purpose == MCX_FOR_DOWNLOAD;
}

/* The binding that the new key takes over.  SPEC TS 24.379 7.3.7: only a
 * client that gave us a CSK before gets another. */
static mcx_err
binding_of(struct csk_download *d, const struct mcx_out *out,
           struct mcx_key_owner *owner)
{
    bool by_impu = out->impu[0] != '\0';
    struct mcx_key *now
        = mcx_keys_current(d->host->keys, MCX_KIND_CSK,
                           by_impu ? out->impu : NULL,
                           by_impu ? NULL : out->peer);
    struct mcx_key_info info;

    if (!now) {
        return MCX_E_NO_KEY;
    }
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    if (strcmp(info.owner.mc_id, out->peer) != 0) {
        return MCX_E_NO_KEY; /* that IMPU is somebody else's */
    }
    *owner = info.owner;
    return MCX_OK;
}

static mcx_err
add_headers(struct mcx_out *out, const char *psi)
{
    static const char form[]
        = "P-Asserted-Service: " CSK_DOWNLOAD_ICSI "\r\n"
          "P-Asserted-Identity: <%s>\r\n"
          "Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%%3Aurn-7%%3A"
          "3gpp-service.ims.icsi.mcptt\";require;explicit\r\n";
    size_t room = sizeof form + strlen(psi);

    out->extra_headers = malloc(room);
    if (!out->extra_headers) {
        return MCX_E_NOMEM;
    }
    snprintf(out->extra_headers, room, form, psi);
    return MCX_OK;
}

mcx_err
csk_download_prepare(void *state, struct mcx_out *out, struct mcx_why *why)
{
    struct csk_download *d = state;
    const struct mcx_host *host = d->host;
    struct mcx_key_owner owner;
    uint8_t octets[MESSAGE_ROOM];
    size_t n = 0;
    mcx_err err;
    struct mcx_build how = {
        .env = host->env,
        .ring = host->ring,
        .kind = MCX_KIND_CSK,
        .from = d->psi,
        .to = out->peer,
        .to_kms = out->kms,
        .peer = host->peer(host, out->peer),
    };

    MCX_TRY(binding_of(d, out, &owner));
    err = MCX_E_POLICY;
    for (int i = 0; i < ID_TRIES && err == MCX_E_POLICY; i++) {
        MCX_SECRET(mcx_key_msg, km);
        n = sizeof octets;
        MCX_TRY(mcx_mikey_build(octets, &n, &km, &how, why));
        err = mcx_keys_stage(host->keys, &km, &owner, &out->key, why);
    }
    MCX_TRY(err);
    err = mcx_out_add(out, MCX_MIME_MIKEY, mcx_bytes(octets, n));
    if (err == MCX_OK) {
        err = add_headers(out, d->psi);
    }
    if (err != MCX_OK) {
        drop(&out->key);
    }
    return err;
}

/* Keeps a key of which we do not know whether the client has it. */
static bool
keep_doubtful(struct csk_download *d, struct mcx_key *key)
{
    struct doubtful *one;

    if (d->keep_ms <= 0) {
        return false;
    }
    one = calloc(1, sizeof *one);
    if (!one) {
        return false;
    }
    one->key = mcx_key_ref(key);
    one->until_mono_ms
        = d->host->env->mono_ms(d->host->env->ctx) + d->keep_ms;
    one->next = d->doubtful;
    d->doubtful = one;
    return true;
}

/* SPEC TS 24.379 7.3.7, digest 5.3: 200 switches, 488 changes nothing, no
 * answer leaves the old key for sending and both for receiving. */
enum mcx_next
csk_download_outcome(void *state, struct mcx_out *out, int status,
                     unsigned warning)
{
    struct csk_download *d = state;

    (void)warning;
    if (!out->key) {
        return MCX_NEXT_DONE;
    }
    if (status >= 200 && status < 300) {
        mcx_err err = mcx_key_commit(out->key);
        if (err != MCX_OK) {
            mcx_log(d->host->env, MCX_AREA_DOWNLOAD, 3,
                    "csk-download: key of %s not switched, %s", out->peer,
                    mcx_err_text(err));
            mcx_key_drop(out->key);
        }
        d->host->count(d->host, "csk-download.sent");
        return MCX_NEXT_DONE;
    }
    d->host->count(d->host, "csk-download.failed");
    if ((status == 408 || status == 504) && keep_doubtful(d, out->key)) {
        return MCX_NEXT_DONE;
    }
    mcx_key_drop(out->key);
    return MCX_NEXT_DONE;
}

void
csk_download_tick(void *state)
{
    struct csk_download *d = state;
    struct doubtful **at = &d->doubtful;
    int64_t now;

    if (!d->doubtful) {
        return;
    }
    now = d->host->env->mono_ms(d->host->env->ctx);
    while (*at) {
        struct doubtful *one = *at;
        if (one->until_mono_ms > now) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        drop(&one->key);
        free(one);
    }
}
