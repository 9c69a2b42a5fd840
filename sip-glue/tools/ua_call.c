/* ua_call.c -- the phone's calls: descriptions, keys, media, and their ends.
 *
 * Called by ua_sip.c with the events of nua and libsofia-mcx, and by the
 * commands of ua_main.c.  A call's media begins once three things are there,
 * in whatever order they come: the call is up, the other side's address is
 * known, and the key is in place (or none is wanted). */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/soa_tag.h>

#include "ua.h"

struct ua_call {
    struct ua *ua;
    struct ua_call *next;
    nua_handle_t *nh;
    unsigned no;
    bool outgoing, answered, up, keyed, secured;
    bool sent_said; /* media-sent has been said */
    bool ending;    /* BYE or CANCEL is on its way */
    char *peer, *wav, *record;
    struct media *media;
    bool has_remote;
    struct ua_sdp_peer remote;
    uint64_t session_id;
    const char *cause; /* static; NULL: 'status' says it */
    int status;
    unsigned warning;
};

static void
number_text(char out[24], uint64_t n)
{
    (void)snprintf(out, 24, "%llu", (unsigned long long)n);
}

/* ---- life of the record ------------------------------------------------ */

static void
call_free(struct ua_call *call)
{
    struct ua_call **at = &call->ua->calls;

    while (*at != NULL && *at != call) {
        at = &(*at)->next;
    }
    if (*at == call) {
        *at = call->next;
    }
    media_free(call->media);
    free(call->peer);
    free(call->wav);
    free(call->record);
    free(call);
}

/* The file that the call's speech goes to, or NULL. */
static char *
record_path(const struct ua *ua, unsigned no)
{
    const char *record = app_get(&ua->config, "record");
    const char *user = strchr(ua->identity, ':');
    struct stat st;
    char *path = NULL;
    int n;

    if (record == NULL) {
        return NULL;
    }
    if (stat(record, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return strdup(record);
    }
    user = user != NULL ? user + 1 : ua->identity;
    n = (int)strcspn(user, "@;/");
    return asprintf(&path, "%s/%.*s-%u.wav", record, n, user, no) < 0
               ? NULL
               : path;
}

static struct ua_call *
call_new(struct ua *ua, const char *peer, const char *wav,
         struct mcx_text *text)
{
    struct ua_call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        (void)snprintf(text->s, sizeof text->s, "out of memory");
        return NULL;
    }
    call->ua = ua;
    call->next = ua->calls;
    ua->calls = call;
    call->no = ++ua->n_made;
    call->peer = strdup(peer);
    call->wav = wav != NULL ? strdup(wav) : NULL;
    call->record = record_path(ua, call->no);
    call->secured = ua->secure_required || mcx_srtp(ua->mcx) != NULL;
    if (call->peer == NULL
        || ua->env->random(ua->env->ctx, &call->session_id,
                           sizeof call->session_id) != MCX_OK
        || media_new(&call->media, ua->root, ua->env,
                     app_get(&ua->config, "rtp"), text) != MCX_OK) {
        call_free(call);
        return NULL;
    }
    call->session_id >>= 2; /* below 2^62: some parsers are signed */
    return call;
}

static void
write_sdp(const struct ua_call *call, char sdp[UA_SDP_SIZE])
{
    ua_sdp_write(sdp, media_address(call->media), media_ip6(call->media),
                 media_port(call->media), call->secured, call->ua->raw,
                 call->session_id, 1);
}

/* ---- media ------------------------------------------------------------- */

static void
on_sent(void *arg, uint64_t packets)
{
    struct ua_call *call = arg;
    char n[24];

    number_text(n, packets);
    call->sent_said = true;
    control_event(call->ua->control, "media-sent", "packets", n, NULL);
}

/* Hands the call's keys to its media. */
static mcx_err
set_keys(struct ua_call *call)
{
    MCX_SECRET(mcx_srtp_policy, send);
    MCX_SECRET(mcx_srtp_policy, receive);
    mcx_t *mcx = call->ua->mcx;
    const struct mcx_srtp_api *api = mcx_srtp(mcx);

    if (api == NULL) {
        return MCX_E_STATE;
    }
    MCX_TRY(mcx_srtp_policy(mcx, call->nh, true, &send));
    MCX_TRY(mcx_srtp_policy(mcx, call->nh, false, &receive));
    return media_keys(call->media, api, &send, &receive);
}

static void
hang_up(struct ua_call *call)
{
    call->ending = true;
    if (call->outgoing || call->answered) {
        nua_bye(call->nh, TAG_END()); /* a CANCEL before the answer */
    } else {
        nua_respond(call->nh, SIP_480_TEMPORARILY_UNAVAILABLE, TAG_END());
    }
}

