/* test_gsk.c -- pre-shared key mode as initiator and responder, and GSK
 * messages: round trips of every form, the order in which the GMK is looked
 * for, and what must be refused. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>
#include "../../../test-scenarios/vectors/vec.h"
#include "inner.h"
#include "test_world.h"

#define F "mikey-psk-computed"

static const struct mcx_ssv gmk = { "GMK of 16 octets" };
static const struct mcx_ssv other = { "another 16 octet" };
enum { GMK_ID = 0x0abcdef1, OTHER_ID = 0x01234567 };

/* What the receiver has: bit 0 the GMK, bit 1 the other one. */
static unsigned have = 3;
static unsigned asked_only;

static mcx_err
find(void *arg, uint32_t id, bool only, struct mcx_ssv *out)
{
    (void)arg;
    asked_only += only;
    if (only ? have == 1 : (have & 1) && id == GMK_ID) {
        *out = gmk;
        return MCX_OK;
    }
    if (!only && (have & 2) && id == OTHER_ID) {
        *out = other;
        return MCX_OK;
    }
    return MCX_E_NO_KEY;
}

static bool holds;
static uint32_t asked_of;

static bool
held(void *arg, uint32_t csb_id)
{
    (void)arg;
    asked_of = csb_id;
    return holds;
}

static struct mcx_gsk_build
talk(void)
{
    have = 3;
    rewind_clock();
    return (struct mcx_gsk_build){ .env = &w.te.env, .gmk = &gmk,
                                   .gmk_id = GMK_ID };
}

static struct mcx_gsk_open
hear(void)
{
    return (struct mcx_gsk_open){ .env = &w.te.env, .gmk = find };
}

static struct mcx_bytes
speak(uint8_t buf[ROOM], const struct mcx_gsk_build *how,
      struct mcx_key_msg *km)
{
    size_t n = ROOM;

    assert_int_equal(mcx_gsk_build(buf, &n, km, how, NULL), MCX_OK);
    return mcx_bytes(buf, n);
}

static mcx_err
listen_to(struct mcx_key_msg *km, struct mcx_bytes b,
          const struct mcx_gsk_open *how, struct mcx_why *why)
{
    static struct mcx_mikey_msg m;
    mcx_err err = mcx_mikey_parse(&m, b, why);

    return err == MCX_OK ? mcx_gsk_open(km, &m, how, why) : err;
}

static void
deaf(struct mcx_bytes b, const struct mcx_gsk_open *how, mcx_reason reason)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    struct mcx_why why = { 0 };

    memset(&km, 0x55, sizeof km);
    assert_int_equal(listen_to(&km, b, how, &why), mcx_reason_err(reason));
    if (why.reason != reason) {
        print_error("%s, wanted %s\n", mcx_reason_word(why.reason),
                    mcx_reason_word(reason));
    }
    assert_int_equal(why.reason, reason);
    assert_memory_equal(&km, &zero, sizeof km);
}

/* ---- pre-shared key mode ----------------------------------------------- */

/* TEST RFC 3830 3.1: our answers to the computed messages are the computed
 * answers, octet for octet. */
