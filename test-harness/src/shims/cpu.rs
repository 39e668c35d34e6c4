// SPDX-License-Identifier: GPL-2.0-only
//! The running vCPU, interrupts, pending work and other CPUs.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr::null_mut;

use xen_sys::{vcpu, XS_NR_CPUS};

use crate::event::Event;
use crate::machine::{here, set_here, with, Here};

#[unsafe(no_mangle)]
extern "C" fn xs_current() -> *mut vcpu {
    with(|m, cpu| {
        m.domains
            .vcpu(m.cpus.cpus[cpu].current)
            .map_or(null_mut(), |v| v.pointer)
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_smp_processor_id() -> c_uint {
    with(|_, cpu| cpu as c_uint)
}

#[unsafe(no_mangle)]
extern "C" fn xs_next_possible_cpu(cpu: c_int) -> c_uint {
    ((cpu + 1).max(0) as c_uint).min(XS_NR_CPUS)
}

#[unsafe(no_mangle)]
extern "C" fn xs_local_irq_is_enabled() -> bool {
    with(|m, cpu| !m.cpus.cpus[cpu].irqs_off)
}

#[unsafe(no_mangle)]
extern "C" fn xs_local_irq_save() -> c_ulong {
    with(|m, cpu| {
        m.event(cpu, Event::IrqSave);
        let c = &mut m.cpus.cpus[cpu];
        let was = c_ulong::from(!c.irqs_off);
        c.irqs_off = true;
        was
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_local_irq_restore(flags: c_ulong) {
    with(|m, cpu| {
        if let Some((rule, what)) = m.cpus.irq_restore(cpu, flags != 0) {
            m.broken(rule, what);
        }
        m.event(
            cpu,
            Event::IrqRestore {
                enabled: flags != 0,
            },
        );
    });
}

fn preempt_check() -> bool {
    with(|m, cpu| {
        let answer = m.cpus.preempt_check();
        m.event(cpu, Event::PreemptCheck { answer });
        answer
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_softirq_pending() -> bool {
    preempt_check()
}

#[unsafe(no_mangle)]
extern "C" fn xs_hypercall_preempt_check() -> bool {
    preempt_check()
}

#[unsafe(no_mangle)]
extern "C" fn xs_general_preempt_check() -> bool {
    preempt_check()
}

#[unsafe(no_mangle)]
extern "C" fn do_softirq() {
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "do_softirq()");
        m.devices.softirqs += 1;
        m.event(cpu, Event::DoSoftirq);
    });
}

/// # Safety
/// `func` can be called with `info`.
#[unsafe(no_mangle)]
unsafe extern "C" fn smp_call_function(
    func: Option<unsafe extern "C" fn(*mut c_void)>,
    info: *mut c_void,
    _wait: c_int,
) {
    let me = here();
    let Some(func) = func else { return };
    for cpu in (0..XS_NR_CPUS as usize).filter(|&cpu| cpu != me.cpu) {
        set_here(Some(Here { cpu, ..me.clone() }));
        // SAFETY: the caller's promise.
        unsafe { func(info) };
    }
    set_here(Some(me));
}
