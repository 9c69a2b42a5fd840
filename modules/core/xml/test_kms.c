/* test_kms.c -- KMS documents: what is taken, what is written, and every way
 * of being wrong, with the file, the line and the element that are named.
 * Keys are those of a published foreign KMS and of one made here. */
#include <config.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_kms.h>
#include "../../../test-scenarios/vectors/vec.h"

#define VEC "interop-streamwide-mikey-sakke"
#define ALICE "sip:alice@streamwide.com"
#define NS "urn:3gpp:ns:mcsecKMSInterface:1.0"

enum { ROOM = 32768 };

static char *z, *kpak, *kms_uri, *rsk, *ssk, *pvt, *uid;
static char *bob_rsk, *bob_ssk, *bob_pvt;
static char cert_xml[ROOM], keys_xml[ROOM];
static struct mcx_env env;
static int64_t now_ms = INT64_C(1775000000000);
static struct mcx_text text;
static struct mcx_kms_loaded loaded;

static int64_t
clock_now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static struct mcx_ring *
ring_new(void)
{
    struct mcx_ring *ring = NULL;

    assert_int_equal(mcx_ring_new(&ring, &env), MCX_OK);
    return ring;
}

static mcx_err
load(struct mcx_ring *ring, const char *xml)
{
    return mcx_kms_load(ring, mcx_bytes_str(xml), "doc.xml", &env, &loaded,
                        &text);
}

/* 'xml' with the first 'from' replaced by 'to'; 'from' must be there. */
static char *
edit(const char *xml, const char *from, const char *to)
{
    const char *at = strstr(xml, from);
    size_t room = strlen(xml) + strlen(to) + 1;
    char *out = malloc(room);

    assert_non_null(out);
    assert_non_null(at);
    (void)snprintf(out, room, "%.*s%s%s", (int)(at - xml), xml, to,
                   at + strlen(from));
    return out;
}

static void
counts(struct mcx_ring *ring, size_t n_kms, size_t n_users)
{
    size_t k, u;

    mcx_ring_count(ring, &k, &u);
    assert_int_equal(k, n_kms);
    assert_int_equal(u, n_users);
}

/* A ring that has the certificate refuses 'xml' with 'err', names 'word' and
 * a line, quotes no key, and is as it was before. */
static void
refused(const char *xml, mcx_err err, const char *word)
{
    struct mcx_ring *ring = ring_new();

    assert_int_equal(load(ring, cert_xml), MCX_OK);
    assert_int_equal(load(ring, xml), err);
    if (!strstr(text.s, word)) {
        fail_msg("\"%s\" does not name %s", text.s, word);
    }
    assert_ptr_equal(strstr(text.s, "doc.xml:"), text.s);
    assert_null(strstr(text.s, "2e61e0c0"));
    assert_int_equal(loaded.n_users, 0);
    assert_int_equal(loaded.n_kms, 0);
    counts(ring, 1, 0);
    mcx_ring_free(ring);
}

static void
edit_refused(const char *base, const char *from, const char *to, mcx_err err,
             const char *word)
{
    char *xml = edit(base, from, to);

    refused(xml, err, word);
    free(xml);
}

static void
make_documents(void)
{
    (void)snprintf(cert_xml, sizeof cert_xml,
        "<?xml version=\"1.0\"?>\n<KmsResponse xmlns=\"" NS "\">\n"
        "<UserUri>" ALICE "</UserUri>\n<KmsUri>%s</KmsUri>\n"
        "<Time>2026-03-01T08:00:00Z</Time>\n"
        "<ClientReqUrl>https://k/init</ClientReqUrl>\n<KmsMessage>\n"
        "<KmsInit Version=\"1.0.0\">\n"
        "<KmsCertificate Version=\"1.1.0\" Role=\"Root\">\n"
        "<KmsUri>%s</KmsUri>\n<UserIdFormat>2</UserIdFormat>\n"
        "<UserKeyPeriod>16777215</UserKeyPeriod>\n"
        "<UserKeyOffset>0</UserKeyOffset>\n<PubEncKey>%s</PubEncKey>\n"
        "<PubAuthKey>%s</PubAuthKey>\n"
        "</KmsCertificate></KmsInit></KmsMessage></KmsResponse>\n",
        kms_uri, kms_uri, z, kpak);
    (void)snprintf(keys_xml, sizeof keys_xml,
        "<?xml version=\"1.0\"?>\n<KmsResponse xmlns=\"" NS "\"\n"
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n"
        "<UserUri>" ALICE "</UserUri>\n<KmsUri>%s</KmsUri>\n"
        "<Time>2026-03-01T08:00:00Z</Time>\n"
        "<ClientReqUrl>https://k/keyprov</ClientReqUrl>\n<KmsMessage>\n"
        "<KmsKeyProv Version=\"1.0.0\"><KmsKeySet Version=\"1.1.0\">\n"
        "<KmsUri>%s</KmsUri>\n<UserUri>" ALICE "</UserUri>\n"
        "<UserID>%s</UserID>\n<KeyPeriodNo>236</KeyPeriodNo>\n"
        "<UserDecryptKey xsi:type=\"KeyContentType\">%s</UserDecryptKey>\n"
        "<UserSigningKeySSK>%s</UserSigningKeySSK>\n"
        "<UserPubTokenPVT>%s</UserPubTokenPVT>\n"
        "</KmsKeySet></KmsKeyProv></KmsMessage></KmsResponse>\n",
        kms_uri, kms_uri, uid, rsk, ssk, pvt);
}

