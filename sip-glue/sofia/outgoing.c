/* outgoing.c -- requests whose bodies the modules add: prepare, send, outcome.
 *
 * mcx_register() and its sisters come here.  Modules prepare on the pool; the
 * request is sent from the loop; its final response comes by mcx_event().
 * A module may ask for one more try, with a fresh body. */
#include <config.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/su_tagarg.h>
#include <sofia-sip/soa_tag.h>
#include <stdlib.h>
#include "sofia/call.h"
#include "sofia/glue.h"

#define ICSI "urn:urn-7:3gpp-service.ims.icsi.mcptt"
#define ACCEPT_CONTACT                                                        \
    "Accept-Contact: *;+g.3gpp.icsi-ref="                                     \
    "\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mcptt\";require;explicit"

static const struct {
    nua_event_t response;
    mcx_event_t event;
} purposes[] = {
    [MCX_FOR_REGISTER] = { nua_r_register, mcx_r_register },
    [MCX_FOR_PUBLISH] = { nua_r_method, mcx_r_publish },
    [MCX_FOR_DOWNLOAD] = { nua_r_message, mcx_r_download },
    [MCX_FOR_CALL] = { nua_r_invite, mcx_r_invite },
};

static int64_t
now_ms(const mcx_t *mcx)
{
    return mcx->env->mono_ms(mcx->env->ctx);
}

void
mcxs_out_free(struct mcxs_out *o)
{
    mcxh_out_clear(&o->out);
    mcxs_unref(o->mcx, o->nh);
    su_home_deinit(o->home);
    free(o);
}

static void
release(struct mcxs_out *o)
{
    struct mcxs_out **pp = &o->mcx->out;

    while (*pp && *pp != o) {
        pp = &(*pp)->next;
    }
    if (*pp) {
        *pp = o->next;
    }
    mcxs_out_free(o);
}

/* ---- modules ----------------------------------------------------------- */

size_t
mcxs_out_ask(struct mcxs_out *o)
{
    struct mcxh_host *host = &o->mcx->host;
    size_t n = 0;

    o->lookup = mcxh_host_feature(host, "kms.lookup");
    for (size_t i = 0; i < host->n_order; i++) {
        const struct mcxh_mod *mod = &host->mod[host->order[i]];
        o->took[i] = mod->desc->wants &&
                     mod->desc->wants(mod->state, &o->out);
        n += o->took[i];
    }
    return n;
}

/* A peer for whom no certificate speaks: our KMS may know. */
static void
look_up(struct mcxs_out *o)
{
    struct mcx_ring *ring = o->mcx->host.table.ring;
    char kms[MCX_URI_MAX];

    if (!o->lookup || o->out.kms || !o->out.peer[0]
        || (o->out.purpose != MCX_FOR_CALL
            && o->out.purpose != MCX_FOR_DOWNLOAD)
        || mcx_ring_kms_of(ring, o->out.peer, NULL, NULL) == MCX_OK
        || o->lookup->find(o->lookup->state, o->out.peer, kms) != MCX_OK) {
        return;
    }
    o->out.kms = su_strdup(o->home, kms);
}

void
mcxs_out_prepare(struct mcxs_out *o)
{
    struct mcxh_host *host = &o->mcx->host;

    o->err = MCX_OK;
    look_up(o);
    for (size_t i = 0; i < host->n_order && o->err == MCX_OK; i++) {
        const struct mcxh_mod *mod = &host->mod[host->order[i]];
        if (o->took[i]) {
            o->err = mod->desc->prepare(mod->state, &o->out, &o->why);
        }
    }
    if (o->err == MCX_OK) {
        mcxs_redirect_note(o);
    }
}

enum mcx_next
mcxs_out_outcome(struct mcxs_out *o, int status, unsigned warning)
{
    struct mcxh_host *host = &o->mcx->host;
    enum mcx_next next = MCX_NEXT_DONE;

    for (size_t i = 0; i < host->n_order; i++) {
        const struct mcxh_mod *mod = &host->mod[host->order[i]];
        if (o->took[i] && mod->desc->outcome &&
            mod->desc->outcome(mod->state, &o->out, status, warning) ==
                MCX_NEXT_RETRY) {
            next = MCX_NEXT_RETRY;
        }
    }
    return next;
}

/* ---- tags -------------------------------------------------------------- */

static bool
is_body_tag(tagi_t const *t)
{
    return t->t_tag == siptag_payload || t->t_tag == siptag_payload_str ||
           t->t_tag == siptag_content_type ||
           t->t_tag == siptag_content_type_str;
}

