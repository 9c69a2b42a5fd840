/* keymgmt.h -- what the files of module keymgmt share. */
#ifndef KEYMGMT_H
#define KEYMGMT_H

#include <sofia-mcx/mcx_module.h>

#define KEYMGMT_NAME "keymgmt"

mcx_err keymgmt_start(void **state, const struct mcx_host *host,
                      struct mcx_text *text);
void keymgmt_stop(void *state);

/* Caller: a PCK goes into our offer. */
bool keymgmt_wants(void *state, const struct mcx_out *out);
mcx_err keymgmt_prepare(void *state, struct mcx_out *out,
                        struct mcx_why *why);
enum mcx_next keymgmt_outcome(void *state, struct mcx_out *out, int status,
                              unsigned warning);

/* Callee: an offer is judged. */
mcx_err keymgmt_offer_in(void *state, const struct mcx_call *call,
                         struct mcx_call_verdict *verdict,
                         struct mcx_why *why);

#endif /* KEYMGMT_H */
