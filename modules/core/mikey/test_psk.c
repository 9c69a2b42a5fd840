/* test_psk.c -- pre-shared key messages: the vectors, and their neighbours
 * that must be refused. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include "../../../test-scenarios/vectors/vec.h"
#include "../base/wr.h"
#include "mac.h"
#include "inner.h"
#include "test_env.h"

#define F "mikey-psk-computed"
enum { ROOM = 4096 };

static char *
path(char buf[80], size_t i, const char *name)
{
    (void)snprintf(buf, 80, "messages[%zu].%s", i, name);
    return buf;
}

struct pair {
    uint8_t init_buf[ROOM], resp_buf[ROOM], psk_buf[64];
    struct mcx_mikey_msg init, resp;
    struct mcx_bytes psk;
};

static void
load(struct pair *p, size_t i)
{
    char name[80];
    size_t n = vec_hex(F, path(name, i, "I_MESSAGE"), p->init_buf, ROOM);

    assert_int_equal(mcx_mikey_parse(&p->init, mcx_bytes(p->init_buf, n),
                                     NULL),
                     MCX_OK);
    n = vec_hex(F, path(name, i, "R_MESSAGE"), p->resp_buf, ROOM);
    assert_int_equal(mcx_mikey_parse(&p->resp, mcx_bytes(p->resp_buf, n),
                                     NULL),
                     MCX_OK);
    p->psk = mcx_bytes(p->psk_buf, vec_hex(F, path(name, i, "psk"),
                                           p->psk_buf, sizeof p->psk_buf));
}

static void
vectors(void **state)
{
    static struct pair p;
    MCX_SECRET(mcx_psk_keys, keys);
    uint8_t want[64];
    char name[80];
    size_t i, n;

    (void)state;
    for (i = 0; i < 3; i++) {
        load(&p, i);
        assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL), MCX_OK);
        assert_int_equal(keys.n, 1);
        assert_int_equal(keys.k[0].type,
                         vec_num(F, path(name, i, "keydata.type")));
        n = vec_hex(F, path(name, i, "keydata.tgk"), want, sizeof want);
        assert_int_equal(keys.k[0].key_n, n);
        assert_memory_equal(keys.k[0].key, want, n);
        n = vec_hex(F, path(name, i, "keydata.salt"), want, sizeof want);
        assert_int_equal(keys.k[0].salt_n, n);
        assert_memory_equal(keys.k[0].salt, want, n);
        n = vec_hex(F, path(name, i, "keydata.spi_mki"), want, sizeof want);
        assert_int_equal(keys.k[0].kv, 1);
        assert_int_equal(keys.k[0].spi_n, n);
        assert_memory_equal(keys.k[0].spi, want, n);
        /* The traffic key that belongs to the carried TGK. */
        n = vec_hex(F, path(name, i, "derived[0].tek16"), want, sizeof want);
        {
            uint8_t got[16];
            uint8_t cs = (uint8_t)vec_num(F, path(name, i,
                                                  "derived[0].cs_id"));

            assert_int_equal(cs, p.init.cs[0].cs_id);
            assert_int_equal(
                mcx_mikey_derive(got, n, p.init.prf,
                                 mcx_bytes(keys.k[0].key, keys.k[0].key_n),
                                 MCX_LABEL_TEK, cs, p.init.csb_id,
                                 p.init.rand),
                MCX_OK);
            assert_memory_equal(got, want, n);
        }
        assert_int_equal(mcx_psk_verify(&p.resp, &p.init, p.psk, NULL),
                         MCX_OK);
    }
}

