/* test_life.c -- the store, the ring and the replay cache at their edges:
 * keys that wait, expire or are wiped while they are written; a back-end that
 * comes and goes; a store that was closed; what must be refused. */
#include <config.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>

static int64_t now_ms;
static struct mcx_env env;
static char told[512];

static int64_t
stepped(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static void
listener(void *arg, const struct mcx_key_info *info)
{
    size_t at = strlen(told);

    (void)arg;
    (void)snprintf(told + at, sizeof told - at, "%x %s%s%s,",
                   (unsigned)info->key_id & 0xff,
                   mcx_key_state_word(info->state),
                   info->end ? " " : "", mcx_key_end_word(info->end));
}

static void
were_told(const char *want)
{
    assert_string_equal(told, want);
    told[0] = '\0';
}

static struct mcx_keys *
keys_new(size_t max)
{
    struct mcx_keys *keys = NULL;

    env = *mcx_env_system();
    env.unix_ms = env.mono_ms = stepped;
    env.log = NULL;
    now_ms = 1000000;
    told[0] = '\0';
    assert_int_equal(mcx_keys_new(&keys, &env, max), MCX_OK);
    mcx_keys_listen(keys, listener, NULL);
    return keys;
}

/* A message with times in seconds; 0 as in key parameters. */
static void
message(struct mcx_key_msg *km, unsigned kind, unsigned low, int64_t from_s,
        int64_t to_s)
{
    memset(km, 0, sizeof *km);
    memset(km->key.b, (int)low, sizeof km->key.b);
    km->kind = kind;
    km->key_id = km->csb_id = (uint32_t)kind << 28 | low;
    km->prf = MCX_PRF_HMAC_SHA256;
    km->t_unix_ms = now_ms;
    km->rand_n = 16;
    km->sp.encr_alg = 6;
    km->sp.key_size = 16;
    km->sp.salt_size = 12;
    km->sp.tag_size = 16;
    km->params.present = true;
    km->params.status = 1;
    km->params.activation_unix = from_s;
    km->params.expiry_unix = to_s;
}

static struct mcx_key *
stage(struct mcx_keys *keys, unsigned low, int64_t from_s, int64_t to_s,
      const char *impu, const char *mc_id)
{
    MCX_SECRET(mcx_key_msg, km);
    static struct mcx_key_owner owner;
    struct mcx_key *key = NULL;

    message(&km, MCX_KIND_CSK, low, from_s, to_s);
    (void)snprintf(owner.impu, sizeof owner.impu, "%s", impu);
    (void)snprintf(owner.mc_id, sizeof owner.mc_id, "%s", mc_id);
    assert_int_equal(mcx_keys_stage(keys, &km, &owner, &key, NULL), MCX_OK);
    were_told(low == 1 ? "1 staged," : low == 2 ? "2 staged,"
                                                : "3 staged,");
    return key;
}

/* ---- times ------------------------------------------------------------- */

/* Those that wait become active in the order of their times, not in that of
 * their coming. */
static void
waiting(void **state)
{
    struct mcx_keys *keys = keys_new(8);
    struct mcx_key *k[3];
    size_t i;

    (void)state;
    k[0] = stage(keys, 1, 1020, 0, "sip:a@t", "");
    k[1] = stage(keys, 2, 1030, 0, "sip:b@t", "");
    k[2] = stage(keys, 3, 1010, 0, "sip:c@t", "");
    for (i = 0; i < 3; i++) {
        assert_int_equal(mcx_key_commit(k[i]), MCX_OK);
    }
    were_told("");
    assert_int_equal(mcx_keys_sweep(keys), 10000);
    now_ms = 1030000; /* nobody looked meanwhile */
    (void)mcx_keys_sweep(keys);
    were_told("3 active,1 active,2 active,");
    for (i = 0; i < 3; i++) {
        mcx_key_unref(k[i]);
    }
    mcx_keys_free(keys);
}

/* Keys that expire at different times, one that never does. */
static void
expiring(void **state)
{
    struct mcx_keys *keys = keys_new(8);
    struct mcx_key *k[3];
    struct mcx_key_info info;
    size_t i;

    (void)state;
    k[0] = stage(keys, 1, 0, 0, "sip:a@t", "");
    k[1] = stage(keys, 2, 0, 1100, "sip:b@t", "");
    assert_int_equal(mcx_keys_sweep(keys), 100000);
    k[2] = stage(keys, 3, 0, 1010, "sip:c@t", ""); /* earlier than that */
    assert_int_equal(mcx_keys_sweep(keys), 10000);
    now_ms = 1010000;
    assert_int_equal(mcx_keys_sweep(keys), 90000);
    were_told("3 wiped expired,");
    now_ms = 1100000;
    assert_int_equal(mcx_keys_sweep(keys), -1);
    were_told("2 wiped expired,");
    mcx_key_info(&info, k[0]);
    assert_int_equal(info.state, MCX_KEY_STAGED);
    assert_int_equal(mcx_keys_count(keys), 1);
    for (i = 0; i < 3; i++) {
        mcx_key_unref(k[i]);
    }
    mcx_keys_free(keys);
}

/* Of one ID, bound to several, those of one owner go. */
static void
wiped_of_one_owner(void **state)
{
    static const struct mcx_key_owner owner = { .impu = "sip:a@t",
                                                .mc_id = "sip:m@t" };
    struct mcx_keys *keys = keys_new(8);
    struct mcx_key *a = stage(keys, 1, 0, 0, "sip:a@t", "sip:m@t");
    struct mcx_key *b = stage(keys, 1, 0, 0, "sip:a@t", "sip:n@t");
    struct mcx_key *c = stage(keys, 1, 0, 0, "sip:b@t", "sip:m@t");

    (void)state;
    assert_int_equal(mcx_keys_wipe(keys, MCX_KIND_CSK, 0x20000001, &owner,
                                   MCX_END_REVOKED), 1);
    were_told("1 wiped revoked,");
    assert_int_equal(mcx_keys_count(keys), 2);
    assert_int_equal(mcx_keys_wipe(keys, MCX_KIND_CSK, 0x20000001, &owner,
                                   MCX_END_REVOKED), 0);
    assert_int_equal(mcx_keys_wipe(keys, MCX_KIND_CSK, 0x20000001, NULL,
                                   MCX_END_DROPPED), 2);
    mcx_key_unref(a);
    mcx_key_unref(b);
    mcx_key_unref(c);
    mcx_keys_free(keys);
    assert_string_equal(mcx_key_end_word((enum mcx_key_end)99), "?");
}

/* ---- a back-end -------------------------------------------------------- */

static int changes;
static bool revoked_meanwhile;
static struct mcx_keys *the_keys;

static mcx_err
back_stage(void *ctx, const struct mcx_key_record *rec,
           struct mcx_key_slot *slot)
{
    (void)ctx;
    slot->row = 1;
    if (revoked_meanwhile) {
        assert_int_equal(mcx_keys_revoke(the_keys, rec->kind, rec->key_id),
                         1);
        changes = 0; /* that was told while the row was not there */
    }
    return MCX_OK;
}

static void
back_changed(void *ctx, struct mcx_key_slot *const *slots, size_t n)
{
    (void)ctx;
    assert_int_equal(n, 1);
    if (revoked_meanwhile) {
        assert_int_equal(slots[0]->state, MCX_KEY_WIPED);
        assert_int_equal(slots[0]->end, MCX_END_REVOKED);
    }
    changes++;
}

static mcx_err
back_sync(void *ctx)
{
    (void)ctx;
    return MCX_E_IO;
}

static void
back_end(void **state)
{
    static struct mcx_keys_backing back = { sizeof back, NULL, back_stage,
                                            back_changed, back_sync };
    struct mcx_keys *keys = the_keys = keys_new(8);
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key *k = NULL;
    struct mcx_key_info info;

    (void)state;
    assert_int_equal(mcx_keys_attach(NULL, &back), MCX_E_ARG);
    assert_int_equal(mcx_keys_attach(keys, NULL), MCX_E_ARG);
    back.size--; /* an older header's */
    assert_int_equal(mcx_keys_attach(keys, &back), MCX_E_ARG);
    back.size++;
    assert_int_equal(mcx_keys_attach(keys, &back), MCX_OK);
    /* Revoked while it was being written: told again once it is. */
    revoked_meanwhile = true;
    message(&km, MCX_KIND_CSK, 1, 0, 0);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
    assert_int_equal(changes, 1);
    mcx_key_info(&info, k);
    assert_int_equal(info.state, MCX_KEY_WIPED);
    assert_int_equal(mcx_key_commit(k), MCX_E_STATE);
    mcx_key_unref(k);
    revoked_meanwhile = false;
    told[0] = '\0';
    /* After it was taken away nothing is told, and the keys stay. */
    k = stage(keys, 2, 0, 0, "sip:a@t", "");
    mcx_keys_detach(keys);
    changes = 0;
    assert_int_equal(mcx_key_commit(k), MCX_OK);
    assert_int_equal(changes, 0);
    assert_int_equal(mcx_keys_sync(keys), MCX_OK);
    assert_int_equal(mcx_keys_count(keys), 1);
    mcx_key_unref(k);
    mcx_keys_free(keys);
}

/* A key outlives its store: the store takes nothing more. */
static void
closed(void **state)
{
    struct mcx_keys *keys = keys_new(8);
    struct mcx_key *k = stage(keys, 1, 0, 0, "sip:a@t", ""), *none = NULL;
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_tek tek;

    (void)state;
    mcx_keys_free(keys);
    were_told("1 wiped dropped,");
    message(&km, MCX_KIND_CSK, 2, 0, 0);
    assert_int_equal(mcx_keys_stage(keys, &km, NULL, &none, NULL),
                     MCX_E_STATE);
    assert_null(none);
    assert_int_equal(mcx_key_tek(&tek, k, 6), MCX_E_STATE);
    mcx_key_unref(k);
}

/* ---- what is refused --------------------------------------------------- */

/* Sizes that no policy of ours has, and group IDs without an end. */
static void
refused_messages(void **state)
{
    struct mcx_keys *keys = keys_new(8);
    struct mcx_key *k = NULL, *out[MCX_GROUPS_MAX];
    MCX_SECRET(mcx_key_msg, km);
    static const struct mcx_tek zero;
    struct mcx_tek tek;
    size_t i, n = 9;

    (void)state;
    for (i = 0; i < 3; i++) {
        message(&km, MCX_KIND_CSK, 1, 0, 0);
        km.sp.key_size = i == 0 ? 0 : i == 1 ? MCX_TEK_MAX + 1 : 16;
        km.sp.salt_size = i == 2 ? MCX_SALT_MAX + 1 : 12;
        assert_int_equal(mcx_keys_stage(keys, &km, NULL, &k, NULL), MCX_OK);
        memset(&tek, 0x55, sizeof tek);
        assert_int_equal(mcx_key_tek(&tek, k, 6), MCX_E_UNSUPPORTED);
        assert_memory_equal(&tek, &zero, sizeof tek);
        mcx_key_drop(k);
        mcx_key_unref(k);
    }
    message(&km, MCX_KIND_GMK, 1, 0, 0);
    km.params.n_groups = 3;
    for (i = 0; i < 3; i++) {
        memset(km.params.group[i], 'g', sizeof km.params.group[i]);
    }
    km.params.group[0][9] = km.params.group[2][9] = '\0';
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, NULL, out, &n,
                                          NULL), MCX_E_ARG);
    assert_int_equal(n, 0);
    assert_int_equal(mcx_keys_count(keys), 0);
    assert_int_equal(km.key.b[0], 1); /* the caller still has it */
    km.params.group[1][9] = '\0';
    km.params.group[1][0] = 'h';
    km.params.group[2][0] = 'i';
    assert_int_equal(mcx_keys_stage_group(keys, &km, NULL, NULL, out, &n,
                                          NULL), MCX_OK);
    assert_int_equal(n, 3);
    for (i = 0; i < n; i++) {
        mcx_key_unref(out[i]);
    }
    mcx_keys_free(keys);
}

