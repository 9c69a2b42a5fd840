/* mcinfo.c -- mcptt-info and poc-settings bodies (TS 24.379 annex F.1, 7.2).
 *
 * Reads and writes the elements that key management uses and leaves the
 * others alone.  Called by modules; the text comes from a peer.  Whoever the
 * caller is decides which key is accepted, so an element that occurs twice is
 * refused rather than chosen from. */
#include <config.h>
#include <stdio.h>
#include "out.h"
#include "tree.h"

static const char F1[] = "TS 24.379 F.1";

static const struct field {
    const char *name;
    size_t at, room;
    const char *value; /* child that carries the value; NULL: none */
} fields[] = {
#define FIELD(member) offsetof(struct mcx_mcinfo, member),                    \
                      sizeof ((struct mcx_mcinfo *)0)->member
    /* In the order of the schema's sequence. */
    { "mcptt-access-token", FIELD(access_token), "mcpttString" },
    { "session-type", FIELD(session_type), NULL },
    { "mcptt-request-uri", FIELD(request_uri), "mcpttURI" },
    { "mcptt-calling-user-id", FIELD(calling_user_id), "mcpttURI" },
    { "mcptt-called-party-id", FIELD(called_party_id), "mcpttURI" },
    { "mcptt-client-id", FIELD(client_id), "mcpttString" },
#undef FIELD
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static char *
member(struct mcx_mcinfo *info, const struct field *f)
{
    return (char *)info + f->at;
}

/* The element with the value: mcpttURI, mcpttString, or, from older clients,
 * the element itself. */
static const struct mcx_xml *
value_of(const struct mcx_xml *x)
{
    const struct mcx_xml *uri = mcx_xml_child(x, "mcpttURI");
    const struct mcx_xml *text = mcx_xml_child(x, "mcpttString");

    if (uri && (text || mcx_xml_again(uri, "mcpttURI"))) {
        return NULL;
    }
    if (text && mcx_xml_again(text, "mcpttString")) {
        return NULL;
    }
    if ((uri || text) && !mcx_xml_blank(x)) {
        return NULL;
    }
    x = uri ? uri : text ? text : x;
    /* What others pass over as an extension must not be a value here. */
    return x->ns == MCX_XML_NS_MCINFO ? x : NULL;
}

static mcx_err
take(struct mcx_mcinfo *out, const struct field *f, const struct mcx_xml *x,
     struct mcx_why *why)
{
    const struct mcx_xml *v;
    struct mcx_bytes b;
    size_t i;

    if (strcmp(x->type, "Encrypted") == 0
        || mcx_xml_child(x, "EncryptedData")) {
        if (f->at == offsetof(struct mcx_mcinfo, calling_user_id)) {
            out->calling_user_encrypted = true;
        }
        return MCX_OK;
    }
    v = value_of(x);
    if (!v || !mcx_xml_text(&b, v)) {
        return MCX_REFUSE(why, MCX_R_XML, f->name, x->at, F1);
    }
    if (b.n >= f->room) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, f->name, x->at, F1);
    }
    for (i = 0; i < b.n; i++) {
        if (b.p[i] < 0x20 || b.p[i] == 0x7f) {
            return MCX_REFUSE(why, MCX_R_XML, f->name, x->at, F1);
        }
    }
    if (b.n) {
        memcpy(member(out, f), b.p, b.n);
    }
    member(out, f)[b.n] = '\0';
    return MCX_OK;
}

static const struct mcx_xml *
of_mcinfo(const struct mcx_xml *x)
{
    while (x && x->ns != MCX_XML_NS_MCINFO) {
        x = x->next;
    }
    return x;
}

static mcx_err
read_params(struct mcx_mcinfo *out, const struct mcx_xml *params,
            struct mcx_why *why)
{
    const struct mcx_xml *x;
    bool seen[N_FIELDS] = { false };
    size_t i;

    for (x = of_mcinfo(params->first); x; x = of_mcinfo(x->next)) {
        for (i = 0; i < N_FIELDS; i++) {
            if (strcmp(x->name, fields[i].name) != 0) {
                continue;
            }
            if (seen[i]) {
                return MCX_REFUSE(why, MCX_R_XML, fields[i].name, x->at, F1);
            }
            seen[i] = true;
            MCX_TRY(take(out, &fields[i], x, why));
        }
    }
    return MCX_OK;
}

