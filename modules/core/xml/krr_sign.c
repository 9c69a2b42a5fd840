/* krr_sign.c -- signatures of KMS redirect responses (TS 33.180 D.4), both
 * ways.  See mcx_kms.h.
 *
 * Called by the glue.  The document has been read by krr.c before; here it is
 * read again, by libxml2 into a tree, for canonical form.  What a signature
 * may look like is written down element by element and compared, and libxml2's
 * canonicalisation is all that is asked of a library: no transform, no search
 * for keys, no address is followed.  The signature covers the whole document
 * but itself, so there is nothing beside it that a reader could take. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include "out.h"
#include "sig.h"
#include "tree.h"

static const char D4[] = "TS 33.180 D.4";
static const char ROOT[] = "KmsRedirectResponse";
static const char ENVELOPED[] = MCX_SIG_NS "enveloped-signature";
#define ECDSA "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

enum {
    CERT_TEXT_MAX = MCX_B64_SIZE(MCX_X509_DER_MAX),
    VALUE_TEXT_MAX = MCX_B64_SIZE(MCX_X509_SIG_SIZE) + 4,
    DIGEST_TEXT_MAX = MCX_B64_SIZE(MCX_SHA256_SIZE)
};

static mcx_err
refuse(struct mcx_text *text, mcx_err err, const char *what)
{
    if (text) {
        (void)snprintf(text->s, sizeof text->s, "%s (%s)", what, D4);
    }
    return err;
}

/* ---- the tree ---------------------------------------------------------- */

/* 'text' must be NUL terminated and outlive the parsing.  MCX_E_MALFORMED,
 * MCX_E_NOMEM. */
static mcx_err
parse(xmlDocPtr *out, const char *text)
{
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    xmlParserInputPtr in;
    xmlDocPtr doc = NULL;
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    if (!ctxt) {
        return err;
    }
    (void)xmlCtxtUseOptions(ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC
                                      | XML_PARSE_NOCDATA
                                      | XML_PARSE_NOERROR
                                      | XML_PARSE_NOWARNING);
    in = xmlNewStringInputStream(ctxt, (const xmlChar *)text);
    if (in && inputPush(ctxt, in) >= 0) {
        (void)xmlParseDocument(ctxt);
        doc = ctxt->myDoc;
        ctxt->myDoc = NULL;
        if (ctxt->errNo == XML_ERR_NO_MEMORY) {
            err = MCX_E_NOMEM;
        } else if (!doc || !ctxt->wellFormed || !ctxt->nsWellFormed) {
            err = MCX_E_MALFORMED;
        } else {
            err = MCX_OK;
        }
    }
    if (err != MCX_OK) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    *out = doc;
    xmlFreeParserCtxt(ctxt);
    return err;
}

static bool
is(const xmlNode *n, const char *name, const char *ns)
{
    /* libxml2 may have had no memory for a name. */
    return n && n->type == XML_ELEMENT_NODE && n->name
           && strcmp((const char *)n->name, name) == 0 && n->ns && n->ns->href
           && strcmp((const char *)n->ns->href, ns) == 0;
}

static bool
dsig(const xmlNode *n, const char *name)
{
    return is(n, name, MCX_SIG_NS);
}

/* White space between elements is passed over; anything else is not. */
static xmlNodePtr
pass_blank(xmlNodePtr n)
{
    while (n && xmlIsBlankNode(n)) {
        n = n->next;
    }
    return n;
}

static xmlNodePtr
first(const xmlNode *n)
{
    return pass_blank(n->children);
}

static xmlNodePtr
next(const xmlNode *n)
{
    return pass_blank(n->next);
}

/* The value of an attribute without namespace; NULL: there is none. */
static const char *
attribute(const xmlNode *n, const char *name)
{
    const xmlAttr *a = xmlHasNsProp(n, (const xmlChar *)name, NULL);

    if (!a) {
        return NULL;
    }
    return a->children && !a->children->next && a->children->content
               ? (const char *)a->children->content
               : "";
}

