/* pf.h -- mcx-pf inside: the participating function, and which file does what.
 *
 *   pf_main.c  settings, start and end, commands
 *   pf_sip.c   nua and mcx callbacks; REGISTER, PUBLISH, key downloads
 *   pf_call.c  the back-to-back user agent
 *   pf_reg.c   the table of bindings
 *
 * Everything runs on the thread of one su_root_t. */
#ifndef PF_H
#define PF_H

#include "app_config.h"
#include "app_mcx.h"
#include "control.h"
#include "pf_reg.h"

struct pf_call;

struct pf {
    struct app_config config;
    const struct mcx_env *env;
    su_root_t *root;
    mcx_t *mcx;
    nua_t *nua;
    struct control *control;
    struct pf_reg *reg;
    su_timer_t *timer;
    const char *identity, *host_name; /* settings */
    long expires, max_calls;
    bool shut;
    struct pf_call *calls; /* newest first */
    size_t n_calls;
    struct pf_download *downloads;
};

/* What a handle's magic points to: the first member says what it is. */
enum pf_sort { PF_LEG, PF_DOWNLOAD };
struct pf_magic {
    enum pf_sort sort;
};

/* Warnings of TS 24.379 4.4.2, as a header value; the text is static. */
#define PF_UNKNOWN_USER "141 user unknown to the participating function"

/* pf_sip.c */
int pf_start(struct pf *pf);
void pf_shutdown(struct pf *pf);
/* NULL, or what is wrong. */
const char *pf_download(struct pf *pf, const char *mc_id);
/* `399 host "text"` in 'home'. */
char *pf_warning(const struct pf *pf, su_home_t *home, const char *text);
/* 'url' without parameters, headers and password; NULL: none, or no memory. */
char *pf_bare_uri(su_home_t *home, url_t const *url);

/* pf_call.c */
void pf_call_event(struct pf *pf, nua_event_t event, int status,
                   nua_handle_t *nh, struct pf_magic *magic,
                   sip_t const *sip, tagi_t tags[]);
void pf_call_show(struct pf *pf, struct control_conn *conn, bool json);
void pf_call_end_all(struct pf *pf);

#endif /* PF_H */
