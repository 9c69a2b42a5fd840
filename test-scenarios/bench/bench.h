/* bench.h -- a row of bench.c's table. */
#ifndef MCX_BENCH_BENCH_H
#define MCX_BENCH_BENCH_H

struct bench_row {
    const char *name;
    void (*run)(void);
    int times, every; /* runs in a round; every how many rounds it runs */
};

/* The rows of libwolfssl, '*n' of them; made ready. */
const struct bench_row *bench_wolf(int *n);

#endif /* MCX_BENCH_BENCH_H */
