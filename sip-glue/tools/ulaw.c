/* ulaw.c -- G.711 mu-law (ITU-T G.711 table 2), computed rather than listed.
 *
 * Called for each sample by media.c and by the wavcmp test helper.  The code
 * word is sign (1) | segment (3) | step (4), all bits inverted on the line.
 * Within 14 bits of magnitude, segment s starts at 33 * 2^s - 33; the sums
 * below do the same on 16-bit samples, where the bias is 33 * 4 = 132. */
#include <config.h>

#include "ulaw.h"

enum { ULAW_BIAS = 132, ULAW_CLIP = 32635 };

uint8_t
ulaw_encode(int16_t sample)
{
    unsigned sign = sample < 0 ? 0x80u : 0u;
    int magnitude = sample < 0 ? -(int)sample : sample;
    unsigned segment = 7;
    unsigned biased, bit;

    if (magnitude > ULAW_CLIP) {
        magnitude = ULAW_CLIP;
    }
    biased = (unsigned)(magnitude + ULAW_BIAS);
    for (bit = 0x4000u; segment > 0 && (biased & bit) == 0; bit >>= 1) {
        segment--;
    }
    return (uint8_t)~(sign | segment << 4 | (biased >> (segment + 3) & 0xfu));
}

int16_t
ulaw_decode(uint8_t octet)
{
    unsigned code = ~(unsigned)octet & 0xffu;
    unsigned segment = code >> 4 & 7u;
    int magnitude = (int)((((code & 0xfu) << 3) + ULAW_BIAS) << segment)
                    - ULAW_BIAS;

    return (int16_t)((code & 0x80u) != 0 ? -magnitude : magnitude);
}
