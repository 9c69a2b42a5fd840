/* mcx_module.h -- the contract between the host and a loadable module.
 *
 * A module is one shared object that exports one symbol,
 * `mcx_module_<name with _ for ->`, of type struct mcx_module.  It sees the
 * headers of this folder and nothing else of the project; modules reach each
 * other only through features that they declare and the host resolves.
 *
 * The host owns threads, transactions, timers and SIP.  A module supplies
 * plain functions, of two sorts that never mix:
 *
 *   loop   called on the sofia loop (or nua's stack thread): must be quick, no
 *          crypto, no disk, no lock held for long
 *   pool   called on a worker thread, several at once: may take milliseconds;
 *          all state it shares is the module's to lock
 *
 * The life of one incoming MESSAGE, as an example: the application passes its
 * nua event to mcx_event(); the host copies what is needed and asks each
 * module's claims() (loop); the one that says yes has its judge() run on the
 * pool, while the transaction is held; the answer comes back to the loop,
 * where the host responds and then calls settled() (loop).  If judge() says
 * that the period key has not arrived, the host parks the request and calls
 * judge() again with 'resume' when the ring has grown. */
#ifndef MCX_MODULE_H
#define MCX_MODULE_H

#include <sofia-mcx/mcx_config.h>
#include <sofia-mcx/mcx_keymgmt.h>
#include <sofia-mcx/mcx_keys.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when anything below changes its meaning. */
#define MCX_MODULE_ABI 1u

enum mcx_role { MCX_ROLE_CLIENT, MCX_ROLE_SERVER };

struct mcx_host; /* below */

/* ---- incoming requests ------------------------------------------------- */

/* One body part.  Multipart bodies and message/sip are unfolded by the host;
 * base64 transfer coding is undone. */
struct mcx_part {
    const char *type;       /* lower case, without parameters */
    const char *content_id; /* without angle brackets; "" when absent */
    struct mcx_bytes body;
    bool embedded; /* came out of a message/sip part */
};
enum { MCX_PART_MAX = 16 };

/* An incoming request.  Strings are never NULL ("" when absent) and live until
 * settled() has returned. */
struct mcx_rq {
    const char *method; /* "REGISTER", "PUBLISH", "MESSAGE" */
    const char *content_type; /* of the whole body, lower case, no params */
    const char *request_uri, *from, *to; /* bare URIs */
    const char *asserted_identity; /* first P-Asserted-Identity URI */
    const char *asserted_service;  /* P-Asserted-Service */
    const char *event;             /* Event */
    const char *call_id;
    long expires; /* seconds; -1 when absent; the Contact's own, if it has */
    const struct mcx_part *parts;
    size_t n_parts;
    bool resume; /* a parked request is judged again */
    void *nh;    /* the nua handle; for identity only */
};

/* What a judge decides.  Zeroed before the call. */
struct mcx_answer {
    int status;         /* 200, 488, ...; 0: let the application answer */
    const char *phrase; /* static; NULL: the standard one */
    unsigned warning;   /* 0, or the MC code (136): Warning 399 is sent */
    const char *warning_text; /* static */
    const char *content_type; /* static; NULL: no body */
    char *body;               /* malloc'ed, freed by the host */
    size_t body_n;
    struct mcx_key *key; /* a staged key, for settled(); a reference */
    char mc_id[MCX_URI_MAX]; /* who was authenticated; "" */
};
#define MCX_WARN_MIKEY 136u
#define MCX_WARN_MIKEY_TEXT                                                   \
    "authentication of the MIKEY-SAKKE I_MESSAGE failed"

/* One of several requests that are judged together. */
struct mcx_judgement {
    const struct mcx_rq *rq;   /* in */
    struct mcx_answer *answer; /* out, as for judge() */
    struct mcx_why *why;
    mcx_err err;
};

/* ---- outgoing requests ------------------------------------------------- */

