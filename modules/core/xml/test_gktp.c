/* test_gktp.c -- GKTP documents: what is written is read; one bad message does
 * not touch the next; and what a message does to the store: in, newer, older,
 * again, revoked, put off, for a temporary group, signed by somebody else. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_gktp.h>
#include "../mikey/test_world.h"

#define GROUP "sip:group@mc.example.org"
#define TEMP "sip:tmp77@mc.example.org"
#define HEAD "<GKTPs xmlns=\"" MCX_NS_GKTP "\">"
#define TAIL "</GKTPs>"

static struct mcx_text text;

static struct mcx_gktps *
reads(const char *xml)
{
    struct mcx_gktps *doc = NULL;
    mcx_err err = mcx_gktp_read(&doc, mcx_bytes_str(xml), &text);

    if (err != MCX_OK) {
        print_error("%s: %s\n", mcx_err_name(err), text.s);
    }
    assert_int_equal(err, MCX_OK);
    return doc;
}

/* ---- documents --------------------------------------------------------- */

static void
round_trip(void **state)
{
    static const uint8_t a[] = { 1, 0x1a, 0xff, 0 }, b[] = { 9 };
    struct mcx_gktp in[] = {
        { .kind = MCX_KIND_GMK, .id = "0df9bc39", .mikey = { a, 4 } },
        { .kind = MCX_KIND_MKFC, .id = "4<&\"'", .mikey = { b, 1 },
          .group = "sip:t@x?a=1&b=2", .activation_unix_ms = 1767225600000 },
        { .kind = MCX_KIND_GMK, .id = "2", .group = TEMP, .mikey = { b, 1 } },
        { .kind = MCX_KIND_GMK, .id = "3", .mikey = { b, 1 } },
        { .kind = MCX_KIND_GMK, .id = "4", .group = TEMP, .mikey = { a, 4 } },
    };
    static const size_t order[] = { 0, 3, 2, 4, 1 };
    const size_t n_in = sizeof in / sizeof *in;
    struct mcx_gktps *doc;
    char *xml = NULL;
    size_t n = 0, i;

    (void)state;
    assert_int_equal(mcx_gktp_write(&xml, &n, in, n_in), MCX_OK);
    assert_int_equal(strlen(xml), n);
    doc = reads(xml);
    assert_int_equal(mcx_gktp_count(doc), n_in);
    assert_null(mcx_gktp_at(doc, n_in));
    for (i = 0; i < n_in; i++) {
        const struct mcx_gktp *g = mcx_gktp_at(doc, i);
        const struct mcx_gktp *want = &in[order[i]];

        assert_int_equal(g->err, MCX_OK);
        assert_int_equal(g->kind, want->kind);
        assert_string_equal(g->id, want->id);
        assert_string_equal(g->group, want->group);
        assert_true(g->activation_unix_ms == want->activation_unix_ms);
        assert_true(mcx_bytes_eq(g->mikey, want->mikey));
        assert_true(g->line > 2);
    }
    mcx_gktp_free(doc);
    for (i = 0; i + 1 < n; i++) { /* every prefix */
        assert_int_not_equal(mcx_gktp_read(&doc, mcx_bytes(xml, i), NULL),
                             MCX_OK);
        assert_null(doc);
    }
    mcx_kms_text_free(xml, n);
    /* None at all is a document, too: the last key was taken back. */
    assert_int_equal(mcx_gktp_write(&xml, &n, NULL, 0), MCX_OK);
    doc = reads(xml);
    assert_int_equal(mcx_gktp_count(doc), 0);
    mcx_gktp_free(doc);
    mcx_kms_text_free(xml, n);
    mcx_gktp_free(NULL);
}