static int
setup(void **state)
{
    (void)state;
    env = *mcx_env_system();
    env.unix_ms = clock_now;
    env.log = no_log;
    z = vec_text(VEC, "kms.Z");
    kpak = vec_text(VEC, "kms.KPAK");
    kms_uri = vec_text(VEC, "kms.uri");
    rsk = vec_text(VEC, "users[1].RSK");
    ssk = vec_text(VEC, "users[1].SSK");
    pvt = vec_text(VEC, "users[1].PVT");
    uid = vec_text(VEC, "users[1].uid");
    bob_rsk = vec_text(VEC, "users[3].RSK");
    bob_ssk = vec_text(VEC, "users[3].SSK");
    bob_pvt = vec_text(VEC, "users[3].PVT");
    make_documents();
    return 0;
}

static int
teardown(void **state)
{
    char **all[] = { &z, &kpak, &kms_uri, &rsk, &ssk, &pvt, &uid, &bob_rsk,
                     &bob_ssk, &bob_pvt };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(*all[i]);
    }
    return 0;
}

/* ---- taken ------------------------------------------------------------- */

/* UserIdFormat 1 only under the KMS option, and then no other format; a key
 * set's UserID is compared with the identifier of RFC 6509 3.2. */
static void
monthly_tel_is_an_option(void **state)
{
    struct mcx_ring *ring = ring_new();
    struct mcx_kms_info info;
    char *xml = edit(cert_xml, "<UserIdFormat>2</", "<UserIdFormat>1</");
    char *other = edit(cert_xml, "<UserIdFormat>2</", "<UserIdFormat>3</");

    (void)state;
    assert_int_equal(load(ring, xml), MCX_E_UNSUPPORTED);
    mcx_ring_allow(ring, MCX_PEER_MONTHLY_TEL);
    assert_int_equal(load(ring, other), MCX_E_UNSUPPORTED);
    assert_int_equal(load(ring, xml), MCX_OK);
    assert_int_equal(mcx_ring_kms(ring, mcx_bytes_str(kms_uri), &info, NULL),
                     MCX_OK);
    assert_true(info.monthly_tel);
    assert_int_equal(load(ring, keys_xml), MCX_E_MALFORMED); /* a SIP URI */
    assert_non_null(strstr(text.s, "RFC 6509 3.2"));
    counts(ring, 1, 0);
    assert_int_equal(load(ring, cert_xml), MCX_OK); /* format 2 still is */
    assert_int_equal(load(ring, keys_xml), MCX_OK);
    free(xml);
    free(other);
    mcx_ring_free(ring);
}

static void
takes_certificate_and_keys(void **state)
{
    struct mcx_ring *ring = ring_new();
    struct mcx_user_key *key = NULL;
    struct mcx_kms_info info;

    (void)state;
    assert_int_equal(load(ring, cert_xml), MCX_OK);
    assert_int_equal(loaded.n_kms, 1);
    assert_int_equal(load(ring, keys_xml), MCX_OK);
    assert_int_equal(loaded.n_users, 1);
    counts(ring, 1, 1);
    assert_int_equal(mcx_ring_kms(ring, mcx_bytes_str(kms_uri), &info, NULL),
                     MCX_OK);
    assert_int_equal(info.period.length_s, 16777215);
    assert_true(info.root);
    assert_false(info.revoked);
    assert_int_equal(info.n_domains, 0);
    assert_int_equal(mcx_ring_user(ring, ALICE, 236, &key), MCX_OK);
    mcx_user_key_free(key);
    mcx_ring_free(ring);
}

