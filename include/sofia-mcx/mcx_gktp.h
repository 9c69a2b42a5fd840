/* mcx_gktp.h -- GKTP documents: how keys of groups reach their members (TS
 * 24.481 7.7, and the element of the same type in mcptt-info, TS 24.379 F.1).
 *
 *   struct mcx_bytes      the document, foreign octets
 *       mcx_gktp_read()   XML, sizes, hexadecimal
 *   struct mcx_gktps      one I_MESSAGE after another, still untrusted
 *       mcx_gktp_take()   mcx_mikey_open(), key parameters, the key store
 *
 * The other way, mcx_gktp_write() makes one member's document from what
 * mcx_mikey_build_batch() made for him.  HTTP and SIP are the caller's.
 * Threads: any.  mcx_gktp_take() costs a signature and a pairing: worker. */
#ifndef MCX_GKTP_H
#define MCX_GKTP_H

#include <sofia-mcx/mcx_keys.h>
#include <sofia-mcx/mcx_kms.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCX_AUID_GKTP "org.3gpp.MCPTT-GKTP"
#define MCX_NS_GKTP "urn:3gpp:ns:mcpttGKTP:1.0"
#define MCX_MIME_GKTP "application/vnd.3gpp.GKTP+xml" /* [FMV] */
enum {
    MCX_GKTP_XML_MAX = 1048576, /* octets of a document    */
    MCX_GKTP_MAX = 256,         /* messages of one         */
    MCX_GKTP_ID_MAX = 48        /* octets, with the NUL    */
};

/* One I_MESSAGE in a document. */
struct mcx_gktp {
    unsigned kind; /* MCX_KIND_GMK or MCX_KIND_MKFC, by where it stands  */
    char id[MCX_GKTP_ID_MAX];  /* attribute id: the key ID, in one notation
                                  or another; "" when it is too long      */
    char group[MCX_URI_MAX];   /* temporary-MCPTT-group-ID; "": of the
                                  group itself                            */
    int64_t activation_unix_ms; /* attribute activationtime; 0: none      */
    struct mcx_bytes mikey;     /* empty when 'err' says why              */
    mcx_err err; /* MCX_E_MALFORMED, MCX_E_TOOBIG: this one cannot be read */
    int line;    /* read: where it stands                                 */
};

struct mcx_gktps;
/* Reads a document.  What is wrong with one message is in its 'err' and does
 * not touch the others; what is wrong with the document is in 'text' (NULL
 * allowed).  Elements of other namespaces are passed over.  MCX_E_MALFORMED,
 * MCX_E_TOOBIG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_gktp_read(struct mcx_gktps **out, struct mcx_bytes xml,
                              struct mcx_text *text) MCX_MUST_USE;
MCX_API void mcx_gktp_free(struct mcx_gktps *doc); /* NULL allowed */
MCX_API size_t mcx_gktp_count(const struct mcx_gktps *doc);
/* Number 'i' from 0, in the order of the document; NULL behind the last.
 * Views live as long as 'doc'. */
MCX_API const struct mcx_gktp *mcx_gktp_at(const struct mcx_gktps *doc,
                                           size_t i);

/* A document of 'n' messages: 'kind', 'id', 'group', 'activation_unix_ms' and
 * 'mikey' of each.  malloc'ed, free with mcx_kms_text_free().  MCX_E_ARG:
 * another kind, no ID, no message; MCX_E_NOMEM. */
MCX_API mcx_err mcx_gktp_write(char **out, size_t *n_out,
                               const struct mcx_gktp *item,
                               size_t n) MCX_MUST_USE;

/* Does the text 'id' mean 'key_id'?  Its notation is not specified: decimal,
 * hexadecimal with or without 0x, and base64 of four octets are known. */
MCX_API bool mcx_gktp_names(const char *id, uint32_t key_id);

struct mcx_gktp_how {
    const struct mcx_env *env;
    struct mcx_ring *ring;
    struct mcx_replay *replay; /* NULL: no replay check */
    struct mcx_keys *keys;
    const char *self;  /* our MC service ID                                */
    const char *gms;   /* who has to have signed: the group management
                          server that is configured for the group          */
    const char *impu;  /* whom the keys are bound to beside the group; NULL:
                          nobody                                           */
    const char *group; /* the group of the document, for keys that list no
                          group ID; NULL: such keys are refused            */
    unsigned peer;     /* MCX_PEER_*                                       */
    bool resume;       /* one that failed with MCX_E_NO_PERIOD or for want of
                          memory or room is tried again                    */
};
struct mcx_gktp_done {
    unsigned kind;
    uint32_t key_id;
    bool revoked;    /* the key was taken out, not in                     */
    bool id_differs; /* attribute id names another key: worth a line in a
                        log, no more                                      */
    size_t n;        /* groups that got the key; keys that were revoked   */
};
/* Judges one message and does what it says (TS 24.481, TS 33.180 5.7): its key
 * is put into the store, active now or at the later of the two activation
 * times, for each group; one that is marked as revoked is taken out.  A newer
 * message for a key that is there brings its new parameters; an older one is
 * refused.  The same message again is MCX_E_REPLAY: nothing new, as after most
 * fetches.  What mcx_mikey_open() and mcx_keys_stage_group() refuse, and
 * MCX_E_POLICY (not-newer).  Then nothing has changed. */
MCX_API mcx_err mcx_gktp_take(struct mcx_gktp_done *out,
                              const struct mcx_gktp *gktp,
                              const struct mcx_gktp_how *how,
                              struct mcx_why *why) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_GKTP_H */
