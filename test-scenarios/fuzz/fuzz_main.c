/* fuzz_main.c -- runs a fuzz target over files, without libFuzzer.
 *
 * Every target is built twice: with libFuzzer under --enable-fuzzing, and with
 * this driver always, so that corpus and old crashers are part of plain
 * `make check`.  Arguments are files and folders.  With MCX_FUZZ_MUTATE=N each
 * file is also run N times with a few octets changed, from a seed that is
 * printed and may be given as MCX_SEED. */
#include <config.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 };
static size_t runs;
static unsigned long mutations;
static uint64_t state;

/* xorshift64*: repeatable, and nothing here is secret. */
static uint32_t
roll(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* An exact heap copy each time, so that ASan sees one octet too far. */
static void
run_once(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy) {
        exit(1);
    }
    memcpy(copy, data, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    runs++;
}

static void
mutate(uint8_t *data, size_t *n)
{
    uint32_t k = 1 + roll(4);

    while (k-- > 0 && *n > 0) {
        size_t at = roll((uint32_t)*n);

        switch (roll(5)) {
        case 0: data[at] ^= (uint8_t)(1u << roll(8)); break;
        case 1: data[at] = (uint8_t)roll(256); break;
        case 2: *n = at; break;
        case 3: data[at] = roll(2) ? 0xff : 0; break;
        default:
            if (*n < INPUT_MAX) {
                memmove(data + at + 1, data + at, *n - at);
                (*n)++;
            }
            break;
        }
    }
}

static void
run_file(const char *path)
{
    static uint8_t data[INPUT_MAX], work[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    unsigned long i;
    size_t n;

    if (!f) {
        perror(path);
        exit(1);
    }
    n = fread(data, 1, sizeof data, f);
    (void)fclose(f);
    run_once(data, n);
    for (i = 0; i < mutations; i++) {
        size_t m = n;

        memcpy(work, data, n);
        mutate(work, &m);
        run_once(work, m);
    }
}

static void
run_path(const char *path)
{
    struct dirent **list;
    struct stat st;
    int n, i;

    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    n = scandir(path, &list, NULL, alphasort);
    if (n < 0) {
        perror(path);
        exit(1);
    }
    for (i = 0; i < n; i++) {
        char full[4096];

        if (list[i]->d_name[0] != '.') {
            (void)snprintf(full, sizeof full, "%s/%s", path, list[i]->d_name);
            run_path(full);
        }
        free(list[i]);
    }
    free(list);
}

int
main(int argc, char **argv)
{
    const char *n = getenv("MCX_FUZZ_MUTATE"), *seed = getenv("MCX_SEED");
    int i;

    mutations = n ? strtoul(n, NULL, 10) : 0;
    state = seed ? strtoull(seed, NULL, 0) : UINT64_C(0x9e3779b97f4a7c15);
    for (i = 1; i < argc; i++) {
        run_path(argv[i]);
    }
    (void)printf("%s: %zu runs, seed 0x%llx\n", argv[0], runs,
                 seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL);
    /* A corpus that is not there must not look like one that passed. */
    return runs ? 0 : 1;
}