enum mcx_purpose {
    MCX_FOR_REGISTER, /* mcx_register()  */
    MCX_FOR_PUBLISH,  /* mcx_publish()   */
    MCX_FOR_DOWNLOAD, /* mcx_download(): key download in a MESSAGE */
    MCX_FOR_CALL      /* mcx_invite(), or an offer that names MCXTAG_PEER */
};

/* An outgoing request under preparation, and then until its final response.
 * A module fills it in prepare(). */
enum { MCX_OUT_PART_MAX = 4 };
struct mcx_out {
    enum mcx_purpose purpose;
    const char *peer;   /* MCXTAG_PEER: the key's other end; "" when none */
    const char *impu;   /* the IMPU involved, "" when unknown */
    unsigned attempt;   /* 0, 1 after a retry */
    struct {
        char *type; /* malloc'ed */
        char *body; /* malloc'ed, wiped and freed by the host */
        size_t n;
    } part[MCX_OUT_PART_MAX];
    size_t n_parts;
    char *extra_headers; /* malloc'ed header lines, each ending CR LF; NULL */
    char *sdp_value;     /* malloc'ed "mikey BASE64" for the offer; NULL */
    struct mcx_key *key; /* staged; a reference the host drops at the end */
    const char *kms; /* KMS of whom the key is sealed to, after a redirect;
                        NULL: the one that the ring knows */
};
/* Adds a copy of 'body' as a part.  MCX_E_TOOBIG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_out_add(struct mcx_out *out, const char *type,
                            struct mcx_bytes body) MCX_MUST_USE;

enum mcx_next {
    MCX_NEXT_DONE, /* hand the response to the application */
    MCX_NEXT_RETRY /* prepare and send once more with attempt + 1 */
};

/* ---- calls ------------------------------------------------------------- */

/* What a keying module must know of an incoming offer.  Strings never NULL. */
struct mcx_call {
    const char *self;            /* our MC service ID */
    const char *calling_user_id; /* mcptt-info, "" */
    const char *asserted_identity, *from;
    struct mcx_bytes sdp;   /* the whole offer */
    const char *last_value; /* key-mgmt value accepted before in this call */
    bool resume;
};
struct mcx_call_verdict {
    bool keyed;     /* false: the offer has no key-mgmt and needs none */
    bool unchanged; /* the same line as before: keep the keys in force */
    bool warn_306;  /* refusal because of an unsupported parameter */
    char *value;         /* malloc'ed accepted value */
    struct mcx_key *key; /* staged; a reference */
};

/* ---- SRTP -------------------------------------------------------------- */

/* Feature "srtp.session": what module srtp offers to whoever has media.
 * One session is one direction of one media stream pair (RTP and RTCP). */
struct mcx_srtp; /* opaque */
struct mcx_srtp_api {
    size_t size; /* of this struct */
    /* SSRC 0 means any (inbound) or every (outbound) SSRC.  The same key and
     * SSRC must not be opened for sending again: GCM nonces would repeat.
     * MCX_E_UNSUPPORTED, MCX_E_NOMEM, MCX_E_PEER (library refused). */
    mcx_err (*open)(struct mcx_srtp **out,
                    const struct mcx_srtp_policy *policy, bool inbound,
                    uint32_t ssrc);
    /* A further key for the same session (re-key): packets of the new MKI are
     * taken at once, 'send' moves sending to it.  Keeps the index. */
    mcx_err (*rekey)(struct mcx_srtp *s, const struct mcx_srtp_policy *policy,
                     bool send);
    /* In place.  '*n': octets in and out; 'room' octets must be there
     * (MCX_SRTP_TRAILER more than the packet).  MCX_E_AUTH, MCX_E_REPLAY,
     * MCX_E_NO_KEY (unknown MKI), MCX_E_MALFORMED, MCX_E_TOOBIG,
     * MCX_E_BUSY (a 257th SSRC in one session). */
    mcx_err (*protect)(struct mcx_srtp *s, uint8_t *packet, size_t *n,
                       size_t room, bool rtcp);
    mcx_err (*unprotect)(struct mcx_srtp *s, uint8_t *packet, size_t *n,
                         bool rtcp);
    void (*close)(struct mcx_srtp *s); /* wipes; NULL allowed */
};
enum { MCX_SRTP_TRAILER = 64 };

