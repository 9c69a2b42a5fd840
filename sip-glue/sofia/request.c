/* request.c -- a SIP request as modules see it.
 *
 * Called on the loop for requests that some module may want; copies what is
 * needed, so that nothing on the pool touches a sip_t.  Meaning is judged by
 * modules. */
#include <config.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_util.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include "sofia/glue.h"

static char *
copy(su_home_t *home, const char *s)
{
    return su_strdup(home, s ? s : "");
}

char *
mcxs_bare_uri(su_home_t *home, url_t const *url)
{
    url_t bare[1];
    char *s;

    if (!url || !url->url_host) {
        return url && url->url_type != url_any
                   ? copy(home, url_as_string(home, url))
                   : copy(home, "");
    }
    *bare = *url;
    bare->url_password = NULL;
    bare->url_params = NULL;
    bare->url_headers = NULL;
    bare->url_fragment = NULL;
    s = url_as_string(home, bare);
    return s ? s : copy(home, "");
}

char *
mcxs_header(su_home_t *home, sip_t const *sip, const char *name)
{
    for (sip_unknown_t const *un = sip->sip_unknown; un; un = un->un_next) {
        if (un->un_name && strcasecmp(un->un_name, name) == 0) {
            return copy(home, un->un_value);
        }
    }
    return copy(home, "");
}

char *
mcxs_asserted_identity(su_home_t *home, sip_t const *sip)
{
    sip_p_asserted_identity_t const *pai =
        (sip_p_asserted_identity_t const *)msg_header_access(
            (msg_pub_t *)(uintptr_t)sip, sip_p_asserted_identity_class);
    bool quoted = false, angle = false;
    sip_to_t *one;
    char *text;

    if (pai) {
        return mcxs_bare_uri(home, pai->paid_url);
    }
    text = mcxs_header(home, sip, "P-Asserted-Identity");
    if (!text || !text[0]) {
        return text;
    }
    /* Cuts at the first comma outside of quotes and brackets: one identity
     * is enough, and it reads like a To header. */
    for (char *p = text; *p; p++) {
        if (*p == '"') {
            quoted = !quoted;
        } else if (*p == '\\' && quoted && p[1]) {
            p++;
        } else if (!quoted && (*p == '<' || *p == '>')) {
            angle = *p == '<';
        } else if (!quoted && !angle && *p == ',') {
            *p = '\0';
            break;
        }
    }
    one = sip_to_make(home, text);
    return one ? mcxs_bare_uri(home, one->a_url) : copy(home, "");
}

char *
mcxs_content_type(su_home_t *home, sip_t const *sip)
{
    if (!sip->sip_content_type) {
        return NULL;
    }
    return sip_header_as_string(
        home, (sip_header_t const *)sip->sip_content_type);
}

/* The longest time that is asked for; -1: none said.  RFC 3261 10.3: what is
 * no number counts as an hour, and so does not log anybody off. */
static long
expires_of(sip_t const *sip)
{
    long given = sip->sip_expires ? (long)sip->sip_expires->ex_delta : -1;
    long most = -1;

    for (sip_contact_t const *m = sip->sip_contact; m; m = m->m_next) {
        long s = given;

        if (m->m_expires) {
            char *end;
            s = (long)strtoul(m->m_expires, &end, 10);
            if (!isdigit((unsigned char)m->m_expires[0]) || *end || s < 0) {
                s = 3600;
            }
        }
        most = s > most ? s : most;
    }
    return sip->sip_contact ? most : given;
}

static void
lower(char *s)
{
    for (; s && *s; s++) {
        *s = (char)tolower((unsigned char)*s);
    }
}

bool
mcxs_rq_read(struct mcxs_rq *r, nua_handle_t *nh, sip_t const *sip)
{
    struct mcx_rq *rq = &r->rq;
    char *type, *c_type;

    memset(r, 0, sizeof *r);
    su_home_init(r->home);
    type = mcxs_content_type(r->home, sip);
    c_type = copy(r->home, sip->sip_content_type
                               ? sip->sip_content_type->c_type : "");
    lower(c_type);
    rq->content_type = c_type;
    rq->method = copy(r->home, sip->sip_request->rq_method_name);
    rq->request_uri = mcxs_bare_uri(r->home, sip->sip_request->rq_url);
    rq->from = mcxs_bare_uri(r->home, sip->sip_from->a_url);
    rq->to = mcxs_bare_uri(r->home, sip->sip_to->a_url);
    rq->asserted_identity = mcxs_asserted_identity(r->home, sip);
    rq->asserted_service = mcxs_header(r->home, sip, "P-Asserted-Service");
    rq->event = copy(r->home, sip->sip_event ? sip->sip_event->o_type : "");
    rq->call_id = copy(r->home,
                       sip->sip_call_id ? sip->sip_call_id->i_id : "");
    rq->expires = expires_of(sip);
    rq->nh = nh;
    r->initial = !sip->sip_to->a_tag;
    if (!c_type || !rq->method || !rq->request_uri || !rq->from || !rq->to ||
        !rq->asserted_identity || !rq->asserted_service || !rq->event ||
        !rq->call_id || (sip->sip_content_type && !type)) {
        su_home_deinit(r->home);
        return false;
    }
    if (type && sip->sip_payload) {
        r->body_err = mcxs_mime_unfold(
            &r->body,
            mcx_bytes(sip->sip_payload->pl_data, sip->sip_payload->pl_len),
            type, &r->body_why);
        rq->parts = r->body.part;
        rq->n_parts = r->body.n_parts;
    }
    return true;
}

void
mcxs_rq_free(struct mcxs_rq *r)
{
    mcxs_mime_free(&r->body);
    su_home_deinit(r->home);
}

unsigned
mcxs_warning_code(sip_t const *sip)
{
    for (sip_warning_t const *w = sip ? sip->sip_warning : NULL; w;
         w = w->w_next) {
        char const *t = w->w_text;
        unsigned long code;
        char *end;

        if (w->w_code != 399 || !t) {
            continue;
        }
        t += strspn(t, "\" ");
        code = isdigit((unsigned char)*t) ? strtoul(t, &end, 10) : 0;
        if (code > 0 && code < 1000 && end != t) {
            return (unsigned)code;
        }
    }
    return 0;
}
