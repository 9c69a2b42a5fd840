/* test_kms_https.c -- the client over TLS, against a scripted server of this
 * process on loopback with certificates made on the spot: good ones and bad,
 * slow and broken-off answers, statuses, redirects, a proxy, a client
 * certificate, and the host that stops in the middle. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "test_kms_kit.h"

enum how {
    HOW_FULL,
    HOW_HALF,     /* closes after half of the answer       */
    HOW_SLOW,     /* an octet a second                     */
    HOW_SILENT,   /* takes the request and says nothing    */
    HOW_REDIRECT, /* 302 to itself                         */
    HOW_HEADERS,  /* headers without end                   */
    HOW_ENDLESS,  /* a body without end and without length */
    HOW_RAW,      /* server.raw, and the end of the connection */
    HOW_CUT,      /* the answer up to server.cut, head and all */
    HOW_AGAIN     /* server.raw without end                */
};
enum cert { CERT_GOOD, CERT_EXPIRED, CERT_SELF, CERT_NAME, CERT_OTHER_CA,
            CERTS };

static struct {
    int fd, port;
    pthread_t thread;
    bool stop; /* atomic */
    SSL_CTX *ctx;
    pthread_mutex_t lock; /* of the script */
    enum how how;
    struct kit *kit;
    const char *raw;
    size_t cut;
    bool chunked; /* HOW_CUT: 2 chunks, and not a length */
    unsigned accepted, posts;
    char head[4096]; /* of the last request */
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct {
    EVP_PKEY *key;
    X509 *cert;
} ca, other_ca, leaf[CERTS], client;
static char dir[64];

/* ---- certificates ------------------------------------------------------ */

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *ext;
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static X509 *
make_cert(EVP_PKEY *key, const char *name, const char *san, long days,
          X509 *issuer, EVP_PKEY *issuer_key)
{
    static long serial;
    X509 *c = X509_new();
    X509_NAME *n = X509_get_subject_name(c);

    assert_non_null(c);
    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), -86400L * 30);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400L * days);
    X509_set_pubkey(c, key);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : n);
    extend(c, issuer ? issuer : c, NID_basic_constraints,
           san ? "critical,CA:FALSE" : "critical,CA:TRUE");
    extend(c, issuer ? issuer : c, NID_key_usage,
           san ? "digitalSignature" : "keyCertSign,cRLSign");
    if (san) {
        extend(c, issuer ? issuer : c, NID_subject_alt_name, san);
    }
    assert_true(X509_sign(c, issuer_key ? issuer_key : key, EVP_sha256())
                > 0);
    return c;
}

static void
save(const char *name, X509 *cert, EVP_PKEY *key)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    if (key) {
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL,
                                              NULL), 1);
    }
    fclose(f);
}

static void
make_certs(void)
{
    static const char *const san[CERTS] = {
        "DNS:localhost", "DNS:localhost", "DNS:localhost", "DNS:kms.far.test",
        "DNS:localhost"
    };

    ca.key = EVP_EC_gen("P-256");
    other_ca.key = EVP_EC_gen("P-256");
    assert_non_null(ca.key);
    ca.cert = make_cert(ca.key, "test authority", NULL, 30, NULL, NULL);
    other_ca.cert = make_cert(other_ca.key, "other authority", NULL, 30, NULL,
                              NULL);
    for (int i = 0; i < CERTS; i++) {
        leaf[i].key = EVP_EC_gen("P-256");
        leaf[i].cert = make_cert(leaf[i].key, "server", san[i],
                                 i == CERT_EXPIRED ? -1 : 30,
                                 i == CERT_SELF       ? NULL
                                 : i == CERT_OTHER_CA ? other_ca.cert
                                                      : ca.cert,
                                 i == CERT_SELF       ? NULL
                                 : i == CERT_OTHER_CA ? other_ca.key
                                                      : ca.key);
    }
    client.key = EVP_EC_gen("P-256");
    client.cert = make_cert(client.key, "alice", "DNS:alice", 30, ca.cert,
                            ca.key);
    save("ca.pem", ca.cert, NULL);
    save("client.pem", client.cert, client.key);
}

/* ---- the server -------------------------------------------------------- */

static bool
stopped(void)
{
    return __atomic_load_n(&server.stop, __ATOMIC_SEQ_CST);
}

