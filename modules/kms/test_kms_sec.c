/* test_kms_sec.c -- the client with a KMS that signs and wraps: first keys,
 * every way of cheating, new transport keys with requests, answers and
 * processes lost on the way, settings, nothing in clear. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sofia-mcx/mcx_kmssec.h>
#include "kms_state.h"
#include "test_kms_kit.h"

enum lie {
    L_TRUE,
    L_STRIPPED,  /* the signature taken away                  */
    L_PLAIN,     /* a plain KmsResponse                       */
    L_EDITED,    /* other content under the same signature    */
    L_OTHER_KEY, /* signed with another key, of the same name */
    L_UNKNOWN,   /* signed with a key of another name         */
    L_TWICE,     /* two signatures                            */
    L_CUT,       /* half of the document                      */
    L_CLEAR,     /* signed, keys in clear                     */
    L_BAD_WRAP,  /* signed, integrity value wrong             */
    L_REFLECT,   /* our own request comes back                */
    L_LIES
};

/* A KMS and its idea of our keys. */
struct lord {
    struct kit *kit;
    struct mcx_tkeys now, next;
    bool has_next;
    enum lie lie;
    enum mcx_kms_form form;
    bool wrap, lose_request, lose_answer;
    unsigned refused, asked;
    char last_key[MCX_TKEY_ID_MAX];
    /* Somebody inside TLS, who has no keys, sees each answer last. */
    void (*man)(struct lord *l, const char *url,
                struct kms_http_reply *reply);
    struct kms_http_reply kept; /* his */
    int step;
    /* The KMS refuses, with a signed KmsError, and takes no keys into use. */
    const struct error {
        int64_t age_ms;
        const char *url, *user, *kms; /* NULL: as they should be */
        bool good;
    } *error;
};

static char dir[64];

static mcx_err
remove_one(void *arg, const char *name)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    assert_int_equal(unlink(path), 0);
    return MCX_OK;
}

static void
write_keys(const char *name, const struct mcx_tkeys *keys)
{
    char text[MCX_TKEYS_TEXT_MAX], path[600];
    size_t n;

    assert_int_equal(mcx_tkeys_write(text, &n, keys), MCX_OK);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(mcx_env_system()->write_file(NULL, path,
                                                  mcx_bytes(text, n), 0600),
                     MCX_OK);
    mcx_wipe(text, sizeof text);
}

static const struct mcx_kw_key *
lords_key(void *arg, const char *id)
{
    struct lord *l = arg;

    return strcmp(id, l->now.ink.id) == 0 ? &l->now.ink.key
           : l->has_next && strcmp(id, l->next.ink.id) == 0
               ? &l->next.ink.key
               : NULL;
}

/* 'xml' with the first 'from' replaced by 'to'. */
static char *
edit(char *xml, size_t *n, const char *from, const char *to)
{
    char *at = strstr(xml, from), *out;
    size_t room = *n + strlen(to) + 1;

    if (!at) {
        return xml;
    }
    out = malloc(room);
    assert_non_null(out);
    snprintf(out, room, "%.*s%s%s", (int)(at - xml), xml, to,
             at + strlen(from));
    mcx_kms_text_free(xml, *n);
    *n = strlen(out);
    return out;
}

static char *
lie_about(struct lord *l, char *xml, size_t *n)
{
    char *a, *b, *sig;

    switch (l->lie) {
    case L_STRIPPED:
    case L_TWICE:
        a = strstr(xml, "<Signature ");
        b = strstr(xml, "</Signature>") + strlen("</Signature>");
        sig = strndup(a, (size_t)(b - a));
        assert_non_null(sig);
        if (l->lie == L_STRIPPED) {
            xml = edit(xml, n, sig, "");
        } else {
            xml = edit(xml, n, "</SignedKmsResponse>", sig);
            xml = edit(xml, n, "</Signature><Signature",
                       "</Signature>\n<Signature");
            a = malloc(*n + 32);
            assert_non_null(a);
            snprintf(a, *n + 32, "%.*s</SignedKmsResponse>", (int)*n, xml);
            mcx_kms_text_free(xml, *n);
            xml = a;
            *n = strlen(a);
        }
        free(sig);
        break;
    case L_EDITED:
        xml = edit(xml, n, "<UserKeyPeriod>", "<UserKeyPeriod>1");
        break;
    case L_CUT:
        *n /= 2;
        break;
    default:
        break;
    }
    return xml;
}

static char *
protect(struct lord *l, char *xml, size_t *n, const struct mcx_tkeys *keys)
{
    struct mcx_tkeys under = *keys;
    char *out;
    size_t out_n;

    if (l->lie == L_PLAIN) {
        return xml;
    }
    if (l->wrap && l->lie != L_CLEAR) {
        if (l->lie == L_BAD_WRAP) {
            under.trk.key.b[0] ^= 1;
        }
        assert_int_equal(mcx_kms_wrap(&out, &out_n, mcx_bytes(xml, *n),
                                      &under.trk, l->form,
                                      l->has_next ? &l->next : NULL,
                                      &l->kit->env), MCX_OK);
        mcx_kms_text_free(xml, *n);
        xml = out;
        *n = out_n;
    }
    if (l->lie == L_OTHER_KEY) {
        under.ink.key.b[31] ^= 1;
    } else if (l->lie == L_UNKNOWN) {
        under.ink.id[0] = 'X';
    }
    assert_int_equal(mcx_kms_sign(&out, &out_n, mcx_bytes(xml, *n), &under,
                                  false), MCX_OK);
    mcx_kms_text_free(xml, *n);
    *n = out_n;
    return lie_about(l, out, n);
}

