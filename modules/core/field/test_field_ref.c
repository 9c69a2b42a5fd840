/* test_field_ref.c -- see test_field_ref.h. */
#include <config.h>
#include "field/fp_portable.h"
#include "field/test_field_ref.h"

void
field_ref_mul(uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    fe x, y;

    fe_from_w(&x, a);
    fe_from_w(&y, b);
    fe_mul(&x, &x, &y);
    fe_to_w(r, &x);
}
