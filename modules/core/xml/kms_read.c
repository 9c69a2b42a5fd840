/* kms_read.c -- takes KMS responses into the key ring (TS 33.180 annex D).
 *
 * Called with a document at a time (mcx_kms_load) or with a folder of them
 * (mcx_kms_load_dir).  A certificate becomes a struct mcx_kms_pub and a key
 * set a struct mcx_user_key; core/ident makes these only from keys that pass
 * RFC 6507 5.1.2 and RFC 6508 6.1.2, and the ring takes nothing else.  What
 * is wrong is named with file, line and element; the values of keys never
 * appear in a text. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "tree.h"

static const char D3[] = "TS 33.180 annex D";

/* Periods and numbers beyond this many seconds since 1900 are refused, so that
 * no later arithmetic on them can overflow. */
#define TIME_END (UINT64_C(1) << 40)

enum { PASS_CERTS = 1, PASS_SETS = 2 };

struct load {
    struct mcx_ring *ring;
    const struct mcx_env *env;
    const char *name;
    struct mcx_text *text;
    struct mcx_kms_loaded loaded;
    unsigned pass;
    bool ns_told;
    const struct mcx_kms_only *only; /* NULL: everything is taken */
    bool folder; /* a worse error than "expired" takes its place */
    mcx_err first; /* the first error; 'text' belongs to it */
};

/* Remembers the first refusal; every one is logged.  'at' NULL: no line. */
static mcx_err MCX_PRINTF(4, 5)
refuse(struct load *ld, mcx_err err, const struct mcx_xml *at,
       const char *fmt, ...)
{
    struct mcx_text t;
    size_t n = 0;
    va_list ap;

    if (at) {
        (void)snprintf(t.s, sizeof t.s, "%s:%d: ", ld->name, at->line);
    } else {
        (void)snprintf(t.s, sizeof t.s, "%s: ", ld->name);
    }
    n = strlen(t.s);
    va_start(ap, fmt);
    (void)vsnprintf(t.s + n, sizeof t.s - n, fmt, ap);
    va_end(ap);
    for (n = 0; t.s[n]; n++) {
        if ((unsigned char)t.s[n] < 0x20 || t.s[n] == 0x7f) {
            t.s[n] = '?';
        }
    }
    mcx_log(ld->env, MCX_AREA_KMS, 3, "refused, %s", t.s);
    if (ld->first == MCX_OK
        || (ld->folder && ld->first == MCX_E_EXPIRED)) {
        ld->first = err;
        if (ld->text) {
            *ld->text = t;
        }
    }
    return err;
}

/* ---- elements ---------------------------------------------------------- */

/* Structure elements hold elements; stray text there is a mistake. */
static mcx_err
structure(struct load *ld, const struct mcx_xml *x)
{
    if (!mcx_xml_blank(x)) {
        return refuse(ld, MCX_E_MALFORMED, x, "text between the elements of "
                      "%s (%s)", x->name, D3);
    }
    if (x->ns != MCX_XML_NS_KMS && !ld->ns_told) {
        ld->ns_told = true;
        mcx_log(ld->env, MCX_AREA_KMS, 5, "%s:%d: %s is not in the namespace "
                "of the KMS interface; read all the same", ld->name, x->line,
                x->name);
    }
    return MCX_OK;
}

/* The child 'name', which may be there once; NULL in '*out' when it is not
 * and need not be. */
static mcx_err
child(struct load *ld, const struct mcx_xml **out,
      const struct mcx_xml *parent, const char *name, bool needed)
{
    const struct mcx_xml *x = mcx_xml_child(parent, name);

    *out = NULL;
    if (!x && needed) {
        return refuse(ld, MCX_E_MALFORMED, parent, "%s has no %s (%s)",
                      parent->name, name, D3);
    }
    if (x && mcx_xml_again(x, name)) {
        return refuse(ld, MCX_E_MALFORMED, mcx_xml_again(x, name),
                      "%s occurs twice in %s (%s)", name, parent->name, D3);
    }
    *out = x;
    return MCX_OK;
}