/* Octets that OpenSSL counts with an int, and scrypt's appetite. */
static void
refused_seals(void **state)
{
    struct mcx_seal_key key = { { 9 } };
    struct mcx_bytes huge = mcx_bytes("", (size_t)INT_MAX + 1);
    struct mcx_bytes some = mcx_bytes("some", 4);
    struct mcx_sealer *s = NULL;
    static const struct mcx_seal_key zero;
    uint8_t out[64];

    (void)state;
    assert_int_equal(mcx_sealer_new(&s, &key), MCX_OK);
    assert_int_equal(mcx_seal(out, s, mcx_env_system(), NULL, some, huge),
                     MCX_E_ARG);
    assert_int_equal(mcx_seal(out, s, mcx_env_system(), NULL, huge, some),
                     MCX_E_ARG);
    assert_int_equal(mcx_unseal(out, s, some, huge), MCX_E_ARG);
    assert_int_equal(mcx_seal(out, s, mcx_env_system(), NULL, some, some),
                     MCX_OK);
    assert_int_equal(mcx_unseal(out, s, huge, mcx_bytes(out, 44)),
                     MCX_E_ARG);
    mcx_sealer_free(s);
    /* 16 GB. */
    assert_int_equal(mcx_seal_scrypt(&key, some, some, 24, 8, 1),
                     MCX_E_NOMEM);
    assert_memory_equal(&key, &zero, sizeof key);
}

