/* judge_srtp.c -- a second reading of RFC 3711 and RFC 7714, over OpenSSL.
 *
 * The published vectors start from session keys, where module srtp takes
 * master keys.  So they judge the small SRTP of this file first, and it then
 * judges the packets of module srtp: key derivation, IV, what is authenticated
 * and where MKI, tag and index stand.  One way only, for test packets with a
 * header of 12 (RTP) or 8 (RTCP) octets; nothing here is for use. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sofia-mcx/mcx_module.h>
#include "vec.h"

#define RFC3711 "rfc3711-appendix-b"
#define RFC7714 "rfc7714-sections-16-17"
enum {
    ROOM = 512,
    N_7714 = 12,
    TAG = 16,     /* AEAD                                */
    SHA1_TAG = 10,
    KDF_RTP = 0,  /* labels: key, auth + 1, salt + 2     */
    KDF_RTCP = 3,
    IV_SIZE = 12,
    SALT_CM = 14
};

extern const struct mcx_module mcx_module_srtp;

/* ---- the judge --------------------------------------------------------- */

/* What one stream uses after key derivation (RFC 3711 4.3.1). */
struct session {
    bool gcm;
    uint8_t key[32];
    int key_size;
    uint8_t salt[SALT_CM];
    uint8_t auth[20];
    uint8_t mki[MCX_MKI_MAX];
    size_t mki_size;
};

static void
put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* The AES counter keystream over 'n' octets in place. */
static void
ctr(const uint8_t *key, const uint8_t iv[16], uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int got = 0;

    assert_non_null(ctx);
    assert_int_equal(
        EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, p, &got, p, (int)n), 1);
    assert_int_equal(got, n);
    EVP_CIPHER_CTX_free(ctx);
}

/* AES-CM PRF with index DIV kdr = 0: the label stands in octet 7 of the
 * salt; a salt of 12 octets is filled up behind (RFC 7714 11). */
static void
kdf(const uint8_t *master, const uint8_t *salt, size_t salt_size,
    uint8_t label, uint8_t *out, size_t n)
{
    uint8_t iv[16] = { 0 };

    memcpy(iv, salt, salt_size);
    iv[7] ^= label;
    memset(out, 0, n);
    ctr(master, iv, out, n);
}

/* Returns the size of 'out': text and tag. */
static size_t
gcm_seal(const struct session *s, const uint8_t iv[IV_SIZE],
         const uint8_t *aad, size_t n_aad, const uint8_t *in, size_t n,
         uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int got = 0, none = 0;

    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx,
                                        s->key_size == 32 ? EVP_aes_256_gcm()
                                                          : EVP_aes_128_gcm(),
                                        NULL, s->key, iv),
                     1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &none, aad, (int)n_aad), 1);
    if (n > 0) {
        assert_int_equal(EVP_EncryptUpdate(ctx, out, &got, in, (int)n), 1);
    }
    assert_int_equal(EVP_EncryptFinal_ex(ctx, out + got, &none), 1);
    assert_int_equal(
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, out + n), 1);
    EVP_CIPHER_CTX_free(ctx);
    return n + TAG;
}

/* False when the tag does not fit. */
static bool
gcm_open(const struct session *s, const uint8_t iv[IV_SIZE],
         const uint8_t *aad, size_t n_aad, const uint8_t *in, size_t n,
         uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[TAG];
    int got = 0, none = 0;
    bool good;

    assert_non_null(ctx);
    assert_true(n >= TAG);
    memcpy(tag, in + n - TAG, TAG);
    assert_int_equal(EVP_DecryptInit_ex(ctx,
                                        s->key_size == 32 ? EVP_aes_256_gcm()
                                                          : EVP_aes_128_gcm(),
                                        NULL, s->key, iv),
                     1);
    assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &none, aad, (int)n_aad), 1);
    if (n > TAG) {
        assert_int_equal(
            EVP_DecryptUpdate(ctx, out, &got, in, (int)(n - TAG)), 1);
    }
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag),
                     1);
    good = EVP_DecryptFinal_ex(ctx, out + got, &none) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

/* RFC 7714 8.1: 0, SSRC, ROC, SEQ; exclusive-or salt. */
static void
gcm_iv_rtp(const struct session *s, const uint8_t *packet, uint32_t roc,
           uint8_t iv[IV_SIZE])
{
    memset(iv, 0, IV_SIZE);
    memcpy(iv + 2, packet + 8, 4);
    put32(iv + 6, roc);
    memcpy(iv + 10, packet + 2, 2);
    for (int i = 0; i < IV_SIZE; i++) {
        iv[i] ^= s->salt[i];
    }
}

