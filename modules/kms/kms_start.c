/* kms_start.c -- settings, what the cache holds, and the end.
 *
 * Called by the host, on the loop, before the first and after the last
 * kms_tick(). */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

static const char SCHEME[] = "https://";

/* ---- start and stop ---------------------------------------------------- */

static const char *
option(const struct kms *k, const char *name)
{
    return k->host->option(k->host, KMS_NAME, name);
}

static mcx_err MCX_PRINTF(2, 3)
wrong(struct mcx_text *text, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text->s, sizeof text->s, fmt, ap);
    va_end(ap);
    return MCX_E_CONFIG;
}

/* 'url' and, from its host, the KMS URI. */
static mcx_err
read_url(struct kms *k, struct mcx_text *text)
{
    const char *url = option(k, "url"), *uri = option(k, "kms-uri"), *path;
    size_t n, host_n;

    if (!url || strncmp(url, SCHEME, sizeof SCHEME - 1) != 0) {
        return wrong(text, "url = %.200s: expected https://HOST...",
                     url ? url : "(not set)");
    }
    host_n = strcspn(url + sizeof SCHEME - 1, "/?#");
    path = url + sizeof SCHEME - 1 + host_n;
    n = strlen(url);
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    if (host_n == 0 || strpbrk(url, "?#@ \t") || strlen(url) > 1024) {
        return wrong(text, "url = %.200s: expected https://HOST[:PORT][/PATH]",
                     url);
    }
    (void)snprintf(k->root, sizeof k->root, "%.*s%s", (int)n, url,
                   strspn(path, "/") == strlen(path) ? KMS_ROOT_PATH : "");
    if (uri) {
        (void)snprintf(k->kms_uri, sizeof k->kms_uri, "%s", uri);
    } else {
        const char *h = url + sizeof SCHEME - 1;

        host_n = *h == '[' ? strcspn(h, "]/") + 1 : strcspn(h, ":/");
        (void)snprintf(k->kms_uri, sizeof k->kms_uri, "%.*s", (int)host_n, h);
    }
    if (strpbrk(k->kms_uri, " \t") || (uri && strlen(uri) >= MCX_URI_MAX)) {
        return wrong(text, "kms-uri = %.200s: expected a URI", k->kms_uri);
    }
    return MCX_OK;
}

static mcx_err
read_external(struct kms *k, struct mcx_text *text)
{
    const char *s = option(k, "external");
    size_t n;

    for (; s && *s; s += n) {
        s += strspn(s, " \t,");
        n = strcspn(s, " \t,");
        if (n == 0) {
            break;
        }
        if (n >= MCX_URI_MAX || k->n_external == KMS_EXTERNAL_MAX) {
            return wrong(text, "external: expected at most %d KMS URIs",
                         KMS_EXTERNAL_MAX);
        }
        memcpy(k->external[k->n_external++].uri, s, n);
    }
    return MCX_OK;
}

/* The host has checked the ranges. */
static int64_t
seconds(const struct kms *k, const char *name)
{
    const char *s = option(k, name);

    return s ? strtoll(s, NULL, 10) : 0;
}

static bool
stopping(void *arg)
{
    const struct mcx_host *host = ((struct kms *)arg)->host;

    return host->stopping(host);
}

static mcx_err
read_settings(struct kms *k, struct mcx_text *text)
{
    const char *proxy = option(k, "proxy");

    MCX_TRY(read_url(k, text));
    MCX_TRY(read_external(k, text));
    k->user = k->host->self;
    if (!k->user || !*k->user) {
        return wrong(text, "identity is not set: whose keys?");
    }
    if (proxy && strncmp(proxy, "http://", 7) != 0) {
        return wrong(text, "proxy = %.200s: expected http://HOST:PORT",
                     proxy);
    }
    if (option(k, "key-file") && !option(k, "cert-file")) {
        return wrong(text, "key-file without cert-file");
    }
    if (!option(k, "cache") != !option(k, "cache-key-file")) {
        return wrong(text, "cache and cache-key-file: both or neither");
    }
    k->token_file = option(k, "token-file");
    k->client_id = option(k, "client-id");
    k->window_ms = seconds(k, "time-window") * 1000;
    k->refresh_ms = seconds(k, "refresh") * 1000;
    k->refresh_dice = kms_dice(k);
    k->form = strcmp(option(k, "keyprov"), "uri") == 0    ? KMS_FORM_URI
              : strcmp(option(k, "keyprov"), "time") == 0 ? KMS_FORM_TIME
                                                          : KMS_FORM_PLAIN;
    if (strcmp(option(k, "lookup"), "yes") == 0) {
        k->lookup.size = sizeof k->lookup;
        k->lookup.state = k;
        k->lookup.find = kms_find;
    }
    k->http.ca_file = option(k, "ca-file");
    k->http.cert_file = option(k, "cert-file");
    k->http.key_file = option(k, "key-file");
    k->http.proxy = proxy;
    k->http.timeout_s = (long)seconds(k, "timeout");
    k->http.stop = stopping;
    k->http.arg = k;
    return MCX_OK;
}

