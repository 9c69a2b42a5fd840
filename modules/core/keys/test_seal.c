/* test_seal.c -- sealing: the published vector of XAES-256-GCM, every octet
 * changed, another row's AAD, another key; scrypt of RFC 7914; the MAC tells
 * its parts apart.  Then the seam: a back-end that refuses, and what is told
 * to it; keys that come back. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>

static void
hex_is(const uint8_t *p, size_t n, const char *want)
{
    char text[512];

    assert_int_equal(mcx_hex_encode(text, sizeof text, mcx_bytes(p, n)),
                     MCX_OK);
    assert_string_equal(text, want);
}

/* C2SP XAES-256-GCM, test vectors 1 and 2. */
static void
test_xaes(void **state)
{
    const uint8_t *nonce = (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWX";
    struct mcx_bytes plain = mcx_bytes_str("XAES-256-GCM");
    uint8_t out[64], back[16];
    struct mcx_seal_key key;
    struct mcx_sealer *s;

    (void)state;
    memset(&key, 1, sizeof key);
    assert_int_equal(mcx_sealer_new(&s, &key), MCX_OK);
    assert_int_equal(mcx_seal(out, s, NULL, nonce, mcx_bytes("", 0), plain),
                     MCX_OK);
    hex_is(out + 24, 28,
           "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    assert_int_equal(mcx_unseal(back, s, mcx_bytes("", 0),
                                mcx_bytes(out, 52)), MCX_OK);
    assert_memory_equal(back, plain.p, plain.n);
    mcx_sealer_free(s);
    memset(&key, 3, sizeof key);
    assert_int_equal(mcx_sealer_new(&s, &key), MCX_OK);
    assert_int_equal(mcx_seal(out, s, NULL, nonce,
                              mcx_bytes_str("c2sp.org/XAES-256-GCM"), plain),
                     MCX_OK);
    hex_is(out + 24, 28,
           "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    mcx_sealer_free(s);
}

static void
test_refused(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    static const uint8_t zero[100];
    uint8_t plain[100], out[140], back[100];
    struct mcx_bytes aad = mcx_bytes_str("row 1");
    struct mcx_seal_key key = { { 9 } };
    struct mcx_sealer *s, *other;
    size_t i;

    (void)state;
    memset(plain, 'p', sizeof plain);
    assert_int_equal(mcx_sealer_new(&s, &key), MCX_OK);
    key.b[31] ^= 1;
    assert_int_equal(mcx_sealer_new(&other, &key), MCX_OK);
    assert_int_equal(mcx_seal(out, s, env, NULL, aad, mcx_bytes(plain, 100)),
                     MCX_OK);
    for (i = 0; i < sizeof out; i++) {
        out[i] ^= 4;
        assert_int_equal(mcx_unseal(back, s, aad, mcx_bytes(out, 140)),
                         MCX_E_AUTH);
        assert_memory_equal(back, zero, sizeof back);
        out[i] ^= 4;
    }
    for (i = 0; i < sizeof out; i++) {
        assert_int_equal(mcx_unseal(back, s, aad, mcx_bytes(out, i)),
                         MCX_E_AUTH);
    }
    assert_int_equal(mcx_unseal(back, s, mcx_bytes_str("row 2"),
                                mcx_bytes(out, 140)), MCX_E_AUTH);
    assert_int_equal(mcx_unseal(back, other, aad, mcx_bytes(out, 140)),
                     MCX_E_AUTH);
    assert_int_equal(mcx_unseal(back, s, aad, mcx_bytes(out, 140)), MCX_OK);
    assert_memory_equal(back, plain, sizeof plain);
    mcx_sealer_free(s);
    mcx_sealer_free(other);
}

/* RFC 7914 12, the third vector, its first 32 octets. */
static void
test_scrypt(void **state)
{
    struct mcx_seal_key key;

    (void)state;
    assert_int_equal(mcx_seal_scrypt(&key,
                                     mcx_bytes_str("pleaseletmein"),
                                     mcx_bytes_str("SodiumChloride"), 14, 8,
                                     1), MCX_OK);
    hex_is(key.b, 32,
           "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
    assert_int_equal(mcx_seal_scrypt(&key, mcx_bytes("", 0),
                                     mcx_bytes_str("salt"), 14, 8, 1),
                     MCX_E_ARG);
}

static void
test_mac(void **state)
{
    struct mcx_bytes one[2] = { mcx_bytes_str("ab"), mcx_bytes_str("c") };
    struct mcx_bytes two[2] = { mcx_bytes_str("a"), mcx_bytes_str("bc") };
    struct mcx_seal_key key = { { 1 } };
    uint8_t a[32], b[32];

    (void)state;
    assert_int_equal(mcx_seal_mac(a, &key, one, 2), MCX_OK);
    assert_int_equal(mcx_seal_mac(b, &key, two, 2), MCX_OK);
    assert_memory_not_equal(a, b, 32);
    key.b[0] = 2;
    assert_int_equal(mcx_seal_mac(b, &key, one, 2), MCX_OK);
    assert_memory_not_equal(a, b, 32);
}

/* ---- the seam ---------------------------------------------------------- */

static struct fake {
    mcx_err answer;
    int staged, together;
    char told[256];
    struct mcx_key_record rec;
} fake;
static int64_t now_ms;

static int64_t
fake_ms(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static mcx_err
fake_stage(void *ctx, const struct mcx_key_record *rec,
           struct mcx_key_slot *slot)
{
    (void)ctx;
    assert_int_equal(slot->row, 0);
    if (fake.answer == MCX_OK) {
        fake.rec = *rec;
        slot->row = ++fake.staged;
    }
    return fake.answer;
}

static void
fake_changed(void *ctx, struct mcx_key_slot *const *slots, size_t n)
{
    size_t i, at = strlen(fake.told);

    (void)ctx;
    fake.together = (int)n;
    for (i = 0; i < n; i++) {
        (void)snprintf(fake.told + at, sizeof fake.told - at, "%lld %s%s%s,",
                       (long long)slots[i]->row,
                       mcx_key_state_word(slots[i]->state),
                       slots[i]->end ? " " : "",
                       mcx_key_end_word(slots[i]->end));
        at = strlen(fake.told);
        if (slots[i]->state == MCX_KEY_RETIRED) {
            assert_int_equal(slots[i]->wipe_unix_ms,
                             now_ms + MCX_KEY_GRACE_MS);
        }
    }
}

static mcx_err
fake_sync(void *ctx)
{
    (void)ctx;
    return MCX_E_IO;
}

static const struct mcx_keys_backing backing = {
    .size = sizeof backing,
    .stage = fake_stage,
    .changed = fake_changed,
    .sync = fake_sync,
};

static void
told(const char *want)
{
    assert_string_equal(fake.told, want);
    fake.told[0] = '\0';
}

static struct mcx_keys *
keys_new(void)
{
    static struct mcx_env env;
    struct mcx_keys *keys;

    env = *mcx_env_system();
    env.unix_ms = env.mono_ms = fake_ms;
    env.log = NULL;
    memset(&fake, 0, sizeof fake);
    assert_int_equal(mcx_keys_new(&keys, &env, 100), MCX_OK);
    return keys;
}

static mcx_err
stage(struct mcx_keys *keys, uint32_t id, int64_t expiry_s,
      struct mcx_key **out)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner = { .impu = "sip:u@mcx.test",
                                   .mc_id = "sip:m@mcx.test" };

    memset(&km.key, (int)(id & 0xff), sizeof km.key);
    km.kind = MCX_KIND_CSK;
    km.key_id = km.csb_id = id;
    km.params.present = expiry_s != 0;
    km.params.status = 1;
    km.params.expiry_unix = expiry_s;
    (void)snprintf(km.initiator, sizeof km.initiator, "sip:m@mcx.test");
    km.rand_n = 16;
    km.sp.key_size = 16;
    return mcx_keys_stage(keys, &km, &owner, out, NULL);
}

static void
test_seam(void **state)
{
    struct mcx_keys *keys = keys_new();
    struct mcx_key *a, *b, *c;
    struct mcx_key_info info;

    (void)state;
    now_ms = 5000000;
    assert_int_equal(mcx_keys_sync(keys), MCX_OK);
    assert_int_equal(mcx_keys_attach(keys, &backing), MCX_OK);
    assert_int_equal(mcx_keys_attach(keys, &backing), MCX_E_STATE);
    assert_int_equal(mcx_keys_sync(keys), MCX_E_IO);
    assert_int_equal(stage(keys, 0x20000001, 0, &a), MCX_OK);
    assert_int_equal(fake.rec.key_id, 0x20000001);
    assert_string_equal(fake.rec.owner.impu, "sip:u@mcx.test");
    told("");
    assert_int_equal(mcx_key_commit(a), MCX_OK);
    told("1 active,");
    assert_int_equal(stage(keys, 0x20000002, 6000, &b), MCX_OK);
    assert_int_equal(mcx_key_commit(b), MCX_OK);
    assert_int_equal(fake.together, 2);
    told("2 active,1 retired,");
    now_ms += MCX_KEY_GRACE_MS;
    (void)mcx_keys_sweep(keys);
    told("1 wiped replaced,");
    /* What cannot be kept is not taken. */
    fake.answer = MCX_E_IO;
    assert_int_equal(stage(keys, 0x20000003, 0, &c), MCX_E_IO);
    assert_null(c);
    assert_int_equal(mcx_keys_count(keys), 1);
    fake.answer = MCX_E_EXPIRED;
    assert_int_equal(stage(keys, 0x20000003, 0, &c), MCX_E_EXPIRED);
    fake.told[0] = '\0';
    fake.answer = MCX_OK;
    now_ms = 6000000;
    (void)mcx_keys_sweep(keys);
    told("2 wiped expired,");
    mcx_key_info(&info, b);
    assert_int_equal(info.end, MCX_END_EXPIRED);
    assert_int_equal(mcx_keys_count(keys), 0);
    mcx_key_unref(a);
    mcx_key_unref(b);
    assert_int_equal(stage(keys, 0x20000004, 0, &a), MCX_OK);
    assert_int_equal(mcx_keys_revoke(keys, MCX_KIND_CSK, 0x20000004), 1);
    told("3 wiped revoked,");
    mcx_key_unref(a);
    /* What is wiped by the end of the program stays where it is kept. */
    assert_int_equal(stage(keys, 0x20000005, 0, &a), MCX_OK);
    mcx_key_unref(a);
    mcx_keys_free(keys);
    told("");
}

static void
test_restore(void **state)
{
    struct mcx_key_record rec = { .kind = MCX_KIND_CSK,
                                  .key_id = 0x20000001,
                                  .state = MCX_KEY_ACTIVE };
    static const struct mcx_ssv zero;
    struct mcx_keys *keys = keys_new();
    struct mcx_key *k;

    (void)state;
    now_ms = 1000000;
    memset(&rec.key, 5, sizeof rec.key);
    rec.sp.key_size = 16;
    assert_int_equal(mcx_keys_restore(keys, &rec, 7), MCX_E_STATE);
    assert_memory_equal(&rec.key, &zero, sizeof zero);
    assert_int_equal(mcx_keys_attach(keys, &backing), MCX_OK);
    assert_int_equal(mcx_keys_restore(keys, &rec, 7), MCX_OK);
    k = mcx_keys_current(keys, MCX_KIND_CSK, "", "");
    assert_non_null(k);
    told("");
    mcx_key_drop(k);
    told("7 wiped dropped,");
    mcx_key_unref(k);
    rec.state = MCX_KEY_RETIRED;
    rec.wipe_unix_ms = now_ms;
    assert_int_equal(mcx_keys_restore(keys, &rec, 8), MCX_E_EXPIRED);
    rec.wipe_unix_ms = INT64_MAX / 2; /* a clock that stepped back */
    assert_int_equal(mcx_keys_restore(keys, &rec, 8), MCX_OK);
    assert_int_equal(mcx_keys_sweep(keys), MCX_KEY_GRACE_MS);
    rec.state = MCX_KEY_STAGED;
    rec.expiry_unix_ms = now_ms;
    assert_int_equal(mcx_keys_restore(keys, &rec, 9), MCX_E_EXPIRED);
    rec.state = MCX_KEY_WIPED;
    assert_int_equal(mcx_keys_restore(keys, &rec, 9), MCX_E_ARG);
    mcx_keys_free(keys);
}

/* A key that waits for its activation is kept as active, and waits again
 * after a restart; one whose time came while nobody was there takes the place
 * of the one before. */
static void
test_restore_waiting(void **state)
{
    struct mcx_keys *keys = keys_new();
    MCX_SECRET(mcx_key_record, rec);
    struct mcx_key_info info;
    struct mcx_key *k;
    uint32_t id;

    (void)state;
    now_ms = 1000000;
    rec.kind = MCX_KIND_CSK;
    rec.sp.key_size = 16;
    rec.state = MCX_KEY_ACTIVE;
    assert_int_equal(mcx_keys_attach(keys, &backing), MCX_OK);
    for (id = 0; id < 3; id++) {
        rec.key_id = 0x20000000 + id;
        rec.activation_unix_ms = now_ms + ((int64_t)id - 1) * 500;
        memset(&rec.key, 5 + (int)id, sizeof rec.key);
        assert_int_equal(mcx_keys_restore(keys, &rec, id + 1), MCX_OK);
    }
    k = mcx_keys_current(keys, MCX_KIND_CSK, "", "");
    assert_non_null(k);
    mcx_key_info(&info, k);
    assert_int_equal(info.key_id, 0x20000001);
    mcx_key_unref(k);
    assert_int_equal(mcx_keys_sweep(keys), 500);
    now_ms += 500;
    k = mcx_keys_current(keys, MCX_KIND_CSK, "", "");
    mcx_key_info(&info, k);
    assert_int_equal(info.key_id, 0x20000002);
    mcx_key_unref(k);
    told("3 active,2 retired,");
    mcx_keys_free(keys);
}

static mcx_err replay_answer;

static mcx_err
keep(void *ctx, const uint8_t digest[32], int64_t expires_ms)
{
    ++*(int *)ctx;
    assert_int_equal(digest[0], 'd');
    assert_int_equal(expires_ms, 2000);
    return replay_answer;
}

static void
test_replay_seam(void **state)
{
    int calls = 0;
    struct mcx_replay_backing back = { sizeof back, &calls, keep };
    struct mcx_replay *r;
    uint8_t d[32] = "d";

    (void)state;
    assert_int_equal(mcx_replay_new(&r, 100), MCX_OK);
    mcx_replay_attach(r, &back);
    replay_answer = MCX_E_IO;
    assert_int_equal(mcx_replay_enter(r, d, 1000, 2000, false, false),
                     MCX_E_IO);
    assert_int_equal(mcx_replay_count(r), 0);
    replay_answer = MCX_OK;
    assert_int_equal(mcx_replay_enter(r, d, 1000, 2000, false, true), MCX_OK);
    assert_int_equal(mcx_replay_enter(r, d, 1000, 2000, true, false), MCX_OK);
    assert_int_equal(calls, 2); /* not again when it is resumed */
    assert_int_equal(mcx_replay_enter(r, d, 1000, 2000, false, false),
                     MCX_E_REPLAY);
    assert_int_equal(calls, 2);
    mcx_replay_attach(r, NULL);
    mcx_replay_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xaes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_scrypt),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_seam),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_waiting),
        cmocka_unit_test(test_replay_seam),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