/* Copies the application's tags without ours; its body is kept apart. */
static bool
copy_tags(struct mcxs_out *o, tagi_t const *tags)
{
    char const *peer = "", *impu = "", *to = NULL, *type = NULL, *text = NULL;
    sip_content_type_t const *c = NULL;
    sip_payload_t const *pl = NULL;
    sip_to_t const *to_header = NULL;

    o->tags = tl_adup(o->home, tags);
    if (!o->tags) {
        return false;
    }
    tl_gets(o->tags, MCXTAG_PEER_REF(peer), MCXTAG_IMPU_REF(impu),
            SIPTAG_TO_STR_REF(to), SIPTAG_TO_REF(to_header),
            SIPTAG_CONTENT_TYPE_REF(c), SIPTAG_CONTENT_TYPE_STR_REF(type),
            SIPTAG_PAYLOAD_REF(pl), SIPTAG_PAYLOAD_STR_REF(text), TAG_END());
    if ((!impu || !impu[0]) && (o->out.purpose == MCX_FOR_REGISTER ||
                                o->out.purpose == MCX_FOR_PUBLISH)) {
        if (to && !to_header) {
            to_header = sip_to_make(o->home, to);
        }
        if (to_header) {
            impu = mcxs_bare_uri(o->home, to_header->a_url);
        }
    }
    o->out.peer = peer ? peer : "";
    o->out.impu = impu ? impu : "";
    if (c) {
        o->app_type = sip_header_as_string(o->home, (sip_header_t const *)c);
    } else if (type) {
        o->app_type = su_strdup(o->home, type);
    }
    if (pl) {
        o->app_body = mcx_bytes(pl->pl_data, pl->pl_len);
    } else if (text) {
        o->app_body = mcx_bytes_str(text);
    }
    if (!o->app_body.p) {
        o->app_type = NULL;
    }
    o->raw = o->app_type && mcxs_mime_is(o->app_type, "application/sdp");
    for (tagi_t const *t = o->tags; t; t = tl_next(t)) {
        tagi_t *w = (tagi_t *)(uintptr_t)t;
        if ((t->t_tag && t->t_tag->tt_ns &&
             strcmp(t->t_tag->tt_ns, "mcx") == 0 &&
             t->t_tag != mcxtag_peer) ||
            (t->t_tag && is_body_tag(t))) {
            w->t_tag = tag_skip;
            w->t_value = 0;
        }
    }
    return true;
}

static void
skip_peer(struct mcxs_out *o)
{
    for (tagi_t const *t = o->tags; t; t = tl_next(t)) {
        if (t->t_tag == mcxtag_peer) {
            ((tagi_t *)(uintptr_t)t)->t_tag = tag_skip;
        }
    }
}

/* ---- sending ----------------------------------------------------------- */

static bool
names_header(const char *lines, const char *name)
{
    size_t n = strlen(name);

    for (; lines && *lines; lines++) {
        if (strncasecmp(lines, name, n) == 0 && lines[n] == ':') {
            return true;
        }
        lines = strchr(lines, '\n');
        if (!lines) {
            break;
        }
    }
    return false;
}

/* Header lines for SIPTAG_HEADER_STR(); NULL when there are none. */
static char *
headers(struct mcxs_out *o)
{
    const char *extra = o->out.extra_headers ? o->out.extra_headers : "";
    const char *self = o->mcx->host.table.self;
    bool down = o->out.purpose == MCX_FOR_DOWNLOAD;
    bool service = down && !names_header(extra, "P-Asserted-Service");
    bool contact = down && !names_header(extra, "Accept-Contact");
    bool identity = down && self[0] &&
                    !names_header(extra, "P-Asserted-Identity");
    char *s;
    size_t n;

    s = su_sprintf(o->home, "%s%s%s%s%s%s", extra,
                   service ? "P-Asserted-Service: " ICSI "\r\n" : "",
                   contact ? ACCEPT_CONTACT "\r\n" : "",
                   identity ? "P-Asserted-Identity: <" : "",
                   identity ? self : "", identity ? ">\r\n" : "");
    n = s ? strlen(s) : 0;
    while (n > 0 && (s[n - 1] == '\r' || s[n - 1] == '\n')) {
        s[--n] = '\0';
    }
    return n > 0 ? s : NULL;
}

/* The offer of the application with our attribute. */
static mcx_err
key_raw_offer(struct mcxs_out *o)
{
    size_t n = o->app_body.n + strlen(o->out.sdp_value) + 64;
    char *sdp = su_alloc(o->home, (isize_t)n);

    if (!sdp) {
        return MCX_E_NOMEM;
    }
    MCX_TRY(mcx_sdp_put(sdp, &n, o->app_body, o->out.sdp_value));
    o->app_body = mcx_bytes(sdp, n);
    return MCX_OK;
}

