/* test_ring.c -- the key ring, with stand-ins for the reference-counted
 * objects of core/ident, so that every reference is counted and KMS keys can
 * be told apart by one octet. */
#include <config.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_mikey.h>

/* ---- stand-ins --------------------------------------------------------- */

struct mcx_kms_pub {
    atomic_int refs;
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
};
struct mcx_user_key {
    atomic_int refs;
};
static atomic_int alive;

static struct mcx_kms_pub *
pub_make(int z, int kpak)
{
    struct mcx_kms_pub *p = calloc(1, sizeof *p);

    assert_non_null(p);
    atomic_init(&p->refs, 1);
    atomic_fetch_add(&alive, 1);
    p->z[MCX_SAKKE_PT_SIZE - 1] = (uint8_t)z;
    p->kpak[MCX_ECCSI_PT_SIZE - 1] = (uint8_t)kpak;
    return p;
}

struct mcx_kms_pub *
mcx_kms_pub_ref(struct mcx_kms_pub *pub)
{
    atomic_fetch_add(&pub->refs, 1);
    return pub;
}

void
mcx_kms_pub_free(struct mcx_kms_pub *pub)
{
    if (pub && atomic_fetch_sub(&pub->refs, 1) == 1) {
        atomic_fetch_sub(&alive, 1);
        free(pub);
    }
}

const uint8_t *
mcx_kms_pub_z(const struct mcx_kms_pub *pub)
{
    return pub->z;
}

const uint8_t *
mcx_kms_pub_kpak(const struct mcx_kms_pub *pub)
{
    return pub->kpak;
}

static struct mcx_user_key *
key_make(void)
{
    struct mcx_user_key *k = calloc(1, sizeof *k);

    assert_non_null(k);
    atomic_init(&k->refs, 1);
    atomic_fetch_add(&alive, 1);
    return k;
}

mcx_err
mcx_user_key_prepare(const struct mcx_user_key *key)
{
    (void)key;
    return MCX_OK;
}

mcx_err
mcx_sakke_prepare(struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    (void)pub;
    (void)id;
    return MCX_OK;
}

bool
mcx_sakke_prepare_due(const struct mcx_kms_pub *pub, struct mcx_bytes id)
{
    (void)pub;
    (void)id;
    return false;
}

struct mcx_user_key *
mcx_user_key_ref(struct mcx_user_key *key)
{
    atomic_fetch_add(&key->refs, 1);
    return key;
}

void
mcx_user_key_free(struct mcx_user_key *key)
{
    if (key && atomic_fetch_sub(&key->refs, 1) == 1) {
        atomic_fetch_sub(&alive, 1);
        free(key);
    }
}

/* ---- helpers ----------------------------------------------------------- */

static struct mcx_ring *
make(void)
{
    struct mcx_ring *r = NULL;

    assert_int_equal(mcx_ring_new(&r, mcx_env_system()), MCX_OK);
    return r;
}

/* Adds a KMS whose two keys end in 'z' and 'kpak', with one domain. */
static void
add_kms(struct mcx_ring *r, const char *uri, int z, int kpak, uint64_t period,
        const char *domain)
{
    static struct mcx_kms_info info;
    struct mcx_kms_pub *pub = pub_make(z, kpak);

    memset(&info, 0, sizeof info);
    (void)snprintf(info.uri, sizeof info.uri, "%s", uri);
    info.period.length_s = period;
    if (domain) {
        info.n_domains = 1;
        (void)snprintf(info.domain[0], sizeof info.domain[0], "%s", domain);
    }
    assert_int_equal(mcx_ring_add_kms(r, &info, pub), MCX_OK);
    mcx_kms_pub_free(pub);
}

/* Adds a user key; the pointer stays good as long as the ring has it. */
static struct mcx_user_key *
add_user(struct mcx_ring *r, const char *uri, const char *kms, uint64_t no)
{
    struct mcx_user_key *k = key_make();

    assert_int_equal(mcx_ring_add_user(r, uri, kms, no, k), MCX_OK);
    mcx_user_key_free(k);
    return k;
}

static void
expect_user(struct mcx_ring *r, const char *uri, uint64_t no,
            const struct mcx_user_key *want)
{
    struct mcx_user_key *k = NULL;

    assert_int_equal(mcx_ring_user(r, uri, no, &k), MCX_OK);
    assert_ptr_equal(k, want);
    mcx_user_key_free(k);
}

