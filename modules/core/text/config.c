/* config.c -- the configuration syntax of programs and modules.  See
 * mcx_config.h.  The host and the tools call it.
 *
 * Reading knows the syntax only; mcx_config_check() knows what a section may
 * hold, and remembers it so that mcx_config_get() can fall back to defaults.
 * A file is read whole before anything of it is taken.
 *
 * Settings and sections are found by hash and each section has a list of its
 * own settings, so the time for a file grows with its lines and no faster,
 * however many sections there are. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_config.h>

enum { FILE_MAX = 1048576, SHOWN = 60, FIRST_SLOTS = 64 };

struct setting {
    size_t section; /* where it stands in the table */
    size_t next;    /* of the same section: number + 1; 0: the last */
    char *name, *value;
    char *origin; /* a file, or an option */
    int line;     /* 0: an option         */
};
struct section {
    char *name; /* "": the program's */
    char *origin;
    int line;
    bool listed; /* it stands in a file or was set; else only checked */
    size_t first, last; /* its settings, number + 1 */
    /* What it was last checked against; the caller's static arrays. */
    const struct mcx_opt *opts;
    size_t n_opts;
};
/* Open addressing; a slot holds number + 1.  Nothing is ever taken out. */
struct index {
    size_t *slot;
    size_t n_slots; /* a power of two, or 0 */
};

struct table {
    struct setting *set;
    size_t n_set, room_set;
    struct section *sec;
    size_t n_sec, room_sec;
    struct index sets, secs;
};
/* The table stands behind a pointer: checking remembers the options, and that
 * is no change that a caller can see. */
struct mcx_config {
    struct table *t;
};

/* ---- the index --------------------------------------------------------- */

/* FNV-1a.  What is hashed is the administrator's own file. */
static uint64_t
hash_of(size_t section, const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ section;

    h *= UINT64_C(0x100000001b3);
    for (; *s; s++) {
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    }
    return h ^ h >> 32;
}

static void
index_put(struct index *x, uint64_t hash, size_t number)
{
    size_t i = (size_t)hash & (x->n_slots - 1);

    while (x->slot[i] != 0) {
        i = (i + 1) & (x->n_slots - 1);
    }
    x->slot[i] = number + 1;
}

static void
fill_sets(struct index *x, const struct table *t)
{
    size_t i;

    for (i = 0; i < t->n_set; i++) {
        index_put(x, hash_of(t->set[i].section, t->set[i].name), i);
    }
}

static void
fill_secs(struct index *x, const struct table *t)
{
    size_t i;

    for (i = 0; i < t->n_sec; i++) {
        index_put(x, hash_of(0, t->sec[i].name), i);
    }
}

/* Slots for 'n' items, at most half of them taken; false and unchanged
 * without memory. */
static bool
index_room(struct index *x, size_t n, const struct table *t,
           void (*fill)(struct index *x, const struct table *t))
{
    struct index fresh = { NULL, FIRST_SLOTS };

    if (2 * n <= x->n_slots) {
        return true;
    }
    while (fresh.n_slots < 4 * n) {
        fresh.n_slots *= 2;
    }
    fresh.slot = calloc(fresh.n_slots, sizeof *fresh.slot);
    if (!fresh.slot) {
        return false;
    }
    fill(&fresh, t);
    free(x->slot);
    *x = fresh;
    return true;
}

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
    return ok && index_room(&t->sets, t->n_set + sets, t, fill_sets)
           && index_room(&t->secs, t->n_sec + secs, t, fill_secs);
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
    free(t->set);
    free(t->sec);
    free(t->sets.slot);
    free(t->secs.slot);
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