/* The text of the child 'name'; no octets when it is absent. */
static mcx_err
leaf(struct load *ld, const struct mcx_xml **at, struct mcx_bytes *out,
     const struct mcx_xml *parent, const char *name, bool needed)
{
    *out = mcx_bytes(NULL, 0);
    MCX_TRY(child(ld, at, parent, name, needed));
    if (*at && !mcx_xml_text(out, *at)) {
        return refuse(ld, MCX_E_MALFORMED, *at, "%s may hold text only (%s)",
                      name, D3);
    }
    if (*at && out->n == 0) {
        return refuse(ld, MCX_E_MALFORMED, *at, "%s is empty (%s)", name, D3);
    }
    return MCX_OK;
}

/* An anyURI, into an array of 'room' octets. */
static mcx_err
uri_text(struct load *ld, const struct mcx_xml *at, struct mcx_bytes b,
         char *out, size_t room)
{
    size_t i;

    if (b.n >= room) {
        return refuse(ld, MCX_E_TOOBIG, at, "%s is longer than %zu octets",
                      at->name, room - 1);
    }
    for (i = 0; i < b.n; i++) {
        if (b.p[i] <= 0x20 || b.p[i] == 0x7f) {
            return refuse(ld, MCX_E_MALFORMED, at, "%s is not a URI: white "
                          "space or a control character in it (%s)",
                          at->name, D3);
        }
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return MCX_OK;
}

static mcx_err
uri(struct load *ld, char *out, size_t room, const struct mcx_xml *parent,
    const char *name)
{
    const struct mcx_xml *at;
    struct mcx_bytes b;

    MCX_TRY(leaf(ld, &at, &b, parent, name, true));
    return uri_text(ld, at, b, out, room);
}

/* An xsd:integer from 0 to 'max'. */
static mcx_err
number(struct load *ld, uint64_t *out, const struct mcx_xml **at,
       const struct mcx_xml *parent, const char *name, bool needed,
       uint64_t max)
{
    struct mcx_bytes b;
    uint64_t v = 0;
    size_t i;

    MCX_TRY(leaf(ld, at, &b, parent, name, needed));
    if (!*at) {
        return MCX_OK;
    }
    i = b.p[0] == '+' && b.n > 1 ? 1 : 0;
    for (; i < b.n; i++) {
        unsigned d = (unsigned)b.p[i] - '0';

        if (d > 9 || v > (max - d) / 10) {
            return refuse(ld, MCX_E_MALFORMED, *at, "%s is not an integer "
                          "from 0 to %llu (%s)", name,
                          (unsigned long long)max, D3);
        }
        v = v * 10 + d;
    }
    *out = v;
    return MCX_OK;
}

static mcx_err
boolean(struct load *ld, bool *out, const struct mcx_xml *parent,
        const char *name)
{
    const struct mcx_xml *at;
    struct mcx_bytes b;
    bool yes, no;

    MCX_TRY(leaf(ld, &at, &b, parent, name, false));
    if (!at) {
        *out = false;
        return MCX_OK;
    }
    yes = mcx_bytes_eq(b, mcx_bytes_str("true"))
          || mcx_bytes_eq(b, mcx_bytes_str("1"));
    no = mcx_bytes_eq(b, mcx_bytes_str("false"))
         || mcx_bytes_eq(b, mcx_bytes_str("0"));
    if (!yes && !no) {
        return refuse(ld, MCX_E_MALFORMED, at, "%s is neither true nor false "
                      "(%s)", name, D3);
    }
    *out = yes;
    return MCX_OK;
}

/* A dateTime as seconds since 1970; 0 when it is absent. */
static mcx_err
date(struct load *ld, int64_t *out, const struct mcx_xml *parent,
     const char *name, bool needed)
{
    const struct mcx_xml *at;
    struct mcx_bytes b;
    int64_t ms = 0;

    *out = 0;
    MCX_TRY(leaf(ld, &at, &b, parent, name, needed));
    if (at && mcx_time_parse(&ms, b) != MCX_OK) {
        return refuse(ld, MCX_E_MALFORMED, at, "%s is not a dateTime such as "
                      "2026-03-01T08:00:00Z (%s)", name, D3);
    }
    *out = ms / 1000;
    return MCX_OK;
}

static mcx_err
validity(struct load *ld, int64_t *from, int64_t *to,
         const struct mcx_xml *parent)
{
    MCX_TRY(date(ld, from, parent, "ValidFrom", false));
    MCX_TRY(date(ld, to, parent, "ValidTo", false));
    if (*from && *to && *to < *from) {
        return refuse(ld, MCX_E_MALFORMED, parent,
                      "ValidTo of %s lies before its ValidFrom (%s)",
                      parent->name, D3);
    }
    return MCX_OK;
}

/* hexBinary of exactly 'n' octets. */
static mcx_err
hex(struct load *ld, uint8_t *out, size_t n, const struct mcx_xml **at,
    const struct mcx_xml *parent, const char *name)
{
    struct mcx_bytes b;

    MCX_TRY(child(ld, at, parent, name, true));
    if (mcx_xml_child(*at, "EncryptedKey")
        || mcx_xml_child(*at, "EncryptedData")
        || strcmp((*at)->xsi_type, "EncKeyContentType") == 0) {
        return refuse(ld, MCX_E_UNSUPPORTED, *at, "%s is wrapped with a "
                      "transport key (EncKeyContentType); this release reads "
                      "keys in clear only", name);
    }
    if ((*at)->xsi_type[0]
        && strcmp((*at)->xsi_type, "KeyContentType") != 0) {
        return refuse(ld, MCX_E_MALFORMED, *at,
                      "%s has an xsi:type other than KeyContentType (%s)",
                      name, D3);
    }
    MCX_TRY(leaf(ld, at, &b, parent, name, true));
    if (mcx_hex_decode(out, n, b, NULL) != MCX_OK) {
        return refuse(ld, MCX_E_MALFORMED, *at,
                      "%s is not hexBinary of %zu octets (%s)", name, n, D3);
    }
    return MCX_OK;
}

/* ---- certificates ------------------------------------------------------ */

static mcx_err
domains(struct load *ld, struct mcx_kms_info *info,
        const struct mcx_xml *cert)
{
    const struct mcx_xml *list, *x;

    MCX_TRY(child(ld, &list, cert, "KmsDomainList", false));
    if (!list) {
        return MCX_OK;
    }
    MCX_TRY(structure(ld, list));
    for (x = mcx_xml_child(list, "KmsDomain"); x;
         x = mcx_xml_again(x, "KmsDomain")) {
        struct mcx_bytes b;

        if (info->n_domains == MCX_GROUPS_MAX) {
            return refuse(ld, MCX_E_TOOBIG, x, "more than %d KmsDomain",
                          MCX_GROUPS_MAX);
        }
        if (!mcx_xml_text(&b, x) || b.n == 0) {
            return refuse(ld, MCX_E_MALFORMED, x, "KmsDomain is empty or "
                          "holds more than text (%s)", D3);
        }
        MCX_TRY(uri_text(ld, x, b, info->domain[info->n_domains],
                         sizeof info->domain[0]));
        info->n_domains++;
    }
    return MCX_OK;
}

static mcx_err
cert_info(struct load *ld, struct mcx_kms_info *info,
          const struct mcx_xml *cert, bool in_init)
{
    const struct mcx_xml *at;
    struct mcx_bytes format;
    uint64_t set = 1;

    if (strcmp(cert->role, "Root") != 0 && strcmp(cert->role, "External") != 0
        && cert->role[0]) {
        return refuse(ld, MCX_E_MALFORMED, cert, "Role of KmsCertificate is "
                      "neither Root nor External (%s)", D3);
    }
    info->root = cert->role[0] ? strcmp(cert->role, "Root") == 0 : in_init;
    MCX_TRY(uri(ld, info->uri, sizeof info->uri, cert, "KmsUri"));
    MCX_TRY(validity(ld, &info->valid_from_unix, &info->valid_to_unix, cert));
    MCX_TRY(boolean(ld, &info->revoked, cert, "Revoked"));
    MCX_TRY(leaf(ld, &at, &format, cert, "UserIdFormat", true));
    info->monthly_tel = mcx_bytes_eq(format, mcx_bytes_str("1"))
                        && (mcx_ring_allowed_kms(ld->ring, info->uri)
                            & MCX_PEER_MONTHLY_TEL);
    if (!mcx_bytes_eq(format, mcx_bytes_str("2")) && !info->monthly_tel) {
        return refuse(ld, MCX_E_UNSUPPORTED, at, "UserIdFormat is not 2, the "
                      "hashed identifiers of TS 33.180 F.2.1");
    }
    MCX_TRY(number(ld, &info->period.length_s, &at, cert, "UserKeyPeriod",
                   true, UINT32_MAX));
    if (info->period.length_s == 0) {
        return refuse(ld, MCX_E_MALFORMED, at, "UserKeyPeriod is 0 (%s)", D3);
    }
    MCX_TRY(number(ld, &info->period.offset_s, &at, cert, "UserKeyOffset",
                   true, UINT32_MAX));
    MCX_TRY(number(ld, &set, &at, cert, "ParameterSet", false, UINT32_MAX));
    if (set != 1) {
        return refuse(ld, MCX_E_UNSUPPORTED, at, "ParameterSet is not 1 "
                      "(RFC 6509 appendix A)");
    }
    return domains(ld, info, cert);
}

static mcx_err
take_cert(struct load *ld, const struct mcx_xml *cert, bool in_init)
{
    struct mcx_kms_info info;
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_pub *pub = NULL;
    const struct mcx_xml *z_at, *kpak_at;
    struct mcx_why why = { 0 };
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(structure(ld, cert));
    MCX_TRY(cert_info(ld, &info, cert, in_init));
    if (ld->only && ld->only->cert
        && !ld->only->cert(ld->only->arg, &info)) {
        mcx_log(ld->env, MCX_AREA_KMS, 5, "certificate of %s not taken, "
                "%s:%d", info.uri, ld->name, cert->line);
        return MCX_OK;
    }
    MCX_TRY(hex(ld, z, sizeof z, &z_at, cert, "PubEncKey"));
    MCX_TRY(hex(ld, kpak, sizeof kpak, &kpak_at, cert, "PubAuthKey"));
    err = mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                          mcx_bytes(kpak, sizeof kpak), &why);
    if (err != MCX_OK) {
        bool auth = why.payload && strcmp(why.payload, "KPAK") == 0;

        return refuse(ld, err, auth ? kpak_at : z_at, "%s: %s%s%s%s",
                      auth ? "PubAuthKey" : "PubEncKey",
                      why.reason ? mcx_reason_text(why.reason)
                                 : mcx_err_text(err),
                      why.clause && *why.clause ? " (" : "",
                      why.clause ? why.clause : "",
                      why.clause && *why.clause ? ")" : "");
    }
    err = mcx_ring_add_kms(ld->ring, &info, pub);
    mcx_kms_pub_free(pub);
    if (err != MCX_OK) {
        return refuse(ld, err, cert, "KmsCertificate: %s", mcx_err_text(err));
    }
    ld->loaded.n_kms++;
    mcx_log(ld->env, MCX_AREA_KMS, 5, "certificate of %s%s, %s:%d", info.uri,
            info.revoked ? ", revoked" : "", ld->name, cert->line);
    return MCX_OK;
}

