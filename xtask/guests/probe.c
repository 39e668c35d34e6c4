// SPDX-License-Identifier: GPL-2.0-only
// A program for dom0 that asks Xen what xl does not tell exactly, by dom0's privcmd device.
//
//   probe pages            the machine's free pages
//   probe newest           the id of the domain that was made last
//   probe domain ID        a domain's pages, of RAM and of its pool
//   probe destroy ID       end a domain that xl does not know by name
//   probe flip ID GFN N S  restrict and release N pages in a loop of S seconds, and count
//   probe hole DISK        let the disk's device write to a page of dom0's that is not mapped for a while

#include "dom0.h"
#include <public/memory.h>
#include <public/sysctl.h>

static void pages(void)
{
    static struct xen_sysctl ctl;
    long rc;

    ctl.cmd = XEN_SYSCTL_physinfo;
    ctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    rc = hypercall(__HYPERVISOR_sysctl, (uint64_t)&ctl, 0);
    if ( rc != 0 )
        die("sysctl", rc);
    value("free_pages", (long)(ctl.u.physinfo.free_pages + ctl.u.physinfo.scrub_pages));
}

static void newest(void)
{
    static struct xen_domctl_getdomaininfo infos[64];
    static struct xen_sysctl ctl;
    domid_t last = 0;
    long rc;

    ctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    do
    {
        ctl.cmd = XEN_SYSCTL_getdomaininfolist;
        ctl.u.getdomaininfolist.first_domain = last;
        ctl.u.getdomaininfolist.max_domains = 64;
        set_xen_guest_handle(ctl.u.getdomaininfolist.buffer, infos);
        rc = hypercall(__HYPERVISOR_sysctl, (uint64_t)&ctl, 0);
        if ( rc != 0 )
            die("getdomaininfolist", rc);
        if ( ctl.u.getdomaininfolist.num_domains != 0 )
            last = infos[ctl.u.getdomaininfolist.num_domains - 1].domain;
    } while ( ctl.u.getdomaininfolist.num_domains == 64 );
    value("newest", last);
}

static void domain(long id)
{
    struct xen_domctl *ctl = domctl(XEN_DOMCTL_getdomaininfo, id);
    long rc = hypercall(__HYPERVISOR_domctl, (uint64_t)ctl, 0);

    if ( rc != 0 )
        die("getdomaininfo", rc);
    value("tot_pages", (long)ctl->u.getdomaininfo.tot_pages);
    value("vcpus", (long)ctl->u.getdomaininfo.nr_online_vcpus);
    ctl = domctl(XEN_DOMCTL_get_paging_mempool_size, id);
    rc = hypercall(__HYPERVISOR_domctl, (uint64_t)ctl, 0);
    if ( rc != 0 )
        die("get_paging_mempool_size", rc);
    value("pool_bytes", (long)ctl->u.paging_mempool.size);
}

static void set(long id, unsigned long gfn, unsigned int count, uint8_t access)
{
    static struct xen_mem_access_op op;
    long rc;

    op.op = XENMEM_access_op_set_access;
    op.access = access;
    op.domid = (domid_t)id;
    op.nr = count;
    op.pfn = gfn;
    rc = hypercall(__HYPERVISOR_memory_op, XENMEM_access_op, (uint64_t)&op);
    if ( rc != 0 )
        die("set_access", rc);
}

