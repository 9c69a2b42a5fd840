/* domain.c -- see domain.h. */
#include <config.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "domain.h"

static const char CONF[] = "kms.conf";
static const char PLAIN[] = "master.secret";
static const char SEALED[] = "master.sealed";

static const char PLAIN_HEAD[] =
    "# mcx-kms master secrets: WHOEVER READS THIS CAN READ EVERYTHING.\n"
    "# Audit key (32 octets), then for each generation its first key period\n"
    "# (8 octets), z_T (128) and KSAK (32), hexadecimal, in clear.\n"
    "# Keep it readable by the KMS alone; there is no copy elsewhere.\n";
static const char SEALED_HEAD[] =
    "# mcx-kms master secrets, sealed with AES-256-GCM.\n"
    "# Without the key they are lost, and every user's keys with them.\n";
static const char KEY_HEAD[] =
    "# mcx-kms: the key that seals the master secrets.  Keep it elsewhere\n"
    "# than the folder of the KMS.\n";

enum {
    GENERATION_SIZE = 8 + MCX_KMS_MASTER_SIZE,
    BLOB_MAX = MCX_SEAL_KEY_SIZE + KMS_GENERATIONS_MAX * GENERATION_SIZE,
    SCRYPT_LOG2_N = 16, /* 64 MiB, a fifth of a second */
    SCRYPT_R = 8,
    FILE_MAX = 65536
};

/* What the master file protects, as octets. */
struct kms_blob {
    uint8_t b[BLOB_MAX];
    size_t n;
};
MCX_SECRET_TYPE(kms_blob);

static const struct mcx_opt conf_opts[] = {
    { "kms-uri", MCX_OPT_TEXT, NULL, 0, 0, NULL, "name of the KMS" },
    { "period", MCX_OPT_NUMBER, "2592000", 1, UINT32_MAX, NULL,
      "key period, seconds" },
    { "offset", MCX_OPT_NUMBER, "0", 0, UINT32_MAX, NULL,
      "key period offset, seconds" },
    { "monthly-tel", MCX_OPT_SWITCH, "no", 0, 0, NULL,
      "tel URIs with monthly keys (RFC 6509 3.2)" },
    { "domains", MCX_OPT_TEXT, NULL, 0, 0, NULL,
      "domains served, separated by spaces" },
};

static mcx_err MCX_PRINTF(3, 4)
fail(struct mcx_text *text, mcx_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text->s, sizeof text->s, fmt, ap);
    va_end(ap);
    return err;
}

bool
kms_path(char out[KMS_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, KMS_PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < KMS_PATH_MAX;
}

void
kms_escape(char *out, size_t room, const char *uri)
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

/* The octets that may follow the first one of a character, and the smallest
 * character that takes so many: shorter forms are other ones in disguise. */
static bool
rest_ok(const unsigned char *s, unsigned more, uint32_t c, uint32_t least)
{
    while (more-- > 0) {
        if ((*s & 0xc0) != 0x80) {
            return false;
        }
        c = c << 6 | (*s++ & 0x3fu);
    }
    return c >= least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff)
           && (c & 0xfffe) != 0xfffe;
}

bool
kms_text_ok(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned more;

    for (; *s; s += 1 + more) {
        more = *s < 0x80 ? 0 : *s < 0xe0 ? 1 : *s < 0xf0 ? 2 : 3;
        if (*s <= 0x20 || *s == 0x7f || (*s >= 0x80 && *s < 0xc2)
            || *s > 0xf4
            || (more == 1 && !rest_ok(s + 1, 1, *s & 0x1f, 0xa0))
            || (more == 2 && !rest_ok(s + 1, 2, *s & 0x0f, 0x800))
            || (more == 3 && !rest_ok(s + 1, 3, *s & 0x07, 0x10000))) {
            return false;
        }
    }
    return true;
}

bool
kms_unescape(char *out, size_t room, const char *from, size_t n)
{
    size_t i, done = 0;

    for (i = 0; i < n; i++) {
        uint8_t c = (uint8_t)from[i];

        if (c == '%') {
            if (n - i < 3
                || mcx_hex_decode(&c, 1, mcx_bytes(from + i + 1, 2), NULL)
                       != MCX_OK) {
                return false;
            }
            i += 2;
        }
        if (c == 0 || done + 1 >= room) {
            return false;
        }
        out[done++] = (char)c;
    }
    out[done] = '\0';
    return done > 0 && kms_text_ok(out);
}

