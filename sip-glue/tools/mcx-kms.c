/* mcx-kms.c -- a key management server on files.
 *
 * `init` makes the two master secrets and what the world may know of them;
 * `issue` makes the keys of one user for one or more key periods, as the XML
 * that a KMS would answer with (TS 33.180 annex D).  Before anything is
 * written the documents are read back as a client reads them, with every
 * check of RFC 6507 5.1.2 and RFC 6508 6.1.2.  See mcx-kms.1. */
#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "cli.h"

static const char TOOL[] = "mcx-kms";
static const char MASTER[] = "master.secret";
static const char CONF[] = "kms.conf";
static const char INIT[] = "kms-init.xml";

enum { PERIODS_MAX = 120, PATH_MAX_ = 4096, PERIOD_DEFAULT = 2592000 };

static const char HELP[] =
    "Usage: mcx-kms init DIR --kms-uri URI [--period S] [--offset S]\n"
    "                        [--domain HOST]...\n"
    "       mcx-kms issue DIR --user URI [--at TIME] [--periods N] --out DIR\n"
    "\n"
    "init   makes DIR with new master secrets and the KMS's certificate\n"
    "issue  writes the certificate and the keys of a user into --out DIR\n"
    "\n"
    "  --kms-uri URI  name of the KMS, part of every identifier\n"
    "  --period S     key period in seconds (2592000)\n"
    "  --offset S     key period offset in seconds (0)\n"
    "  --domain HOST  a domain that this KMS serves; may be repeated\n"
    "  --user URI     identity that the keys are for\n"
    "  --at TIME      a moment in the first period, RFC 3339 (now)\n"
    "  --periods N    so many periods, the first and those after it (1)\n"
    "  --out DIR      where the documents go; made when it is missing\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done, 2 usage or configuration, 1 anything else.\n";

/* The texts of the configuration file; see mcx-kms.1. */
static const struct mcx_opt conf_opts[] = {
    { "kms-uri", MCX_OPT_TEXT, NULL, 0, 0, NULL, "name of the KMS" },
    { "period", MCX_OPT_NUMBER, "2592000", 1, UINT32_MAX, NULL,
      "key period, seconds" },
    { "offset", MCX_OPT_NUMBER, "0", 0, UINT32_MAX, NULL,
      "key period offset, seconds" },
    { "domains", MCX_OPT_TEXT, NULL, 0, 0, NULL,
      "domains served, separated by spaces" },
};

struct args {
    const char *dir, *kms_uri, *user, *out;
    uint64_t period, offset, periods;
    bool at_given;
    int64_t at_ms;
    size_t n_domains;
    const char *domain[MCX_GROUPS_MAX];
};

static bool
path_of(char out[PATH_MAX_], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX_, "%s/%s", dir, name);

    return n > 0 && n < PATH_MAX_;
}

