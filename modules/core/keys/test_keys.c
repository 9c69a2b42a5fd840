/* test_keys.c -- the key store: staging, states, grace, look-ups, owners,
 * derivations, many keys, many threads.  The clock is stepped by hand. */
#include <config.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>
#include "keys/store.h"

/* ---- environment ------------------------------------------------------- */

static _Atomic int64_t unix_now, mono_now;
static _Thread_local char last_line[1200];

static int64_t
fake_unix_ms(void *ctx)
{
    (void)ctx;
    return unix_now;
}

static int64_t
fake_mono_ms(void *ctx)
{
    (void)ctx;
    return mono_now;
}

static mcx_err
fake_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 7, n);
    return MCX_OK;
}

static void
fake_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)level;
    assert_int_equal(area, MCX_AREA_KEYS);
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

static const struct mcx_env env = {
    .unix_ms = fake_unix_ms,
    .mono_ms = fake_mono_ms,
    .random = fake_random,
    .log = fake_log,
};

static mcx_err
no_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    (void)out;
    (void)n;
    return MCX_E_IO;
}

static struct mcx_keys *
make(size_t max)
{
    struct mcx_keys *keys = NULL;

    unix_now = INT64_C(1700000000000);
    mono_now = 1000;
    assert_int_equal(mcx_keys_new(&keys, &env, max), MCX_OK);
    return keys;
}

/* ---- key messages ------------------------------------------------------ */

static void
message(struct mcx_key_msg *km, unsigned kind, uint32_t low, uint8_t octet)
{
    memset(km, 0, sizeof *km);
    memset(km->key.b, octet, sizeof km->key.b);
    km->kind = kind;
    km->key_id = (uint32_t)kind << 28 | low;
    km->csb_id = km->key_id;
    km->prf = MCX_PRF_HMAC_SHA256;
    km->t_unix_ms = unix_now;
    km->rand_n = 16;
    memset(km->rand, 0x11, 16);
    km->sp.encr_alg = 6;
    km->sp.key_size = 16;
    km->sp.salt_size = 12;
    km->sp.tag_size = 16;
    (void)snprintf(km->initiator, sizeof km->initiator, "sip:alice@t");
    (void)snprintf(km->responder, sizeof km->responder, "sip:pf@t");
}

static const struct mcx_key_owner *
owner(const char *impu, const char *mc_id)
{
    static _Thread_local struct mcx_key_owner o;

    (void)snprintf(o.impu, sizeof o.impu, "%s", impu);
    (void)snprintf(o.mc_id, sizeof o.mc_id, "%s", mc_id);
    (void)snprintf(o.client_id, sizeof o.client_id, "urn:uuid:1");
    return &o;
}

static mcx_err
stage_err(struct mcx_keys *keys, unsigned kind, uint32_t low, uint8_t octet,
          const struct mcx_key_owner *who, struct mcx_key **out,
          struct mcx_why *why)
{
    MCX_SECRET(mcx_key_msg, km);

    message(&km, kind, low, octet);
    return mcx_keys_stage(keys, &km, who, out, why);
}

static struct mcx_key *
stage(struct mcx_keys *keys, unsigned kind, uint32_t low, uint8_t octet,
      const struct mcx_key_owner *who)
{
    struct mcx_key *k = NULL;

    assert_int_equal(stage_err(keys, kind, low, octet, who, &k, NULL),
                     MCX_OK);
    assert_non_null(k);
    return k;
}

static enum mcx_key_state
state_of(struct mcx_key *k)
{
    struct mcx_key_info info;

    mcx_key_info(&info, k);
    return info.state;
}

static bool
usable(struct mcx_key *k)
{
    MCX_SECRET(mcx_tek, tek);
    mcx_err err = mcx_key_tek(&tek, k, 0);

    assert_true(err == MCX_OK || err == MCX_E_STATE);
    return err == MCX_OK;
}

static bool
finds(struct mcx_keys *keys, const struct mcx_key *want, unsigned kind,
      const char *impu, const char *mc_id)
{
    struct mcx_key *k = mcx_keys_current(keys, kind, impu, mc_id);
    bool same = k == want;

    mcx_key_unref(k);
    return same;
}

static bool
finds_id(struct mcx_keys *keys, const struct mcx_key *want, unsigned kind,
         uint32_t low)
{
    struct mcx_key *k = mcx_keys_by_id(keys, kind,
                                       (uint32_t)kind << 28 | low);
    bool same = k == want;

    mcx_key_unref(k);
    return same;
}

/* ---- tests ------------------------------------------------------------- */

static void
test_new(void **state)
{
    struct mcx_env bad = env;
    struct mcx_keys *keys = NULL;

    (void)state;
    assert_int_equal(mcx_keys_new(&keys, NULL, 1), MCX_E_ARG);
    assert_int_equal(mcx_keys_new(&keys, &env, 0), MCX_E_ARG);
    bad.random = no_random;
    assert_int_equal(mcx_keys_new(&keys, &bad, 1), MCX_E_IO);
    assert_null(keys);
    mcx_keys_free(NULL);
    mcx_key_unref(NULL);
    assert_null(mcx_key_ref(NULL));
    assert_string_equal(mcx_key_state_word(MCX_KEY_STAGED), "staged");
    assert_string_equal(mcx_key_state_word(MCX_KEY_ACTIVE), "active");
    assert_string_equal(mcx_key_state_word(MCX_KEY_RETIRED), "retired");
    assert_string_equal(mcx_key_state_word(MCX_KEY_WIPED), "wiped");
    assert_string_equal(mcx_key_state_word((enum mcx_key_state)9), "?");
}

