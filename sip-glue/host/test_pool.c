/* test_pool.c -- the worker pool: all jobs come back, full is busy, shutdown
 * is clean.  Also run under the thread sanitizer. */
#include <config.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "host/pool.h"

enum { MANY = 20000 };

struct box {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned posted, cancelled, worked;
    bool gate; /* closed: work() waits */
};

struct thing {
    struct mcxh_job job; /* first */
    struct box *box;
    unsigned runs;
    size_t with; /* how many it was worked with; 0: by work() */
    unsigned nth; /* when: box->worked before it */
};

static void
box_init(struct box *box, bool gate)
{
    pthread_mutex_init(&box->lock, NULL);
    pthread_cond_init(&box->wake, NULL);
    box->posted = box->cancelled = box->worked = 0;
    box->gate = gate;
}

static void
work(struct mcxh_job *job)
{
    struct thing *t = (struct thing *)job;

    pthread_mutex_lock(&t->box->lock);
    t->nth = t->box->worked++;
    t->with = 0;
    pthread_cond_broadcast(&t->box->wake);
    while (t->box->gate) {
        pthread_cond_wait(&t->box->wake, &t->box->lock);
    }
    pthread_mutex_unlock(&t->box->lock);
    t->runs++; /* ours alone until it is posted */
}

static void
work_many(struct mcxh_job **job, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct thing *t = (struct thing *)job[i];

        assert_ptr_equal(job[i]->sort, job[0]->sort);
        work(job[i]);
        t->with = n;
    }
}

static void
post(void *arg, struct mcxh_job *job)
{
    struct box *box = arg;

    pthread_mutex_lock(&box->lock);
    box->posted++;
    box->cancelled += job->cancelled;
    pthread_cond_broadcast(&box->wake);
    pthread_mutex_unlock(&box->lock);
}

static void
wait_for(struct box *box, const unsigned *what, unsigned n)
{
    pthread_mutex_lock(&box->lock);
    while (*what < n) {
        pthread_cond_wait(&box->wake, &box->lock);
    }
    pthread_mutex_unlock(&box->lock);
}

static void
open_gate(struct box *box)
{
    pthread_mutex_lock(&box->lock);
    box->gate = false;
    pthread_cond_broadcast(&box->wake);
    pthread_mutex_unlock(&box->lock);
}

static void
defaults(void **state)
{
    struct mcxh_pool *pool;
    struct box box;

    (void)state;
    box_init(&box, false);
    assert_int_equal(mcxh_pool_new(&pool, 0, 4, post, &box), MCX_OK);
    assert_true(mcxh_pool_threads(pool) >= 2);
    mcxh_pool_free(pool);
    mcxh_pool_free(NULL);
    assert_int_equal(mcxh_pool_new(&pool, 1000, 4, post, &box), MCX_E_ARG);
    assert_null(pool);
    assert_int_equal(mcxh_pool_new(&pool, 1, 0, post, &box), MCX_E_ARG);
}

static void
full_is_busy(void **state)
{
    enum { THREADS = 2, QUEUE = 8, N = THREADS + QUEUE };
    static struct thing t[N + 1];
    struct mcxh_pool *pool;
    struct box box;

    (void)state;
    box_init(&box, true);
    assert_int_equal(mcxh_pool_new(&pool, THREADS, QUEUE, post, &box),
                     MCX_OK);
    for (unsigned i = 0; i <= N; i++) {
        t[i].job.work = work;
        t[i].box = &box;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(mcxh_pool_submit(pool, &t[i].job), MCX_OK);
    }
    wait_for(&box, &box.worked, THREADS);
    for (unsigned i = THREADS; i < N; i++) {
        assert_int_equal(mcxh_pool_submit(pool, &t[i].job), MCX_OK);
    }
    assert_int_equal(mcxh_pool_queued(pool), QUEUE);
    assert_int_equal(mcxh_pool_submit(pool, &t[N].job), MCX_E_BUSY);
    open_gate(&box);
    wait_for(&box, &box.posted, N);
    assert_int_equal(mcxh_pool_submit(pool, &t[N].job), MCX_OK);
    wait_for(&box, &box.posted, N + 1);
    mcxh_pool_free(pool);
    assert_int_equal(box.cancelled, 0);
    for (unsigned i = 0; i <= N; i++) {
        assert_int_equal(t[i].runs, 1);
    }
}

/* While 'threads' workers are held at the gate 'n' jobs are queued, of the
 * sorts that the letters name, '-' being by itself; then the gate opens. */
static void
queue_up(struct thing *t, unsigned threads, const char *sorts)
{
    static struct thing held[4];
    static const char of[128];
    size_t n = strlen(sorts);
    struct mcxh_pool *pool;
    struct box box;

    box_init(&box, true);
    assert_int_equal(mcxh_pool_new(&pool, threads, 64, post, &box), MCX_OK);
    for (unsigned i = 0; i < threads; i++) {
        held[i] = (struct thing){ .job = { .work = work,
                                           .work_many = work_many },
                                  .box = &box };
        assert_int_equal(mcxh_pool_submit(pool, &held[i].job), MCX_OK);
        wait_for(&box, &box.worked, i + 1);
        assert_int_equal(held[i].with, 0); /* alone: nobody waits */
    }
    for (size_t i = 0; i < n; i++) {
        t[i] = (struct thing){ .job = { .work = work }, .box = &box };
        if (sorts[i] != '-') {
            t[i].job.work_many = work_many;
            t[i].job.sort = &of[(int)sorts[i]];
        }
        assert_int_equal(mcxh_pool_submit(pool, &t[i].job), MCX_OK);
    }
    open_gate(&box);
    wait_for(&box, &box.posted, threads + (unsigned)n);
    mcxh_pool_free(pool);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(t[i].runs, 1);
    }
}

