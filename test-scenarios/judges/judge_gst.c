/* judge_gst.c -- GStreamer's MIKEY library reads our pre-shared key messages,
 * and we read its own and refuse to open them.
 *
 * Its parser knows neither ID nor SIGN nor V (it loops on them), so only
 * messages of HDR, T, RAND, SP and KEMAC are shown to it.  It takes what is in
 * KEMAC for key data whatever the encryption, so octets that are encrypted are
 * read by it only when they happen to look like key data: the header of KEMAC
 * is compared where it got that far, and counted.  It encrypts nothing and
 * makes no MAC, whatever algorithms it names: NULL ones we refuse as such, of
 * the others the MAC does not verify. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <gst/gst.h>
#include <gst/sdp/gstmikey.h>
#include <sofia-mcx/mcx_mikey.h>

enum { ROOM = 2048, TRIES = 40 };

static int bad;

static void
check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "judge_gst: %s\n", what);
        bad = 1;
    }
}

static size_t
ours(uint8_t *out, const struct mcx_ssv *gmk, unsigned v)
{
    static const uint32_t ssrc[2] = { 0x11223344, 0x55667788 };
    struct mcx_gsk_build how = { .env = mcx_env_system(), .gmk = gmk,
                                 .hide_gmk_id = true, .ssrc = ssrc,
                                 .n_ssrc = 2, .no_mki = v & 1 };
    size_t n = ROOM;

    check(mcx_gsk_build(out, &n, NULL, &how, NULL) == MCX_OK, "build");
    return n;
}

static bool
same(const guint8 *p, struct mcx_bytes b)
{
    return mcx_bytes_eq(mcx_bytes(p, b.n), b);
}

/* Payload by payload: GStreamer's fields against ours. */
static void
compare(const GstMIKEYMessage *g, const struct mcx_mikey_msg *m,
        unsigned *kemacs)
{
    const GstMIKEYMapSRTP *map = gst_mikey_message_get_cs_srtp(g, 1);
    const GstMIKEYPayload *p;
    guint i;

    check(g->version == 1 && g->type == GST_MIKEY_TYPE_PSK_INIT, "HDR type");
    check(!g->V && g->prf_func == GST_MIKEY_PRF_MIKEY_1, "HDR V, PRF");
    check(g->CSB_id == m->csb_id, "HDR CSB ID");
    check(gst_mikey_message_get_n_cs(g) == 2, "HDR #CS");
    check(map && map->ssrc == m->cs[1].ssrc && map->policy == 0, "HDR map");
    p = gst_mikey_message_find_payload(g, GST_MIKEY_PT_T, 0);
    check(p && ((const GstMIKEYPayloadT *)p)->type == GST_MIKEY_TS_TYPE_NTP_UTC
              && same(((const GstMIKEYPayloadT *)p)->ts_value,
                      mcx_bytes(m->octets.p + m->t_at + 2, 8)),
          "T");
    p = gst_mikey_message_find_payload(g, GST_MIKEY_PT_RAND, 0);
    check(p && ((const GstMIKEYPayloadRAND *)p)->len == m->rand.n
              && same(((const GstMIKEYPayloadRAND *)p)->rand, m->rand),
          "RAND");
    p = gst_mikey_message_find_payload(g, GST_MIKEY_PT_SP, 0);
    check(p && ((const GstMIKEYPayloadSP *)p)->policy == 0, "SP");
    for (i = 0; p && i < gst_mikey_payload_sp_get_n_params(p); i++) {
        const GstMIKEYPayloadSPParam *sp =
            gst_mikey_payload_sp_get_param(p, i);

        check(sp->type <= 20 && sp->len == 1
                  && m->sp[0].value[sp->type] == sp->val[0],
              "SP parameter");
    }
    check(i == 6, "SP: six parameters");
    p = gst_mikey_message_find_payload(g, GST_MIKEY_PT_KEMAC, 0);
    if (p) {
        const GstMIKEYPayloadKEMAC *k = (const GstMIKEYPayloadKEMAC *)p;

        check((unsigned)k->enc_alg == m->kemac.encr_alg
                  && (unsigned)k->mac_alg == m->kemac.mac_alg,
              "KEMAC algorithms");
        ++*kemacs;
    }
}

