/* test_kinds.c -- the table of key kinds, and that a row and a file make a
 * kind: "xtk" (test_kind_xtk.c, test_kinds.def) is built, opened, refused,
 * described and kept like any other. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>
#include "test_world.h"

enum { XTK = 9 };

static void
rows_agree(void **state)
{
    unsigned seen = 0;
    size_t i;

    (void)state;
    for (i = 0; mcx_kind_each(i); i++) {
        const struct mcx_kind_info *k = mcx_kind_each(i);

        assert_true(k->kind < MCX_KIND_END);
        assert_false(seen & MCX_KIND_BIT(k->kind));
        seen |= MCX_KIND_BIT(k->kind);
        assert_ptr_equal(mcx_kind_info(k->kind), k);
        assert_int_equal(mcx_kind_parse(k->word), k->kind);
        assert_string_equal(mcx_kind_word(k->kind), k->word);
        assert_true(k->n_cs > 0 && k->clause[0] != '\0');
        /* Only what a message carries has a tag or roles. */
        assert_int_equal(k->initiator[0] == '\0',
                         k->carrier == MCX_CARRIER_HAND);
        assert_true(k->carrier != MCX_CARRIER_SAKKE || k->kind < 16);
        assert_true(k->sp.key_size == 16 && k->sp.salt_size > 0);
    }
    assert_int_equal(i, 9);
    assert_int_equal(seen, 0x7fu | 1u << XTK | MCX_KIND_BIT(MCX_KIND_GSK));
    assert_null(mcx_kind_info(7));
    assert_int_equal(mcx_kind_parse("xtk"), XTK);
    assert_int_equal(mcx_kind_parse("nothing"), -1);
    assert_int_equal(mcx_kind_parse(NULL), -1);
    assert_false(mcx_kind_diverse(7, 1, 2));
    assert_true(mcx_kind_diverse(MCX_KIND_GMK, 1, 1));
    assert_true(mcx_kind_diverse(MCX_KIND_MKFC, 1, 2));
    assert_false(mcx_kind_diverse(MCX_KIND_MKFC, 1, 0));
    assert_false(mcx_kind_diverse(MCX_KIND_CSK, 1, 2));
}

static bool saw_kind;

static void
each_field(void *arg, const struct mcx_field *f)
{
    (void)arg;
    saw_kind |= strcmp(f->name, "CSB ID") == 0
                && strcmp(f->meaning, "xtk") == 0;
}

static void
made_up_kind(void **state)
{
    static struct mcx_key_msg sent, km;
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    struct mcx_key_params params = { .status = 1 };
    struct mcx_build how = plan(XTK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_srtp_policy policy;
    struct mcx_keys *keys = NULL;
    struct mcx_key *key = NULL;
    struct mcx_bytes b;
    size_t n = ROOM;

    (void)state;
    rewind_clock();
    o.window = MCX_WINDOW_KIND;
    how.peer = MCX_PEER_REL13_MAP;
    b = build(buf, &how, &sent);
    assert_int_equal(sent.key_id >> 28, XTK);
    assert_int_not_equal(sent.key_id, sent.csb_id);
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    assert_int_equal(m.n_cs, 2);
    assert_int_equal(m.cs[0].cs_id, 40);
    assert_int_equal(m.cs[1].cs_id, 41);
    assert_int_equal(m.cs[0].spi.n, 8);
    assert_int_equal(mcx_mikey_describe(b, each_field, NULL, NULL), MCX_OK);
    assert_true(saw_kind);
    w.te.now_ms += 3600 * 1000; /* within the window of its row */
    opens(&km, b, &o);
    assert_int_equal(km.kind, XTK);
    assert_int_equal(km.key_id, sent.key_id);
    assert_int_equal(km.sp.encr_alg, 1);
    assert_memory_equal(km.key.b, sent.key.b, sizeof km.key.b);
    o.kinds = MCX_KIND_BIT(MCX_KIND_GMK);
    refuses(b, &o, MCX_R_PURPOSE, "HDR");
    o.kinds = MCX_KIND_BIT(XTK);
    o.window = MCX_WINDOW_LIVE;
    refuses(b, &o, MCX_R_TOO_OLD, "T");
    rewind_clock();
    how.peer |= MCX_PEER_REL13_CS_ID;
    assert_int_equal(mcx_mikey_parse(&m, build(buf, &how, NULL), NULL),
                     MCX_OK);
    assert_int_equal(m.cs[0].cs_id, 50);
    how.cs_id_given = true;
    how.cs_id = 77;
    assert_int_equal(mcx_mikey_parse(&m, build(buf, &how, NULL), NULL),
                     MCX_OK);
    assert_int_equal(m.cs[1].cs_id, 78);
    /* What its row does not allow. */
    how.params = &params;
    assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL), MCX_E_ARG);
    how.params = NULL;
    how.sakke_to_self = true;
    assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL), MCX_E_ARG);
    /* The store keeps it and makes MKIs of both IDs. */
    assert_int_equal(mcx_keys_new(&keys, &w.te.env, 4), MCX_OK);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &key, NULL), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    assert_int_equal(mcx_key_policy(&policy, key, 40, false), MCX_OK);
    assert_int_equal(policy.mki_size, 8);
    assert_int_equal(policy.suite, MCX_SUITE_AES_CM_128_HMAC_SHA1_80);
    mcx_srtp_policy_wipe(&policy);
    mcx_key_unref(key);
    mcx_keys_free(keys);
}

