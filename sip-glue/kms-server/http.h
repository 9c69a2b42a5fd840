/* http.h -- the HTTPS side of a KMS: libmicrohttpd over GnuTLS.  Judges the
 * bearer token before it reads a body, bounds everything, and hands the rest
 * to answer.c. */
#ifndef MCX_KMS_HTTP_H
#define MCX_KMS_HTTP_H

#include "answer.h"
#include "token.h"

struct kms_http_conf {
    const char *listen; /* "ADDR:PORT", "[v6]:PORT"; port 0: any */
    const char *proxy_ca; /* PEM: authorities of proxies that may assert an
                             identity; NULL: nobody may */
    const char *cert, *key; /* PEM texts */
    unsigned threads, connections, per_address;
    int64_t request_ms; /* a request, or silence, may last so long */
    struct kms_token_rule rule;
    const struct kms_token_keys *keys; /* of the start; kms_http_keys() */
};

struct kms_http;
/* MCX_E_CONFIG and 'text'.  '*port' is where it listens. */
mcx_err kms_http_start(struct kms_http **out, struct kms_server *server,
                       const struct kms_http_conf *conf, unsigned *port,
                       struct mcx_text *text) MCX_MUST_USE;
/* Takes 'keys' for tokens from now on, and gives back those before, which
 * nobody looks at any more. */
const struct kms_token_keys *kms_http_keys(struct kms_http *http,
                                           const struct kms_token_keys *keys);
/* Closes connections that have been open too long without a whole request;
 * to be called about once a second. */
void kms_http_tick(struct kms_http *http);
/* Answers what is being answered, and stops.  NULL allowed. */
void kms_http_stop(struct kms_http *http);

#endif /* MCX_KMS_HTTP_H */
