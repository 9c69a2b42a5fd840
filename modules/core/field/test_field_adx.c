/* test_field_adx.c -- the mulx field against BIGNUM. */
#include <config.h>
#include "field/fp_adx.h"
#include "field/test_field.h"
#include "curve/ops.h"

int
main(void)
{
    if (!mcx_ops_named("adx")) {
        (void)printf("SKIP field-adx: this CPU lacks it\n");
        return 77;
    }
    return field_main("field-adx");
}
