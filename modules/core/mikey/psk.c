/* psk.c -- pre-shared key mode, the receiver's side (RFC 3830 3.1, 4.1.4,
 * 4.2.3, 4.2.4, 5.2, 6.2, 6.13).
 *
 * Called by whoever handles GSK messages and by tests.  T and replay are the
 * caller's.  The MAC is verified before anything is decrypted; NULL
 * algorithms are refused in every combination (digest D-6). */
#include <config.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "mac.h"
#include "pl.h"

enum { ENCR_NULL = 0, ENCR_AES_CM_128 = 1, ENCR_AES_CM_256 = 3 };
enum { MAC_NULL = 0, MAC_HMAC_SHA1_160 = 1, MAC_HMAC_SHA256_256 = 2 };
enum { MESSAGE_CS_ID = 0xff, SALT_SIZE = 14, IV_SIZE = 16,
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

/* The MAC of 'm' over what precedes it and 'tail'; keys come from 'init',
 * whose RAND it is. */
static mcx_err
check_mac(const struct mcx_mikey_msg *m, const struct mcx_mikey_msg *init,
          struct mcx_bytes psk, const struct mcx_bytes *tail, size_t n_tail,
          const char *payload, struct mcx_why *why)
{
    MCX_SECRET(mcx_psk_key, auth);
    bool sha256 = m->kemac.mac_alg == MAC_HMAC_SHA256_256;
    size_t size = mcx_pl_mac_size(m->kemac.mac_alg), i;
    size_t at;
    struct mcx_bytes piece[4];
    struct mcx_hmac *h;
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
    err = derive(&auth, size, init, psk, MCX_LABEL_PSK_AUTH);
    if (err == MCX_OK) {
        err = mcx_hmac_new(&h, sha256 ? MCX_HASH_SHA256 : MCX_HASH_SHA1);
    }
    if (err == MCX_OK) {
        err = mcx_hmac_run(h, mac, mcx_bytes(auth.b, size), piece,
                           n_tail + 1);
        mcx_hmac_free(h);
    }
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

static mcx_err
decrypt(struct mcx_psk_plain *plain, const struct mcx_mikey_msg *m,
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
    ok = EVP_DecryptInit_ex(ctx, wide ? EVP_aes_256_ctr() : EVP_aes_128_ctr(),
                            NULL, key.b, iv)
         && EVP_DecryptUpdate(ctx, plain->b, &n, m->kemac.encr.p,
                              (int)m->kemac.encr.n);
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

static mcx_err
read_all(struct mcx_psk_keys *keys, struct mcx_bytes plain, size_t at,
         struct mcx_why *why)
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
    return mcx_rd_left(&rd) == 0
               ? MCX_OK
               : MCX_REFUSE(why, MCX_R_TRAILING, "KEYDATA", at, kd_clause);
}

mcx_err
mcx_psk_open(struct mcx_psk_keys *out, const struct mcx_mikey_msg *msg,
             struct mcx_bytes psk, struct mcx_why *why)
{
    MCX_SECRET(mcx_psk_keys, keys);
    MCX_SECRET(mcx_psk_plain, plain);
    const struct mcx_kemac *k = &msg->kemac;
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
    if (k->encr_alg != ENCR_AES_CM_128 && k->encr_alg != ENCR_AES_CM_256) {
        return MCX_REFUSE(why, MCX_R_POLICY_PARAM, "KEMAC", k->at + 1,
                          "RFC 3830 4.2.3");
    }
    if (k->encr.n > PLAIN_MAX) {
        return MCX_REFUSE(why, MCX_R_TOO_LARGE, "KEMAC", k->at + 2,
                          "RFC 3830 6.2");
    }
    err = decrypt(&plain, msg, psk);
    if (err != MCX_OK) {
        return world(err, "KEMAC", why);
    }
    MCX_TRY(read_all(&keys, mcx_bytes(plain.b, k->encr.n), k->at + 4, why));
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
