/* field_ifma.c -- the probes of field_be.h for the ifma back-end. */
#include <config.h>
#include "field/fp_ifma.h"
#include "timing.h"
#define BE_LABEL "ifma"
#define BE_OPS_NAME timing_ops_ifma
#define PROBES timing_field_ifma
#include "field_be.h"
