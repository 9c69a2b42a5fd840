/* test_host.c -- see test_host.h. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test_host.h"
#include "vec.h"

static struct {
    int64_t now_ms, mono_ms;
    struct mcx_kms_master *master;
    struct mcx_kms_pub *pub;
    struct mcx_kms_info info;
    struct th all; /* holds everybody's keys */
} world;

/* ---- environment ------------------------------------------------------- */

static int64_t
env_unix_ms(void *ctx)
{
    (void)ctx;
    return world.now_ms;
}

static int64_t
env_mono_ms(void *ctx)
{
    (void)ctx;
    return world.mono_ms;
}

static mcx_err
env_random(void *ctx, void *out, size_t n)
{
    const struct mcx_env *real = mcx_env_system();

    (void)ctx;
    return real->random(real->ctx, out, n);
}

static mcx_err
env_read_file(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    const struct th *t = ctx;

    (void)path;
    if (!t->file) {
        return MCX_E_IO;
    }
    if (strlen(t->file) > max) {
        return MCX_E_TOOBIG;
    }
    *out = strdup(t->file);
    *n = strlen(t->file);
    return *out ? MCX_OK : MCX_E_NOMEM;
}

static void
env_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    struct th *t = ctx;
    size_t at = strlen(t->log);

    (void)area;
    (void)level;
    snprintf(t->log + at, sizeof t->log - at, "%s\n", line);
}

/* ---- host table -------------------------------------------------------- */

static const char *
host_option(const struct mcx_host *host, const char *module, const char *name)
{
    const struct th *t = host->impl;

    for (size_t i = 0; i < t->n_set; i++) {
        if (strcmp(t->set[i].module, module) == 0
            && strcmp(t->set[i].name, name) == 0) {
            return t->set[i].value;
        }
    }
    return NULL;
}

static unsigned
host_peer(const struct mcx_host *host, const char *uri)
{
    const struct th *t = host->impl;

    assert_non_null(uri);
    return t->peer_bits;
}

static void
host_count(const struct mcx_host *host, const char *name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct th *t = host->impl;
    size_t i = 0;

    pthread_mutex_lock(&lock); /* judges run side by side */
    while (i < t->n_counters && strcmp(t->counter[i].name, name) != 0) {
        i++;
    }
    if (i == t->n_counters) {
        assert_true(i < sizeof t->counter / sizeof *t->counter);
        t->counter[t->n_counters++].name = name;
    }
    t->counter[i].n++;
    pthread_mutex_unlock(&lock);
}

static const void *
host_feature(const struct mcx_host *host, const char *name)
{
    (void)host;
    (void)name;
    return NULL;
}

static void
host_event(const struct mcx_host *host, enum mcx_event_kind kind,
           const struct mcx_key_info *info, mcx_err err,
           const struct mcx_why *why, const char *who)
{
    (void)host;
    (void)kind;
    (void)info;
    (void)err;
    (void)why;
    (void)who;
}

/* ---- world ------------------------------------------------------------- */

static int64_t
ntp_s(void)
{
    return world.now_ms / 1000 + MCX_NTP_UNIX_DIFF;
}

uint64_t
th_period(void)
{
    uint64_t no = 0;

    assert_int_equal(mcx_period_no(&no, &world.info.period, ntp_s()), MCX_OK);
    return no;
}

int64_t
th_period_start_ms(uint64_t no)
{
    return (mcx_period_start(&world.info.period, no) - MCX_NTP_UNIX_DIFF)
           * 1000;
}

int64_t
th_now(void)
{
    return world.now_ms;
}

void
th_set_now(int64_t unix_ms)
{
    world.mono_ms += unix_ms > world.now_ms ? unix_ms - world.now_ms : 0;
    world.now_ms = unix_ms;
}

void
th_step(int64_t ms)
{
    world.now_ms += ms;
    world.mono_ms += ms;
}

