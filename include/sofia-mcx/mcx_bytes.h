/* mcx_bytes.h -- views, and the two text codings that carry octets.
 *
 * Station 1 of the data's way: octets that nobody has looked at yet.  A view
 * owns nothing; whoever makes one keeps the buffer alive and unchanged for as
 * long as the view, and everything parsed from it, is in use. */
#ifndef MCX_BYTES_H
#define MCX_BYTES_H

#include <stdbool.h>
#include <string.h>
#include <sofia-mcx/mcx_err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcx_bytes {
    const uint8_t *p; /* NULL only when n is 0 */
    size_t n;         /* octets                */
};

static inline struct mcx_bytes
mcx_bytes(const void *p, size_t n)
{
    struct mcx_bytes b;
    b.p = (const uint8_t *)p;
    b.n = n;
    return b;
}

/* The characters of the C string 's' without its NUL; NULL gives no octets. */
static inline struct mcx_bytes
mcx_bytes_str(const char *s)
{
    return mcx_bytes(s, s ? strlen(s) : 0);
}

/* Same octets?  For public data only: time depends on the contents. */
MCX_API bool mcx_bytes_eq(struct mcx_bytes a, struct mcx_bytes b);

/* Base64 of RFC 4648 section 4.  Encoding writes 4 * ceil(n / 3) characters
 * and a NUL; 'out_size' counts the NUL.  MCX_E_TOOBIG when it does not fit. */
#define MCX_B64_SIZE(n) ((((n) + 2) / 3) * 4 + 1)
MCX_API mcx_err mcx_b64_encode(char *out, size_t out_size,
                               struct mcx_bytes in) MCX_MUST_USE;
/* Strict decoding (RFC 4648 3.3, design of this project): alphabet only, no
 * white space, pad bits zero; missing padding is accepted, surplus padding is
 * not.  '*out_n' is the room on entry and the octets written on return;
 * 3 * (characters / 4) + 3 is always enough.
 * MCX_E_MALFORMED (reason bad-encoding, offset of the character),
 * MCX_E_TOOBIG. */
MCX_API mcx_err mcx_b64_decode(uint8_t *out, size_t *out_n,
                               struct mcx_bytes text,
                               struct mcx_why *why) MCX_MUST_USE;

/* Hexadecimal, lower case out, both cases in.  Decoding wants exactly
 * 2 * 'n' digits.  MCX_E_MALFORMED, MCX_E_TOOBIG. */
#define MCX_HEX_SIZE(n) (2 * (n) + 1)
MCX_API mcx_err mcx_hex_encode(char *out, size_t out_size,
                               struct mcx_bytes in) MCX_MUST_USE;
MCX_API mcx_err mcx_hex_decode(uint8_t *out, size_t n, struct mcx_bytes text,
                               struct mcx_why *why) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_BYTES_H */
