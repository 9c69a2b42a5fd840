/* tiny-phone.c -- an existing sofia-sip phone, keyed by three changed lines.
 *
 *   tiny-phone CONFIG PROXY [URI]
 *
 * Registers, and then calls URI or answers calls until somebody hangs up.  No
 * sound: this shows where libsofia-mcx goes into a phone that does not know of
 * it.  What is new or changed is marked; without it this is a plain phone.
 * CONFIG is an mcx.conf(5) file with the settings of libsofia-mcx. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-sip/nua.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/soa_tag.h>
#include <sofia-sip/su.h>
#include <sofia-mcx/mcx_sofia.h> /* new */

static const char sdp[] = "m=audio 49170 RTP/SAVP 0\r\n";

struct phone {
    su_root_t *root;
    nua_t *nua;
    mcx_t *mcx; /* new */
    const char *aor, *uri;
    nua_handle_t *reg, *call;
};

/* new: how the phone hears of keys; a real one starts its SRTP here, with
 * mcx_srtp_policy(). */
static void
on_key(mcx_event_t event, int status, char const *phrase, mcx_t *mcx,
       mcx_magic_t *magic, nua_handle_t *nh, tagi_t tags[])
{
    MCX_SECRET(mcx_srtp_policy, policy); /* wiped on the way out */

    (void)magic;
    (void)tags;
    printf("%s %d %s\n", mcx_event_name(event), status, phrase);
    if (event == mcx_i_call_key
        && mcx_srtp_policy(mcx, nh, true, &policy) == MCX_OK) {
        printf("SRTP key of %u octets\n", (unsigned)policy.key_size);
    }
    fflush(stdout);
}

static void
make_call(struct phone *phone)
{
    phone->call = nua_handle(phone->nua, NULL, NUTAG_URL(phone->uri),
                             SIPTAG_TO_STR(phone->uri),
                             SIPTAG_FROM_STR(phone->aor), TAG_END());
    nua_invite(phone->call, SOATAG_USER_SDP_STR(sdp),
               MCXTAG_PEER(phone->uri), /* new: whom the key is for */
               TAG_END());
}

static void
on_event(nua_event_t event, int status, char const *phrase, nua_t *nua,
         nua_magic_t *magic, nua_handle_t *nh, nua_hmagic_t *hmagic,
         sip_t const *sip, tagi_t tags[])
{
    struct phone *phone = magic;
    int state = 0;

    /* changed (2): the modules see each event first */
    if (mcx_event(phone->mcx, event, status, phrase, nua, nh, sip, tags)) {
        return;
    }
    (void)hmagic;
    switch (event) {
    case nua_r_register:
        printf("registered %d %s\n", status, phrase);
        if (status >= 300) {
            su_root_break(phone->root);
        } else if (status >= 200 && phone->uri && !phone->call) {
            make_call(phone);
        }
        break;
    case nua_i_invite:
        if (status < 200 && phone->call && phone->call != nh) {
            nua_respond(nh, SIP_486_BUSY_HERE, TAG_END());
            nua_handle_destroy(nh);
        } else if (status < 200) {
            phone->call = nh;
            nua_respond(nh, SIP_200_OK, SOATAG_USER_SDP_STR(sdp), TAG_END());
        }
        break;
    case nua_r_invite:
        printf("answered %d %s\n", status, phrase);
        break;
    case nua_i_state:
        tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
        printf("call %s\n",
               nua_callstate_name((enum nua_callstate)state));
        if (state == nua_callstate_terminated) {
            su_root_break(phone->root);
        }
        break;
    case nua_r_shutdown:
        if (status >= 200) {
            su_root_break(phone->root);
        }
        break;
    case nua_i_message: /* 100: the modules' tags made it ours to answer */
    case nua_i_options:
    case nua_i_info:
    case nua_i_update:
    case nua_i_notify:
    case nua_i_method:
        if (nh != phone->call && nh != phone->reg) {
            if (status < 200) {
                nua_respond(nh, SIP_405_METHOD_NOT_ALLOWED,
                            NUTAG_WITH(mcx_current_request(phone->mcx, nua)),
                            TAG_END());
            }
            nua_handle_destroy(nh); /* sofia made it for this request */
        }
        break;
    default:
        break;
    }
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    struct phone phone = { NULL, NULL, NULL, NULL, NULL, NULL, NULL };

    if (argc < 3) {
        fprintf(stderr, "usage: tiny-phone CONFIG PROXY [URI]\n");
        return 2;
    }
    phone.uri = argc > 3 ? argv[3] : NULL;
    su_init();
    phone.root = su_root_create(NULL);
    /* new: an instance of libsofia-mcx */
    phone.mcx = mcx_create(phone.root, on_key, NULL, MCXTAG_CONFIG(argv[1]),
                           MCXTAG_CALLBACK(on_event),
                           MCXTAG_NUA_MAGIC(&phone), TAG_END());
    if (!phone.mcx) {
        return 2;
    }
    phone.aor = mcx_setting(phone.mcx, NULL, "identity");
    phone.nua = nua_create(phone.root, on_event, &phone,
                           NUTAG_URL("sip:127.0.0.1:*;transport=udp"),
                           NUTAG_PROXY(argv[2]),
                           /* No REFER: see mcx_sofia.h. */
                           SIPTAG_ALLOW_STR("INVITE, ACK, BYE, CANCEL, "
                                            "OPTIONS, PRACK, UPDATE, "
                                            "MESSAGE"),
                           /* changed (1): one more tag */
                           TAG_NEXT(mcx_nua_tags(phone.mcx)));
    if (!phone.nua) {
        return 1;
    }
    phone.reg = nua_handle(phone.nua, NULL, SIPTAG_TO_STR(phone.aor),
                           SIPTAG_FROM_STR(phone.aor), TAG_END());
    /* changed (3): was nua_register(phone.reg, TAG_END()) */
    mcx_register(phone.mcx, phone.reg, TAG_END());
    su_root_run(phone.root);

    nua_shutdown(phone.nua);
    su_root_run(phone.root);
    nua_handle_destroy(phone.reg);
    nua_destroy(phone.nua);
    mcx_destroy(phone.mcx); /* new */
    su_root_destroy(phone.root);
    su_deinit();
    return 0;
}
