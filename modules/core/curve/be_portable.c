/* be_portable.c -- the portable back-end, the reference of the others. */
#include <config.h>
#include "../field/fp_portable.h"
#include "body.h"

BE_OPS(mcx_ops_portable, "portable");
