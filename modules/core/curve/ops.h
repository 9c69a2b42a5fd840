/* ops.h -- SAKKE's operations on E(F_p) and PF_p, as each back-end offers
 * them, and the choice of one.
 *
 * A back-end is body.h compiled over one of field/fp_*.h.  Nothing here
 * allocates; the callers own tables and working space.  Nothing branches on a
 * secret or chooses an address by one: scalars, RSK and its lines, and what
 * comes of them, are secret; other points and all results "false" are public.
 * Tables of one back-end mean nothing to another. */
#ifndef MCX_CURVE_OPS_H
#define MCX_CURVE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../field/consts.h"

enum {
    MCX_PT = 257,         /* octets of a point: 0x04 | x | y         */
    MCX_BATCH = 8,
    MCX_WINDOWS = 208,    /* of 5 bits: 1040 bits, more than 2q has  */
    MCX_WORK_SIZE = 320 * 1024 /* octets of working space            */
};

/* [(2j + 1) 32^w] A for w < 208, j < 16: x and y of the Edwards form, each
 * reduced, in the back-end's Montgomery form.  832 KiB. */
struct mcx_point_table {
    _Alignas(64) uint64_t e[MCX_WINDOWS][16][2][MCX_W];
};
/* Representatives of g^((2j + 1) 32^w).  416 KiB. */
struct mcx_g_table {
    _Alignas(64) uint64_t e[MCX_WINDOWS][16][1][MCX_W];
};

struct mcx_ops {
    const char *name; /* portable, adx, ifma */

    /* On the curve, in form and range, not (0,0)? */
    bool (*is_point)(const uint8_t a[MCX_PT]);
    /* Such a point, and of order q?  By halving, not by [q]A. */
    bool (*order_q)(const uint8_t a[MCX_PT]);

    /* The lines of the Miller loop over K = 'k', 'lines_size' octets,
     * aligned to 64.  'work' is MCX_WORK_SIZE octets, aligned to 64, left
     * dirty.  False: K is no point of order q. */
    size_t lines_size;
    bool (*lines)(void *lines, const uint8_t k[MCX_PT], void *work);
    /* w = <r, K>.  False: 'r' is no point (w zero), or the value has no
     * representative ('*defined' false; then r is not of order q). */
    bool (*pair)(uint8_t w[8 * MCX_W], bool *defined, const void *lines,
                 const uint8_t r[MCX_PT]);

    /* The same for MCX_BATCH points at once, where lanes make that faster, or
     * NULL.  r[i] NULL: none there.  'work' as above, wiped. */
    void (*pair_many)(uint8_t (*w)[8 * MCX_W], bool *on_curve, bool *defined,
                      const void *lines, const uint8_t *const *r, void *work);

    /* Is <[a]P + Z, K> = g for K = 'k', with the lines of P and of Z and
     * 0 < a < q, which is public?  True for K plus a point of order 2 or 4
     * when it is for K: order_q() is to be asked too.  Also false: no
     * point. */
    bool (*gives_g)(const void *lines_p, const void *lines_z,
                    const uint64_t a[MCX_W], const uint8_t k[MCX_PT]);

    /* The table of A = 'a', which is of order q. */
    void (*table)(struct mcx_point_table *t, const uint8_t a[MCX_PT],
                  void *work);
    void (*g_table)(struct mcx_g_table *t, void *work);

    /* r = [ka]A, or [ka]A + [kb]B when 'tb' is not NULL; scalars below q.
     * With 'w': also w = g^kg.  False: infinity; r and w are zero. */
    bool (*mul)(uint8_t r[MCX_PT], const struct mcx_point_table *ta,
                const uint64_t ka[MCX_W], const struct mcx_point_table *tb,
                const uint64_t kb[MCX_W], uint8_t *w,
                const struct mcx_g_table *tg, const uint64_t kg[MCX_W]);
    /* Is [k]A = 'r'?  Without inversion. */
    bool (*mul_is)(const uint8_t r[MCX_PT], const struct mcx_point_table *t,
                   const uint64_t k[MCX_W]);
    /* r = a + b for public points.  False: one is no point, or the sum is
     * infinity. */
    bool (*add)(uint8_t r[MCX_PT], const uint8_t a[MCX_PT],
                const uint8_t b[MCX_PT]);
};

extern const struct mcx_ops mcx_ops_portable;
#ifdef MCX_HAVE_X86
extern const struct mcx_ops mcx_ops_adx;
extern const struct mcx_ops mcx_ops_ifma;
#endif

/* The back-end of that name when this machine can run it, else NULL. */
const struct mcx_ops *mcx_ops_named(const char *name);
/* The fastest one, or that of MCX_CPU; decided once. */
const struct mcx_ops *mcx_ops(void);
/* From now on the portable one: the chosen one failed its test. */
void mcx_ops_fall_back(void);

#endif /* MCX_CURVE_OPS_H */
