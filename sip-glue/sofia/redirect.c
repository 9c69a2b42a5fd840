/* redirect.c -- KMS redirect responses (TS 33.180 5.2.8, D.4), both ways.
 *
 * Called by incoming.c and call_in.c for the body of a 488, and by outgoing.c
 * for a 488 to a request of ours.  Made: when an I_MESSAGE names a KMS, for us
 * or for its sender, that we do not take.  That is found before the signature
 * can be judged, so nothing is said in it but what the message said and which
 * KMS we belong to.  Obeyed: once a request, and only to a KMS that our
 * settings list and whose certificate is there; it must be about the very
 * message that was sent, whose digest stands in it, and no older than such a
 * message may be.
 *
 * Signatures (X.509, D.4): ours when `redirect-cert` and `redirect-key` are
 * set; of others, against `redirect-ca` and the CRLs of `redirect-crl`, read
 * anew each time since they end, unless `redirect-unsigned = yes`.  One is
 * judged on the loop, at most once for a request of ours; ours are
 * made on the pool, where the refusal was found. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "sofia/glue.h"

static const char CLAUSE[] = "TS 33.180 5.2.8";
/* As for the I_MESSAGEs of live exchanges. */
enum { WINDOW_MS = 300000 };

static bool
is_yes(mcx_t *mcx, const char *name, bool fallback)
{
    const char *v = mcx_setting(mcx, NULL, name);

    return v ? strcmp(v, "yes") == 0 : fallback;
}

/* ---- settings ---------------------------------------------------------- */

enum { PEM_MAX = 65536, CRL_MAX = 1048576 };

static mcx_err
read_pem(struct mcxs_pem *out, mcx_t *mcx, const char *name, size_t max,
         struct mcx_text *text)
{
    const char *path = mcx_setting(mcx, NULL, name);
    char *s = NULL;
    size_t n = 0;

