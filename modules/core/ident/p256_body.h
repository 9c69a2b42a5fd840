/* p256_body.h -- points of P-256, their tables and sums.  Included once by
 * each back-end (p256_portable.c, p256_adx.c), which names itself in
 * MCX_P256_NAME and its operations in MCX_P256_OPS.  See p256_ops.h.
 *
 * y^2 = x^3 - 3x + b has prime order q: no point but infinity has y = 0, and
 * what is affine here has order q. */
#include <string.h>
#include <sofia-mcx/mcx_secret.h>
#include "p256_ops.h"
#include "p256_fe.h"
#include "p256_inv.h"

static const struct fe fe_b = { { UINT64_C(0xd89cdf6229c4bddf),
                                  UINT64_C(0xacf005cd78843090),
                                  UINT64_C(0xe5a220abf7212ed6),
                                  UINT64_C(0xdc30061d04874834) } };
static const struct fe fe_p_r3 = { { UINT64_C(0xfffffffd0000000a),
                                     UINT64_C(0xffffffedfffffff7),
                                     UINT64_C(0x00000005fffffffc),
                                     UINT64_C(0x0000001800000001) } };
/* 1/p and 1/q mod 2^62 */
#define INV_P_K INV_M62
#define INV_Q_K UINT64_C(0x332e375511ff43b1)

/* a product with it leaves Montgomery's form */
static const struct fe fe_plain = { { 1 } };

struct aff { struct fe x, y; };
struct jac { struct fe x, y, z; };

static inline void
aff_of(struct aff *r, const struct mcx_p256_point *a)
{
    memcpy(&r->x, a->x, sizeof r->x);
    memcpy(&r->y, a->y, sizeof r->y);
}

static inline void
aff_to(struct mcx_p256_point *r, const struct aff *a)
{
    memcpy(r->x, &a->x, sizeof a->x);
    memcpy(r->y, &a->y, sizeof a->y);
}

static inline void
jac_of(struct jac *r, const struct mcx_p256_jac *a)
{
    memcpy(&r->x, a->x, sizeof r->x);
    memcpy(&r->y, a->y, sizeof r->y);
    memcpy(&r->z, a->z, sizeof r->z);
}

static inline void
jac_to(struct mcx_p256_jac *r, const struct jac *a)
{
    memcpy(r->x, &a->x, sizeof a->x);
    memcpy(r->y, &a->y, sizeof a->y);
    memcpy(r->z, &a->z, sizeof a->z);
}

static void
fe_inv(struct fe *r, const struct fe *a)
{
    struct fe t;

    inv_mod(&t, a, &fe_p, INV_P_K);
    fe_mul(r, &t, &fe_p_r3);
}

/* ---- the group --------------------------------------------------------- */

/* r = 2a; infinity stays what it is.  r may be a. */
static void
dbl(struct jac *r, const struct jac *a)
{
    struct fe zz, yy, xyy, t, u, al;

    fe_sqr(&zz, &a->z);
    fe_sqr(&yy, &a->y);
    fe_sub(&t, &a->x, &zz);
    fe_add(&u, &a->x, &zz);
    fe_mul(&al, &t, &u);
    fe_mul(&xyy, &a->x, &yy);
    fe_mul(&r->z, &a->y, &a->z);
    fe_add(&r->z, &r->z, &r->z);
    fe_add(&t, &al, &al);
    fe_add(&al, &al, &t);      /* 3 (x^2 - z^4)  */
    fe_add(&xyy, &xyy, &xyy);
    fe_add(&xyy, &xyy, &xyy);  /* 4 x y^2        */
    fe_add(&yy, &yy, &yy);
    fe_sqr(&yy, &yy);
    fe_add(&yy, &yy, &yy);     /* 8 y^4          */
    fe_sqr(&t, &al);
    fe_sub(&t, &t, &xyy);
    fe_sub(&r->x, &t, &xyy);
    fe_sub(&t, &xyy, &r->x);
    fe_mul(&t, &t, &al);
    fe_sub(&r->y, &t, &yy);
}

/* r = a + b from u1 = x_a z_b^2, s1 = y_a z_b^3, h = x_b z_a^2 - u1, d = y_b
 * z_a^3 - s1 and z = z_a z_b; h is not 0. */