/* ---- configuration ----------------------------------------------------- */

static bool
uri_ok(const char *s)
{
    size_t i;

    for (i = 0; s[i]; i++) {
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f) {
            return false;
        }
    }
    return i > 0 && i < MCX_URI_MAX;
}

static mcx_err
take_domains(struct mcx_kms_info *info, const char *words, const char *path,
             struct mcx_text *text)
{
    const char *at = words;
    size_t n;

    for (;;) {
        at += strspn(at, " \t");
        n = strcspn(at, " \t");
        if (n == 0) {
            return MCX_OK;
        }
        if (info->n_domains == MCX_GROUPS_MAX || n >= MCX_GROUP_ID_MAX) {
            return fail(text, MCX_E_CONFIG, "%s: expected at most %d domains "
                        "of at most %d octets", path, MCX_GROUPS_MAX,
                        MCX_GROUP_ID_MAX - 1);
        }
        memcpy(info->domain[info->n_domains], at, n);
        info->domain[info->n_domains++][n] = '\0';
        at += n;
    }
}

static mcx_err
take_conf(struct mcx_kms_info *info, const struct mcx_config *conf,
          const char *path, struct mcx_text *text)
{
    const char *uri = mcx_config_get(conf, NULL, "kms-uri");
    const char *period = mcx_config_get(conf, NULL, "period");
    const char *offset = mcx_config_get(conf, NULL, "offset");
    const char *domains = mcx_config_get(conf, NULL, "domains");

    if (!uri || !uri_ok(uri)) {
        return fail(text, MCX_E_CONFIG, "%s: expected kms-uri = URI", path);
    }
    (void)snprintf(info->uri, sizeof info->uri, "%s", uri);
    info->root = true;
    info->monthly_tel = strcmp(mcx_config_get(conf, NULL, "monthly-tel"),
                               "yes") == 0;
    info->period.months = info->monthly_tel;
    /* mcx_config_check() has seen that these are numbers in their range. */
    info->period.length_s = period ? strtoull(period, NULL, 10) : 2592000;
    info->period.offset_s = offset ? strtoull(offset, NULL, 10) : 0;
    return domains ? take_domains(info, domains, path, text) : MCX_OK;
}

mcx_err
kms_conf_read(struct mcx_kms_info *info, const char *dir,
              const struct mcx_env *env, struct mcx_text *text)
{
    struct mcx_config *conf = NULL;
    char path[KMS_PATH_MAX];
    mcx_err err;

    if (!kms_path(path, dir, CONF)) {
        return fail(text, MCX_E_CONFIG, "%s: the path is too long", dir);
    }
    MCX_TRY(mcx_config_new(&conf));
    err = mcx_config_load(conf, path, env, text);
    if (err == MCX_OK) {
        err = mcx_config_check(conf, NULL, conf_opts,
                               sizeof conf_opts / sizeof conf_opts[0], text);
    }
    if (err == MCX_OK) {
        err = take_conf(info, conf, path, text);
    }
    mcx_config_free(conf);
    if (err != MCX_OK && !text->s[0]) {
        (void)fail(text, err, "%s: %s", path, mcx_err_text(err));
    }
    return err == MCX_E_IO ? MCX_E_CONFIG : err;
}

static mcx_err
write_to(const char *dir, const char *name, const char *s, size_t n,
         const struct mcx_env *env, struct mcx_text *text)
{
    char path[KMS_PATH_MAX];

    if (!kms_path(path, dir, name)
        || env->write_file(env->ctx, path, mcx_bytes(s, n), 0600) != MCX_OK) {
        return fail(text, MCX_E_IO, "%s/%s: cannot be written", dir, name);
    }
    return MCX_OK;
}

