/* kms_find.c -- KMS discovery lookup (TS 33.180 D.2.7): to which KMS does
 * somebody belong?
 *
 * Called by the glue, on the pool, before a request to a peer for whom no
 * certificate in the ring speaks.  Touches nothing of the client's other work
 * but its settings and, to read them, its transport keys: a connection of its
 * own, one look-up at a time.  An answer that names a KMS which our settings
 * do not list is no answer. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

const void *
kms_feature(void *state, const char *name)
{
    const struct kms *k = state;

    return strcmp(name, "kms.lookup") == 0 && k->lookup.state ? &k->lookup
                                                              : NULL;
}

static bool
listed(const struct kms *k, const char *kms)
{
    bool is = strcmp(kms, k->kms_uri) == 0;

    for (size_t i = 0; i < k->n_external; i++) {
        is = is || strcmp(kms, k->external[i].uri) == 0;
    }
    return is;
}

static mcx_err
send_it(const struct kms *k, const char *url, struct mcx_bytes body,
        struct kms_http_reply *http)
{
    char *token = mcx_guard_new(KMS_TOKEN_MAX + 1);
    mcx_err err = token ? kms_read_token(k, token) : MCX_E_NOMEM;
    struct kms_http *conn = NULL;

    if (err == MCX_OK && !k->post) {
        err = kms_http_open(&conn, &k->http);
    }
    if (err == MCX_OK) {
        const char *t = token[0] ? token : NULL;

        k->host->count(k->host, "kms.requests");
        err = k->post ? k->post(k->post_arg, url, t, body, http)
                      : kms_http_post(conn, url, t, body, http);
    }
    kms_http_close(conn);
    mcx_guard_free(token);
    return err;
}

/* '*believed': it is what the KMS says, as far as 'security' tells. */
static mcx_err
judge(struct kms *k, struct kms_sec_call *call, const char *url,
      const char *uri, struct kms_http_reply *http, char kms[MCX_URI_MAX],
      bool *believed, struct mcx_text *text)
{
    bool good = http->status == 200;
    struct mcx_kms_expect expect = {
        .what = good ? MCX_KMS_LOOKUP : MCX_KMS_ANY,
        .user_uri = k->user, .kms_uri = k->kms_uri, .client_req_url = url,
        .now_unix_ms = kms_now_ms(k), .window_ms = k->window_ms
    };
    struct mcx_kms_reply *reply = calloc(1, sizeof *reply);
    mcx_err err = MCX_OK;

    if (!reply) {
        return MCX_E_NOMEM;
    }
    *believed = true;
    if (good || call) {
        err = kms_sec_read(k, call, http, &expect, reply, text);
        *believed = err == MCX_OK || err == MCX_E_PEER;
    }
    if (!good && *believed) {
        (void)snprintf(text->s, sizeof text->s, "HTTP status %ld",
                       http->status);
        err = http->status == 404 ? MCX_E_NO_IDENTITY : MCX_E_PEER;
    }
    if (err == MCX_OK && strcmp(reply->lookup_uri, uri) != 0) {
        (void)snprintf(text->s, sizeof text->s, "it is about somebody else");
        err = MCX_E_AUTH;
    }
    if (err == MCX_OK && !listed(k, reply->lookup_kms)) {
        (void)snprintf(text->s, sizeof text->s, "%.400s is not one that we "
                       "may use", reply->lookup_kms);
        err = MCX_E_POLICY;
    }
    if (err == MCX_OK) {
        (void)snprintf(kms, MCX_URI_MAX, "%s", reply->lookup_kms);
    }
    free(reply);
    return err;
}

