/* test_open.c -- open and build: foreign messages, round trips of every kind,
 * and what must be refused, in the order of the checks. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "../../../test-scenarios/vectors/vec.h"
#include "inner.h"
#include "test_world.h"

#define SW "interop-streamwide-mikey-sakke"

/* ---- foreign messages -------------------------------------------------- */

static char *
path(char buf[80], const char *group, size_t i, const char *name)
{
    (void)snprintf(buf, 80, "%s[%zu].%s", group, i, name);
    return buf;
}

static struct mcx_ring *
streamwide_ring(struct test_env *te)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE],
        pvt[MCX_ECCSI_PT_SIZE], uid[MCX_UID_SIZE];
    struct mcx_kms_info info = { 0 };
    struct mcx_kms_pub *pub = NULL;
    struct mcx_ring *ring = NULL;
    char *uri, p[80];
    size_t i;

    vec_hex(SW, "kms.Z", z, sizeof z);
    vec_hex(SW, "kms.KPAK", kpak, sizeof kpak);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    uri = vec_text(SW, "kms.uri");
    (void)snprintf(info.uri, sizeof info.uri, "%s", uri);
    free(uri);
    info.period.length_s = vec_num(SW, "kms.user_key_period");
    info.period.offset_s = vec_num(SW, "kms.user_key_offset");
    assert_int_equal(mcx_ring_new(&ring, &te->env), MCX_OK);
    assert_int_equal(mcx_ring_add_kms(ring, &info, pub), MCX_OK);
    for (i = 0; i < 4; i++) {
        MCX_SECRET(mcx_rsk, rsk);
        MCX_SECRET(mcx_ssk, ssk);
        struct mcx_user_key *key = NULL;

        vec_hex(SW, path(p, "users", i, "RSK"), rsk.b, sizeof rsk.b);
        vec_hex(SW, path(p, "users", i, "SSK"), ssk.b, sizeof ssk.b);
        vec_hex(SW, path(p, "users", i, "PVT"), pvt, sizeof pvt);
        vec_hex(SW, path(p, "users", i, "uid"), uid, sizeof uid);
        uri = vec_text(SW, path(p, "users", i, "uri"));
        assert_int_equal(mcx_user_key_new(&key, pub,
                                          mcx_bytes(uid, sizeof uid), &rsk,
                                          &ssk, pvt, NULL),
                         MCX_OK);
        assert_int_equal(mcx_ring_add_user(ring, uri, info.uri,
                                           vec_num(SW, "kms.key_period_no"),
                                           key),
                         MCX_OK);
        mcx_user_key_free(key);
        free(uri);
    }
    mcx_kms_pub_free(pub);
    return ring;
}

/* TEST TS 33.180 E.1: four messages of an independent implementation. */
static void
streamwide(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct test_env te;
    struct mcx_ring *ring;
    uint8_t want[16];
    char p[80];
    size_t i;

    (void)state;
    /* T of all four: 0xec898da8 seconds since 1900. */
    test_env_init(&te, (INT64_C(0xec898da8) - MCX_NTP_UNIX_DIFF) * 1000);
    ring = streamwide_ring(&te);
    for (i = 0; i < 4; i++) {
        char *from = vec_text(SW, path(p, "messages", i, "initiator_uri"));
        char *to = vec_text(SW, path(p, "messages", i, "responder_uri"));
        struct mcx_bytes b = mcx_bytes(
            buf, vec_hex(SW, path(p, "messages", i, "I_MESSAGE"), buf,
                         sizeof buf));
        struct mcx_open how = { .env = &te.env, .ring = ring, .self = to,
                                .from = from };

        if (i == 3) { /* key parameters in clear: by configuration only */
            refuses(b, &how, MCX_R_KEY_PARAMS, "EXT");
            how.peer = MCX_PEER_REL13_PARAMS;
        }
        opens(&km, b, &how);
        vec_hex(SW, path(p, "messages", i, "key"), want, 16);
        assert_memory_equal(km.key.b, want, 16);
        assert_string_equal(km.initiator, from);
        assert_string_equal(km.responder, to);
        assert_true(km.params.present && km.params.status == 1);
        assert_int_equal(km.params.expiry_unix, 0);
        assert_int_equal(km.sp.encr_alg, 6);
        assert_true(km.sp.rcc_mode3 && km.sp.roc_rate == 1);
        assert_false(km.ours || km.to_self);
        assert_true(km.t_unix_ms == te.now_ms);
        if (km.kind == MCX_KIND_GMK) {
            assert_int_equal(km.key_id, 0x0df9bc39);
        } else {
            assert_int_equal(km.key_id, km.csb_id);
        }
        how.from = "sip:somebody@streamwide.com";
        refuses(b, &how, MCX_R_INITIATOR, "IDRuidi");
        how.from = NULL;
        refuses(b, &how, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
        how.from = from;
        how.self = from;
        refuses(b, &how, MCX_R_RESPONDER, "IDRuidr");
        free(from);
        free(to);
    }
    mcx_ring_free(ring);
}

/* TEST RFC 6509 3.2: identifiers that are no UIDs, with the pieces. */
static void
computed(void **state)
{
    static struct mcx_mikey_msg m;
    const char *f = "mikey-sakke-computed";
    MCX_SECRET(mcx_kms_secret, secret);
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE],
        pvt[MCX_ECCSI_PT_SIZE], id[64];
    static uint8_t buf[ROOM];
    struct mcx_kms_master *master = NULL;
    struct mcx_kms_pub *pub = NULL;
    char p[80];
    size_t i, j;

    (void)state;
    vec_int("rfc6508-appendix-a", "z", secret.b, 128);
    vec_int("rfc6507-appendix-a", "KSAK", secret.b + 128, 32);
    assert_int_equal(mcx_kms_master_new(&master, &secret, &w.te.env),
                     MCX_OK);
    vec_hex(f, "Z", z, sizeof z);
    vec_hex(f, "KPAK", kpak, sizeof kpak);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    for (i = 0; i < 2; i++) {
        MCX_SECRET(mcx_rsk, rsk);
        MCX_SECRET(mcx_rsk, want_rsk);
        MCX_SECRET(mcx_ssk, ssk);
        MCX_SECRET(mcx_ssv, ssv);
        MCX_SECRET(mcx_ssv, want);
        struct mcx_user_key *key = NULL;
        struct mcx_bytes b = mcx_bytes(
            buf, vec_hex(f, path(p, "messages", i, "I_MESSAGE"), buf,
                         sizeof buf));
        struct mcx_bytes rid;

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        assert_int_equal(m.signed_size,
                         vec_num(f, path(p, "messages", i, "signed_octets")));
        assert_int_equal(
            mcx_eccsi_verify(
                pub,
                mcx_bytes(id, vec_hex(f, path(p, "messages", i,
                                              "initiator_id"),
                                      id, sizeof id)),
                mcx_bytes(b.p, m.signed_size), m.sign, NULL),
            MCX_OK);
        rid = mcx_bytes(id, vec_hex(f, path(p, "messages", i,
                                            "responder_id"),
                                    id, sizeof id));
        assert_int_equal(mcx_kms_master_issue(master, rid, &rsk, &ssk, pvt,
                                              &w.te.env),
                         MCX_OK);
        vec_hex(f, path(p, "messages", i, "responder_RSK"), want_rsk.b,
                sizeof want_rsk.b);
        assert_memory_equal(rsk.b, want_rsk.b, sizeof rsk.b);
        assert_int_equal(mcx_user_key_new(&key, pub, rid, &rsk, &ssk, pvt,
                                          NULL),
                         MCX_OK);
        assert_int_equal(mcx_sakke_open(&ssv, key, m.sakke.data, NULL),
                         MCX_OK);
        vec_hex(f, path(p, "messages", i, "ssv_tgk"), want.b, 16);
        assert_memory_equal(ssv.b, want.b, 16);
        for (j = 0; j < 2 - i; j++) {
            uint8_t tek[16], got[16];
            size_t n;

            (void)snprintf(p, sizeof p, "messages[%zu].derived[%zu].tek", i,
                           j);
            n = vec_hex(f, p, tek, sizeof tek);
            assert_int_equal(
                mcx_mikey_derive(got, n, m.prf, mcx_bytes(ssv.b, 16),
                                 MCX_LABEL_TEK, (uint8_t)(j + 1), m.csb_id,
                                 m.rand),
                MCX_OK);
            assert_memory_equal(got, tek, n);
            (void)snprintf(p, sizeof p, "messages[%zu].derived[%zu].salt", i,
                           j);
            n = vec_hex(f, p, tek, sizeof tek);
            assert_int_equal(
                mcx_mikey_derive(got, n, m.prf, mcx_bytes(ssv.b, 16),
                                 MCX_LABEL_SALT, (uint8_t)(j + 1), m.csb_id,
                                 m.rand),
                MCX_OK);
            assert_memory_equal(got, tek, n);
        }
        /* Policies: RFC 3711's default and AES-GCM. */
        {
            struct mcx_sp_profile sp;

            assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_PCK, NULL),
                             MCX_OK);
            assert_int_equal(sp.encr_alg, i == 0 ? 1 : 6);
            assert_int_equal(sp.salt_size, i == 0 ? 14 : 12);
            assert_int_equal(sp.tag_size, i == 0 ? 10 : 16);
        }
        mcx_user_key_free(key);
    }
    mcx_kms_pub_free(pub);
    mcx_kms_master_free(master);
}

