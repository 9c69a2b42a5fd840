/* mcx.c -- makes an instance, drives it, and ends it.
 *
 * What an application calls first and last.  Configuration, key ring, stores,
 * modules and pool are put together here; everything that happens to a call or
 * a message is elsewhere (glue.h). */
#include <config.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sofia_features.h>
#include <sofia-sip/su_tagarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "host/options.h"
#include "sofia/call.h"
#include "sofia/engine.h"
#include "sofia/glue.h"
#include "sofia/guard.h"
#include "sofia/su_sink.h"

enum { KEYS_MAX = 200000 };

/* ---- configuration ----------------------------------------------------- */

static mcx_err
set(struct mcx_config *config, const char *name, const char *value,
    const char *origin)
{
    return value ? mcx_config_set(config, NULL, name, value, origin) : MCX_OK;
}

/* "name=value" or "section/name=value"; a section may hold slashes ("peer
 * sip:..."), a name may not. */
static mcx_err
set_pair(mcx_t *mcx, const char *pair, struct mcx_text *text)
{
    const char *eq = strchr(pair, '='), *slash = NULL;
    char section[MCX_URI_MAX + 8] = "", name[64];

    for (const char *p = pair; eq && p < eq; p++) {
        slash = *p == '/' ? p : slash;
    }
    const char *start = slash ? slash + 1 : pair;
    if (!eq || eq == start || (size_t)(eq - start) >= sizeof name ||
        (slash && (size_t)(slash - pair) >= sizeof section)) {
        snprintf(text->s, sizeof text->s,
                 "MCXTAG_SET(\"%.200s\"): expected name=value or "
                 "section/name=value", pair);
        return MCX_E_CONFIG;
    }
    memcpy(name, start, (size_t)(eq - start));
    name[eq - start] = '\0';
    if (slash) {
        memcpy(section, pair, (size_t)(slash - pair));
        section[slash - pair] = '\0';
    }
    return mcx_config_set(mcx->config, section, name, eq + 1, "MCXTAG_SET");
}

static mcx_err
read_config(mcx_t *mcx, tagi_t const *tags, struct mcx_text *text)
{
    char const *identity = NULL, *keys = NULL, *psi = NULL, *modules = NULL;
    char const *dir = NULL;

    for (tagi_t const *t = tags; t; t = tl_next(t)) {
        if (t->t_tag == mcxtag_config && t->t_value) {
            MCX_TRY(mcx_config_load(mcx->config, (char const *)t->t_value,
                                    mcx->env, text));
        }
    }
    for (tagi_t const *t = tags; t; t = tl_next(t)) {
        if (t->t_tag == mcxtag_set && t->t_value) {
            MCX_TRY(set_pair(mcx, (char const *)t->t_value, text));
        }
    }
    tl_gets(tags, MCXTAG_IDENTITY_REF(identity), MCXTAG_KEYS_REF(keys),
            MCXTAG_PSI_REF(psi), MCXTAG_MODULES_REF(modules),
            MCXTAG_MODULE_DIR_REF(dir), TAG_END());
    MCX_TRY(set(mcx->config, "identity", identity, "MCXTAG_IDENTITY"));
    MCX_TRY(set(mcx->config, "keys", keys, "MCXTAG_KEYS"));
    MCX_TRY(set(mcx->config, "psi", psi, "MCXTAG_PSI"));
    MCX_TRY(set(mcx->config, "modules", modules, "MCXTAG_MODULES"));
    MCX_TRY(set(mcx->config, "module-dir", dir, "MCXTAG_MODULE_DIR"));
    return MCX_OK;
}

const char *
mcx_setting(mcx_t *mcx, const char *section, const char *name)
{
    return mcx_config_get(mcx->config, section, name);
}

static const char *
setting(mcx_t *mcx, const char *name, const char *fallback)
{
    const char *value = mcx_setting(mcx, NULL, name);

    return value ? value : fallback;
}