static void
signed_error(struct lord *l, const char *url, const struct mcx_tkeys *under,
             struct kms_http_reply *reply)
{
    const struct error *e = l->error;
    struct mcx_kms_doc doc = {
        .user_uri = e->user ? e->user : KIT_USER,
        .kms_uri = e->kms ? e->kms : KIT_KMS,
        .client_req_url = e->url ? e->url : url,
        .time_unix_ms = l->kit->now_ms - e->age_ms
    };
    char *xml;
    size_t n;

    assert_int_equal(mcx_kms_write_error(&xml, &n, &doc, 10, "not now"),
                     MCX_OK);
    assert_int_equal(mcx_kms_sign(&reply->body, &reply->n, mcx_bytes(xml, n),
                                  under, false), MCX_OK);
    mcx_kms_text_free(xml, n);
    reply->room = reply->n;
    reply->status = 403;
}

static mcx_err
true_post(void *arg, const char *url, const char *token,
          struct mcx_bytes body, struct kms_http_reply *reply)
{
    struct lord *l = arg;
    struct mcx_kms_verifier v = { MCX_KMS_SIGNED_REQUEST, lords_key, l };
    struct mcx_kms_signed said;
    const struct mcx_tkeys *under;
    struct mcx_text text;
    char *plain;
    size_t n;
    int status = 200;

    memset(reply, 0, sizeof *reply);
    l->asked++;
    if (l->lose_request) {
        return MCX_E_IO;
    }
    if (mcx_kms_verify(&plain, &n, body, &v, &said, &text) != MCX_OK) {
        l->refused++;
        reply->status = 403;
        return MCX_OK;
    }
    snprintf(l->last_key, sizeof l->last_key, "%s", said.key_id);
    under = strcmp(said.key_id, l->now.ink.id) == 0 ? &l->now : &l->next;
    assert_string_equal(said.trk_id, l->wrap ? under->trk.id : "");
    if (l->error) {
        signed_error(l, url, under, reply);
        mcx_kms_text_free(plain, n);
        return MCX_OK;
    }
    if (l->has_next && strcmp(said.key_id, l->next.ink.id) == 0) {
        l->now = l->next;
        l->has_next = false;
    }
    if (l->lie == L_REFLECT) {
        reply->body = strndup((const char *)body.p, body.n);
        reply->n = reply->room = body.n;
        reply->status = 200;
        mcx_kms_text_free(plain, n);
        return MCX_OK;
    }
    reply->body = kit_answer(l->kit, url, token, mcx_bytes(plain, n),
                             &reply->n, &status);
    mcx_kms_text_free(plain, n);
    if (reply->n > 0) {
        reply->body = protect(l, reply->body, &reply->n, &l->now);
    }
    reply->room = reply->n;
    reply->status = status;
    if (l->lose_answer) {
        kms_http_drop(reply);
        memset(reply, 0, sizeof *reply);
        return MCX_E_IO;
    }
    return MCX_OK;
}

static mcx_err
lord_post(void *arg, const char *url, const char *token,
          struct mcx_bytes body, struct kms_http_reply *reply)
{
    struct lord *l = arg;
    mcx_err err = true_post(arg, url, token, body, reply);

    if (l->man && err == MCX_OK) {
        l->man(l, url, reply);
    }
    return reply->status ? MCX_OK : MCX_E_IO;
}

