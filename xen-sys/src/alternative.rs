// SPDX-License-Identifier: GPL-2.0-only
//! Instructions that Xen patches at boot, for the CPUs that it found: its
//! `ALTERNATIVE()` (asm/alternative.h). An entry of `.altinstructions` says where
//! the instruction is, what takes its place, and for which capability.

use core::arch::asm;
use core::mem::{offset_of, size_of};

use static_assertions::const_assert_eq;

use crate::{alt_instr, XS_ARM64_WORKAROUND_AT_SPECULATE};

// What the entry below consists of.
const_assert_eq!(offset_of!(alt_instr, orig_offset), 0);
const_assert_eq!(offset_of!(alt_instr, repl_offset), 4);
const_assert_eq!(offset_of!(alt_instr, cpufeature), 8);
const_assert_eq!(offset_of!(alt_instr, orig_len), 10);
const_assert_eq!(offset_of!(alt_instr, repl_len), 11);
const_assert_eq!(size_of::<alt_instr>(), 12);

/// `cpus_have_const_cap(ARM64_WORKAROUND_AT_SPECULATE)`: a constant, where the
/// bitmap would be loaded and tested at each context switch.
#[inline(always)]
pub fn has_at_speculate() -> bool {
    let has: u64;
    // SAFETY: either instruction does nothing but to write its result, so it does
    // not matter when Xen replaces the one by the other; the other sections are
    // data for Xen's apply_alternatives_all().
    unsafe {
        asm!(
            "661: mov {has}, #0",
            "662:",
            ".pushsection .altinstructions, \"a\"",
            ".word 661b - .",
            ".word 663f - .",
            ".hword {capability}",
            ".byte 662b - 661b",
            ".byte 664f - 663f",
            ".popsection",
            ".pushsection .altinstr_replacement, \"ax\"",
            "663: mov {has}, #1",
            "664:",
            ".popsection",
            // As in C: no more and no less than what is replaced.
            ".org . - (664b - 663b) + (662b - 661b)",
            ".org . - (662b - 661b) + (664b - 663b)",
            has = out(reg) has,
            capability = const XS_ARM64_WORKAROUND_AT_SPECULATE,
            options(nomem, nostack, preserves_flags)
        )
    };
    has != 0
}
