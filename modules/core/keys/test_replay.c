/* test_replay.c -- the replay cache: seen, parked, resumed, expired, full,
 * and two threads with one message. */
#include <config.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_mikey.h>

enum { WINDOW = 600000 };

struct digest { uint8_t b[32]; };

/* Distinct digests; the number is spread so that nothing else is equal. */
static struct digest
digest(uint32_t n)
{
    struct digest d;
    size_t i;

    for (i = 0; i < sizeof d.b; i++) {
        d.b[i] = (uint8_t)(n >> (8 * (i % 4)));
    }
    return d;
}

static mcx_err
enter(struct mcx_replay *r, uint32_t n, int64_t now)
{
    return mcx_replay_enter(r, digest(n).b, now, now + WINDOW, false, false);
}

static mcx_err
look(struct mcx_replay *r, uint32_t n, int64_t now)
{
    return mcx_replay_look(r, digest(n).b, now, false);
}

static struct mcx_replay *
make(size_t max)
{
    struct mcx_replay *r = NULL;

    assert_int_equal(mcx_replay_new(&r, max), MCX_OK);
    assert_non_null(r);
    return r;
}

static void
test_arguments(void **state)
{
    struct mcx_replay *r = make(1);

    (void)state;
    mcx_replay_free(r);
    mcx_replay_free(NULL);
    assert_int_equal(mcx_replay_new(&r, 0), MCX_E_ARG);
    assert_null(r);
    assert_int_equal(mcx_replay_new(&r, SIZE_MAX), MCX_E_ARG);
    assert_null(r);
}

static void
test_seen(void **state)
{
    struct mcx_replay *r = make(100);
    struct digest d = digest(1);
    size_t i;

    (void)state;
    assert_int_equal(look(r, 1, 1000), MCX_OK);
    assert_int_equal(mcx_replay_count(r), 0);
    assert_int_equal(enter(r, 1, 1000), MCX_OK);
    assert_int_equal(mcx_replay_count(r), 1);
    assert_int_equal(look(r, 1, 1000), MCX_E_REPLAY);
    assert_int_equal(enter(r, 1, 1001), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_count(r), 1);
    /* 'resume' is no way around an entry that is not parked. */
    assert_int_equal(mcx_replay_look(r, d.b, 1000, true), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_enter(r, d.b, 1000, 9000, true, false),
                     MCX_E_REPLAY);
    /* Every octet of the digest counts. */
    for (i = 0; i < sizeof d.b; i++) {
        d = digest(1);
        d.b[i] ^= 0x80;
        assert_int_equal(mcx_replay_look(r, d.b, 1000, false), MCX_OK);
    }
    mcx_replay_free(r);
}

static void
test_expiry(void **state)
{
    struct mcx_replay *r = make(100);

    (void)state;
    assert_int_equal(enter(r, 1, 1000), MCX_OK);
    assert_int_equal(look(r, 1, 1000 + WINDOW), MCX_E_REPLAY);
    assert_int_equal(look(r, 1, 1000 + WINDOW + 1), MCX_OK);
    /* The clock goes back: still known, even long before. */
    assert_int_equal(look(r, 1, 1000), MCX_E_REPLAY);
    assert_int_equal(look(r, 1, -1000000), MCX_E_REPLAY);
    assert_int_equal(enter(r, 2, -1000000), MCX_OK);
    assert_int_equal(look(r, 1, -1000000), MCX_E_REPLAY);
    /* After its time it can be entered again, and counts once. */
    assert_int_equal(enter(r, 1, 1000 + WINDOW + 1), MCX_OK);
    assert_int_equal(look(r, 1, 1000 + WINDOW + 1), MCX_E_REPLAY);
    assert_true(mcx_replay_count(r) <= 2);
    mcx_replay_free(r);
}

static void
test_parked(void **state)
{
    struct mcx_replay *r = make(100);
    struct digest d = digest(7);

    (void)state;
    mcx_replay_park(r, d.b); /* unknown: nothing happens */
    assert_int_equal(mcx_replay_count(r), 0);
    assert_int_equal(enter(r, 7, 0), MCX_OK);
    mcx_replay_park(r, d.b);
    /* For everybody else a parked message is a seen one. */
    assert_int_equal(look(r, 7, 1), MCX_E_REPLAY);
    assert_int_equal(enter(r, 7, 1), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_look(r, d.b, 1, true), MCX_OK);
    /* Taken up once ... */
    assert_int_equal(mcx_replay_enter(r, d.b, 1, 2, true, false), MCX_OK);
    assert_int_equal(mcx_replay_look(r, d.b, 1, true), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_enter(r, d.b, 1, 2, true, false),
                     MCX_E_REPLAY);
    /* ... without becoming shorter lived ... */
    assert_int_equal(look(r, 7, WINDOW), MCX_E_REPLAY);
    /* ... and it may be parked again. */
    mcx_replay_park(r, d.b);
    assert_int_equal(mcx_replay_enter(r, d.b, 1, 2, true, true), MCX_OK);
    assert_int_equal(mcx_replay_look(r, d.b, 1, true), MCX_OK);
    assert_int_equal(mcx_replay_count(r), 1);
    mcx_replay_free(r);
}