static void
put(SSL *ssl, const char *p, size_t n)
{
    while (n > 0) {
        int k = SSL_write(ssl, p, n > 16384 ? 16384 : (int)n);

        if (k <= 0) {
            return;
        }
        p += k;
        n -= (size_t)k;
    }
}

/* Reads one request; the body, of '*n' octets, or NULL. */
static char *
get_request(SSL *ssl, size_t *n)
{
    static char buf[65536];
    size_t have = 0, length = 0;
    char *body = NULL, *p;

    while (have < sizeof buf - 1
           && (!body || have - (size_t)(body - buf) < length)) {
        int k = SSL_read(ssl, buf + have, (int)(sizeof buf - 1 - have));

        if (k <= 0) {
            return NULL;
        }
        have += (size_t)k;
        buf[have] = '\0';
        body = strstr(buf, "\r\n\r\n");
        if (body) {
            body += 4;
            p = strcasestr(buf, "\r\nContent-Length:");
            length = p ? strtoul(p + 17, NULL, 10) : 0;
        }
    }
    *n = length;
    pthread_mutex_lock(&server.lock);
    snprintf(server.head, sizeof server.head, "%.*s",
             body ? (int)(body - buf) : 0, buf);
    server.posts++;
    pthread_mutex_unlock(&server.lock);
    return body;
}

static char *
make_answer(char *body, size_t n, size_t *answer_n, int *status)
{
    static char url[1024];
    char path[512] = "", token[128] = "", *p;

    assert_int_equal(sscanf(server.head, "POST %511s HTTP/1.1", path), 1);
    assert_non_null(strstr(server.head, "Content-Type: application/xml\r\n"));
    p = strstr(server.head, "Authorization: Bearer ");
    if (p) {
        assert_int_equal(sscanf(p, "Authorization: Bearer %127s", token), 1);
    }
    snprintf(url, sizeof url, "https://localhost:%d%s", server.port, path);
    return kit_answer(server.kit, url, p ? token : NULL, mcx_bytes(body, n),
                      answer_n, status);
}

static void
endless(SSL *ssl)
{
    static char spaces[16384];

    memset(spaces, ' ', sizeof spaces);
    for (int i = 0; i < 65536 && !stopped(); i++) {
        if (SSL_write(ssl, spaces, sizeof spaces) <= 0) {
            return;
        }
    }
}

static void
wait_for(SSL *ssl, int ms)
{
    struct pollfd p = { SSL_get_fd(ssl), POLLIN, 0 };

    (void)poll(&p, 1, ms);
}

/* Head and body up to an octet, then the end, without the farewell of TLS. */
static void
put_cut(SSL *ssl, const char *head, const char *xml, size_t xml_n)
{
    size_t room = xml_n + 512, n;
    char *all = malloc(room);

    assert_non_null(all);
    if (server.chunked) {
        n = (size_t)snprintf(all, room, "HTTP/1.1 200 X\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n%zx\r\n%.*s\r\n%zx\r\n%s\r\n"
                             "0\r\n\r\n", xml_n / 2, (int)(xml_n / 2), xml,
                             xml_n - xml_n / 2, xml + xml_n / 2);
    } else {
        n = (size_t)snprintf(all, room, "%s%.*s", head, (int)xml_n, xml);
    }
    put(ssl, all, server.cut < n ? server.cut : n);
    SSL_set_quiet_shutdown(ssl, 1);
    free(all);
}

