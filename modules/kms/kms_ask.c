/* kms_ask.c -- one question to the KMS, and what its answer brings.
 *
 * Called by kms.c on the pool, a step at a time, and by kms_start.c with what
 * the cache holds.  Nothing of an answer is used before it has been judged as
 * a whole (mcx_kms_reply_read), and each key by itself (mcx_kms_load_only).
 * When something is asked, and what a failure means, is for kms.c.
 *
 * Clauses: TS 33.180 D.2, D.3. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include "kms_state.h"

/* ---- the cache --------------------------------------------------------- */

/* A cache that cannot be written costs a request at the next start. */
static void
keep(struct kms *k, unsigned slot, struct mcx_bytes xml)
{
    mcx_err err = k->store ? kms_store_put(k->store, slot, xml) : MCX_OK;

    if (err != MCX_OK) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: slot %u not written: %s",
                slot, mcx_err_text(err));
    }
}

static mcx_err
purge(struct kms *k)
{
    bool slots[KMS_SLOTS];

    pthread_mutex_lock(&k->lock);
    memcpy(slots, k->purge, sizeof slots);
    memset(k->purge, 0, sizeof k->purge);
    k->any_purge = false;
    pthread_mutex_unlock(&k->lock);
    for (unsigned i = 0; i < KMS_SLOTS; i++) {
        if (!slots[i]) {
            continue;
        }
        if (i >= KMS_SLOT_KEYS && i < KMS_SLOT_KEYS + KMS_KEY_SLOTS) {
            uint64_t no = k->slot_no[i - KMS_SLOT_KEYS];

            /* Another period's may have come to lie there since. */
            if (no > 0 && kms_has_key(k, no - 1)) {
                continue;
            }
            k->slot_no[i - KMS_SLOT_KEYS] = 0;
        }
        keep(k, i, mcx_bytes(NULL, 0));
    }
    return MCX_OK;
}

/* ---- what an answer brings --------------------------------------------- */

static bool
home_cert(void *arg, const struct mcx_kms_info *info)
{
    const struct kms *k = arg;

    return strcmp(info->uri, k->kms_uri) == 0;
}

static bool
names_domain(const struct mcx_kms_info *info, const char *domain)
{
    for (size_t i = 0; i < info->n_domains; i++) {
        if (strcasecmp(info->domain[i], domain) == 0) {
            return true;
        }
    }
    return false;
}

/* Does 'domain' belong to somebody else than 'info'?  Identities resolve to
 * exactly one KMS, and ours is not to be taken from us. */
static bool
taken(const struct kms *k, const struct mcx_kms_info *info,
      const char *domain)
{
    const char *at = strchr(k->user, '@');
    size_t n = strlen(domain);
    struct mcx_kms_info other;
    char uri[MCX_GROUP_ID_MAX + 8];

    memset(&other, 0, sizeof other);
    if (at && strcspn(at + 1, ":;?") == n
        && strncasecmp(at + 1, domain, n) == 0) {
        return true;
    }
    (void)snprintf(uri, sizeof uri, "sip:x@%s", domain);
    return mcx_ring_kms_of(k->host->ring, uri, &other, NULL) == MCX_OK
           && strcmp(other.uri, info->uri) != 0
           && names_domain(&other, domain);
}

/* Only KMSs that the settings list, for domains of their own. */
static bool
external_cert(void *arg, const struct mcx_kms_info *info)
{
    struct kms *k = arg;
    struct kms_external *x = NULL;
    struct mcx_kms_info home;

    for (size_t i = 0; i < k->n_external && !x; i++) {
        x = strcmp(k->external[i].uri, info->uri) == 0 ? &k->external[i]
                                                       : NULL;
    }
    if (!x || (k->sole && k->sole != x)
        || strcmp(info->uri, k->kms_uri) == 0) {
        return false;
    }
    /* A certificate that names no domain speaks for everybody for whom nobody
     * else does: without a list of ours that would be our own users. */
    memset(&home, 0, sizeof home);
    if (info->n_domains == 0
        && (mcx_ring_kms(k->host->ring, mcx_bytes_str(k->kms_uri), &home,
                         NULL) != MCX_OK
            || home.n_domains == 0)) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "refused, certificate of %s: it "
                "names no domain, and ours does not either", info->uri);
        return false;
    }
    for (size_t i = 0; i < info->n_domains; i++) {
        if (taken(k, info, info->domain[i])) {
            mcx_log(k->env, MCX_AREA_KMS, 3, "refused, certificate of %s: "
                    "%s belongs to another KMS", info->uri,
                    info->domain[i]);
            return false;
        }
    }
    x->listed = true;
    return true;
}

