/* open.c -- station 2 to 3: who sent this, is it for us, is it new, and what
 * key does it carry; for one message or for several at once.
 *
 * Called by the modules' workers and by mcx-mikey; parse.c came before.  The
 * order of checks is that of the design defaults and of RFC 6509 2.2.2: what
 * is cheap and public first, then the signature, and only for a message whose
 * signature is good the replay entry and the pairing.
 *
 *   shape, purpose tag, T window, replay look-up, identities, signature,
 *   replay entry, SAKKE with its check, key parameters, policy
 *
 * Several go through this step by step together, as a wave: signatures of one
 * KMS are verified by one call and what is sealed to one key is opened by one
 * call.  Within a step they take their turns, and what one leaves behind for
 * another, the replay entry, only ever meets the same message again: that one
 * begins a new wave.  So each gets what it would have got by itself.  One
 * message alone is a wave of one.
 *
 * Offsets in refusals are those of the octets that were judged. */
#include <config.h>
#include <stdlib.h>
#include "inner.h"
#include "mac.h"

enum { IDR_DATA = 5, T_VALUE = 2, SIGN_DATA = 2, SAKKE_DATA = 5,
       EXT_DATA = 4 };
enum { WAVE = 8 }; /* what the lanes of the fastest back-end hold */

/* One opening on its way. */
struct opening {
    const struct mcx_mikey_msg *msg;
    const struct mcx_open *how;
    const struct mcx_kind_info *kind; /* its row, once the tag is judged */
    enum mcx_window window;
    bool diverse; /* CSB ID is the receiver's own */
    struct mcx_why *why;
    struct mcx_key_msg *km; /* the caller's; filled as things become known */
    mcx_err err;            /* MCX_OK: still on its way */
    int64_t now_ms, t_ms;
    bool late; /* who the initiator is will be asked behind the key */
    struct mcx_end i, r; /* initiator; ourselves when not 'to_self' */
    /* signature: the next of its attempts, by UID and octets covered */
    size_t attempt;
    bool verified;
    /* SAKKE: the payload, the next of our periods, and what came of the last
     * one; the user key is a reference while it is used */
    struct mcx_sakke_pl pl;
    size_t period;
    struct mcx_user_key *key;
    bool missing, entered, opened;
    mcx_err sakke_err;
    struct mcx_why sakke_why;
};

static mcx_err
refuse_idr(const struct opening *o, mcx_reason reason, unsigned role)
{
    static const char *const word[MCX_ROLE_COUNT] = {
        [MCX_ROLE_I] = "IDRi",       [MCX_ROLE_R] = "IDRr",
        [MCX_ROLE_KMSI] = "IDRkmsi", [MCX_ROLE_KMSR] = "IDRkmsr",
        [MCX_ROLE_UIDI] = "IDRuidi", [MCX_ROLE_UIDR] = "IDRuidr",
    };
    size_t at = o->msg->idr[role].at;

    return MCX_REFUSE(o->why, reason, word[role], at ? at + IDR_DATA : 0,
                      "RFC 6509 2.2.2");
}

/* Turns a failure that is nobody's fault into one with a reason. */
static mcx_err
refuse_world(const struct opening *o, mcx_err err, const char *payload)
{
    if (err == MCX_E_NOMEM) {
        return MCX_REFUSE(o->why, MCX_R_MEMORY, payload, 0, "");
    }
    return MCX_REFUSE(o->why, MCX_R_CRYPTO, payload, 0, "");
}

/* ---- before anybody is asked ------------------------------------------- */

static mcx_err
check_shape(const struct opening *o)
{
    const struct mcx_mikey_msg *m = o->msg;

    if (m->data_type != MCX_DT_SAKKE) {
        return MCX_REFUSE(o->why, MCX_R_DATA_TYPE, "HDR", 1, "RFC 6509 4.1");
    }
    /* SPEC TS 33.180 E.1.2: PRF-HMAC-SHA-256 and nothing else. */
    if (m->prf != MCX_PRF_HMAC_SHA256) {
        return MCX_REFUSE(o->why, MCX_R_PRF, "HDR", 3, "TS 33.180 E.1.2");
    }
    return MCX_OK;
}

