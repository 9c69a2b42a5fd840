/* p256_ifma.c -- P-256 with mulx, adcx and adox, of which sums by tables and
 * the secret multiplication run in the lanes of AVX-512 IFMA
 * (p256_lanes.h); and eight multiplications of points at once, for
 * mcx_eccsi_verify_many(). */
#include <config.h>
#define MCX_P256_ADX
#define MCX_P256_IFMA
#define MCX_P256_NAME "ifma"
#define MCX_P256_OPS mcx_p256_ifma
#include "p256_body.h"

enum { MANY_W = 5, MANY_HALF = 1 << (MANY_W - 1) };

/* Each lane's multiple by its digit 'm'; '*none' where that is 0.  Public. */
static void
look_up_many(struct lp *r, uint64_t *none, const struct lp *table,
             const struct digits k[LN], int m)
{
    _Alignas(64) uint64_t at[LN];
    const uint64_t *base = (const uint64_t *)(const void *)table;
    struct lv minus, zero, *to = &r->x;
    uint64_t neg = 0;
    v8 index;
    int i, j;

    *none = 0;
    for (i = 0; i < LN; i++) {
        uint64_t sign;
        unsigned d = digit(&sign, &k[i], MANY_W, m);

        *none |= (uint64_t)(d == 0) << i;
        neg |= (sign & 1) << i;
        at[i] = (uint64_t)(d > 0 ? d - 1 : 0) * (sizeof *table / 8)
                + (uint64_t)i;
    }
    index = v_load(at);
    for (j = 0; j < 4; j++) {
        for (i = 0; i < LN_L; i++) {
            to[j].l[i] = v_gather(base + LN * (LN_L * j + i), index);
        }
    }
    for (i = 0; i < LN_L; i++) {
        zero.l[i] = v_zero();
    }
    ln_less(&minus, &zero, &r->y, 7);
    ln_weak(&minus);
    ln_pick(&r->y, neg, &minus);
}

unsigned
mcx_p256_lanes_mul(struct mcx_p256_jac r[MCX_P256_LANES],
                   const struct mcx_p256_point *const a[MCX_P256_LANES],
                   const uint8_t *const scalar[MCX_P256_LANES])
{
    struct lp table[MANY_HALF], acc, next, b;
    struct digits k[LN];
    struct jac out[LN];
    uint64_t empty = LN_ALL, none;
    unsigned right = 0;
    v8 w[LN];
    int i, j;

    for (i = 0; i < LN; i++) {
        memcpy(&w[i], a[i], sizeof w[i]);
        digits_of(&k[i], scalar[i]);
    }
    v_transpose(w);
    ln_of(&table[0].x, w, 0);
    ln_of(&table[0].y, w + FE_W, 0);
    ln_const(&table[0].zz, 4);
    table[0].zzz = table[0].zz;
    table[1] = table[0];
    ln_dbl(&table[1]);
    for (i = 2; i < MANY_HALF; i++) {
        ln_add_aff(&table[i], &table[i - 1], &table[0].x, &table[0].y);
    }
    memset(&acc, 0, sizeof acc);
    for (i = MCX_P256_WINDOWS(MANY_W) - 1; i >= 0; i--) {
        for (j = 0; j < MANY_W && empty != LN_ALL; j++) {
            ln_dbl(&acc);
        }
        look_up_many(&b, &none, table, k, i);
        ln_add(&next, &acc, &b);
        ln_pick_point(&next, empty, &b);
        ln_pick_point(&next, none, &acc);
        acc = next;
        empty &= none;
    }
    ln_out(out, &acc, LN);
    for (i = 0; i < LN; i++) {
        if (empty >> i & 1) {
            memset(&out[i], 0, sizeof out[i]);
        }
        right |= (unsigned)((empty >> i & 1) || !fe_zero(&out[i].z)) << i;
        jac_to(&r[i], &out[i]);
    }
    return right;
}
