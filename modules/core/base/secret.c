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
