/* test_kms_sign.c -- signed KMS messages and wrapped keys: what is taken, what
 * xmlsec1's own command says of ours and we of its, and every way of cheating
 * that we know.  A refusal names what is wrong and gives nothing out. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sofia-mcx/mcx_kmssec.h>

#define NS "urn:3gpp:ns:mcsecKMSInterface:1.0"
#define USER "sip:ada@mc.example.net"
#define KMS "kms.example.net"
#define URL "https://kms.example.net/keymanagement/identity/v1/keyprov"

static struct mcx_env env;
static struct mcx_tkeys keys, others;
static char *req, *sreq, *sresp, *resp;
static size_t req_n, sreq_n, sresp_n, resp_n;
static struct mcx_text text;

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
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

static const struct mcx_kw_key *
find(void *arg, const char *id)
{
    struct mcx_tkeys *have = arg;

    return !*id || strcmp(id, have->ink.id) == 0 ? &have->ink.key
           : strcmp(id, have->trk.id) == 0       ? &have->trk.key
                                                 : NULL;
}

static mcx_err
verify_with(struct mcx_tkeys *have, const char *xml,
            enum mcx_kms_signed_what what, char **out, size_t *n,
            struct mcx_kms_signed *said)
{
    struct mcx_kms_verifier v = { .what = what, .key = find, .arg = have };

    return mcx_kms_verify(out, n, mcx_bytes_str(xml), &v, said, &text);
}

static void
refused_with(struct mcx_tkeys *have, const char *xml,
             enum mcx_kms_signed_what what, mcx_err err, const char *word)
{
    struct mcx_kms_signed said;
    char *out = NULL;
    size_t n = 0;
    mcx_err got = verify_with(have, xml, what, &out, &n, &said);

    if (got != err || !strstr(text.s, word)) {
        fail_msg("%s \"%s\" instead of %s with \"%s\" for\n%s",
                 mcx_err_name(got), text.s, mcx_err_name(err), word, xml);
    }
    assert_null(out);
    assert_int_equal(n, 0);
    assert_int_equal(said.key_id[0], 0);
}

static void
edit_refused(const char *from, const char *to, mcx_err err, const char *word)
{
    char *xml = edit(sreq, from, to);

    refused_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, err, word);
    free(xml);
}

/* The text between two marks of 'xml', malloc'ed. */
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
    size_t i;

    (void)state;
    env = *mcx_env_system();
    env.log = no_log;
    memset(&info, 0, sizeof info);
    (void)snprintf(info.uri, sizeof info.uri, "%s", KMS);
    (void)snprintf(set.user_uri, sizeof set.user_uri, "%s", USER);
    set.period_no = 1536;
    for (i = 0; i < sizeof set.rsk.b; i++) {
        set.rsk.b[i] = i ? (uint8_t)i : 0x04;
    }
    memset(set.ssk.b, 0x5a, sizeof set.ssk.b);
    memset(set.pvt, 0xa5, sizeof set.pvt);
    set.pvt[0] = 0x04;
    assert_int_equal(mcx_tkeys_new(&keys, USER, 1, &env), MCX_OK);
    assert_int_equal(mcx_tkeys_new(&others, USER, 2, &env), MCX_OK);
    assert_int_equal(mcx_kms_request_write(&req, &req_n, &r), MCX_OK);
    assert_int_equal(mcx_kms_sign(&sreq, &sreq_n, mcx_bytes(req, req_n),
                                  &keys, true), MCX_OK);
    assert_int_equal(mcx_kms_write_keyprov(&resp, &resp_n, &doc, &info, &set,
                                           1), MCX_OK);
    assert_int_equal(mcx_kms_sign(&sresp, &sresp_n,
                                  mcx_bytes(resp, resp_n), &keys, false),
                     MCX_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    mcx_kms_text_free(req, req_n);
    mcx_kms_text_free(sreq, sreq_n);
    mcx_kms_text_free(resp, resp_n);
    mcx_kms_text_free(sresp, sresp_n);
    return 0;
}

/* ---- signatures -------------------------------------------------------- */

static void
there_and_back(void **state)
{
    struct mcx_kms_request *r = calloc(1, sizeof *r);
    struct mcx_kms_reply *reply = calloc(1, sizeof *reply);
    struct mcx_kms_expect e = { .what = MCX_KMS_KEYPROV, .user_uri = USER,
                                .kms_uri = KMS, .client_req_url = URL,
                                .window_ms = -1 };
    struct mcx_kms_signed said;
    char *out;
    size_t n;

    (void)state;
    assert_non_null(r);
    assert_non_null(reply);
    assert_true(mcx_kms_is_signed(mcx_bytes(sreq, sreq_n), 65536));
    assert_false(mcx_kms_is_signed(mcx_bytes(req, req_n), 65536));
    assert_int_equal(verify_with(&keys, sreq, MCX_KMS_SIGNED_REQUEST, &out,
                                 &n, &said), MCX_OK);
    assert_string_equal(said.key_id, keys.ink.id);
    assert_string_equal(said.trk_id, keys.trk.id);
    assert_int_equal(strlen(out), n);
    assert_int_equal(mcx_kms_request_read(r, mcx_bytes(out, n), &text),
                     MCX_OK);
    assert_string_equal(r->user_uri, USER);
    assert_string_equal(r->client_req_url, URL);
    mcx_kms_text_free(out, n);

    assert_int_equal(verify_with(&keys, sresp, MCX_KMS_SIGNED_RESPONSE, &out,
                                 &n, &said), MCX_OK);
    assert_string_equal(said.trk_id, "");
    assert_int_equal(mcx_kms_reply_read(reply, mcx_bytes(out, n), &e, &text),
                     MCX_OK);
    assert_int_equal(reply->n_sets, 1);
    assert_int_equal(reply->set[0].period_no, 1536);
    mcx_kms_text_free(out, n);
    free(r);
    free(reply);
}

