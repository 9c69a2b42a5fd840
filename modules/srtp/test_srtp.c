/* test_srtp.c -- module srtp through its own function table: the hand-over
 * vectors octet for octet, and every way in which a packet must not pass. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "srtp.h"
#include "vec.h"

#define FILE_NAME "srtp-handover-computed"
enum { N_VECTORS = 5, ROOM = 512, PLAIN = 32 };

extern const struct mcx_module mcx_module_srtp;
static const struct mcx_srtp_api *api;

static int
setup(void **state)
{
    static struct mcx_text text;
    void *inst = NULL;

    (void)state;
    if (mcx_module_srtp.start(&inst, NULL, &text) != MCX_OK) {
        return -1;
    }
    api = mcx_module_srtp.feature(inst, "srtp.session");
    return api ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    mcx_module_srtp.stop(NULL);
    return 0;
}

static const char *
path(unsigned i, const char *name)
{
    static char text[64];

    snprintf(text, sizeof text, "vectors[%u].%s", i, name);
    return text;
}

static void
vector_policy(struct mcx_srtp_policy *p, unsigned i)
{
    char *suite = vec_text(FILE_NAME, path(i, "suite"));

    memset(p, 0, sizeof *p);
    p->suite = MCX_SUITE_AEAD_AES_128_GCM;
    if (strcmp(suite, "gcm128") != 0) {
        p->suite = MCX_SUITE_AES_CM_128_HMAC_SHA1_80;
    }
    free(suite);
    p->tag_size = p->suite == MCX_SUITE_AEAD_AES_128_GCM ? 16 : 10;
    p->key_size = (uint8_t)vec_hex(FILE_NAME, path(i, "master_key"), p->key,
                                   sizeof p->key);
    p->salt_size = (uint8_t)vec_hex(FILE_NAME, path(i, "master_salt"),
                                    p->salt, sizeof p->salt);
    p->mki_size = (uint8_t)vec_hex(FILE_NAME, path(i, "mki"), p->mki,
                                   sizeof p->mki);
}

/* A policy of our own; 'no' makes key, salt and MKI differ. */
static struct mcx_srtp_policy
own_policy(enum mcx_suite suite, uint8_t mki_size, uint8_t no)
{
    struct mcx_srtp_policy p = { .suite = suite, .mki_size = mki_size };

    p.key_size = 16;
    p.salt_size = suite == MCX_SUITE_AEAD_AES_128_GCM ? 12 : 14;
    p.tag_size = suite == MCX_SUITE_AEAD_AES_128_GCM ? 16 : 10;
    memset(p.key, 0x40 + no, p.key_size);
    memset(p.salt, 0x80 + no, p.salt_size);
    memset(p.mki, no, mki_size);
    return p;
}

static size_t
make_rtp(uint8_t *buf, uint32_t ssrc, uint16_t seq)
{
    memset(buf, 0, PLAIN);
    buf[0] = 0x80;
    buf[2] = (uint8_t)(seq >> 8);
    buf[3] = (uint8_t)seq;
    buf[8] = (uint8_t)(ssrc >> 24);
    buf[9] = (uint8_t)(ssrc >> 16);
    buf[10] = (uint8_t)(ssrc >> 8);
    buf[11] = (uint8_t)ssrc;
    memset(buf + 12, seq & 0xff, PLAIN - 12);
    return PLAIN;
}

static size_t
make_rtcp(uint8_t *buf, uint32_t ssrc)
{
    memset(buf, 7, PLAIN);
    buf[0] = 0x81;
    buf[1] = 0xc8;
    buf[2] = 0;
    buf[3] = PLAIN / 4 - 1;
    buf[4] = (uint8_t)(ssrc >> 24);
    buf[5] = (uint8_t)(ssrc >> 16);
    buf[6] = (uint8_t)(ssrc >> 8);
    buf[7] = (uint8_t)ssrc;
    return PLAIN;
}

