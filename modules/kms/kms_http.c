/* kms_http.c -- one POST to the KMS over TLS.  See kms.h.
 *
 * The only file that sees libcurl.  Called on the pool, by one thread at a
 * time for each connection.  No setting reaches this file that could turn the
 * check of the server's certificate or name off, allow another scheme or an
 * older TLS, follow a redirect, or take a proxy or credentials from the
 * process environment or a .netrc.
 *
 * libcurl and the TLS library keep received octets in buffers of their own.
 * OpenSSL is told to clean its own, libcurl gets an allocator that wipes what
 * it frees (when nobody in the process has started libcurl before us); what
 * arrives here is wiped by kms_http_drop(). */
#include <config.h>
#include <curl/curl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms.h"

enum { CONNECT_S = 10, HEADER_MAX = 65536, FIRST_ROOM = 16384 };

struct kms_http {
    CURL *curl;
    struct kms_http_set set;
    struct kms_http_reply *reply; /* of the transfer under way */
    size_t header_n;
    bool toobig, nomem, stopped;
    char error[CURL_ERROR_SIZE];
};

/* ---- an allocator that wipes ------------------------------------------- */

static void
wiping_free(void *p)
{
    if (p) {
        mcx_wipe(p, malloc_usable_size(p));
        free(p);
    }
}

static void *
wiping_realloc(void *p, size_t n)
{
    size_t had = p ? malloc_usable_size(p) : 0;
    void *q = malloc(n ? n : 1);

    if (q && p) {
        memcpy(q, p, had < n ? had : n);
        wiping_free(p);
    }
    return q;
}

bool
kms_http_begin(void)
{
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free,
                                wiping_realloc, strdup, calloc)
           == CURLE_OK;
}

void
kms_http_end(void)
{
    curl_global_cleanup();
}

void
kms_http_drop(struct kms_http_reply *reply)
{
    if (reply->body) {
        mcx_wipe(reply->body, reply->room);
        free(reply->body);
    }
    reply->body = NULL;
    reply->n = reply->room = 0;
}

/* Makes room for 'more' octets and a NUL; what is left behind is wiped. */
static bool
grow(struct kms_http_reply *r, size_t more)
{
    size_t room = r->room ? r->room : FIRST_ROOM;
    char *bigger;

    while (room < r->n + more + 1) {
        room *= 2;
    }
    if (room == r->room) {
        return true;
    }
    bigger = malloc(room);
    if (!bigger) {
        return false;
    }
    if (r->body) {
        memcpy(bigger, r->body, r->n);
        mcx_wipe(r->body, r->room);
        free(r->body);
    }
    r->body = bigger;
    r->room = room;
    return true;
}

/* Anything but 'n' ends the transfer. */
static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
    struct kms_http *http = arg;
    struct kms_http_reply *r = http->reply;

    n *= size;
    if (n > (size_t)MCX_KMS_XML_MAX - r->n) {
        http->toobig = true;
        return 0;
    }
    if (!grow(r, n)) {
        http->nomem = true;
        return 0;
    }
    memcpy(r->body + r->n, p, n);
    r->n += n;
    r->body[r->n] = '\0';
    return n;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
    struct kms_http *http = arg;

    (void)p;
    n *= size;
    http->header_n += n;
    if (http->header_n > HEADER_MAX) {
        http->toobig = true;
        return 0;
    }
    return n;
}

static int
on_progress(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
            curl_off_t ul)
{
    struct kms_http *http = arg;

    (void)dl_total;
    (void)dl;
    (void)ul_total;
    (void)ul;
    if (http->set.stop && http->set.stop(http->set.arg)) {
        http->stopped = true;
        return 1;
    }
    return 0;
}

/* Has OpenSSL overwrite what it decrypted once it was read, and libcurl write
 * the keys of the connection to no file that SSLKEYLOGFILE names: with it and
 * a capture our keys could be read. */
static CURLcode
on_tls(CURL *curl, void *ssl_ctx, void *arg)
{
    (void)curl;
    (void)arg;
    SSL_CTX_set_options(ssl_ctx, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_keylog_callback(ssl_ctx, NULL);
    return CURLE_OK;
}

/* libcurl may stand on another TLS library, whose context is not ours. */
static bool
tls_is_openssl(void)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

    return v->ssl_version && strncmp(v->ssl_version, "OpenSSL/3", 9) == 0;
}

/* Everything that holds for every request; false when libcurl refuses one,
 * and then nothing is sent. */
