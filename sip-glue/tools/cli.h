/* cli.h -- what the command-line tools share: errors that name what was
 * expected, reading a file or standard input, JSON, times.  No SIP library. */
#ifndef MCX_TOOLS_CLI_H
#define MCX_TOOLS_CLI_H

#include <stdio.h>
#include <sofia-mcx/mcx.h>

/* Exit statuses of the tools. */
enum { CLI_OK = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };

/* Prints "<tool>: <text>" on standard error, one line, and returns CLI_USAGE.
 * 'cli_fail' is the same and returns CLI_REFUSED. */
int cli_usage(const char *tool, const char *fmt, ...) MCX_PRINTF(2, 3);
int cli_fail(const char *tool, const char *fmt, ...) MCX_PRINTF(2, 3);

/* Reads 'path' ("-": standard input) of at most 'max' octets into a malloc'ed
 * buffer; wipe it when it may be secret. */
mcx_err cli_read(const char *path, size_t max, char **out, size_t *n)
    MCX_MUST_USE;
/* RFC 3339 with a zone; false and a line on standard error otherwise. */
bool cli_time(const char *tool, const char *option, const char *text,
              int64_t *unix_ms);
/* A decimal number from 'min' to 'max'; false and a line otherwise. */
bool cli_number(const char *tool, const char *option, const char *text,
                uint64_t min, uint64_t max, uint64_t *out);
/* Is 'text' usable as a URI: 1 to MCX_URI_MAX - 1 octets, no white space or
 * control characters? */
bool cli_uri(const char *text);

/* The system's environment with the wall clock standing at '*clock_ms'; it
 * must live as long as the environment is used.  NULL: the real clock.  The
 * library's log is silent unless MCX_DEBUG is set: a tool says one line. */
struct mcx_env cli_env(int64_t *clock_ms);

/* One JSON object on one line: begin, members, end. */
struct cli_json { FILE *f; bool any; };
void cli_json_begin(struct cli_json *j, FILE *f);
void cli_json_text(struct cli_json *j, const char *name, const char *value);
void cli_json_number(struct cli_json *j, const char *name, uint64_t value);
void cli_json_bool(struct cli_json *j, const char *name, bool value);
void cli_json_list(struct cli_json *j, const char *name, size_t n,
                   const char *(*each)(const void *arg, size_t i),
                   const void *arg);
void cli_json_end(struct cli_json *j);
/* A JSON string with quotes.  Octets that are not UTF-8 become U+FFFD. */
void cli_json_string(FILE *f, const char *s);

/* Flushes standard output; false when something could not be written. */
bool cli_flush(void);

#endif /* MCX_TOOLS_CLI_H */
