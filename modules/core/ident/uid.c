/* uid.c -- the hashed UID of TS 33.180 F.2.1, and the monthly identifiers of
 * RFC 6509 3.2.  See mcx_ident.h.
 *
 *   S = 0x00 | "MIKEY-SAKKE-UID" | len | identity | len | KMS URI | len
 *       | period | len | offset | len | number | len,     UID = SHA-256(S)
 *
 * Each length (2 octets) comes after its parameter, as in TS 33.220 B.2. */
#include <config.h>
#include <string.h>
#include <sofia-mcx/mcx_ident.h>
#include "hash.h"

enum { MAX_TEXT = 65535, N_PARAMS = 6 };

/* 'v' in as few octets as it takes, one for zero: TS 33.220 B.2.1.3. */
static struct mcx_bytes
shortest(uint8_t buf[8], uint64_t v)
{
    size_t i, skip = 0;

    for (i = 0; i < 8; i++) {
        buf[i] = (uint8_t)(v >> (56 - 8 * i));
    }
    while (skip < 7 && buf[skip] == 0) {
        skip++;
    }
    return mcx_bytes(buf + skip, 8 - skip);
}

mcx_err
mcx_uid(struct mcx_uid *out, struct mcx_bytes uri, struct mcx_bytes kms_uri,
        const struct mcx_period *period, uint64_t no)
{
    static const uint8_t fc[1] = { 0x00 };
    uint8_t num[3][8], len[N_PARAMS][2];
    struct mcx_bytes param[N_PARAMS], part[1 + 2 * N_PARAMS];
    size_t i;

    if (uri.n == 0 || uri.n > MAX_TEXT || kms_uri.n == 0
        || kms_uri.n > MAX_TEXT || period->length_s == 0) {
        return MCX_E_ARG;
    }
    /* SPEC TS 33.180 F.2.1 */
    param[0] = mcx_bytes_str("MIKEY-SAKKE-UID");
    param[1] = uri;
    param[2] = kms_uri;
    param[3] = shortest(num[0], period->length_s);
    param[4] = shortest(num[1], period->offset_s);
    param[5] = shortest(num[2], no);
    part[0] = mcx_bytes(fc, sizeof fc);
    for (i = 0; i < N_PARAMS; i++) {
        len[i][0] = (uint8_t)(param[i].n >> 8);
        len[i][1] = (uint8_t)param[i].n;
        part[1 + 2 * i] = param[i];
        part[2 + 2 * i] = mcx_bytes(len[i], 2);
    }
    return mcx_sha256(out->b, part, 1 + 2 * N_PARAMS);
}

/* ---- monthly tel URIs -------------------------------------------------- */

static bool
leap(uint64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

mcx_err
mcx_month_no(uint64_t *no, int64_t ntp_s)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30,
                                      31, 31, 30, 31, 30, 31 };
    uint64_t day, year = 1900, month = 0;

    if (ntp_s < 0) {
        return MCX_E_ARG;
    }
    day = (uint64_t)ntp_s / 86400;
    if (day > 2921940) { /* the year 9900: "YYYY" has four digits */
        return MCX_E_ARG;
    }
    while (day >= (leap(year) ? 366u : 365u)) {
        day -= leap(year) ? 366 : 365;
        year++;
    }
    while (day >= (uint64_t)days[month] + (month == 1 && leap(year))) {
        day -= (uint64_t)days[month] + (month == 1 && leap(year));
        month++;
    }
    *no = (year - 1900) * 12 + month;
    return MCX_OK;
}

int64_t
mcx_month_start(uint64_t no)
{
    static const uint16_t before[12] = { 0,   31,  59,  90,  120, 151,
                                         181, 212, 243, 273, 304, 334 };
    uint64_t year = 1900 + no / 12, past = year - 1, days;
    size_t month = (size_t)(no % 12);

    if (no / 12 > 9999 - 1900) {
        return INT64_MAX;
    }
    /* Leap days up to the year's first day, less those before 1900. */
    days = (year - 1900) * 365
           + (past / 4 - past / 100 + past / 400)
           - (1899 / 4 - 1899 / 100 + 1899 / 400);
    days += before[month] + (month > 1 && leap(year) ? 1u : 0u);
    return (int64_t)days * 86400;
}

mcx_err
mcx_monthly_id(uint8_t out[MCX_ID_MAX], size_t *n, struct mcx_bytes uri,
               uint64_t month_no)
{
    enum { DATE = 7 };
    unsigned year, month;
    size_t i;

    /* SPEC RFC 6509 3.2: global form, no visual separators, no parameters. */
    if (uri.n < 6 || !mcx_bytes_eq(mcx_bytes(uri.p, 5), mcx_bytes_str("tel:+"))
        || DATE + 1 + uri.n + 1 > MCX_ID_MAX
        || month_no / 12 > 9999 - 1900) {
        return MCX_E_ARG;
    }
    for (i = 5; i < uri.n; i++) {
        if (uri.p[i] < '0' || uri.p[i] > '9') {
            return MCX_E_ARG;
        }
    }
    year = (unsigned)(1900 + month_no / 12);
    month = (unsigned)(month_no % 12 + 1);
    for (i = 4; i > 0; i--) {
        out[i - 1] = (uint8_t)('0' + year % 10);
        year /= 10;
    }
    out[4] = '-';
    out[5] = (uint8_t)('0' + month / 10);
    out[6] = (uint8_t)('0' + month % 10);
    out[DATE] = 0;
    memcpy(out + DATE + 1, uri.p, uri.n);
    out[DATE + 1 + uri.n] = 0;
    *n = DATE + 1 + uri.n + 1;
    return MCX_OK;
}

mcx_err
mcx_user_id(uint8_t out[MCX_ID_MAX], size_t *n, struct mcx_bytes uri,
            struct mcx_bytes kms_uri, const struct mcx_period *period,
            uint64_t no)
{
    struct mcx_uid uid;

    if (period->months) {
        return mcx_monthly_id(out, n, uri, no);
    }
    MCX_TRY(mcx_uid(&uid, uri, kms_uri, period, no));
    memcpy(out, uid.b, sizeof uid.b);
    *n = sizeof uid.b;
    return MCX_OK;
}
