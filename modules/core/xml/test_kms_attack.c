/* test_kms_attack.c -- attacks on signed KMS messages and wrapped keys that
 * are made by rule and not by hand: every octet of a signed message replaced,
 * left out, doubled, or followed by what XML makes disappear; a signed message
 * moved to every place of a forged one, under every way to write its Id; every
 * bit of every wrapped key.
 *
 * The rule for all of them: either it is refused and nothing comes out, or
 * what comes out is, octet for octet, what was signed. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sofia-mcx/mcx_kmssec.h>

#define NS "urn:3gpp:ns:mcsecKMSInterface:1.0"
#define DSIG "http://www.w3.org/2000/09/xmldsig#"
#define C14N "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
#define USER "sip:ada@mc.example.net"
#define EVIL "sip:eve@mc.example.net"
#define KMS "kms.example.net"
#define URL "https://kms.example.net/keymanagement/identity/v1/keyprov"

static struct mcx_env env;
static struct mcx_tkeys keys, others;
static char *req, *sreq, *resp;
static size_t req_n, sreq_n, resp_n;
static char *signed_out; /* what a good sreq gives */
static size_t signed_out_n;
static struct mcx_text text;
static unsigned n_refused, n_same;

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static const struct mcx_kw_key *
find(void *arg, const char *id)
{
    struct mcx_tkeys *have = arg;

    return !*id || strcmp(id, have->ink.id) == 0 ? &have->ink.key
           : strcmp(id, have->trk.id) == 0       ? &have->trk.key
                                                 : NULL;
}

static mcx_err
verify(struct mcx_bytes xml, char **out, size_t *n,
       struct mcx_kms_signed *said)
{
    struct mcx_kms_verifier v = { .what = MCX_KMS_SIGNED_REQUEST,
                                  .key = find, .arg = &keys };

    return mcx_kms_verify(out, n, xml, &v, said, &text);
}

/* The rule.  'must': it has to be refused. */
static void
judge(struct mcx_bytes xml, bool must, const char *what, size_t at)
{
    struct mcx_kms_signed said;
    char *out = NULL;
    size_t n = 0;
    mcx_err err = verify(xml, &out, &n, &said);

    if (err != MCX_OK) {
        n_refused++;
        if (out || n || said.key_id[0] || said.trk_id[0] || !text.s[0]) {
            fail_msg("%s at %zu: refused, and yet something came out, or no "
                     "reason was given", what, at);
        }
        return;
    }
    n_same++;
    if (must) {
        fail_msg("%s at %zu was taken:\n%.*s", what, at, (int)xml.n,
                 (const char *)xml.p);
    }
    if (n != signed_out_n || memcmp(out, signed_out, n) != 0
        || strcmp(said.key_id, keys.ink.id) != 0
        || strcmp(said.trk_id, keys.trk.id) != 0) {
        fail_msg("%s at %zu: what came out was not signed:\n%.*s", what, at,
                 (int)n, out);
    }
    mcx_kms_text_free(out, n);
}

static void
judge_text(const char *xml, bool must, const char *what)
{
    judge(mcx_bytes_str(xml), must, what, 0);
}

/* 'xml' with the first 'from' replaced by 'to'; 'from' must be there. */
static char *
edit(const char *xml, const char *from, const char *to)
{
    const char *at = strstr(xml, from);
    size_t room = strlen(xml) + strlen(to) + 1;
    char *out = malloc(room);

    assert_non_null(out);
    if (!at) {
        fail_msg("no \"%s\" in %s", from, xml);
    }
    (void)snprintf(out, room, "%.*s%s%s", (int)(at - xml), xml, to,
                   at + strlen(from));
    return out;
}

static char *
cut(const char *xml, const char *from, const char *to)
{
    const char *a = strstr(xml, from), *b = a ? strstr(a, to) : NULL;
    char *out;

    assert_non_null(b);
    out = strndup(a, (size_t)(b + strlen(to) - a));
    assert_non_null(out);
    return out;
}

