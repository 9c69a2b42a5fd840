/* sig.c -- see sig.h.
 *
 * xmlsec1 finds the element, canonicalises it, digests it and canonicalises
 * SignedInfo.  It never gets the key: it compares HMACs octet by octet until
 * one differs, so it runs with a random key of the moment, and the caller
 * computes and compares the real one (mcx_kw_mac, mcx_secret_eq).
 *
 * Before xmlsec1 sees a foreign signature, its form is judged here, on the
 * same tree: what it may name is written down element by element, so nothing
 * that xmlsec1 could also do (XSLT, XPath, files, certificates) is asked of
 * it.  Then what is used is what was digested, not what a search finds: that
 * leaves no room for wrapping attacks. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include <libxml/valid.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/crypto.h>
#include <xmlsec/errors.h>
#include <xmlsec/keys.h>
#include "sig.h"
#include "tree.h"

static const char WITH_COMMENTS[] = MCX_SIG_C14N "#WithComments";
static const char ENVELOPED[] =
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
static const char D1[] = "TS 33.180 D.1";

enum { ID_MAX = 128, DUMMY_BITS = 256 };

/* ---- xmlsec1 ----------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

/* Its texts may quote the document: not shown. */
static void
silent(const char *file, int line, const char *func, const char *object,
       const char *subject, int reason, const char *msg)
{
    (void)file;
    (void)line;
    (void)func;
    (void)object;
    (void)subject;
    (void)reason;
    (void)msg;
}

/* An application that uses xmlsec1 itself has set it up, and then it stays as
 * it is.  Never shut down: the others' signatures would end with ours. */
static void
begin(void)
{
    xmlInitParser();
    if (xmlSecPtrListIsValid(xmlSecTransformIdsGet())) {
        ready = true;
        return;
    }
    ready = xmlSecInit() >= 0 && xmlSecCheckVersion() == 1
            && xmlSecCryptoInit() >= 0;
    xmlSecErrorsSetCallback(silent); /* now: those two set their own */
}

/* ---- the tree ---------------------------------------------------------- */

static xmlNodePtr
after(xmlNodePtr n)
{
    while (n && !n->next) {
        n = n->parent;
    }
    return n ? n->next : NULL;
}

/* The next node in document order, NULL after the last one. */
static xmlNodePtr
walk(xmlNodePtr n)
{
    return n->type == XML_ELEMENT_NODE && n->children ? n->children
                                                      : after(n);
}

static void
drop(xmlDocPtr doc)
{
    xmlNodePtr n = doc ? doc->children : NULL;

    for (; n; n = walk(n)) {
        if (n->content
            && (n->type == XML_TEXT_NODE
                || n->type == XML_CDATA_SECTION_NODE)) {
            mcx_wipe(n->content, strlen((const char *)n->content));
        }
    }
    xmlFreeDoc(doc);
}

/* 'text' must be NUL terminated and outlive the parsing; NULL: not XML, or no
 * memory. */
static xmlDocPtr
parse(const char *text)
{
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    xmlParserInputPtr in;
    xmlDocPtr doc = NULL;

    if (!ctxt) {
        return NULL;
    }
    /* NODICT: every text is its own allocation, which we can wipe. */
    (void)xmlCtxtUseOptions(ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC
                                      | XML_PARSE_NOCDATA | XML_PARSE_NODICT
                                      | XML_PARSE_NOERROR
                                      | XML_PARSE_NOWARNING);
    in = xmlNewStringInputStream(ctxt, (const xmlChar *)text);
    if (in && inputPush(ctxt, in) >= 0) {
        (void)xmlParseDocument(ctxt);
        doc = ctxt->myDoc;
        ctxt->myDoc = NULL;
        if (doc
            && (!ctxt->wellFormed || !ctxt->nsWellFormed
                || ctxt->errNo == XML_ERR_NO_MEMORY)) {
            drop(doc);
            doc = NULL;
        }
    }
    xmlFreeParserCtxt(ctxt);
    return doc;
}