static void
not_written(void **state)
{
    static const uint8_t a[MCX_MIKEY_MAX + 1];
    static const struct mcx_gktp good = { .kind = MCX_KIND_GMK, .id = "1",
                                          .mikey = { a, 1 } };
    struct mcx_gktp bad;
    char *xml;
    size_t i, n;

    (void)state;
    for (i = 0; i < 7; i++) {
        bad = good;
        switch (i) {
        case 0: bad.kind = MCX_KIND_CSK; break;
        case 1: bad.id[0] = '\0'; break;
        case 2: memset(bad.id, 'a', sizeof bad.id); break;
        case 3: memset(bad.group, 'a', sizeof bad.group); break;
        case 4: bad.mikey.n = 0; break;
        case 5: bad.mikey.n = MCX_MIKEY_MAX + 1; break;
        default: bad.kind = 99; break;
        }
        assert_int_equal(mcx_gktp_write(&xml, &n, &bad, 1), MCX_E_ARG);
        assert_null(xml);
    }
}

/* Documents that are none, and others that are. */
static void
documents(void **state)
{
    static const struct {
        const char *xml;
        mcx_err err;
        size_t n;
    } row[] = {
        { HEAD TAIL, MCX_OK, 0 },
        { HEAD "<GMK-GKTPs><GKTP id='1'>0a</GKTP></GMK-GKTPs>" TAIL, MCX_OK,
          1 },
        { HEAD "<x/><GMK-GKTPs><y/><GKTP id='1' z='1'>0A</GKTP>"
               "<anyExt/></GMK-GKTPs><anyExt/>" TAIL, MCX_OK, 1 },
        { "<p:GKTPs xmlns:p='" MCX_NS_GKTP "'><p:GMK-GKTPs><p:GKTP id='1'>0A"
          "</p:GKTP></p:GMK-GKTPs></p:GKTPs>", MCX_OK, 1 },
        /* As it stands in mcptt-info. */
        { "<MKFC-GKTPs xmlns='" MCX_NS_GKTP "'><GKTP id='1'>0a</GKTP>"
          "</MKFC-GKTPs>", MCX_OK, 1 },
        /* Of another namespace: not ours, wherever. */
        { HEAD "<GMK-GKTPs xmlns='urn:x'><GKTP id='1'>0A</GKTP></GMK-GKTPs>"
          TAIL, MCX_OK, 0 },
        { HEAD "<GMK-GKTPs><GKTP xmlns='urn:x' id='1'>0A</GKTP></GMK-GKTPs>"
          TAIL, MCX_OK, 0 },
        { "<GKTPs xmlns='urn:x'/>", MCX_E_MALFORMED, 0 },
        { "<GKTPs/>", MCX_E_MALFORMED, 0 },
        { "<group xmlns='" MCX_NS_GKTP "'/>", MCX_E_MALFORMED, 0 },
        { "", MCX_E_MALFORMED, 0 },
        { HEAD, MCX_E_MALFORMED, 0 },
        { "<!DOCTYPE a><GKTPs xmlns='" MCX_NS_GKTP "'/>", MCX_E_MALFORMED,
          0 },
        { HEAD "<GMK-GKTPs/><GMK-GKTPs/>" TAIL, MCX_E_MALFORMED, 0 },
        { HEAD "<GMK-GKTPs/><MKFC-GKTPs/>" TAIL, MCX_OK, 0 },
        { HEAD "<GMK-GKTPs><on-network-regrouped-GKTPs><GKTP id='1'>0A</GKTP>"
               "</on-network-regrouped-GKTPs></GMK-GKTPs>" TAIL,
          MCX_E_MALFORMED, 0 },
        { HEAD "<GMK-GKTPs><on-network-regrouped-GKTPs "
               "temporary-MCPTT-group-ID=''/></GMK-GKTPs>" TAIL,
          MCX_E_MALFORMED, 0 },
    };
    struct mcx_gktps *doc;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof row / sizeof *row; i++) {
        mcx_err err = mcx_gktp_read(&doc, mcx_bytes_str(row[i].xml), &text);

        if (err != row[i].err || (!doc != (err != MCX_OK))
            || (doc && mcx_gktp_count(doc) != row[i].n)) {
            fail_msg("row %zu: %s, %s", i, mcx_err_name(err), text.s);
        }
        assert_true(err == MCX_OK || text.s[0]);
        mcx_gktp_free(doc);
    }
}