/* Without an InK the TrK signs. */
static void
trk_signs(void **state)
{
    struct mcx_tkeys only = keys;
    struct mcx_kms_signed said;
    char *xml, *out;
    size_t xml_n, n;

    (void)state;
    memset(&only.ink, 0, sizeof only.ink);
    assert_int_equal(mcx_kms_sign(&xml, &xml_n, mcx_bytes(req, req_n), &only,
                                  false), MCX_OK);
    assert_int_equal(verify_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, &out, &n,
                                 &said), MCX_OK);
    assert_string_equal(said.key_id, keys.trk.id);
    mcx_kms_text_free(out, n);
    mcx_kms_text_free(xml, xml_n);
    memset(&only.trk, 0, sizeof only.trk);
    assert_int_equal(mcx_kms_sign(&xml, &xml_n, mcx_bytes(req, req_n), &only,
                                  false), MCX_E_ARG);
    assert_int_equal(mcx_kms_sign(&xml, &xml_n, mcx_bytes_str("<a/>"), &keys,
                                  false), MCX_E_ARG);
    assert_int_equal(mcx_kms_sign(&xml, &xml_n, mcx_bytes_str("<KmsRequest"),
                                  &keys, false), MCX_E_ARG);
}

static void
other_content(void **state)
{
    (void)state;
    edit_refused("<UserUri>" USER, "<UserUri>sip:eve@mc.example.net",
                 MCX_E_AUTH, "digest");
    edit_refused("<Time>2", "<Time>3", MCX_E_AUTH, "digest");
    edit_refused("Version=\"1.1.0\"", "Version=\"1.1.1\"", MCX_E_AUTH,
                 "digest");
    edit_refused("<KeyName>ink.1", "<KeyName>ink.9", MCX_E_POLICY,
                 "different keys");
    refused_with(&others, sreq, MCX_KMS_SIGNED_REQUEST, MCX_E_NO_KEY,
                 "do not know");
    refused_with(&keys, sreq, MCX_KMS_SIGNED_RESPONSE, MCX_E_POLICY,
                 "not signed");
    refused_with(&keys, sresp, MCX_KMS_SIGNED_REQUEST, MCX_E_POLICY,
                 "not signed");
}

static void
wrong_key(void **state)
{
    struct mcx_tkeys lying = keys;

    (void)state;
    lying.ink.key.b[31] ^= 1;
    refused_with(&lying, sreq, MCX_KMS_SIGNED_REQUEST, MCX_E_AUTH,
                 "signature is wrong");
}

/* Every octet of the HMAC counts, the first and the last as well. */
static void
each_octet(void **state)
{
    char *value = cut(sreq, "<SignatureValue>", "</SignatureValue>");
    char *xml = strdup(sreq), *at;
    size_t i, n = strlen("<SignatureValue>");

    (void)state;
    assert_non_null(xml);
    at = strstr(xml, "<SignatureValue>") + n;
    for (i = 0; i < 43; i++) {
        char was = at[i];

        /* Bits that base64 drops at the end must be zero: keep them so. */
        at[i] = was == 'A' ? 'E' : 'A';
        refused_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, MCX_E_AUTH, "");
        at[i] = was;
    }
    at[40] = '<';
    free(xml);
    xml = edit(sreq, value, "<SignatureValue>AAAA</SignatureValue>");
    refused_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, MCX_E_AUTH,
                 "32 octets");
    free(xml);
    free(value);
}

