/* test_kms_kit.c -- see test_kms_kit.h. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test_kms_kit.h"

extern const struct mcx_module mcx_module_kms;

/* ---- environment ------------------------------------------------------- */

static int64_t
env_unix_ms(void *ctx)
{
    return ((struct kit *)ctx)->now_ms;
}

static int64_t
env_mono_ms(void *ctx)
{
    return ((struct kit *)ctx)->mono_ms;
}

static mcx_err
env_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return mcx_env_system()->random(NULL, out, n);
}

static mcx_err
env_read_file(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    (void)ctx;
    return mcx_env_system()->read_file(NULL, path, max, out, n);
}

static mcx_err
env_list_dir(void *ctx, const char *path,
             mcx_err (*each)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    return mcx_env_system()->list_dir(NULL, path, each, arg);
}

static mcx_err
env_write_file(void *ctx, const char *path, struct mcx_bytes data,
               unsigned mode)
{
    (void)ctx;
    assert_int_equal(mode, 0600);
    return mcx_env_system()->write_file(NULL, path, data, mode);
}

static void
env_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    struct kit *kit = ctx;
    size_t n = strlen(line);

    (void)area;
    (void)level;
    kit->log = realloc(kit->log, kit->log_n + n + 2);
    assert_non_null(kit->log);
    memcpy(kit->log + kit->log_n, line, n);
    kit->log_n += n;
    kit->log[kit->log_n++] = '\n';
    kit->log[kit->log_n] = '\0';
}

/* ---- host -------------------------------------------------------------- */

static const char *
host_option(const struct mcx_host *host, const char *module, const char *name)
{
    const struct kit *kit = host->impl;
    const struct mcx_module *m = &mcx_module_kms;

    assert_string_equal(module, m->name);
    for (size_t i = 0; i < kit->n_set; i++) {
        if (strcmp(kit->set[i].name, name) == 0) {
            return kit->set[i].value;
        }
    }
    for (size_t i = 0; i < m->n_options; i++) {
        if (strcmp(m->options[i].name, name) == 0) {
            return m->options[i].fallback;
        }
    }
    fail_msg("the module asks for %s, which it does not declare", name);
    return NULL;
}

static void
host_event(const struct mcx_host *host, enum mcx_event_kind kind,
           const struct mcx_key_info *info, mcx_err err,
           const struct mcx_why *why, const char *who)
{
    struct kit *kit = host->impl;

    (void)kit;
    (void)info;
    (void)why;
    (void)who;
    assert_int_equal(kind, MCX_EV_REFUSED);
    assert_int_not_equal(err, MCX_OK);
}

static void
host_identity(const struct mcx_host *host, const char *uri,
              const char *kms_uri, uint64_t period_no)
{
    struct kit *kit = host->impl;

    assert_string_equal(uri, kit->user);
    assert_string_equal(kms_uri, KIT_KMS);
    assert_true(kit_has(kit, period_no));
    kit->identities++;
}

static mcx_err
host_token(const struct mcx_host *host, char *out, size_t room)
{
    const struct kit *kit = host->impl;

    if (!kit->app_token) {
        return kit->app_asked ? MCX_E_NO_KEY : MCX_E_UNSUPPORTED;
    }
    assert_true(strlen(kit->app_token) < room);
    memcpy(out, kit->app_token, strlen(kit->app_token) + 1);
    return MCX_OK;
}

static void
host_token_wanted(const struct mcx_host *host, const char *kms_uri,
                  int status)
{
    struct kit *kit = host->impl;

    assert_string_equal(kms_uri, KIT_KMS);
    kit->n_wanted++;
    kit->wanted_status = status;
}

static void
host_count(const struct mcx_host *host, const char *name)
{
    struct kit *kit = host->impl;

    kit->counted_requests += strcmp(name, "kms.requests") == 0;
    kit->counted_failed += strcmp(name, "kms.failed") == 0;
    kit->counted_refused += strcmp(name, "kms.refused") == 0;
    kit->dropped += strcmp(name, "kms.dropped") == 0;
}

static mcx_err
host_submit(const struct mcx_host *host, struct mcx_work *work)
{
    struct kit *kit = host->impl;

    work->cancelled = false;
    if (kit->hold_work) {
        assert_null(kit->held);
        kit->held = work;
        return MCX_OK;
    }
    work->work(work);
    work->done(work);
    return MCX_OK;
}

static bool
host_stopping(const struct mcx_host *host)
{
    const struct kit *kit = host->impl;

    return __atomic_load_n(&kit->stopping, __ATOMIC_SEQ_CST);
}

