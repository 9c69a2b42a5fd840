/* mac.h -- HMAC over several pieces, for prf.c, guk.c, keyparams.c, psk.c;
 * and the hash of a message's signed octets, for open.c and build.c.
 *
 * What OpenSSL refuses with arguments like ours it refuses for want of memory,
 * so that is what its failures are called; its error queue stays as it was. */
#ifndef MCX_CORE_MIKEY_MAC_H
#define MCX_CORE_MIKEY_MAC_H

#include <sofia-mcx/mcx_bytes.h>
#include <sofia-mcx/mcx_secret.h>

enum { MCX_SHA1_SIZE = 20, MCX_SHA256_SIZE = 32 };
enum mcx_hash { MCX_HASH_SHA1, MCX_HASH_SHA256 };

struct mcx_hmac; /* an OpenSSL context; one key, many messages */
/* MCX_E_NOMEM. */
mcx_err mcx_hmac_new(struct mcx_hmac **out, enum mcx_hash hash) MCX_MUST_USE;
void mcx_hmac_free(struct mcx_hmac *h);
/* 'out' has room for the hash; the pieces are taken in order. */
mcx_err mcx_hmac_run(struct mcx_hmac *h, uint8_t *out, struct mcx_bytes key,
                     const struct mcx_bytes *piece, size_t n) MCX_MUST_USE;
/* Once, with SHA-256. */
mcx_err mcx_hmac_sha256(uint8_t out[MCX_SHA256_SIZE], struct mcx_bytes key,
                        const struct mcx_bytes *piece, size_t n) MCX_MUST_USE;

/* SHA-256. */
mcx_err mcx_digest(uint8_t out[MCX_SHA256_SIZE],
                   struct mcx_bytes octets) MCX_MUST_USE;

#endif /* MCX_CORE_MIKEY_MAC_H */
