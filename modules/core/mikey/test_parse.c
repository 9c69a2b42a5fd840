/* test_parse.c -- parse, describe and write: the vectors, and for each of
 * them the family of its neighbours that must be refused. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "../../../test-scenarios/vectors/vec.h"
#include "pl.h"
#include "test_env.h"

enum { ROOM = 70000 };

struct sample {
    const char *file, *path;
};
static const struct sample samples[] = {
    { "mikey-sakke-computed", "messages[0].I_MESSAGE" },
    { "mikey-sakke-computed", "messages[1].I_MESSAGE" },
    { "interop-streamwide-mikey-sakke", "messages[0].I_MESSAGE" },
    { "interop-streamwide-mikey-sakke", "messages[1].I_MESSAGE" },
    { "interop-streamwide-mikey-sakke", "messages[2].I_MESSAGE" },
    { "interop-streamwide-mikey-sakke", "messages[3].I_MESSAGE" },
    { "mikey-psk-computed", "messages[0].I_MESSAGE" },
    { "mikey-psk-computed", "messages[1].I_MESSAGE" },
    { "mikey-psk-computed", "messages[2].I_MESSAGE" },
    { "mikey-psk-computed", "messages[0].R_MESSAGE" },
    { "mikey-psk-computed", "messages[1].R_MESSAGE" },
    { "mikey-psk-computed", "messages[2].R_MESSAGE" },
    { "rfc4567-section-5.1-mikey", "examples[0].octets" },
    { "rfc4567-section-5.1-mikey", "examples[1].octets" },
    { "interop-vendors", "messages[0].msg" },
    { "interop-vendors", "messages[1].msg" },
    { "interop-vendors", "messages[2].msg" },
    { "interop-vendors", "messages[3].msg" },
    { "interop-vendors", "messages[4].msg" },
    { "interop-vendors", "messages[5].msg" },
    { "interop-vendors", "messages[6].msg" },
    { "interop-vendors", "messages[7].msg" },
};
enum { N_SAMPLES = sizeof samples / sizeof samples[0] };

static struct mcx_bytes
load(uint8_t buf[ROOM], const char *file, const char *path)
{
    size_t n = ROOM;

    if (strcmp(file, "interop-vendors") == 0) {
        char *text = vec_text(file, path);

        assert_int_equal(mcx_b64_decode(buf, &n, mcx_bytes_str(text), NULL),
                         MCX_OK);
        free(text);
    } else {
        n = vec_hex(file, path, buf, ROOM);
    }
    return mcx_bytes(buf, n);
}

/* Refused with 'reason' at 'offset' (SIZE_MAX: anywhere). */
static void
refused(struct mcx_bytes octets, mcx_reason reason, size_t offset)
{
    static struct mcx_mikey_msg m;
    static const struct mcx_mikey_msg zero;
    struct mcx_why why = { 0 };
    mcx_err err = mcx_mikey_parse(&m, octets, &why);

    if (why.reason != reason || (offset != SIZE_MAX && why.offset != offset)) {
        print_error("%s at %zu (%s), wanted %s at %zu\n",
                    mcx_reason_word(why.reason), why.offset, why.payload,
                    mcx_reason_word(reason), offset);
    }
    assert_int_equal(err, mcx_reason_err(reason));
    assert_int_equal(why.reason, reason);
    assert_int_equal(mcx_err_class(err), MCX_CLASS_BYTES);
    assert_true(why.payload[0] != '\0' && why.clause[0] != '\0');
    assert_true(why.offset <= octets.n);
    if (offset != SIZE_MAX) {
        assert_int_equal(why.offset, offset);
    }
    assert_memory_equal(&m, &zero, sizeof m);
}

/* Parses 'octets' placed at the end of a heap block of its size, so that a
 * sanitizer sees the first octet read too far. */
