/* test_kms_life.c -- the client from its first question to the end of its
 * keys, in stepped time and without a network: order of questions, renewal,
 * back-off, lies, revocation, ends, restarts; 24 hours of short periods with
 * random failures; and the spread of a fleet. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test_kms_kit.h"

enum { DAY_S = 86400 };

static char *
make_dir(void)
{
    static char dir[64];

    snprintf(dir, sizeof dir, "kms-life.XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static mcx_err
remove_one(void *arg, const char *name)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    assert_int_equal(unlink(path), 0);
    return MCX_OK;
}

static void
remove_dir(char *dir)
{
    assert_int_equal(mcx_env_system()->list_dir(NULL, dir, remove_one, dir),
                     MCX_OK);
    assert_int_equal(rmdir(dir), 0);
}

static void
write_text(const char *dir, const char *name, const char *s)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(mcx_env_system()->write_file(NULL, path,
                                                  mcx_bytes_str(s), 0600),
                     MCX_OK);
}

static void
set_path(struct kit *kit, const char *option, const char *dir,
         const char *name)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    kit_set(kit, option, path);
}

static void
started(struct kit *kit)
{
    struct mcx_text text = { "" };

    if (kit_start(kit, false, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
}

/* ---- schedule ---------------------------------------------------------- */

static void
schedule(void **state)
{
    struct mcx_period month = { .length_s = 2592000 };
    struct mcx_period five = { .length_s = 300, .offset_s = 7 };
    int64_t start = kms_start_ms(&month, 1500), ms;
    uint64_t no;

    (void)state;
    assert_true(kms_period_at(&no, &month, start));
    assert_int_equal(no, 1500);
    assert_true(kms_period_at(&no, &month, start - 1));
    assert_int_equal(no, 1499);
    assert_int_equal(kms_renew_at_ms(&month, 1500, 0) - start, 2073600000);
    ms = kms_renew_at_ms(&month, 1500, UINT32_MAX) - start;
    assert_true(ms > 2332000000 && ms <= 2332800000);
    ms = kms_renew_at_ms(&five, 9, 1u << 31) - kms_start_ms(&five, 9);
    assert_int_equal(ms, 255000);
    /* 5 s doubling to 15 min, up to a quarter less. */
    assert_int_equal(kms_backoff_ms(1, 2592000, 0), 5000);
    assert_int_equal(kms_backoff_ms(2, 2592000, 0), 10000);
    assert_int_equal(kms_backoff_ms(8, 2592000, 0), 640000);
    assert_int_equal(kms_backoff_ms(9, 2592000, 0), 900000);
    assert_int_equal(kms_backoff_ms(4000000000u, 0, 0), 900000);
    ms = kms_backoff_ms(9, 0, UINT32_MAX);
    assert_true(ms >= 675000 && ms < 676000);
    assert_int_equal(kms_backoff_ms(9, 300, 0), 15000);
    assert_int_equal(kms_backoff_ms(1, 20, 0), 1000);
}

/* Months of a KMS with monthly keys differ in length, and so does the time at
 * which their successors are asked for. */
static void
months(void **state)
{
    static const unsigned days[12] = { 31, 28, 31, 30, 31, 30,
                                       31, 31, 30, 31, 30, 31 };
    struct mcx_period months_ = { .length_s = 60, .months = true };
    int64_t start = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
    uint64_t no = 0;
    unsigned i;

    (void)state;
    for (i = 0; i < 12; i++) {
        int64_t length = (int64_t)days[i] * 86400000;

        assert_true(kms_period_at(&no, &months_, start));
        assert_int_equal(no, 126 * 12 + i);
        assert_true(kms_start_ms(&months_, no) == start);
        assert_true(kms_period_at(&no, &months_, start + length - 1));
        assert_int_equal(no, 126 * 12 + i);
        assert_true(kms_renew_at_ms(&months_, no, 0)
                    == start + length / 100 * 80);
        assert_true(kms_renew_at_ms(&months_, no, UINT32_MAX)
                    < start + length / 100 * 91);
        start += length;
    }
}

/* 10,000 clients: no minute of the day and a half or so in which more than
 * twice the mean arrive, at renewal and after an outage. */
static void
fleet(void **state)
{
    enum { N = 10000, BINS = 100 };
    struct mcx_period month = { .length_s = 2592000 };
    unsigned renew[BINS] = { 0 }, retry[BINS] = { 0 };
    int64_t start = kms_start_ms(&month, 1500) + 2073600000;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        uint32_t d;

        assert_int_equal(mcx_env_system()->random(NULL, &d, sizeof d),
                         MCX_OK);
        renew[(kms_renew_at_ms(&month, 1500, d) - start) * BINS
              / 259200001]++;
        retry[(kms_backoff_ms(9, 2592000, d) - 675000) * BINS / 225001]++;
    }
    for (unsigned i = 0; i < BINS; i++) {
        assert_in_range(renew[i], N / BINS / 2, N / BINS * 2);
        assert_in_range(retry[i], N / BINS / 2, N / BINS * 2);
    }
}

/* ---- the ordinary life ------------------------------------------------- */