static void
stripped(void **state)
{
    char *sig = cut(sreq, "<Signature ", "</Signature>");
    size_t room = 2 * strlen(sig) + 32;
    char *twice = malloc(room), *xml;
    struct mcx_kms_signed said;
    char *out;
    size_t n;

    (void)state;
    assert_non_null(twice);
    (void)snprintf(twice, room, "%s%s", sig, sig);
    edit_refused(sig, "", MCX_E_POLICY, "missing");
    edit_refused(sig, twice, MCX_E_POLICY, "something else than one");
    edit_refused(sig, "<Signature/>", MCX_E_POLICY, "something else");
    refused_with(&keys, req, MCX_KMS_SIGNED_REQUEST, MCX_E_POLICY,
                 "not signed");
    /* Before the message, and inside it. */
    xml = edit(sreq, sig, "");
    (void)snprintf(twice, room, "%s<KmsRequest ", sig);
    out = edit(xml, "<KmsRequest ", twice);
    refused_with(&keys, out, MCX_KMS_SIGNED_REQUEST, MCX_E_MALFORMED,
                 "begin with");
    free(out);
    (void)snprintf(twice, room, "%s</KmsRequest>", sig);
    out = edit(xml, "</KmsRequest>", twice);
    refused_with(&keys, out, MCX_KMS_SIGNED_REQUEST, MCX_E_POLICY,
                 "missing");
    free(out);
    free(xml);
    (void)snprintf(twice, room, "%s<UserUri>", sig);
    edit_refused("<UserUri>", twice, MCX_E_POLICY, "more than one Signature");
    /* White space between them is nothing. */
    xml = edit(sreq, "</Signature>", "</Signature>\n \t\n");
    assert_int_equal(verify_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, &out, &n,
                                 &said), MCX_OK);
    mcx_kms_text_free(out, n);
    free(xml);
    free(sig);
    free(twice);
}

/* The signed element moved away, another one in its place. */
static void
wrapping_attack(void **state)
{
    char *good = cut(sreq, "<KmsRequest ", "</KmsRequest>");
    char *evil = edit(good, "ada@", "eve@"), *bare, *xml, *both;
    size_t room = 4 * strlen(sreq);

    (void)state;
    both = malloc(room);
    assert_non_null(both);
    /* Same Id twice, both orders. */
    (void)snprintf(both, room, "%s<Old>%s</Old>", evil, good);
    edit_refused(good, both, MCX_E_POLICY, "something else than one");
    /* The good one hidden inside the evil one. */
    bare = edit(evil, "Id=\"request\" ", "");
    xml = edit(bare, "</UserUri>", "</UserUri><Old>");
    free(bare);
    (void)snprintf(both, room, "%s", good);
    bare = edit(evil, "Id=\"request\" ", "");
    free(xml);
    xml = edit(bare, "</KmsRequest>", good);
    (void)snprintf(both, room, "%s</KmsRequest>", xml);
    edit_refused(good, both, MCX_E_POLICY, "another element");
    free(xml);
    xml = edit(evil, "</KmsRequest>", good);
    (void)snprintf(both, room, "%s</KmsRequest>", xml);
    edit_refused(good, both, MCX_E_POLICY, "more than one element");
    free(xml);
    /* The good one hidden in an Object or the KeyInfo. */
    xml = edit(sreq, good, bare);
    (void)snprintf(both, room, "</KeyInfo><Object>%s</Object>", good);
    free(bare);
    bare = edit(xml, "</KeyInfo>", both);
    refused_with(&keys, bare, MCX_KMS_SIGNED_REQUEST, MCX_E_POLICY,
                 "something else than SignedInfo");
    free(bare);
    (void)snprintf(both, room, "<KeyInfo>%s", good);
    bare = edit(xml, "<KeyInfo>", both);
    refused_with(&keys, bare, MCX_KMS_SIGNED_REQUEST, MCX_E_POLICY,
                 "KeyInfo holds");
    free(bare);
    free(xml);
    /* xml:id, and other spellings. */
    edit_refused("<SignedKmsRequest ", "<SignedKmsRequest xml:id=\"request\" ",
                 MCX_E_POLICY, "more than one element");
    edit_refused("<SignedKmsRequest ", "<SignedKmsRequest ID=\"request\" ",
                 MCX_E_POLICY, "more than one element");
    free(good);
    free(evil);
    free(both);
}

static void
algorithms(void **state)
{
    (void)state;
    edit_refused("xmldsig-more#hmac-sha256", "xmldsig-more#hmac-sha512",
                 MCX_E_POLICY, "HMAC-SHA-256");
    edit_refused("xmldsig-more#hmac-sha256\"/>",
                 "xmldsig-more#hmac-sha256\"><HMACOutputLength>8"
                 "</HMACOutputLength></SignatureMethod>",
                 MCX_E_POLICY, "shortened");
    edit_refused("http://www.w3.org/2001/04/xmlenc#sha256",
                 "http://www.w3.org/2000/09/xmldsig#sha1", MCX_E_POLICY,
                 "SHA-256");
    edit_refused("REC-xml-c14n-20010315", "REC-xml-c14n-19990101",
                 MCX_E_POLICY, "inclusive C14N");
    edit_refused("URI=\"#request\"", "URI=\"\"", MCX_E_POLICY, "Id of this");
    edit_refused("URI=\"#request\"", "", MCX_E_POLICY, "Id of this");
    edit_refused("URI=\"#request\"", "URI=\"file:///etc/passwd\"",
                 MCX_E_POLICY, "Id of this");
    edit_refused("URI=\"#request\"", "URI=\"#xpointer(/)\"", MCX_E_POLICY,
                 "Id of this");
    edit_refused("URI=\"#request\"", "URI=\"#nobody\"", MCX_E_POLICY,
                 "another element");
    edit_refused("<DigestMethod", "<Transforms><Transform Algorithm=\""
                 "http://www.w3.org/TR/1999/REC-xslt-19991116\"/>"
                 "</Transforms><DigestMethod", MCX_E_POLICY, "transform");
    edit_refused("<DigestMethod", "<Transforms><Transform Algorithm=\""
                 "http://www.w3.org/TR/1999/REC-xpath-19991116\"><XPath>1"
                 "</XPath></Transform></Transforms><DigestMethod",
                 MCX_E_POLICY, "transform");
    edit_refused("</Reference>", "</Reference><Reference URI=\"#request\">"
                 "<DigestMethod Algorithm=\"x\"/></Reference>", MCX_E_POLICY,
                 "one Reference");
    edit_refused("</DigestValue>", "x</DigestValue>", MCX_E_AUTH,
                 "DigestValue is not");
    edit_refused("</DigestValue>", "</DigestValue><DigestValue/>",
                 MCX_E_MALFORMED, "one DigestValue");
    edit_refused("</KeyName>", "</KeyName><RetrievalMethod/>", MCX_E_POLICY,
                 "KeyInfo");
    edit_refused("<SignatureValue>", "<SignatureValue>x<y/>", MCX_E_AUTH,
                 "32 octets");
    edit_refused("xmlns=\"http://www.w3.org/2000/09/xmldsig#\"",
                 "xmlns=\"urn:other\"", MCX_E_POLICY, "something else");
    edit_refused("<Signature ", "<!-- x --><Signature ", MCX_E_POLICY,
                 "something else");
    edit_refused("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
                 "<!DOCTYPE a [<!ATTLIST a Id ID #IMPLIED>]>",
                 MCX_E_MALFORMED, "DOCTYPE");
}

