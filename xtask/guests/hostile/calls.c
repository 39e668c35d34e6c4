// SPDX-License-Identifier: GPL-2.0-only
// Hypercalls that a guest may try, with arguments that it should not.

#include "hostile.h"
#include <public/event_channel.h>
#include <public/grant_table.h>
#include <public/hvm/hvm_op.h>
#include <public/hvm/params.h>
#include <public/memory.h>
#include <public/sched.h>
#include <public/vcpu.h>

#define LIST 64UL

static char buffers[MAX_CPUS][2 * PAGE] __attribute__((aligned(4096)));
static uint64_t lists[MAX_CPUS][2][LIST] __attribute__((aligned(4096)));
static int results[MAX_CPUS][LIST];

// Puts the argument where Xen has to find it: in an ordinary page, across two, or where tables are wild.
static uint64_t place(struct cpu *c, const void *what, size_t size)
{
    const char *from = what;
    uint64_t to;

    switch ( draw(c, 8) )
    {
    case 0:
    case 1:
        to = draw_address(c);
        break;
    case 2:
        to = (uint64_t)buffers[c->id] + PAGE - draw(c, size + 1);
        break;
    default:
        to = (uint64_t)buffers[c->id] + draw(c, PAGE);
        break;
    }
    // Where nothing can be written, the call has what is there. (The exception ends the act now and then.)
    if ( draw(c, 8) )
        for ( size_t i = 0; i < size; i++ )
            ((volatile char *)to)[i] = from[i];
    return to;
}

static long call(struct cpu *c, uint64_t a0, uint64_t a1, uint64_t number)
{
    long rc = hypercall(a0, a1, 0, 0, 0, number);

    c->calls++;
    c->refused += rc < 0;
    return rc;
}

// A list of frames: apart, in a row, many times the same; in a page of its own or at a wild address.
static uint64_t *draw_list(struct cpu *c, unsigned int which, uint64_t order)
{
    uint64_t *list = lists[c->id][which], first = draw_frame(c), how = draw(c, 3);

    for ( uint64_t i = 0; i < LIST; i++ )
        list[i] = how == 0 ? draw_frame(c) : how == 1 ? first + (i << order) : first + (i & 1);
    return draw(c, 16) ? list : (uint64_t *)draw_address(c);
}

static void change_reservation(struct cpu *c)
{
    static const unsigned int ops[] = { XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                        XENMEM_populate_physmap };
    struct xen_memory_reservation r = { .domid = (domid_t)draw_domain(c) };
    uint64_t start = draw(c, 64) ? 0 : draw(c, LIST);

    r.extent_order = draw(c, 3) ? 0 : (unsigned int)draw(c, draw(c, 8) ? 10 : 70);
    r.nr_extents = draw(c, 32) ? draw(c, LIST) : draw_any(c) >> draw(c, 64);
    r.mem_flags = draw(c, 4) ? 0 : (unsigned int)draw_any(c);
    r.extent_start.p = draw_list(c, 0, r.extent_order);
    call(c, ops[draw(c, 3)] | start << 6, place(c, &r, sizeof(r)), __HYPERVISOR_memory_op);
}