static void
answers(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], want[ROOM], got[ROOM];
    uint8_t psk[64];
    char name[80];
    size_t i, n, n_psk;

    (void)state;
    for (i = 0; i < 3; i++) {
        static struct mcx_mikey_msg resp;
        struct mcx_bytes id;
        size_t n_got = ROOM;

        (void)snprintf(name, sizeof name, "messages[%zu].I_MESSAGE", i);
        n = vec_hex(F, name, buf, ROOM);
        assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL),
                         MCX_OK);
        (void)snprintf(name, sizeof name, "messages[%zu].R_MESSAGE", i);
        n = vec_hex(F, name, want, ROOM);
        assert_int_equal(mcx_mikey_parse(&resp, mcx_bytes(want, n), NULL),
                         MCX_OK);
        (void)snprintf(name, sizeof name, "messages[%zu].psk", i);
        n_psk = vec_hex(F, name, psk, sizeof psk);
        id = resp.n_id ? resp.id[0].data : mcx_bytes(NULL, 0);
        m.v = true;
        assert_int_equal(mcx_psk_answer(got, &n_got, &m,
                                        mcx_bytes(psk, n_psk), id,
                                        resp.n_id ? resp.id[0].id_type : 0),
                         MCX_OK);
        assert_int_equal(n_got, n);
        assert_memory_equal(got, want, n);
        n_got = n - 1;
        assert_int_equal(mcx_psk_answer(got, &n_got, &m,
                                        mcx_bytes(psk, n_psk), id, 1),
                         MCX_E_TOOBIG);
        m.v = false;
        assert_int_equal(mcx_psk_answer(got, &n_got, &m,
                                        mcx_bytes(psk, n_psk), id, 1),
                         MCX_E_STATE);
    }
}

static void
fill_keys(struct mcx_psk_keys *keys, size_t v)
{
    size_t i;

    memset(keys, 0, sizeof *keys);
    keys->n = 1 + v % 3;
    for (i = 0; i < keys->n; i++) {
        struct mcx_keydata *k = &keys->k[i];

        k->type = (uint8_t)((v + i) % 4);
        k->kv = (uint8_t)((v / 2 + i) % 3);
        k->key_n = v & 1 ? 16 : 32;
        memset(k->key, (int)(v + i + 1), k->key_n);
        if (k->type & 1) {
            k->salt_n = 14;
            memset(k->salt, 0x33, k->salt_n);
        }
        if (k->kv == 1) {
            k->spi_n = 4;
            memset(k->spi, 0x44, k->spi_n);
        } else if (k->kv == 2) {
            k->valid_from_n = k->valid_to_n = 6;
            memset(k->valid_to, 0xff, 6);
        }
    }
}

/* Every algorithm with every map, with identities of each form; the answer is
 * verified by the initiator. */
static void
psk_round_trips(void **state)
{
    static const uint8_t policy_0[1] = { 0 };
    static const struct mcx_cs cs[2] = {
        { .cs_id = 7, .policies = { policy_0, 1 }, .ssrc = 5,
          .has_ssrc = true },
        { .cs_id = 9, .policies = { policy_0, 1 } },
    };
    static struct mcx_mikey_msg m, r;
    static uint8_t buf[ROOM], back[ROOM], resp[ROOM];
    uint8_t sp[MCX_PROFILE_PARAMS_MAX];
    struct mcx_wr spw = mcx_wr(sp, sizeof sp);
    struct mcx_bytes psk = mcx_bytes(gmk.b, sizeof gmk.b);
    MCX_SECRET(mcx_psk_keys, keys);
    MCX_SECRET(mcx_psk_keys, got);
    size_t v, n, n_resp;

    (void)state;
    rewind_clock();
    assert_int_equal(mcx_profile_write(&spw,
                                       &mcx_kind_info(MCX_KIND_GSK)->sp),
                     MCX_OK);
    for (v = 0; v < 48; v++) {
        struct mcx_psk_build how = {
            .env = &w.te.env, .psk = psk, .prf = v & 1, .keys = &keys,
            .encr_alg = v & 2 ? MCX_ENCR_AES_CM_256 : 0,
            .mac_alg = v & 4 ? MCX_MAC_HMAC_SHA256_256 : 0,
            .v = true, .csb_id = 0x12345678, .map_type = (uint8_t)(v % 3),
            .cs = cs, .n_cs = v % 3 == MCX_MAP_EMPTY ? 0 : 2,
            .roles = v & 8, .sp = mcx_bytes(sp, v & 16 ? spw.at : 0),
        };
        struct mcx_wr wr = mcx_wr(back, sizeof back);

        if (v % 5 < 2) {
            how.id_i = mcx_bytes_str(ALICE);
            how.id_r = mcx_bytes_str(BOB);
            how.id_i_type = how.id_r_type = 1;
        }
        fill_keys(&keys, v);
        n = ROOM;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_OK);
        assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL),
                         MCX_OK);
        assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
        assert_int_equal(wr.at, n);
        assert_memory_equal(back, buf, n);
        assert_int_equal(m.rand.n, 16);
        assert_int_equal(m.n_cs, how.n_cs);
        assert_int_equal(mcx_psk_open(&got, &m, psk, NULL), MCX_OK);
        assert_memory_equal(&got, &keys, sizeof got);
        n_resp = ROOM;
        assert_int_equal(mcx_psk_answer(resp, &n_resp, &m, psk,
                                        v & 32 ? mcx_bytes_str(BOB)
                                               : mcx_bytes(NULL, 0),
                                        1),
                         MCX_OK);
        assert_int_equal(mcx_mikey_parse(&r, mcx_bytes(resp, n_resp), NULL),
                         MCX_OK);
        assert_int_equal(mcx_psk_verify(&r, &m, psk, NULL), MCX_OK);
        resp[n_resp - 1] ^= 1;
        assert_int_equal(mcx_psk_verify(&r, &m, psk, NULL), MCX_E_AUTH);
        /* No room, one octet short. */
        n--;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_E_TOOBIG);
        n = ROOM;
        how.psk.n = 0;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_E_ARG);
        how.psk = psk;
        how.encr_alg = 4;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_E_ARG);
        how.encr_alg = 0;
        keys.k[0].key_n = 0;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_E_ARG);
    }
}

