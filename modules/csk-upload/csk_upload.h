/* csk_upload.h -- what the files of module csk-upload share. */
#ifndef CSK_UPLOAD_H
#define CSK_UPLOAD_H

#include <sofia-mcx/mcx_kms.h>
#include <sofia-mcx/mcx_module.h>

#define CSK_UPLOAD_NAME "csk-upload"

struct csk_upload {
    const struct mcx_host *host;
    const char *psi; /* of the participating function; on it: our own */
    bool by_register, by_publish; /* option carrier */
    int64_t lifetime_ms;          /* 0: a new key with every request */
    const char *token, *token_file, *answer_mode; /* NULL when not set */
    char client_id[MCX_GROUP_ID_MAX];
};

mcx_err csk_upload_start(void **state, const struct mcx_host *host,
                         struct mcx_text *text);
void csk_upload_stop(void *state);

/* Client (csk_upload.c): our CSK goes out. */
bool csk_upload_wants(void *state, const struct mcx_out *out);
mcx_err csk_upload_prepare(void *state, struct mcx_out *out,
                           struct mcx_why *why);
enum mcx_next csk_upload_outcome(void *state, struct mcx_out *out, int status,
                                 unsigned warning);

/* Participating function (csk_server.c): a client's CSK comes in. */
bool csk_upload_claims(void *state, const struct mcx_rq *rq);
mcx_err csk_upload_judge(void *state, const struct mcx_rq *rq,
                         struct mcx_answer *answer, struct mcx_why *why);
void csk_upload_judge_many(void *state, struct mcx_judgement *j, size_t n);
void csk_upload_settled(void *state, const struct mcx_rq *rq,
                        struct mcx_answer *answer, bool sent);

#endif /* CSK_UPLOAD_H */