/* Protects packet 'seq'; returns its size. */
static size_t
sent(struct mcx_srtp *s, uint8_t *buf, uint32_t ssrc, uint16_t seq)
{
    size_t n = make_rtp(buf, ssrc, seq);

    assert_int_equal(api->protect(s, buf, &n, ROOM, false), MCX_OK);
    return n;
}

/* Unprotects a copy and, on success, compares with the plain packet. */
static mcx_err
got(struct mcx_srtp *s, const uint8_t *buf, size_t n, uint32_t ssrc,
    uint16_t seq)
{
    uint8_t copy[ROOM], plain[PLAIN];
    mcx_err err;

    memcpy(copy, buf, n);
    err = api->unprotect(s, copy, &n, false);
    if (err == MCX_OK) {
        assert_int_equal(n, make_rtp(plain, ssrc, seq));
        assert_memory_equal(copy, plain, PLAIN);
    }
    return err;
}

static void
pair(struct mcx_srtp **tx, struct mcx_srtp **rx,
     const struct mcx_srtp_policy *p)
{
    assert_int_equal(api->open(tx, p, false, 0), MCX_OK);
    assert_int_equal(api->open(rx, p, true, 0), MCX_OK);
}

/* ---- vectors ----------------------------------------------------------- */

static void
vectors(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_VECTORS; i++) {
        struct mcx_srtp_policy p;
        struct mcx_srtp *tx, *rx;
        uint8_t buf[ROOM], plain[ROOM], want[ROOM], roc[4];
        size_t n, n_plain, n_want;
        uint32_t ssrc = 0xcafe0001u;

        vector_policy(&p, i);
        assert_int_equal(vec_hex(FILE_NAME, path(i, "roc"), roc, 4), 4);
        assert_int_equal(api->open(&tx, &p, false, ssrc), MCX_OK);
        assert_int_equal(api->open(&rx, &p, true, ssrc), MCX_OK);
        if (roc[3]) {
            assert_int_equal(mcx_srtp_roc(tx, ssrc, roc[3]), MCX_OK);
            assert_int_equal(mcx_srtp_roc(rx, ssrc, roc[3]), MCX_OK);
        }
        n = n_plain = vec_hex(FILE_NAME, path(i, "rtp_plain"), plain, ROOM);
        memcpy(buf, plain, n);
        n_want = vec_hex(FILE_NAME, path(i, "rtp_protected"), want, ROOM);
        assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_OK);
        assert_int_equal(n, n_want);
        assert_memory_equal(buf, want, n);
        assert_int_equal(api->unprotect(rx, buf, &n, false), MCX_OK);
        assert_int_equal(n, n_plain);
        assert_memory_equal(buf, plain, n);

        n = n_plain = vec_hex(FILE_NAME, path(i, "rtcp_plain"), plain, ROOM);
        memcpy(buf, plain, n);
        n_want
            = vec_hex(FILE_NAME, path(i, "rtcp_protected_first"), want, ROOM);
        assert_int_equal(api->protect(tx, buf, &n, ROOM, true), MCX_OK);
        assert_int_equal(n, n_want);
        assert_memory_equal(buf, want, n);
        assert_int_equal(api->unprotect(rx, buf, &n, true), MCX_OK);
        assert_int_equal(n, n_plain);
        assert_memory_equal(buf, plain, n);
        api->close(tx);
        api->close(rx);
    }
}

/* ---- refusals ---------------------------------------------------------- */

/* Every octet of a protected packet changed: none passes, and the true one
 * still does afterwards.  The MKI tells NO_KEY from AUTH. */
