/* glue.h -- an instance from inside, and who does what in this folder.
 *
 *   mcx.c         makes and ends an instance; mcx_nua_tags()
 *   nua_events.c  mcx_event(): which file an event is for; redelivery
 *   request.c     a sip_t as a struct mcx_rq
 *   incoming.c    requests that a module judges: hold, judge, answer
 *   parked.c      what waits for a period key
 *   outgoing.c    mcx_register() and the like: prepare, send, outcome
 *   body.c        parts into one body
 *   refresh.c     keeps nua from sending the same MIKEY message twice
 *   call.c        call records, and the engine's operations
 *   call_in.c     INVITEs held until the offer is judged
 *   report.c      events to the application, log lines of refusals
 *   redirect.c    KMS redirect responses: made and obeyed
 *   token.c       bearer tokens from the application
 *   su_post.c su_sink.c tags.c    loop, log, tags
 *   mime.c guard.c engine.c       bodies and soa, see their headers
 *
 * Everything here runs on the loop, except what call.h says of engine
 * operations and the work() of jobs. */
#ifndef MCXS_GLUE_H
#define MCXS_GLUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sofia-sip/su_alloc.h>
#include <sofia-sip/su_tag.h>
#include <sofia-mcx/mcx_sofia.h>
#include "host/host.h"
#include "host/pool.h"
#include "sofia/mime.h"
#include "sofia/su_post.h"

enum {
    MCXS_HELD_MAX = 1024,     /* requests under judgement at once   */
    MCXS_HELD_MS = 15000,     /* a transaction is held at most      */
    MCXS_PARKED_MAX = 64,     /* design defaults                    */
    MCXS_PARKED_MS = 10000,
    MCXS_PARKED_RETRY_MS = 500,
    MCXS_BEAT_MS = 100,       /* of the instance's timer            */
    MCXS_GIVE_UP_MS = 120000, /* a request without a final response */
    MCXS_CALL_IDLE_S = 3,     /* a record whose call has gone       */
    MCXS_ENGINE_WAIT_MS = 5000 /* the engine waits for a verdict    */
};

struct mcxs_held;
struct mcxs_out;
struct mcxs_call;
struct mcxs_reg;
struct mcxs_hold;

struct mcx_s {
    su_root_t *root;
    su_home_t home[1];
    mcx_callback_f *callback;
    mcx_magic_t *magic;
    nua_callback_f app_callback; /* NULL: events cannot be given back */
    nua_magic_t *app_magic;
    const struct mcx_env *env;
    struct mcx_config *config;
    struct mcxh_host host;
    struct mcxs_post *post;
    struct mcxh_pool *pool;
    su_timer_t *timer;
    int64_t next_second_ms, next_retry_ms;
    nua_t *nua;         /* as last seen by mcx_event() */
    atomic_bool nua_gone; /* nua_r_shutdown was seen   */
    bool engine;
    msg_t *current;     /* request of the event being given back */
    bool giving_back;
    tagi_t *nua_tags;

    struct mcxs_held *held; /* also those parked */
    size_t n_held, n_parked;
    struct mcxs_out *out;
    struct mcxs_reg *reg;

    struct mcxs_hold *holds;
    atomic_bool tables_queued; /* a job that builds tables */

    /* Of redirect.c; not changed after the start.  SECRET, guarded. */
    struct mcxs_pem {
        char *p;
        size_t n;
    } krr_ca, krr_cert, krr_key;

    mcx_token_f *token_callback;
    pthread_mutex_t token_lock;
    char *token; /* SECRET, guarded; NULL: none */

    pthread_mutex_t calls_lock;
    pthread_cond_t calls_wake;
    struct mcxs_call *calls;
};

/* ---- nua_events.c ---- */

/* A nua event that was kept, as it came. */
struct mcxs_event {
    struct mcxs_event *next;
    mcx_t *mcx;
    nua_saved_event_t saved[1];
    nua_event_t event;
    int status;
    char const *phrase;
    nua_handle_t *nh; /* a reference */
};
/* Keeps the event nua is delivering; NULL when that cannot be done. */
struct mcxs_event *mcxs_event_keep(mcx_t *mcx, nua_event_t event, int status,
                                   char const *phrase, nua_handle_t *nh);
