/* mcx-keys.c -- looks into a key store, takes keys out of it, and puts in
 * those that both ends have on paper.
 *
 * For people and their scripts; also while a host has the store open, which
 * hears of it within two seconds.  Shows no octet of a key, whatever the
 * option: there is no function for that.  The store itself is module store's
 * (mcx_store.h).  See mcx-keys.1. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sofia-mcx/mcx_store.h>
#include "cli.h"

static const char TOOL[] = "mcx-keys";

static const char HELP[] =
    "Usage: mcx-keys new-key FILE\n"
    "       mcx-keys list STORE KEY [--kind K] [--impu URI] [--mc-id URI]\n"
    "       mcx-keys show ID STORE KEY\n"
    "       mcx-keys revoke ID STORE KEY\n"
    "       mcx-keys wipe ID|all STORE KEY [--impu URI] [--mc-id URI]\n"
    "       mcx-keys add FILE STORE KEY\n"
    "       mcx-keys rekey STORE KEY NEWKEY\n"
    "       mcx-keys export-log STORE KEY [--after N]\n"
    "       mcx-keys log verify STORE KEY [--head N:MAC]\n"
    "       mcx-keys log head | log rotate STORE KEY\n"
    "\n"
    "new-key     draws a key-encryption key and writes it into a new file\n"
    "list        the keys of a store, one a line\n"
    "show        all that may be known of a key\n"
    "revoke      takes a key out for good: it is not accepted again\n"
    "wipe        takes a key out, or all that fit\n"
    "add         puts in a key that both ends have on paper (an SPK); FILE\n"
    "            says kind, id, key, rand, self, peer and, if it ends,\n"
    "            expires\n"
    "rekey       puts the store under another key-encryption key; no host\n"
    "            may have it open\n"
    "export-log  the audit log, one entry a line\n"
    "log verify  checks that no entry was changed, added or taken out\n"
    "log head    where the log ends, to be noted elsewhere\n"
    "log rotate  moves the log so far into a file beside the store\n"
    "\n"
    "STORE is    --store FILE\n"
    "KEY is one of\n"
    "  --key-file FILE         32 octets or 64 hexadecimal digits\n"
    "  --passphrase-file FILE\n"
    "NEWKEY is one of\n"
    "  --new-key-file FILE, --new-passphrase-file FILE\n"
    "\n"
    "  --kind K     gmk, csk, spk or musik; with ID: its kind where the ID\n"
    "               does not say it\n"
    "  --impu URI   only keys bound to this IMPU\n"
    "  --mc-id URI  only keys bound to this MC service ID\n"
    "  --after N    only entries after number N\n"
    "  --head N:MAC what `log head` said before\n"
    "  --log-files N  log rotate: how many files are kept (50)\n"
    "  --json       one object a line\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done, 2 usage or configuration, 1 anything else (no such\n"
    "key, wrong key-encryption key, rows or log not as they were written).\n";

struct args {
    const char *store, *key_file, *passphrase_file, *kind, *head;
    const char *new_key_file, *new_passphrase_file;
    uint64_t log_files;
    const char *id_text;
    struct mcx_hand *hand; /* add: what the paper says */
    struct mcx_store_find find;
    uint64_t after;
    bool json;
};

static const struct option long_opts[] = {
    { "store", required_argument, NULL, 's' },
    { "key-file", required_argument, NULL, 'k' },
    { "passphrase-file", required_argument, NULL, 'p' },
    { "kind", required_argument, NULL, 'K' },
    { "impu", required_argument, NULL, 'i' },
    { "mc-id", required_argument, NULL, 'm' },
    { "after", required_argument, NULL, 'a' },
    { "head", required_argument, NULL, 'H' },
    { "new-key-file", required_argument, NULL, 'n' },
    { "new-passphrase-file", required_argument, NULL, 'N' },
    { "log-files", required_argument, NULL, 'f' },
    { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 }
};

/* ---- text -------------------------------------------------------------- */

/* A name on a terminal: one word, nothing that moves the cursor. */
static void
word(const char *s)
{
    (void)putchar(' ');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        (void)putchar(c <= 0x20 || c == 0x7f ? '?' : c);
    }
}

