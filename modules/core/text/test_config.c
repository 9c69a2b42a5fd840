/* test_config.c -- the configuration syntax: what is read, what is said of
 * mistakes, what overrides what. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include <sofia-mcx/mcx_config.h>

/* ---- a file from memory ------------------------------------------------ */

static struct mcx_bytes file;
static mcx_err file_err;

static mcx_err
read_file(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    (void)ctx;
    (void)path;
    assert_true(max >= 65536);
    if (file_err != MCX_OK) {
        return file_err;
    }
    *out = malloc(file.n + 1);
    if (!*out) {
        return MCX_E_NOMEM;
    }
    if (file.n) {
        memcpy(*out, file.p, file.n);
    }
    (*out)[file.n] = '\0';
    *n = file.n;
    return MCX_OK;
}

static const struct mcx_env env = { .read_file = read_file };
static struct mcx_text text;

static mcx_err
load_n(struct mcx_config *c, struct mcx_bytes b)
{
    file = b;
    file_err = MCX_OK;
    return mcx_config_load(c, "alice.conf", &env, &text);
}

static mcx_err
load(struct mcx_config *c, const char *s)
{
    return load_n(c, mcx_bytes_str(s));
}

static struct mcx_config *
make(const char *s)
{
    struct mcx_config *c = NULL;

    assert_int_equal(mcx_config_new(&c), MCX_OK);
    assert_int_equal(load(c, s), MCX_OK);
    assert_string_equal(text.s, "");
    return c;
}

static void
expect(const struct mcx_config *c, const char *section, const char *name,
       const char *want)
{
    const char *got = mcx_config_get(c, section, name);

    if (want) {
        assert_non_null(got);
        assert_string_equal(got, want);
    } else {
        assert_null(got);
    }
}

static const struct mcx_opt opts[] = {
    { "identity", MCX_OPT_URI, NULL, 0, 0, NULL, "who we are" },
    { "modules", MCX_OPT_TEXT, "keymgmt", 0, 0, NULL, "what to load" },
    { "keys", MCX_OPT_PATH, NULL, 0, 0, NULL, "KMS folder" },
    { "lifetime", MCX_OPT_SECONDS, "3600", 60, 86400, NULL, "how long" },
    { "offset", MCX_OPT_NUMBER, NULL, -5, 5, NULL, "any number" },
    { "count", MCX_OPT_NUMBER, NULL, 0, 0, NULL, "without bounds" },
    { "secure", MCX_OPT_SWITCH, "yes", 0, 0, NULL, "insist" },
    { "via", MCX_OPT_ENUM, "register", 0, 0, "register publish", "how" },
};
enum { N_OPTS = sizeof opts / sizeof opts[0] };

/* ---- tests ------------------------------------------------------------- */

static void
test_read(void **state)
{
    struct mcx_config *c = make(
        "# comment\n\n  identity = sip:alice@mcx.test  \r\n"
        "modules=keymgmt csk-upload\n"
        "\tkeys =\t/a path/# no comment = here\n"
        "[csk-upload]\nlifetime = 3600\n"
        " [ peer sip:bob@mcx.test ] \r\nlifetime = 60\n"
        "   # another\n[csk-upload]\nvia = publish");

    (void)state;
    expect(c, NULL, "identity", "sip:alice@mcx.test");
    expect(c, "", "modules", "keymgmt csk-upload");
    expect(c, NULL, "keys", "/a path/# no comment = here");
    expect(c, "csk-upload", "lifetime", "3600");
    expect(c, "peer sip:bob@mcx.test", "lifetime", "60");
    expect(c, "csk-upload", "via", "publish");
    expect(c, NULL, "lifetime", NULL);
    expect(c, "srtp", "lifetime", NULL);
    expect(c, NULL, "Identity", NULL);
    expect(c, NULL, NULL, NULL);
    expect(NULL, NULL, "x", NULL);
    mcx_config_free(c);
    mcx_config_free(make(""));
    mcx_config_free(NULL);
}

