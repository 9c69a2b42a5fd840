/* mcx_kms.h -- KMS messages and mcptt-info: the XML texts (TS 33.180 annex D,
 * TS 24.379 annex F.1).  libxml2 stands behind this header and nowhere else.
 *
 * Documents are foreign: at most MCX_XML_MAX octets, MCX_XML_DEPTH deep, no
 * DTD, no entities, no network.  Element names are matched by local name; a
 * namespace other than expected is logged and tolerated for KMS messages
 * (33.180 digest section 2).  Nothing enters the ring that has not passed
 * RFC 6507 5.1.2 and RFC 6508 6.1.2. */
#ifndef MCX_KMS_H
#define MCX_KMS_H

#include <sofia-mcx/mcx_mikey.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MCX_XML_MAX = 1048576, MCX_KMS_XML_MAX = 4194304, MCX_XML_DEPTH = 64 };

/* Where a document was refused, for people: "alice.xml:12: UserID is not the
 * UID of sip:alice@... in period 1536 (TS 33.180 F.2.1)".  No secret in it. */
struct mcx_text { char s[512]; };

/* What one document brought. */
struct mcx_kms_loaded { size_t n_kms, n_users; };

/* Takes one KmsResponse (KmsInit, KmsKeyProv or KmsCertCache; Signed forms
 * are read without judging their signature).  Certificates come before key
 * sets.  A bad key set is refused by itself and named in 'text'; the others
 * of the document are kept and the first error is returned.
 * 'name' is the document's name for messages.
 * MCX_E_MALFORMED (xml, key-range, key-point), MCX_E_AUTH (key-check),
 * MCX_E_NO_IDENTITY (kms-unknown), MCX_E_EXPIRED (set revoked or past its
 * ValidTo, or its certificate revoked), MCX_E_UNSUPPORTED (UserIdFormat,
 * ParameterSet, wrapped keys), MCX_E_PEER (the document is a KmsError),
 * MCX_E_TOOBIG, MCX_E_NOMEM. */
MCX_API mcx_err mcx_kms_load(struct mcx_ring *ring, struct mcx_bytes xml,
                             const char *name, const struct mcx_env *env,
                             struct mcx_kms_loaded *loaded,
                             struct mcx_text *text) MCX_MUST_USE;
/* What a document may bring, for one that answers a request of ours. */
struct mcx_kms_only {
    /* Key sets of another user or KMS are refused (MCX_E_AUTH), each by
     * itself; NULL: of anybody. */
    const char *user_uri, *kms_uri;
    /* Certificates for which this says false are passed over, and logged;
     * NULL: none are. */
    bool (*cert)(void *arg, const struct mcx_kms_info *info);
    /* Told of each key set that went to the ring; NULL: nobody is. */
    void (*took)(void *arg, uint64_t period_no);
    void *arg;
};
/* The same as mcx_kms_load(), narrowed by 'only' (NULL: not at all). */
MCX_API mcx_err mcx_kms_load_only(struct mcx_ring *ring, struct mcx_bytes xml,
                                  const char *name,
                                  const struct mcx_kms_only *only,
                                  const struct mcx_env *env,
                                  struct mcx_kms_loaded *loaded,
                                  struct mcx_text *text) MCX_MUST_USE;
/* Every *.xml of folder 'dir' through env->list_dir and env->read_file; all
 * certificates first, then all key sets.  Stops at the first bad file; a key
 * set that is only MCX_E_EXPIRED is left out and logged.  A folder without
 * any certificate is MCX_E_CONFIG. */
MCX_API mcx_err mcx_kms_load_dir(struct mcx_ring *ring, const char *dir,
                                 const struct mcx_env *env,
                                 struct mcx_kms_loaded *loaded,
                                 struct mcx_text *text) MCX_MUST_USE;

/* Writing: malloc'ed XML, a trailing NUL not counted in '*n'. */
struct mcx_kms_doc {
    const char *user_uri, *kms_uri, *client_req_url;
    int64_t time_unix_ms;
    /* Id of the KmsResponse: that of the request, when the answer is to be
     * bound to it; NULL, or nothing that may be an Id: "response". */
    const char *id;
};
MCX_API mcx_err mcx_kms_write_init(char **out, size_t *n,
                                   const struct mcx_kms_doc *doc,
                                   const struct mcx_kms_info *info,
                                   const uint8_t z[MCX_SAKKE_PT_SIZE],
                                   const uint8_t kpak[MCX_ECCSI_PT_SIZE])
    MCX_MUST_USE;
