/* test_kms_reply.c -- answers are judged before anything is taken of them:
 * each thing that an answer must say, one off, missing and doubled; what key
 * sets announce; KmsError; and what mcx_kms_load_only() lets in. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_kms.h>

#define USER "sip:ada@mc.example.net"
#define OTHER "sip:bob@mc.example.net"
#define KMS "kms.example.net"
#define URL "https://kms.example.net/keymanagement/identity/v1/keyprov"
#define NOW INT64_C(1796072400000)

static struct mcx_kms_expect
expected(enum mcx_kms_what what)
{
    struct mcx_kms_expect e = { .what = what, .user_uri = USER,
                                .kms_uri = KMS, .client_req_url = URL,
                                .now_unix_ms = NOW, .window_ms = 60000 };

    return e;
}

static mcx_err
judge(const char *xml, const struct mcx_kms_expect *e,
      struct mcx_kms_reply *out, struct mcx_text *text)
{
    return mcx_kms_reply_read(out, mcx_bytes_str(xml), e, text);
}

/* An answer made of the given parts. */
static const char *
answer(const char *head, const char *message)
{
    static char xml[8192];

    (void)snprintf(xml, sizeof xml, "<KmsResponse xmlns=\"urn:3gpp:ns:"
                   "mcsecKMSInterface:1.0\">%s%s</KmsResponse>", head,
                   message);
    return xml;
}

#define HEAD_(user, kms, time, url)                                           \
    "<UserUri>" user "</UserUri><KmsUri>" kms "</KmsUri><Time>" time          \
    "</Time><ClientReqUrl>" url "</ClientReqUrl>"
#define GOOD HEAD_(USER, KMS, "2026-11-30T21:00:10Z", URL)
#define EMPTY "<KmsMessage><KmsKeyProv/></KmsMessage>"

static void
heads(void **state)
{
    static const struct {
        const char *head;
        mcx_err err;
    } rows[] = {
        { GOOD, MCX_OK },
        { HEAD_(USER, KMS, "2026-11-30T21:01:00Z", URL), MCX_OK },
        { HEAD_(USER, KMS, "2026-11-30T20:59:00Z", URL), MCX_OK },
        { HEAD_(USER, KMS, "2026-11-30T21:01:01Z", URL), MCX_E_SKEW },
        { HEAD_(USER, KMS, "2026-11-30T20:58:59Z", URL), MCX_E_SKEW },
        { HEAD_(USER, KMS, "yesterday", URL), MCX_E_MALFORMED },
        { HEAD_(OTHER, KMS, "2026-11-30T21:00:10Z", URL), MCX_E_AUTH },
        { HEAD_(USER "x", KMS, "2026-11-30T21:00:10Z", URL), MCX_E_AUTH },
        { HEAD_(USER, "KMS.example.net", "2026-11-30T21:00:10Z", URL),
          MCX_E_AUTH },
        { HEAD_(USER, KMS, "2026-11-30T21:00:10Z", URL "/"), MCX_E_AUTH },
        { HEAD_("", KMS, "2026-11-30T21:00:10Z", URL), MCX_E_MALFORMED },
        { HEAD_("<x/>", KMS, "2026-11-30T21:00:10Z", URL), MCX_E_MALFORMED },
        { GOOD "<UserUri>" USER "</UserUri>", MCX_E_MALFORMED },
        { GOOD "<KmsUri>" KMS "</KmsUri>", MCX_E_MALFORMED },
        { GOOD "<Time>2026-11-30T21:00:10Z</Time>", MCX_E_MALFORMED },
        { GOOD "<ClientReqUrl>" URL "</ClientReqUrl>", MCX_E_MALFORMED },
        { GOOD EMPTY, MCX_E_MALFORMED }, /* a second KmsMessage */
        { "<KmsUri>" KMS "</KmsUri><Time>2026-11-30T21:00:10Z</Time>"
          "<ClientReqUrl>" URL "</ClientReqUrl>", MCX_E_MALFORMED },
        { "", MCX_E_MALFORMED },
    };
    struct mcx_kms_expect e = expected(MCX_KMS_KEYPROV);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcx_kms_reply out;
        struct mcx_text text;
        mcx_err err = judge(answer(rows[i].head, EMPTY), &e, &out, &text);

        if (err != rows[i].err) {
            fail_msg("row %zu: %s, %s", i, mcx_err_name(err), text.s);
        }
        assert_int_equal(text.s[0] != '\0', err != MCX_OK);
        assert_int_equal(out.what,
                         err == MCX_OK ? MCX_KMS_KEYPROV : MCX_KMS_ANY);
    }
    /* A stored answer: neither when nor which question. */
    e.client_req_url = NULL;
    e.window_ms = -1;
    assert_int_equal(judge(answer(HEAD_(USER, KMS, "2020-01-01T00:00:00Z",
                                        "x:y"), EMPTY),
                           &e, &(struct mcx_kms_reply){ 0 }, NULL), MCX_OK);
}

