/* psk.c -- pre-shared key mode, both sides (RFC 3830 3.1, 4.1.4, 4.2.3,
 * 4.2.4, 5.2, 6.2, 6.13).
 *
 * Called by gsk.c and by whoever speaks plain RFC 3830.  On receipt T and
 * replay are the caller's.  The MAC is verified before anything is decrypted;
 * NULL algorithms are refused in every combination (digest D-6). */
#include <config.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "inner.h"
#include "mac.h"

enum { ENCR_NULL = 0, ENCR_AES_CM_128 = MCX_ENCR_AES_CM_128,
       ENCR_AES_KW_128 = MCX_ENCR_AES_KW_128,
       ENCR_AES_CM_256 = MCX_ENCR_AES_CM_256 };
enum { MAC_NULL = 0, MAC_HMAC_SHA1_160 = MCX_MAC_HMAC_SHA1_160,
       MAC_HMAC_SHA256_256 = MCX_MAC_HMAC_SHA256_256 };
enum { MESSAGE_CS_ID = 0xff, SALT_SIZE = 14, IV_SIZE = 16, RAND_SIZE = 16,
       PLAIN_MAX = 1024 };
enum { KV_NULL = 0, KV_SPI = 1, KV_INTERVAL = 2 };

static const char clause[] = "RFC 3830 5.2";
static const char kd_clause[] = "RFC 3830 6.13";

struct mcx_psk_key { uint8_t b[32]; };
MCX_SECRET_TYPE(mcx_psk_key);
struct mcx_psk_plain { uint8_t b[PLAIN_MAX]; };
MCX_SECRET_TYPE(mcx_psk_plain);

static mcx_err
derive(struct mcx_psk_key *out, size_t n, const struct mcx_mikey_msg *m,
       struct mcx_bytes psk, uint32_t constant)
{
    return mcx_mikey_derive(out->b, n, m->prf, psk, constant, MESSAGE_CS_ID,
                            m->csb_id, m->rand);
}

static mcx_err
world(mcx_err err, const char *payload, struct mcx_why *why)
{
    return MCX_REFUSE(why, err == MCX_E_NOMEM ? MCX_R_MEMORY : MCX_R_CRYPTO,
                      payload, 0, "");
}

/* The MAC of algorithm 'mac_alg' over 'piece'; keys come from 'init', whose
 * RAND it is. */
static mcx_err
make_mac(uint8_t mac[MCX_SHA256_SIZE], unsigned mac_alg,
         const struct mcx_mikey_msg *init, struct mcx_bytes psk,
         const struct mcx_bytes *piece, size_t n)
{
    MCX_SECRET(mcx_psk_key, auth);
    size_t size = mcx_pl_mac_size(mac_alg);
    struct mcx_hmac *h;
    mcx_err err;

    MCX_TRY(derive(&auth, size, init, psk, MCX_LABEL_PSK_AUTH));
    MCX_TRY(mcx_hmac_new(&h, mac_alg == MAC_HMAC_SHA256_256
                                 ? MCX_HASH_SHA256
                                 : MCX_HASH_SHA1));
    err = mcx_hmac_run(h, mac, mcx_bytes(auth.b, size), piece, n);
    mcx_hmac_free(h);
    return err;
}

/* The MAC of 'm' over what precedes it and 'tail'. */
static mcx_err
check_mac(const struct mcx_mikey_msg *m, const struct mcx_mikey_msg *init,
          struct mcx_bytes psk, const struct mcx_bytes *tail, size_t n_tail,
          const char *payload, struct mcx_why *why)
{
    size_t size = mcx_pl_mac_size(m->kemac.mac_alg), at, i;
    struct mcx_bytes piece[4];
    uint8_t mac[MCX_SHA256_SIZE];
    mcx_err err;

    if (m->kemac.mac_alg == MAC_NULL) {
        return MCX_REFUSE(why, MCX_R_NULL_ALG, payload, m->kemac.at,
                          "RFC 3830 4.2.4");
    }
    at = (size_t)(m->kemac.mac.p - m->octets.p);
    piece[0] = mcx_bytes(m->octets.p, at);
    for (i = 0; i < n_tail; i++) {
        piece[i + 1] = tail[i];
    }
    err = make_mac(mac, m->kemac.mac_alg, init, psk, piece, n_tail + 1);
    if (err != MCX_OK) {
        return world(err, payload, why);
    }
    return mcx_secret_eq(mac, m->kemac.mac.p, size)
               ? MCX_OK
               : MCX_REFUSE(why, MCX_R_MAC, payload, at, clause);
}

