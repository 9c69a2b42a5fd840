/* test_glue.c -- the glue against the real library, over loopback.
 *
 * A client and a server, each a nua with an instance, in one process; module
 * "dbl" (test_double.c) decides by the words it sees.  The argument "single"
 * runs nua without a stack thread. */
#include <config.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/soa_tag.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-mcx/mcx_sofia.h>
#include "sofia/glue.h"
#include "sofia/test_double.h"

#define SDP                                                                   \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"        \
    "t=0 0\r\nm=audio 40000 RTP/SAVP 0\r\n"

static bool threaded = true;
static const char *queue = "queue=256";
static su_root_t *root;
static struct dbl_control *ctl;

/* ---- a clock that steps ------------------------------------------------ */

static struct mcx_env env;
static atomic_llong step_ms;

static int64_t
mono_ms(void *ctx)
{
    return mcx_env_system()->mono_ms(ctx) + atomic_load(&step_ms);
}

static void
no_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)area;
    (void)level;
    if (getenv("TEST_LOG")) {
        fprintf(stderr, "%s\n", line);
    }
}

/* ---- a user agent ------------------------------------------------------ */

struct ua {
    const char *name;
    bool server, raw;
    mcx_t *mcx;
    nua_t *nua;
    bool down;
    char url[64];
    nua_handle_t *nh;      /* of the last request or call, either way */
    unsigned n[64];        /* nua events seen by the application      */
    unsigned n_register;   /* nua_i_register                          */
    unsigned m[16];        /* mcx events                              */
    int m_status[16];
    uint32_t m_key[16];
    int status[64];        /* of the last nua event                   */
    char warning[2][128];
    bool retry_after;
    char via[32];
    size_t body_n;
    char sdp[4096];        /* last seen in an INVITE or 200           */
    int state;
    int answer;            /* status to answer an INVITE with         */
    const char *expires;   /* granted by the registrar                */
    unsigned bodies;       /* REGISTERs with a body at the application */
};

static void
note(struct ua *ua, nua_event_t e, int status, sip_t const *sip)
{
    if ((size_t)e < sizeof ua->n / sizeof ua->n[0]) {
        ua->n[e]++;
        ua->status[e] = status;
    }
    if (!sip) {
        return;
    }
    if (sip->sip_status) {
        sip_warning_t const *w = sip->sip_warning;
        memset(ua->warning, 0, sizeof ua->warning);
        for (int i = 0; i < 2 && w; i++, w = w->w_next) {
            snprintf(ua->warning[i], sizeof ua->warning[i], "%u %s %s",
                     (unsigned)w->w_code, w->w_host, w->w_text);
        }
        ua->retry_after = sip->sip_retry_after != NULL;
    }
    if (sip->sip_request && sip->sip_via) {
        snprintf(ua->via, sizeof ua->via, "%s", sip->sip_via->v_protocol);
    }
    if (sip->sip_payload) {
        ua->body_n = sip->sip_payload->pl_len;
        if (e == nua_i_invite || e == nua_r_invite) {
            snprintf(ua->sdp, sizeof ua->sdp, "%.*s",
                     (int)sip->sip_payload->pl_len,
                     sip->sip_payload->pl_data);
        }
    }
}

static void
answer_call(struct ua *ua, nua_handle_t *nh)
{
    if (ua->answer == 0) {
        return;
    }
    if (ua->answer >= 300) {
        nua_respond(nh, ua->answer, sip_status_phrase(ua->answer), TAG_END());
    } else if (ua->raw) {
        nua_respond(nh, SIP_200_OK, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                    SIPTAG_PAYLOAD_STR(SDP), TAG_END());
    } else {
        nua_respond(nh, SIP_200_OK, SOATAG_USER_SDP_STR(SDP), TAG_END());
    }
}

static void
cb(nua_event_t e, int status, char const *phrase, nua_t *nua,
   nua_magic_t *magic, nua_handle_t *nh, nua_hmagic_t *hm, sip_t const *sip,
   tagi_t tags[])
{
    struct ua *ua = (struct ua *)magic;

    (void)phrase;
    (void)hm;
    if (mcx_event(ua->mcx, e, status, phrase, nua, nh, sip, tags)) {
        return;
    }
    note(ua, e, status, sip);
    switch (e) {
    case nua_r_shutdown:
        ua->down = status >= 200;
        break;
    case nua_i_message:
        nua_respond(nh, SIP_202_ACCEPTED,
                    NUTAG_WITH(mcx_current_request(ua->mcx, nua)), TAG_END());
        nua_handle_destroy(nh);
        break;
    case nua_i_register:
        ua->n_register++;
        ua->bodies += sip->sip_payload != NULL;
        nua_respond(nh, SIP_200_OK,
                    NUTAG_WITH(mcx_current_request(ua->mcx, nua)),
                    SIPTAG_CONTACT(sip->sip_contact),
                    SIPTAG_EXPIRES_STR(ua->expires), TAG_END());
        nua_handle_destroy(nh);
        break;
    case nua_i_invite:
        ua->nh = nh;
        if (status < 200) {
            answer_call(ua, nh);
        }
        break;
    case nua_i_state:
        tl_gets(tags, NUTAG_CALLSTATE_REF(ua->state), TAG_END());
        break;
    default:
        break;
    }
}

static void
on_mcx(mcx_event_t e, int status, char const *phrase, mcx_t *mcx,
       mcx_magic_t *magic, nua_handle_t *nh, tagi_t tags[])
{
    struct ua *ua = magic;
    unsigned id = 0;

    (void)phrase;
    (void)mcx;
    (void)nh;
    tl_gets(tags, MCXTAG_KEY_ID_REF(id), TAG_END());
    ua->m[e]++;
    ua->m_status[e] = status;
    ua->m_key[e] = id;
}

static unsigned
free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(s >= 0);
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&a, &n), 0);
    close(s);
    return ntohs(a.sin_port);
}

