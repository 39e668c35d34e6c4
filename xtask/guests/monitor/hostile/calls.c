// SPDX-License-Identifier: GPL-2.0-only
// Any call of a toolstack on the guest's accesses and views, and what changes its memory beneath them.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hostile.h"
#include <xencall.h>
#include <xenforeignmemory.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>

static xc_interface *xc;
static xencall_handle *call;
static xenforeignmemory_handle *foreign;
static void *argument;

// The end of a page behind which nothing is, and pages that can only be read.
static char *edge, *read_only;

static bool is_one_of(int error, const int *errors)
{
    for ( ; *errors; errors++ )
        if ( *errors == error )
            return true;
    return error == 0;
}

static int made(int rc)
{
    __atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
    if ( rc >= 0 )
        __atomic_fetch_add(&shared->done, 1, __ATOMIC_RELAXED);
    return rc < 0 ? errno : 0;
}

static uint64_t list_address(const void *good, size_t size)
{
    switch ( draw(12) )
    {
    case 0:
        return (uint64_t)edge + XC_PAGE_SIZE - draw(64);
    case 1:
        return draw_any();
    case 2:
        return (uint64_t)good + draw(16);
    case 3:
        return (uint64_t)read_only + draw(XC_PAGE_SIZE);
    default:
        return (uint64_t)good + draw(16) * size;
    }
}

static uint32_t draw_count(void)
{
    switch ( draw(16) )
    {
    case 0:
        return (uint32_t)draw_any() >> draw(32);
    case 1:
        return 0xffffffffU - (uint32_t)draw(3);
    case 2:
        return (uint32_t)draw(LIST);
    default:
        return (uint32_t)draw(200);
    }
}

static uint16_t draw_view(void)
{
    return draw(16) ? (uint16_t)draw(6) : draw(2) ? (uint16_t)draw(16) : (uint16_t)draw_any();
}

static uint16_t draw_access(void)
{
    // Mostly one with which the guest comes to something.
    return draw(3) ? XENMEM_access_rwx : draw(16) ? (uint16_t)draw(12) : (uint16_t)draw_any();
}

static void change_list(void)
{
    uint64_t first = draw_frame(), how = draw(3);

    for ( unsigned long i = 0, n = draw(200); i < n; i++ )
    {
        unsigned long at = draw(2) ? i : draw(LIST);

        shared->frames[at] = how ? first + at : draw_frame();
        shared->accesses[at] = (uint8_t)draw_access();
    }
}

// What each operation may be answered if its form is good; what the domain's state allows is open.
static const int *allowed(uint32_t op)
{
    static const int state[] = { ESRCH, 0 };
    static const int create[] = { EINVAL, ENOMEM, EOPNOTSUPP, ESRCH, 0 };
    static const int destroy[] = { EBUSY, EOPNOTSUPP, ESRCH, 0 };
    static const int simple[] = { EINVAL, EOPNOTSUPP, ESRCH, 0 };
    static const int multi[] = { EFAULT, EINVAL, ENOMEM, EOPNOTSUPP, ESRCH, 0 };

    switch ( op )
    {
    case HVMOP_altp2m_get_domain_state:
    case HVMOP_altp2m_set_domain_state:
        return state;
    case HVMOP_altp2m_destroy_p2m:
        return destroy;
    case HVMOP_altp2m_create_p2m:
    case HVMOP_altp2m_set_mem_access:
    case HVMOP_altp2m_change_gfn:
        return create;
    case HVMOP_altp2m_set_mem_access_multi:
        return multi;
    default:
        return simple;
    }
}

