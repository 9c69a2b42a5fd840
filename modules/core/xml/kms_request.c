/* kms_request.c -- a KmsRequest of TS 33.180 annex D, both ways.
 *
 * The server reads one with every POST, the client writes one.  Read strictly:
 * what is known stands in the right namespace, once, as text.  Order is not
 * judged: table D.2.2-1 of later releases moves elements about.  Whether the
 * contents are true (who asks, when, of whom) is for the server to judge. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include "out.h"
#include "tree.h"

static const char D2[] = "TS 33.180 D.2.2";

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

/* The text of the one child 'name' of our namespace into 'out'; "" when it is
 * absent and need not be there. */
static mcx_err
leaf(struct mcx_text *text, char *out, size_t room,
     const struct mcx_xml *parent, const char *name, bool needed)
{
    const struct mcx_xml *x, *at = NULL;
    struct mcx_bytes b;
    size_t i;

    out[0] = '\0';
    for (x = parent->first; x; x = x->next) {
        if (x->ns != MCX_XML_NS_KMS || strcmp(x->name, name) != 0) {
            continue;
        }
        if (at) {
            return refuse(text, MCX_E_MALFORMED, x->line,
                          "%s occurs twice (%s)", name, D2);
        }
        at = x;
    }
    if (!at) {
        return needed ? refuse(text, MCX_E_MALFORMED, parent->line,
                               "%s has no %s (%s)", parent->name, name, D2)
                      : MCX_OK;
    }
    if (!mcx_xml_text(&b, at) || b.n == 0) {
        return refuse(text, MCX_E_MALFORMED, at->line, "%s is empty or holds "
                      "more than text (%s)", name, D2);
    }
    if (b.n >= room) {
        return refuse(text, MCX_E_TOOBIG, at->line,
                      "%s is longer than %zu octets", name, room - 1);
    }
    for (i = 0; i < b.n; i++) {
        if (b.p[i] < 0x20 || b.p[i] == 0x7f) {
            return refuse(text, MCX_E_MALFORMED, at->line,
                          "a control character in %s (%s)", name, D2);
        }
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return MCX_OK;
}

static mcx_err
uri(struct mcx_text *text, char *out, size_t room,
    const struct mcx_xml *parent, const char *name)
{
    MCX_TRY(leaf(text, out, room, parent, name, true));
    if (strchr(out, ' ')) {
        return refuse(text, MCX_E_MALFORMED, parent->line,
                      "%s is not a URI: a space in it (%s)", name, D2);
    }
    return MCX_OK;
}

static mcx_err
client_error(struct mcx_text *text, struct mcx_kms_request *out,
             const struct mcx_xml *req)
{
    const struct mcx_xml *x = mcx_xml_child(req, "ClientError");
    char code[16];
    size_t i;

    if (!x || x->ns != MCX_XML_NS_KMS) {
        return MCX_OK;
    }
    if (mcx_xml_again(x, "ClientError")) {
        return refuse(text, MCX_E_MALFORMED, x->line,
                      "ClientError occurs twice (%s)", D2);
    }
    MCX_TRY(leaf(text, code, sizeof code, x, "ErrorCode", true));
    MCX_TRY(leaf(text, out->error_msg, sizeof out->error_msg, x, "ErrorMsg",
                 true));
    for (i = 0; code[i]; i++) {
        if (code[i] < '0' || code[i] > '9') {
            return refuse(text, MCX_E_MALFORMED, x->line,
                          "ErrorCode is not a number (%s)", D2);
        }
        out->error_code = out->error_code * 10 + (uint64_t)(code[i] - '0');
    }
    out->has_error = true;
    return MCX_OK;
}

static mcx_err
read_root(struct mcx_kms_request *out, const struct mcx_xml *root,
          struct mcx_text *text)
{
    char when[64];

    if (strcmp(root->name, "SignedKmsRequest") == 0) {
        return refuse(text, MCX_E_UNSUPPORTED, root->line, "SignedKmsRequest:"
                      " signed requests are not taken here");
    }
    if (strcmp(root->name, "KmsRequest") != 0 || root->ns != MCX_XML_NS_KMS) {
        return refuse(text, MCX_E_MALFORMED, root->line,
                      "the document element is not KmsRequest of "
                      "urn:3gpp:ns:mcsecKMSInterface:1.0 (%s)", D2);
    }
    if (!mcx_xml_blank(root)) {
        return refuse(text, MCX_E_MALFORMED, root->line,
                      "text between the elements of KmsRequest (%s)", D2);
    }
    MCX_TRY(uri(text, out->user_uri, sizeof out->user_uri, root, "UserUri"));
    MCX_TRY(uri(text, out->kms_uri, sizeof out->kms_uri, root, "KmsUri"));
    MCX_TRY(uri(text, out->client_req_url, sizeof out->client_req_url, root,
                "ClientReqUrl"));
    MCX_TRY(leaf(text, when, sizeof when, root, "Time", true));
    if (mcx_time_parse(&out->time_unix_ms, mcx_bytes_str(when)) != MCX_OK) {
        return refuse(text, MCX_E_MALFORMED, root->line, "Time is not a "
                      "dateTime such as 2026-03-01T08:00:00Z (%s)", D2);
    }
    MCX_TRY(leaf(text, out->client_id, sizeof out->client_id, root,
                 "ClientId", false));
    MCX_TRY(leaf(text, out->device_id, sizeof out->device_id, root,
                 "DeviceId", false));
    if (mcx_xml_child(root, "KrrList")) {
        return refuse(text, MCX_E_UNSUPPORTED, root->line,
                      "KrrList belongs to the redirect resource (%s)", D2);
    }
    return client_error(text, out, root);
}

bool
mcx_kms_id_ok(const char *id)
{
    static const char words[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-";
    size_t n = strlen(id);

    /* The first is none of the last twelve. */
    return n > 0 && n < MCX_KMS_ID_MAX && strspn(id, words) == n
           && memchr(words, id[0], sizeof words - 1 - 12) != NULL;
}

mcx_err
mcx_kms_request_read(struct mcx_kms_request *out, struct mcx_bytes xml,
                     struct mcx_text *text)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err;

    _Static_assert((int)MCX_KMS_ID_MAX == (int)MCX_XML_ATTR_MAX, "an Id");
    memset(out, 0, sizeof *out);
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, xml, MCX_KMS_REQUEST_MAX, &fault);
    if (err != MCX_OK) {
        return refuse(text, err, fault.line, "%s", fault.what);
    }
    err = read_root(out, root, text);
    if (mcx_kms_id_ok(root->id)) {
        (void)snprintf(out->id, sizeof out->id, "%s", root->id);
    }
    mcx_xml_free(root);
    if (err != MCX_OK) {
        memset(out, 0, sizeof *out);
    }
    return err;
}

