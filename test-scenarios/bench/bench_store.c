/* bench_store.c -- what module store costs: look-ups, commits, the start with
 * many bindings, memory of a binding.
 *
 *   bench_store [BINDINGS]
 *
 * Prints figures, as bench.sh describes them, for `make bench` and
 * `make bench-store`.  Works in a folder of its own below the current one and
 * takes it away again.  Keys are staged as a function stages them: on threads
 * that wait for the disk. */
#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "store.h"

enum { THREADS = 8, EACH = 250, LOOKS = 200000, NAMES = 50000,
       FILE_LOOKS = 5000, SINGLE = 200 };

static uint32_t many = 100000;
static char dir[] = "bench-store.XXXXXX";
static char path[64], kek[64];
static struct mcx_store_config config;
static struct mcx_keys *keys;
static struct mcx_replay *replay;
static struct store *host;

static void
must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_store: %s\n", what);
        exit(1);
    }
}

static void
row(const char *name, double value, const char *unit)
{
    (void)printf("{\"figure\": \"store_%s\", \"unit\": \"%s\", "
                 "\"value\": %.6g}\n", name, unit, value);
    (void)fflush(stdout);
}

static double
now_s(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Octets of resident memory. */
static double
resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0, all = 0;

    must(f && fscanf(f, "%ld %ld", &all, &pages) == 2, "/proc/self/statm");
    (void)fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- bindings by number ------------------------------------------------ */

static void
owner_of(struct mcx_key_owner *owner, uint32_t no)
{
    memset(owner, 0, sizeof *owner);
    (void)snprintf(owner->impu, sizeof owner->impu, "sip:user%u@ims.test",
                   (unsigned)no);
    (void)snprintf(owner->mc_id, sizeof owner->mc_id, "sip:user%u@mcx.test",
                   (unsigned)no);
    (void)snprintf(owner->client_id, sizeof owner->client_id,
                   "urn:uuid:00000000-0000-0000-0000-%012u", (unsigned)no);
}

static uint32_t
id_of(uint32_t no)
{
    return UINT32_C(2) << 28 | (no & 0xfffffff);
}

static mcx_err
stage(uint32_t no, struct mcx_key **key)
{
    MCX_SECRET(mcx_key_msg, km);
    struct mcx_key_owner owner;

    owner_of(&owner, no);
    memset(&km.key, (int)(1 + no % 255), sizeof km.key);
    km.kind = MCX_KIND_CSK;
    km.key_id = km.csb_id = id_of(no);
    km.rand_n = 16;
    km.sp.encr_alg = 6;
    km.sp.key_size = 16;
    km.sp.salt_size = 12;
    (void)snprintf(km.initiator, sizeof km.initiator, "%s", owner.mc_id);
    (void)snprintf(km.responder, sizeof km.responder, "sip:pf.mcx.test");
    return mcx_keys_stage(keys, &km, &owner, key, NULL);
}

/* ---- the host's side --------------------------------------------------- */

static void
open_host(void)
{
    struct mcx_text text;

    must(mcx_keys_new(&keys, config.env, 2 * many + 100000) == MCX_OK
             && mcx_replay_new(&replay, 100000) == MCX_OK,
         "out of memory");
    if (store_new(&host, &config, keys, replay, &text) != MCX_OK) {
        must(false, text.s);
    }
}

static void
close_host(void)
{
    store_free(host);
    mcx_keys_free(keys);
    mcx_replay_free(replay);
}

static void *
writer(void *arg)
{
    uint32_t first = *(const uint32_t *)arg, i;

    for (i = 0; i < EACH; i++) {
        struct mcx_key *key;

        must(stage(first + i, &key) == MCX_OK
                 && mcx_key_commit(key) == MCX_OK, "a key was not kept");
        mcx_key_unref(key);
    }
    return NULL;
}

/* Keys a second when several requests are judged at once, and when one is
 * judged after the other. */
static void
commits(void)
{
    pthread_t thread[THREADS];
    uint32_t first[THREADS], i;
    double start;

    open_host();
    start = now_s();
    for (i = 0; i < THREADS; i++) {
        first[i] = many + i * EACH;
        must(pthread_create(&thread[i], NULL, writer, &first[i]) == 0,
             "no thread");
    }
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
    }
    must(mcx_keys_sync(keys) == MCX_OK, "sync");
    row("keys_kept_8_threads", THREADS * EACH / (now_s() - start),
        "per_second");
    start = now_s();
    for (i = 0; i < SINGLE; i++) {
        struct mcx_key *key;

        must(stage(many + 100000 + i, &key) == MCX_OK
                 && mcx_key_commit(key) == MCX_OK, "a key was not kept");
        mcx_key_unref(key);
    }
    must(mcx_keys_sync(keys) == MCX_OK, "sync");
    row("keys_kept_1_thread", SINGLE / (now_s() - start), "per_second");
    start = now_s();
    for (i = 0; i < SINGLE; i++) {
        uint8_t digest[32] = { 0 };

        memcpy(digest, &i, sizeof i);
        must(mcx_replay_enter(replay, digest, 1, 300000, false, false)
                 == MCX_OK, "a replay entry was not kept");
    }
    row("replay_entries_1_thread", SINGLE / (now_s() - start), "per_second");
    close_host();
}

