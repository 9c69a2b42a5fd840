/* dump.c -- a message explained field by field, for people.
 *
 * Called by mcx-mikey inspect.  Offsets come from the parsed chain, so what is
 * shown is what parse.c understood: of a broken message, the payloads before
 * the break.  A message holds no secret in clear. */
#include <config.h>
#include <stdio.h>
#include "pl.h"

/* A byte string is shown up to this size; two digits an octet. */
enum { VALUE_MAX = 2 * 512 + 4 };

struct dump {
    void (*each)(void *arg, const struct mcx_field *f);
    void *arg;
    const char *payload, *clause;
    bool start;
};

static void
put(struct dump *d, const char *name, size_t at, size_t size,
    const char *value, const char *meaning)
{
    struct mcx_field f = {
        .payload = d->payload,
        .name = name,
        .at = at,
        .size = size,
        .value = value,
        .meaning = meaning ? meaning : "",
        .clause = d->clause,
        .start = d->start,
    };

    d->start = false;
    d->each(d->arg, &f);
}

static void
put_num(struct dump *d, const char *name, size_t at, size_t size,
        uint64_t value, const char *meaning)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put(d, name, at, size, text, meaning);
}

static void
put_hex32(struct dump *d, const char *name, size_t at, uint32_t value,
          const char *meaning)
{
    char text[12];

    (void)snprintf(text, sizeof text, "%08x", (unsigned)value);
    put(d, name, at, 4, text, meaning);
}

static size_t
pos(const struct mcx_mikey_msg *m, struct mcx_bytes b)
{
    return b.n ? (size_t)(b.p - m->octets.p) : 0;
}

/* Octets in hexadecimal, "..." when there are more than fit. */
static void
put_octets(struct dump *d, const char *name, size_t at, struct mcx_bytes b,
           const char *meaning)
{
    char text[VALUE_MAX];
    size_t n = b.n < 512 ? b.n : 512;

    if (mcx_hex_encode(text, sizeof text, mcx_bytes(b.p, n)) != MCX_OK) {
        text[0] = '\0';
    }
    if (n < b.n) {
        memcpy(text + 2 * n, "...", 4);
    }
    put(d, name, at, b.n, text, meaning);
}

/* Octets as text when every one is printable ASCII, else in hexadecimal. */
static void
put_text(struct dump *d, const char *name, size_t at, struct mcx_bytes b,
         const char *meaning)
{
    char text[VALUE_MAX];
    size_t i;

    for (i = 0; i < b.n && b.p[i] > 0x1f && b.p[i] < 0x7f; i++) {
    }
    if (i < b.n || b.n >= sizeof text) {
        put_octets(d, name, at, b, meaning);
        return;
    }
    if (b.n) {
        memcpy(text, b.p, b.n);
    }
    text[b.n] = '\0';
    put(d, name, at, b.n, text, meaning);
}

struct word {
    unsigned no;
    const char *word;
};
#define WORD(table, no) word_of(table, sizeof(table) / sizeof(table)[0], no)

static const char *
word_of(const struct word *w, size_t n, unsigned no)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (w[i].no == no) {
            return w[i].word;
        }
    }
    return "unknown";
}

static void
put_next(struct dump *d, const struct mcx_pl *pl, size_t at)
{
    put_num(d, "next payload", at, 1, pl->next,
            pl->next == MCX_PL_LAST ? "last" : mcx_pl_word(pl->next));
}

static const struct word data_types[] = {
    { MCX_DT_PSK_INIT, "pre-shared key I_MESSAGE" },
    { MCX_DT_PSK_RESP, "pre-shared key R_MESSAGE" },
    { MCX_DT_SAKKE, "SAKKE I_MESSAGE" },
};
static const struct word prfs[] = {
    { MCX_PRF_MIKEY_1, "MIKEY-1" },
    { MCX_PRF_HMAC_SHA256, "PRF-HMAC-SHA-256" },
};
static const struct word maps[] = {
    { MCX_MAP_SRTP_ID, "SRTP-ID" },
    { MCX_MAP_EMPTY, "empty map" },
    { MCX_MAP_GENERIC_ID, "GENERIC-ID" },
};

static void
dump_srtp_id(struct dump *d, const struct mcx_cs *cs)
{
    put_num(d, "policy number", cs->at, 1, cs->policies.p[0], "");
    put_hex32(d, "SSRC", cs->at + 1, cs->ssrc,
              cs->ssrc ? "" : "responder fills it in");
    put_num(d, "ROC", cs->at + 5, 4, cs->roc, "");
}

