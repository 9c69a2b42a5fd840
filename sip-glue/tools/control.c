/* control.c -- connections, command lines and waits on the su_root loop.
 *
 * Called by ua_main.c and pf_main.c.  Answers are queued and written as the
 * peer takes them, so a stuck reader costs memory up to a limit and then its
 * connection, never time.  A wait that an event ends is answered at once, but
 * the next command of its connection runs from a timer: events come from deep
 * within callbacks, where a `hangup` would pull the ground away. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "events.h"

enum {
    CONNS_MAX = 256,
    LINE_MAX_SIZE = 8192,
    WORDS_MAX = 32,
    OUT_MAX = 64 << 20,
    WAIT_DEFAULT_MS = 10000,
    CONNECT_TRIES_MS = 5000,
    CONNECT_STEP_MS = 50
};

struct control_conn {
    struct control *control;
    struct control_conn *next;
    int in_fd, out_fd;
    int index;      /* of the su_root registration, -1: none */
    bool pollable;  /* false: a regular file on standard input */
    bool want_out;  /* waits for room to write */
    bool ended;     /* end of input seen       */
    bool answered;  /* the running command has answered */
    bool heard;     /* anything was ever read  */
    bool broken;    /* to be freed             */
    char line[LINE_MAX_SIZE];
    size_t n;
    char *out;
    size_t out_n, out_room;
    struct events_wait wait;
    bool waiting;
    char wait_words[LINE_MAX_SIZE]; /* what 'wait' points into */
};

struct control {
    su_root_t *root;
    const struct mcx_env *env;
    void *app;
    const struct control_command *commands;
    size_t n_commands;
    struct events *events;
    struct control_conn *conns;
    size_t n_conns;
    su_timer_t *timer;
    int listen_fd, listen_index;
    char *path;
};

static void pump(struct control_conn *conn);
static int conn_ready(su_root_magic_t *magic, su_wait_t *w,
                      su_wakeup_arg_t *arg);

/* ---- timer ------------------------------------------------------------- */

static void
on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    struct control *control = arg;
    struct control_conn *conn, *next;
    int64_t left;

    (void)magic;
    left = events_expire(control->events,
                         control->env->mono_ms(control->env->ctx));
    if (left >= 0) {
        (void)su_timer_set_interval(timer, on_timer, control,
                                    (su_duration_t)(left + 1));
    }
    for (conn = control->conns; conn != NULL; conn = next) {
        next = conn->next;
        pump(conn);
    }
}

/* Looks at everything again soon. */
static void
kick(struct control *control)
{
    (void)su_timer_set_interval(control->timer, on_timer, control, 1);
}

/* ---- connections ------------------------------------------------------- */

static void
conn_free(struct control_conn *conn)
{
    struct control *control = conn->control;
    struct control_conn **at = &control->conns;

    while (*at != conn) {
        at = &(*at)->next;
    }
    *at = conn->next;
    control->n_conns--;
    events_forget(control->events, &conn->wait);
    if (conn->index >= 0) {
        (void)su_root_deregister(control->root, conn->index);
    }
    if (conn->in_fd > 2) {
        (void)close(conn->in_fd);
    }
    free(conn->out);
    free(conn);
}

static struct control_conn *
conn_new(struct control *control, int in_fd, int out_fd)
{
    struct control_conn *conn = calloc(1, sizeof *conn);
    struct stat st;
    su_wait_t wait[1] = { SU_WAIT_INIT };

    if (conn == NULL) {
        return NULL;
    }
    conn->control = control;
    conn->in_fd = in_fd;
    conn->out_fd = out_fd;
    conn->index = -1;
    conn->pollable = fstat(in_fd, &st) == 0 && !S_ISREG(st.st_mode)
                     && !(S_ISCHR(st.st_mode) && !isatty(in_fd));
    conn->next = control->conns;
    control->conns = conn;
    control->n_conns++;
    if (conn->pollable) {
        if (su_wait_create(wait, in_fd, SU_WAIT_IN) != 0
            || (conn->index = su_root_register(control->root, wait,
                                               conn_ready, conn, 0)) < 0) {
            conn->index = -1;
            conn->in_fd = -1; /* still the caller's */
            conn_free(conn);
            return NULL;
        }
    } else {
        kick(control);
    }
    return conn;
}

