// SPDX-License-Identifier: GPL-2.0-only
//! What a context switch asks each time, without a call: which CPU this is,
//! whether CPUs have the AT speculation erratum, whether a vCPU is the idle one.

use core::arch::asm;
use core::ffi::c_uint;

use crate::{cpu_hwcaps, per_cpu__cpu_id, vcpu, XS_ARM64_WORKAROUND_AT_SPECULATE, XS_DOMID_IDLE};

/// `smp_processor_id()`: `this_cpu(cpu_id)`, whose offset Xen keeps in
/// TPIDR_EL2.
///
/// # Safety
///
/// At EL2, after Xen has set the per-CPU areas up.
#[inline(always)]
pub unsafe fn smp_processor_id() -> c_uint {
    let offset: usize;
    // SAFETY: reading this register has no side effect at EL2.
    unsafe { asm!("mrs {}, TPIDR_EL2", out(reg) offset, options(nomem, nostack, preserves_flags)) };
    let here = (&raw const per_cpu__cpu_id).wrapping_byte_add(offset);
    // SAFETY: this CPU's copy of the variable, which is written at its start.
    unsafe { here.read() }
}

/// `cpus_have_cap(ARM64_WORKAROUND_AT_SPECULATE)`.
///
/// # Safety
///
/// After the boot CPU has looked for errata.
#[inline(always)]
pub unsafe fn has_at_speculate() -> bool {
    let bit = XS_ARM64_WORKAROUND_AT_SPECULATE;
    let word = (&raw const cpu_hwcaps).cast::<u64>();
    // SAFETY: the first word of the bitmap, which is not written any more.
    let word = unsafe { word.read() };
    word >> bit & 1 != 0
}

/// `is_idle_vcpu()`.
///
/// # Safety
///
/// `v` is a live vCPU.
#[inline(always)]
pub unsafe fn is_idle_vcpu(v: *const vcpu) -> bool {
    // SAFETY: a live vCPU has a domain.
    let domain = unsafe { (*v).domain };
    // SAFETY: a live domain.
    let id = unsafe { (*domain).domain_id };
    c_uint::from(id) == XS_DOMID_IDLE
}