static void
dump_generic_id(struct dump *d, const struct mcx_cs *cs)
{
    size_t at = cs->at + 3 + cs->policies.n, data;

    put_num(d, "CS ID", cs->at, 1, cs->cs_id, "");
    put_num(d, "protocol", cs->at + 1, 1, cs->prot, "SRTP");
    put_num(d, "S, #P", cs->at + 2, 1,
            (cs->has_seq ? 0x80u : 0u) | cs->policies.n,
            cs->has_seq ? "ROC and SEQ given" : "");
    put_octets(d, "policy numbers", cs->at + 3, cs->policies, "");
    data = cs->has_seq ? 10 : cs->has_ssrc ? 4 : 0;
    put_num(d, "session data length", at, 2, data, "");
    at += 2;
    if (cs->has_ssrc) {
        put_hex32(d, "SSRC", at, cs->ssrc, "");
    }
    if (cs->has_seq) {
        put_num(d, "ROC", at + 4, 4, cs->roc, "");
        put_num(d, "SEQ", at + 8, 2, cs->seq, "");
    }
    at += data;
    put_num(d, "SPI length", at, 1, cs->spi.n, "");
    put_octets(d, "SPI", at + 1, cs->spi, "MKI of packets");
}

static void
dump_hdr(struct dump *d, const struct mcx_mikey_msg *m,
         const struct mcx_pl *pl)
{
    const char *kind = mcx_kind_word(MCX_KEY_ID_KIND(m->csb_id));
    size_t i;

    put_num(d, "version", 0, 1, m->version, "");
    put_num(d, "data type", 1, 1, m->data_type,
            WORD(data_types, m->data_type));
    put_next(d, pl, 2);
    put_num(d, "V, PRF", 3, 1, (m->v ? 0x80u : 0u) | m->prf,
            WORD(prfs, m->prf));
    put_hex32(d, "CSB ID", 4, m->csb_id,
              m->data_type == MCX_DT_SAKKE && kind ? kind : "");
    put_num(d, "#CS", 8, 1, m->n_cs, "");
    put_num(d, "CS ID map type", 9, 1, m->map_type, WORD(maps, m->map_type));
    for (i = 0; i < m->n_cs; i++) {
        if (m->map_type == MCX_MAP_SRTP_ID) {
            dump_srtp_id(d, &m->cs[i]);
        } else if (m->map_type == MCX_MAP_GENERIC_ID) {
            d->clause = "RFC 6043 6.1.1";
            dump_generic_id(d, &m->cs[i]);
        }
    }
}

static const struct word ts_types[] = {
    { 0, "NTP-UTC" },
    { 1, "NTP" },
    { 2, "COUNTER" },
    { 3, "NTP-UTC-32" },
};

static void
dump_t(struct dump *d, const struct mcx_mikey_msg *m, const struct mcx_pl *pl)
{
    char value[20], time[MCX_RFC3339_SIZE] = "";

    put_next(d, pl, pl->at);
    put_num(d, "TS type", pl->at + 1, 1, m->t_type, WORD(ts_types, m->t_type));
    (void)snprintf(value, sizeof value, "%016llx", (unsigned long long)m->t);
    if (m->t_type != 2) {
        /* The era that holds the years 1968 to 2104 is near enough. */
        mcx_time_text(time, mcx_ntp_to_unix_ms(m->t, INT64_C(2085978496000)));
    }
    put(d, "TS value", pl->at + 2, pl->size - 2, value, time);
}

static void
dump_rand(struct dump *d, const struct mcx_mikey_msg *m,
          const struct mcx_pl *pl)
{
    put_next(d, pl, pl->at);
    put_num(d, "RAND length", pl->at + 1, 1, m->rand.n, "");
    put_octets(d, "RAND", pl->at + 2, m->rand, "");
}

static const struct word id_types[] = {
    { 0, "NAI" },
    { 1, "URI" },
    { 2, "byte string" },
};
static const struct word roles[] = {
    { 1, "IDRi, initiator" },         { 2, "IDRr, responder" },
    { 3, "KMS" },                     { 4, "pre-shared key" },
    { 5, "application" },             { 6, "IDRkmsi, initiator's KMS" },
    { 7, "IDRkmsr, responder's KMS" }, { 8, "IDRuidi, initiator's UID" },
    { 9, "IDRuidr, responder's UID" },
};

/* ID and IDR differ by the role octet; both are read from the octets, as an
 * unknown role is not kept in the message. */
