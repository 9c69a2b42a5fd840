/* test_edges.c -- refusals at the edges, which the families of neighbours do
 * not meet: rings that lack what a message names, certificates that do not
 * hold, times before a KMS began, the wrong carrier, key parameters and
 * policies that no builder of ours makes. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>
#include "inner.h"
#include "test_world.h"

#define STRANGER "sip:stranger@elsewhere.example.net"

static const struct mcx_ssv gmk = { "GMK of 16 octets" };
static uint8_t buf[ROOM];

static mcx_err
find(void *arg, uint32_t id, bool only, struct mcx_ssv *out)
{
    (void)arg;
    (void)id;
    (void)only;
    *out = gmk;
    return MCX_OK;
}

static struct mcx_kms_info
info_of(const char *uri)
{
    struct mcx_kms_info info = w.info;

    (void)snprintf(info.uri, sizeof info.uri, "%s", uri);
    return info;
}

/* A ring that knows 'info' only, with BOB's key of that KMS. */
static struct mcx_ring *
ring_of(const struct mcx_kms_info *info)
{
    struct mcx_user_key *key = issue(BOB, w.no);
    struct mcx_ring *ring = NULL;

    assert_int_equal(mcx_ring_new(&ring, &w.te.env), MCX_OK);
    assert_int_equal(mcx_ring_add_kms(ring, info, w.pub), MCX_OK);
    assert_int_equal(mcx_ring_add_user(ring, BOB, info->uri, w.no, key),
                     MCX_OK);
    mcx_user_key_free(key);
    return ring;
}

/* What open() and gsk_open() say when it is nobody's fault: a reason without
 * a clause, and no key. */
static void
fails(struct mcx_bytes b, const struct mcx_open *how, mcx_reason reason,
      const char *payload)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    struct mcx_why why = { 0 };

    memset(&km, 0x55, sizeof km);
    assert_int_equal(open_it(&km, b, how, &why), mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, payload);
    assert_memory_equal(&km, &zero, sizeof km);
}

static struct mcx_bytes
gsk_message(struct mcx_ring *ring)
{
    struct mcx_gsk_build how = { .env = &w.te.env, .gmk = &gmk,
                                 .gmk_id = 0x01234567, .ring = ring,
                                 .from = ring ? ALICE : NULL };
    size_t n = ROOM;

    rewind_clock();
    assert_int_equal(mcx_gsk_build(buf, &n, NULL, &how, NULL), MCX_OK);
    return mcx_bytes(buf, n);
}

static void
gsk_refused(struct mcx_bytes b, const struct mcx_gsk_open *how,
            mcx_reason reason, const char *payload)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    static struct mcx_mikey_msg m;
    struct mcx_why why = { 0 };

    memset(&km, 0x55, sizeof km);
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    assert_int_equal(mcx_gsk_open(&km, &m, how, &why),
                     mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, payload);
    assert_memory_equal(&km, &zero, sizeof km);
}

/* ---- carriers and times ------------------------------------------------ */

/* A GSK message is no SAKKE message, nor the other way round. */
static void
wrong_carrier(void **state)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_gsk_open hear = { .env = &w.te.env, .gmk = find };

    (void)state;
    refuses(gsk_message(NULL), &o, MCX_R_DATA_TYPE, "HDR");
    gsk_refused(build(buf, &how, NULL), &hear, MCX_R_DATA_TYPE, "HDR");
}

/* T of a KMS that has not begun, whose periods nobody can number. */
static void
before_the_first_period(void **state)
{
    struct mcx_kms_info later = w.info;
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_gsk_open hear = { .env = &w.te.env, .gmk = find,
                                 .from = ALICE };

    (void)state;
    rewind_clock();
    later.period.offset_s =
        (uint64_t)(now_ms / 1000 + MCX_NTP_UNIX_DIFF + 1);
    o.ring = hear.ring = ring_of(&later);
    refuses(build(buf, &how, NULL), &o, MCX_R_TOO_OLD, "T");
    gsk_refused(gsk_message(w.ring), &hear, MCX_R_TOO_OLD, "T");
    mcx_ring_free(o.ring);
}

/* A counter instead of a time, and a time behind the floor that a restart
 * left. */
