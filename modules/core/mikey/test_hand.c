/* test_hand.c -- keys on paper: reading, refusing, and from paper to SRTP and
 * XML keys. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_keys.h>

static int64_t unix_now = INT64_C(1764547200000);

static int64_t
now_ms(void *ctx)
{
    (void)ctx;
    return unix_now;
}

static struct mcx_env
world(void)
{
    struct mcx_env env = *mcx_env_system();

    env.unix_ms = now_ms;
    return env;
}

#define KEY "000102030405060708090a0b0c0d0e0f"
#define RAND "101112131415161718191a1b1c1d1e1f"
static const char PAPER[] = "# from the vault\n"
                            "kind = spk\n"
                            "id   = 30000007\n"
                            "\n"
                            "  key=" KEY "  \r\n"
                            "rand = " RAND "\n"
                            "self = sip:server-a.mcx.test\n"
                            "peer = sip:server-b.mcx.test\n"
                            "expires = 2026-01-01T00:00:00Z";

static mcx_err
read_paper(struct mcx_hand *h, const char *text, size_t *line,
           const char **what)
{
    return mcx_hand_read(h, mcx_bytes_str(text), line, what);
}

static void
reads(void **state)
{
    MCX_SECRET(mcx_hand, h);
    size_t line, i;
    const char *what;

    (void)state;
    assert_int_equal(read_paper(&h, PAPER, &line, &what), MCX_OK);
    assert_null(what);
    for (i = 0; i < 16; i++) {
        assert_int_equal(h.key.b[i], i);
        assert_int_equal(h.rand[i], i + 16);
    }
    assert_int_equal(h.kind, MCX_KIND_SPK);
    assert_int_equal(h.key_id, 0x30000007);
    assert_int_equal(h.rand_n, 16);
    assert_string_equal(h.self, "sip:server-a.mcx.test");
    assert_string_equal(h.peer, "sip:server-b.mcx.test");
    assert_int_equal(h.expiry_unix, 1767225600);
}

/* The paper with the line that begins with 'name' replaced. */
static const char *
with(const char *name, const char *line)
{
    static char out[4096];
    char copy[sizeof PAPER], *save = NULL, *l;
    size_t n = 0;

    memcpy(copy, PAPER, sizeof copy);
    out[0] = '\0';
    for (l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        const char *s = l + strspn(l, " ");
        bool hit = strncmp(s, name, strlen(name)) == 0;

        n += (size_t)snprintf(out + n, sizeof out - n, "%s\n",
                              hit ? line : l);
    }
    return out;
}

static void
refuses(void **state)
{
    static const struct {
        const char *name, *line, *what;
        size_t at; /* the empty line of the paper is gone */
    } row[] = {
        { "kind", "", "no line says the kind", 0 },
        { "id", "", "no line says the key ID", 0 },
        { "key", "", "no line says the key", 0 },
        { "rand", "", "no line says RAND", 0 },
        { "self", "", "no line says self", 0 },
        { "peer", "", "no line says peer", 0 },
        { "kind", "kind = csk", "come in messages", 2 },
        { "kind", "kind = gsk", "come in messages", 2 },
        { "kind", "kind = SPK", "comes by hand: spk", 2 },
        { "kind", "kind =", "comes by hand: spk", 2 },
        { "kind", "kind spk", "expected name = value", 2 },
        { "kind", "kind = spk\nkind = spk", "said before", 3 },
        { "kind", "king = spk", "expected kind, id", 2 },
        { "kind", "= spk", "expected kind, id", 2 },
        { "id", "id = 3000007", "8 hexadecimal digits", 3 },
        { "id", "id = 300000007", "8 hexadecimal digits", 3 },
        { "id", "id = 0x300007", "8 hexadecimal digits", 3 },
        { "id", "id = 20000007", "first digit of the key ID", 0 },
        { "key", "key = " KEY "00", "32 hexadecimal digits", 4 },
        { "key", "key = 0", "32 hexadecimal digits", 4 },
        { "key", "key = z00102030405060708090a0b0c0d0e0f",
          "32 hexadecimal digits", 4 },
        { "rand", "rand = 10111213141516171819", "expected RAND", 5 },
        { "rand", "rand = " RAND "0", "expected RAND", 5 },
        { "rand", "rand = x" RAND "1", "expected RAND", 5 },
        { "self", "self = server-a", "expected a URI", 6 },
        { "self", "self = :a", "expected a URI", 6 },
        { "self", "self = sip:", "expected a URI", 6 },
        { "self", "self = sip:a b", "no blanks", 6 },
        { "self", "self = sip:\xc3\xa4", "no blanks", 6 },
        { "peer", "peer = sip:server-a.mcx.test", "are the same", 0 },
        { "expires", "expires = soon", "expected a time", 8 },
        { "expires", "expires = 1970-01-01T00:00:00Z", "expected a time", 8 },
    };
    static const struct mcx_hand none;
    struct mcx_hand h;
    const char *what;
    size_t i, line;

    (void)state;
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        memset(&h, 0xee, sizeof h);
        assert_int_equal(read_paper(&h, with(row[i].name, row[i].line),
                                    &line, &what),
                         MCX_E_CONFIG);
        if (!strstr(what, row[i].what) || line != row[i].at) {
            fail_msg("%s: \"%s\" at line %zu", row[i].line, what, line);
        }
        assert_memory_equal(&h, &none, sizeof h);
    }
}

