/* test_store_rekey.c -- a store under another key-encryption key, and an audit
 * log in several files: everything is there afterwards, nothing opens with the
 * old key, a process killed at any moment (KILLS times) leaves all of the old
 * or all of the new.  MCX_TEST_SEED repeats a run, MCX_TEST_ROUNDS is another
 * number of kills. */
#include <config.h>
#include <signal.h>
#include <sys/wait.h>
#include "test_kit.h"
#include "test_vfs.h"

enum { KILLS = 60 };

static uint32_t seed = 1;

static uint32_t
draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 16;
}

/* ---- another key ------------------------------------------------------- */

static mcx_err
element_wrap(void *ctx, struct mcx_bytes in, uint8_t *out, size_t *n)
{
    size_t i;

    for (i = 0; i < in.n; i++) {
        out[i] = (uint8_t)(in.p[i] ^ *(uint8_t *)ctx);
    }
    out[in.n] = *(uint8_t *)ctx;
    *n = in.n + 1;
    return MCX_OK;
}

static mcx_err
element_unwrap(void *ctx, struct mcx_bytes in, uint8_t *out, size_t *n)
{
    size_t i;

    if (in.n == 0 || in.p[in.n - 1] != *(uint8_t *)ctx) {
        return MCX_E_AUTH;
    }
    *n = in.n - 1;
    for (i = 0; i < *n; i++) {
        out[i] = (uint8_t)(in.p[i] ^ *(uint8_t *)ctx);
    }
    return MCX_OK;
}

static uint8_t element = 0x5a;
static const struct mcx_store_kek kek = { sizeof kek, &element, element_wrap,
                                          element_unwrap };

/* What a store is opened with: 0 the first key file, 1 a second one, 2 a
 * passphrase, 3 a secure element. */
static void
source(struct kit *k, struct mcx_store_config *c, int which)
{
    static char path[128];

    c->key_file = c->passphrase_file = NULL;
    c->kek = NULL;
    c->scrypt_log2_n = 10;
    if (which == 3) {
        c->kek = &kek;
    } else if (which == 0) {
        c->key_file = k->key_file;
    } else {
        (void)snprintf(path, sizeof path, "%s/%s", k->dir,
                       which == 1 ? "kek2" : "pass");
        assert_int_equal(k->env.write_file(NULL, path, mcx_bytes_str(
                             "a key file, or a passphrase, ok?"), 0600),
                         MCX_OK);
        *(which == 1 ? &c->key_file : &c->passphrase_file) = path;
    }
}

static mcx_err
rekey(struct kit *k, int to)
{
    struct mcx_store_config config = { .env = &k->env };
    struct mcx_store_db *db;
    mcx_err err;

    k->config.exclusive = true;
    err = mcx_store_open(&db, &k->config, &k->text);
    k->config.exclusive = false;
    MCX_TRY(err);
    source(k, &config, to);
    err = mcx_store_rekey(db, &config, &k->text);
    mcx_store_close(db);
    return err;
}

static void
fill(struct kit *k, struct mcx_store_head *head)
{
    uint8_t digest[32] = "seen";
    struct mcx_store_db *db;
    uint32_t i;

    kit_open(k);
    for (i = 1; i <= 20; i++) {
        mcx_key_unref(kit_key(k, MCX_KIND_CSK, i));
    }
    assert_int_equal(mcx_keys_revoke(k->keys, MCX_KIND_CSK,
                                     kit_id(MCX_KIND_CSK, 20)), 1);
    assert_int_equal(mcx_replay_enter(k->replay, digest, kit_unix_ms,
                                      kit_unix_ms + 300000, false, false),
                     MCX_OK);
    kit_close(k);
    db = kit_db(k);
    assert_int_equal(mcx_store_log_verify(db, NULL, head, &k->text), MCX_OK);
    mcx_store_close(db);
}