static void
gsk_times(void **state)
{
    struct mcx_gsk_open hear = { .env = &w.te.env, .gmk = find };
    static struct mcx_mikey_msg m;
    static struct mcx_key_msg km;
    static uint8_t out[ROOM];
    struct mcx_bytes b = gsk_message(NULL);
    struct mcx_why why = { 0 };
    size_t at;

    (void)state;
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    at = m.t_at;
    memcpy(out, buf, b.n);
    out[at + 1] = 2; /* COUNTER, four octets */
    memmove(out + at + 6, out + at + 10, b.n - at - 10);
    gsk_refused(mcx_bytes(out, b.n - 4), &hear, MCX_R_TIME_TYPE, "T");
    assert_int_equal(mcx_replay_new(&hear.replay, 4), MCX_OK);
    mcx_replay_floor(hear.replay, now_ms);
    gsk_refused(b, &hear, MCX_R_REPLAYED, "T");
    assert_int_equal(mcx_replay_count(hear.replay), 0);
    w.te.now_ms = now_ms + 1000; /* a message made after it */
    {
        struct mcx_gsk_build how = { .env = &w.te.env, .gmk = &gmk };
        size_t n = ROOM;

        assert_int_equal(mcx_gsk_build(buf, &n, NULL, &how, NULL), MCX_OK);
        assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL),
                         MCX_OK);
    }
    assert_int_equal(mcx_gsk_open(&km, &m, &hear, &why), MCX_OK);
    mcx_replay_free(hear.replay);
    rewind_clock();
}

/* The neighbour of a period: near its end the next one, near its beginning
 * the one before, in between none; a signature of either verifies. */
static void
neighbours(void **state)
{
    int64_t start = mcx_period_start(&w.info.period, w.no)
                    - MCX_NTP_UNIX_DIFF;
    struct mcx_end end = { .uri = ALICE, .kms = w.info, .pub = w.pub };
    struct mcx_bytes text = mcx_bytes_str("signed");
    struct mcx_user_key *key = issue(ALICE, w.no + 1);
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
    struct mcx_why why = { 0 };
    size_t which = 9;

    (void)state;
    assert_int_equal(mcx_end_uids(&end, start * 1000, true), MCX_OK);
    assert_true(end.n == 2 && end.no[0] == w.no && end.no[1] == w.no - 1);
    assert_int_equal(mcx_end_uids(&end, (start + 300) * 1000, true), MCX_OK);
    assert_true(end.n == 1 && end.no[0] == w.no);
    assert_int_equal(mcx_end_uids(&end, (start + PERIOD_S - 301) * 1000,
                                  true), MCX_OK);
    assert_int_equal(end.n, 1);
    assert_int_equal(mcx_end_uids(&end, (start + PERIOD_S - 60) * 1000,
                                  false), MCX_OK);
    assert_int_equal(end.n, 1);
    assert_int_equal(mcx_end_uids(&end, (start + PERIOD_S - 60) * 1000,
                                  true), MCX_OK);
    assert_true(end.n == 2 && end.no[1] == w.no + 1);
    assert_memory_not_equal(end.uid[0].b, end.uid[1].b, MCX_UID_SIZE);
    assert_int_equal(mcx_eccsi_sign(sig, key, text, &w.te.env), MCX_OK);
    assert_int_equal(mcx_end_verify(&end, text, mcx_bytes(sig, sizeof sig),
                                    0, &which, &why), MCX_OK);
    assert_int_equal(which, 1);
    end.n = 1;
    assert_int_equal(mcx_end_verify(&end, text, mcx_bytes(sig, sizeof sig),
                                    40, &which, &why), MCX_E_AUTH);
    assert_int_equal(why.reason, MCX_R_SIGNATURE);
    assert_true(why.offset >= 40);
    mcx_user_key_free(key);
}

/* A message of the first minutes of a period, when we have the key of the one
 * before and not yet this one's: it is parked, not refused. */
static void
only_the_key_before(void **state)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    static struct mcx_key_msg km;
    struct mcx_bytes b;

    (void)state;
    w.te.now_ms = (mcx_period_start(&w.info.period, w.no)
                   - MCX_NTP_UNIX_DIFF + 10) * 1000;
    o.ring = ring_new();
    give(o.ring, BOB, w.no - 1);
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_NO_PERIOD_KEY, "SAKKE");
    give(o.ring, BOB, w.no);
    opens(&km, b, &o);
    mcx_ring_free(o.ring);
    rewind_clock();
}

