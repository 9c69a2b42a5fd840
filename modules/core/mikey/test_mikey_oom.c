/* test_mikey_oom.c -- whatever takes a key in its hands -- open, build, the
 * store, the traffic keys, sealing -- with its n-th allocation failing, for
 * all n; and where the key's octets are afterwards: in no block that went back
 * to the heap, and nowhere on the stack.  keys/test_oom_list says which
 * functions must be here.
 *
 * OpenSSL's allocations come through its own hook, ours through the linker's
 * --wrap.  For the stack each operation runs on a thread whose stack is a
 * buffer of this test, searched when the thread has ended. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sofia-mcx/mcx_keys.h>
#include "test_env.h"

#define ALICE "sip:alice@mc.example.org"
#define BOB "sip:bob@mc.example.org"
#define KMS "kms.example.org"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

enum { ROOM = 4096, STACK = 1 << 20, WINDOW = 8, MANY = 5 };
static const int64_t now_ms = INT64_C(1772366400000);

static long fail_in = -1; /* allocations still to succeed; -1: all */
static bool fail_once;    /* one fails and no more */
static long live;         /* OpenSSL's blocks in use */
static long lost;         /* blocks freed with the key in them */
static bool watching;

static struct {
    struct test_env te;
    struct mcx_ring *ring;
    struct mcx_keys *keys;
    struct mcx_replay *replay;
    struct mcx_ssv ssv;
    uint8_t gmk[ROOM], csk[ROOM], gsk[ROOM];
    size_t gmk_n, csk_n, gsk_n;
    uint8_t many[MANY][ROOM];
    size_t many_n[MANY];
    struct mcx_mikey_msg many_msg[MANY];
    struct mcx_key_msg many_km[MANY];
    struct mcx_open_job many_job[MANY];
    struct mcx_key_params params;
    struct mcx_mikey_msg msg;
    struct mcx_key_msg km;
    struct mcx_tek tek;
    struct mcx_key_msg staged;
    uint8_t out[ROOM], more[ROOM];
    uint8_t hidden[ROOM];
    size_t hidden_n;
    struct mcx_key *gmk_key, *csk_key;
    uint8_t mki[MCX_MKI_MAX];
    struct mcx_mikey_msg answer;
    struct mcx_xml_keys xml;
    struct mcx_srtp_policy policy;
    struct mcx_key_record rec;
    struct mcx_seal_key seal_key; /* the key twice; here, so that the */
    struct mcx_kw_key kw_key;     /* operations copy nothing of it    */
    uint8_t back[64];
} w;

/* ---- the heap ---------------------------------------------------------- */

/* Either half of the key, in either order of octets. */
static size_t
keys_in(const uint8_t *p, size_t n)
{
    size_t i, j, half, found = 0;

    for (i = 0; n >= WINDOW && i <= n - WINDOW; i++) {
        for (half = 0; half < MCX_SSV_SIZE; half += WINDOW) {
            const uint8_t *k = w.ssv.b + half;
            size_t same = 0, turned = 0;

            for (j = 0; j < WINDOW; j++) {
                same += p[i + j] == k[j];
                turned += p[i + j] == k[WINDOW - 1 - j];
            }
            found += same == WINDOW || turned == WINDOW;
        }
    }
    return found;
}

static bool
may_allocate(void)
{
    if (fail_in == 0) {
        fail_in -= fail_once;
        return false;
    }
    fail_in -= fail_in > 0;
    return true;
}

void *
__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void
__wrap_free(void *p)
{
    if (p && watching) {
        lost += keys_in(p, malloc_usable_size(p)) > 0;
    }
    __real_free(p);
}

static void *
ssl_malloc(size_t n, const char *file, int line)
{
    void *p = __wrap_malloc(n);

    (void)file;
    (void)line;
    live += p != NULL;
    return p;
}

static void
ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    live -= p != NULL;
    __wrap_free(p);
}

static void *
ssl_realloc(void *old, size_t n, const char *file, int line)
{
    void *p = ssl_malloc(n, file, line);

    if (p && old) {
        size_t had = malloc_usable_size(old);

        memcpy(p, old, had < n ? had : n);
        ssl_free(old, file, line);
    }
    return p;
}

/* ---- a world ----------------------------------------------------------- */