static void
name(const char *label, const char *s)
{
    if (*s) {
        (void)printf(" %s", label);
        (void)putchar('=');
        for (; *s; s++) {
            unsigned char c = (unsigned char)*s;

            (void)putchar(c <= 0x20 || c == 0x7f ? '?' : c);
        }
    }
}

static const char *
kind_of(unsigned kind)
{
    const char *text = mcx_kind_word(kind);

    return text ? text : "?";
}

static void
json_time(struct cli_json *j, const char *label, int64_t unix_ms)
{
    char text[MCX_RFC3339_SIZE];

    if (unix_ms != 0) {
        mcx_time_text(text, unix_ms);
        cli_json_text(j, label, text);
    }
}

static void
json_id(struct cli_json *j, uint32_t id)
{
    char text[12];

    (void)snprintf(text, sizeof text, "%08lx", (unsigned long)id);
    cli_json_text(j, "id", text);
}

/* ---- list and show ----------------------------------------------------- */

struct listing {
    const struct args *a;
    bool all; /* every field */
    size_t n;
};

static void
row_json(const struct mcx_store_key *key, bool all)
{
    const struct mcx_key_info *i = &key->info;
    struct cli_json j;

    cli_json_begin(&j, stdout);
    cli_json_text(&j, "kind", kind_of(i->kind));
    json_id(&j, i->key_id);
    cli_json_text(&j, "state", mcx_key_state_word(i->state));
    json_time(&j, "since", i->since_unix_ms);
    cli_json_text(&j, "impu", i->owner.impu);
    cli_json_text(&j, "mc_id", i->owner.mc_id);
    cli_json_text(&j, "initiator", i->initiator);
    cli_json_text(&j, "responder", i->responder);
    if (all) {
        cli_json_text(&j, "client_id", i->owner.client_id);
        cli_json_bool(&j, "ours", i->ours);
        json_time(&j, "message", i->t_unix_ms);
        json_time(&j, "activation", i->activation_unix_ms);
        json_time(&j, "expiry", i->expiry_unix_ms);
        json_time(&j, "wipe", key->wipe_unix_ms);
        cli_json_number(&j, "key_octets", i->sp.key_size);
        cli_json_number(&j, "salt_octets", i->sp.salt_size);
    }
    cli_json_end(&j);
}

static void
line_time(const char *label, int64_t unix_ms)
{
    char text[MCX_RFC3339_SIZE];

    if (unix_ms != 0) {
        mcx_time_text(text, unix_ms);
        (void)printf("%-12s%s\n", label, text);
    }
}

static void
line_text(const char *label, const char *s)
{
    if (*s) {
        (void)printf("%-11s", label);
        word(s);
        (void)putchar('\n');
    }
}

static void
row_whole(const struct mcx_store_key *key)
{
    const struct mcx_key_info *i = &key->info;

    (void)printf("%-12s%s\n%-12s%08lx\n%-12s%s\n", "kind", kind_of(i->kind),
                 "id", (unsigned long)i->key_id, "state",
                 mcx_key_state_word(i->state));
    line_time("since", i->since_unix_ms);
    line_time("wiped at", key->wipe_unix_ms);
    line_text("IMPU", i->owner.impu);
    line_text("MC ID", i->owner.mc_id);
    line_text("client ID", i->owner.client_id);
    line_text("initiator", i->initiator);
    line_text("responder", i->responder);
    line_text("made by", i->ours ? "us" : "the initiator");
    line_time("message", i->t_unix_ms);
    line_time("activation", i->activation_unix_ms);
    line_time("expiry", i->expiry_unix_ms);
    (void)printf("%-12s%u octets, salt %u\n", "traffic key",
                 i->sp.key_size, i->sp.salt_size);
}

static void
row_line(const struct mcx_store_key *key)
{
    const struct mcx_key_info *i = &key->info;
    char since[MCX_RFC3339_SIZE];

    mcx_time_text(since, i->since_unix_ms);
    (void)printf("%08lx %-5s %-7s %s", (unsigned long)i->key_id,
                 kind_of(i->kind), mcx_key_state_word(i->state), since);
    name("mc-id", i->owner.mc_id);
    name("impu", i->owner.impu);
    name("from", i->initiator);
    (void)putchar('\n');
}