static mcx_err
check_purpose(struct opening *o)
{
    unsigned kind = MCX_KEY_ID_KIND(o->msg->csb_id);

    /* An SPK, for one, is never sent in MIKEY: both servers have it by
     * hand. */
    o->kind = mcx_kind_info(kind);
    if (!o->kind || o->kind->carrier != MCX_CARRIER_SAKKE
        || (o->how->kinds && !(o->how->kinds & MCX_KIND_BIT(kind)))) {
        return MCX_REFUSE(o->why, MCX_R_PURPOSE, "HDR", 4,
                          "TS 33.180 5.2.2");
    }
    o->window = o->how->window == MCX_WINDOW_KIND ? o->kind->window
                                                  : o->how->window;
    o->diverse = o->kind->diversity == MCX_DIVERSITY_ALWAYS
                 || (o->kind->diversity == MCX_DIVERSITY_BY_OPTION
                     && (o->how->peer & MCX_PEER_MKFC_GUK));
    return MCX_OK;
}

/* Milliseconds since 1970 of the first second of period 'no'; a start that
 * they do not hold is as far away as they reach. */
static int64_t
period_start_ms(const struct mcx_period *period, uint64_t no)
{
    int64_t s = mcx_period_start(period, no) - MCX_NTP_UNIX_DIFF, ms;

    return __builtin_mul_overflow(s, INT64_C(1000), &ms) ? INT64_MAX / 2
                                                          : ms;
}

/* The oldest T that is accepted now. */
static mcx_err
window_start(const struct opening *o, int64_t *start_ms)
{
    struct mcx_kms_info own;
    uint64_t no;

    *start_ms = o->now_ms - MCX_WINDOW_BACK_S * INT64_C(1000);
    if (o->window != MCX_WINDOW_STORED) {
        return MCX_OK;
    }
    if (mcx_ring_kms_of(o->how->ring, o->how->self, &own, NULL) != MCX_OK) {
        return MCX_REFUSE(o->why, MCX_R_NO_USER, "IDRr", 0,
                          "TS 33.180 F.2.1");
    }
    if (mcx_period_no(&no, &own.period,
                      o->now_ms / 1000 + MCX_NTP_UNIX_DIFF)
        == MCX_OK) {
        int64_t s = period_start_ms(&own.period, no > 0 ? no - 1 : 0);

        *start_ms = s < *start_ms ? s : *start_ms;
    }
    return MCX_OK;
}

static mcx_err
check_time(const struct opening *o)
{
    int64_t oldest;

    if (o->t_ms > o->now_ms + MCX_WINDOW_AHEAD_S * INT64_C(1000)) {
        return MCX_REFUSE(o->why, MCX_R_TOO_NEW, "T",
                          o->msg->t_at + T_VALUE, "RFC 3830 5.4");
    }
    MCX_TRY(window_start(o, &oldest));
    if (o->t_ms < oldest) {
        return MCX_REFUSE(o->why, MCX_R_TOO_OLD, "T",
                          o->msg->t_at + T_VALUE, "RFC 3830 5.4");
    }
    return MCX_OK;
}

static mcx_err
replay_result(const struct opening *o, mcx_err err)
{
    if (err == MCX_E_REPLAY) {
        return MCX_REFUSE(o->why, MCX_R_REPLAYED, "T",
                          o->msg->t_at + T_VALUE, "RFC 3830 5.4");
    }
    if (err == MCX_E_BUSY) {
        return MCX_REFUSE(o->why, MCX_R_REPLAY_FULL, "T",
                          o->msg->t_at + T_VALUE, "RFC 3830 5.4");
    }
    return err == MCX_OK ? MCX_OK : refuse_world(o, err, "T");
}

static mcx_err
take_digest(const struct opening *o)
{
    /* The signature's own octets stay out: ECCSI signatures are malleable. */
    mcx_err err = mcx_digest(o->km->digest,
                             mcx_bytes(o->msg->octets.p,
                                       o->msg->signed_size));

    return err == MCX_OK ? MCX_OK : refuse_world(o, err, "");
}

static mcx_err
check_replay(const struct opening *o)
{
    if (!o->how->replay) {
        return MCX_OK;
    }
    if (mcx_replay_below(o->how->replay, o->t_ms)) {
        return replay_result(o, MCX_E_REPLAY);
    }
    return replay_result(o, mcx_replay_look(o->how->replay, o->km->digest,
                                            o->now_ms, o->how->resume));
}

/* ---- identities -------------------------------------------------------- */

static bool
is_text(const struct mcx_idr *idr, const char *text)
{
    return mcx_bytes_eq(idr->data, mcx_bytes_str(text));
}

