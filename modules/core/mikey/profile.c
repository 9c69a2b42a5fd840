/* profile.c -- security policies: the defaults of 3GPP, and what an SP
 * payload asks for (RFC 3830 6.10.1, RFC 7714 14, RFC 4771 4).
 *
 * Two things can be had: AES-128-GCM with salt 12 and tag 16, with or without
 * RCC mode 3 (3GPP's own), and AES-CM-128 with HMAC-SHA-1-80 (RFC 3711's
 * default).  Whatever else is asked for is refused, never approximated.  A
 * parameter that is absent from an SP payload has the default of RFC 3711
 * 8.2, or the only value that fits AES-GCM. */
#include <config.h>
#include "inner.h"

enum {
    SP_ENCR_ALG = 0,
    SP_KEY_SIZE = 1,
    SP_AUTH_ALG = 2,
    SP_AUTH_KEY_SIZE = 3,
    SP_SALT_SIZE = 4,
    SP_PRF = 5,
    SP_KDR = 6,
    SP_SRTP_ENCR = 7,
    SP_SRTCP_ENCR = 8,
    SP_FEC = 9,
    SP_SRTP_AUTH = 10,
    SP_TAG_SIZE = 11,
    SP_PREFIX = 12,
    SP_ROC_RATE = 13,
    SP_SRTP_AUTH_ALG = 14,
    SP_SRTCP_AUTH_ALG = 15,
    SP_SRTP_AUTH_KEY = 16,
    SP_SRTCP_AUTH_KEY = 17,
    SP_SRTP_TAG = 18,
    SP_SRTCP_TAG = 19,
    SP_AEAD_TAG = 20
};
enum { ALG_AES_CM = 1, ALG_AES_GCM = 6, AUTH_HMAC_SHA1 = 1, AUTH_RCCM3 = 4 };
enum { KEY_SIZE = 16, GCM_SALT = 12, GCM_TAG = 16, CM_SALT = 14, CM_TAG = 10,
       RCC_TAG = 4 };

struct mcx_sp_profile
mcx_profile_default(unsigned kind)
{
    const struct mcx_kind_info *info = mcx_kind_info(kind);

    return info ? info->sp
                : (struct mcx_sp_profile){ .encr_alg = ALG_AES_GCM,
                                           .key_size = KEY_SIZE,
                                           .salt_size = GCM_SALT,
                                           .tag_size = GCM_TAG };
}

/* What each parameter must be when it is there. */
struct rule {
    uint8_t type;
    int16_t want;
};

static const struct rule common_rules[] = {
    { SP_KEY_SIZE, KEY_SIZE }, { SP_PRF, 0 },        { SP_KDR, 0 },
    { SP_SRTP_ENCR, 1 },       { SP_SRTCP_ENCR, 1 }, { SP_FEC, 0 },
    { SP_PREFIX, 0 },
};
static const struct rule gcm_rules[] = {
    { SP_SALT_SIZE, GCM_SALT }, { SP_AUTH_KEY_SIZE, 0 },
    { SP_SRTCP_AUTH_ALG, 0 },   { SP_SRTP_AUTH_KEY, 0 },
    { SP_SRTCP_AUTH_KEY, 0 },   { SP_SRTCP_TAG, 0 },
    { SP_AEAD_TAG, GCM_TAG },   { SP_TAG_SIZE, GCM_TAG },
};
/* RFC 3711's default leaves nothing open that we could do otherwise. */
static const struct rule cm_rules[] = {
    { SP_SALT_SIZE, CM_SALT },   { SP_AUTH_ALG, AUTH_HMAC_SHA1 },
    { SP_AUTH_KEY_SIZE, 20 },    { SP_SRTP_AUTH, 1 },
    { SP_TAG_SIZE, CM_TAG },     { SP_SRTP_AUTH_ALG, AUTH_HMAC_SHA1 },
    { SP_SRTCP_AUTH_ALG, AUTH_HMAC_SHA1 },
    { SP_SRTP_AUTH_KEY, 20 },    { SP_SRTCP_AUTH_KEY, 20 },
    { SP_SRTP_TAG, CM_TAG },     { SP_SRTCP_TAG, CM_TAG },
};

static mcx_err
refuse(const struct mcx_sp *sp, struct mcx_why *why)
{
    return MCX_REFUSE(why, MCX_R_POLICY_PARAM, "SP", sp->at,
                      "TS 33.180 E.2.2");
}

static bool
fits(const struct mcx_sp *sp, const struct rule *r, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (sp->value[r[i].type] >= 0
            && sp->value[r[i].type] != r[i].want) {
            return false;
        }
    }
    return true;
}
#define FITS(sp, rules) fits(sp, rules, sizeof(rules) / sizeof(rules)[0])

static mcx_err
gcm(struct mcx_sp_profile *out, const struct mcx_sp *sp, struct mcx_why *why)
{
    int64_t auth = sp->value[SP_AUTH_ALG], rate = sp->value[SP_ROC_RATE];
    int64_t srtp_auth = sp->value[SP_SRTP_AUTH_ALG];
    bool rcc = auth == AUTH_RCCM3 || srtp_auth == AUTH_RCCM3;

    *out = (struct mcx_sp_profile){ .encr_alg = ALG_AES_GCM,
                                    .key_size = KEY_SIZE,
                                    .salt_size = GCM_SALT,
                                    .tag_size = GCM_TAG };
    if (!FITS(sp, gcm_rules)
        || (auth > 0 && auth != AUTH_RCCM3)
        || (srtp_auth > 0 && srtp_auth != AUTH_RCCM3)) {
        return refuse(sp, why);
    }
    /* The only tag beside AES-GCM's own is the one that carries the ROC. */
    if (sp->value[SP_SRTP_TAG] > 0
        && (!rcc || sp->value[SP_SRTP_TAG] != RCC_TAG)) {
        return refuse(sp, why);
    }
    if (rcc) {
        if (rate == 0 || rate > UINT16_MAX) {
            return refuse(sp, why);
        }
        out->rcc_mode3 = true;
        out->roc_rate = rate < 0 ? 1 : (uint16_t)rate;
    }
    return MCX_OK;
}

