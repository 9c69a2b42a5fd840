/* pf_sip.c -- the function's nua: registrar, PUBLISH, key downloads.
 *
 * The CSK in a REGISTER or PUBLISH is judged by the modules before the request
 * gets here; what they accept comes back as a key event, which is joined to
 * the registration.  There is no SIP authentication: the IMS core in front of
 * a real function does that. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/tport_tag.h>

#include "pf.h"

/* Not in it: UPDATE, which is not relayed.  A phone then sends a re-INVITE,
 * which is. */
#define PF_ALLOW "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, MESSAGE"

enum {
    SHUTDOWN_STEP_MS = 100,
    SHUTDOWN_MS = 5000,
    NOT_SENT = 700, /* status of what could not be sent */
    SWEEP_MS = 1000,
    ETAG_SIZE = 17
};

struct pf_download {
    struct pf_magic magic; /* first */
    struct pf_download *next;
    nua_handle_t *nh;
    char *mc_id;
    char id[APP_ID_SIZE];
    bool has_id;
};

static void
number_text(char out[16], unsigned long n)
{
    (void)snprintf(out, 16, "%lu", n);
}

char *
pf_warning(const struct pf *pf, su_home_t *home, const char *text)
{
    return su_sprintf(home, "399 %s \"%s\"", pf->host_name, text);
}

char *
pf_bare_uri(su_home_t *home, url_t const *url)
{
    url_t bare;

    if (url == NULL) {
        return NULL;
    }
    bare = *url;
    bare.url_password = NULL;
    bare.url_params = NULL;
    bare.url_headers = NULL;
    bare.url_fragment = NULL;
    return url_as_string(home, &bare);
}

/* ---- REGISTER ---------------------------------------------------------- */

/* An IMPU has no contact left: its keys go with it. */
static void
log_off(struct pf *pf, const char *impu)
{
    mcx_keys_forget(mcx_key_store(pf->mcx), impu);
}

static long
granted_s(const struct pf *pf, sip_t const *sip, sip_contact_t const *m)
{
    long s = pf->expires;

    if (m->m_expires != NULL) {
        char *end;

        s = strtol(m->m_expires, &end, 10);
        if (end == m->m_expires || *end != '\0') {
            s = pf->expires; /* RFC 3261 10.3: as if it were not there */
        }
    } else if (sip->sip_expires != NULL) {
        s = (long)sip->sip_expires->ex_delta;
    }
    if (s < 0 || s > pf->expires) {
        s = pf->expires;
    }
    return s;
}

/* Would take_contacts() refuse?  Asked before the modules see the request: a
 * registration that is refused must not bring its key into use.  0: no. */
static int
refusal_of(const struct pf *pf, su_home_t *home, sip_t const *sip)
{
    const char *impu = pf_bare_uri(home, sip->sip_to->a_url);
    const struct pf_binding *b = impu != NULL
                                     ? pf_reg_by_impu(pf->reg, impu)
                                     : NULL;
    sip_contact_t const *m = sip->sip_contact;
    size_t i;

    if (m != NULL && m->m_url->url_type == url_any) {
        return m->m_next != NULL || sip->sip_expires == NULL
                       || sip->sip_expires->ex_delta != 0
                   ? 400
                   : 0;
    }
    for (; m != NULL; m = m->m_next) {
        const char *uri = url_as_string(home, m->m_url);

        if (m->m_url->url_type == url_any) {
            return 400;
        }
        for (i = 0; b != NULL && uri != NULL && i < b->n_contacts; i++) {
            const struct pf_contact *c = &b->contact[i];

            if (strcmp(c->uri, uri) == 0
                && strcmp(c->call_id, sip->sip_call_id->i_id) == 0
                && sip->sip_cseq->cs_seq < c->cseq) {
                return 500; /* RFC 3261 10.3 step 7 */
            }
        }
    }
    return b == NULL && pf_reg_full(pf->reg) ? 503 : 0;
}