static void
hold(struct kms *k, uint64_t no, int64_t valid_to_unix)
{
    size_t i = 0;

    pthread_mutex_lock(&k->lock);
    while (i < k->n_held && k->held[i].no != no) {
        i++;
    }
    if (i == KMS_HELD_MAX) {
        /* Full of what the ring has lost: the oldest goes. */
        i = 0;
        for (size_t j = 1; j < KMS_HELD_MAX; j++) {
            i = k->held[j].no < k->held[i].no ? j : i;
        }
    }
    k->held[i].no = no;
    k->held[i].valid_to_unix = valid_to_unix;
    k->n_held += i == k->n_held;
    pthread_mutex_unlock(&k->lock);
}

static void
took(void *arg, uint64_t period_no)
{
    struct kms *k = arg;

    if (k->n_took < MCX_KMS_SETS_MAX) {
        k->took[k->n_took++] = period_no;
    }
}

static bool
was_taken(const struct kms *k, uint64_t no)
{
    for (size_t i = 0; i < k->n_took; i++) {
        if (k->took[i] == no) {
            return true;
        }
    }
    return false;
}

/* After the sets of 'xml' went to the ring: what is kept, what goes.  'fresh':
 * it came from the network. */
static void
settle_sets(struct kms *k, const struct mcx_kms_reply *reply,
            struct mcx_bytes xml, bool fresh)
{
    struct mcx_kms_info info;
    uint64_t now_no = 0;

    memset(&info, 0, sizeof info);
    if (!kms_present(k, &info, &now_no)) {
        return;
    }
    for (size_t i = 0; i < reply->n_sets; i++) {
        const struct mcx_kms_announced *a = &reply->set[i];

        if (a->revoked) {
            kms_drop_key(k, a->period_no, "revoked by the KMS");
            k->to_report = MCX_E_EXPIRED;
        } else if (!was_taken(k, a->period_no)) {
            continue; /* refused: what we have of that period stays */
        } else if (a->period_no + 1 < now_no || a->period_no > now_no + 1) {
            /* Not asked for, and there is no room for more than three. */
            mcx_ring_drop_user(k->host->ring, k->user, k->kms_uri,
                               a->period_no);
            if (!fresh) {
                kms_purge_slot(k, KMS_SLOT_KEYS
                                  + (unsigned)(a->period_no
                                               % KMS_KEY_SLOTS));
            }
        } else {
            unsigned slot = (unsigned)(a->period_no % KMS_KEY_SLOTS);

            hold(k, a->period_no, a->valid_to_unix);
            k->slot_no[slot] = a->period_no + 1;
            if (fresh) {
                keep(k, KMS_SLOT_KEYS + slot, xml);
                k->grew = true;
                k->host->identity(k->host, k->user, k->kms_uri,
                                  a->period_no);
            }
        }
    }
}

/* Takes a judged answer to the ring. */
mcx_err
kms_take(struct kms *k, const struct mcx_kms_reply *reply,
         struct mcx_bytes xml, bool external, bool fresh,
         struct mcx_text *text)
{
    struct mcx_kms_only only = {
        .user_uri = k->user, .kms_uri = k->kms_uri,
        .cert = external ? external_cert : home_cert, .took = took, .arg = k
    };
    struct mcx_kms_loaded loaded = { 0, 0 };
    mcx_err err;

    k->n_took = 0;
    for (size_t i = 0; i < k->n_external; i++) {
        k->external[i].listed = false;
    }
    err = mcx_kms_load_only(k->host->ring, xml, fresh ? k->kms_uri : "cache",
                            &only, k->env, &loaded, text);
    if (reply->what == MCX_KMS_KEYPROV) {
        settle_sets(k, reply, xml, fresh);
    } else if (err == MCX_OK && !external && loaded.n_kms == 0) {
        (void)snprintf(text->s, sizeof text->s,
                       "KmsInit holds the certificate of another KMS");
        err = MCX_E_AUTH;
    }
    if (loaded.n_kms > 0 && fresh) {
        k->grew = true;
    }
    if (loaded.n_kms > 0 && !external) {
        kms_sweep(k); /* it may be revoked */
    }
    return err;
}