static void
tampered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_VECTORS; i++) {
        struct mcx_srtp_policy p;
        struct mcx_srtp *tx, *rx;

        vector_policy(&p, i);
        pair(&tx, &rx, &p);
        for (int rtcp = 0; rtcp < 2; rtcp++) {
            uint8_t good[ROOM], bad[ROOM];
            size_t n = rtcp ? make_rtcp(good, 0x01020304)
                            : make_rtp(good, 0x01020304, 9);
            size_t behind = p.tag_size == 10 ? 10 : 0, m;

            assert_int_equal(api->protect(tx, good, &n, ROOM, rtcp), MCX_OK);
            for (size_t at = 0; at < n; at++) {
                bool mki = at >= n - behind - p.mki_size && at < n - behind;
                mcx_err err;

                memcpy(bad, good, n);
                bad[at] ^= 0x40;
                m = n;
                err = api->unprotect(rx, bad, &m, rtcp);
                assert_int_not_equal(err, MCX_OK);
                assert_int_equal(m, n);
                if (mki) {
                    assert_int_equal(err, MCX_E_NO_KEY);
                } else if (at > 12 && at < n - behind - p.mki_size
                           && !(rtcp && at >= n - behind - p.mki_size - 20)) {
                    assert_int_equal(err, MCX_E_AUTH);
                }
            }
            for (m = 0; m < n; m++) { /* cut at every octet */
                size_t cut = m;
                memcpy(bad, good, n);
                assert_int_not_equal(api->unprotect(rx, bad, &cut, rtcp),
                                     MCX_OK);
            }
            m = n;
            memcpy(bad, good, n);
            assert_int_equal(api->unprotect(rx, bad, &m, rtcp), MCX_OK);
            m = n;
            memcpy(bad, good, n);
            assert_int_equal(api->unprotect(rx, bad, &m, rtcp), MCX_E_REPLAY);
        }
        api->close(tx);
        api->close(rx);
    }
}

static void
unfit_policies(void **state)
{
    struct mcx_srtp_policy good = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 1);
    struct mcx_srtp_policy p;
    struct mcx_srtp *s;

    (void)state;
#define BAD(change)                                                           \
    do {                                                                      \
        p = good;                                                             \
        change;                                                               \
        s = (struct mcx_srtp *)&p;                                            \
        assert_int_equal(api->open(&s, &p, true, 0), MCX_E_UNSUPPORTED);      \
        assert_null(s);                                                       \
    } while (0)
    BAD(p.suite = MCX_SUITE_NONE);
    BAD(p.suite = MCX_SUITE_AES_CM_128_HMAC_SHA1_80); /* salt is GCM's */
    BAD(p.key_size = 32);
    BAD(p.salt_size = 14);
    BAD(p.tag_size = 8);
    BAD(p.mki_size = 1);
    BAD(p.mki_size = 5);
    good = own_policy(MCX_SUITE_AES_CM_128_HMAC_SHA1_80, 4, 1);
    BAD(p.rcc_mode3 = true);
#undef BAD
}

static void
limits(void **state)
{
    struct mcx_srtp_policy p = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 1);
    struct mcx_srtp *tx, *rx;
    uint8_t buf[ROOM];
    static uint8_t big[2 * MCX_SRTP_PACKET_MAX];
    size_t n;

    (void)state;
    pair(&tx, &rx, &p);
    n = make_rtp(buf, 1, 1);
    assert_int_equal(
        api->protect(tx, buf, &n, n + MCX_SRTP_TRAILER - 1, false),
        MCX_E_TOOBIG);
    assert_int_equal(n, PLAIN);
    for (size_t i = 0; i < 12; i++) {
        n = i;
        assert_int_equal(api->protect(tx, buf, &n, ROOM, false),
                         MCX_E_MALFORMED);
    }
    make_rtp(buf, 1, 1);
    buf[0] = 0x40; /* version 1 */
    n = PLAIN;
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_MALFORMED);
    buf[0] = 0x8f; /* 15 CSRCs do not fit */
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_MALFORMED);
    buf[0] = 0x90; /* an extension that runs over the end */
    memset(buf + 12, 0xff, 4);
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_MALFORMED);
    make_rtp(big, 1, 1);
    n = MCX_SRTP_PACKET_MAX;
    assert_int_equal(api->protect(tx, big, &n, sizeof big, false),
                     MCX_E_TOOBIG);
    n = MCX_SRTP_PACKET_MAX + 1;
    assert_int_equal(api->unprotect(rx, big, &n, false), MCX_E_TOOBIG);
    /* the wrong way round */
    n = make_rtp(buf, 1, 1);
    assert_int_equal(api->protect(rx, buf, &n, ROOM, false), MCX_E_STATE);
    assert_int_equal(api->unprotect(tx, buf, &n, false), MCX_E_STATE);
    api->close(tx);
    api->close(rx);
    api->close(NULL);
}