static void
on_row(void *arg, const struct mcx_store_key *key)
{
    struct listing *l = arg;

    if (l->a->kind && key->info.kind != l->a->find.kind) {
        return;
    }
    l->n++;
    if (l->a->json) {
        row_json(key, l->all);
    } else if (l->all) {
        (void)fputs(l->n > 1 ? "\n" : "", stdout);
        row_whole(key);
    } else {
        row_line(key);
    }
}

/* An ID names a kind by its first digit; one of another kind is found with
 * --kind only. */
static int
no_such_key(const struct args *a)
{
    return cli_fail(TOOL, "%s: no such key: %s %s%s", a->store,
                    kind_of(a->find.kind), a->id_text,
                    a->kind ? "" : " (see --kind)");
}

static int
list(struct mcx_store_db *db, const struct args *a, bool all)
{
    struct listing l = { a, all, 0 };
    size_t bad = 0;
    mcx_err err = mcx_store_each(db, &a->find, on_row, &l, &bad);

    if (err != MCX_OK) {
        return cli_fail(TOOL, "%s: %s", a->store, mcx_err_text(err));
    }
    if (bad > 0) {
        return cli_fail(TOOL, "%s: %zu rows do not open: damaged, or changed "
                        "by somebody without the key", a->store, bad);
    }
    return all && l.n == 0 ? no_such_key(a) : CLI_OK;
}

/* ---- revoke and wipe --------------------------------------------------- */

static int
take_out(struct mcx_store_db *db, const struct args *a, enum mcx_key_end end)
{
    size_t n = 0;
    mcx_err err = mcx_store_end(db, &a->find, end, &n);
    struct cli_json j;

    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_number(&j, mcx_key_end_word(end), n);
        cli_json_end(&j);
    } else {
        (void)printf("%zu %s\n", n, mcx_key_end_word(end));
    }
    if (err != MCX_OK) {
        return cli_fail(TOOL, "%s: %s", a->store, mcx_err_text(err));
    }
    return n == 0 && a->find.by_id
               ? no_such_key(a)
               : CLI_OK;
}

/* ---- log --------------------------------------------------------------- */

static void
on_event(void *arg, const struct mcx_store_event *e)
{
    const struct args *a = arg;
    bool of_key = e->what >= MCX_STORE_STAGED && e->what <= MCX_STORE_WIPED;
    char when[MCX_RFC3339_SIZE];
    struct cli_json j;

    mcx_time_text(when, e->unix_ms);
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_number(&j, "seq", e->seq);
        cli_json_text(&j, "time", when);
        cli_json_text(&j, "event", mcx_store_event_word(e->what));
        cli_json_text(&j, "by", e->by);
        if (of_key) {
            cli_json_text(&j, "kind", kind_of(e->kind));
            json_id(&j, e->key_id);
            cli_json_text(&j, "cause", mcx_key_end_word(e->end));
            cli_json_bool(&j, "ours", e->ours);
            cli_json_text(&j, "initiator", e->initiator);
            cli_json_text(&j, "responder", e->responder);
            cli_json_text(&j, "impu", e->impu);
            cli_json_text(&j, "mc_id", e->mc_id);
        } else {
            cli_json_number(&j, "count", e->count);
        }
        cli_json_end(&j);
        return;
    }
    (void)printf("%llu %s %s", (unsigned long long)e->seq, when,
                 mcx_store_event_word(e->what));
    name("by", e->by);
    if (of_key) {
        (void)printf(" kind=%s id=%08lx", kind_of(e->kind),
                     (unsigned long)e->key_id);
        name("cause", mcx_key_end_word(e->end));
        name("initiator", e->initiator);
        name("responder", e->responder);
        name("impu", e->impu);
        name("mc-id", e->mc_id);
    } else if (e->count > 0) {
        (void)printf(" count=%lu", (unsigned long)e->count);
    }
    (void)putchar('\n');
}

