/* features.c -- start order from provides, needs and wants.
 *
 * Called once while an instance is made, before any module runs.  Counts are
 * small (MCXH_MODULES_MAX), so plain loops will do. */
#include <config.h>
#include <stdio.h>
#include "features.h"

static bool
provides(const struct mcxh_mod *mod, const char *name)
{
    for (size_t i = 0; mod->desc && i < mod->desc->n_features; i++) {
        const struct mcx_feature *f = &mod->desc->features[i];
        if (f->sort == MCX_PROVIDES && strcmp(f->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool
host_provides(const char *const *host, const char *name)
{
    for (; host && *host; host++) {
        if (strcmp(*host, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes out modules whose needs nobody meets, until none is left: taking one
 * out may leave another without its provider. */
static void
drop_unmet(struct mcxh_mod *mods, size_t n, const char *const *host)
{
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < n; i++) {
            const struct mcx_module *d = mods[i].desc;
            for (size_t k = 0; d && k < d->n_features; k++) {
                const struct mcx_feature *f = &d->features[k];
                bool met = f->sort != MCX_NEEDS ||
                           host_provides(host, f->name);
                for (size_t j = 0; j < n && !met; j++) {
                    met = provides(&mods[j], f->name);
                }
                if (!met) {
                    snprintf(mods[i].reason, sizeof mods[i].reason,
                             "needs \"%s\", which no loaded module provides",
                             f->name);
                    mods[i].desc = NULL;
                    again = true;
                    break;
                }
            }
        }
    }
}

/* Does module 'i' wait for one that is not placed yet?  '*name': for what. */
static bool
waits(const struct mcxh_mod *mods, size_t n, size_t i, const bool *placed,
      bool wants_too, const char **name)
{
    const struct mcx_module *d = mods[i].desc;

    for (size_t k = 0; k < d->n_features; k++) {
        const struct mcx_feature *f = &d->features[k];
        bool counts = f->sort == MCX_NEEDS ||
                      (wants_too && f->sort == MCX_WANTS);
        for (size_t j = 0; counts && j < n; j++) {
            if (j != i && !placed[j] && provides(&mods[j], f->name)) {
                *name = f->name;
                return true;
            }
        }
    }
    return false;
}

size_t
mcxh_features_order(struct mcxh_mod *mods, size_t n, const char *const *host,
                    size_t *order)
{
    bool placed[MCXH_MODULES_MAX] = { false };
    size_t done = 0, before;
    const char *name = "";

    drop_unmet(mods, n, host);
    /* A round places whoever waits for nobody; when wants alone block, they
     * are given up, for they only say a preference. */
    do {
        before = done;
        for (int wants_too = 1; wants_too >= 0 && done == before;
             wants_too--) {
            for (size_t i = 0; i < n; i++) {
                if (mods[i].desc && !placed[i] &&
                    !waits(mods, n, i, placed, wants_too != 0, &name)) {
                    placed[i] = true;
                    order[done++] = i;
                    if (wants_too == 0) {
                        break; /* look again with wants */
                    }
                }
            }
        }
    } while (done != before);

    for (size_t i = 0; i < n; i++) {
        if (mods[i].desc && !placed[i] &&
            waits(mods, n, i, placed, false, &name)) {
            snprintf(mods[i].reason, sizeof mods[i].reason,
                     "a circle of needs, by way of \"%s\"", name);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!placed[i]) {
            mods[i].desc = NULL;
        }
    }
    return done;
}
