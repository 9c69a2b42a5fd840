/* test_redirect.c -- a KMS redirect response that was good once, used again:
 * for another message, later, for somebody else.  The whole of redirect.c,
 * with signatures and files as they are; what it asks of the rest of the glue
 * is answered here. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sofia-sip/sip.h>
#include "sofia/glue.h"

#define SELF "sip:alice@mcx.test"
#define PEER "sip:bob@mcx.test"
#define OTHER_KMS "other.test"
#define KMS "kms.mcx.test" /* the one whose certificate is TEST_KMS */

static const int64_t NOW_S = 1796072400, DAY = 86400;

/* ---- the rest of the glue ---------------------------------------------- */

static struct mcx_env env;
static int64_t now_ms;
static mcx_t mcx;
static const char *unbound, *no_signature;
static char ca_path[64], cert_path[64], key_path[64];
static mcx_reason refused; /* MCX_R_COUNT: nothing was */

static int64_t
unix_ms(void *ctx)
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

const char *
mcx_setting(mcx_t *m, const char *section, const char *name)
{
    const struct {
        const char *name, *value;
    } rows[] = { { "redirect-ca", ca_path },
                 { "redirect-cert", cert_path },
                 { "redirect-key", key_path },
                 { "redirect-kms", "kms.a.test " KMS },
                 { "redirect-unbound", unbound },
                 { "redirect-unsigned", no_signature } };

    (void)m;
    (void)section;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].value;
        }
    }
    return NULL;
}

char *
mcxs_content_type(su_home_t *home, sip_t const *sip)
{
    (void)sip;
    return su_strdup(home, MCX_MIME_KRR);
}

void
mcxs_refused(mcx_t *m, enum mcx_area area, int status, mcx_err err,
             const struct mcx_why *why, const char *who)
{
    (void)m;
    (void)area;
    (void)who;
    assert_int_equal(status, 488);
    assert_int_not_equal(err, MCX_OK);
    refused = why->reason;
}

/* ---- who signs --------------------------------------------------------- */

