/* answer.c -- see answer.h. */
#include <config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "answer.h"

enum resource {
    R_NONE, R_INIT, R_KEYPROV, R_CERTCACHE, R_CERT, R_LOOKUP
};

enum { SEGMENTS_MAX = 3, TIME_DIGITS = 16 };

/* The path behind KMS_ROOT, in pieces. */
struct path {
    enum resource what;
    size_t n; /* segments after the first */
    char arg[SEGMENTS_MAX - 1][MCX_URI_MAX];
};

/* One request on its way. */
struct call {
    struct kms_server *s;
    const struct kms_ask *ask;
    struct kms_held *held;
    struct kms_reply *out;
    char url[MCX_KMS_URL_MAX];
    struct mcx_kms_doc doc;
    char id[MCX_KMS_ID_MAX]; /* of the request, and so of the answer */
    struct mcx_bytes body; /* the request, without its signature */
    struct kms_protect *protect;
};

static unsigned
status_of(enum kms_code code)
{
    switch (code) {
#define KMS_X(name, n, status)                                                \
    case KMS_CODE_##name:                                                     \
        return status;
        KMS_CODE_LIST(KMS_X)
#undef KMS_X
    case KMS_CODE_NONE:
        break;
    }
    return 200;
}

/* ---- what is held ------------------------------------------------------ */

static void
held_free(struct kms_held *h)
{
    if (h) {
        kms_domain_free(h->domain);
        kms_certs_free(h->certs);
        free(h);
    }
}

static struct kms_held *
held_ref(struct kms_server *s)
{
    struct kms_held *h;

    (void)pthread_mutex_lock(&s->lock);
    h = s->held;
    h->refs++;
    (void)pthread_mutex_unlock(&s->lock);
    return h;
}

static void
held_drop(struct kms_server *s, struct kms_held *h)
{
    bool last;

    (void)pthread_mutex_lock(&s->lock);
    last = --h->refs == 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (last) {
        held_free(h);
    }
}

/* Takes 'domain' over. */
static mcx_err
held_new(struct kms_held **out, struct kms_domain *domain, const char *dir,
         uint64_t num, const struct mcx_env *env)
{
    struct kms_held *h = calloc(1, sizeof *h);
    mcx_err err = MCX_E_NOMEM;

    if (!h) {
        kms_domain_free(domain);
        return err;
    }
    h->refs = 1;
    h->domain = domain;
    err = kms_certs_load(&h->certs, dir, num, env);
    if (err != MCX_OK) {
        held_free(h);
        return err;
    }
    *out = h;
    return MCX_OK;
}

mcx_err
kms_server_init(struct kms_server *s, struct kms_domain *domain,
                const char *dir, uint64_t num, const struct mcx_env *env)
{
    memset(s, 0, sizeof *s);
    s->env = env;
    s->dir = dir;
    MCX_TRY(held_new(&s->held, domain, dir, num, env));
    (void)pthread_mutex_init(&s->lock, NULL);
    return MCX_OK;
}

void
kms_server_fini(struct kms_server *s)
{
    if (s->held) {
        held_free(s->held);
        (void)pthread_mutex_destroy(&s->lock);
        s->held = NULL;
    }
}