static void
test_syntax_refused(void **state)
{
    static const struct { const char *s, *want; } bad[] = {
        { "a = 1\nhello\n", "alice.conf:2: expected \"name = value\", "
                            "\"[section]\" or \"# comment\"" },
        { "= 1\n", "alice.conf:1: expected \"name = value\", "
                   "\"[section]\" or \"# comment\"" },
        { "a b = 1\n", "alice.conf:1: expected \"name = value\", "
                       "\"[section]\" or \"# comment\"" },
        { "a =  \n", "alice.conf:1: setting \"a\" has no value; leave the "
                     "line out for the default" },
        { "\n\n[x\n", "alice.conf:3: a section is \"[name]\", and nothing "
                      "may follow it" },
        { "[x] # no\n", "alice.conf:1: a section is \"[name]\", and nothing "
                        "may follow it" },
        { "[ ]\n", "alice.conf:1: a section is the name of a module, or "
                   "\"peer URI\"" },
        { "[[x]]\n", "alice.conf:1: a section is the name of a module, or "
                     "\"peer URI\"" },
        { "a = 1\n[s]\na = 1\n[s]\na = 2\n",
          "alice.conf:5: setting \"a\" occurs again; it was set in line 3" },
        { "a = 1\na = 1\n",
          "alice.conf:2: setting \"a\" occurs again; it was set in line 1" },
        { "a\033[2J = 1\n", "alice.conf:1: expected \"name = value\", "
                            "\"[section]\" or \"# comment\"" },
    };
    struct mcx_config *c = make("old = 1\n");
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(load(c, bad[i].s), MCX_E_CONFIG);
        assert_string_equal(text.s, bad[i].want);
        /* Nothing of a bad file is taken. */
        expect(c, NULL, "a", NULL);
        expect(c, "s", "a", NULL);
        expect(c, NULL, "old", "1");
    }
    assert_int_equal(load_n(c, mcx_bytes("a = 1\0\n", 7)), MCX_E_CONFIG);
    assert_string_equal(text.s, "alice.conf:1: this is not a text file");
    file_err = MCX_E_IO;
    assert_int_equal(mcx_config_load(c, "x.conf", &env, &text), MCX_E_IO);
    assert_string_equal(text.s, "x.conf: this file cannot be read");
    file_err = MCX_E_TOOBIG;
    assert_int_equal(mcx_config_load(c, "x.conf", &env, &text),
                     MCX_E_TOOBIG);
    assert_string_equal(text.s, "x.conf: larger than 1 MiB");
    assert_int_equal(mcx_config_load(c, "x.conf", &env, NULL),
                     MCX_E_TOOBIG);
    assert_int_equal(mcx_config_load(c, NULL, &env, &text), MCX_E_ARG);
    assert_int_equal(mcx_config_load(NULL, "x", &env, &text), MCX_E_ARG);
    mcx_config_free(c);
}

static void
test_override(void **state)
{
    struct mcx_config *c = make("a = 1\nb = 2\n[s]\na = 3\n");

    (void)state;
    assert_int_equal(load(c, "b = 4\n[t]\nb = 5\n"), MCX_OK);
    expect(c, NULL, "a", "1");
    expect(c, NULL, "b", "4");
    expect(c, "t", "b", "5");
    assert_int_equal(mcx_config_set(c, NULL, "a", "9", "--a"), MCX_OK);
    assert_int_equal(mcx_config_set(c, "s", "a", "8", "--s-a"), MCX_OK);
    assert_int_equal(mcx_config_set(c, "", "new", "7", NULL), MCX_OK);
    expect(c, NULL, "a", "9");
    expect(c, "s", "a", "8");
    expect(c, NULL, "new", "7");
    assert_int_equal(mcx_config_set(c, NULL, "", "7", "--"), MCX_E_ARG);
    assert_int_equal(mcx_config_set(c, NULL, "a b", "7", "--"), MCX_E_ARG);
    assert_int_equal(mcx_config_set(c, NULL, NULL, "7", "--"), MCX_E_ARG);
    assert_int_equal(mcx_config_set(c, NULL, "a", NULL, "--"), MCX_E_ARG);
    assert_int_equal(mcx_config_set(NULL, NULL, "a", "1", "--"), MCX_E_ARG);
    expect(c, NULL, "a", "9");
    mcx_config_free(c);
}

