/* mcx_tag.h -- MCXTAG_*: everything an application may set, in sofia's way.
 *
 * Tags of mcx_create() and of the calls in mcx_sofia.h.  Strings are copied.
 * No tag ever carries a secret.  Each MCXTAG_X(v) has a reference form
 * MCXTAG_X_REF(v) for tl_gets(). */
#ifndef MCX_TAG_H
#define MCX_TAG_H

#include <sofia-sip/su_tag.h>
#include <sofia-mcx/mcx_err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any tag of this name space, as a filter. */
MCX_API extern tag_typedef_t mcxtag_any;
#define MCXTAG_ANY() mcxtag_any, ((tag_value_t)0)

#define MCX_TAG_DECLARE(name)                                                 \
    MCX_API extern tag_typedef_t mcxtag_##name, mcxtag_##name##_ref

/* Path of a configuration file (mcx_config.h).  May be repeated. */
MCX_TAG_DECLARE(config);
#define MCXTAG_CONFIG(x) mcxtag_config, tag_str_v(x)
#define MCXTAG_CONFIG_REF(x) mcxtag_config_ref, tag_str_vr(&(x))
/* One setting, "name=value" or "section/name=value", after the files. */
MCX_TAG_DECLARE(set);
#define MCXTAG_SET(x) mcxtag_set, tag_str_v(x)
#define MCXTAG_SET_REF(x) mcxtag_set_ref, tag_str_vr(&(x))
/* Folder of loadable modules; before MCX_MODULE_DIR and the built-in one. */
MCX_TAG_DECLARE(module_dir);
#define MCXTAG_MODULE_DIR(x) mcxtag_module_dir, tag_str_v(x)
#define MCXTAG_MODULE_DIR_REF(x) mcxtag_module_dir_ref, tag_str_vr(&(x))
/* Own identity (MC service ID or PSI), KMS folder, PSI, modules: short for
 * MCXTAG_SET("identity=..."), "keys", "psi", "modules". */
MCX_TAG_DECLARE(identity);
#define MCXTAG_IDENTITY(x) mcxtag_identity, tag_str_v(x)
#define MCXTAG_IDENTITY_REF(x) mcxtag_identity_ref, tag_str_vr(&(x))
MCX_TAG_DECLARE(keys);
#define MCXTAG_KEYS(x) mcxtag_keys, tag_str_v(x)
#define MCXTAG_KEYS_REF(x) mcxtag_keys_ref, tag_str_vr(&(x))
MCX_TAG_DECLARE(psi);
#define MCXTAG_PSI(x) mcxtag_psi, tag_str_v(x)
#define MCXTAG_PSI_REF(x) mcxtag_psi_ref, tag_str_vr(&(x))
MCX_TAG_DECLARE(modules);
#define MCXTAG_MODULES(x) mcxtag_modules, tag_str_v(x)
#define MCXTAG_MODULES_REF(x) mcxtag_modules_ref, tag_str_vr(&(x))
/* struct mcx_env const *; default mcx_env_system(). */
MCX_TAG_DECLARE(env);
#define MCXTAG_ENV(x) mcxtag_env, tag_cptr_v(x)
#define MCXTAG_ENV_REF(x) mcxtag_env_ref, tag_cptr_vr(&(x), (x))
/* mcx_token_f of mcx_sofia.h: asked for bearer tokens. */
MCX_TAG_DECLARE(token_callback);
#define MCXTAG_TOKEN_CALLBACK(x)                                              \
    mcxtag_token_callback, tag_cptr_v((void const *)(x))
#define MCXTAG_TOKEN_CALLBACK_REF(x)                                          \
    mcxtag_token_callback_ref, tag_cptr_vr(&(x), (x))
/* The application's nua callback (nua_callback_f) and nua magic, so that held
 * events can be given back to it.  Without it an INVITE is not held: the
 * engine waits for the verdict when it answers. */