static void
issue(struct mcx_kms_master *master, struct mcx_kms_pub *pub,
      const struct mcx_kms_info *info, const char *uri, uint64_t no)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    struct mcx_uid uid;

    assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(KMS),
                             &info->period, no), MCX_OK);
    assert_int_equal(mcx_kms_master_issue(master, mcx_bytes(uid.b, 32), &rsk,
                                          &ssk, pvt, &w.te.env), MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, pub, mcx_bytes(uid.b, 32), &rsk,
                                      &ssk, pvt, NULL), MCX_OK);
    assert_int_equal(mcx_ring_add_user(w.ring, uri, KMS, no, key), MCX_OK);
    mcx_user_key_free(key);
}

static mcx_err
build(unsigned kind, uint8_t out[ROOM], size_t *n)
{
    struct mcx_build how = { .env = &w.te.env, .ring = w.ring, .kind = kind,
                             .from = ALICE, .to = BOB, .key = &w.ssv,
                             .key_id = kind << 28 | 0x00abcde,
                             .params = &w.params, .sakke_to_self = true };

    *n = ROOM;
    how.hide_initiator = out == w.hidden;
    return mcx_mikey_build(out, n, &w.km, &how, NULL);
}

/* The key under itself, so that the search is for both. */
static mcx_err
build_gsk(uint8_t out[ROOM], size_t *n)
{
    struct mcx_gsk_build how = { .env = &w.te.env, .gmk = &w.ssv,
                                 .key = &w.ssv, .ring = w.ring,
                                 .from = ALICE };

    *n = ROOM;
    return mcx_gsk_build(out, n, &w.km, &how, NULL);
}

static int
world_up(void **state)
{
    struct mcx_kms_info info = { .uri = KMS,
                                 .period = { .length_s = 2592000 } };
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_master *master = NULL;
    struct mcx_kms_pub *pub = NULL;
    uint64_t no;
    size_t i;

    (void)state;
    test_env_init(&w.te, now_ms);
    assert_int_equal(mcx_ring_new(&w.ring, &w.te.env), MCX_OK);
    assert_int_equal(mcx_keys_new(&w.keys, &w.te.env, 8), MCX_OK);
    assert_int_equal(mcx_kms_master_new(&master, NULL, &w.te.env), MCX_OK);
    mcx_kms_master_public(z, kpak, master);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    assert_int_equal(mcx_ring_add_kms(w.ring, &info, pub), MCX_OK);
    assert_int_equal(mcx_period_no(&no, &info.period,
                                   now_ms / 1000 + MCX_NTP_UNIX_DIFF),
                     MCX_OK);
    issue(master, pub, &info, ALICE, no);
    issue(master, pub, &info, BOB, no);
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
    w.params.present = true;
    w.params.status = 1;
    assert_int_equal(w.te.env.random(&w.te, w.ssv.b, sizeof w.ssv.b), MCX_OK);
    memcpy(w.seal_key.b, w.ssv.b, sizeof w.ssv.b);
    memcpy(w.seal_key.b + sizeof w.ssv.b, w.ssv.b, sizeof w.ssv.b);
    memcpy(w.kw_key.b, w.seal_key.b, sizeof w.kw_key.b);
    assert_int_equal(build(MCX_KIND_GMK, w.gmk, &w.gmk_n), MCX_OK);
    assert_int_equal(build(MCX_KIND_CSK, w.csk, &w.csk_n), MCX_OK);
    assert_int_equal(build_gsk(w.gsk, &w.gsk_n), MCX_OK);
    for (i = 0; i < MANY; i++) {
        assert_int_equal(build(MCX_KIND_GMK, w.many[i], &w.many_n[i]),
                         MCX_OK);
    }
    assert_int_equal(build(MCX_KIND_CSK, w.hidden, &w.hidden_n), MCX_OK);
    return 0;
}

static int
world_down(void **state)
{
    (void)state;
    mcx_keys_free(w.keys);
    mcx_ring_free(w.ring);
    return 0;
}

/* ---- the operations ---------------------------------------------------- */

static mcx_err
do_build(void)
{
    size_t n;

    return build(MCX_KIND_GMK, w.out, &n);
}

static mcx_err
open_as(const uint8_t *octets, size_t n, const char *self, bool resume)
{
    struct mcx_open how = { .env = &w.te.env, .ring = w.ring, .self = self,
                            .from = ALICE, .replay = w.replay,
                            .allow_self = true, .resume = resume };
    struct mcx_why why = { 0 };
    mcx_err err = mcx_mikey_parse(&w.msg, mcx_bytes(octets, n), &why);

    if (err == MCX_OK) {
        err = mcx_mikey_open(&w.km, &w.msg, &how, &why);
    }
    assert_true(err == MCX_OK || why.reason != MCX_R_NONE);
    return err;
}

