/* err.c -- texts and classes of results and reasons, from the lists of
 * mcx_err.h.  Called by everybody; see the header. */
#include <config.h>
#include <sofia-mcx/mcx_err.h>

static const struct {
    mcx_err err;
    const char *name, *text;
} errs[] = {
    { MCX_OK, "OK", "no error" },
#define MCX_X(code, class_, text) { MCX_E_##code, #code, text },
    MCX_ERR_LIST(MCX_X)
#undef MCX_X
};

static const struct {
    const char *word, *text;
    mcx_err err;
} reasons[] = {
    { "none", "", MCX_OK },
#define MCX_X(name, word, code, text) { word, text, MCX_E_##code },
    MCX_REASON_LIST(MCX_X)
#undef MCX_X
};

enum mcx_err_class
mcx_err_class(mcx_err err)
{
    return (enum mcx_err_class)((unsigned)err >> 8);
}

/* Codes are list positions, so the low octet is the index. */
static size_t
err_index(mcx_err err)
{
    size_t i = (unsigned)err & 0xff;

    return i < MCX_NO_COUNT && errs[i].err == err ? i : SIZE_MAX;
}

const char *
mcx_err_text(mcx_err err)
{
    size_t i = err_index(err);

    return i == SIZE_MAX ? "unknown error" : errs[i].text;
}

const char *
mcx_err_name(mcx_err err)
{
    size_t i = err_index(err);

    return i == SIZE_MAX ? "?" : errs[i].name;
}

static size_t
reason_index(mcx_reason reason)
{
    return (unsigned)reason < MCX_R_COUNT ? (size_t)reason : 0;
}

const char *
mcx_reason_word(mcx_reason reason)
{
    return reasons[reason_index(reason)].word;
}

const char *
mcx_reason_text(mcx_reason reason)
{
    return reasons[reason_index(reason)].text;
}

mcx_err
mcx_reason_err(mcx_reason reason)
{
    return reason_index(reason) ? reasons[reason].err : MCX_E_INTERNAL;
}

mcx_err
mcx_refuse(struct mcx_why *why, mcx_reason reason, const char *payload,
           size_t offset, const char *clause, const char *file, int line)
{
    if (why) {
        why->reason = reason;
        why->payload = payload ? payload : "";
        why->offset = offset;
        why->clause = clause ? clause : "";
        why->file = file;
        why->line = line;
    }
    return mcx_reason_err(reason);
}
