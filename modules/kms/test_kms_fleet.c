/* test_kms_fleet.c -- a day of many clients under one KMS.
 *
 * Periods of an hour, 24 of them.  The weather of the KMS -- away, refusing,
 * lying -- is drawn once and the same for all; each client then lives through
 * that day by itself, with keys of its own, on a stepped clock.  So the number
 * of clients costs time and no memory: 40 in `make check`, 10,000 with `make
 * kms-fleet`.
 *
 * Promised for each client: a key for every period before whose start the KMS
 * was well for a tenth of the period; never a key of before the last period;
 * and for the KMS: the fleet comes spread out.  (ValidTo: test_kms_life.) */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test_kms_kit.h"

enum {
    PERIOD_S = 3600,
    DAY_S = 86400,
    STEP_S = 5,
    USERS = 40,
    WEATHERS = 1024
};

/* What the KMS does until 'end_s' of the day. */
struct weather {
    unsigned end_s;
    bool down;
    int status;
    enum kit_lie lie;
    unsigned well_since_s; /* while it is well */
};

static struct weather weather[WEATHERS];
static size_t n_weather;
static unsigned asked[DAY_S / 10 + 1]; /* requests in ten seconds, all */

static bool
well(const struct weather *w)
{
    return !w->down && w->status == 200 && w->lie == KIT_TRUE;
}

/* Well for up to two hours, then in trouble for up to half an hour. */
static void
draw_weather(void)
{
    static const enum kit_lie lies[] = { KIT_LIE_RSK, KIT_LIE_USER,
                                         KIT_NO_KEYS, KIT_GARBAGE };
    static const int bad[] = { 401, 403, 500, 503 };
    unsigned s = 0;

    for (n_weather = 0; s < DAY_S; n_weather++) {
        struct weather *w = &weather[n_weather];

        assert_true(n_weather < WEATHERS);
        *w = (struct weather){ .status = 200, .well_since_s = s };
        if (n_weather % 2 == 1) {
            long kind = random() % 3;

            w->down = kind == 0;
            w->status = kind == 1 ? bad[random() % 4] : 200;
            w->lie = kind == 2 ? lies[random() % 4] : KIT_TRUE;
            s += STEP_S * (unsigned)(1 + random() % (1800 / STEP_S));
        } else {
            s += STEP_S * (unsigned)(1 + random() % (7200 / STEP_S));
        }
        w->end_s = s;
    }
}

struct tally {
    unsigned periods, covered, without, requests;
};

static void
one_day(unsigned who, struct tally *sum)
{
    const struct weather *w = weather;
    struct mcx_text text = { "" };
    char user[64];
    struct kit kit;
    uint64_t no;

    (void)snprintf(user, sizeof user, "sip:u%05u@mcx.test", who);
    kit_new(&kit, PERIOD_S);
    kit.user = user;
    kit.host.self = user;
    assert_int_equal(kit_start(&kit, false, &text), MCX_OK);
    no = kit_period(&kit);
    for (unsigned s = 0; s < DAY_S; s += STEP_S) {
        unsigned before = kit.counted_requests;

        while (s >= w->end_s) {
            w++;
        }
        kit.down = w->down;
        kit.status = w->status;
        kit.lie = w->lie;
        kit_tick(&kit);
        asked[s / 10] += kit.counted_requests - before;
        if (kit_has(&kit, no - 2)) {
            fail_msg("%s: second %u, a key of period %llu is still here",
                     user, s, (unsigned long long)no - 2);
        }
        assert_true(kit_n_keys(&kit) <= 3);
        kit_step(&kit, STEP_S * 1000);
        if (kit_period(&kit) != no) { /* before anything is asked in it */
            unsigned well_s = s - w->well_since_s;
            bool in_time = well(w) && well_s > PERIOD_S / 10;

            no = kit_period(&kit);
            sum->periods++;
            sum->covered += in_time;
            sum->without += !kit_has(&kit, no);
            if (in_time && !kit_has(&kit, no)) {
                fail_msg("%s: no key in period %llu, at second %u; the KMS "
                         "was well for %u s", user, (unsigned long long)no,
                         s + STEP_S, well_s);
            }
        }
    }
    sum->requests += kit.counted_requests;
    kit_no_secrets(&kit, NULL);
    kit_free(&kit);
}

static void
a_day_of_many(void **state)
{
    const char *seed_text = getenv("MCX_TEST_SEED");
    const char *users_text = getenv("MCX_FLEET_USERS");
    unsigned users = users_text ? (unsigned)strtoul(users_text, NULL, 10)
                     : getenv("MCX_TEST_ROUNDS") ? 2 : USERS;
    unsigned seed, peak = 0, at = 0;
    struct tally sum = { 0 };

    (void)state;
    assert_int_equal(mcx_env_system()->random(NULL, &seed, sizeof seed),
                     MCX_OK);
    seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : seed;
    print_message("seed %u, %u users\n", seed, users);
    srandom(seed);
    draw_weather();
    for (unsigned i = 0; i < users; i++) {
        one_day(i, &sum);
        if (users_text && (i + 1) % 100 == 0) {
            print_message("%u of %u: %u periods begun, %u without a key\n",
                          i + 1, users, sum.periods, sum.without);
        }
    }
    /* The first minute is everybody's first start, all at once. */
    for (unsigned i = 6; i < DAY_S / 10; i++) {
        if (asked[i] > peak) {
            peak = asked[i];
            at = i * 10;
        }
    }
    print_message("%u periods begun, %u of them with the KMS in reach in "
                  "time and all of these with a key; %u without a key after "
                  "%zu times of trouble; %u requests, at most %u in ten "
                  "seconds (%u s into the day)\n", sum.periods, sum.covered,
                  sum.without, n_weather / 2, sum.requests, peak, at);
    assert_int_equal(sum.periods, users * (DAY_S / PERIOD_S));
    assert_true(sum.covered > sum.periods / 4);
    if (users >= 1000) {
        /* Waits after a failure end within a twentieth of a period; who has
         * waited longest comes within a quarter of that. */
        assert_true(peak < 2 * 10 * users / (PERIOD_S / 20 / 4));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_day_of_many) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
