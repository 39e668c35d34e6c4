// SPDX-License-Identifier: GPL-2.0-only
//! Xen's inlines, without a call, for what is asked in every call: which CPU and
//! vCPU this is, what kind of domain or vCPU; and whether CPUs have an erratum.

use core::cell::Cell;
use core::ffi::c_uint;
use core::ptr::with_exposed_provenance;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    cpu_hwcaps, domain, hardware_domain, per_cpu__cpu_id, per_cpu__curr_vcpu, vcpu, Opaque,
    XS_CDF_iommu, XS_ARM64_WORKAROUND_AT_SPECULATE, XS_DOMID_IDLE,
};

#[cfg(rwlock_in_line)]
use crate::per_cpu____preempt_count;

crate::fields! {
    unsafe VcpuDomain: vcpu.domain as Cell<*mut domain>, "never changes";
    unsafe DomainNumber: domain.domain_id as Cell<u16>, "never changes";
    unsafe DomainOptions: domain.options as Cell<c_uint>, "never changes";
}

/// `this_cpu(variable)`: Xen keeps the offset of a CPU's area in TPIDR_EL2. The address is computed as a
/// number (C's `RELOC_HIDE`), for it is in another allocation than the variable that the linker knows.
///
/// # Safety
///
/// `variable` is a per-CPU variable that only its CPU accesses, and the result is not kept: the
/// caller may be on another CPU later.
#[inline(always)]
unsafe fn this_cpu<T: Copy>(variable: *const T) -> &'static Cell<T> {
    let here = variable
        .expose_provenance()
        .wrapping_add(crate::arch::this_cpu_offset());
    // SAFETY: this CPU's copy of the variable. start_xen() and start_secondary() set the
    // register up first of all. C has allocated the area, and knows its address as a number.
    unsafe { &*with_exposed_provenance::<Cell<T>>(here) }
}

/// `smp_processor_id()`.
///
/// Safe: reads a per-CPU variable.
#[inline(always)]
pub fn smp_processor_id() -> c_uint {
    // SAFETY: written at this CPU's start.
    unsafe { this_cpu(&raw const per_cpu__cpu_id) }.get()
}

/// `current`.
///
/// Safe: reads a per-CPU variable.
#[inline(always)]
pub fn current_vcpu() -> *mut vcpu {
    // SAFETY: written by this CPU's context switch.
    unsafe { this_cpu(&raw const per_cpu__curr_vcpu) }.get()
}

/// `preempt_count()`.
///
/// Safe: a count, which only assertions read.
#[cfg(rwlock_in_line)]
#[inline(always)]
pub(crate) fn preempt_count() -> &'static Cell<c_uint> {
    // SAFETY: only code of this CPU counts there, and the users of this function add or take away
    // one and forget the reference. An interrupt in between leaves the count as it was.
    unsafe { this_cpu(&raw const per_cpu____preempt_count) }
}

/// `cpus_have_cap(ARM64_WORKAROUND_AT_SPECULATE)`, for the boot: until Xen patches
/// alternatives, [`crate::has_at_speculate`] says no.
///
/// Safe: reads a word. It is right once the boot CPU has looked for errata.
#[inline(always)]
pub fn found_at_speculate() -> bool {
    const BIT: c_uint = XS_ARM64_WORKAROUND_AT_SPECULATE;
    const { assert!(BIT < u64::BITS, "not in the first word") };
    let word = (&raw const cpu_hwcaps).cast_mut().cast::<u64>();
    // SAFETY: the first word of the bitmap, which is aligned. Another CPU that comes up may be setting
    // bits of it, and none is ever cleared.
    let word = unsafe { AtomicU64::from_ptr(word) };
    word.load(Relaxed) >> BIT & 1 != 0
}

/// `is_idle_vcpu()`.
///
/// Safe: reads fields that never change.
#[inline(always)]
pub fn is_idle_vcpu(v: &Opaque<vcpu>) -> bool {
    // SAFETY: a live vCPU has a domain, which outlives it.
    let domain = unsafe { Opaque::from_ptr(v.field(VcpuDomain).get()) };
    c_uint::from(domain.field(DomainNumber).get()) == XS_DOMID_IDLE
}

/// `is_hardware_domain()`.
///
/// Safe: compares with a variable that is written while dom0 is made, before there are
/// others.
#[inline(always)]
pub fn is_hardware_domain(d: &Opaque<domain>) -> bool {
    // SAFETY: a pointer-sized variable, which is not written any more.
    let hardware = unsafe { (&raw const hardware_domain).read() };
    core::ptr::eq(d.as_ptr(), hardware)
}

/// `is_iommu_enabled()`.
///
/// Safe: reads a field that never changes.
#[inline(always)]
pub fn is_iommu_enabled(d: &Opaque<domain>) -> bool {
    d.field(DomainOptions).get() & XS_CDF_iommu != 0
}