/* Alea's messages: signatures over the RFC's coverage, UIDs, and the key
 * parameters of the GMK with the published key. */
static void
alea(void **state)
{
    const char *f = "interop-vendors";
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    char p[80];
    size_t i, j;

    (void)state;
    for (i = 0; i < 2; i++) {
        uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE],
            want[MCX_UID_SIZE];
        struct mcx_kms_pub *pub = NULL;
        struct mcx_period period;
        struct mcx_uid uid;
        char *text = vec_text(f, path(p, "messages", i, "msg"));
        char *uri = vec_text(f, path(p, "messages", i, "from_uri"));
        char *kms = vec_text(f, path(p, "messages", i, "kms_uri"));
        size_t n = sizeof buf;

        assert_int_equal(mcx_b64_decode(buf, &n, mcx_bytes_str(text), NULL),
                         MCX_OK);
        assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL),
                         MCX_OK);
        period.length_s = vec_num(f, path(p, "messages", i, "period"));
        period.offset_s = vec_num(f, path(p, "messages", i, "offset"));
        assert_int_equal(
            mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(kms), &period,
                    vec_num(f, path(p, "messages", i, "period_no"))),
            MCX_OK);
        vec_hex(f, path(p, "messages", i, "from_uid"), want, sizeof want);
        assert_memory_equal(uid.b, want, sizeof want);
        assert_memory_equal(m.idr[MCX_ROLE_UIDI].data.p, want, sizeof want);
        vec_hex(f, path(p, "messages", i, "Z"), z, sizeof z);
        vec_hex(f, path(p, "messages", i, "KPAK"), kpak, sizeof kpak);
        assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                         mcx_bytes(kpak, sizeof kpak), NULL),
                         MCX_OK);
        for (j = 0; j < 2; j++) {
            assert_int_equal(
                mcx_eccsi_verify(pub, mcx_bytes(uid.b, sizeof uid.b),
                                 mcx_bytes(buf, m.signed_size - 2 * j),
                                 m.sign, NULL),
                j == 0 ? MCX_OK : MCX_E_AUTH);
        }
        mcx_kms_pub_free(pub);
        free(text);
        free(uri);
        free(kms);
        if (i == 0) {
            struct mcx_key_params kp;
            MCX_SECRET(mcx_ssv, key);
            struct mcx_why why = { 0 };

            vec_hex(f, "messages[0].published_key", key.b, sizeof key.b);
            assert_int_equal(m.ext[0].type, MCX_EXT_KEY_PARAMS);
            /* This vendor says 0 for a key that lives. */
            assert_int_equal(mcx_key_params_open(&kp, &m.ext[0], &key,
                                                 m.csb_id, 0, now_ms, &why),
                             MCX_E_EXPIRED);
            assert_int_equal(why.reason, MCX_R_REVOKED);
            assert_int_equal(
                mcx_key_params_open(&kp, &m.ext[0], &key, m.csb_id,
                                    MCX_PEER_STATUS_ZERO_IS_LIVE, 0, NULL),
                MCX_OK);
            assert_true(kp.present && kp.n_groups >= 1);
            key.b[0] ^= 1;
            assert_int_equal(
                mcx_key_params_open(&kp, &m.ext[0], &key, m.csb_id,
                                    MCX_PEER_STATUS_ZERO_IS_LIVE, 0, &why),
                MCX_E_AUTH);
            assert_int_equal(why.reason, MCX_R_KEY_PARAMS);
        }
    }
}

/* ---- round trips ------------------------------------------------------- */

