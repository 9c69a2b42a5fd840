/* kms_state.h -- the state of the client, for kms.c, kms_ask.c and
 * kms_start.c.  Who may touch what when is said in kms.c. */
#ifndef KMS_STATE_H
#define KMS_STATE_H

#include <sofia-mcx/mcx_kmssec.h>
#include "kms.h"

enum kms_step {
    KMS_STEP_NONE,
    KMS_STEP_PURGE,    /* empty slots of the cache            */
    KMS_STEP_LOOK,     /* is there another token than before? */
    KMS_STEP_INIT,
    KMS_STEP_KEYS,     /* of the present period               */
    KMS_STEP_NEXT,     /* of the coming one                   */
    KMS_STEP_CERTS,    /* CertCache                           */
    KMS_STEP_EXTERNAL  /* Cert, of one KMS of 'external'      */
};
/* How keys are asked for (D.2.3, D.2.4). */
enum kms_form {
    KMS_FORM_PLAIN, /* keyprov          */
    KMS_FORM_URI,   /* keyprov/URI      */
    KMS_FORM_TIME   /* keyprov/URI/TIME */
};
enum { KMS_STEPS_MAX = 8 + KMS_EXTERNAL_MAX }; /* of one piece of work */

struct kms_held {
    uint64_t no;
    int64_t valid_to_unix; /* 0: open */
};

struct kms_external {
    char uri[MCX_URI_MAX];
    int64_t next_mono_ms;
    int64_t got_ms; /* Time of the answer to Cert that we have its certificate
                       from; 0: none, or from CertCache */
    bool listed;    /* in the answer at hand */
};

/* What a look-up said. */
struct kms_found {
    char uri[MCX_URI_MAX], kms[MCX_URI_MAX]; /* kms "": nobody's */
    mcx_err err;
    int64_t until_mono_ms;
};

/* SECRET, in guarded memory only: keyed mark of a token, to know it again. */
struct kms_marks {
    struct mcx_seal_key key;
    uint8_t used[MCX_SEAL_MAC_SIZE];
};

struct kms {
    struct mcx_work work; /* first */
    const struct mcx_host *host;
    const struct mcx_env *env;
    bool busy; /* loop's: the work is under way */

    /* Settings; not changed after the start. */
    struct kms_http_set http;
    kms_post_f *post; /* NULL: the network */
    void *post_arg;
    char root[MCX_KMS_URL_MAX];
    char kms_uri[MCX_URI_MAX];
    const char *user, *token_file, *client_id;
    int64_t window_ms, refresh_ms;
    enum kms_form form; /* of the first question for keys */
    struct kms_store *store; /* NULL: nothing is kept */
    struct kms_sec *sec;   /* NULL: security is TLS's */
    struct kms_seen *seen; /* beside it */

    /* Of the work while busy, else of the loop. */
    struct kms_http *conn;
    unsigned failures;
    int64_t next_mono_ms; /* nothing is asked before */
    bool token_refused;
    int64_t look_mono_ms;
    struct kms_marks *marks; /* guarded */
    int64_t init_ms, certs_ms; /* Time of the newest answers; 0: none */
    int64_t certs_next_mono_ms;
    bool init_now; /* a key set did not fit the certificate we have */
    uint64_t plain_missed; /* period + 1 that a plain KeyProvision lacked */
    uint64_t renew_no;     /* period + 1 to which the next line belongs */
    int64_t renew_at_ms;
    uint32_t refresh_dice;
    uint64_t cache_num;
    bool has_cache_num;
    unsigned n_cert_slots; /* in use */
    struct kms_external external[KMS_EXTERNAL_MAX];
    size_t n_external;
    const struct kms_external *sole; /* not NULL: no certificate of another
                                        is taken */
    uint64_t slot_no[KMS_KEY_SLOTS]; /* period + 1 kept there; 0: none */
    uint64_t took[MCX_KMS_SETS_MAX]; /* periods of the answer at hand */
    size_t n_took;
    bool grew;        /* the ring; for done() */
    mcx_err to_report; /* ClientError of the next request */

    struct mcx_kms_lookup lookup; /* state NULL: off */
    pthread_mutex_t find_lock; /* of the next: one look-up at a time */
    struct kms_found found[KMS_FOUND_MAX];
    size_t next_found;
    int64_t find_mono_ms; /* nobody is looked up before */

    pthread_mutex_t lock; /* of what follows */
    struct kms_held held[KMS_HELD_MAX];
    size_t n_held;
    bool purge[KMS_SLOTS];
    bool any_purge;
};

/* ---- kms.c ---- */

int64_t kms_now_ms(const struct kms *k);
int64_t kms_mono_ms(const struct kms *k);
uint32_t kms_dice(const struct kms *k);
/* How often another token is looked for. */
int64_t kms_look_ms(const struct kms *k);
bool kms_has_key(const struct kms *k, uint64_t no);
/* The certificate of our KMS and the period of now; false when we have no
 * usable one. */
bool kms_present(const struct kms *k, struct mcx_kms_info *info,
                 uint64_t *no);
