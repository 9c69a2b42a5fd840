/* krr.c -- a KMS redirect response (TS 33.180 5.2.8 and D.4), both ways.
 *
 * Called by the glue: an entity that does not take the KMS in an I_MESSAGE
 * writes one into its 488, the sender reads it.  What it proposes is only a
 * proposal; whether it may be followed is for the reader's user profile.
 *
 * D.4.4, the schema, was not to be had: the names of the elements are ours
 * (DECISIONS), their meaning is that of D.4.2. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "out.h"
#include "tree.h"

static const char D4[] = "TS 33.180 D.4";
static const char ROOT[] = "KmsRedirectResponse";

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

/* It will be compared, logged and put into a setting's words: nothing but
 * what a URI is made of (RFC 3986), and no comma, which parts words. */
static bool
is_uri(struct mcx_bytes b)
{
    size_t i;

    for (i = 0; i < b.n; i++) {
        if (b.p[i] <= 0x20 || b.p[i] >= 0x7f
            || strchr("<>\"\\^`{|},", b.p[i])) {
            return false;
        }
    }
    return b.n > 0;
}

static bool
ours(const struct mcx_xml *x, const char *name)
{
    return x->ns == MCX_XML_NS_KRR && strcmp(x->name, name) == 0;
}

static mcx_err
take(struct mcx_text *text, char out[MCX_URI_MAX], const struct mcx_xml *x)
{
    struct mcx_bytes b;

    if (!mcx_xml_text(&b, x) || !is_uri(b)) {
        return refuse(text, MCX_E_MALFORMED, x->line, "%s is not a URI (%s)",
                      x->name, D4);
    }
    if (b.n >= MCX_URI_MAX) {
        return refuse(text, MCX_E_TOOBIG, x->line,
                      "%s is longer than %d octets", x->name,
                      MCX_URI_MAX - 1);
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return MCX_OK;
}

/* The one child 'name' of our namespace; NULL and MCX_OK: there is none. */
static mcx_err
once(struct mcx_text *text, const struct mcx_xml **out,
     const struct mcx_xml *parent, const char *name)
{
    const struct mcx_xml *x;

    *out = NULL;
    for (x = parent->first; x; x = x->next) {
        if (ours(x, name) && *out) {
            return refuse(text, MCX_E_MALFORMED, x->line,
                          "%s occurs twice (%s)", name, D4);
        }
        *out = ours(x, name) ? x : *out;
    }
    return MCX_OK;
}

static mcx_err
must(struct mcx_text *text, const struct mcx_xml **out,
     const struct mcx_xml *parent, const char *name)
{
    MCX_TRY(once(text, out, parent, name));
    if (!*out) {
        return refuse(text, MCX_E_MALFORMED, parent->line,
                      "%s has no %s (%s)", parent->name, name, D4);
    }
    return MCX_OK;
}

static bool
has(const struct mcx_krr *krr, const char *kms)
{
    size_t i;

    for (i = 0; i < krr->n_kms; i++) {
        if (strcmp(krr->kms[i], kms) == 0) {
            return true;
        }
    }
    return false;
}

static mcx_err
read_list(struct mcx_krr *out, const struct mcx_xml *root,
          struct mcx_text *text)
{
    const struct mcx_xml *list, *x;

    MCX_TRY(must(text, &list, root, "KmsUriList"));
    for (x = list->first; x; x = x->next) {
        if (!ours(x, "KmsUri")) {
            continue;
        }
        if (out->n_kms == MCX_KRR_KMS_MAX) {
            return refuse(text, MCX_E_TOOBIG, x->line,
                          "more than %d KMSs are proposed", MCX_KRR_KMS_MAX);
        }
        MCX_TRY(take(text, out->kms[out->n_kms], x));
        if (has(out, out->kms[out->n_kms])) {
            return refuse(text, MCX_E_MALFORMED, x->line,
                          "a KmsUri occurs twice (%s)", D4);
        }
        out->n_kms++;
    }
    if (out->n_kms == 0) {
        return refuse(text, MCX_E_MALFORMED, list->line,
                      "no KMS is proposed (%s)", D4);
    }
    if (has(out, out->rejected_kms)) {
        return refuse(text, MCX_E_MALFORMED, list->line,
                      "the rejected KMS is proposed (%s)", D4);
    }
    return MCX_OK;
}

static const char DIGEST[] = "MessageDigest", TIME[] = "Time";
/* The last one with a year of four digits. */
static const int64_t TIME_MAX_MS = INT64_C(253402300799999);

static mcx_err
read_time(struct mcx_krr *out, const struct mcx_xml *x, struct mcx_text *text)
{
    struct mcx_bytes b;

    if (out->time_unix_ms > 0) {
        return refuse(text, MCX_E_MALFORMED, x->line, "%s occurs twice",
                      TIME);
    }
    if (!mcx_xml_text(&b, x)
        || mcx_time_parse(&out->time_unix_ms, b) != MCX_OK
        || out->time_unix_ms < 1 || out->time_unix_ms > TIME_MAX_MS) {
        return refuse(text, MCX_E_MALFORMED, x->line, "%s is not a dateTime "
                      "such as 2026-03-01T08:00:00Z", TIME);
    }
    return MCX_OK;
}

/* Which message it is about, and when it was made, when it says so. */
static mcx_err
read_binding(struct mcx_krr *out, const struct mcx_xml *root,
             struct mcx_text *text)
{
    const struct mcx_xml *x;
    struct mcx_bytes b;

    for (x = root->first; x; x = x->next) {
        size_t n = sizeof out->message;

        if (x->ns == MCX_XML_NS_KRR_MORE && strcmp(x->name, TIME) == 0) {
            MCX_TRY(read_time(out, x, text));
        }
        if (x->ns != MCX_XML_NS_KRR_MORE || strcmp(x->name, DIGEST) != 0) {
            continue;
        }
        if (out->bound) {
            return refuse(text, MCX_E_MALFORMED, x->line, "%s occurs twice",
                          DIGEST);
        }
        if (!mcx_xml_text(&b, x)
            || mcx_b64_decode(out->message, &n, b, NULL) != MCX_OK
            || n != sizeof out->message) {
            return refuse(text, MCX_E_MALFORMED, x->line,
                          "%s is not a SHA-256 in base64", DIGEST);
        }
        out->bound = true;
    }
    return MCX_OK;
}

/* One document of the chain. */
static mcx_err
read_one(struct mcx_krr *out, const struct mcx_xml *root,
         struct mcx_text *text)
{
    const struct {
        const char *name;
        char *to;
    } leaves[] = { { "InitiatorUri", out->initiator },
                   { "ReceiverUri", out->receiver },
                   { "RejectedKmsUri", out->rejected_kms },
                   { "EntityUri", out->entity } };
    const struct mcx_xml *x;
    size_t i;

    if (!ours(root, ROOT)) {
        return refuse(text, MCX_E_MALFORMED, root->line, "the document "
                      "element is not %s of %s (%s)", ROOT, MCX_NS_KRR, D4);
    }
    if (!mcx_xml_blank(root)) {
        return refuse(text, MCX_E_MALFORMED, root->line,
                      "text between the elements of %s (%s)", ROOT, D4);
    }
    for (i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        MCX_TRY(must(text, &x, root, leaves[i].name));
        MCX_TRY(take(text, leaves[i].to, x));
    }
    MCX_TRY(read_binding(out, root, text));
    x = mcx_xml_child(root, "Signature");
    out->has_signature = x && x->ns != MCX_XML_NS_KRR;
    return read_list(out, root, text);
}

/* 'outer' was made from 'inner'. */
static mcx_err
narrower(const struct mcx_krr *outer, const struct mcx_krr *inner, int line,
         struct mcx_text *text)
{
    size_t i;

    if (strcmp(outer->initiator, inner->initiator) != 0
        || strcmp(outer->receiver, inner->receiver) != 0
        || (outer->bound && inner->bound
            && !mcx_bytes_eq(mcx_bytes(outer->message,
                                       sizeof outer->message),
                             mcx_bytes(inner->message,
                                       sizeof inner->message)))) {
        return refuse(text, MCX_E_POLICY, line, "the embedded %s is about "
                      "another message (%s)", ROOT, D4);
    }
    for (i = 0; i < outer->n_kms; i++) {
        if (!has(inner, outer->kms[i])) {
            return refuse(text, MCX_E_POLICY, line, "a KMS is proposed that "
                          "the embedded %s does not propose (%s)", ROOT, D4);
        }
    }
    return MCX_OK;
}

static mcx_err
read_chain(struct mcx_krr *out, struct mcx_krr scratch[2],
           const struct mcx_xml *root, struct mcx_text *text)
{
    struct mcx_krr *outer = out, *inner;
    const struct mcx_xml *x;
    unsigned n = 0;

    MCX_TRY(read_one(out, root, text));
    for (;; root = x, outer = inner) {
        MCX_TRY(once(text, &x, root, ROOT));
        if (!x) {
            break;
        }
        if (++n == MCX_KRR_CHAIN_MAX) {
            return refuse(text, MCX_E_TOOBIG, x->line,
                          "more than %d documents within each other",
                          MCX_KRR_CHAIN_MAX);
        }
        inner = &scratch[n % 2];
        memset(inner, 0, sizeof *inner);
        MCX_TRY(read_one(inner, x, text));
        MCX_TRY(narrower(outer, inner, x->line, text));
    }
    out->n_embedded = n;
    return MCX_OK;
}

mcx_err
mcx_krr_read(struct mcx_krr *out, struct mcx_bytes xml, struct mcx_text *text)
{
    struct mcx_krr *scratch;
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err;

    memset(out, 0, sizeof *out);
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, xml, MCX_KRR_XML_MAX, &fault);
    if (err != MCX_OK) {
        return refuse(text, err, fault.line, "%s", fault.what);
    }
    if (root->relative) {
        /* And none of it in canonical form for mcx_krr_verify(). */
        mcx_xml_free(root);
        return refuse(text, MCX_E_MALFORMED, 0, "a namespace is not an "
                      "absolute URI (%s)", D4);
    }
    scratch = calloc(2, sizeof *scratch);
    err = scratch ? read_chain(out, scratch, root, text) : MCX_E_NOMEM;
    free(scratch);
    mcx_xml_free(root);
    if (err != MCX_OK) {
        memset(out, 0, sizeof *out);
    }
    return err;
}

