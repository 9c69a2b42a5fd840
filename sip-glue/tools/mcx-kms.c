/* mcx-kms.c -- a key management server: on files, and as a service.
 *
 * `init` makes the two master secrets and what the world may know of them;
 * `issue` makes the keys of one user for one or more key periods, as the XML
 * that a KMS would answer with (TS 33.180 annex D).  Before anything is
 * written the documents are read back as a client reads them, with every
 * check of RFC 6507 5.1.2 and RFC 6508 6.1.2.  The other commands, which need
 * a database or a network, are in kms_cmd.c and kms_serve.c.  See
 * mcx-kms.1. */
#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms_cmd.h"

static const char TOOL[] = "mcx-kms";
static const char INIT[] = "kms-init.xml";

enum { PERIODS_MAX = 120, PERIOD_DEFAULT = 2592000 };

static const char HELP[] =
    "Usage: mcx-kms init DIR --kms-uri URI SEAL [--period S] [--offset S]\n"
    "                        [--domain HOST]...\n"
    "                        [--monthly-tel]\n"
    "       mcx-kms issue DIR [SEAL] --user URI [--at TIME] [--periods N]\n"
    "                        --out DIR\n"
    "       mcx-kms serve DIR [SEAL] --listen ADDR:PORT --tls-cert FILE\n"
    "                        --tls-key FILE {--token-key | --jwks} FILE\n"
    "                        [--issuer S] [--audience S] [OPTION]...\n"
    "       mcx-kms user {add | revoke} DIR [SEAL] [--store S] [URI]...\n"
    "       mcx-kms user {add | keys} DIR [SEAL] [--store S] --trk FILE URI\n"
    "       mcx-kms user rekey DIR [SEAL] [--store S] URI...\n"
    "       mcx-kms user list DIR [SEAL] [--store S]\n"
    "       mcx-kms rotate DIR [SEAL] [--store S] [--at TIME]\n"
    "       mcx-kms re-seal DIR [SEAL] [--store S]\n"
    "                        {--new-key-file | --new-passphrase-file} FILE\n"
    "       mcx-kms status DIR [SEAL] [--store S]\n"
    "       mcx-kms audit DIR [SEAL] [--store S] [--head VALUE] [--json]\n"
    "       mcx-kms token DIR --user URI [--issuer S] [--audience S]\n"
    "                        [--lifetime S]\n"
    "\n"
    "init    makes DIR with new master secrets and the KMS's certificate\n"
    "issue   writes the certificate and the keys of a user into --out DIR\n"
    "serve   answers clients over HTTPS (TS 33.180 annex D)\n"
    "user    makes users known, revokes or lists them; add and revoke take\n"
    "        one URI a line from standard input when none is given;\n"
    "        keys gives a user the transport keys in FILE, rekey new ones\n"
    "        that its client gets with its next answers\n"
    "rotate  makes new master secrets for a key period to come\n"
    "re-seal seals the master secrets under another key or passphrase\n"
    "status  says what there is, and checks nothing\n"
    "audit   checks the chain of the log, and prints it with --json\n"
    "token   prints a bearer token, for tries without an identity server\n"
    "\n"
    "SEAL, how the master secrets are kept (else: under a key in DIR itself,\n"
    "seal.key):\n"
    "  --key-file FILE         under a key; init makes the file if missing\n"
    "  --passphrase-file FILE  under a passphrase, the first line of FILE\n"
    "  --plain                 in clear (init only)\n"
    "\n"
    "  --kms-uri URI  name of the KMS, part of every identifier\n"
    "  --period S     key period in seconds (2592000)\n"
    "  --offset S     key period offset in seconds (0)\n"
    "  --domain HOST  a domain that this KMS serves; may be repeated\n"
    "  --monthly-tel  tel URIs with keys by month (RFC 6509 3.2) instead of\n"
    "                 hashed identifiers and --period\n"
    "  --user URI     identity that the keys or the token are for\n"
    "  --at TIME      a moment in the first period, RFC 3339 (issue: now;\n"
    "                 rotate: in the next period)\n"
    "  --periods N    so many periods, the first and those after it (1)\n"
    "  --out DIR      where the documents go; made when it is missing\n"
    "  --store S      database: a file (DIR/kms.sqlite) or postgresql://...\n"
    "  --issuer S, --audience S  of tokens (the KMS URI)\n"
    "  --scope S      of tokens (" KMS_SCOPE ")\n"
    "  --lifetime S   of a token (3600)\n"
    "  --new-key-file FILE  made when it is missing\n"
    "  --head VALUE   a value that audit must find in the log\n"
    "  --trk FILE     first TrK and InK of a user; made when it is missing\n"
    "\n"
    "serve:\n"
    "  --enrol        every token's user is a user; else only those of\n"
    "                 user add\n"
    "  --ahead N, --back N  key periods issued around the current one (1, 1)\n"
    "  --fresh S      how far Time of a request may be from now (5)\n"
    "  --security tls | signed | wrapped  what every request must be (tls;\n"
    "                 a user with transport keys signs in any case)\n"
    "  --wrap-form padded | bare | nested  RFC 5649, RFC 3394 or AES-GCM\n"
    "                 (padded)\n"
    "  --threads N, --connections N, --per-address N  (2 a core, 1000, 200)\n"
    "  --proxy-ca FILE  authorities of proxies that may name the user in\n"
    "                 X-3GPP-Asserted-Identity instead of a token\n"
    "  --timeout S    for a request, and for silence (10)\n"
    "  --name WORD    this server in the audit log (host name)\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done, 2 usage or configuration, 1 anything else.\n";

