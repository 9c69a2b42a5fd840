/* test_open_many.c -- several messages opened at once get what they would get
 * one after the other: error, reason and where, every octet of the key
 * message, and what the replay cache holds afterwards.
 *
 * MCX_TEST_SEED draws other batches, MCX_TEST_ROUNDS (60) makes more of them
 * or fewer. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mac.h"
#include "test_world.h"

#define CAROL "sip:carol@mc.example.net"
#define PF2 "sip:pf@mc.example.net"

enum { LANES = 8, BATCH_MAX = 20 };

/* ---- messages ---------------------------------------------------------- */

/* A message and how it is to be opened. */
struct specimen {
    const char *name;
    uint8_t octets[ROOM];
    size_t n;
    struct mcx_mikey_msg msg;
    struct mcx_open how;
    mcx_reason reason; /* of opening it by itself; MCX_R_NONE: opens */
};
enum { SPECIMENS_MAX = 40 };
static struct specimen specimen[SPECIMENS_MAX];
static size_t n_specimens;

static struct mcx_kms_master *master2;
static struct mcx_kms_pub *pub2;
static struct mcx_ring *old_ring; /* ends that are a period behind */
static int64_t edge_ms;           /* where the period of now begins */

static struct specimen *
add(const char *name, mcx_reason reason, const struct mcx_build *how,
    const struct mcx_open *open)
{
    struct specimen *s = &specimen[n_specimens++];

    assert_true(n_specimens <= SPECIMENS_MAX);
    s->name = name;
    s->reason = reason;
    s->how = *open;
    s->n = how ? build(s->octets, how, NULL).n : 0;
    return s;
}

static struct specimen *
csk(const char *name, mcx_reason reason)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);

    return add(name, reason, &how, &o);
}

/* Signs 's' again with a key of 'signer' in 'ring', leaving out 'less' octets
 * that the signature should cover. */
static void
sign_again(struct specimen *s, struct mcx_ring *ring, const char *signer,
           uint64_t no, size_t less)
{
    size_t covered = s->n - MCX_ECCSI_SIG_SIZE;
    struct mcx_user_key *key = NULL;

    assert_int_equal(mcx_ring_user(ring, signer, no, &key), MCX_OK);
    assert_int_equal(mcx_eccsi_sign(s->octets + covered, key,
                                    mcx_bytes(s->octets, covered - less),
                                    &w.te.env),
                     MCX_OK);
    mcx_user_key_free(key);
}

static size_t
sakke_at(const struct specimen *s)
{
    return at_of(mcx_bytes(s->octets, s->n), MCX_PL_SAKKE, 0) + 5;
}

static mcx_err
is_bob(void *arg, const struct mcx_key_msg *km, char uri[MCX_URI_MAX])
{
    (void)arg;
    (void)km;
    memcpy(uri, BOB, sizeof BOB);
    return MCX_OK;
}

static void
give2(const char *uri)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_user_key *key = NULL;
    struct mcx_uid uid;

    assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(KMS2),
                             &w.info.period, w.no),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(master2, mcx_bytes(uid.b, 32),
                                          &rsk, &ssk, pvt, &w.te.env),
                     MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, pub2, mcx_bytes(uid.b, 32),
                                      &rsk, &ssk, pvt, NULL),
                     MCX_OK);
    assert_int_equal(mcx_ring_add_user(w.ring, uri, KMS2, w.no, key),
                     MCX_OK);
    mcx_user_key_free(key);
}

