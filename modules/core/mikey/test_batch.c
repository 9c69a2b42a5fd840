/* test_batch.c -- one key for many members, several keys of a group, and a
 * replay cache that lasts over restarts, steps of the clock and 2036. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "test_world.h"

enum { MEMBERS = 3, BATCH_ROOM = MEMBERS * ROOM };

static void
members(void **state)
{
    static const char *const uri[MEMBERS] = { ALICE, BOB, MALLORY };
    static uint8_t buf[BATCH_ROOM];
    static struct mcx_key_msg common, km;
    struct mcx_key_params kp = { .status = 1, .n_groups = 1,
                                 .group = { "sip:g@mc.example.org" } };
    struct mcx_batch_item item[MEMBERS] = { { 0 } };
    struct mcx_build how = plan(MCX_KIND_GMK, PF, NULL);
    size_t n = sizeof buf, i, sum = 0;
    uint32_t guk;

    (void)state;
    rewind_clock();
    how.params = &kp;
    for (i = 0; i < MEMBERS; i++) {
        item[i].to = uri[i];
    }
    assert_int_equal(mcx_mikey_build_batch(buf, &n, &common, item, MEMBERS,
                                           &how),
                     MCX_OK);
    assert_int_equal(common.key_id, common.csb_id);
    assert_string_equal(common.responder, "");
    for (i = 0; i < MEMBERS; i++) {
        struct mcx_open o = rules(uri[i], PF);

        assert_ptr_equal(item[i].octets, buf + sum);
        sum += item[i].n;
        opens(&km, mcx_bytes(item[i].octets, item[i].n), &o);
        assert_memory_equal(km.key.b, common.key.b, sizeof km.key.b);
        assert_memory_equal(km.rand, common.rand, 16);
        assert_int_equal(km.key_id, common.key_id);
        assert_int_equal(km.csb_id, item[i].csb_id);
        assert_int_equal(mcx_guk_id(&guk, &common.key, common.key_id,
                                    uri[i]),
                         MCX_OK);
        assert_int_equal(guk, item[i].csb_id);
        assert_int_equal(km.params.n_groups, 1);
        o.self = uri[(i + 1) % MEMBERS]; /* nobody else's */
        refuses(mcx_bytes(item[i].octets, item[i].n), &o, MCX_R_RESPONDER,
                "IDRr");
    }
    assert_int_equal(sum, n);
    /* One member of a KMS nobody knows, and no room for the last. */
    item[1].to_kms = KMS2;
    how.key = &common.key;
    how.key_id = common.key_id;
    how.rand = common.rand;
    n = item[0].n + item[2].n - 1;
    assert_int_equal(mcx_mikey_build_batch(buf, &n, &km, item, MEMBERS,
                                           &how),
                     MCX_E_NO_IDENTITY);
    assert_int_equal(item[0].err, MCX_OK);
    assert_int_equal(item[1].err, MCX_E_NO_IDENTITY);
    assert_int_equal(item[1].why.reason, MCX_R_NO_KMS);
    assert_int_equal(item[2].err, MCX_E_TOOBIG);
    assert_true(!item[1].octets && !item[2].octets && n == item[0].n);
    /* ... who goes on with the same key. */
    n = sizeof buf;
    assert_int_equal(mcx_mikey_build_batch(buf, &n, &km, item + 2, 1, &how),
                     MCX_OK);
    assert_memory_equal(km.key.b, common.key.b, sizeof km.key.b);
    assert_int_equal(km.key_id, common.key_id);
    assert_int_equal(mcx_mikey_build_batch(buf, &n, &km, item, 0, &how),
                     MCX_E_ARG);
    w.te.random_fails = true;
    how.key = NULL;
    assert_int_equal(mcx_mikey_build_batch(buf, &n, &km, item, 1, &how),
                     MCX_E_IO);
    w.te.random_fails = false;
}