enum way { BY_ID, BY_MC, BY_IMPU };
static const char *const way_word[] = { "id", "mc_id", "impu" };

static void
look_ups(enum way way)
{
    static char text[NAMES][48];
    static uint32_t number[NAMES];
    uint32_t i, no = 12345;
    double start;
    char name[40];

    for (i = 0; i < NAMES; i++) {
        no = no * 1664525u + 1013904223u;
        number[i] = (no >> 8) % many;
        (void)snprintf(text[i], sizeof text[i], "sip:user%u@%s.test",
                       (unsigned)number[i], way == BY_MC ? "mcx" : "ims");
    }
    start = now_s();
    for (i = 0; i < LOOKS; i++) {
        const char *who = text[i % NAMES];
        struct mcx_key *key;

        key = way == BY_ID ? mcx_keys_by_id(keys, MCX_KIND_CSK,
                                            id_of(number[i % NAMES]))
              : way == BY_MC
                  ? mcx_keys_current(keys, MCX_KIND_CSK, NULL, who)
                  : mcx_keys_current(keys, MCX_KIND_CSK, who, NULL);
        must(key != NULL, "a key is missing");
        mcx_key_unref(key);
    }
    (void)snprintf(name, sizeof name, "lookups_by_%s", way_word[way]);
    row(name, LOOKS / (now_s() - start), "per_second");
}

/* ---- the file ---------------------------------------------------------- */

static struct mcx_store_db *
open_file(void)
{
    struct mcx_store_db *db;
    struct mcx_text text;

    if (mcx_store_open(&db, &config, &text) != MCX_OK) {
        must(false, text.s);
    }
    return db;
}

static void
fill(void)
{
    MCX_SECRET(mcx_key_record, rec);
    struct mcx_store_db *db = open_file();
    double start = now_s();
    uint32_t no;

    must(store_begin(db) == MCX_OK, "begin");
    for (no = 0; no < many; no++) {
        int64_t at;

        owner_of(&rec.owner, no);
        memset(&rec.key, (int)(1 + no % 255), sizeof rec.key);
        rec.kind = MCX_KIND_CSK;
        rec.key_id = rec.csb_id = id_of(no);
        rec.state = MCX_KEY_ACTIVE;
        rec.sp.encr_alg = 6;
        rec.sp.key_size = 16;
        rec.sp.salt_size = 12;
        rec.rand_n = 16;
        memcpy(rec.initiator, rec.owner.mc_id, sizeof rec.initiator);
        (void)snprintf(rec.responder, sizeof rec.responder,
                       "sip:pf.mcx.test");
        must(store_key_put(db, &rec, &at) == MCX_OK, "put");
    }
    must(store_end(db, MCX_OK) == MCX_OK, "commit");
    row("rows_written", many / (now_s() - start), "per_second");
    mcx_store_close(db);
}

