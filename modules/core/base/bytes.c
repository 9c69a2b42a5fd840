/* bytes.c -- views, base64 and hexadecimal.  See mcx_bytes.h.  The decoders
 * eat foreign text; they are used on public octets only, so their tables and
 * branches need no constant time. */
#include <config.h>
#include <sofia-mcx/mcx_bytes.h>

bool
mcx_bytes_eq(struct mcx_bytes a, struct mcx_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

mcx_err
mcx_b64_encode(char *out, size_t out_size, struct mcx_bytes in)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i, o = 0;

    if (in.n > (SIZE_MAX - 3) / 2 || MCX_B64_SIZE(in.n) > out_size) {
        return MCX_E_TOOBIG;
    }
    for (i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t v = (uint32_t)in.p[i] << 16;

        v |= left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)in.p[i + 2] : 0;
        out[o++] = digit[v >> 18];
        out[o++] = digit[v >> 12 & 63];
        out[o++] = left > 1 ? digit[v >> 6 & 63] : '=';
        out[o++] = left > 2 ? digit[v & 63] : '=';
    }
    out[o] = '\0';
    return MCX_OK;
}

static int
b64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

mcx_err
mcx_b64_decode(uint8_t *out, size_t *out_n, struct mcx_bytes text,
               struct mcx_why *why)
{
    size_t n = text.n, pads = 0, room = *out_n, o = 0, i;
    uint32_t acc = 0;
    unsigned bits = 0;

    while (n > 0 && pads < 2 && text.p[n - 1] == '=') {
        n--;
        pads++;
    }
    /* A character outside the alphabet is named before a wrong length. */
    for (i = 0; i < n; i++) {
        if (b64_value(text.p[i]) < 0) {
            return MCX_REFUSE(why, MCX_R_ENCODING, "", i, "RFC 4648 3.3");
        }
    }
    /* Padding may be missing, but what is there must be exact. */
    if (n % 4 == 1 || (pads > 0 && (n + pads) % 4 != 0)) {
        return MCX_REFUSE(why, MCX_R_ENCODING, "", n, "RFC 4648 4");
    }
    for (i = 0; i < n; i++) {
        acc = acc << 6 | (uint32_t)b64_value(text.p[i]);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (o == room) {
                return MCX_REFUSE(why, MCX_R_TOO_LARGE, "", i, "");
            }
            out[o++] = (uint8_t)(acc >> bits);
        }
        acc &= (1u << bits) - 1;
    }
    if (acc != 0) {
        return MCX_REFUSE(why, MCX_R_ENCODING, "", n - 1, "RFC 4648 3.5");
    }
    *out_n = o;
    return MCX_OK;
}

mcx_err
mcx_hex_encode(char *out, size_t out_size, struct mcx_bytes in)
{
    static const char digit[] = "0123456789abcdef";
    size_t i;

    if (in.n > (SIZE_MAX - 1) / 2 || MCX_HEX_SIZE(in.n) > out_size) {
        return MCX_E_TOOBIG;
    }
    for (i = 0; i < in.n; i++) {
        out[2 * i] = digit[in.p[i] >> 4];
        out[2 * i + 1] = digit[in.p[i] & 15];
    }
    out[2 * i] = '\0';
    return MCX_OK;
}

/* Keys come in hexadecimal too (KMS XML), so the digit's value is computed
 * without a branch or a table: each range contributes through a mask. */
static unsigned
hex_value(uint8_t c)
{
    unsigned lower = c | 0x20u;
    unsigned digit = (unsigned)c - '0', alpha = lower - 'a';
    unsigned is_digit = 0u - ((digit - 10u) >> 31);
    unsigned is_alpha = 0u - ((alpha - 6u) >> 31);

    is_digit &= ~(0u - (digit >> 31));
    is_alpha &= ~(0u - (alpha >> 31));
    return (is_digit & digit) | (is_alpha & (alpha + 10u))
           | (~(is_digit | is_alpha) & 0x100u);
}

mcx_err
mcx_hex_decode(uint8_t *out, size_t n, struct mcx_bytes text,
               struct mcx_why *why)
{
    size_t i;

    if (n > SIZE_MAX / 2 || text.n != 2 * n) {
        return MCX_REFUSE(why, MCX_R_ENCODING, "", text.n, "");
    }
    for (i = 0; i < n; i++) {
        unsigned hi = hex_value(text.p[2 * i]);
        unsigned lo = hex_value(text.p[2 * i + 1]);

        if ((hi | lo) & 0x100u) {
            return MCX_REFUSE(why, MCX_R_ENCODING, "",
                              2 * i + (hi & 0x100u ? 0 : 1), "");
        }
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return MCX_OK;
}
