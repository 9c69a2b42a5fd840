/* test_wire.h -- what the SIP tests of this folder share: a raw UDP or TCP
 * peer that says exactly the octets it is given, and a stepped su_root_t. */
#ifndef MCXS_TEST_WIRE_H
#define MCXS_TEST_WIRE_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/nua.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_protos.h>
#include <sofia-sip/su_log.h>
#include <sofia-sip/su_tag.h>
#include <sofia-sip/su_tagarg.h>
#include <sofia-sip/su_wait.h>

struct wire {
    int fd;
    unsigned short port; /* ours */
    unsigned serial;     /* of branches and Call-IDs */
    bool tcp;
};

static void
quiet(void *stream, char const *fmt, va_list ap)
{
    (void)stream;
    (void)fmt;
    (void)ap;
}

static long
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
wire_open(struct wire *w, unsigned short peer_port, bool tcp)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;

    memset(w, 0, sizeof *w);
    w->tcp = tcp;
    w->fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    assert_true(w->fd >= 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(peer_port);
    if (tcp) { /* pieces are to travel as they are sent */
        int on = 1;

        (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    assert_int_equal(connect(w->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(w->fd, (struct sockaddr *)&a, &n), 0);
    w->port = ntohs(a.sin_port);
}

/* A whole request; returns its octets in 'out'. */
static size_t
wire_request(struct wire *w, char *out, size_t room, const char *method,
             const char *headers, const void *body, size_t n)
{
    const char *transport = w->tcp ? "TCP" : "UDP";
    int head;

    w->serial++;
    head = snprintf(out, room, "%s sip:x@127.0.0.1 SIP/2.0\r\n"
                    "Via: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bK%u-%u\r\n"
                    "From: <sip:raw@mcx.test>;tag=r%u\r\n"
                    "To: <sip:x@mcx.test>\r\nCall-ID: %u.%u@raw\r\n"
                    "CSeq: 1 %s\r\nMax-Forwards: 70\r\n"
                    "Contact: <sip:raw@127.0.0.1:%u>\r\n"
                    "%sContent-Length: %zu\r\n\r\n", method, transport,
                    w->port, w->port, w->serial, w->serial, w->serial,
                    w->port, method, w->port, headers, n);
    assert_true(head > 0 && (size_t)head + n <= room);
    if (n > 0) {
        memcpy(out + head, body, n);
    }
    return (size_t)head + n;
}

static void
wire_send(struct wire *w, const void *octets, size_t n)
{
    if (w->tcp) {
        assert_int_equal(send(w->fd, octets, n, MSG_NOSIGNAL), (ssize_t)n);
    } else {
        (void)send(w->fd, octets, n, 0); /* may find a full buffer */
    }
}

/* Steps the loop until a response of the last request with a final status is
 * in 'out' (NUL terminated); its status, or 0 after 'ms'. */
static int
wire_answer(struct wire *w, su_root_t *root, char *out, size_t room, int ms)
{
    long end = now_ms() + ms;
    char id[64];
    int status;

    (void)snprintf(id, sizeof id, "Call-ID: %u.%u@raw", w->serial, w->port);
    while (now_ms() < end) {
        struct pollfd p = { w->fd, POLLIN, 0 };

        (void)su_root_step(root, 1);
        while (poll(&p, 1, 0) > 0) {
            ssize_t n = recv(w->fd, out, room - 1, 0);

            if (n <= 0) {
                return 0;
            }
            out[n] = '\0';
            if (strstr(out, id) && sscanf(out, "SIP/2.0 %d", &status) == 1
                && status >= 200) {
                return status;
            }
        }
    }
    return 0;
}

/* From the tags of nua_r_get_params: where the agent listens, or 0. */
static unsigned short
nua_port(tagi_t *tags)
{
    sip_contact_t const *m = NULL;

    (void)tl_gets(tags, NTATAG_CONTACT_REF(m), TAG_END());
    return m ? (unsigned short)strtoul(m->m_url->url_port, NULL, 10) : 0;
}

/* "s=..." bodies of an SDP, handy everywhere. */
#define TEST_SDP                                                              \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"        \
    "t=0 0\r\nm=audio 4000 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

#endif /* MCXS_TEST_WIRE_H */
