/* test_field_portable.c -- the portable field against BIGNUM. */
#include <config.h>
#include "field/fp_portable.h"
#include "field/test_field.h"

int
main(void)
{
    return field_main("field-portable");
}
