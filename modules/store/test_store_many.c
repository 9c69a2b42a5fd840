/* test_store_many.c -- 100,000 CSK bindings: start within a second, look-ups
 * by CSK-ID, MC ID and IMPU in microseconds, memory of a binding, commits per
 * second.  Times are printed, not asserted: the machine may be busy.  Memory
 * is asserted, except under sanitizers. */
#include <config.h>
#include <malloc.h>
#include <pthread.h>
#include <time.h>
#include "test_kit.h"

enum { LOOKS = 20000, WRITERS = 8, WRITES = 40 };

static uint32_t many = 100000;
static bool judge_memory = true;

static double
now_s(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Octets of resident memory; 0: not to be had. */
static double
resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0, all = 0;

    if (f) {
        if (fscanf(f, "%ld %ld", &all, &pages) != 2) {
            pages = 0;
        }
        (void)fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Writes the bindings in one go, as the writer's thread would. */
static void
fill(struct kit *k)
{
    MCX_SECRET(mcx_key_record, rec);
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_store_db *db = kit_db(k);
    uint32_t no;

    assert_int_equal(store_begin(db), MCX_OK);
    for (no = 0; no < many; no++) {
        int64_t row;

        kit_message(&km, &rec.owner, MCX_KIND_CSK, no);
        rec.key = km.key;
        rec.kind = km.kind;
        rec.key_id = rec.csb_id = km.key_id;
        rec.state = MCX_KEY_ACTIVE;
        rec.t_unix_ms = rec.since_unix_ms = kit_unix_ms;
        rec.sp = km.sp;
        rec.rand_n = 16;
        memcpy(rec.rand, km.rand, 16);
        memcpy(rec.initiator, km.initiator, sizeof rec.initiator);
        memcpy(rec.responder, km.responder, sizeof rec.responder);
        assert_int_equal(store_key_put(db, &rec, &row), MCX_OK);
    }
    assert_int_equal(store_end(db, MCX_OK), MCX_OK);
    mcx_store_close(db);
}

enum way { BY_ID, BY_MC, BY_IMPU };

static double
look(struct kit *k, enum way way)
{
    double start = now_s();
    uint32_t i, no = 12345 % many;

    for (i = 0; i < LOOKS; i++) {
        char text[64];
        struct mcx_key *key;

        no = (no * 2654435761u + 1) % many;
        (void)snprintf(text, sizeof text, "sip:%s%u@mcx.test",
                       way == BY_MC ? "mc" : "impu", (unsigned)no);
        key = way == BY_ID
                  ? mcx_keys_by_id(k->keys, MCX_KIND_CSK,
                                   kit_id(MCX_KIND_CSK, no))
              : way == BY_MC ? mcx_keys_current(k->keys, MCX_KIND_CSK, NULL,
                                                text)
                             : mcx_keys_current(k->keys, MCX_KIND_CSK, text,
                                                NULL);
        assert_non_null(key);
        mcx_key_unref(key);
    }
    return (now_s() - start) * 1e6 / LOOKS;
}

static void
none(void *arg, const struct mcx_store_key *key)
{
    (void)key;
    ++*(uint32_t *)arg;
}

/* The same in the file, as mcx-keys does. */
static double
look_file(struct kit *k, enum way way)
{
    struct mcx_store_db *db = kit_db(k);
    uint32_t i, found = 0, no = 4711 % many, n = 2000;
    double start = now_s(), took;

    for (i = 0; i < n; i++) {
        struct mcx_store_find find = { .by_id = way == BY_ID,
                                       .kind = MCX_KIND_CSK };
        char text[64];

        no = (no * 2654435761u + 1) % many;
        (void)snprintf(text, sizeof text, "sip:%s%u@mcx.test",
                       way == BY_MC ? "mc" : "impu", (unsigned)no);
        find.key_id = kit_id(MCX_KIND_CSK, no);
        find.mc_id = way == BY_MC ? text : NULL;
        find.impu = way == BY_IMPU ? text : NULL;
        assert_int_equal(mcx_store_each(db, &find, none, &found, NULL),
                         MCX_OK);
    }
    took = (now_s() - start) * 1e6 / n;
    assert_int_equal(found, n);
    mcx_store_close(db);
    return took;
}

static void
test_many(void **state)
{
    double start, took, before, after, us[3];
    struct store_numbers n;
    struct stat st;
    struct kit k;

    (void)state;
    kit_init(&k);
    start = now_s();
    fill(&k);
    print_message("%u bindings written in %.2f s\n", (unsigned)many,
                  now_s() - start);
    before = resident();
    start = now_s();
    kit_open(&k);
    took = now_s() - start;
    after = resident();
    store_numbers(k.store, &n);
    assert_int_equal(n.keys, many);
    assert_int_equal(n.bad, 0);
    print_message("start with them: %.2f s\n", took);
    assert_int_equal(stat(k.path, &st), 0);
    print_message("a binding: %.0f octets of memory, %.0f in the file\n",
                  (after - before) / many, (double)st.st_size / many);
    if (judge_memory) {
        assert_true((after - before) / many < 2048);
    }
    us[0] = look(&k, BY_ID);
    us[1] = look(&k, BY_MC);
    us[2] = look(&k, BY_IMPU);
    print_message("look-up: by ID %.2f, by MC ID %.2f, by IMPU %.2f us\n",
                  us[0], us[1], us[2]);
    assert_int_equal(kit_state(&k, MCX_KIND_CSK, many - 1), MCX_KEY_ACTIVE);
    kit_close(&k);
    us[0] = look_file(&k, BY_ID);
    us[1] = look_file(&k, BY_MC);
    us[2] = look_file(&k, BY_IMPU);
    print_message("in the file: by ID %.1f, by MC ID %.1f, by IMPU %.1f us\n",
                  us[0], us[1], us[2]);
    kit_fini(&k);
}

struct job_of {
    struct kit *k;
    uint32_t first;
    double loop_us; /* the longest commit, which the loop would see */
};

static void *
writer_main(void *arg)
{
    struct job_of *w = arg;
    uint32_t i;

    for (i = 0; i < WRITES; i++) {
        struct mcx_key *key;
        double start, took;

        if (kit_stage(w->k, MCX_KIND_CSK, w->first + i, 0, &key) != MCX_OK) {
            return arg;
        }
        start = now_s();
        if (mcx_key_commit(key) != MCX_OK) {
            return arg;
        }
        took = (now_s() - start) * 1e6;
        w->loop_us = took > w->loop_us ? took : w->loop_us;
        mcx_key_unref(key);
    }
    return NULL;
}

static void
test_rate(void **state)
{
    struct job_of w[WRITERS];
    pthread_t thread[WRITERS];
    struct store_numbers n;
    double start, took, longest = 0;
    struct kit k;
    uint32_t i;

    (void)state;
    kit_init(&k);
    kit_open(&k);
    start = now_s();
    for (i = 0; i < WRITERS; i++) {
        w[i] = (struct job_of){ &k, i * 1000, 0 };
        assert_int_equal(pthread_create(&thread[i], NULL, writer_main, &w[i]),
                         0);
    }
    for (i = 0; i < WRITERS; i++) {
        void *failed;

        assert_int_equal(pthread_join(thread[i], &failed), 0);
        assert_null(failed);
        longest = w[i].loop_us > longest ? w[i].loop_us : longest;
    }
    took = now_s() - start;
    store_numbers(k.store, &n);
    print_message("%d threads: %.0f keys staged and committed a second, "
                  "%.1f in a transaction; longest commit %.0f us\n", WRITERS,
                  WRITERS * WRITES / took,
                  WRITERS * WRITES / (double)n.commits, longest);
    assert_int_equal(mcx_keys_count(k.keys), WRITERS * WRITES);
    kit_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_rate),
    };

    /* Slow builds: fewer of them. */
    if (getenv("MCX_TEST_ROUNDS")) {
        many = 5000;
        judge_memory = false;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    many = 20000;
    judge_memory = false;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