/* One message that cannot be read leaves the others alone. */
static void
one_bad(void **state)
{
    static const char *const bad[] = {
        "<GKTP id='7'/>", "<GKTP id='7'>0</GKTP>", "<GKTP id='7'>0x00</GKTP>",
        "<GKTP id='7'>AS4=</GKTP>", "<GKTP id='7'>0<b/>a</GKTP>",
        "<GKTP id='7'>0<!-- -->a</GKTP>", "<GKTP id='7'>   </GKTP>",
        "<GKTP id='7' activationtime='soon'>0a</GKTP>",
        "<GKTP id='7' activationtime='2026-01-01'>0a</GKTP>",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        char xml[1024];
        struct mcx_gktps *doc;
        const struct mcx_gktp *g;

        (void)snprintf(xml, sizeof xml, HEAD "<GMK-GKTPs>\n"
                       "<GKTP id='6'>0\n 1 0B</GKTP>%s<GKTP id='8'>0102"
                       "</GKTP></GMK-GKTPs>" TAIL, bad[i]);
        doc = reads(xml);
        assert_int_equal(mcx_gktp_count(doc), 3);
        g = mcx_gktp_at(doc, 1);
        assert_int_equal(g->err, MCX_E_MALFORMED);
        assert_int_equal(g->mikey.n, 0);
        assert_string_equal(g->id, "7");
        g = mcx_gktp_at(doc, 0);
        assert_true(g->err == MCX_OK && g->mikey.n == 2
                    && g->mikey.p[1] == 0x0b);
        g = mcx_gktp_at(doc, 2);
        assert_true(g->err == MCX_OK && g->mikey.n == 2);
        mcx_gktp_free(doc);
    }
}

static void
many(void **state)
{
    size_t room = MCX_GKTP_XML_MAX + 100, n;
    char *xml = malloc(room);
    struct mcx_gktps *doc;
    int i;

    (void)state;
    assert_non_null(xml);
    for (i = MCX_GKTP_MAX; i < MCX_GKTP_MAX + 2; i++) {
        n = (size_t)snprintf(xml, room, HEAD "<GMK-GKTPs>");
        for (int k = 0; k < i; k++) {
            n += (size_t)snprintf(xml + n, room - n,
                                  "<GKTP id='%d'>0a</GKTP>", k);
        }
        n += (size_t)snprintf(xml + n, room - n, "</GMK-GKTPs>" TAIL);
        assert_int_equal(mcx_gktp_read(&doc, mcx_bytes(xml, n), &text),
                         i == MCX_GKTP_MAX ? MCX_OK : MCX_E_TOOBIG);
        mcx_gktp_free(doc);
    }
    /* A message of MCX_MIKEY_MAX octets, and one more. */
    for (i = 0; i < 2; i++) {
        n = (size_t)snprintf(xml, room, HEAD "<GMK-GKTPs><GKTP id='1'>");
        memset(xml + n, 'a', 2 * ((size_t)MCX_MIKEY_MAX + (size_t)i));
        n += 2 * ((size_t)MCX_MIKEY_MAX + (size_t)i);
        n += (size_t)snprintf(xml + n, room - n, "</GKTP></GMK-GKTPs>" TAIL);
        assert_int_equal(mcx_gktp_read(&doc, mcx_bytes(xml, n), &text),
                         MCX_OK);
        assert_int_equal(mcx_gktp_at(doc, 0)->err,
                         i ? MCX_E_TOOBIG : MCX_OK);
        mcx_gktp_free(doc);
    }
    memset(xml, ' ', room);
    assert_int_equal(mcx_gktp_read(&doc, mcx_bytes(xml, room), &text),
                     MCX_E_TOOBIG);
    free(xml);
}

