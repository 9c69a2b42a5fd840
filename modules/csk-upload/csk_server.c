/* csk_server.c -- CSK upload, the participating function's side (TS 33.180
 * 5.4, TS 24.379 7.3.1A to 7.3.3).
 *
 * A REGISTER (also a third-party one, whose original sits in message/sip) or
 * a PUBLISH for poc-settings that carries application/mikey is judged in the
 * order of the digest, section 5.2, and the CSK staged for {IMPU, MC service
 * ID, client ID}.  A REGISTER is then handed to the application's registrar,
 * and with that the key becomes current; a registrar that says no after all
 * calls mcx_keys_forget(), and so it does when the last contact of an IMPU is
 * gone.  A PUBLISH is answered here.
 *
 * Left out, and to be done by who needs it: validation of the access token
 * (step 8), signed and encrypted XML (steps 6 and 7).  Without a token check
 * whoever the registrar lets register an IMPU binds his own MC service ID to
 * it -- his own, for the signature is checked. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "csk_upload.h"

enum { WARN_SERVICE = 101 };
#define WARN_SERVICE_TEXT "service authorisation failed"

static bool
is_register(const struct mcx_rq *rq)
{
    return strcmp(rq->method, "REGISTER") == 0;
}

static bool
is_settings(const struct mcx_rq *rq)
{
    return strcmp(rq->method, "PUBLISH") == 0
           && strcmp(rq->event, "poc-settings") == 0;
}

/* Whose request it is.  The registrar vouches for the To of a REGISTER; that
 * of a PUBLISH is anybody's to fill in. */
static const char *
impu_of(const struct mcx_rq *rq)
{
    if (is_register(rq)) {
        return rq->to;
    }
    return rq->asserted_identity[0] ? rq->asserted_identity : rq->from;
}

static const struct mcx_part *
part_of(const struct mcx_rq *rq, const char *type)
{
    for (size_t i = 0; i < rq->n_parts; i++) {
        if (strcmp(rq->parts[i].type, type) == 0) {
            return &rq->parts[i];
        }
    }
    return NULL;
}

bool
csk_upload_claims(void *state, const struct mcx_rq *rq)
{
    const struct csk_upload *u = state;

    if (u->host->role != MCX_ROLE_SERVER
        || (!is_register(rq) && !is_settings(rq))) {
        return false;
    }
    /* A body of that type without an octet has no part. */
    return rq->expires == 0 || part_of(rq, MCX_MIME_MIKEY) != NULL
           || strcmp(rq->content_type, MCX_MIME_MIKEY) == 0;
}

/* The one I_MESSAGE.  A third-party REGISTER may carry it twice; two that
 * differ cannot both be the CSK. */
static mcx_err
find_mikey(const struct mcx_rq *rq, struct mcx_bytes *octets,
           struct mcx_why *why)
{
    const struct mcx_part *first = part_of(rq, MCX_MIME_MIKEY);

    if (!first) {
        return MCX_REFUSE(why, MCX_R_NOT_MIKEY, "", 0, "TS 24.379 7.3.2");
    }
    for (size_t i = 0; i < rq->n_parts; i++) {
        if (strcmp(rq->parts[i].type, MCX_MIME_MIKEY) == 0
            && !mcx_bytes_eq(rq->parts[i].body, first->body)) {
            return MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "", 0,
                              "TS 24.379 7.3.2");
        }
    }
    *octets = first->body;
    return MCX_OK;
}

/* What the request itself says of who it is: mcptt-info, when there is one.
 */
struct said {
    char mc_id[MCX_URI_MAX];
    char client_id[MCX_GROUP_ID_MAX];
};

static mcx_err
read_said(const struct mcx_rq *rq, struct said *said, struct mcx_why *why)
{
    const struct mcx_part *part = part_of(rq, MCX_MIME_MCPTT_INFO);
    struct mcx_mcinfo *info;
    mcx_err err;

    memset(said, 0, sizeof *said);
    if (!part) {
        return MCX_OK;
    }
    info = calloc(1, sizeof *info);
    if (!info) {
        return MCX_E_NOMEM;
    }
    err = mcx_mcinfo_read(info, part->body, why);
    if (err == MCX_OK) {
        snprintf(said->mc_id, sizeof said->mc_id, "%s",
                 info->request_uri[0] ? info->request_uri
                                      : info->calling_user_id);
        snprintf(said->client_id, sizeof said->client_id, "%s",
                 info->client_id);
    }
    mcx_wipe(info, sizeof *info); /* the token was in it */
    free(info);
    return err;
}