/* Asks for the events that matter now; a hang-up always comes. */
static void
set_mask(struct control_conn *conn)
{
    int mask = (conn->ended ? 0 : SU_WAIT_IN)
               | (conn->want_out ? SU_WAIT_OUT : 0);

    if (conn->index >= 0) {
        (void)su_root_eventmask(conn->control->root, conn->index,
                                conn->in_fd, mask);
    }
}

/* Writes what the peer takes. */
static void
flush_out(struct control_conn *conn)
{
    size_t done = 0;
    bool socket = conn->in_fd == conn->out_fd;

    while (done < conn->out_n) {
        ssize_t n = socket ? send(conn->out_fd, conn->out + done,
                                  conn->out_n - done,
                                  MSG_NOSIGNAL | MSG_DONTWAIT)
                           : write(conn->out_fd, conn->out + done,
                                   conn->out_n - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            conn->broken = errno != EAGAIN && errno != EWOULDBLOCK;
            break;
        }
        done += (size_t)n;
    }
    if (conn->broken) {
        conn->out_n = 0;
    } else if (done > 0) {
        conn->out_n -= done;
        memmove(conn->out, conn->out + done, conn->out_n);
    }
    if (conn->want_out != (conn->out_n > 0)) {
        conn->want_out = conn->out_n > 0;
        set_mask(conn);
    }
}

static void
add_out(struct control_conn *conn, const char *s, size_t n)
{
    if (n == 0) {
        return;
    }
    if (conn->broken || n > OUT_MAX - conn->out_n) {
        conn->broken = true;
        return;
    }
    if (conn->out_n + n > conn->out_room) {
        size_t room = 2 * (conn->out_n + n);
        char *out = realloc(conn->out, room);

        if (out == NULL) {
            conn->broken = true;
            return;
        }
        conn->out = out;
        conn->out_room = room;
    }
    memcpy(conn->out + conn->out_n, s, n);
    conn->out_n += n;
}

static void MCX_PRINTF(2, 0)
print_va(struct control_conn *conn, const char *fmt, va_list va)
{
    char *s = NULL;
    int n = vasprintf(&s, fmt, va);

    if (n < 0) {
        conn->broken = true;
        return;
    }
    add_out(conn, s, (size_t)n);
    free(s);
}

void
control_print(struct control_conn *conn, const char *fmt, ...)
{
    va_list va;

    va_start(va, fmt);
    print_va(conn, fmt, va);
    va_end(va);
}

void
control_json(struct control_conn *conn, const char *text)
{
    const unsigned char *s;

    add_out(conn, "\"", 1);
    for (s = (const unsigned char *)text; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\') {
            control_print(conn, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            control_print(conn, "\\u%04x", *s);
        } else {
            add_out(conn, (const char *)s, 1);
        }
    }
    add_out(conn, "\"", 1);
}

/* The last line of an answer. */
static void MCX_PRINTF(3, 0)
answer_va(struct control_conn *conn, const char *word, const char *fmt,
          va_list va)
{
    size_t before;

    add_out(conn, word, strlen(word));
    add_out(conn, " ", 1);
    before = conn->out_n;
    print_va(conn, fmt, va);
    if (conn->out_n == before && before > 0) {
        conn->out_n--; /* nothing to say but the word */
    }
    add_out(conn, "\n", 1);
    flush_out(conn);
    conn->answered = true;
}

void
control_ok(struct control_conn *conn, const char *fmt, ...)
{
    va_list va;

    va_start(va, fmt);
    answer_va(conn, "ok", fmt, va);
    va_end(va);
}

void
control_error(struct control_conn *conn, const char *fmt, ...)
{
    va_list va;

    va_start(va, fmt);
    answer_va(conn, "error", fmt, va);
    va_end(va);
}

/* ---- commands ---------------------------------------------------------- */

static void
wait_done(struct events_wait *wait, const char *line)
{
    struct control_conn *conn = wait->owner;

    conn->waiting = false;
    if (line != NULL) {
        control_ok(conn, "%s", line);
    } else {
        control_error(conn, "timeout");
    }
    kick(conn->control);
}

