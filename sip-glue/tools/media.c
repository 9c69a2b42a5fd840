/* media.c -- sockets, pace, protection and recording of one call's media.
 *
 * Called by ua_call.c on the loop.  Nothing is read from the sockets before
 * media_start(): what a quick peer sends while our keys are still being made
 * waits in the kernel.  A tick sends as many packets as are due by the clock,
 * so a late wake-up is caught up and the pace does not drift. */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media.h"
#include "rtp.h"
#include "ulaw.h"
#include "wav.h"

enum {
    PORT_PAIRS = 500,     /* tried one after the other */
    CATCH_UP = 10,        /* packets at once           */
    CATCH_UP_MAX = 50,    /* behind by more: a pause, not a delay */
    READS_AT_ONCE = 64,
    RTCP_EVERY_MS = 5000,
    ADDRESS_SIZE = 64
};

/* Index of the sockets. */
enum { RTP, RTCP, BOTH };

struct media {
    su_root_t *root;
    const struct mcx_env *env;
    char address[ADDRESS_SIZE];
    bool ip6;
    unsigned port;
    int fd[BOTH], index[BOTH];
    struct sockaddr_storage peer[BOTH];
    socklen_t peer_size;
    su_timer_t *timer;
    bool started;

    const struct mcx_srtp_api *api;
    struct mcx_srtp *send, *receive;

    struct rtp_out out;
    struct rtp_in in;
    struct wav_in *wav;
    struct wav_out *record;
    int64_t start_ms, rtcp_ms;
    uint64_t ticks; /* packets since start_ms, sent or given up */
    void (*sent)(void *arg, uint64_t packets);
    void *sent_arg;
    struct media_report report;
};

/* ---- addresses --------------------------------------------------------- */

static bool
make_address(struct sockaddr_storage *sa, socklen_t *size,
             const char *address, unsigned port)
{
    struct in_addr a4;
    struct in6_addr a6;

    memset(sa, 0, sizeof *sa);
    if (inet_pton(AF_INET, address, &a4) == 1) {
        struct sockaddr_in *in = (struct sockaddr_in *)sa;

        in->sin_family = AF_INET;
        in->sin_addr = a4;
        in->sin_port = htons((uint16_t)port);
        *size = sizeof *in;
        return true;
    }
    if (inet_pton(AF_INET6, address, &a6) == 1) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)sa;

        in->sin6_family = AF_INET6;
        in->sin6_addr = a6;
        in->sin6_port = htons((uint16_t)port);
        *size = sizeof *in;
        return true;
    }
    return false;
}

