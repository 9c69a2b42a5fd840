/* su_sink.h -- our log lines in sofia's log. */
#ifndef MCXS_SU_SINK_H
#define MCXS_SU_SINK_H

#include <sofia-mcx/mcx_env.h>

/* The system environment, its log going to su_log: a program that redirects
 * sofia's log gets ours as well.  Levels are judged before (mcx_log_level()),
 * so all that arrives is written. */
const struct mcx_env *mcxs_env(void);

#endif /* MCXS_SU_SINK_H */
