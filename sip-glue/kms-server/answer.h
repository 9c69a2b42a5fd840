/* answer.h -- what a KMS answers to a POST (TS 33.180 annex D.2), without the
 * HTTP around it: the resource, the KmsRequest, who may have what.
 *
 *   init                     our certificate
 *   keyprov[/URI[/TIME]]     one key set: the current period, or the one that
 *                            TIME lies in, within what policy allows
 *   certcache[/NUMBER]       every certificate, or none when NUMBER is ours
 *   cert/URI                 one certificate
 *   lookup/URI               the KMS that an identity belongs to
 *
 * The caller (http.c) has judged the bearer token.  Anything refused is
 * answered with a KmsError whose code is one of KMS_CODE_LIST. */
#ifndef MCX_KMS_ANSWER_H
#define MCX_KMS_ANSWER_H

#include <pthread.h>
#include "certs.h"
#include "protect.h"
#include "store.h"

#define KMS_ROOT "/keymanagement/identity/v1/"

/* X(name, code, HTTP status): ErrorCode of a KmsError.  Annex D gives no
 * numbers; these are ours, listed in mcx-kms.1, and never change meaning. */
#define KMS_CODE_LIST(X)                                                      \
    X(REQUEST, 1, 400)   /* not a KmsRequest, or elements of it are wrong */  \
    X(KMS_URI, 2, 400)   /* KmsUri is not this KMS                        */  \
    X(USER_URI, 3, 400)  /* UserUri is not whom the token is for          */  \
    X(TIME, 4, 400)      /* Time is not now                               */  \
    X(URL, 5, 400)       /* ClientReqUrl is not what was posted to        */  \
    X(RESOURCE, 6, 404)  /* no such request type                          */  \
    X(NO_CERT, 7, 404)   /* certificate not held                          */  \
    X(USER, 8, 403)      /* user not known, or revoked                    */  \
    X(OTHER_USER, 9, 403) /* keys of somebody else asked for              */  \
    X(PERIOD, 10, 403)   /* key period outside what policy allows         */  \
    X(SIGNED, 11, 400)   /* redirect request: not supported               */  \
    X(SIZE, 12, 413)     /* request too large                             */  \
    X(TYPE, 13, 415)     /* Content-Type is not XML                       */  \
    X(INTERNAL, 14, 500)                                                      \
    X(BUSY, 15, 503)     /* try again in a few seconds                    */  \
    X(SIGNATURE, 16, 400) /* not signed as this user must, or wrongly     */
enum kms_code {
    KMS_CODE_NONE = 0,
#define KMS_X(name, code, status) KMS_CODE_##name = code,
    KMS_CODE_LIST(KMS_X)
#undef KMS_X
};

struct kms_policy {
    uint64_t ahead, back; /* key periods around the current one */
    int64_t fresh_ms;     /* how far Time may be from our clock */
    enum kms_security security; /* what a request must be, at least */
    enum mcx_kms_form form;     /* how keys are wrapped */
};

/* What is read from the folder; replaced as a whole when it changes. */
struct kms_held {
    struct kms_domain *domain;
    struct kms_certs *certs;
    size_t refs;
};

struct kms_server {
    const struct mcx_env *env;
    const char *dir;
    const char *instance; /* names this server in the audit log */
    struct kms_store *store;
    struct kms_policy policy;
    pthread_mutex_t lock; /* over 'held' and its count */
    struct kms_held *held;
};
/* Takes 'domain' over, whatever comes back.  'num': kms_certs_num() from
 * before the domain was read. */
mcx_err kms_server_init(struct kms_server *s, struct kms_domain *domain,
                        const char *dir, uint64_t num,
                        const struct mcx_env *env) MCX_MUST_USE;
void kms_server_fini(struct kms_server *s);
/* Reads the folder again when it has changed; keeps what there was when that
 * fails.  For one thread, about once a second. */
void kms_server_look(struct kms_server *s);

struct kms_ask {
    const char *target;  /* of the request line, as it came */
    const char *host;    /* Host header, letters of a host name and port */
    const char *subject; /* whom the token is for */
    const char *peer;    /* address, for the log */
    struct mcx_bytes body;
};
struct kms_reply {
    unsigned status;
    enum kms_code code; /* of the KmsError, or KMS_CODE_NONE */
    char *xml;          /* may hold keys: mcx_kms_text_free(); NULL: none */
    size_t n;
    const char *resource; /* a word for the log */
    struct mcx_text why;  /* what was refused; no secret */
};
void kms_answer(struct kms_reply *out, struct kms_server *s,
                const struct kms_ask *ask);
/* A KmsError about what http.c itself refuses. */
void kms_answer_error(struct kms_reply *out, struct kms_server *s,
                      const struct kms_ask *ask, enum kms_code code,
                      const char *why);

#endif /* MCX_KMS_ANSWER_H */