/* Takes the contacts of a REGISTER.  The status to answer. */
static int
take_contacts(struct pf *pf, su_home_t *home, sip_t const *sip,
              const char *impu)
{
    sip_contact_t const *m;
    const char *call_id = sip->sip_call_id->i_id;
    int64_t now = pf->env->mono_ms(pf->env->ctx);

    for (m = sip->sip_contact; m != NULL; m = m->m_next) {
        long s = granted_s(pf, sip, m);
        char *uri = url_as_string(home, m->m_url);
        mcx_err err;

        if (uri == NULL) {
            return 500;
        }
        if (m->m_url->url_type == url_any) {
            if (m != sip->sip_contact || m->m_next != NULL
                || sip->sip_expires == NULL
                || sip->sip_expires->ex_delta != 0) {
                return 400;
            }
            (void)pf_reg_remove(pf->reg, impu, NULL);
            log_off(pf, impu);
            return 200;
        }
        if (s == 0) {
            if (pf_reg_remove(pf->reg, impu, uri)) {
                log_off(pf, impu);
            }
            continue;
        }
        err = pf_reg_put(pf->reg, impu, uri, call_id,
                         sip->sip_cseq->cs_seq, now + s * 1000);
        if (err != MCX_OK) {
            return err == MCX_E_BUSY ? 503 : 500;
        }
        control_event(pf->control, "registered", "impu", impu, "contact",
                      uri, NULL);
    }
    return 200;
}

/* The contacts of 'impu' as a header, with the time each has left. */
static sip_contact_t *
contacts_left(const struct pf *pf, su_home_t *home, const char *impu)
{
    const struct pf_binding *b = pf_reg_by_impu(pf->reg, impu);
    int64_t now = pf->env->mono_ms(pf->env->ctx);
    char *text = su_strdup(home, "");
    size_t i;

    for (i = 0; b != NULL && i < b->n_contacts && text != NULL; i++) {
        text = su_sprintf(home, "%s%s<%s>;expires=%ld", text,
                          i > 0 ? ", " : "", b->contact[i].uri,
                          (long)((b->contact[i].expires_ms - now + 500)
                                 / 1000));
    }
    return text != NULL && text[0] != '\0' ? sip_contact_make(home, text)
                                           : NULL;
}

static void
on_register(struct pf *pf, nua_handle_t *nh, sip_t const *sip)
{
    msg_t *request = mcx_current_request(pf->mcx, pf->nua);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    char *impu = pf_bare_uri(home, sip->sip_to->a_url);
    int status = 500;
    sip_contact_t *contacts = NULL;

    if (impu != NULL) {
        status = take_contacts(pf, home, sip, impu);
        contacts = contacts_left(pf, home, impu);
    }
    nua_respond(nh, status, sip_status_phrase(status), NUTAG_WITH(request),
                TAG_IF(status == 200 && contacts != NULL,
                       SIPTAG_CONTACT(contacts)),
                TAG_IF(status == 503, SIPTAG_RETRY_AFTER_STR("5")),
                TAG_END());
    su_home_deinit(home);
}

/* True: answered. */
static bool
refuse_register(struct pf *pf, nua_t *nua, nua_handle_t *nh, sip_t const *sip)
{
    su_home_t home[1] = { SU_HOME_INIT(home) };
    int status = refusal_of(pf, home, sip);

    su_home_deinit(home);
    if (status == 0) {
        return false;
    }
    nua_respond(nh, status, sip_status_phrase(status),
                NUTAG_WITH(mcx_current_request(pf->mcx, nua)),
                TAG_IF(status == 503, SIPTAG_RETRY_AFTER_STR("5")),
                TAG_END());
    nua_handle_destroy(nh);
    return true;
}

/* ---- PUBLISH ----------------------------------------------------------- */

