/* test_prf.c -- PRF, derivations and GUK-ID against the vectors. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_mikey.h>
#include "../../../test-scenarios/vectors/vec.h"

#define PRF_FILE "mikey-prf-computed"

static char *
path(char buf[80], const char *group, size_t i, const char *name)
{
    (void)snprintf(buf, 80, "%s[%zu].%s", group, i, name);
    return buf;
}

static bool
has(const char *file, const char *p)
{
    char *v = vec_find(file, p);

    free(v);
    return v != NULL;
}

static void
prf_vectors(void **state)
{
    uint8_t key[512], label[512], want[512], got[512];
    char p[80];
    size_t i;

    (void)state;
    for (i = 0; has(PRF_FILE, path(p, "prf", i, "inkey")); i++) {
        size_t key_n = vec_hex(PRF_FILE, p, key, sizeof key);
        size_t label_n = vec_hex(PRF_FILE, path(p, "prf", i, "label"), label,
                                 sizeof label);
        size_t n = vec_hex(PRF_FILE, path(p, "prf", i, "outkey"), want,
                           sizeof want);
        unsigned prf =
            (unsigned)vec_num(PRF_FILE, path(p, "prf", i, "prf_func"));

        assert_int_equal(mcx_prf(got, n, prf, mcx_bytes(key, key_n),
                                 mcx_bytes(label, label_n)),
                         MCX_OK);
        assert_memory_equal(got, want, n);
    }
    assert_int_equal(i, 26);
}

static void
derivations(void **state, const char *group, size_t rows, const char *key_name,
            bool tgk)
{
    static const struct {
        bool tgk;
        const char *name;
        uint32_t constant;
    } outs[] = {
        { true, "tek16", MCX_LABEL_TEK },
        { true, "tek32", MCX_LABEL_TEK },
        { true, "salt14", MCX_LABEL_SALT },
        { true, "salt12", MCX_LABEL_SALT },
        { true, "auth20", MCX_LABEL_AUTH },
        { true, "encr16", MCX_LABEL_ENCR },
        { false, "encr_key16", MCX_LABEL_PSK_ENCR },
        { false, "auth_key20", MCX_LABEL_PSK_AUTH },
        { false, "auth_key32", MCX_LABEL_PSK_AUTH },
        { false, "salt_key14", MCX_LABEL_PSK_SALT },
    };
    uint8_t key[64], rand[64], want[64], got[64], csb[4];
    char p[80];
    size_t i, j;

    (void)state;
    for (i = 0; has(PRF_FILE, path(p, group, i, key_name)); i++) {
        size_t key_n = vec_hex(PRF_FILE, p, key, sizeof key);
        size_t rand_n = vec_hex(PRF_FILE, path(p, group, i, "rand"), rand,
                                sizeof rand);
        unsigned prf =
            (unsigned)vec_num(PRF_FILE, path(p, group, i, "prf_func"));
        uint8_t cs =
            tgk ? (uint8_t)vec_num(PRF_FILE, path(p, group, i, "cs_id"))
                : 0xff;
        uint32_t csb_id;

        vec_int(PRF_FILE, path(p, group, i, "csb_id"), csb, 4);
        csb_id = (uint32_t)csb[0] << 24 | (uint32_t)csb[1] << 16
                 | (uint32_t)csb[2] << 8 | csb[3];
        for (j = 0; j < sizeof outs / sizeof outs[0]; j++) {
            size_t n;

            if (outs[j].tgk != tgk) {
                continue;
            }
            n = vec_hex(PRF_FILE, path(p, group, i, outs[j].name), want,
                        sizeof want);
            assert_int_equal(
                mcx_mikey_derive(got, n, prf, mcx_bytes(key, key_n),
                                 outs[j].constant, cs, csb_id,
                                 mcx_bytes(rand, rand_n)),
                MCX_OK);
            assert_memory_equal(got, want, n);
        }
    }
    assert_int_equal(i, rows);
}

static void
tgk_derivations(void **state)
{
    derivations(state, "tgk_derivation", 10, "tgk", true);
}

static void
psk_derivations(void **state)
{
    derivations(state, "psk_derivation", 2, "psk", false);
}

static void
hex(uint8_t *out, size_t n, const char *text)
{
    assert_int_equal(mcx_hex_decode(out, n, mcx_bytes_str(text), NULL),
                     MCX_OK);
}

/* TEST TS 33.180 7.4: the vector printed in the digest's section 9. */
static void
ts_33180_derivation(void **state)
{
    uint8_t tgk[16], rand[16], want[16], got[16];

    (void)state;
    hex(tgk, 16, "A27B7D578EEB9B1EE7705E385996D300");
    hex(rand, 16, "4339F62F55AAC86348846A482C893802");
    hex(want, 16, "59AAA49EBB54813602B7CC165961B4E8");
    assert_int_equal(mcx_mikey_derive(got, 16, MCX_PRF_HMAC_SHA256,
                                      mcx_bytes(tgk, 16), MCX_LABEL_TEK, 4,
                                      0x0633f457, mcx_bytes(rand, 16)),
                     MCX_OK);
    assert_memory_equal(got, want, 16);
    hex(want, 12, "745EB4DF7D155C473114A799");
    assert_int_equal(mcx_mikey_derive(got, 12, MCX_PRF_HMAC_SHA256,
                                      mcx_bytes(tgk, 16), MCX_LABEL_SALT, 4,
                                      0x0633f457, mcx_bytes(rand, 16)),
                     MCX_OK);
    assert_memory_equal(got, want, 12);
}

