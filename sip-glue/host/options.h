/* options.h -- settings of modules: which exist, and what they are. */
#ifndef MCXH_OPTIONS_H
#define MCXH_OPTIONS_H

#include "loader.h"

/* Checks the section of each module against its descriptor, and that there is
 * no section that belongs to nobody: "peer ..." and the names in 'mods' are
 * known.  MCX_E_CONFIG with 'text' naming file, line and what was expected. */
mcx_err mcxh_options_check(const struct mcx_config *config,
                           const struct mcxh_mod *mods, size_t n,
                           struct mcx_text *text) MCX_MUST_USE;

/* The setting, the fallback of the module's table, or NULL. */
const char *mcxh_option(const struct mcx_config *config,
                        const struct mcxh_mod *mods, size_t n,
                        const char *module, const char *name);

/* MCX_PEER_* of section "peer URI"; of "peer *" when there is none. */
unsigned mcxh_peer_options(const struct mcx_config *config, const char *uri);

/* Lets KMSs with monthly keys (RFC 6509 3.2) into 'ring': all with the setting
 * `monthly-tel = yes` or with that word for "peer *", one with the word in
 * "peer KMS-URI".  Before keys are loaded.  MCX_E_CONFIG with 'text',
 * MCX_E_NOMEM. */
mcx_err mcxh_monthly_tel(struct mcx_ring *ring,
                         const struct mcx_config *config,
                         struct mcx_text *text) MCX_MUST_USE;

/* Splits 'list' at white space; calls 'each' with a word of at most
 * MCXH_NAME_SIZE - 1 characters.  false as soon as 'each' returns false, or
 * for a longer word. */
bool mcxh_words(const char *list, bool (*each)(void *arg, const char *word),
                void *arg);

#endif /* MCXH_OPTIONS_H */
