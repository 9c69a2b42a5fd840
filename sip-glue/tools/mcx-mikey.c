/* mcx-mikey.c -- looks into MIKEY messages, opens them, makes them.
 *
 * For people and for tests: `inspect` prints every field of any message,
 * `open` judges one as a receiver would and says why not, `build` makes one,
 * `kinds` lists what can be made.  All judging is the library's; here are the
 * arguments and what the commands share, the commands are in mikey_*.c.
 * Whatever the octets are, the exit status is 0, 1 or 2.  See mcx-mikey.1. */
#include <config.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include "mikey.h"

static const char HELP[] =
    "Usage: mcx-mikey inspect [--json] [FILE|-]\n"
    "       mcx-mikey kinds [--json]\n"
    "       mcx-mikey open --keys DIR --as URI... [--from URI] [--to URI]\n"
    "                      [--at TIME] [--stored] [--peer OPTION]...\n"
    "                      [--json] [--show-secrets] [FILE|-]\n"
    "       mcx-mikey build --keys DIR --from URI --to URI --kind KIND\n"
    "                      [--to-kms URI] [--key-file FILE] [--key-id HEX]\n"
    "                      [--rand HEX] [--at TIME] [--format FORM]\n"
    "                      [--hide-initiator] [--hide-responder]\n"
    "                      [--sakke-to-self] [--peer OPTION]...\n"
    "                      [--policy WORD] [--cs-id N] [PARAMETERS]\n"
    "       mcx-mikey open --psk-file FILE [--psk-id HEX]\n"
    "                      [--keys DIR --from URI] [--at TIME] [--json]\n"
    "                      [--show-secrets] [FILE|-]\n"
    "       mcx-mikey build --kind gsk --psk-file FILE --psk-id HEX\n"
    "                      [--keys DIR --from URI] [--key-file FILE]\n"
    "                      [--key-id HEX] [--rand HEX] [--at TIME]\n"
    "                      [--prf WORD] [--ssrc HEX]... [--policy WORD]\n"
    "                      [--no-mki] [--hide-psk-id] [--format FORM]\n"
    "\n"
    "inspect  prints each field with offset, value, meaning and clause\n"
    "kinds    lists the kinds of keys\n"
    "open     judges the message as URI would on receiving it\n"
    "build    makes a signed message\n"
    "\n"
    "The input is raw octets, hexadecimal, base64, an SDP line, a whole SDP\n"
    "or a whole SIP message; - or nothing is standard input.\n"
    "\n"
    "  --keys DIR       folder of KMS documents, *.xml\n"
    "  --as URI         who we are; with several, whoever it is for\n"
    "  --from URI       open: who signalling says the sender is\n"
    "                   build: the sender\n"
    "  --to URI         build: the receiver\n"
    "                   open: whom signalling says it was for, when we are\n"
    "                   the sender and the receiver is hidden\n"
    "  --to-kms URI     the receiver's KMS, when it is not the one known\n"
    "  --at TIME        the clock, RFC 3339 (now)\n"
    "  --stored         accept the time of a stored document\n"
    "  --kind KIND      one that `kinds` lists: gmk pck csk mkfc mscck\n"
    "                   musik gsk\n"
    "  --key-file FILE  the key: 16 octets, or 32 hexadecimal digits\n"
    "  --key-id HEX     its ID, 8 hexadecimal digits\n"
    "  --rand HEX       RAND, 32 hexadecimal digits (random)\n"
    "  --psk-file FILE  gsk: the GMK, in the forms of --key-file\n"
    "  --psk-id HEX     gsk: the GMK's ID, 8 hexadecimal digits\n"
    "  --hide-psk-id    gsk: the message does not name its GMK\n"
    "  --prf WORD       gsk: mikey-1 (default) or hmac-sha-256\n"
    "  --ssrc HEX       gsk: SSRC of a crypto session; may be repeated\n"
    "  --no-mki         gsk: the key data have no MKI\n"
    "  --policy WORD    SRTP policy gcm, gcm-rcc or aes-cm (the kind's);\n"
    "                   but for a gsk it needs --peer rel13-map\n"
    "  --cs-id N        first CS-ID of the map, with --peer rel13-map\n"
    "  --format FORM    raw (default), hex, base64, sdp or csv\n"
    "  --peer OPTION    a peer option, such as sign-without-header\n"
    "  --json           JSON\n"
    "  --show-secrets   open: print the key\n"
    "  --help, --version\n"
    "\n"
    "PARAMETERS, any of which adds the payload of key parameters:\n"
    "  --status WORD      live (default), shared (with a security gateway)\n"
    "                     or revoked\n"
    "  --activation TIME  from when on the key sends (from its T on)\n"
    "  --expiry TIME      when it ends (never)\n"
    "  --text TEXT        its name\n"
    "  --group URI        a group it is for; may be repeated\n"
    "  --params-form a|b  protected (default), or in clear for old gateways\n"
    "\n"
    "Exit status: 0 done (open: opened), 1 refused, 2 usage or\n"
    "configuration.\n";