static void
test_stage(void **state)
{
    static const uint8_t zero[MCX_SSV_SIZE];
    struct mcx_keys *keys = make(10);
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_info info;
    struct mcx_key *k = NULL;

    (void)state;
    message(&km, MCX_KIND_CSK, 5, 0xaa);
    assert_int_equal(mcx_keys_stage(keys, &km, owner("sip:a@t", "sip:mc@t"),
                                    &k, NULL), MCX_OK);
    /* The caller's octets are gone, the rest is still his. */
    assert_memory_equal(km.key.b, zero, sizeof zero);
    assert_int_equal(km.key_id, 0x20000005);
    mcx_key_info(&info, k);
    assert_int_equal(info.kind, MCX_KIND_CSK);
    assert_int_equal(info.key_id, 0x20000005);
    assert_int_equal(info.csb_id, 0x20000005);
    assert_int_equal(info.state, MCX_KEY_STAGED);
    assert_string_equal(info.initiator, "sip:alice@t");
    assert_string_equal(info.responder, "sip:pf@t");
    assert_string_equal(info.owner.impu, "sip:a@t");
    assert_string_equal(info.owner.mc_id, "sip:mc@t");
    assert_string_equal(info.owner.client_id, "urn:uuid:1");
    assert_true(info.t_unix_ms == unix_now);
    assert_true(info.since_unix_ms == unix_now);
    assert_int_equal(info.wipe_mono_ms, 0);
    assert_int_equal(info.sp.key_size, 16);
    assert_int_equal(mcx_keys_count(keys), 1);
    /* Staged: receives, so it derives and is found by its ID ... */
    assert_true(usable(k));
    assert_true(finds_id(keys, k, MCX_KIND_CSK, 5));
    /* ... and does not send. */
    assert_true(finds(keys, NULL, MCX_KIND_CSK, NULL, "sip:mc@t"));
    mcx_key_unref(k);
    mcx_keys_free(keys);
}

/* TEST TS 33.180 9.3: CSKs and SPKs protect XML, other keys do not, and a
 * wiped one no more. */
static void
test_xml(void **state)
{
    struct mcx_keys *keys = make(20);
    static const struct mcx_xml_keys none;
    MCX_SECRET(mcx_xml_keys, got);
    MCX_SECRET(mcx_xml_keys, want);
    struct mcx_ssv xpk;
    struct mcx_key *k;
    unsigned kind;

    (void)state;
    memset(xpk.b, 0xaa, sizeof xpk.b);
    for (kind = 0; kind < MCX_KIND_COUNT; kind++) {
        bool xml = kind == MCX_KIND_CSK || kind == MCX_KIND_SPK;

        k = stage(keys, kind, 5, 0xaa, owner("sip:a@t", "sip:mc@t"));
        memset(&got, 0xee, sizeof got);
        assert_int_equal(mcx_key_xml(&got, k, "sip:mc@t", 0),
                         xml ? MCX_OK : MCX_E_ARG);
        if (xml) {
            assert_int_equal(mcx_xml_keys(&want, &xpk, kind << 28 | 5,
                                          "sip:mc@t", 0), MCX_OK);
            assert_memory_equal(&got, &want, sizeof got);
            assert_int_equal(mcx_key_xml(&got, k, "sip:mc@t",
                                         MCX_PEER_XML_KEY_XPK), MCX_OK);
            assert_memory_equal(got.i.b, xpk.b, sizeof xpk.b);
            assert_int_equal(mcx_key_xml(&got, k, "", 0), MCX_E_ARG);
            mcx_key_drop(k);
            assert_int_equal(mcx_key_xml(&got, k, "sip:mc@t", 0),
                             MCX_E_STATE);
        }
        assert_memory_equal(&got, &none, sizeof got);
        mcx_key_unref(k);
    }
    mcx_keys_free(keys);
}

static void
test_stage_refused(void **state)
{
    struct mcx_keys *keys = make(3);
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_why why = { .reason = MCX_R_NONE };
    struct mcx_key *k = (struct mcx_key *)1, *a, *b, *c;
    struct mcx_key_owner who = { .impu = "" };

    (void)state;
    message(&km, MCX_KIND_COUNT, 1, 1);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_E_ARG);
    assert_null(k);
    assert_int_equal(mcx_keys_stage(keys, NULL, NULL, &k, NULL), MCX_E_ARG);
    message(&km, MCX_KIND_CSK, 1, 1);
    km.rand_n = MCX_RAND_MAX + 1;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_E_ARG);
    message(&km, MCX_KIND_CSK, 1, 1);
    memset(km.initiator, 'a', sizeof km.initiator);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_E_ARG);
    message(&km, MCX_KIND_CSK, 1, 1);
    memset(who.impu, 'a', sizeof who.impu);
    assert_int_equal(mcx_keys_stage(keys, &km, &who, &k, NULL), MCX_E_ARG);

    /* Key parameters: revoked, expired, expiring this very second. */
    message(&km, MCX_KIND_GMK, 1, 1);
    km.params.present = true;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, &why),
                     MCX_E_EXPIRED);
    assert_int_equal(why.reason, MCX_R_REVOKED);
    km.params.status = 1;
    km.params.expiry_unix = unix_now / 1000;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, &why),
                     MCX_E_EXPIRED);
    assert_int_equal(why.reason, MCX_R_KEY_EXPIRED);
    assert_int_equal(km.key.b[0], 1); /* refused: the caller still has it */
    km.params.expiry_unix++;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &a, NULL), MCX_OK);

    /* An ID that names other octets of the same owner. */
    b = stage(keys, MCX_KIND_CSK, 1, 1, owner("sip:a@t", "sip:mc@t"));
    assert_int_equal(stage_err(keys, MCX_KIND_CSK, 1, 2,
                               owner("sip:a@t", "sip:mc@t"), &k, &why),
                     MCX_E_POLICY);
    assert_int_equal(why.reason, MCX_R_ROLLBACK);
    assert_int_equal(stage_err(keys, MCX_KIND_GMK, 1, 2, NULL, &k, &why),
                     MCX_E_POLICY);
    /* Full. */
    c = stage(keys, MCX_KIND_CSK, 1, 2, owner("sip:a@t", "sip:mc2@t"));
    assert_int_equal(stage_err(keys, MCX_KIND_CSK, 2, 2, NULL, &k, NULL),
                     MCX_E_BUSY);
    assert_int_equal(mcx_keys_count(keys), 3);
    /* A retired key holds its ID and its place until its time is up. */
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    mcx_key_retire(b);
    assert_int_equal(stage_err(keys, MCX_KIND_CSK, 1, 2,
                               owner("sip:a@t", "sip:mc@t"), &k, NULL),
                     MCX_E_POLICY);
    mono_now += MCX_KEY_GRACE_MS;
    k = stage(keys, MCX_KIND_CSK, 1, 2, owner("sip:a@t", "sip:mc@t"));
    assert_int_equal(mcx_keys_count(keys), 3);
    assert_int_equal(state_of(b), MCX_KEY_WIPED);
    mcx_key_unref(k);
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_key_unref(c);
    mcx_keys_free(keys);
}