/* ---- one question ------------------------------------------------------ */

/* Opening a pipe waits for somebody to write, and the end of the host would
 * wait with it; a device may never end. */
static bool
is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

mcx_err
kms_read_token(const struct kms *k, char *out)
{
    char *s = NULL;
    size_t n = 0, i;
    mcx_err err;

    out[0] = '\0';
    if (!k->token_file) {
        err = k->host->token(k->host, out, KMS_TOKEN_MAX + 1);
        return err == MCX_E_UNSUPPORTED ? MCX_OK : err;
    }
    if (!is_file(k->token_file)) {
        return MCX_E_IO;
    }
    MCX_TRY(k->env->read_file(k->env->ctx, k->token_file, KMS_TOKEN_MAX, &s,
                              &n));
    while (n > 0 && (unsigned char)s[n - 1] <= ' ') {
        n--;
    }
    err = n > 0 ? MCX_OK : MCX_E_CONFIG;
    for (i = 0; i < n; i++) {
        /* Anything else could end the header line. */
        if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f) {
            err = MCX_E_CONFIG;
        }
    }
    if (err == MCX_OK) {
        memcpy(out, s, n);
        out[n] = '\0';
    }
    mcx_wipe(s, n);
    free(s);
    return err;
}

static void
mark_token(struct kms *k, uint8_t mark[MCX_SEAL_MAC_SIZE], const char *token)
{
    struct mcx_bytes part = mcx_bytes_str(token);

    if (mcx_seal_mac(mark, &k->marks->key, &part, 1) != MCX_OK) {
        memset(mark, 0, MCX_SEAL_MAC_SIZE);
    }
}

/* Is there another token than the one that was refused?  Then ask at once. */
static mcx_err
look(struct kms *k)
{
    uint8_t mark[MCX_SEAL_MAC_SIZE];
    char *token = mcx_guard_new(KMS_TOKEN_MAX + 1);

    k->look_mono_ms = kms_mono_ms(k) + kms_look_ms(k);
    if (token && kms_read_token(k, token) == MCX_OK) {
        mark_token(k, mark, token);
        if (!mcx_secret_eq(mark, k->marks->used, sizeof mark)) {
            k->token_refused = false;
            k->failures = 0;
            k->next_mono_ms = 0;
        }
    }
    mcx_guard_free(token);
    return MCX_OK;
}

mcx_err
kms_add_segment(char url[MCX_KMS_URL_MAX], const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(url);

    url[n++] = '/';
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (n + 4 > MCX_KMS_URL_MAX) {
            return MCX_E_TOOBIG;
        }
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
            || (c >= 'a' && c <= 'z') || strchr("-._~", c)) {
            url[n++] = (char)c;
        } else {
            url[n++] = '%';
            url[n++] = digits[c >> 4];
            url[n++] = digits[c & 15];
        }
    }
    url[n] = '\0';
    return MCX_OK;
}

static mcx_err
post(struct kms *k, const char *url, struct mcx_bytes body,
     struct kms_http_reply *http)
{
    char *token = mcx_guard_new(KMS_TOKEN_MAX + 1);
    mcx_err err = token ? kms_read_token(k, token) : MCX_E_NOMEM;

    if (err == MCX_E_NO_KEY) {
        mark_token(k, k->marks->used, "");
        k->token_refused = true; /* looked for until it is there */
        k->host->token_wanted(k->host, k->kms_uri, 0);
        (void)snprintf(http->text.s, sizeof http->text.s,
                       "the application has given no token yet");
    } else if (err != MCX_OK) {
        (void)snprintf(http->text.s, sizeof http->text.s, "%s: %s",
                       k->token_file ? "token-file" : "token",
                       mcx_err_text(err));
    }
    if (err != MCX_OK) {
        mcx_guard_free(token);
        return err;
    }
    mark_token(k, k->marks->used, token);
    if (!k->post && !k->conn) {
        err = kms_http_open(&k->conn, &k->http);
    }
    if (err == MCX_OK) {
        k->host->count(k->host, "kms.requests");
        err = k->post ? k->post(k->post_arg, url, token[0] ? token : NULL,
                                body, http)
                      : kms_http_post(k->conn, url,
                                      token[0] ? token : NULL, body, http);
    }
    mcx_guard_free(token);
    return err;
}

