/* srtp.c -- station 6 to media: struct mcx_srtp_policy to protected packets.
 *
 * Called through feature "srtp.session" by whoever has media.  The only file
 * that sees libsrtp; nothing above knows its types.  A session belongs to one
 * thread at a time and has no lock.
 *
 * Three things are done here because libsrtp 2.5 does not do them:
 *
 *   replay over a re-key   srtp_update() keeps the index and empties the RTP
 *                          window, while the old key stays alive: a packet of
 *                          the last seconds would pass once more, and a sender
 *                          could use a nonce twice.  The window is kept here
 *                          too, one for each SSRC, and asked first.
 *   unknown MKI            is told apart before any cryptography.
 *   RCC mode 3             RFC 4771, group media: the ROC in 4 octets behind
 *                          the MKI, not authenticated.  It is believed only
 *                          after the packet has authenticated with it.
 *
 * Keys: libsrtp copies them; ours stay in guarded memory as long as the
 * session, since srtp_update() wants every live key again. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <srtp2/srtp.h>
#include "srtp.h"

enum {
    RTP_HEADER = 12,
    RTCP_HEADER = 8,
    RTCP_INDEX = 4,
    RCC_SIZE = 4,
    SEQ_HALF = 32768,
    /* libsrtp reads 30 octets for AES-CM, key and salt in one buffer */
    MASTER_SIZE = MCX_TEK_MAX + MCX_SALT_MAX
};

struct master {
    uint8_t octets[MASTER_SIZE]; /* SECRET: key, then salt */
    uint8_t mki[MCX_MKI_MAX];
};
/* In guarded memory. */
struct masters {
    struct master m[MCX_SRTP_KEYS_MAX];
};

/* What we know of one sender. */
struct sender {
    uint32_t ssrc;
    bool has_rtp;     /* 'top' and 'bits' mean something     */
    bool has_roc;     /* 'top' >> 16 was given, no packet yet */
    uint64_t top;     /* highest index, ROC * 65536 + SEQ    */
    uint64_t bits[2]; /* bit i: index 'top' - i was seen     */
};

struct mcx_srtp {
    srtp_t lib;
    bool inbound;
    bool by_hand; /* RCC from anybody: streams are added by us */
    uint32_t ssrc;
    enum mcx_suite suite;
    size_t tag, mki_size;
    uint16_t roc_rate; /* 0: no RCC */
    struct masters *keys;
    unsigned n_keys, send;
    size_t n_senders;
    struct sender sender[MCX_SRTP_SSRC_MAX];
    uint8_t *copy; /* a second try needs the packet again; RCC only */
};

/* ---- libsrtp, once ----------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void
start_library(void)
{
    started = srtp_init() == srtp_err_status_ok;
}

mcx_err
mcx_srtp_begin(void)
{
    if (pthread_once(&once, start_library) != 0 || !started) {
        return MCX_E_SELFTEST;
    }
    return MCX_OK;
}

/* libsrtp's word as ours. */
static mcx_err
map_status(srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_ok:
        return MCX_OK;
    case srtp_err_status_auth_fail:
    case srtp_err_status_cipher_fail:
        return MCX_E_AUTH;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
    case srtp_err_status_pkt_idx_old:
        return MCX_E_REPLAY;
    case srtp_err_status_bad_mki:
    case srtp_err_status_no_ctx:
        return MCX_E_NO_KEY;
    case srtp_err_status_bad_param:
    case srtp_err_status_parse_err:
        return MCX_E_MALFORMED;
    case srtp_err_status_key_expired:
        return MCX_E_EXPIRED;
    case srtp_err_status_alloc_fail:
        return MCX_E_NOMEM;
    default:
        return MCX_E_PEER;
    }
}

/* ---- senders and their windows ----------------------------------------- */

static struct sender *
find_sender(struct mcx_srtp *s, uint32_t ssrc)
{
    for (size_t i = 0; i < s->n_senders; i++) {
        if (s->sender[i].ssrc == ssrc) {
            return &s->sender[i];
        }
    }
    return NULL;
}

/* The caller has looked that there is room. */
static struct sender *
add_sender(struct mcx_srtp *s, uint32_t ssrc)
{
    struct sender *one = &s->sender[s->n_senders++];

    memset(one, 0, sizeof *one);
    one->ssrc = ssrc;
    return one;
}

