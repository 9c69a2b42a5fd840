/* test_kms_kit.h -- for the tests of module kms: a host with a clock that is
 * stepped, whose pool works at once, and a KMS that answers as told, truly or
 * not.  Failures end the test (cmocka assertions). */
#ifndef TEST_KMS_KIT_H
#define TEST_KMS_KIT_H

#include "kms.h"

#define KIT_USER "sip:alice@mcx.test"
#define KIT_OTHER "sip:mallory@mcx.test"
#define KIT_KMS "kms.mcx.test"
#define KIT_FAR "kms.far.test"
#define KIT_TOKEN "a.token-of.alice"

/* What the KMS does with the next answers. */
enum kit_lie {
    KIT_TRUE,
    KIT_LIE_KMS,     /* KmsUri of another                   */
    KIT_LIE_USER,    /* UserUri of another                  */
    KIT_LIE_URL,     /* ClientReqUrl of another question    */
    KIT_LIE_TIME,    /* Time an hour ago                    */
    KIT_LIE_WHAT,    /* certificates when keys are wanted   */
    KIT_LIE_KEYS,    /* a good key set of another user      */
    KIT_LIE_RSK,     /* our set with the RSK of another     */
    KIT_LIE_SSK,     /* our set with SSK and PVT of another */
    KIT_LIE_UID,     /* our set with the UID of another     */
    KIT_LIE_PERIOD,  /* the set of the period before        */
    KIT_LIE_CERT,    /* KmsInit of another KMS              */
    KIT_NO_KEYS,     /* KmsKeyProv without sets             */
    KIT_GARBAGE,
    KIT_DOCTYPE,
    KIT_HUGE,        /* 5 MB                                */
    KIT_ERROR,       /* a KmsError, status 200              */
    KIT_LIES
};

struct kit {
    const char *user; /* KIT_USER, or another "sip:NAME@mcx.test" */
    int64_t now_ms, mono_ms;
    struct mcx_env env;
    struct mcx_host host;
    struct mcx_ring *ring;
    struct { const char *name; char value[512]; } set[24];
    size_t n_set;
    bool stopping, hold_work; /* hold_work: submitted work waits */
    struct mcx_work *held;
    unsigned counted_requests, counted_failed, counted_refused, dropped;
    unsigned grown, identities;
    char *log;
    size_t log_n;
    void *state;
    const char *app_token; /* what the application gives; NULL: nothing ... */
    bool app_asked;        /* ... but it would, when asked */
    unsigned n_wanted;
    int wanted_status;

    /* The KMS. */
    struct mcx_kms_master *master, *other_master;
    struct mcx_kms_info info, far_info;
    enum kit_lie lie;
    int status; /* of answers; 200 */
    const char *token; /* that must come; NULL: none is looked at */
    int64_t valid_to_unix; /* of key sets; 0: not said */
    bool revoked;  /* key sets are */
    bool two;      /* a second, bad set comes with the good one */
    uint64_t cache_num;
    bool unlisted; /* CertCache does not have KIT_FAR, Cert does */
    const char *cert_uri; /* Cert brings this one's; NULL: KIT_FAR's */
    const char *lookup_kms; /* answer to lookup; NULL: 404 */
    const char *lookup_uri; /* about whom; NULL: sip:bob@far.test */
    unsigned n_lookup;
    unsigned n_init, n_keys, n_certs, n_cert; /* questions that came */
    char last_url[MCX_KMS_URL_MAX];
    struct mcx_kms_request last;
    /* Every secret ever issued, in hexadecimal. */
    char (*secret)[2 * MCX_SSK_SIZE + 1];
    size_t n_secrets;
    bool down; /* kit_post() gets no answer */
    bool echo; /* answers have the Id of their question */
};

/* Period of 'period_s' seconds; the clock stands at the start of one. */
void kit_new(struct kit *kit, unsigned period_s);
void kit_free(struct kit *kit); /* stops first when it runs */
void kit_set(struct kit *kit, const char *name, const char *value);
/* Starts the module; 'net': over the network, else from kit_answer(). */
mcx_err kit_start(struct kit *kit, bool net, struct mcx_text *text);
void kit_stop(struct kit *kit);
/* As a restart: the ring is a new one. */
void kit_restart(struct kit *kit, bool net);
void kit_step(struct kit *kit, int64_t ms); /* steps the clocks */
void kit_tick(struct kit *kit);
uint64_t kit_period(const struct kit *kit);
bool kit_has(struct kit *kit, uint64_t no);
size_t kit_n_keys(struct kit *kit);
void kit_log_has(const struct kit *kit, const char *part);
/* No secret in the log; no secret in a file of 'dir' (NULL: no files). */
void kit_no_secrets(struct kit *kit, const char *dir);

/* The KMS: malloc'ed answer to a POST of 'body' to 'url'. */
char *kit_answer(struct kit *kit, const char *url, const char *token,
                 struct mcx_bytes body, size_t *n, int *status);

#endif /* TEST_KMS_KIT_H */
