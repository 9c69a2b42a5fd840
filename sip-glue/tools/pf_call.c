/* pf_call.c -- the back-to-back user agent: two dialogs for one private call.
 *
 * Called by pf_sip.c.  Descriptions are relayed octet for octet, for the key
 * management attribute in them is signed and everything in them is the users'
 * business.  Leg 0 is the caller, leg 1 the called user; requests within the
 * call may come from either. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>

#include "pf.h"

enum { BOUNDARY_SIZE = 33, LEGS = 2 };

struct leg {
    struct pf_magic magic; /* first */
    struct pf_call *call;
    nua_handle_t *nh;
    bool asked;      /* an INVITE came in on it and is not answered */
    bool up;         /* a 2xx has passed it                        */
    bool ending;     /* we said BYE or CANCEL, or heard it         */
    bool over;       /* terminated                                 */
};
struct pf_call {
    struct pf *pf;
    struct pf_call *next;
    struct leg leg[LEGS];
    char *mc_id[LEGS]; /* of the users at the legs */
    char *impu;        /* of the caller            */
    bool said_up;
    const char *cause; /* static */
    int status;
    unsigned warning;
};

static struct leg *
other(struct leg *leg)
{
    return leg == &leg->call->leg[0] ? &leg->call->leg[1]
                                     : &leg->call->leg[0];
}

/* ---- bodies ------------------------------------------------------------ */

/* The description in a message; no octets when there is none. */
static struct mcx_bytes
find_sdp(sip_t const *sip)
{
    msg_multipart_t const *part;

    for (part = sip->sip_multipart; part != NULL; part = part->mp_next) {
        if (part->mp_content_type != NULL && part->mp_payload != NULL
            && part->mp_content_type->c_type != NULL
            && strcasecmp(part->mp_content_type->c_type, "application/sdp")
                   == 0) {
            return mcx_bytes(part->mp_payload->pl_data,
                             part->mp_payload->pl_len);
        }
    }
    if (sip->sip_payload != NULL && sip->sip_content_type != NULL
        && sip->sip_content_type->c_type != NULL
        && strcasecmp(sip->sip_content_type->c_type, "application/sdp")
               == 0) {
        return mcx_bytes(sip->sip_payload->pl_data,
                         sip->sip_payload->pl_len);
    }
    return mcx_bytes(NULL, 0);
}

static sip_payload_t *
sdp_payload(su_home_t *home, struct mcx_bytes sdp)
{
    return sdp.n > 0 ? sip_payload_create(home, sdp.p, (issize_t)sdp.n)
                     : NULL;
}