/* Answers one request; false: the connection is done with. */
static bool
answer_one(SSL *ssl)
{
    char head[256], *body, *xml;
    size_t n, xml_n, sent;
    int status = 200;
    enum how how;

    body = get_request(ssl, &n);
    if (!body) {
        return false;
    }
    xml = make_answer(body, n, &xml_n, &status);
    pthread_mutex_lock(&server.lock);
    how = server.how;
    pthread_mutex_unlock(&server.lock);
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: "
             "application/xml\r\nContent-Length: %zu\r\n\r\n", status,
             xml_n);
    switch (how) {
    case HOW_FULL:
        put(ssl, head, strlen(head));
        put(ssl, xml, xml_n);
        break;
    case HOW_RAW:
        put(ssl, server.raw, strlen(server.raw));
        break;
    case HOW_CUT:
        put_cut(ssl, head, xml, xml_n);
        break;
    case HOW_AGAIN:
        for (int i = 0; i < 1000000 && !stopped(); i++) {
            int k = (int)strlen(server.raw);

            if (SSL_write(ssl, server.raw, k) <= 0) {
                break;
            }
        }
        break;
    case HOW_HALF:
        put(ssl, head, strlen(head));
        put(ssl, xml, xml_n / 2);
        break;
    case HOW_SLOW:
        put(ssl, head, strlen(head));
        for (sent = 0; sent < xml_n && !stopped(); sent++) {
            put(ssl, xml + sent, 1);
            wait_for(ssl, 200);
            if (SSL_has_pending(ssl) || SSL_get_shutdown(ssl)) {
                break;
            }
            if (sent > 40) {
                break;
            }
        }
        break;
    case HOW_SILENT:
        wait_for(ssl, 8000); /* until the client closes */
        break;
    case HOW_REDIRECT:
        snprintf(head, sizeof head, "HTTP/1.1 302 X\r\nLocation: "
                 "https://localhost:%d/keymanagement/identity/v1/init\r\n"
                 "Content-Length: 0\r\n\r\n", server.port);
        put(ssl, head, strlen(head));
        break;
    case HOW_HEADERS:
        put(ssl, "HTTP/1.1 200 X\r\n", 16);
        for (int i = 0; i < 100000 && !stopped(); i++) {
            if (SSL_write(ssl, "X-Filler: 0123456789abcdef\r\n", 28) <= 0) {
                break;
            }
        }
        break;
    case HOW_ENDLESS:
        put(ssl, "HTTP/1.1 200 X\r\n\r\n", 18);
        endless(ssl);
        break;
    }
    free(xml);
    return how == HOW_FULL;
}

static void *
serve(void *arg)
{
    (void)arg;
    while (!stopped()) {
        int fd = accept(server.fd, NULL, NULL);
        SSL *ssl;

        if (fd < 0 || stopped()) {
            close(fd);
            continue;
        }
        pthread_mutex_lock(&server.lock);
        server.accepted++;
        ssl = SSL_new(server.ctx);
        pthread_mutex_unlock(&server.lock);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) {
            while (answer_one(ssl)) {
            }
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(fd);
        ERR_clear_error();
    }
    return NULL;
}

static int
listen_on(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void
connect_to(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)port);
    (void)connect(fd, (struct sockaddr *)&a, sizeof a);
    close(fd);
}

static SSL_CTX *
new_ctx(enum cert which)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate(ctx, leaf[which].cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf[which].key), 1);
    return ctx;
}

