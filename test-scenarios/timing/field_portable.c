/* field_portable.c -- the probes of field_be.h for the portable back-end. */
#include <config.h>
#include "field/fp_portable.h"
#include "timing.h"
#define BE_LABEL "portable"
#define BE_OPS_NAME timing_ops_portable
#define PROBES timing_field_portable
#include "field_be.h"
