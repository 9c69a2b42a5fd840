/* out.c -- see out.h. */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include "out.h"

static void
append(struct mcx_out *o, const char *s, size_t n)
{
    if (o->failed) {
        return;
    }
    if (n >= o->room - o->n) {
        size_t room = (o->n + n + 1) * 2 + 2048;
        char *bigger = malloc(room);

        if (!bigger) {
            o->failed = true;
            return;
        }
        if (o->p) {
            memcpy(bigger, o->p, o->n);
            mcx_wipe(o->p, o->room);
            free(o->p);
        }
        o->p = bigger;
        o->room = room;
    }
    memcpy(o->p + o->n, s, n);
    o->n += n;
    o->p[o->n] = '\0';
}

void
mcx_out_raw(struct mcx_out *o, const char *s)
{
    append(o, s, strlen(s));
}

void
mcx_out_octets(struct mcx_out *o, struct mcx_bytes b)
{
    append(o, (const char *)b.p, b.n);
}

void
mcx_out_text(struct mcx_out *o, const char *s)
{
    for (; *s; s++) {
        const char *as = *s == '&'    ? "&amp;"
                         : *s == '<'  ? "&lt;"
                         : *s == '>'  ? "&gt;"
                         : *s == '"'  ? "&quot;"
                         : *s == '\'' ? "&apos;"
                                      : NULL;

        if (as) {
            append(o, as, strlen(as));
        } else {
            append(o, s, 1);
        }
    }
}

void
mcx_out_hex(struct mcx_out *o, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789ABCDEF";
    char two[2];
    size_t i;

    for (i = 0; i < n; i++) {
        two[0] = digit[p[i] >> 4];
        two[1] = digit[p[i] & 15];
        append(o, two, 2);
    }
    mcx_wipe(two, sizeof two);
}

void
mcx_out_leaf(struct mcx_out *o, unsigned indent, const char *name,
             const char *text)
{
    while (indent-- > 0) {
        append(o, " ", 1);
    }
    mcx_out_raw(o, "<");
    mcx_out_raw(o, name);
    mcx_out_raw(o, ">");
    mcx_out_text(o, text);
    mcx_out_raw(o, "</");
    mcx_out_raw(o, name);
    mcx_out_raw(o, ">\n");
}

void
mcx_out_number(struct mcx_out *o, unsigned indent, const char *name,
               uint64_t v)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    mcx_out_leaf(o, indent, name, text);
}

mcx_err
mcx_out_take(struct mcx_out *o, char **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (o->failed || !o->p) {
        mcx_kms_text_free(o->p, o->n);
        return MCX_E_NOMEM;
    }
    *out = o->p;
    *n = o->n;
    return MCX_OK;
}

void
mcx_kms_text_free(char *text, size_t n)
{
    if (text) {
        mcx_wipe(text, n);
        free(text);
    }
}
