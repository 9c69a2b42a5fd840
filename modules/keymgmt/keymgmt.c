/* keymgmt.c -- the PCK of a private call in the SDP offer (RFC 4567, TS
 * 33.180 5.6, TS 24.379 11.1.1.2.1).
 *
 * Caller: a fresh PCK for the callee becomes the session-level line
 * `a=key-mgmt:mikey ...` of our offer.  Callee: the offer of a call is judged
 * before anything rings.  An answer has no such line, MIKEY-SAKKE being one
 * message.  Called by the host as mcx_module.h says; putting the line into
 * SDP, holding INVITEs, answering 488 and the life of the call's keys are the
 * host's. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "keymgmt.h"

enum {
    MESSAGE_ROOM = 4096, /* octets; mcx_mikey_build() wants 2048 */
    ID_TRIES = 4,        /* fresh key IDs before we give up */
    IDS_ROOM = 1024      /* characters of a protocol id list */
};

struct keymgmt {
    const struct mcx_host *host;
    bool required;
};

mcx_err
keymgmt_start(void **state, const struct mcx_host *host,
              struct mcx_text *text)
{
    struct keymgmt *k = calloc(1, sizeof *k);
    const char *policy = host->option(host, KEYMGMT_NAME, "policy");

    if (!k) {
        snprintf(text->s, sizeof text->s, "keymgmt: out of memory");
        return MCX_E_NOMEM;
    }
    k->host = host;
    k->required = !policy || strcmp(policy, "optional") != 0;
    *state = k;
    return MCX_OK;
}

void
keymgmt_stop(void *state)
{
    free(state);
}

/* ---- caller ------------------------------------------------------------ */

bool
keymgmt_wants(void *state, const struct mcx_out *out)
{
    (void)state;
    return out->purpose == MCX_FOR_CALL && out->peer[0] != '\0';
}

mcx_err
keymgmt_prepare(void *state, struct mcx_out *out, struct mcx_why *why)
{
    const struct keymgmt *k = state;
    const struct mcx_host *host = k->host;
    uint8_t octets[MESSAGE_ROOM];
    size_t n = 0, room;
    mcx_err err = MCX_E_POLICY;
    struct mcx_build how = {
        .env = host->env,
        .ring = host->ring,
        .kind = MCX_KIND_PCK,
        .from = host->self,
        .to = out->peer,
        .to_kms = out->kms,
        .peer = host->peer(host, out->peer),
    };

    /* POLICY: the random key ID names another key that is still there. */
    for (int i = 0; i < ID_TRIES && err == MCX_E_POLICY; i++) {
        MCX_SECRET(mcx_key_msg, km);
        n = sizeof octets;
        MCX_TRY(mcx_mikey_build(octets, &n, &km, &how, why));
        err = mcx_keys_stage(host->keys, &km, NULL, &out->key, why);
    }
    MCX_TRY(err);
    room = MCX_KEYMGMT_SIZE(n);
    out->sdp_value = malloc(room);
    err = out->sdp_value
              ? mcx_keymgmt_write(out->sdp_value, room, mcx_bytes(octets, n))
              : MCX_E_NOMEM;
    if (err != MCX_OK) {
        free(out->sdp_value);
        out->sdp_value = NULL;
        mcx_key_drop(out->key);
        mcx_key_unref(out->key);
        out->key = NULL;
    }
    return err;
}

/* 2xx: the call takes the key over, in the host. */
enum mcx_next
keymgmt_outcome(void *state, struct mcx_out *out, int status,
                unsigned warning)
{
    const struct keymgmt *k = state;

    (void)warning;
    if (status >= 200 && status < 300) {
        k->host->count(k->host, "keymgmt.offered");
        return MCX_NEXT_DONE;
    }
    if (out->key) {
        mcx_key_drop(out->key);
    }
    if (status != 0) {
        k->host->count(k->host, "keymgmt.failed");
    }
    return MCX_NEXT_DONE;
}

/* ---- callee ------------------------------------------------------------ */