static void
first_keys(void **state)
{
    struct kit kit;
    uint64_t no;

    (void)state;
    kit_new(&kit, 3600);
    started(&kit);
    no = kit_period(&kit);
    assert_int_equal(kit_n_keys(&kit), 0);
    kit_tick(&kit);
    assert_int_equal(kit.n_init, 1);
    assert_int_equal(kit.n_keys, 1);
    assert_string_equal(kit.last_url,
                        "https://localhost" KMS_ROOT_PATH "/keyprov");
    assert_true(kit_has(&kit, no));
    assert_int_equal(kit_n_keys(&kit), 1);
    assert_int_equal(kit.identities, 1);
    assert_int_equal(kit.grown, 1);
    assert_int_equal(kit.counted_requests, 2);
    assert_int_equal(kit.counted_failed, 0);
    /* Nothing more to ask until 80 %. */
    kit_step(&kit, 2879000);
    kit_tick(&kit);
    assert_int_equal(kit.counted_requests, 2);
    /* At 90 % everybody has asked, for the time that is meant. */
    kit_step(&kit, 361000);
    kit_tick(&kit);
    assert_int_equal(kit.counted_requests, 3);
    assert_true(kit_has(&kit, no + 1));
    assert_non_null(strstr(kit.last_url, "/keyprov/sip%3Aalice%40mcx.test/"));
    assert_int_equal(strlen(strrchr(kit.last_url, '/')), 17);
    /* The previous one is kept for a period, and then goes. */
    kit_step(&kit, 360000);
    kit_tick(&kit);
    assert_int_equal(kit_period(&kit), no + 1);
    assert_true(kit_has(&kit, no));
    kit_step(&kit, 3599000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    assert_true(kit_has(&kit, no + 2));
    kit_step(&kit, 1000);
    kit_tick(&kit);
    assert_false(kit_has(&kit, no));
    assert_true(kit_has(&kit, no + 1));
    assert_int_equal(kit_n_keys(&kit), 2);
    kit_no_secrets(&kit, NULL);
    kit_free(&kit);
}

/* A KMS that answers plainly without the present period is asked for it by
 * its time, at once, and then left in peace. */
static void
no_keys_yet(void **state)
{
    struct kit kit;

    (void)state;
    kit_new(&kit, 2592000);
    kit.lie = KIT_NO_KEYS;
    started(&kit);
    kit_tick(&kit);
    assert_int_equal(kit.n_keys, 2);
    assert_int_equal(kit.counted_failed, 1);
    kit_log_has(&kit, "the answer has no keys of period");
    kit_step(&kit, 3000);
    kit_tick(&kit);
    assert_int_equal(kit.n_keys, 2);
    kit.lie = KIT_TRUE;
    kit_step(&kit, 3000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    kit_free(&kit);
}

/* ---- refusals ---------------------------------------------------------- */

/* Each lie, told to somebody who has no keys, and to somebody who has: no key
 * more, no key less, and the truth afterwards is taken. */
static void
lies(void **state)
{
    (void)state;
    for (int lie = KIT_TRUE + 1; lie < KIT_LIES; lie++) {
        for (int later = 0; later < 2; later++) {
            struct kit kit;
            uint64_t no;

            if (later && lie == KIT_LIE_CERT) {
                continue; /* told in KmsInit only */
            }
            kit_new(&kit, 3600);
            started(&kit);
            no = kit_period(&kit);
            if (later) {
                kit_tick(&kit);
                assert_int_equal(kit_n_keys(&kit), 1);
                kit_step(&kit, 3300000);
            }
            kit.lie = (enum kit_lie)lie;
            kit_tick(&kit);
            if (kit_n_keys(&kit) != (size_t)later || kit_has(&kit, no + 1)
                || kit.counted_failed == 0) {
                fail_msg("lie %d: %zu keys, %u failures\n%s", lie,
                         kit_n_keys(&kit), kit.counted_failed, kit.log);
            }
            assert_int_equal(kit_has(&kit, no), later);
            assert_int_equal(kit.identities, later);
            if (lie != KIT_ERROR && lie != KIT_NO_KEYS) {
                assert_true(kit.counted_refused > 0);
            }
            kit.lie = KIT_TRUE;
            kit_step(&kit, 6000);
            kit_tick(&kit);
            assert_true(kit_has(&kit, later ? no + 1 : no));
            if (lie != KIT_ERROR && lie != KIT_NO_KEYS) {
                assert_non_null(strstr(kit.log, "failed"));
            }
            kit_no_secrets(&kit, NULL);
            kit_free(&kit);
        }
    }
}

/* What was refused is told the KMS with the next question, once. */
static void
client_error(void **state)
{
    struct kit kit;

    (void)state;
    kit_new(&kit, 3600);
    kit.lie = KIT_LIE_USER;
    started(&kit);
    kit_tick(&kit);
    assert_false(kit.last.has_error);
    kit.lie = KIT_LIE_CERT;
    kit_step(&kit, 6000);
    kit_tick(&kit);
    assert_true(kit.last.has_error);
    assert_string_equal(kit.last.error_msg, mcx_err_text(MCX_E_AUTH));
    kit.lie = KIT_TRUE;
    kit_step(&kit, 11000);
    kit_tick(&kit);
    assert_false(kit.last.has_error); /* the second of two */
    assert_true(kit_has(&kit, kit_period(&kit)));
    kit_free(&kit);
}

/* A bad set beside a good one costs the bad one only. */
static void
one_bad_set(void **state)
{
    struct kit kit;
    uint64_t no;

    (void)state;
    kit_new(&kit, 3600);
    kit.two = true;
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    assert_false(kit_has(&kit, no + 1));
    kit_log_has(&kit, "a key set was refused");
    kit_log_has(&kit, "UserDecryptKey");
    assert_int_equal(kit.counted_refused, 1);
    kit_free(&kit);
}

/* Statuses: keys stay; a refused token is looked at every ten seconds. */
static void
statuses(void **state)
{
    static const int rows[] = { 400, 401, 403, 404, 500, 503, 302, 204 };
    char *dir = make_dir();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kit kit;
        char text[32];
        uint64_t no;

        kit_new(&kit, 3600);
        started(&kit);
        kit_tick(&kit);
        no = kit_period(&kit);
        kit.status = rows[i];
        kit_step(&kit, 3300000);
        kit_tick(&kit);
        snprintf(text, sizeof text, "HTTP status %d", rows[i]);
        kit_log_has(&kit, text);
        assert_true(kit_has(&kit, no));
        assert_int_equal(kit_n_keys(&kit), 1);
        kit.status = 200;
        kit_step(&kit, 6000);
        kit_tick(&kit);
        assert_true(kit_has(&kit, no + 1));
        kit_free(&kit);
    }
    for (int later = 0; later < 2; later++) {
        struct kit kit;

        kit_new(&kit, 2592000);
        set_path(&kit, "token-file", dir, "token");
        kit.token = KIT_TOKEN;
        write_text(dir, "token", "old\n");
        started(&kit);
        for (int i = 0; i < 400; i++) {
            kit_tick(&kit);
            kit_step(&kit, 1000);
        }
        assert_in_range(kit.counted_requests, 5, 9);
        kit_log_has(&kit, "HTTP status 403");
        write_text(dir, "token", later ? "bad\ntoken" : KIT_TOKEN "\n");
        for (int i = 0; i < 11; i++) {
            kit_tick(&kit);
            kit_step(&kit, 1000);
        }
        assert_int_equal(kit_has(&kit, kit_period(&kit)), !later);
        assert_null(strstr(kit.log, KIT_TOKEN));
        kit_free(&kit);
    }
    remove_dir(dir);
}

static void
seconds(struct kit *kit, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        kit_tick(kit);
        kit_step(kit, 1000);
    }
}