mcx_err
kms_domain_write_conf(const struct kms_domain *d, const char *dir,
                      const struct mcx_env *env, struct mcx_text *text)
{
    char s[MCX_URI_MAX + MCX_GROUPS_MAX * MCX_GROUP_ID_MAX + 256];
    size_t i, n;

    (void)snprintf(s, sizeof s, "# KMS configuration, made by mcx-kms "
                   "init\nkms-uri = %s\nperiod = %llu\noffset = %llu\n",
                   d->info.uri, (unsigned long long)d->info.period.length_s,
                   (unsigned long long)d->info.period.offset_s);
    n = strlen(s);
    if (d->info.monthly_tel) {
        (void)snprintf(s + n, sizeof s - n, "monthly-tel = yes\n");
        n += strlen(s + n);
    }
    for (i = 0; i < d->info.n_domains; i++) {
        (void)snprintf(s + n, sizeof s - n, "%s%s", i ? " " : "domains = ",
                       d->info.domain[i]);
        n += strlen(s + n);
    }
    if (d->info.n_domains) {
        (void)snprintf(s + n, sizeof s - n, "\n");
        n += strlen(s + n);
    }
    return write_to(dir, CONF, s, n, env, text);
}

/* ---- master secrets as octets ------------------------------------------ */

static void
pack(struct kms_blob *out, const struct kms_domain *d)
{
    MCX_SECRET(mcx_kms_secret, secret);
    size_t i, j;

    memcpy(out->b, d->audit->b, sizeof d->audit->b);
    out->n = sizeof d->audit->b;
    for (i = 0; i < d->n; i++) {
        for (j = 0; j < 8; j++) {
            out->b[out->n++] = (uint8_t)(d->gen[i].from_no >> (56 - 8 * j));
        }
        mcx_kms_master_export(&secret, d->gen[i].master);
        memcpy(out->b + out->n, secret.b, sizeof secret.b);
        out->n += sizeof secret.b;
    }
}

static mcx_err
add_generation(struct kms_domain *d, uint64_t from_no,
               const struct mcx_kms_secret *secret, const struct mcx_env *env)
{
    struct kms_generation *g = &d->gen[d->n];

    if (d->n == KMS_GENERATIONS_MAX) {
        return MCX_E_TOOBIG;
    }
    if (d->n > 0 && from_no <= g[-1].from_no) {
        return MCX_E_ARG;
    }
    MCX_TRY(mcx_kms_master_new(&g->master, secret, env));
    g->from_no = from_no;
    mcx_kms_master_public(g->z, g->kpak, g->master);
    d->n++;
    return MCX_OK;
}

/* A file of the first release: z_T and KSAK, nothing else. */
static mcx_err
unpack_old(struct kms_domain *d, const struct kms_blob *in,
           const struct mcx_env *env)
{
    MCX_SECRET(mcx_kms_secret, secret);
    MCX_SECRET(mcx_seal_key, ksak);
    struct mcx_bytes word = mcx_bytes_str("mcx-kms audit");

    memcpy(secret.b, in->b, sizeof secret.b);
    memcpy(ksak.b, in->b + MCX_KMS_MASTER_SIZE - MCX_SEAL_KEY_SIZE,
           sizeof ksak.b);
    MCX_TRY(mcx_seal_mac(d->audit->b, &ksak, &word, 1));
    return add_generation(d, 0, &secret, env);
}

static mcx_err
unpack(struct kms_domain *d, const struct kms_blob *in,
       const struct mcx_env *env)
{
    MCX_SECRET(mcx_kms_secret, secret);
    size_t at = MCX_SEAL_KEY_SIZE, j;

    if (in->n == MCX_KMS_MASTER_SIZE) {
        return unpack_old(d, in, env);
    }
    if (in->n <= at || (in->n - at) % GENERATION_SIZE != 0) {
        return MCX_E_MALFORMED;
    }
    memcpy(d->audit->b, in->b, sizeof d->audit->b);
    while (at < in->n) {
        uint64_t from_no = 0;

        for (j = 0; j < 8; j++) {
            from_no = from_no << 8 | in->b[at++];
        }
        memcpy(secret.b, in->b + at, sizeof secret.b);
        at += sizeof secret.b;
        MCX_TRY(add_generation(d, from_no, &secret, env));
    }
    return MCX_OK;
}

static mcx_err
domain_alloc(struct kms_domain **out)
{
    struct kms_domain *d = calloc(1, sizeof *d);

    if (d) {
        d->audit = mcx_guard_new(sizeof *d->audit);
    }
    if (!d || !d->audit) {
        kms_domain_free(d);
        return MCX_E_NOMEM;
    }
    *out = d;
    return MCX_OK;
}

