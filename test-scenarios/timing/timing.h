/* timing.h -- what is measured, and the measuring: fixed against random
 * secrets (make check-timing).  timing.c measures; field_be.h and whole.c
 * bring the probes.
 *
 * A probe runs one function on one secret.  For each sample a coin decides
 * the class; the secrets of a batch are made before any is measured, the same
 * way for both classes, and each is copied to one place before its turn, so
 * that the secret itself is all that differs. */
#ifndef MCX_TIMING_TIMING_H
#define MCX_TIMING_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ttest.h"

struct probe {
    const char *name;
    size_t samples;  /* at full length                                 */
    size_t size;     /* of a secret, in octets                         */
    void (*make)(void *secret, bool fixed);
    void (*run)(const void *secret);
    bool leaks;      /* a control: the test must say so                */
};

/* The probes of a file; the last has no name. */
extern const struct probe timing_field_portable[];
#ifdef MCX_HAVE_X86
extern const struct probe timing_field_adx[], timing_field_ifma[];
#endif
extern const struct probe timing_whole[], timing_controls[];
/* Before those of timing_whole. */
void timing_whole_up(void);

/* Random, the same in every run with the same MCX_TEST_SEED. */
uint64_t timing_draw(void);
void timing_fill(void *p, size_t n);

/* Results go here, so that they are computed. */
extern volatile uint64_t timing_sink;

/* Takes 'n' samples; false: no memory. */
bool timing_measure(struct ttest *r, const struct probe *p, size_t n);

#endif /* MCX_TIMING_TIMING_H */
