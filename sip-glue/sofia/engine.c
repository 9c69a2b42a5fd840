/* engine.c -- the offer/answer engine "mcx": sofia's default one with ours
 * around it.  See engine.h.
 *
 * sofia freezes session attributes after the first offer and its comparison
 * misses appended ones, so what is to be sent is made by changing ss_local
 * after the default method has run.  One rule gives o=: the text about to be
 * sent is compared with the text last sent, o= version left out; when they
 * differ the version is one more than the last one, when not it is the same.
 *
 * The default methods are copied when the engine is registered; none of
 * sofia's data is replaced. */
#include <config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-sip/sdp.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/soa.h>
#include <sofia-sip/soa_add.h>
#include <sofia-sip/soa_session.h>
#include <sofia-sip/su_alloc.h>
#include <sofia-sip/su_tag.h>
#include <sofia-mcx/mcx_module.h>
#include <sofia-mcx/mcx_tag.h>
#include "engine.h"

/* Exported by libsofia-sip-ua, declared in none of its headers. */
int soa_set_warning(soa_session_t *ss, int code, char const *text);

/* Behind sofia's own session structure.  Memory from ss_home. */
struct priv {
    const void *mcx; /* MCXTAG_INSTANCE */
    char *peer;      /* MCXTAG_PEER     */
    char *line;      /* value of our a=key-mgmt, once there was one  */
    char *sent;      /* SDP last sent, o= version 0                  */
    uint64_t sent_version;
    struct soa_description before[1]; /* ss_local as it was before our offer */
    unsigned before_user_version, before_remote_version;
    bool offered;  /* ours is out, no answer yet */
    bool received; /* theirs is in, not yet answered */
    bool complete; /* answered, either way */
    bool touched;  /* the instance heard of this session */
};

static struct soa_session_actions actions; /* ours */
static struct soa_session_actions base;    /* sofia's */

/* ---- instances --------------------------------------------------------- */

