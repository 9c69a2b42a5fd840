/* kms_sign.c -- signed KMS messages, both ways; the keys they are signed with.
 * See mcx_kmssec.h.
 *
 * Called by module kms and by the KMS.  A document of ours is signed as text:
 * what sig.c computed is put between the octets that it was computed from. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "out.h"
#include "sig.h"
#include "tree.h"

/* ---- transport and integrity keys -------------------------------------- */

bool
mcx_tkey_id_ok(const char *id)
{
    size_t n = strlen(id);

    return n > 0 && n < MCX_TKEY_ID_MAX
           && strspn(id, "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@:/+=~")
                  == n;
}

const struct mcx_tkey *
mcx_tkeys_signer(const struct mcx_tkeys *keys)
{
    return keys->ink.id[0]   ? &keys->ink
           : keys->trk.id[0] ? &keys->trk
                             : NULL;
}

static mcx_err
bad_line(struct mcx_text *text, unsigned line, const char *what)
{
    if (text) {
        (void)snprintf(text->s, sizeof text->s, "line %u: %s", line, what);
    }
    return MCX_E_CONFIG;
}

static bool
blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of 'line', which gets shorter. */
static struct mcx_bytes
word(struct mcx_bytes *line)
{
    struct mcx_bytes w;

    while (line->n > 0 && blank(line->p[0])) {
        line->p++;
        line->n--;
    }
    w = mcx_bytes(line->p, 0);
    while (line->n > 0 && !blank(line->p[0])) {
        w.n++;
        line->p++;
        line->n--;
    }
    return w;
}

static mcx_err
take_line(struct mcx_tkeys *out, struct mcx_bytes line, unsigned no,
          struct mcx_text *text)
{
    struct mcx_bytes kind = word(&line), id = word(&line), hex = word(&line);
    bool trk = mcx_bytes_eq(kind, mcx_bytes_str("trk"));
    struct mcx_tkey *key = trk ? &out->trk : &out->ink;

    if (kind.n == 0 || kind.p[0] == '#') {
        return MCX_OK;
    }
    if (!trk && !mcx_bytes_eq(kind, mcx_bytes_str("ink"))) {
        return bad_line(text, no, "expected \"trk ID KEY\" or \"ink ID "
                        "KEY\"");
    }
    if (key->id[0]) {
        return bad_line(text, no, "a second key of that kind");
    }
    if (id.n >= sizeof key->id) {
        return bad_line(text, no, "the ID is too long");
    }
    if (id.n > 0) {
        memcpy(key->id, id.p, id.n);
    }
    if (!mcx_tkey_id_ok(key->id)) {
        return bad_line(text, no, "the ID is not of letters, digits and "
                        ".-_@:/+=~");
    }
    if (word(&line).n > 0
        || mcx_hex_decode(key->key.b, sizeof key->key.b, hex, NULL)
               != MCX_OK) {
        return bad_line(text, no, "expected a key of 64 hexadecimal digits "
                        "after the ID");
    }
    return MCX_OK;
}

mcx_err
mcx_tkeys_read(struct mcx_tkeys *out, struct mcx_bytes lines,
               struct mcx_text *text)
{
    unsigned no = 0;
    mcx_err err = MCX_OK;

    memset(out, 0, sizeof *out);
    while (lines.n > 0 && err == MCX_OK) {
        const uint8_t *end = memchr(lines.p, '\n', lines.n);
        size_t n = end ? (size_t)(end - lines.p) : lines.n;

        err = take_line(out, mcx_bytes(lines.p, n), ++no, text);
        lines.p += n + (end ? 1 : 0);
        lines.n -= n + (end ? 1 : 0);
    }
    if (err == MCX_OK && !out->trk.id[0]) {
        err = bad_line(text, no, "no line \"trk ID KEY\"");
    }
    if (err == MCX_OK && strcmp(out->trk.id, out->ink.id) == 0) {
        err = bad_line(text, no, "both keys have the same ID");
    }
    if (err != MCX_OK) {
        mcx_tkeys_wipe(out);
    }
    return err;
}