/* Copies an identity that will be used as a C string. */
static bool
take_text(char out[MCX_URI_MAX], struct mcx_bytes b)
{
    if (b.n == 0 || b.n >= MCX_URI_MAX || memchr(b.p, '\0', b.n) != NULL) {
        return false;
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    return true;
}

/* Keeps of the candidates the one that is 'uid'. */
static bool
narrow(struct mcx_end *end, struct mcx_bytes uid)
{
    size_t i;

    for (i = 0; i < end->n; i++) {
        if (mcx_bytes_eq(uid, mcx_end_id(end, i))) {
            end->uid[0] = end->uid[i];
            end->no[0] = end->no[i];
            end->n = 1;
            return true;
        }
    }
    return false;
}

/* A KMS that lists its domains speaks for no host outside of them.  Asked
 * when nobody is known to serve the identity, so when this list does not
 * either; a tel URI has no host that a list could name. */
static bool
speaks_for(const struct mcx_kms_info *kms, const char *uri)
{
    return kms->n_domains == 0 || strchr(uri, '@') == NULL;
}

/* The KMS of one end: the payload's when there is one, which must be known
 * and must not contradict what the ring knows of the identity. */
static mcx_err
find_kms(const struct opening *o, struct mcx_end *end, unsigned kms_role,
         mcx_reason contradiction)
{
    const struct mcx_idr *idr = &o->msg->idr[kms_role];
    mcx_err err;

    err = mcx_ring_kms_of(o->how->ring, end->uri, &end->kms, &end->pub);
    if (idr->at) {
        struct mcx_kms_info named;
        struct mcx_kms_pub *pub = NULL;

        if (mcx_ring_kms(o->how->ring, idr->data, &named, &pub) != MCX_OK) {
            return refuse_idr(o, MCX_R_NO_KMS, kms_role);
        }
        if (err == MCX_OK ? !is_text(idr, end->kms.uri)
                          : !speaks_for(&named, end->uri)) {
            mcx_kms_pub_free(pub);
            return refuse_idr(o, contradiction, kms_role);
        }
        mcx_kms_pub_free(end->pub);
        end->kms = named;
        end->pub = pub;
        err = MCX_OK;
    }
    if (err != MCX_OK) {
        return refuse_idr(o, MCX_R_NO_KMS, kms_role);
    }
    if (!mcx_kms_info_valid(&end->kms, o->t_ms)) {
        return refuse_idr(o, MCX_R_CERT_REVOKED, kms_role);
    }
    err = mcx_end_uids(end, o->t_ms, true);
    if (err == MCX_E_ARG) { /* before the first period */
        return MCX_REFUSE(o->why, MCX_R_TOO_OLD, "T", o->msg->t_at + T_VALUE,
                          "TS 33.180 F.2.1");
    }
    return err == MCX_OK ? MCX_OK : refuse_world(o, err, "T");
}

/* SPEC TS 33.180 5.2.6: a hidden initiator whose name will be known later.
 * The signature is judged with the octets of IDRuidi, whoever that is. */
static mcx_err
take_hidden(struct opening *o)
{
    const struct mcx_idr *uidi = &o->msg->idr[MCX_ROLE_UIDI];
    const struct mcx_idr *kms = &o->msg->idr[MCX_ROLE_KMSI];
    struct mcx_end *end = &o->i;
    mcx_err err;

    mcx_kms_pub_free(end->pub);
    end->pub = NULL;
    err = kms->at ? mcx_ring_kms(o->how->ring, kms->data, &end->kms,
                                 &end->pub)
                  : mcx_ring_kms_of(o->how->ring, o->how->self, &end->kms,
                                    &end->pub);
    if (err != MCX_OK) {
        return refuse_idr(o, MCX_R_NO_KMS, MCX_ROLE_KMSI);
    }
    if (!mcx_kms_info_valid(&end->kms, o->t_ms)) {
        return refuse_idr(o, MCX_R_CERT_REVOKED, MCX_ROLE_KMSI);
    }
    o->late = true;
    o->km->initiator[0] = '\0';
    memcpy(end->uid[0].b, uidi->data.p, MCX_UID_SIZE);
    end->uid[0].n = MCX_UID_SIZE;
    end->n = 1;
    return MCX_OK;
}

/* Who sent it, as far as can be said before the signature. */
static mcx_err
check_initiator(struct opening *o)
{
    const struct mcx_idr *idri = &o->msg->idr[MCX_ROLE_I];
    const struct mcx_idr *uidi = &o->msg->idr[MCX_ROLE_UIDI];
    char *uri = o->km->initiator;
    bool guess = false;

    if (o->how->from) {
        if (idri->at && !is_text(idri, o->how->from)) {
            return refuse_idr(o, MCX_R_INITIATOR, MCX_ROLE_I);
        }
        if (!take_text(uri, mcx_bytes_str(o->how->from))) {
            return refuse_idr(o, MCX_R_INITIATOR, MCX_ROLE_I);
        }
    } else if (idri->at) {
        if (!take_text(uri, idri->data)) {
            return refuse_idr(o, MCX_R_INITIATOR, MCX_ROLE_I);
        }
    } else {
        /* Hidden, or not named at all: only we ourselves can be guessed. */
        guess = uidi->at && o->how->allow_self;
        if (!guess && uidi->at && o->how->who) {
            return take_hidden(o);
        }
        if (!guess || !take_text(uri, mcx_bytes_str(o->how->self))) {
            return refuse_idr(o, MCX_R_INITIATOR_HIDDEN, MCX_ROLE_UIDI);
        }
    }
    o->i.uri = uri;
    MCX_TRY(find_kms(o, &o->i, MCX_ROLE_KMSI, MCX_R_INITIATOR));
    if (uidi->at && !narrow(&o->i, uidi->data)) {
        if (guess && o->how->who) {
            return take_hidden(o);
        }
        return refuse_idr(o,
                          guess ? MCX_R_INITIATOR_HIDDEN : MCX_R_INITIATOR,
                          MCX_ROLE_UIDI);
    }
    return MCX_OK;
}

/* Is it made for us?  SPEC RFC 3830 9.5: without a responder's identity a
 * message made for somebody else would verify here. */
static mcx_err
check_for_us(struct opening *o, bool *ours)
{
    const struct mcx_idr *idrr = &o->msg->idr[MCX_ROLE_R];
    const struct mcx_idr *uidr = &o->msg->idr[MCX_ROLE_UIDR];
    const char *self = o->how->self;

    if (!idrr->at && !uidr->at) {
        return refuse_idr(o, MCX_R_RESPONDER, MCX_ROLE_R);
    }
    *ours = !idrr->at || is_text(idrr, self);
    if (!mcx_ring_has_user(o->how->ring, self)) {
        return refuse_idr(o, MCX_R_NO_USER,
                          idrr->at ? MCX_ROLE_R : MCX_ROLE_UIDR);
    }
    o->r.uri = self;
    if (*ours && uidr->at) {
        /* Whether it may be our own copy is not known yet: a KMS of the
         * receiver that contradicts ours makes it somebody else's. */
        mcx_err err = find_kms(o, &o->r, MCX_ROLE_KMSR, MCX_R_RESPONDER);

        if (err != MCX_OK && !o->how->allow_self) {
            return err;
        }
        *ours = err == MCX_OK && narrow(&o->r, uidr->data);
    }
    if (*ours) {
        return take_text(o->km->responder, mcx_bytes_str(self))
                   ? MCX_OK
                   : refuse_idr(o, MCX_R_NO_USER, MCX_ROLE_R);
    }
    if (!o->how->allow_self || !o->kind->to_self) {
        return refuse_idr(o, MCX_R_RESPONDER,
                          idrr->at && !is_text(idrr, self) ? MCX_ROLE_R
                                                           : MCX_ROLE_UIDR);
    }
    mcx_kms_pub_free(o->r.pub); /* the responder is another one */
    memset(&o->r, 0, sizeof o->r);
    return MCX_OK;
}

/* Not for us, and we are the initiator: whom it was made for. */
static mcx_err
check_to_self(struct opening *o)
{
    const struct mcx_idr *idrr = &o->msg->idr[MCX_ROLE_R];
    const struct mcx_idr *uidr = &o->msg->idr[MCX_ROLE_UIDR];

    o->km->to_self = !o->late && strcmp(o->how->self, o->i.uri) == 0;
    if (!o->km->to_self) {
        return refuse_idr(o, MCX_R_RESPONDER,
                          idrr->at && !is_text(idrr, o->how->self)
                              ? MCX_ROLE_R
                              : MCX_ROLE_UIDR);
    }
    if (idrr->at) {
        return take_text(o->km->responder, idrr->data)
                   ? MCX_OK
                   : refuse_idr(o, MCX_R_RESPONDER, MCX_ROLE_R);
    }
    if (o->how->to) {
        o->r.uri = o->how->to;
        MCX_TRY(find_kms(o, &o->r, MCX_ROLE_KMSR, MCX_R_RESPONDER));
        if (!narrow(&o->r, uidr->data)
            || !take_text(o->km->responder, mcx_bytes_str(o->how->to))) {
            return refuse_idr(o, MCX_R_RESPONDER, MCX_ROLE_UIDR);
        }
    }
    return MCX_OK;
}

/* SPEC TS 33.180 E.7: whether a hidden responder is us comes first. */
static mcx_err
check_identities(struct opening *o)
{
    bool ours = false;

    MCX_TRY(check_for_us(o, &ours));
    MCX_TRY(check_initiator(o));
    if (ours && !o->r.pub) { /* named in clear */
        MCX_TRY(find_kms(o, &o->r, MCX_ROLE_KMSR, MCX_R_RESPONDER));
    }
    return ours ? MCX_OK : check_to_self(o);
}

/* SPEC TS 33.180 E.7, steps 4 and 5: the hidden initiator's name, and that its
 * UID is the one that signed. */
static mcx_err
recover_initiator(struct opening *o)
{
    const struct mcx_idr *uidi = &o->msg->idr[MCX_ROLE_UIDI];
    char *uri = o->km->initiator;
    struct mcx_kms_info kms;
    mcx_err err;

    if (!o->late) {
        return MCX_OK;
    }
    if (o->how->who(o->how->who_arg, o->km, uri) != MCX_OK || !uri[0]
        || !memchr(uri, '\0', MCX_URI_MAX)) {
        return refuse_idr(o, MCX_R_INITIATOR_HIDDEN, MCX_ROLE_UIDI);
    }
    if (mcx_ring_kms_of(o->how->ring, uri, &kms, NULL) == MCX_OK
        && strcmp(kms.uri, o->i.kms.uri) != 0) {
        return refuse_idr(o, MCX_R_INITIATOR, MCX_ROLE_KMSI);
    }
    o->i.uri = uri;
    err = mcx_end_uids(&o->i, o->t_ms, true);
    if (err != MCX_OK && err != MCX_E_ARG) {
        return refuse_world(o, err, "T");
    }
    return err == MCX_OK && narrow(&o->i, uidi->data)
               ? MCX_OK
               : refuse_idr(o, MCX_R_INITIATOR, MCX_ROLE_UIDI);
}

/* ---- signature and replay entry ---------------------------------------- */

/* With each UID that the initiator may have; then, for peers that sign
 * without the payload's header, with each of them once more. */
static size_t
attempts(const struct opening *o)
{
    bool twice = o->how->peer & MCX_PEER_SIGN_WITHOUT_HEADER;

    return twice ? 2 * o->i.n : o->i.n;
}

static void
ask_signature(struct mcx_eccsi_job *job, const struct opening *o)
{
    size_t covered = o->msg->signed_size;

    covered -= o->attempt < o->i.n ? 0 : SIGN_DATA;
    job->id = mcx_end_id(&o->i, o->attempt % o->i.n);
    job->msg = mcx_bytes(o->msg->octets.p, covered);
    job->sig = o->msg->sign;
}

static void
take_verdict(struct opening *o, const struct mcx_eccsi_job *job)
{
    if (job->err == MCX_OK) {
        o->verified = true;
    } else if (job->why.reason == MCX_R_SIGNATURE
               && o->attempt + 1 < attempts(o)) {
        o->attempt++;
    } else {
        o->err = mcx_end_refuse(job->err, &job->why,
                                o->msg->sign_at + SIGN_DATA, o->why);
    }
}

static bool
unverified(const struct opening *o)
{
    return o->err == MCX_OK && !o->verified;
}

/* Those of one KMS together. */
static void
verify_signatures(struct opening *o, size_t n)
{
    struct mcx_eccsi_job job[WAVE];
    struct opening *of[WAVE];
    size_t first, i, k;

    for (first = 0; first < n; first++) {
        while (unverified(&o[first])) {
            for (k = 0, i = first; i < n; i++) {
                if (unverified(&o[i]) && o[i].i.pub == o[first].i.pub) {
                    ask_signature(&job[k], &o[i]);
                    of[k++] = &o[i];
                }
            }
            mcx_eccsi_verify_many(job, k, o[first].i.pub);
            for (i = 0; i < k; i++) {
                take_verdict(of[i], &job[i]);
            }
        }
    }
}

/* When T will have left the window. */
static int64_t
expires_ms(const struct opening *o)
{
    int64_t live = o->t_ms + (MCX_WINDOW_BACK_S + 1) * INT64_C(1000);
    struct mcx_kms_info own;
    uint64_t no;

    if (o->window == MCX_WINDOW_STORED
        && mcx_ring_kms_of(o->how->ring, o->how->self, &own, NULL) == MCX_OK
        && mcx_period_no(&no, &own.period,
                         o->t_ms / 1000 + MCX_NTP_UNIX_DIFF)
               == MCX_OK) {
        int64_t stored = period_start_ms(&own.period, no + 2) + 1000;

        return stored > live ? stored : live;
    }
    return live;
}

static mcx_err
enter_replay(const struct opening *o)
{
    if (!o->how->replay) {
        return MCX_OK;
    }
    return replay_result(o, mcx_replay_enter(o->how->replay, o->km->digest,
                                             o->now_ms, expires_ms(o),
                                             o->how->resume, false));
}

static void
park(const struct opening *o)
{
    if (o->how->replay) {
        mcx_replay_park(o->how->replay, o->km->digest);
    }
}

/* ---- the key ----------------------------------------------------------- */

/* The payload that is sealed to us, and where its data begins. */
static mcx_err
our_sakke(const struct opening *o, struct mcx_sakke_pl *out)
{
    const struct mcx_mikey_msg *m = o->msg;
    size_t i;

    if (!o->km->to_self) {
        *out = m->sakke;
        return MCX_OK;
    }
    for (i = 0; i < m->n_ext; i++) {
        if (m->ext[i].type == MCX_EXT_SAKKE_TO_SELF) {
            struct mcx_rd rd = mcx_rd(m->octets);
            uint8_t next;

            rd = mcx_rd_sub(&rd, m->ext[i].at + EXT_DATA, m->ext[i].data.n);
            MCX_TRY(mcx_pl_sakke_body(out, &rd, &next, o->why));
            if (mcx_rd_left(&rd) > 0) {
                return MCX_REFUSE(o->why, MCX_R_TRAILING, "SAKKE", rd.at,
                                  "TS 33.180 E.5");
            }
            return MCX_OK;
        }
    }
    return MCX_REFUSE(o->why, MCX_R_PAYLOAD_MISSING, "EXT", m->octets.n,
                      "TS 33.180 E.5");
}

/* None of our periods opened it. */
static mcx_err
refuse_sakke(const struct opening *o)
{
    const struct mcx_why *why = &o->sakke_why;

    if (o->missing && (why->reason == MCX_R_NONE
                       || why->reason == MCX_R_SAKKE_CHECK)) {
        return MCX_REFUSE(o->why, MCX_R_NO_PERIOD_KEY, "SAKKE", o->pl.at,
                          "TS 33.180 F.2.1");
    }
    if (why->reason != MCX_R_NONE) {
        return MCX_REFUSE(o->why, why->reason, "SAKKE",
                          o->pl.at + SAKKE_DATA + why->offset,
                          why->clause[0] ? why->clause : "RFC 6508 6.2.2");
    }
    if (o->sakke_err == MCX_E_NO_IDENTITY) {
        return MCX_REFUSE(o->why, MCX_R_NO_USER, "SAKKE", o->pl.at,
                          "TS 33.180 F.2.1");
    }
    return refuse_world(o, o->sakke_err, "SAKKE");
}

/* Takes the key of the next of our periods that there is one for. */
static void
next_key(struct opening *o)
{
    const struct mcx_end *me = o->km->to_self ? &o->i : &o->r;

    while (o->period < me->n) {
        o->sakke_err = mcx_ring_user(o->how->ring, me->uri,
                                     me->no[o->period++], &o->key);
        if (o->sakke_err == MCX_OK) {
            return;
        }
        o->missing |= o->sakke_err == MCX_E_NO_PERIOD;
    }
    o->err = refuse_sakke(o);
}

/* What opening with o->key gave. */
static void
take_opened(struct opening *o, const struct mcx_sakke_job *job)
{
    mcx_user_key_free(o->key);
    o->key = NULL;
    o->sakke_err = job->err;
    o->sakke_why = job->why;
    if (job->err == MCX_OK) {
        o->km->key = job->ssv;
        o->opened = true;
    } else if (job->why.reason != MCX_R_SAKKE_CHECK) {
        o->err = refuse_sakke(o);
    }
}

struct sakke_jobs {
    struct mcx_sakke_job job[WAVE];
};
MCX_SECRET_TYPE(sakke_jobs);

/* With the key of 'o' all of the 'n' that have it. */
static void
open_with(struct opening *o, size_t n)
{
    const struct mcx_user_key *key = o->key;
    MCX_SECRET(sakke_jobs, jobs);
    struct opening *of[WAVE];
    size_t i, k = 0;

    for (i = 0; i < n; i++) {
        if (o[i].key == key) {
            jobs.job[k].enc = o[i].pl.data;
            of[k++] = &o[i];
        }
    }
    mcx_sakke_open_many(jobs.job, k, key);
    for (i = 0; i < k; i++) {
        take_opened(of[i], &jobs.job[i]);
    }
}

static bool
sealed(const struct opening *o)
{
    return o->err == MCX_OK && !o->opened;
}

static void
open_sakke(struct opening *o, size_t n)
{
    size_t i, left;

    for (i = 0; i < n; i++) {
        if (sealed(&o[i])) {
            o[i].sakke_err = MCX_E_NO_PERIOD;
            o[i].err = our_sakke(&o[i], &o[i].pl);
        }
    }
    do { /* a round for each period, of which there are two at most */
        for (i = 0; i < n; i++) {
            if (sealed(&o[i])) {
                next_key(&o[i]);
            }
        }
        for (left = 0, i = 0; i < n; i++) {
            if (o[i].key) {
                open_with(&o[i], n - i);
            }
            left += sealed(&o[i]);
        }
    } while (left > 0);
}

/* SPEC TS 33.180 5.2.3: a GMK's CSB ID is the GUK-ID of the receiver; of
 * SAKKE-to-self, that of the receiver the message was made for. */
static mcx_err
take_ids(const struct opening *o)
{
    struct mcx_key_msg *km = o->km;
    mcx_err err;

    km->key_id = km->csb_id;
    if (!o->diverse) {
        return MCX_OK;
    }
    if (km->responder[0] == '\0') { /* to self, and the other is hidden */
        return refuse_idr(o, MCX_R_RESPONDER, MCX_ROLE_UIDR);
    }
    err = mcx_guk_id(&km->key_id, &km->key, km->csb_id, km->responder);
    return err == MCX_OK ? MCX_OK : refuse_world(o, err, "HDR");
}

static mcx_err
take_params(const struct opening *o)
{
    size_t i;

    for (i = 0; i < o->msg->n_ext; i++) {
        if (o->msg->ext[i].type == MCX_EXT_KEY_PARAMS && !o->kind->params) {
            return MCX_REFUSE(o->why, MCX_R_KEY_PARAMS, "EXT",
                              o->msg->ext[i].at, o->kind->clause);
        }
        if (o->msg->ext[i].type == MCX_EXT_KEY_PARAMS) {
            return mcx_key_params_open(&o->km->params, &o->msg->ext[i],
                                       &o->km->key, o->km->csb_id,
                                       o->how->peer, o->now_ms, o->why);
        }
    }
    return MCX_OK;
}

/* What is public of the message, copied out of the foreign octets. */
static void
take_public(struct opening *o)
{
    struct mcx_key_msg *km = o->km;
    const struct mcx_mikey_msg *m = o->msg;

    km->kind = MCX_KEY_ID_KIND(m->csb_id);
    km->csb_id = m->csb_id;
    km->t = m->t;
    km->t_unix_ms = o->t_ms;
    km->prf = m->prf;
    km->rand_n = m->rand.n; /* at most 255: its length is one octet */
    memcpy(km->rand, m->rand.p, m->rand.n);
    memcpy(km->kms_i, o->i.kms.uri, sizeof km->kms_i);
    if (o->r.pub) {
        memcpy(km->kms_r, o->r.kms.uri, sizeof km->kms_r);
    } else if (m->idr[MCX_ROLE_KMSR].at) {
        (void)take_text(km->kms_r, m->idr[MCX_ROLE_KMSR].data);
    }
}

/* What is said under the key. */
static mcx_err
take_rest(struct opening *o)
{
    MCX_TRY(take_ids(o));
    MCX_TRY(recover_initiator(o));
    MCX_TRY(take_params(o));
    return mcx_profile_of(&o->km->sp, o->msg, o->km->kind, o->why);
}

/* ---- waves ------------------------------------------------------------- */

static bool
complete(const struct mcx_mikey_msg *msg, const struct mcx_open *how)
{
    return msg && msg->n_pl > 0 && how && how->env && how->ring && how->self
           && how->self[0] && (!how->from || how->from[0])
           && (!how->to || how->to[0]);
}

/* All that is judged of the message by itself and needs nobody. */
static mcx_err
begin(struct opening *o)
{
    if (!complete(o->msg, o->how)) {
        return MCX_E_ARG;
    }
    o->now_ms = o->how->env->unix_ms(o->how->env->ctx);
    o->t_ms = mcx_ntp_to_unix_ms(o->msg->t, o->now_ms);
    MCX_TRY(check_shape(o));
    MCX_TRY(check_purpose(o));
    MCX_TRY(check_time(o));
    return take_digest(o);
}

/* And with the help of replay cache and ring. */
static mcx_err
look(struct opening *o)
{
    MCX_TRY(check_replay(o));
    return check_identities(o);
}

/* The same message as one of the 'n' still on their way? */
static bool
is_twin(const struct opening *o, const struct opening *wave, size_t n)
{
    struct mcx_bytes digest = mcx_bytes(o->km->digest,
                                        sizeof o->km->digest);
    size_t i;

    for (i = 0; i < n; i++) {
        if (wave[i].err == MCX_OK
            && mcx_bytes_eq(digest, mcx_bytes(wave[i].km->digest,
                                              digest.n))) {
            return true;
        }
    }
    return false;
}

/* Puts 'o' behind the 'n' of its wave; false: it has to wait for them. */
static bool
join(struct opening *o, const struct opening *wave, size_t n)
{
    mcx_wipe(o->km, sizeof *o->km);
    o->err = begin(o);
    if (o->err == MCX_OK) {
        if (is_twin(o, wave, n)) {
            return false;
        }
        o->err = look(o);
    }
    return true;
}

/* What the caller gets to see of a message that waits for its key. */
static void
keep_parked(struct mcx_key_msg *km)
{
    MCX_SECRET(mcx_key_msg, out);

    out.csb_id = km->csb_id;
    memcpy(out.initiator, km->initiator, sizeof out.initiator);
    memcpy(out.digest, km->digest, sizeof out.digest);
    mcx_wipe(km, sizeof *km);
    *km = out;
}

static void
finish(struct opening *o)
{
    /* It may be tried again: the period key may come, memory may return. */
    if (o->entered && (o->err == MCX_E_NO_PERIOD
                       || mcx_err_class(o->err) == MCX_CLASS_WORLD)) {
        park(o);
    }
    if (o->err == MCX_E_EXPIRED && o->km->params.present) {
        /* SPEC TS 33.180 5.2.4: the sender revokes.  The message is good, and
         * all of it may be known but the key. */
        mcx_ssv_wipe(&o->km->key);
    } else if (o->err == MCX_E_NO_PERIOD) { /* good, and to be parked */
        keep_parked(o->km);
    } else if (o->err != MCX_OK) {
        mcx_wipe(o->km, sizeof *o->km);
    }
    mcx_kms_pub_free(o->i.pub);
    mcx_kms_pub_free(o->r.pub);
}

/* Takes the wave through what is left. */
static void
run(struct opening *o, size_t n)
{
    size_t i;

    verify_signatures(o, n);
    for (i = 0; i < n; i++) {
        if (o[i].err == MCX_OK) {
            o[i].err = enter_replay(&o[i]);
            o[i].entered = o[i].err == MCX_OK;
        }
        if (o[i].entered) {
            take_public(&o[i]);
        }
    }
    open_sakke(o, n);
    for (i = 0; i < n; i++) {
        if (o[i].err == MCX_OK) {
            o[i].err = take_rest(&o[i]);
        }
        finish(&o[i]);
    }
}

mcx_err
mcx_mikey_open(struct mcx_key_msg *out, const struct mcx_mikey_msg *msg,
               const struct mcx_open *how, struct mcx_why *why)
{
    struct opening o = { .msg = msg, .how = how, .why = why, .km = out };

    (void)join(&o, NULL, 0);
    run(&o, 1);
    return o.err;
}

void
mcx_mikey_open_many(struct mcx_open_job *job, size_t n)
{
    struct opening *o = n > 1 ? calloc(WAVE, sizeof *o) : NULL;
    size_t done = 0, k, i;

    while (o && done < n) {
        for (k = 0; k < WAVE && done + k < n; k++) {
            struct mcx_open_job *j = &job[done + k];

            j->why = (struct mcx_why){ 0 };
            o[k] = (struct opening){ .msg = j->msg, .how = j->how,
                                     .why = &j->why, .km = j->out };
            if (!join(&o[k], o, k)) {
                break;
            }
        }
        run(o, k);
        for (i = 0; i < k; i++) {
            job[done++].err = o[i].err;
        }
    }
    free(o);
    for (; done < n; done++) { /* one, or no memory for more */
        job[done].why = (struct mcx_why){ 0 };
        job[done].err = mcx_mikey_open(job[done].out, job[done].msg,
                                       job[done].how, &job[done].why);
    }
}
