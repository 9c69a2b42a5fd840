/* kms_serve.c -- mcx-kms serve: the KMS as a process.  Puts domain, store,
 * keys of tokens and the HTTPS side together and waits for a signal.  See
 * mcx-kms.1 and ../kms-server. */
#include <config.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../kms-server/http.h"
#include "kms_cmd.h"

static const char TOOL[] = "mcx-kms";

enum { PEM_MAX = 1048576, HOST_MAX = 64 };

/* Texts of files; 'key' is secret. */
struct pems {
    char *cert, *key, *proxy_ca;
    size_t cert_n, key_n, proxy_ca_n;
};

static int
read_text(char **out, size_t *n, const char *option, const char *path)
{
    const struct mcx_env *env = mcx_env_system();

    if (!path) {
        return cli_usage(TOOL, "serve: %s FILE is missing", option);
    }
    if (env->read_file(env->ctx, path, PEM_MAX, out, n) != MCX_OK) {
        return cli_usage(TOOL, "%s: %s cannot be read", option, path);
    }
    return CLI_OK;
}

/* The keys of tokens, and the file that they are from as it was then. */
struct token_file {
    const char *path;
    bool jwks;
    struct stat as;
    struct kms_token_keys *keys;
};

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec
           && a->st_ino == b->st_ino && a->st_dev == b->st_dev
           && a->st_size == b->st_size;
}

static mcx_err
read_token_keys(struct kms_token_keys **out, struct token_file *f,
                struct mcx_text *text)
{
    const struct mcx_env *env = mcx_env_system();
    char *s = NULL;
    size_t n = 0;
    mcx_err err;

    /* Before it is read: what is written meanwhile is read again. */
    if (stat(f->path, &f->as) != 0
        || env->read_file(env->ctx, f->path, PEM_MAX, &s, &n) != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "%s: %.400s cannot be read",
                       f->jwks ? "--jwks" : "--token-key", f->path);
        return MCX_E_CONFIG;
    }
    err = f->jwks ? kms_token_keys_jwks(out, mcx_bytes(s, n), f->path, text)
                  : kms_token_keys_pem(out, mcx_bytes(s, n), f->path, text);
    free(s);
    return err;
}

static int
first_token_keys(struct token_file *f, const struct kms_args *a)
{
    struct mcx_text text = { "" };
    mcx_err err;

    if (!a->jwks == !a->token_key) {
        return cli_usage(TOOL, "serve: expected --token-key FILE or --jwks "
                         "FILE");
    }
    f->jwks = a->jwks != NULL;
    f->path = a->jwks ? a->jwks : a->token_key;
    err = read_token_keys(&f->keys, f, &text);
    return err == MCX_OK ? CLI_OK : kms_failed(err, &text);
}

/* A key that its issuer took out of the file, perhaps because somebody else
 * has it, is not to be good for as long as this process runs.  What cannot be
 * read changes nothing: it may be half written. */
static void
look_at_token_keys(struct kms_http *http, struct token_file *f)
{
    const struct mcx_env *env = mcx_env_system();
    struct kms_token_keys *fresh = NULL;
    struct mcx_text text = { "" };
    struct stat now;

    if (stat(f->path, &now) != 0 || same_file(&now, &f->as)) {
        return;
    }
    if (read_token_keys(&fresh, f, &text) != MCX_OK) {
        mcx_log(env, MCX_AREA_KMS, 3, "keys of tokens stay as they were: %s",
                text.s);
        return;
    }
    (void)kms_http_keys(http, fresh);
    kms_token_keys_free(f->keys);
    f->keys = fresh;
    mcx_log(env, MCX_AREA_KMS, 5, "keys of tokens read again");
}

static int
read_pems(struct pems *p, const struct kms_args *a)
{
    int status = read_text(&p->cert, &p->cert_n, "--tls-cert", a->tls_cert);

    if (status == CLI_OK) {
        status = read_text(&p->key, &p->key_n, "--tls-key", a->tls_key);
    }
    if (status == CLI_OK && a->proxy_ca) {
        status = read_text(&p->proxy_ca, &p->proxy_ca_n, "--proxy-ca",
                           a->proxy_ca);
    }
    return status;
}