/* SPEC RFC 3830 4.2.3: IV = (salt xor (0x0000 || CSB ID || T)) || 0x0000. */
static void
make_iv(uint8_t iv[IV_SIZE], const struct mcx_psk_key *salt,
        const struct mcx_mikey_msg *m)
{
    struct mcx_wr wr = mcx_wr(iv, IV_SIZE);
    size_t i;

    mcx_wr_u16(&wr, 0);
    mcx_wr_u32(&wr, m->csb_id);
    mcx_wr_u64(&wr, m->t);
    mcx_wr_u16(&wr, 0);
    for (i = 0; i < SALT_SIZE; i++) {
        iv[i] ^= salt->b[i];
    }
}

/* AES key wrap, one direction. */
static mcx_err
wrap_data(uint8_t *out, size_t *out_n, struct mcx_bytes in,
          const struct mcx_mikey_msg *m, struct mcx_bytes psk, bool seal)
{
    MCX_SECRET(mcx_psk_key, key);

    MCX_TRY(derive(&key, MCX_KEMAC_KEY_SIZE, m, psk, MCX_LABEL_PSK_ENCR));
    return seal ? mcx_kemac_wrap(out, out_n, key.b, in)
                : mcx_kemac_unwrap(out, out_n, key.b, in);
}

/* AES in counter mode: the same both ways. */
static mcx_err
crypt_data(uint8_t *out, struct mcx_bytes in, const struct mcx_mikey_msg *m,
           struct mcx_bytes psk)
{
    MCX_SECRET(mcx_psk_key, key);
    MCX_SECRET(mcx_psk_key, salt);
    bool wide = m->kemac.encr_alg == ENCR_AES_CM_256;
    EVP_CIPHER_CTX *ctx;
    uint8_t iv[IV_SIZE];
    int n = 0;
    bool ok;

    MCX_TRY(derive(&key, wide ? 32 : 16, m, psk, MCX_LABEL_PSK_ENCR));
    MCX_TRY(derive(&salt, SALT_SIZE, m, psk, MCX_LABEL_PSK_SALT));
    make_iv(iv, &salt, m);
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx) {
        return MCX_E_NOMEM;
    }
    (void)ERR_set_mark();
    ok = EVP_EncryptInit_ex(ctx, wide ? EVP_aes_256_ctr() : EVP_aes_128_ctr(),
                            NULL, key.b, iv)
         && EVP_EncryptUpdate(ctx, out, &n, in.p, (int)in.n);
    (void)ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(ctx);
    return ok ? MCX_OK : MCX_E_NOMEM;
}

/* ---- key data ---------------------------------------------------------- */

static bool
take(uint8_t *out, size_t *out_n, size_t room, struct mcx_bytes b)
{
    if (b.n > room) {
        return false;
    }
    if (b.n) {
        memcpy(out, b.p, b.n);
    }
    *out_n = b.n;
    return true;
}

/* One sub-payload.  Offsets are those of KEMAC: nothing of the plaintext
 * leaves, not even where it broke. */
static mcx_err
read_keydata(struct mcx_keydata *k, struct mcx_rd *rd, uint8_t *next,
             size_t at, struct mcx_why *why)
{
    struct mcx_bytes key, salt = { NULL, 0 }, a = { NULL, 0 },
                          b = { NULL, 0 };
    uint8_t type_kv;

    *next = mcx_rd_u8(rd);
    type_kv = mcx_rd_u8(rd);
    k->type = type_kv >> 4;
    k->kv = type_kv & 0x0f;
    key = mcx_rd_bytes_len(rd, 2);
    if (k->type & 1) {
        salt = mcx_rd_bytes_len(rd, 2);
    }
    if (k->kv == KV_SPI) {
        a = mcx_rd_bytes_len(rd, 1);
    } else if (k->kv == KV_INTERVAL) {
        a = mcx_rd_bytes_len(rd, 1);
        b = mcx_rd_bytes_len(rd, 1);
    }
    if (!mcx_rd_ok(rd)) {
        return MCX_REFUSE(why, MCX_R_TRUNCATED, "KEYDATA", at, kd_clause);
    }
    if (k->type > 6 || k->kv > KV_INTERVAL || key.n == 0
        || (*next != MCX_PL_LAST && *next != MCX_PL_KEYDATA)) {
        return MCX_REFUSE(why, MCX_R_VALUE, "KEYDATA", at, kd_clause);
    }
    if (!take(k->key, &k->key_n, sizeof k->key, key)
        || !take(k->salt, &k->salt_n, sizeof k->salt, salt)
        || (k->kv == KV_SPI && !take(k->spi, &k->spi_n, sizeof k->spi, a))
        || (k->kv == KV_INTERVAL
            && (!take(k->valid_from, &k->valid_from_n, sizeof k->valid_from,
                      a)
                || !take(k->valid_to, &k->valid_to_n, sizeof k->valid_to,
                         b)))) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "KEYDATA", at, kd_clause);
    }
    return MCX_OK;
}