static mcx_err
do_open(void)
{
    return open_as(w.gmk, w.gmk_n, BOB, false);
}

static mcx_err
do_open_self(void)
{
    return open_as(w.csk, w.csk_n, ALICE, false);
}

/* Each of them opens or lacked memory, whatever became of the others; the
 * last error. */
static mcx_err
open_many(bool resume)
{
    static const struct mcx_key_msg zero;
    struct mcx_open how = { .env = &w.te.env, .ring = w.ring, .self = BOB,
                            .from = ALICE, .replay = w.replay,
                            .resume = resume };
    mcx_err err = MCX_OK;
    size_t i;

    for (i = 0; i < MANY; i++) {
        assert_int_equal(mcx_mikey_parse(&w.many_msg[i],
                                         mcx_bytes(w.many[i], w.many_n[i]),
                                         NULL),
                         MCX_OK);
        memset(&w.many_km[i], 0x55, sizeof w.many_km[i]);
        w.many_job[i] = (struct mcx_open_job){ .msg = &w.many_msg[i],
                                               .how = &how,
                                               .out = &w.many_km[i] };
    }
    mcx_mikey_open_many(w.many_job, MANY);
    for (i = 0; i < MANY; i++) {
        const struct mcx_open_job *j = &w.many_job[i];

        if (j->err == MCX_OK) {
            assert_memory_equal(j->out->key.b, w.ssv.b, sizeof w.ssv.b);
            assert_int_equal(j->why.reason, MCX_R_NONE);
        } else {
            assert_memory_equal(j->out, &zero, sizeof zero);
            assert_int_not_equal(j->why.reason, MCX_R_NONE);
            err = j->err;
        }
    }
    mcx_wipe(w.many_km, sizeof w.many_km);
    mcx_wipe(&w.km, sizeof w.km);
    return err;
}

static mcx_err
do_open_many(void)
{
    return open_many(false);
}

static mcx_err
do_batch(void)
{
    struct mcx_batch_item item = { .to = BOB };
    struct mcx_build how = { .env = &w.te.env, .ring = w.ring,
                             .kind = MCX_KIND_GMK, .from = ALICE,
                             .key = &w.ssv };
    size_t n = ROOM;

    return mcx_mikey_build_batch(w.out, &n, &w.km, &item, 1, &how);
}

static mcx_err
do_gsk_build(void)
{
    size_t n;

    return build_gsk(w.out, &n);
}

static mcx_err
find_gmk(void *arg, uint32_t id, bool only, struct mcx_ssv *gmk)
{
    (void)arg;
    (void)id;
    (void)only;
    *gmk = w.ssv;
    return MCX_OK;
}

static mcx_err
do_gsk_open(void)
{
    struct mcx_gsk_open how = { .env = &w.te.env, .gmk = find_gmk,
                                .ring = w.ring, .from = ALICE };
    struct mcx_why why = { 0 };
    mcx_err err = mcx_mikey_parse(&w.msg, mcx_bytes(w.gsk, w.gsk_n), &why);

    if (err == MCX_OK) {
        err = mcx_gsk_open(&w.km, &w.msg, &how, &why);
    }
    assert_true(err == MCX_OK || why.reason != MCX_R_NONE);
    return err;
}

/* An R_MESSAGE: nothing of the key in it, and none left behind. */
static mcx_err
do_answer(void)
{
    MCX_TRY(mcx_mikey_parse(&w.msg, mcx_bytes(w.gsk, w.gsk_n), NULL));
    w.msg.v = true;
    {
        size_t n = ROOM;
        mcx_err err = mcx_psk_answer(w.out, &n, &w.msg,
                                     mcx_bytes(w.ssv.b, sizeof w.ssv.b),
                                     mcx_bytes_str(BOB), 1);

        memset(&w.km, 0, sizeof w.km); /* there is no key message */
        return err;
    }
}

/* Two keys under AES key wrap, there and back. */
static mcx_err
do_key_wrap(void)
{
    static const struct mcx_psk_keys keys = {
        .k = { { .key = "one", .key_n = 16 }, { .key = "two", .key_n = 16 } },
        .n = 2,
    };
    MCX_SECRET(mcx_psk_keys, got);
    struct mcx_bytes psk = mcx_bytes(w.ssv.b, sizeof w.ssv.b);
    struct mcx_psk_build how = {
        .env = &w.te.env, .psk = psk, .encr_alg = MCX_ENCR_AES_KW_128,
        .map_type = MCX_MAP_EMPTY, .keys = &keys,
    };
    size_t n = ROOM;

    memset(&w.km, 0, sizeof w.km); /* there is no key message */
    MCX_TRY(mcx_psk_build(w.out, &n, &how, NULL));
    MCX_TRY(mcx_mikey_parse(&w.msg, mcx_bytes(w.out, n), NULL));
    MCX_TRY(mcx_psk_open(&got, &w.msg, psk, NULL));
    assert_memory_equal(&got, &keys, sizeof got);
    return MCX_OK;
}

