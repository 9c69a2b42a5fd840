/* input.h -- finds the MIKEY message in what a person hands to a tool: the raw
 * octets, hexadecimal, base64, an SDP line, a whole SDP, or a whole SIP
 * message with an application/mikey part or an SDP in it.  All of it is
 * foreign; everything is bounded; nothing is copied but decoded octets. */
#ifndef MCX_TOOLS_INPUT_H
#define MCX_TOOLS_INPUT_H

#include <sofia-mcx/mcx.h>

enum { INPUT_MAX = 1048576, INPUT_MIKEY_MAX = MCX_MIKEY_MAX + 1 };

enum input_form {
    INPUT_RAW, INPUT_HEX, INPUT_BASE64, INPUT_SDP_LINE, INPUT_SDP, INPUT_SIP
};
const char *input_form_word(enum input_form form);

/* '*out' gets the octets of the MIKEY message (room INPUT_MIKEY_MAX on entry
 * to '*n', octets on return).  '*form' is set even when the call fails.
 * BYTES class; offsets in '*why' count from the start of 'in'. */
mcx_err input_find(uint8_t *out, size_t *n, enum input_form *form,
                   struct mcx_bytes in, struct mcx_why *why) MCX_MUST_USE;

#endif /* MCX_TOOLS_INPUT_H */
