/* ttest.h -- do two classes of measurements differ?  Welch's t-test over
 * ticks, repeated with the slow tail cut off at a hundred places: a tail is
 * mostly interrupts, which hide what is below it.
 *
 * The programs of this folder and test_ttest call it. */
#ifndef MCX_TIMING_TTEST_H
#define MCX_TIMING_TTEST_H

#include <stddef.h>
#include <stdint.h>

/* Above this the classes differ: by chance about once in 10^5 t values. */
#define TTEST_LIMIT 4.5

enum { TTEST_CROPS = 100 };

struct ttest {
    double t;      /* the largest in size of all crops, with its sign     */
    double crop;   /* the share of samples it was computed of             */
    double plain;  /* t of all samples                                    */
    double mean[2]; /* ticks of each class at that crop                   */
};

/* Welch's t of two samples by their sizes, means and sums of squared
 * differences from the mean; 0 when one has fewer than two members or nothing
 * varies and the means are equal. */
double ttest_welch(double n0, double mean0, double sq0, double n1,
                   double mean1, double sq1);

/* 'ticks' and 'class' (0 or 1) of 'n' measurements; 'sorted' is room for n
 * more.  Crops with fewer than 'least' members of a class are left out. */
struct ttest ttest_run(const uint32_t *ticks, const uint8_t *class, size_t n,
                       size_t least, uint32_t *sorted);

#endif /* MCX_TIMING_TTEST_H */