static mcx_err
read_role(mcx_t *mcx, struct mcx_text *text)
{
    const char *role = setting(mcx, "role", "client");

    if (strcmp(role, "client") != 0 && strcmp(role, "server") != 0) {
        snprintf(text->s, sizeof text->s,
                 "role = %.64s: expected client or server", role);
        return MCX_E_CONFIG;
    }
    mcx->host.table.role = strcmp(role, "server") == 0 ? MCX_ROLE_SERVER
                                                       : MCX_ROLE_CLIENT;
    return MCX_OK;
}

/* A setting that is a number from 'min' to 'max'. */
static mcx_err
read_number(mcx_t *mcx, const char *name, unsigned *n, unsigned fallback,
            unsigned min, unsigned max, struct mcx_text *text)
{
    const char *s = setting(mcx, name, NULL);
    unsigned long v = fallback;
    char *end;

    if (s) {
        v = strtoul(s, &end, 10);
        if (s[0] < '0' || s[0] > '9' || *end || v < min || v > max) {
            snprintf(text->s, sizeof text->s,
                     "%s = %.64s: expected a number from %u to %u", name, s,
                     min, max);
            return MCX_E_CONFIG;
        }
    }
    *n = (unsigned)v;
    return MCX_OK;
}

/* ---- the beat ---------------------------------------------------------- */

static void
on_beat(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    mcx_t *mcx = (mcx_t *)arg;
    int64_t now = mcx->env->mono_ms(mcx->env->ctx);
    bool retry = now >= mcx->next_retry_ms;

    (void)magic;
    (void)timer;
    mcxs_post_run(mcx->post);
    if (retry) {
        mcx->next_retry_ms = now + MCXS_PARKED_RETRY_MS;
    }
    mcxs_incoming_beat(mcx, now, retry);
    mcxs_call_in_beat(mcx, now, retry);
    mcxs_out_beat(mcx, now);
    mcxs_refresh_beat(mcx, now);
    (void)mcx_keys_sweep(mcx->host.table.keys);
    if (now >= mcx->next_second_ms) {
        mcx->next_second_ms = now + 1000;
        if (!mcx->nua_gone) {
            mcxs_call_second(mcx);
        }
        mcxh_host_tick(&mcx->host);
    }
}

/* ---- making ------------------------------------------------------------ */

static mcx_err
load_keys(mcx_t *mcx, struct mcx_text *text)
{
    struct mcx_kms_loaded loaded = { 0, 0 };
    const char *dir = setting(mcx, "keys", NULL);

    if (!dir) {
        return MCX_OK;
    }
    MCX_TRY(mcx_kms_load_dir(mcx->host.table.ring, dir, mcx->env, &loaded,
                             text));
    mcx_log(mcx->env, MCX_AREA_HOST, 5, "keys: %zu KMS, %zu user keys",
            loaded.n_kms, loaded.n_users);
    return MCX_OK;
}

