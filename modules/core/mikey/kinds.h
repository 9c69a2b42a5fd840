/* kinds.h -- declares the constants that kind_<name>.c define.  Rows are in
 * kinds.def, reading them is mcx_kind_info() of mcx_mikey.h. */
#ifndef MCX_CORE_MIKEY_KINDS_H
#define MCX_CORE_MIKEY_KINDS_H

#include <sofia-mcx/mcx_mikey.h>

extern const struct mcx_kind_info mcx_kind_gmk, mcx_kind_pck, mcx_kind_csk,
    mcx_kind_spk, mcx_kind_mkfc, mcx_kind_mscck, mcx_kind_musik,
    mcx_kind_gsk;

#endif /* MCX_CORE_MIKEY_KINDS_H */