/* An answer with another status than 200: what it says of itself, if that can
 * be read.  Only a signed one counts as the KMS's; one that is not is good for
 * people to read at most, and otherwise a reason to try other keys. */
static mcx_err
other_status(struct kms *k, struct kms_sec_call *call,
             struct kms_http_reply *http,
             const struct mcx_kms_expect *expect, struct mcx_kms_reply *reply,
             struct mcx_text *text)
{
    struct mcx_kms_expect any = *expect;
    struct mcx_text ignored;
    mcx_err err;

    any.what = MCX_KMS_ANY;
    err = kms_sec_read(k, call, http, &any, reply, &ignored);
    if (err != MCX_OK && err != MCX_E_PEER) {
        kms_sec_failed(k, call);
        if (call && !mcx_kms_is_signed(mcx_bytes(http->body, http->n),
                                       MCX_KMS_XML_MAX)) {
            err = mcx_kms_reply_read(reply, mcx_bytes(http->body, http->n),
                                     &any, NULL);
        }
    }
    if (err != MCX_E_PEER) {
        reply->error_msg[0] = '\0';
    }
    if (http->status == 401 || http->status == 403) {
        k->token_refused = true;
        if (!k->token_file) {
            k->host->token_wanted(k->host, k->kms_uri, (int)http->status);
        }
    }
    (void)snprintf(text->s, sizeof text->s, "HTTP status %ld%s%s%s",
                   http->status,
                   http->status >= 300 && http->status < 400
                       ? ", a redirect, which is not followed" : "",
                   reply->error_msg[0] ? ": " : "", reply->error_msg);
    return MCX_E_PEER;
}

struct question {
    enum mcx_kms_what what;
    bool external;
    char url[MCX_KMS_URL_MAX];
};

/* Asks, judges and takes.  On success '*http' holds the answer, to be dropped
 * by the caller in any case. */
static mcx_err
ask(struct kms *k, const struct question *q, struct mcx_kms_reply *reply,
    struct kms_http_reply *http, struct mcx_text *text)
{
    struct mcx_kms_expect expect = {
        .what = q->what, .user_uri = k->user, .kms_uri = k->kms_uri,
        .client_req_url = q->url, .window_ms = k->window_ms
    };
    struct mcx_kms_request *req = calloc(1, sizeof *req);
    struct kms_sec_call *call = NULL;
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    if (!req) {
        return MCX_E_NOMEM;
    }
    (void)snprintf(req->user_uri, sizeof req->user_uri, "%s", k->user);
    (void)snprintf(req->kms_uri, sizeof req->kms_uri, "%s", k->kms_uri);
    (void)snprintf(req->client_req_url, sizeof req->client_req_url, "%s",
                   q->url);
    (void)snprintf(req->client_id, sizeof req->client_id, "%s",
                   k->client_id ? k->client_id : "");
    req->time_unix_ms = kms_now_ms(k);
    if (k->to_report != MCX_OK) {
        req->has_error = true;
        req->error_code = (uint64_t)k->to_report;
        (void)snprintf(req->error_msg, sizeof req->error_msg, "%s",
                       mcx_err_text(k->to_report));
    }
    err = kms_sec_begin(&call, k, 0);
    if (err == MCX_OK) {
        err = kms_sec_write(k, call, req, &xml, &n);
    }
    free(req);
    if (err == MCX_OK) {
        err = post(k, q->url, mcx_bytes(xml, n), http);
        *text = http->text;
    }
    mcx_kms_text_free(xml, n);
    expect.now_unix_ms = kms_now_ms(k);
    if (err == MCX_OK && http->status != 200) {
        err = other_status(k, call, http, &expect, reply, text);
    } else if (err == MCX_OK) {
        k->token_refused = false;
        k->to_report = MCX_OK;
        err = kms_sec_read(k, call, http, &expect, reply, text);
        if (err == MCX_OK) {
            kms_sec_worked(k, call);
        } else if (err != MCX_E_PEER) {
            kms_sec_failed(k, call);
        }
    }
    kms_sec_end(call);
    MCX_TRY(err);
    return kms_take(k, reply, mcx_bytes(http->body, http->n), q->external,
                    true, text);
}

