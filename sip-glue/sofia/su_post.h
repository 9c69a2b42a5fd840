/* su_post.h -- from any thread to the sofia loop. */
#ifndef MCXS_SU_POST_H
#define MCXS_SU_POST_H

#include <sofia-sip/su_wait.h>
#include "host/pool.h"

struct mcxs_post;

/* For the loop of 'root', on whose thread this is called.  NULL when memory is
 * short. */
struct mcxs_post *mcxs_post_new(su_root_t *root);
/* Has 'job->done' called on the loop, in the order of the calls.  Any thread;
 * cannot fail: when sofia has no message to give, the job waits for the next
 * mcxs_post_run().  After mcxs_post_close() it calls done() at once. */
void mcxs_post_job(void *post, struct mcxh_job *job);
/* Runs what waits.  Loop. */
void mcxs_post_run(struct mcxs_post *post);
/* Runs what waits, and detaches from the loop; the object goes when the last
 * message under way has gone.  Loop; NULL allowed. */
void mcxs_post_close(struct mcxs_post *post);

#endif /* MCXS_SU_POST_H */