static int
write_to(const char *dir, const char *name, const char *text, size_t n)
{
    const struct mcx_env *env = mcx_env_system();
    char path[PATH_MAX_];

    if (!path_of(path, dir, name)
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

/* Percent-encodes all but letters, digits, '-', '.' and '_', so that a URI
 * makes one harmless path segment. */
static void
escape(char *out, size_t room, const char *uri)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (; *uri && n + 4 <= room; uri++) {
        unsigned char c = (unsigned char)*uri;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '-' || c == '_'
            || (c == '.' && n > 0)) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = '\0';
}

/* ---- init -------------------------------------------------------------- */

static const char MASTER_HEAD[] =
    "# mcx-kms master secrets: WHOEVER READS THIS CAN READ EVERYTHING.\n"
    "# z_T (128 octets) followed by KSAK (32 octets), hexadecimal, in clear.\n"
    "# Keep it readable by the KMS alone; there is no copy elsewhere.\n";

static int
write_master(const char *dir, const struct mcx_kms_master *master)
{
    MCX_SECRET(mcx_kms_secret, secret);
    char text[sizeof MASTER_HEAD + MCX_HEX_SIZE(MCX_KMS_MASTER_SIZE) + 1];
    size_t n = sizeof MASTER_HEAD - 1;
    int status = CLI_REFUSED;

    mcx_kms_master_export(&secret, master);
    memcpy(text, MASTER_HEAD, n);
    if (mcx_hex_encode(text + n, sizeof text - n,
                       mcx_bytes(secret.b, sizeof secret.b)) == MCX_OK) {
        n += 2 * MCX_KMS_MASTER_SIZE;
        text[n++] = '\n';
        status = write_to(dir, MASTER, text, n);
    }
    mcx_wipe(text, sizeof text);
    return status;
}

static int
write_conf(const struct args *a)
{
    char text[MCX_URI_MAX + MCX_GROUPS_MAX * MCX_GROUP_ID_MAX + 256];
    size_t i, n;

    (void)snprintf(text, sizeof text, "# KMS configuration, made by mcx-kms "
                   "init\nkms-uri = %s\nperiod = %llu\noffset = %llu\n",
                   a->kms_uri, (unsigned long long)a->period,
                   (unsigned long long)a->offset);
    n = strlen(text);
    for (i = 0; i < a->n_domains; i++) {
        (void)snprintf(text + n, sizeof text - n, "%s%s",
                       i ? " " : "domains = ", a->domain[i]);
        n += strlen(text + n);
    }
    if (a->n_domains) {
        (void)snprintf(text + n, sizeof text - n, "\n");
        n += strlen(text + n);
    }
    return write_to(a->dir, CONF, text, n);
}

static void
info_of(struct mcx_kms_info *info, const struct args *a)
{
    size_t i;

    memset(info, 0, sizeof *info);
    (void)snprintf(info->uri, sizeof info->uri, "%s", a->kms_uri);
    info->period.length_s = a->period;
    info->period.offset_s = a->offset;
    info->root = true;
    for (i = 0; i < a->n_domains; i++) {
        (void)snprintf(info->domain[i], sizeof info->domain[i], "%s",
                       a->domain[i]);
    }
    info->n_domains = a->n_domains;
}

/* The certificate as a KmsInit answer to 'user'. */
static mcx_err
init_xml(char **out, size_t *n, const struct args *a, const char *user,
         int64_t now_ms, const struct mcx_kms_master *master)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    char url[MCX_URI_MAX + 128];
    struct mcx_kms_info info;
    struct mcx_kms_doc doc = { .user_uri = user, .kms_uri = a->kms_uri,
                               .client_req_url = url,
                               .time_unix_ms = now_ms };

    info_of(&info, a);
    req_url(url, sizeof url, a->kms_uri, "init");
    mcx_kms_master_public(z, kpak, master);
    return mcx_kms_write_init(out, n, &doc, &info, z, kpak);
}

static int
init(const struct args *a)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_kms_master *master = NULL;
    char *xml = NULL;
    size_t n = 0;
    int status;

    if (!a->kms_uri) {
        return cli_usage(TOOL, "init: --kms-uri URI is missing");
    }
    if (!cli_uri(a->kms_uri)) {
        return cli_usage(TOOL, "--kms-uri: expected a URI or host name, got "
                         "\"%s\"", a->kms_uri);
    }
    if (a->user || a->out || a->at_given || a->periods) {
        return cli_usage(TOOL, "init: expected only --kms-uri, --period, "
                         "--offset and --domain");
    }
    if (mcx_kms_master_new(&master, NULL, env) != MCX_OK) {
        return cli_fail(TOOL, "no master secrets: randomness or memory "
                        "failed");
    }
    /* An existing KMS is never overwritten: its users would be lost. */
    status = make_dir(a->dir, false);
    if (status == CLI_OK
        && init_xml(&xml, &n, a, a->kms_uri, env->unix_ms(env->ctx), master)
               != MCX_OK) {
        status = cli_fail(TOOL, "out of memory");
    }
    status = status != CLI_OK ? status : write_master(a->dir, master);
    status = status != CLI_OK ? status : write_conf(a);
    status = status != CLI_OK ? status : write_to(a->dir, INIT, xml, n);
    mcx_kms_text_free(xml, n);
    mcx_kms_master_free(master);
    return status;
}

