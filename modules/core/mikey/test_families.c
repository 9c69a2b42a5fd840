/* test_families.c -- for each kind of key: properties over random messages,
 * and the families of neighbours that must be refused: every prefix, every
 * field one off, every payload missing, doubled, swapped.
 *
 * Payloads are moved about under a new signature and a GSK's new MAC, so it is
 * the shape that decides.  An SPK comes by hand: test_hand.c. */
#include <config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mac.h"
#include "pl.h"
#include "test_world.h"

/* What a full message of each kind has beside its key. */
static const struct form {
    unsigned kind;
    bool groups;   /* group IDs among the key parameters */
    bool hide;     /* both identities as UIDs            */
    bool in_clear; /* key parameters in form B           */
    bool sign;     /* a GSK: the talker signs            */
} forms[] = {
    { MCX_KIND_GMK, true, false, false, false },
    { MCX_KIND_GMK, true, true, true, false },
    { MCX_KIND_PCK, false, false, false, false },
    { MCX_KIND_PCK, false, true, false, false },
    { MCX_KIND_CSK, false, false, false, false },
    { MCX_KIND_MKFC, true, false, false, false },
    { MCX_KIND_MSCCK, false, false, false, false },
    { MCX_KIND_MUSIK, true, false, false, false },
    { MCX_KIND_GSK, false, false, false, false },
    { MCX_KIND_GSK, false, false, false, true },
};
enum { N_FORMS = sizeof forms / sizeof forms[0], RANDOM_MESSAGES = 20000,
       GSK_MAC = 20 /* of the HMAC-SHA-1 that a talker uses */ };

static const struct mcx_ssv gmk = { "GMK of 16 octets" };

static mcx_err
find(void *arg, uint32_t id, bool only, struct mcx_ssv *out)
{
    (void)arg;
    if (only || id != 0x01234567) {
        return MCX_E_NO_KEY;
    }
    *out = gmk;
    return MCX_OK;
}

/* A full message of its form, ALICE to BOB: SP, key parameters,
 * SAKKE-to-self. */
static struct mcx_bytes
full(uint8_t buf[ROOM], const struct form *f, struct mcx_key_msg *km)
{
    static struct mcx_key_params kp;
    struct mcx_gsk_build talk = { .env = &w.te.env, .gmk = &gmk,
                                  .gmk_id = 0x01234567,
                                  .ring = f->sign ? w.ring : NULL,
                                  .from = f->sign ? ALICE : NULL };
    struct mcx_build how = plan(f->kind, ALICE, BOB);
    size_t n = ROOM;

    rewind_clock();
    if (f->kind == MCX_KIND_GSK) {
        assert_int_equal(mcx_gsk_build(buf, &n, km, &talk, NULL), MCX_OK);
        return mcx_bytes(buf, n);
    }
    memset(&kp, 0, sizeof kp);
    kp.status = 1;
    kp.expiry_unix = now_ms / 1000 + 86400;
    memcpy(kp.text, "t", 2);
    if (f->groups) {
        kp.n_groups = 2;
        memcpy(kp.group[0], "sip:fire@t", 11);
        memcpy(kp.group[1], "sip:water@t", 12);
    }
    how.params = &kp;
    how.params_form = f->in_clear ? MCX_PARAMS_FORM_B : MCX_PARAMS_FORM_A;
    how.hide_initiator = how.hide_responder = f->hide;
    how.sakke_to_self = true;
    how.peer = MCX_PEER_REL13_MAP | MCX_PEER_SDP_IDS;
    return build(buf, &how, km);
}

static mcx_err
take(struct mcx_key_msg *km, struct mcx_bytes b, const struct form *f,
     struct mcx_why *why)
{
    static struct mcx_mikey_msg m;
    struct mcx_gsk_open hear = { .env = &w.te.env, .gmk = find,
                                 .ring = w.ring, .from = ALICE,
                                 .want_sign = f->sign };
    struct mcx_open o = rules(BOB, ALICE);
    mcx_err err = mcx_mikey_parse(&m, b, why);