/* A stored answer goes the way of one from the network, except that nobody
 * asks when it was given and to what.  True: it was there and good. */
static bool
recall(struct kms *k, unsigned slot, enum mcx_kms_what what, bool external,
       struct mcx_kms_reply *reply)
{
    struct mcx_kms_expect expect = {
        .what = what, .user_uri = k->user, .kms_uri = k->kms_uri,
        .window_ms = -1
    };
    struct mcx_text text = { "" };
    char *xml = NULL;
    size_t n = 0;
    mcx_err err = kms_store_get(k->store, slot, &xml, &n);

    if (err == MCX_E_NO_KEY) {
        return false;
    }
    if (err == MCX_OK) {
        err = mcx_kms_reply_read(reply, mcx_bytes(xml, n), &expect, &text);
    }
    if (err == MCX_OK) {
        err = kms_take(k, reply, mcx_bytes(xml, n), external, false, &text);
    }
    mcx_kms_text_free(xml, n);
    if (err != MCX_OK) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: slot %u is of no use: %s",
                slot, text.s[0] ? text.s : mcx_err_text(err));
    }
    return err == MCX_OK;
}

static void
recall_all(struct kms *k)
{
    struct mcx_kms_reply reply = { 0 };

    if (recall(k, KMS_SLOT_INIT, MCX_KMS_INIT, false, &reply)) {
        k->init_ms = reply.time_unix_ms;
    }
    for (unsigned i = 0; i < KMS_KEY_SLOTS; i++) {
        (void)recall(k, KMS_SLOT_KEYS + i, MCX_KMS_KEYPROV, false, &reply);
    }
    for (unsigned i = 0; i < KMS_CERT_SLOTS && k->n_external > 0; i++) {
        if (!recall(k, KMS_SLOT_CERTS + i, MCX_KMS_CERTCACHE, true,
                    &reply)) {
            break;
        }
        k->certs_ms = reply.time_unix_ms;
        k->has_cache_num = reply.has_cache_num;
        k->cache_num = reply.cache_num;
        k->n_cert_slots = i + 1;
    }
    /* These are newer than what CertCache said of the same KMS. */
    for (size_t i = 0; i < k->n_external; i++) {
        k->sole = &k->external[i];
        if (recall(k, KMS_SLOT_EXTERNAL + (unsigned)i, MCX_KMS_CERTCACHE,
                   true, &reply)) {
            k->external[i].got_ms = reply.time_unix_ms;
        }
    }
    k->sole = NULL;
}

static mcx_err
open_store(struct kms *k, struct mcx_text *text)
{
    const char *dir = option(k, "cache");
    char who[2 * MCX_URI_MAX + 2];

    if (!dir) {
        return MCX_OK;
    }
    (void)snprintf(who, sizeof who, "%s %s", k->user, k->kms_uri);
    MCX_TRY(kms_store_open(&k->store, dir, option(k, "cache-key-file"), who,
                           k->env, text));
    recall_all(k);
    return MCX_OK;
}

mcx_err
kms_start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    struct kms *k;
    mcx_err err;

    if (!MCX_HOST_HAS(host, token_wanted)) {
        return wrong(text, "this host is too old: it knows of no tokens");
    }
    k = calloc(1, sizeof *k);
    if (!k) {
        return MCX_E_NOMEM;
    }
    k->work.work = kms_work;
    k->work.done = kms_done;
    k->host = host;
    k->env = host->env;
    pthread_mutex_init(&k->lock, NULL);
    pthread_mutex_init(&k->find_lock, NULL);
    k->marks = mcx_guard_new(sizeof *k->marks);
    if (!kms_http_begin() || !k->marks) {
        err = MCX_E_NOMEM;
    } else {
        err = k->env->random(k->env->ctx, k->marks->key.b,
                             sizeof k->marks->key.b);
    }
    if (err == MCX_OK) {
        err = read_settings(k, text);
    }
    if (err == MCX_OK) {
        err = open_store(k, text);
    }
    if (err == MCX_OK) {
        err = kms_sec_start(k, option(k, "security"),
                            option(k, "transport-keys"),
                            option(k, "answer-id"), text);
    }
    if (err != MCX_OK) {
        kms_stop(k);
        return err;
    }
    *state = k;
    return MCX_OK;
}

void
kms_stop(void *state)
{
    struct kms *k = state;

    kms_http_close(k->conn);
    kms_sec_stop(k);
    kms_store_close(k->store);
    mcx_guard_free(k->marks);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->find_lock);
    kms_http_end();
    free(k);
}