    if (!path) {
        return MCX_OK;
    }
    if (mcx->env->read_file(mcx->env->ctx, path, max, &s, &n) == MCX_OK
        && n > 0) {
        out->p = mcx_guard_new(n);
    }
    if (out->p) {
        memcpy(out->p, s, n);
        out->n = n;
    }
    mcx_kms_text_free(s, n);
    if (!out->p) {
        snprintf(text->s, sizeof text->s, "%s = %.200s: cannot be read",
                 name, path);
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

static struct mcx_bytes
pem(const struct mcxs_pem *p)
{
    return mcx_bytes(p->p, p->n);
}

/* One of authorities or of CRLs: whole, or none of it. */
static mcx_err
read_trust(struct mcxs_pem *out, mcx_t *mcx, const char *name,
           enum mcx_x509_kind kind, struct mcx_text *text)
{
    struct mcxs_pem file = { NULL, 0 };
    struct mcx_x509_fault fault = { 0, 0, "" };
    mcx_err err;

    err = read_pem(&file, mcx, name, kind == MCX_X509_CRLS ? CRL_MAX : PEM_MAX,
                   text);
    if (err == MCX_OK && file.p) {
        err = mcx_x509_pem_check(pem(&file), kind, &fault);
    }
    if (err == MCX_E_CONFIG && file.p) {
        const char *path = mcx_setting(mcx, NULL, name);

        if (fault.line > 0) {
            snprintf(text->s, sizeof text->s, "%s = %.200s: block %u, line "
                     "%d: %s", name, path, fault.block, fault.line,
                     fault.what);
        } else {
            snprintf(text->s, sizeof text->s, "%s = %.200s: %s", name, path,
                     fault.what);
        }
    } else if (err == MCX_E_NOMEM) {
        snprintf(text->s, sizeof text->s, "%s: no memory", name);
    }
    if (err == MCX_OK) {
        *out = file;
    } else {
        mcx_guard_free(file.p);
    }
    return err;
}

/* The authorities and, if there shall be some, the CRLs of now. */
static mcx_err
read_all_trust(struct mcxs_pem *out, mcx_t *mcx, struct mcx_text *text)
{
    struct mcxs_pem crl = { NULL, 0 };
    mcx_err err = MCX_OK;

    *out = (struct mcxs_pem) { NULL, 0 };
    MCX_TRY(read_trust(&crl, mcx, "redirect-crl", MCX_X509_CRLS, text));
    out->n = mcx->krr_ca.n + crl.n + 1;
    out->p = mcx_guard_new(out->n);
    if (out->p) {
        memcpy(out->p, mcx->krr_ca.p, mcx->krr_ca.n);
        out->p[mcx->krr_ca.n] = '\n'; /* its last line may not have ended */
        if (crl.n > 0) {
            memcpy(out->p + mcx->krr_ca.n + 1, crl.p, crl.n);
        }
    } else {
        snprintf(text->s, sizeof text->s, "no memory");
        err = MCX_E_NOMEM;
    }
    mcx_guard_free(crl.p);
    return err;
}

mcx_err
mcxs_redirect_start(mcx_t *mcx, struct mcx_text *text)
{
    uint8_t sig[MCX_X509_SIG_SIZE];
    struct mcxs_pem crl = { NULL, 0 };
    bool has_crl;

    MCX_TRY(read_trust(&mcx->krr_ca, mcx, "redirect-ca", MCX_X509_CERTS,
                       text));
    MCX_TRY(read_trust(&crl, mcx, "redirect-crl", MCX_X509_CRLS, text));
    has_crl = crl.p != NULL;
    mcx_guard_free(crl.p); /* the one of then will be read then */
    if (has_crl && !mcx->krr_ca.p) {
        snprintf(text->s, sizeof text->s, "redirect-crl without redirect-ca");
        return MCX_E_CONFIG;
    }
    MCX_TRY(read_pem(&mcx->krr_cert, mcx, "redirect-cert", PEM_MAX, text));
    MCX_TRY(read_pem(&mcx->krr_key, mcx, "redirect-key", PEM_MAX, text));
    if (!mcx->krr_cert.p != !mcx->krr_key.p) {
        snprintf(text->s, sizeof text->s,
                 "redirect-cert and redirect-key: both or neither");
        return MCX_E_CONFIG;
    }
    if (mcx->krr_key.p
        && mcx_x509_sign(sig, pem(&mcx->krr_key), mcx_bytes_str("try"))
               != MCX_OK) {
        snprintf(text->s, sizeof text->s,
                 "redirect-key: expected a P-256 key in PEM");
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

void
mcxs_redirect_stop(mcx_t *mcx)
{
    mcx_guard_free(mcx->krr_ca.p);
    mcx_guard_free(mcx->krr_cert.p);
    mcx_guard_free(mcx->krr_key.p);
}

/* ---- made -------------------------------------------------------------- */

/* The KMS role that the refusal is about; MCX_ROLE_COUNT: none. */
static unsigned
role_of(const struct mcx_why *why)
{
    bool kms = why->reason == MCX_R_NO_KMS || why->reason == MCX_R_RESPONDER
               || why->reason == MCX_R_INITIATOR
               || why->reason == MCX_R_CERT_REVOKED;

    if (!kms || !why->payload) {
        return MCX_ROLE_COUNT;
    }
    return strcmp(why->payload, "IDRkmsr") == 0   ? MCX_ROLE_KMSR
           : strcmp(why->payload, "IDRkmsi") == 0 ? MCX_ROLE_KMSI
                                                  : MCX_ROLE_COUNT;
}

/* Copies a view as a text; a NUL in it, or no room, makes it "". */
static void
text_of(char out[MCX_URI_MAX], struct mcx_bytes b)
{
    bool fits = b.n > 0 && b.n < MCX_URI_MAX && !memchr(b.p, '\0', b.n);

    if (fits) {
        memcpy(out, b.p, b.n);
    }
    out[fits ? b.n : 0] = '\0';
}

struct own {
    struct mcx_krr *krr;
    const char *self;
};

/* With the ring locked. */
static void
add_own(void *arg, const char *uri, const char *kms_uri, uint64_t no)
{
    struct own *own = arg;
    struct mcx_krr *krr = own->krr;

    (void)no;
    if (strcmp(uri, own->self) != 0 || krr->n_kms == MCX_KRR_KMS_MAX
        || strcmp(kms_uri, krr->rejected_kms) == 0) {
        return;
    }
    for (size_t i = 0; i < krr->n_kms; i++) {
        if (strcmp(krr->kms[i], kms_uri) == 0) {
            return;
        }
    }
    snprintf(krr->kms[krr->n_kms++], MCX_URI_MAX, "%s", kms_uri);
}

static void
fill(struct mcx_krr *krr, mcx_t *mcx, const struct mcx_mikey_msg *msg,
     unsigned role)
{
    const char *self = mcx->host.table.self;
    struct own own = { krr, self };

    text_of(krr->initiator, msg->idr[MCX_ROLE_I].data);
    text_of(krr->rejected_kms, msg->idr[role].data);
    snprintf(krr->receiver, sizeof krr->receiver, "%s", self);
    snprintf(krr->entity, sizeof krr->entity, "%s", self);
    krr->bound = mcx_x509_digest(krr->message, msg->octets) == MCX_OK;
    krr->time_unix_ms = mcx->env->unix_ms(mcx->env->ctx);
    mcx_ring_each(mcx->host.table.ring, add_own, &own);
}

/* Unsigned, it is of use to those who ask for no signature. */
static void
sign_it(struct mcxs_krr *out, mcx_t *mcx)
{
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    if (!mcx->krr_key.p) {
        return;
    }
    err = mcx_krr_sign(&xml, &n, mcx_bytes(out->xml, out->n),
                       pem(&mcx->krr_cert), pem(&mcx->krr_key));
    if (err != MCX_OK) {
        mcx_log(mcx->env, MCX_AREA_SIP, 3,
                "KMS redirect response not signed: %s", mcx_err_text(err));
        return;
    }
    mcx_kms_text_free(out->xml, out->n);
    out->xml = xml;
    out->n = n;
}

void
mcxs_redirect_make(struct mcxs_krr *out, mcx_t *mcx, struct mcx_bytes mikey,
                   const struct mcx_why *why)
{
    unsigned role = role_of(why);
    struct mcx_mikey_msg *msg;
    struct mcx_krr *krr;
    struct mcx_why ignored;

    out->xml = NULL;
    out->n = 0;
    if (role == MCX_ROLE_COUNT || !is_yes(mcx, "redirect", true)) {
        return;
    }
    msg = calloc(1, sizeof *msg);
    krr = calloc(1, sizeof *krr);
    if (msg && krr && mcx_mikey_parse(msg, mikey, &ignored) == MCX_OK
        && msg->idr[role].at) {
        fill(krr, mcx, msg, role);
        /* A hidden initiator, or another KMS than ours there is not: the
         * writer says so, and the 488 goes without. */
        if (mcx_krr_write(&out->xml, &out->n, krr) == MCX_OK) {
            sign_it(out, mcx);
            mcxh_count(&mcx->host.counters, "sip.redirect-made");
        }
    }
    free(msg);
    free(krr);
}

void
mcxs_redirect_make_sdp(struct mcxs_krr *out, mcx_t *mcx, struct mcx_bytes sdp,
                       const struct mcx_why *why)
{
    struct mcx_sdp_view *view;
    struct mcx_why ignored;
    uint8_t *octets;
    size_t n = MCX_MIKEY_MAX;

    out->xml = NULL;
    out->n = 0;
    if (role_of(why) == MCX_ROLE_COUNT) {
        return;
    }
    view = calloc(1, sizeof *view);
    octets = malloc(n);
    if (view && octets && mcx_sdp_scan(view, sdp, true, &ignored) == MCX_OK
        && view->n_km > 0
        && mcx_keymgmt_read(octets, &n, view->km[0].value, &ignored)
               == MCX_OK) {
        mcxs_redirect_make(out, mcx, mcx_bytes(octets, n), why);
    }
    free(view);
    free(octets);
}

/* ---- ours, on the way --------------------------------------------------- */

void
mcxs_redirect_note(struct mcxs_out *o)
{
    const struct mcx_out *out = &o->out;
    uint8_t *octets = NULL;
    size_t n = MCX_MIKEY_MAX;
    struct mcx_why ignored;

    o->digested = false;
    for (size_t i = 0; i < out->n_parts; i++) {
        if (strcmp(out->part[i].type, MCX_MIME_MIKEY) == 0) {
            o->digested = mcx_x509_digest(o->digest,
                                          mcx_bytes(out->part[i].body,
                                                    out->part[i].n))
                          == MCX_OK;
            return;
        }
    }
    octets = out->sdp_value ? malloc(n) : NULL;
    if (octets
        && mcx_keymgmt_read(octets, &n, mcx_bytes_str(out->sdp_value),
                            &ignored) == MCX_OK) {
        o->digested = mcx_x509_digest(o->digest, mcx_bytes(octets, n))
                      == MCX_OK;
    }
    free(octets);
}

/* ---- obeyed ------------------------------------------------------------ */

/* Whom the key of 'o' is sealed to. */
static const char *
receiver_of(const struct mcxs_out *o)
{
    const struct mcx_host *host = &o->mcx->host.table;
    bool upload = o->out.purpose == MCX_FOR_REGISTER
                  || o->out.purpose == MCX_FOR_PUBLISH;

    if (!upload) {
        return o->out.peer;
    }
    return host->psi[0] || host->role == MCX_ROLE_CLIENT ? host->psi
                                                         : host->self;
}

static bool
listed(mcx_t *mcx, const char *kms)
{
    const char *s = mcx_setting(mcx, NULL, "redirect-kms");
    size_t n;

    for (; s && *s; s += n) {
        s += strspn(s, " \t,");
        n = strcspn(s, " \t,");
        if (n == strlen(kms) && strncmp(s, kms, n) == 0 && n > 0) {
            return true;
        }
    }
    return false;
}

/* Is there a certificate of 'kms' that is good now? */
static bool
usable(mcx_t *mcx, const char *kms)
{
    int64_t now_s = mcx->env->unix_ms(mcx->env->ctx) / 1000;
    struct mcx_kms_info info;

    return mcx_ring_kms(mcx->host.table.ring, mcx_bytes_str(kms), &info, NULL)
               == MCX_OK
           && !info.revoked
           && (info.valid_from_unix == 0 || now_s >= info.valid_from_unix)
           && (info.valid_to_unix == 0 || now_s <= info.valid_to_unix);
}

/* A time that is there counts, whatever else is asked for. */
static mcx_err
fresh(mcx_t *mcx, const struct mcx_krr *krr, struct mcx_why *why)
{
    int64_t now_ms = mcx->env->unix_ms(mcx->env->ctx);

    if (krr->time_unix_ms > 0 && krr->time_unix_ms < now_ms - WINDOW_MS) {
        return MCX_REFUSE(why, MCX_R_TOO_OLD, "KRR", 0, CLAUSE);
    }
    if (krr->time_unix_ms > 0 && krr->time_unix_ms > now_ms + WINDOW_MS) {
        return MCX_REFUSE(why, MCX_R_TOO_NEW, "KRR", 0, CLAUSE);
    }
    return MCX_OK;
}

/* Is it about what we sent? */
static mcx_err
about_ours(const struct mcxs_out *o, const struct mcx_krr *krr,
           struct mcx_why *why)
{
    const char *to = receiver_of(o), *kms = o->out.kms;
    struct mcx_kms_info used;

    if (strcmp(krr->initiator, o->mcx->host.table.self) != 0) {
        return MCX_REFUSE(why, MCX_R_INITIATOR, "KRR", 0, CLAUSE);
    }
    if (!to[0] || strcmp(krr->receiver, to) != 0) {
        return MCX_REFUSE(why, MCX_R_RESPONDER, "KRR", 0, CLAUSE);
    }
    /* Our own KMS may be the one that is not taken; there is no other. */
    if (!kms && mcx_ring_kms_of(o->mcx->host.table.ring, to, &used, NULL)
                    == MCX_OK) {
        kms = used.uri;
    }
    if (!kms || strcmp(kms, krr->rejected_kms) != 0) {
        return MCX_REFUSE(why, MCX_R_NO_KMS, "KRR", 0, CLAUSE);
    }
    /* An answer to another of our messages, however good its signature. */
    if (krr->bound
        && (!o->digested
            || !mcx_bytes_eq(mcx_bytes(o->digest, sizeof o->digest),
                             mcx_bytes(krr->message,
                                       sizeof krr->message)))) {
        return MCX_REFUSE(why, MCX_R_REPLAYED, "KRR", 0, CLAUSE);
    }
    return fresh(o->mcx, krr, why);
}

/* Did the one it is from, the receiver, sign it?  Somebody between us, whose
 * document may embed the receiver's, is not believed by this. */
static mcx_err
check_signature(const struct mcxs_out *o, const struct mcx_krr *krr,
                struct mcx_bytes xml, struct mcx_why *why)
{
    mcx_t *mcx = o->mcx;
    struct mcx_text text = { "no redirect-ca is set" };
    struct mcxs_pem trust = { NULL, 0 };
    mcx_err err = MCX_E_POLICY;

    if (is_yes(mcx, "redirect-unsigned", false)) {
        return MCX_OK;
    }
    if ((!krr->bound || krr->time_unix_ms == 0)
        && !is_yes(mcx, "redirect-unbound", false)) {
        snprintf(text.s, sizeof text.s, "it does not say which message it is "
                 "about, or since when (redirect-unbound)");
    } else if (strcmp(krr->entity, krr->receiver) != 0) {
        snprintf(text.s, sizeof text.s, "it is not the receiver's own");
    } else if (mcx->krr_ca.p) {
        err = read_all_trust(&trust, mcx, &text);
        if (err == MCX_OK) {
            err = mcx_krr_verify(xml, krr->entity, pem(&trust),
                                 mcx->env->unix_ms(mcx->env->ctx) / 1000,
                                 &text);
        }
        mcx_guard_free(trust.p);
    }
    if (err == MCX_OK || err == MCX_E_NOMEM) {
        return err;
    }
    mcx_log(mcx->env, MCX_AREA_SIP, 5, "KMS redirect response: %s", text.s);
    return MCX_REFUSE(why, MCX_R_SIGNATURE, "KRR", 0, "TS 33.180 D.4");
}

/* The first of those proposed that we may and can use. */
static mcx_err
choose(struct mcxs_out *o, const struct mcx_krr *krr, struct mcx_bytes xml,
       struct mcx_why *why)
{
    MCX_TRY(about_ours(o, krr, why));
    MCX_TRY(check_signature(o, krr, xml, why));
    for (size_t i = 0; i < krr->n_kms; i++) {
        if (listed(o->mcx, krr->kms[i]) && usable(o->mcx, krr->kms[i])) {
            o->out.kms = su_strdup(o->home, krr->kms[i]);
            return o->out.kms ? MCX_OK : MCX_E_NOMEM;
        }
    }
    return MCX_REFUSE(why, MCX_R_NO_KMS, "KRR", 0, CLAUSE);
}

static mcx_err
follow(struct mcxs_out *o, struct mcx_bytes xml, struct mcx_why *why)
{
    struct mcx_krr *krr = calloc(1, sizeof *krr);
    struct mcx_text text = { "" };
    mcx_err err = krr ? mcx_krr_read(krr, xml, &text) : MCX_E_NOMEM;

    if (mcx_err_class(err) == MCX_CLASS_BYTES
        || mcx_err_class(err) == MCX_CLASS_TRUST) {
        mcx_log(o->mcx->env, MCX_AREA_SIP, 5, "KMS redirect response: %s",
                text.s);
        err = MCX_REFUSE(why, MCX_R_XML, "KRR", 0, "TS 33.180 D.4");
    }
    if (err == MCX_OK) {
        err = choose(o, krr, xml, why);
    }
    free(krr);
    return err;
}

/* The body's one document; no octets: there is none, or the type lies. */
static const struct mcx_part *
part_of(struct mcxs_body *body, su_home_t *home, sip_t const *sip)
{
    char *type = mcxs_content_type(home, sip);
    struct mcx_why ignored;

    if (!type || !sip->sip_payload
        || mcxs_mime_unfold(body,
                            mcx_bytes(sip->sip_payload->pl_data,
                                      sip->sip_payload->pl_len),
                            type, &ignored) != MCX_OK) {
        return NULL;
    }
    return mcxs_mime_find(body, MCX_MIME_KRR);
}

bool
mcxs_redirect_obey(struct mcxs_out *o, sip_t const *sip)
{
    su_home_t home[1] = { SU_HOME_INIT(home) };
    const struct mcx_part *part = NULL;
    struct mcxs_body body = { 0 };
    struct mcx_why why = { 0 };
    mcx_t *mcx = o->mcx;
    mcx_err err = MCX_E_NO_KEY; /* no document */

    if (sip && sip->sip_content_type && o->out.key) {
        part = part_of(&body, home, sip);
    }
    if (part && !part->embedded) {
        err = follow(o, part->body, &why);
        if (err != MCX_OK) {
            mcxh_count(&mcx->host.counters, "sip.redirect-refused");
            mcxs_refused(mcx, MCX_AREA_SIP, 488, err, &why, receiver_of(o));
        }
    }
    if (err == MCX_OK) {
        mcxh_count(&mcx->host.counters, "sip.redirect-obeyed");
        mcx_log(mcx->env, MCX_AREA_SIP, 3, "%s does not take the KMS that its "
                "certificate names: once more, under %s", receiver_of(o),
                o->out.kms);
        if (mcx->callback) {
            mcx->callback(mcx_i_redirect, 488, "OK", mcx, mcx->magic, o->nh,
                          (tagi_t[]) { { MCXTAG_PEER(receiver_of(o)) },
                                       { MCXTAG_KMS(o->out.kms) },
                                       { TAG_END() } });
        }
    }
    mcxs_mime_free(&body);
    su_home_deinit(home);
    return err == MCX_OK;
}
