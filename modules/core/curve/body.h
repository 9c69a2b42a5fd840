/* body.h -- SAKKE's operations over one field back-end; included once by each
 * be_<name>.c after field/fp_<name>.h, with BE_NAME defined.  See ops.h.
 *
 * E: y^2 = x^3 - 3x.  Three pictures of it are used:
 * - Jacobian, C = (X/Z^2, Y/Z^3), to walk over the multiples of RSK; a step
 *   that is not defined makes Z zero, and zero stays zero until the end.
 * - affine, for the lines.
 * - Edwards, -x^2 + y^2 = 1 + x^2 y^2, extended coordinates with T = XY/Z, for
 *   everything that comes from tables.  x = c X/Y, y = (X - s)/(X + s) where
 *   s^2 = -3, c^2 = -2s.  Its addition is complete on the points of odd order,
 *   the only ones that tables are made of; infinity is (0, 1). */
#include <stdbool.h>
#include <sofia-mcx/mcx_secret.h>
#include "../field/public.h"
#include "ops.h"

enum { GROUP = 128, CHUNK = 16, ENTRIES = 16, N_STEPS = MCX_NAF_LEN - 1 };

#ifndef FE2_OWN
struct fe2 { fe re, im; };
#endif

/* What the calls below left on the stack goes with this one. */
static __attribute__((noinline)) void
burn(void)
{
    uint8_t room[16384];

    mcx_wipe(room, sizeof room);
}

/* The same for frames with many vectors that are spilled. */
static __attribute__((noinline)) void
burn_deep(void)
{
    uint8_t room[(LANES > 1 ? 48 : 16) * 1024];

    mcx_wipe(room, sizeof room);
}

static void
fe_word(fe *r, const uint64_t *w)
{
    fe_from_w(r, w);
}

static void
fe_one(fe *r)
{
    static const uint64_t one[MCX_W] = { 1 };

    fe_from_w(r, one);
}

static void
fe_inv(fe *r, const fe *a)
{
    uint64_t w[MCX_W];

    fe_to_w(w, a);
    mcx_w_inv(w, w, mcx_w_p, mcx_w_p_k);
    fe_from_w(r, w);
    mcx_wipe(w, sizeof w);
}

static void
fe_triple(fe *r, const fe *a)
{
    fe t;

    fe_add(&t, a, a);
    fe_add(r, &t, a);
}

static void
fe_neg(fe *r, const fe *a)
{
    static const fe zero;

    fe_sub(r, &zero, a);
}

static void
fv_all(fv *r, const fe *a)
{
    int i;

    for (i = 0; i < LANES; i++) {
        fv_set(r, i, a);
    }
}

/* Each lane inverted, by one inversion. */
static void
fv_inv(fv *r, const fv *a)
{
    fe v[LANES], before[LANES], acc, t;
    int i;

    for (i = 0; i < LANES; i++) {
        fv_get(&v[i], a, i);
        before[i] = v[i];
        if (i > 0) {
            fe_mul(&before[i], &before[i - 1], &v[i]);
        }
    }
    fe_inv(&acc, &before[LANES - 1]);
    for (i = LANES - 1; i > 0; i--) {
        fe_mul(&t, &acc, &before[i - 1]);
        fe_mul(&acc, &acc, &v[i]);
        fv_set(r, i, &t);
    }
    fv_set(r, 0, &acc);
    mcx_wipe(v, sizeof v);
    mcx_wipe(before, sizeof before);
}

/* a_i = 1/a_i for 'n' vectors, by one inversion; 'work' holds n more. */
static void
fv_inv_many(fv *a, int n, fv *work)
{
    fv acc, t;
    int i;

    work[0] = a[0];
    for (i = 1; i < n; i++) {
        fv_mul(&work[i], &work[i - 1], &a[i]);
    }
    fv_inv(&acc, &work[n - 1]);
    for (i = n - 1; i > 0; i--) {
        fv_mul(&t, &acc, &work[i - 1]);
        fv_mul(&acc, &acc, &a[i]);
        a[i] = t;
    }
    a[0] = acc;
    mcx_wipe(&acc, sizeof acc);
}

/* ---- points in octets -------------------------------------------------- */

struct affine { fe x, y; };

/* SPEC RFC 6508 4: uncompressed, coordinates below p; on the curve; and not
 * (0,0), the one point with x = 0, which no legal point is. */
static bool
point_read(struct affine *r, const uint8_t b[MCX_PT])
{
    uint64_t w[2][MCX_W], t[MCX_W];
    uint64_t below;
    fe one, u, v;
    bool on;

    mcx_w_read(w[0], b + 1);
    mcx_w_read(w[1], b + 1 + 8 * MCX_W);
    below = mcx_w_sub(t, w[0], mcx_w_p) & mcx_w_sub(t, w[1], mcx_w_p);
    MCX_PUBLIC(&below, sizeof below);
    MCX_PUBLIC(b, 1);
    if (b[0] != 0x04 || !below) {
        return false;
    }
    fe_from_w(&r->x, w[0]);
    fe_from_w(&r->y, w[1]);
    fe_one(&one);
    fe_triple(&one, &one);
    fe_sqr(&u, &r->x);
    fe_sub(&u, &u, &one);
    fe_mul(&u, &u, &r->x); /* x (x^2 - 3) */
    fe_sqr(&v, &r->y);
    fe_sub(&u, &u, &v);
    on = (fe_zero(&u) & ~mcx_w_zero(w[0])) != 0;
    MCX_PUBLIC(&on, sizeof on);
    mcx_wipe(w, sizeof w);
    mcx_wipe(t, sizeof t);
    mcx_wipe(&u, sizeof u);
    mcx_wipe(&v, sizeof v);
    return on;
}

static void
point_write(uint8_t b[MCX_PT], const fe *x, const fe *y)
{
    uint64_t w[MCX_W];

    b[0] = 0x04;
    fe_to_w(w, x);
    mcx_w_write(b + 1, w);
    fe_to_w(w, y);
    mcx_w_write(b + 1 + 8 * MCX_W, w);
    mcx_wipe(w, sizeof w);
}

static bool
be_is_point(const uint8_t a[MCX_PT])
{
    struct affine p;

    return point_read(&p, a);
}

/* The chord or tangent; public points. */
static bool
be_add(uint8_t r[MCX_PT], const uint8_t a[MCX_PT], const uint8_t b[MCX_PT])
{
    struct affine p, q;
    fe dx, dy, s, t;

    if (!point_read(&p, a) || !point_read(&q, b)) {
        return false;
    }
    fe_sub(&dx, &p.x, &q.x);
    fe_sub(&dy, &p.y, &q.y);
    if (fe_zero(&dx)) {
        if (!fe_zero(&dy) || fe_zero(&p.y)) {
            return false;
        }
        fe_one(&t);
        fe_sqr(&s, &p.x);
        fe_sub(&s, &s, &t);
        fe_triple(&dy, &s); /* 3(x^2 - 1) / 2y */
        fe_add(&dx, &p.y, &p.y);
    }
    fe_inv(&dx, &dx);
    fe_mul(&dy, &dy, &dx);
    fe_sqr(&s, &dy);
    fe_sub(&s, &s, &p.x);
    fe_sub(&s, &s, &q.x);
    fe_sub(&t, &p.x, &s);
    fe_mul(&t, &t, &dy);
    fe_sub(&t, &t, &p.y);
    point_write(r, &s, &t);
    return true;
}

/* ---- the walk to [q - 1]K ---------------------------------------------- */

struct jacobian { fe x, y, z, zz; };

/* C = 2C: M = 3(X - ZZ)(X + ZZ), S = 4XY^2, X3 = M^2 - 2S,
 * Y3 = M(S - X3) - 8Y^4, Z3 = 2YZ; the tangent's slope is M/Z3. */