/* The application's token: nothing is sent before it is there; asked for once
 * a try and after each refusal; a new one is used within two seconds. */
static void
app_token(void **state)
{
    struct kit kit;
    unsigned sent;

    (void)state;
    kit_new(&kit, 2592000);
    kit.token = KIT_TOKEN;
    kit.app_asked = true;
    started(&kit);
    kit_tick(&kit);
    assert_int_equal(kit.n_wanted, 1);
    assert_int_equal(kit.wanted_status, 0);
    assert_int_equal(kit.counted_requests, 0);
    kit_log_has(&kit, "given no token yet");
    kit.app_token = "old";
    seconds(&kit, 3);
    assert_int_equal(kit.counted_requests, 1);
    assert_int_equal(kit.n_wanted, 2);
    assert_int_equal(kit.wanted_status, 403);
    seconds(&kit, 300); /* with back-off, asked after each refusal */
    sent = kit.counted_requests;
    assert_in_range(sent, 4, 9);
    assert_int_equal(kit.n_wanted, sent + 1);
    kit.app_token = KIT_TOKEN;
    seconds(&kit, 2);
    assert_true(kit_has(&kit, kit_period(&kit)));
    assert_int_equal(kit.n_wanted, sent + 1);
    /* Taken back: keys stay, nothing is asked without it. */
    kit.app_token = NULL;
    sent = kit.counted_requests;
    kit_step(&kit, INT64_C(2332800000));
    seconds(&kit, 20);
    assert_int_equal(kit.counted_requests, sent);
    assert_int_equal(kit_n_keys(&kit), 1);
    kit.app_token = KIT_TOKEN;
    seconds(&kit, 2);
    assert_int_equal(kit_n_keys(&kit), 2);
    assert_null(strstr(kit.log, KIT_TOKEN));
    kit_free(&kit);
}

/* ---- discovery --------------------------------------------------------- */

extern const struct mcx_module mcx_module_kms;

static mcx_err
find_bob(struct kit *kit, char kms[MCX_URI_MAX])
{
    const struct mcx_kms_lookup *l
        = mcx_module_kms.feature(kit->state, "kms.lookup");

    assert_non_null(l);
    return l->find(l->state, "sip:bob@far.test", kms);
}

/* Only a KMS of our settings, only about whom was asked; remembered, and not
 * asked for ever when nobody answers. */