static void
truncated(void **state)
{
    size_t i, step = sreq_n / 97 + 1;

    (void)state;
    for (i = 0; i < sreq_n - 2; i += step) {
        struct mcx_kms_verifier v = { MCX_KMS_SIGNED_REQUEST, find, &keys };
        struct mcx_kms_signed said;
        char *part = strndup(sreq, i), *out;
        size_t n;

        assert_non_null(part);
        assert_int_equal(mcx_kms_verify(&out, &n, mcx_bytes(part, i), &v,
                                        &said, &text), MCX_E_MALFORMED);
        assert_null(out);
        assert_int_not_equal(text.s[0], 0);
        free(part);
    }
}

/* A comment in signed text is no part of what was signed without comments, so
 * what comes out has none: reader and signer see the same. */
static void
comments(void **state)
{
    char *xml = edit(sreq, "sip:ada@mc", "sip:ada<!-- x -->@mc");
    struct mcx_kms_signed said;
    char *out;
    size_t n;

    (void)state;
    assert_int_equal(verify_with(&keys, xml, MCX_KMS_SIGNED_REQUEST, &out, &n,
                                 &said), MCX_OK);
    assert_null(strstr(out, "<!--"));
    assert_non_null(strstr(out, "<UserUri>" USER "</UserUri>"));
    mcx_kms_text_free(out, n);
    free(xml);
}

/* Signed certificates bring signatures of their own. */
static void
certificate_signature(void **state)
{
    static const char plain[] = "<KmsResponse xmlns=\"" NS "\" Id=\"r\">"
        "<KmsMessage><KmsInit><SignedKmsCertificate><KmsCertificate/>"
        "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/>"
        "</SignedKmsCertificate></KmsInit></KmsMessage></KmsResponse>";
    struct mcx_kms_signed said;
    char *xml, *out;
    size_t xml_n, n;

    (void)state;
    assert_int_equal(mcx_kms_sign(&xml, &xml_n, mcx_bytes_str(plain), &keys,
                                  false), MCX_OK);
    assert_int_equal(verify_with(&keys, xml, MCX_KMS_SIGNED_RESPONSE, &out,
                                 &n, &said), MCX_OK);
    mcx_kms_text_free(out, n);
    mcx_kms_text_free(xml, xml_n);
}

/* ---- xmlsec1's command as judge ---------------------------------------- */