static int
setup(void **state)
{
    static struct mcx_kms_request r = { .user_uri = USER, .kms_uri = KMS,
                                        .client_req_url = URL,
                                        .time_unix_ms = 1775000000000 };
    struct mcx_kms_doc doc = { .user_uri = USER, .kms_uri = KMS,
                               .client_req_url = URL,
                               .time_unix_ms = 1775000000000 };
    struct mcx_kms_info info;
    static struct mcx_kms_keyset set;
    struct mcx_kms_signed said;

    (void)state;
    env = *mcx_env_system();
    env.log = no_log;
    memset(&info, 0, sizeof info);
    (void)snprintf(info.uri, sizeof info.uri, "%s", KMS);
    (void)snprintf(set.user_uri, sizeof set.user_uri, "%s", USER);
    set.period_no = 1536;
    memset(set.rsk.b, 0x33, sizeof set.rsk.b);
    memset(set.ssk.b, 0x5a, sizeof set.ssk.b);
    memset(set.pvt, 0xa5, sizeof set.pvt);
    set.rsk.b[0] = set.pvt[0] = 0x04;
    assert_int_equal(mcx_tkeys_new(&keys, USER, 1, &env), MCX_OK);
    assert_int_equal(mcx_tkeys_new(&others, USER, 2, &env), MCX_OK);
    assert_int_equal(mcx_kms_request_write(&req, &req_n, &r), MCX_OK);
    assert_int_equal(mcx_kms_sign(&sreq, &sreq_n, mcx_bytes(req, req_n),
                                  &keys, true), MCX_OK);
    assert_int_equal(verify(mcx_bytes(sreq, sreq_n), &signed_out,
                            &signed_out_n, &said), MCX_OK);
    assert_int_equal(mcx_kms_write_keyprov(&resp, &resp_n, &doc, &info, &set,
                                           1), MCX_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    mcx_kms_text_free(req, req_n);
    mcx_kms_text_free(sreq, sreq_n);
    mcx_kms_text_free(resp, resp_n);
    mcx_kms_text_free(signed_out, signed_out_n);
    return 0;
}

/* ---- every octet ------------------------------------------------------- */

/* What libraries print of a stranger's text is no line of our log. */
static int stderr_was, stderr_now;
static FILE *printed;

static void
listen_to_stderr(void)
{
    printed = tmpfile();
    assert_non_null(printed);
    (void)fflush(stderr);
    stderr_was = dup(2);
    stderr_now = dup2(fileno(printed), 2);
    assert_true(stderr_was >= 0 && stderr_now == 2);
}

static void
nothing_printed(void)
{
    char line[256] = "";

    (void)fflush(stderr);
    assert_int_equal(dup2(stderr_was, 2), 2);
    (void)close(stderr_was);
    rewind(printed);
    if (fgets(line, sizeof line, printed)) {
        fail_msg("printed: %s", line);
    }
    (void)fclose(printed);
}

/* A namespace that is no URI has no canonical form. */
static void
relative(void **state)
{
    static const char *const edits[][2] = {
        { "<SignedKmsRequest ", "<SignedKmsRequest xmlns:a=\"b\" " },
        { "<KmsRequest ", "<KmsRequest xmlns:a=\"../b\" " },
        { "<UserUri>", "<a xmlns='x'/><UserUri>" },
        { "<KeyName>", "<KeyName xmlns:a=\"#x\">" },
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char *xml = edit(sreq, edits[i][0], edits[i][1]);

        listen_to_stderr();
        judge_text(xml, true, edits[i][1]);
        nothing_printed();
        if (!strstr(text.s, "absolute")) {
            fail_msg("%s: %s", edits[i][1], text.s);
        }
        free(xml);
    }
}

static void
every_octet(void **state)
{
    static const char swap[] = { '<', '>', '&', '"', ' ', 'A', '0', '=', '#',
                                 (char)0xff, '\n', '\0' };
    static const char *const insert[] = {
        " ", "\t", "A", "<!---->", "<?x y?>", "<![CDATA[]]>", "&#32;",
        "&#0;", "&amp;", "<x/>", "\xc2\xa0", "\xef\xbb\xbf", "xmlns:a='b'",
        " xml:id=\"request\"", " Id=\"request\"", "=\"\""
    };
    char *b = malloc(sreq_n + 64);
    size_t i, k, n;

    (void)state;
    assert_non_null(b);
    n_refused = n_same = 0;
    listen_to_stderr();
    for (i = 0; i < sreq_n; i++) {
        memcpy(b, sreq, sreq_n);
        for (k = 0; k < sizeof swap; k++) {
            b[i] = swap[k];
            judge(mcx_bytes(b, sreq_n), false, "replaced", i);
        }
        b[i] = (char)(sreq[i] ^ 1);
        judge(mcx_bytes(b, sreq_n), false, "bit 0", i);
        b[i] = (char)(sreq[i] ^ 0x20);
        judge(mcx_bytes(b, sreq_n), false, "bit 5", i);
        memmove(b + i, sreq + i + 1, sreq_n - i - 1);
        judge(mcx_bytes(b, sreq_n - 1), false, "left out", i);
        for (k = 0; k < sizeof insert / sizeof *insert; k++) {
            n = strlen(insert[k]);
            memcpy(b + i, insert[k], n);
            memcpy(b + i + n, sreq + i, sreq_n - i);
            judge(mcx_bytes(b, sreq_n + n), false, insert[k], i);
        }
    }
    nothing_printed();
    free(b);
    /* White space between the parts, for one, is nothing. */
    assert_true(n_same > 10);
    assert_true(n_refused > 10 * n_same);
}

/* An answer that is not signed, with what XML makes disappear at every octet:
 * no value is read by its first part or without its middle. */
static void
every_octet_of_an_answer(void **state)
{
    static const char *const insert[] = { "<!---->", "<!-- x -->", "<?x y?>",
                                          "<![CDATA[]]>", "<x/>",
                                          "<x xmlns='urn:x'>9</x>" };
    struct mcx_kms_expect e = { .what = MCX_KMS_KEYPROV, .user_uri = USER,
                                .kms_uri = KMS, .client_req_url = URL,
                                .now_unix_ms = 1775000000000,
                                .window_ms = 0 };
    struct mcx_kms_reply *want = malloc(sizeof *want);
    struct mcx_kms_reply *got = malloc(sizeof *got);
    char *b = malloc(resp_n + 64);
    size_t i, k, n;
    unsigned same = 0, refused = 0;

    (void)state;
    assert_true(want && got && b);
    assert_int_equal(mcx_kms_reply_read(want, mcx_bytes(resp, resp_n), &e,
                                        &text), MCX_OK);
    assert_int_equal(want->n_sets, 1);
    for (i = 0; i < resp_n; i++) {
        for (k = 0; k < sizeof insert / sizeof *insert; k++) {
            n = strlen(insert[k]);
            memcpy(b, resp, i);
            memcpy(b + i, insert[k], n);
            memcpy(b + i + n, resp + i, resp_n - i);
            if (mcx_kms_reply_read(got, mcx_bytes(b, resp_n + n), &e, &text)
                != MCX_OK) {
                refused++;
                continue;
            }
            same++;
            /* A set that cannot be read is not listed. */
            if (got->n_sets == 0) {
                memcpy(got, want, sizeof *got);
            }
            if (memcmp(want, got, sizeof *want) != 0) {
                fail_msg("%s at %zu: read as something else:\n%.*s",
                         insert[k], i, (int)(resp_n + n), b);
            }
        }
    }
    assert_true(same > 100);
    assert_true(refused > 100);
    free(want);
    free(got);
    free(b);
}

/* ---- the signed message in every place of a forged one ----------------- */

struct place {
    const char *what, *before, *after; /* where the good message is put */
};

static void
every_place(void **state)
{
    static const struct place places[] = {
        { "before the evil one", "<KmsRequest ", "" },
        { "after the evil one", "</KmsRequest>", NULL },
        { "in the evil one, first", "<UserUri>", "" },
        { "in the evil one, last", "</KmsRequest>", "" },
        { "in its UserUri", "</UserUri>", "" },
        { "before the signature", "<Signature ", "" },
        { "in the signature, first", "<SignedInfo>", "" },
        { "in SignedInfo, first", "<CanonicalizationMethod", "" },
        { "in SignedInfo, last", "</SignedInfo>", "" },
        { "in the reference", "<DigestMethod", "" },
        { "in DigestValue", "</DigestValue>", "" },
        { "in SignatureValue", "</SignatureValue>", "" },
        { "before KeyInfo", "<KeyInfo>", "" },
        { "in KeyInfo", "<KeyName>", "" },
        { "in KeyName", "</KeyName>", "" },
        { "behind KeyInfo, last", "</Signature>", "" },
        { "behind the signature", "</SignedKmsRequest>", "" },
    };
    static const char *const wraps[][2] = {
        { "", "" },
        { "<Object xmlns=\"" DSIG "\">", "</Object>" },
        { "<x xmlns=\"urn:x\">", "</x>" },
        { "<SignedKmsRequest xmlns=\"" NS "\">", "</SignedKmsRequest>" },
    };
    static const char *const ids[] = {
        "Id=\"request\"", "Id=\"other\"", "ID=\"request\"", "id=\"request\"",
        "xml:id=\"request\"", "xmlns:k=\"" NS "\" k:Id=\"request\"", "",
        "Id=\"&#114;equest\"", "Id=\" request\"", "Id=\"request \""
    };
    static const char *const uris[] = {
        "URI=\"#request\"", "URI=\"\"", "URI=\"#other\"", "",
        "URI=\"#xpointer(id('request'))\"", "URI=\"#xpointer(/)\"",
        "URI=\"#%72equest\""
    };
    char *good = cut(sreq, "<KmsRequest ", "</KmsRequest>");
    char *bad = edit(good, USER, EVIL);
    const char *whole = strstr(sreq, "<Signed");
    size_t i, k, j, u;
    static char piece[16384];

    (void)state;
    assert_non_null(whole);
    assert_true(3 * strlen(sreq) < sizeof piece);
    n_refused = n_same = 0;
    for (j = 0; j < sizeof ids / sizeof *ids; j++) {
        char *evil = edit(bad, "Id=\"request\"", ids[j]);
        char *base = edit(sreq, good, evil);

        judge_text(base, true, "evil instead of good");
        for (u = 0; u < sizeof uris / sizeof *uris; u++) {
            char *doc = edit(base, "URI=\"#request\"", uris[u]);

            for (i = 0; i < sizeof places / sizeof *places; i++) {
                for (k = 0; k < sizeof wraps / sizeof *wraps; k++) {
                    const struct place *p = &places[i];
                    char *xml;

                    (void)snprintf(piece, sizeof piece, "%s%s%s%s%s",
                                   p->after ? "" : p->before, wraps[k][0],
                                   good, wraps[k][1],
                                   p->after ? p->before : "");
                    xml = edit(doc, p->before, piece);
                    judge_text(xml, true, p->what);
                    free(xml);
                }
            }
            free(doc);
        }
        /* Around each other. */
        (void)snprintf(piece, sizeof piece, "<SignedKmsRequest xmlns=\"" NS
                       "\">%s%s</SignedKmsRequest>", evil, whole);
        judge_text(piece, true, "a signed one beside it");
        (void)snprintf(piece, sizeof piece, "<SignedKmsRequest xmlns=\"" NS
                       "\">%s</SignedKmsRequest>", whole);
        judge_text(piece, true, "a signed one inside");
        free(base);
        free(evil);
    }
    assert_int_equal(n_same, 0);
    free(bad);
    free(good);
}

/* ---- what a signature may ask for -------------------------------------- */

static void
algorithms(void **state)
{
    static const char hmac[] = "hmac-sha256\"/>";
    static const char *const lengths[] = {
        "0", "1", "8", "80", "128", "255", "257", "512", "-256", "+256",
        "0256", "2 5 7", "1e2", "256.0", "", "<!-- -->", "<x/>",
        "99999999999999999999999999999999"
    };
    static const struct {
        const char *from, *to;
    } edits[] = {
        { "xmldsig-more#hmac-sha256", "xmldsig-more#ecdsa-sha256" },
        { "xmldsig-more#hmac-sha256", "xmldsig-more#rsa-sha256" },
        { "xmldsig-more#hmac-sha256", "xmldsig-more#hmac-md5" },
        { "xmldsig-more#hmac-sha256", "xmldsig-more#hmac-sha224" },
        { "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
          DSIG "hmac-sha1" },
        { "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "" },
        { "#hmac-sha256", "#hmac-sha256 " },
        { "#hmac-sha256", "#HMAC-SHA256" },
        { "<SignatureMethod ", "<SignatureMethod xmlns:x=\"urn:x\" x:" },
        { C14N, "http://www.w3.org/2001/10/xml-exc-c14n#" },
        { C14N, "http://www.w3.org/2006/12/xml-c14n11" },
        { C14N, "" },
        { C14N "\"/>", C14N "\"><InclusiveNamespaces xmlns=\"http://www.w3."
          "org/2001/10/xml-exc-c14n#\" PrefixList=\"#default\"/>"
          "</CanonicalizationMethod>" },
        { "xmlenc#sha256", "xmlenc#sha512" },
        { "http://www.w3.org/2001/04/xmlenc#sha256", DSIG "sha1" },
        { "http://www.w3.org/2001/04/xmlenc#sha256",
          "http://www.w3.org/2001/04/xmldsig-more#md5" },
        { "<KeyInfo>", "<KeyInfo><RetrievalMethod URI=\"file:///etc/passwd\""
          "/>" },
        { "<KeyInfo>", "<KeyInfo><KeyValue><ECKeyValue/></KeyValue>" },
        { "<KeyInfo>", "<KeyInfo><X509Data/>" },
        { "<KeyInfo>", "<KeyInfo><KeyName>x</KeyName>" },
        { "<KeyName>", "<KeyName><x/>" },
        { "<KeyName>", "<KeyName><!-- x -->" },
        { "URI=\"#request\"", "URI=\"http://127.0.0.1:9/x\"" },
        { "URI=\"#request\"", "URI=\"file:///dev/zero#request\"" },
        { "URI=\"#request\"", "URI=\"x#request\"" },
        { "URI=\"#request\"", "URI=\"#request\" Type=\"" DSIG "Manifest\" "
          "URI2=\"\" xmlns:y=\"urn:y\" y:URI=\"#other\"" },
        { "</Reference>", "</Reference><Manifest/>" },
        { "<SignedInfo>", "<SignedInfo/><SignedInfo>" },
        { "<SignatureValue>", "<SignatureValue/><SignatureValue>" },
        { "<SignedInfo>", "<SignedInfo><SignedInfo/>" },
    };
    static const char *const transforms[] = {
        DSIG "base64", "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2002/07/decrypt#XML",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2006/12/xml-c14n11", "", "x"
    };
    char piece[1024];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *xml;

        (void)snprintf(piece, sizeof piece, "hmac-sha256\"><HMACOutputLength>"
                       "%s</HMACOutputLength></SignatureMethod>", lengths[i]);
        xml = edit(sreq, hmac, piece);
        judge_text(xml, true, "HMACOutputLength");
        free(xml);
    }
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *xml = edit(sreq, edits[i].from, edits[i].to);

        judge_text(xml, true, edits[i].to);
        free(xml);
    }
    for (i = 0; i < sizeof transforms / sizeof *transforms; i++) {
        static const char *const around[][2] = {
            { "", "" },
            { "<Transform Algorithm=\"" C14N "\"/>", "" },
            { "", "<Transform Algorithm=\"" C14N "\"/>" },
            { "<Transform Algorithm=\"" DSIG "enveloped-signature\"/>", "" },
        };

        for (size_t k = 0; k < 4; k++) {
            char *xml;

            (void)snprintf(piece, sizeof piece, "<Transforms>%s<Transform "
                           "Algorithm=\"%s\"><x/></Transform>%s</Transforms>"
                           "<DigestMethod", around[k][0], transforms[i],
                           around[k][1]);
            xml = edit(sreq, "<DigestMethod", piece);
            judge_text(xml, true, transforms[i]);
            free(xml);
        }
    }
    /* Many of one that is allowed. */
    {
        enum { MANY = 200 * 120 };
        char *many = malloc(MANY), *xml;
        size_t n;

        assert_non_null(many);
        n = (size_t)snprintf(many, MANY, "<Transforms>");
        for (i = 0; i < 200; i++) {
            n += (size_t)snprintf(many + n, MANY - n, "<Transform Algorithm="
                                  "\"" C14N "\"/>");
        }
        (void)snprintf(many + n, MANY - n, "</Transforms><DigestMethod");
        xml = edit(sreq, "<DigestMethod", many);
        judge_text(xml, true, "200 transforms");
        free(xml);
        free(many);
    }
}

