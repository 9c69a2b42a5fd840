/* test_double.h -- what test_glue and its module share. */
#ifndef TEST_DOUBLE_H
#define TEST_DOUBLE_H

#include <stdatomic.h>

/* Exported by the module; the test opens the same file to reach it. */
struct dbl_control {
    atomic_int keys_arrived; /* "park" opens                        */
    atomic_int gate_closed;  /* "slow" waits                        */
    atomic_int refuse_next;  /* so many uploads are refused         */
    atomic_int replays;      /* bodies that came twice              */
    atomic_int uploads;      /* REGISTERs with a body               */
    atomic_int published;    /* PUBLISHes                           */
    atomic_int settled, not_sent;
    atomic_int outcome_200, outcome_other, outcome_0;
    atomic_int resumed;
    atomic_int together;     /* the most that were judged at once    */
    atomic_int offers;       /* judged                              */
};

#endif /* TEST_DOUBLE_H */