static char seen[200];

static void
each(void *arg, const char *section, const char *origin, int line)
{
    size_t n = strlen(seen);

    assert_ptr_equal(arg, seen);
    (void)snprintf(seen + n, sizeof seen - n, "%s@%s:%d ", section, origin,
                   line);
}

static void
test_sections(void **state)
{
    struct mcx_config *c = make("x = 1\n[empty]\n[b]\ny = 1\n[empty]\n");

    (void)state;
    assert_int_equal(mcx_config_set(c, "opt", "a", "8", "--opt"), MCX_OK);
    assert_int_equal(mcx_config_set(c, "b", "a", "8", "--opt"), MCX_OK);
    mcx_config_sections(c, each, seen);
    assert_string_equal(seen, "empty@alice.conf:2 b@alice.conf:3 "
                              "opt@--opt:0 ");
    mcx_config_sections(NULL, each, seen);
    mcx_config_free(c);
}

static void
test_check(void **state)
{
    struct mcx_config *c = make("identity = sip:alice@mcx.test\n"
                                "lifetime = 60\n[m]\nvia = publish\n");

    (void)state;
    expect(c, NULL, "modules", NULL); /* not yet known */
    assert_int_equal(mcx_config_check(c, NULL, opts, N_OPTS, &text), MCX_OK);
    assert_int_equal(mcx_config_check(c, "m", opts, N_OPTS, NULL), MCX_OK);
    assert_int_equal(mcx_config_check(c, "absent", opts, N_OPTS, &text),
                     MCX_OK);
    expect(c, NULL, "lifetime", "60");
    expect(c, NULL, "modules", "keymgmt");
    expect(c, NULL, "keys", NULL);
    expect(c, "m", "via", "publish");
    expect(c, "m", "lifetime", "3600");
    expect(c, "absent", "via", "register");
    expect(c, "other", "via", NULL);
    /* Checked again with other options: those count. */
    assert_int_equal(mcx_config_check(c, "absent", opts, 1, &text), MCX_OK);
    expect(c, "absent", "via", NULL);
    assert_int_equal(mcx_config_check(NULL, NULL, opts, 1, &text),
                     MCX_E_ARG);
    assert_int_equal(mcx_config_check(c, NULL, NULL, 1, &text), MCX_E_ARG);
    mcx_config_free(c);
}

static void
test_unknown(void **state)
{
    struct mcx_config *c = make("\nidenity = sip:a@b\n[m]\nx = 1\n");

    (void)state;
    assert_int_equal(mcx_config_check(c, NULL, opts, 3, &text), MCX_E_CONFIG);
    assert_string_equal(text.s, "alice.conf:2: unknown setting \"idenity\"; "
                                "known: identity, modules, keys");
    assert_int_equal(mcx_config_check(c, "m", opts, 1, &text), MCX_E_CONFIG);
    assert_string_equal(text.s, "alice.conf:4: unknown setting \"x\" in [m]; "
                                "known: identity");
    assert_int_equal(mcx_config_check(c, "m", NULL, 0, &text), MCX_E_CONFIG);
    assert_string_equal(text.s, "alice.conf:4: unknown setting \"x\" in [m]; "
                                "known: none");
    assert_int_equal(mcx_config_set(c, "m", "q", "1", "--q"), MCX_OK);
    assert_int_equal(mcx_config_set(c, "m", "x", "1", "--x"), MCX_OK);
    assert_int_equal(mcx_config_check(c, "m", opts, 1, &text), MCX_E_CONFIG);
    assert_string_equal(text.s, "--x: unknown setting \"x\" in [m]; known: "
                                "identity");
    mcx_config_free(c);
}