/* ---- codings ----------------------------------------------------------- */

static void
codings(void **state)
{
    static const struct {
        const char *from, *to;
    } edits[] = {
        { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
          "<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADw-" },
        { "ada@", "ada+AEA-" },
        { "ada@", "ad\xc1\xa1@" },       /* 'a', overlong */
        { "ada@", "ad\xe0\x81\xa1@" },
        { "ada@", "ad\xed\xa1\xa1@" },   /* half a surrogate */
        { "ada@", "ada\xef\xbf\xbf@" },
        { "ada@", "ada&#xFFFE;@" },
        { "ada@", "ada&#0;@" },
        { "ada@", "ada&#8;@" },
        { "ada@", "ada&#x110000;@" },
        { "ada@", "ada&eve;@" },
        { "<UserUri>", "<xi:include xmlns:xi=\"http://www.w3.org/2001/"
          "XInclude\" href=\"file:///etc/passwd\"/><UserUri>" },
        { "<?xml", "<!DOCTYPE x [<!ENTITY eve \"x\">]><?xml" },
        { "encoding=\"UTF-8\"?>", "encoding=\"UTF-8\"?><!DOCTYPE x SYSTEM "
          "\"http://127.0.0.1:9/\">" },
        { "encoding=\"UTF-8\"?>", "encoding=\"UTF-8\"?>"
          "<?xml-stylesheet href=\"x\"?><x/>" },
    };
    char *wide = malloc(2 * sreq_n + 2);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *xml = edit(sreq, edits[i].from, edits[i].to);

        judge_text(xml, true, edits[i].to);
        free(xml);
    }
    assert_non_null(wide);
    for (int big = 0; big < 2; big++) {
        for (int bom = 0; bom < 2; bom++) {
            size_t at = 0;

            for (i = 0; i < sreq_n + (size_t)bom; i++) {
                unsigned c = bom ? (i == 0 ? 0xfeff
                                           : (unsigned char)sreq[i - 1])
                                 : (unsigned char)sreq[i];

                wide[at++] = (char)(big ? c >> 8 : c);
                wide[at++] = (char)(big ? c : c >> 8);
            }
            judge(mcx_bytes(wide, at), true, "UTF-16", 0);
        }
    }
    /* What is declared is not believed, and a mark is none of the text. */
    memcpy(wide, "\xef\xbb\xbf", 3);
    memcpy(wide + 3, sreq, sreq_n);
    n_same = 0;
    judge(mcx_bytes(wide, sreq_n + 3), false, "UTF-8 with its mark", 0);
    assert_int_equal(n_same, 1);
    free(wide);
}