static bool
has_part(sip_t const *sip, const char *type)
{
    msg_multipart_t const *part;

    for (part = sip->sip_multipart; part != NULL; part = part->mp_next) {
        if (part->mp_content_type != NULL
            && part->mp_content_type->c_type != NULL
            && strcasecmp(part->mp_content_type->c_type, type) == 0) {
            return true;
        }
    }
    return sip->sip_content_type != NULL
           && sip->sip_content_type->c_type != NULL
           && strcasecmp(sip->sip_content_type->c_type, type) == 0;
}

static void
on_publish(struct pf *pf, nua_handle_t *nh, sip_t const *sip)
{
    msg_t *request = mcx_current_request(pf->mcx, pf->nua);
    su_home_t home[1] = { SU_HOME_INIT(home) };
    char *impu = pf_bare_uri(home, sip->sip_from->a_url);
    const struct pf_binding *b = impu != NULL
                                     ? pf_reg_by_impu(pf->reg, impu)
                                     : NULL;
    bool off = sip->sip_expires != NULL && sip->sip_expires->ex_delta == 0;
    uint8_t random[8];
    char etag[ETAG_SIZE], expires[16];

    if (sip->sip_event == NULL || sip->sip_event->o_type == NULL
        || strcasecmp(sip->sip_event->o_type, "poc-settings") != 0) {
        nua_respond(nh, SIP_489_BAD_EVENT, NUTAG_WITH(request), TAG_END());
    } else if (impu == NULL
               || pf->env->random(pf->env->ctx, random, sizeof random)
                      != MCX_OK
               || mcx_hex_encode(etag, sizeof etag,
                                 mcx_bytes(random, sizeof random))
                      != MCX_OK) {
        nua_respond(nh, SIP_500_INTERNAL_SERVER_ERROR, NUTAG_WITH(request),
                    TAG_END());
    } else if (!has_part(sip, MCX_MIME_MIKEY)
               && (b == NULL || b->mc_id == NULL)) {
        /* Settings of somebody whose MC ID we do not know. */
        nua_respond(nh, SIP_404_NOT_FOUND, NUTAG_WITH(request),
                    SIPTAG_WARNING_STR(pf_warning(pf, home,
                                                  PF_UNKNOWN_USER)),
                    TAG_END());
    } else {
        number_text(expires, sip->sip_expires != NULL
                                 ? sip->sip_expires->ex_delta
                                 : (unsigned long)pf->expires);
        if (off) {
            log_off(pf, impu);
        }
        nua_respond(nh, SIP_200_OK, NUTAG_WITH(request),
                    SIPTAG_ETAG_STR(etag), SIPTAG_EXPIRES_STR(expires),
                    TAG_END());
    }
    su_home_deinit(home);
}

/* ---- downloads --------------------------------------------------------- */

static void
download_free(struct pf *pf, struct pf_download *d)
{
    struct pf_download **at = &pf->downloads;

    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    if (d->nh != NULL) {
        nua_handle_bind(d->nh, NULL);
        nua_handle_destroy(d->nh);
    }
    free(d->mc_id);
    free(d);
}

const char *
pf_download(struct pf *pf, const char *mc_id)
{
    const struct pf_binding *b = pf_reg_by_mc_id(pf->reg, mc_id);
    struct pf_download *d;

    if (b == NULL || b->n_contacts == 0) {
        return "no contact is bound to that MC ID";
    }
    d = calloc(1, sizeof *d);
    if (d == NULL) {
        return "out of memory";
    }
    d->magic.sort = PF_DOWNLOAD;
    d->next = pf->downloads;
    pf->downloads = d;
    d->mc_id = strdup(mc_id);
    d->nh = nua_handle(pf->nua, &d->magic, NUTAG_URL(b->contact[0].uri),
                       SIPTAG_TO_STR(b->impu),
                       SIPTAG_FROM_STR(pf->identity), TAG_END());
    if (d->mc_id == NULL || d->nh == NULL
        || mcx_download(pf->mcx, d->nh, MCXTAG_PEER(d->mc_id),
                        MCXTAG_IMPU(b->impu), TAG_END()) != 0) {
        download_free(pf, d);
        return "busy, or no module makes downloads; nothing was sent";
    }
    return NULL;
}

