/* shared.c -- see shared.h. */
#include <config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_secret.h>
#include "shared.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mcx_shared made;
static _Atomic(const struct mcx_shared *) ready;

/* The address malloc() gave lies just before the block. */
void *
mcx_big_new(size_t n)
{
    uint8_t *raw = malloc(n + 64 + sizeof raw), *p;

    if (!raw) {
        return NULL;
    }
    p = raw + sizeof raw;
    p += (64 - (uintptr_t)p % 64) % 64;
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

void
mcx_big_free(void *p)
{
    void *raw;

    if (p) {
        memcpy(&raw, (uint8_t *)p - sizeof raw, sizeof raw);
        free(raw);
    }
}

/* Both ways of opening many agree, at one place of the batch. */
static bool
batch_agrees(const struct mcx_ops *ops, const void *lines, const uint8_t *r,
             const uint8_t w[8 * MCX_W], void *work)
{
    uint8_t v[MCX_BATCH][8 * MCX_W];
    bool on_curve[MCX_BATCH], defined[MCX_BATCH];
    const uint8_t *all[MCX_BATCH] = { [MCX_BATCH - 3] = r };

    if (!ops->pair_many) {
        return true;
    }
    ops->pair_many(v, on_curve, defined, lines, all, work);
    return mcx_secret_eq(v[MCX_BATCH - 3], w, sizeof v[0]);
}

/* (-s, sc), of order 4: y^2 = x(x^2 - 3) = 6s = -3c^2 = (sc)^2. */
static void
order_4(uint8_t pt[MCX_PT])
{
    uint64_t w[MCX_W];

    pt[0] = 0x04;
    (void)mcx_w_sub(w, mcx_w_p, mcx_w_s);
    mcx_w_write(pt + 1, w);
    mcx_w_montmul(w, mcx_w_s, mcx_w_c, mcx_w_p, mcx_w_p_k);
    mcx_w_montmul(w, w, mcx_w_p_r2, mcx_w_p, mcx_w_p_k);
    mcx_w_write(pt + 1 + 8 * MCX_W, w);
}

/* The check of an RSK: with Z = [k]P and 'lines' those of Z and, for want of
 * others, in P's place too, K = [1/k(l + 1)]P passes and no other. */
static bool
check_agrees(const struct mcx_ops *ops, const struct mcx_point_table *p,
             const void *lines, const uint64_t k[MCX_W],
             const uint64_t l[MCX_W], const uint8_t other[MCX_PT])
{
    static const uint64_t one[MCX_W] = { 1 };
    uint64_t n[MCX_W];
    uint8_t key[MCX_PT], four[MCX_PT];

    order_4(four);
    mcx_w_reduce(n, mcx_w_add(n, l, one), mcx_w_q);
    mcx_w_mul_q(n, n, k);
    mcx_w_inv(n, n, mcx_w_q, mcx_w_q_k);
    return ops->mul(key, p, n, NULL, NULL, NULL, NULL, NULL)
           && ops->gives_g(lines, lines, l, key)
           && !ops->gives_g(lines, lines, l, other)
           && ops->order_q(key) && ops->order_q(other)
           && ops->is_point(four) && !ops->order_q(four);
}

/* <[k]P, [l]P> = g^(kl), the points and the power by 'ops', the pairing by
 * both: a wrong product anywhere breaks it. */
bool
mcx_ops_agree(const struct mcx_ops *ops, const struct mcx_point_table *p,
              const struct mcx_g_table *g, void *lines, void *work)
{
    const struct mcx_ops *ref = &mcx_ops_portable;
    uint64_t k[MCX_W], l[MCX_W], kl[MCX_W];
    uint8_t kp[MCX_PT], lp[MCX_PT], klp[MCX_PT];
    uint8_t w[8 * MCX_W], v[8 * MCX_W];
    bool defined;

    /* Any numbers: Px and Py read as scalars. */
    mcx_w_mod_q(k, mcx_w_px);
    mcx_w_mod_q(l, mcx_w_py);
    mcx_w_mul_q(kl, k, l);
    if (!ops->mul(kp, p, k, NULL, NULL, NULL, NULL, NULL)
        || !ops->mul(lp, p, l, NULL, NULL, NULL, NULL, NULL)
        || !ops->mul(klp, p, kl, NULL, NULL, w, g, kl)
        || !ref->lines(lines, kp, work)
        || !ref->pair(v, &defined, lines, lp)
        || !mcx_secret_eq(v, w, sizeof v)
        || !ops->lines(lines, kp, work)
        || !ops->pair(v, &defined, lines, lp)
        || !mcx_secret_eq(v, w, sizeof v)
        || !check_agrees(ops, p, lines, k, l, lp)
        || !batch_agrees(ops, lines, lp, w, work)
        || !ops->mul_is(klp, p, kl) || ops->mul_is(klp, p, k)) {
        return false;
    }
    return ref->is_point(klp) && ops->is_point(klp);
}

static const uint8_t *
p_octets(uint8_t pt[MCX_PT])
{
    pt[0] = 0x04;
    mcx_w_write(pt + 1, mcx_w_px);
    mcx_w_write(pt + 1 + 8 * MCX_W, mcx_w_py);
    return pt;
}

static bool
fill(struct mcx_shared *sh, void *work)
{
    uint8_t pt[MCX_PT];
    const struct mcx_ops *ref = &mcx_ops_portable;
    void *lines;
    bool same = true;

    sh->ops = mcx_ops();
    sh->ops->table(sh->p, p_octets(pt), work);
    sh->ops->g_table(sh->g, work);
    if (sh->ops == ref) {
        return true;
    }
    lines = mcx_big_new(sh->ops->lines_size > ref->lines_size
                            ? sh->ops->lines_size : ref->lines_size);
    if (!lines) {
        return false;
    }
    same = mcx_ops_agree(sh->ops, sh->p, sh->g, lines, work);
    mcx_big_free(lines);
    if (!same) {
        mcx_log(mcx_env_system(), MCX_AREA_IDENT, 1,
                "SAKKE: back-end %s fails its self-test, portable runs",
                sh->ops->name);
        mcx_ops_fall_back();
        sh->ops = ref;
        ref->table(sh->p, p_octets(pt), work);
        ref->g_table(sh->g, work);
    }
    return true;
}

static const struct mcx_shared *
make(void)
{
    void *work = mcx_big_new(MCX_WORK_SIZE);
    bool ok = false;

    made.p = mcx_big_new(sizeof *made.p);
    made.g = mcx_big_new(sizeof *made.g);
    if (work && made.p && made.g) {
        ok = fill(&made, work);
    }
    mcx_big_free(work);
    if (!ok) {
        mcx_big_free(made.p);
        mcx_big_free(made.g);
        return NULL;
    }
    return &made;
}

const struct mcx_shared *
mcx_shared(void)
{
    const struct mcx_shared *sh =
        atomic_load_explicit(&ready, memory_order_acquire);

    if (!sh) {
        (void)pthread_mutex_lock(&lock);
        sh = atomic_load_explicit(&ready, memory_order_relaxed);
        if (!sh) {
            sh = make();
            atomic_store_explicit(&ready, sh, memory_order_release);
        }
        (void)pthread_mutex_unlock(&lock);
    }
    return sh;
}

struct mcx_point_table *
mcx_table_new(const struct mcx_shared *sh, const uint8_t a[MCX_PT])
{
    struct mcx_point_table *t = mcx_big_new(sizeof *t);
    void *work = mcx_big_new(MCX_WORK_SIZE);

    if (t && work) {
        sh->ops->table(t, a, work);
    } else {
        mcx_big_free(t);
        t = NULL;
    }
    mcx_big_free(work);
    return t;
}

const void *
mcx_lines_once(_Atomic(void *) *slot, const uint8_t k[MCX_PT], bool secret)
{
    const struct mcx_shared *sh = mcx_shared();
    void *lines = atomic_load_explicit(slot, memory_order_acquire);
    void *none = NULL, *work;

    if (lines || !sh) {
        return lines;
    }
    lines = secret ? mcx_guard_new(sh->ops->lines_size)
                   : mcx_big_new(sh->ops->lines_size);
    work = secret ? mcx_guard_new(MCX_WORK_SIZE) : mcx_big_new(MCX_WORK_SIZE);
    if (!lines || !work || !sh->ops->lines(lines, k, work)) {
        secret ? mcx_guard_free(lines) : mcx_big_free(lines);
        lines = NULL;
    } else if (!atomic_compare_exchange_strong(slot, &none, lines)) {
        secret ? mcx_guard_free(lines) : mcx_big_free(lines);
        lines = none; /* another thread's */
    }
    secret ? mcx_guard_free(work) : mcx_big_free(work);
    return lines;
}

const void *
mcx_p_lines(void)
{
    static _Atomic(void *) slot;
    uint8_t pt[MCX_PT];

    return mcx_lines_once(&slot, p_octets(pt), false);
}
