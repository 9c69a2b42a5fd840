/* mcx_env.h -- the only door to clock, randomness, files and log.
 *
 * Everything that is not an argument comes through a struct mcx_env, so a test
 * can step time, repeat random octets, fail any read and see every log line.
 * The functions may be called from any thread.  The environment must outlive
 * everything that was made with it. */
#ifndef MCX_ENV_H
#define MCX_ENV_H

#include <stdbool.h>
#include <sofia-mcx/mcx_bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Areas of the log; each has a level from 0 to 9 (MCX_DEBUG and
 * MCX_<AREA>_DEBUG in the process environment).  Levels mean what they mean
 * in sofia-sip: 0 fatal, 1 critical, 3 what an operator should act on, 5 one
 * line for each message or key event, 7 details, 9 each payload. */
#define MCX_AREA_LIST(X)                                                      \
    X(CORE, "core") X(IDENT, "ident") X(MIKEY, "mikey") X(KEYS, "keys")       \
    X(KMS, "kms") X(HOST, "host") X(SIP, "sip") X(KEYMGMT, "keymgmt")         \
    X(UPLOAD, "csk-upload") X(DOWNLOAD, "csk-download") X(SRTP, "srtp")       \
    X(APP, "app")
enum mcx_area {
#define MCX_X(name, word) MCX_AREA_##name,
    MCX_AREA_LIST(MCX_X)
#undef MCX_X
    MCX_AREA_COUNT
};

struct mcx_env {
    void *ctx;
    /* Wall clock: milliseconds since 1970-01-01 00:00 UTC. */
    int64_t (*unix_ms)(void *ctx);
    /* Clock that never steps back, milliseconds from any start. */
    int64_t (*mono_ms)(void *ctx);
    /* Fills 'out' with 'n' unpredictable octets; MCX_OK or MCX_E_IO. */
    mcx_err (*random)(void *ctx, void *out, size_t n);
    /* Reads a whole file of at most 'max' octets into a malloc'ed, NUL
     * terminated buffer (the NUL is not counted in '*n').
     * MCX_E_IO, MCX_E_TOOBIG, MCX_E_NOMEM. */
    mcx_err (*read_file)(void *ctx, const char *path, size_t max,
                         char **out, size_t *n);
    /* Calls 'each' with the name of every regular file in folder 'path',
     * sorted by name; stops at the first error and returns it. */
    mcx_err (*list_dir)(void *ctx, const char *path,
                        mcx_err (*each)(void *arg, const char *name),
                        void *arg);
    /* Replaces 'path' with 'n' octets at once (temporary, sync, rename), with
     * the given permission bits. */
    mcx_err (*write_file)(void *ctx, const char *path, struct mcx_bytes data,
                          unsigned mode);
    /* Takes one line without line feed; must copy it. */
    void (*log)(void *ctx, enum mcx_area area, int level, const char *line);
};

/* The real thing: clock_gettime, getrandom, files, standard error. */
MCX_API const struct mcx_env *mcx_env_system(void);

/* 'area' as the word used in environment variables and log lines. */
MCX_API const char *mcx_area_word(enum mcx_area area);
/* Sets the level of one area for the whole process, overriding the
 * environment variables. */
MCX_API void mcx_log_level(enum mcx_area area, int level);
MCX_API bool mcx_log_on(enum mcx_area area, int level);

/* Formats and hands over one line if 'level' is on.  Never pass a secret. */
MCX_API void mcx_log(const struct mcx_env *env, enum mcx_area area, int level,
                     const char *fmt, ...) MCX_PRINTF(4, 5);
/* The house form of a refusal line: "mikey: refused, signature, SIGN at 401,
 * <who>, RFC 6509 2.2.2".  'who' is public text from the caller or NULL. */
MCX_API void mcx_log_why(const struct mcx_env *env, enum mcx_area area,
                         int level, mcx_err err, const struct mcx_why *why,
                         const char *who);

/* NTP timestamps: seconds since 1900-01-01 in the high word, fraction in the
 * low one.  The 32-bit seconds wrap in 2036; reading one takes the era nearest
 * to 'near_unix_ms' (RFC 3830 digest section 9). */
#define MCX_NTP_UNIX_DIFF INT64_C(2208988800)
MCX_API uint64_t mcx_ntp_from_unix_ms(int64_t unix_ms);
MCX_API int64_t mcx_ntp_to_unix_ms(uint64_t ntp, int64_t near_unix_ms);

/* RFC 3339 text with second or millisecond precision and Z or an offset.
 * The text form written is YYYY-MM-DDThh:mm:ssZ, with .mmm when not zero. */
enum { MCX_RFC3339_SIZE = 32 };
MCX_API mcx_err mcx_time_parse(int64_t *unix_ms,
                               struct mcx_bytes text) MCX_MUST_USE;
MCX_API void mcx_time_text(char out[MCX_RFC3339_SIZE], int64_t unix_ms);

#ifdef __cplusplus
}
#endif
#endif /* MCX_ENV_H */
