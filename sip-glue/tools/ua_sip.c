/* ua_sip.c -- the phone's nua: its callbacks, and everything but calls.
 *
 * The three places where libsofia-mcx meets the stack are marked (1), (2), (3)
 * as in mcx_sofia.h.  Calls are passed on to ua_call.c. */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/tport_tag.h>

#include "ua.h"

/* Status of what could not be sent; all else comes from nua as well. */
enum { NOT_SENT = 700 };
enum { SHUTDOWN_STEP_MS = 100, SHUTDOWN_MS = 5000 };

static void
number_text(char out[16], unsigned n)
{
    (void)snprintf(out, 16, "%u", n);
}

/* ---- outcomes ---------------------------------------------------------- */

static void
say_outcome(struct ua *ua, const char *good, const char *bad, int status,
            sip_t const *sip)
{
    unsigned code = sip != NULL ? app_warning_code(sip->sip_warning) : 0;
    char status_text[16], warning[16];

    number_text(status_text, (unsigned)status);
    number_text(warning, code);
    control_event(ua->control, status < 300 ? good : bad, "status",
                  status_text, "warning", code != 0 ? warning : NULL, NULL);
}

/* A final response to REGISTER or PUBLISH, from the network (with 'sip') or
 * because nothing could be sent (without). */
static void
on_outcome(struct ua *ua, nua_event_t event, int status, sip_t const *sip)
{
    if (status < 200 || ua->control == NULL) {
        return;
    }
    switch (event) {
    case nua_r_register:
        ua->reg_busy = false;
        say_outcome(ua, "registered", "register-failed", status, sip);
        break;
    case nua_r_unregister:
        say_outcome(ua, "unregistered", "unregister-failed", status, sip);
        break;
    default:
        ua->pub_busy = false;
        say_outcome(ua, "published", "publish-failed", status, sip);
        break;
    }
}

/* An application's MESSAGE: what a phone without message store says. */
static void
on_message(struct ua *ua, nua_handle_t *nh, sip_t const *sip, int status)
{
    sip_content_type_t const *type = sip->sip_content_type;
    bool text = type == NULL || type->c_type == NULL
                || strncasecmp(type->c_type, "text/", 5) == 0;
    msg_t *request = mcx_current_request(ua->mcx, ua->nua);
    char status_text[16];

    if (status < 200) {
        status = text ? 200 : 415;
        if (text) {
            nua_respond(nh, SIP_200_OK, NUTAG_WITH(request), TAG_END());
        } else {
            nua_respond(nh, SIP_415_UNSUPPORTED_MEDIA,
                        NUTAG_WITH(request),
                        SIPTAG_ACCEPT_STR("text/plain"), TAG_END());
        }
    }
    number_text(status_text, (unsigned)status);
    control_event(ua->control, "message", "status", status_text, "type",
                  type != NULL ? type->c_type : NULL, NULL);
}

/* ---- callbacks --------------------------------------------------------- */

static void
on_nua(nua_event_t event, int status, char const *phrase, nua_t *nua,
       nua_magic_t *magic, nua_handle_t *nh, nua_hmagic_t *hmagic,
       sip_t const *sip, tagi_t tags[])
{
    struct ua *ua = magic;

    if (mcx_event(ua->mcx, event, status, phrase, nua, nh, sip, tags)) {
        return; /* (2) */
    }
    switch (event) {
    case nua_r_register:
    case nua_r_unregister:
    case nua_r_publish:
        on_outcome(ua, event, status, sip);
        break;
    case nua_r_method:
        if (nh == ua->pub) {
            on_outcome(ua, nua_r_publish, status, sip);
        }
        break;
    case nua_i_message:
        on_message(ua, nh, sip, status);
        if (hmagic == NULL) {
            nua_handle_destroy(nh);
        }
        break;
    case nua_r_shutdown:
        ua->shut = status >= 200;
        if (ua->shut) {
            su_root_break(ua->root);
        }
        break;
    default:
        ua_call_event(ua, event, status, nh, hmagic, sip, tags);
        break;
    }
}

static void
on_mcx(mcx_event_t event, int status, char const *phrase, mcx_t *mcx,
       mcx_magic_t *magic, nua_handle_t *nh, tagi_t tags[])
{
    struct ua *ua = magic;

    (void)phrase;
    (void)mcx;
    if (ua->control == NULL
        || app_mcx_event(ua->control, event, status, tags)) {
        return;
    }
    switch (event) {
    case mcx_i_call_key:
        ua_call_key(ua, nh, tags);
        break;
    case mcx_r_invite:
        ua_call_unprepared(ua, nh, status);
        break;
    case mcx_r_register:
        if (status >= NOT_SENT) {
            on_outcome(ua, nua_r_register, status, NULL);
        }
        break;
    case mcx_r_publish:
        if (status >= NOT_SENT) {
            on_outcome(ua, nua_r_publish, status, NULL);
        }
        break;
    default:
        break;
    }
}

