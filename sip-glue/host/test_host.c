/* test_host.c -- loader, start order, options and counters of the host.
 *
 * Modules are real shared objects, each wrong in one way (test_module.c). */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include "host/features.h"
#include "host/host.h"
#include "host/options.h"

static char trace[512];

static void
on_event(void *arg, enum mcx_event_kind kind, const struct mcx_key_info *info,
         mcx_err err, const struct mcx_why *why, const char *who)
{
    size_t n = strlen(trace);

    (void)arg;
    (void)kind;
    (void)info;
    (void)err;
    (void)why;
    snprintf(trace + n, sizeof trace - n, "%s ", who);
}

static const struct mcxh_loader loader = {
    .dir = TEST_MODULES,
    .built_in = "/nonexistent/built-in",
    .version = PACKAGE_VERSION,
    .sofia_version = "1.12.11devel",
};

static void
expect_reason(const char *name, const char *part)
{
    struct mcxh_mod mod = { 0 };

    snprintf(mod.name, sizeof mod.name, "%s", name);
    assert_false(mcxh_load(&mod, &loader));
    assert_null(mod.desc);
    if (!strstr(mod.reason, part)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", name, mod.reason, part);
    }
}

static void
loader_says_why(void **state)
{
    struct mcxh_mod mod = { .name = "t-base" };

    (void)state;
    assert_true(mcxh_load(&mod, &loader));
    assert_string_equal(mod.desc->name, "t-base");
    assert_string_equal(mod.reason, "");
    expect_reason("t-abi", "ABI 2, this host has 1");
    expect_reason("t-size", "octets, this host has");
    expect_reason("t-version", "version 0.0.0, this host is");
    expect_reason("t-sofia", "built with sofia-sip 9.9.9");
    expect_reason("t-name", "the file holds module \"somebody-else\"");
    expect_reason("t-nosym", "has no symbol mcx_module_t_nosym");
    expect_reason("t-missing", "no t-missing.so in " TEST_MODULES);
    expect_reason("../t-base", "a module's name has");
    expect_reason("", "a module's name has");
}

static void
search_path(void **state)
{
    struct mcxh_mod mod = { .name = "t-base" };
    struct mcxh_loader how = loader;

    (void)state;
    how.dir = NULL;
    assert_false(mcxh_load(&mod, &how));
    assert_int_equal(setenv("MCX_MODULE_DIR", TEST_MODULES, 1), 0);
    assert_true(mcxh_load(&mod, &how));
    assert_int_equal(unsetenv("MCX_MODULE_DIR"), 0);
    how.built_in = TEST_MODULES;
    mod.desc = NULL;
    assert_true(mcxh_load(&mod, &how));
    /* A folder without the file is passed over. */
    how.dir = "/nonexistent";
    mod.desc = NULL;
    assert_true(mcxh_load(&mod, &how));
}

static void
fixed_modules(void **state)
{
    static const struct mcx_module half = {
        .abi = MCX_MODULE_ABI, .size = sizeof half, .name = "half",
        .version = PACKAGE_VERSION
    };
    static const struct mcx_module *const table[] = { &half, NULL };
    struct mcxh_loader how = loader;
    struct mcxh_mod mod = { .name = "half" };

    (void)state;
    how.fixed = table;
    assert_false(mcxh_load(&mod, &how));
    assert_non_null(strstr(mod.reason, "without start"));
}

struct fixture {
    struct mcx_config *config;
    struct mcxh_host host;
    struct mcx_text text;
};

static void
set_up(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    trace[0] = '\0';
    assert_int_equal(mcx_config_new(&f->config), MCX_OK);
    mcxh_host_init(&f->host, f->config);
    f->host.table.env = mcx_env_system();
    f->host.emit = on_event;
}

static void
tear_down(struct fixture *f)
{
    mcxh_host_deinit(&f->host);
    mcx_config_free(f->config);
}

static void
order_and_reverse(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    /* t-user needs t.base, which t-base provides; t-wanter wants t.user. */
    assert_int_equal(mcxh_host_start(&f.host, "t-wanter t-user t-base", "",
                                     &loader, &f.text), MCX_OK);
    assert_string_equal(trace, "+t-base +t-user +t-wanter ");
    assert_string_equal(mcxh_host_feature(&f.host, "t.base"), "t-base");
    assert_null(mcxh_host_feature(&f.host, "t.nobody"));
    assert_int_equal(mcxh_counter(&f.host.counters, "test.started"), 3);
    trace[0] = '\0';
    mcxh_host_stop(&f.host);
    assert_string_equal(trace, "-t-wanter -t-user -t-base ");
    tear_down(&f);
}

