// SPDX-License-Identifier: GPL-2.0-only
//! This CPU: its number, interrupts, pending work, barriers and registers.

use core::ffi::c_void;
use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;
use xen_sys::arch;

use crate::xen::globals::vtcr;
use crate::xen::vcpu::NoGuest;

/// This CPU's number (`smp_processor_id`).
#[inline]
pub fn id() -> usize {
    sys::smp_processor_id() as usize
}

/// Numbers of all CPUs that may ever come up (`for_each_possible_cpu`).
pub fn all_possible() -> impl Iterator<Item = usize> {
    let mut cpu = -1;
    core::iter::from_fn(move || {
        let next = sys::xs_next_possible_cpu(cpu);
        cpu = i32::try_from(next).ok()?;
        (next < sys::XS_NR_CPUS).then_some(next as usize)
    })
}

/// Interrupts masked on this CPU, as they were before on drop.
///
/// # Invariants
///
/// Made and dropped on the same CPU, the last one first; the value is what
/// `local_irq_save` returned.
pub(crate) struct IrqsOff(u64);

impl IrqsOff {
    /// Masks interrupts (`local_irq_save`).
    pub(crate) fn mask() -> Self {
        Self(arch::local_irq_save())
    }
}

impl Drop for IrqsOff {
    fn drop(&mut self) {
        // SAFETY: the flags that local_irq_save returned on this CPU.
        unsafe { arch::local_irq_restore(self.0) };
    }
}

/// Whether interrupts are enabled on this CPU.
pub fn irqs_enabled() -> bool {
    sys::xs_local_irq_is_enabled()
}

/// Whether this CPU handles an interrupt. Those from other CPUs are handled with interrupts masked, which
/// `in_irq` does not know of. Debug builds only: release builds of
/// Xen do not have these helpers.
pub fn handles_interrupt() -> bool {
    sys::xs_in_irq() || !irqs_enabled()
}

/// Whether a softirq waits on this CPU (`softirq_pending`).
pub fn softirq_pending() -> bool {
    sys::xs_softirq_pending()
}

/// Whether a long operation should be preempted (`general_preempt_check`). On a domain's vCPU this is the
/// same as `hypercall_preempt_check`, which the C asks in hypercalls; unlike that, it may be asked on an
/// idle vCPU.
pub fn general_preempt_check() -> bool {
    sys::xs_general_preempt_check()
}

/// Runs `function` on all other CPUs and waits for them, at boot, with interrupts enabled.
///
/// # Safety
///
/// The function takes no argument, waits for nobody, and may run on each of them.
pub(crate) unsafe fn call_all_others(function: unsafe extern "C" fn(*mut c_void)) {
    debug_assert!(irqs_enabled());
    // SAFETY: as promised to this function.
    unsafe { sys::smp_call_function(Some(function), core::ptr::null_mut(), 1) };
}

/// Later instructions see what earlier ones changed of the context.
pub(crate) fn isb() {
    arch::isb();
}

/// The translation table walks that this CPU has begun are complete, so that the
/// registers of the EL1&0 translation regime may be written ([`crate::guest::context`]).
pub(crate) fn wait_for_walks() {
    arch::dsb_nsh();
}

/// What is read later is not older than what was read before (`smp_rmb`).
pub(crate) fn loads_are_in_order() {
    arch::dmb_ishld();
}

/// Whether CPUs have the AT speculation erratum (`cpus_have_const_cap`); no, until
/// alternatives are patched, which is before a guest runs.
#[inline]
pub(crate) fn has_at_speculate() -> bool {
    sys::has_at_speculate()
}

/// [`has_at_speculate`] for any time, also at boot (`cpus_have_cap`).
#[inline]
pub(crate) fn found_at_speculate() -> bool {
    sys::found_at_speculate()
}

/// The least PARange of all CPUs (ID_AA64MMFR0_EL1).
pub(crate) fn pa_range() -> usize {
    sys::xs_cpuinfo_pa_range() as usize
}

/// Whether all CPUs have FEAT_VMID16.
pub(crate) fn has_16_bit_vmids() -> bool {
    sys::xs_cpuinfo_vmid_16_bits()
}

/// Turns stage 2 on (HCR_EL2.VM).
pub(crate) fn enable_stage2(_: &NoGuest<'_>) {
    let hcr = arch::read_hcr_el2() | u64::from(sys::XS_HCR_VM);
    // SAFETY: the register's value, with stage 2 beside; no guest's context is in use.
    unsafe { arch::write_hcr_el2(hcr) };
}

/// Loads VTCR_EL2 with what `setup_virt_paging` has computed.
pub(crate) fn load_vtcr(_: &NoGuest<'_>) {
    // SAFETY: every CPU's value; no guest's context is in use.
    unsafe { arch::write_vtcr_el2(vtcr().load(Relaxed)) };
}

/// Invalidates all instruction caches, to the point of unification.
pub(crate) fn invalidate_icache() {
    sys::xs_invalidate_icache();
}
