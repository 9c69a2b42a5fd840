/* certs.c -- see certs.h. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "certs.h"

static const char EXTERNAL[] = "external";
static const char PREFIX[] = "kms-";
static const char SUFFIX[] = ".xml";

struct walk {
    struct kms_certs *certs;
    const char *dir; /* the folder of certificates */
    const struct mcx_env *env;
    uint64_t num;
};

static void
newest(uint64_t *num, const char *path)
{
    struct stat st;
    uint64_t ms;

    /* When it became what it is, and not what it says of itself: a file that
     * was copied with its old time (cp -p) is news, too. */
    if (stat(path, &st) == 0 && st.st_ctim.tv_sec > 0) {
        ms = (uint64_t)st.st_ctim.tv_sec * 1000
             + (uint64_t)st.st_ctim.tv_nsec / 1000000;
        *num = ms > *num ? ms : *num;
    }
}

/* "kms-<URI>.xml"; false: another file. */
static bool
uri_of(char out[MCX_URI_MAX], const char *name)
{
    size_t n = strlen(name), head = sizeof PREFIX - 1;
    size_t tail = sizeof SUFFIX - 1;

    return n > head + tail && strncmp(name, PREFIX, head) == 0
           && strcmp(name + n - tail, SUFFIX) == 0
           && kms_unescape(out, MCX_URI_MAX, name + head, n - head - tail);
}

/* The certificate of 'uri' out of the document at 'path'. */
static mcx_err
take(struct mcx_kms_cert *out, const char *uri, const char *path,
     const struct mcx_env *env)
{
    struct mcx_ring *ring = NULL;
    struct mcx_kms_pub *pub = NULL;
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    MCX_TRY(env->read_file(env->ctx, path, MCX_KMS_XML_MAX, &xml, &n));
    err = mcx_ring_new(&ring, env);
    if (err == MCX_OK) {
        err = mcx_kms_load(ring, mcx_bytes(xml, n), path, env, NULL, NULL);
    }
    if (err == MCX_OK) {
        err = mcx_ring_kms(ring, mcx_bytes_str(uri), &out->info, &pub);
    }
    if (err == MCX_OK) {
        out->info.root = false;
        memcpy(out->z, mcx_kms_pub_z(pub), sizeof out->z);
        memcpy(out->kpak, mcx_kms_pub_kpak(pub), sizeof out->kpak);
    }
    mcx_kms_pub_free(pub);
    mcx_ring_free(ring);
    free(xml);
    return err;
}

static mcx_err
load_file(void *arg, const char *name)
{
    struct walk *w = arg;
    struct kms_certs *c = w->certs;
    char uri[MCX_URI_MAX], path[KMS_PATH_MAX];
    mcx_err err;

    if (!uri_of(uri, name) || !kms_path(path, w->dir, name)) {
        return MCX_OK;
    }
    if (c->n == KMS_EXTERNAL_MAX) {
        mcx_log(w->env, MCX_AREA_KMS, 3, "%s: left out, there are %d already",
                path, KMS_EXTERNAL_MAX);
        return MCX_OK;
    }
    err = take(&c->cert[c->n], uri, path, w->env);
    if (err == MCX_OK) {
        c->n++;
    } else {
        memset(&c->cert[c->n], 0, sizeof c->cert[0]);
        mcx_log(w->env, MCX_AREA_KMS, 3, "%s: left out: expected the "
                "certificate of %s: %s", path, uri, mcx_err_text(err));
    }
    return err == MCX_E_NOMEM ? err : MCX_OK;
}

static mcx_err
look_at(void *arg, const char *name)
{
    struct walk *w = arg;
    char path[KMS_PATH_MAX];

    if (kms_path(path, w->dir, name)) {
        newest(&w->num, path);
    }
    return MCX_OK;
}

uint64_t
kms_certs_num(const char *dir, const struct mcx_env *env)
{
    char path[KMS_PATH_MAX];
    struct walk w = { .dir = path, .env = env, .num = 1 };

    if (kms_path(path, dir, "master.sealed")) {
        newest(&w.num, path);
    }
    if (kms_path(path, dir, "master.secret")) {
        newest(&w.num, path);
    }
    if (kms_path(path, dir, EXTERNAL)) {
        newest(&w.num, path);
        (void)env->list_dir(env->ctx, path, look_at, &w);
    }
    return w.num;
}

mcx_err
kms_certs_load(struct kms_certs **out, const char *dir, uint64_t num,
               const struct mcx_env *env)
{
    struct kms_certs *c = calloc(1, sizeof *c);
    char path[KMS_PATH_MAX];
    struct walk w = { .certs = c, .dir = path, .env = env };
    struct stat st;
    mcx_err err = MCX_OK;

    *out = NULL;
    if (c) {
        c->cert = calloc(KMS_EXTERNAL_MAX, sizeof *c->cert);
    }
    if (!c || !c->cert) {
        kms_certs_free(c);
        return MCX_E_NOMEM;
    }
    c->num = num;
    if (kms_path(path, dir, EXTERNAL) && stat(path, &st) == 0) {
        err = env->list_dir(env->ctx, path, load_file, &w);
    }
    if (err == MCX_E_NOMEM) {
        kms_certs_free(c);
        return err;
    }
    *out = c;
    return MCX_OK;
}

void
kms_certs_free(struct kms_certs *certs)
{
    if (certs) {
        free(certs->cert);
        free(certs);
    }
}

const struct mcx_kms_cert *
kms_certs_find(const struct kms_certs *certs, const char *uri)
{
    size_t i;

    for (i = 0; i < certs->n; i++) {
        if (strcmp(certs->cert[i].info.uri, uri) == 0) {
            return &certs->cert[i];
        }
    }
    return NULL;
}
