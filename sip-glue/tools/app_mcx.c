/* app_mcx.c -- event lines and `show` for what libsofia-mcx holds.
 *
 * Called by mcx-ua and mcx-pf on the loop.  Prints identities and states;
 * never a key nor anything computed from one. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/su_tag.h>

#include "app_mcx.h"

void
app_id_text(char out[APP_ID_SIZE], uint32_t id)
{
    (void)snprintf(out, APP_ID_SIZE, "%08x", (unsigned)id);
}

static const char *
text_or_null(const char *s)
{
    return s != NULL && s[0] != '\0' ? s : NULL;
}

static const char *
kind_text(unsigned kind)
{
    const char *word = mcx_kind_word(kind);

    return word != NULL ? word : "unknown";
}

bool
app_mcx_event(struct control *control, mcx_event_t event, int status,
              tagi_t const tags[])
{
    void const *key = NULL, *judged = NULL, *period = NULL;
    char const *kind = NULL, *reason = NULL, *peer = NULL, *kms = NULL;
    unsigned id = 0;
    const struct mcx_key_info *info;
    const struct mcx_why *why;
    char id_text[APP_ID_SIZE], offset[32], period_text[24], answer[16];

    (void)tl_gets(tags, MCXTAG_KEY_INFO_REF(key), MCXTAG_WHY_REF(judged),
                  MCXTAG_KIND_REF(kind), MCXTAG_REASON_REF(reason),
                  MCXTAG_PEER_REF(peer), MCXTAG_KEY_ID_REF(id),
                  MCXTAG_KMS_REF(kms), MCXTAG_PERIOD_NO_REF(period),
                  TAG_END());
    info = key;
    why = judged;
    if (info != NULL) {
        kind = kind_text(info->kind);
        id = info->key_id;
    }
    app_id_text(id_text, id);
    switch (event) {
    case mcx_i_key:
    case mcx_i_key_restored:
    case mcx_i_key_retired:
    case mcx_i_key_wiped:
        control_event(
            control,
            event == mcx_i_key            ? "key"
            : event == mcx_i_key_restored ? "key-restored"
            : event == mcx_i_key_retired  ? "key-retired"
                                          : "key-wiped",
            "kind", kind, "id", id_text, "state",
            info != NULL ? mcx_key_state_word(info->state) : NULL, "owner",
            info != NULL ? text_or_null(info->owner.mc_id) : NULL, NULL);
        return true;
    case mcx_i_refused:
        (void)snprintf(offset, sizeof offset, "%zu",
                       why != NULL ? why->offset : 0);
        (void)snprintf(answer, sizeof answer, "%d", status);
        control_event(control, "refused", "reason",
                      text_or_null(reason) != NULL ? reason
                      : why != NULL ? mcx_reason_word(why->reason)
                                    : "unknown",
                      "payload",
                      why != NULL && why->payload != NULL
                          ? text_or_null(why->payload)
                          : NULL,
                      "offset", offset, "status", answer, "peer",
                      text_or_null(peer), NULL);
        return true;
    case mcx_i_parked:
        control_event(control, "parked", "reason", text_or_null(reason),
                      "peer", text_or_null(peer), NULL);
        return true;
    case mcx_i_identity:
        (void)snprintf(period_text, sizeof period_text, "%llu",
                       period != NULL
                           ? (unsigned long long)*(const uint64_t *)period
                           : 0ull);
        control_event(control, "identity", "uri", text_or_null(peer), "kms",
                      text_or_null(kms), "period", period_text, NULL);
        return true;
    case mcx_i_redirect:
        control_event(control, "redirect", "peer", text_or_null(peer), "kms",
                      text_or_null(kms), NULL);
        return true;
    case mcx_i_call_key:
    case mcx_r_register:
    case mcx_r_publish:
    case mcx_r_download:
    case mcx_r_invite:
    default:
        return false;
    }
}

unsigned
app_warning_code(sip_warning_t const *warning)
{
    for (; warning != NULL; warning = warning->w_next) {
        if (warning->w_code == 399 && warning->w_text != NULL) {
            const char *s = warning->w_text;
            char *end;
            unsigned long code;

            s += strspn(s, "\" ");
            code = strtoul(s, &end, 10);
            if (end - s == 3) {
                return (unsigned)code;
            }
        }
    }
    return 0;
}

/* ---- show -------------------------------------------------------------- */

