/* be_ifma.c -- the back-end for x86-64 with AVX-512 IFMA. */
#include <config.h>
#include "../field/fp_ifma.h"
#include "body.h"

BE_OPS(mcx_ops_ifma, "ifma");