mcx_err
mcx_krr_write(char **out, size_t *n, const struct mcx_krr *krr)
{
    const char *const leaves[][2] = { { "InitiatorUri", krr->initiator },
                                      { "ReceiverUri", krr->receiver },
                                      { "RejectedKmsUri",
                                        krr->rejected_kms },
                                      { "EntityUri", krr->entity } };
    struct mcx_out o = { 0 };
    size_t i;

    *out = NULL;
    *n = 0;
    for (i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        if (!is_uri(mcx_bytes_str(leaves[i][1]))) {
            return MCX_E_ARG;
        }
    }
    if (krr->n_kms == 0 || krr->n_kms > MCX_KRR_KMS_MAX
        || krr->time_unix_ms < 0 || krr->time_unix_ms > TIME_MAX_MS) {
        return MCX_E_ARG;
    }
    mcx_out_raw(&o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<KmsRedirectResponse xmlns=\"" MCX_NS_KRR "\" "
                    "Id=\"krr\" Version=\"1.0.0\">\n");
    for (i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        mcx_out_leaf(&o, 2, leaves[i][0], leaves[i][1]);
    }
    mcx_out_raw(&o, "  <KmsUriList>\n");
    for (i = 0; i < krr->n_kms; i++) {
        if (!is_uri(mcx_bytes_str(krr->kms[i]))) {
            mcx_kms_text_free(o.p, o.n);
            return MCX_E_ARG;
        }
        mcx_out_leaf(&o, 4, "KmsUri", krr->kms[i]);
    }
    mcx_out_raw(&o, "  </KmsUriList>\n");
    if (krr->time_unix_ms > 0) {
        char when[MCX_RFC3339_SIZE];

        mcx_time_text(when, krr->time_unix_ms);
        mcx_out_raw(&o, "  <Time xmlns=\"" MCX_NS_KRR_MORE "\">");
        mcx_out_raw(&o, when);
        mcx_out_raw(&o, "</Time>\n");
    }
    if (krr->bound) {
        char digest[MCX_B64_SIZE(MCX_KRR_DIGEST_SIZE)];

        o.failed = mcx_b64_encode(digest, sizeof digest,
                                  mcx_bytes(krr->message,
                                            sizeof krr->message))
                       != MCX_OK
                   || o.failed;
        mcx_out_raw(&o, "  <MessageDigest xmlns=\"" MCX_NS_KRR_MORE "\">");
        mcx_out_raw(&o, digest);
        mcx_out_raw(&o, "</MessageDigest>\n");
    }
    mcx_out_raw(&o, "</KmsRedirectResponse>\n");
    return mcx_out_take(&o, out, n);
}
