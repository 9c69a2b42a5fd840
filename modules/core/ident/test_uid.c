/* test_uid.c -- UID and key periods (TS 33.180 F.2.1). */
#include <config.h>
#include "test_kit.h"

#define FILE_ "uid-ts-33180-f2"

/* TEST TS 33.180 F.2.1: five published UIDs */
static void
published(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        char path[32], *uri, *kms;
        struct mcx_period period;
        struct mcx_uid uid;
        uint8_t want[MCX_UID_SIZE];
        uint64_t no;

#define AT(name)                                                              \
    ((void)snprintf(path, sizeof path, "[%d]." name, i), path)
        uri = vec_text(FILE_, AT("uri"));
        kms = vec_text(FILE_, AT("kms"));
        period.length_s = vec_num(FILE_, AT("period"));
        period.offset_s = vec_num(FILE_, AT("offset"));
        no = vec_num(FILE_, AT("no"));
        assert_int_equal(vec_hex(FILE_, AT("uid"), want, sizeof want), 32);
        assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(kms),
                                 &period, no), MCX_OK);
        assert_memory_equal(uid.b, want, sizeof want);
        free(uri);
        free(kms);
    }
}

/* The four users of the interop file: their UIDs are what RSKs fit. */
static void
interop(void **state)
{
    char *kms = vec_text(VSTREAM, "kms.uri");
    struct mcx_period period = {
        .length_s = vec_num(VSTREAM, "kms.user_key_period"),
        .offset_s = vec_num(VSTREAM, "kms.user_key_offset"),
    };
    uint64_t no = vec_num(VSTREAM, "kms.key_period_no");
    int i;

    (void)state;
    for (i = 0; i < 4; i++) {
        char path[32], *uri;
        struct mcx_uid uid;
        uint8_t want[MCX_UID_SIZE];

        (void)snprintf(path, sizeof path, "users[%d].uri", i);
        uri = vec_text(VSTREAM, path);
        (void)snprintf(path, sizeof path, "users[%d].uid", i);
        (void)vec_hex(VSTREAM, path, want, sizeof want);
        assert_int_equal(mcx_uid(&uid, mcx_bytes_str(uri), mcx_bytes_str(kms),
                                 &period, no), MCX_OK);
        assert_memory_equal(uid.b, want, sizeof want);
        free(uri);
    }
    free(kms);
}

static void
bounds(void **state)
{
    struct mcx_bytes a = mcx_bytes_str("a"), none = mcx_bytes(NULL, 0);
    struct mcx_period month = { .length_s = 2592000 }, never = { 0 };
    static uint8_t big[65536];
    struct mcx_uid uid, other;

    (void)state;
    assert_int_equal(mcx_uid(&uid, none, a, &month, 0), MCX_E_ARG);
    assert_int_equal(mcx_uid(&uid, a, none, &month, 0), MCX_E_ARG);
    assert_int_equal(mcx_uid(&uid, a, a, &never, 0), MCX_E_ARG);
    memset(big, 'x', sizeof big);
    assert_int_equal(mcx_uid(&uid, mcx_bytes(big, 65535), a, &month, 0),
                     MCX_OK);
    assert_int_equal(mcx_uid(&other, a, mcx_bytes(big, 65535), &month, 0),
                     MCX_OK);
    assert_memory_not_equal(uid.b, other.b, sizeof uid.b);
    assert_int_equal(mcx_uid(&uid, mcx_bytes(big, 65536), a, &month, 0),
                     MCX_E_ARG);
    assert_int_equal(mcx_uid(&uid, a, mcx_bytes(big, 65536), &month, 0),
                     MCX_E_ARG);
}

