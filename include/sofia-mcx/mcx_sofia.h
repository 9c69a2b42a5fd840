/* mcx_sofia.h -- the glue: what a sofia-sip application calls.
 *
 * Three lines change in an existing phone:
 *
 *   mcx = mcx_create(root, on_key, magic, MCXTAG_CONFIG("alice.conf"),
 *                    MCXTAG_CALLBACK(cb), TAG_END());                 (new)
 *   nua = nua_create(root, cb, NULL, NUTAG_URL("sip:*:*;transport=udp"),
 *                    TAG_NEXT(mcx_nua_tags(mcx)));                    (1)
 *   cb: if (mcx_event(mcx, e, st, ph, nua, nh, sip, t)) return;       (2)
 *   mcx_register(mcx, nh, SIPTAG_TO_STR(aor), TAG_END());             (3)
 *
 * Threads: all calls on the thread of the su_root_t given to mcx_create(),
 * except where said.  Crypto, disk and network work of the modules runs on a
 * worker pool; none of these calls waits for it.
 *
 * Traps of sofia-sip 1.12.11 that stay the application's, since the glue
 * cannot close them without changing what a phone does:
 *   REFER  answered 202 by nua itself, and NOTIFY goes wherever the request
 *       names; nua_handle_destroy() meanwhile may end the process (assertion
 *       in nh_remove()).  A phone without transfer says so, before
 *       mcx_nua_tags(), and the answer is 405: SIPTAG_ALLOW_STR("INVITE, ACK,
 *       BYE, CANCEL, OPTIONS, PRACK, UPDATE, MESSAGE").
 *   lists in NUTAG_ALLOW(), NUTAG_APPL_METHOD()  msg_params_join() reads past
 *       the end when it knows one of the methods already: one method a tag.
 *   503 with Retry-After  nua sends the request again by itself, with the old
 *       body; NUTAG_RETRY_COUNT(0) where that must not be.
 *   requests that mcx_event() leaves  outside of calls nua makes a handle for
 *       each, also when it has answered; the application destroys it.  It
 *       answers first where the status is 100: MESSAGE, by mcx_nua_tags().
 *   TCP  after a message it cannot parse sofia reads no more and misses the
 *       end of the connection, for 30 minutes; half a message stays for ever.
 *       TPTAG_IDLE() and TPTAG_TIMEOUT() of nua_create(), in ms, are bounds;
 *       of a connection that never said anything there is none.
 *
 * Settings of the first section that are read here; a program may have more:
 *   identity    own MC service ID, or a server's PSI
 *   psi         PSI of the participating function
 *   keys        folder of KMS documents (*.xml); without it no key is known
 *               but those that module kms fetches
 *   monthly-tel  no (default): a KMS with monthly keys for tel URIs (RFC 6509
 *               3.2, UserIdFormat 1) is refused; yes: taken, and identities
 *               are named as their KMS has it.  The word in the options of
 *               [peer KMS-URI] is the same for one KMS
 *   role        client (default) or server
 *   modules     names; mcx_create() fails, saying why, when one does not load
 *   modules-optional  names that may fail to load (see mcx_modules())
 *   module-dir  where modules are looked for first
 *   host-name   agent named in Warning headers (default "mcx")
 *   workers     threads of the pool; 0: one a core, at least 2
 *   queue       jobs that may wait for them (default 1024)
 *   redirect    yes (default): a 488 for a KMS that is not ours carries a KMS
 *               redirect response (TS 33.180 5.2.8); no: it does not
 *   redirect-kms  KMSs, as in the user profile, that a redirect response may
 *               send us to; without it none is obeyed
 *   redirect-ca  PEM file with the authorities under which receivers sign
 *               redirect responses (X.509, subjectAltName their URI)
 *   redirect-unbound  no (default): a signed one that does not name, by
 *               digest, the message that it is about is refused; yes: for
 *               receivers that know no digest; theirs can be replayed
 *   redirect-cert, redirect-key  PEM files: ours are signed with these
 *   redirect-unsigned  no (default): one that is not signed so is refused;
 *               yes: they are taken as they come, which is for networks where
 *               nobody else can answer for the peer */