static void views(void)
{
    static const uint32_t often[] = { 2, 4, 4, 5, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 9, 9, 12, 12, 14, 16 };
    static const int any[] = { EFAULT, EINVAL, EOPNOTSUPP, ESRCH, EPERM, ENOMEM, EBUSY, 0 };
    xen_hvm_altp2m_op_t op = {
        .version = HVMOP_ALTP2M_INTERFACE_VERSION,
        .cmd = draw(16) ? often[draw(sizeof(often) / sizeof(often[0]))] : (uint32_t)draw(18),
        .domain = (domid_t)target,
    };
    const int *may = allowed(op.cmd);
    uint64_t address = (uint64_t)argument, number = HVMOP_altp2m;
    char what[80];
    int error;

    switch ( op.cmd )
    {
    case HVMOP_altp2m_set_domain_state:
        op.u.domain_state.state = draw(32) ? 1 : (uint8_t)draw(3);
        break;
    case HVMOP_altp2m_create_p2m:
        op.u.view.hvmmem_default_access = draw_access();
        break;
    case HVMOP_altp2m_destroy_p2m:
    case HVMOP_altp2m_switch_p2m:
        op.u.view.view = draw_view();
        break;
    case HVMOP_altp2m_set_mem_access:
    case HVMOP_altp2m_get_mem_access:
        op.u.mem_access.view = draw_view();
        op.u.mem_access.access = draw_access();
        op.u.mem_access.gfn = draw_frame();
        break;
    case HVMOP_altp2m_change_gfn:
        op.u.change_gfn.view = draw_view();
        // The guest's own image now and then, and then it is lost.
        op.u.change_gfn.old_gfn = draw(256) ? ARENA + draw(draw(2) ? 16 : ARENA_FRAMES) : draw_frame();
        op.u.change_gfn.new_gfn = draw(4) ? ARENA + draw(draw(2) ? 16 : ARENA_FRAMES) : draw_frame();
        break;
    case HVMOP_altp2m_set_mem_access_multi:
        change_list();
        op.u.set_mem_access_multi.view = draw_view();
        op.u.set_mem_access_multi.nr = draw_count();
        op.u.set_mem_access_multi.opaque = draw(8) ? 0 : draw(2) ? draw(op.u.set_mem_access_multi.nr + 1UL) : draw_any();
        op.u.set_mem_access_multi.pfn_list.p = (void *)list_address(shared->frames, 8);
        op.u.set_mem_access_multi.access_list.p = (void *)list_address(shared->accesses, 1);
        break;
    case HVMOP_altp2m_get_p2m_idx:
        op.u.get_vcpu_p2m_idx.vcpu_id = draw(8) ? (uint32_t)draw(4) : (uint32_t)draw_any();
        break;
    case HVMOP_altp2m_set_visibility:
        op.u.set_visibility.altp2m_idx = draw_view();
        op.u.set_visibility.visible = (uint8_t)draw(3);
        break;
    default:
        break;
    }
    if ( draw(32) == 0 )
    {
        // Something of its form is wrong.
        may = any;
        switch ( draw(7) )
        {
        case 0:
            op.version = (uint32_t)draw_any();
            break;
        case 1:
            op.pad1 = (uint16_t)draw_any();
            break;
        case 2:
            op.pad2 = (uint32_t)draw_any();
            break;
        case 3:
            op.domain = draw(2) ? (domid_t)(0x7ff0 + draw(16)) : (domid_t)draw(2);
            break;
        case 4:
            op.u.pad[draw(64)] = (uint8_t)draw_any();
            break;
        case 5:
            // A restart that nobody told it of: at the moment only for what frees memory.
            number |= 1UL << draw(40);
            break;
        default:
            address = draw(2) ? (uint64_t)read_only + draw(XC_PAGE_SIZE) : draw_any();
            break;
        }
    }
    memcpy(argument, &op, sizeof(op));
    error = made(xencall2(call, __HYPERVISOR_hvm_op, number, address));
    snprintf(what, sizeof(what), "HVMOP_altp2m %u view %u %lx", op.cmd, op.u.mem_access.view,
             (unsigned long)op.u.mem_access.gfn);
    if ( !is_one_of(error, may) && !(may == any && error == ENOSYS) )
        wrong_is(what, error);
}

static void access_op(void)
{
    static const int may[] = { EFAULT, EINVAL, ENODEV, ENOMEM, ESRCH, EPERM, ENOSYS, EOPNOTSUPP, 0 };
    xen_mem_access_op_t op = {
        .op = draw(16) ? (uint8_t)draw(4) : (uint8_t)draw_any(),
        .access = (uint8_t)draw_access(),
        .domid = draw(64) ? (domid_t)target : (domid_t)(0x7ff0 + draw(16)),
        .nr = draw_count(),
        .pfn = draw_frame(),
    };
    uint64_t number = XENMEM_access_op;
    char what[80];
    int error;

    // Of a default that the guest's new pages have, few get out again.
    if ( op.pfn == ~0UL && draw(4) )
        op.access = XENMEM_access_rwx;
    change_list();
    op.pfn_list.p = (void *)list_address(shared->frames, 8);
    op.access_list.p = (void *)list_address(shared->accesses, 1);
    if ( draw(16) == 0 )
        number |= draw_any() << 6 & 0xffffffffUL;
    memcpy(argument, &op, sizeof(op));
    error = made(xencall2(call, __HYPERVISOR_memory_op, number,
                          draw(64) ? (uint64_t)argument : (uint64_t)read_only + draw(XC_PAGE_SIZE)));
    snprintf(what, sizeof(what), "XENMEM_access_op %u nr %u %lx", op.op, op.nr, (unsigned long)op.pfn);
    if ( !is_one_of(error, may) )
        wrong_is(what, error);
}

