/* kms_cmd.c -- mcx-kms user, rotate, status, audit, token.  See mcx-kms.1. */
#include <config.h>
#include <stdlib.h>
#include <unistd.h>
#include "kms_cmd.h"

static const char TOOL[] = "mcx-kms";
static const char STORE[] = "kms.sqlite";
static const char TOKEN_KEY[] = "token.key";
static const char TOKEN_PUB[] = "token.pub";

enum { PEM_MAX = 65536, TRK_MAX = 4096 };

int
kms_failed(mcx_err err, const struct mcx_text *text)
{
    const char *s = text->s[0] ? text->s : mcx_err_text(err);

    return err == MCX_E_CONFIG ? cli_usage(TOOL, "%s", s)
                               : cli_fail(TOOL, "%s", s);
}

int
kms_open_domain(struct kms_domain **out, const struct kms_args *a)
{
    struct mcx_text text = { "" };
    mcx_err err = kms_domain_open(out, a->dir, &a->lock, mcx_env_system(),
                                  &text);

    return err == MCX_OK ? CLI_OK : kms_failed(err, &text);
}

int
kms_open_store(struct kms_store **out, const struct kms_args *a,
               const struct kms_domain *d)
{
    struct mcx_text text = { "" };
    char path[KMS_PATH_MAX];
    mcx_err err;

    if (!a->store && !kms_path(path, a->dir, STORE)) {
        return cli_usage(TOOL, "%s: the path is too long", a->dir);
    }
    err = kms_store_open(out, a->store ? a->store : path, a->enrol, d->audit,
                         mcx_env_system(), &text);
    return err == MCX_OK ? CLI_OK : kms_failed(err, &text);
}

/* Domain and store, for a command that needs both. */
static int
open_both(struct kms_domain **d, struct kms_store **s,
          const struct kms_args *a)
{
    int status = kms_open_domain(d, a);

    return status == CLI_OK ? kms_open_store(s, a, *d) : status;
}

static const char *
who(void)
{
    const char *name = getenv("SUDO_USER");

    name = name ? name : getenv("USER");
    return name ? name : "?";
}

static mcx_err
append(struct kms_store *s, const char *what, const char *user, uint64_t no)
{
    char detail[KMS_DETAIL_MAX];

    (void)snprintf(detail, sizeof detail, "mcx-kms %.100s", who());
    return kms_store_append(s, what, user, no, detail);
}

/* ---- user -------------------------------------------------------------- */

static int
change_one(struct kms_store *s, const char *what, const char *uri)
{
    mcx_err err;

    if (!cli_uri(uri)) {
        return cli_usage(TOOL, "expected a URI of at most %d octets, got "
                         "\"%s\"", MCX_URI_MAX - 1, uri);
    }
    err = append(s, what, uri, 0);
    if (err == MCX_E_NO_IDENTITY) {
        return cli_fail(TOOL, strcmp(what, KMS_ADD) == 0
                                  ? "%s is a user already, or was revoked"
                                  : "%s is not a user", uri);
    }
    return err == MCX_OK ? CLI_OK
                         : cli_fail(TOOL, "%s: %s", uri, mcx_err_text(err));
}

/* The next line of standard input; false: there is none.  One that is longer
 * than any URI is read to its end, or its tail would be a user of its own. */
