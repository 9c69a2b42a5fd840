/* ttest.c -- see ttest.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ttest.h"

double
ttest_welch(double n0, double mean0, double sq0, double n1, double mean1,
            double sq1)
{
    double var, diff = mean0 - mean1;

    if (n0 < 2 || n1 < 2) {
        return 0;
    }
    var = sq0 / (n0 - 1) / n0 + sq1 / (n1 - 1) / n1;
    if (var <= 0) {
        return diff > 0 ? HUGE_VAL : diff < 0 ? -HUGE_VAL : 0;
    }
    return diff / sqrt(var);
}

/* The test over the samples that are not above 'most'. */
static double
cropped(const uint32_t *ticks, const uint8_t *class, size_t n, uint32_t most,
        size_t least, double mean[2])
{
    double count[2] = { 0, 0 }, sum[2] = { 0, 0 }, sq[2] = { 0, 0 };
    size_t i;

    for (i = 0; i < n; i++) {
        if (ticks[i] <= most) {
            count[class[i]] += 1;
            sum[class[i]] += ticks[i];
        }
    }
    if (count[0] < (double)least || count[1] < (double)least) {
        return 0;
    }
    mean[0] = sum[0] / count[0];
    mean[1] = sum[1] / count[1];
    for (i = 0; i < n; i++) {
        if (ticks[i] <= most) {
            double d = ticks[i] - mean[class[i]];

            sq[class[i]] += d * d;
        }
    }
    return ttest_welch(count[0], mean[0], sq[0], count[1], mean[1], sq[1]);
}

static int
by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

struct ttest
ttest_run(const uint32_t *ticks, const uint8_t *class, size_t n, size_t least,
          uint32_t *sorted)
{
    struct ttest r = { 0 };
    double mean[2] = { 0, 0 };
    int i;

    if (n == 0) {
        return r;
    }
    memcpy(sorted, ticks, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    /* Shares dense near one: 1 - 2^(-i/10), from all down to a half and
     * less; the last of them is a twentieth. */
    for (i = 0; i <= TTEST_CROPS; i++) {
        double share = i == 0 ? 1 : 1 - pow(0.5, (TTEST_CROPS - i + 1) / 10.0);
        size_t last = (size_t)((double)(n - 1) * share);
        double t = cropped(ticks, class, n, sorted[last], least, mean);

        if (i == 0) {
            r.plain = t;
        }
        if (i == 0 || fabs(t) > fabs(r.t)) {
            r.t = t;
            r.crop = share;
            r.mean[0] = mean[0];
            r.mean[1] = mean[1];
        }
    }
    return r;
}