/* AES key wrap carries what comes to whole blocks, and refuses the rest
 * instead of making up a fill. */
static void
psk_key_wrap(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    struct mcx_bytes psk = mcx_bytes(gmk.b, sizeof gmk.b);
    MCX_SECRET(mcx_psk_keys, keys);
    MCX_SECRET(mcx_psk_keys, got);
    struct mcx_psk_build how = {
        .env = &w.te.env, .psk = psk, .keys = &keys,
        .encr_alg = MCX_ENCR_AES_KW_128, .map_type = MCX_MAP_EMPTY,
        .csb_id = 7,
    };
    size_t n, size, n_keys, fit = 0;
    unsigned prf;

    (void)state;
    rewind_clock();
    for (n_keys = 1; n_keys <= 3; n_keys++) {
        for (size = 1; size <= 40; size++) {
            size_t plain = n_keys * (4 + size), i;
            bool whole = plain >= 16 && plain % 8 == 0;

            memset(&keys, 0, sizeof keys);
            keys.n = n_keys;
            for (i = 0; i < n_keys; i++) {
                keys.k[i].key_n = size;
                memset(keys.k[i].key, (int)(i + size), size);
            }
            for (prf = 0; prf < 2; prf++) {
                how.prf = (uint8_t)prf;
                n = ROOM;
                assert_int_equal(mcx_psk_build(buf, &n, &how, NULL),
                                 whole ? MCX_OK : MCX_E_ARG);
                if (!whole) {
                    continue;
                }
                fit++;
                assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n),
                                                 NULL),
                                 MCX_OK);
                assert_int_equal(m.kemac.encr_alg, 2);
                assert_int_equal(m.kemac.encr.n, plain + 8);
                assert_int_equal(mcx_psk_open(&got, &m, psk, NULL), MCX_OK);
                assert_memory_equal(&got, &keys, sizeof got);
            }
        }
    }
    assert_true(fit > 20);
}

/* ---- GSK --------------------------------------------------------------- */