    if (err != MCX_OK) {
        return err;
    }
    o.kinds = MCX_KIND_BIT(f->kind);
    o.peer = f->in_clear ? MCX_PEER_REL13_PARAMS : 0;
    return f->kind == MCX_KIND_GSK ? mcx_gsk_open(km, &m, &hear, why)
                                   : mcx_mikey_open(km, &m, &o, why);
}

static void
is_refused(struct mcx_bytes b, const struct form *f)
{
    static const struct mcx_key_msg zero;
    static struct mcx_key_msg km;
    struct mcx_why why = { 0 };

    memset(&km, 0x55, sizeof km);
    assert_int_not_equal(take(&km, b, f, &why), MCX_OK);
    assert_true(why.reason != MCX_R_NONE && why.payload && why.clause);
    assert_true(why.offset <= b.n);
    if (mcx_reason_err(why.reason) != MCX_E_NO_PERIOD
        && why.reason != MCX_R_REVOKED) {
        /* A failed parse never reached '*km'. */
        assert_true(memcmp(&km, &zero, sizeof km) == 0
                    || ((uint8_t *)&km)[0] == 0x55);
    }
}

static void
prefixes(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    size_t i, n;

    (void)state;
    for (i = 0; i < N_FORMS; i++) {
        struct mcx_bytes b = full(buf, &forms[i], NULL);

        assert_int_equal(take(&km, b, &forms[i], NULL), MCX_OK);
        for (n = 0; n < b.n; n++) {
            is_refused(mcx_bytes(buf, n), &forms[i]);
        }
        buf[b.n] = 0;
        is_refused(mcx_bytes(buf, b.n + 1), &forms[i]);
    }
}

/* The fields of a message, as describe() sees them. */
static size_t field_at[256], field_n[256], n_fields;

static void
each_field(void *arg, const struct mcx_field *f)
{
    (void)arg;
    if (f->size > 0 && n_fields < 256) {
        field_at[n_fields] = f->at;
        field_n[n_fields++] = f->size;
    }
}

static void
fields(void **state)
{
    static struct mcx_key_msg km;
    static uint8_t buf[ROOM];
    size_t i, j, v, n = 0;

    (void)state;
    for (i = 0; i < N_FORMS; i++) {
        struct mcx_bytes b = full(buf, &forms[i], NULL);

        n_fields = 0;
        assert_int_equal(mcx_mikey_describe(b, each_field, NULL, NULL),
                         MCX_OK);
        assert_true(n_fields > 25);
        for (j = 0; j < n_fields; j++) {
            for (v = 0; v < 4; v++) { /* last octet, first; +1, -1 */
                size_t at = field_at[j] + (v & 1 ? 0 : field_n[j] - 1);
                uint8_t was = buf[at];

                buf[at] = (uint8_t)(v & 2 ? was - 1 : was + 1);
                is_refused(b, &forms[i]);
                buf[at] = was;
                n++;
            }
        }
        assert_int_equal(take(&km, b, &forms[i], NULL), MCX_OK);
    }
    print_message("%zu fields one off\n", n);
}

/* Under a good signature, as of a peer that errs: refused, or the very key
 * that was sent. */
static void
fields_of_a_peer(void **state)
{
    static struct mcx_key_msg km, sent;
    static uint8_t buf[ROOM];
    size_t i, j, n = 0, opened = 0;

    (void)state;
    for (i = 0; i < N_FORMS; i++) {
        struct mcx_bytes b = full(buf, &forms[i], &sent);

        if (forms[i].kind == MCX_KIND_GSK) {
            continue; /* its MAC is what signs */
        }
        n_fields = 0;
        assert_int_equal(mcx_mikey_describe(b, each_field, NULL, NULL),
                         MCX_OK);
        for (j = 0; j + 1 < n_fields; j++) { /* the last is the signature */
            size_t at = field_at[j] + field_n[j] - 1;
            uint8_t was = buf[at];
            struct mcx_why why = { 0 };

            buf[at]++;
            resign(buf, b.n, ALICE);
            n++;
            if (take(&km, b, &forms[i], &why) == MCX_OK) {
                assert_memory_equal(km.key.b, sent.key.b, sizeof km.key.b);
                opened++;
            } else {
                assert_int_not_equal(why.reason, MCX_R_NONE);
                assert_true(why.offset <= b.n);
            }
            buf[at] = was;
        }
    }
    print_message("%zu fields of a peer, %zu opened\n", n, opened);
    assert_true(opened > 0 && opened < n / 2);
}

