/* mcx-mikey.c -- looks into MIKEY messages, opens them, makes them.
 *
 * For people and for tests: `inspect` prints every field of any message,
 * `open` judges one as a receiver would and says why not, `build` makes one.
 * All judging is the library's; here are arguments, input forms and output.
 * Whatever the octets are, the exit status is 0, 1 or 2.  See mcx-mikey.1. */
#include <config.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include "cli.h"
#include "input.h"

static const char TOOL[] = "mcx-mikey";

enum { BUILD_ROOM = 8192 };

static const char HELP[] =
    "Usage: mcx-mikey inspect [--json] [FILE|-]\n"
    "       mcx-mikey open --keys DIR --as URI [--from URI] [--at TIME]\n"
    "                      [--stored] [--peer OPTION]... [--json]\n"
    "                      [--show-secrets] [FILE|-]\n"
    "       mcx-mikey build --keys DIR --from URI --to URI --kind KIND\n"
    "                      [--key-file FILE] [--key-id HEX] [--at TIME]\n"
    "                      [--format raw|hex|base64|sdp|csv]\n"
    "                      [--hide-initiator] [--hide-responder]\n"
    "                      [--sakke-to-self] [--peer OPTION]...\n"
    "       mcx-mikey open --psk-file FILE [--psk-id HEX]\n"
    "                      [--keys DIR --from URI] [--at TIME] [--json]\n"
    "                      [--show-secrets] [FILE|-]\n"
    "       mcx-mikey build --kind gsk --psk-file FILE --psk-id HEX\n"
    "                      [--keys DIR --from URI] [--key-file FILE]\n"
    "                      [--key-id HEX] [--at TIME] [--format FORM]\n"
    "\n"
    "inspect  prints each field with offset, value, meaning and clause\n"
    "open     judges the message as URI would on receiving it\n"
    "build    makes a signed message\n"
    "\n"
    "The input is raw octets, hexadecimal, base64, an SDP line, a whole SDP\n"
    "or a whole SIP message; - or nothing is standard input.\n"
    "\n"
    "  --keys DIR       folder of KMS documents, *.xml\n"
    "  --as URI         who we are\n"
    "  --from URI       open: who signalling says the sender is\n"
    "                   build: the sender\n"
    "  --to URI         the receiver\n"
    "  --at TIME        the clock, RFC 3339 (now)\n"
    "  --stored         accept the time of a stored document\n"
    "  --kind KIND      gmk pck csk mkfc mscck musik gsk\n"
    "  --key-file FILE  the key: 16 octets, or 32 hexadecimal digits\n"
    "  --key-id HEX     its ID, 8 hexadecimal digits\n"
    "  --psk-file FILE  gsk: the GMK, in the forms of --key-file\n"
    "  --psk-id HEX     gsk: the GMK's ID, 8 hexadecimal digits\n"
    "  --format FORM    how to write the message (raw)\n"
    "  --peer OPTION    a peer option, such as sign-without-header\n"
    "  --json           one JSON object (open) or array (inspect)\n"
    "  --show-secrets   open: print the key\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done (open: opened), 1 refused, 2 usage or\n"
    "configuration.\n";

struct args {
    const char *file, *keys, *as, *from, *to, *key_file, *format, *psk_file;
    int kind; /* -1: not given */
    bool json, secrets, stored, hide_i, hide_r, to_self, id_given, at_given,
        psk_id_given;
    uint32_t key_id, psk_id;
    int64_t at_ms;
    unsigned peer;
};

/* ---- refusals ---------------------------------------------------------- */

/* Fills 'why' when a failure came without a reason. */
static void
explain(struct mcx_why *why, mcx_err err)
{
    if (why->reason == MCX_R_NONE) {
        (void)MCX_REFUSE(why, err == MCX_E_NOMEM    ? MCX_R_MEMORY
                              : err == MCX_E_TOOBIG ? MCX_R_TOO_LARGE
                              : mcx_err_class(err) == MCX_CLASS_BYTES
                                  ? MCX_R_VALUE
                                  : MCX_R_CRYPTO,
                         "", 0, "");
    }
    why->payload = why->payload ? why->payload : "";
    why->clause = why->clause ? why->clause : "";
}

