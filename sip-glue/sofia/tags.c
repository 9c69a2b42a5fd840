/* tags.c -- MCXTAG_*: the tag types of mcx_tag.h.
 *
 * Data only.  The names are never hidden and never bound early, since sofia
 * compares tags by address. */
#include <config.h>
#define TAG_NAMESPACE "mcx"
#include <sofia-sip/su_tag_class.h>
#include <sofia-mcx/mcx_tag.h>

#define DEFINE(name, type)                                                    \
    tag_typedef_t mcxtag_##name = type##TAG_TYPEDEF(name);                    \
    tag_typedef_t mcxtag_##name##_ref = REFTAG_TYPEDEF(mcxtag_##name)

tag_typedef_t mcxtag_any = NSTAG_TYPEDEF(*);

DEFINE(config, STR);
DEFINE(set, STR);
DEFINE(module_dir, STR);
DEFINE(identity, STR);
DEFINE(keys, STR);
DEFINE(psi, STR);
DEFINE(modules, STR);
DEFINE(env, PTR);
DEFINE(callback, PTR);
DEFINE(nua_magic, PTR);
DEFINE(error, PTR);
DEFINE(peer, STR);
DEFINE(impu, STR);
DEFINE(key_id, UINT);
DEFINE(kind, STR);
DEFINE(reason, STR);
DEFINE(key_info, PTR);
DEFINE(kms, STR);
DEFINE(period_no, PTR);
DEFINE(token_callback, PTR);
DEFINE(why, PTR);
DEFINE(instance, PTR);