static bool
can_add_sender(const struct mcx_srtp *s)
{
    return s->n_senders < MCX_SRTP_SSRC_MAX;
}

/* SPEC RFC 3711 3.3.1, appendix A: the index nearest to the highest one. */
static uint64_t
guess_index(const struct sender *one, uint16_t seq)
{
    uint64_t roc;
    uint16_t last;

    if (!one || (!one->has_rtp && !one->has_roc)) {
        return seq;
    }
    roc = one->top >> 16;
    last = (uint16_t)one->top;
    if (!one->has_rtp) {
        return roc << 16 | seq;
    }
    if (last < SEQ_HALF) {
        if (seq > last + SEQ_HALF && roc > 0) {
            roc--;
        }
    } else if (last - SEQ_HALF > seq) {
        roc++;
    }
    return roc << 16 | seq;
}

static bool
was_seen(const struct sender *one, uint64_t index)
{
    uint64_t back;

    if (!one || !one->has_rtp || index > one->top) {
        return false;
    }
    back = one->top - index;
    if (back >= MCX_SRTP_WINDOW) {
        return true; /* too old to tell */
    }
    return (one->bits[back / 64] >> (back % 64) & 1) != 0;
}

static void
mark_seen(struct sender *one, uint64_t index)
{
    uint64_t ahead;

    if (!one->has_rtp) {
        one->has_rtp = true;
        one->top = index;
        one->bits[0] = 1;
        one->bits[1] = 0;
        return;
    }
    if (index <= one->top) {
        uint64_t back = one->top - index;
        if (back < MCX_SRTP_WINDOW) {
            one->bits[back / 64] |= UINT64_C(1) << (back % 64);
        }
        return;
    }
    ahead = index - one->top;
    if (ahead >= MCX_SRTP_WINDOW) {
        one->bits[0] = one->bits[1] = 0;
    } else if (ahead >= 64) {
        one->bits[1] = one->bits[0] << (ahead - 64);
        one->bits[0] = 0;
    } else {
        one->bits[1] = one->bits[1] << ahead | one->bits[0] >> (64 - ahead);
        one->bits[0] <<= ahead;
    }
    one->bits[0] |= 1;
    one->top = index;
}

/* ---- keys and policies ------------------------------------------------- */

/* libsrtp's policy with pointers into our keys; 'list' and 'one' are the
 * caller's and live as long as the policy. */
static void
fill_policy(srtp_policy_t *p, struct mcx_srtp *s, uint32_t ssrc,
            srtp_master_key_t one[MCX_SRTP_KEYS_MAX],
            srtp_master_key_t *list[MCX_SRTP_KEYS_MAX])
{
    memset(p, 0, sizeof *p);
    if (s->suite == MCX_SUITE_AEAD_AES_128_GCM) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtcp);
    } else {
        srtp_crypto_policy_set_rtp_default(&p->rtp);
        srtp_crypto_policy_set_rtcp_default(&p->rtcp);
    }
    if (ssrc != 0) {
        p->ssrc.type = ssrc_specific;
        p->ssrc.value = ssrc;
    } else {
        p->ssrc.type = s->inbound ? ssrc_any_inbound : ssrc_any_outbound;
    }
    p->window_size = MCX_SRTP_WINDOW;
    p->allow_repeat_tx = 0;
    if (s->mki_size == 0) {
        p->key = s->keys->m[0].octets;
        return;
    }
    for (unsigned i = 0; i < s->n_keys; i++) {
        one[i].key = s->keys->m[i].octets;
        one[i].mki_id = s->keys->m[i].mki;
        one[i].mki_size = (unsigned)s->mki_size;
        list[i] = &one[i];
    }
    p->keys = list;
    p->num_master_keys = s->n_keys;
}

/* Key and salt back to back, as libsrtp wants them. */
static void
take_key(struct master *m, const struct mcx_srtp_policy *policy)
{
    mcx_wipe(m, sizeof *m);
    memcpy(m->octets, policy->key, policy->key_size);
    memcpy(m->octets + policy->key_size, policy->salt, policy->salt_size);
    memcpy(m->mki, policy->mki, policy->mki_size);
}