static mcx_err
user_err(struct mcx_ring *r, const char *uri, uint64_t no)
{
    struct mcx_user_key *k = (struct mcx_user_key *)1;
    mcx_err err = mcx_ring_user(r, uri, no, &k);

    assert_true(err != MCX_OK);
    assert_null(k);
    return err;
}

/* The KMS of 'uri' is 'want'; NULL: there is none. */
static void
expect_kms_of(struct mcx_ring *r, const char *uri, const char *want)
{
    static struct mcx_kms_info info;
    struct mcx_kms_pub *pub = NULL;
    mcx_err err = mcx_ring_kms_of(r, uri, &info, &pub);

    if (!want) {
        assert_int_equal(err, MCX_E_NO_IDENTITY);
        assert_null(pub);
        return;
    }
    assert_int_equal(err, MCX_OK);
    assert_string_equal(info.uri, want);
    assert_non_null(pub);
    mcx_kms_pub_free(pub);
    assert_int_equal(mcx_ring_kms_of(r, uri, &info, NULL), MCX_OK);
}

static void
expect_counts(struct mcx_ring *r, size_t kms, size_t users)
{
    size_t a = 99, b = 99;

    mcx_ring_count(r, &a, &b);
    assert_int_equal(a, kms);
    assert_int_equal(b, users);
}

static void
done(struct mcx_ring *r)
{
    mcx_ring_free(r);
    assert_int_equal(atomic_load(&alive), 0);
}

/* ---- tests ------------------------------------------------------------- */

static void
test_empty(void **state)
{
    struct mcx_ring *r = NULL;
    struct mcx_kms_info *info = calloc(1, sizeof *info);

    (void)state;
    assert_int_equal(mcx_ring_new(&r, NULL), MCX_E_ARG);
    assert_null(r);
    r = make();
    expect_counts(r, 0, 0);
    assert_false(mcx_ring_has_user(r, "sip:alice@mcx.test"));
    assert_false(mcx_ring_has_user(r, NULL));
    assert_false(mcx_ring_has_user(r, ""));
    assert_int_equal(user_err(r, "sip:alice@mcx.test", 1),
                     MCX_E_NO_IDENTITY);
    assert_int_equal(user_err(r, NULL, 1), MCX_E_NO_IDENTITY);
    expect_kms_of(r, "sip:alice@mcx.test", NULL);
    expect_kms_of(r, NULL, NULL);
    assert_int_equal(mcx_ring_kms(r, mcx_bytes_str("kms"), info, NULL),
                     MCX_E_NO_IDENTITY);
    free(info);
    mcx_ring_free(NULL);
    done(r);
}

static void
test_arguments(void **state)
{
    struct mcx_ring *r = make();
    struct mcx_kms_info *info = calloc(1, sizeof *info);
    struct mcx_kms_pub *pub = pub_make(1, 1);
    struct mcx_user_key *key = key_make();
    char longer[MCX_URI_MAX + 2];

    (void)state;
    assert_non_null(info);
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    info->period.length_s = 1;
    assert_int_equal(mcx_ring_add_kms(r, info, pub), MCX_E_ARG); /* no URI */
    memset(info->uri, 'k', sizeof info->uri); /* no end */
    assert_int_equal(mcx_ring_add_kms(r, info, pub), MCX_E_ARG);
    info->uri[3] = '\0';
    info->period.length_s = 0;
    assert_int_equal(mcx_ring_add_kms(r, info, pub), MCX_E_ARG);
    info->period.length_s = 1;
    info->n_domains = MCX_GROUPS_MAX + 1;
    assert_int_equal(mcx_ring_add_kms(r, info, pub), MCX_E_ARG);
    info->n_domains = 1; /* an empty one */
    assert_int_equal(mcx_ring_add_kms(r, info, pub), MCX_E_ARG);
    info->n_domains = 0;
    assert_int_equal(mcx_ring_add_kms(r, info, NULL), MCX_E_ARG);
    assert_int_equal(mcx_ring_add_user(r, "", "kms", 1, key), MCX_E_ARG);
    assert_int_equal(mcx_ring_add_user(r, NULL, "kms", 1, key), MCX_E_ARG);
    assert_int_equal(mcx_ring_add_user(r, "a", "", 1, key), MCX_E_ARG);
    assert_int_equal(mcx_ring_add_user(r, "a", "kms", 1, NULL), MCX_E_ARG);
    assert_int_equal(mcx_ring_add_user(r, longer, "kms", 1, key), MCX_E_ARG);
    expect_counts(r, 0, 0);
    mcx_kms_pub_free(pub);
    mcx_user_key_free(key);
    free(info);
    done(r);
}