static void
second_kms(void)
{
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_info info = w.info;

    assert_int_equal(mcx_kms_master_new(&master2, NULL, &w.te.env), MCX_OK);
    mcx_kms_master_public(z, kpak, master2);
    assert_int_equal(mcx_kms_pub_new(&pub2, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    memcpy(info.uri, KMS2, sizeof KMS2);
    assert_int_equal(mcx_ring_add_kms(w.ring, &info, pub2), MCX_OK);
    give2(CAROL);
    give2(PF2);
}

/* Made in the old period and moved into the new one by the clock of the
 * sender: the second UID is the one that signed and that it is sealed to. */
static void
add_neighbours(void)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    size_t v, j;

    how.ring = o.ring = old_ring;
    how.at_unix_ms = edge_ms - 1000;
    for (v = 0; v < 3; v++) {
        struct specimen *s = add("neighbour period",
                                 v < 2 ? MCX_R_NONE : MCX_R_NO_PERIOD_KEY,
                                 &how, &o);
        uint64_t ntp = mcx_ntp_from_unix_ms(edge_ms + 100000
                                            + (int64_t)v);
        size_t at;

        assert_int_equal(mcx_mikey_parse(&s->msg,
                                         mcx_bytes(s->octets, s->n), NULL),
                         MCX_OK);
        at = s->msg.t_at + 2;
        for (j = 0; j < 8; j++) {
            s->octets[at + j] = (uint8_t)(ntp >> (56 - 8 * j));
        }
        if (v == 1) {
            s->how.peer = MCX_PEER_SIGN_WITHOUT_HEADER;
        }
        sign_again(s, old_ring, ALICE, w.no - 1, v == 1 ? 2 : 0);
        if (v == 2) { /* we have a key of the new period and none of the old */
            s->how.ring = w.ring;
        }
    }
}

static void
add_good(void)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    int i;

    for (i = 0; i < LANES; i++) {
        (void)csk("good", MCX_R_NONE);
    }
    how.from = o.from = MALLORY;
    (void)add("another signer", MCX_R_NONE, &how, &o);
    how.from = o.from = CAROL;
    (void)add("signer of another KMS", MCX_R_NONE, &how, &o);
    how.to = o.self = PF2;
    (void)add("another KMS", MCX_R_NONE, &how, &o);
    how = plan(MCX_KIND_GMK, PF, BOB);
    o = rules(BOB, PF);
    (void)add("another recipient", MCX_R_NONE, &how, &o);
    how = plan(MCX_KIND_PCK, ALICE, BOB);
    how.sakke_to_self = true;
    o = rules(ALICE, NULL);
    o.allow_self = true;
    (void)add("to self", MCX_R_NONE, &how, &o);
    how = plan(MCX_KIND_CSK, BOB, PF);
    how.hide_initiator = true;
    o = rules(PF, NULL);
    o.who = is_bob;
    (void)add("hidden", MCX_R_NONE, &how, &o);
    how.from = ALICE;
    (void)add("hidden, and not who is said", MCX_R_INITIATOR, &how, &o);
}

/* What is refused before the signature. */
static void
add_early(void)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct specimen *s;

    s = csk("wrong kind", MCX_R_PURPOSE);
    s->how.kinds = MCX_KIND_BIT(MCX_KIND_GMK);
    s = csk("somebody else's", MCX_R_RESPONDER);
    s->how.self = BOB;
    s = csk("not who signalling says", MCX_R_INITIATOR);
    s->how.from = MALLORY;
    s = csk("no such user", MCX_R_NO_USER);
    s->how.self = "sip:nobody@mc.example.org";
    s = csk("no identity of ours", MCX_R_NONE);
    s->how.self = "";
    how.at_unix_ms = w.te.now_ms - 301 * 1000;
    (void)add("old", MCX_R_TOO_OLD, &how, &o);
    how.at_unix_ms = w.te.now_ms + 301 * 1000;
    (void)add("of the future", MCX_R_TOO_NEW, &how, &o);
}

/* What is refused with its signature or behind it. */
static void
add_late(void)
{
    struct mcx_key_params kp = { .status = 1 };
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open o = rules(PF, ALICE);
    struct specimen *s;

    s = csk("changed", MCX_R_SIGNATURE);
    s->octets[at_of(mcx_bytes(s->octets, s->n), MCX_PL_RAND, 0) + 4] ^= 1;
    s = csk("changed, twice asked", MCX_R_SIGNATURE);
    s->octets[s->n - 70] ^= 1;
    s->how.peer = MCX_PEER_SIGN_WITHOUT_HEADER;
    s = csk("r of zero", MCX_R_SIGN_RANGE);
    memset(s->octets + s->n - MCX_ECCSI_SIG_SIZE, 0, 32);
    s = csk("PVT off the curve", MCX_R_PVT);
    s->octets[s->n - 1] ^= 1;
    s = csk("signed without header", MCX_R_NONE);
    sign_again(s, w.ring, ALICE, w.no, 2);
    s->how.peer = MCX_PEER_SIGN_WITHOUT_HEADER;
    s = csk("signed by another one", MCX_R_SIGNATURE);
    sign_again(s, w.ring, MALLORY, w.no, 0);
    s = csk("R off the curve", MCX_R_SAKKE_POINT);
    s->octets[sakke_at(s) + 200] ^= 1;
    sign_again(s, w.ring, ALICE, w.no, 0);
    s = csk("H changed", MCX_R_SAKKE_CHECK);
    s->octets[sakke_at(s) + 272] ^= 1;
    sign_again(s, w.ring, ALICE, w.no, 0);
    how.params = &kp;
    kp.status = 0;
    (void)add("revokes", MCX_R_REVOKED, &how, &o);
}