static mcx_err
transmit(struct mcxs_out *o)
{
    struct mcxs_flat flat = { 0 };
    char const *type = NULL, *h = headers(o);
    sip_payload_t *body = NULL;
    bool event = !tl_find(o->tags, siptag_event) &&
                 !tl_find(o->tags, siptag_event_str);
    bool expires = !tl_find(o->tags, siptag_expires) &&
                   !tl_find(o->tags, siptag_expires_str);

    if (o->out.purpose == MCX_FOR_CALL && !o->raw) {
        /* With the engine the offer is made later, and nua would take the
         * 200 for an offer if a body of ours stood in the INVITE. */
        if (o->out.n_parts > 0) {
            mcx_log(o->mcx->env, MCX_AREA_SIP, 7,
                    "parts left out: the engine makes the body");
        }
    } else {
        MCX_TRY(mcxs_flatten(&flat, o));
    }
    if (flat.type) {
        body = sip_payload_create(o->home, flat.body, (issize_t)flat.n);
        type = flat.type;
        if (!body) {
            mcxs_flat_wipe(&flat);
            return MCX_E_NOMEM;
        }
    }
    switch (o->out.purpose) {
    case MCX_FOR_REGISTER:
        nua_register(o->nh, TAG_IF(h, SIPTAG_HEADER_STR(h)),
                     TAG_IF(type, SIPTAG_CONTENT_TYPE_STR(type)),
                     TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_NEXT(o->tags));
        break;
    case MCX_FOR_PUBLISH:
        /* Not nua_publish(): it would refresh every second when the answer
         * says Expires: 4294967295, and send bodies again on its own. */
        nua_method(o->nh, NUTAG_METHOD("PUBLISH"),
                   TAG_IF(event, SIPTAG_EVENT_STR("poc-settings")),
                   TAG_IF(expires, SIPTAG_EXPIRES_STR("4294967295")),
                   TAG_IF(h, SIPTAG_HEADER_STR(h)),
                   TAG_IF(type, SIPTAG_CONTENT_TYPE_STR(type)),
                   TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_NEXT(o->tags));
        break;
    case MCX_FOR_DOWNLOAD:
        nua_message(o->nh, TAG_IF(h, SIPTAG_HEADER_STR(h)),
                    TAG_IF(type, SIPTAG_CONTENT_TYPE_STR(type)),
                    TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_NEXT(o->tags));
        break;
    case MCX_FOR_CALL:
        nua_invite(o->nh, TAG_IF(h, SIPTAG_HEADER_STR(h)),
                   TAG_IF(type, SIPTAG_CONTENT_TYPE_STR(type)),
                   TAG_IF(body, SIPTAG_PAYLOAD(body)), TAG_NEXT(o->tags));
        break;
    default:
        break;
    }
    mcxs_flat_wipe(&flat); /* nua has copied it */
    o->sent = true;
    o->give_up_ms = now_ms(o->mcx) + MCXS_GIVE_UP_MS;
    return MCX_OK;
}

/* Nothing was sent: the application hears it, the modules drop what they
 * staged. */
static void
failed(struct mcxs_out *o, mcx_err err)
{
    mcx_t *mcx = o->mcx;

    mcx_log_why(mcx->env, MCX_AREA_SIP, 3, err, &o->why, o->out.peer);
    mcxh_count(&mcx->host.counters, "sip.not-prepared");
    (void)mcxs_out_outcome(o, 0, 0);
    if (o->out.purpose == MCX_FOR_CALL) {
        mcxs_call_offer_refused(mcx, o->nh);
    }
    if (o->refresh) {
        release(o);
        return;
    }
    mcxs_tell(mcx, purposes[o->out.purpose].event, 900, mcx_err_text(err),
              o->nh, NULL);
    release(o);
}

static void
prepare_job(struct mcxh_job *job)
{
    mcxs_out_prepare((struct mcxs_out *)job);
}

static void
prepared(struct mcxh_job *job)
{
    struct mcxs_out *o = (struct mcxs_out *)job;
    mcx_err err = job->cancelled ? MCX_E_BUSY : o->err;

    if (o->dead) {
        (void)mcxs_out_outcome(o, 0, 0);
        release(o);
        return;
    }
    if (err == MCX_OK && o->out.purpose == MCX_FOR_CALL) {
        if (o->raw && o->out.sdp_value) {
            err = key_raw_offer(o);
        }
        if (err == MCX_OK) {
            err = mcxs_call_offer(o->mcx, o->nh, &o->out);
        }
    }
    if (err == MCX_OK) {
        err = transmit(o);
    }
    if (err != MCX_OK) {
        failed(o, err);
    }
}

