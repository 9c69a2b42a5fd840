/* kms_store.c -- the KMS's answers, kept for the next start.
 *
 * Called by the other files, on the pool or before it exists.
 * Each slot is a file with one KmsResponse, sealed (mcx_seal) under a key of a
 * file of its own, so that neither a lost disk image nor a backup of the
 * folder holds keys in clear.  What is read is judged again like an answer
 * from the network; the store makes no key good. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms.h"

enum { KEY_TEXT = 2 * MCX_SEAL_KEY_SIZE };

struct kms_store {
    const struct mcx_env *env;
    struct mcx_sealer *sealer;
    pthread_mutex_t lock; /* over the sealer */
    char dir[KMS_PATH_MAX];
    char who[2 * MCX_URI_MAX + 2];
};

/* New sealing key, in a file that only we may read. */
static mcx_err
make_key(struct mcx_seal_key *key, const char *path,
         const struct mcx_env *env)
{
    char hex[KEY_TEXT + 2];
    mcx_err err;

    MCX_TRY(env->random(env->ctx, key->b, sizeof key->b));
    err = mcx_hex_encode(hex, sizeof hex, mcx_bytes(key->b, sizeof key->b));
    if (err == MCX_OK) {
        hex[KEY_TEXT] = '\n';
        err = env->write_file(env->ctx, path, mcx_bytes(hex, KEY_TEXT + 1),
                              0600);
    }
    mcx_wipe(hex, sizeof hex);
    return err;
}

static mcx_err
read_key(struct mcx_seal_key *key, const char *path,
         const struct mcx_env *env, struct mcx_text *text)
{
    char *s = NULL;
    size_t n = 0, digits;
    mcx_err err = env->read_file(env->ctx, path, 4096, &s, &n);

    if (err == MCX_E_IO) {
        /* Not there, or not readable: in the second case writing fails or
         * replaces what was of no use to us. */
        err = make_key(key, path, env);
        if (err != MCX_OK) {
            (void)snprintf(text->s, sizeof text->s, "cache-key-file = %.200s:"
                           " can neither be read nor made", path);
        }
        return err;
    }
    MCX_TRY(err);
    digits = strspn(s, "0123456789abcdefABCDEF");
    err = digits == KEY_TEXT && strspn(s + digits, "\r\n") == n - digits
              ? mcx_hex_decode(key->b, sizeof key->b, mcx_bytes(s, digits),
                               NULL)
              : MCX_E_CONFIG;
    if (err != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "cache-key-file = %.200s: "
                       "expected one line of %d hexadecimal digits", path,
                       KEY_TEXT);
        err = MCX_E_CONFIG;
    }
    mcx_wipe(s, n);
    free(s);
    return err;
}

mcx_err
kms_store_open(struct kms_store **out, const char *dir, const char *key_file,
               const char *who, const struct mcx_env *env,
               struct mcx_text *text)
{
    MCX_SECRET(mcx_seal_key, key);
    struct kms_store *store;
    mcx_err err;

    *out = NULL;
    MCX_TRY(read_key(&key, key_file, env, text));
    store = calloc(1, sizeof *store);
    if (!store) {
        return MCX_E_NOMEM;
    }
    pthread_mutex_init(&store->lock, NULL);
    store->env = env;
    (void)snprintf(store->dir, sizeof store->dir, "%s", dir);
    (void)snprintf(store->who, sizeof store->who, "%s", who);
    if (strlen(dir) >= sizeof store->dir) {
        (void)snprintf(text->s, sizeof text->s, "cache: the path is too long");
        err = MCX_E_CONFIG;
    } else {
        err = mcx_sealer_new(&store->sealer, &key);
    }
    if (err != MCX_OK) {
        kms_store_close(store);
        return err;
    }
    *out = store;
    return MCX_OK;
}

void
kms_store_close(struct kms_store *store)
{
    if (store) {
        mcx_sealer_free(store->sealer);
        pthread_mutex_destroy(&store->lock);
        free(store);
    }
}

static void
slot_path(char out[KMS_PATH_MAX + 32], const struct kms_store *store,
          unsigned slot)
{
    (void)snprintf(out, KMS_PATH_MAX + 32, "%s/kms-%02u.sealed", store->dir,
                   slot);
}

/* What a slot is bound to: its number, the user and the KMS. */
static struct mcx_bytes
bound(char out[2 * MCX_URI_MAX + 32], const struct kms_store *store,
      unsigned slot)
{
    int n = snprintf(out, 2 * MCX_URI_MAX + 32, "mcx kms 1 %u %s", slot,
                     store->who);

    return mcx_bytes(out, n > 0 ? (size_t)n : 0);
}

mcx_err
kms_store_put(struct kms_store *store, unsigned slot, struct mcx_bytes xml)
{
    char path[KMS_PATH_MAX + 32], aad[2 * MCX_URI_MAX + 32];
    const struct mcx_env *env = store->env;
    size_t n = xml.n > 0 ? xml.n + MCX_SEAL_MORE : 0;
    uint8_t *sealed = NULL;
    mcx_err err = MCX_OK;

    slot_path(path, store, slot);
    if (n > 0) {
        sealed = malloc(n);
        if (!sealed) {
            return MCX_E_NOMEM;
        }
        pthread_mutex_lock(&store->lock);
        err = mcx_seal(sealed, store->sealer, env, NULL,
                       bound(aad, store, slot), xml);
        pthread_mutex_unlock(&store->lock);
    }
    if (err == MCX_OK) {
        err = env->write_file(env->ctx, path, mcx_bytes(sealed, n), 0600);
    }
    free(sealed);
    return err;
}

mcx_err
kms_store_get(struct kms_store *store, unsigned slot, char **xml, size_t *n)
{
    char path[KMS_PATH_MAX + 32], aad[2 * MCX_URI_MAX + 32];
    const struct mcx_env *env = store->env;
    char *sealed = NULL, *plain;
    size_t have = 0;
    mcx_err err;

    *xml = NULL;
    *n = 0;
    slot_path(path, store, slot);
    err = env->read_file(env->ctx, path, MCX_KMS_XML_MAX + MCX_SEAL_MORE,
                         &sealed, &have);
    if (err == MCX_E_IO) {
        return MCX_E_NO_KEY;
    }
    MCX_TRY(err);
    if (have == 0) {
        free(sealed);
        return MCX_E_NO_KEY;
    }
    if (have <= MCX_SEAL_MORE) {
        free(sealed);
        return MCX_E_AUTH;
    }
    have -= MCX_SEAL_MORE;
    plain = calloc(1, have + 1);
    if (!plain) {
        free(sealed);
        return MCX_E_NOMEM;
    }
    pthread_mutex_lock(&store->lock);
    err = mcx_unseal((uint8_t *)plain, store->sealer,
                     bound(aad, store, slot),
                     mcx_bytes(sealed, have + MCX_SEAL_MORE));
    pthread_mutex_unlock(&store->lock);
    free(sealed);
    if (err != MCX_OK) {
        mcx_kms_text_free(plain, have);
        return err;
    }
    *xml = plain;
    *n = have;
    return MCX_OK;
}