mcx_err
mcx_kms_request_write(char **out, size_t *n,
                      const struct mcx_kms_request *req)
{
    struct mcx_out o = { 0 };
    char when[MCX_RFC3339_SIZE];

    *out = NULL;
    *n = 0;
    if (!req->user_uri[0] || !req->kms_uri[0] || !req->client_req_url[0]
        || (req->has_error && !req->error_msg[0])
        || (req->id[0] && !mcx_kms_id_ok(req->id))) {
        return MCX_E_ARG;
    }
    mcx_time_text(when, req->time_unix_ms);
    mcx_out_raw(&o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<KmsRequest xmlns=\"urn:3gpp:ns:mcsecKMSInterface:1.0\""
                    " Id=\"");
    mcx_out_raw(&o, req->id[0] ? req->id : "request");
    mcx_out_raw(&o, "\" Version=\"1.1.0\">\n");
    mcx_out_leaf(&o, 2, "UserUri", req->user_uri);
    mcx_out_leaf(&o, 2, "KmsUri", req->kms_uri);
    mcx_out_leaf(&o, 2, "Time", when);
    if (req->client_id[0]) {
        mcx_out_leaf(&o, 2, "ClientId", req->client_id);
    }
    if (req->device_id[0]) {
        mcx_out_leaf(&o, 2, "DeviceId", req->device_id);
    }
    mcx_out_leaf(&o, 2, "ClientReqUrl", req->client_req_url);
    if (req->has_error) {
        mcx_out_raw(&o, "  <ClientError>\n");
        mcx_out_number(&o, 4, "ErrorCode", req->error_code);
        mcx_out_leaf(&o, 4, "ErrorMsg", req->error_msg);
        mcx_out_raw(&o, "  </ClientError>\n");
    }
    mcx_out_raw(&o, "</KmsRequest>\n");
    return mcx_out_take(&o, out, n);
}
