// SPDX-License-Identifier: GPL-2.0-only
// libxc's calls for views where they must succeed, and events and answers that name one.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "views.h"
#include <xen/memory.h>
#include <xen/version.h>

#define CALL(call) do { if ( call ) die(#call); } while ( 0 )

uint16_t new_view(xenmem_access_t access)
{
    uint16_t view = 0xffff;

    CALL(xc_altp2m_create_view(monitor.xc, monitor.domain, access, &view));
    return view;
}

void drop_view(uint16_t view)
{
    CALL(xc_altp2m_destroy_view(monitor.xc, monitor.domain, view));
}

void switch_to(uint16_t view)
{
    CALL(xc_altp2m_switch_to_view(monitor.xc, monitor.domain, view));
}

void set_enabled(bool on)
{
    CALL(xc_altp2m_set_domain_state(monitor.xc, monitor.domain, on));
}

void set_access(uint16_t view, uint64_t frame, xenmem_access_t access)
{
    CALL(xc_altp2m_set_mem_access(monitor.xc, monitor.domain, view, frame, access));
}

xenmem_access_t view_access_of(uint16_t view, uint64_t frame)
{
    xenmem_access_t access;

    CALL(xc_altp2m_get_mem_access(monitor.xc, monitor.domain, view, frame, &access));
    return access;
}

void change_frame(uint16_t view, uint64_t old, uint64_t new)
{
    CALL(xc_altp2m_change_gfn(monitor.xc, monitor.domain, view, old, new));
}

// What the guest needs to do anything at all: its image with its tables and stacks, and the page of the orders. In one
// call, which Xen does in several parts.
void open_image(uint16_t view)
{
    static uint64_t frames[512 + 64];
    static uint8_t accesses[512 + 64];

    for ( unsigned int i = 0; i < 512 + 64; i++ )
    {
        frames[i] = i < 512 ? 0x40000 + i : TEST_GFN + i - 512;
        accesses[i] = XENMEM_access_rwx;
    }
    CALL(xc_altp2m_set_mem_access_multi(monitor.xc, monitor.domain, view, accesses, frames, 512 + 64));
}

uint16_t view_of(unsigned int cpu)
{
    uint16_t view = 0xffff;

    CALL(xc_altp2m_get_vcpu_p2m_idx(monitor.xc, monitor.domain, cpu, &view));
    return view;
}

void populate(uint64_t frame)
{
    xen_pfn_t one = frame;
    xc_domaininfo_t info;

    if ( xc_domain_getinfolist(monitor.xc, monitor.domain, 1, &info) != 1 )
        die("xc_domain_getinfolist");
    CALL(xc_domain_setmaxmem(monitor.xc, monitor.domain, (info.tot_pages + 64) * 4));
    CALL(xc_domain_populate_physmap_exact(monitor.xc, monitor.domain, 1, 0, 0, &one));
}

// A hypercall of the guest that writes some text there.
int64_t have_text(unsigned int cpu, uint64_t address)
{
    return have_hypercall(cpu, XENVER_extraversion, address, __HYPERVISOR_xen_version);
}

// The guest itself gives a frame back to Xen: how many it says it was.
long give_back(unsigned int cpu, uint64_t frame)
{
    char *buffer = buffer_of(cpu);
    struct xen_memory_reservation one = { .nr_extents = 1, .domid = DOMID_SELF };
    xen_pfn_t list = frame;

    // The handle is an address of the guest's.
    one.extent_start.p = (void *)(uintptr_t)(buffer_address(cpu) + 256);
    memcpy(buffer, &one, sizeof(one));
    memcpy(buffer + 256, &list, sizeof(list));
    return have_hypercall(cpu, XENMEM_decrease_reservation, buffer_address(cpu), __HYPERVISOR_memory_op);
}

void nap(unsigned int milliseconds)
{
    usleep(milliseconds * 1000);
}

uint64_t free_pages(void)
{
    xc_physinfo_t info = { 0 };

    CALL(xc_physinfo(monitor.xc, &info));
    return info.free_pages + info.scrub_pages;
}