/* What fills the last block of a key wrap: RFC 3394 leaves it to others, and
 * RFC 3830 says nothing, so somebody whose keys need it has sent zeros. */
static bool
is_fill(struct mcx_bytes b)
{
    size_t i;
    uint8_t any = 0;

    for (i = 0; i < b.n; i++) {
        any |= b.p[i];
    }
    return b.n < MCX_KEMAC_MORE && any == 0;
}

static mcx_err
read_all(struct mcx_psk_keys *keys, struct mcx_bytes plain, bool filled,
         size_t at, struct mcx_why *why)
{
    struct mcx_rd rd = mcx_rd(plain);
    uint8_t next = MCX_PL_KEYDATA;

    while (next == MCX_PL_KEYDATA) {
        if (keys->n == MCX_KEYDATA_MAX) {
            return MCX_REFUSE(why, MCX_R_TOO_LARGE, "KEYDATA", at,
                              kd_clause);
        }
        MCX_TRY(read_keydata(&keys->k[keys->n], &rd, &next, at, why));
        keys->n++;
    }
    if (mcx_rd_left(&rd) == 0
        || (filled && is_fill(mcx_bytes(plain.p + rd.at,
                                        mcx_rd_left(&rd))))) {
        return MCX_OK;
    }
    return MCX_REFUSE(why, MCX_R_TRAILING, "KEYDATA", at, kd_clause);
}

mcx_err
mcx_psk_open(struct mcx_psk_keys *out, const struct mcx_mikey_msg *msg,
             struct mcx_bytes psk, struct mcx_why *why)
{
    MCX_SECRET(mcx_psk_keys, keys);
    MCX_SECRET(mcx_psk_plain, plain);
    const struct mcx_kemac *k = &msg->kemac;
    bool wrapped = k->encr_alg == ENCR_AES_KW_128;
    size_t n = k->encr.n;
    mcx_err err;

    memset(out, 0, sizeof *out);
    if (msg->n_pl == 0 || psk.n == 0) {
        return MCX_E_ARG;
    }
    if (msg->data_type != MCX_DT_PSK_INIT) {
        return MCX_REFUSE(why, MCX_R_DATA_TYPE, "HDR", 1, clause);
    }
    if (k->encr_alg == ENCR_NULL) {
        return MCX_REFUSE(why, MCX_R_NULL_ALG, "KEMAC", k->at + 1,
                          "RFC 3830 4.2.3");
    }
    MCX_TRY(check_mac(msg, msg, psk, NULL, 0, "KEMAC", why));
    if (k->encr_alg != ENCR_AES_CM_128 && k->encr_alg != ENCR_AES_CM_256
        && !wrapped) {
        return MCX_REFUSE(why, MCX_R_POLICY_PARAM, "KEMAC", k->at + 1,
                          "RFC 3830 4.2.3");
    }
    if (k->encr.n > PLAIN_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "KEMAC", k->at + 2,
                          "RFC 3830 6.2");
    }
    err = wrapped ? wrap_data(plain.b, &n, k->encr, msg, psk, false)
                  : crypt_data(plain.b, k->encr, msg, psk);
    if (err == MCX_E_AUTH) { /* under a good MAC: not what was announced */
        return MCX_REFUSE(why, MCX_R_VALUE, "KEMAC", k->at + 4,
                          "RFC 3394 2.2.2");
    }
    if (err != MCX_OK) {
        return world(err, "KEMAC", why);
    }
    MCX_TRY(read_all(&keys, mcx_bytes(plain.b, n), wrapped, k->at + 4, why));
    *out = keys;
    return MCX_OK;
}

/* The data of an identity, whether it came as ID number 'i' or by role. */
static struct mcx_bytes
id_data(const struct mcx_mikey_msg *m, size_t i, unsigned role)
{
    if (m->idr[role].at) {
        return m->idr[role].data;
    }
    return m->n_id > i ? m->id[i].data : mcx_bytes(NULL, 0);
}

