/* config.c -- the configuration syntax of programs and modules.  See
 * mcx_config.h.  The host and the tools call it.
 *
 * Reading knows the syntax only; mcx_config_check() knows what a section may
 * hold, and remembers it so that mcx_config_get() can fall back to defaults.
 * A file is read whole before anything of it is taken. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_config.h>

enum { FILE_MAX = 1048576, SHOWN = 60 };

struct setting {
    char *section, *name, *value;
    char *origin; /* a file, or an option */
    int line;     /* 0: an option         */
};
struct section {
    char *name, *origin;
    int line;
};
/* What a section was last checked against; the caller's static arrays. */
struct known {
    char *section;
    const struct mcx_opt *opts;
    size_t n;
};

struct table {
    struct setting *set;
    size_t n_set, room_set;
    struct section *sec;
    size_t n_sec, room_sec;
    struct known *known;
    size_t n_known, room_known;
};
/* The table stands behind a pointer: checking remembers the options, and that
 * is no change that a caller can see. */
struct mcx_config {
    struct table *t;
};

/* ---- memory ------------------------------------------------------------ */

/* Room for 'more' items; false and unchanged without memory. */
static bool
reserve(void **items, size_t *room, size_t n, size_t more, size_t size)
{
    size_t want = n + more < 16 ? 16 : (n + more) * 2;
    void *p;

    if (n + more <= *room) {
        return true;
    }
    p = realloc(*items, want * size);
    if (!p) {
        return false;
    }
    *items = p;
    *room = want;
    return true;
}

static bool
reserve_all(struct table *t, size_t sets, size_t secs)
{
    void *set = t->set, *sec = t->sec;
    bool ok = reserve(&set, &t->room_set, t->n_set, sets, sizeof *t->set);

    t->set = set;
    ok = ok && reserve(&sec, &t->room_sec, t->n_sec, secs, sizeof *t->sec);
    t->sec = sec;
    return ok;
}

static char *
copy_n(const char *s, size_t n)
{
    char *p = malloc(n + 1);

    if (p) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

static void
setting_free(struct setting *s)
{
    free(s->section);
    free(s->name);
    free(s->value);
    free(s->origin);
}

static void
section_free(struct section *s)
{
    free(s->name);
    free(s->origin);
}

static void
table_clear(struct table *t)
{
    size_t i;

    for (i = 0; i < t->n_set; i++) {
        setting_free(&t->set[i]);
    }
    for (i = 0; i < t->n_sec; i++) {
        section_free(&t->sec[i]);
    }
    for (i = 0; i < t->n_known; i++) {
        free(t->known[i].section);
    }
    free(t->set);
    free(t->sec);
    free(t->known);
    memset(t, 0, sizeof *t);
}

mcx_err
mcx_config_new(struct mcx_config **out)
{
    struct mcx_config *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c) {
        c->t = calloc(1, sizeof *c->t);
    }
    if (!c || !c->t) {
        free(c);
        return MCX_E_NOMEM;
    }
    *out = c;
    return MCX_OK;
}

void
mcx_config_free(struct mcx_config *config)
{
    if (config) {
        table_clear(config->t);
        free(config->t);
        free(config);
    }
}

/* ---- the table --------------------------------------------------------- */

static struct setting *
find_set(const struct table *t, const char *section, const char *name)
{
    size_t i;

    for (i = 0; i < t->n_set; i++) {
        if (strcmp(t->set[i].name, name) == 0
            && strcmp(t->set[i].section, section) == 0) {
            return &t->set[i];
        }
    }
    return NULL;
}