static inline void
add_tail(struct jac *r, const struct fe *u1, const struct fe *s1,
         const struct fe *h, const struct fe *d, const struct fe *z)
{
    struct fe hh, hhh, v, t;

    fe_sqr(&hh, h);
    fe_mul(&r->z, z, h);
    fe_mul(&hhh, &hh, h);
    fe_mul(&v, u1, &hh);
    fe_sqr(&t, d);
    fe_sub(&t, &t, &hhh);
    fe_sub(&t, &t, &v);
    fe_sub(&r->x, &t, &v);
    fe_sub(&t, &v, &r->x);
    fe_mul(&t, &t, d);
    fe_mul(&hhh, &hhh, s1);
    fe_sub(&r->y, &t, &hhh);
}

/* h and d of a + b. */
static inline void
add_head(struct fe *h, struct fe *d, const struct jac *a,
         const struct aff *b)
{
    struct fe zz;

    fe_sqr(&zz, &a->z);
    fe_mul(h, &b->x, &zz);
    fe_mul(d, &b->y, &a->z);
    fe_mul(d, d, &zz);
    fe_sub(h, h, &a->x);
    fe_sub(d, d, &a->y);
}

/* a += b, whatever they are; public. */
static void
add_aff(struct jac *a, const struct aff *b)
{
    struct fe h, d;

    if (fe_zero(&a->z)) {
        a->x = b->x;
        a->y = b->y;
        a->z = fe_one;
        return;
    }
    add_head(&h, &d, a, b);
    if (!fe_zero(&h)) {
        add_tail(a, &a->x, &a->y, &h, &d, &a->z);
    } else if (fe_zero(&d)) {
        dbl(a, a);
    } else {
        memset(a, 0, sizeof *a);
    }
}

/* A point with z^2 and z^3 at hand. */
struct wide { struct jac a; struct fe zz, zzz; };

static void
widen(struct wide *r, const struct jac *a)
{
    r->a = *a;
    fe_sqr(&r->zz, &a->z);
    fe_mul(&r->zzz, &r->zz, &a->z);
}

/* a += b, whatever they are; public. */
static void
add_wide(struct jac *a, const struct wide *b)
{
    struct fe zz, u1, s1, h, d, z;

    if (fe_zero(&b->a.z)) {
        return;
    }
    if (fe_zero(&a->z)) {
        *a = b->a;
        return;
    }
    fe_sqr(&zz, &a->z);
    fe_mul(&u1, &a->x, &b->zz);
    fe_mul(&s1, &a->y, &b->zzz);
    fe_mul(&h, &b->a.x, &zz);
    fe_mul(&zz, &zz, &a->z);
    fe_mul(&d, &b->a.y, &zz);
    fe_sub(&h, &h, &u1);
    fe_sub(&d, &d, &s1);
    if (!fe_zero(&h)) {
        fe_mul(&z, &a->z, &b->a.z);
        add_tail(a, &u1, &s1, &h, &d, &z);
    } else if (fe_zero(&d)) {
        dbl(a, a);
    } else {
        memset(a, 0, sizeof *a);
    }
}

/* ---- tables ------------------------------------------------------------ */

enum { CHUNK = 1 << (MCX_P256_W_MAX - 1) };

/* n finite points at once: one inversion for all. */
static void
affine_all(struct mcx_p256_point *r, const struct jac *a, int n)
{
    struct fe run[CHUNK], inv, zi, zz;
    struct aff t;
    int i;

    run[0] = a[0].z;
    for (i = 1; i < n; i++) {
        fe_mul(&run[i], &run[i - 1], &a[i].z);
    }
    fe_inv(&inv, &run[n - 1]);
    for (i = n - 1; i >= 0; i--) {
        if (i > 0) {
            fe_mul(&zi, &inv, &run[i - 1]);
            fe_mul(&inv, &inv, &a[i].z);
        } else {
            zi = inv;
        }
        fe_sqr(&zz, &zi);
        fe_mul(&t.x, &a[i].x, &zz);
        fe_mul(&t.y, &a[i].y, &zz);
        fe_mul(&t.y, &t.y, &zi);
        aff_to(&r[i], &t);
    }
}

