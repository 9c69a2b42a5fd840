/* rtp.c -- writing and reading of RTP and RTCP packets, and their bookkeeping
 * (RFC 3550 5.1, 6.4.1, 6.5, A.1).
 *
 * Called by media.c.  Where the samples of a packet belong is told by its
 * timestamp, so that pauses of the sender stay pauses; what is missing is told
 * by its sequence number. */
#include <config.h>

#include <string.h>

#include "rtp.h"
#include "ulaw.h"

enum {
    RTCP_SR = 200,
    RTCP_SDES = 202,
    RTCP_APP = 204,
    SDES_CNAME = 1,
    NO_BAD_SEQ = 65537,
    /* A timestamp may run ahead of what was received by a minute. */
    MAX_PAUSE = 60 * 8000
};

static void
put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffffu);
}

static unsigned
get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | (unsigned)p[1];
}

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | (uint32_t)get16(p + 2);
}

mcx_err
rtp_out_init(struct rtp_out *out, const struct mcx_env *env)
{
    uint8_t r[22];

    memset(out, 0, sizeof *out);
    MCX_TRY(env->random(env->ctx, r, sizeof r));
    out->ssrc = get32(r);
    out->timestamp = get32(r + 4);
    out->seq = (uint16_t)(get16(r + 8) & 0x7fffu);
    return mcx_hex_encode(out->cname, sizeof out->cname,
                          mcx_bytes(r + 10, 12));
}

size_t
rtp_out_write(struct rtp_out *out, uint8_t *packet, const int16_t *samples,
              size_t n)
{
    size_t i;

    packet[0] = 0x80;
    packet[1] = (uint8_t)(RTP_PT_PCMU | (out->marked ? 0 : 0x80));
    put16(packet + 2, out->seq);
    put32(packet + 4, out->timestamp);
    put32(packet + 8, out->ssrc);
    for (i = 0; i < n; i++) {
        packet[RTP_HEADER + i] = ulaw_encode(samples[i]);
    }
    out->marked = true;
    out->seq++;
    out->timestamp += (uint32_t)n;
    out->packets++;
    out->octets += (uint32_t)n;
    return RTP_HEADER + n;
}

bool
rtp_read(struct rtp_view *out, struct mcx_bytes packet)
{
    const uint8_t *p = packet.p;
    size_t head = RTP_HEADER, tail = 0;

    if (packet.n < head || p[0] >> 6 != 2) {
        return false;
    }
    head += 4u * (p[0] & 0xfu);
    if ((p[0] & 0x10u) != 0) {
        if (packet.n < head + 4) {
            return false;
        }
        head += 4 + 4 * (size_t)get16(p + head + 2);
    }
    if ((p[0] & 0x20u) != 0) {
        tail = p[packet.n - 1];
        if (tail == 0) {
            return false;
        }
    }
    if (packet.n < head + tail) {
        return false;
    }
    out->pt = p[1] & 0x7fu;
    out->marker = (p[1] & 0x80u) != 0;
    out->seq = (uint16_t)get16(p + 2);
    out->timestamp = get32(p + 4);
    out->ssrc = get32(p + 8);
    out->payload = mcx_bytes(p + head, packet.n - head - tail);
    return true;
}

/* Begins to follow the stream of 'packet', right after what came before. */
static void
restart(struct rtp_in *in, const struct rtp_view *packet)
{
    if (in->started) {
        in->expected_before += in->ext_max - in->ext_base + 1;
        in->received_before += in->packets;
    }
    in->started = true;
    in->ssrc = packet->ssrc;
    in->ext_base = in->ext_max = packet->seq;
    in->bad_seq = NO_BAD_SEQ;
    in->base_timestamp = packet->timestamp;
    in->base_at = in->end_at;
    in->packets = 0;
}

bool
rtp_in_place(struct rtp_in *in, const struct rtp_view *packet, size_t *at)
{
    int64_t offset;

    if (!in->started || packet->ssrc != in->ssrc) {
        restart(in, packet);
    } else {
        uint16_t step = (uint16_t)(packet->seq - (uint16_t)in->ext_max);

        if (step < RTP_MAX_DROPOUT) {
            in->ext_max += step;
            in->bad_seq = NO_BAD_SEQ;
        } else if (step <= 65536 - RTP_MAX_MISORDER) {
            /* Two in a row at a new place: the sender began anew. */
            if (packet->seq != in->bad_seq) {
                in->bad_seq = (packet->seq + 1u) & 0xffffu;
                return false;
            }
            restart(in, packet);
        } else if (in->ext_max - (65536u - step) > in->ext_max
                   || in->ext_max - (65536u - step) < in->ext_base) {
            return false; /* before the first one we know */
        }
    }
    offset = (int64_t)in->base_at
             + (int32_t)(packet->timestamp - in->base_timestamp);
    if (offset < (int64_t)in->base_at
        || offset > (int64_t)in->end_at + MAX_PAUSE) {
        return false;
    }
    *at = (size_t)offset;
    in->packets++;
    in->total++;
    if (*at + packet->payload.n > in->end_at) {
        in->end_at = *at + packet->payload.n;
    }
    return true;
}

uint64_t
rtp_in_lost(const struct rtp_in *in)
{
    uint64_t expected = in->expected_before, received = in->received_before;

    if (in->started) {
        expected += in->ext_max - in->ext_base + 1;
        received += in->packets;
    }
    return expected > received ? expected - received : 0;
}

size_t
rtcp_write(uint8_t *packet, size_t room, const struct rtp_out *out,
           const struct rtp_in *in, uint64_t ntp)
{
    size_t cname = strlen(out->cname);
    size_t sdes = (4 + 4 + 2 + cname + 1 + 3) / 4 * 4;
    size_t sr = in->started ? 52 : 28;
    uint64_t lost = rtp_in_lost(in);

    if (room < sr + sdes || cname > 255) {
        return 0;
    }
    memset(packet, 0, sr + sdes);
    packet[0] = (uint8_t)(0x80 | (in->started ? 1 : 0));
    packet[1] = RTCP_SR;
    put16(packet + 2, (unsigned)(sr / 4 - 1));
    put32(packet + 4, out->ssrc);
    put32(packet + 8, (uint32_t)(ntp >> 32));
    put32(packet + 12, (uint32_t)ntp);
    put32(packet + 16, out->timestamp);
    put32(packet + 20, out->packets);
    put32(packet + 24, out->octets);
    if (in->started) {
        put32(packet + 28, in->ssrc);
        /* Fraction lost, jitter, LSR and DLSR stay 0: not measured. */
        put32(packet + 32, (uint32_t)(lost < 0x7fffff ? lost : 0x7fffff));
        put32(packet + 36, in->ext_max);
    }
    packet[sr] = 0x81;
    packet[sr + 1] = RTCP_SDES;
    put16(packet + sr + 2, (unsigned)(sdes / 4 - 1));
    put32(packet + sr + 4, out->ssrc);
    packet[sr + 8] = SDES_CNAME;
    packet[sr + 9] = (uint8_t)cname;
    memcpy(packet + sr + 10, out->cname, cname);
    return sr + sdes;
}

bool
rtcp_check(struct mcx_bytes packet)
{
    const uint8_t *p = packet.p;

    return packet.n >= 8 && p[0] >> 6 == 2 && p[1] >= RTCP_SR
           && p[1] <= RTCP_APP
           && 4 * ((size_t)get16(p + 2) + 1) <= packet.n;
}
