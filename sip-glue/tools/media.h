/* media.h -- the media of one call: PCMU over RTP or SRTP on two UDP ports.
 *
 * Reads a WAV file and sends it, a packet every 20 ms; writes what comes in to
 * another one, in sequence.  Keys come as policies and go to the API of module
 * srtp; without keys packets are plain, which the caller has to want.  All on
 * the thread of the root. */
#ifndef MEDIA_H
#define MEDIA_H

#include <sofia-sip/su_wait.h>
#include <sofia-mcx/mcx_module.h>

struct media;

struct media_report {
    uint64_t sent, received, lost;
    uint64_t bad; /* not authentic, replayed, or not our kind of packet */
    uint64_t rtcp_sent, rtcp_received, rtcp_bad;
};

/* Binds an even port and the next one: the first free pair from 'rtp'
 * ("127.0.0.1:40000") on.  MCX_E_CONFIG, MCX_E_IO with 'text'; MCX_E_NOMEM. */
mcx_err media_new(struct media **out, su_root_t *root,
                  const struct mcx_env *env, const char *rtp,
                  struct mcx_text *text) MCX_MUST_USE;
/* Sends what is left of a recording to disk, wipes keys, closes; NULL
 * allowed. */
void media_free(struct media *media);

const char *media_address(const struct media *media);
bool media_ip6(const struct media *media);
unsigned media_port(const struct media *media);

/* Where the other end listens; a numeric address.  False: not one. */
bool media_peer(struct media *media, const char *address, unsigned port);
/* Keys of both directions; again for a re-key, when the old ones stay valid
 * for packets on their way.  Errors of mcx_srtp_api. */
mcx_err media_keys(struct media *media, const struct mcx_srtp_api *api,
                   const struct mcx_srtp_policy *send,
                   const struct mcx_srtp_policy *receive) MCX_MUST_USE;
bool media_keyed(const struct media *media);

/* Begins.  'wav' and 'record' may be NULL.  'sent' is called once the file has
 * been sent.  MCX_E_IO and the like with 'text'; nothing runs then. */
mcx_err media_start(struct media *media, const char *wav, const char *record,
                    void (*sent)(void *arg, uint64_t packets), void *arg,
                    struct mcx_text *text) MCX_MUST_USE;
bool media_started(const struct media *media);
/* Takes what already arrived, and stops.  The recording is complete then. */
void media_stop(struct media *media);
void media_report(const struct media *media, struct media_report *out);

#endif /* MEDIA_H */