static void
make_table(struct mcx_p256_table *t, const struct mcx_p256_point *a)
{
    struct mcx_p256_point base[MCX_P256_WINDOWS(MCX_P256_W_MIN)];
    struct jac part[CHUNK] = { { { { 0 } }, { { 0 } }, { { 0 } } } };
    struct jac run = { .z = fe_one };
    int half = 1 << (t->w - 1), n = MCX_P256_BASES(t->w, t->v), i, j, used;
    struct aff b;

    aff_of(&b, a);
    run.x = b.x;
    run.y = b.y;
    for (i = 0; i < n; i++) {
        part[i] = run;
        for (j = 0; i < n - 1 && j < t->w * t->v; j++) {
            dbl(&run, &run);
        }
    }
    affine_all(base, part, n);
    used = 0;
    for (i = 0; i < n; i++) {
        aff_of(&b, &base[i]);
        memset(&run, 0, sizeof run);
        for (j = 0; j < half; j++) {
            add_aff(&run, &b);
            part[used++] = run;
        }
        if (used == CHUNK || i == n - 1) {
            affine_all(&t->e[(i + 1) * half - used], part, used);
            used = 0;
        }
    }
}

/* ---- scalars ----------------------------------------------------------- */

/* 2k, so that a digit can look one bit down. */
struct digits { uint64_t w[FE_W + 1]; };

static inline void
digits_of(struct digits *r, const uint8_t k[8 * FE_W])
{
    struct fe t;
    int i;

    fe_load(&t, k);
    r->w[0] = t.w[0] << 1;
    for (i = 1; i < FE_W; i++) {
        r->w[i] = t.w[i] << 1 | t.w[i - 1] >> 63;
    }
    r->w[FE_W] = t.w[FE_W - 1] >> 63;
    mcx_wipe(&t, sizeof t);
}

/* Digit 'm' of windows of w bits (A. Booth's, of which each stands alone): k
 * is the sum of d 2^(w m).  '*neg' is ones or zero; returns |d|, 0 to
 * 2^(w-1). */
static inline unsigned
digit(uint64_t *neg, const struct digits *k, int w, int m)
{
    unsigned at = (unsigned)(w * m), word = at / 64, bit = at % 64;
    uint64_t v = k->w[word] >> bit;

    if (bit > 0 && word < FE_W) {
        v |= k->w[word + 1] << (64 - bit);
    }
    v &= (UINT64_C(2) << w) - 1;
    *neg = mcx_mask(v >> w & 1);
    v = ((v ^ *neg) & ((UINT64_C(2) << w) - 1)) + 1;
    return (unsigned)(v >> 1);
}

#ifdef MCX_P256_IFMA
#include "p256_lanes.h"
#endif

/* ---- public sums ------------------------------------------------------- */

/* The entries that sum_table() will read are asked for ahead: other work may
 * have pushed the table out of the caches, and each is a miss by itself. */
static void
fetch_table(const struct mcx_p256_table *t, const struct digits *k)
{
    int half = 1 << (t->w - 1), windows = MCX_P256_WINDOWS(t->w), i;

    for (i = 0; i < windows; i++) {
        uint64_t neg;
        unsigned d = digit(&neg, k, t->w, i);

        if (d > 0) {
            __builtin_prefetch(&t->e[i / t->v * half + (int)d - 1]);
        }
    }
}

static void
sum_table(struct jac *acc, const struct mcx_p256_table *t,
          const struct digits *k)
{
    int half = 1 << (t->w - 1), windows = MCX_P256_WINDOWS(t->w), i, j;

    for (j = t->v - 1; j >= 0; j--) {
        for (i = 0; j < t->v - 1 && i < t->w; i++) {
            dbl(acc, acc);
        }
        for (i = 0; i * t->v + j < windows; i++) {
            uint64_t neg;
            unsigned d = digit(&neg, k, t->w, i * t->v + j);
            struct aff b;

            if (d > 0) {
                aff_of(&b, &t->e[i * half + (int)d - 1]);
                if (neg) {
                    fe_neg(&b.y, &b.y);
                }
                add_aff(acc, &b);
            }
        }
    }
}