void
kms_domain_free(struct kms_domain *d)
{
    size_t i;

    if (!d) {
        return;
    }
    for (i = 0; i < d->n; i++) {
        mcx_kms_master_free(d->gen[i].master);
    }
    mcx_guard_free(d->audit);
    mcx_guard_free(d->seal);
    free(d);
}

/* ---- sealing ----------------------------------------------------------- */

/* The lines of a small file that are not comments, the line feeds with them;
 * to be wiped by the caller. */
static mcx_err
read_lines(const char *path, char **out, size_t *n,
           const struct mcx_env *env)
{
    char *s = NULL;
    size_t at = 0, all = 0;

    MCX_TRY(env->read_file(env->ctx, path, FILE_MAX, &s, &all));
    while (at < all && s[at] == '#') {
        while (at < all && s[at] != '\n') {
            at++;
        }
        at += at < all;
    }
    memmove(s, s + at, all - at);
    mcx_wipe(s + all - at, at + 1); /* what the move left at the end */
    *out = s;
    *n = all - at;
    return MCX_OK;
}

static void
drop_lines(char *s, size_t n)
{
    if (s) {
        mcx_wipe(s, n);
        free(s);
    }
}

static mcx_err
make_key_file(struct mcx_seal_key *key, const char *path,
              const struct mcx_env *env, struct mcx_text *text)
{
    char s[sizeof KEY_HEAD + MCX_HEX_SIZE(MCX_SEAL_KEY_SIZE) + 1];
    size_t n = sizeof KEY_HEAD - 1;
    mcx_err err;

    MCX_TRY(env->random(env->ctx, key->b, sizeof key->b));
    memcpy(s, KEY_HEAD, n);
    err = mcx_hex_encode(s + n, sizeof s - n,
                         mcx_bytes(key->b, sizeof key->b));
    n += 2 * sizeof key->b;
    s[n++] = '\n';
    if (err == MCX_OK
        && env->write_file(env->ctx, path, mcx_bytes(s, n), 0600) != MCX_OK) {
        err = fail(text, MCX_E_IO, "%s: cannot be written", path);
    }
    mcx_wipe(s, sizeof s);
    return err;
}

/* A file that cannot be read, or not understood, is a mistake in the settings;
 * but not always. */
static mcx_err
or_config(mcx_err err)
{
    return err == MCX_E_NOMEM ? err : MCX_E_CONFIG;
}

static mcx_err
key_of_file(struct mcx_seal_key *key, const char *path,
            const struct mcx_env *env, struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0;
    mcx_err err;

    err = read_lines(path, &s, &n, env);
    if (err != MCX_OK) {
        return fail(text, or_config(err), "%s: cannot be read; expected a "
                    "file of 64 hexadecimal digits", path);
    }
    err = mcx_hex_decode(key->b, sizeof key->b,
                         mcx_bytes(s, strcspn(s, "\r\n")), NULL);
    drop_lines(s, n);
    return err == MCX_OK ? MCX_OK
                         : fail(text, MCX_E_CONFIG, "%s: expected 64 "
                                "hexadecimal digits", path);
}

static mcx_err
key_of_passphrase(struct mcx_seal_key *key, const char *path,
                  const uint8_t salt[KMS_SALT_SIZE],
                  const struct mcx_env *env, struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0;
    mcx_err err;

    err = env->read_file(env->ctx, path, FILE_MAX, &s, &n);
    if (err != MCX_OK) {
        return fail(text, or_config(err), "%s: cannot be read; expected a "
                    "file with a passphrase", path);
    }
    if (strcspn(s, "\r\n") < 8) {
        drop_lines(s, n);
        return fail(text, MCX_E_CONFIG, "%s: expected a passphrase of 8 "
                    "characters or more", path);
    }
    err = mcx_seal_scrypt(key, mcx_bytes(s, strcspn(s, "\r\n")),
                          mcx_bytes(salt, KMS_SALT_SIZE), SCRYPT_LOG2_N,
                          SCRYPT_R, 1);
    drop_lines(s, n);
    return err == MCX_OK ? MCX_OK
                         : fail(text, err, "%s: %s", path, mcx_err_text(err));
}

