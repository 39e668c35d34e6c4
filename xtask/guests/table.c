// SPDX-License-Identifier: GPL-2.0-only
// role=table: for each access of mem_access, each thing that can be done with a page, one after the other. Before
// and after each the guest sends an event of its own and waits, so that the monitor (monitor/table.c) can restrict the
// page for just that.
//
// Two pages: one that is used through tables that are not restricted, and one with the tables through which another
// is used.

#include "guest.h"
#include <public/event_channel.h>
#include <public/hvm/hvm_op.h>
#include <public/version.h>

#define RET 0xd65f03c0U
#define ACCESSES 11
#define ACTS 13

#define PLAIN (TEST_VA(0) + 0x128)
#define BEHIND (TEST_VA(1) + 0x128)
#define ENTRY ((volatile uint64_t *)TEST_TABLE(1))
#define ACCESSED (1UL << 10)

// TCR_EL1.HA: the walker sets the access flag, where the CPU can do that (ID_AA64MMFR1_EL1.HAFDBS).
static unsigned long walker_writes(void)
{
    unsigned long features, tcr;

    asm volatile("mrs %0, ID_AA64MMFR1_EL1" : "=r"(features));
    if ( (features & 0xf) == 0 )
        return 0;
    asm volatile("mrs %0, TCR_EL1" : "=r"(tcr));
    asm volatile("msr TCR_EL1, %0; isb" : : "r"(tcr | (1UL << 39)));
    return 1;
}

static void forget_translations(void)
{
    asm volatile("dsb ish; tlbi vmalle1is; dsb ish; isb" : : : "memory");
}

static unsigned long address_translation(unsigned long address)
{
    unsigned long par;

    asm volatile("at s1e1r, %1; isb; mrs %0, PAR_EL1" : "=r"(par) : "r"(address) : "memory");
    return par & 1;
}

static void cache_maintenance(unsigned long address)
{
    asm volatile("dc cvac, %0; dc civac, %0; dc cvau, %0; dc ivac, %0; dsb ish; ic ivau, %0; dsb ish; isb"
                 : : "r"(address) : "memory");
}

static long copy_from(unsigned long address)
{
    // There is no port 0.
    return hypercall(EVTCHNOP_send, address, 0, 0, 0, __HYPERVISOR_event_channel_op);
}

static long copy_to(unsigned long address)
{
    return hypercall(XENVER_extraversion, address, 0, 0, 0, __HYPERVISOR_xen_version);
}

static void fetch(unsigned long address)
{
    ((void (*)(void))address)();
}

static void ask_monitor(void)
{
    hypercall(HVMOP_guest_request_vm_event, 0, 0, 0, 0, __HYPERVISOR_hvm_op);
}

// What the guest sees of it.
static long once(unsigned int act)
{
    volatile unsigned long *plain = (volatile unsigned long *)(PLAIN + 8);
    volatile unsigned long *behind = (volatile unsigned long *)(BEHIND + 8);

    switch ( act )
    {
    case 0: return (long)*plain;
    case 1: *plain = 0; return 0;
    case 2: fetch(PLAIN); return 0;
    case 3: return (long)*behind;
    case 4: *behind = 0; return 0;
    case 5: fetch(BEHIND); return 0;
    case 6: return (long)*behind;
    case 7: return copy_from(PLAIN + 8);
    case 8: return copy_to(PLAIN + 8);
    case 9: return copy_from(BEHIND + 8);
    case 10: cache_maintenance(PLAIN + 8); return 0;
    case 11: return (long)address_translation(PLAIN);
    default: return (long)address_translation(BEHIND);
    }
}

void role_table(void)
{
    unsigned long writes = walker_writes();

    for ( unsigned long cpu = 0; cpu < 2; cpu++ )
    {
        uint32_t *code = (uint32_t *)(TEST_VA(cpu) + 0x128);

        memset((void *)TEST_VA(cpu), 0, PAGE);
        *code = RET;
        cache_maintenance((unsigned long)code);
    }
    say("table: ready, walker writes %u", writes);
    for ( unsigned long cell = 0; cell < ACCESSES * ACTS; cell++ )
    {
        unsigned int act = cell % ACTS;
        long seen;

        // copy_to leaves text where others read zeros.
        *(volatile unsigned long *)(PLAIN + 8) = 0;
        if ( act == 6 && writes )
            *ENTRY &= ~ACCESSED;
        ask_monitor();
        // As late as can be, so that the walk comes from what follows. The instruction itself is in the image.
        forget_translations();
        seen = once(act);
        ask_monitor();
        if ( seen != 0 )
            say("table: cell %u sees %d", cell, seen);
        if ( act == 6 && writes && !(*ENTRY & ACCESSED) )
            say("table: cell %u: the access flag is clear", cell);
    }
    say("table: done");
}
