/* test_base.c -- floor 0: base64, hexadecimal, times, cursors, errors, the
 * log, guarded memory, and the system's files. */
#include <config.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_secret.h>
#include "base/rd.h"
#include "base/wr.h"

/* ---- base64 and hexadecimal -------------------------------------------- */

static void
test_b64_refused(void **state)
{
    static const struct { const char *s; size_t offset; } bad[] = {
        { "A", 1 },       { "AAAAA", 5 },    { "AB", 1 },     { "AAB", 2 },
        { "AB==", 1 },    { "AAB=", 2 },     { "AA=", 2 },    { "AAA==", 3 },
        { "AAAA=", 4 },   { "AAAA==", 4 },   { "AAAA====", 4 },
        { "=", 0 },       { "==", 0 },       { "====", 0 },   { "A===", 1 },
        { "AA A", 2 },    { "AAAA\n", 4 },   { "\nAAAA", 0 }, { " AAAA", 0 },
        { "AAAA ", 4 },   { "AA=A", 2 },     { "AA-A", 2 },   { "AA_A", 2 },
        { "AA.A", 2 },    { "AA\xc3\xa9", 2 }, { "AA==AAAA", 2 },
    };
    uint8_t out[16];
    struct mcx_why why;
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        n = sizeof out;
        why.reason = MCX_R_NONE;
        if (mcx_b64_decode(out, &n, mcx_bytes_str(bad[i].s), &why)
                != MCX_E_MALFORMED
            || why.reason != MCX_R_ENCODING || why.offset != bad[i].offset
            || n != sizeof out) {
            fail_msg("\"%s\" at %zu", bad[i].s, why.offset);
        }
    }
    n = sizeof out;
    assert_int_equal(mcx_b64_decode(out, &n, mcx_bytes("AA\0A", 4), NULL),
                     MCX_E_MALFORMED);
}

static void
test_b64(void **state)
{
    uint8_t in[70], out[80];
    char text[120];
    size_t size, i;

    (void)state;
    for (i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i * 151 + 13);
    }
    for (size = 0; size <= sizeof in; size++) {
        size_t n = sizeof out, room, pads;

        assert_int_equal(mcx_b64_encode(text, MCX_B64_SIZE(size),
                                        mcx_bytes(in, size)), MCX_OK);
        assert_int_equal(strlen(text) + 1, MCX_B64_SIZE(size));
        assert_int_equal(mcx_b64_encode(text, MCX_B64_SIZE(size) - 1,
                                        mcx_bytes(in, size)), MCX_E_TOOBIG);
        assert_int_equal(mcx_b64_decode(out, &n, mcx_bytes_str(text), NULL),
                         MCX_OK);
        assert_int_equal(n, size);
        assert_memory_equal(out, in, size);
        /* Without its padding, and into less room than it takes. */
        pads = (3 - size % 3) % 3;
        n = size;
        assert_int_equal(mcx_b64_decode(out, &n,
                                        mcx_bytes(text, strlen(text) - pads),
                                        NULL), MCX_OK);
        assert_int_equal(n, size);
        for (room = 0; room < size; room++) {
            n = room;
            assert_int_equal(mcx_b64_decode(out, &n, mcx_bytes_str(text),
                                            NULL), MCX_E_TOOBIG);
        }
    }
    assert_int_equal(mcx_b64_encode(text, sizeof text, mcx_bytes("fooba", 5)),
                     MCX_OK);
    assert_string_equal(text, "Zm9vYmE="); /* RFC 4648 10 */
    assert_int_equal(mcx_b64_encode(text, sizeof text,
                                    mcx_bytes("\xfb\xff\xfe", 3)), MCX_OK);
    assert_string_equal(text, "+//+");
}