static struct mcx_bytes
octets_of(const struct specimen *s)
{
    return mcx_bytes(s->octets, s->n);
}

static int
up(void **state)
{
    size_t i;

    if (world_up(state) != 0) {
        return -1;
    }
    edge_ms = (mcx_period_start(&w.info.period, w.no) - MCX_NTP_UNIX_DIFF)
              * 1000;
    w.te.now_ms = edge_ms + 310000;
    old_ring = ring_new();
    give(old_ring, PF, w.no - 1);
    give(old_ring, ALICE, w.no - 1);
    second_kms();
    add_good();
    add_early();
    add_late();
    add_neighbours();
    for (i = 0; i < n_specimens; i++) {
        assert_int_equal(mcx_mikey_parse(&specimen[i].msg,
                                         octets_of(&specimen[i]), NULL),
                         MCX_OK);
    }
    return 0;
}

static int
down(void **state)
{
    mcx_ring_free(old_ring);
    mcx_kms_pub_free(pub2);
    mcx_kms_master_free(master2);
    return world_down(state);
}

/* ---- one way and the other --------------------------------------------- */

/* One place of a batch. */
struct place {
    const struct specimen *s;
    struct mcx_open how;
    mcx_err err;
    struct mcx_why why;
    struct mcx_key_msg km;
};
static struct place place[BATCH_MAX];
static struct mcx_key_msg result[BATCH_MAX];

static void
put(size_t i, const struct specimen *s, bool resume)
{
    place[i].s = s;
    place[i].how = s->how;
    place[i].how.resume = resume;
}

static void
one_by_one(size_t n, struct mcx_replay *replay)
{
    size_t i;

    for (i = 0; i < n; i++) {
        struct place *p = &place[i];

        memset(&p->km, 0x55, sizeof p->km);
        p->why = (struct mcx_why){ 0 };
        p->how.replay = replay;
        p->err = mcx_mikey_open(&p->km, &p->s->msg, &p->how, &p->why);
    }
}

static void
same_place(const struct place *p, const struct mcx_open_job *job, size_t i)
{
    if (p->err != job->err || p->why.reason != job->why.reason) {
        print_error("%s at %zu: %s %s, by itself %s %s\n", p->s->name, i,
                    mcx_err_name(job->err), mcx_reason_word(job->why.reason),
                    mcx_err_name(p->err), mcx_reason_word(p->why.reason));
    }
    assert_int_equal(job->err, p->err);
    assert_int_equal(job->why.reason, p->why.reason);
    assert_int_equal(job->why.offset, p->why.offset);
    assert_int_equal(job->why.line, p->why.line);
    if (p->why.reason != MCX_R_NONE) {
        assert_string_equal(job->why.payload, p->why.payload);
        assert_string_equal(job->why.clause, p->why.clause);
    }
    assert_memory_equal(job->out, &p->km, sizeof p->km);
}

static void
same_cache(size_t n, struct mcx_replay *a, struct mcx_replay *b)
{
    size_t i;

    assert_int_equal(mcx_replay_count(a), mcx_replay_count(b));
    for (i = 0; i < n; i++) {
        const struct mcx_mikey_msg *m = &place[i].s->msg;
        uint8_t digest[32];
        int resume;

        assert_int_equal(mcx_digest(digest, mcx_bytes(m->octets.p,
                                                      m->signed_size)),
                         MCX_OK);
        for (resume = 0; resume < 2; resume++) {
            assert_int_equal(mcx_replay_look(a, digest, w.te.now_ms, resume),
                             mcx_replay_look(b, digest, w.te.now_ms,
                                             resume));
        }
    }
}

/* Opens the batch in place[0..n) together: each gets what 'place' says. */
static void
all_at_once(size_t n, struct mcx_replay *replay)
{
    struct mcx_open_job job[BATCH_MAX];
    struct mcx_open how[BATCH_MAX];
    size_t i;

    memset(result, 0xaa, sizeof result);
    memset(job, 0xaa, sizeof job);
    for (i = 0; i < n; i++) {
        how[i] = place[i].how;
        how[i].replay = replay;
        job[i].msg = &place[i].s->msg;
        job[i].how = &how[i];
        job[i].out = &result[i];
    }
    mcx_mikey_open_many(job, n);
    for (i = 0; i < n; i++) {
        same_place(&place[i], &job[i], i);
    }
    mcx_wipe(result, sizeof result);
}

/* The batch in place[0..n), over caches in the same state. */
static void
compare(size_t n, struct mcx_replay *a, struct mcx_replay *b)
{
    one_by_one(n, a);
    all_at_once(n, b);
    if (a) {
        same_cache(n, a, b);
    }
}