static void
other_ssrc(void **state)
{
    struct mcx_srtp_policy p = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 1);
    struct mcx_srtp *tx, *rx;
    uint8_t buf[ROOM];
    size_t n;

    (void)state;
    assert_int_equal(api->open(&tx, &p, false, 0), MCX_OK);
    assert_int_equal(api->open(&rx, &p, true, 77), MCX_OK);
    n = sent(tx, buf, 78, 1);
    assert_int_equal(got(rx, buf, n, 78, 1), MCX_E_NO_KEY);
    n = sent(tx, buf, 77, 1);
    assert_int_equal(got(rx, buf, n, 77, 1), MCX_OK);
    api->close(tx);
    api->close(rx);
}

static void
too_many_senders(void **state)
{
    struct mcx_srtp_policy p = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 1);
    struct mcx_srtp *tx, *tx2, *rx;
    uint8_t buf[ROOM];
    size_t n;

    (void)state;
    pair(&tx, &rx, &p);
    assert_int_equal(api->open(&tx2, &p, false, 0), MCX_OK);
    for (uint32_t i = 1; i <= MCX_SRTP_SSRC_MAX; i++) {
        n = sent(tx, buf, i, 5);
        assert_int_equal(got(rx, buf, n, i, 5), MCX_OK);
    }
    n = make_rtp(buf, 0x7777, 5);
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_BUSY);
    n = sent(tx2, buf, 0x7777, 5);
    assert_int_equal(got(rx, buf, n, 0x7777, 5), MCX_E_BUSY);
    n = sent(tx, buf, 1, 6); /* those known go on */
    assert_int_equal(got(rx, buf, n, 1, 6), MCX_OK);
    api->close(tx);
    api->close(tx2);
    api->close(rx);
}

/* ---- order, windows, wrap ---------------------------------------------- */

static void
order(void **state)
{
    static const enum mcx_suite suites[]
        = { MCX_SUITE_AEAD_AES_128_GCM, MCX_SUITE_AES_CM_128_HMAC_SHA1_80 };
    static uint8_t kept[200][ROOM];
    static size_t size[200];

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct mcx_srtp_policy p = own_policy(suites[k], 4, 1);
        struct mcx_srtp *tx, *rx;

        pair(&tx, &rx, &p);
        for (uint16_t i = 0; i < 200; i++) {
            size[i] = sent(tx, kept[i], 0x11223344,
                           (uint16_t)(65436 + i)); /* wraps at 100 */
        }
        /* newest but one first, then older ones backwards, then again */
        assert_int_equal(got(rx, kept[90], size[90], 0x11223344, 65526),
                         MCX_OK);
        assert_int_equal(got(rx, kept[110], size[110], 0x11223344, 10),
                         MCX_OK);
        assert_int_equal(got(rx, kept[80], size[80], 0x11223344, 65516),
                         MCX_OK);
        assert_int_equal(got(rx, kept[199], size[199], 0x11223344, 99),
                         MCX_OK);
        assert_int_equal(got(rx, kept[199], size[199], 0x11223344, 99),
                         MCX_E_REPLAY);
        assert_int_equal(got(rx, kept[80], size[80], 0x11223344, 65516),
                         MCX_E_REPLAY);
        assert_int_equal(got(rx, kept[72], size[72], 0x11223344, 65508),
                         MCX_OK); /* 127 behind */
        assert_int_equal(got(rx, kept[71], size[71], 0x11223344, 65507),
                         MCX_E_REPLAY); /* 128 behind */
        for (uint16_t i = 72; i < 200; i++) {
            mcx_err err = got(rx, kept[i], size[i], 0x11223344,
                              (uint16_t)(65436 + i));
            bool had = i == 72 || i == 80 || i == 90 || i == 110 || i == 199;
            assert_int_equal(err, had ? MCX_E_REPLAY : MCX_OK);
        }
        api->close(tx);
        api->close(rx);
    }
}