/* An element with that Algorithm and nothing in it. */
static bool
algorithm(const xmlNode *n, const char *name, const char *want)
{
    const char *said = dsig(n, name) ? attribute(n, "Algorithm") : NULL;

    return said && strcmp(said, want) == 0 && !first(n);
}

/* The text of an element that holds nothing else, white space left out. */
static bool
text_of(char *out, size_t room, const xmlNode *n)
{
    const xmlNode *t = n->children;
    const char *s = t && t->type == XML_TEXT_NODE && !t->next && t->content
                        ? (const char *)t->content
                        : "";
    size_t i = 0;

    for (; *s; s++) {
        if (strchr(" \t\r\n", *s)) {
            continue;
        }
        if (i + 1 >= room) {
            return false;
        }
        out[i++] = *s;
    }
    out[i] = '\0';
    return i > 0;
}

/* ---- canonical form ---------------------------------------------------- */

/* The subtree of 'of' without that of 'but'. */
struct subtree {
    const xmlNode *of, *but;
};

static int
visible(void *arg, xmlNodePtr node, xmlNodePtr parent)
{
    const struct subtree *s = arg;
    const xmlNode *n = node && node->type == XML_NAMESPACE_DECL ? parent
                                                                : node;
    bool inside = false;

    for (; n && (const void *)n != (const void *)n->doc; n = n->parent) {
        if (n == s->but) {
            return 0;
        }
        inside = inside || n == s->of;
    }
    return inside;
}

/* '*out' with xmlFree(). */
static mcx_err
canonical(xmlChar **out, size_t *n, xmlDocPtr doc, const struct subtree *s)
{
    xmlOutputBufferPtr buf = xmlAllocOutputBuffer(NULL);
    struct subtree copy = *s;
    mcx_err err = MCX_E_NOMEM;

    *out = NULL;
    if (buf
        && xmlC14NExecute(doc, visible, &copy, XML_C14N_1_0, NULL, 0, buf)
               >= 0) {
        *n = xmlOutputBufferGetSize(buf);
        *out = xmlStrndup(xmlOutputBufferGetContent(buf), (int)*n);
        err = *out ? MCX_OK : MCX_E_NOMEM;
    }
    if (buf) {
        (void)xmlOutputBufferClose(buf);
    }
    return err;
}

/* ---- the form ---------------------------------------------------------- */

struct form {
    xmlNodePtr root, signature, info;
    char digest[DIGEST_TEXT_MAX + 4], value[VALUE_TEXT_MAX];
    char cert[CERT_TEXT_MAX];
};

static unsigned
count_ids(const xmlNode *n, const char *id)
{
    unsigned count = 0;

    for (; n; n = n->next) {
        const xmlAttr *a = n->type == XML_ELEMENT_NODE ? n->properties : NULL;

        for (; a; a = a->next) {
            count += a->name
                     && xmlStrcasecmp(a->name, (const xmlChar *)"Id") == 0
                     && a->children && a->children->content
                     && strcmp((const char *)a->children->content, id) == 0;
        }
        /* Depth is bounded: the document has been read before. */
        count += n->type == XML_ELEMENT_NODE ? count_ids(n->children, id) : 0;
    }
    return count;
}

/* "" is the document, and so is the Id of its element when no other has it. */
static bool
leads_to_root(const struct form *f, const char *uri)
{
    const char *id = attribute(f->root, "Id");

    if (!uri || !*uri) {
        return uri != NULL;
    }
    return uri[0] == '#' && id && *id && strcmp(uri + 1, id) == 0
           && count_ids(f->root, id) == 1;
}