static void
test_users(void **state)
{
    struct mcx_ring *r = make();
    struct mcx_user_key *a1, *a2, *held = NULL;

    (void)state;
    a1 = add_user(r, "sip:alice@mcx.test", "kms.a", 1);
    a2 = add_user(r, "sip:alice@mcx.test", "kms.a", 2);
    (void)add_user(r, "sip:bob@mcx.test", "kms.a", 1);
    expect_counts(r, 0, 3);
    assert_true(mcx_ring_has_user(r, "sip:alice@mcx.test"));
    assert_false(mcx_ring_has_user(r, "sip:alice@mcx.tes"));
    assert_false(mcx_ring_has_user(r, "sip:Alice@mcx.test")); /* verbatim */
    expect_user(r, "sip:alice@mcx.test", 1, a1);
    expect_user(r, "sip:alice@mcx.test", 2, a2);
    assert_int_equal(user_err(r, "sip:alice@mcx.test", 3), MCX_E_NO_PERIOD);
    assert_int_equal(user_err(r, "sip:bob@mcx.test", 2), MCX_E_NO_PERIOD);
    assert_int_equal(user_err(r, "sip:carol@mcx.test", 1),
                     MCX_E_NO_IDENTITY);
    /* Replaced: the old one lives as long as somebody holds it. */
    assert_int_equal(mcx_ring_user(r, "sip:alice@mcx.test", 1, &held),
                     MCX_OK);
    assert_ptr_equal(held, a1);
    a2 = add_user(r, "sip:alice@mcx.test", "kms.a", 1);
    expect_counts(r, 0, 3);
    expect_user(r, "sip:alice@mcx.test", 1, a2);
    assert_int_equal(atomic_load(&held->refs), 1);
    mcx_user_key_free(held);
    done(r);
}

static void
test_kms_of(void **state)
{
    struct mcx_ring *r = make();

    (void)state;
    add_kms(r, "kms.b", 1, 1, 60, "B.test");
    /* The only one there is serves everybody. */
    expect_kms_of(r, "sip:any@where.test", "kms.b");
    add_kms(r, "kms.a", 2, 2, 60, "a.test");
    add_kms(r, "kms.c", 3, 3, 60, "[2001:db8::1]");
    expect_counts(r, 3, 0);
    expect_kms_of(r, "sip:any@where.test", NULL);
    expect_kms_of(r, "sip:x@a.test", "kms.a");
    expect_kms_of(r, "sip:x@A.TEST", "kms.a");
    expect_kms_of(r, "sip:x@b.test:5060;user=phone", "kms.b");
    expect_kms_of(r, "sips:b.test", "kms.b");
    expect_kms_of(r, "https://b.test/x", "kms.b");
    expect_kms_of(r, "sip:x@[2001:db8::1]:5060", "kms.c");
    expect_kms_of(r, "sip:x@[2001:db8::1", NULL);
    expect_kms_of(r, "sip:x@sub.a.test", NULL);
    expect_kms_of(r, "sip:x@a.test.evil", NULL);
    expect_kms_of(r, "sip:a.test@evil.test", NULL);
    expect_kms_of(r, "sip:@", NULL);
    expect_kms_of(r, "sip:x@b.test;y@a.test", NULL);
    expect_kms_of(r, "tel:a.test", NULL);
    expect_kms_of(r, "a.test", NULL);
    /* Own keys come before domains. */
    (void)add_user(r, "sip:x@a.test", "kms.c", 1);
    expect_kms_of(r, "sip:x@a.test", "kms.c");
    expect_kms_of(r, "sip:y@a.test", "kms.a");
    /* Unless nothing is known of the KMS that issued them. */
    (void)add_user(r, "sip:y@a.test", "kms.unknown", 1);
    expect_kms_of(r, "sip:y@a.test", "kms.a");
    done(r);
}

/* Adds a KMS with monthly keys. */
static void
add_monthly(struct mcx_ring *r, const char *uri, int z)
{
    static struct mcx_kms_info info;
    struct mcx_kms_pub *pub = pub_make(z, z);

    memset(&info, 0, sizeof info);
    (void)snprintf(info.uri, sizeof info.uri, "%s", uri);
    info.period.length_s = 1;
    info.monthly_tel = true;
    info.n_domains = 1;
    memcpy(info.domain[0], "a.test", 7);
    assert_int_equal(mcx_ring_add_kms(r, &info, pub), MCX_OK);
    mcx_kms_pub_free(pub);
    memset(&info, 0, sizeof info);
    assert_int_equal(mcx_ring_kms(r, mcx_bytes_str(uri), &info, NULL),
                     MCX_OK);
    assert_true(info.period.months); /* the ring says so, whoever asks */
}

