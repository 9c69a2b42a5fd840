/* host.c -- loads, starts and stops modules; what they see of the host.
 *
 * Called by the glue's mcx_create() and mcx_destroy(), and by modules through
 * struct mcx_host.  SIP, threads and transactions are the glue's. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "features.h"
#include "host.h"
#include "options.h"

static const char *const host_features[] = {
    "keys.store", "kms.identity", "worker.pool", NULL
};

static const char *
table_option(const struct mcx_host *table, const char *module,
             const char *name)
{
    struct mcxh_host *host = table->impl;

    return mcxh_option(host->config, host->mod, host->n_mods, module, name);
}

static unsigned
table_peer(const struct mcx_host *table, const char *uri)
{
    struct mcxh_host *host = table->impl;

    return mcxh_peer_options(host->config, uri);
}

static const void *
table_feature(const struct mcx_host *table, const char *name)
{
    return mcxh_host_feature(table->impl, name);
}

static void
table_event(const struct mcx_host *table, enum mcx_event_kind kind,
            const struct mcx_key_info *info, mcx_err err,
            const struct mcx_why *why, const char *who)
{
    struct mcxh_host *host = table->impl;

    if (host->emit) {
        host->emit(host->emit_arg, kind, info, err, why, who);
    }
}

static void
table_count(const struct mcx_host *table, const char *name)
{
    struct mcxh_host *host = table->impl;

    mcxh_count(&host->counters, name);
}

/* A module's work as a job of the pool, which modules do not know. */
struct work_job {
    struct mcxh_job job; /* first */
    struct mcx_work *work;
};

static void
run_work(struct mcxh_job *job)
{
    struct mcx_work *work = ((struct work_job *)job)->work;

    work->work(work);
}

static void
work_done(struct mcxh_job *job)
{
    struct mcx_work *work = ((struct work_job *)job)->work;

    work->cancelled = job->cancelled;
    free(job);
    work->done(work); /* may free it */
}

static mcx_err
table_submit(const struct mcx_host *table, struct mcx_work *work)
{
    struct mcxh_host *host = table->impl;
    struct work_job *j;
    mcx_err err;

    if (!host->pool) {
        return MCX_E_STATE;
    }
    j = calloc(1, sizeof *j);
    if (!j) {
        return MCX_E_NOMEM;
    }
    j->job.work = run_work;
    j->job.done = work_done;
    j->work = work;
    err = mcxh_pool_submit(host->pool, &j->job);
    if (err != MCX_OK) {
        free(j);
    }
    return err;
}

static bool
table_stopping(const struct mcx_host *table)
{
    struct mcxh_host *host = table->impl;

    return !host->pool || mcxh_pool_stopping(host->pool);
}

static void
table_grown(const struct mcx_host *table)
{
    struct mcxh_host *host = table->impl;

    if (host->grown) {
        host->grown(host->grown_arg);
    }
}

static void
table_identity(const struct mcx_host *table, const char *uri,
               const char *kms_uri, uint64_t period_no)
{
    struct mcxh_host *host = table->impl;

    if (host->identity) {
        host->identity(host->glue, uri, kms_uri, period_no);
    }
}

static mcx_err
table_token(const struct mcx_host *table, char *out, size_t room)
{
    struct mcxh_host *host = table->impl;

    return host->token ? host->token(host->glue, out, room)
                       : MCX_E_UNSUPPORTED;
}

static void
table_token_wanted(const struct mcx_host *table, const char *kms_uri,
                   int status)
{
    struct mcxh_host *host = table->impl;

    if (host->token_wanted) {
        host->token_wanted(host->glue, kms_uri, status);
    }
}

void
mcxh_host_init(struct mcxh_host *host, struct mcx_config *config)
{
    memset(host, 0, sizeof *host);
    mcxh_counters_init(&host->counters);
    host->config = config;
    host->table.abi = MCX_MODULE_ABI;
    host->table.size = sizeof host->table;
    host->table.impl = host;
    host->table.self = host->table.psi = host->table.host_name = "";
    host->table.option = table_option;
    host->table.peer = table_peer;
    host->table.feature = table_feature;
    host->table.event = table_event;
    host->table.count = table_count;
    host->table.submit = table_submit;
    host->table.stopping = table_stopping;
    host->table.grown = table_grown;
    host->table.identity = table_identity;
    host->table.token = table_token;
    host->table.token_wanted = table_token_wanted;
}

struct wanted {
    struct mcxh_host *host;
    bool optional;
};

static bool
add_wanted(void *arg, const char *word)
{
    struct wanted *w = arg;
    struct mcxh_host *host = w->host;

    for (size_t i = 0; i < host->n_mods; i++) {
        if (strcmp(host->mod[i].name, word) == 0) {
            return true;
        }
    }
    if (host->n_mods >= MCXH_MODULES_MAX) {
        return false;
    }
    snprintf(host->mod[host->n_mods].name, MCXH_NAME_SIZE, "%s", word);
    host->mod[host->n_mods].optional = w->optional;
    host->n_mods++;
    return true;
}