static mcx_err
profile_of_sp(struct mcx_sp_profile *out, const struct mcx_sp *sp,
              struct mcx_why *why)
{
    if (sp->prot != 0 || !FITS(sp, common_rules)) {
        return refuse(sp, why);
    }
    if (sp->value[SP_ENCR_ALG] == ALG_AES_GCM) {
        return gcm(out, sp, why);
    }
    if ((sp->value[SP_ENCR_ALG] >= 0 && sp->value[SP_ENCR_ALG] != ALG_AES_CM)
        || !FITS(sp, cm_rules) || sp->value[SP_AEAD_TAG] >= 0) {
        return refuse(sp, why);
    }
    *out = (struct mcx_sp_profile){ .encr_alg = ALG_AES_CM,
                                    .key_size = KEY_SIZE,
                                    .salt_size = CM_SALT,
                                    .tag_size = CM_TAG };
    return MCX_OK;
}

static bool
same(const struct mcx_sp_profile *a, const struct mcx_sp_profile *b)
{
    return a->encr_alg == b->encr_alg && a->key_size == b->key_size
           && a->salt_size == b->salt_size && a->tag_size == b->tag_size
           && a->rcc_mode3 == b->rcc_mode3 && a->roc_rate == b->roc_rate;
}

/* Does the map use this policy?  Without a map that names policies, all are
 * meant. */
static bool
in_use(const struct mcx_mikey_msg *m, uint8_t policy_no)
{
    bool named = false;
    size_t i, j;

    for (i = 0; i < m->n_cs; i++) {
        for (j = 0; j < m->cs[i].policies.n; j++) {
            named = true;
            if (m->cs[i].policies.p[j] == policy_no) {
                return true;
            }
        }
    }
    return !named;
}

mcx_err
mcx_profile_of(struct mcx_sp_profile *out, const struct mcx_mikey_msg *m,
               unsigned kind, struct mcx_why *why)
{
    struct mcx_sp_profile first = mcx_profile_default(kind), one = first;
    size_t i, n = 0;

    for (i = 0; i < m->n_sp; i++) {
        if (!in_use(m, m->sp[i].policy_no)) {
            continue;
        }
        MCX_TRY(profile_of_sp(&one, &m->sp[i], why));
        if (n > 0 && !same(&one, &first)) { /* one key has one profile */
            return refuse(&m->sp[i], why);
        }
        first = one;
        n++;
    }
    *out = first;
    return MCX_OK;
}

/* What can be had, and what people call it; the ROC rate is free. */
static const struct {
    const char *word;
    struct mcx_sp_profile sp;
} words[] = {
    { "gcm", { ALG_AES_GCM, KEY_SIZE, GCM_SALT, GCM_TAG, false, 0 } },
    { "gcm-rcc", { ALG_AES_GCM, KEY_SIZE, GCM_SALT, GCM_TAG, true, 1 } },
    { "aes-cm", { ALG_AES_CM, KEY_SIZE, CM_SALT, CM_TAG, false, 0 } },
};
enum { N_WORDS = sizeof words / sizeof words[0] };

bool
mcx_sp_profile_parse(struct mcx_sp_profile *out, const char *word)
{
    size_t i;

    for (i = 0; word && i < N_WORDS; i++) {
        if (strcmp(words[i].word, word) == 0) {
            *out = words[i].sp;
            return true;
        }
    }
    return false;
}

const char *
mcx_sp_profile_word(const struct mcx_sp_profile *sp)
{
    struct mcx_sp_profile p = *sp;
    size_t i;

    p.roc_rate = p.rcc_mode3 && p.roc_rate > 0 ? 1 : p.roc_rate;
    for (i = 0; i < N_WORDS; i++) {
        if (same(&words[i].sp, &p)) {
            return words[i].word;
        }
    }
    return NULL;
}

static void
put(struct mcx_wr *wr, unsigned type, unsigned value)
{
    /* SPEC RFC 4771 4: the ROC transmission rate has 16 bits. */
    unsigned size = type == SP_ROC_RATE ? 2 : 1;

    mcx_wr_u8(wr, type);
    mcx_wr_u8(wr, size);
    mcx_wr_uint(wr, value, size);
}

mcx_err
mcx_profile_write(struct mcx_wr *wr, const struct mcx_sp_profile *p)
{
    if (!mcx_sp_profile_word(p)) {
        return MCX_E_ARG;
    }
    put(wr, SP_ENCR_ALG, p->encr_alg);
    put(wr, SP_KEY_SIZE, p->key_size);
    if (p->rcc_mode3) {
        put(wr, SP_AUTH_ALG, AUTH_RCCM3);
    } else if (p->encr_alg == ALG_AES_CM) {
        put(wr, SP_AUTH_ALG, AUTH_HMAC_SHA1);
    }
    put(wr, SP_SALT_SIZE, p->salt_size);
    put(wr, SP_PRF, 0);
    put(wr, SP_KDR, 0);
    if (p->rcc_mode3) {
        put(wr, SP_ROC_RATE, p->roc_rate);
        put(wr, SP_SRTP_TAG, RCC_TAG);
        put(wr, SP_SRTCP_TAG, 0);
    }
    put(wr, p->encr_alg == ALG_AES_CM ? SP_TAG_SIZE : SP_AEAD_TAG,
        p->tag_size);
    return mcx_wr_status(wr);
}
