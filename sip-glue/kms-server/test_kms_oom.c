/* test_kms_oom.c -- the n-th allocation fails, for every n, while the KMS
 * answers a request of each kind: the answer is right, or a refusal that
 * promises nothing (5xx, and no key in it), the store is as before or as
 * after, nothing leaks (the sanitizer build watches), and the next request is
 * served.  First our own allocations, then those of every library as well
 * (libxml2, xmlsec1, SQLite, OpenSSL), where a refusal may be of another kind:
 * some of them call their trouble a mistake of the document.  The second part
 * replaces malloc() for the whole process, which a sanitizer does, too. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "answer.h"
#include "token.h"

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

/* ---- allocations ------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

/* Any thread of the process: the store has a writer. */
static long left = -1; /* allocations until one fails; below 0: never */
static bool fired, libs;

static bool
fails(void)
{
    if (__atomic_load_n(&left, __ATOMIC_SEQ_CST) < 0
        || __atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST) > 0) {
        return false;
    }
    __atomic_store_n(&left, -1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fired, true, __ATOMIC_SEQ_CST);
    return true;
}

#if WATCHED
#define RAW(name) __real_##name
#else
/* glibc's own, for they are replaced below. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
#define RAW(name) __libc_##name

__attribute__((visibility("default"))) void *
malloc(size_t n)
{
    return libs && fails() ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *
calloc(size_t n, size_t size)
{
    return libs && fails() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *
realloc(void *p, size_t n)
{
    return libs && fails() ? NULL : __libc_realloc(p, n);
}
#endif

void *
__wrap_malloc(size_t n)
{
    return fails() ? NULL : RAW(malloc)(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : RAW(calloc)(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : RAW(realloc)(p, n);
}

static void
fail_at(long n)
{
    fired = false;
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
}

static bool
had_failed(void)
{
    __atomic_store_n(&left, -1L, __ATOMIC_SEQ_CST);
    return fired;
}

/* ---- the KMS ----------------------------------------------------------- */

#define PLAIN "sip:ada@mc.test"
#define SEALED "sip:bob@mc.test"
#define FAR "kms.far.test"
#define HOST "kms.test"
#define NOW INT64_C(1796072400)

enum { SETUP_NONE, SETUP_NEXT };
enum { PATH_ROOM = 128 };

static char dir[64], path_key[PATH_ROOM], path_store[PATH_ROOM];
static struct mcx_env env;
static struct kms_domain *domain;
static struct kms_server server;
static struct mcx_seal_key audit;
static struct mcx_tkeys old_keys, new_keys;
static struct mcx_text text;
static unsigned spoilt; /* answers that libxml2 canonicalised wrongly */

/* Of libxml2, whose headers are for core/xml only. */
void xmlSetGenericErrorFunc(void *ctx, void (*f)(void *, const char *, ...));

/* What it says on standard error about memory is not for the test. */
static void
silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

static int64_t
at_noon(void *ctx)
{
    (void)ctx;
    return NOW * 1000;
}

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    (void)line;
}

static void
in_dir(char out[PATH_ROOM], const char *name)
{
    (void)snprintf(out, PATH_ROOM, "%s/%s", dir, name);
}