/* ---- refusals ---------------------------------------------------------- */

void
mikey_explain(struct mcx_why *why, mcx_err err)
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

void
mikey_say(const char *verdict, const struct mcx_why *why)
{
    (void)fprintf(stderr, "%s: %s, reason=%s payload=%s offset=%zu "
                  "clause=\"%s\" (%s)\n", MIKEY_TOOL, verdict,
                  mcx_reason_word(why->reason),
                  *why->payload ? why->payload : "-", why->offset,
                  why->clause, mcx_reason_text(why->reason));
}

void
mikey_print(const char *s)
{
    for (; *s; s++) {
        (void)putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
    }
}

/* ---- input ------------------------------------------------------------- */

int
mikey_input(const struct mikey_args *a, uint8_t **octets, size_t *n,
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
        return cli_usage(MIKEY_TOOL, "%s: expected a file that can be read",
                         strcmp(path, "-") == 0 ? "standard input" : path);
    }
    *octets = malloc(INPUT_MIKEY_MAX);
    if (!*octets) {
        free(in);
        return cli_usage(MIKEY_TOOL, "out of memory");
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

int
mikey_key(struct mcx_ssv *key, const char *option, const char *path)
{
    char *text = NULL;
    size_t n = 0, end;
    bool good = false;

    if (cli_read(path, 4096, &text, &n) != MCX_OK) {
        return cli_usage(MIKEY_TOOL, "%s: %s: cannot be read", option, path);
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
                : cli_usage(MIKEY_TOOL, "%s: %s: expected 16 octets or 32 "
                            "hexadecimal digits", option, path);
}

int
mikey_load(struct mcx_ring **ring, const struct mikey_args *a,
           const struct mcx_env *env)
{
    struct mcx_text text = { "" };
    mcx_err err = mcx_ring_new(ring, env);

    if (err == MCX_OK) {
        mcx_ring_allow(*ring, a->peer & MCX_PEER_MONTHLY_TEL);
        err = mcx_kms_load_dir(*ring, a->keys, env, NULL, &text);
    }
    if (err != MCX_OK) {
        return cli_usage(MIKEY_TOOL, "--keys: %s",
                         text.s[0] ? text.s : mcx_err_text(err));
    }
    return CLI_OK;
}

/* ---- arguments --------------------------------------------------------- */

/* What an option goes with; SAKKE and pre-shared key messages differ. */
enum {
    C_INSPECT = 1, C_KINDS = 2, C_OPEN_SAKKE = 4, C_OPEN_PSK = 8,
    C_BUILD_SAKKE = 16, C_BUILD_PSK = 32, C_OPEN = C_OPEN_SAKKE | C_OPEN_PSK,
    C_BUILD = C_BUILD_SAKKE | C_BUILD_PSK,
    C_SAKKE = C_OPEN_SAKKE | C_BUILD_SAKKE, C_PSK = C_OPEN_PSK | C_BUILD_PSK
};

enum opt {
    O_KEYS, O_AS, O_FROM, O_TO, O_TO_KMS, O_AT, O_STORED, O_KIND, O_KEY_FILE,
    O_KEY_ID, O_RAND, O_PSK_FILE, O_PSK_ID, O_HIDE_PSK_ID, O_PRF, O_SSRC,
    O_NO_MKI, O_POLICY, O_CS_ID, O_FORMAT, O_PEER, O_HIDE_I, O_HIDE_R,
    O_TO_SELF, O_JSON, O_SECRETS, O_STATUS, O_ACTIVATION, O_EXPIRY, O_TEXT,
    O_GROUP, O_PARAMS_FORM, O_HELP, O_VERSION, O_COUNT
};

static const struct {
    const char *name;
    unsigned commands;
    bool value;
} opts[O_COUNT] = {
    [O_KEYS] = { "keys", C_OPEN | C_BUILD, true },
    [O_AS] = { "as", C_OPEN_SAKKE, true },
    [O_FROM] = { "from", C_OPEN | C_BUILD, true },
    [O_TO] = { "to", C_SAKKE, true },
    [O_TO_KMS] = { "to-kms", C_BUILD_SAKKE, true },
    [O_AT] = { "at", C_OPEN | C_BUILD, true },
    [O_STORED] = { "stored", C_OPEN_SAKKE, false },
    [O_KIND] = { "kind", C_BUILD, true },
    [O_KEY_FILE] = { "key-file", C_BUILD, true },
    [O_KEY_ID] = { "key-id", C_BUILD, true },
    [O_RAND] = { "rand", C_BUILD, true },
    [O_PSK_FILE] = { "psk-file", C_PSK, true },
    [O_PSK_ID] = { "psk-id", C_PSK, true },
    [O_HIDE_PSK_ID] = { "hide-psk-id", C_BUILD_PSK, false },
    [O_PRF] = { "prf", C_BUILD_PSK, true },
    [O_SSRC] = { "ssrc", C_BUILD_PSK, true },
    [O_NO_MKI] = { "no-mki", C_BUILD_PSK, false },
    [O_POLICY] = { "policy", C_BUILD, true },
    [O_CS_ID] = { "cs-id", C_BUILD_SAKKE, true },
    [O_FORMAT] = { "format", C_BUILD, true },
    [O_PEER] = { "peer", C_SAKKE | C_PSK, true },
    [O_HIDE_I] = { "hide-initiator", C_BUILD_SAKKE, false },
    [O_HIDE_R] = { "hide-responder", C_BUILD_SAKKE, false },
    [O_TO_SELF] = { "sakke-to-self", C_BUILD_SAKKE, false },
    [O_JSON] = { "json", C_INSPECT | C_KINDS | C_OPEN, false },
    [O_SECRETS] = { "show-secrets", C_OPEN, false },
    [O_STATUS] = { "status", C_BUILD_SAKKE, true },
    [O_ACTIVATION] = { "activation", C_BUILD_SAKKE, true },
    [O_EXPIRY] = { "expiry", C_BUILD_SAKKE, true },
    [O_TEXT] = { "text", C_BUILD_SAKKE, true },
    [O_GROUP] = { "group", C_BUILD_SAKKE, true },
    [O_PARAMS_FORM] = { "params-form", C_BUILD_SAKKE, true },
    [O_HELP] = { "help", ~0u, false },
    [O_VERSION] = { "version", ~0u, false },
};

static bool
wrong(const char *name, const char *expected)
{
    (void)cli_usage(MIKEY_TOOL, "--%s: expected %s, got \"%s\"", name,
                    expected, optarg);
    return false;
}

static bool
take_uri(const char **out, const char *name)
{
    if (!cli_uri(optarg)) {
        (void)cli_usage(MIKEY_TOOL, "--%s: expected a URI of at most %d "
                        "octets, got \"%s\"", name, MCX_URI_MAX - 1, optarg);
        return false;
    }
    *out = optarg;
    return true;
}

static bool
take_self(struct mikey_args *a, const char *name)
{
    if (a->n_as == MIKEY_SELVES) {
        return wrong(name, "at most 8 of them");
    }
    return take_uri(&a->as[a->n_as++], name);
}

static bool
take_hex32(uint32_t *id, const char *name)
{
    uint8_t b[4];

    if (strlen(optarg) != 8
        || mcx_hex_decode(b, sizeof b, mcx_bytes_str(optarg), NULL)
               != MCX_OK) {
        return wrong(name, "8 hexadecimal digits");
    }
    *id = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8
          | b[3];
    return true;
}

static bool
take_rand(struct mikey_args *a, const char *name)
{
    a->rand_given = strlen(optarg) == 2 * sizeof a->rand
                    && mcx_hex_decode(a->rand, sizeof a->rand,
                                      mcx_bytes_str(optarg), NULL)
                           == MCX_OK;
    return a->rand_given || wrong(name, "32 hexadecimal digits");
}

static bool
take_ssrc(struct mikey_args *a, const char *name)
{
    if (a->n_ssrc == MCX_MIKEY_CS_MAX) {
        return wrong(name, "at most 32 of them");
    }
    return take_hex32(&a->ssrc[a->n_ssrc++], name);
}

/* An SPK, for one, is never carried in a message. */
static bool
take_kind(struct mikey_args *a, const char *name)
{
    const struct mcx_kind_info *k;
    char list[256] = "one of:";
    size_t i, n = strlen(list);

    for (i = 0; (k = mcx_kind_each(i)) != NULL; i++) {
        if (k->carrier == MCX_CARRIER_HAND) {
            continue;
        }
        if (strcmp(k->word, optarg) == 0) {
            a->kind = k;
            return true;
        }
        if (n < sizeof list) {
            n += (size_t)snprintf(list + n, sizeof list - n, " %s", k->word);
        }
    }
    return wrong(name, list);
}

static bool
take_peer(struct mikey_args *a, const char *name)
{
    unsigned bit = mcx_peer_option_parse(optarg);

    a->peer |= bit;
    return bit != 0 || wrong(name, "the name of a peer option");
}

static bool
take_prf(struct mikey_args *a, const char *name)
{
    if (strcmp(optarg, "hmac-sha-256") == 0) {
        a->prf = MCX_PRF_HMAC_SHA256;
    } else if (strcmp(optarg, "mikey-1") == 0) {
        a->prf = MCX_PRF_MIKEY_1;
    } else {
        return wrong(name, "mikey-1 or hmac-sha-256");
    }
    return true;
}

static bool
take_cs_id(struct mikey_args *a, const char *name)
{
    uint64_t v = 0;

    (void)name;
    a->cs_id_given = cli_number(MIKEY_TOOL, "--cs-id", optarg, 0, 254, &v);
    a->cs_id = (uint8_t)v;
    return a->cs_id_given;
}

static bool
take_policy(struct mikey_args *a, const char *name)
{
    a->sp_given = mcx_sp_profile_parse(&a->sp, optarg);
    return a->sp_given || wrong(name, "gcm, gcm-rcc or aes-cm");
}

/* ---- key parameters ---------------------------------------------------- */

static bool
take_status(struct mcx_key_params *p, const char *name)
{
    static const struct {
        const char *word;
        uint32_t status;
    } words[] = { { "revoked", 0 }, { "live", 1 }, { "shared", 3 } };
    size_t i;

    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, optarg) == 0) {
            p->status = words[i].status;
            return true;
        }
    }
    return wrong(name, "live, shared or revoked");
}