/* SPEC RFC 3711 8.2, RFC 7714 12: the digest's checks H1, H4 and H7. */
static mcx_err
judge_policy(const struct mcx_srtp_policy *policy)
{
    size_t salt, tag;

    switch (policy->suite) {
    case MCX_SUITE_AEAD_AES_128_GCM:
        salt = 12;
        tag = 16;
        break;
    case MCX_SUITE_AES_CM_128_HMAC_SHA1_80:
        salt = 14;
        tag = 10;
        /* RCCm3 would take the place of the HMAC: nothing would be
         * authenticated then. */
        if (policy->rcc_mode3) {
            return MCX_E_UNSUPPORTED;
        }
        break;
    case MCX_SUITE_NONE:
    default:
        return MCX_E_UNSUPPORTED;
    }
    if (policy->key_size != 16 || policy->salt_size != salt
        || policy->tag_size != tag
        || (policy->mki_size != 0 && policy->mki_size != 4
            && policy->mki_size != 8)) {
        return MCX_E_UNSUPPORTED;
    }
    return MCX_OK;
}

/* ---- opening and re-keying --------------------------------------------- */

static void
session_close(struct mcx_srtp *s)
{
    if (!s) {
        return;
    }
    if (s->lib) {
        srtp_dealloc(s->lib);
    }
    mcx_guard_free(s->keys);
    if (s->copy) {
        mcx_wipe(s->copy, MCX_SRTP_PACKET_MAX);
        free(s->copy);
    }
    mcx_wipe(s, sizeof *s);
    free(s);
}

static mcx_err
session_open(struct mcx_srtp **out, const struct mcx_srtp_policy *policy,
             bool inbound, uint32_t ssrc)
{
    srtp_master_key_t one[MCX_SRTP_KEYS_MAX], *list[MCX_SRTP_KEYS_MAX];
    srtp_policy_t p;
    struct mcx_srtp *s;
    mcx_err err;

    *out = NULL;
    MCX_TRY(mcx_srtp_begin());
    MCX_TRY(judge_policy(policy));
    s = calloc(1, sizeof *s);
    if (!s) {
        return MCX_E_NOMEM;
    }
    s->inbound = inbound;
    s->ssrc = ssrc;
    s->suite = policy->suite;
    s->tag = policy->tag_size;
    s->mki_size = policy->mki_size;
    if (policy->rcc_mode3) {
        s->roc_rate = policy->roc_rate ? policy->roc_rate : 1;
        s->by_hand = inbound && ssrc == 0;
        s->copy = malloc(MCX_SRTP_PACKET_MAX);
    }
    s->keys = mcx_guard_new(sizeof *s->keys);
    if (!s->keys || (s->roc_rate && !s->copy)) {
        session_close(s);
        return MCX_E_NOMEM;
    }
    take_key(&s->keys->m[0], policy);
    s->n_keys = 1;
    fill_policy(&p, s, ssrc, one, list);
    err = map_status(srtp_create(&s->lib, s->by_hand ? NULL : &p));
    if (err != MCX_OK) {
        session_close(s);
        return err == MCX_E_NOMEM ? MCX_E_NOMEM : MCX_E_PEER;
    }
    *out = s;
    return MCX_OK;
}

/* Hands every live key to libsrtp again. */
static mcx_err
update_library(struct mcx_srtp *s)
{
    srtp_master_key_t one[MCX_SRTP_KEYS_MAX], *list[MCX_SRTP_KEYS_MAX];
    srtp_policy_t p;

    if (!s->by_hand) {
        fill_policy(&p, s, s->ssrc, one, list);
        return map_status(srtp_update(s->lib, &p));
    }
    for (size_t i = 0; i < s->n_senders; i++) {
        fill_policy(&p, s, s->sender[i].ssrc, one, list);
        MCX_TRY(map_status(srtp_update_stream(s->lib, &p)));
    }
    return MCX_OK;
}

/* The place for a new key: a free one, or that of the oldest key that does
 * not send; later ones move up. */
static unsigned
make_place(struct mcx_srtp *s)
{
    unsigned victim;

    if (s->mki_size == 0) {
        s->n_keys = 1;
        return 0; /* packets cannot tell two keys apart */
    }
    if (s->n_keys < MCX_SRTP_KEYS_MAX) {
        return s->n_keys++;
    }
    victim = !s->inbound && s->send == 0 ? 1 : 0;
    for (unsigned i = victim; i + 1 < s->n_keys; i++) {
        s->keys->m[i] = s->keys->m[i + 1];
    }
    if (s->send > victim) {
        s->send--;
    }
    return s->n_keys - 1;
}