static void
lookup(void **state)
{
    char kms[MCX_URI_MAX], longest[MCX_URI_MAX + 1];
    const struct mcx_kms_lookup *l;
    struct kit kit;

    (void)state;
    kit_new(&kit, 3600);
    started(&kit);
    assert_null(mcx_module_kms.feature(kit.state, "kms.lookup"));
    kit_set(&kit, "lookup", "yes");
    kit_set(&kit, "external", KIT_FAR);
    kit_restart(&kit, false);
    assert_null(mcx_module_kms.feature(kit.state, "kms.refresh"));
    kit.lookup_kms = KIT_FAR;
    assert_int_equal(find_bob(&kit, kms), MCX_OK);
    assert_string_equal(kms, KIT_FAR);
    assert_non_null(strstr(kit.last_url, "/lookup/sip%3Abob%40far.test"));
    kit.lookup_kms = KIT_KMS;
    assert_int_equal(find_bob(&kit, kms), MCX_OK);
    assert_string_equal(kms, KIT_FAR); /* remembered */
    assert_int_equal(kit.n_lookup, 1);
    kit_step(&kit, KMS_FOUND_MS);
    assert_int_equal(find_bob(&kit, kms), MCX_OK);
    assert_string_equal(kms, KIT_KMS);
    /* Refusals: another KMS, another user, unknown; each for a minute. */
    for (int i = 0; i < 5; i++) {
        static const mcx_err errs[] = { MCX_E_POLICY, MCX_E_AUTH,
                                        MCX_E_NO_IDENTITY, MCX_E_AUTH,
                                        MCX_E_AUTH };

        kit_step(&kit, KMS_FOUND_MS);
        kit.lookup_kms = i == 0 ? "kms.evil.test" : i == 2 ? NULL : KIT_FAR;
        kit.lookup_uri = i == 1 ? KIT_OTHER : NULL;
        kit.lie = i == 3   ? KIT_LIE_USER
                  : i == 4 ? KIT_LIE_URL
                           : KIT_TRUE;
        kit.n_lookup = 0;
        assert_int_equal(find_bob(&kit, kms), errs[i]);
        assert_int_equal(kms[0], 0);
        assert_int_not_equal(find_bob(&kit, kms), MCX_OK);
        assert_int_equal(kit.n_lookup, 1);
        kit_step(&kit, KMS_LOST_MS);
        (void)find_bob(&kit, kms);
        assert_int_equal(kit.n_lookup, 2);
    }
    kit.lie = KIT_TRUE;
    kit.lookup_kms = KIT_FAR;
    kit_step(&kit, KMS_FOUND_MS);
    kit.down = true;
    assert_int_equal(find_bob(&kit, kms), MCX_E_IO);
    kit.down = false;
    assert_int_equal(find_bob(&kit, kms), MCX_E_BUSY);
    kit_step(&kit, KMS_TOKEN_LOOK_MS);
    assert_int_equal(find_bob(&kit, kms), MCX_OK);
    l = mcx_module_kms.feature(kit.state, "kms.lookup");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(l->find(l->state, longest, kms), MCX_E_ARG);
    assert_int_equal(l->find(l->state, "", kms), MCX_E_ARG);
    kit_free(&kit);
}

/* ---- ends -------------------------------------------------------------- */