/* The message of those payloads of 'm' that 'order' lists, under a new MAC
 * and a new signature. */
static struct mcx_bytes
made(uint8_t *out, const struct mcx_mikey_msg *m, const size_t *order,
     size_t n_order, const struct form *f)
{
    size_t n = test_rechain(out, m, order, n_order), at = m->pl[0].size, i;

    for (i = 0; f->kind == MCX_KIND_GSK && i < n_order; i++) {
        const struct mcx_pl *pl = &m->pl[order[i]];

        at += pl->size;
        if (pl->type == MCX_PL_KEMAC) {
            uint8_t auth[GSK_MAC], mac[MCX_SHA256_SIZE];
            struct mcx_bytes covered = mcx_bytes(out, at - GSK_MAC);
            struct mcx_hmac *h = NULL;

            assert_int_equal(
                mcx_mikey_derive(auth, sizeof auth, m->prf,
                                 mcx_bytes(gmk.b, sizeof gmk.b),
                                 MCX_LABEL_PSK_AUTH, 0xff, m->csb_id,
                                 m->rand),
                MCX_OK);
            assert_int_equal(mcx_hmac_new(&h, MCX_HASH_SHA1), MCX_OK);
            assert_int_equal(mcx_hmac_run(h, mac, mcx_bytes(auth, GSK_MAC),
                                          &covered, 1),
                             MCX_OK);
            mcx_hmac_free(h);
            memcpy(out + at - GSK_MAC, mac, GSK_MAC);
        }
    }
    if (n_order && m->pl[order[n_order - 1]].type == MCX_PL_SIGN) {
        resign(out, n, ALICE);
    }
    return mcx_bytes(out, n);
}

/* May this payload be absent?  Then the message opens without it. */
static bool
optional(const struct mcx_mikey_msg *m, const struct mcx_pl *pl)
{
    if (pl->type == MCX_PL_IDR) { /* signalling names the initiator */
        return m->idr[MCX_ROLE_R].at != pl->at
               && m->idr[MCX_ROLE_UIDR].at != pl->at;
    }
    /* Without any SP the policy comes from outside MIKEY. */
    return pl->type == MCX_PL_EXT || pl->type == MCX_PL_SP;
}

static void
payloads(void **state)
{
    static struct mcx_mikey_msg m;
    static struct mcx_key_msg km, sent;
    static uint8_t buf[ROOM], out[2 * ROOM];
    size_t order[MCX_MIKEY_PL_MAX], i, j, k, n, n_gone = 0, n_moved = 0;

    (void)state;
    for (i = 0; i < N_FORMS; i++) {
        const struct form *f = &forms[i];
        struct mcx_bytes b = full(buf, f, &sent), c;

        assert_int_equal(mcx_mikey_parse(&m, b, NULL), MCX_OK);
        for (j = 1; j < m.n_pl; j++) {
            /* The signature, and before it a GSK's MAC, are where they are:
             * nothing may come behind either. */
            bool last = j + 1 == m.n_pl;
            bool fixed = m.pl[j].type == MCX_PL_KEMAC
                         || (!last && (m.pl[j + 1].type == MCX_PL_KEMAC
                                       || m.pl[j + 1].type == MCX_PL_SIGN));

            /* Missing. */
            for (k = 1, n = 0; k < m.n_pl; k++) {
                if (k != j) {
                    order[n++] = k;
                }
            }
            c = made(out, &m, order, n, f);
            if (optional(&m, &m.pl[j])) {
                assert_int_equal(take(&km, c, f, NULL), MCX_OK);
                assert_memory_equal(km.key.b, sent.key.b, 16);
            } else {
                is_refused(c, f);
            }
            n_gone++;
            /* Doubled. */
            for (k = 1, n = 0; k < m.n_pl; k++) {
                order[n++] = k;
                if (k == j) {
                    order[n++] = k;
                }
            }
            c = made(out, &m, order, n, f);
            if (m.pl[j].type == MCX_PL_ID) { /* IDi and IDr, the same */
                assert_int_equal(take(&km, c, f, NULL), MCX_OK);
                assert_memory_equal(km.key.b, sent.key.b, 16);
            } else {
                is_refused(c, f);
            }
            /* Swapped with the next: any order up to SIGN is legal. */
            if (last) {
                continue;
            }
            for (k = 1, n = 0; k < m.n_pl; k++) {
                order[n++] = k;
            }
            order[j - 1] = j + 1;
            order[j] = j;
            c = made(out, &m, order, n, f);
            if (fixed) {
                is_refused(c, f);
            } else {
                assert_int_equal(take(&km, c, f, NULL), MCX_OK);
                assert_memory_equal(km.key.b, sent.key.b, 16);
                n_moved++;
            }
        }
    }
    print_message("%zu payloads missing and doubled, %zu moved\n", n_gone,
                  n_moved);
}