static bool
take_unix(int64_t *out, const char *name)
{
    char option[32];
    int64_t ms = 0;

    (void)snprintf(option, sizeof option, "--%s", name);
    if (!cli_time(MIKEY_TOOL, option, optarg, &ms)) {
        return false;
    }
    *out = ms / 1000;
    /* 0 has a meaning of its own; 40 bits end in the year 36812. */
    return *out > 0 || wrong(name, "a time after 1970");
}

static bool
take_text(char *out, size_t room, const char *name)
{
    size_t n = strlen(optarg);

    if (n == 0 || n >= room) {
        return wrong(name, "1 to 255 octets");
    }
    memcpy(out, optarg, n + 1);
    return true;
}

static bool
take_group(struct mcx_key_params *p, const char *name)
{
    if (p->n_groups == MCX_GROUPS_MAX) {
        return wrong(name, "at most 16 of them");
    }
    return take_text(p->group[p->n_groups++], MCX_GROUP_ID_MAX, name);
}

/* SPEC TS 33.180 E.6: form C is of one version of release 13 (DECISIONS). */
static bool
take_form(struct mikey_args *a, const char *name)
{
    if (strcmp(optarg, "a") == 0) {
        a->params_form = MCX_PARAMS_FORM_A;
    } else if (strcmp(optarg, "b") == 0) {
        a->params_form = MCX_PARAMS_FORM_B;
    } else {
        return wrong(name, "a (protected) or b (in clear)");
    }
    return true;
}