static void
run_wait(struct control_conn *conn, int argc, char **argv)
{
    struct control *control = conn->control;
    int64_t timeout_ms = WAIT_DEFAULT_MS;
    const char *wrong;
    char *word[WORDS_MAX];
    size_t used = 0;
    int i;

    /* The words must outlive the input line. */
    for (i = 1; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;

        word[i - 1] = memcpy(conn->wait_words + used, argv[i], n);
        used += n;
    }
    wrong = events_parse_wait(&conn->wait, &timeout_ms, argc - 1, word);
    if (wrong != NULL) {
        control_error(conn, "%s", wrong);
        return;
    }
    conn->wait.done = wait_done;
    conn->wait.owner = conn;
    conn->wait.until_ms = control->env->mono_ms(control->env->ctx)
                          + timeout_ms;
    conn->waiting = true;
    (void)events_wait(control->events, &conn->wait);
    kick(control);
}

static void
run_help(struct control_conn *conn)
{
    const struct control *control = conn->control;
    size_t i;

    for (i = 0; i < control->n_commands; i++) {
        const struct control_command *c = &control->commands[i];

        control_print(conn, "%s%s%s\n    %s\n", c->name,
                      c->args[0] != '\0' ? " " : "", c->args, c->help);
    }
    control_print(conn, "wait EVENT [SECONDS] [KEY=VALUE ...]\n"
                        "    the oldest event of that name and values that "
                        "nobody has consumed,\n"
                        "    or the next one; time-out 10 seconds\n"
                        "help\n    this list\n"
                        "quit\n    end the program\n");
    control_ok(conn, "%s", "");
}

static void
run_line(struct control_conn *conn, char *line)
{
    struct control *control = conn->control;
    const struct control_command *c = NULL;
    char *word[WORDS_MAX];
    size_t i;
    int n = events_split(line, word, WORDS_MAX);

    if (n == 0 || (n > 0 && word[0][0] == '#')) {
        return;
    }
    conn->answered = false;
    if (n < 0) {
        control_error(conn, "a quote is open, or too many words");
        return;
    }
    if (strcmp(word[0], "wait") == 0) {
        run_wait(conn, n, word);
        return;
    }
    if (strcmp(word[0], "help") == 0) {
        run_help(conn);
        return;
    }
    if (strcmp(word[0], "quit") == 0) {
        control_ok(conn, "%s", "");
        su_root_break(control->root);
        return;
    }
    for (i = 0; i < control->n_commands; i++) {
        if (strcmp(control->commands[i].name, word[0]) == 0) {
            c = &control->commands[i];
        }
    }
    if (c == NULL) {
        control_error(conn, "unknown command %s; try help", word[0]);
    } else if (n - 1 < c->min || n - 1 > c->max) {
        control_error(conn, "usage: %s %s", c->name, c->args);
    } else {
        c->run(control->app, conn, n, word);
        if (!conn->answered) {
            control_error(conn, "no answer");
        }
    }
}

/* ---- input ------------------------------------------------------------- */

static void
read_some(struct control_conn *conn)
{
    ssize_t n;

    if (conn->n == sizeof conn->line) {
        control_error(conn, "line longer than %d characters",
                      LINE_MAX_SIZE - 1);
        conn->broken = true;
        return;
    }
    n = read(conn->in_fd, conn->line + conn->n, sizeof conn->line - conn->n);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        conn->ended = true;
        return;
    }
    conn->heard = true;
    conn->n += (size_t)n;
}

/* Runs every whole line until one has to wait. */
static void
pump(struct control_conn *conn)
{
    struct control *control = conn->control;

    while (!conn->waiting && !conn->broken) {
        char line[LINE_MAX_SIZE];
        char *end = memchr(conn->line, '\n', conn->n);
        size_t n;

        if (end == NULL) {
            if (!conn->pollable && !conn->ended) {
                read_some(conn);
                continue;
            }
            break;
        }
        n = (size_t)(end - conn->line);
        memcpy(line, conn->line, n);
        line[n] = '\0';
        conn->n -= n + 1;
        memmove(conn->line, end + 1, conn->n);
        if (strlen(line) != n) {
            control_error(conn, "a NUL in the line");
        } else {
            run_line(conn, line);
        }
    }
    if (conn->in_fd == 0) {
        /* End of what people or a script typed; a service that is started
         * with /dev/null never typed anything and goes on. */
        if (conn->ended && !conn->waiting) {
            bool heard = conn->heard;

            conn_free(conn);
            if (heard) {
                su_root_break(control->root);
            }
        }
    } else if (conn->broken
               || (conn->ended && !conn->waiting && conn->out_n == 0)) {
        conn_free(conn);
    }
}