void
kms_server_look(struct kms_server *s)
{
    struct kms_held *fresh = NULL, *old;
    struct kms_domain *domain = NULL;
    struct mcx_text text;
    uint64_t num = kms_certs_num(s->dir, s->env);
    mcx_err err;

    /* Only this thread replaces 'held', so it may read it as it is. */
    if (num == s->held->certs->num) {
        return;
    }
    err = kms_domain_again(&domain, s->held->domain, s->dir, s->env, &text);
    if (err == MCX_OK) {
        err = held_new(&fresh, domain, s->dir, num, s->env);
        (void)snprintf(text.s, sizeof text.s, "%s", mcx_err_text(err));
    }
    if (err != MCX_OK) {
        mcx_log(s->env, MCX_AREA_KMS, 3, "the folder changed and is not "
                "read: %s", text.s);
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    old = s->held;
    s->held = fresh;
    (void)pthread_mutex_unlock(&s->lock);
    mcx_log(s->env, MCX_AREA_KMS, 5, "read again: %zu generations, %zu "
            "certificates of others", fresh->domain->n, fresh->certs->n);
    held_drop(s, old);
}

/* ---- refusing ---------------------------------------------------------- */

static void MCX_PRINTF(3, 4)
refuse(struct call *c, enum kms_code code, const char *fmt, ...)
{
    struct kms_reply *out = c->out;
    va_list ap;
    mcx_err err;
    size_t i;

    va_start(ap, fmt);
    (void)vsnprintf(out->why.s, sizeof out->why.s, fmt, ap);
    va_end(ap);
    /* It may have been cut off within a character. */
    for (i = 0; out->why.s[i]; i++) {
        if (out->why.s[i] < 0x20 || out->why.s[i] >= 0x7f) {
            out->why.s[i] = '?';
        }
    }
    out->code = code;
    out->status = status_of(code);
    err = mcx_kms_write_error(&out->xml, &out->n, &c->doc, (uint64_t)code,
                              out->why.s);
    if (err != MCX_OK) {
        out->xml = NULL;
        out->n = 0;
    }
}

/* What an error of the store or of crypto means for the client. */
static void
refuse_err(struct call *c, mcx_err err)
{
    switch (err) {
    case MCX_E_NO_IDENTITY:
        refuse(c, KMS_CODE_USER, "%s is not a user of this KMS",
               c->ask->subject);
        return;
    case MCX_E_EXPIRED:
        refuse(c, KMS_CODE_USER, "%s is revoked", c->ask->subject);
        return;
    case MCX_E_BUSY:
    case MCX_E_IO:
        refuse(c, KMS_CODE_BUSY, "not now: try again");
        return;
    default:
        refuse(c, KMS_CODE_INTERNAL, "internal error");
        return;
    }
}

/* ---- the resource ------------------------------------------------------ */

static enum resource
resource_of(const char *s, size_t n)
{
    static const struct {
        const char *word;
        enum resource what;
    } list[] = { { "init", R_INIT },
                 { "keyprov", R_KEYPROV },
                 { "certcache", R_CERTCACHE },
                 { "cert", R_CERT },
                 { "lookup", R_LOOKUP } };
    size_t i;

    for (i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (strlen(list[i].word) == n && strncmp(list[i].word, s, n) == 0) {
            return list[i].what;
        }
    }
    return R_NONE;
}

/* How many segments may follow the first. */
static bool
fits(const struct path *p)
{
    return p->what == R_INIT        ? p->n == 0
           : p->what == R_KEYPROV   ? p->n <= 2
           : p->what == R_CERTCACHE ? p->n <= 1
                                    : (p->what == R_CERT
                                       || p->what == R_LOOKUP)
                                          && p->n == 1;
}

/* A query makes another resource, and there is none. */
static bool
split(struct path *p, const char *target)
{
    size_t root = sizeof KMS_ROOT - 1, n;

    memset(p, 0, sizeof *p);
    if (strncmp(target, KMS_ROOT, root) != 0 || strpbrk(target, "?#")) {
        return false;
    }
    target += root;
    n = strcspn(target, "/");
    p->what = resource_of(target, n);
    for (target += n; *target == '/'; target += n) {
        target++;
        n = strcspn(target, "/");
        if (p->n == SEGMENTS_MAX - 1
            || !kms_unescape(p->arg[p->n], sizeof p->arg[0], target, n)) {
            return false;
        }
        p->n++;
    }
    return fits(p);
}

static const char *
word_of(enum resource what)
{
    static const char *const words[] = { "none", "init", "keyprov",
                                         "certcache", "cert", "lookup" };

    return words[what];
}

/* ---- the request ------------------------------------------------------- */

/* Scheme and host of a URL compare without case (RFC 3986 6.2.2.1), the path
 * octet by octet. */
static bool
same_url(const char *a, const char *b)
{
    size_t n = strlen("https://");
    size_t host = strncasecmp(b, "https://", n) == 0
                      ? n + strcspn(b + n, "/")
                      : 0;

    return host && strncasecmp(a, b, host) == 0
           && strcmp(a + host, b + host) == 0;
}

static bool
check_request(struct call *c)
{
    struct mcx_kms_request *req = malloc(sizeof *req);
    const struct kms_domain *d = c->held->domain;
    struct mcx_text text;
    int64_t now = c->s->env->unix_ms(c->s->env->ctx);
    bool ok = false;
    mcx_err err;

    if (!req) {
        refuse(c, KMS_CODE_BUSY, "not now: try again");
        return false;
    }
    err = mcx_kms_request_read(req, c->body, &text);
    /* A client that draws them at random knows its answer by it. */
    (void)snprintf(c->id, sizeof c->id, "%s", err == MCX_OK ? req->id : "");
    c->doc.id = c->id;
    if (err == MCX_E_NOMEM) {
        refuse(c, KMS_CODE_BUSY, "not now: try again");
    } else if (err != MCX_OK) {
        refuse(c, err == MCX_E_UNSUPPORTED ? KMS_CODE_SIGNED
                                           : KMS_CODE_REQUEST,
               "%s", text.s);
    } else if (strcmp(req->kms_uri, d->info.uri) != 0) {
        refuse(c, KMS_CODE_KMS_URI, "KmsUri: this KMS is %s", d->info.uri);
    } else if (strcmp(req->user_uri, c->ask->subject) != 0) {
        refuse(c, KMS_CODE_USER_URI, "UserUri is not whom the token is for");
    } else if (!same_url(req->client_req_url, c->url)) {
        refuse(c, KMS_CODE_URL, "ClientReqUrl is not %s", c->url);
    } else if (req->time_unix_ms < now - c->s->policy.fresh_ms
               || req->time_unix_ms > now + c->s->policy.fresh_ms) {
        refuse(c, KMS_CODE_TIME, "Time is more than %lld s from the clock of "
               "the KMS", (long long)(c->s->policy.fresh_ms / 1000));
    } else {
        ok = true;
        if (req->has_error) {
            mcx_log(c->s->env, MCX_AREA_KMS, 3, "%s reports error %llu: %s",
                    c->ask->subject, (unsigned long long)req->error_code,
                    req->error_msg);
        }
    }
    free(req);
    return ok;
}

/* Signed as it must be?  Then 'body' is what was signed. */
static bool
check_signature(struct call *c)
{
    struct mcx_text text = { "" };
    mcx_err err;

    c->body = c->ask->body;
    err = kms_protect_open(&c->protect, c->s->store, c->ask->subject,
                           c->s->policy.security, &c->body, c->s->env,
                           &text);
    switch (err) {
    case MCX_OK:
        return true;
    case MCX_E_POLICY:
    case MCX_E_AUTH:
    case MCX_E_NO_KEY:
        refuse(c, KMS_CODE_SIGNATURE, "%s", text.s);
        return false;
    case MCX_E_MALFORMED:
    case MCX_E_TOOBIG:
        refuse(c, KMS_CODE_REQUEST, "%s", text.s);
        return false;
    default:
        refuse_err(c, err == MCX_E_NOMEM ? MCX_E_BUSY : err);
        return false;
    }
}

/* A good request under new keys: the old ones go. */
static bool
settle_keys(struct call *c)
{
    char detail[KMS_DETAIL_MAX];
    mcx_err err;

    (void)snprintf(detail, sizeof detail, "%s %s", c->s->instance,
                   c->ask->peer);
    err = kms_protect_settle(c->protect, c->s->store, c->ask->subject,
                             detail);
    if (err != MCX_OK) {
        refuse_err(c, err);
    }
    return err == MCX_OK;
}

/* Wraps and signs the answer, whatever it is, when the request was signed. */
static void
seal_answer(struct call *c)
{
    struct kms_reply *out = c->out;
    mcx_err err = MCX_OK;

    if (out->xml) {
        err = kms_protect_answer(c->protect, &out->xml, &out->n,
                                 c->s->policy.form, c->s->env);
    }
    if (err != MCX_OK) {
        mcx_kms_text_free(out->xml, out->n);
        refuse_err(c, err);
    }
    kms_protect_free(c->protect);
}

/* Nothing at all is for a user who is revoked. */
static bool
check_user(struct call *c)
{
    enum kms_user_state state = KMS_USER_NONE;
    mcx_err err;

    if (!c->s->store) {
        return true;
    }
    err = kms_store_user(&state, c->s->store, c->ask->subject);
    if (err == MCX_OK && state == KMS_USER_REVOKED) {
        err = MCX_E_EXPIRED;
    }
    if (err != MCX_OK) {
        refuse_err(c, err);
    }
    return err == MCX_OK;
}

/* ---- answers ----------------------------------------------------------- */

/* Hands out what a writer made, or an error. */
static void
done(struct call *c, mcx_err err)
{
    if (err == MCX_OK) {
        c->out->status = 200;
    } else {
        refuse_err(c, err);
    }
}

static const struct kms_generation *
current(struct call *c)
{
    uint64_t no = 0;

    /* Before period 0: the first generation. */
    if (kms_domain_period(&no, c->held->domain, c->doc.time_unix_ms)
        != MCX_OK) {
        no = 0;
    }
    return kms_domain_at(c->held->domain, no);
}

static void
answer_init(struct call *c)
{
    struct mcx_kms_cert cert;

    kms_domain_cert(&cert, c->held->domain, current(c));
    done(c, mcx_kms_write_init(&c->out->xml, &c->out->n, &c->doc, &cert.info,
                               cert.z, cert.kpak));
}

/* The current generation's certificate, those to come, those of others. */
static mcx_err
write_cache(struct call *c)
{
    const struct kms_domain *d = c->held->domain;
    const struct kms_certs *ext = c->held->certs;
    const struct kms_generation *g = current(c), *end = d->gen + d->n;
    struct mcx_kms_cert *all = calloc(d->n + ext->n, sizeof *all);
    size_t n = 0;
    mcx_err err;

    if (!all) {
        return MCX_E_NOMEM;
    }
    for (; g < end; g++) {
        kms_domain_cert(&all[n++], d, g);
    }
    if (ext->n) {
        memcpy(all + n, ext->cert, ext->n * sizeof *all);
        n += ext->n;
    }
    err = mcx_kms_write_certcache(&c->out->xml, &c->out->n, &c->doc, ext->num,
                                  all, n);
    free(all);
    return err;
}

static void
answer_certcache(struct call *c, const struct path *p)
{
    const struct kms_certs *ext = c->held->certs;
    char num[24];

    (void)snprintf(num, sizeof num, "%llu", (unsigned long long)ext->num);
    if (p->n == 1 && strspn(p->arg[0], "0123456789") != strlen(p->arg[0])) {
        refuse(c, KMS_CODE_RESOURCE, "certcache/NUMBER wants a number");
    } else if (p->n == 1 && strcmp(p->arg[0], num) == 0) {
        done(c, mcx_kms_write_certcache(&c->out->xml, &c->out->n, &c->doc,
                                        ext->num, NULL, 0));
    } else {
        done(c, write_cache(c));
    }
}

static void
answer_cert(struct call *c, const struct path *p)
{
    const struct mcx_kms_cert *found;
    struct mcx_kms_cert own;

    if (strcmp(p->arg[0], c->held->domain->info.uri) == 0) {
        kms_domain_cert(&own, c->held->domain, current(c));
        found = &own;
    } else {
        found = kms_certs_find(c->held->certs, p->arg[0]);
    }
    if (!found) {
        refuse(c, KMS_CODE_NO_CERT, "no certificate of %s is held",
               p->arg[0]);
        return;
    }
    done(c, mcx_kms_write_certcache(&c->out->xml, &c->out->n, &c->doc,
                                    c->held->certs->num, found, 1));
}

/* Does a KmsDomainList name 'host'? */
static bool
names(const struct mcx_kms_info *info, const char *host, size_t n)
{
    size_t i;

    for (i = 0; i < info->n_domains; i++) {
        if (strlen(info->domain[i]) == n
            && strncasecmp(info->domain[i], host, n) == 0) {
            return true;
        }
    }
    return false;
}

/* The one KMS that 'uri' belongs to, as far as certificates say; NULL: none,
 * or more than one.  Whether there is such a user is nobody's business. */
static const char *
kms_of(const struct call *c, const char *uri)
{
    const struct kms_domain *d = c->held->domain;
    const struct kms_certs *ext = c->held->certs;
    const char *at = strchr(uri, '@'), *host = at ? at : strchr(uri, ':');
    const char *found = NULL;
    size_t n, i;

    if (strcmp(uri, c->ask->subject) == 0) {
        return d->info.uri;
    }
    host = host ? host + 1 : uri;
    n = strcspn(host, ":;?");
    if (names(&d->info, host, n)) {
        return d->info.uri;
    }
    for (i = 0; i < ext->n; i++) {
        if (!ext->cert[i].info.revoked && names(&ext->cert[i].info, host, n)) {
            if (found) {
                return NULL;
            }
            found = ext->cert[i].info.uri;
        }
    }
    /* A KMS without a list speaks for whom nobody else does. */
    return found || d->info.n_domains ? found : d->info.uri;
}

static void
answer_lookup(struct call *c, const struct path *p)
{
    const char *kms = kms_of(c, p->arg[0]);

    if (!kms) {
        refuse(c, KMS_CODE_NO_CERT, "no KMS is known for %s", p->arg[0]);
        return;
    }
    done(c, mcx_kms_write_lookup(&c->out->xml, &c->out->n, &c->doc,
                                 p->arg[0], kms));
}

/* 16 upper-case hexadecimal digits of an NTP timestamp (D.2.4); only the
 * seconds count. */
static bool
period_of_time(uint64_t *no, struct call *c, const char *digits)
{
    uint8_t b[8];
    uint64_t ntp = 0;
    size_t i;

    if (strlen(digits) != TIME_DIGITS
        || strspn(digits, "0123456789ABCDEF") != TIME_DIGITS
        || mcx_hex_decode(b, sizeof b, mcx_bytes_str(digits), NULL)
               != MCX_OK) {
        return false;
    }
    for (i = 0; i < sizeof b; i++) {
        ntp = ntp << 8 | b[i];
    }
    ntp &= ~UINT64_C(0xffffffff);
    return kms_domain_period(no, c->held->domain,
                             mcx_ntp_to_unix_ms(ntp, c->doc.time_unix_ms))
           == MCX_OK;
}

static bool
choose_period(uint64_t *no, struct call *c, const struct path *p)
{
    const struct kms_policy *policy = &c->s->policy;
    uint64_t now = 0;

    if (kms_domain_period(&now, c->held->domain, c->doc.time_unix_ms)
        != MCX_OK) {
        refuse(c, KMS_CODE_PERIOD, "the first key period has not begun");
        return false;
    }
    *no = now;
    if (p->n == 2 && !period_of_time(no, c, p->arg[1])) {
        refuse(c, KMS_CODE_RESOURCE, "keyprov/URI/TIME wants a time as 16 "
               "upper-case hexadecimal digits (TS 33.180 D.2.4)");
        return false;
    }
    if (*no > now + policy->ahead || *no + policy->back < now) {
        refuse(c, KMS_CODE_PERIOD, "key period %llu is not one of %llu to "
               "%llu, which are issued now", (unsigned long long)*no,
               (unsigned long long)(now > policy->back ? now - policy->back
                                                       : 0),
               (unsigned long long)(now + policy->ahead));
        return false;
    }
    return true;
}

/* Makes the keys and their document, logs the issue, and only then lets go of
 * them. */
static mcx_err
issue(struct call *c, uint64_t no)
{
    MCX_SECRET(mcx_kms_keyset, set);
    const struct kms_domain *d = c->held->domain;
    char detail[KMS_DETAIL_MAX];
    mcx_err err;

    (void)snprintf(set.user_uri, sizeof set.user_uri, "%s", c->ask->subject);
    MCX_TRY(kms_domain_issue(&set, d, no, c->s->env));
    MCX_TRY(mcx_kms_write_keyprov(&c->out->xml, &c->out->n, &c->doc, &d->info,
                                  &set, 1));
    (void)snprintf(detail, sizeof detail, "%s %s", c->s->instance,
                   c->ask->peer);
    err = c->s->store ? kms_store_append(c->s->store, KMS_ISSUE,
                                         c->ask->subject, no, detail)
                      : MCX_OK;
    if (err != MCX_OK) {
        mcx_kms_text_free(c->out->xml, c->out->n);
        c->out->xml = NULL;
    }
    return err;
}

static void
answer_keyprov(struct call *c, const struct path *p)
{
    uint64_t no;

    if (p->n > 0 && strcmp(p->arg[0], c->ask->subject) != 0) {
        refuse(c, KMS_CODE_OTHER_USER, "keys of another than %s asked for",
               c->ask->subject);
        return;
    }
    if (choose_period(&no, c, p)) {
        done(c, issue(c, no));
    }
}

/* ---- all together ------------------------------------------------------ */

/* Does every octet belong in a URI (RFC 3986)?  What does not is not
 * repeated in an answer. */
static bool
uri_path(const char *s)
{
    static const char others[] = "-._~:/?#[]@!$&'()*+,;=";

    for (; *s; s++) {
        if (*s == '%') {
            if (strspn(s + 1, "0123456789abcdefABCDEF") < 2) {
                return false;
            }
        } else if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')
                     || (*s >= '0' && *s <= '9') || strchr(others, *s))) {
            return false;
        }
    }
    return true;
}

