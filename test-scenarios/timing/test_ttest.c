/* test_ttest.c -- the statistics of make check-timing, on samples whose answer
 * is known, and a leak made on purpose, measured for real. */
#include <config.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "timing.h"

enum { N = 20000 };

static uint32_t ticks[N], room[N];
static uint8_t class[N];

static void
near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-9 * (1 + fabs(b)));
}

static void
welch(void **state)
{
    (void)state;
    /* 1 2 3 4 5 (mean 3, squares 10); 2 4 6 (mean 4, squares 8):
     * -1 / sqrt(10/4/5 + 8/2/3) = -1 / sqrt(11/6) */
    near(ttest_welch(5, 3, 10, 3, 4, 8), -1 / sqrt(11.0 / 6));
    near(ttest_welch(3, 4, 8, 5, 3, 10), 1 / sqrt(11.0 / 6));
    near(ttest_welch(1, 3, 0, 5, 4, 8), 0);
    near(ttest_welch(5, 3, 0, 5, 3, 0), 0);
    assert_true(isinf(ttest_welch(5, 4, 0, 5, 3, 0)));
}

/* 400 ticks and 16 ways of being a little slower; now and then an interrupt;
 * class 1 slower by 'shift' in one sample of 'every'. */
static struct ttest
made_up(uint32_t shift, uint32_t every)
{
    size_t i;

    for (i = 0; i < N; i++) {
        class[i] = timing_draw() >> 63 & 1;
        ticks[i] = 400 + (uint32_t)(timing_draw() >> 60);
        if (class[i] == 1 && timing_draw() % every == 0) {
            ticks[i] += shift;
        }
        if (timing_draw() % 50 == 0) {
            ticks[i] += 20000 + (uint32_t)(timing_draw() % 100000);
        }
    }
    return ttest_run(ticks, class, N, 100, room);
}

static void
alike(void **state)
{
    struct ttest t = made_up(0, 1);

    (void)state;
    /* 101 tests of one sample are not one: 6 is not reached by chance. */
    assert_true(fabs(t.t) < 6);
}

/* One tick in 400 is invisible among interrupts, and plain without them. */
static void
cropping(void **state)
{
    struct ttest t = made_up(1, 1);

    (void)state;
    assert_true(t.t < -2 * TTEST_LIMIT);
    assert_true(t.crop < 1);
    assert_true(fabs(t.plain) < 6);
    assert_true(t.mean[1] > t.mean[0]);
}

/* A rare slow case is in the tail, so not all crops may cut it off. */
static void
tail(void **state)
{
    struct ttest t = made_up(300, 20);

    (void)state;
    assert_true(t.t < -2 * TTEST_LIMIT);
}

static void
constant(void **state)
{
    struct ttest t;
    size_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        class[i] = i & 1;
        ticks[i] = 7;
    }
    t = ttest_run(ticks, class, N, 100, room);
    near(t.t, 0);
    for (i = 1; i < N; i += 2) {
        ticks[i] = 8;
    }
    t = ttest_run(ticks, class, N, 100, room);
    assert_true(isinf(t.t) && t.t < 0);
    t = ttest_run(ticks, class, 0, 100, room);
    near(t.t, 0);
}

/* Too few samples of a class say nothing. */
static void
few(void **state)
{
    struct ttest t;
    size_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        class[i] = i < 5;
        ticks[i] = 7 + class[i];
    }
    t = ttest_run(ticks, class, N, 100, room);
    near(t.t, 0);
}

/* The first control leaks whole multiplications: seen in few samples, on a
 * busy machine too. */
static void
control(void **state)
{
    struct ttest t;

    (void)state;
    assert_true(timing_controls[0].leaks);
    assert_true(timing_measure(&t, &timing_controls[0], N));
    assert_true(t.t < -2 * TTEST_LIMIT);
    assert_true(t.mean[1] > t.mean[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welch),
        cmocka_unit_test(alike),
        cmocka_unit_test(cropping),
        cmocka_unit_test(tail),
        cmocka_unit_test(constant),
        cmocka_unit_test(few),
        cmocka_unit_test(control),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