static void
walk_double(struct jacobian *c, fe *slope)
{
    fe m, t, s, yy;

    fe_sub(&m, &c->x, &c->zz);
    fe_add(&t, &c->x, &c->zz);
    fe_mul2(&m, &m, &t, &yy, &c->y, &c->y);
    fe_triple(&m, &m);
    fe_add(&yy, &yy, &yy);                 /* 2Y^2      */
    fe_mul2(&s, &c->x, &yy, &c->z, &c->y, &c->z);
    fe_add(&s, &s, &s);                    /* S         */
    fe_add(&c->z, &c->z, &c->z);
    fe_mul2(&c->x, &m, &m, &yy, &yy, &yy); /* .., 4Y^4  */
    fe_sub(&c->x, &c->x, &s);
    fe_sub(&c->x, &c->x, &s);
    fe_sub(&s, &s, &c->x);
    fe_mul2(&s, &s, &m, &c->zz, &c->z, &c->z);
    fe_add(&yy, &yy, &yy);
    fe_sub(&c->y, &s, &yy);
    *slope = m;
}

/* C = C + (x, y): H = x ZZ - X, W = y Z^3 - Y, X3 = W^2 - H^3 - 2XH^2,
 * Y3 = W(XH^2 - X3) - YH^3, Z3 = ZH. */
static void
walk_add(struct jacobian *c, const fe *x, const fe *y)
{
    fe h, w, hh, t;

    fe_mul2(&h, x, &c->zz, &w, &c->zz, &c->z);
    fe_sub(&h, &h, &c->x);
    fe_mul2(&w, &w, y, &hh, &h, &h);
    fe_sub(&w, &w, &c->y);
    fe_mul2(&c->z, &c->z, &h, &h, &hh, &h); /* h = H^3 */
    fe_mul2(&hh, &hh, &c->x, &c->y, &c->y, &h);
    fe_mul2(&t, &w, &w, &c->zz, &c->z, &c->z);
    fe_sub(&t, &t, &h);
    fe_sub(&t, &t, &hh);
    fe_sub(&c->x, &t, &hh);
    fe_sub(&hh, &hh, &c->x);
    fe_mul(&hh, &hh, &w);
    fe_sub(&c->y, &hh, &c->y);
}

/* K itself, -y, and where the walk stands. */
struct walk { struct affine k; fe neg_y; struct jacobian c; };

static void
walk_start(struct walk *w, const struct affine *k)
{
    w->k = *k;
    fe_neg(&w->neg_y, &k->y);
    w->c.x = k->x;
    w->c.y = k->y;
    fe_one(&w->c.z);
    fe_one(&w->c.zz);
}

static int
digit_of(int step)
{
    return mcx_naf[N_STEPS - 1 - step];
}

static void
walk_step(struct walk *w, int step)
{
    fe slope;

    walk_double(&w->c, &slope);
    if (digit_of(step) != 0) { /* a constant of the curve */
        walk_add(&w->c, &w->k.x, digit_of(step) > 0 ? &w->k.y : &w->neg_y);
    }
}

/* [q - 1]K = -K and defined all the way: then K has order q. */
static bool
walk_closed(const struct walk *w)
{
    uint64_t bad;
    fe t, u;

    fe_mul(&t, &w->k.x, &w->c.zz);
    fe_sub(&t, &t, &w->c.x);
    fe_mul(&u, &w->c.zz, &w->c.z);
    fe_mul(&u, &u, &w->neg_y);
    fe_sub(&u, &u, &w->c.y);
    bad = ~(fe_zero(&t) & fe_zero(&u)) | fe_zero(&w->c.z);
    MCX_PUBLIC(&bad, sizeof bad);
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&u, sizeof u);
    return bad == 0;
}

/* ---- order q ------------------------------------------------------------ */

/* r = a^q: for q = (p + 1)/4 a square root of a where a is a square, else one
 * of -a.  The windows are q's, which is no secret. */
static void
fe_root(fe *r, const fe *a)
{
    fe odd[16], t, aa;
    int i, bit = 8 * (int)sizeof mcx_w_q - 1;

#define Q_BIT(n) ((mcx_w_q[(n) / 64] >> ((n) % 64)) & 1)
    odd[0] = *a;
    fe_sqr(&aa, a);
    for (i = 1; i < 16; i++) {
        fe_mul(&odd[i], &odd[i - 1], &aa);
    }
    while (!Q_BIT(bit)) {
        bit--;
    }
    fe_one(&t);
    while (bit >= 0) {
        int low = bit > 4 ? bit - 4 : 0, value = 0;

        if (!Q_BIT(bit)) {
            fe_sqr(&t, &t);
            bit--;
            continue;
        }
        while (!Q_BIT(low)) {
            low++;
        }
        for (; bit >= low; bit--) {
            value = 2 * value + (int)Q_BIT(bit);
            fe_sqr(&t, &t);
        }
        fe_mul(&t, &t, &odd[value / 2]);
    }
    *r = t;
    mcx_wipe(odd, sizeof odd);
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&aa, sizeof aa);
}

/* Ones when a = b. */
static uint64_t
fe_same(const fe *a, const fe *b)
{
    uint64_t same;
    fe t;

    fe_sub(&t, a, b);
    same = fe_zero(&t);
    mcx_wipe(&t, sizeof t);
    return same;
}

/* Halving instead of [q]K.  (0,0) is the only point of order 2, x^2 - 3 having
 * no root (3 is no square), so E(F_p) is cyclic, of order p + 1 = 4q, and the
 * points of order q are [4]E(F_p).
 *
 * Let f: E -> E', (x, y) -> (y^2/x^2, y(-3 - x^2)/x^2), be the 2-isogeny with
 * the kernel {O, (0,0)}, E': Y^2 = X(X^2 + 12), and f' its dual,
 * (X, Y) -> (Y^2/4X^2, ..): f'f = [2].  The image of E'(F_p) in E(F_p) has
 * index 2, both having 4q points and f' a rational kernel of two, so it is
 * [2]E(F_p); and by 2-descent (x, y) is in it just when x is a square.  So:
 * 1. K = (x, y) is in [2]E just when x = s^2.
 * 2. Then x(f'(X, Y)) = x means X^2 - 4xX + 12 = 0, X = 2(x +- y/s) =
 *    U/s^2 with U = 2(x^2 +- ys).  The two U have the product 12x^2, no
 *    square, so one U is a square u^2, and that (X, Y) = f(H) is the one
 *    whose halves are points of E(F_p): [2]H = K, where X = (y_H/x_H)^2 gives
 *    x_H = U/2s^2 + u or the same with -u, which is H + (0,0).
 * 3. K is in [4]E just when H is in [2]E ((0,0) is in [2]E): when x_H, hence
 *    2 s^2 x_H times 2, that is 2u(u + 2x), is a square.
 * If U = 2(x^2 + ys) is a square, its root u = U^q is a square too, 2 is none
 * (p = 3 mod 8), so u + 2x must be no square.  Else U^q = u has u^2 = -U,
 * the other U is -12x^2/u^2 = (2nx/u)^2 for n^2 = -3, and 2u(u + 2x) of that
 * root is 2n(n + u) times the square (2x/u)^2; with the n of the Edwards form,
 * for which -2n is a square, n + u must be no square.
 * Neither u + 2x nor n + u is 0: then x_H were 0, and [2]H = K = O. */
static bool
is_fourfold(const struct affine *k)
{
    uint64_t half, plus, quarter, w[2][MCX_W];
    fe s, t, u, v;
    bool ok;

    fe_root(&s, &k->x);
    fe_sqr(&t, &s);
    half = fe_same(&t, &k->x);
    fe_sqr(&t, &k->x);
    fe_mul(&u, &k->y, &s);
    fe_add(&t, &t, &u);
    fe_add(&t, &t, &t); /* U */
    fe_root(&u, &t);
    fe_sqr(&v, &u);
    plus = fe_same(&v, &t);
    fe_word(&v, mcx_w_s);
    fe_add(&v, &v, &u);
    fe_add(&t, &k->x, &k->x);
    fe_add(&t, &t, &u);
    fe_to_w(w[0], &v);
    fe_to_w(w[1], &t);
    mcx_w_select(w[0], w[1], plus);
    fe_word(&t, w[0]);
    fe_root(&v, &t);
    fe_sqr(&v, &v);
    fe_add(&v, &v, &t);
    quarter = fe_zero(&v) & ~fe_zero(&t);
    ok = (half & quarter) != 0;
    MCX_PUBLIC(&ok, sizeof ok);
    mcx_wipe(w, sizeof w);
    mcx_wipe(&s, sizeof s);
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&u, sizeof u);
    mcx_wipe(&v, sizeof v);
    return ok;
}

