/* wav.c -- reads and writes the one kind of WAV file that the phone speaks.
 *
 * Called by media.c on the loop and by the wavcmp test helper.  Files are
 * little endian whatever the machine is; the header is laid out by hand. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wav.h"

enum { WAV_HEADER = 44, WAV_PIECE = 1024, WAV_CHUNKS_MAX = 64 };

struct wav_in {
    int fd;
    off_t at;    /* of the next sample */
    size_t left; /* samples not read   */
    size_t total;
};

struct wav_out {
    int fd;
    size_t samples; /* up to the last one written */
};

static unsigned
get16(const uint8_t *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void
put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void
put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffffu);
    put16(p + 2, v >> 16);
}

static mcx_err
fail(struct mcx_text *text, mcx_err err, const char *path, const char *what)
{
    (void)snprintf(text->s, sizeof text->s, "%s: %s", path, what);
    return err;
}

/* Judges the octets of a "fmt " chunk. */
static mcx_err
check_format(const uint8_t *f, const char *path, struct mcx_text *text)
{
    unsigned format = get16(f), channels = get16(f + 2), bits = get16(f + 14);
    uint32_t rate = get32(f + 4);

    if (format == 1 && channels == 1 && rate == WAV_RATE && bits == 16) {
        return MCX_OK;
    }
    (void)snprintf(text->s, sizeof text->s,
                   "%s: format %u, %u channels, %u Hz, %u bits; expected PCM "
                   "(format 1), mono, 8000 Hz, 16 bits",
                   path, format, channels, (unsigned)rate, bits);
    return MCX_E_UNSUPPORTED;
}

/* Finds "fmt " and then "data"; leaves 'in' at the first sample. */
static mcx_err
find_data(struct wav_in *in, off_t file_size, const char *path,
          struct mcx_text *text)
{
    uint8_t h[16];
    off_t at = 12;
    bool formatted = false;
    int i;

    if (pread(in->fd, h, 12, 0) != 12 || strncmp((char *)h, "RIFF", 4) != 0
        || strncmp((char *)h + 8, "WAVE", 4) != 0) {
        return fail(text, MCX_E_MALFORMED, path, "not a WAV file");
    }
    for (i = 0; i < WAV_CHUNKS_MAX; i++) {
        off_t body = at + 8, size;

        if (pread(in->fd, h, 8, at) != 8) {
            return fail(text, MCX_E_MALFORMED, path, "no data chunk");
        }
        size = (off_t)get32(h + 4);
        if (strncmp((char *)h, "data", 4) == 0) {
            if (!formatted) {
                return fail(text, MCX_E_MALFORMED, path,
                            "data chunk before fmt chunk");
            }
            /* A writer that streamed leaves 0 or 0xffffffff here. */
            if (size == 0 || size > file_size - body) {
                size = file_size - body;
            }
            in->at = body;
            in->total = in->left = (size_t)size / 2;
            return MCX_OK;
        }
        if (strncmp((char *)h, "fmt ", 4) == 0) {
            if (size < 16 || pread(in->fd, h, 16, body) != 16) {
                return fail(text, MCX_E_MALFORMED, path, "bad fmt chunk");
            }
            MCX_TRY(check_format(h, path, text));
            formatted = true;
        }
        at = body + size + (size & 1);
    }
    return fail(text, MCX_E_MALFORMED, path, "too many chunks");
}

mcx_err
wav_open(struct wav_in **out, const char *path, struct mcx_text *text)
{
    struct wav_in *in = calloc(1, sizeof *in);
    struct stat st;
    mcx_err err;

    *out = NULL;
    if (in == NULL) {
        return fail(text, MCX_E_NOMEM, path, "out of memory");
    }
    /* Without O_NONBLOCK the opening of a FIFO would stop the loop. */
    in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in->fd < 0 || fstat(in->fd, &st) != 0) {
        err = fail(text, MCX_E_IO, path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err = fail(text, MCX_E_IO, path, "not a regular file");
    } else {
        err = find_data(in, st.st_size, path, text);
    }
    if (err != MCX_OK) {
        wav_close(in);
        return err;
    }
    *out = in;
    return MCX_OK;
}

