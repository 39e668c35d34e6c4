// SPDX-License-Identifier: GPL-2.0-only
// A program for a dom0 without Xen's tools: a guest with views of its memory (altp2m), by hypercalls alone.
//
//   create       what Xen refuses to create; then a guest of three pages, whose vCPU counts in one view and the other
//
// The structures are those of the tree's public headers, which are not the same in each release: up to 4.20 a domain
// is created with a mode, from 4.21 on (ALTP2M_NR) with a mode and a number of views.

#include "dom0.h"
#include <public/memory.h>
#include <public/hvm/hvm_op.h>
#include <public/hvm/params.h>

enum { EBUSY = 16, EINVAL = 22, EOPNOTSUPP = 95 };

enum { SYS_munmap = 215, SYS_mmap = 222 };

#define PAGE 4096UL

#ifdef ALTP2M_NR
#define VIEWS 3
#else
#define VIEWS 10
#endif

// The guest's pages: its code, the one that it counts in, and one that views show there.
enum { CODE, COUNTER, OTHER, PAGES };
#define FRAME(n) (GUEST_RAM0_BASE / PAGE + (n))

// A number that nobody has: how to ask for any is not the same in each release. Some keep that of a domain that was
// refused, so this program may not ask for it again when it is run once more: it has 16 for each second.
static long next_id;

static long guest;

static void must(const char *what, long rc, long wanted)
{
    if ( rc != wanted )
        die(what, rc);
}

static long done(struct xen_domctl *ctl)
{
    return hypercall(__HYPERVISOR_domctl, (uint64_t)ctl, 0);
}

// Returns what Xen says; the new domain's number is in `guest`.
static long create(unsigned int mode, unsigned int views)
{
    struct xen_domctl *ctl = domctl(XEN_DOMCTL_createdomain, next_id++);
    struct xen_domctl_createdomain *it = &ctl->u.createdomain;
    long rc;

    it->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    // As libxl does. (Without, 4.21 answers each access to a page that is not in the tables at the moment as if there
    // were none; 4.22 looks into the tables first.)
#ifdef XEN_DOMCTL_CDF_trap_unmapped_accesses
    it->flags |= XEN_DOMCTL_CDF_trap_unmapped_accesses;
#endif
    it->max_vcpus = 1;
    it->max_evtchn_port = 1023;
    it->max_grant_frames = -1;
    it->max_maptrack_frames = -1;
    it->grant_opts = XEN_DOMCTL_GRANT_version(1);
    it->arch.gic_version = XEN_DOMCTL_CONFIG_GIC_NATIVE;
#ifdef ALTP2M_NR
    it->altp2m.opts = (uint16_t)mode;
    it->altp2m.nr = (uint16_t)views;
#else
    (void)views;
    it->altp2m_opts = mode;
#endif
    rc = done(ctl);
    guest = ctl->domain;
    return rc;
}

// How many kinds of domain Xen refuses.
static long refused(void)
{
    static const struct { unsigned int mode, views; } kinds[] = {
        { XEN_DOMCTL_ALTP2M_mixed, VIEWS },
        { XEN_DOMCTL_ALTP2M_limited, VIEWS },
        { 4 | XEN_DOMCTL_ALTP2M_external, VIEWS },
#ifdef ALTP2M_NR
        { XEN_DOMCTL_ALTP2M_external, 0 },
        { XEN_DOMCTL_ALTP2M_external, 11 },
        { XEN_DOMCTL_ALTP2M_external, 0xffff },
        { 0, VIEWS },
#endif
    };
    const long all = sizeof(kinds) / sizeof(kinds[0]);

    for ( long i = 0; i < all; i++ )
        must("a domain that is refused", create(kinds[i].mode, kinds[i].views), -EINVAL);
    return all;
}

static void populate(void)
{
    static xen_pfn_t frames[PAGES];
    static struct xen_memory_reservation all;

    for ( unsigned int i = 0; i < PAGES; i++ )
        frames[i] = FRAME(i);
    all.nr_extents = PAGES;
    all.domid = (domid_t)guest;
    set_xen_guest_handle(all.extent_start, frames);
    must("populate_physmap", hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uint64_t)&all), PAGES);
}

static long mmap(unsigned long size)
{
    register long x8 asm("x8") = SYS_mmap;
    register long x0 asm("x0") = 0;
    register long x1 asm("x1") = (long)size;
    register long x2 asm("x2") = 3; // PROT_READ | PROT_WRITE
    register long x3 asm("x3") = 1; // MAP_SHARED
    register long x4 asm("x4") = privcmd;
    register long x5 asm("x5") = 0;

    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}

