/* token.c -- bearer tokens that the application gives for its KMS.
 *
 * mcx_token() puts one down, modules fetch it from the pool, and what they ask
 * for goes to the application on its loop.  There is one token and no memory
 * of older ones; whether it is any good is for the KMS to say. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "sofia/glue.h"

/* RFC 6750 2.1: anything else could end the header line. */
static bool
is_token(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f) {
            return false;
        }
    }
    return n > 0 && n <= MCX_TOKEN_MAX;
}

int
mcx_token(mcx_t *mcx, char const *token)
{
    char *fresh = NULL, *old;

    if (!mcx || (token && !is_token(token))) {
        return -1;
    }
    if (token) {
        fresh = mcx_guard_new(MCX_TOKEN_MAX + 1);
        if (!fresh) {
            return -1;
        }
        memcpy(fresh, token, strlen(token) + 1);
    }
    pthread_mutex_lock(&mcx->token_lock);
    old = mcx->token;
    mcx->token = fresh;
    pthread_mutex_unlock(&mcx->token_lock);
    mcx_guard_free(old);
    return 0;
}

static mcx_err
get(void *arg, char *out, size_t room)
{
    mcx_t *mcx = arg;
    mcx_err err = MCX_OK;
    size_t n;

    pthread_mutex_lock(&mcx->token_lock);
    if (!mcx->token) {
        err = mcx->token_callback ? MCX_E_NO_KEY : MCX_E_UNSUPPORTED;
    } else {
        n = strlen(mcx->token) + 1;
        if (n > room) {
            err = MCX_E_TOOBIG;
        } else {
            memcpy(out, mcx->token, n);
        }
    }
    pthread_mutex_unlock(&mcx->token_lock);
    return err;
}

struct wanted {
    struct mcxh_job job; /* first */
    mcx_t *mcx;
    int status;
    char kms_uri[MCX_URI_MAX];
};

static void
ask(struct mcxh_job *job)
{
    struct wanted *w = (struct wanted *)job;
    mcx_t *mcx = w->mcx;

    if (mcx->callback && mcx->token_callback) {
        mcx->token_callback(mcx, mcx->magic, w->kms_uri, w->status);
    }
    free(w);
}

static void
wanted(void *arg, const char *kms_uri, int status)
{
    mcx_t *mcx = arg;
    struct wanted *w;

    if (!mcx->token_callback) {
        return;
    }
    w = calloc(1, sizeof *w);
    if (!w) {
        mcx_log(mcx->env, MCX_AREA_SIP, 1, "event lost: out of memory");
        return;
    }
    w->job.done = ask;
    w->mcx = mcx;
    w->status = status;
    snprintf(w->kms_uri, sizeof w->kms_uri, "%s", kms_uri ? kms_uri : "");
    mcxs_post_job(mcx->post, &w->job);
}

void
mcxs_token_init(mcx_t *mcx)
{
    mcx->host.token = get;
    mcx->host.token_wanted = wanted;
}

void
mcxs_token_end(mcx_t *mcx)
{
    mcx_guard_free(mcx->token);
    mcx->token = NULL;
}