mcx_err
mcx_tkeys_write(char out[MCX_TKEYS_TEXT_MAX], size_t *n,
                const struct mcx_tkeys *keys)
{
    const struct mcx_tkey *both[] = { &keys->trk, &keys->ink };
    char hex[MCX_HEX_SIZE(MCX_KW_KEY_SIZE)];
    mcx_err err = MCX_OK;
    size_t i;

    *n = 0;
    out[0] = '\0';
    for (i = 0; i < 2 && err == MCX_OK; i++) {
        const struct mcx_tkey *k = both[i];
        int len;

        if (!k->id[0]) {
            continue;
        }
        err = mcx_hex_encode(hex, sizeof hex,
                             mcx_bytes(k->key.b, sizeof k->key.b));
        len = snprintf(out + *n, MCX_TKEYS_TEXT_MAX - *n, "%s %s %s\n",
                       i == 0 ? "trk" : "ink", k->id, hex);
        *n += len > 0 ? (size_t)len : 0;
    }
    mcx_wipe(hex, sizeof hex);
    return err;
}

static mcx_err
new_key(struct mcx_tkey *out, const char *kind, const char *user_uri,
        uint64_t serial, const struct mcx_env *env)
{
    size_t i;

    (void)snprintf(out->id, sizeof out->id, "%s.%llu.%.80s", kind,
                   (unsigned long long)serial, user_uri);
    for (i = 0; out->id[i]; i++) {
        char one[2] = { out->id[i], '\0' };

        if (!mcx_tkey_id_ok(one)) {
            out->id[i] = '_';
        }
    }
    return env->random(env->ctx, out->key.b, sizeof out->key.b);
}

mcx_err
mcx_tkeys_new(struct mcx_tkeys *out, const char *user_uri, uint64_t serial,
              const struct mcx_env *env)
{
    mcx_err err;

    memset(out, 0, sizeof *out);
    err = new_key(&out->trk, "trk", user_uri, serial, env);
    if (err == MCX_OK) {
        err = new_key(&out->ink, "ink", user_uri, serial, env);
    }
    if (err != MCX_OK) {
        mcx_tkeys_wipe(out);
    }
    return err;
}

/* ---- signing ----------------------------------------------------------- */

struct parts {
    const char *outer, *id;
    struct mcx_bytes body, tail; /* the KMS element and its end tag */
    const char *key_id, *trk_id;
};

static const char *
outer_of(const char *inner)
{
    return strcmp(inner, "KmsRequest") == 0    ? "SignedKmsRequest"
           : strcmp(inner, "KmsResponse") == 0 ? "SignedKmsResponse"
                                               : NULL;
}