/* TEST TS 33.180 5.7, E.6: several GMKs live; one sends. */
static void
several_keys(void **state)
{
    static struct mcx_key_msg a, b, c;
    const struct mcx_key_msg *all[] = { &a, &b, &c };
    const char *g = "sip:g@mc.example.org";
    int64_t from, to;

    (void)state;
    a.t_unix_ms = 1000 * 1000;
    a.t = mcx_ntp_from_unix_ms(a.t_unix_ms);
    b = c = a;
    assert_ptr_equal(mcx_key_msg_choose(all, 1, g, 1000), &a);
    mcx_key_msg_times(&from, &to, &a);
    assert_true(from == 1000 && to == INT64_MAX);
    b.t++; /* the newest T of several */
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 1000), &b);
    /* The one activated most recently, and not before its time. */
    c.params = (struct mcx_key_params){ .present = true, .status = 1,
                                        .activation_unix = 2000,
                                        .expiry_unix = 3000 };
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 1999), &b);
    assert_true(mcx_key_msg_receives(&c, 1999));
    assert_false(mcx_key_msg_sends(&c, 1999));
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 2000), &c);
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 2999), &c);
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 3000), &b);
    assert_false(mcx_key_msg_receives(&c, 3000));
    c.params.status = 0; /* revoked */
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 2000), &b);
    assert_false(mcx_key_msg_receives(&c, 2000));
    c.params.status = 1;
    c.params.n_groups = 1; /* another group's */
    memcpy(c.params.group[0], "sip:h", 6);
    assert_ptr_equal(mcx_key_msg_choose(all, 3, g, 2000), &b);
    assert_ptr_equal(mcx_key_msg_choose(all, 3, "sip:h", 2000), &c);
    assert_true(mcx_key_msg_serves(&b, "sip:h"));
    assert_null(mcx_key_msg_choose(all, 0, g, 2000));
    /* T ahead of our clock, as far as the window lets it be. */
    assert_true(mcx_key_msg_sends(&a, 1000 - MCX_WINDOW_AHEAD_S));
    assert_false(mcx_key_msg_sends(&a, 999 - MCX_WINDOW_AHEAD_S));
}

/* ---- replay ------------------------------------------------------------ */

static struct mcx_replay *restored;
static size_t n_saved;

static mcx_err
carry_over(void *arg, const struct mcx_replay_entry *e)
{
    (void)arg;
    n_saved++;
    return mcx_replay_restore(restored, w.te.now_ms, e);
}

/* A message that was taken before a restart is a replay after it. */
static void
over_restart(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM], buf2[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_replay_entry e = { .expires_ms = now_ms + 5, .parked = true };
    struct mcx_bytes b, b2;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    assert_int_equal(mcx_replay_new(&o.replay, 100), MCX_OK);
    assert_int_equal(mcx_replay_new(&restored, 2), MCX_OK);
    opens(&km, b, &o);
    n_saved = 0;
    assert_int_equal(mcx_replay_save(o.replay, w.te.now_ms, carry_over,
                                     NULL),
                     MCX_OK);
    assert_int_equal(n_saved, 1);
    mcx_replay_free(o.replay);
    o.replay = restored;
    refuses(b, &o, MCX_R_REPLAYED, "T");
    /* Parked ones stay parked; what is there already stays taken. */
    assert_int_equal(mcx_replay_restore(restored, now_ms, &e), MCX_OK);
    assert_int_equal(mcx_replay_look(restored, e.digest, now_ms, true),
                     MCX_OK);
    assert_int_equal(mcx_replay_look(restored, e.digest, now_ms, false),
                     MCX_E_REPLAY);
    e.parked = false;
    e.expires_ms += 10;
    assert_int_equal(mcx_replay_restore(restored, now_ms, &e), MCX_OK);
    assert_int_equal(mcx_replay_look(restored, e.digest, now_ms + 15, true),
                     MCX_E_REPLAY);
    /* Full, expired, nothing. */
    e.digest[0] = 9;
    assert_int_equal(mcx_replay_restore(restored, now_ms, &e), MCX_E_BUSY);
    e.expires_ms = now_ms - 1;
    assert_int_equal(mcx_replay_restore(restored, now_ms, &e), MCX_OK);
    assert_int_equal(mcx_replay_count(restored), 2);
    assert_int_equal(mcx_replay_restore(restored, now_ms, NULL), MCX_E_ARG);
    mcx_replay_free(restored);
    /* The entries are lost: T up to the restart is refused. */
    assert_int_equal(mcx_replay_new(&o.replay, 100), MCX_OK);
    mcx_replay_floor(o.replay, now_ms);
    mcx_replay_floor(o.replay, now_ms - 1000);
    refuses(b, &o, MCX_R_REPLAYED, "T");
    w.te.now_ms = now_ms + 1;
    b2 = build(buf2, &how, NULL);
    opens(&km, b2, &o);
    mcx_replay_free(o.replay);
    rewind_clock();
}