/* The same key again (a repeated upload) is a message of its own: its RAND
 * gives other traffic keys. */
static void
test_same_key_again(void **state)
{
    struct mcx_keys *keys = make(10);
    struct mcx_key *a, *b;

    (void)state;
    a = stage(keys, MCX_KIND_CSK, 1, 1, NULL);
    assert_int_equal(mcx_key_commit(a), MCX_OK);
    b = stage(keys, MCX_KIND_CSK, 1, 1, NULL);
    assert_true(finds_id(keys, a, MCX_KIND_CSK, 1)); /* active first */
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    assert_int_equal(state_of(a), MCX_KEY_RETIRED);
    assert_true(finds_id(keys, b, MCX_KIND_CSK, 1));
    mcx_key_drop(b);
    assert_true(finds_id(keys, a, MCX_KIND_CSK, 1)); /* in its grace */
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_keys_free(keys);
}

static void
test_life(void **state)
{
    struct mcx_keys *keys = make(10);
    const struct mcx_key_owner *who = owner("sip:a@t", "sip:mc@t");
    struct mcx_key *a = stage(keys, MCX_KIND_CSK, 1, 1, who);
    struct mcx_key *b;
    struct mcx_key_info info;

    (void)state;
    assert_int_equal(mcx_keys_sweep(keys), -1);
    assert_int_equal(mcx_key_commit(a), MCX_OK);
    assert_int_equal(mcx_key_commit(a), MCX_E_STATE);
    assert_true(finds(keys, a, MCX_KIND_CSK, "sip:a@t", NULL));
    b = stage(keys, MCX_KIND_CSK, 2, 2, who);
    /* Nothing changes until the outcome is known. */
    assert_true(finds(keys, a, MCX_KIND_CSK, "sip:a@t", NULL));
    unix_now += 10;
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    assert_true(finds(keys, b, MCX_KIND_CSK, "sip:a@t", NULL));
    mcx_key_info(&info, a);
    assert_int_equal(info.state, MCX_KEY_RETIRED);
    assert_int_equal(info.wipe_mono_ms, mono_now + MCX_KEY_GRACE_MS);
    assert_true(info.since_unix_ms == unix_now);
    assert_int_equal(mcx_key_commit(a), MCX_E_STATE);
    /* Receives for the grace, to the millisecond ... */
    mono_now += MCX_KEY_GRACE_MS - 1;
    assert_int_equal(mcx_keys_sweep(keys), 1);
    assert_true(usable(a));
    assert_true(finds_id(keys, a, MCX_KIND_CSK, 1));
    mcx_key_retire(a); /* does not begin the grace again */
    mono_now += 1;
    /* ... and is then refused though nobody has swept. */
    assert_true(finds_id(keys, NULL, MCX_KIND_CSK, 1));
    assert_false(usable(a));
    assert_int_equal(state_of(a), MCX_KEY_WIPED);
    assert_null(a->octets);
    assert_int_equal(mcx_keys_count(keys), 1);
    assert_int_equal(mcx_keys_sweep(keys), -1);
    assert_true(usable(b));
    mcx_key_drop(b);
    mcx_key_drop(b);
    assert_false(usable(b));
    assert_int_equal(mcx_key_commit(b), MCX_E_STATE);
    mcx_key_retire(b);
    assert_int_equal(state_of(b), MCX_KEY_WIPED);
    assert_int_equal(mcx_keys_count(keys), 0);
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_keys_free(keys);
}

static void
test_sweep_order(void **state)
{
    struct mcx_keys *keys = make(10);
    struct mcx_key *k[5];
    uint32_t i;

    (void)state;
    for (i = 0; i < 5; i++) {
        k[i] = stage(keys, MCX_KIND_PCK, i, 1, NULL);
        assert_int_equal(mcx_key_commit(k[i]), MCX_OK);
    }
    /* PCKs are many at a time: committing one retires none. */
    assert_int_equal(state_of(k[0]), MCX_KEY_ACTIVE);
    for (i = 0; i < 5; i++) {
        mcx_key_retire(k[i]);
        mono_now += 100;
    }
    mcx_key_drop(k[2]); /* out of the middle of the list */
    assert_int_equal(mcx_keys_sweep(keys), MCX_KEY_GRACE_MS - 500);
    mono_now += MCX_KEY_GRACE_MS - 500;
    assert_int_equal(mcx_keys_sweep(keys), 100);
    assert_int_equal(state_of(k[0]), MCX_KEY_WIPED);
    assert_int_equal(state_of(k[1]), MCX_KEY_RETIRED);
    mono_now += 100000;
    assert_int_equal(mcx_keys_sweep(keys), -1);
    for (i = 0; i < 5; i++) {
        assert_int_equal(state_of(k[i]), MCX_KEY_WIPED);
        mcx_key_unref(k[i]);
    }
    assert_int_equal(mcx_keys_count(keys), 0);
    mcx_keys_free(keys);
}