static void
ua_start(struct ua *ua, bool hold)
{
    struct mcx_text text = { "" };

    snprintf(ua->url, sizeof ua->url, "sip:127.0.0.1:%u;transport=udp",
             free_port());
    ua->answer = 200;
    ua->expires = "3600";
    ua->mcx = mcx_create(
        root, on_mcx, ua, MCXTAG_IDENTITY(ua->server ? "sip:pf@mcx.test"
                                                     : "sip:alice@mcx.test"),
        MCXTAG_PSI("sip:pf@mcx.test"), MCXTAG_MODULES("dbl"),
        MCXTAG_MODULE_DIR(TEST_MODULES), MCXTAG_SET("host-name=h.test"),
        MCXTAG_SET(ua->server ? "role=server" : "role=client"),
        MCXTAG_SET("workers=2"), MCXTAG_SET(queue), MCXTAG_ENV(&env),
        TAG_IF(hold, MCXTAG_CALLBACK(cb)), MCXTAG_NUA_MAGIC(ua),
        MCXTAG_ERROR(&text), TAG_END());
    if (!ua->mcx) {
        fail_msg("mcx_create: %s", text.s);
    }
    ua->nua = nua_create(root, cb, (nua_magic_t *)ua, NUTAG_URL(ua->url),
                         TAG_IF(ua->raw, NUTAG_MEDIA_ENABLE(0)),
                         NUTAG_AUTOALERT(0), NUTAG_AUTOANSWER(0),
                         /* nua would wait and try again after a 503 */
                         NUTAG_RETRY_COUNT(0),
                         TAG_NEXT(mcx_nua_tags(ua->mcx)));
    assert_non_null(ua->nua);
}

static bool
step_until(bool (*done)(void *), void *arg, int ms)
{
    int64_t end = mcx_env_system()->mono_ms(NULL) + ms;

    while (!done(arg)) {
        if (mcx_env_system()->mono_ms(NULL) > end) {
            return false;
        }
        su_root_step(root, 10);
    }
    return true;
}

static bool
never(void *arg)
{
    (void)arg;
    return false;
}

static void
run_ms(int ms)
{
    (void)step_until(never, NULL, ms);
}

struct atleast {
    const unsigned *what;
    unsigned n;
};

static bool
reached(void *arg)
{
    struct atleast *a = arg;

    return *a->what >= a->n;
}

/* Runs the loop until '*what' is at least 'n'. */
static void
wait_n(const unsigned *what, unsigned n, const char *for_what)
{
    struct atleast a = { what, n };

    if (!step_until(reached, &a, 8000)) {
        fail_msg("%s: %u, expected %u", for_what, *what, n);
    }
}
#define WAIT(what, count) wait_n(&(what), (count), #what)

static bool
is_down(void *arg)
{
    return ((struct ua *)arg)->down;
}

static void
ua_stop(struct ua *ua)
{
    if (!ua->nua) {
        return;
    }
    nua_shutdown(ua->nua);
    assert_true(step_until(is_down, ua, 40000));
    nua_destroy(ua->nua);
    mcx_destroy(ua->mcx);
    ua->nua = NULL;
}

struct pair {
    struct ua alice, pf;
};

static void
pair_start(struct pair *p, bool raw, bool hold)
{
    memset(p, 0, sizeof *p);
    memset((void *)ctl, 0, sizeof *ctl);
    atomic_store(&step_ms, 0);
    p->alice.name = "alice";
    p->pf.name = "pf";
    p->pf.server = true;
    p->alice.raw = p->pf.raw = raw;
    ua_start(&p->alice, hold);
    ua_start(&p->pf, hold);
}

static void
pair_stop(struct pair *p)
{
    atomic_store(&ctl->gate_closed, 0);
    ua_stop(&p->alice);
    ua_stop(&p->pf);
}

static uint64_t counted;
static const char *counter_name;
static void
take_counter(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    if (strcmp(name, counter_name) == 0) {
        counted = value;
    }
}

static unsigned
count(struct ua *ua, const char *name)
{
    counted = 0;
    counter_name = name;
    mcx_counters(ua->mcx, take_counter, NULL);
    return (unsigned)counted;
}

static void
download(struct pair *p, const char *word)
{
    nua_handle_t *nh = nua_handle(p->pf.nua, NULL, NUTAG_URL(p->alice.url),
                                  SIPTAG_TO_STR("sip:alice@mcx.test"),
                                  SIPTAG_FROM_STR("sip:pf@mcx.test"),
                                  TAG_END());

    p->pf.nh = nh;
    assert_int_equal(mcx_download(p->pf.mcx, nh, MCXTAG_PEER(word),
                                  TAG_END()), 0);
}

static int
download_status(struct pair *p, const char *word)
{
    unsigned before = p->pf.m[mcx_r_download];

    download(p, word);
    WAIT(p->pf.m[mcx_r_download], before + 1);
    WAIT(p->pf.n[nua_r_message], before + 1);
    nua_handle_destroy(p->pf.nh);
    return p->pf.m_status[mcx_r_download];
}

#define WARNING_136                                                           \
    "399 h.test 136 authentication of the MIKEY-SAKKE I_MESSAGE failed"

/* ---- tables in the background ------------------------------------------- */

static bool
built(void *arg)
{
    static struct ua *ua;
    static unsigned n;

    if (arg) { /* what to wait for */
        ua = ((struct ua **)arg)[0];
        n = count(ua, "tables-built") + 1;
    }
    return count(ua, "tables-built") >= n;
}

/* An own key's tables, and those of a peer who is sealed to again, are built
 * by the pool though nobody asks; a peer who is new has none. */