/* SPEC design defaults: whom signalling names as the caller. */
static const char *
caller_of(const struct mcx_call *call)
{
    if (call->calling_user_id[0]) {
        return call->calling_user_id;
    }
    return call->asserted_identity[0] ? call->asserted_identity : call->from;
}

/* The mikey lines in force, one for each active media that is to be secured;
 * a line may stand here several times. */
struct lines {
    const struct mcx_sdp_km *km[MCX_SDP_MEDIA_MAX];
    size_t n;
};

/* SPEC RFC 4567 5 step 1, 8: picks the lines; 'all' insists on one for every
 * active media, so that nobody can take them out on the way. */
static mcx_err
collect(struct lines *lines, const struct mcx_sdp_view *view, bool all,
        struct mcx_why *why)
{
    lines->n = 0;
    for (size_t i = 0; i < view->n_media; i++) {
        const struct mcx_sdp_km *km = NULL;

        if (view->media[i].port == 0) {
            continue;
        }
        if (view->media[i].secured) {
            MCX_TRY(mcx_sdp_effective(&km, view, (int)i, why));
        }
        if (km) {
            lines->km[lines->n++] = km;
        } else if (all) {
            return MCX_REFUSE(
                why, MCX_R_NOT_MIKEY, "SDP",
                (size_t)(view->media[i].media.p - view->text.p),
                "RFC 4567 8");
        }
    }
    return MCX_OK;
}

static bool
all_equal(const struct lines *lines, struct mcx_bytes value)
{
    for (size_t i = 0; i < lines->n; i++) {
        if (!mcx_bytes_eq(lines->km[i]->value, value)) {
            return false;
        }
    }
    return true;
}

/* SPEC RFC 4567 4.1.4, digest D-4 and D-7: the signed list equals the
 * protocols of the line's level; without a list there may be but one. */
static mcx_err
check_ids(const struct mcx_mikey_msg *msg, const struct mcx_sdp_view *view,
          const struct mcx_sdp_km *km, struct mcx_why *why)
{
    char ids[IDS_ROOM];
    bool listed = false;

    if (mcx_sdp_ids(ids, sizeof ids, view, km) != MCX_OK) {
        return MCX_REFUSE(why, MCX_R_SDP_IDS, "SDP", km->at,
                          "RFC 4567 4.1.4");
    }
    for (size_t i = 0; i < msg->n_ext; i++) {
        if (msg->ext[i].type != MCX_EXT_SDP_IDS) {
            continue;
        }
        listed = true;
        if (!mcx_bytes_eq(msg->ext[i].data, mcx_bytes_str(ids))) {
            return MCX_REFUSE(why, MCX_R_SDP_IDS, "EXT", msg->ext[i].at,
                              "RFC 4567 4.1.4");
        }
    }
    if (!listed && strchr(ids, ';')) {
        return MCX_REFUSE(why, MCX_R_SDP_IDS, "SDP", km->at,
                          "RFC 4567 4.1.4");
    }
    return MCX_OK;
}

/* The message of 'lines', decoded into malloc'ed '*octets'.  Lines may differ
 * in padding; messages that differ are more than we do. */
static mcx_err
decode(const struct lines *lines, uint8_t **octets, size_t *n,
       struct mcx_why *why)
{
    uint8_t *other = NULL;
    size_t room = lines->km[0]->value.n, m;
    mcx_err err;

    *octets = malloc(room + 3);
    if (!*octets) {
        return MCX_E_NOMEM;
    }
    *n = room + 3;
    err = mcx_keymgmt_read(*octets, n, lines->km[0]->value, why);
    for (size_t i = 1; err == MCX_OK && i < lines->n; i++) {
        if (mcx_bytes_eq(lines->km[i]->value, lines->km[0]->value)) {
            continue;
        }
        m = lines->km[i]->value.n + 3;
        other = malloc(m);
        err = other ? mcx_keymgmt_read(other, &m, lines->km[i]->value, why)
                    : MCX_E_NOMEM;
        if (err == MCX_OK
            && !mcx_bytes_eq(mcx_bytes(other, m), mcx_bytes(*octets, *n))) {
            (void)MCX_REFUSE(why, MCX_R_PAYLOAD_DUP, "SDP",
                             lines->km[i]->at, "RFC 4567 3.1");
            err = MCX_E_UNSUPPORTED;
        }
        free(other);
    }
    if (err != MCX_OK) {
        free(*octets);
        *octets = NULL;
    }
    return err;
}

