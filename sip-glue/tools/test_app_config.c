/* test_app_config.c -- command line and files: which wins, what is refused,
 * and that the message names the place. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "app_config.h"

/* Only its command line part is tested here. */
mcx_t *
mcx_create(su_root_t *root, mcx_callback_f *callback, mcx_magic_t *magic,
           tag_type_t tag, tag_value_t value, ...)
{
    (void)root;
    (void)callback;
    (void)magic;
    (void)tag;
    (void)value;
    return NULL;
}

static const struct mcx_opt opts[] = {
    APP_SHARED_OPTS,
    { "count", MCX_OPT_NUMBER, "7", 1, 10, NULL, "a number" },
};
static const struct app_program program = {
    "test", "A test.", "client", opts, sizeof opts / sizeof opts[0],
};

static char path[] = "test_app_config_XXXXXX";
static char message[1024]; /* what went to standard error */

static void
write_config(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* app_config_start() with standard error caught in 'message'. */
static int
start(struct app_config *app, int argc, const char *const *args)
{
    static char word[16][64]; /* file names are kept as pointers */
    char *argv[17];
    FILE *catch = tmpfile();
    int saved = dup(2), code, i;

    assert_non_null(catch);
    for (i = 0; i <= argc; i++) {
        argv[i] = word[i];
        (void)snprintf(word[i], sizeof word[i], "%s",
                       i == 0 ? "test" : args[i - 1]);
    }
    argv[argc + 1] = NULL;
    (void)fflush(stderr);
    (void)dup2(fileno(catch), 2);
    code = app_config_start(app, &program, argc + 1, argv);
    (void)fflush(stderr);
    (void)dup2(saved, 2);
    (void)close(saved);
    rewind(catch);
    message[fread(message, 1, sizeof message - 1, catch)] = '\0';
    (void)fclose(catch);
    return code;
}

static void
option_wins(void **state)
{
    struct app_config app;
    const char *args[] = { "--identity", "sip:b@x", "--config", path,
                           "--set", "csk-upload/lifetime=60", "--count=9" };

    (void)state;
    write_config("identity = sip:a@x\npsi = sip:pf@x\n");
    assert_int_equal(start(&app, 7, args), -1);
    assert_string_equal(app_get(&app, "identity"), "sip:b@x");
    assert_string_equal(app_get(&app, "psi"), "sip:pf@x");
    assert_string_equal(app_get(&app, "listen"),
                        "sip:127.0.0.1:5060;transport=udp");
    assert_null(app_get(&app, "control"));
    assert_int_equal(app_number(&app, "count"), 9);
    assert_true(app_switch(&app, "stack-thread"));
    assert_string_equal(mcx_config_get(app.config, "csk-upload", "lifetime"),
                        "60");
    assert_int_equal(app.n_files, 1);
    assert_int_equal(app.n_sets, 3);
    assert_string_equal(app.set[0], "identity=sip:b@x");
    assert_string_equal(app.set[1], "csk-upload/lifetime=60");
    app_config_end(&app);
}

static void
refusals(void **state)
{
    static const struct {
        const char *file; /* NULL: none */
        const char *args[2];
        const char *says;
    } cases[] = {
        { "identity = sip:a@x\n\nidentify = x\n", { 0 }, ":3" },
        { "count = 11\n", { 0 }, ":1" },
        { "count = seven\n", { 0 }, "count" },
        { "no equals sign\n", { 0 }, ":1" },
        { NULL, { "--count", "0" }, "--count" },
        { NULL, { "--nonsense", "1" }, "--help" },
        { NULL, { "--set", "nothing" }, "SECTION/NAME=VALUE" },
        { NULL, { "--config", "no/such/file" }, "no/such/file" },
        { NULL, { "stray", "word" }, "stray" },
        { NULL, { "--stack-thread", "maybe" }, "--stack-thread" },
    };
    struct app_config app;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *with_file[] = { "--config", path };

        if (cases[i].file != NULL) {
            write_config(cases[i].file);
        }
        assert_int_equal(start(&app, 2, cases[i].file != NULL
                                            ? with_file
                                            : cases[i].args), 2);
        if (strstr(message, cases[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", message, cases[i].says);
        }
        if (cases[i].file != NULL) {
            assert_non_null(strstr(message, path));
        }
    }
}

/* sofia-sip never sees a list of transports: it would crash. */
static void
listening(void **state)
{
    static const struct {
        const char *value, *first, *second; /* first NULL: refused */
    } cases[] = {
        { "sip:1.2.3.4:5060", "sip:1.2.3.4:5060", NULL },
        { "sip:h:5060;transport=udp,tcp", "sip:h:5060;transport=udp",
          "sip:h:5060;transport=tcp" },
        { "sip:h;transport=udp,tcp;x=1", "sip:h;transport=udp;x=1",
          "sip:h;transport=tcp;x=1" },
        { "sip:h;transport=udp  sip:i;transport=tcp", "sip:h;transport=udp",
          "sip:i;transport=tcp" },
        { "sip:a sip:b sip:c", NULL, NULL },
        { "sip:h;transport=udp,tls", NULL, NULL },
        { "sip:h;transport=tcp,udp", NULL, NULL },
        { "sip:a sip:h;transport=udp,tcp", NULL, NULL },
    };
    struct app_config app;
    struct app_listen listen;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *args[] = { "--listen", cases[i].value };

        assert_int_equal(start(&app, 2, args), -1);
        assert_int_equal(app_get_listen(&app, &listen),
                         cases[i].first != NULL);
        if (cases[i].first != NULL) {
            assert_string_equal(listen.url[0], cases[i].first);
            assert_int_equal(listen.second != NULL,
                             cases[i].second != NULL);
            if (cases[i].second != NULL) {
                assert_string_equal(listen.second, cases[i].second);
            }
        }
        app_config_end(&app);
    }
}

static void
missing(void **state)
{
    struct app_config app;

    (void)state;
    assert_int_equal(start(&app, 0, NULL), -1);
    assert_null(app_need(&app, "identity"));
    app_config_end(&app);
}

static int
make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) != 0;
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option_wins),
        cmocka_unit_test(refusals),
        cmocka_unit_test(listening),
        cmocka_unit_test(missing),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