mcx_err
mcx_psk_verify(const struct mcx_mikey_msg *resp,
               const struct mcx_mikey_msg *init, struct mcx_bytes psk,
               struct mcx_why *why)
{
    uint8_t t[8];
    struct mcx_wr wr = mcx_wr(t, sizeof t);
    struct mcx_bytes idr = id_data(resp, 0, MCX_ROLE_R);
    struct mcx_bytes tail[3];

    if (resp->n_pl == 0 || init->n_pl == 0 || psk.n == 0) {
        return MCX_E_ARG;
    }
    if (resp->data_type != MCX_DT_PSK_RESP
        || init->data_type != MCX_DT_PSK_INIT) {
        return MCX_REFUSE(why, MCX_R_DATA_TYPE, "HDR", 1, clause);
    }
    if (resp->csb_id != init->csb_id || resp->prf != init->prf) {
        return MCX_REFUSE(why, MCX_R_MAC, "HDR", 3, clause);
    }
    if (resp->t != init->t || resp->t_type != init->t_type) {
        return MCX_REFUSE(why, MCX_R_MAC, "T", resp->t_at + 1, clause);
    }
    /* An identity that is not in the response is the one both sides know. */
    mcx_wr_u64(&wr, resp->t);
    tail[0] = id_data(init, 0, MCX_ROLE_I);
    tail[1] = idr.n ? idr : id_data(init, 1, MCX_ROLE_R);
    tail[2] = mcx_bytes(t, sizeof t);
    return check_mac(resp, init, psk, tail, 3, "V", why);
}

/* ---- building ---------------------------------------------------------- */

/* One message on its way; what the views of 'm' point to. */
struct making {
    const struct mcx_psk_build *how;
    struct mcx_mikey_msg m;
    int64_t at_ms;
    uint8_t rand[RAND_SIZE];
    uint8_t encr[PLAIN_MAX + MCX_KEMAC_MORE];
};

static mcx_err
write_keydata(struct mcx_wr *wr, const struct mcx_keydata *k, bool more)
{
    if (k->key_n == 0 || k->key_n > sizeof k->key || k->type > 6
        || k->kv > KV_INTERVAL || k->salt_n > sizeof k->salt
        || (k->salt_n > 0 && !(k->type & 1)) || k->spi_n > sizeof k->spi
        || k->valid_from_n > sizeof k->valid_from
        || k->valid_to_n > sizeof k->valid_to) {
        return MCX_E_ARG;
    }
    mcx_wr_u8(wr, more ? MCX_PL_KEYDATA : MCX_PL_LAST);
    mcx_wr_u8(wr, (unsigned)k->type << 4 | k->kv);
    mcx_wr_bytes_len(wr, mcx_bytes(k->key, k->key_n), 2);
    if (k->type & 1) {
        mcx_wr_bytes_len(wr, mcx_bytes(k->salt, k->salt_n), 2);
    }
    if (k->kv == KV_SPI) {
        mcx_wr_bytes_len(wr, mcx_bytes(k->spi, k->spi_n), 1);
    } else if (k->kv == KV_INTERVAL) {
        mcx_wr_bytes_len(wr, mcx_bytes(k->valid_from, k->valid_from_n), 1);
        mcx_wr_bytes_len(wr, mcx_bytes(k->valid_to, k->valid_to_n), 1);
    }
    return mcx_wr_status(wr);
}

/* Fills and seals the encrypted data of KEMAC. */
static mcx_err
seal(struct making *b)
{
    MCX_SECRET(mcx_psk_plain, plain);
    const struct mcx_psk_keys *keys = b->how->keys;
    struct mcx_wr wr = mcx_wr(plain.b, sizeof plain.b);
    size_t i;

    b->m.kemac.encr = mcx_bytes(b->encr, 0);
    for (i = 0; i < keys->n; i++) {
        MCX_TRY(write_keydata(&wr, &keys->k[i], i + 1 < keys->n));
    }
    if (b->m.kemac.encr_alg == ENCR_AES_KW_128) {
        return wrap_data(b->encr, &b->m.kemac.encr.n,
                         mcx_bytes(plain.b, wr.at), &b->m, b->how->psk, true);
    }
    b->m.kemac.encr.n = wr.at;
    return crypt_data(b->encr, mcx_bytes(plain.b, wr.at), &b->m,
                      b->how->psk);
}

static void
add_id(struct making *b, size_t i, unsigned role, unsigned type,
       struct mcx_bytes data)
{
    struct mcx_idr id = { .role = (uint8_t)role,
                          .id_type = (uint8_t)type,
                          .data = data };