static void
try_media(struct ua_call *call)
{
    struct mcx_text text = { "" };
    mcx_err err;

    if (call->ending || !call->up || !call->has_remote
        || media_started(call->media) || (call->secured && !call->keyed)) {
        return;
    }
    if (call->secured && !media_keyed(call->media)) {
        err = set_keys(call);
        if (err != MCX_OK) {
            (void)fprintf(stderr, "mcx-ua: no SRTP session: %s\n",
                          mcx_err_text(err));
            hang_up(call);
            return;
        }
    }
    err = media_start(call->media, call->wav, call->record, on_sent, call,
                      &text);
    if (err != MCX_OK) {
        (void)fprintf(stderr, "mcx-ua: %s\n", text.s);
        control_event(call->ua->control, "media-failed", "text", text.s,
                      NULL);
    }
}

void
ua_call_key(struct ua *ua, nua_handle_t *nh, tagi_t tags[])
{
    struct ua_call *call = ua->calls;
    char const *kind = NULL;
    unsigned id = 0;
    char id_text[APP_ID_SIZE];
    mcx_err err;

    (void)tl_gets(tags, MCXTAG_KIND_REF(kind), MCXTAG_KEY_ID_REF(id),
                  TAG_END());
    app_id_text(id_text, id);
    control_event(ua->control, "call-key", "kind",
                  kind != NULL ? kind : "pck", "id", id_text, NULL);
    while (call != NULL && call->nh != nh) {
        call = call->next;
    }
    if (call == NULL) {
        return; /* comes before its INVITE: asked for then */
    }
    call->keyed = true;
    if (media_keyed(call->media)) {
        err = set_keys(call);
        if (err != MCX_OK) {
            (void)fprintf(stderr, "mcx-ua: re-key: %s\n", mcx_err_text(err));
            hang_up(call);
        }
    }
    try_media(call);
}

/* ---- descriptions ------------------------------------------------------ */

/* The SDP of a message: its body, or the part of a multipart one. */
static struct mcx_bytes
find_sdp(sip_t const *sip, tagi_t tags[])
{
    char const *text = NULL;
    msg_multipart_t const *part;

    (void)tl_gets(tags, SOATAG_REMOTE_SDP_STR_REF(text), TAG_END());
    if (text != NULL) {
        return mcx_bytes_str(text);
    }
    if (sip == NULL) {
        return mcx_bytes(NULL, 0);
    }
    for (part = sip->sip_multipart; part != NULL; part = part->mp_next) {
        if (part->mp_content_type != NULL && part->mp_payload != NULL
            && strcasecmp(part->mp_content_type->c_type, "application/sdp")
                   == 0) {
            return mcx_bytes(part->mp_payload->pl_data,
                             part->mp_payload->pl_len);
        }
    }
    if (sip->sip_payload != NULL && sip->sip_content_type != NULL
        && strcasecmp(sip->sip_content_type->c_type, "application/sdp")
               == 0) {
        return mcx_bytes(sip->sip_payload->pl_data,
                         sip->sip_payload->pl_len);
    }
    return mcx_bytes(NULL, 0);
}

/* Takes note of where the other side listens. */
static void
take_remote(struct ua_call *call, sip_t const *sip, tagi_t tags[])
{
    struct ua_sdp_peer peer;
    struct mcx_bytes sdp = find_sdp(sip, tags);

    if (sdp.n > 0 && ua_sdp_read(&peer, sdp)
        && media_peer(call->media, peer.address, peer.port)) {
        call->remote = peer;
        call->has_remote = true;
    }
}

static bool
has_key_line(struct mcx_bytes sdp)
{
    struct mcx_sdp_view view;

    return mcx_sdp_scan(&view, sdp, true, NULL) == MCX_OK && view.n_km > 0;
}

static bool
has_policy(const struct ua_call *call)
{
    MCX_SECRET(mcx_srtp_policy, policy);

    return mcx_srtp_policy(call->ua->mcx, call->nh, true, &policy) == MCX_OK;
}

/* ---- incoming ---------------------------------------------------------- */

static void
accept_call(struct ua_call *call)
{
    char sdp[UA_SDP_SIZE];

    write_sdp(call, sdp);
    call->answered = true;
    if (call->ua->raw) {
        nua_respond(call->nh, SIP_200_OK,
                    SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                    SIPTAG_PAYLOAD_STR(sdp), TAG_END());
    } else {
        nua_respond(call->nh, SIP_200_OK, SOATAG_USER_SDP_STR(sdp),
                    TAG_END());
    }
}