/* ---- time -------------------------------------------------------------- */

static double
seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The worst that fits into a request: namespaces that every element sees,
 * attributes to be sorted, depth.  Nobody has to be let in for it. */
static void
expensive(void **state)
{
    char *xml = malloc(MCX_KMS_REQUEST_MAX + 1), *piece, *doc;
    size_t i, n;
    double t;

    (void)state;
    assert_non_null(xml);
    for (int how = 0; how < 4; how++) {
        n = 0;
        xml[0] = '\0';
        for (i = 0; n < 50000; i++) {
            size_t left = 60000 - n;

            if (how == 0 && i < 50) {
                n += (size_t)snprintf(xml + n, left, "<a");
                for (int k = 0; k < 60; k++) {
                    n += (size_t)snprintf(xml + n, left, " xmlns:p%zu_%d="
                                          "'u:'", i, k);
                    left = 60000 - n;
                }
                n += (size_t)snprintf(xml + n, left, ">");
            } else if (how == 1) {
                n += (size_t)snprintf(xml + n, left, "<a");
                for (int k = 120; k > 0; k--) {
                    n += (size_t)snprintf(xml + n, left, " z%d=''", k);
                    left = 60000 - n;
                }
                n += (size_t)snprintf(xml + n, left, "/>");
            } else if (how == 2) {
                n += (size_t)snprintf(xml + n, left, "<a/>");
            } else if (how == 3) {
                n += (size_t)snprintf(xml + n, left, "&#38;");
            } else {
                break;
            }
        }
        for (i = 0; how == 0 && i < 50 && n < 60000; i++) {
            n += (size_t)snprintf(xml + n, 60000 - n, "</a>");
        }
        piece = malloc(n + 32);
        assert_non_null(piece);
        (void)snprintf(piece, n + 32, "<x>%s</x><UserUri>", xml);
        doc = edit(sreq, "<UserUri>", piece);
        t = seconds();
        judge_text(doc, true, "expensive");
        t = seconds() - t;
        if (t > 2) {
            fail_msg("kind %d took %.2f s", how, t);
        }
        free(doc);
        free(piece);
    }
    free(xml);
}