/* TEST TS 33.180 F.1.4: computed by `openssl dgst -mac HMAC`. */
static void
xml_keys(void **state)
{
    static const struct {
        const char *xpk, *id, *c, *i;
        uint32_t xpk_id;
    } row[] = {
        { "1b2d3f4d5e6f708192a3b4c5d6e7f809", "sip:alice@mcx.test",
          "52932b1b664ae3523c9ecb7e6200b7d7",
          "501508521400be1991f8bd206e701d0e", 0x2f3a91c0 },
        { "000102030405060708090a0b0c0d0e0f", "sip:server-a.mcx.test",
          "1825276bfe028923bf36c04e32509024",
          "760a354f3a1856facf96f77285658a2d", 0x30000007 },
    };
    static char longest[65537];
    struct mcx_xml_keys k, none = { .xpk_id = 0 };
    uint8_t want[16];
    struct mcx_ssv xpk;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        hex(xpk.b, 16, row[i].xpk);
        assert_int_equal(mcx_xml_keys(&k, &xpk, row[i].xpk_id, row[i].id, 0),
                         MCX_OK);
        hex(want, 16, row[i].c);
        assert_memory_equal(k.c.b, want, 16);
        hex(want, 16, row[i].i);
        assert_memory_equal(k.i.b, want, 16);
        assert_int_equal(k.xpk_id, row[i].xpk_id);
        /* Every input counts. */
        assert_int_equal(mcx_xml_keys(&k, &xpk, row[i].xpk_id ^ 1, row[i].id,
                                      0), MCX_OK);
        assert_memory_not_equal(k.i.b, want, 16);
        assert_int_equal(mcx_xml_keys(&k, &xpk, row[i].xpk_id,
                                      row[i].id + 1, 0), MCX_OK);
        assert_memory_not_equal(k.i.b, want, 16);
        /* Rel-13: the key itself, whoever it is for. */
        assert_int_equal(mcx_xml_keys(&k, &xpk, row[i].xpk_id, row[i].id,
                                      MCX_PEER_XML_KEY_XPK), MCX_OK);
        assert_memory_equal(k.c.b, xpk.b, 16);
        assert_memory_equal(k.i.b, xpk.b, 16);
        assert_int_equal(k.xpk_id, row[i].xpk_id);
    }
    memset(longest, 'a', sizeof longest - 1);
    assert_int_equal(mcx_xml_keys(&k, &xpk, 1, longest, 0), MCX_E_ARG);
    assert_memory_equal(&k, &none, sizeof k);
    longest[65535] = '\0';
    assert_int_equal(mcx_xml_keys(&k, &xpk, 1, longest, 0), MCX_OK);
    assert_int_equal(mcx_xml_keys(&k, &xpk, 1, "", 0), MCX_E_ARG);
    assert_int_equal(mcx_xml_keys(&k, &xpk, 1, NULL, MCX_PEER_XML_KEY_XPK),
                     MCX_E_ARG);
    assert_memory_equal(&k, &none, sizeof k);
}