mcx_err
kms_domain_lock(struct kms_domain *d, const struct kms_lock *lock,
                const struct mcx_env *env, struct mcx_text *text)
{
    struct mcx_seal_key *key = NULL;
    mcx_err err = MCX_OK;

    if (!lock->plain) {
        key = mcx_guard_new(sizeof *key);
        if (!key) {
            return fail(text, MCX_E_NOMEM, "out of memory");
        }
        MCX_TRY_OR(err, env->random(env->ctx, d->salt, sizeof d->salt), bad);
        if (lock->passphrase_file) {
            err = key_of_passphrase(key, lock->passphrase_file, d->salt, env,
                                    text);
        } else if (access(lock->key_file, F_OK) != 0) {
            err = make_key_file(key, lock->key_file, env, text);
        } else {
            err = key_of_file(key, lock->key_file, env, text);
        }
        if (err != MCX_OK) {
            goto bad;
        }
    }
    mcx_guard_free(d->seal);
    d->seal = key;
    d->by_passphrase = lock->passphrase_file != NULL;
    return MCX_OK;
bad:
    mcx_guard_free(key);
    return err;
}

/* "mcx-kms-sealed 1 passphrase SALT" or "mcx-kms-sealed 1 key-file -": the
 * line above the sealed octets, and with the KMS URI what they are bound
 * to. */
static void
seal_line(char out[128], const struct kms_domain *d)
{
    char salt[MCX_HEX_SIZE(KMS_SALT_SIZE)] = "-";

    if (d->by_passphrase
        && mcx_hex_encode(salt, sizeof salt,
                          mcx_bytes(d->salt, sizeof d->salt)) != MCX_OK) {
        salt[0] = '\0';
    }
    (void)snprintf(out, 128, "mcx-kms-sealed 1 %s %s",
                   d->by_passphrase ? "passphrase" : "key-file", salt);
}

static void
bound_to(char *out, size_t room, const char *line,
         const struct kms_domain *d)
{
    (void)snprintf(out, room, "%s %s", line, d->info.uri);
}

static mcx_err
write_plain(const struct kms_blob *blob, const char *dir,
            const struct mcx_env *env, struct mcx_text *text)
{
    char s[sizeof PLAIN_HEAD + MCX_HEX_SIZE(BLOB_MAX) + 1];
    size_t n = sizeof PLAIN_HEAD - 1;
    mcx_err err;

    memcpy(s, PLAIN_HEAD, n);
    err = mcx_hex_encode(s + n, sizeof s - n, mcx_bytes(blob->b, blob->n));
    n += 2 * blob->n;
    s[n++] = '\n';
    if (err == MCX_OK) {
        err = write_to(dir, PLAIN, s, n, env, text);
    }
    mcx_wipe(s, sizeof s);
    return err;
}

static mcx_err
write_sealed(const struct kms_domain *d, const struct kms_blob *blob,
             const char *dir, const struct mcx_env *env,
             struct mcx_text *text)
{
    uint8_t sealed[BLOB_MAX + MCX_SEAL_MORE];
    char s[sizeof SEALED_HEAD + 128 + MCX_HEX_SIZE(sizeof sealed) + 2];
    char line[128], aad[128 + MCX_URI_MAX];
    struct mcx_sealer *sealer = NULL;
    size_t n;
    mcx_err err;

    seal_line(line, d);
    bound_to(aad, sizeof aad, line, d);
    MCX_TRY(mcx_sealer_new(&sealer, d->seal));
    err = mcx_seal(sealed, sealer, env, NULL, mcx_bytes_str(aad),
                   mcx_bytes(blob->b, blob->n));
    mcx_sealer_free(sealer);
    MCX_TRY(err);
    (void)snprintf(s, sizeof s, "%s%s\n", SEALED_HEAD, line);
    n = strlen(s);
    MCX_TRY(mcx_hex_encode(s + n, sizeof s - n,
                           mcx_bytes(sealed, blob->n + MCX_SEAL_MORE)));
    n += strlen(s + n);
    s[n++] = '\n';
    return write_to(dir, SEALED, s, n, env, text);
}

mcx_err
kms_domain_write_master(const struct kms_domain *d, const char *dir,
                        const struct mcx_env *env, struct mcx_text *text)
{
    MCX_SECRET(kms_blob, blob);

    pack(&blob, d);
    return d->seal ? write_sealed(d, &blob, dir, env, text)
                   : write_plain(&blob, dir, env, text);
}