static void
expect_failure(const char *names, const char *part)
{
    struct fixture f;

    set_up(&f);
    assert_int_not_equal(
        mcxh_host_start(&f.host, names, "", &loader, &f.text), MCX_OK);
    if (!strstr(f.text.s, part)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", names, f.text.s, part);
    }
    assert_int_equal(f.host.n_order, 0);
    assert_null(strchr(trace, '+'));
    tear_down(&f);
}

static void
missing_and_circles(void **state)
{
    (void)state;
    expect_failure("t-user", "module t-user: needs \"t.base\"");
    expect_failure("t-circle-a t-circle-b", "a circle of needs");
    expect_failure("t-base t-abi", "module t-abi: module ABI");
    expect_failure("t-base t-missing", "module t-missing: no t-missing.so");
}

static void
wants_may_circle(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    assert_int_equal(mcxh_host_start(&f.host, "t-polite-a t-polite-b", "",
                                     &loader, &f.text), MCX_OK);
    assert_int_equal(f.host.n_order, 2);
    tear_down(&f);
}

static void
optional_modules(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    assert_int_equal(
        mcxh_host_start(&f.host, "t-base", "t-abi t-user t-base", &loader,
                        &f.text), MCX_OK);
    assert_string_equal(trace, "+t-base +t-user ");
    assert_int_equal(f.host.n_mods, 3);
    assert_non_null(strstr(f.host.mod[1].reason, "ABI"));
    tear_down(&f);
}

static void
start_failures(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    assert_int_equal(mcx_config_set(f.config, "t-user", "fail", "yes", "x"),
                     MCX_OK);
    assert_int_equal(mcxh_host_start(&f.host, "t-base t-user", "", &loader,
                                     &f.text), MCX_E_STATE);
    assert_string_equal(f.text.s, "module t-user: told to fail");
    assert_string_equal(trace, "+t-base -t-base ");
    tear_down(&f);

    /* Optional, and one that needs it. */
    set_up(&f);
    assert_int_equal(mcx_config_set(f.config, "t-base", "fail", "yes", "x"),
                     MCX_OK);
    assert_int_equal(mcxh_host_start(&f.host, "", "t-base t-user", &loader,
                                     &f.text), MCX_OK);
    assert_string_equal(trace, "");
    assert_non_null(strstr(f.host.mod[1].reason, "did not start"));
    tear_down(&f);
}

static void
check_setting(const char *section, const char *name, const char *value,
              const char *part)
{
    struct fixture f;

    set_up(&f);
    assert_int_equal(mcx_config_set(f.config, section, name, value, "t.conf"),
                     MCX_OK);
    assert_int_equal(mcxh_host_start(&f.host, "t-base", "", &loader,
                                     &f.text), MCX_E_CONFIG);
    if (!strstr(f.text.s, part)) {
        fail_msg("[%s] %s: \"%s\" does not say \"%s\"", section, name,
                 f.text.s, part);
    }
    tear_down(&f);
}

static void
settings(void **state)
{
    struct fixture f;

    (void)state;
    check_setting("t-base", "numbr", "3", "numbr");
    check_setting("t-base", "number", "10", "number");
    check_setting("t-bsae", "number", "3", "[t-bsae]");
    check_setting("peer *", "options", "sdp-ids rel99", "peer option");
    check_setting("peer *", "optoins", "sdp-ids", "optoins");

    set_up(&f);
    assert_int_equal(mcx_config_set(f.config, "peer *", "options", "sdp-ids",
                                    "x"), MCX_OK);
    assert_int_equal(mcx_config_set(f.config, "peer sip:b@x", "options",
                                    "rel13-map keymgmt-alias", "x"), MCX_OK);
    assert_int_equal(mcxh_host_start(&f.host, "t-base", "", &loader,
                                     &f.text), MCX_OK);
    assert_string_equal(f.host.table.option(&f.host.table, "t-base",
                                            "number"), "7");
    assert_null(f.host.table.option(&f.host.table, "t-base", "none"));
    assert_int_equal(f.host.table.peer(&f.host.table, "sip:b@x"),
                     MCX_PEER_REL13_MAP | MCX_PEER_KEYMGMT_ALIAS);
    assert_int_equal(f.host.table.peer(&f.host.table, "sip:c@x"),
                     MCX_PEER_SDP_IDS);
    tear_down(&f);
}