void
th_world_new(void)
{
    static const char *const everybody[]
        = { TH_PSI, TH_ALICE, TH_BOB, TH_MALLORY };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];

    memset(&world, 0, sizeof world);
    world.now_ms = INT64_C(1796072400000); /* 2026-11-30 21:00 UTC */
    world.mono_ms = 1000;
    world.info.period.length_s = TH_PERIOD_S;
    snprintf(world.info.uri, sizeof world.info.uri, "%s", TH_KMS);
    world.now_ms = th_period_start_ms(th_period()) + TH_PERIOD_S * 500LL;
    assert_int_equal(mcx_kms_master_new(&world.master, NULL,
                                        mcx_env_system()),
                     MCX_OK);
    mcx_kms_master_public(z, kpak, world.master);
    assert_int_equal(mcx_kms_pub_new(&world.pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    th_new(&world.all, MCX_ROLE_CLIENT, "", "");
    for (size_t i = 0; i < sizeof everybody / sizeof *everybody; i++) {
        th_issue(&world.all, everybody[i], th_period());
    }
}

void
th_world_free(void)
{
    th_free(&world.all);
    mcx_kms_pub_free(world.pub);
    mcx_kms_master_free(world.master);
}

/* ---- parties ----------------------------------------------------------- */

void
th_new(struct th *t, enum mcx_role role, const char *self, const char *psi)
{
    memset(t, 0, sizeof *t);
    t->env = *mcx_env_system();
    t->env.ctx = t;
    t->env.unix_ms = env_unix_ms;
    t->env.mono_ms = env_mono_ms;
    t->env.random = env_random;
    t->env.read_file = env_read_file;
    t->env.log = env_log;
    t->host.abi = MCX_MODULE_ABI;
    t->host.size = sizeof t->host;
    t->host.impl = t;
    t->host.env = &t->env;
    t->host.role = role;
    t->host.self = self;
    t->host.psi = psi;
    t->host.host_name = "test";
    t->host.option = host_option;
    t->host.peer = host_peer;
    t->host.feature = host_feature;
    t->host.event = host_event;
    t->host.count = host_count;
    assert_int_equal(mcx_ring_new(&t->host.ring, &t->env), MCX_OK);
    assert_int_equal(mcx_keys_new(&t->host.keys, &t->env, 1000), MCX_OK);
    assert_int_equal(mcx_replay_new(&t->host.replay, 10000), MCX_OK);
    assert_int_equal(mcx_ring_add_kms(t->host.ring, &world.info, world.pub),
                     MCX_OK);
}

void
th_free(struct th *t)
{
    mcx_keys_free(t->host.keys);
    mcx_replay_free(t->host.replay);
    mcx_ring_free(t->host.ring);
}

void
th_issue(struct th *t, const char *uri, uint64_t no)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    struct mcx_uid uid;

    assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(TH_KMS),
                             &world.info.period, no),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(world.master,
                                          mcx_bytes(uid.b, sizeof uid.b),
                                          &rsk, &ssk, pvt, mcx_env_system()),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, world.pub,
                                      mcx_bytes(uid.b, sizeof uid.b), &rsk,
                                      &ssk, pvt, NULL),
                     MCX_OK);
    assert_int_equal(mcx_ring_add_user(t->host.ring, uri, TH_KMS, no, key),
                     MCX_OK);
    mcx_user_key_free(key);
}

void
th_set_option(struct th *t, const char *module, const char *name,
              const char *value)
{
    assert_true(t->n_set < sizeof t->set / sizeof *t->set);
    snprintf(t->set[t->n_set].module, sizeof t->set[0].module, "%s", module);
    snprintf(t->set[t->n_set].name, sizeof t->set[0].name, "%s", name);
    snprintf(t->set[t->n_set].value, sizeof t->set[0].value, "%s", value);
    t->n_set++;
}

unsigned
th_counted(const struct th *t, const char *name)
{
    for (size_t i = 0; i < t->n_counters; i++) {
        if (strcmp(t->counter[i].name, name) == 0) {
            return t->counter[i].n;
        }
    }
    return 0;
}