static int
export_log(struct mcx_store_db *db, const struct args *a)
{
    struct args copy = *a;
    struct mcx_store_head head;
    struct mcx_text text;
    mcx_err err = mcx_store_log_verify(db, NULL, &head, &text);

    /* What can be read is printed, and is not passed off as the whole. */
    if (err == MCX_E_AUTH) {
        (void)!mcx_store_log_each(db, a->after, on_event, &copy);
        return cli_fail(TOOL, "%s: the log is not as it was written: %s",
                        a->store, text.s);
    }
    if (err == MCX_OK) {
        err = mcx_store_log_each(db, a->after, on_event, &copy);
    }
    if (err == MCX_OK && !cli_flush()) {
        return cli_fail(TOOL, "standard output: cannot be written");
    }
    err = err == MCX_OK ? mcx_store_log_add(db, MCX_STORE_EXPORTED, 0) : err;
    return err == MCX_OK ? CLI_OK
                         : cli_fail(TOOL, "%s: %s", a->store,
                                    err == MCX_E_AUTH
                                        ? "an entry does not open; see log "
                                          "verify"
                                        : mcx_err_text(err));
}

/* "N:MAC" */
static bool
head_parse(struct mcx_store_head *out, const char *text)
{
    const char *colon = strchr(text, ':');
    uint64_t seq = 0;
    const char *p;

    for (p = text; colon && p < colon; p++) {
        if (*p < '0' || *p > '9' || seq > UINT64_MAX / 10 - 1) {
            return false;
        }
        seq = seq * 10 + (uint64_t)(*p - '0');
    }
    out->seq = seq;
    return colon && colon > text
           && mcx_hex_decode(out->mac, sizeof out->mac,
                             mcx_bytes_str(colon + 1), NULL) == MCX_OK;
}

static void
head_print(const struct mcx_store_head *head, bool json, const char *said)
{
    char mac[MCX_HEX_SIZE(MCX_SEAL_MAC_SIZE)] = "", text[128];
    struct cli_json j;

    (void)!mcx_hex_encode(mac, sizeof mac,
                          mcx_bytes(head->mac, sizeof head->mac));
    (void)snprintf(text, sizeof text, "%llu:%s",
                   (unsigned long long)head->seq, mac);
    if (json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "result", said);
        cli_json_number(&j, "entries", head->seq);
        cli_json_text(&j, "head", text);
        cli_json_end(&j);
    } else {
        (void)printf("%s, %llu entries\nhead %s\n", said,
                     (unsigned long long)head->seq, text);
    }
}

static int
log_verify(struct mcx_store_db *db, const struct args *a)
{
    struct mcx_store_head head, anchor;
    struct mcx_text text = { "" };
    mcx_err err;

    if (a->head && !head_parse(&anchor, a->head)) {
        return cli_usage(TOOL, "--head: expected what `log head` prints, a "
                         "number, a colon and 64 hexadecimal digits");
    }
    err = mcx_store_log_verify(db, a->head ? &anchor : NULL, &head, &text);
    if (err == MCX_OK) {
        err = mcx_store_check(db, &text);
        if (err == MCX_E_AUTH) {
            return cli_fail(TOOL, "%s: the log is good, the store is not: %s",
                            a->store, text.s);
        }
    }
    if (err != MCX_OK) {
        return cli_fail(TOOL, "%s: the log is not as it was written: %s",
                        a->store, text.s[0] ? text.s : mcx_err_text(err));
    }
    head_print(&head, a->json, "good");
    return CLI_OK;
}

static int
log_rotate(struct mcx_store_db *db, const struct args *a)
{
    struct cli_json j;
    mcx_err err = mcx_store_log_rotate(db, true);

    if (err != MCX_OK) {
        return cli_fail(TOOL, "%s: %s", a->store,
                        err == MCX_E_AUTH ? "the end of the log is gone; see "
                                            "log verify; nothing was moved"
                        : err == MCX_E_IO ? "the file cannot be written "
                                            "beside the store"
                                          : mcx_err_text(err));
    }
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "result", "rotated");
        cli_json_end(&j);
    } else {
        (void)puts("rotated");
    }
    return CLI_OK;
}

