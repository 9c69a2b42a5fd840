/* out.c -- what a module's prepare() writes into, and its release.
 *
 * Modules call mcx_out_add(); the glue makes and frees the rest. */
#include <config.h>
#include <stdlib.h>
#include "host.h"

mcx_err
mcx_out_add(struct mcx_out *out, const char *type, struct mcx_bytes body)
{
    char *t, *b;

    if (!out || !type) {
        return MCX_E_ARG;
    }
    if (out->n_parts >= MCX_OUT_PART_MAX) {
        return MCX_E_TOOBIG;
    }
    t = strdup(type);
    b = malloc(body.n + 1);
    if (!t || !b) {
        free(t);
        free(b);
        return MCX_E_NOMEM;
    }
    if (body.n > 0) {
        memcpy(b, body.p, body.n);
    }
    b[body.n] = '\0';
    out->part[out->n_parts].type = t;
    out->part[out->n_parts].body = b;
    out->part[out->n_parts].n = body.n;
    out->n_parts++;
    return MCX_OK;
}

void
mcxh_out_clear(struct mcx_out *out)
{
    for (size_t i = 0; i < out->n_parts; i++) {
        free(out->part[i].type);
        mcx_wipe(out->part[i].body, out->part[i].n);
        free(out->part[i].body);
        out->part[i].type = NULL;
        out->part[i].body = NULL;
        out->part[i].n = 0;
    }
    out->n_parts = 0;
    free(out->extra_headers);
    out->extra_headers = NULL;
    free(out->sdp_value);
    out->sdp_value = NULL;
    mcx_key_unref(out->key);
    out->key = NULL;
}