static bool
be_order_q(const uint8_t a[MCX_PT])
{
    struct affine k;
    bool ok = point_read(&k, a) && is_fourfold(&k);

    mcx_wipe(&k, sizeof k);
    burn();
    return ok;
}

/* ---- lines ------------------------------------------------------------- */

/* The Miller loop goes in blocks of one or two steps, by the digits d of
 * q - 1:
 *   BARE   0 0   C to 4C
 *   SUM    0 d   C to 4C + dK
 *   SHORT  d     C to 2C + dK
 * A block squares the value once for each step and multiplies it by one
 * function, the product of all lines of the block over all verticals, which
 * is A(x) + y B(x); in X = x - Dx where D is the point before the last
 * doubling, 2C or (SHORT) C, with slopes m of the tangent at C and n at D,
 * e = 3Dx + mn, s = m + n:
 *   l = Y + Dy - mX, of divisor 2(C) + (-D) - 3(O)
 *   h = Y - Dy - nX + tX^2, of divisor 2(D) + (dK) + .. - 4(O), where
 *   t = (k - n)/(Dx - Kx) for the chord's slope k; 0 in BARE
 *   l^2 h / X^2:  A = t X^3 + (t(m^2 + 3Dx) - m - s) X^2
 *                     + (Dy (1 + 2t(n - m)) - em - 3Dx s) X
 *                     + Dy (e + 2t Dy - s(m + 2n)),
 *                 B = (1 - 2tm) X + e + sm + 2t Dy
 * (BARE, SUM), and h alone in SHORT.  Division by B's leading coefficient
 * drops an element of F_p only, which PF_p does not see.  So does division by
 * y when the function is evaluated at [i]R = (-x, i y): it gives
 * A(-x)/y + i B(-x), and the table has the coefficients of
 *   x^2/y, x/y, 1/y and B's constant (BARE), x^3/y before them (SUM),
 *   x^2/y, x/y, 1/y (SHORT, B = 1).
 * The last step, a 0 alone, doubles to -K: its tangent goes through K, so
 * that it is a SHORT one whose t comes out as 0.
 *
 * Blocks come in groups of up to GROUP steps; in a group those of one kind
 * fill vectors, so that lanes are neighbours of one kind. */
enum kind { BARE, SUM, SHORT, KINDS };
static const int coefs_of[KINDS] = { 4, 5, 3 };

enum { BLOCKS = 80 }; /* in a group: up to 71, that is */
struct group {
    int n, steps;
    uint8_t kind[BLOCKS], two[BLOCKS];
    int8_t digit[BLOCKS];
    int lane[BLOCKS];              /* in the vectors of the group         */
    int count[KINDS];              /* blocks of each kind                 */
    int first[KINDS + 1];          /* their vectors: first[k].. (last end) */
    uint8_t block[KINDS][BLOCKS];  /* which they are                      */
};

static void
group_of(struct group *g, int first)
{
    int i, k, at = first, end = first + GROUP;

    memset(g, 0, sizeof *g);
    end = end < N_STEPS ? end : N_STEPS;
    while (at < end && g->n < BLOCKS) {
        int d = digit_of(at);
        bool two = d == 0 && at + 1 < N_STEPS;

        if (two && at + 1 == end) {
            break; /* the next group's */
        }
        d = two ? digit_of(at + 1) : d;
        k = !two ? SHORT : d ? SUM : BARE;
        g->kind[g->n] = (uint8_t)k;
        g->two[g->n] = two;
        g->digit[g->n] = (int8_t)d;
        g->block[k][g->count[k]++] = (uint8_t)g->n++;
        at += two ? 2 : 1;
    }
    g->steps = at - first;
    for (k = 0; k < KINDS; k++) {
        g->first[k + 1] = g->first[k] + (g->count[k] + LANES - 1) / LANES;
        for (i = 0; i < g->count[k]; i++) {
            g->lane[g->block[k][i]] = LANES * g->first[k] + i;
        }
    }
}

/* Vectors of all blocks: what the digits of q - 1 come to. */
enum { LINE_VECTORS = LANES == 8 ? 335 : 2395 };
_Static_assert(LANES == 8 || LANES == 1, "LINE_VECTORS");

/* Working space of one group; the vectors are in the order of the table. */
enum { GROUP_V = BLOCKS / LANES + KINDS };
struct line_work {
    fv x[GROUP_V], y[GROUP_V], z[GROUP_V]; /* D, then affine in x, y */
    fv m[GROUP_V];                         /* mZ, then m               */
    fv n[GROUP_V], t[GROUP_V];
    fv ky[GROUP_V];                        /* of dK                    */
    fv inv[GROUP_V], tmp[GROUP_V];
};
_Static_assert(sizeof(struct line_work) <= MCX_WORK_SIZE, "working space");

static void
record(struct line_work *lw, int at, const struct jacobian *d,
       const fe *slope)
{
    fv_set(&lw->x[at / LANES], at % LANES, &d->x);
    fv_set(&lw->y[at / LANES], at % LANES, &d->y);
    fv_set(&lw->z[at / LANES], at % LANES, &d->z);
    fv_set(&lw->m[at / LANES], at % LANES, slope);
}

/* The steps of a group walked, D of each block recorded.  Lanes that no
 * block fills repeat the last one, so that every inversion is of something. */
static void
record_group(struct line_work *lw, const struct group *g, struct walk *w,
             int first)
{
    uint64_t neg[GROUP_V * LANES] = { 0 };
    int i, at, end, step = first;
    fe slope;
    fv ky;

    fe_one(&slope); /* SHORT blocks have no use for it */
    for (i = 0; i < g->n; i++) {
        int k = g->kind[i];

        if (g->two[i]) {
            walk_double(&w->c, &slope);
            step++;
        }
        end = g->block[k][g->count[k] - 1] == i ? LANES * g->first[k + 1]
                                                : g->lane[i] + 1;
        for (at = g->lane[i]; at < end; at++) {
            record(lw, at, &w->c, &slope);
            neg[at] = mcx_mask(g->digit[i] < 0);
        }
        walk_step(w, step++);
    }
    mcx_wipe(&slope, sizeof slope);
    fv_all(&ky, &w->k.y);
    for (i = 0; i < g->first[KINDS]; i++) {
        lw->ky[i] = ky;
        fv_neg_if(&lw->ky[i], neg + LANES * i);
    }
    mcx_wipe(&ky, sizeof ky);
}

/* n, m, and D affine, by one inversion of 2YZ. */
static void
tangents(struct line_work *lw, int n)
{
    fv t, u;
    int i;

    for (i = 0; i < n; i++) {
        fv_add(&t, &lw->y[i], &lw->y[i]);
        fv_mul(&lw->inv[i], &t, &lw->z[i]);
    }
    fv_inv_many(lw->inv, n, lw->tmp);
    for (i = 0; i < n; i++) {
        fv_mul(&t, &lw->z[i], &lw->z[i]);
        fv_sub(&u, &lw->x[i], &t);
        fv_add(&t, &lw->x[i], &t);
        fv_mul(&t, &t, &u);
        fv_add(&u, &t, &t);
        fv_add(&u, &u, &t);
        fv_mul(&lw->n[i], &u, &lw->inv[i]); /* 3(X^2 - Z^4)/2YZ */
        fv_add(&t, &lw->y[i], &lw->y[i]);
        fv_mul(&u, &t, &lw->inv[i]);        /* 1/Z */
        fv_mul(&lw->m[i], &lw->m[i], &u);
        fv_mul(&t, &u, &u);
        fv_mul(&lw->x[i], &lw->x[i], &t);
        fv_mul(&t, &t, &u);
        fv_mul(&lw->y[i], &lw->y[i], &t);
    }
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&u, sizeof u);
}

