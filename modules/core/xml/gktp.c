/* gktp.c -- GKTP documents, both ways (TS 24.481 7.7).  See mcx_gktp.h.
 *
 * Called by whoever fetched a document, or serves one.  Here is the document;
 * what its messages mean is gktp_take.c's. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_gktp.h>
#include "out.h"
#include "tree.h"

static const char CLAUSE[] = "TS 24.481 7.7";

struct mcx_gktps {
    size_t n;
    struct mcx_gktp item[MCX_GKTP_MAX];
    size_t used;
    uint8_t octets[]; /* of all messages */
};

static mcx_err MCX_PRINTF(4, 5)
refuse(struct mcx_text *text, mcx_err err, int line, const char *fmt, ...)
{
    size_t n = 0;
    va_list ap;

    if (!text) {
        return err;
    }
    if (line > 0) {
        (void)snprintf(text->s, sizeof text->s, "line %d: ", line);
        n = strlen(text->s);
    }
    va_start(ap, fmt);
    (void)vsnprintf(text->s + n, sizeof text->s - n, fmt, ap);
    va_end(ap);
    return err;
}

static bool
ours(const struct mcx_xml *x, const char *name)
{
    return x->ns == MCX_XML_NS_GKTP && strcmp(x->name, name) == 0;
}

/* ---- reading ----------------------------------------------------------- */

static bool
space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* hexBinary, in either case and with white space anywhere; 'out' takes half as
 * many octets as 'text' has. */
static bool
unhex(uint8_t *out, size_t *n, struct mcx_bytes text)
{
    char two[2];
    size_t i, have = 0;

    *n = 0;
    for (i = 0; i < text.n; i++) {
        if (space(text.p[i])) {
            continue;
        }
        two[have++] = (char)text.p[i];
        if (have == 2) {
            if (mcx_hex_decode(out + *n, 1, mcx_bytes(two, 2), NULL)
                != MCX_OK) {
                return false;
            }
            ++*n;
            have = 0;
        }
    }
    return have == 0 && *n > 0;
}

static void
read_message(struct mcx_gktps *doc, struct mcx_gktp *g,
             const struct mcx_xml *x)
{
    struct mcx_bytes text;
    uint8_t *to = doc->octets + doc->used;
    int64_t ms = 0;
    size_t n = 0;

    g->line = x->line;
    g->err = MCX_E_MALFORMED;
    if (strlen(x->id_lower) < sizeof g->id) {
        memcpy(g->id, x->id_lower, strlen(x->id_lower) + 1);
    }
    if (x->activation[0]) {
        if (mcx_time_parse(&ms, mcx_bytes_str(x->activation)) != MCX_OK) {
            return; /* when it may be used is not known: not at all */
        }
        g->activation_unix_ms = ms;
    }
    if (!mcx_xml_text(&text, x) || !unhex(to, &n, text)) {
        return;
    }
    if (n > MCX_MIKEY_MAX) {
        g->err = MCX_E_TOOBIG;
        return;
    }
    g->err = MCX_OK;
    g->mikey = mcx_bytes(to, n);
    doc->used += n;
}

static mcx_err
read_messages(struct mcx_gktps *doc, const struct mcx_xml *parent,
              unsigned kind, const char *group, struct mcx_text *text)
{
    const struct mcx_xml *x;

    for (x = parent->first; x; x = x->next) {
        struct mcx_gktp *g;

        if (!ours(x, "GKTP")) {
            continue;
        }
        if (doc->n == MCX_GKTP_MAX) {
            return refuse(text, MCX_E_TOOBIG, x->line,
                          "more than %d messages", MCX_GKTP_MAX);
        }
        g = &doc->item[doc->n++];
        g->kind = kind;
        memcpy(g->group, group, strlen(group) + 1);
        read_message(doc, g, x);
    }
    return MCX_OK;
}

/* A singleTypeGKTPsType. */
static mcx_err
read_kind(struct mcx_gktps *doc, const struct mcx_xml *list, unsigned kind,
          struct mcx_text *text)
{
    const struct mcx_xml *x;

    MCX_TRY(read_messages(doc, list, kind, "", text));
    for (x = list->first; x; x = x->next) {
        const char *group = x->group ? x->group : "";

        if (!ours(x, "on-network-regrouped-GKTPs")) {
            continue;
        }
        if (!*group || strlen(group) >= MCX_URI_MAX) {
            return refuse(text, MCX_E_MALFORMED, x->line, "%s has no "
                          "temporary-MCPTT-group-ID that can be used (%s)",
                          x->name, CLAUSE);
        }
        MCX_TRY(read_messages(doc, x, kind, group, text));
    }
    return MCX_OK;
}

static mcx_err
read_document(struct mcx_gktps *doc, const struct mcx_xml *root,
              struct mcx_text *text)
{
    static const struct {
        const char *name;
        unsigned kind;
    } lists[] = { { "GMK-GKTPs", MCX_KIND_GMK },
                  { "MKFC-GKTPs", MCX_KIND_MKFC } };
    const struct mcx_xml *x;
    size_t i;

