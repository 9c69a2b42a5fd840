/* test_world.h -- for tests of core/mikey: a KMS of our own, four users with
 * keys of the present period, and short forms for building, opening and
 * refusing.  Include it after cmocka.h. */
#ifndef MCX_TEST_MIKEY_WORLD_H
#define MCX_TEST_MIKEY_WORLD_H

#include "test_env.h"

#define ALICE "sip:alice@mc.example.org"
#define BOB "sip:bob@mc.example.org"
#define PF "sip:pf@mc.example.org"
#define MALLORY "sip:mallory@mc.example.org"
#define KMS "kms.example.org"
#define KMS2 "kms.example.net"

enum { ROOM = 4096, PERIOD_S = 2592000 };
/* 2026-03-01T12:00:00Z, well inside a key period of 30 days. */
static const int64_t now_ms = INT64_C(1772366400000);

/* What all tests share: two KMSs of our own and keys of four users. */
static struct {
    struct test_env te;
    struct mcx_kms_master *master;
    struct mcx_kms_pub *pub;
    struct mcx_kms_info info;
    struct mcx_ring *ring;
    uint64_t no;
} w;

/* ---- making a world ---------------------------------------------------- */

static inline struct mcx_user_key *
issue(const char *uri, uint64_t no)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    struct mcx_uid uid;

    assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(KMS),
                             &w.info.period, no),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(w.master, mcx_bytes(uid.b, 32),
                                          &rsk, &ssk, pvt, &w.te.env),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, w.pub, mcx_bytes(uid.b, 32),
                                      &rsk, &ssk, pvt, NULL),
                     MCX_OK);
    return key;
}

static inline void
give(struct mcx_ring *ring, const char *uri, uint64_t no)
{
    struct mcx_user_key *key = issue(uri, no);

    assert_int_equal(mcx_ring_add_user(ring, uri, KMS, no, key), MCX_OK);
    mcx_user_key_free(key);
}

static inline struct mcx_ring *
ring_new(void)
{
    struct mcx_ring *ring = NULL;

    assert_int_equal(mcx_ring_new(&ring, &w.te.env), MCX_OK);
    assert_int_equal(mcx_ring_add_kms(ring, &w.info, w.pub), MCX_OK);
    return ring;
}

static inline int
world_up(void **state)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];

    (void)state;
    test_env_init(&w.te, now_ms);
    assert_int_equal(mcx_kms_master_new(&w.master, NULL, &w.te.env), MCX_OK);
    mcx_kms_master_public(z, kpak, w.master);
    assert_int_equal(mcx_kms_pub_new(&w.pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    memcpy(w.info.uri, KMS, sizeof KMS);
    w.info.period.length_s = PERIOD_S;
    assert_int_equal(mcx_period_no(&w.no, &w.info.period,
                                   now_ms / 1000 + MCX_NTP_UNIX_DIFF),
                     MCX_OK);
    w.ring = ring_new();
    give(w.ring, ALICE, w.no);
    give(w.ring, BOB, w.no);
    give(w.ring, PF, w.no);
    give(w.ring, MALLORY, w.no);
    return 0;
}

static inline int
world_down(void **state)
{
    (void)state;
    mcx_ring_free(w.ring);
    mcx_kms_pub_free(w.pub);
    mcx_kms_master_free(w.master);
    return 0;
}

static inline void
rewind_clock(void)
{
    w.te.now_ms = now_ms;
}

/* ---- short forms ------------------------------------------------------- */

static inline struct mcx_build
plan(unsigned kind, const char *from, const char *to)
{
    return (struct mcx_build){ .env = &w.te.env, .ring = w.ring,
                               .kind = kind, .from = from, .to = to };
}

static inline struct mcx_bytes
build(uint8_t buf[ROOM], const struct mcx_build *how, struct mcx_key_msg *km)
{
    struct mcx_why why = { 0 };
    size_t n = ROOM;
    mcx_err err = mcx_mikey_build(buf, &n, km, how, &why);

    if (err != MCX_OK) {
        print_error("build: %s, %s %s\n", mcx_err_name(err),
                    mcx_reason_word(why.reason), why.payload);
    }
    assert_int_equal(err, MCX_OK);
    return mcx_bytes(buf, n);
}

static inline struct mcx_open
rules(const char *self, const char *from)
{
    return (struct mcx_open){ .env = &w.te.env, .ring = w.ring,
                              .self = self, .from = from };
}

static inline mcx_err
open_it(struct mcx_key_msg *km, struct mcx_bytes b, const struct mcx_open *how,
        struct mcx_why *why)
{
    static struct mcx_mikey_msg m;
    mcx_err err = mcx_mikey_parse(&m, b, why);

    if (err == MCX_OK) {
        err = mcx_mikey_open(km, &m, how, why);
    }
    return err;
}

static inline void
opens(struct mcx_key_msg *km, struct mcx_bytes b, const struct mcx_open *how)
{
    struct mcx_why why = { 0 };
    mcx_err err = open_it(km, b, how, &why);

    if (err != MCX_OK) {
        print_error("open: %s, %s at %zu, %s\n", mcx_reason_word(why.reason),
                    why.payload, why.offset, why.clause);
    }
    assert_int_equal(err, MCX_OK);
}

static inline void
refuses(struct mcx_bytes b, const struct mcx_open *how, mcx_reason reason,
        const char *payload)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    struct mcx_why why = { 0 };
    mcx_err err;

    memset(&km, 0x55, sizeof km);
    err = open_it(&km, b, how, &why);
    if (why.reason != reason) {
        print_error("%s at %s %zu, wanted %s\n", mcx_reason_word(why.reason),
                    why.payload, why.offset, mcx_reason_word(reason));
    }
    assert_int_equal(err, mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, payload);
    assert_true(why.clause[0] != '\0');
    assert_true(why.offset <= b.n);
    if (reason == MCX_R_REVOKED) { /* it says which key */
        assert_memory_equal(&km.key, &zero.key, sizeof km.key);
    } else if (reason != MCX_R_NO_PERIOD_KEY) {
        assert_memory_equal(&km, &zero, sizeof km);
    }
}

/* The reason and what the signature was asked about, after a change under the
 * signature: 'signer' signs again. */
static inline void
resign(uint8_t *buf, size_t n, const char *signer)
{
    struct mcx_user_key *key = NULL;

    assert_int_equal(mcx_ring_user(w.ring, signer, w.no, &key), MCX_OK);
    assert_int_equal(mcx_eccsi_sign(buf + n - MCX_ECCSI_SIG_SIZE, key,
                                    mcx_bytes(buf, n - MCX_ECCSI_SIG_SIZE),
                                    &w.te.env),
                     MCX_OK);
    mcx_user_key_free(key);
}

static inline size_t
at_of(struct mcx_bytes b, unsigned type, size_t nth)
{
    static struct mcx_mikey_msg m;
    size_t i;

    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    for (i = 1; i < m.n_pl; i++) {
        if (m.pl[i].type == type && nth-- == 0) {
            return m.pl[i].at;
        }
    }
    fail();
    return 0;
}

#endif /* MCX_TEST_MIKEY_WORLD_H */
