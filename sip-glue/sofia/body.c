/* body.c -- one body out of the application's and the modules' parts.
 *
 * Called on the loop just before a request is sent.  sofia-sip cannot send a
 * parsed multipart, so the body is made flat; it may hold any octet. */
#include <config.h>
#include <stdlib.h>
#include "sofia/glue.h"

static bool
is_sdp(const char *type)
{
    return mcxs_mime_is(type, "application/sdp");
}

mcx_err
mcxs_flatten(struct mcxs_flat *flat, struct mcxs_out *o)
{
    struct mcx_part part[MCX_OUT_PART_MAX + 1] = { { 0 } };
    char boundary[MCXS_BOUNDARY_SIZE], type[MCXS_TYPE_SIZE];
    size_t n = 0;
    mcx_err err;

    memset(flat, 0, sizeof *flat);
    if (o->app_type) {
        part[n].type = o->app_type;
        part[n++].body = o->app_body;
    }
    for (size_t i = 0; i < o->out.n_parts; i++) {
        part[n].type = o->out.part[i].type;
        part[n++].body = mcx_bytes(o->out.part[i].body, o->out.part[i].n);
    }
    /* The SDP goes first: hosts look there. */
    for (size_t i = 1; i < n; i++) {
        if (is_sdp(part[i].type) && !is_sdp(part[0].type)) {
            struct mcx_part first = part[i];
            memmove(&part[1], &part[0], i * sizeof part[0]);
            part[0] = first;
        }
    }
    if (n == 0) {
        return MCX_OK;
    }
    if (n == 1) {
        flat->type = su_strdup(o->home, part[0].type);
        flat->body = malloc(part[0].body.n + 1);
        if (!flat->type || !flat->body) {
            mcxs_flat_wipe(flat);
            return MCX_E_NOMEM;
        }
        if (part[0].body.n > 0) {
            memcpy(flat->body, part[0].body.p, part[0].body.n);
        }
        flat->n = part[0].body.n;
        return MCX_OK;
    }
    do {
        MCX_TRY(mcxs_mime_boundary(boundary, o->mcx->env));
        err = mcxs_mime_join(&flat->body, &flat->n, part, n, boundary);
    } while (err == MCX_E_POLICY);
    MCX_TRY(err);
    err = mcxs_mime_type(type, boundary);
    flat->type = err == MCX_OK ? su_strdup(o->home, type) : NULL;
    if (!flat->type) {
        mcxs_flat_wipe(flat);
        return err != MCX_OK ? err : MCX_E_NOMEM;
    }
    return MCX_OK;
}

void
mcxs_flat_wipe(struct mcxs_flat *flat)
{
    if (flat->body) {
        mcx_wipe(flat->body, flat->n);
        free(flat->body);
    }
    memset(flat, 0, sizeof *flat);
}