/* ---- wrapped keys ------------------------------------------------------ */

static mcx_err
open_it(const char *xml, char **out, size_t *n, struct mcx_tkeys *fresh)
{
    return mcx_kms_unwrap(out, n, mcx_bytes_str(xml), &keys.trk, true, fresh,
                          &text);
}

static void
must_not_open(const char *xml, const char *what, size_t at)
{
    struct mcx_tkeys fresh;
    char *out = NULL;
    size_t n = 0;

    if (open_it(xml, &out, &n, &fresh) == MCX_OK) {
        fail_msg("%s at %zu was opened:\n%s\nfrom\n%s", what, at, out, xml);
    }
    assert_null(out);
    assert_int_equal(fresh.trk.id[0], 0);
    assert_int_equal(fresh.ink.id[0], 0);
    assert_int_not_equal(text.s[0], 0);
}

/* The octets of the 'which'-th CipherValue of 'xml', and where it stands. */
static size_t
value(uint8_t *bin, const char *xml, unsigned which, size_t *at, size_t *len)
{
    const char *p = xml, *end;
    size_t n = 1024;

    do {
        p = strstr(p, "<CipherValue>");
        if (!p) {
            return 0;
        }
        p += strlen("<CipherValue>");
    } while (which-- > 0);
    end = strchr(p, '<');
    *at = (size_t)(p - xml);
    *len = (size_t)(end - p);
    assert_int_equal(mcx_b64_decode(bin, &n, mcx_bytes(p, *len), NULL),
                     MCX_OK);
    return n;
}