static mcx_err
session_rekey(struct mcx_srtp *s, const struct mcx_srtp_policy *policy,
              bool send)
{
    struct masters *before;
    unsigned n_before = s->n_keys, send_before = s->send, at;
    mcx_err err;

    MCX_TRY(judge_policy(policy));
    if (policy->suite != s->suite || policy->mki_size != s->mki_size
        || (policy->rcc_mode3 ? 1 : 0) != (s->roc_rate ? 1 : 0)) {
        return MCX_E_UNSUPPORTED; /* that is another session */
    }
    for (unsigned i = 0; s->mki_size && i < s->n_keys; i++) {
        struct master *m = &s->keys->m[i];
        if (memcmp(m->mki, policy->mki, s->mki_size) != 0) {
            continue;
        }
        if (!mcx_secret_eq(m->octets, policy->key, policy->key_size)
            || !mcx_secret_eq(m->octets + policy->key_size, policy->salt,
                              policy->salt_size)) {
            return MCX_E_STATE; /* one MKI for two keys */
        }
        if (send) {
            s->send = i;
        }
        return MCX_OK;
    }
    if (s->mki_size == 0) {
        struct master *m = &s->keys->m[0];
        if (!s->inbound && !send) {
            return MCX_E_STATE; /* without MKI there is but one key */
        }
        if (mcx_secret_eq(m->octets, policy->key, policy->key_size)
            && mcx_secret_eq(m->octets + policy->key_size, policy->salt,
                             policy->salt_size)) {
            return MCX_OK;
        }
    }
    before = mcx_guard_new(sizeof *before);
    if (!before) {
        return MCX_E_NOMEM;
    }
    *before = *s->keys;
    at = make_place(s);
    take_key(&s->keys->m[at], policy);
    if (send) {
        s->send = at;
    }
    err = update_library(s);
    if (err != MCX_OK) {
        /* Back to where we were; the keys in force must not change. */
        *s->keys = *before;
        s->n_keys = n_before;
        s->send = send_before;
        if (update_library(s) != MCX_OK) {
            err = MCX_E_PEER;
        }
    }
    mcx_guard_free(before);
    return err == MCX_OK || err == MCX_E_NOMEM ? err : MCX_E_PEER;
}

/* ---- packets ----------------------------------------------------------- */

static uint32_t
u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
           | p[3];
}

/* Shape as far as the rest relies on it; 'extra' is what must follow. */
static mcx_err
judge_packet(const uint8_t *packet, size_t n, size_t extra, bool rtcp)
{
    size_t head = rtcp ? RTCP_HEADER : RTP_HEADER;

    if (n > MCX_SRTP_PACKET_MAX) {
        return MCX_E_TOOBIG;
    }
    if (n < head || n - head < extra || packet[0] >> 6 != 2) {
        return MCX_E_MALFORMED;
    }
    if (!rtcp) {
        head += (size_t)(packet[0] & 15) * 4; /* CSRC */
        if ((packet[0] & 16) != 0) {          /* extension */
            if (n < head + 4) {
                return MCX_E_MALFORMED;
            }
            head += 4
                    + ((size_t)packet[head + 2] << 8 | packet[head + 3]) * 4;
        }
        if (n < head || n - head < extra) {
            return MCX_E_MALFORMED;
        }
    }
    return MCX_OK;
}

static mcx_err
lib_protect(struct mcx_srtp *s, uint8_t *packet, size_t *n, bool rtcp)
{
    unsigned mki = s->mki_size != 0;
    int size = (int)*n;
    srtp_err_status_t status;

    status = rtcp ? srtp_protect_rtcp_mki(s->lib, packet, &size, mki, s->send)
                  : srtp_protect_mki(s->lib, packet, &size, mki, s->send);
    if (status == srtp_err_status_ok) {
        *n = (size_t)size;
    }
    return map_status(status);
}

static mcx_err
lib_unprotect(struct mcx_srtp *s, uint8_t *packet, size_t *n, bool rtcp)
{
    unsigned mki = s->mki_size != 0;
    int size = (int)*n;
    srtp_err_status_t status;

    status = rtcp ? srtp_unprotect_rtcp_mki(s->lib, packet, &size, mki)
                  : srtp_unprotect_mki(s->lib, packet, &size, mki);
    if (status == srtp_err_status_ok) {
        *n = (size_t)size;
    }
    return map_status(status);
}

