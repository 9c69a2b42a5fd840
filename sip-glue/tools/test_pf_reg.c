/* test_pf_reg.c -- the table of bindings: contacts, keys, limits, expiry. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "pf_reg.h"

#define ALICE "sip:alice@ims.test"
#define ALICE_MC "sip:alice@mcx.test"
#define BOB "sip:bob@ims.test"

static struct pf_reg *
make(size_t max)
{
    struct pf_reg *reg;

    assert_int_equal(pf_reg_new(&reg, mcx_env_system(), max), MCX_OK);
    return reg;
}

static void
contacts(void **state)
{
    struct pf_reg *reg = make(10);
    const struct pf_binding *b;
    char uri[32];
    unsigned i;

    (void)state;
    assert_int_equal(pf_reg_put(reg, ALICE, "sip:a@1", "c", 5, 100), MCX_OK);
    assert_int_equal(pf_reg_put(reg, ALICE, "sip:a@1", "c", 4, 900),
                     MCX_E_STATE); /* an older request */
    b = pf_reg_by_impu(reg, ALICE);
    assert_non_null(b);
    assert_int_equal(b->n_contacts, 1);
    assert_int_equal(b->contact[0].expires_ms, 100);
    assert_int_equal(pf_reg_put(reg, ALICE, "sip:a@1", "d", 1, 200), MCX_OK);
    assert_int_equal(b->contact[0].expires_ms, 200);
    for (i = 2; i < 8; i++) {
        (void)snprintf(uri, sizeof uri, "sip:a@%u", i);
        assert_int_equal(pf_reg_put(reg, ALICE, uri, "c", i, 300), MCX_OK);
    }
    assert_int_equal(b->n_contacts, PF_CONTACTS_MAX);
    assert_string_equal(b->contact[0].uri, "sip:a@7"); /* the newest */
    assert_false(pf_reg_remove(reg, ALICE, "sip:a@7"));
    assert_string_equal(b->contact[0].uri, "sip:a@6");
    assert_true(pf_reg_remove(reg, ALICE, NULL));
    assert_null(pf_reg_by_impu(reg, ALICE));
    assert_true(pf_reg_remove(reg, ALICE, "sip:a@1"));
    assert_int_equal(pf_reg_count(reg), 0);
    pf_reg_free(reg);
}

static void
keys(void **state)
{
    struct pf_reg *reg = make(10);
    const struct pf_binding *b;

    (void)state;
    assert_int_equal(pf_reg_bind(reg, ALICE, ALICE_MC, 1), MCX_OK);
    assert_null(pf_reg_by_mc_id(reg, ALICE));
    b = pf_reg_by_mc_id(reg, ALICE_MC);
    assert_non_null(b);
    assert_int_equal(b->n_contacts, 0);
    assert_int_equal(pf_reg_put(reg, ALICE, "sip:a@1", "c", 1, 100), MCX_OK);
    assert_ptr_equal(pf_reg_by_impu(reg, ALICE), b);
    /* A new key; the end of the old one changes nothing. */
    assert_int_equal(pf_reg_bind(reg, ALICE, ALICE_MC, 2), MCX_OK);
    assert_false(pf_reg_unbind(reg, ALICE, 1));
    assert_int_equal(pf_reg_by_mc_id(reg, ALICE_MC)->key_id, 2);
    assert_false(pf_reg_unbind(reg, BOB, 2));
    assert_true(pf_reg_unbind(reg, ALICE, 2));
    assert_null(pf_reg_by_mc_id(reg, ALICE_MC));
    assert_non_null(pf_reg_by_impu(reg, ALICE));
    /* Two identities with one MC ID: the later is found, then the other. */
    assert_int_equal(pf_reg_bind(reg, ALICE, ALICE_MC, 3), MCX_OK);
    assert_int_equal(pf_reg_bind(reg, BOB, ALICE_MC, 4), MCX_OK);
    assert_string_equal(pf_reg_by_mc_id(reg, ALICE_MC)->impu, BOB);
    assert_true(pf_reg_unbind(reg, BOB, 4));
    assert_string_equal(pf_reg_by_mc_id(reg, ALICE_MC)->impu, ALICE);
    pf_reg_free(reg);
}

