/* keyparams.c -- key parameters (TS 33.180 E.6): status, times, name and
 * groups of a key, protected with the key itself.
 *
 * Form A, the extension's data, is an MCData Protected Payload (8.5.4):
 *
 *   | type (8) | time (40) | payload ID (32) | sequence (8) | algorithm (8) |
 *   | IV (128) | DPPK-ID (32) | IEI (8) | length (16) | ciphertext, tag |
 *
 * AES-128-GCM under DPCK = 128 low bits of HMAC-SHA-256(key, 0x53 || DPPK-ID
 * || 0x0004), a nonce of 16 octets, and the first 32 octets as additional
 * data.  Form B is the content in clear, an older release's: read under the
 * peer option rel13-params, sent when asked for.  Form C (33.179 V13.4.0,
 * AES-CBC) is neither read nor sent.  Content:
 *
 *   | key type (8) | status (32) | activation (40) | expiry (40) |
 *   | len (16) text | [len (16) count (8) { IEI (8) len (16) group }] |
 *   | reserved, ignored |
 *
 * Called by open.c after the SAKKE check, and by build.c. */
#include <config.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "inner.h"
#include "mac.h"

static const char clause[] = "TS 33.180 E.6";

enum {
    AAD_SIZE = 32,
    IV_SIZE = 16,
    TAG_SIZE = 16,
    DPCK_SIZE = 16,
    PROTECTED = 0x40,
    DATA_PAYLOAD_PROTECTED = 0x43,
    ALG_AES_128_GCM = 1,
    PLAIN_MAX = 8192,
    STATUS_NOT_REVOKED = 1,
    STATUS_GATEWAY = 2, /* shared with a security gateway */
    GROUP_IEI = 0x7b
};

struct mcx_dpck { uint8_t b[MCX_SHA256_SIZE]; };
MCX_SECRET_TYPE(mcx_dpck);

static mcx_err
derive_dpck(struct mcx_dpck *dpck, const struct mcx_ssv *key, uint32_t id)
{
    uint8_t s[7] = { 0x53,
                     (uint8_t)(id >> 24),
                     (uint8_t)(id >> 16),
                     (uint8_t)(id >> 8),
                     (uint8_t)id,
                     0x00,
                     0x04 };
    struct mcx_bytes piece = mcx_bytes(s, sizeof s);

    return mcx_hmac_sha256(dpck->b, mcx_bytes(key->b, sizeof key->b), &piece,
                           1);
}

/* AES-128-GCM with the 128 LEAST significant bits of the KDF's output.
 * Opening: 'tag' is judged.  Sealing: 'tag' is made. */
static mcx_err
gcm(bool seal, const struct mcx_dpck *dpck, const uint8_t iv[IV_SIZE],
    const uint8_t aad[AAD_SIZE], struct mcx_bytes in, uint8_t *out,
    uint8_t tag[TAG_SIZE])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint8_t *k = dpck->b + MCX_SHA256_SIZE - DPCK_SIZE;
    int n = 0, enc = seal ? 1 : 0;
    mcx_err err = MCX_E_NOMEM;

    if (!ctx) {
        return MCX_E_NOMEM;
    }
    (void)ERR_set_mark();
    if (EVP_CipherInit_ex(ctx, EVP_aes_128_gcm(), NULL, NULL, NULL, enc)
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, IV_SIZE, NULL)
        && EVP_CipherInit_ex(ctx, NULL, NULL, k, iv, enc)
        && EVP_CipherUpdate(ctx, NULL, &n, aad, AAD_SIZE)
        && EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n)
        && (seal
            || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE,
                                   tag))) {
        if (EVP_CipherFinal_ex(ctx, out + in.n, &n)) {
            err = !seal
                          || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
                                                 TAG_SIZE, tag)
                      ? MCX_OK
                      : MCX_E_NOMEM;
        } else {
            err = MCX_E_AUTH;
        }
    }
    (void)ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(ctx);
    return err;
}

/* Takes form A apart and decrypts; '*plain_n' is the room of 'plain' on
 * entry.  MCX_E_AUTH for everything that does not fit. */
