/* kms_sec.c -- signed questions and answers, wrapped keys, and how transport
 * and integrity keys change.
 *
 * Called by kms_start.c and, on the pool, by kms_ask.c and kms_find.c: between
 * a request and the network, and between the network and the judges of an
 * answer.  With "security = tls" there is no struct kms_sec, and everything
 * here leaves things as they are.
 *
 * New keys come in an answer (NewTransportKey, NewIntegrityKey) and lie beside
 * the old ones, on the disk as well, until the KMS has answered a question
 * under them: only then do the old ones go.  So whatever is lost on the way,
 * a request, an answer or this process, both sides still have keys in common.
 * A refusal is followed by a question under the next set there is, and so
 * round.  Anybody can refuse, and what was accepted under the old keys may be
 * a recorded answer: neither shows that the KMS does not have the new ones.
 * So they are only put behind the old ones then, and kept.
 *
 * Clauses: TS 33.180 5.3.3, D.1, D.2.2, 9.3.4.2. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "kms_state.h"

static const char NOW[] = "now", NEXT[] = "next", SPARE[] = "spare";
static const char ECHOES[] = "answer-id\n";

enum {
    SETS = 4, /* the one in use, and those that came since */
    SLOT_MAX = MCX_TKEY_ID_MAX + 16 + SETS * (MCX_TKEYS_TEXT_MAX + 8)
};
enum answer_id { ID_LEARN, ID_ALWAYS, ID_NEVER };

/* SECRET.  set[0] is in use; the others came, the newest first, and did not
 * work yet.  'spare': a question under set[0] was answered since, and did not
 * bring them again; so they are tried after a refusal only. */
struct kms_sets {
    struct mcx_tkeys set[SETS];
    size_t n;
    bool spare;
};
MCX_SECRET_TYPE(kms_sets);

/* SECRET, in guarded memory only. */
struct kms_sec {
    pthread_mutex_t lock; /* look-ups ask beside the client's other work */
    struct kms_sets sets;
    size_t at; /* the next question goes under this one */
    char boot[MCX_TKEY_ID_MAX]; /* TrK of the file that was taken in last */
    bool wrapped;                /* settings */
    enum answer_id answer_id;
    bool echoes; /* an answer had the Id of its question: all have to */
};

/* SECRET, in guarded memory only: one question. */
struct kms_sec_call {
    struct mcx_tkeys under;
    struct mcx_tkeys fresh; /* new ones in the answer */
    size_t which;           /* place of 'under' */
    bool opened;            /* the answer held keys wrapped by ours */
    bool echoed;            /* it had the Id of the question        */
    char id[MCX_KMS_ID_MAX];
    uint8_t hash[MCX_SEAL_MAC_SIZE]; /* of what was signed */
};

/* ---- what is kept ------------------------------------------------------ */

static mcx_err
save(struct kms *k)
{
    const struct kms_sets *sets = &k->sec->sets;
    char *s = mcx_guard_new(SLOT_MAX);
    size_t n, more = 0;
    mcx_err err = MCX_OK;

    if (!s) {
        return MCX_E_NOMEM;
    }
    n = (size_t)snprintf(s, SLOT_MAX, "%s\n%s", k->sec->boot,
                         k->sec->echoes ? ECHOES : "");
    for (size_t i = 0; i < sets->n && err == MCX_OK; i++) {
        n += (size_t)snprintf(s + n, SLOT_MAX - n, "%s\n",
                              i == 0 ? NOW : sets->spare ? SPARE : NEXT);
        err = mcx_tkeys_write(s + n, &more, &sets->set[i]);
        n += more;
    }
    if (err == MCX_OK) {
        err = kms_store_put(k->store, KMS_SLOT_TKEYS, mcx_bytes(s, n));
    }
    mcx_guard_free(s);
    return err;
}

/* The line at '*s', which goes on to the next; NULL: there is none. */
static char *
line(char **s)
{
    char *it = *s, *end = it ? strchr(it, '\n') : NULL;

    if (!end) {
        return NULL;
    }
    *end = '\0';
    *s = end + 1;
    return it;
}

/* Is this the line before a set? */
static bool
heads(const char *s, size_t n)
{
    return (n == sizeof NOW - 1 && strncmp(s, NOW, n) == 0)
           || (n == sizeof NEXT - 1 && strncmp(s, NEXT, n) == 0)
           || (n == sizeof SPARE - 1 && strncmp(s, SPARE, n) == 0);
}

