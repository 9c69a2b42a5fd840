/* http.c -- see http.h.  The only file that sees libmicrohttpd and GnuTLS.
 *
 * Threads: a pool of libmicrohttpd's; each runs kms_answer() to its end, for
 * that is a millisecond of arithmetic.  A connection may stay silent for
 * request_ms, and a request may take as long from the one before it; what is
 * slower is cut off by kms_http_tick(), which is what bounds a client that
 * sends an octet now and then.
 *
 * Order for each request: method, headers that may be there once, token, size
 * and type of the body, then the body.  Who has no token cannot make us read
 * anything.
 *
 * A proxy that we trust (its client certificate is under conf.proxy_ca) may
 * say in X-3GPP-Asserted-Identity who asks; nobody else may. */
#include <config.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "http.h"

enum {
    TARGET_MAX = 4096, /* a URI of MCX_URI_MAX - 1, each octet escaped */
    HOST_MAX = 255,
    HEADERS_MAX = 32768,
    LINES_A_SECOND = 50 /* of the log that strangers can cause */
};

static const char PRIORITIES[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:"
    "+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE";

/* A connection, from accept to close. */
struct conn {
    struct kms_http *http;
    struct conn *next, *prev;
    MHD_socket fd;
    int64_t since_ms; /* accepted, or the last answer sent */
    bool cut;
};

/* A request, from its first line to its end. */
struct request {
    char target[TARGET_MAX];
    bool too_long; /* the target */
    bool judged;   /* token and headers are in order */
    bool overrun;  /* more body than is taken */
    char subject[MCX_URI_MAX];
    char peer[64];
    const char *host;
    uint8_t *body;
    size_t n;
};

struct kms_http {
    struct kms_server *server;
    struct kms_http_conf conf;
    struct MHD_Daemon *daemon;
    pthread_rwlock_t keys_lock; /* over conf.keys */
    pthread_mutex_t lock; /* over the list and the count of lines */
    struct conn *first;
    int64_t second;
    unsigned lines, lost;
};

static int64_t
mono(const struct kms_http *h)
{
    return h->server->env->mono_ms(h->server->env->ctx);
}

/* ---- log --------------------------------------------------------------- */

/* May another line that a stranger caused be written? */
static bool
line_free(struct kms_http *h)
{
    int64_t second = mono(h) / 1000;
    unsigned lost = 0;
    bool free_;

    (void)pthread_mutex_lock(&h->lock);
    if (second != h->second) {
        lost = h->lost;
        h->second = second;
        h->lines = h->lost = 0;
    }
    free_ = h->lines < LINES_A_SECOND;
    h->lines += free_;
    h->lost += !free_;
    (void)pthread_mutex_unlock(&h->lock);
    if (lost) {
        mcx_log(h->server->env, MCX_AREA_KMS, 3, "%u refusals not logged",
                lost);
    }
    return free_;
}

static void
log_answer(struct kms_http *h, const struct request *r,
           const struct kms_reply *reply)
{
    const struct mcx_env *env = h->server->env;

    if (reply->status == 200) {
        mcx_log(env, MCX_AREA_KMS, 5, "%s for %s, %s", reply->resource,
                r->subject, r->peer);
    } else if (line_free(h)) {
        mcx_log(env, MCX_AREA_KMS, 3, "refused, %u, %s for %s, %s: %s",
                reply->status, reply->resource, r->subject, r->peer,
                reply->why.s);
    }
}

static void
log_refusal(struct kms_http *h, const struct request *r, unsigned status,
            const char *why)
{
    if (line_free(h)) {
        mcx_log(h->server->env, MCX_AREA_KMS, 3, "refused, %u, %s: %s",
                status, r->peer, why);
    }
}

/* ---- connections ------------------------------------------------------- */

static void
on_connection(void *cls, struct MHD_Connection *connection,
              void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct kms_http *h = cls;
    const union MHD_ConnectionInfo *info;
    struct conn *c = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        info = MHD_get_connection_info(connection,
                                       MHD_CONNECTION_INFO_CONNECTION_FD);
        c = info ? calloc(1, sizeof *c) : NULL;
        if (!c) {
            if (info) {
                (void)shutdown(info->connect_fd, SHUT_RDWR);
            }
            return;
        }
        c->http = h;
        c->fd = info->connect_fd;
        c->since_ms = mono(h);
        (void)pthread_mutex_lock(&h->lock);
        c->next = h->first;
        if (c->next) {
            c->next->prev = c;
        }
        h->first = c;
        (void)pthread_mutex_unlock(&h->lock);
        *socket_context = c;
    } else if (c) {
        /* The socket is closed after this; before, it is ours to shut. */
        (void)pthread_mutex_lock(&h->lock);
        if (c->prev) {
            c->prev->next = c->next;
        } else {
            h->first = c->next;
        }
        if (c->next) {
            c->next->prev = c->prev;
        }
        (void)pthread_mutex_unlock(&h->lock);
        free(c);
        *socket_context = NULL;
    }
}

