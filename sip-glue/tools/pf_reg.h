/* pf_reg.h -- who is where, and who is who: the table of mcx-pf.
 *
 * One binding for each IMPU: its contacts from REGISTER (RFC 3261 10.3) and,
 * joined to them, the MC service ID and CSK-ID from the key store (TS 33.180
 * 5.4).  It comes into being by whichever arrives first and goes when neither
 * is left.  No SIP types and no clock: times are given.  Loop only. */
#ifndef PF_REG_H
#define PF_REG_H

#include <stdbool.h>
#include <sofia-mcx/mcx_env.h>

enum { PF_CONTACTS_MAX = 4 }; /* of one IMPU; the oldest makes room */

struct pf_contact {
    char *uri;
    char *call_id;
    uint32_t cseq;
    int64_t expires_ms; /* monotonic clock */
};
struct pf_binding {
    char *impu;
    char *mc_id; /* NULL: no key yet */
    uint32_t key_id;
    int64_t until_ms; /* no contact yet: until then it may come; 0 */
    struct pf_contact contact[PF_CONTACTS_MAX]; /* newest first */
    size_t n_contacts;
    struct pf_binding *next_impu, *next_mc_id; /* private */
};

struct pf_reg;

/* 'max': bindings.  MCX_E_NOMEM, MCX_E_IO (no randomness). */
mcx_err pf_reg_new(struct pf_reg **out, const struct mcx_env *env,
                   size_t max) MCX_MUST_USE;
void pf_reg_free(struct pf_reg *reg); /* NULL allowed */
size_t pf_reg_count(const struct pf_reg *reg);
bool pf_reg_full(const struct pf_reg *reg); /* for one more IMPU */

/* Adds or refreshes a contact.  MCX_E_BUSY: table full; MCX_E_STATE: an older
 * CSeq of the same Call-ID; MCX_E_NOMEM. */
mcx_err pf_reg_put(struct pf_reg *reg, const char *impu, const char *contact,
                   const char *call_id, uint32_t cseq,
                   int64_t expires_ms) MCX_MUST_USE;
/* Removes one contact, all with 'contact' NULL.  True: none is left. */
bool pf_reg_remove(struct pf_reg *reg, const char *impu, const char *contact);
/* The key of an IMPU, and its end.  MCX_E_BUSY, MCX_E_NOMEM.  pf_reg_unbind()
 * does nothing when another key than 'key_id' has been bound since. */
mcx_err pf_reg_bind(struct pf_reg *reg, const char *impu, const char *mc_id,
                    uint32_t key_id) MCX_MUST_USE;
bool pf_reg_unbind(struct pf_reg *reg, const char *impu, uint32_t key_id);

/* The key of 'impu' is one of before a restart and its contact is not known:
 * it goes with pf_reg_expire() when none has come until 'until_ms'. */
void pf_reg_await(struct pf_reg *reg, const char *impu, int64_t until_ms);

/* Look-ups; octet for octet.  NULL: none.  Valid until the next change. */
const struct pf_binding *pf_reg_by_impu(const struct pf_reg *reg,
                                        const char *impu);
const struct pf_binding *pf_reg_by_mc_id(const struct pf_reg *reg,
                                         const char *mc_id);

/* Removes contacts whose time is over; calls 'gone' for each IMPU that has
 * none left by that, or whose contact was awaited and did not come.
 * 'gone' may not change the table. */
void pf_reg_expire(struct pf_reg *reg, int64_t now_ms,
                   void (*gone)(void *arg, const char *impu), void *arg);
void pf_reg_each(const struct pf_reg *reg,
                 void (*each)(void *arg, const struct pf_binding *b),
                 void *arg);

#endif /* PF_REG_H */
