/* guk.c -- GUK-ID: the GMK-ID as rewritten for one member (TS 33.180 F.1.3).
 *
 *   salt   = 28 low bits of HMAC-SHA-256(GMK, 0x50 || URI || length (16))
 *   GUK-ID = tag of the GMK-ID || (salt xor 28 low bits of the GMK-ID)
 *
 * The LAST four octets of the HMAC; one public draft takes the first and
 * cannot interwork.  XOR makes it its own inverse. */
#include <config.h>
#include "mac.h"
#include <sofia-mcx/mcx_mikey.h>

mcx_err
mcx_guk_id(uint32_t *out, const struct mcx_ssv *gmk, uint32_t gmk_id,
           const char *uri)
{
    static const uint8_t fc[1] = { 0x50 };
    struct mcx_bytes id = mcx_bytes_str(uri);
    uint8_t len[2] = { (uint8_t)(id.n >> 8), (uint8_t)id.n };
    struct mcx_bytes piece[3] = { mcx_bytes(fc, 1), id, mcx_bytes(len, 2) };
    uint8_t mac[MCX_SHA256_SIZE];
    uint32_t salt;

    if (id.n == 0 || id.n > UINT16_MAX) {
        return MCX_E_ARG;
    }
    MCX_TRY(mcx_hmac_sha256(mac, mcx_bytes(gmk->b, sizeof gmk->b), piece, 3));
    salt = (uint32_t)mac[28] << 24 | (uint32_t)mac[29] << 16
           | (uint32_t)mac[30] << 8 | mac[31];
    mcx_wipe(mac, sizeof mac);
    *out = gmk_id ^ (salt & UINT32_C(0x0fffffff));
    return MCX_OK;
}