static void
valid_to(void **state)
{
    struct kit kit;
    uint64_t no;

    (void)state;
    kit_new(&kit, 3600);
    kit.valid_to_unix = kit.now_ms / 1000 + 100;
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    kit.down = true;
    kit_step(&kit, 100000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    kit_step(&kit, 1000);
    /* Also while an answer is being waited for. */
    kit.hold_work = true;
    kit_tick(&kit);
    assert_false(kit_has(&kit, no));
    assert_non_null(kit.held);
    kit_tick(&kit);
    kit.hold_work = false;
    kit.down = false;
    kit.valid_to_unix += 5000;
    kit.held->work(kit.held);
    kit.held->done(kit.held);
    assert_true(kit_has(&kit, no));
    kit_log_has(&kit, "its ValidTo is past");
    kit_free(&kit);
}

static void
revocation(void **state)
{
    char *dir = make_dir();
    struct kit kit;
    uint64_t no;

    (void)state;
    /* A set. */
    kit_new(&kit, 3600);
    set_path(&kit, "cache", dir, "");
    set_path(&kit, "cache-key-file", dir, "key");
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    kit_step(&kit, 3300000);
    kit.revoked = true;
    kit_tick(&kit);
    assert_true(kit_has(&kit, no)); /* the next period's was revoked */
    assert_false(kit_has(&kit, no + 1));
    kit_step(&kit, 300000);
    kit_tick(&kit);
    assert_false(kit_has(&kit, no + 1));
    kit_restart(&kit, false);
    assert_false(kit_has(&kit, no + 1));
    kit_free(&kit);
    remove_dir(dir);
    /* The certificate: everything goes, here and on disk. */
    dir = make_dir();
    kit_new(&kit, 2592000);
    set_path(&kit, "cache", dir, "");
    set_path(&kit, "cache-key-file", dir, "key");
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    kit.info.revoked = true;
    kit_step(&kit, 86400000 + 8640000);
    kit_tick(&kit);
    assert_int_equal(kit_n_keys(&kit), 0);
    kit_log_has(&kit, "is revoked");
    kit_step(&kit, 6000);
    kit_tick(&kit);
    assert_true(kit.last.has_error);
    assert_int_equal(kit.n_keys, 1);
    kit_restart(&kit, false);
    assert_int_equal(kit_n_keys(&kit), 0);
    /* And back. */
    kit.info.revoked = false;
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    kit_free(&kit);
    remove_dir(dir);
}

/* Other keys of the KMS: the old user keys go, new ones come. */
static void
kms_rekeyed(void **state)
{
    struct mcx_kms_master *m;
    struct kit kit;
    uint64_t no;

    (void)state;
    kit_new(&kit, 3600);
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    m = kit.master;
    kit.master = kit.other_master;
    kit.other_master = m;
    kit_step(&kit, 3300000);
    kit_tick(&kit); /* the new set does not fit the certificate we have */
    assert_true(kit_has(&kit, no));
    assert_false(kit_has(&kit, no + 1));
    kit_step(&kit, 6000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    assert_true(kit_has(&kit, no + 1));
    assert_int_equal(kit.n_init, 2);
    kit_free(&kit);
}

/* ---- restarts ---------------------------------------------------------- */

static void
restarts(void **state)
{
    char *dir = make_dir();
    struct kit kit;
    uint64_t no;
    char *xml;
    size_t n;

    (void)state;
    kit_new(&kit, 3600);
    set_path(&kit, "cache", dir, "");
    set_path(&kit, "cache-key-file", dir, "key");
    kit_set(&kit, "external", KIT_FAR " kms.unknown.test");
    kit.cache_num = 41;
    started(&kit);
    no = kit_period(&kit);
    kit_tick(&kit);
    assert_int_equal(kit.n_certs, 1);
    kit_step(&kit, 3300000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no + 1));
    kit_no_secrets(&kit, dir);
    kit.counted_requests = kit.n_cert = 0;
    kit.down = true;
    kit_restart(&kit, false);
    /* All is there before anybody was asked. */
    assert_true(kit_has(&kit, no));
    assert_true(kit_has(&kit, no + 1));
    assert_int_equal(mcx_ring_kms(kit.ring, mcx_bytes_str(KIT_FAR),
                                  &(struct mcx_kms_info){ .uri = "" }, NULL),
                     MCX_OK);
    kit.n_set--;
    kit_set(&kit, "external", KIT_FAR);
    kit_restart(&kit, false);
    kit_tick(&kit);
    assert_int_equal(kit.counted_requests, 0);
    /* Time goes on while we are away. */
    kit_step(&kit, 2 * 3600000);
    kit_restart(&kit, false);
    assert_false(kit_has(&kit, no));
    assert_true(kit_has(&kit, no + 1));
    kit.down = false;
    kit_step(&kit, 6000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no + 2));
    /* Another user, or another key: nothing of it is taken. */
    kit.host.self = KIT_OTHER;
    kit_restart(&kit, false);
    assert_int_equal(kit_n_keys(&kit), 0);
    kit_log_has(&kit, "slot 0 is of no use");
    kit.host.self = KIT_USER;
    write_text(dir, "key", "00112233445566778899aabbccddeeff"
                           "00112233445566778899aabbccddeeff\n");
    kit_restart(&kit, false);
    assert_int_equal(kit_n_keys(&kit), 0);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no + 2));
    /* An octet of a file changed, a file cut short. */
    for (int cut = 0; cut < 2; cut++) {
        char name[32], path[600];

        snprintf(name, sizeof name, "kms-%02u.sealed",
                 (unsigned)(KMS_SLOT_KEYS + (no + 2) % KMS_KEY_SLOTS));
        snprintf(path, sizeof path, "%s/%s", dir, name);
        assert_int_equal(mcx_env_system()->read_file(NULL, path, 1 << 20,
                                                     &xml, &n), MCX_OK);
        xml[n / 2] ^= 1;
        assert_int_equal(mcx_env_system()->write_file(
                             NULL, path, mcx_bytes(xml, cut ? 30 : n), 0600),
                         MCX_OK);
        free(xml);
        kit_restart(&kit, false);
        assert_false(kit_has(&kit, no + 2));
        kit_tick(&kit);
        assert_true(kit_has(&kit, no + 2));
    }
    kit_no_secrets(&kit, dir);
    kit_free(&kit);
    remove_dir(dir);
}

/* ---- certificates of others -------------------------------------------- */