static void
test_owners(void **state)
{
    struct mcx_keys *keys = make(20);
    struct mcx_key *mine = stage(keys, MCX_KIND_CSK, 1, 1, NULL);
    struct mcx_key *a = stage(keys, MCX_KIND_CSK, 1, 2,
                              owner("sip:a@t", "sip:mca@t"));
    struct mcx_key *b = stage(keys, MCX_KIND_CSK, 1, 3,
                              owner("sip:b@t", "sip:mcb@t"));
    struct mcx_key *a2 = stage(keys, MCX_KIND_CSK, 2, 4,
                               owner("sip:a@t", "sip:mca2@t"));
    struct mcx_key *m = stage(keys, MCX_KIND_MUSIK, 1, 5,
                              owner("sip:a@t", "sip:mca@t"));
    struct mcx_key *p = stage(keys, MCX_KIND_PCK, 1, 6,
                              owner("sip:b@t", ""));

    (void)state;
    assert_int_equal(mcx_key_commit(mine), MCX_OK);
    assert_int_equal(mcx_key_commit(a), MCX_OK);
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    assert_int_equal(mcx_key_commit(a2), MCX_OK);
    assert_int_equal(mcx_key_commit(m), MCX_OK);
    assert_int_equal(mcx_key_commit(p), MCX_OK);
    /* Different owners and kinds replace nothing of each other. */
    assert_int_equal(state_of(mine), MCX_KEY_ACTIVE);
    assert_int_equal(state_of(a), MCX_KEY_ACTIVE);
    assert_true(finds(keys, mine, MCX_KIND_CSK, NULL, NULL));
    assert_true(finds(keys, mine, MCX_KIND_CSK, "", ""));
    assert_true(finds(keys, a, MCX_KIND_CSK, NULL, "sip:mca@t"));
    assert_true(finds(keys, a, MCX_KIND_CSK, "", "sip:mca@t"));
    assert_true(finds(keys, a2, MCX_KIND_CSK, NULL, "sip:mca2@t"));
    assert_true(finds(keys, a2, MCX_KIND_CSK, "sip:a@t", NULL)); /* newest */
    assert_true(finds(keys, a, MCX_KIND_CSK, "sip:a@t", "sip:mca@t"));
    assert_true(finds(keys, NULL, MCX_KIND_CSK, "sip:b@t", "sip:mca@t"));
    assert_true(finds(keys, NULL, MCX_KIND_CSK, "sip:c@t", NULL));
    assert_true(finds(keys, NULL, MCX_KIND_CSK, NULL, "sip:mc@t"));
    assert_true(finds(keys, NULL, MCX_KIND_PCK, "sip:a@t", NULL));
    assert_true(finds(keys, NULL, MCX_KIND_PCK, NULL, NULL));
    assert_true(finds(keys, m, MCX_KIND_MUSIK, NULL, "sip:mca@t"));
    assert_true(finds(keys, NULL, MCX_KIND_COUNT, NULL, NULL));
    assert_true(finds_id(keys, NULL, MCX_KIND_CSK, 77));
    /* Log-off wipes every kind of that user and nothing else. */
    mcx_keys_forget(keys, "");
    mcx_keys_forget(keys, NULL);
    mcx_keys_forget(keys, "sip:nobody@t");
    assert_int_equal(mcx_keys_count(keys), 6);
    mcx_keys_forget(keys, "sip:a@t");
    assert_int_equal(mcx_keys_count(keys), 3);
    assert_int_equal(state_of(a), MCX_KEY_WIPED);
    assert_int_equal(state_of(a2), MCX_KEY_WIPED);
    assert_int_equal(state_of(m), MCX_KEY_WIPED);
    assert_int_equal(state_of(b), MCX_KEY_ACTIVE);
    assert_int_equal(state_of(p), MCX_KEY_ACTIVE);
    assert_true(finds(keys, NULL, MCX_KIND_CSK, NULL, "sip:mca@t"));
    /* Freed with references held: valid, and wiped. */
    mcx_keys_free(keys);
    assert_int_equal(state_of(b), MCX_KEY_WIPED);
    assert_false(usable(b));
    mcx_key_drop(b);
    mcx_key_unref(mine);
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_key_unref(a2);
    mcx_key_unref(m);
    mcx_key_unref(p);
}

/* ---- the listener ------------------------------------------------------ */

static char heard[400];
static struct mcx_keys *heard_store;

static void
listener(void *arg, const struct mcx_key_info *info)
{
    size_t n = strlen(heard);

    assert_ptr_equal(arg, &heard);
    (void)snprintf(heard + n, sizeof heard - n, "%u:%s ",
                   (unsigned)(info->key_id & 0xff),
                   mcx_key_state_word(info->state));
    /* The store is not locked: this would hang. */
    (void)mcx_keys_count(heard_store);
}

static void
test_listener(void **state)
{
    struct mcx_keys *keys = make(10);
    struct mcx_key *a, *b;

    (void)state;
    heard_store = keys;
    mcx_keys_listen(keys, listener, &heard);
    a = stage(keys, MCX_KIND_CSK, 1, 1, NULL);
    assert_int_equal(mcx_key_commit(a), MCX_OK);
    b = stage(keys, MCX_KIND_CSK, 2, 2, NULL);
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    assert_int_equal(mcx_key_commit(b), MCX_E_STATE);
    mono_now += MCX_KEY_GRACE_MS;
    (void)mcx_keys_sweep(keys);
    mcx_key_retire(b);
    mcx_key_drop(b);
    mcx_key_drop(b);
    mcx_key_unref(b);
    b = stage(keys, MCX_KIND_CSK, 3, 2, NULL);
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_keys_free(keys);
    assert_string_equal(heard, "1:staged 1:active 2:staged 1:retired "
                               "2:active 1:wiped 2:retired 2:wiped "
                               "3:staged 3:wiped ");
}

