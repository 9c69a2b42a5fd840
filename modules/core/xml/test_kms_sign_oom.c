/* test_kms_sign_oom.c -- the n-th allocation fails, first ours, then libxml2's
 * and xmlsec1's as well: signing, judging, wrapping and opening refuse or
 * succeed, never with half of a thing, leak nothing of ours (the sanitizer
 * build watches), and go on afterwards.  Where the memory is ours they say so;
 * libxml2 calls some of its own failures a mistake of the document, and leaks
 * at others (a node set of XPath), so the second part is not for that
 * build. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_kmssec.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations until one fails; below 0: never */
static bool fired, libs; /* libs: those of the libraries count, too */

static bool
fails(void)
{
    if (left < 0 || left-- > 0) {
        return false;
    }
    fired = true;
    return true;
}

void *
__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static void *
lib_malloc(size_t n)
{
    return libs && fails() ? NULL : __real_malloc(n);
}

static void *
lib_realloc(void *p, size_t n)
{
    return libs && fails() ? NULL : __real_realloc(p, n);
}

static char *
lib_strdup(const char *s)
{
    char *out = lib_malloc(strlen(s) + 1);

    if (out) {
        memcpy(out, s, strlen(s) + 1);
    }
    return out;
}

static const char plain[] = "<KmsResponse xmlns=\"urn:3gpp:ns:"
    "mcsecKMSInterface:1.0\" xmlns:xsi=\"http://www.w3.org/2001/"
    "XMLSchema-instance\" Id=\"r\"><KmsMessage><KmsKeyProv><KmsKeySet>"
    "<UserSigningKeySSK>000102030405060708090A0B0C0D0E0F1011121314151617"
    "18191A1B1C1D1E1F</UserSigningKeySSK></KmsKeySet></KmsKeyProv>"
    "</KmsMessage></KmsResponse>";
static struct mcx_tkeys keys;
static struct mcx_text text;

static const struct mcx_kw_key *
find(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    return &keys.ink.key;
}

/* All four, on what the one before gave; true: they went through. */
static bool
round_trip(void)
{
    struct mcx_kms_verifier v = { MCX_KMS_SIGNED_RESPONSE, find, NULL };
    struct mcx_kms_signed said;
    struct mcx_tkeys fresh;
    char *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    size_t an = 0, bn = 0, cn = 0, dn = 0;
    mcx_err err = mcx_kms_wrap(&a, &an, mcx_bytes_str(plain), &keys.trk,
                               MCX_KMS_FORM_NESTED, &keys,
                               mcx_env_system());

    if (err == MCX_OK) {
        err = mcx_kms_sign(&b, &bn, mcx_bytes(a, an), &keys, true);
    }
    if (err == MCX_OK) {
        err = mcx_kms_verify(&c, &cn, mcx_bytes(b, bn), &v, &said, &text);
    }
    if (err == MCX_OK) {
        err = mcx_kms_unwrap(&d, &dn, mcx_bytes(c, cn), &keys.trk, true,
                             &fresh, &text);
    }
    if (err == MCX_OK) {
        assert_non_null(strstr(d, "18191A1B1C1D1E1F</"));
        assert_string_equal(fresh.ink.id, keys.ink.id);
    } else {
        assert_null(d);
        if (err != MCX_E_NOMEM && !libs) {
            fail_msg("%s \"%s\"", mcx_err_name(err), text.s);
        }
    }
    mcx_kms_text_free(a, an);
    mcx_kms_text_free(b, bn);
    mcx_kms_text_free(c, cn);
    mcx_kms_text_free(d, dn);
    return err == MCX_OK;
}

static void
each_failure(void **state)
{
    long n;

    libs = *state != NULL;
    /* Once as it should be, so that xmlsec1 is there. */
    assert_true(round_trip());
    for (n = 0; n < 20000; n++) {
        bool went;

        left = n;
        fired = false;
        went = round_trip();
        left = -1;
        if (!fired) {
            assert_true(went);
            break;
        }
        assert_true(n % 50 != 0 || round_trip());
    }
    assert_in_range(n, 20, 19999);
}

/* What libxml2 says on standard error about memory is not for the test. */
static void
silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

int
main(void)
{
#ifndef __SANITIZE_ADDRESS__
    static int yes;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test_prestate(each_failure, &yes),
#endif
    };

    xmlSetGenericErrorFunc(NULL, silent);
    if (xmlMemSetup(free, lib_malloc, lib_realloc, lib_strdup) != 0
        || mcx_tkeys_new(&keys, "sip:a@b", 1, mcx_env_system()) != MCX_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