static void
download_done(struct pf *pf, struct pf_download *d, int status,
              sip_t const *sip)
{
    unsigned code = sip != NULL ? app_warning_code(sip->sip_warning) : 0;
    char status_text[16], warning[16];

    number_text(status_text, (unsigned long)status);
    number_text(warning, code);
    control_event(pf->control,
                  status < 300 ? "downloaded" : "download-failed", "to",
                  d->mc_id, "id", d->has_id ? d->id : NULL, "status",
                  status_text, "warning", code != 0 ? warning : NULL, NULL);
    download_free(pf, d);
}

/* ---- callbacks --------------------------------------------------------- */

static void
refuse_method(struct pf *pf, nua_handle_t *nh, int status)
{
    if (status < 200) {
        nua_respond(nh, SIP_405_METHOD_NOT_ALLOWED,
                    NUTAG_WITH(mcx_current_request(pf->mcx, pf->nua)),
                    TAG_END());
    }
}

static void
on_nua(nua_event_t event, int status, char const *phrase, nua_t *nua,
       nua_magic_t *arg, nua_handle_t *nh, nua_hmagic_t *hmagic,
       sip_t const *sip, tagi_t tags[])
{
    struct pf *pf = arg;
    struct pf_magic *magic = hmagic;

    if (event == nua_i_register && refuse_register(pf, nua, nh, sip)) {
        return;
    }
    if (mcx_event(pf->mcx, event, status, phrase, nua, nh, sip, tags)) {
        return; /* (2) */
    }
    switch (event) {
    case nua_i_register:
        on_register(pf, nh, sip);
        break;
    case nua_i_publish:
        on_publish(pf, nh, sip);
        break;
    case nua_i_message:
    case nua_i_method:
        refuse_method(pf, nh, status);
        break;
    case nua_r_message:
        if (magic != NULL && magic->sort == PF_DOWNLOAD && status >= 200) {
            download_done(pf, (struct pf_download *)magic, status, sip);
        }
        return;
    case nua_r_shutdown:
        pf->shut = status >= 200;
        if (pf->shut) {
            su_root_break(pf->root);
        }
        return;
    default:
        if (magic == NULL || magic->sort == PF_LEG) {
            pf_call_event(pf, event, status, nh, magic, sip, tags);
        }
        return;
    }
    if (magic == NULL) {
        nua_handle_destroy(nh); /* made for this one request */
    }
}

static void
on_key_event(struct pf *pf, mcx_event_t event, const struct mcx_key_info *info)
{
    char id[APP_ID_SIZE];

    if (info->kind != MCX_KIND_CSK || info->owner.impu[0] == '\0') {
        return;
    }
    app_id_text(id, info->key_id);
    if (event == mcx_i_key
        || (event == mcx_i_key_restored && info->state == MCX_KEY_ACTIVE)) {
        mcx_err err = pf_reg_bind(pf->reg, info->owner.impu,
                                  info->owner.mc_id, info->key_id);

        if (err != MCX_OK) {
            mcx_log(pf->env, MCX_AREA_APP, 3, "no binding for %s: %s",
                    info->owner.impu, mcx_err_text(err));
            log_off(pf, info->owner.impu);
            return;
        }
        if (info->restored) {
            pf_reg_await(pf->reg, info->owner.impu,
                         pf->env->mono_ms(pf->env->ctx)
                             + pf->expires * 1000);
        }
        control_event(pf->control, "bound", "impu", info->owner.impu,
                      "mc_id", info->owner.mc_id, "kind", "csk", "id", id,
                      NULL);
    } else if (event == mcx_i_key_wiped
               && pf_reg_unbind(pf->reg, info->owner.impu, info->key_id)) {
        control_event(pf->control, "unbound", "impu", info->owner.impu,
                      NULL);
    }
}