static void
tables(void **state)
{
    struct mcx_bytes id = mcx_bytes_str("22"), to = mcx_bytes_str("33");
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE], enc[MCX_SAKKE_ENC_SIZE];
    struct mcx_kms_master *master;
    struct mcx_user_key *key;
    struct mcx_kms_pub *pub;
    struct mcx_ssv ssv = { { 1 } };
    struct mcx_ring *ring;
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    struct ua *alice;
    struct pair p;
    int i;

    (void)state;
    pair_start(&p, true, true);
    alice = &p.alice;
    ring = mcx_key_ring(alice->mcx);
    assert_int_equal(mcx_kms_master_new(&master, NULL, mcx_env_system()),
                     MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(master, id, &rsk, &ssk, pvt,
                                          mcx_env_system()), MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, pub, id, &rsk, &ssk, pvt, NULL),
                     MCX_OK);
    assert_false(built(&alice));
    assert_int_equal(mcx_ring_add_user(ring, "sip:x@y", "kms", 1, key),
                     MCX_OK);
    assert_true(step_until(built, NULL, 8000));
    assert_false(built(&alice));
    for (i = 0; i < 2; i++) {
        assert_int_equal(mcx_sakke_seal(enc, pub, to, &ssv), MCX_OK);
        assert_int_equal(mcx_sakke_prepare_due(pub, to), i == 1);
        mcx_ring_sealed_to(ring, pub, to);
    }
    assert_true(step_until(built, NULL, 8000));
    assert_false(mcx_sakke_prepare_due(pub, to));
    pair_stop(&p);
    mcx_user_key_free(key);
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
}

/* ---- MESSAGE ----------------------------------------------------------- */

static void
messages(void **state)
{
    struct pair p;

    (void)state;
    pair_start(&p, true, true);
    assert_int_equal(download_status(&p, "ok"), 200);
    assert_int_equal(p.alice.n[nua_i_message], 0);
    assert_int_equal(download_status(&p, "ok-body"), 200);
    assert_int_equal(p.pf.body_n, 9);
    assert_int_equal(atomic_load(&ctl->settled), 2);

    assert_int_equal(download_status(&p, "bad"), 488);
    assert_string_equal(p.pf.warning[0], WARNING_136);
    assert_string_equal(p.pf.warning[1], "");
    assert_false(p.pf.retry_after);
    assert_int_equal(p.alice.m[mcx_i_refused], 1);
    assert_int_equal(p.alice.m_status[mcx_i_refused], 488);
    assert_int_equal(p.alice.n[nua_i_message], 0);
    assert_int_equal(count(&p.alice, "sip.refused"), 1);

    assert_int_equal(download_status(&p, "world"), 503);
    assert_true(p.pf.retry_after);
    assert_string_equal(p.pf.warning[0], "");
    assert_int_equal(download_status(&p, "ours"), 500);

    /* Given back: the application answers 202 through the saved event. */
    assert_int_equal(download_status(&p, "app"), 202);
    assert_int_equal(p.alice.n[nua_i_message], 1);
    /* So large that nua would move it to TCP. */
    assert_int_equal(download_status(&p, "app-big"), 202);
    assert_string_equal(p.alice.via, "SIP/2.0/UDP");
    assert_int_equal(p.alice.body_n, 20000);
    assert_int_equal(atomic_load(&ctl->not_sent), 0);
    /* No certificate speaks for the peer: where does it belong? */
    assert_int_equal(download_status(&p, "app-found"), 202);
    assert_int_equal(p.alice.body_n, strlen("app-found@kms.found.test"));
    assert_int_equal(download_status(&p, "app-lost"), 202);
    assert_int_equal(p.alice.body_n, strlen("app-lost"));

    /* Not prepared: nothing is sent. */
    download(&p, "unprepared");
    WAIT(p.pf.m[mcx_r_download], 10);
    assert_int_equal(p.pf.m_status[mcx_r_download], 900);
    nua_handle_destroy(p.pf.nh);
    pair_stop(&p);
}

