/* signers.h -- signers whose signatures are verified again and again: a table
 * of Y = [HS]PVT + KPAK for each of the MCX_SIGNERS_MAX that were used last,
 * 26 KiB each (26 MiB), for a KMS.
 *
 * A signer is named by HS, which is the hash of KPAK, identifier and PVT:
 * whoever differs in one of them is another one.  All is public.  Threads:
 * any; nobody waits for a table that somebody else builds or uses. */
#ifndef MCX_IDENT_SIGNERS_H
#define MCX_IDENT_SIGNERS_H

#include <sofia-mcx/mcx_ident.h>
#include "consts.h"
#include "p256_ops.h"

enum { MCX_SIGNERS_MAX = 1024, MCX_SIGNER_W = 5, MCX_SIGNER_V = 2 };

struct mcx_signers; /* the list; one a KMS */
struct mcx_signer;

struct mcx_signers *mcx_signers_new(void) MCX_MUST_USE;
void mcx_signers_free(struct mcx_signers *signers);

/* As if new. */
void mcx_signers_forget(struct mcx_signers *signers);

/* The table of a signer, who is then to be dropped; NULL: has none. */
const struct mcx_p256_table *
mcx_signers_take(struct mcx_signer **who, struct mcx_signers *signers,
                 const uint8_t hs[MCX_P256_SIZE]);
void mcx_signer_drop(struct mcx_signer *who);

/* Counts a signature that was good.  Was it not the first one lately, so that
 * a table would pay?  (What is remembered of those without a table is 1,024
 * places, one for each value of ten bits of HS.) */
bool mcx_signers_saw(struct mcx_signers *signers,
                     const uint8_t hs[MCX_P256_SIZE]);

/* Takes over 't', whatever it returns.  MCX_E_NOMEM. */
mcx_err mcx_signers_put(struct mcx_signers *signers,
                        const uint8_t hs[MCX_P256_SIZE],
                        struct mcx_p256_table *t) MCX_MUST_USE;

#endif /* MCX_IDENT_SIGNERS_H */
