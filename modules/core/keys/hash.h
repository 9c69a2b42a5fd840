/* hash.h -- the keyed hash of the tables of core/keys.  Included by ring.c,
 * replay.c and store.c.  Names and digests in those tables come from peers,
 * so an unkeyed hash would let a peer choose what collides.  SipHash-2-4
 * (Aumasson and Bernstein 2012) with a key drawn for each table; not for
 * anything but table positions. */
#ifndef MCX_CORE_KEYS_HASH_H
#define MCX_CORE_KEYS_HASH_H

#include <sofia-mcx/mcx_env.h>

struct mcx_hash_seed {
    uint64_t k[2];
};

static inline uint64_t
mcx_hash_rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline void
mcx_hash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = mcx_hash_rotl(v[1], 13) ^ v[0];
    v[0] = mcx_hash_rotl(v[0], 32);
    v[2] += v[3];
    v[3] = mcx_hash_rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = mcx_hash_rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = mcx_hash_rotl(v[1], 17) ^ v[2];
    v[2] = mcx_hash_rotl(v[2], 32);
}

/* Up to eight octets, least significant first, as SipHash reads them. */
static inline uint64_t
mcx_hash_word(const uint8_t *p, size_t n)
{
    uint64_t w = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        w |= (uint64_t)p[i] << (8 * i);
    }
    return w;
}

static inline uint64_t
mcx_hash(const struct mcx_hash_seed *seed, const void *octets, size_t n)
{
    const uint8_t *p = (const uint8_t *)octets;
    uint64_t v[4] = {
        seed->k[0] ^ UINT64_C(0x736f6d6570736575),
        seed->k[1] ^ UINT64_C(0x646f72616e646f6d),
        seed->k[0] ^ UINT64_C(0x6c7967656e657261),
        seed->k[1] ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)n << 56;
    size_t i;

    for (i = 0; i + 8 <= n; i += 8) {
        uint64_t w = mcx_hash_word(p + i, 8);

        v[3] ^= w;
        mcx_hash_round(v);
        mcx_hash_round(v);
        v[0] ^= w;
    }
    last |= i < n ? mcx_hash_word(p + i, n - i) : 0;
    v[3] ^= last;
    mcx_hash_round(v);
    mcx_hash_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (i = 0; i < 4; i++) {
        mcx_hash_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif /* MCX_CORE_KEYS_HASH_H */
