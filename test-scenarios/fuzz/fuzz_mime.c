/* fuzz_mime.c -- libFuzzer target: the body splitter.
 *
 * Input: a Content-Type value, a line feed, the body.  What comes out must be
 * within its own store, and joined again it must come apart the same. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include "sofia/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *lf = n > 0 ? memchr(data, '\n', n) : NULL;
    size_t type_n = lf ? (size_t)(lf - data) : n, body_n, i;
    char *type = malloc(type_n + 1);
    struct mcxs_body a, b;
    struct mcx_why why;
    uint8_t *joined;

    check(type != NULL);
    if (type_n > 0) {
        memcpy(type, data, type_n);
    }
    type[type_n] = '\0';
    body_n = lf ? n - type_n - 1 : 0;
    if (mcxs_mime_unfold(&a, mcx_bytes(lf ? lf + 1 : NULL, body_n), type,
                         &why) != MCX_OK) {
        check(a.store == NULL && a.n_parts == 0);
        check(why.reason != MCX_R_NONE && why.offset <= body_n);
        free(type);
        return 0;
    }
    free(type);
    check(a.n_parts <= MCX_PART_MAX);
    for (i = 0; i < a.n_parts; i++) {
        check(a.part[i].body.p >= a.store
              && a.part[i].body.p + a.part[i].body.n < a.store + a.store_n);
        check(strchr(a.part[i].type, '/') != NULL);
    }
    /* A content ID may hold what the joiner will not write. */
    if (a.n_parts > 0
        && mcxs_mime_join(&joined, &body_n, a.part, a.n_parts,
                          "8f14e45fceea167a5a36dedd4bea2543") == MCX_OK) {
        mcx_err err = mcxs_mime_unfold(&b, mcx_bytes(joined, body_n),
            "multipart/mixed;boundary=8f14e45fceea167a5a36dedd4bea2543", NULL);

        /* A message/sip or multipart leaf does not exist, so: */
        if (err == MCX_OK) {
            check(b.n_parts == a.n_parts);
            for (i = 0; i < a.n_parts; i++) {
                check(strcmp(a.part[i].type, b.part[i].type) == 0);
                check(mcx_bytes_eq(a.part[i].body, b.part[i].body));
            }
            mcxs_mime_free(&b);
        } else {
            check(err == MCX_E_TOOBIG || err == MCX_E_NOMEM);
        }
        free(joined);
    }
    mcxs_mime_free(&a);
    return 0;
}
