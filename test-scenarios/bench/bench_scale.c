/* bench_scale.c -- what make bench says beyond single operations, for the
 * back-end that MCX_CPU names: messages opened per second by one and by two
 * threads, those of a registration storm one by one and eight at once (every
 * signer a new one), and the memory that an own identity (before and after it
 * first opens), a peer, a signer and a KMS keep.
 *
 *   bench-scale [SECONDS]
 *
 * Prints a line a figure, as bench.sh collects them.  Memory is what the
 * process's resident set grew by, all tables and guard pages included. */
#include <config.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "ident/objects.h"
#include "ident/shared.h"
#include "ident/signers.h"
#include "mikey/test_world.h"

enum { MANY = 8, SIGNERS = 256, THREADS = 2, ROUNDS = 5, STORM = 32 };

static uint8_t message[ROOM];
static size_t message_n;
static double seconds = 0.3;

static void
figure(const char *name, const char *unit, double value)
{
    (void)printf("{\"figure\": \"%s\", \"backend\": \"%s\", \"unit\": "
                 "\"%s\", \"value\": %.0f}\n", name, mcx_shared()->ops->name,
                 unit, value);
}

static double
seconds_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
now_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static double
cpu_s(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

struct worker { pthread_t thread; double until; long opened; };

static void *
work(void *arg)
{
    struct worker *me = arg;
    struct mcx_open how = rules(PF, ALICE);
    struct mcx_mikey_msg m;
    struct mcx_key_msg km;

    do {
        if (mcx_mikey_parse(&m, mcx_bytes(message, message_n), NULL) != MCX_OK
            || mcx_mikey_open(&km, &m, &how, NULL) != MCX_OK) {
            abort();
        }
        me->opened++;
    } while (now_s() < me->until);
    return NULL;
}

/* Messages a second, by the clock and of processor time: the second is what
 * threads cost each other where others use the machine as well. */
struct rate { double wall, cpu; };

static struct rate
open_with(int threads)
{
    struct worker worker[THREADS];
    double start = now_s(), cpu = cpu_s();
    long n = 0;
    int i;

    for (i = 0; i < threads; i++) {
        worker[i].until = start + seconds;
        worker[i].opened = 0;
        assert_int_equal(pthread_create(&worker[i].thread, NULL, work,
                                        &worker[i]), 0);
    }
    for (i = 0; i < threads; i++) {
        assert_int_equal(pthread_join(worker[i].thread, NULL), 0);
        n += worker[i].opened;
    }
    return (struct rate){ (double)n / (now_s() - start),
                          (double)n / (cpu_s() - cpu) };
}

/* The best of rounds that take turns, for others use the machine too. */
static void
threads(void)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);
    struct rate best[THREADS + 1] = { 0 };
    int i, j;

    message_n = sizeof message;
    assert_int_equal(mcx_mikey_build(message, &message_n, NULL, &how, NULL),
                     MCX_OK);
    for (i = 0; i < ROUNDS; i++) {
        for (j = 1; j <= THREADS; j++) {
            struct rate now = open_with(j);

            best[j].wall = now.wall > best[j].wall ? now.wall : best[j].wall;
            best[j].cpu = now.cpu > best[j].cpu ? now.cpu : best[j].cpu;
        }
    }
    figure("opens_1_thread", "per_second", best[1].wall);
    figure("opens_2_threads", "per_second", best[2].wall);
    figure("opens_1_thread_cpu", "per_cpu_second", best[1].cpu);
    figure("opens_2_threads_cpu", "per_cpu_second", best[2].cpu);
}

/* ---- a registration storm ---------------------------------------------- */

/* One message of a client each. */
static struct {
    char from[40];
    uint8_t octets[ROOM];
    struct mcx_mikey_msg msg;
    struct mcx_open how;
} client[STORM];

static void
gather(void)
{
    int i;

    for (i = 0; i < STORM; i++) {
        struct mcx_build how = plan(MCX_KIND_CSK, client[i].from, PF);
        struct mcx_bytes b;

        (void)snprintf(client[i].from, sizeof client[i].from,
                       "sip:client%d@mc.example.org", i);
        give(w.ring, client[i].from, w.no);
        b = build(client[i].octets, &how, NULL);
        assert_int_equal(mcx_mikey_parse(&client[i].msg, b, NULL), MCX_OK);
        client[i].how = rules(PF, client[i].from);
    }
}

/* All of them, 'n' at once, of signers not seen before: messages per second
 * of processor time. */