static char gone_text[256];

static void
gone(void *arg, const char *impu)
{
    (void)arg;
    (void)snprintf(gone_text + strlen(gone_text),
                   sizeof gone_text - strlen(gone_text), "%s;", impu);
}

static void
count_one(void *arg, const struct pf_binding *b)
{
    size_t *n = arg;

    assert_non_null(b->impu);
    (*n)++;
}

static void
limits(void **state)
{
    struct pf_reg *reg = make(1000);
    char impu[32], mc_id[32];
    size_t n = 0;
    uint32_t i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        (void)snprintf(impu, sizeof impu, "sip:u%u@x", i);
        (void)snprintf(mc_id, sizeof mc_id, "sip:m%u@x", i);
        assert_int_equal(pf_reg_put(reg, impu, "sip:c", "c", 1,
                                    i < 999 ? 500 : 700), MCX_OK);
        assert_int_equal(pf_reg_bind(reg, impu, mc_id, i), MCX_OK);
    }
    assert_int_equal(pf_reg_put(reg, BOB, "sip:c", "c", 1, 500), MCX_E_BUSY);
    assert_int_equal(pf_reg_bind(reg, BOB, ALICE_MC, 1), MCX_E_BUSY);
    for (i = 0; i < 1000; i++) {
        (void)snprintf(mc_id, sizeof mc_id, "sip:m%u@x", i);
        assert_int_equal(pf_reg_by_mc_id(reg, mc_id)->key_id, i);
        (void)snprintf(impu, sizeof impu, "sip:u%u@x", i);
        if (i != 7 && i != 999) {
            assert_true(pf_reg_unbind(reg, impu, i));
        }
    }
    pf_reg_expire(reg, 499, gone, NULL);
    assert_string_equal(gone_text, "");
    assert_int_equal(pf_reg_count(reg), 1000);
    pf_reg_expire(reg, 500, gone, NULL);
    assert_non_null(strstr(gone_text, "sip:u"));
    /* One still has a key, one a contact. */
    assert_int_equal(pf_reg_count(reg), 2);
    pf_reg_each(reg, count_one, &n);
    assert_int_equal(n, 2);
    assert_int_equal(pf_reg_by_impu(reg, "sip:u7@x")->n_contacts, 0);
    assert_int_equal(pf_reg_by_impu(reg, "sip:u999@x")->n_contacts, 1);
    pf_reg_free(reg);
}

/* A key of before a restart waits for its contact, and not for ever. */
static void
awaited(void **state)
{
    struct pf_reg *reg = make(10);

    (void)state;
    gone_text[0] = '\0';
    assert_int_equal(pf_reg_bind(reg, ALICE, ALICE_MC, 1), MCX_OK);
    assert_int_equal(pf_reg_bind(reg, BOB, "sip:bob.mc@x", 2), MCX_OK);
    pf_reg_await(reg, ALICE, 500);
    pf_reg_await(reg, BOB, 500);
    pf_reg_await(reg, "sip:nobody@x", 500);
    assert_int_equal(pf_reg_put(reg, BOB, "sip:c", "c", 1, 900), MCX_OK);
    pf_reg_await(reg, BOB, 500); /* has come already */
    pf_reg_expire(reg, 499, gone, NULL);
    assert_string_equal(gone_text, "");
    pf_reg_expire(reg, 500, gone, NULL);
    assert_string_equal(gone_text, ALICE ";");
    pf_reg_expire(reg, 501, gone, NULL); /* once */
    assert_string_equal(gone_text, ALICE ";");
    pf_reg_expire(reg, 900, gone, NULL);
    assert_string_equal(gone_text, ALICE ";" BOB ";");
    pf_reg_free(reg);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contacts),
        cmocka_unit_test(keys),
        cmocka_unit_test(limits),
        cmocka_unit_test(awaited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