/* Staged, used and dropped. */
static mcx_err
do_store(void)
{
    struct mcx_srtp_policy policy;
    struct mcx_key *key = NULL;
    mcx_err err;

    w.km = w.staged;
    err = mcx_keys_stage(w.keys, &w.km, NULL, &key, NULL);
    if (err == MCX_OK) {
        err = mcx_key_policy(&policy, key, MCX_CS_MCPTT_GROUP, false);
        mcx_srtp_policy_wipe(&policy);
        mcx_key_drop(key);
        mcx_key_unref(key);
    }
    mcx_key_msg_wipe(&w.km);
    return err;
}

/* A group's key, once for each group of two: both or none; used as what each
 * member sends; retired, revoked. */
static mcx_err
do_group(void)
{
    struct mcx_key *key[MCX_GROUPS_MAX] = { NULL };
    size_t n = 9, i;
    mcx_err err;

    w.km = w.staged;
    w.km.params.n_groups = 2;
    memcpy(w.km.params.group[0], "sip:fire@t", 11);
    memcpy(w.km.params.group[1], "sip:water@t", 12);
    err = mcx_keys_stage_group(w.keys, &w.km, BOB, NULL, key, &n, NULL);
    assert_int_equal(n, err == MCX_OK ? 2 : 0);
    /* The caller keeps what was not taken. */
    assert_int_equal(keys_in(w.km.key.b, sizeof w.km.key.b) == 0,
                     err == MCX_OK);
    for (i = 0; i < n; i++) {
        assert_int_equal(mcx_key_commit(key[i]), MCX_OK);
        if (err == MCX_OK) {
            err = mcx_key_policy(&w.policy, key[i], MCX_CS_MCPTT_GROUP,
                                 true);
        }
        mcx_srtp_policy_wipe(&w.policy);
    }
    for (i = 0; i < n; i++) {
        mcx_key_retire(key[i]);
        mcx_key_drop(key[i]);
        mcx_key_unref(key[i]);
    }
    mcx_key_msg_wipe(&w.km);
    return err;
}

/* Zero, or the test fails. */
static void
is_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    size_t i;

    for (i = 0; i < n; i++) {
        assert_int_equal(b[i], 0);
    }
}

/* From the MKI of a packet to the keys of whoever sent it. */
static mcx_err
do_talkers(void)
{
    struct mcx_key *key = NULL;
    uint32_t talker = 0, id = 0;
    mcx_err err;

    memset(&w.km, 0, sizeof w.km); /* there is no key message */
    err = mcx_keys_by_mki(w.keys, mcx_bytes(w.mki, MCX_MKI_MAX), &key,
                          &talker);
    if (err != MCX_OK) {
        return err;
    }
    err = mcx_key_talker_id(&id, key, BOB);
    assert_true(err != MCX_OK || id == talker);
    assert_true(err == MCX_OK || id == 0);
    if (err == MCX_OK) {
        memset(&w.tek, 0x55, sizeof w.tek);
        err = mcx_key_tek(&w.tek, key, MCX_CS_MCPTT_GROUP);
        if (err != MCX_OK) {
            is_zero(&w.tek, sizeof w.tek);
        }
    }
    if (err == MCX_OK) {
        memset(&w.tek, 0x55, sizeof w.tek);
        err = mcx_key_tek_of(&w.tek, key, talker, MCX_CS_MCPTT_GROUP);
        if (err != MCX_OK) {
            is_zero(&w.tek, sizeof w.tek);
        }
    }
    if (err == MCX_OK) {
        memset(&w.policy, 0x55, sizeof w.policy);
        err = mcx_key_policy_of(&w.policy, key, talker, MCX_CS_MCPTT_GROUP,
                                false);
        if (err != MCX_OK) {
            is_zero(&w.policy, sizeof w.policy);
        } else {
            assert_memory_equal(w.policy.key, w.tek.key, MCX_TEK_MAX);
        }
    }
    mcx_tek_wipe(&w.tek);
    mcx_srtp_policy_wipe(&w.policy);
    mcx_key_unref(key);
    return err;
}