static void
begin(struct kit *kit, struct lord *l, const char *security)
{
    struct mcx_text text = { "" };
    char path[600];

    kit_new(kit, 3600);
    memset(l, 0, sizeof *l);
    l->kit = kit;
    l->wrap = strcmp(security, "wrapped") == 0;
    assert_int_equal(mcx_tkeys_new(&l->now, KIT_USER, 1, &kit->env), MCX_OK);
    snprintf(dir, sizeof dir, "kms-sec.XXXXXX");
    assert_non_null(mkdtemp(dir));
    write_keys("token-keys", &l->now); /* kit: no search in token* */
    kit_set(kit, "security", security);
    snprintf(path, sizeof path, "%s/token-keys", dir);
    kit_set(kit, "transport-keys", path);
    kit_set(kit, "cache", dir);
    snprintf(path, sizeof path, "%s/cache.key", dir);
    kit_set(kit, "cache-key-file", path);
    if (kit_start(kit, false, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
    kms_use(kit->state, lord_post, l);
}

static void
again(struct kit *kit, struct lord *l)
{
    kit_restart(kit, false);
    kms_use(kit->state, lord_post, l);
}

static void
end(struct kit *kit)
{
    kit_free(kit);
    assert_int_equal(mcx_env_system()->list_dir(NULL, dir, remove_one, dir),
                     MCX_OK);
    assert_int_equal(rmdir(dir), 0);
}

/* Neither transport keys in the log, nor on the disk in clear. */
static void
no_keys_about(struct kit *kit, const struct mcx_tkeys *keys)
{
    char hex[MCX_HEX_SIZE(MCX_KW_KEY_SIZE)];

    assert_int_equal(mcx_hex_encode(hex, sizeof hex,
                                    mcx_bytes(keys->trk.key.b, 32)), MCX_OK);
    assert_null(kit->log ? strstr(kit->log, hex) : NULL);
    assert_int_equal(mcx_hex_encode(hex, sizeof hex,
                                    mcx_bytes(keys->ink.key.b, 32)), MCX_OK);
    assert_null(kit->log ? strstr(kit->log, hex) : NULL);
    kit_no_secrets(kit, dir);
}

/* Has a question asked: about the certificate, which is old by now. */
static void
ask_again(struct kit *kit)
{
    kit_step(kit, 90000 * 1000);
    kit_tick(kit);
}

/* ---- tests ------------------------------------------------------------- */

static void
first_keys(void **state)
{
    static const char *const words[] = { "signed", "wrapped", "wrapped",
                                         "wrapped" };

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct kit kit;
        struct lord l;

        begin(&kit, &l, words[i]);
        l.form = (enum mcx_kms_form)(i % 3);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_int_equal(l.refused, 0);
        assert_string_equal(l.last_key, l.now.ink.id);
        no_keys_about(&kit, &l.now);
        /* What is stored needs no transport key to be read again. */
        l.lose_request = true;
        l.asked = 0;
        again(&kit, &l);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_int_equal(l.asked, 0);
        end(&kit);
    }
}

static void
lies(void **state)
{
    static const char *const words[L_LIES] = {
        [L_STRIPPED] = "signature is missing",
        [L_PLAIN] = "not signed",
        [L_EDITED] = "digest differs",
        [L_OTHER_KEY] = "signature is wrong",
        [L_UNKNOWN] = "do not know",
        [L_TWICE] = "something else than one Signature",
        [L_CUT] = "tags do not match",
        [L_CLEAR] = "not wrapped",
        [L_BAD_WRAP] = "integrity value",
        [L_REFLECT] = "not signed",
    };

    (void)state;
    for (int lie = L_TRUE + 1; lie < L_LIES; lie++) {
        bool about_keys = lie == L_CLEAR || lie == L_BAD_WRAP;
        struct kit kit;
        struct lord l;

        begin(&kit, &l, "wrapped");
        if (lie == L_BAD_WRAP) {
            assert_int_equal(mcx_tkeys_new(&l.next, KIT_USER, 2, &kit.env),
                             MCX_OK);
            l.has_next = true;
        }
        l.lie = (enum lie)lie;
        kit_tick(&kit);
        assert_int_equal(kit_n_keys(&kit), 0);
        if (!about_keys) {
            assert_int_equal(mcx_ring_kms(kit.ring, mcx_bytes_str(KIT_KMS),
                                          NULL, NULL), MCX_E_NO_IDENTITY);
        }
        assert_true(kit.counted_failed > 0);
        assert_true(kit.counted_refused > 0);
        kit_log_has(&kit, words[lie]);
        /* No key has changed: the truth is understood, under the old ones. */
        l.lie = L_TRUE;
        l.has_next = false;
        for (int i = 0; i < 3; i++) {
            kit_step(&kit, 30000);
            kit_tick(&kit);
        }
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_int_equal(l.refused, 0);
        assert_true(kit.last.has_error || kit.n_keys > 0);
        end(&kit);
    }
}

/* Keys that we have stay while the KMS lies. */
static void
nothing_lost(void **state)
{
    struct kit kit;
    struct lord l;
    uint64_t no;

    (void)state;
    begin(&kit, &l, "wrapped");
    kit_tick(&kit);
    no = kit_period(&kit);
    l.lie = L_OTHER_KEY;
    kit_step(&kit, 3300 * 1000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no));
    assert_false(kit_has(&kit, no + 1));
    l.lie = L_TRUE;
    kit_step(&kit, 60 * 1000);
    kit_tick(&kit);
    kit_step(&kit, 60 * 1000);
    kit_tick(&kit);
    assert_true(kit_has(&kit, no + 1));
    end(&kit);
}

static void
offer(struct kit *kit, struct lord *l, unsigned serial)
{
    assert_int_equal(mcx_tkeys_new(&l->next, KIT_USER, serial, &kit->env),
                     MCX_OK);
    l->has_next = true;
}