/* Every certificate directly in 'parent', signed or not. */
static void
take_certs(struct load *ld, const struct mcx_xml *parent, bool in_init,
           size_t *count)
{
    const struct mcx_xml *x, *cert;

    for (x = parent->first; x; x = x->next) {
        if (strcmp(x->name, "KmsCertificate") == 0) {
            ++*count;
            if (ld->pass & PASS_CERTS) {
                (void)take_cert(ld, x, in_init);
            }
        } else if (strcmp(x->name, "SignedKmsCertificate") == 0) {
            ++*count;
            if (child(ld, &cert, x, "KmsCertificate", true) == MCX_OK
                && structure(ld, x) == MCX_OK && (ld->pass & PASS_CERTS)) {
                (void)take_cert(ld, cert, in_init);
            }
        }
    }
}

/* ---- key sets ---------------------------------------------------------- */

/* UserID is the UID in hexadecimal or base64; both occur in the field. */
static mcx_err
check_uid(struct load *ld, const struct mcx_xml *set, const char *user,
          const char *kms, const struct mcx_period *period, uint64_t no,
          struct mcx_uid *uid)
{
    uint8_t said[MCX_UID_SIZE + 4];
    size_t n = sizeof said;
    const struct mcx_xml *at;
    struct mcx_bytes b;
    mcx_err err;