/* No core dump and no debugger of the same user sees this process. */
static void
hide(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* One line a message or key event, unless the environment says otherwise. */
static void
log_level(void)
{
    if (!getenv("MCX_DEBUG") && !getenv("MCX_KMS_DEBUG")) {
        mcx_log_level(MCX_AREA_KMS, 5);
    }
}

static int
wait_for_end(struct kms_http *http, struct kms_server *server,
             struct token_file *tokens, const sigset_t *signals)
{
    const struct timespec second = { 1, 0 };

    for (;;) {
        int sig = sigtimedwait(signals, NULL, &second);

        if (sig == SIGTERM || sig == SIGINT) {
            return CLI_OK;
        }
        kms_http_tick(http);
        kms_server_look(server);
        look_at_token_keys(http, tokens);
    }
}

static int
serve(const struct kms_args *a, struct kms_server *server,
      const struct pems *pems, struct token_file *tokens)
{
    char uri[MCX_URI_MAX]; /* the domain may be read again meanwhile */
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct kms_http_conf conf = {
        .listen = a->listen, .cert = pems->cert, .key = pems->key,
        .proxy_ca = pems->proxy_ca,
        .threads = a->threads ? (unsigned)a->threads
                   : cores > 0 ? 2 * (unsigned)cores
                               : 2,
        .connections = (unsigned)a->connections,
        .per_address = (unsigned)a->per_address,
        .request_ms = (int64_t)a->timeout * 1000,
        .rule = { .issuer = a->issuer ? a->issuer : uri,
                  .audience = a->audience ? a->audience : uri,
                  .scope = a->scope },
        .keys = tokens->keys,
    };
    struct mcx_text text = { "" };
    struct kms_http *http = NULL;
    sigset_t signals;
    unsigned port = 0;
    int status;
    mcx_err err;

    (void)snprintf(uri, sizeof uri, "%s", server->held->domain->info.uri);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    mcx_wipe_stack(); /* what the opening of the domain left there */
    err = kms_http_start(&http, server, &conf, &port, &text);
    if (err != MCX_OK) {
        return kms_failed(err, &text);
    }
    (void)printf("mcx-kms: %s at %.*s:%u\n", uri,
                 (int)(strrchr(a->listen, ':') - a->listen), a->listen, port);
    status = cli_flush() ? wait_for_end(http, server, tokens, &signals)
                         : CLI_REFUSED;
    kms_http_stop(http);
    return status;
}

/* Which of three words is it?  'text' NULL: the first. */
static int
one_of(unsigned *out, const char *option, const char *text,
       const char *const words[3])
{
    unsigned i = 0;

    while (text && i < 3 && strcmp(text, words[i]) != 0) {
        i++;
    }
    if (i == 3) {
        return cli_usage(TOOL, "%s: expected %s, %s or %s, got \"%s\"",
                         option, words[0], words[1], words[2], text);
    }
    *out = i;
    return CLI_OK;
}

/* In the order of enum kms_security and enum mcx_kms_form. */
static int
read_policy(struct kms_policy *p, const struct kms_args *a)
{
    static const char *const securities[] = { "tls", "signed", "wrapped" };
    static const char *const forms[] = { "padded", "bare", "nested" };
    unsigned security = 0, form = 0;
    int status = one_of(&security, "--security", a->security, securities);

    if (status == CLI_OK) {
        status = one_of(&form, "--wrap-form", a->wrap_form, forms);
    }
    p->ahead = a->ahead;
    p->back = a->back;
    p->fresh_ms = (int64_t)a->fresh * 1000;
    p->security = (enum kms_security)security;
    p->form = (enum mcx_kms_form)form;
    return status;
}

int
kms_serve(struct kms_args *a)
{
    struct kms_policy policy = { 0 };
    struct token_file tokens = { 0 };
    struct kms_domain *d = NULL;
    struct kms_store *store = NULL;
    struct kms_server server = { 0 };
    struct pems pems = { 0 };
    char host[HOST_MAX] = "?";
    uint64_t num = kms_certs_num(a->dir, mcx_env_system());
    int status;

    if (!a->listen) {
        return cli_usage(TOOL, "serve: --listen ADDR:PORT is missing");
    }
    status = read_policy(&policy, a);
    if (status != CLI_OK) {
        return status;
    }
    hide();
    log_level();
    (void)gethostname(host, sizeof host - 1);
    status = first_token_keys(&tokens, a);
    status = status != CLI_OK ? status : read_pems(&pems, a);
    status = status != CLI_OK ? status : kms_open_domain(&d, a);
    status = status != CLI_OK ? status : kms_open_store(&store, a, d);
    if (status != CLI_OK) {
        kms_domain_free(d);
        goto out;
    }
    if (kms_server_init(&server, d, a->dir, num, mcx_env_system()) != MCX_OK) {
        status = cli_fail(TOOL, "out of memory");
        goto out;
    }
    server.instance = a->name ? a->name : host;
    server.store = store;
    server.policy = policy;
    status = serve(a, &server, &pems, &tokens);
out:
    kms_server_fini(&server);
    kms_store_close(store);
    kms_token_keys_free(tokens.keys);
    mcx_kms_text_free(pems.key, pems.key_n);
    free(pems.cert);
    free(pems.proxy_ca);
    return status;
}