static int
write_to(const char *dir, const char *name, const char *text, size_t n)
{
    const struct mcx_env *env = mcx_env_system();
    char path[KMS_PATH_MAX];

    if (!kms_path(path, dir, name)
        || env->write_file(env->ctx, path, mcx_bytes(text, n), 0600)
               != MCX_OK) {
        return cli_fail(TOOL, "%s/%s: cannot be written", dir, name);
    }
    return CLI_OK;
}

/* Makes 'dir'; "there already" is fine only when 'may_exist'. */
static int
make_dir(const char *dir, bool may_exist)
{
    struct stat st;

    if (mkdir(dir, 0700) == 0) {
        return CLI_OK;
    }
    if (errno == EEXIST && stat(dir, &st) == 0 && S_ISDIR(st.st_mode)
        && may_exist) {
        return CLI_OK;
    }
    return cli_fail(TOOL, "%s: cannot make the folder: %s", dir,
                    strerror(errno));
}

static void
req_url(char *out, size_t room, const char *kms_uri, const char *resource)
{
    const char *host = kms_uri, *scheme = strstr(kms_uri, "://");

    if (scheme) {
        host = scheme + 3;
    } else if (strncmp(kms_uri, "sip:", 4) == 0) {
        host = kms_uri + 4;
    }
    (void)snprintf(out, room, "https://%s/keymanagement/identity/v1/%s", host,
                   resource);
}

/* ---- init -------------------------------------------------------------- */

static void
info_of(struct mcx_kms_info *info, const struct kms_args *a)
{
    size_t i;

    memset(info, 0, sizeof *info);
    (void)snprintf(info->uri, sizeof info->uri, "%s", a->kms_uri);
    info->period.length_s = a->period ? a->period : PERIOD_DEFAULT;
    info->period.offset_s = a->offset;
    info->root = true;
    info->monthly_tel = info->period.months = a->monthly_tel;
    for (i = 0; i < a->n_domains; i++) {
        (void)snprintf(info->domain[i], sizeof info->domain[i], "%s",
                       a->domain[i]);
    }
    info->n_domains = a->n_domains;
}

/* The certificate for period 'no', as a KmsInit answer to 'user'. */
static mcx_err
init_xml(char **out, size_t *n, const struct kms_domain *d, uint64_t no,
         const char *user, int64_t now_ms)
{
    char url[MCX_URI_MAX + 128];
    struct mcx_kms_cert cert;
    struct mcx_kms_doc doc = { .user_uri = user, .kms_uri = d->info.uri,
                               .client_req_url = url,
                               .time_unix_ms = now_ms };

    kms_domain_cert(&cert, d, kms_domain_at(d, no));
    req_url(url, sizeof url, d->info.uri, "init");
    return mcx_kms_write_init(out, n, &doc, &cert.info, cert.z, cert.kpak);
}