static void
periods(void **state)
{
    struct mcx_period p = { .length_s = 2592000, .offset_s = 100 };
    struct mcx_period never = { 0 };
    struct mcx_period huge = { .length_s = UINT64_MAX,
                               .offset_s = UINT64_MAX };
    uint64_t no;

    (void)state;
    assert_int_equal(mcx_period_no(&no, &p, 100), MCX_OK);
    assert_int_equal(no, 0);
    assert_int_equal(mcx_period_no(&no, &p, 99), MCX_E_ARG);
    assert_int_equal(mcx_period_no(&no, &p, -1), MCX_E_ARG);
    assert_int_equal(mcx_period_no(&no, &never, 100), MCX_E_ARG);
    assert_int_equal(mcx_period_no(&no, &p, 100 + 2592000 - 1), MCX_OK);
    assert_int_equal(no, 0);
    assert_int_equal(mcx_period_no(&no, &p, 100 + 2592000), MCX_OK);
    assert_int_equal(no, 1);
    assert_int_equal(mcx_period_start(&p, 1), 100 + 2592000);
    /* Past February 2036, when 32 bits of NTP seconds wrap. */
    assert_int_equal(mcx_period_no(&no, &p, INT64_C(4294967296) + 1000),
                     MCX_OK);
    assert_int_equal(no, 1657);
    assert_true(mcx_period_start(&p, no) <= INT64_C(4294967296) + 1000);
    assert_true(mcx_period_start(&p, no + 1) > INT64_C(4294967296) + 1000);
    assert_int_equal(mcx_period_start(&huge, 2), INT64_MAX);
    assert_int_equal(mcx_period_start(&huge, 0), INT64_MAX);
}

/* Months as periods: their starts, both ways, every month for 8,000 years. */
static void
months(void **state)
{
    struct mcx_period p = { .months = true };
    uint8_t id[MCX_ID_MAX], same[MCX_ID_MAX];
    struct mcx_uid uid;
    size_t n = 0, m = 0;
    uint64_t no, got = 0;
    int64_t start;

    (void)state;
    assert_true(mcx_month_start(0) == 0);
    assert_true(mcx_period_start(&p, 1) == 31 * 86400);
    /* 2026-03-01, and 2036-03-01 behind the era change. */
    assert_true(mcx_period_start(&p, 126 * 12 + 2)
                == INT64_C(1772323200) + MCX_NTP_UNIX_DIFF);
    assert_true(mcx_period_start(&p, 136 * 12 + 2)
                == INT64_C(2087942400) + MCX_NTP_UNIX_DIFF);
    for (no = 0; no < 8000 * 12; no++) {
        start = mcx_period_start(&p, no);
        assert_int_equal(mcx_period_no(&got, &p, start), MCX_OK);
        assert_true(got == no);
        if (no > 0) {
            assert_int_equal(mcx_period_no(&got, &p, start - 1), MCX_OK);
            assert_true(got == no - 1);
        }
    }
    assert_true(mcx_month_start((9999 - 1900) * 12 + 11) < INT64_MAX);
    assert_true(mcx_month_start((10000 - 1900) * 12) == INT64_MAX);
    assert_true(mcx_month_start(UINT64_MAX) == INT64_MAX);
    assert_int_equal(mcx_period_no(&got, &p, -1), MCX_E_ARG);
    /* One name for both forms. */
    assert_int_equal(mcx_user_id(id, &n, mcx_bytes_str("tel:+4412"),
                                 mcx_bytes_str("k"), &p, 1514),
                     MCX_OK);
    assert_int_equal(mcx_monthly_id(same, &m, mcx_bytes_str("tel:+4412"),
                                    1514),
                     MCX_OK);
    assert_true(mcx_bytes_eq(mcx_bytes(id, n), mcx_bytes(same, m)));
    assert_int_equal(mcx_user_id(id, &n, mcx_bytes_str("sip:a@b"),
                                 mcx_bytes_str("k"), &p, 1514),
                     MCX_E_ARG);
    p = (struct mcx_period){ .length_s = 2592000 };
    assert_int_equal(mcx_user_id(id, &n, mcx_bytes_str("sip:a@b"),
                                 mcx_bytes_str("k"), &p, 7),
                     MCX_OK);
    assert_int_equal(mcx_uid(&uid, mcx_bytes_str("sip:a@b"),
                             mcx_bytes_str("k"), &p, 7),
                     MCX_OK);
    assert_true(mcx_bytes_eq(mcx_bytes(id, n), mcx_bytes(uid.b, 32)));
    assert_int_equal(mcx_user_id(id, &n, mcx_bytes_str(""),
                                 mcx_bytes_str("k"), &p, 7),
                     MCX_E_ARG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(interop),
        cmocka_unit_test(bounds),
        cmocka_unit_test(periods),
        cmocka_unit_test(months),
    };

    return cmocka_run_group_tests_name("uid", tests, NULL, NULL);
}
