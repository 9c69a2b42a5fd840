/* test_ulaw.c -- G.711 mu-law: properties over every sample and octet, and the
 * anchors of ITU-T G.711 table 2. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ulaw.h"

/* decode(encode(x)) is a fixed point, near x, of the same sign, and rises
 * with x. */
static void
every_sample(void **state)
{
    int x, last = -40000;

    (void)state;
    for (x = -32768; x <= 32767; x++) {
        int y = ulaw_decode(ulaw_encode((int16_t)x));
        int magnitude = abs(x) > 32635 ? 32635 : abs(x);
        int step = 8;

        while (magnitude + 132 >= step * 32) {
            step *= 2;
        }
        assert_int_equal(ulaw_decode(ulaw_encode((int16_t)y)), y);
        assert_true(abs(abs(y) - magnitude) <= step / 2);
        assert_true(y == 0 || (y < 0) == (x < 0));
        assert_true(y >= last);
        last = y;
    }
}

/* Every octet but negative zero comes back as itself; both zeros mean 0. */
static void
every_octet(void **state)
{
    int used[65536] = { 0 };
    int c, values = 0;

    (void)state;
    for (c = 0; c < 256; c++) {
        int16_t y = ulaw_decode((uint8_t)c);

        assert_int_equal(ulaw_encode(y), c == 0x7f ? 0xff : c);
        values += used[y + 32768] == 0;
        used[y + 32768] = 1;
    }
    assert_int_equal(values, 255);
}

static void
anchors(void **state)
{
    (void)state;
    assert_int_equal(ulaw_encode(0), 0xff);
    assert_int_equal(ulaw_encode(-1), 0x7f);
    assert_int_equal(ulaw_decode(0x00), -32124);
    assert_int_equal(ulaw_decode(0x80), 32124);
    assert_int_equal(ulaw_encode(32767), 0x80);
    assert_int_equal(ulaw_encode(-32768), 0x00);
    assert_int_equal(ulaw_decode(0xfe), 8);
    assert_int_equal(ulaw_decode(0xef), 132);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample),
        cmocka_unit_test(every_octet),
        cmocka_unit_test(anchors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