static const unsigned kinds[] = { MCX_KIND_GMK,  MCX_KIND_PCK,
                                  MCX_KIND_CSK,  MCX_KIND_MKFC,
                                  MCX_KIND_MSCCK, MCX_KIND_MUSIK };
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static void
round_trips(void **state)
{
    static struct mcx_key_msg sent, got;
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], again[ROOM];
    size_t i, v;

    (void)state;
    rewind_clock();
    for (i = 0; i < N_KINDS; i++) {
        for (v = 0; v < 4; v++) {
            struct mcx_key_params kp = { .status = 1,
                                         .activation_unix = now_ms / 1000,
                                         .expiry_unix = now_ms / 1000 + 60,
                                         .text = "Fire 7",
                                         .n_groups = 2,
                                         .group = { "sip:g1@mc.example.org",
                                                    "sip:g2@mc.example.org" }
            };
            struct mcx_build how = plan(kinds[i], PF, ALICE);
            struct mcx_open o = rules(ALICE, v & 1 ? PF : NULL);
            struct mcx_wr wr = mcx_wr(again, sizeof again);
            struct mcx_bytes b;

            how.hide_initiator = v == 1;
            how.hide_responder = v == 1 || v == 2;
            how.params = v >= 2 ? &kp : NULL;
            how.sakke_to_self = v == 3;
            how.peer = v == 2 ? MCX_PEER_REL13_MAP | MCX_PEER_SDP_IDS : 0;
            o.kinds = MCX_KIND_BIT(kinds[i]);
            b = build(buf, &how, &sent);
            if (v == 0) {
                assert_true(b.n < 2048);
                assert_int_equal(b.p[3], 1);
                assert_int_equal(b.p[8], 0);
                assert_int_equal(b.p[9], MCX_MAP_EMPTY);
            }
            assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
            assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
            assert_int_equal(wr.at, b.n);
            assert_memory_equal(again, b.p, b.n);
            if (v == 2) {
                assert_int_equal(m.map_type, MCX_MAP_GENERIC_ID);
                assert_int_equal(m.n_cs, kinds[i] == MCX_KIND_PCK ? 2 : 1);
                assert_int_equal(m.cs[0].spi.n,
                                 kinds[i] == MCX_KIND_GMK ? 8 : 4);
                assert_int_equal(m.n_sp, 1);
            }
            opens(&got, b, &o);
            assert_true(sent.ours && !got.ours);
            assert_int_equal(got.kind, kinds[i]);
            assert_int_equal(got.kind, MCX_KEY_ID_KIND(got.key_id));
            assert_int_equal(got.key_id, sent.key_id);
            assert_int_equal(got.csb_id, sent.csb_id);
            assert_int_equal(got.csb_id == got.key_id,
                             kinds[i] != MCX_KIND_GMK);
            assert_memory_equal(got.key.b, sent.key.b, 16);
            assert_memory_equal(got.rand, sent.rand, 16);
            assert_int_equal(got.rand_n, 16);
            assert_memory_equal(got.digest, sent.digest, 32);
            assert_true(got.t == sent.t && got.t_unix_ms == now_ms);
            assert_string_equal(got.initiator, PF);
            assert_string_equal(got.responder, ALICE);
            assert_string_equal(got.kms_i, KMS);
            assert_string_equal(got.kms_r, KMS);
            assert_int_equal(got.sp.tag_size, 16);
            assert_int_equal(got.sp.rcc_mode3, kinds[i] == MCX_KIND_GMK);
            assert_int_equal(got.params.present, v >= 2);
            if (v >= 2) {
                bool groups = kinds[i] == MCX_KIND_GMK
                              || kinds[i] == MCX_KIND_MKFC
                              || kinds[i] == MCX_KIND_MUSIK;

                assert_string_equal(got.params.text, "Fire 7");
                assert_true(got.params.expiry_unix == now_ms / 1000 + 60);
                assert_int_equal(got.params.n_groups, groups ? 2 : 0);
                assert_string_equal(got.params.group[1],
                                    groups ? "sip:g2@mc.example.org" : "");
            }
        }
    }
}

static void
given_key_id_and_rand(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    static const uint8_t rand[16] = "0123456789abcdef";
    struct mcx_ssv key = { "key of 16 octets" };
    struct mcx_build how = plan(MCX_KIND_GMK, PF, BOB);
    struct mcx_open o = rules(BOB, PF);
    struct mcx_why why = { 0 };
    size_t n = ROOM;

    (void)state;
    rewind_clock();
    how.key = &key;
    how.key_id = 0x0bcdef01;
    how.rand = rand;
    opens(&km, build(buf, &how, NULL), &o);
    assert_memory_equal(km.key.b, key.b, 16);
    assert_int_equal(km.key_id, 0x0bcdef01);
    assert_memory_equal(km.rand, rand, 16);
    how.key_id = 0x1bcdef01; /* a PCK's tag on a GMK */
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why), MCX_E_ARG);
    assert_int_equal(why.reason, MCX_R_PURPOSE);
    how.key_id = 0x0bcdef01;
    how.from = "sip:nobody@mc.example.org";
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why),
                     MCX_E_NO_IDENTITY);
    how.from = PF;
    how.to_kms = KMS2;
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why),
                     MCX_E_NO_IDENTITY);
    how.to_kms = KMS;
    how.at_unix_ms = now_ms + PERIOD_S * INT64_C(1000);
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why),
                     MCX_E_NO_PERIOD);
    how.at_unix_ms = 0;
    n = 500;
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why),
                     MCX_E_TOOBIG);
    assert_int_equal(n, 500);
    n = ROOM;
    how.kind = MCX_KIND_SPK;
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why), MCX_E_ARG);
    how.kind = MCX_KIND_GMK;
    how.key = NULL;
    w.te.random_fails = true;
    assert_int_equal(mcx_mikey_build(buf, &n, &km, &how, &why), MCX_E_IO);
    w.te.random_fails = false;
}

/* TEST RFC 3830 5.4: timestamps of one process are unique. */
static void
timestamps_are_unique(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    uint64_t last = 0;
    int i;

    (void)state;
    rewind_clock();
    for (i = 0; i < 5; i++) {
        (void)build(buf, &how, &km);
        assert_true(km.t > last);
        assert_true(mcx_ntp_to_unix_ms(km.t, now_ms) == now_ms);
        last = km.t;
    }
}

/* ---- refusals, in the order of the checks ------------------------------ */

static void
tag_and_time(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, PF, ALICE);
    struct mcx_open o = rules(ALICE, PF);
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    o.kinds = MCX_KIND_BIT(MCX_KIND_PCK) | MCX_KIND_BIT(MCX_KIND_MUSIK);
    refuses(b, &o, MCX_R_PURPOSE, "HDR");
    o.kinds = MCX_KIND_BIT(MCX_KIND_CSK);
    opens(&km, b, &o);
    buf[4] = 0x70;
    o.kinds = 0;
    refuses(b, &o, MCX_R_PURPOSE, "HDR");
    buf[4] = 0x30; /* SPK */
    refuses(b, &o, MCX_R_PURPOSE, "HDR");
    b = build(buf, &how, NULL);
    buf[3] = 0;
    refuses(b, &o, MCX_R_PRF, "HDR");
    buf[3] = 1;
    /* The V bit is ignored, and under the signature. */
    buf[3] = 0x81;
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    resign(buf, b.n, PF);
    opens(&km, b, &o);
    w.te.now_ms = now_ms + 300000;
    opens(&km, b, &o);
    w.te.now_ms = now_ms + 300001;
    refuses(b, &o, MCX_R_TOO_OLD, "T");
    w.te.now_ms = now_ms - 300000;
    opens(&km, b, &o);
    w.te.now_ms = now_ms - 300001;
    refuses(b, &o, MCX_R_TOO_NEW, "T");
    /* Stored documents: back to the start of the previous period. */
    o.window = MCX_WINDOW_STORED;
    refuses(b, &o, MCX_R_TOO_NEW, "T");
    {
        int64_t next = (mcx_period_start(&w.info.period, w.no + 2)
                        - MCX_NTP_UNIX_DIFF)
                       * 1000;

        w.te.now_ms = next - 1;
        opens(&km, b, &o);
        w.te.now_ms = next;
        refuses(b, &o, MCX_R_TOO_OLD, "T");
    }
    rewind_clock();
}