static mcx_err
parse(struct kms_sec *sec, char *s)
{
    struct kms_sets *sets = &sec->sets;
    const char *word = line(&s);

    if (!word || strlen(word) >= sizeof sec->boot) {
        return MCX_E_MALFORMED;
    }
    (void)snprintf(sec->boot, sizeof sec->boot, "%.127s", word);
    sec->echoes = strncmp(s, ECHOES, sizeof ECHOES - 1) == 0;
    s += sec->echoes ? sizeof ECHOES - 1 : 0;
    while ((word = line(&s)) != NULL) {
        size_t n = 0;

        if (!heads(word, strlen(word)) || sets->n == SETS
            || (strcmp(word, NOW) == 0) != (sets->n == 0)) {
            return MCX_E_MALFORMED;
        }
        sets->spare = strcmp(word, SPARE) == 0;
        while (s[n] && !heads(s + n, strcspn(s + n, "\n"))) {
            n += strcspn(s + n, "\n");
            n += s[n] == '\n';
        }
        MCX_TRY(mcx_tkeys_read(&sets->set[sets->n], mcx_bytes(s, n), NULL));
        sets->n++;
        s += n;
    }
    sec->at = sets->n > 1 && !sets->spare ? 1 : 0;
    return sets->n > 0 ? MCX_OK : MCX_E_MALFORMED;
}

static void
forget(struct kms_sec *sec)
{
    kms_sets_wipe(&sec->sets);
    sec->at = 0;
    sec->echoes = false;
    sec->boot[0] = '\0';
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
        forget(k->sec);
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
    forget(k->sec);
    k->sec->sets.set[0] = given;
    k->sec->sets.n = 1;
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
              const char *answer_id, struct mcx_text *text)
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
    pthread_mutex_init(&k->sec->lock, NULL);
    err = take_in(k, path, text);
    k->sec->wrapped = strcmp(security, "wrapped") == 0;
    k->sec->answer_id = strcmp(answer_id, "always") == 0  ? ID_ALWAYS
                        : strcmp(answer_id, "never") == 0 ? ID_NEVER
                                                          : ID_LEARN;
    if (err == MCX_OK) {
        text->s[0] = '\0';
        err = kms_seen_start(k);
    }
    return err;
}

void
kms_sec_stop(struct kms *k)
{
    if (k->sec) {
        pthread_mutex_destroy(&k->sec->lock);
    }
    mcx_guard_free(k->sec);
    k->sec = NULL;
    kms_seen_stop(k);
}

/* ---- a question -------------------------------------------------------- */

/* An Id that nobody has seen. */
static mcx_err
draw_id(char id[MCX_KMS_ID_MAX], const struct mcx_env *env)
{
    uint8_t b[16];

    id[0] = 'q';
    MCX_TRY(env->random(env->ctx, b, sizeof b));
    return mcx_hex_encode(id + 1, MCX_KMS_ID_MAX - 1,
                          mcx_bytes(b, sizeof b));
}

mcx_err
kms_sec_begin(struct kms_sec_call **out, const struct kms *k, size_t turn)
{
    struct kms_sec *sec = k->sec;
    struct kms_sec_call *c;
    mcx_err err = MCX_E_NO_KEY;

    *out = NULL;
    if (!sec) {
        return turn == 0 ? MCX_OK : MCX_E_NO_KEY;
    }
    c = mcx_guard_new(sizeof *c);
    if (!c) {
        return MCX_E_NOMEM;
    }
    pthread_mutex_lock(&sec->lock);
    if (turn < sec->sets.n) {
        c->which = (sec->at + turn) % sec->sets.n;
        c->under = sec->sets.set[c->which];
        err = MCX_OK;
    }
    pthread_mutex_unlock(&sec->lock);
    if (err == MCX_OK) {
        err = draw_id(c->id, k->env);
    }
    if (err != MCX_OK) {
        mcx_guard_free(c);
        c = NULL;
    }
    *out = c;
    return err;
}

void
kms_sec_end(struct kms_sec_call *c)
{
    mcx_guard_free(c);
}

mcx_err
kms_sec_write(const struct kms *k, struct kms_sec_call *c,
              struct mcx_kms_request *req, char **xml, size_t *n)
{
    char *plain = NULL;
    size_t plain_n = 0;
    mcx_err err;

    *xml = NULL;
    *n = 0;
    if (!c) {
        return mcx_kms_request_write(xml, n, req);
    }
    (void)snprintf(req->id, sizeof req->id, "%s", c->id);
    MCX_TRY(mcx_kms_request_write(&plain, &plain_n, req));
    err = mcx_kms_sign(xml, n, mcx_bytes(plain, plain_n), &c->under,
                       k->sec->wrapped);
    mcx_kms_text_free(plain, plain_n);
    return err;
}

/* ---- its answer -------------------------------------------------------- */

