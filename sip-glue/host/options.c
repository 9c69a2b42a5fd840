/* options.c -- what the configuration says to modules and of peers.
 *
 * Called by the host while an instance is made, and by modules through the
 * host table.  The syntax is mcx_config's; here is only whose a section is. */
#include <config.h>
#include <stdio.h>
#include "options.h"

#define PEER_PREFIX "peer "

static const struct mcx_opt peer_options[] = {
    { .name = "options", .type = MCX_OPT_TEXT,
      .help = "words for what this peer does differently" },
};

struct check {
    const struct mcx_config *config;
    const struct mcxh_mod *mods;
    size_t n;
    struct mcx_text *text;
    mcx_err err;
};

bool
mcxh_words(const char *list, bool (*each)(void *arg, const char *word),
           void *arg)
{
    char word[MCXH_NAME_SIZE];
    size_t n;

    while (list && *list) {
        list += strspn(list, " \t,");
        n = strcspn(list, " \t,");
        if (n == 0) {
            break;
        }
        if (n >= sizeof word) {
            return false;
        }
        memcpy(word, list, n);
        word[n] = '\0';
        if (!each(arg, word)) {
            return false;
        }
        list += n;
    }
    return true;
}

static bool
add_peer_bit(void *arg, const char *word)
{
    unsigned *bits = arg;
    unsigned bit = mcx_peer_option_parse(word);

    *bits |= bit;
    return bit != 0;
}

static mcx_err
check_peer(struct check *c, const char *section, const char *file, int line)
{
    const char *list;
    unsigned bits = 0;

    MCX_TRY(mcx_config_check(c->config, section, peer_options, 1, c->text));
    list = mcx_config_get(c->config, section, "options");
    if (!mcxh_words(list, add_peer_bit, &bits)) {
        snprintf(c->text->s, sizeof c->text->s,
                 "%s:%d: [%.128s]: options = %.128s: expected peer option "
                 "words such as sdp-ids or rel13-map", file, line, section,
                 list ? list : "");
        return MCX_E_CONFIG;
    }
    return MCX_OK;
}

static void
check_section(void *arg, const char *section, const char *file, int line)
{
    struct check *c = arg;

    if (c->err != MCX_OK || !section[0]) {
        return;
    }
    file = file ? file : "configuration";
    if (strncmp(section, PEER_PREFIX, sizeof PEER_PREFIX - 1) == 0) {
        c->err = check_peer(c, section, file, line);
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct mcx_module *d = c->mods[i].desc;
        if (strcmp(c->mods[i].name, section) == 0) {
            /* One that did not load has no table to check against. */
            c->err = d ? mcx_config_check(c->config, section, d->options,
                                          d->n_options, c->text)
                       : MCX_OK;
            return;
        }
    }
    snprintf(c->text->s, sizeof c->text->s,
             "%s:%d: [%.128s]: expected \"peer URI\" or the name of a module "
             "in \"modules\"", file, line, section);
    c->err = MCX_E_CONFIG;
}

mcx_err
mcxh_options_check(const struct mcx_config *config,
                   const struct mcxh_mod *mods, size_t n,
                   struct mcx_text *text)
{
    struct check c = { config, mods, n, text, MCX_OK };

    mcx_config_sections(config, check_section, &c);
    return c.err;
}

const char *
mcxh_option(const struct mcx_config *config, const struct mcxh_mod *mods,
            size_t n, const char *module, const char *name)
{
    const char *value = mcx_config_get(config, module, name);

    for (size_t i = 0; i < n && !value; i++) {
        const struct mcx_module *d = mods[i].desc;
        if (!d || strcmp(d->name, module) != 0) {
            continue;
        }
        for (size_t k = 0; k < d->n_options; k++) {
            if (strcmp(d->options[k].name, name) == 0) {
                return d->options[k].fallback;
            }
        }
    }
    return value;
}

unsigned
mcxh_peer_options(const struct mcx_config *config, const char *uri)
{
    char section[sizeof PEER_PREFIX + MCX_URI_MAX];
    const char *list = NULL;
    unsigned bits = 0;
    int n = snprintf(section, sizeof section, PEER_PREFIX "%s",
                     uri ? uri : "*");

    if (n > 0 && (size_t)n < sizeof section) {
        list = mcx_config_get(config, section, "options");
    }
    if (!list) {
        list = mcx_config_get(config, PEER_PREFIX "*", "options");
    }
    (void)mcxh_words(list, add_peer_bit, &bits);
    return bits;
}

/* ---- monthly-tel ------------------------------------------------------- */

struct monthly {
    const struct mcx_config *config;
    struct mcx_ring *ring;
    mcx_err err;
};

static void
allow_section(void *arg, const char *section, const char *file, int line)
{
    struct monthly *m = arg;
    const char *uri = section + sizeof PEER_PREFIX - 1;

    (void)file;
    (void)line;
    if (m->err != MCX_OK
        || strncmp(section, PEER_PREFIX, sizeof PEER_PREFIX - 1) != 0
        || !(mcxh_peer_options(m->config, uri) & MCX_PEER_MONTHLY_TEL)) {
        return;
    }
    if (strcmp(uri, "*") == 0) {
        mcx_ring_allow(m->ring, MCX_PEER_MONTHLY_TEL);
    } else {
        m->err = mcx_ring_allow_kms(m->ring, uri, MCX_PEER_MONTHLY_TEL);
    }
}

mcx_err
mcxh_monthly_tel(struct mcx_ring *ring, const struct mcx_config *config,
                 struct mcx_text *text)
{
    const char *value = mcx_config_get(config, NULL, "monthly-tel");
    struct monthly m = { config, ring, MCX_OK };

    if (value && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        snprintf(text->s, sizeof text->s,
                 "monthly-tel = %.64s: expected yes or no", value);
        return MCX_E_CONFIG;
    }
    mcx_config_sections(config, allow_section, &m);
    if (value && strcmp(value, "yes") == 0) {
        mcx_ring_allow(ring, MCX_PEER_MONTHLY_TEL);
    }
    return m.err;
}