/* TEST TS 33.180 F.1.3, and 7.4 with GUK-IDs: Etherstack's values. */
static void
vendor_guk_and_tek(void **state)
{
    const char *f = "interop-vendors";
    char p[80];
    size_t i, n_guk = 0, n_tek = 0;

    (void)state;
    for (i = 0; has(f, path(p, "guk_tek", i, "gmk")); i++) {
        struct mcx_ssv gmk;
        uint8_t id[4], guk[4], rand[16], want[16], got[16];
        char *uri = vec_text(f, path(p, "guk_tek", i, "uri"));
        uint32_t gmk_id, guk_id, out = 0;

        vec_hex(f, path(p, "guk_tek", i, "gmk"), gmk.b, 16);
        vec_int(f, path(p, "guk_tek", i, "gmk_id"), id, 4);
        vec_int(f, path(p, "guk_tek", i, "guk_id"), guk, 4);
        gmk_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16
                 | (uint32_t)id[2] << 8 | id[3];
        guk_id = (uint32_t)guk[0] << 24 | (uint32_t)guk[1] << 16
                 | (uint32_t)guk[2] << 8 | guk[3];
        if (has(f, path(p, "guk_tek", i, "own_check.guk"))) {
            assert_int_equal(mcx_guk_id(&out, &gmk, gmk_id, uri), MCX_OK);
            assert_int_equal(out, guk_id);
            assert_int_equal(mcx_guk_id(&out, &gmk, guk_id, uri), MCX_OK);
            assert_int_equal(out, gmk_id);
            n_guk++;
        }
        if (has(f, path(p, "guk_tek", i, "rand"))) {
            bool is_guk = has(f, path(p, "guk_tek", i, "own_check.guk"));
            uint8_t cs = (uint8_t)vec_num(f, path(p, "guk_tek", i, "cs_id"));
            /* The SPK row derives from the key ID itself. */
            uint32_t csb = is_guk ? guk_id : gmk_id;

            vec_hex(f, path(p, "guk_tek", i, "rand"), rand, 16);
            vec_hex(f, path(p, "guk_tek", i, "key"), want, 16);
            assert_int_equal(
                mcx_mikey_derive(got, 16, MCX_PRF_HMAC_SHA256,
                                 mcx_bytes(gmk.b, 16), MCX_LABEL_TEK, cs, csb,
                                 mcx_bytes(rand, 16)),
                MCX_OK);
            assert_memory_equal(got, want, 16);
            vec_hex(f, path(p, "guk_tek", i, "salt"), want, 12);
            assert_int_equal(
                mcx_mikey_derive(got, 12, MCX_PRF_HMAC_SHA256,
                                 mcx_bytes(gmk.b, 16), MCX_LABEL_SALT, cs,
                                 csb, mcx_bytes(rand, 16)),
                MCX_OK);
            assert_memory_equal(got, want, 12);
            n_tek++;
        }
        free(uri);
    }
    assert_int_equal(n_guk, 4);
    assert_int_equal(n_tek, 4);
}

static void
refusals(void **state)
{
    struct mcx_ssv gmk = { { 1 } };
    uint8_t out[4] = { 1, 1, 1, 1 }, zero[4] = { 0 }, rand[256] = { 0 };
    uint32_t id;

    (void)state;
    assert_int_equal(mcx_prf(out, 4, 2, mcx_bytes("k", 1), mcx_bytes("l", 1)),
                     MCX_E_UNSUPPORTED);
    assert_memory_equal(out, zero, 4);
    assert_int_equal(mcx_prf(out, 4, 1, mcx_bytes(NULL, 0),
                             mcx_bytes("l", 1)),
                     MCX_E_ARG);
    assert_int_equal(mcx_mikey_derive(out, 4, 1, mcx_bytes("k", 1), 1, 1, 1,
                                      mcx_bytes(rand, 256)),
                     MCX_E_ARG);
    assert_int_equal(mcx_guk_id(&id, &gmk, 1, ""), MCX_E_ARG);
    assert_int_equal(mcx_guk_id(&id, &gmk, 1, NULL), MCX_E_ARG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prf_vectors),
        cmocka_unit_test(tgk_derivations),
        cmocka_unit_test(psk_derivations),
        cmocka_unit_test(ts_33180_derivation),
        cmocka_unit_test(xml_keys),
        cmocka_unit_test(vendor_guk_and_tek),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests_name("mikey-prf", tests, NULL, NULL);
}