    if (data.n == 0) {
        return;
    }
    if (b->how->roles) {
        id.at = mcx_pl_add(&b->m, MCX_PL_IDR);
        b->m.idr[role] = id;
    } else {
        id.at = mcx_pl_add(&b->m, MCX_PL_ID);
        b->m.id[i] = id;
        b->m.n_id = i + 1;
    }
}

static mcx_err
fill(struct making *b)
{
    const struct mcx_psk_build *how = b->how;
    struct mcx_mikey_msg *m = &b->m;

    m->version = 1;
    m->data_type = MCX_DT_PSK_INIT;
    m->v = how->v;
    m->prf = how->prf;
    m->csb_id = how->csb_id;
    m->map_type = how->map_type;
    m->n_cs = how->n_cs;
    if (how->n_cs) {
        memcpy(m->cs, how->cs, how->n_cs * sizeof *how->cs);
    }
    b->at_ms = how->at_unix_ms ? how->at_unix_ms
                               : how->env->unix_ms(how->env->ctx);
    m->t = mcx_unique_t(b->at_ms);
    if (how->rand) {
        memcpy(b->rand, how->rand, RAND_SIZE);
    } else {
        MCX_TRY(how->env->random(how->env->ctx, b->rand, RAND_SIZE));
    }
    m->rand = mcx_bytes(b->rand, RAND_SIZE);
    m->kemac.encr_alg = how->encr_alg ? how->encr_alg : ENCR_AES_CM_128;
    m->kemac.mac_alg = how->mac_alg ? how->mac_alg
                       : how->prf == MCX_PRF_HMAC_SHA256
                           ? MAC_HMAC_SHA256_256
                           : MAC_HMAC_SHA1_160;
    (void)mcx_pl_add(m, MCX_PL_LAST); /* HDR */
    (void)mcx_pl_add(m, MCX_PL_T);
    (void)mcx_pl_add(m, MCX_PL_RAND);
    add_id(b, 0, MCX_ROLE_I, how->id_i_type, how->id_i);
    add_id(b, 1, MCX_ROLE_R, how->id_r_type, how->id_r);
    if (how->sp.n) {
        m->sp[m->n_sp++] = (struct mcx_sp){ .at = mcx_pl_add(m, MCX_PL_SP),
                                            .params = how->sp };
    }
    m->kemac.at = mcx_pl_add(m, MCX_PL_KEMAC);
    m->pl[m->n_pl - 1].next = how->sign_as ? MCX_PL_SIGN : MCX_PL_LAST;
    return seal(b);
}

static mcx_err
sign(const struct making *b, struct mcx_wr *wr, struct mcx_why *why)
{
    struct mcx_end end = { .uri = b->how->sign_as };
    struct mcx_user_key *key = NULL;
    uint8_t sig[MCX_ECCSI_SIG_SIZE];
    mcx_err err;

    mcx_pl_sign_write(wr, &b->m, &b->m.pl[b->m.n_pl - 1]);
    MCX_TRY(mcx_wr_status(wr));
    err = mcx_end_signer(&end, &key, b->how->ring, b->at_ms, why);
    if (err == MCX_OK) {
        err = mcx_eccsi_sign(sig, key, mcx_bytes(wr->p, wr->at),
                             b->how->env);
    }
    mcx_user_key_free(key);
    mcx_kms_pub_free(end.pub);
    mcx_wr_bytes(wr, mcx_bytes(sig, sizeof sig));
    return err == MCX_OK ? mcx_wr_status(wr) : err;
}

static bool
buildable(const struct mcx_psk_build *how)
{
    size_t i;

    if (!how->env || how->psk.n == 0 || !how->keys || how->keys->n == 0
        || how->keys->n > MCX_KEYDATA_MAX || how->n_cs > MCX_MIKEY_CS_MAX
        || (how->n_cs && !how->cs) || how->map_type > MCX_MAP_GENERIC_ID
        || how->prf > MCX_PRF_HMAC_SHA256
        || (how->id_r.n && !how->id_i.n && !how->roles)
        || (how->sign_as && (!how->ring || !how->sign_as[0]))) {
        return false;
    }
    for (i = 0; i < how->n_cs; i++) {
        if (how->map_type == MCX_MAP_SRTP_ID && how->cs[i].policies.n != 1) {
            return false;
        }
    }
    return (how->encr_alg == 0 || how->encr_alg == ENCR_AES_CM_128
            || how->encr_alg == ENCR_AES_KW_128
            || how->encr_alg == ENCR_AES_CM_256)
           && (how->mac_alg == 0 || how->mac_alg == MAC_HMAC_SHA1_160
               || how->mac_alg == MAC_HMAC_SHA256_256);
}

