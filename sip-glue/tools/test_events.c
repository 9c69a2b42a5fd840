/* test_events.c -- event lines, the words of commands, and who gets what. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "events.h"

static void
lines(void **state)
{
    const char *pairs[] = { "id",   "2f3a91c0", "owner", NULL,
                            "text", "a \"b\\\n", "none",  "" };
    char line[EVENTS_LINE];
    char big[2 * EVENTS_LINE];
    const char *one[] = { "x", big };

    (void)state;
    events_line(line, INT64_C(1796072400123), "key", pairs, 4);
    assert_string_equal(line, "2026-11-30T21:00:00.123Z event key "
                              "id=2f3a91c0 text=\"a \\\"b\\\\?\" none=\"\"");
    events_line(line, INT64_C(1796072400000), "ready", NULL, 0);
    assert_string_equal(line, "2026-11-30T21:00:00.000Z event ready");
    memset(big, 'y', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    events_line(line, 0, "key", one, 1);
    assert_int_equal(strlen(line), EVENTS_LINE - 1);
}

static void
words(void **state)
{
    char line[] = "  call \"sip:a b\\\"c\\\\\"  x\"y z\"\t\"\" end\r";
    char open[] = "call \"sip:a";
    char many[] = "a b c";
    char none[] = "  \t";
    char *word[5];

    (void)state;
    assert_int_equal(events_split(line, word, 5), 5);
    assert_string_equal(word[0], "call");
    assert_string_equal(word[1], "sip:a b\"c\\");
    assert_string_equal(word[2], "xy z");
    assert_string_equal(word[3], "");
    assert_string_equal(word[4], "end");
    assert_int_equal(events_split(open, word, 5), -1);
    assert_int_equal(events_split(many, word, 2), -1);
    assert_int_equal(events_split(none, word, 5), 0);
}

static void
wait_words(void **state)
{
    struct events_wait wait = { 0 };
    int64_t ms = 10000;
    char a[] = "key", b[] = "2.5", c[] = "kind=csk", d[] = "x";
    char e[] = "nan", f[] = "=1", g[] = "-1";
    char *good[] = { a, b, c };

    (void)state;
    assert_null(events_parse_wait(&wait, &ms, 3, good));
    assert_string_equal(wait.name, "key");
    assert_int_equal(ms, 2500);
    assert_int_equal(wait.n_args, 1);
    assert_string_equal(wait.arg[0].name, "kind");
    assert_string_equal(wait.arg[0].value, "csk");
    assert_non_null(events_parse_wait(&wait, &ms, 0, NULL));
    assert_non_null(events_parse_wait(&wait, &ms, 2,
                                      (char *[]){ a, d }));
    assert_non_null(events_parse_wait(&wait, &ms, 2,
                                      (char *[]){ a, e }));
    assert_non_null(events_parse_wait(&wait, &ms, 2,
                                      (char *[]){ a, g }));
    assert_non_null(events_parse_wait(&wait, &ms, 2,
                                      (char *[]){ a, f }));
}

/* What the waiters of the tests got. */
static char got[4][EVENTS_LINE];
static int timeouts;

static void
done(struct events_wait *wait, const char *line)
{
    int *no = wait->owner;

    if (line != NULL) {
        (void)snprintf(got[*no], EVENTS_LINE, "%s", line);
    } else {
        timeouts++;
    }
}

static void
set(struct events_wait *wait, int *no, const char *name, int64_t until)
{
    memset(wait, 0, sizeof *wait);
    wait->name = name;
    wait->owner = no;
    wait->done = done;
    wait->until_ms = until;
}

static int no[4] = { 0, 1, 2, 3 };

static void
queue(void **state)
{
    struct events *events = events_new();
    struct events_wait w[4];
    char kind[] = "kind", csk[] = "csk";

    (void)state;
    memset(got, 0, sizeof got);
    events_post(events, "t event key kind=pck n=1");
    events_post(events, "t event key kind=csk n=2");
    events_post(events, "t event key kind=csk n=3");
    /* The oldest that fits, each once. */
    set(&w[0], &no[0], "key", 100);
    w[0].arg[0].name = kind;
    w[0].arg[0].value = csk;
    w[0].n_args = 1;
    assert_true(events_wait(events, &w[0]));
    assert_string_equal(got[0], "t event key kind=csk n=2");
    set(&w[1], &no[1], "key", 100);
    assert_true(events_wait(events, &w[1]));
    assert_string_equal(got[1], "t event key kind=pck n=1");
    assert_true(events_wait(events, &w[1]));
    assert_string_equal(got[1], "t event key kind=csk n=3");
    /* Nothing is left; waiters are served in their order. */
    set(&w[2], &no[2], "key", 100);
    set(&w[3], &no[3], "key", 50);
    assert_false(events_wait(events, &w[2]));
    assert_false(events_wait(events, &w[3]));
    events_post(events, "t event keys n=4"); /* another name */
    assert_string_equal(got[2], "");
    events_post(events, "t event key n=5");
    assert_string_equal(got[2], "t event key n=5");
    assert_string_equal(got[3], "");
    /* Time. */
    timeouts = 0;
    assert_int_equal(events_expire(events, 20), 30);
    assert_int_equal(events_expire(events, 50), -1);
    assert_int_equal(timeouts, 1);
    /* One that is gone gets nothing and leaves the event to others. */
    set(&w[0], &no[0], "late", 100);
    assert_false(events_wait(events, &w[0]));
    events_forget(events, &w[0]);
    events_post(events, "t event late n=6");
    set(&w[1], &no[1], "late", 100);
    assert_true(events_wait(events, &w[1]));
    events_free(events);
}

static void
bounded(void **state)
{
    struct events *events = events_new();
    struct events_wait w;
    char line[64];
    int i;

    (void)state;
    for (i = 0; i < EVENTS_KEPT + 10; i++) {
        (void)snprintf(line, sizeof line, "t event e n=%d", i);
        events_post(events, line);
    }
    set(&w, &no[0], "e", 0);
    assert_true(events_wait(events, &w));
    assert_string_equal(got[0], "t event e n=10");
    for (i = 11; i < EVENTS_KEPT + 10; i++) {
        assert_true(events_wait(events, &w));
    }
    assert_false(events_wait(events, &w));
    events_forget(events, &w);
    events_free(events);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),   cmocka_unit_test(words),
        cmocka_unit_test(wait_words), cmocka_unit_test(queue),
        cmocka_unit_test(bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
