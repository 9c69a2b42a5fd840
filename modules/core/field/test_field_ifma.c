/* test_field_ifma.c -- the AVX-512 field against BIGNUM; compiled with
 * MCX_IFMA_EMULATED too, which runs on any machine. */
#include <config.h>
#include "field/fp_ifma.h"
#include "field/test_field.h"
#include "curve/ops.h"

int
main(void)
{
#ifndef MCX_IFMA_EMULATED
    if (!mcx_ops_named("ifma")) {
        (void)printf("SKIP field-ifma: this CPU lacks it\n");
        return 77;
    }
#endif
    return field_main("field-ifma");
}