/* ---- KMS discovery ----------------------------------------------------- */

/* Feature "kms.lookup": asks our KMS where an identity belongs that no
 * certificate speaks for. */
struct mcx_kms_lookup {
    size_t size; /* of this struct */
    void *state;
    /* Pool; waits for the network.  MCX_E_NO_IDENTITY: nobody's; MCX_E_POLICY:
     * of a KMS that our settings do not list; WORLD class. */
    mcx_err (*find)(void *state, const char *uri, char kms[MCX_URI_MAX]);
};

/* ---- events ------------------------------------------------------------ */

enum mcx_event_kind {
    MCX_EV_KEY,        /* a key became active                          */
    MCX_EV_KEY_RETIRED,/* receives only from now on                    */
    MCX_EV_KEY_WIPED,  /* its octets are gone                          */
    MCX_EV_REFUSED,    /* a message was refused; nothing changed       */
    MCX_EV_REQUEST,    /* outcome of a request that we prepared        */
    MCX_EV_CALL_KEY,   /* a call's key is in place: media may start    */
    MCX_EV_PARKED,     /* waits for its period key                     */
    MCX_EV_IDENTITY    /* own user keys of another period are here: by
                          mcx_host.identity                            */
};

/* ---- the descriptor ---------------------------------------------------- */

enum mcx_feature_sort { MCX_PROVIDES, MCX_NEEDS, MCX_WANTS };
struct mcx_feature {
    enum mcx_feature_sort sort;
    const char *name; /* "csk.upload"; the host itself provides
                         "keys.store", "kms.identity", "worker.pool" */
};

struct mcx_module {
    uint32_t abi;  /* MCX_MODULE_ABI  */
    uint32_t size; /* sizeof          */
    const char *name, *summary;
    const char *version;       /* PACKAGE_VERSION, must equal the host's */
    const char *sofia_version; /* SOFIA_SIP_VERSION of the build, or NULL
                                  when the module does not use sofia */
    const struct mcx_feature *features;
    size_t n_features;
    const struct mcx_opt *options;
    size_t n_options;

    /* Loop.  Makes the instance; on failure says why in 'text'. */
    mcx_err (*start)(void **state, const struct mcx_host *host,
                     struct mcx_text *text);
    /* Loop.  No hook runs any more. */
    void (*stop)(void *state);

    /* Incoming requests; all three or none. */
    bool (*claims)(void *state, const struct mcx_rq *rq);         /* loop */
    mcx_err (*judge)(void *state, const struct mcx_rq *rq,
                     struct mcx_answer *answer,
                     struct mcx_why *why);                        /* pool */
    void (*settled)(void *state, const struct mcx_rq *rq,
                    struct mcx_answer *answer, bool sent);        /* loop */

    /* Outgoing requests; 'wants' loop, 'prepare' pool, 'outcome' loop.
     * outcome() gets every final response; status 0 means that the request
     * was never sent or is given up: drop what was staged. */
    bool (*wants)(void *state, const struct mcx_out *out);
    mcx_err (*prepare)(void *state, struct mcx_out *out, struct mcx_why *why);
    enum mcx_next (*outcome)(void *state, struct mcx_out *out, int status,
                             unsigned warning);

    /* Offers: judged on the pool.  On refusal the host answers 488 with the
     * Warning, or ends the call. */
    mcx_err (*offer_in)(void *state, const struct mcx_call *call,
                        struct mcx_call_verdict *verdict,
                        struct mcx_why *why);

    /* The object behind a feature that this module provides; NULL: none. */
    const void *(*feature)(void *state, const char *name);
    /* Once a second on the loop; may be NULL. */
    void (*tick)(void *state);
    /* Pool; may be NULL.  Instead of judge() when 'n' requests, 2 to
     * MCX_JUDGE_MANY, that this module has claimed are waiting: for modules
     * that open them together in less time.  Each gets what judge() would give
     * it if they were judged in this order. */
    void (*judge_many)(void *state, struct mcx_judgement *judgement,
                       size_t n);
};
enum { MCX_JUDGE_MANY = 8 };

