/* events.c -- event lines, the events nobody has consumed, and the waiters.
 *
 * Called by control.c, which owns sockets and timers.  A kept event is its
 * line; conditions are judged by reading the line again, so there is one form
 * of an event and no second one to disagree with it. */
#include <config.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_env.h>

#include "events.h"

struct events {
    char *kept[EVENTS_KEPT]; /* a ring; NULL: consumed from the middle */
    size_t first, n;
    struct events_wait *waits, **tail;
};

struct events *
events_new(void)
{
    struct events *events = calloc(1, sizeof *events);

    if (events != NULL) {
        events->tail = &events->waits;
    }
    return events;
}

void
events_free(struct events *events)
{
    size_t i;

    if (events != NULL) {
        for (i = 0; i < EVENTS_KEPT; i++) {
            free(events->kept[i]);
        }
        free(events);
    }
}

/* A bounded text under construction; what does not fit is cut. */
struct text {
    char *s;
    size_t n, room;
};

static void
put(struct text *t, char c)
{
    if (t->n + 1 < t->room) {
        t->s[t->n++] = c;
        t->s[t->n] = '\0';
    }
}

static void
put_text(struct text *t, const char *s)
{
    while (*s != '\0') {
        put(t, *s++);
    }
}

static void
put_value(struct text *t, const char *value)
{
    const char *s;
    bool quote = *value == '\0';

    for (s = value; *s != '\0'; s++) {
        quote = quote || (unsigned char)*s <= ' ' || *s == 0x7f || *s == '"'
                || *s == '\\';
    }
    if (quote) {
        put(t, '"');
    }
    for (s = value; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\') {
            put(t, '\\');
        }
        put(t, iscntrl((unsigned char)*s) ? '?' : *s);
    }
    if (quote) {
        put(t, '"');
    }
}

void
events_line(char line[EVENTS_LINE], int64_t unix_ms, const char *name,
            const char *const *pairs, size_t n_pairs)
{
    struct text t = { line, 0, EVENTS_LINE };
    char when[MCX_RFC3339_SIZE];
    size_t i;

    /* Columns should stand still, so the milliseconds are always there. */
    mcx_time_text(when, unix_ms - unix_ms % 1000);
    when[strcspn(when, "Z")] = '\0';
    (void)snprintf(line, EVENTS_LINE, "%s.%03dZ event %s", when,
                   (int)(unix_ms % 1000), name);
    t.n = strlen(line);
    for (i = 0; i < n_pairs; i++) {
        if (pairs[2 * i + 1] != NULL) {
            put(&t, ' ');
            put_text(&t, pairs[2 * i]);
            put(&t, '=');
            put_value(&t, pairs[2 * i + 1]);
        }
    }
}

int
events_split(char *line, char **word, int max)
{
    char *in = line, *out = line;
    int n = 0;

    for (;;) {
        bool quoted = false;

        while (*in == ' ' || *in == '\t' || *in == '\r') {
            in++;
        }
        if (*in == '\0') {
            return n;
        }
        if (n == max) {
            return -1;
        }
        word[n++] = out;
        while (*in != '\0'
               && (quoted || (*in != ' ' && *in != '\t' && *in != '\r'))) {
            if (*in == '"') {
                quoted = !quoted;
                in++;
            } else {
                if (quoted && *in == '\\'
                    && (in[1] == '"' || in[1] == '\\')) {
                    in++;
                }
                *out++ = *in++;
            }
        }
        if (quoted) {
            return -1;
        }
        if (*in != '\0') {
            in++;
        }
        *out++ = '\0';
    }
}

