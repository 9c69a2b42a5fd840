/* bench.c -- how long SAKKE, ECCSI and whole messages take on the back-end
 * that MCX_CPU names.
 *
 *   bench-sakke [ROUNDS [wolfssl]]
 *
 * Prints a line a row, as bench.sh collects them: the microseconds of every
 * round, in which all rows take turns.  Two rows are yardsticks that every
 * machine has: mm, OpenSSL's 1024-bit Montgomery product of two different
 * numbers, and r1k, its RSA-1024 private operation.  With "wolfssl" Debian's
 * libwolfssl takes turns too (bench_wolf.c).
 *
 * Compiled with BENCH_COUNT it is bench-count, for make check-counts: under
 * callgrind each row runs once and its instructions are dumped under its
 * name. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include "ident/objects.h"
#include "ident/shared.h"
#include "mikey/test_world.h"
#include "bench.h"
#ifdef BENCH_COUNT
#include <valgrind/callgrind.h>
#endif

enum { MAX_ROUNDS = 101 };

static const char to_new[] = "sip:never-seen@mc.example.org";
static struct mcx_user_key *key;
static struct mcx_ssv ssv = { { 7 } };
static struct mcx_rsk rsk;
static uint8_t enc[MCX_SAKKE_ENC_SIZE], sig[MCX_ECCSI_SIG_SIZE];
static const uint8_t text[600];
static void *lines, *work;
static struct mcx_point_table *table;
/* A signature of a signer each, who were never seen before. */
static struct {
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
} stranger[MAX_ROUNDS + 1];
static int strangers, n_strangers;
static uint8_t message[ROOM];
static size_t message_n;
static BN_CTX *bn;
static BN_MONT_CTX *mont;
static BIGNUM *x, *y, *r;
static EVP_PKEY_CTX *rsa;

static void
do_mm(void)
{
    (void)BN_mod_mul_montgomery(r, x, y, mont, bn);
}

static void
do_r1k(void)
{
    static uint8_t in[128] = { 0, 1 }, out[128];
    size_t n = sizeof out;

    assert_int_equal(EVP_PKEY_sign(rsa, out, &n, in, sizeof in), 1);
}

static void
do_open(void)
{
    struct mcx_ssv found;

    assert_int_equal(mcx_sakke_open(&found, key, mcx_bytes(enc, sizeof enc),
                                    NULL), MCX_OK);
}

/* Eight at once: the row's times are those of all of them. */
static void
do_open_8(void)
{
    static struct mcx_sakke_job job[8];
    int i;

    for (i = 0; i < 8; i++) {
        job[i].enc = mcx_bytes(enc, sizeof enc);
    }
    mcx_sakke_open_many(job, 8, key);
    for (i = 0; i < 8; i++) {
        assert_int_equal(job[i].err, MCX_OK);
    }
}

static void
do_seal_known(void)
{
    uint8_t out[MCX_SAKKE_ENC_SIZE];

    assert_int_equal(mcx_sakke_seal(out, w.pub, mcx_user_key_id(key), &ssv),
                     MCX_OK);
}

static void
do_seal_new(void)
{
    uint8_t out[MCX_SAKKE_ENC_SIZE];

    assert_int_equal(mcx_sakke_seal(out, w.pub, mcx_bytes_str(to_new), &ssv),
                     MCX_OK);
}

static void
do_issue(void)
{
    struct mcx_rsk out;

    assert_int_equal(mcx_kms_rsk(&out, w.master, mcx_user_key_id(key)),
                     MCX_OK);
}

/* With the lines of P and Z that the first key made. */
static void
do_check(void)
{
    assert_int_equal(mcx_sakke_check_rsk(w.pub, mcx_user_key_id(key), &rsk),
                     MCX_OK);
}

static void
do_tables(void)
{
    assert_true(mcx_shared()->ops->lines(lines, rsk.b, work));
    mcx_shared()->ops->table(table, key->point, work);
}

static void
do_sign(void)
{
    uint8_t out[MCX_ECCSI_SIG_SIZE];

    assert_int_equal(mcx_eccsi_sign(out, key, mcx_bytes(text, sizeof text),
                                    &w.te.env), MCX_OK);
}

static void
verify(const uint8_t *s)
{
    assert_int_equal(mcx_eccsi_verify(w.pub, mcx_user_key_id(key),
                                      mcx_bytes(text, sizeof text),
                                      mcx_bytes(s, MCX_ECCSI_SIG_SIZE), NULL),
                     MCX_OK);
}

