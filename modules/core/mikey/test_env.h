/* test_env.h -- for tests of core/mikey: a clock that the test steps, random
 * octets that repeat, and a knife for messages.
 *
 * Random octets come from a 64-bit generator with a fixed seed, so a test run
 * twice builds the same message twice. */
#ifndef MCX_TEST_MIKEY_ENV_H
#define MCX_TEST_MIKEY_ENV_H

#include <stdlib.h>
#include <sofia-mcx/mcx_mikey.h>

struct test_env {
    struct mcx_env env;
    int64_t now_ms;
    uint64_t seed;
    bool random_fails;
};

static inline int64_t
test_env_now(void *ctx)
{
    return ((struct test_env *)ctx)->now_ms;
}

static inline mcx_err
test_env_random(void *ctx, void *out, size_t n)
{
    struct test_env *te = ctx;
    uint8_t *p = out;
    size_t i;

    if (te->random_fails) {
        return MCX_E_IO;
    }
    for (i = 0; i < n; i++) { /* xorshift64* */
        te->seed ^= te->seed >> 12;
        te->seed ^= te->seed << 25;
        te->seed ^= te->seed >> 27;
        p[i] = (uint8_t)((te->seed * UINT64_C(0x2545f4914f6cdd1d)) >> 56);
    }
    return MCX_OK;
}

static inline void
test_env_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static inline void
test_env_init(struct test_env *te, int64_t now_ms)
{
    memset(te, 0, sizeof *te);
    te->now_ms = now_ms;
    te->seed = UINT64_C(0x9e3779b97f4a7c15);
    te->env.ctx = te;
    te->env.unix_ms = test_env_now;
    te->env.mono_ms = test_env_now;
    te->env.random = test_env_random;
    te->env.log = test_env_log;
}

/* Writes to 'out' the message made of HDR and those payloads of 'm' that
 * 'order' lists by index (in m->pl, from 1), with the next-payload octets of
 * the chain set right; returns the size.  SIGN has no such octet. */
static inline size_t
test_rechain(uint8_t *out, const struct mcx_mikey_msg *m, const size_t *order,
             size_t n)
{
    size_t at = m->pl[0].size, next_at = 2, i;

    memcpy(out, m->octets.p, at);
    for (i = 0; i < n; i++) {
        const struct mcx_pl *pl = &m->pl[order[i]];

        if (next_at != SIZE_MAX) {
            out[next_at] = pl->type;
        }
        memcpy(out + at, m->octets.p + pl->at, pl->size);
        next_at = pl->type == MCX_PL_SIGN ? SIZE_MAX : at;
        at += pl->size;
    }
    if (next_at != SIZE_MAX) {
        out[next_at] = MCX_PL_LAST;
    }
    return at;
}

#endif /* MCX_TEST_MIKEY_ENV_H */