/* Writes the files of a new domain into its folder. */
static int
write_domain(struct kms_domain *d, const struct kms_args *a)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_text text = { "" };
    char *xml = NULL;
    size_t n = 0;
    int status;
    mcx_err err;

    /* An existing KMS is never overwritten: its users would be lost. */
    status = make_dir(a->dir, false);
    if (status != CLI_OK) {
        return status;
    }
    err = kms_domain_lock(d, &a->lock, env, &text);
    if (err == MCX_OK) {
        err = kms_domain_write_master(d, a->dir, env, &text);
    }
    if (err == MCX_OK) {
        err = kms_domain_write_conf(d, a->dir, env, &text);
    }
    if (err == MCX_OK) {
        err = init_xml(&xml, &n, d, 0, d->info.uri, env->unix_ms(env->ctx));
    }
    if (err != MCX_OK) {
        return kms_failed(err, &text);
    }
    status = write_to(a->dir, INIT, xml, n);
    mcx_kms_text_free(xml, n);
    return status;
}

static int
init(struct kms_args *a)
{
    struct kms_domain *d = NULL;
    struct mcx_kms_info info;
    int status;

    if (!a->kms_uri) {
        return cli_usage(TOOL, "init: --kms-uri URI is missing");
    }
    if (!cli_uri(a->kms_uri)) {
        return cli_usage(TOOL, "--kms-uri: expected a URI or host name, got "
                         "\"%s\"", a->kms_uri);
    }
    info_of(&info, a);
    if (kms_domain_new(&d, &info, mcx_env_system()) != MCX_OK) {
        return cli_fail(TOOL, "no master secrets: randomness or memory "
                        "failed");
    }
    status = write_domain(d, a);
    kms_domain_free(d);
    return status;
}

/* ---- issue ------------------------------------------------------------- */

/* Reads the documents as a client does: what does not pass is not written. */
static int
read_back(const char *cert, size_t cert_n, const char *keys, size_t keys_n)
{
    struct mcx_env quiet = cli_env(NULL);
    const struct mcx_env *env = &quiet;
    struct mcx_ring *ring = NULL;
    struct mcx_text text = { "" };
    mcx_err err = mcx_ring_new(&ring, env);

    if (err == MCX_OK) {
        mcx_ring_allow(ring, MCX_PEER_MONTHLY_TEL);
        err = mcx_kms_load(ring, mcx_bytes(cert, cert_n), "KmsInit", env,
                           NULL, &text);
    }
    if (err == MCX_OK) {
        err = mcx_kms_load(ring, mcx_bytes(keys, keys_n), "KmsKeyProv", env,
                           NULL, &text);
    }
    mcx_ring_free(ring);
    if (err != MCX_OK) {
        return cli_fail(TOOL, "the issued keys do not pass their own check: "
                        "%s", text.s[0] ? text.s : mcx_err_text(err));
    }
    return CLI_OK;
}

/* File names: "kms-<KMS>.xml" and "user-<user>-<period>.xml"; a name that
 * would be too long for a file system ends in the UID instead. */
static void
file_names(char cert[256], char keys[256], const struct kms_args *a,
           const char *kms_uri, const struct mcx_kms_keyset *first)
{
    char name[3 * MCX_URI_MAX + 4], uid[MCX_HEX_SIZE(MCX_UID_SIZE)];

    kms_escape(name, sizeof name, kms_uri);
    (void)snprintf(cert, 256, "kms-%.200s.xml", name);
    kms_escape(name, sizeof name, a->user);
    if (strlen(name) <= 200) {
        (void)snprintf(keys, 256, "user-%.200s-%llu.xml", name,
                       (unsigned long long)first->period_no);
    } else if (mcx_hex_encode(uid, sizeof uid,
                              mcx_bytes(first->uid.b, sizeof first->uid.b))
               == MCX_OK) {
        (void)snprintf(keys, 256, "user-%.100s-%s-%llu.xml", name, uid,
                       (unsigned long long)first->period_no);
    }
}

static int
issue_with(const struct kms_args *a, const struct kms_domain *d,
           struct mcx_kms_keyset *sets)
{
    const struct mcx_env *env = mcx_env_system();
    char url[MCX_URI_MAX * 4 + 128], cert_name[256], keys_name[256];
    char name[3 * MCX_URI_MAX + 4], resource[sizeof name + 8];
    struct mcx_kms_doc doc = { .user_uri = a->user, .kms_uri = d->info.uri,
                               .client_req_url = url };
    char *cert = NULL, *keys = NULL;
    size_t cert_n = 0, keys_n = 0;
    uint64_t no = 0, i;
    mcx_err err;
    int status;

