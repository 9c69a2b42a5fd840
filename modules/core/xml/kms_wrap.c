/* kms_wrap.c -- keys in KMS responses, wrapped with the transport key.  See
 * mcx_kmssec.h.
 *
 * Called by the KMS on its way out and by module kms on its way in.  A
 * document is not taken apart and written anew: everything but the keys stays
 * octet for octet, so what follows judges what came.
 *
 * TS 33.180 9.3.4.2 names RFC 3394, which takes multiples of 8 octets; an RSK
 * has 257 and a PVT 65.  How that is meant nobody has written down, so every
 * form in the field is opened, and the one that we make is a setting. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "out.h"
#include "sig.h"
#include "tree.h"

#define NS_XENC "http://www.w3.org/2001/04/xmlenc#"
#define ALG_KW NS_XENC "kw-aes256"
#define ALG_GCM "http://www.w3.org/2009/xmlenc11#aes256-gcm"

static const char D3[] = "TS 33.180 9.3.4.2, D.3";

enum {
    BIN_MAX = MCX_KW_PLAIN_MAX + MCX_KW_MORE,
    /* Longest key in the longest form: hexadecimal text of an RSK. */
    KEY_MAX = 2 * MCX_RSK_SIZE
};

/* SECRET: the octets of one key on their way. */
struct kms_octets {
    uint8_t b[BIN_MAX];
    size_t n;
};
MCX_SECRET_TYPE(kms_octets);

struct kind {
    const char *name;
    size_t size;
    bool point;  /* begins with 04 */
    bool secret; /* may have to come wrapped */
};
static const struct kind kinds[] = {
    { "UserDecryptKey", MCX_RSK_SIZE, true, true },
    { "UserSigningKeySSK", MCX_SSK_SIZE, false, true },
    { "UserPubTokenPVT", MCX_ECCSI_PT_SIZE, true, false },
    { "NewTransportKey", MCX_KW_KEY_SIZE, false, true },
    { "NewIntegrityKey", MCX_KW_KEY_SIZE, false, true },
};
enum { N_KINDS = sizeof kinds / sizeof *kinds, NEW_TRK = 3 };