static void
count(void *arg, const struct mcx_store_key *key)
{
    (void)key;
    ++*(uint32_t *)arg;
}

static void
file_look_ups(struct mcx_store_db *db, enum way way)
{
    uint32_t i, found = 0, no = 4711 % many;
    double start = now_s();
    char name[40];

    for (i = 0; i < FILE_LOOKS; i++) {
        struct mcx_store_find find = { .by_id = way == BY_ID,
                                       .kind = MCX_KIND_CSK };
        struct mcx_key_owner owner;

        no = (no * 2654435761u + 1) % many;
        owner_of(&owner, no);
        find.key_id = id_of(no);
        find.mc_id = way == BY_MC ? owner.mc_id : NULL;
        find.impu = way == BY_IMPU ? owner.impu : NULL;
        must(mcx_store_each(db, &find, count, &found, NULL) == MCX_OK,
             "look-up");
    }
    must(found == FILE_LOOKS, "a row is missing");
    (void)snprintf(name, sizeof name, "file_lookups_by_%s", way_word[way]);
    row(name, FILE_LOOKS / (now_s() - start), "per_second");
}

static void
whole_file(void)
{
    struct mcx_store_config to = config;
    struct mcx_store_head head;
    struct mcx_store_db *db;
    struct mcx_text text;
    double start;
    int i;

    db = open_file();
    for (i = BY_ID; i <= BY_IMPU; i++) {
        file_look_ups(db, (enum way)i);
    }
    start = now_s();
    must(mcx_store_check(db, &text) == MCX_OK, text.s);
    row("check_all_rows", now_s() - start, "s");
    start = now_s();
    must(mcx_store_log_verify(db, NULL, &head, &text) == MCX_OK, text.s);
    row("log_entries_verified", (double)head.seq / (now_s() - start),
        "per_second");
    mcx_store_close(db);
    config.exclusive = true;
    db = open_file();
    config.exclusive = false;
    start = now_s();
    must(mcx_store_rekey(db, &to, &text) == MCX_OK, text.s);
    row("rekey_all_rows", now_s() - start, "s");
    mcx_store_close(db);
}

static void
begin(void)
{
    const struct mcx_env *env = mcx_env_system();
    uint8_t octets[32];

    must(mkdtemp(dir) != NULL, "no folder to work in");
    (void)snprintf(path, sizeof path, "%s/keys.db", dir);
    (void)snprintf(kek, sizeof kek, "%s/kek", dir);
    must(env->random(env->ctx, octets, sizeof octets) == MCX_OK
             && env->write_file(env->ctx, kek, mcx_bytes(octets, 32), 0600)
                    == MCX_OK,
         "no key file");
    config.env = env;
    config.path = path;
    config.key_file = kek;
    config.by = "bench";
    config.create = true;
    config.log_entries = MCX_STORE_LOG_ENTRIES;
    config.log_files = MCX_STORE_LOG_FILES;
}

static void
end(void)
{
    static const char *const tails[] = { "", "-wal", "-shm" };
    char name[96];
    size_t i;

    for (i = 0; i < sizeof tails / sizeof *tails; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, tails[i]);
        (void)unlink(name);
    }
    (void)unlink(kek);
    must(rmdir(dir) == 0, "the folder is not empty");
}

int
main(int argc, char **argv)
{
    double start, before;
    struct stat st;
    int i;

    if (argc > 1) {
        many = (uint32_t)strtoul(argv[1], NULL, 10);
        must(many >= 100 && many <= 10000000, "100 to 10,000,000 bindings");
    }
    begin();
    fill();
    row("bindings", many, "keys");
    before = resident();
    start = now_s();
    open_host();
    row("start", now_s() - start, "s");
    row("memory_per_binding", (resident() - before) / many, "octets");
    must(stat(path, &st) == 0, path);
    row("file_per_binding", (double)st.st_size / many, "octets");
    for (i = BY_ID; i <= BY_IMPU; i++) {
        look_ups((enum way)i);
    }
    close_host();
    commits();
    whole_file();
    end();
    return 0;
}