static mcx_err
parse_tight(struct mcx_bytes octets, struct mcx_why *why)
{
    static struct mcx_mikey_msg m;
    uint8_t *tight = malloc(octets.n ? octets.n : 1);
    mcx_err err;

    assert_non_null(tight);
    memcpy(tight, octets.p, octets.n);
    err = mcx_mikey_parse(&m, mcx_bytes(tight, octets.n), why);
    free(tight);
    return err;
}

static void
every_sample_parses_and_writes_back(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], out[ROOM];
    size_t i;

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        struct mcx_bytes b = load(buf, samples[i].file, samples[i].path);
        struct mcx_why why = { 0 };
        struct mcx_wr wr = mcx_wr(out, sizeof out);
        mcx_err err = mcx_mikey_parse(&m, b, &why);

        if (err != MCX_OK) {
            print_error("%s %s: %s, %s at %zu\n", samples[i].file,
                        samples[i].path, mcx_reason_word(why.reason),
                        why.payload, why.offset);
        }
        assert_int_equal(err, MCX_OK);
        assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
        assert_int_equal(wr.at, b.n);
        assert_memory_equal(out, b.p, b.n);
        /* The chain covers the message without gap. */
        assert_int_equal(m.pl[m.n_pl - 1].at + m.pl[m.n_pl - 1].size, b.n);
    }
}

static void
every_prefix_is_truncated(void **state)
{
    static uint8_t buf[ROOM];
    size_t i, n;

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        struct mcx_bytes b = load(buf, samples[i].file, samples[i].path);

        for (n = 0; n < b.n; n++) {
            struct mcx_why why = { 0 };

            assert_int_equal(parse_tight(mcx_bytes(b.p, n), &why),
                             MCX_E_MALFORMED);
            assert_int_equal(why.reason, MCX_R_TRUNCATED);
            assert_true(why.offset <= n);
        }
    }
}

static void
trailing_octets_are_refused(void **state)
{
    static uint8_t buf[ROOM];
    size_t i;
    unsigned v;

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        struct mcx_bytes b = load(buf, samples[i].file, samples[i].path);

        for (v = 0; v < 256; v++) {
            buf[b.n] = (uint8_t)v;
            refused(mcx_bytes(buf, b.n + 1), MCX_R_TRAILING, b.n);
        }
    }
}

/* Each octet of each sample by each of a few changes: never a crash, and what
 * is accepted writes back as itself. */
static void
one_octet_off(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], out[ROOM];
    static const uint8_t change[] = { 0x01, 0x02, 0x80, 0xff };
    size_t i, at, c;

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        struct mcx_bytes b = load(buf, samples[i].file, samples[i].path);

        for (at = 0; at < b.n; at++) {
            for (c = 0; c < sizeof change; c++) {
                struct mcx_wr wr = mcx_wr(out, sizeof out);
                struct mcx_why why = { 0 };
                mcx_err err;

                buf[at] ^= change[c];
                err = mcx_mikey_parse(&m, b, &why);
                if (err == MCX_OK) {
                    assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
                    assert_int_equal(wr.at, b.n);
                    assert_memory_equal(out, b.p, b.n);
                } else {
                    assert_int_not_equal(why.reason, MCX_R_NONE);
                    assert_true(why.offset <= b.n);
                }
                buf[at] ^= change[c];
            }
        }
    }
}

static size_t
index_of(const struct mcx_mikey_msg *m, unsigned type)
{
    size_t i;

    for (i = 1; i < m->n_pl; i++) {
        if (m->pl[i].type == type) {
            return i;
        }
    }
    fail_msg("no %s payload", mcx_pl_word(type));
    return 0;
}