    MCX_TRY(leaf(ld, &at, &b, set, "UserID", true));
    if (b.n == 2 * MCX_UID_SIZE) {
        err = mcx_hex_decode(said, MCX_UID_SIZE, b, NULL);
        n = MCX_UID_SIZE;
    } else {
        err = b.n < MCX_B64_SIZE(MCX_UID_SIZE)
                  ? mcx_b64_decode(said, &n, b, NULL)
                  : MCX_E_MALFORMED;
    }
    if (err != MCX_OK || n != MCX_UID_SIZE) {
        return refuse(ld, MCX_E_MALFORMED, at, "UserID is not 32 octets in "
                      "hexadecimal or base64 (%s)", D3);
    }
    err = mcx_uid(uid, mcx_bytes_str(user), mcx_bytes_str(kms), period, no);
    if (err != MCX_OK) {
        return refuse(ld, err, at, "UserID: %s", mcx_err_text(err));
    }
    if (!mcx_bytes_eq(mcx_bytes(said, n),
                      mcx_bytes(uid->b, sizeof uid->b))) {
        return refuse(ld, MCX_E_AUTH, at, "UserID is not the UID of %s under "
                      "%s in period %llu (TS 33.180 F.2.1)", user, kms,
                      (unsigned long long)no);
    }
    return MCX_OK;
}