static mcx_err
open_form_a(uint8_t *plain, size_t *plain_n, struct mcx_bytes data,
            const struct mcx_ssv *key, uint32_t csb_id)
{
    MCX_SECRET(mcx_dpck, dpck);
    struct mcx_rd rd = mcx_rd(data);
    uint8_t tag[TAG_SIZE], alg;
    struct mcx_bytes iv, sealed;
    uint32_t dppk_id;

    (void)mcx_rd_u8(&rd);       /* message type, judged by the caller */
    (void)mcx_rd_bytes(&rd, 5); /* date and time: 1 in the field */
    (void)mcx_rd_u32(&rd);      /* payload ID */
    (void)mcx_rd_u8(&rd);       /* sequence number */
    alg = mcx_rd_u8(&rd);
    iv = mcx_rd_bytes(&rd, IV_SIZE);
    dppk_id = mcx_rd_u32(&rd);
    (void)mcx_rd_u8(&rd); /* IEI: 0x00, 0x78 and others are sent */
    sealed = mcx_rd_bytes_len(&rd, 2);
    if (!mcx_rd_ok(&rd) || mcx_rd_left(&rd) != 0 || alg != ALG_AES_128_GCM
        || dppk_id != csb_id || sealed.n < TAG_SIZE
        || sealed.n - TAG_SIZE > *plain_n) {
        return MCX_E_AUTH;
    }
    memcpy(tag, sealed.p + sealed.n - TAG_SIZE, TAG_SIZE);
    sealed.n -= TAG_SIZE;
    MCX_TRY(derive_dpck(&dpck, key, dppk_id));
    MCX_TRY(gcm(false, &dpck, iv.p, data.p, sealed, plain, tag));
    *plain_n = sealed.n;
    return MCX_OK;
}

static bool
has_groups(unsigned kind)
{
    const struct mcx_kind_info *info = mcx_kind_info(kind);

    return info && info->groups;
}

static mcx_err
read_groups(struct mcx_key_params *p, struct mcx_rd *rd)
{
    struct mcx_bytes all = mcx_rd_bytes_len(rd, 2);
    struct mcx_rd sub = mcx_rd(all);
    size_t i, n;

    if (!mcx_rd_ok(rd)) {
        return MCX_E_MALFORMED;
    }
    n = all.n ? mcx_rd_u8(&sub) : 0;
    if (n > MCX_GROUPS_MAX) {
        return MCX_E_TOOBIG;
    }
    for (i = 0; i < n; i++) {
        struct mcx_bytes id;

        (void)mcx_rd_u8(&sub); /* IEI, any */
        id = mcx_rd_bytes_len(&sub, 2);
        if (!mcx_rd_ok(&sub) || id.n == 0
            || memchr(id.p, '\0', id.n) != NULL) {
            return MCX_E_MALFORMED;
        }
        if (id.n >= MCX_GROUP_ID_MAX) {
            return MCX_E_TOOBIG;
        }
        memcpy(p->group[i], id.p, id.n);
        p->group[i][id.n] = '\0';
    }
    p->n_groups = n;
    return mcx_rd_left(&sub) == 0 ? MCX_OK : MCX_E_MALFORMED;
}

/* The name is for people: what cannot be shown is cut. */
static void
take_text(struct mcx_key_params *p, struct mcx_bytes text)
{
    size_t n = text.n < MCX_TEXT_MAX - 1 ? text.n : MCX_TEXT_MAX - 1;
    size_t i;

    for (i = 0; i < n && text.p[i] != '\0'; i++) {
        p->text[i] = (char)text.p[i];
    }
    p->text[i] = '\0';
}

