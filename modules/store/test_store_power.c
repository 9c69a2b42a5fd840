/* test_store_power.c -- what was acknowledged is there, whatever happened: a
 * writer killed at a random moment (KILLS times), power lost at a random
 * write or sync with part of the unsynced writes lost (CUTS times), a full
 * disk.  MCX_TEST_SEED repeats a run; MCX_TEST_ROUNDS lengthens it.
 *
 * Each key goes from staged over active to dropped.  A level is asked for and
 * then acknowledged; after the accident the level that is found lies between
 * the last one acknowledged and the last one asked for. */
#include <config.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "test_kit.h"
#include "test_vfs.h"

enum { KILLS = 200, CUTS = 250, MAX_KEYS = 40000, CHECKED = 60 };
enum level { NONE, STAGED, ACTIVE, GONE };

struct model {
    uint8_t asked[MAX_KEYS], kept[MAX_KEYS];
    uint8_t replay_asked[MAX_KEYS], replay_kept[MAX_KEYS];
    uint32_t next; /* first number that was not used */
};
static struct model model;
static uint32_t seed = 1;

static uint32_t
draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 16;
}

static int
rounds(int fallback)
{
    const char *s = getenv("MCX_TEST_ROUNDS");

    return s ? atoi(s) : fallback;
}

static void
digest_of(uint8_t out[32], uint32_t no)
{
    memset(out, 0x11, 32);
    memcpy(out, &no, sizeof no);
}

/* ---- the work ---------------------------------------------------------- */

/* Says what is asked and what is kept. */
typedef void note_f(void *arg, uint32_t no, bool kept, bool replay,
                    enum level level);

/* One message: replay entry, staged key, committed, dropped or not.  false as
 * soon as something fails. */
static bool
one_key(struct kit *k, uint32_t no, note_f *note, void *arg)
{
    struct mcx_key *key = NULL;
    uint8_t digest[32];
    bool ok;

    digest_of(digest, no);
    note(arg, no, false, true, NONE);
    if (mcx_replay_enter(k->replay, digest, kit_unix_ms,
                         kit_unix_ms + 3000000, false, false) != MCX_OK) {
        return false;
    }
    note(arg, no, true, true, NONE);
    note(arg, no, false, false, STAGED);
    if (kit_stage(k, MCX_KIND_CSK, no, 0, &key) != MCX_OK) {
        return false;
    }
    note(arg, no, true, false, STAGED);
    note(arg, no, false, false, ACTIVE);
    ok = mcx_key_commit(key) == MCX_OK
         && (no % 4 != 0 || mcx_keys_sync(k->keys) == MCX_OK);
    if (ok && no % 4 == 0) {
        note(arg, no, true, false, ACTIVE);
        note(arg, no, false, false, GONE);
        mcx_key_drop(key);
        ok = no % 8 != 0 || mcx_keys_sync(k->keys) == MCX_OK;
        if (ok && no % 8 == 0) {
            note(arg, no, true, false, GONE);
        }
    }
    mcx_key_unref(key);
    return ok;
}

static void
to_model(void *arg, uint32_t no, bool kept, bool replay, enum level level)
{
    (void)arg;
    assert_true(no < MAX_KEYS);
    if (replay) {
        (kept ? model.replay_kept : model.replay_asked)[no] = 1;
    } else {
        (kept ? model.kept : model.asked)[no] = (uint8_t)level;
    }
    if (no >= model.next) {
        model.next = no + 1;
    }
}

/* ---- the judgment ------------------------------------------------------ */

static void
check(struct kit *k)
{
    struct store_numbers numbers;
    uint32_t no = model.next > CHECKED ? model.next - CHECKED : 0;

    /* On the disk that does not really sync: looking need not be safe. */
    k->config.vfs = TEST_VFS;
    test_vfs_cut_after(0);
    kit_open(k);
    store_numbers(k->store, &numbers);
    assert_int_equal(numbers.bad, 0);
    for (; no < model.next; no++) {
        int state = kit_state(k, MCX_KIND_CSK, no);
        enum level found = state == MCX_KEY_STAGED   ? STAGED
                           : state == MCX_KEY_ACTIVE ? ACTIVE
                           : model.asked[no] == GONE ? GONE
                                                     : NONE;
        uint8_t digest[32];
        bool seen;

        if (found < (enum level)model.kept[no]
            || found > (enum level)model.asked[no]) {
            fail_msg("key %u: %d found, %d kept, %d asked, seed %u",
                     (unsigned)no, (int)found, model.kept[no],
                     model.asked[no], (unsigned)seed);
        }
        model.kept[no] = model.asked[no] = (uint8_t)found;
        digest_of(digest, no);
        seen = mcx_replay_look(k->replay, digest, kit_unix_ms, false)
               == MCX_E_REPLAY;
        if (seen < model.replay_kept[no] || seen > model.replay_asked[no]) {
            fail_msg("replay %u: %d found, %d kept, seed %u", (unsigned)no,
                     seen, model.replay_kept[no], (unsigned)seed);
        }
        /* A staged key was never acknowledged before its message was. */
        assert_true(found == NONE || seen);
        model.replay_kept[no] = model.replay_asked[no] = seen;
    }
    kit_close(k);
    kit_log_good(k);
    k->config.vfs = NULL;
}

/* ---- kill -------------------------------------------------------------- */

struct said {
    uint32_t no;
    uint8_t kept, replay, level, pad;
};

static void
to_pipe(void *arg, uint32_t no, bool kept, bool replay, enum level level)
{
    struct said s = { no, kept, replay, (uint8_t)level, 0 };

    if (write(*(int *)arg, &s, sizeof s) != (ssize_t)sizeof s) {
        _exit(9);
    }
}