/* The same under the KMS option monthly-tel: UserID is the identifier of RFC
 * 6509 3.2 in hexadecimal, KeyPeriodNo the month counted from January
 * 1900. */
static mcx_err
check_monthly(struct load *ld, const struct mcx_xml *set, const char *user,
              uint64_t no, uint8_t id[MCX_ID_MAX], size_t *n)
{
    uint8_t said[MCX_ID_MAX];
    const struct mcx_xml *at;
    struct mcx_bytes b;

    MCX_TRY(leaf(ld, &at, &b, set, "UserID", true));
    if (mcx_monthly_id(id, n, mcx_bytes_str(user), no) != MCX_OK) {
        return refuse(ld, MCX_E_MALFORMED, at, "%s is no tel URI with monthly "
                      "keys (RFC 6509 3.2)", user);
    }
    if (b.n != 2 * *n || mcx_hex_decode(said, *n, b, NULL) != MCX_OK
        || !mcx_bytes_eq(mcx_bytes(said, *n), mcx_bytes(id, *n))) {
        return refuse(ld, MCX_E_AUTH, at, "UserID is not the identifier of %s "
                      "in month %llu (RFC 6509 3.2)", user,
                      (unsigned long long)no);
    }
    return MCX_OK;
}

static mcx_err
check_time(struct load *ld, const struct mcx_xml *set, const char *user)
{
    int64_t from = 0, to = 0, now = ld->env->unix_ms(ld->env->ctx) / 1000;
    bool revoked = false;

    MCX_TRY(validity(ld, &from, &to, set));
    MCX_TRY(boolean(ld, &revoked, set, "Revoked"));
    if (revoked) {
        return refuse(ld, MCX_E_EXPIRED, set, "the key set of %s is revoked",
                      user);
    }
    if (to != 0 && now > to) {
        return refuse(ld, MCX_E_EXPIRED, set,
                      "ValidTo of the key set of %s is past", user);
    }
    return MCX_OK;
}

/* Names the element that a check of core/ident is about. */
static const struct mcx_xml *
key_at(const struct mcx_xml *set, const struct mcx_why *why)
{
    const char *payload = why->payload ? why->payload : "";
    const struct mcx_xml *at =
        mcx_xml_child(set, strcmp(payload, "RSK") == 0   ? "UserDecryptKey"
                           : strcmp(payload, "PVT") == 0
                           ? "UserPubTokenPVT" : "UserSigningKeySSK");

    return at ? at : set;
}