// The guest's memory as a toolstack, a backend or a driver of devices changes it.
static void memory(void)
{
    xen_pfn_t list[16], first = ARENA + draw(ARENA_FRAMES - 16);
    unsigned int count = 1 + (unsigned int)draw(16);
    void *page;

    for ( unsigned int i = 0; i < count; i++ )
        list[i] = draw(32) ? first + i : draw_frame();
    switch ( draw(10) )
    {
    case 0:
        made(xc_domain_decrease_reservation(xc, target, count, 0, list));
        break;
    case 1:
    case 2:
        made(xc_domain_populate_physmap(xc, target, count, 0, 0, list));
        break;
    case 3:
        made(xc_domain_add_to_physmap(xc, target, XENMAPSPACE_gmfn, ARENA + draw(ARENA_FRAMES), first));
        break;
    case 4:
        // A page of dom0's in the guest.
        {
            struct xen_add_to_physmap_batch *b = argument;
            uint64_t *idxs = (uint64_t *)((char *)argument + 1024), *gfns = idxs + 1;
            int *errors = (int *)(gfns + 1);

            *idxs = 0x40000 + draw(0x40000);
            *gfns = first;
            *b = (struct xen_add_to_physmap_batch){ .domid = (domid_t)target, .space = XENMAPSPACE_gmfn_foreign,
                                                    .size = 1, .u.foreign_domid = (domid_t)target };
            *idxs = ARENA + draw(ARENA_FRAMES);
            b->idxs.p = idxs;
            b->gpfns.p = gfns;
            b->errs.p = errors;
            made(xencall2(call, __HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, (uint64_t)b));
        }
        break;
    case 5:
        // The board's clock.
        made(xc_domain_memory_mapping(xc, target, first, 0x9010, 1, (uint32_t)draw(2)));
        break;
    case 6:
        made(xc_domain_cacheflush(xc, target, draw_frame(), draw(3) ? draw(512) : draw_any()));
        break;
    case 7:
        if ( draw(4) == 0 )
            made(xc_set_paging_mempool_size(xc, target, (draw(32) ? 16 + draw(40) : draw(8)) << 18));
        break;
    case 8:
        page = xenforeignmemory_map(foreign, target, PROT_READ | PROT_WRITE, 1, list, NULL);
        if ( made(page ? 0 : -1) == 0 )
        {
            usleep((useconds_t)draw(1000));
            xenforeignmemory_unmap(foreign, page, 1);
        }
        break;
    default:
        made(draw(2) ? xc_domain_pause(xc, target) || xc_domain_unpause(xc, target) : 0);
        break;
    }
}

static void rare(void)
{
    switch ( draw(5) )
    {
    case 0:
        // A violation that nobody listens to is the guest's end then.
        made(xc_domain_set_access_required(xc, target, draw(16) == 0));
        break;
    case 1:
        made(xc_monitor_privileged_call(xc, target, draw(2)));
        break;
    case 2:
        made(xc_monitor_guest_request(xc, target, draw(2), draw(2), draw(2)));
        break;
    case 3:
    {
        vcpu_guest_context_any_t context;

        made(xc_vcpu_getcontext(xc, target, (uint32_t)draw(3), &context));
        break;
    }
    default:
    {
        uint64_t mode;

        made(xc_hvm_param_get(xc, target, HVM_PARAM_ALTP2M, &mode));
        if ( made(xc_hvm_param_set(xc, target, HVM_PARAM_ALTP2M, draw(4))) == 0 )
            wrong_is("HVM_PARAM_ALTP2M can be set", 0);
        break;
    }
    }
}

void call_for_ever(void)
{
    useconds_t pace = (useconds_t)draw(20000);
    char *pages = mmap(NULL, 4 * XC_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    xc = xc_interface_open(NULL, NULL, 0);
    call = xencall_open(NULL, 0);
    foreign = xenforeignmemory_open(NULL, 0);
    argument = call ? xencall_alloc_buffer_pages(call, 1) : NULL;
    if ( !xc || !foreign || !argument || pages == MAP_FAILED )
        die("call_for_ever");
    memset(pages, 0, 4 * XC_PAGE_SIZE);
    edge = pages;
    read_only = pages + 2 * XC_PAGE_SIZE;
    mprotect(pages + XC_PAGE_SIZE, XC_PAGE_SIZE, PROT_NONE);
    mprotect(read_only, XC_PAGE_SIZE, PROT_READ);
    for ( ;; )
    {
        uint64_t which = draw(64);

        // Sometimes as fast as it can, mostly so that the guest comes to something in between.
        if ( draw(64) == 0 )
            pace = draw(3) ? (useconds_t)draw(50000) : 0;
        if ( pace )
            usleep(pace);
        if ( which < 40 )
            views();
        else if ( which < 50 )
            access_op();
        else if ( which < 63 )
            memory();
        else
            rare();
    }
}