static void
all_there(struct kit *k, const struct mcx_store_head *noted)
{
    uint8_t digest[32] = "seen";
    struct store_numbers n;
    struct mcx_store_find find = { .mc_id = "sip:mc7@mcx.test" };
    struct mcx_store_head head;
    struct mcx_store_db *db;
    struct mcx_key *key;
    mcx_err err;
    uint32_t i;

    kit_open(k);
    store_numbers(k->store, &n);
    assert_false(n.tampered);
    assert_int_equal(n.bad, 0);
    assert_int_equal(n.keys, 19);
    for (i = 1; i < 20; i++) {
        assert_int_equal(kit_state(k, MCX_KIND_CSK, i), MCX_KEY_ACTIVE);
    }
    assert_int_equal(kit_stage(k, MCX_KIND_CSK, 20, 0, &key), MCX_E_EXPIRED);
    assert_int_equal(mcx_replay_look(k->replay, digest, kit_unix_ms, false),
                     MCX_E_REPLAY);
    kit_close(k);
    db = kit_db(k);
    err = mcx_store_log_verify(db, noted, &head, &k->text);
    if (err != MCX_OK) {
        print_error("%s\n", k->text.s);
    }
    assert_int_equal(err, MCX_OK);
    i = 0;
    assert_int_equal(mcx_store_each(db, &find, count_key, &i, NULL), MCX_OK);
    assert_int_equal(i, 1); /* found by its new hash */
    mcx_store_close(db);
}

static void
test_sources(void **state)
{
    static const int ways[] = { 1, 2, 3, 0 };
    struct mcx_store_head head;
    uint8_t body[1024];
    struct kit k;
    size_t i, n;
    int before = 0;

    (void)state;
    kit_init(&k);
    fill(&k, &head);
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        n = sql_blob(&k, "SELECT body FROM key WHERE row = 3", body,
                     sizeof body);
        assert_true(on_disk(&k, body, n));
        assert_int_equal(rekey(&k, ways[i]), MCX_OK);
        assert_false(on_disk(&k, body, n));
        source(&k, &k.config, before);
        refused(&k, before >= 2 || ways[i] >= 2 ? MCX_E_CONFIG : MCX_E_AUTH,
                before >= 2 || ways[i] >= 2 ? "made with" : "wrong key");
        before = ways[i];
        source(&k, &k.config, before);
        all_there(&k, &head);
    }
    kit_fini(&k);
}

/* Who has the old key, an older copy of the file and so the keys of that, can
 * do nothing with the new one: the sealed values are under other keys. */
static void
test_old_copy(void **state)
{
    struct mcx_store_head head;
    struct store_numbers n;
    char saved[128], line[512];
    struct kit k;

    (void)state;
    kit_init(&k);
    (void)snprintf(saved, sizeof saved, "%s/copy.db", k.dir);
    fill(&k, &head);
    copy(k.path, saved);
    assert_int_equal(rekey(&k, 1), MCX_OK);
    source(&k, &k.config, 1);
    (void)snprintf(line, sizeof line, "ATTACH '%s' AS old; DELETE FROM key;"
                   "INSERT INTO key SELECT * FROM old.key;", saved);
    sql(&k, line);
    kit_open(&k);
    store_numbers(k.store, &n);
    assert_true(n.tampered);
    assert_int_equal(mcx_keys_count(k.keys), 0);
    kit_close(&k);
    source(&k, &k.config, 0);
    (void)snprintf(line, sizeof line, "ATTACH '%s' AS old; INSERT OR REPLACE"
                   " INTO meta SELECT * FROM old.meta WHERE name <> 'head'",
                   saved);
    sql(&k, line);
    kit_open(&k);
    store_numbers(k.store, &n);
    assert_true(n.tampered);
    assert_int_equal(mcx_keys_count(k.keys), 0);
    kit_fini(&k);
}

/* Not while somebody else has it open; not when rows are not what they were;
 * not to a key that cannot be had.  Nothing changes then. */