static void
write_key(void *arg, const struct mcx_key_info *info)
{
    char *out = arg;
    size_t at = strlen(out);

    if (info->state != MCX_KEY_WIPED) {
        snprintf(out + at, TH_STATE - at, "%u %08x %s <%s> <%s>\n",
                 info->kind, (unsigned)info->key_id,
                 mcx_key_state_word(info->state), info->owner.impu,
                 info->owner.mc_id);
    }
}

void
th_keys(struct th *t, char out[TH_STATE])
{
    struct mcx_key *now;
    size_t at;

    memset(out, 0, TH_STATE);
    mcx_keys_each(t->host.keys, write_key, out);
    now = mcx_keys_current(t->host.keys, MCX_KIND_CSK, "", "");
    if (now) {
        char hex[2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1];
        th_tek(now, hex);
        mcx_key_unref(now);
        at = strlen(out);
        snprintf(out + at, TH_STATE - at, "%s\n", hex);
    }
}

void
th_tek(struct mcx_key *key, char out[2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1])
{
    MCX_SECRET(mcx_tek, tek);
    uint8_t both[MCX_TEK_MAX + MCX_SALT_MAX];

    assert_int_equal(mcx_key_tek(&tek, key, MCX_CS_MCPTT_CSK), MCX_OK);
    assert_int_equal(tek.key_size, 16);
    memcpy(both, tek.key, tek.key_size);
    memcpy(both + tek.key_size, tek.salt, tek.salt_size);
    assert_int_equal(
        mcx_hex_encode(out, 2 * (MCX_TEK_MAX + MCX_SALT_MAX) + 1,
                       mcx_bytes(both,
                                 (size_t)tek.key_size + tek.salt_size)),
        MCX_OK);
}

struct mcx_key *
th_current(struct th *t, unsigned kind, const char *mc_id)
{
    struct mcx_key *key
        = mcx_keys_current(t->host.keys, kind, NULL, mc_id);

    assert_non_null(key);
    return key;
}

/* ---- messages ---------------------------------------------------------- */

void
th_build(struct th_msg *out, const struct mcx_build *how)
{
    struct mcx_build full = *how;
    struct mcx_why why = { 0 };

    full.env = &world.all.env;
    full.ring = world.all.host.ring;
    out->n = sizeof out->b;
    assert_int_equal(mcx_mikey_build(out->b, &out->n, NULL, &full, &why),
                     MCX_OK);
}

void
th_good(struct th_msg *out, const struct th_route *route)
{
    struct mcx_build how
        = { .kind = route->kind, .from = route->from, .to = route->to };

    th_build(out, &how);
}

static void
parsed(struct mcx_mikey_msg *msg, const struct th_msg *m)
{
    struct mcx_why why = { 0 };

    assert_int_equal(mcx_mikey_parse(msg, mcx_bytes(m->b, m->n), &why),
                     MCX_OK);
}

void
th_sign(struct th_msg *m, const char *uri)
{
    struct mcx_user_key *key = NULL;

    assert_int_equal(mcx_ring_user(world.all.host.ring, uri, th_period(),
                                   &key),
                     MCX_OK);
    assert_int_equal(
        mcx_eccsi_sign(m->b + m->n - MCX_ECCSI_SIG_SIZE, key,
                       mcx_bytes(m->b, m->n - MCX_ECCSI_SIG_SIZE),
                       &world.all.env),
        MCX_OK);
    mcx_user_key_free(key);
}

/* ---- bad rows ---------------------------------------------------------- */

typedef void bad_f(struct th_msg *m, const struct th_route *r);

/* r and s of the signature: 32 octets each, 129 from the end. */
static uint8_t *
sig_r(struct th_msg *m)
{
    return m->b + m->n - MCX_ECCSI_SIG_SIZE;
}

static size_t
sakke_data(const struct th_msg *m)
{
    struct mcx_mikey_msg msg;

    parsed(&msg, m);
    return (size_t)(msg.sakke.data.p - m->b);
}

static void
bad_from(struct th_msg *m, const struct th_route *r)
{
    struct th_route other = *r;

    other.from = TH_MALLORY;
    th_good(m, &other);
}