/* Each payload of each message left out: the mandatory ones are missed. */
static void
payload_missing(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], out[ROOM];
    size_t i, skip, j, n, order[MCX_MIKEY_PL_MAX];

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        assert_int_equal(
            mcx_mikey_parse(&m, load(buf, samples[i].file, samples[i].path),
                            NULL),
            MCX_OK);
        for (skip = 1; skip < m.n_pl; skip++) {
            unsigned type = m.pl[skip].type;
            bool sp_left = m.n_sp - (type == MCX_PL_SP) > 0;
            size_t size;

            for (j = 1, n = 0; j < m.n_pl; j++) {
                if (j != skip) {
                    order[n++] = j;
                }
            }
            size = test_rechain(out, &m, order, n);
            if (type == MCX_PL_IDR || type == MCX_PL_ID || type == MCX_PL_EXT
                || (type == MCX_PL_SP && !sp_left)) {
                static struct mcx_mikey_msg less;

                assert_int_equal(
                    mcx_mikey_parse(&less, mcx_bytes(out, size), NULL),
                    MCX_OK);
                assert_int_equal(less.n_pl, m.n_pl - 1);
            } else {
                refused(mcx_bytes(out, size), MCX_R_PAYLOAD_MISSING, size);
            }
        }
    }
}

static void
payload_doubled(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], out[ROOM];
    size_t i, twice, j, n, order[MCX_MIKEY_PL_MAX + 1];

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        assert_int_equal(
            mcx_mikey_parse(&m, load(buf, samples[i].file, samples[i].path),
                            NULL),
            MCX_OK);
        for (twice = 1; twice < m.n_pl; twice++) {
            unsigned type = m.pl[twice].type;
            size_t size, second = 0;

            for (j = 1, n = 0; j < m.n_pl; j++) {
                order[n++] = j;
                if (j == twice) {
                    order[n++] = j;
                    second = m.pl[j].at + m.pl[j].size;
                }
            }
            size = test_rechain(out, &m, order, n);
            if (type == MCX_PL_SIGN) {
                refused(mcx_bytes(out, size), MCX_R_TRAILING, second);
            } else if (type == MCX_PL_KEMAC || type == MCX_PL_V) {
                refused(mcx_bytes(out, size), MCX_R_PAYLOAD_ORDER,
                        m.pl[twice].at);
            } else if (type == MCX_PL_SP) {
                refused(mcx_bytes(out, size), MCX_R_PAYLOAD_DUP, second + 1);
            } else if (type == MCX_PL_ID) {
                if (m.n_id == 2) {
                    refused(mcx_bytes(out, size), MCX_R_TOO_LARGE, SIZE_MAX);
                }
            } else {
                refused(mcx_bytes(out, size), MCX_R_PAYLOAD_DUP, second);
            }
        }
    }
}

/* Two neighbours exchanged: any order is legal but that SIGN, KEMAC and V end
 * the message. */
static void
payloads_swapped(void **state)
{
    static struct mcx_mikey_msg m, other;
    static uint8_t buf[ROOM], out[ROOM];
    size_t i, at, j, order[MCX_MIKEY_PL_MAX];

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        assert_int_equal(
            mcx_mikey_parse(&m, load(buf, samples[i].file, samples[i].path),
                            NULL),
            MCX_OK);
        for (at = 1; at + 1 < m.n_pl; at++) {
            size_t size;

            for (j = 1; j < m.n_pl; j++) {
                order[j - 1] = j == at ? at + 1 : j == at + 1 ? at : j;
            }
            size = test_rechain(out, &m, order, m.n_pl - 1);
            if (at + 2 < m.n_pl) {
                assert_int_equal(
                    mcx_mikey_parse(&other, mcx_bytes(out, size), NULL),
                    MCX_OK);
            } else if (m.sign_at) { /* what went behind SIGN is missed */
                struct mcx_why why = { 0 };

                assert_int_equal(
                    mcx_mikey_parse(&other, mcx_bytes(out, size), &why),
                    MCX_E_MALFORMED);
                assert_true(why.reason == MCX_R_TRAILING
                            || why.reason == MCX_R_PAYLOAD_MISSING);
            } else {
                refused(mcx_bytes(out, size), MCX_R_PAYLOAD_ORDER, SIZE_MAX);
            }
        }
    }
}

/* One field changed in Streamwide's CSK message (GENERIC-ID map, SP, key
 * parameters). */
