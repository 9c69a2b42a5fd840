/* ua_sdp.h -- the phone's session descriptions: what it offers, what it can
 * take of another's. */
#ifndef UA_SDP_H
#define UA_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <sofia-mcx/mcx_bytes.h>

enum { UA_SDP_SIZE = 1024, UA_ADDRESS_SIZE = 64 };

/* One audio stream, PCMU, RTP/SAVP or RTP/AVP.  'session' adds the session
 * lines (raw SDP); without them it is user SDP for the engine. */
void ua_sdp_write(char out[UA_SDP_SIZE], const char *address, bool ip6,
                  unsigned port, bool secured, bool session,
                  uint64_t session_id, unsigned version);

struct ua_sdp_peer {
    char address[UA_ADDRESS_SIZE];
    unsigned port;
    bool secured; /* RTP/SAVP */
};
/* Finds the first audio stream that has PCMU and a port.  False: none, or not
 * SDP. */
bool ua_sdp_read(struct ua_sdp_peer *out, struct mcx_bytes sdp);

#endif /* UA_SDP_H */
