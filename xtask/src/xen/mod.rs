// SPDX-License-Identifier: GPL-2.0-only
//! The hypervisor: which releases there are patches for (`release`), where its source comes from (`source`), the C that
//! the Rust was compared with (`known_c`), the patches (`patches`, `diff`), the Rust inside Xen's tree (`series`), its
//! configuration (`config`), the tree made of all these (`build`), and what can be read from the linked image (`image`).

pub(crate) mod build;
pub(crate) mod config;
mod diff;
pub(crate) mod git;
pub(crate) mod image;
// The archive's build script's, which has other uses of it.
#[allow(dead_code)]
#[path = "../../../xen-sys/build/known_c.rs"]
pub(crate) mod known_c;
pub(crate) mod patches;
pub(crate) mod release;
pub(crate) mod series;
pub(crate) mod source;