/* Only the key that signed the question signs the answer. */
static const struct mcx_kw_key *
asked_with(void *arg, const char *id)
{
    const struct kms_sec_call *c = arg;
    const struct mcx_tkey *key = mcx_tkeys_signer(&c->under);

    return key && (!*id || strcmp(id, key->id) == 0) ? &key->key : NULL;
}

/* Puts in place of the answer what was signed, with keys in clear. */
static mcx_err
open_answer(const struct kms *k, struct kms_sec_call *c,
            struct kms_http_reply *http, struct mcx_text *text)
{
    struct mcx_kms_verifier v = { .what = MCX_KMS_SIGNED_RESPONSE,
                                  .key = asked_with, .arg = c };
    struct mcx_kms_signed said;
    char *signed_ = NULL, *plain = NULL;
    size_t signed_n = 0, plain_n = 0;
    mcx_err err = mcx_kms_verify(&signed_, &signed_n,
                                 mcx_bytes(http->body, http->n), &v, &said,
                                 text);

    if (err != MCX_OK) {
        /* A key that is not ours is no key that we have not yet. */
        return err == MCX_E_NO_KEY ? MCX_E_AUTH : err;
    }
    err = kms_hash(c->hash, mcx_bytes(signed_, signed_n));
    if (err != MCX_OK) {
        mcx_kms_text_free(signed_, signed_n);
        return err;
    }
    err = mcx_kms_unwrap(&plain, &plain_n, mcx_bytes(signed_, signed_n),
                         &c->under.trk, k->sec->wrapped, &c->fresh, text);
    if (err == MCX_OK) {
        c->opened = !mcx_bytes_eq(mcx_bytes(plain, plain_n),
                                  mcx_bytes(signed_, signed_n));
        mcx_kms_text_free(http->body, http->room);
        http->body = plain;
        http->n = plain_n;
        http->room = plain_n;
    }
    mcx_kms_text_free(signed_, signed_n);
    return err;
}

/* Is a good answer one to this question?  By its Id, when the KMS is one that
 * gives answers the Id of their question; else by its resource, and by not
 * being older than one that was. */
static mcx_err
to_this_one(struct kms *k, struct kms_sec_call *c,
            const struct mcx_kms_expect *expect,
            const struct mcx_kms_reply *reply, struct mcx_text *text)
{
    struct kms_sec *sec = k->sec;
    bool must;
    mcx_err err;

    c->echoed = strcmp(reply->id, c->id) == 0;
    pthread_mutex_lock(&sec->lock);
    must = sec->answer_id == ID_ALWAYS
           || (sec->answer_id == ID_LEARN && sec->echoes);
    pthread_mutex_unlock(&sec->lock);
    if (must && !c->echoed) {
        (void)snprintf(text->s, sizeof text->s, "the answer is to another "
                       "question: it does not have the Id of ours");
        return MCX_E_REPLAY;
    }
    err = kms_seen_take(k, expect->client_req_url, reply->time_unix_ms,
                        expect->now_unix_ms, c->hash);
    if (err == MCX_E_REPLAY) {
        (void)snprintf(text->s, sizeof text->s, "the answer is an old one: it "
                       "was accepted before, or a newer one was");
    }
    return err;
}

mcx_err
kms_sec_read(struct kms *k, struct kms_sec_call *c,
             struct kms_http_reply *http, const struct mcx_kms_expect *expect,
             struct mcx_kms_reply *reply, struct mcx_text *text)
{
    struct mcx_text other = { "" };
    mcx_err err, old;

    if (!c) {
        return mcx_kms_reply_read(reply, mcx_bytes(http->body, http->n),
                                  expect, text);
    }
    memset(reply, 0, sizeof *reply);
    MCX_TRY(open_answer(k, c, http, text));
    err = mcx_kms_reply_read(reply, mcx_bytes(http->body, http->n), expect,
                             text);
    if (err == MCX_OK || err == MCX_E_PEER) {
        old = to_this_one(k, c, expect, reply, &other);
        if (old != MCX_OK) {
            memset(reply, 0, sizeof *reply);
            *text = other;
            err = old;
        }
    }
    return err;
}

/* ---- keys change ------------------------------------------------------- */

/* Has the KMS shown that it has what the question was under?  When only the
 * TrK is new, a signature shows nothing: something must have been wrapped
 * with it. */
static bool
shown(const struct kms_sec *sec, const struct kms_sec_call *c)
{
    return c->which > 0
           && (c->opened
               || strcmp(mcx_tkeys_signer(&c->under)->id,
                         mcx_tkeys_signer(&sec->sets.set[0])->id) != 0);
}