static void
others_pass(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = nua_handle(p.pf.nua, NULL, NUTAG_URL(p.alice.url),
                    SIPTAG_TO_STR("sip:alice@mcx.test"), TAG_END());
    nua_message(nh, SIPTAG_CONTENT_TYPE_STR("text/plain"),
                SIPTAG_PAYLOAD_STR("hello"), TAG_END());
    WAIT(p.pf.n[nua_r_message], 1);
    assert_int_equal(p.pf.status[nua_r_message], 202);
    assert_int_equal(p.alice.n[nua_i_message], 1);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
parked(void **state)
{
    struct pair p;

    (void)state;
    pair_start(&p, true, true);
    download(&p, "park");
    WAIT(p.alice.m[mcx_i_parked], 1);
    run_ms(1200); /* tried again meanwhile, in vain */
    assert_int_equal(p.pf.m[mcx_r_download], 0);
    assert_int_equal(p.alice.m[mcx_i_parked], 1);
    atomic_store(&ctl->keys_arrived, 1);
    assert_int_equal(mcx_reload_keys(p.alice.mcx), 0);
    WAIT(p.pf.m[mcx_r_download], 1);
    assert_int_equal(p.pf.m_status[mcx_r_download], 200);
    assert_true(atomic_load(&ctl->resumed) >= 1);
    nua_handle_destroy(p.pf.nh);

    /* The key never comes. */
    atomic_store(&ctl->keys_arrived, 0);
    download(&p, "park");
    WAIT(p.alice.m[mcx_i_parked], 2);
    atomic_store(&step_ms, 10001);
    WAIT(p.pf.m[mcx_r_download], 2);
    assert_int_equal(p.pf.m_status[mcx_r_download], 488);
    assert_string_equal(p.pf.warning[0], WARNING_136);
    assert_int_equal(p.alice.m[mcx_i_refused], 1);
    nua_handle_destroy(p.pf.nh);
    pair_stop(&p);
}

static void
parking_is_bounded(void **state)
{
    enum { N = 70 };
    nua_handle_t *nh[N];
    struct pair p;

    (void)state;
    pair_start(&p, true, true);
    for (unsigned i = 0; i < N; i++) {
        download(&p, "park");
        nh[i] = p.pf.nh;
        while (i + 1 - count(&p.alice, "sip.judged") > 3) {
            su_root_step(root, 5);
        }
    }
    WAIT(p.pf.m[mcx_r_download], N - 64);
    run_ms(300);
    assert_int_equal(p.pf.m[mcx_r_download], N - 64);
    assert_int_equal(p.alice.m[mcx_i_parked], 64);
    atomic_store(&ctl->keys_arrived, 1);
    WAIT(p.pf.m[mcx_r_download], N);
    for (unsigned i = 0; i < N; i++) {
        nua_handle_destroy(nh[i]);
    }
    pair_stop(&p);
}

static void
over_capacity(void **state)
{
    enum { N = 20 };
    nua_handle_t *nh[N];
    struct pair p;

    (void)state;
    queue = "queue=8";
    pair_start(&p, true, true);
    queue = "queue=256";
    atomic_store(&ctl->gate_closed, 1);
    for (unsigned i = 0; i < N; i++) {
        download(&p, "slow");
        nh[i] = p.pf.nh;
        while (i + 1 != count(&p.alice, "sip.judged")) {
            su_root_step(root, 5);
        }
        if (i == 1) {
            run_ms(300); /* until the workers have taken them */
        }
    }
    /* Two on workers, eight queued: the others hear it at once. */
    WAIT(p.pf.m[mcx_r_download], N - 10);
    assert_int_equal(p.pf.m_status[mcx_r_download], 503);
    assert_true(p.pf.retry_after);
    assert_int_equal(count(&p.alice, "sip.busy"), N - 10);

    /* Held too long: answered by the beat, whatever the judge does. */
    atomic_store(&step_ms, 15001);
    WAIT(p.pf.m[mcx_r_download], N);
    assert_int_equal(p.pf.m_status[mcx_r_download], 503);
    atomic_store(&ctl->gate_closed, 0);
    atomic_store(&step_ms, 0);
    run_ms(200);
    assert_int_equal(atomic_load(&ctl->not_sent), 10);
    assert_int_equal(atomic_load(&ctl->settled), 0);
    assert_int_equal(download_status(&p, "ok"), 200);
    for (unsigned i = 0; i < N; i++) {
        nua_handle_destroy(nh[i]);
    }
    pair_stop(&p);
}

/* Those that wait while the workers are busy are judged together, and each
 * gets its own answer. */
static void
judged_together(void **state)
{
    static const char *const word[] = { "slow", "slow", "ok", "bad", "ok",
                                        "world", "app", "bad", "ok-body",
                                        "ok", "ours", "ok", "bad", "ok" };
    enum { N = sizeof word / sizeof word[0] };
    unsigned good = 0;
    nua_handle_t *nh[N];
    struct pair p;

    (void)state;
    pair_start(&p, true, true);
    atomic_store(&ctl->together, 0);
    atomic_store(&ctl->gate_closed, 1);
    for (unsigned i = 0; i < N; i++) {
        download(&p, word[i]);
        nh[i] = p.pf.nh;
        while (i + 1 != count(&p.alice, "sip.judged")) {
            su_root_step(root, 5);
        }
        if (i < 2) {
            run_ms(150); /* until a worker has taken it */
        }
    }
    assert_int_equal(atomic_load(&ctl->together), 0);
    assert_int_equal(count(&p.alice, "sip.judged-together"), 0);
    atomic_store(&ctl->gate_closed, 0);
    WAIT(p.pf.m[mcx_r_download], N);
    for (unsigned i = 0; i < N; i++) {
        good += strncmp(word[i], "ok", 2) == 0
                || strcmp(word[i], "slow") == 0;
        nua_handle_destroy(nh[i]);
    }
    /* Half of what was queued at first, by the first of two workers. */
    assert_int_equal(atomic_load(&ctl->together), (N - 2) / 2);
    assert_true(count(&p.alice, "sip.judged-together") >= (N - 2) / 2);
    assert_int_equal(count(&p.alice, "sip.answered"), good);
    assert_int_equal(count(&p.alice, "sip.refused"), 5);
    pair_stop(&p);
}

static void
end_while_held(void **state)
{
    struct pair p;

    (void)state;
    pair_start(&p, true, true);
    atomic_store(&ctl->gate_closed, 1);
    for (int i = 0; i < 5; i++) {
        download(&p, "slow");
    }
    download(&p, "park");
    while (count(&p.alice, "sip.judged") < 6) {
        su_root_step(root, 5);
    }
    nua_shutdown(p.alice.nua);
    assert_true(step_until(is_down, &p.alice, 40000));
    nua_destroy(p.alice.nua);
    p.alice.nua = NULL;
    atomic_store(&ctl->gate_closed, 0);
    mcx_destroy(p.alice.mcx);
    WAIT(p.pf.m[mcx_r_download], 6);
    assert_true(p.pf.m_status[mcx_r_download] >= 400);
    ua_stop(&p.pf);
}

/* ---- REGISTER and PUBLISH ---------------------------------------------- */

static nua_handle_t *
client_handle(struct pair *p)
{
    return nua_handle(p->alice.nua, NULL, SIPTAG_TO_STR("sip:alice@mcx.test"),
                      SIPTAG_FROM_STR("sip:alice@mcx.test"),
                      NUTAG_REGISTRAR(p->pf.url), NUTAG_PROXY(p->pf.url),
                      TAG_END());
}

static void
upload_and_refresh(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    p.pf.expires = "4";
    nh = client_handle(&p);
    assert_int_equal(mcx_register(p.alice.mcx, nh,
                                  SIPTAG_TO_STR("sip:alice@mcx.test"),
                                  SIPTAG_EXPIRES_STR("4"), TAG_END()), 0);
    WAIT(p.alice.n[nua_r_register], 1);
    assert_int_equal(p.alice.status[nua_r_register], 200);
    assert_int_equal(p.alice.m_status[mcx_r_register], 200);
    assert_int_equal(p.pf.bodies, 1);
    /* The plain one that follows is not the application's business. */
    WAIT(p.pf.n_register, 2);
    run_ms(200);
    assert_int_equal(p.alice.n[nua_r_register], 1);
    assert_int_equal(p.pf.bodies, 1);

    /* nua and we both refresh meanwhile: fresh bodies or none. */
    run_ms(4500);
    assert_true(p.pf.n_register > 3);
    assert_true(p.pf.bodies >= 3);
    assert_int_equal(p.pf.bodies, atomic_load(&ctl->uploads));
    assert_int_equal(atomic_load(&ctl->replays), 0);

    p.pf.bodies = 0;
    assert_int_equal(mcx_unregister(p.alice.mcx, nh, TAG_END()), 0);
    /* TEST TS 33.180 5.11: the one in use and those that it replaced. */
    assert_int_equal(mcx_keys_count(mcx_key_store(p.alice.mcx)), 0);
    WAIT(p.alice.n[nua_r_unregister], 1);
    assert_int_equal(p.alice.status[nua_r_unregister], 200);
    assert_int_equal(p.pf.bodies, 0);
    run_ms(1500);
    assert_int_equal(p.pf.bodies, 0);
    assert_int_equal(atomic_load(&ctl->replays), 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
unregister_at_once(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = client_handle(&p);
    assert_int_equal(mcx_register(p.alice.mcx, nh, TAG_END()), 0);
    WAIT(p.alice.n[nua_r_register], 1);
    assert_int_equal(mcx_unregister(p.alice.mcx, nh, TAG_END()), 0);
    WAIT(p.alice.n[nua_r_unregister], 1);
    assert_int_equal(p.alice.status[nua_r_unregister], 200);
    assert_int_equal(p.pf.bodies, 1);
    assert_int_equal(atomic_load(&ctl->replays), 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
retried_once(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = client_handle(&p);
    atomic_store(&ctl->refuse_next, 1);
    assert_int_equal(mcx_register(p.alice.mcx, nh, TAG_END()), 0);
    WAIT(p.alice.n[nua_r_register], 1);
    assert_int_equal(p.alice.status[nua_r_register], 200);
    assert_int_equal(atomic_load(&ctl->uploads), 2);
    assert_int_equal(p.pf.m[mcx_i_refused], 1);
    run_ms(100);

    atomic_store(&ctl->refuse_next, 2);
    assert_int_equal(mcx_register(p.alice.mcx, nh, TAG_END()), 0);
    WAIT(p.alice.n[nua_r_register], 2);
    assert_int_equal(p.alice.status[nua_r_register], 488);
    assert_string_equal(p.alice.warning[0], WARNING_136);
    assert_int_equal(p.alice.m_status[mcx_r_register], 488);
    assert_int_equal(atomic_load(&ctl->uploads), 4);
    assert_int_equal(atomic_load(&ctl->replays), 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
publish(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = nua_handle(p.alice.nua, NULL, NUTAG_URL(p.pf.url),
                    SIPTAG_TO_STR("sip:pf@mcx.test"), TAG_END());
    assert_int_equal(mcx_publish(p.alice.mcx, nh, TAG_END()), 0);
    WAIT(p.alice.m[mcx_r_publish], 1);
    assert_int_equal(p.alice.m_status[mcx_r_publish], 200);
    assert_int_equal(p.alice.n[nua_r_method], 1);
    run_ms(1500);
    assert_int_equal(atomic_load(&ctl->published), 1);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

/* A multipart body that is none: a server refuses, a key may hide in it. */
static void
malformed_body(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = client_handle(&p);
    nua_register(nh, SIPTAG_CONTENT_TYPE_STR("multipart/mixed;boundary=b"),
                 SIPTAG_PAYLOAD_STR("--b\r\nContent-Type: application/mikey"
                                    "\r\n\r\nok\r\n"), TAG_END());
    WAIT(p.alice.n[nua_r_register], 1);
    assert_true(p.alice.status[nua_r_register] == 488 ||
                p.alice.status[nua_r_register] == 415);
    assert_int_equal(p.pf.n_register, 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

/* ---- calls ------------------------------------------------------------- */

static nua_handle_t *
call(struct pair *p, const char *word)
{
    nua_handle_t *nh = nua_handle(p->pf.nua, NULL, NUTAG_URL(p->alice.url),
                                  SIPTAG_TO_STR("sip:alice@mcx.test"),
                                  SIPTAG_FROM_STR("sip:pf@mcx.test"),
                                  TAG_END());

    p->pf.nh = nh;
    if (p->pf.raw) {
        assert_int_equal(
            mcx_invite(p->pf.mcx, nh, MCXTAG_PEER(word),
                       SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                       SIPTAG_PAYLOAD_STR(SDP), TAG_END()), 0);
    } else {
        assert_int_equal(
            mcx_invite(p->pf.mcx, nh, MCXTAG_PEER(word),
                       SOATAG_USER_SDP_STR(SDP), TAG_END()), 0);
    }
    return nh;
}

static void
expect_keys(struct pair *p)
{
    MCX_SECRET(mcx_srtp_policy, out);
    MCX_SECRET(mcx_srtp_policy, in);

    for (int dir = 0; dir < 2; dir++) {
        assert_int_equal(mcx_srtp_policy(p->pf.mcx, p->pf.nh, dir, &out),
                         MCX_OK);
        assert_int_equal(mcx_srtp_policy(p->alice.mcx, p->alice.nh, !dir,
                                         &in), MCX_OK);
        assert_int_equal(out.cs_id, in.cs_id);
        assert_int_equal(out.key_size, 16);
        assert_memory_equal(out.key, in.key, sizeof out.key);
        assert_int_equal(out.cs_id, dir ? MCX_CS_MCPTT_INITIATOR
                                        : MCX_CS_MCPTT_RESPONDER);
    }
}

static void
keyed_call(bool raw, bool hold)
{
    struct pair p;
    nua_handle_t *nh;
    uint32_t first;

    pair_start(&p, raw, hold);
    nh = call(&p, "ok");
    WAIT(p.pf.m[mcx_i_call_key], 1);
    WAIT(p.alice.m[mcx_i_call_key], 1);
    WAIT(p.pf.n[nua_i_active], 1);
    WAIT(p.alice.n[nua_i_active], 1);
    assert_non_null(strstr(p.alice.sdp, "a=key-mgmt:mikey ok-1"));
    assert_null(strstr(p.pf.sdp, "key-mgmt"));
    assert_int_equal(p.alice.n[nua_i_invite], 1);
    first = p.pf.m_key[mcx_i_call_key];
    assert_int_equal(first, 0x10000001);
    assert_int_equal(p.alice.m_key[mcx_i_call_key], first);
    WAIT(p.pf.m[mcx_i_key], 1);
    WAIT(p.alice.m[mcx_i_key], 1);
    expect_keys(&p);

    nua_bye(nh, TAG_END());
    WAIT(p.pf.m[mcx_i_key_wiped], 1);
    WAIT(p.alice.m[mcx_i_key_wiped], 1);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.pf.mcx)), 0);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.alice.mcx)), 0);
    WAIT(p.pf.n[nua_i_terminated], 1);
    nua_handle_destroy(nh);
    if (p.alice.nh) {
        nua_handle_destroy(p.alice.nh);
    }
    pair_stop(&p);
}

static void
raw_call(void **state)
{
    (void)state;
    keyed_call(true, true);
}

static void
soa_call(void **state)
{
    (void)state;
    keyed_call(false, true);
}

static void
soa_call_not_held(void **state)
{
    (void)state;
    keyed_call(false, false);
}

static void
refused_call(bool raw, bool hold, const char *word)
{
    struct pair p;
    nua_handle_t *nh;

    pair_start(&p, raw, hold);
    nh = call(&p, word);
    WAIT(p.pf.n[nua_r_invite], 1);
    assert_int_equal(p.pf.status[nua_r_invite], 488);
    assert_non_null(strstr(p.pf.warning[0], "399 "));
    assert_non_null(strstr(p.pf.warning[0],
                           "136 authentication of the MIKEY-SAKKE"));
    if (strcmp(word, "bad306") == 0) {
        assert_non_null(strstr(p.pf.warning[1], "306 "));
    } else {
        assert_string_equal(p.pf.warning[1], "");
    }
    WAIT(p.alice.m[mcx_i_refused], 1);
    if (hold) {
        run_ms(200);
        assert_int_equal(p.alice.n[nua_i_invite], 0);
        assert_int_equal(p.alice.n[nua_i_state], 0);
    }
    assert_int_equal(mcx_keys_count(mcx_key_store(p.pf.mcx)), 0);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.alice.mcx)), 0);
    assert_int_equal(p.alice.m[mcx_i_call_key], 0);
    assert_int_equal(p.pf.m[mcx_i_call_key], 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
refused_calls(void **state)
{
    (void)state;
    refused_call(true, true, "bad");
    refused_call(true, true, "bad306");
    refused_call(false, true, "bad");
    refused_call(false, false, "bad");
}

static void
parked_call(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    nh = call(&p, "park");
    WAIT(p.alice.m[mcx_i_parked], 1);
    run_ms(600);
    assert_int_equal(p.alice.n[nua_i_invite], 0);
    atomic_store(&ctl->keys_arrived, 1);
    WAIT(p.pf.n[nua_i_active], 1);
    expect_keys(&p);
    nua_handle_destroy(nh);
    WAIT(p.alice.m[mcx_i_key_wiped], 1);
    pair_stop(&p);

    pair_start(&p, true, true);
    nh = call(&p, "park");
    WAIT(p.alice.m[mcx_i_parked], 1);
    atomic_store(&step_ms, 10001);
    WAIT(p.pf.n[nua_r_invite], 1);
    assert_int_equal(p.pf.status[nua_r_invite], 488);
    assert_int_equal(p.alice.n[nua_i_invite], 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
cancelled_while_held(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    atomic_store(&ctl->gate_closed, 1);
    nh = call(&p, "slow");
    while (atomic_load(&ctl->offers) == 0) {
        su_root_step(root, 5);
    }
    nua_cancel(nh, TAG_END());
    WAIT(p.pf.n[nua_r_invite], 1);
    assert_int_equal(p.pf.status[nua_r_invite], 487);
    assert_int_equal(p.alice.n[nua_i_invite], 0);
    atomic_store(&ctl->gate_closed, 0);
    /* All of it comes, in order, and the key goes. */
    WAIT(p.alice.n[nua_i_invite], 1);
    WAIT(p.alice.n[nua_i_cancel], 1);
    run_ms(200);
    assert_int_equal(p.alice.state, nua_callstate_terminated);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.alice.mcx)), 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static bool
no_keys(void *arg)
{
    return mcx_keys_count(mcx_key_store(((struct ua *)arg)->mcx)) == 0;
}

/* Rings for longer than a record without an INVITE lives; then the caller's
 * handle is destroyed, of which no event tells. */
static void
long_ringing(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    p.alice.answer = 0;
    nh = call(&p, "ok");
    WAIT(p.alice.n[nua_i_invite], 1);
    run_ms(1000 * (MCXS_CALL_IDLE_S + 2));
    p.alice.answer = 200;
    answer_call(&p.alice, p.alice.nh);
    WAIT(p.pf.n[nua_i_active], 1);
    WAIT(p.alice.n[nua_i_active], 1);
    expect_keys(&p);
    nua_handle_destroy(nh);
    assert_true(step_until(no_keys, &p.alice, 6000));
    assert_true(step_until(no_keys, &p.pf, 6000));
    nua_handle_destroy(p.alice.nh);
    pair_stop(&p);
}

/* The application does not take the call: the key goes. */
static void
declined(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, true, true);
    p.alice.answer = 486;
    nh = call(&p, "ok");
    WAIT(p.pf.n[nua_r_invite], 1);
    assert_int_equal(p.pf.status[nua_r_invite], 486);
    WAIT(p.alice.m[mcx_i_key_wiped], 1);
    WAIT(p.pf.m[mcx_i_key_wiped], 1);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.pf.mcx)), 0);
    assert_int_equal(mcx_keys_count(mcx_key_store(p.alice.mcx)), 0);
    nua_handle_destroy(nh);
    pair_stop(&p);
}

