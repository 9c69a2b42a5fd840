/* field_adx.c -- the probes of field_be.h for the adx back-end. */
#include <config.h>
#include "field/fp_adx.h"
#include "timing.h"
#define BE_LABEL "adx"
#define BE_OPS_NAME timing_ops_adx
#define PROBES timing_field_adx
#include "field_be.h"
