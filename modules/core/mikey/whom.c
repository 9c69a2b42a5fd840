/* whom.c -- the UIDs that one end of a message may have.
 *
 * Called by open.c and build.c.  A UID holds for one key period.  Clocks of
 * KMS and users differ a little, so near a boundary the neighbouring period
 * is a second candidate, one and never more (defaults: "adjacent key
 * period"). */
#include <config.h>
#include "inner.h"

/* Key times are whole seconds since 1900, and T is rounded down. */
static int64_t
ntp_s(int64_t unix_ms)
{
    int64_t s = unix_ms / 1000 - (unix_ms % 1000 < 0);

    return s + MCX_NTP_UNIX_DIFF;
}

bool
mcx_kms_info_valid(const struct mcx_kms_info *kms, int64_t t_ms)
{
    int64_t s = t_ms / 1000;

    return !kms->revoked
           && (kms->valid_from_unix == 0 || s >= kms->valid_from_unix)
           && (kms->valid_to_unix == 0 || s <= kms->valid_to_unix);
}

static mcx_err
add(struct mcx_end *end, uint64_t no)
{
    MCX_TRY(mcx_uid(&end->uid[end->n], mcx_bytes_str(end->uri),
                    mcx_bytes_str(end->kms.uri), &end->kms.period, no));
    end->no[end->n++] = no;
    return MCX_OK;
}

mcx_err
mcx_end_uids(struct mcx_end *end, int64_t t_ms, bool neighbour)
{
    const struct mcx_period *period = &end->kms.period;
    int64_t t = ntp_s(t_ms), start;
    uint64_t no;

    end->n = 0;
    MCX_TRY(mcx_period_no(&no, period, t));
    MCX_TRY(add(end, no));
    start = mcx_period_start(period, no);
    if (!neighbour) {
        return MCX_OK;
    }
    if (t - start < MCX_WINDOW_BACK_S && no > 0) {
        return add(end, no - 1);
    }
    if (mcx_period_start(period, no + 1) - t <= MCX_WINDOW_AHEAD_S) {
        return add(end, no + 1);
    }
    return MCX_OK;
}