static mcx_err
reference(struct form *f, const xmlNode *ref, struct mcx_text *text)
{
    const xmlNode *n, *t;

    if (!dsig(ref, "Reference") || next(ref)
        || !leads_to_root(f, attribute(ref, "URI"))) {
        return refuse(text, MCX_E_POLICY, "SignedInfo does not have one "
                      "Reference, to the document");
    }
    n = first(ref);
    t = dsig(n, "Transforms") ? first(n) : NULL;
    if (!t || !algorithm(t, "Transform", ENVELOPED)
        || (next(t) && (!algorithm(next(t), "Transform", MCX_SIG_C14N)
                        || next(next(t))))) {
        return refuse(text, MCX_E_POLICY, "the transforms are not "
                      "enveloped-signature, and perhaps C14N");
    }
    n = next(n);
    if (!algorithm(n, "DigestMethod", MCX_SIG_SHA)) {
        return refuse(text, MCX_E_POLICY, "DigestMethod is not SHA-256");
    }
    n = next(n);
    if (!dsig(n, "DigestValue") || next(n)
        || !text_of(f->digest, sizeof f->digest, n)) {
        return refuse(text, MCX_E_POLICY, "DigestValue is not one of SHA-256");
    }
    return MCX_OK;
}

static mcx_err
members(struct form *f, struct mcx_text *text)
{
    const xmlNode *n, *k;

    f->info = first(f->signature);
    if (!dsig(f->info, "SignedInfo")) {
        return refuse(text, MCX_E_POLICY, "Signature has no SignedInfo");
    }
    n = first(f->info);
    if (!algorithm(n, "CanonicalizationMethod", MCX_SIG_C14N)) {
        return refuse(text, MCX_E_POLICY,
                      "CanonicalizationMethod is not inclusive C14N");
    }
    n = next(n);
    if (!algorithm(n, "SignatureMethod", ECDSA)) {
        return refuse(text, MCX_E_POLICY,
                      "SignatureMethod is not ECDSA with SHA-256");
    }
    MCX_TRY(reference(f, next(n), text));
    n = next(f->info);
    if (!dsig(n, "SignatureValue")
        || !text_of(f->value, sizeof f->value, n)) {
        return refuse(text, MCX_E_POLICY, "SignatureValue is not one of "
                      "P-256");
    }
    n = next(n);
    k = dsig(n, "KeyInfo") && !next(n) ? first(n) : NULL;
    k = dsig(k, "X509Data") && !next(k) ? first(k) : NULL;
    if (!dsig(k, "X509Certificate") || next(k)
        || !text_of(f->cert, sizeof f->cert, k)) {
        return refuse(text, MCX_E_POLICY,
                      "KeyInfo does not hold one X509Certificate");
    }
    return MCX_OK;
}

/* Finds the one Signature of the document itself. */
static mcx_err
layout(struct form *f, xmlDocPtr doc, struct mcx_text *text)
{
    xmlNodePtr n;

    f->root = xmlDocGetRootElement(doc);
    if (!is(f->root, ROOT, MCX_NS_KRR)) {
        return refuse(text, MCX_E_POLICY, "not a KMS redirect response");
    }
    for (n = f->root->children; n; n = n->next) {
        if (dsig(n, "Signature")) {
            if (f->signature) {
                return refuse(text, MCX_E_POLICY,
                              "there is more than one Signature");
            }
            f->signature = n;
        }
    }
    if (!f->signature) {
        return refuse(text, MCX_E_POLICY, "it is not signed");
    }
    if (next(f->signature)) {
        return refuse(text, MCX_E_POLICY, "something follows the Signature");
    }
    return MCX_OK;
}

/* ---- both ways --------------------------------------------------------- */

/* What is digested, as text, and what is signed. */
static mcx_err
compute(char digest[DIGEST_TEXT_MAX], xmlChar **info, size_t *info_n,
        xmlDocPtr doc, const struct form *f)
{
    const struct subtree body = { f->root, f->signature };
    const struct subtree only = { f->info, NULL };
    uint8_t sha[MCX_SHA256_SIZE];
    xmlChar *s = NULL;
    size_t n = 0;
    mcx_err err = canonical(&s, &n, doc, &body);

    if (err == MCX_OK) {
        err = mcx_x509_digest(sha, mcx_bytes(s, n));
    }
    xmlFree(s);
    MCX_TRY(err);
    MCX_TRY(mcx_b64_encode(digest, DIGEST_TEXT_MAX,
                           mcx_bytes(sha, sizeof sha)));
    return canonical(info, info_n, doc, &only);
}

