/* storm.c -- many clients that register at a function at once.
 *
 *   storm KEYS PSI CLIENT FUNCTION LOCAL N WINDOW
 *
 * Makes N REGISTERs, each of an IMPU of its own with a fresh CSK that CLIENT
 * has signed for PSI, and sends them from address LOCAL to FUNCTION (port
 * 5060, UDP) so that WINDOW of them wait for their answers at any time.
 * Prints how many were answered 200 and how long all took; exit 1 when one
 * was not.  storm.sh runs it against mcx-pf. */
#include <config.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sofia-mcx/mcx.h>

enum { SIP_ROOM = 4096, MIKEY_ROOM = 2048, N_MAX = 20000, PORT = 5060,
       LOST_MS = 5000 };

struct request {
    char octets[SIP_ROOM];
    size_t n;
};

static const struct mcx_env *env;

static _Noreturn void
die(const char *what, const char *why)
{
    fprintf(stderr, "storm: %s: %s\n", what, why);
    exit(2);
}

static int
open_socket(const char *function, const char *local)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(PORT) };
    struct sockaddr_in from = to;
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    if (inet_pton(AF_INET, function, &to.sin_addr) != 1
        || inet_pton(AF_INET, local, &from.sin_addr) != 1 || s < 0
        || bind(s, (struct sockaddr *)&from, sizeof from) != 0
        || connect(s, (struct sockaddr *)&to, sizeof to) != 0) {
        die("socket", function);
    }
    return s;
}

static void
make(struct request *r, unsigned no, const struct mcx_build *how,
     const char *local)
{
    uint8_t mikey[MIKEY_ROOM];
    size_t n = sizeof mikey;
    int head;

    if (mcx_mikey_build(mikey, &n, NULL, how, NULL) != MCX_OK) {
        die("message", how->from);
    }
    head = snprintf(r->octets, sizeof r->octets,
                    "REGISTER sip:ims.test SIP/2.0\r\n"
                    "Via: SIP/2.0/UDP %s:%d;branch=z9hG4bKstorm%u\r\n"
                    "Max-Forwards: 70\r\n"
                    "From: <sip:storm%u@ims.test>;tag=s%u\r\n"
                    "To: <sip:storm%u@ims.test>\r\n"
                    "Call-ID: storm%u@%s\r\n"
                    "CSeq: 1 REGISTER\r\n"
                    "Contact: <sip:storm%u@%s:%d>\r\n"
                    "Expires: 3600\r\n"
                    "Content-Type: application/mikey\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    local, PORT, no, no, no, no, no, local, no, local, PORT,
                    n);
    if (head < 0 || (size_t)head + n > sizeof r->octets) {
        die("message", "too long");
    }
    memcpy(r->octets + head, mikey, n);
    r->n = (size_t)head + n;
}

/* The status of the final response that came; 0: none, 100 does not count. */
static int
answer(int s)
{
    char buf[SIP_ROOM];
    ssize_t n = recv(s, buf, sizeof buf - 1, 0);
    int status = 0;

    if (n > 12) {
        buf[n] = '\0';
        status = (int)strtol(buf + 8, NULL, 10); /* behind "SIP/2.0 " */
    }
    return status >= 200 ? status : 0;
}

int
main(int argc, char **argv)
{
    struct mcx_kms_loaded loaded;
    struct mcx_text text = { "" };
    struct mcx_build how = { .kind = MCX_KIND_CSK };
    struct mcx_ring *ring = NULL;
    struct request *r;
    unsigned n, window, sent = 0, came = 0, good = 0, i;
    int64_t start;
    int s;

    if (argc != 8) {
        die("usage", "storm KEYS PSI CLIENT FUNCTION LOCAL N WINDOW");
    }
    n = (unsigned)strtoul(argv[6], NULL, 10);
    window = (unsigned)strtoul(argv[7], NULL, 10);
    if (n == 0 || n > N_MAX || window == 0) {
        die("N, WINDOW", "out of range");
    }
    env = mcx_env_system();
    if (mcx_ring_new(&ring, env) != MCX_OK
        || mcx_kms_load_dir(ring, argv[1], env, &loaded, &text) != MCX_OK) {
        die("keys", text.s);
    }
    r = calloc(n, sizeof *r);
    if (!r) {
        die("requests", "no memory");
    }
    how.env = env;
    how.ring = ring;
    how.from = argv[3];
    how.to = argv[2];
    for (i = 0; i < n; i++) {
        make(&r[i], i, &how, argv[5]);
    }
    s = open_socket(argv[4], argv[5]);
    start = env->mono_ms(env->ctx);
    while (came < n) {
        struct pollfd p = { .fd = s, .events = POLLIN };
        int status;

        for (; sent < n && sent - came < window; sent++) {
            if (send(s, r[sent].octets, r[sent].n, 0) < 0) {
                die("send", argv[4]);
            }
        }
        if (poll(&p, 1, LOST_MS) <= 0) {
            break; /* the others are lost */
        }
        status = answer(s);
        came += status != 0;
        good += status == 200;
    }
    printf("%u of %u registered in %lld ms\n", good, n,
           (long long)(env->mono_ms(env->ctx) - start));
    close(s);
    free(r);
    mcx_ring_free(ring);
    return good != n;
}