static void
test_not_now(void **state)
{
    struct mcx_store_config to = { .key_file = "/nonexistent/kek" };
    struct mcx_store_config none = { .key_file = NULL };
    uint8_t sealed[8192];
    size_t n;
    struct mcx_store_head head;
    struct mcx_store_db *db;
    struct kit k;

    (void)state;
    kit_init(&k);
    fill(&k, &head);
    kit_open(&k);
    assert_int_equal(rekey(&k, 1), MCX_E_BUSY);
    assert_non_null(strstr(k.text.s, "open in another process"));
    kit_close(&k);
    db = kit_db(&k);
    assert_int_equal(mcx_store_rekey(db, &to, &k.text), MCX_E_STATE);
    assert_int_equal(mcx_store_rekey(db, &none, &k.text), MCX_E_CONFIG);
    mcx_store_close(db);
    k.config.exclusive = true;
    db = kit_db(&k);
    k.config.exclusive = false;
    assert_int_equal(mcx_store_rekey(db, &to, &k.text), MCX_E_CONFIG);
    assert_non_null(strstr(k.text.s, "/nonexistent/kek: cannot be read"));
    /* And the connection goes on with the old keys. */
    assert_int_equal(mcx_store_log_add(db, MCX_STORE_EXPORTED, 0), MCX_OK);
    mcx_store_close(db);
    all_there(&k, &head);
    /* A note that a key was revoked, damaged where the sum does not look. */
    n = sql_blob(&k, "SELECT sealed FROM tomb", sealed, sizeof sealed);
    sealed[n / 2] ^= 1;
    sql_set(&k, "UPDATE tomb SET sealed = ?", sealed, n);
    assert_int_equal(rekey(&k, 1), MCX_E_AUTH);
    sealed[n / 2] ^= 1;
    sql_set(&k, "UPDATE tomb SET sealed = ?", sealed, n);
    all_there(&k, &head);
    sql(&k, "DELETE FROM key WHERE row = 3");
    assert_int_equal(rekey(&k, 1), MCX_E_AUTH);
    assert_non_null(strstr(k.text.s, "somebody without the key"));
    kit_open(&k); /* with the old key */
    kit_fini(&k);
}

/* ---- killed ------------------------------------------------------------ */

static void
test_kill(void **state)
{
    const char *rounds = getenv("MCX_TEST_ROUNDS");
    int i, at = 0, turned = 0, n = rounds ? atoi(rounds) : KILLS;
    struct mcx_store_head head;
    struct kit k;

    (void)state;
    kit_init(&k);
    fill(&k, &head);
    for (i = 0; i < n; i++) {
        /* From before the first page is written to after the last. */
        struct timespec ts = { 0, (long)(draw() % 500) * 1000 };
        struct mcx_store_db *db;
        int status, fds[2];
        pid_t child;
        char c;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct mcx_store_config config = { .env = &k.env };

            k.config.exclusive = true;
            k.config.vfs = TEST_VFS; /* killed, not cut: no syncs needed */
            if (mcx_store_open(&db, &k.config, &k.text) != MCX_OK) {
                _exit(1);
            }
            source(&k, &config, 1 - at);
            if (write(fds[1], "x", 1) != 1
                || mcx_store_rekey(db, &config, &k.text) != MCX_OK) {
                _exit(2);
            }
            mcx_store_close(db);
            for (;;) {
                (void)pause();
            }
        }
        (void)close(fds[1]);
        assert_int_equal(read(fds[0], &c, 1), 1);
        (void)close(fds[0]);
        (void)nanosleep(&ts, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        /* One of the two opens it. */
        source(&k, &k.config, 1 - at);
        if (mcx_store_open(&db, &k.config, &k.text) == MCX_OK) {
            mcx_store_close(db);
            at = 1 - at;
            turned++;
        } else {
            assert_non_null(strstr(k.text.s, "wrong key"));
            source(&k, &k.config, at);
        }
        k.config.vfs = TEST_VFS;
        all_there(&k, &head);
        k.config.vfs = NULL;
    }
    print_message("%d kills, %d of them too late\n", n, turned);
    kit_fini(&k);
}

/* Power is lost at each write and sync of a change of key. */
static void
test_cut(void **state)
{
    struct mcx_store_head head;
    struct kit k;
    int at = 0, turned = 0;
    long cut;

    (void)state;
    kit_init(&k);
    fill(&k, &head);
    k.config.vfs = TEST_VFS;
    for (cut = 1; cut < 60; cut++) {
        struct mcx_store_db *db;

        test_vfs_cut_after(cut);
        (void)rekey(&k, 1 - at);
        test_vfs_power_back(draw());
        source(&k, &k.config, 1 - at);
        if (mcx_store_open(&db, &k.config, &k.text) == MCX_OK) {
            mcx_store_close(db);
            at = 1 - at;
            turned++;
        } else {
            source(&k, &k.config, at);
        }
        test_vfs_cut_after(0);
        all_there(&k, &head);
    }
    print_message("59 cuts, %d of them too late\n", turned);
    assert_true(turned > 0 && turned < 59);
    test_vfs_cut_after(0);
    kit_fini(&k);
}