/* The line on standard error, and JSON when asked for. */
static int
refused(const struct args *a, struct mcx_why *why, mcx_err err)
{
    struct cli_json j;

    explain(why, err);
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "verdict", "refused");
        cli_json_text(&j, "reason", mcx_reason_word(why->reason));
        cli_json_text(&j, "payload", why->payload);
        cli_json_number(&j, "offset", why->offset);
        cli_json_text(&j, "clause", why->clause);
        cli_json_end(&j);
    }
    (void)fprintf(stderr, "%s: refused, reason=%s payload=%s offset=%zu "
                  "clause=\"%s\" (%s)\n", TOOL, mcx_reason_word(why->reason),
                  *why->payload ? why->payload : "-", why->offset,
                  why->clause, mcx_reason_text(why->reason));
    return CLI_REFUSED;
}

/* ---- input ------------------------------------------------------------- */

/* Reads the file and finds the message in it.  CLI_REFUSED leaves the reason
 * in '*why'; CLI_USAGE has been reported. */
static int
read_message(const struct args *a, uint8_t **octets, size_t *n,
             enum input_form *form, struct mcx_why *why, mcx_err *err)
{
    const char *path = a->file ? a->file : "-";
    char *in = NULL;
    size_t in_n = 0;

    *octets = NULL;
    *form = INPUT_RAW;
    *err = cli_read(path, INPUT_MAX, &in, &in_n);
    if (*err == MCX_E_TOOBIG) {
        (void)MCX_REFUSE(why, MCX_R_TOO_LARGE, "", INPUT_MAX, "");
        return CLI_REFUSED;
    }
    if (*err != MCX_OK) {
        return cli_usage(TOOL, "%s: expected a file that can be read",
                         strcmp(path, "-") == 0 ? "standard input" : path);
    }
    *octets = malloc(INPUT_MIKEY_MAX);
    if (!*octets) {
        free(in);
        return cli_usage(TOOL, "out of memory");
    }
    *n = INPUT_MIKEY_MAX;
    *err = input_find(*octets, n, form, mcx_bytes(in, in_n), why);
    free(in);
    if (*err != MCX_OK) {
        free(*octets);
        *octets = NULL;
        return CLI_REFUSED;
    }
    return CLI_OK;
}

/* ---- inspect ----------------------------------------------------------- */

struct inspect {
    bool json, any;
};

/* Identities in a message are anybody's text: no control character of theirs
 * reaches the terminal. */
static void
print_safe(const char *s)
{
    for (; *s; s++) {
        (void)putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
    }
}

static void
print_text(const struct mcx_field *f)
{
    if (f->start) {
        (void)printf("%s\n", f->payload);
    }
    (void)printf("  %5zu %4zu  %-22s ", f->at, f->size, f->name);
    print_safe(f->value);
    if (f->meaning && *f->meaning) {
        (void)printf("  -- %s", f->meaning);
    }
    if (f->clause && *f->clause) {
        (void)printf("  [%s]", f->clause);
    }
    (void)putchar('\n');
}

static void
print_json(struct inspect *in, const struct mcx_field *f)
{
    struct cli_json j;

    (void)fputs(in->any ? ",\n " : "\n ", stdout);
    in->any = true;
    cli_json_begin(&j, stdout);
    cli_json_text(&j, "payload", f->payload);
    cli_json_text(&j, "name", f->name);
    cli_json_number(&j, "offset", f->at);
    cli_json_number(&j, "size", f->size);
    cli_json_text(&j, "value", f->value);
    cli_json_text(&j, "meaning", f->meaning ? f->meaning : "");
    cli_json_text(&j, "clause", f->clause ? f->clause : "");
    cli_json_bool(&j, "start", f->start);
    (void)putchar('}');
}

static void
each_field(void *arg, const struct mcx_field *f)
{
    struct inspect *in = arg;

    if (in->json) {
        print_json(in, f);
    } else {
        print_text(f);
    }
}

