// SPDX-License-Identifier: GPL-2.0-only
//! Xen/Arm's mem_access: `mem_access.c` in Rust.
//!
//! A monitor (an introspection tool) restricts what a guest may do with a page.
//! Each violation causes an event for the monitor. The modules are:
//!
//! - [`settings`] gets and sets the access of pages;
//! - [`multi`] sets the accesses of many pages, each with its own;
//! - [`mod@views`] does both in a view of a guest's memory (altp2m);
//! - [`violation`] decides whether a guest's permission fault is a violation, and handles it;
//! - [`check_and_get_page`] lets Xen read or write a guest's buffer that the guest itself
//!   cannot reach at the moment;
//! - [`xenmem`] has the public interface's type of an access;
//! - [`ffi`] has the symbols that C calls.
//!
//! The lock rule and its types are those of p2m-rs. Where Xen is configured without mem_access
//! the crate is empty.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(config_mem_access)]
pub mod check_and_get_page;
#[cfg(all(config_mem_access, target_os = "none"))]
mod checks;
#[cfg(config_mem_access)]
pub mod ffi;
#[cfg(config_mem_access)]
pub mod multi;
#[cfg(config_mem_access)]
pub mod settings;
#[cfg(config_altp2m)]
pub mod views;
#[cfg(config_mem_access)]
pub mod violation;
#[cfg(config_mem_access)]
pub mod xenmem;