static void
messages(void **state)
{
    static const struct {
        const char *message;
        enum mcx_kms_what asked;
        mcx_err err;
    } rows[] = {
        { EMPTY, MCX_KMS_KEYPROV, MCX_OK },
        { EMPTY, MCX_KMS_ANY, MCX_OK },
        { EMPTY, MCX_KMS_INIT, MCX_E_POLICY },
        { "<KmsMessage><KmsInit/></KmsMessage>", MCX_KMS_KEYPROV,
          MCX_E_POLICY },
        { "<KmsMessage/>", MCX_KMS_KEYPROV, MCX_E_POLICY },
        { "<KmsMessage><KmsInit/><KmsKeyProv/></KmsMessage>",
          MCX_KMS_KEYPROV, MCX_E_MALFORMED },
        { "<KmsMessage><KmsKeyProv/><KmsKeyProv/></KmsMessage>",
          MCX_KMS_KEYPROV, MCX_E_MALFORMED },
        { "", MCX_KMS_KEYPROV, MCX_E_MALFORMED },
        { "<KmsMessage><KmsCertCache CacheNum=\"17\"/></KmsMessage>",
          MCX_KMS_CERTCACHE, MCX_OK },
        { "<KmsMessage><KmsCertCache CacheNum=\"x\"/></KmsMessage>",
          MCX_KMS_CERTCACHE, MCX_E_MALFORMED },
        { "<KmsMessage><KmsCertCache CacheNum=\"99999999999999999999\"/>"
          "</KmsMessage>", MCX_KMS_CERTCACHE, MCX_E_MALFORMED },
        { "<KmsError><ErrorCode>7</ErrorCode><ErrorMsg>go\n away</ErrorMsg>"
          "</KmsError>", MCX_KMS_KEYPROV, MCX_E_PEER },
        { "<KmsError><ErrorCode>x</ErrorCode></KmsError>", MCX_KMS_KEYPROV,
          MCX_E_MALFORMED },
        { "<KmsError/>", MCX_KMS_KEYPROV, MCX_E_MALFORMED },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcx_kms_expect e = expected(rows[i].asked);
        struct mcx_kms_reply out;
        struct mcx_text text;
        mcx_err err = judge(answer(GOOD, rows[i].message), &e, &out, &text);

        if (err != rows[i].err) {
            fail_msg("row %zu: %s, %s", i, mcx_err_name(err), text.s);
        }
        if (err == MCX_E_PEER) {
            assert_int_equal(out.error_code, 7);
            assert_string_equal(out.error_msg, "go? away");
        }
        if (rows[i].asked == MCX_KMS_CERTCACHE && err == MCX_OK) {
            assert_true(out.has_cache_num);
            assert_int_equal(out.cache_num, 17);
        }
    }
}

static void
roots(void **state)
{
    struct mcx_kms_expect e = expected(MCX_KMS_KEYPROV);
    struct mcx_kms_reply out;
    struct mcx_text text;
    char *big = malloc(MCX_KMS_XML_MAX + 2);

    (void)state;
    assert_non_null(big);
    memset(big, ' ', MCX_KMS_XML_MAX + 1);
    big[MCX_KMS_XML_MAX + 1] = '\0';
    assert_int_equal(judge(big, &e, &out, &text), MCX_E_TOOBIG);
    free(big);
    assert_int_equal(judge("<KmsRequest/>", &e, &out, &text),
                     MCX_E_MALFORMED);
    assert_int_equal(judge("<html>", &e, &out, &text), MCX_E_MALFORMED);
    assert_int_equal(judge("", &e, &out, &text), MCX_E_MALFORMED);
    assert_int_equal(judge("<SignedKmsResponse/>", &e, &out, &text),
                     MCX_E_MALFORMED);
    assert_int_equal(judge("<SignedKmsResponse><KmsResponse>" GOOD EMPTY
                           "</KmsResponse></SignedKmsResponse>", &e, &out,
                           &text), MCX_OK);
    assert_int_equal(judge("<!DOCTYPE a [<!ENTITY b \"c\">]><KmsResponse>"
                           GOOD EMPTY "</KmsResponse>", &e, &out, &text),
                     MCX_E_MALFORMED);
}

static void
announced(void **state)
{
#define SET(user, rest)                                                       \
    "<KmsKeySet><KmsUri>" KMS "</KmsUri><UserUri>" user "</UserUri>" rest     \
    "</KmsKeySet>"
    struct mcx_kms_expect e = expected(MCX_KMS_KEYPROV);
    struct mcx_kms_reply out;
    struct mcx_text text;

    (void)state;
    assert_int_equal(
        judge(answer(GOOD, "<KmsMessage><KmsKeyProv>"
                     SET(USER, "<KeyPeriodNo>8</KeyPeriodNo>")
                     SET(OTHER, "<KeyPeriodNo>9</KeyPeriodNo>")
                     SET(USER, "<KeyPeriodNo>x</KeyPeriodNo>")
                     SET(USER, "<KeyPeriodNo>10</KeyPeriodNo><Revoked>true"
                         "</Revoked><ValidTo>2026-12-01T00:00:00Z</ValidTo>")
                     "</KmsKeyProv></KmsMessage>"), &e, &out, &text),
        MCX_OK);
    assert_int_equal(out.n_sets, 2);
    assert_int_equal(out.set[0].period_no, 8);
    assert_int_equal(out.set[0].valid_to_unix, 0);
    assert_false(out.set[0].revoked);
    assert_int_equal(out.set[1].period_no, 10);
    assert_int_equal(out.set[1].valid_to_unix, 1796083200);
    assert_true(out.set[1].revoked);
#undef SET
}