static mcx_err
take_set(struct load *ld, const struct mcx_xml *set)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    char user[MCX_URI_MAX], kms[MCX_URI_MAX];
    struct mcx_kms_info info;
    struct mcx_kms_pub *pub = NULL;
    struct mcx_user_key *key = NULL;
    const struct mcx_xml *at, *no_at;
    struct mcx_why why = { 0 };
    struct mcx_uid uid;
    uint8_t id[MCX_ID_MAX];
    size_t id_n = 0;
    uint64_t no = 0;
    mcx_err err;

    memset(&info, 0, sizeof info);
    MCX_TRY(structure(ld, set));
    MCX_TRY(uri(ld, kms, sizeof kms, set, "KmsUri"));
    MCX_TRY(uri(ld, user, sizeof user, set, "UserUri"));
    if (ld->only && ld->only->user_uri
        && strcmp(user, ld->only->user_uri) != 0) {
        return refuse(ld, MCX_E_AUTH, set, "the key set is of %s, not of %s",
                      user, ld->only->user_uri);
    }
    if (ld->only && ld->only->kms_uri
        && strcmp(kms, ld->only->kms_uri) != 0) {
        return refuse(ld, MCX_E_AUTH, set, "the key set is of KMS %s, not of "
                      "%s", kms, ld->only->kms_uri);
    }
    MCX_TRY(check_time(ld, set, user));
    MCX_TRY(number(ld, &no, &no_at, set, "KeyPeriodNo", true, TIME_END));
    MCX_TRY(hex(ld, rsk.b, sizeof rsk.b, &at, set, "UserDecryptKey"));
    MCX_TRY(hex(ld, ssk.b, sizeof ssk.b, &at, set, "UserSigningKeySSK"));
    MCX_TRY(hex(ld, pvt, sizeof pvt, &at, set, "UserPubTokenPVT"));
    err = mcx_ring_kms(ld->ring, mcx_bytes_str(kms), &info, &pub);
    if (err != MCX_OK) {
        return refuse(ld, err, set, "KmsUri: no certificate of %s is known",
                      kms);
    }
    if (info.revoked) {
        err = refuse(ld, MCX_E_EXPIRED, set, "the certificate of %s is "
                     "revoked, and with it the key set of %s", kms, user);
        goto out;
    }
    if (no > (TIME_END - info.period.offset_s) / info.period.length_s) {
        err = refuse(ld, MCX_E_MALFORMED, no_at, "KeyPeriodNo lies too far "
                     "in the future for periods of %llu s",
                     (unsigned long long)info.period.length_s);
        goto out;
    }
    if (info.monthly_tel) {
        MCX_TRY_OR(err, check_monthly(ld, set, user, no, id, &id_n), out);
    } else {
        MCX_TRY_OR(err, check_uid(ld, set, user, kms, &info.period, no,
                                  &uid),
                   out);
        memcpy(id, uid.b, sizeof uid.b);
        id_n = sizeof uid.b;
    }
    err = mcx_user_key_new(&key, pub, mcx_bytes(id, id_n), &rsk, &ssk, pvt,
                           &why);
    if (err != MCX_OK) {
        at = key_at(set, &why);
        err = refuse(ld, err, at, "%s of %s, period %llu: %s%s%s%s", at->name,
                     user, (unsigned long long)no,
                     why.reason ? mcx_reason_text(why.reason)
                                : mcx_err_text(err),
                     why.clause && *why.clause ? " (" : "",
                     why.clause ? why.clause : "",
                     why.clause && *why.clause ? ")" : "");
        goto out;
    }
    err = mcx_ring_add_user(ld->ring, user, kms, no, key);
    if (err != MCX_OK) {
        (void)refuse(ld, err, set, "KmsKeySet: %s", mcx_err_text(err));
        goto out;
    }
    ld->loaded.n_users++;
    if (ld->only && ld->only->took) {
        ld->only->took(ld->only->arg, no);
    }
    mcx_log(ld->env, MCX_AREA_KMS, 5, "keys of %s, period %llu, %s:%d", user,
            (unsigned long long)no, ld->name, set->line);
out:
    mcx_user_key_free(key);
    mcx_kms_pub_free(pub);
    return err;
}

/* ---- documents --------------------------------------------------------- */