/* ---- whom -------------------------------------------------------------- */

/* The same without the IDR of 'role', signed again by ALICE. */
static struct mcx_bytes
without(struct mcx_bytes b, unsigned role)
{
    static struct mcx_mikey_msg m;
    static uint8_t out[ROOM];
    size_t order[MCX_MIKEY_PL_MAX], i, n = 0;

    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    assert_int_not_equal(m.idr[role].at, 0);
    for (i = 1; i < m.n_pl; i++) {
        if (m.pl[i].at != m.idr[role].at) {
            order[n++] = i;
        }
    }
    n = test_rechain(out, &m, order, n);
    resign(out, n, ALICE);
    return mcx_bytes(out, n);
}

/* Certificates that are not there, do not hold, or are another's. */
static void
unknown_kms(void **state)
{
    static struct mcx_key_msg km;
    struct mcx_kms_info other = info_of(KMS2);
    struct mcx_build how = plan(MCX_KIND_GMK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    struct mcx_ring *both = ring_new();
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    assert_int_equal(mcx_ring_add_kms(both, &other, w.pub), MCX_OK);
    /* Nobody knows whose window it is. */
    b = build(buf, &how, NULL);
    o.ring = both;
    o.self = STRANGER;
    o.window = MCX_WINDOW_STORED;
    refuses(b, &o, MCX_R_NO_USER, "IDRr");
    mcx_ring_free(both);
    /* The initiator's KMS is named, and we do not know it. */
    o = rules(BOB, ALICE);
    o.ring = ring_of(&other);
    refuses(b, &o, MCX_R_NO_KMS, "IDRkmsi");
    /* The responder's, of a hidden responder. */
    how.hide_responder = true;
    refuses(build(buf, &how, NULL), &o, MCX_R_NO_KMS, "IDRkmsr");
    mcx_ring_free(o.ring);
    /* Nobody names it, and two may be meant. */
    how.hide_responder = false;
    b = without(build(buf, &how, NULL), MCX_ROLE_KMSI);
    o = rules(BOB, ALICE);
    opens(&km, b, &o);
    o.ring = ring_of(&other);
    assert_int_equal(mcx_ring_add_kms(o.ring, &w.info, w.pub), MCX_OK);
    refuses(b, &o, MCX_R_NO_KMS, "IDRkmsi");
    mcx_ring_free(o.ring);
}

static const char *known_as;

static mcx_err
who(void *arg, const struct mcx_key_msg *km, char uri[MCX_URI_MAX])
{
    (void)arg;
    (void)km;
    (void)snprintf(uri, MCX_URI_MAX, "%s", known_as);
    return MCX_OK;
}

static void
hidden_initiator(void **state)
{
    static char endless[MCX_URI_MAX + 1];
    struct mcx_kms_info other = info_of(KMS2), revoked = w.info;
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, NULL);
    struct mcx_user_key *key = issue(MALLORY, w.no);
    static struct mcx_key_msg km;
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    how.hide_initiator = true;
    o.who = who;
    known_as = ALICE;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    assert_string_equal(km.initiator, ALICE);
    /* The name belongs to another KMS than the one that signed. */
    o.ring = ring_new();
    give(o.ring, BOB, w.no);
    assert_int_equal(mcx_ring_add_kms(o.ring, &other, w.pub), MCX_OK);
    assert_int_equal(mcx_ring_add_user(o.ring, STRANGER, KMS2, w.no, key),
                     MCX_OK);
    known_as = STRANGER;
    refuses(b, &o, MCX_R_INITIATOR, "IDRkmsi");
    known_as = "";
    refuses(b, &o, MCX_R_INITIATOR_HIDDEN, "IDRuidi");
    known_as = MALLORY;
    refuses(b, &o, MCX_R_INITIATOR, "IDRuidi");
    mcx_ring_free(o.ring);
    /* Its KMS is unknown, or does not hold any more. */
    o.ring = ring_of(&other);
    refuses(b, &o, MCX_R_NO_KMS, "IDRkmsi");
    mcx_ring_free(o.ring);
    revoked.revoked = true;
    o.ring = ring_of(&revoked);
    refuses(b, &o, MCX_R_CERT_REVOKED, "IDRkmsi");
    mcx_ring_free(o.ring);
    /* Signalling names somebody whose name does not end. */
    memset(endless, 'x', sizeof endless - 1);
    o = rules(BOB, endless);
    refuses(b, &o, MCX_R_INITIATOR, "IDRi");
    mcx_user_key_free(key);
}