static void
ids(void **state)
{
    static const struct {
        const char *id;
        uint32_t key_id;
        bool same;
    } row[] = {
        { "0df9bc39", 0x0df9bc39, true },  { "0DF9BC39", 0x0df9bc39, true },
        { "0x0df9bc39", 0x0df9bc39, true }, { "df9bc39", 0x0df9bc39, true },
        { "234470457", 0x0df9bc39, true }, { "Dfm8OQ==", 0x0df9bc39, true },
        { "10", 10, true },                { "10", 16, true },
        { "4294967295", UINT32_MAX, true }, { "ffffffff", UINT32_MAX, true },
        { "0", 0, true },                  { "", 0, false },
        { "0x", 0, false },                { "4294967296", 0, false },
        { "99999999999999999999999999", 1, false },
        { "0df9bc3", 0x0df9bc39, false },  { "0df9bc390", 0x0df9bc39, false },
        { "Dfm8OQ", 0x0df9bc38, false },   { "-1", UINT32_MAX, false },
        { " 10", 10, false },              { "gmk", 0, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof row / sizeof *row; i++) {
        if (mcx_gktp_names(row[i].id, row[i].key_id) != row[i].same) {
            fail_msg("\"%s\" and %lx", row[i].id,
                     (unsigned long)row[i].key_id);
        }
    }
}

/* ---- what a message does ----------------------------------------------- */

static struct mcx_keys *keys;
static struct mcx_replay *replay;
static struct mcx_gktp_how how;
static const struct mcx_ssv gmk = { { 1, 2, 3, 4 } };
enum { GMK_ID = 0x0df9bc39 };

static int
begin(void **state)
{
    (void)state;
    rewind_clock();
    assert_int_equal(mcx_keys_new(&keys, &w.te.env, 20), MCX_OK);
    assert_int_equal(mcx_replay_new(&replay, 100), MCX_OK);
    how = (struct mcx_gktp_how) { .env = &w.te.env, .ring = w.ring,
                                  .replay = replay, .keys = keys,
                                  .self = BOB, .gms = PF, .group = GROUP };
    return 0;
}

static int
end(void **state)
{
    (void)state;
    mcx_keys_free(keys);
    mcx_replay_free(replay);
    return 0;
}

/* A document of one message that 'build_how' makes; takes it. */
static mcx_err
takes(struct mcx_gktp_done *done, const struct mcx_build *build_how,
      const char *id, const char *group, int64_t activation,
      struct mcx_why *why)
{
    static uint8_t buf[ROOM];
    struct mcx_gktp one = { .kind = build_how->kind,
                            .activation_unix_ms = activation };
    struct mcx_gktps *doc;
    char *xml = NULL;
    size_t n = 0;
    mcx_err err;

    (void)snprintf(one.id, sizeof one.id, "%s", id);
    (void)snprintf(one.group, sizeof one.group, "%s", group);
    one.mikey = build(buf, build_how, NULL);
    assert_int_equal(mcx_gktp_write(&xml, &n, &one, 1), MCX_OK);
    doc = reads(xml);
    err = mcx_gktp_take(done, mcx_gktp_at(doc, 0), &how, why);
    mcx_gktp_free(doc);
    mcx_kms_text_free(xml, n);
    return err;
}

static struct mcx_build
gmk_plan(void)
{
    struct mcx_build b = plan(MCX_KIND_GMK, PF, BOB);

    b.key = &gmk;
    b.key_id = GMK_ID;
    return b;
}

static bool
sends(const char *group)
{
    struct mcx_key *k = mcx_keys_current(keys, MCX_KIND_GMK, NULL, group);

    mcx_key_unref(k);
    return k != NULL;
}

static void
in_and_out(void **state)
{
    struct mcx_build b = gmk_plan();
    struct mcx_key_params params = { .present = true, .status = 1,
                                     .n_groups = 2,
                                     .group = { "sip:g1@t", "sip:g2@t" } };
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };

    (void)state;
    /* The key names no group: that of the document. */
    assert_int_equal(takes(&done, &b, "0df9bc39", "", 0, &why), MCX_OK);
    assert_int_equal(done.key_id, GMK_ID);
    assert_int_equal(done.n, 1);
    assert_false(done.revoked || done.id_differs);
    assert_true(sends(GROUP));
    /* A newer message for the same key: other groups. */
    w.te.now_ms += 1000;
    b.params = &params;
    assert_int_equal(takes(&done, &b, "4", "", 0, &why), MCX_OK);
    assert_true(done.id_differs);
    assert_int_equal(done.n, 2);
    assert_true(sends("sip:g1@t") && sends("sip:g2@t") && !sends(GROUP));
    /* An older one: nothing. */
    b.at_unix_ms = now_ms + 500;
    assert_int_equal(takes(&done, &b, "0df9bc39", "", 0, &why),
                     MCX_E_POLICY);
    assert_int_equal(why.reason, MCX_R_NOT_NEWER);
    params.status = 0;
    assert_int_equal(takes(&done, &b, "0df9bc39", "", 0, &why),
                     MCX_E_POLICY);
    assert_int_equal(mcx_keys_count(keys), 2);
    /* Revoked: taken out, wherever it serves. */
    w.te.now_ms += 1000;
    b.at_unix_ms = 0;
    assert_int_equal(takes(&done, &b, "0df9bc39", "", 0, &why), MCX_OK);
    assert_true(done.revoked);
    assert_int_equal(done.n, 2);
    assert_false(sends("sip:g1@t"));
    assert_int_equal(mcx_keys_count(keys), 0);
}

