// SPDX-License-Identifier: GPL-2.0-only
//! The running vCPU, interrupts, pending work and other CPUs.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr::null_mut;

use xen_sys::{vcpu, XS_NR_CPUS};

use crate::ground::event::{Event, PreemptCheck};
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
extern "C" fn xs_in_irq() -> bool {
    with(|m, cpu| m.cpus.cpus[cpu].in_irq)
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

/// Softirqs are seen by all three. What waits to be delivered to the vCPU that
/// runs (`local_events_need_delivery()`) is no softirq, and an idle vCPU has no
/// state in which Xen could look for it: `general_preempt_check()` does not ask
/// there, and `hypercall_preempt_check()` would follow lists that nobody set up.
fn preempt_check(check: PreemptCheck) -> bool {
    with(|m, cpu| {
        let current = m.domains.vcpu(m.cpus.cpus[cpu].current);
        let idle = current.is_none_or(|v| v.idle);
        if idle && check == PreemptCheck::Hypercall {
            m.broken(
                "X1",
                format!("CPU {cpu}: hypercall_preempt_check() on the idle vCPU"),
            );
        }
        let sees_events = match check {
            PreemptCheck::Softirq => false,
            PreemptCheck::Hypercall => true,
            PreemptCheck::General => !idle,
        };
        let answer = m.cpus.preempt_check(sees_events);
        m.event(cpu, Event::PreemptCheck { check, answer });
        answer
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_softirq_pending() -> bool {
    preempt_check(PreemptCheck::Softirq)
}

#[unsafe(no_mangle)]
extern "C" fn xs_hypercall_preempt_check() -> bool {
    preempt_check(PreemptCheck::Hypercall)
}

#[unsafe(no_mangle)]
extern "C" fn xs_general_preempt_check() -> bool {
    preempt_check(PreemptCheck::General)
}

#[unsafe(no_mangle)]
extern "C" fn do_softirq() {
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "do_softirq()");
        m.must_not_be_atomic(cpu, "do_softirq()");
        m.devices.softirqs += 1;
        m.event(cpu, Event::DoSoftirq);
    });
}

/// As `do_softirq()`, but that it never schedules.
#[unsafe(no_mangle)]
extern "C" fn process_pending_softirqs() {
    with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "process_pending_softirqs()");
        m.must_not_be_atomic(cpu, "process_pending_softirqs()");
        m.devices.softirqs += 1;
        m.event(cpu, Event::PendingSoftirqs);
    });
}

/// # Safety
/// `func` can be called with `info`.
#[unsafe(no_mangle)]
unsafe extern "C" fn smp_call_function(
    func: Option<unsafe extern "C" fn(*mut c_void)>,
    info: *mut c_void,
    wait: c_int,
) {
    with(|m, cpu| {
        if m.cpus.cpus[cpu].irqs_off {
            m.broken(
                "X1",
                format!("CPU {cpu}: smp_call_function() with interrupts off"),
            );
        }
        if wait == 0 {
            m.broken(
                "X1",
                format!("CPU {cpu} goes on before the others have done what it asked"),
            );
        }
    });
    let me = here();
    let Some(func) = func else { return };
    for cpu in (0..XS_NR_CPUS as usize).filter(|&cpu| cpu != me.cpu) {
        set_here(Some(Here { cpu, ..me.clone() }));
        // It comes by an interrupt.
        let before = with(|m, cpu| std::mem::replace(&mut m.cpus.cpus[cpu].irqs_off, true));
        // SAFETY: the caller's promise.
        unsafe { func(info) };
        with(|m, cpu| m.cpus.cpus[cpu].irqs_off = before);
    }
    set_here(Some(me));
}