/* The next mcptt-Params from 'x' on; one of another namespace is none. */
static const struct mcx_xml *
params_of(const struct mcx_xml *x)
{
    for (x = of_mcinfo(x); x; x = of_mcinfo(x->next)) {
        if (strcmp(x->name, "mcptt-Params") == 0) {
            break;
        }
    }
    return x;
}

static mcx_err
read_root(struct mcx_mcinfo *out, const struct mcx_xml *root,
          struct mcx_why *why)
{
    const struct mcx_xml *params, *again;

    if (strcmp(root->name, "mcpttinfo") != 0
        || root->ns != MCX_XML_NS_MCINFO) {
        return MCX_REFUSE(why, MCX_R_XML, "mcpttinfo", root->at, F1);
    }
    params = params_of(root->first);
    if (!params) {
        return MCX_OK;
    }
    again = params_of(params->next);
    if (again) {
        return MCX_REFUSE(why, MCX_R_XML, "mcptt-Params", again->at, F1);
    }
    return read_params(out, params, why);
}

mcx_err
mcx_mcinfo_read(struct mcx_mcinfo *out, struct mcx_bytes xml,
                struct mcx_why *why)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err;

    memset(out, 0, sizeof *out);
    err = mcx_xml_read(&root, xml, MCX_XML_MAX, &fault);
    if (err != MCX_OK) {
        return MCX_REFUSE(why, fault.reason, "mcpttinfo", fault.at, F1);
    }
    err = read_root(out, root, why);
    if (err != MCX_OK) {
        mcx_wipe(out, sizeof *out);
    }
    mcx_xml_free(root);
    return err;
}

mcx_err
mcx_mcinfo_write(char **out, size_t *n, const struct mcx_mcinfo *info)
{
    struct mcx_out o = { 0 };
    size_t i;

    *out = NULL;
    *n = 0;
    mcx_out_raw(&o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<mcpttinfo xmlns=\"" MCX_NS_MCPTT_INFO "\">\n"
                    "<mcptt-Params>\n");
    for (i = 0; i < N_FIELDS; i++) {
        const char *value = (const char *)info + fields[i].at;

        if (!value[0]) {
            continue;
        }
        if (!memchr(value, '\0', fields[i].room)) {
            mcx_kms_text_free(o.p, o.n);
            return MCX_E_ARG;
        }
        if (!fields[i].value) {
            mcx_out_leaf(&o, 0, fields[i].name, value);
            continue;
        }
        mcx_out_raw(&o, "<");
        mcx_out_raw(&o, fields[i].name);
        mcx_out_raw(&o, " type=\"Normal\">\n");
        mcx_out_leaf(&o, 1, fields[i].value, value);
        mcx_out_raw(&o, "</");
        mcx_out_raw(&o, fields[i].name);
        mcx_out_raw(&o, ">\n");
    }
    mcx_out_raw(&o, "</mcptt-Params>\n</mcpttinfo>\n");
    return mcx_out_take(&o, out, n);
}

mcx_err
mcx_poc_settings_write(char **out, size_t *n, const char *entity,
                       const char *answer_mode)
{
    struct mcx_out o = { 0 };

    *out = NULL;
    *n = 0;
    if (!entity || !*entity || !answer_mode
        || (strcmp(answer_mode, "automatic") != 0
            && strcmp(answer_mode, "manual") != 0)) {
        return MCX_E_ARG;
    }
    mcx_out_raw(&o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<poc-settings xmlns=\"urn:oma:params:xml:ns:poc:"
                    "poc-settings\">\n<entity id=\"");
    mcx_out_text(&o, entity);
    mcx_out_raw(&o, "\">\n<am-settings>\n");
    mcx_out_leaf(&o, 1, "answer-mode", answer_mode);
    mcx_out_raw(&o, "</am-settings>\n</entity>\n</poc-settings>\n");
    return mcx_out_take(&o, out, n);
}
