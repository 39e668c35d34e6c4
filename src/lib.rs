// SPDX-License-Identifier: GPL-2.0-only
//! `libxen_p2m.a`: what Xen links in the place of `p2m.o`, `mmu/p2m.o` and
//! `mem_access.o`.
//!
//! The symbols are those of [`p2m_rs::ffi`] and, with `CONFIG_MEM_ACCESS`, of
//! `mem_access_rs::ffi`; this crate pulls them in and says what a panic is.
//! Built for the host it is empty: there the crates are tested one by one.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(config_mem_access)]
extern crate mem_access_rs as _;
extern crate p2m_rs as _;

/// A panic is a bug of this code, and Xen's to report: the place is printed, with the text if
/// that needs no formatting; then `BUG()` dumps the state, with the calls that led here, and
/// stops the machine.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("?", 0), |l| (l.file(), l.line()));
    p2m_rs::xen::console::rust_panic(file, line, info.message().as_str().unwrap_or_default())
}