/* ---- requests ---------------------------------------------------------- */

bool
ua_register(struct ua *ua)
{
    if (ua->reg == NULL) {
        ua->reg = nua_handle(ua->nua, NULL, SIPTAG_TO_STR(ua->impu),
                             SIPTAG_FROM_STR(ua->impu), TAG_END());
    }
    if (ua->reg == NULL) {
        return false;
    }
    ua->reg_busy = true;
    if (mcx_register(ua->mcx, ua->reg, TAG_END()) != 0) { /* (3) */
        ua->reg_busy = false;
    }
    return ua->reg_busy;
}

bool
ua_unregister(struct ua *ua)
{
    return ua->reg != NULL
           && mcx_unregister(ua->mcx, ua->reg, TAG_END()) == 0;
}

bool
ua_publish(struct ua *ua)
{
    if (ua->psi == NULL) {
        return false;
    }
    /* A handle keeps the To tag of its 200, and with that in it the next
     * PUBLISH would be one within a dialog that there is not: 481. */
    if (ua->pub != NULL && !ua->pub_busy) {
        nua_handle_destroy(ua->pub);
        ua->pub = NULL;
    }
    if (ua->pub == NULL) {
        ua->pub = nua_handle(ua->nua, NULL, NUTAG_URL(ua->psi),
                             SIPTAG_TO_STR(ua->impu),
                             SIPTAG_FROM_STR(ua->impu), TAG_END());
    }
    if (ua->pub == NULL) {
        return false;
    }
    ua->pub_busy = true;
    if (mcx_publish(ua->mcx, ua->pub, TAG_END()) != 0) {
        ua->pub_busy = false;
    }
    return ua->pub_busy;
}

/* ---- life -------------------------------------------------------------- */

int
ua_start(struct ua *ua)
{
    struct app_listen listen;

    if (!app_get_listen(&ua->config, &listen)) {
        return 2;
    }
    ua->mcx = app_mcx_create(&ua->config, ua->root, on_mcx, on_nua, ua);
    if (ua->mcx == NULL) {
        return 2;
    }
    (void)su_root_threading(ua->root,
                            app_switch(&ua->config, "stack-thread"));
    ua->nua = nua_create(
        ua->root, on_nua, ua, NUTAG_URL(listen.url[0]),
        TAG_IF(listen.second != NULL, NUTAG_SIPS_URL(listen.second)),
        NUTAG_PROXY(ua->proxy), SIPTAG_FROM_STR(ua->impu),
        NUTAG_MEDIA_ENABLE(!ua->raw), NUTAG_AUTOALERT(0),
        NUTAG_AUTOANSWER(0), NUTAG_ENABLEMESSAGE(1),
        NUTAG_APPL_METHOD("MESSAGE"),
        NUTAG_OUTBOUND("no-options-keepalive no-validate"),
        /* Before any NUTAG_ALLOW(), which adds. */
        SIPTAG_ALLOW_STR(APP_ALLOW),
        NUTAG_SESSION_TIMER(0), NTATAG_UDP_MTU(65535),
        NTATAG_MAXSIZE(262144), APP_TRANSPORT_TAGS(&ua->config),
        TAG_NEXT(mcx_nua_tags(ua->mcx))); /* (1) */
    if (ua->nua == NULL) {
        (void)fprintf(stderr, "mcx-ua: cannot listen at %s\n",
                      app_get(&ua->config, "listen"));
        return 1;
    }
    return 0;
}

void
ua_shutdown(struct ua *ua)
{
    int64_t until;

    ua_call_end_all(ua);
    if (ua->nua != NULL) {
        nua_shutdown(ua->nua);
        until = ua->env->mono_ms(ua->env->ctx) + SHUTDOWN_MS;
        while (!ua->shut && ua->env->mono_ms(ua->env->ctx) < until) {
            (void)su_root_step(ua->root, SHUTDOWN_STEP_MS);
        }
        if (ua->reg != NULL) {
            nua_handle_destroy(ua->reg);
        }
        if (ua->pub != NULL) {
            nua_handle_destroy(ua->pub);
        }
        nua_destroy(ua->nua);
        ua->nua = NULL;
    }
    mcx_destroy(ua->mcx);
    ua->mcx = NULL;
}