static void
temporary(void **state)
{
    struct mcx_build b = gmk_plan();
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };

    (void)state;
    assert_int_equal(takes(&done, &b, "0df9bc39", "", 0, &why), MCX_OK);
    b.key_id = GMK_ID + 1;
    w.te.now_ms += 10;
    assert_int_equal(takes(&done, &b, "0df9bc3a", TEMP, 0, &why), MCX_OK);
    assert_true(sends(TEMP) && sends(GROUP));
    assert_int_equal(mcx_keys_count(keys), 2);
}

/* The later of both times; and the one that is there when only one is. */
static void
put_off(void **state)
{
    static const struct {
        int params_s, attribute_s;
        int active_s;
    } row[] = { { 10, 0, 10 }, { 0, 10, 10 }, { 10, 20, 20 }, { 20, 10, 20 } };
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof row / sizeof *row; i++) {
        struct mcx_build b = gmk_plan();
        struct mcx_key_params params = { .present = true, .status = 1 };
        int64_t at = w.te.now_ms += 1000;

        b.key_id += (uint32_t)i + 1;
        params.activation_unix = at / 1000 + row[i].params_s;
        b.params = row[i].params_s ? &params : NULL;
        assert_int_equal(takes(&done, &b, "1", "",
                               row[i].attribute_s
                                   ? at + row[i].attribute_s * 1000
                                   : 0,
                               &why), MCX_OK);
        w.te.now_ms = at + row[i].active_s * 1000 - 1001;
        assert_false(sends(GROUP));
        w.te.now_ms = at + row[i].active_s * 1000;
        assert_true(sends(GROUP));
        assert_int_equal(mcx_keys_revoke(keys, MCX_KIND_GMK, b.key_id), 1);
    }
}

/* A key that waits is put off further, or brought forward, by a newer
 * message; what the older one said is over. */
static void
put_off_again(void **state)
{
    static const int first_s[] = { 10, 100 }, second_s[] = { 100, 10 };
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct mcx_build b = gmk_plan();
        struct mcx_key_params params = { .present = true, .status = 1 };
        int64_t at = w.te.now_ms += 1000;

        b.key_id += (uint32_t)i + 1;
        b.params = &params;
        params.activation_unix = at / 1000 + first_s[i];
        assert_int_equal(takes(&done, &b, "1", "", 0, &why), MCX_OK);
        w.te.now_ms = at + 1000;
        params.activation_unix = at / 1000 + second_s[i];
        assert_int_equal(takes(&done, &b, "1", "", 0, &why), MCX_OK);
        assert_int_equal(mcx_keys_count(keys), 1);
        w.te.now_ms = at + second_s[i] * 1000 - 1001;
        assert_false(sends(GROUP));
        w.te.now_ms = at + second_s[i] * 1000;
        assert_true(sends(GROUP));
        assert_int_equal(mcx_keys_revoke(keys, MCX_KIND_GMK, b.key_id), 1);
    }
}

