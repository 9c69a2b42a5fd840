/* kinds.c -- the one table of key kinds.
 *
 * Called by everything that must know what a kind is: build.c, open.c, psk.c,
 * profile.c and keyparams.c here, the key store for MKIs and derivations, the
 * tools for their words.  What a kind is stands in its own kind_<name>.c; the
 * rows are kinds.def.  test_kinds compiles this file with one row more. */
#include <config.h>
#include "kinds.h"

#ifdef MCX_TEST_KINDS
extern const struct mcx_kind_info mcx_kind_xtk;
#endif

static const struct mcx_kind_info *const rows[] = {
#define MCX_KIND_ROW(name) &mcx_kind_##name,
#ifdef MCX_TEST_KINDS
#include "test_kinds.def"
#else
#include "kinds.def"
#endif
#undef MCX_KIND_ROW
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const struct mcx_kind_info *
mcx_kind_info(unsigned kind)
{
    size_t i;

    for (i = 0; i < N_ROWS; i++) {
        if (rows[i]->kind == kind) {
            return rows[i];
        }
    }
    return NULL;
}

const struct mcx_kind_info *
mcx_kind_each(size_t i)
{
    return i < N_ROWS ? rows[i] : NULL;
}

const char *
mcx_kind_word(unsigned kind)
{
    const struct mcx_kind_info *info = mcx_kind_info(kind);

    return info ? info->word : NULL;
}

int
mcx_kind_parse(const char *word)
{
    size_t i;

    for (i = 0; word && i < N_ROWS; i++) {
        if (strcmp(rows[i]->word, word) == 0) {
            return (int)rows[i]->kind;
        }
    }
    return -1;
}

bool
mcx_kind_diverse(unsigned kind, uint32_t key_id, uint32_t csb_id)
{
    const struct mcx_kind_info *info = mcx_kind_info(kind);

    if (!info || info->diversity == MCX_DIVERSITY_NEVER) {
        return false;
    }
    return info->diversity == MCX_DIVERSITY_ALWAYS
           || (csb_id != 0 && csb_id != key_id);
}
