// SPDX-License-Identifier: GPL-2.0-only
//! Questions about domains and what may happen to them.

use std::ffi::c_int;

use xen_sys::{cpu_user_regs, domain, hsr, mfn_t, vaddr_t, vcpu};

use crate::ground::event::Event;
use crate::machine::with;

#[unsafe(no_mangle)]
extern "C" fn xs_is_hardware_domain(d: *const domain) -> bool {
    with(|m, _| m.domains.by_address(d.addr()).is_some_and(|d| d.hardware))
}

#[unsafe(no_mangle)]
extern "C" fn xs_is_idle_vcpu(v: *const vcpu) -> bool {
    with(|m, _| m.domains.vcpu(v.addr()).is_some_and(|v| v.idle))
}

#[unsafe(no_mangle)]
extern "C" fn xs_domain_is_paused(d: *const domain) -> bool {
    with(|m, _| m.domains.by_address(d.addr()).is_some_and(|d| d.paused))
}

/// # Safety
/// `d` points to a domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn xs_domain_is_shutting_down(d: *const domain) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*d).is_shutting_down }
}

#[unsafe(no_mangle)]
extern "C" fn xs_iomem_access_permitted(d: *const domain, mfn: mfn_t) -> bool {
    with(|m, _| {
        m.domains
            .by_address(d.addr())
            .is_some_and(|d| d.iomem.iter().any(|r| r.contains(&mfn)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_ioreq_mapcache_invalidate(d: *mut domain) {
    with(|m, cpu| {
        m.mapcache_invalidated(cpu, d.addr());
        m.devices.mapcache_invalidations += 1;
        m.event(cpu, Event::MapcacheInvalidate);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_inject_undef_exception(regs: *mut cpu_user_regs, hsr: hsr) {
    with(|m, cpu| {
        // SAFETY: a union of one number.
        let syndrome = unsafe { hsr.bits };
        m.devices.undef_injected.push((regs.addr(), syndrome));
        m.event(cpu, Event::InjectUndef);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_trap_is_from_el0() -> bool {
    with(|m, _| m.devices.guest_is_at_el0)
}

/// False for a 32-bit guest, as in helpers.c.
#[unsafe(no_mangle)]
extern "C" fn xs_inject_external_abort(gva: vaddr_t) -> bool {
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "xs_inject_external_abort()");
        if m.devices.guest_is_32_bit {
            return false;
        }
        m.devices.aborts_injected.push(gva);
        m.event(cpu, Event::InjectAbort { gva });
        true
    })
}

/// # Safety
/// `d` points to a domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn __domain_crash(d: *mut domain) {
    with(|m, cpu| {
        let current = m.domains.vcpu(m.cpus.cpus[cpu].current);
        if current.is_some_and(|v| v.domain == d.addr()) {
            m.must_not_hold_p2m_lock(cpu, "domain_crash() of the current domain");
        }
        if let Some(record) = m.domains.by_address_mut(d.addr()) {
            record.crashes += 1;
        }
        m.event(cpu, Event::Crash);
    });
    // SAFETY: the caller's promise.
    unsafe { (*d).is_shutting_down = true }
}

/// # Safety
/// `d` points to a domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn domain_shutdown(d: *mut domain, reason: u8) -> c_int {
    with(|m, cpu| {
        if let Some(record) = m.domains.by_address_mut(d.addr()) {
            record.shutdowns.push(reason);
            if record.hardware {
                m.broken(
                    "X1",
                    "the hardware domain is shut down, and the machine with it".into(),
                );
            }
        }
        m.event(cpu, Event::Shutdown { reason });
    });
    // SAFETY: the caller's promise.
    unsafe { (*d).is_shutting_down = true };
    0
}