#define MCX_MODULE_SYMBOL_PREFIX "mcx_module_"
/* `MCX_MODULE_DEFINE(csk_upload) = { .abi = ..., };` */
#define MCX_MODULE_DEFINE(ident)                                              \
    extern const struct mcx_module mcx_module_##ident;                        \
    MCX_API const struct mcx_module mcx_module_##ident

/* ---- what the host offers ---------------------------------------------- */

/* Work of a module's own, embedded in whatever the module allocates. */
struct mcx_work {
    void (*work)(struct mcx_work *work); /* pool */
    void (*done)(struct mcx_work *work); /* loop; always called, once */
    bool cancelled; /* in done(): the pool was stopped, work() never ran */
};

struct mcx_host {
    uint32_t abi, size;
    void *impl; /* the host's own */
    const struct mcx_env *env;
    struct mcx_ring *ring;
    struct mcx_keys *keys;
    struct mcx_replay *replay;
    enum mcx_role role;
    const char *self; /* own identity: MC service ID, or a server's PSI */
    const char *psi;  /* PSI/MDSI of the participating function */
    const char *host_name; /* warn-agent of Warning headers */

    /* A setting of 'module', its default when not set, or NULL.  Any thread;
     * valid until stop(). */
    const char *(*option)(const struct mcx_host *host, const char *module,
                          const char *name);
    /* MCX_PEER_* of section "peer URI", else of "peer *".  Any thread. */
    unsigned (*peer)(const struct mcx_host *host, const char *uri);
    /* The object of a feature, or NULL.  Loop. */
    const void *(*feature)(const struct mcx_host *host, const char *name);
    /* Tells the application, on its loop.  Any thread; copies. */
    void (*event)(const struct mcx_host *host, enum mcx_event_kind kind,
                  const struct mcx_key_info *info, mcx_err err,
                  const struct mcx_why *why, const char *who);
    /* Adds to a named counter ("csk-download.refused"); names are static. */
    void (*count)(const struct mcx_host *host, const char *name);

    /* From here on: there when 'size' says so (MCX_HOST_HAS()), and not NULL
     * then.
     *
     * Runs 'work' on the pool.  Calls of done() come before stop().  Loop.
     * MCX_E_BUSY: the queue is full; MCX_E_STATE: stopped; MCX_E_NOMEM. */
    mcx_err (*submit)(const struct mcx_host *host, struct mcx_work *work);
    /* The pool is being stopped and waits for work() that runs: what can be
     * broken off should be.  Any thread. */
    bool (*stopping)(const struct mcx_host *host);
    /* The ring has grown: what is parked is tried again.  Loop. */
    void (*grown)(const struct mcx_host *host);
    /* Raises MCX_EV_IDENTITY: own keys of 'uri' came from 'kms_uri'.  Any
     * thread; copies. */
    void (*identity)(const struct mcx_host *host, const char *uri,
                     const char *kms_uri, uint64_t period_no);
    /* SECRET: copies the bearer token of the application into 'out', with a
     * NUL; at most MCX_TOKEN_MAX octets, none that could end a header line.
     * MCX_E_NO_KEY: it has not given one yet; MCX_E_UNSUPPORTED: it gives
     * none; MCX_E_TOOBIG: 'room'.  Any thread. */
    mcx_err (*token)(const struct mcx_host *host, char *out, size_t room);
    /* Asks the application for a token for 'kms_uri'.  'status' 0: it has
     * given none; 401, 403: what it gave was refused.  Any thread; copies. */
    void (*token_wanted)(const struct mcx_host *host, const char *kms_uri,
                         int status);
};
enum { MCX_TOKEN_MAX = 8192 };
#define MCX_HOST_HAS(host, member)                                            \
    ((host)->size >= offsetof(struct mcx_host, member)                        \
                         + sizeof((host)->member))

#ifdef __cplusplus
}
#endif
#endif /* MCX_MODULE_H */
