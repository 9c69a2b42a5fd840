/* secret.c -- wiping and comparing.  See mcx_secret.h. */
#include <config.h>
#include <string.h>
#include <sofia-mcx/mcx_secret.h>

void
mcx_wipe(void *p, size_t n)
{
    if (p && n) {
        memset(p, 0, n);
        /* The compiler must believe that somebody looks at the zeros. */
        __asm__ __volatile__("" : : "r"(p) : "memory");
    }
}

/* Not inlined: its frame must lie below that of the caller, where the calls
 * before it had theirs. */
__attribute__((noinline)) void
mcx_wipe_stack(void)
{
    uint8_t below[MCX_STACK_WIPED];

    mcx_wipe(below, sizeof below);
}

bool
mcx_secret_eq(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    unsigned diff = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        diff |= (unsigned)(x[i] ^ y[i]);
    }
    return diff == 0;
}