static void
host_grown(const struct mcx_host *host)
{
    ((struct kit *)host->impl)->grown++;
}

void
kit_new(struct kit *kit, unsigned period_s)
{
    int64_t now_s = INT64_C(1796072400);
    uint64_t no;

    memset(kit, 0, sizeof *kit);
    kit->user = KIT_USER;
    for (int i = 0; i < MCX_AREA_COUNT; i++) {
        mcx_log_level((enum mcx_area)i, 9); /* secrets would show */
    }
    kit->env = (struct mcx_env){ kit, env_unix_ms, env_mono_ms, env_random,
                                 env_read_file, env_list_dir, env_write_file,
                                 env_log };
    kit->host = (struct mcx_host){
        .abi = MCX_MODULE_ABI, .size = sizeof kit->host, .impl = kit,
        .env = &kit->env, .role = MCX_ROLE_CLIENT, .self = KIT_USER,
        .psi = "", .host_name = "test", .option = host_option,
        .event = host_event, .count = host_count, .submit = host_submit,
        .stopping = host_stopping, .grown = host_grown,
        .identity = host_identity, .token = host_token,
        .token_wanted = host_token_wanted
    };
    assert_int_equal(mcx_ring_new(&kit->ring, &kit->env), MCX_OK);
    kit->host.ring = kit->ring;
    kit->status = 200;
    kit->cache_num = 1;
    kit->info.period.length_s = kit->far_info.period.length_s = period_s;
    kit->info.root = true;
    snprintf(kit->info.uri, sizeof kit->info.uri, KIT_KMS);
    snprintf(kit->far_info.uri, sizeof kit->far_info.uri, KIT_FAR);
    kit->far_info.n_domains = 1;
    snprintf(kit->far_info.domain[0], sizeof kit->far_info.domain[0],
             "far.test");
    assert_int_equal(mcx_kms_master_new(&kit->master, NULL, &kit->env),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_new(&kit->other_master, NULL, &kit->env),
                     MCX_OK);
    assert_true(kms_period_at(&no, &kit->info.period, now_s * 1000));
    kit->now_ms = kms_start_ms(&kit->info.period, no);
    kit->mono_ms = 5000;
    kit_set(kit, "url", "https://localhost");
    kit_set(kit, "kms-uri", KIT_KMS);
}

void
kit_set(struct kit *kit, const char *name, const char *value)
{
    size_t i = 0;

    while (i < kit->n_set && strcmp(kit->set[i].name, name) != 0) {
        i++;
    }
    assert_true(i < sizeof kit->set / sizeof *kit->set);
    assert_true(strlen(value) < sizeof kit->set[i].value);
    kit->set[i].name = name;
    snprintf(kit->set[i].value, sizeof kit->set[i].value, "%s", value);
    kit->n_set += i == kit->n_set;
}

static mcx_err
kit_post(void *arg, const char *url, const char *token, struct mcx_bytes body,
         struct kms_http_reply *reply)
{
    struct kit *kit = arg;
    int status = 200;

    memset(reply, 0, sizeof *reply);
    if (kit->down) {
        snprintf(reply->text.s, sizeof reply->text.s, "no route");
        return MCX_E_IO;
    }
    reply->body = kit_answer(kit, url, token, body, &reply->n, &status);
    reply->room = reply->n;
    reply->status = status;
    return MCX_OK;
}

mcx_err
kit_start(struct kit *kit, bool net, struct mcx_text *text)
{
    mcx_err err = kms_start(&kit->state, &kit->host, text);

    if (err == MCX_OK && !net) {
        kms_use(kit->state, kit_post, kit);
    }
    return err;
}

void
kit_stop(struct kit *kit)
{
    if (kit->state) {
        kms_stop(kit->state);
        kit->state = NULL;
    }
}

void
kit_restart(struct kit *kit, bool net)
{
    struct mcx_text text = { "" };

    kit_stop(kit);
    mcx_ring_free(kit->ring);
    assert_int_equal(mcx_ring_new(&kit->ring, &kit->env), MCX_OK);
    kit->host.ring = kit->ring;
    if (kit_start(kit, net, &text) != MCX_OK) {
        fail_msg("%s", text.s);
    }
}

void
kit_free(struct kit *kit)
{
    kit_stop(kit);
    mcx_ring_free(kit->ring);
    mcx_kms_master_free(kit->master);
    mcx_kms_master_free(kit->other_master);
    free(kit->log);
    free(kit->secret);
}