static void
nonce_reuse(void **state)
{
    struct mcx_srtp_policy p = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 1);
    struct mcx_srtp_policy p2 = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 2);
    struct mcx_srtp *tx;
    uint8_t buf[ROOM];
    size_t n;

    (void)state;
    assert_int_equal(api->open(&tx, &p, false, 0), MCX_OK);
    sent(tx, buf, 9, 100);
    n = make_rtp(buf, 9, 100);
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_REPLAY);
    /* a further key that is not sent with empties libsrtp's window */
    assert_int_equal(api->rekey(tx, &p2, false), MCX_OK);
    n = make_rtp(buf, 9, 100);
    assert_int_equal(api->protect(tx, buf, &n, ROOM, false), MCX_E_REPLAY);
    assert_int_equal(n, PLAIN);
    sent(tx, buf, 9, 101);
    api->close(tx);
}

/* ---- re-keying --------------------------------------------------------- */

static void
rekey(void **state)
{
    static const enum mcx_suite suites[]
        = { MCX_SUITE_AEAD_AES_128_GCM, MCX_SUITE_AES_CM_128_HMAC_SHA1_80 };
    const uint32_t a = 0x01020304, b = 0xa0b0c0d0;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct mcx_srtp_policy p1 = own_policy(suites[k], 4, 1);
        struct mcx_srtp_policy p2 = own_policy(suites[k], 4, 2);
        struct mcx_srtp_policy p3 = own_policy(suites[k], 4, 1);
        struct mcx_srtp *tx, *rx;
        uint8_t old[ROOM], late[ROOM], buf[ROOM], rtcp1[ROOM], rtcp2[ROOM];
        size_t n_old, n_late, n, n1, n2;

        pair(&tx, &rx, &p1);
        /* Two senders, one of them past a wrap, so the ROC counts. */
        for (uint32_t i = 65500; i < 65560; i++) {
            n = sent(tx, buf, a, (uint16_t)i);
            assert_int_equal(got(rx, buf, n, a, (uint16_t)i), MCX_OK);
        }
        n = sent(tx, buf, b, 7);
        assert_int_equal(got(rx, buf, n, b, 7), MCX_OK);
        n_old = sent(tx, old, a, 65560 - 65536);
        assert_int_equal(got(rx, old, n_old, a, 24), MCX_OK);
        n_late = sent(tx, late, a, 25); /* in flight over the re-key */
        n1 = make_rtcp(rtcp1, a);
        assert_int_equal(api->protect(tx, rtcp1, &n1, ROOM, true), MCX_OK);

        /* One MKI may not name two keys. */
        p3.key[0] ^= 1;
        assert_int_equal(api->rekey(rx, &p3, false), MCX_E_STATE);

        assert_int_equal(api->rekey(rx, &p2, false), MCX_OK);
        assert_int_equal(api->rekey(tx, &p2, false), MCX_OK);
        n = sent(tx, buf, a, 26); /* still under the old key */
        assert_memory_equal(buf + n - (k ? 14 : 4), p1.mki, 4);
        assert_int_equal(got(rx, buf, n, a, 26), MCX_OK);
        assert_int_equal(api->rekey(tx, &p2, true), MCX_OK);
        n = sent(tx, buf, a, 27);
        assert_memory_equal(buf + n - (k ? 14 : 4), p2.mki, 4);
        assert_int_equal(got(rx, buf, n, a, 27), MCX_OK);
        assert_int_equal(got(rx, late, n_late, a, 25), MCX_OK);
        assert_int_equal(got(rx, old, n_old, a, 24), MCX_E_REPLAY);
        assert_int_equal(got(rx, late, n_late, a, 25), MCX_E_REPLAY);
        n = sent(tx, buf, b, 8);
        assert_int_equal(got(rx, buf, n, b, 8), MCX_OK);

        /* The SRTCP index goes on: both pass once, in either order. */
        n2 = make_rtcp(rtcp2, a);
        assert_int_equal(api->protect(tx, rtcp2, &n2, ROOM, true), MCX_OK);
        memcpy(buf, rtcp2, n2);
        n = n2;
        assert_int_equal(api->unprotect(rx, buf, &n, true), MCX_OK);
        memcpy(buf, rtcp1, n1);
        n = n1;
        assert_int_equal(api->unprotect(rx, buf, &n, true), MCX_OK);
        memcpy(buf, rtcp1, n1);
        n = n1;
        assert_int_equal(api->unprotect(rx, buf, &n, true), MCX_E_REPLAY);

        /* Keys beyond the limit push out the oldest, never the sender's. */
        for (uint8_t no = 3; no < 8; no++) {
            struct mcx_srtp_policy more = own_policy(suites[k], 4, no);
            assert_int_equal(api->rekey(rx, &more, false), MCX_OK);
            assert_int_equal(api->rekey(tx, &more, false), MCX_OK);
        }
        n = sent(tx, buf, a, 28);
        assert_memory_equal(buf + n - (k ? 14 : 4), p2.mki, 4);
        assert_int_equal(got(rx, buf, n, a, 28), MCX_E_NO_KEY);
        {
            struct mcx_srtp_policy last = own_policy(suites[k], 4, 7);
            assert_int_equal(api->rekey(tx, &last, true), MCX_OK);
        }
        n = sent(tx, buf, a, 29);
        assert_int_equal(got(rx, buf, n, a, 29), MCX_OK);
        api->close(tx);
        api->close(rx);
    }
}

