/* mallory.c -- a peer that lies on request.
 *
 * Makes a key download as a participating function would, spoils it in one
 * named way, and sends it in a SIP MESSAGE over UDP or TCP, or writes the
 * octets to a file for SIPp.  Lies that a signature would give away are signed
 * again with the function's own keys, so that each check of the receiver is
 * reached with everything before it in order.  Used by the demo and by the
 * SIPp scenarios; prints what came back and judges nothing: the scenarios do.
 *
 * It speaks just enough SIP for that, on plain sockets: a peer that shared our
 * stack would share its blind spots. */
#include <config.h>
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/bn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sofia-mcx/mcx.h>

/* p of RFC 6509 appendix A and the order of P-256's base point. */
#define P_HEX                                                                 \
    "997abb1f0a563fda65c61198dad0657a416c0ce19cb48261be9ae358b3e01a2ef4"      \
    "0aab27e2fc0f1b228730d531a59cb0e791b39ff7c88a19356d27f4a666a6d0e26c"      \
    "6487326b4cd4512ac5cd65681ce1b6aff4a831852a82a7cf3c521c3c09aa9f94d6"      \
    "af56971f1ffce3e82389857db080c5df10ac7ace87666d807afea85feb"
#define P256_ORDER                                                            \
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

enum { MSG_ROOM = 4096, SIP_ROOM = 16384 };

/* One message in the making. */
struct draft {
    uint8_t b[MSG_ROOM];
    size_t n;
    bool resign; /* sign again with the signer's key */
};

struct opts {
    const char *keys, *psi, *to, *self, *lie, *emit, *dest, *local;
    const char *service, *type;
    bool tcp, repeat, cut_all;
    unsigned cut;
};

static struct mcx_ring *ring;
static const struct mcx_env *env;

static _Noreturn void
die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "mallory: %s%s%s\n", what, detail ? ": " : "",
                  detail ? detail : "");
    exit(2);
}

/* ---- lies -------------------------------------------------------------- */

static struct mcx_mikey_msg
parsed(const struct draft *d)
{
    struct mcx_mikey_msg m;
    struct mcx_why why = { 0 };

    if (mcx_mikey_parse(&m, mcx_bytes(d->b, d->n), &why) != MCX_OK) {
        die("own message does not parse", mcx_reason_word(why.reason));
    }
    return m;
}

static void
build(struct draft *d, const char *from, const char *to, unsigned kind,
      bool hide)
{
    struct mcx_build how = { 0 };
    mcx_err err;

    how.env = env;
    how.ring = ring;
    how.kind = kind;
    how.from = from;
    how.to = to;
    how.hide_initiator = hide;
    d->n = sizeof d->b;
    err = mcx_mikey_build(d->b, &d->n, NULL, &how, NULL);
    if (err != MCX_OK) {
        die("cannot build the message", mcx_err_text(err));
    }
}

/* Signs everything up to the SIGN header again as 'who', with the key of the
 * present period: where T lies about the period, T is judged first. */
static void
sign_as(struct draft *d, const char *who)
{
    struct mcx_mikey_msg m = parsed(d);
    struct mcx_kms_info info;
    struct mcx_user_key *key = NULL;
    uint64_t no = 0;
    int64_t ntp_s = env->unix_ms(env->ctx) / 1000 + MCX_NTP_UNIX_DIFF;

    if (mcx_ring_kms_of(ring, who, &info, NULL) != MCX_OK
        || mcx_period_no(&no, &info.period, ntp_s) != MCX_OK
        || mcx_ring_user(ring, who, no, &key) != MCX_OK
        || mcx_eccsi_sign(d->b + m.signed_size, key,
                          mcx_bytes(d->b, m.signed_size), env) != MCX_OK) {
        die("cannot sign as", who);
    }
    mcx_user_key_free(key);
}

static size_t
sakke_at(const struct draft *d)
{
    struct mcx_mikey_msg m = parsed(d);

    return (size_t)(m.sakke.data.p - d->b);
}

/* R + (0,0): on the curve, not of order q.  For y^2 = x^3 - 3x the sum of
 * (x, y) and (0, 0) is (-3 / x, 3 y / x^2). */
static void
lie_subgroup(struct draft *d)
{
    size_t at = sakke_at(d);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = NULL, *x = BN_bin2bn(d->b + at + 1, 128, NULL);
    BIGNUM *y = BN_bin2bn(d->b + at + 129, 128, NULL);
    BIGNUM *i = BN_new(), *nx = BN_new(), *ny = BN_new();

    if (!ctx || !BN_hex2bn(&p, P_HEX) || !x || !y || !i || !nx || !ny
        || !BN_mod_inverse(i, x, p, ctx) || !BN_set_word(nx, 3)
        || !BN_mod_mul(nx, nx, i, p, ctx) || !BN_mod_mul(ny, nx, i, p, ctx)
        || !BN_mod_mul(ny, ny, y, p, ctx) || !BN_sub(nx, p, nx)
        || BN_bn2binpad(nx, d->b + at + 1, 128) != 128
        || BN_bn2binpad(ny, d->b + at + 129, 128) != 128) {
        die("arithmetic", NULL);
    }
    BN_free(p);
    BN_free(x);
    BN_free(y);
    BN_free(i);
    BN_free(nx);
    BN_free(ny);
    BN_CTX_free(ctx);
    d->resign = true;
}

