/* SPDX-License-Identifier: GPL-2.0-only */
/* One locked instruction each. */
#ifndef NATIVE_CMPXCHG_H
#define NATIVE_CMPXCHG_H

#include <xen/types.h>

#define xchg(ptr, x) __atomic_exchange_n(ptr, x, __ATOMIC_SEQ_CST)

#define cmpxchg(ptr, o, n) ({                                                 \
    __auto_type old_ = (__typeof__(*(ptr)))(o);                               \
                                                                              \
    __atomic_compare_exchange_n(ptr, &old_, (__typeof__(*(ptr)))(n), false,   \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);          \
    old_;                                                                     \
})
#define cmpxchg64(ptr, o, n) cmpxchg(ptr, o, n)

/* Of guests' memory, which is not there: for headers that name them. */
unsigned long __cmpxchg(volatile void *ptr, unsigned long old,
                        unsigned long new, int size);
bool __cmpxchg_timeout(volatile void *ptr, unsigned long *old,
                       unsigned long new, int size, unsigned int max_try);
#define __cmpxchg64_timeout(ptr, old, new, max_try) \
    __cmpxchg_timeout(ptr, old, new, 8, max_try)

#endif /* NATIVE_CMPXCHG_H */
