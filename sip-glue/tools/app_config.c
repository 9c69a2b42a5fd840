/* app_config.c -- command line and configuration files of mcx-ua and mcx-pf.
 *
 * Called by the mains before anything else exists.  Long options come from
 * the same table as the settings of a file, so a setting is described once;
 * checking and syntax are mcx_config's. */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_config.h"
#include "control.h"

enum { OPTS_MAX = 64 };
enum { ARG_HELP = 'h', ARG_VERSION = 'V', ARG_CONFIG = 256, ARG_SET,
       ARG_CONNECT, ARG_SETTING };

static void MCX_PRINTF(2, 3)
complain(const struct app_config *app, const char *fmt, ...)
{
    va_list va;

    (void)fprintf(stderr, "%s: ", app->program->name);
    va_start(va, fmt);
    (void)vfprintf(stderr, fmt, va);
    va_end(va);
    (void)fputc('\n', stderr);
}

/* What a value looks like, for --help. */
static const char *
value_word(const struct mcx_opt *opt)
{
    switch (opt->type) {
    case MCX_OPT_URI:
        return "URI";
    case MCX_OPT_PATH:
        return "PATH";
    case MCX_OPT_NUMBER:
        return "N";
    case MCX_OPT_SECONDS:
        return "SECONDS";
    case MCX_OPT_SWITCH:
        return "yes|no";
    case MCX_OPT_ENUM:
        return opt->words;
    case MCX_OPT_TEXT:
    default:
        return "TEXT";
    }
}

static void
print_help(const struct app_program *program)
{
    size_t i;

    (void)printf("usage: %s [--config FILE]... [OPTION]...\n"
                 "       %s --connect PATH COMMAND...\n\n%s\n\n",
                 program->name, program->name, program->summary);
    for (i = 0; i < program->n_opts; i++) {
        const struct mcx_opt *opt = &program->opts[i];
        char head[96];

        (void)snprintf(head, sizeof head, "--%s %s", opt->name,
                       value_word(opt));
        (void)printf("  %-28s %s", head, opt->help);
        if (opt->fallback != NULL) {
            (void)printf(" [%s]", opt->fallback);
        }
        (void)putchar('\n');
    }
    (void)printf(
        "  %-28s %s\n  %-28s %s\n  %-28s %s\n  %-28s %s\n  %-28s %s\n",
        "--config FILE", "read settings (mcx.conf(5)); may be repeated",
        "--set SECTION/NAME=VALUE", "one setting of a module or peer",
        "--connect PATH COMMAND...", "send a command to a control socket",
        "--help", "this text", "--version", "the version");
    (void)printf("\nexit status: 0 fine, 1 failed while running, 2 usage or "
                 "configuration\n");
}

/* Notes "name=value" or "section/name=value" for mcx_create(), and sets it
 * here. */
static int
add_set(struct app_config *app, const char *section, const char *name,
        const char *value, const char *origin)
{
    char *set = NULL;

    if (app->n_sets == APP_SETS_MAX) {
        complain(app, "more than %d settings", APP_SETS_MAX);
        return 2;
    }
    if (asprintf(&set, "%s%s%s=%s", section, section[0] != '\0' ? "/" : "",
                 name, value) < 0
        || mcx_config_set(app->config, section, name, value, origin)
               != MCX_OK) {
        free(set);
        complain(app, "%s: out of memory or not a setting", origin);
        return 2;
    }
    app->set[app->n_sets++] = set;
    return -1;
}