/* ---- the steps --------------------------------------------------------- */

static mcx_err
start_question(const struct kms *k, struct question *q,
               enum mcx_kms_what what, const char *resource)
{
    int n = snprintf(q->url, sizeof q->url, "%s/%s", k->root, resource);

    q->what = what;
    q->external = false;
    return n > 0 && (size_t)n < sizeof q->url ? MCX_OK : MCX_E_TOOBIG;
}

static mcx_err
do_init(struct kms *k, struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct mcx_kms_info info;
    struct question q;
    uint64_t no = 0;
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(start_question(k, &q, MCX_KMS_INIT, "init"));
    err = ask(k, &q, &reply, &http, text);
    if (err == MCX_OK) {
        k->init_ms = kms_now_ms(k);
        k->refresh_dice = kms_dice(k);
        k->init_now = false;
        keep(k, KMS_SLOT_INIT, mcx_bytes(http.body, http.n));
        if (!kms_present(k, &info, &no)) {
            (void)snprintf(text->s, sizeof text->s, "the certificate of "
                           "%.400s is revoked, or this is not its time",
                           k->kms_uri);
            k->to_report = MCX_E_EXPIRED;
            err = MCX_E_EXPIRED;
        }
    }
    kms_http_drop(&http);
    return err;
}

/* The keys of period 'no'. */
static mcx_err
do_keys(struct kms *k, uint64_t no, enum kms_form form,
        struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct mcx_kms_info info;
    struct question q;
    char when[17];
    uint64_t present_no = 0;
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(start_question(k, &q, MCX_KMS_KEYPROV, "keyprov"));
    if (form != KMS_FORM_PLAIN) {
        MCX_TRY(kms_add_segment(q.url, k->user));
    }
    if (form == KMS_FORM_TIME) {
        if (!kms_present(k, &info, &present_no)) {
            return MCX_E_STATE;
        }
        /* Upper 32 bits: seconds since 1900 of the era (D.2.4). */
        (void)snprintf(when, sizeof when, "%08lX00000000",
                       (unsigned long)((uint64_t)mcx_period_start(
                                           &info.period, no)
                                       & 0xffffffffu));
        MCX_TRY(kms_add_segment(q.url, when));
    }
    err = ask(k, &q, &reply, &http, text);
    kms_http_drop(&http);
    if (kms_has_key(k, no)) {
        if (err != MCX_OK) {
            /* A set beside it was bad; ours is good. */
            mcx_log(k->env, MCX_AREA_KMS, 3, "a key set was refused: %s",
                    text->s);
            k->host->count(k->host, "kms.refused");
            k->to_report = err;
        }
        k->plain_missed = 0;
        return MCX_OK;
    }
    if (err == MCX_OK && form != KMS_FORM_TIME) {
        k->plain_missed = no + 1; /* asked for by its time next */
        return MCX_OK;
    }
    k->plain_missed = 0;
    if (err == MCX_OK) {
        (void)snprintf(text->s, sizeof text->s,
                       "the answer has no keys of period %llu",
                       (unsigned long long)no);
        err = MCX_E_NO_PERIOD;
    }
    return err;
}

/* Keys of the present period: in the form of the setting first, for a plain
 * question is what every KMS knows; then at a time in it. */
static mcx_err
do_present_keys(struct kms *k, struct mcx_text *text)
{
    struct mcx_kms_info info;
    uint64_t no = 0;

    memset(&info, 0, sizeof info);
    return kms_present(k, &info, &no)
               ? do_keys(k, no, k->plain_missed != no + 1 ? k->form
                                                         : KMS_FORM_TIME,
                         text)
               : MCX_OK;
}

static mcx_err
do_next_keys(struct kms *k, struct mcx_text *text)
{
    struct mcx_kms_info info;
    uint64_t no = 0;

    memset(&info, 0, sizeof info);
    return kms_present(k, &info, &no) ? do_keys(k, no + 1, KMS_FORM_TIME, text)
                                      : MCX_OK;
}

/* Not having certificates of others is no reason to stop caring for our own
 * keys: only a KMS that does not answer at all is. */
