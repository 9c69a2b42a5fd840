/* out.h -- a growing text for the writers.  It may hold keys and tokens: what
 * it leaves behind when it grows is wiped, and so is a text given up. */
#ifndef MCX_CORE_XML_OUT_H
#define MCX_CORE_XML_OUT_H

#include <sofia-mcx/mcx_kms.h>

struct mcx_out {
    char *p; /* NUL terminated; NULL until something is written */
    size_t n, room;
    bool failed; /* out of memory; remembered */
};

/* Appends 's' as it is. */
void mcx_out_raw(struct mcx_out *o, const char *s);
/* Appends the octets 'b' as they are; a NUL among them is no end. */
void mcx_out_octets(struct mcx_out *o, struct mcx_bytes b);
/* Appends 's' so that it reads back as text or attribute value. */
void mcx_out_text(struct mcx_out *o, const char *s);
/* Appends upper-case hexadecimal, the canonical form of hexBinary. */
void mcx_out_hex(struct mcx_out *o, const uint8_t *p, size_t n);
/* Appends <name>text</name> and a line feed, after 'indent' spaces. */
void mcx_out_leaf(struct mcx_out *o, unsigned indent, const char *name,
                  const char *text);
void mcx_out_number(struct mcx_out *o, unsigned indent, const char *name,
                    uint64_t v);
/* Hands the text over; MCX_E_NOMEM when something did not fit. */
mcx_err mcx_out_take(struct mcx_out *o, char **out, size_t *n) MCX_MUST_USE;

#endif /* MCX_CORE_XML_OUT_H */
