// SPDX-License-Identifier: GPL-2.0-only
//! Xen/Arm's mem_access: `mem_access.c` in Rust.
//!
//! A monitor (introspection tool) restricts what a guest may do with a page;
//! a violation becomes an event for the monitor. Three questions, three
//! modules:
//!
//! - [`settings`]: what access has a page, and how is it set;
//! - [`violation`]: the guest faulted, was it a restriction, and what now;
//! - [`copy`]: Xen wants to read or write a guest's buffer and the hardware
//!   says no, may it all the same (Xen's own copies pass restrictions by).
//!
//! [`xenmem`] is the public interface's name for an access, [`ffi`] has the
//! symbols that C calls. The lock rule and its types are p2m-rs's.
#![cfg_attr(target_os = "none", no_std)]

pub mod check_and_get_page;
#[cfg(target_os = "none")]
mod checks;
pub mod ffi;
pub mod settings;
pub mod violation;
pub mod xenmem;