static void
takes_what_the_field_sends(void **state)
{
    /* Base64 UID, no xsi:type, upper-case hexadecimal, another order, another
     * namespace, signed forms, unknown elements, white space. */
    static const char b64_uid[] = "tcRSMJIZ2mo9gFYVVI1sGw9N5FprSPsT2aJNhX/APc"
                                  "Q=";
    struct mcx_ring *ring = ring_new();
    char *a, *b, *c;
    size_t i;

    (void)state;
    a = edit(cert_xml, "<KmsCertificate Version=\"1.1.0\" Role=\"Root\">",
             "<SignedKmsCertificate><KmsCertificate>"
             "<TrK-ID>x</TrK-ID><!-- note -->"
             "<ValidFrom>2020-01-01T00:00:00</ValidFrom>"
             "<ValidTo>2099-01-01T00:00:00Z</ValidTo>"
             "<Revoked>false</Revoked><ParameterSet> 1 </ParameterSet>"
             "<KmsDomainList><KmsDomain>a.test</KmsDomain>"
             "<KmsDomain>b.test</KmsDomain></KmsDomainList>");
    b = edit(a, "</KmsCertificate>", "</KmsCertificate>"
             "<Signature xmlns='urn:x'/></SignedKmsCertificate>");
    c = edit(b, NS, "urn:another");
    assert_int_equal(load(ring, c), MCX_OK);
    free(a);
    free(b);
    free(c);
    a = edit(keys_xml, uid, b64_uid);
    b = edit(a, " xsi:type=\"KeyContentType\"", "");
    c = edit(b, ssk, "\n  \t");
    for (i = 0; ssk[i]; i++) {
        char *d = edit(c, "\t", (char[]){ (char)toupper(ssk[i]), '\t', 0 });

        free(c);
        c = d;
    }
    assert_int_equal(load(ring, c), MCX_OK);
    counts(ring, 1, 1);
    free(a);
    free(b);
    free(c);
    mcx_ring_free(ring);
}

static void
wraps_and_caches_are_read(void **state)
{
    struct mcx_ring *ring = ring_new();
    char *a = edit(cert_xml, "<KmsInit Version=\"1.0.0\">",
                   "<KmsCertCache CacheNum=\"3\">");
    char *b = edit(a, "</KmsInit>", "</KmsCertCache>");
    char *c = edit(b, "<KmsResponse ", "<SignedKmsResponse><KmsResponse ");
    char *d = edit(c, "</KmsResponse>", "</KmsResponse></SignedKmsResponse>");

    (void)state;
    assert_int_equal(load(ring, d), MCX_OK);
    counts(ring, 1, 0);
    free(a);
    free(b);
    free(c);
    free(d);
    mcx_ring_free(ring);
}

/* ---- certificates refused ---------------------------------------------- */

static void
cert_refused(const char *from, const char *to, mcx_err err, const char *word)
{
    struct mcx_ring *ring = ring_new();
    char *xml = edit(cert_xml, from, to);

    assert_int_equal(load(ring, xml), err);
    if (!strstr(text.s, word)) {
        fail_msg("\"%s\" does not name %s", text.s, word);
    }
    counts(ring, 0, 0);
    mcx_ring_free(ring);
    free(xml);
}