#ifndef MCX_SOFIA_H
#define MCX_SOFIA_H

#include <sofia-sip/nua.h>
#include <sofia-sip/su_wait.h>
#include <sofia-mcx/mcx_module.h>
#include <sofia-mcx/mcx_tag.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mcx_s mcx_t;
#ifndef MCX_MAGIC_T
#define MCX_MAGIC_T void
#endif
typedef MCX_MAGIC_T mcx_magic_t;

/* Events.  Tags by event: key events MCXTAG_KIND, MCXTAG_KEY_ID,
 * MCXTAG_KEY_INFO; mcx_i_refused MCXTAG_REASON, MCXTAG_WHY and, where known,
 * MCXTAG_PEER; mcx_r_* MCXTAG_KEY_ID where a key went with the request. */
typedef enum {
    mcx_i_key,         /* a key became active                         */
    mcx_i_key_retired, /* it only receives from now on                */
    mcx_i_key_wiped,   /* its octets are gone                         */
    mcx_i_refused,     /* a message was refused, nothing changed      */
    mcx_i_parked,      /* a message waits for its period key          */
    mcx_i_call_key,    /* 'nh': the call's key is in place            */
    mcx_r_register,    /* 'nh': final response, status and phrase     */
    mcx_r_publish,
    mcx_r_download,
    mcx_r_invite,      /* only when the INVITE could not be prepared  */
    mcx_i_identity,    /* own keys came from a KMS: MCXTAG_PEER whose,
                          MCXTAG_KMS from where, MCXTAG_PERIOD_NO     */
    mcx_i_redirect,    /* 'nh': its request is sent once more, sealed
                          under MCXTAG_KMS for MCXTAG_PEER            */
    mcx_i_key_restored /* a key of before this start is there again, in
                          the state that MCXTAG_KEY_INFO has; comes
                          before any other event of that key          */
} mcx_event_t;
MCX_API const char *mcx_event_name(mcx_event_t event);

typedef void mcx_callback_f(mcx_event_t event, int status, char const *phrase,
                            mcx_t *mcx, mcx_magic_t *magic,
                            nua_handle_t *nh, tagi_t tags[]);

/* Bearer tokens for a KMS, from the application (MCXTAG_TOKEN_CALLBACK).  On
 * the loop, 'magic' that of mcx_create(): a token for 'kms_uri' is needed,
 * because none was given yet ('status' 0) or because the one given was refused
 * (401, 403).  It answers with mcx_token(), at once or whenever it has one.
 * Asked again after each refusal, which with an old token is at every try of
 * module kms: after 5 s, then twice as long each time, up to 15 min.  With
 * [kms] token-file nobody is asked. */
typedef void mcx_token_f(mcx_t *mcx, mcx_magic_t *magic, char const *kms_uri,
                         int status);
/* Gives a token, or NULL to take it back: copied into guarded memory, used
 * from now on for every request until there is another, and tried within two
 * seconds when one was being waited for.  Wipe your own copy.  May come before
 * it is asked for, and without MCXTAG_TOKEN_CALLBACK.  Any thread.  -1: more
 * than MCX_TOKEN_MAX octets, or a space or other character that no token has
 * (the old one stays). */
MCX_API int mcx_token(mcx_t *mcx, char const *token);

/* Makes an instance: reads configuration, loads modules, opens the key ring,
 * runs the self-test, starts the pool.  NULL on failure, with the reason in
 * the log and in MCXTAG_ERROR(). */
MCX_API mcx_t *mcx_create(su_root_t *root, mcx_callback_f *callback,
                          mcx_magic_t *magic, tag_type_t tag,
                          tag_value_t value, ...);
/* Stops the pool and modules, wipes every key.  Call after nua_destroy().
 * Held transactions end with 503 when nua_r_shutdown passes mcx_event(). */
MCX_API void mcx_destroy(mcx_t *mcx);

/* Tags for nua_create() (and nua_set_params()): the offer/answer engine, the
 * body guard, MESSAGE and PUBLISH where a module wants them. */
MCX_API tagi_t const *mcx_nua_tags(mcx_t *mcx);