void
kit_step(struct kit *kit, int64_t ms)
{
    kit->now_ms += ms;
    kit->mono_ms += ms;
}

void
kit_tick(struct kit *kit)
{
    kms_tick(kit->state);
}

uint64_t
kit_period(const struct kit *kit)
{
    uint64_t no = 0;

    assert_true(kms_period_at(&no, &kit->info.period, kit->now_ms));
    return no;
}

bool
kit_has(struct kit *kit, uint64_t no)
{
    struct mcx_user_key *key;
    bool has = mcx_ring_user(kit->ring, kit->user, no, &key) == MCX_OK;

    mcx_user_key_free(key);
    return has;
}

size_t
kit_n_keys(struct kit *kit)
{
    size_t n;

    mcx_ring_count(kit->ring, NULL, &n);
    return n;
}

void
kit_log_has(const struct kit *kit, const char *part)
{
    if (!kit->log || !strstr(kit->log, part)) {
        fail_msg("\"%s\" is not in the log:\n%s", part,
                 kit->log ? kit->log : "");
    }
}

/* ---- secrets ----------------------------------------------------------- */

static void
remember(struct kit *kit, const uint8_t *p)
{
    kit->secret = realloc(kit->secret,
                          (kit->n_secrets + 1) * sizeof *kit->secret);
    assert_non_null(kit->secret);
    assert_int_equal(mcx_hex_encode(kit->secret[kit->n_secrets++],
                                    sizeof *kit->secret,
                                    mcx_bytes(p, MCX_SSK_SIZE)), MCX_OK);
}

struct search {
    struct kit *kit;
    const char *dir;
    unsigned files;
};

static void
search_text(struct kit *kit, const char *text, size_t n)
{
    static const char *const words[] = { KIT_TOKEN, "UserDecryptKey>" };

    for (size_t i = 0; i < 2; i++) {
        assert_null(memmem(text, n, words[i], strlen(words[i])));
    }
    for (size_t i = 0; i < kit->n_secrets; i++) {
        char upper[2 * MCX_SSK_SIZE + 1];
        uint8_t raw[MCX_SSK_SIZE];

        snprintf(upper, sizeof upper, "%s", kit->secret[i]);
        for (char *p = upper; *p; p++) {
            *p = *p >= 'a' ? (char)(*p - 32) : *p;
        }
        assert_int_equal(mcx_hex_decode(raw, sizeof raw,
                                        mcx_bytes_str(upper), NULL), MCX_OK);
        assert_null(memmem(text, n, kit->secret[i], sizeof upper - 1));
        assert_null(memmem(text, n, upper, sizeof upper - 1));
        assert_null(memmem(text, n, raw, sizeof raw));
    }
}

static mcx_err
search_file(void *arg, const char *name)
{
    struct search *s = arg;
    char path[600], *p = NULL;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    if (strstr(name, "token")) {
        return MCX_OK;
    }
    assert_int_equal(mcx_env_system()->read_file(NULL, path, 1 << 24, &p, &n),
                     MCX_OK);
    search_text(s->kit, p, n);
    free(p);
    s->files++;
    return MCX_OK;
}

void
kit_no_secrets(struct kit *kit, const char *dir)
{
    struct search s = { kit, dir, 0 };

    assert_true(kit->n_secrets > 0);
    search_text(kit, kit->log ? kit->log : "", kit->log_n);
    if (dir) {
        assert_int_equal(mcx_env_system()->list_dir(NULL, dir, search_file,
                                                    &s), MCX_OK);
        assert_true(s.files > 1);
    }
}

/* ---- the KMS ----------------------------------------------------------- */

static void
issue(struct kit *kit, struct mcx_kms_keyset *set, const char *user,
      uint64_t no)
{
    memset(set, 0, sizeof *set);
    snprintf(set->user_uri, sizeof set->user_uri, "%s", user);
    set->period_no = no;
    assert_int_equal(mcx_uid(&set->uid, mcx_bytes_str(user),
                             mcx_bytes_str(kit->info.uri), &kit->info.period,
                             no), MCX_OK);
    assert_int_equal(mcx_kms_master_issue(
                         kit->master, mcx_bytes(set->uid.b, MCX_UID_SIZE),
                         &set->rsk, &set->ssk, set->pvt, &kit->env), MCX_OK);
    remember(kit, set->ssk.b);
    remember(kit, set->rsk.b + 1);
}