/* t where K is added, by one inversion of Dx - Kx. */
static void
chords(struct line_work *lw, const struct group *g, const fv *kx)
{
    int first = g->first[SUM], n = g->first[KINDS] - first, i;
    fv u;

    for (i = 0; i < n; i++) {
        fv_sub(&lw->inv[i], &lw->x[first + i], kx);
    }
    fv_inv_many(lw->inv, n, lw->tmp);
    for (i = 0; i < n; i++) {
        fv_sub(&u, &lw->y[first + i], &lw->ky[first + i]);
        fv_mul(&u, &u, &lw->inv[i]);
        fv_sub(&u, &u, &lw->n[first + i]);
        fv_mul(&lw->t[first + i], &u, &lw->inv[i]);
    }
    mcx_wipe(&u, sizeof u);
}

/* 1/(1 - 2tm) for the SUM blocks, in inv. */
static void
leading(struct line_work *lw, const struct group *g, const fv *one)
{
    int sums = g->first[SUM], n = g->first[SHORT] - sums, i;
    fv t;

    for (i = 0; i < n; i++) {
        fv_mul(&t, &lw->t[sums + i], &lw->m[sums + i]);
        fv_add(&t, &t, &t);
        fv_sub(&lw->inv[i], one, &t);
    }
    fv_inv_many(lw->inv, n, lw->tmp);
    mcx_wipe(&t, sizeof t);
}

/* c: A's coefficients of X^2, X, 1 and B's of 1, with t = 0 for NULL. */
static void
coefs_in_x(fv c[4], const fv *x, const fv *y, const fv *m, const fv *n,
           const fv *t, const fv *one)
{
    static const fv zero;
    fv s, e, x3, u, v, ty2 = zero;

    fv_add(&s, m, n);
    fv_add(&x3, x, x);
    fv_add(&x3, &x3, x);
    fv_mul(&e, m, n);
    fv_add(&e, &e, &x3);
    u = zero;
    v = *y;
    if (t) {
        fv_mul(&u, m, m);
        fv_add(&u, &u, &x3);
        fv_mul(&u, &u, t);
        fv_sub(&v, n, m);
        fv_mul(&v, &v, t);
        fv_add(&v, &v, &v);
        fv_add(&v, &v, one);
        fv_mul(&v, &v, y);
        fv_mul(&ty2, t, y);
        fv_add(&ty2, &ty2, &ty2);
    }
    fv_sub(&u, &u, &s);
    fv_sub(&c[0], &u, m);
    fv_mul(&u, &e, m);
    fv_mul(&x3, &x3, &s);
    fv_add(&u, &u, &x3);
    fv_sub(&c[1], &v, &u);
    fv_add(&e, &e, &ty2);
    fv_add(&u, n, n);
    fv_add(&u, &u, m);
    fv_mul(&u, &u, &s);
    fv_sub(&u, &e, &u);
    fv_mul(&c[2], &u, y);
    fv_mul(&u, &s, m);
    fv_add(&c[3], &e, &u);
    mcx_wipe(&s, sizeof s);
    mcx_wipe(&e, sizeof e);
    mcx_wipe(&u, sizeof u);
    mcx_wipe(&v, sizeof v);
    mcx_wipe(&x3, sizeof x3);
    mcx_wipe(&ty2, sizeof ty2);
}

/* X = -(u + Dx) put in, u being R's x: the polynomials in u. */
static void
line_bare(fv *out, const struct line_work *lw, int i, const fv *one)
{
    const fv *x = &lw->x[i];
    fv c[4], t;

    coefs_in_x(c, x, &lw->y[i], &lw->m[i], &lw->n[i], NULL, one);
    fv_shrink(&c[0]);
    fv_shrink(&c[1]);
    out[0] = c[0];
    fv_mul(&t, &c[0], x);
    fv_sub(&c[0], &t, &c[1]);
    fv_add(&out[1], &c[0], &t);
    fv_mul(&t, &c[0], x);
    fv_add(&out[2], &t, &c[2]);
    fv_sub(&out[3], &c[3], x);
    mcx_wipe(c, sizeof c);
    mcx_wipe(&t, sizeof t);
}

static void
line_sum(fv *out, const struct line_work *lw, int i, const fv *by,
         const fv *one)
{
    static const fv zero;
    const fv *x = &lw->x[i];
    fv c[4], c3, t, u;
    int j;

    coefs_in_x(c, x, &lw->y[i], &lw->m[i], &lw->n[i], &lw->t[i], one);
    for (j = 0; j < 4; j++) {
        fv_mul(&c[j], &c[j], by);
    }
    fv_mul(&c3, &lw->t[i], by);
    fv_sub(&out[0], &zero, &c3);
    fv_mul(&t, &c3, x);
    fv_add(&u, &t, &t);
    fv_add(&u, &u, &t);
    fv_sub(&out[1], &c[0], &u);
    fv_add(&out[2], &out[1], &c[0]); /* 2 c2 - 3 c3 Dx */
    fv_mul(&out[2], &out[2], x);
    fv_sub(&out[2], &out[2], &c[1]);
    fv_sub(&t, &c[0], &t);
    fv_mul(&t, &t, x);
    fv_sub(&t, &t, &c[1]);
    fv_mul(&t, &t, x);
    fv_add(&out[3], &t, &c[2]);
    fv_sub(&out[4], &c[3], x);
    mcx_wipe(c, sizeof c);
    mcx_wipe(&c3, sizeof c3);
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&u, sizeof u);
}

static void
line_short(fv *out, const struct line_work *lw, int i)
{
    fv t;

    out[0] = lw->t[i];
    fv_mul(&t, &lw->t[i], &lw->x[i]);
    fv_add(&out[1], &t, &lw->n[i]);
    fv_mul(&out[2], &out[1], &lw->x[i]);
    fv_sub(&out[2], &out[2], &lw->y[i]);
    fv_add(&out[1], &out[1], &t);
    mcx_wipe(&t, sizeof t);
}

/* The vectors of one group; returns where the next one's begin. */
static fv *
lines_of_group(fv *out, struct line_work *lw, const struct group *g,
               const struct walk *w)
{
    fv kx, one;
    int i, j, k;
    fe t;

    fv_all(&kx, &w->k.x);
    fe_one(&t);
    fv_all(&one, &t);
    tangents(lw, g->first[KINDS]);
    chords(lw, g, &kx);
    leading(lw, g, &one);
    for (k = 0; k < KINDS; k++) {
        for (i = g->first[k]; i < g->first[k + 1]; i++) {
            if (k == BARE) {
                line_bare(out, lw, i, &one);
            } else if (k == SUM) {
                line_sum(out, lw, i, &lw->inv[i - g->first[SUM]], &one);
            } else {
                line_short(out, lw, i);
            }
            for (j = 0; j < coefs_of[k]; j++) {
                fv_for_chain(&out[j]);
            }
            out += coefs_of[k];
        }
    }
    mcx_wipe(&kx, sizeof kx);
    return out;
}

static bool
be_lines(void *lines, const uint8_t k[MCX_PT], void *work)
{
    struct line_work *lw = work;
    fv *out = lines;
    struct affine a;
    struct walk w;
    struct group g;
    bool ok;
    int i;

    if (!point_read(&a, k)) {
        mcx_wipe(&a, sizeof a);
        return false;
    }
    walk_start(&w, &a);
    for (i = 0; i < N_STEPS; i += g.steps) {
        group_of(&g, i);
        record_group(lw, &g, &w, i);
        out = lines_of_group(out, lw, &g, &w);
    }
    ok = walk_closed(&w) && out - (fv *)lines == LINE_VECTORS;
    mcx_wipe(&a, sizeof a);
    mcx_wipe(&w, sizeof w);
    mcx_wipe(lw, sizeof *lw);
    burn();
    return ok;
}

/* ---- the pairing ------------------------------------------------------- */

#ifndef FE2_OWN
/* f = f^2 = (re + im)(re - im) + i 2 re im */
static inline void
fe2_sqr(struct fe2 *f)
{
    fe s, d;

    fe_add(&s, &f->re, &f->im);
    fe_sub(&d, &f->re, &f->im);
    fe_mul2(&f->re, &s, &d, &f->im, &f->re, &f->im);
    fe_add(&f->im, &f->im, &f->im);
}

/* f = f (a + i) */
static inline void
fe2_mul_line(struct fe2 *f, const fe *a)
{
    fe u, v;

    fe_mul2(&u, &f->re, a, &v, &f->im, a);
    fe_sub(&u, &u, &f->im);
    fe_add(&f->im, &v, &f->re);
    f->re = u;
}