/* The whole document.  'digest' and 'mac' "" : to be computed. */
static void
write_all(struct mcx_out *o, const struct parts *p, const char *digest,
          const char *mac)
{
    mcx_out_raw(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    mcx_out_raw(o, p->outer);
    mcx_out_raw(o, " xmlns=\"urn:3gpp:ns:mcsecKMSInterface:1.0\">\n");
    mcx_out_octets(o, p->body);
    if (p->trk_id) {
        mcx_out_leaf(o, 2, "TrK-ID", p->trk_id);
    }
    mcx_out_leaf(o, 2, "Signature-ID", p->key_id);
    mcx_out_octets(o, p->tail);
    mcx_out_raw(o, "\n<Signature xmlns=\"" MCX_SIG_NS "\"><SignedInfo>"
                   "<CanonicalizationMethod Algorithm=\"" MCX_SIG_C14N "\"/>"
                   "<SignatureMethod Algorithm=\"" MCX_SIG_HMAC "\"/>"
                   "<Reference URI=\"#");
    mcx_out_text(o, p->id);
    mcx_out_raw(o, "\"><DigestMethod Algorithm=\"" MCX_SIG_SHA "\"/>"
                   "<DigestValue>");
    mcx_out_raw(o, digest);
    mcx_out_raw(o, "</DigestValue></Reference></SignedInfo>"
                   "<SignatureValue>");
    mcx_out_raw(o, mac);
    mcx_out_raw(o, "</SignatureValue><KeyInfo><KeyName>");
    mcx_out_text(o, p->key_id);
    mcx_out_raw(o, "</KeyName></KeyInfo></Signature>\n</");
    mcx_out_raw(o, p->outer);
    mcx_out_raw(o, ">\n");
}

static mcx_err
sign_parts(char **out, size_t *n, const struct parts *p,
           const struct mcx_kw_key *key)
{
    char mac[MCX_B64_SIZE(MCX_KW_MAC_SIZE)];
    uint8_t raw[MCX_KW_MAC_SIZE];
    struct mcx_out draft = { 0 }, whole = { 0 };
    struct mcx_sig sig;
    mcx_err err;

    memset(&sig, 0, sizeof sig);
    write_all(&draft, p, "", "");
    err = draft.failed ? MCX_E_NOMEM
                       : mcx_sig_make(&sig, mcx_bytes(draft.p, draft.n));
    mcx_kms_text_free(draft.p, draft.n);
    if (err == MCX_OK) {
        err = mcx_kw_mac(raw, key, mcx_bytes(sig.info, sig.info_n));
    }
    if (err == MCX_OK) {
        err = mcx_b64_encode(mac, sizeof mac, mcx_bytes(raw, sizeof raw));
    }
    if (err == MCX_OK) {
        write_all(&whole, p, sig.digest, mac);
        err = mcx_out_take(&whole, out, n);
    }
    mcx_sig_wipe(&sig);
    return err;
}

mcx_err
mcx_kms_sign(char **out, size_t *n, struct mcx_bytes plain,
             const struct mcx_tkeys *keys, bool name_trk)
{
    const struct mcx_tkey *signer = mcx_tkeys_signer(keys);
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    struct parts p;
    size_t at;
    mcx_err err;

    *out = NULL;
    *n = 0;
    if (!signer || !mcx_tkey_id_ok(signer->id)
        || (name_trk && !mcx_tkey_id_ok(keys->trk.id))) {
        return MCX_E_ARG;
    }
    err = mcx_xml_read(&root, plain, MCX_KMS_XML_MAX, &fault);
    if (err != MCX_OK) {
        return err == MCX_E_NOMEM ? err : MCX_E_ARG;
    }
    p.outer = outer_of(root->name);
    p.id = root->id;
    p.key_id = signer->id;
    p.trk_id = name_trk ? keys->trk.id : NULL;
    /* The end tag is the last one in the element. */
    at = root->end;
    while (at > root->at && plain.p[at - 1] != '<') {
        at--;
    }
    at = at > root->at ? at - 1 : at;
    p.body = mcx_bytes(plain.p + root->at, at - root->at);
    p.tail = mcx_bytes(plain.p + at, root->end - at);
    err = p.outer && p.id[0] && p.body.n > 0
              ? sign_parts(out, n, &p, &signer->key)
              : MCX_E_ARG;
    mcx_xml_free(root);
    return err;
}

/* ---- judging ----------------------------------------------------------- */

mcx_err
mcx_kms_find_signature(bool *found, struct mcx_bytes xml, size_t max)
{
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err = mcx_xml_read(&root, xml, max, &fault);

    *found = err == MCX_OK && strncmp(root->name, "SignedKmsRe", 11) == 0
             && mcx_xml_child(root, "Signature");
    mcx_xml_free(root);
    return err == MCX_E_NOMEM ? err : MCX_OK;
}

bool
mcx_kms_is_signed(struct mcx_bytes xml, size_t max)
{
    bool found;

    return mcx_kms_find_signature(&found, xml, max) == MCX_OK && found;
}

static mcx_err
refuse(struct mcx_text *text, mcx_err err, const char *what)
{
    if (text) {
        (void)snprintf(text->s, sizeof text->s, "%s", what);
    }
    return err;
}

/* The name of a key in the message itself. */
static mcx_err
named(char out[MCX_TKEY_ID_MAX], const struct mcx_xml *msg, const char *name,
      struct mcx_text *text)
{
    const struct mcx_xml *x = mcx_xml_child(msg, name);
    struct mcx_bytes b;

    out[0] = '\0';
    if (!x) {
        return MCX_OK;
    }
    if (mcx_xml_again(x, name) || !mcx_xml_text(&b, x)
        || b.n >= MCX_TKEY_ID_MAX) {
        return refuse(text, MCX_E_MALFORMED, "TrK-ID or Signature-ID occurs "
                      "twice, or is no name of a key (TS 33.180 D.2.2)");
    }
    if (b.n > 0) {
        memcpy(out, b.p, b.n);
    }
    out[b.n] = '\0';
    return mcx_tkey_id_ok(out)
               ? MCX_OK
               : refuse(text, MCX_E_MALFORMED, "TrK-ID or Signature-ID is no "
                        "name of a key (TS 33.180 D.2.2)");
}

static mcx_err
read_names(struct mcx_kms_signed *said, const struct mcx_sig *sig,
           const char *inner, struct mcx_text *text)
{
    char id[MCX_TKEY_ID_MAX] = "";
    const struct mcx_xml *msg;
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    mcx_err err = mcx_xml_read(&root, mcx_bytes(sig->body, sig->body_n),
                               MCX_KMS_XML_MAX, &fault);

    if (err != MCX_OK) {
        return refuse(text, err, fault.what);
    }
    msg = strcmp(root->name, inner) == 0 ? root : mcx_xml_child(root, inner);
    err = msg ? named(said->trk_id, msg, "TrK-ID", text) : MCX_E_INTERNAL;
    if (err == MCX_OK) {
        err = named(id, msg, "Signature-ID", text);
    }
    mcx_xml_free(root);
    if (err == MCX_OK && id[0] && sig->key_name[0]
        && strcmp(id, sig->key_name) != 0) {
        err = refuse(text, MCX_E_POLICY, "Signature-ID and KeyName name "
                     "different keys (TS 33.180 D.2.2)");
    }
    if (err == MCX_OK) {
        (void)snprintf(said->key_id, sizeof said->key_id, "%s",
                       sig->key_name[0] ? sig->key_name : id);
    }
    return err;
}

static mcx_err
judge(const struct mcx_sig *sig, const struct mcx_kms_verifier *v,
      const char *key_id, struct mcx_text *text)
{
    const struct mcx_kw_key *key = v->key(v->arg, key_id);
    uint8_t mac[MCX_KW_MAC_SIZE];
    bool same;

    if (!key) {
        return refuse(text, MCX_E_NO_KEY, "signed with a key whose name we "
                      "do not know (TS 33.180 D.2.2)");
    }
    MCX_TRY(mcx_kw_mac(mac, key, mcx_bytes(sig->info, sig->info_n)));
    same = mcx_secret_eq(mac, sig->mac, sizeof mac);
    mcx_wipe(mac, sizeof mac);
    return same ? MCX_OK
                : refuse(text, MCX_E_AUTH, "the signature is wrong: another "
                         "key, or another message (TS 33.180 D.1)");
}

mcx_err
mcx_kms_verify(char **out, size_t *n, struct mcx_bytes xml,
               const struct mcx_kms_verifier *v, struct mcx_kms_signed *said,
               struct mcx_text *text)
{
    bool request = v->what == MCX_KMS_SIGNED_REQUEST;
    const char *inner = request ? "KmsRequest" : "KmsResponse";
    struct mcx_xml_fault fault;
    struct mcx_xml *root = NULL;
    struct mcx_sig sig;
    mcx_err err;

    *out = NULL;
    *n = 0;
    memset(said, 0, sizeof *said);
    if (text) {
        text->s[0] = '\0';
    }
    err = mcx_xml_read(&root, xml,
                       request ? (size_t)MCX_KMS_REQUEST_MAX
                               : (size_t)MCX_KMS_XML_MAX, &fault);
    if (err != MCX_OK) {
        if (text) {
            (void)snprintf(text->s, sizeof text->s, "line %d: %s",
                           fault.line, fault.what);
        }
        return err;
    }
    err = root->relative ? refuse(text, MCX_E_POLICY, "a namespace is not an "
                                  "absolute URI, so nothing can be signed "
                                  "here (TS 33.180 D.1)")
                         : MCX_OK;
    mcx_xml_free(root);
    MCX_TRY(err);
    MCX_TRY(mcx_sig_take(&sig, xml, outer_of(inner), inner, text));
    err = read_names(said, &sig, inner, text);
    if (err == MCX_OK) {
        err = judge(&sig, v, said->key_id, text);
    }
    if (err == MCX_OK) {
        *out = sig.body;
        *n = sig.body_n;
        sig.body = NULL;
    } else {
        memset(said, 0, sizeof *said);
    }
    mcx_sig_wipe(&sig);
    return err;
}