    doc.time_unix_ms = env->unix_ms(env->ctx);
    err = kms_domain_period(&no, d,
                            a->at_given ? a->at_ms : doc.time_unix_ms);
    if (err != MCX_OK) {
        return cli_usage(TOOL, "--at: expected a time after the offset of "
                         "the first key period");
    }
    for (i = 0; i < a->periods && err == MCX_OK; i++) {
        (void)snprintf(sets[i].user_uri, sizeof sets[i].user_uri, "%s",
                       a->user);
        err = kms_domain_issue(&sets[i], d, no + i, env);
    }
    kms_escape(name, sizeof name, a->user);
    (void)snprintf(resource, sizeof resource, "keyprov/%s", name);
    req_url(url, sizeof url, d->info.uri, resource);
    if (err == MCX_OK) {
        err = mcx_kms_write_keyprov(&keys, &keys_n, &doc, &d->info, sets,
                                    (size_t)a->periods);
    }
    if (err == MCX_OK) {
        err = init_xml(&cert, &cert_n, d, no, a->user, doc.time_unix_ms);
    }
    if (err == MCX_E_ARG && d->info.monthly_tel) {
        status = cli_usage(TOOL, "--user: expected a global tel URI, tel:+ "
                           "and digits, for this KMS's keys are monthly (RFC "
                           "6509 3.2), got \"%s\"", a->user);
        goto out;
    }
    if (err != MCX_OK) {
        status = cli_fail(TOOL, "no keys could be made: %s",
                          mcx_err_text(err));
        goto out;
    }
    file_names(cert_name, keys_name, a, d->info.uri, &sets[0]);
    status = read_back(cert, cert_n, keys, keys_n);
    status = status != CLI_OK ? status : make_dir(a->out, true);
    status = status != CLI_OK ? status
                              : write_to(a->out, cert_name, cert, cert_n);
    status = status != CLI_OK ? status
                              : write_to(a->out, keys_name, keys, keys_n);
out:
    mcx_kms_text_free(cert, cert_n);
    mcx_kms_text_free(keys, keys_n);
    return status;
}

static int
issue(struct kms_args *a)
{
    struct kms_domain *d = NULL;
    struct mcx_kms_keyset *sets = NULL;
    int status;

    if (!a->user || !a->out) {
        return cli_usage(TOOL, "issue: --user URI and --out DIR are needed");
    }
    a->periods = a->periods ? a->periods : 1;
    status = kms_open_domain(&d, a);
    if (status == CLI_OK) {
        sets = calloc((size_t)a->periods, sizeof *sets);
        status = sets ? issue_with(a, d, sets)
                      : cli_fail(TOOL, "out of memory");
    }
    if (sets) {
        mcx_wipe(sets, (size_t)a->periods * sizeof *sets);
        free(sets);
    }
    kms_domain_free(d);
    return status;
}

/* ---- arguments --------------------------------------------------------- */

enum {
    C_INIT = 1, C_ISSUE = 2, C_SERVE = 4, C_USER = 8, C_ROTATE = 16,
    C_STATUS = 32, C_AUDIT = 64, C_TOKEN = 128, C_RESEAL = 256,
    C_STORE = C_SERVE | C_USER | C_ROTATE | C_STATUS | C_AUDIT | C_RESEAL,
    C_SEAL = C_STORE | C_INIT | C_ISSUE
};

/* Every option, what it goes with, and where its value is kept: a text, or a
 * number from 'min' to 'max'. */