/* Key parameters that the row of the kind does not have: a peer's SDP IDs,
 * called key parameters under a good signature. */
static void
params_of_no_use(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(XTK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_bytes b;
    size_t at;

    (void)state;
    rewind_clock();
    how.peer = MCX_PEER_SDP_IDS;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    at = at_of(b, MCX_PL_EXT, 0);
    assert_int_equal(buf[at + 1], MCX_EXT_SDP_IDS);
    buf[at + 1] = MCX_EXT_KEY_PARAMS;
    resign(buf, b.n, ALICE);
    refuses(b, &o, MCX_R_KEY_PARAMS, "EXT");
}

/* Every tag without a row, and the rows that no SAKKE message carries. */
static void
tags_without_a_row(void **state)
{
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_bytes b;
    unsigned tag;
    size_t n = ROOM;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    for (tag = 0; tag < 16; tag++) {
        const struct mcx_kind_info *k = mcx_kind_info(tag);

        if (k && k->carrier == MCX_CARRIER_SAKKE) {
            continue;
        }
        buf[4] = (uint8_t)(tag << 4 | (buf[4] & 0x0f));
        refuses(b, &o, MCX_R_PURPOSE, "HDR");
        how.kind = tag;
        assert_int_equal(mcx_mikey_build(buf + 2048, &n, NULL, &how, NULL),
                         MCX_E_ARG);
    }
    how.kind = MCX_KIND_GSK;
    assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL), MCX_E_ARG);
}

/* An MKFC's ID: as it stands, or rewritten under the option. */
static void
mkfc_forms(void **state)
{
    static struct mcx_key_msg sent, km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_MKFC, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);

    (void)state;
    rewind_clock();
    opens(&km, build(buf, &how, &sent), &o);
    assert_true(km.key_id == sent.key_id && km.csb_id == km.key_id);
    how.peer = o.peer = MCX_PEER_MKFC_GUK;
    opens(&km, build(buf, &how, &sent), &o);
    assert_true(km.key_id == sent.key_id && km.csb_id != km.key_id);
}

/* Release 13 may set V; nobody asks for an answer by it. */
static void
v_bit(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    struct mcx_build how = plan(MCX_KIND_GMK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    assert_int_equal(b.p[3], 0x01);
    how.peer = MCX_PEER_REL13_V;
    b = build(buf, &how, NULL);
    assert_int_equal(b.p[3], 0x81);
    opens(&km, b, &o);
    assert_string_equal(mcx_peer_option_word(MCX_PEER_REL13_V), "rel13-v");
    assert_int_equal(mcx_peer_option_parse("mkfc-guk"), MCX_PEER_MKFC_GUK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_agree),
        cmocka_unit_test(made_up_kind),
        cmocka_unit_test(params_of_no_use),
        cmocka_unit_test(tags_without_a_row),
        cmocka_unit_test(mkfc_forms),
        cmocka_unit_test(v_bit),
    };

    return cmocka_run_group_tests_name("mikey-kinds", tests, world_up,
                                       world_down);
}