/* ---- issue ------------------------------------------------------------- */

/* Lines that begin with '#' are comments; the rest is the secret. */
static mcx_err
parse_master(struct mcx_kms_secret *out, const char *text, size_t n)
{
    size_t at = 0, end;

    while (at < n && text[at] == '#') {
        while (at < n && text[at] != '\n') {
            at++;
        }
        at += at < n;
    }
    end = n;
    while (end > at && (text[end - 1] == '\n' || text[end - 1] == '\r'
                        || text[end - 1] == ' ')) {
        end--;
    }
    return mcx_hex_decode(out->b, sizeof out->b,
                          mcx_bytes(text + at, end - at), NULL);
}

static int
read_master(struct mcx_kms_master **out, const char *dir)
{
    MCX_SECRET(mcx_kms_secret, secret);
    const struct mcx_env *env = mcx_env_system();
    char path[PATH_MAX_];
    char *text = NULL;
    size_t n = 0;
    mcx_err err;

    if (!path_of(path, dir, MASTER)
        || env->read_file(env->ctx, path, 65536, &text, &n) != MCX_OK) {
        return cli_usage(TOOL, "%s/%s: cannot be read; expected a folder "
                         "that mcx-kms init made", dir, MASTER);
    }
    err = parse_master(&secret, text, n);
    mcx_wipe(text, n);
    free(text);
    if (err == MCX_OK) {
        err = mcx_kms_master_new(out, &secret, env);
    }
    if (err != MCX_OK) {
        return cli_usage(TOOL, "%s/%s: expected %d hexadecimal digits, the "
                         "master secrets of mcx-kms init", dir, MASTER,
                         2 * MCX_KMS_MASTER_SIZE);
    }
    return CLI_OK;
}

/* Fills 'a' from the configuration; its texts live as long as 'conf'. */
static int
read_conf(struct args *a, struct mcx_config *conf, char *domains,
          size_t domains_room)
{
    struct mcx_text text = { "" };
    char path[PATH_MAX_], *at, *next = NULL;
    mcx_err err = MCX_E_TOOBIG;

    if (path_of(path, a->dir, CONF)) {
        err = mcx_config_load(conf, path, mcx_env_system(), &text);
    }
    if (err == MCX_OK) {
        err = mcx_config_check(conf, NULL, conf_opts,
                               sizeof conf_opts / sizeof conf_opts[0], &text);
    }
    if (err != MCX_OK) {
        return cli_usage(TOOL, "%s", text.s[0] ? text.s : path);
    }
    a->kms_uri = mcx_config_get(conf, NULL, "kms-uri");
    if (!a->kms_uri || !cli_uri(a->kms_uri)) {
        return cli_usage(TOOL, "%s: expected kms-uri = URI", path);
    }
    if (!cli_number(TOOL, "period",
                    mcx_config_get(conf, NULL, "period")
                        ? mcx_config_get(conf, NULL, "period")
                        : "2592000",
                    1, UINT32_MAX, &a->period)
        || !cli_number(TOOL, "offset",
                       mcx_config_get(conf, NULL, "offset")
                           ? mcx_config_get(conf, NULL, "offset")
                           : "0",
                       0, UINT32_MAX, &a->offset)) {
        return CLI_USAGE;
    }
    (void)snprintf(domains, domains_room, "%s",
                   mcx_config_get(conf, NULL, "domains")
                       ? mcx_config_get(conf, NULL, "domains")
                       : "");
    for (at = strtok_r(domains, " \t", &next); at;
         at = strtok_r(NULL, " \t", &next)) {
        if (a->n_domains == MCX_GROUPS_MAX
            || strlen(at) >= MCX_GROUP_ID_MAX) {
            return cli_usage(TOOL, "%s: expected at most %d domains of at "
                             "most %d octets", path, MCX_GROUPS_MAX,
                             MCX_GROUP_ID_MAX - 1);
        }
        a->domain[a->n_domains++] = at;
    }
    return CLI_OK;
}

