/* pf_reg.c -- the bindings of mcx-pf, found by IMPU or by MC service ID.
 *
 * Called by pf_sip.c and pf_call.c.  Two chained hash tables over one set of
 * records.  The hash is seeded: names come from the network. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "pf_reg.h"

struct pf_reg {
    uint64_t seed;
    size_t max, n, n_buckets; /* a power of two */
    struct pf_binding **by_impu, **by_mc_id;
};

/* FNV-1a, started from the seed. */
static size_t
bucket(const struct pf_reg *reg, const char *s)
{
    uint64_t h = reg->seed ^ UINT64_C(0xcbf29ce484222325);

    for (; *s != '\0'; s++) {
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    }
    h ^= h >> 32;
    return (size_t)h & (reg->n_buckets - 1);
}

mcx_err
pf_reg_new(struct pf_reg **out, const struct mcx_env *env, size_t max)
{
    struct pf_reg *reg = calloc(1, sizeof *reg);

    *out = NULL;
    if (reg == NULL) {
        return MCX_E_NOMEM;
    }
    reg->max = max;
    for (reg->n_buckets = 64; reg->n_buckets < max
                              && reg->n_buckets < ((size_t)1 << 24);) {
        reg->n_buckets *= 2;
    }
    reg->by_impu = calloc(reg->n_buckets, sizeof(struct pf_binding *));
    reg->by_mc_id = calloc(reg->n_buckets, sizeof(struct pf_binding *));
    if (reg->by_impu == NULL || reg->by_mc_id == NULL) {
        pf_reg_free(reg);
        return MCX_E_NOMEM;
    }
    if (env->random(env->ctx, &reg->seed, sizeof reg->seed) != MCX_OK) {
        pf_reg_free(reg);
        return MCX_E_IO;
    }
    *out = reg;
    return MCX_OK;
}

static void
contact_clear(struct pf_contact *c)
{
    free(c->uri);
    free(c->call_id);
    memset(c, 0, sizeof *c);
}

static void
binding_free(struct pf_binding *b)
{
    size_t i;

    for (i = 0; i < b->n_contacts; i++) {
        contact_clear(&b->contact[i]);
    }
    free(b->mc_id);
    free(b->impu);
    free(b);
}

void
pf_reg_free(struct pf_reg *reg)
{
    size_t i;

    if (reg == NULL) {
        return;
    }
    for (i = 0; reg->by_impu != NULL && i < reg->n_buckets; i++) {
        while (reg->by_impu[i] != NULL) {
            struct pf_binding *b = reg->by_impu[i];

            reg->by_impu[i] = b->next_impu;
            binding_free(b);
        }
    }
    free(reg->by_impu);
    free(reg->by_mc_id);
    free(reg);
}

size_t
pf_reg_count(const struct pf_reg *reg)
{
    return reg->n;
}

bool
pf_reg_full(const struct pf_reg *reg)
{
    return reg->n >= reg->max;
}

static struct pf_binding *
find(const struct pf_reg *reg, const char *impu)
{
    struct pf_binding *b = reg->by_impu[bucket(reg, impu)];

    while (b != NULL && strcmp(b->impu, impu) != 0) {
        b = b->next_impu;
    }
    return b;
}

static mcx_err
find_or_make(struct pf_reg *reg, const char *impu, struct pf_binding **out)
{
    struct pf_binding *b = find(reg, impu), **at;

    if (b == NULL) {
        if (reg->n >= reg->max) {
            return MCX_E_BUSY;
        }
        b = calloc(1, sizeof *b);
        if (b == NULL || (b->impu = strdup(impu)) == NULL) {
            free(b);
            return MCX_E_NOMEM;
        }
        at = &reg->by_impu[bucket(reg, impu)];
        b->next_impu = *at;
        *at = b;
        reg->n++;
    }
    *out = b;
    return MCX_OK;
}

/* Takes 'b' out of the chain of its MC service ID. */
static void
drop_mc_id(struct pf_reg *reg, struct pf_binding *b)
{
    struct pf_binding **at;

    if (b->mc_id != NULL) {
        at = &reg->by_mc_id[bucket(reg, b->mc_id)];
        while (*at != b) {
            at = &(*at)->next_mc_id;
        }
        *at = b->next_mc_id;
        b->next_mc_id = NULL;
        free(b->mc_id);
        b->mc_id = NULL;
        b->key_id = 0;
    }
}

/* Frees 'b' when it holds nothing any more. */
static void
drop_if_empty(struct pf_reg *reg, struct pf_binding *b)
{
    struct pf_binding **at;

    if (b->mc_id == NULL && b->n_contacts == 0) {
        at = &reg->by_impu[bucket(reg, b->impu)];
        while (*at != b) {
            at = &(*at)->next_impu;
        }
        *at = b->next_impu;
        binding_free(b);
        reg->n--;
    }
}

