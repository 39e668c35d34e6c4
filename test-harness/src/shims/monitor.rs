// SPDX-License-Identifier: GPL-2.0-only
//! The monitor's ring, and the walk of a guest's own tables.

use std::ffi::{c_int, c_uint};

use xen_sys::{
    paddr_t, vaddr_t, vcpu, vm_event_domain, vm_event_mem_access, vm_event_st,
    MEM_ACCESS_GLA_VALID, VM_EVENT_REASON_MEM_ACCESS,
};

use crate::ground::event::Event;
use crate::ground::symbols;
use crate::machine::guest_walk::guest_walk;
use crate::machine::with;
use crate::model::devices::MonitorRequest;
use crate::rules::State;

#[unsafe(no_mangle)]
extern "C" fn vm_event_check_ring(ved: *mut vm_event_domain) -> bool {
    with(|m, _| {
        let asked = m.domains.rings.iter().position(|r| r.addr() == ved.addr());
        let Some(domain) = asked.map(|i| &mut m.domains.domains[i]) else {
            return false;
        };
        let listens = domain.ring;
        if std::mem::take(&mut m.devices.monitor_leaves) {
            domain.ring = false;
        }
        listens
    })
}

/// What Xen copies into the ring as it is: nothing but what the event says.
fn check_request(m: &mut State, request: &vm_event_st, access: &vm_event_mem_access) {
    let silent = (request.version, request.flags, request.vcpu_id, access._pad);
    let wrong = if request.reason != VM_EVENT_REASON_MEM_ACCESS {
        format!("a monitor request with reason {}", request.reason)
    } else if silent != (0, 0, 0, 0) {
        format!("a monitor request with version, flags, vCPU and padding {silent:?}")
    } else if access.offset > 0xFFF {
        format!("a monitor request with offset {:#x}", access.offset)
    } else if access.flags & MEM_ACCESS_GLA_VALID == 0 && access.gla != 0 {
        format!("a monitor request with gla {:#x}, not valid", access.gla)
    } else {
        return;
    };
    m.broken("A1", wrong);
}

/// As Xen's: 1 if the vCPU waits for the answer, 0 if it goes on, which it also
/// does where nobody listens; an error if the event could not be sent. The vCPU
/// may sleep until the ring has room.
///
/// # Safety
/// `req` points to a request.
#[unsafe(no_mangle)]
unsafe extern "C" fn monitor_traps(v: *mut vcpu, sync: bool, req: *mut vm_event_st) -> c_int {
    // SAFETY: the caller's promise.
    let request = unsafe { &*req };
    // SAFETY: the union has one member.
    let access = unsafe { request.u.mem_access };
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "monitor_traps()");
        m.must_not_be_atomic(cpu, "monitor_traps()");
        check_request(m, request, &access);
        if m.cpus.cpus[cpu].current != v.addr() {
            m.broken(
                "X1",
                format!("CPU {cpu} sends an event of a vCPU that does not run"),
            );
        }
        let domain = m.domains.vcpu(v.addr()).map(|v| v.domain);
        let record = domain.and_then(|d| m.domains.by_address(d));
        if !record.is_some_and(|record| record.ring) {
            return 0;
        }
        m.devices.monitor_requests.push(MonitorRequest {
            reason: request.reason,
            gfn: access.gfn,
            offset: access.offset,
            gla: access.gla,
            flags: access.flags,
            sync,
        });
        m.event(cpu, Event::MonitorTraps { sync });
        match m.devices.monitor_rc {
            0 => c_int::from(sync),
            rc => rc,
        }
    })
}

/// See [`guest_walk`].
///
/// # Safety
/// `v` points to a vCPU, `ipa` and `perms` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn guest_walk_tables(
    v: *const vcpu,
    gva: vaddr_t,
    ipa: *mut paddr_t,
    perms: *mut c_uint,
) -> bool {
    let is_current = with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "guest_walk_tables()");
        m.check_not_given_up(cpu, "guest_walk_tables()");
        m.cpus.cpus[cpu].stage1_unanswered = false;
        m.event(cpu, Event::GuestWalk { gva });
        // It goes by the registers of who runs.
        m.cpus.cpus[cpu].current == v.addr()
    });
    // SAFETY: the caller's promise.
    is_current && unsafe { guest_walk(v, gva, ipa, perms, symbols::p2m_get_page_from_gfn) }
}
