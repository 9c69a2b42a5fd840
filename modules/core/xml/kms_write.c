/* kms_write.c -- the KMS's side of annex D: KmsInit, KmsKeyProv, KmsCertCache
 * and KmsError responses.
 *
 * Called by mcx-kms and its server.  Element order is the xsd:sequence of the
 * schema; keys are written in clear with xsi:type="KeyContentType". */
#include <config.h>
#include <stdio.h>
#include "out.h"

static void
date(struct mcx_out *o, unsigned indent, const char *name, int64_t unix_s)
{
    char text[MCX_RFC3339_SIZE];

    mcx_time_text(text, unix_s * 1000);
    mcx_out_leaf(o, indent, name, text);
}

static void
head(struct mcx_out *o, const struct mcx_kms_doc *doc)
{
    mcx_out_raw(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<KmsResponse xmlns=\"urn:3gpp:ns:mcsecKMSInterface:1.0\""
                   "\n    xmlns:xsi=\"http://www.w3.org/2001/"
                   "XMLSchema-instance\" Id=\"");
    mcx_out_raw(o, doc->id && mcx_kms_id_ok(doc->id) ? doc->id : "response");
    mcx_out_raw(o, "\" Version=\"1.0.0\">\n");
    mcx_out_leaf(o, 2, "UserUri", doc->user_uri);
    mcx_out_leaf(o, 2, "KmsUri", doc->kms_uri);
    date(o, 2, "Time", doc->time_unix_ms / 1000);
    mcx_out_leaf(o, 2, "ClientReqUrl", doc->client_req_url);
}

static void
foot(struct mcx_out *o)
{
    mcx_out_raw(o, "  </KmsMessage>\n</KmsResponse>\n");
}

static void
key(struct mcx_out *o, const char *name, const uint8_t *p, size_t n)
{
    mcx_out_raw(o, "        <");
    mcx_out_raw(o, name);
    mcx_out_raw(o, " xsi:type=\"KeyContentType\">");
    mcx_out_hex(o, p, n);
    mcx_out_raw(o, "</");
    mcx_out_raw(o, name);
    mcx_out_raw(o, ">\n");
}

static bool
whole(const struct mcx_kms_doc *doc)
{
    return doc && doc->user_uri && *doc->user_uri && doc->kms_uri
           && *doc->kms_uri && doc->client_req_url && *doc->client_req_url;
}

/* May a certificate with this be written? */
static bool
sound(const struct mcx_kms_info *info)
{
    return info->uri[0] && info->period.length_s != 0
           && info->n_domains <= MCX_GROUPS_MAX;
}

static void
certificate(struct mcx_out *o, const struct mcx_kms_info *info,
            const uint8_t z[MCX_SAKKE_PT_SIZE],
            const uint8_t kpak[MCX_ECCSI_PT_SIZE])
{
    size_t i;

    mcx_out_raw(o, "      <KmsCertificate Version=\"1.1.0\" Role=\"");
    mcx_out_raw(o, info->root ? "Root\">\n" : "External\">\n");
    mcx_out_leaf(o, 8, "KmsUri", info->uri);
    if (info->valid_from_unix) {
        date(o, 8, "ValidFrom", info->valid_from_unix);
    }
    if (info->valid_to_unix) {
        date(o, 8, "ValidTo", info->valid_to_unix);
    }
    if (info->revoked) {
        mcx_out_leaf(o, 8, "Revoked", "true");
    }
    mcx_out_leaf(o, 8, "UserIdFormat", info->monthly_tel ? "1" : "2");
    mcx_out_number(o, 8, "UserKeyPeriod", info->period.length_s);
    mcx_out_number(o, 8, "UserKeyOffset", info->period.offset_s);
    mcx_out_raw(o, "        <PubEncKey>");
    mcx_out_hex(o, z, MCX_SAKKE_PT_SIZE);
    mcx_out_raw(o, "</PubEncKey>\n        <PubAuthKey>");
    mcx_out_hex(o, kpak, MCX_ECCSI_PT_SIZE);
    mcx_out_raw(o, "</PubAuthKey>\n");
    mcx_out_leaf(o, 8, "ParameterSet", "1");
    if (info->n_domains) {
        mcx_out_raw(o, "        <KmsDomainList>\n");
        for (i = 0; i < info->n_domains; i++) {
            mcx_out_leaf(o, 10, "KmsDomain", info->domain[i]);
        }
        mcx_out_raw(o, "        </KmsDomainList>\n");
    }
    mcx_out_raw(o, "      </KmsCertificate>\n");
}

mcx_err
mcx_kms_write_init(char **out, size_t *n, const struct mcx_kms_doc *doc,
                   const struct mcx_kms_info *info,
                   const uint8_t z[MCX_SAKKE_PT_SIZE],
                   const uint8_t kpak[MCX_ECCSI_PT_SIZE])
{
    struct mcx_out o = { 0 };

    *out = NULL;
    *n = 0;
    if (!whole(doc) || !sound(info)) {
        return MCX_E_ARG;
    }
    head(&o, doc);
    mcx_out_raw(&o, "  <KmsMessage>\n    <KmsInit Version=\"1.0.0\">\n");
    certificate(&o, info, z, kpak);
    mcx_out_raw(&o, "    </KmsInit>\n");
    foot(&o);
    return mcx_out_take(&o, out, n);
}