static bool
next_line(char line[MCX_URI_MAX + 2])
{
    int c = 0;

    if (!fgets(line, MCX_URI_MAX + 2, stdin)) {
        return false;
    }
    if (!strchr(line, '\n') && strlen(line) == MCX_URI_MAX + 1) {
        while (c != '\n' && c != EOF) {
            c = getchar();
        }
    }
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

/* All of them, though one fails; the worst status. */
static int
change_users(struct kms_store *s, const char *what, const struct kms_args *a)
{
    char line[MCX_URI_MAX + 2];
    int status = CLI_OK, one;
    size_t i;

    for (i = 0; i < a->n_rest; i++) {
        one = change_one(s, what, a->rest[i]);
        status = one > status ? one : status;
    }
    while (a->n_rest == 0 && next_line(line)) {
        one = line[0] ? change_one(s, what, line) : CLI_OK;
        status = one > status ? one : status;
    }
    return status;
}

/* ---- transport keys ---------------------------------------------------- */

/* The keys in the file --trk; made, with new keys for 'uri', when it is not
 * there. */
static int
trk_file(struct mcx_tkeys *out, const char *path, const char *uri,
         uint64_t serial)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_text text = { "" };
    char *s = NULL;
    size_t n = 0;
    mcx_err err;

    if (access(path, F_OK) == 0) {
        err = env->read_file(env->ctx, path, TRK_MAX, &s, &n);
        if (err == MCX_OK) {
            err = mcx_tkeys_read(out, mcx_bytes(s, n), &text);
        }
        mcx_kms_text_free(s, n);
        return err == MCX_OK
                   ? CLI_OK
                   : cli_usage(TOOL, "--trk %s: %s", path,
                               text.s[0] ? text.s : "cannot be read");
    }
    s = mcx_guard_new(MCX_TKEYS_TEXT_MAX);
    err = s ? mcx_tkeys_new(out, uri, serial, env) : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = mcx_tkeys_write(s, &n, out);
    }
    if (err == MCX_OK) {
        err = env->write_file(env->ctx, path, mcx_bytes(s, n), 0600);
    }
    mcx_guard_free(s);
    return err == MCX_OK ? CLI_OK
                         : cli_fail(TOOL, "--trk %s: cannot be made", path);
}

static int
write_keys(const struct kms_user_keys *keys, struct kms_store *s,
           const char *uri)
{
    char detail[KMS_DETAIL_MAX];
    mcx_err err;

    (void)snprintf(detail, sizeof detail, "mcx-kms %.100s", who());
    err = kms_user_keys_write(keys, s, uri, detail);
    return err == MCX_OK ? CLI_OK
           : err == MCX_E_NO_IDENTITY
               ? cli_fail(TOOL, "%s is not a user", uri)
           : err == MCX_E_STATE
               ? cli_fail(TOOL, "%s: the keys have changed meanwhile; again",
                          uri)
               : cli_fail(TOOL, "%s: %s", uri, mcx_err_text(err));
}

/* The user's keys are those of the file from now on, whatever they were. */
static int
set_keys(struct kms_store *s, const char *path, const char *uri)
{
    MCX_SECRET(kms_user_keys, keys);
    mcx_err err = kms_user_keys_read(&keys, s, uri);
    uint64_t serial = keys.serial;
    int status;

    if (err == MCX_E_IO || err == MCX_E_BUSY || err == MCX_E_NOMEM) {
        return cli_fail(TOOL, "%s: %s", uri, mcx_err_text(err));
    }
    kms_user_keys_wipe(&keys);
    keys.serial = serial;
    status = trk_file(&keys.now, path, uri, serial + 1);
    return status == CLI_OK ? write_keys(&keys, s, uri) : status;
}

/* New keys, beside those in use until the user's client has them. */
static int
new_keys(struct kms_store *s, const char *uri)
{
    MCX_SECRET(kms_user_keys, keys);
    mcx_err err = kms_user_keys_read(&keys, s, uri);

    if (err == MCX_OK) {
        err = mcx_tkeys_new(&keys.next, uri, keys.serial + 1,
                            mcx_env_system());
    }
    if (err == MCX_E_NO_KEY) {
        return cli_fail(TOOL, "%s has no transport keys; see user keys",
                        uri);
    }
    return err == MCX_OK ? write_keys(&keys, s, uri)
                         : cli_fail(TOOL, "%s: %s", uri, mcx_err_text(err));
}

static int
change_keys(struct kms_store *s, const struct kms_args *a)
{
    int status = CLI_OK, one;
    size_t i;

    for (i = 0; i < a->n_rest; i++) {
        one = !cli_uri(a->rest[i])
                  ? cli_usage(TOOL, "not a URI: \"%s\"", a->rest[i])
              : a->trk ? set_keys(s, a->trk, a->rest[i])
                       : new_keys(s, a->rest[i]);
        status = one > status ? one : status;
    }
    return status;
}

/* ---- user, the rest ---------------------------------------------------- */