static void
do_verify_known(void)
{
    verify(sig);
}

/* Each once: a second time it would be known. */
static void
do_verify_new(void)
{
    assert_true(strangers < n_strangers);
    verify(stranger[strangers++].sig);
}

static void
do_build_csk(void)
{
    struct mcx_build how = plan(MCX_KIND_CSK, ALICE, PF);

    message_n = sizeof message;
    assert_int_equal(mcx_mikey_build(message, &message_n, NULL, &how, NULL),
                     MCX_OK);
}

static void
do_open_csk(void)
{
    static struct mcx_mikey_msg m;
    struct mcx_open how = rules(PF, ALICE);
    struct mcx_key_msg km;

    assert_int_equal(mcx_mikey_parse(&m, mcx_bytes(message, message_n), NULL),
                     MCX_OK);
    assert_int_equal(mcx_mikey_open(&km, &m, &how, NULL), MCX_OK);
}

/* Eight at once, of a signer who is known. */
static void
do_open_csk_8(void)
{
    static struct mcx_mikey_msg m[8];
    static struct mcx_key_msg km[8];
    static uint8_t octets[8][ROOM];
    static size_t n[8];
    struct mcx_build plan_csk = plan(MCX_KIND_CSK, ALICE, PF);
    struct mcx_open how = rules(PF, ALICE);
    struct mcx_open_job job[8];
    int i;

    for (i = 0; i < 8; i++) {
        if (n[i] == 0) { /* the first time, which does not count */
            n[i] = ROOM;
            assert_int_equal(mcx_mikey_build(octets[i], &n[i], NULL,
                                             &plan_csk, NULL), MCX_OK);
        }
        assert_int_equal(mcx_mikey_parse(&m[i], mcx_bytes(octets[i], n[i]),
                                         NULL), MCX_OK);
        job[i] = (struct mcx_open_job){ .msg = &m[i], .how = &how,
                                        .out = &km[i] };
    }
    mcx_mikey_open_many(job, 8);
    for (i = 0; i < 8; i++) {
        assert_int_equal(job[i].err, MCX_OK);
    }
}

static const struct bench_row row[] = {
    { "mm", do_mm, 500, 1 },
    { "r1k", do_r1k, 5, 1 },
    { "sakke_decapsulate", do_open, 2, 1 },
    { "sakke_decapsulate_8", do_open_8, 1, 2 },
    { "sakke_encapsulate_known", do_seal_known, 4, 1 },
    { "sakke_encapsulate_new", do_seal_new, 3, 1 },
    { "sakke_issue_rsk", do_issue, 4, 1 },
    { "sakke_check_rsk", do_check, 1, 5 },
    { "sakke_tables_rsk", do_tables, 1, 10 },
    { "eccsi_sign", do_sign, 5, 1 },
    { "eccsi_verify_new", do_verify_new, 1, 1 },
    { "eccsi_verify_known", do_verify_known, 5, 1 },
    { "imessage_build_csk", do_build_csk, 2, 1 },
    { "imessage_open_csk", do_open_csk, 2, 1 },
    { "imessage_open_csk_8", do_open_csk_8, 1, 2 },
};
enum { N_ROWS = sizeof row / sizeof row[0] };

static void
yardsticks(void)
{
    EVP_PKEY *pair = EVP_RSA_gen(1024);
    BIGNUM *p = BN_bin2bn(mcx_sakke_p, MCX_FP_SIZE, NULL);

    bn = BN_CTX_new();
    mont = BN_MONT_CTX_new();
    x = BN_bin2bn(mcx_sakke_px, MCX_FP_SIZE, NULL);
    y = BN_bin2bn(mcx_sakke_py, MCX_FP_SIZE, NULL);
    r = BN_new();
    assert_true(pair && p && bn && mont && x && y && r
                && BN_MONT_CTX_set(mont, p, bn));
    rsa = EVP_PKEY_CTX_new(pair, NULL);
    assert_true(rsa && EVP_PKEY_sign_init(rsa) == 1
                && EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_NO_PADDING) == 1);
    BN_free(p);
    EVP_PKEY_free(pair);
}