static void
test_hex(void **state)
{
    uint8_t out[2];
    char text[5];
    struct mcx_why why;
    int c;

    (void)state;
    assert_int_equal(mcx_hex_encode(text, 5, mcx_bytes("\x0f\xa9", 2)),
                     MCX_OK);
    assert_string_equal(text, "0fa9");
    assert_int_equal(mcx_hex_encode(text, 4, mcx_bytes("\x0f\xa9", 2)),
                     MCX_E_TOOBIG);
    assert_int_equal(mcx_hex_decode(out, 2, mcx_bytes_str("0Fa9"), NULL),
                     MCX_OK);
    assert_memory_equal(out, "\x0f\xa9", 2);
    assert_int_equal(mcx_hex_decode(out, 2, mcx_bytes_str("0Fa"), &why),
                     MCX_E_MALFORMED);
    assert_int_equal(mcx_hex_decode(out, 2, mcx_bytes_str("0Fa99"), &why),
                     MCX_E_MALFORMED);
    /* Every octet in the place of a digit. */
    for (c = 0; c < 256; c++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        char s[2] = { (char)c, '7' };
        const char *at = c ? strchr(digits, c) : NULL;
        mcx_err err = mcx_hex_decode(out, 1, mcx_bytes(s, 2), &why);

        if (at) {
            size_t v = (size_t)(at - digits);

            assert_int_equal(err, MCX_OK);
            assert_int_equal(out[0] >> 4, v < 16 ? v : v - 6);
        } else {
            assert_int_equal(err, MCX_E_MALFORMED);
            assert_int_equal(why.offset, 0);
        }
    }
    assert_int_equal(mcx_hex_decode(out, 1, mcx_bytes_str("0g"), &why),
                     MCX_E_MALFORMED);
    assert_int_equal(why.offset, 1);
}

/* ---- times ------------------------------------------------------------- */

static void
test_time_parse(void **state)
{
    static const struct { const char *s; int64_t ms; } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00", 0 },
        { "1970-01-01t00:00:00.5z", 500 },
        { "1970-01-01 00:00:00.123456Z", 123 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T23:30:00-00:30", 0 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2000-02-29T00:00:00Z", INT64_C(951782400000) },
        { "2016-12-31T23:59:60Z", INT64_C(1483228800000) },
        { "2036-02-07T06:28:16Z", INT64_C(2085978496000) },
        { "0001-01-01T00:00:00Z", INT64_C(-62135596800000) },
        { "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
    };
    static const char *const bad[] = {
        "", "Z", "1970-01-01", "1970-01-01T00:00Z", "1970-01-01T00:00:00ZZ",
        "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z",
        "1970-01-00T00:00:00Z", "1970-01-32T00:00:00Z",
        "1970-04-31T00:00:00Z", "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+1:00", "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60", "1970-01-01T00:00:00+0000",
        "1970-01-01X00:00:00Z", "0000-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z", "1970/01/01T00:00:00Z",
        " 1970-01-01T00:00:00Z", "1970-01-01T00:00:00 Z",
        "1970-1-01T00:00:00ZZ", "+970-01-01T00:00:00Z",
    };
    int64_t ms;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof good / sizeof good[0]; i++) {
        ms = 77;
        if (mcx_time_parse(&ms, mcx_bytes_str(good[i].s)) != MCX_OK
            || ms != good[i].ms) {
            fail_msg("%s: %lld", good[i].s, (long long)ms);
        }
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ms = 77;
        if (mcx_time_parse(&ms, mcx_bytes_str(bad[i])) != MCX_E_MALFORMED
            || ms != 77) {
            fail_msg("%s was taken", bad[i]);
        }
    }
    assert_int_equal(mcx_time_parse(&ms, mcx_bytes(NULL, 0)),
                     MCX_E_MALFORMED);
    assert_int_equal(mcx_time_parse(&ms, mcx_bytes("1970-01-01T00:00:00\0",
                                                   20)), MCX_E_MALFORMED);
}