static void
re_invite(struct pair *p, nua_handle_t *nh, const char *word)
{
    if (p->pf.raw) {
        assert_int_equal(
            mcx_invite(p->pf.mcx, nh, TAG_IF(word, MCXTAG_PEER(word)),
                       SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                       SIPTAG_PAYLOAD_STR(SDP), TAG_END()), 0);
    } else {
        assert_int_equal(mcx_invite(p->pf.mcx, nh,
                                    TAG_IF(word, MCXTAG_PEER(word)),
                                    TAG_END()), 0);
    }
}

static void
re_keyed(bool raw)
{
    struct pair p;
    nua_handle_t *nh, *chat;
    int offers;

    pair_start(&p, raw, true);
    nh = call(&p, "ok");
    WAIT(p.pf.n[nua_i_active], 1);
    WAIT(p.alice.n[nua_i_active], 1);
    expect_keys(&p);
    run_ms(100);

    /* Refused: old keys stay, the call too. */
    re_invite(&p, nh, "bad");
    WAIT(p.pf.n[nua_r_invite], 2);
    assert_int_equal(p.pf.status[nua_r_invite], 488);
    assert_non_null(strstr(p.pf.warning[0], "136 authentication"));
    run_ms(300);
    expect_keys(&p);
    assert_int_equal(p.pf.state, nua_callstate_ready);

    /* Taken: both ends change, and the stack does not stand meanwhile. */
    atomic_store(&ctl->gate_closed, 1);
    re_invite(&p, nh, "slow");
    run_ms(200);
    assert_int_equal(p.pf.n[nua_r_invite], 2);
    chat = nua_handle(p.pf.nua, NULL, NUTAG_URL(p.alice.url),
                      SIPTAG_TO_STR("sip:alice@mcx.test"), TAG_END());
    nua_message(chat, SIPTAG_CONTENT_TYPE_STR("text/plain"),
                SIPTAG_PAYLOAD_STR("hello"), TAG_END());
    WAIT(p.pf.n[nua_r_message], 1);
    assert_int_equal(p.pf.status[nua_r_message], 202);
    assert_int_equal(p.pf.n[nua_r_invite], 2);
    nua_handle_destroy(chat);
    atomic_store(&ctl->gate_closed, 0);
    WAIT(p.pf.n[nua_r_invite], 3);
    assert_int_equal(p.pf.status[nua_r_invite], 200);
    WAIT(p.pf.m[mcx_i_call_key], 2);
    WAIT(p.alice.m[mcx_i_call_key], 2);
    WAIT(p.alice.m[mcx_i_key_retired], 1);
    assert_int_equal(p.pf.m_key[mcx_i_call_key], 0x10000003);
    assert_int_equal(p.alice.m_key[mcx_i_call_key], 0x10000003);
    run_ms(100);
    expect_keys(&p);
    assert_int_equal(p.alice.n[nua_i_invite], 2);
    assert_int_equal(p.alice.status[nua_i_invite], raw ? 100 : 200);
    assert_int_equal(p.alice.n[nua_r_set_params], 0);

    /* With the engine the same line again: neither judged nor changed. */
    offers = atomic_load(&ctl->offers);
    re_invite(&p, nh, raw ? "same" : NULL);
    WAIT(p.pf.n[nua_r_invite], 4);
    assert_int_equal(p.pf.status[nua_r_invite], 200);
    run_ms(100);
    assert_int_equal(p.alice.m[mcx_i_key], raw ? 3 : 2);
    assert_int_equal(atomic_load(&ctl->offers), offers + raw);
    expect_keys(&p);

    nua_bye(nh, TAG_END());
    WAIT(p.pf.n[nua_i_terminated], 1);
    WAIT(p.alice.n[nua_i_terminated], 1);
    nua_handle_destroy(nh);
    nua_handle_destroy(p.alice.nh);
    pair_stop(&p);
}

