/* mikey.h -- the commands of mcx-mikey, and what they share.  Each returns an
 * exit status and has said on standard error what was wrong. */
#ifndef MCX_TOOLS_MIKEY_H
#define MCX_TOOLS_MIKEY_H

#include "cli.h"
#include "input.h"

#define MIKEY_TOOL "mcx-mikey"

enum { MIKEY_SELVES = 8 };

/* What was asked for.  Options that do not go with the command have been
 * refused before a command sees this. */
struct mikey_args {
    const char *file, *keys, *from, *to, *to_kms, *key_file, *format,
        *psk_file;
    const char *as[MIKEY_SELVES];
    size_t n_as;
    const struct mcx_kind_info *kind; /* NULL: not given */
    bool json, secrets, stored, hide_i, hide_r, to_self;
    bool id_given, at_given, psk_id_given, cs_id_given, rand_given;
    bool no_mki, hide_psk_id;
    uint32_t key_id, psk_id;
    uint8_t cs_id, prf;
    uint8_t rand[16];
    int64_t at_ms;
    unsigned peer;
    bool sp_given;
    struct mcx_sp_profile sp;
    bool params_given;
    enum mcx_params_form params_form;
    struct mcx_key_params params;
    uint32_t ssrc[MCX_MIKEY_CS_MAX];
    size_t n_ssrc;
};

int mikey_open(const struct mikey_args *a);
int mikey_build(const struct mikey_args *a);
int mikey_inspect(const struct mikey_args *a);
int mikey_kinds(const struct mikey_args *a);

/* ---- shared ------------------------------------------------------------ */

/* The input of 'a', malloc'ed, with the form it came in.  CLI_REFUSED leaves
 * the reason in '*why' and '*err'; CLI_USAGE has been reported. */
int mikey_input(const struct mikey_args *a, uint8_t **octets, size_t *n,
                enum input_form *form, struct mcx_why *why, mcx_err *err);
/* Fills '*why' when a failure came without a reason. */
void mikey_explain(struct mcx_why *why, mcx_err err);
/* "<verdict>, reason=... payload=... offset=..." on standard error. */
void mikey_say(const char *verdict, const struct mcx_why *why);
/* The keys of --keys. */
int mikey_load(struct mcx_ring **ring, const struct mikey_args *a,
               const struct mcx_env *env);
/* A key of 16 octets from a file; 'option' is named in the error. */
int mikey_key(struct mcx_ssv *key, const char *option, const char *path);
/* Prints anybody's text: no control character of theirs reaches the
 * terminal. */
void mikey_print(const char *s);

#endif /* MCX_TOOLS_MIKEY_H */
