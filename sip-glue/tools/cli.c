/* cli.c -- see cli.h. */
#include <config.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli.h"

static void MCX_PRINTF(2, 0)
line(const char *tool, const char *fmt, va_list ap)
{
    char text[1024];
    size_t i;

    (void)vsnprintf(text, sizeof text, fmt, ap);
    for (i = 0; text[i]; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            text[i] = '?';
        }
    }
    (void)fprintf(stderr, "%s: %s\n", tool, text);
}

int
cli_usage(const char *tool, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line(tool, fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

int
cli_fail(const char *tool, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line(tool, fmt, ap);
    va_end(ap);
    return CLI_REFUSED;
}

static mcx_err
read_stdin(size_t max, char **out, size_t *n)
{
    size_t room = max + 1, have = 0;
    char *buf = malloc(room + 1);
    mcx_err err = MCX_OK;

    if (!buf) {
        return MCX_E_NOMEM;
    }
    while (have < room) {
        ssize_t got = read(STDIN_FILENO, buf + have, room - have);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = MCX_E_IO;
        }
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    if (err == MCX_OK && have > max) {
        err = MCX_E_TOOBIG;
    }
    if (err != MCX_OK) {
        mcx_wipe(buf, have);
        free(buf);
        return err;
    }
    buf[have] = '\0';
    *out = buf;
    *n = have;
    return MCX_OK;
}

mcx_err
cli_read(const char *path, size_t max, char **out, size_t *n)
{
    const struct mcx_env *env = mcx_env_system();

    if (strcmp(path, "-") == 0) {
        return read_stdin(max, out, n);
    }
    return env->read_file(env->ctx, path, max, out, n);
}

bool
cli_time(const char *tool, const char *option, const char *text,
         int64_t *unix_ms)
{
    if (mcx_time_parse(unix_ms, mcx_bytes_str(text)) == MCX_OK) {
        return true;
    }
    (void)cli_usage(tool, "%s: expected a time such as 2026-03-01T08:00:00Z, "
                    "got \"%s\"", option, text);
    return false;
}

bool
cli_number(const char *tool, const char *option, const char *text,
           uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    const char *p = text;
    bool good = *p != '\0';

    for (; *p && good; p++) {
        unsigned d = (unsigned)(unsigned char)*p - '0';

        good = d <= 9 && v <= (max - d) / 10;
        v = v * 10 + (good ? d : 0);
    }
    if (good && v >= min) {
        *out = v;
        return true;
    }
    (void)cli_usage(tool, "%s: expected a number from %llu to %llu, got "
                    "\"%s\"", option, (unsigned long long)min,
                    (unsigned long long)max, text);
    return false;
}

bool
cli_uri(const char *text)
{
    size_t i;

    for (i = 0; text[i]; i++) {
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return i > 0 && i < MCX_URI_MAX;
}

static int64_t
stood_unix_ms(void *ctx)
{
    return *(int64_t *)ctx;
}

struct mcx_env
cli_env(int64_t *clock_ms)
{
    struct mcx_env env = *mcx_env_system();

    if (!getenv("MCX_DEBUG")) {
        env.log = NULL;
    }
    /* The system's functions do not look at 'ctx'. */
    if (clock_ms) {
        env.ctx = clock_ms;
        env.unix_ms = stood_unix_ms;
    }
    return env;
}

/* The size of the UTF-8 character at 's', 0 when it is none (RFC 3629). */
static size_t
utf8(const unsigned char *s)
{
    static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = s[0] < 0x80             ? 1
               : (s[0] & 0xe0) == 0xc0 ? 2
               : (s[0] & 0xf0) == 0xe0 ? 3
               : (s[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    unsigned v = n == 1 ? s[0] : n ? s[0] & (0xffu >> (n + 1)) : 0;
    size_t i;

    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        v = v << 6 | (s[i] & 0x3fu);
    }
    return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0
                                                                       : n;
}

void
cli_json_string(FILE *f, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    (void)fputc('"', f);
    while (*p) {
        size_t n = utf8(p);

        if (*p == '"' || *p == '\\') {
            (void)fprintf(f, "\\%c", *p);
        } else if (*p < 0x20 || *p == 0x7f) {
            (void)fprintf(f, "\\u%04x", *p);
        } else if (n == 0) {
            (void)fputs("\\ufffd", f);
        } else {
            (void)fwrite(p, 1, n, f);
        }
        p += n ? n : 1;
    }
    (void)fputc('"', f);
}

void
cli_json_begin(struct cli_json *j, FILE *f)
{
    j->f = f;
    j->any = false;
    (void)fputc('{', f);
}

static void
name_of(struct cli_json *j, const char *name)
{
    if (j->any) {
        (void)fputc(',', j->f);
    }
    j->any = true;
    cli_json_string(j->f, name);
    (void)fputc(':', j->f);
}

void
cli_json_text(struct cli_json *j, const char *name, const char *value)
{
    name_of(j, name);
    cli_json_string(j->f, value);
}

void
cli_json_number(struct cli_json *j, const char *name, uint64_t value)
{
    name_of(j, name);
    (void)fprintf(j->f, "%llu", (unsigned long long)value);
}

void
cli_json_bool(struct cli_json *j, const char *name, bool value)
{
    name_of(j, name);
    (void)fputs(value ? "true" : "false", j->f);
}

void
cli_json_list(struct cli_json *j, const char *name, size_t n,
              const char *(*each)(const void *arg, size_t i),
              const void *arg)
{
    size_t i;

    name_of(j, name);
    for (i = 0; i < n; i++) {
        (void)fputc(i ? ',' : '[', j->f);
        cli_json_string(j->f, each(arg, i));
    }
    (void)fputs(n ? "]" : "[]", j->f);
}

void
cli_json_end(struct cli_json *j)
{
    (void)fputs("}\n", j->f);
}

bool
cli_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}