static void
re_key_raw(void **state)
{
    (void)state;
    re_keyed(true);
}

static void
re_key_soa(void **state)
{
    (void)state;
    re_keyed(false);
}

/* One line changed: a plain nua_invite() that names the peer. */
static void
plain_invite(void **state)
{
    struct pair p;
    nua_handle_t *nh;

    (void)state;
    pair_start(&p, false, true);
    nh = nua_handle(p.pf.nua, NULL, NUTAG_URL(p.alice.url),
                    SIPTAG_TO_STR("sip:alice@mcx.test"),
                    SIPTAG_FROM_STR("sip:pf@mcx.test"), TAG_END());
    p.pf.nh = nh;
    nua_invite(nh, SOATAG_USER_SDP_STR(SDP), MCXTAG_PEER("ok"), TAG_END());
    WAIT(p.pf.n[nua_i_active], 1);
    WAIT(p.alice.n[nua_i_active], 1);
    expect_keys(&p);
    nua_bye(nh, TAG_END());
    WAIT(p.pf.n[nua_i_terminated], 1);
    WAIT(p.alice.n[nua_i_terminated], 1);
    nua_handle_destroy(nh);
    nua_handle_destroy(p.alice.nh);
    pair_stop(&p);
}

/* ---- making ------------------------------------------------------------ */