/* Shows an event to the modules.  1: it is dealt with, the application must
 * not touch it; 0: the application's as ever.  Held events come back through
 * MCXTAG_CALLBACK with the same arguments, and then pass with 0. */
MCX_API int mcx_event(mcx_t *mcx, nua_event_t event, int status,
                      char const *phrase, nua_t *nua, nua_handle_t *nh,
                      sip_t const *sip, tagi_t tags[]);

/* The request of the event that the application is looking at, also when it
 * was held and has come back, for NUTAG_WITH(): nua_current_request(), and so
 * NUTAG_WITH_THIS(), does not know of events that come back.
 *   nua_respond(nh, SIP_200_OK, NUTAG_WITH(mcx_current_request(mcx, nua)),
 *               TAG_END()); */
MCX_API msg_t *mcx_current_request(mcx_t *mcx, nua_t *nua);

/* nua_register() whose body the modules add (CSK upload).  The request is sent
 * when the body is ready; the response comes to the nua callback as usual, and
 * as mcx_r_register.  Refreshes get a fresh body.  The tags are those of
 * nua_register(); MCXTAG_* are taken out.  0, or -1 when the pool is full or
 * memory is short (nothing was sent). */
MCX_API int mcx_register(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
                         tag_value_t value, ...);
/* Log-off: un-REGISTER (without a body) and the client's CSK is wiped. */
MCX_API int mcx_unregister(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
                           tag_value_t value, ...);
/* PUBLISH, Event poc-settings, with CSK, mcptt-info and poc-settings.  Each
 * wants a new handle: sofia keeps the To tag of the 200 and would send it in
 * the next one, which nobody knows then (481). */
MCX_API int mcx_publish(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
                        tag_value_t value, ...);
/* MESSAGE with a new CSK for MCXTAG_PEER (server role). */
MCX_API int mcx_download(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
                         tag_value_t value, ...);
/* nua_invite() whose offer gets a PCK for MCXTAG_PEER.  With the engine the
 * SDP goes in SOATAG_USER_SDP_STR(); with NUTAG_MEDIA_ENABLE(0) in
 * SIPTAG_PAYLOAD_STR() with its content type. */
MCX_API int mcx_invite(mcx_t *mcx, nua_handle_t *nh, tag_type_t tag,
                       tag_value_t value, ...);

/* SRTP keys of a call: MCX_E_NO_KEY before mcx_i_call_key.  SECRET in the
 * result.  'send': the stream we send, else the one we receive (CS-ID by who
 * called whom). */
MCX_API mcx_err mcx_srtp_policy(mcx_t *mcx, nua_handle_t *nh, bool send,
                                struct mcx_srtp_policy *out) MCX_MUST_USE;
/* Feature "srtp.session", or NULL when module srtp is not loaded. */
MCX_API const struct mcx_srtp_api *mcx_srtp(mcx_t *mcx);
/* Forgets the call and wipes its key: for applications without mcx_event() on
 * the way of BYE, and before nua_handle_destroy() of a call that was not
 * answered yet, of which nua sends no event. */
MCX_API void mcx_call_end(mcx_t *mcx, nua_handle_t *nh);

/* What the instance is made of, to look at. */
MCX_API const struct mcx_env *mcx_env(mcx_t *mcx);
MCX_API struct mcx_ring *mcx_key_ring(mcx_t *mcx);
MCX_API struct mcx_keys *mcx_key_store(mcx_t *mcx);
MCX_API const char *mcx_setting(mcx_t *mcx, const char *section,
                                const char *name);
/* Calls 'each' with every counter. */
MCX_API void mcx_counters(mcx_t *mcx,
                          void (*each)(void *arg, const char *name,
                                       uint64_t value),
                          void *arg);
/* Calls 'each' with every module wanted: loaded, or why not. */
MCX_API void mcx_modules(mcx_t *mcx,
                         void (*each)(void *arg, const char *name, bool loaded,
                                      const char *reason),
                         void *arg);
/* Reads the KMS folder again (new period keys); parked messages are tried
 * again. */
MCX_API int mcx_reload_keys(mcx_t *mcx);

#ifdef __cplusplus
}
#endif
#endif /* MCX_SOFIA_H */