/* ---- add --------------------------------------------------------------- */

enum { PAPER_MAX = 8192 };

/* Reads the paper; nobody else may be able to. */
static int
read_paper(struct mcx_hand *hand, const char *path)
{
    char *s = NULL;
    const char *what = NULL;
    size_t n = 0, line = 0;
    struct stat st;
    mcx_err err;

    if (strcmp(path, "-") != 0 && stat(path, &st) == 0
        && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
        return cli_usage(TOOL, "%s: open to others; chmod 600 it", path);
    }
    if (cli_read(path, PAPER_MAX, &s, &n) != MCX_OK) {
        return cli_usage(TOOL, "%s: cannot be read, or is larger than %d "
                         "octets", path, PAPER_MAX);
    }
    err = mcx_hand_read(hand, mcx_bytes(s, n), &line, &what);
    mcx_wipe(s, n);
    free(s);
    return err == MCX_OK ? CLI_OK
           : line > 0    ? cli_usage(TOOL, "%s:%zu: %s", path, line, what)
                         : cli_usage(TOOL, "%s: %s", path, what);
}

static int
add(struct mcx_store_db *db, const struct args *a)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner = { "", "", "" };
    const struct mcx_hand *hand = a->hand;
    struct mcx_env env = cli_env(NULL);
    mcx_err err = mcx_hand_key(&km, hand, &env, NULL);
    struct cli_json j;

    memcpy(owner.mc_id, hand->peer, sizeof owner.mc_id);
    err = err == MCX_OK ? mcx_store_add(db, &km, &owner) : err;
    if (err != MCX_OK) {
        return cli_fail(TOOL, "%s: %s; nothing was changed", a->store,
                        err == MCX_E_POLICY
                            ? "has a key of that ID and peer already"
                        : err == MCX_E_EXPIRED
                            ? "the key's time is past, or it was revoked here"
                            : mcx_err_text(err));
    }
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "kind", kind_of(hand->kind));
        json_id(&j, hand->key_id);
        cli_json_text(&j, "state", "active");
        cli_json_end(&j);
    } else {
        (void)printf("%08lx added\n", (unsigned long)hand->key_id);
    }
    return CLI_OK;
}

/* ---- rekey ------------------------------------------------------------- */

static int
rekey(struct mcx_store_db *db, const struct args *a)
{
    struct mcx_store_config to = { .key_file = a->new_key_file,
                                   .passphrase_file =
                                       a->new_passphrase_file };
    struct mcx_text text;
    struct cli_json j;
    mcx_err err = mcx_store_rekey(db, &to, &text);

    if (err == MCX_E_AUTH) {
        return cli_fail(TOOL, "%s: %s; nothing was changed", a->store,
                        text.s[0] ? text.s : "a row does not open");
    }
    if (err != MCX_OK) {
        int ret = cli_fail(TOOL, "%s; nothing was changed",
                           text.s[0] ? text.s : mcx_err_text(err));

        return err == MCX_E_CONFIG ? CLI_USAGE : ret;
    }
    if (a->json) {
        cli_json_begin(&j, stdout);
        cli_json_text(&j, "result", "rekeyed");
        cli_json_end(&j);
    } else {
        (void)puts("rekeyed; destroy the old key, and copies of the store "
                   "that it opens");
    }
    return CLI_OK;
}

/* ---- new-key ----------------------------------------------------------- */

static int
new_key(const char *path)
{
    MCX_SECRET(mcx_seal_key, key);
    const struct mcx_env *env = mcx_env_system();
    char text[MCX_HEX_SIZE(MCX_SEAL_KEY_SIZE) + 1] = "";
    int fd, ret = CLI_REFUSED;
    ssize_t n;

    if (env->random(env->ctx, key.b, sizeof key.b) != MCX_OK
        || mcx_hex_encode(text, sizeof text, mcx_bytes(key.b, sizeof key.b))
               != MCX_OK) {
        return cli_fail(TOOL, "no random octets to be had");
    }
    text[2 * MCX_SEAL_KEY_SIZE] = '\n';
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        mcx_wipe(text, sizeof text);
        return cli_fail(TOOL, "%s: %s", path, strerror(errno));
    }
    n = write(fd, text, 2 * MCX_SEAL_KEY_SIZE + 1);
    if (n == 2 * MCX_SEAL_KEY_SIZE + 1 && fsync(fd) == 0) {
        ret = CLI_OK;
    } else {
        (void)unlink(path);
        (void)cli_fail(TOOL, "%s: cannot be written", path);
    }
    (void)close(fd);
    mcx_wipe(text, sizeof text);
    return ret;
}