static void
dump_id(struct dump *d, const struct mcx_mikey_msg *m,
        const struct mcx_pl *pl)
{
    bool has_role = pl->type == MCX_PL_IDR;
    struct mcx_rd rd = mcx_rd_sub(&(struct mcx_rd){ .p = m->octets.p,
                                                    .end = m->octets.n },
                                  pl->at, pl->size);
    struct mcx_bytes data;
    uint8_t type;

    put_next(d, pl, rd.at);
    (void)mcx_rd_u8(&rd);
    if (has_role) {
        size_t at = rd.at;
        uint8_t role = mcx_rd_u8(&rd);

        put_num(d, "ID role", at, 1, role, WORD(roles, role));
    }
    type = mcx_rd_u8(&rd);
    put_num(d, "ID type", rd.at - 1, 1, type, WORD(id_types, type));
    data = mcx_rd_bytes_len(&rd, 2);
    put_num(d, "ID length", rd.at - data.n - 2, 2, data.n, "");
    put_text(d, "ID data", rd.at - data.n, data, "");
}

static const struct word sp_types[] = {
    { 0, "encryption algorithm" },
    { 1, "encryption key length" },
    { 2, "authentication algorithm" },
    { 3, "authentication key length" },
    { 4, "salt length" },
    { 5, "SRTP PRF" },
    { 6, "key derivation rate" },
    { 7, "SRTP encryption" },
    { 8, "SRTCP encryption" },
    { 9, "FEC order" },
    { 10, "SRTP authentication" },
    { 11, "authentication tag length" },
    { 12, "SRTP prefix length" },
    { 13, "ROC transmission rate" },
    { 14, "SRTP authentication algorithm" },
    { 15, "SRTCP authentication algorithm" },
    { 16, "SRTP authentication key length" },
    { 17, "SRTCP authentication key length" },
    { 18, "SRTP authentication tag length" },
    { 19, "SRTCP authentication tag length" },
    { 20, "AEAD tag length" },
};
static const struct word encr_algs[] = {
    { 0, "NULL" },
    { 1, "AES-CM" },
    { 2, "AES-F8" },
    { 6, "AES-GCM" },
};
static const struct word auth_algs[] = {
    { 0, "NULL" },
    { 1, "HMAC-SHA-1" },
    { 2, "RCCm1" },
    { 3, "RCCm2" },
    { 4, "RCCm3" },
};

static void
dump_sp(struct dump *d, const struct mcx_mikey_msg *m,
        const struct mcx_pl *pl)
{
    const struct mcx_sp *sp = &m->sp[0];
    struct mcx_rd rd;
    size_t i, at;

    for (i = 0; i < m->n_sp; i++) {
        sp = m->sp[i].at == pl->at ? &m->sp[i] : sp;
    }
    put_next(d, pl, pl->at);
    put_num(d, "policy number", pl->at + 1, 1, sp->policy_no, "");
    put_num(d, "protocol", pl->at + 2, 1, sp->prot,
            sp->prot == 0 ? "SRTP" : "unknown");
    put_num(d, "parameters length", pl->at + 3, 2, sp->params.n, "");
    if (sp->prot != 0) {
        put_octets(d, "parameters", pl->at + 5, sp->params, "");
        return;
    }
    at = pos(m, sp->params);
    rd = mcx_rd(sp->params);
    while (mcx_rd_left(&rd) > 0) {
        size_t start = rd.at;
        uint8_t type = mcx_rd_u8(&rd);
        struct mcx_bytes v = mcx_rd_bytes_len(&rd, 1);
        char value[24] = "";
        const char *meaning = "";

        if (type <= 20) {
            (void)snprintf(value, sizeof value, "%lld",
                           (long long)sp->value[type]);
            meaning = type == 0 ? WORD(encr_algs, (unsigned)sp->value[0])
                      : type == 2 ? WORD(auth_algs, (unsigned)sp->value[2])
                                  : "";
            put(d, WORD(sp_types, type), at + start, 2 + v.n, value, meaning);
        } else {
            put_octets(d, "unknown parameter", at + start, v, "ignored");
        }
    }
}

static const struct word ext_types[] = {
    { 0, "vendor ID" },          { MCX_EXT_SDP_IDS, "SDP IDs" },
    { 2, "TESLA I-key" },        { 3, "Key ID" },
    { 4, "CSB ID" },             { 5, "OMA BCAST" },
    { MCX_EXT_SAKKE_TO_SELF, "SAKKE-to-self" },
    { MCX_EXT_KEY_PARAMS, "key parameters" },
};

static void
dump_ext(struct dump *d, const struct mcx_mikey_msg *m,
         const struct mcx_pl *pl)
{
    size_t i;

    for (i = 0; i < m->n_ext; i++) {
        const struct mcx_ext *ext = &m->ext[i];

        if (ext->at != pl->at) {
            continue;
        }
        put_next(d, pl, pl->at);
        put_num(d, "extension type", pl->at + 1, 1, ext->type,
                WORD(ext_types, ext->type));
        put_num(d, "extension length", pl->at + 2, 2, ext->data.n, "");
        if (ext->type == MCX_EXT_SDP_IDS) {
            put_text(d, "extension data", pl->at + 4, ext->data, "");
        } else {
            put_octets(d, "extension data", pl->at + 4, ext->data, "");
        }
    }
}

