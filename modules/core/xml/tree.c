/* tree.c -- reads a foreign XML text into struct mcx_xml.  See tree.h.
 *
 * Everything that a document could use against us is cut off here: a text with
 * a DOCTYPE never reaches the parser, so no entity but the five of XML exists;
 * the text must be UTF-8 whatever it declares, so libxml2 makes no converted
 * copy that we could not wipe; depth, elements and attributes are counted. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/uri.h>
#include <sofia-mcx/mcx_gktp.h>
#include "tree.h"

static const char NS_KMS[] = "urn:3gpp:ns:mcsecKMSInterface:1.0";
static const char NS_DSIG[] = "http://www.w3.org/2000/09/xmldsig#";
static const char NS_XENC[] = "http://www.w3.org/2001/04/xmlenc#";
static const char NO_DOCTYPE[] = "a DOCTYPE is not allowed";
static const char NS_XSI[] = "http://www.w3.org/2001/XMLSchema-instance";

/* What the callbacks work on; reached through ctxt->_private. */
struct reader {
    const uint8_t *base; /* our copy of the text */
    size_t depth, nodes;
    bool relative;
    struct mcx_xml *root, *top, *newest;
    struct mcx_xml_fault fault; /* the first one counts */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct reader *
reader_of(void *user)
{
    return ((xmlParserCtxtPtr)user)->_private;
}

static void
note(struct reader *r, xmlParserCtxtPtr ctxt, mcx_reason reason, int line,
     const char *what)
{
    if (r->fault.err != MCX_OK) {
        return;
    }
    r->fault.err = mcx_reason_err(reason);
    r->fault.reason = reason;
    r->fault.what = what;
    r->fault.line = line;
    /* A parser that was stopped has another input. */
    if (ctxt->input && ctxt->input->base == r->base) {
        r->fault.at = (size_t)(ctxt->input->cur - r->base);
        if (line <= 0) {
            r->fault.line = ctxt->input->line;
        }
    }
}

static void
stop(void *user, mcx_reason reason, const char *what)
{
    note(reader_of(user), user, reason, 0, what);
    xmlStopParser(user);
}

#if LIBXML_VERSION >= 21200
static void
on_error(void *user, const xmlError *e)
#else
static void
on_error(void *user, xmlErrorPtr e)
#endif
{
    const char *what = "not well-formed XML";

    if (e->level < XML_ERR_ERROR) {
        return;
    }
    /* libxml2's own texts may quote the document: never shown. */
    switch (e->code) {
    case XML_ERR_NO_MEMORY:
        note(reader_of(user), user, MCX_R_MEMORY, e->line, "out of memory");
        return;
    case XML_ERR_TAG_NAME_MISMATCH:
    case XML_ERR_TAG_NOT_FINISHED:
        what = "start and end tags do not match";
        break;
    case XML_ERR_UNDECLARED_ENTITY:
        what = "entities other than the five of XML are not read";
        break;
    case XML_ERR_INVALID_ENCODING:
    case XML_ERR_INVALID_CHAR:
        what = "not UTF-8, or a character that XML does not allow";
        break;
    case XML_ERR_DOCUMENT_EMPTY:
    case XML_ERR_DOCUMENT_END:
        what = "not one XML document";
        break;
    case XML_NS_ERR_UNDEFINED_NAMESPACE:
        what = "a namespace prefix is not declared";
        break;
    default:
        break;
    }
    note(reader_of(user), user, MCX_R_XML, e->line, what);
}

static void
on_doctype(void *user, const xmlChar *name, const xmlChar *ext,
           const xmlChar *sys)
{
    (void)name;
    (void)ext;
    (void)sys;
    stop(user, MCX_R_XML, NO_DOCTYPE);
}

/* Copies what fits; "?" for what does not. */
static void
keep(char *out, size_t room, const char *from, size_t n)
{
    if (n >= room || memchr(from, '\0', n)) {
        out[0] = '?';
        out[1] = '\0';
        return;
    }
    memcpy(out, from, n);
    out[n] = '\0';
}

/* libxml2 hands an '&' in a value over as "&#38;". */
static void
mend_amp(char *s)
{
    char *to = s;

    while (*s) {
        bool is_amp = strncmp(s, "&#38;", 5) == 0;

        *to++ = *s;
        s += is_amp ? 5 : 1;
    }
    *to = '\0';
}

/* One of any size. */
static bool
keep_long(char **out, const char *from, size_t n)
{
    char *p = malloc(n + 1);

    if (!p) {
        return false;
    }
    memcpy(p, from, n);
    p[n] = '\0';
    mend_amp(p);
    free(*out);
    *out = p;
    return true;
}

/* False: no memory. */
static bool
keep_attributes(struct mcx_xml *x, const xmlChar **attr, int n)
{
    int i;

    for (i = 0; i < n; i++, attr += 5) {
        const char *name = (const char *)attr[0];
        const char *uri = (const char *)attr[2];
        const char *value = (const char *)attr[3];
        size_t value_n = (size_t)(attr[4] - attr[3]);

        if (!uri && strcmp(name, "type") == 0) {
            keep(x->type, sizeof x->type, value, value_n);
        } else if (!uri && strcmp(name, "Role") == 0) {
            keep(x->role, sizeof x->role, value, value_n);
        } else if (!uri && strcmp(name, "CacheNum") == 0) {
            keep(x->cache_num, sizeof x->cache_num, value, value_n);
        } else if (!uri && strcmp(name, "Id") == 0) {
            keep(x->id, sizeof x->id, value, value_n);
        } else if (!uri && strcmp(name, "id") == 0) {
            keep(x->id_lower, sizeof x->id_lower, value, value_n);
            mend_amp(x->id_lower);
        } else if (!uri && strcmp(name, "activationtime") == 0) {
            keep(x->activation, sizeof x->activation, value, value_n);
        } else if (!uri && strcmp(name, "temporary-MCPTT-group-ID") == 0) {
            if (!keep_long(&x->group, value, value_n)) {
                return false;
            }
        } else if (!uri && strcmp(name, "Algorithm") == 0) {
            keep(x->algorithm, sizeof x->algorithm, value, value_n);
        } else if (uri && strcmp(uri, NS_XSI) == 0
                   && strcmp(name, "type") == 0) {
            const char *colon = memchr(value, ':', value_n);

            if (colon) {
                value_n -= (size_t)(colon + 1 - value);
                value = colon + 1;
            }
            keep(x->xsi_type, sizeof x->xsi_type, value, value_n);
        }
    }
    return true;
}

/* Canonical XML 1.0 1.3 has no form for it, and libxml2 would print it. */
static bool
is_relative(const xmlChar *ns)
{
    xmlURIPtr uri;
    bool is;

    if (!ns || !*ns) {
        return false;
    }
    uri = xmlParseURI((const char *)ns);
    is = !uri || !uri->scheme || !*uri->scheme;
    xmlFreeURI(uri);
    return is;
}

static void
on_start(void *user, const xmlChar *name, const xmlChar *prefix,
         const xmlChar *uri, int n_ns, const xmlChar **ns, int n_attr,
         int n_defaulted, const xmlChar **attr)
{
    xmlParserCtxtPtr ctxt = user;
    struct reader *r = reader_of(user);
    struct mcx_xml *x;

    (void)prefix;
    (void)n_defaulted;
    for (int i = 0; i < n_ns; i++) {
        r->relative = r->relative || is_relative(ns[2 * i + 1]);
    }
    if (r->fault.err != MCX_OK && r->fault.err != MCX_E_MALFORMED) {
        return;
    }
    if (r->depth >= MCX_XML_DEPTH) {
        stop(user, MCX_R_TOO_LARGE, "elements are nested too deep");
        return;
    }
    if (r->nodes >= MCX_XML_NODES_MAX) {
        stop(user, MCX_R_TOO_LARGE, "too many elements");
        return;
    }
    x = calloc(1, sizeof *x);
    if (!x) {
        stop(user, MCX_R_MEMORY, "out of memory");
        return;
    }
    r->depth++;
    r->nodes++;
    x->older = r->newest;
    r->newest = x;
    keep(x->name, sizeof x->name, (const char *)name,
         strlen((const char *)name));
    x->ns = !uri ? MCX_XML_NS_NONE
            : strcmp((const char *)uri, MCX_NS_KRR) == 0 ? MCX_XML_NS_KRR
            : strcmp((const char *)uri, MCX_NS_KRR_MORE) == 0
                ? MCX_XML_NS_KRR_MORE
            : strcmp((const char *)uri, MCX_NS_GKTP) == 0 ? MCX_XML_NS_GKTP
            : strcmp((const char *)uri, NS_KMS) == 0 ? MCX_XML_NS_KMS
            : strcmp((const char *)uri, MCX_NS_MCPTT_INFO) == 0
                ? MCX_XML_NS_MCINFO
            : strcmp((const char *)uri, NS_DSIG) == 0 ? MCX_XML_NS_DSIG
            : strcmp((const char *)uri, NS_XENC) == 0 ? MCX_XML_NS_XENC
                                                      : MCX_XML_NS_OTHER;
    x->line = ctxt->input->line;
    x->at = (size_t)(ctxt->input->cur - r->base);
    /* The parser stands behind the attributes, in which no '<' can be. */
    while (x->at > 0 && r->base[x->at] != '<') {
        x->at--;
    }
    if (!keep_attributes(x, attr, n_attr)) {
        stop(user, MCX_R_MEMORY, "out of memory");
    }
    x->parent = r->top;
    if (!r->top) {
        r->root = x;
    } else if (r->top->last) {
        r->top->last->next = x;
        r->top->last = x;
    } else {
        r->top->first = r->top->last = x;
    }
    r->top = x;
}

static void
on_end(void *user, const xmlChar *name, const xmlChar *prefix,
       const xmlChar *uri)
{
    xmlParserCtxtPtr ctxt = user;
    struct reader *r = reader_of(user);

    (void)name;
    (void)prefix;
    (void)uri;
    if (r->top) {
        /* A parser that was stopped has another input. */
        if (ctxt->input && ctxt->input->base == r->base) {
            r->top->end = (size_t)(ctxt->input->cur - r->base);
        }
        r->top = r->top->parent;
        r->depth--;
    }
}

/* Grows by doubling; the buffer left behind is wiped. */
static void
on_text(void *user, const xmlChar *s, int len)
{
    struct reader *r = reader_of(user);
    struct mcx_xml *x = r->top;
    size_t n = (size_t)len;

    if (!x || len <= 0) {
        return;
    }
    if (n >= x->text_room - x->text_n) {
        size_t room = x->text_room * 2 > x->text_n + n + 1
                          ? x->text_room * 2
                          : x->text_n + n + 1;
        char *bigger = malloc(room);

        if (!bigger) {
            stop(user, MCX_R_MEMORY, "out of memory");
            return;
        }
        if (x->text) {
            memcpy(bigger, x->text, x->text_n);
            mcx_wipe(x->text, x->text_room);
            free(x->text);
        }
        x->text = bigger;
        x->text_room = room;
    }
    memcpy(x->text + x->text_n, s, n);
    x->text_n += n;
    x->text[x->text_n] = '\0';
}

static void
on_comment(void *user, const xmlChar *s)
{
    struct reader *r = reader_of(user);

    (void)s;
    if (r->top) {
        r->top->mixed = true;
    }
}

static void
on_pi(void *user, const xmlChar *target, const xmlChar *s)
{
    (void)target;
    on_comment(user, s);
}

static void
free_nodes(struct mcx_xml *newest)
{
    while (newest) {
        struct mcx_xml *older = newest->older;

        if (newest->text) {
            mcx_wipe(newest->text, newest->text_room);
            free(newest->text);
        }
        free(newest->group);
        free(newest);
        newest = older;
    }
}

void
mcx_xml_free(struct mcx_xml *root)
{
    struct mcx_xml *x = root;

    /* The newest node is the last child of the last child ... of the root. */
    while (x && x->last) {
        x = x->last;
    }
    free_nodes(x);
}

static mcx_err
early(struct mcx_xml_fault *fault, mcx_reason reason, size_t at, int line,
      const char *what)
{
    fault->err = mcx_reason_err(reason);
    fault->reason = reason;
    fault->at = at;
    fault->line = line;
    fault->what = what;
    return fault->err;
}

/* Before libxml2 sees anything: the size; octets that announce another coding
 * than UTF-8; how many attributes one tag can have, which libxml2 2.9 compares
 * pair by pair; and a DOCTYPE, which libxml2 reads without asking on_doctype()
 * when the document was in error before.  "<!DOCTYPE" in a comment or CDATA
 * section is refused with it: no document of ours has that. */
static mcx_err
look(struct mcx_bytes xml, size_t max, struct mcx_xml_fault *fault)
{
    const struct mcx_bytes doctype = mcx_bytes_str("<!DOCTYPE");
    size_t i, equals = 0;
    int line = 1;

    if (xml.n > max) {
        return early(fault, MCX_R_TOO_LARGE, max, 0,
                     "the document is too large");
    }
    if (xml.n == 0) {
        return early(fault, MCX_R_XML, 0, 0, "the document is empty");
    }
    if (!strchr("<\xef \t\r\n", xml.p[0])) {
        return early(fault, MCX_R_XML, 0, 1,
                     "not XML in UTF-8: it does not begin with '<'");
    }
    for (i = 0; i < xml.n; i++) {
        if (xml.p[i] == '\0') {
            return early(fault, MCX_R_XML, i, line, "a NUL octet");
        }
        if (xml.p[i] == '\n') {
            line++;
        } else if (xml.p[i] == '<') {
            equals = 0;
            if (xml.n - i >= doctype.n
                && mcx_bytes_eq(mcx_bytes(xml.p + i, doctype.n), doctype)) {
                return early(fault, MCX_R_XML, i, line, NO_DOCTYPE);
            }
        } else if (xml.p[i] == '=' && ++equals > MCX_XML_EQUALS_MAX) {
            return early(fault, MCX_R_TOO_LARGE, i, line,
                         "too many attributes");
        }
    }
    return MCX_OK;
}

static xmlParserCtxtPtr
open_parser(struct reader *r, const char *text)
{
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    xmlParserInputPtr in;

    if (!ctxt) {
        return NULL;
    }
    (void)xmlCtxtUseOptions(ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC
                                      | XML_PARSE_NOCDATA);
    memset(ctxt->sax, 0, sizeof *ctxt->sax);
    ctxt->sax->initialized = XML_SAX2_MAGIC;
    ctxt->sax->internalSubset = on_doctype;
    ctxt->sax->startElementNs = on_start;
    ctxt->sax->endElementNs = on_end;
    ctxt->sax->characters = on_text;
    ctxt->sax->ignorableWhitespace = on_text;
    ctxt->sax->comment = on_comment;
    ctxt->sax->processingInstruction = on_pi;
    ctxt->sax->serror = on_error;
    ctxt->_private = r;
    /* This kind of input is read in place: no copy, nothing is moved. */
    in = xmlNewStringInputStream(ctxt, (const xmlChar *)text);
    if (!in || inputPush(ctxt, in) < 0) {
        xmlFreeParserCtxt(ctxt);
        return NULL;
    }
    return ctxt;
}

mcx_err
mcx_xml_read(struct mcx_xml **root, struct mcx_bytes xml, size_t max,
             struct mcx_xml_fault *fault)
{
    struct reader r = { 0 };
    xmlParserCtxtPtr ctxt;
    char *text;