/* acc = [k]a with odd digits up to 15 in sequences without neighbours: 256
 * doublings and some 43 additions. */
static void
sum_point(struct jac *acc, const struct aff *a, const uint8_t *scalar)
{
    enum { W = 5, ODD = 1 << (W - 2) };
    int8_t naf[257] = { 0 };
    struct wide odd[ODD], two;
    struct jac t = { a->x, a->y, fe_one };
    struct fe k;
    int i, carry = 0, top = -1;

    fe_load(&k, scalar);
    for (i = 0; i < 256;) {
        unsigned bits = (unsigned)(k.w[i / 64] >> i % 64);

        if (i % 64 > 64 - W && i / 64 < FE_W - 1) {
            bits |= (unsigned)(k.w[i / 64 + 1] << (64 - i % 64));
        }
        if ((int)(bits & 1) == carry) {
            i++;
            continue;
        }
        bits = (bits & ((1 << W) - 1)) + (unsigned)carry;
        carry = bits >> (W - 1) & 1 ? 1 : 0;
        naf[i] = (int8_t)((int)bits - (carry << W));
        top = i;
        i += W;
    }
    if (carry) {
        top = 256;
        naf[256] = 1;
    }
    widen(&odd[0], &t);
    dbl(&t, &t);
    widen(&two, &t);
    for (i = 1; i < ODD; i++) {
        t = odd[i - 1].a;
        add_wide(&t, &two);
        widen(&odd[i], &t);
    }
    memset(acc, 0, sizeof *acc);
    for (i = top; i >= 0; i--) {
        if (i < top) {
            dbl(acc, acc);
        }
        if (naf[i] > 0) {
            add_wide(acc, &odd[naf[i] / 2]);
        } else if (naf[i] < 0) {
            struct wide b = odd[-naf[i] / 2];

            fe_neg(&b.a.y, &b.a.y);
            add_wide(acc, &b);
        }
    }
}

static void
sum(struct mcx_p256_jac *acc, const struct mcx_p256_term *term, size_t n)
{
    struct jac total, part;
    struct digits k[MCX_P256_TERMS];
    struct wide w;
    bool done = false;
    size_t i;

    for (i = 0; i < n; i++) {
        if (term[i].table) {
            digits_of(&k[i], term[i].k);
            fetch_table(term[i].table, &k[i]);
        }
    }
    jac_of(&total, acc);
#ifdef MCX_P256_IFMA
    done = ln_sum(&part, term, k, n);
    if (done) {
        widen(&w, &part);
        add_wide(&total, &w);
    }
#endif
    for (i = 0; i < n; i++) {
        if (term[i].table && done) {
            continue;
        }
        if (term[i].table && term[i].table->v == 1) {
            sum_table(&total, term[i].table, &k[i]);
            continue;
        }
        if (term[i].table) {
            memset(&part, 0, sizeof part);
            sum_table(&part, term[i].table, &k[i]);
        } else {
            struct aff a;

            aff_of(&a, term[i].point);
            sum_point(&part, &a, term[i].k);
        }
        widen(&w, &part);
        add_wide(&total, &w);
    }
    jac_to(acc, &total);
}

static void
add_point(struct mcx_p256_jac *acc, const struct mcx_p256_point *a)
{
    struct jac t;
    struct aff b;

    jac_of(&t, acc);
    aff_of(&b, a);
    add_aff(&t, &b);
    jac_to(acc, &t);
}

static bool
infinite(const struct mcx_p256_jac *a)
{
    struct jac t;

    jac_of(&t, a);
    return fe_zero(&t.z) != 0;
}

static bool
x_is(const struct mcx_p256_jac *a, const uint8_t x[8 * FE_W])
{
    struct jac t;
    struct fe v, zz;

    jac_of(&t, a);
    fe_load(&v, x);
    fe_mul(&v, &v, &fe_p_r2);
    fe_sqr(&zz, &t.z);
    fe_mul(&v, &v, &zz);
    return !fe_zero(&t.z) && fe_equal(&v, &t.x);
}

/* ---- the secret multiplication ----------------------------------------- */