/* ---- arguments --------------------------------------------------------- */

static bool
take_option(struct args *a, int c)
{
    switch (c) {
    case 's':
        a->store = optarg;
        return true;
    case 'k':
        a->key_file = optarg;
        return true;
    case 'p':
        a->passphrase_file = optarg;
        return true;
    case 'K':
        a->kind = optarg;
        if (mcx_kind_parse(optarg) < 0) {
            (void)cli_usage(TOOL, "--kind: expected a kind such as csk, got "
                            "\"%s\"", optarg);
            return false;
        }
        a->find.kind = (unsigned)mcx_kind_parse(optarg);
        return true;
    case 'i':
        a->find.impu = optarg;
        return true;
    case 'm':
        a->find.mc_id = optarg;
        return true;
    case 'a':
        return cli_number(TOOL, "--after", optarg, 0, INT64_MAX, &a->after);
    case 'H':
        a->head = optarg;
        return true;
    case 'n':
        a->new_key_file = optarg;
        return true;
    case 'N':
        a->new_passphrase_file = optarg;
        return true;
    case 'f':
        return cli_number(TOOL, "--log-files", optarg, 0, 100000,
                          &a->log_files);
    case 'j':
        a->json = true;
        return true;
    default:
        (void)cli_usage(TOOL, "unknown option or missing value; see %s "
                        "--help", TOOL);
        return false;
    }
}

static bool
take_id(struct args *a, const char *text)
{
    uint8_t id[4];

    if (mcx_hex_decode(id, sizeof id, mcx_bytes_str(text), NULL) != MCX_OK) {
        (void)cli_usage(TOOL, "expected a key ID of 8 hexadecimal digits, "
                        "got \"%s\"", text);
        return false;
    }
    a->find.by_id = true;
    a->id_text = text;
    a->find.key_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16
                     | (uint32_t)id[2] << 8 | id[3];
    if (!a->kind) {
        a->find.kind = MCX_KEY_ID_KIND(a->find.key_id);
    }
    return true;
}

enum command { C_NONE, C_LIST, C_SHOW, C_REVOKE, C_WIPE, C_ADD, C_EXPORT,
               C_VERIFY, C_HEAD, C_ROTATE, C_REKEY, C_NEW_KEY,
               C_SAID /* what is wrong */ };

/* The command, and its operand in 'a'. */
static enum command
command_of(struct args *a, int n, char *const *v)
{
    if (n == 1 && strcmp(v[0], "list") == 0) {
        return C_LIST;
    }
    if (n == 1 && strcmp(v[0], "export-log") == 0) {
        return C_EXPORT;
    }
    if (n == 2 && strcmp(v[0], "log") == 0) {
        return strcmp(v[1], "verify") == 0   ? C_VERIFY
               : strcmp(v[1], "head") == 0   ? C_HEAD
               : strcmp(v[1], "rotate") == 0 ? C_ROTATE
                                             : C_NONE;
    }
    if (n == 1 && strcmp(v[0], "rekey") == 0) {
        return C_REKEY;
    }
    if (n == 2 && strcmp(v[0], "new-key") == 0) {
        return C_NEW_KEY;
    }
    if (n == 2 && strcmp(v[0], "add") == 0) {
        return C_ADD;
    }
    if (n == 2 && strcmp(v[0], "wipe") == 0 && strcmp(v[1], "all") == 0) {
        return C_WIPE;
    }
    if (n == 2) {
        enum command c = strcmp(v[0], "show") == 0     ? C_SHOW
                         : strcmp(v[0], "revoke") == 0 ? C_REVOKE
                         : strcmp(v[0], "wipe") == 0   ? C_WIPE
                                                       : C_NONE;

        return c == C_NONE || take_id(a, v[1]) ? c : C_SAID;
    }
    return C_NONE;
}

