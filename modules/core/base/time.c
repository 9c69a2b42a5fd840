/* time.c -- NTP timestamps and RFC 3339 text.  See mcx_env.h. */
#include <config.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sofia-mcx/mcx_env.h>

uint64_t
mcx_ntp_from_unix_ms(int64_t unix_ms)
{
    int64_t s = unix_ms / 1000, ms = unix_ms % 1000;

    if (ms < 0) {
        ms += 1000;
        s -= 1;
    }
    /* The seconds wrap with the era; the fraction is ms * 2^32 / 1000. */
    return (uint64_t)(uint32_t)(s + MCX_NTP_UNIX_DIFF) << 32
           | (((uint64_t)ms << 32) + 999) / 1000;
}

int64_t
mcx_ntp_to_unix_ms(uint64_t ntp, int64_t near_unix_ms)
{
    const int64_t era = INT64_C(1) << 32;
    int64_t near_s = near_unix_ms / 1000 + MCX_NTP_UNIX_DIFF;
    int64_t s = (int64_t)(ntp >> 32);
    int64_t base = near_s - (near_s % era + era) % era;
    int64_t ms = (int64_t)(((ntp & UINT32_MAX) * 1000) >> 32);

    s += base;
    if (s - near_s > era / 2) {
        s -= era;
    } else if (near_s - s > era / 2) {
        s += era;
    }
    return (s - MCX_NTP_UNIX_DIFF) * 1000 + ms;
}

/* Days from 1970-01-01 to the first of 'm' in 'y', proleptic Gregorian. */
static int64_t
days_to(int64_t y, int m)
{
    static const int before[12] = { 0,   31,  59,  90,  120, 151,
                                    181, 212, 243, 273, 304, 334 };
    int64_t p = y - 1; /* whole years before, counted from year 1 */
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return p * 365 + p / 4 - p / 100 + p / 400 - INT64_C(719162)
           + before[m - 1] + (leap && m > 2 ? 1 : 0);
}

/* Reads exactly 'n' digits at '*p'; -1 when they are not there. */
static int
digits(const char **p, const char *end, int n)
{
    int v = 0;

    while (n-- > 0) {
        if (*p == end || **p < '0' || **p > '9') {
            return -1;
        }
        v = v * 10 + (*(*p)++ - '0');
    }
    return v;
}

static bool
one_of(const char **p, const char *end, const char *set)
{
    if (*p == end || **p == '\0' || !strchr(set, **p)) {
        return false;
    }
    (*p)++;
    return true;
}

mcx_err
mcx_time_parse(int64_t *unix_ms, struct mcx_bytes text)
{
    static const int mdays[12] = { 31, 29, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31 };
    const char *p, *end, *zone;
    int y, mo, d, h, mi, s, ms = 0, off = 0, scale = 100;
    int64_t total;

    if (text.n < 19) {
        return MCX_E_MALFORMED;
    }
    p = (const char *)text.p;
    end = p + text.n;
    y = digits(&p, end, 4);
    if (y < 1 || !one_of(&p, end, "-") || (mo = digits(&p, end, 2)) < 1
        || mo > 12 || !one_of(&p, end, "-") || (d = digits(&p, end, 2)) < 1
        || d > mdays[mo - 1] || !one_of(&p, end, "Tt ")
        || (h = digits(&p, end, 2)) < 0 || h > 23 || !one_of(&p, end, ":")
        || (mi = digits(&p, end, 2)) < 0 || mi > 59 || !one_of(&p, end, ":")
        || (s = digits(&p, end, 2)) < 0 || s > 60) {
        return MCX_E_MALFORMED;
    }
    if (mo == 2 && d == 29
        && !((y % 4 == 0 && y % 100 != 0) || y % 400 == 0)) {
        return MCX_E_MALFORMED;
    }
    if (one_of(&p, end, ".")) {
        int v = digits(&p, end, 1);

        if (v < 0) {
            return MCX_E_MALFORMED;
        }
        while (v >= 0) {
            ms += v * scale;
            scale /= 10;
            v = p != end && *p >= '0' && *p <= '9' ? digits(&p, end, 1) : -1;
        }
    }
    zone = p;
    if (one_of(&p, end, "+-")) {
        int zh = digits(&p, end, 2);
        int zm = zh >= 0 && one_of(&p, end, ":") ? digits(&p, end, 2) : -1;

        if (zh < 0 || zh > 23 || zm < 0 || zm > 59) {
            return MCX_E_MALFORMED;
        }
        off = (zh * 60 + zm) * (*zone == '-' ? -60 : 60);
    } else if (!one_of(&p, end, "Zz") && p != end) {
        return MCX_E_MALFORMED;
    }
    if (p != end) {
        return MCX_E_MALFORMED;
    }
    /* No zone at all is read as UTC: KMS documents come that way. */
    total = days_to(y, mo) * 86400 + (int64_t)(d - 1) * 86400 + h * 3600
            + mi * 60 + s - off;
    *unix_ms = total * 1000 + ms;
    return MCX_OK;
}

void
mcx_time_text(char out[MCX_RFC3339_SIZE], int64_t unix_ms)
{
    int64_t ms = ((unix_ms % 1000) + 1000) % 1000;
    /* Rounded down without stepping below the smallest value. */
    time_t s = (time_t)(unix_ms / 1000 - (unix_ms % 1000 < 0 ? 1 : 0));
    struct tm tm;
    char date[24];

    if (!gmtime_r(&s, &tm) || tm.tm_year > 8099 || tm.tm_year < -1899) {
        (void)snprintf(out, MCX_RFC3339_SIZE, "0000-00-00T00:00:00Z");
        return;
    }
    /* Not %Y: it writes the year 33 as "33". */
    (void)snprintf(date, sizeof date, "%04u-",
                   (unsigned)(tm.tm_year + 1900) % 10000u);
    (void)strftime(date + 5, sizeof date - 5, "%m-%dT%H:%M:%S", &tm);
    if (ms) {
        (void)snprintf(out, MCX_RFC3339_SIZE, "%s.%03dZ", date, (int)ms);
    } else {
        (void)snprintf(out, MCX_RFC3339_SIZE, "%sZ", date);
    }
}
