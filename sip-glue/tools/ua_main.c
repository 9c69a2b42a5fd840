/* ua_main.c -- mcx-ua: a headless softphone whose keys come from modules.
 *
 * Settings, start and end, and the commands of the control interface; SIP is
 * in ua_sip.c, calls are in ua_call.c.  See mcx-ua(1). */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sofia-sip/su.h>

#include "ua.h"

static const struct mcx_opt opts[] = {
    APP_SHARED_OPTS,
    { "impu", MCX_OPT_URI, NULL, 0, 0, NULL,
      "public SIP identity; default: the identity" },
    { "proxy", MCX_OPT_URI, NULL, 0, 0, NULL,
      "where every request goes, a SIP URL" },
    { "media", MCX_OPT_ENUM, "soa", 0, 0, "soa raw",
      "who handles SDP: sofia's engine, or the program" },
    { "answer", MCX_OPT_ENUM, "auto", 0, 0, "auto manual",
      "answer incoming calls at once, or on command" },
    { "secure", MCX_OPT_ENUM, "required", 0, 0, "required optional",
      "refuse calls without SRTP keys, or not" },
    { "rtp", MCX_OPT_TEXT, "127.0.0.1:40000", 0, 0, NULL,
      "address and first even port of media" },
    { "record", MCX_OPT_PATH, NULL, 0, 0, NULL,
      "file, or folder, for the WAV of received speech" },
    { "wav", MCX_OPT_PATH, NULL, 0, 0, NULL,
      "WAV file to send when a call names none" },
};
static const struct app_program program = {
    "mcx-ua", "Headless softphone with MCX key management by loaded modules.",
    "client", opts, sizeof opts / sizeof opts[0],
};

/* ---- commands ---------------------------------------------------------- */

static void
answer(struct control_conn *conn, const char *wrong)
{
    if (wrong == NULL) {
        control_ok(conn, "%s", "");
    } else {
        control_error(conn, "%s", wrong);
    }
}

static void
run_register(void *app, struct control_conn *conn, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    answer(conn, ua_register(app) ? NULL : "busy, nothing was sent");
}

static void
run_unregister(void *app, struct control_conn *conn, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    answer(conn, ua_unregister(app) ? NULL : "not registered");
}

static void
run_publish(void *app, struct control_conn *conn, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    answer(conn, ua_publish(app) ? NULL : "busy or no psi, nothing was sent");
}

static void
run_call(void *app, struct control_conn *conn, int argc, char **argv)
{
    struct ua *ua = app;

    answer(conn, ua_call_make(ua, argv[1],
                              argc > 2 ? argv[2]
                                       : app_get(&ua->config, "wav")));
}

static void
run_answer(void *app, struct control_conn *conn, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    answer(conn, ua_call_answer(app));
}

static void
run_hangup(void *app, struct control_conn *conn, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    answer(conn, ua_call_hangup(app));
}

static void
run_show(void *app, struct control_conn *conn, int argc, char **argv)
{
    struct ua *ua = app;

    if (strcmp(argv[1], "calls") == 0) {
        ua_call_show(ua, conn, app_wants_json(argc, argv));
    } else if (!app_show(ua->mcx, conn, argc, argv)) {
        control_error(conn, "show keys, calls, counters or modules");
    }
}

static void
run_reload_keys(void *app, struct control_conn *conn, int argc, char **argv)
{
    struct ua *ua = app;

    (void)argc;
    (void)argv;
    answer(conn, mcx_reload_keys(ua->mcx) == 0 ? NULL
                                               : "cannot read the keys");
}

static const struct control_command commands[] = {
    { "register", "", "REGISTER, with a new CSK", 0, 0, run_register },
    { "unregister", "", "log off", 0, 0, run_unregister },
    { "publish", "", "PUBLISH poc-settings, with a new CSK", 0, 0,
      run_publish },
    { "call", "URI [WAV]", "call an MC service ID and send the file", 1, 2,
      run_call },
    { "answer", "", "answer the call that rings", 0, 0, run_answer },
    { "hangup", "", "end every call", 0, 0, run_hangup },
    { "show", "keys|calls|counters|modules [--json]", "print a table", 1, 2,
      run_show },
    { "reload-keys", "", "read the KMS folder again", 0, 0,
      run_reload_keys },
};

/* ---- life -------------------------------------------------------------- */

static su_root_t *signal_root;

/* Async-signal-safe enough: it sets a flag and the loop is woken by EINTR. */
static void
on_signal(int number)
{
    (void)number;
    su_root_break(signal_root);
}

static void
catch_signals(su_root_t *root)
{
    struct sigaction action;

    signal_root = root;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* The settings that other files use.  False: one is missing or wrong. */
static bool
take_settings(struct ua *ua)
{
    const struct app_config *config = &ua->config;

    ua->identity = app_need(config, "identity");
    ua->proxy = app_need(config, "proxy");
    ua->psi = app_get(config, "psi");
    ua->impu = app_get(config, "impu");
    if (ua->impu == NULL) {
        ua->impu = ua->identity;
    }
    ua->raw = strcmp(app_get(config, "media"), "raw") == 0;
    ua->answer_auto = strcmp(app_get(config, "answer"), "auto") == 0;
    ua->secure_required = strcmp(app_get(config, "secure"), "required") == 0;
    return ua->identity != NULL && ua->proxy != NULL;
}

static int
run(struct ua *ua)
{
    struct mcx_text text = { "" };
    mcx_err err;
    int code = ua_start(ua);

    if (code == 0) {
        err = control_new(&ua->control, ua->root, ua->env,
                          app_get(&ua->config, "control"), commands,
                          sizeof commands / sizeof commands[0], ua, &text);
        if (err != MCX_OK) {
            (void)fprintf(stderr, "mcx-ua: %s\n", text.s);
            code = err == MCX_E_CONFIG ? 2 : 1;
        } else {
            control_event(ua->control, "ready", "identity", ua->identity,
                          NULL);
            su_root_run(ua->root);
        }
    }
    ua_shutdown(ua);
    control_free(ua->control);
    return code;
}

int
main(int argc, char **argv)
{
    struct ua ua;
    int code;

    memset(&ua, 0, sizeof ua);
    code = app_config_start(&ua.config, &program, argc, argv);
    if (code >= 0) {
        return code;
    }
    if (!take_settings(&ua)) {
        app_config_end(&ua.config);
        return 2;
    }
    ua.env = mcx_env_system();
    if (su_init() != 0 || (ua.root = su_root_create(&ua)) == NULL) {
        (void)fprintf(stderr, "mcx-ua: out of memory\n");
        code = 1;
    } else {
        catch_signals(ua.root);
        code = run(&ua);
        su_root_destroy(ua.root);
    }
    su_deinit();
    app_config_end(&ua.config);
    return code;
}