/* A certificate of another KMS, for certcache, cert and lookup. */
static void
write_external(void)
{
    struct mcx_kms_doc doc = { .user_uri = PLAIN, .kms_uri = FAR,
                               .client_req_url = "https://x/",
                               .time_unix_ms = NOW * 1000 };
    struct mcx_kms_info info = { .uri = FAR, .period = { .length_s = 3600 },
                                 .n_domains = 1 };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_master *master;
    char path[PATH_ROOM], *xml;
    size_t n;

    (void)snprintf(info.domain[0], sizeof info.domain[0], "far.test");
    assert_int_equal(mcx_kms_master_new(&master, NULL, &env), MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    mcx_kms_master_free(master);
    assert_int_equal(mcx_kms_write_init(&xml, &n, &doc, &info, z, kpak),
                     MCX_OK);
    in_dir(path, "external");
    assert_int_equal(mkdir(path, 0700), 0);
    in_dir(path, "external/kms-" FAR ".xml");
    assert_int_equal(env.write_file(env.ctx, path, mcx_bytes(xml, n), 0600),
                     MCX_OK);
    mcx_kms_text_free(xml, n);
}

/* What there is to begin with: SEALED has one set of keys, and with 'next'
 * another one that was offered. */
static void
set_keys(int setup)
{
    MCX_SECRET(kms_user_keys, keys);
    mcx_err err = kms_user_keys_read(&keys, server.store, SEALED);

    assert_true(err == MCX_OK || err == MCX_E_NO_KEY);
    if (err == MCX_OK
        && strcmp(keys.now.ink.id, old_keys.ink.id) == 0
        && (keys.next.trk.id[0] != '\0') == (setup == SETUP_NEXT)) {
        return;
    }
    keys.now = old_keys;
    mcx_tkeys_wipe(&keys.next);
    if (setup == SETUP_NEXT) {
        keys.next = new_keys;
    }
    assert_int_equal(kms_user_keys_write(&keys, server.store, SEALED, "test"),
                     MCX_OK);
}

/* ---- requests ---------------------------------------------------------- */

static const struct kind {
    const char *resource, *user;
    const struct mcx_tkeys *under; /* NULL: not signed */
    int setup;
    unsigned status;
    const char *word; /* of the right answer */
} kinds[] = {
    { "init", PLAIN, NULL, 0, 200, "<KmsInit" },
    { "keyprov", PLAIN, NULL, 0, 200, "<UserDecryptKey" },
    { "keyprov/sip%3Aada%40mc.test/ED9B6A5000000000", PLAIN, NULL, 0, 403,
      "<ErrorCode>10<" },
    { "certcache", PLAIN, NULL, 0, 200, "far.test" },
    { "cert/" FAR, PLAIN, NULL, 0, 200, "far.test" },
    { "lookup/sip%3Ax%40far.test", PLAIN, NULL, 0, 200, "<KmsLookup" },
    { "redirect", PLAIN, NULL, 0, 404, "<ErrorCode>6<" },
    { "keyprov", "sip:eve@mc.test", NULL, 0, 403, "<ErrorCode>8<" },
    { "init", SEALED, &old_keys, 0, 200, "<KmsInit" },
    { "keyprov", SEALED, &old_keys, 0, 200, "EncKeyContentType" },
    { "keyprov", SEALED, &old_keys, SETUP_NEXT, 200, "<NewTransportKey" },
    { "keyprov", SEALED, &new_keys, SETUP_NEXT, 200, "EncKeyContentType" },
    { "lookup/sip%3Ax%40far.test", SEALED, &old_keys, 0, 200, "<KmsLookup" },
    { "keyprov", SEALED, NULL, 0, 400, "<ErrorCode>16<" },
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static struct {
    char *body, target[256];
    size_t n;
} asks[N_KINDS];

static void
make_request(size_t i)
{
    const struct kind *k = &kinds[i];
    static struct mcx_kms_request req;
    char *xml;
    size_t n;

    memset(&req, 0, sizeof req);
    (void)snprintf(asks[i].target, sizeof asks[i].target, "%s%s", KMS_ROOT,
                   k->resource);
    (void)snprintf(req.user_uri, sizeof req.user_uri, "%s", k->user);
    (void)snprintf(req.kms_uri, sizeof req.kms_uri, "kms.test");
    (void)snprintf(req.client_req_url, sizeof req.client_req_url,
                   "https://" HOST "%s", asks[i].target);
    (void)snprintf(req.id, sizeof req.id, "q%zu", i);
    req.time_unix_ms = NOW * 1000;
    assert_int_equal(mcx_kms_request_write(&xml, &n, &req), MCX_OK);
    if (k->under) {
        assert_int_equal(mcx_kms_sign(&asks[i].body, &asks[i].n,
                                      mcx_bytes(xml, n), k->under, true),
                         MCX_OK);
        mcx_kms_text_free(xml, n);
    } else {
        asks[i].body = xml;
        asks[i].n = n;
    }
}

static int
begin(void **state)
{
    struct mcx_kms_info info = { .uri = "kms.test", .root = true,
                                 .period = { .length_s = 3600 } };
    struct kms_lock lock = { .key_file = path_key };

    (void)state;
    env = *mcx_env_system();
    env.unix_ms = at_noon;
    env.log = no_log;
    (void)snprintf(dir, sizeof dir, "kms-oom.XXXXXX");
    assert_non_null(mkdtemp(dir));
    in_dir(path_key, "key");
    in_dir(path_store, "store");
    write_external();
    assert_int_equal(kms_domain_new(&domain, &info, &env), MCX_OK);
    assert_int_equal(kms_domain_lock(domain, &lock, &env, &text), MCX_OK);
    assert_int_equal(kms_domain_write_conf(domain, dir, &env, &text), MCX_OK);
    assert_int_equal(kms_domain_write_master(domain, dir, &env, &text),
                     MCX_OK);
    memcpy(&audit, domain->audit, sizeof audit);
    assert_int_equal(kms_server_init(&server, domain, dir,
                                     kms_certs_num(dir, &env), &env), MCX_OK);
    server.instance = "test";
    server.policy = (struct kms_policy){ .ahead = 1, .back = 1,
                                         .fresh_ms = 5000 };
    assert_int_equal(kms_store_open(&server.store, path_store, false, &audit,
                                    &env, &text), MCX_OK);
    assert_int_equal(kms_store_append(server.store, KMS_ADD, PLAIN, 0, "t"),
                     MCX_OK);
    assert_int_equal(kms_store_append(server.store, KMS_ADD, SEALED, 0, "t"),
                     MCX_OK);
    assert_int_equal(mcx_tkeys_new(&old_keys, SEALED, 1, &env), MCX_OK);
    assert_int_equal(mcx_tkeys_new(&new_keys, SEALED, 2, &env), MCX_OK);
    set_keys(SETUP_NONE);
    for (size_t i = 0; i < N_KINDS; i++) {
        make_request(i);
    }
    return 0;
}

static mcx_err
remove_one(void *arg, const char *name)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    (void)unlink(path);
    return MCX_OK;
}

static int
end(void **state)
{
    char path[PATH_ROOM];

    (void)state;
    kms_store_close(server.store);
    kms_server_fini(&server);
    in_dir(path, "external");
    assert_int_equal(env.list_dir(NULL, path, remove_one, path), MCX_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(env.list_dir(NULL, dir, remove_one, dir), MCX_OK);
    assert_int_equal(rmdir(dir), 0);
    mcx_wipe(&audit, sizeof audit);
    mcx_tkeys_wipe(&old_keys);
    mcx_tkeys_wipe(&new_keys);
    return 0;
}

static const struct mcx_kw_key *
its_key(void *arg, const char *id)
{
    const struct mcx_tkeys *keys = arg;

    return strcmp(id, keys->ink.id) == 0 ? &keys->ink.key : NULL;
}

/* Is it the answer that there should be, signed as it should be? */
static bool
right(const struct kind *k, const struct kms_reply *reply)
{
    struct mcx_kms_verifier v = { .what = MCX_KMS_SIGNED_RESPONSE,
                                  .key = its_key,
                                  .arg = (void *)(uintptr_t)k->under };
    struct mcx_kms_signed said;
    char *plain = NULL;
    size_t n = 0;

    if (reply->status != k->status) {
        return false;
    }
    if (!reply->xml && reply->status != 200) {
        return true; /* only what it would say to people is missing */
    }
    if (!reply->xml || !strstr(reply->xml, k->word)) {
        return false;
    }
    if (k->under) {
        mcx_err err = mcx_kms_verify(&plain, &n,
                                     mcx_bytes(reply->xml, reply->n), &v,
                                     &said, &text);

        if (err == MCX_E_AUTH && libs && fired) {
            /* A buffer of libxml2's was short, and it did not say so.  The
             * client sees that the signature is wrong, and asks again. */
            spoilt++;
            return true;
        }
        assert_int_equal(err, MCX_OK);
        assert_non_null(strstr(plain, k->word));
        assert_null(strstr(plain, "\"KeyContentType\""));
        mcx_kms_text_free(plain, n);
    }
    return true;
}

static void
say_not_right(const struct kind *k, const struct kms_reply *reply, long n)
{
    fail_msg("%s of %s, allocation %ld: status %u, code %d \"%s\" %s",
             k->resource, k->user, n, reply->status, (int)reply->code,
             reply->why.s, reply->xml ? reply->xml : "(no body)");
}

static void
ask(size_t i, struct kms_reply *reply)
{
    struct kms_ask a = { .target = asks[i].target, .host = HOST,
                         .subject = kinds[i].user, .peer = "127.0.0.1",
                         .body = mcx_bytes(asks[i].body, asks[i].n) };

    kms_answer(reply, &server, &a);
}

/* The keys of SEALED are those of before or after, never others. */
static void
check_keys(const struct kind *k, bool answered)
{
    MCX_SECRET(kms_user_keys, keys);
    bool is_new;

    assert_int_equal(kms_user_keys_read(&keys, server.store, SEALED), MCX_OK);
    is_new = strcmp(keys.now.ink.id, new_keys.ink.id) == 0;
    assert_true(is_new || strcmp(keys.now.ink.id, old_keys.ink.id) == 0);
    assert_true(mcx_secret_eq(&keys.now, is_new ? &new_keys : &old_keys,
                              sizeof keys.now));
    assert_true(!is_new || !keys.next.trk.id[0]);
    assert_true(!is_new || k->under == &new_keys);
    assert_true(!answered || is_new == (k->under == &new_keys));
}

/* One request with its n-th allocation failing; false: it has no n-th. */
static bool
one(size_t i, long n, unsigned *refused)
{
    const struct kind *k = &kinds[i];
    struct kms_counts before, after;
    struct kms_reply reply;
    bool hit, ok;

    set_keys(k->setup);
    assert_int_equal(kms_store_count(&before, server.store), MCX_OK);
    fail_at(n);
    ask(i, &reply);
    hit = had_failed();
    ok = right(k, &reply);
    if (!ok && (!hit || reply.status < 400
                || (!libs && reply.status < 500))) {
        say_not_right(k, &reply, n);
    }
    if (!ok) {
        (*refused)++;
        assert_true(reply.code != KMS_CODE_NONE);
        assert_true(!reply.xml || !strstr(reply.xml, "<UserDecryptKey"));
        assert_true(!reply.xml || !strstr(reply.xml, "<KmsMessage"));
        assert_true(!reply.xml || strlen(reply.xml) == reply.n);
    }
    mcx_kms_text_free(reply.xml, reply.n);
    assert_int_equal(kms_store_count(&after, server.store), MCX_OK);
    /* An issue and its entry, a change of keys and its entry; at most. */
    assert_in_range(after.entries - before.entries, 0, 2);
    assert_int_equal(after.users, before.users);
    check_keys(k, ok);
    return hit;
}

static void
answers(void **state)
{
    unsigned refused = 0;
    long total = 0;

    libs = *state != NULL;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct kms_reply reply;
        long n = 0, step = 1;

        /* Once as it should be, so that libraries have what they keep. */
        assert_false(one(i, 1 << 30, &refused));
        while (one(i, n, &refused)) {
            total++;
            /* Libraries allocate thousands of times, in much the same way. */
            step = libs && n > 200 ? 7 : 1;
            n += step;
        }
        assert_in_range(n, 1, 100000);
        set_keys(kinds[i].setup);
        ask(i, &reply);
        if (!right(&kinds[i], &reply)) {
            say_not_right(&kinds[i], &reply, -1);
        }
        mcx_kms_text_free(reply.xml, reply.n);
    }
    libs = false;
    print_message("%ld allocations failed, %u requests were refused, %u "
                  "answers had a wrong signature\n", total, refused, spoilt);
    assert_true(spoilt <= total / 20);
    assert_true(refused > total / 2);
}

static void
chain_is_whole(void **state)
{
    struct kms_counts counts;

    (void)state;
    if (kms_store_verify(server.store, &counts, NULL, NULL, NULL, &text)
        != MCX_OK) {
        fail_msg("%s", text.s);
    }
    assert_true(counts.entries > 10);
}

/* Opening the domain and the store, and reading the folder again. */
static void
opening(void **state)
{
    struct kms_lock lock = { .key_file = path_key };
    struct kms_domain *d;
    struct kms_store *s;
    struct kms_held *held;
    char path[PATH_ROOM];
    bool hit = true;
    long n;
    mcx_err err;

    libs = *state != NULL;
    for (n = 0; hit && n < 20000; n += libs && n > 200 ? 7 : 1) {
        fail_at(n);
        err = kms_domain_open(&d, dir, &lock, &env, &text);
        hit = had_failed();
        assert_true(err == MCX_OK || hit);
        if (err != MCX_OK && !libs && err != MCX_E_NOMEM) {
            fail_msg("allocation %ld: %s, %s", n, mcx_err_name(err), text.s);
        }
        if (err == MCX_OK) {
            assert_int_equal(d->n, 1);
            assert_memory_equal(d->gen[0].kpak, domain->gen[0].kpak,
                                sizeof d->gen[0].kpak);
            kms_domain_free(d);
        }
    }
    assert_in_range(n, 4, 19999);
    hit = true;
    for (n = 0; hit && n < 20000; n += libs && n > 200 ? 7 : 1) {
        fail_at(n);
        err = kms_store_open(&s, path_store, false, &audit, &env, &text);
        hit = had_failed();
        assert_true(err == MCX_OK || hit);
        if (err == MCX_OK) {
            enum kms_user_state user;

            err = kms_store_user(&user, s, PLAIN);
            assert_true(err != MCX_OK || user == KMS_USER_ACTIVE);
            assert_true(err == MCX_OK || hit);
            kms_store_close(s);
        }
    }
    assert_in_range(n, 4, 19999);
    /* What is held stays when the folder cannot be read. */
    in_dir(path, "external/kms-" FAR ".xml");
    hit = true;
    for (n = 0; hit && n < 20000; n += libs && n > 200 ? 7 : 1) {
        held = server.held;
        server.held->certs->num = 1;
        fail_at(n);
        kms_server_look(&server);
        hit = had_failed();
        assert_true(hit || server.held != held);
        assert_int_equal(server.held->domain->n, 1);
        assert_in_range(server.held->certs->n, libs ? 0 : 1, 1);
    }
    assert_in_range(n, 4, 19999);
    domain = server.held->domain;
    libs = false;
    server.held->certs->num = 1;
    kms_server_look(&server);
    domain = server.held->domain;
    assert_int_equal(server.held->certs->n, 1);
}

/* ---- tokens ------------------------------------------------------------ */

/* Ours and those of jansson, which go through ours.  GnuTLS stands on GMP,
 * which ends a process that has no memory. */
static void
tokens(void **state)
{
    struct kms_token_rule rule = { "idms", "kms.test", KMS_SCOPE };
    struct kms_token_claims claims = { "idms", "kms.test", KMS_SCOPE, PLAIN,
                                       NULL, NOW, NOW + 60 };
    char *key, *pub, *token, subject[MCX_URI_MAX];
    size_t key_n, pub_n, token_n;
    struct kms_token_keys *keys = NULL;
    const char *bad;
    bool hit = true;
    long n;
    mcx_err err;

    (void)state;
    assert_int_equal(kms_token_new_key(&key, &key_n, &pub, &pub_n), MCX_OK);
    for (n = 0; hit && n < 1000; n++) {
        fail_at(n);
        err = kms_token_issue(&token, &token_n, mcx_bytes(key, key_n),
                              &claims, &text);
        hit = had_failed();
        assert_true(err == MCX_OK || hit);
        if (hit) {
            mcx_kms_text_free(err == MCX_OK ? token : NULL, token_n);
        }
    }
    assert_in_range(n, 2, 999);
    hit = true;
    for (n = 0; hit && n < 1000; n++) {
        kms_token_keys_free(keys);
        keys = NULL;
        fail_at(n);
        err = kms_token_keys_pem(&keys, mcx_bytes(pub, pub_n), "k", &text);
        hit = had_failed();
        assert_int_equal(err, hit ? MCX_E_NOMEM : MCX_OK);
    }
    hit = true;
    for (n = 0; hit && n < 1000; n++) {
        fail_at(n);
        bad = kms_token_check(subject, keys, &rule, mcx_bytes(token, token_n),
                              NOW);
        hit = had_failed();
        /* It says nothing about the token. */
        if (bad && strcmp(bad, KMS_TOKEN_NOT_NOW) != 0) {
            fail_msg("allocation %ld: \"%s\"", n, bad);
        }
        assert_true(!bad || hit);
        assert_string_equal(subject, bad ? "" : PLAIN);
    }
    assert_in_range(n, 5, 999);
    kms_token_keys_free(keys);
    mcx_kms_text_free(token, token_n);
    mcx_kms_text_free(key, key_n);
    free(pub);
}

int
main(void)
{
#if !WATCHED
    static int yes;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(answers),
        cmocka_unit_test(opening),
        cmocka_unit_test(chain_is_whole),
#if !WATCHED
        cmocka_unit_test_prestate(answers, &yes),
        cmocka_unit_test_prestate(opening, &yes),
        cmocka_unit_test(chain_is_whole),
#endif
    };
    int failed;

    xmlSetGenericErrorFunc(NULL, silent);
    failed = cmocka_run_group_tests(tests, begin, end);
    for (size_t i = 0; i < N_KINDS; i++) {
        mcx_kms_text_free(asks[i].body, asks[i].n);
    }
    return failed;
}