static void
rekey(void **state)
{
    struct kit kit;
    struct lord l;
    struct mcx_tkeys first;

    (void)state;
    begin(&kit, &l, "wrapped");
    first = l.now;
    offer(&kit, &l, 2);
    kit_tick(&kit);
    /* The first question is under the old ones, the one after it tells the
     * KMS that the new ones are here. */
    assert_true(kit_has(&kit, kit_period(&kit)));
    assert_false(l.has_next);
    assert_string_equal(l.last_key, l.next.ink.id);
    assert_int_equal(l.refused, 0);
    kit_log_has(&kit, "transport keys in use");
    no_keys_about(&kit, &first);
    no_keys_about(&kit, &l.next);
    /* They are what a restart finds; the file is not asked any more. */
    again(&kit, &l);
    ask_again(&kit);
    assert_string_equal(l.last_key, l.next.ink.id);
    assert_int_equal(l.refused, 0);
    end(&kit);
}

/* Requests, answers and the process lost, at each point of a change. */
static void
lost(void **state)
{
    (void)state;
    for (int what = 0; what < 8; what++) {
        struct kit kit;
        struct lord l;
        int i;

        begin(&kit, &l, "wrapped");
        kit_tick(&kit);
        offer(&kit, &l, 2);
        /* The answer with the new ones is lost, or arrives. */
        l.lose_answer = what & 1;
        ask_again(&kit);
        assert_true(!(what & 1) || l.has_next);
        if (what & 2) {
            again(&kit, &l);
        }
        l.lose_answer = what & 4;
        for (i = 0; i < 3; i++) {
            kit_step(&kit, 200 * 1000);
            kit_tick(&kit);
            if (what & 2) {
                again(&kit, &l);
            }
        }
        l.lose_answer = false;
        for (i = 0; i < 6; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        ask_again(&kit);
        kit_step(&kit, 900 * 1000);
        kit_tick(&kit);
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_false(l.has_next);
        assert_string_equal(l.last_key, l.now.ink.id);
        assert_string_equal(l.now.ink.id, l.next.ink.id);
        end(&kit);
    }
}

/* The KMS took the new ones into use, and its answer was lost: the client
 * comes back with the new ones, before and after a restart. */
static void
answer_lost(void **state)
{
    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        struct kit kit;
        struct lord l;

        begin(&kit, &l, "wrapped");
        kit_tick(&kit);
        /* New keys come with the certificate; at once the next question
         * (keys of this period) is under them, and its answer is lost. */
        offer(&kit, &l, 2);
        kit_step(&kit, 90000 * 1000);
        l.lie = L_TRUE;
        kit_tick(&kit);
        if (l.has_next) {
            l.lose_answer = true;
            ask_again(&kit);
            l.lose_answer = false;
        }
        assert_false(l.has_next);
        if (restart) {
            again(&kit, &l);
        }
        l.refused = 0;
        for (int i = 0; i < 4; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        assert_true(kit_has(&kit, kit_period(&kit)));
        assert_int_equal(l.refused, 0);
        assert_string_equal(l.last_key, l.next.ink.id);
        end(&kit);
    }
}

/* The KMS has lost us, and the operator sets us up again: a file of another
 * name than the one taken in goes before what is kept. */
static void
set_up_again(void **state)
{
    struct kit kit;
    struct lord l;

    (void)state;
    begin(&kit, &l, "wrapped");
    offer(&kit, &l, 2);
    kit_tick(&kit);
    assert_false(l.has_next);
    assert_int_equal(mcx_tkeys_new(&l.now, KIT_USER, 7, &kit.env), MCX_OK);
    ask_again(&kit);
    assert_true(l.refused > 0);
    write_keys("token-keys", &l.now);
    again(&kit, &l);
    l.refused = 0;
    ask_again(&kit);
    assert_int_equal(l.refused, 0);
    assert_string_equal(l.last_key, l.now.ink.id);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
}

static const char INIT_URL[] = "https://localhost" KMS_ROOT_PATH "/init";

/* One question about the certificate, and how its answer is judged.  'in'
 * (NULL: none) is put in place of the answer, which 'out' (NULL: nobody)
 * gets. */
static mcx_err
exchange(struct kit *kit, struct lord *l, const struct kms_http_reply *in,
         struct kms_http_reply *out)
{
    struct mcx_kms_expect expect = {
        .what = MCX_KMS_INIT, .user_uri = KIT_USER, .kms_uri = KIT_KMS,
        .client_req_url = INIT_URL, .now_unix_ms = kit->now_ms,
        .window_ms = 60000
    };
    struct mcx_kms_request req = { .user_uri = KIT_USER, .kms_uri = KIT_KMS };
    struct kms_http_reply http = { 0 };
    struct mcx_kms_reply reply;
    struct kms_sec_call *call;
    struct kms *k = kit->state;
    struct mcx_text text;
    mcx_err err;
    char *xml;
    size_t n;

    snprintf(req.client_req_url, sizeof req.client_req_url, "%s", INIT_URL);
    req.time_unix_ms = kit->now_ms;
    assert_int_equal(kms_sec_begin(&call, k, 0), MCX_OK);
    assert_int_equal(kms_sec_write(k, call, &req, &xml, &n), MCX_OK);
    assert_int_equal(lord_post(l, INIT_URL, NULL, mcx_bytes(xml, n), &http),
                     MCX_OK);
    mcx_kms_text_free(xml, n);
    if (out) {
        *out = http;
        out->body = strndup(http.body, http.n);
        assert_non_null(out->body);
    }
    if (in) {
        kms_http_drop(&http);
        http = *in;
        http.body = strndup(in->body, in->n);
        assert_non_null(http.body);
        http.room = http.n;
    }
    err = kms_sec_read(k, call, &http, &expect, &reply, &text);
    if (err == MCX_OK) {
        kms_sec_worked(k, call);
    } else {
        kms_sec_failed(k, call);
    }
    kms_sec_end(call);
    kms_http_drop(&http);
    return err;
}

/* The client gets 'l->next' with a certificate, and asks nothing else. */
static void
gets_next(struct kit *kit, struct lord *l)
{
    assert_int_equal(exchange(kit, l, NULL, NULL), MCX_OK);
}

/* Its next question goes under other keys. */
static void
gets_nothing(struct kit *kit)
{
    struct kms *k = kit->state;
    struct kms_sec_call *call;

    assert_int_equal(kms_sec_begin(&call, k, 0), MCX_OK);
    kms_sec_failed(k, call);
    kms_sec_end(call);
}

/* New keys came, and the KMS does not know them: one refusal, then the old
 * ones, and the new ones are asked under no more.  But they are kept: when it
 * turns out that it does have them, by whatever road, the client comes back,
 * a restart between or not. */
static void
given_up(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct kit kit;
        struct lord l;
        struct mcx_tkeys old;

        begin(&kit, &l, "wrapped");
        kit_tick(&kit);
        offer(&kit, &l, 2);
        kit_step(&kit, 90000 * 1000);
        old = l.now;
        gets_next(&kit, &l);
        assert_true(l.has_next);
        l.has_next = false;
        l.refused = 0;
        kit_tick(&kit);
        assert_int_equal(l.refused, 1);
        for (int i = 0; i < 4; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        assert_int_equal(l.refused, 1);
        assert_string_equal(l.last_key, old.ink.id);
        kit_log_has(&kit, "given up");
        assert_true(kit_has(&kit, kit_period(&kit)));
        if (what & 1) {
            again(&kit, &l);
        }
        ask_again(&kit);
        assert_int_equal(l.refused, 1);
        l.now = what & 2 ? l.next : old;
        if (what & 1) {
            again(&kit, &l);
        }
        l.refused = 0;
        ask_again(&kit);
        for (int i = 0; i < 3; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        assert_int_equal(l.refused, what & 2 ? 1 : 0);
        assert_string_equal(l.last_key, l.now.ink.id);
        assert_true(kit_has(&kit, kit_period(&kit)));
        end(&kit);
    }
}

/* Several changes that came to nothing, then the KMS turns out to have one of
 * them: which does not matter. */
static void
several(void **state)
{
    (void)state;
    for (unsigned real = 0; real < 3; real++) {
        struct mcx_tkeys came[3], old;
        struct kit kit;
        struct lord l;

        begin(&kit, &l, "wrapped");
        kit_tick(&kit);
        old = l.now;
        for (unsigned i = 0; i < 3; i++) {
            offer(&kit, &l, 2 + i);
            came[i] = l.next;
            kit_step(&kit, 5000);
            /* Refused under those before, and so under the old ones. */
            for (unsigned j = 0; j < i; j++) {
                gets_nothing(&kit);
            }
            gets_next(&kit, &l);
        }
        l.has_next = false;
        assert_string_equal(l.now.ink.id, old.ink.id);
        l.now = came[real];
        again(&kit, &l);
        ask_again(&kit);
        for (int i = 0; i < 5; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        assert_string_equal(l.last_key, came[real].ink.id);
        assert_true(l.refused <= 3);
        assert_true(kit_has(&kit, kit_period(&kit)));
        kit_log_has(&kit, "in use");
        end(&kit);
    }
}

static void
plain_refusal(struct kms_http_reply *reply, long status)
{
    kms_http_drop(reply);
    memset(reply, 0, sizeof *reply);
    reply->status = status;
}

/* Keeps the answer to the first question about the certificate and says that
 * it was lost; lets the second one pass, with new keys in it; replaces the
 * answer to the first question under these, which the KMS takes into use;
 * gives what he kept in place of the refusal of the next one. */
static void
lock_out(struct lord *l, const char *url, struct kms_http_reply *reply)
{
    (void)url;
    switch (l->step++) {
    case 0:
        l->kept = *reply;
        memset(reply, 0, sizeof *reply);
        break;
    case 1:
        break;
    case 2:
        assert_int_equal(reply->status, 200);
        kms_http_drop(reply);
        memset(reply, 0, sizeof *reply);
        reply->status = 200;
        reply->body = strdup("<html/>");
        reply->n = reply->room = strlen(reply->body);
        break;
    case 3:
        assert_int_equal(reply->status, 403); /* under the old ones */
        kms_http_drop(reply);
        *reply = l->kept;
        memset(&l->kept, 0, sizeof l->kept);
        break;
    default:
        plain_refusal(reply, 503);
        break;
    }
}

/* The file in which the client keeps when answers came. */
static void
lose_times(void)
{
    char path[600];

    snprintf(path, sizeof path, "%s/kms-%02d.sealed", dir, KMS_SLOT_SEEN);
    assert_int_equal(unlink(path), 0);
}

/* He is refused, for what he kept is older than what was accepted; and when
 * that is forgotten he does no harm that lasts. */
static void
locked_out(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct kit kit;
        struct lord l;

        begin(&kit, &l, "wrapped");
        kit_set(&kit, "refresh", "60");
        kit_set(&kit, "time-window", "300");
        again(&kit, &l);
        kit_tick(&kit);
        l.man = lock_out;
        kit_step(&kit, 67000);
        kit_tick(&kit);
        assert_int_equal(l.step, 1);
        offer(&kit, &l, 2);
        for (int i = 0; i < 3; i++) {
            if (i == 1 && (what & 2)) {
                kit_stop(&kit);
                lose_times();
                again(&kit, &l);
            }
            kit_step(&kit, i == 1 ? 67000 : 11000);
            kit_tick(&kit);
            assert_int_equal(l.step, 2 + i);
        }
        assert_null(l.kept.body);
        assert_false(l.has_next); /* the KMS has them in use */
        kit_log_has(&kit, what & 2 ? "given up" : "it was accepted before, or "
                                                  "a newer one was");
        if (what & 1) {
            again(&kit, &l);
        }
        kit_step(&kit, 900 * 1000);
        kit_tick(&kit);
        /* He goes away, and the client is there again. */
        l.man = NULL;
        for (int i = 0; i < 3; i++) {
            kit_step(&kit, 900 * 1000);
            kit_tick(&kit);
        }
        assert_string_equal(l.last_key, l.next.ink.id);
        assert_true(kit_has(&kit, kit_period(&kit)));
        end(&kit);
    }
}

/* An answer counts once, and not after a newer one; a restart does not make
 * it good again, a clock that was set back does. */
static void
replayed(void **state)
{
    struct kms_http_reply first, second, third;
    struct kit kit;
    struct lord l;

    (void)state;
    begin(&kit, &l, "signed");
    assert_int_equal(exchange(&kit, &l, NULL, &first), MCX_OK);
    assert_int_equal(exchange(&kit, &l, &first, NULL), MCX_E_REPLAY);
    kit_step(&kit, 1000);
    assert_int_equal(exchange(&kit, &l, &first, &second), MCX_E_REPLAY);
    again(&kit, &l);
    assert_int_equal(exchange(&kit, &l, &first, NULL), MCX_E_REPLAY);
    kit_step(&kit, 1000);
    assert_int_equal(exchange(&kit, &l, NULL, &third), MCX_OK);
    assert_int_equal(exchange(&kit, &l, &second, NULL), MCX_E_REPLAY);
    assert_int_equal(exchange(&kit, &l, &first, NULL), MCX_E_REPLAY);
    again(&kit, &l);
    assert_int_equal(exchange(&kit, &l, &second, NULL), MCX_E_REPLAY);
    assert_int_equal(exchange(&kit, &l, &third, NULL), MCX_E_REPLAY);
    /* Two answers within a second, by a KMS that counts no parts of it: the
     * other one is told apart by what is in it. */
    kit.info.period.offset_s = 1;
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    kit.info.period.offset_s = 0;
    /* It is the window that refuses it in the end. */
    kit_step(&kit, 61000);
    assert_int_equal(exchange(&kit, &l, &third, NULL), MCX_E_SKEW);
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    kit_step(&kit, -3600000);
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    kms_http_drop(&first);
    kms_http_drop(&second);
    kms_http_drop(&third);
    end(&kit);
    /* Without the record, as far as the window goes. */
    begin(&kit, &l, "signed");
    assert_int_equal(exchange(&kit, &l, NULL, &first), MCX_OK);
    kit_stop(&kit);
    lose_times();
    again(&kit, &l);
    assert_int_equal(exchange(&kit, &l, &first, NULL), MCX_OK);
    kms_http_drop(&first);
    end(&kit);
}

/* More resources than there is room for: the oldest ones get a common lower
 * bound. */
static void
many_resources(void **state)
{
    uint8_t hash[MCX_SEAL_MAC_SIZE];
    struct kit kit;
    struct lord l;
    struct kms *k;

    (void)state;
    begin(&kit, &l, "signed");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2 * KMS_SEEN_MAX; i++) {
            int64_t ms = kit.now_ms - 2 * KMS_SEEN_MAX + i;
            char url[32];

            k = kit.state;
            snprintf(url, sizeof url, "u%d", i);
            assert_int_equal(kms_hash(hash, mcx_bytes_str(url)), MCX_OK);
            assert_int_equal(kms_seen_take(k, url, ms, kit.now_ms, hash),
                             round == 0 ? MCX_OK : MCX_E_REPLAY);
            assert_int_equal(kms_seen_take(k, url, ms - 1, kit.now_ms, hash),
                             MCX_E_REPLAY);
        }
        again(&kit, &l);
    }
    end(&kit);
}