static int
inspect(const struct args *a)
{
    struct inspect in = { .json = a->json };
    struct mcx_why why = { 0 };
    enum input_form form;
    uint8_t *octets;
    size_t n = 0;
    mcx_err err;
    int status = read_message(a, &octets, &n, &form, &why, &err);

    if (status == CLI_USAGE) {
        return status;
    }
    if (a->json) {
        (void)printf("{\"form\":\"%s\",\"size\":%zu,\"fields\":[",
                     input_form_word(form), octets ? n : 0);
    } else if (octets) {
        (void)printf("%zu octets, from %s\n offset size  field\n", n,
                     input_form_word(form));
    }
    if (status == CLI_OK) {
        err = mcx_mikey_describe(mcx_bytes(octets, n), each_field, &in, &why);
        status = err == MCX_OK ? CLI_OK : CLI_REFUSED;
    }
    if (a->json) {
        (void)fputs(in.any ? "\n]" : "]", stdout);
    }
    if (status == CLI_REFUSED) {
        explain(&why, err);
        if (a->json) {
            (void)printf(",\"verdict\":\"malformed\",\"reason\":\"%s\","
                         "\"payload\":\"%s\",\"offset\":%zu,\"clause\":\"%s\"",
                         mcx_reason_word(why.reason), why.payload, why.offset,
                         why.clause);
        }
        (void)fprintf(stderr, "%s: malformed, reason=%s payload=%s offset=%zu "
                      "clause=\"%s\" (%s)\n", TOOL,
                      mcx_reason_word(why.reason),
                      *why.payload ? why.payload : "-", why.offset,
                      why.clause, mcx_reason_text(why.reason));
    } else if (a->json) {
        (void)fputs(",\"verdict\":\"well-formed\"", stdout);
    }
    if (a->json) {
        (void)fputs("}\n", stdout);
    }
    free(octets);
    return status;
}

/* ---- keys -------------------------------------------------------------- */

static int
read_key(struct mcx_ssv *key, const char *option, const char *path)
{
    char *text = NULL;
    size_t n = 0, end;
    bool good = false;

    if (cli_read(path, 4096, &text, &n) != MCX_OK) {
        return cli_usage(TOOL, "%s: %s: cannot be read", option, path);
    }
    for (end = n; end > 0 && strchr(" \t\r\n", text[end - 1]) && text[end - 1];
         end--) {
    }
    if (n == MCX_SSV_SIZE) {
        memcpy(key->b, text, MCX_SSV_SIZE);
        good = true;
    } else if (end == 2 * MCX_SSV_SIZE) {
        good = mcx_hex_decode(key->b, MCX_SSV_SIZE, mcx_bytes(text, end),
                              NULL) == MCX_OK;
    }
    mcx_wipe(text, n);
    free(text);
    return good ? CLI_OK
                : cli_usage(TOOL, "%s: %s: expected 16 octets or 32 "
                            "hexadecimal digits", option, path);
}

/* ---- open -------------------------------------------------------------- */

static int
load_keys(struct mcx_ring **ring, const struct args *a,
          const struct mcx_env *env)
{
    struct mcx_text text = { "" };
    mcx_err err = mcx_ring_new(ring, env);

    if (err == MCX_OK) {
        mcx_ring_allow(*ring, a->peer & MCX_PEER_MONTHLY_TEL);
        err = mcx_kms_load_dir(*ring, a->keys, env, NULL, &text);
    }
    if (err != MCX_OK) {
        return cli_usage(TOOL, "--keys: %s",
                         text.s[0] ? text.s : mcx_err_text(err));
    }
    return CLI_OK;
}

static int
opened(const struct args *a, const struct mcx_key_msg *km)
{
    char time[MCX_RFC3339_SIZE], id[16], guk[16];
    char key[MCX_HEX_SIZE(MCX_SSV_SIZE)] = "";
    const char *kind = mcx_kind_word(km->kind);
    struct cli_json j;

    mcx_time_text(time, km->t_unix_ms);
    (void)snprintf(id, sizeof id, "%08lx", (unsigned long)km->key_id);
    (void)snprintf(guk, sizeof guk, "%08lx", (unsigned long)km->csb_id);
    if (a->secrets
        && mcx_hex_encode(key, sizeof key,
                          mcx_bytes(km->key.b, sizeof km->key.b))
               != MCX_OK) {
        return cli_usage(TOOL, "out of memory");
    }
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "verdict", "opened");
        cli_json_text(&j, "kind", kind ? kind : "?");
        cli_json_text(&j, "key_id", id);
        if (mcx_kind_diverse(km->kind, km->key_id, km->csb_id)) {
            cli_json_text(&j, "guk_id", guk);
        }
        cli_json_text(&j, "from", km->initiator);
        cli_json_text(&j, "to", km->responder);
        cli_json_text(&j, "time", time);
        if (a->secrets) {
            cli_json_text(&j, "key", key);
        }
        cli_json_end(&j);
    } else {
        (void)printf("verdict  opened\nkind     %s\nkey_id   %s\n",
                     kind ? kind : "?", id);
        if (mcx_kind_diverse(km->kind, km->key_id, km->csb_id)) {
            (void)printf("guk_id   %s\n", guk);
        }
        (void)fputs("from     ", stdout);
        print_safe(km->initiator);
        (void)fputs("\nto       ", stdout);
        print_safe(km->responder);
        (void)printf("\ntime     %s\n", time);
        if (a->secrets) {
            (void)printf("key      %s\n", key);
        }
    }
    mcx_wipe(key, sizeof key);
    return CLI_OK;
}

