/* hash.h -- SHA-256 over parts, HashToIntegerRange (RFC 6508 5.1), and the
 * random scalars of this folder. */
#ifndef MCX_IDENT_HASH_H
#define MCX_IDENT_HASH_H

#include <sofia-mcx/mcx_env.h>

enum { MCX_SHA256_SIZE = 32, MCX_STRETCH_MAX = 4 };

/* SHA-256 of the 'n' parts one after the other.  MCX_E_NOMEM. */
mcx_err mcx_sha256(uint8_t out[MCX_SHA256_SIZE],
                   const struct mcx_bytes *parts, size_t n) MCX_MUST_USE;

/* v' = v_1 | ... | v_l of RFC 6508 5.1 for s = the parts; 'l' from 1 to
 * MCX_STRETCH_MAX.  The reduction is the caller's.  MCX_E_NOMEM. */
mcx_err mcx_hash_stretch(uint8_t *out, size_t l,
                         const struct mcx_bytes *parts,
                         size_t n) MCX_MUST_USE;

/* A number of 'bits' bits in 'out', 'n' octets, uniform in low..below-1, both
 * 'n' octets too.  By rejection; gives up with MCX_E_IO when the source keeps
 * giving numbers outside, which a sound one does not. */
mcx_err mcx_random_below(uint8_t *out, size_t n, unsigned bits, unsigned low,
                         const uint8_t *below,
                         const struct mcx_env *env) MCX_MUST_USE;

/* Is the big-endian number 'a' at least 'low' and less than 'below', each of
 * 'n' octets?  Time depends on 'n' only. */
bool mcx_in_range(const uint8_t *a, unsigned low, const uint8_t *below,
                  size_t n);

#endif /* MCX_IDENT_HASH_H */