static bool
take_param(struct mikey_args *a, enum opt o)
{
    struct mcx_key_params *p = &a->params;
    const char *name = opts[o].name;

    a->params_given = true;
    switch (o) {
    case O_STATUS:
        return take_status(p, name);
    case O_ACTIVATION:
        return take_unix(&p->activation_unix, name);
    case O_EXPIRY:
        return take_unix(&p->expiry_unix, name);
    case O_TEXT:
        return take_text(p->text, sizeof p->text, name);
    case O_GROUP:
        return take_group(p, name);
    default:
        return take_form(a, name);
    }
}

/* ---- every option ------------------------------------------------------ */

static bool
take_value(struct mikey_args *a, enum opt o)
{
    const char *name = opts[o].name;

    switch (o) {
    case O_KEYS:
        a->keys = optarg;
        return true;
    case O_AS:
        return take_self(a, name);
    case O_FROM:
        return take_uri(&a->from, name);
    case O_TO:
        return take_uri(&a->to, name);
    case O_TO_KMS:
        return take_uri(&a->to_kms, name);
    case O_AT:
        a->at_given = true;
        return cli_time(MIKEY_TOOL, "--at", optarg, &a->at_ms);
    case O_KIND:
        return take_kind(a, name);
    case O_KEY_FILE:
        a->key_file = optarg;
        return true;
    case O_KEY_ID:
        return a->id_given = take_hex32(&a->key_id, name);
    case O_RAND:
        return take_rand(a, name);
    case O_PSK_FILE:
        a->psk_file = optarg;
        return true;
    case O_PSK_ID:
        return a->psk_id_given = take_hex32(&a->psk_id, name);
    case O_PRF:
        return take_prf(a, name);
    case O_SSRC:
        return take_ssrc(a, name);
    case O_POLICY:
        return take_policy(a, name);
    case O_CS_ID:
        return take_cs_id(a, name);
    case O_FORMAT:
        a->format = optarg;
        return true;
    case O_PEER:
        return take_peer(a, name);
    default:
        return take_param(a, o);
    }
}

