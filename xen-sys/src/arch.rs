// SPDX-License-Identifier: GPL-2.0-only
//! The instructions that Xen's C writes as inline assembly and that have no
//! alternative to patch: barriers, stage-2 system registers, and single-copy
//! atomic access to a translation table entry.
//!
//! Section numbers are those of the Arm ARM, DDI 0487.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! sysreg {
    ($(#[$doc:meta])* $read:ident, $name:literal) => {
        $(#[$doc])*
        ///
        /// Safe: reading it has no side effect at EL2, where Xen always runs.
        #[inline(always)]
        pub fn $read() -> u64 {
            let value: u64;
            // SAFETY: as the documentation says.
            unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags)) };
            value
        }
    };
    (=> $write:ident, $name:literal) => {
        #[doc = concat!("Writes `", $name, "`; an ISB must follow before anything relies on it.")]
        ///
        /// # Safety
        ///
        /// With a value that is right for the guest context that is (being) loaded.
        #[inline(always)]
        pub unsafe fn $write(value: u64) {
            // SAFETY: the caller vouches for the value. Not `nomem`: memory
            // accesses must not move across a change of translation.
            unsafe { asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
        }
    };
}

sysreg!(
    /// Virtualization Translation Table Base Register: root and VMID.
    read_vttbr_el2, "VTTBR_EL2");
sysreg!(
    /// Hypervisor Configuration Register.
    read_hcr_el2, "HCR_EL2");
sysreg!(
    /// The guest's System Control Register.
    read_sctlr_el1, "SCTLR_EL1");
sysreg!(=> write_vttbr_el2, "VTTBR_EL2");
sysreg!(=> write_vtcr_el2, "VTCR_EL2");
sysreg!(=> write_hcr_el2, "HCR_EL2");
sysreg!(=> write_sctlr_el1, "SCTLR_EL1");

/// Where this CPU's variables are, as an offset to their addresses: TPIDR_EL2.
///
/// Safe: reading it has no side effect at EL2, where Xen always runs.
#[inline(always)]
pub(crate) fn this_cpu_offset() -> usize {
    let offset: usize;
    // SAFETY: as the documentation says.
    unsafe { asm!("mrs {}, TPIDR_EL2", out(reg) offset, options(nomem, nostack, preserves_flags)) };
    offset
}

/// Instruction Synchronization Barrier.
#[inline(always)]
pub fn isb() {
    // SAFETY: a barrier has no operand and changes no state of the program.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// DSB SY: all earlier accesses complete, for every observer in the system.
#[inline(always)]
pub fn dsb_sy() {
    // SAFETY: as for `isb`.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// DSB ISHST: earlier stores are complete for the inner shareable domain, which
/// holds every CPU's table walker (and a coherent SMMU's).
#[inline(always)]
pub fn dsb_ishst() {
    // SAFETY: as for `isb`.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
}

/// DSB ISH: earlier loads and stores are complete for the inner shareable
/// domain, and so are the translation table walks that this CPU has begun.
#[inline(always)]
pub fn dsb_ish() {
    // SAFETY: as for `isb`.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
}

/// DSB NSH: earlier loads and stores are complete as far as this CPU can tell,
/// and so are the translation table walks that it has begun. It says nothing of
/// what the walkers of other CPUs see.
#[inline(always)]
pub fn dsb_nsh() {
    // SAFETY: as for `isb`.
    unsafe { asm!("dsb nsh", options(nostack, preserves_flags)) };
}

/// DMB ISHLD: what is loaded later was not read before what was loaded earlier (`smp_rmb()`).
#[inline(always)]
pub fn dmb_ishld() {
    // SAFETY: as for `isb`.
    unsafe { asm!("dmb ishld", options(nostack, preserves_flags)) };
}

/// `local_irq_save()`: masks interrupts on this CPU; returns what they were.
///
/// Safe: a CPU whose interrupts stay masked is deaf, and harms nobody's memory.
#[inline(always)]
pub fn local_irq_save() -> u64 {
    let flags: u64;
    // SAFETY: as the documentation says. Not `nomem`: what follows happens with
    // interrupts masked.
    unsafe {
        asm!("mrs {}, daif", "msr daifset, #2", out(reg) flags, options(nostack, preserves_flags))
    };
    flags
}

/// `local_irq_restore()`.
///
/// # Safety
///
/// With what [`local_irq_save`] returned on this CPU, by whoever called that.
#[inline(always)]
pub unsafe fn local_irq_restore(flags: u64) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("msr daif, {}", in(reg) flags, options(nostack, preserves_flags)) };
}

/// What this CPU holds of stage 1 for the VMID in VTTBR_EL2, and its instruction cache, waiting for it. No
/// broadcast, so no erratum wants it repeated.
///
/// Safe: invalidates what is read from the guest's tables, and from memory, again.
#[inline(always)]
pub fn flush_stage1_local() {
    // SAFETY: as the documentation says.
    unsafe {
        asm!(
            "dsb nshst",
            "tlbi vmalle1",
            "ic iallu",
            "dsb nsh",
            "isb",
            options(nostack, preserves_flags)
        )
    };
}

/// Loads a translation table entry, single-copy atomically.
///
/// # Safety
///
/// `entry` must point to an entry of a mapped translation table.
#[inline(always)]
pub unsafe fn pte_load(entry: *const u64) -> u64 {
    // SAFETY: the caller promises a live, aligned entry. While it can be reached, Rust accesses it as
    // an atomic only (here, by the stores below, and in assembly), and the hardware walker does.
    unsafe { AtomicU64::from_ptr(entry.cast_mut()) }.load(Ordering::Relaxed)
}

/// Loads four entries, each single-copy atomically (DDI 0487K, B2.2.1).
///
/// # Safety
///
/// As for [`pte_load`], for the entry and the three after it.
#[inline(always)]
pub unsafe fn pte_load_four(entry: *const u64) -> [u64; 4] {
    let (a, b, c, d);
    // SAFETY: four live, aligned entries, by the caller's promise. The first pair
    // must not overwrite the address before the second is loaded: `out`, and
    // not `lateout`.
    unsafe {
        asm!(
            "ldp {a}, {b}, [{entry}]",
            "ldp {c}, {d}, [{entry}, #16]",
            entry = in(reg) entry,
            a = out(reg) a,
            b = out(reg) b,
            c = out(reg) c,
            d = out(reg) d,
            options(nostack, preserves_flags, readonly)
        )
    };
    [a, b, c, d]
}

/// Stores four entries, each single-copy atomically, in any order. No barrier.
///
/// # Safety
///
/// As for [`pte_store`], for the entry and the three after it.
#[inline(always)]
pub unsafe fn pte_store_four(entry: *mut u64, [a, b, c, d]: [u64; 4]) {
    // SAFETY: as for `pte_load_four`.
    unsafe {
        asm!(
            "stp {a}, {b}, [{entry}]",
            "stp {c}, {d}, [{entry}, #16]",
            entry = in(reg) entry,
            a = in(reg) a,
            b = in(reg) b,
            c = in(reg) c,
            d = in(reg) d,
            options(nostack, preserves_flags)
        )
    };
}

/// Stores a translation table entry, single-copy atomically. No barrier.
///
/// # Safety
///
/// As for [`pte_load`], and the p2m write lock must be held or the table not
/// yet be reachable.
#[inline(always)]
pub unsafe fn pte_store(entry: *mut u64, value: u64) {
    // SAFETY: as for `pte_load`.
    unsafe { AtomicU64::from_ptr(entry) }.store(value, Ordering::Relaxed);
}