static double
open_storm(int n)
{
    static struct mcx_key_msg km[MANY];
    struct mcx_open_job job[MANY];
    double start;
    int i, j;

    mcx_signers_forget(w.pub->signers);
    start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (i = 0; i < STORM; i += n) {
        for (j = 0; j < n; j++) {
            job[j] = (struct mcx_open_job){ .msg = &client[i + j].msg,
                                            .how = &client[i + j].how,
                                            .out = &km[j] };
        }
        mcx_mikey_open_many(job, (size_t)n);
        for (j = 0; j < n; j++) {
            assert_int_equal(job[j].err, MCX_OK);
        }
    }
    return STORM / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start);
}

static void
storm(void)
{
    static const struct { const char *name; int n; } way[] = {
        { "opens_storm_1_by_1", 1 },
        { "opens_storm_8_at_once", MANY },
    };
    double best[2] = { 0 };
    int i, j;

    gather();
    (void)open_storm(1); /* tables that are made at first use are made */
    for (i = 0; i < ROUNDS; i++) {
        for (j = 0; j < 2; j++) {
            double now = open_storm(way[j].n);

            best[j] = now > best[j] ? now : best[j];
        }
    }
    for (j = 0; j < 2; j++) {
        figure(way[j].name, "per_cpu_second", best[j]);
    }
}

/* ---- memory ------------------------------------------------------------ */

/* Octets of the resident set, without what is free in it. */
static double
resident(void)
{
    long all = 0, pages = 0;
    FILE *f;

    (void)malloc_trim(0);
    f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &all, &pages), 2);
    (void)fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* One KMS more with a key of its own, which takes what a KMS makes at the
 * first key. */
static struct mcx_kms_pub *
another_kms(void)
{
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_bytes id = mcx_bytes_str("of another KMS");
    struct mcx_user_key *key = NULL;
    struct mcx_kms_pub *pub = NULL;

    mcx_kms_master_public(z, kpak, w.master);
    assert_int_equal(mcx_kms_pub_new(&pub, mcx_bytes(z, sizeof z),
                                     mcx_bytes(kpak, sizeof kpak), NULL),
                     MCX_OK);
    assert_int_equal(mcx_kms_master_issue(w.master, id, &rsk, &ssk, pvt,
                                          &w.te.env), MCX_OK);
    assert_int_equal(mcx_user_key_new(&key, pub, id, &rsk, &ssk, pvt, NULL),
                     MCX_OK);
    mcx_user_key_free(key);
    return pub;
}

static const char *
name_of(const char *kind, int i)
{
    static char uri[40];

    (void)snprintf(uri, sizeof uri, "sip:%s%d@mc.example.org", kind, i);
    return uri;
}

static void
memory(void)
{
    static struct mcx_user_key *key[MANY];
    static struct mcx_kms_pub *pub[MANY];
    double before;
    int i;

    mcx_user_key_free(issue(name_of("first", 0), w.no));
    before = resident();
    for (i = 0; i < MANY; i++) {
        key[i] = issue(name_of("own", i), w.no);
    }
    figure("memory_own_identity", "octets", (resident() - before) / MANY);
    for (i = 0; i < MANY; i++) {
        assert_int_equal(mcx_user_key_prepare(key[i]), MCX_OK);
    }
    figure("memory_own_that_opens", "octets", (resident() - before) / MANY);
    before = resident();
    for (i = 0; i < MANY; i++) {
        assert_int_equal(mcx_sakke_prepare(
                             w.pub, mcx_bytes_str(name_of("peer", i))),
                         MCX_OK);
    }
    figure("memory_cached_peer", "octets", (resident() - before) / MANY);
    before = resident();
    for (i = 0; i < SIGNERS; i++) {
        assert_int_equal(mcx_eccsi_prepare(
                             w.pub, mcx_bytes_str(name_of("signer", i)),
                             key[0]->pvt), MCX_OK);
    }
    figure("memory_known_signer", "octets", (resident() - before) / SIGNERS);
    before = resident();
    for (i = 0; i < MANY; i++) {
        pub[i] = another_kms();
    }
    figure("memory_kms", "octets", (resident() - before) / MANY);
    for (i = 0; i < MANY; i++) {
        mcx_user_key_free(key[i]);
        mcx_kms_pub_free(pub[i]);
    }
}

int
main(int argc, char **argv)
{
    double before = resident();

    seconds = argc > 1 ? strtod(argv[1], NULL) : seconds;
    assert_non_null(mcx_shared());
    figure("memory_process", "octets", resident() - before);
    (void)world_up(NULL);
    memory();
    threads();
    storm();
    (void)world_down(NULL);
    return 0;
}