static bool
submit(struct mcxs_out *o)
{
    o->sent = false;
    o->job.work = prepare_job;
    o->job.done = prepared;
    return mcxh_pool_submit(o->mcx->pool, &o->job) == MCX_OK;
}

struct mcxs_out *
mcxs_out_new(mcx_t *mcx, enum mcx_purpose purpose, nua_handle_t *nh)
{
    struct mcxs_out *o = calloc(1, sizeof *o);

    if (o) {
        su_home_init(o->home);
        o->mcx = mcx;
        o->nh = nua_handle_ref(nh);
        o->out.purpose = purpose;
        o->out.peer = o->out.impu = "";
    }
    return o;
}

int
mcxs_send(mcx_t *mcx, enum mcx_purpose purpose, nua_handle_t *nh,
          tagi_t const *tags, bool refresh)
{
    struct mcxs_out *o = mcxs_out_new(mcx, purpose, nh);
    size_t n;

    if (!o) {
        return -1;
    }
    o->refresh = refresh;
    if (!copy_tags(o, tags)) {
        release(o);
        return -1;
    }
    if (purpose != MCX_FOR_CALL || o->raw) {
        skip_peer(o);
    }
    o->next = mcx->out;
    mcx->out = o;
    n = mcxs_out_ask(o);
    if (n == 0 && purpose == MCX_FOR_DOWNLOAD) {
        mcx_log(mcx->env, MCX_AREA_SIP, 3, "no module makes downloads");
        release(o);
        return -1;
    }
    if (n == 0 && refresh) {
        release(o); /* nua keeps the registration without us */
        return 0;
    }
    if (n == 0) {
        if (transmit(o) == MCX_OK) {
            return 0;
        }
    } else if (submit(o)) {
        return 0;
    }
    mcxh_count(&mcx->host.counters, "sip.busy");
    (void)mcxs_out_outcome(o, 0, 0);
    release(o);
    return -1;
}

/* ---- responses --------------------------------------------------------- */

static struct mcxs_out *
waiting_for(mcx_t *mcx, nua_event_t event, nua_handle_t *nh)
{
    struct mcxs_out *found = NULL;

    /* The list is newest first, responses come oldest first. */
    for (struct mcxs_out *o = mcx->out; o; o = o->next) {
        if (o->nh == nh && o->sent &&
            purposes[o->out.purpose].response == event) {
            found = o;
        }
    }
    return found;
}

int
mcxs_response(mcx_t *mcx, nua_event_t event, int status, char const *phrase,
              nua_handle_t *nh, sip_t const *sip)
{
    struct mcxs_out *o;
    unsigned warning = mcxs_warning_code(sip);
    bool again;

    if (event == nua_r_register && mcxs_refresh_response(mcx, status, nh)) {
        return 1;
    }
    o = waiting_for(mcx, event, nh);
    if (!o || status < 200) {
        return 0;
    }
    if (status == 401 || status == 407) {
        /* The application authenticates and nua sends the request again; a
         * challenge says that nobody has looked at the body. */
        o->give_up_ms = now_ms(mcx) + MCXS_GIVE_UP_MS / 4;
        return 0;
    }
    mcx_log(mcx->env, MCX_AREA_SIP, 5, "%s answered %d, warning %u",
            mcx_event_name(purposes[o->out.purpose].event), status, warning);
    if (status == 488 && o->out.attempt == 0 && mcxs_redirect_obey(o, sip)) {
        /* SPEC TS 24.379 digest 4.3: before the Warning, which would have the
         * same message made again. */
        (void)mcxs_out_outcome(o, status, 0);
        again = true;
    } else {
        again = mcxs_out_outcome(o, status, warning) == MCX_NEXT_RETRY &&
                o->out.attempt == 0;
    }
    if (again && o->out.purpose == MCX_FOR_CALL) {
        mcxs_call_offer_refused(mcx, nh); /* the key that went with it */
    }
    if (again) {
        mcxh_out_clear(&o->out);
        o->out.attempt = 1;
        if (submit(o)) {
            mcxh_count(&mcx->host.counters, "sip.retried");
            o->hush = o->out.purpose == MCX_FOR_CALL;
            return 1;
        }
        (void)mcxs_out_outcome(o, 0, 0);
    }
    if (o->out.purpose == MCX_FOR_CALL) {
        mcxs_call_answered(mcx, nh, status);
    } else {
        mcxs_tell(mcx, purposes[o->out.purpose].event, status, phrase, nh,
                  status < 300 ? o->out.key : NULL);
    }
    if (o->out.purpose == MCX_FOR_REGISTER && status < 300) {
        mcxs_refresh_accepted(mcx, o, sip);
    }
    release(o);
    return 0;
}