void
kms_http_tick(struct kms_http *h)
{
    int64_t now = mono(h);
    struct conn *c;
    unsigned n = 0;

    (void)pthread_mutex_lock(&h->lock);
    for (c = h->first; c; c = c->next) {
        if (!c->cut && now - c->since_ms > 2 * h->conf.request_ms) {
            c->cut = true;
            (void)shutdown(c->fd, SHUT_RDWR);
            n++;
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (n && line_free(h)) {
        mcx_log(h->server->env, MCX_AREA_KMS, 3,
                "%u connections cut off: too slow", n);
    }
}

/* ---- requests ---------------------------------------------------------- */

/* Called with the target as it came, before libmicrohttpd decodes it. */
static void *
on_target(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct request *r = calloc(1, sizeof *r);

    (void)cls;
    (void)connection;
    if (r) {
        int n = snprintf(r->target, sizeof r->target, "%s", uri);

        r->too_long = n < 0 || (size_t)n >= sizeof r->target;
    }
    return r;
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
             enum MHD_RequestTerminationCode toe)
{
    struct kms_http *h = cls;
    struct request *r = *con_cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *c = info ? info->socket_context : NULL;

    (void)toe;
    if (c) {
        (void)pthread_mutex_lock(&h->lock);
        c->since_ms = mono(h);
        (void)pthread_mutex_unlock(&h->lock);
    }
    if (r) {
        free(r->body);
        free(r);
        *con_cls = NULL;
    }
}

static void
note_peer(struct request *r, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *sa = info ? info->client_addr : NULL;

    if (!sa
        || getnameinfo(sa,
                       sa->sa_family == AF_INET6
                           ? sizeof(struct sockaddr_in6)
                           : sizeof(struct sockaddr_in),
                       r->peer, sizeof r->peer, NULL, 0, NI_NUMERICHOST)
               != 0) {
        (void)snprintf(r->peer, sizeof r->peer, "?");
    }
}

struct owned {
    char *xml;
    size_t n;
};

static void
free_xml(void *cls)
{
    struct owned *o = cls;

    mcx_kms_text_free(o->xml, o->n);
    free(o);
}

/* Queues 'xml', which is taken over and may be NULL. */
static enum MHD_Result
send_xml(struct MHD_Connection *connection, unsigned status, char *xml,
         size_t n, const char *challenge)
{
    static char nothing[1];
    struct owned *o = malloc(sizeof *o);
    struct MHD_Response *resp = NULL;
    enum MHD_Result done = MHD_NO;

    if (o) {
        o->xml = xml;
        o->n = n;
        resp = MHD_create_response_from_buffer_with_free_callback_cls(
            xml ? n : 0, xml ? xml : nothing, free_xml, o);
    }
    if (!resp) {
        mcx_kms_text_free(xml, n);
        free(o);
        return MHD_NO;
    }
    (void)MHD_add_response_header(resp, "Cache-Control", "no-store");
    if (xml) {
        (void)MHD_add_response_header(resp, "Content-Type",
                                      "application/xml");
    }
    if (challenge) {
        (void)MHD_add_response_header(resp, "WWW-Authenticate", challenge);
    }
    if (status == 405) {
        (void)MHD_add_response_header(resp, "Allow", "POST");
    }
    if (status == 503) {
        (void)MHD_add_response_header(resp, "Retry-After", "5");
    }
    /* A body that was not read is not the start of the next request. */
    if (status == 413 || status == 415 || challenge || status == 405
        || (status == 400 && !xml)) {
        (void)MHD_add_response_header(resp, "Connection", "close");
    }
    done = MHD_queue_response(connection, status, resp);
    MHD_destroy_response(resp);
    return done;
}

static enum MHD_Result
send_error(struct kms_http *h, struct MHD_Connection *connection,
           struct request *r, enum kms_code code, const char *why)
{
    struct kms_ask ask = { .target = r->target, .host = r->host,
                           .subject = r->subject, .peer = r->peer };
    struct kms_reply reply;

    kms_answer_error(&reply, h->server, &ask, code, why);
    log_answer(h, r, &reply);
    return send_xml(connection, reply.status, reply.xml, reply.n, NULL);
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

struct count {
    const char *name;
    unsigned n;
};

/* No header line that two readers could read in two ways: a name is a token
 * (RFC 9110 5.6.2), so "Transfer-Encoding : chunked" is none, and a value has
 * no control character, so a lone CR or a NUL does not end it for somebody
 * else.  libmicrohttpd passes all of these on. */
static bool
plain_line(const char *name, size_t name_n, const char *value, size_t value_n)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (name_n == 0 || strspn(name, token) != name_n) {
        return false;
    }
    for (size_t i = 0; i < value_n; i++) {
        unsigned char c = (unsigned char)value[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    /* Digits and nothing else: libmicrohttpd takes a length on whose line
     * another is folded, and then reads no body. */
    return strcasecmp(name, "Content-Length") != 0
           || (value_n > 0 && strspn(value, "0123456789") == value_n);
}

static enum MHD_Result
look_at_line(void *cls, enum MHD_ValueKind kind, const char *name,
             size_t name_n, const char *value, size_t value_n)
{
    bool *plain = cls;

    (void)kind;
    *plain = *plain && plain_line(name, name_n, value ? value : "", value_n);
    return MHD_YES;
}

static enum MHD_Result
count_one(void *cls, enum MHD_ValueKind kind, const char *name,
          const char *value)
{
    struct count *c = cls;

    (void)kind;
    (void)value;
    c->n += strcasecmp(name, c->name) == 0;
    return MHD_YES;
}

/* Two of these would let whoever stands before us read another one than we
 * do: whose token, whose request, and where it ends. */
static const char *
ambiguous(struct MHD_Connection *connection)
{
    static const char *const once[] = {
        "Authorization", "X-3GPP-Asserted-Identity", "Host", "Content-Length",
        "Transfer-Encoding", "Content-Type"
    };
    const char *te = header(connection, "Transfer-Encoding");
    bool plain = true;

    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND,
                                      look_at_line, &plain);
    if (!plain) {
        return "a header line that can be read in two ways";
    }
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        struct count c = { once[i], 0 };

        (void)MHD_get_connection_values(connection, MHD_HEADER_KIND,
                                        count_one, &c);
        if (c.n > 1) {
            return "a header that may be there once is there twice";
        }
    }
    if (te && (strcasecmp(te, "chunked") != 0
               || header(connection, "Content-Length"))) {
        return "two lengths of one body, or a coding that is not chunked";
    }
    return NULL;
}

/* Did the client show a certificate of a proxy of ours? */
static bool
is_proxy(const struct kms_http *h, struct MHD_Connection *connection)
{
    gnutls_typed_vdata_st use = { .type = GNUTLS_DT_KEY_PURPOSE_OID };
    const union MHD_ConnectionInfo *info;
    unsigned status = 1;

    if (!h->conf.proxy_ca) {
        return false;
    }
    use.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT;
    info = MHD_get_connection_info(connection,
                                   MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info && info->tls_session
           && gnutls_certificate_verify_peers(info->tls_session, &use, 1,
                                              &status) == GNUTLS_E_SUCCESS
           && status == 0;
}

/* One URI, in double quotes or without; of several nobody knows which. */
static bool
take_asserted(char out[MCX_URI_MAX], const char *v)
{
    size_t n = strlen(v);

    if (n >= 2 && v[0] == '"' && v[n - 1] == '"') {
        v++;
        n -= 2;
    }
    if (n == 0 || n >= MCX_URI_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i] <= ' ' || v[i] >= 0x7f || strchr("\"<>,\\", v[i])) {
            return false;
        }
        out[i] = v[i];
    }
    out[n] = '\0';
    return true;
}

/* NULL: the token is good, and r->subject says whose. */
static const char *
judge_token(struct kms_http *h, struct request *r,
            struct MHD_Connection *connection)
{
    const struct mcx_env *env = h->server->env;
    const char *v = header(connection, "Authorization"), *bad;

    if (!v) {
        return "no token";
    }
    if (strncasecmp(v, "Bearer ", 7) != 0) {
        return "not a bearer token";
    }
    v += 7;
    v += strspn(v, " ");
    (void)pthread_rwlock_rdlock(&h->keys_lock);
    bad = kms_token_check(r->subject, h->conf.keys, &h->conf.rule,
                          mcx_bytes_str(v), env->unix_ms(env->ctx) / 1000);
    (void)pthread_rwlock_unlock(&h->keys_lock);
    return bad;
}

/* Who asks: by a proxy's word, by a token, or by both when they agree. */
static const char *
judge_who(struct kms_http *h, struct request *r,
          struct MHD_Connection *connection)
{
    const char *v = header(connection, "X-3GPP-Asserted-Identity");
    char asserted[MCX_URI_MAX] = "";
    const char *bad;

    if (!v) {
        return judge_token(h, r, connection);
    }
    if (!is_proxy(h, connection)) {
        return "an asserted identity, not from a proxy of ours";
    }
    if (!take_asserted(asserted, v)) {
        return "the asserted identity is not one URI";
    }
    if (header(connection, "Authorization")) {
        bad = judge_token(h, r, connection);
        if (bad) {
            return bad;
        }
        if (strcmp(r->subject, asserted) != 0) {
            r->subject[0] = '\0';
            return "token and asserted identity name different users";
        }
    }
    memcpy(r->subject, asserted, sizeof asserted);
    return NULL;
}

/* RFC 6750 section 3; what exactly is wrong goes to our log only, but for
 * what the client can mend. */
static enum MHD_Result
send_challenge(struct kms_http *h, struct MHD_Connection *connection,
               struct request *r, const char *why)
{
    const char *how =
        strcmp(why, "no token") == 0 ? "Bearer"
        : strcmp(why, "scope") == 0
            ? "Bearer error=\"insufficient_scope\", scope=\"" KMS_SCOPE "\""
        : strcmp(why, "expired") == 0
            ? "Bearer error=\"invalid_token\", error_description=\"expired\""
            : "Bearer error=\"invalid_token\"";

    if (strcmp(why, KMS_TOKEN_NOT_NOW) == 0) {
        log_refusal(h, r, 503, why);
        return send_xml(connection, 503, NULL, 0, NULL);
    }
    log_refusal(h, r, 403, why);
    return send_xml(connection, 403, NULL, 0, how);
}

/* application/xml or text/xml, with or without parameters; or nothing. */
static bool
is_xml(const char *type)
{
    size_t n = type ? strcspn(type, "; \t") : 0;

    return !type || (n == 15 && strncasecmp(type, "application/xml", n) == 0)
           || (n == 8 && strncasecmp(type, "text/xml", n) == 0);
}

static enum MHD_Result
on_headers(struct kms_http *h, struct MHD_Connection *connection,
           struct request *r, const char *method)
{
    const char *size = header(connection, "Content-Length"), *bad;

    note_peer(r, connection);
    r->host = header(connection, "Host");
    if (strcmp(method, "POST") != 0) {
        log_refusal(h, r, 405, "not a POST");
        return send_xml(connection, 405, NULL, 0, NULL);
    }
    bad = ambiguous(connection);
    if (bad) {
        log_refusal(h, r, 400, bad);
        return send_xml(connection, 400, NULL, 0, NULL);
    }
    bad = judge_who(h, r, connection);
    if (bad) {
        return send_challenge(h, connection, r, bad);
    }
    if (!r->host || !*r->host || strlen(r->host) > HOST_MAX || r->too_long
        || strspn(r->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                           "XYZ0123456789-._:[]") != strlen(r->host)) {
        log_refusal(h, r, 400, "no Host, or a target beyond all bounds");
        return send_xml(connection, 400, NULL, 0, NULL);
    }
    if (size && (strlen(size) > 9
                 || strtoul(size, NULL, 10) > MCX_KMS_REQUEST_MAX)) {
        return send_error(h, connection, r, KMS_CODE_SIZE,
                          "the request is too large");
    }
    if (!is_xml(header(connection, "Content-Type"))) {
        return send_error(h, connection, r, KMS_CODE_TYPE,
                          "Content-Type is not application/xml");
    }
    r->judged = true;
    return MHD_YES;
}

/* A body in chunks has no size at first.  libmicrohttpd takes no answer in
 * the middle of one, so the connection of a client that sends more than ever
 * is needed just ends. */
static enum MHD_Result
on_body(struct kms_http *h, struct request *r, const char *data, size_t n)
{
    uint8_t *bigger;

    if (n > MCX_KMS_REQUEST_MAX - r->n) {
        r->overrun = true;
        log_refusal(h, r, 413, "the request is too large");
        return MHD_NO;
    }
    bigger = realloc(r->body, r->n + n);
    if (!bigger) {
        return MHD_NO;
    }
    r->body = bigger;
    memcpy(r->body + r->n, data, n);
    r->n += n;
    return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url,
           const char *method, const char *http, const char *data,
           size_t *data_n, void **con_cls)
{
    struct kms_http *h = cls;
    struct request *r = *con_cls;
    struct kms_ask ask;
    struct kms_reply reply;

    (void)url;
    (void)http;
    if (!r) {
        return MHD_NO; /* out of memory in on_target() */
    }
    if (!r->judged) {
        return on_headers(h, connection, r, method);
    }
    if (*data_n > 0) {
        size_t n = *data_n;

        *data_n = 0;
        return on_body(h, r, data, n);
    }
    ask.target = r->target;
    ask.host = r->host;
    ask.subject = r->subject;
    ask.peer = r->peer;
    ask.body = mcx_bytes(r->body, r->n);
    kms_answer(&reply, h->server, &ask);
    mcx_wipe_stack();
    log_answer(h, r, &reply);
    return send_xml(connection, reply.status, reply.xml, reply.n, NULL);
}

/* ---- life -------------------------------------------------------------- */

static void MCX_PRINTF(2, 0)
on_error(void *cls, const char *fmt, va_list ap)
{
    struct kms_http *h = cls;
    char line[256];
    size_t n;

    /* TLS errors of strangers, mostly. */
    (void)vsnprintf(line, sizeof line, fmt, ap);
    for (n = strlen(line); n > 0 && line[n - 1] == '\n'; n--) {
        line[n - 1] = '\0';
    }
    if (line_free(h)) {
        mcx_log(h->server->env, MCX_AREA_KMS, 5, "http: %s", line);
    }
}

/* "ADDR:PORT" or "[ADDR]:PORT". */
static mcx_err
address(struct addrinfo **out, const char *listen_, struct mcx_text *text)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
                                          | AI_PASSIVE };
    const char *colon = strrchr(listen_, ':');
    char host[64];
    size_t n = colon ? (size_t)(colon - listen_) : 0;

    if (n >= 2 && listen_[0] == '[' && listen_[n - 1] == ']') {
        listen_++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof host) {
        (void)snprintf(text->s, sizeof text->s, "--listen: expected ADDR:PORT"
                       ", got \"%s\"", listen_);
        return MCX_E_CONFIG;
    }
    memcpy(host, listen_, n);
    host[n] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, out) != 0) {
        (void)snprintf(text->s, sizeof text->s, "--listen: expected a numeric"
                       " address and port, got \"%s\"", listen_);
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

/* Whoever has the keys of connections and a capture of them has every user's
 * keys: GnuTLS writes them to no file that the environment names, nor into
 * what would become our log. */
static void
no_key_log(void)
{
    (void)unsetenv("SSLKEYLOGFILE");
    gnutls_global_set_log_level(0); /* GNUTLS_DEBUG_LEVEL set it */
}

mcx_err
kms_http_start(struct kms_http **out, struct kms_server *server,
               const struct kms_http_conf *conf, unsigned *port,
               struct mcx_text *text)
{
    struct kms_http *h = calloc(1, sizeof *h);
    const union MHD_DaemonInfo *info;
    struct MHD_Daemon *daemon;
    struct addrinfo *at = NULL;
    mcx_err err = h ? address(&at, conf->listen, text) : MCX_E_NOMEM;

    *out = NULL;
    if (err != MCX_OK) {
        free(h);
        return err;
    }
    h->server = server;
    h->conf = *conf;
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_rwlock_init(&h->keys_lock, NULL);
    no_key_log();
    daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_ERROR_LOG
            | (at->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0),
        0, NULL, NULL, on_request, h,
        MHD_OPTION_EXTERNAL_LOGGER, on_error, h,
        MHD_OPTION_SOCK_ADDR, at->ai_addr,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
        MHD_OPTION_HTTPS_MEM_KEY, conf->key,
        MHD_OPTION_HTTPS_MEM_CERT, conf->cert,
        MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
        MHD_OPTION_THREAD_POOL_SIZE, conf->threads,
        MHD_OPTION_CONNECTION_LIMIT, conf->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, conf->per_address,
        MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((conf->request_ms + 999) / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        conf->proxy_ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END,
        conf->proxy_ca, MHD_OPTION_END);
    freeaddrinfo(at);
    if (!daemon) {
        (void)snprintf(text->s, sizeof text->s, "cannot listen at %s: the "
                       "address is taken, or certificate and key do not fit",
                       conf->listen);
        (void)pthread_rwlock_destroy(&h->keys_lock);
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
        return MCX_E_CONFIG;
    }
    h->daemon = daemon;
    info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    *port = info ? info->port : 0;
    *out = h;
    return MCX_OK;
}

const struct kms_token_keys *
kms_http_keys(struct kms_http *h, const struct kms_token_keys *keys)
{
    const struct kms_token_keys *before;

    (void)pthread_rwlock_wrlock(&h->keys_lock);
    before = h->conf.keys;
    h->conf.keys = keys;
    (void)pthread_rwlock_unlock(&h->keys_lock);
    return before;
}

void
kms_http_stop(struct kms_http *h)
{
    if (h) {
        MHD_stop_daemon(h->daemon);
        (void)pthread_rwlock_destroy(&h->keys_lock);
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
    }
}