static void
lie_off_curve(struct draft *d)
{
    d->b[sakke_at(d) + 256] ^= 1;
    d->resign = true;
}

static void
lie_coordinate(struct draft *d)
{
    memset(d->b + sakke_at(d) + 1, 0xff, 128);
    d->resign = true;
}

static void
lie_hint(struct draft *d)
{
    d->b[sakke_at(d) + 272] ^= 1;
    d->resign = true;
}

static void
lie_signature(struct draft *d)
{
    d->b[parsed(d).signed_size + 40] ^= 1;
}

static void
lie_r_zero(struct draft *d)
{
    memset(d->b + parsed(d).signed_size, 0, 32);
}

static void
lie_s_zero(struct draft *d)
{
    memset(d->b + parsed(d).signed_size + 32, 0, 32);
}

static void
lie_rs_zero(struct draft *d)
{
    memset(d->b + parsed(d).signed_size, 0, 64);
}

static void
lie_s_order(struct draft *d)
{
    if (mcx_hex_decode(d->b + parsed(d).signed_size + 32, 32,
                       mcx_bytes_str(P256_ORDER), NULL) != MCX_OK) {
        die("constant", NULL);
    }
}

static void
lie_trailing(struct draft *d)
{
    d->b[d->n++] = 0;
}

static void
lie_two_sign(struct draft *d)
{
    size_t start = parsed(d).sign_at, size = d->n - start;

    memcpy(d->b + d->n, d->b + start, size);
    d->n += size;
}

/* Takes the T payload out and joins HDR to what followed it. */
static void
lie_no_t(struct draft *d)
{
    size_t at = parsed(d).t_at, size = 10;

    d->b[2] = d->b[at];
    memmove(d->b + at, d->b + at + size, d->n - at - size);
    d->n -= size;
}

static void
shift_t(struct draft *d, int64_t by_ms)
{
    uint64_t ntp = mcx_ntp_from_unix_ms(env->unix_ms(env->ctx) + by_ms);
    size_t at = parsed(d).t_at + 2, i;

    for (i = 0; i < 8; i++) {
        d->b[at + i] = (uint8_t)(ntp >> (56 - 8 * i));
    }
    d->resign = true;
}

static void
lie_too_old(struct draft *d)
{
    shift_t(d, -3600000);
}

static void
lie_too_new(struct draft *d)
{
    shift_t(d, 3600000);
}

static void
lie_none(struct draft *d)
{
    (void)d;
}

/* Who makes the message, before it is spoiled. */
enum base { AS_PSI, AS_SELF, SELF_HIDDEN, TO_SELF, SELF_SIGNS };
static const struct lie {
    const char *name;
    enum base base;
    unsigned kind;
    void (*spoil)(struct draft *d);
    const char *what;
} lies[] = {
    { "none", AS_PSI, 2, lie_none, "a good download" },
    { "idri-uri", AS_SELF, 2, lie_none, "IDRi is not the PSI, as a URI" },
    { "idri-uid", SELF_HIDDEN, 2, lie_none, "IDRi is not the PSI, as a UID" },
    { "idrr", TO_SELF, 2, lie_none, "the message is for somebody else" },
    { "signature", AS_PSI, 2, lie_signature, "a bit of s is flipped" },
    { "signer", SELF_SIGNS, 2, lie_none, "signed by another user" },
    { "r-zero", AS_PSI, 2, lie_r_zero, "r = 0" },
    { "s-zero", AS_PSI, 2, lie_s_zero, "s = 0" },
    { "rs-zero", AS_PSI, 2, lie_rs_zero, "r = s = 0" },
    { "s-order", AS_PSI, 2, lie_s_order, "s = q" },
    { "tag-gmk", AS_PSI, 0, lie_none, "purpose tag 0" },
    { "tag-pck", AS_PSI, 1, lie_none, "purpose tag 1" },
    { "tag-mscck", AS_PSI, 5, lie_none, "purpose tag 5" },
    { "too-old", AS_PSI, 2, lie_too_old, "T an hour ago" },
    { "too-new", AS_PSI, 2, lie_too_new, "T in an hour" },
    { "r-off-curve", AS_PSI, 2, lie_off_curve, "R is not on the curve" },
    { "r-subgroup", AS_PSI, 2, lie_subgroup, "R has order 2q" },
    { "r-coordinate", AS_PSI, 2, lie_coordinate, "R.x >= p" },
    { "hint", AS_PSI, 2, lie_hint, "a bit of H is flipped" },
    { "trailing", AS_PSI, 2, lie_trailing, "an octet after SIGN" },
    { "two-sign", AS_PSI, 2, lie_two_sign, "SIGN twice" },
    { "no-t", AS_PSI, 2, lie_no_t, "no T payload" },
};
enum { N_LIES = sizeof lies / sizeof lies[0] };

