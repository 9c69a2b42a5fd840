/* kms.h -- what the files of module kms share.
 *
 *   kms_module.c  the descriptor
 *   kms_start.c   settings, cache, start and stop
 *   kms.c         the life of the client: what is due, what has ended
 *   kms_ask.c     one question, and what becomes of the answer
 *   kms_sec.c     signatures, wrapped keys, change of transport keys
 *   kms_seen.c    no answer twice, none after a newer one
 *   kms_find.c    discovery: to which KMS does somebody belong
 *   kms_plan.c    when: renewal, back-off, periods; pure arithmetic
 *   kms_http.c    one POST over TLS; the only file that sees libcurl
 *   kms_store.c   answers kept for the next start, sealed */
#ifndef KMS_H
#define KMS_H

#include <pthread.h>
#include <sofia-mcx/mcx_module.h>

#define KMS_NAME "kms"
#define KMS_ROOT_PATH "/keymanagement/identity/v1"

enum {
    KMS_TOKEN_MAX = 8192,    /* octets of a bearer token                 */
    KMS_EXTERNAL_MAX = 16,   /* KMSs of other domains that we may use    */
    KMS_HELD_MAX = 8,        /* periods whose keys we look after         */
    KMS_FOUND_MAX = 32,      /* look-ups that are remembered: found ones */
    KMS_FOUND_MS = 3600000,  /* for an hour,                             */
    KMS_LOST_MS = 60000,     /* the others for a minute                  */
    KMS_SEEN_MAX = 32,       /* resources asked for in one time-window   */
    KMS_PATH_MAX = 1024,
    KMS_TOKEN_LOOK_MS = 10000, /* a new token is looked for, after a 401: in
                                  the file */
    KMS_TOKEN_ASK_MS = 1000,   /* or at the application */
    KMS_CERT_LOOK_MS = 900000  /* and whether a revoked KMS is back      */
};

/* ---- kms_plan.c -------------------------------------------------------- */

enum {
    KMS_BACKOFF_FIRST_MS = 5000, /* design defaults: 5 s, doubling ...   */
    KMS_BACKOFF_MAX_MS = 900000, /* ... to 15 min                        */
    KMS_RENEW_PERCENT = 80,      /* of the period, and a random part ... */
    KMS_SPREAD_PERCENT = 10      /* ... of so much of it                 */
};

/* The moment in period 'no' at which the keys of the next one are asked for;
 * 'dice' is random. */
int64_t kms_renew_at_ms(const struct mcx_period *period, uint64_t no,
                        uint32_t dice);
/* The wait after the 'failures'-th failure in a row, 1 being the first.  Never
 * more than a twentieth of the period (0: unknown), so that a KMS which
 * answers during the last tenth of a period is found in time; up to a quarter
 * less by 'dice', so that a fleet does not knock in step. */
int64_t kms_backoff_ms(unsigned failures, uint64_t period_s, uint32_t dice);
/* Unix time at which period 'no' begins. */
int64_t kms_start_ms(const struct mcx_period *period, uint64_t no);
/* The period of that moment; false when there is none. */
bool kms_period_at(uint64_t *no, const struct mcx_period *period,
                   int64_t unix_ms);

/* ---- kms_http.c -------------------------------------------------------- */

struct kms_http_set {
    const char *ca_file; /* PEM; NULL: what the system trusts */
    const char *cert_file, *key_file; /* of the client; NULL: none */
    const char *proxy;   /* "http://host:port"; NULL: none */
    long timeout_s;
    bool (*stop)(void *arg); /* asked during the transfer */
    void *arg;
};
/* SECRET in 'body', for keys may be in it. */
struct kms_http_reply {
    long status; /* 0: no answer */
    char *body;  /* malloc'ed */
    size_t n, room;
    struct mcx_text text; /* why there is no answer; no secret */
};
/* Wipes and frees. */
void kms_http_drop(struct kms_http_reply *reply);

/* Before the first connection and after the last; counted by libcurl. */
bool kms_http_begin(void);
void kms_http_end(void);
/* One connection that several requests may use. */
struct kms_http;
mcx_err kms_http_open(struct kms_http **out,
                      const struct kms_http_set *set) MCX_MUST_USE;
void kms_http_close(struct kms_http *http);
/* POSTs 'body' to 'url', which must be https.  'token' NULL: none is sent.
 * MCX_E_AUTH: the server's certificate, name or TLS version is not good;
 * MCX_E_TOOBIG: more than MCX_KMS_XML_MAX octets came; MCX_E_TIMEOUT;
 * MCX_E_STATE: 'stop' said so; MCX_E_IO: anything else of the network;
 * MCX_E_CONFIG: a file of the settings cannot be used; MCX_E_NOMEM. */
mcx_err kms_http_post(struct kms_http *http, const char *url,
                      const char *token, struct mcx_bytes body,
                      struct kms_http_reply *reply) MCX_MUST_USE;

/* ---- kms_store.c ------------------------------------------------------- */

/* Slots: few and named, because what is written over is gone, and there is no
 * other way to delete. */
enum {
    KMS_SLOT_INIT,
    KMS_SLOT_KEYS, /* and two more: period modulo 3 */
    KMS_SLOT_CERTS = KMS_SLOT_KEYS + 3,
    KMS_SLOT_EXTERNAL = KMS_SLOT_CERTS + 8,
    KMS_SLOT_TKEYS = KMS_SLOT_EXTERNAL + KMS_EXTERNAL_MAX,
    KMS_SLOT_SEEN,
    KMS_SLOTS
};
enum { KMS_KEY_SLOTS = 3, KMS_CERT_SLOTS = 8 };

struct kms_store;
/* 'dir' must exist.  'key_file' holds 64 hexadecimal digits; it is made, with
 * a random key, when it is not there.  'who' is bound into every slot: slots
 * of another user or KMS do not open. */
mcx_err kms_store_open(struct kms_store **out, const char *dir,
                       const char *key_file, const char *who,
                       const struct mcx_env *env,
                       struct mcx_text *text) MCX_MUST_USE;
void kms_store_close(struct kms_store *store);
/* Replaces what is in 'slot'; no octets empty it.  A slot is one thread's at a
 * time, the store anybody's. */
mcx_err kms_store_put(struct kms_store *store, unsigned slot,
                      struct mcx_bytes xml) MCX_MUST_USE;
/* SECRET: '*xml' is malloc'ed, wiped with mcx_kms_text_free().
 * MCX_E_NO_KEY: the slot is empty; MCX_E_AUTH: it does not open. */
mcx_err kms_store_get(struct kms_store *store, unsigned slot, char **xml,
                      size_t *n) MCX_MUST_USE;

/* ---- kms_start.c, kms.c ------------------------------------------------ */

mcx_err kms_start(void **state, const struct mcx_host *host,
                  struct mcx_text *text);
void kms_stop(void *state);
void kms_tick(void *state);

/* Replaces the network, for tests. */
typedef mcx_err kms_post_f(void *arg, const char *url, const char *token,
                           struct mcx_bytes body,
                           struct kms_http_reply *reply);
void kms_use(void *state, kms_post_f *post, void *arg);

#endif /* KMS_H */
