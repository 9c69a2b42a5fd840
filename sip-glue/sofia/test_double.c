/* test_double.c -- module "dbl": decides by the words in what it is shown.
 *
 * A stand-in for the real modules in test_glue: first word of the MIKEY body
 * or key-mgmt value, which for requests of its own is MCXTAG_PEER's. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sofia-mcx/mcx_module.h>
#include "sofia/test_double.h"

MCX_API struct dbl_control dbl_control;
static struct dbl_control *const c = &dbl_control;

enum { SEEN_MAX = 512 };

struct dbl {
    const struct mcx_host *host;
    atomic_uint serial;
    atomic_uint n_seen;
    char seen[SEEN_MAX][32];
};

static mcx_err
start(void **state, const struct mcx_host *host, struct mcx_text *text)
{
    struct dbl *d = calloc(1, sizeof *d);

    (void)text;
    if (!d) {
        return MCX_E_NOMEM;
    }
    d->host = host;
    *state = d;
    return MCX_OK;
}

static void
stop(void *state)
{
    free(state);
}

static bool
begins(struct mcx_bytes b, const char *word)
{
    size_t n = strlen(word);

    return b.n >= n && memcmp(b.p, word, n) == 0;
}

static const struct mcx_part *
mikey(const struct mcx_rq *rq)
{
    for (size_t i = 0; i < rq->n_parts; i++) {
        if (strcmp(rq->parts[i].type, "application/mikey") == 0) {
            return &rq->parts[i];
        }
    }
    return NULL;
}

static bool
claims(void *state, const struct mcx_rq *rq)
{
    (void)state;
    return mikey(rq) != NULL;
}

static mcx_err
by_word(struct mcx_bytes b, bool resume, struct mcx_why *why)
{
    if (begins(b, "slow")) {
        while (atomic_load(&c->gate_closed)) {
            usleep(2000);
        }
    }
    if (begins(b, "bad")) {
        return MCX_REFUSE(why, MCX_R_SIGNATURE, "SIGN", 401, "test");
    }
    if (begins(b, "world")) {
        return MCX_E_IO;
    }
    if (begins(b, "ours")) {
        return MCX_E_INTERNAL;
    }
    if (begins(b, "park") && !atomic_load(&c->keys_arrived)) {
        return MCX_REFUSE(why, MCX_R_NO_PERIOD_KEY, "SAKKE", 12, "test");
    }
    if (begins(b, "park") && resume) {
        atomic_fetch_add(&c->resumed, 1);
    }
    return MCX_OK;
}

/* Uploads say "fresh-N-...": none may come twice. */
static mcx_err
judge_upload(struct dbl *d, struct mcx_bytes b, struct mcx_why *why)
{
    char word[32];
    unsigned n = atomic_load(&d->n_seen);

    snprintf(word, sizeof word, "%.*s", (int)b.n, (const char *)b.p);
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(d->seen[i], word) == 0) {
            atomic_fetch_add(&c->replays, 1);
            return MCX_REFUSE(why, MCX_R_REPLAYED, "T", 10, "test");
        }
    }
    if (n < SEEN_MAX) {
        memcpy(d->seen[n], word, sizeof word);
        atomic_store(&d->n_seen, n + 1);
    }
    if (atomic_load(&c->refuse_next) > 0) {
        atomic_fetch_sub(&c->refuse_next, 1);
        return MCX_REFUSE(why, MCX_R_SIGNATURE, "SIGN", 401, "test");
    }
    return MCX_OK;
}

static mcx_err
judge(void *state, const struct mcx_rq *rq, struct mcx_answer *answer,
      struct mcx_why *why)
{
    const struct mcx_part *part = mikey(rq);

    if (!part) {
        return MCX_E_ARG;
    }
    if (strcmp(rq->method, "MESSAGE") != 0) {
        if (strcmp(rq->method, "REGISTER") == 0) {
            atomic_fetch_add(&c->uploads, 1);
        } else {
            atomic_fetch_add(&c->published, 1);
            answer->status = 200;
        }
        return judge_upload(state, part->body, why);
    }
    answer->status = begins(part->body, "app") ? 0 : 200;
    if (begins(part->body, "ok-body")) {
        answer->content_type = "text/plain";
        answer->body = strdup("well done");
        answer->body_n = answer->body ? strlen(answer->body) : 0;
    }
    return by_word(part->body, rq->resume, why);
}

static void
judge_many(void *state, struct mcx_judgement *j, size_t n)
{
    unsigned most = (unsigned)atomic_load(&c->together);

    if (n > most) { /* a race loses one; some are enough */
        atomic_store(&c->together, (int)n);
    }
    for (size_t i = 0; i < n; i++) {
        j[i].err = judge(state, j[i].rq, j[i].answer, j[i].why);
    }
}

static void
settled(void *state, const struct mcx_rq *rq, struct mcx_answer *answer,
        bool sent)
{
    (void)state;
    (void)rq;
    (void)answer;
    atomic_fetch_add(sent ? &c->settled : &c->not_sent, 1);
}