/* SECRET: one key set to be written; '*out' of the writer holds it in clear
 * and is to be freed with mcx_kms_text_free(). */
struct mcx_kms_keyset {
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_uid uid; /* not looked at with info->monthly_tel */
    uint64_t period_no;
    char user_uri[MCX_URI_MAX];
};
MCX_SECRET_TYPE(mcx_kms_keyset);
MCX_API mcx_err mcx_kms_write_keyprov(char **out, size_t *n,
                                      const struct mcx_kms_doc *doc,
                                      const struct mcx_kms_info *info,
                                      const struct mcx_kms_keyset *sets,
                                      size_t n_sets) MCX_MUST_USE;
/* Certificates with the number of the cache they are from; none: the client
 * holds the newest. */
struct mcx_kms_cert {
    struct mcx_kms_info info;
    uint8_t z[MCX_SAKKE_PT_SIZE], kpak[MCX_ECCSI_PT_SIZE];
};
MCX_API mcx_err mcx_kms_write_certcache(char **out, size_t *n,
                                        const struct mcx_kms_doc *doc,
                                        uint64_t cache_num,
                                        const struct mcx_kms_cert *certs,
                                        size_t n_certs) MCX_MUST_USE;
/* KMS discovery lookup (D.2.7): 'uri' belongs to KMS 'kms_uri'. */
MCX_API mcx_err mcx_kms_write_lookup(char **out, size_t *n,
                                     const struct mcx_kms_doc *doc,
                                     const char *uri,
                                     const char *kms_uri) MCX_MUST_USE;
/* A KmsError in place of a KmsMessage. */
MCX_API mcx_err mcx_kms_write_error(char **out, size_t *n,
                                    const struct mcx_kms_doc *doc,
                                    uint64_t code,
                                    const char *msg) MCX_MUST_USE;
/* Wipes and frees what a writer made; NULL allowed. */
MCX_API void mcx_kms_text_free(char *text, size_t n);

/* ---- KmsRequest, both ways --------------------------------------------- */

enum {
    MCX_KMS_REQUEST_MAX = 65536, /* octets of a request                   */
    MCX_KMS_URL_MAX = 2048,
    MCX_KMS_NAME_MAX = 128,
    MCX_KMS_MSG_MAX = 256,
    MCX_KMS_ID_MAX = 48
};
/* May this be the Id of a message: a letter or '_', then letters, digits and
 * "._-", at most 47 in all? */
MCX_API bool mcx_kms_id_ok(const char *id);
struct mcx_kms_request {
    char user_uri[MCX_URI_MAX], kms_uri[MCX_URI_MAX];
    char client_req_url[MCX_KMS_URL_MAX];
    int64_t time_unix_ms;
    /* "" : absent. */
    char client_id[MCX_KMS_NAME_MAX], device_id[MCX_KMS_NAME_MAX];
    bool has_error; /* ClientError: what went wrong with an earlier answer */
    uint64_t error_code;
    char error_msg[MCX_KMS_MSG_MAX];
    char id[MCX_KMS_ID_MAX]; /* read: "" when it is none (mcx_kms_id_ok);
                                written: "" stands for "request" */
};
/* Reads a KmsRequest.  Every element that is known must be in the namespace
 * of the KMS interface, once, and hold text only; elements of other
 * namespaces and ones that are not known are passed over.  'text' (NULL
 * allowed) says what is wrong: "line 3: Time is not a dateTime ...".
 * MCX_E_MALFORMED, MCX_E_TOOBIG, MCX_E_NOMEM; MCX_E_UNSUPPORTED: a KrrList, or
 * a SignedKmsRequest: mcx_kms_verify() (mcx_kmssec.h) judges its signature and
 * gives out the KmsRequest that is to be read here. */
MCX_API mcx_err mcx_kms_request_read(struct mcx_kms_request *out,
                                     struct mcx_bytes xml,
                                     struct mcx_text *text) MCX_MUST_USE;
/* malloc'ed, free with mcx_kms_text_free().  MCX_E_ARG: an element that has
 * to be there is empty. */
