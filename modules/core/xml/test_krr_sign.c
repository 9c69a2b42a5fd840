/* test_krr_sign.c -- signatures of KMS redirect responses: ours are taken, by
 * us and by the xmlsec1 command; changed, moved, stripped and foreign ones,
 * and those of certificates for somebody else, are refused. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sofia-mcx/mcx_kms.h>

#define ENTITY "sip:pf@mcx.test"
#define DSIG "http://www.w3.org/2000/09/xmldsig#"

static const int64_t NOW = 1796072400;

/* ---- certificates ------------------------------------------------------ */

struct id {
    EVP_PKEY *key;
    X509 *cert;
    char cert_pem[4096], key_pem[2048];
};
static struct id ca, pf, other, rsa, server, ended, stranger;

static void
pem_of(char *out, size_t room, BIO *bio)
{
    int n = BIO_read(bio, out, (int)room - 1);

    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(bio);
}

static void
extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* 'by' NULL: by itself. */
static void
make(struct id *id, const struct id *by, const char *san, const char *usage,
     int64_t until, bool is_rsa)
{
    X509_NAME *name;
    BIO *bio;

    id->key = is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    id->cert = X509_new();
    assert_true(id->key && id->cert);
    X509_set_version(id->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), 7);
    ASN1_TIME_set(X509_getm_notBefore(id->cert), NOW - 86400);
    ASN1_TIME_set(X509_getm_notAfter(id->cert), until);
    name = X509_get_subject_name(id->cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)(by ? "leaf" : san), -1,
                               -1, 0);
    X509_set_issuer_name(id->cert,
                         X509_get_subject_name(by ? by->cert : id->cert));
    X509_set_pubkey(id->cert, id->key);
    if (by) {
        extension(id->cert, NID_subject_alt_name, san);
        if (usage) {
            extension(id->cert, NID_key_usage, usage);
        }
    } else {
        extension(id->cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    assert_true(X509_sign(id->cert, by ? by->key : id->key, EVP_sha256()));
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, id->cert), 1);
    pem_of(id->cert_pem, sizeof id->cert_pem, bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0,
                                              NULL, NULL), 1);
    pem_of(id->key_pem, sizeof id->key_pem, bio);
}

static int
setup(void **state)
{
    const int64_t later = NOW + 86400;

    (void)state;
    make(&ca, NULL, "ca", NULL, later, false);
    make(&stranger, NULL, "stranger", NULL, later, false);
    make(&pf, &ca, "URI:sip:x@y,URI:" ENTITY, "digitalSignature", later,
         false);
    make(&other, &ca, "URI:" ENTITY ".evil,DNS:pf.mcx.test", NULL, later,
         false);
    make(&rsa, &ca, "URI:" ENTITY, NULL, later, true);
    make(&server, &ca, "URI:" ENTITY, "keyAgreement", later, false);
    make(&ended, &ca, "URI:" ENTITY, NULL, NOW - 10, false);
    return 0;
}

static int
teardown(void **state)
{
    struct id *all[] = { &ca, &pf, &other, &rsa, &server, &ended, &stranger };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->cert);
    }
    return 0;
}

/* ---- documents --------------------------------------------------------- */

static struct mcx_text text;

static char *
plain(size_t *n)
{
    static const struct mcx_krr krr = {
        .initiator = "sip:alice@mcx.test", .receiver = ENTITY,
        .rejected_kms = "kms.x", .entity = ENTITY, .n_kms = 2,
        .kms = { "kms.y", "kms.z" }
    };
    char *xml = NULL;

    assert_int_equal(mcx_krr_write(&xml, n, &krr), MCX_OK);
    return xml;
}

static char *
made(const struct id *id, size_t *n)
{
    size_t plain_n;
    char *xml = plain(&plain_n), *out = NULL;

    assert_int_equal(mcx_krr_sign(&out, n, mcx_bytes(xml, plain_n),
                                  mcx_bytes_str(id->cert_pem),
                                  mcx_bytes_str(id->key_pem)), MCX_OK);
    mcx_kms_text_free(xml, plain_n);
    return out;
}

static mcx_err
verify(const char *xml, size_t n, int64_t now)
{
    text.s[0] = '\0';
    return mcx_krr_verify(mcx_bytes(xml, n), ENTITY,
                          mcx_bytes_str(ca.cert_pem), now, &text);
}

