// SPDX-License-Identifier: GPL-2.0-only
// Two vCPUs in two views: one changes an entry of the guest's own tables and invalidates it with an instruction that Xen
// does not trap; the other must see what is mapped now, in its own view. Then in one view and the host's, and with both
// pages shown at another place.

#include "views.h"

#define ONE BLOCK(0)
#define OTHER BLOCK(1)
#define MOVED BLOCK(2)

static void both(unsigned long times, uint16_t first, uint16_t second)
{
    uint64_t rc;

    if ( view_of(0) != first )
        move(0, first);
    if ( view_of(1) != second )
        move(1, second);
    forget_rounds();
    order_pages(1, ORDER_FOLLOW, times, ADDRESS(ONE), ADDRESS(OTHER));
    order_pages(0, ORDER_FLIP, times, ADDRESS(ONE), ADDRESS(OTHER));
    rc = result_of(0);
    expect(rc == 0, "in views %u and %u the CPU that maps reads another page, %lu times", first, second, rc);
    rc = result_of(1);
    expect(rc == 0, "in views %u and %u the other CPU reads what was mapped before, %lu times", first, second, rc);
}

void views_stage1(unsigned long times)
{
    uint16_t views[2];

    // Each page says where it is.
    set_word(ONE, 0, ADDRESS(ONE));
    set_word(OTHER, 0, ADDRESS(OTHER));
    set_word(MOVED, 0, ADDRESS(OTHER));
    set_enabled(true);
    for ( unsigned int i = 0; i < 2; i++ )
        views[i] = new_view(XENMEM_access_rwx);
    both(times, views[0], views[1]);
    both(times, 0, views[1]);
    both(times, views[0], 0);
    // The second view has a page elsewhere, so that a translation of the other view's would show.
    set_word(OTHER, 0, 1);
    change_frame(views[0], OTHER, MOVED);
    change_frame(views[1], OTHER, MOVED);
    both(times, views[0], views[1]);
    switch_to(0);
    set_enabled(false);
    value("times", times);
}