mcx_err
kms_domain_reseal(struct kms_domain *d, const char *dir,
                  const struct kms_lock *lock, const struct mcx_env *env,
                  struct mcx_text *text)
{
    static const char zeros[sizeof PLAIN_HEAD + 2 * BLOB_MAX];
    struct kms_domain *check = NULL;
    char plain[KMS_PATH_MAX];
    mcx_err err;

    if (!lock->key_file == !lock->passphrase_file
        || !kms_path(plain, dir, PLAIN)) {
        return fail(text, MCX_E_CONFIG, "expected a key file or a passphrase "
                    "file to seal under");
    }
    /* A new key file is on the disk before anything needs it. */
    MCX_TRY(kms_domain_lock(d, lock, env, text));
    MCX_TRY(kms_domain_write_master(d, dir, env, text));
    /* Only what opens is a reason to forget what was in clear. */
    err = kms_domain_open(&check, dir, lock, env, text);
    kms_domain_free(check);
    if (err == MCX_OK && access(plain, F_OK) == 0) {
        int fd = open(plain, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, zeros, sizeof zeros) < 0 || fsync(fd) != 0) {
            mcx_log(env, MCX_AREA_KMS, 3, "%s: not written over", plain);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        if (unlink(plain) != 0) {
            err = fail(text, MCX_E_IO, "%s: cannot be removed", plain);
        }
    }
    return err;
}

/* How many digits begin 's', when nothing but white space follows them;
 * odd when something does. */
static size_t
only_digits(const char *s)
{
    size_t n = strspn(s, "0123456789abcdefABCDEF");

    return s[n + strspn(s + n, " \r\n")] ? 1 : n;
}

static mcx_err
read_plain(struct kms_blob *out, const char *path, const struct mcx_env *env,
           struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0, digits;
    mcx_err err;

    err = read_lines(path, &s, &n, env);
    if (err != MCX_OK) {
        return fail(text, or_config(err), "%s: cannot be read; expected a "
                    "folder that mcx-kms init made", path);
    }
    digits = only_digits(s);
    err = MCX_E_MALFORMED;
    if (digits % 2 == 0 && digits / 2 <= sizeof out->b) {
        out->n = digits / 2;
        err = mcx_hex_decode(out->b, out->n, mcx_bytes(s, digits), NULL);
    }
    drop_lines(s, n);
    return err == MCX_OK ? MCX_OK
                         : fail(text, MCX_E_CONFIG, "%s: expected the "
                                "hexadecimal digits of mcx-kms init", path);
}

/* Takes the line above the sealed octets; '*rest' is what follows. */
static bool
take_line(struct kms_domain *d, char line[128], const char *s,
          const char **rest)
{
    static const char by_key[] = "mcx-kms-sealed 1 key-file -";
    static const char by_words[] = "mcx-kms-sealed 1 passphrase ";
    size_t n = strcspn(s, "\n");

    if (n >= 128 || s[n] != '\n') {
        return false;
    }
    memcpy(line, s, n);
    line[n] = '\0';
    *rest = s + n + 1;
    d->by_passphrase = strcmp(line, by_key) != 0;
    return !d->by_passphrase
           || (strncmp(line, by_words, sizeof by_words - 1) == 0
               && mcx_hex_decode(d->salt, sizeof d->salt,
                                 mcx_bytes_str(line + sizeof by_words - 1),
                                 NULL) == MCX_OK);
}

/* Gets the key of 'lock', unless 'd' has it already ('lock' NULL). */
static mcx_err
get_key(struct kms_domain *d, const struct kms_lock *lock, const char *path,
        const struct mcx_env *env, struct mcx_text *text)
{
    if (!lock) {
        return MCX_OK;
    }
    d->seal = mcx_guard_new(sizeof *d->seal);
    if (!d->seal) {
        return fail(text, MCX_E_NOMEM, "out of memory");
    }
    if (d->by_passphrase && lock->passphrase_file) {
        return key_of_passphrase(d->seal, lock->passphrase_file, d->salt, env,
                                 text);
    }
    if (!d->by_passphrase && lock->key_file) {
        return key_of_file(d->seal, lock->key_file, env, text);
    }
    return fail(text, MCX_E_CONFIG, "%s is sealed: expected %s", path,
                d->by_passphrase ? "--passphrase-file FILE"
                                 : "--key-file FILE");
}