/* Every prefix is refused until the last line that must be there is whole. */
static void
prefixes(void **state)
{
    const char *last = strstr(PAPER, "\nexpires");
    size_t n, line, whole = (size_t)(last - PAPER), good = 0;
    const char *what;
    struct mcx_hand h;

    (void)state;
    for (n = 0; n < sizeof PAPER; n++) {
        mcx_err err = mcx_hand_read(&h, mcx_bytes(PAPER, n), &line, &what);

        assert_true(err == MCX_OK || (err == MCX_E_CONFIG && what));
        /* A shorter URI of the peer is a URI all the same. */
        assert_true(err != MCX_OK || n >= whole - strlen("erver-b.mcx.test"));
        good += err == MCX_OK;
    }
    assert_true(good > 0);
    mcx_hand_wipe(&h);
}

static void
longest(void **state)
{
    static char text[8192], hex[2 * MCX_RAND_MAX + 3], uri[MCX_URI_MAX + 1];
    struct mcx_hand h;
    const char *what;
    size_t line;

    (void)state;
    memset(hex, 'a', sizeof hex - 1);
    memset(uri, 'a', sizeof uri - 1);
    uri[3] = ':';
    hex[2 * MCX_RAND_MAX] = '\0';
    uri[MCX_URI_MAX - 1] = '\0';
    (void)snprintf(text, sizeof text, "kind=spk\nid=30000007\nkey=" KEY
                   "\nrand=%s\nself=%s\npeer=sip:b\n", hex, uri);
    assert_int_equal(read_paper(&h, text, &line, &what), MCX_OK);
    assert_int_equal(h.rand_n, MCX_RAND_MAX);
    assert_int_equal(strlen(h.self), MCX_URI_MAX - 1);
    assert_int_equal(h.expiry_unix, 0);
    hex[2 * MCX_RAND_MAX] = 'a';
    (void)snprintf(text, sizeof text, "kind=spk\nid=30000007\nkey=" KEY
                   "\nrand=%s\nself=%s\npeer=sip:b\n", hex, uri);
    assert_int_equal(read_paper(&h, text, &line, &what), MCX_E_CONFIG);
    assert_int_equal(line, 4);
    hex[2 * MCX_RAND_MAX] = '\0';
    uri[MCX_URI_MAX - 1] = 'a';
    (void)snprintf(text, sizeof text, "kind=spk\nid=30000007\nkey=" KEY
                   "\nrand=%s\nself=%s\npeer=sip:b\n", hex, uri);
    assert_int_equal(read_paper(&h, text, &line, &what), MCX_E_CONFIG);
    assert_int_equal(line, 5);
    /* A NUL is an octet like any other, and no URI has one. */
    assert_int_equal(mcx_hand_read(&h, mcx_bytes("self=sip:a\0b", 12), &line,
                                   &what),
                     MCX_E_CONFIG);
    assert_int_equal(line, 1);
}