static void
list_one(void *arg, const char *uri, enum kms_user_state state)
{
    (void)arg;
    (void)printf("%s %s\n", state == KMS_USER_REVOKED ? "revoked" : "active",
                 uri);
}

int
kms_user(struct kms_args *a)
{
    bool list = strcmp(a->sub, "list") == 0;
    bool add = strcmp(a->sub, "add") == 0;
    bool keys = strcmp(a->sub, "keys") == 0;
    bool rekey = strcmp(a->sub, "rekey") == 0;
    struct kms_domain *d = NULL;
    struct kms_store *s = NULL;
    int status;

    if ((!list && !add && !keys && !rekey && strcmp(a->sub, "revoke") != 0)
        || (list && a->n_rest)) {
        return cli_usage(TOOL, "expected user add, keys, rekey, revoke or "
                         "list; see %s --help", TOOL);
    }
    if ((a->trk && ((!add && !keys) || a->n_rest != 1))
        || (keys && !a->trk) || (rekey && a->n_rest == 0)) {
        return cli_usage(TOOL, "expected user {add | keys} DIR --trk FILE "
                         "URI, or user rekey DIR URI...");
    }
    status = open_both(&d, &s, a);
    if (status == CLI_OK && list) {
        status = kms_store_users(s, list_one, NULL) == MCX_OK && cli_flush()
                     ? CLI_OK
                     : cli_fail(TOOL, "the users cannot be listed");
    } else if (status == CLI_OK && !keys && !rekey) {
        status = change_users(s, add ? KMS_ADD : KMS_REVOKE, a);
    }
    if (status == CLI_OK && (keys || rekey || a->trk)) {
        status = change_keys(s, a);
    }
    kms_store_close(s);
    kms_domain_free(d);
    return status;
}

/* ---- rotate ------------------------------------------------------------ */

int
kms_rotate(struct kms_args *a)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_text text = { "" };
    struct kms_domain *d = NULL;
    struct kms_store *s = NULL;
    char when[MCX_RFC3339_SIZE];
    uint64_t now = 0, no = 0;
    int status = open_both(&d, &s, a);
    mcx_err err;

    if (status != CLI_OK) {
        goto out;
    }
    if (kms_domain_period(&now, d, env->unix_ms(env->ctx)) != MCX_OK) {
        status = cli_fail(TOOL, "the first key period has not begun");
        goto out;
    }
    no = now + 1;
    if (a->at_given
        && (kms_domain_period(&no, d, a->at_ms) != MCX_OK || no <= now)) {
        status = cli_usage(TOOL, "--at: expected a time in a key period to "
                           "come: keys of this one have been issued");
        goto out;
    }
    err = kms_domain_rotate(d, no, env);
    if (err != MCX_OK) {
        status = err == MCX_E_TOOBIG
                     ? cli_fail(TOOL, "there are %d generations already",
                                KMS_GENERATIONS_MAX)
                 : err == MCX_E_ARG
                     ? cli_fail(TOOL, "a rotation at or after key period %llu"
                                " is there already", (unsigned long long)no)
                     : cli_fail(TOOL, "%s", mcx_err_text(err));
        goto out;
    }
    /* In the log first: a rotation that is logged and did not come shows,
     * one that came and is not logged would not. */
    err = append(s, KMS_ROTATE, "", no);
    if (err == MCX_OK) {
        err = kms_domain_write_master(d, a->dir, env, &text);
    }
    if (err != MCX_OK) {
        status = kms_failed(err, &text);
        goto out;
    }
    mcx_time_text(when, (mcx_period_start(&d->info.period, no)
                         - MCX_NTP_UNIX_DIFF) * 1000);
    (void)printf("new master secrets from key period %llu on, %s\n",
                 (unsigned long long)no, when);
    status = cli_flush() ? CLI_OK : CLI_REFUSED;
out:
    kms_store_close(s);
    kms_domain_free(d);
    return status;
}

/* ---- re-seal ----------------------------------------------------------- */

