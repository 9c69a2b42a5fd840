/* pick.c -- which back-end runs.  See ops.h.  MCX_CPU=portable|adx|ifma forces
 * one, as far as the machine can run it; anything else is as if unset.  adx is
 * believed, for valgrind runs it and does not say so. */
#include <config.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "ops.h"
#ifdef MCX_HAVE_X86
#include <cpuid.h>
#endif

static _Atomic(const struct mcx_ops *) chosen;

#ifdef MCX_HAVE_X86
/* clang has no word for ADX in __builtin_cpu_supports(). */
static bool
has_adx(void)
{
    unsigned a, b = 0, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d)
           && (b & bit_ADX) && (b & bit_BMI2);
}

static bool
has_ifma(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f")
           && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl")
           && __builtin_cpu_supports("avx512bw")
           && __builtin_cpu_supports("avx512vbmi2")
           && __builtin_cpu_supports("avx512ifma");
}
#endif

const struct mcx_ops *
mcx_ops_named(const char *name)
{
#ifdef MCX_HAVE_X86
    if (strcmp(name, "adx") == 0) {
        return has_adx() ? &mcx_ops_adx : NULL;
    }
    if (strcmp(name, "ifma") == 0) {
        return has_ifma() ? &mcx_ops_ifma : NULL;
    }
#endif
    return strcmp(name, "portable") == 0 ? &mcx_ops_portable : NULL;
}

static const struct mcx_ops *
fastest(void)
{
    static const char *const order[] = { "ifma", "adx" };
    const char *forced = getenv("MCX_CPU");
    const struct mcx_ops *ops = forced ? mcx_ops_named(forced) : NULL;
    size_t i;

#ifdef MCX_HAVE_X86
    if (forced && strcmp(forced, "adx") == 0) {
        ops = &mcx_ops_adx;
    }
#ifdef MCX_CT /* emulated there */
    if (forced && strcmp(forced, "ifma") == 0) {
        ops = &mcx_ops_ifma;
    }
#endif
#endif
    for (i = 0; !ops && i < sizeof order / sizeof order[0]; i++) {
        ops = mcx_ops_named(order[i]);
    }
    return ops ? ops : &mcx_ops_portable;
}

const struct mcx_ops *
mcx_ops(void)
{
    const struct mcx_ops *none = NULL;
    const struct mcx_ops *ops =
        atomic_load_explicit(&chosen, memory_order_relaxed);

    if (!ops) { /* whoever is first decides; all would decide the same */
        ops = fastest();
        if (!atomic_compare_exchange_strong(&chosen, &none, ops)) {
            ops = none;
        }
    }
    return ops;
}

void
mcx_ops_fall_back(void)
{
    atomic_store(&chosen, &mcx_ops_portable);
}