static void
identities(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_bytes b;
    size_t at;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    o.from = MALLORY;
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    o.from = ALICE " ";
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    o.from = "SIP:alice@mc.example.org";
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    o.from = NULL;
    opens(&km, b, &o);
    o.self = PF;
    refuses(b, &o, MCX_R_RESPONDER, "IDRr");
    o.self = "sip:nobody@mc.example.org";
    refuses(b, &o, MCX_R_NO_USER, "IDRr");
    o.self = BOB;
    /* Mallory says she is alice, in the payload and with her own key. */
    how.from = MALLORY;
    b = build(buf, &how, NULL);
    o.from = ALICE;
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    how.from = ALICE;
    b = build(buf, &how, NULL);
    resign(buf, b.n, MALLORY);
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    /* A KMS nobody knows; with the NUL that one vendor adds. */
    b = build(buf, &how, NULL);
    at = at_of(b, MCX_PL_IDR, 2);
    buf[at + 5] ^= 1;
    refuses(b, &o, MCX_R_NO_KMS, "IDRkmsi");
    buf[at + 5] ^= 1;
    at = at_of(b, MCX_PL_IDR, 3);
    buf[at + 5 + sizeof KMS - 2] = '\0';
    refuses(b, &o, MCX_R_NO_KMS, "IDRkmsr");
    /* A NUL inside IDRi when nobody is named. */
    b = build(buf, &how, NULL);
    buf[at_of(b, MCX_PL_IDR, 0) + 8] = '\0';
    o.from = NULL;
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    o.from = ALICE;
    /* No responder named: RFC 3830 9.5. */
    {
        static struct mcx_mikey_msg m;
        static uint8_t less[ROOM];
        size_t order[16], n = 0, i;

        b = build(buf, &how, NULL);
        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        for (i = 1; i < m.n_pl; i++) {
            if (m.pl[i].at != m.idr[MCX_ROLE_R].at) {
                order[n++] = i;
            }
        }
        n = test_rechain(less, &m, order, n);
        resign(less, n, ALICE);
        refuses(mcx_bytes(less, n), &o, MCX_R_RESPONDER, "IDRr");
    }
    /* Hidden ends. */
    how.hide_initiator = how.hide_responder = true;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    assert_string_equal(km.initiator, ALICE);
    o.from = NULL;
    refuses(b, &o, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
    o.from = MALLORY;
    refuses(b, &o, MCX_R_INITIATOR, "IDRuidi");
    o.from = ALICE;
    o.self = PF;
    refuses(b, &o, MCX_R_RESPONDER, "IDRuidr");
}

static void
other_kms(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_kms_info two = w.info, bad = w.info;
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_ring *ring = ring_new();
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    memcpy(two.uri, KMS2, sizeof KMS2);
    give(ring, ALICE, w.no);
    give(ring, BOB, w.no);
    assert_int_equal(mcx_ring_add_kms(ring, &two, w.pub), MCX_OK);
    how.ring = o.ring = ring;
    /* Sealed and signed under the right KMS: opens. */
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    /* A KMS that is known, and is not alice's (same size of name). */
    memcpy(buf + at_of(b, MCX_PL_IDR, 2) + 5, KMS2, sizeof KMS2 - 1);
    refuses(b, &o, MCX_R_INITIATOR, "IDRkmsi");
    b = build(buf, &how, NULL);
    memcpy(buf + at_of(b, MCX_PL_IDR, 3) + 5, KMS2, sizeof KMS2 - 1);
    refuses(b, &o, MCX_R_RESPONDER, "IDRkmsr");
    b = build(buf, &how, NULL);
    bad.revoked = true;
    assert_int_equal(mcx_ring_add_kms(ring, &bad, w.pub), MCX_OK);
    refuses(b, &o, MCX_R_CERT_REVOKED, "IDRkmsi");
    bad.revoked = false;
    bad.valid_to_unix = now_ms / 1000 - 1;
    assert_int_equal(mcx_ring_add_kms(ring, &bad, w.pub), MCX_OK);
    refuses(b, &o, MCX_R_CERT_REVOKED, "IDRkmsi");
    {
        struct mcx_why why = { 0 };
        size_t n = ROOM;

        assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, &why),
                         MCX_E_EXPIRED);
        assert_int_equal(why.reason, MCX_R_CERT_REVOKED);
    }
    mcx_ring_free(ring);
}

/* ATTACK: of several KMSs one speaks for an identity of nobody's domain, by
 * being named in the message.  SPEC RFC 6507 2 with RFC 6509 2.2.1: KPAK is
 * that of the identity's KMS, not of any we happen to know. */
static void
foreign_kms(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_kms_info home = w.info, other = w.info;
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_ring *ring = NULL;
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    assert_int_equal(mcx_ring_new(&ring, &w.te.env), MCX_OK);
    memcpy(home.uri, KMS2, sizeof KMS2);
    assert_int_equal(mcx_ring_add_kms(ring, &home, w.pub), MCX_OK);
    other.n_domains = 1;
    memcpy(other.domain[0], "example.net", sizeof "example.net");
    assert_int_equal(mcx_ring_add_kms(ring, &other, w.pub), MCX_OK);
    give(ring, BOB, w.no);
    o.ring = ring;
    refuses(b, &o, MCX_R_INITIATOR, "IDRkmsi");
    /* Without a list there is nothing to hold against it. */
    other.n_domains = 0;
    assert_int_equal(mcx_ring_add_kms(ring, &other, w.pub), MCX_OK);
    opens(&km, b, &o);
    /* The list that names the host settles it. */
    other.n_domains = 1;
    memcpy(other.domain[0], "mc.example.org", sizeof "mc.example.org");
    assert_int_equal(mcx_ring_add_kms(ring, &other, w.pub), MCX_OK);
    opens(&km, b, &o);
    mcx_ring_free(ring);
}

/* Periods of more than a million years: no arithmetic on their bounds may
 * overflow, and the replay entry must not expire at once. */
static void
endless_period(void **state)
{
    static const uint64_t length[] = { INT64_MAX / 2000, INT64_MAX,
                                       UINT64_MAX };
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    const uint64_t usual = w.info.period.length_s;
    struct mcx_build how = plan(MCX_KIND_GMK, PF, BOB);
    struct mcx_open o = rules(BOB, PF);
    size_t i;

    (void)state;
    rewind_clock();
    o.window = MCX_WINDOW_STORED;
    for (i = 0; i < sizeof length / sizeof length[0]; i++) {
        struct mcx_replay *replay = NULL;
        struct mcx_ring *ring;
        struct mcx_bytes b;

        w.info.period.length_s = length[i];
        ring = ring_new();
        give(ring, PF, 0);
        give(ring, BOB, 0);
        assert_int_equal(mcx_replay_new(&replay, 16), MCX_OK);
        how.ring = o.ring = ring;
        o.replay = replay;
        b = build(buf, &how, NULL);
        opens(&km, b, &o);
        refuses(b, &o, MCX_R_REPLAYED, "T");
        w.te.now_ms += INT64_C(1000) * 86400 * 365;
        refuses(b, &o, MCX_R_REPLAYED, "T");
        rewind_clock();
        mcx_replay_free(replay);
        mcx_ring_free(ring);
    }
    w.info.period.length_s = usual;
}

