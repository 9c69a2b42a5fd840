/* test_field_ref.h -- the portable back-end's product, for the tests of the
 * others: a file of its own, for only one field can be included in a file. */
#ifndef MCX_FIELD_TEST_FIELD_REF_H
#define MCX_FIELD_TEST_FIELD_REF_H

#include "consts.h"

/* r = a b mod p, plain numbers of any 16 words. */
void field_ref_mul(uint64_t *r, const uint64_t *a, const uint64_t *b);

#endif /* MCX_FIELD_TEST_FIELD_REF_H */