static void
key_refuses(void **state)
{
    struct mcx_env env = world();
    struct mcx_hand good, h;
    struct mcx_key_msg km;
    struct mcx_why why;
    const char *what;
    size_t line, i;

    (void)state;
    assert_int_equal(read_paper(&good, PAPER, &line, &what), MCX_OK);
    for (i = 0; i < 8; i++) {
        static const struct mcx_key_msg none;
        mcx_err want = MCX_E_ARG;

        h = good;
        switch (i) {
        case 0: h.kind = MCX_KIND_CSK; break;
        case 1: h.kind = 99; break;
        case 2: h.rand_n = 15; break;
        case 3: h.rand_n = MCX_RAND_MAX + 1; break;
        case 4: h.self[0] = '\0'; break;
        case 5: memset(h.peer, 'a', sizeof h.peer); break;
        case 6: h.expiry_unix = -1; break;
        default: h.key_id ^= UINT32_C(1) << 28; want = MCX_E_POLICY; break;
        }
        memset(&km, 0xee, sizeof km);
        assert_int_equal(mcx_hand_key(&km, &h, &env, &why), want);
        assert_memory_equal(&km, &none, sizeof km);
    }
    assert_int_equal(why.reason, MCX_R_PURPOSE);
    h = good;
    h.expiry_unix = unix_now / 1000;
    assert_int_equal(mcx_hand_key(&km, &h, &env, &why), MCX_E_EXPIRED);
    assert_int_equal(why.reason, MCX_R_KEY_EXPIRED);
    h.expiry_unix++;
    assert_int_equal(mcx_hand_key(&km, &h, &env, &why), MCX_OK);
    mcx_key_msg_wipe(&km);
}

/* TEST TS 33.180 5.5 with 9.4.6: from paper to SRTCP and XML keys.  Computed
 * by another program, which gives the SPK row of interop-vendors as well. */
static void
paper_to_keys(void **state)
{
    struct mcx_env env = world();
    struct mcx_key_owner owner = { .mc_id = "sip:server-b.mcx.test" };
    MCX_SECRET(mcx_hand, h);
    MCX_SECRET(mcx_key_msg, km);
    MCX_SECRET(mcx_tek, tek);
    MCX_SECRET(mcx_xml_keys, xml);
    struct mcx_key_info info;
    struct mcx_keys *keys;
    struct mcx_key *key, *found;
    const char *what;
    uint8_t want[16];
    size_t line;

    (void)state;
    assert_int_equal(read_paper(&h, PAPER, &line, &what), MCX_OK);
    assert_int_equal(mcx_hand_key(&km, &h, &env, NULL), MCX_OK);
    assert_int_equal(mcx_keys_new(&keys, &env, 2), MCX_OK);
    assert_int_equal(mcx_keys_stage(keys, &km, &owner, &key, NULL), MCX_OK);
    assert_int_equal(mcx_key_commit(key), MCX_OK);
    found = mcx_keys_current(keys, MCX_KIND_SPK, NULL, owner.mc_id);
    assert_ptr_equal(found, key);
    mcx_key_info(&info, key);
    assert_true(info.expiry_unix_ms == INT64_C(1767225600000));
    assert_string_equal(info.initiator, "sip:server-a.mcx.test");
    assert_int_equal(mcx_key_tek(&tek, key, 0), MCX_OK);
    assert_int_equal(mcx_hex_decode(want, 16,
                         mcx_bytes_str("89be80a201297fdf97378d9d934d0b4a"),
                         NULL), MCX_OK);
    assert_memory_equal(tek.key, want, 16);
    assert_int_equal(mcx_hex_decode(want, 12,
                         mcx_bytes_str("c3d2ad8037ed2ee16e11779c"), NULL),
                     MCX_OK);
    assert_memory_equal(tek.salt, want, 12);
    assert_int_equal(mcx_key_xml(&xml, key, "sip:server-a.mcx.test", 0),
                     MCX_OK);
    assert_int_equal(mcx_hex_decode(want, 16,
                         mcx_bytes_str("1825276bfe028923bf36c04e32509024"),
                         NULL), MCX_OK);
    assert_memory_equal(xml.c.b, want, 16);
    /* Its end: nothing is derived any more. */
    unix_now = info.expiry_unix_ms;
    assert_int_equal(mcx_key_tek(&tek, key, 0), MCX_E_STATE);
    assert_int_equal(mcx_key_xml(&xml, key, "sip:server-a.mcx.test", 0),
                     MCX_E_STATE);
    mcx_key_unref(found);
    mcx_key_unref(key);
    mcx_keys_free(keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),       cmocka_unit_test(refuses),
        cmocka_unit_test(prefixes),    cmocka_unit_test(longest),
        cmocka_unit_test(key_refuses), cmocka_unit_test(paper_to_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