struct attached {
    struct attached *next;
    const void *mcx;
    const struct mcxs_engine_ops *ops;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct attached *instances;

int
mcxs_engine_attach(void *mcx, const struct mcxs_engine_ops *ops)
{
    struct attached *a = malloc(sizeof *a);

    if (!a) {
        return -1;
    }
    a->mcx = mcx;
    a->ops = ops;
    (void)pthread_mutex_lock(&lock);
    a->next = instances;
    instances = a;
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

void
mcxs_engine_detach(void *mcx)
{
    struct attached **link, *a = NULL;

    (void)pthread_mutex_lock(&lock);
    for (link = &instances; *link; link = &(*link)->next) {
        if ((*link)->mcx == mcx) {
            a = *link;
            *link = a->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    free(a);
}

/* ---- from sofia's session to ours -------------------------------------- */

static size_t
base_size(void)
{
    size_t n = (size_t)base.sizeof_soa_session;

    return (n + 15) / 16 * 16;
}

static struct priv *
priv_of(soa_session_t *ss)
{
    return (struct priv *)(void *)((char *)ss + base_size());
}

/* The operations of the session's instance; NULL when there is none. */
static const struct mcxs_engine_ops *
ops_of(struct priv *p, void **mcx)
{
    const struct mcxs_engine_ops *ops = NULL;
    struct attached *a;

    if (!p->mcx) {
        return NULL;
    }
    (void)pthread_mutex_lock(&lock);
    for (a = instances; a; a = a->next) {
        if (a->mcx == p->mcx) {
            ops = a->ops;
            memcpy(mcx, &a->mcx, sizeof *mcx); /* it came without const */
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return ops;
}

static nua_handle_t *
handle_of(soa_session_t *ss)
{
    return (nua_handle_t *)ss->ss_magic;
}

/* Replaces '*slot' by a copy of 's' (NULL allowed); -1 when out of memory. */
static int
replace(soa_session_t *ss, char **slot, const char *s)
{
    char *copy = s ? su_strdup(ss->ss_home, s) : NULL;

    if (s && !copy) {
        return -1;
    }
    su_free(ss->ss_home, *slot);
    *slot = copy;
    return 0;
}

static void
forget(soa_session_t *ss, struct priv *p)
{
    (void)replace(ss, &p->line, NULL);
    (void)replace(ss, &p->sent, NULL);
    p->sent_version = 0;
    soa_description_free(ss, p->before);
    p->offered = p->received = p->complete = false;
}

/* ---- the line ---------------------------------------------------------- */

static bool
is_mikey_line(const sdp_attribute_t *a)
{
    const char *v = a->a_value ? a->a_value : "";

    while (*v == ' ') {
        v++;
    }
    return a->a_name && strcmp(a->a_name, "key-mgmt") == 0
           && strncmp(v, "mikey", 5) == 0 && (v[5] == ' ' || v[5] == '\0');
}

/* 'list' without its mikey lines, in memory of 'home'; the same list when it
 * has none.  -1 when out of memory. */
static int
without_lines(su_home_t *home, sdp_attribute_t **list)
{
    sdp_attribute_t *a, *kept = NULL, **tail = &kept;
    bool any = false;

    for (a = *list; a; a = a->a_next) {
        any = any || is_mikey_line(a);
    }
    for (a = any ? *list : NULL; a; a = a->a_next) {
        sdp_attribute_t *copy;

        if (is_mikey_line(a)) {
            continue;
        }
        copy = su_alloc(home, (isize_t)sizeof *copy);
        if (!copy) {
            return -1;
        }
        *copy = *a;
        copy->a_next = NULL;
        *tail = copy;
        tail = &copy->a_next;
    }
    if (any) {
        *list = kept;
    }
    return 0;
}

/* 'sdp' as text with o= version 0, in memory of 'home'; NULL: no memory, or
 * not printable. */
static char *
text_of(su_home_t *home, const sdp_session_t *sdp)
{
    sdp_session_t copy = *sdp;
    sdp_origin_t o = *sdp->sdp_origin;
    sdp_printer_t *printer;
    const char *s;
    char *text = NULL;

    o.o_version = 0;
    copy.sdp_origin = &o;
    printer = sdp_print(home, &copy, NULL, 0, 0);
    s = printer ? sdp_message(printer) : NULL;
    if (s) {
        text = su_strdup(home, s);
    }
    sdp_printer_free(printer);
    return text;
}

/* Makes ss_local what is to be sent: with the line 'value' and no other, or
 * (NULL) without ours, and with the right o= version.  -1 when out of memory;
 * then nothing has changed. */
static int
put_line(soa_session_t *ss, struct priv *p, const char *value)
{
    su_home_t home[1] = { SU_HOME_INIT(home) };
    sdp_attribute_t line[1];
    sdp_session_t sdp[1];
    sdp_origin_t o[1];
    uint64_t version;
    char *text;
    int ret = -1;

    if (!ss->ss_local->ssd_sdp || !ss->ss_local->ssd_sdp->sdp_origin) {
        return 0;
    }
    su_home_init(home);
    *sdp = *ss->ss_local->ssd_sdp;
    *o = *sdp->sdp_origin;
    sdp->sdp_origin = o;
    version = o->o_version;
    if ((value || p->line)
        && without_lines(home, &sdp->sdp_attributes) < 0) {
        goto out;
    }
    if (value) {
        memset(line, 0, sizeof line);
        line->a_size = (int)sizeof line;
        line->a_next = sdp->sdp_attributes;
        line->a_name = "key-mgmt";
        line->a_value = value;
        sdp->sdp_attributes = line;
    }
    text = text_of(home, sdp);
    if (!text) {
        goto out;
    }
    if (p->sent) {
        version = p->sent_version + (strcmp(text, p->sent) != 0);
    }
    o->o_version = version;
    if (soa_description_set(ss, ss->ss_local, sdp, NULL, 0) < 0
        || replace(ss, &p->sent, text) < 0
        || (value && replace(ss, &p->line, value) < 0)) {
        goto out;
    }
    p->sent_version = version;
    ret = 0;
out:
    su_home_deinit(home);
    return ret;
}

/* ---- methods ----------------------------------------------------------- */

static int
engine_soa_init(char const *name, soa_session_t *ss, soa_session_t *parent)
{
    struct priv *p = priv_of(ss);
    int ret;

    memset(p, 0, sizeof *p);
    ret = base.soa_init(name, ss, parent);
    if (ret >= 0 && parent) {
        p->mcx = priv_of(parent)->mcx; /* the rest is of one call only */
    }
    return ret;
}

static void
tell_terminated(soa_session_t *ss)
{
    struct priv *p = priv_of(ss);
    const struct mcxs_engine_ops *ops;
    void *mcx = NULL;

    if (!p->touched) {
        return;
    }
    p->touched = false;
    ops = ops_of(p, &mcx);
    if (ops && ops->terminated) {
        ops->terminated(mcx, handle_of(ss));
    }
}

static void
engine_soa_deinit(soa_session_t *ss)
{
    tell_terminated(ss);
    forget(ss, priv_of(ss));
    base.soa_deinit(ss);
}

static int
engine_set_params(soa_session_t *ss, tagi_t const *tags)
{
    struct priv *p = priv_of(ss);
    const void *mcx = p->mcx;
    const char *peer = p->peer;
    int n = tl_gets(tags, MCXTAG_INSTANCE_REF(mcx), MCXTAG_PEER_REF(peer),
                    TAG_END());
    int ret;

    if (n > 0) {
        p->mcx = mcx;
        if (peer != p->peer && replace(ss, &p->peer, peer) < 0) {
            return -1;
        }
    }
    ret = base.soa_set_params(ss, tags);
    return ret < 0 || n < 0 ? ret : n + ret;
}

/* Tells of our offer that got no answer.  nua does not say when a re-INVITE
 * is refused, so this also runs when the next offer shows it. */
static void
tell_rejected(soa_session_t *ss)
{
    struct priv *p = priv_of(ss);
    const struct mcxs_engine_ops *ops;
    void *mcx = NULL;

    if (!p->offered) {
        return;
    }
    p->offered = false;
    ops = ops_of(p, &mcx);
    if (ops && ops->rejected) {
        ops->rejected(mcx, handle_of(ss));
    }
}

static int
engine_set_remote_sdp(soa_session_t *ss, int new_version, sdp_session_t *sdp,
                      char const *str, isize_t len)
{
    struct priv *p = priv_of(ss);
    const struct mcxs_engine_ops *ops;
    void *mcx = NULL;
    int ret = base.soa_set_remote_sdp(ss, new_version, sdp, str, len);

    /* sofia's flags, not ours: they are cleared for each INVITE. */
    if (ret < 0 || (ss->ss_offer_sent && !ss->ss_answer_recv)) {
        return ret; /* an answer brings no key */
    }
    tell_rejected(ss);
    p->complete = false;
    ops = ops_of(p, &mcx);
    if (ops) {
        p->received = p->touched = true;
        if (!str) {
            str = ss->ss_remote->ssd_unparsed;
            len = str ? (isize_t)strlen(str) : 0;
        }
        if (ops->remote_offer && str) {
            ops->remote_offer(mcx, handle_of(ss), str, (size_t)len);
        }
    }
    return ret;
}

static int
engine_generate_offer(soa_session_t *ss, soa_callback_f *completed)
{
    struct priv *p = priv_of(ss);
    const struct mcxs_engine_ops *ops;
    const char *value = NULL;
    void *mcx = NULL;
    int ret;

    tell_rejected(ss);
    p->received = p->complete = false;
    /* What a refusal goes back to; sofia keeps it only for changed offers. */
    soa_description_free(ss, p->before);
    if (ss->ss_local->ssd_sdp
        && soa_description_dup(ss->ss_home, p->before, ss->ss_local) < 0) {
        return soa_set_status(ss, SIP_500_INTERNAL_SERVER_ERROR);
    }
    p->before_user_version = ss->ss_local_user_version;
    p->before_remote_version = ss->ss_local_remote_version;

    ret = base.soa_generate_offer(ss, completed);
    if (ret < 0) {
        return ret;
    }
    ops = ops_of(p, &mcx);
    if (ops) {
        p->touched = true;
        if (ops->offer_value) {
            value = ops->offer_value(mcx, handle_of(ss),
                                     p->peer ? p->peer : "");
        }
        if (put_line(ss, p, value) < 0) {
            return soa_set_status(ss, SIP_500_INTERNAL_SERVER_ERROR);
        }
    }
    p->offered = true;
    return ret;
}

/* Warnings 399 and, when asked for, 306.  nua formats one warning, `399 host
 * "text"`; a second one travels in the text, whose quotes it does not look
 * at. */
static void
warn(soa_session_t *ss, const struct mcxs_reject *reject)
{
    static const char standard[] = "136 " MCX_WARN_MIKEY_TEXT;
    const char *text = reject->warning ? reject->warning : standard;
    char *both = NULL;

    if (strchr(text, '"')) {
        text = standard;
    }
    if (reject->warn_306) {
        both = su_sprintf(ss->ss_home, "%s\", 306 %s \"Attribute not "
                          "understood: key-mgmt", text, "invalid.");
    }
    (void)soa_set_warning(ss, 399, both ? both : text);
}

static int
engine_generate_answer(soa_session_t *ss, soa_callback_f *completed)
{
    struct priv *p = priv_of(ss);
    struct mcxs_reject reject = { false, NULL };
    const struct mcxs_engine_ops *ops;
    void *mcx = NULL;
    int ret;

    ops = ops_of(p, &mcx);
    if (ops && ops->verdict && p->received
        && ops->verdict(mcx, handle_of(ss), &reject) != 0) {
        /* In this order: setting the status clears the warning. */
        (void)soa_set_status(ss, SIP_488_NOT_ACCEPTABLE);
        warn(ss, &reject);
        return -1;
    }
    ret = base.soa_generate_answer(ss, completed);
    if (ret < 0) {
        return ret;
    }
    if (ops && put_line(ss, p, NULL) < 0) {
        return soa_set_status(ss, SIP_500_INTERNAL_SERVER_ERROR);
    }
    p->received = false;
    p->complete = true;
    return ret;
}

static int
engine_process_answer(soa_session_t *ss, soa_callback_f *completed)
{
    struct priv *p = priv_of(ss);
    int ret = base.soa_process_answer(ss, completed);

    if (ret >= 0) {
        p->offered = false;
        p->complete = true;
        soa_description_free(ss, p->before);
    }
    return ret;
}

static int
engine_process_reject(soa_session_t *ss, soa_callback_f *completed)
{
    struct priv *p = priv_of(ss);
    int ret;

    /* The default method goes back to ss_previous even when there is none,
     * and the next offer has a new o= line.  Give it one: what was before,
     * or, when nothing was, the refused offer itself. */
    if (!ss->ss_previous->ssd_sdp && ss->ss_local->ssd_sdp) {
        bool had = p->before->ssd_sdp != NULL;

        if (soa_description_dup(ss->ss_home, ss->ss_previous,
                                had ? p->before : ss->ss_local) >= 0) {
            ss->ss_previous_user_version = had ? p->before_user_version
                                               : ss->ss_local_user_version;
            ss->ss_previous_remote_version = had
                ? p->before_remote_version : ss->ss_local_remote_version;
        }
    }
    ret = base.soa_process_reject(ss, completed);
    soa_description_free(ss, p->before);
    tell_rejected(ss);
    return ret;
}

static int
engine_activate(soa_session_t *ss, char const *option)
{
    struct priv *p = priv_of(ss);
    const struct mcxs_engine_ops *ops;
    void *mcx = NULL;
    int ret = base.soa_activate_session(ss, option);

    if (ret >= 0 && p->touched && p->complete) {
        ops = ops_of(p, &mcx);
        if (ops && ops->activated) {
            ops->activated(mcx, handle_of(ss));
        }
    }
    return ret;
}

static void
engine_terminate(soa_session_t *ss, char const *option)
{
    tell_terminated(ss);
    forget(ss, priv_of(ss));
    base.soa_terminate_session(ss, option);
}

/* ---- registration ------------------------------------------------------ */

static int init_result = -1;

static void
init_once(void)
{
    struct soa_session_actions const *taken = soa_find(MCXS_ENGINE_NAME);

    if (taken && taken->soa_name
        && strcmp(taken->soa_name, MCXS_ENGINE_NAME) == 0) {
        return;
    }
    base = soa_default_actions;
    actions = base;
    actions.sizeof_soa_session = (int)(base_size() + sizeof(struct priv));
    actions.soa_name = MCXS_ENGINE_NAME;
    actions.soa_init = engine_soa_init;
    actions.soa_deinit = engine_soa_deinit;
    actions.soa_set_params = engine_set_params;
    actions.soa_set_remote_sdp = engine_set_remote_sdp;
    actions.soa_generate_offer = engine_generate_offer;
    actions.soa_generate_answer = engine_generate_answer;
    actions.soa_process_answer = engine_process_answer;
    actions.soa_process_reject = engine_process_reject;
    actions.soa_activate_session = engine_activate;
    actions.soa_terminate_session = engine_terminate;
    init_result = soa_add(MCXS_ENGINE_NAME, &actions) < 0 ? -1 : 0;
}

int
mcxs_engine_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, init_once);
    return init_result;
}
