/* csk_upload.c -- CSK upload, the client's side (TS 33.180 5.4, TS 24.379
 * 7.2.1, 7.2.1A and 7.2.2).
 *
 * REGISTER and PUBLISH get a new CSK for the participating function, staged
 * until the response: 2xx makes it the one in use, everything else wipes it.
 * Called by the host as mcx_module.h says; transactions, challenges and
 * refreshes are the host's.  XML protection of the token is not done here:
 * the transport has to keep it. */
#include <config.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "csk_upload.h"

enum {
    MESSAGE_ROOM = 4096, /* octets; mcx_mikey_build() wants 2048 */
    ID_TRIES = 4         /* fresh key IDs before we give up */
};

/* A client ID of our own when none is configured (RFC 4122 4.4). */
static mcx_err
random_urn(char *out, size_t size, const struct mcx_env *env)
{
    uint8_t b[16];

    MCX_TRY(env->random(env->ctx, b, sizeof b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, size,
             "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
             b[10], b[11], b[12], b[13], b[14], b[15]);
    return MCX_OK;
}

static mcx_err
read_settings(struct csk_upload *u, struct mcx_text *text)
{
    const struct mcx_host *host = u->host;
    const char *carrier = host->option(host, CSK_UPLOAD_NAME, "carrier");
    const char *life = host->option(host, CSK_UPLOAD_NAME, "lifetime");
    const char *id = host->option(host, CSK_UPLOAD_NAME, "client-id");

    u->by_register = !carrier || strcmp(carrier, "publish") != 0;
    u->by_publish = !carrier || strcmp(carrier, "register") != 0;
    u->lifetime_ms = life ? (int64_t)strtol(life, NULL, 10) * 1000 : 0;
    u->token = host->option(host, CSK_UPLOAD_NAME, "token");
    u->token_file = host->option(host, CSK_UPLOAD_NAME, "token-file");
    u->answer_mode = host->option(host, CSK_UPLOAD_NAME, "answer-mode");
    u->psi = host->psi[0] || host->role == MCX_ROLE_CLIENT ? host->psi
                                                           : host->self;
    if (!u->psi[0]) {
        snprintf(text->s, sizeof text->s,
                 "csk-upload: setting \"psi\" is missing: the CSK is sealed "
                 "to the participating function");
        return MCX_E_CONFIG;
    }
    if (id && strlen(id) >= sizeof u->client_id) {
        snprintf(text->s, sizeof text->s,
                 "csk-upload: client-id has more than %zu characters",
                 sizeof u->client_id - 1);
        return MCX_E_CONFIG;
    }
    if (id) {
        snprintf(u->client_id, sizeof u->client_id, "%s", id);
        return MCX_OK;
    }
    return random_urn(u->client_id, sizeof u->client_id, host->env);
}

mcx_err
csk_upload_start(void **state, const struct mcx_host *host,
                 struct mcx_text *text)
{
    struct csk_upload *u = calloc(1, sizeof *u);
    mcx_err err;

    if (!u) {
        snprintf(text->s, sizeof text->s, "csk-upload: out of memory");
        return MCX_E_NOMEM;
    }
    u->host = host;
    err = read_settings(u, text);
    if (err != MCX_OK) {
        free(u);
        return err;
    }
    *state = u;
    return MCX_OK;
}

void
csk_upload_stop(void *state)
{
    free(state);
}

/* A CSK in use that is too young to be replaced? */
static bool
has_young_key(const struct csk_upload *u)
{
    struct mcx_key_info info;
    struct mcx_key *now;

    if (u->lifetime_ms == 0) {
        return false;
    }
    now = mcx_keys_current(u->host->keys, MCX_KIND_CSK, "", "");
    if (!now) {
        return false;
    }
    mcx_key_info(&info, now);
    mcx_key_unref(now);
    return u->host->env->unix_ms(u->host->env->ctx) - info.since_unix_ms
           < u->lifetime_ms;
}

/* PUBLISH is always ours, for poc-settings; REGISTER only with a key. */
bool
csk_upload_wants(void *state, const struct mcx_out *out)
{
    const struct csk_upload *u = state;

    if (u->host->role != MCX_ROLE_CLIENT) {
        return false;
    }
    if (out->purpose == MCX_FOR_REGISTER) {
        return u->by_register && !has_young_key(u);
    }
    return out->purpose == MCX_FOR_PUBLISH;
}

static mcx_err
add_key(const struct csk_upload *u, struct mcx_out *out, struct mcx_why *why)
{
    const struct mcx_host *host = u->host;
    uint8_t octets[MESSAGE_ROOM];
    size_t n = 0;
    mcx_err err = MCX_E_POLICY;
    struct mcx_build how = {
        .env = host->env,
        .ring = host->ring,
        .kind = MCX_KIND_CSK,
        .from = host->self,
        .to = u->psi,
        .to_kms = out->kms,
        .peer = host->peer(host, u->psi),
    };

    /* POLICY: the random key ID names another key that is still there. */
    for (int i = 0; i < ID_TRIES && err == MCX_E_POLICY; i++) {
        MCX_SECRET(mcx_key_msg, km);
        n = sizeof octets;
        MCX_TRY(mcx_mikey_build(octets, &n, &km, &how, why));
        err = mcx_keys_stage(host->keys, &km, NULL, &out->key, why);
    }
    MCX_TRY(err);
    return mcx_out_add(out, MCX_MIME_MIKEY, mcx_bytes(octets, n));
}

/* The token into 'info'; from the file when there is one. */
static mcx_err
read_token(const struct csk_upload *u, struct mcx_mcinfo *info)
{
    const struct mcx_env *env = u->host->env;
    char *text = NULL;
    size_t n = 0;

    if (!u->token_file) {
        if (u->token && strlen(u->token) >= sizeof info->access_token) {
            return MCX_E_CONFIG;
        }
        snprintf(info->access_token, sizeof info->access_token, "%s",
                 u->token ? u->token : "");
        return MCX_OK;
    }
    MCX_TRY(env->read_file(env->ctx, u->token_file,
                           sizeof info->access_token - 1, &text, &n));
    while (n > 0 && isspace((unsigned char)text[n - 1])) {
        text[--n] = '\0';
    }
    snprintf(info->access_token, sizeof info->access_token, "%s", text);
    mcx_wipe(text, n);
    free(text);
    return MCX_OK;
}

/* SPEC TS 24.379 7.2.1 and 7.2.2: token and client ID with a key; 7.2.3: own
 * MC service ID and client ID without one. */
static mcx_err
add_info(const struct csk_upload *u, struct mcx_out *out, bool with_key)
{
    struct mcx_mcinfo *info = calloc(1, sizeof *info);
    char *xml = NULL;
    size_t n = 0;
    mcx_err err = MCX_OK;

    if (!info) {
        return MCX_E_NOMEM;
    }
    snprintf(info->client_id, sizeof info->client_id, "%s", u->client_id);
    if (with_key) {
        err = read_token(u, info);
    } else {
        snprintf(info->request_uri, sizeof info->request_uri, "%s",
                 u->host->self);
    }
    if (err == MCX_OK) {
        err = mcx_mcinfo_write(&xml, &n, info);
    }
    mcx_wipe(info, sizeof *info);
    free(info);
    if (err == MCX_OK) {
        err = mcx_out_add(out, MCX_MIME_MCPTT_INFO, mcx_bytes(xml, n));
        mcx_kms_text_free(xml, n);
    }
    return err;
}

static mcx_err
add_settings(const struct csk_upload *u, struct mcx_out *out)
{
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    MCX_TRY(mcx_poc_settings_write(&xml, &n, u->client_id,
                                   u->answer_mode ? u->answer_mode
                                                  : "automatic"));
    err = mcx_out_add(out, MCX_MIME_POC_SETTINGS, mcx_bytes(xml, n));
    mcx_kms_text_free(xml, n);
    return err;
}

static void
drop(struct mcx_out *out)
{
    if (out->key) {
        mcx_key_drop(out->key);
        mcx_key_unref(out->key);
        out->key = NULL;
    }
}

mcx_err
csk_upload_prepare(void *state, struct mcx_out *out, struct mcx_why *why)
{
    const struct csk_upload *u = state;
    bool publish = out->purpose == MCX_FOR_PUBLISH;
    bool with_key = !publish || (u->by_publish && !has_young_key(u));
    mcx_err err = MCX_OK;

    if (with_key) {
        err = add_key(u, out, why);
    }
    if (err == MCX_OK) {
        err = add_info(u, out, with_key);
    }
    if (err == MCX_OK && publish) {
        err = add_settings(u, out);
    }
    if (err != MCX_OK) {
        drop(out);
    }
    return err;
}

/* SPEC TS 24.379 digest 4.3: on 488 with 136 the CSK is given up and one new
 * one is tried; any other failure is the application's to deal with. */
enum mcx_next
csk_upload_outcome(void *state, struct mcx_out *out, int status,
                   unsigned warning)
{
    const struct csk_upload *u = state;
    const struct mcx_host *host = u->host;
    mcx_err err;

    if (!out->key) {
        return MCX_NEXT_DONE; /* settings only */
    }
    if (status >= 200 && status < 300) {
        err = mcx_key_commit(out->key);
        if (err != MCX_OK) {
            mcx_log(host->env, MCX_AREA_UPLOAD, 3,
                    "csk-upload: CSK not taken into use, %s",
                    mcx_err_text(err));
            mcx_key_drop(out->key);
        }
        host->count(host, "csk-upload.accepted");
        return MCX_NEXT_DONE;
    }
    mcx_key_drop(out->key);
    if (status == 0) {
        return MCX_NEXT_DONE;
    }
    host->count(host, "csk-upload.rejected");
    if (status == 488 && warning == MCX_WARN_MIKEY && out->attempt == 0) {
        mcx_log(host->env, MCX_AREA_UPLOAD, 5,
                "csk-upload: %s did not take our CSK, trying a new one",
                u->psi);
        return MCX_NEXT_RETRY;
    }
    return MCX_NEXT_DONE;
}