/* Every day of five centuries, against the C library, and back. */
static void
test_time_days(void **state)
{
    char text[MCX_RFC3339_SIZE], want[MCX_RFC3339_SIZE];
    int64_t day, ms;

    (void)state;
    for (day = -100000; day < 100000; day++) {
        time_t s = (time_t)(day * 86400 + 3723);
        struct tm tm;

        assert_non_null(gmtime_r(&s, &tm));
        assert_true(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm));
        mcx_time_text(text, (int64_t)s * 1000);
        if (strcmp(text, want) != 0) {
            fail_msg("%s, not %s", text, want);
        }
        assert_int_equal(mcx_time_parse(&ms, mcx_bytes_str(text)), MCX_OK);
        assert_true(ms == (int64_t)s * 1000);
    }
    mcx_time_text(text, 7);
    assert_string_equal(text, "1970-01-01T00:00:00.007Z");
    mcx_time_text(text, -1);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    mcx_time_text(text, INT64_C(-61094476800000));
    assert_string_equal(text, "0033-12-29T00:00:00Z");
    mcx_time_text(text, INT64_MIN);
    assert_string_equal(text, "0000-00-00T00:00:00Z");
    mcx_time_text(text, INT64_MAX);
    assert_string_equal(text, "0000-00-00T00:00:00Z");
}

static void
test_ntp(void **state)
{
    /* The era of 32-bit seconds ends on 2036-02-07 at 06:28:16. */
    const int64_t turn = INT64_C(2085978496000);
    static const int64_t step[] = { 0, 1, 499, 999, 1000, 86400000,
                                    INT64_C(31536000000) };
    size_t i;

    (void)state;
    assert_true(mcx_ntp_from_unix_ms(0) == UINT64_C(2208988800) << 32);
    assert_true(mcx_ntp_from_unix_ms(500)
                == (UINT64_C(2208988800) << 32 | 0x80000000u));
    assert_true(mcx_ntp_from_unix_ms(turn) == 0);
    assert_true(mcx_ntp_from_unix_ms(turn - 1000)
                == UINT64_C(0xffffffff) << 32);
    for (i = 0; i < sizeof step / sizeof step[0]; i++) {
        const int64_t at[] = { turn - step[i], turn + step[i], step[i],
                               -step[i] };
        size_t j;

        for (j = 0; j < 4; j++) {
            uint64_t ntp = mcx_ntp_from_unix_ms(at[j]);

            assert_true(mcx_ntp_to_unix_ms(ntp, at[j]) == at[j]);
            /* Read on the other side of the turn, and years away. */
            assert_true(mcx_ntp_to_unix_ms(ntp, at[j] + 5000) == at[j]);
            assert_true(mcx_ntp_to_unix_ms(ntp, at[j] - 5000) == at[j]);
            assert_true(mcx_ntp_to_unix_ms(ntp, at[j]
                                           + INT64_C(2000000000000))
                        == at[j]);
            assert_true(mcx_ntp_to_unix_ms(ntp, at[j]
                                           - INT64_C(2000000000000))
                        == at[j]);
        }
    }
}

/* ---- cursors ----------------------------------------------------------- */

/* One read of kind 'op'; what it gave, as a number. */
static uint64_t
read_op(struct mcx_rd *rd, int op)
{
    struct mcx_bytes b;

    switch (op) {
    case 0:
        return mcx_rd_u8(rd);
    case 1:
        return mcx_rd_u16(rd);
    case 2:
        return mcx_rd_u32(rd);
    case 3:
        return mcx_rd_u64(rd);
    case 4:
        b = mcx_rd_bytes(rd, 0);
        return b.n;
    case 5:
        b = mcx_rd_bytes(rd, 3);
        assert_true(b.n == 3 || (b.n == 0 && !b.p));
        return b.n;
    case 6:
        b = mcx_rd_bytes_len(rd, 1);
        return b.n;
    default:
        b = mcx_rd_bytes_len(rd, 2);
        return b.n;
    }
}