/* RFC 7714 9.1: 0, SSRC, 0, index; exclusive-or salt. */
static void
gcm_iv_rtcp(const struct session *s, const uint8_t *packet, uint32_t index,
            uint8_t iv[IV_SIZE])
{
    memset(iv, 0, IV_SIZE);
    memcpy(iv + 2, packet + 4, 4);
    put32(iv + 8, index);
    for (int i = 0; i < IV_SIZE; i++) {
        iv[i] ^= s->salt[i];
    }
}

/* RFC 3711 4.1.1: (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16). */
static void
cm_iv(const struct session *s, const uint8_t *ssrc, uint64_t index,
      uint8_t iv[16])
{
    memset(iv, 0, 16);
    memcpy(iv, s->salt, SALT_CM);
    for (int i = 0; i < 4; i++) {
        iv[4 + i] ^= ssrc[i];
    }
    for (int i = 0; i < 6; i++) {
        iv[8 + i] ^= (uint8_t)(index >> (40 - 8 * i));
    }
}

static void
sha1_tag(const struct session *s, const uint8_t *p, size_t n, uint8_t *tag)
{
    uint8_t mac[20];
    unsigned size = 0;

    assert_non_null(HMAC(EVP_sha1(), s->auth, 20, p, n, mac, &size));
    assert_int_equal(size, 20);
    memcpy(tag, mac, SHA1_TAG);
}

/* Returns the size of 'out'. */
static size_t
judge_rtp(const struct session *s, const uint8_t *p, size_t n, uint32_t roc,
          uint8_t *out)
{
    uint8_t iv[16], tail[4];
    size_t m = 12;

    memcpy(out, p, n);
    if (s->gcm) {
        gcm_iv_rtp(s, p, roc, iv);
        m += gcm_seal(s, iv, p, 12, p + 12, n - 12, out + 12);
        memcpy(out + m, s->mki, s->mki_size);
        return m + s->mki_size;
    }
    cm_iv(s, p + 8, (uint64_t)roc << 16 | (uint64_t)p[2] << 8 | p[3], iv);
    ctr(s->key, iv, out + 12, n - 12);
    put32(tail, roc);
    memcpy(out + n, tail, 4); /* authenticated, not sent */
    sha1_tag(s, out, n + 4, out + n + s->mki_size + 4);
    memcpy(out + n, s->mki, s->mki_size);
    memmove(out + n + s->mki_size, out + n + s->mki_size + 4, SHA1_TAG);
    return n + s->mki_size + SHA1_TAG;
}

static size_t
judge_rtcp(const struct session *s, const uint8_t *p, size_t n,
           uint32_t index, uint8_t *out)
{
    uint8_t iv[16], aad[12], word[4];
    size_t m = 8;

    memcpy(out, p, n);
    put32(word, index | 0x80000000u);
    if (s->gcm) {
        gcm_iv_rtcp(s, p, index, iv);
        memcpy(aad, p, 8);
        memcpy(aad + 8, word, 4);
        m += gcm_seal(s, iv, aad, 12, p + 8, n - 8, out + 8);
        memcpy(out + m, word, 4);
        memcpy(out + m + 4, s->mki, s->mki_size);
        return m + 4 + s->mki_size;
    }
    cm_iv(s, p + 4, index, iv);
    ctr(s->key, iv, out + 8, n - 8);
    memcpy(out + n, word, 4);
    sha1_tag(s, out, n + 4, out + n + 4 + s->mki_size);
    memcpy(out + n + 4, s->mki, s->mki_size);
    return n + 4 + s->mki_size + SHA1_TAG;
}

/* ---- the vectors judge the judge --------------------------------------- */

static const char *
path(unsigned i, const char *name)
{
    static char text[64];

    (void)snprintf(text, sizeof text, "vectors[%u].%s", i, name);
    return text;
}

static void
rfc3711_keystream(void **state)
{
    static const unsigned counters[] = { 0, 1, 2, 0xfeff, 0xff00, 0xff01 };
    struct session s = { .key_size = 16 };
    uint8_t iv[16], shifted[16], want[16], ssrc[4] = { 0 };
    uint8_t *stream = calloc(0xff02, 16);
    char at[64];

    (void)state;
    assert_non_null(stream);
    assert_int_equal(
        vec_hex(RFC3711, "B2_aes_cm.session_key", s.key, sizeof s.key), 16);
    assert_int_equal(vec_hex(RFC3711, "B2_aes_cm.session_salt_shifted",
                             shifted, sizeof shifted),
                     16);
    memcpy(s.salt, shifted, SALT_CM);
    cm_iv(&s, ssrc, 0, iv);
    assert_memory_equal(iv, shifted, 16);
    ctr(s.key, iv, stream, 0xff02 * 16);
    for (unsigned i = 0; i < sizeof counters / sizeof *counters; i++) {
        (void)snprintf(at, sizeof at, "B2_aes_cm.keystream[%u].block", i);
        assert_int_equal(vec_hex(RFC3711, at, want, 16), 16);
        assert_memory_equal(stream + 16 * counters[i], want, 16);
    }
    free(stream);
}