static void
together(void **state)
{
    static const struct {
        const char *sorts;
        uint8_t with[24];
    } row[] = {
        { "a", { 0 } },
        { "aa", { 2, 2 } },
        { "ab", { 0, 0 } },
        { "--", { 0, 0 } },
        { "aaaaa-aaabb", { 5, 5, 5, 5, 5, 0, 3, 3, 3, 2, 2 } },
        { "aba", { 0, 0, 0 } },
        { "aaaaaaaaaaaaaaaaaaa",
          { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 3, 3, 3 } },
    };
    struct thing t[24];

    (void)state;
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        queue_up(t, 1, row[k].sorts);
        for (size_t i = 0; row[k].sorts[i]; i++) {
            assert_int_equal(t[i].with, row[k].with[i]);
            assert_int_equal(t[i].nth, i + 1); /* in the order queued */
        }
    }
}

/* One worker leaves the others theirs. */
static void
shared_out(void **state)
{
    struct thing t[24];
    size_t most = 0;

    (void)state;
    queue_up(t, 2, "aa");
    assert_true(t[0].with == 0 && t[1].with == 0);
    for (unsigned threads = 2; threads <= 4; threads++) {
        queue_up(t, threads, "aaaaaaaaaaaa");
        /* Whoever comes first takes its share of twelve. */
        assert_int_equal(t[0].with, 12 / threads);
        for (size_t i = 0; i < 12; i++) {
            most = t[i].with > most ? t[i].with : most;
        }
        assert_true(most <= 6);
    }
}

static void *
gate_opener(void *arg)
{
    usleep(50000);
    open_gate(arg);
    return NULL;
}

static void
shutdown_cancels(void **state)
{
    enum { N = 30 };
    static struct thing t[N];
    struct mcxh_pool *pool;
    struct box box;
    pthread_t opener;
    unsigned ran = 0;

    (void)state;
    box_init(&box, true);
    assert_int_equal(mcxh_pool_new(&pool, 3, N, post, &box), MCX_OK);
    for (unsigned i = 0; i < N; i++) {
        t[i].job.work = work;
        t[i].box = &box;
        assert_int_equal(mcxh_pool_submit(pool, &t[i].job), MCX_OK);
    }
    wait_for(&box, &box.worked, 3);
    assert_int_equal(pthread_create(&opener, NULL, gate_opener, &box), 0);
    mcxh_pool_free(pool); /* waits for the three that run */
    pthread_join(opener, NULL);
    for (unsigned i = 0; i < N; i++) {
        ran += t[i].runs;
        assert_int_equal(t[i].job.cancelled, t[i].runs == 0);
    }
    assert_int_equal(ran, 3);
    assert_int_equal(box.posted, N);
    assert_int_equal(box.cancelled, N - 3);
}

struct feeder {
    struct mcxh_pool *pool;
    struct thing *t;
    unsigned n;
};

static void *
feed(void *arg)
{
    struct feeder *f = arg;

    for (unsigned i = 0; i < f->n; i++) {
        while (mcxh_pool_submit(f->pool, &f->t[i].job) == MCX_E_BUSY) {
            usleep(100);
        }
    }
    return NULL;
}

static void
many_threads(void **state)
{
    enum { FEEDERS = 4 };
    struct thing *t = calloc(MANY, sizeof *t);
    struct feeder f[FEEDERS];
    pthread_t thread[FEEDERS];
    struct mcxh_pool *pool;
    struct box box;

    (void)state;
    assert_non_null(t);
    box_init(&box, false);
    assert_int_equal(mcxh_pool_new(&pool, 4, 64, post, &box), MCX_OK);
    for (unsigned i = 0; i < MANY; i++) {
        t[i].job.work = work;
        t[i].job.work_many = i % 16 < 12 ? work_many : NULL;
        t[i].box = &box;
    }
    for (unsigned i = 0; i < FEEDERS; i++) {
        f[i] = (struct feeder){ pool, t + i * (MANY / FEEDERS),
                                MANY / FEEDERS };
        assert_int_equal(pthread_create(&thread[i], NULL, feed, &f[i]), 0);
    }
    for (unsigned i = 0; i < FEEDERS; i++) {
        pthread_join(thread[i], NULL);
    }
    wait_for(&box, &box.posted, MANY);
    mcxh_pool_free(pool);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(t[i].runs, 1);
    }
    free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(full_is_busy),
        cmocka_unit_test(together),
        cmocka_unit_test(shared_out),
        cmocka_unit_test(shutdown_cancels),
        cmocka_unit_test(many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
