/* rd.h -- the one reader of wire formats.
 *
 * A struct mcx_rd is a view with a position and its first failure.  A read
 * that does not fit returns zero, moves nothing and is remembered, and every
 * later read does the same, so a payload reader is a list of reads and one
 * status line before any field is used.  Positions are absolute in the whole
 * message, so a refusal can name its octet.  No other file does arithmetic on
 * foreign lengths. */
#ifndef MCX_CORE_BASE_RD_H
#define MCX_CORE_BASE_RD_H

#include <sofia-mcx/mcx_bytes.h>

struct mcx_rd {
    const uint8_t *p;
    size_t at, end;   /* absolute positions   */
    size_t failed_at; /* of the first failure */
    bool failed;
};

static inline struct mcx_rd
mcx_rd(struct mcx_bytes b)
{
    struct mcx_rd rd = { b.p, 0, b.n, 0, false };

    return rd;
}

/* A reader of octets [at, at + n) of the same message; the caller got the
 * bounds from this reader. */
static inline struct mcx_rd
mcx_rd_sub(const struct mcx_rd *rd, size_t at, size_t n)
{
    struct mcx_rd sub = { rd->p, at, at + n, 0, false };

    if (at > rd->end || n > rd->end - at) {
        sub.at = sub.end = at < rd->end ? at : rd->end;
        sub.failed = true;
        sub.failed_at = sub.at;
    }
    return sub;
}

static inline size_t
mcx_rd_left(const struct mcx_rd *rd)
{
    return rd->end - rd->at;
}

static inline const uint8_t *
mcx_rd_take(struct mcx_rd *rd, size_t n)
{
    const uint8_t *p;

    if (rd->failed || n > mcx_rd_left(rd)) {
        if (!rd->failed) {
            rd->failed = true;
            rd->failed_at = rd->at;
        }
        return NULL;
    }
    p = rd->p + rd->at;
    rd->at += n;
    return p;
}

static inline uint64_t
mcx_rd_uint(struct mcx_rd *rd, size_t n)
{
    const uint8_t *p = mcx_rd_take(rd, n);
    uint64_t v = 0;
    size_t i;

    for (i = 0; p && i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static inline uint8_t
mcx_rd_u8(struct mcx_rd *rd)
{
    return (uint8_t)mcx_rd_uint(rd, 1);
}

static inline uint16_t
mcx_rd_u16(struct mcx_rd *rd)
{
    return (uint16_t)mcx_rd_uint(rd, 2);
}

static inline uint32_t
mcx_rd_u32(struct mcx_rd *rd)
{
    return (uint32_t)mcx_rd_uint(rd, 4);
}

static inline uint64_t
mcx_rd_u64(struct mcx_rd *rd)
{
    return mcx_rd_uint(rd, 8);
}

/* 'n' octets as a view. */
static inline struct mcx_bytes
mcx_rd_bytes(struct mcx_rd *rd, size_t n)
{
    const uint8_t *p = mcx_rd_take(rd, n);

    return mcx_bytes(p, p ? n : 0);
}

/* A view behind an 8 or 16 bit length.  When the value does not fit, the
 * failure is at the length field. */
static inline struct mcx_bytes
mcx_rd_bytes_len(struct mcx_rd *rd, size_t len_size)
{
    size_t start = rd->at;
    size_t n = (size_t)mcx_rd_uint(rd, len_size);
    struct mcx_bytes b = mcx_rd_bytes(rd, n);

    if (rd->failed && rd->failed_at == start + len_size) {
        rd->failed_at = start;
    }
    return b;
}

static inline bool
mcx_rd_ok(const struct mcx_rd *rd)
{
    return !rd->failed;
}

#endif /* MCX_CORE_BASE_RD_H */