/* False: the URL is longer than a ClientReqUrl can be, so none can be it. */
static bool
begin(struct call *c, struct kms_reply *out, struct kms_server *s,
      const struct kms_ask *ask)
{
    int n;

    memset(out, 0, sizeof *out);
    out->resource = word_of(R_NONE);
    memset(c, 0, sizeof *c);
    c->s = s;
    c->ask = ask;
    c->out = out;
    c->held = held_ref(s);
    n = snprintf(c->url, sizeof c->url, "https://%s%s", ask->host,
                 uri_path(ask->target) ? ask->target : KMS_ROOT);
    if (n < 0 || (size_t)n >= sizeof c->url) {
        (void)snprintf(c->url, sizeof c->url, "https://%s%s", ask->host,
                       KMS_ROOT);
    }
    c->doc.user_uri = ask->subject;
    c->doc.kms_uri = c->held->domain->info.uri;
    c->doc.client_req_url = c->url;
    c->doc.time_unix_ms = s->env->unix_ms(s->env->ctx);
    return n > 0 && (size_t)n < sizeof c->url;
}

void
kms_answer_error(struct kms_reply *out, struct kms_server *s,
                 const struct kms_ask *ask, enum kms_code code,
                 const char *why)
{
    struct call c;

    (void)begin(&c, out, s, ask);
    refuse(&c, code, "%s", why);
    held_drop(s, c.held);
}