static bool
contains(struct mcx_bytes text, const char *word)
{
    return text.n > 0 && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* multipart/mixed: the SDP first (TS 24.379 6.5), then mcptt-info that names
 * who calls.  NULL: out of memory. */
static sip_payload_t *
make_body(const struct pf *pf, su_home_t *home, struct mcx_bytes sdp,
          const char *from, const char *to, char **type)
{
    struct mcx_mcinfo *info = calloc(1, sizeof *info);
    uint8_t random[16];
    char boundary[BOUNDARY_SIZE];
    char *xml = NULL, *head, *tail;
    size_t xml_n = 0, n;
    sip_payload_t *body = NULL;
    uint8_t *all;

    if (info == NULL) {
        return NULL;
    }
    (void)snprintf(info->session_type, sizeof info->session_type, "private");
    (void)snprintf(info->request_uri, sizeof info->request_uri, "%s", to);
    (void)snprintf(info->calling_user_id, sizeof info->calling_user_id, "%s",
                   from);
    /* 128 random bits do not occur in a body by chance; looked for all the
     * same. */
    do {
        if (pf->env->random(pf->env->ctx, random, sizeof random) != MCX_OK
            || mcx_hex_encode(boundary, sizeof boundary,
                              mcx_bytes(random, sizeof random)) != MCX_OK) {
            free(info);
            return NULL;
        }
    } while (contains(sdp, boundary));
    if (mcx_mcinfo_write(&xml, &xml_n, info) == MCX_OK) {
        *type = su_sprintf(home, "multipart/mixed;boundary=\"%s\"",
                           boundary);
        head = su_sprintf(home,
                          "--%s\r\nContent-Type: application/sdp\r\n\r\n",
                          boundary);
        tail = su_sprintf(home,
                          "%s--%s\r\nContent-Type: " MCX_MIME_MCPTT_INFO
                          "\r\n\r\n%.*s\r\n--%s--\r\n",
                          sdp.n > 0 ? "\r\n" : "", boundary, (int)xml_n, xml,
                          boundary);
        if (*type != NULL && head != NULL && tail != NULL) {
            size_t head_n = sdp.n > 0 ? strlen(head) : 0;

            n = head_n + sdp.n + strlen(tail);
            all = su_alloc(home, (isize_t)n);
            if (all != NULL) {
                memcpy(all, head, head_n);
                if (sdp.n > 0) {
                    memcpy(all + head_n, sdp.p, sdp.n);
                }
                memcpy(all + head_n + sdp.n, tail, strlen(tail));
                body = sip_payload_create(home, all, (issize_t)n);
            }
        }
        mcx_kms_text_free(xml, xml_n);
    }
    free(info);
    return body;
}

/* ---- life -------------------------------------------------------------- */

static void
call_free(struct pf_call *call)
{
    struct pf_call **at = &call->pf->calls;
    int i;

    while (*at != NULL && *at != call) {
        at = &(*at)->next;
    }
    if (*at == call) {
        *at = call->next;
        call->pf->n_calls--;
    }
    for (i = 0; i < LEGS; i++) {
        if (call->leg[i].nh != NULL) {
            nua_handle_bind(call->leg[i].nh, NULL);
            nua_handle_destroy(call->leg[i].nh);
        }
        free(call->mc_id[i]);
    }
    free(call->impu);
    free(call);
}

static struct pf_call *
call_new(struct pf *pf, nua_handle_t *nh, const char *impu, const char *from,
         const char *to)
{
    struct pf_call *call = calloc(1, sizeof *call);
    int i;

    if (call == NULL) {
        return NULL;
    }
    call->pf = pf;
    call->next = pf->calls;
    pf->calls = call;
    pf->n_calls++;
    for (i = 0; i < LEGS; i++) {
        call->leg[i].magic.sort = PF_LEG;
        call->leg[i].call = call;
    }
    call->impu = strdup(impu);
    call->mc_id[0] = strdup(from);
    call->mc_id[1] = strdup(to);
    if (call->impu == NULL || call->mc_id[0] == NULL
        || call->mc_id[1] == NULL) {
        call_free(call);
        return NULL;
    }
    call->leg[0].nh = nh;
    call->leg[0].asked = true;
    nua_handle_bind(nh, &call->leg[0].magic);
    return call;
}

static void
say_down(const struct pf_call *call)
{
    char status[16], warning[16];

    (void)snprintf(status, sizeof status, "%d", call->status);
    (void)snprintf(warning, sizeof warning, "%u", call->warning);
    control_event(call->pf->control, "call-down", "from", call->mc_id[0],
                  "to", call->mc_id[1], "cause",
                  call->status >= 300   ? NULL
                  : call->cause != NULL ? call->cause
                                        : "lost",
                  "status", call->status >= 300 ? status : NULL, "warning",
                  call->warning != 0 ? warning : NULL, NULL);
}

/* Ends one leg in whatever way its state asks for. */
static void
end_leg(struct leg *leg)
{
    if (leg->nh == NULL || leg->over || leg->ending) {
        return;
    }
    leg->ending = true;
    if (leg->asked && !leg->up) {
        leg->asked = false;
        nua_respond(leg->nh, SIP_480_TEMPORARILY_UNAVAILABLE, TAG_END());
    } else {
        nua_bye(leg->nh, TAG_END()); /* a CANCEL before the answer */
    }
}

static void
leg_over(struct leg *leg)
{
    struct pf_call *call = leg->call;

    leg->over = true;
    if (other(leg)->nh == NULL || other(leg)->over) {
        say_down(call);
        call_free(call);
    } else {
        end_leg(other(leg));
    }
}

void
pf_call_end_all(struct pf *pf)
{
    while (pf->calls != NULL) {
        struct pf_call *call = pf->calls;

        end_leg(&call->leg[0]);
        end_leg(&call->leg[1]);
        say_down(call);
        call_free(call);
    }
}

/* ---- INVITE ------------------------------------------------------------ */

/* Passes an INVITE on, with the name of the user it comes from. */
static bool
relay_invite(struct leg *from, struct mcx_bytes sdp, bool first)
{
    struct pf_call *call = from->call;
    struct leg *to = other(from);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    const char *sender = call->mc_id[from == &call->leg[0] ? 0 : 1];
    const char *called = call->mc_id[from == &call->leg[0] ? 1 : 0];
    char *type = NULL, *asserted;
    sip_payload_t *body = make_body(call->pf, home, sdp, sender, called,
                                    &type);

    asserted = su_sprintf(home, "P-Asserted-Identity: <%s>", call->impu);
    if (body != NULL && asserted != NULL) {
        nua_invite(to->nh, NUTAG_AUTOACK(0), NUTAG_AUTOANSWER(0),
                   SIPTAG_CONTENT_TYPE_STR(type), SIPTAG_PAYLOAD(body),
                   TAG_IF(first, SIPTAG_HEADER_STR(asserted)), TAG_END());
    }
    su_home_deinit(home);
    return body != NULL && asserted != NULL;
}

static void
refuse(struct pf *pf, nua_handle_t *nh, su_home_t *home, int status,
       const char *warning)
{
    nua_respond(nh, status, sip_status_phrase(status),
                TAG_IF(warning != NULL,
                       SIPTAG_WARNING_STR(
                           warning != NULL ? pf_warning(pf, home, warning)
                                           : NULL)),
                TAG_IF(status == 503, SIPTAG_RETRY_AFTER_STR("5")),
                TAG_END());
    nua_handle_destroy(nh);
}

/* The second leg, towards 'contact'. */
static bool
make_leg(struct pf_call *call, const char *contact, sip_t const *sip)
{
    struct leg *leg = &call->leg[1];

    leg->nh = nua_handle(call->pf->nua, &leg->magic, NUTAG_URL(contact),
                         SIPTAG_TO_STR(call->mc_id[1]),
                         SIPTAG_FROM_STR(call->impu), TAG_END());
    return leg->nh != NULL
           && relay_invite(&call->leg[0], find_sdp(sip), true);
}

static void
on_first_invite(struct pf *pf, nua_handle_t *nh, sip_t const *sip)
{
    su_home_t home[1] = { SU_HOME_INIT(home) };
    char *impu = pf_bare_uri(home, sip->sip_from->a_url);
    char *called = pf_bare_uri(home, sip->sip_request->rq_url);
    const struct pf_binding *from = NULL, *to = NULL;
    struct pf_call *call = NULL;

    if (impu != NULL && called != NULL) {
        from = pf_reg_by_impu(pf->reg, impu);
        to = pf_reg_by_mc_id(pf->reg, called);
    }
    if (from == NULL || from->mc_id == NULL || to == NULL
        || to->n_contacts == 0) {
        refuse(pf, nh, home, 404, PF_UNKNOWN_USER);
    } else if (pf->n_calls >= (size_t)pf->max_calls) {
        refuse(pf, nh, home, 503, NULL);
    } else {
        call = call_new(pf, nh, impu, from->mc_id, to->mc_id);
        if (call == NULL) {
            refuse(pf, nh, home, 500, NULL);
        }
    }
    if (call != NULL) {
        control_event(pf->control, "relay", "from", call->mc_id[0], "to",
                      call->mc_id[1], NULL);
        if (!make_leg(call, to->contact[0].uri, sip)) {
            call->status = 500;
            nua_respond(nh, SIP_500_INTERNAL_SERVER_ERROR, TAG_END());
            say_down(call);
            call_free(call);
        }
    }
    su_home_deinit(home);
}

/* An INVITE within the call. */
static void
on_reinvite(struct leg *leg, int status, sip_t const *sip)
{
    if (status >= 200) {
        return; /* answered by the stack */
    }
    leg->asked = true;
    if (other(leg)->ending || other(leg)->over
        || !relay_invite(leg, find_sdp(sip), false)) {
        leg->asked = false;
        nua_respond(leg->nh, SIP_500_INTERNAL_SERVER_ERROR, TAG_END());
    }
}

/* Does it say which KMS the callee belongs to?  The caller sealed the key, so
 * it is the caller's to read. */
static bool
is_redirect(sip_t const *sip)
{
    return sip != NULL && sip->sip_payload != NULL
           && sip->sip_content_type != NULL
           && sip->sip_content_type->c_type != NULL
           && strcasecmp(sip->sip_content_type->c_type, MCX_MIME_KRR) == 0;
}

/* A response to our INVITE on 'leg' answers the one on the other. */
static void
on_response(struct leg *leg, int status, sip_t const *sip)
{
    struct pf_call *call = leg->call;
    struct leg *asker = other(leg);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    struct mcx_bytes sdp = sip != NULL ? find_sdp(sip) : mcx_bytes(NULL, 0);
    sip_payload_t *body = sdp_payload(home, sdp);
    char const *type = body != NULL ? "application/sdp" : NULL;
    sip_warning_t const *warning = sip != NULL ? sip->sip_warning : NULL;
    sip_retry_after_t const *after = sip != NULL ? sip->sip_retry_after
                                                 : NULL;
    char const *phrase = sip_status_phrase(status);

    if (status >= 200 && status < 300) {
        leg->up = true;
        if (!asker->asked || asker->ending || asker->over) {
            /* Nobody waits any more: a CANCEL crossed the answer. */
            nua_ack(leg->nh, TAG_END());
            end_leg(leg);
        }
    } else if (status >= 300 && !leg->up && call->cause == NULL) {
        call->status = status;
        call->warning = app_warning_code(warning);
    }
    if (status == 488 && body == NULL && is_redirect(sip)) {
        body = sdp_payload(home, mcx_bytes(sip->sip_payload->pl_data,
                                           sip->sip_payload->pl_len));
        type = body != NULL ? MCX_MIME_KRR : NULL;
    }
    if (asker->asked && !asker->ending && !asker->over && status > 100) {
        if (status >= 200) {
            asker->asked = false;
            asker->up = asker->up || status < 300;
        }
        nua_respond(asker->nh, status, phrase != NULL ? phrase : "Relayed",
                    NUTAG_AUTOANSWER(0),
                    TAG_IF(type != NULL, SIPTAG_CONTENT_TYPE_STR(type)),
                    TAG_IF(type != NULL, SIPTAG_PAYLOAD(body)),
                    TAG_IF(warning != NULL, SIPTAG_WARNING(warning)),
                    TAG_IF(after != NULL, SIPTAG_RETRY_AFTER(after)),
                    TAG_END());
    }
    su_home_deinit(home);
}

static void
on_ack(struct leg *leg, sip_t const *sip)
{
    struct pf_call *call = leg->call;
    struct leg *to = other(leg);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    sip_payload_t *body = sip != NULL ? sdp_payload(home, find_sdp(sip))
                                      : NULL;

    if (!to->over) {
        nua_ack(to->nh,
                TAG_IF(body != NULL,
                       SIPTAG_CONTENT_TYPE_STR("application/sdp")),
                TAG_IF(body != NULL, SIPTAG_PAYLOAD(body)), TAG_END());
    }
    if (!call->said_up) {
        call->said_up = true;
        control_event(call->pf->control, "call-up", "from", call->mc_id[0],
                      "to", call->mc_id[1], NULL);
    }
    su_home_deinit(home);
}

/* ---- events ------------------------------------------------------------ */

static void
on_state(struct leg *leg, tagi_t tags[])
{
    int state = 0;

    (void)tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
    if (state == nua_callstate_terminated && !leg->over) {
        leg_over(leg);
    }
}

void
pf_call_event(struct pf *pf, nua_event_t event, int status, nua_handle_t *nh,
              struct pf_magic *magic, sip_t const *sip, tagi_t tags[])
{
    struct leg *leg = (struct leg *)magic;

    if (leg == NULL) {
        if (event == nua_i_invite && status < 200) {
            on_first_invite(pf, nh, sip);
        } else if (app_is_stray(event)) {
            nua_handle_destroy(nh);
        }
        return;
    }
    switch (event) {
    case nua_i_invite:
        on_reinvite(leg, status, sip);
        break;
    case nua_r_invite:
        on_response(leg, status, sip);
        break;
    case nua_i_ack:
        on_ack(leg, sip);
        break;
    case nua_i_bye:
        leg->call->cause = "bye";
        leg->ending = true;
        end_leg(other(leg));
        break;
    case nua_i_cancel:
        leg->call->cause = "cancel";
        leg->ending = true;
        leg->asked = false;
        end_leg(other(leg));
        break;
    case nua_i_state:
        on_state(leg, tags);
        break;
    default:
        break;
    }
}

void
pf_call_show(struct pf *pf, struct control_conn *conn, bool json)
{
    const struct pf_call *call;

    control_print(conn, "%s", json ? "[" : "");
    for (call = pf->calls; call != NULL; call = call->next) {
        const char *state = call->said_up ? "up" : "ringing";

        if (json) {
            control_print(conn, "{\"from\": ");
            control_json(conn, call->mc_id[0]);
            control_print(conn, ", \"to\": ");
            control_json(conn, call->mc_id[1]);
            control_print(conn, ", \"state\": \"%s\"}%s", state,
                          call->next != NULL ? ", " : "");
        } else {
            control_print(conn, "%s -> %s %s\n", call->mc_id[0],
                          call->mc_id[1], state);
        }
    }
    control_print(conn, "%s", json ? "]\n" : "");
    control_ok(conn, "%s", "");
}
