/* mcx_err.h -- results, reasons and details.  Everything else includes this.
 *
 * A function that can fail returns an mcx_err, MCX_OK being zero.  The value
 * is a class (high octet) and a code, so a caller may act on the class alone:
 *
 *   class    meaning                              what a peer is told
 *   CALLER   our bug or the application's         nothing
 *   BYTES    not what the specification allows    488/136, like any other
 *   TRUST    well formed and not believed         488/136, like any other
 *   LOOKUP   believed, cannot be used             488/136, like any other
 *   WORLD    try later                            503 with Retry-After, 500
 *   OURS     stop using this instance             500
 *
 * Inside, refusals are exact: functions that judge foreign octets take an
 * optional 'why' (NULL allowed) and fill it with a reason word, the payload,
 * the octet offset in the judged text, and the clause.  All strings in it are
 * static; no octet of the message and no secret ever enters it.
 *
 * On failure outputs are as if the call had not happened, secret outputs are
 * zero, and no state has changed. */
#ifndef MCX_ERR_H
#define MCX_ERR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MCX_MUST_USE __attribute__((warn_unused_result))
#define MCX_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MCX_API __attribute__((visibility("default")))
#else
#define MCX_MUST_USE
#define MCX_PRINTF(f, a)
#define MCX_API
#endif

enum mcx_err_class {
    MCX_CLASS_NONE = 0,
    MCX_CLASS_CALLER = 1,
    MCX_CLASS_BYTES = 2,
    MCX_CLASS_TRUST = 3,
    MCX_CLASS_LOOKUP = 4,
    MCX_CLASS_WORLD = 5,
    MCX_CLASS_OURS = 6
};

/* X(code, class, text).  The one list: enum, texts and classes are made of
 * it. */
#define MCX_ERR_LIST(X)                                                       \
    X(ARG, CALLER, "argument outside what the header allows")                 \
    X(STATE, CALLER, "call not allowed in this state")                        \
    X(CONFIG, CALLER, "configuration is wrong")                               \
    X(MALFORMED, BYTES, "octets are not what the specification allows")       \
    X(TOOBIG, BYTES, "larger than this library accepts")                      \
    X(UNSUPPORTED, BYTES, "well formed, but not something we support")        \
    X(AUTH, TRUST, "authentication failed")                                   \
    X(REPLAY, TRUST, "seen before")                                           \
    X(SKEW, TRUST, "time outside the accepted window")                        \
    X(POLICY, TRUST, "not allowed by policy or by the procedure")             \
    X(EXPIRED, TRUST, "expired or revoked")                                   \
    X(NO_KEY, LOOKUP, "no such key")                                          \
    X(NO_IDENTITY, LOOKUP, "no such identity or KMS")                         \
    X(NO_PERIOD, LOOKUP, "no user key for that key period")                   \
    X(NOMEM, WORLD, "out of memory")                                          \
    X(IO, WORLD, "input or output failed")                                    \
    X(TIMEOUT, WORLD, "took too long")                                        \
    X(PEER, WORLD, "the peer refused or broke off")                           \
    X(BUSY, WORLD, "over capacity, try later")                                \
    X(INTERNAL, OURS, "internal error")                                       \
    X(SELFTEST, OURS, "self-test failed")

/* Codes are numbered in list order from 1; the class is added above them. */
enum mcx_err_no {
    MCX_NO_OK = 0,
#define MCX_X(code, class_, text) MCX_NO_##code,
    MCX_ERR_LIST(MCX_X)
#undef MCX_X
    MCX_NO_COUNT
};

typedef enum mcx_err {
    MCX_OK = 0,
#define MCX_X(code, class_, text)                                             \
    MCX_E_##code = (MCX_CLASS_##class_ << 8) | MCX_NO_##code,
    MCX_ERR_LIST(MCX_X)
#undef MCX_X
    MCX_E_ENUM_END = 0xffff
} mcx_err;

/* X(name, "word", error code, "text").  The word is what mcx-mikey prints as
 * `reason` and what its manual page lists; words never change meaning. */
