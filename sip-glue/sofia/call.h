/* call.h -- a call's keys, from the offer to the end.
 *
 * A record for each handle whose offers carry or should carry a key.  The loop
 * and, through the engine's operations, nua's stack thread come here: all of a
 * record is under mcx->calls_lock.  What is offered and what is in force are
 * kept apart, so a refused re-INVITE changes nothing. */
#ifndef MCXS_CALL_H
#define MCXS_CALL_H

#include "sofia/engine.h"
#include "sofia/glue.h"

/* ---- call.c ---- */

extern const struct mcxs_engine_ops mcxs_call_ops;

/* Verdict on the remote offer last seen. */
enum mcxs_verdict { MCXS_NONE, MCXS_SEEN, MCXS_RUNNING, MCXS_GOOD, MCXS_BAD };

/* Judgement of one offer, on the pool.  'hold' NULL: nobody holds an INVITE
 * for it. */
struct mcxs_judge {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    nua_handle_t *nh; /* a reference */
    unsigned serial;  /* of the offer in the call's record */
    const struct mcxh_mod *mod;
    su_home_t home[1];
    struct mcx_call call;
    const char *peer; /* the other end as the key in force names it, or "" */
    struct mcx_bytes mcinfo; /* to be read on the pool */
    struct mcx_call_verdict verdict;
    bool resume;
    mcx_err err;
    struct mcx_why why;
    struct mcxs_krr krr; /* goes with a refusal; NULL: none does */
    struct mcxs_hold *hold;
};

/* The module that judges offers, or NULL. */
const struct mcxh_mod *mcxs_call_module(mcx_t *mcx);
/* A new offer of 'nh' from outside.  Returns its verdict so far: MCXS_GOOD
 * when these octets were judged before, MCXS_RUNNING when they are being
 * judged, else MCXS_SEEN. */
enum mcxs_verdict mcxs_call_seen(mcx_t *mcx, nua_handle_t *nh,
                                 struct mcx_bytes sdp);
/* Starts judging the offer seen; identities from 'r', or, NULL, from what nua
 * knows of the handle.  NULL: not started, and the verdict is bad with '*err'
 * as its cause. */
struct mcxs_judge *mcxs_call_judge(mcx_t *mcx, nua_handle_t *nh,
                                   const struct mcxs_rq *r,
                                   struct mcxs_hold *hold, mcx_err *err);
/* Once more, with 'resume'. */
bool mcxs_call_judge_again(struct mcxs_judge *j);
void mcxs_judge_free(struct mcxs_judge *j);

/* Our offer was prepared: takes references and copies from 'out'. */
mcx_err mcxs_call_offer(mcx_t *mcx, nua_handle_t *nh,
                        const struct mcx_out *out) MCX_MUST_USE;
void mcxs_call_offer_refused(mcx_t *mcx, nua_handle_t *nh);
/* Final response to our INVITE. */
void mcxs_call_answered(mcx_t *mcx, nua_handle_t *nh, int status);
/* Keys of the last offer are in force; tells the application once. */
void mcxs_call_commit(mcx_t *mcx, nua_handle_t *nh);
/* No verdict will come any more for the offer seen: it is refused. */
void mcxs_call_not_good(mcx_t *mcx, nua_handle_t *nh, mcx_err err);
/* The peer's offer was not taken after all. */
void mcxs_call_offer_dropped(mcx_t *mcx, nua_handle_t *nh);
/* Tells the application of the key that is in place, once. */
void mcxs_call_tell(mcx_t *mcx, nua_handle_t *nh);
/* Are re-INVITEs of this handle ours to answer? */
bool mcxs_call_is_manual(mcx_t *mcx, nua_handle_t *nh);
/* nua_r_set_params: 1 when it was we who asked. */
int mcxs_call_params(mcx_t *mcx, nua_handle_t *nh, int status);
/* Looks at an event that passes by. */
void mcxs_call_look(mcx_t *mcx, nua_event_t event, int status,
                    nua_handle_t *nh, tagi_t const *tags);
void mcxs_call_end_all(mcx_t *mcx);
/* The call of 'nh' is at its end; any thread. */
void mcxs_call_over(mcx_t *mcx, nua_handle_t *nh);
/* Once a second: ends records of calls that were up and whose handle the
 * application has destroyed, of which no event tells. */
void mcxs_call_second(mcx_t *mcx);

/* ---- call_in.c ---- */

int mcxs_call_in(mcx_t *mcx, nua_event_t event, int status,
                 char const *phrase, nua_handle_t *nh, sip_t const *sip);
/* 1: kept behind a held INVITE. */
int mcxs_call_in_follow(mcx_t *mcx, nua_event_t event, int status,
                        char const *phrase, nua_handle_t *nh);
/* Loop: the verdict for a held INVITE has come, with the judge's result. */
void mcxs_call_in_judged(struct mcxs_judge *j);
bool mcxs_call_in_held(mcx_t *mcx, nua_handle_t *nh);
void mcxs_call_in_beat(mcx_t *mcx, int64_t now_ms, bool retry);
void mcxs_call_in_end(mcx_t *mcx);

#endif /* MCXS_CALL_H */