static void
server_start(struct kit *kit, SSL_CTX *ctx, enum how how)
{
    char url[64];

    server.kit = kit;
    server.ctx = ctx;
    server.how = how;
    server.accepted = server.posts = 0;
    server.stop = false;
    server.fd = listen_on(&server.port);
    snprintf(url, sizeof url, "https://localhost:%d/", server.port);
    kit_set(kit, "url", url);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void
server_stop(void)
{
    __atomic_store_n(&server.stop, true, __ATOMIC_SEQ_CST);
    connect_to(server.port);
    pthread_join(server.thread, NULL);
    close(server.fd);
    SSL_CTX_free(server.ctx);
}

static void
set_how(enum how how)
{
    pthread_mutex_lock(&server.lock);
    server.how = how;
    pthread_mutex_unlock(&server.lock);
}

/* ---- kits -------------------------------------------------------------- */

static void
file_option(struct kit *kit, const char *option, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    kit_set(kit, option, path);
}

static void
begin(struct kit *kit, SSL_CTX *ctx, enum how how)
{
    kit_new(kit, 2592000);
    kit_set(kit, "timeout", "2");
    file_option(kit, "ca-file", "ca.pem");
    server_start(kit, ctx, how);
}

static void
run(struct kit *kit)
{
    struct mcx_text text = { "" };

    if (kit_start(kit, true, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
    kit_tick(kit);
}

/* The client is stopped first: it may hold a connection. */
static void
end(struct kit *kit)
{
    kit_stop(kit);
    server_stop();
    kit_free(kit);
}

static double
seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- tests ------------------------------------------------------------- */

static void
good(void **state)
{
    struct kit kit;
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/token", dir);
    assert_int_equal(mcx_env_system()->write_file(
                         NULL, path, mcx_bytes_str(KIT_TOKEN "\n"), 0600),
                     MCX_OK);
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    kit.token = KIT_TOKEN;
    file_option(&kit, "token-file", "token");
    kit_set(&kit, "client-id", "urn:uuid:1");
    run(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    assert_int_equal(kit.counted_failed, 0);
    assert_int_equal(server.posts, 2);
    assert_int_equal(server.accepted, 1); /* one connection for both */
    assert_string_equal(kit.last.client_id, "urn:uuid:1");
    assert_null(strstr(server.head, "Expect"));
    assert_null(strstr(server.head, "Accept-Encoding"));
    kit_no_secrets(&kit, NULL);
    end(&kit);
}

static void
bad_certificates(void **state)
{
    static const enum cert rows[] = { CERT_EXPIRED, CERT_SELF, CERT_NAME,
                                      CERT_OTHER_CA };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kit kit;

        begin(&kit, new_ctx(rows[i]), HOW_FULL);
        run(&kit);
        assert_int_equal(kit.counted_failed, 1);
        assert_int_equal(server.posts, 0); /* no token, no request */
        assert_int_equal(kit_n_keys(&kit), 0);
        kit_log_has(&kit, "Initialize at " KIT_KMS " failed");
        end(&kit);
    }
}

static void
old_tls(void **state)
{
    SSL_CTX *ctx = new_ctx(CERT_GOOD);
    struct kit kit;

    (void)state;
    SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    begin(&kit, ctx, HOW_FULL);
    run(&kit);
    assert_int_equal(kit.counted_failed, 1);
    assert_int_equal(server.posts, 0);
    end(&kit);
    ctx = new_ctx(CERT_GOOD);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    begin(&kit, ctx, HOW_FULL);
    run(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
}

/* A system store that does not know our authority; the right one in a file
 * that is not there. */
static void
ca_files(void **state)
{
    struct kit kit;

    (void)state;
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    file_option(&kit, "ca-file", "missing.pem");
    run(&kit);
    assert_int_equal(kit.counted_failed, 1);
    assert_int_equal(server.posts, 0);
    end(&kit);
    kit_new(&kit, 2592000);
    kit_set(&kit, "timeout", "2");
    server_start(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    run(&kit);
    assert_int_equal(kit.counted_failed, 1);
    assert_int_equal(server.posts, 0);
    end(&kit);
}

static void
client_certificate(void **state)
{
    for (int with = 0; with < 2; with++) {
        SSL_CTX *ctx = new_ctx(CERT_GOOD);
        struct kit kit;

        (void)state;
        assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx),
                                             ca.cert), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER
                                    | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        begin(&kit, ctx, HOW_FULL);
        if (with) {
            file_option(&kit, "cert-file", "client.pem");
        }
        run(&kit);
        assert_int_equal(kit_n_keys(&kit), with);
        assert_int_equal(server.posts, 2 * with);
        end(&kit);
    }
}

/* Every way not to answer: nothing is taken, in bounded time, and a good
 * answer afterwards is. */
static void
bad_answers(void **state)
{
    static const struct {
        enum how how;
        const char *part;
    } rows[] = { { HOW_HALF, "failed" },
                 { HOW_SLOW, "failed" },
                 { HOW_SILENT, "failed" },
                 { HOW_REDIRECT, "which is not followed" },
                 { HOW_HEADERS, "too large" },
                 { HOW_ENDLESS, "too large" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kit kit;
        double t = seconds_now();

        begin(&kit, new_ctx(CERT_GOOD), rows[i].how);
        run(&kit);
        t = seconds_now() - t;
        if (kit.counted_failed != 1 || t > 6) {
            fail_msg("row %zu: %u failures, %.1f s\n%s", i,
                     kit.counted_failed, t, kit.log);
        }
        assert_int_equal(server.posts, 1); /* no redirect was followed */
        kit_log_has(&kit, rows[i].part);
        assert_int_equal(kit_n_keys(&kit), 0);
        set_how(HOW_FULL);
        kit_step(&kit, 6000);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        end(&kit);
    }
}

/* Answers that another client would take for something: nothing is taken, no
 * other place is asked, nothing is unpacked, in bounded time. */
static void
strange_answers(void **state)
{
#define TO(to)                                                                \
    "HTTP/1.1 302 X\r\nLocation: " to "\r\nContent-Length: 0\r\n\r\n"
#define OK_XML "<KmsResponse/>"
    static const struct {
        const char *raw;
        bool again;
    } rows[] = {
        { TO("http://127.0.0.1:9/"), false },
        { TO("file:///etc/passwd"), false },
        { TO("//localhost:9/"), false },
        { TO("gopher://127.0.0.1:9/x"), false },
        { "HTTP/1.1 301 X\r\nLocation: /keymanagement/identity/v1/init\r\n"
          "Content-Length: 0\r\n\r\n", false },
        { "HTTP/1.1 307 X\r\nLocation: init\r\nContent-Length: 0\r\n\r\n",
          false },
        { "HTTP/1.1 200 X\r\nRefresh: 0; url=http://127.0.0.1:9/\r\n"
          "Alt-Svc: h2=\"127.0.0.1:9\"\r\nContent-Length: 0\r\n\r\n",
          false },
        { "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=x\r\n"
          "Content-Length: 0\r\n\r\n", false },
        { "HTTP/1.1 401 X\r\nWWW-Authenticate: Negotiate\r\n"
          "Content-Length: 0\r\n\r\n", false },
        { "HTTP/1.1 407 X\r\nProxy-Authenticate: NTLM\r\n"
          "Content-Length: 0\r\n\r\n", false },
        { "HTTP/1.1 204 X\r\n\r\n", false },
        { "HTTP/1.1 304 X\r\n\r\n", false },
        { "HTTP/1.1 206 X\r\nContent-Range: bytes 0-1/9\r\n"
          "Content-Length: 2\r\n\r\n<a", false },
        { "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
          "PRI * HTTP/2.0\r\n\r\n", false },
        { "<KmsResponse/>\n", false }, /* HTTP/0.9 */
        { "HTTP/2 200\r\n\r\n<KmsResponse/>", false },
        { "ICY 200 OK\r\n\r\n<KmsResponse/>", false },
        { "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 14"
          "\r\n\r\n" OK_XML, false },
        { "HTTP/1.1 200 X\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
          "e\r\n" OK_XML "\r\n0\r\n\r\n", false },
        { "HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n<a/>",
          false },
        { "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n<a/>", false },
        { "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
          "FFFFFFFFFFFFFFFFF\r\n<a/>", false },
        { "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
          "-4\r\n<a/>\r\n0\r\n\r\n", false },
        { "HTTP/1.1 999999999999 X\r\n\r\n", false },
        { "HTTP/1.1 100 Continue\r\n\r\n", true },
        { "HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n", true },
        { "Set-Cookie: a=b\r\n", true },
    };
#undef TO

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kit kit;
        double t = seconds_now();

        server.raw = rows[i].raw;
        begin(&kit, new_ctx(CERT_GOOD), rows[i].again ? HOW_AGAIN : HOW_RAW);
        kit.token = KIT_TOKEN;
        file_option(&kit, "token-file", "token");
        run(&kit);
        t = seconds_now() - t;
        if (kit.counted_failed != 1 || kit_n_keys(&kit) != 0 || t > 6
            || server.posts != 1) {
            fail_msg("row %zu: %u failures, %u requests, %.1f s\n%s", i,
                     kit.counted_failed, server.posts, t, kit.log);
        }
        end(&kit);
    }
}

/* The connection ends at every octet of an answer: there is no prefix of one
 * that brings a key, and nothing but the whole. */
static void
cut_everywhere(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        struct kit kit;
        unsigned step = 1;

        server.chunked = chunked;
        server.cut = 0;
        begin(&kit, new_ctx(CERT_GOOD), HOW_CUT);
        run(&kit);
        while (kit.n_init < 4000 && kit_n_keys(&kit) == 0) {
            size_t n_kms;

            mcx_ring_count(kit.ring, &n_kms, NULL);
            if (n_kms > 0) {
                break; /* whole: the certificate came */
            }
            assert_true(kit.counted_failed > 0);
            kit_step(&kit, 900000);
            step = server.cut > 200 && server.cut < 1300 ? 37 : 1;
            pthread_mutex_lock(&server.lock);
            server.cut += step;
            pthread_mutex_unlock(&server.lock);
            kit.n_init = 0;
            kit_tick(&kit);
        }
        /* Not before its last octet. */
        assert_true(server.cut > 1300);
        assert_int_equal(kit_n_keys(&kit), 0);
        set_how(HOW_FULL);
        kit_step(&kit, 900000);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        end(&kit);
    }
}

/* The environment of a developer, and a key that is encrypted: the keys of the
 * connection go into no file, nobody is asked at the terminal. */
static void
no_key_log(void **state)
{
    struct kit kit;
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/keylog", dir);
    assert_int_equal(setenv("SSLKEYLOGFILE", path, 1), 0);
    /* Read once, when libcurl begins. */
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    run(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
    unsetenv("SSLKEYLOGFILE");
    {
        FILE *f = fopen(path, "r");

        if (f) {
            assert_int_equal(fgetc(f), EOF);
            fclose(f);
            unlink(path);
        }
    }
}

/* OpenSSL catches signals while it asks, SIGALRM too; the end of its input
 * lets it go. */
static void *
close_soon(void *arg)
{
    struct timespec t = { 8, 0 };

    nanosleep(&t, NULL);
    close(*(int *)arg);
    return NULL;
}

static void
no_passphrase_asked(void **state)
{
    SSL_CTX *ctx = new_ctx(CERT_GOOD);
    struct kit kit;
    pthread_t thread;
    char path[128];
    double t;
    FILE *f;
    int in[2], was;

    (void)state;
    snprintf(path, sizeof path, "%s/locked.pem", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, client.cert), 1);
    assert_int_equal(PEM_write_PKCS8PrivateKey(f, client.key,
                                               EVP_aes_256_cbc(), "secret", 6,
                                               NULL, NULL), 1);
    fclose(f);
    /* Without a terminal OpenSSL asks standard input. */
    assert_int_equal(pipe(in), 0);
    was = dup(0);
    assert_int_equal(dup2(in[0], 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_soon, &in[1]), 0);
    begin(&kit, ctx, HOW_FULL);
    file_option(&kit, "cert-file", "locked.pem");
    t = seconds_now();
    run(&kit);
    t = seconds_now() - t;
    assert_int_equal(kit.counted_failed, 1);
    assert_int_equal(server.posts, 0);
    end(&kit);
    assert_int_equal(dup2(was, 0), 0);
    close(was);
    close(in[0]);
    unlink(path);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    assert_true(t < 6);
    close(in[1]);
}

/* Lies and statuses come the same way over the wire. */
static void
lies(void **state)
{
    struct kit kit;

    (void)state;
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    run(&kit);
    kit_step(&kit, INT64_C(2592000) * 950);
    for (int lie = KIT_TRUE + 1; lie < KIT_LIES; lie++) {
        kit.lie = lie == KIT_LIE_CERT ? KIT_TRUE : (enum kit_lie)lie;
        kit.status = lie == KIT_LIE_CERT ? 403 : 200;
        kit_tick(&kit);
        assert_int_equal(kit_n_keys(&kit), 1);
        assert_false(kit_has(&kit, kit_period(&kit) + 1));
        kit_step(&kit, 900000);
    }
    assert_true(kit.counted_failed >= KIT_LIES - 1);
    kit_log_has(&kit, "too large");
    kit_log_has(&kit, "KmsError 17: closed for the night");
    kit_log_has(&kit, "HTTP status 403");
    kit.lie = KIT_TRUE;
    kit.status = 200;
    kit_tick(&kit);
    assert_true(kit_has(&kit, kit_period(&kit) + 1));
    kit_no_secrets(&kit, NULL);
    end(&kit);
}

static void *
stop_soon(void *arg)
{
    struct kit *kit = arg;
    struct timespec t = { 0, 300000000 };

    nanosleep(&t, NULL);
    __atomic_store_n(&kit->stopping, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* The host stops while the server says nothing: no waiting for 'timeout'. */
static void
stops(void **state)
{
    struct kit kit;
    pthread_t thread;
    double t;

    (void)state;
    begin(&kit, new_ctx(CERT_GOOD), HOW_SILENT);
    kit_set(&kit, "timeout", "30");
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &kit), 0);
    t = seconds_now();
    run(&kit);
    t = seconds_now() - t;
    assert_true(t < 5);
    assert_int_equal(kit.counted_failed, 0);
    pthread_join(thread, NULL);
    end(&kit);
}

static void
nobody_there(void **state)
{
    struct kit kit;
    char url[64];

    (void)state;
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    /* A port on which nobody listens: that of a socket closed again. */
    {
        int port, fd = listen_on(&port);

        close(fd);
        snprintf(url, sizeof url, "https://localhost:%d/", port);
        kit_set(&kit, "url", url);
    }
    run(&kit);
    assert_int_equal(kit.counted_failed, 1);
    assert_int_equal(server.posts, 0);
    end(&kit);
}

/* ---- a proxy ----------------------------------------------------------- */

static struct {
    int fd, port;
    char head[1024];
} proxy;

static void
relay(int a, int b)
{
    struct pollfd p[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
    char buf[16384];

    while (poll(p, 2, 10000) > 0) {
        for (int i = 0; i < 2; i++) {
            ssize_t n;

            if (!p[i].revents) {
                continue;
            }
            n = read(p[i].fd, buf, sizeof buf);
            if (n <= 0 || write(p[1 - i].fd, buf, (size_t)n) != n) {
                return;
            }
        }
    }
}

/* One CONNECT, and then octets both ways until somebody closes. */
static void *
proxy_run(void *arg)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int in = accept(proxy.fd, NULL, NULL), out;
    size_t n = 0;

    (void)arg;
    while (n < sizeof proxy.head - 1 && !strstr(proxy.head, "\r\n\r\n")) {
        ssize_t k = read(in, proxy.head + n, sizeof proxy.head - 1 - n);

        if (k <= 0) {
            break;
        }
        n += (size_t)k;
    }
    out = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)server.port);
    if (connect(out, (struct sockaddr *)&a, sizeof a) == 0
        && write(in, "HTTP/1.1 200 OK\r\n\r\n", 19) == 19) {
        relay(in, out);
    }
    close(in);
    close(out);
    return NULL;
}

