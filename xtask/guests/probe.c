// SPDX-License-Identifier: GPL-2.0-only
// A program for dom0 that asks Xen what xl does not tell exactly, by dom0's privcmd device; no libc.
//
//   probe pages            the machine's free pages
//   probe newest           the id of the domain that was made last
//   probe domain ID        a domain's pages, of RAM and of its pool
//   probe destroy ID       end a domain that xl does not know by name
//   probe flip ID GFN N S  restrict and release N pages in a loop of S seconds, and count
//   probe hole DISK        let the disk's device write to a page of dom0's that is not mapped for a while

#include <stddef.h>
#include <stdint.h>
#include <public/xen.h>
#include <public/domctl.h>
#include <public/memory.h>
#include <public/sysctl.h>

enum { SYS_ioctl = 29, SYS_openat = 56, SYS_write = 64, SYS_pread64 = 67, SYS_exit = 93, SYS_nanosleep = 101,
       SYS_clock_gettime = 113, SYS_mlockall = 230 };

struct privcmd_hypercall {
    uint64_t op, arg[5];
};
#define IOCTL_PRIVCMD_HYPERCALL ((sizeof(struct privcmd_hypercall) << 16) | ('P' << 8))

enum { EAGAIN = 11, ERESTART = 85 };

static int privcmd;

static long syscall(long number, long a, long b, long c, long d)
{
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;

    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

void *memset(void *to, int byte, size_t size)
{
    for ( size_t i = 0; i < size; i++ )
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

// In one piece, so that nothing of Xen's gets in between.
static void value(const char *name, long number)
{
    static char line[128];
    char digits[24];
    int at = sizeof(digits);
    size_t end = 0;
    unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;

    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + rest % 10);
    while ( (rest /= 10) != 0 );
    if ( number < 0 )
        digits[--at] = '-';
    for ( ; *name != 0 && end < sizeof(line) - sizeof(digits) - 2; name++ )
        line[end++] = *name;
    line[end++] = '=';
    for ( ; digits[at] != 0; at++ )
        line[end++] = digits[at];
    line[end++] = '\n';
    syscall(SYS_write, 1, (long)line, (long)end, 0);
}

static void die(const char *what, long rc)
{
    value(what, rc);
    syscall(SYS_exit, 1, 0, 0, 0);
}

static long hypercall(uint64_t op, uint64_t a, uint64_t b)
{
    struct privcmd_hypercall call = { .op = op, .arg = { a, b } };

    return syscall(SYS_ioctl, privcmd, IOCTL_PRIVCMD_HYPERCALL, (long)&call, 0);
}

static long number(const char *digits)
{
    long n = 0;

    for ( ; *digits >= '0' && *digits <= '9'; digits++ )
        n = n * 10 + (*digits - '0');
    return n;
}

static long now(void)
{
    long time[2];

    syscall(SYS_clock_gettime, 1, (long)time, 0, 0);
    return time[0];
}

static struct xen_domctl *domctl(uint32_t cmd, long domain)
{
    static struct xen_domctl ctl;

    memset(&ctl, 0, sizeof(ctl));
    ctl.cmd = cmd;
    ctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    ctl.domain = (domid_t)domain;
    return &ctl;
}

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

static void destroy(long id)
{
    long rc;

    do
        rc = hypercall(__HYPERVISOR_domctl, (uint64_t)domctl(XEN_DOMCTL_destroydomain, id), 0);
    while ( rc == -EAGAIN || rc == -ERESTART );
    if ( rc != 0 )
        die("destroydomain", rc);
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
    privcmd = (int)syscall(SYS_openat, -100, (long)"/dev/xen/privcmd", 2, 0);
    if ( privcmd < 0 )
        die("/dev/xen/privcmd", privcmd);
    // Xen reads our memory by its address: it must be there.
    syscall(SYS_mlockall, 1, 0, 0, 0);
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

__attribute__((used)) static void enter(long *stack)
{
    syscall(SYS_exit, run(stack[0], (const char **)(stack + 1)), 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov x0, sp\n\tb enter\n");