static void
write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(cert ? PEM_write_X509(f, cert)
                          : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL,
                                                 NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static X509 *
certificate(const char *name, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
            int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509 *x = X509_new();

    assert_true(ext && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
    ASN1_TIME_set(X509_getm_notBefore(x), NOW_S - DAY);
    ASN1_TIME_set(X509_getm_notAfter(x), NOW_S + DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(ca ? ca : x));
    X509_set_pubkey(x, key);
    assert_int_equal(X509_add_ext(x, ext, -1), 1);
    assert_true(X509_sign(x, ca_key, EVP_sha256()));
    X509_EXTENSION_free(ext);
    return x;
}

static char dir[] = "redirect.XXXXXX";

static int
setup(void **state)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    struct mcx_kms_loaded loaded = { 0, 0 };
    struct mcx_text text = { "" };
    X509 *ca, *cert;
    char *xml = NULL;
    size_t n = 0;

    (void)state;
    assert_true(ca_key && key && mkdtemp(dir));
    snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    ca = certificate("ca", ca_key, NULL, ca_key, NID_basic_constraints,
                     "critical,CA:TRUE");
    cert = certificate("bob", key, ca, ca_key, NID_subject_alt_name,
                       "URI:" PEER);
    write_pem(ca_path, ca, NULL);
    write_pem(cert_path, cert, NULL);
    write_pem(key_path, NULL, key);
    X509_free(ca);
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    env = *mcx_env_system();
    env.unix_ms = unix_ms;
    env.log = no_log;
    now_ms = NOW_S * 1000;
    mcx.env = &env;
    mcx.host.table.self = SELF;
    mcx.host.table.psi = "sip:pf.mcx.test";
    mcxh_counters_init(&mcx.host.counters);
    assert_int_equal(mcx_ring_new(&mcx.host.table.ring, &env), MCX_OK);
    assert_int_equal(env.read_file(env.ctx, TEST_KMS, 65536, &xml, &n),
                     MCX_OK);
    if (mcx_kms_load(mcx.host.table.ring, mcx_bytes(xml, n), "kms.xml", &env,
                     &loaded, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
    mcx_kms_text_free(xml, n);
    if (mcxs_redirect_start(&mcx, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    mcxs_redirect_stop(&mcx);
    mcx_ring_free(mcx.host.table.ring);
    mcxh_counters_deinit(&mcx.host.counters);
    assert_int_equal(unlink(ca_path), 0);
    assert_int_equal(unlink(cert_path), 0);
    assert_int_equal(unlink(key_path), 0);
    return rmdir(dir);
}

/* ---- documents and requests -------------------------------------------- */

static const char FIRST[] = "the octets of an I_MESSAGE";
static const char SECOND[] = "the octets of another one.";

struct doc {
    const char *message; /* NULL: it does not say which */
    int64_t time_ms;     /* 0: it does not say when     */
    const char *initiator, *receiver;
    bool bare; /* without signature */
};

static char *
document(size_t *n, const struct doc *d)
{
    struct mcx_krr *krr = calloc(1, sizeof *krr);
    char *plain = NULL, *xml = NULL;
    size_t plain_n = 0;

    assert_non_null(krr);
    snprintf(krr->initiator, MCX_URI_MAX, "%s",
             d->initiator ? d->initiator : SELF);
    snprintf(krr->receiver, MCX_URI_MAX, "%s",
             d->receiver ? d->receiver : PEER);
    snprintf(krr->entity, MCX_URI_MAX, "%s", krr->receiver);
    snprintf(krr->rejected_kms, MCX_URI_MAX, OTHER_KMS);
    snprintf(krr->kms[krr->n_kms++], MCX_URI_MAX, KMS);
    krr->time_unix_ms = d->time_ms;
    if (d->message) {
        krr->bound = true;
        assert_int_equal(mcx_x509_digest(krr->message,
                                         mcx_bytes_str(d->message)), MCX_OK);
    }
    assert_int_equal(mcx_krr_write(&plain, &plain_n, krr), MCX_OK);
    free(krr);
    if (d->bare) {
        *n = plain_n;
        return plain;
    }
    assert_int_equal(mcx_krr_sign(&xml, n, mcx_bytes(plain, plain_n),
                                  mcx_bytes(mcx.krr_cert.p, mcx.krr_cert.n),
                                  mcx_bytes(mcx.krr_key.p, mcx.krr_key.n)),
                     MCX_OK);
    mcx_kms_text_free(plain, plain_n);
    return xml;
}

/* MCX_R_COUNT: it is obeyed.  The request carried 'message' to 'peer'. */
static mcx_reason
obey(const char *xml, size_t n, const char *message, const char *peer,
     bool in_sdp)
{
    sip_payload_t body = { .pl_data = (char *)(uintptr_t)xml,
                           .pl_len = (usize_t)n };
    sip_content_type_t type = { .c_type = MCX_MIME_KRR };
    sip_t sip = { .sip_content_type = &type, .sip_payload = &body };
    struct mcxs_out o = { .mcx = &mcx };
    char value[256] = "mikey ";
    int key = 0;
    bool obeyed;

    su_home_init(o.home);
    o.out.purpose = in_sdp ? MCX_FOR_CALL : MCX_FOR_DOWNLOAD;
    o.out.peer = peer;
    o.out.kms = OTHER_KMS;
    o.out.key = (struct mcx_key *)(void *)&key; /* there is one */
    if (in_sdp) {
        assert_int_equal(mcx_b64_encode(value + 6, sizeof value - 6,
                                        mcx_bytes_str(message)), MCX_OK);
        o.out.sdp_value = value;
    } else {
        o.out.part[0].type = (char *)(uintptr_t) "text/plain";
        o.out.part[0].body = (char *)(uintptr_t) "x";
        o.out.part[0].n = 1;
        o.out.part[1].type = (char *)(uintptr_t) "application/mikey";
        o.out.part[1].body = (char *)(uintptr_t)message;
        o.out.part[1].n = strlen(message);
        o.out.n_parts = 2;
    }
    refused = MCX_R_COUNT;
    mcxs_redirect_note(&o);
    obeyed = mcxs_redirect_obey(&o, &sip);
    assert_int_equal(obeyed, refused == MCX_R_COUNT);
    assert_string_equal(o.out.kms, obeyed ? KMS : OTHER_KMS);
    su_home_deinit(o.home);
    return refused;
}

static mcx_reason
try(const struct doc *d, const char *message)
{
    size_t n;
    char *xml = document(&n, d);
    mcx_reason r = obey(xml, n, message, PEER, false);

    mcx_kms_text_free(xml, n);
    return r;
}

/* ---- tests ------------------------------------------------------------- */

/* One document, kept: for another call, later, to another user. */
static void
replayed(void **state)
{
    const struct doc d = { .message = FIRST, .time_ms = NOW_S * 1000 };
    size_t n;
    char *xml = document(&n, &d);

    (void)state;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_COUNT);
    assert_int_equal(obey(xml, n, FIRST, PEER, true), MCX_R_COUNT);
    assert_int_equal(obey(xml, n, SECOND, PEER, false), MCX_R_REPLAYED);
    assert_int_equal(obey(xml, n, SECOND, PEER, true), MCX_R_REPLAYED);
    now_ms += 300000;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_COUNT);
    now_ms += 1;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_TOO_OLD);
    assert_int_equal(obey(xml, n, SECOND, PEER, false), MCX_R_REPLAYED);
    now_ms = NOW_S * 1000 - 300000;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_COUNT);
    now_ms -= 1;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_TOO_NEW);
    now_ms = NOW_S * 1000;
    /* The same message, but it went to somebody else. */
    assert_int_equal(obey(xml, n, FIRST, "sip:carol@mcx.test", false),
                     MCX_R_RESPONDER);
    mcx.host.table.self = "sip:dave@mcx.test";
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_INITIATOR);
    mcx.host.table.self = SELF;
    assert_int_equal(obey(xml, n, FIRST, PEER, false), MCX_R_COUNT);
    mcx_kms_text_free(xml, n);
}

