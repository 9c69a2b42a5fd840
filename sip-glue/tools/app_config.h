/* app_config.h -- how mcx-ua and mcx-pf are told what to do: configuration
 * files and long options from one table, and the mcx_t made from both. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <sofia-mcx/mcx_config.h>
#include <sofia-mcx/mcx_sofia.h>

enum { APP_FILES_MAX = 16, APP_SETS_MAX = 256 };

struct app_program {
    const char *name, *summary;
    const char *role; /* of the mcx_t: "client" or "server" */
    const struct mcx_opt *opts; /* shared ones first */
    size_t n_opts;
};

/* What both programs have; what it means is in mcx.conf(5). */
#define APP_SHARED_OPTS                                                       \
    { "identity", MCX_OPT_URI, NULL, 0, 0, NULL,                              \
      "own identity: MC service ID, or the function's PSI" },                 \
    { "psi", MCX_OPT_URI, NULL, 0, 0, NULL,                                   \
      "PSI of the participating function" },                                  \
    { "keys", MCX_OPT_PATH, NULL, 0, 0, NULL,                                 \
      "folder with KMS responses (*.xml)" },                                  \
    { "modules", MCX_OPT_TEXT, NULL, 0, 0, NULL,                              \
      "names of modules to load, separated by spaces" },                      \
    { "modules-optional", MCX_OPT_TEXT, NULL, 0, 0, NULL,                     \
      "the same, but the program starts without them" },                      \
    { "monthly-tel", MCX_OPT_SWITCH, "no", 0, 0, NULL,                        \
      "take KMSs with monthly keys for tel URIs (RFC 6509 3.2)" },            \
    { "module-dir", MCX_OPT_PATH, NULL, 0, 0, NULL,                           \
      "folder of modules, before the built-in one" },                         \
    { "host-name", MCX_OPT_TEXT, "localhost", 0, 0, NULL,                     \
      "host named in Warning headers" },                                      \
    { "listen", MCX_OPT_TEXT, "sip:127.0.0.1:5060;transport=udp", 0, 0, NULL, \
      "SIP URL to bind; transport=udp,tcp for both" },                        \
    { "tcp-idle", MCX_OPT_NUMBER, "180", 1, 86400, NULL,                      \
      "seconds after which an idle TCP connection is closed" },               \
    { "control", MCX_OPT_PATH, NULL, 0, 0, NULL,                              \
      "Unix socket for commands; without it standard input" },                \
    { "redirect", MCX_OPT_SWITCH, "yes", 0, 0, NULL,                          \
      "say which KMS is ours when a message names another" },                 \
    { "redirect-kms", MCX_OPT_TEXT, NULL, 0, 0, NULL,                         \
      "KMSs that a redirect response may send us to" },                       \
    { "redirect-ca", MCX_OPT_PATH, NULL, 0, 0, NULL,                          \
      "PEM file of authorities for signatures of redirect responses" },       \
    { "redirect-crl", MCX_OPT_PATH, NULL, 0, 0, NULL,                         \
      "PEM file of their CRLs, read whenever one is needed" },                \
    { "redirect-unbound", MCX_OPT_SWITCH, "no", 0, 0, NULL,                   \
      "obey signed ones that name neither their message nor time" },          \
    { "redirect-cert", MCX_OPT_PATH, NULL, 0, 0, NULL,                        \
      "PEM file with the certificate that signs our own" },                   \
    { "redirect-key", MCX_OPT_PATH, NULL, 0, 0, NULL,                         \
      "PEM file with its key" },                                              \
    { "redirect-unsigned", MCX_OPT_SWITCH, "no", 0, 0, NULL,                  \
      "obey redirect responses without judging a signature" },                \
    { "workers", MCX_OPT_NUMBER, "0", 0, 64, NULL,                            \
      "threads for cryptography; 0: one for each core" },                     \
    { "queue", MCX_OPT_NUMBER, "1024", 1, 65536, NULL,                        \
      "requests that may wait for them; more are answered 503" },             \
    { "stack-thread", MCX_OPT_SWITCH, "yes", 0, 0, NULL,                      \
      "run the SIP stack in a thread of its own" }

struct app_config {
    const struct app_program *program;
    struct mcx_config *config;
    const char *file[APP_FILES_MAX];
    size_t n_files;
    char *set[APP_SETS_MAX]; /* "name=value", "section/name=value" */
    size_t n_sets;
};

/* Reads the command line and the files it names.  -1: go on; else the exit
 * code: 0 after --help, --version or a command of --connect that was answered
 * ok, 1 when it was not, 2 with a message on standard error. */
int app_config_start(struct app_config *app,
                     const struct app_program *program, int argc,
                     char **argv);
void app_config_end(struct app_config *app);

/* The program's setting 'name', its default, or NULL. */
const char *app_get(const struct app_config *app, const char *name);
bool app_switch(const struct app_config *app, const char *name);
long app_number(const struct app_config *app, const char *name);
/* The value, or NULL with a message about the missing setting. */
const char *app_need(const struct app_config *app, const char *name);

/* The setting `listen` as one or two URLs for NUTAG_URL() and
 * NUTAG_SIPS_URL(), which is nua's name for its second address; 'second' is
 * NULL when there is one.  False: too long, with a message.  sofia-sip 1.12.11
 * crashes on the transport=udp,tcp that it documents, so it is split here. */
enum { APP_URL_SIZE = 256 };
struct app_listen {
    char url[2][APP_URL_SIZE];
    const char *second;
};
bool app_get_listen(const struct app_config *app, struct app_listen *out);

/* mcx_create() with the files, settings and callbacks; NULL with a message on
 * standard error. */
mcx_t *app_mcx_create(const struct app_config *app, su_root_t *root,
                      mcx_callback_f *callback, nua_callback_f nua_callback,
                      mcx_magic_t *magic);

#endif /* APP_CONFIG_H */
