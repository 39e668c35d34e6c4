// SPDX-License-Identifier: GPL-2.0-only
//! Raw C of Xen/Arm, as far as the p2m needs it.
//!
//! The crate has two faces with the same names:
//!
//! - **real** (`target_os = "none"`): bindgen on the headers of the configured
//!   Xen tree, `helpers.c` for what is a static inline or a macro there, and a
//!   few instructions that C would write as inline assembly (`arch`, `inlines`,
//!   `alternative`);
//! - **mock** (any other target): plain Rust types with the same field names
//!   and the same functions, whose bodies the test harness supplies. It lets
//!   p2m-rs and mem_access-rs build and run on a machine with no Xen tree.
//!
//! Next to nothing here is safe to call; the safe wrappers are `p2m_rs::xen`.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
mod alternative;
#[cfg(target_os = "none")]
pub mod arch;
#[cfg(target_os = "none")]
mod directmap;
#[cfg(target_os = "none")]
mod inlines;
#[cfg(target_os = "none")]
mod layout;
#[cfg(target_os = "none")]
mod real;
#[cfg(target_os = "none")]
pub use alternative::has_at_speculate;
#[cfg(target_os = "none")]
pub use directmap::{map_domain_page, note_direct_map, DirectMap};
#[cfg(target_os = "none")]
pub use inlines::*;
#[cfg(target_os = "none")]
pub use real::*;

#[cfg(not(target_os = "none"))]
mod mock;
#[cfg(not(target_os = "none"))]
pub use mock::{
    xs_current as current_vcpu, xs_has_at_speculate as found_at_speculate,
    xs_is_hardware_domain as is_hardware_domain, xs_is_idle_vcpu as is_idle_vcpu,
    xs_is_iommu_enabled as is_iommu_enabled, xs_map_domain_page as map_domain_page,
    xs_smp_processor_id as smp_processor_id, *,
};