/* Every sequence of three reads over every buffer of up to 9 octets, the
 * first of which runs through small lengths: never outside, never past a
 * failure, positions exact.  malloc gives the sanitizers exact bounds. */
static void
test_rd(void **state)
{
    static const size_t fixed[] = { 1, 2, 4, 8, 0, 3 };
    size_t size, first;
    int seq;

    (void)state;
    for (size = 0; size <= 9; size++) {
        for (first = 0; first < 11; first++) {
            for (seq = 0; seq < 8 * 8 * 8; seq++) {
                uint8_t *p = malloc(size ? size : 1);
                struct mcx_rd rd = mcx_rd(mcx_bytes(p, size));
                size_t at = 0;
                bool failed = false;
                int k, ops = seq;

                assert_non_null(p);
                memset(p, 0, size ? size : 1);
                p[0] = (uint8_t)first;
                for (k = 0; k < 3; k++, ops /= 8) {
                    int op = ops % 8;
                    size_t len = op == 6 ? 1 : op == 7 ? 2 : 0, want;
                    size_t left = size - at, i;
                    bool fits;
                    uint64_t v = 0, got;

                    if (op < 6) {
                        want = fixed[op];
                    } else {
                        for (i = 0; i < len && len <= left; i++) {
                            v = v << 8 | p[at + i];
                        }
                        want = len + (size_t)v;
                    }
                    fits = !failed && len <= left && want <= left;
                    got = read_op(&rd, op);
                    if (!fits) {
                        assert_int_equal(got, 0);
                        assert_false(mcx_rd_ok(&rd));
                        if (!failed) {
                            assert_int_equal(rd.failed_at, at);
                        }
                        failed = true;
                        continue;
                    }
                    assert_true(mcx_rd_ok(&rd));
                    if (op < 4) {
                        for (i = 0, v = 0; i < want; i++) {
                            v = v << 8 | p[at + i];
                        }
                        assert_true(got == v);
                    }
                    at += want;
                    assert_int_equal(rd.at, at);
                    assert_int_equal(mcx_rd_left(&rd), size - at);
                }
                free(p);
            }
        }
    }
}

static void
test_rd_sub(void **state)
{
    static const uint8_t p[4] = { 1, 2, 3, 4 };
    struct mcx_rd rd = mcx_rd(mcx_bytes(p, 4)), sub;
    size_t at, n;

    (void)state;
    for (at = 0; at < 7; at++) {
        for (n = 0; n < 7; n++) {
            sub = mcx_rd_sub(&rd, at, n);
            assert_int_equal(mcx_rd_ok(&sub), at + n <= 4);
            if (at + n > 4) {
                assert_int_equal(mcx_rd_left(&sub), 0);
                assert_null(mcx_rd_take(&sub, 0));
            } else {
                assert_int_equal(mcx_rd_left(&sub), n);
                assert_int_equal(mcx_rd_u8(&sub), n ? at + 1 : 0);
            }
        }
    }
    sub = mcx_rd_sub(&rd, SIZE_MAX, SIZE_MAX);
    assert_false(mcx_rd_ok(&sub));
    sub = mcx_rd_sub(&rd, 1, SIZE_MAX);
    assert_false(mcx_rd_ok(&sub));
}