/* The peer options of a visible initiator.  Nothing is believed by this: the
 * signature binds the message to the same identity. */
static unsigned
options_of(const struct mcx_host *host, const struct mcx_mikey_msg *msg,
           const char *named)
{
    const struct mcx_idr *idr = &msg->idr[MCX_ROLE_I];
    char uri[MCX_URI_MAX];

    if (named) {
        return host->peer(host, named);
    }
    if (!idr->at || idr->data.n >= sizeof uri
        || memchr(idr->data.p, 0, idr->data.n)) {
        return host->peer(host, "*");
    }
    memcpy(uri, idr->data.p, idr->data.n);
    uri[idr->data.n] = '\0';
    return host->peer(host, uri);
}

/* One upload under judgement.  SECRET: km. */
struct upload {
    struct mcx_judgement *j;
    struct said said;
    struct mcx_mikey_msg msg;
    struct mcx_open how;
    struct mcx_key_msg km;
};
MCX_SECRET_TYPE(upload);

static mcx_err
read_upload(struct upload *up, const struct csk_upload *u)
{
    const struct mcx_host *host = u->host;
    struct mcx_bytes octets;

    MCX_TRY(find_mikey(up->j->rq, &octets, up->j->why));
    MCX_TRY(mcx_mikey_parse(&up->msg, octets, up->j->why));
    up->how = (struct mcx_open){
        .env = host->env,
        .ring = host->ring,
        .replay = host->replay,
        .self = u->psi,
        /* Named: IDRi must be that, as URI or as UID.  Not named: a visible
         * initiator is taken as it is, a hidden one refused. */
        .from = up->said.mc_id[0] ? up->said.mc_id : NULL,
        .kinds = MCX_KIND_BIT(MCX_KIND_CSK),
        .window = MCX_WINDOW_LIVE,
        .resume = up->j->rq->resume,
    };
    up->how.peer = options_of(host, &up->msg, up->how.from);
    return MCX_OK;
}

static mcx_err
stage(struct upload *up, const struct csk_upload *u)
{
    struct mcx_answer *answer = up->j->answer;
    struct mcx_key_msg *km = &up->km;
    struct mcx_key_owner owner = { 0 };

    snprintf(answer->mc_id, sizeof answer->mc_id, "%s", km->initiator);
    snprintf(owner.impu, sizeof owner.impu, "%s", impu_of(up->j->rq));
    snprintf(owner.mc_id, sizeof owner.mc_id, "%s", km->initiator);
    snprintf(owner.client_id, sizeof owner.client_id, "%s",
             up->said.client_id);
    return mcx_keys_stage(u->host->keys, km, &owner, &answer->key,
                          up->j->why);
}

/* What the peer is told: one answer for everything that is its fault.  The
 * host logs the reason. */
static mcx_err
refuse(const struct csk_upload *u, struct mcx_answer *answer, mcx_err err)
{
    switch (mcx_err_class(err)) {
    case MCX_CLASS_BYTES:
    case MCX_CLASS_TRUST:
    case MCX_CLASS_LOOKUP:
        answer->status = 488;
        answer->warning = MCX_WARN_MIKEY;
        answer->warning_text = MCX_WARN_MIKEY_TEXT;
        break;
    case MCX_CLASS_WORLD:
        answer->status = 503;
        break;
    default:
        answer->status = 500;
        break;
    }
    if (err != MCX_E_NO_PERIOD) { /* that one is parked, not refused */
        u->host->count(u->host, "csk-upload.refused");
    }
    return err;
}

