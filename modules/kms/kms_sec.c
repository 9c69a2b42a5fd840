/* kms_sec.c -- signed questions and answers, wrapped keys, and how transport
 * and integrity keys change.
 *
 * Called by kms_start.c and, on the pool, by kms_ask.c: between the writer of
 * a request and the network, and between the network and the judges of an
 * answer.  With "security = tls" there is no struct kms_sec, and everything
 * here leaves things as they are.
 *
 * New keys come in an answer (NewTransportKey, NewIntegrityKey) and lie beside
 * the old ones, on the disk as well, until the KMS has answered a question
 * under them: only then do the old ones go.  So whatever is lost on the way,
 * a request, an answer or this process, both sides still have keys in common.
 * A refusal under the new ones is followed by a question under the old ones,
 * and the other way round.
 *
 * Clauses: TS 33.180 5.3.3, D.1, D.2.2, 9.3.4.2. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

static const char NOW[] = "now\n", NEXT[] = "next\n";

enum { SLOT_MAX = 2 * MCX_TKEYS_TEXT_MAX + MCX_TKEY_ID_MAX + 32 };

/* SECRET, in guarded memory only.  A name "" : no such key. */
struct kms_sec {
    struct mcx_tkeys now, next; /* next: came, and did not work yet       */
    struct mcx_tkeys fresh;     /* of the answer at hand                  */
    char boot[MCX_TKEY_ID_MAX]; /* TrK of the file that was taken in last */
    bool wrapped; /* setting */
    bool old;     /* the next question goes under 'now', though there is
                     'next' */
    bool asked_next; /* the one under way is under 'next' */
    bool opened;     /* the answer at hand held keys wrapped by ours */
    bool answered;   /* its signature was good */
};

/* ---- what is kept ------------------------------------------------------ */

static mcx_err
save(struct kms *k)
{
    const struct kms_sec *sec = k->sec;
    char *s = mcx_guard_new(SLOT_MAX);
    size_t n = 0, more = 0;
    mcx_err err;

    if (!s) {
        return MCX_E_NOMEM;
    }
    n = (size_t)snprintf(s, SLOT_MAX, "%s\n%s", sec->boot, NOW);
    err = mcx_tkeys_write(s + n, &more, &sec->now);
    n += more;
    if (err == MCX_OK && mcx_tkeys_signer(&sec->next)) {
        n += (size_t)snprintf(s + n, SLOT_MAX - n, "%s", NEXT);
        err = mcx_tkeys_write(s + n, &more, &sec->next);
        n += more;
    }
    if (err == MCX_OK) {
        err = kms_store_put(k->store, KMS_SLOT_TKEYS, mcx_bytes(s, n));
    }
    mcx_guard_free(s);
    return err;
}

static mcx_err
parse(struct kms_sec *sec, char *s)
{
    char *now = strchr(s, '\n'), *next;

    if (!now || (size_t)(now - s) >= sizeof sec->boot
        || strncmp(now + 1, NOW, sizeof NOW - 1) != 0) {
        return MCX_E_MALFORMED;
    }
    *now = '\0';
    (void)snprintf(sec->boot, sizeof sec->boot, "%.127s", s);
    now += sizeof NOW;
    next = strstr(now, NEXT);
    if (next) {
        *next = '\0';
        MCX_TRY(mcx_tkeys_read(&sec->next,
                               mcx_bytes_str(next + sizeof NEXT - 1), NULL));
    }
    return mcx_tkeys_read(&sec->now, mcx_bytes_str(now), NULL);
}

static mcx_err
recall(struct kms *k)
{
    char *s = NULL;
    size_t n = 0;
    mcx_err err = kms_store_get(k->store, KMS_SLOT_TKEYS, &s, &n);

    if (err == MCX_OK) {
        err = parse(k->sec, s);
    }
    mcx_kms_text_free(s, n);
    if (err != MCX_OK) {
        mcx_wipe(k->sec, sizeof *k->sec);
    }
    return err;
}

static mcx_err
read_file(struct kms *k, struct mcx_tkeys *out, const char *path,
          struct mcx_text *text)
{
    struct mcx_text why = { "" };
    char *s = NULL;
    size_t n = 0;
    mcx_err err = k->env->read_file(k->env->ctx, path, 4096, &s, &n);

    if (err != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "transport-keys = %.200s "
                       "cannot be read", path);
        return MCX_E_IO;
    }
    err = mcx_tkeys_read(out, mcx_bytes(s, n), &why);
    mcx_kms_text_free(s, n);
    if (err != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s,
                       "transport-keys = %.200s: %.200s", path, why.s);
    }
    return err;
}

/* ---- start and stop ---------------------------------------------------- */

/* The file counts when nothing is kept, and when it is another one than the
 * one taken in before: then the operator has set us up again. */
