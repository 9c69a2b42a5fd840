/* fuzz.h -- what every fuzz target defines and may use. */
#ifndef MCX_FUZZ_H
#define MCX_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A broken promise of a header is a crash, like a bad access. */
#define FUZZ_HOLDS(cond)                                                      \
    do {                                                                      \
        if (!(cond)) {                                                        \
            __builtin_trap();                                                 \
        }                                                                     \
    } while (0)

#endif
