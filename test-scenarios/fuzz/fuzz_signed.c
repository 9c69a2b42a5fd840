/* fuzz_signed.c -- signed and wrapped KMS documents, and signed redirect
 * responses.  The first octet says how the rest is taken: as it is, by whoever
 * has no key; or as the content of a document that we sign ourselves, so that
 * what stands behind the signature is reached, too.  Promises held: what was
 * not signed under our key is never taken; what was signed is, and comes out
 * as it went in; a document that is refused gives nothing. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_kmssec.h>
#include "fuzz.h"

enum { NOW = 1900000000 };
static struct mcx_tkeys ours, theirs;

/* A key, its certificate for sip:pf@mcx.test, and who issued that: for tests,
 * so nothing here is secret. */
static const char KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg35FhvLegT/Fl7kJd\n"
    "U2MG4KGwwQSDTiXUd33nKYuHlrehRANCAAQWLtkRkefaClglWvIrKGGS38UnV277\n"
    "deKYUqqnpRil0uMZRDt5CnEGvS8NR6MVFApznm2a/GVP0vYZue9dgdko\n"
    "-----END PRIVATE KEY-----\n";
static const char CERT[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBaTCCAQ+gAwIBAgIBBzAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJjYTAgFw0y\n"
    "NjEyMDEwNzIwMTlaGA8yMTI2MTEwNzA3MjAxOVowDTELMAkGA1UEAwwCcGYwWTAT\n"
    "BgcqhkjOPQIBBggqhkjOPQMBBwNCAAQWLtkRkefaClglWvIrKGGS38UnV277deKY\n"
    "UqqnpRil0uMZRDt5CnEGvS8NR6MVFApznm2a/GVP0vYZue9dgdkoo14wXDAaBgNV\n"
    "HREEEzARhg9zaXA6cGZAbWN4LnRlc3QwHQYDVR0OBBYEFJOkY3a77toBQY+cc0mI\n"
    "cY1p3FHJMB8GA1UdIwQYMBaAFDOnJyyT53vtqXASOK5lFBsOXOMKMAoGCCqGSM49\n"
    "BAMCA0gAMEUCIAvnY9xHUMS9QhBu0kaNeb1bvvbym4tAi73yCfYeooANAiEA8hDd\n"
    "Catw3U/6DUkPYiBCBBObrDNRIj7ign3KUmZwfJ4=\n"
    "-----END CERTIFICATE-----\n";
static const char CA[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBcTCCARegAwIBAgIUQ8d6FuZbjPdowTj3R3VdaRrZL8owCgYIKoZIzj0EAwIw\n"
    "DTELMAkGA1UEAwwCY2EwIBcNMjYxMjAxMDcyMDE5WhgPMjEyNjExMDcwNzIwMTla\n"
    "MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU4/t8hcK\n"
    "H8+Vy9fh1ULSQTca1gnIZdDcQ86O8sonvdGypmY97+IhHeawily/NeNj4nCWWWSl\n"
    "tRc9fi/NRfHsNKNTMFEwHQYDVR0OBBYEFDOnJyyT53vtqXASOK5lFBsOXOMKMB8G\n"
    "A1UdIwQYMBaAFDOnJyyT53vtqXASOK5lFBsOXOMKMA8GA1UdEwEB/wQFMAMBAf8w\n"
    "CgYIKoZIzj0EAwIDSAAwRQIgIY/WFuxAh20Hy/0l+pwso1HCXyoAdC3OeMb1dDKZ\n"
    "iG8CIQDs9XBvfsll6dOKQBsAkQcd8a4GsWBq0c+VHf95yfbzDQ==\n"
    "-----END CERTIFICATE-----\n";

static const struct mcx_kw_key *
find(void *arg, const char *id)
{
    const struct mcx_tkeys *keys = arg;

    return !*id || strcmp(id, keys->ink.id) == 0   ? &keys->ink.key
           : strcmp(id, keys->trk.id) == 0 ? &keys->trk.key
                                           : NULL;
}

static void
make_keys(void)
{
    memset(ours.trk.key.b, 1, sizeof ours.trk.key.b);
    memset(ours.ink.key.b, 2, sizeof ours.ink.key.b);
    memset(theirs.trk.key.b, 3, sizeof theirs.trk.key.b);
    memset(theirs.ink.key.b, 4, sizeof theirs.ink.key.b);
    memcpy(ours.trk.id, "trk.1", 6);
    memcpy(ours.ink.id, "ink.1", 6);
    theirs.trk.id[0] = theirs.ink.id[0] = '\0';
    memcpy(theirs.trk.id, ours.trk.id, 6);
    memcpy(theirs.ink.id, ours.ink.id, 6);
}

/* Opens wrapped keys of what a signature covered. */
static void
unwrap(struct mcx_bytes plain)
{
    MCX_SECRET(mcx_tkeys, fresh);
    struct mcx_text text = { "" };
    char *out = NULL;
    size_t n = 0;
    unsigned must;

    for (must = 0; must < 2; must++) {
        mcx_err err = mcx_kms_unwrap(&out, &n, plain, &ours.trk, must == 1,
                                     &fresh, &text);

        FUZZ_HOLDS((err == MCX_OK) == (out != NULL));
        FUZZ_HOLDS(err == MCX_OK || text.s[0] != '\0');
        FUZZ_HOLDS(err == MCX_OK || !fresh.trk.id[0]);
        mcx_kms_text_free(out, n);
        out = NULL;
    }
}

static mcx_err
verify(struct mcx_bytes xml, struct mcx_tkeys *keys, bool response)
{
    struct mcx_kms_verifier v = { response ? MCX_KMS_SIGNED_RESPONSE
                                           : MCX_KMS_SIGNED_REQUEST,
                                  find, keys };
    struct mcx_kms_signed said;
    struct mcx_text text = { "" };
    char *out = NULL;
    size_t n = 0;
    mcx_err err = mcx_kms_verify(&out, &n, xml, &v, &said, &text);

    FUZZ_HOLDS((err == MCX_OK) == (out != NULL));
    FUZZ_HOLDS(err == MCX_OK || text.s[0] != '\0');
    if (err == MCX_OK) {
        unwrap(mcx_bytes(out, n));
    }
    mcx_kms_text_free(out, n);
    return err;
}

/* As it came: nobody here has signed it. */
static void
foreign(struct mcx_bytes xml)
{
    static const char seed[] = "MCX-SEED"; /* the corpus has ours */
    bool known = false;
    size_t i;

    for (i = 0; i + sizeof seed - 1 <= xml.n && !known; i++) {
        known = mcx_bytes_eq(mcx_bytes(xml.p + i, sizeof seed - 1),
                             mcx_bytes_str(seed));
    }
    for (i = 0; i < 2; i++) {
        mcx_err err = verify(xml, &ours, i == 1);

        FUZZ_HOLDS(err != MCX_OK || known);
        FUZZ_HOLDS(verify(xml, &theirs, i == 1) != MCX_OK);
    }
    (void)mcx_kms_is_signed(xml, MCX_KMS_XML_MAX);
    unwrap(xml);
}

/* The content of a document of ours. */
static void
signed_by_us(struct mcx_bytes plain)
{
    char *out = NULL;
    size_t n = 0;
    bool request, response;
    mcx_err err = mcx_kms_sign(&out, &n, plain, &ours, true);

    FUZZ_HOLDS((err == MCX_OK) == (out != NULL));
    if (err != MCX_OK) {
        return;
    }
    request = verify(mcx_bytes(out, n), &ours, false) == MCX_OK;
    response = verify(mcx_bytes(out, n), &ours, true) == MCX_OK;
    /* It is one of the two, unless it grew too large by the signature, or
     * says something that no reader takes; under other keys never. */
    FUZZ_HOLDS(!(request && response));
    FUZZ_HOLDS(verify(mcx_bytes(out, n), &theirs, false) != MCX_OK);
    FUZZ_HOLDS(verify(mcx_bytes(out, n), &theirs, true) != MCX_OK);
    if (request || response) { /* one octet of it off */
        size_t at = plain.n % n;

        out[at] = (char)(out[at] ^ 1);
        (void)verify(mcx_bytes(out, n), &ours, response);
    }
    mcx_kms_text_free(out, n);
}

static void
wrapped_by_us(struct mcx_bytes plain)
{
    static const enum mcx_kms_form form[] = { MCX_KMS_FORM_PADDED,
                                              MCX_KMS_FORM_BARE,
                                              MCX_KMS_FORM_NESTED };
    char *out = NULL;
    size_t n = 0, i;

    for (i = 0; i < sizeof form / sizeof *form; i++) {
        mcx_err err = mcx_kms_wrap(&out, &n, plain, &ours.trk, form[i],
                                   &theirs, mcx_env_system());

        FUZZ_HOLDS((err == MCX_OK) == (out != NULL));
        if (err == MCX_OK) {
            unwrap(mcx_bytes(out, n));
        }
        mcx_kms_text_free(out, n);
        out = NULL;
    }
}

static void
redirect(struct mcx_bytes xml, bool sign)
{
    static struct mcx_krr krr;
    struct mcx_text text = { "" };
    char *out = NULL;
    size_t n = 0;

    if (mcx_krr_read(&krr, xml, &text) != MCX_OK) {
        return; /* nobody asks for its signature */
    }
    if (sign && mcx_krr_sign(&out, &n, xml, mcx_bytes_str(CERT),
                             mcx_bytes_str(KEY)) == MCX_OK) {
        mcx_err err = mcx_krr_verify(mcx_bytes(out, n), "sip:pf@mcx.test",
                                     mcx_bytes_str(CA), NOW, &text);

        FUZZ_HOLDS(err == MCX_OK || text.s[0] != '\0');
        FUZZ_HOLDS(mcx_krr_verify(mcx_bytes(out, n), "sip:pg@mcx.test",
                                  mcx_bytes_str(CA), NOW, &text)
                   != MCX_OK);
    } else if (!sign) {
        FUZZ_HOLDS(mcx_krr_verify(xml, "sip:pg@mcx.test",
                                  mcx_bytes_str(CA), NOW, &text)
                   != MCX_OK);
    }
    mcx_kms_text_free(out, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mcx_bytes rest = mcx_bytes(data + (n > 0), n - (n > 0));

    make_keys();
    switch (n > 0 ? data[0] % 5 : 0) {
    case 0: foreign(rest); break;
    case 1: signed_by_us(rest); break;
    case 2: wrapped_by_us(rest); break;
    case 3: redirect(rest, false); break;
    default: redirect(rest, true); break;
    }
    return 0;
}
