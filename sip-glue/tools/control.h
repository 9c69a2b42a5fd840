/* control.h -- the line interface of mcx-ua and mcx-pf: commands in, answers
 * and events out, over standard input or a Unix socket.
 *
 * Every answer ends with a line `ok [...]` or `error TEXT`.  A connection runs
 * one command after the other; one that waits does not hold up the others.
 * Events go to standard output and to whoever waits for them.  All calls on
 * the thread of the root. */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <sofia-sip/su_wait.h>
#include <sofia-mcx/mcx_kms.h>

struct control;
struct control_conn;

struct control_command {
    const char *name;
    const char *args, *help; /* for `help` */
    int min, max;            /* words after the name */
    /* Must answer exactly once, with control_ok() or control_error(), before
     * it returns. */
    void (*run)(void *app, struct control_conn *conn, int argc, char **argv);
};

/* 'path' NULL: standard input.  `wait`, `help` and `quit` are added here;
 * `quit` breaks the root.  MCX_E_CONFIG, MCX_E_IO with 'text'; MCX_E_NOMEM. */
mcx_err control_new(struct control **out, su_root_t *root,
                    const struct mcx_env *env, const char *path,
                    const struct control_command *commands, size_t n,
                    void *app, struct mcx_text *text) MCX_MUST_USE;
/* Removes the socket; NULL allowed. */
void control_free(struct control *control);

/* An event: name, then pairs of key and value, then NULL.  A pair whose value
 * is NULL is left out.  'control' may be NULL: nobody is told. */
void control_event(struct control *control, const char *name, ...)
    __attribute__((sentinel));

/* A piece of an answer, of any length. */
void control_print(struct control_conn *conn, const char *fmt, ...)
    MCX_PRINTF(2, 3);
/* 'text' as a JSON string, quotes included. */
void control_json(struct control_conn *conn, const char *text);
void control_ok(struct control_conn *conn, const char *fmt, ...)
    MCX_PRINTF(2, 3);
void control_error(struct control_conn *conn, const char *fmt, ...)
    MCX_PRINTF(2, 3);

/* The other side: sends the command 'argv' to the socket 'path', tries for 5 s
 * to connect, prints the answer.  Returns the exit code: 0 ok, 1 error, 2
 * usage. */
int control_client(const char *path, int argc, char **argv);

#endif /* CONTROL_H */