/* A line of the log says which key and whose, and never what. */
static void
test_log(void **state)
{
    struct mcx_keys *keys = make(10);
    struct mcx_key *a;

    (void)state;
    mcx_log_level(MCX_AREA_KEYS, 9);
    a = stage(keys, MCX_KIND_CSK, 0xbeef, 0x41, owner("sip:a@t", "sip:m@t"));
    assert_string_equal(last_line, "staged, csk 2000beef, from sip:alice@t,"
                                   " of sip:a@t");
    mcx_log_level(MCX_AREA_KEYS, 0);
    mcx_key_unref(a);
    mcx_keys_free(keys);
}

/* ---- derivations ------------------------------------------------------- */

static void
hex(uint8_t *out, size_t n, const char *text)
{
    assert_int_equal(mcx_hex_decode(out, n, mcx_bytes_str(text), NULL),
                     MCX_OK);
}

/* SPEC TS 33.180 7.4; a published group key and its traffic key. */
static void
test_vector(void **state)
{
    static const uint8_t mki[8] = { 0x0d, 0xf9, 0xbc, 0x39,
                                    0x06, 0x33, 0xf4, 0x57 };
    struct mcx_keys *keys = make(10);
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_srtp_policy, policy);
    MCX_SECRET(mcx_tek, tek);
    uint8_t want[16], salt[12];
    struct mcx_key *k = NULL;

    (void)state;
    message(&km, MCX_KIND_GMK, 0x0df9bc39, 0);
    km.csb_id = 0x0633f457;
    km.sp.rcc_mode3 = true;
    km.sp.roc_rate = 1;
    hex(km.key.b, 16, "A27B7D578EEB9B1EE7705E385996D300");
    hex(km.rand, 16, "4339F62F55AAC86348846A482C893802");
    hex(want, 16, "59AAA49EBB54813602B7CC165961B4E8");
    hex(salt, 12, "745EB4DF7D155C473114A799");
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
    assert_int_equal(mcx_key_tek(&tek, k, MCX_CS_MCPTT_GROUP), MCX_OK);
    assert_int_equal(tek.key_size, 16);
    assert_int_equal(tek.salt_size, 12);
    assert_memory_equal(tek.key, want, 16);
    assert_memory_equal(tek.salt, salt, 12);
    assert_int_equal(mcx_key_policy(&policy, k, MCX_CS_MCPTT_GROUP, false),
                     MCX_OK);
    assert_memory_equal(policy.key, want, 16);
    assert_memory_equal(policy.salt, salt, 12);
    assert_int_equal(policy.suite, MCX_SUITE_AEAD_AES_128_GCM);
    assert_int_equal(policy.tag_size, 16);
    assert_int_equal(policy.mki_size, 8);
    assert_memory_equal(policy.mki, mki, 8);
    assert_int_equal(policy.cs_id, MCX_CS_MCPTT_GROUP);
    assert_true(policy.rcc_mode3);
    assert_int_equal(policy.roc_rate, 1);
    assert_int_equal(mcx_key_policy(&policy, k, MCX_CS_MCPTT_GROUP, true),
                     MCX_OK);
    assert_false(policy.rcc_mode3);
    assert_int_equal(policy.roc_rate, 0);
    /* Another crypto session, another key. */
    assert_int_equal(mcx_key_tek(&tek, k, MCX_CS_MCVIDEO_GROUP), MCX_OK);
    assert_memory_not_equal(tek.key, want, 16);
    mcx_key_unref(k);
    mcx_keys_free(keys);
}

static void
test_policies(void **state)
{
    static const struct {
        uint8_t alg, key, salt, tag;
        enum mcx_suite suite;
    } row[] = {
        { 6, 16, 12, 16, MCX_SUITE_AEAD_AES_128_GCM },
        { 1, 16, 14, 10, MCX_SUITE_AES_CM_128_HMAC_SHA1_80 },
        { 6, 32, 12, 16, MCX_SUITE_NONE }, { 6, 16, 14, 16, MCX_SUITE_NONE },
        { 6, 16, 12, 8, MCX_SUITE_NONE },  { 1, 16, 14, 4, MCX_SUITE_NONE },
        { 1, 16, 12, 10, MCX_SUITE_NONE }, { 0, 16, 14, 10, MCX_SUITE_NONE },
        { 6, 0, 12, 16, MCX_SUITE_NONE },  { 6, 33, 12, 16, MCX_SUITE_NONE },
        { 6, 16, 15, 16, MCX_SUITE_NONE },
    };
    static const uint8_t zero[sizeof(struct mcx_srtp_policy)];
    static const uint8_t mki[4] = { 0x10, 0, 0, 1 };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct mcx_keys *keys = make(2);
        MCX_SECRET(mcx_key_msg, km);
        MCX_SECRET(mcx_srtp_policy, p);
        struct mcx_key *k = NULL;
        mcx_err err;

        message(&km, MCX_KIND_PCK, 1, 1);
        km.csb_id = 0x12345678; /* a PCK's derivation does not look at it */
        km.sp.encr_alg = row[i].alg;
        km.sp.key_size = row[i].key;
        km.sp.salt_size = row[i].salt;
        km.sp.tag_size = row[i].tag;
        assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
        memset(&p, 0xff, sizeof p);
        err = mcx_key_policy(&p, k, 1, false);
        if (row[i].suite == MCX_SUITE_NONE) {
            assert_int_equal(err, MCX_E_UNSUPPORTED);
            assert_memory_equal(&p, zero, sizeof p);
        } else {
            assert_int_equal(err, MCX_OK);
            assert_int_equal(p.suite, row[i].suite);
            assert_int_equal(p.key_size, row[i].key);
            assert_int_equal(p.salt_size, row[i].salt);
            assert_int_equal(p.tag_size, row[i].tag);
            assert_int_equal(p.mki_size, 4);
            assert_memory_equal(p.mki, mki, 4);
            assert_int_equal(p.cs_id, 1);
        }
        mcx_key_drop(k);
        memset(&p, 0xff, sizeof p);
        assert_int_equal(mcx_key_policy(&p, k, 1, false),
                         row[i].suite ? MCX_E_STATE : MCX_E_UNSUPPORTED);
        assert_memory_equal(&p, zero, sizeof p);
        mcx_key_unref(k);
        mcx_keys_free(keys);
    }
}

