/* wav.h -- WAV files of one kind: PCM, 16 bits, mono, 8000 samples a second.
 *
 * The reader walks the chunks of a foreign file and refuses everything else
 * with a text that says what was found; the writer takes samples at any
 * position, so that packets may come out of order and gaps stay silent.
 * Reading and writing go through the page cache in pieces of 20 ms, which is
 * why the loop may call them. */
#ifndef WAV_H
#define WAV_H

#include <stdbool.h>
#include <sofia-mcx/mcx_kms.h>

enum { WAV_RATE = 8000, WAV_MAX_SAMPLES = 6 * 3600 * WAV_RATE };

struct wav_in;
/* Opens 'path' for reading.  MCX_E_IO, MCX_E_MALFORMED, MCX_E_UNSUPPORTED and
 * MCX_E_NOMEM, each with 'text'. */
mcx_err wav_open(struct wav_in **out, const char *path,
                 struct mcx_text *text) MCX_MUST_USE;
/* Samples in the file. */
size_t wav_samples(const struct wav_in *in);
/* The next up to 'n' samples; returns how many, 0 at the end. */
size_t wav_read(struct wav_in *in, int16_t *samples, size_t n);
void wav_close(struct wav_in *in); /* NULL allowed */

struct wav_out;
/* Makes or empties 'path'.  MCX_E_IO with 'text', MCX_E_NOMEM. */
mcx_err wav_create(struct wav_out **out, const char *path,
                   struct mcx_text *text) MCX_MUST_USE;
/* Puts 'n' samples at position 'at', counted in samples from the start.
 * MCX_E_TOOBIG past WAV_MAX_SAMPLES, MCX_E_IO. */
mcx_err wav_write(struct wav_out *out, size_t at, const int16_t *samples,
                  size_t n) MCX_MUST_USE;
/* Completes the header and closes; NULL allowed.  MCX_E_IO. */
mcx_err wav_finish(struct wav_out *out);

#endif /* WAV_H */