static void
bad_from_uid(struct th_msg *m, const struct th_route *r)
{
    struct mcx_build how = { .kind = r->kind, .from = TH_MALLORY,
                             .to = r->to, .hide_initiator = true };

    th_build(m, &how);
}

static void
bad_to(struct th_msg *m, const struct th_route *r)
{
    struct th_route other = *r;

    other.to = r->to_other;
    th_good(m, &other);
}

static void
bad_to_uid(struct th_msg *m, const struct th_route *r)
{
    struct mcx_build how = { .kind = r->kind, .from = r->from,
                             .to = r->to_other, .hide_responder = true };

    th_build(m, &how);
}

static void
bad_sign_r(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    sig_r(m)[31] ^= 1;
}

static void
bad_sign_s(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    sig_r(m)[63] ^= 1;
}

static void
bad_signer(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    th_sign(m, TH_MALLORY);
}

static void
bad_r_zero(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    memset(sig_r(m), 0, 32);
}

static void
bad_s_zero(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    memset(sig_r(m) + 32, 0, 32);
}

static void
bad_s_q(struct th_msg *m, const struct th_route *r)
{
    /* the order of P-256, SEC 2 2.4.2 */
    static const uint8_t q[32]
        = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
            0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };

    th_good(m, r);
    memcpy(sig_r(m) + 32, q, sizeof q);
}

static void
bad_rand(struct th_msg *m, const struct th_route *r)
{
    struct mcx_mikey_msg msg;

    th_good(m, r); /* one bit of what is signed */
    parsed(&msg, m);
    m->b[msg.rand_at + msg.rand.n] ^= 1;
}

static void
bad_tag(struct th_msg *m, const struct th_route *r)
{
    struct th_route other = *r;

    other.kind = r->kind == MCX_KIND_MSCCK ? MCX_KIND_PCK : MCX_KIND_MSCCK;
    th_good(m, &other);
}

static void
bad_tag_gmk(struct th_msg *m, const struct th_route *r)
{
    struct th_route other = *r;

    other.kind = MCX_KIND_GMK;
    th_good(m, &other);
}

static void
bad_tag_musik(struct th_msg *m, const struct th_route *r)
{
    struct th_route other = *r;

    other.kind = MCX_KIND_MUSIK;
    th_good(m, &other);
}

static void
bad_tag_unknown(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    m->b[4] = (uint8_t)(0xf0 | (m->b[4] & 0x0f));
    th_sign(m, r->from);
}

static void
at(struct th_msg *m, const struct th_route *r, int64_t unix_ms)
{
    struct mcx_build how = { .kind = r->kind, .from = r->from, .to = r->to,
                             .at_unix_ms = unix_ms };

    th_build(m, &how);
}

static void
bad_old(struct th_msg *m, const struct th_route *r)
{
    at(m, r, world.now_ms - MCX_WINDOW_BACK_S * 1000 - 1000);
}

static void
bad_new(struct th_msg *m, const struct th_route *r)
{
    at(m, r, world.now_ms + MCX_WINDOW_AHEAD_S * 1000 + 1000);
}

static void
bad_off_curve(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    m->b[sakke_data(m) + MCX_SAKKE_PT_SIZE - 1] ^= 1;
    th_sign(m, r->from);
}

/* (0,0) is on the curve and has order 2. */
static void
bad_subgroup(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    memset(m->b + sakke_data(m) + 1, 0, MCX_SAKKE_PT_SIZE - 1);
    th_sign(m, r->from);
}

/* x = p: the same point, written with a coordinate out of range. */
static void
bad_coordinate(struct th_msg *m, const struct th_route *r)
{
    uint8_t p[128];

    vec_int("rfc6509-parameter-set-1", "p", p, sizeof p);
    th_good(m, r);
    memset(m->b + sakke_data(m) + 1, 0, MCX_SAKKE_PT_SIZE - 1);
    memcpy(m->b + sakke_data(m) + 1, p, sizeof p);
    th_sign(m, r->from);
}

static void
bad_hint(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    m->b[sakke_data(m) + MCX_SAKKE_ENC_SIZE - 1] ^= 1;
    th_sign(m, r->from);
}

