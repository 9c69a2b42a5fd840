/* pool.c -- a bounded queue and its workers.
 *
 * Used by everything in the glue that may take longer than a loop may: judges,
 * preparations, reading key files.  One lock; workers sleep on one condition.
 * Workers block all signals, which belong to the application's threads. */
#include <config.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sofia-mcx/mcx_secret.h>
#include "pool.h"

struct mcxh_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct mcxh_job *head, **tail;
    size_t queued, queue_max;
    bool stopping;
    void (*post)(void *arg, struct mcxh_job *job);
    void *arg;
    unsigned threads;   /* that there are to be, for workers to see */
    unsigned n_threads; /* that were started */
    pthread_t thread[MCXH_POOL_THREADS_MAX];
};

/* The next job; NULL when the pool stops.  Called with the lock. */
static struct mcxh_job *
take(struct mcxh_pool *pool)
{
    struct mcxh_job *job = pool->head;

    if (job) {
        pool->head = job->next;
        if (!pool->head) {
            pool->tail = &pool->head;
        }
        pool->queued--;
        job->next = NULL;
    }
    return job;
}

/* Takes the first job, and with it what may go together with it.  Called with
 * the lock, and a job in the queue. */
static size_t
take_some(struct mcxh_pool *pool, struct mcxh_job *job[MCXH_POOL_TOGETHER])
{
    size_t share = (pool->queued + pool->threads - 1) / pool->threads, n = 0;

    job[n++] = take(pool);
    while (n < share && n < MCXH_POOL_TOGETHER && job[0]->work_many &&
           pool->head && pool->head->work_many == job[0]->work_many &&
           pool->head->sort == job[0]->sort) {
        job[n++] = take(pool);
    }
    return n;
}

static void *
worker(void *arg)
{
    struct mcxh_job *job[MCXH_POOL_TOGETHER];
    struct mcxh_pool *pool = arg;
    size_t n, i;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->head && !pool->stopping) {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
        if (pool->stopping) {
            break;
        }
        n = take_some(pool, job);
        pthread_mutex_unlock(&pool->lock);
        if (n > 1) {
            job[0]->work_many(job, n);
        } else {
            job[0]->work(job[0]);
        }
        mcx_wipe_stack();
        for (i = 0; i < n; i++) {
            pool->post(pool->arg, job[i]);
        }
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static unsigned
default_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    if (n < 2) {
        n = 2;
    }
    if (n > MCXH_POOL_THREADS_MAX) {
        n = MCXH_POOL_THREADS_MAX;
    }
    return (unsigned)n;
}

mcx_err
mcxh_pool_new(struct mcxh_pool **out, unsigned threads, size_t queue_max,
              void (*post)(void *arg, struct mcxh_job *job), void *arg)
{
    struct mcxh_pool *pool;
    sigset_t all, before;

    *out = NULL;
    if (threads > MCXH_POOL_THREADS_MAX || queue_max == 0 || !post) {
        return MCX_E_ARG;
    }
    pool = calloc(1, sizeof *pool);
    if (!pool) {
        return MCX_E_NOMEM;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->tail = &pool->head;
    pool->queue_max = queue_max;
    pool->post = post;
    pool->arg = arg;
    threads = threads ? threads : default_threads();
    pool->threads = threads;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->n_threads < threads &&
           pthread_create(&pool->thread[pool->n_threads], NULL, worker,
                          pool) == 0) {
        pool->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->n_threads < threads) {
        mcxh_pool_free(pool);
        return MCX_E_BUSY;
    }
    *out = pool;
    return MCX_OK;
}

mcx_err
mcxh_pool_submit(struct mcxh_pool *pool, struct mcxh_job *job)
{
    mcx_err err = MCX_OK;

    pthread_mutex_lock(&pool->lock);
    if (pool->stopping) {
        err = MCX_E_STATE;
    } else if (pool->queued >= pool->queue_max) {
        err = MCX_E_BUSY;
    } else {
        job->next = NULL;
        job->cancelled = false;
        *pool->tail = job;
        pool->tail = &job->next;
        pool->queued++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return err;
}

bool
mcxh_pool_stopping(struct mcxh_pool *pool)
{
    bool stopping;

    pthread_mutex_lock(&pool->lock);
    stopping = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return stopping;
}

bool
mcxh_pool_quiet(struct mcxh_pool *pool)
{
    bool quiet;

    pthread_mutex_lock(&pool->lock);
    quiet = pool->queued * 2 < pool->queue_max;
    pthread_mutex_unlock(&pool->lock);
    return quiet;
}

size_t
mcxh_pool_queued(struct mcxh_pool *pool)
{
    size_t n;

    pthread_mutex_lock(&pool->lock);
    n = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

unsigned
mcxh_pool_threads(const struct mcxh_pool *pool)
{
    return pool->n_threads;
}

void
mcxh_pool_free(struct mcxh_pool *pool)
{
    struct mcxh_job *job;

    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->thread[i], NULL);
    }
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        job = take(pool);
        pthread_mutex_unlock(&pool->lock);
        if (!job) {
            break;
        }
        job->cancelled = true;
        pool->post(pool->arg, job);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