static void
create_says_why(void **state)
{
    struct mcx_text text = { "" };

    (void)state;
    assert_null(mcx_create(root, on_mcx, NULL, MCXTAG_MODULES("dbl nobody"),
                           MCXTAG_MODULE_DIR(TEST_MODULES), MCXTAG_ENV(&env),
                           MCXTAG_ERROR(&text), TAG_END()));
    assert_non_null(strstr(text.s, "module nobody: no nobody.so in"));
    assert_null(mcx_create(root, on_mcx, NULL, MCXTAG_SET("role=boss"),
                           MCXTAG_ENV(&env), MCXTAG_ERROR(&text), TAG_END()));
    assert_string_equal(text.s, "role = boss: expected client or server");
    assert_null(mcx_create(root, on_mcx, NULL, MCXTAG_SET("monthly-tel=x"),
                           MCXTAG_ENV(&env), MCXTAG_ERROR(&text), TAG_END()));
    assert_string_equal(text.s, "monthly-tel = x: expected yes or no");
    assert_null(mcx_create(root, on_mcx, NULL, MCXTAG_SET("nonsense"),
                           MCXTAG_ENV(&env), MCXTAG_ERROR(&text), TAG_END()));
    assert_null(mcx_create(root, on_mcx, NULL, MCXTAG_SET("workers=x"),
                           MCXTAG_ENV(&env), MCXTAG_ERROR(&text), TAG_END()));
    assert_null(mcx_create(root, on_mcx, NULL,
                           MCXTAG_CONFIG("/nonexistent/x.conf"),
                           MCXTAG_ENV(&env), MCXTAG_ERROR(&text), TAG_END()));
    assert_string_equal(mcx_event_name(mcx_r_invite), "mcx_r_invite");
}