struct privcmd_mmapbatch_v2 {
    unsigned int num;
    domid_t dom;
    uint64_t addr;
    const xen_pfn_t *arr;
    int *err;
};
#define IOCTL_PRIVCMD_MMAPBATCH_V2 ((sizeof(struct privcmd_mmapbatch_v2) << 16) | ('P' << 8) | 4)

// All of the guest's pages.
static volatile uint64_t *map(void)
{
    static xen_pfn_t frames[PAGES];
    static int errors[PAGES];
    static struct privcmd_mmapbatch_v2 batch;

    for ( unsigned int i = 0; i < PAGES; i++ )
        frames[i] = FRAME(i);
    batch.num = PAGES;
    batch.dom = (domid_t)guest;
    batch.addr = (uint64_t)mmap(PAGES * PAGE);
    batch.arr = frames;
    batch.err = errors;
    must("mmapbatch", syscall(SYS_ioctl, privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, (long)&batch, 0), 0);
    return (volatile uint64_t *)batch.addr;
}

// ldr x1, [x0]; add x1, x1, #1; str x1, [x0]; yield; b .-16: it counts at x0, with its MMU off.
static const uint32_t code[] = { 0xf9400001, 0x91000421, 0xf9000001, 0xd503203f, 0x17fffffc };

static void start(volatile uint64_t *pages)
{
    static struct vcpu_guest_context context;
    struct xen_domctl *ctl;

    for ( unsigned int i = 0; i < sizeof(code) / sizeof(code[0]); i++ )
        ((volatile uint32_t *)pages)[i] = code[i];
    context.flags = VGCF_online;
    context.user_regs.pc64 = FRAME(CODE) * PAGE;
    context.user_regs.x0 = FRAME(COUNTER) * PAGE;
    context.user_regs.cpsr = PSR_GUEST64_INIT;
    context.sctlr = SCTLR_GUEST_INIT;
    ctl = domctl(XEN_DOMCTL_setvcpucontext, guest);
    set_xen_guest_handle(ctl->u.vcpucontext.ctxt, &context);
    must("setvcpucontext", done(ctl), 0);
    must("unpausedomain", done(domctl(XEN_DOMCTL_unpausedomain, guest)), 0);
}

// Where the guest's vCPU is.
static long place(void)
{
    static struct vcpu_guest_context context;
    struct xen_domctl *ctl = domctl(XEN_DOMCTL_getvcpucontext, guest);

    set_xen_guest_handle(ctl->u.vcpucontext.ctxt, &context);
    must("getvcpucontext", done(ctl), 0);
    return (long)context.user_regs.pc64;
}

// Does the guest count in this page, and not in the other one?
static void counts_in(volatile uint64_t *pages, unsigned int page, const char *what)
{
    volatile uint64_t *here = pages + page * PAGE / 8;
    volatile uint64_t *there = pages + (page == COUNTER ? OTHER : COUNTER) * PAGE / 8;
    uint64_t last = *here, still = *there;
    long end = now() + 300, changes = 0;

    while ( changes < 100 )
    {
        uint64_t next = *here;

        changes += next != last;
        last = next;
        if ( now() > end )
        {
            value("the guest is at", place());
            value("it has counted in the other page", (long)(*there - still));
            die(what, changes);
        }
    }
    must(what, (long)(*there - still), 0);
}

static xen_hvm_altp2m_op_t *op(uint32_t cmd)
{
    static xen_hvm_altp2m_op_t it;

    memset(&it, 0, sizeof(it));
    it.version = HVMOP_ALTP2M_INTERFACE_VERSION;
    it.cmd = cmd;
    it.domain = (domid_t)guest;
    return &it;
}

static long altp2m(xen_hvm_altp2m_op_t *it)
{
    return hypercall(__HYPERVISOR_hvm_op, HVMOP_altp2m, (uint64_t)it);
}

static void use_views(uint8_t state)
{
    xen_hvm_altp2m_op_t *it = op(HVMOP_altp2m_set_domain_state);

    it->u.domain_state.state = state;
    must("set_domain_state", altp2m(it), 0);
}

// Returns what Xen says; the view's number is in `view`.
static long create_view(uint16_t *view)
{
    xen_hvm_altp2m_op_t *it = op(HVMOP_altp2m_create_p2m);
    long rc;

    it->u.view.hvmmem_default_access = XENMEM_access_rwx;
    rc = altp2m(it);
    *view = it->u.view.view;
    return rc;
}