/* Puts ValidTo and Revoked into every set. */
static char *
with_end(struct kit *kit, char *xml, size_t *n)
{
    static const char mark[] = "<KmsKeySet Version=\"1.1.0\">\n";
    char when[MCX_RFC3339_SIZE], *out = calloc(1, *n + 4096), *at = xml;
    char *next;

    assert_non_null(out);
    mcx_time_text(when, kit->valid_to_unix * 1000);
    while ((next = strstr(at, mark)) != NULL) {
        next += sizeof mark - 1;
        snprintf(out + strlen(out), *n + 4096 - strlen(out), "%.*s",
                 (int)(next - at), at);
        if (kit->valid_to_unix) {
            snprintf(out + strlen(out), 100, "<ValidTo>%s</ValidTo>", when);
        }
        if (kit->revoked) {
            snprintf(out + strlen(out), 100, "<Revoked>true</Revoked>");
        }
        at = next;
    }
    snprintf(out + strlen(out), *n + 4096 - strlen(out), "%s", at);
    mcx_kms_text_free(xml, *n);
    *n = strlen(out);
    return out;
}

static char *
answer_keys(struct kit *kit, const struct mcx_kms_doc *doc, const char *rest,
            size_t *n)
{
    struct mcx_kms_keyset *sets = calloc(2, sizeof *sets);
    struct mcx_kms_keyset *set = sets, *other = sets + 1;
    uint64_t no = kit_period(kit), s;
    size_t n_sets = 1;
    char *xml = NULL;

    assert_non_null(sets);
    kit->n_keys++;
    if (*rest) {
        char uri[64];

        snprintf(uri, sizeof uri, "/sip%%3A%.*s%%40mcx.test",
                 (int)strcspn(kit->user + 4, "@"), kit->user + 4);
        assert_int_equal(strncmp(rest, uri, strlen(uri)), 0);
        rest += strlen(uri);
        if (*rest) {
            assert_int_equal(strlen(rest), 17);
            s = strtoull(rest + 1, NULL, 16) >> 32;
            assert_int_equal(mcx_period_no(&no, &kit->info.period,
                                           (int64_t)s), MCX_OK);
        }
    }
    if (kit->two || kit->lie == KIT_LIE_RSK || kit->lie == KIT_LIE_SSK
        || kit->lie == KIT_LIE_UID) {
        issue(kit, other, kit->two ? kit->user : KIT_OTHER,
              kit->two ? no + 1 : no);
    }
    issue(kit, set, kit->lie == KIT_LIE_KEYS ? KIT_OTHER : kit->user,
          kit->lie == KIT_LIE_PERIOD ? no - 1 : no);
    if (kit->lie == KIT_LIE_RSK) {
        set->rsk = other->rsk;
    } else if (kit->lie == KIT_LIE_SSK) {
        set->ssk = other->ssk;
        memcpy(set->pvt, other->pvt, sizeof set->pvt);
    } else if (kit->lie == KIT_LIE_UID) {
        set->uid = other->uid;
    } else if (kit->lie == KIT_LIE_PERIOD) {
        set->period_no = no;
    } else if (kit->lie == KIT_NO_KEYS) {
        n_sets = 0;
    }
    if (kit->two) {
        other->rsk.b[MCX_RSK_SIZE - 1] ^= 1;
        n_sets = 2;
    }
    assert_int_equal(mcx_kms_write_keyprov(&xml, n, doc, &kit->info, sets,
                                           n_sets), MCX_OK);
    mcx_wipe(sets, 2 * sizeof *sets);
    free(sets);
    return kit->valid_to_unix || kit->revoked ? with_end(kit, xml, n) : xml;
}

static char *
answer_init(struct kit *kit, const struct mcx_kms_doc *doc, size_t *n)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    char *xml = NULL;

    kit->n_init++;
    mcx_kms_master_public(z, kpak, kit->master);
    assert_int_equal(mcx_kms_write_init(&xml, n, doc,
                                        kit->lie == KIT_LIE_CERT
                                            ? &kit->far_info : &kit->info,
                                        z, kpak), MCX_OK);
    return xml;
}

