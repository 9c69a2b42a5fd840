/* public.h -- marks what a secret-dependent computation makes public, for the
 * constant-time check.  With MCX_CT (make check-ct) the checker is told; in
 * any other build nothing is compiled. */
#ifndef MCX_FIELD_PUBLIC_H
#define MCX_FIELD_PUBLIC_H

#if defined MCX_CT && defined __has_feature
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define MCX_PUBLIC(p, n) __msan_unpoison((p), (n))
#define MCX_HIDDEN(p, n) __msan_allocated_memory((p), (n))
#endif
#endif
#if defined MCX_CT && !defined MCX_PUBLIC
#include <valgrind/memcheck.h>
#define MCX_PUBLIC(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#define MCX_HIDDEN(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))
#endif
#ifndef MCX_PUBLIC
#define MCX_PUBLIC(p, n) ((void)(p))
#define MCX_HIDDEN(p, n) ((void)(p))
#endif

#endif /* MCX_FIELD_PUBLIC_H */
