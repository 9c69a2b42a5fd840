/* shared.h -- what all of SAKKE shares: the back-end and the tables of P and
 * g; and big blocks of memory for tables. */
#ifndef MCX_IDENT_SHARED_H
#define MCX_IDENT_SHARED_H

#include <stdatomic.h>
#include "../curve/ops.h"
#include "../field/words.h"

struct mcx_shared {
    const struct mcx_ops *ops;
    struct mcx_point_table *p; /*  832 KiB */
    struct mcx_g_table *g;     /*  416 KiB */
};

/* Made at first use, which also compares the back-end with the portable one
 * and falls back to that, loudly, when they differ; never freed.  NULL when
 * memory ran out; a later call tries again. */
const struct mcx_shared *mcx_shared(void);
/* Does 'ops' with its tables agree with the portable back-end? */
bool mcx_ops_agree(const struct mcx_ops *ops, const struct mcx_point_table *p,
                   const struct mcx_g_table *g, void *lines, void *work);

/* 'n' octets aligned to 64, not cleared; for public things.  NULL. */
void *mcx_big_new(size_t n);
void mcx_big_free(void *p);

/* The lines of 'k' that '*slot' keeps, made by whoever comes first and then
 * never changed; in guarded memory when they are secret.  NULL: no memory, or
 * 'k' is not of order q. */
const void *mcx_lines_once(_Atomic(void *) *slot, const uint8_t k[MCX_PT],
                           bool secret);
/* Those of P, kept for the process. */
const void *mcx_p_lines(void);

/* The table of 'a', which is of order q.  NULL: no memory. */
struct mcx_point_table *mcx_table_new(const struct mcx_shared *sh,
                                      const uint8_t a[MCX_PT]);

#endif /* MCX_IDENT_SHARED_H */
