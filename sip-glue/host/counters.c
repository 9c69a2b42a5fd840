/* counters.c -- a small table under a lock.
 *
 * Any thread counts; programs read.  Names are few and static, so they are
 * looked for one by one. */
#include <config.h>
#include <stddef.h>
#include <string.h>
#include "counters.h"

void
mcxh_counters_init(struct mcxh_counters *counters)
{
    pthread_mutex_init(&counters->lock, NULL);
    counters->n = 1;
    counters->one[0].name = "host.other";
    counters->one[0].value = 0;
}

void
mcxh_counters_deinit(struct mcxh_counters *counters)
{
    pthread_mutex_destroy(&counters->lock);
}

/* Called with the lock; counters->n when there is none. */
static size_t
find(const struct mcxh_counters *counters, const char *name)
{
    size_t i;

    for (i = 0; i < counters->n; i++) {
        if (strcmp(counters->one[i].name, name) == 0) {
            break;
        }
    }
    return i;
}

void
mcxh_count(struct mcxh_counters *counters, const char *name)
{
    size_t i;

    pthread_mutex_lock(&counters->lock);
    i = find(counters, name);
    if (i == counters->n) {
        if (counters->n < MCXH_COUNTERS_MAX) {
            counters->one[i].name = name;
            counters->one[i].value = 0;
            counters->n++;
        } else {
            i = 0;
        }
    }
    counters->one[i].value++;
    pthread_mutex_unlock(&counters->lock);
}

uint64_t
mcxh_counter(struct mcxh_counters *counters, const char *name)
{
    uint64_t value = 0;
    size_t i;

    pthread_mutex_lock(&counters->lock);
    i = find(counters, name);
    if (i < counters->n) {
        value = counters->one[i].value;
    }
    pthread_mutex_unlock(&counters->lock);
    return value;
}

void
mcxh_counters_each(struct mcxh_counters *counters,
                   void (*each)(void *arg, const char *name, uint64_t value),
                   void *arg)
{
    const char *name;
    uint64_t value;

    for (size_t i = 0; i < MCXH_COUNTERS_MAX; i++) {
        pthread_mutex_lock(&counters->lock);
        if (i >= counters->n) {
            pthread_mutex_unlock(&counters->lock);
            break;
        }
        name = counters->one[i].name;
        value = counters->one[i].value;
        pthread_mutex_unlock(&counters->lock);
        if (i > 0 || value > 0) {
            each(arg, name, value);
        }
    }
}
