/* mime.h -- taking bodies of SIP requests apart, and putting them together.
 *
 * Station 2 of a body's way: from foreign octets to a flat list of parts.
 * Called by the body guard (guard.c) before sofia-sip looks at a body, and by
 * the glue for everything a module judges.  sofia's own multipart parser is
 * never used: it asserts on malformed part headers.  What a part means is the
 * modules' business.
 *
 * Not understood here: Content-Encoding (refused, unless "identity") and
 * quoted-printable (refused).  Threads: any. */
#ifndef MCXS_MIME_H
#define MCXS_MIME_H

#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_module.h>

enum {
    MCXS_MIME_DEPTH = 3,       /* multipart within multipart, the outermost
                                  one counted; message/sip counts as well */
    MCXS_MIME_HEADER_MAX = 4096, /* octets of one part's header block */
    MCXS_MIME_BODY_MAX = 1048576, /* octets of a whole body */
    MCXS_BOUNDARY_MAX = 70,    /* characters, RFC 2046 5.1.1 */
    MCXS_BOUNDARY_SIZE = 33,   /* of what mcxs_mime_boundary() writes */
    MCXS_TYPE_SIZE = 40 + MCXS_BOUNDARY_MAX /* of mcxs_mime_type() */
};

/* A body taken apart.  Strings and octets of 'part' live in 'store', one
 * allocation, until mcxs_mime_free(). */
struct mcxs_body {
    struct mcx_part part[MCX_PART_MAX];
    size_t n_parts;
    char *type;          /* of the whole body: lower case, no parameters */
    uint8_t *store;      /* SECRET: parts may hold keys */
    size_t store_n;
};

/* Takes 'body' apart into its leaves, in the order they stand in.
 * 'content_type_header' is the value of the Content-Type header, parameters
 * included.  A body that is neither multipart nor message/sip is one part of
 * its own type; a message/sip body or part gives the parts of the embedded
 * message, with 'embedded' set (none when its body is empty).  An empty 'body'
 * of a simple type gives one empty part.  Needs no NUL after 'body', copies
 * all it keeps.  On failure '*out' is all zero.
 *
 * MCX_E_MALFORMED  (bad-encoding) no or bad boundary parameter, no closing
 *     boundary, header block without end, NUL or control characters in
 *     headers, header line without colon, bad base64, bad Content-Type.
 * MCX_E_TOOBIG     (too-large) more than MCX_PART_MAX leaves, headers, depth
 *     or body beyond the limits above.
 * MCX_E_UNSUPPORTED (unknown-payload) transfer or content coding not known.
 * MCX_E_NOMEM. */
mcx_err mcxs_mime_unfold(struct mcxs_body *out, struct mcx_bytes body,
                         const char *content_type_header,
                         struct mcx_why *why) MCX_MUST_USE;
/* Wipes and frees what 'body' owns, and zeroes it; NULL and zero allowed. */
void mcxs_mime_free(struct mcxs_body *body);

/* The first part of 'type' (lower case), or NULL. */
const struct mcx_part *mcxs_mime_find(const struct mcxs_body *body,
                                      const char *type);

/* Does the Content-Type value 'header' name type 'type' ("multipart/mixed"),
 * or, when 'type' ends in a slash, a type of that family?  Without regard to
 * case.  NULL 'header': false. */
bool mcxs_mime_is(const char *header, const char *type);

/* A fresh boundary: 32 characters from 'env's random octets.
 * MCX_E_IO. */
mcx_err mcxs_mime_boundary(char out[MCXS_BOUNDARY_SIZE],
                           const struct mcx_env *env) MCX_MUST_USE;
/* `multipart/mixed;boundary="..."`, for SIPTAG_CONTENT_TYPE_STR(). */
mcx_err mcxs_mime_type(char out[MCXS_TYPE_SIZE],
                       const char *boundary) MCX_MUST_USE;
/* Joins 1 to MCX_PART_MAX parts into a multipart body.  'type' of a part may
 * carry parameters; a Content-ID line is written when 'content_id' is neither
 * NULL nor "", and Content-Transfer-Encoding: binary when the octets ask for
 * it.  '*out' is malloc'ed, has a NUL behind its '*out_n' octets; wipe before
 * free.
 *
 * MCX_E_ARG     boundary or a type not well formed, no part, too many.
 * MCX_E_POLICY  the boundary occurs in a part: take another.
 * MCX_E_NOMEM. */
mcx_err mcxs_mime_join(uint8_t **out, size_t *out_n,
                       const struct mcx_part *part, size_t n_parts,
                       const char *boundary) MCX_MUST_USE;

#endif /* MCXS_MIME_H */