/* Judges the octets; the message struct is large, so it is not on the stack
 * of a tool that reads anything. */
static int
judge(const struct args *a, const struct mcx_env *env, struct mcx_ring *ring,
      struct mcx_bytes octets)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_mikey_msg *msg = calloc(1, sizeof *msg);
    struct mcx_open how = {
        .env = env, .ring = ring, .self = a->as, .from = a->from,
        .window = a->stored ? MCX_WINDOW_STORED : MCX_WINDOW_LIVE,
        .peer = a->peer,
    };
    struct mcx_why why = { 0 };
    mcx_err err;
    int status;
    size_t i;

    if (!msg) {
        return cli_usage(TOOL, "out of memory");
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
        err = mcx_mikey_open(&km, msg, &how, &why);
    }
    status = err == MCX_OK ? opened(a, &km) : refused(a, &why, err);
    free(msg);
    return status;
}

/* The GMK of --psk-file, for everything when it came without --psk-id. */
struct gmk {
    const struct args *a;
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
judge_gsk(const struct args *a, const struct mcx_env *env,
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
        return cli_usage(TOOL, "out of memory");
    }
    status = read_key(&key, "--psk-file", a->psk_file);
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

static int
open_message(struct args *a)
{
    struct mcx_env env = cli_env(a->at_given ? &a->at_ms : NULL);
    struct mcx_ring *ring = NULL;
    struct mcx_why why = { 0 };
    enum input_form form;
    uint8_t *octets = NULL;
    size_t n = 0;
    mcx_err err;
    int status;

    if (a->psk_file ? !a->keys != !a->from || a->as || a->stored || a->peer
                    : !a->keys || !a->as || a->psk_id_given) {
        return cli_usage(TOOL, "open: --keys DIR and --as URI are needed; or "
                         "--psk-file FILE, with both --keys and --from or "
                         "neither");
    }
    if (a->to || a->kind >= 0 || a->key_file || a->format || a->id_given
        || a->hide_i || a->hide_r || a->to_self) {
        return cli_usage(TOOL, "open: an option of build was given; see "
                         "%s --help", TOOL);
    }
    status = a->keys ? load_keys(&ring, a, &env) : CLI_OK;
    if (status == CLI_OK) {
        status = read_message(a, &octets, &n, &form, &why, &err);
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

/* ---- build ------------------------------------------------------------- */

static int
print_message(const struct args *a, const uint8_t *octets, size_t n,
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
        return cli_fail(TOOL, "%s", mcx_err_text(err));
    }
    if (strcmp(format, "csv") == 0) {
        (void)printf("%s;%s;%08lx;", a->from ? a->from : "",
                     a->to ? a->to : "", (unsigned long)key_id);
    }
    (void)printf("%s\n", text);
    return CLI_OK;
}

static int
check_build(const struct args *a)
{
    static const char *const formats[] = { "raw", "hex", "base64", "sdp",
                                           "csv" };
    size_t i;

    if (a->kind == MCX_KIND_GSK) {
        if (!a->psk_file || !a->psk_id_given || !a->keys != !a->from || a->to
            || a->peer || a->hide_i || a->hide_r || a->to_self) {
            return cli_usage(TOOL, "build: a gsk needs --psk-file FILE and "
                             "--psk-id HEX, takes --keys and --from "
                             "together, and nothing that only SAKKE has");
        }
    } else if (a->psk_file || a->psk_id_given) {
        return cli_usage(TOOL, "build: --psk-file and --psk-id go with "
                         "--kind gsk");
    } else if (!a->keys || !a->from || !a->to || a->kind < 0) {
        return cli_usage(TOOL, "build: --keys DIR, --from URI, --to URI and "
                         "--kind KIND are needed");
    }
    if (a->as || a->json || a->secrets || a->stored || a->file) {
        return cli_usage(TOOL, "build: an option of open or a file was "
                         "given; see %s --help", TOOL);
    }
    if (a->key_file && !a->id_given) {
        return cli_usage(TOOL, "build: --key-file needs --key-id HEX");
    }
    if (a->id_given && a->kind < MCX_KIND_COUNT
        && MCX_KEY_ID_KIND(a->key_id) != (unsigned)a->kind) {
        return cli_usage(TOOL, "--key-id: expected the purpose tag %d of a "
                         "%s as its first digit", a->kind,
                         mcx_kind_word((unsigned)a->kind));
    }
    for (i = 0; a->format && i < 5; i++) {
        if (strcmp(a->format, formats[i]) == 0) {
            return CLI_OK;
        }
    }
    return a->format ? cli_usage(TOOL, "--format: expected raw, hex, base64, "
                                 "sdp or csv, got \"%s\"", a->format)
                     : CLI_OK;
}

static int
build_gsk(const struct args *a, const struct mcx_env *env,
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
    };
    mcx_err err;
    int status = read_key(&gmk, "--psk-file", a->psk_file);

    if (status != CLI_OK) {
        return status;
    }
    err = mcx_gsk_build(octets, &n, &km, &how, &why);
    if (err == MCX_OK) {
        return print_message(a, octets, n, km.key_id);
    }
    return cli_usage(TOOL, "build: %s",
                     why.reason ? mcx_reason_text(why.reason)
                                : mcx_err_text(err));
}

static int
build(struct args *a)
{
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_ssv, key);
    struct mcx_env env = cli_env(a->at_given ? &a->at_ms : NULL);
    struct mcx_ring *ring = NULL;
    uint8_t octets[BUILD_ROOM];
    size_t n = sizeof octets;
    struct mcx_why why = { 0 };
    struct mcx_build how = {
        .env = &env, .kind = (unsigned)a->kind, .from = a->from, .to = a->to,
        .key_id = a->key_id, .id_given = a->id_given,
        .at_unix_ms = a->at_given ? a->at_ms : 0, .peer = a->peer,
        .hide_initiator = a->hide_i, .hide_responder = a->hide_r,
        .sakke_to_self = a->to_self,
    };
    mcx_err err;
    int status = check_build(a);