static const struct {
    const char *name;
    int c;
    unsigned commands;
    size_t at;
    uint64_t min, max; /* max 0: a text */
} opts[] = {
#define TEXT(name, c, commands, member)                                       \
    { name, c, commands, offsetof(struct kms_args, member), 0, 0 }
#define NUMBER(name, c, commands, member, min, max)                           \
    { name, c, commands, offsetof(struct kms_args, member), min, max }
    TEXT("key-file", 1, C_SEAL, lock.key_file),
    TEXT("passphrase-file", 2, C_SEAL, lock.passphrase_file),
    TEXT("kms-uri", 3, C_INIT, kms_uri),
    NUMBER("period", 4, C_INIT, period, 1, UINT32_MAX),
    NUMBER("offset", 5, C_INIT, offset, 0, UINT32_MAX),
    TEXT("user", 6, C_ISSUE | C_TOKEN, user),
    NUMBER("periods", 7, C_ISSUE, periods, 1, PERIODS_MAX),
    TEXT("out", 8, C_ISSUE, out),
    TEXT("store", 9, C_STORE, store),
    TEXT("issuer", 10, C_SERVE | C_TOKEN, issuer),
    TEXT("audience", 11, C_SERVE | C_TOKEN, audience),
    TEXT("scope", 12, C_SERVE | C_TOKEN, scope),
    NUMBER("lifetime", 13, C_TOKEN, lifetime, 1, 31536000),
    TEXT("head", 14, C_AUDIT, head),
    TEXT("listen", 15, C_SERVE, listen),
    TEXT("tls-cert", 16, C_SERVE, tls_cert),
    TEXT("tls-key", 17, C_SERVE, tls_key),
    TEXT("token-key", 18, C_SERVE, token_key),
    TEXT("jwks", 19, C_SERVE, jwks),
    NUMBER("ahead", 20, C_SERVE, ahead, 0, PERIODS_MAX),
    NUMBER("back", 21, C_SERVE, back, 0, PERIODS_MAX),
    NUMBER("fresh", 22, C_SERVE, fresh, 1, 3600),
    NUMBER("threads", 23, C_SERVE, threads, 1, 256),
    NUMBER("connections", 24, C_SERVE, connections, 2, 100000),
    NUMBER("per-address", 25, C_SERVE, per_address, 1, 100000),
    NUMBER("timeout", 26, C_SERVE, timeout, 1, 3600),
    TEXT("name", 27, C_SERVE, name),
    TEXT("trk", 28, C_USER, trk),
    TEXT("security", 29, C_SERVE, security),
    TEXT("wrap-form", 30, C_SERVE, wrap_form),
    TEXT("new-key-file", 40, C_RESEAL, new_lock.key_file),
    TEXT("new-passphrase-file", 41, C_RESEAL, new_lock.passphrase_file),
    TEXT("proxy-ca", 42, C_SERVE, proxy_ca),
#undef TEXT
#undef NUMBER
};
enum { N_OPTS = sizeof opts / sizeof opts[0] };

