/* csk_download.h -- what the files of module csk-download share. */
#ifndef CSK_DOWNLOAD_H
#define CSK_DOWNLOAD_H

#include <sofia-mcx/mcx_module.h>

#define CSK_DOWNLOAD_NAME "csk-download"
#define CSK_DOWNLOAD_ICSI "urn:urn-7:3gpp-service.ims.icsi.mcptt"

mcx_err csk_download_start(void **state, const struct mcx_host *host,
                           struct mcx_text *text);
void csk_download_stop(void *state);

/* Client: the MESSAGE that brings a key. */
bool csk_download_claims(void *state, const struct mcx_rq *rq);
mcx_err csk_download_judge(void *state, const struct mcx_rq *rq,
                           struct mcx_answer *answer, struct mcx_why *why);
void csk_download_settled(void *state, const struct mcx_rq *rq,
                          struct mcx_answer *answer, bool sent);

/* Server: the MESSAGE that takes a key to a client. */
bool csk_download_wants(void *state, const struct mcx_out *out);
mcx_err csk_download_prepare(void *state, struct mcx_out *out,
                             struct mcx_why *why);
enum mcx_next csk_download_outcome(void *state, struct mcx_out *out,
                                   int status, unsigned warning);
void csk_download_tick(void *state);

#endif /* CSK_DOWNLOAD_H */
