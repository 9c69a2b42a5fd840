/* be_adx.c -- the back-end for x86-64 with BMI2 and ADX. */
#include <config.h>
#include "../field/fp_adx.h"
#include "body.h"

BE_OPS(mcx_ops_adx, "adx");