/* A talker whose KMS is unknown or revoked. */
static void
talkers(void **state)
{
    struct mcx_kms_info other = info_of(KMS2), revoked = w.info;
    struct mcx_gsk_open hear = { .env = &w.te.env, .gmk = find,
                                 .from = ALICE };
    struct mcx_bytes b = gsk_message(w.ring);

    (void)state;
    hear.ring = ring_of(&other);
    assert_int_equal(mcx_ring_add_kms(hear.ring, &w.info, w.pub), MCX_OK);
    gsk_refused(b, &hear, MCX_R_NO_KMS, "ID");
    mcx_ring_free(hear.ring);
    revoked.revoked = true;
    hear.ring = ring_of(&revoked);
    gsk_refused(b, &hear, MCX_R_CERT_REVOKED, "ID");
    mcx_ring_free(hear.ring);
}

static void
not_buildable(const struct mcx_build *how, mcx_err want, mcx_reason reason,
              const char *payload)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    struct mcx_why why = { 0 };
    size_t n = ROOM;

    memset(&km, 0x55, sizeof km);
    assert_int_equal(mcx_mikey_build(buf, &n, &km, how, &why), want);
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, payload);
    assert_memory_equal(&km, &zero, sizeof km);
}

/* Keys and certificates that cannot send. */
static void
nothing_to_build_with(void **state)
{
    struct mcx_kms_info other = info_of(KMS2);
    struct mcx_build how = plan(MCX_KIND_CSK, STRANGER, BOB);
    struct mcx_user_key *key = issue(ALICE, w.no);

    (void)state;
    rewind_clock();
    how.ring = ring_new();
    other.revoked = true;
    assert_int_equal(mcx_ring_add_kms(how.ring, &other, w.pub), MCX_OK);
    not_buildable(&how, MCX_E_NO_IDENTITY, MCX_R_NO_KMS, "IDRkmsi");
    give(how.ring, ALICE, w.no);
    how.from = ALICE;
    how.to_kms = KMS2;
    not_buildable(&how, MCX_E_EXPIRED, MCX_R_CERT_REVOKED, "IDRkmsr");
    /* The key that the ring has of us is another's: nobody could verify. */
    assert_int_equal(mcx_ring_add_user(how.ring, PF, KMS, w.no, key),
                     MCX_OK);
    how.from = PF;
    how.to_kms = KMS;
    not_buildable(&how, MCX_E_NO_PERIOD, MCX_R_NO_PERIOD_KEY, "IDRi");
    mcx_user_key_free(key);
    mcx_ring_free(how.ring);
}

/* ---- what happens meanwhile -------------------------------------------- */

static mcx_err keep_answer;
static struct mcx_ring *log_off;

static mcx_err
keep(void *ctx, const uint8_t digest[32], int64_t expires_ms)
{
    (void)ctx;
    (void)digest;
    (void)expires_ms;
    if (log_off) {
        mcx_ring_drop_user(log_off, BOB, KMS, w.no);
    }
    return keep_answer;
}

/* A disk that fails between signature and key: refused, and not burnt.  A
 * user who logs off in that moment. */
static void
between_signature_and_key(void **state)
{
    static const struct mcx_replay_backing back = { sizeof back, NULL, keep };
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(BOB, ALICE);
    static struct mcx_key_msg km;
    struct mcx_bytes b;

    (void)state;
    rewind_clock();
    b = build(buf, &how, NULL);
    assert_int_equal(mcx_replay_new(&o.replay, 4), MCX_OK);
    mcx_replay_attach(o.replay, &back);
    keep_answer = MCX_E_IO;
    fails(b, &o, MCX_R_CRYPTO, "T");
    keep_answer = MCX_OK;
    opens(&km, b, &o);
    refuses(b, &o, MCX_R_REPLAYED, "T");
    log_off = o.ring = ring_new();
    give(o.ring, BOB, w.no);
    b = build(buf, &how, NULL);
    refuses(b, &o, MCX_R_NO_USER, "SAKKE");
    log_off = NULL;
    mcx_ring_free(o.ring);
    mcx_replay_free(o.replay);
}