static mcx_err
open_pck(const struct keymgmt *k, const struct mcx_call *call,
         const struct mcx_sdp_view *view, const struct lines *lines,
         struct mcx_bytes octets, struct mcx_call_verdict *verdict,
         struct mcx_why *why)
{
    const struct mcx_host *host = k->host;
    const char *caller = caller_of(call);
    struct mcx_mikey_msg msg;
    struct mcx_open how = {
        .env = host->env,
        .ring = host->ring,
        .replay = host->replay,
        .self = call->self,
        .from = caller,
        .kinds = MCX_KIND_BIT(MCX_KIND_PCK),
        .window = MCX_WINDOW_LIVE,
        .peer = host->peer(host, caller),
        .resume = call->resume,
    };
    MCX_SECRET(mcx_key_msg, km);

    MCX_TRY(mcx_mikey_parse(&msg, octets, why));
    for (size_t i = 0; i < lines->n; i++) {
        MCX_TRY(check_ids(&msg, view, lines->km[i], why));
    }
    if (!caller[0]) {
        return MCX_REFUSE(why, MCX_R_INITIATOR, "IDRi",
                          msg.idr[MCX_ROLE_I].at, "TS 33.180 5.6");
    }
    MCX_TRY(mcx_mikey_open(&km, &msg, &how, why));
    return mcx_keys_stage(host->keys, &km, NULL, &verdict->key, why);
}

static mcx_err
judge(const struct keymgmt *k, const struct mcx_call *call,
      struct mcx_call_verdict *verdict, struct mcx_why *why)
{
    const struct mcx_host *host = k->host;
    bool alias = (host->peer(host, caller_of(call))
                  & MCX_PEER_KEYMGMT_ALIAS) != 0;
    /* A call that has a key keeps having one, whatever the policy. */
    bool all = k->required || call->last_value[0] != '\0';
    struct mcx_sdp_view view;
    struct lines lines;
    struct mcx_bytes value;
    uint8_t *octets = NULL;
    size_t n = 0;
    mcx_err err;

    MCX_TRY(mcx_sdp_scan(&view, call->sdp, alias, why));
    MCX_TRY(collect(&lines, &view, all, why));
    if (lines.n == 0) {
        return MCX_OK; /* nothing to key */
    }
    value = lines.km[0]->value;
    if (call->last_value[0]
        && all_equal(&lines, mcx_bytes_str(call->last_value))) {
        /* SPEC RFC 4567 4.1.2, digest D-5: before the replay check. */
        verdict->unchanged = true;
    } else {
        MCX_TRY(decode(&lines, &octets, &n, why));
        err = open_pck(k, call, &view, &lines, mcx_bytes(octets, n), verdict,
                       why);
        free(octets);
        MCX_TRY(err);
    }
    verdict->value = strndup((const char *)value.p, value.n);
    if (!verdict->value) {
        if (verdict->key) {
            mcx_key_drop(verdict->key);
            mcx_key_unref(verdict->key);
            verdict->key = NULL;
        }
        verdict->unchanged = false;
        return MCX_E_NOMEM;
    }
    verdict->keyed = true;
    return MCX_OK;
}

mcx_err
keymgmt_offer_in(void *state, const struct mcx_call *call,
                 struct mcx_call_verdict *verdict, struct mcx_why *why)
{
    const struct keymgmt *k = state;
    mcx_err err = judge(k, call, verdict, why);

    if (err == MCX_OK || err == MCX_E_NO_PERIOD) {
        return err; /* the latter is parked, not refused */
    }
    verdict->warn_306 = err == MCX_E_UNSUPPORTED;
    k->host->count(k->host, "keymgmt.refused");
    return err;
}