static void
dump_sakke(struct dump *d, const struct mcx_mikey_msg *m,
           const struct mcx_pl *pl)
{
    struct mcx_bytes data = m->sakke.data;

    put_next(d, pl, pl->at);
    put_num(d, "SAKKE params", pl->at + 1, 1, m->sakke.params,
            "parameter set 1");
    put_num(d, "ID scheme", pl->at + 2, 1, m->sakke.scheme,
            m->sakke.scheme == 1 ? "tel URI with monthly keys" : "3GPP UID");
    put_num(d, "SAKKE data length", pl->at + 3, 2, data.n, "");
    put_octets(d, "R", pl->at + 5, mcx_bytes(data.p, MCX_SAKKE_PT_SIZE), "");
    put_octets(d, "H", pl->at + 5 + MCX_SAKKE_PT_SIZE,
               mcx_bytes(data.p + MCX_SAKKE_PT_SIZE,
                         data.n - MCX_SAKKE_PT_SIZE),
               "");
}

static void
dump_sign(struct dump *d, const struct mcx_mikey_msg *m,
          const struct mcx_pl *pl)
{
    struct mcx_bytes s = m->sign;

    put(d, "S type, length", pl->at, 2, "2081", "ECCSI, 129 octets");
    put_octets(d, "r", pl->at + 2, mcx_bytes(s.p, 32), "");
    put_octets(d, "s", pl->at + 34, mcx_bytes(s.p + 32, 32), "");
    put_octets(d, "PVT", pl->at + 66,
               mcx_bytes(s.p + 64, MCX_ECCSI_PT_SIZE), "");
}

static const struct word kemac_algs[] = {
    { 0, "NULL" },
    { 1, "AES-CM-128" },
    { 2, "AES-KW-128" },
    { 3, "AES-CM-256" },
};
static const struct word mac_algs[] = {
    { 0, "NULL" },
    { 1, "HMAC-SHA-1-160" },
    { 2, "HMAC-SHA-256-256" },
};

static void
dump_kemac(struct dump *d, const struct mcx_mikey_msg *m,
           const struct mcx_pl *pl)
{
    const struct mcx_kemac *k = &m->kemac;
    size_t at = pl->at + 1;

    put_next(d, pl, pl->at);
    if (pl->type == MCX_PL_KEMAC) {
        put_num(d, "encryption algorithm", at, 1, k->encr_alg,
                WORD(kemac_algs, k->encr_alg));
        put_num(d, "encrypted data length", at + 1, 2, k->encr.n, "");
        put_octets(d, "encrypted data", at + 3, k->encr, "");
        at += 3 + k->encr.n;
    }
    put_num(d, "MAC algorithm", at, 1, k->mac_alg,
            WORD(mac_algs, k->mac_alg));
    put_octets(d, "MAC", at + 1, k->mac, "");
}

static const struct {
    uint8_t type;
    void (*dump)(struct dump *d, const struct mcx_mikey_msg *m,
                 const struct mcx_pl *pl);
} dumpers[] = {
    { MCX_PL_LAST, dump_hdr },    { MCX_PL_T, dump_t },
    { MCX_PL_RAND, dump_rand },   { MCX_PL_ID, dump_id },
    { MCX_PL_IDR, dump_id },      { MCX_PL_SP, dump_sp },
    { MCX_PL_EXT, dump_ext },     { MCX_PL_SAKKE, dump_sakke },
    { MCX_PL_SIGN, dump_sign },   { MCX_PL_KEMAC, dump_kemac },
    { MCX_PL_V, dump_kemac },
};

mcx_err
mcx_mikey_describe(struct mcx_bytes octets,
                   void (*each)(void *arg, const struct mcx_field *f),
                   void *arg, struct mcx_why *why)
{
    struct mcx_mikey_msg m;
    mcx_err err = mcx_mikey_walk(&m, octets, why);
    size_t i, j;

    for (i = 0; i < m.n_pl; i++) {
        const struct mcx_pl *pl = &m.pl[i];
        struct dump d = { each, arg, mcx_pl_word(pl->type), "", true };

        d.clause = mcx_pl_kind(pl->type)->clause;
        for (j = 0; j < sizeof dumpers / sizeof dumpers[0]; j++) {
            if (dumpers[j].type == pl->type) {
                dumpers[j].dump(&d, &m, pl);
            }
        }
    }
    return err;
}
