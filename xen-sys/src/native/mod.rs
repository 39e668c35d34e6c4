// SPDX-License-Identifier: GPL-2.0-only
//! The real face for the machine that builds it, to be timed there next to Xen's C: what is
//! instructions of Arm's is in here, and all else is as in the hypervisor. Xen's headers are
//! the configured tree's too, with a few before them that do the same for C.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the hypervisor is for aarch64, and its times on this machine are for x86_64");

pub mod arch;

use core::arch::asm;

/// `cpus_have_const_cap(ARM64_WORKAROUND_AT_SPECULATE)`: the instruction that Xen leaves there
/// for a CPU without the erratum.
#[inline(always)]
pub fn has_at_speculate() -> bool {
    let has: u64;
    // SAFETY: does nothing but to write its result.
    unsafe { asm!("mov {}, 0", out(reg) has, options(nomem, nostack, preserves_flags)) };
    has != 0
}