static const struct kind *
kind_of(const struct mcx_xml *x)
{
    size_t i;

    for (i = 0; i < N_KINDS; i++) {
        if (strcmp(x->name, kinds[i].name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* The next element in document order; 'within': children of 'x' come next. */
static const struct mcx_xml *
walk(const struct mcx_xml *x, bool within)
{
    if (within && x->first) {
        return x->first;
    }
    while (x && !x->next) {
        x = x->parent;
    }
    return x ? x->next : NULL;
}

/* ---- wrapping ---------------------------------------------------------- */

struct wrapping {
    struct mcx_out o;
    struct mcx_bytes plain;
    size_t done; /* octets of 'plain' that are written or left out */
    const struct mcx_tkey *trk;
    enum mcx_kms_form form;
    const struct mcx_tkeys *fresh;
    const struct mcx_env *env;
};

static void
up_to(struct wrapping *w, size_t at)
{
    mcx_out_octets(&w->o, mcx_bytes(w->plain.p + w->done, at - w->done));
    w->done = at;
}

static mcx_err
cipher(struct wrapping *w, const struct mcx_kw_key *key,
       enum mcx_kw_form form, struct mcx_bytes plain)
{
    uint8_t bin[KEY_MAX + MCX_KW_MORE];
    char b64[MCX_B64_SIZE(sizeof bin)];
    size_t n = 0;

    if (plain.n > KEY_MAX) {
        return MCX_E_ARG;
    }
    MCX_TRY(mcx_kw_wrap(bin, &n, key, form, plain, w->env));
    MCX_TRY(mcx_b64_encode(b64, sizeof b64, mcx_bytes(bin, n)));
    mcx_out_raw(&w->o, "<CipherData><CipherValue>");
    mcx_out_raw(&w->o, b64);
    mcx_out_raw(&w->o, "</CipherValue></CipherData>");
    return MCX_OK;
}

/* An EncryptedKey with the name of the key that opens it. */
static void
open_key(struct wrapping *w, const char *alg)
{
    mcx_out_raw(&w->o, "<EncryptedKey xmlns=\"" NS_XENC "\">"
                       "<EncryptionMethod Algorithm=\"");
    mcx_out_raw(&w->o, alg);
    mcx_out_raw(&w->o, "\"/><KeyInfo xmlns=\"" MCX_SIG_NS "\">");
}

static void
key_name(struct wrapping *w)
{
    mcx_out_raw(&w->o, "<KeyName>");
    mcx_out_text(&w->o, w->trk->id);
    mcx_out_raw(&w->o, "</KeyName></KeyInfo>");
}

static mcx_err
encrypted_key(struct wrapping *w, struct mcx_bytes key, bool point,
              const char *carried)
{
    if (w->form == MCX_KMS_FORM_NESTED) {
        MCX_SECRET(mcx_kw_key, once);

        MCX_TRY(w->env->random(w->env->ctx, once.b, sizeof once.b));
        open_key(w, ALG_GCM);
        open_key(w, ALG_KW);
        key_name(w);
        MCX_TRY(cipher(w, &w->trk->key, MCX_KW_RFC3394,
                       mcx_bytes(once.b, sizeof once.b)));
        mcx_out_raw(&w->o, "</EncryptedKey></KeyInfo>");
        MCX_TRY(cipher(w, &once, MCX_KW_GCM, key));
    } else {
        bool bare = w->form == MCX_KMS_FORM_BARE;

        if (bare && point) {
            key.p++;
            key.n--;
        }
        open_key(w, ALG_KW);
        key_name(w);
        MCX_TRY(cipher(w, &w->trk->key,
                       bare ? MCX_KW_RFC3394 : MCX_KW_RFC5649, key));
    }
    if (carried) {
        mcx_out_raw(&w->o, "<CarriedKeyName>");
        mcx_out_text(&w->o, carried);
        mcx_out_raw(&w->o, "</CarriedKeyName>");
    }
    mcx_out_raw(&w->o, "</EncryptedKey>");
    return MCX_OK;
}

static mcx_err
element(struct wrapping *w, const struct kind *kind, struct mcx_bytes key,
        const char *carried)
{
    mcx_out_raw(&w->o, "<");
    mcx_out_raw(&w->o, kind->name);
    mcx_out_raw(&w->o, " xsi:type=\"EncKeyContentType\">");
    MCX_TRY(encrypted_key(w, key, kind->point, carried));
    mcx_out_raw(&w->o, "</");
    mcx_out_raw(&w->o, kind->name);
    mcx_out_raw(&w->o, ">");
    return MCX_OK;
}

static mcx_err
wrap_one(struct wrapping *w, const struct kind *kind,
         const struct mcx_xml *x)
{
    MCX_SECRET(kms_octets, key);
    struct mcx_bytes text;

    if (!mcx_xml_text(&text, x) || kind - kinds >= NEW_TRK
        || mcx_hex_decode(key.b, kind->size, text, NULL) != MCX_OK) {
        return MCX_E_ARG;
    }
    up_to(w, x->at);
    MCX_TRY(element(w, kind, mcx_bytes(key.b, kind->size), NULL));
    w->done = x->end;
    return MCX_OK;
}

/* 'x' is a KmsInit or KmsKeyProv: its type, and the new keys at its end. */
static mcx_err
add_fresh(struct wrapping *w, const struct mcx_xml *x)
{
    const struct mcx_tkey *both[] = { &w->fresh->trk, &w->fresh->ink };
    size_t i, at = x->end;

    while (at > x->at && w->plain.p[at - 1] != '<') {
        at--;
    }
    up_to(w, at > x->at ? at - 1 : at);
    for (i = 0; i < 2; i++) {
        if (!both[i]->id[0]) {
            continue;
        }
        mcx_out_raw(&w->o, "  ");
        MCX_TRY(element(w, &kinds[NEW_TRK + i],
                        mcx_bytes(both[i]->key.b, sizeof both[i]->key.b),
                        both[i]->id));
        mcx_out_raw(&w->o, "\n    ");
    }
    return MCX_OK;
}

static mcx_err
wrap_all(struct wrapping *w, const struct mcx_xml *root)
{
    const struct mcx_xml *msg = mcx_xml_child(root, "KmsMessage"), *x;
    const struct mcx_xml *body = msg ? msg->first : NULL;
    bool adds = w->fresh && body
                && (strcmp(body->name, "KmsInit") == 0
                    || strcmp(body->name, "KmsKeyProv") == 0);

    if (adds) {
        up_to(w, body->at + 1 + strlen(body->name));
        mcx_out_raw(&w->o, strcmp(body->name, "KmsInit") == 0
                               ? " xsi:type=\"KmsInitTkIkType\""
                               : " xsi:type=\"KmsKeyProvTkIkType\"");
    }
    for (x = root; x; x = walk(x, true)) {
        const struct kind *kind = kind_of(x);

        if (kind) {
            MCX_TRY(wrap_one(w, kind, x));
        }
    }
    if (adds) {
        MCX_TRY(add_fresh(w, body));
    }
    up_to(w, w->plain.n);
    return MCX_OK;
}

mcx_err
mcx_kms_wrap(char **out, size_t *n, struct mcx_bytes plain,
             const struct mcx_tkey *trk, enum mcx_kms_form form,
             const struct mcx_tkeys *fresh, const struct mcx_env *env)
{
    struct wrapping w = { .plain = plain, .trk = trk, .form = form,
                          .fresh = fresh, .env = env };
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err;

    *out = NULL;
    *n = 0;
    if (!mcx_tkey_id_ok(trk->id)) {
        return MCX_E_ARG;
    }
    err = mcx_xml_read(&root, plain, MCX_KMS_XML_MAX, &fault);
    if (err != MCX_OK) {
        return err == MCX_E_NOMEM ? err : MCX_E_ARG;
    }
    err = strcmp(root->name, "KmsResponse") == 0 ? wrap_all(&w, root)
                                                 : MCX_E_ARG;
    mcx_xml_free(root);
    if (err != MCX_OK) {
        mcx_kms_text_free(w.o.p, w.o.n);
        return w.o.failed ? MCX_E_NOMEM : err;
    }
    return mcx_out_take(&w.o, out, n);
}

/* ---- opening ----------------------------------------------------------- */

struct opening {
    struct mcx_out o;
    struct mcx_bytes plain;
    size_t done;
    const struct mcx_tkey *trk;
    bool must;
    struct mcx_tkeys *fresh;
    struct mcx_text *text;
};

static mcx_err
refuse(struct opening *w, mcx_err err, const struct mcx_xml *at,
       const char *name, const char *what)
{
    if (w->text) {
        (void)snprintf(w->text->s, sizeof w->text->s, "line %d: %s: %s (%s)",
                       at->line, name, what, D3);
    }
    return err;
}

static bool
is_hex(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (!strchr("0123456789abcdefABCDEF", s[i])) {
            return false;
        }
    }
    return n > 0 && n % 16 == 0;
}

/* CipherData/CipherValue, in base64 or, as one KMS has it, hexadecimal: whole
 * steps of 8 octets of nothing but digits are that. */
static mcx_err
cipher_value(struct opening *w, struct kms_octets *out,
             const struct mcx_xml *enc, const char *name)
{
    const struct mcx_xml *data = mcx_xml_child(enc, "CipherData");
    const struct mcx_xml *x = data ? mcx_xml_child(data, "CipherValue")
                                   : NULL;
    char s[2 * BIN_MAX + 4];
    struct mcx_bytes b;
    size_t i, n = 0;
    mcx_err err;

    if (!x || mcx_xml_again(x, "CipherValue")
        || mcx_xml_again(data, "CipherData") || !mcx_xml_text(&b, x)) {
        return refuse(w, MCX_E_MALFORMED, enc, name, "EncryptedKey has not "
                      "exactly one CipherValue");
    }
    for (i = 0; i < b.n; i++) {
        if (strchr(" \t\r\n", b.p[i])) {
            continue;
        }
        if (n == sizeof s - 1) {
            return refuse(w, MCX_E_TOOBIG, x, name,
                          "CipherValue is longer than any key");
        }
        s[n++] = (char)b.p[i];
    }
    s[n] = '\0';
    out->n = sizeof out->b;
    if (is_hex(s, n) && n / 2 <= sizeof out->b) {
        out->n = n / 2;
        err = mcx_hex_decode(out->b, out->n, mcx_bytes(s, n), NULL);
    } else {
        err = mcx_b64_decode(out->b, &out->n, mcx_bytes(s, n), NULL);
    }
    return err == MCX_OK && out->n > 0
               ? MCX_OK
               : refuse(w, err == MCX_E_TOOBIG ? err : MCX_E_MALFORMED, x,
                        name, "CipherValue is neither base64 nor "
                        "hexadecimal");
}

static const struct mcx_xml *
encrypted(const struct mcx_xml *parent)
{
    const struct mcx_xml *x = mcx_xml_child(parent, "EncryptedKey");

    return x ? x : mcx_xml_child(parent, "EncryptedData");
}

/* Is what came out the key, in whatever way it was put in? */
static bool
settle(struct kms_octets *key, const struct kind *kind)
{
    if (key->n == kind->size) {
        return true;
    }
    if (kind->point && key->n == kind->size - 1) {
        memmove(key->b + 1, key->b, key->n);
        key->b[0] = 0x04;
        key->n++;
        return true;
    }
    if (key->n == 2 * kind->size) {
        MCX_SECRET(kms_octets, raw);

        if (mcx_hex_decode(raw.b, kind->size, mcx_bytes(key->b, key->n),
                           NULL) == MCX_OK) {
            memcpy(key->b, raw.b, kind->size);
            key->n = kind->size;
            return true;
        }
    }
    return false;
}

static mcx_err
open_wrap(struct opening *w, struct kms_octets *key,
          const struct mcx_xml *enc, const char *name)
{
    static const enum mcx_kw_form forms[] = { MCX_KW_RFC3394,
                                              MCX_KW_RFC5649 };
    const struct mcx_xml *info = mcx_xml_child(enc, "KeyInfo");
    const struct mcx_xml *said = info ? mcx_xml_child(info, "KeyName")
                                      : NULL;
    struct kms_octets *in;
    struct mcx_bytes b;
    mcx_err err;
    size_t i;

    if (said && (!mcx_xml_text(&b, said)
                 || !mcx_bytes_eq(b, mcx_bytes_str(w->trk->id)))) {
        return refuse(w, MCX_E_NO_KEY, said, name, "KeyName is not the name "
                      "of our transport key");
    }
    in = malloc(sizeof *in); /* not secret yet */
    if (!in) {
        return MCX_E_NOMEM;
    }
    err = cipher_value(w, in, enc, name);
    if (err == MCX_OK) {
        err = MCX_E_AUTH;
        for (i = 0; i < 2 && err == MCX_E_AUTH; i++) {
            err = mcx_kw_unwrap(key->b, &key->n, &w->trk->key, forms[i],
                                mcx_bytes(in->b, in->n));
        }
        if (err == MCX_E_AUTH) {
            err = refuse(w, err, enc, name, "the integrity value is wrong: "
                         "wrapped with another key, or changed");
        }
    }
    free(in);
    return err;
}

static mcx_err
open_nested(struct opening *w, struct kms_octets *key,
            const struct mcx_xml *enc, const char *name)
{
    MCX_SECRET(mcx_kw_key, once);
    const struct mcx_xml *info = mcx_xml_child(enc, "KeyInfo");
    const struct mcx_xml *inner = info ? encrypted(info) : NULL, *method;
    struct kms_octets *in;
    mcx_err err;

    method = inner ? mcx_xml_child(inner, "EncryptionMethod") : NULL;
    if (!method || strcmp(method->algorithm, ALG_KW) != 0) {
        return refuse(w, MCX_E_UNSUPPORTED, enc, name, "the key that it is "
                      "encrypted with is not wrapped with kw-aes256");
    }
    MCX_TRY(open_wrap(w, key, inner, name));
    if (key->n != sizeof once.b) {
        return refuse(w, MCX_E_MALFORMED, inner, name,
                      "the key that it is encrypted with is not one of 256 "
                      "bits");
    }
    memcpy(once.b, key->b, sizeof once.b);
    in = malloc(sizeof *in);
    if (!in) {
        return MCX_E_NOMEM;
    }
    err = cipher_value(w, in, enc, name);
    if (err == MCX_OK) {
        err = mcx_kw_unwrap(key->b, &key->n, &once, MCX_KW_GCM,
                            mcx_bytes(in->b, in->n));
        if (err == MCX_E_AUTH) {
            err = refuse(w, err, enc, name, "the integrity value is wrong: "
                         "it was changed");
        }
    }
    free(in);
    return err;
}

static mcx_err
open_one(struct opening *w, struct kms_octets *key, const struct kind *kind,
         const struct mcx_xml *x)
{
    const struct mcx_xml *enc = encrypted(x), *method;
    mcx_err err;

    if (x->first != enc || enc->next || !mcx_xml_blank(x)) {
        return refuse(w, MCX_E_MALFORMED, x, kind->name,
                      "holds something else than one EncryptedKey");
    }
    method = mcx_xml_child(enc, "EncryptionMethod");
    if (method && strcmp(method->algorithm, ALG_KW) == 0) {
        err = open_wrap(w, key, enc, kind->name);
    } else if (method && strcmp(method->algorithm, ALG_GCM) == 0) {
        err = open_nested(w, key, enc, kind->name);
    } else {
        err = refuse(w, MCX_E_UNSUPPORTED, x, kind->name, "EncryptionMethod "
                     "is neither kw-aes256 nor aes256-gcm");
    }
    if (err == MCX_OK && !settle(key, kind)) {
        err = refuse(w, MCX_E_MALFORMED, x, kind->name,
                     "what was wrapped has not the length of such a key");
    }
    return err;
}

static mcx_err
take_fresh(struct opening *w, const struct kind *kind,
           const struct mcx_xml *x, const struct kms_octets *key)
{
    struct mcx_tkey *to = kind == &kinds[NEW_TRK] ? &w->fresh->trk
                                                  : &w->fresh->ink;
    const struct mcx_xml *said = mcx_xml_child(encrypted(x),
                                               "CarriedKeyName");
    char id[MCX_TKEY_ID_MAX] = "";
    struct mcx_bytes b;

    if (to->id[0]) {
        return refuse(w, MCX_E_MALFORMED, x, kind->name, "occurs twice");
    }
    if (said && mcx_xml_text(&b, said) && b.n > 0 && b.n < sizeof id) {
        memcpy(id, b.p, b.n);
    }
    if (!mcx_tkey_id_ok(id) || strcmp(id, w->fresh->trk.id) == 0) {
        return refuse(w, MCX_E_MALFORMED, x, kind->name, "has no "
                      "CarriedKeyName of its own, which is its name from "
                      "now on");
    }
    (void)snprintf(to->id, sizeof to->id, "%s", id);
    memcpy(to->key.b, key->b, sizeof to->key.b);
    return MCX_OK;
}

static mcx_err
unwrap_one(struct opening *w, const struct kind *kind,
           const struct mcx_xml *x)
{
    MCX_SECRET(kms_octets, key);
    bool is_new = kind - kinds >= NEW_TRK;

    if (!encrypted(x)) {
        if (is_new || (w->must && kind->secret)) {
            return refuse(w, MCX_E_POLICY, x, kind->name, "is not wrapped "
                          "with a transport key");
        }
        return MCX_OK;
    }
    MCX_TRY(open_one(w, &key, kind, x));
    mcx_out_octets(&w->o, mcx_bytes(w->plain.p + w->done, x->at - w->done));
    w->done = x->end;
    if (is_new) {
        return take_fresh(w, kind, x, &key);
    }
    mcx_out_raw(&w->o, "<");
    mcx_out_raw(&w->o, kind->name);
    mcx_out_raw(&w->o, ">");
    mcx_out_hex(&w->o, key.b, key.n);
    mcx_out_raw(&w->o, "</");
    mcx_out_raw(&w->o, kind->name);
    mcx_out_raw(&w->o, ">");
    return MCX_OK;
}

mcx_err
mcx_kms_unwrap(char **out, size_t *n, struct mcx_bytes plain,
               const struct mcx_tkey *trk, bool must,
               struct mcx_tkeys *fresh, struct mcx_text *text)
{
    struct opening w = { .plain = plain, .trk = trk, .must = must,
                         .fresh = fresh, .text = text };
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    const struct mcx_xml *x;
    mcx_err err;

    *out = NULL;
    *n = 0;
    memset(fresh, 0, sizeof *fresh);
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, plain, MCX_KMS_XML_MAX, &fault);
    if (err != MCX_OK) {
        if (text) {
            (void)snprintf(text->s, sizeof text->s, "line %d: %s",
                           fault.line, fault.what);
        }
        return err;
    }
    for (x = root; x && err == MCX_OK;) {
        const struct kind *kind = kind_of(x);

        if (kind) {
            err = unwrap_one(&w, kind, x);
        }
        x = walk(x, !kind);
    }
    mcx_xml_free(root);
    if (err == MCX_OK) {
        mcx_out_octets(&w.o, mcx_bytes(plain.p + w.done, plain.n - w.done));
        err = mcx_out_take(&w.o, out, n);
    } else {
        mcx_kms_text_free(w.o.p, w.o.n);
    }
    if (err != MCX_OK) {
        mcx_tkeys_wipe(fresh);
    }
    return err;
}