int
kms_reseal(struct kms_args *a)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_text text = { "" };
    struct kms_domain *d = NULL;
    struct kms_store *s = NULL;
    char plain[KMS_PATH_MAX];
    int status;
    mcx_err err;

    if (!a->new_lock.key_file == !a->new_lock.passphrase_file) {
        return cli_usage(TOOL, "re-seal: expected --new-key-file FILE or "
                         "--new-passphrase-file FILE");
    }
    /* The same file would be the same key; but it may be that a run before
     * was broken off when only the secrets in clear were left to remove. */
    if (a->lock.key_file && a->new_lock.key_file
        && strcmp(a->lock.key_file, a->new_lock.key_file) == 0
        && !(kms_path(plain, a->dir, "master.secret")
             && access(plain, F_OK) == 0)) {
        return cli_usage(TOOL, "--new-key-file: %s is the key in use: name "
                         "another file", a->new_lock.key_file);
    }
    status = open_both(&d, &s, a);
    if (status == CLI_OK) {
        /* In the log first, as with rotate. */
        err = append(s, KMS_RESEAL, "", 0);
        if (err == MCX_OK) {
            err = kms_domain_reseal(d, a->dir, &a->new_lock, env, &text);
        }
        status = err == MCX_OK ? CLI_OK : kms_failed(err, &text);
    }
    if (status == CLI_OK) {
        (void)printf("master secrets sealed under %s\n",
                     a->new_lock.key_file ? a->new_lock.key_file
                                          : "the passphrase");
        status = cli_flush() ? CLI_OK : CLI_REFUSED;
    }
    kms_store_close(s);
    kms_domain_free(d);
    return status;
}

/* ---- status, audit ----------------------------------------------------- */

static void
print_mac(const uint8_t mac[MCX_SEAL_MAC_SIZE])
{
    char hex[MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE)];

    if (mcx_hex_encode(hex, sizeof hex, mcx_bytes(mac, MCX_SEAL_MAC_SIZE))
        == MCX_OK) {
        (void)printf("%s", hex);
    }
}

int
kms_status(struct kms_args *a)
{
    const struct mcx_env *env = mcx_env_system();
    struct kms_domain *d = NULL;
    struct kms_store *s = NULL;
    struct kms_counts c;
    char when[MCX_RFC3339_SIZE];
    uint64_t no = 0;
    size_t i;
    int status = open_both(&d, &s, a);

    if (status == CLI_OK && kms_store_count(&c, s) != MCX_OK) {
        status = cli_fail(TOOL, "the store cannot be read");
    }
    if (status != CLI_OK) {
        goto out;
    }
    (void)printf("kms-uri %s\nmaster secrets %s\n", d->info.uri,
                 !d->seal          ? "in clear"
                 : d->by_passphrase ? "sealed under a passphrase"
                                    : "sealed under a key file");
    for (i = 0; i < d->n; i++) {
        (void)printf("generation %zu from key period %llu\n", i + 1,
                     (unsigned long long)d->gen[i].from_no);
    }
    if (kms_domain_period(&no, d, env->unix_ms(env->ctx)) == MCX_OK) {
        mcx_time_text(when, (mcx_period_start(&d->info.period, no + 1)
                             - MCX_NTP_UNIX_DIFF) * 1000);
        (void)printf("key period %llu until %s\n", (unsigned long long)no,
                     when);
    }
    (void)printf("users %llu\nrevoked %llu\nissued %llu\naudit %llu ",
                 (unsigned long long)c.users, (unsigned long long)c.revoked,
                 (unsigned long long)c.issued,
                 (unsigned long long)c.entries);
    print_mac(c.mac);
    (void)printf("\n");
    status = cli_flush() ? CLI_OK : CLI_REFUSED;
out:
    kms_store_close(s);
    kms_domain_free(d);
    return status;
}

static void
print_entry(void *arg, const struct kms_entry *e)
{
    char when[MCX_RFC3339_SIZE];
    struct cli_json j;

    (void)arg;
    mcx_time_text(when, e->unix_ms);
    cli_json_begin(&j, stdout);
    cli_json_number(&j, "seq", e->seq);
    cli_json_text(&j, "time", when);
    cli_json_text(&j, "what", e->what);
    cli_json_text(&j, "user", e->user);
    cli_json_number(&j, "period", e->period_no);
    cli_json_text(&j, "detail", e->detail);
    cli_json_end(&j);
}