static void
signature(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM], copy[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_bytes b;
    struct mcx_why why = { 0 };
    size_t at, sig;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    sig = b.n - MCX_ECCSI_SIG_SIZE;
    memcpy(copy, buf, b.n);
    memset(buf + sig, 0, 32); /* r = 0 */
    refuses(b, &o, MCX_R_SIGN_RANGE, "SIGN");
    memcpy(buf, copy, b.n);
    memset(buf + sig + 32, 0, 32); /* s = 0 */
    refuses(b, &o, MCX_R_SIGN_RANGE, "SIGN");
    assert_int_equal(open_it(&km, b, &o, &why), MCX_E_AUTH);
    assert_int_equal(why.offset, sig + 32);
    memset(buf + sig + 32, 0xff, 32); /* s >= q */
    refuses(b, &o, MCX_R_SIGN_RANGE, "SIGN");
    memcpy(buf, copy, b.n);
    buf[sig + 128] ^= 1; /* PVT off the curve */
    refuses(b, &o, MCX_R_PVT, "SIGN");
    memcpy(buf, copy, b.n);
    buf[sig + 40] ^= 1;
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    memcpy(buf, copy, b.n);
    /* One octet of each payload's last field: under the signature. */
    for (at = 0; at < 3; at++) {
        static const unsigned type[] = { MCX_PL_T, MCX_PL_RAND,
                                         MCX_PL_SAKKE };

        buf[at_of(b, type[at], 0) + 9] ^= 1;
        refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
        memcpy(buf, copy, b.n);
    }
    /* The form that leaves the header out: only where configured. */
    {
        struct mcx_user_key *key = NULL;

        assert_int_equal(mcx_ring_user(w.ring, ALICE, w.no, &key), MCX_OK);
        assert_int_equal(mcx_eccsi_sign(buf + sig, key,
                                        mcx_bytes(buf, sig - 2), &w.te.env),
                         MCX_OK);
        mcx_user_key_free(key);
        refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
        o.peer = MCX_PEER_SIGN_WITHOUT_HEADER;
        opens(&km, b, &o);
        memcpy(buf, copy, b.n);
        opens(&km, b, &o);
        buf[sig + 40] ^= 1;
        refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    }
}

static void
sakke(void **state)
{
    static uint8_t buf[ROOM], copy[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_bytes b;
    size_t at;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    at = at_of(b, MCX_PL_SAKKE, 0) + 5;
    memcpy(copy, buf, b.n);
    buf[at + 200] ^= 1; /* R off the curve */
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_POINT, "SAKKE");
    memcpy(buf, copy, b.n);
    memset(buf + at + 1, 0xff, 128); /* a coordinate beyond p */
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_POINT, "SAKKE");
    memcpy(buf, copy, b.n);
    buf[at] = 0x02; /* not the uncompressed form */
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_POINT, "SAKKE");
    memcpy(buf, copy, b.n);
    buf[at + 272] ^= 1; /* H */
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_CHECK, "SAKKE");
    /* Scheme 1 with a UID inside, as two old implementations send it. */
    memcpy(buf, copy, b.n);
    buf[at - 3] = 1;
    resign(buf, b.n, ALICE);
    {
        static struct mcx_key_msg km;

        opens(&km, b, &o);
    }
    /* Made for bob and addressed to the function. */
    how.to = BOB;
    b = build(buf, &how, NULL);
    {
        static struct mcx_mikey_msg m;
        size_t idr;

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        idr = m.idr[MCX_ROLE_R].at;
        o.self = "sip:bo@mc.example.org";
        give(w.ring, o.self, w.no);
        buf[idr + 4]--;
        memmove(buf + idr + 5 + strlen(o.self), buf + idr + 5 + strlen(BOB),
                b.n - idr - 5 - strlen(BOB));
        memcpy(buf + idr + 5, o.self, strlen(o.self));
        b.n--;
        resign(buf, b.n, ALICE);
        refuses(b, &o, MCX_R_SAKKE_CHECK, "SAKKE");
    }
}

static void
replay(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM], copy[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    assert_int_equal(mcx_replay_new(&o.replay, 2), MCX_OK);
    b = build(buf, &how, NULL);
    memcpy(copy, buf, b.n);
    buf[b.n - 100] ^= 1; /* a bad signature leaves no entry */
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    assert_int_equal(mcx_replay_count(o.replay), 0);
    memcpy(buf, copy, b.n);
    opens(&km, b, &o);
    assert_int_equal(mcx_replay_count(o.replay), 1);
    refuses(b, &o, MCX_R_REPLAYED, "T");
    /* Another signature over the same octets is the same message. */
    resign(buf, b.n, ALICE);
    assert_memory_not_equal(buf, copy, b.n);
    refuses(b, &o, MCX_R_REPLAYED, "T");
    /* What failed after the signature stays remembered. */
    b = build(buf, &how, NULL);
    buf[at_of(b, MCX_PL_SAKKE, 0) + 5 + 272] ^= 1;
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_CHECK, "SAKKE");
    refuses(b, &o, MCX_R_REPLAYED, "T");
    /* Full: refused, nothing is pushed out. */
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_REPLAY_FULL, "T");
    assert_int_equal(mcx_replay_count(o.replay), 2);
    /* At the end of the window the entry is still there. */
    w.te.now_ms = now_ms + 300000;
    refuses(mcx_bytes(copy, b.n), &o, MCX_R_REPLAYED, "T");
    mcx_replay_free(o.replay);
    rewind_clock();
}

static void
parked(void **state)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km, sent;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, PF, ALICE);
    struct mcx_open o = rules(ALICE, PF);
    struct mcx_ring *ring = ring_new();
    struct mcx_why why = { 0 };
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    b = build(buf, &how, &sent);
    give(ring, ALICE, w.no - 1); /* an old key only */
    o.ring = ring;
    assert_int_equal(mcx_replay_new(&o.replay, 10), MCX_OK);
    assert_int_equal(open_it(&km, b, &o, &why), MCX_E_NO_PERIOD);
    assert_int_equal(why.reason, MCX_R_NO_PERIOD_KEY);
    assert_string_equal(km.initiator, PF);
    assert_int_equal(km.csb_id, sent.csb_id);
    assert_memory_equal(km.digest, sent.digest, 32);
    assert_memory_equal(km.key.b, zero.key.b, sizeof km.key.b);
    assert_int_equal(mcx_replay_count(o.replay), 1);
    /* The same again from the wire is a replay, the retry is not. */
    refuses(b, &o, MCX_R_REPLAYED, "T");
    o.resume = true;
    refuses(b, &o, MCX_R_NO_PERIOD_KEY, "SAKKE");
    give(ring, ALICE, w.no);
    opens(&km, b, &o);
    assert_memory_equal(km.key.b, sent.key.b, 16);
    /* Taken up once; a second retry is a replay. */
    refuses(b, &o, MCX_R_REPLAYED, "T");
    mcx_replay_free(o.replay);
    mcx_ring_free(ring);
}

