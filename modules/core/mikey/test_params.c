/* test_params.c -- key parameters (TS 33.180 E.6) in forms A and B: what is
 * written is what is read, for contents drawn at random and for every kind in
 * the table; what is not written; what is not read.  MCX_TEST_SEED repeats a
 * run, MCX_TEST_ROUNDS lengthens it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "inner.h"
#include "test_world.h"

enum { DATA_MAX = 9000, ROUNDS = 400 };

static const enum mcx_params_form forms[] = { MCX_PARAMS_FORM_A,
                                              MCX_PARAMS_FORM_B };
static unsigned rounds = ROUNDS;

/* ---- drawing ----------------------------------------------------------- */

static uint64_t
draw(uint64_t below)
{
    uint64_t r;

    assert_int_equal(test_env_random(&w.te, &r, sizeof r), MCX_OK);
    return r % below;
}

/* 'n' octets that are none of them NUL. */
static void
draw_text(char *out, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        out[i] = (char)(1 + draw(255));
    }
    out[n] = '\0';
}

/* Contents that a live key may have: sizes at their ends now and then. */
static void
draw_params(struct mcx_key_params *p, bool groups)
{
    static const uint64_t end = UINT64_C(1) << 40;
    size_t i;

    memset(p, 0, sizeof *p);
    p->present = true;
    p->status = draw(2) ? 1 : 3;
    p->activation_unix = draw(3) ? (int64_t)draw(end) : 0;
    /* Not past, or it is refused. */
    p->expiry_unix = draw(3) ? (int64_t)(end - 1 - draw(end / 2)) : 0;
    draw_text(p->text, draw(8) ? (size_t)draw(MCX_TEXT_MAX)
                               : MCX_TEXT_MAX - 1);
    if (groups) {
        p->n_groups = draw(8) ? (size_t)draw(MCX_GROUPS_MAX + 1)
                              : MCX_GROUPS_MAX;
        for (i = 0; i < p->n_groups; i++) {
            draw_text(p->group[i], draw(8) ? 1 + (size_t)draw(255)
                                           : MCX_GROUP_ID_MAX - 1);
        }
    }
}

/* ---- the payload by itself --------------------------------------------- */

static mcx_err
write_it(struct mcx_ext *ext, uint8_t buf[DATA_MAX],
         const struct mcx_key_params *p, enum mcx_params_form form,
         const struct mcx_ssv *key, uint32_t csb_id)
{
    struct mcx_wr wr = mcx_wr(buf, DATA_MAX);
    mcx_err err = mcx_key_params_write(&wr, p, form, key, csb_id,
                                       now_ms / 1000, &w.te.env);

    *ext = (struct mcx_ext){ .at = 500, .type = MCX_EXT_KEY_PARAMS,
                             .data = mcx_bytes(buf, wr.at) };
    return err;
}

/* TEST TS 33.180 E.6: read(write(x)) = x and write(read(b)) = b. */
static void
read_is_written(void **state)
{
    static struct mcx_key_params sent, got;
    static uint8_t buf[DATA_MAX], again[DATA_MAX];
    const struct mcx_kind_info *kind;
    MCX_SECRET(mcx_ssv, key);
    struct mcx_ext ext, same;
    uint64_t seed;
    unsigned k, r, n = 0;
    size_t f;

    (void)state;
    for (r = 0; r < rounds; r++) {
        for (k = 0; (kind = mcx_kind_each(k)) != NULL; k++) {
            uint32_t id = (uint32_t)(kind->kind << 28 | draw(1u << 28));

            if (!kind->params) {
                continue;
            }
            draw_params(&sent, kind->groups);
            assert_int_equal(test_env_random(&w.te, key.b, sizeof key.b),
                             MCX_OK);
            for (f = 0; f < 2; f++) {
                unsigned peer = f ? MCX_PEER_REL13_PARAMS : 0;

                seed = w.te.seed; /* for the same IV */
                assert_int_equal(write_it(&ext, buf, &sent, forms[f], &key,
                                          id),
                                 MCX_OK);
                assert_int_equal(mcx_key_params_open(&got, &ext, &key, id,
                                                     peer, now_ms, NULL),
                                 MCX_OK);
                assert_memory_equal(&got, &sent, sizeof got);
                w.te.seed = seed;
                assert_int_equal(write_it(&same, again, &got, forms[f], &key,
                                          id),
                                 MCX_OK);
                assert_int_equal(same.data.n, ext.data.n);
                assert_memory_equal(again, buf, ext.data.n);
                assert_int_equal((buf[0] & 0x40) != 0, f == 0);
                n++;
            }
        }
    }
    assert_true(n >= rounds * 2 * 6);
}

