/* test_rtp.c -- RTP and RTCP: what is written is read; order, loss, restarts
 * and every truncation. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rtp.h"
#include "ulaw.h"

static void
writes_what_it_reads(void **state)
{
    struct rtp_out out;
    struct rtp_view view;
    uint8_t packet[RTP_HEADER + RTP_FRAME];
    int16_t samples[RTP_FRAME];
    uint32_t timestamp;
    uint16_t seq;
    size_t i, n;

    (void)state;
    for (i = 0; i < RTP_FRAME; i++) {
        samples[i] = (int16_t)(i * 100);
    }
    assert_int_equal(rtp_out_init(&out, mcx_env_system()), MCX_OK);
    assert_int_equal(strlen(out.cname), RTCP_CNAME_SIZE - 1);
    seq = out.seq;
    timestamp = out.timestamp;
    for (i = 0; i < 3; i++) {
        n = rtp_out_write(&out, packet, samples, RTP_FRAME);
        assert_int_equal(n, sizeof packet);
        assert_true(rtp_read(&view, mcx_bytes(packet, n)));
        assert_int_equal(view.pt, RTP_PT_PCMU);
        assert_int_equal(view.marker, i == 0);
        assert_int_equal(view.seq, (uint16_t)(seq + i));
        assert_int_equal(view.timestamp, (uint32_t)(timestamp + 160 * i));
        assert_int_equal(view.ssrc, out.ssrc);
        assert_int_equal(view.payload.n, RTP_FRAME);
        assert_int_equal(view.payload.p[7], ulaw_encode(700));
    }
    assert_int_equal(out.packets, 3);
    assert_int_equal(out.octets, 480);
}

/* CSRCs, an extension and padding are stepped over; nothing is read past the
 * end whatever the lengths say. */
static void
foreign_packets(void **state)
{
    uint8_t p[] = { 0xb2, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3,
                    1, 1, 1, 1, 2, 2, 2, 2,         /* two CSRCs   */
                    0xbe, 0xde, 0, 1, 9, 9, 9, 9,   /* extension   */
                    0xaa, 0xbb, 0, 2 };             /* 2 of padding */
    struct rtp_view view;
    size_t n;

    (void)state;
    assert_true(rtp_read(&view, mcx_bytes(p, sizeof p)));
    assert_int_equal(view.payload.n, 2);
    assert_int_equal(view.payload.p[1], 0xbb);
    for (n = 0; n < sizeof p; n++) {
        uint8_t copy[sizeof p];

        memcpy(copy, p, n);
        (void)rtp_read(&view, mcx_bytes(copy, n));
        if (n < 28) {
            assert_false(rtp_read(&view, mcx_bytes(copy, n)));
        }
    }
    p[sizeof p - 1] = 0; /* padding of none */
    assert_false(rtp_read(&view, mcx_bytes(p, sizeof p)));
    p[sizeof p - 1] = 5; /* padding over the header */
    assert_false(rtp_read(&view, mcx_bytes(p, sizeof p)));
    p[0] = 0x40;
    assert_false(rtp_read(&view, mcx_bytes(p, sizeof p)));
}

static bool
take(struct rtp_in *in, uint32_t ssrc, unsigned seq, uint32_t timestamp,
     size_t *at)
{
    static const uint8_t payload[RTP_FRAME];
    struct rtp_view view = { 0, false, (uint16_t)seq, timestamp, ssrc,
                             { payload, RTP_FRAME } };

    return rtp_in_place(in, &view, at);
}

static void
order_and_loss(void **state)
{
    struct rtp_in in = { 0 };
    size_t at = 0;
    uint32_t t = 0xffffff00u; /* wraps on the way */

    (void)state;
    assert_true(take(&in, 1, 65534, t, &at));
    assert_int_equal(at, 0);
    assert_true(take(&in, 1, 65535, t + 160, &at));
    assert_int_equal(at, 160);
    assert_true(take(&in, 1, 65537, t + 480, &at)); /* 0 is missing */
    assert_int_equal(at, 480);
    assert_int_equal(rtp_in_lost(&in), 1);
    assert_true(take(&in, 1, 65536, t + 320, &at)); /* late */
    assert_int_equal(at, 320);
    assert_int_equal(rtp_in_lost(&in), 0);
    assert_false(take(&in, 1, 65533, t - 160, &at)); /* before the start */
    assert_int_equal(in.total, 4);
}

static void
restarts(void **state)
{
    struct rtp_in in = { 0 };
    size_t at = 0;

    (void)state;
    assert_true(take(&in, 1, 100, 0, &at));
    assert_true(take(&in, 1, 103, 480, &at));
    assert_false(take(&in, 1, 20000, 90000, &at)); /* alone: dropped */
    assert_true(take(&in, 1, 104, 640, &at));
    assert_false(take(&in, 1, 20000, 90000, &at));
    assert_true(take(&in, 1, 20001, 90160, &at)); /* two in a row */
    assert_int_equal(at, 800);
    assert_true(take(&in, 2, 5, 7, &at)); /* another source */
    assert_int_equal(at, 960);
    assert_int_equal(rtp_in_lost(&in), 2);
    assert_int_equal(in.total, 5);
    /* A timestamp a minute ahead is a pause, more is nonsense. */
    assert_true(take(&in, 2, 6, 7 + 160 + 479000, &at));
    assert_false(take(&in, 2, 7, 7 + 160 + 2000000, &at));
}

static void
reports(void **state)
{
    struct rtp_out out;
    struct rtp_in in = { 0 };
    uint8_t packet[128];
    size_t n, at;

    (void)state;
    assert_int_equal(rtp_out_init(&out, mcx_env_system()), MCX_OK);
    n = rtcp_write(packet, sizeof packet, &out, &in,
                   UINT64_C(0x1122334455667788));
    assert_int_equal(n % 4, 0);
    assert_int_equal(packet[0], 0x80);
    assert_int_equal(packet[1], 200);
    assert_int_equal(packet[8], 0x11);
    assert_int_equal(packet[15], 0x88);
    assert_true(rtcp_check(mcx_bytes(packet, n)));
    assert_memory_equal(packet + 28 + 10, out.cname, strlen(out.cname));
    assert_true(take(&in, 9, 1, 0, &at));
    assert_true(take(&in, 9, 3, 320, &at));
    n = rtcp_write(packet, sizeof packet, &out, &in, 0);
    assert_int_equal(packet[0], 0x81);
    assert_int_equal(packet[3], 12);
    assert_int_equal(packet[31], 9); /* SSRC */
    assert_int_equal(packet[35], 1); /* lost */
    assert_int_equal(packet[39], 3); /* highest */
    assert_int_equal(packet[52 + 1], 202);
    assert_false(rtcp_check(mcx_bytes(packet, 7)));
    assert_false(rtcp_check(mcx_bytes(packet, 48)));
    assert_int_equal(rtcp_write(packet, 40, &out, &in, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(foreign_packets),
        cmocka_unit_test(order_and_loss),
        cmocka_unit_test(restarts),
        cmocka_unit_test(reports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
