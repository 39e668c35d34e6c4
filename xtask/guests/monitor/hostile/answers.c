// SPDX-License-Identifier: GPL-2.0-only
// A monitor that answers what it likes: late, twice, for vCPUs that wait for nothing or do not exist, with views that
// do not exist, with any flags; and now and then it writes what it likes into the ring.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hostile.h"

static void put(const vm_event_response_t *answer)
{
    memcpy(RING_GET_RESPONSE(&monitor.ring, monitor.ring.rsp_prod_pvt), answer, sizeof(*answer));
    monitor.ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES(&monitor.ring);
    __atomic_fetch_add(&shared->answers, 1, __ATOMIC_RELAXED);
    if ( draw(16) )
        xenevtchn_notify(monitor.evtchn, monitor.port);
}

// The instruction pointer is left, or is one from which the guest comes back.
static void any_registers(vm_event_response_t *answer, const vm_event_request_t *event)
{
    uint64_t pc = event->data.regs.arm.pc;

    for ( size_t i = 0; i < sizeof(answer->data) / 8; i++ )
        ((uint64_t *)&answer->data)[i] = draw_any();
    answer->data.regs.arm.pc = draw(2) ? pc : draw(2) ? 1 : ~0UL - draw(8);
}

static void answer(const vm_event_request_t *event)
{
    vm_event_response_t a = {
        .version = draw(32) ? VM_EVENT_INTERFACE_VERSION : (uint32_t)draw_any(),
        .reason = draw(16) ? event->reason : (uint32_t)draw(32),
        .vcpu_id = draw(16) ? event->vcpu_id : draw(2) ? (uint32_t)draw(10) : (uint32_t)draw_any(),
        .flags = event->flags & VM_EVENT_FLAG_VCPU_PAUSED,
    };

    if ( draw(2) )
    {
        a.flags |= VM_EVENT_FLAG_ALTERNATE_P2M;
        a.altp2m_idx = draw(4) ? (uint16_t)draw(10) : (uint16_t)draw_any();
    }
    // An SMC is done again unless the answer says where to go on.
    if ( event->reason == VM_EVENT_REASON_PRIVILEGED_CALL && draw(8) )
    {
        a.flags |= VM_EVENT_FLAG_SET_REGISTERS;
        a.data.regs.arm = event->data.regs.arm;
        a.data.regs.arm.pc += 4;
    }
    else if ( draw(16) == 0 )
    {
        // Without the flag that resets the state of a fork, and such, nothing would be tried.
        a.flags |= (uint32_t)draw_any() & 0xffff;
        any_registers(&a, event);
    }
    put(&a);
    if ( draw(32) == 0 )
        put(&a);
}

// Lets the guest get on, most of the time.
static void allow(const vm_event_request_t *event)
{
    uint16_t view = event->flags & VM_EVENT_FLAG_ALTERNATE_P2M ? event->altp2m_idx : 0;

    if ( event->reason != VM_EVENT_REASON_MEM_ACCESS )
        return;
    if ( view )
        xc_altp2m_set_mem_access(monitor.xc, target, view, event->u.mem_access.gfn, XENMEM_access_rwx);
    else
        xc_set_mem_access(monitor.xc, target, XENMEM_access_rwx, event->u.mem_access.gfn, 1);
}

void answer_for_ever(void)
{
    vm_event_request_t event;
    unsigned int had = 0;
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);

    if ( !xc )
        _exit(1);
    // The one that died before is connected still.
    xc_monitor_disable(xc, target);
    if ( monitor_open(&monitor, target) )
        _exit(0);
    xc_monitor_privileged_call(monitor.xc, target, draw(2));
    xc_monitor_guest_request(monitor.xc, target, draw(2), draw(2), draw(2));
    memset(&event, 0, sizeof(event));
    for ( ;; )
    {
        int rc = monitor_next(&monitor, &event, (int)draw(50));

        if ( rc == 1 )
        {
            __atomic_fetch_add(&shared->events, 1, __ATOMIC_RELAXED);
            had++;
            if ( draw(8) )
                allow(&event);
            if ( draw(64) == 0 )
                usleep((useconds_t)draw(50000));
            if ( draw(64) )
                answer(&event);
        }
        else if ( had && draw(4) == 0 )
        {
            // The last one again, or one that never was.
            event.vcpu_id = (uint32_t)draw(6);
            event.flags |= VM_EVENT_FLAG_VCPU_PAUSED;
            answer(&event);
        }
        // Not the ring's indices: Xen believes them (BUG_ON in vm_event_ring_available, and as many answers as they say).
        if ( draw(2048) == 0 )
            ((uint32_t *)monitor.page)[16 + draw(1008)] = (uint32_t)draw_any();
    }
}