    *root = NULL;
    memset(fault, 0, sizeof *fault);
    MCX_TRY(look(xml, max, fault));
    (void)pthread_once(&once, xmlInitParser);
    text = malloc(xml.n + 1);
    if (!text) {
        return early(fault, MCX_R_MEMORY, 0, 0, "out of memory");
    }
    memcpy(text, xml.p, xml.n);
    text[xml.n] = '\0';
    r.base = (const uint8_t *)text;
    ctxt = open_parser(&r, text);
    if (!ctxt) {
        r.fault.err = early(&r.fault, MCX_R_MEMORY, 0, 0, "out of memory");
    } else {
        (void)xmlParseDocument(ctxt);
        if (!ctxt->wellFormed || !ctxt->nsWellFormed || !r.root || r.top) {
            note(&r, ctxt, MCX_R_XML, 0, "not well-formed XML");
        }
        xmlFreeDoc(ctxt->myDoc); /* NULL, or libxml2 made one by itself */
        xmlFreeParserCtxt(ctxt);
    }
    mcx_wipe(text, xml.n);
    free(text);
    if (r.fault.err != MCX_OK) {
        free_nodes(r.newest);
        *fault = r.fault;
        return fault->err;
    }
    r.root->relative = r.relative;
    *root = r.root;
    return MCX_OK;
}

const struct mcx_xml *
mcx_xml_again(const struct mcx_xml *after, const char *name)
{
    const struct mcx_xml *x = after->next;

    while (x && strcmp(x->name, name) != 0) {
        x = x->next;
    }
    return x;
}

const struct mcx_xml *
mcx_xml_child(const struct mcx_xml *parent, const char *name)
{
    const struct mcx_xml *x = parent->first;

    while (x && strcmp(x->name, name) != 0) {
        x = x->next;
    }
    return x;
}

static bool
space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
mcx_xml_blank(const struct mcx_xml *node)
{
    size_t i;

    for (i = 0; i < node->text_n; i++) {
        if (!space((uint8_t)node->text[i])) {
            return false;
        }
    }
    return true;
}

bool
mcx_xml_text(struct mcx_bytes *out, const struct mcx_xml *leaf)
{
    struct mcx_bytes b = mcx_bytes(leaf->text, leaf->text_n);

    if (leaf->first || leaf->mixed) {
        return false;
    }
    while (b.n > 0 && space(b.p[0])) {
        b.p++;
        b.n--;
    }
    while (b.n > 0 && space(b.p[b.n - 1])) {
        b.n--;
    }
    *out = b;
    return true;
}
