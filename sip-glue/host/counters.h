/* counters.h -- named counts of what happened, for "show counters". */
#ifndef MCXH_COUNTERS_H
#define MCXH_COUNTERS_H

#include <pthread.h>
#include <stdint.h>

enum { MCXH_COUNTERS_MAX = 128 };

/* Zero-initialise, then mcxh_counters_init().  Threads: any. */
struct mcxh_counters {
    pthread_mutex_t lock;
    size_t n;
    struct {
        const char *name;
        uint64_t value;
    } one[MCXH_COUNTERS_MAX];
};

void mcxh_counters_init(struct mcxh_counters *counters);
void mcxh_counters_deinit(struct mcxh_counters *counters);
/* Adds one to 'name', a static string.  Names past the maximum are counted
 * together as "host.other". */
void mcxh_count(struct mcxh_counters *counters, const char *name);
uint64_t mcxh_counter(struct mcxh_counters *counters, const char *name);
/* Calls 'each' in order of first use, without the lock. */
void mcxh_counters_each(struct mcxh_counters *counters,
                        void (*each)(void *arg, const char *name,
                                     uint64_t value),
                        void *arg);

#endif /* MCXH_COUNTERS_H */