static int
run(enum command c, struct mcx_store_db *db, const struct args *a)
{
    struct mcx_store_head head;
    struct mcx_text text;

    switch (c) {
    case C_LIST:
        return list(db, a, false);
    case C_SHOW:
        return list(db, a, true);
    case C_REVOKE:
        return take_out(db, a, MCX_END_REVOKED);
    case C_WIPE:
        return take_out(db, a, MCX_END_DROPPED);
    case C_ADD:
        return add(db, a);
    case C_EXPORT:
        return export_log(db, a);
    case C_VERIFY:
        return log_verify(db, a);
    case C_ROTATE:
        return log_rotate(db, a);
    case C_REKEY:
        return rekey(db, a);
    default:
        if (mcx_store_log_verify(db, NULL, &head, &text) != MCX_OK) {
            return cli_fail(TOOL, "%s: the log is not as it was written: %s",
                            a->store, text.s);
        }
        head_print(&head, a->json, "good");
        return CLI_OK;
    }
}

int
main(int argc, char **argv)
{
    struct mcx_env env = cli_env(NULL);
    struct mcx_store_config config = { .env = &env, .by = "mcx-keys" };
    struct args a = { .log_files = MCX_STORE_LOG_FILES };
    MCX_SECRET(mcx_hand, hand);
    struct mcx_store_db *db;
    struct mcx_text text;
    enum command command;
    mcx_err err;
    int c, ret;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
        if (c == 'h' || c == 'V') {
            (void)fputs(c == 'h' ? HELP : "mcx-keys " PACKAGE_VERSION "\n",
                        stdout);
            return cli_flush() ? CLI_OK : CLI_REFUSED;
        }
        if (!take_option(&a, c)) {
            return CLI_USAGE;
        }
    }
    command = command_of(&a, argc - optind, argv + optind);
    if (command == C_SAID) {
        return CLI_USAGE;
    }
    if (command == C_NONE) {
        return cli_usage(TOOL, "expected a command and what it needs; see %s "
                         "--help", TOOL);
    }
    if (command == C_NEW_KEY) {
        return new_key(argv[optind + 1]);
    }
    if (!a.store) {
        return cli_usage(TOOL, "--store: expected the file of a store");
    }
    if (command == C_REKEY && !a.new_key_file == !a.new_passphrase_file) {
        return cli_usage(TOOL, "rekey: expected one of --new-key-file and "
                         "--new-passphrase-file");
    }
    if (command != C_REKEY && (a.new_key_file || a.new_passphrase_file)) {
        return cli_usage(TOOL, "--new-key-file and --new-passphrase-file "
                         "belong to rekey");
    }
    if (command == C_ADD) {
        a.hand = &hand;
        ret = read_paper(&hand, argv[optind + 1]);
        if (ret != CLI_OK) {
            return ret;
        }
    }
    config.path = a.store;
    config.key_file = a.key_file;
    config.passphrase_file = a.passphrase_file;
    config.exclusive = command == C_REKEY;
    config.log_files = (unsigned)a.log_files;
    err = mcx_store_open(&db, &config, &text);
    if (err != MCX_OK) {
        ret = cli_fail(TOOL, "%s", text.s);
        return err == MCX_E_CONFIG ? CLI_USAGE : ret;
    }
    /* Rows put back would be shown, and revoked, as if they belonged there;
     * the log can be read all the same. */
    if (command <= C_ADD) {
        err = mcx_store_check(db, &text);
    }
    ret = err == MCX_OK
              ? run(command, db, &a)
              : cli_fail(TOOL, "%s: %s", a.store,
                         text.s[0] ? text.s : mcx_err_text(err));
    mcx_store_close(db);
    if (ret == CLI_OK && !cli_flush()) {
        ret = cli_fail(TOOL, "standard output: cannot be written");
    }
    return ret;
}
