/* ua_sdp.c -- the phone's SDP, by sofia's parser.
 *
 * Called by ua_call.c for both media modes.  The key-mgmt attribute is not
 * handled here: the modules put it in and look at it. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sofia-sip/sdp.h>
#include <sofia-sip/su_alloc.h>

#include "ua_sdp.h"

enum { SDP_MAX = 65536 };

void
ua_sdp_write(char out[UA_SDP_SIZE], const char *address, bool ip6,
             unsigned port, bool secured, bool session, uint64_t session_id,
             unsigned version)
{
    const char *ip = ip6 ? "IP6" : "IP4";
    int n = 0;

    if (session) {
        n = snprintf(out, UA_SDP_SIZE,
                     "v=0\r\no=- %" PRIu64 " %u IN %s %s\r\ns=-\r\n",
                     session_id, version, ip, address);
    }
    (void)snprintf(out + n, UA_SDP_SIZE - (size_t)n,
                   "c=IN %s %s\r\nt=0 0\r\n"
                   "m=audio %u RTP/%s 0\r\n"
                   "a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
                   ip, address, port, secured ? "SAVP" : "AVP");
}

static bool
has_pcmu(const sdp_media_t *m)
{
    const sdp_rtpmap_t *map;

    for (map = m->m_rtpmaps; map != NULL; map = map->rm_next) {
        if (map->rm_pt == 0) {
            return true;
        }
    }
    return false;
}

bool
ua_sdp_read(struct ua_sdp_peer *out, struct mcx_bytes sdp)
{
    su_home_t *home;
    sdp_parser_t *parser;
    const sdp_session_t *session;
    const sdp_media_t *m;
    bool found = false;

    if (sdp.n == 0 || sdp.n > SDP_MAX) {
        return false;
    }
    home = su_home_new(sizeof *home);
    if (home == NULL) {
        return false;
    }
    parser = sdp_parse(home, (const char *)sdp.p, (issize_t)sdp.n, 0);
    session = sdp_session(parser);
    for (m = session != NULL ? session->sdp_media : NULL;
         m != NULL && !found; m = m->m_next) {
        const sdp_connection_t *c =
            m->m_connections != NULL ? m->m_connections
                                     : session->sdp_connection;

        found = m->m_type == sdp_media_audio && m->m_port > 0
                && m->m_port < 65535 && !m->m_rejected
                && (m->m_proto == sdp_proto_srtp
                    || m->m_proto == sdp_proto_rtp)
                && has_pcmu(m) && c != NULL && c->c_address != NULL
                && strlen(c->c_address) < sizeof out->address;
        if (found) {
            (void)snprintf(out->address, sizeof out->address, "%s",
                           c->c_address);
            out->port = (unsigned)m->m_port;
            out->secured = m->m_proto == sdp_proto_srtp;
        }
    }
    sdp_parser_free(parser);
    su_home_unref(home);
    return found;
}
