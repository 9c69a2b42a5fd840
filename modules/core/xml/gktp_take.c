/* gktp_take.c -- what the messages of a GKTP document do (TS 24.481, TS 33.180
 * 5.7).  See mcx_gktp.h.  Called on a worker; the document is gktp.c's. */
#include <config.h>
#include <sofia-mcx/mcx_gktp.h>

static bool
decimal(const char *s, uint32_t want)
{
    uint64_t v = 0;
    bool any = *s != '\0';

    for (; *s && any; s++) {
        any = *s >= '0' && *s <= '9' && v <= UINT32_MAX;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    return any && v == want;
}

bool
mcx_gktp_names(const char *id, uint32_t key_id)
{
    const char *digits = id[0] == '0' && (id[1] == 'x' || id[1] == 'X')
                             ? id + 2
                             : id;
    uint8_t b[4], want[4] = { (uint8_t)(key_id >> 24),
                              (uint8_t)(key_id >> 16),
                              (uint8_t)(key_id >> 8), (uint8_t)key_id };
    char padded[9] = "00000000";
    size_t n = strlen(digits);

    if (decimal(id, key_id)) {
        return true;
    }
    if (n > 0 && n <= 8) { /* leading zeros may be missing */
        memcpy(padded + 8 - n, digits, n);
        if (mcx_hex_decode(b, sizeof b, mcx_bytes(padded, 8), NULL) == MCX_OK
            && mcx_bytes_eq(mcx_bytes(b, 4), mcx_bytes(want, 4))) {
            return true;
        }
    }
    n = sizeof b;
    return mcx_b64_decode(b, &n, mcx_bytes_str(id), NULL) == MCX_OK
           && mcx_bytes_eq(mcx_bytes(b, n), mcx_bytes(want, 4));
}

/* Is there a key of this ID whose message was made no earlier? */
static mcx_err
check_newer(const struct mcx_gktp_how *how, const struct mcx_key_msg *km,
            size_t t_at, struct mcx_why *why)
{
    struct mcx_key *key = mcx_keys_by_id(how->keys, km->kind, km->key_id);
    struct mcx_key_info info;

    if (!key) {
        return MCX_OK;
    }
    mcx_key_info(&info, key);
    mcx_key_unref(key);
    return info.t_unix_ms < km->t_unix_ms
               ? MCX_OK
               : MCX_REFUSE(why, MCX_R_NOT_NEWER, "T", t_at,
                            "TS 33.303 6.2.4.4");
}

/* The later of two activation times holds. */
static void
put_off(struct mcx_key_msg *km, int64_t unix_ms)
{
    int64_t s = unix_ms / 1000 + (unix_ms % 1000 > 0);

    if (unix_ms <= 0 || s <= km->params.activation_unix) {
        return;
    }
    if (!km->params.present) {
        km->params.present = true;
        km->params.status = 1;
    }
    km->params.activation_unix = s;
}

static mcx_err
keep(struct mcx_gktp_done *out, struct mcx_key_msg *km,
     const struct mcx_gktp *gktp, const struct mcx_gktp_how *how,
     struct mcx_why *why)
{
    const char *group = gktp->group[0] ? gktp->group : how->group;
    struct mcx_key *keys[MCX_GROUPS_MAX];
    size_t i, n = 0;
    mcx_err err;

    if (km->params.n_groups == 0 && (!group || !*group)) {
        return MCX_REFUSE(why, MCX_R_KEY_PARAMS, "EXT", 0,
                          "TS 33.180 E.6.3");
    }
    put_off(km, gktp->activation_unix_ms);
    err = mcx_keys_stage_group(how->keys, km, how->impu, group, keys, &n,
                               why);
    if (err != MCX_OK) {
        return err;
    }
    /* What is new about the key has been staged. */
    (void)mcx_keys_supersede(how->keys, km->kind, km->key_id,
                             km->t_unix_ms);
    for (i = 0; i < n; i++) {
        err = err == MCX_OK ? mcx_key_commit(keys[i]) : err;
        mcx_key_unref(keys[i]);
    }
    out->n = n;
    return err;
}

static mcx_err
take(struct mcx_gktp_done *out, struct mcx_key_msg *km,
     const struct mcx_gktp *gktp, const struct mcx_gktp_how *how,
     struct mcx_why *why)
{
    struct mcx_mikey_msg msg;
    struct mcx_open open = { .env = how->env,
                             .ring = how->ring,
                             .replay = how->replay,
                             .self = how->self,
                             .from = how->gms,
                             .kinds = MCX_KIND_BIT(gktp->kind),
                             .window = MCX_WINDOW_KIND,
                             .peer = how->peer,
                             .resume = how->resume };
    bool revoked;
    mcx_err err;

    MCX_TRY(mcx_mikey_parse(&msg, gktp->mikey, why));
    err = mcx_mikey_open(km, &msg, &open, why);
    revoked = err == MCX_E_EXPIRED && km->params.present;
    if (err != MCX_OK && !revoked) {
        return err;
    }
    out->kind = km->kind;
    out->key_id = km->key_id;
    out->id_differs = !mcx_gktp_names(gktp->id, km->key_id);
    MCX_TRY(check_newer(how, km, msg.t_at, why));
    if (revoked) {
        out->revoked = true;
        out->n = mcx_keys_revoke(how->keys, km->kind, km->key_id);
        return MCX_OK;
    }
    return keep(out, km, gktp, how, why);
}

mcx_err
mcx_gktp_take(struct mcx_gktp_done *out, const struct mcx_gktp *gktp,
              const struct mcx_gktp_how *how, struct mcx_why *why)
{
    static const struct mcx_gktp_done none;
    MCX_SECRET(mcx_key_msg, km);
    mcx_err err;

    *out = none;
    if (!how->env || !how->ring || !how->keys || !how->self || !how->gms
        || (gktp->kind != MCX_KIND_GMK && gktp->kind != MCX_KIND_MKFC)) {
        return MCX_E_ARG;
    }
    if (gktp->err != MCX_OK) {
        return MCX_REFUSE(why,
                          gktp->err == MCX_E_TOOBIG ? MCX_R_TOO_LARGE
                                                    : MCX_R_ENCODING,
                          "GKTP", 0, "TS 24.481 7.7");
    }
    err = take(out, &km, gktp, how, why);
    if (err != MCX_OK) {
        *out = none;
    }
    if (how->replay && mcx_err_class(err) == MCX_CLASS_WORLD) {
        mcx_replay_park(how->replay, km.digest); /* may come again */
    }
    return err;
}