static void
take(void *arg, const char *name, uint64_t value)
{
    uint64_t *sum = arg;

    (void)name;
    *sum += value;
}

static void
counters(void **state)
{
    static char names[MCXH_COUNTERS_MAX + 20][16];
    struct mcxh_counters c;
    uint64_t sum = 0;

    (void)state;
    mcxh_counters_init(&c);
    mcxh_counters_each(&c, take, &sum);
    assert_int_equal(sum, 0);
    for (size_t i = 0; i < MCXH_COUNTERS_MAX + 20; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        mcxh_count(&c, names[i]);
        mcxh_count(&c, names[i]);
    }
    assert_int_equal(mcxh_counter(&c, "n0"), 2);
    assert_int_equal(mcxh_counter(&c, "host.other"), 2 * 21);
    mcxh_counters_each(&c, take, &sum);
    assert_int_equal(sum, 2 * (MCXH_COUNTERS_MAX + 20));
    mcxh_counters_deinit(&c);
}

/* ---- work of modules --------------------------------------------------- */

struct task {
    struct mcx_work work; /* first */
    const struct mcx_host *host;
    unsigned worked, finished;
    bool was_cancelled, saw_stop, slow;
};

static struct {
    pthread_mutex_t lock;
    struct mcxh_job *job[4];
    size_t n;
    unsigned grown;
} posted = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
post(void *arg, struct mcxh_job *job)
{
    (void)arg;
    pthread_mutex_lock(&posted.lock);
    posted.job[posted.n++] = job;
    pthread_mutex_unlock(&posted.lock);
}

static void
do_work(struct mcx_work *work)
{
    struct task *t = (struct task *)work;

    t->worked++;
    while (t->slow && !t->saw_stop) {
        t->saw_stop = t->host->stopping(t->host);
        usleep(1000);
    }
}

static void
work_is_done(struct mcx_work *work)
{
    struct task *t = (struct task *)work;

    t->finished++;
    t->was_cancelled = work->cancelled;
}

static void
on_grown(void *arg)
{
    ++*(unsigned *)arg;
}

/* Work runs once and ends once, on the pool and on the loop; one that waits
 * behind a slow one when the pool ends is told that it never ran, and the slow
 * one sees the end coming. */
static void
work_of_modules(void **state)
{
    struct task quick = { .work = { do_work, work_is_done, false } };
    struct task slow = quick, late = quick;
    struct mcxh_host host;
    size_t n = 0;

    (void)state;
    mcxh_host_init(&host, NULL);
    assert_true(MCX_HOST_HAS(&host.table, grown));
    quick.host = slow.host = late.host = &host.table;
    assert_int_equal(host.table.submit(&host.table, &quick.work),
                     MCX_E_STATE);
    assert_true(host.table.stopping(&host.table));
    host.table.grown(&host.table); /* nobody listens */
    assert_int_equal(mcxh_pool_new(&host.pool, 1, 8, post, NULL), MCX_OK);
    host.grown = on_grown;
    host.grown_arg = &posted.grown;
    host.table.grown(&host.table);
    assert_int_equal(posted.grown, 1);
    assert_false(host.table.stopping(&host.table));
    assert_int_equal(host.table.submit(&host.table, &quick.work), MCX_OK);
    for (int i = 0; i < 5000 && n == 0; i++) {
        usleep(1000);
        pthread_mutex_lock(&posted.lock);
        n = posted.n;
        pthread_mutex_unlock(&posted.lock);
    }
    assert_int_equal(n, 1);
    assert_int_equal(quick.worked, 1);
    assert_int_equal(quick.finished, 0);
    posted.job[0]->done(posted.job[0]);
    assert_int_equal(quick.finished, 1);
    assert_false(quick.was_cancelled);
    slow.slow = true;
    assert_int_equal(host.table.submit(&host.table, &slow.work), MCX_OK);
    while (mcxh_pool_queued(host.pool) > 0) {
        usleep(1000); /* until it runs */
    }
    assert_int_equal(host.table.submit(&host.table, &late.work), MCX_OK);
    mcxh_pool_free(host.pool);
    host.pool = NULL;
    assert_int_equal(posted.n, 3);
    for (n = 1; n < 3; n++) {
        posted.job[n]->done(posted.job[n]);
    }
    assert_true(slow.saw_stop);
    assert_false(slow.was_cancelled);
    assert_int_equal(late.worked, 0);
    assert_int_equal(late.finished, 1);
    assert_true(late.was_cancelled);
    mcxh_host_deinit(&host);
}

