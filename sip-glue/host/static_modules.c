/* static_modules.c -- the descriptors of a monolithic build.
 *
 * `configure --enable-monolithic` links the modules' sources into
 * libsofia-mcx; the loader then takes them from this table and opens no file
 * for them. */
#include <config.h>
#include "loader.h"

#ifdef MCX_MONOLITHIC

extern const struct mcx_module mcx_module_keymgmt;
extern const struct mcx_module mcx_module_csk_upload;
extern const struct mcx_module mcx_module_csk_download;
extern const struct mcx_module mcx_module_srtp;
extern const struct mcx_module mcx_module_store;
extern const struct mcx_module mcx_module_kms;

static const struct mcx_module *const table[] = {
    &mcx_module_keymgmt,
    &mcx_module_csk_upload,
    &mcx_module_csk_download,
    &mcx_module_srtp,
    &mcx_module_store,
    &mcx_module_kms,
    NULL
};

const struct mcx_module *const *
mcxh_fixed_modules(void)
{
    return table;
}

#else

const struct mcx_module *const *
mcxh_fixed_modules(void)
{
    return NULL;
}

#endif