/* The smallest contents, octet for octet (digest of TS 33.180, section 7). */
static void
smallest(void **state)
{
    static const uint8_t csk[17] = { 2, 0, 0, 0, 1 };
    static const uint8_t gmk[20] = { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
                                     0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
    static uint8_t buf[DATA_MAX];
    struct mcx_key_params p = { .status = 1 };
    struct mcx_ssv key = { "key of 16 octets" };
    struct mcx_ext ext;

    (void)state;
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_B, &key,
                              0x20000001),
                     MCX_OK);
    assert_int_equal(ext.data.n, sizeof csk);
    assert_memory_equal(buf, csk, sizeof csk);
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_B, &key, 1),
                     MCX_OK);
    assert_int_equal(ext.data.n, sizeof gmk);
    assert_memory_equal(buf, gmk, sizeof gmk);
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_A, &key, 1),
                     MCX_OK);
    assert_int_equal(ext.data.n, 32 + 3 + sizeof gmk + 16);
    assert_int_equal(buf[0], 0x43);
}

static void
not_written(void **state)
{
    static const struct {
        uint32_t status;
        int64_t activation, expiry;
    } bad[] = {
        { 4, 0, 0 },
        { UINT32_C(0x000e0001), 0, 0 },
        { UINT32_MAX, 0, 0 },
        { 1, -1, 0 },
        { 1, INT64_C(1) << 40, 0 },
        { 1, 0, -1 },
        { 1, 0, INT64_C(1) << 40 },
    };
    static struct mcx_key_params p;
    static uint8_t buf[DATA_MAX];
    struct mcx_ssv key = { "key of 16 octets" };
    struct mcx_ext ext;
    struct mcx_wr wr;
    size_t i, f;

    (void)state;
    for (f = 0; f < 2; f++) {
        for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            p = (struct mcx_key_params){
                .status = bad[i].status,
                .activation_unix = bad[i].activation,
                .expiry_unix = bad[i].expiry,
            };
            assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1),
                             MCX_E_ARG);
            assert_int_equal(ext.data.n, 0);
        }
        p = (struct mcx_key_params){ .status = 1, .n_groups = 1 };
        assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1),
                         MCX_E_ARG); /* a group without a name */
        memset(p.group[0], 'g', sizeof p.group[0]);
        assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1),
                         MCX_E_ARG); /* that does not end */
        p.n_groups = MCX_GROUPS_MAX + 1;
        assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1),
                         MCX_E_ARG);
        p.n_groups = 0;
        memset(p.text, 't', sizeof p.text);
        assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1),
                         MCX_E_ARG);
        p.text[0] = '\0';
        wr = mcx_wr(buf, 16); /* no room */
        assert_int_equal(mcx_key_params_write(&wr, &p, forms[f], &key, 1,
                                              now_ms / 1000, &w.te.env),
                         MCX_E_TOOBIG);
    }
    p = (struct mcx_key_params){ .status = 1 };
    assert_int_equal(write_it(&ext, buf, &p, (enum mcx_params_form)2, &key,
                              1),
                     MCX_E_ARG); /* form C */
    w.te.random_fails = true;
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_A, &key, 1),
                     MCX_E_IO);
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_B, &key, 1),
                     MCX_OK); /* has no IV */
    w.te.random_fails = false;
}