void act_memory(struct cpu *c)
{
    switch ( draw(c, 9) )
    {
    case 0:
        change_reservation(c);
        break;
    case 1:
    {
        struct xen_memory_exchange e = { .in.domid = DOMID_SELF, .out.domid = DOMID_SELF };

        e.in.extent_start.p = draw_list(c, 0, 0);
        e.out.extent_start.p = draw_list(c, 1, 0);
        e.in.nr_extents = e.out.nr_extents = draw(c, LIST);
        e.in.extent_order = e.out.extent_order = (unsigned int)draw(c, 2);
        call(c, XENMEM_exchange, place(c, &e, sizeof(e)), __HYPERVISOR_memory_op);
        break;
    }
    case 2:
    {
        struct xen_add_to_physmap a = {
            .domid = (domid_t)draw_domain(c),
            .size = (uint16_t)draw(c, 8),
            .space = (unsigned int)draw(c, 7),
            .idx = draw(c, 2) ? draw(c, 8) : draw_frame(c),
            .gpfn = draw_frame(c),
        };

        call(c, XENMEM_add_to_physmap, place(c, &a, sizeof(a)), __HYPERVISOR_memory_op);
        break;
    }
    case 3:
    {
        struct xen_add_to_physmap_batch a = {
            .domid = (domid_t)draw_domain(c),
            .space = (uint16_t)draw(c, 7),
            .size = (uint16_t)draw(c, draw(c, 8) ? LIST : 0x10000),
            .u.foreign_domid = (domid_t)draw_domain(c),
        };

        a.idxs.p = draw_list(c, 0, 0);
        a.gpfns.p = draw_list(c, 1, 0);
        a.errs.p = results[c->id];
        call(c, XENMEM_add_to_physmap_batch, place(c, &a, sizeof(a)), __HYPERVISOR_memory_op);
        break;
    }
    case 4:
    case 5:
    {
        struct xen_remove_from_physmap r = { .domid = (domid_t)draw_domain(c), .gpfn = draw_frame(c) };

        call(c, XENMEM_remove_from_physmap, place(c, &r, sizeof(r)), __HYPERVISOR_memory_op);
        break;
    }
    case 6:
    {
        struct xen_mem_access_op a = {
            .op = (uint8_t)draw(c, 5),
            .access = (uint8_t)draw(c, 16),
            .domid = (domid_t)draw_domain(c),
            .nr = (uint32_t)draw_any(c) >> draw(c, 32),
            .pfn = draw_frame(c),
        };

        a.pfn_list.p = draw_list(c, 0, 0);
        a.access_list.p = (uint8_t *)lists[c->id][1];
        call(c, XENMEM_access_op | draw(c, 2) << 6, place(c, &a, sizeof(a)), __HYPERVISOR_memory_op);
        break;
    }
    case 7:
    {
        struct xen_mem_acquire_resource a = {
            .domid = (domid_t)draw_domain(c),
            .type = (uint16_t)draw(c, 4),
            .id = (uint32_t)draw(c, 3),
            .nr_frames = (uint32_t)draw(c, LIST),
            .frame = draw(c, 4),
        };

        a.frame_list.p = draw_list(c, 0, 0);
        call(c, XENMEM_acquire_resource, place(c, &a, sizeof(a)), __HYPERVISOR_memory_op);
        break;
    }
    default:
    {
        uint64_t any[8];

        for ( int i = 0; i < 8; i++ )
            any[i] = draw_any(c) >> draw(c, 64);
        call(c, draw(c, 40), place(c, any, sizeof(any)), __HYPERVISOR_memory_op);
        break;
    }
    }
}

// If Xen does it, it is told as a secret that was seen is. (hvm_allow_set_param and do_altp2m_op refuse each, whatever
// is in the structure: the guest is no other domain's toolstack.)
static void refused(struct cpu *c, uint64_t op, uint64_t argument, uint64_t what)
{
    if ( call(c, op, argument, __HYPERVISOR_hvm_op) == 0 )
        c->leaks++, c->leaked_at = what;
}

// Its own views, those of others, and the parameter that allows them: nothing of it may succeed.
void act_views(struct cpu *c)
{
    xen_hvm_altp2m_op_t op = {
        .version = draw(c, 8) ? HVMOP_ALTP2M_INTERFACE_VERSION : (uint32_t)draw_any(c),
        .cmd = (uint32_t)draw(c, 20),
        .domain = (domid_t)draw_domain(c),
        .pad1 = draw(c, 8) ? 0 : (uint16_t)draw_any(c),
        .pad2 = draw(c, 8) ? 0 : (uint32_t)draw_any(c),
    };
    struct xen_hvm_param p = {
        .domid = (domid_t)draw_domain(c),
        .index = draw(c, 3) ? HVM_PARAM_ALTP2M : (uint32_t)draw(c, HVM_NR_PARAMS + 2),
        .value = draw(c, 4),
    };

    for ( size_t i = 0; i < sizeof(op.u); i++ )
        op.u.pad[i] = draw(c, 4) ? 0 : (uint8_t)draw_any(c);
    switch ( draw(c, 8) )
    {
    case 0:
        // Not the parameters by which it speaks.
        if ( p.index == HVM_PARAM_ALTP2M || p.index > HVM_PARAM_CALLBACK_IRQ + 30 )
            refused(c, HVMOP_set_param, place(c, &p, sizeof(p)), 0xa17b2f00);
        break;
    case 1:
        call(c, HVMOP_get_param, place(c, &p, sizeof(p)), __HYPERVISOR_hvm_op);
        break;
    case 2:
        call(c, HVMOP_guest_request_vm_event, 0, __HYPERVISOR_hvm_op);
        break;
    case 3:
        // A restart that it was never told of.
        refused(c, HVMOP_altp2m | draw_any(c) << 8, place(c, &op, sizeof(op)), 0xa17b2e00 | op.cmd);
        break;
    default:
        refused(c, HVMOP_altp2m, place(c, &op, sizeof(op)), 0xa17b2000 | op.cmd);
        break;
    }
}