static mcx_err
make_set(struct mcx_kms_keyset *set, const struct args *a,
         const struct mcx_kms_info *info, uint64_t no,
         const struct mcx_kms_master *master)
{
    (void)snprintf(set->user_uri, sizeof set->user_uri, "%s", a->user);
    set->period_no = no;
    MCX_TRY(mcx_uid(&set->uid, mcx_bytes_str(a->user),
                    mcx_bytes_str(a->kms_uri), &info->period, no));
    return mcx_kms_master_issue(master,
                                mcx_bytes(set->uid.b, sizeof set->uid.b),
                                &set->rsk, &set->ssk, set->pvt,
                                mcx_env_system());
}

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
file_names(char cert[256], char keys[256], const struct args *a,
           const struct mcx_kms_keyset *first)
{
    char name[3 * MCX_URI_MAX + 4], uid[MCX_HEX_SIZE(MCX_UID_SIZE)];

    escape(name, sizeof name, a->kms_uri);
    (void)snprintf(cert, 256, "kms-%.200s.xml", name);
    escape(name, sizeof name, a->user);
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
issue_with(const struct args *a, const struct mcx_kms_master *master,
           struct mcx_kms_keyset *sets)
{
    const struct mcx_env *env = mcx_env_system();
    char url[MCX_URI_MAX * 4 + 128], cert_name[256], keys_name[256];
    char name[3 * MCX_URI_MAX + 4], resource[sizeof name + 8];
    struct mcx_kms_info info;
    struct mcx_kms_doc doc = { .user_uri = a->user, .kms_uri = a->kms_uri,
                               .client_req_url = url };
    char *cert = NULL, *keys = NULL;
    size_t cert_n = 0, keys_n = 0;
    uint64_t no = 0, i;
    mcx_err err;
    int status;

    info_of(&info, a);
    doc.time_unix_ms = env->unix_ms(env->ctx);
    err = mcx_period_no(&no, &info.period,
                        (a->at_given ? a->at_ms : doc.time_unix_ms) / 1000
                            + MCX_NTP_UNIX_DIFF);
    if (err != MCX_OK) {
        return cli_usage(TOOL, "--at: expected a time after the offset of "
                         "the first key period");
    }
    for (i = 0; i < a->periods && err == MCX_OK; i++) {
        err = make_set(&sets[i], a, &info, no + i, master);
    }
    escape(name, sizeof name, a->user);
    (void)snprintf(resource, sizeof resource, "keyprov/%s", name);
    req_url(url, sizeof url, a->kms_uri, resource);
    if (err == MCX_OK) {
        err = mcx_kms_write_keyprov(&keys, &keys_n, &doc, &info, sets,
                                    (size_t)a->periods);
    }
    if (err == MCX_OK) {
        err = init_xml(&cert, &cert_n, a, a->user, doc.time_unix_ms, master);
    }
    if (err != MCX_OK) {
        status = cli_fail(TOOL, "no keys could be made: %s",
                          mcx_err_text(err));
        goto out;
    }
    file_names(cert_name, keys_name, a, &sets[0]);
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
issue(struct args *a)
{
    struct mcx_config *conf = NULL;
    struct mcx_kms_master *master = NULL;
    struct mcx_kms_keyset *sets = NULL;
    char domains[MCX_GROUPS_MAX * MCX_GROUP_ID_MAX];
    int status;

    if (!a->user || !a->out) {
        return cli_usage(TOOL, "issue: --user URI and --out DIR are needed");
    }
    if (!cli_uri(a->user)) {
        return cli_usage(TOOL, "--user: expected a URI of at most %d octets, "
                         "got \"%s\"", MCX_URI_MAX - 1, a->user);
    }
    if (a->kms_uri || a->period || a->offset || a->n_domains) {
        return cli_usage(TOOL, "issue: expected only --user, --at, "
                         "--periods and --out; the rest is in %s/%s", a->dir,
                         CONF);
    }
    a->periods = a->periods ? a->periods : 1;
    if (mcx_config_new(&conf) != MCX_OK) {
        return cli_fail(TOOL, "out of memory");
    }
    status = read_conf(a, conf, domains, sizeof domains);
    status = status != CLI_OK ? status : read_master(&master, a->dir);
    if (status == CLI_OK) {
        sets = calloc((size_t)a->periods, sizeof *sets);
        status = sets ? issue_with(a, master, sets)
                      : cli_fail(TOOL, "out of memory");
    }
    if (sets) {
        mcx_wipe(sets, (size_t)a->periods * sizeof *sets);
        free(sets);
    }
    mcx_kms_master_free(master);
    mcx_config_free(conf);
    return status;
}

/* ---- arguments --------------------------------------------------------- */

static const struct option long_opts[] = {
    { "kms-uri", required_argument, NULL, 'k' },
    { "period", required_argument, NULL, 'p' },
    { "offset", required_argument, NULL, 'o' },
    { "domain", required_argument, NULL, 'd' },
    { "user", required_argument, NULL, 'u' },
    { "at", required_argument, NULL, 'a' },
    { "periods", required_argument, NULL, 'n' },
    { "out", required_argument, NULL, 'O' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static bool
take_option(struct args *a, int c)
{
    switch (c) {
    case 'k':
        a->kms_uri = optarg;
        return true;
    case 'p':
        return cli_number(TOOL, "--period", optarg, 1, UINT32_MAX,
                          &a->period);
    case 'o':
        return cli_number(TOOL, "--offset", optarg, 0, UINT32_MAX,
                          &a->offset);
    case 'd':
        if (a->n_domains == MCX_GROUPS_MAX || !cli_uri(optarg)
            || strlen(optarg) >= MCX_GROUP_ID_MAX) {
            (void)cli_usage(TOOL, "--domain: expected at most %d host names",
                            MCX_GROUPS_MAX);
            return false;
        }
        a->domain[a->n_domains++] = optarg;
        return true;
    case 'u':
        a->user = optarg;
        return true;
    case 'a':
        a->at_given = true;
        return cli_time(TOOL, "--at", optarg, &a->at_ms);
    case 'n':
        return cli_number(TOOL, "--periods", optarg, 1, PERIODS_MAX,
                          &a->periods);
    case 'O':
        a->out = optarg;
        return true;
    default:
        (void)cli_usage(TOOL, "unknown option or missing value; see %s "
                        "--help", TOOL);
        return false;
    }
}

int
main(int argc, char **argv)
{
    struct args a = { 0 };
    const char *what = NULL;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
        if (c == 'h' || c == 'V') {
            (void)fputs(c == 'h' ? HELP : "mcx-kms " PACKAGE_VERSION "\n",
                        stdout);
            return cli_flush() ? CLI_OK : CLI_REFUSED;
        }
        if (!take_option(&a, c)) {
            return CLI_USAGE;
        }
    }
    if (argc - optind == 2) {
        what = argv[optind];
        a.dir = argv[optind + 1];
    }
    if (!what || !*a.dir
        || (strcmp(what, "init") != 0 && strcmp(what, "issue") != 0)) {
        return cli_usage(TOOL, "expected init DIR or issue DIR; see %s "
                         "--help", TOOL);
    }
    if (mcx_ident_selftest() != MCX_OK) {
        return cli_fail(TOOL, "self-test failed");
    }
    if (strcmp(what, "issue") == 0) {
        return issue(&a);
    }
    a.period = a.period ? a.period : PERIOD_DEFAULT;
    return init(&a);
}