mcx_err
mcx_psk_make(uint8_t *out, size_t *out_n, const struct mcx_psk_build *how,
             uint64_t *t, size_t *covered_n, struct mcx_why *why)
{
    struct making b = { .how = how };
    struct mcx_wr wr;
    struct mcx_bytes covered;
    uint8_t mac[MCX_SHA256_SIZE];

    if (!out || !out_n || !how || !buildable(how)) {
        return MCX_E_ARG;
    }
    wr = mcx_wr(out, *out_n);
    MCX_TRY(fill(&b));
    MCX_TRY(mcx_pl_write_all(&wr, &b.m)); /* up to the MAC algorithm */
    covered = mcx_bytes(out, wr.at);
    *covered_n = wr.at;
    *t = b.m.t;
    MCX_TRY(make_mac(mac, b.m.kemac.mac_alg, &b.m, how->psk, &covered, 1));
    mcx_wr_bytes(&wr, mcx_bytes(mac, mcx_pl_mac_size(b.m.kemac.mac_alg)));
    MCX_TRY(mcx_wr_status(&wr));
    if (how->sign_as) {
        MCX_TRY(sign(&b, &wr, why));
        *covered_n = wr.at - MCX_ECCSI_SIG_SIZE;
    }
    *out_n = wr.at;
    return MCX_OK;
}

mcx_err
mcx_psk_build(uint8_t *out, size_t *out_n, const struct mcx_psk_build *how,
              struct mcx_why *why)
{
    size_t covered;
    uint64_t t;

    return mcx_psk_make(out, out_n, how, &t, &covered, why);
}

mcx_err
mcx_psk_answer(uint8_t *out, size_t *out_n, const struct mcx_mikey_msg *init,
               struct mcx_bytes psk, struct mcx_bytes id_r,
               uint8_t id_r_type)
{
    struct mcx_mikey_msg m = { 0 };
    uint8_t t[8], mac[MCX_SHA256_SIZE];
    struct mcx_wr wr, tw = mcx_wr(t, sizeof t);
    struct mcx_bytes piece[4];

    if (!out || !out_n || !init || init->n_pl == 0 || psk.n == 0
        || init->data_type != MCX_DT_PSK_INIT
        || init->kemac.mac_alg == MAC_NULL) {
        return MCX_E_ARG;
    }
    if (!init->v) {
        return MCX_E_STATE;
    }
    m.version = 1;
    m.data_type = MCX_DT_PSK_RESP;
    m.v = init->v; /* without meaning in an answer */
    m.prf = init->prf;
    m.csb_id = init->csb_id;
    m.map_type = init->map_type;
    m.n_cs = init->n_cs;
    memcpy(m.cs, init->cs, sizeof m.cs);
    m.t_type = init->t_type; /* SPEC RFC 3830 5.4: the same T */
    m.t = init->t;
    m.kemac.mac_alg = init->kemac.mac_alg;
    (void)mcx_pl_add(&m, MCX_PL_LAST); /* HDR */
    (void)mcx_pl_add(&m, MCX_PL_T);
    if (id_r.n) { /* in a response the only ID is the responder's */
        m.id[0] = (struct mcx_idr){ .at = mcx_pl_add(&m, MCX_PL_ID),
                                    .id_type = id_r_type,
                                    .data = id_r };
        m.n_id = 1;
    }
    (void)mcx_pl_add(&m, MCX_PL_V);
    wr = mcx_wr(out, *out_n);
    MCX_TRY(mcx_pl_write_all(&wr, &m)); /* up to the MAC algorithm */
    mcx_wr_u64(&tw, m.t);
    piece[0] = mcx_bytes(out, wr.at);
    piece[1] = id_data(init, 0, MCX_ROLE_I);
    piece[2] = id_r.n ? id_r : id_data(init, 1, MCX_ROLE_R);
    piece[3] = mcx_bytes(t, sizeof t);
    MCX_TRY(make_mac(mac, m.kemac.mac_alg, init, psk, piece, 4));
    mcx_wr_bytes(&wr, mcx_bytes(mac, mcx_pl_mac_size(m.kemac.mac_alg)));
    MCX_TRY(mcx_wr_status(&wr));
    *out_n = wr.at;
    return MCX_OK;
}