static void
rekey_without_mki(void **state)
{
    struct mcx_srtp_policy p1 = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 0, 1);
    struct mcx_srtp_policy p2 = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 0, 2);
    struct mcx_srtp_policy other
        = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 4, 2);
    struct mcx_srtp *tx, *rx;
    uint8_t buf[ROOM], old[ROOM];
    size_t n, n_old;

    (void)state;
    pair(&tx, &rx, &p1);
    n = sent(tx, buf, 5, 1);
    assert_int_equal(got(rx, buf, n, 5, 1), MCX_OK);
    n_old = sent(tx, old, 5, 2);
    assert_int_equal(api->rekey(tx, &other, true), MCX_E_UNSUPPORTED);
    assert_int_equal(api->rekey(tx, &p2, false), MCX_E_STATE);
    assert_int_equal(api->rekey(tx, &p2, true), MCX_OK);
    assert_int_equal(api->rekey(rx, &p2, false), MCX_OK);
    n = sent(tx, buf, 5, 3);
    assert_int_equal(got(rx, buf, n, 5, 3), MCX_OK);
    assert_int_equal(got(rx, old, n_old, 5, 2), MCX_E_AUTH);
    api->close(tx);
    api->close(rx);
}

/* ---- RCC mode 3 -------------------------------------------------------- */