static bool
none(void *arg, const struct mcx_kms_info *info)
{
    ++*(unsigned *)arg;
    assert_string_equal(info->uri, KMS);
    return false;
}

/* Certificates are passed over, other users' sets refused one by one, and a
 * key comes out of the ring again. */
static void
only(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    struct mcx_kms_doc doc = { .user_uri = USER, .kms_uri = KMS,
                               .client_req_url = URL,
                               .time_unix_ms = NOW };
    struct mcx_kms_info info = { .uri = KMS, .period = { .length_s = 3600 },
                                 .root = true };
    struct mcx_kms_keyset *sets = calloc(2, sizeof *sets);
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    static const char *const users[] = { OTHER, USER };
    struct mcx_kms_master *master;
    struct mcx_user_key *key;
    struct mcx_kms_loaded loaded;
    struct mcx_ring *ring;
    struct mcx_text text;
    unsigned asked = 0;
    struct mcx_kms_only own = { .user_uri = USER, .kms_uri = KMS };
    struct mcx_kms_only no_cert = { .cert = none, .arg = &asked };
    struct mcx_kms_only else_kms = { .user_uri = USER, .kms_uri = "k" };
    char *xml;
    size_t n, i;

    (void)state;
    assert_non_null(sets);
    assert_int_equal(mcx_ring_new(&ring, env), MCX_OK);
    assert_int_equal(mcx_kms_master_new(&master, NULL, env), MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    assert_int_equal(mcx_kms_write_init(&xml, &n, &doc, &info, z, kpak),
                     MCX_OK);
    assert_int_equal(mcx_kms_load_only(ring, mcx_bytes(xml, n), "init",
                                       &no_cert, env, &loaded, &text),
                     MCX_OK);
    assert_int_equal(asked, 1);
    assert_int_equal(loaded.n_kms, 0);
    mcx_ring_count(ring, &n, NULL);
    assert_int_equal(n, 0);
    n = strlen(xml);
    assert_int_equal(mcx_kms_load_only(ring, mcx_bytes(xml, n), "init", &own,
                                       env, &loaded, &text), MCX_OK);
    assert_int_equal(loaded.n_kms, 1);
    mcx_kms_text_free(xml, n);
    for (i = 0; i < 2; i++) {
        (void)snprintf(sets[i].user_uri, sizeof sets[i].user_uri, "%s",
                       users[i]);
        sets[i].period_no = 77;
        assert_int_equal(mcx_uid(&sets[i].uid, mcx_bytes_str(users[i]),
                                 mcx_bytes_str(KMS), &info.period, 77),
                         MCX_OK);
        assert_int_equal(mcx_kms_master_issue(
                             master, mcx_bytes(sets[i].uid.b, MCX_UID_SIZE),
                             &sets[i].rsk, &sets[i].ssk, sets[i].pvt, env),
                         MCX_OK);
    }
    assert_int_equal(mcx_kms_write_keyprov(&xml, &n, &doc, &info, sets, 2),
                     MCX_OK);
    assert_int_equal(mcx_kms_load_only(ring, mcx_bytes(xml, n), "keys",
                                       &else_kms, env, &loaded, &text),
                     MCX_E_AUTH);
    assert_int_equal(loaded.n_users, 0);
    assert_int_equal(mcx_kms_load_only(ring, mcx_bytes(xml, n), "keys", &own,
                                       env, &loaded, &text), MCX_E_AUTH);
    assert_non_null(strstr(text.s, OTHER));
    assert_int_equal(loaded.n_users, 1);
    assert_false(mcx_ring_has_user(ring, OTHER));
    assert_int_equal(mcx_ring_user(ring, USER, 77, &key), MCX_OK);
    mcx_user_key_free(key);
    mcx_ring_drop_user(ring, USER, KMS, 76);
    mcx_ring_drop_user(ring, USER, "k", 77);
    mcx_ring_drop_user(ring, OTHER, KMS, 77);
    assert_true(mcx_ring_has_user(ring, USER));
    mcx_ring_drop_user(ring, USER, KMS, 77);
    assert_false(mcx_ring_has_user(ring, USER));
    mcx_ring_drop_user(ring, USER, KMS, 77);
    mcx_kms_text_free(xml, n);
    mcx_wipe(sets, 2 * sizeof *sets);
    free(sets);
    mcx_kms_master_free(master);
    mcx_ring_free(ring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(messages),
        cmocka_unit_test(roots),
        cmocka_unit_test(announced),
        cmocka_unit_test(only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