    for (i = 0; i < sizeof lists / sizeof *lists; i++) {
        bool seen = false;

        /* mcptt-info has one list as an element of its own. */
        if (ours(root, lists[i].name)) {
            return read_kind(doc, root, lists[i].kind, text);
        }
        for (x = root->first; x; x = x->next) {
            if (!ours(x, lists[i].name)) {
                continue;
            }
            if (seen) {
                return refuse(text, MCX_E_MALFORMED, x->line,
                              "%s occurs twice (%s)", x->name, CLAUSE);
            }
            seen = true;
            MCX_TRY(read_kind(doc, x, lists[i].kind, text));
        }
    }
    if (!ours(root, "GKTPs")) {
        return refuse(text, MCX_E_MALFORMED, root->line, "the document "
                      "element is not GKTPs of %s (%s)", MCX_NS_GKTP, CLAUSE);
    }
    return MCX_OK;
}

mcx_err
mcx_gktp_read(struct mcx_gktps **out, struct mcx_bytes xml,
              struct mcx_text *text)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    struct mcx_gktps *doc;
    mcx_err err;

    *out = NULL;
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, xml, MCX_GKTP_XML_MAX, &fault);
    if (err != MCX_OK) {
        return refuse(text, err, fault.line, "%s", fault.what);
    }
    doc = calloc(1, sizeof *doc + xml.n);
    err = doc ? read_document(doc, root, text)
              : refuse(text, MCX_E_NOMEM, 0, "out of memory");
    mcx_xml_free(root);
    if (err != MCX_OK) {
        free(doc);
        return err;
    }
    *out = doc;
    return MCX_OK;
}

void
mcx_gktp_free(struct mcx_gktps *doc)
{
    free(doc);
}

size_t
mcx_gktp_count(const struct mcx_gktps *doc)
{
    return doc->n;
}

const struct mcx_gktp *
mcx_gktp_at(const struct mcx_gktps *doc, size_t i)
{
    return i < doc->n ? &doc->item[i] : NULL;
}

/* ---- writing ----------------------------------------------------------- */

static bool
writable(const struct mcx_gktp *g)
{
    return (g->kind == MCX_KIND_GMK || g->kind == MCX_KIND_MKFC) && g->id[0]
           && memchr(g->id, '\0', sizeof g->id)
           && memchr(g->group, '\0', sizeof g->group) && g->mikey.n > 0
           && g->mikey.n <= MCX_MIKEY_MAX;
}

static void
write_one(struct mcx_out *o, const struct mcx_gktp *g, const char *indent)
{
    char when[MCX_RFC3339_SIZE];

    mcx_out_raw(o, indent);
    mcx_out_raw(o, "<GKTP id=\"");
    mcx_out_text(o, g->id);
    if (g->activation_unix_ms != 0) {
        mcx_time_text(when, g->activation_unix_ms);
        mcx_out_raw(o, "\" activationtime=\"");
        mcx_out_raw(o, when);
    }
    mcx_out_raw(o, "\">");
    mcx_out_hex(o, g->mikey.p, g->mikey.n);
    mcx_out_raw(o, "</GKTP>\n");
}

static bool
first_of_group(const struct mcx_gktp *item, size_t i)
{
    size_t k;

    for (k = 0; k < i; k++) {
        if (item[k].kind == item[i].kind
            && strcmp(item[k].group, item[i].group) == 0) {
            return false;
        }
    }
    return true;
}

/* The messages of one temporary group, with the first of which we are
 * called. */
static void
write_group(struct mcx_out *o, const struct mcx_gktp *item, size_t i,
            size_t n)
{
    const struct mcx_gktp *first = &item[i];

    mcx_out_raw(o, "    <on-network-regrouped-GKTPs "
                   "temporary-MCPTT-group-ID=\"");
    mcx_out_text(o, first->group);
    mcx_out_raw(o, "\">\n");
    for (; i < n; i++) {
        if (item[i].kind == first->kind
            && strcmp(item[i].group, first->group) == 0) {
            write_one(o, &item[i], "      ");
        }
    }
    mcx_out_raw(o, "    </on-network-regrouped-GKTPs>\n");
}

static void
write_kind(struct mcx_out *o, const char *name, unsigned kind,
           const struct mcx_gktp *item, size_t n)
{
    bool any = false;
    size_t i;

    for (i = 0; i < n; i++) {
        any = any || item[i].kind == kind;
    }
    if (!any) {
        return;
    }
    mcx_out_raw(o, "  <");
    mcx_out_raw(o, name);
    mcx_out_raw(o, ">\n");
    for (i = 0; i < n; i++) {
        if (item[i].kind == kind && !item[i].group[0]) {
            write_one(o, &item[i], "    ");
        }
    }
    for (i = 0; i < n; i++) {
        if (item[i].kind == kind && item[i].group[0]
            && first_of_group(item, i)) {
            write_group(o, item, i, n);
        }
    }
    mcx_out_raw(o, "  </");
    mcx_out_raw(o, name);
    mcx_out_raw(o, ">\n");
}

mcx_err
mcx_gktp_write(char **out, size_t *n_out, const struct mcx_gktp *item,
               size_t n)
{
    struct mcx_out o = { 0 };
    size_t i;

    *out = NULL;
    *n_out = 0;
    for (i = 0; i < n; i++) {
        if (!writable(&item[i])) {
            return MCX_E_ARG;
        }
    }
    if (n > MCX_GKTP_MAX) {
        return MCX_E_ARG;
    }
    mcx_out_raw(&o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<GKTPs xmlns=\"" MCX_NS_GKTP "\">\n");
    write_kind(&o, "GMK-GKTPs", MCX_KIND_GMK, item, n);
    write_kind(&o, "MKFC-GKTPs", MCX_KIND_MKFC, item, n);
    mcx_out_raw(&o, "</GKTPs>\n");
    return mcx_out_take(&o, out, n_out);
}