static int
bind_port(const char *address, unsigned port)
{
    struct sockaddr_storage sa;
    socklen_t size = 0;
    int fd;

    if (!make_address(&sa, &size, address, port)) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, size) != 0) {
        int error = errno;

        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Splits "127.0.0.1:40000" or "[::1]:40000". */
static bool
split_address(struct media *media, const char *rtp, unsigned *port)
{
    const char *colon = strrchr(rtp, ':');
    const char *from = rtp;
    size_t n;
    char *end;
    unsigned long p;

    if (colon == NULL) {
        return false;
    }
    n = (size_t)(colon - rtp);
    if (n > 2 && from[0] == '[' && from[n - 1] == ']') {
        from++;
        n -= 2;
    }
    p = strtoul(colon + 1, &end, 10);
    if (n >= sizeof media->address || end == colon + 1 || *end != '\0'
        || p < 2 || p > 65534 || p % 2 != 0) {
        return false;
    }
    memcpy(media->address, from, n);
    media->address[n] = '\0';
    media->ip6 = strchr(media->address, ':') != NULL;
    *port = (unsigned)p;
    return true;
}

static mcx_err
bind_pair(struct media *media, const char *rtp, struct mcx_text *text)
{
    unsigned port, i;

    if (!split_address(media, rtp, &port)) {
        (void)snprintf(text->s, sizeof text->s,
                       "rtp: expected ADDRESS:PORT with an even port, "
                       "found %s", rtp);
        return MCX_E_CONFIG;
    }
    for (i = 0; i < PORT_PAIRS && port <= 65534; i++, port += 2) {
        media->fd[RTP] = bind_port(media->address, port);
        if (media->fd[RTP] >= 0) {
            media->fd[RTCP] = bind_port(media->address, port + 1);
            if (media->fd[RTCP] >= 0) {
                media->port = port;
                return MCX_OK;
            }
            (void)close(media->fd[RTP]);
            media->fd[RTP] = -1;
        }
        if (errno != EADDRINUSE) {
            break;
        }
    }
    (void)snprintf(text->s, sizeof text->s, "rtp: %s: %s", rtp,
                   strerror(errno));
    return MCX_E_IO;
}

/* ---- sending ----------------------------------------------------------- */

/* Protects in place and sends. */
static void
send_packet(struct media *media, uint8_t *packet, size_t n, size_t room,
            int which)
{
    if (media->send != NULL
        && media->api->protect(media->send, packet, &n, room,
                               which == RTCP) != MCX_OK) {
        mcx_log(media->env, MCX_AREA_APP, 3, "media: packet not protected");
        return;
    }
    if (sendto(media->fd[which], packet, n, 0,
               (struct sockaddr *)&media->peer[which], media->peer_size)
        != (ssize_t)n) {
        mcx_log(media->env, MCX_AREA_APP, 5, "media: %s", strerror(errno));
        return;
    }
    if (which == RTP) {
        media->report.sent++;
    } else {
        media->report.rtcp_sent++;
    }
}

/* The next 20 ms of the file; false at its end. */
static bool
send_frame(struct media *media)
{
    uint8_t packet[RTP_HEADER + RTP_FRAME + MCX_SRTP_TRAILER];
    int16_t samples[RTP_FRAME] = { 0 };
    size_t n;

    if (wav_read(media->wav, samples, RTP_FRAME) == 0) {
        return false;
    }
    /* A short last piece is filled up with silence. */
    n = rtp_out_write(&media->out, packet, samples, RTP_FRAME);
    send_packet(media, packet, n, sizeof packet, RTP);
    return true;
}

static void
send_report(struct media *media)
{
    uint8_t packet[128 + MCX_SRTP_TRAILER];
    int64_t now = media->env->unix_ms(media->env->ctx);
    size_t n = rtcp_write(packet, 128, &media->out, &media->in,
                          mcx_ntp_from_unix_ms(now));

    if (n > 0) {
        send_packet(media, packet, n, sizeof packet, RTCP);
    }
}

static void
end_of_file(struct media *media)
{
    wav_close(media->wav);
    media->wav = NULL;
    if (media->sent != NULL) {
        media->sent(media->sent_arg, media->report.sent);
    }
}

static void
on_tick(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    struct media *media = arg;
    int64_t now = media->env->mono_ms(media->env->ctx);
    uint64_t due = (uint64_t)(now - media->start_ms) / RTP_FRAME_MS + 1;
    int burst;

    (void)magic;
    (void)timer;
    if (media->wav != NULL) {
        if (due > media->ticks + CATCH_UP_MAX) {
            media->start_ms += (int64_t)(due - media->ticks) * RTP_FRAME_MS;
            due = media->ticks + 1;
        }
        for (burst = 0; burst < CATCH_UP && media->ticks < due; burst++) {
            media->ticks++;
            if (!send_frame(media)) {
                end_of_file(media);
                break;
            }
        }
    }
    if (now - media->rtcp_ms >= RTCP_EVERY_MS) {
        media->rtcp_ms = now;
        send_report(media);
    }
}

/* ---- receiving --------------------------------------------------------- */

static void
take_rtp(struct media *media, struct mcx_bytes packet)
{
    struct rtp_view view;
    int16_t samples[RTP_PACKET_MAX];
    size_t at, i;

    if (!rtp_read(&view, packet) || view.pt != RTP_PT_PCMU
        || !rtp_in_place(&media->in, &view, &at)) {
        media->report.bad++;
        return;
    }
    media->report.received++;
    if (media->record != NULL) {
        for (i = 0; i < view.payload.n; i++) {
            samples[i] = ulaw_decode(view.payload.p[i]);
        }
        if (wav_write(media->record, at, samples, view.payload.n)
            != MCX_OK) {
            mcx_log(media->env, MCX_AREA_APP, 3,
                    "media: recording full or disk error; it ends here");
            (void)wav_finish(media->record);
            media->record = NULL;
        }
    }
}

/* Takes what waits in one socket; bounded, the loop has other work too. */
static bool
drain(struct media *media, int which)
{
    uint8_t packet[RTP_PACKET_MAX];
    int i;

    for (i = 0; i < READS_AT_ONCE; i++) {
        ssize_t got = recv(media->fd[which], packet, sizeof packet,
                           MSG_TRUNC);
        size_t n = got > 0 ? (size_t)got : 0;
        bool good = n > 0 && n <= sizeof packet;

        if (got < 0) {
            return false;
        }
        if (good && media->receive != NULL) {
            good = media->api->unprotect(media->receive, packet, &n,
                                         which == RTCP) == MCX_OK;
        }
        if (which == RTP) {
            if (good) {
                take_rtp(media, mcx_bytes(packet, n));
            } else {
                media->report.bad++;
            }
        } else if (good && rtcp_check(mcx_bytes(packet, n))) {
            media->report.rtcp_received++;
        } else {
            media->report.rtcp_bad++;
        }
    }
    return true;
}

static int
on_packets(su_root_magic_t *magic, su_wait_t *w, su_wakeup_arg_t *arg)
{
    struct media *media = arg;

    (void)magic;
    (void)w;
    (void)drain(media, RTP);
    (void)drain(media, RTCP);
    return 0;
}

/* ---- life -------------------------------------------------------------- */

mcx_err
media_new(struct media **out, su_root_t *root, const struct mcx_env *env,
          const char *rtp, struct mcx_text *text)
{
    struct media *media = calloc(1, sizeof *media);
    mcx_err err;

    *out = NULL;
    (void)snprintf(text->s, sizeof text->s, "media: out of memory");
    if (media == NULL) {
        return MCX_E_NOMEM;
    }
    media->root = root;
    media->env = env;
    media->fd[RTP] = media->fd[RTCP] = -1;
    media->index[RTP] = media->index[RTCP] = -1;
    err = rtp_out_init(&media->out, env);
    if (err == MCX_OK) {
        err = bind_pair(media, rtp, text);
    }
    if (err != MCX_OK) {
        media_free(media);
        return err;
    }
    *out = media;
    return MCX_OK;
}

void
media_free(struct media *media)
{
    int which;

    if (media == NULL) {
        return;
    }
    media_stop(media);
    for (which = RTP; which < BOTH; which++) {
        if (media->fd[which] >= 0) {
            (void)close(media->fd[which]);
        }
    }
    if (media->api != NULL) {
        media->api->close(media->send);
        media->api->close(media->receive);
    }
    free(media);
}

const char *
media_address(const struct media *media)
{
    return media->address;
}

bool
media_ip6(const struct media *media)
{
    return media->ip6;
}

unsigned
media_port(const struct media *media)
{
    return media->port;
}

bool
media_peer(struct media *media, const char *address, unsigned port)
{
    struct sockaddr_storage sa[BOTH];
    socklen_t size = 0;

    if (port == 0 || port > 65534
        || !make_address(&sa[RTP], &size, address, port)
        || !make_address(&sa[RTCP], &size, address, port + 1)
        || (sa[RTP].ss_family == AF_INET6) != media->ip6) {
        return false;
    }
    memcpy(media->peer, sa, sizeof sa);
    media->peer_size = size;
    return true;
}

mcx_err
media_keys(struct media *media, const struct mcx_srtp_api *api,
           const struct mcx_srtp_policy *send,
           const struct mcx_srtp_policy *receive)
{
    mcx_err err;

    if (media_keyed(media)) {
        MCX_TRY(media->api->rekey(media->receive, receive, false));
        return media->api->rekey(media->send, send, true);
    }
    media->api = api;
    MCX_TRY(api->open(&media->receive, receive, true, 0));
    err = api->open(&media->send, send, false, 0);
    if (err != MCX_OK) {
        api->close(media->receive);
        media->receive = NULL;
    }
    return err;
}

bool
media_keyed(const struct media *media)
{
    return media->send != NULL && media->receive != NULL;
}

static mcx_err
watch(struct media *media, int which)
{
    su_wait_t wait[1] = { SU_WAIT_INIT };

    if (su_wait_create(wait, media->fd[which], SU_WAIT_IN) != 0) {
        return MCX_E_NOMEM;
    }
    media->index[which] = su_root_register(media->root, wait, on_packets,
                                           media, 0);
    return media->index[which] < 0 ? MCX_E_NOMEM : MCX_OK;
}

mcx_err
media_start(struct media *media, const char *wav, const char *record,
            void (*sent)(void *arg, uint64_t packets), void *arg,
            struct mcx_text *text)
{
    mcx_err err = MCX_OK;

    if (media->started || media->peer_size == 0) {
        (void)snprintf(text->s, sizeof text->s,
                       "media: no address to send to");
        return MCX_E_STATE;
    }
    if (wav != NULL) {
        err = wav_open(&media->wav, wav, text);
    }
    if (err == MCX_OK && record != NULL) {
        err = wav_create(&media->record, record, text);
    }
    if (err == MCX_OK) {
        (void)snprintf(text->s, sizeof text->s, "media: out of memory");
        media->started = true;
        media->sent = sent;
        media->sent_arg = arg;
        media->start_ms = media->env->mono_ms(media->env->ctx);
        /* The first report goes out after half a period. */
        media->rtcp_ms = media->start_ms - RTCP_EVERY_MS / 2;
        media->timer = su_timer_create(su_root_task(media->root),
                                       RTP_FRAME_MS);
        err = media->timer == NULL
                      || su_timer_set_for_ever(media->timer, on_tick, media)
                             != 0
                  ? MCX_E_NOMEM
                  : MCX_OK;
    }
    if (err == MCX_OK) {
        err = watch(media, RTP);
    }
    if (err == MCX_OK) {
        err = watch(media, RTCP);
    }
    if (err != MCX_OK) {
        media_stop(media);
    }
    return err;
}

bool
media_started(const struct media *media)
{
    return media->started;
}

void
media_stop(struct media *media)
{
    int which, rounds = 64;

    if (media->timer != NULL) {
        su_timer_destroy(media->timer);
        media->timer = NULL;
    }
    for (which = RTP; which < BOTH; which++) {
        if (media->index[which] >= 0) {
            (void)su_root_deregister(media->root, media->index[which]);
            media->index[which] = -1;
            while (rounds-- > 0 && drain(media, which)) {
                /* what had arrived before the end still counts */
            }
        }
    }
    media->report.lost = rtp_in_lost(&media->in);
    wav_close(media->wav);
    media->wav = NULL;
    (void)wav_finish(media->record);
    media->record = NULL;
}

void
media_report(const struct media *media, struct media_report *out)
{
    *out = media->report;
    out->lost = rtp_in_lost(&media->in);
}
