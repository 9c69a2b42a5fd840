/* nua_events.c -- mcx_event(): which part of the glue an event is for.
 *
 * Called at the top of the application's nua callback.  Keeps events, and
 * gives them back to the application as if nua had. */
#include <config.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include "sofia/call.h"
#include "sofia/glue.h"

struct mcxs_event *
mcxs_event_keep(mcx_t *mcx, nua_event_t event, int status,
                char const *phrase, nua_handle_t *nh)
{
    struct mcxs_event *ev = calloc(1, sizeof *ev);

    if (!ev) {
        return NULL;
    }
    if (!nua_save_event(mcx->nua, ev->saved)) {
        free(ev);
        return NULL;
    }
    ev->event = event;
    ev->status = status;
    ev->phrase = phrase; /* nua's are static, or live in the event */
    ev->mcx = mcx;
    ev->nh = nua_handle_ref(nh);
    return ev;
}

bool
mcxs_event_give_back(mcx_t *mcx, const struct mcxs_event *ev)
{
    nua_event_data_t const *data = nua_event_data(ev->saved);
    msg_t *before = mcx->current;
    bool was = mcx->giving_back;

    if (!mcx->app_callback || !data) {
        return false;
    }
    if (mcx->nua_gone) {
        return true;
    }
    mcx->current = data->e_msg;
    mcx->giving_back = true;
    mcx->app_callback(ev->event, ev->status, ev->phrase, mcx->nua,
                      mcx->app_magic, ev->nh, nua_handle_magic(ev->nh),
                      data->e_msg ? sip_object(data->e_msg) : NULL,
                      (tagi_t *)(uintptr_t)data->e_tags);
    mcx->giving_back = was;
    mcx->current = before;
    return true;
}

void
mcxs_event_free(struct mcxs_event *ev)
{
    if (ev) {
        nua_destroy_event(ev->saved);
        mcxs_unref(ev->mcx, ev->nh);
        free(ev);
    }
}

void
mcxs_unref(mcx_t *mcx, nua_handle_t *nh)
{
    if (!mcx->nua_gone) {
        nua_handle_unref(nh);
    }
}

msg_t *
mcx_current_request(mcx_t *mcx, nua_t *nua)
{
    return mcx->giving_back ? mcx->current : nua_current_request(nua);
}

int
mcx_event(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
          nua_t *nua, nua_handle_t *nh, sip_t const *sip, tagi_t tags[])
{
    if (mcx->giving_back) {
        mcxs_call_look(mcx, event, status, nh, tags);
        return 0;
    }
    mcx->nua = nua;
    if (event == nua_r_shutdown) {
        if (!mcx->nua_gone) {
            mcxs_incoming_end(mcx);
            mcxs_call_end_all(mcx);
            mcxs_out_forget(mcx, NULL);
            mcxs_refresh_forget(mcx, NULL);
        }
        mcx->nua_gone = mcx->nua_gone || status >= 200;
        return 0;
    }
    if (!nh) {
        return 0;
    }
    /* Whatever follows a held INVITE waits behind it. */
    if (mcxs_call_in_follow(mcx, event, status, phrase, nh)) {
        return 1;
    }
    switch (event) {
    case nua_i_message:
    case nua_i_publish:
    case nua_i_register:
    case nua_i_method:
        return mcxs_incoming(mcx, event, status, phrase, nh, sip);
    case nua_i_invite:
        return mcxs_call_in(mcx, event, status, phrase, nh, sip);
    case nua_r_set_params:
        return mcxs_call_params(mcx, nh, status);
    case nua_i_state:
    case nua_i_terminated:
        if (mcxs_out_hush(mcx, event, nh, tags)) {
            return 1;
        }
        break;
    case nua_r_register:
    case nua_r_method:
    case nua_r_message:
    case nua_r_invite:
        if (mcxs_response(mcx, event, status, phrase, nh, sip)) {
            return 1;
        }
        break;
    default:
        break;
    }
    mcxs_call_look(mcx, event, status, nh, tags);
    return 0;
}
