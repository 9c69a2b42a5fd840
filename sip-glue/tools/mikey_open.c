/* mikey_open.c -- mcx-mikey open: judges a message as its receiver would, and
 * says what came out or why nothing did.  All judging is the library's.  See
 * mcx-mikey.1. */
#include <config.h>
#include <stdlib.h>
#include "mikey.h"

/* ---- what is said ------------------------------------------------------ */

/* The line on standard error, and JSON when asked for. */
static int
refused(const struct mikey_args *a, struct mcx_why *why, mcx_err err)
{
    struct cli_json j;

    mikey_explain(why, err);
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "verdict", "refused");
        cli_json_text(&j, "reason", mcx_reason_word(why->reason));
        cli_json_text(&j, "payload", why->payload);
        cli_json_number(&j, "offset", why->offset);
        cli_json_text(&j, "clause", why->clause);
        cli_json_end(&j);
    }
    mikey_say("refused", why);
    return CLI_REFUSED;
}

static const char *
group(const void *arg, size_t i)
{
    const struct mcx_key_params *p = arg;

    return p->group[i];
}

/* A revoked key is not opened, so there are two. */
static const char *
status_word(uint32_t status)
{
    return status & 2 ? "shared" : "live";
}

static void
params_json(struct cli_json *j, const struct mcx_key_params *p)
{
    char time[MCX_RFC3339_SIZE];

    cli_json_text(j, "status", status_word(p->status));
    if (p->activation_unix) {
        mcx_time_text(time, p->activation_unix * 1000);
        cli_json_text(j, "activation", time);
    }
    if (p->expiry_unix) {
        mcx_time_text(time, p->expiry_unix * 1000);
        cli_json_text(j, "expiry", time);
    }
    cli_json_text(j, "text", p->text);
    cli_json_list(j, "groups", p->n_groups, group, p);
}

static void
line(const char *name, const char *value)
{
    (void)printf("%-9s", name);
    mikey_print(value);
    (void)putchar('\n');
}

static void
params_text(const struct mcx_key_params *p)
{
    char time[MCX_RFC3339_SIZE];
    size_t i;

    line("status", status_word(p->status));
    if (p->activation_unix) {
        mcx_time_text(time, p->activation_unix * 1000);
        line("active", time);
    }
    if (p->expiry_unix) {
        mcx_time_text(time, p->expiry_unix * 1000);
        line("expires", time);
    }
    if (p->text[0]) {
        line("text", p->text);
    }
    for (i = 0; i < p->n_groups; i++) {
        line("group", p->group[i]);
    }
}

static void
opened_json(const struct mcx_key_msg *km, const char *id, const char *guk,
            const char *key)
{
    const char *kind = mcx_kind_word(km->kind);
    const char *policy = mcx_sp_profile_word(&km->sp);
    char time[MCX_RFC3339_SIZE];
    struct cli_json j;

    mcx_time_text(time, km->t_unix_ms);
    cli_json_begin(&j, stdout);
    cli_json_text(&j, "verdict", "opened");
    cli_json_text(&j, "kind", kind ? kind : "?");
    cli_json_text(&j, "key_id", id);
    if (guk) {
        cli_json_text(&j, "guk_id", guk);
    }
    cli_json_text(&j, "from", km->initiator);
    cli_json_text(&j, "to", km->responder);
    cli_json_text(&j, "time", time);
    cli_json_text(&j, "policy", policy ? policy : "?");
    cli_json_bool(&j, "to_self", km->to_self);
    if (km->params.present) {
        params_json(&j, &km->params);
    }
    if (key) {
        cli_json_text(&j, "key", key);
    }
    cli_json_end(&j);
}

static void
opened_text(const struct mcx_key_msg *km, const char *id, const char *guk,
            const char *key)
{
    const char *kind = mcx_kind_word(km->kind);
    const char *policy = mcx_sp_profile_word(&km->sp);
    char time[MCX_RFC3339_SIZE];

    mcx_time_text(time, km->t_unix_ms);
    line("verdict", "opened");
    line("kind", kind ? kind : "?");
    line("key_id", id);
    if (guk) {
        line("guk_id", guk);
    }
    line("from", km->initiator);
    line("to", km->responder);
    line("time", time);
    line("policy", policy ? policy : "?");
    if (km->to_self) {
        line("to_self", "yes");
    }
    if (km->params.present) {
        params_text(&km->params);
    }
    if (key) {
        line("key", key);
    }
}

static int
opened(const struct mikey_args *a, const struct mcx_key_msg *km)
{
    char id[16], guk[16], key[MCX_HEX_SIZE(MCX_SSV_SIZE)] = "";

    (void)snprintf(id, sizeof id, "%08lx", (unsigned long)km->key_id);
    (void)snprintf(guk, sizeof guk, "%08lx", (unsigned long)km->csb_id);
    if (a->secrets
        && mcx_hex_encode(key, sizeof key,
                          mcx_bytes(km->key.b, sizeof km->key.b))
               != MCX_OK) {
        return cli_usage(MIKEY_TOOL, "out of memory");
    }
    (a->json ? opened_json : opened_text)(
        km, id,
        mcx_kind_diverse(km->kind, km->key_id, km->csb_id) ? guk : NULL,
        a->secrets ? key : NULL);
    mcx_wipe(key, sizeof key);
    return CLI_OK;
}

/* ---- SAKKE messages ---------------------------------------------------- */

