/* wr.h -- the one writer of wire formats: the mirror of rd.h.  A write that
 * does not fit writes nothing and is remembered. */
#ifndef MCX_CORE_BASE_WR_H
#define MCX_CORE_BASE_WR_H

#include <sofia-mcx/mcx_bytes.h>

struct mcx_wr {
    uint8_t *p;
    size_t at, room;
    bool failed;
};

static inline struct mcx_wr
mcx_wr(uint8_t *p, size_t room)
{
    struct mcx_wr wr = { p, 0, room, false };

    return wr;
}

/* Room for 'n' octets, or NULL. */
static inline uint8_t *
mcx_wr_put(struct mcx_wr *wr, size_t n)
{
    uint8_t *p;

    if (wr->failed || n > wr->room - wr->at) {
        wr->failed = true;
        return NULL;
    }
    p = wr->p + wr->at;
    wr->at += n;
    return p;
}

static inline void
mcx_wr_uint(struct mcx_wr *wr, uint64_t v, size_t n)
{
    uint8_t *p = mcx_wr_put(wr, n);

    while (p && n-- > 0) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

static inline void
mcx_wr_u8(struct mcx_wr *wr, unsigned v)
{
    mcx_wr_uint(wr, v, 1);
}

static inline void
mcx_wr_u16(struct mcx_wr *wr, unsigned v)
{
    mcx_wr_uint(wr, v, 2);
}

static inline void
mcx_wr_u32(struct mcx_wr *wr, uint32_t v)
{
    mcx_wr_uint(wr, v, 4);
}

static inline void
mcx_wr_u64(struct mcx_wr *wr, uint64_t v)
{
    mcx_wr_uint(wr, v, 8);
}

static inline void
mcx_wr_bytes(struct mcx_wr *wr, struct mcx_bytes b)
{
    uint8_t *p = mcx_wr_put(wr, b.n);

    if (p && b.n) {
        memcpy(p, b.p, b.n);
    }
}

/* A length of 'len_size' octets and the value; a value that is too long for
 * its length field counts as one that does not fit. */
static inline void
mcx_wr_bytes_len(struct mcx_wr *wr, struct mcx_bytes b, size_t len_size)
{
    if (len_size < sizeof(size_t) && b.n >> (8 * len_size) != 0) {
        wr->failed = true;
        return;
    }
    mcx_wr_uint(wr, b.n, len_size);
    mcx_wr_bytes(wr, b);
}

static inline mcx_err
mcx_wr_status(const struct mcx_wr *wr)
{
    return wr->failed ? MCX_E_TOOBIG : MCX_OK;
}

#endif /* MCX_CORE_BASE_WR_H */