static mcx_err
read_content(struct mcx_key_params *p, unsigned *type, struct mcx_bytes plain,
             unsigned kind)
{
    struct mcx_rd rd = mcx_rd(plain);
    struct mcx_bytes text;

    /* SPEC TS 33.180 E.6.1 makes the content an element with IEI and length;
     * what is sent has none.  Both are taken. */
    if (plain.n >= 3
        && (!mcx_kind_info(plain.p[0])
            || (size_t)(plain.p[1] << 8 | plain.p[2]) == plain.n - 3)) {
        (void)mcx_rd_u8(&rd);
        text = mcx_rd_bytes_len(&rd, 2);
        if (!mcx_rd_ok(&rd) || mcx_rd_left(&rd) != 0) {
            return MCX_E_MALFORMED;
        }
        rd = mcx_rd(text);
    }
    *type = mcx_rd_u8(&rd);
    p->status = mcx_rd_u32(&rd);
    p->activation_unix = (int64_t)mcx_rd_uint(&rd, 5);
    p->expiry_unix = (int64_t)mcx_rd_uint(&rd, 5);
    text = mcx_rd_bytes_len(&rd, 2);
    if (!mcx_rd_ok(&rd)) {
        return MCX_E_MALFORMED;
    }
    take_text(p, text);
    if (has_groups(kind) && mcx_rd_left(&rd) > 0) {
        MCX_TRY(read_groups(p, &rd));
    }
    p->present = true;
    return MCX_OK;
}

/* Status, times and type, in this order of the refusal's weight. */
static mcx_err
judge(const struct mcx_key_params *p, unsigned type, unsigned kind, bool plain,
      unsigned peer, int64_t now_ms, size_t at, struct mcx_why *why)
{
    /* The clear form's one specimen calls a GMK type 1, so there the type is
     * not compared. */
    if (!mcx_kind_info(type) || (!plain && type != kind)) {
        return MCX_REFUSE(why, MCX_R_KEY_PARAMS, "EXT", at, "TS 33.180 E.6");
    }
    if (!(p->status & STATUS_NOT_REVOKED)
        && !(p->status == 0 && (peer & MCX_PEER_STATUS_ZERO_IS_LIVE))) {
        return MCX_REFUSE(why, MCX_R_REVOKED, "EXT", at, "TS 33.180 5.2.4");
    }
    if (p->expiry_unix != 0 && now_ms / 1000 >= p->expiry_unix) {
        return MCX_REFUSE(why, MCX_R_KEY_EXPIRED, "EXT", at,
                          "TS 33.180 5.2.4");
    }
    return MCX_OK;
}

struct mcx_plain { uint8_t b[PLAIN_MAX + TAG_SIZE]; };
MCX_SECRET_TYPE(mcx_plain);

mcx_err
mcx_key_params_open(struct mcx_key_params *out, const struct mcx_ext *ext,
                    const struct mcx_ssv *key, uint32_t csb_id, unsigned peer,
                    int64_t now_ms, struct mcx_why *why)
{
    MCX_SECRET(mcx_plain, plain);
    struct mcx_key_params p = { 0 };
    unsigned kind = MCX_KEY_ID_KIND(csb_id), type = 0;
    size_t n = PLAIN_MAX, at = ext->at + 4;
    bool in_clear = ext->data.n > 0 && !(ext->data.p[0] & PROTECTED);
    mcx_err err;

    if (!in_clear) {
        err = open_form_a(plain.b, &n, ext->data, key, csb_id);
        if (err == MCX_OK) {
            err = read_content(&p, &type, mcx_bytes(plain.b, n), kind);
        }
    } else if (peer & MCX_PEER_REL13_PARAMS) {
        err = read_content(&p, &type, ext->data, kind);
    } else {
        err = MCX_E_AUTH;
    }
    if (mcx_err_class(err) == MCX_CLASS_WORLD
        || mcx_err_class(err) == MCX_CLASS_OURS) {
        return MCX_REFUSE(why,
                          err == MCX_E_NOMEM ? MCX_R_MEMORY : MCX_R_CRYPTO,
                          "EXT", at, clause);
    }
    if (err != MCX_OK) {
        return MCX_REFUSE(why,
                          err == MCX_E_TOOBIG ? MCX_R_TOO_LARGE
                                              : MCX_R_KEY_PARAMS,
                          "EXT", at, clause);
    }
    err = judge(&p, type, kind, in_clear, peer, now_ms, at, why);
    if (err == MCX_E_EXPIRED && !(p.status & STATUS_NOT_REVOKED)) {
        *out = p; /* which key, and of which groups: it is to go */
    }
    MCX_TRY(err);
    /* Zero that counts as live is told as live: whoever gets the key next,
     * the store first of all, knows nothing of this peer. */
    p.status |= STATUS_NOT_REVOKED;
    *out = p;
    return MCX_OK;
}

