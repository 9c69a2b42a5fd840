/* kms_plan.c -- when the client asks.  See kms.h.
 *
 * Called by kms.c; no state and no clock of its own.  Renewal lies between
 * 80 % and 90 % of a period and a retry never waits longer than 5 % of it,
 * so at least one try falls into the last tenth, whatever failed before. */
#include <config.h>
#include "kms.h"

/* 'part' of 2^32 parts of 'whole'. */
static int64_t
share(int64_t whole, uint32_t part)
{
    return (int64_t)((double)whole * ((double)part / 4294967296.0));
}

int64_t
kms_start_ms(const struct mcx_period *period, uint64_t no)
{
    return (mcx_period_start(period, no) - MCX_NTP_UNIX_DIFF) * 1000;
}

bool
kms_period_at(uint64_t *no, const struct mcx_period *period, int64_t unix_ms)
{
    int64_t s = unix_ms >= 0 ? unix_ms / 1000 : -((999 - unix_ms) / 1000);

    return mcx_period_no(no, period, s + MCX_NTP_UNIX_DIFF) == MCX_OK;
}

int64_t
kms_renew_at_ms(const struct mcx_period *period, uint64_t no, uint32_t dice)
{
    /* Certificates with longer periods than 2^32 s are not read; months differ
     * in length. */
    int64_t start_ms = kms_start_ms(period, no);
    int64_t length_ms = kms_start_ms(period, no + 1) - start_ms;

    return start_ms + length_ms / 100 * KMS_RENEW_PERCENT
           + share(length_ms / 100 * KMS_SPREAD_PERCENT, dice);
}

int64_t
kms_backoff_ms(unsigned failures, uint64_t period_s, uint32_t dice)
{
    int64_t wait = KMS_BACKOFF_FIRST_MS, cap = KMS_BACKOFF_MAX_MS;

    if (period_s > 0 && (int64_t)period_s * 50 < cap) {
        cap = (int64_t)period_s * 50; /* 1000 / 20 */
    }
    while (failures > 1 && wait < cap) {
        wait *= 2;
        failures--;
    }
    wait = wait < cap ? wait : cap;
    return wait - share(wait / 4, dice);
}