static void
gsk_round_trips(void **state)
{
    static const uint32_t ssrc[] = { 0x11111111, 0x22222222, 0 };
    static struct mcx_key_msg sent, km;
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], back[ROOM];
    unsigned v;

    (void)state;
    for (v = 0; v < 32; v++) {
        struct mcx_gsk_build how = talk();
        struct mcx_gsk_open o = hear();
        struct mcx_wr wr = mcx_wr(back, sizeof back);
        struct mcx_bytes b;

        how.prf = v & 1;
        how.hide_gmk_id = v & 2;
        how.no_mki = v & 4;
        if (v & 8) {
            how.ssrc = ssrc;
            how.n_ssrc = 3;
        }
        if (v & 16) {
            how.ring = o.ring = w.ring;
            how.from = o.from = ALICE;
            o.want_sign = true;
        }
        have = how.hide_gmk_id ? 1 : 3;
        b = speak(buf, &how, &sent);
        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
        assert_int_equal(wr.at, b.n);
        assert_memory_equal(back, b.p, b.n);
        assert_false(m.v);
        assert_int_equal(m.map_type, MCX_MAP_SRTP_ID);
        assert_int_equal(m.n_cs, v & 8 ? 3 : 1);
        assert_int_equal(m.cs[0].ssrc, v & 8 ? 0x11111111 : 0);
        assert_int_equal(m.sign_at != 0, (v & 16) != 0);
        assert_int_equal(m.n_id, how.hide_gmk_id ? 0 : 1);
        assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
        assert_int_equal(km.kind, MCX_KIND_GSK);
        assert_memory_equal(km.key.b, sent.key.b, sizeof km.key.b);
        assert_memory_equal(km.digest, sent.digest, sizeof km.digest);
        assert_memory_equal(km.rand, sent.rand, 16);
        assert_true(km.t == sent.t && km.csb_id == sent.csb_id
                    && km.key_id == sent.key_id && km.prf == sent.prf);
        assert_string_equal(km.initiator, v & 16 ? ALICE : "");
        assert_int_equal(km.sp.encr_alg, 6);
        assert_false(km.sp.rcc_mode3);
        assert_string_equal(mcx_kind_word(km.kind), "gsk");
        /* Given key, ID and RAND. */
        how.key = &other;
        how.id_given = true;
        how.key_id = 0xdeadbeef;
        how.rand = other.b;
        assert_int_equal(listen_to(&km, speak(buf, &how, NULL), &o, NULL),
                         MCX_OK);
        assert_memory_equal(km.key.b, other.b, sizeof km.key.b);
        assert_memory_equal(km.rand, other.b, 16);
        assert_true(km.key_id == 0xdeadbeef);
    }
}

/* Traffic keys come from CSB ID, MKIs are the SPI, even where they differ. */
static void
in_the_store(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_gsk_build how = talk();
    struct mcx_gsk_open o = hear();
    struct mcx_srtp_policy policy;
    struct mcx_keys *keys = NULL;
    struct mcx_key *key = NULL;
    uint8_t tek[16];

    (void)state;
    assert_int_equal(listen_to(&km, speak(buf, &how, NULL), &o, NULL),
                     MCX_OK);
    km.key_id = 0x01020304; /* as another SPI would have it */
    assert_int_equal(mcx_mikey_derive(tek, 16, km.prf,
                                      mcx_bytes(km.key.b, 16),
                                      MCX_LABEL_TEK, 1, km.csb_id,
                                      mcx_bytes(km.rand, km.rand_n)),
                     MCX_OK);
    assert_int_equal(mcx_keys_new(&keys, &w.te.env, 4), MCX_OK);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &key, NULL), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    assert_int_equal(mcx_key_policy(&policy, key, 1, false), MCX_OK);
    assert_memory_equal(policy.key, tek, 16);
    assert_int_equal(policy.mki_size, 4);
    assert_int_equal(policy.mki[3], 4);
    mcx_srtp_policy_wipe(&policy);
    mcx_key_unref(key);
    mcx_keys_free(keys);
}