struct show {
    struct control_conn *conn;
    bool json;
    bool first;
};

bool
app_wants_json(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[argc - 1], "--json") == 0;
}

static void
json_pair(struct control_conn *conn, const char *name, const char *value,
          bool last)
{
    control_json(conn, name);
    control_print(conn, ": ");
    control_json(conn, value);
    control_print(conn, last ? "}" : ", ");
}

static void
show_key(void *arg, const struct mcx_key_info *info)
{
    struct show *show = arg;
    struct control_conn *conn = show->conn;
    char id[APP_ID_SIZE];
    const char *kind = kind_text(info->kind);
    const char *state = mcx_key_state_word(info->state);

    app_id_text(id, info->key_id);
    if (show->json) {
        control_print(conn, show->first ? "{" : ", {");
        json_pair(conn, "kind", kind, false);
        json_pair(conn, "id", id, false);
        json_pair(conn, "state", state, false);
        json_pair(conn, "owner", info->owner.mc_id, false);
        json_pair(conn, "impu", info->owner.impu, false);
        json_pair(conn, "initiator", info->initiator, false);
        json_pair(conn, "responder", info->responder, true);
        show->first = false;
    } else {
        control_print(conn, "%s %s %s owner=%s initiator=%s responder=%s\n",
                      kind, id, state, info->owner.mc_id, info->initiator,
                      info->responder);
    }
}

static void
show_counter(void *arg, const char *name, uint64_t value)
{
    struct show *show = arg;

    if (show->json) {
        control_print(show->conn, show->first ? "" : ", ");
        control_json(show->conn, name);
        control_print(show->conn, ": %llu", (unsigned long long)value);
        show->first = false;
    } else {
        control_print(show->conn, "%s %llu\n", name,
                      (unsigned long long)value);
    }
}

static void
show_module(void *arg, const char *name, bool loaded, const char *reason)
{
    struct show *show = arg;

    if (show->json) {
        control_print(show->conn, show->first ? "{" : ", {");
        json_pair(show->conn, "name", name, false);
        control_print(show->conn, "\"loaded\": %s, ",
                      loaded ? "true" : "false");
        json_pair(show->conn, "reason", reason != NULL ? reason : "", true);
        show->first = false;
    } else {
        control_print(show->conn, "%s %s%s%s\n", name,
                      loaded ? "loaded" : "not loaded",
                      reason != NULL && reason[0] != '\0' ? ": " : "",
                      reason != NULL ? reason : "");
    }
}

bool
app_show(mcx_t *mcx, struct control_conn *conn, int argc, char **argv)
{
    struct show show = { conn, app_wants_json(argc, argv), true };
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "keys") == 0) {
        control_print(conn, "%s", show.json ? "[" : "");
        mcx_keys_each(mcx_key_store(mcx), show_key, &show);
        control_print(conn, "%s", show.json ? "]\n" : "");
    } else if (strcmp(what, "counters") == 0) {
        control_print(conn, "%s", show.json ? "{" : "");
        mcx_counters(mcx, show_counter, &show);
        control_print(conn, "%s", show.json ? "}\n" : "");
    } else if (strcmp(what, "modules") == 0) {
        control_print(conn, "%s", show.json ? "[" : "");
        mcx_modules(mcx, show_module, &show);
        control_print(conn, "%s", show.json ? "]\n" : "");
    } else {
        return false;
    }
    control_ok(conn, "%s", "");
    return true;
}

bool
app_is_stray(nua_event_t event)
{
    switch (event) {
    case nua_i_options:
    case nua_i_subscribe:
    case nua_i_refer:
    case nua_i_notify:
    case nua_i_info:
    case nua_i_update:
    case nua_i_register:
    case nua_i_publish:
    case nua_i_method:
        return true;
    default:
        return false;
    }
}