/* May the offer be answered?  NULL, or the words of the refusal. */
static const char *
judge_offer(struct ua_call *call, struct mcx_bytes sdp)
{
    if (!call->has_remote) {
        return "399 localhost \"no audio stream that we can take\"";
    }
    if (has_policy(call)) {
        call->keyed = true;
    }
    call->secured = call->remote.secured;
    if (call->secured && !call->keyed && !has_key_line(sdp)) {
        return "399 localhost \"no key for SRTP in the offer\"";
    }
    if (!call->secured && call->ua->secure_required) {
        return "399 localhost \"only SRTP is accepted\"";
    }
    return NULL;
}

static void
on_invite(struct ua *ua, nua_handle_t *nh, sip_t const *sip, tagi_t tags[])
{
    struct mcx_text text = { "" };
    struct ua_call *call;
    char peer[MCX_URI_MAX] = "unknown";
    const char *refusal;

    if (sip->sip_from != NULL
        && url_e(peer, sizeof peer, sip->sip_from->a_url) <= 0) {
        (void)snprintf(peer, sizeof peer, "unknown");
    }
    peer[sizeof peer - 1] = '\0';
    call = call_new(ua, peer, app_get(&ua->config, "wav"), &text);
    if (call == NULL) {
        (void)fprintf(stderr, "mcx-ua: %s\n", text.s);
        nua_respond(nh, SIP_500_INTERNAL_SERVER_ERROR, TAG_END());
        nua_handle_destroy(nh);
        return;
    }
    call->nh = nh;
    nua_handle_bind(nh, call);
    control_event(ua->control, "call-in", "from", call->peer, NULL);
    take_remote(call, sip, tags);
    refusal = judge_offer(call, find_sdp(sip, tags));
    if (refusal != NULL) {
        call->status = 488;
        nua_respond(nh, SIP_488_NOT_ACCEPTABLE, SIPTAG_WARNING_STR(refusal),
                    TAG_END());
        return;
    }
    nua_respond(nh, SIP_180_RINGING, TAG_END());
    if (ua->answer_auto) {
        accept_call(call);
    }
}

/* ---- outgoing ---------------------------------------------------------- */

const char *
ua_call_make(struct ua *ua, const char *uri, const char *wav)
{
    static struct mcx_text text;
    struct ua_call *call;
    struct stat st;
    char sdp[UA_SDP_SIZE];
    int rc;

    if (wav != NULL && stat(wav, &st) != 0) {
        return "cannot read the WAV file";
    }
    call = call_new(ua, uri, wav, &text);
    if (call == NULL) {
        return text.s;
    }
    call->outgoing = true;
    call->nh = nua_handle(ua->nua, call, NUTAG_URL(uri), SIPTAG_TO_STR(uri),
                          SIPTAG_FROM_STR(ua->impu), TAG_END());
    if (call->nh == NULL) {
        call_free(call);
        return "not a URI that can be called";
    }
    write_sdp(call, sdp);
    if (ua->raw) {
        rc = mcx_invite(ua->mcx, call->nh, MCXTAG_PEER(uri),
                        SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                        SIPTAG_PAYLOAD_STR(sdp), TAG_END());
    } else {
        rc = mcx_invite(ua->mcx, call->nh, MCXTAG_PEER(uri),
                        SOATAG_USER_SDP_STR(sdp), TAG_END());
    }
    if (rc != 0) {
        nua_handle_destroy(call->nh);
        call_free(call);
        return "busy, nothing was sent";
    }
    return NULL;
}

const char *
ua_call_answer(struct ua *ua)
{
    struct ua_call *call = ua->calls;

    while (call != NULL && (call->outgoing || call->answered)) {
        call = call->next;
    }
    if (call == NULL) {
        return "no call rings";
    }
    accept_call(call);
    return NULL;
}

const char *
ua_call_hangup(struct ua *ua)
{
    struct ua_call *call;

    if (ua->calls == NULL) {
        return "no call";
    }
    for (call = ua->calls; call != NULL; call = call->next) {
        if (!call->ending) {
            hang_up(call);
        }
    }
    return NULL;
}

/* ---- the end ----------------------------------------------------------- */

static void
say_media(struct ua_call *call)
{
    struct media_report report;
    char sent[24], received[24], lost[24], bad[24];

    media_stop(call->media);
    media_report(call->media, &report);
    number_text(sent, report.sent);
    number_text(received, report.received);
    number_text(lost, report.lost);
    number_text(bad, report.bad);
    if (!call->sent_said && call->wav != NULL) {
        control_event(call->ua->control, "media-sent", "packets", sent,
                      NULL);
    }
    control_event(call->ua->control, "media-received", "packets", received,
                  "lost", lost, "bad", bad, "file", call->record, NULL);
}