static void
refused(const struct pair *p, mcx_reason reason)
{
    static const struct mcx_psk_keys zero;
    static struct mcx_psk_keys keys;
    struct mcx_why why = { 0 };

    memset(&keys, 0x55, sizeof keys);
    assert_int_equal(mcx_psk_open(&keys, &p->init, p->psk, &why),
                     mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_true(why.offset < p->init.octets.n);
    assert_memory_equal(&keys, &zero, sizeof keys);
}

/* Every octet of every message: what still parses fails at the MAC. */
static void
every_octet_is_covered(void **state)
{
    static struct pair p;
    size_t i, at, n_mac = 0;

    (void)state;
    for (i = 0; i < 3; i++) {
        load(&p, i);
        for (at = 0; at < p.init.octets.n; at++) {
            struct mcx_bytes b = p.init.octets;

            p.init_buf[at] ^= 1;
            if (mcx_mikey_parse(&p.init, b, NULL) == MCX_OK
                && p.init.data_type == MCX_DT_PSK_INIT
                && p.init.kemac.encr_alg != 0
                && p.init.kemac.mac_alg != 0) {
                refused(&p, MCX_R_MAC);
                n_mac++;
            }
            p.init_buf[at] ^= 1;
            assert_int_equal(mcx_mikey_parse(&p.init, b, NULL), MCX_OK);
        }
        for (at = 0; at < p.resp.octets.n; at++) {
            struct mcx_bytes b = p.resp.octets;
            struct mcx_why why = { 0 };

            p.resp_buf[at] ^= 1;
            if (mcx_mikey_parse(&p.resp, b, NULL) == MCX_OK
                && p.resp.data_type == MCX_DT_PSK_RESP
                && p.resp.kemac.mac_alg != 0) {
                assert_int_equal(mcx_psk_verify(&p.resp, &p.init, p.psk,
                                                &why),
                                 MCX_E_AUTH);
                assert_int_equal(why.reason, MCX_R_MAC);
                n_mac++;
            }
            p.resp_buf[at] ^= 1;
            assert_int_equal(mcx_mikey_parse(&p.resp, b, NULL), MCX_OK);
        }
        p.psk_buf[0] ^= 1;
        refused(&p, MCX_R_MAC);
    }
    assert_true(n_mac > 400);
}

static void
null_algorithms(void **state)
{
    static struct pair p;

    (void)state;
    load(&p, 0);
    p.init_buf[p.init.kemac.at + 1] = 0;
    p.init.kemac.encr_alg = 0;
    refused(&p, MCX_R_NULL_ALG);
    load(&p, 0);
    /* NULL MAC: the algorithm is zero and the message ends there. */
    p.init_buf[p.init.signed_size - 1] = 0;
    assert_int_equal(
        mcx_mikey_parse(&p.init, mcx_bytes(p.init_buf, p.init.signed_size),
                        NULL),
        MCX_OK);
    refused(&p, MCX_R_NULL_ALG);
    /* A response is no initial message, and the other way round. */
    load(&p, 0);
    {
        MCX_SECRET(mcx_psk_keys, keys);

        assert_int_equal(mcx_psk_open(&keys, &p.resp, p.psk, NULL),
                         MCX_E_UNSUPPORTED);
        assert_int_equal(mcx_psk_verify(&p.init, &p.resp, p.psk, NULL),
                         MCX_E_UNSUPPORTED);
        assert_int_equal(mcx_psk_open(&keys, &p.init, mcx_bytes(NULL, 0),
                                      NULL),
                         MCX_E_ARG);
    }
}

/* The response must be to this message: same T and CSB. */
static void
response_to_another(void **state)
{
    static struct pair a, b;
    struct mcx_why why = { 0 };

    (void)state;
    load(&a, 0);
    load(&b, 1);
    assert_int_equal(mcx_psk_verify(&a.resp, &b.init, a.psk, &why),
                     MCX_E_AUTH);
    assert_string_equal(why.payload, "HDR");
    a.init.t++;
    assert_int_equal(mcx_psk_verify(&a.resp, &a.init, a.psk, &why),
                     MCX_E_AUTH);
    assert_string_equal(why.payload, "T");
}

static uint8_t seal_alg = MCX_ENCR_AES_CM_128; /* what KEMAC calls it */
static bool seal_wrong; /* called key wrap, and is none */

/* Writes to 'out' a message like vector 1's, carrying 'plain' as its key data,
 * with a right MAC; SIGN (129 octets of nothing) behind it when 'sign'. */
static struct mcx_bytes
seal(uint8_t out[ROOM], const struct pair *p, struct mcx_bytes plain,
     bool sign)
{
    const struct mcx_mikey_msg *m = &p->init;
    struct mcx_wr wr = mcx_wr(out, ROOM);
    uint8_t key[16], auth[20], salt[14], iv[16] = { 0 }, sealed[2048],
        none[MCX_ECCSI_SIG_SIZE] = { 0 };
    struct mcx_bytes covered;
    struct mcx_hmac *h = NULL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *mac;
    size_t i, sealed_n = plain.n;
    int n = 0;

    assert_int_equal(mcx_mikey_derive(key, 16, m->prf, p->psk,
                                      MCX_LABEL_PSK_ENCR, 0xff, m->csb_id,
                                      m->rand),
                     MCX_OK);
    assert_int_equal(mcx_mikey_derive(auth, 20, m->prf, p->psk,
                                      MCX_LABEL_PSK_AUTH, 0xff, m->csb_id,
                                      m->rand),
                     MCX_OK);
    assert_int_equal(mcx_mikey_derive(salt, 14, m->prf, p->psk,
                                      MCX_LABEL_PSK_SALT, 0xff, m->csb_id,
                                      m->rand),
                     MCX_OK);
    for (i = 0; i < 4; i++) {
        iv[2 + i] = (uint8_t)(m->csb_id >> (24 - 8 * i));
    }
    for (i = 0; i < 8; i++) {
        iv[6 + i] = (uint8_t)(m->t >> (56 - 8 * i));
    }
    for (i = 0; i < 14; i++) {
        iv[i] ^= salt[i];
    }
    assert_true(plain.n <= sizeof sealed && ctx
                && EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv)
                && EVP_EncryptUpdate(ctx, sealed, &n, plain.p,
                                     (int)plain.n));
    EVP_CIPHER_CTX_free(ctx);
    if (seal_alg == MCX_ENCR_AES_KW_128 && !seal_wrong) {
        assert_int_equal(mcx_kemac_wrap(sealed, &sealed_n, key, plain),
                         MCX_OK);
    }
    mcx_wr_bytes(&wr, mcx_bytes(m->octets.p, m->kemac.at));
    mcx_wr_u8(&wr, sign ? MCX_PL_SIGN : MCX_PL_LAST);
    mcx_wr_u8(&wr, seal_alg);
    mcx_wr_bytes_len(&wr, mcx_bytes(sealed, sealed_n), 2);
    mcx_wr_u8(&wr, 1);
    covered = mcx_bytes(out, wr.at);
    mac = mcx_wr_put(&wr, 20);
    assert_non_null(mac);
    assert_int_equal(mcx_hmac_new(&h, MCX_HASH_SHA1), MCX_OK);
    assert_int_equal(mcx_hmac_run(h, mac, mcx_bytes(auth, 20), &covered, 1),
                     MCX_OK);
    mcx_hmac_free(h);
    if (sign) {
        mcx_wr_u16(&wr, 0x2081);
        mcx_wr_bytes(&wr, mcx_bytes(none, sizeof none));
    }
    assert_int_equal(mcx_wr_status(&wr), MCX_OK);
    return mcx_bytes(out, wr.at);
}