static mcx_err
read_sealed(struct kms_blob *out, struct kms_domain *d,
            const struct kms_lock *lock, const char *path,
            const struct mcx_env *env, struct mcx_text *text)
{
    uint8_t sealed[BLOB_MAX + MCX_SEAL_MORE];
    char line[128], aad[128 + MCX_URI_MAX], *s = NULL;
    const char *rest = NULL;
    struct mcx_sealer *sealer = NULL;
    size_t n = 0, digits, size;
    mcx_err err;

    err = read_lines(path, &s, &n, env);
    if (err != MCX_OK) {
        return fail(text, or_config(err), "%s: cannot be read", path);
    }
    if (!take_line(d, line, s, &rest)) {
        err = fail(text, MCX_E_CONFIG, "%s: expected what mcx-kms init "
                   "wrote", path);
        goto out;
    }
    digits = only_digits(rest);
    size = digits / 2;
    if (digits % 2 != 0 || size < MCX_SEAL_MORE || size > sizeof sealed
        || mcx_hex_decode(sealed, size, mcx_bytes(rest, digits), NULL)
               != MCX_OK) {
        err = fail(text, MCX_E_CONFIG, "%s: expected what mcx-kms init "
                   "wrote", path);
        goto out;
    }
    MCX_TRY_OR(err, get_key(d, lock, path, env, text), out);
    bound_to(aad, sizeof aad, line, d);
    MCX_TRY_OR(err, mcx_sealer_new(&sealer, d->seal), out);
    out->n = size - MCX_SEAL_MORE;
    err = mcx_unseal(out->b, sealer, mcx_bytes_str(aad),
                     mcx_bytes(sealed, size));
    mcx_sealer_free(sealer);
    if (err != MCX_OK) {
        err = fail(text, err, "%s: wrong %s, or the file was changed", path,
                   d->by_passphrase ? "passphrase" : "key");
    }
out:
    drop_lines(s, n);
    return err;
}

/* Reads the master file into 'd', which has no generation yet.  'lock' NULL:
 * 'd' has the key already. */
static mcx_err
read_master(struct kms_domain *d, const char *dir,
            const struct kms_lock *lock, const struct mcx_env *env,
            struct mcx_text *text)
{
    MCX_SECRET(kms_blob, blob);
    MCX_SECRET(kms_blob, other);
    char plain[KMS_PATH_MAX], sealed[KMS_PATH_MAX];
    bool is_sealed, both;
    mcx_err err;

    if (!kms_path(plain, dir, PLAIN) || !kms_path(sealed, dir, SEALED)) {
        return fail(text, MCX_E_CONFIG, "%s: the path is too long", dir);
    }
    is_sealed = access(sealed, F_OK) == 0;
    both = is_sealed && access(plain, F_OK) == 0;
    if (!is_sealed && lock && (lock->key_file || lock->passphrase_file)) {
        return fail(text, MCX_E_CONFIG, "%s is not sealed", plain);
    }
    if (is_sealed) {
        MCX_TRY(read_sealed(&blob, d, lock, sealed, env, text));
    } else {
        MCX_TRY(read_plain(&blob, plain, env, text));
    }
    if (both) {
        /* Sealing was broken off before the secrets in clear were removed. */
        MCX_TRY(read_plain(&other, plain, env, text));
        if (other.n != blob.n
            || !mcx_secret_eq(other.b, blob.b, sizeof blob.b)) {
            return fail(text, MCX_E_CONFIG, "%s holds both %s and %s, and "
                        "they differ: remove one", dir, PLAIN, SEALED);
        }
    }
    err = unpack(d, &blob, env);
    return err == MCX_OK ? MCX_OK
                         : fail(text, or_config(err), "%s: expected the "
                                "master secrets of mcx-kms init",
                                is_sealed ? sealed : plain);
}

mcx_err
kms_domain_open(struct kms_domain **out, const char *dir,
                const struct kms_lock *lock, const struct mcx_env *env,
                struct mcx_text *text)
{
    struct kms_domain *d = NULL;
    mcx_err err;

