/* kms_reply.c -- is this KmsResponse the answer to what was asked?
 *
 * Called by the client of module kms before kms_read.c takes anything from
 * the same document (TS 33.180 D.3.1).  Names are matched as kms_read.c does:
 * by local name.  What a key set announces (period, end, revocation) is listed
 * for the client's book-keeping; nothing here touches a key or the ring. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include "tree.h"

static const char D31[] = "TS 33.180 D.3.1";

struct judge {
    const struct mcx_kms_expect *expect;
    struct mcx_kms_reply *out;
    struct mcx_text *text;
};

static mcx_err MCX_PRINTF(4, 5)
refuse(const struct judge *j, mcx_err err, int line, const char *fmt, ...)
{
    size_t n = 0;
    va_list ap;

    if (!j->text) {
        return err;
    }
    if (line > 0) {
        (void)snprintf(j->text->s, sizeof j->text->s, "line %d: ", line);
        n = strlen(j->text->s);
    }
    va_start(ap, fmt);
    (void)vsnprintf(j->text->s + n, sizeof j->text->s - n, fmt, ap);
    va_end(ap);
    return err;
}

static mcx_err
once(const struct judge *j, const struct mcx_xml **out,
     const struct mcx_xml *parent, const char *name, bool needed)
{
    const struct mcx_xml *x = mcx_xml_child(parent, name);

    *out = x;
    if (!x) {
        return needed ? refuse(j, MCX_E_MALFORMED, parent->line,
                               "%s has no %s (%s)", parent->name, name, D31)
                      : MCX_OK;
    }
    if (mcx_xml_again(x, name)) {
        return refuse(j, MCX_E_MALFORMED, x->line, "%s occurs twice (%s)",
                      name, D31);
    }
    return MCX_OK;
}

/* The text of the child 'name'; no octets when it is absent. */
static mcx_err
leaf(const struct judge *j, struct mcx_bytes *out,
     const struct mcx_xml *parent, const char *name, bool needed)
{
    const struct mcx_xml *x;

    *out = mcx_bytes(NULL, 0);
    MCX_TRY(once(j, &x, parent, name, needed));
    if (x && (!mcx_xml_text(out, x) || out->n == 0)) {
        return refuse(j, MCX_E_MALFORMED, x->line,
                      "%s is empty or holds more than text (%s)", name, D31);
    }
    return MCX_OK;
}

/* 'name' must say 'want'; the foreign value is not repeated. */
static mcx_err
says(const struct judge *j, const struct mcx_xml *resp, const char *name,
     const char *want)
{
    struct mcx_bytes b;

    MCX_TRY(leaf(j, &b, resp, name, true));
    if (want && !mcx_bytes_eq(b, mcx_bytes_str(want))) {
        return refuse(j, MCX_E_AUTH, resp->line, "%s is not %.200s (%s)",
                      name, want, D31);
    }
    return MCX_OK;
}

static mcx_err
fresh(const struct judge *j, const struct mcx_xml *resp)
{
    const struct mcx_kms_expect *e = j->expect;
    int64_t off;
    struct mcx_bytes b;

    MCX_TRY(leaf(j, &b, resp, "Time", true));
    if (mcx_time_parse(&j->out->time_unix_ms, b) != MCX_OK) {
        return refuse(j, MCX_E_MALFORMED, resp->line, "Time is not a "
                      "dateTime such as 2026-03-01T08:00:00Z (%s)", D31);
    }
    off = j->out->time_unix_ms - e->now_unix_ms;
    if (e->window_ms >= 0 && (off > e->window_ms || off < -e->window_ms)) {
        return refuse(j, MCX_E_SKEW, resp->line, "Time is %lld s %s our "
                      "clock, %lld s are allowed (%s)",
                      (long long)(off < 0 ? -off : off) / 1000,
                      off < 0 ? "behind" : "ahead of",
                      (long long)e->window_ms / 1000, D31);
    }
    return MCX_OK;
}

/* Digits only, no more than fit; false: something else. */
static bool
number(uint64_t *out, struct mcx_bytes b)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < b.n; i++) {
        unsigned d = (unsigned)b.p[i] - '0';

        if (d > 9 || v > (UINT64_MAX - d) / 10) {
            return false;
        }
        v = v * 10 + d;
    }
    *out = v;
    return b.n > 0;
}

static mcx_err
take_error(const struct judge *j, const struct mcx_xml *error)
{
    struct mcx_kms_reply *out = j->out;
    struct mcx_bytes code, msg;
    size_t i;

    MCX_TRY(leaf(j, &code, error, "ErrorCode", true));
    MCX_TRY(leaf(j, &msg, error, "ErrorMsg", false));
    if (!number(&out->error_code, code)) {
        return refuse(j, MCX_E_MALFORMED, error->line,
                      "ErrorCode is not a number (%s)", D31);
    }
    for (i = 0; i < msg.n && i + 1 < sizeof out->error_msg; i++) {
        bool plain = msg.p[i] >= 0x20 && msg.p[i] < 0x7f;

        out->error_msg[i] = plain ? (char)msg.p[i] : '?';
    }
    return refuse(j, MCX_E_PEER, error->line, "KmsError %llu%s%s",
                  (unsigned long long)out->error_code, msg.n ? ": " : "",
                  out->error_msg);
}

/* What a set announces; false: one too many.  A set that cannot be read, or
 * is another's, is not listed, for kms_read.c refuses it. */
