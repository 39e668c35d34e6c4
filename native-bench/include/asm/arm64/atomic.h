/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One locked instruction each: a full barrier, for those that must be one and
 * for those that need not.
 */
#ifndef NATIVE_ATOMIC_H
#define NATIVE_ATOMIC_H

static inline void atomic_add(int i, atomic_t *v)
{
    __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline int atomic_add_return(int i, atomic_t *v)
{
    return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline void atomic_sub(int i, atomic_t *v)
{
    __atomic_fetch_sub(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline int atomic_sub_return(int i, atomic_t *v)
{
    return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline void atomic_and(int m, atomic_t *v)
{
    __atomic_fetch_and(&v->counter, m, __ATOMIC_SEQ_CST);
}

static inline int atomic_cmpxchg(atomic_t *v, int old, int new)
{
    __atomic_compare_exchange_n(&v->counter, &old, new, false,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);

    return old;
}

static inline int __atomic_add_unless(atomic_t *v, int a, int u)
{
    int c, old;

    c = atomic_read(v);
    while ( c != u && (old = atomic_cmpxchg(v, c, c + a)) != c )
        c = old;

    return c;
}

#endif /* NATIVE_ATOMIC_H */