    if (status == CLI_OK && a->key_file) {
        how.key = &key;
        status = read_key(&key, "--key-file", a->key_file);
    }
    if (status == CLI_OK && a->keys) {
        status = load_keys(&ring, a, &env);
    }
    if (status == CLI_OK && a->kind == MCX_KIND_GSK) {
        status = build_gsk(a, &env, ring, how.key);
    } else if (status == CLI_OK) {
        how.ring = ring;
        err = mcx_mikey_build(octets, &n, &km, &how, &why);
        if (err == MCX_E_NO_IDENTITY || err == MCX_E_NO_PERIOD
            || err == MCX_E_ARG) {
            status = cli_usage(TOOL, "build: %s (expected in --keys: the "
                               "keys of %s for that time, and the "
                               "certificate of the KMS of %s)",
                               why.reason ? mcx_reason_text(why.reason)
                                          : mcx_err_text(err),
                               a->from, a->to);
        } else if (err != MCX_OK) {
            status = cli_fail(TOOL, "build: %s",
                              why.reason ? mcx_reason_text(why.reason)
                                         : mcx_err_text(err));
        } else {
            status = print_message(a, octets, n, km.key_id);
        }
    }
    mcx_ring_free(ring);
    return status;
}

/* ---- arguments --------------------------------------------------------- */