static void
on_download(struct pf *pf, nua_handle_t *nh, int status, tagi_t tags[])
{
    struct pf_magic *magic = nua_handle_magic(nh);
    struct pf_download *d = (struct pf_download *)magic;
    unsigned id = 0;

    if (magic == NULL || magic->sort != PF_DOWNLOAD) {
        return;
    }
    if (tl_gets(tags, MCXTAG_KEY_ID_REF(id), TAG_END()) > 0) {
        app_id_text(d->id, id);
        d->has_id = true;
    }
    if (status >= NOT_SENT) {
        download_done(pf, d, status, NULL);
    }
}

static void
on_mcx(mcx_event_t event, int status, char const *phrase, mcx_t *mcx,
       mcx_magic_t *arg, nua_handle_t *nh, tagi_t tags[])
{
    struct pf *pf = arg;
    void const *info = NULL;

    (void)phrase;
    (void)mcx;
    if (app_mcx_event(pf->control, event, status, tags)) {
        (void)tl_gets(tags, MCXTAG_KEY_INFO_REF(info), TAG_END());
        if (info != NULL) {
            on_key_event(pf, event, info);
        }
    } else if (event == mcx_r_download) {
        on_download(pf, nh, status, tags);
    }
}

/* ---- life -------------------------------------------------------------- */

static void
gone(void *arg, const char *impu)
{
    log_off(arg, impu);
}

static void
on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    struct pf *pf = arg;

    (void)magic;
    (void)timer;
    pf_reg_expire(pf->reg, pf->env->mono_ms(pf->env->ctx), gone, pf);
}

int
pf_start(struct pf *pf)
{
    struct app_listen listen;

    if (!app_get_listen(&pf->config, &listen)) {
        return 2;
    }
    pf->mcx = app_mcx_create(&pf->config, pf->root, on_mcx, on_nua, pf);
    if (pf->mcx == NULL) {
        return 2;
    }
    (void)su_root_threading(pf->root,
                            app_switch(&pf->config, "stack-thread"));
    pf->nua = nua_create(
        pf->root, on_nua, pf, NUTAG_URL(listen.url[0]),
        TAG_IF(listen.second != NULL, NUTAG_SIPS_URL(listen.second)),
        NUTAG_MEDIA_ENABLE(0), NUTAG_AUTOALERT(0), NUTAG_AUTOANSWER(0),
        NUTAG_AUTOACK(0), NUTAG_SESSION_TIMER(0),
        /* Before any NUTAG_ALLOW(), which adds. */
        SIPTAG_ALLOW_STR(PF_ALLOW),
        NTATAG_UDP_MTU(65535), NTATAG_MAXSIZE(262144),
        APP_TRANSPORT_TAGS(&pf->config),
        /* (1); REGISTER, PUBLISH and MESSAGE come with it */
        TAG_NEXT(mcx_nua_tags(pf->mcx)));
    pf->timer = su_timer_create(su_root_task(pf->root), SWEEP_MS);
    if (pf->nua == NULL || pf->timer == NULL
        || su_timer_set_for_ever(pf->timer, on_timer, pf) != 0) {
        (void)fprintf(stderr, "mcx-pf: cannot listen at %s\n",
                      app_get(&pf->config, "listen"));
        return 1;
    }
    return 0;
}

void
pf_shutdown(struct pf *pf)
{
    int64_t until;

    if (pf->timer != NULL) {
        su_timer_destroy(pf->timer);
        pf->timer = NULL;
    }
    pf_call_end_all(pf);
    while (pf->downloads != NULL) {
        download_free(pf, pf->downloads);
    }
    if (pf->nua != NULL) {
        nua_shutdown(pf->nua);
        until = pf->env->mono_ms(pf->env->ctx) + SHUTDOWN_MS;
        while (!pf->shut && pf->env->mono_ms(pf->env->ctx) < until) {
            (void)su_root_step(pf->root, SHUTDOWN_STEP_MS);
        }
        nua_destroy(pf->nua);
        pf->nua = NULL;
    }
    mcx_destroy(pf->mcx);
    pf->mcx = NULL;
}