static void
externals(void **state)
{
    struct kit kit;
    struct mcx_kms_info info;
    size_t n;

    (void)state;
    memset(&info, 0, sizeof info);
    /* None wanted: none asked for. */
    kit_new(&kit, 2592000);
    started(&kit);
    kit_tick(&kit);
    assert_int_equal(kit.n_certs, 0);
    kit_free(&kit);
    /* Listed: taken; not listed: passed over. */
    kit_new(&kit, 2592000);
    kit.cache_num = 7;
    kit_set(&kit, "external", KIT_FAR);
    started(&kit);
    kit_tick(&kit);
    assert_int_equal(kit.n_certs, 1);
    mcx_ring_count(kit.ring, &n, NULL);
    assert_int_equal(n, 2);
    assert_int_equal(mcx_ring_kms_of(kit.ring, "sip:bob@far.test", &info,
                                     NULL), MCX_OK);
    assert_string_equal(info.uri, KIT_FAR);
    /* A day later, with the number of what we hold. */
    kit_step(&kit, 86400000 + 8640000);
    kit_tick(&kit);
    assert_int_equal(kit.n_certs, 2);
    assert_non_null(strstr(kit.last_url, "/certcache/7"));
    mcx_ring_count(kit.ring, &n, NULL);
    assert_int_equal(n, 2);
    kit_free(&kit);
    /* One that claims our own domain is not. */
    for (int how = 0; how < 2; how++) {
        kit_new(&kit, 2592000);
        kit_set(&kit, "external", KIT_FAR);
        if (how) {
            kit.info.n_domains = 1;
            snprintf(kit.info.domain[0], sizeof kit.info.domain[0],
                     "far.test");
        } else {
            kit.far_info.n_domains = 2;
            snprintf(kit.far_info.domain[1], sizeof kit.far_info.domain[1],
                     "MCX.test");
        }
        started(&kit);
        kit_tick(&kit);
        mcx_ring_count(kit.ring, &n, NULL);
        assert_int_equal(n, 1);
        assert_int_equal(kit.n_cert, 1); /* asked for by name, in vain */
        kit_log_has(&kit, "belongs to another KMS");
        assert_true(kit_has(&kit, kit_period(&kit)));
        kit_step(&kit, 60000);
        kit_tick(&kit);
        assert_int_equal(kit.n_cert, 1);
        kit_free(&kit);
    }
}

static bool
far_revoked(struct kit *kit)
{
    struct mcx_kms_info info;

    memset(&info, 0, sizeof info);
    assert_int_equal(mcx_ring_kms(kit->ring, mcx_bytes_str(KIT_FAR), &info,
                                  NULL), MCX_OK);
    return info.revoked;
}

static void
a_day_later(struct kit *kit)
{
    kit_step(kit, (DAY_S + DAY_S / 10) * INT64_C(1000));
    kit_tick(kit);
}

/* The certificate of another KMS is revoked: seen within a day, whichever
 * question brought it, and still known after a restart without a network. */
static void
externals_revoked(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        char *dir = make_dir();
        struct kit kit;

        kit_new(&kit, 2592000);
        set_path(&kit, "cache", dir, "");
        set_path(&kit, "cache-key-file", dir, "key");
        kit_set(&kit, "external", KIT_FAR);
        kit.cache_num = 7;
        kit.unlisted = how < 2;
        started(&kit);
        kit_tick(&kit);
        assert_int_equal(kit.n_cert, how < 2);
        assert_false(far_revoked(&kit));
        kit.far_info.revoked = true;
        if (how == 0) {
            /* Came by Cert, is revoked by CertCache. */
            kit.unlisted = false;
            kit.cache_num = 8;
        } else if (how == 2) {
            kit.cache_num = 8;
        }
        a_day_later(&kit);
        assert_true(far_revoked(&kit));
        kit.down = true;
        kit_restart(&kit, false);
        assert_true(far_revoked(&kit));
        /* And back, with another one. */
        kit.down = false;
        kit.far_info.revoked = false;
        kit.cache_num = 9;
        kit_step(&kit, 900000);
        a_day_later(&kit);
        assert_false(far_revoked(&kit));
        kit.down = true;
        kit_restart(&kit, false);
        assert_false(far_revoked(&kit));
        kit_free(&kit);
        remove_dir(dir);
    }
}

/* Asked for one, answered with another that we would take, too. */
static void
another_external(void **state)
{
    struct kit kit;

    (void)state;
    kit_new(&kit, 2592000);
    kit_set(&kit, "external", KIT_FAR " kms.two.test");
    kit.unlisted = true;
    kit.cert_uri = "kms.two.test";
    started(&kit);
    kit_tick(&kit);
    kit_log_has(&kit, "no certificate of " KIT_FAR " came");
    assert_int_not_equal(mcx_ring_kms(kit.ring, mcx_bytes_str(KIT_FAR), NULL,
                                      NULL), MCX_OK);
    assert_int_equal(mcx_ring_kms(kit.ring, mcx_bytes_str("kms.two.test"),
                                  NULL, NULL), MCX_OK);
    assert_int_equal(kit.n_cert, 2);
    kit_free(&kit);
}