/* ---- the log in files -------------------------------------------------- */

static void
segment(const struct kit *k, char out[128], unsigned long first)
{
    (void)snprintf(out, 128, "%s.log-%010lu", k->path, first);
}

/* 'n' files of 'each' entries, and some rows. */
static void
fill_files(struct kit *k, unsigned n, unsigned each)
{
    struct mcx_store_db *db = kit_db(k);
    unsigned i, j;

    for (i = 0; i < n; i++) {
        /* The rotation makes an entry of its own in the next part, and the
         * first part has one of the making. */
        for (j = 1; j < each; j++) {
            assert_int_equal(mcx_store_log_add(db, MCX_STORE_EXPORTED, j),
                             MCX_OK);
        }
        assert_int_equal(mcx_store_log_rotate(db, true), MCX_OK);
    }
    assert_int_equal(mcx_store_log_add(db, MCX_STORE_EXPORTED, 77), MCX_OK);
    mcx_store_close(db);
}

struct seen {
    uint64_t first, last, n;
};

static void
on_event(void *arg, const struct mcx_store_event *e)
{
    struct seen *s = arg;

    s->first = s->n == 0 ? e->seq : s->first;
    assert_true(s->n == 0 || e->seq == s->last + 1);
    s->last = e->seq;
    s->n++;
}

/* Changes octet 'at' of a file; negative: from the end. */
static void
flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, f), c ^ 1);
    assert_int_equal(fclose(f), 0);
}

static void
test_files(void **state)
{
    struct mcx_store_head first, head;
    struct mcx_store_db *db;
    struct seen seen = { 0, 0, 0 };
    char path[128], other[128], saved[128];
    struct stat st;
    struct kit k;
    size_t n;
    char *p;

    (void)state;
    kit_init(&k);
    k.config.log_files = 10;
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_verify(db, NULL, &first, &k.text),
                     MCX_OK);
    mcx_store_close(db);
    fill_files(&k, 3, 10);
    db = kit_db(&k);
    assert_int_equal(sql_number(&k, "SELECT min(seq) FROM log"), 31);
    assert_int_equal(mcx_store_log_verify(db, &first, &head, &k.text),
                     MCX_OK);
    assert_int_equal(head.seq, 32);
    assert_int_equal(mcx_store_log_each(db, 0, on_event, &seen), MCX_OK);
    assert_int_equal(seen.n, 32);
    seen.n = 0;
    assert_int_equal(mcx_store_log_each(db, 14, on_event, &seen), MCX_OK);
    assert_int_equal(seen.first, 15);
    assert_int_equal(seen.n, 18);
    mcx_store_close(db);
    /* A change of key goes through all of it. */
    assert_int_equal(rekey(&k, 1), MCX_OK);
    source(&k, &k.config, 1);
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_verify(db, &head, &first, &k.text),
                     MCX_OK);
    mcx_store_close(db);
    /* Every edit is found. */
    segment(&k, path, 11);
    segment(&k, other, 21);
    (void)snprintf(saved, sizeof saved, "%s/copy.db", k.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    p = slurp(path, &n);
    assert_null(memmem(p, n, "test", 4));
    free(p);
    copy(path, saved);
    flip(path, 0);
    log_wrong(&k, NULL, "entry 11: was changed, with its file");
    copy(saved, path);
    flip(path, 30);
    log_wrong(&k, NULL, "entry 11: was changed, with its file");
    copy(saved, path);
    flip(path, 39); /* the number of the last: past the next file's first */
    log_wrong(&k, NULL, "entry ");
    copy(saved, path);
    flip(path, 47);
    log_wrong(&k, NULL, "entry 11: is missing");
    copy(saved, path);
    flip(path, 80);
    log_wrong(&k, NULL, "entry 11: was changed");
    copy(saved, path);
    flip(path, -40);
    log_wrong(&k, NULL, "entry 20: was changed");
    copy(saved, path);
    flip(path, -1);
    log_wrong(&k, NULL, "entry 20: was changed");
    copy(saved, path);
    assert_int_equal(truncate(path, (off_t)n - 1), 0);
    log_wrong(&k, NULL, "entry 20: is missing");
    assert_int_equal(truncate(path, 40), 0);
    log_wrong(&k, NULL, "entry 11: is missing");
    assert_int_equal(truncate(path, 20), 0);
    log_wrong(&k, NULL, "entry 11: was changed, with its file");
    copy(other, path);
    log_wrong(&k, NULL, "entry 11: was changed, with its file");
    assert_int_equal(unlink(path), 0);
    log_wrong(&k, NULL, "entry 11: is missing, with its file");
    copy(saved, path);
    assert_int_equal(chmod(path, 0600), 0);
    kit_log_good(&k);
    (void)unlink(path);
    segment(&k, path, 1);
    (void)unlink(path);
    (void)unlink(other);
    kit_fini(&k);
}