/* TEST RFC 3830 6.13: the four specimens of key data, and their neighbours:
 * cut anywhere, with an octet more, with types nobody knows. */
static void
key_data(void **state)
{
    static struct pair p;
    static uint8_t out[ROOM];
    static const size_t n_keys[] = { 1, 1, 1, 2 };
    MCX_SECRET(mcx_psk_keys, keys);
    size_t i, n, cut;

    (void)state;
    for (i = 0; i < 4; i++) {
        uint8_t plain[128];
        char name[80];

        (void)snprintf(name, sizeof name, "key_data_subpayloads[%zu].octets",
                       i);
        n = vec_hex(F, name, plain, sizeof plain - 1);
        load(&p, 1);
        assert_int_equal(
            mcx_mikey_parse(&p.init, seal(out, &p, mcx_bytes(plain, n),
                                          false),
                            NULL),
            MCX_OK);
        assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL), MCX_OK);
        assert_int_equal(keys.n, n_keys[i]);
        assert_int_equal(keys.k[0].key_n, 16);
        if (i == 2) {
            assert_int_equal(keys.k[0].valid_from_n, 6);
            assert_int_equal(keys.k[0].valid_to_n, 6);
            assert_int_equal(keys.k[0].valid_to[5], 0xff);
        }
        for (cut = 0; cut < n; cut++) {
            load(&p, 1);
            assert_int_equal(
                mcx_mikey_parse(&p.init,
                                seal(out, &p, mcx_bytes(plain, cut), false),
                                NULL),
                MCX_OK);
            refused(&p, MCX_R_TRUNCATED);
        }
        load(&p, 1);
        plain[n] = 0;
        assert_int_equal(
            mcx_mikey_parse(&p.init,
                            seal(out, &p, mcx_bytes(plain, n + 1), false),
                            NULL),
            MCX_OK);
        refused(&p, MCX_R_TRAILING);
        load(&p, 1);
        plain[0] = 5; /* neither 0 nor 20 */
        assert_int_equal(
            mcx_mikey_parse(&p.init,
                            seal(out, &p, mcx_bytes(plain, n), false), NULL),
            MCX_OK);
        refused(&p, MCX_R_VALUE);
    }
}