/* Nothing that is not a file is waited for or read without end. */
static void
token_files(void **state)
{
    char *dir = make_dir(), path[600];
    struct kit kit;

    (void)state;
    (void)alarm(20); /* a test that hangs has failed */
    kit_new(&kit, 3600);
    kit.token = KIT_TOKEN;
    set_path(&kit, "token-file", dir, "token");
    snprintf(path, sizeof path, "%s/token", dir);
    started(&kit);
    for (int how = 0; how < 7; how++) {
        unsigned failed = kit.counted_failed;

        switch (how) {
        case 0:
            break; /* none */
        case 1:
            assert_int_equal(mkfifo(path, 0600), 0);
            break;
        case 2:
            assert_int_equal(mkdir(path, 0700), 0);
            break;
        case 3:
            assert_int_equal(symlink("/dev/zero", path), 0);
            break;
        case 4:
            assert_int_equal(symlink("token", path), 0);
            break;
        case 5:
            write_text(dir, "token", "");
            break;
        default:
            write_text(dir, "token", KIT_TOKEN "\r\nX-Evil: 1");
            break;
        }
        kit_tick(&kit);
        assert_int_equal(kit.counted_failed, failed + 1);
        assert_int_equal(kit_n_keys(&kit), 0);
        assert_int_equal(kit.n_init, 0);
        kit_log_has(&kit, "token-file: ");
        (void)remove(path);
        kit_step(&kit, 900000);
    }
    write_text(dir, "token", KIT_TOKEN "\n");
    kit_tick(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    (void)alarm(0);
    kit_free(&kit);
    remove_dir(dir);
}

/* The clock of the host is set, far and near, there and back: no key in use
 * past its end, and keys again when it is right. */
static void
clock_steps(void **state)
{
    static const int64_t steps_s[] = {
        -1, 1, -3600, 7200, -86400 * 400, 86400 * 800, -INT64_C(2000000000),
        INT64_C(4000000000), -INT64_C(2000000000), 86400 * 3650, 3600
    };
    struct kit kit;

    (void)state;
    kit_new(&kit, 3600);
    kit.valid_to_unix = 0;
    started(&kit);
    kit_tick(&kit);
    for (size_t i = 0; i < sizeof steps_s / sizeof *steps_s; i++) {
        uint64_t no;

        kit.now_ms += steps_s[i] * 1000;
        kit.mono_ms += 1000;
        if (!kms_period_at(&no, &kit.info.period, kit.now_ms)) {
            kit_tick(&kit);
            continue;
        }
        for (int s = 0; s < 20; s++) {
            kit_step(&kit, 1000);
            kit_tick(&kit);
        }
        if (!kit_has(&kit, kit_period(&kit))) {
            fail_msg("step %zu: no key\n%s", i, kit.log);
        }
        assert_true(no < 2 || !kit_has(&kit, no - 2));
        assert_true(kit_n_keys(&kit) <= 8);
    }
    kit_free(&kit);
}

/* One without a domain list would speak for our own users, unless ours has a
 * list. */
static void
externals_without_domains(void **state)
{
    size_t n;

    (void)state;
    for (int ours = 0; ours < 2; ours++) {
        struct kit kit;

        kit_new(&kit, 2592000);
        kit_set(&kit, "external", KIT_FAR);
        kit.far_info.n_domains = 0;
        kit.info.n_domains = (size_t)ours;
        snprintf(kit.info.domain[0], sizeof kit.info.domain[0], "mcx.test");
        started(&kit);
        kit_tick(&kit);
        mcx_ring_count(kit.ring, &n, NULL);
        assert_int_equal(n, ours ? 2 : 1);
        if (!ours) {
            kit_log_has(&kit, "names no domain");
        }
        assert_true(kit_has(&kit, kit_period(&kit)));
        kit_free(&kit);
    }
}

/* The three forms of the question, and what follows when the answer to one
 * lacks the keys. */
static void
forms(void **state)
{
    static const char *const form[] = { "plain", "uri", "time" };
    static const char *const end[] = { "/keyprov",
                                       "/keyprov/sip%3Aalice%40mcx.test" };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct kit kit;
        size_t n;

        kit_new(&kit, 3600);
        kit_set(&kit, "keyprov", form[i]);
        started(&kit);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_int_equal(kit.n_keys, 1);
        n = strlen(kit.last_url);
        if (i < 2) {
            assert_string_equal(kit.last_url + n - strlen(end[i]), end[i]);
        } else {
            assert_non_null(strstr(kit.last_url, end[1]));
            assert_string_equal(kit.last_url + n - 8, "00000000");
        }
        kit_free(&kit);
        kit_new(&kit, 3600);
        kit_set(&kit, "keyprov", form[i]);
        kit.lie = KIT_NO_KEYS;
        started(&kit);
        kit_tick(&kit);
        assert_int_equal(kit.n_keys, i < 2 ? 2 : 1);
        n = strlen(kit.last_url);
        assert_string_equal(kit.last_url + n - 8, "00000000");
        assert_int_equal(kit_n_keys(&kit), 0);
        kit_free(&kit);
    }
}

/* ---- settings ---------------------------------------------------------- */