static void flip(long id, unsigned long gfn, unsigned int count, long length)
{
    struct xen_domctl *ctl = domctl(XEN_DOMCTL_vm_event_op, id);
    long from = now(), told = from, flips = 0, rc;

    // Xen sets access only where a monitor is; the events go to a ring that nobody needs to read, for the
    // guest itself does not touch these pages.
    ctl->u.vm_event_op.op = XEN_VM_EVENT_ENABLE;
    ctl->u.vm_event_op.mode = XEN_DOMCTL_VM_EVENT_OP_MONITOR;
    rc = hypercall(__HYPERVISOR_domctl, (uint64_t)ctl, 0);
    if ( rc != 0 )
        die("vm_event", rc);
    while ( told - from < length )
    {
        // The tables alone, the tables and what they map, nothing.
        set(id, gfn, count, XENMEM_access_n);
        set(id, gfn + 1, 1, XENMEM_access_rwx);
        set(id, gfn, count, XENMEM_access_rx);
        set(id, gfn, count, XENMEM_access_rwx);
        flips += 4;
        if ( now() != told )
        {
            told = now();
            value("flips", flips);
        }
    }
    set(id, gfn, count, XENMEM_access_rwx);
    value("@@value flips", flips);
}

#define PAGE 4096UL
#define SECTOR 512UL
#define O_DIRECT 0x10000L

// The frame that the kernel has for an address of ours.
static uint64_t frame_of(const volatile void *address)
{
    long map = syscall(SYS_openat, -100, (long)"/proc/self/pagemap", 0, 0);
    uint64_t entry = 0;
    long rc = syscall(SYS_pread64, map, (long)&entry, sizeof(entry), (long)((uint64_t)address / PAGE * 8));

    if ( rc != sizeof(entry) || !(entry >> 63) )
        die("/proc/self/pagemap", rc);
    return entry & ((1UL << 55) - 1);
}

static void reservation(unsigned int op, uint64_t frame, const char *what)
{
    static xen_pfn_t extent;
    static struct xen_memory_reservation one;
    long rc;

    extent = frame;
    one.nr_extents = 1;
    one.domid = DOMID_SELF;
    set_xen_guest_handle(one.extent_start, &extent);
    rc = hypercall(__HYPERVISOR_memory_op, op, (uint64_t)&one);
    if ( rc != 1 )
        die(what, rc);
}

// dom0 gets the same frame back (it is mapped one to one), so that it shows whether the device wrote to it.
static void hole(const char *name)
{
    static volatile uint64_t page[PAGE / 8] __attribute__((aligned(4096)));
    const uint64_t poison = 0xB01D0000B01D;
    long disk = syscall(SYS_openat, -100, (long)name, O_DIRECT, 0), rc;
    unsigned long lands[3];
    uint64_t frame;

    if ( disk < 0 )
        die(name, disk);
    page[0] = poison;
    frame = frame_of(page);
    for ( int i = 0; i < 3; i++ )
    {
        page[0] = poison;
        if ( i == 1 )
            reservation(XENMEM_decrease_reservation, frame, "decrease_reservation");
        rc = syscall(SYS_pread64, disk, (long)page, SECTOR, 0);
        if ( i == 1 )
            reservation(XENMEM_populate_physmap, frame, "populate_physmap");
        if ( rc != (long)SECTOR )
            die("pread", rc);
        lands[i] = page[0] != poison;
    }
    if ( frame_of(page) != frame )
        die("the kernel has moved the page", 0);
    value("@@value lands_before", (long)lands[0]);
    value("@@value reached", (long)lands[1]);
    value("@@value lands_after", (long)lands[2]);
}

static int run(long count, const char **words)
{
    open_privcmd();
    if ( count == 2 && words[1][0] == 'p' )
        pages();
    else if ( count == 2 && words[1][0] == 'n' )
        newest();
    else if ( count == 3 && words[1][0] == 'd' && words[1][1] == 'e' )
        destroy(number(words[2]));
    else if ( count == 3 && words[1][0] == 'd' )
        domain(number(words[2]));
    else if ( count == 6 && words[1][0] == 'f' )
        flip(number(words[2]), (unsigned long)number(words[3]), (unsigned int)number(words[4]), number(words[5]));
    else if ( count == 3 && words[1][0] == 'h' )
        hole(words[2]);
    else
        die("usage: probe pages | newest | domain ID | destroy ID | flip ID GFN N SECONDS | hole DISK", 0);
    return 0;
}
