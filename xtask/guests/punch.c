// SPDX-License-Identifier: GPL-2.0-only
// role=punch: gives one page of each 2 MiB back to Xen, which must split a superpage each time and so
// takes a page of the guest's pool, until Xen refuses.

#include "guest.h"
#include <public/memory.h>

#define BLOCK (2 * MIB)

static long give_back(unsigned long address)
{
    static xen_pfn_t frame;
    struct xen_memory_reservation one = {
        .nr_extents = 1,
        .extent_order = 0,
        .domid = DOMID_SELF,
    };

    frame = address / PAGE;
    set_xen_guest_handle(one.extent_start, &frame);
    return hypercall(XENMEM_decrease_reservation, (uint64_t)&one, 0, 0, 0, __HYPERVISOR_memory_op);
}

void role_punch(void)
{
    unsigned long memory = argument("mib", 256) * MIB;
    unsigned long holes = 0, asked = 0, again;
    long rc = 1;

    // The first 32 MiB hold the image; the last block may hold the device tree.
    for ( unsigned long at = 32 * MIB; at + 2 * BLOCK <= memory && rc == 1; at += BLOCK )
    {
        rc = give_back(0x40000000UL + at + BLOCK / 2);
        asked++;
        if ( rc == 1 )
            holes++;
    }
    say("punch: holes %u asked %u last %d", holes, asked, rc);
    // The block that could not be split must still be there, and whole.
    again = 0x40000000UL + 32 * MIB + holes * BLOCK;
    for ( unsigned long page = 0; page < BLOCK; page += PAGE )
        *(volatile unsigned long *)(again + page) = page;
    for ( unsigned long page = 0; page < BLOCK; page += PAGE )
        if ( *(volatile unsigned long *)(again + page) != page )
            say("punch: memory is lost at %x", again + page);
    // A block that is in pieces needs nothing of the pool.
    rc = give_back(0x40000000UL + 32 * MIB + BLOCK / 2 + PAGE);
    say("punch: in pieces %d", rc);
    say("punch: alive");
}