static void
rcc(void **state)
{
    struct mcx_srtp_policy p = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 8, 1);
    struct mcx_srtp_policy p2 = own_policy(MCX_SUITE_AEAD_AES_128_GCM, 8, 2);
    struct mcx_srtp *tx, *rx, *late, *any;
    uint8_t buf[ROOM], other[ROOM], copy[ROOM];
    size_t n, n_other, m;
    const uint32_t ssrc = 0xdeadbe01;

    (void)state;
    p.rcc_mode3 = p2.rcc_mode3 = true;
    p.roc_rate = p2.roc_rate = 2; /* every other packet */
    assert_int_equal(api->open(&tx, &p, false, ssrc), MCX_OK);
    pair(&any, &rx, &p);
    assert_int_equal(mcx_srtp_roc(tx, ssrc, 3), MCX_OK);
    n = sent(tx, buf, ssrc, 1000);
    assert_int_equal(n, PLAIN + 16 + 8 + 4);
    assert_memory_equal(buf + n - 4, "\0\0\0\3", 4);
    assert_memory_equal(buf + n - 12, p.mki, 8);
    n_other = sent(tx, other, ssrc, 1001);
    assert_int_equal(n_other, PLAIN + 16 + 8);

    /* Not in step yet: a packet without ROC does not open and changes nothing,
     * nor does one that lies about the ROC. */
    assert_int_equal(got(rx, other, n_other, ssrc, 1001), MCX_E_AUTH);
    memcpy(copy, buf, n);
    copy[n - 1] = 9;
    m = n;
    assert_int_equal(api->unprotect(rx, copy, &m, false), MCX_E_AUTH);
    assert_int_equal(m, n);
    assert_int_equal(got(rx, buf, n, ssrc, 1000), MCX_OK);
    assert_int_equal(got(rx, other, n_other, ssrc, 1001), MCX_OK);
    assert_int_equal(got(rx, buf, n, ssrc, 1000), MCX_E_REPLAY);

    /* In step a false ROC is ignored (RFC 4771). */
    n = sent(tx, buf, ssrc, 1002);
    buf[n - 2] = 0x55;
    assert_int_equal(got(rx, buf, n, ssrc, 1002), MCX_OK);

    /* A lie that fails both ways leaves the next packet alone. */
    n = sent(tx, buf, ssrc, 1004);
    memcpy(copy, buf, n);
    copy[14] ^= 1;
    copy[n - 1] = 4;
    m = n;
    assert_int_equal(api->unprotect(rx, copy, &m, false), MCX_E_AUTH);
    assert_int_equal(got(rx, buf, n, ssrc, 1004), MCX_OK);
    n = sent(tx, buf, ssrc, 1003);
    assert_int_equal(got(rx, buf, n, ssrc, 1003), MCX_OK);

    /* Out of step: two wraps missed, the next ROC brings us back. */
    assert_int_equal(api->open(&late, &p, false, ssrc), MCX_OK);
    assert_int_equal(mcx_srtp_roc(late, ssrc, 5), MCX_OK);
    n = sent(late, buf, ssrc, 1007);
    assert_int_equal(got(rx, buf, n, ssrc, 1007), MCX_E_AUTH);
    n = sent(late, buf, ssrc, 1008);
    assert_int_equal(got(rx, buf, n, ssrc, 1008), MCX_OK);
    n = sent(late, buf, ssrc, 1009);
    assert_int_equal(got(rx, buf, n, ssrc, 1009), MCX_OK);
    /* ... and never back in time. */
    n = sent(tx, other, ssrc, 1006);
    assert_int_equal(got(rx, other, n, ssrc, 1006), MCX_E_AUTH);

    /* SRTCP carries none; a second sender; a re-key. */
    n = make_rtcp(buf, 0x0badcafe);
    assert_int_equal(api->protect(any, buf, &n, ROOM, true), MCX_OK);
    memcpy(copy, buf, n);
    copy[20] ^= 1;
    m = n;
    assert_int_equal(api->unprotect(rx, copy, &m, true), MCX_E_AUTH);
    m = n;
    assert_int_equal(api->unprotect(rx, buf, &m, true), MCX_OK);
    assert_int_equal(m, PLAIN);
    assert_int_equal(api->rekey(rx, &p2, false), MCX_OK);
    assert_int_equal(api->rekey(late, &p2, true), MCX_OK);
    n = sent(late, buf, ssrc, 1011);
    assert_int_equal(got(rx, buf, n, ssrc, 1011), MCX_OK);
    for (uint32_t i = 1012; i < 1012 + 65536; i++) {
        n = sent(late, buf, ssrc, (uint16_t)i);
        assert_int_equal(got(rx, buf, n, ssrc, (uint16_t)i), MCX_OK);
    }
    n = sent(late, buf, ssrc, 1012);
    assert_memory_equal(buf + n - 4, "\0\0\0\6", 4);
    api->close(tx);
    api->close(rx);
    api->close(late);
    api->close(any);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(tampered),
        cmocka_unit_test(unfit_policies),
        cmocka_unit_test(limits),
        cmocka_unit_test(other_ssrc),
        cmocka_unit_test(too_many_senders),
        cmocka_unit_test(order),
        cmocka_unit_test(nonce_reuse),
        cmocka_unit_test(rekey),
        cmocka_unit_test(rekey_without_mki),
        cmocka_unit_test(rcc),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
