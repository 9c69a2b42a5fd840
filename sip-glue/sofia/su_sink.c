/* su_sink.c -- our log lines in sofia's log.
 *
 * Used where the application gives no environment of its own.  Levels of both
 * mean the same, and so can be handed through. */
#include <config.h>
#include <sofia-sip/su_log.h>
#include <pthread.h>
#include "su_sink.h"

static su_log_t sink[] = { SU_LOG_INIT("mcx", "MCX_SU_DEBUG", 9) };
static struct mcx_env env;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
take_line(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area; /* the line starts with it */
    su_llog(sink, (unsigned)level, "%s\n", line);
}

static void
make(void)
{
    su_log_init(sink);
    env = *mcx_env_system();
    env.log = take_line;
}

const struct mcx_env *
mcxs_env(void)
{
    pthread_once(&once, make);
    return &env;
}
