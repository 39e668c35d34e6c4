// SPDX-License-Identifier: GPL-2.0-only
// Views are created, used and destroyed again and again, one by one and all at once: nothing of Xen's memory and nothing
// of the guest's pool is kept.

#include <stdio.h>
#include "views.h"

#define BLOCKS 3

// What fills a view: blocks, a page of its own, a page of another place.
static void use(uint16_t view)
{
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        order_touch(cpu, ADDRESS(BLOCK(0)), BLOCKS, ADDRESS(512), 1);
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        result_of(cpu);
    set_access(view, BLOCK(0) + 7, XENMEM_access_rx);
    change_frame(view, BLOCK(1) + 7, BLOCK(2) + 7);
    expect(have(0, ORDER_READ, ADDRESS(BLOCK(1) + 7), 0) == 2, "the guest reads another page");
}

static void once(unsigned long n)
{
    uint16_t view = new_view(XENMEM_access_rwx), other = 0;

    expect(view == 1, "a view of before is still there: %u", view);
    // Now and then two at once, so that numbers come back in another order.
    if ( n % 4 == 0 )
        other = new_view(XENMEM_access_rx);
    switch_to(view);
    use(view);
    if ( n % 4 == 0 )
    {
        // Nothing may be written there but the guest's own: so from the idle CPUs nothing comes.
        open_image(other);
        switch_to(other);
        have(1, ORDER_READ, ADDRESS(BLOCK(1)), 0);
    }
    if ( n % 10 == 8 )
    {
        // All at once, with the vCPUs inside.
        set_enabled(false);
        set_enabled(true);
        return;
    }
    switch_to(0);
    drop_view(view);
    if ( other != 0 )
        drop_view(other);
}

void views_cycle(unsigned long rounds)
{
    uint64_t pages, pool;

    set_word(BLOCK(1) + 7, 0, 1);
    set_word(BLOCK(2) + 7, 0, 2);
    set_enabled(true);
    // What the first of each kind makes stays.
    for ( unsigned long n = 0; n < 12; n++ )
        once(n);
    pages = free_pages();
    pool = pool_in_use();
    for ( unsigned long n = 0; n < rounds; n++ )
    {
        once(n);
        // Whoever waits sees that it gets on.
        if ( n % 100 == 99 )
            printf("%lu rounds\n", n + 1);
    }
    value("pool_before", pool);
    value("pool_after", pool_in_use());
    value("pages_before", pages);
    // Views that were destroyed late are freed when their vCPUs have left: at once, but dom0 is alive.
    for ( unsigned int wait = 0; wait < 10 && free_pages() != pages; wait++ )
        nap(200);
    value("pages_after", free_pages());
    set_enabled(false);
    value("rounds", rounds);
}