static bool
has_section(const struct table *t, const char *name)
{
    size_t i;

    for (i = 0; i < t->n_sec; i++) {
        if (strcmp(t->sec[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds at the end. */
static mcx_err
add_set(struct table *t, const char *section, struct mcx_bytes name,
        struct mcx_bytes value, const char *origin, int line)
{
    struct setting s = { NULL, NULL, NULL, NULL, line };

    s.section = copy_n(section, strlen(section));
    s.name = copy_n((const char *)name.p, name.n);
    s.value = copy_n((const char *)value.p, value.n);
    s.origin = copy_n(origin, strlen(origin));
    if (!s.section || !s.name || !s.value || !s.origin
        || !reserve_all(t, 1, 0)) {
        setting_free(&s);
        return MCX_E_NOMEM;
    }
    t->set[t->n_set++] = s;
    return MCX_OK;
}

/* Adds unless it is there or is the program's. */
static mcx_err
add_section(struct table *t, const char *name, const char *origin, int line)
{
    struct section s = { NULL, NULL, line };

    if (!*name || has_section(t, name)) {
        return MCX_OK;
    }
    s.name = copy_n(name, strlen(name));
    s.origin = copy_n(origin, strlen(origin));
    if (!s.name || !s.origin || !reserve_all(t, 0, 1)) {
        section_free(&s);
        return MCX_E_NOMEM;
    }
    t->sec[t->n_sec++] = s;
    return MCX_OK;
}

/* Moves everything of 'from' on top of 't'; all of it or nothing. */
static mcx_err
merge(struct table *t, struct table *from)
{
    size_t i;

    if (!reserve_all(t, from->n_set, from->n_sec)) {
        return MCX_E_NOMEM;
    }
    for (i = 0; i < from->n_set; i++) {
        struct setting *old = find_set(t, from->set[i].section,
                                       from->set[i].name);

        if (old) {
            setting_free(old);
            *old = from->set[i];
        } else {
            t->set[t->n_set++] = from->set[i];
        }
    }
    for (i = 0; i < from->n_sec; i++) {
        if (has_section(t, from->sec[i].name)) {
            section_free(&from->sec[i]);
        } else {
            t->sec[t->n_sec++] = from->sec[i];
        }
    }
    from->n_set = from->n_sec = 0;
    return MCX_OK;
}

/* ---- messages ---------------------------------------------------------- */

/* "alice.conf:12: ..." */
static mcx_err say(struct mcx_text *text, const char *origin, int line,
                   const char *fmt, ...) MCX_PRINTF(4, 5);

static mcx_err
say(struct mcx_text *text, const char *origin, int line, const char *fmt,
    ...)
{
    va_list ap;
    size_t n, i;

    if (!text) {
        return MCX_E_CONFIG;
    }
    if (line > 0) {
        (void)snprintf(text->s, sizeof text->s, "%s:%d: ", origin, line);
    } else {
        (void)snprintf(text->s, sizeof text->s, "%s: ", origin);
    }
    n = strlen(text->s);
    va_start(ap, fmt);
    (void)vsnprintf(text->s + n, sizeof text->s - n, fmt, ap);
    va_end(ap);
    for (i = 0; text->s[i]; i++) {
        if ((unsigned char)text->s[i] < 0x20 || text->s[i] == 0x7f) {
            text->s[i] = '?';
        }
    }
    return MCX_E_CONFIG;
}

/* ---- reading ----------------------------------------------------------- */

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct mcx_bytes
trim(struct mcx_bytes b)
{
    while (b.n > 0 && is_space(b.p[0])) {
        b = mcx_bytes(b.p + 1, b.n - 1);
    }
    while (b.n > 0 && is_space(b.p[b.n - 1])) {
        b.n--;
    }
    return b;
}

static bool
is_name(struct mcx_bytes b)
{
    size_t i;

    for (i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '-' || c == '_')) {
            return false;
        }
    }
    return b.n > 0;
}

/* A place in a file, for messages and for what is taken from it. */
struct place {
    const char *path;
    int line;
    char *section; /* malloc'ed */
};

static mcx_err
read_section(struct table *t, struct mcx_bytes l, struct place *at,
             struct mcx_text *text)
{
    struct mcx_bytes name;
    char *copy;

    if (l.p[l.n - 1] != ']') {
        return say(text, at->path, at->line,
                   "a section is \"[name]\", and nothing may follow it");
    }
    name = trim(mcx_bytes(l.p + 1, l.n - 2));
    if (name.n == 0 || memchr(name.p, '[', name.n)
        || memchr(name.p, ']', name.n)) {
        return say(text, at->path, at->line,
                   "a section is the name of a module, or \"peer URI\"");
    }
    copy = copy_n((const char *)name.p, name.n);
    if (!copy) {
        return MCX_E_NOMEM;
    }
    free(at->section);
    at->section = copy;
    return add_section(t, copy, at->path, at->line);
}

static mcx_err
read_setting(struct table *t, struct mcx_bytes l, const struct place *at,
             struct mcx_text *text)
{
    const uint8_t *eq = memchr(l.p, '=', l.n);
    size_t n = eq ? (size_t)(eq - l.p) : l.n;
    struct mcx_bytes name = trim(mcx_bytes(l.p, n)), value;
    const struct setting *old;
    mcx_err err;

    if (!eq || !is_name(name)) {
        return say(text, at->path, at->line,
                   "expected \"name = value\", \"[section]\" or \"# "
                   "comment\"");
    }
    value = trim(mcx_bytes(l.p + n + 1, l.n - n - 1));
    if (value.n == 0) {
        return say(text, at->path, at->line,
                   "setting \"%.*s\" has no value; leave the line out for "
                   "the default", (int)(name.n < SHOWN ? name.n : SHOWN),
                   (const char *)name.p);
    }
    err = add_set(t, at->section, name, value, at->path, at->line);
    if (err != MCX_OK) {
        return err;
    }
    old = find_set(t, at->section, t->set[t->n_set - 1].name);
    if (old != &t->set[t->n_set - 1]) {
        return say(text, at->path, at->line,
                   "setting \"%.*s\" occurs again; it was set in line %d",
                   SHOWN, old->name, old->line);
    }
    return MCX_OK;
}

static mcx_err
read_text(struct table *t, struct mcx_bytes file, struct place *at,
          struct mcx_text *text)
{
    size_t pos = 0;

    while (pos < file.n) {
        const uint8_t *end = memchr(file.p + pos, '\n', file.n - pos);
        size_t n = end ? (size_t)(end - (file.p + pos)) : file.n - pos;
        struct mcx_bytes l = trim(mcx_bytes(file.p + pos, n));
        mcx_err err = MCX_OK;

        at->line++;
        pos += n + 1;
        if (l.n > 0 && memchr(l.p, 0, l.n)) {
            return say(text, at->path, at->line, "this is not a text file");
        }
        if (l.n > 0 && l.p[0] == '[') {
            err = read_section(t, l, at, text);
        } else if (l.n > 0 && l.p[0] != '#') {
            err = read_setting(t, l, at, text);
        }
        if (err != MCX_OK) {
            return err;
        }
    }
    return MCX_OK;
}

mcx_err
mcx_config_load(struct mcx_config *config, const char *path,
                const struct mcx_env *env, struct mcx_text *text)
{
    struct place at = { path, 0, NULL };
    struct table fresh = { .set = NULL };
    char *file = NULL;
    size_t n = 0;
    mcx_err err;

    if (text) {
        text->s[0] = '\0';
    }
    if (!config || !path || !env) {
        return MCX_E_ARG;
    }
    err = env->read_file(env->ctx, path, FILE_MAX, &file, &n);
    if (err != MCX_OK) {
        (void)say(text, path, 0,
                  err == MCX_E_TOOBIG ? "larger than 1 MiB"
                                      : "this file cannot be read");
        return err;
    }
    at.section = copy_n("", 0);
    err = at.section ? read_text(&fresh, mcx_bytes(file, n), &at, text)
                     : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = merge(config->t, &fresh);
    }
    if (err == MCX_E_NOMEM) {
        (void)say(text, path, 0, "out of memory");
    }
    table_clear(&fresh);
    free(at.section);
    free(file);
    return err;
}

mcx_err
mcx_config_set(struct mcx_config *config, const char *section,
               const char *name, const char *value, const char *origin)
{
    struct table fresh = { .set = NULL };
    mcx_err err;

    section = section ? section : "";
    origin = origin ? origin : "option";
    if (!config || !name || !value || !is_name(mcx_bytes_str(name))) {
        return MCX_E_ARG;
    }
    err = add_set(&fresh, section, mcx_bytes_str(name), mcx_bytes_str(value),
                  origin, 0);
    if (err == MCX_OK) {
        err = add_section(&fresh, section, origin, 0);
    }
    if (err == MCX_OK) {
        err = merge(config->t, &fresh);
    }
    table_clear(&fresh);
    return err;
}

/* ---- checking ---------------------------------------------------------- */

static bool
is_number(const char *s, int64_t *v)
{
    char *end;
    size_t n = strlen(s), sign = *s == '-' ? 1 : 0;

    /* 18 digits always fit. */
    if (n == sign || n - sign > 18 || strspn(s + sign, "0123456789")
                                          != n - sign) {
        return false;
    }
    *v = (int64_t)strtoll(s, &end, 10);
    return *end == '\0';
}

/* "sip:alice@mcx.test", "kms.mcx.test", "127.0.0.1:5060", "[::1]:5060" */
static bool
is_uri(const char *s)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char more[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789+-.";
    static const char host[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789-._";
    size_t n = strspn(s, more), i;

    for (i = 0; s[i]; i++) {
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f) {
            return false;
        }
    }
    if (strchr(letters, s[0]) && s[0] && s[n] == ':' && s[n + 1]) {
        return true;
    }
    n = s[0] == '[' ? strcspn(s, "]") + 1 : strspn(s, host);
    if (n == 0 || n > i) {
        return false;
    }
    return s[n] == '\0'
           || (s[n] == ':' && s[n + 1]
               && strspn(s + n + 1, "0123456789") == i - n - 1);
}

static bool
is_word_of(const char *s, const char *words)
{
    size_t n = strlen(s);
    const char *p = words;

    while (p && *p) {
        size_t len = strcspn(p, " ");

        if (len == n && n > 0 && strncmp(p, s, n) == 0) {
            return true;
        }
        p += len;
        p += strspn(p, " ");
    }
    return false;
}

static bool
plain_text(const char *s)
{
    size_t i;

    for (i = 0; s[i]; i++) {
        if ((unsigned char)s[i] < 0x20 && s[i] != '\t') {
            return false;
        }
    }
    return i > 0;
}

/* What a value of 'opt' has to be, in words. */
static void
wanted(char *out, size_t size, const struct mcx_opt *opt)
{
    bool bounded = opt->min != 0 || opt->max != 0;
    const char *what = "text";

    switch (opt->type) {
    case MCX_OPT_NUMBER:
    case MCX_OPT_SECONDS:
        what = opt->type == MCX_OPT_NUMBER ? "a number"
                                           : "a number of seconds";
        if (bounded) {
            (void)snprintf(out, size, "%s from %lld to %lld", what,
                           (long long)opt->min, (long long)opt->max);
            return;
        }
        break;
    case MCX_OPT_ENUM:
        (void)snprintf(out, size, "one of: %s", opt->words ? opt->words : "");
        return;
    case MCX_OPT_URI:
        what = "a URI with its scheme, or a host name";
        break;
    case MCX_OPT_PATH:
        what = "a path";
        break;
    case MCX_OPT_SWITCH:
        what = "yes or no";
        break;
    case MCX_OPT_TEXT:
        break;
    }
    (void)snprintf(out, size, "%s", what);
}

static bool
value_ok(const struct mcx_opt *opt, const char *value)
{
    bool bounded = opt->min != 0 || opt->max != 0;
    int64_t v;

    switch (opt->type) {
    case MCX_OPT_TEXT:
    case MCX_OPT_PATH:
        return plain_text(value);
    case MCX_OPT_URI:
        return is_uri(value);
    case MCX_OPT_NUMBER:
    case MCX_OPT_SECONDS:
        return is_number(value, &v)
               && (!bounded || (v >= opt->min && v <= opt->max));
    case MCX_OPT_SWITCH:
        return is_word_of(value, "yes no");
    case MCX_OPT_ENUM:
        return is_word_of(value, opt->words);
    }
    return false;
}

static mcx_err
unknown(const struct setting *s, const struct mcx_opt *opts, size_t n,
        struct mcx_text *text)
{
    char list[400] = "";
    size_t at = 0, i;

    for (i = 0; i < n && at < sizeof list; i++) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i ? ", " : "", opts[i].name);
    }
    return say(text, s->origin, s->line,
               "unknown setting \"%.*s\"%s%.*s%s; known: %s", SHOWN, s->name,
               *s->section ? " in [" : "", SHOWN, s->section,
               *s->section ? "]" : "", n ? list : "none");
}

