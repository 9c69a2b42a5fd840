/* guard.h -- what stands between the network and sofia-sip's body parsers.
 *
 * A message class for NUTAG_SIP_PARSER(): sofia's own, except that each
 * incoming body passes through our splitter first.  A good multipart body is
 * handed to sip->sip_multipart ready made, so that nua and soa find the SDP in
 * it; sip_payload stays whole.  A malformed one gets a Content-Type that
 * nothing in the stack parses, so it is answered 415 (or reaches the
 * application as an opaque body), never as if the body were absent.  The same
 * is done with SDP that would make sofia's parser run for ever.  Without the
 * guard one UDP datagram ends the process: a multipart one as soon as
 * NUTAG_ACCEPT_MULTIPART(1) is set, an SDP one (`m=x 1 y "`) always. */
#ifndef MCXS_GUARD_H
#define MCXS_GUARD_H

#include <stdint.h>
#include <sofia-sip/msg_mclass.h>

/* For NUTAG_SIP_PARSER(); to be used together with NUTAG_ACCEPT_MULTIPART(1).
 * A clone of sip_default_mclass() as it is at the first call, made once and
 * kept for the life of the process; NULL when memory is short.
 * Threads: any. */
msg_mclass_t const *mcxs_guard_mclass(void);

/* Multipart bodies seen, and bodies found malformed, since the process began.
 * NULL allowed.  Threads: any. */
void mcxs_guard_counts(uint64_t *seen, uint64_t *malformed);

/* The type that a malformed body is given; its first value in the
 * original message is lost on purpose. */
#define MCXS_GUARD_TYPE "application/x-mcx-malformed"

#endif /* MCXS_GUARD_H */