static void
which_gmk(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_gsk_build how = talk();
    struct mcx_gsk_open o = hear();
    struct mcx_bytes b;

    (void)state;
    /* Named in IDi, and there. */
    b = speak(buf, &how, NULL);
    asked_only = 0;
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    /* Named and not there: not another one, even when it is the only one. */
    have = 2;
    deaf(b, &o, MCX_R_NO_GMK);
    have = 0;
    deaf(b, &o, MCX_R_NO_GMK);
    assert_int_equal(asked_only, 0);
    /* In CSB ID. */
    have = 3;
    how.hide_gmk_id = true;
    how.id_given = true;
    how.key_id = GMK_ID;
    assert_int_equal(listen_to(&km, speak(buf, &how, NULL), &o, NULL),
                     MCX_OK);
    assert_int_equal(asked_only, 0);
    /* Nowhere: the only one there is, or none. */
    how.key_id = 0x55555555;
    b = speak(buf, &how, NULL);
    deaf(b, &o, MCX_R_NO_GMK);
    have = 1;
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    assert_int_equal(asked_only, 2);
    /* Named, and the octets were made with another. */
    have = 3;
    how = talk();
    how.gmk_id = OTHER_ID;
    deaf(speak(buf, &how, NULL), &o, MCX_R_MAC);
}

static void
time_and_repeats(void **state)
{
    static struct mcx_key_msg km, newer;
    static uint8_t buf[ROOM];
    struct mcx_gsk_build how = talk();
    struct mcx_gsk_open o = hear();
    struct mcx_bytes b = speak(buf, &how, NULL);

    (void)state;
    assert_int_equal(mcx_replay_new(&o.replay, 1), MCX_OK);
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    deaf(b, &o, MCX_R_REPLAYED); /* the talker's repeat: dropped silently */
    o.held = held;
    holds = true;
    deaf(b, &o, MCX_R_REPLAYED);
    assert_int_equal(asked_of, km.csb_id);
    /* The key was lost, by a restart: the repeat is what brings it back. */
    holds = false;
    assert_int_equal(listen_to(&newer, b, &o, NULL), MCX_OK);
    assert_memory_equal(newer.key.b, km.key.b, sizeof km.key.b);
    assert_int_equal(newer.csb_id, km.csb_id);
    assert_int_equal(mcx_replay_count(o.replay), 1);
    buf[b.n - 1] ^= 1; /* whoever repeats has to be the talker */
    deaf(b, &o, MCX_R_MAC);
    buf[b.n - 1] ^= 1;
    mcx_replay_floor(o.replay, now_ms + 1000); /* nothing is known any more */
    deaf(b, &o, MCX_R_REPLAYED);
    mcx_replay_free(o.replay);
    assert_int_equal(mcx_replay_new(&o.replay, 1), MCX_OK);
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    o.held = NULL;
    deaf(speak(buf, &how, &newer), &o, MCX_R_REPLAY_FULL);
    assert_true(mcx_key_msg_newer(&newer, &km));
    assert_false(mcx_key_msg_newer(&km, &newer));
    assert_false(mcx_key_msg_newer(&km, &km));
    km.t = UINT64_C(0xffffffff00000000); /* across 2036-02-07 */
    newer.t = 5;
    assert_true(mcx_key_msg_newer(&newer, &km));
    assert_false(mcx_key_msg_newer(&km, &newer));
    mcx_replay_free(o.replay);
    o.replay = NULL;
    b = speak(buf, &how, NULL);
    w.te.now_ms = now_ms - 300001;
    deaf(b, &o, MCX_R_TOO_NEW);
    w.te.now_ms = now_ms + 300001;
    deaf(b, &o, MCX_R_TOO_OLD);
    o.back_s = 3600; /* a long session, a late joiner */
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    rewind_clock();
}