static const struct option others[] = {
    { "plain", no_argument, NULL, 'P' },
    { "domain", required_argument, NULL, 'd' },
    { "at", required_argument, NULL, 'a' },
    { "enrol", no_argument, NULL, 'e' },
    { "monthly-tel", no_argument, NULL, 'm' },
    { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
};
enum { N_OTHERS = sizeof others / sizeof others[0] };

static bool
take_listed(struct kms_args *a, int c, unsigned *commands)
{
    size_t i;

    for (i = 0; i < N_OPTS; i++) {
        char name[32];

        if (opts[i].c != c) {
            continue;
        }
        *commands &= opts[i].commands;
        if (!opts[i].max) {
            memcpy((char *)a + opts[i].at, &optarg, sizeof optarg);
            return true;
        }
        (void)snprintf(name, sizeof name, "--%s", opts[i].name);
        return cli_number(TOOL, name, optarg, opts[i].min, opts[i].max,
                          (uint64_t *)(void *)((char *)a + opts[i].at));
    }
    (void)cli_usage(TOOL, "unknown option or missing value; see %s --help",
                    TOOL);
    return false;
}

static bool
take_option(struct kms_args *a, int c, unsigned *commands)
{
    switch (c) {
    case 'P':
        *commands &= C_INIT;
        a->lock.plain = true;
        return true;
    case 'd':
        *commands &= C_INIT;
        if (a->n_domains == MCX_GROUPS_MAX || !cli_uri(optarg)
            || strlen(optarg) >= MCX_GROUP_ID_MAX) {
            (void)cli_usage(TOOL, "--domain: expected at most %d host names",
                            MCX_GROUPS_MAX);
            return false;
        }
        a->domain[a->n_domains++] = optarg;
        return true;
    case 'a':
        *commands &= C_ISSUE | C_ROTATE;
        a->at_given = true;
        return cli_time(TOOL, "--at", optarg, &a->at_ms);
    case 'e':
        *commands &= C_SERVE;
        a->enrol = true;
        return true;
    case 'm':
        *commands &= C_INIT;
        a->monthly_tel = true;
        return true;
    case 'j':
        *commands &= C_AUDIT;
        a->json = true;
        return true;
    default:
        return take_listed(a, c, commands);
    }
}

static const struct {
    const char *word;
    unsigned command;
    int (*run)(struct kms_args *a);
} commands[] = {
    { "init", C_INIT, init },           { "issue", C_ISSUE, issue },
    { "serve", C_SERVE, kms_serve },    { "user", C_USER, kms_user },
    { "rotate", C_ROTATE, kms_rotate }, { "status", C_STATUS, kms_status },
    { "audit", C_AUDIT, kms_audit },    { "token", C_TOKEN, kms_token },
    { "re-seal", C_RESEAL, kms_reseal },
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

/* Without an option that says otherwise the secrets are sealed under a key
 * file in DIR itself: no copy of the database alone opens them, and it takes
 * no more words than a KMS in clear would.  Who wants the key elsewhere moves
 * it and says --key-file. */
static bool
own_key_file(struct kms_args *a, bool making)
{
    static char path[KMS_PATH_MAX];

    if (a->lock.plain || a->lock.key_file || a->lock.passphrase_file) {
        return true;
    }
    if (!kms_path(path, a->dir, "seal.key")) {
        return false;
    }
    if (making || access(path, F_OK) == 0) {
        a->lock.key_file = path;
    }
    return true;
}

/* What is not an option: COMMAND DIR, or user WHAT DIR [URI]... */
static int
run(struct kms_args *a, int n, char **words, unsigned fitting)
{
    size_t i = 0;
    bool user = n > 0 && strcmp(words[0], "user") == 0;

    while (n > 0 && i < N_COMMANDS && strcmp(words[0], commands[i].word)) {
        i++;
    }
    if (n < 2 + user || (n > 2 && !user) || i == N_COMMANDS
        || !*words[1 + user]) {
        return cli_usage(TOOL, "expected a command and DIR; see %s --help",
                         TOOL);
    }
    if (!(commands[i].command & fitting)) {
        return cli_usage(TOOL, "%s: an option that does not go with it; see "
                         "%s --help", words[0], TOOL);
    }
    if ((a->lock.plain != 0) + (a->lock.key_file != NULL)
            + (a->lock.passphrase_file != NULL) > 1) {
        return cli_usage(TOOL, "expected only one of --key-file, "
                         "--passphrase-file and --plain");
    }
    if (a->user && !cli_uri(a->user)) {
        return cli_usage(TOOL, "--user: expected a URI of at most %d octets, "
                         "got \"%s\"", MCX_URI_MAX - 1, a->user);
    }
    a->sub = user ? words[1] : NULL;
    a->dir = words[1 + user];
    a->rest = words + 2 + user;
    a->n_rest = (size_t)(n - 2 - user);
    if (!own_key_file(a, commands[i].run == init)) {
        return cli_usage(TOOL, "%s: too long a path", a->dir);
    }
    if (mcx_ident_selftest() != MCX_OK) {
        return cli_fail(TOOL, "self-test failed");
    }
    return commands[i].run(a);
}

int
main(int argc, char **argv)
{
    struct option all[N_OPTS + N_OTHERS + 1] = { 0 };
    struct kms_args a = { .ahead = 1, .back = 1, .fresh = 5, .timeout = 10,
                          .connections = 1000, .per_address = 200,
                          .lifetime = 3600, .scope = KMS_SCOPE };
    unsigned fitting = ~0u;
    size_t i;
    int c;

    for (i = 0; i < N_OPTS; i++) {
        all[i].name = opts[i].name;
        all[i].has_arg = required_argument;
        all[i].val = opts[i].c;
    }
    memcpy(all + N_OPTS, others, sizeof others);
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", all, NULL)) != -1) {
        if (c == 'h' || c == 'V') {
            (void)fputs(c == 'h' ? HELP : "mcx-kms " PACKAGE_VERSION "\n",
                        stdout);
            return cli_flush() ? CLI_OK : CLI_REFUSED;
        }
        if (!take_option(&a, c, &fitting)) {
            return CLI_USAGE;
        }
    }
    return run(&a, argc - optind, argv + optind, fitting);
}
