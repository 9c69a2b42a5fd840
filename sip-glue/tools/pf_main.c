/* pf_main.c -- mcx-pf: a participating MCPTT function for tests and demos.
 *
 * Settings, start and end, and the commands of the control interface; SIP is
 * in pf_sip.c and pf_call.c.  See mcx-pf(1). */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sofia-sip/su.h>

#include "pf.h"

static const struct mcx_opt opts[] = {
    APP_SHARED_OPTS,
    { "expires", MCX_OPT_SECONDS, "3600", 1, 604800, NULL,
      "longest registration that is granted" },
    { "max-bindings", MCX_OPT_NUMBER, "100000", 1, 10000000, NULL,
      "registered identities; more are answered 503" },
    { "max-calls", MCX_OPT_NUMBER, "10000", 1, 1000000, NULL,
      "calls at a time; more are answered 503" },
};
static const struct app_program program = {
    "mcx-pf",
    "Participating MCPTT function: registrar, and relay of private calls.",
    "server", opts, sizeof opts / sizeof opts[0],
};

/* ---- commands ---------------------------------------------------------- */

static void
run_download(void *app, struct control_conn *conn, int argc, char **argv)
{
    const char *wrong = pf_download(app, argv[1]);

    (void)argc;
    if (wrong == NULL) {
        control_ok(conn, "%s", "");
    } else {
        control_error(conn, "%s", wrong);
    }
}

struct show {
    struct control_conn *conn;
    int64_t now_ms;
    bool json, first;
};

static void
json_text(struct control_conn *conn, const char *name, const char *value,
          const char *after)
{
    control_json(conn, name);
    control_print(conn, ": ");
    control_json(conn, value);
    control_print(conn, "%s", after);
}

static void
show_binding(void *arg, const struct pf_binding *b)
{
    struct show *show = arg;
    struct control_conn *conn = show->conn;
    const char *mc_id = b->mc_id != NULL ? b->mc_id : "";
    const char *contact = b->n_contacts > 0 ? b->contact[0].uri : "";
    char id[APP_ID_SIZE] = "";
    long left = b->n_contacts > 0
                    ? (long)((b->contact[0].expires_ms - show->now_ms) / 1000)
                    : 0;

    if (b->mc_id != NULL) {
        app_id_text(id, b->key_id);
    }
    if (show->json) {
        control_print(conn, show->first ? "{" : ", {");
        json_text(conn, "impu", b->impu, ", ");
        json_text(conn, "mc_id", mc_id, ", ");
        json_text(conn, "contact", contact, ", ");
        json_text(conn, "csk_id", id, ", ");
        control_print(conn, "\"contacts\": %zu, \"expires\": %ld}",
                      b->n_contacts, left);
        show->first = false;
    } else {
        control_print(conn, "%s mc_id=%s contact=%s csk_id=%s expires=%ld\n",
                      b->impu, mc_id, contact, id, left);
    }
}

static void
run_show(void *app, struct control_conn *conn, int argc, char **argv)
{
    struct pf *pf = app;
    struct show show = { conn, pf->env->mono_ms(pf->env->ctx),
                         app_wants_json(argc, argv), true };

    if (strcmp(argv[1], "calls") == 0) {
        pf_call_show(pf, conn, show.json);
    } else if (strcmp(argv[1], "bindings") == 0) {
        control_print(conn, "%s", show.json ? "[" : "");
        pf_reg_each(pf->reg, show_binding, &show);
        control_print(conn, "%s", show.json ? "]\n" : "");
        control_ok(conn, "%s", "");
    } else if (!app_show(pf->mcx, conn, argc, argv)) {
        control_error(conn,
                      "show keys, calls, bindings, counters or modules");
    }
}

static void
run_reload_keys(void *app, struct control_conn *conn, int argc, char **argv)
{
    struct pf *pf = app;

    (void)argc;
    (void)argv;
    if (mcx_reload_keys(pf->mcx) == 0) {
        control_ok(conn, "%s", "");
    } else {
        control_error(conn, "cannot read the keys");
    }
}

static const struct control_command commands[] = {
    { "download", "URI", "send a new CSK to the client with that MC ID", 1, 1,
      run_download },
    { "show", "keys|calls|bindings|counters|modules [--json]",
      "print a table", 1, 2, run_show },
    { "reload-keys", "", "read the KMS folder again", 0, 0,
      run_reload_keys },
};

/* ---- life -------------------------------------------------------------- */

static su_root_t *signal_root;

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

static int
run(struct pf *pf)
{
    struct mcx_text text = { "" };
    mcx_err err;
    int code;

    err = pf_reg_new(&pf->reg, pf->env,
                     (size_t)app_number(&pf->config, "max-bindings"));
    if (err != MCX_OK) {
        (void)fprintf(stderr, "mcx-pf: %s\n", mcx_err_text(err));
        return 1;
    }
    code = pf_start(pf);
    if (code == 0) {
        err = control_new(&pf->control, pf->root, pf->env,
                          app_get(&pf->config, "control"), commands,
                          sizeof commands / sizeof commands[0], pf, &text);
        if (err != MCX_OK) {
            (void)fprintf(stderr, "mcx-pf: %s\n", text.s);
            code = err == MCX_E_CONFIG ? 2 : 1;
        } else {
            control_event(pf->control, "ready", "identity", pf->identity,
                          NULL);
            su_root_run(pf->root);
        }
    }
    pf_shutdown(pf);
    control_free(pf->control);
    pf_reg_free(pf->reg);
    return code;
}

int
main(int argc, char **argv)
{
    struct pf pf;
    int code;

    memset(&pf, 0, sizeof pf);
    code = app_config_start(&pf.config, &program, argc, argv);
    if (code >= 0) {
        return code;
    }
    pf.identity = app_need(&pf.config, "identity");
    if (pf.identity == NULL) {
        app_config_end(&pf.config);
        return 2;
    }
    pf.host_name = app_get(&pf.config, "host-name");
    pf.expires = app_number(&pf.config, "expires");
    pf.max_calls = app_number(&pf.config, "max-calls");
    pf.env = mcx_env_system();
    if (su_init() != 0 || (pf.root = su_root_create(&pf)) == NULL) {
        (void)fprintf(stderr, "mcx-pf: out of memory\n");
        code = 1;
    } else {
        catch_signals(pf.root);
        code = run(&pf);
        su_root_destroy(pf.root);
    }
    su_deinit();
    app_config_end(&pf.config);
    return code;
}