static mcx_err
take_in(struct kms *k, const char *path, struct mcx_text *text)
{
    MCX_SECRET(mcx_tkeys, given);
    mcx_err kept = recall(k), err = MCX_E_IO;

    if (kept != MCX_OK && kept != MCX_E_NO_KEY) {
        mcx_log(k->env, MCX_AREA_KMS, 3, "cache: the transport keys are of "
                "no use: %s", mcx_err_text(kept));
    }
    if (path) {
        err = read_file(k, &given, path, text);
        if (err != MCX_OK && err != MCX_E_IO) {
            return err;
        }
    } else {
        (void)snprintf(text->s, sizeof text->s, "security: transport-keys "
                       "is not set, and none are kept");
    }
    if (err != MCX_OK) {
        return kept == MCX_OK ? MCX_OK : MCX_E_CONFIG;
    }
    if (kept == MCX_OK && strcmp(given.trk.id, k->sec->boot) == 0) {
        return MCX_OK;
    }
    mcx_wipe(k->sec, sizeof *k->sec);
    k->sec->now = given;
    (void)snprintf(k->sec->boot, sizeof k->sec->boot, "%s", given.trk.id);
    err = save(k);
    if (err != MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "cache: the transport keys "
                       "cannot be kept: %s", mcx_err_text(err));
    }
    return err;
}

mcx_err
kms_sec_start(struct kms *k, const char *security, const char *path,
              struct mcx_text *text)
{
    mcx_err err;

    if (!security || strcmp(security, "tls") == 0) {
        if (path) {
            (void)snprintf(text->s, sizeof text->s, "transport-keys without "
                           "security = signed or wrapped");
            return MCX_E_CONFIG;
        }
        return MCX_OK;
    }
    if (!k->store) {
        (void)snprintf(text->s, sizeof text->s, "security = %s needs cache "
                       "and cache-key-file, where the keys of the KMS are "
                       "kept", security);
        return MCX_E_CONFIG;
    }
    k->sec = mcx_guard_new(sizeof *k->sec);
    if (!k->sec) {
        return MCX_E_NOMEM;
    }
    err = take_in(k, path, text);
    k->sec->wrapped = strcmp(security, "wrapped") == 0;
    if (err == MCX_OK) {
        text->s[0] = '\0';
    }
    return err;
}

void
kms_sec_stop(struct kms *k)
{
    mcx_guard_free(k->sec);
    k->sec = NULL;
}

/* ---- a question -------------------------------------------------------- */

mcx_err
kms_sec_sign(struct kms *k, char **xml, size_t *n)
{
    struct kms_sec *sec = k->sec;
    char *out = NULL;
    size_t out_n = 0;

    if (!sec) {
        return MCX_OK;
    }
    sec->asked_next = mcx_tkeys_signer(&sec->next) && !sec->old;
    sec->answered = sec->opened = false;
    mcx_tkeys_wipe(&sec->fresh);
    MCX_TRY(mcx_kms_sign(&out, &out_n, mcx_bytes(*xml, *n),
                         sec->asked_next ? &sec->next : &sec->now,
                         sec->wrapped));
    mcx_kms_text_free(*xml, *n);
    *xml = out;
    *n = out_n;
    return MCX_OK;
}

/* ---- its answer -------------------------------------------------------- */

/* Only the key that signed the question signs the answer. */
static const struct mcx_kw_key *
asked_with(void *arg, const char *id)
{
    const struct kms_sec *sec = arg;
    const struct mcx_tkey *key =
        mcx_tkeys_signer(sec->asked_next ? &sec->next : &sec->now);

    return key && (!*id || strcmp(id, key->id) == 0) ? &key->key : NULL;
}

mcx_err
kms_sec_open(struct kms *k, struct kms_http_reply *http,
             struct mcx_text *text)
{
    struct kms_sec *sec = k->sec;
    struct mcx_kms_verifier v = { .what = MCX_KMS_SIGNED_RESPONSE,
                                  .key = asked_with, .arg = sec };
    struct mcx_kms_signed said;
    char *signed_ = NULL, *plain = NULL;
    size_t signed_n = 0, plain_n = 0;
    mcx_err err;

    if (!sec) {
        return MCX_OK;
    }
    err = mcx_kms_verify(&signed_, &signed_n, mcx_bytes(http->body, http->n),
                         &v, &said, text);
    if (err != MCX_OK) {
        /* A key that is not ours is no key that we have not yet. */
        return err == MCX_E_NO_KEY ? MCX_E_AUTH : err;
    }
    sec->answered = true;
    err = mcx_kms_unwrap(&plain, &plain_n, mcx_bytes(signed_, signed_n),
                         sec->asked_next ? &sec->next.trk : &sec->now.trk,
                         sec->wrapped, &sec->fresh, text);
    if (err == MCX_OK) {
        sec->opened = !mcx_bytes_eq(mcx_bytes(plain, plain_n),
                                    mcx_bytes(signed_, signed_n));
        mcx_kms_text_free(http->body, http->room);
        http->body = plain;
        http->n = plain_n;
        http->room = plain_n;
    }
    mcx_kms_text_free(signed_, signed_n);
    return err;
}