/* Signers that share a name and differ in PVT, which is enough. */
static void
meet(int n)
{
    for (; n_strangers < n; n_strangers++) {
        struct mcx_user_key *other = issue(BOB, w.no);

        assert_int_equal(mcx_eccsi_sign(stranger[n_strangers].sig, other,
                                        mcx_bytes(text, sizeof text),
                                        &w.te.env), MCX_OK);
        mcx_user_key_free(other);
        assert_true(n_strangers == 0
                    || memcmp(stranger[n_strangers].sig,
                              stranger[n_strangers - 1].sig,
                              MCX_ECCSI_SIG_SIZE) != 0);
    }
}

static void
set_up(void)
{
    struct mcx_uid uid;

    yardsticks();
    (void)world_up(NULL);
    key = issue(BOB, w.no);
    assert_int_equal(mcx_kms_rsk(&rsk, w.master, mcx_user_key_id(key)),
                     MCX_OK);
    assert_int_equal(mcx_sakke_seal(enc, w.pub, mcx_user_key_id(key), &ssv),
                     MCX_OK);
    assert_int_equal(mcx_eccsi_sign(sig, key, mcx_bytes(text, sizeof text),
                                    &w.te.env), MCX_OK);
    assert_int_equal(mcx_sakke_prepare(w.pub, mcx_user_key_id(key)), MCX_OK);
    assert_int_equal(mcx_uid(&uid, mcx_bytes_str(PF), mcx_bytes_str(KMS),
                             &w.info.period, w.no), MCX_OK);
    assert_int_equal(mcx_sakke_prepare(w.pub, mcx_bytes(uid.b, 32)), MCX_OK);
    do_verify_known(); /* from the second time on the signer is known */
    do_verify_known();
    do_verify_known();
    lines = mcx_big_new(mcx_shared()->ops->lines_size);
    work = mcx_big_new(MCX_WORK_SIZE);
    table = mcx_big_new(sizeof *table);
    assert_true(lines && work && table);
    do_build_csk();
    do_open_csk();
    do_open_csk();
    do_open_csk();
}

#ifdef BENCH_COUNT
int
main(void)
{
    int i;

    set_up();
    meet(2);
    for (i = 0; i < N_ROWS; i++) {
        row[i].run(); /* whatever is done once is done */
        CALLGRIND_START_INSTRUMENTATION;
        CALLGRIND_ZERO_STATS;
        row[i].run();
        CALLGRIND_DUMP_STATS_AT(row[i].name);
        CALLGRIND_STOP_INSTRUMENTATION;
    }
    return strcmp(mcx_shared()->ops->name, "portable") != 0;
}
#else
/* Room for the times of a row. */
static struct { int n; double us[MAX_ROUNDS]; } taken[32];

static double
now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void
measure(int at, const struct bench_row *what)
{
    double start = now_us();
    int i;

    for (i = 0; i < what->times; i++) {
        what->run();
    }
    taken[at].us[taken[at].n++] = (now_us() - start) / what->times;
}

static void
print(int at, const char *name, const char *backend)
{
    int i;

    (void)printf("{\"name\": \"%s\", \"backend\": \"%s\", \"us\": [",
                 name, backend);
    for (i = 0; i < taken[at].n; i++) {
        (void)printf("%s%.3f", i ? ", " : "", taken[at].us[i]);
    }
    (void)printf("]}\n");
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 51;
    const struct bench_row *wolf = NULL;
    int i, j, n_wolf = 0;

    rounds = rounds < 1 || rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    set_up();
    meet(rounds + 1);
#ifdef BENCH_WOLFSSL
    if (argc > 2 && strcmp(argv[2], "wolfssl") == 0) {
        wolf = bench_wolf(&n_wolf);
    }
#endif
    assert_true(N_ROWS + n_wolf <= (int)(sizeof taken / sizeof taken[0]));
    for (j = 0; j < N_ROWS; j++) {
        row[j].run(); /* what is made at first use is made */
    }
    for (i = 0; i < rounds; i++) {
        for (j = 0; j < N_ROWS + n_wolf; j++) {
            const struct bench_row *what = j < N_ROWS ? &row[j]
                                           : &wolf[j - N_ROWS];

            if (i % what->every == 0) {
                measure(j, what);
            }
        }
    }
    for (j = 0; j < N_ROWS; j++) {
        print(j, row[j].name, mcx_shared()->ops->name);
    }
    for (j = 0; j < n_wolf; j++) {
        print(N_ROWS + j, wolf[j].name, "wolfssl");
    }
    return 0;
}
#endif