static mcx_err
session_protect(struct mcx_srtp *s, uint8_t *packet, size_t *n, size_t room,
                bool rtcp)
{
    struct sender *one;
    uint64_t index;
    uint16_t seq;
    uint32_t ssrc;
    bool fresh;

    if (s->inbound) {
        return MCX_E_STATE;
    }
    MCX_TRY(judge_packet(packet, *n, 0, rtcp));
    if (*n > MCX_SRTP_PACKET_MAX - MCX_SRTP_TRAILER || room < *n
        || room - *n < MCX_SRTP_TRAILER) {
        return MCX_E_TOOBIG;
    }
    if (rtcp) {
        return lib_protect(s, packet, n, true);
    }
    ssrc = u32_at(packet + 8);
    seq = (uint16_t)(packet[2] << 8 | packet[3]);
    one = find_sender(s, ssrc);
    fresh = one == NULL;
    if (fresh && !can_add_sender(s)) {
        return MCX_E_BUSY;
    }
    index = guess_index(one, seq);
    if (was_seen(one, index)) {
        return MCX_E_REPLAY; /* the nonce was used */
    }
    MCX_TRY(lib_protect(s, packet, n, false));
    if (fresh) {
        one = add_sender(s, ssrc);
    }
    mark_seen(one, index);
    if (s->roc_rate && seq % s->roc_rate == 0) {
        uint32_t roc = (uint32_t)(index >> 16);
        packet[*n] = (uint8_t)(roc >> 24);
        packet[*n + 1] = (uint8_t)(roc >> 16);
        packet[*n + 2] = (uint8_t)(roc >> 8);
        packet[*n + 3] = (uint8_t)roc;
        *n += RCC_SIZE;
    }
    return MCX_OK;
}

/* SPEC RFC 7714 8.2, 9.2 and RFC 3711 3.1: behind the tag with GCM, before it
 * with HMAC. */
static bool
knows_mki(const struct mcx_srtp *s, const uint8_t *packet, size_t n)
{
    size_t behind = s->suite == MCX_SUITE_AEAD_AES_128_GCM ? 0 : s->tag;
    const uint8_t *mki = packet + n - behind - s->mki_size;

    for (unsigned i = 0; i < s->n_keys; i++) {
        if (memcmp(s->keys->m[i].mki, mki, s->mki_size) == 0) {
            return true;
        }
    }
    return s->mki_size == 0;
}

/* Makes sure that libsrtp has a stream of 'ssrc' where we add them; '*added'
 * tells whether it is to be taken out again when the packet is a lie. */
static mcx_err
want_stream(struct mcx_srtp *s, uint32_t ssrc, bool *added)
{
    srtp_master_key_t one[MCX_SRTP_KEYS_MAX], *list[MCX_SRTP_KEYS_MAX];
    srtp_policy_t p;

    *added = false;
    if (!s->by_hand || find_sender(s, ssrc)) {
        return MCX_OK;
    }
    if (!can_add_sender(s)) {
        return MCX_E_BUSY;
    }
    if (ssrc == 0) {
        return MCX_E_MALFORMED; /* 0 stands for "any" in a policy */
    }
    fill_policy(&p, s, ssrc, one, list);
    MCX_TRY(map_status(srtp_add_stream(s->lib, &p)));
    *added = true;
    return MCX_OK;
}

/* One try at 'index'.  'told': the ROC is not what libsrtp would guess. */
static mcx_err
try_index(struct mcx_srtp *s, uint8_t *packet, size_t *n, uint32_t ssrc,
          uint64_t index, bool told)
{
    mcx_err err;

    if (told && index >> 16 != 0) {
        MCX_TRY(map_status(
            srtp_set_stream_roc(s->lib, ssrc, (uint32_t)(index >> 16))));
    }
    err = lib_unprotect(s, packet, n, false);
    if (told) {
        /* libsrtp keeps a set ROC until it has jumped to it, which it does
         * not when the packet is near or false: 0 takes the order back. */
        (void)srtp_set_stream_roc(s->lib, ssrc, 0);
    }
    return err;
}