static void
make(struct draft *d, const struct opts *o, const struct lie *lie)
{
    bool as_self = lie->base == AS_SELF || lie->base == SELF_HIDDEN;

    d->resign = false;
    build(d, as_self ? o->self : o->psi,
          lie->base == TO_SELF ? o->self : o->to,
          lie->kind, lie->base == SELF_HIDDEN);
    lie->spoil(d);
    if (lie->base == SELF_SIGNS) {
        sign_as(d, o->self);
    } else if (d->resign) {
        sign_as(d, o->psi);
    }
    if (o->cut && o->cut < d->n) {
        d->n = o->cut;
    }
}

/* ---- SIP --------------------------------------------------------------- */

static int
sip_socket(const struct opts *o)
{
    char host[64];
    const char *colon = strrchr(o->dest, ':');
    struct sockaddr_in to = { 0 }, from = { 0 };
    int fd, on = 1;

    if (!colon || (size_t)(colon - o->dest) >= sizeof host) {
        die("--dest wants ADDRESS:PORT", o->dest);
    }
    memcpy(host, o->dest, (size_t)(colon - o->dest));
    host[colon - o->dest] = '\0';
    to.sin_family = from.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1
        || inet_pton(AF_INET, o->local, &from.sin_addr) != 1) {
        die("not an IPv4 address", o->dest);
    }
    fd = socket(AF_INET, o->tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0
        || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("socket", strerror(errno));
    }
    return fd;
}

/* Waits for the final response on 'fd' and leaves it, as text, in 'buf'.
 * Returns its status, 0 for silence.  No retransmission: this is loopback, and
 * a request may be held for 15 s. */
static int
final_response(int fd, bool tcp, char *buf, size_t room)
{
    int64_t end = env->mono_ms(env->ctx) + 20000;
    size_t have = 0;
    int status = 0;

    buf[0] = '\0';
    while (status < 200) {
        int64_t left = end - env->mono_ms(env->ctx);
        struct pollfd p = { fd, POLLIN, 0 };
        ssize_t got;

        if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
            return 0;
        }
        have = tcp ? have : 0;
        got = recv(fd, buf + have, room - 1 - have, 0);
        if (got <= 0) {
            return 0;
        }
        have += (size_t)got;
        buf[have] = '\0';
        if (!strstr(buf, "\r\n\r\n")
            || sscanf(buf, "SIP/2.0 %d", &status) != 1) {
            status = 0;
        } else if (status < 200) {
            have = 0;
        }
    }
    return status;
}

/* Sends one MESSAGE; prints "<label> <status> <Warning or ->". */
static void
sip_message(const struct opts *o, struct mcx_bytes body, const char *label)
{
    static unsigned seq;
    struct sockaddr_in me = { 0 };
    socklen_t me_n = sizeof me;
    char buf[SIP_ROOM], *warning;
    int fd = sip_socket(o), head, status, pid = (int)getpid();

    (void)getsockname(fd, (struct sockaddr *)&me, &me_n);
    seq++;
    head = snprintf(
        buf, sizeof buf,
        "MESSAGE sip:alice@%s SIP/2.0\r\n"
        "Via: SIP/2.0/%s %s:%u;rport;branch=z9hG4bK-%d-%u\r\n"
        "Max-Forwards: 70\r\n"
        "From: <%s>;tag=m%d%u\r\n"
        "To: <%s>\r\n"
        "Call-ID: mallory-%d-%u@%s\r\n"
        "CSeq: 1 MESSAGE\r\n"
        "%s%s%s"
        "P-Asserted-Identity: <%s>\r\n"
        "Content-Type: %s\r\n"
        "Content-Length: %zu\r\n\r\n",
        o->dest, o->tcp ? "TCP" : "UDP", o->local,
        (unsigned)ntohs(me.sin_port), pid, seq, o->psi, pid, seq, o->to, pid,
        seq, o->local, *o->service ? "P-Asserted-Service: " : "", o->service,
        *o->service ? "\r\n" : "", o->psi, o->type, body.n);
    if (head < 0 || (size_t)head + body.n > sizeof buf) {
        die("message does not fit", NULL);
    }
    memcpy(buf + head, body.p, body.n);
    if (send(fd, buf, (size_t)head + body.n, 0)
        != (ssize_t)((size_t)head + body.n)) {
        die("send", strerror(errno));
    }
    status = final_response(fd, o->tcp, buf, sizeof buf);
    (void)close(fd);
    warning = strstr(buf, "\r\nWarning:");
    if (warning) {
        warning += strlen("\r\nWarning:");
        warning += strspn(warning, " ");
        warning[strcspn(warning, "\r")] = '\0';
    }
    (void)printf("%s %d %s\n", label, status, warning ? warning : "-");
    (void)fflush(stdout);
}