static void
one_field_off(void **state)
{
    static const struct {
        unsigned pl; /* payload type, MCX_PL_LAST for HDR */
        size_t at;   /* in it */
        uint8_t value;
        mcx_reason reason;
        size_t want; /* in the payload */
    } rows[] = {
        { MCX_PL_LAST, 0, 2, MCX_R_VERSION, 0 },
        { MCX_PL_LAST, 0, 0, MCX_R_VERSION, 0 },
        { MCX_PL_LAST, 1, 25, MCX_R_DATA_TYPE, 1 },
        { MCX_PL_LAST, 1, 6, MCX_R_DATA_TYPE, 1 },
        { MCX_PL_LAST, 2, 2, MCX_R_PAYLOAD_TYPE, 2 },
        { MCX_PL_LAST, 2, 255, MCX_R_PAYLOAD_TYPE, 2 },
        { MCX_PL_LAST, 2, MCX_PL_CERT, MCX_R_PAYLOAD_ORDER, 21 },
        { MCX_PL_LAST, 2, MCX_PL_KEMAC, MCX_R_PAYLOAD_ORDER, 21 },
        { MCX_PL_LAST, 2, MCX_PL_V, MCX_R_PAYLOAD_ORDER, 21 },
        { MCX_PL_LAST, 2, MCX_PL_ERR, MCX_R_PAYLOAD_ORDER, 21 },
        { MCX_PL_LAST, 2, MCX_PL_KEYDATA, MCX_R_PAYLOAD_ORDER, 21 },
        { MCX_PL_LAST, 2, MCX_PL_LAST, MCX_R_PAYLOAD_MISSING, 21 },
        { MCX_PL_LAST, 3, 2, MCX_R_PRF, 3 },
        { MCX_PL_LAST, 8, 33, MCX_R_TOO_LARGE, 8 },
        { MCX_PL_LAST, 9, 3, MCX_R_MAP_TYPE, 9 },
        { MCX_PL_LAST, 11, 1, MCX_R_MAP, 11 },  /* protocol */
        { MCX_PL_LAST, 12, 0x81, MCX_R_MAP, 14 }, /* S with empty data */
        { MCX_PL_LAST, 13, 1, MCX_R_MAP, 13 },  /* no such policy */
        { MCX_PL_LAST, 15, 1, MCX_R_MAP, 14 },  /* data of one octet */
        { MCX_PL_T, 1, 2, MCX_R_TIME_TYPE, 1 },
        { MCX_PL_T, 1, 3, MCX_R_TIME_TYPE, 1 },
        { MCX_PL_T, 1, 4, MCX_R_TIME_TYPE, 1 },
        { MCX_PL_T, 0, 99, MCX_R_PAYLOAD_TYPE, 0 },
        { MCX_PL_RAND, 1, 15, MCX_R_RAND_SHORT, 1 },
        { MCX_PL_RAND, 1, 0, MCX_R_RAND_SHORT, 1 },
        { MCX_PL_IDR, 4, 31, MCX_R_VALUE, 3 },
        { MCX_PL_IDR, 4, 0, MCX_R_VALUE, 3 },
        { MCX_PL_IDR, 3, 0xff, MCX_R_TRUNCATED, 3 },
        { MCX_PL_SP, 3, 0xff, MCX_R_TRUNCATED, 3 },
        { MCX_PL_SP, 6, 0, MCX_R_VALUE, 6 },     /* value of no octets */
        { MCX_PL_SP, 8, 0, MCX_R_VALUE, 8 },     /* type 0 again */
        { MCX_PL_SP, 6, 0xff, MCX_R_TRUNCATED, 6 },
        { MCX_PL_EXT, 2, 0xff, MCX_R_TRUNCATED, 2 },
        { MCX_PL_SAKKE, 1, 0, MCX_R_SAKKE_PARAMS, 1 },
        { MCX_PL_SAKKE, 1, 2, MCX_R_SAKKE_PARAMS, 1 },
        { MCX_PL_SAKKE, 2, 0, MCX_R_ID_SCHEME, 2 },
        { MCX_PL_SAKKE, 2, 3, MCX_R_ID_SCHEME, 2 },
        { MCX_PL_SAKKE, 4, 0x10, MCX_R_SAKKE_LENGTH, 3 },
        { MCX_PL_SAKKE, 4, 0x12, MCX_R_SAKKE_LENGTH, 3 },
        { MCX_PL_SAKKE, 3, 0xff, MCX_R_TRUNCATED, 3 },
        { MCX_PL_SIGN, 0, 0x00, MCX_R_SIGN_TYPE, 0 },
        { MCX_PL_SIGN, 0, 0x10, MCX_R_SIGN_TYPE, 0 },
        { MCX_PL_SIGN, 1, 0x80, MCX_R_SIGN_LENGTH, 0 },
        { MCX_PL_SIGN, 1, 0x82, MCX_R_SIGN_LENGTH, 0 },
    };
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mcx_bytes b = load(buf, "interop-streamwide-mikey-sakke",
                                  "messages[1].I_MESSAGE");
        size_t at;

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        at = rows[i].pl == MCX_PL_LAST ? 0
                                       : m.pl[index_of(&m, rows[i].pl)].at;
        buf[at + rows[i].at] = rows[i].value;
        refused(b, rows[i].reason, at + rows[i].want);
    }
}