MCX_TAG_DECLARE(callback);
#define MCXTAG_CALLBACK(x) mcxtag_callback, tag_cptr_v((void const *)(x))
#define MCXTAG_CALLBACK_REF(x) mcxtag_callback_ref, tag_cptr_vr(&(x), (x))
MCX_TAG_DECLARE(nua_magic);
#define MCXTAG_NUA_MAGIC(x) mcxtag_nua_magic, tag_cptr_v(x)
#define MCXTAG_NUA_MAGIC_REF(x) mcxtag_nua_magic_ref, tag_cptr_vr(&(x), (x))
/* struct mcx_text *: receives the reason when mcx_create() returns NULL. */
MCX_TAG_DECLARE(error);
#define MCXTAG_ERROR(x) mcxtag_error, tag_cptr_v(x)
#define MCXTAG_ERROR_REF(x) mcxtag_error_ref, tag_cptr_vr(&(x), (x))
/* Of a request: the MC service ID at the other end of the key. */
MCX_TAG_DECLARE(peer);
#define MCXTAG_PEER(x) mcxtag_peer, tag_str_v(x)
#define MCXTAG_PEER_REF(x) mcxtag_peer_ref, tag_str_vr(&(x))
/* Of a download: the IMPU whose binding is meant. */
MCX_TAG_DECLARE(impu);
#define MCXTAG_IMPU(x) mcxtag_impu, tag_str_v(x)
#define MCXTAG_IMPU_REF(x) mcxtag_impu_ref, tag_str_vr(&(x))

/* Tags of events (mcx_callback_f). */
MCX_TAG_DECLARE(key_id);
#define MCXTAG_KEY_ID(x) mcxtag_key_id, tag_uint_v(x)
#define MCXTAG_KEY_ID_REF(x) mcxtag_key_id_ref, tag_uint_vr(&(x))
MCX_TAG_DECLARE(kind);
#define MCXTAG_KIND(x) mcxtag_kind, tag_str_v(x)
#define MCXTAG_KIND_REF(x) mcxtag_kind_ref, tag_str_vr(&(x))
MCX_TAG_DECLARE(reason);
#define MCXTAG_REASON(x) mcxtag_reason, tag_str_v(x)
#define MCXTAG_REASON_REF(x) mcxtag_reason_ref, tag_str_vr(&(x))
/* KMS URI; and uint64_t const *, the number of a key period, valid during the
 * callback. */
MCX_TAG_DECLARE(kms);
#define MCXTAG_KMS(x) mcxtag_kms, tag_str_v(x)
#define MCXTAG_KMS_REF(x) mcxtag_kms_ref, tag_str_vr(&(x))
MCX_TAG_DECLARE(period_no);
#define MCXTAG_PERIOD_NO(x) mcxtag_period_no, tag_cptr_v(x)
#define MCXTAG_PERIOD_NO_REF(x) mcxtag_period_no_ref, tag_cptr_vr(&(x), (x))
/* struct mcx_key_info const *, valid during the callback. */
MCX_TAG_DECLARE(key_info);
#define MCXTAG_KEY_INFO(x) mcxtag_key_info, tag_cptr_v(x)
#define MCXTAG_KEY_INFO_REF(x) mcxtag_key_info_ref, tag_cptr_vr(&(x), (x))
/* struct mcx_why const *, valid during the callback. */
MCX_TAG_DECLARE(why);
#define MCXTAG_WHY(x) mcxtag_why, tag_cptr_v(x)
#define MCXTAG_WHY_REF(x) mcxtag_why_ref, tag_cptr_vr(&(x), (x))

/* Internal: how the offer/answer engine finds its instance. */
MCX_TAG_DECLARE(instance);
#define MCXTAG_INSTANCE(x) mcxtag_instance, tag_cptr_v(x)
#define MCXTAG_INSTANCE_REF(x) mcxtag_instance_ref, tag_cptr_vr(&(x), (x))

#ifdef __cplusplus
}
#endif
#endif /* MCX_TAG_H */
