/* events.h -- the event lines of mcx-ua and mcx-pf, and who waits for them.
 *
 * Every event is one line for people and scripts,
 *
 *   2026-11-30T21:00:00.123Z event key kind=csk id=2f3a91c0 state=active
 *
 * and can be consumed by one `wait`: the oldest unconsumed one that fits.
 * Pure bookkeeping without sockets or clock, so that tests drive it. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENTS_KEPT = 4096,  /* unconsumed; then the oldest goes */
    EVENTS_LINE = 4096,  /* characters of a line, NUL included */
    EVENTS_ARGS = 16     /* conditions of a wait */
};

struct events;

/* One `key=value` as given: name and value, not quoted. */
struct events_arg {
    char *name;
    char *value;
};
/* Somebody who waits.  Strings are the waiter's and live until 'done'. */
struct events_wait {
    const char *name;
    struct events_arg arg[EVENTS_ARGS];
    size_t n_args;
    int64_t until_ms; /* of the clock that the caller uses */
    /* 'line' NULL: time is over.  May start a new wait. */
    void (*done)(struct events_wait *wait, const char *line);
    void *owner;
    struct events_wait *next; /* private */
    bool queued;              /* private */
};

struct events *events_new(void); /* NULL: no memory */
void events_free(struct events *events);

/* Formats a line into 'line': time, name, and pairs; values that are empty or
 * hold spaces, quotes, backslashes or control characters are quoted, control
 * characters becoming '?'.  A pair with a NULL value is left out. */
void events_line(char line[EVENTS_LINE], int64_t unix_ms, const char *name,
                 const char *const *pairs, size_t n_pairs);
/* A new event; gives it to the oldest fitting waiter, or keeps it. */
void events_post(struct events *events, const char *line);
/* Gives 'wait' a kept event at once (true), or queues it (false). */
bool events_wait(struct events *events, struct events_wait *wait);
/* Takes 'wait' out of the queue without calling it. */
void events_forget(struct events *events, struct events_wait *wait);
/* Ends the waits whose time is over; returns milliseconds until the next one
 * is, or -1 when nobody waits. */
int64_t events_expire(struct events *events, int64_t now_ms);

/* Splits a command line in place: words between spaces, "..." keeps spaces,
 * \" and \\ inside.  Returns the count of words, or -1 when a quote is open or
 * there are more than 'max'. */
int events_split(char *line, char **word, int max);
/* Fills 'wait' from words: NAME [seconds] [key=value ...].  '*timeout_ms' is
 * left alone when no seconds are given.  NULL, or what is wrong. */
const char *events_parse_wait(struct events_wait *wait, int64_t *timeout_ms,
                              int n_words, char **word);

#endif /* EVENTS_H */