static mcx_err
do_xml_keys(void)
{
    mcx_err err;

    memset(&w.km, 0, sizeof w.km);
    memset(&w.xml, 0x55, sizeof w.xml);
    err = mcx_key_xml(&w.xml, w.csk_key, BOB, 0);
    if (err == MCX_OK) {
        memset(&w.xml, 0x55, sizeof w.xml);
        err = mcx_xml_keys(&w.xml, &w.ssv, 0x20000001, BOB, 0);
    }
    if (err != MCX_OK) {
        is_zero(&w.xml, sizeof w.xml);
    }
    mcx_xml_keys_wipe(&w.xml);
    return err;
}

/* A key that comes back from a disk, into a store of its own. */
static mcx_err
back_stage(void *ctx, const struct mcx_key_record *rec,
           struct mcx_key_slot *slot)
{
    (void)ctx;
    (void)rec;
    slot->row = 1;
    return MCX_OK;
}

static void
back_changed(void *ctx, struct mcx_key_slot *const *slots, size_t n)
{
    (void)ctx;
    (void)slots;
    (void)n;
}

static mcx_err
back_sync(void *ctx)
{
    (void)ctx;
    return MCX_OK;
}

static mcx_err
do_restore(void)
{
    static const struct mcx_keys_backing back = { sizeof back, NULL,
                                                  back_stage, back_changed,
                                                  back_sync };
    struct mcx_keys *keys = NULL;
    mcx_err err;

    memset(&w.km, 0, sizeof w.km);
    memset(&w.rec, 0, sizeof w.rec);
    w.rec.key = w.ssv;
    w.rec.kind = MCX_KIND_CSK;
    w.rec.key_id = 0x20000001;
    w.rec.sp = w.staged.sp;
    err = mcx_keys_new(&keys, &w.te.env, 2);
    if (err == MCX_OK) {
        assert_int_equal(mcx_keys_attach(keys, &back), MCX_OK);
        err = mcx_keys_restore(keys, &w.rec, 7);
        is_zero(&w.rec.key, sizeof w.rec.key); /* whatever it says */
        assert_int_equal(mcx_keys_count(keys), err == MCX_OK);
        assert_int_equal(mcx_keys_sync(keys), MCX_OK);
        mcx_keys_detach(keys);
    }
    mcx_key_record_wipe(&w.rec);
    mcx_keys_free(keys);
    return err;
}

static mcx_err
who(void *arg, const struct mcx_key_msg *km, char uri[MCX_URI_MAX])
{
    (void)arg;
    (void)km;
    memcpy(uri, ALICE, sizeof ALICE);
    return MCX_OK;
}

/* An initiator who is told after the key. */
static mcx_err
do_open_hidden(void)
{
    struct mcx_open how = { .env = &w.te.env, .ring = w.ring, .self = BOB,
                            .who = who };
    mcx_err err = mcx_mikey_parse(&w.msg, mcx_bytes(w.hidden, w.hidden_n),
                                  NULL);

    return err == MCX_OK ? mcx_mikey_open(&w.km, &w.msg, &how, NULL) : err;
}

/* RFC 3830's exchange, the key under itself. */
static mcx_err
do_psk(void)
{
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_bytes psk = mcx_bytes(w.ssv.b, sizeof w.ssv.b);
    struct mcx_psk_build how = { .env = &w.te.env, .psk = psk, .v = true,
                                 .keys = &keys, .map_type = MCX_MAP_EMPTY };
    size_t n = ROOM, m = ROOM;
    mcx_err err;

    memset(&w.km, 0, sizeof w.km);
    keys.n = 1;
    keys.k[0].key_n = sizeof w.ssv.b;
    memcpy(keys.k[0].key, w.ssv.b, sizeof w.ssv.b);
    MCX_TRY(mcx_psk_build(w.out, &n, &how, NULL));
    MCX_TRY(mcx_mikey_parse(&w.msg, mcx_bytes(w.out, n), NULL));
    err = mcx_psk_open(&keys, &w.msg, psk, NULL);
    if (err != MCX_OK) {
        is_zero(&keys, sizeof keys);
        return err;
    }
    assert_memory_equal(keys.k[0].key, w.ssv.b, sizeof w.ssv.b);
    MCX_TRY(mcx_psk_answer(w.more, &m, &w.msg, psk, mcx_bytes_str(BOB), 1));
    MCX_TRY(mcx_mikey_parse(&w.answer, mcx_bytes(w.more, m), NULL));
    return mcx_psk_verify(&w.answer, &w.msg, psk, NULL);
}