// Pages that it grants to itself, mapped over what it has; where they were mapped last, by all CPUs, and from which
// frame. Kept: Xen has said that the mapping is gone, and was told another place than where it was.
static struct mapping { uint64_t address, frame; uint32_t handle; } granted[64], kept[16];

// The page goes back to Xen, as far as that knows, and somebody else has it; or what has he written there?
static void use_kept(struct cpu *c)
{
    const struct mapping *it = &kept[draw(c, 16)];
    struct xen_memory_reservation r = { .domid = DOMID_SELF, .nr_extents = 1 };
    uint64_t address = it->address + draw(c, PAGE / 8) * 8;

    if ( !it->address )
        return;
    if ( draw(c, 4) )
    {
        look(c, *(volatile uint64_t *)address, address);
        return;
    }
    lists[c->id][0][0] = it->frame;
    r.extent_start.p = lists[c->id][0];
    __builtin_memcpy(buffers[c->id], &r, sizeof(r));
    call(c, XENMEM_decrease_reservation, (uint64_t)buffers[c->id], __HYPERVISOR_memory_op);
}

void act_grants(struct cpu *c)
{
    grant_entry_v1_t *table = (grant_entry_v1_t *)0x38000000UL;

    switch ( draw(c, 8) )
    {
    case 0:
    {
        struct xen_add_to_physmap a = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table, .idx = draw(c, 4),
                                        .gpfn = 0x38000 + draw(c, 4) };

        call(c, XENMEM_add_to_physmap, (uint64_t)__builtin_memcpy(buffers[c->id], &a, sizeof(a)),
             __HYPERVISOR_memory_op);
        break;
    }
    case 1:
    {
        grant_entry_v1_t *entry = table + draw(c, 64);

        entry->domid = draw(c, 8) ? own : (domid_t)draw_domain(c);
        entry->frame = (uint32_t)draw_frame(c);
        entry->flags = GTF_permit_access | (draw(c, 4) ? 0 : GTF_readonly);
        break;
    }
    case 2:
    case 3:
    {
        struct gnttab_map_grant_ref m = {
            .host_addr = draw_frame(c) << 12 | (draw(c, 8) ? 0 : draw(c, 4096)),
            .flags = draw(c, 8) ? GNTMAP_host_map | (draw(c, 2) ? GNTMAP_readonly : 0) : (uint32_t)draw_any(c),
            .ref = (grant_ref_t)draw(c, 64),
            .dom = draw(c, 8) ? own : (domid_t)draw_domain(c),
        };
        volatile struct gnttab_map_grant_ref *at = (void *)place(c, &m, sizeof(m));

        hypercall(GNTTABOP_map_grant_ref, (uint64_t)at, 1, 0, 0, __HYPERVISOR_grant_table_op);
        if ( at->status == GNTST_okay )
        {
            uint64_t one = draw(c, 64);

            granted[one] = (struct mapping){ at->host_addr, table[at->ref % 64].frame, at->handle };
        }
        break;
    }
    case 4:
    {
        // Mostly a grant that is mapped, and half of the times where it is.
        uint64_t one = draw(c, 64);
        struct gnttab_unmap_grant_ref u = {
            .host_addr = draw(c, 2) ? granted[one].address : draw_frame(c) << 12,
            .handle = draw(c, 8) ? granted[one].handle : (uint32_t)draw(c, 64),
        };

        volatile struct gnttab_unmap_grant_ref *at = (void *)place(c, &u, sizeof(u));

        hypercall(GNTTABOP_unmap_grant_ref, (uint64_t)at, 1, 0, 0, __HYPERVISOR_grant_table_op);
        if ( at->status == GNTST_okay && at->handle == granted[one].handle && at->host_addr != granted[one].address )
            kept[draw(c, 16)] = granted[one];
        break;
    }
    case 5:
    case 6:
        use_kept(c);
        break;
    default:
    {
        struct gnttab_copy y = {
            .source.u.gmfn = draw_frame(c), .source.domid = DOMID_SELF, .source.offset = (uint16_t)draw(c, PAGE),
            .dest.u.gmfn = draw_frame(c), .dest.domid = DOMID_SELF, .dest.offset = (uint16_t)draw(c, PAGE),
            .len = (uint16_t)draw(c, PAGE),
        };

        hypercall(GNTTABOP_copy, place(c, &y, sizeof(y)), 1, 0, 0, __HYPERVISOR_grant_table_op);
        break;
    }
    }
}