/* Gives it to the application.  false: there is no MCXTAG_CALLBACK. */
bool mcxs_event_give_back(mcx_t *mcx, const struct mcxs_event *ev);
void mcxs_event_free(struct mcxs_event *ev);
/* nua_handle_unref(), but not once nua has shut down: nua_destroy() frees all
 * handles, referenced or not. */
void mcxs_unref(mcx_t *mcx, nua_handle_t *nh);

/* ---- request.c ---- */

/* A request, copied: for the pool. */
struct mcxs_rq {
    struct mcx_rq rq;
    su_home_t home[1];
    struct mcxs_body body;
    mcx_err body_err; /* of taking the body apart */
    struct mcx_why body_why;
    bool initial;     /* outside of a dialog: the handle is new */
};
/* false when memory is short; nothing is to be freed then. */
bool mcxs_rq_read(struct mcxs_rq *r, nua_handle_t *nh, sip_t const *sip);
void mcxs_rq_free(struct mcxs_rq *r);
/* Value of a header that sofia does not know, copied; "" when absent. */
char *mcxs_header(su_home_t *home, sip_t const *sip, const char *name);
/* First URI of P-Asserted-Identity, without parameters; "" when absent. */
char *mcxs_asserted_identity(su_home_t *home, sip_t const *sip);
/* 'url' without parameters, headers and password; "" for NULL. */
char *mcxs_bare_uri(su_home_t *home, url_t const *url);
/* Content-Type header of 'sip' as text; NULL when absent. */
char *mcxs_content_type(su_home_t *home, sip_t const *sip);
/* Code of a Warning "399 host "136 ...""; 0 when there is none. */
unsigned mcxs_warning_code(sip_t const *sip);

/* ---- incoming.c ---- */

int mcxs_incoming(mcx_t *mcx, nua_event_t event, int status,
                  char const *phrase, nua_handle_t *nh, sip_t const *sip);
void mcxs_incoming_beat(mcx_t *mcx, int64_t now_ms, bool retry);
/* Answers all that is held with 503. */
void mcxs_incoming_end(mcx_t *mcx);
/* What a peer is told of 'err': 488, 500 or 503. */
int mcxs_status_of(mcx_err err);

/* ---- parked.c ---- */

/* May one more wait for a period key?  Counts it in. */
bool mcxs_park(mcx_t *mcx, mcx_err err, const struct mcx_why *why,
               int64_t *until_ms, const char *who);
void mcxs_unpark(mcx_t *mcx);
/* Asks for another try of all that is parked, at the next beat. */
void mcxs_parked_retry(mcx_t *mcx);

/* ---- outgoing.c ---- */

int mcxs_send(mcx_t *mcx, enum mcx_purpose purpose, nua_handle_t *nh,
              tagi_t const *tags, bool refresh);
int mcxs_response(mcx_t *mcx, nua_event_t event, int status,
                  char const *phrase, nua_handle_t *nh, sip_t const *sip);
/* 1: tells of the end of an INVITE that is being tried again. */
int mcxs_out_hush(mcx_t *mcx, nua_event_t event, nua_handle_t *nh,
                  tagi_t const *tags);
void mcxs_out_beat(mcx_t *mcx, int64_t now_ms);
/* Gives up what was begun for 'nh', or, NULL, everything. */
void mcxs_out_forget(mcx_t *mcx, nua_handle_t *nh);

/* A request under preparation, as body.c and call.c see it. */
struct mcxs_out {
    struct mcxh_job job; /* first */
    struct mcxs_out *next;
    mcx_t *mcx;
    struct mcx_out out;
    su_home_t home[1];
    nua_handle_t *nh; /* a reference */
    tagi_t *tags;     /* without ours; a payload of the application is in
                         'app_body' */
    char *app_type;
    struct mcx_bytes app_body;
    bool took[MCXH_MODULES_MAX]; /* by place in the start order */
    bool sent, refresh, raw;
    const struct mcx_kms_lookup *lookup; /* NULL: nobody can be asked */
    bool digested; /* 'digest' is that of the I_MESSAGE that goes */
    uint8_t digest[MCX_SHA256_SIZE];
    bool hush; /* the end of an INVITE that is tried again: not told */
    bool dead; /* given up while on the pool */
    int64_t give_up_ms;
    mcx_err err;
    struct mcx_why why;
};
/* NULL when memory is short. */
struct mcxs_out *mcxs_out_new(mcx_t *mcx, enum mcx_purpose purpose,
                              nua_handle_t *nh);