static mcx_err
write_content(struct mcx_wr *wr, const struct mcx_key_params *p,
              unsigned kind)
{
    size_t i, size = 1;

    mcx_wr_u8(wr, kind);
    mcx_wr_u32(wr, p->status);
    mcx_wr_uint(wr, (uint64_t)p->activation_unix, 5);
    mcx_wr_uint(wr, (uint64_t)p->expiry_unix, 5);
    mcx_wr_bytes_len(wr, mcx_bytes_str(p->text), 2);
    if (has_groups(kind)) {
        for (i = 0; i < p->n_groups; i++) {
            size += 3 + strlen(p->group[i]);
        }
        mcx_wr_u16(wr, (unsigned)size);
        mcx_wr_u8(wr, (unsigned)p->n_groups);
        for (i = 0; i < p->n_groups; i++) {
            mcx_wr_u8(wr, GROUP_IEI);
            mcx_wr_bytes_len(wr, mcx_bytes_str(p->group[i]), 2);
        }
    }
    return mcx_wr_status(wr);
}

static bool
writable(const struct mcx_key_params *p)
{
    const int64_t max = (INT64_C(1) << 40) - 1;
    size_t i;

    /* More than the defined flags is not sent: high bits of a status could
     * pass for the length of an element around it. */
    if ((p->status & ~(uint32_t)(STATUS_NOT_REVOKED | STATUS_GATEWAY)) != 0
        || p->n_groups > MCX_GROUPS_MAX || p->activation_unix < 0
        || p->activation_unix > max || p->expiry_unix < 0
        || p->expiry_unix > max || !memchr(p->text, '\0', sizeof p->text)) {
        return false;
    }
    for (i = 0; i < p->n_groups; i++) {
        if (p->group[i][0] == '\0'
            || !memchr(p->group[i], '\0', sizeof p->group[i])) {
            return false;
        }
    }
    return true;
}

mcx_err
mcx_key_params_write(struct mcx_wr *wr, const struct mcx_key_params *params,
                     enum mcx_params_form form, const struct mcx_ssv *key,
                     uint32_t csb_id, int64_t t_unix_s,
                     const struct mcx_env *env)
{
    MCX_SECRET(mcx_plain, plain);
    MCX_SECRET(mcx_plain, sealed);
    MCX_SECRET(mcx_dpck, dpck);
    uint8_t aad[AAD_SIZE], iv[IV_SIZE], tag[TAG_SIZE];
    struct mcx_wr content = mcx_wr(plain.b, PLAIN_MAX);
    struct mcx_wr head = mcx_wr(aad, sizeof aad);

    if (!writable(params)
        || (form != MCX_PARAMS_FORM_A && form != MCX_PARAMS_FORM_B)) {
        return MCX_E_ARG;
    }
    if (form == MCX_PARAMS_FORM_B) {
        return write_content(wr, params, MCX_KEY_ID_KIND(csb_id));
    }
    MCX_TRY(write_content(&content, params, MCX_KEY_ID_KIND(csb_id)));
    MCX_TRY(env->random(env->ctx, iv, sizeof iv));
    mcx_wr_u8(&head, DATA_PAYLOAD_PROTECTED);
    mcx_wr_uint(&head, (uint64_t)t_unix_s, 5);
    mcx_wr_u32(&head, 0);
    mcx_wr_u8(&head, 0);
    mcx_wr_u8(&head, ALG_AES_128_GCM);
    mcx_wr_bytes(&head, mcx_bytes(iv, sizeof iv));
    mcx_wr_u32(&head, csb_id);
    MCX_TRY(derive_dpck(&dpck, key, csb_id));
    MCX_TRY(gcm(true, &dpck, iv, aad, mcx_bytes(plain.b, content.at),
                sealed.b, tag));
    mcx_wr_bytes(wr, mcx_bytes(aad, sizeof aad));
    mcx_wr_u8(wr, 0); /* IEI as in the verified messages */
    mcx_wr_u16(wr, (unsigned)(content.at + TAG_SIZE));
    mcx_wr_bytes(wr, mcx_bytes(sealed.b, content.at));
    mcx_wr_bytes(wr, mcx_bytes(tag, sizeof tag));
    return mcx_wr_status(wr);
}
