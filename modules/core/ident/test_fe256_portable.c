/* test_fe256_portable.c -- P-256's numbers in portable C; see test_fe256.h. */
#include <config.h>
#include "ident/test_fe256.h"

int
main(void)
{
    return fe256_main("fe256-portable");
}
