/* parked.c -- room for what waits for a period key.
 *
 * A message whose signature is good but whose own period key has not arrived
 * waits here: MCXS_PARKED_MAX at once, MCXS_PARKED_MS each.  Requests
 * (incoming.c) and offers (call_in.c) share the room; they keep their own
 * state and are tried again at the beat. */
#include <config.h>
#include "sofia/glue.h"

bool
mcxs_park(mcx_t *mcx, mcx_err err, const struct mcx_why *why,
          int64_t *until_ms, const char *who)
{
    if (mcx_err_class(err) != MCX_CLASS_LOOKUP ||
        why->reason != MCX_R_NO_PERIOD_KEY ||
        mcx->n_parked >= MCXS_PARKED_MAX) {
        return false;
    }
    mcx->n_parked++;
    *until_ms = mcx->env->mono_ms(mcx->env->ctx) + MCXS_PARKED_MS;
    mcxh_count(&mcx->host.counters, "sip.parked");
    mcx_log(mcx->env, MCX_AREA_SIP, 5, "parked, no period key yet%s%s",
            who && who[0] ? ", " : "", who ? who : "");
    mcx->host.emit(mcx->host.emit_arg, MCX_EV_PARKED, NULL, err, why, who);
    return true;
}

void
mcxs_unpark(mcx_t *mcx)
{
    mcx->n_parked--;
}

void
mcxs_parked_retry(mcx_t *mcx)
{
    mcx->next_retry_ms = 0;
}