static void
good(void **state)
{
    struct mcx_krr *krr = malloc(sizeof *krr);
    size_t n;
    char *xml = made(&pf, &n);

    (void)state;
    assert_non_null(krr);
    assert_int_equal(mcx_krr_read(krr, mcx_bytes(xml, n), &text), MCX_OK);
    assert_true(krr->has_signature);
    assert_int_equal(krr->n_kms, 2);
    free(krr);
    if (verify(xml, n, NOW) != MCX_OK) {
        fail_msg("%s", text.s);
    }
    /* Trusted is who is named, not whoever is there. */
    assert_int_equal(mcx_krr_verify(mcx_bytes(xml, n), ENTITY,
                                    mcx_bytes_str(pf.cert_pem), NOW, &text),
                     MCX_E_AUTH);
    assert_int_equal(mcx_krr_verify(mcx_bytes(xml, n), ENTITY,
                                    mcx_bytes_str(stranger.cert_pem), NOW,
                                    &text), MCX_E_AUTH);
    assert_int_equal(mcx_krr_verify(mcx_bytes(xml, n), ENTITY,
                                    mcx_bytes_str("junk"), NOW, &text),
                     MCX_E_CONFIG);
    assert_int_equal(mcx_krr_verify(mcx_bytes(xml, n), "sip:pf@mcx.tes",
                                    mcx_bytes_str(ca.cert_pem), NOW, &text),
                     MCX_E_AUTH);
    assert_int_equal(verify(xml, n, NOW + 90000), MCX_E_AUTH);
    assert_int_equal(verify(xml, n, NOW - 90000), MCX_E_AUTH);
    mcx_kms_text_free(xml, n);
}

static void
write_file(const char *path, const char *s, size_t n)
{
    assert_int_equal(mcx_env_system()->write_file(NULL, path,
                                                  mcx_bytes(s, n), 0600),
                     MCX_OK);
}