#define MCX_REASON_LIST(X)                                                    \
    X(TRUNCATED, "truncated", MALFORMED,                                      \
      "a length points past the end of the message")                          \
    X(TRAILING, "trailing-octets", MALFORMED,                                 \
      "octets follow the last payload")                                       \
    X(TOO_LARGE, "too-large", TOOBIG, "more than the stated limit")           \
    X(ENCODING, "bad-encoding", MALFORMED,                                    \
      "base64, hexadecimal, SDP, SIP or MIME text is not well formed")        \
    X(NOT_MIKEY, "no-mikey", MALFORMED, "no MIKEY message in the input")      \
    X(VERSION, "version", UNSUPPORTED, "MIKEY version is not 1")              \
    X(DATA_TYPE, "data-type", UNSUPPORTED,                                    \
      "this message type is not handled here")                                \
    X(PRF, "prf", UNSUPPORTED, "PRF function is not supported")               \
    X(MAP_TYPE, "cs-id-map", UNSUPPORTED, "CS ID map type is not known")      \
    X(MAP, "cs-id-map-info", MALFORMED, "CS ID map information is wrong")     \
    X(PAYLOAD_TYPE, "unknown-payload", UNSUPPORTED,                           \
      "next payload value is not known")                                      \
    X(PAYLOAD_DUP, "duplicate-payload", MALFORMED,                            \
      "a payload that may occur once occurs again")                           \
    X(PAYLOAD_MISSING, "missing-payload", MALFORMED,                          \
      "a mandatory payload is absent")                                        \
    X(PAYLOAD_ORDER, "payload-order", MALFORMED,                              \
      "a payload stands where it may not")                                    \
    X(VALUE, "bad-value", MALFORMED, "a field has a value that is not legal") \
    X(TIME_TYPE, "time-type", UNSUPPORTED, "timestamp type is not allowed")   \
    X(RAND_SHORT, "rand-short", MALFORMED, "RAND is shorter than 16 octets")  \
    X(PURPOSE, "purpose-tag", POLICY,                                         \
      "the key ID's purpose tag is not the one expected here")                \
    X(TOO_OLD, "too-old", SKEW, "timestamp before the accepted window")       \
    X(TOO_NEW, "too-new", SKEW, "timestamp after the accepted window")        \
    X(REPLAYED, "replayed", REPLAY, "this message was accepted before")       \
    X(REPLAY_FULL, "replay-cache-full", BUSY,                                 \
      "the replay cache holds no more entries")                               \
    X(INITIATOR, "initiator", POLICY,                                         \
      "the initiator is not the one that signalling names")                   \
    X(INITIATOR_HIDDEN, "initiator-hidden", POLICY,                           \
      "the initiator is hidden and signalling names nobody")                  \
    X(RESPONDER, "responder", POLICY, "the message is not for us")            \
    X(NO_KMS, "kms-unknown", NO_IDENTITY, "no certificate of that KMS")       \
    X(NO_USER, "no-identity", NO_IDENTITY, "we have no such identity")        \
    X(NO_PERIOD_KEY, "no-period-key", NO_PERIOD,                              \
      "we have no user key for the message's key period")                     \
    X(SIGN_TYPE, "signature-type", UNSUPPORTED, "signature is not ECCSI")     \
    X(SIGN_LENGTH, "signature-length", MALFORMED,                             \
      "an ECCSI signature has 129 octets")                                    \
    X(SIGN_RANGE, "signature-range", AUTH, "r or s out of range")             \
    X(PVT, "pvt", AUTH, "PVT is not a point of the curve")                    \
    X(SIGNATURE, "signature", AUTH, "the signature does not verify")          \
    X(SAKKE_PARAMS, "sakke-params", UNSUPPORTED,                              \
      "SAKKE parameter set is not 1")                                         \
    X(ID_SCHEME, "id-scheme", UNSUPPORTED, "SAKKE ID scheme is not allowed")  \
    X(SAKKE_LENGTH, "sakke-length", MALFORMED,                                \
      "SAKKE data has 273 octets")                                            \
    X(SAKKE_POINT, "sakke-point", MALFORMED,                                  \
      "R is not a legal point of the curve")                                  \
    X(SAKKE_CHECK, "sakke-check", AUTH,                                       \
      "R is not the point that the opened value leads to")                    \
    X(KEY_PARAMS, "key-parameters", AUTH,                                     \
      "the key parameters do not decrypt or do not fit the key")              \
    X(REVOKED, "revoked", EXPIRED, "the key is marked as revoked")            \
    X(KEY_EXPIRED, "key-expired", EXPIRED, "the key's expiry time is past")   \
    X(CERT_REVOKED, "certificate-revoked", EXPIRED,                           \
      "the KMS certificate is revoked or outside its validity")               \
    X(POLICY_PARAM, "security-policy", UNSUPPORTED,                           \
      "the security policy asks for something we do not do")                  \
    X(ROLLBACK, "key-id-reused", POLICY,                                      \
      "that key ID already names another key")                                \
    X(NOT_NEWER, "not-newer", POLICY,                                         \
      "not newer than the key that is in use")                                \
    X(SDP_IDS, "sdp-ids", POLICY,                                             \
      "the signed list of key management protocols differs")                  \
    X(MAC, "mac", AUTH, "the MAC of a PSK message does not verify")           \
    X(NO_GMK, "no-gmk", NO_KEY, "we have no such group master key")           \
    X(NULL_ALG, "null-algorithm", POLICY, "NULL encryption or MAC")           \
    X(KEY_RANGE, "key-range", MALFORMED, "a key is out of range")             \
    X(KEY_POINT, "key-point", MALFORMED,                                      \
      "a key is not a legal point of its curve and group")                    \
    X(KEY_CHECK, "key-check", AUTH,                                           \
      "a user key does not belong to its identity and KMS")                   \
    X(XML, "xml", MALFORMED, "the XML is not well formed or not expected")    \
    X(CRYPTO, "crypto", INTERNAL, "the crypto library failed")                \
    X(MEMORY, "memory", NOMEM, "out of memory")