/* ---- random messages --------------------------------------------------- */

static uint8_t pool[4096]; /* what the views of a random message show */

static uint32_t
rnd(uint32_t below)
{
    uint32_t r = 0;

    (void)w.te.env.random(w.te.env.ctx, &r, sizeof r);
    return r % below;
}

static struct mcx_bytes
octets(size_t min, size_t max)
{
    size_t n = min + rnd((uint32_t)(max - min + 1));

    return mcx_bytes(pool + rnd((uint32_t)(sizeof pool - n)), n);
}

static void
random_hdr(struct mcx_mikey_msg *m, unsigned data_type)
{
    size_t i;

    m->version = 1;
    m->data_type = (uint8_t)data_type;
    m->v = rnd(2);
    m->prf = (uint8_t)rnd(2);
    m->csb_id = rnd(UINT32_MAX);
    m->map_type = (uint8_t)rnd(3);
    m->n_cs = rnd(5);
    for (i = 0; i < m->n_cs; i++) {
        struct mcx_cs *cs = &m->cs[i];

        cs->cs_id = (uint8_t)(i + 1);
        if (m->map_type == MCX_MAP_SRTP_ID) {
            cs->policies = octets(1, 1);
            cs->ssrc = rnd(3);
            cs->has_ssrc = cs->ssrc != 0;
            cs->roc = rnd(UINT32_MAX);
        } else if (m->map_type == MCX_MAP_GENERIC_ID) {
            cs->cs_id = (uint8_t)(200 - i);
            cs->policies = octets(0, 9);
            cs->has_seq = rnd(2);
            cs->has_ssrc = cs->has_seq || rnd(2);
            cs->ssrc = cs->has_ssrc ? rnd(UINT32_MAX) : 0;
            cs->roc = cs->has_seq ? rnd(UINT32_MAX) : 0;
            cs->seq = (uint16_t)(cs->has_seq ? rnd(65536) : 0);
            cs->spi = octets(0, 255);
        }
    }
}

static void
random_idr(struct mcx_mikey_msg *m, unsigned role)
{
    bool uid = role == MCX_ROLE_UIDI || role == MCX_ROLE_UIDR;

    m->idr[role] = (struct mcx_idr){
        .at = mcx_pl_add(m, MCX_PL_IDR),
        .role = (uint8_t)role,
        .id_type = (uint8_t)rnd(3),
        .data = octets(uid ? MCX_UID_SIZE : 1, uid ? MCX_UID_SIZE : 60),
    };
}