static void
signatures(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_gsk_build how = talk();
    struct mcx_gsk_open o = hear();
    struct mcx_bytes b;
    size_t n = ROOM;

    (void)state;
    o.want_sign = true;
    assert_int_equal(listen_to(&km, speak(buf, &how, NULL), &o, NULL),
                     MCX_E_ARG); /* and nothing to check it with */
    o.ring = w.ring;
    o.from = ALICE;
    deaf(speak(buf, &how, NULL), &o, MCX_R_PAYLOAD_MISSING);
    how.ring = w.ring;
    how.from = ALICE;
    b = speak(buf, &how, NULL);
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    o.from = MALLORY;
    deaf(b, &o, MCX_R_SIGNATURE);
    o.from = NULL;
    deaf(b, &o, MCX_R_INITIATOR_HIDDEN);
    o.from = ALICE;
    buf[b.n - 70] ^= 1;
    deaf(b, &o, MCX_R_SIGNATURE);
    buf[b.n - 1] ^= 1;
    deaf(b, &o, MCX_R_PVT);
    o.want_sign = false;
    o.ring = NULL; /* a receiver that does not check takes it unsigned */
    assert_int_equal(listen_to(&km, b, &o, NULL), MCX_OK);
    assert_string_equal(km.initiator, "");
    /* Cutting the signature off breaks the MAC. */
    b.n -= 131;
    {
        static struct mcx_mikey_msg m;

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_E_MALFORMED);
        how.from = NULL;
        b = speak(buf, &how, NULL);
        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    }
    how.from = "sip:nobody@mc.example.org";
    assert_int_equal(mcx_gsk_build(buf, &n, &km, &how, NULL),
                     MCX_E_NO_IDENTITY);
    how.from = ALICE;
    how.ring = NULL;
    assert_int_equal(mcx_gsk_build(buf, &n, &km, &how, NULL), MCX_E_ARG);
}

/* Key data that is no GSK. */
static void
not_a_gsk(void **state)
{
    static uint8_t buf[ROOM];
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_gsk_open o = hear();
    struct mcx_psk_build how = {
        .env = &w.te.env, .psk = mcx_bytes(gmk.b, sizeof gmk.b),
        .keys = &keys, .map_type = MCX_MAP_EMPTY, .csb_id = GMK_ID,
    };
    static const struct {
        uint8_t type, kv;
        size_t key_n, salt_n, spi_n, n;
    } rows[] = {
        { 2, 0, 16, 0, 0, 1 }, { 1, 0, 16, 14, 0, 1 }, { 0, 0, 32, 0, 0, 1 },
        { 0, 1, 16, 0, 3, 1 }, { 0, 2, 16, 0, 0, 1 },  { 0, 0, 16, 0, 0, 2 },
    };
    size_t i, n;

    (void)state;
    have = 3;
    rewind_clock();
    for (i = 0; i <= sizeof rows / sizeof rows[0]; i++) {
        memset(&keys, 0, sizeof keys);
        keys.n = 1;
        keys.k[0].key_n = keys.k[1].key_n = 16;
        if (i < sizeof rows / sizeof rows[0]) {
            keys.n = rows[i].n;
            keys.k[0].type = rows[i].type;
            keys.k[0].kv = rows[i].kv;
            keys.k[0].key_n = rows[i].key_n;
            keys.k[0].salt_n = rows[i].salt_n;
            keys.k[0].spi_n = rows[i].spi_n;
        }
        n = ROOM;
        assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_OK);
        if (i < sizeof rows / sizeof rows[0]) {
            deaf(mcx_bytes(buf, n), &o, MCX_R_POLICY_PARAM);
        } else {
            static struct mcx_key_msg km;

            assert_int_equal(listen_to(&km, mcx_bytes(buf, n), &o, NULL),
                             MCX_OK);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(psk_round_trips),
        cmocka_unit_test(psk_key_wrap),
        cmocka_unit_test(gsk_round_trips),
        cmocka_unit_test(in_the_store),
        cmocka_unit_test(which_gmk),
        cmocka_unit_test(time_and_repeats),
        cmocka_unit_test(signatures),
        cmocka_unit_test(not_a_gsk),
    };

    return cmocka_run_group_tests_name("mikey-gsk", tests, world_up,
                                       world_down);
}