/* Ours, as GStreamer reads it. */
static void
it_reads_ours(const struct mcx_ssv *gmk)
{
    unsigned v, read = 0, kemacs = 0;

    for (v = 0; v < TRIES; v++) {
        static struct mcx_mikey_msg m;
        uint8_t buf[ROOM];
        size_t n = ours(buf, gmk, v);
        GstMIKEYMessage *g;

        check(mcx_mikey_parse(&m, mcx_bytes(buf, n), NULL) == MCX_OK,
              "parse of our own");
        g = gst_mikey_message_new_from_data(buf, n, NULL, NULL);
        if (g) {
            read++;
            compare(g, &m, &kemacs);
            gst_mikey_message_unref(g);
        }
    }
    (void)printf("judge_gst: %u of %d messages read, KEMAC in %u\n", read,
                 TRIES, kemacs);
    check(read > 0 && kemacs > 0, "nothing was read");
}

static mcx_err
find(void *arg, uint32_t id, bool only, struct mcx_ssv *out)
{
    (void)id;
    (void)only;
    *out = *(const struct mcx_ssv *)arg;
    return MCX_OK;
}

/* Its own, as we read it: well formed, and not to be opened. */
static void
we_read_its(struct mcx_ssv *gmk, bool null)
{
    static struct mcx_mikey_msg m;
    static struct mcx_key_msg km;
    GstMIKEYMessage *g = gst_mikey_message_new();
    GstMIKEYPayload *p, *key;
    struct mcx_gsk_open how = { .env = mcx_env_system(), .gmk = find,
                                .arg = gmk };
    struct mcx_why why = { 0 };
    static const guint8 one = 1, sixteen = 16;
    GBytes *octets;
    mcx_err err;

    (void)gst_mikey_message_set_info(g, GST_MIKEY_VERSION,
                                     GST_MIKEY_TYPE_PSK_INIT, FALSE,
                                     GST_MIKEY_PRF_MIKEY_1, 0x01020304,
                                     GST_MIKEY_MAP_TYPE_SRTP);
    (void)gst_mikey_message_add_cs_srtp(g, 0, 0x99aabbcc, 7);
    (void)gst_mikey_message_add_t_now_ntp_utc(g);
    (void)gst_mikey_message_add_rand_len(g, 16);
    p = gst_mikey_payload_new(GST_MIKEY_PT_SP);
    (void)gst_mikey_payload_sp_set(p, 0, GST_MIKEY_SEC_PROTO_SRTP);
    (void)gst_mikey_payload_sp_add_param(p, 0, 1, &one);
    (void)gst_mikey_payload_sp_add_param(p, 1, 1, &sixteen);
    (void)gst_mikey_message_add_payload(g, p);
    p = gst_mikey_payload_new(GST_MIKEY_PT_KEMAC);
    (void)gst_mikey_payload_kemac_set(p,
                                      null ? GST_MIKEY_ENC_NULL
                                           : GST_MIKEY_ENC_AES_CM_128,
                                      null ? GST_MIKEY_MAC_NULL
                                           : GST_MIKEY_MAC_HMAC_SHA_1_160);
    key = gst_mikey_payload_new(GST_MIKEY_PT_KEY_DATA);
    (void)gst_mikey_payload_key_data_set_key(key, GST_MIKEY_KD_TGK, 16,
                                             gmk->b);
    (void)gst_mikey_payload_kemac_add_sub(p, key);
    (void)gst_mikey_message_add_payload(g, p);
    octets = gst_mikey_message_to_bytes(g, NULL, NULL);
    check(octets != NULL, "GStreamer wrote nothing");
    if (octets) {
        gsize n = 0;
        gconstpointer at = g_bytes_get_data(octets, &n);

        err = mcx_mikey_parse(&m, mcx_bytes(at, n), &why);
        check(err == MCX_OK, "parse of its own");
        check(err == MCX_OK && m.csb_id == 0x01020304 && m.n_cs == 1
                  && m.cs[0].ssrc == 0x99aabbcc && m.cs[0].roc == 7
                  && m.rand.n == 16 && m.sp[0].value[1] == 16
                  && m.kemac.encr.n == 20,
              "fields of its own");
        err = err == MCX_OK ? mcx_gsk_open(&km, &m, &how, &why) : err;
        (void)printf("judge_gst: its own message: %s, %s\n",
                     mcx_err_name(err), mcx_reason_word(why.reason));
        check(why.reason == (null ? MCX_R_NULL_ALG : MCX_R_MAC),
              "a key in clear was not refused");
        g_bytes_unref(octets);
    }
    gst_mikey_message_unref(g);
}

int
main(int argc, char **argv)
{
    struct mcx_ssv gmk = { "GMK of 16 octets" };

    gst_init(&argc, &argv);
    it_reads_ours(&gmk);
    we_read_its(&gmk, true);
    we_read_its(&gmk, false);
    return bad;
}