/* Every shorter payload, and form A with any bit of it changed. */
static void
not_read(void **state)
{
    static struct mcx_key_params p, got;
    static uint8_t buf[DATA_MAX];
    struct mcx_ssv key = { "key of 16 octets" };
    struct mcx_why why = { 0 };
    struct mcx_ext ext, cut;
    size_t f, i;

    (void)state;
    p = (struct mcx_key_params){ .status = 1, .text = "Fire 7",
                                 .n_groups = 2,
                                 .group = { "sip:g@x", "sip:h@x" } };
    for (f = 0; f < 2; f++) {
        assert_int_equal(write_it(&ext, buf, &p, forms[f], &key, 1), MCX_OK);
        for (i = 0; i < ext.data.n; i++) {
            cut = ext;
            cut.data.n = i;
            if (f == 1 && i == 23) {
                continue; /* no groups: nothing behind the text is whole */
            }
            assert_int_equal(mcx_key_params_open(&got, &cut, &key, 1,
                                                 MCX_PEER_REL13_PARAMS,
                                                 now_ms, &why),
                             MCX_E_AUTH);
            assert_int_equal(why.reason, MCX_R_KEY_PARAMS);
            assert_int_equal(why.offset, 504);
        }
    }
    assert_int_equal(write_it(&ext, buf, &p, MCX_PARAMS_FORM_A, &key, 1),
                     MCX_OK);
    for (i = 0; i < 8 * ext.data.n; i++) {
        if (i / 8 == 32) {
            continue; /* the IEI: any is taken */
        }
        buf[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(mcx_key_params_open(&got, &ext, &key, 1, 0, now_ms,
                                             NULL),
                         MCX_E_AUTH);
        buf[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(mcx_key_params_open(&got, &ext, &key, 2, 0, now_ms,
                                         NULL),
                     MCX_E_AUTH); /* of another key ID */
}

/* ---- in messages ------------------------------------------------------- */

/* Form B wants its option; the signature covers it; its status counts. */
static void
form_b(void **state)
{
    static struct mcx_key_msg sent, km;
    static struct mcx_key_params p;
    static uint8_t buf[ROOM];
    const struct mcx_kind_info *kind;
    struct mcx_why why = { 0 };
    unsigned k, n = 0;

    (void)state;
    rewind_clock();
    for (k = 0; (kind = mcx_kind_each(k)) != NULL; k++) {
        struct mcx_build how = plan(kind->kind, ALICE, BOB);
        struct mcx_open o = rules(BOB, ALICE);
        size_t room = ROOM, at;
        struct mcx_bytes b;

        how.params = &p;
        how.params_form = MCX_PARAMS_FORM_B;
        if (!kind->params || kind->carrier != MCX_CARRIER_SAKKE) {
            assert_int_equal(mcx_mikey_build(buf, &room, NULL, &how, NULL),
                             MCX_E_ARG);
            continue;
        }
        p = (struct mcx_key_params){
            .status = 1, .activation_unix = now_ms / 1000 - 5,
            .expiry_unix = now_ms / 1000 + 60, .text = "Fire 7",
            .n_groups = kind->groups ? 1 : 0,
        };
        if (kind->groups) {
            memcpy(p.group[0], "sip:g@x", 8);
        }
        b = build(buf, &how, &sent);
        refuses(b, &o, MCX_R_KEY_PARAMS, "EXT");
        o.peer = MCX_PEER_REL13_PARAMS;
        opens(&km, b, &o);
        assert_memory_equal(km.key.b, sent.key.b, sizeof km.key.b);
        assert_true(km.params.present);
        p.present = true;
        assert_memory_equal(&km.params, &p, sizeof p);
        assert_memory_equal(&sent.params, &p, sizeof p);
        at = at_of(b, MCX_PL_EXT, 0) + 4;
        assert_memory_equal(buf + at + 17, "Fire 7", 6); /* in clear */
        buf[at + 17] ^= 1;
        refuses(b, &o, MCX_R_SIGNATURE, "SIGN");
        p.status = 2; /* revoked, and told to a gateway */
        refuses(build(buf, &how, NULL), &o, MCX_R_REVOKED, "EXT");
        p.status = 1;
        p.expiry_unix = now_ms / 1000;
        refuses(build(buf, &how, NULL), &o, MCX_R_KEY_EXPIRED, "EXT");
        /* What cannot be sent says so, and where. */
        p.status = 8;
        room = ROOM;
        assert_int_equal(mcx_mikey_build(buf, &room, &km, &how, &why),
                         MCX_E_ARG);
        assert_int_equal(why.reason, MCX_R_VALUE);
        assert_string_equal(why.payload, "EXT");
        assert_int_equal(km.key_id, 0);
        p.status = 1;
        how.params_form = (enum mcx_params_form)2;
        assert_int_equal(mcx_mikey_build(buf, &room, NULL, &how, &why),
                         MCX_E_ARG);
        n++;
    }
    assert_true(n >= 6);
}

int
main(void)
{
    const char *s = getenv("MCX_TEST_SEED");
    uint64_t seed = s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_is_written),
        cmocka_unit_test(smallest),
        cmocka_unit_test(not_written),
        cmocka_unit_test(not_read),
        cmocka_unit_test(form_b),
    };
    int failed;

    s = getenv("MCX_TEST_ROUNDS");
    rounds = s && atoi(s) > 0 ? (unsigned)atoi(s) : ROUNDS;
    if (world_up(NULL) != 0) {
        return 1;
    }
    print_message("MCX_TEST_SEED=%llu\n", (unsigned long long)seed);
    w.te.seed ^= seed * UINT64_C(0x9e3779b97f4a7c15);
    if (w.te.seed == 0) { /* the generator's only fixed point */
        w.te.seed = 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)world_down(NULL);
    return failed;
}
