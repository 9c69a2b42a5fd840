/* store_pack.c -- keys and events as octets, and back.  See store.h.  What is
 * packed is sealed at once; what is unpacked was unsealed, and so is ours;
 * sizes are checked all the same.
 *
 * Integers most significant octet first; a text is its size in 2 octets and
 * its characters.  A packed thing is filled with zeros to a multiple of 64
 * octets, so that sizes in the file tell little of names. */
#include <config.h>
#include "store.h"

enum { FORM = 1, STEP = 64 };

struct put {
    uint8_t *p;
    size_t n; /* cannot overrun: STORE_BODY holds all texts at their largest */
};
struct get {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static void
put_u(struct put *o, uint64_t v, unsigned size)
{
    unsigned i;

    for (i = 0; i < size; i++) {
        o->p[o->n++] = (uint8_t)(v >> (8 * (size - 1 - i)));
    }
}

static void
put_b(struct put *o, const void *p, size_t n)
{
    memcpy(o->p + o->n, p, n);
    o->n += n;
}

static void
put_s(struct put *o, const char *s, size_t room)
{
    size_t n = strnlen(s, room - 1);

    put_u(o, n, 2);
    put_b(o, s, n);
}

static size_t
put_end(struct put *o)
{
    while (o->n % STEP != 0) {
        o->p[o->n++] = 0;
    }
    return o->n;
}

static uint64_t
get_u(struct get *i, unsigned size)
{
    uint64_t v = 0;
    unsigned k;

    if (i->bad || i->n - i->at < size) {
        i->bad = true;
        return 0;
    }
    for (k = 0; k < size; k++) {
        v = v << 8 | i->p[i->at++];
    }
    return v;
}

static void
get_b(struct get *i, void *out, size_t n)
{
    if (i->bad || i->n - i->at < n) {
        i->bad = true;
        return;
    }
    memcpy(out, i->p + i->at, n);
    i->at += n;
}

static void
get_s(struct get *i, char *out, size_t room)
{
    size_t n = (size_t)get_u(i, 2);

    out[0] = '\0';
    if (n >= room) {
        i->bad = true;
        return;
    }
    get_b(i, out, n);
    out[i->bad ? 0 : n] = '\0';
}

void
store_put_u64(uint8_t out[8], uint64_t v)
{
    struct put o = { out, 0 };

    put_u(&o, v, 8);
}

uint64_t
store_get_u64(const uint8_t in[8])
{
    struct get i = { in, 8, 0, false };

    return get_u(&i, 8);
}

size_t
store_pack_key(uint8_t out[STORE_BODY], const struct mcx_key_record *rec)
{
    struct put o = { out, 0 };

    put_u(&o, FORM, 1);
    put_u(&o, rec->kind, 1);
    put_u(&o, rec->key_id, 4);
    put_u(&o, rec->csb_id, 4);
    put_u(&o, rec->ours, 1);
    put_u(&o, rec->prf, 1);
    put_u(&o, (uint64_t)rec->t_unix_ms, 8);
    put_u(&o, (uint64_t)rec->activation_unix_ms, 8);
    put_u(&o, (uint64_t)rec->expiry_unix_ms, 8);
    put_u(&o, rec->sp.encr_alg, 1);
    put_u(&o, rec->sp.key_size, 1);
    put_u(&o, rec->sp.salt_size, 1);
    put_u(&o, rec->sp.tag_size, 1);
    put_u(&o, rec->sp.rcc_mode3, 1);
    put_u(&o, rec->sp.roc_rate, 2);
    put_u(&o, sizeof rec->key, 1);
    put_b(&o, &rec->key, sizeof rec->key);
    put_u(&o, rec->rand_n, 1);
    put_b(&o, rec->rand, rec->rand_n);
    put_s(&o, rec->initiator, sizeof rec->initiator);
    put_s(&o, rec->responder, sizeof rec->responder);
    put_s(&o, rec->owner.impu, sizeof rec->owner.impu);
    put_s(&o, rec->owner.mc_id, sizeof rec->owner.mc_id);
    put_s(&o, rec->owner.client_id, sizeof rec->owner.client_id);
    return put_end(&o);
}

bool
store_unpack_key(struct mcx_key_record *rec, struct mcx_bytes in)
{
    struct get i = { in.p, in.n, 0, false };

    i.bad = get_u(&i, 1) != FORM;
    rec->kind = (unsigned)get_u(&i, 1);
    rec->key_id = (uint32_t)get_u(&i, 4);
    rec->csb_id = (uint32_t)get_u(&i, 4);
    rec->ours = get_u(&i, 1) != 0;
    rec->prf = (uint8_t)get_u(&i, 1);
    rec->t_unix_ms = (int64_t)get_u(&i, 8);
    rec->activation_unix_ms = (int64_t)get_u(&i, 8);
    rec->expiry_unix_ms = (int64_t)get_u(&i, 8);
    rec->sp.encr_alg = (uint8_t)get_u(&i, 1);
    rec->sp.key_size = (uint8_t)get_u(&i, 1);
    rec->sp.salt_size = (uint8_t)get_u(&i, 1);
    rec->sp.tag_size = (uint8_t)get_u(&i, 1);
    rec->sp.rcc_mode3 = get_u(&i, 1) != 0;
    rec->sp.roc_rate = (uint16_t)get_u(&i, 2);
    i.bad = get_u(&i, 1) != sizeof rec->key || i.bad;
    get_b(&i, &rec->key, sizeof rec->key);
    rec->rand_n = (uint8_t)get_u(&i, 1);
    get_b(&i, rec->rand, rec->rand_n);
    get_s(&i, rec->initiator, sizeof rec->initiator);
    get_s(&i, rec->responder, sizeof rec->responder);
    get_s(&i, rec->owner.impu, sizeof rec->owner.impu);
    get_s(&i, rec->owner.mc_id, sizeof rec->owner.mc_id);
    get_s(&i, rec->owner.client_id, sizeof rec->owner.client_id);
    return !i.bad;
}

size_t
store_pack_event(uint8_t out[STORE_BODY], const struct mcx_store_event *event)
{
    struct put o = { out, 0 };

    put_u(&o, FORM, 1);
    put_u(&o, (uint64_t)event->unix_ms, 8);
    put_u(&o, event->what, 1);
    put_u(&o, event->kind, 1);
    put_u(&o, event->key_id, 4);
    put_u(&o, event->end, 1);
    put_u(&o, event->count, 4);
    put_u(&o, event->ours, 1);
    put_s(&o, event->by, sizeof event->by);
    put_s(&o, event->initiator, sizeof event->initiator);
    put_s(&o, event->responder, sizeof event->responder);
    put_s(&o, event->impu, sizeof event->impu);
    put_s(&o, event->mc_id, sizeof event->mc_id);
    return put_end(&o);
}

bool
store_unpack_event(struct mcx_store_event *event, struct mcx_bytes in)
{
    struct get i = { in.p, in.n, 0, false };

    i.bad = get_u(&i, 1) != FORM;
    event->unix_ms = (int64_t)get_u(&i, 8);
    event->what = (unsigned)get_u(&i, 1);
    event->kind = (unsigned)get_u(&i, 1);
    event->key_id = (uint32_t)get_u(&i, 4);
    event->end = (enum mcx_key_end)get_u(&i, 1);
    event->count = (uint32_t)get_u(&i, 4);
    event->ours = get_u(&i, 1) != 0;
    get_s(&i, event->by, sizeof event->by);
    get_s(&i, event->initiator, sizeof event->initiator);
    get_s(&i, event->responder, sizeof event->responder);
    get_s(&i, event->impu, sizeof event->impu);
    get_s(&i, event->mc_id, sizeof event->mc_id);
    return !i.bad;
}
