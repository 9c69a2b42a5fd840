/* report.c -- what the application and the operator are told.
 *
 * Modules, the key store and this folder report from any thread; the
 * application hears of it on its loop, in order. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "sofia/glue.h"

struct report {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    enum mcx_event_kind kind;
    bool has_info, has_why;
    int status;
    struct mcx_key_info info;
    mcx_err err;
    struct mcx_why why;
    char who[MCX_URI_MAX];
    char kms[MCX_URI_MAX]; /* of MCX_EV_IDENTITY, with the next */
    uint64_t period_no;
};

char const *
mcx_event_name(mcx_event_t event)
{
    static const char *const name[] = {
        "mcx_i_key", "mcx_i_key_retired", "mcx_i_key_wiped", "mcx_i_refused",
        "mcx_i_parked", "mcx_i_call_key", "mcx_r_register", "mcx_r_publish",
        "mcx_r_download", "mcx_r_invite", "mcx_i_identity",
        "mcx_i_redirect", "mcx_i_key_restored"
    };

    return (unsigned)event < sizeof name / sizeof name[0] ? name[event] : "?";
}

static mcx_event_t
event_of(enum mcx_event_kind kind)
{
    switch (kind) {
    case MCX_EV_KEY:
        return mcx_i_key;
    case MCX_EV_KEY_RETIRED:
        return mcx_i_key_retired;
    case MCX_EV_KEY_WIPED:
        return mcx_i_key_wiped;
    case MCX_EV_PARKED:
        return mcx_i_parked;
    case MCX_EV_IDENTITY:
        return mcx_i_identity;
    default:
        return mcx_i_refused;
    }
}

static void
deliver(struct mcxh_job *job)
{
    struct report *r = (struct report *)job;
    mcx_t *mcx = r->mcx;
    const char *kind = r->has_info ? mcx_kind_word(r->info.kind) : NULL;
    mcx_event_t event = event_of(r->kind);

    if (mcx->callback) {
        mcx->callback(
            event, r->status,
            r->err == MCX_OK ? "OK" : mcx_err_text(r->err), mcx, mcx->magic,
            NULL,
            (tagi_t[]) {
                { TAG_IF(r->has_info, MCXTAG_KIND(kind)) },
                { TAG_IF(r->has_info, MCXTAG_KEY_ID(r->info.key_id)) },
                { TAG_IF(r->has_info, MCXTAG_KEY_INFO(&r->info)) },
                { TAG_IF(r->has_why,
                         MCXTAG_REASON(mcx_reason_word(r->why.reason))) },
                { TAG_IF(r->has_why, MCXTAG_WHY(&r->why)) },
                { TAG_IF(r->who[0], MCXTAG_PEER(r->who)) },
                { TAG_IF(r->kms[0], MCXTAG_KMS(r->kms)) },
                { TAG_IF(r->kms[0], MCXTAG_PERIOD_NO(&r->period_no)) },
                { TAG_END() } });
    }
    free(r);
}

static struct report *
new_report(mcx_t *mcx, enum mcx_event_kind kind, const char *who)
{
    struct report *r = calloc(1, sizeof *r);

    if (!r) {
        mcx_log(mcx->env, MCX_AREA_SIP, 1, "event lost: out of memory");
        return NULL;
    }
    r->job.done = deliver;
    r->mcx = mcx;
    r->kind = kind;
    snprintf(r->who, sizeof r->who, "%s", who ? who : "");
    return r;
}

static void
report(mcx_t *mcx, enum mcx_event_kind kind, int status,
       const struct mcx_key_info *info, mcx_err err,
       const struct mcx_why *why, const char *who)
{
    struct report *r = new_report(mcx, kind, who);

    if (!r) {
        return;
    }
    r->status = status;
    r->err = err;
    if (info) {
        r->has_info = true;
        r->info = *info;
    }
    if (why && why->reason != MCX_R_NONE) {
        r->has_why = true;
        r->why = *why;
    }
    mcxs_post_job(mcx->post, &r->job);
}

/* mcx_host.event.  Changes of keys come from the store itself, and the host
 * reports refusals of what it asked judgement for, so modules are heard on
 * nothing twice. */
static void
emit(void *arg, enum mcx_event_kind kind, const struct mcx_key_info *info,
     mcx_err err, const struct mcx_why *why, const char *who)
{
    if (kind == MCX_EV_REFUSED || kind == MCX_EV_PARKED) {
        report(arg, kind, 0, info, err, why, who);
    }
}

static void
on_identity(void *arg, const char *uri, const char *kms_uri,
            uint64_t period_no)
{
    mcx_t *mcx = arg;
    struct report *r = new_report(mcx, MCX_EV_IDENTITY, uri);

    if (r) {
        snprintf(r->kms, sizeof r->kms, "%s", kms_uri ? kms_uri : "");
        r->period_no = period_no;
        mcxs_post_job(mcx->post, &r->job);
    }
}

/* A key that was brought back.  There may be a hundred thousand of these
 * before the loop runs, so each takes what its texts need and no more. */
enum { TEXTS = 5 };
struct restored {
    struct mcxh_job job;
    mcx_t *mcx;
    unsigned kind;
    uint32_t key_id, csb_id;
    enum mcx_key_state state;
    bool ours;
    int64_t t_unix_ms, since_unix_ms, wipe_mono_ms;
    int64_t activation_unix_ms, expiry_unix_ms;
    struct mcx_sp_profile sp;
    char text[]; /* TEXTS of them */
};

