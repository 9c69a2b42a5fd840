/* engine.h -- our offer/answer engine: sofia's default one, keyed.
 *
 * Registered with sofia as "mcx"; a user agent selects it with
 * NUTAG_SOA_NAME(MCXS_ENGINE_NAME) and says whose it is with
 * MCXTAG_INSTANCE(mcx), both at nua_create().  It puts a=key-mgmt into offers,
 * shows remote offers to the instance before nua_i_invite, and refuses an
 * INVITE (488 and Warning) when the instance says so.  What is in the line is
 * known to the instance alone.
 *
 * Threads: the operations below are called on nua's stack thread, which is the
 * loop when NUTAG_STACK_THREAD is off; 'nh' is for identity only. */
#ifndef MCXS_ENGINE_H
#define MCXS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sofia-sip/nua.h>

#define MCXS_ENGINE_NAME "mcx"

/* How verdict() wants a refused offer to be answered. */
struct mcxs_reject {
    bool warn_306;       /* also Warning 306, attribute not understood */
    const char *warning; /* static; text of Warning 399 ("136 ..."), never
                            holding a double quote; NULL: that of code 136 */
};

struct mcxs_engine_ops {
    /* Value of the session-level a=key-mgmt of an offer about to be sent
     * ("mikey BASE64"), NULL for none.  'peer' is the last MCXTAG_PEER of the
     * handle, "" when there was none.  Called for each new offer, those of
     * re-INVITEs included: return the same text to keep the line and the keys,
     * another one to re-key.  Must stay valid until the next operation for
     * 'nh'; copied.  May block, bounded. */
    const char *(*offer_value)(void *mcx, nua_handle_t *nh, const char *peer);
    /* A remote offer has come, before the application hears of it: start its
     * verification.  'sdp' need not end in NUL; valid during the call. */
    void (*remote_offer)(void *mcx, nua_handle_t *nh, const char *sdp,
                         size_t n);
    /* That offer is about to be answered: wait (bounded) for the outcome.
     * 0: go on.  Otherwise the offer is refused with 488 and '*reject', zeroed
     * before the call, says what Warning goes with it. */
    int (*verdict)(void *mcx, nua_handle_t *nh, struct mcxs_reject *reject);
    /* An offer/answer round is complete: keys of the last offer (ours or
     * theirs) are in force.  May come more than once a round. */
    void (*activated)(void *mcx, nua_handle_t *nh);
    /* Our offer was refused, or died: what is in force stays in force.  nua
     * does not report a refused re-INVITE, so this may come as late as with
     * the session's next offer; nua_r_invite is earlier. */
    void (*rejected)(void *mcx, nua_handle_t *nh);
    /* The session is over, or its handle goes.  May come more than once. */
    void (*terminated)(void *mcx, nua_handle_t *nh);
};

/* Registers the engine with sofia; once a process is enough, any thread.
 * 0, or -1 when memory is short or the name is taken by something else. */
int mcxs_engine_init(void);

/* Attaches 'ops' (static) to instance 'mcx' (never NULL); NULL operations are
 * allowed.  Before nua_create().  0, or -1 when memory is short. */
int mcxs_engine_attach(void *mcx, const struct mcxs_engine_ops *ops);
/* No operation for 'mcx' starts any more; sessions that still name it behave
 * like sofia's default engine.  After nua_destroy(), or on the stack thread:
 * one that runs on another thread is not waited for. */
void mcxs_engine_detach(void *mcx);

#endif /* MCXS_ENGINE_H */
