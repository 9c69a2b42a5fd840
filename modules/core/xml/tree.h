/* tree.h -- a foreign XML text as a small tree of our own.
 *
 * libxml2 is used as a tokenizer only: it reads our copy of the text in place,
 * calls tree.c for every tag and run of characters, and never builds a tree.
 * So every octet of a document that may be a key lies in memory that we wipe,
 * and what no document of ours needs (DTD, entities, other encodings than
 * UTF-8, depth, thousands of attributes) is refused while reading.  Called by
 * the files kms_*.c and by mcinfo.c.  libxml2 is included here and, with
 * xmlsec1, in sig.c, and nowhere else in the project. */
#ifndef MCX_CORE_XML_TREE_H
#define MCX_CORE_XML_TREE_H

#include <sofia-mcx/mcx_kms.h>

enum {
    MCX_XML_NAME_MAX = 32,       /* longest name that we look for is 24     */
    MCX_XML_NODES_MAX = 65536,   /* elements of a document                  */
    MCX_XML_EQUALS_MAX = 128,    /* '=' between two '<': bounds attributes  */
    MCX_XML_ATTR_MAX = 48        /* octets of an attribute value            */
};

enum mcx_xml_ns {
    MCX_XML_NS_NONE,
    MCX_XML_NS_GKTP,
    MCX_XML_NS_KRR,
    MCX_XML_NS_KRR_MORE,
    MCX_XML_NS_KMS,
    MCX_XML_NS_MCINFO,
    MCX_XML_NS_DSIG,
    MCX_XML_NS_XENC,
    MCX_XML_NS_OTHER
};

/* One element.  Names and attribute values too long for their field are "?",
 * which equals nothing that we look for. */
struct mcx_xml {
    char name[MCX_XML_NAME_MAX]; /* local name */
    enum mcx_xml_ns ns;
    int line;
    size_t at;     /* octets from the start of the document, of its '<' */
    size_t end;    /* and of what follows the element                   */
    char *text;    /* the character data directly in it, NUL terminated; may
                      be secret; NULL: none */
    size_t text_n;
    size_t text_room;
    bool mixed;    /* a comment or processing instruction stands in it   */
    bool relative; /* of the document element: a namespace in the document
                      is no absolute URI; there is no canonical form       */
    char type[MCX_XML_ATTR_MAX];     /* attribute "type"                 */
    char role[MCX_XML_ATTR_MAX];     /* attribute "Role"                 */
    char xsi_type[MCX_XML_ATTR_MAX]; /* attribute "xsi:type", no prefix  */
    char cache_num[MCX_XML_ATTR_MAX]; /* attribute "CacheNum"            */
    char id[MCX_XML_ATTR_MAX];        /* attribute "Id"              */
    char algorithm[MCX_XML_ATTR_MAX]; /* attribute "Algorithm"       */
    char id_lower[MCX_XML_ATTR_MAX];   /* attribute "id"             */
    char activation[MCX_XML_ATTR_MAX]; /* attribute "activationtime" */
    char *group; /* attribute "temporary-MCPTT-group-ID", of any size, or
                    NULL */
    struct mcx_xml *parent, *first, *last, *next;
    struct mcx_xml *older; /* every node of the document, for freeing    */
};

/* Why a text is not a document we read.  Static words only. */
struct mcx_xml_fault {
    mcx_err err;
    mcx_reason reason;
    int line;
    size_t at;
    const char *what;
};

/* Reads 'xml' of at most 'max' octets.  On success '*root' is the document
 * element, to be freed with mcx_xml_free(). */
mcx_err mcx_xml_read(struct mcx_xml **root, struct mcx_bytes xml, size_t max,
                     struct mcx_xml_fault *fault) MCX_MUST_USE;
/* Wipes and frees the whole document of 'root'; NULL allowed. */
void mcx_xml_free(struct mcx_xml *root);

/* The first child of 'parent' (or the next after 'after') called 'name'. */
const struct mcx_xml *mcx_xml_child(const struct mcx_xml *parent,
                                    const char *name);
const struct mcx_xml *mcx_xml_again(const struct mcx_xml *after,
                                    const char *name);
/* Is there nothing but white space between the children? */
bool mcx_xml_blank(const struct mcx_xml *node);
/* The text of an element without children, outer white space cut off (the
 * "collapse" of XML schema).  False: something else than text is in it. */
bool mcx_xml_text(struct mcx_bytes *out, const struct mcx_xml *leaf);

#endif /* MCX_CORE_XML_TREE_H */