static void
texts_of(char *text[TEXTS], struct mcx_key_info *info)
{
    text[0] = info->initiator;
    text[1] = info->responder;
    text[2] = info->owner.impu;
    text[3] = info->owner.mc_id;
    text[4] = info->owner.client_id;
}

static void
deliver_restored(struct mcxh_job *job)
{
    struct restored *r = (struct restored *)job;
    mcx_t *mcx = r->mcx;
    struct mcx_key_info info = {
        .kind = r->kind, .key_id = r->key_id, .csb_id = r->csb_id,
        .state = r->state, .ours = r->ours, .t_unix_ms = r->t_unix_ms,
        .since_unix_ms = r->since_unix_ms, .wipe_mono_ms = r->wipe_mono_ms,
        .activation_unix_ms = r->activation_unix_ms,
        .expiry_unix_ms = r->expiry_unix_ms, .sp = r->sp, .restored = true
    };
    const char *from = r->text;
    char *text[TEXTS];

    texts_of(text, &info);
    for (int i = 0; i < TEXTS; i++) {
        size_t n = strlen(from) + 1;

        memcpy(text[i], from, n); /* it came out of the same array */
        from += n;
    }
    if (mcx->callback) {
        mcx->callback(mcx_i_key_restored, 200, "OK", mcx, mcx->magic, NULL,
                      (tagi_t[]) {
                          { MCXTAG_KIND(mcx_kind_word(info.kind)) },
                          { MCXTAG_KEY_ID(info.key_id) },
                          { MCXTAG_KEY_INFO(&info) },
                          { TAG_IF(info.owner.mc_id[0],
                                   MCXTAG_PEER(info.owner.mc_id)) },
                          { TAG_END() } });
    }
    free(r);
}

static void
on_restored(mcx_t *mcx, const struct mcx_key_info *info)
{
    struct mcx_key_info copy = *info;
    struct restored *r;
    char *text[TEXTS], *to;
    size_t n = 0;

    texts_of(text, &copy);
    for (int i = 0; i < TEXTS; i++) {
        n += strlen(text[i]) + 1;
    }
    r = calloc(1, sizeof *r + n);
    if (!r) {
        mcx_log(mcx->env, MCX_AREA_SIP, 1, "event lost: out of memory");
        return;
    }
    r->job.done = deliver_restored;
    r->mcx = mcx;
    r->kind = info->kind;
    r->key_id = info->key_id;
    r->csb_id = info->csb_id;
    r->state = info->state;
    r->ours = info->ours;
    r->t_unix_ms = info->t_unix_ms;
    r->since_unix_ms = info->since_unix_ms;
    r->wipe_mono_ms = info->wipe_mono_ms;
    r->activation_unix_ms = info->activation_unix_ms;
    r->expiry_unix_ms = info->expiry_unix_ms;
    r->sp = info->sp;
    to = r->text;
    for (int i = 0; i < TEXTS; i++) {
        n = strlen(text[i]) + 1;
        memcpy(to, text[i], n);
        to += n;
    }
    mcxs_post_job(mcx->post, &r->job);
}

static void
on_key(void *arg, const struct mcx_key_info *info)
{
    mcx_t *mcx = arg;
    enum mcx_event_kind kind;

    if (info->restored) {
        on_restored(mcx, info);
        return;
    }
    switch (info->state) {
    case MCX_KEY_ACTIVE:
        kind = MCX_EV_KEY;
        break;
    case MCX_KEY_RETIRED:
        kind = MCX_EV_KEY_RETIRED;
        break;
    case MCX_KEY_WIPED:
        kind = MCX_EV_KEY_WIPED;
        break;
    default:
        return;
    }
    mcx_log(mcx->env, MCX_AREA_KEYS, 5, "%s %08x is %s",
            mcx_kind_word(info->kind), (unsigned)info->key_id,
            mcx_key_state_word(info->state));
    report(mcx, kind, 200, info, MCX_OK, NULL, info->owner.mc_id);
}

void
mcxs_report_init(mcx_t *mcx)
{
    mcx->host.emit = emit;
    mcx->host.emit_arg = mcx;
    mcx->host.identity = on_identity;
    mcx_keys_listen(mcx->host.table.keys, on_key, mcx);
}

void
mcxs_refused(mcx_t *mcx, enum mcx_area area, int status, mcx_err err,
             const struct mcx_why *why, const char *who)
{
    mcx_log_why(mcx->env, area, 3, err, why, who);
    mcxh_count(&mcx->host.counters, "sip.refused");
    report(mcx, MCX_EV_REFUSED, status, NULL, err, why, who);
}

void
mcxs_tell(mcx_t *mcx, mcx_event_t event, int status, char const *phrase,
          nua_handle_t *nh, struct mcx_key *key)
{
    struct mcx_key_info info = { 0 };
    const char *kind = NULL;

    if (!mcx->callback) {
        return;
    }
    if (key) {
        mcx_key_info(&info, key);
        kind = mcx_kind_word(info.kind);
    }
    mcx->callback(event, status, phrase, mcx, mcx->magic, nh,
                  (tagi_t[]) { { TAG_IF(key, MCXTAG_KIND(kind)) },
                               { TAG_IF(key, MCXTAG_KEY_ID(info.key_id)) },
                               { TAG_IF(key, MCXTAG_KEY_INFO(&info)) },
                               { TAG_END() } });
}

char *
mcxs_warning(su_home_t *home, const mcx_t *mcx, unsigned code,
             const char *text)
{
    return su_sprintf(home, "399 %s \"%u %s\"", mcx->host.table.host_name,
                      code, text ? text : MCX_WARN_MIKEY_TEXT);
}