static void
refused(void **state)
{
    struct mcx_build b = gmk_plan();
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };
    static const struct mcx_gktp_done none;
    size_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        static const mcx_reason want[] = { MCX_R_INITIATOR, MCX_R_RESPONDER,
                                           MCX_R_PURPOSE, MCX_R_TOO_NEW,
                                           MCX_R_KEY_PARAMS,
                                           MCX_R_KEY_EXPIRED };
        struct mcx_key_params params = { .present = true, .status = 1,
                                         .expiry_unix = now_ms / 1000 };
        struct mcx_build bad = b;

        switch (i) {
        case 0: bad.from = MALLORY; break; /* not the server */
        case 1: bad.to = ALICE; break;
        case 2: bad.kind = MCX_KIND_CSK; bad.key = NULL; break;
        case 3: bad.at_unix_ms = now_ms + 400000; break;
        case 4: how.group = NULL; break;
        default: bad.params = &params; break;
        }
        if (i == 2) { /* where a GMK should be stands a CSK */
            static uint8_t buf[ROOM];
            struct mcx_gktp g = { .kind = MCX_KIND_GMK, .id = "1" };

            g.mikey = build(buf, &bad, NULL);
            assert_int_not_equal(mcx_gktp_take(&done, &g, &how, &why),
                                 MCX_OK);
        } else {
            assert_int_not_equal(takes(&done, &bad, "1", "", 0, &why),
                                 MCX_OK);
        }
        if (why.reason != want[i]) {
            fail_msg("row %zu: %s", i, mcx_reason_word(why.reason));
        }
        assert_memory_equal(&done, &none, sizeof done);
        assert_int_equal(mcx_keys_count(keys), 0);
        how.group = GROUP;
    }
}

/* Fetched again, and octets that are no message. */
static void
again(void **state)
{
    static uint8_t buf[ROOM];
    struct mcx_build b = gmk_plan();
    struct mcx_gktp g = { .kind = MCX_KIND_GMK, .id = "0df9bc39" };
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };
    size_t i, n;

    (void)state;
    g.mikey = build(buf, &b, NULL);
    n = g.mikey.n;
    for (i = 0; i < n; i++) {
        g.mikey.n = i;
        assert_int_not_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_OK);
    }
    g.mikey.n = n;
    buf[n - 70] ^= 1;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_AUTH);
    buf[n - 70] ^= 1;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_OK);
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_REPLAY);
    assert_int_equal(mcx_keys_count(keys), 1);
    g.err = MCX_E_MALFORMED;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_MALFORMED);
    g.err = MCX_E_TOOBIG;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_TOOBIG);
    g.err = MCX_OK;
    g.kind = MCX_KIND_CSK;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_ARG);
    g.kind = MCX_KIND_GMK;
    how.gms = NULL; /* anybody may not give us keys */
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_ARG);
}

/* A store without room: the message is not lost. */
static void
no_room(void **state)
{
    static uint8_t buf[ROOM];
    struct mcx_build b = gmk_plan();
    struct mcx_gktp g = { .kind = MCX_KIND_GMK, .id = "0df9bc39" };
    struct mcx_gktp_done done;
    struct mcx_why why = { 0 };
    struct mcx_keys *small;

    (void)state;
    assert_int_equal(mcx_keys_new(&small, &w.te.env, 1), MCX_OK);
    how.keys = small;
    b.key_id++;
    assert_int_equal(takes(&done, &b, "1", "", 0, &why), MCX_OK);
    b.key_id--;
    g.mikey = build(buf, &b, NULL);
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_BUSY);
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_E_REPLAY);
    assert_int_equal(mcx_keys_revoke(small, MCX_KIND_GMK, GMK_ID + 1), 1);
    how.resume = true;
    assert_int_equal(mcx_gktp_take(&done, &g, &how, &why), MCX_OK);
    assert_int_equal(done.n, 1);
    mcx_keys_free(small);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(round_trip), CASE(not_written), CASE(documents), CASE(one_bad),
        CASE(many),       CASE(ids),         CASE(in_and_out),
        CASE(temporary),  CASE(put_off),     CASE(put_off_again),
        CASE(refused),
        CASE(again),      CASE(no_room),
    };

    return cmocka_run_group_tests(tests, world_up, world_down);
}
