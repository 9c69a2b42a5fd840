/* period.c -- key periods: TS 33.180 F.2.1, and months (uid.c).  See
 * mcx_ident.h.  Seconds since 1900 are 64 bits wide, so 2036 is a year like
 * any other. */
#include <config.h>
#include <sofia-mcx/mcx_ident.h>

mcx_err
mcx_period_no(uint64_t *no, const struct mcx_period *period, int64_t ntp_s)
{
    if (period->months) {
        return mcx_month_no(no, ntp_s);
    }
    if (period->length_s == 0 || ntp_s < 0
        || (uint64_t)ntp_s < period->offset_s) {
        return MCX_E_ARG;
    }
    *no = ((uint64_t)ntp_s - period->offset_s) / period->length_s;
    return MCX_OK;
}

/* A start that 63 bits do not hold is as far away as they reach. */
int64_t
mcx_period_start(const struct mcx_period *period, uint64_t no)
{
    uint64_t start;

    if (period->months) {
        return mcx_month_start(no);
    }
    if (__builtin_mul_overflow(no, period->length_s, &start)
        || __builtin_add_overflow(start, period->offset_s, &start)
        || start > INT64_MAX) {
        return INT64_MAX;
    }
    return (int64_t)start;
}