static void
bad_certificates_are_refused(void **state)
{
    static const char *const needed[] = { "KmsUri", "UserIdFormat",
                                          "UserKeyPeriod", "UserKeyOffset",
                                          "PubEncKey", "PubAuthKey" };
    static const char *const bad[][2] = {
        { "<UserIdFormat>2</", "<UserIdFormat>1</" },
        { "<UserIdFormat>2</", "<UserIdFormat>22</" },
    };
    static const char *const wrong[][3] = {
        { "<UserKeyPeriod>16777215<", "<UserKeyPeriod>0<", "UserKeyPeriod" },
        { "<UserKeyPeriod>16777215<", "<UserKeyPeriod>-1<", "UserKeyPeriod" },
        { "<UserKeyPeriod>16777215<", "<UserKeyPeriod>x<", "UserKeyPeriod" },
        { "<UserKeyPeriod>16777215<", "<UserKeyPeriod>4294967296<",
          "UserKeyPeriod" },
        { "<UserKeyPeriod>16777215<",
          "<UserKeyPeriod>99999999999999999999999<", "UserKeyPeriod" },
        { "<UserKeyOffset>0<", "<UserKeyOffset>1.5<", "UserKeyOffset" },
        { "<UserKeyOffset>0<", "<UserKeyOffset><", "UserKeyOffset" },
        { "Role=\"Root\"", "Role=\"Boss\"", "Role" },
        { "<PubEncKey>04", "<PubEncKey>", "PubEncKey" },
        { "<PubEncKey>04", "<PubEncKey>0404", "PubEncKey" },
        { "<PubEncKey>04", "<PubEncKey>0g", "PubEncKey" },
        { "<PubEncKey>04", "<PubEncKey>06", "PubEncKey" },
        { "<PubEncKey>04", "<PubEncKey>04 ", "PubEncKey" },
        { "<PubAuthKey>04", "<PubAuthKey>", "PubAuthKey" },
        { "<PubAuthKey>04", "<PubAuthKey>02", "PubAuthKey" },
        { "<PubEncKey>", "<PubEncKey><x/>", "PubEncKey" },
        { "<PubEncKey>", "<PubEncKey><!-- x -->", "PubEncKey" },
        { "<UserIdFormat>", "junk<UserIdFormat>", "KmsCertificate" },
        { "<UserIdFormat>", "<Revoked>maybe</Revoked><UserIdFormat>",
          "Revoked" },
        { "<UserIdFormat>", "<ValidTo>soon</ValidTo><UserIdFormat>",
          "ValidTo" },
        { "<UserIdFormat>", "<ValidFrom>2026-01-02T00:00:00Z</ValidFrom>"
          "<ValidTo>2026-01-01T00:00:00Z</ValidTo><UserIdFormat>",
          "ValidTo" },
        { "<UserIdFormat>", "<KmsDomainList><KmsDomain/></KmsDomainList>"
          "<UserIdFormat>", "KmsDomain" },
        { "<KmsCertificate ", "<KmsCertificate><KmsUri>a</KmsUri>"
          "</KmsCertificate><KmsCertificate ", "KmsCertificate" },
        { "<KmsInit ", "<KmsKeyProv/><KmsInit ", "KmsKeyProv" },
        { "<KmsResponse", "<KmsAnswer/><KmsResponse", "document" },
    };
    char open_tag[64], close_tag[64], twice[160];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const char *in_cert = strcmp(needed[i], "KmsUri") == 0
                                  ? "Role=\"Root\">\n" : "";

        (void)snprintf(open_tag, sizeof open_tag, "%s<%s>", in_cert,
                       needed[i]);
        (void)snprintf(close_tag, sizeof close_tag, "%s<X%s>", in_cert,
                       needed[i]);
        /* A start tag that does not match its end is not XML at all. */
        cert_refused(open_tag, close_tag, MCX_E_MALFORMED, "tags");
        (void)snprintf(twice, sizeof twice, "%s<%s>1</%s><%s>", in_cert,
                       needed[i], needed[i], needed[i]);
        cert_refused(open_tag, twice, MCX_E_MALFORMED, needed[i]);
        (void)snprintf(twice, sizeof twice, "%s<X><%s>", in_cert, needed[i]);
        (void)snprintf(close_tag, sizeof close_tag, "</%s>", needed[i]);
        {
            struct mcx_ring *ring = ring_new();
            char *a = edit(cert_xml, open_tag, twice), *b;
            const char *tail = strstr(strstr(a, twice), close_tag);
            char end[128];

            (void)snprintf(end, sizeof end, "%s</X>", close_tag);
            /* The element is hidden one level down: it is missing. */
            b = edit(tail, close_tag, end);
            a[tail - a] = '\0';
            a = realloc(a, strlen(a) + strlen(b) + 1);
            assert_non_null(a);
            memcpy(a + strlen(a), b, strlen(b) + 1);
            assert_int_equal(load(ring, a), MCX_E_MALFORMED);
            if (!strstr(text.s, "has no") || !strstr(text.s, needed[i])) {
                fail_msg("\"%s\" does not name %s", text.s, needed[i]);
            }
            counts(ring, 0, 0);
            mcx_ring_free(ring);
            free(a);
            free(b);
        }
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cert_refused(bad[i][0], bad[i][1], MCX_E_UNSUPPORTED, "UserIdFormat");
    }
    cert_refused("<UserIdFormat>", "<ParameterSet>2</ParameterSet>"
                 "<UserIdFormat>", MCX_E_UNSUPPORTED, "ParameterSet");
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cert_refused(wrong[i][0], wrong[i][1], MCX_E_MALFORMED, wrong[i][2]);
    }
}

static void
points_off_their_curves_are_refused(void **state)
{
    /* The last digit of a key, changed: hexadecimal and size are right. */
    char *off = strdup(z), *off_kpak = strdup(kpak);
    size_t n = strlen(z), m = strlen(kpak);

    (void)state;
    assert_non_null(off);
    assert_non_null(off_kpak);
    off[n - 1] = off[n - 1] == '0' ? '1' : '0';
    off_kpak[m - 1] = off_kpak[m - 1] == '0' ? '1' : '0';
    cert_refused(z, off, MCX_E_MALFORMED, "PubEncKey");
    cert_refused(kpak, off_kpak, MCX_E_MALFORMED, "PubAuthKey");
    free(off);
    free(off_kpak);
}

/* ---- key sets refused -------------------------------------------------- */

