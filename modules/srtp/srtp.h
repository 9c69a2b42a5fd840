/* srtp.h -- what the files of module srtp share.
 *
 * The public face is struct mcx_srtp_api (mcx_module.h).  Here is only what
 * the descriptor and the tests need on top of it. */
#ifndef MODULE_SRTP_H
#define MODULE_SRTP_H

#include <sofia-mcx/mcx_module.h>

enum {
    MCX_SRTP_KEYS_MAX = 4,   /* live keys of one session                    */
    MCX_SRTP_SSRC_MAX = 256, /* senders that one session tells apart        */
    MCX_SRTP_PACKET_MAX = 9216, /* octets, protected; a jumbo frame         */
    MCX_SRTP_WINDOW = 128    /* packets behind the newest still looked at   */
};

/* Starts libsrtp once for the process.  MCX_E_SELFTEST: its own tests failed.
 */
mcx_err mcx_srtp_begin(void) MCX_MUST_USE;

/* The functions behind feature "srtp.session". */
const struct mcx_srtp_api *mcx_srtp_functions(void);

/* The roll-over counter of 'ssrc' before its first packet, for who joins late
 * and was told by other means (RFC 3711 3.3.1).  The session must be of that
 * SSRC, or take RCC from anybody.  MCX_E_STATE when packets of
 * 'ssrc' were seen already; MCX_E_BUSY: too many senders; MCX_E_PEER. */
mcx_err mcx_srtp_roc(struct mcx_srtp *s, uint32_t ssrc,
                     uint32_t roc) MCX_MUST_USE;

#endif /* MODULE_SRTP_H */
