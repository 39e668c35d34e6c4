// SPDX-License-Identifier: GPL-2.0-only
//! Raw C of Xen/Arm, as far as the p2m needs it.
//!
//! The crate has two faces:
//!
//! - **real** (`target_os = "none"`): bindgen on the headers of the configured
//!   Xen tree, `helpers.c` for what is a static inline or a macro there, and a
//!   few instructions that C would write as inline assembly (`arch`, `inlines`,
//!   `alternative`). For `x86_64` the same, with `native` in the place of what is
//!   instructions of Arm's: to be timed on the machine that builds it;
//! - **mock** (any other target): plain Rust types with the same field names,
//!   and functions whose bodies the test harness supplies. It lets p2m-rs and
//!   mem_access-rs build and run on a machine with no Xen tree.
//!
//! What is called is one list for both ([`imports`]), and so is how a structure of C's
//! is held ([`Opaque`]). What is no call in the hypervisor has the same signature in
//! both: the end of this file sees to that.
//!
//! Safe to call is what is so whatever the arguments, and in any state that code of Xen
//! runs in: at EL2, with the CPU's own variables set up. All else says what it needs;
//! the wrappers that have it are `p2m_rs::xen`.
#![cfg_attr(target_os = "none", no_std)]

pub mod abi;
pub mod facts;
pub mod imports;
#[cfg(config_altp2m)]
mod link;
mod opaque;
pub use abi::{same_prototype, SameAbi, SamePrototype};
pub use facts::{facts, Facts};
pub use imports::*;
#[cfg(config_altp2m)]
pub use link::Link;
pub use opaque::{Field, Opaque, ViewOf};

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod alternative;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub mod arch;
#[cfg(target_os = "none")]
mod directmap;
#[cfg(target_os = "none")]
mod inlines;
#[cfg(target_os = "none")]
mod layout;
#[cfg(all(target_os = "none", not(target_arch = "aarch64")))]
mod native;
#[cfg(target_os = "none")]
mod real;
#[cfg(rwlock_in_line)]
mod rwlock;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub use alternative::has_at_speculate;
#[cfg(target_os = "none")]
pub use directmap::{map_domain_page, note_direct_map, DirectMap};
#[cfg(not(rwlock_in_line))]
pub use imports::{xs_read_trylock as read_trylock, xs_read_unlock as read_unlock};
#[cfg(target_os = "none")]
pub use inlines::*;
#[cfg(all(target_os = "none", not(target_arch = "aarch64")))]
pub use native::{arch, has_at_speculate};
#[cfg(target_os = "none")]
pub use real::*;
#[cfg(rwlock_in_line)]
pub use rwlock::{read_trylock, read_unlock};

#[cfg(not(target_os = "none"))]
mod mock;
#[cfg(not(target_os = "none"))]
pub use mock::*;

/// What is instructions in the hypervisor, and an event of the machine model on the host.
const _: () = {
    use core::ffi::c_uint;

    let _: fn() -> c_uint = smp_processor_id;
    let _: fn() -> *mut vcpu = current_vcpu;
    let _: fn() -> bool = has_at_speculate;
    let _: fn() -> bool = found_at_speculate;
    let _: fn(&Opaque<vcpu>) -> bool = is_idle_vcpu;
    let _: fn(&Opaque<domain>) -> bool = is_hardware_domain;
    let _: fn(&Opaque<domain>) -> bool = is_iommu_enabled;
    let _: unsafe fn() = note_direct_map;
    let _: fn(mfn_t) -> *mut u64 = map_domain_page;
    let _: fn(&Opaque<rwlock_t>) -> bool = |l| read_trylock(l);
    let _: fn() -> DirectMap = DirectMap::get;
    let _: fn(DirectMap) -> bool = DirectMap::has_hole;
    let _: fn(DirectMap, u64) -> *mut u64 = DirectMap::page_of_entry;
    let _: [fn(); 6] = [
        arch::isb,
        arch::dsb_sy,
        arch::dsb_ishst,
        arch::dsb_ish,
        arch::dsb_nsh,
        arch::dmb_ishld,
    ];
    let _: [fn() -> u64; 4] = [
        arch::read_vttbr_el2,
        arch::read_hcr_el2,
        arch::read_sctlr_el1,
        arch::local_irq_save,
    ];
    let _: [unsafe fn(u64); 5] = [
        arch::write_vttbr_el2,
        arch::write_hcr_el2,
        arch::write_sctlr_el1,
        arch::write_vtcr_el2,
        arch::local_irq_restore,
    ];
    let _: fn() = arch::flush_stage1_local;
    let _: unsafe fn(*const u64) -> u64 = arch::pte_load;
    let _: unsafe fn(*const u64) -> [u64; 4] = arch::pte_load_four;
    let _: unsafe fn(*mut u64, u64) = arch::pte_store;
    let _: unsafe fn(*mut u64, [u64; 4]) = arch::pte_store_four;
};
