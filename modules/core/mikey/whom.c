/* whom.c -- the UIDs that one end of a message may have; signing and verifying
 * as one.
 *
 * Called by open.c, build.c, psk.c and gsk.c.  A UID holds for one key period.
 * Clocks of KMS and users differ a little, so near a boundary the neighbouring
 * period is a second candidate, one and never more (defaults: "adjacent key
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
    struct mcx_end_id *id = &end->uid[end->n];

    MCX_TRY(mcx_user_id(id->b, &id->n, mcx_bytes_str(end->uri),
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
    /* SPEC RFC 6509 3.2: the month is that of T, and no other. */
    if (!neighbour || period->months) {
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

static mcx_err
fail(struct mcx_why *why, mcx_err err, mcx_reason reason, const char *payload)
{
    /* The code of the caller's choice, with a reason for people. */
    (void)MCX_REFUSE(why, reason, payload, 0, "TS 33.180 E.1.2");
    return err;
}

mcx_err
mcx_end_signer(struct mcx_end *end, struct mcx_user_key **key,
               struct mcx_ring *ring, int64_t t_ms, struct mcx_why *why)
{
    mcx_err err;

    if (mcx_ring_kms_of(ring, end->uri, &end->kms, &end->pub) != MCX_OK) {
        return fail(why, MCX_E_NO_IDENTITY, MCX_R_NO_KMS, "IDRkmsi");
    }
    if (!mcx_kms_info_valid(&end->kms, t_ms)) {
        return fail(why, MCX_E_EXPIRED, MCX_R_CERT_REVOKED, "IDRkmsi");
    }
    err = mcx_end_uids(end, t_ms, false);
    if (err != MCX_OK) { /* MCX_E_ARG: before the first period */
        return fail(why, err, err == MCX_E_ARG ? MCX_R_VALUE : MCX_R_MEMORY,
                    "T");
    }
    err = mcx_ring_user(ring, end->uri, end->no[0], key);
    if (err != MCX_OK) {
        return fail(why, err,
                    err == MCX_E_NO_PERIOD ? MCX_R_NO_PERIOD_KEY
                                           : MCX_R_NO_USER,
                    "IDRi");
    }
    /* A key of another KMS or period would sign what nobody can verify. */
    if (!mcx_bytes_eq(mcx_user_key_id(*key),
                      mcx_end_id(end, 0))) {
        return fail(why, MCX_E_NO_PERIOD, MCX_R_NO_PERIOD_KEY, "IDRi");
    }
    return MCX_OK;
}

mcx_err
mcx_end_refuse(mcx_err err, const struct mcx_why *found, size_t sign_at,
               struct mcx_why *why)
{
    if (found->reason == MCX_R_NONE) {
        return MCX_REFUSE(why, err == MCX_E_NOMEM ? MCX_R_MEMORY
                                                  : MCX_R_CRYPTO,
                          "SIGN", 0, "");
    }
    return MCX_REFUSE(why, found->reason, "SIGN", sign_at + found->offset,
                      found->clause[0] ? found->clause : "RFC 6507 5.2.2");
}

mcx_err
mcx_end_verify(const struct mcx_end *end, struct mcx_bytes covered,
               struct mcx_bytes sign, size_t sign_at, size_t *which,
               struct mcx_why *why)
{
    struct mcx_why w = { 0 };
    mcx_err err = MCX_E_AUTH;
    size_t i;

    for (i = 0; i < end->n; i++) {
        struct mcx_why one = { 0 };

        err = mcx_eccsi_verify(end->pub,
                               mcx_end_id(end, i),
                               covered, sign, &one);
        if (err == MCX_OK) {
            if (which) {
                *which = i;
            }
            return MCX_OK;
        }
        w = one;
        if (w.reason != MCX_R_SIGNATURE) { /* no period would change it */
            break;
        }
    }
    return mcx_end_refuse(err, &w, sign_at, why);
}