/* Near a boundary the neighbouring period is tried, elsewhere not. */
static void
adjacent_period(void **state)
{
    static struct mcx_key_msg km;
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    int64_t edge = (mcx_period_start(&w.info.period, w.no)
                    - MCX_NTP_UNIX_DIFF)
                   * 1000;
    struct mcx_build how = plan(MCX_KIND_CSK, PF, ALICE);
    struct mcx_open o = rules(ALICE, PF);
    struct mcx_ring *old = ring_new();
    struct mcx_bytes b;
    size_t v;

    (void)state;
    /* Both ends still work in the old period while T is in the new one, as
     * when T was taken from a clock that runs ahead. */
    give(old, PF, w.no - 1);
    give(old, ALICE, w.no - 1);
    how.ring = o.ring = old;
    for (v = 0; v < 2; v++) {
        int64_t t = edge + (v == 0 ? 100000 : 400000);
        uint64_t ntp = mcx_ntp_from_unix_ms(t);
        struct mcx_user_key *key = NULL;
        size_t at, j;

        how.at_unix_ms = edge - 1000;
        how.hide_initiator = how.hide_responder = false;
        b = build(buf, &how, NULL);
        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        at = m.t_at + 2;
        for (j = 0; j < 8; j++) {
            buf[at + j] = (uint8_t)(ntp >> (56 - 8 * j));
        }
        assert_int_equal(mcx_ring_user(old, PF, w.no - 1, &key), MCX_OK);
        assert_int_equal(mcx_eccsi_sign(buf + b.n - MCX_ECCSI_SIG_SIZE, key,
                                        mcx_bytes(buf,
                                                  b.n - MCX_ECCSI_SIG_SIZE),
                                        &w.te.env),
                         MCX_OK);
        mcx_user_key_free(key);
        w.te.now_ms = t;
        if (v == 0) {
            opens(&km, b, &o);
        } else {
            refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
        }
    }
    mcx_ring_free(old);
    rewind_clock();
}

static void
to_self(void **state)
{
    static struct mcx_key_msg km, sent;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(ALICE, NULL);
    struct mcx_bytes b;
    int v;

    (void)state;
    rewind_clock();
    how.sakke_to_self = true;
    for (v = 0; v < 2; v++) {
        how.hide_initiator = v == 1;
        b = build(buf, &how, &sent);
        o.allow_self = false;
        refuses(b, &o, MCX_R_RESPONDER, "IDRr"); /* comes first */
        o.allow_self = true;
        opens(&km, b, &o);
        assert_true(km.to_self);
        assert_memory_equal(km.key.b, sent.key.b, 16);
        assert_string_equal(km.responder, BOB);
        o.self = BOB;
        o.from = ALICE;
        opens(&km, b, &o);
        assert_false(km.to_self);
        o.self = MALLORY;
        refuses(b, &o, MCX_R_RESPONDER, "IDRr");
        o = rules(ALICE, NULL);
    }
    how.sakke_to_self = false;
    how.hide_initiator = false;
    b = build(buf, &how, NULL);
    o.allow_self = true;
    refuses(b, &o, MCX_R_PAYLOAD_MISSING, "EXT");
    /* A GMK's ID comes back through the member's URI. */
    how = plan(MCX_KIND_GMK, ALICE, BOB);
    how.sakke_to_self = true;
    b = build(buf, &how, &sent);
    opens(&km, b, &o);
    assert_int_equal(km.key_id, sent.key_id);
    /* Both hidden: a GMK's ID wants the member's name; a PCK's does not. */
    how.hide_initiator = how.hide_responder = true;
    b = build(buf, &how, &sent);
    refuses(b, &o, MCX_R_RESPONDER, "IDRuidr");
    o.to = MALLORY;
    refuses(b, &o, MCX_R_RESPONDER, "IDRuidr");
    o.to = BOB;
    opens(&km, b, &o);
    assert_true(km.to_self && km.key_id == sent.key_id);
    assert_string_equal(km.responder, BOB);
    o.to = NULL;
    how.kind = MCX_KIND_PCK;
    b = build(buf, &how, &sent);
    opens(&km, b, &o);
    assert_true(km.to_self && km.key_id == sent.key_id);
    assert_string_equal(km.responder, "");
    assert_memory_equal(km.key.b, sent.key.b, 16);
}

/* What the name of a hidden initiator comes from, and how often it is
 * asked. */
static const char *told;
static size_t n_asked;
static struct mcx_ssv told_key;

static mcx_err
who(void *arg, const struct mcx_key_msg *km, char uri[MCX_URI_MAX])
{
    (void)arg;
    n_asked++;
    told_key = km->key;
    if (!told) {
        return MCX_E_NO_IDENTITY;
    }
    memcpy(uri, told, strlen(told) + 1);
    return MCX_OK;
}

/* TEST TS 33.180 E.7: own UID, signature with IDRuidi, key, name, UID of the
 * name; each step that fails is the last one. */