/* The derivations by themselves. */
static mcx_err
do_derive(void)
{
    struct mcx_bytes key = mcx_bytes(w.ssv.b, sizeof w.ssv.b);
    uint8_t out[64];
    uint32_t id;

    memset(&w.km, 0, sizeof w.km);
    MCX_TRY(mcx_guk_id(&id, &w.ssv, 0x0abcdef1, BOB));
    MCX_TRY(mcx_prf(out, sizeof out, MCX_PRF_MIKEY_1, key,
                    mcx_bytes_str("a label")));
    return mcx_mikey_derive(out, sizeof out, MCX_PRF_HMAC_SHA256, key,
                            MCX_LABEL_TEK, 0, 1, mcx_bytes_str("RAND"));
}

/* From paper to the store. */
static mcx_err
do_hand(void)
{
    MCX_SECRET(mcx_hand, hand);
    static char paper[512];
    char key[2 * sizeof w.ssv.b + 1];
    struct mcx_key *k = NULL;
    const char *what = NULL;
    size_t line = 0;
    mcx_err err;

    err = mcx_hex_encode(key, sizeof key,
                         mcx_bytes(w.ssv.b, sizeof w.ssv.b));
    (void)snprintf(paper, sizeof paper,
                   "kind = spk\nid = 30000007\nkey = %s\n"
                   "rand = %032d\nself = " ALICE "\npeer = " BOB "\n",
                   key, 1);
    if (err == MCX_OK) {
        err = mcx_hand_read(&hand, mcx_bytes_str(paper), &line, &what);
    }
    if (err == MCX_OK) {
        err = mcx_hand_key(&w.km, &hand, &w.te.env, NULL);
    }
    if (err == MCX_OK) {
        err = mcx_keys_stage(w.keys, &w.km, NULL, &k, NULL);
        if (k) {
            mcx_key_drop(k);
        }
        mcx_key_unref(k);
    }
    mcx_wipe(paper, sizeof paper);
    mcx_wipe(key, sizeof key);
    mcx_key_msg_wipe(&w.km);
    return err;
}

/* The key sealed under itself, and by itself as a passphrase. */
static mcx_err
do_seal(void)
{
    MCX_SECRET(mcx_seal_key, other);
    struct mcx_bytes plain = mcx_bytes(w.ssv.b, sizeof w.ssv.b);
    struct mcx_sealer *sealer = NULL;
    mcx_err err;

    memset(&w.km, 0, sizeof w.km);
    err = mcx_sealer_new(&sealer, &w.seal_key);
    if (err != MCX_OK) {
        assert_null(sealer);
        return err;
    }
    err = mcx_seal(w.out, sealer, &w.te.env, NULL, plain, plain);
    if (err == MCX_OK) {
        err = mcx_unseal(w.back, sealer, plain,
                         mcx_bytes(w.out, plain.n + MCX_SEAL_MORE));
        assert_true(err != MCX_OK
                    || mcx_secret_eq(w.back, w.ssv.b, plain.n));
        mcx_wipe(w.back, sizeof w.back);
    }
    mcx_sealer_free(sealer);
    MCX_TRY(err);
    MCX_TRY(mcx_seal_scrypt(&other, plain, mcx_bytes_str("salt"), 4, 8,
                            1));
    return mcx_seal_mac(w.out, &w.seal_key, &plain, 1);
}

/* The key wrapped under itself, in each form. */
static mcx_err
do_wrap(void)
{
    static const enum mcx_kw_form forms[] = { MCX_KW_RFC3394, MCX_KW_RFC5649,
                                              MCX_KW_GCM };
    struct mcx_bytes plain = mcx_bytes(w.ssv.b, sizeof w.ssv.b);
    size_t i, n;
    mcx_err err;

    memset(&w.km, 0, sizeof w.km);
    for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        MCX_TRY(mcx_kw_wrap(w.out, &n, &w.kw_key, forms[i], plain,
                            &w.te.env));
        memset(w.back, 0x55, sizeof w.back);
        err = mcx_kw_unwrap(w.back, &n, &w.kw_key, forms[i],
                            mcx_bytes(w.out, n));
        assert_true(err != MCX_OK
                    || (n == plain.n
                        && mcx_secret_eq(w.back, w.ssv.b, n)));
        mcx_wipe(w.back, sizeof w.back);
        MCX_TRY(err);
    }
    return mcx_kw_mac(w.out, &w.kw_key, plain);
}

/* 'also': what else than MCX_E_NOMEM the header promises for a library that
 * fails. */
