/* mikey_build.c -- mcx-mikey build: makes a message of any kind that the table
 * of the library has, and writes it in the form wanted.  See mcx-mikey.1. */
#include <config.h>
#include <stdlib.h>
#include "mikey.h"

enum { BUILD_ROOM = 8192 };

static int
print_message(const struct mikey_args *a, const uint8_t *octets, size_t n,
              uint32_t key_id)
{
    const char *format = a->format ? a->format : "raw";
    struct mcx_bytes msg = mcx_bytes(octets, n);
    char text[MCX_KEYMGMT_SIZE(BUILD_ROOM) + BUILD_ROOM];
    mcx_err err = MCX_OK;

    if (strcmp(format, "raw") == 0) {
        (void)fwrite(octets, 1, n, stdout);
        return CLI_OK;
    }
    if (strcmp(format, "hex") == 0) {
        err = mcx_hex_encode(text, sizeof text, msg);
    } else if (strcmp(format, "sdp") == 0) {
        err = mcx_keymgmt_write(text, sizeof text, msg);
        (void)fputs(err == MCX_OK ? "a=key-mgmt:" : "", stdout);
    } else {
        err = mcx_b64_encode(text, sizeof text, msg);
    }
    if (err != MCX_OK) {
        return cli_fail(MIKEY_TOOL, "%s", mcx_err_text(err));
    }
    if (strcmp(format, "csv") == 0) {
        (void)printf("%s;%s;%08lx;", a->from ? a->from : "",
                     a->to ? a->to : "", (unsigned long)key_id);
    }
    (void)printf("%s\n", text);
    return CLI_OK;
}