static void
put(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Does the command say yes?  'command' has at most 15 words. */
static bool
xmlsec1(const char *command)
{
    char line[512], *argv[16], *save = NULL;
    size_t n = 0;
    int status = -1;
    pid_t pid;

    (void)snprintf(line, sizeof line, "xmlsec1 %s", command);
    for (argv[n] = strtok_r(line, " ", &save); argv[n] && n < 15;) {
        argv[++n] = strtok_r(NULL, " ", &save);
    }
    argv[n] = NULL;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        if (null >= 0) {
            (void)dup2(null, 1);
            (void)dup2(null, 2);
        }
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
have_xmlsec1(void)
{
    return xmlsec1("--version");
}

/* Files of this process, in the build folder. */
static const char *
file(const char *suffix)
{
    static char names[4][64];
    static unsigned at;
    char *s = names[at++ % 4];

    (void)snprintf(s, sizeof names[0], "test_kms_sign.%ld.%s",
                   (long)getpid(), suffix);
    return s;
}

static void
judged(void **state)
{
    char args[512], bad[MCX_KW_KEY_SIZE];

    (void)state;
    if (!have_xmlsec1()) {
        skip();
    }
    put(file("key"), keys.ink.key.b, MCX_KW_KEY_SIZE);
    put(file("xml"), sreq, sreq_n);
    (void)snprintf(args, sizeof args, "--verify --hmackey %s --id-attr:Id "
                   NS ":KmsRequest %s", file("key"), file("xml"));
    assert_true(xmlsec1(args));
    put(file("xml"), sresp, sresp_n);
    (void)snprintf(args, sizeof args, "--verify --hmackey %s --id-attr:Id "
                   NS ":KmsResponse %s", file("key"), file("xml"));
    assert_true(xmlsec1(args));
    memcpy(bad, keys.ink.key.b, sizeof bad);
    bad[0] ^= 1;
    put(file("key"), bad, sizeof bad);
    assert_false(xmlsec1(args));
    (void)unlink(file("key"));
    (void)unlink(file("xml"));
}

/* What the command signs, we take: our form, and the one seen in the field
 * with an enveloped signature over the outer element and no KeyInfo. */
static void
judging(void **state)
{
    static const char head[] = "<p:SignedKmsResponse xmlns:p=\"" NS "\"%s>\n"
        "<p:KmsResponse%s><p:UserUri>" USER "</p:UserUri><!-- c -->"
        "</p:KmsResponse>\n";
    static const char sig[] = "<ds:Signature xmlns:ds=\"http://www.w3.org/"
        "2000/09/xmldsig#\">\n <ds:SignedInfo>\n  "
        "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/"
        "REC-xml-c14n-20010315%s\"/>\n  <ds:SignatureMethod Algorithm=\""
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"/>\n  "
        "<ds:Reference URI=\"#it\">%s<ds:DigestMethod Algorithm=\"http://"
        "www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/>"
        "</ds:Reference>\n </ds:SignedInfo><ds:SignatureValue/>"
        "</ds:Signature>\n</p:SignedKmsResponse>\n";
    static const struct {
        const char *outer, *inner, *c14n, *transforms, *element;
        bool comment;
    } cases[] = {
        { "", " Id=\"it\"", "", "", "KmsResponse", false },
        { " Id=\"it\"", "", "#WithComments",
          "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/"
          "09/xmldsig#enveloped-signature\"/><ds:Transform Algorithm=\""
          "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments\"/>"
          "</ds:Transforms>", "SignedKmsResponse", false },
    };
    size_t i;

    (void)state;
    if (!have_xmlsec1()) {
        skip();
    }
    put(file("key"), keys.ink.key.b, MCX_KW_KEY_SIZE);
    for (i = 0; i < 2; i++) {
        char xml[4096], args[512], *out, *bad;
        struct mcx_kms_signed said;
        size_t n;
        FILE *f;

        n = (size_t)snprintf(xml, sizeof xml, head, cases[i].outer,
                             cases[i].inner);
        n += (size_t)snprintf(xml + n, sizeof xml - n, sig, cases[i].c14n,
                              cases[i].transforms);
        put(file("xml"), xml, n);
        (void)snprintf(args, sizeof args, "--sign --hmackey %s --id-attr:Id "
                       NS ":%s --output %s %s", file("key"),
                       cases[i].element, file("out"), file("xml"));
        assert_true(xmlsec1(args));
        f = fopen(file("out"), "rb");
        assert_non_null(f);
        n = fread(xml, 1, sizeof xml - 1, f);
        xml[n] = '\0';
        assert_int_equal(fclose(f), 0);
        assert_int_equal(verify_with(&keys, xml, MCX_KMS_SIGNED_RESPONSE,
                                     &out, &n, &said), MCX_OK);
        assert_string_equal(said.key_id, "");
        assert_non_null(strstr(out, USER));
        assert_null(strstr(out, "Signature"));
        mcx_kms_text_free(out, n);
        bad = edit(xml, "sip:ada", "sip:eve");
        refused_with(&keys, bad, MCX_KMS_SIGNED_RESPONSE, MCX_E_AUTH,
                     "digest");
        free(bad);
        refused_with(&others, xml, MCX_KMS_SIGNED_RESPONSE, MCX_E_AUTH,
                     "signature is wrong");
    }
    (void)unlink(file("key"));
    (void)unlink(file("xml"));
    (void)unlink(file("out"));
}

/* ---- key wrap ---------------------------------------------------------- */

static void
hex(uint8_t *out, const char *s)
{
    assert_int_equal(mcx_hex_decode(out, strlen(s) / 2, mcx_bytes_str(s),
                                    NULL), MCX_OK);
}

/* RFC 3394 4.3 and 4.6. */
static void
known_answers(void **state)
{
    struct mcx_kw_key kek;
    uint8_t plain[32], want[40], out[64], back[64];
    size_t n;

    (void)state;
    hex(kek.b, "000102030405060708090A0B0C0D0E0F"
               "101112131415161718191A1B1C1D1E1F");
    hex(plain, "00112233445566778899AABBCCDDEEFF"
               "000102030405060708090A0B0C0D0E0F");
    hex(want, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326"
              "CBC7F0E71A99F43BFB988B9B7A02DD21");
    assert_int_equal(mcx_kw_wrap(out, &n, &kek, MCX_KW_RFC3394,
                                 mcx_bytes(plain, 32), &env), MCX_OK);
    assert_int_equal(n, 40);
    assert_memory_equal(out, want, 40);
    assert_int_equal(mcx_kw_unwrap(back, &n, &kek, MCX_KW_RFC3394,
                                   mcx_bytes(out, 40)), MCX_OK);
    assert_int_equal(n, 32);
    assert_memory_equal(back, plain, 32);
    hex(want, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7");
    assert_int_equal(mcx_kw_wrap(out, &n, &kek, MCX_KW_RFC3394,
                                 mcx_bytes(plain, 16), &env), MCX_OK);
    assert_memory_equal(out, want, 24);
}

/* RFC 5649 3 and 4.1 once more, from AES alone. */
static void
padded_by_hand(uint8_t *out, size_t *out_n, const struct mcx_kw_key *key,
               const uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    uint8_t b[16] = { 0xa6, 0x59, 0x59, 0xa6 };
    size_t blocks = (n + 7) / 8, i;
    int j, len;

    assert_non_null(aes);
    assert_int_equal(EVP_EncryptInit_ex(aes, EVP_aes_256_ecb(), NULL, key->b,
                                        NULL), 1);
    memset(out, 0, 8 + blocks * 8);
    memcpy(out + 8, p, n);
    b[6] = (uint8_t)(n >> 8);
    b[7] = (uint8_t)n;
    for (j = 0; j < 6; j++) {
        for (i = 1; i <= blocks; i++) {
            uint8_t e[32];
            size_t t = blocks * (size_t)j + i;

            if (blocks == 1) {
                break;
            }
            memcpy(b + 8, out + 8 * i, 8);
            assert_int_equal(EVP_EncryptUpdate(aes, e, &len, b, 16), 1);
            memcpy(b, e, 8);
            memcpy(out + 8 * i, e + 8, 8);
            b[7] ^= (uint8_t)t;
            b[6] ^= (uint8_t)(t >> 8);
        }
    }
    if (blocks == 1) {
        memcpy(b + 8, out + 8, 8);
        assert_int_equal(EVP_EncryptUpdate(aes, out, &len, b, 16), 1);
    } else {
        memcpy(out, b, 8);
    }
    *out_n = 8 + blocks * 8;
    EVP_CIPHER_CTX_free(aes);
}

static void
padded(void **state)
{
    static const size_t sizes[] = { 1, 7, 8, 9, 16, 20, 32, 64, 65, 256, 257,
                                    514 };
    uint8_t plain[514], want[560], out[560], back[560];
    size_t i, k, n, want_n;

    (void)state;
    assert_int_equal(env.random(env.ctx, plain, sizeof plain), MCX_OK);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct mcx_bytes p = mcx_bytes(plain, sizes[i]);

        padded_by_hand(want, &want_n, &keys.trk.key, plain, sizes[i]);
        assert_int_equal(mcx_kw_wrap(out, &n, &keys.trk.key, MCX_KW_RFC5649,
                                     p, &env), MCX_OK);
        assert_int_equal(n, want_n);
        assert_memory_equal(out, want, n);
        assert_int_equal(mcx_kw_unwrap(back, &k, &keys.trk.key,
                                       MCX_KW_RFC5649, mcx_bytes(out, n)),
                         MCX_OK);
        assert_int_equal(k, sizes[i]);
        assert_memory_equal(back, plain, k);
        assert_int_equal(mcx_kw_unwrap(back, &k, &others.trk.key,
                                       MCX_KW_RFC5649, mcx_bytes(out, n)),
                         MCX_E_AUTH);
        out[n - 1] ^= 1;
        assert_int_equal(mcx_kw_unwrap(back, &k, &keys.trk.key,
                                       MCX_KW_RFC5649, mcx_bytes(out, n)),
                         MCX_E_AUTH);
        assert_int_equal(k, 0);
    }
    assert_int_equal(mcx_kw_wrap(out, &n, &keys.trk.key, MCX_KW_RFC3394,
                                 mcx_bytes(plain, 257), &env), MCX_E_ARG);
    assert_int_equal(mcx_kw_wrap(out, &n, &keys.trk.key, MCX_KW_RFC5649,
                                 mcx_bytes(plain, 0), &env), MCX_E_ARG);
    for (n = 0; n < 40; n++) {
        for (i = MCX_KW_RFC3394; i <= MCX_KW_GCM; i++) {
            assert_int_equal(mcx_kw_unwrap(back, &k, &keys.trk.key,
                                           (enum mcx_kw_form)i,
                                           mcx_bytes(plain, n)),
                             MCX_E_AUTH);
        }
    }
}

/* ---- wrapped documents ------------------------------------------------- */

static char *
wrapped(enum mcx_kms_form form, const struct mcx_tkeys *fresh)
{
    char *out;
    size_t n;

    assert_int_equal(mcx_kms_wrap(&out, &n, mcx_bytes(resp, resp_n),
                                  &keys.trk, form, fresh, &env), MCX_OK);
    assert_int_equal(strlen(out), n);
    return out;
}

static void
open_refused(const char *xml, const struct mcx_tkey *trk, mcx_err err,
             const char *word)
{
    struct mcx_tkeys fresh;
    char *out;
    size_t n;
    mcx_err got = mcx_kms_unwrap(&out, &n, mcx_bytes_str(xml), trk, true,
                                 &fresh, &text);

    if (got != err || !strstr(text.s, word)) {
        fail_msg("%s \"%s\" instead of %s with \"%s\" for\n%s",
                 mcx_err_name(got), text.s, mcx_err_name(err), word, xml);
    }
    assert_null(out);
    assert_int_equal(fresh.trk.id[0], 0);
    assert_int_equal(fresh.ink.id[0], 0);
}

static void
wrap_edit_refused(enum mcx_kms_form form, const char *from, const char *to,
                  mcx_err err, const char *word)
{
    char *w = wrapped(form, &others), *xml = edit(w, from, to);

    open_refused(xml, &keys.trk, err, word);
    free(xml);
    free(w);
}

/* Every form leads back to the document that was wrapped, key for key. */
static void
forms(void **state)
{
    int form;

    (void)state;
    for (form = MCX_KMS_FORM_PADDED; form <= MCX_KMS_FORM_NESTED; form++) {
        static const char *const names[] = { "UserDecryptKey",
                                             "UserSigningKeySSK",
                                             "UserPubTokenPVT" };
        struct mcx_tkeys fresh;
        char *w = wrapped((enum mcx_kms_form)form, &others), *out;
        size_t n, i;

        assert_null(strstr(w, "5A5A5A5A"));
        assert_null(strstr(w, "A5A5A5A5"));
        assert_null(strstr(w, "0102030405"));
        assert_int_equal(mcx_kms_unwrap(&out, &n, mcx_bytes_str(w), &keys.trk,
                                        true, &fresh, &text), MCX_OK);
        for (i = 0; i < 3; i++) {
            char from[64], to[64], *was, *is;

            (void)snprintf(from, sizeof from, "<%s xsi:type=\"KeyContentType"
                           "\">", names[i]);
            (void)snprintf(to, sizeof to, "</%s>", names[i]);
            was = cut(resp, from, to);
            (void)snprintf(from, sizeof from, "<%s>", names[i]);
            is = cut(out, from, to);
            assert_string_equal(strchr(was, '>'), strchr(is, '>'));
            free(was);
            free(is);
        }
        assert_null(strstr(out, "Encrypted"));
        assert_null(strstr(out, "NewTransportKey"));
        assert_string_equal(fresh.trk.id, others.trk.id);
        assert_string_equal(fresh.ink.id, others.ink.id);
        assert_memory_equal(fresh.trk.key.b, others.trk.key.b, 32);
        assert_memory_equal(fresh.ink.key.b, others.ink.key.b, 32);
        mcx_tkeys_wipe(&fresh);
        mcx_kms_text_free(out, n);
        free(w);
    }
}

static void
wrong_wraps(void **state)
{
    char *w;
    int form;

    (void)state;
    for (form = MCX_KMS_FORM_PADDED; form <= MCX_KMS_FORM_NESTED; form++) {
        char *at;
        struct mcx_tkey renamed = others.trk;

        /* One digit of each CipherValue. */
        w = wrapped((enum mcx_kms_form)form, &others);
        for (at = strstr(w, "<CipherValue>"); at;
             at = strstr(at + 1, "<CipherValue>")) {
            char *digit = at + strlen("<CipherValue>") + 3, was = *digit;

            *digit = was == 'A' ? 'B' : 'A';
            open_refused(w, &keys.trk, MCX_E_AUTH, "integrity value");
            *digit = was;
        }
        open_refused(w, &others.trk, MCX_E_NO_KEY, "KeyName");
        memcpy(renamed.id, keys.trk.id, sizeof renamed.id);
        open_refused(w, &renamed, MCX_E_AUTH, "integrity value");
        free(w);
    }
    open_refused(resp, &keys.trk, MCX_E_POLICY, "not wrapped");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "xmlenc#kw-aes256",
                      "xmlenc#kw-aes128", MCX_E_UNSUPPORTED, "kw-aes256");
    wrap_edit_refused(MCX_KMS_FORM_NESTED, "xmlenc#kw-aes256",
                      "xmlenc#rsa-1_5", MCX_E_UNSUPPORTED, "kw-aes256");
    wrap_edit_refused(MCX_KMS_FORM_NESTED, "aes256-gcm", "aes256-cbc",
                      MCX_E_UNSUPPORTED, "aes256-gcm");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "<CipherValue>",
                      "<CipherValue>*", MCX_E_MALFORMED, "base64");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "<CipherData>",
                      "<CipherData><CipherValue/>", MCX_E_MALFORMED,
                      "exactly one");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "</EncryptedKey>",
                      "</EncryptedKey><EncryptedKey/>", MCX_E_MALFORMED,
                      "something else");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "<CarriedKeyName>trk",
                      "<CarriedKeyName>t k", MCX_E_MALFORMED,
                      "CarriedKeyName");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "<CarriedKeyName>ink",
                      "<CarriedKeyName>trk", MCX_E_MALFORMED,
                      "CarriedKeyName");
    wrap_edit_refused(MCX_KMS_FORM_PADDED, "</NewTransportKey>",
                      "</NewTransportKey><NewTransportKey>00"
                      "</NewTransportKey>", MCX_E_POLICY, "not wrapped");
    /* The SSK where the RSK should be. */
    w = wrapped(MCX_KMS_FORM_PADDED, NULL);
    {
        char *ssk = cut(w, "<EncryptedKey", "</EncryptedKey>");
        char *at = strstr(w, "<UserSigningKeySSK"), *rest, *xml;
        char *other = cut(at, "<EncryptedKey", "</EncryptedKey>");

        rest = edit(w, ssk, other);
        open_refused(rest, &keys.trk, MCX_E_MALFORMED, "length");
        xml = edit(rest, "<KmsResponse", "<KmsRespons");
        open_refused(xml, &keys.trk, MCX_E_MALFORMED, "");
        free(xml);
        free(rest);
        free(ssk);
        free(other);
    }
    free(w);
}