static void
random_msg(struct mcx_mikey_msg *m)
{
    static const unsigned types[] = { MCX_DT_SAKKE, MCX_DT_PSK_INIT,
                                      MCX_DT_PSK_RESP };
    static const uint8_t no_params[1];
    unsigned dt = types[rnd(3)], role;
    uint32_t n;

    memset(m, 0, sizeof *m);
    random_hdr(m, dt);
    (void)mcx_pl_add(m, MCX_PL_LAST);
    m->t_type = (uint8_t)rnd(dt == MCX_DT_SAKKE ? 2 : 4);
    m->t = (uint64_t)rnd(UINT32_MAX) << 32
           | (m->t_type < 2 ? rnd(UINT32_MAX) : 0);
    m->t = m->t_type == 2 ? m->t >> 32 : m->t;
    (void)mcx_pl_add(m, MCX_PL_T);
    if (dt != MCX_DT_PSK_RESP) {
        m->rand = octets(16, 255);
        (void)mcx_pl_add(m, MCX_PL_RAND);
    }
    for (role = 1; role < MCX_ROLE_COUNT; role++) {
        if (rnd(2)) {
            random_idr(m, role);
        }
    }
    for (n = rnd(3); m->n_id < n; m->n_id++) {
        m->id[m->n_id] = (struct mcx_idr){ .at = mcx_pl_add(m, MCX_PL_ID),
                                           .id_type = (uint8_t)rnd(3),
                                           .data = octets(0, 40) };
    }
    for (n = dt == MCX_DT_PSK_RESP ? 0 : rnd(4); m->n_sp < n; m->n_sp++) {
        /* Another protocol's parameters are anything; SRTP's none here. */
        bool srtp = rnd(2);

        m->sp[m->n_sp] = (struct mcx_sp){
            .at = mcx_pl_add(m, MCX_PL_SP),
            .policy_no = (uint8_t)(m->n_sp + 7 * rnd(4) * 4),
            .prot = (uint8_t)(srtp ? 0 : 1 + rnd(255)),
            .params = srtp ? mcx_bytes(no_params, 0) : octets(0, 99),
        };
    }
    for (n = rnd(5); m->n_ext < n; m->n_ext++) {
        m->ext[m->n_ext] = (struct mcx_ext){
            .at = mcx_pl_add(m, MCX_PL_EXT),
            .type = (uint8_t)(m->n_ext < 1 ? rnd(256) : 100 + rnd(100)),
            .data = octets(0, 300) };
    }
    if (dt == MCX_DT_SAKKE) {
        m->sakke = (struct mcx_sakke_pl){ .params = 1,
                                          .scheme = (uint8_t)(1 + rnd(2)),
                                          .data = octets(273, 273) };
        m->sakke.at = mcx_pl_add(m, MCX_PL_SAKKE);
    } else {
        m->kemac.mac_alg = (uint8_t)rnd(3);
        m->kemac.mac = octets(mcx_pl_mac_size(m->kemac.mac_alg),
                              mcx_pl_mac_size(m->kemac.mac_alg));
        if (dt == MCX_DT_PSK_INIT) {
            m->kemac.encr_alg = (uint8_t)rnd(4);
            m->kemac.encr = octets(0, 200);
        }
        m->kemac.at = mcx_pl_add(m, dt == MCX_DT_PSK_INIT ? MCX_PL_KEMAC
                                                          : MCX_PL_V);
    }
    if (dt == MCX_DT_SAKKE || (dt == MCX_DT_PSK_INIT && rnd(2))) {
        m->sign_at = mcx_pl_add(m, MCX_PL_SIGN);
        m->sign = octets(129, 129);
    }
}

static void
same_octets(struct mcx_bytes a, struct mcx_bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n) {
        assert_memory_equal(a.p, b.p, a.n);
    }
}