mcx_err
mcx_kms_write_certcache(char **out, size_t *n, const struct mcx_kms_doc *doc,
                        uint64_t cache_num, const struct mcx_kms_cert *certs,
                        size_t n_certs)
{
    struct mcx_out o = { 0 };
    char text[24];
    size_t i;

    *out = NULL;
    *n = 0;
    if (!whole(doc) || (n_certs && !certs)) {
        return MCX_E_ARG;
    }
    for (i = 0; i < n_certs; i++) {
        if (!sound(&certs[i].info)) {
            return MCX_E_ARG;
        }
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)cache_num);
    head(&o, doc);
    mcx_out_raw(&o, "  <KmsMessage>\n    <KmsCertCache Version=\"1.0.0\" "
                    "CacheNum=\"");
    mcx_out_raw(&o, text);
    mcx_out_raw(&o, "\">\n");
    for (i = 0; i < n_certs; i++) {
        certificate(&o, &certs[i].info, certs[i].z, certs[i].kpak);
    }
    mcx_out_raw(&o, "    </KmsCertCache>\n");
    foot(&o);
    return mcx_out_take(&o, out, n);
}

/* The schema of KmsLookup was not to be had: the names are those of the same
 * things elsewhere in annex D (DECISIONS). */
mcx_err
mcx_kms_write_lookup(char **out, size_t *n, const struct mcx_kms_doc *doc,
                     const char *uri, const char *kms_uri)
{
    struct mcx_out o = { 0 };

    *out = NULL;
    *n = 0;
    if (!whole(doc) || !uri || !*uri || !kms_uri || !*kms_uri) {
        return MCX_E_ARG;
    }
    head(&o, doc);
    mcx_out_raw(&o, "  <KmsMessage>\n    <KmsLookup Version=\"1.0.0\">\n");
    mcx_out_leaf(&o, 6, "UserUri", uri);
    mcx_out_leaf(&o, 6, "KmsUri", kms_uri);
    mcx_out_raw(&o, "    </KmsLookup>\n");
    foot(&o);
    return mcx_out_take(&o, out, n);
}

mcx_err
mcx_kms_write_error(char **out, size_t *n, const struct mcx_kms_doc *doc,
                    uint64_t code, const char *msg)
{
    struct mcx_out o = { 0 };

    *out = NULL;
    *n = 0;
    if (!whole(doc) || !msg || !*msg) {
        return MCX_E_ARG;
    }
    head(&o, doc);
    mcx_out_raw(&o, "  <KmsError>\n");
    mcx_out_number(&o, 4, "ErrorCode", code);
    mcx_out_leaf(&o, 4, "ErrorMsg", msg);
    mcx_out_raw(&o, "  </KmsError>\n</KmsResponse>\n");
    return mcx_out_take(&o, out, n);
}

static bool
monthly_id(struct mcx_bytes *id, uint8_t room[MCX_ID_MAX],
           const struct mcx_kms_keyset *s)
{
    id->p = room;
    return mcx_monthly_id(room, &id->n, mcx_bytes_str(s->user_uri),
                          s->period_no)
           == MCX_OK;
}

mcx_err
mcx_kms_write_keyprov(char **out, size_t *n, const struct mcx_kms_doc *doc,
                      const struct mcx_kms_info *info,
                      const struct mcx_kms_keyset *sets, size_t n_sets)
{
    struct mcx_out o = { 0 };
    char uid[MCX_HEX_SIZE(MCX_ID_MAX)];
    uint8_t monthly[MCX_ID_MAX];
    struct mcx_bytes id;
    size_t i;

    *out = NULL;
    *n = 0;
    if (!whole(doc) || !info->uri[0] || (n_sets && !sets)) {
        return MCX_E_ARG;
    }
    head(&o, doc);
    mcx_out_raw(&o, "  <KmsMessage>\n    <KmsKeyProv Version=\"1.0.0\">\n");
    for (i = 0; i < n_sets; i++) {
        const struct mcx_kms_keyset *s = &sets[i];

        id = mcx_bytes(s->uid.b, sizeof s->uid.b);
        if ((info->monthly_tel && !monthly_id(&id, monthly, s))
            || mcx_hex_encode(uid, sizeof uid, id) != MCX_OK
            || !s->user_uri[0]) {
            mcx_kms_text_free(o.p, o.n);
            return MCX_E_ARG;
        }
        mcx_out_raw(&o, "      <KmsKeySet Version=\"1.1.0\">\n");
        mcx_out_leaf(&o, 8, "KmsUri", info->uri);
        mcx_out_leaf(&o, 8, "UserUri", s->user_uri);
        mcx_out_leaf(&o, 8, "UserID", uid);
        mcx_out_number(&o, 8, "KeyPeriodNo", s->period_no);
        key(&o, "UserDecryptKey", s->rsk.b, sizeof s->rsk.b);
        key(&o, "UserSigningKeySSK", s->ssk.b, sizeof s->ssk.b);
        key(&o, "UserPubTokenPVT", s->pvt, sizeof s->pvt);
        mcx_out_raw(&o, "      </KmsKeySet>\n");
    }
    mcx_out_raw(&o, "    </KmsKeyProv>\n");
    foot(&o);
    return mcx_out_take(&o, out, n);
}