/* An octet too many inside SAKKE-to-self, under a good signature. */
static void
to_self_trailing(void **state)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, BOB);
    struct mcx_open o = rules(ALICE, ALICE);
    static struct mcx_key_msg km;
    struct mcx_bytes b;
    size_t at, end;

    (void)state;
    rewind_clock();
    how.sakke_to_self = true;
    o.allow_self = true;
    b = build(buf, &how, NULL);
    opens(&km, b, &o);
    assert_true(km.to_self);
    at = at_of(b, MCX_PL_EXT, 0);
    assert_int_equal(buf[at + 1], MCX_EXT_SAKKE_TO_SELF);
    end = at + 4 + (size_t)(buf[at + 2] << 8 | buf[at + 3]);
    memmove(buf + end + 1, buf + end, b.n - end);
    buf[end] = 0;
    if (++buf[at + 3] == 0) {
        buf[at + 2]++;
    }
    resign(buf, b.n + 1, ALICE);
    refuses(mcx_bytes(buf, b.n + 1), &o, MCX_R_TRAILING, "SAKKE");
    o = rules(BOB, ALICE); /* who does not look there */
    opens(&km, mcx_bytes(buf, b.n + 1), &o);
}

/* ---- key parameters ---------------------------------------------------- */

/* Those of a peer that sends them in clear, so that every octet is ours. */
static mcx_err
params(struct mcx_key_params *kp, const uint8_t *p, size_t n,
       struct mcx_why *why)
{
    struct mcx_ext ext = { .at = 100, .data = mcx_bytes(p, n) };

    memset(why, 0, sizeof *why);
    memset(kp, 0, sizeof *kp);
    return mcx_key_params_open(kp, &ext, &gmk, 0x01234567,
                               MCX_PEER_REL13_PARAMS, now_ms, why);
}

static void
params_refused(const uint8_t *p, size_t n, mcx_reason reason)
{
    static const struct mcx_key_params zero;
    static struct mcx_key_params kp;
    struct mcx_why why;

    assert_int_equal(params(&kp, p, n, &why), mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.payload, "EXT");
    assert_memory_equal(&kp, &zero, sizeof kp);
}

/* A GMK's content: type, status 1, no times, text "t", then 'groups'. */
static size_t
content(uint8_t *out, unsigned type, struct mcx_bytes groups)
{
    struct mcx_wr wr = mcx_wr(out, ROOM);

    mcx_wr_u8(&wr, type);
    mcx_wr_u32(&wr, 1);
    mcx_wr_uint(&wr, 0, 5);
    mcx_wr_uint(&wr, 0, 5);
    mcx_wr_bytes_len(&wr, mcx_bytes_str("t"), 2);
    mcx_wr_bytes(&wr, groups);
    assert_int_equal(mcx_wr_status(&wr), MCX_OK);
    return wr.at;
}

/* 'count' groups of 'each' octets in a list that says 'more' octets more than
 * there are. */
static size_t
groups(uint8_t *out, unsigned count, size_t each, size_t more, uint8_t octet)
{
    static uint8_t id[300];
    struct mcx_wr wr = mcx_wr(out, ROOM);
    unsigned i;

    memset(id, octet, sizeof id);
    mcx_wr_u16(&wr, (unsigned)(1 + count * (3 + each) + more));
    mcx_wr_u8(&wr, count);
    for (i = 0; i < count; i++) {
        mcx_wr_u8(&wr, 0x7b);
        mcx_wr_bytes_len(&wr, mcx_bytes(id, each), 2);
    }
    assert_int_equal(mcx_wr_status(&wr), MCX_OK);
    return wr.at;
}