/* Values of option 'name': is this one taken? */
static void
check_value(const char *name, const char *value, const char *complaint)
{
    struct mcx_config *c = make("");
    mcx_err err;

    assert_int_equal(mcx_config_set(c, NULL, name, value, "--o"), MCX_OK);
    err = mcx_config_check(c, NULL, opts, N_OPTS, &text);
    if (complaint) {
        assert_int_equal(err, MCX_E_CONFIG);
        if (!strstr(text.s, complaint)) {
            fail_msg("%s = \"%s\": %s", name, value, text.s);
        }
    } else if (err != MCX_OK) {
        fail_msg("%s = \"%s\": %s", name, value, text.s);
    }
    mcx_config_free(c);
}

static void
test_values(void **state)
{
    static const char *const uris[] = {
        "sip:alice@mcx.test", "tel:+123", "https://kms.test/x", "kms.test",
        "kms", "127.0.0.1", "127.0.0.1:5060", "host:1", "[::1]", "[::1]:80",
        "urn:uuid:1",
    };
    static const char *const no_uris[] = {
        "", "sip:", ":x", "sip:a b", "a b", "[::1", "[::1]x", "127.0.0.1:",
        "127.0.0.1:x", "a/b", "[::1]:", "sip:a\033b", "@", "1a:",
    };
    static const char *const numbers[] = { "60", "3600", "86400", "00060" };
    static const char *const no_numbers[] = {
        "", "59", "86401", "-60", "+60", " 60", "60 ", "1e3", "0x60", "60s",
        "99999999999999999999", "-",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        check_value("identity", uris[i], NULL);
    }
    for (i = 0; i < sizeof no_uris / sizeof no_uris[0]; i++) {
        check_value("identity", no_uris[i],
                     "--o: \"identity\" wants a URI with its scheme, or a "
                     "host name, not \"");
    }
    for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        check_value("lifetime", numbers[i], NULL);
    }
    for (i = 0; i < sizeof no_numbers / sizeof no_numbers[0]; i++) {
        check_value("lifetime", no_numbers[i],
                     "--o: \"lifetime\" wants a number of seconds from 60 to "
                     "86400, not \"");
    }
    check_value("offset", "-5", NULL);
    check_value("offset", "-6", "a number from -5 to 5, not \"-6\"");
    check_value("count", "123456789012345678", NULL);
    check_value("count", "-1", NULL);
    check_value("count", "x", "wants a number, not \"x\"");
    check_value("secure", "yes", NULL);
    check_value("secure", "no", NULL);
    check_value("secure", "true", "wants yes or no, not \"true\"");
    check_value("secure", "yes no", "wants yes or no");
    check_value("secure", "Yes", "wants yes or no");
    check_value("via", "publish", NULL);
    check_value("via", "pub", "wants one of: register publish, not \"pub\"");
    check_value("via", "register publish", "wants one of");
    check_value("via", "", "wants one of");
    check_value("modules", "", "wants text");
    check_value("modules", "a\nb", "wants text, not \"a?b\"");
    check_value("keys", "/x y/z", NULL);
    check_value("keys", "", "wants a path");
}

