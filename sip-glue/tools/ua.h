/* ua.h -- mcx-ua inside: one phone, its calls, and which file does what.
 *
 *   ua_main.c  settings, start and end, commands
 *   ua_sip.c   nua and mcx callbacks; REGISTER, PUBLISH, MESSAGE
 *   ua_call.c  calls: SDP, keys, media
 *
 * Everything runs on the thread of one su_root_t. */
#ifndef UA_H
#define UA_H

#include "app_config.h"
#include "app_mcx.h"
#include "control.h"
#include "media.h"
#include "ua_sdp.h"

struct ua_call;

struct ua {
    struct app_config config;
    const struct mcx_env *env;
    su_root_t *root;
    mcx_t *mcx;
    nua_t *nua;
    struct control *control;
    const char *identity, *impu, *psi, *proxy; /* settings */
    bool raw, answer_auto, secure_required;
    nua_handle_t *reg, *pub;    /* NULL: nothing done yet */
    bool reg_busy, pub_busy;    /* a response is outstanding */
    bool stopping, shut;
    struct ua_call *calls;      /* newest first */
    unsigned n_made;
};

/* ua_sip.c */
int ua_start(struct ua *ua);
void ua_shutdown(struct ua *ua);
bool ua_register(struct ua *ua);
bool ua_unregister(struct ua *ua);
bool ua_publish(struct ua *ua);

/* ua_call.c; the strings returned say what is wrong, NULL: nothing. */
const char *ua_call_make(struct ua *ua, const char *uri, const char *wav);
const char *ua_call_answer(struct ua *ua);
const char *ua_call_hangup(struct ua *ua);
void ua_call_show(struct ua *ua, struct control_conn *conn, bool json);
void ua_call_event(struct ua *ua, nua_event_t event, int status,
                   nua_handle_t *nh, struct ua_call *call, sip_t const *sip,
                   tagi_t tags[]);
void ua_call_key(struct ua *ua, nua_handle_t *nh, tagi_t tags[]);
void ua_call_unprepared(struct ua *ua, nua_handle_t *nh, int status);
void ua_call_end_all(struct ua *ua);

#endif /* UA_H */
