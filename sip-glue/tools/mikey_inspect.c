/* mikey_inspect.c -- mcx-mikey inspect and kinds: what a message says, field
 * by field, and what kinds of keys there are.  Nothing secret is needed.  See
 * mcx-mikey.1. */
#include <config.h>
#include <stdlib.h>
#include "mikey.h"

/* ---- inspect ----------------------------------------------------------- */

struct inspect {
    bool json, any;
};

static void
print_text(const struct mcx_field *f)
{
    if (f->start) {
        (void)printf("%s\n", f->payload);
    }
    (void)printf("  %5zu %4zu  %-22s ", f->at, f->size, f->name);
    mikey_print(f->value);
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

int
mikey_inspect(const struct mikey_args *a)
{
    struct inspect in = { .json = a->json };
    struct mcx_why why = { 0 };
    enum input_form form;
    uint8_t *octets;
    size_t n = 0;
    mcx_err err;
    int status = mikey_input(a, &octets, &n, &form, &why, &err);

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
        mikey_explain(&why, err);
        if (a->json) {
            (void)printf(",\"verdict\":\"malformed\",\"reason\":\"%s\","
                         "\"payload\":\"%s\",\"offset\":%zu,\"clause\":\"%s\"",
                         mcx_reason_word(why.reason), why.payload, why.offset,
                         why.clause);
        }
        mikey_say("malformed", &why);
    } else if (a->json) {
        (void)fputs(",\"verdict\":\"well-formed\"", stdout);
    }
    if (a->json) {
        (void)fputs("}\n", stdout);
    }
    free(octets);
    return status;
}

/* ---- kinds ------------------------------------------------------------- */

static const char *
carrier_word(enum mcx_carrier carrier)
{
    switch (carrier) {
    case MCX_CARRIER_SAKKE:
        return "sakke";
    case MCX_CARRIER_PSK:
        return "psk";
    case MCX_CARRIER_HAND:
        break;
    }
    return "hand";
}

static const char *
diversity_word(enum mcx_diversity diversity)
{
    switch (diversity) {
    case MCX_DIVERSITY_ALWAYS:
        return "always";
    case MCX_DIVERSITY_BY_OPTION:
        return "option";
    case MCX_DIVERSITY_NEVER:
        break;
    }
    return "never";
}

static void
kind_json(const struct mcx_kind_info *k)
{
    struct cli_json j;

    cli_json_begin(&j, stdout);
    cli_json_text(&j, "kind", k->word);
    if (k->kind < 16) {
        cli_json_number(&j, "tag", k->kind);
    }
    cli_json_text(&j, "carrier", carrier_word(k->carrier));
    cli_json_text(&j, "own_ids", diversity_word(k->diversity));
    cli_json_bool(&j, "params", k->params);
    cli_json_bool(&j, "groups", k->groups);
    cli_json_bool(&j, "to_self", k->to_self);
    cli_json_number(&j, "cs_id", k->cs_id);
    cli_json_number(&j, "streams", k->n_cs);
    cli_json_bool(&j, "stored", k->window == MCX_WINDOW_STORED);
    cli_json_text(&j, "initiator", k->initiator);
    cli_json_text(&j, "responder", k->responder);
    cli_json_text(&j, "clause", k->clause);
    cli_json_end(&j);
}

int
mikey_kinds(const struct mikey_args *a)
{
    const struct mcx_kind_info *k;
    char tag[16];
    size_t i;

    if (a->file) {
        return cli_usage(MIKEY_TOOL, "kinds: expected no file");
    }
    if (!a->json) {
        (void)printf("%-6s %3s %-7s %-7s %-6s %-6s %-4s  %s\n", "kind", "tag",
                     "carrier", "own-ids", "params", "groups", "self",
                     "from, to, clause");
    }
    for (i = 0; (k = mcx_kind_each(i)) != NULL; i++) {
        if (a->json) {
            kind_json(k);
            continue;
        }
        (void)snprintf(tag, sizeof tag, "%u", k->kind);
        (void)printf("%-6s %3s %-7s %-7s %-6s %-6s %-4s  %s, %s, %s\n",
                     k->word, k->kind < 16 ? tag : "-",
                     carrier_word(k->carrier), diversity_word(k->diversity),
                     k->params ? "yes" : "no", k->groups ? "yes" : "no",
                     k->to_self ? "yes" : "no", *k->initiator ? k->initiator
                                                              : "-",
                     *k->responder ? k->responder : "-", k->clause);
    }
    return CLI_OK;
}