static void
group_lists(void **state)
{
    static const struct {
        unsigned count;
        size_t each, more;
        uint8_t octet;
        mcx_reason reason;
    } rows[] = {
        { 1, 9, 0, 'g', MCX_R_NONE },
        { MCX_GROUPS_MAX, 9, 0, 'g', MCX_R_NONE },
        { MCX_GROUPS_MAX + 1, 9, 0, 'g', MCX_R_TOO_LARGE },
        { 1, MCX_GROUP_ID_MAX - 1, 0, 'g', MCX_R_NONE },
        { 1, MCX_GROUP_ID_MAX, 0, 'g', MCX_R_TOO_LARGE },
        { 1, 9, 1, 'g', MCX_R_KEY_PARAMS }, /* ends before it ends */
        { 1, 0, 0, 'g', MCX_R_KEY_PARAMS }, /* empty               */
        { 1, 9, 0, 0, MCX_R_KEY_PARAMS },   /* of NULs             */
    };
    static struct mcx_key_params kp;
    static uint8_t list[ROOM], text[ROOM];
    struct mcx_why why;
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        n = groups(list, rows[i].count, rows[i].each, rows[i].more,
                   rows[i].octet);
        n = content(text, MCX_KIND_GMK, mcx_bytes(list, n));
        if (rows[i].reason != MCX_R_NONE) {
            params_refused(text, n, rows[i].reason);
            continue;
        }
        assert_int_equal(params(&kp, text, n, &why), MCX_OK);
        assert_int_equal(kp.n_groups, rows[i].count);
        assert_int_equal(strlen(kp.group[0]), rows[i].each);
    }
    /* A count that lies, an octet behind the last, a list of nothing. */
    n = groups(list, 1, 9, 0, 'g');
    list[2] = 2;
    n = content(text, MCX_KIND_GMK, mcx_bytes(list, n));
    params_refused(text, n, MCX_R_KEY_PARAMS);
    n = groups(list, 1, 9, 1, 'g');
    list[n++] = 0;
    n = content(text, MCX_KIND_GMK, mcx_bytes(list, n));
    params_refused(text, n, MCX_R_KEY_PARAMS);
    n = content(text, MCX_KIND_GMK, mcx_bytes("\0", 2));
    assert_int_equal(params(&kp, text, n, &why), MCX_OK);
    assert_int_equal(kp.n_groups, 0);
}

/* The content as an element with IEI and length, and its neighbours; a type
 * that is no kind; cut anywhere. */
static void
content_forms(void **state)
{
    static struct mcx_key_params kp;
    static uint8_t text[ROOM], element[ROOM];
    struct mcx_wr wr = mcx_wr(element, sizeof element);
    struct mcx_why why;
    size_t n = content(text, MCX_KIND_GMK, mcx_bytes(NULL, 0)), i;

    (void)state;
    assert_int_equal(params(&kp, text, n, &why), MCX_OK);
    for (i = 0; i < n; i++) {
        params_refused(text, i, MCX_R_KEY_PARAMS);
    }
    mcx_wr_u8(&wr, 0x30); /* IEI: no kind has this number, and bit 6 is 0 */
    mcx_wr_bytes_len(&wr, mcx_bytes(text, n), 2);
    assert_int_equal(params(&kp, element, wr.at, &why), MCX_OK);
    assert_string_equal(kp.text, "t");
    element[2]++;
    params_refused(element, wr.at, MCX_R_KEY_PARAMS);
    element[2] = (uint8_t)(element[2] - 2);
    params_refused(element, wr.at, MCX_R_KEY_PARAMS);
    n = content(text, 0x3f, mcx_bytes(NULL, 0));
    wr.at = 0;
    mcx_wr_u8(&wr, 0x30);
    mcx_wr_bytes_len(&wr, mcx_bytes(text, n), 2);
    params_refused(element, wr.at, MCX_R_KEY_PARAMS);
}

/* What cannot be written is not. */
static void
params_not_writable(void **state)
{
    static struct mcx_key_params kp;
    struct mcx_build how = plan(MCX_KIND_GMK, ALICE, BOB);
    size_t i, n;

    (void)state;
    rewind_clock();
    how.params = &kp;
    for (i = 0; i < 7; i++) {
        memset(&kp, 0, sizeof kp);
        kp.status = 1;
        kp.n_groups = 1;
        memcpy(kp.group[0], "g", 2);
        switch (i) {
        case 0: kp.n_groups = MCX_GROUPS_MAX + 1; break;
        case 1: kp.activation_unix = -1; break;
        case 2: kp.expiry_unix = INT64_C(1) << 40; break;
        case 3: memset(kp.text, 't', sizeof kp.text); break;
        case 4: memset(kp.group[0], 'g', sizeof kp.group[0]); break;
        case 5: kp.group[0][0] = '\0'; break;
        default: break;
        }
        n = ROOM;
        assert_int_equal(mcx_mikey_build(buf, &n, NULL, &how, NULL),
                         i < 6 ? MCX_E_ARG : MCX_OK);
    }
}