int
kms_audit(struct kms_args *a)
{
    struct mcx_text text = { "" };
    struct kms_domain *d = NULL;
    struct kms_store *s = NULL;
    struct kms_counts c;
    uint8_t anchor[MCX_SEAL_MAC_SIZE];
    int status;
    mcx_err err;

    if (a->head
        && mcx_hex_decode(anchor, sizeof anchor, mcx_bytes_str(a->head), NULL)
               != MCX_OK) {
        return cli_usage(TOOL, "--head: expected 64 hexadecimal digits, as "
                         "audit and status print them");
    }
    status = open_both(&d, &s, a);
    if (status != CLI_OK) {
        goto out;
    }
    err = kms_store_verify(s, &c, a->head ? anchor : NULL,
                           a->json ? print_entry : NULL, NULL, &text);
    if (err != MCX_OK) {
        status = cli_fail(TOOL, "the audit log does not hold: %s", text.s);
    } else if (!a->json) {
        (void)printf("audit %llu ", (unsigned long long)c.entries);
        print_mac(c.mac);
        (void)printf("\n");
    }
    if (!cli_flush()) {
        status = CLI_REFUSED;
    }
out:
    kms_store_close(s);
    kms_domain_free(d);
    return status;
}

/* ---- token ------------------------------------------------------------- */

static mcx_err
make_token_key(const char *key, const char *pub)
{
    const struct mcx_env *env = mcx_env_system();
    char *secret = NULL, *public_ = NULL;
    size_t secret_n = 0, public_n = 0;
    mcx_err err = kms_token_new_key(&secret, &secret_n, &public_, &public_n);

    if (err == MCX_OK) {
        err = env->write_file(env->ctx, pub, mcx_bytes(public_, public_n),
                              0644);
    }
    if (err == MCX_OK) {
        err = env->write_file(env->ctx, key, mcx_bytes(secret, secret_n),
                              0600);
    }
    mcx_kms_text_free(secret, secret_n);
    mcx_kms_text_free(public_, public_n);
    return err;
}

/* The development issuer: its key pair lies in the folder of the KMS. */
int
kms_token(struct kms_args *a)
{
    const struct mcx_env *env = mcx_env_system();
    char path[KMS_PATH_MAX], pub[KMS_PATH_MAX], *pem = NULL, *token = NULL;
    struct mcx_text text = { "" };
    struct kms_token_claims claims = { .subject = a->user, .scope = a->scope };
    struct mcx_kms_info info;
    size_t pem_n = 0, n = 0;
    int status = CLI_OK;
    mcx_err err;

    if (!a->user) {
        return cli_usage(TOOL, "token: --user URI is missing");
    }
    memset(&info, 0, sizeof info);
    err = kms_conf_read(&info, a->dir, env, &text);
    if (err == MCX_OK
        && (!kms_path(path, a->dir, TOKEN_KEY)
            || !kms_path(pub, a->dir, TOKEN_PUB))) {
        err = MCX_E_TOOBIG;
    }
    if (err == MCX_OK && access(path, F_OK) != 0) {
        err = make_token_key(path, pub);
    }
    if (err == MCX_OK) {
        err = env->read_file(env->ctx, path, PEM_MAX, &pem, &pem_n);
    }
    if (err == MCX_OK) {
        claims.issuer = a->issuer ? a->issuer : info.uri;
        claims.audience = a->audience ? a->audience : info.uri;
        claims.issued_s = env->unix_ms(env->ctx) / 1000;
        claims.expires_s = claims.issued_s + (int64_t)a->lifetime;
        err = kms_token_issue(&token, &n, mcx_bytes(pem, pem_n), &claims,
                              &text);
    }
    if (err != MCX_OK) {
        status = kms_failed(err, &text);
    } else {
        (void)puts(token);
        status = cli_flush() ? CLI_OK : CLI_REFUSED;
    }
    mcx_kms_text_free(token, n);
    mcx_kms_text_free(pem, pem_n);
    return status;
}
