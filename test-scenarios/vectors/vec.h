/* vec.h -- reads the flat vector files from C tests.
 *
 * A file is MCX_VECTORS/<file>.txt: '#' lines are comments (the first one
 * names the source), every other line is "path = value".  A missing file or
 * path, or a value that is not what was asked for, ends the test program, so
 * no test can pass because its vector is gone. */
#ifndef MCX_TEST_VEC_H
#define MCX_TEST_VEC_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void
vec_die(const char *file, const char *path, const char *what)
{
    (void)fprintf(stderr, "vectors: %s, %s: %s\n", file, path, what);
    abort();
}

/* The value of 'path' as text, malloc'ed; NULL when the file has no such
 * path. */
static inline char *
vec_find(const char *file, const char *path)
{
    char name[1024], *line = NULL, *value = NULL;
    size_t room = 0, n = strlen(path);
    ssize_t got;
    FILE *f;

    (void)snprintf(name, sizeof name, "%s/%s.txt", MCX_VECTORS, file);
    f = fopen(name, "r");
    if (!f) {
        vec_die(name, path, "no such file");
        return NULL;
    }
    while (!value && (got = getline(&line, &room, f)) > 0) {
        while (got > 0 && (line[got - 1] == '\n' || line[got - 1] == '\r')) {
            line[--got] = '\0';
        }
        if (line[0] != '#' && strncmp(line, path, n) == 0
            && strncmp(line + n, " =", 2) == 0) {
            value = strdup(line + n + (line[n + 2] == ' ' ? 3 : 2));
        }
    }
    free(line);
    (void)fclose(f);
    return value;
}

/* The value of 'path' as text, to be freed. */
static inline char *
vec_text(const char *file, const char *path)
{
    char *value = vec_find(file, path);

    if (!value) {
        vec_die(file, path, "no such path");
    }
    return value;
}

/* The value of 'path' as a decimal number. */
static inline uint64_t
vec_num(const char *file, const char *path)
{
    char *value = vec_text(file, path), *end = NULL;
    uint64_t v = strtoull(value, &end, 10);

    if (end == value || *end != '\0') {
        vec_die(file, path, "not a number");
    }
    free(value);
    return v;
}

/* The value of 'path', hexadecimal, as octets; at most 'max'.  Returns how
 * many there are. */
static inline size_t
vec_hex(const char *file, const char *path, uint8_t *buf, size_t max)
{
    char *value = vec_text(file, path), pair[3] = { 0 }, *end;
    size_t n = strlen(value) / 2, i;

    if (strlen(value) % 2 != 0 || n > max) {
        vec_die(file, path, n > max ? "too long" : "odd number of digits");
    }
    for (i = 0; i < n; i++) {
        memcpy(pair, value + 2 * i, 2);
        buf[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2) {
            vec_die(file, path, "not hexadecimal");
        }
    }
    free(value);
    return n;
}

/* Same, as an integer of exactly 'n' octets, zeros put in front. */
static inline void
vec_int(const char *file, const char *path, uint8_t *buf, size_t n)
{
    size_t got = vec_hex(file, path, buf, n);

    memmove(buf + n - got, buf, got);
    memset(buf, 0, n - got);
}

#endif /* MCX_TEST_VEC_H */