#endif

#ifndef FE2_OWN
/* What a block multiplies by: a + i, or a + i b where it has two squarings; nb
 * is -b. */
struct fe2_factor { fe a, b, nb; };

/* The blocks of a group, one after the other. */
static void
fe2_blocks(struct fe2 *f, const struct fe2_factor *s, const uint8_t *two,
           int n)
{
    fe t;
    int i;

    for (i = 0; i < n; i++) {
        fe2_sqr(f);
        if (!two[i]) {
            fe2_mul_line(f, &s[i].a);
            continue;
        }
        fe2_sqr(f);
        fv_acc2(&t, &f->re, &s[i].a, &f->im, &s[i].nb);
        fv_acc2(&f->im, &f->re, &s[i].b, &f->im, &s[i].a);
        f->re = t;
    }
    mcx_wipe(&t, sizeof t);
}
#endif

/* R's x/y, 1/y, x^2/y, x^3/y; x in the chain's form; the blocks of a group
 * evaluated, and room for lanes that no block fills. */
struct miller {
    fv x, y, xx, xxx, xc;
    struct fe2_factor s[BLOCKS], spare;
    struct fe2 f;
};

static void
evaluate(struct miller *m, const fv *line, int kind,
         struct fe2_factor *const to[LANES])
{
    fe *a[LANES], *b[LANES], *nb[LANES];
    fv t;
    int j;

    for (j = 0; j < LANES; j++) {
        a[j] = &to[j]->a;
        b[j] = &to[j]->b;
        nb[j] = &to[j]->nb;
    }
    if (kind == SUM) {
        fv_acc4(&t, &line[0], &m->xxx, &line[1], &m->xx, &line[2], &m->x,
                &line[3], &m->y);
    } else {
        fv_acc3(&t, &line[0], &m->xx, &line[1], &m->x, &line[2], &m->y);
    }
    fv_chain(a, &t);
    if (kind != SHORT) {
        fv_sub(&t, &line[coefs_of[kind] - 1], &m->xc);
        fv_chain(b, &t);
        fv_sub(&t, &m->xc, &line[coefs_of[kind] - 1]);
        fv_chain(nb, &t);
    }
    mcx_wipe(&t, sizeof t);
}

static const fv *
miller_group(struct miller *m, const fv *line, const struct group *g)
{
    struct fe2_factor *to[LANES];
    int i, j, k;

    for (k = 0; k < KINDS; k++) {
        for (i = 0; i < g->count[k]; i += LANES) {
            for (j = 0; j < LANES; j++) {
                to[j] = i + j < g->count[k] ? &m->s[g->block[k][i + j]]
                                            : &m->spare;
            }
            evaluate(m, line, k, to);
            line += coefs_of[k];
        }
    }
    fe2_blocks(&m->f, m->s, g->two, g->n);
    return line;
}

/* Where the lines are to be evaluated: [i]R. */
static void
miller_at(struct miller *m, const struct affine *r)
{
    fe t;

    memset(&m->spare, 0, sizeof m->spare);
    fe_inv(&t, &r->y);
    fv_all(&m->y, &t);
    fe_mul(&t, &t, &r->x);
    fv_all(&m->x, &t);
    fe_mul(&t, &t, &r->x);
    fv_all(&m->xx, &t);
    fe_mul(&t, &t, &r->x);
    fv_all(&m->xxx, &t);
    fv_all(&m->xc, &r->x);
    fv_for_chain(&m->xc);
    mcx_wipe(&t, sizeof t);
}

/* The loop itself, in m->f. */
static void
miller(struct miller *m, const fv *line)
{
    struct group g;
    int i;

    fe_one(&m->f.re);
    memset(&m->f.im, 0, sizeof m->f.im);
    for (i = 0; i < N_STEPS; i += g.steps) {
        group_of(&g, i);
        line = miller_group(m, line, &g);
    }
}

/* w = im / re */
static bool
represent(uint8_t w[8 * MCX_W], const struct fe2 *f)
{
    bool legal = fe_zero(&f->re) == 0;
    uint64_t t[MCX_W];
    fe u;

    MCX_PUBLIC(&legal, sizeof legal);
    fe_inv(&u, &f->re);
    fe_mul(&u, &u, &f->im);
    fe_to_w(t, &u);
    mcx_w_write(w, t);
    mcx_wipe(t, sizeof t);
    mcx_wipe(&u, sizeof u);
    return legal;
}

static bool
be_pair(uint8_t w[8 * MCX_W], bool *defined, const void *lines,
        const uint8_t r[MCX_PT])
{
    struct miller m;
    struct affine p;

    mcx_wipe(w, 8 * MCX_W);
    *defined = false;
    if (!point_read(&p, r)) {
        return false;
    }
    miller_at(&m, &p);
    miller(&m, lines);
    fe2_sqr(&m.f); /* v^c, c = (p + 1)/q = 4 */
    fe2_sqr(&m.f);
    *defined = represent(w, &m.f);
    mcx_wipe(&m, sizeof m);
    burn();
    return true;
}

#if FV_LANES > 1
/* Up to LANES points at once, a lane for each.  The lines are evaluated for
 * one point after the other, in lanes of blocks as above, and turned: then
 * block j's a has a lane for each point.  What is in the chain's form is a
 * number of the lanes too, times one factor of F_p for a and b alike; where
 * b = 1 that factor takes its place. */
struct batch {
    fv x[LANES], y[LANES], xx[LANES], xxx[LANES]; /* as in struct miller */
    fv xc, one, minus_one;
    fv a[BLOCKS];
    const fv *b[BLOCKS]; /* the vector that has b's constant */
    fv re, im;
};

static void
batch_at(struct batch *m, const struct affine r[LANES])
{
    static const fv zero;
    fv y, x;
    fe t;
    int i;

    for (i = 0; i < LANES; i++) {
        fv_set(&y, i, &r[i].y);
        fv_set(&m->xc, i, &r[i].x);
    }
    fv_inv(&y, &y);
    fv_for_chain(&m->xc);
    for (i = 0; i < LANES; i++) {
        fv_get(&t, &y, i);
        fv_all(&m->y[i], &t);
        fe_mul(&t, &t, &r[i].x);
        fv_all(&m->x[i], &t);
        fv_all(&x, &r[i].x);
        fv_mul(&m->xx[i], &m->x[i], &x);
        fv_mul(&m->xxx[i], &m->xx[i], &x);
    }
    fe_one(&t);
    fv_all(&m->re, &t);
    m->one = m->re;
    fv_for_chain(&m->one);
    fv_sub(&m->minus_one, &zero, &m->one);
    memset(&m->im, 0, sizeof m->im);
}

/* re + i im squared: below 2p and 4p. */
static void
batch_sqr(struct batch *m)
{
    fv s, d;

    fv_add(&s, &m->re, &m->im);
    fv_sub(&d, &m->re, &m->im);
    fv_mul(&m->im, &m->re, &m->im);
    fv_add(&m->im, &m->im, &m->im);
    fv_mul(&m->re, &s, &d);
}

static const fv *
batch_group(struct batch *m, const fv *line, const struct group *g)
{
    fv t[LANES], b, nb;
    int i, j, k;

    for (k = 0; k < KINDS; k++) {
        for (i = 0; i < g->count[k]; i += LANES) {
            for (j = 0; j < LANES; j++) {
                if (k == SUM) {
                    fv_acc4(&t[j], &line[0], &m->xxx[j], &line[1], &m->xx[j],
                            &line[2], &m->x[j], &line[3], &m->y[j]);
                } else {
                    fv_acc3(&t[j], &line[0], &m->xx[j], &line[1], &m->x[j],
                            &line[2], &m->y[j]);
                }
            }
            fv_turn(t);
            for (j = 0; j < LANES && i + j < g->count[k]; j++) {
                m->a[g->block[k][i + j]] = t[j];
                m->b[g->block[k][i + j]] = &line[coefs_of[k] - 1];
            }
            line += coefs_of[k];
        }
    }
    for (i = 0; i < g->n; i++) {
        batch_sqr(m);
        b = m->one;
        nb = m->minus_one;
        if (g->two[i]) {
            batch_sqr(m);
            fv_spread(&b, m->b[i], g->lane[i] % LANES);
            fv_sub(&nb, &m->xc, &b);
            fv_sub(&b, &b, &m->xc);
        }
        fv_acc2(&t[0], &m->re, &m->a[i], &m->im, &nb);
        fv_acc2(&m->im, &m->re, &b, &m->im, &m->a[i]);
        m->re = t[0];
    }
    mcx_wipe(t, sizeof t);
    mcx_wipe(&b, sizeof b);
    mcx_wipe(&nb, sizeof nb);
    return line;
}