static void
test_full(void **state)
{
    enum { MAX = 1000 };
    struct mcx_replay *r = make(MAX);
    uint32_t i;

    (void)state;
    for (i = 0; i < MAX; i++) {
        assert_int_equal(enter(r, i, i), MCX_OK);
    }
    assert_int_equal(mcx_replay_count(r), MAX);
    assert_int_equal(enter(r, MAX, MAX), MCX_E_BUSY);
    assert_int_equal(mcx_replay_count(r), MAX);
    /* Nothing unexpired went, and a replay is still named a replay. */
    for (i = 0; i < MAX; i++) {
        assert_int_equal(enter(r, i, MAX), MCX_E_REPLAY);
    }
    /* Half of them expire: room for as many, and not for one more. */
    for (i = 0; i < MAX / 2; i++) {
        assert_int_equal(enter(r, MAX + i, WINDOW + MAX / 2), MCX_OK);
    }
    assert_int_equal(enter(r, 3 * MAX, WINDOW + MAX / 2), MCX_E_BUSY);
    for (i = MAX / 2; i < MAX + MAX / 2; i++) {
        assert_int_equal(look(r, i, WINDOW + MAX / 2), MCX_E_REPLAY);
    }
    mcx_replay_free(r);
}

/* Entries come and go at random for long; a plain array knows the truth. */
static void
test_churn(void **state)
{
    enum { N = 4096, STEPS = 400000 };
    static int64_t until[N];
    struct mcx_replay *r = make(N);
    uint64_t x = 88172645463325252u;
    int64_t now = 0;
    uint32_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        until[i] = INT64_MIN;
    }
    for (i = 0; i < STEPS; i++) {
        uint32_t n;
        bool known;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        n = (uint32_t)(x >> 20) % N;
        now += (int64_t)(x >> 60);
        known = now <= until[n];
        assert_int_equal(look(r, n, now), known ? MCX_E_REPLAY : MCX_OK);
        if (x & 64) {
            int64_t expires = now + (int64_t)(x >> 8 & 0x1fff);
            mcx_err err = mcx_replay_enter(r, digest(n).b, now, expires,
                                           false, false);

            assert_int_equal(err, known ? MCX_E_REPLAY : MCX_OK);
            until[n] = known ? until[n] : expires;
        }
    }
    mcx_replay_free(r);
}

static void
test_million(void **state)
{
    struct mcx_replay *r = make(MCX_REPLAY_DEFAULT_MAX);
    uint32_t i;

    (void)state;
    for (i = 0; i < MCX_REPLAY_DEFAULT_MAX; i++) {
        if (enter(r, i, 0) != MCX_OK) {
            fail_msg("entry %u", i);
        }
    }
    assert_int_equal(enter(r, i, 1), MCX_E_BUSY);
    for (i = 0; i < MCX_REPLAY_DEFAULT_MAX; i += 97) {
        assert_int_equal(look(r, i, 1), MCX_E_REPLAY);
    }
    assert_int_equal(enter(r, i, WINDOW + 1), MCX_OK);
    assert_true(mcx_replay_count(r) < MCX_REPLAY_DEFAULT_MAX);
    mcx_replay_free(r);
}

/* ---- threads ----------------------------------------------------------- */

enum { N_THREADS = 4, N_MESSAGES = 5000 };
static struct mcx_replay *shared;
static atomic_int accepted, resumed;

static void *
worker(void *arg)
{
    uint32_t i;

    (void)arg;
    for (i = 0; i < N_MESSAGES; i++) {
        if (enter(shared, i, 0) == MCX_OK) {
            atomic_fetch_add(&accepted, 1);
            mcx_replay_park(shared, digest(i).b);
        }
        (void)look(shared, i / 2, 0);
    }
    return NULL;
}

static void *
resumer(void *arg)
{
    uint32_t i;

    (void)arg;
    for (i = 0; i < N_MESSAGES; i++) {
        if (mcx_replay_enter(shared, digest(i).b, 0, WINDOW, true, false)
            == MCX_OK) {
            atomic_fetch_add(&resumed, 1);
        }
    }
    return NULL;
}

static void
run(void *(*fn)(void *))
{
    pthread_t t[N_THREADS];
    int i;

    for (i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, fn, NULL), 0);
    }
    for (i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
}

static void
test_threads(void **state)
{
    (void)state;
    shared = make(N_MESSAGES);
    run(worker);
    assert_int_equal(atomic_load(&accepted), N_MESSAGES);
    run(resumer);
    assert_int_equal(atomic_load(&resumed), N_MESSAGES);
    assert_int_equal(mcx_replay_count(shared), N_MESSAGES);
    mcx_replay_free(shared);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_seen),
        cmocka_unit_test(test_expiry),    cmocka_unit_test(test_parked),
        cmocka_unit_test(test_full),      cmocka_unit_test(test_churn),
        cmocka_unit_test(test_million),   cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