static mcx_err
not_vital(struct kms *k, mcx_err err, const char *what,
          const struct mcx_text *text, int64_t *next_mono_ms)
{
    if (err == MCX_OK || err == MCX_E_IO || err == MCX_E_TIMEOUT
        || err == MCX_E_STATE) {
        return err;
    }
    *next_mono_ms = kms_mono_ms(k) + KMS_CERT_LOOK_MS;
    k->host->count(k->host, "kms.failed");
    mcx_log(k->env, MCX_AREA_KMS, 3, "%s: %s; again in %d s", what,
            text->s[0] ? text->s : mcx_err_text(err),
            KMS_CERT_LOOK_MS / 1000);
    return MCX_OK;
}

static mcx_err
do_certs(struct kms *k, struct mcx_text *text)
{
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct question q;
    char num[24];
    mcx_err err;

    MCX_TRY(start_question(k, &q, MCX_KMS_CERTCACHE, "certcache"));
    q.external = true;
    if (k->n_cert_slots == KMS_CERT_SLOTS) {
        k->has_cache_num = false; /* all of it again, in one answer */
    }
    if (k->has_cache_num) {
        (void)snprintf(num, sizeof num, "%llu",
                       (unsigned long long)k->cache_num);
        MCX_TRY(kms_add_segment(q.url, num));
    }
    err = ask(k, &q, &reply, &http, text);
    if (err == MCX_OK) {
        if (!k->has_cache_num) {
            for (unsigned i = 0; i < k->n_cert_slots; i++) {
                kms_purge_slot(k, KMS_SLOT_CERTS + i);
            }
            k->n_cert_slots = 0;
        }
        k->certs_ms = kms_now_ms(k);
        /* What Cert brought before is older now, and must not come back with
         * the next start: it may be revoked since. */
        for (size_t i = 0; i < k->n_external; i++) {
            if (k->external[i].listed && k->external[i].got_ms != 0) {
                k->external[i].got_ms = 0;
                kms_purge_slot(k, KMS_SLOT_EXTERNAL + (unsigned)i);
            }
        }
        (void)purge(k);
        /* An empty answer to the same number says that nothing is new. */
        if (k->n_cert_slots == 0 || !k->has_cache_num
            || (reply.has_cache_num && reply.cache_num != k->cache_num)) {
            keep(k, KMS_SLOT_CERTS + k->n_cert_slots,
                 mcx_bytes(http.body, http.n));
            k->n_cert_slots++;
        }
        k->has_cache_num = reply.has_cache_num;
        k->cache_num = reply.cache_num;
    }
    kms_http_drop(&http);
    return not_vital(k, err, "CertCache", text, &k->certs_next_mono_ms);
}

static mcx_err
do_external(struct kms *k, size_t which, struct mcx_text *text)
{
    struct kms_external *x = &k->external[which];
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply = { 0 };
    struct question q;
    mcx_err err;

    MCX_TRY(start_question(k, &q, MCX_KMS_CERTCACHE, "cert"));
    q.external = true;
    MCX_TRY(kms_add_segment(q.url, x->uri));
    k->sole = x;
    err = ask(k, &q, &reply, &http, text);
    k->sole = NULL;
    if (err == MCX_OK && !x->listed) {
        (void)snprintf(text->s, sizeof text->s,
                       "no certificate of %.400s came that we may "
                       "use", x->uri);
        err = MCX_E_NO_IDENTITY;
    }
    if (err == MCX_OK) {
        x->got_ms = kms_now_ms(k);
        keep(k, KMS_SLOT_EXTERNAL + (unsigned)which,
             mcx_bytes(http.body, http.n));
    }
    kms_http_drop(&http);
    return not_vital(k, err, "Cert", text, &x->next_mono_ms);
}

mcx_err
kms_run_step(struct kms *k, enum kms_step step, size_t which,
             struct mcx_text *text)
{
    switch (step) {
    case KMS_STEP_PURGE:
        return purge(k);
    case KMS_STEP_LOOK:
        return look(k);
    case KMS_STEP_INIT:
        return do_init(k, text);
    case KMS_STEP_KEYS:
        return do_present_keys(k, text);
    case KMS_STEP_NEXT:
        return do_next_keys(k, text);
    case KMS_STEP_CERTS:
        return do_certs(k, text);
    case KMS_STEP_EXTERNAL:
        return do_external(k, which, text);
    default:
        return MCX_OK;
    }
}
