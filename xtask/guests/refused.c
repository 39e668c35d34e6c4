// SPDX-License-Identifier: GPL-2.0-only
// role=refused what=N: maps a page of its own once more, by a grant that is read-only. Then it writes there
// (0), executes there (1), or has its MMU set the access flag of an entry there (2); or it has its MMU look for
// a table in a device's registers (3): what stage 2 refuses whatever the guest's tables say, and for good. It
// ends in guest_fault, or never. Before that it unmaps the grant where nothing is mapped, and where its own
// page is: Xen is to compare.

#include "guest.h"
#include <public/grant_table.h>
#include <public/memory.h>

// As xl lays guests out: nothing is there, and the place for the grant table.
#define READ_ONLY 0x30000000UL
#define NOTHING 0x31000000UL
// A device, by "iomem".
#define DEVICE 0x32000000UL
#define GRANT_TABLE 0x38000000UL
#define REFERENCE 8

#define TABLE 3UL
#define TCR_HA (1UL << 39)

extern uint64_t table_1[512];
static uint64_t table_2[512] __attribute__((aligned(4096)));
static uint64_t page[512] __attribute__((aligned(4096)));

// Maps it, and returns the handle.
static grant_handle_t map_read_only(void)
{
    domid_t own = own_number();
    volatile grant_entry_v1_t *grants = (volatile grant_entry_v1_t *)GRANT_TABLE;
    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .gpfn = GRANT_TABLE / PAGE,
    };
    struct gnttab_map_grant_ref map = {
        .host_addr = READ_ONLY,
        .flags = GNTMAP_host_map | GNTMAP_readonly,
        .ref = REFERENCE,
        .dom = own,
    };
    long rc = hypercall(XENMEM_add_to_physmap, (uint64_t)&add, 0, 0, 0, __HYPERVISOR_memory_op);

    if ( rc == 0 )
    {
        grants[REFERENCE].domid = own;
        grants[REFERENCE].frame = (uint32_t)((uint64_t)page / PAGE);
        asm volatile("dsb ish" ::: "memory");
        grants[REFERENCE].flags = GTF_permit_access | GTF_readonly;
        rc = hypercall(GNTTABOP_map_grant_ref, (uint64_t)&map, 1, 0, 0, __HYPERVISOR_grant_table_op);
    }
    if ( rc != 0 || map.status != 0 )
        say("refused: the grant is not mapped: %d, %d", rc, (long)map.status);
    return map.handle;
}

// What Xen says of the grant at another address.
static long unmap_elsewhere(grant_handle_t handle, uint64_t address)
{
    struct gnttab_unmap_grant_ref unmap = { .host_addr = address, .handle = handle };
    long rc = hypercall(GNTTABOP_unmap_grant_ref, (uint64_t)&unmap, 1, 0, 0, __HYPERVISOR_grant_table_op);

    return rc != 0 ? rc : unmap.status;
}

// A walk to 3 GiB finds its last entry in the page, without access flag.
static void walk_through_it(void)
{
    unsigned long tcr;

    table_2[0] = READ_ONLY | TABLE;
    table_1[3] = (uint64_t)table_2 | TABLE;
    asm volatile("mrs %0, TCR_EL1" : "=r"(tcr));
    asm volatile("msr TCR_EL1, %0; dsb sy; isb; tlbi vmalle1; dsb sy; isb" :: "r"(tcr | TCR_HA) : "memory");
    (void)*(volatile uint64_t *)0xC0000000UL;
}

// A walk to 3 GiB finds its second table in the device.
static void walk_through_a_device(void)
{
    table_1[3] = DEVICE | TABLE;
    asm volatile("dsb sy; isb" ::: "memory");
    (void)*(volatile uint64_t *)0xC0000000UL;
}

void role_refused(void)
{
    unsigned long what = argument("what", 0);
    grant_handle_t handle;
    long nothing;

    // A page of RAM, inner shareable, not yet accessed; as an instruction it is none.
    page[0] = (uint64_t)page | (3UL << 8) | TABLE;
    handle = map_read_only();
    nothing = unmap_elsewhere(handle, NOTHING);
    say("refused: unmaps nothing %d, its page %d", nothing, unmap_elsewhere(handle, (uint64_t)page));
    say("refused: reads %s", *(volatile uint64_t *)READ_ONLY == page[0] ? "well" : "something else");
    if ( what == 0 )
        *(volatile uint64_t *)READ_ONLY = 1;
    else if ( what == 1 )
        ((void (*)(void))READ_ONLY)();
    else if ( what == 2 )
        walk_through_it();
    else
        walk_through_a_device();
    say("refused: goes on");
    shutdown(0);
}