/* A wrong PRF leaves nothing behind. */
static void
test_derive_fails(void **state)
{
    static const uint8_t zero[sizeof(struct mcx_tek)];
    struct mcx_keys *keys = make(2);
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_tek, tek);
    struct mcx_key *k = NULL;

    (void)state;
    message(&km, MCX_KIND_PCK, 1, 1);
    km.prf = 99;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
    memset(&tek, 0xff, sizeof tek);
    assert_int_equal(mcx_key_tek(&tek, k, 0), MCX_E_UNSUPPORTED);
    assert_memory_equal(&tek, zero, sizeof tek);
    mcx_key_unref(k);
    mcx_keys_free(keys);
}

/* ---- numbers ----------------------------------------------------------- */

static void
add_one(void *arg, const struct mcx_key_info *info)
{
    size_t *n = arg;

    assert_int_equal(info->state, MCX_KEY_ACTIVE);
    (*n)++;
}

static double
seconds(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A hundred thousand bindings, all with the same key ID: look-ups must not
 * get slower with the number. */
static void
test_many(void **state)
{
    enum { N = 100000 };
    struct mcx_keys *keys = make(N);
    char impu[40], mc[40];
    double start = seconds();
    size_t n = 0;
    int i;

    (void)state;
    for (i = 0; i < N; i++) {
        struct mcx_key *k;

        (void)snprintf(impu, sizeof impu, "sip:u%d@t", i);
        (void)snprintf(mc, sizeof mc, "sip:m%d@t", i);
        k = stage(keys, MCX_KIND_CSK, 1, (uint8_t)i, owner(impu, mc));
        assert_int_equal(mcx_key_commit(k), MCX_OK);
        mcx_key_unref(k);
    }
    for (i = 0; i < N; i++) {
        struct mcx_key *k;

        (void)snprintf(mc, sizeof mc, "sip:m%d@t", i);
        k = mcx_keys_current(keys, MCX_KIND_CSK, NULL, mc);
        assert_non_null(k);
        mcx_key_unref(k);
        k = mcx_keys_by_id(keys, MCX_KIND_CSK, 0x20000001);
        assert_non_null(k);
        mcx_key_unref(k);
    }
    mcx_keys_each(keys, add_one, &n);
    assert_int_equal(n, N);
    for (i = 0; i < N; i += 2) {
        (void)snprintf(impu, sizeof impu, "sip:u%d@t", i);
        mcx_keys_forget(keys, impu);
    }
    assert_int_equal(mcx_keys_count(keys), N / 2);
    mcx_keys_free(keys);
    /* Quadratic work would take minutes; this is a second, sanitizers and a
     * loaded machine included some more. */
    assert_true(seconds() - start < 30);
}

/* ---- threads ----------------------------------------------------------- */

enum { N_THREADS = 4, N_TURNS = 400 };
static struct mcx_keys *shared;
static atomic_int told;

static void
count_told(void *arg, const struct mcx_key_info *info)
{
    (void)arg;
    if (info->state == MCX_KEY_WIPED) {
        atomic_fetch_add(&told, 1);
    }
}

static void *
worker(void *arg)
{
    unsigned me = *(const unsigned *)arg;
    uint32_t i;

    for (i = 0; i < N_TURNS; i++) {
        struct mcx_key *k = NULL, *other;

        if (stage_err(shared, MCX_KIND_CSK, me << 16 | i, (uint8_t)i,
                      owner("sip:same@t", "sip:mc@t"), &k, NULL)
            == MCX_OK) {
            mcx_err err = mcx_key_commit(k);

            /* Another thread may have logged the user off meanwhile. */
            assert_true(err == MCX_OK || err == MCX_E_STATE);
        }
        other = mcx_keys_current(shared, MCX_KIND_CSK, NULL, "sip:mc@t");
        if (other) {
            struct mcx_key_info info;

            (void)usable(other);
            mcx_key_info(&info, other);
            if (i % 16 == me) {
                mcx_key_drop(other);
            }
        }
        mcx_key_unref(other);
        mcx_key_unref(k);
        mono_now += 50;
        (void)mcx_keys_sweep(shared);
        if (i % 97 == 0) {
            mcx_keys_forget(shared, "sip:same@t");
        }
    }
    return NULL;
}

static void
test_threads(void **state)
{
    unsigned name[N_THREADS];
    pthread_t t[N_THREADS];
    unsigned i;

    (void)state;
    shared = make(N_THREADS * N_TURNS);
    mcx_keys_listen(shared, count_told, NULL);
    for (i = 0; i < N_THREADS; i++) {
        name[i] = i;
        assert_int_equal(pthread_create(&t[i], NULL, worker, &name[i]), 0);
    }
    for (i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    mcx_keys_free(shared);
    /* Every key staged was told of as wiped exactly once. */
    assert_int_equal(atomic_load(&told), N_THREADS * N_TURNS);
}

/* A GMK with key parameters; times in seconds from now, 0: none. */
static void
gmk_message(struct mcx_key_msg *km, uint32_t low, uint8_t octet, int from_s,
            int to_s)
{
    message(km, MCX_KIND_GMK, low, octet);
    km->params.present = true;
    km->params.status = 1;
    km->params.activation_unix = from_s ? unix_now / 1000 + from_s : 0;
    km->params.expiry_unix = to_s ? unix_now / 1000 + to_s : 0;
}

static void
pass(int64_t ms)
{
    unix_now += ms;
    mono_now += ms;
}

static int events_n;

static void
count_events(void *arg, const struct mcx_key_info *info)
{
    (void)arg;
    events_n += info->state != MCX_KEY_STAGED;
}

/* A key committed early receives, and is active from its time on; the one
 * before it retires only then. */
static void
test_activation(void **state)
{
    struct mcx_keys *keys = make(8);
    struct mcx_key *old, *k, *cur, *gone;
    struct mcx_key_info info;
    struct mcx_tek tek;

    (void)state;
    mcx_keys_listen(keys, count_events, NULL);
    old = stage(keys, MCX_KIND_CSK, 1, 1, NULL);
    assert_int_equal(mcx_key_commit(old), MCX_OK);
    {
        MCX_SECRET(mcx_key_msg, km);

        gmk_message(&km, 2, 2, 60, 120);
        km.kind = MCX_KIND_CSK;
        km.key_id = km.csb_id = 0x20000002;
        assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
        gmk_message(&km, 3, 3, 50, 0);
        assert_int_equal(mcx_keys_stage(keys, &km, NULL, &gone, NULL),
                         MCX_OK);
    }
    events_n = 0;
    assert_int_equal(mcx_key_commit(gone), MCX_OK);
    assert_int_equal(mcx_key_commit(k), MCX_OK);
    assert_int_equal(mcx_key_commit(k), MCX_E_STATE);
    assert_int_equal(events_n, 0); /* nothing has changed yet */
    mcx_key_drop(gone);            /* takes it from among the waiting */
    mcx_key_unref(gone);
    assert_int_equal(mcx_keys_sweep(keys), 60000);
    assert_int_equal(state_of(k), MCX_KEY_STAGED);
    assert_int_equal(mcx_key_tek(&tek, k, 6), MCX_OK); /* receives */
    cur = mcx_keys_current(keys, MCX_KIND_CSK, NULL, NULL);
    assert_ptr_equal(cur, old);
    mcx_key_unref(cur);

    pass(59999);
    assert_int_equal(mcx_keys_sweep(keys), 1);
    assert_int_equal(state_of(old), MCX_KEY_ACTIVE);
    pass(1);
    cur = mcx_keys_current(keys, MCX_KIND_CSK, NULL, NULL);
    assert_ptr_equal(cur, k);
    mcx_key_unref(cur);
    assert_int_equal(state_of(k), MCX_KEY_ACTIVE);
    assert_int_equal(state_of(old), MCX_KEY_RETIRED);
    assert_int_equal(events_n, 3); /* dropped, retired, active */
    assert_int_equal(mcx_keys_sweep(keys), MCX_KEY_GRACE_MS);
    pass(MCX_KEY_GRACE_MS);
    assert_int_equal(mcx_keys_sweep(keys), 60000 - MCX_KEY_GRACE_MS);

    /* Expired is as good as wiped, swept or not. */
    pass(60000 - MCX_KEY_GRACE_MS);
    assert_null(mcx_keys_current(keys, MCX_KIND_CSK, NULL, NULL));
    assert_null(mcx_keys_by_id(keys, MCX_KIND_CSK, 0x20000002));
    assert_int_equal(state_of(k), MCX_KEY_ACTIVE);
    assert_int_equal(mcx_key_tek(&tek, k, 6), MCX_E_STATE);
    mcx_key_info(&info, k);
    assert_int_equal(info.state, MCX_KEY_WIPED);
    assert_int_equal(info.end, MCX_END_EXPIRED);
    assert_int_equal(mcx_keys_sweep(keys), -1);
    mcx_key_unref(k);
    mcx_key_unref(old);
    mcx_keys_free(keys);
}

/* Several GMKs of a group, one of them for two groups. */
static void
test_group_keys(void **state)
{
    struct mcx_keys *keys = make(8);
    struct mcx_key *a[MCX_GROUPS_MAX], *b[MCX_GROUPS_MAX], *cur;
    size_t n_a, n_b;
    MCX_SECRET(mcx_key_msg, km);

    (void)state;
    gmk_message(&km, 1, 1, 0, 0);
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, NULL, a, &n_a,
                                          NULL), MCX_E_ARG);
    km.params.n_groups = 2;
    (void)snprintf(km.params.group[0], 256, "sip:fire@t");
    (void)snprintf(km.params.group[1], 256, "sip:water@t");
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, "sip:x@t", a,
                                          &n_a, NULL), MCX_OK);
    assert_int_equal(n_a, 2);
    assert_int_equal(km.key.b[0], 0);
    assert_int_equal(mcx_key_commit(a[0]), MCX_OK);
    assert_int_equal(mcx_key_commit(a[1]), MCX_OK);

    /* An older T that comes later does not win: TS 33.303 6.2.4.4. */
    gmk_message(&km, 2, 2, 0, 0);
    km.t_unix_ms -= 1000;
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, "sip:fire@t", b,
                                          &n_b, NULL), MCX_OK);
    assert_int_equal(n_b, 1);
    assert_int_equal(mcx_key_commit(b[0]), MCX_OK);
    cur = mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:fire@t");
    assert_ptr_equal(cur, a[0]);
    mcx_key_unref(cur);
    mcx_key_unref(b[0]);

    /* The one activated last is sent with, once it is. */
    gmk_message(&km, 3, 3, 10, 0);
    km.t_unix_ms -= 2000;
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, "sip:fire@t", b,
                                          &n_b, NULL), MCX_OK);
    assert_int_equal(mcx_key_commit(b[0]), MCX_OK);
    cur = mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:fire@t");
    assert_ptr_equal(cur, a[0]);
    mcx_key_unref(cur);
    pass(10000);
    cur = mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:fire@t");
    assert_ptr_equal(cur, b[0]);
    mcx_key_unref(cur);
    cur = mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:water@t");
    assert_ptr_equal(cur, a[1]);
    mcx_key_unref(cur);

    /* Revoked for one group, revoked for all; the other GMKs live on. */
    assert_int_equal(mcx_keys_revoke(keys, MCX_KIND_GMK, 1), 2);
    assert_null(mcx_keys_current(keys, MCX_KIND_GMK, NULL, "sip:water@t"));
    assert_int_equal(mcx_keys_count(keys), 2);

    /* All or none. */
    gmk_message(&km, 4, 4, 0, 0);
    km.params.n_groups = MCX_GROUPS_MAX;
    for (n_a = 0; n_a < MCX_GROUPS_MAX; n_a++) {
        (void)snprintf(km.params.group[n_a], 256, "sip:g%zu@t", n_a);
    }
    mcx_key_unref(a[0]);
    mcx_key_unref(a[1]);
    assert_int_equal(mcx_keys_stage_group(keys, &km, "sip:i@t", NULL, a,
                                          &n_a, NULL), MCX_E_BUSY);
    assert_int_equal(n_a, 0);
    assert_int_equal(mcx_keys_count(keys), 2);
    mcx_key_unref(b[0]);
    mcx_keys_free(keys);
}