/* As one KMS in the field has it: EncryptedData, CipherValue in hexadecimal,
 * and in it the key as hexadecimal text, padded. */
static void
field_form(void **state)
{
    struct mcx_tkeys fresh;
    uint8_t bin[600];
    char digits[2 * MCX_SSK_SIZE + 1], value[1300], enc[2000], *xml, *out;
    char *was = cut(resp, "<UserSigningKeySSK xsi:type=\"KeyContentType\">",
                    "</UserSigningKeySSK>");
    size_t n;

    (void)state;
    memset(digits, 0, sizeof digits);
    memcpy(digits, strchr(was, '>') + 1, sizeof digits - 1);
    assert_int_equal(mcx_kw_wrap(bin, &n, &keys.trk.key, MCX_KW_RFC5649,
                                 mcx_bytes_str(digits), &env), MCX_OK);
    assert_int_equal(mcx_hex_encode(value, sizeof value, mcx_bytes(bin, n)),
                     MCX_OK);
    (void)snprintf(enc, sizeof enc, "<UserSigningKeySSK xmlns:x=\"http://"
                   "www.w3.org/2001/04/xmlenc#\"><x:EncryptedData Type=\"x\">"
                   "<x:EncryptionMethod Algorithm=\"http://www.w3.org/2001/"
                   "04/xmlenc#kw-aes256\"/><x:CipherData><x:CipherValue>\n%s\n"
                   "</x:CipherValue></x:CipherData></x:EncryptedData>"
                   "</UserSigningKeySSK>", value);
    xml = edit(resp, was, enc);
    assert_int_equal(mcx_kms_unwrap(&out, &n, mcx_bytes_str(xml), &keys.trk,
                                    false, &fresh, &text), MCX_OK);
    assert_non_null(strstr(out, digits));
    mcx_kms_text_free(out, n);
    free(xml);
    free(was);
}