/* 'xml' with another value at 'at'. */
static char *
with_value(const char *xml, size_t at, size_t len, const uint8_t *bin,
           size_t n)
{
    char b64[2048];
    size_t room = strlen(xml) + sizeof b64;
    char *out = malloc(room);

    assert_non_null(out);
    assert_int_equal(mcx_b64_encode(b64, sizeof b64, mcx_bytes(bin, n)),
                     MCX_OK);
    (void)snprintf(out, room, "%.*s%s%s", (int)at, xml, b64, xml + at + len);
    return out;
}

static void
every_bit(void **state)
{
    (void)state;
    for (int form = MCX_KMS_FORM_PADDED; form <= MCX_KMS_FORM_NESTED;
         form++) {
        uint8_t bin[1024];
        char *w;
        size_t n, at, len, i;

        assert_int_equal(mcx_kms_wrap(&w, &n, mcx_bytes(resp, resp_n),
                                      &keys.trk, (enum mcx_kms_form)form,
                                      &others, &env), MCX_OK);
        for (unsigned which = 0;; which++) {
            size_t k = value(bin, w, which, &at, &len);

            if (k == 0) {
                assert_true(which >= 5);
                break;
            }
            for (i = 0; i < k; i++) {
                char *xml;

                bin[i] ^= (uint8_t)(1u << (i % 8));
                xml = with_value(w, at, len, bin, k);
                must_not_open(xml, "a bit", i);
                free(xml);
                bin[i] ^= (uint8_t)(1u << (i % 8));
            }
            /* Every length but its own. */
            for (i = 0; i < k; i += i > 24 && i + 24 < k ? 8u : 1u) {
                char *xml = with_value(w, at, len, bin, i);

                must_not_open(xml, "a shorter one", i);
                free(xml);
            }
            memset(bin + k, 0, 32);
            for (i = k + 1; i <= k + 32; i++) {
                char *xml = with_value(w, at, len, bin, i);

                must_not_open(xml, "a longer one", i);
                free(xml);
            }
        }
        mcx_kms_text_free(w, n);
    }
}