/* Has the KMS shown that it has 'next'?  When only the TrK is new, a signature
 * shows nothing: something must have been wrapped with it. */
static bool
shown(const struct kms_sec *sec)
{
    return sec->asked_next && sec->answered
           && (sec->opened
               || strcmp(mcx_tkeys_signer(&sec->next)->id,
                         mcx_tkeys_signer(&sec->now)->id) != 0);
}

/* Changes take effect when they are on the disk. */
static void
change(struct kms *k, const struct mcx_tkeys *now,
       const struct mcx_tkeys *next, const char *what)
{
    MCX_SECRET(mcx_tkeys, was_now);
    MCX_SECRET(mcx_tkeys, was_next);
    struct kms_sec *sec = k->sec;
    mcx_err err;

    was_now = sec->now;
    was_next = sec->next;
    sec->now = *now;
    sec->next = *next;
    err = save(k);
    if (err != MCX_OK) {
        sec->now = was_now;
        sec->next = was_next;
        mcx_log(k->env, MCX_AREA_KMS, 3, "transport keys %s: not now, they "
                "cannot be kept: %s", what, mcx_err_text(err));
        return;
    }
    sec->old = false;
    mcx_log(k->env, MCX_AREA_KMS, 5, "transport keys %s: %s", what,
            mcx_tkeys_signer(&sec->next) ? sec->next.trk.id
                                         : sec->now.trk.id);
}

static void
promote(struct kms *k)
{
    MCX_SECRET(mcx_tkeys, none);
    MCX_SECRET(mcx_tkeys, next);

    next = k->sec->next;
    change(k, &next, &none, "in use");
}

/* Puts new keys beside the old ones; what did not come stays as it is. */
static void
stage(struct kms *k)
{
    MCX_SECRET(mcx_tkeys, now);
    MCX_SECRET(mcx_tkeys, next);
    const struct kms_sec *sec = k->sec;

    now = next = sec->now;
    if (sec->fresh.trk.id[0]) {
        next.trk = sec->fresh.trk;
    }
    if (sec->fresh.ink.id[0]) {
        next.ink = sec->fresh.ink;
    }
    /* One that is in use already is no news, and a name means one key. */
    if ((strcmp(next.trk.id, now.trk.id) == 0
         && strcmp(next.ink.id, now.ink.id) == 0)
        || strcmp(next.trk.id, next.ink.id) == 0
        || strcmp(next.trk.id, now.ink.id) == 0
        || (next.ink.id[0] && strcmp(next.ink.id, now.trk.id) == 0)) {
        return;
    }
    if (strcmp(next.trk.id, sec->next.trk.id) != 0
        || strcmp(next.ink.id, sec->next.ink.id) != 0
        || !mcx_secret_eq(&next.trk.key, &sec->next.trk.key,
                          sizeof next.trk.key)
        || !mcx_secret_eq(&next.ink.key, &sec->next.ink.key,
                          sizeof next.ink.key)) {
        change(k, &now, &next, "came");
    }
}

void
kms_sec_worked(struct kms *k)
{
    MCX_SECRET(mcx_tkeys, none);
    MCX_SECRET(mcx_tkeys, now);
    struct kms_sec *sec = k->sec;
    bool fresh;

    if (!sec) {
        return;
    }
    fresh = mcx_tkeys_signer(&sec->fresh) != NULL;
    if (shown(sec)) {
        promote(k);
    } else if (!sec->asked_next && sec->old && !fresh
               && mcx_tkeys_signer(&sec->next)) {
        /* It refused the new ones and took the old ones. */
        now = sec->now;
        change(k, &now, &none, "given up, these stay");
    }
    if (fresh) {
        stage(k);
    }
    mcx_tkeys_wipe(&sec->fresh);
}

void
kms_sec_failed(struct kms *k, struct kms_http_reply *http)
{
    struct kms_sec *sec = k->sec;
    struct mcx_text text;

    if (!sec) {
        return;
    }
    /* A refusal that is signed was made by somebody who has the key. */
    if (http && !sec->answered) {
        (void)!kms_sec_open(k, http, &text);
    }
    mcx_tkeys_wipe(&sec->fresh);
    if (shown(sec)) {
        promote(k);
    } else if (!sec->answered && mcx_tkeys_signer(&sec->next)) {
        sec->old = sec->asked_next;
    }
}