static void
rfc3711_derivation(void **state)
{
    static const struct {
        const char *name;
        uint8_t label;
    } rows[] = {
        { "cipher_key", 0 },
        { "auth_key", 1 },
        { "cipher_salt", 2 },
        { "derived_not_in_rfc.rtp_auth_key_20", 1 },
        { "derived_not_in_rfc.rtcp_cipher_key_label3", 3 },
        { "derived_not_in_rfc.rtcp_auth_key_label4", 4 },
        { "derived_not_in_rfc.rtcp_cipher_salt_label5", 5 },
    };
    uint8_t key[16], salt[SALT_CM], want[128], got[128];

    (void)state;
    assert_int_equal(vec_hex(RFC3711, "B3_key_derivation.master_key", key, 16),
                     16);
    assert_int_equal(
        vec_hex(RFC3711, "B3_key_derivation.master_salt", salt, SALT_CM),
        SALT_CM);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        char at[96];
        size_t n;

        (void)snprintf(at, sizeof at, "B3_key_derivation.%s", rows[i].name);
        n = vec_hex(RFC3711, at, want, sizeof want);
        assert_true(n >= 14);
        kdf(key, salt, SALT_CM, rows[i].label, got, n);
        assert_memory_equal(got, want, n);
    }
}

/* The ways of RFC 7714: encrypted or only tagged, there and back. */
static void
rfc7714(void **state)
{
    unsigned sealed = 0, opened = 0;

    (void)state;
    for (unsigned i = 0; i < N_7714; i++) {
        struct session s = { .gcm = true };
        uint8_t in[ROOM], want[ROOM], out[ROOM], aad[ROOM], text[ROOM];
        uint8_t iv[IV_SIZE], want_iv[IV_SIZE], number[4];
        size_t n_aad, n_text, n_want, n_in;
        char *title = vec_text(RFC7714, path(i, "title"));
        bool rtcp = strncmp(title, "SRTCP", 5) == 0;
        bool open = strstr(title, "Decryption") != NULL
                    || strstr(title, "Verification") != NULL;
        bool whole = strstr(title, "Encryption") != NULL;
        uint32_t v;

        free(title);
        s.key_size = (int)vec_hex(RFC7714, path(i, "key"), s.key,
                                  sizeof s.key);
        assert_int_equal(vec_hex(RFC7714, path(i, "salt"), s.salt, SALT_CM),
                         12);
        n_in = vec_hex(RFC7714, path(i, "input_packet"), in, ROOM);
        n_aad = vec_hex(RFC7714, path(i, "aad"), aad, ROOM);
        assert_int_equal(vec_hex(RFC7714,
                                 path(i, rtcp ? "srtcp_index" : "roc"),
                                 number, 4),
                         4);
        v = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16
            | (uint32_t)number[2] << 8 | number[3];
        if (rtcp) {
            gcm_iv_rtcp(&s, in, v, iv);
        } else {
            gcm_iv_rtp(&s, in, v, iv);
        }
        assert_int_equal(vec_hex(RFC7714, path(i, "iv"), want_iv, IV_SIZE),
                         IV_SIZE);
        assert_memory_equal(iv, want_iv, IV_SIZE);
        n_want = vec_hex(RFC7714, path(i, "ciphertext_and_tag"), want, ROOM);
        n_text = n_want - TAG;
        if (!open) {
            size_t n = 0, head = rtcp ? 8 : 12;

            assert_int_equal(gcm_seal(&s, iv, aad, n_aad, in + head, n_text,
                                      out),
                             n_want);
            assert_memory_equal(out, want, n_want);
            if (whole) { /* the packet, as a stream would send it */
                n_want = vec_hex(RFC7714, path(i, "output_packet"), want,
                                 ROOM);
                n = rtcp ? judge_rtcp(&s, in, n_in, v, out)
                         : judge_rtp(&s, in, n_in, v, out);
                assert_int_equal(n, n_want);
                assert_memory_equal(out, want, n);
            }
            sealed++;
            continue;
        }
        assert_true(gcm_open(&s, iv, aad, n_aad, want, n_want, out));
        assert_int_equal(
            vec_hex(RFC7714, path(i, "plaintext"), text, ROOM), n_text);
        assert_memory_equal(out, text, n_text);
        for (size_t at = 0; at < n_want; at++) {
            want[at] ^= 1;
            assert_false(gcm_open(&s, iv, aad, n_aad, want, n_want, out));
            want[at] ^= 1;
        }
        opened++;
    }
    assert_int_equal(sealed, 6);
    assert_int_equal(opened, 6);
}