/* Changes take effect when they are on the disk. */
static bool
change(struct kms *k, const struct kms_sets *to, size_t at, const char *what)
{
    MCX_SECRET(kms_sets, was);
    struct kms_sec *sec = k->sec;
    mcx_err err;

    was = sec->sets;
    sec->sets = *to;
    err = save(k);
    if (err != MCX_OK) {
        sec->sets = was;
        mcx_log(k->env, MCX_AREA_KMS, 3, "transport keys %s: not now, they "
                "cannot be kept: %s", what, mcx_err_text(err));
        return false;
    }
    sec->at = at;
    mcx_log(k->env, MCX_AREA_KMS, 5, "transport keys %s: %s", what,
            sec->sets.set[at].trk.id);
    return true;
}

/* The KMS has them: nothing before them is of use any more, for it signs
 * answers only after it took them into use. */
static bool
promote(struct kms *k, const struct kms_sec_call *c)
{
    MCX_SECRET(kms_sets, to);

    to.set[0] = c->under;
    to.n = 1;
    return change(k, &to, 0, "in use");
}

static bool
same_keys(const struct mcx_tkeys *a, const struct mcx_tkeys *b)
{
    return strcmp(a->trk.id, b->trk.id) == 0
           && strcmp(a->ink.id, b->ink.id) == 0
           && mcx_secret_eq(&a->trk.key, &b->trk.key, sizeof a->trk.key)
           && mcx_secret_eq(&a->ink.key, &b->ink.key, sizeof a->ink.key);
}

/* Puts new keys beside the old ones, before others that came; what did not
 * come stays as it is. */
static void
stage(struct kms *k, const struct kms_sec_call *c)
{
    MCX_SECRET(kms_sets, to);
    struct kms_sec *sec = k->sec;
    const struct mcx_tkeys *now = &sec->sets.set[0];
    struct mcx_tkeys *next = &to.set[1];

    *next = c->under;
    if (c->fresh.trk.id[0]) {
        next->trk = c->fresh.trk;
    }
    if (c->fresh.ink.id[0]) {
        next->ink = c->fresh.ink;
    }
    /* One that is in use already is no news, and a name means one key. */
    if ((strcmp(next->trk.id, now->trk.id) == 0
         && strcmp(next->ink.id, now->ink.id) == 0)
        || strcmp(next->trk.id, next->ink.id) == 0
        || strcmp(next->trk.id, now->ink.id) == 0
        || (next->ink.id[0] && strcmp(next->ink.id, now->trk.id) == 0)) {
        return;
    }
    if (sec->sets.n > 1 && !sec->sets.spare
        && same_keys(next, &sec->sets.set[1])) {
        sec->at = 1; /* still what the KMS wants */
        return;
    }
    to.set[0] = *now;
    to.n = 2;
    for (size_t i = 1; i < sec->sets.n && to.n < SETS; i++) {
        if (!same_keys(next, &sec->sets.set[i])) {
            to.set[to.n++] = sec->sets.set[i];
        }
    }
    (void)change(k, &to, 1, "came");
}

/* From now on every answer has to. */
static void
learn(struct kms *k)
{
    struct kms_sec *sec = k->sec;

    sec->echoes = true;
    if (save(k) != MCX_OK) {
        sec->echoes = false; /* the next one will do */
        return;
    }
    mcx_log(k->env, MCX_AREA_KMS, 5, "answers of %s have the Id of their "
            "question: from now on they must", k->kms_uri);
}

void
kms_sec_worked(struct kms *k, struct kms_sec_call *c)
{
    MCX_SECRET(kms_sets, to);
    struct kms_sec *sec = k->sec;
    bool fresh;

    if (!c) {
        return;
    }
    fresh = mcx_tkeys_signer(&c->fresh) != NULL;
    pthread_mutex_lock(&sec->lock);
    if (c->echoed && !sec->echoes) {
        learn(k);
    }
    if (shown(sec, c)) {
        (void)promote(k, c);
    } else if (c->which == 0 && !fresh && sec->sets.n > 1
               && !sec->sets.spare) {
        /* It refused the new ones and took the old ones; or somebody would
         * have us think so. */
        to = sec->sets;
        to.spare = true;
        (void)change(k, &to, 0, "given up for now, these stay");
    }
    if (fresh) {
        stage(k, c);
    }
    pthread_mutex_unlock(&sec->lock);
}

void
kms_sec_failed(struct kms *k, const struct kms_sec_call *c)
{
    if (c) {
        pthread_mutex_lock(&k->sec->lock);
        k->sec->at = (c->which + 1) % k->sec->sets.n;
        pthread_mutex_unlock(&k->sec->lock);
    }
}
