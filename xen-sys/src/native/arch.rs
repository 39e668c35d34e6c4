// SPDX-License-Identifier: GPL-2.0-only
//! `src/arch.rs` on a machine that is no Arm. Each costs what C's costs there: barriers and
//! invalidations are for the compiler alone, and a system register is a variable of the
//! thread's, which the program defines.

use core::arch::asm;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{compiler_fence, AtomicU64};

macro_rules! register {
    ($read:ident, $name:literal) => {
        #[doc = concat!("Reads what stands for `", $name, "`.")]
        ///
        /// Safe: the calling thread's variable, of which nobody has the address.
        #[inline(always)]
        pub fn $read() -> u64 {
            let value: u64;
            // SAFETY: a load of a variable that the program defines for each thread.
            unsafe { asm!(concat!("mov {}, qword ptr fs:[native_", $name, "@TPOFF]"), out(reg) value, options(nostack, preserves_flags, readonly)) };
            value
        }
    };
    (=> $write:ident, $name:literal) => {
        #[doc = concat!("Writes what stands for `", $name, "`.")]
        ///
        /// # Safety
        ///
        /// As in the hypervisor. Here any value is as good as another.
        #[inline(always)]
        pub unsafe fn $write(value: u64) {
            // SAFETY: as for reading.
            unsafe { asm!(concat!("mov qword ptr fs:[native_", $name, "@TPOFF], {}"), in(reg) value, options(nostack, preserves_flags)) };
        }
    };
}

register!(read_vttbr_el2, "VTTBR_EL2");
register!(read_hcr_el2, "HCR_EL2");
register!(read_sctlr_el1, "SCTLR_EL1");
register!(read_tpidr_el2, "TPIDR_EL2");
register!(read_daif, "DAIF");
register!(=> write_vttbr_el2, "VTTBR_EL2");
register!(=> write_vtcr_el2, "VTCR_EL2");
register!(=> write_hcr_el2, "HCR_EL2");
register!(=> write_sctlr_el1, "SCTLR_EL1");
register!(=> local_irq_restore, "DAIF");

/// Where this CPU's variables are, as an offset to their addresses.
#[inline(always)]
pub(crate) fn this_cpu_offset() -> usize {
    // A 64-bit target.
    read_tpidr_el2() as usize
}

/// `local_irq_save()`: the mask is a variable, too.
#[inline(always)]
pub fn local_irq_save() -> u64 {
    /// PSR_IRQ_MASK
    const IRQ: u64 = 1 << 7;

    let flags = read_daif();
    // SAFETY: the mask only.
    unsafe { local_irq_restore(flags | IRQ) };
    flags
}

macro_rules! for_the_compiler_alone {
    ($($name:ident)*) => {$(
        /// Nothing is moved across it.
        #[inline(always)]
        pub fn $name() {
            compiler_fence(SeqCst);
        }
    )*};
}

for_the_compiler_alone! { isb dsb_sy dsb_ishst dsb_ish dsb_nsh dmb_ishld flush_stage1_local }

/// Loads a translation table entry, single-copy atomically.
///
/// # Safety
///
/// `entry` must point to an entry of a mapped translation table.
#[inline(always)]
pub unsafe fn pte_load(entry: *const u64) -> u64 {
    // SAFETY: a live, aligned entry, by the caller's promise, and never accessed but as an atomic.
    unsafe { AtomicU64::from_ptr(entry.cast_mut()) }.load(Relaxed)
}

/// Loads four entries, each single-copy atomically.
///
/// # Safety
///
/// As for [`pte_load`], for the entry and the three after it.
#[inline(always)]
pub unsafe fn pte_load_four(entry: *const u64) -> [u64; 4] {
    // SAFETY: by the caller's promise.
    [0, 1, 2, 3].map(|n| unsafe { pte_load(entry.wrapping_add(n)) })
}

/// Stores a translation table entry, single-copy atomically.
///
/// # Safety
///
/// As for [`pte_load`], and the p2m write lock must be held or the table not yet be reachable.
#[inline(always)]
pub unsafe fn pte_store(entry: *mut u64, value: u64) {
    // SAFETY: as for `pte_load`.
    unsafe { AtomicU64::from_ptr(entry) }.store(value, Relaxed);
}

/// Stores four entries, each single-copy atomically.
///
/// # Safety
///
/// As for [`pte_store`], for the entry and the three after it.
#[inline(always)]
pub unsafe fn pte_store_four(entry: *mut u64, [a, b, c, d]: [u64; 4]) {
    // SAFETY: by the caller's promise, here and below.
    unsafe { pte_store(entry, a) };
    // SAFETY: the second.
    unsafe { pte_store(entry.wrapping_add(1), b) };
    // SAFETY: the third.
    unsafe { pte_store(entry.wrapping_add(2), c) };
    // SAFETY: the fourth.
    unsafe { pte_store(entry.wrapping_add(3), d) };
}