/* ---- the ring and the replay cache ------------------------------------- */

static mcx_err
no_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    (void)out;
    (void)n;
    return MCX_E_IO;
}

static void
ring_edges(void **state)
{
    static char endless[MCX_URI_MAX + 1];
    struct mcx_kms_info info;
    struct mcx_ring *ring = NULL;
    size_t n_kms = 9, n_users = 9;

    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    env = *mcx_env_system();
    env.random = no_random;
    assert_int_equal(mcx_ring_new(&ring, &env), MCX_E_IO);
    assert_null(ring);
    assert_int_equal(mcx_ring_new(&ring, mcx_env_system()), MCX_OK);
    assert_int_equal(mcx_ring_allowed(ring), 0);
    mcx_ring_allow(ring, MCX_PEER_MONTHLY_TEL);
    assert_int_equal(mcx_ring_allowed(ring), MCX_PEER_MONTHLY_TEL);
    mcx_ring_allow(ring, 0);
    assert_int_equal(mcx_ring_allowed(ring), 0);
    mcx_ring_drop_user(NULL, "sip:a@t", "kms", 1);
    mcx_ring_drop_user(ring, "", "kms", 1);
    mcx_ring_drop_user(ring, "sip:a@t", endless, 1);
    mcx_ring_drop_user(ring, "sip:a@t", "kms", 1);
    mcx_ring_count(ring, &n_kms, &n_users);
    assert_int_equal(n_kms + n_users, 0);
    assert_int_equal(mcx_ring_kms(NULL, mcx_bytes_str("kms"), &info, NULL),
                     MCX_E_NO_IDENTITY);
    assert_int_equal(mcx_ring_kms(ring, mcx_bytes("k\0s", 3), &info, NULL),
                     MCX_E_NO_IDENTITY);
    mcx_ring_free(ring);
}