static void
test_wr(void **state)
{
    uint8_t p[8];
    struct mcx_wr wr = mcx_wr(p, sizeof p);

    (void)state;
    mcx_wr_u8(&wr, 0x101);
    mcx_wr_u16(&wr, 0x0203);
    mcx_wr_u32(&wr, 0x04050607);
    assert_int_equal(wr.at, 7);
    mcx_wr_u16(&wr, 0xffff); /* does not fit: nothing of it is written */
    assert_int_equal(wr.at, 7);
    assert_int_equal(mcx_wr_status(&wr), MCX_E_TOOBIG);
    mcx_wr_u8(&wr, 8); /* and nothing after it */
    assert_int_equal(wr.at, 7);
    assert_memory_equal(p, "\1\2\3\4\5\6\7", 7);
    wr = mcx_wr(p, sizeof p);
    mcx_wr_u64(&wr, UINT64_C(0x0102030405060708));
    assert_int_equal(mcx_wr_status(&wr), MCX_OK);
    assert_memory_equal(p, "\1\2\3\4\5\6\7\10", 8);
    wr = mcx_wr(p, sizeof p);
    mcx_wr_bytes_len(&wr, mcx_bytes("abc", 3), 2);
    mcx_wr_bytes_len(&wr, mcx_bytes(NULL, 0), 1);
    assert_int_equal(wr.at, 6);
    assert_memory_equal(p, "\0\3abc\0", 6);
    mcx_wr_bytes_len(&wr, mcx_bytes(p, 256), 1); /* too long for its length */
    assert_int_equal(mcx_wr_status(&wr), MCX_E_TOOBIG);
}

/* ---- errors ------------------------------------------------------------ */

static void
test_err(void **state)
{
    struct mcx_why why;
    int i, j;

    (void)state;
    assert_int_equal(mcx_err_class(MCX_OK), MCX_CLASS_NONE);
    assert_int_equal(mcx_err_class(MCX_E_AUTH), MCX_CLASS_TRUST);
    assert_int_equal(mcx_err_class(MCX_E_SELFTEST), MCX_CLASS_OURS);
    assert_string_equal(mcx_err_name(MCX_E_NO_PERIOD), "NO_PERIOD");
    assert_string_equal(mcx_err_name((mcx_err)0x7777), "?");
    assert_string_equal(mcx_err_text((mcx_err)0x7777), "unknown error");
    assert_string_equal(mcx_err_text((mcx_err)(MCX_E_AUTH + 0x100)),
                        "unknown error");
    for (i = 1; i < MCX_R_COUNT; i++) {
        assert_true(*mcx_reason_word((mcx_reason)i));
        assert_true(*mcx_reason_text((mcx_reason)i));
        assert_true(mcx_err_class(mcx_reason_err((mcx_reason)i))
                    != MCX_CLASS_NONE);
        for (j = 1; j < i; j++) {
            assert_string_not_equal(mcx_reason_word((mcx_reason)i),
                                    mcx_reason_word((mcx_reason)j));
        }
    }
    assert_int_equal(mcx_reason_err(MCX_R_NONE), MCX_E_INTERNAL);
    assert_int_equal(mcx_reason_err(MCX_R_COUNT), MCX_E_INTERNAL);
    assert_int_equal(MCX_REFUSE(&why, MCX_R_SIGNATURE, NULL, 401, NULL),
                     MCX_E_AUTH);
    assert_string_equal(why.payload, "");
    assert_string_equal(why.clause, "");
    assert_int_equal(why.offset, 401);
    assert_int_equal(MCX_REFUSE(NULL, MCX_R_SIGNATURE, "", 0, ""),
                     MCX_E_AUTH);
}

/* ---- the log ----------------------------------------------------------- */

static char logged[1200];
static int n_logged;

static void
take_line(void *ctx, enum mcx_area area, int level, const char *line)
{
    assert_ptr_equal(ctx, logged);
    assert_int_equal(area, MCX_AREA_MIKEY);
    assert_int_equal(level, 5);
    (void)snprintf(logged, sizeof logged, "%s", line);
    n_logged++;
}