static const struct {
    const char *name;
    mcx_err (*run)(void);
    mcx_err also;
} op[] = {
    { "build", do_build, MCX_E_NOMEM },
    { "open", do_open, MCX_E_NOMEM },
    { "open to self", do_open_self, MCX_E_NOMEM },
    { "open many", do_open_many, MCX_E_NOMEM },
    { "store", do_store, MCX_E_NOMEM },
    { "batch", do_batch, MCX_E_NOMEM },
    { "GSK build", do_gsk_build, MCX_E_NOMEM },
    { "GSK open", do_gsk_open, MCX_E_NOMEM },
    { "PSK answer", do_answer, MCX_E_NOMEM },
    { "PSK key wrap", do_key_wrap, MCX_E_NOMEM },
    { "group", do_group, MCX_E_NOMEM },
    { "talkers", do_talkers, MCX_E_NOMEM },
    { "XML keys", do_xml_keys, MCX_E_NOMEM },
    { "restore", do_restore, MCX_E_NOMEM },
    { "open hidden", do_open_hidden, MCX_E_NOMEM },
    { "PSK", do_psk, MCX_E_NOMEM },
    { "derive", do_derive, MCX_E_NOMEM },
    { "hand", do_hand, MCX_E_NOMEM },
    { "seal", do_seal, MCX_E_NOMEM },
    { "wrap", do_wrap, MCX_E_INTERNAL },
};
enum { N_OPS = sizeof op / sizeof op[0] };

static struct mcx_key *
kept(struct mcx_key_msg *km)
{
    struct mcx_key *key = NULL;

    assert_int_equal(mcx_keys_stage(w.keys, km, NULL, &key, NULL), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    return key;
}

static void
ready(void)
{
    assert_int_equal(do_open(), MCX_OK);
    w.staged = w.km;
    w.gmk_key = kept(&w.km);
    assert_int_equal(open_as(w.csk, w.csk_n, BOB, false), MCX_OK);
    w.csk_key = kept(&w.km);
    assert_int_equal(mcx_key_policy(&w.policy, w.gmk_key,
                                    MCX_CS_MCPTT_GROUP, false), MCX_OK);
    memcpy(w.mki, w.policy.mki, sizeof w.mki);
    mcx_srtp_policy_wipe(&w.policy);
}

static void
done(void)
{
    mcx_key_drop(w.gmk_key);
    mcx_key_drop(w.csk_key);
    mcx_key_unref(w.gmk_key);
    mcx_key_unref(w.csk_key);
    mcx_key_msg_wipe(&w.staged);
}

static void
each_allocation(void **state)
{
    static const struct mcx_key_msg zero;
    size_t i;

    (void)state;
    ready();
    for (i = 0; i < N_OPS; i++) {
        long n = 0, before;
        mcx_err err;

        assert_int_equal(op[i].run(), MCX_OK); /* caches are warm */
        before = live;
        do {
            memset(&w.km, 0x55, sizeof w.km);
            fail_in = n++;
            err = op[i].run();
            fail_in = -1;
            if (err != MCX_OK && err != MCX_E_NOMEM && err != op[i].also) {
                print_error("%s, allocation %ld: %s\n", op[i].name, n,
                            mcx_err_name(err));
            }
            assert_true(err == MCX_OK || err == MCX_E_NOMEM
                        || err == op[i].also);
            assert_int_equal(live, before);
            assert_int_equal(ERR_peek_error(), 0);
            if (err != MCX_OK) {
                assert_memory_equal(&w.km, &zero, sizeof zero);
            }
        } while (err != MCX_OK);
        assert_true(n > 1);
        print_message("%s: %ld allocations\n", op[i].name, n - 1);
    }
    done();
}

/* Memory that failed behind the signature must not burn the message: it is
 * parked, and opens when it is tried again. */
static void
replay_survives(void **state)
{
    long n;
    mcx_err err = MCX_E_NOMEM, again;

    (void)state;
    assert_int_equal(do_open(), MCX_OK);
    for (n = 0; err != MCX_OK; n++) {
        assert_int_equal(mcx_replay_new(&w.replay, 16), MCX_OK);
        fail_in = n;
        err = do_open();
        fail_in = -1;
        again = open_as(w.gmk, w.gmk_n, BOB, true);
        assert_int_equal(again, err == MCX_OK ? MCX_E_REPLAY : MCX_OK);
        mcx_replay_free(w.replay);
        w.replay = NULL;
    }
    assert_true(n > 1);
}

/* Several at once: the n-th allocation fails and no other; or all from there
 * on, for some n, each_allocation() having tried them all.  Those that lacked
 * it can be resumed, those that opened are taken. */
static void
many_survive(void **state)
{
    mcx_err err[MANY];
    int mode;

    (void)state;
    assert_int_equal(do_open_many(), MCX_OK);
    for (mode = 0; mode < 2; mode++) {
        bool fired = true;
        long n, failed = 0;
        size_t i;

        for (n = 0; fired; n += mode == 0 ? 1 : 7) {
            assert_int_equal(mcx_replay_new(&w.replay, 16), MCX_OK);
            fail_once = mode == 0;
            fail_in = n;
            (void)open_many(false);
            fired = fail_in <= 0;
            fail_in = -1;
            for (i = 0; i < MANY; i++) {
                err[i] = w.many_job[i].err;
                assert_true(err[i] == MCX_OK || err[i] == MCX_E_NOMEM);
                failed += err[i] != MCX_OK;
            }
            (void)open_many(true);
            for (i = 0; i < MANY; i++) {
                assert_int_equal(w.many_job[i].err,
                                 err[i] == MCX_OK ? MCX_E_REPLAY : MCX_OK);
            }
            mcx_replay_free(w.replay);
            w.replay = NULL;
        }
        print_message("%ld openings without memory\n", failed);
        assert_true(n > MANY && failed > 0);
    }
}

/* ---- what is left behind ----------------------------------------------- */

static mcx_err (*job)(void);
static mcx_err job_err;

static void *
on_thread(void *arg)
{
    /* Keeps what the job leaves out of reach of what ends the thread. */
    volatile uint8_t gap[16384];
    size_t i;

    (void)arg;
    for (i = 0; i < sizeof gap; i++) {
        gap[i] = 0;
    }
    job_err = job();
    for (i = 0; i < sizeof gap; i++) {
        gap[i] = 1;
    }
    return NULL;
}

static void
run_on(uint8_t *stack, mcx_err (*fn)(void))
{
    pthread_attr_t attr;
    pthread_t t;

    job = fn;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, STACK), 0);
    assert_int_equal(pthread_create(&t, &attr, on_thread, NULL), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
}

