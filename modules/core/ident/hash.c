/* hash.c -- see hash.h. */
#include <config.h>
#include <stdatomic.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sofia-mcx/mcx_secret.h>
#include "hash.h"

/* The algorithm, fetched once: with EVP_sha256() each hash would look for it
 * again, which takes as long as hashing 500 octets. */
static const EVP_MD *
algorithm(void)
{
    static _Atomic(EVP_MD *) fetched;
    EVP_MD *none = NULL, *md = atomic_load(&fetched);

    if (!md) {
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (md && !atomic_compare_exchange_strong(&fetched, &none, md)) {
            EVP_MD_free(md); /* somebody else was first */
            md = none;
        }
    }
    return md;
}

mcx_err
mcx_sha256(uint8_t out[MCX_SHA256_SIZE], const struct mcx_bytes *parts,
           size_t n)
{
    const EVP_MD *how;
    EVP_MD_CTX *md;
    bool ok;
    size_t i;

    (void)ERR_set_mark();
    how = algorithm();
    md = EVP_MD_CTX_new();
    ok = how && md && EVP_DigestInit_ex(md, how, NULL);
    for (i = 0; ok && i < n; i++) {
        ok = parts[i].n == 0 || EVP_DigestUpdate(md, parts[i].p, parts[i].n);
    }
    ok = ok && EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md); /* wipes its state */
    (void)ERR_pop_to_mark();
    if (!ok) {
        mcx_wipe(out, MCX_SHA256_SIZE);
        return MCX_E_NOMEM;
    }
    return MCX_OK;
}

/* h_1 to h_4: SHA-256 applied once to four times to 32 zero octets. */
static const uint8_t chain[MCX_STRETCH_MAX][MCX_SHA256_SIZE] = {
    { 0x66, 0x68, 0x7a, 0xad, 0xf8, 0x62, 0xbd, 0x77,
      0x6c, 0x8f, 0xc1, 0x8b, 0x8e, 0x9f, 0x8e, 0x20,
      0x08, 0x97, 0x14, 0x85, 0x6e, 0xe2, 0x33, 0xb3,
      0x90, 0x2a, 0x59, 0x1d, 0x0d, 0x5f, 0x29, 0x25 },
    { 0x2b, 0x32, 0xdb, 0x6c, 0x2c, 0x0a, 0x62, 0x35,
      0xfb, 0x13, 0x97, 0xe8, 0x22, 0x5e, 0xa8, 0x5e,
      0x0f, 0x0e, 0x6e, 0x8c, 0x7b, 0x12, 0x6d, 0x00,
      0x16, 0xcc, 0xbd, 0xe0, 0xe6, 0x67, 0x15, 0x1e },
    { 0x12, 0x77, 0x13, 0x55, 0xe4, 0x6c, 0xd4, 0x7c,
      0x71, 0xed, 0x17, 0x21, 0xfd, 0x53, 0x19, 0xb3,
      0x83, 0xcc, 0xa3, 0xa1, 0xf9, 0xfc, 0xe3, 0xaa,
      0x1c, 0x8c, 0xd3, 0xbd, 0x37, 0xaf, 0x20, 0xd7 },
    { 0xfe, 0x15, 0xc0, 0xd3, 0xeb, 0xe3, 0x14, 0xfa,
      0xd7, 0x20, 0xa0, 0x8b, 0x83, 0x9a, 0x00, 0x4c,
      0x2e, 0x63, 0x86, 0xf5, 0xae, 0xcc, 0x19, 0xec,
      0x74, 0x80, 0x7d, 0x19, 0x20, 0xcb, 0x6a, 0xeb }
};

mcx_err
mcx_hash_stretch(uint8_t *out, size_t l, const struct mcx_bytes *parts,
                 size_t n)
{
    uint8_t a[MCX_SHA256_SIZE];
    mcx_err err = mcx_sha256(a, parts, n);
    size_t i;

    for (i = 0; i < l && err == MCX_OK; i++) {
        struct mcx_bytes in[2] = { { chain[i], MCX_SHA256_SIZE },
                                   { a, sizeof a } };

        err = mcx_sha256(out + MCX_SHA256_SIZE * i, in, 2);
    }
    mcx_wipe(a, sizeof a);
    if (err != MCX_OK) {
        mcx_wipe(out, MCX_SHA256_SIZE * l);
    }
    return err;
}

bool
mcx_in_range(const uint8_t *a, unsigned low, const uint8_t *below, size_t n)
{
    unsigned borrow_low = 0, borrow = 0;
    size_t i;

    /* a - low and a - below, of which only the borrows are wanted. */
    for (i = n; i-- > 0;) {
        unsigned low_octet = i == n - 1 ? low : 0;

        borrow_low = ((unsigned)a[i] - low_octet - borrow_low) >> 31;
        borrow = ((unsigned)a[i] - below[i] - borrow) >> 31;
    }
    return (borrow & (borrow_low ^ 1)) != 0;
}

mcx_err
mcx_random_below(uint8_t *out, size_t n, unsigned bits, unsigned low,
                 const uint8_t *below, const struct mcx_env *env)
{
    enum { TRIES = 128 };
    int i;

    for (i = 0; i < TRIES; i++) {
        mcx_err err = env->random(env->ctx, out, n);

        if (err != MCX_OK) {
            mcx_wipe(out, n);
            return err == MCX_E_NOMEM ? err : MCX_E_IO;
        }
        out[0] &= (uint8_t)(0xff >> (8 * n - bits));
        if (mcx_in_range(out, low, below, n)) {
            return MCX_OK;
        }
    }
    mcx_wipe(out, n);
    return MCX_E_IO;
}