static void
test_log(void **state)
{
    const struct mcx_env env = { .ctx = logged, .log = take_line };
    struct mcx_why why = { .reason = MCX_R_SIGNATURE, .payload = "SIGN",
                           .offset = 401, .clause = "RFC 6509 2.2.2" };
    char longer[3000];

    (void)state;
    mcx_log_level(MCX_AREA_MIKEY, 4);
    assert_false(mcx_log_on(MCX_AREA_MIKEY, 5));
    mcx_log(&env, MCX_AREA_MIKEY, 5, "unseen");
    assert_int_equal(n_logged, 0);
    mcx_log_level(MCX_AREA_MIKEY, 5);
    mcx_log(NULL, MCX_AREA_MIKEY, 5, "unseen");
    /* What a peer names does not break the line or the terminal. */
    mcx_log(&env, MCX_AREA_MIKEY, 5, "from %s",
            "a\r\nmikey: opened\x1b[2J\x7f\tb");
    assert_string_equal(logged, "from a??mikey: opened?[2J??b");
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    mcx_log(&env, MCX_AREA_MIKEY, 5, "%s", longer);
    assert_int_equal(strlen(logged), 1023);
    mcx_log_why(&env, MCX_AREA_MIKEY, 5, MCX_E_AUTH, &why, "sip:a@x");
    assert_string_equal(logged, "refused, signature, SIGN at 401, sip:a@x, "
                                "RFC 6509 2.2.2");
    why.payload = why.clause = "";
    mcx_log_why(&env, MCX_AREA_MIKEY, 5, MCX_E_AUTH, &why, NULL);
    assert_string_equal(logged, "refused, signature, message at 401");
    mcx_log_why(&env, MCX_AREA_MIKEY, 5, MCX_E_NOMEM, NULL, "sip:a@x");
    assert_string_equal(logged, "refused, out of memory, sip:a@x");
    assert_int_equal(n_logged, 5);
    assert_string_equal(mcx_area_word(MCX_AREA_UPLOAD), "csk-upload");
    assert_string_equal(mcx_area_word((enum mcx_area)99), "?");
    assert_false(mcx_log_on((enum mcx_area)99, 0));
    mcx_log_level((enum mcx_area)99, 9);
}

/* ---- secrets ----------------------------------------------------------- */

static void
test_secret_eq(void **state)
{
    uint8_t a[33] = { 0 }, b[33] = { 0 };
    size_t i;

    (void)state;
    assert_true(mcx_secret_eq(a, b, 0));
    for (i = 0; i < sizeof a; i++) {
        assert_true(mcx_secret_eq(a, b, sizeof a));
        b[i] ^= 0x80;
        assert_false(mcx_secret_eq(a, b, sizeof a));
        assert_true(mcx_secret_eq(a, b, i));
        b[i] = 0;
    }
    memset(a, 7, sizeof a);
    mcx_wipe(a, sizeof a - 1);
    assert_memory_equal(a, b, sizeof a - 1);
    assert_int_equal(a[32], 7);
    mcx_wipe(NULL, 0);
}

static void
test_guard(void **state)
{
    static const size_t sizes[] = { 1, 16, 32, 33, 257, 1024, 1025, 70000,
                                    1048576 };
    void *p[sizeof sizes / sizeof sizes[0]];
    size_t i, j;

    (void)state;
    assert_null(mcx_guard_new(0));
    assert_null(mcx_guard_new(1048577));
    assert_null(mcx_guard_new(SIZE_MAX));
    mcx_guard_free(NULL);
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        p[i] = mcx_guard_new(sizes[i]);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (j = 0; j < sizes[i]; j++) {
            assert_int_equal(((uint8_t *)p[i])[j], 0);
        }
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(((uint8_t *)p[i])[0], i + 1);
        assert_int_equal(((uint8_t *)p[i])[sizes[i] - 1], i + 1);
        mcx_guard_free(p[i]);
    }
}

/* Freeing wipes: the slab is still there while a neighbour holds it. */
static void
test_guard_wipes(void **state)
{
    uint8_t *a = mcx_guard_new(16), *b = mcx_guard_new(16);
    volatile uint8_t *seen = a;
    int i;

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 0xaa, 16);
    mcx_guard_free(a);
    for (i = 0; i < 16; i++) {
        assert_int_equal(seen[i], 0);
    }
    mcx_guard_free(b);
}

