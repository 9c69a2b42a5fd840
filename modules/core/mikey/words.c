/* words.c -- kinds of keys and peer options as words, for configuration, logs
 * and tools. */
#include <config.h>
#include <sofia-mcx/mcx_mikey.h>

static const char *const kind_words[MCX_KIND_COUNT] = {
    [MCX_KIND_GMK] = "gmk",     [MCX_KIND_PCK] = "pck",
    [MCX_KIND_CSK] = "csk",     [MCX_KIND_SPK] = "spk",
    [MCX_KIND_MKFC] = "mkfc",   [MCX_KIND_MSCCK] = "mscck",
    [MCX_KIND_MUSIK] = "musik",
};

const char *
mcx_kind_word(unsigned kind)
{
    return kind < MCX_KIND_COUNT ? kind_words[kind] : NULL;
}

int
mcx_kind_parse(const char *word)
{
    int kind;

    for (kind = 0; word && kind < MCX_KIND_COUNT; kind++) {
        if (strcmp(kind_words[kind], word) == 0) {
            return kind;
        }
    }
    return -1;
}

static const struct {
    unsigned bit;
    const char *word;
} peer_words[] = {
    { MCX_PEER_SIGN_WITHOUT_HEADER, "sign-without-header" },
    { MCX_PEER_STATUS_ZERO_IS_LIVE, "status-zero-is-live" },
    { MCX_PEER_SDP_IDS, "sdp-ids" },
    { MCX_PEER_KEYMGMT_ALIAS, "keymgmt-alias" },
    { MCX_PEER_REL13_MAP, "rel13-map" },
    { MCX_PEER_REL13_CS_ID, "rel13-cs-id" },
    { MCX_PEER_REL13_PARAMS, "rel13-params" },
    { MCX_PEER_XML_KEY_XPK, "xml-key-xpk" },
    { MCX_PEER_MONTHLY_TEL, "monthly-tel" },
};

unsigned
mcx_peer_option_parse(const char *word)
{
    size_t i;

    for (i = 0; word && i < sizeof peer_words / sizeof peer_words[0]; i++) {
        if (strcmp(peer_words[i].word, word) == 0) {
            return peer_words[i].bit;
        }
    }
    return 0;
}

const char *
mcx_peer_option_word(unsigned bit)
{
    size_t i;

    for (i = 0; i < sizeof peer_words / sizeof peer_words[0]; i++) {
        if (peer_words[i].bit == bit) {
            return peer_words[i].word;
        }
    }
    return NULL;
}