/* w = im / re, where re is not 0; one inversion for all, which a 0 must not
 * spoil. */
static void
batch_represent(uint8_t (*w)[8 * MCX_W], bool *defined, struct batch *m)
{
    uint64_t v[MCX_W];
    fe t;
    int i;

    for (i = 0; i < LANES; i++) {
        fv_get(&t, &m->re, i);
        defined[i] = fe_zero(&t) == 0;
        MCX_PUBLIC(&defined[i], sizeof defined[i]);
        if (!defined[i]) {
            fe_one(&t);
            fv_set(&m->re, i, &t);
        }
    }
    fv_inv(&m->re, &m->re);
    fv_mul(&m->im, &m->im, &m->re);
    for (i = 0; i < LANES; i++) {
        fv_get(&t, &m->im, i);
        fe_to_w(v, &t);
        mcx_w_write(w[i], v);
        if (!defined[i]) {
            mcx_wipe(w[i], 8 * MCX_W);
        }
    }
    mcx_wipe(v, sizeof v);
    mcx_wipe(&t, sizeof t);
}

static void
be_pair_many(uint8_t (*w)[8 * MCX_W], bool *on_curve, bool *defined,
             const void *lines, const uint8_t *const *r, void *work)
{
    struct batch *m = work;
    const fv *line = lines;
    struct affine p[LANES];
    struct group g;
    int i;

    for (i = 0; i < LANES; i++) {
        on_curve[i] = r[i] && point_read(&p[i], r[i]);
        if (!on_curve[i]) { /* any point, for the lane */
            fe_word(&p[i].x, mcx_w_px);
            fe_word(&p[i].y, mcx_w_py);
        }
    }
    batch_at(m, p);
    for (i = 0; i < N_STEPS; i += g.steps) {
        group_of(&g, i);
        line = batch_group(m, line, &g);
    }
    batch_sqr(m); /* as in be_pair() */
    batch_sqr(m);
    batch_represent(w, defined, m);
    for (i = 0; i < LANES; i++) {
        if (!on_curve[i]) {
            mcx_wipe(w[i], 8 * MCX_W);
            defined[i] = false;
        }
    }
    mcx_wipe(m, sizeof *m);
    burn();
}
_Static_assert(sizeof(struct batch) <= MCX_WORK_SIZE, "working space");
#else
#define be_pair_many NULL
#endif

/* r = r a */
static void
fe2_mul(struct fe2 *r, const struct fe2 *a)
{
    fe t, u, v, w;

    fe_mul2(&t, &r->re, &a->re, &u, &r->im, &a->im);
    fe_mul2(&v, &r->re, &a->im, &w, &r->im, &a->re);
    fe_sub(&r->re, &t, &u);
    fe_add(&r->im, &v, &w);
}

/* f = f^k for a public k > 0. */
static void
fe2_power(struct fe2 *f, const uint64_t k[MCX_W])
{
    struct fe2 of[16], r;
    int i, j, digit;
    bool any = false;

    of[1] = *f;
    for (i = 2; i < 16; i++) {
        of[i] = of[i - 1];
        fe2_mul(&of[i], f);
    }
    r = *f;
    for (i = 64 * MCX_W - 4; i >= 0; i -= 4) {
        digit = (int)(k[i / 64] >> (i % 64) & 15);
        for (j = 0; any && j < 4; j++) {
            fe2_sqr(&r);
        }
        if (digit != 0 && any) {
            fe2_mul(&r, &of[digit]);
        } else if (digit != 0) {
            r = of[digit];
            any = true;
        }
    }
    *f = r;
    mcx_wipe(of, sizeof of);
    mcx_wipe(&r, sizeof r);
}

/* <[a]P + Z, K> = <P, K>^a <Z, K>, which needs no lines of K; it is compared
 * in PF_p, where im/re = g says the same without a division. */
static bool
be_gives_g(const void *lines_p, const void *lines_z, const uint64_t a[MCX_W],
           const uint8_t k[MCX_PT])
{
    struct miller m;
    struct affine p;
    struct fe2 f;
    bool ok;
    fe g;

    if (!point_read(&p, k)) {
        return false;
    }
    miller_at(&m, &p);
    miller(&m, lines_p);
    f = m.f;
    fe2_power(&f, a);
    miller(&m, lines_z);
    fe2_mul(&m.f, &f);
    fe2_sqr(&m.f); /* as in be_pair() */
    fe2_sqr(&m.f);
    fe_word(&g, mcx_w_g);
    fe_mul(&g, &g, &m.f.re);
    ok = (fe_same(&g, &m.f.im) & ~fe_zero(&m.f.re)) != 0;
    MCX_PUBLIC(&ok, sizeof ok);
    mcx_wipe(&m, sizeof m);
    mcx_wipe(&p, sizeof p);
    mcx_wipe(&f, sizeof f);
    mcx_wipe(&g, sizeof g);
    burn();
    return ok;
}

/* ---- Edwards ----------------------------------------------------------- */

struct edwards { fv x, y, z, t; };
struct edwards1 { fe x, y, z, t; };

/* r = r + a: A = (Y1 - X1)(Y2 - X2), B = (Y1 + X1)(Y2 + X2), C = 2 T1 T2,
 * D = 2 Z1 Z2, E = B - A, F = D - C, G = D + C, H = B + A,
 * X = EF, Y = GH, T = EH, Z = FG. */
static void
ed_finish(struct edwards *r, fv *a, fv *b, fv *c, fv *d)
{
    fv e, f, g, h;

    fv_sub(&e, b, a);
    fv_add(&h, b, a);
    fv_sub(&f, d, c);
    fv_add(&g, d, c);
    fv_mul(&r->x, &e, &f);
    fv_mul(&r->y, &g, &h);
    fv_mul(&r->t, &e, &h);
    fv_mul(&r->z, &f, &g);
}

static void
ed_add(struct edwards *r, const struct edwards *q)
{
    fv a, b, c, d, u;

    fv_sub(&a, &r->y, &r->x);
    fv_sub(&u, &q->y, &q->x);
    fv_mul(&a, &a, &u);
    fv_add(&b, &r->y, &r->x);
    fv_add(&u, &q->y, &q->x);
    fv_mul(&b, &b, &u);
    fv_mul(&c, &r->t, &q->t);
    fv_add(&c, &c, &c);
    fv_mul(&d, &r->z, &q->z);
    fv_add(&d, &d, &d);
    ed_finish(r, &a, &b, &c, &d);
}

/* The same for an affine point. */
static void
ed_madd(struct edwards *r, const fv *x, const fv *y)
{
    fv a, b, c, d, u;

    fv_sub(&a, &r->y, &r->x);
    fv_sub(&u, y, x);
    fv_mul(&a, &a, &u);
    fv_add(&b, &r->y, &r->x);
    fv_add(&u, y, x);
    fv_mul(&b, &b, &u);
    fv_mul(&u, x, y);
    fv_mul(&c, &r->t, &u);
    fv_add(&c, &c, &c);
    fv_add(&d, &r->z, &r->z);
    ed_finish(r, &a, &b, &c, &d);
}

/* r = 2r: A = X^2, B = Y^2, C = 2Z^2, E = (X + Y)^2 - A - B = 2XY, G = B - A,
 * F = G - C, H = -A - B. */
static void
ed_double1(struct edwards1 *r)
{
    fe a, b, c, e, f, g, h;

    fe_mul2(&a, &r->x, &r->x, &b, &r->y, &r->y);
    fe_mul2(&c, &r->z, &r->z, &e, &r->x, &r->y);
    fe_add(&c, &c, &c);
    fe_add(&e, &e, &e);
    fe_sub(&g, &b, &a);
    fe_sub(&f, &g, &c);
    fe_add(&h, &a, &b);
    fe_neg(&h, &h);
    fe_mul2(&r->x, &e, &f, &r->y, &g, &h);
    fe_mul2(&r->t, &e, &h, &r->z, &f, &g);
}