/* Runs 'fn' in a child; true when it came to its end. */
static bool
survives(void (*fn)(volatile uint8_t *p), volatile uint8_t *p)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        fn(p);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
touch(volatile uint8_t *p)
{
    *p = 1;
}

static void
want_zero(volatile uint8_t *p)
{
    if (*p != 0) {
        _exit(1);
    }
}

static void
test_guard_pages(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mcx_guard_new(page * 2);

    (void)state;
    assert_non_null(p);
    assert_true(survives(touch, p));
    assert_true(survives(touch, p + page * 2 - 1));
    assert_false(survives(touch, p - 1));
    assert_false(survives(touch, p + page * 2));
    /* A child does not inherit what is in it. */
    p[5] = 7;
    assert_true(survives(want_zero, p + 5));
    assert_int_equal(p[5], 7);
    mcx_guard_free(p);
    assert_false(survives(touch, p));
}

/* ---- the system -------------------------------------------------------- */

static char names[200];

static mcx_err
each_name(void *arg, const char *name)
{
    size_t n = strlen(names);

    assert_ptr_equal(arg, names);
    (void)snprintf(names + n, sizeof names - n, "%s ", name);
    return strcmp(name, "stop") == 0 ? MCX_E_EXPIRED : MCX_OK;
}

static void
test_files(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    char dir[] = "test_base.XXXXXX", path[64], *got = NULL;
    static const char *const files[] = { "b", "a", ".hidden", "stop", "z" };
    struct stat st;
    uint8_t *big = malloc(100001);
    size_t n = 0, i;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', 100001);
    assert_non_null(mkdtemp(dir));
    for (i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(env->write_file(env->ctx, path,
                                         mcx_bytes(big, 100000), 0640),
                         MCX_OK);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    /* As much as is allowed, and one octet less. */
    assert_int_equal(env->read_file(env->ctx, path, 100000, &got, &n),
                     MCX_OK);
    assert_int_equal(n, 100000);
    assert_memory_equal(got, big, n);
    assert_int_equal(got[n], 0);
    free(got);
    assert_int_equal(env->read_file(env->ctx, path, 99999, &got, &n),
                     MCX_E_TOOBIG);
    assert_int_equal(env->read_file(env->ctx, path, 0, &got, &n),
                     MCX_E_TOOBIG);
    assert_int_equal(env->read_file(env->ctx, dir, 10, &got, &n), MCX_E_IO);
    assert_int_equal(env->read_file(env->ctx, "no/such", 10, &got, &n),
                     MCX_E_IO);
    /* Replaced at once, and nothing temporary is left. */
    assert_int_equal(env->write_file(env->ctx, path, mcx_bytes("y", 1), 0600),
                     MCX_OK);
    assert_int_equal(env->read_file(env->ctx, path, 10, &got, &n), MCX_OK);
    assert_string_equal(got, "y");
    free(got);
    assert_int_equal(env->write_file(env->ctx, "no/such", mcx_bytes("", 0),
                                     0600), MCX_E_IO);
    assert_int_equal(env->list_dir(env->ctx, dir, each_name, names),
                     MCX_E_EXPIRED);
    assert_string_equal(names, "a b stop ");
    assert_int_equal(env->list_dir(env->ctx, "no/such", each_name, names),
                     MCX_E_IO);
    for (i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
    free(big);
}

/* What a write can meet: a name too long, a folder of that name, no room for
 * the file.  Nothing temporary is left. */
static void
test_write_fails(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    char dir[] = "test_base.XXXXXX", path[64], *got = NULL;
    static char endless[4096];
    static uint8_t big[65536];
    struct rlimit was, few;
    size_t n = 0;

    (void)state;
    memset(endless, 'n', sizeof endless - 1);
    assert_int_equal(env->write_file(env->ctx, endless, mcx_bytes("x", 1),
                                     0600), MCX_E_TOOBIG);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/f", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(env->write_file(env->ctx, path, mcx_bytes("x", 1), 0600),
                     MCX_E_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(env->write_file(env->ctx, path, mcx_bytes("old", 3),
                                     0600), MCX_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    few = was;
    few.rlim_cur = 4096;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_int_equal(env->write_file(env->ctx, path,
                                     mcx_bytes(big, sizeof big), 0600),
                     MCX_E_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(env->read_file(env->ctx, path, 10, &got, &n), MCX_OK);
    assert_string_equal(got, "old");
    free(got);
    got = NULL;
    /* A file that is too long and yet fits the first read. */
    assert_int_equal(env->read_file(env->ctx, path, 2, &got, &n),
                     MCX_E_TOOBIG);
    assert_null(got);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* A pipe that somebody fills while signals come. */
static pthread_t reader;
static char fifo[64];
static int fifo_fd;

static void
on_signal(int no)
{
    (void)no;
}

static void *
fill_slowly(void *arg)
{
    const struct timespec some = { 0, 5000000 };
    int i;

    for (i = 0; i < 20; i++) {
        (void)nanosleep(&some, NULL);
        (void)pthread_kill(reader, SIGUSR1);
    }
    (void)nanosleep(&some, NULL);
    if (write(fifo_fd, "from a pipe", 11) != 11) {
        return NULL;
    }
    (void)close(fifo_fd);
    return arg;
}

static void
test_interrupted(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    struct sigaction act = { .sa_handler = on_signal }, was;
    char dir[] = "test_base.XXXXXX", *got = NULL;
    pthread_t t;
    size_t n = 0;
    void *done = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(fifo, sizeof fifo, "%s/p", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    fifo_fd = open(fifo, O_RDWR | O_CLOEXEC); /* so that nobody waits */
    assert_true(fifo_fd >= 0);
    assert_int_equal(sigaction(SIGUSR1, &act, &was), 0);
    reader = pthread_self();
    assert_int_equal(pthread_create(&t, NULL, fill_slowly, fifo), 0);
    assert_int_equal(env->read_file(env->ctx, fifo, 100, &got, &n), MCX_OK);
    assert_string_equal(got, "from a pipe");
    free(got);
    assert_int_equal(pthread_join(t, &done), 0);
    assert_non_null(done);
    assert_int_equal(sigaction(SIGUSR1, &was, NULL), 0);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* A line of the log, on standard error. */
static void
test_log_line(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    char name[] = "test_base.XXXXXX", line[80] = "";
    int to = mkstemp(name), was = dup(STDERR_FILENO);

    (void)state;
    assert_true(to >= 0 && was >= 0);
    (void)fflush(stderr);
    assert_true(dup2(to, STDERR_FILENO) >= 0);
    env->log(env->ctx, MCX_AREA_KEYS, 3, "a line");
    (void)fflush(stderr);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    assert_true(pread(to, line, sizeof line - 1, 0) > 0);
    assert_string_equal(line, "keys: a line\n");
    (void)close(to);
    (void)close(was);
    assert_int_equal(unlink(name), 0);
}

static void
test_clock(void **state)
{
    const struct mcx_env *env = mcx_env_system();
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    int64_t m = env->mono_ms(env->ctx);

    (void)state;
    assert_true(env->mono_ms(env->ctx) >= m);
    assert_true(env->unix_ms(env->ctx) > INT64_C(1600000000000));
    assert_int_equal(env->random(env->ctx, a, sizeof a), MCX_OK);
    assert_int_equal(env->random(env->ctx, b, sizeof b), MCX_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_b64_refused),
        cmocka_unit_test(test_b64),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_time_parse),
        cmocka_unit_test(test_time_days),
        cmocka_unit_test(test_ntp),
        cmocka_unit_test(test_rd),
        cmocka_unit_test(test_rd_sub),
        cmocka_unit_test(test_wr),
        cmocka_unit_test(test_err),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_secret_eq),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_guard_wipes),
        cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_log_line),
        cmocka_unit_test(test_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
