/* test_due.c -- what a ring notes to be built in the background: peers sealed
 * to twice and own keys; each once, in bounds, and never more than noted. */
#include <config.h>
#include "ident/test_kit.h"
#include <sofia-mcx/mcx_mikey.h>
#include "keys/due.h"

static int calls;

static void
called(void *arg)
{
    ++*(int *)arg;
}

/* The first sealing does not pay, the second does, the third has it. */
static void
peers(void **state)
{
    struct kit *k = *state;
    uint8_t enc[MCX_SAKKE_ENC_SIZE], id[2] = { 7, 7 };
    struct mcx_ssv ssv = { { 1 } };
    struct mcx_ring *ring;
    int i;

    assert_int_equal(mcx_ring_new(&ring, mcx_env_system()), MCX_OK);
    calls = 0;
    mcx_ring_on_due(ring, called, &calls);
    assert_int_equal(calls, 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(mcx_sakke_seal(enc, k->pub, mcx_bytes(id, 2), &ssv),
                         MCX_OK);
        mcx_ring_sealed_to(ring, k->pub, mcx_bytes(id, 2));
        assert_int_equal(calls, i > 0); /* once, not again */
    }
    assert_true(mcx_ring_build_due(ring));
    assert_false(mcx_ring_build_due(ring));
    assert_true(mcx_peers_has(k->pub->peers, mcx_bytes(id, 2)));
    mcx_ring_sealed_to(ring, k->pub, mcx_bytes(id, 2));
    assert_int_equal(calls, 1);
    /* Noted and never built: the references go with the ring. */
    for (i = 0; i < 2 * MCX_DUE_MAX; i++) {
        id[0] = (uint8_t)(10 + i);
        assert_int_equal(mcx_sakke_seal(enc, k->pub, mcx_bytes(id, 2), &ssv),
                         MCX_OK);
        assert_int_equal(mcx_sakke_seal(enc, k->pub, mcx_bytes(id, 2), &ssv),
                         MCX_OK);
        mcx_ring_sealed_to(ring, k->pub, mcx_bytes(id, 2));
    }
    assert_int_equal(calls, 1 + MCX_DUE_MAX);
    mcx_ring_free(ring);
}

/* An own key that is there before anybody listens, one that comes and goes. */
static void
own_keys(void **state)
{
    struct kit *k = *state;
    struct mcx_user_key *key;
    struct mcx_ring *ring;

    assert_int_equal(mcx_user_key_new(&key, k->pub, kit_id(k), &k->rsk,
                                      &k->ssk, k->pvt, NULL), MCX_OK);
    assert_null(atomic_load(&key->made.lines));
    assert_int_equal(mcx_ring_new(&ring, mcx_env_system()), MCX_OK);
    assert_int_equal(mcx_ring_add_user(ring, "sip:a@b", "kms", 1, key),
                     MCX_OK);
    calls = 0;
    mcx_ring_on_due(ring, called, &calls);
    assert_int_equal(calls, 1);
    assert_true(mcx_ring_build_due(ring));
    assert_non_null(atomic_load(&key->made.lines));
    assert_non_null(atomic_load(&key->made.point));
    assert_int_equal(mcx_user_key_prepare(key), MCX_OK);
    assert_false(mcx_ring_build_due(ring));
    /* Dropped before it was built: nothing keeps it. */
    assert_int_equal(mcx_ring_add_user(ring, "sip:a@b", "kms", 3, key),
                     MCX_OK);
    assert_int_equal(calls, 2);
    assert_int_equal(atomic_load(&key->refs), 4);
    mcx_ring_drop_user(ring, "sip:a@b", "kms", 3);
    assert_int_equal(atomic_load(&key->refs), 2);
    assert_false(mcx_ring_build_due(ring));
    mcx_ring_on_due(ring, NULL, NULL);
    assert_int_equal(mcx_ring_add_user(ring, "sip:a@b", "kms", 2, key),
                     MCX_OK);
    assert_int_equal(calls, 2);
    mcx_ring_free(ring);
    mcx_user_key_free(key);
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
        cmocka_unit_test(peers),
        cmocka_unit_test(own_keys),
    };

    return cmocka_run_group_tests_name("due", tests, open_kit, close_kit);
}