static void
remove_at(struct pf_binding *b, size_t i)
{
    contact_clear(&b->contact[i]);
    b->n_contacts--;
    memmove(&b->contact[i], &b->contact[i + 1],
            (b->n_contacts - i) * sizeof b->contact[0]);
    memset(&b->contact[b->n_contacts], 0, sizeof b->contact[0]);
}

mcx_err
pf_reg_put(struct pf_reg *reg, const char *impu, const char *contact,
           const char *call_id, uint32_t cseq, int64_t expires_ms)
{
    struct pf_binding *b;
    struct pf_contact c = { strdup(contact), strdup(call_id), cseq,
                            expires_ms };
    mcx_err err = c.uri == NULL || c.call_id == NULL
                      ? MCX_E_NOMEM
                      : find_or_make(reg, impu, &b);
    size_t i;

    if (err != MCX_OK) {
        contact_clear(&c);
        return err;
    }
    for (i = 0; i < b->n_contacts; i++) {
        const struct pf_contact *old = &b->contact[i];

        if (strcmp(old->uri, contact) == 0) {
            if (strcmp(old->call_id, call_id) == 0 && cseq < old->cseq) {
                contact_clear(&c);
                return MCX_E_STATE;
            }
            remove_at(b, i);
            break;
        }
    }
    if (b->n_contacts == PF_CONTACTS_MAX) {
        remove_at(b, PF_CONTACTS_MAX - 1);
    }
    memmove(&b->contact[1], &b->contact[0],
            b->n_contacts * sizeof b->contact[0]);
    b->contact[0] = c;
    b->n_contacts++;
    b->until_ms = 0;
    return MCX_OK;
}

bool
pf_reg_remove(struct pf_reg *reg, const char *impu, const char *contact)
{
    struct pf_binding *b = find(reg, impu);
    size_t i;
    bool none;

    if (b == NULL) {
        return true;
    }
    for (i = b->n_contacts; i-- > 0;) {
        if (contact == NULL || strcmp(b->contact[i].uri, contact) == 0) {
            remove_at(b, i);
        }
    }
    none = b->n_contacts == 0;
    drop_if_empty(reg, b);
    return none;
}

mcx_err
pf_reg_bind(struct pf_reg *reg, const char *impu, const char *mc_id,
            uint32_t key_id)
{
    struct pf_binding *b, **at;
    char *copy = strdup(mc_id);
    mcx_err err = copy == NULL ? MCX_E_NOMEM : find_or_make(reg, impu, &b);

    if (err != MCX_OK) {
        free(copy);
        return err;
    }
    drop_mc_id(reg, b);
    b->mc_id = copy;
    b->key_id = key_id;
    at = &reg->by_mc_id[bucket(reg, mc_id)];
    b->next_mc_id = *at;
    *at = b;
    return MCX_OK;
}

bool
pf_reg_unbind(struct pf_reg *reg, const char *impu, uint32_t key_id)
{
    struct pf_binding *b = find(reg, impu);

    if (b == NULL || b->mc_id == NULL || b->key_id != key_id) {
        return false;
    }
    drop_mc_id(reg, b);
    drop_if_empty(reg, b);
    return true;
}

void
pf_reg_await(struct pf_reg *reg, const char *impu, int64_t until_ms)
{
    struct pf_binding *b = find(reg, impu);

    if (b != NULL && b->n_contacts == 0) {
        b->until_ms = until_ms;
    }
}

const struct pf_binding *
pf_reg_by_impu(const struct pf_reg *reg, const char *impu)
{
    return find(reg, impu);
}

const struct pf_binding *
pf_reg_by_mc_id(const struct pf_reg *reg, const char *mc_id)
{
    const struct pf_binding *b = reg->by_mc_id[bucket(reg, mc_id)];

    while (b != NULL && strcmp(b->mc_id, mc_id) != 0) {
        b = b->next_mc_id;
    }
    return b;
}

void
pf_reg_expire(struct pf_reg *reg, int64_t now_ms,
              void (*gone)(void *arg, const char *impu), void *arg)
{
    size_t i;

    for (i = 0; i < reg->n_buckets; i++) {
        struct pf_binding *b, *next;

        for (b = reg->by_impu[i]; b != NULL; b = next) {
            size_t had = b->n_contacts, k;

            next = b->next_impu;
            for (k = had; k-- > 0;) {
                if (b->contact[k].expires_ms <= now_ms) {
                    remove_at(b, k);
                }
            }
            if (had == 0 && b->until_ms != 0 && b->until_ms <= now_ms) {
                b->until_ms = 0;
                gone(arg, b->impu);
            } else if (had > 0 && b->n_contacts == 0) {
                gone(arg, b->impu);
            }
            drop_if_empty(reg, b);
        }
    }
}

void
pf_reg_each(const struct pf_reg *reg,
            void (*each)(void *arg, const struct pf_binding *b), void *arg)
{
    size_t i;

    for (i = 0; i < reg->n_buckets; i++) {
        const struct pf_binding *b = reg->by_impu[i];

        for (; b != NULL; b = b->next_impu) {
            each(arg, b);
        }
    }
}