/* Each value in each other's place: keys of one length may trade places, and
 * no others; with a signature around them not even these can. */
static void
swapped(void **state)
{
    (void)state;
    for (int form = MCX_KMS_FORM_PADDED; form <= MCX_KMS_FORM_BARE; form++) {
        static const size_t size[] = { MCX_RSK_SIZE, MCX_SSK_SIZE,
                                       MCX_ECCSI_PT_SIZE, MCX_KW_KEY_SIZE,
                                       MCX_KW_KEY_SIZE };
        uint8_t bin[1024], unused[1024];
        char *w;
        size_t n;

        assert_int_equal(mcx_kms_wrap(&w, &n, mcx_bytes(resp, resp_n),
                                      &keys.trk, (enum mcx_kms_form)form,
                                      &others, &env), MCX_OK);
        for (unsigned from = 0; from < 5; from++) {
            for (unsigned to = 0; to < 5; to++) {
                size_t at, len, k = value(bin, w, from, &at, &len);
                char *xml;

                (void)value(unused, w, to, &at, &len);
                xml = with_value(w, at, len, bin, k);
                if (size[from] != size[to]) {
                    must_not_open(xml, "another key's value", to);
                }
                free(xml);
            }
        }
        mcx_kms_text_free(w, n);
    }
}