/* ---- tests ------------------------------------------------------------- */

static struct place alone[SPECIMENS_MAX]; /* of by_itself() */

/* Each specimen is what its name says, so that the rest proves something. */
static void
by_itself(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < n_specimens; i++) {
        put(0, &specimen[i], false);
        one_by_one(1, NULL);
        if (place[0].why.reason != specimen[i].reason) {
            print_error("%s: %s\n", specimen[i].name,
                        mcx_reason_word(place[0].why.reason));
        }
        assert_int_equal(place[0].why.reason, specimen[i].reason);
        if (specimen[i].how.self[0] == '\0') {
            assert_int_equal(place[0].err, MCX_E_ARG);
        } else if (specimen[i].reason == MCX_R_NONE) {
            assert_int_equal(place[0].err, MCX_OK);
        }
        alone[i] = place[0];
    }
}

/* Every one among seven that are good, in every lane; with few rounds, as
 * under valgrind, in one lane each. */
static void
every_lane(void **state)
{
    const char *rounds = getenv("MCX_TEST_ROUNDS");
    bool few = rounds && strtoul(rounds, NULL, 0) < 60;
    size_t i, lane, k;

    (void)state;
    for (i = LANES; i < n_specimens; i++) {
        for (lane = few ? i % LANES : 0; lane < LANES;
             lane += few ? LANES : 1) {
            for (k = 0; k < LANES; k++) {
                place[k] = alone[k == lane ? i : k];
            }
            all_at_once(LANES, NULL);
        }
    }
}

/* None, and a batch in which none is good. */
static void
extremes(void **state)
{
    size_t i, n = 0;

    (void)state;
    mcx_mikey_open_many(NULL, 0);
    for (i = 0; i < n_specimens && n < BATCH_MAX; i++) {
        if (specimen[i].reason != MCX_R_NONE) {
            put(n++, &specimen[i], false);
        }
    }
    compare(n, NULL, NULL);
}

/* The same message twice, and one that differs in what is not signed: what
 * counts is which of them was good, and first. */
static void
twins(void **state)
{
    static struct specimen bent;
    static const struct {
        size_t good[2], bent;
        mcx_err good_err[2], bent_err;
    } order[] = {
        { { 0, 5 }, 3, { MCX_OK, MCX_E_REPLAY }, MCX_E_REPLAY },
        { { 3, 5 }, 0, { MCX_OK, MCX_E_REPLAY }, MCX_E_AUTH },
        { { 0, 5 }, 7, { MCX_OK, MCX_E_REPLAY }, MCX_E_REPLAY },
        { { 1, 0 }, 7, { MCX_E_REPLAY, MCX_OK }, MCX_E_REPLAY },
    };
    struct mcx_replay *a = NULL, *b = NULL;
    size_t i, k;

    (void)state;
    bent = specimen[0];
    bent.name = "same but for the signature";
    bent.octets[bent.n - 70] ^= 1;
    assert_int_equal(mcx_mikey_parse(&bent.msg, octets_of(&bent), NULL),
                     MCX_OK);
    for (i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_int_equal(mcx_replay_new(&a, 16), MCX_OK);
        assert_int_equal(mcx_replay_new(&b, 16), MCX_OK);
        for (k = 0; k < LANES; k++) {
            put(k, &specimen[k], false);
        }
        put(order[i].good[0], &specimen[0], false);
        put(order[i].good[1], &specimen[0], false);
        put(order[i].bent, &bent, false);
        compare(LANES, a, b);
        for (k = 0; k < 2; k++) {
            assert_int_equal(place[order[i].good[k]].err,
                             order[i].good_err[k]);
        }
        assert_int_equal(place[order[i].bent].err, order[i].bent_err);
        compare(LANES, a, b); /* all of it once more */
        for (k = 0; k < LANES; k++) {
            assert_int_equal(place[k].err, MCX_E_REPLAY);
        }
        mcx_replay_free(a);
        mcx_replay_free(b);
    }
}

/* One that waits for its period key and is resumed within its own batch. */
static void
parked_twins(void **state)
{
    static const bool resume[] = { false, true, false, true };
    struct mcx_replay *a = NULL, *b = NULL;
    const struct specimen *s = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < n_specimens; i++) {
        s = specimen[i].reason == MCX_R_NO_PERIOD_KEY ? &specimen[i] : s;
    }
    assert_non_null(s);
    assert_int_equal(mcx_replay_new(&a, 16), MCX_OK);
    assert_int_equal(mcx_replay_new(&b, 16), MCX_OK);
    for (i = 0; i < LANES; i++) {
        put(i, i < 4 ? s : &specimen[i], i < 4 && resume[i]);
    }
    compare(LANES, a, b);
    for (i = 0; i < 4; i++) {
        assert_int_equal(place[i].err,
                         i == 2 ? MCX_E_REPLAY : MCX_E_NO_PERIOD);
    }
    mcx_replay_free(a);
    mcx_replay_free(b);
}