static mcx_err
check_sofia(struct mcx_text *text)
{
    if (strcmp(nua_version, SOFIA_SIP_VERSION) != 0) {
        snprintf(text->s, sizeof text->s,
                 "built with sofia-sip %s, running with %.64s",
                 SOFIA_SIP_VERSION, nua_version);
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

static mcx_err
start_modules(mcx_t *mcx, struct mcx_text *text)
{
    struct mcxh_loader how = {
        .dir = setting(mcx, "module-dir", NULL),
        .built_in = MCX_MODULES_DIR,
        .version = PACKAGE_VERSION,
        .sofia_version = SOFIA_SIP_VERSION,
        .fixed = mcxh_fixed_modules(),
    };

    return mcxh_host_start(&mcx->host, setting(mcx, "modules", ""),
                           setting(mcx, "modules-optional", ""), &how, text);
}

static mcx_err
make_tags(mcx_t *mcx)
{
    bool server = mcx->host.table.role == MCX_ROLE_SERVER;
    msg_mclass_t const *guard = mcxs_guard_mclass();

    if (!guard) {
        return MCX_E_NOMEM;
    }
    mcx->nua_tags = tl_list(
        NUTAG_SOA_NAME(MCXS_ENGINE_NAME), MCXTAG_INSTANCE(mcx),
        NUTAG_SIP_PARSER(guard), NUTAG_ACCEPT_MULTIPART(1),
        /* A body over 1300 octets would move a request from UDP to TCP. */
        NTATAG_UDP_MTU(65535),
        NUTAG_APPL_METHOD("MESSAGE"),
        /* One method a tag: sofia reads past a longer list when it finds a
         * method in it that it has already. */
        TAG_IF(server, NUTAG_APPL_METHOD("PUBLISH")),
        TAG_IF(server, NUTAG_APPL_METHOD("REGISTER")),
        TAG_IF(server, NUTAG_ALLOW("PUBLISH")),
        TAG_IF(server, NUTAG_ALLOW("REGISTER")),
        TAG_IF(server, NUTAG_ALLOW_EVENTS("poc-settings")), TAG_END());
    return mcx->nua_tags ? MCX_OK : MCX_E_NOMEM;
}

static void
on_grown(void *arg)
{
    mcxs_parked_retry(arg);
}

/* ---- tables in the background ------------------------------------------- */

struct tables_job {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
};

static void tables_due(void *arg);

/* One table, then a place at the end of the queue for the next: what somebody
 * waits for is never behind more than that. */
static void
tables_work(struct mcxh_job *job)
{
    mcx_t *mcx = ((struct tables_job *)job)->mcx;

    atomic_store(&mcx->tables_queued, false);
    if (mcx_ring_build_due(mcx->host.table.ring)) {
        mcxh_count(&mcx->host.counters, "tables-built");
        tables_due(mcx);
    }
}

static void
tables_done(struct mcxh_job *job)
{
    free(job);
}

/* On any thread.  When it cannot be queued, the next one that is due is. */
static void
tables_due(void *arg)
{
    mcx_t *mcx = arg;
    struct tables_job *j;

    if (atomic_exchange(&mcx->tables_queued, true)) {
        return;
    }
    j = calloc(1, sizeof *j);
    if (j) {
        j->mcx = mcx;
        j->job.work = tables_work;
        j->job.done = tables_done;
    }
    if (!j || !mcxh_pool_quiet(mcx->pool)
        || mcxh_pool_submit(mcx->pool, &j->job) != MCX_OK) {
        free(j);
        atomic_store(&mcx->tables_queued, false);
    }
}

static mcx_err
make(mcx_t *mcx, tagi_t const *tags, struct mcx_text *text)
{
    struct mcx_host *table = &mcx->host.table;
    unsigned workers, queue;

    MCX_TRY(check_sofia(text));
    MCX_TRY(read_config(mcx, tags, text));
    MCX_TRY(read_role(mcx, text));
    MCX_TRY(read_number(mcx, "workers", &workers, 0, 0,
                        MCXH_POOL_THREADS_MAX, text));
    MCX_TRY(read_number(mcx, "queue", &queue, MCXH_POOL_QUEUE, 1,
                        MCXH_POOL_QUEUE_MAX, text));
    MCX_TRY(mcx_ident_selftest());
    table->env = mcx->env;
    table->self = setting(mcx, "identity", "");
    table->psi = setting(mcx, "psi", "");
    table->host_name = setting(mcx, "host-name", "mcx");
    MCX_TRY(mcx_ring_new(&table->ring, mcx->env));
    MCX_TRY(mcx_keys_new(&table->keys, mcx->env, KEYS_MAX));
    MCX_TRY(mcx_replay_new(&table->replay, MCX_REPLAY_DEFAULT_MAX));
    MCX_TRY(mcxh_monthly_tel(table->ring, mcx->config, text));
    MCX_TRY(load_keys(mcx, text));
    MCX_TRY(mcxs_redirect_start(mcx, text));
    mcx->post = mcxs_post_new(mcx->root);
    if (!mcx->post) {
        return MCX_E_NOMEM;
    }
    mcxs_report_init(mcx);
    mcxs_token_init(mcx);
    MCX_TRY(mcxh_pool_new(&mcx->pool, workers, queue, mcxs_post_job,
                          mcx->post));
    mcx->host.pool = mcx->pool;
    mcx->host.grown = on_grown;
    mcx->host.grown_arg = mcx;
    mcx_ring_on_due(table->ring, tables_due, mcx);
    MCX_TRY(start_modules(mcx, text));
    if (mcxs_engine_init() != 0 ||
        mcxs_engine_attach(mcx, &mcxs_call_ops) != 0) {
        snprintf(text->s, sizeof text->s,
                 "the offer/answer engine cannot be registered");
        return MCX_E_NOMEM;
    }
    mcx->engine = true;
    MCX_TRY(make_tags(mcx));
    mcx->timer = su_timer_create(su_root_task(mcx->root), MCXS_BEAT_MS);
    if (!mcx->timer ||
        su_timer_run(mcx->timer, on_beat, (su_timer_arg_t *)mcx) != 0) {
        return MCX_E_NOMEM;
    }
    return MCX_OK;
}

mcx_t *
mcx_create(su_root_t *root, mcx_callback_f *callback, mcx_magic_t *magic,
           tag_type_t tag, tag_value_t value, ...)
{
    void const *env = NULL, *app = NULL, *app_magic = NULL, *error = NULL;
    void const *token = NULL;
    struct mcx_text text = { "" };
    pthread_condattr_t attr;
    mcx_err err = MCX_E_NOMEM;
    mcx_t *mcx;
    ta_list ta;

    mcx = calloc(1, sizeof *mcx);
    ta_start(ta, tag, value);
    tl_gets(ta_args(ta), MCXTAG_ENV_REF(env), MCXTAG_CALLBACK_REF(app),
            MCXTAG_NUA_MAGIC_REF(app_magic), MCXTAG_ERROR_REF(error),
            MCXTAG_TOKEN_CALLBACK_REF(token), TAG_END());
    if (mcx) {
        su_home_init(mcx->home);
        mcx->root = root;
        mcx->callback = callback;
        mcx->magic = magic;
        mcx->env = env ? env : mcxs_env();
        mcx->app_callback = (nua_callback_f)(uintptr_t)app;
        mcx->app_magic = (nua_magic_t *)(uintptr_t)app_magic;
        mcx->token_callback = (mcx_token_f *)(uintptr_t)token;
        pthread_mutex_init(&mcx->token_lock, NULL);
        pthread_mutex_init(&mcx->calls_lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&mcx->calls_wake, &attr);
        pthread_condattr_destroy(&attr);
        mcxh_host_init(&mcx->host, NULL);
        mcx->host.glue = mcx;
        err = mcx_config_new(&mcx->config);
        mcx->host.config = mcx->config;
        if (err == MCX_OK) {
            err = make(mcx, ta_args(ta), &text);
        }
    }
    ta_end(ta);
    if (err == MCX_OK) {
        return mcx;
    }
    if (!text.s[0]) {
        snprintf(text.s, sizeof text.s, "%s", mcx_err_text(err));
    }
    mcx_log(env ? env : mcxs_env(), MCX_AREA_HOST, 1, "not started: %s",
            text.s);
    if (error) {
        *(struct mcx_text *)(uintptr_t)error = text;
    }
    mcx_destroy(mcx);
    return NULL;
}

void
mcx_destroy(mcx_t *mcx)
{
    if (!mcx) {
        return;
    }
    if (mcx->timer) {
        su_timer_destroy(mcx->timer);
    }
    if (mcx->engine) {
        mcxs_engine_detach(mcx);
    }
    mcx->nua_gone = true; /* or to be so: no handle is touched any more */
    mcxs_incoming_end(mcx);
    mcxs_call_end_all(mcx);
    mcxs_out_forget(mcx, NULL);
    mcxs_refresh_forget(mcx, NULL);
    if (mcx->host.table.ring) {
        mcx_ring_on_due(mcx->host.table.ring, NULL, NULL);
    }
    mcxh_pool_free(mcx->pool); /* posts what it had, as cancelled */
    mcx->host.pool = NULL;
    if (mcx->host.table.keys) {
        mcx_keys_listen(mcx->host.table.keys, NULL, NULL);
    }
    mcx->callback = NULL;
    mcxs_post_close(mcx->post);
    mcx->post = NULL;
    mcx->host.emit = NULL;
    mcxh_host_deinit(&mcx->host);
    mcx_keys_free(mcx->host.table.keys);
    mcx_replay_free(mcx->host.table.replay);
    mcx_ring_free(mcx->host.table.ring);
    mcx_config_free(mcx->config);
    mcxs_token_end(mcx);
    mcxs_redirect_stop(mcx);
    tl_vfree(mcx->nua_tags);
    pthread_cond_destroy(&mcx->calls_wake);
    pthread_mutex_destroy(&mcx->calls_lock);
    pthread_mutex_destroy(&mcx->token_lock);
    su_home_deinit(mcx->home);
    free(mcx);
}

tagi_t const *
mcx_nua_tags(mcx_t *mcx)
{
    return mcx->nua_tags;
}

/* ---- key files read again ---------------------------------------------- */

struct reload {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    struct mcx_text text;
    mcx_err err;
};

static void
reload_work(struct mcxh_job *job)
{
    struct reload *r = (struct reload *)job;

    r->err = load_keys(r->mcx, &r->text);
}

static void
reload_done(struct mcxh_job *job)
{
    struct reload *r = (struct reload *)job;

    if (!job->cancelled) {
        if (r->err != MCX_OK) {
            mcx_log(r->mcx->env, MCX_AREA_HOST, 3, "keys: %s",
                    r->text.s[0] ? r->text.s : mcx_err_text(r->err));
        }
        mcxs_parked_retry(r->mcx);
    }
    free(r);
}

int
mcx_reload_keys(mcx_t *mcx)
{
    struct reload *r = calloc(1, sizeof *r);

    if (!r) {
        return -1;
    }
    r->mcx = mcx;
    r->job.work = reload_work;
    r->job.done = reload_done;
    if (mcxh_pool_submit(mcx->pool, &r->job) != MCX_OK) {
        free(r);
        return -1;
    }
    return 0;
}

/* ---- looking at it ----------------------------------------------------- */

const struct mcx_env *
mcx_env(mcx_t *mcx)
{
    return mcx->env;
}

struct mcx_ring *
mcx_key_ring(mcx_t *mcx)
{
    return mcx->host.table.ring;
}

struct mcx_keys *
mcx_key_store(mcx_t *mcx)
{
    return mcx->host.table.keys;
}

const struct mcx_srtp_api *
mcx_srtp(mcx_t *mcx)
{
    return mcxh_host_feature(&mcx->host, "srtp.session");
}

void
mcx_counters(mcx_t *mcx,
             void (*each)(void *arg, const char *name, uint64_t value),
             void *arg)
{
    mcxh_counters_each(&mcx->host.counters, each, arg);
}

void
mcx_modules(mcx_t *mcx,
            void (*each)(void *arg, const char *name, bool loaded,
                         const char *reason),
            void *arg)
{
    for (size_t i = 0; i < mcx->host.n_mods; i++) {
        const struct mcxh_mod *mod = &mcx->host.mod[i];
        each(arg, mod->name, mod->started, mod->reason);
    }
}