static bool
xmlsec1(const char *ca_path, const char *xml_path)
{
    pid_t pid = fork();
    int status = 1;

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        if (null >= 0) {
            (void)dup2(null, 1);
            (void)dup2(null, 2);
        }
        (void)execlp("xmlsec1", "xmlsec1", "--verify", "--id-attr:Id",
                     "KmsRedirectResponse", "--trusted-pem", ca_path,
                     "--verification-time", "2026-12-01 12:00:00", xml_path,
                     (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A second reading, by a command that is none of ours. */
static void
by_xmlsec1(void **state)
{
    char dir[] = "krr-sign.XXXXXX", path[64], ca_path[64];
    size_t n;
    char *xml = made(&pf, &n), *kms;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/krr.xml", dir);
    snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    write_file(path, xml, n);
    write_file(ca_path, ca.cert_pem, strlen(ca.cert_pem));
    assert_true(xmlsec1(ca_path, path));
    kms = strstr(xml, "kms.z");
    assert_non_null(kms);
    kms[4] = 'w';
    write_file(path, xml, n);
    assert_false(xmlsec1(ca_path, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(ca_path), 0);
    assert_int_equal(rmdir(dir), 0);
    mcx_kms_text_free(xml, n);
}

static void
wrong_certificates(void **state)
{
    static const struct id *const bad[] = { &other, &server, &ended,
                                            &stranger };
    size_t n, plain_n;
    char *xml, *out = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        xml = made(bad[i], &n);
        assert_int_equal(verify(xml, n, NOW), MCX_E_AUTH);
        mcx_kms_text_free(xml, n);
    }
    /* The key of one and the certificate of another. */
    xml = plain(&plain_n);
    assert_int_equal(mcx_krr_sign(&out, &n, mcx_bytes(xml, plain_n),
                                  mcx_bytes_str(pf.cert_pem),
                                  mcx_bytes_str(other.key_pem)), MCX_OK);
    assert_int_equal(verify(out, n, NOW), MCX_E_AUTH);
    mcx_kms_text_free(out, n);
    /* An RSA key signs nothing here. */
    assert_int_equal(mcx_krr_sign(&out, &n, mcx_bytes(xml, plain_n),
                                  mcx_bytes_str(rsa.cert_pem),
                                  mcx_bytes_str(rsa.key_pem)), MCX_E_CONFIG);
    assert_int_equal(mcx_krr_sign(&out, &n, mcx_bytes(xml, plain_n),
                                  mcx_bytes_str("junk"),
                                  mcx_bytes_str(pf.key_pem)), MCX_E_CONFIG);
    assert_int_equal(mcx_krr_sign(&out, &n, mcx_bytes(xml, plain_n - 4),
                                  mcx_bytes_str(pf.cert_pem),
                                  mcx_bytes_str(pf.key_pem)), MCX_E_ARG);
    assert_null(out);
    assert_int_equal(verify(xml, plain_n, NOW), MCX_E_POLICY);
    assert_non_null(strstr(text.s, "not signed"));
    mcx_kms_text_free(xml, plain_n);
}

/* Replaces 'from' by 'to', once. */
static char *
changed(const char *xml, const char *from, const char *to)
{
    const char *at = strstr(xml, from);
    size_t room = strlen(xml) + strlen(to) + 1;
    char *out = malloc(room);

    assert_non_null(at);
    assert_non_null(out);
    snprintf(out, room, "%.*s%s%s", (int)(at - xml), xml, to,
             at + strlen(from));
    return out;
}

static void
changes(void **state)
{
    static const struct {
        const char *from, *to;
        mcx_err err;
    } rows[] = {
        { "kms.z", "kms.w", MCX_E_AUTH },
        { "kms.x", "kms.v", MCX_E_AUTH },
        { "sip:alice", "sip:alicf", MCX_E_AUTH },
        { "  <KmsUriList>", "   <KmsUriList>", MCX_E_AUTH },
        { "<KmsUri>kms.z</KmsUri>", "", MCX_E_AUTH },
        { "Version=\"1.0.0\"", "Version=\"1.0.1\"", MCX_E_AUTH },
        { "Id=\"krr\"", "Id=\"krs\"", MCX_E_POLICY },
        { "URI=\"#krr\"", "URI=\"#x\"", MCX_E_POLICY },
        { "URI=\"#krr\"", "URI=\"\"", MCX_E_AUTH },
        { "URI=\"#krr\"", "", MCX_E_POLICY },
        { "URI=\"#krr\"", "URI=\"http://x/\"", MCX_E_POLICY },
        { "<KmsUriList>", "<KmsUriList Id=\"krr\">", MCX_E_POLICY },
        { "<Signature xmlns=\"" DSIG "\">",
          "<Signature xmlns=\"" DSIG "\"/><Signature xmlns=\"" DSIG "\">",
          MCX_E_POLICY },
        { "</Signature>", "</Signature><x/>", MCX_E_POLICY },
        { "ecdsa-sha256", "hmac-sha256", MCX_E_POLICY },
        { "ecdsa-sha256", "ecdsa-sha1", MCX_E_POLICY },
        { "xmlenc#sha256", "xmlenc#sha512", MCX_E_POLICY },
        { "<Transform Algorithm=\"" DSIG "enveloped-signature\"/>", "",
          MCX_E_POLICY },
        { "enveloped-signature", "base64", MCX_E_POLICY },
        { "<Transforms>",
          "<Transforms><Transform Algorithm=\"http://www.w3.org/TR/1999/"
          "REC-xslt-19991116\"/>", MCX_E_POLICY },
        { "</Reference>",
          "</Reference><Reference URI=\"\"/>", MCX_E_POLICY },
        { "<X509Certificate>", "<X509Certificate>A", MCX_E_AUTH },
        { "<X509Data>", "<KeyName>k</KeyName><X509Data>", MCX_E_POLICY },
        { "<SignatureValue>", "<SignatureValue>AAAA", MCX_E_AUTH },
        { "<DigestValue>", "<DigestValue>A", MCX_E_AUTH },
        { "<SignedInfo>", "<SignedInfo Id=\"i\">", MCX_E_AUTH },
        { "</KmsUriList>",
          "</KmsUriList><n:New xmlns:n=\"urn:n\">1</n:New>", MCX_E_AUTH },
    };
    size_t n;
    char *xml = made(&pf, &n), *bad;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mcx_err err;

        bad = changed(xml, rows[i].from, rows[i].to);
        err = verify(bad, strlen(bad), NOW);
        if (err != rows[i].err) {
            fail_msg("row %zu: %s: %s", i, mcx_err_name(err), text.s);
        }
        free(bad);
    }
    /* Wrapped: what was signed moves into a document that says otherwise. */
    bad = changed(xml, "<KmsRedirectResponse xmlns=\"" MCX_NS_KRR "\" "
                  "Id=\"krr\" Version=\"1.0.0\">",
                  "<KmsRedirectResponse xmlns=\"" MCX_NS_KRR "\" Id=\"a\">"
                  "<KmsRedirectResponse Id=\"krr\" Version=\"1.0.0\">");
    free(xml);
    xml = changed(bad, "<Signature", "</KmsRedirectResponse><Signature");
    free(bad);
    assert_int_equal(verify(xml, strlen(xml), NOW), MCX_E_POLICY);
    free(xml);
}

/* Every octet replaced, left out, or followed by what XML makes disappear:
 * either it is refused, or the reader reads what was signed. */
static void
every_octet(void **state)
{
    static const char swap[] = { '<', '&', '"', ' ', 'A', '#', (char)0xff };
    static const char *const insert[] = {
        " ", "<!---->", "<?x y?>", "<![CDATA[]]>", "<x/>",
        "<x xmlns='urn:x'/>", " xml:id=\"krr\"", "&#32;", "A"
    };
    struct mcx_krr *want = malloc(sizeof *want), *got = malloc(sizeof *got);
    unsigned n_same = 0, n_refused = 0;
    size_t n, i, k;
    char *xml = made(&pf, &n), *b = malloc(n + 64);

    (void)state;
    assert_true(want && got && b);
    assert_int_equal(mcx_krr_read(want, mcx_bytes(xml, n), &text), MCX_OK);
    for (i = 0; i < n; i++) {
        for (k = 0; k < sizeof swap + 2 + sizeof insert / sizeof *insert;
             k++) {
            size_t len = n, more;

            memcpy(b, xml, n);
            if (k < sizeof swap) {
                b[i] = swap[k];
            } else if (k == sizeof swap) {
                b[i] = (char)(xml[i] ^ 1);
            } else if (k == sizeof swap + 1) {
                memmove(b + i, xml + i + 1, n - i - 1);
                len = n - 1;
            } else {
                const char *piece = insert[k - sizeof swap - 2];

                more = strlen(piece);
                memcpy(b + i, piece, more);
                memcpy(b + i + more, xml + i, n - i);
                len = n + more;
            }
            /* In the order of the glue: read, then verified. */
            if (mcx_krr_read(got, mcx_bytes(b, len), &text) != MCX_OK
                || verify(b, len, NOW) != MCX_OK) {
                n_refused++;
                continue;
            }
            n_same++;
            if (memcmp(want, got, sizeof *want) != 0) {
                fail_msg("octet %zu, kind %zu: read what was not signed:\n"
                         "%.*s", i, k, (int)len, b);
            }
        }
    }
    assert_true(n_same > 10);
    assert_true(n_refused > 10 * n_same);
    mcx_kms_text_free(xml, n);
    free(b);
    free(want);
    free(got);
}

/* The signed document in every place of a forged one. */
static void
every_place(void **state)
{
    static const char *const places[] = {
        "<InitiatorUri>", "<EntityUri>", "<KmsUriList>", "<KmsUri>",
        "</KmsUriList>", "<Signature ", "<SignedInfo>", "<Reference ",
        "<DigestMethod ", "<SignatureValue>", "<KeyInfo>", "<X509Data>",
        "</X509Data>", "</Signature>", "</KmsRedirectResponse>"
    };
    static const char *const wraps[][2] = {
        { "", "" },
        { "<Object xmlns=\"" DSIG "\">", "</Object>" },
        { "<x xmlns=\"urn:x\">", "</x>" },
    };
    static const char *const ids[] = { "Id=\"krr\"", "Id=\"other\"", "",
                                       "ID=\"krr\"", "xml:id=\"krr\"" };
    static const char *const uris[] = { "URI=\"#krr\"", "URI=\"\"",
                                        "URI=\"#other\"", "" };
    static char piece[16384];
    size_t n;
    char *xml = made(&pf, &n), *start = strstr(xml, "<KmsRedirect");
    struct mcx_krr *krr = malloc(sizeof *krr);

    (void)state;
    assert_non_null(start);
    assert_non_null(krr);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char *named = changed(start, "Id=\"krr\"", ids[i]);
        char *evil = changed(named, "kms.z", "kms.evil");

        for (size_t u = 0; u < sizeof uris / sizeof *uris; u++) {
            char *base = changed(evil, "URI=\"#krr\"", uris[u]);

            for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
                for (size_t w = 0; w < 3; w++) {
                    char *doc;

                    snprintf(piece, sizeof piece, "%s%s%s%s", wraps[w][0],
                             start, wraps[w][1], places[p]);
                    doc = changed(base, places[p], piece);
                    if (mcx_krr_read(krr, mcx_bytes_str(doc), &text) == MCX_OK
                        && verify(doc, strlen(doc), NOW) == MCX_OK) {
                        fail_msg("taken: Id %zu, URI %zu, place %zu, wrap "
                                 "%zu:\n%s", i, u, p, w, doc);
                    }
                    free(doc);
                }
            }
            free(base);
        }
        free(evil);
        free(named);
    }
    free(krr);
    mcx_kms_text_free(xml, n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(by_xmlsec1),
        cmocka_unit_test(wrong_certificates),
        cmocka_unit_test(changes),
        cmocka_unit_test(every_octet),
        cmocka_unit_test(every_place),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