/* Which KMSs with monthly keys the settings let in. */
static void
monthly_tel(void **state)
{
    static const char *const kms[] = { "sip:kms.a", "kms.b", "*", "" };
    static const struct {
        const char *section, *name, *value;
        mcx_err err;
        bool allowed[3]; /* of kms[0] and kms[1], and any other */
    } rows[] = {
        { "", "monthly-tel", "no", MCX_OK, { false, false, false } },
        { "", "monthly-tel", "yes", MCX_OK, { true, true, true } },
        { "", "monthly-tel", "Yes", MCX_E_CONFIG, { false, false, false } },
        { "peer sip:kms.a", "options", "sdp-ids monthly-tel", MCX_OK,
          { true, false, false } },
        { "peer kms.b", "options", "monthly-tel", MCX_OK,
          { false, true, false } },
        { "peer kms.b", "options", "rel13-map", MCX_OK,
          { false, false, false } },
        { "peer *", "options", "monthly-tel", MCX_OK, { true, true, true } },
        { "kms.b", "options", "monthly-tel", MCX_OK,
          { false, false, false } },
    };
    struct mcx_config *config;
    struct mcx_ring *ring;
    struct mcx_text text;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text.s[0] = '\0';
        assert_int_equal(mcx_config_new(&config), MCX_OK);
        assert_int_equal(mcx_ring_new(&ring, mcx_env_system()), MCX_OK);
        assert_int_equal(mcx_config_set(config, rows[i].section,
                                        rows[i].name, rows[i].value, "test"),
                         MCX_OK);
        assert_int_equal(mcxh_monthly_tel(ring, config, &text), rows[i].err);
        assert_int_equal(text.s[0] != '\0', rows[i].err != MCX_OK);
        for (k = 0; k < 4; k++) {
            assert_int_equal(mcx_ring_allowed_kms(ring, kms[k]) != 0,
                             rows[i].allowed[k < 2 ? k : 2]);
        }
        mcx_ring_free(ring);
        mcx_config_free(config);
    }
}

static void
out_parts(void **state)
{
    struct mcx_out out = { 0 };

    (void)state;
    for (int i = 0; i < MCX_OUT_PART_MAX; i++) {
        assert_int_equal(mcx_out_add(&out, "text/plain",
                                     mcx_bytes("a\0b", 3)), MCX_OK);
    }
    assert_int_equal(mcx_out_add(&out, "text/plain", mcx_bytes("", 0)),
                     MCX_E_TOOBIG);
    assert_int_equal(out.part[3].n, 3);
    assert_memory_equal(out.part[3].body, "a\0b", 4);
    out.sdp_value = strdup("mikey x");
    out.extra_headers = strdup("X: y\r\n");
    mcxh_out_clear(&out);
    assert_int_equal(out.n_parts, 0);
    assert_null(out.sdp_value);
    assert_int_equal(mcx_out_add(&out, NULL, mcx_bytes("", 0)), MCX_E_ARG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_says_why),
        cmocka_unit_test(search_path),
        cmocka_unit_test(fixed_modules),
        cmocka_unit_test(order_and_reverse),
        cmocka_unit_test(missing_and_circles),
        cmocka_unit_test(wants_may_circle),
        cmocka_unit_test(optional_modules),
        cmocka_unit_test(start_failures),
        cmocka_unit_test(settings),
        cmocka_unit_test(counters),
        cmocka_unit_test(work_of_modules),
        cmocka_unit_test(monthly_tel),
        cmocka_unit_test(out_parts),
    };

    mcx_log_level(MCX_AREA_HOST, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