size_t
wav_samples(const struct wav_in *in)
{
    return in->total;
}

size_t
wav_read(struct wav_in *in, int16_t *samples, size_t n)
{
    uint8_t raw[2 * WAV_PIECE];
    size_t i;
    ssize_t got;

    if (n > WAV_PIECE) {
        n = WAV_PIECE;
    }
    if (n > in->left) {
        n = in->left;
    }
    got = n > 0 ? pread(in->fd, raw, 2 * n, in->at) : 0;
    if (got < 2) {
        in->left = 0;
        return 0;
    }
    n = (size_t)got / 2;
    for (i = 0; i < n; i++) {
        samples[i] = (int16_t)(uint16_t)get16(raw + 2 * i);
    }
    in->at += (off_t)(2 * n);
    in->left -= n;
    return n;
}

void
wav_close(struct wav_in *in)
{
    if (in != NULL) {
        if (in->fd >= 0) {
            (void)close(in->fd);
        }
        free(in);
    }
}

/* The canonical header; complete but for sizes until wav_finish(). */
static mcx_err
put_header(struct wav_out *out)
{
    uint8_t h[WAV_HEADER] = { 0 };
    uint32_t size = (uint32_t)(2 * out->samples);

    memcpy(h, "RIFF", 4);
    put32(h + 4, size + WAV_HEADER - 8);
    memcpy(h + 8, "WAVEfmt ", 8);
    put32(h + 16, 16);
    put16(h + 20, 1);
    put16(h + 22, 1);
    put32(h + 24, WAV_RATE);
    put32(h + 28, 2 * WAV_RATE);
    put16(h + 32, 2);
    put16(h + 34, 16);
    memcpy(h + 36, "data", 4);
    put32(h + 40, size);
    return pwrite(out->fd, h, sizeof h, 0) == (ssize_t)sizeof h ? MCX_OK
                                                                : MCX_E_IO;
}

mcx_err
wav_create(struct wav_out **out, const char *path, struct mcx_text *text)
{
    struct wav_out *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w == NULL) {
        return fail(text, MCX_E_NOMEM, path, "out of memory");
    }
    w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK,
                 0600);
    if (w->fd < 0 || put_header(w) != MCX_OK) {
        mcx_err err = fail(text, MCX_E_IO, path, strerror(errno));

        if (w->fd >= 0) {
            (void)close(w->fd);
        }
        free(w);
        return err;
    }
    *out = w;
    return MCX_OK;
}

mcx_err
wav_write(struct wav_out *out, size_t at, const int16_t *samples, size_t n)
{
    uint8_t raw[2 * WAV_PIECE];

    if (at > WAV_MAX_SAMPLES || n > WAV_MAX_SAMPLES - at) {
        return MCX_E_TOOBIG;
    }
    while (n > 0) {
        size_t piece = n < WAV_PIECE ? n : (size_t)WAV_PIECE, i;

        for (i = 0; i < piece; i++) {
            put16(raw + 2 * i, (uint16_t)samples[i]);
        }
        if (pwrite(out->fd, raw, 2 * piece, (off_t)(WAV_HEADER + 2 * at))
            != (ssize_t)(2 * piece)) {
            return MCX_E_IO;
        }
        at += piece;
        samples += piece;
        n -= piece;
    }
    if (at > out->samples) {
        out->samples = at;
    }
    return MCX_OK;
}

mcx_err
wav_finish(struct wav_out *out)
{
    mcx_err err = MCX_OK;

    if (out != NULL) {
        err = put_header(out);
        if (close(out->fd) != 0) {
            err = MCX_E_IO;
        }
        free(out);
    }
    return err;
}
