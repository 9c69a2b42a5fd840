/* loader.h -- from a module's name to its checked descriptor.
 *
 * The host asks for modules by name; this finds the shared object, reads its
 * one symbol, and believes nothing of it before ABI, size and versions have
 * been compared.  Nothing of a module is called here. */
#ifndef MCXH_LOADER_H
#define MCXH_LOADER_H

#include <sofia-mcx/mcx_module.h>

enum { MCXH_NAME_SIZE = 48, MCXH_REASON_SIZE = 256, MCXH_MODULES_MAX = 32 };

/* One wanted module. */
struct mcxh_mod {
    char name[MCXH_NAME_SIZE];
    bool optional; /* may be absent: 'reason' then says why */
    const struct mcx_module *desc; /* NULL: did not load */
    void *state;
    bool started;
    char reason[MCXH_REASON_SIZE]; /* "" when all is well */
};

struct mcxh_loader {
    const char *dir;           /* MCXTAG_MODULE_DIR, or NULL */
    const char *built_in;      /* last place to look, or NULL */
    const char *version;       /* PACKAGE_VERSION of the host */
    const char *sofia_version; /* of the sofia-sip that is running */
    const struct mcx_module *const *fixed; /* linked in, NULL ends; or NULL */
};

/* Finds and checks module 'mod->name'; sets 'desc', or 'reason'. */
bool mcxh_load(struct mcxh_mod *mod, const struct mcxh_loader *how);

/* The checks alone.  Reads 'abi' and 'size' before anything else, for of an
 * older or newer struct nothing more is known to be there. */
bool mcxh_check(struct mcxh_mod *mod, const struct mcx_module *desc,
                const struct mcxh_loader *how);

/* Descriptors linked into a monolithic build (static_modules.c); NULL in a
 * build that loads them. */
const struct mcx_module *const *mcxh_fixed_modules(void);

#endif /* MCXH_LOADER_H */