/* Both ends make the same key out of the number in the value. */
static mcx_err
stage(struct dbl *d, unsigned serial, bool ours, struct mcx_key **key)
{
    MCX_SECRET(mcx_key_msg, km);

    memset(km.key.b, (int)(serial & 0xff), sizeof km.key.b);
    km.kind = MCX_KIND_PCK;
    km.key_id = km.csb_id = 0x10000000u + serial;
    km.ours = ours;
    km.prf = MCX_PRF_HMAC_SHA256;
    km.rand_n = 16;
    memset(km.rand, 0x5a, 16);
    km.sp = (struct mcx_sp_profile){ .encr_alg = 6, .key_size = 16,
                                     .salt_size = 12, .tag_size = 16 };
    return mcx_keys_stage(d->host->keys, &km, NULL, key, NULL);
}

static bool
wants(void *state, const struct mcx_out *out)
{
    (void)state;
    return out->purpose != MCX_FOR_CALL || out->peer[0] != '\0';
}

static mcx_err
prepare(void *state, struct mcx_out *out, struct mcx_why *why)
{
    struct dbl *d = state;
    unsigned serial = atomic_fetch_add(&d->serial, 1) + 1;
    static char big[20000];
    char text[128];

    if (strcmp(out->peer, "unprepared") == 0) {
        return MCX_REFUSE(why, MCX_R_NO_USER, "", 0, "test");
    }
    switch (out->purpose) {
    case MCX_FOR_CALL:
        /* Value "mikey WORD-SERIAL". */
        snprintf(text, sizeof text, "mikey %s-%u", out->peer, serial);
        out->sdp_value = strdup(text);
        return out->sdp_value ? stage(d, serial, true, &out->key)
                              : MCX_E_NOMEM;
    case MCX_FOR_DOWNLOAD:
        if (strcmp(out->peer, "app-big") == 0) {
            memset(big, 'x', sizeof big);
            memcpy(big, "app-big", 7);
            return mcx_out_add(out, "application/mikey",
                               mcx_bytes(big, sizeof big));
        }
        snprintf(text, sizeof text, "%s%s", out->peer,
                 out->kms ? out->kms : "");
        return mcx_out_add(out, "application/mikey", mcx_bytes_str(text));
    default:
        snprintf(text, sizeof text, "fresh-%u", serial);
        MCX_TRY(mcx_out_add(out, "application/mikey", mcx_bytes_str(text)));
        return mcx_out_add(out, "application/vnd.3gpp.mcptt-info+xml",
                           mcx_bytes("<a>\0</a>", 8));
    }
}

static enum mcx_next
outcome(void *state, struct mcx_out *out, int status, unsigned warning)
{
    (void)state;
    atomic_fetch_add(status == 0 ? &c->outcome_0
                     : status == 200 ? &c->outcome_200 : &c->outcome_other,
                     1);
    if (status != 200 && out->key) {
        mcx_key_drop(out->key);
    }
    return status == 488 && warning == MCX_WARN_MIKEY &&
                   out->purpose != MCX_FOR_CALL && out->attempt == 0 &&
                   out->purpose != MCX_FOR_DOWNLOAD
               ? MCX_NEXT_RETRY : MCX_NEXT_DONE;
}

static mcx_err
offer_in(void *state, const struct mcx_call *call,
         struct mcx_call_verdict *verdict, struct mcx_why *why)
{
    struct mcx_sdp_view view;
    struct mcx_bytes value;
    const char *dash;
    mcx_err err;

    atomic_fetch_add(&c->offers, 1);
    MCX_TRY(mcx_sdp_scan(&view, call->sdp, false, why));
    if (view.n_km == 0) {
        return MCX_OK;
    }
    value = view.km[0].value;
    verdict->value = strndup((const char *)value.p, value.n);
    if (!verdict->value) {
        return MCX_E_NOMEM;
    }
    verdict->keyed = true;
    if (strcmp(verdict->value, call->last_value) == 0) {
        verdict->unchanged = true;
        return MCX_OK;
    }
    verdict->warn_306 = begins(value, "mikey bad306");
    err = by_word(mcx_bytes(value.p + 6, value.n - 6), call->resume, why);
    dash = strrchr(verdict->value, '-');
    if (err == MCX_OK && dash) {
        err = stage(state, (unsigned)strtoul(dash + 1, NULL, 10), false,
                    &verdict->key);
    }
    return err;
}

/* Feature "kms.lookup": knows of peers whose names begin with "app-found". */
static mcx_err
find(void *state, const char *uri, char kms[MCX_URI_MAX])
{
    (void)state;
    if (!begins(mcx_bytes_str(uri), "app-found")) {
        return MCX_E_NO_IDENTITY;
    }
    snprintf(kms, MCX_URI_MAX, "@kms.found.test");
    return MCX_OK;
}

static const void *
feature(void *state, const char *name)
{
    static const struct mcx_kms_lookup lookup = { sizeof lookup, NULL, find };

    (void)state;
    return strcmp(name, "kms.lookup") == 0 ? &lookup : NULL;
}

static const struct mcx_feature features[] = {
    { MCX_PROVIDES, "kms.lookup" },
};

MCX_MODULE_DEFINE(dbl) = {
    .abi = MCX_MODULE_ABI,
    .size = sizeof(struct mcx_module),
    .name = "dbl",
    .summary = "stand-in for tests",
    .version = PACKAGE_VERSION,
    .features = features,
    .n_features = 1,
    .feature = feature,
    .start = start,
    .stop = stop,
    .claims = claims,
    .judge = judge,
    .judge_many = judge_many,
    .settled = settled,
    .wants = wants,
    .prepare = prepare,
    .outcome = outcome,
    .offer_in = offer_in,
};
