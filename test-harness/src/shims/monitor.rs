// SPDX-License-Identifier: GPL-2.0-only
//! The monitor's ring, and the walk of a guest's own tables.

use std::ffi::{c_int, c_uint};

use xen_sys::{paddr_t, vaddr_t, vcpu, vm_event_domain, vm_event_st, VM_EVENT_REASON_MEM_ACCESS};

use crate::devices::MonitorRequest;
use crate::event::Event;
use crate::machine::with;
use crate::symbols;

#[unsafe(no_mangle)]
extern "C" fn vm_event_check_ring(ved: *mut vm_event_domain) -> bool {
    with(|m, _| {
        let listens = m.domains.rings.iter().position(|r| r.addr() == ved.addr());
        listens.is_some_and(|i| m.domains.domains[i].ring)
    })
}

/// # Safety
/// `req` points to a request.
#[unsafe(no_mangle)]
unsafe extern "C" fn monitor_traps(_v: *mut vcpu, sync: bool, req: *mut vm_event_st) -> c_int {
    // SAFETY: the caller's promise.
    let request = unsafe { &*req };
    // SAFETY: the union has one member.
    let access = unsafe { request.u.mem_access };
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "monitor_traps()");
        if request.reason != VM_EVENT_REASON_MEM_ACCESS {
            m.broken(
                "A1",
                format!("a monitor request with reason {}", request.reason),
            );
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
        m.devices.monitor_rc
    })
}

/// The software walk: reads the guest's tables through its p2m, as
/// `access_guest_memory_by_gpa()` does, and takes the p2m lock for it.
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
    const GV2M_WRITE: c_uint = 1;
    const GV2M_EXEC: c_uint = 2;
    const RAM_TYPES: std::ops::RangeInclusive<c_uint> = 1..=2;

    let (tables_in, entry) = with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "guest_walk_tables()");
        m.event(cpu, Event::GuestWalk { gva });
        // It goes by the registers of who runs.
        let is_current = m.cpus.cpus[cpu].current == v.addr();
        let stage1 = m.guests.get(&v.addr()).filter(|_| is_current);
        (
            stage1.and_then(|s| s.tables_in),
            stage1.and_then(|s| s.pages.get(&(gva >> 12)).copied()),
        )
    });
    if let Some(gfn) = tables_in {
        let mut t: c_uint = 0;
        // SAFETY: the caller's promise.
        let domain = unsafe { (*v).domain };
        // SAFETY: a domain and a local to write to.
        let page = unsafe { symbols::p2m_get_page_from_gfn(domain, gfn, &mut t) };
        if page.is_null() {
            return false;
        }
        // SAFETY: the reference that was just taken.
        unsafe { xen_sys::put_page(page) };
        if !RAM_TYPES.contains(&t) {
            return false;
        }
    }
    let Some(entry) = entry else { return false };
    // SAFETY: the caller's promise.
    unsafe { ipa.write(entry.gfn << 12 | gva & 0xFFF) };
    // SAFETY: the caller's promise.
    unsafe { perms.write(GV2M_EXEC | if entry.writable { GV2M_WRITE } else { 0 }) };
    true
}