static long of_view(uint32_t cmd, uint16_t view)
{
    xen_hvm_altp2m_op_t *it = op(cmd);

    it->u.view.view = view;
    return altp2m(it);
}

static void show(uint16_t view, uint64_t at, uint64_t shown)
{
    xen_hvm_altp2m_op_t *it = op(HVMOP_altp2m_change_gfn);

    it->u.change_gfn.view = view;
    it->u.change_gfn.old_gfn = at;
    it->u.change_gfn.new_gfn = shown;
    must("change_gfn", altp2m(it), 0);
}

static void is_in(uint16_t view)
{
    xen_hvm_altp2m_op_t *it = op(HVMOP_altp2m_get_p2m_idx);

    must("get_p2m_idx", altp2m(it), 0);
    must("the view that the vCPU is in", it->u.get_vcpu_p2m_idx.altp2m_idx, view);
}

// The mode that the domain says it was created with.
static long mode(void)
{
    static struct xen_hvm_param param;

    param.domid = (domid_t)guest;
    param.index = HVM_PARAM_ALTP2M;
    must("get_param", hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, (uint64_t)&param), 0);
    return (long)param.value;
}

// The vCPU goes from one view to another, and counts in the page that it is shown there. How many views there were.
static long views(volatile uint64_t *pages)
{
    uint16_t view, last = 0;
    long all = 1;

    must("create_p2m before views are used", create_view(&view), -EOPNOTSUPP);
    use_views(1);
    while ( create_view(&view) == 0 )
    {
        must("a view's number", view, all++);
        last = view;
    }
    must("a view too many", create_view(&view), -EINVAL);
    counts_in(pages, COUNTER, "in view 0");
    must("switch_p2m", of_view(HVMOP_altp2m_switch_p2m, last), 0);
    is_in(last);
    counts_in(pages, COUNTER, "in a view");
    show(last, FRAME(COUNTER), FRAME(OTHER));
    counts_in(pages, OTHER, "in a view that shows another page");
    must("destroy_p2m of the view it is in", of_view(HVMOP_altp2m_destroy_p2m, last), -EBUSY);
    must("switch_p2m", of_view(HVMOP_altp2m_switch_p2m, 1), 0);
    counts_in(pages, COUNTER, "in the first view");
    must("switch_p2m", of_view(HVMOP_altp2m_switch_p2m, 0), 0);
    must("destroy_p2m", of_view(HVMOP_altp2m_destroy_p2m, 1), 0);
    must("switch_p2m", of_view(HVMOP_altp2m_switch_p2m, last), 0);
    counts_in(pages, OTHER, "in the view that shows another page");
    // With the vCPU in it.
    use_views(0);
    counts_in(pages, COUNTER, "without views");
    must("get_p2m_idx without views", altp2m(op(HVMOP_altp2m_get_p2m_idx)), -EOPNOTSUPP);
    return all;
}

static int run(long count, const char **words)
{
    struct xen_domctl *ctl;
    volatile uint64_t *pages;

    (void)count;
    (void)words;
    open_privcmd();
    next_id = 100 + now() * 16 % 20000;
    value("@@value refused", refused());
    must("createdomain", create(XEN_DOMCTL_ALTP2M_external, VIEWS), 0);
    ctl = domctl(XEN_DOMCTL_max_mem, guest);
    ctl->u.max_mem.max_memkb = 1024;
    must("max_mem", done(ctl), 0);
    ctl = domctl(XEN_DOMCTL_set_paging_mempool_size, guest);
    ctl->u.paging_mempool.size = 4UL << 20;
    must("set_paging_mempool_size", done(ctl), 0);
    ctl = domctl(XEN_DOMCTL_max_vcpus, guest);
    ctl->u.max_vcpus.max = 1;
    must("max_vcpus", done(ctl), 0);
    // Of its vCPUs, and before it has memory.
    ctl = domctl(XEN_DOMCTL_set_address_size, guest);
    ctl->u.address_size.size = 64;
    must("set_address_size", done(ctl), 0);
    populate();
    pages = map();
    value("@@value mode", mode());
    start(pages);
    value("@@value views", views(pages));
    // A page that is mapped keeps its domain.
    must("munmap", syscall(SYS_munmap, (long)pages, PAGES * PAGE, 0, 0), 0);
    destroy(guest);
    return 0;
}
