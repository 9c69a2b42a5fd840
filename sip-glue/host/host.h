/* host.h -- the modules of one instance, and the table they get.
 *
 * Knows nothing of sofia-sip: the glue supplies what happens with events, and
 * calls the hooks of 'mod' in 'order'. */
#ifndef MCXH_HOST_H
#define MCXH_HOST_H

#include "counters.h"
#include "loader.h"
#include "pool.h"

struct mcxh_host {
    struct mcx_host table; /* 'impl' points back here */
    struct mcx_config *config;
    struct mcxh_counters counters;
    struct mcxh_mod mod[MCXH_MODULES_MAX];
    size_t n_mods;
    size_t order[MCXH_MODULES_MAX]; /* start order, loaded ones only */
    size_t n_order;
    /* The glue's part of mcx_host.event; any thread. */
    void (*emit)(void *arg, enum mcx_event_kind kind,
                 const struct mcx_key_info *info, mcx_err err,
                 const struct mcx_why *why, const char *who);
    void *emit_arg;
    struct mcxh_pool *pool; /* the glue's; NULL: mcx_host.submit refuses */
    /* The glue's part of mcx_host.grown; loop. */
    void (*grown)(void *arg);
    void *grown_arg;
    /* The glue's parts of the functions of that name; any thread.  NULL: as
     * for an application that gives no tokens. */
    void (*identity)(void *arg, const char *uri, const char *kms_uri,
                     uint64_t period_no);
    mcx_err (*token)(void *arg, char *out, size_t room);
    void (*token_wanted)(void *arg, const char *kms_uri, int status);
    void *glue; /* their 'arg' */
};

/* Prepares the table; 'env', 'ring', 'keys', 'replay', 'role', 'self', 'psi'
 * and 'host_name' of it are the caller's to set before mcxh_host_start(). */
void mcxh_host_init(struct mcxh_host *host, struct mcx_config *config);
/* Loads the modules of 'names' (all must load) and of 'optional' (those that
 * can), checks their settings, and starts them in order.  On failure 'text'
 * says which and why, and nothing is left running.
 * MCX_E_CONFIG, or the error of the module's start(). */
mcx_err mcxh_host_start(struct mcxh_host *host, const char *names,
                        const char *optional, const struct mcxh_loader *how,
                        struct mcx_text *text) MCX_MUST_USE;
/* Stops modules in reverse order.  No hook may run any more. */
void mcxh_host_stop(struct mcxh_host *host);
void mcxh_host_deinit(struct mcxh_host *host);
/* tick() of every module. */
void mcxh_host_tick(struct mcxh_host *host);
/* The object behind a feature, or NULL. */
const void *mcxh_host_feature(struct mcxh_host *host, const char *name);

/* Wipes and frees all that modules put into 'out'. */
void mcxh_out_clear(struct mcx_out *out);

#endif /* MCXH_HOST_H */