static bool
prepare(struct kms_http *http)
{
    CURL *c = http->curl;
    const struct kms_http_set *set = &http->set;
    bool ok = true;

#define SET(option, value)                                                    \
    (ok = curl_easy_setopt(c, (option), (value)) == CURLE_OK && ok)
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (tls_is_openssl()) {
        SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
    }
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, (void *)http);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, (void *)http);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, (void *)http);
    SET(CURLOPT_ERRORBUFFER, http->error);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)MCX_KMS_XML_MAX);
    SET(CURLOPT_TIMEOUT, set->timeout_s);
    SET(CURLOPT_CONNECTTIMEOUT,
        set->timeout_s < CONNECT_S ? set->timeout_s : (long)CONNECT_S);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_USERAGENT, "sofia-mcx");
    /* "" and not NULL: the environment is not asked. */
    SET(CURLOPT_PROXY, set->proxy ? set->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    if (set->proxy) {
        SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
    }
    if (set->ca_file) {
        /* Only this one: the system's store is not asked as well. */
        SET(CURLOPT_CAINFO, set->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (set->cert_file) {
        SET(CURLOPT_SSLCERTTYPE, "PEM");
        SET(CURLOPT_SSLCERT, set->cert_file);
        SET(CURLOPT_SSLKEYTYPE, "PEM");
        SET(CURLOPT_SSLKEY, set->key_file ? set->key_file : set->cert_file);
        /* Nobody is asked for a passphrase at the terminal. */
        SET(CURLOPT_KEYPASSWD, "");
    }
#undef SET
    return ok;
}

mcx_err
kms_http_open(struct kms_http **out, const struct kms_http_set *set)
{
    struct kms_http *http = calloc(1, sizeof *http);

    *out = NULL;
    if (!http) {
        return MCX_E_NOMEM;
    }
    http->set = *set;
    http->curl = curl_easy_init();
    if (!http->curl || !prepare(http)) {
        kms_http_close(http);
        return MCX_E_NOMEM;
    }
    *out = http;
    return MCX_OK;
}

void
kms_http_close(struct kms_http *http)
{
    if (http) {
        curl_easy_cleanup(http->curl);
        free(http);
    }
}

/* What a result of libcurl is to us. */
static mcx_err
err_of(const struct kms_http *http, CURLcode code)
{
    if (http->stopped) {
        return MCX_E_STATE;
    }
    if (http->toobig || code == CURLE_FILESIZE_EXCEEDED) {
        return MCX_E_TOOBIG;
    }
    if (http->nomem) {
        return MCX_E_NOMEM;
    }
    switch (code) {
    case CURLE_OK:
        return MCX_OK;
    case CURLE_OUT_OF_MEMORY:
        return MCX_E_NOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return MCX_E_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
        return MCX_E_AUTH;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return MCX_E_CONFIG;
    default:
        return MCX_E_IO;
    }
}

/* The header lines; '*token_line' is ours to wipe. */
static struct curl_slist *
make_headers(const char *token, char **token_line)
{
    static const char bearer[] = "Authorization: Bearer ";
    struct curl_slist *list, *more;
    size_t n = sizeof bearer + (token ? strlen(token) : 0);

    *token_line = NULL;
    list = curl_slist_append(NULL, "Content-Type: application/xml");
    more = list ? curl_slist_append(list, "Expect:") : NULL;
    if (more && token) {
        *token_line = malloc(n);
        if (*token_line) {
            (void)snprintf(*token_line, n, "%s%s", bearer, token);
        }
        more = *token_line ? curl_slist_append(list, *token_line) : NULL;
    }
    if (!more) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

/* libcurl's copies of the token are wiped with ours. */
static void
drop_headers(struct curl_slist *list, char *token_line)
{
    struct curl_slist *h;

    for (h = list; h; h = h->next) {
        mcx_wipe(h->data, strlen(h->data));
    }
    curl_slist_free_all(list);
    if (token_line) {
        mcx_wipe(token_line, strlen(token_line));
        free(token_line);
    }
}

mcx_err
kms_http_post(struct kms_http *http, const char *url, const char *token,
              struct mcx_bytes body, struct kms_http_reply *reply)
{
    CURL *c = http->curl;
    struct curl_slist *headers;
    char *token_line;
    CURLcode code;
    mcx_err err;

    memset(reply, 0, sizeof *reply);
    headers = make_headers(token, &token_line);
    if (!headers) {
        drop_headers(NULL, token_line);
        return MCX_E_NOMEM;
    }
    http->reply = reply;
    http->header_n = 0;
    http->toobig = http->nomem = http->stopped = false;
    http->error[0] = '\0';
    if (curl_easy_setopt(c, CURLOPT_URL, url) != CURLE_OK
        || curl_easy_setopt(c, CURLOPT_POST, 1L) != CURLE_OK
        || curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)body.n) != CURLE_OK
        || curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.p) != CURLE_OK
        || curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) != CURLE_OK) {
        drop_headers(headers, token_line);
        return MCX_E_NOMEM;
    }
    code = curl_easy_perform(c);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
    drop_headers(headers, token_line);
    http->reply = NULL;
    err = err_of(http, code);
    if (err != MCX_OK) {
        kms_http_drop(reply);
        (void)snprintf(reply->text.s, sizeof reply->text.s, "%s",
                       err == MCX_E_TOOBIG ? "the answer is too large"
                       : http->error[0] ? http->error
                                        : curl_easy_strerror(code));
        return err;
    }
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply->status);
    return MCX_OK;
}
