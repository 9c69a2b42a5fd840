/* wavcmp.c -- test helper: is RECORDED what SENT is after the codec?
 *
 *   wavcmp SENT RECORDED      exit 0 equal, 1 different, 2 usage or bad file
 *   wavcmp --make FILE MS     writes a test signal of MS milliseconds
 *
 * RECORDED may go on with silence, by which a last packet is filled up. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ulaw.h"
#include "wav.h"

/* A signal without period and without silence: no shift goes unseen. */
static int
make(const char *path, long ms)
{
    struct mcx_text text = { "" };
    struct wav_out *out;
    uint32_t x = 12345;
    long i;

    if (wav_create(&out, path, &text) != MCX_OK) {
        (void)fprintf(stderr, "wavcmp: %s\n", text.s);
        return 2;
    }
    for (i = 0; i < 8 * ms; i++) {
        int16_t sample;

        x = x * 1664525u + 1013904223u;
        sample = (int16_t)((int)(x >> 17) - 16384);
        if (wav_write(out, (size_t)i, &sample, 1) != MCX_OK) {
            (void)fprintf(stderr, "wavcmp: cannot write %s\n", path);
            (void)wav_finish(out);
            return 2;
        }
    }
    return wav_finish(out) == MCX_OK ? 0 : 2;
}

static int
compare(struct wav_in *sent, struct wav_in *recorded)
{
    size_t n = wav_samples(sent), m = wav_samples(recorded), i;

    if (m < n || m > n + 160) {
        (void)printf("sent %zu samples, recorded %zu\n", n, m);
        return 1;
    }
    for (i = 0; i < m; i++) {
        int16_t s = 0, r = 0;

        if (i < n && wav_read(sent, &s, 1) != 1) {
            return 2;
        }
        if (wav_read(recorded, &r, 1) != 1) {
            return 2;
        }
        if (r != ulaw_decode(ulaw_encode(s))) {
            (void)printf("sample %zu: sent %d, recorded %d\n", i, s, r);
            return 1;
        }
    }
    return 0;
}

int
main(int argc, char **argv)
{
    struct mcx_text text = { "" };
    struct wav_in *sent = NULL, *recorded = NULL;
    int code = 2;

    if (argc == 4 && strcmp(argv[1], "--make") == 0) {
        return make(argv[2], strtol(argv[3], NULL, 10));
    }
    if (argc != 3) {
        (void)fprintf(stderr, "usage: wavcmp SENT RECORDED\n"
                              "       wavcmp --make FILE MS\n");
        return 2;
    }
    if (wav_open(&sent, argv[1], &text) == MCX_OK
        && wav_open(&recorded, argv[2], &text) == MCX_OK) {
        code = compare(sent, recorded);
    } else {
        (void)fprintf(stderr, "wavcmp: %s\n", text.s);
    }
    wav_close(sent);
    wav_close(recorded);
    return code;
}