/* A receiver with the GMK has the traffic keys of every talker. */
static void
test_talkers(void **state)
{
    struct mcx_keys *keys = make(8);
    struct mcx_key *alice, *bob, *csk, *k;
    struct mcx_srtp_policy sent, got;
    struct mcx_tek tek, tek2;
    uint32_t id = 0, talker = 0;
    uint8_t mki[8] = { 0 };
    MCX_SECRET(mcx_key_msg, km);

    (void)state;
    message(&km, MCX_KIND_GMK, 0x0df9bc39, 7);
    assert_int_equal(mcx_guk_id(&km.csb_id, &km.key, km.key_id,
                                "sip:alice@t"), MCX_OK);
    assert_int_equal(mcx_keys_stage(keys, &km, owner("", "g1"), &alice,
                                    NULL), MCX_OK);
    message(&km, MCX_KIND_GMK, 0x0df9bc39, 7);
    assert_int_equal(mcx_guk_id(&km.csb_id, &km.key, km.key_id, "sip:bob@t"),
                     MCX_OK);
    assert_int_equal(mcx_keys_stage(keys, &km, owner("", "g2"), &bob, NULL),
                     MCX_OK);
    assert_int_equal(mcx_key_policy(&sent, alice, 4, false), MCX_OK);
    assert_int_equal(sent.mki_size, 8);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(sent.mki, 8), &k,
                                     &talker), MCX_OK);
    mcx_key_unref(k);
    assert_int_equal(mcx_key_talker_id(&id, bob, "sip:alice@t"), MCX_OK);
    assert_int_equal(id, talker);
    assert_int_equal(mcx_key_policy_of(&got, bob, talker, 4, false),
                     MCX_OK);
    assert_memory_equal(&got, &sent, sizeof sent);
    assert_int_equal(mcx_key_tek_of(&tek, bob, talker, 4), MCX_OK);
    assert_memory_equal(tek.key, sent.key, 16);
    assert_int_equal(mcx_key_tek(&tek2, bob, 4), MCX_OK);
    assert_memory_not_equal(tek.key, tek2.key, 16);

    /* Not a talker of a group. */
    csk = stage(keys, MCX_KIND_CSK, 9, 9, NULL);
    assert_int_equal(mcx_key_tek_of(&tek, csk, 0x20000001, 6), MCX_E_ARG);
    assert_int_equal(mcx_key_policy_of(&got, csk, 1, 6, true), MCX_E_ARG);
    assert_int_equal(mcx_key_policy_of(&got, bob, 0x20000001, 4, true),
                     MCX_E_ARG);
    assert_int_equal(mcx_key_talker_id(&id, csk, "sip:alice@t"), MCX_E_ARG);
    assert_int_equal(mcx_key_talker_id(&id, bob, ""), MCX_E_ARG);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(sent.mki, 4), &k,
                                     &talker), MCX_E_NO_KEY);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(sent.mki, 5), &k,
                                     &talker), MCX_E_ARG);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(mki, 8), &k, &talker),
                     MCX_E_NO_KEY);
    mki[0] = 0x20;
    mki[3] = 9;
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(mki, 8), &k, &talker),
                     MCX_E_NO_KEY);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(mki, 4), &k, &talker),
                     MCX_OK);
    assert_ptr_equal(k, csk);
    assert_int_equal(talker, 0);
    mcx_key_unref(k);
    message(&km, MCX_KIND_GSK, 0, 5);
    km.key_id = 0xfedc0001;
    km.csb_id = 0x12345678;
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
    mcx_key_unref(k);
    memcpy(mki, "\xfe\xdc\x00\x01", 4);
    assert_int_equal(mcx_keys_by_mki(keys, mcx_bytes(mki, 4), &k, &talker),
                     MCX_OK);
    mcx_key_unref(k);

    mcx_key_drop(bob);
    assert_int_equal(mcx_key_talker_id(&id, bob, "sip:alice@t"),
                     MCX_E_STATE);
    assert_int_equal(mcx_key_policy_of(&got, bob, talker, 4, false),
                     MCX_E_STATE);
    mcx_key_unref(alice);
    mcx_key_unref(bob);
    mcx_key_unref(csk);
    mcx_keys_free(keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_stage_refused),
        cmocka_unit_test(test_same_key_again),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_sweep_order),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_derive_fails),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_activation),
        cmocka_unit_test(test_group_keys),
        cmocka_unit_test(test_talkers),
    };

    mcx_log_level(MCX_AREA_KEYS, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
