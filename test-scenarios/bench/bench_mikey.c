/* bench_mikey.c -- MIKEY messages parsed per second, without crypto and
 * without allocation.
 *
 *   bench_mikey [SECONDS]
 *
 * Prints one line a message form, as bench.sh collects them: messages a
 * second on this core, octets, what was allocated (which must be nothing).
 * The targets are 1,000,000 for the small form and 300,000 for the full
 * I_MESSAGE; the program fails when something allocates, not when the machine
 * is slow.  Messages are made here by hand: shape and sizes are those of the
 * 3GPP profile, the octets of SAKKE and SIGN are arbitrary, as parsing does
 * not look at them. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <malloc.h>
#include <sofia-mcx/mcx_mikey.h>

enum { ROOM = 4096 };

struct message { uint8_t b[ROOM]; size_t n, next_at; };

static void
put(struct message *m, const void *p, size_t n)
{
    if (n > ROOM - m->n) {
        abort();
    }
    if (p) {
        memcpy(m->b + m->n, p, n);
    } else {
        memset(m->b + m->n, 0x5a, n);
    }
    m->n += n;
}

static void
put_u(struct message *m, unsigned long v, size_t n)
{
    uint8_t b[8];
    size_t i;

    for (i = 0; i < n; i++) {
        b[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    }
    put(m, b, n);
}

/* Starts a payload: the one before gets its number. */
static void
next(struct message *m, unsigned type)
{
    m->b[m->next_at] = (uint8_t)type;
    if (type != MCX_PL_SIGN) {
        m->next_at = m->n;
        put_u(m, 0, 1);
    }
}

static void
head(struct message *m, unsigned data_type, unsigned long csb_id)
{
    memset(m, 0, sizeof *m);
    put_u(m, 1, 1);
    put_u(m, data_type, 1);
    m->next_at = m->n;
    put_u(m, 0, 1);
    put_u(m, 1, 1);
    put_u(m, csb_id, 4);
    put_u(m, 0, 1);
    put_u(m, MCX_MAP_EMPTY, 1);
    next(m, MCX_PL_T);
    put_u(m, 0, 1);
    put(m, NULL, 8);
}

static void
idr(struct message *m, unsigned role, const char *uri)
{
    next(m, MCX_PL_IDR);
    put_u(m, role, 1);
    put_u(m, 1, 1);
    put_u(m, (unsigned long)strlen(uri), 2);
    put(m, uri, strlen(uri));
}

/* The smallest there is: HDR, T, V. */
static void
small(struct message *m)
{
    head(m, MCX_DT_PSK_RESP, 0x12345678);
    next(m, MCX_PL_V);
    put_u(m, 1, 1);
    put(m, NULL, 20);
}

/* HDR, T, RAND, KEMAC. */
static void
psk(struct message *m)
{
    head(m, MCX_DT_PSK_INIT, 0x12345678);
    next(m, MCX_PL_RAND);
    put_u(m, 16, 1);
    put(m, NULL, 16);
    next(m, MCX_PL_KEMAC);
    put_u(m, 1, 1);
    put_u(m, 25, 2);
    put(m, NULL, 25);
    put_u(m, 1, 1);
    put(m, NULL, 20);
}

/* A GMK with everything. */
static void
full(struct message *m)
{
    static const uint8_t sp[] = { 0,  1, 6, 1, 1, 16, 2,  1, 4, 4,  1, 12,
                                  13, 2, 0, 1, 18, 1,  4, 20, 1, 16 };

    head(m, MCX_DT_SAKKE, 0x0abcdef1);
    next(m, MCX_PL_RAND);
    put_u(m, 16, 1);
    put(m, NULL, 16);
    idr(m, MCX_ROLE_I, "sip:gms@mcptt.example.org");
    idr(m, MCX_ROLE_R, "sip:user.0000001@mcptt.example.org");
    idr(m, MCX_ROLE_KMSI, "kms.example.org");
    idr(m, MCX_ROLE_KMSR, "kms.example.org");
    next(m, MCX_PL_SP);
    put_u(m, 0, 2);
    put_u(m, sizeof sp, 2);
    put(m, sp, sizeof sp);
    next(m, MCX_PL_SAKKE);
    put_u(m, 0x0102, 2);
    put_u(m, 273, 2);
    put(m, NULL, 273);
    next(m, MCX_PL_EXT);
    put_u(m, MCX_EXT_KEY_PARAMS, 1);
    put_u(m, 71, 2);
    put(m, NULL, 71);
    next(m, MCX_PL_EXT);
    put_u(m, MCX_EXT_SAKKE_TO_SELF, 1);
    put_u(m, 278, 2);
    put(m, NULL, 278);
    next(m, MCX_PL_SIGN);
    put_u(m, 0x2081, 2);
    put(m, NULL, 129);
}

static double
now_s(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
run(const char *name, const struct message *m, double seconds, double target)
{
    static struct mcx_mikey_msg out;
    struct mcx_bytes b = mcx_bytes(m->b, m->n);
    struct mcx_why why = { 0 };
    struct mallinfo2 before, after;
    unsigned long n = 0, i;
    double start, spent;

    if (mcx_mikey_parse(&out, b, &why) != MCX_OK) {
        (void)fprintf(stderr, "bench_mikey: %s: %s at %zu\n", name,
                      mcx_reason_word(why.reason), why.offset);
        return 1;
    }
    before = mallinfo2();
    start = now_s();
    do {
        for (i = 0; i < 1000; i++) {
            if (mcx_mikey_parse(&out, b, NULL) != MCX_OK) {
                return 1;
            }
        }
        n += i;
        spent = now_s() - start;
    } while (spent < seconds);
    after = mallinfo2();
    (void)printf("{\"figure\": \"parse_%s\", \"unit\": \"per_second\", "
                 "\"value\": %.0f, \"target\": %.0f, \"octets\": %zu, "
                 "\"allocated\": %zu}\n", name, (double)n / spent, target,
                 m->n, after.uordblks - before.uordblks);
    return after.uordblks != before.uordblks;
}

int
main(int argc, char **argv)
{
    static struct message m;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    int bad = 0;

    small(&m);
    bad |= run("small", &m, seconds, 1e6);
    psk(&m);
    bad |= run("psk", &m, seconds, 1e6);
    full(&m);
    bad |= run("full", &m, seconds, 3e5);
    return bad;
}