#ifndef MCX_P256_IFMA
typedef uint32_t words4 __attribute__((vector_size(16)));

static inline words4
words_at(const struct mcx_p256_point *e, size_t at)
{
    words4 v;

    memcpy(&v, (const uint8_t *)e + 16 * at, sizeof v);
    return v;
}

/* r = entry 'd' - 1 of 'n', all of them looked at; zeros for d = 0. */
static inline void
look_up(struct aff *r, const struct mcx_p256_point *e, unsigned n, unsigned d)
{
    words4 want = { d, d, d, d }, at = { 1, 1, 1, 1 }, one = at;
    words4 s0 = at - at, s1 = s0, s2 = s0, s3 = s0;
    unsigned i;

    for (i = 0; i < n; i++) {
        words4 mask = (words4)(at == want);

        s0 |= words_at(&e[i], 0) & mask;
        s1 |= words_at(&e[i], 1) & mask;
        s2 |= words_at(&e[i], 2) & mask;
        s3 |= words_at(&e[i], 3) & mask;
        at += one;
    }
    memcpy(r->x.w, &s0, sizeof s0);
    memcpy(r->x.w + 2, &s1, sizeof s1);
    memcpy(r->y.w, &s2, sizeof s2);
    memcpy(r->y.w + 2, &s3, sizeof s3);
}

#endif

/* The octets of 'a', whose z is not 0. */
static inline void
secret_out(uint8_t out[65], struct jac *a)
{
    struct fe h, d;

    fe_inv(&h, &a->z);
    fe_sqr(&d, &h);
    fe_mul(&h, &h, &d);
    fe_mul(&a->x, &a->x, &d);
    fe_mul(&a->y, &a->y, &h);
    fe_mul(&a->x, &a->x, &fe_plain);
    fe_mul(&a->y, &a->y, &fe_plain);
    out[0] = 0x04;
    fe_store(out + 1, &a->x);
    fe_store(out + 33, &a->y);
    mcx_wipe(&h, sizeof h);
    mcx_wipe(&d, sizeof d);
}

#ifdef MCX_P256_IFMA
static void
base_mul(uint8_t out[65], const struct mcx_p256_table *t,
         const uint8_t scalar[8 * FE_W])
{
    struct digits k;
    struct jac acc;

    digits_of(&k, scalar);
    ln_base_mul(&acc, t, &k);
    secret_out(out, &acc);
    mcx_wipe(&acc, sizeof acc);
    mcx_wipe(&k, sizeof k);
}
#else
/* Sums of digits from below never meet their next term, nor its opposite: the
 * sum is smaller than it as an integer, and all are below q.  What is left of
 * the exceptions, infinity and a digit of 0, is selected away. */
static void
base_mul(uint8_t out[65], const struct mcx_p256_table *t,
         const uint8_t scalar[8 * FE_W])
{
    unsigned half = 1u << (t->w - 1);
    int windows = MCX_P256_WINDOWS(t->w), i;
    struct jac acc, next;
    struct digits k;
    struct fe h, d, y;
    struct aff b;

    memset(&acc, 0, sizeof acc);
    digits_of(&k, scalar);
    for (i = 0; i < windows; i++) {
        uint64_t neg, empty, none;
        unsigned size = digit(&neg, &k, t->w, i);

        look_up(&b, &t->e[(unsigned)i * half], half, size);
        fe_neg(&y, &b.y);
        fe_select(&b.y, &y, neg);
        empty = fe_zero(&acc.z);
        none = mcx_is_zero(size);
        add_head(&h, &d, &acc, &b);
        add_tail(&next, &acc.x, &acc.y, &h, &d, &acc.z);
        fe_select(&next.x, &b.x, empty);
        fe_select(&next.y, &b.y, empty);
        fe_select(&next.z, &fe_one, empty);
        fe_select(&acc.x, &next.x, ~none);
        fe_select(&acc.y, &next.y, ~none);
        fe_select(&acc.z, &next.z, ~none);
    }
    secret_out(out, &acc);
    mcx_wipe(&acc, sizeof acc);
    mcx_wipe(&next, sizeof next);
    mcx_wipe(&k, sizeof k);
    mcx_wipe(&b, sizeof b);
    mcx_wipe(&h, sizeof h);
    mcx_wipe(&d, sizeof d);
    mcx_wipe(&y, sizeof y);
}
#endif

