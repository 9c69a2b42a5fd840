/* app_mcx.h -- what mcx-ua and mcx-pf say about their mcx_t: event lines of
 * keys and refusals, and the commands that look at it. */
#ifndef APP_MCX_H
#define APP_MCX_H

#include <sofia-mcx/mcx_sofia.h>
#include <sofia-sip/tport_tag.h>

#include "control.h"

/* Says a key event, a refusal or a parked message.  False: another event.
 * 'status' is what the refused message was answered with. */
bool app_mcx_event(struct control *control, mcx_event_t event, int status,
                   tagi_t const tags[]);

/* `show keys|counters|modules [--json]`.  False: something else is asked. */
bool app_show(mcx_t *mcx, struct control_conn *conn, int argc, char **argv);
bool app_wants_json(int argc, char **argv);

/* A key ID as eight hexadecimal digits. */
enum { APP_ID_SIZE = 9 };
void app_id_text(char out[APP_ID_SIZE], uint32_t id);
/* The number in quotes of a Warning 399, 0 when there is none. */
unsigned app_warning_code(sip_warning_t const *warning);

/* What both programs say in Allow; modules add PUBLISH and REGISTER.  Not in
 * it: REFER and SUBSCRIBE.  sofia would answer 202 by itself and send NOTIFY
 * to whoever the request names, and when that fails nh_remove() asserts. */
#define APP_ALLOW                                                             \
    "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, MESSAGE"

/* Tags for nua_create().  After a message it cannot parse, sofia reads no more
 * from a TCP connection, so it does not see it end either and keeps the
 * descriptor for half an hour; and without end when a message stops half-way
 * and the peer is gone. */
#define APP_TRANSPORT_TAGS(config)                                            \
    TPTAG_IDLE((unsigned)app_number(config, "tcp-idle") * 1000u),             \
    TPTAG_TIMEOUT((unsigned)app_number(config, "tcp-idle") * 1000u)

/* A request outside of calls that the stack has answered: the handle made for
 * it is nobody's but ours to destroy. */
bool app_is_stray(nua_event_t event);

#endif /* APP_MCX_H */