/* Older than 'refresh' and a random tenth? */
bool kms_aged(const struct kms *k, int64_t since_ms);
/* Has a slot of the cache emptied by the next work. */
void kms_purge_slot(struct kms *k, unsigned slot);
/* The key of period 'no' goes, from the ring and from the cache. */
void kms_drop_key(struct kms *k, uint64_t no, const char *why);
/* Every key goes whose time is over. */
void kms_sweep(struct kms *k);
void kms_work(struct mcx_work *work); /* pool */
void kms_done(struct mcx_work *work); /* loop */

/* ---- kms_ask.c ---- */

/* Puts the token into 'out' of KMS_TOKEN_MAX + 1 octets: the file's, else the
 * application's; "" when there is neither.  MCX_E_NO_KEY: the application has
 * not given it yet.  Any thread. */
mcx_err kms_read_token(const struct kms *k, char *out) MCX_MUST_USE;
/* Appends "/" and 's' percent-encoded; MCX_E_TOOBIG. */
mcx_err kms_add_segment(char url[MCX_KMS_URL_MAX],
                        const char *s) MCX_MUST_USE;

/* Does what 'step' says; 'which' is of KMS_STEP_EXTERNAL.  On failure 'text'
 * says why, or is empty. */
mcx_err kms_run_step(struct kms *k, enum kms_step step, size_t which,
                     struct mcx_text *text) MCX_MUST_USE;
/* Takes a judged answer to the ring: certificates of others when 'external';
 * 'fresh' when it came from the network. */
mcx_err kms_take(struct kms *k, const struct mcx_kms_reply *reply,
                 struct mcx_bytes xml, bool external, bool fresh,
                 struct mcx_text *text) MCX_MUST_USE;

/* ---- kms_find.c ---- */

/* The module's feature(): "kms.lookup" when the setting says so. */
const void *kms_feature(void *state, const char *name);
mcx_err kms_find(void *state, const char *uri, char kms[MCX_URI_MAX]);

/* ---- kms_sec.c ---- */

/* 'security' is tls, signed or wrapped; 'path' a file of transport keys, or
 * NULL; 'answer_id' is learn, always or never.  MCX_E_CONFIG and 'text'. */
mcx_err kms_sec_start(struct kms *k, const char *security, const char *path,
                      const char *answer_id,
                      struct mcx_text *text) MCX_MUST_USE;
void kms_sec_stop(struct kms *k);
/* One question.  With security = tls it is NULL, here and below, and requests
 * and answers are plain.  'turn' is 0; look-ups, which change no keys, go on
 * with 1 and so on while answers are not to be believed, until MCX_E_NO_KEY
 * says that there are no more keys.  MCX_E_NOMEM. */
struct kms_sec_call;
mcx_err kms_sec_begin(struct kms_sec_call **out, const struct kms *k,
                      size_t turn) MCX_MUST_USE;
void kms_sec_end(struct kms_sec_call *c);
/* The request as it is to be sent, with an Id of its own; free with
 * mcx_kms_text_free(). */
mcx_err kms_sec_write(const struct kms *k, struct kms_sec_call *c,
                      struct mcx_kms_request *req, char **xml,
                      size_t *n) MCX_MUST_USE;
/* Judges the answer in 'http', whatever its status, as mcx_kms_reply_read()
 * does; before that its signature: anything else than a signed answer is
 * refused, and what is read, and is in 'http' afterwards, is what was signed,
 * with keys in clear.  MCX_E_REPLAY: it was accepted before, or a newer one
 * was, or it is to another question.  MCX_OK and MCX_E_PEER are the KMS's
 * word, the others may be anybody's doing. */
mcx_err kms_sec_read(struct kms *k, struct kms_sec_call *c,
                     struct kms_http_reply *http,
                     const struct mcx_kms_expect *expect,
                     struct mcx_kms_reply *reply,
                     struct mcx_text *text) MCX_MUST_USE;
/* kms_sec_read() said MCX_OK, and the status was 200: keys that the answer
 * was under are good, and new ones in it are kept. */
void kms_sec_worked(struct kms *k, struct kms_sec_call *c);
/* It said neither MCX_OK nor MCX_E_PEER: other keys the next time. */
void kms_sec_failed(struct kms *k, const struct kms_sec_call *c);

/* ---- kms_seen.c ---- */

mcx_err kms_seen_start(struct kms *k) MCX_MUST_USE;
void kms_seen_stop(struct kms *k);
/* May an answer from 'url' with this Time be accepted?  If so, it is; 'body'
 * is the hash of it.  MCX_E_REPLAY. */
mcx_err kms_seen_take(struct kms *k, const char *url, int64_t time_ms,
                      int64_t now_ms,
                      const uint8_t body[MCX_SEAL_MAC_SIZE]) MCX_MUST_USE;
mcx_err kms_hash(uint8_t out[MCX_SEAL_MAC_SIZE],
                 struct mcx_bytes b) MCX_MUST_USE;

#endif /* KMS_STATE_H */
