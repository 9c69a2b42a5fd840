/* bench_wolf.c -- Debian's libwolfssl at the same work, for bench.c.  It is
 * built without its assembly; what its best build takes is in targets.txt.
 * With tables for RSK and for a peer where the build knows them.  GPL, so
 * linked by this program and by nothing that is installed. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/eccsi.h>
#include <wolfssl/wolfcrypt/sakke.h>
#include "bench.h"

enum { SSV = 16, POINT = 257, SIGNATURE = 129 };
#define HASH WC_HASH_TYPE_SHA256

static byte id[32] = "an identifier of 32 octets, UID";
static const byte text[600];
static SakkeKey kms, own, known, judge;
static EccsiKey eccsi, verifier;
static WC_RNG rng;
static ecc_point *rsk, *rsk_in, *issued, *pvt, *pvt_in;
static mp_int ssk;
static byte octets[POINT];
static word32 received_n;
static byte point[POINT], sealed[SSV], sig[SIGNATURE];

static void
do_seal(SakkeKey *key)
{
    byte ssv[SSV] = { 7 }, auth[POINT];
    word16 n = sizeof auth;

    assert_int_equal(wc_MakeSakkeEncapsulatedSSV(key, HASH, ssv, sizeof ssv,
                                                 auth, &n), 0);
    memcpy(point, auth, sizeof point);
    memcpy(sealed, ssv, sizeof sealed);
}

static void
do_seal_known(void)
{
    do_seal(&known);
}

static void
do_seal_new(void)
{
    assert_int_equal(wc_MakeSakkePointI(&kms, id, sizeof id), 0);
    do_seal(&kms);
}

static void
do_open(void)
{
    byte ssv[SSV];

    memcpy(ssv, sealed, sizeof ssv);
    assert_int_equal(wc_DeriveSakkeSSV(&own, HASH, ssv, sizeof ssv, point,
                                       sizeof point), 0);
    assert_int_equal(ssv[0], 7);
}

static void
do_issue(void)
{
    assert_int_equal(wc_MakeSakkeRsk(&kms, id, sizeof id, issued), 0);
}

static void
do_check(void)
{
    int good = 0;

    assert_int_equal(wc_DecodeSakkeRsk(&judge, octets, received_n, rsk_in),
                     0);
    assert_int_equal(wc_ValidateSakkeRsk(&judge, id, sizeof id, rsk_in, &good),
                     0);
    assert_int_equal(good, 1);
}

static void
do_sign(void)
{
    word32 n = sizeof sig;

    assert_int_equal(wc_SignEccsiHash(&eccsi, &rng, HASH, text, sizeof text,
                                      sig, &n), 0);
}

static void
do_verify(void)
{
    byte hash[WC_MAX_DIGEST_SIZE], n = 0;
    int good = 0;

    assert_int_equal(wc_DecodeEccsiPvtFromSig(&verifier, sig, sizeof sig,
                                              pvt_in), 0);
    assert_int_equal(wc_HashEccsiId(&verifier, HASH, id, sizeof id, pvt_in,
                                    hash, &n), 0);
    assert_int_equal(wc_SetEccsiHash(&verifier, hash, n), 0);
    assert_int_equal(wc_VerifyEccsiHash(&verifier, HASH, text, sizeof text,
                                        sig, sizeof sig, &good), 0);
    assert_int_equal(good, 1);
}

static void
sakke_up(void)
{
    SakkeKey *key[4] = { &kms, &own, &known, &judge };
    byte z[POINT], *table;
    word32 n = sizeof z;
    int i;

    for (i = 0; i < 4; i++) {
        assert_int_equal(wc_InitSakkeKey_ex(key[i], 128, ECC_SAKKE_1, NULL,
                                            INVALID_DEVID), 0);
    }
    assert_int_equal(wc_MakeSakkeKey(&kms, &rng), 0);
    assert_int_equal(wc_ExportSakkePublicKey(&kms, z, &n, 0), 0);
    do_issue();
    n = sizeof octets;
    assert_int_equal(wc_EncodeSakkeRsk(&kms, issued, octets, &n, 0), 0);
    received_n = n;
    assert_int_equal(wc_DecodeSakkeRsk(&own, octets, n, rsk), 0);
    n = sizeof z;
    assert_int_equal(wc_SetSakkeIdentity(&kms, id, sizeof id), 0);
    assert_int_equal(wc_ImportSakkePublicKey(&judge, z, n, 1), 0);
    for (i = 1; i < 3; i++) {
        assert_int_equal(wc_ImportSakkePublicKey(key[i], z, n, 1), 0);
        assert_int_equal(wc_SetSakkeIdentity(key[i], id, sizeof id), 0);
        assert_int_equal(wc_MakeSakkePointI(key[i], id, sizeof id), 0);
        n = 0;
        (void)wc_GenerateSakkePointITable(key[i], NULL, &n);
        table = n > 0 ? malloc(n) : NULL;
        if (table && wc_GenerateSakkePointITable(key[i], table, &n) == 0) {
            assert_int_equal(wc_SetSakkePointITable(key[i], table, n), 0);
        }
        n = sizeof z;
    }
    n = 0;
    (void)wc_GenerateSakkeRskTable(&own, rsk, NULL, &n);
    table = n > 0 ? malloc(n) : NULL;
    if (table && wc_GenerateSakkeRskTable(&own, rsk, table, &n) != 0) {
        table = NULL;
        n = 0;
    }
    assert_int_equal(wc_SetSakkeRsk(&own, rsk, table, n), 0);
    do_seal_known();
}

static void
eccsi_up(void)
{
    byte hash[WC_MAX_DIGEST_SIZE], n = 0, kpak[65];
    word32 kpak_n = sizeof kpak;

    assert_int_equal(wc_InitEccsiKey(&eccsi, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_MakeEccsiKey(&eccsi, &rng), 0);
    assert_int_equal(wc_ExportEccsiPublicKey(&eccsi, kpak, &kpak_n, 0), 0);
    assert_int_equal(wc_InitEccsiKey(&verifier, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_ImportEccsiPublicKey(&verifier, kpak, kpak_n, 1), 0);
    assert_int_equal(mp_init(&ssk), 0);
    assert_int_equal(wc_MakeEccsiPair(&eccsi, &rng, HASH, id, sizeof id,
                                      &ssk, pvt), 0);
    assert_int_equal(wc_HashEccsiId(&eccsi, HASH, id, sizeof id, pvt, hash,
                                    &n), 0);
    assert_int_equal(wc_SetEccsiHash(&eccsi, hash, n), 0);
    assert_int_equal(wc_SetEccsiPair(&eccsi, &ssk, pvt), 0);
    do_sign();
}

static const struct bench_row row[] = {
    { "sakke_decapsulate", do_open, 1, 5 },
    { "sakke_encapsulate_known", do_seal_known, 1, 5 },
    { "sakke_encapsulate_new", do_seal_new, 1, 5 },
    { "sakke_issue_rsk", do_issue, 1, 5 },
    { "sakke_check_rsk", do_check, 1, 5 },
    { "eccsi_sign", do_sign, 1, 5 },
    { "eccsi_verify_new", do_verify, 1, 5 },
};

const struct bench_row *
bench_wolf(int *n)
{
    assert_int_equal(wc_InitRng(&rng), 0);
    rsk = wc_ecc_new_point();
    rsk_in = wc_ecc_new_point();
    issued = wc_ecc_new_point();
    pvt = wc_ecc_new_point();
    pvt_in = wc_ecc_new_point();
    assert_true(rsk && rsk_in && issued && pvt && pvt_in);
    sakke_up();
    eccsi_up();
    *n = sizeof row / sizeof row[0];
    return row;
}