/* Monthly keys are of tel URIs, and a tel URI has them when anybody does. */
static void
test_monthly(void **state)
{
    struct mcx_ring *r = make();

    (void)state;
    add_monthly(r, "kms.m", 1);
    expect_kms_of(r, "tel:+4412", "kms.m");
    expect_kms_of(r, "sip:x@a.test", NULL);
    add_kms(r, "kms.h", 2, 2, 60, NULL);
    expect_kms_of(r, "tel:+4412", "kms.m");
    expect_kms_of(r, "sip:x@a.test", "kms.h");
    expect_kms_of(r, "sip:x@b.test", "kms.h");
    (void)add_user(r, "tel:+4413", "kms.h", 1); /* told otherwise */
    expect_kms_of(r, "tel:+4413", "kms.h");
    add_kms(r, "kms.i", 3, 3, 60, NULL);
    expect_kms_of(r, "sip:x@b.test", NULL);
    expect_kms_of(r, "TEL:+4412", "kms.m");
    add_monthly(r, "kms.n", 4);
    expect_kms_of(r, "tel:+4412", NULL);
    /* What is let in. */
    assert_int_equal(mcx_ring_allowed_kms(r, "kms.m"), 0);
    assert_int_equal(mcx_ring_allow_kms(r, "kms.m", 4), MCX_OK);
    assert_int_equal(mcx_ring_allow_kms(r, "kms.m", 8), MCX_OK);
    assert_int_equal(mcx_ring_allowed_kms(r, "kms.m"), 12);
    assert_int_equal(mcx_ring_allowed_kms(r, "kms.M"), 0);
    mcx_ring_allow(r, 1);
    assert_int_equal(mcx_ring_allowed_kms(r, "kms.m"), 13);
    assert_int_equal(mcx_ring_allowed_kms(r, "kms.n"), 1);
    assert_int_equal(mcx_ring_allowed(r), 1);
    assert_int_equal(mcx_ring_allow_kms(r, "", 1), MCX_E_ARG);
    assert_int_equal(mcx_ring_allow_kms(NULL, "kms.m", 1), MCX_E_ARG);
    done(r);
}

static void
test_kms_by_uri(void **state)
{
    static struct mcx_kms_info info;
    struct mcx_ring *r = make();
    struct mcx_kms_pub *pub = NULL;
    char name[16];
    int i;

    (void)state;
    for (i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "kms.%d", i * 7 % 40);
        add_kms(r, name, i * 7 % 40, 0, 60, NULL);
    }
    expect_counts(r, 40, 0);
    for (i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "kms.%d", i);
        assert_int_equal(mcx_ring_kms(r, mcx_bytes_str(name), &info, &pub),
                         MCX_OK);
        assert_string_equal(info.uri, name);
        assert_int_equal(mcx_kms_pub_z(pub)[MCX_SAKKE_PT_SIZE - 1], i);
        mcx_kms_pub_free(pub);
    }
    for (i = 0; i < 6; i++) {
        static const struct { const char *s; size_t n; } bad[] = {
            { "kms", 3 },     { "kms.40", 6 },   { "KMS.1", 5 },
            { "kms.1\0", 6 }, { "", 0 },         { "kms.1 ", 6 },
        };

        assert_int_equal(mcx_ring_kms(r, mcx_bytes(bad[i].s, bad[i].n),
                                      &info, &pub),
                         MCX_E_NO_IDENTITY);
        assert_null(pub);
    }
    /* A view into a longer text is enough. */
    assert_int_equal(mcx_ring_kms(r, mcx_bytes("kms.12345", 6), NULL, NULL),
                     MCX_OK);
    done(r);
}