/* ---- policies ---------------------------------------------------------- */

/* An SP for SRTP with the parameters of AES-GCM; 'salt' octets of salt. */
static struct mcx_sp
policy(uint8_t no, int64_t salt)
{
    struct mcx_sp sp = { .at = 50, .policy_no = no };
    size_t i;

    for (i = 0; i < MCX_SP_TYPE_MAX; i++) {
        sp.value[i] = -1;
    }
    sp.value[0] = 6;  /* AES-GCM      */
    sp.value[1] = 16; /* key          */
    sp.value[4] = salt;
    sp.value[20] = 16; /* AEAD tag    */
    return sp;
}

/* Two policies of one key must be the same, unless the map names one. */
static void
two_policies(void **state)
{
    static const uint8_t zero_and_one[2] = { 0, 1 };
    static struct mcx_mikey_msg m;
    struct mcx_sp_profile sp;
    struct mcx_why why = { 0 };

    (void)state;
    m.n_sp = 2;
    m.sp[0] = policy(0, 12);
    m.sp[1] = policy(1, 12);
    assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_CSK, &why), MCX_OK);
    assert_int_equal(sp.salt_size, 12);
    m.sp[1].value[0] = 1; /* AES-CM with HMAC-SHA1-80 */
    m.sp[1].value[2] = 1;
    m.sp[1].value[4] = 14;
    m.sp[1].value[20] = -1;
    assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_CSK, &why),
                     mcx_reason_err(MCX_R_POLICY_PARAM));
    assert_int_equal(why.reason, MCX_R_POLICY_PARAM);
    /* The map names one of them. */
    m.n_cs = 1;
    m.cs[0].policies = mcx_bytes(zero_and_one + 1, 1);
    assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_CSK, &why), MCX_OK);
    assert_int_equal(sp.encr_alg, 1);
    m.cs[0].policies = mcx_bytes(zero_and_one, 1);
    assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_CSK, &why), MCX_OK);
    assert_int_equal(sp.encr_alg, 6);
    m.cs[0].policies = mcx_bytes(zero_and_one, 2);
    assert_int_equal(mcx_profile_of(&sp, &m, MCX_KIND_CSK, &why),
                     mcx_reason_err(MCX_R_POLICY_PARAM));
}

/* ---- payloads ---------------------------------------------------------- */

/* One payload more of a type than a message may have. */
static void
too_many_payloads(void **state)
{
    static const struct {
        unsigned type;
        size_t max;
    } rows[] = { { MCX_PL_SP, MCX_MIKEY_SP_MAX },
                 { MCX_PL_EXT, MCX_MIKEY_EXT_MAX },
                 { MCX_PL_ID, 2 } };
    static struct mcx_mikey_msg m;
    static uint8_t octets[64];
    struct mcx_why why;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mcx_pl_kind *kind = mcx_pl_kind(rows[i].type);

        memset(&m, 0, sizeof m);
        for (k = 0; k <= rows[i].max; k++) {
            struct mcx_rd rd = mcx_rd(mcx_bytes(octets, sizeof octets));
            struct mcx_pl pl = { .type = (uint8_t)rows[i].type };
            mcx_err err;

            memset(&why, 0, sizeof why);
            octets[1] = (uint8_t)(100 + k); /* policy number, EXT type */
            err = kind->read(&m, &rd, &pl, &why);
            assert_int_equal(err, k < rows[i].max
                                      ? MCX_OK
                                      : mcx_reason_err(MCX_R_TOO_LARGE));
        }
        assert_int_equal(why.reason, MCX_R_TOO_LARGE);
        assert_string_equal(why.payload, kind->word);
    }
}

