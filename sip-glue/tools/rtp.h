/* rtp.h -- RTP and RTCP packets of one PCMU stream (RFC 3550, RFC 3551).
 *
 * Pure functions and two small records: what we send, what we receive.  No
 * sockets, no keys: media.c protects what is written here and reads only what
 * was unprotected before.  Octets read are foreign all the same, for a call
 * may be without SRTP. */
#ifndef RTP_H
#define RTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sofia-mcx/mcx_env.h>

enum {
    RTP_HEADER = 12,
    RTP_PT_PCMU = 0,
    RTP_FRAME = 160, /* samples, and octets, of 20 ms */
    RTP_FRAME_MS = 20,
    RTP_PACKET_MAX = 1500,
    RTCP_CNAME_SIZE = 25, /* 24 hexadecimal digits and NUL (RFC 7022) */
    /* RFC 3550 A.1: how far a sequence number may jump at once. */
    RTP_MAX_DROPOUT = 3000,
    RTP_MAX_MISORDER = 100
};

/* ---- sending ----------------------------------------------------------- */

struct rtp_out {
    uint32_t ssrc;
    uint16_t seq;
    uint32_t timestamp;
    uint32_t packets, octets; /* sent, for sender reports */
    bool marked;              /* the marker bit went out  */
    char cname[RTCP_CNAME_SIZE];
};
/* Random SSRC, sequence number, timestamp and CNAME.  The sequence number
 * starts below 2^15, for SRTP's roll-over counter (RFC 3711 3.3.1). */
mcx_err rtp_out_init(struct rtp_out *out,
                     const struct mcx_env *env) MCX_MUST_USE;
/* Writes one packet with 'n' samples coded to 'packet', which has room for
 * RTP_HEADER + n; returns its size. */
size_t rtp_out_write(struct rtp_out *out, uint8_t *packet,
                     const int16_t *samples, size_t n);

/* ---- receiving --------------------------------------------------------- */

struct rtp_view {
    uint8_t pt;
    bool marker;
    uint16_t seq;
    uint32_t timestamp, ssrc;
    struct mcx_bytes payload;
};
/* False when 'packet' is not an RTP version 2 packet whole in itself. */
bool rtp_read(struct rtp_view *out, struct mcx_bytes packet);

struct rtp_in {
    bool started;
    uint32_t ssrc;
    uint32_t ext_max, ext_base; /* extended sequence numbers */
    uint32_t bad_seq;           /* RFC 3550 A.1; 65537: none */
    uint32_t base_timestamp;
    size_t base_at;   /* samples: where the stream starts in the recording */
    size_t end_at;    /* samples: end of what was received                 */
    uint32_t packets; /* of this SSRC                                      */
    uint64_t total;   /* of all streams                                    */
    uint64_t expected_before, received_before;
};
/* Takes the packet into account; '*at' is where its samples belong in the
 * recording.  False: out of sequence, or out of place, and to be dropped. */
bool rtp_in_place(struct rtp_in *in, const struct rtp_view *packet,
                  size_t *at);
/* Packets missing so far. */
uint64_t rtp_in_lost(const struct rtp_in *in);

/* ---- RTCP -------------------------------------------------------------- */

/* A compound packet: SR (with a report block once something was received),
 * SDES CNAME.  Returns its size; 'room' of 128 is enough, else 0. */
size_t rtcp_write(uint8_t *packet, size_t room, const struct rtp_out *out,
                  const struct rtp_in *in, uint64_t ntp);
/* Is 'packet' a compound packet as far as its first part tells? */
bool rtcp_check(struct mcx_bytes packet);

#endif /* RTP_H */