static void
limits(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM], out[ROOM];
    size_t order[80], n, i, size, ext;
    struct mcx_bytes b;

    (void)state;
    memset(out, 0, sizeof out);
    refused(mcx_bytes(out, MCX_MIKEY_MAX + 1), MCX_R_TOO_LARGE,
            MCX_MIKEY_MAX);
    /* 16 extensions of an unknown type, then one more. */
    b = load(buf, "interop-streamwide-mikey-sakke", "messages[2].I_MESSAGE");
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    ext = index_of(&m, MCX_PL_EXT);
    buf[m.pl[ext].at + 1] = 200;
    for (n = 0; n < m.n_pl - 2; n++) {
        order[n] = n + 1;
    }
    for (i = 1; i < MCX_MIKEY_EXT_MAX; i++) {
        order[n++] = ext;
    }
    order[n] = m.n_pl - 1;
    size = test_rechain(out, &m, order, n + 1);
    {
        static struct mcx_mikey_msg many;

        assert_int_equal(mcx_mikey_parse(&many, mcx_bytes(out, size), NULL),
                         MCX_OK);
        assert_int_equal(many.n_ext, MCX_MIKEY_EXT_MAX);
    }
    order[n++] = ext;
    order[n] = m.n_pl - 1;
    size = test_rechain(out, &m, order, n + 1);
    refused(mcx_bytes(out, size), MCX_R_TOO_LARGE, SIZE_MAX);
    /* More payloads than 64: IDRs of a role nobody knows. */
    b = load(buf, "interop-streamwide-mikey-sakke", "messages[2].I_MESSAGE");
    buf[m.pl[3].at + 1] = 240;
    for (n = 0; n < 70; n++) {
        order[n] = 3;
    }
    size = test_rechain(out, &m, order, n);
    refused(mcx_bytes(out, size), MCX_R_TOO_LARGE, SIZE_MAX);
}