static bool
announce(const struct judge *j, const struct mcx_xml *set)
{
    struct mcx_kms_announced a = { 0 };
    const struct judge quiet = { j->expect, j->out, NULL };
    struct mcx_bytes no, to, revoked;
    int64_t ms;

    if (says(&quiet, set, "UserUri", j->expect->user_uri) != MCX_OK
        || says(&quiet, set, "KmsUri", j->expect->kms_uri) != MCX_OK
        || leaf(&quiet, &no, set, "KeyPeriodNo", true) != MCX_OK
        || leaf(&quiet, &to, set, "ValidTo", false) != MCX_OK
        || leaf(&quiet, &revoked, set, "Revoked", false) != MCX_OK
        || !number(&a.period_no, no)) {
        return true;
    }
    if (j->out->n_sets == MCX_KMS_SETS_MAX) {
        return false;
    }
    if (to.n > 0) {
        if (mcx_time_parse(&ms, to) != MCX_OK) {
            return true;
        }
        a.valid_to_unix = ms / 1000;
    }
    a.revoked = mcx_bytes_eq(revoked, mcx_bytes_str("true"))
                || mcx_bytes_eq(revoked, mcx_bytes_str("1"));
    j->out->set[j->out->n_sets++] = a;
    return true;
}

/* A URI to be compared and logged: no space, no control character. */
static mcx_err
take_uri(const struct judge *j, char out[MCX_URI_MAX],
         const struct mcx_xml *parent, const char *name)
{
    struct mcx_bytes b;
    size_t i;

    MCX_TRY(leaf(j, &b, parent, name, true));
    for (i = 0; i < b.n; i++) {
        if (b.p[i] <= 0x20 || b.p[i] >= 0x7f) {
            return refuse(j, MCX_E_MALFORMED, parent->line,
                          "%s is not a URI (%s)", name, D31);
        }
    }
    if (b.n >= MCX_URI_MAX) {
        return refuse(j, MCX_E_TOOBIG, parent->line,
                      "%s is longer than %d octets", name, MCX_URI_MAX - 1);
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return MCX_OK;
}

static mcx_err
take_message(const struct judge *j, const struct mcx_xml *msg)
{
    static const struct {
        const char *name;
        enum mcx_kms_what what;
    } kinds[] = { { "KmsInit", MCX_KMS_INIT },
                  { "KmsKeyProv", MCX_KMS_KEYPROV },
                  { "KmsCertCache", MCX_KMS_CERTCACHE },
                  { "KmsLookup", MCX_KMS_LOOKUP } };
    const struct mcx_xml *x = NULL, *found, *set;
    size_t i, at = 0;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        MCX_TRY(once(j, &found, msg, kinds[i].name, false));
        if (found && x) {
            return refuse(j, MCX_E_MALFORMED, found->line, "KmsMessage holds "
                          "both %s and %s (%s)", x->name, found->name, D31);
        }
        if (found) {
            x = found;
            at = i;
        }
    }
    if (!x || (j->expect->what != MCX_KMS_ANY
               && kinds[at].what != j->expect->what)) {
        return refuse(j, MCX_E_POLICY, msg->line, "KmsMessage does not hold "
                      "what was asked for (%s)", D31);
    }
    j->out->what = kinds[at].what;
    if (x->cache_num[0]) {
        if (!number(&j->out->cache_num, mcx_bytes_str(x->cache_num))) {
            return refuse(j, MCX_E_MALFORMED, x->line,
                          "CacheNum is not a number (%s)", D31);
        }
        j->out->has_cache_num = true;
    }
    if (j->out->what == MCX_KMS_LOOKUP) {
        MCX_TRY(take_uri(j, j->out->lookup_uri, x, "UserUri"));
        MCX_TRY(take_uri(j, j->out->lookup_kms, x, "KmsUri"));
    }
    for (set = mcx_xml_child(x, "KmsKeySet");
         set && j->out->what == MCX_KMS_KEYPROV;
         set = mcx_xml_again(set, "KmsKeySet")) {
        if (!announce(j, set)) {
            return refuse(j, MCX_E_TOOBIG, set->line, "more than %d key sets "
                          "of one user", MCX_KMS_SETS_MAX);
        }
    }
    return MCX_OK;
}

static mcx_err
take_root(const struct judge *j, const struct mcx_xml *root)
{
    const struct mcx_xml *resp = root, *error, *msg;

    if (strcmp(root->name, "SignedKmsResponse") == 0) {
        MCX_TRY(once(j, &resp, root, "KmsResponse", true));
    } else if (strcmp(root->name, "KmsResponse") != 0) {
        return refuse(j, MCX_E_MALFORMED, root->line,
                      "the document element is not KmsResponse (%s)", D31);
    }
    (void)snprintf(j->out->id, sizeof j->out->id, "%s",
                   mcx_kms_id_ok(resp->id) ? resp->id : "");
    MCX_TRY(says(j, resp, "KmsUri", j->expect->kms_uri));
    MCX_TRY(says(j, resp, "UserUri", j->expect->user_uri));
    MCX_TRY(says(j, resp, "ClientReqUrl", j->expect->client_req_url));
    MCX_TRY(fresh(j, resp));
    MCX_TRY(once(j, &error, resp, "KmsError", false));
    if (error) {
        return take_error(j, error);
    }
    MCX_TRY(once(j, &msg, resp, "KmsMessage", true));
    return take_message(j, msg);
}

mcx_err
mcx_kms_reply_read(struct mcx_kms_reply *out, struct mcx_bytes xml,
                   const struct mcx_kms_expect *expect, struct mcx_text *text)
{
    struct judge j = { expect, out, text };
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err;

    memset(out, 0, sizeof *out);
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, xml, MCX_KMS_XML_MAX, &fault);
    if (err != MCX_OK) {
        return refuse(&j, err, fault.line, "%s", fault.what);
    }
    err = take_root(&j, root);
    mcx_xml_free(root);
    if (err != MCX_OK && err != MCX_E_PEER) {
        memset(out, 0, sizeof *out);
    }
    return err;
}
