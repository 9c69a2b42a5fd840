/* fuzz_sip.c -- libFuzzer target: a whole SIP message through sofia's parser
 * with the body guard in it, as from UDP.
 *
 * Afterwards nothing may be left that nua would give to sofia's own multipart
 * parser, and the SDP that nua would take goes through sdp_parse(), which must
 * come to an end. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_buffer.h>
#include <sofia-sip/msg_mime.h>
#include <sofia-sip/sdp.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/su_string.h>
#include "sofia/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
parse_sdp(const msg_payload_t *pl)
{
    su_home_t home[1] = { SU_HOME_INIT(home) };

    su_home_init(home);
    sdp_parser_free(sdp_parse(home, pl->pl_data, (issize_t)pl->pl_len, 0));
    su_home_deinit(home);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    msg_iovec_t vec[2];
    msg_multipart_t *mp;
    const char *type;
    msg_t *msg;
    sip_t *sip;

    if (n == 0 || n > 65535) {
        return 0;
    }
    msg = msg_create(mcxs_guard_mclass(), 0);
    if (!msg) {
        return 0;
    }
    if (msg_recv_iovec(msg, vec, 2, (usize_t)n, 1) == 1) {
        memcpy(vec[0].mv_base, data, n);
        (void)msg_recv_commit(msg, (usize_t)n, 1);
        if (msg_extract(msg) > 0 && (sip = sip_object(msg)) != NULL
            && sip->sip_payload) {
            type = sip->sip_content_type ? sip->sip_content_type->c_type
                                         : NULL;
            if (type && su_casenmatch(type, "multipart/", 10)
                && !sip->sip_multipart) {
                abort();
            }
            if (!type || su_casematch(type, "application/sdp")) {
                parse_sdp(sip->sip_payload);
            }
            for (mp = sip->sip_multipart; mp; mp = mp->mp_next) {
                if (mp->mp_payload
                    && su_casematch(mp->mp_content_type->c_type,
                                    "application/sdp")) {
                    parse_sdp(mp->mp_payload);
                }
            }
        }
    }
    msg_destroy(msg);
    return 0;
}