static mcx_err
judge(xmlDocPtr doc, struct form *f, const char *entity,
      struct mcx_bytes ca_pem, int64_t now_unix, struct mcx_text *text)
{
    char digest[DIGEST_TEXT_MAX];
    uint8_t sig[MCX_X509_SIG_SIZE + 4], *der;
    size_t sig_n = sizeof sig, der_n = MCX_X509_DER_MAX, info_n = 0;
    xmlChar *info = NULL;
    mcx_err err;

    MCX_TRY(layout(f, doc, text));
    MCX_TRY(members(f, text));
    MCX_TRY(compute(digest, &info, &info_n, doc, f));
    der = malloc(der_n);
    if (!der) {
        err = MCX_E_NOMEM;
    } else if (strcmp(digest, f->digest) != 0) {
        err = refuse(text, MCX_E_AUTH, "the document was changed after it "
                     "was signed");
    } else if (mcx_b64_decode(sig, &sig_n, mcx_bytes_str(f->value), NULL)
                   != MCX_OK
               || sig_n != MCX_X509_SIG_SIZE
               || mcx_b64_decode(der, &der_n, mcx_bytes_str(f->cert), NULL)
                      != MCX_OK) {
        err = refuse(text, MCX_E_AUTH, "signature or certificate are not "
                     "octets in base64");
    } else {
        err = mcx_x509_verify(ca_pem, mcx_bytes(der, der_n), entity, now_unix,
                              mcx_bytes(info, info_n), sig);
        if (err != MCX_OK) {
            err = refuse(text, err, "the signature is wrong, or not one of "
                         "whom the document names");
        }
    }
    free(der);
    xmlFree(info);
    return err;
}

mcx_err
mcx_krr_verify(struct mcx_bytes xml, const char *entity,
               struct mcx_bytes ca_pem, int64_t now_unix,
               struct mcx_text *text)
{
    struct form *f;
    char *copy;
    xmlDocPtr doc = NULL;
    mcx_err err = MCX_E_NOMEM;

    if (xml.n > MCX_KRR_XML_MAX) {
        return refuse(text, MCX_E_TOOBIG, "the document is too large");
    }
    f = calloc(1, sizeof *f);
    copy = f ? malloc(xml.n + 1) : NULL;
    if (copy) {
        memcpy(copy, xml.p, xml.n);
        copy[xml.n] = '\0';
        err = parse(&doc, copy);
        if (err == MCX_E_MALFORMED) {
            err = refuse(text, err, "not well-formed XML");
        }
    }
    if (err == MCX_OK) {
        err = judge(doc, f, entity, ca_pem, now_unix, text);
    }
    xmlFreeDoc(doc);
    free(copy);
    free(f);
    return err;
}

/* ---- made -------------------------------------------------------------- */

static void
write_all(struct mcx_out *o, struct mcx_bytes head, struct mcx_bytes tail,
          const char *digest, const char *value, const char *cert)
{
    mcx_out_octets(o, head);
    mcx_out_raw(o, "<Signature xmlns=\"" MCX_SIG_NS "\"><SignedInfo>"
                   "<CanonicalizationMethod Algorithm=\"" MCX_SIG_C14N "\"/>"
                   "<SignatureMethod Algorithm=\"" ECDSA "\"/>"
                   "<Reference URI=\"#krr\"><Transforms>"
                   "<Transform Algorithm=\"");
    mcx_out_raw(o, ENVELOPED);
    mcx_out_raw(o, "\"/><Transform Algorithm=\"" MCX_SIG_C14N "\"/>"
                   "</Transforms><DigestMethod Algorithm=\"" MCX_SIG_SHA
                   "\"/><DigestValue>");
    mcx_out_raw(o, digest);
    mcx_out_raw(o, "</DigestValue></Reference></SignedInfo>"
                   "<SignatureValue>");
    mcx_out_raw(o, value);
    mcx_out_raw(o, "</SignatureValue><KeyInfo><X509Data><X509Certificate>");
    mcx_out_raw(o, cert);
    mcx_out_raw(o, "</X509Certificate></X509Data></KeyInfo></Signature>");
    mcx_out_octets(o, tail);
}