/* A KMS that gives answers the Id of their question: once seen, it must. */
static void
echo(void **state)
{
    struct kms_http_reply kept;
    struct kit kit;
    struct lord l;

    (void)state;
    begin(&kit, &l, "wrapped");
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    kit.echo = true;
    kit_step(&kit, 1000);
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    kit_log_has(&kit, "have the Id of their question");
    for (int restart = 0; restart < 2; restart++) {
        kit_step(&kit, 1000);
        kit.echo = false;
        assert_int_equal(exchange(&kit, &l, NULL, &kept), MCX_E_REPLAY);
        kms_http_drop(&kept);
        kit.echo = true;
        /* One to another question of ours, whatever else is forgotten. */
        assert_int_equal(exchange(&kit, &l, NULL, &kept), MCX_OK);
        kit_step(&kit, 1000);
        kit_stop(&kit);
        lose_times();
        again(&kit, &l);
        assert_int_equal(exchange(&kit, &l, &kept, NULL), MCX_E_REPLAY);
        kms_http_drop(&kept);
    }
    /* Through a change of keys. */
    offer(&kit, &l, 2);
    ask_again(&kit);
    kit_step(&kit, 900 * 1000);
    kit_tick(&kit);
    ask_again(&kit);
    assert_false(l.has_next);
    assert_string_equal(l.last_key, l.next.ink.id);
    kit.echo = false;
    kit_step(&kit, 1000);
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_E_REPLAY);
    /* Set up again, by the operator: as with a KMS that nobody knows. */
    assert_int_equal(mcx_tkeys_new(&l.now, KIT_USER, 9, &kit.env), MCX_OK);
    write_keys("token-keys", &l.now);
    again(&kit, &l);
    assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
    end(&kit);
    /* The setting. */
    for (int always = 0; always < 2; always++) {
        begin(&kit, &l, "signed");
        kit_set(&kit, "answer-id", always ? "always" : "never");
        again(&kit, &l);
        kit.echo = !always;
        assert_int_equal(exchange(&kit, &l, NULL, NULL),
                         always ? MCX_E_REPLAY : MCX_OK);
        kit.echo = always;
        kit_step(&kit, 1000);
        assert_int_equal(exchange(&kit, &l, NULL, NULL), MCX_OK);
        end(&kit);
    }
}