static void
victim(struct kit *k, int fd)
{
    uint32_t no = model.next;
    struct said ready = { UINT32_MAX, 0, 0, 0, 0 };

    /* A killed process loses nothing that the system has: the sync is left
     * out, which makes for more keys in the time. */
    k->config.vfs = TEST_VFS;
    if (kit_try(k) != MCX_OK
        || write(fd, &ready, sizeof ready) != (ssize_t)sizeof ready) {
        _exit(8);
    }
    while (one_key(k, no++, to_pipe, &fd)) {
    }
    _exit(7);
}

static void
test_kill(void **state)
{
    int i, n = rounds(KILLS);
    struct kit k;

    (void)state;
    kit_init(&k);
    memset(&model, 0, sizeof model);
    for (i = 0; i < n; i++) {
        struct timespec ts = { 0, (long)(draw() % 5000) * 1000 };
        uint32_t steps = draw() % 12; /* progress, on a slow machine too */
        struct said s;
        pid_t child;
        int fds[2], status;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(fds[0]);
            victim(&k, fds[1]);
        }
        (void)close(fds[1]);
        /* One in five dies while it opens the store. */
        if (i % 5 != 0) {
            assert_int_equal(read(fds[0], &s, sizeof s), sizeof s);
            for (; steps > 0; steps--) {
                assert_int_equal(read(fds[0], &s, sizeof s), sizeof s);
                to_model(NULL, s.no, s.kept, s.replay, (enum level)s.level);
            }
        }
        (void)nanosleep(&ts, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(fds[0], &s, sizeof s) == (ssize_t)sizeof s) {
            if (s.no != UINT32_MAX) {
                to_model(NULL, s.no, s.kept, s.replay,
                         (enum level)s.level);
            }
        }
        (void)close(fds[0]);
        check(&k);
    }
    print_message("%d kills, %u keys\n", n, (unsigned)model.next);
    assert_true(model.next > 1);
    kit_fini(&k);
}

/* ---- power ------------------------------------------------------------- */

static void
test_cut(void **state)
{
    int i, n = rounds(CUTS), in_open = 0;
    struct kit k;

    (void)state;
    kit_init(&k);
    memset(&model, 0, sizeof model);
    for (i = 0; i < n; i++) {
        uint32_t no = model.next;

        k.config.vfs = TEST_VFS;
        test_vfs_cut_after(1 + (long)(draw() % 90));
        if (kit_try(&k) == MCX_OK) {
            while (one_key(&k, no++, to_model, NULL)) {
            }
            kit_close(&k);
        } else {
            in_open++;
        }
        test_vfs_power_back(draw());
        check(&k);
    }
    print_message("%d cuts, %d of them while opening, %u keys\n", n, in_open,
                  (unsigned)model.next);
    assert_true(in_open < n);
    kit_fini(&k);
}

/* Power is lost while the store is made: it can be made afterwards. */
static void
test_cut_making(void **state)
{
    struct kit k;
    long at;

    (void)state;
    for (at = 1; at < 40; at++) {
        kit_init(&k);
        k.config.vfs = TEST_VFS;
        test_vfs_cut_after(at);
        if (kit_try(&k) == MCX_OK) {
            kit_close(&k);
        }
        test_vfs_power_back(draw());
        memset(&model, 0, sizeof model);
        check(&k);
        kit_fini(&k);
    }
}

/* ---- a full disk ------------------------------------------------------- */

static void
test_full(void **state)
{
    struct mcx_key *key, *active;
    uint32_t no = 1, n = 0;
    uint8_t digest[32] = "full";
    struct kit k;
    long octets;

    (void)state;
    for (octets = 0; octets < 120000; octets += 45000) {
        kit_init(&k);
        k.config.vfs = TEST_VFS;
        test_vfs_cut_after(0);
        kit_open(&k);
        active = kit_key(&k, MCX_KIND_GMK, 1);
        assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
        test_vfs_room(octets);
        for (no = 1;; no++) {
            mcx_err err = kit_stage(&k, MCX_KIND_CSK, no, 0, &key);

            if (err != MCX_OK) {
                assert_int_equal(err, MCX_E_IO);
                assert_null(key);
                break;
            }
            mcx_key_unref(key);
        }
        n += no - 1;
        assert_int_equal(mcx_keys_count(k.keys), no);
        test_vfs_room(0);
        assert_int_equal(mcx_replay_enter(k.replay, digest, kit_unix_ms,
                                          kit_unix_ms + 1000, false, false),
                         MCX_E_IO);
        /* A change of state waits; who asks is told. */
        mcx_key_retire(active);
        assert_int_equal(mcx_keys_sync(k.keys), MCX_E_IO);
        test_vfs_room(-1);
        assert_int_equal(mcx_replay_enter(k.replay, digest, kit_unix_ms,
                                          kit_unix_ms + 1000, false, false),
                         MCX_OK);
        assert_int_equal(mcx_keys_sync(k.keys), MCX_OK);
        mcx_key_unref(active);
        kit_close(&k);
        test_vfs_power_back(draw());
        k.config.vfs = NULL;
        kit_open(&k);
        assert_int_equal(mcx_keys_count(k.keys), no);
        assert_int_equal(kit_state(&k, MCX_KIND_GMK, 1), MCX_KEY_RETIRED);
        kit_close(&k);
        kit_log_good(&k);
        kit_fini(&k);
    }
    print_message("%u keys before the disk was full\n", (unsigned)n);
    assert_true(n > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_making),
        cmocka_unit_test(test_full),
    };
    const char *s = getenv("MCX_TEST_SEED");

    seed = s ? (uint32_t)strtoul(s, NULL, 10) : (uint32_t)time(NULL);
    print_message("MCX_TEST_SEED=%u\n", (unsigned)seed);
    test_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