/* Digest and SignedInfo of a document whose values are still to come. */
static mcx_err
of_draft(char digest[DIGEST_TEXT_MAX], xmlChar **info, size_t *info_n,
         const struct mcx_out *draft)
{
    struct form *f = calloc(1, sizeof *f);
    xmlDocPtr doc = NULL;
    mcx_err err = f && draft->p && !draft->failed ? parse(&doc, draft->p)
                                                  : MCX_E_NOMEM;

    if (err == MCX_OK) {
        err = layout(f, doc, NULL);
        f->info = f->signature ? first(f->signature) : NULL;
        err = err == MCX_OK && f->info
                  ? compute(digest, info, info_n, doc, f)
                  : MCX_E_ARG;
    }
    xmlFreeDoc(doc);
    free(f);
    return err;
}

static mcx_err
cert_text(char out[CERT_TEXT_MAX], struct mcx_bytes pem)
{
    uint8_t *der = malloc(MCX_X509_DER_MAX);
    size_t n = MCX_X509_DER_MAX;
    mcx_err err = der ? mcx_x509_der(der, &n, pem) : MCX_E_NOMEM;

    if (err == MCX_OK) {
        err = mcx_b64_encode(out, CERT_TEXT_MAX, mcx_bytes(der, n));
    }
    free(der);
    return err;
}

mcx_err
mcx_krr_sign(char **out, size_t *n, struct mcx_bytes plain,
             struct mcx_bytes cert_pem, struct mcx_bytes key_pem)
{
    static const char end[] = "</KmsRedirectResponse>\n";
    size_t end_n = sizeof end - 1, info_n = 0;
    char digest[DIGEST_TEXT_MAX], value[VALUE_TEXT_MAX];
    char *cert = malloc(CERT_TEXT_MAX);
    uint8_t sig[MCX_X509_SIG_SIZE];
    struct mcx_out draft = { 0 }, whole = { 0 };
    struct mcx_bytes head, tail;
    xmlChar *info = NULL;
    mcx_err err;

    *out = NULL;
    *n = 0;
    err = cert ? cert_text(cert, cert_pem) : MCX_E_NOMEM;
    if (err == MCX_OK
        && (plain.n < end_n
            || !mcx_bytes_eq(mcx_bytes(plain.p + plain.n - end_n, end_n),
                             mcx_bytes_str(end)))) {
        err = MCX_E_ARG;
    }
    /* SignedInfo is signed with the digest in it: two drafts. */
    for (int i = 0; i < 2 && err == MCX_OK; i++) {
        head = mcx_bytes(plain.p, plain.n - end_n);
        tail = mcx_bytes(plain.p + plain.n - end_n, end_n);
        xmlFree(info);
        info = NULL;
        draft = (struct mcx_out){ 0 };
        write_all(&draft, head, tail, i ? digest : "", "", cert);
        err = of_draft(digest, &info, &info_n, &draft);
        mcx_kms_text_free(draft.p, draft.n);
    }
    if (err == MCX_OK) {
        err = mcx_x509_sign(sig, key_pem, mcx_bytes(info, info_n));
    }
    if (err == MCX_OK) {
        err = mcx_b64_encode(value, sizeof value, mcx_bytes(sig, sizeof sig));
    }
    if (err == MCX_OK) {
        write_all(&whole, head, tail, digest, value, cert);
        err = mcx_out_take(&whole, out, n);
    }
    xmlFree(info);
    free(cert);
    return err;
}