static void
five_steps(void **state)
{
    static struct mcx_key_msg km, sent;
    static uint8_t buf[ROOM], copy[ROOM];
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(BOB, NULL);
    struct mcx_bytes b;
    int v;

    (void)state;
    rewind_clock();
    how.hide_initiator = how.hide_responder = how.sakke_to_self = true;
    b = build(buf, &how, &sent);
    memcpy(copy, buf, b.n);
    refuses(b, &o, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
    o.who = who;
    told = ALICE;
    n_asked = 0;
    for (v = 0; v < 2; v++) {
        o.allow_self = v == 1; /* which guesses us first, and is wrong */
        opens(&km, b, &o);
        assert_int_equal(n_asked, v + 1);
        assert_memory_equal(told_key.b, sent.key.b, 16);
        assert_string_equal(km.initiator, ALICE);
        assert_string_equal(km.kms_i, KMS);
        assert_false(km.to_self);
    }
    o.allow_self = false;
    n_asked = 0;
    o.self = MALLORY; /* 1: not our UID, whatever else is wrong */
    buf[b.n - 70] ^= 1;
    refuses(b, &o, MCX_R_RESPONDER, "IDRuidr");
    o.self = BOB; /* 2: the signature */
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    memcpy(buf, copy, b.n);
    buf[at_of(b, MCX_PL_SAKKE, 0) + 5 + 272] ^= 1; /* 3: the key */
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_SAKKE_CHECK, "SAKKE");
    assert_int_equal(n_asked, 0);
    memcpy(buf, copy, b.n);
    told = NULL; /* 4: nobody knows the name */
    refuses(b, &o, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
    told = "";
    refuses(b, &o, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
    assert_int_equal(n_asked, 2);
    told = MALLORY; /* 5: the name is not the one that signed */
    refuses(b, &o, MCX_R_INITIATOR, "IDRuidi");
    /* Somebody else's signature under a UID of alice. */
    resign(buf, b.n, MALLORY);
    told = ALICE;
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    mcx_ssv_wipe(&told_key);
}

/* A good message that revokes tells which key, and has no octet of it; with
 * one octet changed it tells nothing. */
static void
tells_what_is_revoked(struct mcx_bytes b, const struct mcx_open *o,
                      const struct mcx_build *how)
{
    static const struct mcx_ssv none;
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    static uint8_t copy[ROOM];
    struct mcx_why why = { 0 };

    assert_int_equal(open_it(&km, b, o, &why), MCX_E_EXPIRED);
    assert_memory_equal(&km.key, &none, sizeof none);
    assert_int_equal(km.kind, how->kind);
    assert_int_equal(MCX_KEY_ID_KIND(km.key_id), how->kind);
    assert_int_equal(km.key_id == km.csb_id, how->kind != MCX_KIND_GMK);
    assert_string_equal(km.initiator, how->from);
    assert_true(km.params.present && !(km.params.status & 1));
    memcpy(copy, b.p, b.n);
    copy[b.n - 70] ^= 1; /* s */
    assert_int_equal(open_it(&km, mcx_bytes(copy, b.n), o, &why),
                     MCX_E_AUTH);
    assert_memory_equal(&km, &zero, sizeof zero);
}

static void
key_parameters(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_key_params kp = { .status = 1 };
    struct mcx_build how = plan(MCX_KIND_CSK, PF, ALICE);
    struct mcx_open o = rules(ALICE, PF);
    struct mcx_bytes b;
    size_t at, i;

    (void)state;
    rewind_clock();
    how.params = &kp;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    assert_int_equal(km.params.n_groups, 0);
    /* One octet off in each field that is under the tag. */
    for (i = 0; i < 30; i++) {
        static const size_t off[] = { 1, 5, 10, 12, 27, 28, 31, 33, 35, 50 };

        if (i == sizeof off / sizeof off[0]) {
            break;
        }
        b = build(buf, &how, NULL);
        at = at_of(b, MCX_PL_EXT, 0) + 4;
        buf[at + off[i]] ^= 1;
        resign(buf, b.n, PF);
        refuses(b, &o, MCX_R_KEY_PARAMS, "EXT");
    }
    /* The protected bit gone: form B, and not configured. */
    b = build(buf, &how, NULL);
    buf[at_of(b, MCX_PL_EXT, 0) + 4] = 0x03;
    resign(buf, b.n, PF);
    refuses(b, &o, MCX_R_KEY_PARAMS, "EXT");
    kp.status = 0;
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_REVOKED, "EXT");
    tells_what_is_revoked(b, &o, &how);
    o.peer = MCX_PEER_STATUS_ZERO_IS_LIVE;
    opens(&km, b, &o);
    assert_int_equal(km.params.status, 1); /* or the store would refuse it */
    kp.status = 2; /* shared with a gateway, and revoked: not just zero */
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_REVOKED, "EXT");
    kp.status = 3;
    kp.expiry_unix = now_ms / 1000;
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_KEY_EXPIRED, "EXT");
    kp.expiry_unix = now_ms / 1000 + 1;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    kp.n_groups = MCX_GROUPS_MAX + 1;
    {
        size_t n = ROOM;

        assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL),
                         MCX_E_ARG);
    }
}

static struct mcx_user_key *
issue_monthly(const char *uri, uint64_t month)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE], id[MCX_ID_MAX];
    struct mcx_user_key *key = NULL;
    size_t n;

    assert_int_equal(mcx_monthly_id(id, &n, mcx_bytes_str(uri), month),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(w.master, mcx_bytes(id, n), &rsk,
                                          &ssk, pvt, &w.te.env),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, w.pub, mcx_bytes(id, n), &rsk,
                                      &ssk, pvt, NULL),
                     MCX_OK);
    return key;
}

/* TEST RFC 6509 3.2: tel URIs with monthly keys, ID scheme 1. */
static void
monthly_tel(void **state)
{
    static const char want[] = "2011-02\0tel:+447700900123";
    static const char *const tel[] = { "tel:+447700900123",
                                       "tel:+447700900124" };
    static struct mcx_key_msg km, sent;
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    struct mcx_kms_info info = w.info;
    struct mcx_ring *ring = NULL;
    struct mcx_build how = plan(MCX_KIND_PCK, tel[0], tel[1]);
    struct mcx_open o = rules(tel[1], tel[0]);
    uint8_t id[MCX_ID_MAX];
    uint64_t month;
    struct mcx_bytes b;
    size_t i, n;

    (void)state;
    rewind_clock();
    assert_int_equal(mcx_monthly_id(id, &n, mcx_bytes_str(tel[0]),
                                    111 * 12 + 1),
                     MCX_OK);
    assert_int_equal(n, sizeof want); /* with its NUL */
    assert_memory_equal(id, want, n);
    assert_int_equal(mcx_monthly_id(id, &n, mcx_bytes_str(ALICE), 1),
                     MCX_E_ARG);
    assert_int_equal(mcx_monthly_id(id, &n, mcx_bytes_str("tel:+44 1"), 1),
                     MCX_E_ARG);
    /* Seconds around a month's end, a leap day, the first second. */
    assert_int_equal(mcx_month_no(&month, 0), MCX_OK);
    assert_true(month == 0);
    assert_int_equal(mcx_month_no(&month, -1), MCX_E_ARG);
    assert_int_equal(mcx_month_no(&month,
                                  INT64_C(1709251199) + MCX_NTP_UNIX_DIFF),
                     MCX_OK); /* 2024-02-29T23:59:59Z */
    assert_true(month == 124 * 12 + 1);
    assert_int_equal(mcx_month_no(&month,
                                  INT64_C(1709251200) + MCX_NTP_UNIX_DIFF),
                     MCX_OK);
    assert_true(month == 124 * 12 + 2);
    assert_int_equal(mcx_month_no(&month, now_ms / 1000 + MCX_NTP_UNIX_DIFF),
                     MCX_OK);
    assert_true(month == 126 * 12 + 2);
    info.monthly_tel = true;
    assert_int_equal(mcx_ring_new(&ring, &w.te.env), MCX_OK);
    assert_int_equal(mcx_ring_allowed(ring), 0);
    assert_int_equal(mcx_ring_add_kms(ring, &info, w.pub), MCX_OK);
    for (i = 0; i < 2; i++) {
        struct mcx_user_key *key = issue_monthly(tel[i], month);

        assert_int_equal(mcx_ring_add_user(ring, tel[i], KMS, month, key),
                         MCX_OK);
        mcx_user_key_free(key);
    }
    how.ring = o.ring = ring;
    how.sakke_to_self = true;
    b = build(buf, &how, &sent);
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    assert_int_equal(m.sakke.scheme, 1);
    assert_int_equal(m.ext[0].data.p[2], 1);
    opens(&km, b, &o);
    assert_memory_equal(km.key.b, sent.key.b, 16);
    o.self = tel[0];
    o.allow_self = true;
    opens(&km, b, &o);
    assert_true(km.to_self);
    /* A hashed identifier is not one of theirs, and hides nobody. */
    o = rules(tel[1], tel[0]);
    assert_int_equal(mcx_ring_add_kms(ring, &w.info, w.pub), MCX_OK);
    for (i = 0; i < 2; i++) { /* the change of format dropped the keys */
        assert_false(mcx_ring_has_user(ring, tel[i]));
        give(ring, tel[i], w.no);
    }
    o.ring = ring;
    refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
    mcx_ring_free(ring);
    how.ring = ring = NULL;
    assert_int_equal(mcx_ring_new(&ring, &w.te.env), MCX_OK);
    assert_int_equal(mcx_ring_add_kms(ring, &info, w.pub), MCX_OK);
    {
        struct mcx_user_key *key = issue_monthly(tel[0], month);

        assert_int_equal(mcx_ring_add_user(ring, tel[0], KMS, month, key),
                         MCX_OK);
        mcx_user_key_free(key);
    }
    how.ring = ring;
    how.hide_responder = true;
    n = ROOM;
    assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL), MCX_E_ARG);
    mcx_ring_free(ring);
}