/* A module that had to load and did not: the reason goes to 'text'. */
static mcx_err
check_loaded(const struct mcxh_host *host, struct mcx_text *text)
{
    for (size_t i = 0; i < host->n_mods; i++) {
        const struct mcxh_mod *mod = &host->mod[i];
        if (!mod->desc) {
            mcx_log(host->table.env, MCX_AREA_HOST, mod->optional ? 5 : 3,
                    "module %s not loaded: %s", mod->name, mod->reason);
        }
        if (!mod->desc && !mod->optional) {
            snprintf(text->s, sizeof text->s, "module %s: %s", mod->name,
                     mod->reason);
            return MCX_E_CONFIG;
        }
    }
    return MCX_OK;
}

static mcx_err
start_one(struct mcxh_host *host, struct mcxh_mod *mod, struct mcx_text *text)
{
    struct mcx_text said = { "" };
    mcx_err err = mod->desc->start(&mod->state, &host->table, &said);

    if (err == MCX_OK) {
        mod->started = true;
        mcx_log(host->table.env, MCX_AREA_HOST, 5, "module %s %s started",
                mod->name, mod->desc->version);
        return MCX_OK;
    }
    snprintf(mod->reason, sizeof mod->reason, "%.200s",
             said.s[0] ? said.s : mcx_err_text(err));
    snprintf(text->s, sizeof text->s, "module %s: %s", mod->name,
             mod->reason);
    mcx_log(host->table.env, MCX_AREA_HOST, 3, "module %s did not start: %s",
            mod->name, mod->reason);
    mod->desc = NULL;
    return err;
}

/* A started module may need one whose start() failed.  */
static bool
needs_met(const struct mcxh_host *host, struct mcxh_mod *mod)
{
    for (size_t k = 0; k < mod->desc->n_features; k++) {
        const struct mcx_feature *f = &mod->desc->features[k];
        bool met = f->sort != MCX_NEEDS;
        for (size_t i = 0; host_features[i] && !met; i++) {
            met = strcmp(host_features[i], f->name) == 0;
        }
        for (size_t i = 0; i < host->n_mods && !met; i++) {
            const struct mcx_module *d = host->mod[i].desc;
            for (size_t j = 0; d && j < d->n_features && !met; j++) {
                met = d->features[j].sort == MCX_PROVIDES &&
                      strcmp(d->features[j].name, f->name) == 0;
            }
        }
        if (!met) {
            snprintf(mod->reason, sizeof mod->reason,
                     "needs \"%s\", whose module did not start", f->name);
            mod->desc = NULL;
            return false;
        }
    }
    return true;
}

mcx_err
mcxh_host_start(struct mcxh_host *host, const char *names,
                const char *optional, const struct mcxh_loader *how,
                struct mcx_text *text)
{
    struct wanted must = { host, false }, may = { host, true };
    size_t order[MCXH_MODULES_MAX], n;
    mcx_err err = MCX_OK;

    if (!mcxh_words(names, add_wanted, &must) ||
        !mcxh_words(optional, add_wanted, &may)) {
        snprintf(text->s, sizeof text->s,
                 "modules: expected at most %d names of less than %d "
                 "characters", MCXH_MODULES_MAX, MCXH_NAME_SIZE);
        return MCX_E_CONFIG;
    }
    for (size_t i = 0; i < host->n_mods; i++) {
        (void)mcxh_load(&host->mod[i], how); /* the reason is kept in it */
    }
    n = mcxh_features_order(host->mod, host->n_mods, host_features, order);
    MCX_TRY(check_loaded(host, text));
    MCX_TRY(mcxh_options_check(host->config, host->mod, host->n_mods, text));
    for (size_t i = 0; i < n; i++) {
        struct mcxh_mod *mod = &host->mod[order[i]];
        if (!needs_met(host, mod)) {
            err = mod->optional ? MCX_OK : MCX_E_CONFIG;
            snprintf(text->s, sizeof text->s, "module %s: %s", mod->name,
                     mod->reason);
        } else {
            err = start_one(host, mod, text);
            if (err == MCX_OK) {
                host->order[host->n_order++] = order[i];
            }
        }
        if (err != MCX_OK && !mod->optional) {
            mcxh_host_stop(host);
            return err;
        }
    }
    return MCX_OK;
}

void
mcxh_host_stop(struct mcxh_host *host)
{
    while (host->n_order > 0) {
        struct mcxh_mod *mod = &host->mod[host->order[--host->n_order]];
        mod->desc->stop(mod->state);
        mod->state = NULL;
        mod->started = false;
    }
}

void
mcxh_host_deinit(struct mcxh_host *host)
{
    mcxh_host_stop(host);
    mcxh_counters_deinit(&host->counters);
}

void
mcxh_host_tick(struct mcxh_host *host)
{
    for (size_t i = 0; i < host->n_order; i++) {
        struct mcxh_mod *mod = &host->mod[host->order[i]];
        if (mod->desc->tick) {
            mod->desc->tick(mod->state);
        }
    }
}

const void *
mcxh_host_feature(struct mcxh_host *host, const char *name)
{
    for (size_t i = 0; i < host->n_order; i++) {
        struct mcxh_mod *mod = &host->mod[host->order[i]];
        for (size_t k = 0; k < mod->desc->n_features; k++) {
            const struct mcx_feature *f = &mod->desc->features[k];
            if (f->sort == MCX_PROVIDES && strcmp(f->name, name) == 0 &&
                mod->desc->feature) {
                return mod->desc->feature(mod->state, name);
            }
        }
    }
    return NULL;
}
