/* test_peers.c -- tables of peers: sealing with and without one gives the
 * same octets; the list keeps those used last, and none that is lent. */
#include <config.h>
#include "test_kit.h"
#include "ident/peers.h"

static void
prepared(void **state)
{
    static const uint8_t two[1] = { 2 };
    struct kit *k = *state;
    struct mcx_ssv ssv;
    uint8_t enc[273];
    int i;

    (void)vec_hex(V6508, "SSV", ssv.b, sizeof ssv.b);
    for (i = 0; i < 5; i++) {
        assert_int_equal(mcx_sakke_prepare_due(k->pub, kit_id(k)), i == 2);
        assert_int_equal(mcx_sakke_seal(enc, k->pub, kit_id(k), &ssv),
                         MCX_OK);
        assert_memory_equal(enc, k->enc, 273);
        if (i == 2) {
            assert_int_equal(mcx_sakke_prepare(k->pub, kit_id(k)), MCX_OK);
            assert_int_equal(mcx_sakke_prepare(k->pub, kit_id(k)), MCX_OK);
        }
    }
    assert_false(mcx_sakke_prepare_due(k->pub, mcx_bytes(two, 1)));
    assert_int_equal(mcx_sakke_prepare(k->pub, mcx_bytes(NULL, 0)),
                     MCX_E_ARG);
}

static struct mcx_bytes
name(int *i)
{
    return mcx_bytes(i, sizeof *i);
}

static struct mcx_point_table *
fake(void)
{
    struct mcx_point_table *t = mcx_big_new(64);

    assert_non_null(t);
    return t;
}

static void
least_recently_used(void **state)
{
    struct mcx_peers *peers = mcx_peers_new();
    const struct mcx_point_table *lent;
    int i, first = 0, second = 1, more = MCX_PEERS_MAX, last = 1000;

    (void)state;
    assert_non_null(peers);
    assert_null(mcx_peers_take(peers, name(&first)));
    for (i = 0; i < MCX_PEERS_MAX; i++) {
        assert_int_equal(mcx_peers_put(peers, name(&i), fake()), MCX_OK);
    }
    lent = mcx_peers_take(peers, name(&second));
    assert_non_null(lent);
    mcx_peers_give(peers, lent); /* the second was used after all others */
    lent = mcx_peers_take(peers, name(&first));
    assert_non_null(lent);
    for (i = 0; i < 2 * MCX_PEERS_MAX; i++, more++) {
        assert_int_equal(mcx_peers_put(peers, name(&more), fake()), MCX_OK);
        assert_true(mcx_peers_has(peers, name(&first))); /* lent */
        /* the second outlives the 254 that were used before it */
        assert_int_equal(mcx_peers_has(peers, name(&second)),
                         i < MCX_PEERS_MAX - 2);
    }
    mcx_peers_give(peers, lent);
    assert_int_equal(mcx_peers_put(peers, name(&last), fake()), MCX_OK);
    assert_false(mcx_peers_has(peers, name(&first)));
    assert_int_equal(mcx_peers_put(peers, name(&last), fake()), MCX_OK);
    /* With every table lent there is no place for another. */
    for (i = 0; i < more + 1; i++) {
        (void)mcx_peers_take(peers, name(&i));
    }
    (void)mcx_peers_take(peers, name(&last));
    assert_int_equal(mcx_peers_put(peers, name(&second), fake()),
                     MCX_E_NOMEM);
    mcx_peers_free(peers);
    mcx_peers_free(NULL);
}

static int
open_kit(void **state)
{
    static struct kit k;

    kit_open(&k);
    *state = &k;
    return 0;
}

static int
close_kit(void **state)
{
    kit_close(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared),
        cmocka_unit_test(least_recently_used),
    };

    return cmocka_run_group_tests_name("peers", tests, open_kit, close_kit);
}