/* TrK and InK for the protected form of the interface. */
static void
tell_new_keys(struct load *ld, const struct mcx_xml *x)
{
    const struct mcx_xml *k = mcx_xml_child(x, "NewTransportKey");

    k = k ? k : mcx_xml_child(x, "NewIntegrityKey");
    if (k && (ld->pass & PASS_CERTS)) {
        mcx_log(ld->env, MCX_AREA_KMS, 3, "%s:%d: %s is not taken: this "
                "release does not use transport and integrity keys",
                ld->name, k->line, k->name);
    }
}

static mcx_err
take_message(struct load *ld, const struct mcx_xml *msg)
{
    static const char *const kinds[] = { "KmsInit", "KmsKeyProv",
                                         "KmsCertCache" };
    const struct mcx_xml *x = NULL, *found, *set;
    size_t i, count = 0;

    for (i = 0; i < 3; i++) {
        MCX_TRY(child(ld, &found, msg, kinds[i], false));
        if (found && x) {
            return refuse(ld, MCX_E_MALFORMED, found, "KmsMessage holds both "
                          "%s and %s (%s)", x->name, found->name, D3);
        }
        x = found ? found : x;
    }
    if (!x) {
        return refuse(ld, MCX_E_MALFORMED, msg, "KmsMessage has none of "
                      "KmsInit, KmsKeyProv, KmsCertCache (%s)", D3);
    }
    MCX_TRY(structure(ld, x));
    tell_new_keys(ld, x);
    if (strcmp(x->name, "KmsKeyProv") == 0) {
        for (set = mcx_xml_child(x, "KmsKeySet");
             set && (ld->pass & PASS_SETS);
             set = mcx_xml_again(set, "KmsKeySet")) {
            (void)take_set(ld, set);
        }
        return ld->first;
    }
    take_certs(ld, x, strcmp(x->name, "KmsInit") == 0, &count);
    if (strcmp(x->name, "KmsInit") == 0 && count != 1) {
        return refuse(ld, MCX_E_MALFORMED, x, "KmsInit has %s "
                      "KmsCertificate (%s)", count ? "more than one" : "no",
                      D3);
    }
    return ld->first;
}

/* Is there more than one certificate where one is due?  Asked before any is
 * taken, so that such a document brings nothing. */
static bool
crowded(const struct mcx_xml *msg)
{
    const struct mcx_xml *init = mcx_xml_child(msg, "KmsInit"), *x;
    size_t n = 0;

    for (x = init ? init->first : NULL; x; x = x->next) {
        n += strcmp(x->name, "KmsCertificate") == 0
             || strcmp(x->name, "SignedKmsCertificate") == 0;
    }
    return n > 1;
}

static mcx_err
take_response(struct load *ld, const struct mcx_xml *root)
{
    const struct mcx_xml *resp = root, *x;
    char text[MCX_URI_MAX];
    uint64_t code = 0;
    int64_t when;

    if (strcmp(root->name, "SignedKmsResponse") == 0) {
        MCX_TRY(structure(ld, root));
        MCX_TRY(child(ld, &resp, root, "KmsResponse", true));
    } else if (strcmp(root->name, "KmsResponse") != 0) {
        return refuse(ld, MCX_E_MALFORMED, root, "the document element is %s, "
                      "not KmsResponse (%s)", root->name, D3);
    }
    MCX_TRY(structure(ld, resp));
    MCX_TRY(uri(ld, text, sizeof text, resp, "UserUri"));
    MCX_TRY(uri(ld, text, sizeof text, resp, "KmsUri"));
    MCX_TRY(date(ld, &when, resp, "Time", true));
    MCX_TRY(uri(ld, text, sizeof text, resp, "ClientReqUrl"));
    MCX_TRY(child(ld, &x, resp, "KmsError", false));
    if (x) {
        const struct mcx_xml *at;

        MCX_TRY(number(ld, &code, &at, x, "ErrorCode", true, UINT32_MAX));
        return refuse(ld, MCX_E_PEER, x, "the KMS answered with KmsError %llu",
                      (unsigned long long)code);
    }
    MCX_TRY(child(ld, &x, resp, "KmsMessage", true));
    MCX_TRY(structure(ld, x));
    if (crowded(x)) {
        return refuse(ld, MCX_E_MALFORMED, x, "KmsInit has more than one "
                      "KmsCertificate (%s)", D3);
    }
    return take_message(ld, x);
}

