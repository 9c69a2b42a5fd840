/* test_wav.c -- WAV files: what is written is read, gaps are silent, and what
 * is not 16-bit mono PCM at 8 kHz is refused with a text that says so. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "wav.h"

static char path[64];

static int
make_path(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "test_wav_XXXXXX");
    fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int
remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void
out_of_order(void **state)
{
    struct mcx_text text = { "" };
    struct wav_out *out;
    struct wav_in *in;
    int16_t a[160], b[160], got[480];
    size_t i;

    (void)state;
    for (i = 0; i < 160; i++) {
        a[i] = (int16_t)(i * 200 - 16000);
        b[i] = (int16_t)(-32768 + (int)i);
    }
    assert_int_equal(wav_create(&out, path, &text), MCX_OK);
    assert_int_equal(wav_write(out, 320, b, 160), MCX_OK);
    assert_int_equal(wav_write(out, 0, a, 160), MCX_OK);
    assert_int_equal(wav_write(out, WAV_MAX_SAMPLES - 1, a, 2),
                     MCX_E_TOOBIG);
    assert_int_equal(wav_finish(out), MCX_OK);

    assert_int_equal(wav_open(&in, path, &text), MCX_OK);
    assert_int_equal(wav_samples(in), 480);
    assert_int_equal(wav_read(in, got, 100), 100);
    assert_int_equal(wav_read(in, got + 100, 10000), 380);
    assert_int_equal(wav_read(in, got, 1), 0);
    wav_close(in);
    assert_memory_equal(got, a, sizeof a);
    for (i = 160; i < 320; i++) {
        assert_int_equal(got[i], 0);
    }
    assert_memory_equal(got + 320, b, sizeof b);
}

/* A header with one field changed, and an unknown chunk before it. */
static void
write_file(unsigned format, unsigned channels, unsigned rate, unsigned bits,
           unsigned data_size)
{
    uint8_t h[60] = "RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0";
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    h[32] = (uint8_t)format;
    h[34] = (uint8_t)channels;
    h[36] = (uint8_t)rate;
    h[37] = (uint8_t)(rate >> 8);
    h[46] = (uint8_t)bits;
    memcpy(h + 48, "data", 4);
    h[52] = h[53] = h[54] = h[55] = 0;
    h[52] = (uint8_t)data_size;
    h[56] = 1;
    h[58] = 2;
    assert_int_equal(fwrite(h, 1, sizeof h, f), sizeof h);
    assert_int_equal(fclose(f), 0);
}

static void
foreign(void **state)
{
    static const struct {
        unsigned format, channels, rate, bits;
        const char *says;
    } wrong[] = {
        { 7, 1, 8000, 16, "format 7" },
        { 1, 2, 8000, 16, "2 channels" },
        { 1, 1, 16000, 16, "16000 Hz" },
        { 1, 1, 8000, 8, "8 bits" },
    };
    struct mcx_text text = { "" };
    struct wav_in *in;
    int16_t got[8];
    size_t i;

    (void)state;
    write_file(1, 1, 8000, 16, 4);
    assert_int_equal(wav_open(&in, path, &text), MCX_OK);
    assert_int_equal(wav_read(in, got, 8), 2);
    assert_int_equal(got[0], 1);
    assert_int_equal(got[1], 2);
    wav_close(in);
    write_file(1, 1, 8000, 16, 200); /* says more than is there */
    assert_int_equal(wav_open(&in, path, &text), MCX_OK);
    assert_int_equal(wav_samples(in), 2);
    wav_close(in);
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_file(wrong[i].format, wrong[i].channels, wrong[i].rate,
                   wrong[i].bits, 4);
        assert_int_equal(wav_open(&in, path, &text), MCX_E_UNSUPPORTED);
        assert_null(in);
        assert_non_null(strstr(text.s, wrong[i].says));
        assert_non_null(strstr(text.s, "expected PCM"));
    }
}

static void
truncated(void **state)
{
    struct mcx_text text = { "" };
    struct wav_in *in;
    int n;

    (void)state;
    for (n = 55; n >= 0; n--) {
        write_file(1, 1, 8000, 16, 4);
        assert_int_equal(truncate(path, n), 0);
        assert_int_equal(wav_open(&in, path, &text), MCX_E_MALFORMED);
        assert_null(in);
    }
    assert_int_equal(wav_open(&in, "no/such/file", &text), MCX_E_IO);
    assert_int_equal(wav_open(&in, ".", &text), MCX_E_IO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(foreign),
        cmocka_unit_test(truncated),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
