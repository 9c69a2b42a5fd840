/* pool.h -- worker threads for crypto, disk and network.
 *
 * A job is embedded in whatever its owner allocates.  work() runs on a worker;
 * the job is then handed to the owner's post function, on that worker, which
 * brings it back to the loop by means the pool knows nothing of.  No job is
 * lost: one that never ran, because the pool was stopped, is posted too, with
 * 'cancelled' set.
 *
 * Jobs that cost less together have a work_many().  A worker that finds
 * several of one sort waiting at the head of the queue takes its share of them
 * at once: what is queued by the number of workers, rounded up, and
 * MCXH_POOL_TOGETHER at most.  Nobody waits for others to come, and no job is
 * overtaken by one that was queued later. */
#ifndef MCXH_POOL_H
#define MCXH_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sofia-mcx/mcx_err.h>

enum { MCXH_POOL_QUEUE = 1024, MCXH_POOL_QUEUE_MAX = 65536,
       MCXH_POOL_THREADS_MAX = 64, MCXH_POOL_TOGETHER = 8 };

struct mcxh_job {
    void (*work)(struct mcxh_job *job); /* worker */
    void (*done)(struct mcxh_job *job); /* loop, called by the owner's post */
    /* Worker; NULL: each by itself.  Called instead of work() for two jobs or
     * more that are equal in this and in 'sort'. */
    void (*work_many)(struct mcxh_job **job, size_t n);
    const void *sort;
    struct mcxh_job *next;              /* the pool's, then the post's      */
    bool cancelled;                     /* work() was not called            */
};

struct mcxh_pool;

/* Starts 'threads' workers, 0 meaning one for each core and at least 2.
 * 'post' is called on a worker (or in mcxh_pool_free()) with each finished
 * job.  MCX_E_NOMEM, MCX_E_BUSY (no threads to be had). */
mcx_err mcxh_pool_new(struct mcxh_pool **out, unsigned threads,
                      size_t queue_max,
                      void (*post)(void *arg, struct mcxh_job *job),
                      void *arg) MCX_MUST_USE;
/* Queues 'job'.  MCX_E_BUSY: the queue is full; MCX_E_STATE: stopped.  Any
 * thread. */
mcx_err mcxh_pool_submit(struct mcxh_pool *pool,
                         struct mcxh_job *job) MCX_MUST_USE;
/* Has mcxh_pool_free() begun?  Jobs that run long ask. */
bool mcxh_pool_stopping(struct mcxh_pool *pool);
/* Less than half full?  What can wait asks first. */
bool mcxh_pool_quiet(struct mcxh_pool *pool);
size_t mcxh_pool_queued(struct mcxh_pool *pool);
unsigned mcxh_pool_threads(const struct mcxh_pool *pool);
/* Waits for running jobs, posts the others as cancelled, ends the threads.
 * NULL allowed.  Not on a worker. */
void mcxh_pool_free(struct mcxh_pool *pool);

#endif /* MCXH_POOL_H */