static mcx_err
load_one(struct load *ld, struct mcx_bytes xml)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    struct mcx_xml where = { 0 };
    mcx_err err = mcx_xml_read(&root, xml, MCX_KMS_XML_MAX, &fault);

    if (err != MCX_OK) {
        where.line = fault.line;
        return refuse(ld, err, fault.line > 0 ? &where : NULL, "%s",
                      fault.what);
    }
    (void)take_response(ld, root);
    mcx_xml_free(root);
    return ld->first;
}

mcx_err
mcx_kms_load(struct mcx_ring *ring, struct mcx_bytes xml, const char *name,
             const struct mcx_env *env, struct mcx_kms_loaded *loaded,
             struct mcx_text *text)
{
    return mcx_kms_load_only(ring, xml, name, NULL, env, loaded, text);
}

mcx_err
mcx_kms_load_only(struct mcx_ring *ring, struct mcx_bytes xml,
                  const char *name, const struct mcx_kms_only *only,
                  const struct mcx_env *env, struct mcx_kms_loaded *loaded,
                  struct mcx_text *text)
{
    struct load ld = { .ring = ring, .env = env, .name = name ? name : "xml",
                       .text = text, .only = only,
                       .pass = PASS_CERTS | PASS_SETS };
    mcx_err err;

    if (text) {
        text->s[0] = '\0';
    }
    err = load_one(&ld, xml);
    if (loaded) {
        *loaded = ld.loaded;
    }
    return err;
}

/* ---- folders ----------------------------------------------------------- */

struct dir_load {
    struct load ld;
    const char *dir;
};

static bool
is_xml(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".xml") == 0;
}

/* A set that is revoked or past its ValidTo is left out and does not keep the
 * other files from being used; anything else that is wrong does. */
static mcx_err
load_file(void *arg, const char *name)
{
    struct dir_load *d = arg;
    char path[4096];
    char *buf = NULL;
    size_t n = 0;
    int len;
    mcx_err err;

    if (!is_xml(name)) {
        return MCX_OK;
    }
    len = snprintf(path, sizeof path, "%s/%s", d->dir, name);
    d->ld.name = path;
    d->ld.ns_told = false;
    if (len < 0 || (size_t)len >= sizeof path) {
        return refuse(&d->ld, MCX_E_TOOBIG, NULL, "the path is too long");
    }
    err = d->ld.env->read_file(d->ld.env->ctx, path, MCX_KMS_XML_MAX, &buf,
                               &n);
    if (err != MCX_OK) {
        return refuse(&d->ld, err, NULL, "%s",
                      err == MCX_E_TOOBIG ? "the document is too large"
                                          : mcx_err_text(err));
    }
    err = load_one(&d->ld, mcx_bytes(buf, n));
    mcx_wipe(buf, n);
    free(buf);
    if (err == MCX_E_EXPIRED) {
        d->ld.first = MCX_OK;
        if (d->ld.text) {
            d->ld.text->s[0] = '\0';
        }
        return MCX_OK;
    }
    return err;
}

mcx_err
mcx_kms_load_dir(struct mcx_ring *ring, const char *dir,
                 const struct mcx_env *env, struct mcx_kms_loaded *loaded,
                 struct mcx_text *text)
{
    struct dir_load d = { .ld = { .ring = ring, .env = env, .name = dir,
                                  .text = text, .folder = true },
                          .dir = dir };
    static const unsigned passes[] = { PASS_CERTS, PASS_SETS };
    mcx_err err = MCX_OK;
    size_t i;

    if (text) {
        text->s[0] = '\0';
    }
    for (i = 0; i < 2 && err == MCX_OK; i++) {
        d.ld.pass = passes[i];
        err = env->list_dir(env->ctx, dir, load_file, &d);
        d.ld.name = dir;
        if (err != MCX_OK && d.ld.first == MCX_OK) {
            (void)refuse(&d.ld, err, NULL, "the folder cannot be read");
        }
    }
    if (err == MCX_OK && d.ld.loaded.n_kms == 0) {
        err = refuse(&d.ld, MCX_E_CONFIG, NULL, "no file *.xml with a KMS "
                     "certificate (KmsInit) in this folder");
    }
    if (loaded) {
        *loaded = d.ld.loaded;
    }
    return err;
}
