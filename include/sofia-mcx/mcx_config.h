/* mcx_config.h -- the one configuration syntax of programs and modules.
 *
 *   # comment
 *   identity = sip:alice@mcx.test
 *   modules  = keymgmt csk-upload
 *   [csk-upload]
 *   lifetime = 3600
 *
 * A section is a module's name or "peer URI"; settings before the first
 * section are the program's.  Values run to the end of the line, outer spaces
 * trimmed; no quoting, no continuation.  A setting may occur once in a file.
 * Mistakes name file, line and what was expected.
 * No secret belongs here: keys come as KMS files. */
#ifndef MCX_CONFIG_H
#define MCX_CONFIG_H

#include <sofia-mcx/mcx_kms.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mcx_opt_type {
    MCX_OPT_TEXT,    /* anything but empty               */
    MCX_OPT_URI,     /* has a scheme, or is a host name  */
    MCX_OPT_PATH,
    MCX_OPT_NUMBER,  /* 'min' to 'max'                   */
    MCX_OPT_SECONDS, /* the same, a duration             */
    MCX_OPT_SWITCH,  /* yes or no                        */
    MCX_OPT_ENUM     /* one of the words of 'words'      */
};
struct mcx_opt {
    const char *name;
    enum mcx_opt_type type;
    const char *fallback; /* default as text; NULL: no default */
    int64_t min, max;
    const char *words; /* "register publish" */
    const char *help;  /* one line for --help and the manual page */
};

struct mcx_config;
MCX_API mcx_err mcx_config_new(struct mcx_config **out) MCX_MUST_USE;
MCX_API void mcx_config_free(struct mcx_config *config);
/* Reads 'path' on top of what is there.  MCX_E_CONFIG with 'text' naming file
 * and line; MCX_E_IO. */
MCX_API mcx_err mcx_config_load(struct mcx_config *config, const char *path,
                                const struct mcx_env *env,
                                struct mcx_text *text) MCX_MUST_USE;
/* Sets or replaces one setting (a long option, a tag); 'origin' is named in
 * messages ("--identity"); 'section' NULL or "": the program's. */
MCX_API mcx_err mcx_config_set(struct mcx_config *config, const char *section,
                               const char *name, const char *value,
                               const char *origin) MCX_MUST_USE;
/* Checks every setting of 'section' against 'opts': unknown names, wrong
 * values.  MCX_E_CONFIG with file, line and what was expected. */
MCX_API mcx_err mcx_config_check(const struct mcx_config *config,
                                 const char *section,
                                 const struct mcx_opt *opts, size_t n,
                                 struct mcx_text *text) MCX_MUST_USE;
/* The value, or 'fallback' of the matching option, or NULL. */
MCX_API const char *mcx_config_get(const struct mcx_config *config,
                                   const char *section, const char *name);
/* Calls 'each' for every section present (each name once). */
MCX_API void mcx_config_sections(const struct mcx_config *config,
                                 void (*each)(void *arg, const char *section,
                                              const char *file, int line),
                                 void *arg);

#ifdef __cplusplus
}
#endif
#endif /* MCX_CONFIG_H */