static const struct option long_opts[] = {
    { "keys", required_argument, NULL, 'k' },
    { "as", required_argument, NULL, 's' },
    { "from", required_argument, NULL, 'f' },
    { "to", required_argument, NULL, 't' },
    { "at", required_argument, NULL, 'a' },
    { "stored", no_argument, NULL, 'd' },
    { "kind", required_argument, NULL, 'K' },
    { "key-file", required_argument, NULL, 'y' },
    { "key-id", required_argument, NULL, 'i' },
    { "psk-file", required_argument, NULL, 'P' },
    { "psk-id", required_argument, NULL, 'D' },
    { "format", required_argument, NULL, 'F' },
    { "peer", required_argument, NULL, 'p' },
    { "hide-initiator", no_argument, NULL, 'I' },
    { "hide-responder", no_argument, NULL, 'R' },
    { "sakke-to-self", no_argument, NULL, 'L' },
    { "json", no_argument, NULL, 'j' },
    { "show-secrets", no_argument, NULL, 'S' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static bool
take_uri(const char **out, const char *option)
{
    if (!cli_uri(optarg)) {
        (void)cli_usage(TOOL, "%s: expected a URI of at most %d octets, got "
                        "\"%s\"", option, MCX_URI_MAX - 1, optarg);
        return false;
    }
    *out = optarg;
    return true;
}

static bool
take_key_id(const char *option, uint32_t *id, bool *given)
{
    uint8_t b[4];

    if (strlen(optarg) != 8
        || mcx_hex_decode(b, sizeof b, mcx_bytes_str(optarg), NULL)
               != MCX_OK) {
        (void)cli_usage(TOOL, "%s: expected 8 hexadecimal digits, got "
                        "\"%s\"", option, optarg);
        return false;
    }
    *id = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8
          | b[3];
    *given = true;
    return true;
}

static bool
take_word(struct args *a, int c)
{
    unsigned bit;

    if (c == 'K') {
        a->kind = mcx_kind_parse(optarg);
        /* An SPK, for one, is never carried in a message. */
        if (a->kind >= 0
            && mcx_kind_info((unsigned)a->kind)->carrier
                   == MCX_CARRIER_HAND) {
            a->kind = -1;
        }
        if (a->kind < 0) {
            (void)cli_usage(TOOL, "--kind: expected gmk, pck, csk, "
                            "mkfc, mscck, musik or gsk, got \"%s\"", optarg);
        }
        return a->kind >= 0;
    }
    bit = mcx_peer_option_parse(optarg);
    if (!bit) {
        (void)cli_usage(TOOL, "--peer: expected the name of a peer option, "
                        "got \"%s\"", optarg);
    }
    a->peer |= bit;
    return bit != 0;
}

static bool
take_option(struct args *a, int c)
{
    switch (c) {
    case 'k':
        a->keys = optarg;
        return true;
    case 's':
        return take_uri(&a->as, "--as");
    case 'f':
        return take_uri(&a->from, "--from");
    case 't':
        return take_uri(&a->to, "--to");
    case 'a':
        a->at_given = true;
        return cli_time(TOOL, "--at", optarg, &a->at_ms);
    case 'd':
        return a->stored = true;
    case 'K':
    case 'p':
        return take_word(a, c);
    case 'y':
        a->key_file = optarg;
        return true;
    case 'i':
        return take_key_id("--key-id", &a->key_id, &a->id_given);
    case 'P':
        a->psk_file = optarg;
        return true;
    case 'D':
        return take_key_id("--psk-id", &a->psk_id, &a->psk_id_given);
    case 'F':
        a->format = optarg;
        return true;
    case 'I':
        return a->hide_i = true;
    case 'R':
        return a->hide_r = true;
    case 'L':
        return a->to_self = true;
    case 'j':
        return a->json = true;
    case 'S':
        return a->secrets = true;
    default:
        (void)cli_usage(TOOL, "unknown option or missing value; see %s "
                        "--help", TOOL);
        return false;
    }
}

static int
run(struct args *a, const char *what)
{
    if (strcmp(what, "inspect") == 0) {
        if (a->keys || a->as || a->from || a->to || a->kind >= 0
            || a->at_given || a->secrets || a->stored || a->key_file
            || a->format || a->id_given || a->peer || a->hide_i
            || a->hide_r || a->to_self || a->psk_file || a->psk_id_given) {
            return cli_usage(TOOL, "inspect: expected only --json and a "
                             "file");
        }
        return inspect(a);
    }
    if (strcmp(what, "open") != 0 && strcmp(what, "build") != 0) {
        return cli_usage(TOOL, "expected inspect, open or build, got \"%s\"",
                         what);
    }
    if (mcx_ident_selftest() != MCX_OK) {
        return cli_usage(TOOL, "self-test failed");
    }
    return strcmp(what, "open") == 0 ? open_message(a) : build(a);
}

int
main(int argc, char **argv)
{
    struct args a = { .kind = -1 };
    int c, status;

    /* Nobody reading our output is an error like another, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
        if (c == 'h' || c == 'V') {
            (void)fputs(c == 'h' ? HELP : "mcx-mikey " PACKAGE_VERSION "\n",
                        stdout);
            return cli_flush() ? CLI_OK : CLI_USAGE;
        }
        if (!take_option(&a, c)) {
            return CLI_USAGE;
        }
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return cli_usage(TOOL, "expected inspect, open or build and at most "
                         "one file; see %s --help", TOOL);
    }
    a.file = argc - optind == 2 ? argv[optind + 1] : NULL;
    status = run(&a, argv[optind]);
    if (!cli_flush()) {
        return cli_usage(TOOL, "standard output cannot be written");
    }
    return status;
}