/* What is not said: how it was before, and why that is not the default. */
static void
unsaid(void **state)
{
    struct doc d = { .message = NULL, .time_ms = 0 };

    (void)state;
    assert_int_equal(try(&d, FIRST), MCX_R_SIGNATURE);
    unbound = "yes";
    assert_int_equal(try(&d, FIRST), MCX_R_COUNT);
    assert_int_equal(try(&d, SECOND), MCX_R_COUNT); /* the attack */
    unbound = NULL;
    d.time_ms = now_ms;
    assert_int_equal(try(&d, FIRST), MCX_R_SIGNATURE);
    d.message = FIRST;
    assert_int_equal(try(&d, FIRST), MCX_R_COUNT);
    d.time_ms = 0;
    assert_int_equal(try(&d, FIRST), MCX_R_SIGNATURE);
    /* The setting forgives silence, not contradiction. */
    unbound = "yes";
    assert_int_equal(try(&d, FIRST), MCX_R_COUNT);
    assert_int_equal(try(&d, SECOND), MCX_R_REPLAYED);
    d.time_ms = now_ms - 300001;
    assert_int_equal(try(&d, FIRST), MCX_R_TOO_OLD);
    d.message = NULL;
    assert_int_equal(try(&d, FIRST), MCX_R_TOO_OLD);
    unbound = NULL;
}

static void
without_signature(void **state)
{
    struct doc d = { .message = FIRST, .time_ms = NOW_S * 1000,
                     .bare = true };

    (void)state;
    assert_int_equal(try(&d, FIRST), MCX_R_SIGNATURE);
    no_signature = "yes";
    assert_int_equal(try(&d, FIRST), MCX_R_COUNT);
    assert_int_equal(try(&d, SECOND), MCX_R_REPLAYED);
    d.time_ms = now_ms - 300001;
    assert_int_equal(try(&d, FIRST), MCX_R_TOO_OLD);
    d.time_ms = 0;
    d.message = NULL;
    assert_int_equal(try(&d, FIRST), MCX_R_COUNT);
    no_signature = NULL;
}

/* An old document made new: both elements are under the signature. */
static void
refreshed(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = { { "</Time>", " </Time>" },
                 { "2026-", "2027-" },
                 { "MessageDigest xmlns=\"" MCX_NS_KRR_MORE "\">",
                   "MessageDigest xmlns=\"" MCX_NS_KRR_MORE "\"> " },
                 { "<Time xmlns=\"" MCX_NS_KRR_MORE "\">",
                   "<Time xmlns=\"urn:x\">" } };
    const struct doc d = { .message = FIRST, .time_ms = NOW_S * 1000 };
    size_t n;
    char *xml = document(&n, &d);

    (void)state;
    unbound = "yes"; /* so that only the signature stands in the way */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *at = strstr(xml, rows[i].from), *bad = malloc(n + 64);

        assert_true(at && bad);
        snprintf(bad, n + 64, "%.*s%s%s", (int)(at - xml), xml, rows[i].to,
                 at + strlen(rows[i].from));
        now_ms += i == 1 ? DAY * 365 * 1000 : 0;
        if (obey(bad, strlen(bad), FIRST, PEER, false) != MCX_R_SIGNATURE) {
            fail_msg("row %zu: %u", i, (unsigned)refused);
        }
        now_ms = NOW_S * 1000;
        free(bad);
    }
    unbound = NULL;
    mcx_kms_text_free(xml, n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed),
        cmocka_unit_test(unsaid),
        cmocka_unit_test(without_signature),
        cmocka_unit_test(refreshed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