static bool
is(const xmlNode *n, const char *name, const char *ns)
{
    /* libxml2 may have had no memory for a name. */
    return n && n->type == XML_ELEMENT_NODE && n->name
           && strcmp((const char *)n->name, name) == 0
           && (!ns || (n->ns && n->ns->href
                       && strcmp((const char *)n->ns->href, ns) == 0));
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

/* The attribute 'name' without namespace; "" when it is absent or longer than
 * any of ours. */
static void
attribute(char *out, size_t room, const xmlNode *n, const char *name)
{
    const xmlAttr *a = xmlHasNsProp(n, (const xmlChar *)name, NULL);
    const xmlNode *t = a ? a->children : NULL;

    out[0] = '\0';
    if (t && !t->next && t->content
        && strlen((const char *)t->content) < room) {
        (void)snprintf(out, room, "%s", (const char *)t->content);
    }
}

static bool
algorithm(const xmlNode *n, const char *want)
{
    char said[ID_MAX];

    attribute(said, sizeof said, n, "Algorithm");
    return strcmp(said, want) == 0;
}

static bool
c14n(const xmlNode *n)
{
    return (algorithm(n, MCX_SIG_C14N) || algorithm(n, WITH_COMMENTS))
           && !first(n);
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

/* ---- the form of a signature ------------------------------------------- */

struct form {
    xmlNodePtr root, inner, signature;
    xmlNodePtr info, digest;
    xmlNodePtr target; /* what the Reference must lead to */
    bool enveloped;
    char id[ID_MAX];
    struct mcx_text *text;
};

static mcx_err
refuse(struct mcx_text *text, mcx_err err, const char *what)
{
    if (text) {
        (void)snprintf(text->s, sizeof text->s, "%s (%s)", what, D1);
    }
    return err;
}

/* The KMS element, the Signature, nothing else. */
static mcx_err
layout(struct form *f, xmlDocPtr doc, const char *root, const char *inner)
{
    xmlNodePtr n;

    f->root = xmlDocGetRootElement(doc);
    if (!is(f->root, root, NULL)) {
        return refuse(f->text, MCX_E_POLICY, "the message is not signed");
    }
    f->inner = first(f->root);
    if (!is(f->inner, inner, NULL)) {
        return refuse(f->text, MCX_E_MALFORMED, "the signed element does not "
                      "begin with the KMS message");
    }
    f->signature = next(f->inner);
    if (!f->signature) {
        return refuse(f->text, MCX_E_POLICY, "the signature is missing");
    }
    if (!dsig(f->signature, "Signature") || next(f->signature)) {
        return refuse(f->text, MCX_E_POLICY, "something else than one "
                      "Signature follows the KMS message");
    }
    /* Certificates of a KMS may carry signatures of their own. */
    for (n = f->root; n; n = walk(n)) {
        if (dsig(n, "Signature") && n != f->signature
            && !(n->parent && is(n->parent, "SignedKmsCertificate", NULL))) {
            return refuse(f->text, MCX_E_POLICY,
                          "there is more than one Signature");
        }
    }
    return MCX_OK;
}

static bool
transforms(struct form *f, const xmlNode *list)
{
    const xmlNode *n;
    unsigned n_c14n = 0, n_enveloped = 0;

    for (n = first(list); n; n = next(n)) {
        if (!dsig(n, "Transform") || first(n)) {
            return false;
        }
        if (algorithm(n, ENVELOPED)) {
            n_enveloped++;
        } else if (c14n(n)) {
            n_c14n++;
        } else {
            return false;
        }
    }
    f->enveloped = n_enveloped == 1;
    return n_c14n <= 1 && n_enveloped <= 1;
}

/* Only what a Reference to an Id can be mistaken for nothing else. */
static bool
plain_id(const char *s)
{
    return *s && !strchr("0123456789.-", *s)
           && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == strlen(s);
}

static mcx_err
signed_info(struct form *f)
{
    xmlNodePtr n = first(f->info), k;
    char uri[ID_MAX];

    if (!dsig(n, "CanonicalizationMethod") || !c14n(n)) {
        return refuse(f->text, MCX_E_POLICY,
                      "CanonicalizationMethod is not inclusive C14N");
    }
    n = next(n);
    if (!dsig(n, "SignatureMethod") || !algorithm(n, MCX_SIG_HMAC)) {
        return refuse(f->text, MCX_E_POLICY,
                      "SignatureMethod is not HMAC-SHA-256");
    }
    k = first(n);
    if (k && (!dsig(k, "HMACOutputLength") || next(k)
              || !text_of(uri, sizeof uri, k) || strcmp(uri, "256") != 0)) {
        return refuse(f->text, MCX_E_POLICY,
                      "SignatureMethod asks for a shortened HMAC");
    }
    n = next(n);
    if (!dsig(n, "Reference") || next(n)) {
        return refuse(f->text, MCX_E_POLICY,
                      "SignedInfo has not exactly one Reference");
    }
    attribute(uri, sizeof uri, n, "URI");
    if (uri[0] != '#' || !plain_id(uri + 1)) {
        return refuse(f->text, MCX_E_POLICY, "the Reference does not name an "
                      "Id of this document");
    }
    (void)snprintf(f->id, sizeof f->id, "%s", uri + 1);
    k = first(n);
    if (dsig(k, "Transforms")) {
        if (!transforms(f, k)) {
            return refuse(f->text, MCX_E_POLICY, "a transform other than "
                          "C14N and enveloped-signature");
        }
        k = next(k);
    }
    if (!dsig(k, "DigestMethod") || !algorithm(k, MCX_SIG_SHA) || first(k)) {
        return refuse(f->text, MCX_E_POLICY, "DigestMethod is not SHA-256");
    }
    f->digest = k = next(k);
    if (!dsig(k, "DigestValue") || next(k)) {
        return refuse(f->text, MCX_E_MALFORMED,
                      "the Reference has not exactly one DigestValue");
    }
    return MCX_OK;
}

static mcx_err
key_name(char out[MCX_TKEY_ID_MAX], const struct form *f, const xmlNode *n)
{
    const xmlNode *k = first(n);

    out[0] = '\0';
    if (!dsig(k, "KeyName") || next(k)
        || !text_of(out, MCX_TKEY_ID_MAX, k)) {
        return refuse(f->text, MCX_E_POLICY,
                      "KeyInfo holds something else than one KeyName");
    }
    return MCX_OK;
}

/* 32 octets in base64, white space left out. */
static bool
octets32(uint8_t out[MCX_KW_MAC_SIZE], const xmlNode *x)
{
    char value[MCX_B64_SIZE(MCX_KW_MAC_SIZE) + 4];
    uint8_t b[MCX_KW_MAC_SIZE + 4];
    size_t n = sizeof b;

    if (!text_of(value, sizeof value, x)
        || mcx_b64_decode(b, &n, mcx_bytes_str(value), NULL) != MCX_OK
        || n != MCX_KW_MAC_SIZE) {
        return false;
    }
    memcpy(out, b, MCX_KW_MAC_SIZE);
    return true;
}

static mcx_err
members(struct form *f, struct mcx_sig *out)
{
    xmlNodePtr k;

    f->info = first(f->signature);
    if (!dsig(f->info, "SignedInfo")) {
        return refuse(f->text, MCX_E_MALFORMED, "Signature has no "
                      "SignedInfo");
    }
    MCX_TRY(signed_info(f));
    /* Here, so that what xmlsec1 fails at is not for the sender to answer. */
    if (!octets32(out->mac, f->digest)) {
        return refuse(f->text, MCX_E_AUTH, "DigestValue is not 32 octets in "
                      "base64");
    }
    k = next(f->info);
    if (!dsig(k, "SignatureValue")) {
        return refuse(f->text, MCX_E_MALFORMED, "Signature has no "
                      "SignatureValue");
    }
    if (!octets32(out->mac, k)) {
        return refuse(f->text, MCX_E_AUTH, "SignatureValue is not 32 octets "
                      "in base64");
    }
    k = next(k);
    if (dsig(k, "KeyInfo")) {
        MCX_TRY(key_name(out->key_name, f, k));
        k = next(k);
    }
    return k ? refuse(f->text, MCX_E_POLICY, "Signature holds something else "
                      "than SignedInfo, SignatureValue and KeyInfo")
             : MCX_OK;
}

/* How many elements carry the Id, in whatever spelling of the attribute; any
 * namespace, because a reader may take xml:id for one. */
static unsigned
count_ids(const struct form *f, bool *on_target)
{
    unsigned count = 0;
    xmlNodePtr n;
    const xmlAttr *a;

    *on_target = false;
    for (n = f->root; n; n = walk(n)) {
        for (a = n->type == XML_ELEMENT_NODE ? n->properties : NULL; a;
             a = a->next) {
            const xmlNode *t = a->children;

            if (!a->name
                || xmlStrcasecmp(a->name, (const xmlChar *)"Id") != 0 || !t
                || t->next || !t->content
                || strcmp((const char *)t->content, f->id) != 0) {
                continue;
            }
            count++;
            *on_target = *on_target
                         || (n == f->target && !a->ns
                             && strcmp((const char *)a->name, "Id") == 0);
        }
    }
    return count;
}

static mcx_err
point(struct form *f, xmlDocPtr doc)
{
    bool on_target;
    unsigned count;
    xmlAttrPtr a;

    f->target = f->enveloped ? f->root : f->inner;
    count = count_ids(f, &on_target);
    if (!on_target) {
        return refuse(f->text, MCX_E_POLICY, "the signature covers another "
                      "element than the KMS message");
    }
    if (count != 1) {
        return refuse(f->text, MCX_E_POLICY, "more than one element has the "
                      "Id that the signature covers");
    }
    a = xmlHasNsProp(f->target, (const xmlChar *)"Id", NULL);
    if (!a || !xmlAddID(NULL, doc, (const xmlChar *)f->id, a)) {
        return MCX_E_NOMEM;
    }
    return MCX_OK;
}

/* ---- with xmlsec1 ------------------------------------------------------ */

/* A copy of what xmlsec1 holds, which is wiped there. */
static mcx_err
carry(char **out, size_t *n, xmlSecBufferPtr from)
{
    xmlSecByte *p = from ? xmlSecBufferGetData(from) : NULL;
    size_t have = from ? xmlSecBufferGetSize(from) : 0;

    if (!p || have == 0) {
        return MCX_E_INTERNAL;
    }
    *out = malloc(have + 1);
    if (*out) {
        memcpy(*out, p, have);
        (*out)[have] = '\0';
        *n = have;
    }
    mcx_wipe(p, have);
    return *out ? MCX_OK : MCX_E_NOMEM;
}

static xmlSecDSigCtxPtr
context(void)
{
    xmlSecDSigCtxPtr ctx = xmlSecDSigCtxCreate(NULL);

    if (!ctx) {
        return NULL;
    }
    ctx->flags = XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES
                 | XMLSEC_DSIG_FLAGS_STORE_SIGNATURE;
    ctx->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
    ctx->signKey = xmlSecKeyGenerate(xmlSecKeyDataHmacId, DUMMY_BITS,
                                     xmlSecKeyDataTypeSession);
    if (!ctx->signKey
        || xmlSecDSigCtxEnableReferenceTransform(
               ctx, xmlSecTransformInclC14NId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(
               ctx, xmlSecTransformInclC14NWithCommentsId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(
               ctx, xmlSecTransformEnvelopedId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformSha256Id)
               < 0
        || xmlSecDSigCtxEnableSignatureTransform(
               ctx, xmlSecTransformInclC14NId) < 0
        || xmlSecDSigCtxEnableSignatureTransform(
               ctx, xmlSecTransformInclC14NWithCommentsId) < 0
        || xmlSecDSigCtxEnableSignatureTransform(
               ctx, xmlSecTransformHmacSha256Id) < 0) {
        xmlSecDSigCtxDestroy(ctx);
        return NULL;
    }
    return ctx;
}

static xmlSecDSigReferenceCtxPtr
only_reference(xmlSecDSigCtxPtr ctx)
{
    return xmlSecPtrListGetSize(&ctx->signedInfoReferences) == 1
               ? xmlSecPtrListGetItem(&ctx->signedInfoReferences, 0)
               : NULL;
}

void
mcx_sig_wipe(struct mcx_sig *sig)
{
    mcx_kms_text_free(sig->info, sig->info_n);
    mcx_kms_text_free(sig->body, sig->body_n);
    mcx_wipe(sig, sizeof *sig);
}

/* The digest is right when this says so; the HMAC is not looked at. */
static mcx_err
digested(struct mcx_sig *out, const struct form *f)
{
    xmlSecDSigCtxPtr ctx = context();
    xmlSecDSigReferenceCtxPtr ref;
    mcx_err err;

    if (!ctx) {
        return MCX_E_NOMEM;
    }
    (void)xmlSecDSigCtxVerify(ctx, f->signature);
    ref = only_reference(ctx);
    if (!ref || ref->status != xmlSecDSigStatusSucceeded) {
        err = ref && ref->status == xmlSecDSigStatusInvalid
                  ? refuse(f->text, MCX_E_AUTH, "the message is not what was "
                           "signed: its digest differs")
                  : refuse(f->text, MCX_E_NOMEM, "xmlsec1 cannot go on");
        if (ref && xmlSecDSigReferenceCtxGetPreDigestBuffer(ref)) {
            char *p = NULL;
            size_t n = 0;

            (void)!carry(&p, &n,
                         xmlSecDSigReferenceCtxGetPreDigestBuffer(ref));
            mcx_kms_text_free(p, n);
        }
    } else {
        err = carry(&out->body, &out->body_n,
                    xmlSecDSigReferenceCtxGetPreDigestBuffer(ref));
        if (err == MCX_OK) {
            err = carry(&out->info, &out->info_n,
                        xmlSecDSigCtxGetPreSignBuffer(ctx));
        }
    }
    xmlSecDSigCtxDestroy(ctx);
    return err;
}

mcx_err
mcx_sig_take(struct mcx_sig *out, struct mcx_bytes xml, const char *root,
             const char *inner, struct mcx_text *text)
{
    struct form f = { .text = text };
    char *copy;
    xmlDocPtr doc;
    mcx_err err;

    memset(out, 0, sizeof *out);
    (void)pthread_once(&once, begin);
    copy = ready ? malloc(xml.n + 1) : NULL;
    if (!copy) {
        return ready ? MCX_E_NOMEM : MCX_E_INTERNAL;
    }
    memcpy(copy, xml.p, xml.n);
    copy[xml.n] = '\0';
    doc = parse(copy);
    /* It was well-formed when tree.c read it. */
    err = doc ? layout(&f, doc, root, inner) : MCX_E_NOMEM;
    if (err == MCX_OK) {
        err = members(&f, out);
    }
    if (err == MCX_OK) {
        err = point(&f, doc);
    }
    if (err == MCX_OK) {
        err = digested(out, &f);
    }
    drop(doc);
    mcx_wipe(copy, xml.n);
    free(copy);
    if (err != MCX_OK) {
        mcx_sig_wipe(out);
    }
    return err;
}

/* ---- making ------------------------------------------------------------ */

static mcx_err
computed(struct mcx_sig *out, const struct form *f)
{
    xmlSecDSigCtxPtr ctx = context();
    mcx_err err = MCX_E_NOMEM;

    if (!ctx) {
        return err;
    }
    if (xmlSecDSigCtxSign(ctx, f->signature) >= 0) {
        xmlSecDSigReferenceCtxPtr ref = only_reference(ctx);
        char *body = NULL;
        size_t n = 0;

        err = carry(&out->info, &out->info_n,
                    xmlSecDSigCtxGetPreSignBuffer(ctx));
        /* To wipe it. */
        if (ref
            && carry(&body, &n,
                     xmlSecDSigReferenceCtxGetPreDigestBuffer(ref))
                   == MCX_OK) {
            mcx_kms_text_free(body, n);
        }
        if (err == MCX_OK
            && !text_of(out->digest, sizeof out->digest, f->digest)) {
            err = MCX_E_INTERNAL;
        }
    }
    xmlSecDSigCtxDestroy(ctx);
    return err;
}

mcx_err
mcx_sig_make(struct mcx_sig *out, struct mcx_bytes xml)
{
    struct form f = { .text = NULL };
    char *copy;
    xmlDocPtr doc;
    mcx_err err;

    memset(out, 0, sizeof *out);
    (void)pthread_once(&once, begin);
    copy = ready ? malloc(xml.n + 1) : NULL;
    if (!copy) {
        return ready ? MCX_E_NOMEM : MCX_E_INTERNAL;
    }
    memcpy(copy, xml.p, xml.n);
    copy[xml.n] = '\0';
    doc = parse(copy);
    f.root = doc ? xmlDocGetRootElement(doc) : NULL;
    f.inner = f.root ? first(f.root) : NULL;
    f.signature = f.inner ? next(f.inner) : NULL;
    f.info = f.signature ? first(f.signature) : NULL;
    if (!doc) {
        err = MCX_E_NOMEM;
    } else if (!f.info) {
        err = MCX_E_ARG;
    } else {
        err = signed_info(&f);
    }
    if (err == MCX_OK) {
        err = point(&f, doc);
    }
    if (err == MCX_OK) {
        err = computed(out, &f);
    }
    drop(doc);
    mcx_wipe(copy, xml.n);
    free(copy);
    if (err != MCX_OK) {
        mcx_sig_wipe(out);
    }
    return err;
}