void act_other(struct cpu *c)
{
    uint64_t any[8];

    for ( int i = 0; i < 8; i++ )
        any[i] = draw_any(c) >> draw(c, 64);
    switch ( draw(c, 6) )
    {
    case 0:
    {
        // Not what stops a CPU or the machine: PSCI's numbers 1, 2, 8, 9 and those after them.
        uint64_t function = draw(c, 2) ? draw_any(c) & 0xffffffff : 0x84000000UL | draw(c, 2) << 30 | draw(c, 12);

        if ( (function & 0xffff) == 0 || ((function & 0xffff) > 2 && (function & 0xffff) < 8) )
            smc(function, any[0], any[1], any[2]);
        break;
    }
    case 1:
        for ( int i = 0; i < 16; i++ )
            smc(0xffffffff, i, 0, 0);
        break;
    case 2:
    {
        struct vcpu_register_vcpu_info v = { .mfn = draw_frame(c), .offset = (uint32_t)draw(c, PAGE) };

        hypercall(VCPUOP_register_vcpu_info, draw(c, MAX_CPUS), place(c, &v, sizeof(v)), 0, 0, __HYPERVISOR_vcpu_op);
        break;
    }
    case 3:
        hypercall(VCPUOP_register_runstate_memory_area, c->id, draw_address(c), 0, 0, __HYPERVISOR_vcpu_op);
        break;
    case 4:
    {
        static const unsigned char numbers[] = { 1, 2, 3, 6, 7, 14, 17, 21, 22, 26, 27, 31, 33, 35, 36, 39, 41, 42, 60 };

        hypercall(draw(c, 30), place(c, any, sizeof(any)), any[0], any[1], any[2],
                  numbers[draw(c, sizeof(numbers))]);
        break;
    }
    default:
        yield();
        break;
    }
}

// Gives pages of its own back and asks for others in their place, which is what it may do.
void act_balloon(struct cpu *c)
{
    struct xen_memory_reservation r = { .domid = DOMID_SELF, .nr_extents = 1 + draw(c, 16) };
    uint64_t *list = lists[c->id][0], first = draw_own_frame(c);

    if ( draw(c, 8) == 0 )
    {
        r.nr_extents = 1;
        r.extent_order = 9;
        first = (ARENA + draw(c, ARENA_FRAMES)) & ~511UL;
    }
    for ( uint64_t i = 0; i < r.nr_extents; i++ )
        list[i] = draw(c, 2) ? first + i : draw_own_frame(c);
    r.extent_start.p = list;
    __builtin_memcpy(buffers[c->id], &r, sizeof(r));
    call(c, draw(c, 5) < 2 ? XENMEM_decrease_reservation : XENMEM_populate_physmap, (uint64_t)buffers[c->id],
         __HYPERVISOR_memory_op);
}