MCX_API mcx_err mcx_kms_request_write(char **out, size_t *n,
                                      const struct mcx_kms_request *req)
    MCX_MUST_USE;

/* ---- KmsResponse, as the asker judges it ------------------------------- */

enum mcx_kms_what {
    MCX_KMS_ANY, /* expected: whatever it is; found: a KmsError */
    MCX_KMS_INIT,
    MCX_KMS_KEYPROV,
    MCX_KMS_CERTCACHE,
    MCX_KMS_LOOKUP
};
/* What the answer must say. */
struct mcx_kms_expect {
    enum mcx_kms_what what;
    const char *user_uri, *kms_uri;
    const char *client_req_url; /* NULL: not judged (a stored answer) */
    /* How far Time may lie from 'now_unix_ms'; negative: not judged. */
    int64_t now_unix_ms, window_ms;
};
/* A key set as announced: nothing of it has been checked yet but that its
 * UserUri and KmsUri are the ones expected. */
struct mcx_kms_announced {
    uint64_t period_no;
    int64_t valid_to_unix; /* 0: open */
    bool revoked;
};
enum { MCX_KMS_SETS_MAX = 16 };
struct mcx_kms_reply {
    enum mcx_kms_what what;
    int64_t time_unix_ms;
    char id[MCX_KMS_ID_MAX]; /* of the KmsResponse; "": none */
    uint64_t error_code; /* of a KmsError, and its text, "" when none */
    char error_msg[MCX_KMS_MSG_MAX];
    bool has_cache_num;
    uint64_t cache_num;
    size_t n_sets; /* more of one user are refused (MCX_E_TOOBIG) */
    struct mcx_kms_announced set[MCX_KMS_SETS_MAX];
    /* Of a KmsLookup: who was looked up, and where it belongs. */
    char lookup_uri[MCX_URI_MAX], lookup_kms[MCX_URI_MAX];
};
/* Reads a KmsResponse (or the one in a SignedKmsResponse, whose signature is
 * judged by mcx_kms_verify() before) and compares it with 'expect'; keys and
 * certificates are left to mcx_kms_load_only().  'text' says what is wrong.
 * MCX_E_PEER: a KmsError, whose code and text are in 'out'; MCX_E_MALFORMED,
 * MCX_E_TOOBIG, MCX_E_NOMEM; MCX_E_AUTH: UserUri, KmsUri or ClientReqUrl is
 * another; MCX_E_SKEW: Time; MCX_E_POLICY: another message than asked for. */
MCX_API mcx_err mcx_kms_reply_read(struct mcx_kms_reply *out,
                                   struct mcx_bytes xml,
                                   const struct mcx_kms_expect *expect,
                                   struct mcx_text *text) MCX_MUST_USE;

/* ---- KMS redirect response (TS 33.180 5.2.8 and D.4) ------------------- */

#define MCX_MIME_KRR "application/vnd.3gpp.kmsredirectresponse+xml"
#define MCX_NS_KRR "urn:3gpp:ns:mcsecKMSKRR:1.0"
#define MCX_NS_KRR_MORE "urn:sofia-mcx:krr:1.0"
enum {
    MCX_KRR_XML_MAX = 65536, /* octets of a document                */
    MCX_KRR_KMS_MAX = 16,    /* KMSs it may propose                 */
    MCX_KRR_CHAIN_MAX = 4,   /* documents within each other         */
    MCX_KRR_DIGEST_SIZE = 32
};
/* Who did not take a KMS that an I_MESSAGE names, and which would do. */
struct mcx_krr {
    char initiator[MCX_URI_MAX], receiver[MCX_URI_MAX]; /* of the message */
    char rejected_kms[MCX_URI_MAX];
    char entity[MCX_URI_MAX]; /* who made the document */
    size_t n_kms;             /* 1 or more             */
    char kms[MCX_KRR_KMS_MAX][MCX_URI_MAX];
    unsigned n_embedded; /* read: documents that it was made from       */
    bool has_signature;  /* read: there is one; nobody has judged it    */
    /* SHA-256 of the octets of the I_MESSAGE that was not taken, so that the
     * document is good for that one and no other, and Time, so that it is good
     * for that long and no longer; our own elements, in MCX_NS_KRR_MORE, for
     * D.4 has none. */
    bool bound;
    uint8_t message[MCX_KRR_DIGEST_SIZE];
    int64_t time_unix_ms; /* 0: it does not say */
};
/* Reads one.  Every element that is known must be in the namespace, once,
 * and a URI; those of other namespaces are passed over.  One that embeds
 * another is about the same message, as far as both say, and proposes no KMS
 * that the inner one does not.  'text' (NULL allowed) says what is wrong.
 * MCX_E_MALFORMED, MCX_E_TOOBIG, MCX_E_NOMEM; MCX_E_POLICY: a chain that is
 * about something else, or wider than what it was made from. */