/* Payloads that we know and never send. */
static void
not_for_writing(void **state)
{
    static const unsigned never[] = { MCX_PL_CERT, MCX_PL_ERR,
                                      MCX_PL_KEYDATA, 99 };
    static struct mcx_mikey_msg m;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof never / sizeof never[0]; i++) {
        struct mcx_wr wr = mcx_wr(buf, sizeof buf);

        memset(&m, 0, sizeof m);
        (void)mcx_pl_add(&m, never[i]);
        assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_E_INTERNAL);
        assert_int_equal(wr.at, 0);
    }
}

/* The table from its first row to behind its last. */
static void
each_kind(void **state)
{
    const struct mcx_kind_info *k;
    unsigned seen = 0;
    size_t i;

    (void)state;
    for (i = 0; (k = mcx_kind_each(i)) != NULL; i++) {
        assert_ptr_equal(mcx_kind_info(k->kind), k);
        assert_int_equal(mcx_kind_parse(k->word), k->kind);
        assert_false(seen & MCX_KIND_BIT(k->kind));
        seen |= MCX_KIND_BIT(k->kind);
    }
    assert_int_equal(seen, (MCX_KIND_BIT(MCX_KIND_COUNT) - 1)
                               | MCX_KIND_BIT(MCX_KIND_GSK));
    assert_null(mcx_kind_each(i + 1));
}

/* Arguments of pre-shared key mode that make no message. */
static void
psk_arguments(void **state)
{
    static const uint8_t two[2] = { 0, 1 };
    static struct mcx_mikey_msg m, r;
    static uint8_t out[ROOM];
    struct mcx_cs cs = { .policies = { two, 2 } };
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_psk_build how = {
        .env = &w.te.env, .psk = mcx_bytes(gmk.b, sizeof gmk.b),
        .keys = &keys, .cs = &cs, .n_cs = 1, .v = true,
        .map_type = MCX_MAP_SRTP_ID,
    };
    size_t n = ROOM;

    (void)state;
    rewind_clock();
    keys.n = 1;
    keys.k[0].key_n = 16;
    assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_E_ARG);
    cs.policies.n = 1;
    assert_int_equal(mcx_psk_build(buf, &n, &how, NULL), MCX_OK);
    assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL), MCX_OK);
    n = ROOM;
    assert_int_equal(mcx_psk_answer(out, &n, &m, mcx_bytes(NULL, 0),
                                    mcx_bytes(NULL, 0), 0), MCX_E_ARG);
    assert_int_equal(mcx_psk_answer(NULL, &n, &m, how.psk,
                                    mcx_bytes(NULL, 0), 0), MCX_E_ARG);
    assert_int_equal(mcx_psk_answer(out, &n, &m, how.psk,
                                    mcx_bytes(NULL, 0), 0), MCX_OK);
    assert_int_equal(mcx_mikey_parse(&r, mcx_bytes(out, n), NULL), MCX_OK);
    assert_int_equal(mcx_psk_verify(&r, &m, how.psk, NULL), MCX_OK);
    assert_int_equal(mcx_psk_verify(&r, &m, mcx_bytes(NULL, 0), NULL),
                     MCX_E_ARG);
    n = ROOM; /* an answer to an answer */
    assert_int_equal(mcx_psk_answer(buf, &n, &r, how.psk,
                                    mcx_bytes(NULL, 0), 0), MCX_E_ARG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_carrier),
        cmocka_unit_test(before_the_first_period),
        cmocka_unit_test(gsk_times),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(only_the_key_before),
        cmocka_unit_test(unknown_kms),
        cmocka_unit_test(hidden_initiator),
        cmocka_unit_test(talkers),
        cmocka_unit_test(nothing_to_build_with),
        cmocka_unit_test(between_signature_and_key),
        cmocka_unit_test(to_self_trailing),
        cmocka_unit_test(group_lists),
        cmocka_unit_test(content_forms),
        cmocka_unit_test(params_not_writable),
        cmocka_unit_test(two_policies),
        cmocka_unit_test(too_many_payloads),
        cmocka_unit_test(not_for_writing),
        cmocka_unit_test(each_kind),
        cmocka_unit_test(psk_arguments),
    };

    return cmocka_run_group_tests_name("mikey-edges", tests, world_up,
                                       world_down);
}
