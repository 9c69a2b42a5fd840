/* words.c -- peer options as words, for configuration, logs and tools.  Those
 * of key kinds are in the table, kinds.c. */
#include <config.h>
#include <sofia-mcx/mcx_mikey.h>

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
    { MCX_PEER_REL13_V, "rel13-v" },
    { MCX_PEER_MKFC_GUK, "mkfc-guk" },
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
