/* loader.c -- finds modules, checks their descriptors.
 *
 * Called by the host while an instance is made.  Plain dlopen: libltdl would
 * add global state for nothing that is needed here.  RTLD_NODELETE, since code
 * that sofia may still point at must not go away. */
#include <config.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "loader.h"

static bool fail(struct mcxh_mod *mod, const char *fmt, ...)
    MCX_PRINTF(2, 3);

static bool
fail(struct mcxh_mod *mod, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(mod->reason, sizeof mod->reason, fmt, ap);
    va_end(ap);
    mod->desc = NULL;
    return false;
}

/* Letters, digits, '-': a name is never a path. */
static bool
name_is_plain(const char *name)
{
    size_t n = strlen(name);

    return n > 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool
all_or_none(const struct mcx_module *m)
{
    bool in = m->claims && m->judge;
    bool no_in = !m->claims && !m->judge && !m->settled;
    bool out = m->wants && m->prepare;
    bool no_out = !m->wants && !m->prepare && !m->outcome;

    return (in || no_in) && (out || no_out);
}

bool
mcxh_check(struct mcxh_mod *mod, const struct mcx_module *desc,
           const struct mcxh_loader *how)
{
    if (desc->abi != MCX_MODULE_ABI) {
        return fail(mod, "module ABI %u, this host has %u",
                    (unsigned)desc->abi, (unsigned)MCX_MODULE_ABI);
    }
    if (desc->size != sizeof *desc) {
        return fail(mod, "descriptor of %u octets, this host has %u",
                    (unsigned)desc->size, (unsigned)sizeof *desc);
    }
    if (!desc->name || strcmp(desc->name, mod->name) != 0) {
        return fail(mod, "the file holds module \"%s\"",
                    desc->name ? desc->name : "");
    }
    if (!desc->version || strcmp(desc->version, how->version) != 0) {
        return fail(mod, "version %s, this host is %s",
                    desc->version ? desc->version : "unknown", how->version);
    }
    if (desc->sofia_version && how->sofia_version &&
        strcmp(desc->sofia_version, how->sofia_version) != 0) {
        return fail(mod, "built with sofia-sip %s, running with %s",
                    desc->sofia_version, how->sofia_version);
    }
    if (!desc->start || !desc->stop || !all_or_none(desc)) {
        return fail(mod, "descriptor without start, stop, or half a hook");
    }
    mod->desc = desc;
    mod->reason[0] = '\0';
    return true;
}

/* 'dir'/'name'.so, with '-' or with '_'; false when neither is there. */
static bool
find_in(char *path, size_t size, const char *dir, const char *name)
{
    int n;

    if (!dir || !dir[0]) {
        return false;
    }
    n = snprintf(path, size, "%s/%s.so", dir, name);
    if (n < 0 || (size_t)n >= size) {
        return false;
    }
    if (access(path, R_OK) == 0) {
        return true;
    }
    for (char *p = path + strlen(dir) + 1; *p; p++) {
        if (*p == '-') {
            *p = '_';
        }
    }
    return access(path, R_OK) == 0;
}

static void
symbol_name(char *out, size_t size, const char *name)
{
    snprintf(out, size, MCX_MODULE_SYMBOL_PREFIX "%s", name);
    for (; *out; out++) {
        if (*out == '-') {
            *out = '_';
        }
    }
}

bool
mcxh_load(struct mcxh_mod *mod, const struct mcxh_loader *how)
{
    const char *env_dir = secure_getenv("MCX_MODULE_DIR");
    char path[4096], symbol[sizeof MCX_MODULE_SYMBOL_PREFIX + MCXH_NAME_SIZE];
    const char *why;
    void *so, *desc;

    if (!name_is_plain(mod->name)) {
        return fail(mod, "a module's name has a-z, 0-9 and '-' only");
    }
    for (size_t i = 0; how->fixed && how->fixed[i]; i++) {
        if (how->fixed[i]->abi == MCX_MODULE_ABI &&
            strcmp(how->fixed[i]->name, mod->name) == 0) {
            return mcxh_check(mod, how->fixed[i], how);
        }
    }
    if (!find_in(path, sizeof path, how->dir, mod->name) &&
        !find_in(path, sizeof path, env_dir, mod->name) &&
        !find_in(path, sizeof path, how->built_in, mod->name)) {
        return fail(mod, "no %s.so in %s%s%s%s%s", mod->name,
                    how->dir ? how->dir : "", how->dir ? ", " : "",
                    env_dir ? env_dir : "", env_dir ? ", " : "",
                    how->built_in ? how->built_in : "(no built-in folder)");
    }
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!so) {
        why = dlerror();
        return fail(mod, "%s", why ? why : "dlopen failed");
    }
    symbol_name(symbol, sizeof symbol, mod->name);
    desc = dlsym(so, symbol);
    if (!desc) {
        dlclose(so);
        return fail(mod, "%s has no symbol %s", path, symbol);
    }
    return mcxh_check(mod, (const struct mcx_module *)desc, how);
}