/* ---- tables ------------------------------------------------------------ */

/* CHUNK windows at a time, LANES of them in a vector. */
enum { CHUNK_V = CHUNK / LANES * ENTRIES };
struct table_work {
    struct edwards e[CHUNK_V];
    fv inv[CHUNK_V], tmp[CHUNK_V];
};
_Static_assert(sizeof(struct table_work) <= MCX_WORK_SIZE, "working space");

/* The odd multiples of the points in a vector of windows. */
static void
odd_multiples(struct edwards e[ENTRIES])
{
    struct edwards twice = e[0];
    int i;

    ed_add(&twice, &e[0]);
    for (i = 1; i < ENTRIES; i++) {
        e[i] = e[i - 1];
        ed_add(&e[i], &twice);
    }
}

static void
table_chunk(struct mcx_point_table *t, struct edwards1 *a, int first,
            struct table_work *tw)
{
    int i, j, l;
    fv u;

    for (i = 0; i < CHUNK; i++) {
        struct edwards *e = &tw->e[i / LANES * ENTRIES];

        fv_set(&e->x, i % LANES, &a->x);
        fv_set(&e->y, i % LANES, &a->y);
        fv_set(&e->z, i % LANES, &a->z);
        fv_set(&e->t, i % LANES, &a->t);
        for (j = 0; j < 5; j++) {
            ed_double1(a);
        }
    }
    for (i = 0; i < CHUNK_V; i += ENTRIES) {
        odd_multiples(&tw->e[i]);
    }
    for (i = 0; i < CHUNK_V; i++) {
        tw->inv[i] = tw->e[i].z;
    }
    fv_inv_many(tw->inv, CHUNK_V, tw->tmp);
    for (i = 0; i < CHUNK_V; i++) {
        for (j = 0; j < 2; j++) {
            fv_mul(&u, j ? &tw->e[i].y : &tw->e[i].x, &tw->inv[i]);
            for (l = 0; l < LANES; l++) {
                fv_store(t->e[first + i / ENTRIES * LANES + l]
                             [i % ENTRIES][j], &u, l);
            }
        }
    }
}

static void
be_table(struct mcx_point_table *t, const uint8_t a[MCX_PT], void *work)
{
    struct edwards1 e;
    struct affine p;
    fe c, s, u, v;
    int i;

    if (!point_read(&p, a)) { /* the caller's mistake: nothing comes of it */
        memset(t, 0, sizeof *t);
        return;
    }
    /* x = cX/Y, y = (X - s)/(X + s) over the denominator Y(X + s) */
    fe_word(&c, mcx_w_c);
    fe_word(&s, mcx_w_s);
    fe_mul(&c, &c, &p.x);
    fe_add(&u, &p.x, &s);
    fe_sub(&v, &p.x, &s);
    fe_mul(&e.z, &p.y, &u);
    fe_mul(&e.x, &c, &u);
    fe_mul(&e.y, &p.y, &v);
    fe_mul(&e.t, &c, &v); /* XY/Z = cX (X - s) over the same */
    for (i = 0; i < MCX_WINDOWS; i += CHUNK) {
        table_chunk(t, &e, i, work);
    }
}

/* Odd multiples in PF_p: (re + i im), all kept. */
struct g_work {
    fv re[CHUNK_V], im[CHUNK_V], inv[CHUNK_V], tmp[CHUNK_V];
};
_Static_assert(sizeof(struct g_work) <= MCX_WORK_SIZE, "working space");

/* (r, s) = (a + ib)(c + id) */
static void
fv2_mul(fv *r, fv *s, const fv *a, const fv *b, const fv *c, const fv *d)
{
    fv ac, bd, u, v;

    fv_mul(&ac, a, c);
    fv_mul(&bd, b, d);
    fv_add(&u, a, b);
    fv_add(&v, c, d);
    fv_mul(&u, &u, &v);
    fv_sub(&u, &u, &ac);
    fv_sub(s, &u, &bd);
    fv_sub(r, &ac, &bd);
}

static void
g_chunk(struct mcx_g_table *t, struct fe2 *g, int first, struct g_work *gw)
{
    fv re, im, u;
    int i, j, l;

    for (i = 0; i < CHUNK; i++) {
        int at = i / LANES * ENTRIES;

        fv_set(&gw->re[at], i % LANES, &g->re);
        fv_set(&gw->im[at], i % LANES, &g->im);
        for (j = 0; j < 5; j++) {
            fe2_sqr(g);
        }
    }
    for (i = 0; i < CHUNK_V; i++) {
        if (i % ENTRIES == 0) {
            fv2_mul(&re, &im, &gw->re[i], &gw->im[i], &gw->re[i],
                    &gw->im[i]);
        } else {
            fv2_mul(&gw->re[i], &gw->im[i], &gw->re[i - 1], &gw->im[i - 1],
                    &re, &im);
        }
        gw->inv[i] = gw->re[i];
    }
    fv_inv_many(gw->inv, CHUNK_V, gw->tmp);
    for (i = 0; i < CHUNK_V; i++) {
        fv_mul(&u, &gw->im[i], &gw->inv[i]);
        for (l = 0; l < LANES; l++) {
            fv_store(t->e[first + i / ENTRIES * LANES + l][i % ENTRIES][0],
                     &u, l);
        }
    }
}

static void
be_g_table(struct mcx_g_table *t, void *work)
{
    struct fe2 g;
    int i;

    fe_one(&g.re);
    fe_word(&g.im, mcx_w_g);
    for (i = 0; i < MCX_WINDOWS; i += CHUNK) {
        g_chunk(t, &g, i, work);
    }
}

/* ---- multiplication by tables ------------------------------------------ */

/* The digits of a scalar below q: 208 odd numbers d_w = 2 u_w - 31 with
 * sum d_w 32^w = k or k + q, whichever is odd.  As u: for k = 2m + 1 the bits
 * of m + 2^1039 are the signs of the powers of two. */
static void
recode(uint64_t u[MCX_WINDOWS], const uint64_t k[MCX_W])
{
    uint64_t t[MCX_W + 1] = { 0 };
    uint64_t even = mcx_mask((k[0] & 1) ^ 1), q[MCX_W];
    int i;

    for (i = 0; i < MCX_W; i++) {
        q[i] = mcx_w_q[i] & even;
    }
    (void)mcx_w_add(t, k, q); /* below 2q < 2^1024 */
    for (i = 0; i < MCX_W; i++) {
        t[i] = t[i] >> 1 | t[i + 1] << 63;
    }
    t[MCX_W] |= UINT64_C(1) << (1039 - 1024);
    for (i = 0; i < MCX_WINDOWS; i++) {
        int bit = 5 * i, at = bit / 64, off = bit % 64;
        uint64_t v = t[at] >> off;

        if (off > 59 && at < MCX_W) {
            v |= t[at + 1] << (64 - off);
        }
        u[i] = v & 31;
    }
    mcx_wipe(t, sizeof t);
}

/* Entry and sign of LANES digits. */
static void
pick(uint64_t at[LANES], uint64_t neg[LANES], const uint64_t *u)
{
    int l;

    for (l = 0; l < LANES; l++) {
        neg[l] = mcx_mask((u[l] >> 4) ^ 1);
        at[l] = (u[l] ^ neg[l]) & 15;
    }
}

/* r = [k]A, or r + [k]A; each lane the sum of its windows. */
static void
ed_mul(struct edwards *r, const struct mcx_point_table *t,
       const uint64_t k[MCX_W], bool first)
{
    uint64_t u[MCX_WINDOWS], at[LANES], neg[LANES];
    fv xy[2];
    int i;

    recode(u, k);
    for (i = 0; i < MCX_WINDOWS; i += LANES) {
        pick(at, neg, u + i);
        fv_gather(xy, 2, &t->e[i][0][0][0], at);
        fv_neg_if(&xy[0], neg);
        if (first && i == 0) {
            fe one;

            fe_one(&one);
            r->x = xy[0];
            r->y = xy[1];
            fv_all(&r->z, &one);
            fv_mul(&r->t, &r->x, &r->y);
        } else {
            ed_madd(r, &xy[0], &xy[1]);
        }
    }
    mcx_wipe(u, sizeof u);
    mcx_wipe(at, sizeof at);
    mcx_wipe(neg, sizeof neg);
    mcx_wipe(xy, sizeof xy);
}