/* --set SECTION/NAME=VALUE; a section may hold slashes, a name not. */
static int
add_set_text(struct app_config *app, const char *text)
{
    char *copy = strdup(text);
    char *eq = copy != NULL ? strchr(copy, '=') : NULL;
    char *slash = NULL;
    int code = 2;

    if (eq != NULL) {
        *eq = '\0';
        slash = strrchr(copy, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        code = add_set(app, slash != NULL ? copy : "",
                       slash != NULL ? slash + 1 : copy, eq + 1, "--set");
    } else {
        complain(app, "--set wants SECTION/NAME=VALUE, not %s", text);
    }
    free(copy);
    return code;
}

/* The names of getopt_long() from the table. */
static void
make_options(struct option *option, const struct app_program *program)
{
    static const struct option fixed[] = {
        { "help", no_argument, NULL, ARG_HELP },
        { "version", no_argument, NULL, ARG_VERSION },
        { "config", required_argument, NULL, ARG_CONFIG },
        { "set", required_argument, NULL, ARG_SET },
        { "connect", required_argument, NULL, ARG_CONNECT },
    };
    size_t n = sizeof fixed / sizeof fixed[0], i;

    memcpy(option, fixed, sizeof fixed);
    for (i = 0; i < program->n_opts; i++) {
        option[n + i].name = program->opts[i].name;
        option[n + i].has_arg = required_argument;
        option[n + i].flag = NULL;
        option[n + i].val = ARG_SETTING + (int)i;
    }
    memset(&option[n + i], 0, sizeof option[n + i]);
}

static int
load_file(struct app_config *app, const char *path)
{
    struct mcx_text text = { "" };
    mcx_err err;

    if (app->n_files == APP_FILES_MAX) {
        complain(app, "more than %d files", APP_FILES_MAX);
        return 2;
    }
    err = mcx_config_load(app->config, path, mcx_env_system(), &text);
    if (err != MCX_OK) {
        complain(app, "%s", text.s[0] != '\0' ? text.s : mcx_err_text(err));
        return 2;
    }
    app->file[app->n_files++] = path;
    return -1;
}

/* Files and settings are taken in two rounds, so that an option wins over a
 * file wherever it stands. */
static int
take_options(struct app_config *app, int argc, char **argv, bool files)
{
    const struct app_program *program = app->program;
    struct option option[OPTS_MAX];
    int c, code = -1;

    make_options(option, program);
    optind = 1;
    opterr = files ? 1 : 0;
    while (code < 0
           && (c = getopt_long(argc, argv, "+hV", option, NULL)) != -1) {
        char origin[64];

        if (c >= ARG_SETTING) {
            const char *name = program->opts[c - ARG_SETTING].name;

            (void)snprintf(origin, sizeof origin, "--%s", name);
            code = files ? -1 : add_set(app, "", name, optarg, origin);
        } else if (c == ARG_HELP) {
            print_help(program);
            code = 0;
        } else if (c == ARG_VERSION) {
            (void)printf("%s %s\n", program->name, PACKAGE_VERSION);
            code = 0;
        } else if (c == ARG_CONNECT) {
            code = control_client(optarg, argc - optind, argv + optind);
        } else if (c == ARG_CONFIG) {
            code = files ? load_file(app, optarg) : -1;
        } else if (c == ARG_SET) {
            code = files ? -1 : add_set_text(app, optarg);
        } else {
            (void)fprintf(stderr, "%s: try --help\n", program->name);
            code = 2;
        }
    }
    if (code < 0 && optind < argc) {
        complain(app, "unexpected argument %s; try --help", argv[optind]);
        code = 2;
    }
    return code;
}

int
app_config_start(struct app_config *app, const struct app_program *program,
                 int argc, char **argv)
{
    struct mcx_text text = { "" };
    mcx_err err;
    int code;

    memset(app, 0, sizeof *app);
    app->program = program;
    err = mcx_config_new(&app->config);
    if (err != MCX_OK) {
        complain(app, "%s", mcx_err_text(err));
        return 1;
    }
    code = take_options(app, argc, argv, true);
    if (code < 0) {
        code = take_options(app, argc, argv, false);
    }
    if (code < 0) {
        err = mcx_config_check(app->config, "", program->opts,
                               program->n_opts, &text);
        if (err != MCX_OK) {
            complain(app, "%s",
                     text.s[0] != '\0' ? text.s : mcx_err_text(err));
            code = 2;
        }
    }
    if (code >= 0) {
        app_config_end(app);
    }
    return code;
}

void
app_config_end(struct app_config *app)
{
    size_t i;

    for (i = 0; i < app->n_sets; i++) {
        free(app->set[i]);
    }
    app->n_sets = 0;
    mcx_config_free(app->config);
    app->config = NULL;
}

const char *
app_get(const struct app_config *app, const char *name)
{
    const char *value = mcx_config_get(app->config, NULL, name);
    size_t i;

    for (i = 0; value == NULL && i < app->program->n_opts; i++) {
        if (strcmp(app->program->opts[i].name, name) == 0) {
            return app->program->opts[i].fallback;
        }
    }
    return value;
}

bool
app_switch(const struct app_config *app, const char *name)
{
    const char *value = app_get(app, name);

    return value != NULL && strcmp(value, "yes") == 0;
}

long
app_number(const struct app_config *app, const char *name)
{
    const char *value = app_get(app, name);

    return value != NULL ? strtol(value, NULL, 10) : 0;
}

const char *
app_need(const struct app_config *app, const char *name)
{
    const char *value = app_get(app, name);

    if (value == NULL) {
        complain(app, "setting \"%s\" is missing; give it in a file or as "
                      "--%s", name, name);
    }
    return value;
}

bool
app_get_listen(const struct app_config *app, struct app_listen *out)
{
    static const char both[] = ";transport=udp,tcp";
    const char *listen = app_get(app, "listen");
    size_t n = strcspn(listen, " \t"), sizes = sizeof out->url[0];
    const char *more = listen + n + strspn(listen + n, " \t");
    const char *at = strstr(listen, both);
    int first, second = 0;

    out->second = NULL;
    if (at != NULL && *more == '\0') {
        const char *rest = at + sizeof both - 1;

        first = snprintf(out->url[0], sizes, "%.*s;transport=udp%s",
                         (int)(at - listen), listen, rest);
        second = snprintf(out->url[1], sizes, "%.*s;transport=tcp%s",
                          (int)(at - listen), listen, rest);
    } else {
        first = snprintf(out->url[0], sizes, "%.*s", (int)n, listen);
        if (*more != '\0') {
            second = snprintf(out->url[1], sizes, "%s", more);
        }
    }
    if (second > 0) {
        out->second = out->url[1];
    }
    if (first >= (int)sizes || second >= (int)sizes
        || strchr(out->url[0], ',') != NULL
        || strpbrk(out->second != NULL ? out->url[1] : "", " ,") != NULL) {
        complain(app, "listen: expected one SIP URL, with transport=udp,tcp "
                      "for both, or two URLs; found %s", listen);
        return false;
    }
    return true;
}

mcx_t *
app_mcx_create(const struct app_config *app, su_root_t *root,
               mcx_callback_f *callback, nua_callback_f nua_callback,
               mcx_magic_t *magic)
{
    struct mcx_text text = { "" };
    tagi_t tags[APP_FILES_MAX + APP_SETS_MAX + 1];
    char role[32];
    size_t n = 0, i;
    mcx_t *mcx;

    (void)snprintf(role, sizeof role, "role=%s", app->program->role);
    for (i = 0; i < app->n_files; i++) {
        const tagi_t tag = { MCXTAG_CONFIG(app->file[i]) };

        tags[n++] = tag;
    }
    for (i = 0; i < app->n_sets; i++) {
        const tagi_t tag = { MCXTAG_SET(app->set[i]) };

        tags[n++] = tag;
    }
    tags[n].t_tag = NULL;
    tags[n].t_value = 0;
    mcx = mcx_create(root, callback, magic, MCXTAG_CALLBACK(nua_callback),
                     MCXTAG_NUA_MAGIC(magic), MCXTAG_ERROR(&text),
                     MCXTAG_SET(role), TAG_NEXT(tags));
    if (mcx == NULL) {
        complain(app, "%s", text.s[0] != '\0' ? text.s : "cannot start");
    }
    return mcx;
}