/* ---- octets ------------------------------------------------------------ */

/* Is the number below p? */
static inline bool
in_field(const struct fe *a)
{
    unsigned char c = 0;
    mcx_word t;
    int i;

    for (i = 0; i < FE_W; i++) {
        MCX_SBB(c, a->w[i], fe_p.w[i], &t);
        (void)t;
    }
    return c != 0;
}

static bool
read_point(struct mcx_p256_point *r, const uint8_t b[65])
{
    struct aff a;
    struct fe t, u;

    fe_load(&a.x, b + 1);
    fe_load(&a.y, b + 33);
    /* SPEC RFC 6507 3.2: the uncompressed form only, coordinates below p */
    if (b[0] != 0x04 || !in_field(&a.x) || !in_field(&a.y)) {
        return false;
    }
    fe_mul(&a.x, &a.x, &fe_p_r2);
    fe_mul(&a.y, &a.y, &fe_p_r2);
    /* x (x^2 - 3) + b = y^2 */
    fe_sqr(&t, &a.x);
    fe_add(&u, &fe_one, &fe_one);
    fe_add(&u, &u, &fe_one);
    fe_sub(&t, &t, &u);
    fe_mul(&t, &t, &a.x);
    fe_add(&t, &t, &fe_b);
    fe_sqr(&u, &a.y);
    if (!fe_equal(&t, &u)) {
        return false;
    }
    aff_to(r, &a);
    return true;
}

static bool
affine(struct mcx_p256_point *r, const struct mcx_p256_jac *a)
{
    struct jac t;

    jac_of(&t, a);
    if (fe_zero(&t.z)) {
        memset(r, 0, sizeof *r);
        return false;
    }
    affine_all(r, &t, 1);
    return true;
}

static bool
write_point(uint8_t b[65], const struct mcx_p256_jac *a)
{
    struct mcx_p256_point p;
    struct aff t;

    if (!affine(&p, a)) {
        memset(b, 0, 65);
        return false;
    }
    aff_of(&t, &p);
    fe_mul(&t.x, &t.x, &fe_plain);
    fe_mul(&t.y, &t.y, &fe_plain);
    b[0] = 0x04;
    fe_store(b + 1, &t.x);
    fe_store(b + 33, &t.y);
    return true;
}

/* ---- modulo q ---------------------------------------------------------- */

/* 2^256 < 2q: one subtraction does it. */
static inline void
load_q(struct fe *r, const uint8_t b[8 * FE_W])
{
    struct fe t;

    fe_load(&t, b);
    fe_reduce(r, t.w, 0, &fe_q);
    mcx_wipe(&t, sizeof t);
}

static void
muladd_q(uint8_t r[8 * FE_W], const uint8_t a[8 * FE_W],
         const uint8_t b[8 * FE_W], const uint8_t c[8 * FE_W])
{
    struct fe n[3];

    load_q(&n[0], a);
    load_q(&n[1], b);
    load_q(&n[2], c);
    fe_mul_q(&n[1], &n[1], &fe_q_r2);
    fe_mul_q(&n[1], &n[1], &n[2]);
    fe_add_mod(&n[0], &n[0], &n[1], &fe_q);
    fe_store(r, &n[0]);
    mcx_wipe(n, sizeof n);
}

static void
inv_q(uint8_t r[8 * FE_W], const uint8_t a[8 * FE_W])
{
    struct fe t;

    load_q(&t, a);
    inv_mod(&t, &t, &fe_q, INV_Q_K);
    fe_store(r, &t);
    mcx_wipe(&t, sizeof t);
}

const struct mcx_p256_ops MCX_P256_OPS = {
    .name = MCX_P256_NAME,
    .read = read_point,
    .write = write_point,
    .affine = affine,
    .table = make_table,
    .sum = sum,
    .add = add_point,
    .infinite = infinite,
    .x_is = x_is,
    .base_mul = base_mul,
    .muladd_q = muladd_q,
    .inv_q = inv_q,
};