static void
settings(void **state)
{
    static const struct {
        const char *name, *value, *part;
    } rows[] = {
        { "url", "http://kms.mcx.test", "expected https" },
        { "url", "https://", "expected https" },
        { "url", "https://user@kms.mcx.test", "expected https" },
        { "url", "https://kms.mcx.test/?x", "expected https" },
        { "kms-uri", "a b", "expected a URI" },
        { "proxy", "socks5://x", "expected http" },
        { "key-file", "k.pem", "key-file without" },
        { "cache", ".", "both or neither" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcx_text text = { "" };
        struct kit kit;

        kit_new(&kit, 3600);
        kit_set(&kit, rows[i].name, rows[i].value);
        assert_int_equal(kit_start(&kit, false, &text), MCX_E_CONFIG);
        if (!strstr(text.s, rows[i].part)) {
            fail_msg("%s: %s", rows[i].value, text.s);
        }
        kit_free(&kit);
    }
}

/* ---- 24 hours ---------------------------------------------------------- */

/* Periods of ten minutes.  The KMS is away, refuses or lies for random
 * stretches of up to ten minutes.  Whoever can reach it during the last tenth
 * of a period (60 s) has the next key in time; nobody ever holds a key of
 * more than one period ago, or one past its ValidTo. */
static void
a_day(void **state)
{
    enum { L = 600 };
    unsigned seed, periods = 0, without = 0, covered = 0, trouble = 0;
    const char *given = getenv("MCX_TEST_SEED");
    /* Under valgrind an hour and a half must do. */
    unsigned day_s = getenv("MCX_TEST_ROUNDS") ? DAY_S / 16 : DAY_S;
    unsigned least = 20 * day_s / DAY_S;
    int64_t up_since_ms = 0, until_ms;
    struct kit kit;
    uint64_t no;

    (void)state;
    assert_int_equal(mcx_env_system()->random(NULL, &seed, sizeof seed),
                     MCX_OK);
    seed = given ? (unsigned)strtoul(given, NULL, 10) : seed;
    print_message("seed %u\n", seed);
    srandom(seed);
    kit_new(&kit, L);
    started(&kit);
    no = kit_period(&kit);
    until_ms = kit.now_ms + 200000;
    for (unsigned s = 0; s < day_s; s++) {
        bool good = !kit.down && kit.status == 200 && kit.lie == KIT_TRUE;

        kit.valid_to_unix = 0;
        if (kit.now_ms >= until_ms) {
            static const int lies_told[] = { KIT_LIE_RSK, KIT_LIE_USER,
                                             KIT_NO_KEYS, KIT_GARBAGE };
            static const int bad[] = { 401, 403, 500, 503 };
            long kind = good ? random() % 4 : 0;

            kit.down = kind == 1;
            kit.status = kind == 2 ? bad[random() % 4] : 200;
            kit.lie = kind == 3 ? (enum kit_lie)lies_told[random() % 4]
                                : KIT_TRUE;
            until_ms = kit.now_ms + 1000 * (10 + random() % 590);
            if (kind != 0) {
                trouble++;
            } else if (!good) {
                up_since_ms = kit.now_ms;
            }
        }
        kit_tick(&kit);
        kit_step(&kit, 1000);
        good = !kit.down && kit.status == 200 && kit.lie == KIT_TRUE;
        if (kit_period(&kit) != no) {
            bool reachable = good && kit.now_ms - up_since_ms >= L * 100 + 1;

            no = kit_period(&kit);
            periods++;
            covered += reachable;
            without += !kit_has(&kit, no);
            if (reachable && !kit_has(&kit, no)) {
                fail_msg("seed %u: no key in period %llu, KMS up for %lld s",
                         seed, (unsigned long long)no,
                         (long long)(kit.now_ms - up_since_ms) / 1000);
            }
        }
        kms_tick(kit.state);
        /* Never anything of before the last period, nor more than three. */
        if (no >= 2 && kit_has(&kit, no - 2)) {
            fail_msg("seed %u: period %llu is still here", seed,
                     (unsigned long long)no - 2);
        }
        assert_true(kit_n_keys(&kit) <= 3);
    }
    print_message("%u periods, %u with the KMS in reach at their end, %u "
                  "begun without a key; %u stretches of trouble; %u requests,"
                  " %u failures, %zu secrets issued\n", periods, covered,
                  without, trouble, kit.counted_requests, kit.counted_failed,
                  kit.n_secrets);
    assert_int_equal(periods, day_s / L);
    assert_true(covered > least && trouble > least);
    kit_no_secrets(&kit, NULL);
    kit_free(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule),
        cmocka_unit_test(months),
        cmocka_unit_test(fleet),
        cmocka_unit_test(first_keys),
        cmocka_unit_test(no_keys_yet),
        cmocka_unit_test(lies),
        cmocka_unit_test(client_error),
        cmocka_unit_test(one_bad_set),
        cmocka_unit_test(statuses),
        cmocka_unit_test(app_token),
        cmocka_unit_test(lookup),
        cmocka_unit_test(valid_to),
        cmocka_unit_test(revocation),
        cmocka_unit_test(kms_rekeyed),
        cmocka_unit_test(restarts),
        cmocka_unit_test(externals),
        cmocka_unit_test(externals_without_domains),
        cmocka_unit_test(externals_revoked),
        cmocka_unit_test(another_external),
        cmocka_unit_test(token_files),
        cmocka_unit_test(clock_steps),
        cmocka_unit_test(forms),
        cmocka_unit_test(settings),
        cmocka_unit_test(a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
