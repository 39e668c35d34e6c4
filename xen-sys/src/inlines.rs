// SPDX-License-Identifier: GPL-2.0-only
//! Xen's inlines, without a call, for what is asked in every call: which CPU and
//! vCPU this is, what kind of domain or vCPU; and whether CPUs have an erratum.

use core::arch::asm;
use core::ffi::c_uint;

use crate::{
    cpu_hwcaps, domain, hardware_domain, per_cpu__cpu_id, per_cpu__curr_vcpu, vcpu, XS_CDF_iommu,
    XS_ARM64_WORKAROUND_AT_SPECULATE, XS_DOMID_IDLE,
};

/// `this_cpu(variable)`: Xen keeps the offset of a CPU's area in TPIDR_EL2.
///
/// # Safety
///
/// At EL2, after Xen has set the per-CPU areas up; `variable` is a per-CPU
/// variable that only its CPU writes.
#[inline(always)]
unsafe fn this_cpu<T: Copy>(variable: *const T) -> T {
    let offset: usize;
    // SAFETY: reading this register has no side effect at EL2.
    unsafe { asm!("mrs {}, TPIDR_EL2", out(reg) offset, options(nomem, nostack, preserves_flags)) };
    let here = variable.wrapping_byte_add(offset);
    // SAFETY: this CPU's copy of the variable.
    unsafe { here.read() }
}

/// `smp_processor_id()`.
///
/// # Safety
///
/// At EL2, after Xen has set the per-CPU areas up.
#[inline(always)]
pub unsafe fn smp_processor_id() -> c_uint {
    // SAFETY: written at this CPU's start.
    unsafe { this_cpu(&raw const per_cpu__cpu_id) }
}

/// `current`.
///
/// # Safety
///
/// As for [`smp_processor_id`].
#[inline(always)]
pub unsafe fn current_vcpu() -> *mut vcpu {
    // SAFETY: written by this CPU's context switch.
    unsafe { this_cpu(&raw const per_cpu__curr_vcpu) }
}

/// `cpus_have_cap(ARM64_WORKAROUND_AT_SPECULATE)`, for the boot: until Xen patches
/// alternatives, [`crate::has_at_speculate`] says no.
///
/// # Safety
///
/// After the boot CPU has looked for errata.
#[inline(always)]
pub unsafe fn found_at_speculate() -> bool {
    let bit = XS_ARM64_WORKAROUND_AT_SPECULATE;
    let word = (&raw const cpu_hwcaps).cast::<u64>();
    // SAFETY: the first word of the bitmap; a CPU that comes up writes it before it
    // asks, and no bit of it is ever cleared.
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

/// `is_hardware_domain()`.
///
/// # Safety
///
/// None but that of a variable of C's: it is written while dom0 is made, before
/// there are others.
#[inline(always)]
pub unsafe fn is_hardware_domain(d: *const domain) -> bool {
    // SAFETY: a pointer-sized variable, which is not written any more.
    let hardware = unsafe { (&raw const hardware_domain).read() };
    core::ptr::eq(d, hardware)
}

/// `is_iommu_enabled()`.
///
/// # Safety
///
/// `d` is a live domain.
#[inline(always)]
pub unsafe fn is_iommu_enabled(d: *const domain) -> bool {
    // SAFETY: a live domain; fixed when it was made.
    let options = unsafe { (*d).options };
    options & XS_CDF_iommu != 0
}