/* ---- command line ------------------------------------------------------ */

static int
usage(FILE *f, int code)
{
    size_t i;

    (void)fprintf(
        f,
        "usage: mallory --keys DIR --psi URI --to URI --self URI --lie NAME\n"
        "               (--dest ADDRESS:PORT [--local ADDRESS] [--tcp] |\n"
        "                --emit FILE)\n"
        "               [--repeat] [--cut N|all] [--service TEXT]\n"
        "               [--type TYPE]\n"
        "DIR holds the key sets of the PSI and of --self.  --cut all sends\n"
        "every prefix.  --repeat sends the same octets twice.  Lies:\n");
    for (i = 0; i < N_LIES; i++) {
        (void)fprintf(f, "  %-13s %s\n", lies[i].name, lies[i].what);
    }
    return code;
}

/* -1 to go on, or an exit code. */
static int
options(struct opts *o, int argc, char **argv)
{
    static const struct option longs[] = {
        { "keys", 1, NULL, 'k' },  { "psi", 1, NULL, 'p' },
        { "to", 1, NULL, 't' },    { "self", 1, NULL, 's' },
        { "lie", 1, NULL, 'l' },   { "dest", 1, NULL, 'd' },
        { "local", 1, NULL, 'L' }, { "emit", 1, NULL, 'e' },
        { "tcp", 0, NULL, 'T' },   { "repeat", 0, NULL, 'r' },
        { "cut", 1, NULL, 'c' },   { "service", 1, NULL, 'S' },
        { "type", 1, NULL, 'y' },  { "help", 0, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'k': o->keys = optarg; break;
        case 'p': o->psi = optarg; break;
        case 't': o->to = optarg; break;
        case 's': o->self = optarg; break;
        case 'l': o->lie = optarg; break;
        case 'd': o->dest = optarg; break;
        case 'L': o->local = optarg; break;
        case 'e': o->emit = optarg; break;
        case 'T': o->tcp = true; break;
        case 'r': o->repeat = true; break;
        case 'S': o->service = optarg; break;
        case 'y': o->type = optarg; break;
        case 'c':
            o->cut_all = strcmp(optarg, "all") == 0;
            o->cut = o->cut_all ? 0 : (unsigned)atoi(optarg);
            break;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, 2);
        }
    }
    if (!o->keys || !o->psi || !o->to || !o->self || !o->lie
        || !(o->dest || o->emit)) {
        return usage(stderr, 2);
    }
    return -1;
}

int
main(int argc, char **argv)
{
    struct opts o = { 0 };
    struct mcx_kms_loaded loaded;
    struct mcx_text text = { "" };
    struct draft d;
    size_t i, n;
    int code;

    o.local = "127.0.0.1";
    o.service = "urn:urn-7:3gpp-service.ims.icsi.mcptt";
    o.type = MCX_MIME_MIKEY;
    code = options(&o, argc, argv);
    if (code >= 0) {
        return code;
    }
    for (i = 0; i < N_LIES && strcmp(lies[i].name, o.lie) != 0; i++) {
    }
    if (i == N_LIES) {
        die("no such lie", o.lie);
    }
    env = mcx_env_system();
    if (mcx_ring_new(&ring, env) != MCX_OK
        || mcx_kms_load_dir(ring, o.keys, env, &loaded, &text) != MCX_OK) {
        die("keys", text.s);
    }
    make(&d, &o, &lies[i]);
    if (o.emit) {
        if (env->write_file(env->ctx, o.emit, mcx_bytes(d.b, d.n), 0644)
            != MCX_OK) {
            die("cannot write", o.emit);
        }
    } else if (o.cut_all) {
        for (n = 1; n < d.n; n++) {
            char label[32];

            (void)snprintf(label, sizeof label, "cut-%zu", n);
            sip_message(&o, mcx_bytes(d.b, n), label);
        }
    } else {
        sip_message(&o, mcx_bytes(d.b, d.n), o.lie);
        if (o.repeat) {
            sip_message(&o, mcx_bytes(d.b, d.n), "replay");
        }
    }
    mcx_ring_free(ring);
    return 0;
}