// Of the domain's pool, what is in tables: no call says it, but Xen takes away what is not when it is told to take
// everything.
uint64_t pool_in_use(void)
{
    uint64_t size, used;

    CALL(xc_domain_pause(monitor.xc, monitor.domain));
    CALL(xc_get_paging_mempool_size(monitor.xc, monitor.domain, &size));
    expect(xc_set_paging_mempool_size(monitor.xc, monitor.domain, 0) != 0, "the pool is empty, and the guest has tables");
    CALL(xc_get_paging_mempool_size(monitor.xc, monitor.domain, &used));
    CALL(xc_set_paging_mempool_size(monitor.xc, monitor.domain, size));
    CALL(xc_domain_unpause(monitor.xc, monitor.domain));
    return used / XC_PAGE_SIZE;
}

// The vCPU goes on in a view, whichever it was in.
void answer_in(const vm_event_request_t *event, uint16_t view)
{
    vm_event_response_t answer = {
        .version = VM_EVENT_INTERFACE_VERSION,
        .reason = event->reason,
        .vcpu_id = event->vcpu_id,
        .flags = VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_ALTERNATE_P2M,
        .altp2m_idx = view,
    };

    memcpy(RING_GET_RESPONSE(&monitor.ring, monitor.ring.rsp_prod_pvt), &answer, sizeof(answer));
    monitor.ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES(&monitor.ring);
    CALL(xenevtchn_notify(monitor.evtchn, monitor.port));
}

static bool next_of(vm_event_request_t *event, unsigned int cpu, uint16_t view, unsigned int reason)
{
    if ( monitor_next(&monitor, event, PATIENCE) != 1 )
    {
        vcpu_guest_context_any_t context = { 0 };

        xc_vcpu_getcontext(monitor.xc, monitor.domain, cpu, &context);
        printf("monitor: no event of reason %u of vCPU %u, which is in view %u at %" PRIx64 " and %s\n", reason, cpu,
               view_of(cpu), context.c.user_regs.pc64, is_done(cpu) ? "has done what it was told" : "does something");
        die("an event is missing");
    }
    return expect(event->reason == reason && event->vcpu_id == cpu && event->altp2m_idx == view &&
                  event->flags == (VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_ALTERNATE_P2M),
                  "an event of reason %" PRIu32 " vCPU %" PRIu32 " view %" PRIu16 " flags %" PRIx32
                  ", not of reason %u vCPU %u view %u", event->reason, event->vcpu_id, event->altp2m_idx, event->flags,
                  reason, cpu, view);
}

bool next_access(vm_event_request_t *event, unsigned int cpu, uint16_t view, uint64_t frame, uint32_t flags)
{
    const struct vm_event_mem_access *it = &event->u.mem_access;

    return next_of(event, cpu, view, VM_EVENT_REASON_MEM_ACCESS) &&
           expect(it->gfn == frame && (it->flags & MEM_ACCESS_RWX) == flags,
                  "an access %" PRIx32 " to frame %" PRIx64 ", not %x to %" PRIx64, it->flags, it->gfn, flags, frame);
}

bool next_smc(vm_event_request_t *event, unsigned int cpu, uint16_t view)
{
    return next_of(event, cpu, view, VM_EVENT_REASON_PRIVILEGED_CALL);
}

// Puts one vCPU into a view: only the answer to an event can, so it is asked for one.
void move(unsigned int cpu, uint16_t view)
{
    vm_event_request_t event;

    CALL(xc_monitor_guest_request(monitor.xc, monitor.domain, true, true, false));
    order_hypercall(cpu, HVMOP_guest_request_vm_event, 0, __HYPERVISOR_hvm_op);
    next_of(&event, cpu, view_of(cpu), VM_EVENT_REASON_GUEST_REQUEST);
    answer_in(&event, view);
    result_of(cpu);
    CALL(xc_monitor_guest_request(monitor.xc, monitor.domain, false, true, false));
    expect(view_of(cpu) == view, "vCPU %u is in view %u and not in %u", cpu, view_of(cpu), view);
}
