/* p256.c -- see p256.h. */
#include <config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_secret.h>
#include "hash.h"
#include "p256.h"
#include "shared.h"

const uint8_t mcx_p256_p[MCX_P256_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};
const uint8_t mcx_p256_q[MCX_P256_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
    0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51
};
const uint8_t mcx_p256_g[MCX_ECCSI_PT_SIZE] = {
    0x04,
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47,
    0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0,
    0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b,
    0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce,
    0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

/* ---- the generator's tables -------------------------------------------- */

enum { G_W = 8, G_SLOW_W = 6 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool ready;
static struct mcx_p256 made;
static _Alignas(64) uint8_t g_room[MCX_P256_TABLE_SIZE(G_W, 1)];
static _Alignas(64) uint8_t g_slow_room[MCX_P256_TABLE_SIZE(G_SLOW_W, 1)];

/* Any numbers, one with long runs. */
static const uint8_t *
test_scalar(uint8_t k[MCX_P256_SIZE], int i)
{
    memcpy(k, mcx_p256_g + 1 + i % 2 * MCX_P256_SIZE, MCX_P256_SIZE);
    if (i == 2) {
        memcpy(k, mcx_p256_q, MCX_P256_SIZE);
        k[MCX_P256_SIZE - 1]--;
    }
    return k;
}

/* [1/(k l + l)]([k]G + G) by every way there is: it is [1/l]G. */
static bool
same(const struct mcx_p256_ops *ops, const struct mcx_p256_table *g,
     const struct mcx_p256_table *g_slow, int i)
{
    const struct mcx_p256_ops *ref = &mcx_p256_portable;
    uint8_t k[MCX_P256_SIZE], m[MCX_P256_SIZE], l[MCX_P256_SIZE];
    uint8_t a[2][MCX_ECCSI_PT_SIZE];
    struct mcx_p256_jac sum = { .z = { 0 } };
    struct mcx_p256_point point;
    struct mcx_p256_term by_table = { g, NULL, k };
    struct mcx_p256_term by_point = { NULL, &point, m };

    (void)test_scalar(k, i);
    (void)test_scalar(l, i + 1);
    ops->muladd_q(m, l, k, l);
    ops->inv_q(m, m);
    ref->base_mul(a[0], g_slow, k);
    ops->base_mul(a[1], g_slow, k);
    if (!mcx_secret_eq(a[0], a[1], sizeof a[0]) || !ops->read(&point, a[1])) {
        return false;
    }
    ops->sum(&sum, &by_table, 1);
    if (!ops->x_is(&sum, a[0] + 1) || !ops->read(&point, mcx_p256_g)) {
        return false;
    }
    ops->add(&sum, &point);
    if (!ops->affine(&point, &sum)) {
        return false;
    }
    memset(&sum, 0, sizeof sum);
    ops->sum(&sum, &by_point, 1);
    ref->inv_q(l, l);
    ref->base_mul(a[0], g_slow, l);
    return ops->write(a[1], &sum) && mcx_secret_eq(a[0], a[1], sizeof a[0]);
}

bool
mcx_p256_agree(const struct mcx_p256_ops *ops,
               const struct mcx_p256_table *g,
               const struct mcx_p256_table *g_slow)
{
    return same(ops, g, g_slow, 0) && same(ops, g, g_slow, 1);
}

static void
make_tables(const struct mcx_p256_ops *ops)
{
    struct mcx_p256_table *g = (struct mcx_p256_table *)g_room;
    struct mcx_p256_table *g_slow = (struct mcx_p256_table *)g_slow_room;
    struct mcx_p256_point a;

    made.ops = ops;
    made.g = g;
    made.g_slow = g_slow;
    (void)ops->read(&a, mcx_p256_g);
    g->w = G_W;
    g->v = g_slow->v = 1;
    g_slow->w = G_SLOW_W;
    ops->table(g, &a);
    ops->table(g_slow, &a);
}

#ifdef MCX_HAVE_X86
/* Eight different multiples of G by the lanes, against the portable ones. */
static bool
lanes_agree(void)
{
    const struct mcx_p256_ops *ref = &mcx_p256_portable;
    struct mcx_p256_jac r[MCX_P256_LANES];
    const struct mcx_p256_point *a[MCX_P256_LANES];
    const uint8_t *k[MCX_P256_LANES];
    uint8_t scalar[MCX_P256_LANES][MCX_P256_SIZE];
    struct mcx_p256_point g;
    int i;

    (void)ref->read(&g, mcx_p256_g);
    for (i = 0; i < MCX_P256_LANES; i++) {
        a[i] = &g;
        k[i] = test_scalar(scalar[i], i % 3);
        scalar[i][8] ^= (uint8_t)i;
    }
    if (mcx_p256_lanes_mul(r, a, k) != (1u << MCX_P256_LANES) - 1) {
        return false;
    }
    for (i = 0; i < MCX_P256_LANES; i++) {
        uint8_t want[MCX_ECCSI_PT_SIZE], have[MCX_ECCSI_PT_SIZE];

        ref->base_mul(want, made.g_slow, k[i]);
        if (!ref->write(have, &r[i])
            || !mcx_secret_eq(want, have, sizeof want)) {
            return false;
        }
    }
    return true;
}
#endif

static void
make(void)
{
    const struct mcx_p256_ops *ops = &mcx_p256_portable;

#ifdef MCX_HAVE_X86
    if (strcmp(mcx_ops()->name, "ifma") == 0) {
        ops = &mcx_p256_ifma;
    } else if (strcmp(mcx_ops()->name, ops->name) != 0) {
        ops = &mcx_p256_adx;
    }
#endif
    make_tables(ops);
    if (ops != &mcx_p256_portable
        && !mcx_p256_agree(ops, made.g, made.g_slow)) {
        mcx_log(mcx_env_system(), MCX_AREA_IDENT, 1,
                "ECCSI: back-end %s fails its self-test, portable runs",
                ops->name);
        make_tables(&mcx_p256_portable);
    }
#ifdef MCX_HAVE_X86
    if (made.ops == &mcx_p256_ifma) {
        made.lanes = lanes_agree();
        if (!made.lanes) {
            mcx_log(mcx_env_system(), MCX_AREA_IDENT, 1,
                    "ECCSI: the lanes of ifma fail their self-test, none "
                    "are used");
        }
    }
#endif
}

const struct mcx_p256 *
mcx_p256(void)
{
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        (void)pthread_mutex_lock(&lock);
        if (!atomic_load_explicit(&ready, memory_order_relaxed)) {
            make();
            atomic_store_explicit(&ready, true, memory_order_release);
        }
        (void)pthread_mutex_unlock(&lock);
    }
    return &made;
}

struct mcx_p256_table *
mcx_p256_table_new(const struct mcx_p256_point *a, int w, int v)
{
    struct mcx_p256_table *t = mcx_big_new(MCX_P256_TABLE_SIZE(w, v));

    if (t) {
        t->w = w;
        t->v = v;
        mcx_p256()->ops->table(t, a);
    }
    return t;
}

__attribute__((noinline)) void
mcx_p256_burn(void)
{
    uint8_t room[12 * 1024]; /* the lanes go 9 KiB deep */

    mcx_wipe(room, sizeof room);
}

/* ---- the hashes -------------------------------------------------------- */

mcx_err
mcx_eccsi_hs(uint8_t hs[MCX_P256_SIZE], const uint8_t kpak[MCX_ECCSI_PT_SIZE],
             struct mcx_bytes id, const uint8_t pvt[MCX_ECCSI_PT_SIZE])
{
    struct mcx_bytes part[4] = { { mcx_p256_g, sizeof mcx_p256_g },
                                 { kpak, MCX_ECCSI_PT_SIZE },
                                 id,
                                 { pvt, MCX_ECCSI_PT_SIZE } };

    return mcx_sha256(hs, part, 4);
}

mcx_err
mcx_eccsi_he(uint8_t he[MCX_P256_SIZE], const uint8_t hs[MCX_P256_SIZE],
             const uint8_t r[MCX_P256_SIZE], struct mcx_bytes msg)
{
    struct mcx_bytes part[3] = { { hs, MCX_P256_SIZE },
                                 { r, MCX_P256_SIZE },
                                 msg };

    return mcx_sha256(he, part, 3);
}