/* Frees one that is on no list and not on the pool. */
void mcxs_out_free(struct mcxs_out *o);
/* Asks every module; counts those that take part. */
size_t mcxs_out_ask(struct mcxs_out *o);
/* prepare() of all that take part; pool. */
void mcxs_out_prepare(struct mcxs_out *o);
/* outcome() of all that take part. */
enum mcx_next mcxs_out_outcome(struct mcxs_out *o, int status,
                               unsigned warning);

/* ---- body.c ---- */

/* The one body of the application's and the modules' parts.  '*type' NULL: no
 * body.  Lives in 'o->home'; wiped by mcxs_body_wipe(). */
struct mcxs_flat {
    char *type;
    uint8_t *body; /* malloc'ed */
    size_t n;
};
mcx_err mcxs_flatten(struct mcxs_flat *flat, struct mcxs_out *o) MCX_MUST_USE;
void mcxs_flat_wipe(struct mcxs_flat *flat);

/* ---- refresh.c ---- */

/* Our REGISTER was accepted: if it had a body, sends one without; half-way to
 * the expiry the modules are asked for a fresh one. */
void mcxs_refresh_accepted(mcx_t *mcx, struct mcxs_out *o, sip_t const *sip);
/* Events of the REGISTER without a body: 1 when it is of no interest to the
 * application. */
int mcxs_refresh_response(mcx_t *mcx, int status, nua_handle_t *nh);
void mcxs_refresh_beat(mcx_t *mcx, int64_t now_ms);
void mcxs_refresh_forget(mcx_t *mcx, nua_handle_t *nh);

/* ---- report.c ---- */

void mcxs_report_init(mcx_t *mcx);
/* A refusal: one line at level 3, a count, and mcx_i_refused. */
void mcxs_refused(mcx_t *mcx, enum mcx_area area, int status, mcx_err err,
                  const struct mcx_why *why, const char *who);
/* mcx_r_* and other events that have a handle; loop. */
void mcxs_tell(mcx_t *mcx, mcx_event_t event, int status, char const *phrase,
               nua_handle_t *nh, struct mcx_key *key);

/* The Warning that goes with a refused I_MESSAGE. */
char *mcxs_warning(su_home_t *home, const mcx_t *mcx, unsigned code,
                   const char *text);

/* ---- redirect.c ---- */

/* Reads the files of the settings.  MCX_E_CONFIG and 'text'. */
mcx_err mcxs_redirect_start(mcx_t *mcx, struct mcx_text *text) MCX_MUST_USE;
void mcxs_redirect_stop(mcx_t *mcx);
/* Pool.  The document that goes with a refusal, when 'why' says that the
 * I_MESSAGE 'mikey' (an offer: the one in 'sdp') names a KMS that we do not
 * take; 'xml' NULL: none goes.  Free with mcx_kms_text_free(). */
struct mcxs_krr {
    char *xml;
    size_t n;
};
void mcxs_redirect_make(struct mcxs_krr *krr, mcx_t *mcx,
                        struct mcx_bytes mikey, const struct mcx_why *why);
/* Pool.  Remembers which I_MESSAGE goes out with 'o'. */
void mcxs_redirect_note(struct mcxs_out *o);
void mcxs_redirect_make_sdp(struct mcxs_krr *krr, mcx_t *mcx,
                            struct mcx_bytes sdp,
                            const struct mcx_why *why);
/* Does the refusal 'sip' of 'o' send us to another KMS, and may it?  Then
 * o->out.kms is set.  A document that is refused is reported. */
bool mcxs_redirect_obey(struct mcxs_out *o, sip_t const *sip);

/* ---- token.c ---- */

/* Before modules start; and when all of them have stopped. */
void mcxs_token_init(mcx_t *mcx);
void mcxs_token_end(mcx_t *mcx);

#endif /* MCXS_GLUE_H */