    *out = NULL;
    text->s[0] = '\0';
    MCX_TRY(domain_alloc(&d));
    err = kms_conf_read(&d->info, dir, env, text);
    if (err == MCX_OK) {
        err = read_master(d, dir, lock, env, text);
    }
    if (err != MCX_OK) {
        kms_domain_free(d);
        return err;
    }
    *out = d;
    return MCX_OK;
}

mcx_err
kms_domain_again(struct kms_domain **out, const struct kms_domain *d,
                 const char *dir, const struct mcx_env *env,
                 struct mcx_text *text)
{
    const struct kms_lock none = { 0 };
    struct kms_domain *fresh = NULL;
    mcx_err err = MCX_OK;

    *out = NULL;
    text->s[0] = '\0';
    MCX_TRY(domain_alloc(&fresh));
    fresh->info = d->info;
    if (d->seal) {
        fresh->seal = mcx_guard_new(sizeof *fresh->seal);
        if (fresh->seal) {
            memcpy(fresh->seal, d->seal, sizeof *d->seal);
        } else {
            err = fail(text, MCX_E_NOMEM, "out of memory");
        }
    }
    if (err == MCX_OK) {
        err = read_master(fresh, dir, d->seal ? NULL : &none, env, text);
    }
    if (err != MCX_OK) {
        kms_domain_free(fresh);
        return err;
    }
    *out = fresh;
    return MCX_OK;
}

/* ---- what is in it ----------------------------------------------------- */

mcx_err
kms_domain_new(struct kms_domain **out, const struct mcx_kms_info *info,
               const struct mcx_env *env)
{
    struct kms_domain *d = NULL;
    mcx_err err;

    *out = NULL;
    MCX_TRY(domain_alloc(&d));
    d->info = *info;
    d->info.root = true;
    err = env->random(env->ctx, d->audit->b, sizeof d->audit->b);
    if (err == MCX_OK) {
        err = add_generation(d, 0, NULL, env);
    }
    if (err != MCX_OK) {
        kms_domain_free(d);
        return err;
    }
    *out = d;
    return MCX_OK;
}

mcx_err
kms_domain_rotate(struct kms_domain *d, uint64_t from_no,
                  const struct mcx_env *env)
{
    return add_generation(d, from_no, NULL, env);
}

const struct kms_generation *
kms_domain_at(const struct kms_domain *d, uint64_t no)
{
    size_t i = d->n - 1;

    while (i > 0 && d->gen[i].from_no > no) {
        i--;
    }
    return &d->gen[i];
}

void
kms_domain_cert(struct mcx_kms_cert *out, const struct kms_domain *d,
                const struct kms_generation *gen)
{
    const struct kms_generation *last = &d->gen[d->n - 1];

    out->info = d->info;
    if (gen != &d->gen[0]) {
        out->info.valid_from_unix =
            mcx_period_start(&d->info.period, gen->from_no)
            - MCX_NTP_UNIX_DIFF;
    }
    if (gen != last) {
        out->info.valid_to_unix =
            mcx_period_start(&d->info.period, gen[1].from_no)
            - MCX_NTP_UNIX_DIFF;
    }
    memcpy(out->z, gen->z, sizeof out->z);
    memcpy(out->kpak, gen->kpak, sizeof out->kpak);
}

mcx_err
kms_domain_period(uint64_t *no, const struct kms_domain *d, int64_t unix_ms)
{
    return mcx_period_no(no, &d->info.period,
                         unix_ms / 1000 + MCX_NTP_UNIX_DIFF);
}

mcx_err
kms_domain_issue(struct mcx_kms_keyset *set, const struct kms_domain *d,
                 uint64_t no, const struct mcx_env *env)
{
    uint8_t id[MCX_ID_MAX];
    size_t n = 0;

    set->period_no = no;
    MCX_TRY(mcx_user_id(id, &n, mcx_bytes_str(set->user_uri),
                        mcx_bytes_str(d->info.uri), &d->info.period, no));
    if (!d->info.monthly_tel) {
        memcpy(set->uid.b, id, sizeof set->uid.b);
    }
    return mcx_kms_master_issue(kms_domain_at(d, no)->master,
                                mcx_bytes(id, n), &set->rsk, &set->ssk,
                                set->pvt, env);
}