/* The search itself finds what is there. */
__attribute__((noinline)) static mcx_err
do_leak(void)
{
    volatile uint8_t copy[64] = { 0 }, *to;
    uint8_t *block = malloc(64);
    size_t i;

    if (!block) {
        return MCX_E_NOMEM;
    }
    to = block;
    for (i = 0; i < MCX_SSV_SIZE; i++) {
        copy[i + 13] = w.ssv.b[i];
        to[i + 29] = copy[i + 13];
    }
    free(block);
    return MCX_OK;
}

/* And not what was wiped afterwards, some way down: a sanitizer puts much of
 * its own around the frame that wipes. */
__attribute__((noinline)) static mcx_err
do_leak_below(void)
{
    volatile uint8_t gap[8192];
    mcx_err err;

    gap[0] = 0;
    err = do_leak();
    gap[sizeof gap - 1] = gap[0];
    return err;
}

static mcx_err
do_leak_and_wipe(void)
{
    mcx_err err = do_leak_below();

    mcx_wipe_stack();
    return err;
}

static void
nothing_left(void **state)
{
    uint8_t *stack = NULL;
    size_t i;

    (void)state;
    ready();
    assert_int_equal(posix_memalign((void **)&stack, 4096, STACK), 0);
    for (i = 0; i < N_OPS; i++) {
        memset(stack, 0, STACK);
        lost = 0;
        watching = true;
        run_on(stack, op[i].run);
        watching = false;
        assert_int_equal(job_err, MCX_OK);
        mcx_key_msg_wipe(&w.km);
        if (lost || keys_in(stack, STACK)) {
            print_error("%s: %ld blocks, %zu places of the stack\n",
                        op[i].name, lost, keys_in(stack, STACK));
        }
        assert_int_equal(lost, 0);
        assert_int_equal(keys_in(stack, STACK), 0);
    }
    memset(stack, 0, STACK);
    watching = true;
    run_on(stack, do_leak);
    watching = false;
    assert_true(lost > 0 && keys_in(stack, STACK) > 0);
    memset(stack, 0, STACK);
    run_on(stack, do_leak_and_wipe);
    assert_int_equal(keys_in(stack, STACK), 0);
    free(stack);
    done();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation),
        cmocka_unit_test(replay_survives),
        cmocka_unit_test(many_survive),
        cmocka_unit_test(nothing_left),
    };

    if (!CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free)) {
        return 1;
    }
    mcx_log_level(MCX_AREA_KEYS, 0);
    return cmocka_run_group_tests_name("mikey-oom", tests, world_up,
                                       world_down);
}