static void
take_flag(struct mikey_args *a, enum opt o)
{
    a->stored |= o == O_STORED;
    a->hide_psk_id |= o == O_HIDE_PSK_ID;
    a->no_mki |= o == O_NO_MKI;
    a->hide_i |= o == O_HIDE_I;
    a->hide_r |= o == O_HIDE_R;
    a->to_self |= o == O_TO_SELF;
    a->json |= o == O_JSON;
    a->secrets |= o == O_SECRETS;
}

/* ---- the whole --------------------------------------------------------- */

static unsigned
command(const struct mikey_args *a, const char *what)
{
    if (strcmp(what, "inspect") == 0) {
        return C_INSPECT;
    }
    if (strcmp(what, "kinds") == 0) {
        return C_KINDS;
    }
    if (strcmp(what, "open") == 0) {
        return a->psk_file ? C_OPEN_PSK : C_OPEN_SAKKE;
    }
    if (strcmp(what, "build") == 0) {
        return a->kind && a->kind->carrier == MCX_CARRIER_PSK
                   ? C_BUILD_PSK
                   : C_BUILD_SAKKE;
    }
    return 0;
}

static int
run(const struct mikey_args *a, const char *what, const bool given[O_COUNT])
{
    unsigned c = command(a, what);
    size_t o;

    if (c == 0) {
        return cli_usage(MIKEY_TOOL, "expected inspect, kinds, open or "
                         "build, got \"%s\"", what);
    }
    if (c == C_BUILD_SAKKE && !a->kind) {
        return cli_usage(MIKEY_TOOL, "build: --kind KIND is needed; see "
                         "%s kinds", MIKEY_TOOL);
    }
    for (o = 0; o < O_COUNT; o++) {
        if (given[o] && !(opts[o].commands & c)) {
            return cli_usage(MIKEY_TOOL, "--%s does not go with %s%s; see %s "
                             "--help", opts[o].name, what,
                             c == C_OPEN_PSK ? " --psk-file"
                             : c & C_BUILD   ? " of this kind"
                                             : "",
                             MIKEY_TOOL);
        }
    }
    if (c == C_INSPECT || c == C_KINDS) {
        return (c == C_INSPECT ? mikey_inspect : mikey_kinds)(a);
    }
    if (mcx_ident_selftest() != MCX_OK) {
        return cli_usage(MIKEY_TOOL, "self-test failed");
    }
    return (c & C_OPEN ? mikey_open : mikey_build)(a);
}

int
main(int argc, char **argv)
{
    /* Key parameters are of a live key when nothing is said of its status. */
    static struct mikey_args a = { .params.status = 1 };
    struct option long_opts[O_COUNT + 1] = { { 0 } };
    bool given[O_COUNT] = { false };
    int c, i, status;

    for (i = 0; i < O_COUNT; i++) {
        long_opts[i] = (struct option){
            opts[i].name, opts[i].value ? required_argument : no_argument,
            NULL, 256 + i
        };
    }
    /* Nobody reading our output is an error like another, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
        int o = c - 256;

        if (o < 0 || o >= O_COUNT) {
            return cli_usage(MIKEY_TOOL, "unknown option or missing value; "
                             "see %s --help", MIKEY_TOOL);
        }
        if (o == O_HELP || o == O_VERSION) {
            (void)fputs(o == O_HELP ? HELP : "mcx-mikey " PACKAGE_VERSION
                                             "\n", stdout);
            return cli_flush() ? CLI_OK : CLI_USAGE;
        }
        given[o] = true;
        if (!opts[o].value) {
            take_flag(&a, (enum opt)o);
        } else if (!take_value(&a, (enum opt)o)) {
            return CLI_USAGE;
        }
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return cli_usage(MIKEY_TOOL, "expected inspect, kinds, open or build "
                         "and at most one file; see %s --help", MIKEY_TOOL);
    }
    a.file = argc - optind == 2 ? argv[optind + 1] : NULL;
    status = run(&a, argv[optind], given);
    if (!cli_flush()) {
        return cli_usage(MIKEY_TOOL, "standard output cannot be written");
    }
    return status;
}