static struct section *
find_section(const struct table *t, const char *name)
{
    size_t at, i, mask = t->secs.n_slots - 1;

    if (t->secs.n_slots == 0) {
        return NULL;
    }
    at = (size_t)hash_of(0, name) & mask;
    while ((i = t->secs.slot[at]) != 0) {
        if (strcmp(t->sec[i - 1].name, name) == 0) {
            return &t->sec[i - 1];
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

static struct setting *
find_set(const struct table *t, const struct section *section,
         const char *name)
{
    size_t at, i, no, mask = t->sets.n_slots - 1;

    if (!section || t->sets.n_slots == 0) {
        return NULL;
    }
    no = (size_t)(section - t->sec);
    at = (size_t)hash_of(no, name) & mask;
    while ((i = t->sets.slot[at]) != 0) {
        if (t->set[i - 1].section == no
            && strcmp(t->set[i - 1].name, name) == 0) {
            return &t->set[i - 1];
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

/* Puts 's' last in its section.  There is room. */
static void
put_set(struct table *t, struct section *section, const struct setting *s)
{
    struct setting *to = &t->set[t->n_set];

    *to = *s;
    to->section = (size_t)(section - t->sec);
    to->next = 0;
    if (section->last != 0) {
        t->set[section->last - 1].next = t->n_set + 1;
    } else {
        section->first = t->n_set + 1;
    }
    section->last = t->n_set + 1;
    index_put(&t->sets, hash_of(to->section, to->name), t->n_set);
    t->n_set++;
}

/* Finds or adds a section; with 'origin' NULL one that nobody wrote, which
 * move_section() lists when somebody does.  NULL without memory. */
static struct section *
need_section(struct table *t, const char *name, const char *origin, int line)
{
    struct section s = { .line = line, .listed = origin && *name };
    struct section *found = find_section(t, name);

    if (found) {
        return found;
    }
    s.name = copy_n(name, strlen(name));
    s.origin = copy_n(origin ? origin : "", origin ? strlen(origin) : 0);
    if (!s.name || !s.origin || !reserve_all(t, 0, 1)) {
        section_free(&s);
        return NULL;
    }
    t->sec[t->n_sec] = s;
    index_put(&t->secs, hash_of(0, s.name), t->n_sec);
    return &t->sec[t->n_sec++];
}

/* Adds at the end, unless the section has one of that name: '*old' then. */
static mcx_err
add_set(struct table *t, struct section *section, struct mcx_bytes name,
        struct mcx_bytes value, const char *origin, int line,
        struct setting **old)
{
    size_t no = (size_t)(section - t->sec);
    struct setting s = { .line = line };

    *old = NULL;
    s.name = copy_n((const char *)name.p, name.n);
    s.value = copy_n((const char *)value.p, value.n);
    s.origin = copy_n(origin, strlen(origin));
    if (!s.name || !s.value || !s.origin || !reserve_all(t, 1, 0)) {
        setting_free(&s);
        return MCX_E_NOMEM;
    }
    *old = find_set(t, &t->sec[no], s.name);
    if (*old) {
        setting_free(&s);
        return MCX_OK;
    }
    put_set(t, &t->sec[no], &s);
    return MCX_OK;
}

/* Moves one section, which is then empty in 'from'.  There is room. */
static struct section *
move_section(struct table *t, struct section *from)
{
    struct section *to = find_section(t, from->name);

    if (!to) {
        to = &t->sec[t->n_sec];
        *to = *from;
        to->first = to->last = 0;
        index_put(&t->secs, hash_of(0, to->name), t->n_sec++);
        from->name = from->origin = NULL;
    } else if (from->listed && !to->listed) {
        free(to->origin);
        to->origin = from->origin;
        to->line = from->line;
        to->listed = true;
        from->origin = NULL;
    }
    return to;
}

/* Moves everything of 'from' on top of 't'; all of it or nothing. */
static mcx_err
merge(struct table *t, struct table *from)
{
    size_t i, k;

    if (!reserve_all(t, from->n_set, from->n_sec)) {
        return MCX_E_NOMEM;
    }
    for (i = 0; i < from->n_sec; i++) {
        struct section *to = move_section(t, &from->sec[i]);

        for (k = from->sec[i].first; k != 0; k = from->set[k - 1].next) {
            struct setting *s = &from->set[k - 1];
            struct setting *old = find_set(t, to, s->name);

            if (old) {
                struct setting was = *old;

                old->name = s->name;
                old->value = s->value;
                old->origin = s->origin;
                old->line = s->line;
                setting_free(&was);
            } else {
                put_set(t, to, s);
            }
        }
    }
    for (i = 0; i < from->n_sec; i++) {
        section_free(&from->sec[i]);
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
    size_t section; /* number in the table */
};

static mcx_err
read_section(struct table *t, struct mcx_bytes l, struct place *at,
             struct mcx_text *text)
{
    struct mcx_bytes name;
    struct section *section;
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
    section = need_section(t, copy, at->path, at->line);
    free(copy);
    if (!section) {
        return MCX_E_NOMEM;
    }
    at->section = (size_t)(section - t->sec);
    return MCX_OK;
}

static mcx_err
read_setting(struct table *t, struct mcx_bytes l, const struct place *at,
             struct mcx_text *text)
{
    const uint8_t *eq = memchr(l.p, '=', l.n);
    size_t n = eq ? (size_t)(eq - l.p) : l.n;
    struct mcx_bytes name = trim(mcx_bytes(l.p, n)), value;
    struct setting *old;
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
    err = add_set(t, &t->sec[at->section], name, value, at->path, at->line,
                  &old);
    if (err != MCX_OK) {
        return err;
    }
    if (old) {
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
    struct place at = { path, 0, 0 };
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
    err = need_section(&fresh, "", path, 0) /* number 0 */
              ? read_text(&fresh, mcx_bytes(file, n), &at, text)
              : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = merge(config->t, &fresh);
    }
    if (err == MCX_E_NOMEM) {
        (void)say(text, path, 0, "out of memory");
    }
    table_clear(&fresh);
    free(file);
    return err;
}

mcx_err
mcx_config_set(struct mcx_config *config, const char *section,
               const char *name, const char *value, const char *origin)
{
    struct table fresh = { .set = NULL };
    struct section *in;
    struct setting *old;
    mcx_err err = MCX_E_NOMEM;

    section = section ? section : "";
    origin = origin ? origin : "option";
    if (!config || !name || !value || !is_name(mcx_bytes_str(name))) {
        return MCX_E_ARG;
    }
    in = need_section(&fresh, section, origin, 0);
    if (in) {
        err = add_set(&fresh, in, mcx_bytes_str(name), mcx_bytes_str(value),
                      origin, 0, &old);
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
unknown(const struct setting *s, const char *section,
        const struct mcx_opt *opts, size_t n, struct mcx_text *text)
{
    char list[400] = "";
    size_t at = 0, i;

    for (i = 0; i < n && at < sizeof list; i++) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i ? ", " : "", opts[i].name);
    }
    return say(text, s->origin, s->line,
               "unknown setting \"%.*s\"%s%.*s%s; known: %s", SHOWN, s->name,
               *section ? " in [" : "", SHOWN, section, *section ? "]" : "",
               n ? list : "none");
}

mcx_err
mcx_config_check(const struct mcx_config *config, const char *section,
                 const struct mcx_opt *opts, size_t n, struct mcx_text *text)
{
    struct section *in;
    size_t i, j;

    if (text) {
        text->s[0] = '\0';
    }
    if (!config || (!opts && n)) {
        return MCX_E_ARG;
    }
    section = section ? section : "";
    in = need_section(config->t, section, NULL, 0);
    if (!in) {
        return MCX_E_NOMEM;
    }
    for (i = in->first; i != 0; i = config->t->set[i - 1].next) {
        const struct setting *s = &config->t->set[i - 1];
        char want[200];

        for (j = 0; j < n && strcmp(opts[j].name, s->name) != 0; j++) {
        }
        if (j == n) {
            return unknown(s, section, opts, n, text);
        }
        if (!value_ok(&opts[j], s->value)) {
            wanted(want, sizeof want, &opts[j]);
            return say(text, s->origin, s->line,
                       "\"%s\" wants %s, not \"%.*s\"", s->name, want, SHOWN,
                       s->value);
        }
    }
    in->opts = opts;
    in->n_opts = n;
    return MCX_OK;
}

const char *
mcx_config_get(const struct mcx_config *config, const char *section,
               const char *name)
{
    const struct section *in;
    const struct setting *s;
    size_t j;

    if (!config || !name) {
        return NULL;
    }
    in = find_section(config->t, section ? section : "");
    s = find_set(config->t, in, name);
    if (s) {
        return s->value;
    }
    for (j = 0; in && j < in->n_opts; j++) {
        if (strcmp(in->opts[j].name, name) == 0) {
            return in->opts[j].fallback;
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

        if (s->listed) {
            each(arg, s->name, s->origin, s->line);
        }
    }
}