static int
conn_ready(su_root_magic_t *magic, su_wait_t *w, su_wakeup_arg_t *arg)
{
    struct control_conn *conn = arg;
    int events = su_wait_events(w, conn->in_fd);

    (void)magic;
    if ((events & SU_WAIT_OUT) != 0) {
        flush_out(conn);
    }
    if (conn->ended) {
        /* The answer to the last command may still be wanted, but not by a
         * peer that is gone. */
        conn->broken = (events & (SU_WAIT_ERR | SU_WAIT_HUP)) != 0;
    } else if ((events & (SU_WAIT_IN | SU_WAIT_ERR | SU_WAIT_HUP)) != 0) {
        read_some(conn);
        if (conn->ended) {
            conn->broken = conn->in_fd == conn->out_fd
                           && (events & SU_WAIT_HUP) != 0;
            if (conn->in_fd == 0) {
                (void)su_root_deregister(conn->control->root, conn->index);
                conn->index = -1;
            }
            set_mask(conn);
        }
    }
    pump(conn);
    return 0;
}

static int
on_connect(su_root_magic_t *magic, su_wait_t *w, su_wakeup_arg_t *arg)
{
    struct control *control = arg;
    int fd = accept4(control->listen_fd, NULL, NULL,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)magic;
    (void)w;
    if (fd >= 0 && (control->n_conns >= CONNS_MAX
                    || conn_new(control, fd, fd) == NULL)) {
        (void)close(fd);
    }
    return 0;
}

/* ---- life -------------------------------------------------------------- */

static mcx_err
set_address(struct sockaddr_un *sa, const char *path, struct mcx_text *text)
{
    memset(sa, 0, sizeof *sa);
    sa->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof sa->sun_path) {
        (void)snprintf(text->s, sizeof text->s,
                       "control: path longer than %zu characters: %s",
                       sizeof sa->sun_path - 1, path);
        return MCX_E_CONFIG;
    }
    memcpy(sa->sun_path, path, strlen(path) + 1);
    return MCX_OK;
}

static mcx_err
listen_at(struct control *control, const char *path, struct mcx_text *text)
{
    struct sockaddr_un sa;
    struct stat st;
    su_wait_t wait[1] = { SU_WAIT_INIT };
    mode_t mask;
    int fd, rc;

    MCX_TRY(set_address(&sa, path, text));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
        (void)snprintf(text->s, sizeof text->s,
                       "control: %s: another program answers there", path);
        (void)close(fd);
        return MCX_E_IO;
    }
    if (fd >= 0 && errno == ECONNREFUSED && lstat(path, &st) == 0
        && S_ISSOCK(st.st_mode)) {
        (void)unlink(path); /* left behind by one that died */
    }
    mask = umask(0077); /* who may connect may command */
    rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof sa);
    (void)umask(mask);
    if (rc != 0 || listen(fd, 64) != 0) {
        (void)snprintf(text->s, sizeof text->s, "control: %s: %s", path,
                       strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return MCX_E_IO;
    }
    control->listen_fd = fd;
    control->path = strdup(path);
    if (su_wait_create(wait, fd, SU_WAIT_ACCEPT) != 0
        || (control->listen_index = su_root_register(
                control->root, wait, on_connect, control, 0)) < 0) {
        (void)snprintf(text->s, sizeof text->s, "control: cannot poll");
        return MCX_E_IO;
    }
    return MCX_OK;
}

mcx_err
control_new(struct control **out, su_root_t *root, const struct mcx_env *env,
            const char *path, const struct control_command *commands,
            size_t n, void *app, struct mcx_text *text)
{
    struct control *control = calloc(1, sizeof *control);
    mcx_err err = MCX_OK;

    *out = NULL;
    (void)snprintf(text->s, sizeof text->s, "control: out of memory");
    if (control == NULL) {
        return MCX_E_NOMEM;
    }
    control->root = root;
    control->env = env;
    control->app = app;
    control->commands = commands;
    control->n_commands = n;
    control->listen_fd = control->listen_index = -1;
    control->events = events_new();
    control->timer = su_timer_create(su_root_task(root), 0);
    if (control->events == NULL || control->timer == NULL) {
        err = MCX_E_NOMEM;
    } else if (path != NULL) {
        err = listen_at(control, path, text);
    } else if (conn_new(control, 0, 1) == NULL) {
        err = MCX_E_NOMEM;
    }
    if (err != MCX_OK) {
        control_free(control);
        return err;
    }
    *out = control;
    return MCX_OK;
}