/* Under a right MAC: key data longer than there is room for, too much of it,
 * and a cipher that nobody has. */
static void
too_large(void **state)
{
    static const struct {
        uint8_t type_kv;
        size_t key_n, salt_n, from_n, to_n;
        mcx_reason reason;
    } rows[] = {
        { 0x00, MCX_TGK_MAX, 0, 0, 0, MCX_R_NONE },
        { 0x00, MCX_TGK_MAX + 1, 0, 0, 0, MCX_R_TOO_LARGE },
        { 0x10, 16, MCX_TGK_MAX, 0, 0, MCX_R_NONE },
        { 0x10, 16, MCX_TGK_MAX + 1, 0, 0, MCX_R_TOO_LARGE },
        { 0x02, 16, 0, 8, 8, MCX_R_NONE },
        { 0x02, 16, 0, 9, 0, MCX_R_TOO_LARGE },
        { 0x02, 16, 0, 0, 9, MCX_R_TOO_LARGE },
    };
    static const uint8_t octets[255] = { 1 };
    static struct pair p;
    static uint8_t out[ROOM], plain[2048];
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_wr wr;
    size_t i, k, n;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wr = mcx_wr(plain, sizeof plain);
        mcx_wr_u8(&wr, MCX_PL_LAST);
        mcx_wr_u8(&wr, rows[i].type_kv);
        mcx_wr_bytes_len(&wr, mcx_bytes(octets, rows[i].key_n), 2);
        if (rows[i].type_kv & 0x10) {
            mcx_wr_bytes_len(&wr, mcx_bytes(octets, rows[i].salt_n), 2);
        }
        if (rows[i].type_kv & 0x02) {
            mcx_wr_bytes_len(&wr, mcx_bytes(octets, rows[i].from_n), 1);
            mcx_wr_bytes_len(&wr, mcx_bytes(octets, rows[i].to_n), 1);
        }
        load(&p, 1);
        assert_int_equal(
            mcx_mikey_parse(&p.init,
                            seal(out, &p, mcx_bytes(plain, wr.at), false),
                            NULL),
            MCX_OK);
        if (rows[i].reason != MCX_R_NONE) {
            refused(&p, rows[i].reason);
            continue;
        }
        assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL), MCX_OK);
        assert_int_equal(keys.k[0].key_n, rows[i].key_n);
        assert_int_equal(keys.k[0].salt_n, rows[i].salt_n);
        assert_int_equal(keys.k[0].valid_from_n, rows[i].from_n);
    }
    for (k = MCX_KEYDATA_MAX; k <= MCX_KEYDATA_MAX + 1; k++) {
        wr = mcx_wr(plain, sizeof plain);
        for (i = 0; i < k; i++) {
            mcx_wr_u8(&wr, i + 1 < k ? MCX_PL_KEYDATA : MCX_PL_LAST);
            mcx_wr_u8(&wr, 0);
            mcx_wr_bytes_len(&wr, mcx_bytes(octets, 16), 2);
        }
        load(&p, 1);
        assert_int_equal(
            mcx_mikey_parse(&p.init,
                            seal(out, &p, mcx_bytes(plain, wr.at), false),
                            NULL),
            MCX_OK);
        if (k == MCX_KEYDATA_MAX) {
            assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL),
                             MCX_OK);
            assert_int_equal(keys.n, k);
        } else {
            refused(&p, MCX_R_TOO_LARGE);
        }
    }
    load(&p, 1);
    assert_int_equal(
        mcx_mikey_parse(&p.init,
                        seal(out, &p, mcx_bytes(plain, 1025), false), NULL),
        MCX_OK);
    refused(&p, MCX_R_TOO_LARGE);
    load(&p, 1);
    n = vec_hex(F, "key_data_subpayloads[0].octets", plain, sizeof plain);
    seal_alg = 4; /* nobody's */
    assert_int_equal(
        mcx_mikey_parse(&p.init, seal(out, &p, mcx_bytes(plain, n), false),
                        NULL),
        MCX_OK);
    refused(&p, MCX_R_POLICY_PARAM);
    seal_alg = MCX_ENCR_AES_CM_128;
}