/* One question under the keys of 'turn'. */
static mcx_err
ask_once(struct kms *k, struct mcx_kms_request *req, size_t turn,
         const char *uri, char kms[MCX_URI_MAX], bool *believed,
         struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct kms_sec_call *call = NULL;
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    *believed = true;
    MCX_TRY(kms_sec_begin(&call, k, turn));
    req->time_unix_ms = kms_now_ms(k);
    err = kms_sec_write(k, call, req, &xml, &n);
    if (err == MCX_OK) {
        err = send_it(k, req->client_req_url, mcx_bytes(xml, n), &http);
        *text = http.text;
    }
    if (err == MCX_OK) {
        err = judge(k, call, req->client_req_url, uri, &http, kms, believed,
                    text);
    }
    kms_http_drop(&http);
    mcx_kms_text_free(xml, n);
    kms_sec_end(call);
    return err;
}

static mcx_err
look_up(struct kms *k, const char *uri, char kms[MCX_URI_MAX])
{
    struct mcx_kms_request *req = calloc(1, sizeof *req);
    struct mcx_text text = { "" };
    bool believed = true;
    mcx_err err, more;

    if (!req) {
        return MCX_E_NOMEM;
    }
    (void)snprintf(req->user_uri, sizeof req->user_uri, "%s", k->user);
    (void)snprintf(req->kms_uri, sizeof req->kms_uri, "%s", k->kms_uri);
    (void)snprintf(req->client_req_url, sizeof req->client_req_url, "%s",
                   k->root);
    (void)snprintf(req->client_id, sizeof req->client_id, "%s",
                   k->client_id ? k->client_id : "");
    err = kms_add_segment(req->client_req_url, "lookup");
    if (err == MCX_OK) {
        err = kms_add_segment(req->client_req_url, uri);
    }
    if (err == MCX_OK) {
        err = ask_once(k, req, 0, uri, kms, &believed, &text);
    }
    /* It may be about to change our transport keys. */
    for (size_t turn = 1; !believed; turn++) {
        more = ask_once(k, req, turn, uri, kms, &believed, &text);
        if (more == MCX_E_NO_KEY) {
            break;
        }
        err = more;
    }
    if (err != MCX_OK) {
        k->host->count(k->host, "kms.failed");
        mcx_log(k->env, MCX_AREA_KMS, 3, "Lookup of %.400s at %s failed: %s",
                uri, k->kms_uri, text.s[0] ? text.s : mcx_err_text(err));
    }
    free(req);
    return err;
}

/* With the lock. */
static struct kms_found *
remembered(struct kms *k, const char *uri)
{
    for (size_t i = 0; i < KMS_FOUND_MAX; i++) {
        struct kms_found *f = &k->found[i];

        if (strcmp(f->uri, uri) == 0 && kms_mono_ms(k) < f->until_mono_ms) {
            return f;
        }
    }
    return NULL;
}

mcx_err
kms_find(void *state, const char *uri, char kms[MCX_URI_MAX])
{
    struct kms *k = state;
    struct kms_found *f;
    mcx_err err;

    kms[0] = '\0';
    if (!uri[0] || strlen(uri) >= MCX_URI_MAX) {
        return MCX_E_ARG;
    }
    pthread_mutex_lock(&k->find_lock);
    f = remembered(k, uri);
    if (!f && kms_mono_ms(k) < k->find_mono_ms) {
        pthread_mutex_unlock(&k->find_lock);
        return MCX_E_BUSY;
    }
    if (!f) {
        /* In the oldest place; older answers are not found any more. */
        f = &k->found[k->next_found++ % KMS_FOUND_MAX];
        memset(f, 0, sizeof *f);
        f->err = look_up(k, uri, f->kms);
        (void)snprintf(f->uri, sizeof f->uri, "%s", uri);
        f->until_mono_ms = kms_mono_ms(k)
                           + (f->err == MCX_OK ? KMS_FOUND_MS : KMS_LOST_MS);
    }
    err = f->err;
    if (mcx_err_class(err) == MCX_CLASS_WORLD && err != MCX_E_PEER) {
        /* Workers are not to queue up for a KMS that does not answer. */
        f->until_mono_ms = 0;
        k->find_mono_ms = kms_mono_ms(k) + KMS_TOKEN_LOOK_MS;
    }
    (void)snprintf(kms, MCX_URI_MAX, "%s", f->kms);
    pthread_mutex_unlock(&k->find_lock);
    return err;
}