static bool
known_format(const char *format)
{
    static const char *const formats[] = { "raw", "hex", "base64", "sdp",
                                           "csv" };
    size_t i;

    for (i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(format, formats[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What the row of the kind does not allow. */
static int
check_kind(const struct mikey_args *a)
{
    const struct mcx_kind_info *k = a->kind;

    if (a->params_given && !k->params) {
        return cli_usage(MIKEY_TOOL, "build: a %s has no key parameters "
                         "(%s)", k->word, k->clause);
    }
    if (a->params.n_groups && !k->groups) {
        return cli_usage(MIKEY_TOOL, "--group: a %s is of no group (%s)",
                         k->word, k->clause);
    }
    if (a->to_self && !k->to_self) {
        return cli_usage(MIKEY_TOOL, "--sakke-to-self: a %s has no copy for "
                         "its sender (%s)", k->word, k->clause);
    }
    if (a->id_given && k->kind < MCX_KIND_COUNT
        && MCX_KEY_ID_KIND(a->key_id) != k->kind) {
        return cli_usage(MIKEY_TOOL, "--key-id: expected the purpose tag %u "
                         "of a %s as its first digit", k->kind, k->word);
    }
    return CLI_OK;
}

static int
check(const struct mikey_args *a)
{
    bool map = (a->peer & MCX_PEER_REL13_MAP) != 0;
    int status;

    if (a->kind->carrier == MCX_CARRIER_PSK) {
        if (!a->psk_file || !a->psk_id_given || !a->keys != !a->from) {
            return cli_usage(MIKEY_TOOL, "build: a %s needs --psk-file FILE "
                             "and --psk-id HEX, and takes --keys and --from "
                             "together", a->kind->word);
        }
        if (a->peer & ~(unsigned)MCX_PEER_MONTHLY_TEL) {
            return cli_usage(MIKEY_TOOL, "--peer: a %s has monthly-tel, for "
                             "its talker's keys, and no other",
                             a->kind->word);
        }
    } else if (!a->keys || !a->from || !a->to) {
        return cli_usage(MIKEY_TOOL, "build: --keys DIR, --from URI, --to "
                         "URI and --kind KIND are needed");
    } else if ((a->sp_given || a->cs_id_given) && !map) {
        return cli_usage(MIKEY_TOOL, "%s: goes with --peer rel13-map; an "
                         "empty map has no place for it",
                         a->sp_given ? "--policy" : "--cs-id");
    }
    if (a->file) {
        return cli_usage(MIKEY_TOOL, "build: expected no file");
    }
    if (a->key_file && !a->id_given) {
        return cli_usage(MIKEY_TOOL, "build: --key-file needs --key-id HEX");
    }
    status = check_kind(a);
    if (status != CLI_OK) {
        return status;
    }
    return !a->format || known_format(a->format)
               ? CLI_OK
               : cli_usage(MIKEY_TOOL, "--format: expected raw, hex, base64, "
                           "sdp or csv, got \"%s\"", a->format);
}

static int
build_gsk(const struct mikey_args *a, const struct mcx_env *env,
          struct mcx_ring *ring, const struct mcx_ssv *key)
{
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_ssv, gmk);
    uint8_t octets[BUILD_ROOM];
    size_t n = sizeof octets;
    struct mcx_why why = { 0 };
    struct mcx_gsk_build how = {
        .env = env, .gmk = &gmk, .gmk_id = a->psk_id, .key = key,
        .key_id = a->key_id, .id_given = a->id_given, .ring = ring,
        .at_unix_ms = a->at_given ? a->at_ms : 0, .from = a->from,
        .hide_gmk_id = a->hide_psk_id, .no_mki = a->no_mki, .prf = a->prf,
        .ssrc = a->n_ssrc ? a->ssrc : NULL, .n_ssrc = a->n_ssrc,
        .sp = a->sp_given ? &a->sp : NULL,
        .rand = a->rand_given ? a->rand : NULL,
    };
    mcx_err err;
    int status = mikey_key(&gmk, "--psk-file", a->psk_file);

    if (status != CLI_OK) {
        return status;
    }
    err = mcx_gsk_build(octets, &n, &km, &how, &why);
    if (err == MCX_OK) {
        return print_message(a, octets, n, km.key_id);
    }
    return cli_usage(MIKEY_TOOL, "build: %s",
                     why.reason ? mcx_reason_text(why.reason)
                                : mcx_err_text(err));
}

static int
build_sakke(const struct mikey_args *a, const struct mcx_env *env,
            struct mcx_ring *ring, const struct mcx_ssv *key)
{
    MCX_SECRET(mcx_key_msg, km);
    uint8_t octets[BUILD_ROOM];
    size_t n = sizeof octets;
    struct mcx_why why = { 0 };
    struct mcx_build how = {
        .env = env, .ring = ring, .kind = a->kind->kind, .from = a->from,
        .to = a->to, .to_kms = a->to_kms, .key = key, .key_id = a->key_id,
        .id_given = a->id_given, .at_unix_ms = a->at_given ? a->at_ms : 0,
        .peer = a->peer, .hide_initiator = a->hide_i,
        .hide_responder = a->hide_r, .sakke_to_self = a->to_self,
        .params = a->params_given ? &a->params : NULL,
        .params_form = a->params_form, .cs_id_given = a->cs_id_given,
        .cs_id = a->cs_id, .sp = a->sp_given ? &a->sp : NULL,
        .rand = a->rand_given ? a->rand : NULL,
    };
    mcx_err err = mcx_mikey_build(octets, &n, &km, &how, &why);

    if (err == MCX_OK) {
        return print_message(a, octets, n, km.key_id);
    }
    if (err == MCX_E_NO_IDENTITY || err == MCX_E_NO_PERIOD
        || err == MCX_E_ARG) {
        return cli_usage(MIKEY_TOOL, "build: %s (expected in --keys: the "
                         "keys of %s for that time, and the certificate of "
                         "the KMS of %s)",
                         why.reason ? mcx_reason_text(why.reason)
                                    : mcx_err_text(err),
                         a->from, a->to);
    }
    return cli_fail(MIKEY_TOOL, "build: %s",
                    why.reason ? mcx_reason_text(why.reason)
                               : mcx_err_text(err));
}

int
mikey_build(const struct mikey_args *a)
{
    MCX_SECRET(mcx_ssv, key);
    int64_t clock = a->at_ms;
    struct mcx_env env = cli_env(a->at_given ? &clock : NULL);
    struct mcx_ring *ring = NULL;
    const struct mcx_ssv *given = NULL;
    int status = check(a);

    if (status == CLI_OK && a->key_file) {
        given = &key;
        status = mikey_key(&key, "--key-file", a->key_file);
    }
    if (status == CLI_OK && a->keys) {
        status = mikey_load(&ring, a, &env);
    }
    if (status == CLI_OK) {
        status = (a->kind->carrier == MCX_CARRIER_PSK ? build_gsk
                                                      : build_sakke)(
            a, &env, ring, given);
    }
    mcx_ring_free(ring);
    return status;
}
