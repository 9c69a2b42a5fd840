/* bench.c -- how long SAKKE, ECCSI and whole messages take on the back-end
 * that MCX_CPU names.  Prints the rows of bench.sh's results.json: median,
 * least and most of rounds in which all rows take turns, in microseconds and
 * as multiples of two things every machine has, measured in the same rounds:
 * mm, OpenSSL's 1024-bit Montgomery product of two different numbers, and
 * r1k, its RSA-1024 private operation. */
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

enum { MAX_ROUNDS = 101 };

static const char to_new[] = "sip:never-seen@mc.example.org";
static struct mcx_user_key *key;
static struct mcx_ssv ssv = { { 7 } };
static struct mcx_rsk rsk;
static uint8_t enc[MCX_SAKKE_ENC_SIZE], sig[MCX_ECCSI_SIG_SIZE];
static const uint8_t text[600];
static void *lines, *work;
static struct mcx_point_table *table;
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
    uint8_t point[MCX_SAKKE_PT_SIZE];

    assert_int_equal(mcx_sakke_check_rsk(point, w.pub, mcx_user_key_id(key),
                                         &rsk), MCX_OK);
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
do_verify(void)
{
    assert_int_equal(mcx_eccsi_verify(w.pub, mcx_user_key_id(key),
                                      mcx_bytes(text, sizeof text),
                                      mcx_bytes(sig, sizeof sig), NULL),
                     MCX_OK);
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

static struct row {
    const char *name;
    void (*run)(void);
    int times, every; /* runs in a round; rounds in which it runs */
    int n;
    double us[MAX_ROUNDS];
} row[] = {
    { .name = "mm", .run = do_mm, .times = 500, .every = 1 },
    { .name = "r1k", .run = do_r1k, .times = 5, .every = 1 },
    { .name = "sakke_decapsulate", .run = do_open, 2, 1 },
    { .name = "sakke_encapsulate_known", .run = do_seal_known, 4, 1 },
    { .name = "sakke_encapsulate_new", .run = do_seal_new, 3, 1 },
    { .name = "sakke_issue_rsk", .run = do_issue, 4, 1 },
    { .name = "sakke_check_rsk", .run = do_check, 1, 5 },
    { .name = "sakke_tables_rsk", .run = do_tables, 1, 10 },
    { .name = "eccsi_sign", .run = do_sign, 5, 1 },
    { .name = "eccsi_verify_new", .run = do_verify, 5, 1 },
    { .name = "eccsi_verify_known", .run = do_verify, 5, 1 },
    { .name = "imessage_build_csk", .run = do_build_csk, 2, 1 },
    { .name = "imessage_open_csk", .run = do_open_csk, 2, 1 },
};
enum { N_ROWS = sizeof row / sizeof row[0] };

static double
now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int
by_size(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;

    return (p > q) - (p < q);
}

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
    lines = mcx_big_new(mcx_shared()->ops->lines_size);
    work = mcx_big_new(MCX_WORK_SIZE);
    table = mcx_big_new(sizeof *table);
    assert_true(lines && work && table);
    do_build_csk();
}

static void
measure(struct row *at)
{
    double start = now_us();
    int i;

    for (i = 0; i < at->times; i++) {
        at->run();
    }
    at->us[at->n++] = (now_us() - start) / at->times;
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 51;
    int i, j;

    rounds = rounds < 1 || rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    set_up();
    for (i = 0; i < rounds; i++) {
        for (j = 0; j < N_ROWS; j++) {
            if (i % row[j].every == 0) {
                measure(&row[j]);
            }
        }
    }
    for (j = 0; j < N_ROWS; j++) {
        qsort(row[j].us, (size_t)row[j].n, sizeof row[j].us[0], by_size);
    }
    for (j = 0; j < N_ROWS; j++) {
        double median = row[j].us[row[j].n / 2];

        (void)printf("{\"name\": \"%s\", \"backend\": \"%s\", "
                     "\"median_us\": %.2f, \"min_us\": %.2f, "
                     "\"max_us\": %.2f, \"mm\": %.1f, \"r1k\": %.2f}\n",
                     row[j].name, mcx_shared()->ops->name, median,
                     row[j].us[0], row[j].us[row[j].n - 1],
                     median / row[0].us[row[0].n / 2],
                     median / row[1].us[row[1].n / 2]);
    }
    return 0;
}