void
kms_answer(struct kms_reply *out, struct kms_server *s,
           const struct kms_ask *ask)
{
    struct path *p = malloc(sizeof *p);
    struct call c;
    bool fits_url = begin(&c, out, s, ask);

    if (!p) {
        refuse(&c, KMS_CODE_BUSY, "not now: try again");
    } else if (!fits_url) {
        refuse(&c, KMS_CODE_RESOURCE, "the URL is longer than %d octets",
               MCX_KMS_URL_MAX - 1);
    } else if (!split(p, ask->target)) {
        refuse(&c, KMS_CODE_RESOURCE, "no such resource here; expected "
               KMS_ROOT "init, keyprov, certcache, cert or lookup");
    } else {
        out->resource = word_of(p->what);
        if (check_signature(&c) && check_request(&c) && check_user(&c)
            && settle_keys(&c)) {
            switch (p->what) {
            case R_INIT:
                answer_init(&c);
                break;
            case R_KEYPROV:
                answer_keyprov(&c, p);
                break;
            case R_CERTCACHE:
                answer_certcache(&c, p);
                break;
            case R_LOOKUP:
                answer_lookup(&c, p);
                break;
            case R_CERT:
            case R_NONE: /* split() refuses it */
                answer_cert(&c, p);
                break;
            }
        }
    }
    seal_answer(&c);
    held_drop(s, c.held);
    free(p);
}