/* What was read is what was written, field by field. */
static void
same_msg(const struct mcx_mikey_msg *a, const struct mcx_mikey_msg *b)
{
    size_t i;

    assert_true(a->data_type == b->data_type && a->v == b->v
                && a->prf == b->prf && a->csb_id == b->csb_id
                && a->map_type == b->map_type && a->n_cs == b->n_cs
                && a->t == b->t && a->t_type == b->t_type
                && a->n_sp == b->n_sp && a->n_ext == b->n_ext
                && a->n_id == b->n_id && a->n_pl == b->n_pl);
    for (i = 0; i < a->n_cs; i++) {
        assert_true(a->cs[i].cs_id == b->cs[i].cs_id
                    && a->cs[i].ssrc == b->cs[i].ssrc
                    && a->cs[i].roc == b->cs[i].roc
                    && a->cs[i].seq == b->cs[i].seq
                    && a->cs[i].has_ssrc == b->cs[i].has_ssrc
                    && a->cs[i].has_seq == b->cs[i].has_seq);
        same_octets(a->cs[i].policies, b->cs[i].policies);
        same_octets(a->cs[i].spi, b->cs[i].spi);
    }
    same_octets(a->rand, b->rand);
    for (i = 1; i < MCX_ROLE_COUNT; i++) {
        assert_int_equal(a->idr[i].at != 0, b->idr[i].at != 0);
        same_octets(a->idr[i].data, b->idr[i].data);
    }
    for (i = 0; i < a->n_id; i++) {
        same_octets(a->id[i].data, b->id[i].data);
    }
    for (i = 0; i < a->n_sp; i++) {
        assert_int_equal(a->sp[i].policy_no, b->sp[i].policy_no);
        same_octets(a->sp[i].params, b->sp[i].params);
    }
    for (i = 0; i < a->n_ext; i++) {
        assert_int_equal(a->ext[i].type, b->ext[i].type);
        same_octets(a->ext[i].data, b->ext[i].data);
    }
    same_octets(a->sakke.data, b->sakke.data);
    assert_int_equal(a->kemac.encr_alg, b->kemac.encr_alg);
    same_octets(a->kemac.encr, b->kemac.encr);
    same_octets(a->kemac.mac, b->kemac.mac);
    same_octets(a->sign, b->sign);
}

/* read(write(x)) = x and write(read(b)) = b. */
static void
properties(void **state)
{
    static struct mcx_mikey_msg m, r;
    static uint8_t buf[65536], again[65536];
    size_t i, n_read = 0;

    (void)state;
    (void)w.te.env.random(w.te.env.ctx, pool, sizeof pool);
    for (i = 0; i < RANDOM_MESSAGES; i++) {
        struct mcx_wr wr = mcx_wr(buf, sizeof buf);
        struct mcx_wr wr2 = mcx_wr(again, sizeof again);
        struct mcx_why why = { 0 };

        random_msg(&m);
        assert_int_equal(mcx_pl_write_all(&wr, &m), MCX_OK);
        if (mcx_mikey_parse(&r, mcx_bytes(buf, wr.at), &why) != MCX_OK) {
            /* Random policy numbers: the only thing that may not fit. */
            assert_true(why.reason == MCX_R_MAP
                        || why.reason == MCX_R_PAYLOAD_DUP);
            continue;
        }
        n_read++;
        same_msg(&m, &r);
        assert_int_equal(mcx_pl_write_all(&wr2, &r), MCX_OK);
        same_octets(mcx_bytes(again, wr2.at), mcx_bytes(buf, wr.at));
        /* A random octet changed: refused, or written as it was read. */
        buf[rnd((uint32_t)wr.at)] ^= (uint8_t)(1 + rnd(255));
        if (mcx_mikey_parse(&r, mcx_bytes(buf, wr.at), NULL) == MCX_OK) {
            wr2 = mcx_wr(again, sizeof again);
            assert_int_equal(mcx_pl_write_all(&wr2, &r), MCX_OK);
            same_octets(mcx_bytes(again, wr2.at), mcx_bytes(buf, wr.at));
        }
    }
    print_message("%zu random messages, %zu read back\n", i, n_read);
    assert_true(n_read > RANDOM_MESSAGES / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test(fields),
        cmocka_unit_test(fields_of_a_peer),
        cmocka_unit_test(payloads),
        cmocka_unit_test(properties),
    };

    return cmocka_run_group_tests_name("mikey-families", tests, world_up,
                                       world_down);
}