/* After a restart that let entries go, and with a clock that went back: what
 * would have been among them counts as seen. */
static void
forgotten(void **state)
{
    static const uint8_t digest[4][32] = { "a", "b", "c", "d" };
    struct mcx_replay *r = NULL;

    (void)state;
    assert_int_equal(mcx_replay_new(&r, 8), MCX_OK);
    mcx_replay_forgot(r, 5000);
    mcx_replay_forgot(r, 3000); /* an earlier one changes nothing */
    assert_int_equal(mcx_replay_enter(r, digest[0], 4000, 5000, false,
                                      false), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_enter(r, digest[1], 4000, 4500, false,
                                      false), MCX_E_REPLAY);
    assert_int_equal(mcx_replay_count(r), 0);
    assert_int_equal(mcx_replay_enter(r, digest[2], 4000, 5001, false,
                                      false), MCX_OK);
    assert_int_equal(mcx_replay_count(r), 1);
    mcx_replay_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting),
        cmocka_unit_test(expiring),
        cmocka_unit_test(wiped_of_one_owner),
        cmocka_unit_test(back_end),
        cmocka_unit_test(closed),
        cmocka_unit_test(refused_messages),
        cmocka_unit_test(refused_seals),
        cmocka_unit_test(ring_edges),
        cmocka_unit_test(forgotten),
    };

    return cmocka_run_group_tests_name("keys-life", tests, NULL, NULL);
}