/* A signed refusal is judged like any answer.  One that is ours is no reason
 * to try other keys, and none to think that new ones are in use; a recorded
 * one, or somebody else's, is anybody's. */
static void
errors(void **state)
{
    static const struct error rows[] = {
        { .good = true },
        { .age_ms = 59000, .good = true },
        { .age_ms = 61000 },
        { .age_ms = -61000 },
        { .url = "https://localhost" KMS_ROOT_PATH "/init" },
        { .user = KIT_OTHER },
        { .kms = KIT_FAR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcx_tkeys old, second;
        struct kit kit;
        struct lord l;

        begin(&kit, &l, "wrapped");
        kit_tick(&kit);
        old = l.now;
        kit_step(&kit, 3600 * 1000);
        offer(&kit, &l, 2);
        gets_next(&kit, &l);
        second = l.next;
        l.error = &rows[i];
        kit_tick(&kit); /* keys of this period */
        assert_string_equal(l.last_key, second.ink.id);
        assert_int_equal(strstr(kit.log, "403: not now") != NULL,
                         rows[i].good);
        kit_step(&kit, 6000);
        kit_tick(&kit);
        assert_string_equal(l.last_key,
                            (rows[i].good ? &second : &old)->ink.id);
        l.error = NULL;
        /* The operator makes others, and the second ones are void. */
        offer(&kit, &l, 3);
        for (int j = 0; j < 4; j++) {
            kit_step(&kit, 300 * 1000);
            kit_tick(&kit);
        }
        ask_again(&kit);
        assert_false(l.has_next);
        assert_string_equal(l.last_key, l.next.ink.id);
        assert_true(kit_has(&kit, kit_period(&kit)));
        end(&kit);
    }
}

/* Where somebody belongs, in signed messages; only what is signed counts, a
 * refusal as well.  Transport keys do not change by it, but those that are
 * about to change are found. */
static void
lookups(void **state)
{
    static const struct { enum lie lie; mcx_err err; } rows[] = {
        { L_TRUE, MCX_OK },          { L_STRIPPED, MCX_E_POLICY },
        { L_PLAIN, MCX_E_POLICY },   { L_OTHER_KEY, MCX_E_AUTH },
        { L_UNKNOWN, MCX_E_AUTH },   { L_CUT, MCX_E_MALFORMED },
        { L_REFLECT, MCX_E_POLICY },
    };
    static const struct error no = { .good = true };
    char kms[MCX_URI_MAX];
    struct mcx_tkeys old;
    struct kit kit;
    struct lord l;

    (void)state;
    begin(&kit, &l, "wrapped");
    kit_set(&kit, "lookup", "yes");
    kit_set(&kit, "external", KIT_FAR);
    again(&kit, &l);
    kit_tick(&kit);
    kit.lookup_kms = KIT_FAR;
    assert_non_null(kms_feature(kit.state, "kms.lookup"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mcx_err err;

        again(&kit, &l);
        kit_step(&kit, 1000);
        l.lie = rows[i].lie;
        err = kms_find(kit.state, "sip:bob@far.test", kms);
        if (err != rows[i].err) {
            fail_msg("lie %d: %s\n%s", (int)l.lie, mcx_err_name(err),
                     kit.log);
        }
        assert_string_equal(kms, err == MCX_OK ? KIT_FAR : "");
    }
    l.lie = L_TRUE;
    /* A refusal: the KMS's, and anybody's. */
    l.error = &no;
    again(&kit, &l);
    kit_step(&kit, 1000);
    assert_int_equal(kms_find(kit.state, "sip:bob@far.test", kms),
                     MCX_E_PEER);
    l.error = NULL;
    kit.lookup_kms = NULL; /* 404, not signed, for there is no body */
    again(&kit, &l);
    assert_int_not_equal(kms_find(kit.state, "sip:bob@far.test", kms),
                         MCX_E_NO_IDENTITY);
    kit.lookup_kms = KIT_FAR;
    /* New keys have come; a look-up under them shows nothing to the client,
     * and brings none. */
    offer(&kit, &l, 2);
    again(&kit, &l);
    kit_step(&kit, 1000);
    old = l.now;
    gets_next(&kit, &l);
    l.asked = 0;
    assert_int_equal(kms_find(kit.state, "sip:bob@far.test", kms), MCX_OK);
    assert_string_equal(l.last_key, l.next.ink.id);
    assert_int_equal(l.asked, 1);
    assert_null(strstr(kit.log, "transport keys in use"));
    /* They were given up, but it has them. */
    gets_nothing(&kit);
    l.refused = 0;
    kit_step(&kit, 3700 * 1000);
    assert_int_equal(kms_find(kit.state, "sip:bob@far.test", kms), MCX_OK);
    assert_int_equal(l.refused, 1);
    assert_string_not_equal(l.last_key, old.ink.id);
    no_keys_about(&kit, &l.next);
    end(&kit);
}

static void
settings(void **state)
{
    static const struct { const char *name, *value, *word; } bad[] = {
        { "transport-keys", "/nonexistent/keys", "cannot be read" },
        { "transport-keys", "kms-sec-bad", "64 hexadecimal" },
        { "security", "tls", "without security" },
    };
    struct mcx_text text;
    struct kit kit;
    struct lord l;

    (void)state;
    assert_int_equal(mcx_env_system()->write_file(
                         NULL, "kms-sec-bad", mcx_bytes_str("trk a b\n"),
                         0600), MCX_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        begin(&kit, &l, "signed");
        kit_stop(&kit);
        if (i != 1) {
            char path[600];

            snprintf(path, sizeof path, "%s/kms-%02d.sealed", dir,
                     KMS_SLOT_TKEYS);
            assert_int_equal(unlink(path), 0);
        }
        kit_set(&kit, bad[i].name, bad[i].value);
        assert_int_equal(kit_start(&kit, false, &text), MCX_E_CONFIG);
        if (!strstr(text.s, bad[i].word)) {
            fail_msg("\"%s\"", text.s);
        }
        end(&kit);
    }
    assert_int_equal(unlink("kms-sec-bad"), 0);
    /* The file may go once it was taken in. */
    begin(&kit, &l, "signed");
    kit_set(&kit, "transport-keys", "/nonexistent/keys");
    again(&kit, &l);
    kit_tick(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
    /* Without a cache the keys could not change. */
    kit_new(&kit, 3600);
    kit_set(&kit, "security", "signed");
    kit_set(&kit, "transport-keys", "x");
    assert_int_equal(kit_start(&kit, false, &text), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "cache"));
    kit_free(&kit);
}

/* A slot that was changed opens nothing: the file is taken again. */
static void
damaged(void **state)
{
    struct kit kit;
    struct lord l;
    char path[600], *s;
    size_t n;

    (void)state;
    begin(&kit, &l, "signed");
    kit_stop(&kit);
    snprintf(path, sizeof path, "%s/kms-%02d.sealed", dir, KMS_SLOT_TKEYS);
    assert_int_equal(mcx_env_system()->read_file(NULL, path, 65536, &s, &n),
                     MCX_OK);
    s[n / 2] ^= 1;
    assert_int_equal(mcx_env_system()->write_file(NULL, path,
                                                  mcx_bytes(s, n), 0600),
                     MCX_OK);
    free(s);
    again(&kit, &l);
    kit_log_has(&kit, "transport keys are of no use");
    kit_tick(&kit);
    assert_true(kit_has(&kit, kit_period(&kit)));
    end(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_keys),
        cmocka_unit_test(lies),
        cmocka_unit_test(nothing_lost),
        cmocka_unit_test(rekey),
        cmocka_unit_test(lost),
        cmocka_unit_test(answer_lost),
        cmocka_unit_test(set_up_again),
        cmocka_unit_test(given_up),
        cmocka_unit_test(several),
        cmocka_unit_test(locked_out),
        cmocka_unit_test(replayed),
        cmocka_unit_test(many_resources),
        cmocka_unit_test(echo),
        cmocka_unit_test(errors),
        cmocka_unit_test(lookups),
        cmocka_unit_test(settings),
        cmocka_unit_test(damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