/* Every SP parameter that asks for something else than can be had. */
static void
policy(void **state)
{
    static const struct {
        uint8_t params[12];
        size_t n;
        bool fits;
        uint8_t encr, tag;
        bool rcc;
    } rows[] = {
        { { 0 }, 0, true, 1, 10, false }, /* RFC 3711's default */
        { { 0, 1, 1 }, 3, true, 1, 10, false },
        { { 0, 1, 6 }, 3, true, 6, 16, false },
        { { 0, 1, 6, 2, 1, 4 }, 6, true, 6, 16, true },
        { { 0, 1, 6, 2, 1, 4, 13, 2, 0, 5 }, 10, true, 6, 16, true },
        { { 0, 1, 6, 2, 1, 4, 13, 1, 0 }, 9, false, 0, 0, false },
        { { 0, 1, 0 }, 3, false, 0, 0, false },
        { { 0, 1, 2 }, 3, false, 0, 0, false },
        { { 0, 1, 6, 1, 1, 32 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 4, 1, 14 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 20, 1, 8 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 2, 1, 1 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 18, 1, 4 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 6, 1, 1 }, 6, false, 0, 0, false },
        { { 0, 1, 1, 2, 1, 0 }, 6, false, 0, 0, false },
        { { 0, 1, 1, 11, 1, 4 }, 6, false, 0, 0, false },
        { { 0, 1, 1, 4, 1, 12 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 7, 1, 0 }, 6, false, 0, 0, false },
        { { 0, 1, 6, 200, 1, 9 }, 6, true, 6, 16, false },
    };
    static uint8_t buf[ROOM], out[ROOM];
    static struct mcx_mikey_msg m;
    struct mcx_build how = plan(MCX_KIND_PCK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    size_t i;

    (void)state;
    rewind_clock();
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct mcx_key_msg km;
        struct mcx_bytes b = build(buf, &how, NULL);
        struct mcx_wr wr = mcx_wr(out, sizeof out);
        size_t at = at_of(b, MCX_PL_SAKKE, 0);

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        buf[m.idr[MCX_ROLE_KMSR].at] = MCX_PL_SP;
        mcx_wr_bytes(&wr, mcx_bytes(b.p, at));
        mcx_wr_u8(&wr, MCX_PL_SAKKE);
        mcx_wr_u16(&wr, 0); /* policy 0, SRTP */
        mcx_wr_bytes_len(&wr, mcx_bytes(rows[i].params, rows[i].n), 2);
        mcx_wr_bytes(&wr, mcx_bytes(b.p + at, b.n - at));
        resign(out, wr.at, ALICE);
        if (!rows[i].fits) {
            refuses(mcx_bytes(out, wr.at), &o, MCX_R_POLICY_PARAM, "SP");
            continue;
        }
        opens(&km, mcx_bytes(out, wr.at), &o);
        assert_int_equal(km.sp.encr_alg, rows[i].encr);
        assert_int_equal(km.sp.tag_size, rows[i].tag);
        assert_int_equal(km.sp.salt_size, rows[i].encr == 6 ? 12 : 14);
        assert_int_equal(km.sp.rcc_mode3, rows[i].rcc);
    }
}

/* The other way: what a builder names in SP is what the receiver has. */
static void
policy_sent(void **state)
{
    static const char *const words[] = { "gcm", "gcm-rcc", "aes-cm" };
    static const struct mcx_sp_profile none[] = {
        { 6, 16, 12, 8, false, 0 }, { 6, 32, 12, 16, false, 0 },
        { 6, 16, 14, 16, false, 0 }, { 6, 16, 12, 16, true, 0 },
        { 6, 16, 12, 16, false, 1 }, { 1, 16, 14, 10, true, 1 },
        { 1, 16, 14, 4, false, 0 }, { 2, 16, 14, 10, false, 0 },
        { 0, 0, 0, 0, false, 0 },
    };
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_sp_profile sp;
    size_t i, k, n;

    (void)state;
    rewind_clock();
    assert_false(mcx_sp_profile_parse(&sp, "gcm "));
    assert_false(mcx_sp_profile_parse(&sp, NULL));
    for (k = 0; k < N_KINDS; k++) {
        struct mcx_build how = plan(kinds[k], ALICE, BOB);

        how.sp = &sp;
        for (i = 0; i < 3; i++) {
            assert_true(mcx_sp_profile_parse(&sp, words[i]));
            sp.roc_rate = (uint16_t)(sp.roc_rate ? 300 : 0);
            assert_string_equal(mcx_sp_profile_word(&sp), words[i]);
            how.peer = MCX_PEER_REL13_MAP;
            opens(&km, build(buf, &how, NULL), &o);
            assert_string_equal(mcx_sp_profile_word(&km.sp), words[i]);
            assert_int_equal(km.sp.roc_rate, sp.roc_rate);
            how.peer = 0; /* no map, no SP: it could not be said */
            n = ROOM;
            assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL),
                             MCX_E_ARG);
        }
        for (i = 0; i < sizeof none / sizeof none[0]; i++) {
            how.sp = &none[i];
            how.peer = MCX_PEER_REL13_MAP;
            n = ROOM;
            assert_null(mcx_sp_profile_word(&none[i]));
            assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL),
                             MCX_E_ARG);
        }
    }
}

static void
arguments(void **state)
{
    static struct mcx_mikey_msg m;
    static struct mcx_key_msg km;
    struct mcx_open o = rules(BOB, ALICE);

    (void)state;
    memset(&m, 0, sizeof m); /* what a failed parse leaves */
    assert_int_equal(mcx_mikey_open(&km, &m, &o, NULL), MCX_E_ARG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streamwide),
        cmocka_unit_test(computed),
        cmocka_unit_test(alea),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(given_key_id_and_rand),
        cmocka_unit_test(timestamps_are_unique),
        cmocka_unit_test(tag_and_time),
        cmocka_unit_test(identities),
        cmocka_unit_test(other_kms),
        cmocka_unit_test(foreign_kms),
        cmocka_unit_test(endless_period),
        cmocka_unit_test(signature),
        cmocka_unit_test(sakke),
        cmocka_unit_test(replay),
        cmocka_unit_test(parked),
        cmocka_unit_test(adjacent_period),
        cmocka_unit_test(to_self),
        cmocka_unit_test(five_steps),
        cmocka_unit_test(key_parameters),
        cmocka_unit_test(monthly_tel),
        cmocka_unit_test(policy),
        cmocka_unit_test(policy_sent),
        cmocka_unit_test(arguments),
    };

    return cmocka_run_group_tests_name("mikey-open", tests, world_up,
                                       world_down);
}