/* Judges as each of our identities in turn.  When none opens it, the refusal
 * that is told is that of the one it was for; else the first. */
static mcx_err
try_all(struct mcx_key_msg *km, const struct mcx_mikey_msg *msg,
        struct mcx_open *how, const struct mikey_args *a, struct mcx_why *why)
{
    mcx_err first = MCX_OK, err;
    size_t i;

    for (i = 0; i < a->n_as; i++) {
        struct mcx_why one = { 0 };

        how->self = a->as[i];
        err = mcx_mikey_open(km, msg, how, &one);
        if (err == MCX_OK) {
            return MCX_OK;
        }
        if (i == 0 || (why->reason == MCX_R_RESPONDER
                       && one.reason != MCX_R_RESPONDER)) {
            first = err;
            *why = one;
        }
    }
    return first;
}

/* The message struct is large, so it is not on the stack of a tool that reads
 * anything. */
static int
judge(const struct mikey_args *a, const struct mcx_env *env,
      struct mcx_ring *ring, struct mcx_bytes octets)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_mikey_msg *msg = calloc(1, sizeof *msg);
    struct mcx_open how = {
        .env = env, .ring = ring, .from = a->from, .to = a->to,
        .window = a->stored ? MCX_WINDOW_STORED : MCX_WINDOW_LIVE,
        .peer = a->peer,
    };
    struct mcx_why why = { 0 };
    mcx_err err;
    int status;
    size_t i;

    if (!msg) {
        return cli_usage(MIKEY_TOOL, "out of memory");
    }
    err = mcx_mikey_parse(msg, octets, &why);
    if (err == MCX_OK && msg->data_type != MCX_DT_SAKKE) {
        /* Pre-shared key messages want --psk-file. */
        err = MCX_REFUSE(&why, MCX_R_DATA_TYPE, "HDR", 1, "RFC 6509 4.1");
    }
    /* A sender may open its own message when it wrote a copy for itself. */
    for (i = 0; err == MCX_OK && i < msg->n_ext; i++) {
        how.allow_self |= msg->ext[i].type == MCX_EXT_SAKKE_TO_SELF;
    }
    if (err == MCX_OK) {
        err = try_all(&km, msg, &how, a, &why);
    }
    status = err == MCX_OK ? opened(a, &km) : refused(a, &why, err);
    free(msg);
    return status;
}

/* ---- pre-shared key messages ------------------------------------------- */

/* The GMK of --psk-file, for everything when it came without --psk-id. */
struct gmk {
    const struct mikey_args *a;
    const struct mcx_ssv *key;
};

static mcx_err
find_gmk(void *arg, uint32_t id, bool only, struct mcx_ssv *out)
{
    const struct gmk *g = arg;

    if (!only && g->a->psk_id_given && id != g->a->psk_id) {
        return MCX_E_NO_KEY;
    }
    *out = *g->key;
    return MCX_OK;
}

static int
judge_gsk(const struct mikey_args *a, const struct mcx_env *env,
          struct mcx_ring *ring, struct mcx_bytes octets)
{
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_ssv, key);
    struct gmk gmk = { a, &key };
    struct mcx_mikey_msg *msg = calloc(1, sizeof *msg);
    struct mcx_gsk_open how = {
        .env = env, .gmk = find_gmk, .arg = &gmk, .ring = ring,
        .from = a->from, .want_sign = ring != NULL,
    };
    struct mcx_why why = { 0 };
    mcx_err err;
    int status;

    if (!msg) {
        return cli_usage(MIKEY_TOOL, "out of memory");
    }
    status = mikey_key(&key, "--psk-file", a->psk_file);
    if (status == CLI_OK) {
        err = mcx_mikey_parse(msg, octets, &why);
        if (err == MCX_OK) {
            err = mcx_gsk_open(&km, msg, &how, &why);
        }
        status = err == MCX_OK ? opened(a, &km) : refused(a, &why, err);
    }
    free(msg);
    return status;
}

/* ---- the command ------------------------------------------------------- */

int
mikey_open(const struct mikey_args *a)
{
    int64_t clock = a->at_ms;
    struct mcx_env env = cli_env(a->at_given ? &clock : NULL);
    struct mcx_ring *ring = NULL;
    struct mcx_why why = { 0 };
    enum input_form form;
    uint8_t *octets = NULL;
    size_t n = 0;
    mcx_err err;
    int status;

    if (a->psk_file ? !a->keys != !a->from : !a->keys || a->n_as == 0) {
        return cli_usage(MIKEY_TOOL, "open: --keys DIR and --as URI are "
                         "needed; or --psk-file FILE, with both --keys and "
                         "--from or neither");
    }
    if (a->psk_file && a->peer & ~(unsigned)MCX_PEER_MONTHLY_TEL) {
        return cli_usage(MIKEY_TOOL, "--peer: a pre-shared key message has "
                         "monthly-tel, for its talker's keys, and no other");
    }
    status = a->keys ? mikey_load(&ring, a, &env) : CLI_OK;
    if (status == CLI_OK) {
        status = mikey_input(a, &octets, &n, &form, &why, &err);
        if (status == CLI_REFUSED) {
            status = refused(a, &why, err);
        } else if (status == CLI_OK) {
            status = (a->psk_file ? judge_gsk : judge)(
                a, &env, ring, mcx_bytes(octets, n));
        }
    }
    free(octets);
    mcx_ring_free(ring);
    return status;
}
