/* su_post.c -- from worker threads to the sofia loop.
 *
 * Workers append jobs to a list; the first one after a quiet time sends the
 * loop a su_msg as a wake-up call.  One message for many jobs, and no message
 * holds a job: when the root goes first, nothing is lost with its queue.  The
 * object is counted, for a message may come after mcx_destroy(). */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include "su_post.h"

struct mcxs_post {
    pthread_mutex_t lock;
    unsigned refs; /* the owner's and each message's */
    bool closed, called;
    su_task_r task;
    struct mcxh_job *head, **tail;
};

/* su_msg data; sofia wants a type of its own for it. */
struct wake {
    struct mcxs_post *post;
};

static void
unref(struct mcxs_post *post)
{
    unsigned left;

    pthread_mutex_lock(&post->lock);
    left = --post->refs;
    pthread_mutex_unlock(&post->lock);
    if (left == 0) {
        pthread_mutex_destroy(&post->lock);
        free(post);
    }
}

static void
on_wake(su_root_magic_t *magic, su_msg_r msg, su_msg_arg_t *arg)
{
    struct wake *w = (struct wake *)arg;

    (void)magic;
    (void)msg;
    mcxs_post_run(w->post);
}

/* Runs when sofia drops a message, delivered or not. */
static void
on_wake_gone(su_msg_arg_t *arg)
{
    struct wake *w = (struct wake *)arg;

    if (w->post) {
        unref(w->post);
    }
}

/* Called with the lock. */
static void
call_loop(struct mcxs_post *post)
{
    su_msg_r msg = SU_MSG_R_INIT;
    struct wake *w;

    if (post->called ||
        su_msg_create(msg, post->task, su_task_null, on_wake,
                      sizeof *w) != 0) {
        return;
    }
    w = (struct wake *)su_msg_data(msg);
    w->post = post;
    post->refs++;
    su_msg_deinitializer(msg, on_wake_gone);
    post->called = true;
    if (su_msg_send(msg) != 0) {
        /* The deinitializer takes the lock: not while we hold it. */
        post->called = false;
        pthread_mutex_unlock(&post->lock);
        su_msg_destroy(msg);
        pthread_mutex_lock(&post->lock);
    }
}

struct mcxs_post *
mcxs_post_new(su_root_t *root)
{
    struct mcxs_post *post = calloc(1, sizeof *post);

    if (post) {
        pthread_mutex_init(&post->lock, NULL);
        post->refs = 1;
        post->tail = &post->head;
        su_task_copy(post->task, su_root_task(root));
    }
    return post;
}

void
mcxs_post_job(void *arg, struct mcxh_job *job)
{
    struct mcxs_post *post = arg;
    bool closed;

    job->next = NULL;
    pthread_mutex_lock(&post->lock);
    closed = post->closed;
    if (!closed) {
        *post->tail = job;
        post->tail = &job->next;
        call_loop(post);
    }
    pthread_mutex_unlock(&post->lock);
    if (closed) {
        job->done(job);
    }
}

void
mcxs_post_run(struct mcxs_post *post)
{
    struct mcxh_job *job, *next;

    pthread_mutex_lock(&post->lock);
    job = post->head;
    post->head = NULL;
    post->tail = &post->head;
    post->called = false;
    pthread_mutex_unlock(&post->lock);
    for (; job; job = next) {
        next = job->next;
        job->done(job); /* may free it */
    }
}

void
mcxs_post_close(struct mcxs_post *post)
{
    if (!post) {
        return;
    }
    mcxs_post_run(post);
    pthread_mutex_lock(&post->lock);
    post->closed = true;
    su_task_deinit(post->task);
    pthread_mutex_unlock(&post->lock);
    mcxs_post_run(post); /* what came in between */
    unref(post);
}