/* ---- the judge judges module srtp -------------------------------------- */

static void
derive(struct session *s, const struct mcx_srtp_policy *p, uint8_t labels)
{
    memset(s, 0, sizeof *s);
    s->gcm = p->suite == MCX_SUITE_AEAD_AES_128_GCM;
    s->key_size = 16;
    kdf(p->key, p->salt, p->salt_size, labels, s->key, 16);
    kdf(p->key, p->salt, p->salt_size, (uint8_t)(labels + 1), s->auth, 20);
    kdf(p->key, p->salt, p->salt_size, (uint8_t)(labels + 2), s->salt,
        p->salt_size);
    memcpy(s->mki, p->mki, p->mki_size);
    s->mki_size = p->mki_size;
}

static void
noise(uint8_t *p, size_t n)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;

    while (n-- > 0) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *p++ = (uint8_t)(x >> 32);
    }
}

static void
module_packets(void **state)
{
    static struct mcx_text text;
    const struct mcx_srtp_api *api;
    void *inst = NULL;
    unsigned turned = 0;

    (void)state;
    assert_int_equal(mcx_module_srtp.start(&inst, NULL, &text), MCX_OK);
    api = mcx_module_srtp.feature(inst, "srtp.session");
    assert_non_null(api);
    for (unsigned round = 0; round < 200; round++) {
        struct mcx_srtp_policy p = { .suite = MCX_SUITE_AEAD_AES_128_GCM,
                                     .key_size = 16,
                                     .salt_size = 12,
                                     .tag_size = TAG };
        struct session rtp, rtcp;
        struct mcx_srtp *tx = NULL;
        uint8_t plain[256], got[ROOM], want[ROOM], ssrc[4];
        uint32_t roc = 0;
        uint16_t seq;

        if (round % 2) {
            p.suite = MCX_SUITE_AES_CM_128_HMAC_SHA1_80;
            p.salt_size = SALT_CM;
            p.tag_size = SHA1_TAG;
        }
        p.mki_size = round % 4 < 2 ? 4 : 0;
        noise(p.key, 16);
        noise(p.salt, p.salt_size);
        noise(p.mki, p.mki_size);
        noise(ssrc, 4);
        ssrc[3] |= 1;
        derive(&rtp, &p, KDF_RTP);
        derive(&rtcp, &p, KDF_RTCP);
        assert_int_equal(api->open(&tx, &p, false, 0), MCX_OK);
        /* a third of the rounds cross the end of the sequence numbers */
        seq = (uint16_t)(round % 3 ? 100 + round : 65534);
        for (unsigned i = 1; i <= 4; i++) {
            size_t n = 12 + (round * 7 + i * 31) % 200, m = n;

            noise(plain, n);
            plain[0] = 0x80;
            plain[2] = (uint8_t)(seq >> 8);
            plain[3] = (uint8_t)seq;
            memcpy(plain + 8, ssrc, 4);
            memcpy(got, plain, n);
            assert_int_equal(api->protect(tx, got, &m, ROOM, false), MCX_OK);
            assert_int_equal(judge_rtp(&rtp, plain, n, roc, want), m);
            assert_memory_equal(got, want, m);
            if (++seq == 0) {
                roc++;
                turned++;
            }

            n = 8 + 4 * ((round + i) % 30);
            m = n;
            noise(plain, n);
            plain[0] = 0x80;
            plain[1] = 200;
            plain[2] = 0;
            plain[3] = (uint8_t)(n / 4 - 1);
            memcpy(plain + 4, ssrc, 4);
            memcpy(got, plain, n);
            assert_int_equal(api->protect(tx, got, &m, ROOM, true), MCX_OK);
            assert_int_equal(judge_rtcp(&rtcp, plain, n, i, want), m);
            assert_memory_equal(got, want, m);
        }
        api->close(tx);
    }
    assert_true(turned > 50);
    mcx_module_srtp.stop(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3711_keystream),
        cmocka_unit_test(rfc3711_derivation),
        cmocka_unit_test(rfc7714),
        cmocka_unit_test(module_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