MCX_API mcx_err mcx_krr_read(struct mcx_krr *out, struct mcx_bytes xml,
                             struct mcx_text *text) MCX_MUST_USE;
/* malloc'ed, without a signature, free with mcx_kms_text_free().  MCX_E_ARG:
 * something is missing or no URI. */
MCX_API mcx_err mcx_krr_write(char **out, size_t *n,
                              const struct mcx_krr *krr) MCX_MUST_USE;
/* Puts a signature into 'plain', which mcx_krr_write() made: XML-DSig,
 * enveloped, ECDSA-SHA-256 with the P-256 key 'key_pem', the first certificate
 * of 'cert_pem' in KeyInfo.  MCX_E_ARG: another document; MCX_E_CONFIG: key or
 * certificate. */
MCX_API mcx_err mcx_krr_sign(char **out, size_t *n, struct mcx_bytes plain,
                             struct mcx_bytes cert_pem,
                             struct mcx_bytes key_pem) MCX_MUST_USE;
/* Is 'xml', which mcx_krr_read() has taken, signed by its 'entity'?  Taken is
 * one Signature, the last element of the document, with one Reference to the
 * document element by its Id or by "", enveloped; algorithms as above; one
 * X509Certificate, judged by mcx_x509_verify() with 'ca_pem'.  Signatures of
 * embedded documents are not judged.  What ties it
 * to a message and a time is 'message' and 'time_unix_ms', for the caller.
 * MCX_E_POLICY: no signature, or another form; MCX_E_AUTH: it is wrong, or its
 * certificate is not one for 'entity'; MCX_E_CONFIG: 'ca_pem'; MCX_E_TOOBIG,
 * MCX_E_MALFORMED, MCX_E_NOMEM. */
MCX_API mcx_err mcx_krr_verify(struct mcx_bytes xml, const char *entity,
                               struct mcx_bytes ca_pem, int64_t now_unix,
                               struct mcx_text *text) MCX_MUST_USE;

/* ---- mcptt-info -------------------------------------------------------- */

#define MCX_MIME_MIKEY "application/mikey"
#define MCX_MIME_MCPTT_INFO "application/vnd.3gpp.mcptt-info+xml"
#define MCX_MIME_POC_SETTINGS "application/poc-settings+xml"
#define MCX_NS_MCPTT_INFO "urn:3gpp:ns:mcpttInfo:1.0"

/* Elements that key management reads or writes; "" means absent. */
struct mcx_mcinfo {
    char access_token[2048];
    char session_type[64];
    char request_uri[MCX_URI_MAX];
    char calling_user_id[MCX_URI_MAX];
    char called_party_id[MCX_URI_MAX];
    char client_id[MCX_GROUP_ID_MAX];
    bool calling_user_encrypted; /* type="Encrypted": not readable here */
};
/* MCX_E_MALFORMED (xml), MCX_E_TOOBIG. */
MCX_API mcx_err mcx_mcinfo_read(struct mcx_mcinfo *out, struct mcx_bytes xml,
                                struct mcx_why *why) MCX_MUST_USE;
/* malloc'ed, free with mcx_kms_text_free() (a token is in it). */
MCX_API mcx_err mcx_mcinfo_write(char **out, size_t *n,
                                 const struct mcx_mcinfo *info) MCX_MUST_USE;
/* poc-settings body of a PUBLISH (TS 24.379 7.2.2): answer mode "automatic"
 * or "manual", 'entity' the client's instance URN.  malloc'ed. */
MCX_API mcx_err mcx_poc_settings_write(char **out, size_t *n,
                                       const char *entity,
                                       const char *answer_mode) MCX_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif /* MCX_KMS_H */