/* Everything up to the message itself; true: it is to be opened. */
static bool
begin(struct upload *up, const struct csk_upload *u)
{
    struct mcx_judgement *j = up->j;

    if (j->rq->expires == 0) {
        j->err = MCX_OK;
        return false;
    }
    j->err = read_said(j->rq, &up->said, j->why);
    if (mcx_err_class(j->err) == MCX_CLASS_BYTES) {
        /* Nothing is wrong with the I_MESSAGE: 136 would be untrue. */
        (void)refuse(u, j->answer, j->err);
        j->answer->status = 403;
        j->answer->warning = WARN_SERVICE;
        j->answer->warning_text = WARN_SERVICE_TEXT;
        return false;
    }
    if (j->err == MCX_OK) {
        j->err = read_upload(up, u);
    }
    if (j->err != MCX_OK) {
        (void)refuse(u, j->answer, j->err);
    }
    return j->err == MCX_OK;
}

/* What opening gave. */
static void
take_opened(struct upload *up, const struct csk_upload *u,
            const struct mcx_open_job *job)
{
    struct mcx_judgement *j = up->j;

    j->err = job->err;
    if (j->err == MCX_OK) {
        j->err = stage(up, u);
    } else if (j->why) {
        *j->why = job->why;
    }
    if (j->err != MCX_OK) {
        (void)refuse(u, j->answer, j->err);
    }
}

/* MCX_JUDGE_MANY at most. */
static void
judge(const struct csk_upload *u, struct mcx_judgement *j, struct upload *up,
      size_t n)
{
    struct mcx_open_job job[MCX_JUDGE_MANY];
    struct upload *of[MCX_JUDGE_MANY];
    size_t i, k = 0;

    for (i = 0; i < n; i++) {
        up[i].j = &j[i];
        if (begin(&up[i], u)) {
            job[k] = (struct mcx_open_job){ .msg = &up[i].msg,
                                            .how = &up[i].how,
                                            .out = &up[i].km };
            of[k++] = &up[i];
        }
    }
    mcx_mikey_open_many(job, k);
    for (i = 0; i < k; i++) {
        take_opened(of[i], u, &job[i]);
    }
    for (i = 0; i < n; i++) {
        if (j[i].err == MCX_OK) {
            j[i].answer->status = is_register(j[i].rq) ? 0 : 200;
        }
    }
}

mcx_err
csk_upload_judge(void *state, const struct mcx_rq *rq,
                 struct mcx_answer *answer, struct mcx_why *why)
{
    struct mcx_judgement j = { .rq = rq, .answer = answer, .why = why };
    MCX_SECRET(upload, up);

    judge(state, &j, &up, 1);
    return j.err;
}

void
csk_upload_judge_many(void *state, struct mcx_judgement *j, size_t n)
{
    struct upload *up = calloc(MCX_JUDGE_MANY, sizeof *up);
    size_t i, some;

    for (i = 0; up && i < n; i += some) {
        some = n - i < MCX_JUDGE_MANY ? n - i : MCX_JUDGE_MANY;
        judge(state, j + i, up, some);
        mcx_wipe(up, MCX_JUDGE_MANY * sizeof *up);
    }
    free(up);
    for (; i < n; i++) { /* no memory for several */
        j[i].err = csk_upload_judge(state, j[i].rq, j[i].answer, j[i].why);
    }
}

static bool
one_contact(const struct mcx_rq *rq)
{
    return is_register(rq) && strcmp(rq->from, rq->to) == 0;
}

/* 'sent': our answer went out, or the registrar has the request now. */
void
csk_upload_settled(void *state, const struct mcx_rq *rq,
                   struct mcx_answer *answer, bool sent)
{
    const struct csk_upload *u = state;
    bool yes = sent && (answer->status == 0 || answer->status == 200);

    if (rq->expires == 0) {
        /* SPEC TS 24.379 7.3.5: log-off takes binding and keys along.  One
         * contact that goes (From is To, RFC 3261 10.2) is no log-off while
         * others are there, and only the registrar knows. */
        if (yes && !one_contact(rq)) {
            mcx_keys_forget(u->host->keys, impu_of(rq));
            u->host->count(u->host, "csk-upload.unbound");
        }
        return;
    }
    if (!answer->key) {
        return;
    }
    if (yes && mcx_key_commit(answer->key) == MCX_OK) {
        u->host->count(u->host, "csk-upload.bound");
    } else {
        mcx_key_drop(answer->key);
    }
}