typedef enum mcx_reason {
    MCX_R_NONE = 0,
#define MCX_X(name, word, code, text) MCX_R_##name,
    MCX_REASON_LIST(MCX_X)
#undef MCX_X
    MCX_R_COUNT
} mcx_reason;

/* Where and why something was refused.  Filled by the callee; static strings,
 * nothing to free. */
struct mcx_why {
    mcx_reason reason;
    const char *payload; /* "HDR", "T", "SIGN", "RSK", an element; or ""   */
    size_t offset;       /* octets from the start of the judged text       */
    const char *clause;  /* "RFC 6509 2.2.2"; or ""                        */
    const char *file;    /* source position of the refusal, for our logs   */
    int line;
};

/* The class of 'err'; MCX_CLASS_NONE for MCX_OK. */
MCX_API enum mcx_err_class mcx_err_class(mcx_err err);
/* A static English text for 'err', never NULL. */
MCX_API const char *mcx_err_text(mcx_err err);
/* The code's name without prefix ("AUTH"), never NULL. */
MCX_API const char *mcx_err_name(mcx_err err);

/* The word, the text and the error code of a reason; never NULL. */
MCX_API const char *mcx_reason_word(mcx_reason reason);
MCX_API const char *mcx_reason_text(mcx_reason reason);
MCX_API mcx_err mcx_reason_err(mcx_reason reason);

/* Fills '*why' (NULL allowed) and returns mcx_reason_err('reason').  'payload'
 * and 'clause' are static strings.  Use through MCX_REFUSE. */
MCX_API mcx_err mcx_refuse(struct mcx_why *why, mcx_reason reason,
                           const char *payload, size_t offset,
                           const char *clause, const char *file, int line);
#define MCX_REFUSE(why, reason, payload, offset, clause)                      \
    mcx_refuse((why), (reason), (payload), (offset), (clause), __FILE__,      \
               __LINE__)

/* Leaves the function with the error of 'expr', if any. */
#define MCX_TRY(expr)                                                         \
    do {                                                                      \
        mcx_err mcx_try_ = (expr);                                            \
        if (mcx_try_ != MCX_OK) {                                             \
            return mcx_try_;                                                  \
        }                                                                     \
    } while (0)
/* Stores the error in 'err' and jumps to 'label'. */
#define MCX_TRY_OR(err, expr, label)                                          \
    do {                                                                      \
        (err) = (expr);                                                       \
        if ((err) != MCX_OK) {                                                \
            goto label;                                                       \
        }                                                                     \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif /* MCX_ERR_H */