/* Wraps of other things under our TrK, as a KMS gone mad would make them. */
static void
mad(void **state)
{
    static const size_t sizes[] = { 1, 8, 16, 24, 31, 33, 64, 66, 128, 255,
                                    258, 513, 515 };
    uint8_t plain[600], bin[700];
    char *w;
    size_t n, at, len, k;

    (void)state;
    memset(plain, 0x41, sizeof plain);
    assert_int_equal(mcx_kms_wrap(&w, &n, mcx_bytes(resp, resp_n), &keys.trk,
                                  MCX_KMS_FORM_PADDED, &others, &env),
                     MCX_OK);
    for (unsigned which = 0; which < 5; which++) {
        (void)value(bin, w, which, &at, &len);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            static const enum mcx_kw_form forms[] = { MCX_KW_RFC3394,
                                                      MCX_KW_RFC5649 };

            for (size_t f = 0; f < 2; f++) {
                char *xml;

                if ((which == 2 && sizes[i] == 64)
                    || ((which == 1 || which > 2) && sizes[i] == 64)) {
                    continue; /* bare, or hexadecimal: judged by contents */
                }
                if (sizes[i] > MCX_KW_PLAIN_MAX
                    || mcx_kw_wrap(bin, &k, &keys.trk.key,
                                   forms[f],
                                   mcx_bytes(plain, sizes[i]), &env)
                           != MCX_OK) {
                    continue;
                }
                xml = with_value(w, at, len, bin, k);
                must_not_open(xml, "a key of another length", sizes[i]);
                free(xml);
            }
        }
    }
    mcx_kms_text_free(w, n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative),
        cmocka_unit_test(every_octet),
        cmocka_unit_test(every_octet_of_an_answer),
        cmocka_unit_test(every_place),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(codings),
        cmocka_unit_test(expensive),
        cmocka_unit_test(every_bit),
        cmocka_unit_test(swapped),
        cmocka_unit_test(mad),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