/* ---- the lines in which keys are handed over --------------------------- */

static void
lines(void **state)
{
    char out[MCX_TKEYS_TEXT_MAX], more[MCX_TKEYS_TEXT_MAX + 200];
    static const struct { const char *s, *word; } bad[] = {
        { "", "no line" },
        { "ink a 00", "64 hex" },
        { "trk", "ID" },
        { "trk a b c", "64 hex" },
        { "trk a<b 00", "ID is not" },
        { "tok a 00", "expected" },
        { "trk a 000102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f x", "64 hex" },
        { "trk a 000102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f\n"
          "ink a 000102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f\n", "same ID" },
        { "trk a 000102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f\ntrk b 00", "second" },
    };
    struct mcx_tkeys back;
    size_t n, i;

    (void)state;
    assert_int_equal(mcx_tkeys_write(out, &n, &keys), MCX_OK);
    (void)snprintf(more, sizeof more, "# keys of ada\r\n\n%s", out);
    assert_int_equal(mcx_tkeys_read(&back, mcx_bytes_str(more), &text),
                     MCX_OK);
    assert_memory_equal(&back, &keys, sizeof back);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mcx_tkeys_read(&back, mcx_bytes_str(bad[i].s),
                                        &text), MCX_E_CONFIG);
        if (!strstr(text.s, bad[i].word)) {
            fail_msg("\"%s\" for \"%s\"", text.s, bad[i].s);
        }
        assert_int_equal(back.trk.id[0], 0);
    }
    mcx_wipe(out, sizeof out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(trk_signs),
        cmocka_unit_test(other_content),
        cmocka_unit_test(wrong_key),
        cmocka_unit_test(each_octet),
        cmocka_unit_test(stripped),
        cmocka_unit_test(wrapping_attack),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(truncated),
        cmocka_unit_test(comments),
        cmocka_unit_test(certificate_signature),
        cmocka_unit_test(judged),
        cmocka_unit_test(judging),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(padded),
        cmocka_unit_test(forms),
        cmocka_unit_test(wrong_wraps),
        cmocka_unit_test(field_form),
        cmocka_unit_test(lines),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
