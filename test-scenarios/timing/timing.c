/* timing.c -- make check-timing: the probes of timing.h, one after the other,
 * and the verdict.
 *
 *   timing [NAME...]    probes whose names contain one of NAME; else all
 *
 * For the back-end that MCX_CPU names.  SAMPLES sets how many samples the
 * probes of 1,000,000 take; the others keep their share.  |t| at TTEST_LIMIT
 * or above is measured again, twice, with other samples: what stays is a
 * leak, what does not was the machine; both are said.  A control that fails
 * makes everything else worthless, so it fails the run as well. */
#include <config.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ident/shared.h"
#include "timing.h"

enum { FULL = 1000000, LEAST = 200, TRIES = 3 };

static int failed, controls;

static bool
wanted(const char *name, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (strstr(name, argv[i])) {
            return true;
        }
    }
    return argc < 2;
}

static bool
over(const struct ttest *t)
{
    return !(fabs(t->t) < TTEST_LIMIT);
}

static void
judge(const struct probe *p, size_t full)
{
    size_t n = (size_t)((double)p->samples * (double)full / FULL);
    const char *verdict;
    struct ttest t = { 0 };
    int i = 0;

    n = n < LEAST ? LEAST : n;
    do {
        if (!timing_measure(&t, p, n)) {
            (void)printf("timing: no memory\n");
            exit(2);
        }
        (void)printf("%-40s %8zu  t %9.2f of %5.1f %%  all %8.2f  "
                     "ticks %.0f %.0f\n", p->name, n, t.t, 100 * t.crop,
                     t.plain, t.mean[0], t.mean[1]);
        (void)fflush(stdout);
    } while (!p->leaks && over(&t) && ++i < TRIES);
    verdict = p->leaks ? over(&t) ? NULL : "a leak on purpose went unseen"
              : !over(&t) ? NULL : "LEAK";
    controls += p->leaks;
    if (verdict) {
        (void)printf("  %s: %s\n", p->name, verdict);
        failed = 1;
    } else if (i > 0) {
        (void)printf("  %s: not again, so it was the machine\n", p->name);
    }
}

int
main(int argc, char **argv)
{
    const char *samples = getenv("SAMPLES");
    size_t full = samples && *samples ? strtoul(samples, NULL, 10) : FULL;
    const struct mcx_shared *sh = mcx_shared();
    const struct probe *lists[3] = { timing_controls, timing_field_portable,
                                     timing_whole }, *p;
    size_t i;

    if (!sh) {
        return 2;
    }
#ifdef MCX_HAVE_X86
    lists[1] = strcmp(sh->ops->name, "ifma") == 0 ? timing_field_ifma
               : strcmp(sh->ops->name, "adx") == 0 ? timing_field_adx
                                                   : timing_field_portable;
#endif
    (void)printf("== %s\n", sh->ops->name);
    for (i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (p = lists[i]; p->name; p++) {
            if (!wanted(p->name, argc, argv)) {
                continue;
            }
            if (i == 2) {
                timing_whole_up();
            }
            judge(p, full);
        }
    }
    (void)printf("%s: %s\n", sh->ops->name,
                 failed ? "FAILED"
                 : controls ? "no leak seen, but for the controls"
                            : "no leak seen; the controls did not run");
    return failed;
}
