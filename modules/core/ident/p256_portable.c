/* p256_portable.c -- P-256 in C, for every machine. */
#include <config.h>
#define MCX_P256_NAME "portable"
#define MCX_P256_OPS mcx_p256_portable
#include "p256_body.h"