static mcx_err
unprotect_rtp(struct mcx_srtp *s, uint8_t *packet, size_t *n)
{
    uint16_t seq = (uint16_t)(packet[2] << 8 | packet[3]);
    uint32_t ssrc = u32_at(packet + 8);
    bool carried = s->roc_rate && seq % s->roc_rate == 0, added, fresh;
    size_t size = *n, trailer = s->tag + s->mki_size, whole;
    struct sender *one = find_sender(s, ssrc);
    uint64_t index, other = 0;
    mcx_err err;

    MCX_TRY(judge_packet(packet, size, trailer + (carried ? RCC_SIZE : 0),
                         false));
    index = guess_index(one, seq);
    if (carried) {
        size -= RCC_SIZE;
        other = (uint64_t)u32_at(packet + size) << 16 | seq;
    }
    if (!knows_mki(s, packet, size)) {
        return MCX_E_NO_KEY;
    }
    fresh = one == NULL;
    if (fresh && !can_add_sender(s)) {
        return MCX_E_BUSY;
    }
    MCX_TRY(want_stream(s, ssrc, &added));
    whole = size;
    err = MCX_E_REPLAY;
    if (carried && (!one || !one->has_rtp)) {
        /* The first of this sender: nothing else is known. */
        index = other;
        err = try_index(s, packet, &size, ssrc, index, true);
    } else {
        bool second = carried && other != index && other > one->top;
        if (second) {
            memcpy(s->copy, packet, whole);
        }
        if (!was_seen(one, index)) {
            err = try_index(s, packet, &size, ssrc, index, false);
        }
        if (err != MCX_OK && second) {
            memcpy(packet, s->copy, whole);
            size = whole;
            index = other;
            err = try_index(s, packet, &size, ssrc, index, true);
        }
    }
    if (err != MCX_OK) {
        if (added) {
            (void)srtp_remove_stream(s->lib, ssrc);
        }
        return err;
    }
    if (fresh) {
        one = add_sender(s, ssrc);
    }
    mark_seen(one, index);
    *n = size;
    return MCX_OK;
}

static mcx_err
unprotect_rtcp(struct mcx_srtp *s, uint8_t *packet, size_t *n)
{
    uint32_t ssrc = u32_at(packet + 4);
    size_t size = *n;
    bool added;
    mcx_err err;

    MCX_TRY(judge_packet(packet, size, RTCP_INDEX + s->tag + s->mki_size,
                         true));
    if (!knows_mki(s, packet, size)) {
        return MCX_E_NO_KEY;
    }
    MCX_TRY(want_stream(s, ssrc, &added));
    err = lib_unprotect(s, packet, &size, true);
    if (err != MCX_OK) {
        if (added) {
            (void)srtp_remove_stream(s->lib, ssrc);
        }
        return err;
    }
    if (added) {
        add_sender(s, ssrc);
    }
    *n = size;
    return MCX_OK;
}

static mcx_err
session_unprotect(struct mcx_srtp *s, uint8_t *packet, size_t *n, bool rtcp)
{
    if (!s->inbound) {
        return MCX_E_STATE;
    }
    MCX_TRY(judge_packet(packet, *n, 0, rtcp));
    return rtcp ? unprotect_rtcp(s, packet, n) : unprotect_rtp(s, packet, n);
}

mcx_err
mcx_srtp_roc(struct mcx_srtp *s, uint32_t ssrc, uint32_t roc)
{
    struct sender *one = find_sender(s, ssrc);
    bool added;

    if (one && one->has_rtp) {
        return MCX_E_STATE;
    }
    if (!one && !can_add_sender(s)) {
        return MCX_E_BUSY;
    }
    MCX_TRY(want_stream(s, ssrc, &added));
    if (srtp_set_stream_roc(s->lib, ssrc, roc) != srtp_err_status_ok) {
        return MCX_E_PEER;
    }
    if (!one) {
        one = add_sender(s, ssrc);
    }
    one->has_roc = true;
    one->top = (uint64_t)roc << 16;
    return MCX_OK;
}

static const struct mcx_srtp_api functions = {
    .size = sizeof(struct mcx_srtp_api),
    .open = session_open,
    .rekey = session_rekey,
    .protect = session_protect,
    .unprotect = session_unprotect,
    .close = session_close,
};

const struct mcx_srtp_api *
mcx_srtp_functions(void)
{
    return &functions;
}