/* Long names and values cut the message, not the stack. */
static void
test_long(void **state)
{
    struct mcx_config *c = make("");
    size_t n = 100000;
    char *s = malloc(n + 1);

    (void)state;
    assert_non_null(s);
    memset(s, 'x', n);
    s[n] = '\0';
    assert_int_equal(mcx_config_set(c, NULL, "identity", s, "--i"), MCX_OK);
    assert_int_equal(mcx_config_check(c, NULL, opts, N_OPTS, &text), MCX_OK);
    s[5] = ' ';
    assert_int_equal(mcx_config_set(c, NULL, "identity", s, "--i"), MCX_OK);
    assert_int_equal(mcx_config_check(c, NULL, opts, N_OPTS, &text),
                     MCX_E_CONFIG);
    assert_true(strlen(text.s) < 200);
    s[5] = 'x';
    assert_int_equal(mcx_config_set(c, s, s, "1", s), MCX_OK);
    assert_int_equal(mcx_config_check(c, s, opts, N_OPTS, &text),
                     MCX_E_CONFIG);
    assert_int_equal(load(c, s), MCX_E_CONFIG);
    free(s);
    mcx_config_free(c);
}

/* Time grows with the lines and no faster, for many settings of one section
 * and for many sections alike: processor time, so that a busy machine does
 * not matter.  60,000 lines once took seven seconds. */
static void
many(const char *each, int n)
{
    struct mcx_config *c = make("identity = sip:a@mcx.test\n");
    size_t room = (size_t)n * 40, at = 0;
    char *s = malloc(room), section[40];
    clock_t begin = clock();
    int i;

    assert_non_null(s);
    for (i = 0; i < n; i++) {
        at += (size_t)snprintf(s + at, room - at, "%s%d%s=%d\n", each, i,
                               *each == '[' ? "]\na" : "", i);
    }
    assert_int_equal(load_n(c, mcx_bytes(s, at)), MCX_OK);
    assert_int_equal(load_n(c, mcx_bytes(s, at)), MCX_OK); /* on top */
    for (i = 0; i < n && *each == '['; i++) {
        (void)snprintf(section, sizeof section, "%d", i);
        assert_string_equal(mcx_config_get(c, section, "a"), section);
        assert_int_equal(mcx_config_check(c, section, opts, N_OPTS, &text),
                         MCX_E_CONFIG);
    }
    for (i = 0; i < n && *each != '['; i++) {
        char name[40];

        (void)snprintf(name, sizeof name, "x%d", i);
        (void)snprintf(section, sizeof section, "%d", i);
        assert_string_equal(mcx_config_get(c, "", name), section);
    }
    assert_true(clock() - begin < 3 * CLOCKS_PER_SEC);
    free(s);
    mcx_config_free(c);
}

static void
test_many(void **state)
{
    (void)state;
    many("x", 60000);
    many("[", 30000);
}

/* A section that was checked before anybody wrote it is not one of the
 * file's, and becomes one. */
static void
count_section(void *arg, const char *section, const char *path, int line)
{
    int *n = arg;

    assert_string_equal(section, "late");
    assert_string_equal(path, "alice.conf");
    assert_int_equal(line, 1);
    ++*n;
}

static void
test_checked_first(void **state)
{
    struct mcx_config *c = make("");
    int n = 0;

    (void)state;
    assert_int_equal(mcx_config_check(c, "late", opts, N_OPTS, &text),
                     MCX_OK);
    mcx_config_sections(c, count_section, &n);
    assert_int_equal(n, 0);
    assert_int_equal(load(c, "[late]\n"), MCX_OK);
    mcx_config_sections(c, count_section, &n);
    assert_int_equal(n, 1);
    assert_int_equal(load(c, "\n[late]\n"), MCX_OK); /* and stays line 1 */
    mcx_config_sections(c, count_section, &n);
    assert_int_equal(n, 2);
    mcx_config_free(c);
}

/* An option of a type that does not exist takes no value at all. */
static void
test_no_such_type(void **state)
{
    static const struct mcx_opt odd = { "a", (enum mcx_opt_type)99, NULL, 0,
                                        0, NULL, "" };
    struct mcx_config *c = make("a = 1\n");

    (void)state;
    assert_int_equal(mcx_config_check(c, "", &odd, 1, &text), MCX_E_CONFIG);
    assert_non_null(strstr(text.s, "alice.conf:1: "));
    mcx_config_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_syntax_refused),
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_checked_first),
        cmocka_unit_test(test_no_such_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
