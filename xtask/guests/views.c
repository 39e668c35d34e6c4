// SPDX-License-Identifier: GPL-2.0-only
// role=views: each CPU does what the monitor orders, and nothing else that would touch memory but its own code and
// stack. So it is known which accesses a view has to meet.

#include "guest.h"
#include "views.h"

#define ORDERS ((struct orders *)ORDERS_AT)

// As mmu.c has them.
#define ATTRIBUTES ((1UL << 10) | (3UL << 8) | 3UL)
#define ENTRY ((volatile uint64_t *)TEST_TABLE(0))
#define MAPPED ((volatile uint64_t *)TEST_VA(0))

static uint64_t get(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void put(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t touch(uint64_t from, uint64_t count, uint64_t apart, uint64_t times)
{
    uint64_t sum = 0;

    for ( ; times != 0; times-- )
        for ( uint64_t i = 0; i < count; i++ )
            sum += *(volatile uint64_t *)(from + i * apart);
    return sum;
}

// Break-before-make, with the invalidation that Xen does not trap.
static void map(uint64_t frame)
{
    *ENTRY = 0;
    asm volatile("dsb ishst; tlbi vaae1is, %0; dsb ish" : : "r"(TEST_VA(0) >> 12) : "memory");
    *ENTRY = frame | ATTRIBUTES;
    asm volatile("dsb ishst; isb" : : : "memory");
}

// How often it was not what its own page has.
static uint64_t flip(uint64_t times, uint64_t one, uint64_t other)
{
    uint64_t wrong = 0;

    put(&ORDERS->seen, 0);
    for ( uint64_t n = 1; n <= times; n++ )
    {
        uint64_t frame = n & 1 ? one : other;

        map(frame);
        wrong += *MAPPED != frame;
        put(&ORDERS->mapped, n);
        while ( get(&ORDERS->seen) != n )
            yield();
    }
    return wrong;
}

static uint64_t follow(uint64_t times, uint64_t one, uint64_t other)
{
    uint64_t wrong = 0;

    for ( uint64_t n = 1; n <= times; n++ )
    {
        while ( get(&ORDERS->mapped) != n )
            yield();
        wrong += *MAPPED != (n & 1 ? one : other);
        put(&ORDERS->seen, n);
    }
    return wrong;
}

static uint64_t obey(const struct order *it)
{
    const uint64_t *a = it->a;

    switch ( it->what )
    {
    case ORDER_READ: return *(volatile uint64_t *)a[0];
    case ORDER_WRITE: *(volatile uint64_t *)a[0] = a[1]; return 0;
    case ORDER_CALL: return ((uint64_t (*)(uint64_t))a[0])(a[1]);
    case ORDER_HYPERCALL: return (uint64_t)hypercall(a[0], a[1], a[2], a[3], a[4], a[5]);
    case ORDER_TOUCH: return touch(a[0], a[1], a[2], a[3]);
    case ORDER_FLIP: return flip(a[0], a[1], a[2]);
    case ORDER_FOLLOW: return follow(a[0], a[1], a[2]);
    default: return ~0UL;
    }
}

static void work(unsigned long cpu)
{
    struct order *mine = &ORDERS->of[cpu];
    uint64_t done = 0;

    for ( ;; )
    {
        while ( get(&mine->number) == done )
            yield();
        done = get(&mine->number);
        mine->result = obey(mine);
        put(&mine->done, done);
    }
}

void role_views(void)
{
    memset(ORDERS, 0, sizeof(*ORDERS));
    start_cpus(ORDER_CPUS, work);
    say("views: ready");
    work(0);
}