static void
through_a_proxy(void **state)
{
    struct kit kit;
    pthread_t thread;
    char text[64];

    (void)state;
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    kit.token = KIT_TOKEN;
    file_option(&kit, "token-file", "token");
    proxy.fd = listen_on(&proxy.port);
    snprintf(text, sizeof text, "http://127.0.0.1:%d", proxy.port);
    kit_set(&kit, "proxy", text);
    assert_int_equal(pthread_create(&thread, NULL, proxy_run, NULL), 0);
    run(&kit);
    pthread_join(thread, NULL);
    close(proxy.fd);
    assert_true(kit_has(&kit, kit_period(&kit)));
    snprintf(text, sizeof text, "CONNECT localhost:%d ", server.port);
    assert_int_equal(strncmp(proxy.head, text, strlen(text)), 0);
    assert_null(strstr(proxy.head, KIT_TOKEN)); /* not for the proxy */
    end(&kit);
}

/* A proxy named in the environment is not ours. */
static void
no_proxy_of_the_environment(void **state)
{
    struct kit kit;

    (void)state;
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:9", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:9", 1), 0);
    begin(&kit, new_ctx(CERT_GOOD), HOW_FULL);
    run(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
}

static int
setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(dir, sizeof dir, "kms-https.XXXXXX");
    assert_non_null(mkdtemp(dir));
    make_certs();
    return 0;
}

static int
teardown(void **state)
{
    static const char *const files[] = { "ca.pem", "client.pem", "token" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    for (int i = 0; i < CERTS; i++) {
        X509_free(leaf[i].cert);
        EVP_PKEY_free(leaf[i].key);
    }
    X509_free(ca.cert);
    EVP_PKEY_free(ca.key);
    X509_free(other_ca.cert);
    EVP_PKEY_free(other_ca.key);
    X509_free(client.cert);
    EVP_PKEY_free(client.key);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad_certificates),
        cmocka_unit_test(old_tls),
        cmocka_unit_test(ca_files),
        cmocka_unit_test(client_certificate),
        cmocka_unit_test(no_key_log),
        cmocka_unit_test(no_passphrase_asked),
        cmocka_unit_test(bad_answers),
        cmocka_unit_test(strange_answers),
        cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(lies),
        cmocka_unit_test(stops),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(through_a_proxy),
        cmocka_unit_test(no_proxy_of_the_environment),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
