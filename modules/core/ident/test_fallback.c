/* test_fallback.c -- a back-end that computes something wrong is found at
 * load, said to be, and not used.  The faults are put in here, by the linker:
 * mcx_ops() and mcx_ops_fall_back() are wrapped, the library has no hook. */
#include <config.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test_kit.h"

static struct mcx_ops faulty; /* portable, but for one operation */
static int fallen;

const struct mcx_ops *__wrap_mcx_ops(void);
void __wrap_mcx_ops_fall_back(void);

const struct mcx_ops *
__wrap_mcx_ops(void)
{
    return fallen ? &mcx_ops_portable : &faulty;
}

void
__wrap_mcx_ops_fall_back(void)
{
    fallen = 1;
}

/* ---- one operation wrong, and just so ----------------------------------- */

static bool
pair(uint8_t w[128], bool *defined, const void *lines, const uint8_t r[257])
{
    bool ok = mcx_ops_portable.pair(w, defined, lines, r);

    w[127] ^= 1;
    return ok;
}

static void
many(uint8_t (*w)[128], bool *on_curve, bool *defined, const void *lines,
     const uint8_t *const *r, void *work)
{
    int i;

    (void)work;
    for (i = 0; i < MCX_BATCH; i++) {
        on_curve[i] = r[i]
                      && mcx_ops_portable.pair(w[i], &defined[i], lines, r[i]);
    }
}

static void
many_wrong(uint8_t (*w)[128], bool *on_curve, bool *defined,
           const void *lines, const uint8_t *const *r, void *work)
{
    many(w, on_curve, defined, lines, r, work);
    w[MCX_BATCH - 3][0] ^= 0x80;
}

static bool
lines(void *out, const uint8_t k[257], void *work)
{
    bool ok = mcx_ops_portable.lines(out, k, work);

    ((uint8_t *)out)[100000] ^= 1;
    return ok;
}

static void
table(struct mcx_point_table *t, const uint8_t a[257], void *work)
{
    int i;

    mcx_ops_portable.table(t, a, work);
    for (i = 0; i < 16; i++) {
        t->e[207][i][1][15] ^= 2;
    }
}

static void
g_table(struct mcx_g_table *t, void *work)
{
    int i;

    mcx_ops_portable.g_table(t, work);
    for (i = 0; i < 16; i++) {
        t->e[0][i][0][0] ^= 1;
    }
}

static bool
always_point(const uint8_t a[257])
{
    (void)a;
    return true;
}

static bool
never_point(const uint8_t a[257])
{
    (void)a;
    return false;
}

static bool
always_is(const uint8_t r[257], const struct mcx_point_table *t,
          const uint64_t k[MCX_W])
{
    (void)r;
    (void)t;
    (void)k;
    return true;
}

static bool
always_g(const void *lines_p, const void *lines_z, const uint64_t a[MCX_W],
         const uint8_t k[257])
{
    (void)lines_p;
    (void)lines_z;
    (void)a;
    (void)k;
    return true;
}

/* ---- each in a process of its own: the choice is made once -------------- */

static const char *const faults[] = {
    "none", "pair", "pair_many", "lines", "table", "g_table", "is_point",
    "order_q", "order_q never", "mul_is", "gives_g"
};
enum { N_FAULTS = sizeof faults / sizeof faults[0] };

static void
put(const char *fault)
{
    faulty = mcx_ops_portable;
    faulty.name = "faulty";
    faulty.pair_many = many;
#define FAULT(name, member, value)                                            \
    if (strcmp(fault, name) == 0) {                                           \
        faulty.member = value;                                                \
    }
    FAULT("pair", pair, pair)
    FAULT("pair_many", pair_many, many_wrong)
    FAULT("lines", lines, lines)
    FAULT("table", table, table)
    FAULT("g_table", g_table, g_table)
    FAULT("is_point", is_point, never_point)
    FAULT("order_q", order_q, always_point)
    FAULT("order_q never", order_q, never_point)
    FAULT("mul_is", mul_is, always_is)
    FAULT("gives_g", gives_g, always_g)
#undef FAULT
}

/* In the child, its standard error in 'fd': 0 when what had to happen did. */
static int
child(const char *fault, int fd)
{
    bool none = strcmp(fault, "none") == 0;
    const struct mcx_shared *sh;

    if (dup2(fd, STDERR_FILENO) < 0) {
        return 2;
    }
    put(fault);
    sh = mcx_shared();
    if (!sh || (sh->ops == &faulty) != none || fallen == none) {
        return 3;
    }
    return mcx_ident_selftest() == MCX_OK ? 0 : 4;
}

static void
falls_back(void **state)
{
    char said[4096];
    size_t i;

    (void)state;
    for (i = 0; i < N_FAULTS; i++) {
        bool loud;
        ssize_t n;
        int fd[2], status;
        pid_t pid;

        assert_int_equal(pipe(fd), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(child(faults[i], fd[1]));
        }
        (void)close(fd[1]);
        n = read(fd[0], said, sizeof said - 1);
        assert_true(n >= 0);
        said[n] = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)close(fd[0]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail_msg("fault in %s: status %x, said: %s", faults[i],
                     (unsigned)status, said);
        }
        loud = strstr(said, "back-end faulty fails its self-test, portable "
                            "runs") != NULL;
        assert_int_equal(loud, i > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(falls_back),
    };

    return cmocka_run_group_tests_name("fallback", tests, NULL, NULL);
}
