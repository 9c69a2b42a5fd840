/* mcx_keymgmt.h -- the SDP attribute `a=key-mgmt:mikey ...` (RFC 4567).
 *
 * Pure text work on SDP as it stands on the wire, so that an offer/answer
 * engine and a host that handles raw SDP use the same code.  All texts here
 * are foreign: bounded, never trusted.  Threads: any; nothing allocates. */
#ifndef MCX_KEYMGMT_H
#define MCX_KEYMGMT_H

#include <sofia-mcx/mcx_bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MCX_SDP_MAX = 131072, MCX_SDP_MEDIA_MAX = 16, MCX_SDP_KM_MAX = 32 };

/* One key-mgmt line. */
struct mcx_sdp_km {
    int media;              /* index of the m= section; -1 session level */
    struct mcx_bytes value; /* after the colon, outer spaces trimmed     */
    size_t at;              /* of the value in the SDP                   */
};
struct mcx_sdp_media {
    struct mcx_bytes media, proto; /* "audio", "RTP/SAVP" */
    unsigned port;                 /* 0: declined */
    bool secured; /* RTP/SAVP, RTP/SAVPF, or m=application udp MCPTT */
};
struct mcx_sdp_view {
    struct mcx_bytes text;
    size_t n_media;
    struct mcx_sdp_media media[MCX_SDP_MEDIA_MAX];
    size_t n_km;
    struct mcx_sdp_km km[MCX_SDP_KM_MAX];
};

/* Finds m= and key-mgmt lines; lines may end in CR LF or LF.  With 'alias'
 * `a=keymgmt` counts too (peer option).  BYTES class. */
MCX_API mcx_err mcx_sdp_scan(struct mcx_sdp_view *out, struct mcx_bytes sdp,
                             bool alias, struct mcx_why *why) MCX_MUST_USE;

/* The mikey line in force for section 'media' (media level before session
 * level; RFC 4567 3.1): '*km' points into 'view', or is NULL when there is
 * none.  Two different mikey lines at one level, or key-mgmt lines without a
 * mikey one, are refused (digest D-3, section 5 step 2).  Reasons
 * duplicate-payload, unknown-payload become MCX_E_MALFORMED and
 * MCX_E_UNSUPPORTED. */
MCX_API mcx_err mcx_sdp_effective(const struct mcx_sdp_km **km,
                                  const struct mcx_sdp_view *view, int media,
                                  struct mcx_why *why) MCX_MUST_USE;

/* Space separated protocol ids of the level of 'km', joined by ';', as SDP
 * IDs wants them (RFC 4567 4.1.4). */
MCX_API mcx_err mcx_sdp_ids(char *out, size_t out_size,
                            const struct mcx_sdp_view *view,
                            const struct mcx_sdp_km *km) MCX_MUST_USE;

/* Octets of an attribute value "mikey BASE64".  '*out_n' is the room on entry.
 * Reason bad-encoding. */
MCX_API mcx_err mcx_keymgmt_read(uint8_t *out, size_t *out_n,
                                 struct mcx_bytes value,
                                 struct mcx_why *why) MCX_MUST_USE;
/* "mikey BASE64" with padding, and a NUL. */
#define MCX_KEYMGMT_SIZE(n) (6 + MCX_B64_SIZE(n))
MCX_API mcx_err mcx_keymgmt_write(char *out, size_t out_size,
                                  struct mcx_bytes msg) MCX_MUST_USE;

/* 'sdp' with every session-level mikey line removed and, when 'value' is not
 * NULL, `a=key-mgmt:<value>` put in front of the first m= line.  '*out_n' is
 * the room on entry, counts no NUL on return; one is written.
 * MCX_E_MALFORMED, MCX_E_TOOBIG. */
MCX_API mcx_err mcx_sdp_put(char *out, size_t *out_n, struct mcx_bytes sdp,
                            const char *value) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_KEYMGMT_H */