static void
bad_key_sets_are_refused(void **state)
{
    static const char *const wrong[][3] = {
        { "<KmsKeySet Version=\"1.1.0\">\n<KmsUri>",
          "<KmsKeySet><KmsUri>a</KmsUri><KmsUri>", "KmsUri" },
        { "<KmsKeySet Version=\"1.1.0\">\n<KmsUri>",
          "<KmsKeySet><UserUri>a</UserUri><KmsUri>", "UserUri" },
        { "<KeyPeriodNo>", "<KeyPeriodNo>1</KeyPeriodNo><KeyPeriodNo>",
          "KeyPeriodNo" },
        { "<KeyPeriodNo>236</KeyPeriodNo>", "", "KeyPeriodNo" },
        { "<KeyPeriodNo>236<", "<KeyPeriodNo>-236<", "KeyPeriodNo" },
        { "<KeyPeriodNo>236<", "<KeyPeriodNo>0xec<", "KeyPeriodNo" },
        { "<KeyPeriodNo>236<", "<KeyPeriodNo>1099511627776<",
          "KeyPeriodNo" },
        { "<UserID>", "<UserID>00</UserID><UserID>", "UserID" },
        { "<UserID>", "<UserID>zz", "UserID" },
        { "<UserID>", "<UserID>b5", "UserID" },
        { "<UserDecryptKey ", "<UserDecryptKey>04</UserDecryptKey>"
          "<UserDecryptKey ", "UserDecryptKey" },
        { "<UserSigningKeySSK>", "<UserSigningKeySSK>00",
          "UserSigningKeySSK" },
        { "<UserSigningKeySSK>", "<UserSigningKeySSK>q",
          "UserSigningKeySSK" },
        { "<UserPubTokenPVT>04", "<UserPubTokenPVT>", "UserPubTokenPVT" },
        { "\"KeyContentType\"", "\"OtherType\"", "UserDecryptKey" },
        { "<KeyPeriodNo>", "<Revoked>no</Revoked><KeyPeriodNo>", "Revoked" },
        { "<KeyPeriodNo>", "<ValidTo>x</ValidTo><KeyPeriodNo>", "ValidTo" },
        { "<KmsMessage>", "<KmsMessage><KmsInit/>", "KmsInit" },
        { "<Time>2026-03-01T08:00:00Z</Time>", "", "Time" },
        { "<Time>2026", "<Time>20x6", "Time" },
        { "<ClientReqUrl>https://k/keyprov</ClientReqUrl>", "",
          "ClientReqUrl" },
        { "<UserUri>" ALICE "</UserUri>\n<KmsUri>", "<KmsUri>", "UserUri" },
        { "<UserUri>sip:alice", "<UserUri>sip: alice", "UserUri" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        edit_refused(keys_xml, wrong[i][0], wrong[i][1], MCX_E_MALFORMED,
                     wrong[i][2]);
    }
}

static void
long_names_are_refused(void **state)
{
    char uri[MCX_URI_MAX + 32];

    (void)state;
    memset(uri, 'a', sizeof uri);
    (void)snprintf(uri + MCX_URI_MAX, 16, "</UserUri>");
    memcpy(uri, "<UserUri>", 9);
    /* 1024 - 9 octets are short enough, so the limit is met exactly by
     * putting nine more in front. */
    {
        char *a = edit(keys_xml, "<UserUri>" ALICE "</UserUri>\n<KmsUri>",
                       "@\n<KmsUri>");
        char *b = edit(a, "@", uri);
        char *c = edit(b, "<UserUri>", "<UserUri>bbbbbbbbb");

        refused(c, MCX_E_TOOBIG, "UserUri");
        free(a);
        free(b);
        free(c);
    }
}

static void
wrong_keys_are_refused(void **state)
{
    char *off = strdup(pvt), *flip = strdup(rsk);
    char zero[65], high[65];

    (void)state;
    assert_non_null(off);
    assert_non_null(flip);
    memset(zero, '0', 64);
    memset(high, 'f', 64);
    zero[64] = high[64] = '\0';
    off[strlen(off) - 1] = off[strlen(off) - 1] == '0' ? '1' : '0';
    flip[strlen(flip) - 1] = flip[strlen(flip) - 1] == '0' ? '1' : '0';
    edit_refused(keys_xml, rsk, bob_rsk, MCX_E_AUTH, "UserDecryptKey");
    edit_refused(keys_xml, rsk, flip, MCX_E_MALFORMED, "UserDecryptKey");
    edit_refused(keys_xml, ssk, bob_ssk, MCX_E_AUTH, "UserSigningKeySSK");
    edit_refused(keys_xml, ssk, zero, MCX_E_MALFORMED, "UserSigningKeySSK");
    edit_refused(keys_xml, ssk, high, MCX_E_MALFORMED, "UserSigningKeySSK");
    edit_refused(keys_xml, pvt, off, MCX_E_MALFORMED, "UserPubTokenPVT");
    edit_refused(keys_xml, "<UserID>b5", "<UserID>b4", MCX_E_AUTH, "UserID");
    edit_refused(keys_xml, "<KeyPeriodNo>236<", "<KeyPeriodNo>237<",
                 MCX_E_AUTH, "UserID");
    edit_refused(keys_xml, "<UserUri>" ALICE "</UserUri>\n<UserID>",
                 "<UserUri>sip:bob@streamwide.com</UserUri>\n<UserID>",
                 MCX_E_AUTH, "UserID");
    edit_refused(keys_xml, "<KmsKeySet Version=\"1.1.0\">\n<KmsUri>",
                 "<KmsKeySet><KmsUri>x", MCX_E_NO_IDENTITY, "KmsUri");
    free(off);
    free(flip);
}

static void
wrapped_keys_are_refused_clearly(void **state)
{
    static const char wrapped[] =
        "<UserSigningKeySSK xsi:type=\"EncKeyContentType\"><EncryptedKey "
        "xmlns=\"http://www.w3.org/2001/04/xmlenc#\"/></UserSigningKeySSK>"
        "<Old>";
    char *a = edit(keys_xml, "<UserSigningKeySSK>", wrapped);
    char *b = edit(a, "</UserSigningKeySSK>\n", "</Old>\n");

    (void)state;
    refused(b, MCX_E_UNSUPPORTED, "EncKeyContentType");
    free(a);
    free(b);
}

static void
expired_and_revoked_sets_are_refused(void **state)
{
    char date[MCX_RFC3339_SIZE], valid[96];
    int64_t then;

    (void)state;
    edit_refused(keys_xml, "<KeyPeriodNo>", "<Revoked>1</Revoked>"
                 "<KeyPeriodNo>", MCX_E_EXPIRED, "revoked");
    mcx_time_text(date, now_ms - 1000);
    (void)snprintf(valid, sizeof valid, "<ValidTo>%s</ValidTo><KeyPeriodNo>",
                   date);
    edit_refused(keys_xml, "<KeyPeriodNo>", valid, MCX_E_EXPIRED, "ValidTo");
    then = now_ms;
    now_ms -= 1000;
    {
        struct mcx_ring *ring = ring_new();
        char *xml = edit(keys_xml, "<KeyPeriodNo>", valid);

        assert_int_equal(load(ring, cert_xml), MCX_OK);
        assert_int_equal(load(ring, xml), MCX_OK);
        counts(ring, 1, 1);
        mcx_ring_free(ring);
        free(xml);
    }
    now_ms = then;
}

static void
a_revoked_certificate_ends_its_keys(void **state)
{
    struct mcx_ring *ring = ring_new();
    struct mcx_kms_info info;
    char *xml = edit(cert_xml, "<UserIdFormat>",
                     "<Revoked>true</Revoked><UserIdFormat>");

    (void)state;
    assert_int_equal(load(ring, xml), MCX_OK);
    assert_int_equal(mcx_ring_kms(ring, mcx_bytes_str(kms_uri), &info, NULL),
                     MCX_OK);
    assert_true(info.revoked);
    assert_int_equal(load(ring, keys_xml), MCX_E_EXPIRED);
    counts(ring, 1, 0);
    mcx_ring_free(ring);
    free(xml);
}

static void
a_bad_set_does_not_take_the_others(void **state)
{
    struct mcx_ring *ring = ring_new();
    const char *start = strstr(keys_xml, "<KmsKeySet");
    const char *end = strstr(keys_xml, "</KmsKeyProv>");
    char *set = strndup(start, (size_t)(end - start));
    char *bad, *two;

    (void)state;
    assert_non_null(set);
    bad = edit(set, "<UserID>b5", "<UserID>00");
    two = edit(keys_xml, "<KmsKeyProv Version=\"1.0.0\">",
               "<KmsKeyProv>{SET}");
    {
        char *xml = edit(two, "{SET}", bad);

        assert_int_equal(load(ring, cert_xml), MCX_OK);
        assert_int_equal(load(ring, xml), MCX_E_AUTH);
        assert_int_equal(loaded.n_users, 1);
        counts(ring, 1, 1);
        free(xml);
    }
    free(set);
    free(bad);
    free(two);
    mcx_ring_free(ring);
}

static void
hostile_documents_are_refused(void **state)
{
    static char big[5 * 1024 * 1024];
    char *xml;
    size_t n, end = strlen(keys_xml) - 1;

    (void)state;
    edit_refused(keys_xml, "?>\n", "?><!DOCTYPE KmsResponse>\n",
                 MCX_E_MALFORMED, "DOCTYPE");
    /* Also after an error that keeps libxml2 from telling of it. */
    edit_refused(keys_xml, "?>\n", " encoding<?xml version='1.0'?>"
                 "<!DOCTYPE a [<!ENTITY a 'aaaaaaaa'><!ENTITY b ?>]>\n",
                 MCX_E_MALFORMED, "DOCTYPE");
    edit_refused(keys_xml, "?>\n", "?><!DOCTYPE a [<!ENTITY a 'aaaaaaaa'>"
                 "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
                 "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>\n",
                 MCX_E_MALFORMED, "DOCTYPE");
    edit_refused(keys_xml, "<UserID>", "<UserID>&x;", MCX_E_MALFORMED,
                 "entities");
    memset(big, ' ', sizeof big - 1);
    memcpy(big, "<KmsResponse>", 13);
    {
        struct mcx_ring *ring = ring_new();

        assert_int_equal(load(ring, big), MCX_E_TOOBIG);
        assert_non_null(strstr(text.s, "too large"));
        mcx_ring_free(ring);
    }
    /* Cut at every octet: never taken, never more than an error. */
    for (n = 0; n < end; n += n < 1200 ? 1 : 97) {
        struct mcx_ring *ring = ring_new();

        assert_int_equal(mcx_kms_load(ring, mcx_bytes(keys_xml, n), "doc.xml",
                                      &env, &loaded, &text),
                         MCX_E_MALFORMED);
        mcx_ring_free(ring);
    }
    edit_refused(keys_xml, "<KmsMessage>", "<KmsError><ErrorCode>404"
                 "</ErrorCode><ErrorMsg>x</ErrorMsg></KmsError><KmsMessage>",
                 MCX_E_PEER, "404");
    xml = edit(keys_xml, "<KmsKeyProv Version=\"1.0.0\">", "<KmsLookup>");
    {
        char *b = edit(xml, "</KmsKeyProv>", "</KmsLookup>");

        refused(b, MCX_E_MALFORMED, "KmsKeyProv");
        free(b);
    }
    free(xml);
}

/* ---- written ----------------------------------------------------------- */

static void
what_is_written_reads_back(void **state)
{
    static const char user[] = "sip:o'hara&co@mcx.test";
    struct mcx_kms_master *master = NULL;
    struct mcx_ring *ring = ring_new();
    struct mcx_kms_info info, again;
    struct mcx_kms_keyset sets[2];
    struct mcx_kms_doc doc = { .user_uri = user, .kms_uri = "kms.mcx.test",
                               .client_req_url = "https://kms.mcx.test/x",
                               .time_unix_ms = now_ms };
    uint8_t pz[MCX_SAKKE_PT_SIZE], pk[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    char *out;
    size_t n, i;

    (void)state;
    memset(&info, 0, sizeof info);
    memset(sets, 0, sizeof sets);
    (void)snprintf(info.uri, sizeof info.uri, "kms.mcx.test");
    info.period.length_s = 2592000;
    info.period.offset_s = 7;
    info.valid_from_unix = 1700000000;
    info.valid_to_unix = 1900000000;
    info.root = true;
    info.n_domains = 2;
    (void)snprintf(info.domain[0], sizeof info.domain[0], "mcx.test");
    (void)snprintf(info.domain[1], sizeof info.domain[1], "b.test");
    assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_OK);
    mcx_kms_master_public(pz, pk, master);
    assert_int_equal(mcx_kms_write_init(&out, &n, &doc, &info, pz, pk),
                     MCX_OK);
    assert_int_equal(strlen(out), n);
    assert_int_equal(load(ring, out), MCX_OK);
    mcx_kms_text_free(out, n);
    assert_int_equal(mcx_ring_kms(ring, mcx_bytes_str(info.uri), &again,
                                  NULL), MCX_OK);
    assert_string_equal(again.uri, info.uri);
    assert_int_equal(again.period.length_s, info.period.length_s);
    assert_int_equal(again.period.offset_s, info.period.offset_s);
    assert_int_equal(again.valid_from_unix, info.valid_from_unix);
    assert_int_equal(again.valid_to_unix, info.valid_to_unix);
    assert_int_equal(again.n_domains, 2);
    assert_string_equal(again.domain[1], "b.test");
    for (i = 0; i < 2; i++) {
        (void)snprintf(sets[i].user_uri, sizeof sets[i].user_uri, "%s", user);
        sets[i].period_no = 1500 + i;
        assert_int_equal(mcx_uid(&sets[i].uid, mcx_bytes_str(user),
                                 mcx_bytes_str(info.uri), &info.period,
                                 sets[i].period_no), MCX_OK);
        assert_int_equal(mcx_kms_master_issue(
            master, mcx_bytes(sets[i].uid.b, sizeof sets[i].uid.b),
            &sets[i].rsk, &sets[i].ssk, sets[i].pvt, &env), MCX_OK);
    }
    assert_int_equal(mcx_kms_write_keyprov(&out, &n, &doc, &info, sets, 2),
                     MCX_OK);
    assert_int_equal(load(ring, out), MCX_OK);
    assert_int_equal(loaded.n_users, 2);
    for (i = 0; i < 2; i++) {
        assert_int_equal(mcx_ring_user(ring, user, 1500 + i, &key), MCX_OK);
        mcx_user_key_free(key);
    }
    mcx_kms_text_free(out, n);
    /* The key of one period in the place of the other's. */
    sets[0].ssk = sets[1].ssk;
    assert_int_equal(mcx_kms_write_keyprov(&out, &n, &doc, &info, sets, 1),
                     MCX_OK);
    assert_int_equal(load(ring, out), MCX_E_AUTH);
    assert_non_null(strstr(text.s, "UserSigningKeySSK"));
    mcx_kms_text_free(out, n);
    doc.client_req_url = NULL;
    assert_int_equal(mcx_kms_write_keyprov(&out, &n, &doc, &info, sets, 1),
                     MCX_E_ARG);
    assert_int_equal(mcx_kms_write_init(&out, &n, &doc, &info, pz, pk),
                     MCX_E_ARG);
    mcx_kms_master_free(master);
    mcx_ring_free(ring);
}

/* ---- folders ----------------------------------------------------------- */

static struct { const char *name, *xml; } files[4];

static mcx_err
fake_list(void *ctx, const char *path,
          mcx_err (*each)(void *arg, const char *name), void *arg)
{
    size_t i;

    (void)ctx;
    if (strcmp(path, "keys") != 0) {
        return MCX_E_IO;
    }
    for (i = 0; i < 4 && files[i].name; i++) {
        MCX_TRY(each(arg, files[i].name));
    }
    return MCX_OK;
}

static mcx_err
fake_read(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    size_t i;

    (void)ctx;
    for (i = 0; i < 4 && files[i].name; i++) {
        if (strcmp(path + 5, files[i].name) == 0 && files[i].xml) {
            *out = strdup(files[i].xml);
            *n = strlen(files[i].xml);
            return *n > max ? MCX_E_TOOBIG : *out ? MCX_OK : MCX_E_NOMEM;
        }
    }
    return MCX_E_IO;
}

static mcx_err
load_dir(struct mcx_ring **ring, const char *dir)
{
    struct mcx_env fake = env;

    fake.list_dir = fake_list;
    fake.read_file = fake_read;
    *ring = ring_new();
    return mcx_kms_load_dir(*ring, dir, &fake, &loaded, &text);
}

static void
a_folder_is_read_certificates_first(void **state)
{
    struct mcx_ring *ring;
    char *revoked = edit(keys_xml, "<KeyPeriodNo>", "<Revoked>true</Revoked>"
                         "<KeyPeriodNo>");
    char *bad = edit(keys_xml, "<UserID>b5", "<UserID>00");

    (void)state;
    memset(files, 0, sizeof files);
    files[0].name = "a-keys.xml";
    files[0].xml = keys_xml;
    files[1].name = "notes.txt";
    files[2].name = "z-cert.xml";
    files[2].xml = cert_xml;
    assert_int_equal(load_dir(&ring, "keys"), MCX_OK);
    assert_int_equal(loaded.n_kms, 1);
    assert_int_equal(loaded.n_users, 1);
    mcx_ring_free(ring);
    files[3].name = "zz.xml";
    files[3].xml = revoked;
    assert_int_equal(load_dir(&ring, "keys"), MCX_OK);
    counts(ring, 1, 1);
    assert_string_equal(text.s, "");
    mcx_ring_free(ring);
    files[3].xml = bad;
    assert_int_equal(load_dir(&ring, "keys"), MCX_E_AUTH);
    assert_ptr_equal(strstr(text.s, "keys/zz.xml:"), text.s);
    mcx_ring_free(ring);
    files[3].xml = NULL;
    assert_int_equal(load_dir(&ring, "keys"), MCX_E_IO);
    assert_non_null(strstr(text.s, "keys/zz.xml"));
    mcx_ring_free(ring);
    files[2].name = NULL;
    assert_int_equal(load_dir(&ring, "keys"), MCX_E_NO_IDENTITY);
    mcx_ring_free(ring);
    files[0].name = NULL;
    assert_int_equal(load_dir(&ring, "keys"), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "KmsInit"));
    mcx_ring_free(ring);
    assert_int_equal(load_dir(&ring, "nowhere"), MCX_E_IO);
    assert_non_null(strstr(text.s, "nowhere"));
    mcx_ring_free(ring);
    free(revoked);
    free(bad);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_certificate_and_keys),
        cmocka_unit_test(monthly_tel_is_an_option),
        cmocka_unit_test(takes_what_the_field_sends),
        cmocka_unit_test(wraps_and_caches_are_read),
        cmocka_unit_test(bad_certificates_are_refused),
        cmocka_unit_test(points_off_their_curves_are_refused),
        cmocka_unit_test(bad_key_sets_are_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(wrapped_keys_are_refused_clearly),
        cmocka_unit_test(expired_and_revoked_sets_are_refused),
        cmocka_unit_test(a_revoked_certificate_ends_its_keys),
        cmocka_unit_test(a_bad_set_does_not_take_the_others),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_folder_is_read_certificates_first),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
