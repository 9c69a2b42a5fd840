/* features.h -- in which order modules start: providers before users. */
#ifndef MCXH_FEATURES_H
#define MCXH_FEATURES_H

#include "loader.h"

/* Sorts the 'n' modules of 'mods' into 'order' (indices) so that each comes
 * after those that provide what it needs or, where that makes no circle,
 * wants.  Modules with 'desc' NULL are left out; one whose needs nobody meets
 * loses its 'desc' and gets a 'reason', and so do those of a circle of needs.
 * Returns the number of indices written.  'host' lists the features that the
 * host itself provides; NULL ends it. */
size_t mcxh_features_order(struct mcxh_mod *mods, size_t n,
                           const char *const *host, size_t *order);

#endif /* MCXH_FEATURES_H */
