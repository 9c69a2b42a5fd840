/* mcx_secret.h -- how secret octets are kept.
 *
 * Each kind of secret has its own struct, so that one cannot be passed for
 * another.  A local of such a type is declared with MCX_SECRET, which wipes it
 * on every way out of its scope; a long-lived one sits in guarded memory:
 * pages of its own, guard pages around them, locked, left out of core dumps,
 * wiped when freed.  Nothing here logs, prints or copies a secret
 * elsewhere. */
#ifndef MCX_SECRET_H
#define MCX_SECRET_H

#include <stdbool.h>
#include <sofia-mcx/mcx_err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Overwrites 'n' octets with zero; never optimised away. */
MCX_API void mcx_wipe(void *p, size_t n);

/* Overwrites the stack below the caller, MCX_STACK_WIPED octets of it.  A
 * secret that was wiped where it was declared may still lie there: in
 * registers that the compiler or the dynamic linker saved.  For a thread that
 * has worked on secrets and goes on living; the worker pool calls it after
 * each piece of work. */
enum { MCX_STACK_WIPED = 128 * 1024 };
MCX_API void mcx_wipe_stack(void);

/* Equal?  Time depends on 'n' only. */
MCX_API bool mcx_secret_eq(const void *a, const void *b, size_t n);

/* Declares the wiper that MCX_SECRET needs for 'struct tag'. */
#define MCX_SECRET_TYPE(tag)                                                  \
    static inline void tag##_wipe(struct tag *s_)                             \
    {                                                                         \
        mcx_wipe(s_, sizeof *s_);                                             \
    }                                                                         \
    struct tag
/* `MCX_SECRET(mcx_ssv, ssv);` is a zeroed local `struct mcx_ssv ssv` that is
 * wiped when it goes out of scope. */
#define MCX_SECRET(tag, name)                                                 \
    __attribute__((cleanup(tag##_wipe))) struct tag name = { 0 }

enum {
    MCX_SSV_SIZE = 16,  /* shared secret value, every 3GPP key: n = 128 bits */
    MCX_RSK_SIZE = 257, /* receiver secret key: 0x04 | x (128) | y (128)     */
    MCX_SSK_SIZE = 32,  /* secret signing key                                */
    MCX_TEK_MAX = 32,   /* traffic key                                       */
    MCX_SALT_MAX = 14,  /* master salt                                       */
    MCX_PSK_MAX = 64    /* pre-shared key                                    */
};

struct mcx_ssv { uint8_t b[MCX_SSV_SIZE]; }; /* SSV = the key carried        */
struct mcx_rsk { uint8_t b[MCX_RSK_SIZE]; };
struct mcx_ssk { uint8_t b[MCX_SSK_SIZE]; };
MCX_SECRET_TYPE(mcx_ssv);
MCX_SECRET_TYPE(mcx_rsk);
MCX_SECRET_TYPE(mcx_ssk);

/* Guarded memory: 'n' zeroed octets, aligned for any type, n from 1 to 1 MiB.
 * NULL when there is none.  Blocks up to 1024 octets share slabs, so a hundred
 * thousand small keys stay cheap; locking is asked for and not insisted on
 * (RLIMIT_MEMLOCK).  Threads: any. */
MCX_API void *mcx_guard_new(size_t n) MCX_MUST_USE;
/* Wipes and frees; NULL allowed.  'p' must come from mcx_guard_new(). */
MCX_API void mcx_guard_free(void *p);

#ifdef __cplusplus
}
#endif
#endif /* MCX_SECRET_H */
