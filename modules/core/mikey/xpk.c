/* xpk.c -- the two keys that protect XML, from an XML protection key (CSK or
 * SPK): TS 33.180 F.1.4.
 *
 *   key = 16 last octets of HMAC-SHA-256(XPK,
 *         FC || id || length of id (16) || XPK-ID (32) || 0x0004)
 *
 * with FC 0x51 for encryption and 0x52 for signatures.  Called by core/keys,
 * which holds the XPK; what is done with the keys is XML's own business.
 *
 * SPEC F.1.4, last part not to be had: which 16 octets are taken (as in F.1.5
 * and TS 33.220: the last), and that the XPK-ID is its four octets. */
#include <config.h>
#include "mac.h"
#include <sofia-mcx/mcx_mikey.h>

enum { FC_CONFIDENTIALITY = 0x51, FC_INTEGRITY = 0x52 };
enum { XML_KEY_AT = MCX_SHA256_SIZE - MCX_XML_KEY_SIZE }; /* [FMV] */

struct mcx_xml_mac { uint8_t b[MCX_SHA256_SIZE]; };
MCX_SECRET_TYPE(mcx_xml_mac);

static mcx_err
derive(uint8_t out[MCX_XML_KEY_SIZE], const struct mcx_ssv *xpk,
       uint32_t xpk_id, struct mcx_bytes id, uint8_t fc)
{
    MCX_SECRET(mcx_xml_mac, mac);
    uint8_t tail[8] = { (uint8_t)(id.n >> 8),     (uint8_t)id.n,
                        (uint8_t)(xpk_id >> 24),  (uint8_t)(xpk_id >> 16),
                        (uint8_t)(xpk_id >> 8),   (uint8_t)xpk_id,
                        0,                        4 };
    struct mcx_bytes piece[3] = { mcx_bytes(&fc, 1), id,
                                  mcx_bytes(tail, sizeof tail) };

    MCX_TRY(mcx_hmac_sha256(mac.b, mcx_bytes(xpk->b, sizeof xpk->b), piece,
                            3));
    memcpy(out, mac.b + XML_KEY_AT, MCX_XML_KEY_SIZE);
    return MCX_OK;
}

mcx_err
mcx_xml_keys(struct mcx_xml_keys *out, const struct mcx_ssv *xpk,
             uint32_t xpk_id, const char *id, unsigned peer)
{
    struct mcx_bytes who = mcx_bytes_str(id);
    mcx_err err;

    mcx_xml_keys_wipe(out);
    if (who.n == 0 || who.n > UINT16_MAX) {
        return MCX_E_ARG;
    }
    if (peer & MCX_PEER_XML_KEY_XPK) {
        memcpy(out->c.b, xpk->b, sizeof out->c.b);
        memcpy(out->i.b, xpk->b, sizeof out->i.b);
        out->xpk_id = xpk_id;
        return MCX_OK;
    }
    err = derive(out->c.b, xpk, xpk_id, who, FC_CONFIDENTIALITY);
    if (err == MCX_OK) {
        err = derive(out->i.b, xpk, xpk_id, who, FC_INTEGRITY);
    }
    if (err == MCX_OK) {
        out->xpk_id = xpk_id;
    } else {
        mcx_xml_keys_wipe(out);
    }
    return err;
}