static void
test_kms_replaced(void **state)
{
    struct mcx_ring *r = make();
    struct mcx_user_key *held = NULL;
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        add_kms(r, "kms.a", 1, 1, 60, NULL);
        add_kms(r, "kms.b", 9, 9, 60, NULL);
        (void)add_user(r, "sip:x@t", "kms.a", 1);
        (void)add_user(r, "sip:x@t", "kms.a", 2);
        (void)add_user(r, "sip:y@t", "kms.b", 1);
        expect_counts(r, 2, 3);
        assert_int_equal(mcx_ring_user(r, "sip:x@t", 1, &held), MCX_OK);
        /* The same keys, another domain: user keys stay. */
        add_kms(r, "kms.a", 1, 1, 60, "t");
        expect_counts(r, 2, 3);
        /* Another Z, another KPAK, another period. */
        add_kms(r, "kms.a", i == 0 ? 2 : 1, i == 1 ? 2 : 1, i == 2 ? 61 : 60,
                NULL);
        expect_counts(r, 2, 1);
        assert_int_equal(user_err(r, "sip:x@t", 1), MCX_E_NO_IDENTITY);
        assert_true(mcx_ring_has_user(r, "sip:y@t"));
        assert_int_equal(atomic_load(&held->refs), 1);
        mcx_user_key_free(held);
    }
    done(r);
}

/* Period numbers belong to a KMS: keys of two are never mixed. */
static void
test_two_kms(void **state)
{
    struct mcx_ring *r = make();
    struct mcx_user_key *b7;

    (void)state;
    add_kms(r, "kms.a", 1, 1, 60, NULL);
    add_kms(r, "kms.b", 2, 2, 90, NULL);
    (void)add_user(r, "sip:x@t", "kms.a", 5);
    b7 = add_user(r, "sip:x@t", "kms.b", 7);
    expect_kms_of(r, "sip:x@t", "kms.b");
    expect_user(r, "sip:x@t", 7, b7);
    assert_int_equal(user_err(r, "sip:x@t", 5), MCX_E_NO_PERIOD);
    done(r);
}

static void
count_each(void *arg, const char *uri, const char *kms_uri, uint64_t no)
{
    uint64_t *sum = arg;

    assert_string_equal(kms_uri, "kms.a");
    assert_int_equal(strncmp(uri, "sip:u", 5), 0);
    *sum += no;
}

static void
test_many(void **state)
{
    enum { N = 20000 };
    struct mcx_ring *r = make();
    uint64_t sum = 0;
    char uri[32];
    uint64_t i;

    (void)state;
    for (i = 0; i < N; i++) {
        (void)snprintf(uri, sizeof uri, "sip:u%d@t", (int)(i / 2));
        (void)add_user(r, uri, "kms.a", i);
    }
    expect_counts(r, 0, N);
    for (i = 0; i < N; i++) {
        struct mcx_user_key *k = NULL;

        (void)snprintf(uri, sizeof uri, "sip:u%d@t", (int)(i / 2));
        assert_int_equal(mcx_ring_user(r, uri, i, &k), MCX_OK);
        mcx_user_key_free(k);
    }
    mcx_ring_each(r, count_each, &sum);
    assert_int_equal(sum, (uint64_t)N * (N - 1) / 2);
    done(r);
}

/* ---- threads ----------------------------------------------------------- */

static struct mcx_ring *shared;

static void *
reader(void *arg)
{
    struct mcx_kms_info *info = calloc(1, sizeof *info);
    int i;

    (void)arg;
    for (i = 0; i < 3000; i++) {
        struct mcx_user_key *k = NULL;
        struct mcx_kms_pub *pub = NULL;
        mcx_err err = mcx_ring_user(shared, "sip:x@t", 1, &k);

        mcx_user_key_free(err == MCX_OK ? k : NULL);
        err = mcx_ring_kms_of(shared, "sip:x@t", info, &pub);
        mcx_kms_pub_free(err == MCX_OK ? pub : NULL);
    }
    free(info);
    return NULL;
}

static void
test_threads(void **state)
{
    pthread_t t[3];
    int i;

    (void)state;
    shared = make();
    for (i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, reader, NULL), 0);
    }
    for (i = 0; i < 300; i++) {
        struct mcx_kms_info info = { .uri = "kms.a",
                                     .period = { .length_s = 1 } };
        struct mcx_kms_pub *pub = pub_make(i & 1, 0);

        assert_int_equal(mcx_ring_add_kms(shared, &info, pub), MCX_OK);
        mcx_kms_pub_free(pub);
        (void)add_user(shared, "sip:x@t", "kms.a", 1);
    }
    for (i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    done(shared);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_users),        cmocka_unit_test(test_kms_of),
        cmocka_unit_test(test_monthly),
        cmocka_unit_test(test_kms_by_uri),   cmocka_unit_test(test_many),
        cmocka_unit_test(test_kms_replaced), cmocka_unit_test(test_two_kms),
        cmocka_unit_test(test_threads),
    };

    mcx_log_level(MCX_AREA_KEYS, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