static mcx_err
remember(struct table *t, const char *section, const struct mcx_opt *opts,
         size_t n)
{
    void *known = t->known;
    size_t i;
    bool ok;

    for (i = 0; i < t->n_known; i++) {
        if (strcmp(t->known[i].section, section) == 0) {
            t->known[i].opts = opts;
            t->known[i].n = n;
            return MCX_OK;
        }
    }
    ok = reserve(&known, &t->room_known, t->n_known, 1, sizeof *t->known);
    t->known = known;
    if (ok) {
        t->known[t->n_known].section = copy_n(section, strlen(section));
        ok = t->known[t->n_known].section != NULL;
    }
    if (!ok) {
        return MCX_E_NOMEM;
    }
    t->known[t->n_known].opts = opts;
    t->known[t->n_known].n = n;
    t->n_known++;
    return MCX_OK;
}

mcx_err
mcx_config_check(const struct mcx_config *config, const char *section,
                 const struct mcx_opt *opts, size_t n, struct mcx_text *text)
{
    size_t i, j;

    if (text) {
        text->s[0] = '\0';
    }
    if (!config || (!opts && n)) {
        return MCX_E_ARG;
    }
    section = section ? section : "";
    for (i = 0; i < config->t->n_set; i++) {
        const struct setting *s = &config->t->set[i];
        char want[200];

        if (strcmp(s->section, section) != 0) {
            continue;
        }
        for (j = 0; j < n && strcmp(opts[j].name, s->name) != 0; j++) {
        }
        if (j == n) {
            return unknown(s, opts, n, text);
        }
        if (!value_ok(&opts[j], s->value)) {
            wanted(want, sizeof want, &opts[j]);
            return say(text, s->origin, s->line,
                       "\"%s\" wants %s, not \"%.*s\"", s->name, want, SHOWN,
                       s->value);
        }
    }
    return remember(config->t, section, opts, n);
}

const char *
mcx_config_get(const struct mcx_config *config, const char *section,
               const char *name)
{
    const struct setting *s;
    const struct table *t;
    size_t i, j;

    if (!config || !name) {
        return NULL;
    }
    t = config->t;
    section = section ? section : "";
    s = find_set(t, section, name);
    if (s) {
        return s->value;
    }
    for (i = 0; i < t->n_known; i++) {
        if (strcmp(t->known[i].section, section) != 0) {
            continue;
        }
        for (j = 0; j < t->known[i].n; j++) {
            if (strcmp(t->known[i].opts[j].name, name) == 0) {
                return t->known[i].opts[j].fallback;
            }
        }
    }
    return NULL;
}

void
mcx_config_sections(const struct mcx_config *config,
                    void (*each)(void *arg, const char *section,
                                 const char *file, int line),
                    void *arg)
{
    size_t i;

    for (i = 0; config && i < config->t->n_sec; i++) {
        const struct section *s = &config->t->sec[i];

        each(arg, s->name, s->origin, s->line);
    }
}