static char *
answer_certs(struct kit *kit, const struct mcx_kms_doc *doc, const char *rest,
             size_t *n)
{
    struct mcx_kms_cert *certs = calloc(2, sizeof *certs);
    bool all = strncmp(rest, "ca", 2) == 0;
    char held[64];
    size_t n_certs = 1;
    char *xml = NULL;

    assert_non_null(certs);
    certs[0].info = kit->far_info;
    mcx_kms_master_public(certs[0].z, certs[0].kpak, kit->other_master);
    certs[1] = certs[0];
    snprintf(certs[1].info.uri, sizeof certs[1].info.uri, "kms.no.test");
    snprintf(held, sizeof held, "cache/%llu",
             (unsigned long long)kit->cache_num);
    if (all) {
        kit->n_certs++;
        n_certs = strcmp(rest, held) == 0 ? 0 : 2;
        if (kit->unlisted) {
            certs[0] = certs[1];
            n_certs = n_certs ? 1 : 0;
        }
    } else {
        kit->n_cert++;
        n_certs = strcmp(rest, "/" KIT_FAR) == 0 || kit->cert_uri;
        if (kit->cert_uri) {
            snprintf(certs[0].info.uri, sizeof certs[0].info.uri, "%s",
                     kit->cert_uri);
        }
    }
    assert_int_equal(mcx_kms_write_certcache(&xml, n, doc, kit->cache_num,
                                             certs, n_certs), MCX_OK);
    free(certs);
    return xml;
}

static char *
text_answer(const char *text, size_t *n)
{
    char *s = strdup(text);

    assert_non_null(s);
    *n = strlen(s);
    return s;
}

char *
kit_answer(struct kit *kit, const char *url, const char *token,
           struct mcx_bytes body, size_t *n, int *status)
{
    struct mcx_kms_doc doc = { .user_uri = kit->user, .kms_uri = KIT_KMS,
                               .client_req_url = url,
                               .time_unix_ms = kit->now_ms };
    struct mcx_text text;
    const char *path = strstr(url, KMS_ROOT_PATH "/");
    char *huge, *xml = NULL;

    assert_non_null(path);
    path += sizeof KMS_ROOT_PATH;
    if (mcx_kms_request_read(&kit->last, body, &text) != MCX_OK) {
        fail_msg("the request: %s", text.s);
    }
    doc.id = kit->echo ? kit->last.id : NULL;
    snprintf(kit->last_url, sizeof kit->last_url, "%s", url);
    assert_string_equal(kit->last.client_req_url, url);
    assert_string_equal(kit->last.user_uri, kit->user);
    assert_string_equal(kit->last.kms_uri, KIT_KMS);
    assert_int_equal(kit->last.time_unix_ms, kit->now_ms);
    *status = kit->status;
    if (kit->token && (!token || strcmp(token, kit->token) != 0)) {
        *status = 403;
        return text_answer("", n);
    }
    switch (kit->lie) {
    case KIT_LIE_KMS:
        doc.kms_uri = KIT_FAR;
        break;
    case KIT_LIE_USER:
        doc.user_uri = KIT_OTHER;
        break;
    case KIT_LIE_URL:
        doc.client_req_url = "https://localhost/other";
        break;
    case KIT_LIE_TIME:
        doc.time_unix_ms -= 3600000;
        break;
    case KIT_GARBAGE:
        return text_answer("<html><body>It works!</body></html>", n);
    case KIT_DOCTYPE:
        return text_answer("<!DOCTYPE lolz [<!ENTITY a \"lol\">"
                           "<!ENTITY b \"&a;&a;&a;\">]><KmsResponse>&b;"
                           "</KmsResponse>", n);
    case KIT_HUGE:
        *n = 5000000;
        huge = malloc(*n);
        assert_non_null(huge);
        memset(huge, ' ', *n);
        return huge;
    case KIT_ERROR:
        assert_int_equal(mcx_kms_write_error(&xml, n, &doc, 17,
                                             "closed for the night"), MCX_OK);
        return xml;
    default:
        break;
    }
    if (strcmp(path, "init") == 0
        || (kit->lie == KIT_LIE_WHAT && strncmp(path, "key", 3) == 0)) {
        return kit->lie == KIT_LIE_WHAT && strcmp(path, "init") == 0
                   ? answer_keys(kit, &doc, "", n)
                   : answer_init(kit, &doc, n);
    }
    if (strncmp(path, "keyprov", 7) == 0) {
        return answer_keys(kit, &doc, path + 7, n);
    }
    if (strncmp(path, "lookup/", 7) == 0) {
        kit->n_lookup++;
        if (!kit->lookup_kms) {
            *status = 404;
            return text_answer("", n);
        }
        assert_int_equal(mcx_kms_write_lookup(
                             &xml, n, &doc,
                             kit->lookup_uri ? kit->lookup_uri
                                             : "sip:bob@far.test",
                             kit->lookup_kms), MCX_OK);
        return xml;
    }
    assert_int_equal(strncmp(path, "cert", 4), 0);
    return answer_certs(kit, &doc, path + 4, n);
}