static void
end_call(struct ua_call *call)
{
    struct ua *ua = call->ua;
    nua_handle_t *nh = call->nh;
    char status[24], warning[24];

    if (media_started(call->media)) {
        say_media(call);
    }
    number_text(status, (uint64_t)(call->status > 0 ? call->status : 0));
    number_text(warning, call->warning);
    control_event(ua->control, "call-down", "peer", call->peer, "cause",
                  call->status < 300 ? call->cause != NULL ? call->cause
                                                           : "bye"
                                     : NULL,
                  "status", call->status >= 300 ? status : NULL, "warning",
                  call->warning != 0 ? warning : NULL, NULL);
    call_free(call);
    nua_handle_bind(nh, NULL);
    nua_handle_destroy(nh);
}

void
ua_call_unprepared(struct ua *ua, nua_handle_t *nh, int status)
{
    struct ua_call *call = ua->calls;

    while (call != NULL && call->nh != nh) {
        call = call->next;
    }
    if (call != NULL) {
        call->status = status >= 300 ? status : 500;
        end_call(call);
    }
}

void
ua_call_end_all(struct ua *ua)
{
    while (ua->calls != NULL) {
        hang_up(ua->calls);
        end_call(ua->calls);
    }
}

/* ---- events ------------------------------------------------------------ */

static void
on_state(struct ua_call *call, int status, tagi_t tags[])
{
    int state = 0;

    (void)tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
    if (state == nua_callstate_ready) {
        if (!call->up) {
            call->up = true;
            control_event(call->ua->control, "call-up", "peer", call->peer,
                          NULL);
        }
        try_media(call);
    } else if (state == nua_callstate_terminated) {
        if (call->cause == NULL && call->status == 0 && !call->up) {
            call->status = status;
        }
        end_call(call);
    }
}

void
ua_call_event(struct ua *ua, nua_event_t event, int status,
              nua_handle_t *nh, struct ua_call *call, sip_t const *sip,
              tagi_t tags[])
{
    if (call == NULL) {
        if (event == nua_i_invite && status < 200) {
            on_invite(ua, nh, sip, tags);
        } else if (app_is_stray(event)) {
            nua_handle_destroy(nh);
        }
        return;
    }
    switch (event) {
    case nua_i_invite: /* a new offer within the call */
        if (status < 300) {
            take_remote(call, sip, tags);
        }
        if (status < 200) {
            accept_call(call);
        }
        break;
    case nua_r_invite:
        if (status == 487 && call->ending) {
            call->cause = "cancel"; /* as we wished */
        } else if (status >= 300) {
            call->status = status;
            call->warning = sip != NULL ? app_warning_code(sip->sip_warning)
                                        : 0;
        } else if (status >= 200) {
            take_remote(call, sip, tags);
        }
        break;
    case nua_i_bye:
    case nua_r_bye:
        call->cause = "bye";
        break;
    case nua_i_cancel:
    case nua_r_cancel:
        call->cause = "cancel";
        break;
    case nua_i_state:
        if (status < 300) {
            take_remote(call, sip, tags);
        }
        on_state(call, status, tags);
        break;
    default:
        break;
    }
}

void
ua_call_show(struct ua *ua, struct control_conn *conn, bool json)
{
    const struct ua_call *call;

    control_print(conn, "%s", json ? "[" : "");
    for (call = ua->calls; call != NULL; call = call->next) {
        struct media_report r;
        const char *state = call->up ? "up" : "ringing";

        media_report(call->media, &r);
        if (json) {
            control_print(conn, "{\"peer\": ");
            control_json(conn, call->peer);
            control_print(
                conn,
                ", \"state\": \"%s\", \"keyed\": %s, \"sent\": %llu, "
                "\"received\": %llu, \"lost\": %llu, \"bad\": %llu, "
                "\"rtcp_sent\": %llu, \"rtcp_received\": %llu, "
                "\"rtcp_bad\": %llu}%s",
                state, call->keyed ? "true" : "false",
                (unsigned long long)r.sent, (unsigned long long)r.received,
                (unsigned long long)r.lost, (unsigned long long)r.bad,
                (unsigned long long)r.rtcp_sent,
                (unsigned long long)r.rtcp_received,
                (unsigned long long)r.rtcp_bad,
                call->next != NULL ? ", " : "");
        } else {
            control_print(
                conn,
                "%s %s %s sent=%llu received=%llu lost=%llu bad=%llu "
                "rtcp-sent=%llu rtcp-received=%llu rtcp-bad=%llu\n",
                call->peer, state, call->keyed ? "keyed" : "unkeyed",
                (unsigned long long)r.sent, (unsigned long long)r.received,
                (unsigned long long)r.lost, (unsigned long long)r.bad,
                (unsigned long long)r.rtcp_sent,
                (unsigned long long)r.rtcp_received,
                (unsigned long long)r.rtcp_bad);
        }
    }
    control_print(conn, "%s", json ? "]\n" : "");
    control_ok(conn, "%s", "");
}
