/* sig.h -- XML signatures: what they cover, and what is to be keyed.  Called
 * by kms_sign.c; sig.c is the only file that sees xmlsec1 and a tree of
 * libxml2's. */
#ifndef MCX_CORE_XML_SIG_H
#define MCX_CORE_XML_SIG_H

#include <sofia-mcx/mcx_kmssec.h>

#define MCX_SIG_C14N "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
#define MCX_SIG_HMAC "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
#define MCX_SIG_SHA "http://www.w3.org/2001/04/xmlenc#sha256"
#define MCX_SIG_NS "http://www.w3.org/2000/09/xmldsig#"

enum { MCX_SIG_DIGEST_TEXT = 64 };

/* SECRET where the document is: 'body' is the part of it that the signature
 * covers. */
struct mcx_sig {
    char *info; /* SignedInfo in canonical form: what the HMAC is over */
    size_t info_n;
    char *body; /* canonical form of what was digested; not when making */
    size_t body_n;
    char digest[MCX_SIG_DIGEST_TEXT]; /* text of DigestValue            */
    char key_name[MCX_TKEY_ID_MAX];   /* KeyInfo/KeyName; "" : none     */
    uint8_t mac[MCX_KW_MAC_SIZE];     /* SignatureValue; not when making */
};
/* Wipes and frees what is in it. */
void mcx_sig_wipe(struct mcx_sig *sig);

/* 'xml' is one of our own documents with an empty DigestValue: computes it,
 * and the SignedInfo that goes with it. */
mcx_err mcx_sig_make(struct mcx_sig *out, struct mcx_bytes xml) MCX_MUST_USE;
/* 'xml' has passed mcx_xml_read(); its root must be 'root' and the element in
 * it 'inner'.  Judges form and digest as mcx_kms_verify() says; the HMAC is
 * left to the caller. */
mcx_err mcx_sig_take(struct mcx_sig *out, struct mcx_bytes xml,
                     const char *root, const char *inner,
                     struct mcx_text *text) MCX_MUST_USE;

#endif /* MCX_CORE_XML_SIG_H */