/* The sum of the lanes, in every lane; lane 0 of it. */
static void
ed_fold(struct edwards1 *r, struct edwards *a)
{
    struct edwards b;
    int n;

    for (n = LANES / 2; n > 0; n /= 2) {
        fv_rotate(&b.x, &a->x, n);
        fv_rotate(&b.y, &a->y, n);
        fv_rotate(&b.z, &a->z, n);
        fv_rotate(&b.t, &a->t, n);
        ed_add(a, &b);
    }
    fv_get(&r->x, &a->x, 0);
    fv_get(&r->y, &a->y, 0);
    fv_get(&r->z, &a->z, 0);
    mcx_wipe(&b, sizeof b);
}

static void
g_mul(struct fe2 *r, const struct mcx_g_table *t, const uint64_t k[MCX_W])
{
    uint64_t u[MCX_WINDOWS], at[LANES], neg[LANES];
    fv re, im, v, w, b;
    fe one;
    int i, n;

    recode(u, k);
    fe_one(&one);
    fv_all(&re, &one);
    for (i = 0; i < MCX_WINDOWS; i += LANES) {
        pick(at, neg, u + i);
        fv_gather(&v, 1, &t->e[i][0][0][0], at);
        fv_neg_if(&v, neg);
        if (i == 0) {
            im = v;
            continue;
        }
        fv_mul(&w, &re, &v); /* (re + i im)(1 + i v) */
        fv_mul(&b, &im, &v);
        fv_sub(&re, &re, &b);
        fv_add(&im, &im, &w);
    }
    fv_shrink(&re); /* grew by every difference */
    for (n = LANES / 2; n > 0; n /= 2) {
        fv_rotate(&v, &re, n);
        fv_rotate(&w, &im, n);
        fv2_mul(&re, &im, &re, &im, &v, &w);
    }
    fv_get(&r->re, &re, 0);
    fv_get(&r->im, &im, 0);
    mcx_wipe(u, sizeof u);
    mcx_wipe(at, sizeof at);
    mcx_wipe(neg, sizeof neg);
    mcx_wipe(&re, sizeof re);
    mcx_wipe(&im, sizeof im);
    mcx_wipe(&v, sizeof v);
    mcx_wipe(&w, sizeof w);
    mcx_wipe(&b, sizeof b);
}

/* X = s (Z + Y)/(Z - Y), Y = c X Z/x, w = im/re: one inversion for all
 * three denominators, Z - Y, x and re. */
static bool
finish(uint8_t r[MCX_PT], uint8_t *w, const struct edwards1 *e,
       const struct fe2 *g)
{
    fe d, dx, inv, t, u, c;
    uint64_t v[MCX_W];
    bool finite;

    fe_sub(&d, &e->z, &e->y);
    fe_mul(&dx, &d, &e->x);
    inv = dx;
    if (w) {
        fe_mul(&inv, &inv, &g->re);
    }
    finite = fe_zero(&inv) == 0;
    MCX_PUBLIC(&finite, sizeof finite);
    fe_inv(&inv, &inv);
    if (w) {
        fe_mul(&t, &inv, &dx);
        fe_mul(&t, &t, &g->im);
        fe_to_w(v, &t);
        mcx_w_write(w, v);
        fe_mul(&inv, &inv, &g->re);
    }
    fe_word(&t, mcx_w_s);
    fe_add(&u, &e->z, &e->y);
    fe_mul(&t, &t, &u);
    fe_mul(&u, &inv, &e->x);
    fe_mul(&t, &t, &u);         /* X */
    fe_mul(&u, &inv, &d);       /* 1/x */
    fe_word(&c, mcx_w_c);
    fe_mul(&u, &u, &c);
    fe_mul(&u, &u, &e->z);
    fe_mul(&u, &u, &t);         /* Y */
    point_write(r, &t, &u);
    if (!finite) {
        mcx_wipe(r, MCX_PT);
        if (w) {
            mcx_wipe(w, 8 * MCX_W);
        }
    }
    mcx_wipe(v, sizeof v);
    mcx_wipe(&d, sizeof d);
    mcx_wipe(&dx, sizeof dx);
    mcx_wipe(&inv, sizeof inv);
    mcx_wipe(&t, sizeof t);
    mcx_wipe(&u, sizeof u);
    return finite;
}

static __attribute__((noinline)) bool
mul(uint8_t r[MCX_PT], const struct mcx_point_table *ta,
    const uint64_t ka[MCX_W], const struct mcx_point_table *tb,
    const uint64_t kb[MCX_W], uint8_t *w, const struct mcx_g_table *tg,
    const uint64_t kg[MCX_W])
{
    struct edwards a;
    struct edwards1 e;
    struct fe2 g;
    bool ok;

    ed_mul(&a, ta, ka, true);
    if (tb) {
        ed_mul(&a, tb, kb, false);
    }
    ed_fold(&e, &a);
    if (w) {
        g_mul(&g, tg, kg);
    }
    ok = finish(r, w, &e, &g);
    mcx_wipe(&a, sizeof a);
    mcx_wipe(&e, sizeof e);
    mcx_wipe(&g, sizeof g);
    return ok;
}

/* The result may be a secret (an RSK), and what was inlined above has left it
 * in that frame. */
static bool
be_mul(uint8_t r[MCX_PT], const struct mcx_point_table *ta,
       const uint64_t ka[MCX_W], const struct mcx_point_table *tb,
       const uint64_t kb[MCX_W], uint8_t *w, const struct mcx_g_table *tg,
       const uint64_t kg[MCX_W])
{
    bool ok = mul(r, ta, ka, tb, kb, w, tg, kg);

    burn_deep();
    return ok;
}

/* R.x (Z - Y) = s (Z + Y) and R.y x (Z - Y) = c s (Z + Y) Z; Z is never 0,
 * so infinity equals nothing. */
static bool
be_mul_is(const uint8_t r[MCX_PT], const struct mcx_point_table *t,
          const uint64_t k[MCX_W])
{
    struct edwards a;
    struct edwards1 e;
    struct affine p;
    fe d, n, u, c;
    bool same;

    if (!point_read(&p, r)) {
        return false;
    }
    ed_mul(&a, t, k, true);
    ed_fold(&e, &a);
    fe_sub(&d, &e.z, &e.y);
    fe_add(&n, &e.z, &e.y);
    fe_word(&c, mcx_w_s);
    fe_mul(&n, &n, &c);
    fe_mul(&u, &d, &p.x);
    fe_sub(&u, &u, &n);
    fe_mul(&d, &d, &e.x);
    fe_mul(&d, &d, &p.y);
    fe_word(&c, mcx_w_c);
    fe_mul(&n, &n, &c);
    fe_mul(&n, &n, &e.z);
    fe_sub(&d, &d, &n);
    same = (fe_zero(&u) & fe_zero(&d) & ~fe_zero(&e.z)) != 0;
    MCX_PUBLIC(&same, sizeof same);
    mcx_wipe(&a, sizeof a);
    mcx_wipe(&e, sizeof e);
    mcx_wipe(&d, sizeof d);
    mcx_wipe(&n, sizeof n);
    mcx_wipe(&u, sizeof u);
    burn();
    return same;
}

#define BE_OPS(ops_, name_)                                                   \
    const struct mcx_ops ops_ = {                                             \
        .name = name_,                                                        \
        .is_point = be_is_point,                                              \
        .order_q = be_order_q,                                                \
        .lines_size = LINE_VECTORS * sizeof(fv),                              \
        .lines = be_lines,                                                    \
        .pair = be_pair,                                                      \
        .pair_many = be_pair_many,                                            \
        .gives_g = be_gives_g,                                                \
        .table = be_table,                                                    \
        .g_table = be_g_table,                                                \
        .mul = be_mul,                                                        \
        .mul_is = be_mul_is,                                                  \
        .add = be_add,                                                        \
    }