/* TEST RFC 3394 4.1: the published wrap, every bit of it changed, and sizes
 * that cannot be. */
static void
key_wrap(void **state)
{
    static const uint8_t sizes[33];
    uint8_t key[16], data[16], want[24], out[64] = { 0 }, back[64];
    size_t n = 0, i;

    (void)state;
    vec_hex("rfc3394-section-4", "kek", key, sizeof key);
    vec_hex("rfc3394-section-4", "data", data, sizeof data);
    vec_hex("rfc3394-section-4", "wrapped", want, sizeof want);
    assert_int_equal(mcx_kemac_wrap(out, &n, key, mcx_bytes(data, 16)),
                     MCX_OK);
    assert_int_equal(n, sizeof want);
    assert_memory_equal(out, want, n);
    assert_int_equal(mcx_kemac_unwrap(back, &n, key, mcx_bytes(out, 24)),
                     MCX_OK);
    assert_int_equal(n, sizeof data);
    assert_memory_equal(back, data, n);
    for (i = 0; i < 8 * sizeof want; i++) {
        out[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(mcx_kemac_unwrap(back, &n, key, mcx_bytes(out, 24)),
                         MCX_E_AUTH);
        assert_int_equal(n, 0);
        out[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (i = 0; i < 33; i++) {
        bool whole = i >= 16 && i % 8 == 0;

        assert_int_equal(mcx_kemac_wrap(back, &n, key,
                                        mcx_bytes(sizes, i)),
                         whole ? MCX_OK : MCX_E_ARG);
        assert_int_equal(mcx_kemac_unwrap(back, &n, key, mcx_bytes(out, i)),
                         i == 24 ? MCX_OK : MCX_E_AUTH);
    }
    key[0] ^= 1;
    assert_int_equal(mcx_kemac_unwrap(back, &n, key, mcx_bytes(out, 24)),
                     MCX_E_AUTH);
}

/* AES-KW in messages: the specimens of key data, filled to a whole block with
 * zeros, and what is no fill. */
static void
wrapped_key_data(void **state)
{
    static struct pair p;
    static uint8_t out[ROOM];
    MCX_SECRET(mcx_psk_keys, keys);
    size_t i, n, whole, more;

    (void)state;
    seal_alg = MCX_ENCR_AES_KW_128;
    for (i = 0; i < 4; i++) {
        uint8_t plain[128] = { 0 };
        char name[80];

        (void)snprintf(name, sizeof name, "key_data_subpayloads[%zu].octets",
                       i);
        n = vec_hex(F, name, plain, 100);
        whole = (n + 7) / 8 * 8;
        for (more = 0; more < 2; more++) {
            load(&p, 1);
            assert_int_equal(
                mcx_mikey_parse(&p.init,
                                seal(out, &p,
                                     mcx_bytes(plain, whole + 8 * more),
                                     false),
                                NULL),
                MCX_OK);
            if (more == 0) {
                assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL),
                                 MCX_OK);
                assert_memory_equal(keys.k[0].key, plain + 4,
                                    keys.k[0].key_n);
            } else { /* a block too many */
                refused(&p, MCX_R_TRAILING);
            }
        }
        /* Under a good MAC: its sender's mistake. */
        seal_wrong = true;
        for (more = 0; more <= whole; more += 4) {
            load(&p, 1);
            assert_int_equal(
                mcx_mikey_parse(&p.init,
                                seal(out, &p, mcx_bytes(plain, more), false),
                                NULL),
                MCX_OK);
            refused(&p, MCX_R_VALUE);
        }
        seal_wrong = false;
        if (whole > n) {
            plain[n] = 1;
            load(&p, 1);
            assert_int_equal(
                mcx_mikey_parse(&p.init,
                                seal(out, &p, mcx_bytes(plain, whole),
                                     false),
                                NULL),
                MCX_OK);
            refused(&p, MCX_R_TRAILING);
        }
    }
    seal_alg = MCX_ENCR_AES_CM_128;
}

/* A signed GSK message: SIGN behind KEMAC, the MAC ends at its own field. */
static void
signed_gsk(void **state)
{
    static struct pair p;
    static uint8_t out[ROOM];
    MCX_SECRET(mcx_psk_keys, keys);
    struct mcx_bytes b;
    uint8_t plain[64];
    size_t n;

    (void)state;
    n = vec_hex(F, "key_data_subpayloads[0].octets", plain, sizeof plain);
    load(&p, 1);
    b = seal(out, &p, mcx_bytes(plain, n), true);
    assert_int_equal(mcx_mikey_parse(&p.init, b, NULL), MCX_OK);
    assert_int_equal(p.init.sign.n, MCX_ECCSI_SIG_SIZE);
    assert_int_equal(p.init.signed_size, b.n - MCX_ECCSI_SIG_SIZE);
    assert_int_equal(mcx_psk_open(&keys, &p.init, p.psk, NULL), MCX_OK);
    assert_memory_equal(keys.k[0].key, plain + 4, 16);
    /* The same without the announced SIGN. */
    assert_int_equal(mcx_mikey_parse(&p.init,
                                     mcx_bytes(out, b.n - 131), NULL),
                     MCX_E_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_octet_is_covered),
        cmocka_unit_test(null_algorithms),
        cmocka_unit_test(response_to_another),
        cmocka_unit_test(key_data),
        cmocka_unit_test(too_large),
        cmocka_unit_test(key_wrap),
        cmocka_unit_test(wrapped_key_data),
        cmocka_unit_test(signed_gsk),
    };

    return cmocka_run_group_tests_name("mikey-psk", tests, NULL, NULL);
}