int
mcxs_out_hush(mcx_t *mcx, nua_event_t event, nua_handle_t *nh,
              tagi_t const *tags)
{
    struct mcxs_out *o = mcx->out;
    int state = -1;

    while (o && !(o->nh == nh && o->hush)) {
        o = o->next;
    }
    if (!o) {
        return 0;
    }
    if (event == nua_i_terminated) {
        o->hush = false; /* the last that nua has to say of it */
        return 1;
    }
    if (event == nua_i_state) {
        tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
    }
    return state == nua_callstate_terminated;
}

void
mcxs_out_beat(mcx_t *mcx, int64_t now)
{
    struct mcxs_out *o, *next;

    for (o = mcx->out; o; o = next) {
        next = o->next;
        /* An INVITE may ring for long; its handle ends it. */
        if (o->sent && o->out.purpose != MCX_FOR_CALL &&
            now >= o->give_up_ms) {
            (void)mcxs_out_outcome(o, 0, 0);
            release(o);
        }
    }
}

void
mcxs_out_forget(mcx_t *mcx, nua_handle_t *nh)
{
    struct mcxs_out *o, *next;

    for (o = mcx->out; o; o = next) {
        next = o->next;
        if (nh && o->nh != nh) {
            continue;
        }
        if (o->sent) {
            (void)mcxs_out_outcome(o, 0, 0);
            release(o);
        } else {
            o->dead = true; /* prepared() frees it */
        }
    }
}

/* ---- the calls of mcx_sofia.h ------------------------------------------ */

#define SEND(name, purpose)                                                   \
    int name(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag, tag_value_t value, \
             ...)                                                             \
    {                                                                         \
        ta_list ta;                                                           \
        int r;                                                                \
                                                                              \
        ta_start(ta, tag, value);                                             \
        r = nh ? mcxs_send(mcx, (purpose), nh, ta_args(ta), false) : -1;      \
        ta_end(ta);                                                           \
        return r;                                                             \
    }

SEND(mcx_publish, MCX_FOR_PUBLISH)
SEND(mcx_download, MCX_FOR_DOWNLOAD)
SEND(mcx_invite, MCX_FOR_CALL)

int
mcx_register(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag, tag_value_t value,
             ...)
{
    ta_list ta;
    int r = -1;

    ta_start(ta, tag, value);
    if (nh) {
        mcxs_refresh_forget(mcx, nh);
        r = mcxs_send(mcx, MCX_FOR_REGISTER, nh, ta_args(ta), false);
    }
    ta_end(ta);
    return r;
}

/* The client's own keys of a session, in whatever state. */
struct own {
    size_t n;
    struct { unsigned kind; uint32_t id; } key[64];
};

static void
collect_own(void *arg, const struct mcx_key_info *info)
{
    struct own *own = arg;

    if ((info->kind == MCX_KIND_CSK || info->kind == MCX_KIND_MUSIK) &&
        !info->owner.impu[0] && !info->owner.mc_id[0] &&
        own->n < sizeof own->key / sizeof own->key[0]) {
        own->key[own->n].kind = info->kind;
        own->key[own->n].id = info->key_id;
        own->n++;
    }
}

/* SPEC TS 33.180 5.11: at log-off no octet of them stays, the retired and the
 * staged included, in memory or in a store. */
static void
wipe_own(struct mcx_keys *keys)
{
    static const struct mcx_key_owner nobody;
    struct own own;

    do {
        own.n = 0;
        mcx_keys_each(keys, collect_own, &own);
        for (size_t i = 0; i < own.n; i++) {
            (void)mcx_keys_wipe(keys, own.key[i].kind, own.key[i].id,
                                &nobody, MCX_END_DROPPED);
        }
    } while (own.n > 0);
}

int
mcx_unregister(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
               tag_value_t value, ...)
{
    ta_list ta;

    if (!nh) {
        return -1;
    }
    ta_start(ta, tag, value);
    mcxs_refresh_forget(mcx, nh);
    mcxs_out_forget(mcx, nh);
    /* Should nua still have our body, it is not to go out again. */
    nua_unregister(nh, SIPTAG_PAYLOAD((sip_payload_t const *)SIP_NONE),
                   SIPTAG_CONTENT_TYPE((sip_content_type_t const *)SIP_NONE),
                   ta_tags(ta));
    ta_end(ta);
    wipe_own(mcx->host.table.keys);
    return 0;
}
