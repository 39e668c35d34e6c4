// SPDX-License-Identifier: GPL-2.0-only
// role=share: two dom0less guests and a region of static memory that the one owns and the other borrows
// (a foreign mapping). Each writes its own word there and waits for the other's.

#include "guest.h"

// As the device tree has it.
#define SHARED 0x50000000UL
#define LAST (SHARED + 2 * MIB - PAGE)

void role_share(void)
{
    unsigned long me = argument("me", 1);
    unsigned long other = 3 - me;
    volatile unsigned long *mine = (volatile unsigned long *)LAST + me;
    volatile unsigned long *its = (volatile unsigned long *)LAST + other;
    unsigned long from = seconds();

    *mine = 0x5ead0000UL + me;
    while ( *its != 0x5ead0000UL + other && seconds() - from < 30 )
        yield();
    say("share: %u sees %x", me, *its);
}
