/* test_fe256_adx.c -- P-256's numbers by mulx and adx; see test_fe256.h. */
#include <config.h>
#define MCX_P256_ADX
#include "ident/test_fe256.h"
#include "curve/ops.h"

int
main(void)
{
    if (!mcx_ops_named("adx")) {
        (void)printf("SKIP fe256-adx: this CPU lacks it\n");
        return 77;
    }
    return fe256_main("fe256-adx");
}
