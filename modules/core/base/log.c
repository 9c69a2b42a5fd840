/* log.c -- levels, and one line an event.  See mcx_env.h.  Where a line goes
 * is the environment's business. */
#include <config.h>
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sofia-mcx/mcx_env.h>

enum { DEFAULT_LEVEL = 3 };

static const char *const words[MCX_AREA_COUNT] = {
#define MCX_X(name, word) word,
    MCX_AREA_LIST(MCX_X)
#undef MCX_X
};
static atomic_int levels[MCX_AREA_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

const char *
mcx_area_word(enum mcx_area area)
{
    return (unsigned)area < MCX_AREA_COUNT ? words[area] : "?";
}

static int
level_of(const char *text, int fallback)
{
    char *end;
    long v;

    if (!text || !*text) {
        return fallback;
    }
    v = strtol(text, &end, 10);
    return *end || v < 0 || v > 9 ? fallback : (int)v;
}

static void
read_levels(void)
{
    int all = level_of(getenv("MCX_DEBUG"), DEFAULT_LEVEL);
    size_t i, j;

    for (i = 0; i < MCX_AREA_COUNT; i++) {
        char name[48];

        (void)snprintf(name, sizeof name, "MCX_%s_DEBUG", words[i]);
        for (j = 0; name[j]; j++) {
            name[j] = name[j] == '-' ? '_'
                                     : (char)toupper((unsigned char)name[j]);
        }
        atomic_store(&levels[i], level_of(getenv(name), all));
    }
}

void
mcx_log_level(enum mcx_area area, int level)
{
    (void)pthread_once(&once, read_levels);
    if ((unsigned)area < MCX_AREA_COUNT) {
        atomic_store(&levels[area], level);
    }
}

bool
mcx_log_on(enum mcx_area area, int level)
{
    (void)pthread_once(&once, read_levels);
    return (unsigned)area < MCX_AREA_COUNT
           && level <= atomic_load(&levels[area]);
}

void
mcx_log(const struct mcx_env *env, enum mcx_area area, int level,
        const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    size_t i;

    if (!env || !env->log || !mcx_log_on(area, level)) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    /* Names in a line may come from a peer: one event stays one line. */
    for (i = 0; line[i]; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    env->log(env->ctx, area, level, line);
}

void
mcx_log_why(const struct mcx_env *env, enum mcx_area area, int level,
            mcx_err err, const struct mcx_why *why, const char *who)
{
    if (!why || why->reason == MCX_R_NONE) {
        mcx_log(env, area, level, "refused, %s%s%s", mcx_err_text(err),
                who && *who ? ", " : "", who ? who : "");
        return;
    }
    mcx_log(env, area, level, "refused, %s, %s at %zu%s%s%s%s",
            mcx_reason_word(why->reason),
            why->payload && *why->payload ? why->payload : "message",
            why->offset, who && *who ? ", " : "", who ? who : "",
            why->clause && *why->clause ? ", " : "",
            why->clause ? why->clause : "");
}