/* The clock runs ahead by an hour, entries are let go, the clock is set right
 * again: what was taken before is not taken twice, and new messages are. */
static void
clock_steps(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM], other[ROOM];
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_bytes b;
    size_t i;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    assert_int_equal(mcx_replay_new(&o.replay, 2), MCX_OK);
    opens(&km, b, &o);
    w.te.now_ms = now_ms + 3600 * 1000;
    for (i = 0; i < 2; i++) { /* the first entry must make way */
        opens(&km, build(other, &how, NULL), &o);
    }
    assert_int_equal(mcx_replay_count(o.replay), 2);
    rewind_clock();
    refuses(b, &o, MCX_R_REPLAYED, "T");
    mcx_replay_free(o.replay);
    /* Back by an hour, and nothing let go: all goes on. */
    assert_int_equal(mcx_replay_new(&o.replay, 10), MCX_OK);
    opens(&km, b, &o);
    w.te.now_ms = now_ms - 3600 * 1000;
    opens(&km, build(other, &how, NULL), &o);
    rewind_clock();
    refuses(b, &o, MCX_R_REPLAYED, "T");
    mcx_replay_free(o.replay);
}

/* Around 2036-02-07T06:28:16Z T starts again at zero. */
static void
era_change(void **state)
{
    static struct mcx_key_msg km, late;
    static uint8_t buf[ROOM], buf2[ROOM];
    const int64_t edge = INT64_C(2085978496000);
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct mcx_ring *ring = ring_new();
    struct mcx_bytes b, b2;
    uint64_t no;

    (void)state;
    assert_int_equal(mcx_period_no(&no, &w.info.period,
                                   edge / 1000 + MCX_NTP_UNIX_DIFF),
                     MCX_OK);
    give(ring, ALICE, no);
    give(ring, PF, no);
    how.ring = o.ring = ring;
    assert_int_equal(mcx_replay_new(&o.replay, 10), MCX_OK);
    w.te.now_ms = edge - 1000;
    b = build(buf, &how, &km);
    opens(&km, b, &o);
    assert_true(km.t >> 32 == 0xffffffff);
    w.te.now_ms = edge + 1000; /* before the change, opened after it */
    refuses(b, &o, MCX_R_REPLAYED, "T");
    b2 = build(buf2, &how, NULL);
    opens(&late, b2, &o);
    assert_true(late.t >> 32 == 1 && late.t_unix_ms == edge + 1000);
    assert_true(mcx_key_msg_newer(&late, &km));
    w.te.now_ms = edge - 1000; /* and a clock that is a little behind */
    refuses(b2, &o, MCX_R_REPLAYED, "T");
    w.te.now_ms = edge + 300000;
    refuses(b, &o, MCX_R_TOO_OLD, "T");
    refuses(b2, &o, MCX_R_REPLAYED, "T");
    mcx_replay_free(o.replay);
    mcx_ring_free(ring);
    rewind_clock();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(several_keys),
        cmocka_unit_test(over_restart),
        cmocka_unit_test(clock_steps),
        cmocka_unit_test(era_change),
    };

    return cmocka_run_group_tests_name("mikey-batch", tests, world_up,
                                       world_down);
}