/* ---- tokens ------------------------------------------------------------ */

struct asked {
    unsigned n;
    int status;
    char kms_uri[64];
};

static void
on_token(mcx_t *mcx, mcx_magic_t *magic, char const *kms_uri, int status)
{
    struct asked *a = magic;

    a->n++;
    a->status = status;
    snprintf(a->kms_uri, sizeof a->kms_uri, "%s", kms_uri);
    assert_int_equal(mcx_token(mcx, "second"), 0); /* at once, from within */
}

/* What the application gives is what modules get; they ask from the pool, it
 * hears on its loop. */
static void
tokens(void **state)
{
    static char big[MCX_TOKEN_MAX + 2];
    const struct mcx_host *host;
    struct asked asked = { 0 };
    char out[MCX_TOKEN_MAX + 1];
    mcx_t *mcx;

    (void)state;
    mcx = mcx_create(root, on_mcx, NULL, MCXTAG_IDENTITY("sip:a@mcx.test"),
                     MCXTAG_ENV(&env), TAG_END());
    assert_non_null(mcx);
    host = &mcx->host.table;
    assert_int_equal(host->token(host, out, sizeof out), MCX_E_UNSUPPORTED);
    host->token_wanted(host, "kms.test", 401); /* nobody is there to hear */
    mcx_destroy(mcx);

    mcx = mcx_create(root, on_mcx, (mcx_magic_t *)&asked,
                     MCXTAG_IDENTITY("sip:a@mcx.test"),
                     MCXTAG_TOKEN_CALLBACK(on_token), MCXTAG_ENV(&env),
                     TAG_END());
    assert_non_null(mcx);
    host = &mcx->host.table;
    assert_int_equal(host->token(host, out, sizeof out), MCX_E_NO_KEY);
    assert_int_equal(mcx_token(mcx, "first"), 0);
    assert_int_equal(host->token(host, out, sizeof out), MCX_OK);
    assert_string_equal(out, "first");
    assert_int_equal(host->token(host, out, 5), MCX_E_TOOBIG);
    assert_int_equal(mcx_token(mcx, ""), -1);
    assert_int_equal(mcx_token(mcx, "a b"), -1);
    assert_int_equal(mcx_token(mcx, "a\r\nX: y"), -1);
    memset(big, 'x', MCX_TOKEN_MAX + 1);
    assert_int_equal(mcx_token(mcx, big), -1);
    assert_int_equal(host->token(host, out, sizeof out), MCX_OK);
    assert_string_equal(out, "first");
    big[MCX_TOKEN_MAX] = '\0';
    assert_int_equal(mcx_token(mcx, big), 0);
    assert_int_equal(host->token(host, out, sizeof out), MCX_OK);
    assert_string_equal(out, big);
    assert_int_equal(mcx_token(mcx, NULL), 0);
    assert_int_equal(host->token(host, out, sizeof out), MCX_E_NO_KEY);
    host->token_wanted(host, "kms.test", 403);
    assert_int_equal(asked.n, 0);
    WAIT(asked.n, 1);
    assert_int_equal(asked.status, 403);
    assert_string_equal(asked.kms_uri, "kms.test");
    assert_int_equal(host->token(host, out, sizeof out), MCX_OK);
    assert_string_equal(out, "second");
    /* One that is under way when everything ends is not heard. */
    host->token_wanted(host, "kms.test", 401);
    mcx_destroy(mcx);
    assert_int_equal(asked.n, 1);
}

int
main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_says_why),
        cmocka_unit_test(tokens),
        cmocka_unit_test(tables),
        cmocka_unit_test(messages),
        cmocka_unit_test(others_pass),
        cmocka_unit_test(parked),
        cmocka_unit_test(parking_is_bounded),
        cmocka_unit_test(over_capacity),
        cmocka_unit_test(judged_together),
        cmocka_unit_test(end_while_held),
        cmocka_unit_test(upload_and_refresh),
        cmocka_unit_test(unregister_at_once),
        cmocka_unit_test(retried_once),
        cmocka_unit_test(publish),
        cmocka_unit_test(malformed_body),
        cmocka_unit_test(raw_call),
        cmocka_unit_test(soa_call),
        cmocka_unit_test(soa_call_not_held),
        cmocka_unit_test(refused_calls),
        cmocka_unit_test(parked_call),
        cmocka_unit_test(cancelled_while_held),
        cmocka_unit_test(long_ringing),
        cmocka_unit_test(declined),
        cmocka_unit_test(re_key_raw),
        cmocka_unit_test(re_key_soa),
        cmocka_unit_test(plain_invite),
    };
    void *so;
    int failed;

    threaded = argc < 2 || strcmp(argv[1], "single") != 0;
    if (getenv("TEST_ONLY")) {
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    }
    env = *mcx_env_system();
    env.mono_ms = mono_ms;
    env.log = no_log;
    so = dlopen(TEST_MODULES "/dbl.so", RTLD_NOW | RTLD_LOCAL);
    ctl = so ? dlsym(so, "dbl_control") : NULL;
    if (!ctl) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    su_init();
    root = su_root_create(NULL);
    su_root_threading(root, threaded);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    su_root_destroy(root);
    su_deinit();
    return failed;
}