void
control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    while (control->conns != NULL) {
        conn_free(control->conns);
    }
    if (control->listen_index >= 0) {
        (void)su_root_deregister(control->root, control->listen_index);
    }
    if (control->listen_fd >= 0) {
        (void)close(control->listen_fd);
    }
    if (control->path != NULL) {
        (void)unlink(control->path);
        free(control->path);
    }
    if (control->timer != NULL) {
        su_timer_destroy(control->timer);
    }
    events_free(control->events);
    free(control);
}

void
control_event(struct control *control, const char *name, ...)
{
    char line[EVENTS_LINE];
    const char *pairs[2 * EVENTS_ARGS];
    size_t n = 0;
    va_list va;

    if (control == NULL) {
        return; /* starting or ending */
    }
    va_start(va, name);
    while (n < EVENTS_ARGS) {
        const char *key = va_arg(va, const char *);

        if (key == NULL) {
            break;
        }
        pairs[2 * n] = key;
        pairs[2 * n + 1] = va_arg(va, const char *);
        n++;
    }
    va_end(va);
    events_line(line, control->env->unix_ms(control->env->ctx), name, pairs,
                n);
    (void)printf("%s\n", line);
    (void)fflush(stdout);
    events_post(control->events, line);
}

/* ---- client ------------------------------------------------------------ */

static int
client_connect(const char *path, struct mcx_text *text)
{
    struct sockaddr_un sa;
    int waited;

    if (set_address(&sa, path, text) != MCX_OK) {
        return -1;
    }
    for (waited = 0;; waited += CONNECT_STEP_MS) {
        const struct timespec step = { 0, CONNECT_STEP_MS * 1000000L };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
            return fd;
        }
        (void)snprintf(text->s, sizeof text->s, "%s: %s", path,
                       strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        if (waited >= CONNECT_TRIES_MS) {
            return -1;
        }
        (void)nanosleep(&step, NULL);
    }
}

/* The words as one line, each quoted. */
static bool
client_send(FILE *stream, int argc, char **argv)
{
    int i;
    const char *s;

    for (i = 0; i < argc; i++) {
        (void)fputs(i > 0 ? " \"" : "\"", stream);
        for (s = argv[i]; *s != '\0'; s++) {
            if (*s == '"' || *s == '\\') {
                (void)fputc('\\', stream);
            }
            (void)fputc(*s == '\n' ? ' ' : *s, stream);
        }
        (void)fputc('"', stream);
    }
    (void)fputc('\n', stream);
    return fflush(stream) == 0;
}

int
control_client(const char *path, int argc, char **argv)
{
    struct mcx_text text;
    char *line = NULL;
    size_t room = 0;
    FILE *stream;
    int fd, code = -1;

    if (argc < 1) {
        (void)fprintf(stderr, "--connect PATH needs a command; try help\n");
        return 2;
    }
    fd = client_connect(path, &text);
    if (fd < 0) {
        (void)fprintf(stderr, "%s\n", text.s);
        return 1;
    }
    stream = fdopen(fd, "r+");
    if (stream == NULL || !client_send(stream, argc, argv)) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        (void)close(fd);
        return 1;
    }
    while (code < 0 && getline(&line, &room, stream) > 0) {
        (void)fputs(line, stdout);
        if (strcmp(line, "ok\n") == 0 || strncmp(line, "ok ", 3) == 0) {
            code = 0;
        } else if (strncmp(line, "error", 5) == 0) {
            code = 1;
        }
    }
    if (code < 0) {
        (void)fprintf(stderr, "%s: connection ended without an answer\n",
                      path);
        code = 1;
    }
    free(line);
    (void)fclose(stream);
    return fflush(stdout) == 0 ? code : 1;
}