static void
bad_trailing(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    m->b[m->n++] = 0;
}

static void
bad_two_signs(struct th_msg *m, const struct th_route *r)
{
    struct mcx_mikey_msg msg;
    size_t n;

    th_good(m, r);
    parsed(&msg, m);
    n = m->n - msg.sign_at;
    memcpy(m->b + m->n, m->b + msg.sign_at, n);
    m->n += n;
}

static void
bad_no_t(struct th_msg *m, const struct th_route *r)
{
    struct mcx_mikey_msg msg;
    size_t i = 1;

    th_good(m, r);
    parsed(&msg, m);
    while (msg.pl[i].type != MCX_PL_T) {
        i++;
        assert_true(i < msg.n_pl);
    }
    assert_int_equal(i, 1);     /* HDR is before it */
    m->b[2] = msg.pl[i].next;   /* HDR's next payload */
    memmove(m->b + msg.pl[i].at, m->b + msg.pl[i].at + msg.pl[i].size,
            m->n - msg.pl[i].at - msg.pl[i].size);
    m->n -= msg.pl[i].size;
    th_sign(m, r->from);
}

static void
bad_empty(struct th_msg *m, const struct th_route *r)
{
    (void)r;
    m->n = 0;
}

static void
bad_text(struct th_msg *m, const struct th_route *r)
{
    (void)r;
    memcpy(m->b, "hello, world", 12);
    m->n = 12;
}

static void
bad_version(struct th_msg *m, const struct th_route *r)
{
    th_good(m, r);
    m->b[0] = 2;
    th_sign(m, r->from);
}

static const struct {
    const char *name;
    mcx_reason reason;
    bad_f *make;
} rows[] = {
    { "IDRi another URI", MCX_R_INITIATOR, bad_from },
    { "IDRi another UID", MCX_R_INITIATOR, bad_from_uid },
    { "IDRr another URI", MCX_R_RESPONDER, bad_to },
    { "IDRr another UID", MCX_R_RESPONDER, bad_to_uid },
    { "signature, r flipped", MCX_R_SIGNATURE, bad_sign_r },
    { "signature, s flipped", MCX_R_SIGNATURE, bad_sign_s },
    { "signature by another user", MCX_R_SIGNATURE, bad_signer },
    { "signed octet flipped", MCX_R_SIGNATURE, bad_rand },
    { "r = 0", MCX_R_SIGN_RANGE, bad_r_zero },
    { "s = 0", MCX_R_SIGN_RANGE, bad_s_zero },
    { "s = q", MCX_R_SIGN_RANGE, bad_s_q },
    { "tag of another kind", MCX_R_PURPOSE, bad_tag },
    { "tag GMK", MCX_R_PURPOSE, bad_tag_gmk },
    { "tag MuSiK", MCX_R_PURPOSE, bad_tag_musik },
    { "tag 15", MCX_R_PURPOSE, bad_tag_unknown },
    { "T too old", MCX_R_TOO_OLD, bad_old },
    { "T too new", MCX_R_TOO_NEW, bad_new },
    { "R off the curve", MCX_R_SAKKE_POINT, bad_off_curve },
    { "R of order 2", MCX_R_NONE, bad_subgroup },
    { "x = p", MCX_R_SAKKE_POINT, bad_coordinate },
    { "H flipped", MCX_R_SAKKE_CHECK, bad_hint },
    { "trailing octet", MCX_R_TRAILING, bad_trailing },
    { "two SIGN", MCX_R_NONE, bad_two_signs },
    { "no T", MCX_R_PAYLOAD_MISSING, bad_no_t },
    { "no octets", MCX_R_NONE, bad_empty },
    { "text", MCX_R_NONE, bad_text },
    { "version 2", MCX_R_VERSION, bad_version },
};

size_t
th_bad_rows(void)
{
    return sizeof rows / sizeof *rows;
}

void
th_bad_make(struct th_bad *out, size_t row, const struct th_route *route)
{
    out->name = rows[row].name;
    out->reason = rows[row].reason;
    rows[row].make(&out->msg, route);
}