static uint64_t drawn;

static size_t
draw(size_t below)
{
    drawn = drawn * UINT64_C(6364136223846793005) + 1;
    return (size_t)(drawn >> 33) % below;
}

/* Any of them, in any order, again and again, parked ones resumed, over
 * caches that are large or full. */
static void
at_random(void **state)
{
    const char *seed = getenv("MCX_TEST_SEED");
    const char *more = getenv("MCX_TEST_ROUNDS");
    size_t rounds = more ? strtoul(more, NULL, 0) : 60, i, k;
    size_t opened = 0, replayed = 0, full = 0, refused = 0;
    struct mcx_replay *a = NULL, *b = NULL;

    (void)state;
    drawn = seed ? strtoull(seed, NULL, 0) : 6509;
    print_message("MCX_TEST_SEED=%llu\n", (unsigned long long)drawn);
    for (i = 0; i < rounds; i++) {
        size_t n = 1 + draw(BATCH_MAX);

        if (i % 4 == 0) {
            size_t max = draw(2) ? 1000 : 1 + draw(8);

            mcx_replay_free(a);
            mcx_replay_free(b);
            assert_int_equal(mcx_replay_new(&a, max), MCX_OK);
            assert_int_equal(mcx_replay_new(&b, max), MCX_OK);
        }
        for (k = 0; k < n; k++) {
            put(k, &specimen[draw(n_specimens)], draw(4) == 0);
        }
        compare(n, a, b);
        for (k = 0; k < n; k++) {
            opened += place[k].err == MCX_OK;
            replayed += place[k].why.reason == MCX_R_REPLAYED;
            full += place[k].why.reason == MCX_R_REPLAY_FULL;
            refused += place[k].err != MCX_OK;
        }
    }
    print_message("%zu opened, %zu refused (%zu replayed, %zu no room)\n",
                  opened, refused, replayed, full);
    assert_true(rounds < 60 || (opened && replayed && full));
    mcx_replay_free(a);
    mcx_replay_free(b);
}

/* Threads that open the same messages over one cache: each is opened once,
 * whoever comes first, and refused to all the others. */
enum { THREADS = 4 };
static atomic_uint n_opened, n_replayed;

static void *
opener(void *arg)
{
    struct mcx_key_msg *km = calloc(LANES, sizeof *km);
    struct mcx_open_job job[LANES];
    struct mcx_open how[LANES];
    size_t i;

    assert_non_null(km);
    for (i = 0; i < LANES; i++) {
        how[i] = specimen[i].how;
        how[i].replay = arg;
        job[i] = (struct mcx_open_job){ .msg = &specimen[i].msg,
                                        .how = &how[i], .out = &km[i] };
    }
    mcx_mikey_open_many(job, LANES);
    for (i = 0; i < LANES; i++) {
        atomic_fetch_add(&n_opened, job[i].err == MCX_OK);
        atomic_fetch_add(&n_replayed, job[i].err == MCX_E_REPLAY);
    }
    mcx_wipe(km, LANES * sizeof *km);
    free(km);
    return NULL;
}

static void
threads(void **state)
{
    struct mcx_replay *replay = NULL;
    pthread_t t[THREADS];
    unsigned round;
    size_t i;

    (void)state;
    for (round = 0; round < 4; round++) {
        atomic_store(&n_opened, 0);
        atomic_store(&n_replayed, 0);
        assert_int_equal(mcx_replay_new(&replay, 100), MCX_OK);
        for (i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&t[i], NULL, opener, replay), 0);
        }
        for (i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(t[i], NULL), 0);
        }
        assert_int_equal(atomic_load(&n_opened), LANES);
        assert_int_equal(atomic_load(&n_replayed), (THREADS - 1) * LANES);
        mcx_replay_free(replay);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_itself),
        cmocka_unit_test(every_lane),
        cmocka_unit_test(extremes),
        cmocka_unit_test(twins),
        cmocka_unit_test(parked_twins),
        cmocka_unit_test(at_random),
        cmocka_unit_test(threads),
    };

    return cmocka_run_group_tests_name("mikey-open-many", tests, up, down);
}