const char *
events_parse_wait(struct events_wait *wait, int64_t *timeout_ms, int n_words,
                  char **word)
{
    int i = 1;

    if (n_words < 1) {
        return "wait what?  Give the name of an event";
    }
    wait->name = word[0];
    wait->n_args = 0;
    if (n_words > 1 && strchr(word[1], '=') == NULL) {
        char *end;
        double s = strtod(word[1], &end);

        /* 10 days; also keeps NaN and infinity out. */
        if (end == word[1] || *end != '\0' || !(s >= 0 && s <= 864000)) {
            return "the time-out must be a number of seconds";
        }
        *timeout_ms = (int64_t)(s * 1000);
        i = 2;
    }
    for (; i < n_words; i++) {
        char *eq = strchr(word[i], '=');

        if (eq == NULL || eq == word[i] || wait->n_args == EVENTS_ARGS) {
            return "conditions have the form key=value";
        }
        *eq = '\0';
        wait->arg[wait->n_args].name = word[i];
        wait->arg[wait->n_args].value = eq + 1;
        wait->n_args++;
    }
    return NULL;
}

/* Does the event of 'line' have the name and every value that is asked? */
static bool
fits(const struct events_wait *wait, const char *line)
{
    char copy[EVENTS_LINE];
    char *word[64];
    size_t i;
    int n, k;

    (void)snprintf(copy, sizeof copy, "%s", line);
    n = events_split(copy, word, 64);
    if (n < 3 || strcmp(word[2], wait->name) != 0) {
        return false;
    }
    for (i = 0; i < wait->n_args; i++) {
        size_t len = strlen(wait->arg[i].name);
        bool found = false;

        for (k = 3; k < n && !found; k++) {
            found = strncmp(word[k], wait->arg[i].name, len) == 0
                    && word[k][len] == '='
                    && strcmp(word[k] + len + 1, wait->arg[i].value) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static void
unqueue(struct events *events, struct events_wait *wait)
{
    struct events_wait **at = &events->waits;

    while (*at != NULL && *at != wait) {
        at = &(*at)->next;
    }
    if (*at == wait) {
        *at = wait->next;
        if (*at == NULL) {
            events->tail = at;
        }
    }
    wait->next = NULL;
    wait->queued = false;
}

static void
keep(struct events *events, const char *line)
{
    size_t at;

    if (events->n == EVENTS_KEPT) {
        free(events->kept[events->first]);
        events->kept[events->first] = NULL;
        events->first = (events->first + 1) % EVENTS_KEPT;
        events->n--;
    }
    at = (events->first + events->n) % EVENTS_KEPT;
    events->kept[at] = strdup(line);
    if (events->kept[at] != NULL) {
        events->n++;
    }
}

void
events_post(struct events *events, const char *line)
{
    struct events_wait *wait;

    for (wait = events->waits; wait != NULL; wait = wait->next) {
        if (fits(wait, line)) {
            unqueue(events, wait);
            wait->done(wait, line);
            return;
        }
    }
    keep(events, line);
}

bool
events_wait(struct events *events, struct events_wait *wait)
{
    size_t i;

    for (i = 0; i < events->n; i++) {
        char **kept = &events->kept[(events->first + i) % EVENTS_KEPT];

        if (*kept != NULL && fits(wait, *kept)) {
            char *line = *kept;

            *kept = NULL;
            while (events->n > 0 && events->kept[events->first] == NULL) {
                events->first = (events->first + 1) % EVENTS_KEPT;
                events->n--;
            }
            wait->done(wait, line);
            free(line);
            return true;
        }
    }
    wait->next = NULL;
    wait->queued = true;
    *events->tail = wait;
    events->tail = &wait->next;
    return false;
}

void
events_forget(struct events *events, struct events_wait *wait)
{
    if (wait->queued) {
        unqueue(events, wait);
    }
}

int64_t
events_expire(struct events *events, int64_t now_ms)
{
    struct events_wait *wait = events->waits;
    int64_t next = -1;

    while (wait != NULL) {
        if (wait->until_ms <= now_ms) {
            unqueue(events, wait);
            wait->done(wait, NULL);
            wait = events->waits; /* done() may have changed the queue */
            next = -1;
        } else {
            if (next < 0 || wait->until_ms - now_ms < next) {
                next = wait->until_ms - now_ms;
            }
            wait = wait->next;
        }
    }
    return next;
}