/* Facts of the header and map, from the parsed fields of the vector files. */
static void
facts(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    uint8_t want[32];
    size_t n;

    (void)state;
    assert_int_equal(
        mcx_mikey_parse(&m, load(buf, "interop-streamwide-mikey-sakke",
                                 "messages[0].I_MESSAGE"),
                        NULL),
        MCX_OK);
    assert_int_equal(m.data_type, MCX_DT_SAKKE);
    assert_int_equal(m.csb_id, 0x06a12aea);
    assert_int_equal(m.n_cs, 1);
    assert_int_equal(m.cs[0].cs_id, MCX_CS_MCPTT_GROUP);
    assert_int_equal(m.cs[0].policies.n, 1);
    assert_false(m.cs[0].has_ssrc || m.cs[0].has_seq);
    n = vec_hex("interop-streamwide-mikey-sakke",
                "messages[0].parsed[0].HDR.cs[0].spi", want, sizeof want);
    assert_int_equal(m.cs[0].spi.n, n);
    assert_memory_equal(m.cs[0].spi.p, want, n);
    assert_true(m.t == UINT64_C(0xec898da800000000));
    assert_int_equal(m.idr[MCX_ROLE_UIDI].data.n, 32);
    assert_int_equal(m.idr[MCX_ROLE_I].at, 0);
    assert_int_equal(m.n_sp, 1);
    assert_int_equal(m.sp[0].value[0], 6);
    assert_int_equal(m.sp[0].value[2], 4);
    assert_int_equal(m.sp[0].value[13], -1);
    assert_int_equal(m.signed_size,
                     vec_num("interop-streamwide-mikey-sakke",
                             "messages[0].signed_octets"));
    assert_int_equal(m.sign_at, m.signed_size - 2);

    /* SRTP-ID map: SSRC given for the first CS, open for the second. */
    assert_int_equal(
        mcx_mikey_parse(&m, load(buf, "interop-streamwide-mikey-sakke",
                                 "messages[3].I_MESSAGE"),
                        NULL),
        MCX_OK);
    assert_int_equal(m.n_cs, 2);
    assert_int_equal(m.cs[0].cs_id, 1);
    assert_true(m.cs[0].has_ssrc && m.cs[0].ssrc == 0xcafebabe);
    assert_false(m.cs[1].has_ssrc);

    /* #CS = 0 with map type 2. */
    assert_int_equal(
        mcx_mikey_parse(&m, load(buf, "interop-vendors", "messages[2].msg"),
                        NULL),
        MCX_OK);
    assert_int_equal(m.n_cs, 0);
    assert_int_equal(m.map_type, MCX_MAP_GENERIC_ID);

    /* The V bit and plain IDs of a PSK message; coverage of its MAC. */
    assert_int_equal(mcx_mikey_parse(&m, load(buf, "mikey-psk-computed",
                                              "messages[0].I_MESSAGE"),
                                     NULL),
                     MCX_OK);
    assert_true(m.v);
    assert_int_equal(m.n_id, 2);
    assert_int_equal(m.signed_size, vec_num("mikey-psk-computed",
                                            "messages[0].mac_covered_octets"));
    assert_int_equal(m.kemac.mac.n, 20);
}

/* GENERIC-ID entries with session data, and CS IDs that repeat. */
static void
generic_map(void **state)
{
    static const uint8_t entries[] = {
        /* CS 0: S, one policy, SSRC ROC SEQ, SPI of 4 */
        0, 0, 0x81, 0, 0, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4, 1, 2, 3, 4,
        /* CS 1: no policy, SSRC 0, no SPI */
        1, 0, 0x00, 0, 4, 0, 0, 0, 0, 0
    };
    static struct mcx_mikey_msg m, got;
    static uint8_t buf[ROOM], out[ROOM];
    struct mcx_bytes b =
        load(buf, "interop-streamwide-mikey-sakke", "messages[2].I_MESSAGE");
    struct mcx_wr wr = mcx_wr(out, sizeof out);

    (void)state;
    assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
    mcx_wr_bytes(&wr, mcx_bytes(b.p, 8));
    mcx_wr_u8(&wr, 2);
    mcx_wr_u8(&wr, MCX_MAP_GENERIC_ID);
    mcx_wr_bytes(&wr, mcx_bytes(entries, sizeof entries));
    mcx_wr_bytes(&wr, mcx_bytes(b.p + 10, b.n - 10));
    assert_int_equal(mcx_mikey_parse(&got, mcx_bytes(out, wr.at), NULL),
                     MCX_OK);
    assert_true(got.cs[0].has_seq && got.cs[0].ssrc == 0x01020304
                && got.cs[0].roc == 0x05060708 && got.cs[0].seq == 0x090a);
    assert_true(got.cs[1].has_ssrc && got.cs[1].ssrc == 0);
    assert_int_equal(got.cs[1].spi.n, 0);
    out[10 + 21] = 0; /* CS ID of the second: the same as the first */
    refused(mcx_bytes(out, wr.at), MCX_R_MAP, 10 + 21);
    out[10 + 21] = 1;
    out[10 + 2] = 0x01; /* S gone, ten octets of data */
    refused(mcx_bytes(out, wr.at), MCX_R_MAP, 10 + 4);
}