/* As many files as the setting says; the oldest go, and are not missed, and
 * nobody can take one more. */
static void
test_bounded(void **state)
{
    struct mcx_store_head noted, head;
    struct mcx_store_db *db;
    struct seen seen = { 0, 0, 0 };
    char path[128];
    struct kit k;
    unsigned i;

    (void)state;
    kit_init(&k);
    k.config.log_files = 2;
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_verify(db, NULL, &noted, &k.text),
                     MCX_OK);
    mcx_store_close(db);
    fill_files(&k, 5, 10);
    for (i = 1; i <= 41; i += 10) {
        segment(&k, path, i);
        assert_int_equal(access(path, F_OK) == 0, i >= 31);
    }
    kit_log_good(&k);
    log_wrong(&k, &noted, "entry 1: was noted, and has been rotated out");
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_verify(db, NULL, &head, &k.text), MCX_OK);
    assert_int_equal(head.seq, 52);
    assert_int_equal(mcx_store_log_each(db, 0, on_event, &seen), MCX_OK);
    assert_int_equal(seen.first, 31);
    assert_int_equal(seen.last, 52);
    mcx_store_close(db);
    segment(&k, path, 31);
    assert_int_equal(unlink(path), 0);
    log_wrong(&k, NULL, "entry 31: is missing");
    /* Without files the older part is let go. */
    k.config.log_files = 0;
    db = kit_db(&k);
    assert_int_equal(mcx_store_log_rotate(db, true), MCX_OK);
    mcx_store_close(db);
    kit_log_good(&k);
    segment(&k, path, 41);
    (void)unlink(path);
    kit_fini(&k);
}

/* The host rotates by itself, and a cut of power at any moment loses no entry
 * and no file. */
static void
test_host_rotates(void **state)
{
    struct kit k;
    char path[128];
    unsigned long i;
    long cut;
    int tries;

    (void)state;
    kit_init(&k);
    k.config.log_entries = 12;
    k.config.log_files = 100;
    kit_open(&k);
    for (i = 0; i < 20; i++) {
        mcx_key_unref(kit_key(&k, MCX_KIND_PCK, (uint32_t)i));
    }
    segment(&k, path, 1);
    for (tries = 0; tries < 40 && access(path, F_OK) != 0; tries++) {
        nap(100);
    }
    assert_int_equal(access(path, F_OK), 0);
    kit_close(&k);
    kit_log_good(&k);
    k.config.vfs = TEST_VFS;
    for (cut = 1; cut < 30; cut++) {
        struct mcx_store_db *db;

        test_vfs_cut_after(cut);
        if (mcx_store_open(&db, &k.config, &k.text) == MCX_OK) {
            for (i = 0; i < 3; i++) {
                (void)!mcx_store_log_add(db, MCX_STORE_EXPORTED, 1);
            }
            (void)!mcx_store_log_rotate(db, true);
            mcx_store_close(db);
        }
        test_vfs_power_back(draw());
        test_vfs_cut_after(0);
        kit_log_good(&k);
    }
    for (i = 1; i < 1000; i++) {
        segment(&k, path, i);
        (void)unlink(path);
    }
    kit_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_old_copy),
        cmocka_unit_test(test_not_now),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_host_rotates),
    };
    const char *s = getenv("MCX_TEST_SEED");

    seed = s ? (uint32_t)strtoul(s, NULL, 10) : (uint32_t)time(NULL);
    print_message("MCX_TEST_SEED=%u\n", (unsigned)seed);
    test_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