struct seen {
    size_t fields, starts, end;
    bool sign;
};

static void
see(void *arg, const struct mcx_field *f)
{
    struct seen *s = arg;

    s->fields++;
    s->starts += f->start;
    /* Fields come in order and without gap. */
    assert_int_equal(f->at, s->end);
    assert_true(f->name[0] && f->payload[0] && f->clause[0]);
    assert_non_null(f->value);
    assert_non_null(f->meaning);
    s->end = f->at + f->size;
    s->sign |= strcmp(f->payload, "SIGN") == 0;
}

static void
describe_covers_every_octet(void **state)
{
    static struct mcx_mikey_msg m;
    static uint8_t buf[ROOM];
    struct mcx_why why;
    size_t i, n;

    (void)state;
    for (i = 0; i < N_SAMPLES; i++) {
        struct mcx_bytes b = load(buf, samples[i].file, samples[i].path);
        struct seen s = { 0 };

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        assert_int_equal(mcx_mikey_describe(b, see, &s, NULL), MCX_OK);
        assert_int_equal(s.end, b.n);
        assert_int_equal(s.starts, m.n_pl);
        assert_int_equal(s.sign, m.sign_at != 0);
        for (n = 0; n < b.n; n++) { /* as far as it makes sense */
            struct seen part = { 0 };

            assert_int_equal(mcx_mikey_describe(mcx_bytes(b.p, n), see,
                                                &part, &why),
                             MCX_E_MALFORMED);
            assert_int_equal(why.reason, MCX_R_TRUNCATED);
            assert_true(part.end <= n);
        }
    }
}

static void
words(void **state)
{
    unsigned k, bit;

    (void)state;
    for (k = 0; k < MCX_KIND_COUNT; k++) {
        assert_int_equal(mcx_kind_parse(mcx_kind_word(k)), k);
    }
    assert_null(mcx_kind_word(MCX_KIND_COUNT));
    assert_string_equal(mcx_kind_word(MCX_KIND_GSK), "gsk");
    assert_null(mcx_kind_word(MCX_KIND_END));
    assert_int_equal(mcx_kind_parse("GMK"), -1);
    assert_int_equal(mcx_kind_parse(NULL), -1);
    for (bit = 1; bit <= MCX_PEER_MONTHLY_TEL; bit <<= 1) {
        assert_int_equal(mcx_peer_option_parse(mcx_peer_option_word(bit)),
                         bit);
    }
    assert_null(mcx_peer_option_word(0));
    assert_null(mcx_peer_option_word(3));
    assert_int_equal(mcx_peer_option_parse("no-such"), 0);
    assert_string_equal(mcx_pl_word(MCX_PL_LAST), "HDR");
    assert_string_equal(mcx_pl_word(2), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_parses_and_writes_back),
        cmocka_unit_test(every_prefix_is_truncated),
        cmocka_unit_test(trailing_octets_are_refused),
        cmocka_unit_test(one_octet_off),
        cmocka_unit_test(payload_missing),
        cmocka_unit_test(payload_doubled),
        cmocka_unit_test(payloads_swapped),
        cmocka_unit_test(one_field_off),
        cmocka_unit_test(limits),
        cmocka_unit_test(facts),
        cmocka_unit_test(generic_map),
        cmocka_unit_test(describe_covers_every_octet),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests_name("mikey-parse", tests, NULL, NULL);
}
